//! Requests on their way, each in a place of its own.
//!
//! An arrival, a first token and an end each look for one; a place is found without a search, where a map by request would
//! hash each time. They stand in order of sending, too: since all clients have the same patience, the oldest is the one whose
//! client gives up next.

use crate::sim::world::Flight;
use crate::traffic::RequestId;

/// What a flight is called by engines and by the gateway: its place, and how many were there before it. They take it for a
/// request's id and tell it back; the request's own id stands in the flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlightKey(pub(super) RequestId);

impl FlightKey {
    fn new(place: u32, before: u32) -> FlightKey {
        FlightKey(RequestId(u64::from(before) << 32 | u64::from(place)))
    }

    fn place(self) -> usize {
        (self.0.0 & u64::from(u32::MAX)) as usize
    }
}

/// No place.
const NOBODY: u32 = u32::MAX;

/// The requests on their way. Plain cloneable data.
#[derive(Clone, Debug)]
pub(super) struct Flights {
    places: Vec<Place>,
    vacant: Vec<u32>,
    oldest: u32,
    newest: u32,
}

#[derive(Clone, Debug)]
struct Place {
    key: FlightKey,
    flight: Option<Flight>,
    /// Its neighbours in order of sending.
    older: u32,
    newer: u32,
}

impl Flights {
    /// Nothing is on its way.
    pub(super) fn new() -> Self {
        Flights { places: Vec::new(), vacant: Vec::new(), oldest: NOBODY, newest: NOBODY }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.vacant.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.oldest == NOBODY
    }

    /// What the next one that is put in will be called.
    ///
    /// # Panics
    /// When four thousand million are on their way.
    pub(super) fn next_key(&self) -> FlightKey {
        match self.vacant.last() {
            Some(place) => self.places[*place as usize].key,
            None => FlightKey::new(u32::try_from(self.places.len()).expect("the number of flights is limited"), 0),
        }
    }

    /// Puts a flight in, the youngest of all. It carries [`Self::next_key`].
    ///
    /// # Panics
    /// When it carries another.
    pub(super) fn insert(&mut self, flight: Flight) {
        let (key, older) = (self.next_key(), self.newest);
        assert!(flight.key == key, "a flight goes by the name of its place");
        let place = Place { key, flight: Some(flight), older, newer: NOBODY };
        if self.vacant.pop().is_some() {
            self.places[key.place()] = place;
        } else {
            self.places.push(place);
        }
        self.newest = key.place() as u32;
        match self.places.get_mut(older as usize) {
            Some(older) => older.newer = self.newest,
            None => self.oldest = self.newest,
        }
    }

    /// The flight of that name, if it is still on its way.
    #[inline]
    pub(super) fn get(&self, key: FlightKey) -> Option<&Flight> {
        self.places.get(key.place()).filter(|place| place.key == key)?.flight.as_ref()
    }

    /// As [`Self::get`].
    #[inline]
    pub(super) fn get_mut(&mut self, key: FlightKey) -> Option<&mut Flight> {
        self.places.get_mut(key.place()).filter(|place| place.key == key)?.flight.as_mut()
    }

    /// Takes a flight out, if it is still on its way.
    pub(super) fn remove(&mut self, key: FlightKey) -> Option<Flight> {
        let place = self.places.get_mut(key.place()).filter(|place| place.key == key)?;
        let flight = place.flight.take()?;
        let (older, newer) = (place.older, place.newer);
        // Round and round after four thousand million in one place: nobody remembers a name for so long.
        place.key = FlightKey::new(key.place() as u32, ((key.0.0 >> 32) as u32).wrapping_add(1));
        match self.places.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.places.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        self.vacant.push(key.place() as u32);
        Some(flight)
    }

    /// The one that was sent first.
    pub(super) fn oldest(&self) -> Option<&Flight> {
        self.places.get(self.oldest as usize)?.flight.as_ref()
    }

    /// All, by their places.
    pub(super) fn values(&self) -> impl Iterator<Item = &Flight> {
        self.places.iter().filter_map(|place| place.flight.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{OutputLength, Request};
    use crate::units::SimTime;
    use proptest::prelude::*;

    fn flight(key: FlightKey, number: u64) -> Flight {
        let request = Request { id: RequestId(number), prompt_tokens: 1, output: OutputLength::new(1), worker: None };
        Flight {
            key,
            request,
            source: 0,
            sent: SimTime::ZERO,
            pod: None,
            seat: None,
            first_token_came: false,
            ttft_misses: 0,
        }
    }

    proptest! {
        #[test]
        fn they_are_those_that_were_put_in_and_not_taken_out(moves in prop::collection::vec((any::<bool>(), 0usize..400), 1..400)) {
            let mut flights = Flights::new();
            let mut expected: Vec<(FlightKey, u64)> = Vec::new();
            let mut gone: Vec<FlightKey> = Vec::new();
            for (number, (enters, which)) in (0..).zip(moves) {
                if enters || expected.is_empty() {
                    let key = flights.next_key();
                    flights.insert(flight(key, number));
                    expected.push((key, number));
                } else {
                    let (key, number) = expected.remove(which % expected.len());
                    prop_assert_eq!(flights.remove(key).map(|flight| flight.request.id), Some(RequestId(number)));
                    gone.push(key);
                }
                prop_assert_eq!((flights.len(), flights.is_empty()), (expected.len(), expected.is_empty()));
                let oldest = flights.oldest().map(|flight| flight.request.id.0);
                prop_assert_eq!(oldest, expected.first().map(|(_, number)| *number));
                for (key, number) in &expected {
                    prop_assert_eq!(flights.get(*key).map(|flight| flight.request.id.0), Some(*number));
                    prop_assert!(flights.get_mut(*key).is_some());
                }
                for key in &gone {
                    prop_assert!(flights.get(*key).is_none() && flights.remove(*key).is_none());
                }
                let mut inside: Vec<u64> = flights.values().map(|flight| flight.request.id.0).collect();
                inside.sort_unstable();
                let mut numbers: Vec<u64> = expected.iter().map(|(_, number)| *number).collect();
                numbers.sort_unstable();
                prop_assert_eq!(inside, numbers);
            }
        }
    }
}

//! Little's law as an identity, in whole picoseconds (INV-8, only with `--check`).
//!
//! Over any run from an empty start, the time integral of the number of requests in a system equals the sum of the times
//! that they have spent in it, those still inside counted up to now (J. D. C. Little, "A proof for the queuing formula
//! L = λW", Operations Research 9, 1961, without the limits). The two sides come from different places: the numbers from what
//! is on its way or on a pod after each event, the times from the instants that requests and engines carry, which are those
//! that become latencies. It is kept for the whole system (sending to the last token or the failure) and for each
//! pod (entering to the same; of a completed request the engine's own arrival and finish).

use crate::cluster::PodId;
use crate::replica::{Engine, Finished};
use crate::sim::SimulateError;
use crate::sim::world::{Flight, World};
use crate::traffic::RequestId;
use crate::units::{SimDuration, SimTime};
use rustc_hash::FxHashMap;

/// Both sides for the system and for each pod.
#[derive(Default)]
pub(super) struct LittleBooks {
    /// The integrals are complete up to here.
    until: SimTime,
    system: Sides,
    /// By pod number.
    pods: Vec<Sides>,
    /// When the requests that are on a pod entered it.
    entered: FxHashMap<RequestId, SimTime>,
}

/// In picoseconds times requests.
#[derive(Clone, Copy, Default)]
struct Sides {
    /// Time integral of the number inside.
    integral: u128,
    /// Times of those that have left.
    times: u128,
}

impl LittleBooks {
    fn pod(&mut self, pod: PodId) -> &mut Sides {
        let index = pod.0 as usize;
        if self.pods.len() <= index {
            self.pods.resize_with(index + 1, Sides::default);
        }
        &mut self.pods[index]
    }

    /// A pod has taken a request.
    pub(super) fn entered(&mut self, id: RequestId, now: SimTime) {
        self.entered.insert(id, now);
    }

    /// A request is done; `way` is what it takes from the router to the engine.
    pub(super) fn completed(&mut self, flight: &Flight, finished: &Finished, way: SimDuration) {
        self.system.times += ps(finished.at.since(flight.sent));
        self.entered.remove(&flight.request.id);
        if let Some(pod) = flight.pod {
            self.pod(pod).times += ps(way + finished.at.since(finished.arrived));
        }
    }

    /// A request has ended otherwise.
    pub(super) fn failed(&mut self, flight: &Flight, now: SimTime) {
        self.system.times += ps(now.since(flight.sent));
        let entered = self.entered.remove(&flight.request.id);
        if let (Some(pod), Some(entered)) = (flight.pod, entered) {
            self.pod(pod).times += ps(now.since(entered));
        }
    }
}

fn ps(duration: SimDuration) -> u128 {
    u128::from(duration.as_ps())
}

impl World<'_> {
    /// Nothing changes between two events: the numbers inside hold until `next`.
    #[inline]
    pub(super) fn count_requests_until(&mut self, next: SimTime) {
        if self.little.is_some() {
            self.add_requests_until(next);
        }
    }

    #[inline(never)]
    fn add_requests_until(&mut self, next: SimTime) {
        let Some(mut books) = self.little.take() else { return };
        let span = ps(next.since(books.until));
        if span > 0 {
            books.until = next;
            books.system.integral += span * self.traffic.flights.len() as u128;
            for (pod, inside) in self.inside_pods() {
                books.pod(pod).integral += span * inside;
            }
        }
        self.little = Some(books);
    }

    /// How many requests are on each pod that has any, as the balancer counts them.
    fn inside_pods(&self) -> impl Iterator<Item = (PodId, u128)> {
        self.router.busy().map(|(pod, inside)| (pod, inside as u128))
    }

    /// INV-8: both sides are equal, for the system and for each pod; and whoever is on a pod is inside its engine.
    pub(super) fn littles_law_holds(&self) -> Result<(), SimulateError> {
        let Some(books) = &self.little else { return Ok(()) };
        let mut system = books.system.times;
        let mut pods: Vec<u128> = books.pods.iter().map(|sides| sides.times).collect();
        for flight in self.traffic.flights.values() {
            system += ps(self.now.since(flight.sent));
            let Some(pod) = flight.pod else { continue };
            let entered = books.entered.get(&flight.request.id).copied();
            let own = entered.and_then(|at| Some((at, pods.get_mut(pod.0 as usize)?)));
            // No time has passed yet for a pod that is not in the books.
            if let Some((at, times)) = own {
                *times += ps(self.now.since(at));
            }
        }
        self.are_equal("the system", books.system.integral, system)?;
        for (sides, (times, pod)) in books.pods.iter().zip(pods.into_iter().zip((0..).map(PodId))) {
            self.are_equal(&format!("pod {}", pod.0), sides.integral, times)?;
        }
        for (pod, inside) in self.inside_pods() {
            let engine = self.host(pod).and_then(|host| host.engine.as_ref());
            let in_engine = engine.map_or(0, Engine::in_flight) as u128;
            if inside > in_engine {
                let name = self.pod_name(pod);
                return Err(self.broken("INV-8", format!("{inside} requests on {name}, {in_engine} in its engine")));
            }
        }
        Ok(())
    }

    fn are_equal(&self, what: &str, integral: u128, times: u128) -> Result<(), SimulateError> {
        if integral == times {
            return Ok(());
        }
        let message = format!(
            "the number of requests in {what} adds up to {integral} ps over time, the times of these requests to {times} ps"
        );
        Err(self.broken("INV-8", message))
    }
}

#[cfg(test)]
#[path = "little_tests.rs"]
mod tests;

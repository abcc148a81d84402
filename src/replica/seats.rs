//! Where requests sit in an engine: their slots, and the order in which the running ones were admitted.

use crate::replica::engine::Engine;
use crate::replica::request::{Live, NO_SLOT, Place, Slot};
use crate::units::SimTime;

impl Engine {
    /// The request of a slot that a queue names.
    #[inline]
    pub(super) fn live(&self, slot: Slot) -> &Live {
        let live = &self.slab[slot as usize];
        debug_assert!(live.place != Place::Vacant, "queues hold occupied slots only");
        live
    }

    #[inline]
    pub(super) fn live_mut(&mut self, slot: Slot) -> &mut Live {
        let live = &mut self.slab[slot as usize];
        debug_assert!(live.place != Place::Vacant, "queues hold occupied slots only");
        live
    }

    /// Everybody who has a slot.
    pub(super) fn inside(&self) -> impl Iterator<Item = &Live> {
        self.slab.iter().filter(|live| live.place != Place::Vacant)
    }

    /// A free slot.
    #[inline]
    pub(super) fn free_slot(&mut self) -> Slot {
        self.vacant.pop().unwrap_or_else(|| self.new_slot())
    }

    #[cold]
    fn new_slot(&mut self) -> Slot {
        self.slab.push(Live::VACANT);
        Slot::try_from(self.slab.len() - 1).expect("fewer than four thousand million requests are inside")
    }

    /// Forgets a request that is in no queue any more and has no blocks.
    pub(super) fn remove(&mut self, slot: Slot, now: SimTime) {
        self.leave(now);
        self.vacate(slot);
    }

    /// Whoever asks is told from now on that it is not here.
    #[inline]
    pub(super) fn leave(&mut self, now: SimTime) {
        self.in_flight -= 1;
        if self.in_flight == 0 {
            self.busy_before += now.saturating_since(self.busy_since);
        }
    }

    #[inline]
    pub(super) fn vacate(&mut self, slot: Slot) {
        let live = self.live_mut(slot);
        live.place = Place::Vacant;
        live.ties = None;
        self.vacant.push(slot);
    }

    /// Appends a request to the order of admission.
    #[inline]
    pub(super) fn link(&mut self, slot: Slot) {
        let (older, admission) = (self.newest, self.next_admission);
        let live = self.live_mut(slot);
        (live.older, live.newer, live.admission) = (older, NO_SLOT, admission);
        if older != NO_SLOT {
            self.live_mut(older).newer = slot;
        }
        self.newest = slot;
        self.next_admission += 1;
        self.running += 1;
        if self.live(slot).ties.is_some() {
            self.note_writer(slot, true);
        }
    }

    /// Takes a request out of the order of admission.
    #[inline]
    pub(super) fn unlink(&mut self, slot: Slot) {
        let (older, newer) = (self.live(slot).older, self.live(slot).newer);
        if older != NO_SLOT {
            self.live_mut(older).newer = newer;
        }
        if newer == NO_SLOT {
            self.newest = older;
        } else {
            self.live_mut(newer).older = older;
        }
        self.running -= 1;
        if self.live(slot).ties.is_some() {
            self.note_writer(slot, false);
        }
    }
}

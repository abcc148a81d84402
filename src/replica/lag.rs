//! Async scheduling: who is still there for a schedule that was made one step ago, and what becomes of them.
//!
//! Source: vLLM 0.33 `vllm/v1/engine/core.py` (`step_with_batch_queue`), `vllm/v1/core/sched/async_scheduler.py` and
//! `scheduler.py` (`schedule`, `update_from_output`). The schedule of a step does not know yet how the step before it ends:
//! * Who reaches `max_tokens` or `max_model_len` in that step is foreseen and gets no tokens, but keeps its place among
//!   `max_num_seqs` and its blocks until that step has ended.
//! * Who stops of itself is scheduled once more: one token of the budget, a block if one is due, and the time of a slot. The
//!   token is dropped, and nothing counts it. The same happens to a request whose client left.
//! * Tokens that are on their way are not known, so that a decode's block is not in the cache's table when the step that fills
//!   it is scheduled, but one schedule later; the last one of a victim never gets there.
//! * A victim's last token is on its way when it is evicted; the eviction counts when that token comes out.

use crate::replica::engine::Engine;
use crate::replica::request::{Place, Slot};
use crate::units::SimTime;

/// What a step has to compute, as `StepTime::step` takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) tokens: u64,
    pub(super) pairs_doubled: u64,
    pub(super) cached: u64,
    pub(super) seqs: u64,
}

impl Engine {
    /// The schedule of the step that starts now, made when the one that just ended began (`seen_until`): with those who
    /// ended or left since. They go once it is made. The time of the batch with them, ps; `None` when nobody was scheduled.
    #[inline]
    pub(super) fn schedule_ahead(&mut self, now: SimTime, seen_until: SimTime) -> Option<u64> {
        let whole_ps = if self.schedule(seen_until) { Some(self.time_of(self.batch())) } else { None };
        let before = SimTime::from_ps(now.as_ps() - 1);
        self.buried = !self.ended.is_empty() || !self.leaving.is_empty();
        if self.buried {
            self.drop_leaving(now, before, true);
            self.bury_ended();
        }
        // The step that just ended reports a scheduler that has already gone one step further.
        let free = self.free_after_step();
        self.publish(self.unseen(seen_until), free);
        if self.buried {
            self.drop_leaving(now, now, true);
        }
        whole_ps
    }

    /// Those whose last token came out in the step that just ended.
    #[inline(never)]
    fn bury_ended(&mut self) {
        for index in 0..self.ended.len() {
            let slot = self.ended[index];
            self.observe_finished(slot);
            // Evicted while its last token was on its way, it has neither place nor blocks.
            if self.live(slot).place != Place::Waiting {
                self.release(slot, true);
            }
            self.vacate(slot);
        }
        self.ended.clear();
    }

    /// Takes a running request away, out of the batch too if it is in it. `late`: the tokens of the step that just ended
    /// are known.
    #[inline(always)]
    pub(super) fn release(&mut self, slot: Slot, late: bool) {
        let live = self.live(slot);
        if live.place == Place::Decoding && live.ties.is_none() {
            self.release_decode(slot);
        } else {
            self.release_any(slot, late);
        }
    }

    /// [`Self::release`] of a decode whose blocks are its own: it was given the one that its next token needs, if any.
    #[inline]
    fn release_decode(&mut self, slot: Slot) {
        self.unlink(slot);
        let computed = self.decodes.computed(self.live(slot).origin);
        self.decodes.leave(computed);
        let full = self.decodes.block.full(computed);
        let given = u32::from(self.decodes.block.partial(computed) == 0);
        self.free_blocks += full + 1 - given;
        if self.config.scheduling.prefix_caching {
            debug_assert!(self.popped >= u64::from(given), "its block was taken");
            self.popped -= u64::from(given);
            self.free_own(full + 1, computed + self.foresight());
        }
    }

    #[inline(never)]
    fn release_any(&mut self, slot: Slot, late: bool) {
        self.unlink(slot);
        let decodes = self.live(slot).place == Place::Decoding;
        let scheduled = self.withdraw(slot);
        let live = self.live(slot);
        let filled = match (decodes, late) {
            (true, _) => live.computed + self.foresight(),
            (false, true) => live.computed + scheduled,
            (false, false) => live.known + scheduled,
        };
        self.free_all(slot, filled, false);
    }

    /// How many tokens of a decode scheduled now are known beyond those that are computed.
    pub(super) fn foresight(&self) -> u32 {
        u32::from(!self.config.async_scheduling)
    }

    /// Whether its client left before `now`, so that the step that ends then gives it no token.
    pub(super) fn left_before(&self, slot: Slot, now: SimTime) -> bool {
        self.live(slot).aborted && self.leaving.iter().any(|(other, left)| *other == slot && *left < now)
    }

    /// Decoding requests that get no token from the step that ends now, because their clients left.
    pub(super) fn silent_decodes(&self, now: SimTime) -> u64 {
        let is_silent = |(slot, left): &&(Slot, SimTime)| *left < now && self.live(*slot).place == Place::Decoding;
        self.leaving.iter().filter(is_silent).count() as u64
    }

    /// Tokens of a decoding request whose blocks the cache's table may have before it is scheduled again: with async
    /// scheduling without the one of the step that just ended.
    pub(super) fn known_of_decode(&self, slot: Slot) -> u32 {
        let live = self.live(slot);
        let computed = self.decodes.computed(live.origin);
        if self.config.async_scheduling { live.computed.max(computed - 1) } else { computed }
    }

    /// How long a step with this batch takes, ps.
    #[inline]
    pub(super) fn time_of(&self, batch: Batch) -> u64 {
        self.config.step_time.step(batch.tokens, batch.pairs_doubled, batch.cached, batch.seqs).as_ps()
    }

    /// What the step that was just scheduled has to compute.
    pub(super) fn batch(&self) -> Batch {
        let decodes = self.decodes.count;
        let seqs = decodes + self.chunks.len() as u64;
        let mut batch = Batch { tokens: decodes, pairs_doubled: 0, cached: self.decodes.cached, seqs };
        for (slot, count) in &self.chunks {
            let (live, count) = (self.live(*slot), u64::from(*count));
            let computed = u64::from(live.computed);
            batch.tokens += count;
            if live.place == Place::Stalled {
                batch.cached += computed;
            } else {
                batch.pairs_doubled += count * (2 * computed + count);
            }
        }
        batch
    }
}

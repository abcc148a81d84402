//! One schedule of the engine: which requests get how many tokens, and how many steps the batch stays as it is.
//!
//! Source: vLLM 0.33 `vllm/v1/core/sched/scheduler.py` (`schedule`, `_preempt_request`). The meaning is step by step; the
//! cost is per batch change: with first come, first served and no long-prefill threshold nothing here loops over the
//! decoding requests. Two facts carry that (vllm.md 1.3): requests decode before and apart from prefills, one token each,
//! because `max_num_seqs` is at most the token budget; and at most one request is half prefilled, the newest admitted,
//! because a prompt that does not fit the budget ends the admission. Otherwise `running` takes such a step.

use crate::replica::engine::{Engine, NO_ARRIVAL, Phase};
use crate::replica::prefix::Hit;
use crate::replica::request::{Place, Slot};
use crate::replica::run::Run;
use crate::replica::scheduling::CountedLookups;
use crate::units::SimTime;

/// What a waiting request would get.
#[derive(Clone, Copy, Debug)]
struct Admission {
    tokens: u32,
    hit: Hit,
    fits: bool,
}

/// A run without an end in sight is planned in pieces of this many steps.
const LONGEST_RUN: u64 = 1 << 20;

impl Engine {
    /// The top of the loop: aborts, arrivals, schedule; then the batch starts.
    pub(super) fn start_step(&mut self, now: SimTime) {
        let ahead = self.config.async_scheduling && self.phase == Phase::Boundary;
        if !ahead {
            self.drop_leaving(now, now, false);
        }
        self.drain(now, now);
        self.buried = false;
        let mut seen_until = now;
        let mut whole_ps = None;
        if ahead {
            // This step was put together when the previous one started.
            seen_until = self.step_start;
            whole_ps = self.schedule_ahead(now, seen_until);
        }
        if whole_ps.is_none() {
            seen_until = now;
            if !self.schedule_now(now, ahead) {
                self.phase = Phase::Idle;
                return;
            }
        }
        self.step_start = now;
        self.plan(now, seen_until, whole_ps);
        self.phase = Phase::Step;
        self.disturbed = false;
    }

    /// A schedule that is not made ahead, or in place of an empty one that was. False when nobody is left.
    #[inline(never)]
    fn schedule_now(&mut self, now: SimTime, ahead: bool) -> bool {
        while !self.schedule(now) {
            self.publish(0, self.free_blocks);
            if self.running == 0 && self.waiting.is_empty() {
                return false;
            }
            // By priority the request that asks first may evict itself, which ends the schedule: an empty step.
        }
        if ahead {
            // The empty batch before it reports at once.
            self.publish(0, self.free_after_step());
        }
        true
    }

    /// Both passes; false when nothing is scheduled.
    #[inline(always)]
    pub(super) fn schedule(&mut self, seen_until: SimTime) -> bool {
        self.chunks.clear();
        self.disturbed = false;
        if !self.all_go_on() {
            self.schedule_anew(seen_until);
        } else {
            self.pop_for_decodes();
            if !self.waiting.is_empty() {
                self.admit_waiting(seen_until, self.is_lone(seen_until));
            }
        }
        self.decodes.count > 0 || !self.chunks.is_empty()
    }

    /// Somebody is in mid-prefill, or may have to leave, or writes a text that others may find.
    #[inline(never)]
    fn schedule_anew(&mut self, seen_until: SimTime) {
        let lone = self.is_lone(seen_until);
        if self.config.async_scheduling {
            // What the step before the last one computed became known before the schedule.
            self.enter_written(false);
        }
        let undisturbed = if self.is_plain {
            let enough = self.make_room();
            self.pop_for_decodes();
            self.enter_written(true);
            self.schedule_half_done() && enough
        } else if self.decodes.count == u64::from(self.running) && self.decodes.due() <= u64::from(self.free_blocks) {
            self.pop_for_decodes();
            self.enter_written(true);
            true
        } else {
            self.schedule_one_by_one(lone)
        };
        if undisturbed {
            self.admit_waiting(seen_until, lone);
        } else {
            self.disturbed = true;
        }
    }

    /// Whether everybody who runs decodes and has its block, or has ended, and nobody writes a text that others may find.
    fn all_go_on(&self) -> bool {
        let all_decode =
            self.decodes.count == u64::from(self.running) || self.is_plain && self.newest_prefilling().is_none();
        all_decode && self.decodes.due() <= u64::from(self.free_blocks) && self.writers.is_empty()
    }

    /// Whether a request is the only one the scheduler knows, where that lifts the long-prefill threshold.
    fn is_lone(&self, seen_until: SimTime) -> bool {
        self.config.scheduling.long_prefill_token_threshold > 0
            && self.config.lone_request_is_uncapped()
            && self.running as usize + self.waiting.len() - self.unseen(seen_until) <= 1
    }

    /// Waiting requests that came too late for the schedule.
    #[inline]
    pub(super) fn unseen(&self, seen_until: SimTime) -> usize {
        if self.waiting.is_empty() { 0 } else { self.unseen_of_waiting(seen_until) }
    }

    fn unseen_of_waiting(&self, seen_until: SimTime) -> usize {
        let is_unseen = |slot: &&Slot| self.live(**slot).queued > seen_until;
        if self.config.scheduling.by_priority {
            self.waiting.iter().filter(is_unseen).count()
        } else {
            self.waiting.iter().rev().take_while(is_unseen).count()
        }
    }

    /// Moves what entered by `until` to the waiting queue, as of the boundary `at`.
    #[inline]
    pub(super) fn drain(&mut self, until: SimTime, at: SimTime) {
        if !self.inbox.is_empty() {
            self.drain_inbox(until, at);
        }
    }

    #[inline(never)]
    fn drain_inbox(&mut self, until: SimTime, at: SimTime) {
        while let Some(&slot) = self.inbox.front()
            && self.live(slot).entered <= until
        {
            self.drain_front(slot, at);
        }
    }

    /// The first of the inbox moves to the waiting queue, as of the boundary `at`.
    #[inline]
    pub(super) fn drain_front(&mut self, slot: Slot, at: SimTime) {
        self.inbox.pop_front();
        let live = self.live_mut(slot);
        live.queued = at;
        live.place = Place::Waiting;
        if self.config.scheduling.by_priority {
            self.queue_by_rank(slot);
        } else {
            self.waiting.push_back(slot);
        }
    }

    #[inline(never)]
    fn queue_by_rank(&mut self, slot: Slot) {
        let rank = self.live(slot).rank();
        let place = self.waiting.partition_point(|other| self.live(*other).rank() < rank);
        self.waiting.insert(place, slot);
    }

    /// Blocks left once the decodes have theirs for the next step.
    pub(super) fn free_after_step(&self) -> u32 {
        self.free_blocks - u32::try_from(self.decodes.due()).expect("make_room left enough")
    }

    /// Pass 1, decoding requests: evicts the newest until the rest can have their blocks. False when any was evicted.
    ///
    /// Upstream asks block by block, oldest first, and evicts only when one is missing; the victims are the same, because
    /// it is always the newest that goes.
    fn make_room(&mut self) -> bool {
        let mut undisturbed = true;
        while self.decodes.due() > u64::from(self.free_blocks) {
            if self.config.scheduling.prefix_caching {
                // Whoever is older took all free blocks before the victim's came.
                self.queue.pop(u64::from(self.free_blocks) - self.popped);
                self.popped = u64::from(self.free_blocks);
            }
            self.preempt(self.newest);
            undisturbed = false;
        }
        undisturbed
    }

    /// Pass 1, the request in mid-prefill, if any. False when it had to evict itself.
    fn schedule_half_done(&mut self) -> bool {
        self.newest_prefilling().is_none_or(|slot| self.goes_on_with_prompt(slot))
    }

    #[inline(never)]
    fn goes_on_with_prompt(&mut self, slot: Slot) -> bool {
        let live = self.live(slot);
        let tokens = (live.length() - live.computed).min(self.budget());
        let missing = self.decodes.block.for_tokens(live.computed + tokens) - live.blocks;
        if missing > self.free_after_step() {
            self.preempt(slot);
            return false;
        }
        self.take_chunk(slot, tokens, missing);
        true
    }

    fn newest_prefilling(&self) -> Option<Slot> {
        Some(self.newest).filter(|_| self.running > 0).filter(|slot| self.live(*slot).place == Place::Prefilling)
    }

    /// Tokens that the step may still take.
    fn budget(&self) -> u32 {
        let chunks: u32 = self.chunks.iter().map(|(_, tokens)| tokens).sum();
        self.config.max_num_batched_tokens - chunks - u32::try_from(self.decodes.count).unwrap_or(u32::MAX)
    }

    /// A request's tokens of this step, as far as the long-prefill threshold lets them be.
    pub(super) fn capped(&self, tokens: u32, lone: bool) -> u32 {
        let threshold = self.config.scheduling.long_prefill_token_threshold;
        if threshold == 0 || lone { tokens } else { tokens.min(threshold) }
    }

    /// Puts tokens of a request into the batch; `blocks` of the free ones become its.
    #[inline(always)]
    pub(super) fn take_chunk(&mut self, slot: Slot, tokens: u32, blocks: u32) {
        self.free_blocks -= blocks;
        let live = self.live_mut(slot);
        live.blocks += blocks;
        let upto = live.computed + tokens;
        if self.config.scheduling.prefix_caching {
            self.queue.pop(u64::from(blocks));
            self.enter_blocks(slot, upto);
        }
        self.chunks.push((slot, tokens));
    }

    /// Pass 2: waiting requests, strictly in the order of the queue; `seen_until` hides later arrivals.
    #[inline(never)]
    fn admit_waiting(&mut self, seen_until: SimTime, lone: bool) {
        let mut budget = self.budget();
        let at_admission = self.config.counted_lookups() == CountedLookups::AtAdmission;
        while budget > 0 && self.running < self.most_running {
            let Some((place, slot)) = self.first_seen(seen_until) else { return };
            let admission = self.fits(slot, budget, lone);
            if admission.fits || !at_admission {
                self.count_lookup(slot, admission.hit);
            }
            if !admission.fits {
                return;
            }
            if place == 0 {
                self.waiting.pop_front();
            } else {
                self.remove_from_within(place);
            }
            self.admit(slot, admission, seen_until);
            budget -= admission.tokens;
        }
    }

    #[cold]
    fn remove_from_within(&mut self, place: usize) {
        self.waiting.remove(place);
    }

    /// A request that was taken from the queue gets what it was found to get.
    #[inline]
    fn admit(&mut self, slot: Slot, admission: Admission, seen_until: SimTime) {
        let Admission { tokens, hit, .. } = admission;
        self.link(slot);
        if self.live(slot).ties.is_some() {
            self.hold_hit(slot, hit);
            self.free_blocks -= hit.free;
        }
        let block = self.decodes.block;
        let computed = hit.blocks * self.config.block_size;
        let live = self.live_mut(slot);
        live.place = Place::Prefilling;
        live.computed = computed;
        live.known = computed;
        live.blocks = hit.blocks;
        if !live.was_scheduled() {
            // With the lag it was scheduled when the step before started, into the step after.
            live.scheduled = seen_until;
            live.cached = computed;
        }
        self.take_chunk(slot, tokens, block.for_tokens(computed + tokens) - hit.blocks);
    }

    /// The first of the queue that this schedule knows.
    #[inline]
    fn first_seen(&self, seen_until: SimTime) -> Option<(usize, Slot)> {
        if self.config.scheduling.by_priority {
            return self.first_seen_by_priority(seen_until);
        }
        self.waiting.front().map(|slot| (0, *slot)).filter(|(_, slot)| self.live(*slot).queued <= seen_until)
    }

    #[inline(never)]
    fn first_seen_by_priority(&self, seen_until: SimTime) -> Option<(usize, Slot)> {
        self.waiting.iter().copied().enumerate().find(|(_, slot)| self.live(*slot).queued <= seen_until)
    }

    /// The counters of the cache, for a look-up that was not passed over.
    fn count_lookup(&mut self, slot: Slot, hit: Hit) {
        let config = &self.config;
        let live = self.live(slot);
        let of_victims = config.counted_lookups() == CountedLookups::Every;
        if !config.scheduling.prefix_caching || live.was_scheduled() && !of_victims {
            return;
        }
        let (length, block_size) = (u64::from(live.length()), u64::from(config.block_size));
        let in_blocks = config.counts_lookups_in_blocks();
        self.unpublished_queries += if in_blocks { (length - 1) / block_size } else { length };
        self.unpublished_hits += u64::from(hit.blocks) * if in_blocks { 1 } else { block_size };
    }

    /// What a waiting request would get, and whether there are blocks to admit it.
    #[inline(always)]
    fn fits(&self, slot: Slot, budget: u32, lone: bool) -> Admission {
        let scheduling = &self.config.scheduling;
        let length = self.live(slot).length();
        let hit = self.look_up(slot);
        let cached = hit.blocks * self.config.block_size;
        let wanted = self.capped(length - cached, lone);
        let tokens = wanted.min(budget);
        let reserved = if self.config.reserve_full_prompt { length } else { cached + tokens };
        let watermark = if self.running > 0 { scheduling.watermark_blocks } else { 0 };
        let missing = self.decodes.block.for_tokens(reserved) - hit.blocks + hit.free;
        let whole = scheduling.chunked_prefill || wanted <= budget;
        Admission { tokens, hit, fits: whole && missing.saturating_add(watermark) <= self.free_after_step() }
    }

    /// Recompute preemption: the victim keeps its tokens, loses its blocks, and goes to the front of the queue, or by
    /// priority to its place there.
    pub(super) fn preempt(&mut self, slot: Slot) {
        self.settle_request(slot);
        self.evict(slot, self.live(slot).known);
    }

    /// [`Self::preempt`] of a settled request whose blocks up to token `filled` may be in the cache's table.
    pub(super) fn evict(&mut self, slot: Slot, filled: u32) {
        self.unlink(slot);
        self.free_all(slot, filled, true);
        let last_boundary = self.last_boundary;
        let silent = self.left_before(slot, last_boundary);
        let is_async = self.config.async_scheduling;
        let live = self.live_mut(slot);
        if live.place == Place::Decoding {
            live.last_token = last_boundary;
        }
        live.evictions += 1;
        if is_async && matches!(live.place, Place::Decoding | Place::Ended) && !silent {
            // The token that just came out was on its way then and brought the news.
            let evictions = std::mem::take(&mut live.evictions);
            live.preemptions += evictions;
            self.metrics.preemptions += u64::from(evictions);
        }
        self.evictions += 1;
        let live = self.live_mut(slot);
        live.computed = 0;
        live.known = 0;
        live.place = Place::Waiting;
        if live.ended {
            return;
        }
        if self.config.scheduling.by_priority {
            self.queue_by_rank(slot);
        } else {
            self.waiting.push_front(slot);
        }
    }

    /// Takes a request out of the decodes, if it is there, and writes its numbers down. Its place stays for the caller.
    pub(super) fn settle_request(&mut self, slot: Slot) {
        let live = self.live(slot);
        if live.place != Place::Decoding {
            return;
        }
        let computed = self.decodes.computed(live.origin);
        let known = self.known_of_decode(slot);
        self.decodes.leave(computed);
        let block = self.decodes.block;
        let live = self.live_mut(slot);
        live.computed = computed;
        live.known = known;
        live.out = computed + 1 - live.prompt;
        live.blocks = block.for_tokens(computed);
    }

    /// How long the batch lasts, in steps and in time. The step made up ahead takes `whole_ps`: it may have had more than what
    /// is left.
    fn plan(&mut self, now: SimTime, seen_until: SimTime, whole_ps: Option<u64>) {
        let decodes = self.decodes.count;
        let (mut first_ps, mut extra_ps) = (whole_ps.unwrap_or(0), 0);
        if self.buried || whole_ps.is_none() {
            let batch = self.batch();
            // A step of nobody else has no time of its own.
            if batch.seqs > 0 {
                first_ps = self.time_of(batch);
                extra_ps = whole_ps.map_or(0, |whole| whole.saturating_sub(first_ps));
            }
        }
        self.arrival = NO_ARRIVAL;
        let steps = self.unchanged_steps(seen_until);
        self.run = Run::new(now, first_ps, extra_ps, self.config.step_time.growth_ps(decodes), steps);
        if steps > 1
            && let Some(&slot) = self.inbox.front()
        {
            self.cut_for_arrival(self.live(slot).entered);
        }
    }

    /// How many steps the batch stays as it is, arrivals apart.
    fn unchanged_steps(&mut self, seen_until: SimTime) -> u64 {
        let decodes = self.decodes.count;
        let all_decode = decodes == u64::from(self.running) && decodes > 0;
        if !self.chunks.is_empty() || !all_decode || self.head_may_move(seen_until) || self.contended > 0 {
            return 1;
        }
        let finish = self.next_finish().map_or(LONGEST_RUN, |step| step - self.decodes.steps_done);
        self.decodes.steps_within(u64::from(self.free_blocks), finish.min(LONGEST_RUN))
    }

    /// Whether the head of the queue may be admitted at the next boundary although the batch stays the same until then.
    /// Whoever is blocked by `max_num_seqs` or by blocks stays so: during a run nobody leaves, blocks only get fewer, and
    /// what the head finds in the cache can only shrink, unless somebody writes its text.
    #[inline]
    fn head_may_move(&self, seen_until: SimTime) -> bool {
        self.waiting.front().is_some_and(|slot| self.may_move(*slot, seen_until))
    }

    #[inline(never)]
    fn may_move(&self, slot: Slot, seen_until: SimTime) -> bool {
        if self.running >= self.most_running {
            return false;
        }
        let live = self.live(slot);
        if let Some(ties) = live.ties.as_deref()
            && ties.has_text_of(|id| self.written.contains_key(id))
        {
            return true;
        }
        let counts_now = self.config.counted_lookups() != CountedLookups::AtAdmission;
        if counts_now && self.config.scheduling.prefix_caching {
            return true;
        }
        // Passed over because it came too late for the lag, or because this schedule evicted somebody, or for want of what
        // those had who left since.
        (self.disturbed || self.buried || live.queued > seen_until) && self.fits(slot, self.budget(), false).fits
    }

    /// Ends the run where an arrival that enters at `entered` may be admitted: by priority it may overtake those who wait.
    pub(super) fn cut_for_arrival(&mut self, entered: SimTime) {
        let blocked = !self.waiting.is_empty() && !self.config.scheduling.by_priority;
        if !blocked && self.running < self.most_running {
            let ends = self.run.ends();
            let drained = self.run.first_boundary_from(entered.min(ends));
            if entered < ends {
                self.arrival = (entered, drained.1);
            }
            self.run.cut(drained, u64::from(self.config.async_scheduling));
        }
    }

    /// The step count at which the next decoding request stops.
    fn next_finish(&mut self) -> Option<u64> {
        while let Some(finish) = self.finishes.peek().copied() {
            if self.stops_at(finish.slot(), finish.step()) {
                return Some(finish.step());
            }
            self.finishes.pop();
        }
        None
    }

    /// Whether an entry of the finish heap still holds: its request may have been evicted or have left.
    pub(super) fn stops_at(&self, slot: Slot, step: u64) -> bool {
        let live = &self.slab[slot as usize];
        live.place == Place::Decoding && !live.ended && live.finish_step == step
    }
}

//! One schedule of the engine: which requests get how many tokens, how many steps the batch stays as it is, and what comes
//! out when they have ended.
//!
//! Source: vLLM 0.33 `vllm/v1/core/sched/scheduler.py` (`schedule`, `_preempt_request`, `update_from_output`,
//! `make_stats`), FCFS policy. The meaning is step by step; the cost is per batch change: nothing here loops over the
//! decoding requests. Two facts carry that (vllm.md 1.3): requests decode before and apart from prefills, one token each,
//! because `max_num_seqs` is at most the token budget; and at most one request is half prefilled, the newest admitted,
//! because a prompt that does not fit the budget ends the admission.

use crate::replica::engine::{Engine, EngineEvent, Finished, Phase};
use crate::replica::exposition::Family;
use crate::replica::metrics::Gauges;
use crate::replica::request::{Place, Slot};
use crate::replica::run::Run;
use crate::units::{SimDuration, SimTime};
use std::cmp::Reverse;

/// A run without an end in sight is planned in pieces of this many steps.
const LONGEST_RUN: u64 = 1 << 20;

impl Engine {
    /// The top of the loop: aborts, arrivals, schedule; then the batch starts.
    pub(super) fn start_step(&mut self, now: SimTime) {
        self.drop_leaving(now, now);
        self.drain(now, now);
        // With async scheduling this step was put together when the previous one started, unless nothing ran then.
        let lagging = self.config.async_scheduling && self.running > 0;
        let seen_until = if lagging { self.step_start } else { now };
        self.chunks.clear();
        let undisturbed = self.make_room();
        if self.schedule_half_done() && undisturbed {
            self.admit_waiting(seen_until);
        } else {
            self.disturbed = true;
        }
        if self.running == 0 {
            // Only when aborts emptied the engine: whoever runs or waits first can always be scheduled.
            debug_assert!(self.waiting.is_empty(), "work, but nothing to schedule");
            self.phase = Phase::Idle;
            self.publish(0, self.free_blocks);
            return;
        }
        if lagging {
            // The step that just ended reports a scheduler that has already gone one step further.
            let unseen = self.waiting.iter().rev().take_while(|slot| self.live(**slot).queued > seen_until).count();
            let free = self.free_after_step();
            self.publish(unseen, free);
        }
        self.step_start = now;
        let run = self.plan(now, seen_until);
        self.phase = Phase::Step(run);
        self.disturbed = false;
    }

    /// Moves what entered by `until` to the waiting queue, as of the boundary `at`.
    fn drain(&mut self, until: SimTime, at: SimTime) {
        while let Some(&slot) = self.inbox.front()
            && self.live(slot).entered <= until
        {
            self.inbox.pop_front();
            let live = self.live_mut(slot);
            live.queued = at;
            live.place = Place::Waiting;
            self.waiting.push_back(slot);
        }
    }

    /// Blocks left once the decodes have theirs for the next step.
    fn free_after_step(&self) -> u32 {
        self.free_blocks - u32::try_from(self.decodes.blocks_for(1)).expect("make_room left enough")
    }

    /// Pass 1, decoding requests: evicts the newest until the rest can have their blocks. False when any was evicted.
    ///
    /// Upstream asks block by block, oldest first, and evicts only when one is missing; the victims are the same, because
    /// it is always the newest that goes.
    fn make_room(&mut self) -> bool {
        let mut undisturbed = true;
        while self.decodes.blocks_for(1) > u64::from(self.free_blocks) {
            self.preempt(self.newest);
            undisturbed = false;
        }
        undisturbed
    }

    /// Pass 1, the request in mid-prefill, if any. False when it had to evict itself.
    fn schedule_half_done(&mut self) -> bool {
        let Some(slot) = self.newest_prefilling() else { return true };
        let live = self.live(slot);
        let tokens = (live.length() - live.computed).min(self.budget());
        let missing = (live.computed + tokens).div_ceil(self.config.block_size) - live.blocks;
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

    fn take_chunk(&mut self, slot: Slot, tokens: u32, blocks: u32) {
        self.free_blocks -= blocks;
        self.live_mut(slot).blocks += blocks;
        self.chunks.push((slot, tokens));
    }

    /// Pass 2: waiting requests, strictly first come first served; `seen_until` hides later arrivals.
    fn admit_waiting(&mut self, seen_until: SimTime) {
        let mut budget = self.budget();
        while budget > 0 && self.running < self.most_running() {
            let Some(&slot) = self.waiting.front() else { return };
            if self.live(slot).queued > seen_until || !self.fits(slot, budget) {
                return;
            }
            let length = self.live(slot).length();
            let tokens = length.min(budget);
            self.waiting.pop_front();
            self.link(slot);
            self.take_chunk(slot, tokens, tokens.div_ceil(self.config.block_size));
            budget -= tokens;
            let live = self.live_mut(slot);
            live.place = Place::Prefilling;
            if live.scheduled.is_none() {
                // With the lag it was scheduled when the step before started, into the step after.
                live.scheduled = Some(seen_until);
                self.unpublished_queries += u64::from(live.prompt);
            }
        }
    }

    /// Whether there are blocks to admit a waiting request.
    fn fits(&self, slot: Slot, budget: u32) -> bool {
        let length = self.live(slot).length();
        let reserved = if self.config.reserve_full_prompt { length } else { length.min(budget) };
        reserved.div_ceil(self.config.block_size) <= self.free_after_step()
    }

    /// vLLM refuses to start with a smaller token budget than `max_num_seqs`.
    pub(super) fn most_running(&self) -> u32 {
        self.config.max_num_seqs.min(self.config.max_num_batched_tokens)
    }

    /// Recompute preemption: the victim keeps its tokens, loses its blocks, and goes to the front of the queue.
    fn preempt(&mut self, slot: Slot) {
        self.settle_request(slot);
        self.unlink(slot);
        let last_boundary = self.last_boundary;
        let live = self.live_mut(slot);
        if live.place == Place::Decoding {
            live.last_token = last_boundary;
        }
        let blocks = std::mem::take(&mut live.blocks);
        live.computed = 0;
        live.place = Place::Waiting;
        live.evictions += 1;
        self.free_blocks += blocks;
        self.evictions += 1;
        self.waiting.push_front(slot);
    }

    /// Takes a request out of the decodes, if it is there, and writes its numbers down. Its place stays for the caller.
    pub(super) fn settle_request(&mut self, slot: Slot) {
        let live = self.live(slot);
        if live.place != Place::Decoding {
            return;
        }
        let computed = self.decodes.computed(live.origin);
        self.decodes.leave(live.origin);
        let block_size = self.config.block_size;
        let live = self.live_mut(slot);
        live.computed = computed;
        live.out = computed + 1 - live.prompt;
        live.blocks = computed.div_ceil(block_size);
    }

    /// How long the batch lasts, in steps and in time.
    fn plan(&mut self, now: SimTime, seen_until: SimTime) -> Run {
        let decodes = self.decodes.count;
        let (mut tokens, mut pairs_doubled) = (decodes, 0u64);
        for (slot, count) in &self.chunks {
            let (computed, count) = (u64::from(self.live(*slot).computed), u64::from(*count));
            tokens += count;
            pairs_doubled += count * (2 * computed + count);
        }
        let seqs = decodes + self.chunks.len() as u64;
        let first = self.config.step_time.step(tokens, pairs_doubled, self.decodes.cached, seqs);
        let growth_ps = self.config.step_time.growth_ps(decodes);
        let mut run = Run { start: now, first_ps: first.as_ps(), growth_ps, steps: 1 };
        if !self.chunks.is_empty() || self.head_may_move(seen_until) {
            return run;
        }
        let finish = self.next_finish().map_or(LONGEST_RUN, |step| step - self.decodes.steps_done);
        run.steps = self.decodes.steps_within(u64::from(self.free_blocks), finish.min(LONGEST_RUN));
        if let Some(&slot) = self.inbox.front() {
            self.cut_for_arrival(&mut run, self.live(slot).entered);
        }
        run
    }

    /// Whether the head of the queue may be admitted at the next boundary although the batch stays the same until then.
    /// Whoever is blocked by `max_num_seqs` or by blocks stays so: during a run nobody leaves and blocks only get fewer.
    fn head_may_move(&self, seen_until: SimTime) -> bool {
        let Some(&slot) = self.waiting.front() else { return false };
        if self.running >= self.most_running() {
            return false;
        }
        // Passed over because it came too late for the lag, or because this schedule evicted somebody.
        (self.disturbed || self.live(slot).queued > seen_until) && self.fits(slot, self.budget())
    }

    /// Ends `run` where an arrival that enters at `entered` may be admitted.
    pub(super) fn cut_for_arrival(&self, run: &mut Run, entered: SimTime) {
        if self.waiting.is_empty() && self.running < self.most_running() {
            let lag = u64::from(self.config.async_scheduling);
            let drained = run.first_boundary_from(entered.min(run.ends()));
            run.steps = run.steps.min(drained + lag);
        }
    }

    /// The step count at which the next decoding request stops.
    fn next_finish(&mut self) -> Option<u64> {
        while let Some(&Reverse((step, slot))) = self.finishes.peek() {
            if self.stops_at(slot, step) {
                return Some(step);
            }
            self.finishes.pop();
        }
        None
    }

    /// Whether an entry of the finish heap still holds: its request may have been evicted or have left.
    fn stops_at(&self, slot: Slot, step: u64) -> bool {
        self.slab[slot as usize].as_ref().is_some_and(|live| live.place == Place::Decoding && live.finish_step == step)
    }

    /// The end of a run: tokens go out, finished requests leave, statistics are published.
    pub(super) fn complete_run(&mut self, run: &Run, now: SimTime, events: &mut Vec<EngineEvent>) {
        self.take_steps(run, run.steps - 1, events);
        // Aborts are processed before a step's outputs, so an aborted request gets no token from it.
        self.drop_leaving(now, SimTime::from_ps(now.as_ps() - 1));
        let decodes = self.decodes.count;
        let mut gaps = Vec::new();
        if decodes > 0 {
            gaps.push((run.duration(run.steps - 1), decodes));
        }
        self.advance(1);
        self.last_boundary = now;
        let mut finished = self.pop_finished();
        let (prompt_tokens, mut generated) = self.complete_chunks(now, &mut gaps, &mut finished, events);
        gaps.sort_unstable();
        for (gap, count) in gaps {
            generated += count;
            self.metrics.observe_time(Family::InterToken, gap, count);
            events.push(EngineEvent::TokenGaps { at: now, gap, count });
        }
        if generated > 0 {
            // A step whose chunks complete nothing has no outputs, hence no sample.
            self.metrics.observe(Family::IterationTokens, generated + prompt_tokens, 1);
        }
        self.metrics.generation_tokens += generated;
        self.metrics.prompt_tokens += prompt_tokens;
        finished.sort_unstable_by_key(|slot| self.live(*slot).admission);
        for slot in finished {
            self.finish(slot, now, events);
        }
        self.publish(0, self.free_blocks);
    }

    /// The first `steps` steps of a run, fewer than all: everybody decodes, and nothing else happens than that arrivals
    /// are drained.
    pub(super) fn take_steps(&mut self, run: &Run, steps: u64, events: &mut Vec<EngineEvent>) {
        let count = self.decodes.count;
        self.metrics.observe_run(run, steps, count);
        self.advance(steps);
        if steps > 0 && count > 0 {
            let growth = SimDuration::from_ps(run.growth_ps);
            events.push(EngineEvent::TokenGapRun { start: run.start, first: run.duration(0), growth, steps, count });
        }
        // Whoever entered meanwhile was drained at the first boundary after it.
        let last = run.boundary(steps);
        while let Some(entered) =
            self.inbox.front().map(|slot| self.live(*slot).entered).filter(|entered| *entered <= last)
            && steps > 0
        {
            let boundary = run.boundary(run.first_boundary_from(entered));
            self.drain(boundary, boundary);
        }
        self.step_start = last;
    }

    /// The prefill chunks of a step: whoever is computed to its end emits. Returns the prompt tokens of first tokens and
    /// how many there were.
    fn complete_chunks(
        &mut self,
        now: SimTime,
        gaps: &mut Vec<(SimDuration, u64)>,
        finished: &mut Vec<Slot>,
        events: &mut Vec<EngineEvent>,
    ) -> (u64, u64) {
        let (mut prompt_tokens, mut first_tokens) = (0, 0);
        let mut chunks = std::mem::take(&mut self.chunks);
        for (slot, tokens) in chunks.drain(..) {
            let live = self.live_mut(slot);
            live.computed += tokens;
            if live.computed < live.length() {
                continue;
            }
            live.out += 1;
            let evictions = std::mem::take(&mut live.evictions);
            live.preemptions += evictions;
            if live.out == 1 {
                live.first_token = now;
                let (id, arrived) = (live.id, live.arrived);
                prompt_tokens += u64::from(live.prompt);
                first_tokens += 1;
                self.metrics.observe_time(Family::TimeToFirstToken, now.since(arrived), 1);
                events.push(EngineEvent::FirstToken { id, at: now });
            } else {
                let gap = now.since(live.last_token);
                match gaps.iter_mut().find(|(other, _)| *other == gap) {
                    Some((_, count)) => *count += 1,
                    None => gaps.push((gap, 1)),
                }
            }
            self.metrics.preemptions += u64::from(evictions);
            if !self.start_decoding(slot) {
                finished.push(slot);
            }
        }
        // Keeps the allocation.
        self.chunks = chunks;
        (prompt_tokens, first_tokens)
    }

    /// Decoding requests advance and take the blocks for it.
    fn advance(&mut self, steps: u64) {
        let blocks = self.decodes.blocks_for(steps);
        self.free_blocks -= u32::try_from(blocks).expect("a run is planned within the free blocks");
        // Within a run blocks are only taken, and chunks have theirs already, so the end is the peak.
        self.peak_used_blocks = self.peak_used_blocks.max(self.config.kv_blocks - self.free_blocks);
        self.decodes.advance(steps);
    }

    /// A request whose text is computed joins the decodes, unless the token it just emitted was its last.
    fn start_decoding(&mut self, slot: Slot) -> bool {
        let live = self.live(slot);
        if live.out == live.limit {
            return false;
        }
        let finish_step = self.decodes.steps_done + u64::from(live.limit - live.out);
        let origin = self.decodes.join(live.computed);
        let live = self.live_mut(slot);
        live.place = Place::Decoding;
        live.origin = origin;
        live.finish_step = finish_step;
        self.finishes.push(Reverse((finish_step, slot)));
        true
    }

    /// The decoding requests that stop now, out of the decodes.
    fn pop_finished(&mut self) -> Vec<Slot> {
        let mut finished = Vec::new();
        while let Some(&Reverse((step, slot))) = self.finishes.peek()
            && step <= self.decodes.steps_done
        {
            self.finishes.pop();
            if self.stops_at(slot, step) {
                self.settle_request(slot);
                // A second entry for the same slot and step must not find it decoding.
                self.live_mut(slot).place = Place::Prefilling;
                finished.push(slot);
            }
        }
        finished
    }

    fn finish(&mut self, slot: Slot, now: SimTime, events: &mut Vec<EngineEvent>) {
        let live = self.live(slot);
        let scheduled = live.scheduled.expect("a request that emitted tokens was scheduled");
        let (first, prompt, out, queued) = (live.first_token, live.prompt, live.out, live.queued);
        let decode = now.since(first);
        let done = Finished {
            id: live.id,
            at: now,
            arrived: live.arrived,
            scheduled,
            first_token: first,
            prompt_tokens: prompt,
            generated_tokens: out,
        };
        let (cut_by_length, preemptions, aborted) = (live.cut_by_length, live.preemptions, live.aborted);
        // A client that names no limit gets what the model's length leaves (`get_max_tokens`).
        let max_tokens = u64::from(self.config.max_model_len.saturating_sub(prompt));
        if aborted {
            self.leaving.retain(|(other, _)| *other != slot);
        } else {
            self.metrics.answer(done.arrived, now, false);
        }
        let metrics = &mut self.metrics;
        *(if cut_by_length { &mut metrics.cut_by_length } else { &mut metrics.stopped }) += 1;
        // Whole picoseconds, rounded down; vLLM reports 0 for a single token.
        let per_token = decode.as_ps().checked_div(u64::from(out) - 1).unwrap_or(0);
        metrics.observe_time(Family::RequestTimePerOutputToken, SimDuration::from_ps(per_token), 1);
        metrics.observe_time(Family::EndToEnd, now.since(done.arrived), 1);
        metrics.observe_time(Family::Queue, scheduled.since(queued), 1);
        metrics.observe_time(Family::Prefill, first.since(scheduled), 1);
        metrics.observe_time(Family::Decode, decode, 1);
        metrics.observe_time(Family::Inference, now.since(scheduled), 1);
        metrics.observe(Family::PromptTokens, u64::from(prompt), 1);
        metrics.observe(Family::GenerationTokens, u64::from(out), 1);
        metrics.observe(Family::MaxTokens, max_tokens, 1);
        metrics.observe(Family::Preemptions, u64::from(preemptions), 1);
        events.push(EngineEvent::Finished(done));
        self.unlink(slot);
        self.remove(slot, now);
    }

    /// Drops the requests whose clients left at `until` or before.
    fn drop_leaving(&mut self, now: SimTime, until: SimTime) {
        let mut index = 0;
        while index < self.leaving.len() {
            let (slot, left) = self.leaving[index];
            if left > until {
                index += 1;
                continue;
            }
            self.leaving.remove(index);
            match self.live(slot).place {
                // It was drained at a boundary within the run that just ended, or never.
                Place::Inbox => self.inbox.retain(|other| *other != slot),
                Place::Waiting => self.waiting.retain(|other| *other != slot),
                Place::Prefilling | Place::Decoding => {
                    self.settle_request(slot);
                    self.unlink(slot);
                    self.chunks.retain(|(other, _)| *other != slot);
                }
            }
            self.remove(slot, now);
        }
    }

    /// Publishes the state after a step; `unseen` requests at the end of the queue are not known to the scheduler yet.
    fn publish(&mut self, unseen: usize, free_blocks: u32) {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.published = Gauges {
            running: self.running,
            waiting: count(self.waiting.len() - unseen),
            used_blocks: self.config.kv_blocks - free_blocks,
        };
        self.metrics.prefix_queries += std::mem::take(&mut self.unpublished_queries);
    }
}

//! What comes out when a batch has run: tokens, finished requests, statistics.
//!
//! Source: vLLM 0.33 `vllm/v1/core/sched/scheduler.py` (`update_from_output`, `make_stats`) and
//! `vllm/v1/metrics/stats.py` (`IterationStats`).

use crate::replica::engine::Engine;
use crate::replica::event::{EngineEvent, Finished};
use crate::replica::exposition::Family;
use crate::replica::metrics::Gauges;
use crate::replica::request::{Place, Slot};
use crate::replica::run::Finish;
use crate::units::{SimDuration, SimTime};

impl Engine {
    /// The end of the run: tokens go out, finished requests leave. Whether any did.
    pub(super) fn complete_run(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) -> bool {
        if self.chunks.is_empty() && self.leaving.is_empty() {
            // The last step is as those before it: everybody decodes.
            self.take_all_steps(now, events);
            self.pop_finished(now);
        } else {
            self.take_steps(self.run.steps() - 1, events);
            self.complete_step(now, events);
        }
        let answered = !self.finished.is_empty();
        if answered {
            self.hand_out_last_tokens(now, events);
        }
        answered
    }

    /// The last step of a run, with prefill chunks or with requests whose clients have left.
    #[inline(never)]
    fn complete_step(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        let silent = if self.leaving.is_empty() { 0 } else { self.silent_in_step(now) };
        let decodes = self.decodes.count - silent;
        let gap = self.run.duration(self.run.steps() - 1);
        self.advance(1);
        self.last_boundary = now;
        self.pop_finished(now);
        let (prompt_tokens, cached_tokens, mut generated) = self.complete_chunks(now, events);
        if self.gaps.is_empty() {
            generated += self.tell_gap(now, (gap, decodes), events);
        } else {
            generated += self.tell_different_gaps(now, (gap, decodes), events);
        }
        if generated > 0 {
            // A step whose chunks complete nothing has no outputs, hence no sample.
            let left_out = if self.config.iteration_leaves_cached_out() { cached_tokens } else { 0 };
            self.metrics.observe(Family::IterationTokens, generated + prompt_tokens - left_out, 1);
        }
        self.metrics.generation_tokens += generated;
        self.metrics.prompt_tokens += prompt_tokens;
        self.metrics.cached_tokens += cached_tokens;
    }

    /// Aborts are processed before a step's outputs, so an aborted request gets no token from it: how many of the decodes.
    #[cold]
    fn silent_in_step(&mut self, now: SimTime) -> u64 {
        if self.config.async_scheduling {
            return self.silent_decodes(now);
        }
        self.drop_leaving(now, SimTime::from_ps(now.as_ps() - 1), true);
        0
    }

    /// The tokens of one step that come the same time after their previous ones, if there are any.
    #[inline]
    fn tell_gap(&mut self, now: SimTime, (gap, count): (SimDuration, u64), events: &mut Vec<EngineEvent>) -> u64 {
        if count > 0 {
            self.metrics.observe_time(Family::InterToken, gap, count);
            events.push(EngineEvent::TokenGaps { at: now, gap, count });
        }
        count
    }

    /// The tokens of a step in which requests come back from an eviction, beside those of the decodes.
    #[cold]
    fn tell_different_gaps(&mut self, now: SimTime, decodes: (SimDuration, u64), events: &mut Vec<EngineEvent>) -> u64 {
        let mut gaps = std::mem::take(&mut self.gaps);
        gaps.push(decodes);
        gaps.sort_unstable();
        gaps.dedup_by(|next, own| {
            let same = next.0 == own.0;
            own.1 += if same { next.1 } else { 0 };
            same
        });
        let generated = gaps.drain(..).map(|gap| self.tell_gap(now, gap, events)).sum();
        // Keeps the allocation.
        self.gaps = gaps;
        generated
    }

    /// The last tokens of those who end now go out, and they leave.
    #[inline(never)]
    fn hand_out_last_tokens(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        if self.finished.len() > 1 {
            self.sort_finished();
        }
        for index in 0..self.finished.len() {
            self.finish(self.finished[index], now, events);
        }
        if self.config.async_scheduling {
            debug_assert!(self.ended.is_empty(), "they were buried when this step was scheduled");
            std::mem::swap(&mut self.ended, &mut self.finished);
        } else {
            self.release_finished();
        }
    }

    #[inline(never)]
    fn sort_finished(&mut self) {
        let mut finished = std::mem::take(&mut self.finished);
        finished.sort_unstable_by_key(|slot| self.live(*slot).admission);
        self.finished = finished;
    }

    #[inline(never)]
    fn release_finished(&mut self) {
        for index in 0..self.finished.len() {
            let slot = self.finished[index];
            self.observe_finished(slot);
            self.release(slot, true);
            self.vacate(slot);
        }
        self.finished.clear();
    }

    /// All steps of a run of decodes, the last one included, in which they do the same; it ends `now`.
    fn take_all_steps(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        let steps = self.run.steps();
        self.take_decode_steps(steps, events);
        self.step_start = self.run.start;
        if steps > 1 {
            self.step_start = SimTime::from_ps(now.as_ps() - self.run.duration(steps - 1).as_ps());
            self.drain_within_run();
        }
        self.last_boundary = now;
    }

    /// The first `steps` steps of a run, fewer than all: everybody decodes, and nothing else happens than that arrivals
    /// are drained.
    #[inline]
    pub(super) fn take_steps(&mut self, steps: u64, events: &mut Vec<EngineEvent>) {
        self.step_start = self.run.start;
        if steps > 0 {
            self.take_first_steps(steps, events);
        }
    }

    #[inline(never)]
    fn take_first_steps(&mut self, steps: u64, events: &mut Vec<EngineEvent>) {
        self.take_decode_steps(steps, events);
        self.step_start = self.run.boundary(steps);
        self.drain_within_run();
    }

    #[inline(always)]
    fn take_decode_steps(&mut self, steps: u64, events: &mut Vec<EngineEvent>) {
        let count = self.decodes.count;
        self.advance(steps);
        if count > 0 {
            self.metrics.observe_run(&self.run, steps, count);
            self.tell_gaps(steps, events);
        }
    }

    /// Whoever entered during the run until its last step started was drained at the first boundary after it.
    #[inline]
    fn drain_within_run(&mut self) {
        if !self.inbox.is_empty() {
            self.drain_inbox_within_run();
        }
    }

    #[inline(never)]
    fn drain_inbox_within_run(&mut self) {
        let mut boundary = self.run.start;
        while let Some(&slot) = self.inbox.front() {
            let entered = self.live(slot).entered;
            if entered > self.step_start {
                return;
            }
            // Others may be drained at the same boundary.
            if entered > boundary {
                let (foreseen, drained) = self.arrival;
                boundary = if foreseen == entered { drained } else { self.run.first_boundary_from(entered).1 };
            }
            self.drain_front(slot, boundary);
        }
    }

    /// The gaps of the first `steps` steps, at least one, in which all decoding requests emit.
    #[inline]
    fn tell_gaps(&self, steps: u64, events: &mut Vec<EngineEvent>) {
        let (run, count) = (&self.run, self.decodes.count);
        let (mut start, mut first, growth) = (run.start, run.duration(0), SimDuration::from_ps(run.growth_ps));
        let mut regular = steps;
        if run.extra_ps > 0 {
            start = start.saturating_add(first);
            events.push(EngineEvent::TokenGaps { at: start, gap: first, count });
            (first, regular) = (run.duration(1), steps - 1);
        }
        if regular > 0 {
            events.push(EngineEvent::TokenGapRun { start, first, growth, steps: regular, count });
        }
    }

    /// The prefill chunks of a step: whoever is computed to its end emits. Returns the prompt tokens of first tokens, how
    /// many of those were cached, and how many first tokens there were.
    fn complete_chunks(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) -> (u64, u64, u64) {
        let (mut prompt_tokens, mut cached_tokens, mut first_tokens) = (0, 0, 0);
        let steps_done = self.decodes.steps_done;
        for index in 0..self.chunks.len() {
            let (slot, tokens) = self.chunks[index];
            let live = &mut self.slab[slot as usize];
            live.computed += tokens;
            live.known = live.computed;
            if live.computed < live.length() {
                continue;
            }
            if live.aborted && self.left_before(slot, now) {
                self.go_on_without_client(slot);
                continue;
            }
            let live = &mut self.slab[slot as usize];
            live.out += 1;
            let evictions = std::mem::take(&mut live.evictions);
            live.preemptions += evictions;
            if live.out == 1 {
                live.first_token = now;
                prompt_tokens += u64::from(live.prompt);
                cached_tokens += u64::from(live.cached);
                first_tokens += 1;
                self.metrics.observe_time(Family::TimeToFirstToken, now.since(live.arrived), 1);
                events.push(EngineEvent::FirstToken { id: live.id, at: now });
            } else {
                let gap = now.since(live.last_token);
                self.gaps.push((gap, 1));
            }
            self.metrics.preemptions += u64::from(evictions);
            if live.out == live.limit {
                self.end_prefill(slot, true);
                self.finished.push(slot);
                continue;
            }
            live.place = Place::Decoding;
            live.origin = self.decodes.join(live.computed);
            live.finish_step = steps_done + u64::from(live.limit - live.out);
            self.finishes.push(Finish::new(live.finish_step, slot));
        }
        self.chunks.clear();
        (prompt_tokens, cached_tokens, first_tokens)
    }

    /// Decoding requests advance, by one step or more, and take the blocks for it.
    #[inline(never)]
    fn advance(&mut self, steps: u64) {
        let blocks = self.decodes.advance(steps);
        self.free_blocks -= u32::try_from(blocks).expect("a run is planned within the free blocks");
        if self.config.scheduling.prefix_caching {
            self.queue.pop(blocks - std::mem::take(&mut self.popped));
        }
        // Within a run blocks are only taken, and chunks have theirs already, so the end has the fewest.
        self.fewest_free = self.fewest_free.min(self.free_blocks);
    }

    /// Only with async scheduling is it still here: the schedule that was made before goes on with it.
    #[cold]
    fn go_on_without_client(&mut self, slot: Slot) {
        let live = self.live(slot);
        self.end_prefill(slot, live.out + 1 == live.limit);
    }

    /// A request whose text is computed joins the decodes, unless its last token has come out. With async scheduling it does
    /// even then, if the scheduler cannot know.
    fn end_prefill(&mut self, slot: Slot, stops: bool) {
        let live = self.live(slot);
        if stops && (live.foreseen || !self.config.async_scheduling) {
            self.live_mut(slot).place = Place::Ended;
            return;
        }
        let origin = self.decodes.join(live.computed);
        let live = self.live_mut(slot);
        live.place = Place::Decoding;
        live.origin = origin;
    }

    /// Whether the last token of a request may have come out.
    fn is_finish_due(&self) -> bool {
        self.finishes.peek().is_some_and(|finish| finish.step() <= self.decodes.steps_done)
    }

    /// The decoding requests whose last token comes out now. Who was foreseen to stop is out of the decodes.
    #[inline]
    fn pop_finished(&mut self, now: SimTime) {
        while self.is_finish_due() {
            self.pop_due(now);
        }
    }

    #[inline(never)]
    fn pop_due(&mut self, now: SimTime) {
        let Some(finish) = self.finishes.pop() else { return };
        let (step, slot) = (finish.step(), finish.slot());
        // An entry may be a second one for the same slot and step.
        let is_second = !self.finished.is_empty() && self.finished.contains(&slot);
        if is_second || !self.stops_at(slot, step) {
            return;
        }
        let silent = self.left_before(slot, now);
        let live = &mut self.slab[slot as usize];
        if live.foreseen || !self.config.async_scheduling {
            self.settle_request(slot);
            self.live_mut(slot).place = Place::Ended;
        } else if !silent {
            live.out = self.decodes.computed(live.origin) + 1 - live.prompt;
        }
        if !silent {
            self.finished.push(slot);
        }
    }

    /// The last token of a request is out.
    fn finish(&mut self, slot: Slot, now: SimTime, events: &mut Vec<EngineEvent>) {
        let live = self.live_mut(slot);
        live.ended = true;
        live.last_token = now;
        let done = Finished {
            id: live.id,
            at: now,
            arrived: live.arrived,
            scheduled: live.scheduled,
            first_token: live.first_token,
            prompt_tokens: live.prompt,
            generated_tokens: live.out,
        };
        if live.aborted {
            self.leaving.retain(|(other, _)| *other != slot);
        } else {
            self.metrics.answer(done.arrived, now, false);
        }
        events.push(EngineEvent::Finished(done));
        self.leave(now);
    }

    /// The statistics of a request whose last token is out.
    #[inline]
    pub(super) fn observe_finished(&mut self, slot: Slot) {
        let live = &self.slab[slot as usize];
        let metrics = &mut self.metrics;
        *(if live.cut_by_length { &mut metrics.cut_by_length } else { &mut metrics.stopped }) += 1;
        if metrics.counts_finished {
            self.observe_times_of_finished(slot);
        }
    }

    #[inline(never)]
    fn observe_times_of_finished(&mut self, slot: Slot) {
        let live = &self.slab[slot as usize];
        let metrics = &mut self.metrics;
        let decode = live.last_token.since(live.first_token);
        // Whole picoseconds, rounded down; vLLM reports 0 for a single token.
        let per_token = decode.as_ps().checked_div(u64::from(live.out) - 1).unwrap_or(0);
        metrics.observe_time(Family::RequestTimePerOutputToken, SimDuration::from_ps(per_token), 1);
        metrics.observe_time(Family::EndToEnd, live.last_token.since(live.arrived), 1);
        metrics.observe_time(Family::Queue, live.scheduled.since(live.queued), 1);
        metrics.observe_time(Family::Prefill, live.first_token.since(live.scheduled), 1);
        metrics.observe_time(Family::Decode, decode, 1);
        metrics.observe_time(Family::Inference, live.last_token.since(live.scheduled), 1);
        metrics.observe(Family::PromptTokens, u64::from(live.prompt), 1);
        metrics.observe(Family::GenerationTokens, u64::from(live.out), 1);
        metrics.observe(Family::MaxTokens, u64::from(live.max_tokens), 1);
        metrics.observe(Family::Preemptions, u64::from(live.preemptions), 1);
        metrics.observe(Family::KvComputed, u64::from(live.prompt - live.cached), 1);
    }

    /// Drops the requests whose clients left at `until` or before, while a step runs (`in_step`) or between two.
    #[inline]
    pub(super) fn drop_leaving(&mut self, now: SimTime, until: SimTime, in_step: bool) {
        if !self.leaving.is_empty() {
            self.drop_those_who_left(now, until, in_step);
        }
    }

    #[cold]
    fn drop_those_who_left(&mut self, now: SimTime, until: SimTime, in_step: bool) {
        let mut index = 0;
        while index < self.leaving.len() {
            let (slot, left) = self.leaving[index];
            if left > until {
                index += 1;
                continue;
            }
            match self.live(slot).place {
                // It was drained at a boundary within the run that just ended, or never.
                Place::Inbox => self.inbox.retain(|other| *other != slot),
                Place::Waiting => self.waiting.retain(|other| *other != slot),
                Place::Vacant => unreachable!("who leaves is inside"),
                Place::Prefilling | Place::Decoding | Place::Stalled | Place::Ended => {
                    if in_step {
                        self.pop_for_decodes();
                    } else {
                        // It is in no batch.
                        self.settle_request(slot);
                        self.live_mut(slot).place = Place::Ended;
                    }
                    self.release(slot, left == now);
                }
            }
            self.leaving.remove(index);
            self.remove(slot, now);
        }
    }

    /// Publishes the state after a step; `unseen` requests at the end of the queue are not known to the scheduler yet.
    pub(super) fn publish(&mut self, unseen: usize, free_blocks: u32) {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.published = Gauges {
            running: self.running,
            waiting: count(self.waiting.len() - unseen),
            used_blocks: self.config.kv_blocks - free_blocks,
        };
        // Few schedules look anything up.
        if self.unpublished_queries > 0 {
            self.metrics.prefix_queries += std::mem::take(&mut self.unpublished_queries);
            self.metrics.prefix_hits += std::mem::take(&mut self.unpublished_hits);
        }
    }
}

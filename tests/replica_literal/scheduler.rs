//! One engine step: which requests get how many tokens, and what they emit when it ends.

use super::metrics::{Family, Gauges};
use super::request::Slot;
use super::{LiteralEngine, Phase};
use kedasim::replica::{EngineEvent, Finished};
use kedasim::units::{SimDuration, SimTime};

/// What one request does in one step, as it was scheduled.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub slot: Slot,
    /// Whose place it was: it may have gone since.
    pub sequence: u64,
    pub tokens: u32,
    /// Tokens computed before.
    pub computed: u32,
    /// Charged as a decode.
    pub decodes: bool,
    /// Whether its text is computed to the end, so that it emits.
    pub emits: bool,
}

impl LiteralEngine {
    /// The top of the loop: aborts, arrivals, schedule; then the batch starts. With async scheduling the batch was scheduled
    /// one step ago, and the one scheduled now starts when it ends.
    pub(super) fn start_step(&mut self, now: SimTime) {
        let was_idle = self.phase == Phase::Idle;
        self.drop_leaving(now, now);
        while let Some(&slot) = self.inbox.front()
            && self.live(slot).entered <= now
        {
            self.inbox.pop_front();
            self.live_mut(slot).queued = now;
            self.waiting.push_back(slot);
        }
        self.batch = std::mem::take(&mut self.next);
        if self.batch.is_empty() {
            loop {
                self.batch = self.schedule(now);
                if !self.batch.is_empty() {
                    break;
                }
                // An empty step, or nothing left to do.
                self.publish();
                if self.running.is_empty() && self.waiting.is_empty() {
                    self.evictions_told = self.evictions;
                    self.phase = Phase::Idle;
                    return;
                }
            }
            if self.config.async_scheduling && !was_idle {
                // The empty batch before it reports at once.
                self.publish();
            }
        }
        self.phase = Phase::Step { ends: now.saturating_add(self.batch_duration()) };
        self.evictions_told = self.evictions;
        if self.config.async_scheduling {
            self.next = self.schedule(now);
        }
    }

    /// Both passes.
    fn schedule(&mut self, now: SimTime) -> Vec<Entry> {
        let mut batch = Vec::new();
        let mut budget = self.config.max_num_batched_tokens;
        let lone = self.running.len() + self.waiting.len() <= 1 && self.config.vllm_version >= (0, 31);
        if self.schedule_running(&mut batch, &mut budget, lone) {
            self.admit_waiting(&mut batch, &mut budget, now, lone);
        }
        for entry in &mut batch {
            let live = self.live_mut(entry.slot);
            live.computed += entry.tokens;
            entry.emits = live.computed == live.length() + live.placeholders;
            if entry.emits {
                live.placeholders += 1;
                live.decoding = true;
            }
        }
        batch
    }

    fn entry(&self, slot: Slot, tokens: u32) -> Entry {
        let live = self.live(slot);
        let (sequence, computed, decodes) = (live.sequence, live.computed, live.decoding);
        Entry { slot, sequence, tokens, computed, decodes, emits: false }
    }

    /// Place in the order of priority: smaller first, then who came first.
    fn rank(&self, slot: Slot) -> (i32, u64) {
        (self.live(slot).attributes.priority, self.live(slot).sequence)
    }

    fn capped(&self, tokens: u32, lone: bool) -> u32 {
        match self.config.scheduling.long_prefill_token_threshold {
            0 => tokens,
            _ if lone => tokens,
            threshold => tokens.min(threshold),
        }
    }

    /// Pass 1: running requests in order of admission. False when something was preempted, which closes admission.
    fn schedule_running(&mut self, batch: &mut Vec<Entry>, budget: &mut u32, lone: bool) -> bool {
        let mut undisturbed = true;
        let mut index = 0;
        'requests: while index < self.running.len() && *budget > 0 {
            let slot = self.running[index];
            let live = self.live(slot);
            if live.will_be_cut() {
                index += 1;
                continue;
            }
            let tokens = self.capped(live.length() + live.placeholders - live.computed, lone).min(*budget);
            while !self.allocate(slot, tokens) {
                undisturbed = false;
                let victim = if self.config.scheduling.by_priority {
                    let worst = self.running.iter().copied().max_by_key(|slot| self.rank(*slot));
                    worst.expect("the request that asks for blocks is running")
                } else {
                    *self.running.last().expect("the request that asks for blocks is running")
                };
                let victim_index = self.running.iter().position(|other| *other == victim).expect("it runs");
                self.running.remove(victim_index);
                let was_scheduled = batch.iter().position(|entry| entry.slot == victim);
                if let Some(place) = was_scheduled {
                    *budget += batch.remove(place).tokens;
                }
                let moves =
                    if self.config.vllm_version >= (0, 28) { victim_index < index } else { was_scheduled.is_some() };
                index -= usize::from(moves);
                self.preempt(victim);
                if victim == slot {
                    if self.config.scheduling.by_priority && self.config.vllm_version >= (0, 33) {
                        continue 'requests;
                    }
                    return false;
                }
            }
            batch.push(self.entry(slot, tokens));
            *budget -= tokens;
            index += 1;
        }
        undisturbed
    }

    /// Pass 2: waiting requests, strictly first come first served or by rank.
    fn admit_waiting(&mut self, batch: &mut Vec<Entry>, budget: &mut u32, now: SimTime, lone: bool) {
        // vLLM refuses to start with a smaller token budget than `max_num_seqs`.
        let limit = self.config.max_num_seqs.min(self.config.max_num_batched_tokens) as usize;
        let block_size = self.config.block_size;
        while *budget > 0 && self.running.len() < limit {
            let slot = if self.config.scheduling.by_priority {
                self.waiting.iter().copied().min_by_key(|slot| self.rank(*slot))
            } else {
                self.waiting.front().copied()
            };
            let Some(slot) = slot else { return };
            let hit = self.look_up(slot);
            let found = hit.len() as u32 * block_size;
            let version = self.config.vllm_version;
            let is_victim = self.live(slot).scheduled.is_some();
            if version < (0, 12) || version < (0, 27) && !is_victim {
                self.count_lookup(slot, found);
            }
            let live = self.live(slot);
            let wanted = self.capped(live.length() - found, lone);
            if wanted > *budget && !self.config.scheduling.chunked_prefill {
                return;
            }
            let tokens = wanted.min(*budget);
            let last = if self.config.reserve_full_prompt { live.length() } else { found + tokens };
            let watermark = if self.running.is_empty() { 0 } else { self.config.scheduling.watermark_blocks };
            let from_queue = hit.iter().filter(|block| self.cache.is_free(**block)).count() as u32;
            let needed = last.div_ceil(block_size) - hit.len() as u32 + from_queue;
            if needed + watermark > self.cache.free() {
                return;
            }
            if version >= (0, 27) && !is_victim {
                self.count_lookup(slot, found);
            }
            hit.iter().for_each(|block| self.cache.touch(*block));
            let live = self.live_mut(slot);
            live.computed = found;
            live.findable = hit.len();
            live.blocks = hit;
            if live.scheduled.is_none() {
                live.scheduled = Some(now);
                live.cached = found;
            }
            let allocated = self.allocate(slot, tokens);
            debug_assert!(allocated, "the blocks were counted before");
            self.waiting.retain(|other| *other != slot);
            self.running.push(slot);
            batch.push(self.entry(slot, tokens));
            *budget -= tokens;
        }
    }

    /// The cached blocks that a waiting request starts with; at least one token is left to compute.
    fn look_up(&self, slot: Slot) -> Vec<usize> {
        let live = self.live(slot);
        let most = (live.length() - 1) / self.config.block_size;
        (0..most as usize).map_while(|number| self.cache.find(live.content(number, self.config.block_size))).collect()
    }

    fn count_lookup(&mut self, slot: Slot, found: u32) {
        if !self.config.scheduling.prefix_caching {
            return;
        }
        let length = self.live(slot).length();
        let (mut queries, mut hits) = (length, found);
        if self.config.vllm_version < (0, 9) {
            // Hashes of full blocks; the last one is left out when it would leave nothing to compute.
            let hashes = length / self.config.block_size;
            queries = if hashes * self.config.block_size == length { hashes - 1 } else { hashes };
            hits = found / self.config.block_size;
        }
        self.unpublished_queries += u64::from(queries);
        self.unpublished_hits += u64::from(hits);
    }

    /// Blocks for the next `tokens` of a request; false (and nothing taken) when there are not enough. Those that get full
    /// can be found at once, if their tokens are known.
    fn allocate(&mut self, slot: Slot, tokens: u32) -> bool {
        let block_size = self.config.block_size;
        let live = self.live(slot);
        let upto = live.computed + tokens;
        let missing = upto.div_ceil(block_size) as usize - live.blocks.len();
        if missing > self.cache.free() as usize {
            return false;
        }
        for _ in 0..missing {
            let block = self.cache.take();
            self.live_mut(slot).blocks.push(block);
        }
        self.fill(slot, upto.min(self.live(slot).length()));
        true
    }

    /// The full blocks up to this token can be found from now on.
    fn fill(&mut self, slot: Slot, upto: u32) {
        let block_size = self.config.block_size;
        while self.config.scheduling.prefix_caching && self.live(slot).findable < (upto / block_size) as usize {
            let live = self.live(slot);
            let (block, content) = (live.blocks[live.findable], live.content(live.findable, block_size));
            self.cache.fill(block, content);
            self.live_mut(slot).findable += 1;
        }
    }

    /// Recompute preemption: the victim keeps its tokens, loses its blocks, and goes to the front of the queue.
    fn preempt(&mut self, slot: Slot) {
        let live = self.live_mut(slot);
        let blocks = std::mem::take(&mut live.blocks);
        live.findable = 0;
        live.computed = 0;
        live.decoding = false;
        live.evictions += 1;
        self.cache.give_back(blocks);
        self.evictions += 1;
        self.waiting.push_front(slot);
    }

    /// How long the batch takes, whoever has gone since it was scheduled included.
    fn batch_duration(&self) -> SimDuration {
        let (mut tokens, mut pairs_doubled, mut cached) = (0u64, 0u64, 0u64);
        for entry in &self.batch {
            let (count, computed) = (u64::from(entry.tokens), u64::from(entry.computed));
            tokens += count;
            if entry.decodes {
                cached += computed;
            } else {
                pairs_doubled += count * (2 * computed + count);
            }
        }
        self.config.step_time.step(tokens, pairs_doubled, cached, self.batch.len() as u64)
    }

    /// The end of a step: tokens go out, finished requests leave, statistics are published.
    pub(super) fn complete_step(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        // Aborts are processed before the step's outputs, so an aborted request gets no token from it.
        self.drop_leaving(now, SimTime::from_ps(now.as_ps() - 1));
        let batch = std::mem::take(&mut self.batch);
        let (mut generated, mut prompt_tokens, mut cached_tokens) = (0u64, 0u64, 0u64);
        let mut gaps: Vec<(SimDuration, u64)> = Vec::new();
        let mut finished = Vec::new();
        for entry in &batch {
            let slot = &entry.slot;
            let live = self.slab[*slot as usize].as_mut().filter(|live| live.sequence == entry.sequence);
            // Otherwise it has gone.
            let Some(live) = live.filter(|_| entry.emits) else { continue };
            live.placeholders -= 1;
            generated += 1;
            live.preemptions += live.evictions;
            self.metrics.preemptions += u64::from(std::mem::take(&mut live.evictions));
            live.out += 1;
            if live.out == 1 {
                prompt_tokens += u64::from(live.prompt);
                cached_tokens += u64::from(live.cached);
                live.first_token = now;
                self.metrics.observe_time(Family::TimeToFirstToken, now.since(live.arrived), 1);
                events.push(EngineEvent::FirstToken { id: live.id, at: now });
            } else {
                let gap = now.since(live.last_token);
                match gaps.iter_mut().find(|(other, _)| *other == gap) {
                    Some((_, count)) => *count += 1,
                    None => gaps.push((gap, 1)),
                }
            }
            live.last_token = now;
            if live.out == live.wanted.min(live.most) {
                finished.push(*slot);
            }
            // What a victim had computed is gone.
            if live.computed > 0 {
                let upto = live.computed - live.placeholders;
                self.fill(*slot, upto);
            }
        }
        gaps.sort_unstable();
        for (gap, count) in gaps {
            self.metrics.observe_time(Family::InterToken, gap, count);
            events.push(EngineEvent::TokenGaps { at: now, gap, count });
        }
        if generated > 0 {
            // A step whose chunks complete nothing has no outputs, hence no sample.
            let prompts =
                if self.config.vllm_version >= (0, 23) { prompt_tokens - cached_tokens } else { prompt_tokens };
            self.metrics.observe(Family::IterationTokens, generated + prompts, 1);
        }
        self.metrics.generation_tokens += generated;
        self.metrics.prompt_tokens += prompt_tokens;
        self.metrics.cached_tokens += cached_tokens;
        if !finished.is_empty() {
            self.finish(&finished, now, events);
        }
        self.publish();
    }

    fn finish(&mut self, slots: &[Slot], now: SimTime, events: &mut Vec<EngineEvent>) {
        for slot in slots {
            let live = self.live(*slot);
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
            let length_first = self.config.vllm_version < (0, 12);
            let cut_by_length = live.most < live.wanted || live.most == live.wanted && length_first;
            let preemptions = live.preemptions;
            let cached = live.cached;
            let room = self.config.max_model_len.saturating_sub(prompt);
            let max_tokens = u64::from(live.attributes.max_tokens.map_or(room, |own| own.clamp(1, room)));
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
            metrics.observe(Family::MaxGenerationTokens, u64::from(out), 1);
            metrics.observe(Family::KvComputed, u64::from(prompt - cached), 1);
            metrics.observe(Family::Completions, 1, 1);
            metrics.observe(Family::MaxTokens, max_tokens, 1);
            metrics.observe(Family::Preemptions, u64::from(preemptions), 1);
            events.push(EngineEvent::Finished(done));
        }
        self.running.retain(|slot| !slots.contains(slot));
        // Some may have been evicted while their last token was on its way.
        self.waiting.retain(|slot| !slots.contains(slot));
        self.leaving.retain(|(slot, _)| !slots.contains(slot));
        for slot in slots {
            self.remove(*slot, now);
        }
    }

    /// Drops the requests whose clients left at `until` or before.
    fn drop_leaving(&mut self, now: SimTime, until: SimTime) {
        let (gone, later) = std::mem::take(&mut self.leaving).into_iter().partition(|(_, left)| *left <= until);
        self.leaving = later;
        let gone: Vec<(Slot, SimTime)> = gone;
        for (slot, _) in gone {
            self.running.retain(|other| *other != slot);
            self.waiting.retain(|other| *other != slot);
            self.remove(slot, now);
        }
    }

    /// Publishes the state after a step.
    fn publish(&mut self) {
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        self.published = Gauges {
            running: count(self.running.len()),
            waiting: count(self.waiting.len()),
            used_blocks: self.config.kv_blocks - self.cache.free(),
        };
        self.metrics.prefix_queries += std::mem::take(&mut self.unpublished_queries);
        self.metrics.prefix_hits += std::mem::take(&mut self.unpublished_hits);
    }
}

//! What must hold of an engine between any two calls. Reads only.

use crate::replica::engine::Engine;
use crate::replica::request::{NO_SLOT, Place, Slot};

impl Engine {
    /// Checks the engine's invariants: KV blocks conserved, each request in one place, running <= max_num_seqs.
    ///
    /// # Errors
    /// What is broken, with its numbers.
    pub fn check(&self) -> Result<(), String> {
        self.check_requests()?;
        self.check_queues()
    }

    /// Each request by itself, and the sums over them: blocks, decoding requests, cached tokens.
    fn check_requests(&self) -> Result<(), String> {
        let block_size = self.config.block_size;
        let (mut held, mut decoding, mut cached) = (0u64, 0u64, 0u64);
        for live in self.inside() {
            let (computed, out, blocks) = if live.place == Place::Decoding {
                let computed = self.decodes.computed(live.origin);
                decoding += 1;
                cached += u64::from(computed);
                (computed, computed + 1 - live.prompt, computed.div_ceil(block_size))
            } else {
                (live.computed, live.out, live.blocks)
            };
            held += u64::from(blocks);
            ensure(u64::from(blocks) * u64::from(block_size) >= u64::from(computed), || {
                format!("request {} computed {computed} tokens in {blocks} blocks", live.id.0)
            })?;
            let may_have_all = live.ended || live.aborted;
            ensure(computed <= live.prompt + out && out <= live.limit && (out < live.limit || may_have_all), || {
                format!("request {} has {out} of {} tokens, {computed} computed", live.id.0, live.limit)
            })?;
            ensure(live.place != Place::Stalled || computed + 1 == live.length(), || {
                format!("request {} has {computed} tokens computed and emitted {out}", live.id.0)
            })?;
            let waits = matches!(live.place, Place::Inbox | Place::Waiting);
            ensure(!waits || blocks == 0, || format!("request {} waits with {blocks} KV blocks", live.id.0))?;
        }
        let (free, all) = (u64::from(self.free_blocks), u64::from(self.config.kv_blocks));
        // Blocks that several requests hold are counted once.
        let held = held - self.queue.shared();
        ensure(free + held == all, || format!("{free} free and {held} held KV blocks, expected {all} together"))?;
        let queued = self.queue.len() + self.popped;
        ensure(!self.config.scheduling.prefix_caching || queued == free, || {
            format!("{queued} KV blocks in the queue or on their way out, {free} are free")
        })?;
        let counted = (self.decodes.count, self.decodes.cached);
        ensure(counted == (decoding, cached), || format!("{decoding} decode {cached} tokens, counted {counted:?}"))?;
        let chunks: u64 = self.chunks.iter().map(|(_, tokens)| u64::from(*tokens)).sum();
        let (scheduled, budget) = (chunks + decoding, u64::from(self.config.max_num_batched_tokens));
        ensure(scheduled <= budget, || format!("{scheduled} tokens scheduled, expected at most {budget}"))
    }

    /// Every request is in one queue, the queues are in order.
    fn check_queues(&self) -> Result<(), String> {
        let inside = self.inside().count();
        let ended = self.inside().filter(|live| live.ended).count();
        ensure(ended == self.ended.len(), || format!("{ended} requests ended, {} listed", self.ended.len()))?;
        ensure(inside - ended == self.in_flight(), || format!("{inside} requests, {} ids", self.in_flight()))?;
        let queued = self.inbox.len() + self.waiting.len();
        let running = self.running;
        ensure(inside == queued + running as usize, || format!("{inside} inside, {queued} queued, {running} running"))?;
        for (place, queue) in [(Place::Inbox, &self.inbox), (Place::Waiting, &self.waiting)] {
            // Strictly rising, so nobody is there twice.
            let by_rank = place == Place::Waiting;
            let rank = |slot: &Slot| if by_rank { self.live(*slot).rank() } else { (0, self.live(*slot).sequence) };
            let ranks: Vec<(i32, u64)> = queue.iter().map(rank).collect();
            ensure(ranks.is_sorted_by(|a, b| a < b), || format!("{place:?} is out of order: {ranks:?}"))?;
            ensure(queue.iter().all(|slot| self.live(*slot).place == place), || format!("not all are in {place:?}"))?;
        }
        let (mut slot, mut listed, mut younger) = (self.newest, 0, u64::MAX);
        while slot != NO_SLOT {
            let live = self.live(slot);
            listed += 1;
            let admitted = matches!(live.place, Place::Prefilling | Place::Decoding | Place::Stalled | Place::Ended);
            ensure(admitted && live.admission < younger, || format!("request {} is out of order", live.id.0))?;
            younger = live.admission;
            slot = live.older;
        }
        ensure(listed == running, || format!("{listed} requests listed, {running} running"))?;
        let limit = self.most_running;
        ensure(running <= limit, || format!("{running} requests run, expected at most {limit}"))
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

//! Pass 1 of the schedule request by request, and how requests lose what they have.
//!
//! Source: vLLM 0.33 `vllm/v1/core/sched/scheduler.py` (`schedule`, `_preempt_request`). With a long-prefill threshold
//! several prompts may be half done in the middle of the list, by priority the victim may be anybody, and the budget may
//! end before the list does: then the closed form of `scheduler` does not hold and this one takes the step.

use crate::replica::engine::Engine;
use crate::replica::request::{NO_SLOT, Place, Slot};

impl Engine {
    /// Pass 1 in order of admission. False when anybody was evicted.
    pub(super) fn schedule_one_by_one(&mut self, lone: bool) -> bool {
        let mut order = Vec::with_capacity(self.running as usize);
        let mut slot = self.newest;
        while slot != NO_SLOT {
            order.push(slot);
            slot = self.live(slot).older;
        }
        order.reverse();
        let mut budget = self.config.max_num_batched_tokens;
        let (mut index, mut undisturbed) = (0, true);
        let goes_on = self.config.scheduling.by_priority && self.config.goes_on_after_own_eviction();
        let mut given = vec![false; order.len()];
        // Blocks that decodes scheduled so far need; counted when their step ends.
        let mut due = 0;
        'schedule: while index < order.len() && budget > 0 {
            let slot = order[index];
            if self.live(slot).place == Place::Ended {
                index += 1;
                continue;
            }
            let (tokens, missing) = self.wants(slot, budget, lone);
            while missing > self.free_blocks - due {
                undisturbed = false;
                let victim = self.victim(&order);
                let place = order.iter().position(|other| *other == victim).expect("it is one of them");
                order.remove(place);
                let has_tokens = given.remove(place);
                if has_tokens {
                    let (scheduled, blocks) = self.take_back(victim);
                    budget += scheduled;
                    due -= blocks;
                } else {
                    self.preempt(victim);
                }
                // Upstream's index once stayed where it was for one who is earlier in the list and has nothing in the batch:
                // the next in the list was passed over.
                if has_tokens || place < index && self.config.victims_before_move_the_place() {
                    index -= 1;
                }
                if victim == slot {
                    if goes_on {
                        continue 'schedule;
                    }
                    break 'schedule;
                }
            }
            if self.live(slot).place == Place::Decoding {
                due += missing;
                self.pop_one_by_one(slot, missing);
            } else {
                self.take_chunk(slot, tokens, missing);
            }
            budget -= tokens;
            let place = if undisturbed { Some(index) } else { order.iter().position(|other| *other == slot) };
            given[place.expect("it runs")] = true;
            index += 1;
        }
        for (slot, given) in order.into_iter().zip(given) {
            if !given {
                self.stall(slot);
            }
        }
        undisturbed
    }

    /// Tokens that a running request gets of this budget, and blocks that it misses for them.
    fn wants(&self, slot: Slot, budget: u32, lone: bool) -> (u32, u32) {
        let block_size = self.config.block_size;
        let live = self.live(slot);
        if live.place == Place::Decoding {
            return (1, u32::from(self.decodes.computed(live.origin).is_multiple_of(block_size)));
        }
        let tokens = self.capped(live.length() - live.computed, lone).min(budget);
        (tokens, (live.computed + tokens).div_ceil(block_size) - live.blocks)
    }

    /// A decoding request's block for the next step leaves the queue.
    fn pop_one_by_one(&mut self, slot: Slot, missing: u32) {
        if self.config.scheduling.prefix_caching {
            self.queue.pop(u64::from(missing));
            self.popped += u64::from(missing);
            let upto = self.decodes.computed(self.live(slot).origin) + self.foresight();
            self.enter_blocks(slot, upto);
        }
    }

    /// Who is evicted: the last admitted, or by priority the last in rank.
    fn victim(&self, running: &[Slot]) -> Slot {
        if self.config.scheduling.by_priority {
            *running.iter().max_by_key(|slot| self.live(**slot).rank()).expect("the one that asks runs")
        } else {
            *running.last().expect("the one that asks runs")
        }
    }

    /// Evicts a request that this schedule has already given tokens; those, and the blocks that were due to it.
    fn take_back(&mut self, slot: Slot) -> (u32, u32) {
        let decodes = self.live(slot).place == Place::Decoding;
        let blocks = if decodes { self.wants(slot, 1, false).1 } else { 0 };
        let scheduled = self.withdraw(slot);
        let live = self.live(slot);
        let filled = if decodes { live.computed + self.foresight() } else { live.known + scheduled };
        self.evict(slot, filled);
        (scheduled, blocks)
    }

    /// Takes a request out of the batch; its tokens there. A decoding one holds the block that it was given.
    pub(super) fn withdraw(&mut self, slot: Slot) -> u32 {
        match self.live(slot).place {
            Place::Decoding => {
                let (_, missing) = self.wants(slot, 1, false);
                if self.config.scheduling.prefix_caching {
                    debug_assert!(self.popped >= u64::from(missing), "its block was taken");
                    self.popped -= u64::from(missing);
                }
                self.settle_request(slot);
                // It counts as taken as well as free, until `free_all` gives it back.
                self.free_blocks -= missing;
                self.live_mut(slot).blocks += missing;
                1
            }
            _ => {
                let Some(place) = self.chunks.iter().position(|(other, _)| *other == slot) else { return 0 };
                self.chunks.remove(place).1
            }
        }
    }

    /// Frees all blocks of a settled request, of which those up to token `filled` may be in the cache's table.
    pub(super) fn free_all(&mut self, slot: Slot, filled: u32, returns: bool) {
        let blocks = std::mem::take(&mut self.live_mut(slot).blocks);
        self.free_blocks += self.free_request(slot, blocks, filled, returns);
    }

    /// The budget or an eviction left a decoding request without its token.
    fn stall(&mut self, slot: Slot) {
        if self.live(slot).place == Place::Decoding {
            self.settle_request(slot);
            let last_boundary = self.last_boundary;
            let live = self.live_mut(slot);
            live.place = Place::Stalled;
            live.last_token = last_boundary;
            if !live.aborted {
                // From the next schedule on its last token is known.
                live.known = live.computed;
            }
        }
    }
}

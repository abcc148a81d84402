//! Prefix caching: what a waiting request finds in the cache, and what becomes of blocks that are taken or freed.
//!
//! Source: vLLM `vllm/v1/core/kv_cache_manager.py` (`get_computed_blocks`, `allocate_slots`, `free`) and
//! `single_type_kv_cache_manager.py`. A block counts as cached as soon as the step that fills it is scheduled.
//!
//! Most requests share nothing: then only a victim can find anything, namely its own blocks, whose positions in the free
//! queue it keeps. With first come, first served it is evicted before its step is scheduled, so what survives of them is a
//! prefix that it finds as a whole. By priority a victim may already be scheduled; there every block has an entry.

use crate::replica::engine::Engine;
use crate::replica::free_queue::{BlockId, Content};
use crate::replica::request::{Live, Place, Slot};
use crate::traffic::SharedText;

/// What ties a request to the cache's table. Absent as long as its blocks are nobody's but its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ties {
    text: Option<SharedText>,
    /// Blocks from the start that get an entry in the table.
    entered: u32,
    /// Those of them that it holds.
    held: Vec<BlockId>,
    kept: Kept,
}

/// A victim's full blocks in the free queue, those after the entered ones; the last block lies first.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    position: i64,
    count: u32,
}

impl Ties {
    /// Of a request whose blocks from the start have entries.
    pub(crate) fn new(text: Option<SharedText>, entered: u32) -> Self {
        Ties { text, entered, ..Ties::default() }
    }

    fn content(&self, request: u64, index: u32, block_size: u32) -> Content {
        let end = (u64::from(index) + 1) * u64::from(block_size);
        match &self.text {
            Some(text) if end <= text.covered() => {
                let id = text.ids[((end - 1) / u64::from(text.tokens_per_id)) as usize];
                Content::Shared { id, index }
            }
            _ => Content::Own { request, index },
        }
    }

    /// The ids of the text that it goes on writing after its prompt.
    pub(crate) fn writes(&self, prompt: u32) -> &[u64] {
        match &self.text {
            Some(text) if text.covered() > u64::from(prompt) => {
                let last = (text.covered() - 1) / u64::from(text.tokens_per_id);
                &text.ids[(prompt / text.tokens_per_id) as usize..=last as usize]
            }
            _ => &[],
        }
    }

    /// Whether its text has any of the ids that `is_written` names.
    pub(crate) fn has_text_of(&self, is_written: impl Fn(&u64) -> bool) -> bool {
        self.text.as_ref().is_some_and(|text| text.ids.iter().any(is_written))
    }
}

impl SharedText {
    /// Tokens that have an id.
    pub(super) fn covered(&self) -> u64 {
        u64::from(self.tokens).min(self.ids.len() as u64 * u64::from(self.tokens_per_id))
    }
}

/// What a waiting request finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Blocks from the start.
    pub(crate) blocks: u32,
    /// Those that nobody holds: they are among the free ones.
    pub(crate) free: u32,
}

impl Engine {
    /// The leading full blocks of a waiting request that are cached; at least one token is left to compute.
    #[inline]
    pub(super) fn look_up(&self, slot: Slot) -> Hit {
        let live = self.live(slot);
        live.ties.as_deref().map_or(Hit::default(), |ties| self.look_up_tied(live, ties))
    }

    #[inline(never)]
    fn look_up_tied(&self, live: &Live, ties: &Ties) -> Hit {
        let block_size = self.config.block_size;
        let most = (live.length() - 1) / block_size;
        let mut hit = Hit::default();
        for index in 0..most.min(ties.entered) {
            let Some((_, free)) = self.queue.find(ties.content(live.sequence, index, block_size)) else { return hit };
            hit.blocks += 1;
            hit.free += u32::from(free);
        }
        if most > ties.entered {
            let own = self.surviving(ties.kept).min(most - ties.entered);
            hit.blocks += own;
            hit.free += own;
        }
        hit
    }

    /// How many of a victim's own blocks nobody took: the last go first.
    fn surviving(&self, kept: Kept) -> u32 {
        let taken = (self.queue.taken() - kept.position).clamp(0, i64::from(kept.count));
        kept.count - u32::try_from(taken).expect("it is at most the count")
    }

    /// A request that was just looked up is admitted: it holds what it found.
    #[inline(never)]
    pub(super) fn hold_hit(&mut self, slot: Slot, hit: Hit) {
        let block_size = self.config.block_size;
        let live = &mut self.slab[slot as usize];
        let Some(ties) = live.ties.as_deref_mut() else { return };
        let entered = hit.blocks.min(ties.entered);
        for index in 0..entered {
            let content = ties.content(live.sequence, index, block_size);
            let (id, _) = self.queue.find(content).expect("it was looked up");
            self.queue.hold(id);
            ties.held.push(id);
        }
        let kept = std::mem::take(&mut ties.kept);
        let own = hit.blocks - entered;
        if own > 0 {
            // The last own block that survived lies first.
            let first = kept.position + i64::from(kept.count - own);
            debug_assert!(self.queue.holds(first), "a block that was taken cannot be hit");
            self.queue.take_out(first, own);
        }
    }

    /// Takes blocks for a prompt's chunk that ends at token `upto`, or for the steps of decodes.
    #[inline]
    pub(super) fn enter_blocks(&mut self, slot: Slot, upto: u32) {
        if self.live(slot).ties.is_some() {
            self.enter_tied_blocks(slot, upto);
        }
    }

    #[inline(never)]
    fn enter_tied_blocks(&mut self, slot: Slot, upto: u32) {
        let block_size = self.config.block_size;
        let live = &mut self.slab[slot as usize];
        let Some(ties) = live.ties.as_deref_mut() else { return };
        for index in ties.held.len() as u32..(upto / block_size).min(ties.entered) {
            let id = self.queue.enter(ties.content(live.sequence, index, block_size));
            ties.held.push(id);
        }
    }

    /// Frees the blocks of a request whose steps, scheduled ones included, fill `filled` tokens: the last block first,
    /// so that it is also the first to be taken. A victim keeps track of them (`returns`). How many became free.
    pub(super) fn free_request(&mut self, slot: Slot, blocks: u32, filled: u32, returns: bool) -> u32 {
        if !self.config.scheduling.prefix_caching || blocks == 0 {
            return blocks;
        }
        if self.live(slot).ties.is_none() && !returns {
            self.free_own(blocks, filled);
            return blocks;
        }
        self.enter_blocks(slot, filled);
        let (full, partial) = self.free_partial(blocks, filled);
        let live = &mut self.slab[slot as usize];
        let ties = live.ties.get_or_insert_default();
        let count = full - ties.held.len() as u32;
        ties.kept = Kept { position: self.queue.push(count), count };
        let mut freed = partial + count;
        for id in ties.held.drain(..).rev() {
            freed += u32::from(self.queue.let_go(id));
        }
        freed
    }

    /// Frees blocks of which nobody keeps track.
    #[inline]
    pub(super) fn free_own(&mut self, blocks: u32, filled: u32) {
        let (full, _) = self.free_partial(blocks, filled);
        self.queue.push(full);
    }

    /// Frees those of `blocks` that `filled` tokens leave partly filled or empty; how many are full, and how many are not.
    #[inline]
    fn free_partial(&mut self, blocks: u32, filled: u32) -> (u32, u32) {
        let full = self.decodes.block.full(filled);
        let partial = blocks - full;
        if self.config.partial_blocks_go_first() {
            self.queue.push_front(partial);
        } else {
            self.queue.push(partial);
        }
        (full, partial)
    }

    /// Takes the blocks of the decodes for their next step out of the queue, once their batch is certain. Their number is
    /// counted when the step ends; what they were in the queue must be known before others take or free blocks.
    pub(super) fn pop_for_decodes(&mut self) {
        if self.config.scheduling.prefix_caching {
            let due = self.decodes.due();
            self.queue.pop(due - self.popped);
            self.popped = due;
        }
    }

    /// Whoever writes a shared text has its blocks in the table up to the last token that is known, before or after it is
    /// `scheduled`.
    #[inline]
    pub(super) fn enter_written(&mut self, scheduled: bool) {
        if !self.writers.is_empty() {
            self.enter_blocks_of_writers(scheduled);
        }
    }

    fn enter_blocks_of_writers(&mut self, scheduled: bool) {
        let mut writers: Vec<(u64, Slot)> =
            self.writers.iter().map(|slot| (self.live(*slot).admission, *slot)).collect();
        writers.sort_unstable();
        for (_, slot) in writers {
            let live = self.live(slot);
            let upto = match (live.place, scheduled) {
                (Place::Decoding, true) => self.decodes.computed(live.origin) + self.foresight(),
                (Place::Decoding, false) => self.known_of_decode(slot),
                _ => live.known,
            };
            self.enter_blocks(slot, upto);
        }
    }

    /// A request that goes on writing a shared text starts (`runs`) or leaves.
    #[inline(never)]
    pub(super) fn note_writer(&mut self, slot: Slot, runs: bool) {
        let live = &self.slab[slot as usize];
        let ids = live.ties.as_deref().map_or(&[][..], |ties| ties.writes(live.prompt));
        for id in ids {
            let count = self.written.entry(*id).or_insert(0);
            if runs {
                *count += 1;
                self.contended += u32::from(*count == 2);
            } else {
                *count -= 1;
                self.contended -= u32::from(*count == 1);
                if *count == 0 {
                    self.written.remove(id);
                }
            }
        }
        if runs && !ids.is_empty() {
            self.writers.push(slot);
        } else if !ids.is_empty() {
            self.writers.retain(|other| *other != slot);
        }
    }
}

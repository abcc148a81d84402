//! The free KV blocks in the order in which they are taken, and those blocks that more than one request may use.
//!
//! Source: vLLM `vllm/v1/core/block_pool.py` (`BlockPool`) and `kv_cache_utils.py` (`FreeKVCacheBlockQueue`): blocks are
//! taken at the head, freed blocks queue up at the tail, a hit takes a block out of the middle. Here the queue is a range
//! of positions: only blocks that a look-up may still find have an entry of their own, so that taking or freeing others
//! is an addition.

use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// What the tokens of a full block are, everything before it included: vLLM's chained hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    /// Block `index` of a text that several requests may have; equal ids mean equal text up to the block's end.
    Shared { id: u64, index: u32 },
    /// Block `index` of one request, by its number.
    Own { request: u64, index: u32 },
}

/// A block whose content is in the cache's table.
pub(crate) type BlockId = u32;

#[derive(Clone, Debug)]
struct Block {
    content: Content,
    /// Requests that hold it; at 0 it is in the queue, at `position`.
    holders: u32,
    position: i64,
}

/// A position of the queue that is not just any block.
#[derive(Clone, Copy, Debug)]
enum Mark {
    /// So many blocks were taken out of the middle.
    Hole(i64),
    Block(BlockId),
}

/// The queue and the table of cached contents.
#[derive(Clone, Debug)]
pub(crate) struct FreeQueue {
    head: i64,
    /// The furthest that the head ever was: what lay before it was taken, even if others lie there now.
    taken: i64,
    tail: i64,
    holes: i64,
    /// By position, rising.
    marks: VecDeque<(i64, Mark)>,
    blocks: Vec<Block>,
    vacant: Vec<BlockId>,
    /// Blocks with this content, oldest first: equal contents are not merged when they come into being.
    table: FxHashMap<Content, Vec<BlockId>>,
    /// Holders beyond the first, of all blocks.
    shared: u64,
}

impl FreeQueue {
    pub(crate) fn new(blocks: u32) -> Self {
        FreeQueue {
            head: 0,
            taken: 0,
            tail: i64::from(blocks),
            holes: 0,
            marks: VecDeque::new(),
            blocks: Vec::new(),
            vacant: Vec::new(),
            table: FxHashMap::default(),
            shared: 0,
        }
    }

    /// Free blocks.
    pub(crate) fn len(&self) -> u64 {
        (self.tail - self.head - self.holes) as u64
    }

    /// Holders beyond the first, of all blocks: by so much the blocks held add up to more than there are.
    pub(crate) fn shared(&self) -> u64 {
        self.shared
    }

    /// Whether the block at `position` is still in the queue, given that no hit took it.
    pub(crate) fn holds(&self, position: i64) -> bool {
        position >= self.taken
    }

    /// All blocks before this position were taken.
    pub(crate) fn taken(&self) -> i64 {
        self.taken
    }

    /// Takes `count` blocks at the head; what they cached is lost.
    #[inline]
    pub(crate) fn pop(&mut self, count: u64) {
        // Most requests share nothing, so there is often no mark at all.
        if self.marks.is_empty() {
            self.take_up_to(self.head + count as i64);
        } else {
            self.pop_marked(count);
        }
    }

    #[inline(never)]
    fn pop_marked(&mut self, count: u64) {
        let mut end = self.head + count as i64;
        while let Some(&(position, mark)) = self.marks.front()
            && position < end
        {
            self.marks.pop_front();
            match mark {
                Mark::Hole(length) => {
                    self.holes -= length;
                    end += length;
                }
                Mark::Block(id) => self.forget(id),
            }
        }
        self.take_up_to(end);
    }

    #[inline]
    fn take_up_to(&mut self, end: i64) {
        self.head = end;
        self.taken = self.taken.max(end);
        debug_assert!(self.head <= self.tail, "more blocks taken than there are");
    }

    fn forget(&mut self, id: BlockId) {
        let content = self.blocks[id as usize].content;
        let copies = self.table.get_mut(&content).expect("a block with a content is in the table");
        copies.retain(|other| *other != id);
        if copies.is_empty() {
            self.table.remove(&content);
        }
        self.vacant.push(id);
    }

    /// Frees `count` blocks without an entry; the position of the first.
    pub(crate) fn push(&mut self, count: u32) -> i64 {
        let first = self.tail;
        self.tail += i64::from(count);
        first
    }

    /// Frees `count` blocks without an entry that are taken next.
    pub(crate) fn push_front(&mut self, count: u32) {
        self.head -= i64::from(count);
    }

    /// A hit on `count` blocks without an entry of their own, the first at `position`.
    pub(crate) fn take_out(&mut self, position: i64, count: u32) {
        if count > 0 {
            let place = self.marks.partition_point(|(other, _)| *other < position);
            self.marks.insert(place, (position, Mark::Hole(i64::from(count))));
            self.holes += i64::from(count);
        }
    }

    /// The block that a look-up of `content` finds, and whether it is free.
    pub(crate) fn find(&self, content: Content) -> Option<(BlockId, bool)> {
        let id = *self.table.get(&content)?.first().expect("the table has no empty lists");
        Some((id, self.blocks[id as usize].holders == 0))
    }

    /// A hit: one holder more.
    pub(crate) fn hold(&mut self, id: BlockId) {
        let block = &mut self.blocks[id as usize];
        block.holders += 1;
        if block.holders > 1 {
            self.shared += 1;
            return;
        }
        let position = block.position;
        let place = self.marks.partition_point(|(other, _)| *other < position);
        self.marks[place].1 = Mark::Hole(1);
        self.holes += 1;
    }

    /// A block that one request holds gets its content.
    pub(crate) fn enter(&mut self, content: Content) -> BlockId {
        let block = Block { content, holders: 1, position: 0 };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.blocks[id as usize] = block;
                id
            }
            None => {
                self.blocks.push(block);
                BlockId::try_from(self.blocks.len() - 1).expect("there are fewer blocks than that")
            }
        };
        self.table.entry(content).or_default().push(id);
        id
    }

    /// One holder less; whether the block is free now, at the tail.
    pub(crate) fn let_go(&mut self, id: BlockId) -> bool {
        let block = &mut self.blocks[id as usize];
        block.holders -= 1;
        if block.holders > 0 {
            self.shared -= 1;
            return false;
        }
        block.position = self.tail;
        self.marks.push_back((self.tail, Mark::Block(id)));
        self.tail += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn text(index: u32) -> Content {
        Content::Shared { id: 7, index }
    }

    #[test]
    fn the_head_goes_first_and_a_hit_leaves_the_middle() {
        let mut queue = FreeQueue::new(4);
        queue.pop(4);
        let ids = [0, 1, 2].map(|index| queue.enter(text(index)));
        assert_eq!(queue.len(), 0);
        for id in ids.iter().rev() {
            assert!(queue.let_go(*id));
        }
        let own = queue.push(1);
        assert_eq!(queue.len(), 4);
        // Block 1 of the text is used again, so the two that are taken next are 2 and 0.
        queue.hold(ids[1]);
        queue.pop(2);
        assert_eq!([0, 1, 2].map(|index| queue.find(text(index)).is_some()), [false, true, false]);
        assert!(queue.holds(own) && queue.len() == 1);
        queue.push_front(1);
        queue.pop(1);
        assert!(queue.holds(own), "what went to the front was taken");
        queue.pop(1);
        assert!(!queue.holds(own) && queue.len() == 0);
        queue.push_front(1);
        assert!(!queue.holds(own), "another lies there now");
    }

    #[test]
    fn equal_contents_are_found_oldest_first() {
        let mut queue = FreeQueue::new(2);
        queue.pop(2);
        let (old, new) = (queue.enter(text(0)), queue.enter(text(0)));
        assert_eq!(queue.find(text(0)), Some((old, false)));
        queue.hold(old);
        assert_eq!(queue.shared(), 1);
        assert!(!queue.let_go(old) && queue.let_go(old));
        queue.let_go(new);
        assert_eq!(queue.find(text(0)), Some((old, true)));
        queue.pop(1);
        assert_eq!(queue.find(text(0)), Some((new, true)));
    }

    #[test]
    fn a_range_taken_out_is_skipped() {
        let mut queue = FreeQueue::new(10);
        queue.take_out(3, 4);
        assert_eq!(queue.len(), 6);
        queue.pop(3);
        assert_eq!((queue.taken(), queue.len()), (3, 3));
        queue.pop(1);
        assert_eq!((queue.taken(), queue.len()), (8, 2));
    }
}

//! Every KV block by itself: the free queue as a list, the table of cached contents, a count of holders.

use std::collections::{HashMap, VecDeque};

/// What the tokens of a full block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// A text's id and the block's number.
    Text(u64, usize),
    /// A request's number and the block's.
    Own(u64, usize),
}

#[derive(Clone, Debug, Default)]
struct Block {
    content: Option<Content>,
    holders: u32,
}

pub struct Cache {
    blocks: Vec<Block>,
    free: VecDeque<usize>,
    table: HashMap<Content, Vec<usize>>,
    /// vLLM's newest: blocks without content are used again first.
    plain_first: bool,
}

impl Cache {
    pub fn new(blocks: u32, plain_first: bool) -> Self {
        let count = blocks as usize;
        Cache { blocks: vec![Block::default(); count], free: (0..count).collect(), table: HashMap::new(), plain_first }
    }

    pub fn free(&self) -> u32 {
        self.free.len() as u32
    }

    pub fn is_free(&self, block: usize) -> bool {
        self.blocks[block].holders == 0
    }

    /// The block that a look-up finds.
    pub fn find(&self, content: Content) -> Option<usize> {
        self.table.get(&content).map(|blocks| blocks[0])
    }

    /// One more holder of a block that was found.
    pub fn touch(&mut self, block: usize) {
        if self.blocks[block].holders == 0 {
            let place = self.free.iter().position(|other| *other == block).expect("a block without holders is free");
            self.free.remove(place);
        }
        self.blocks[block].holders += 1;
    }

    /// Takes the block at the head of the queue; what it cached is gone.
    pub fn take(&mut self) -> usize {
        let block = self.free.pop_front().expect("the free blocks were counted");
        if let Some(content) = self.blocks[block].content.take() {
            let copies = self.table.get_mut(&content).expect("it is in the table");
            copies.retain(|other| *other != block);
            if copies.is_empty() {
                self.table.remove(&content);
            }
        }
        self.blocks[block].holders = 1;
        block
    }

    /// A block is full: it can be found from now on.
    pub fn fill(&mut self, block: usize, content: Content) {
        assert!(self.blocks[block].content.is_none(), "a block is filled once");
        self.blocks[block].content = Some(content);
        self.table.entry(content).or_default().push(block);
    }

    /// Gives back a request's blocks, in the order of its text.
    pub fn give_back(&mut self, blocks: Vec<usize>) {
        for block in blocks.into_iter().rev() {
            self.blocks[block].holders -= 1;
            if self.blocks[block].holders > 0 {
                continue;
            }
            if self.plain_first && self.blocks[block].content.is_none() {
                self.free.push_front(block);
            } else {
                self.free.push_back(block);
            }
        }
    }

    /// Each block is either free or held, and held as often as `held` says.
    pub fn check(&self, held: &[usize]) -> Result<(), String> {
        let (mut holders, mut free) = (vec![0u32; self.blocks.len()], vec![0u32; self.blocks.len()]);
        held.iter().for_each(|block| holders[*block] += 1);
        self.free.iter().for_each(|block| free[*block] += 1);
        for (block, count) in holders.iter().enumerate() {
            let counted = self.blocks[block].holders;
            if counted != *count || free[block] != u32::from(*count == 0) {
                return Err(format!(
                    "block {block} has {count} holders, {counted} counted, is free {} times",
                    free[block]
                ));
            }
        }
        Ok(())
    }
}

//! What is due next among many that are each due at most once: a tree of minima with a leaf for each.
//!
//! A leaf that moves costs at most one look at its group of leaves per level and leaves nothing behind, where a heap would keep
//! the old entry until it surfaces.

/// Nothing is due.
const NEVER: u128 = u128::MAX;

/// Children of a node: they fit two cache lines.
const GROUP: usize = 8;

/// The children of a node, never due where there are fewer: of a fixed number, all are looked at without a branch.
#[derive(Clone, Debug)]
struct Group {
    keys: [u128; GROUP],
    /// The child with the smallest key.
    smallest: usize,
}

impl Group {
    const EMPTY: Group = Group { keys: [NEVER; GROUP], smallest: 0 };

    fn first(&self) -> u128 {
        self.keys[self.smallest % GROUP]
    }

    /// A child has another key. False when that cannot change the group's smallest one.
    #[inline(always)]
    fn set(&mut self, child: usize, key: u128) -> bool {
        self.keys[child] = key;
        if child == self.smallest {
            self.look_again();
        } else if key < self.first() {
            self.smallest = child;
        } else {
            return false;
        }
        true
    }

    fn look_again(&mut self) {
        let (mut key, mut smallest) = (self.keys[0], 0);
        for child in 1..GROUP {
            let is_smaller = self.keys[child] < key;
            key = if is_smaller { self.keys[child] } else { key };
            smallest = if is_smaller { child } else { smallest };
        }
        self.smallest = smallest;
    }
}

/// Keys by leaf, and the smallest of them. Keys of different leaves differ.
#[derive(Clone, Debug)]
pub(super) struct DueTree {
    /// The leaves, then the minima of their groups, and so on; the last level is one group, whose minimum is `first`.
    levels: Vec<Vec<Group>>,
    first: u128,
}

impl DueTree {
    /// A tree with room for `leaves`; it grows as leaves are set.
    pub(super) fn with_room_for(leaves: usize) -> Self {
        let groups = |nodes: usize| vec![Group::EMPTY; nodes.div_ceil(GROUP)];
        let mut levels = vec![groups(leaves.max(1))];
        while let Some(below) = levels.last().map(Vec::len).filter(|below| *below > 1) {
            levels.push(groups(below));
        }
        DueTree { levels, first: NEVER }
    }

    fn room(&self) -> usize {
        GROUP * self.levels[0].len()
    }

    /// Sets the key of `leaf`.
    #[inline]
    pub(super) fn set(&mut self, leaf: usize, key: u128) {
        if leaf >= self.room() {
            self.grow(leaf + 1);
        }
        self.put(leaf, key);
    }

    #[inline(always)]
    fn put(&mut self, leaf: usize, key: u128) {
        let (mut place, mut key) = (leaf, key);
        for groups in &mut self.levels {
            let group = &mut groups[place / GROUP];
            if !group.set(place % GROUP, key) {
                return;
            }
            key = group.first();
            place /= GROUP;
        }
        self.first = key;
    }

    /// Nothing is due of `leaf`.
    pub(super) fn clear(&mut self, leaf: usize) {
        if leaf < self.room() {
            self.put(leaf, NEVER);
        }
    }

    /// The smallest key; larger than any that was set when nothing is due.
    #[inline]
    pub(super) fn first(&self) -> u128 {
        self.first
    }

    /// Takes the leaf of the smallest key: nothing is due of it any more.
    #[inline(always)]
    pub(super) fn take_first(&mut self) -> usize {
        let leaf = self.levels.iter().rev().fold(0, |place, groups| GROUP * place + groups[place].smallest);
        self.put(leaf, NEVER);
        leaf
    }

    #[cold]
    fn grow(&mut self, leaves: usize) {
        // Pods are numbered as they come: room for half as many more keeps that cheap.
        let old = std::mem::replace(self, Self::with_room_for(leaves + leaves / 2));
        for (leaf, key) in old.levels[0].iter().flat_map(|group| group.keys).enumerate() {
            self.put(leaf, key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_tree_has_nothing_due() {
        let mut tree = DueTree::with_room_for(1);
        assert_eq!(tree.first(), NEVER);
        tree.clear(5);
        tree.set(2, 7);
        assert_eq!((tree.first(), tree.take_first()), (7, 2));
        assert_eq!(tree.first(), NEVER);
    }

    proptest! {
        #[test]
        fn the_first_is_the_smallest_of_all(moves in prop::collection::vec((0usize..600, 0u128..1000, 0..3u8), 1..200)) {
            let mut tree = DueTree::with_room_for(1);
            let mut keys = [NEVER; 600];
            for (leaf, key, change) in moves {
                // Keys differ between leaves, as sequence numbers make them.
                let key = key * 1024 + leaf as u128;
                match change {
                    0 => {
                        tree.clear(leaf);
                        keys[leaf] = NEVER;
                    }
                    1 if tree.first() != NEVER => {
                        let (first, taken) = (tree.first(), tree.take_first());
                        prop_assert_eq!(first, keys[taken]);
                        keys[taken] = NEVER;
                    }
                    _ => {
                        tree.set(leaf, key);
                        keys[leaf] = key;
                    }
                }
                prop_assert_eq!(tree.first(), keys.iter().min().copied().unwrap_or(NEVER));
            }
        }
    }
}

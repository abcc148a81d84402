//! What is due next among many that are each due at most once: a tree of minima with a leaf for each.
//!
//! A leaf that moves costs at most one look at its group of leaves per level and leaves nothing behind, where a heap would keep
//! the old entry until it surfaces.

/// Nothing is due.
const NEVER: u128 = u128::MAX;

/// Children of a node: a group fits two cache lines.
const GROUP: usize = 8;

/// Keys by leaf, and the smallest of them. Keys of different leaves differ.
#[derive(Clone, Debug)]
pub(super) struct DueTree {
    /// The leaves, then the minima of their groups, and so on; the last level is one group, whose minimum is `first`.
    levels: Vec<Vec<u128>>,
    first: u128,
}

impl DueTree {
    /// A tree with room for `leaves`; it grows as leaves are set.
    pub(super) fn with_room_for(leaves: usize) -> Self {
        let mut levels = vec![vec![NEVER; leaves.max(1)]];
        while let Some(below) = levels.last().map(Vec::len).filter(|below| *below > GROUP) {
            levels.push(vec![NEVER; below.div_ceil(GROUP)]);
        }
        DueTree { levels, first: NEVER }
    }

    fn room(&self) -> usize {
        self.levels[0].len()
    }

    /// Sets the key of `leaf`.
    pub(super) fn set(&mut self, leaf: usize, key: u128) {
        if leaf >= self.room() {
            self.grow(leaf + 1);
        }
        let (mut place, mut key) = (leaf, key);
        for level in 0..self.levels.len() {
            let before = std::mem::replace(&mut self.levels[level][place], key);
            let smallest = self.levels.get(level + 1).map_or(self.first, |above| above[place / GROUP]);
            if key > smallest {
                if before != smallest {
                    return; // Neither the new key nor the old one is the group's smallest.
                }
                key = self.group(level, place / GROUP).iter().copied().fold(NEVER, u128::min);
            }
            place /= GROUP;
        }
        self.first = key;
    }

    fn group(&self, level: usize, number: usize) -> &[u128] {
        let nodes = &self.levels[level];
        &nodes[GROUP * number..nodes.len().min(GROUP * (number + 1))]
    }

    /// Nothing is due of `leaf`.
    pub(super) fn clear(&mut self, leaf: usize) {
        if leaf < self.room() {
            self.set(leaf, NEVER);
        }
    }

    /// The smallest key; larger than any that was set when nothing is due.
    #[inline]
    pub(super) fn first(&self) -> u128 {
        self.first
    }

    /// The leaf of the smallest key.
    pub(super) fn first_leaf(&self) -> usize {
        let mut place = 0;
        for level in (0..self.levels.len()).rev() {
            let smallest = self.group(level, place).iter().position(|key| *key == self.first);
            place = GROUP * place + smallest.unwrap_or(0);
        }
        place
    }

    fn grow(&mut self, leaves: usize) {
        // Pods are numbered as they come: room for half as many more keeps that cheap.
        let old = std::mem::replace(self, Self::with_room_for(leaves + leaves / 2));
        for (leaf, key) in old.levels[0].iter().enumerate() {
            self.set(leaf, *key);
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
        assert_eq!((tree.first(), tree.first_leaf()), (7, 2));
        tree.clear(2);
        assert_eq!(tree.first(), NEVER);
    }

    proptest! {
        #[test]
        fn the_first_is_the_smallest_of_all(moves in prop::collection::vec((0usize..600, 0u128..1000, any::<bool>()), 1..200)) {
            let mut tree = DueTree::with_room_for(1);
            let mut keys = [NEVER; 600];
            for (leaf, key, is_cleared) in moves {
                // Keys differ between leaves, as sequence numbers make them.
                keys[leaf] = if is_cleared { NEVER } else { key * 1024 + leaf as u128 };
                if is_cleared { tree.clear(leaf) } else { tree.set(leaf, keys[leaf]) }
                let smallest = keys.iter().min().copied().unwrap_or(NEVER);
                prop_assert_eq!(tree.first(), smallest);
                if smallest != NEVER {
                    prop_assert_eq!(keys[tree.first_leaf()], smallest);
                }
            }
        }
    }
}

//! What is due next among many that are each due at most once: a binary tree of minima with a leaf for each.
//!
//! A leaf that moves costs one comparison per level and leaves nothing behind, where a heap would keep the old entry until
//! it surfaces.

/// Nothing is due.
const NEVER: u128 = u128::MAX;

/// Keys by leaf, and the smallest of them. Keys of different leaves differ.
#[derive(Clone, Debug)]
pub(super) struct DueTree {
    /// Node 1 is the root, the children of node n are 2n and 2n + 1; the second half holds the leaves.
    nodes: Vec<u128>,
}

impl DueTree {
    /// A tree with room for `leaves`; it grows as leaves are set.
    pub(super) fn with_room_for(leaves: usize) -> Self {
        DueTree { nodes: vec![NEVER; 2 * leaves.next_power_of_two()] }
    }

    fn room(&self) -> usize {
        self.nodes.len() / 2
    }

    /// Sets the key of `leaf`.
    pub(super) fn set(&mut self, leaf: usize, key: u128) {
        if leaf >= self.room() {
            self.grow(leaf + 1);
        }
        let mut node = self.room() + leaf;
        let mut smallest = key;
        while self.nodes[node] != smallest {
            self.nodes[node] = smallest;
            if node == 1 {
                break;
            }
            smallest = self.nodes[node].min(self.nodes[node ^ 1]);
            node /= 2;
        }
    }

    /// The smallest key of all leaves but `leaf`.
    pub(super) fn first_beside(&self, leaf: usize) -> u128 {
        if leaf >= self.room() {
            return self.first(); // It was never set.
        }
        let mut smallest = NEVER;
        let mut node = self.room() + leaf;
        while node > 1 {
            smallest = smallest.min(self.nodes[node ^ 1]);
            node /= 2;
        }
        smallest
    }

    /// Nothing is due of `leaf`.
    pub(super) fn clear(&mut self, leaf: usize) {
        if leaf < self.room() {
            self.set(leaf, NEVER);
        }
    }

    /// The smallest key; larger than any that was set when nothing is due.
    pub(super) fn first(&self) -> u128 {
        self.nodes[1]
    }

    /// The leaf of the smallest key.
    pub(super) fn first_leaf(&self) -> usize {
        let mut node = 1;
        while node < self.room() {
            node *= 2;
            if self.nodes[node] != self.nodes[1] {
                node += 1;
            }
        }
        node - self.room()
    }

    fn grow(&mut self, leaves: usize) {
        let old = std::mem::replace(self, Self::with_room_for(leaves));
        for (leaf, key) in old.nodes[old.room()..].iter().enumerate() {
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
        fn the_first_is_the_smallest_of_all(moves in prop::collection::vec((0usize..40, 0u128..1000, any::<bool>()), 1..200)) {
            let mut tree = DueTree::with_room_for(1);
            let mut keys = [NEVER; 40];
            for (leaf, key, is_cleared) in moves {
                // Keys differ between leaves, as sequence numbers make them.
                keys[leaf] = if is_cleared { NEVER } else { key * 64 + leaf as u128 };
                if is_cleared { tree.clear(leaf) } else { tree.set(leaf, keys[leaf]) }
                let smallest = keys.iter().min().copied().unwrap_or(NEVER);
                prop_assert_eq!(tree.first(), smallest);
                let beside = keys.iter().enumerate().filter(|(other, _)| *other != leaf).map(|(_, key)| *key).min();
                prop_assert_eq!(tree.first_beside(leaf), beside.unwrap_or(NEVER));
                if smallest != NEVER {
                    prop_assert_eq!(keys[tree.first_leaf()], smallest);
                }
            }
        }
    }
}

//! Which pods have the fewest requests, kept up to date request by request: a binary tree over the pods' numbers, each node
//! with the smallest count below it and how many pods have it.

use crate::cluster::PodId;

/// The smallest count below a node, above how many have it: one number, of which two compare at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fewest(u64);

/// No candidate.
const NOBODY: Fewest = Fewest::new(u32::MAX, 0);

impl Fewest {
    const fn new(count: u32, pods: u32) -> Fewest {
        Fewest((count as u64) << 32 | pods as u64)
    }

    fn count(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn pods(self) -> u32 {
        self.0 as u32
    }

    /// Of two halves.
    fn of(left: Fewest, right: Fewest) -> Fewest {
        let together = left.0 + u64::from(right.pods());
        Fewest(if left.count() == right.count() { together } else { left.0.min(right.0) })
    }
}

/// The pods with the fewest requests. Plain cloneable data.
#[derive(Clone, Debug)]
pub(super) struct FewestRequests {
    /// Node 1 is the root, the children of node n are 2n and 2n + 1; the second half holds a leaf per pod number.
    nodes: Vec<Fewest>,
}

impl Default for FewestRequests {
    fn default() -> Self {
        FewestRequests { nodes: vec![NOBODY; 2] }
    }
}

impl FewestRequests {
    fn room(&self) -> usize {
        self.nodes.len() / 2
    }

    /// `pod` has `count` requests, or is none of the candidates.
    pub(super) fn set(&mut self, pod: PodId, count: Option<u32>) {
        let leaf = pod.0 as usize;
        if leaf >= self.room() {
            self.grow(leaf + 1);
        }
        let mut node = self.room() + leaf;
        let mut fewest = count.map_or(NOBODY, |count| Fewest::new(count, 1));
        self.nodes[node] = fewest;
        while node > 1 {
            fewest = Fewest::of(fewest, self.nodes[node ^ 1]);
            node /= 2;
            self.nodes[node] = fewest;
        }
    }

    /// A candidate has `count` requests; nothing happens to a pod that is none.
    pub(super) fn recount(&mut self, pod: PodId, count: u32) {
        let leaf = self.nodes.get(self.room() + pod.0 as usize);
        if leaf.is_some_and(|leaf| *leaf != NOBODY) {
            self.set(pod, Some(count));
        }
    }

    /// How many candidates share the smallest count; 0 without any.
    pub(super) fn tied(&self) -> usize {
        self.nodes[1].pods() as usize
    }

    /// Of those the one at position `index`, in pod order.
    ///
    /// # Panics
    /// When there are not as many.
    pub(super) fn pod_at(&self, index: usize) -> PodId {
        assert!(index < self.tied(), "only {} pods share the smallest count", self.tied());
        let (mut node, mut index) = (1, index);
        while node < self.room() {
            node *= 2;
            let left = self.nodes[node];
            let of_left = if left.count() == self.nodes[1].count() { left.pods() as usize } else { 0 };
            if index >= of_left {
                index -= of_left;
                node += 1;
            }
        }
        PodId(u32::try_from(node - self.room()).expect("pods are numbered in 32 bits"))
    }

    fn grow(&mut self, pods: usize) {
        let leaves = self.nodes.split_off(self.room());
        let room = pods.next_power_of_two();
        self.nodes = vec![NOBODY; room];
        self.nodes.extend(leaves);
        self.nodes.resize(2 * room, NOBODY);
        for node in (1..room).rev() {
            self.nodes[node] = Fewest::of(self.nodes[2 * node], self.nodes[2 * node + 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tied_are_those_that_a_scan_finds(moves in prop::collection::vec((0usize..40, prop::option::of(0u32..4)), 1..200)) {
            let mut tree = FewestRequests::default();
            let mut counts = [None; 40];
            for (pod, count) in moves {
                counts[pod] = count;
                tree.set(PodId(pod as u32), count);
                let fewest = counts.iter().flatten().min().copied();
                let scanned: Vec<u32> =
                    (0..40).filter(|pod| fewest.is_some() && counts[*pod as usize] == fewest).collect();
                let found: Vec<u32> = (0..tree.tied()).map(|index| tree.pod_at(index).0).collect();
                prop_assert_eq!(found, scanned);
            }
        }
    }
}

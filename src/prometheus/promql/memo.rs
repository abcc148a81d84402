//! Remembers what nodes computed from label sets, so that the common evaluation builds and hashes none.

use super::aggregated_ranges::Sums;
use crate::prometheus::tsdb::Selected;
use crate::series::Labels;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Entries above which a memo starts anew (label sets that are built per evaluation never hit).
const LIMIT: usize = 1 << 16;

/// Per node: which group a label set falls into. Keyed by the label set's address; each entry keeps its label set
/// alive, so an address is never reused for another.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memo {
    epoch: u64,
    by_address: FxHashMap<usize, (Labels, Option<(u32, f64)>)>,
    by_labels: FxHashMap<Labels, u32>,
    groups: Vec<Labels>,
    by_position: Option<Positions>,
    /// Memory for the sums of an aggregation.
    pub(super) sums: Sums,
}

/// The groups of a selector's series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    /// By the series' position.
    pub groups: Vec<u32>,
    /// By run: the groups of its series, when these follow each other.
    pub runs: Vec<Option<Range<usize>>>,
}

impl Memo {
    /// Before a pass over a vector: forgets everything when the targets changed or the memo is full.
    pub fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch || self.by_address.len() > LIMIT {
            *self = Memo { epoch, ..Memo::default() };
        }
    }
    /// The group of `labels` with a number of the caller's; `compute` says the group's labels, or `None` for no group.
    pub fn group(&mut self, labels: &Labels, compute: impl FnOnce() -> Option<(Labels, f64)>) -> Option<(u32, f64)> {
        let address = labels.address();
        // The empty set may have one shared address for unrelated values; they are equal, so this is still right.
        if let Some((_, group)) = self.by_address.get(&address) {
            return *group;
        }
        let group = compute().map(|(key, number)| {
            let next = u32::try_from(self.groups.len()).expect("fewer than 2^32 groups");
            let index = *self.by_labels.entry(key.clone()).or_insert(next);
            if index == next {
                self.groups.push(key);
            }
            (index, number)
        });
        self.by_address.insert(address, (labels.clone(), group));
        group
    }
    /// The groups of a selector's series; `begin` was called, so the selector has not changed since they were computed.
    pub fn positions(&mut self, selected: &Selected, group: impl Fn(&mut Self, &Labels) -> u32) -> Positions {
        if let Some(positions) = self.by_position.take() {
            return positions;
        }
        let groups: Vec<u32> = selected.series.iter().map(|one| group(self, &one.nameless)).collect();
        let runs = selected.runs.iter().map(|run| following(&groups[run.series.clone()])).collect();
        Positions { groups, runs }
    }
    /// Gives back what [`Memo::positions`] handed out.
    pub fn keep_positions(&mut self, positions: Positions) {
        self.by_position = Some(positions);
    }
    /// A group's labels.
    pub fn labels(&self, group: u32) -> &Labels {
        &self.groups[group as usize]
    }
    /// Number of groups seen.
    pub fn len(&self) -> usize {
        self.groups.len()
    }
}

/// The range that these numbers are, if each is one more than the one before.
fn following(groups: &[u32]) -> Option<Range<usize>> {
    let first = *groups.first()? as usize;
    let all = groups.iter().enumerate().all(|(index, group)| *group as usize == first + index);
    all.then(|| first..first + groups.len())
}

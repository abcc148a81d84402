//! Starts of replicas: the figures that need no choice of a flap window, and starts made in vain.

use crate::record::RunRecord;
use crate::units::{SimDuration, SimTime};

/// Most of `starts` (in order of time) within any `span`, its end included.
pub(super) fn most_starts_within(starts: &[SimTime], span: SimDuration) -> u64 {
    let mut first = 0;
    let mut most = 0;
    for (index, start) in starts.iter().enumerate() {
        while start.since(starts[first]) >= span {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most as u64
}

/// Pods created after the run's start and its warm-up whose deletion came before they had served as long as their start
/// took, or before they ever served (verdicts.md 1.1, "wasted start").
pub(super) fn wasted_starts(record: &RunRecord, warmup_end: SimTime) -> u64 {
    let started = record.pods.iter().filter(|pod| pod.created > SimTime::ZERO && pod.created >= warmup_end);
    let is_wasted = |created: SimTime, ready: Option<SimTime>, deleted: SimTime| {
        ready.is_none_or(|ready| deleted.saturating_since(ready) < ready.since(created))
    };
    let wasted = started.filter(|pod| pod.deleted.is_some_and(|deleted| is_wasted(pod.created, pod.ready, deleted)));
    wasted.count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rolling_count_takes_ten_minutes_without_their_first_instant() {
        let at = |seconds: &[u64]| seconds.iter().map(|own| SimTime::from_secs(*own)).collect::<Vec<_>>();
        let ten = SimDuration::from_secs(600);
        assert_eq!(most_starts_within(&[], ten), 0);
        assert_eq!(most_starts_within(&at(&[0, 300, 599, 600, 1199]), ten), 3);
        assert_eq!(most_starts_within(&at(&[5, 5, 5]), ten), 3);
    }
}

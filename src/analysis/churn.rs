//! Churned starts: which replicas a steadier policy would not have started (verdicts.md 1.2).

use crate::analysis::flapping::ScaleEvent;
use crate::units::{SimDuration, SimTime};

/// What became of a started replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartFate {
    /// Removed within the window: churned.
    ShortLived,
    /// Re-adds a replica that was removed within the window before: churned. (One that is short-lived too is `ShortLived`.)
    Regretted,
    /// Younger than the window at the end of the run: unknown.
    Censored,
    /// Stayed longer than the window.
    Kept,
}

/// One `+1` of `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// When.
    pub t: SimTime,
    /// When the last-in-first-out match removed it.
    pub removed: Option<SimTime>,
    /// What became of it.
    pub fate: StartFate,
    /// Whether it lies after the warm-up.
    pub measured: bool,
}

/// Matches starts and stops last-in-first-out, as the ReplicaSet takes the youngest pods first. Every start has one fate,
/// so that starts = churned + kept + censored.
pub(super) fn match_starts(
    events: &[ScaleEvent],
    warmup_end: SimTime,
    end: SimTime,
    window: SimDuration,
) -> Vec<Start> {
    let mut starts: Vec<(Start, bool)> = Vec::new();
    let mut running: Vec<usize> = Vec::new();
    let mut removals: Vec<SimTime> = Vec::new();
    for event in events {
        for _ in 0..event.change().max(0) {
            // Removals are in time order, so the latest one decides whether any is young enough.
            let regret = removals.last().is_some_and(|removal| event.t.since(*removal) <= window);
            if regret {
                removals.pop();
            }
            running.push(starts.len());
            let measured = event.t >= warmup_end;
            starts.push((Start { t: event.t, removed: None, fate: StartFate::Kept, measured }, regret));
        }
        for _ in 0..(-event.change()).max(0) {
            // An empty stack means that one of the initial replicas goes.
            if let Some(index) = running.pop() {
                starts[index].0.removed = Some(event.t);
            }
            removals.push(event.t);
        }
    }
    let fate = |(start, regret): (Start, bool)| {
        let fate = match start.removed {
            Some(removed) if removed.since(start.t) <= window => StartFate::ShortLived,
            _ if regret => StartFate::Regretted,
            None if end.saturating_since(start.t) < window => StartFate::Censored,
            _ => StartFate::Kept,
        };
        Start { fate, ..start }
    };
    starts.into_iter().map(fate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ScaleSource;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_start_has_one_fate_and_no_replica_is_removed_twice(
            changes in proptest::collection::vec((1u64..900, -3i64..4), 0..40),
        ) {
            let mut t = SimTime::ZERO;
            let mut replicas = 5i64;
            let mut events = Vec::new();
            for (gap, change) in changes {
                t += SimDuration::from_secs(gap);
                let change = change.max(-replicas);
                replicas += change;
                if change != 0 {
                    events.push(ScaleEvent {
                        t,
                        from: i32::try_from(replicas - change).expect("small"),
                        to: i32::try_from(replicas).expect("small"),
                        source: ScaleSource::Hpa,
                        decision: None,
                        resets_direction: false,
                    });
                }
            }
            let window = SimDuration::from_secs(600);
            let starts = match_starts(&events, SimTime::ZERO, t, window);
            let ups: i64 = events.iter().map(|event| event.change().max(0)).sum();
            prop_assert_eq!(starts.len() as i64, ups);
            let removed = starts.iter().filter(|start| start.removed.is_some()).count() as i64;
            let downs: i64 = events.iter().map(|event| (-event.change()).max(0)).sum();
            prop_assert!(removed <= downs);
            for start in &starts {
                prop_assert!(start.removed.is_none_or(|removed| removed > start.t));
                if start.fate == StartFate::Censored {
                    prop_assert!(start.removed.is_none() && t.since(start.t) < window);
                }
            }
        }
    }
}

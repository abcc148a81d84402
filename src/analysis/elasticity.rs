//! SPEC's elasticity metrics over the same need (verdicts.md 1.7), as complements of the flap figures: instability also counts
//! lag, and jitter sets a missing adaptation off against a needless one.
//!
//! Source: Herbst et al., "Ready for Rain?", SPEC-RG-2016-01; the formulas in the form that verdicts.md 1.7 gives.

use crate::analysis::Need;
use crate::analysis::flapping::measured;
use crate::record::{PodRecord, RunRecord};
use crate::units::{SimDuration, SimTime};

/// Supply (ready replicas) against demand (the need); shares from 0 up, jitter per hour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Elasticity {
    /// thetaU: missing replicas over the demand.
    pub under_provisioning: f64,
    /// thetaO: replicas too many over the demand.
    pub over_provisioning: f64,
    /// tauU: share of time with too few.
    pub under_time: f64,
    /// tauO: share of time with too many.
    pub over_time: f64,
    /// Share of steps in which supply and demand do not move alike.
    pub instability: f64,
    /// Changes of supply minus changes of demand, per hour; above 0 nervous, below 0 inert.
    pub jitter_per_hour: f64,
}

/// Step of the comparison.
const STEP: SimDuration = SimDuration::from_secs(15);

/// The metrics of a series of equally long steps of `step`; `None` for fewer than two.
///
/// # Panics
/// When the two are not equally long.
pub fn elasticity_of(demand: &[i32], supply: &[i32], step: SimDuration) -> Option<Elasticity> {
    assert_eq!(demand.len(), supply.len(), "one supply per demand");
    if demand.len() < 2 {
        return None;
    }
    let steps = demand.len() as f64;
    let pairs = || demand.iter().zip(supply).map(|(d, s)| (f64::from(*d), f64::from(*s)));
    let share = |part: &dyn Fn(f64, f64) -> f64| pairs().map(|(d, s)| part(d, s)).sum::<f64>() / steps;
    let moves = |series: &[i32]| series.windows(2).map(|pair| (pair[1] - pair[0]).signum()).collect::<Vec<i32>>();
    let (demanded, supplied) = (moves(demand), moves(supply));
    let unlike = demanded.iter().zip(&supplied).filter(|(d, s)| d != s).count();
    let changes = |moves: &[i32]| moves.iter().filter(|sign| **sign != 0).count() as f64;
    Some(Elasticity {
        under_provisioning: share(&|d, s| (d - s).max(0.0) / d.max(1.0)),
        over_provisioning: share(&|d, s| (s - d).max(0.0) / d.max(1.0)),
        under_time: share(&|d, s| f64::from(u8::from(s < d))),
        over_time: share(&|d, s| f64::from(u8::from(s > d))),
        instability: unlike as f64 / (steps - 1.0),
        jitter_per_hour: (changes(&supplied) - changes(&demanded)) / (steps * step.as_secs_f64_exact() / 3600.0),
    })
}

/// The metrics of the measured time, in steps of 15 s.
pub fn elasticity(record: &RunRecord, need: &Need) -> Option<Elasticity> {
    let (start, _) = measured(record);
    let mut instants = Vec::new();
    let mut at = start;
    while at < record.info.end {
        instants.push(at);
        at += STEP;
    }
    let demand: Vec<i32> = instants.iter().map(|at| need.at(*at)).collect();
    elasticity_of(&demand, &ready_at(&record.pods, &instants), STEP)
}

/// Ready replicas at each of `instants`, which are in order.
fn ready_at(pods: &[PodRecord], instants: &[SimTime]) -> Vec<i32> {
    let mut changes: Vec<(SimTime, i32)> = Vec::new();
    for pod in pods {
        let Some(ready) = pod.ready else { continue };
        let until = pod.deleted.or(pod.gone).unwrap_or(SimTime::NEVER);
        if ready < until {
            changes.extend([(ready, 1), (until, -1)]);
        }
    }
    changes.sort_unstable();
    let (mut next, mut ready) = (0, 0);
    let count = |at: &SimTime| {
        while let Some((_, change)) = changes.get(next).filter(|(when, _)| when <= at) {
            ready += change;
            next += 1;
        }
        ready
    };
    instants.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_a_late_policy() {
        let demand = [1, 1, 2, 3, 3, 2, 1, 1, 1, 1];
        let supply = [1, 1, 1, 1, 2, 3, 3, 3, 2, 1];
        let found = elasticity_of(&demand, &supply, SimDuration::from_secs(60)).expect("ten steps");
        let close = |left: f64, right: f64| (left - right).abs() < 5e-4;
        assert!(close(found.under_provisioning, 0.15), "{found:?}");
        assert!(close(found.over_provisioning, 0.55), "{found:?}");
        assert!(close(found.under_time, 0.3) && close(found.over_time, 0.4), "{found:?}");
        assert!(close(found.instability, 0.7778), "{found:?}");
        assert_eq!(found.jitter_per_hour, 0.0);
    }

    #[test]
    fn a_demand_of_zero_counts_as_one_and_short_series_say_nothing() {
        let found = elasticity_of(&[0, 0], &[2, 2], STEP).expect("two steps");
        assert_eq!((found.over_provisioning, found.over_time), (2.0, 1.0));
        assert_eq!(elasticity_of(&[1], &[1], STEP), None);
    }
}

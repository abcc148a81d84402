//! The windows' edges, and the misreadings of hpa.md section 13 that concern them (3, 4, 5, 7, 8).

use super::*;
use crate::hpa::{Policy, PolicyKind, SelectPolicy};

fn rules(window_seconds: u64) -> ScalingRules {
    ScalingRules {
        stabilization_window: SimDuration::from_secs(window_seconds),
        select_policy: SelectPolicy::Max,
        policies: vec![Policy { kind: PolicyKind::Percent, value: 100, period: SimDuration::from_secs(15) }],
        tolerance: None,
    }
}

/// Recommendations as (replicas, age in milliseconds).
type Aged = &'static [(i32, u64)];

/// Recommendations at the sync, which is at 1000 s.
fn recommendations(aged: &[(i32, u64)]) -> Vec<Recommendation> {
    let entry = |&(replicas, age): &(i32, u64)| Recommendation { replicas, at: SimTime::from_millis(1_000_000 - age) };
    aged.iter().map(entry).collect()
}

const NOW: SimTime = SimTime::from_secs(1000);

#[test]
fn without_behavior_the_window_is_a_maximum() {
    let table: [(Aged, i32, i32, &str); 5] = [
        (&[(8, 299_999)], 1, 8, "a peak inside the window holds the count up"),
        (&[(8, 300_000)], 1, 8, "exactly at the cut-off still counts (HPA-NB-3)"),
        (&[(8, 300_001)], 1, 1, "a millisecond older does not"),
        (&[(10, 60_000)], 4, 10, "misreading 7: a past peak adds pods, whatever the current count"),
        (&[(2, 15_000)], 5, 5, "nothing holds back a rise"),
    ];
    for (aged, desired, expected, why) in table {
        let mut list = recommendations(aged);
        let stabilized = stabilize_without_behavior(&mut list, desired, NOW, SimDuration::from_secs(300));
        assert_eq!(stabilized.replicas, expected, "{why}");
        let condition =
            if expected == desired { AbleToScale::ReadyForNewScale } else { AbleToScale::ScaleDownStabilized };
        assert_eq!(stabilized.condition, condition, "{why}");
    }
}

/// (recommendations, current, desired, scale-up window s, scale-down window s, expected, condition, why).
type WithBehaviorRow = (Aged, i32, i32, u64, u64, i32, AbleToScale, &'static str);

#[test]
fn with_behavior_current_is_kept_between_two_windows() {
    use AbleToScale::{ReadyForNewScale, ScaleDownStabilized, ScaleUpStabilized};
    let table: [WithBehaviorRow; 11] = [
        (&[(2, 29_999)], 2, 9, 30, 0, 2, ScaleUpStabilized, "a low sample inside the scale-up window holds"),
        (&[(2, 30_000)], 2, 9, 30, 0, 9, ReadyForNewScale, "exactly one window old is out (HPA-STAB-2)"),
        (&[(5, 15_010)], 2, 9, 30, 0, 5, ScaleUpStabilized, "misreading 3: to the minimum, not the latest"),
        (&[(2, 15_010)], 2, 9, 15, 0, 9, ReadyForNewScale, "misreading 5: a 15 s window holds one sample"),
        (&[(2, 0)], 2, 9, 0, 0, 9, ReadyForNewScale, "window 0: even a sample of this instant is out"),
        (&[(8, 59_999)], 8, 1, 0, 60, 8, ScaleDownStabilized, "a high sample inside the scale-down window holds"),
        (&[(8, 60_000)], 8, 1, 0, 60, 1, ReadyForNewScale, "exactly one window old is out"),
        (&[(8, 250_000), (5, 20_000)], 8, 1, 0, 60, 5, ScaleDownStabilized, "down to the highest of the window"),
        (&[(9, 10_000)], 4, 2, 0, 60, 4, ScaleDownStabilized, "unlike without behavior, an old peak adds no pods"),
        (&[(1, 10_000)], 4, 6, 60, 0, 4, ScaleUpStabilized, "an old dip removes none"),
        (&[(1, 10_000), (9, 5_000)], 4, 6, 60, 60, 4, ScaleUpStabilized, "current lies between: it stays"),
    ];
    for (aged, current, desired, up, down, expected, condition, why) in table {
        let mut list = recommendations(aged);
        let (up, down) = (rules(up), rules(down));
        let stabilized = stabilize_with_behavior(&mut list, current, desired, NOW, (&up, &down));
        assert_eq!((stabilized.replicas, stabilized.condition), (expected, condition), "{why}");
        assert_eq!(stabilized.window.is_some(), condition != ReadyForNewScale, "{why}");
        assert!(
            list.contains(&Recommendation { replicas: desired, at: NOW }),
            "misreading 8: the raw value is remembered ({why})"
        );
    }
}

/// (recommendations, current, desired, scale-up window s, scale-down window s, whose, its window, replicas, age ms, why).
type NamedRow = (Aged, i32, i32, u64, u64, Direction, u64, i32, u64, &'static str);

#[test]
fn the_deciding_recommendation_is_named_with_its_age() {
    use Direction::{Down, Up};
    let table: [NamedRow; 6] = [
        (&[(8, 59_000), (5, 20_000)], 8, 1, 30, 60, Down, 60, 8, 59_000, "the highest, not the latest"),
        (&[(8, 50_000), (8, 10_000)], 8, 1, 30, 60, Down, 60, 8, 10_000, "of equals the youngest holds longest"),
        (&[(8, 10_000), (8, 50_000)], 8, 1, 30, 60, Down, 60, 8, 10_000, "in whatever order they stand"),
        (&[(9, 10_000)], 4, 2, 30, 60, Down, 60, 9, 10_000, "9 keeps the current 4: the reason is the 9"),
        (&[(5, 29_000), (7, 10_000)], 2, 9, 30, 60, Up, 30, 5, 29_000, "up to the lowest"),
        (&[(1, 10_000)], 4, 6, 60, 0, Up, 60, 1, 10_000, "1 keeps the current 4: the reason is the 1"),
    ];
    for (aged, current, desired, up, down, direction, window, replicas, age, why) in table {
        let (up, down) = (rules(up), rules(down));
        let mut list = recommendations(aged);
        let found = stabilize_with_behavior(&mut list, current, desired, NOW, (&up, &down)).window;
        let recommendation = recommendations(&[(replicas, age)])[0];
        let (window, age) = (SimDuration::from_secs(window), NOW.since(recommendation.at));
        assert_eq!(found, Some(WindowReason { direction, window, recommendation, age }), "{why}");
    }
    let mut list = recommendations(&[(6, 300_000), (6, 90_000), (5, 20_000)]);
    let found = stabilize_without_behavior(&mut list, 1, NOW, SimDuration::from_secs(300)).window;
    let found = found.map(|reason| (reason.direction, reason.recommendation.replicas, reason.age));
    assert_eq!(found, Some((Down, 6, SimDuration::from_secs(90))), "without behavior: the youngest of the highest");
    let mut equal = recommendations(&[(4, 20_000)]);
    assert_eq!(stabilize_without_behavior(&mut equal, 4, NOW, SimDuration::from_secs(300)).window, None, "at rest");
}

#[test]
fn a_slot_is_reused_only_when_both_windows_have_passed() {
    let (up, down) = (rules(0), rules(60));
    let sizes = [(59_999, 2, "scale-down still needs it"), (60_000, 2, "at the edge it is kept"), (60_001, 1, "free")];
    for (age, size, why) in sizes {
        let mut list = recommendations(&[(3, age)]);
        stabilize_with_behavior(&mut list, 3, 3, NOW, (&up, &down));
        assert_eq!(list.len(), size, "{why}");
    }
    let mut list = recommendations(&[(3, 400_000), (4, 500_000)]);
    stabilize_without_behavior(&mut list, 7, NOW, SimDuration::from_secs(300));
    let expected = [recommendations(&[(3, 400_000)])[0], Recommendation { replicas: 7, at: NOW }];
    assert_eq!(list, expected, "the last free slot is taken");
}

//! Policies and limits, and the misreadings of hpa.md section 13 that concern them (6, 9, 10, 11, 19, 20).

use super::*;
use crate::hpa::Policy;

const NOW: SimTime = SimTime::from_secs(1000);

fn policy(kind: PolicyKind, value: i32, period: u64) -> Policy {
    Policy { kind, value, period: SimDuration::from_secs(period) }
}

fn rules(select_policy: SelectPolicy, policies: &[Policy]) -> ScalingRules {
    ScalingRules {
        stabilization_window: SimDuration::ZERO,
        select_policy,
        policies: policies.to_vec(),
        tolerance: None,
    }
}

fn up_limit(current: i32, rules: &ScalingRules, events: Events<'_>, now: SimTime) -> i32 {
    rate_limit(Direction::Up, current, rules, events, now).0
}

fn down_limit(current: i32, rules: &ScalingRules, events: Events<'_>, now: SimTime) -> i32 {
    rate_limit(Direction::Down, current, rules, events, now).0
}

/// Events as (change, age in milliseconds).
type Aged = &'static [(i32, u64)];

fn state(up: &[(i32, u64)], down: &[(i32, u64)]) -> HpaState {
    let events = |aged: &[(i32, u64)]| {
        let event = |&(change, age): &(i32, u64)| ScaleEvent {
            change,
            at: SimTime::from_millis(1_000_000 - age),
            outdated: false,
        };
        aged.iter().map(event).collect()
    };
    HpaState { scale_up_events: events(up), scale_down_events: events(down), ..HpaState::default() }
}

#[test]
fn percentages_carry_float_noise() {
    let table = [
        (100, 10, 111, "misreading 9: 100 * 1.1 is 110.00000000000001"),
        (50, 10, 56, "and so is half of it"),
        (25, 12, 29, "25 * 1.12 is 28.000000000000004"),
        (10, 100, 20, "no noise here"),
        (1, 1, 2, "one percent of one adds one"),
        (7, i32::MAX, 150_323_863, "a huge percentage is just a large limit"),
    ];
    for (current, percent, expected, why) in table {
        let up = rules(SelectPolicy::Max, &[policy(PolicyKind::Percent, percent, 15)]);
        assert_eq!(up_limit(current, &up, Events::of(&HpaState::default()), NOW), expected, "{why}");
    }
    let table = [
        (10, 80, 1, "10 * 0.19999999999999996 is cut to 1"),
        (5, 80, 0, "and of 5 to 0"),
        (10, 90, 0, "10 * 0.09999999999999998"),
        (5, 10, 4, "percent down always removes one"),
        (4, 300, -8, "beyond 100 % the limit is negative: min decides"),
    ];
    for (current, percent, expected, why) in table {
        let down = rules(SelectPolicy::Max, &[policy(PolicyKind::Percent, percent, 15)]);
        assert_eq!(down_limit(current, &down, Events::of(&HpaState::default()), NOW), expected, "{why}");
    }
}

#[test]
fn the_selected_policy_decides() {
    let policies = [policy(PolicyKind::Pods, 4, 15), policy(PolicyKind::Percent, 100, 15)];
    let empty = HpaState::default();
    let table = [
        (SelectPolicy::Max, 1, 5, -3, "misreading 6: 1 -> 5 by Pods 4, where no behavior gives 4"),
        (SelectPolicy::Max, 10, 20, 0, "percent is larger from 5 on"),
        (SelectPolicy::Min, 10, 14, 6, "Min: the smaller change in both directions"),
        (SelectPolicy::Disabled, 10, 10, 10, "Disabled: no change"),
    ];
    for (select, current, up, down, why) in table {
        let rules = rules(select, &policies);
        assert_eq!(up_limit(current, &rules, Events::of(&empty), NOW), up, "{why}");
        assert_eq!(down_limit(current, &rules, Events::of(&empty), NOW), down, "{why}");
    }
}

#[test]
fn events_of_both_directions_are_charged() {
    let up = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 2, 60)]);
    let table: [(Aged, Aged, i32, &str); 5] = [
        (&[(2, 59_999)], &[], 10, "the budget is spent: start 8, plus 2"),
        (&[(2, 60_000)], &[], 12, "exactly one period old is free again (HPA-POL-3)"),
        (&[(5, 30_000)], &[], 7, "a limit below current (another policy's doing)"),
        (&[], &[(3, 30_000)], 15, "misreading 10: what was removed may come back, plus 2"),
        (&[(1, 10_000), (1, 20_000)], &[(4, 30_000)], 14, "all of them are summed"),
    ];
    for (ups, downs, expected, why) in table {
        assert_eq!(up_limit(10, &up, Events::of(&state(ups, downs)), NOW), expected, "{why}");
    }
    let down = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 2, 60)]);
    assert_eq!(down_limit(10, &down, Events::of(&state(&[(3, 5)], &[])), NOW), 5, "added pods may go again, plus 2");
}

#[test]
fn limits_of_the_direction_of_travel() {
    use ScalingLimited::{DesiredWithinRange, ScaleDownLimit, ScaleUpLimit, TooFewReplicas, TooManyReplicas};
    let up = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 2, 60)]);
    let down = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 3, 60)]);
    let fresh = HpaState::default();
    let spent = state(&[(5, 30_000)], &[]);
    let table = [
        (&fresh, 12, 1, 20, 12, DesiredWithinRange, "exactly the limit is within"),
        (&fresh, 13, 1, 20, 12, ScaleUpLimit, "one more is not"),
        (&fresh, 13, 1, 12, 12, TooManyReplicas, "misreading 20: a tie is named after max"),
        (&spent, 12, 1, 20, 10, ScaleUpLimit, "a limit below current never scales down (HPA-POL-5)"),
        (&fresh, 7, 1, 20, 7, DesiredWithinRange, "exactly the lower limit"),
        (&fresh, 6, 1, 20, 7, ScaleDownLimit, "one fewer is not"),
        (&fresh, 6, 7, 20, 7, TooFewReplicas, "a tie is named after min"),
        (&fresh, 10, 1, 20, 10, DesiredWithinRange, "no travel, no limit"),
    ];
    for (state, stabilized, min, max, replicas, condition, why) in table {
        let limited = limit_with_behavior(10, stabilized, (min, max), (&up, &down), Events::of(state), NOW);
        assert_eq!((limited.replicas, limited.condition), (replicas, condition), "{why}");
        assert_eq!(limited.by.is_some(), condition != DesiredWithinRange, "{why}");
    }
}

#[test]
fn the_deciding_policy_is_named() {
    let pods = policy(PolicyKind::Pods, 4, 60);
    let percent = policy(PolicyKind::Percent, 100, 15);
    let twin = policy(PolicyKind::Pods, 10, 15);
    // Since 60 s: 3 added; since 15 s: nothing.
    let events = state(&[(3, 30_000)], &[]);
    let policy_of = |direction, index, policy, period_start, limit| {
        Some(LimitReason::Policy { direction, index, policy, period_start, limit })
    };
    let (up, down) = (Direction::Up, Direction::Down);
    let table = [
        (up, SelectPolicy::Max, vec![pods, percent], policy_of(up, 1, percent, 10, 20), "the larger change"),
        (up, SelectPolicy::Min, vec![pods, percent], policy_of(up, 0, pods, 7, 11), "the smaller, from 3 fewer"),
        (up, SelectPolicy::Max, vec![percent, twin], policy_of(up, 0, percent, 10, 20), "the first of equals"),
        (up, SelectPolicy::Min, vec![percent, twin], policy_of(up, 0, percent, 10, 20), "the first of equals"),
        (up, SelectPolicy::Disabled, vec![pods], Some(LimitReason::Disabled(up)), "Disabled names no policy"),
        (down, SelectPolicy::Max, vec![pods, twin], policy_of(down, 1, twin, 10, 0), "the larger change is downwards"),
        (down, SelectPolicy::Min, vec![twin, pods], policy_of(down, 1, pods, 7, 3), "the smaller"),
        (down, SelectPolicy::Disabled, vec![pods], Some(LimitReason::Disabled(down)), "Disabled names no policy"),
    ];
    for (direction, select, policies, expected, why) in table {
        let rules = rules(select, &policies);
        let wanted = if direction == up { 90 } else { -90 };
        let limited = limit_with_behavior(10, wanted, (-99, 99), (&rules, &rules), Events::of(&events), NOW);
        assert_eq!(limited.by, expected, "{why}");
    }
    let spent = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 2, 60)]);
    let limited = limit_with_behavior(10, 12, (1, 99), (&spent, &spent), Events::of(&events), NOW);
    let expected = policy_of(up, 0, spent.policies[0], 7, 9);
    assert_eq!((limited.replicas, limited.by), (10, expected), "the policy allows 9, so the count stays at 10");
}

#[test]
fn without_behavior_the_limit_is_absolute() {
    use ScalingLimited::{DesiredWithinRange, ScaleUpLimit, TooFewReplicas, TooManyReplicas};
    let table = [
        (1, 10, 1, 20, 4, ScaleUpLimit, "at least 4"),
        (3, 10, 1, 20, 6, ScaleUpLimit, "else twice the current count"),
        (3, 10, 1, 6, 6, TooManyReplicas, "a tie is named after max (HPA-NB-5)"),
        (10, 0, 1, 20, 1, TooFewReplicas, "below min"),
        (10, 2, 1, 20, 2, DesiredWithinRange, "no limit downwards"),
    ];
    for (current, stabilized, min, max, replicas, condition, why) in table {
        let limited = limit_without_behavior(current, stabilized, min, max);
        assert_eq!((limited.replicas, limited.condition), (replicas, condition), "{why}");
        let by = match condition {
            DesiredWithinRange => None,
            TooManyReplicas => Some(LimitReason::MaxReplicas(max)),
            TooFewReplicas => Some(LimitReason::MinReplicas(min)),
            _ => Some(LimitReason::BuiltIn { limit: replicas }),
        };
        assert_eq!(limited.by, by, "{why}");
    }
}

#[test]
fn events_are_stored_only_with_behavior_and_in_free_slots() {
    let up = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 2, 30)]);
    let down = rules(SelectPolicy::Max, &[policy(PolicyKind::Pods, 2, 600)]);
    let behavior = (up, down);
    let mut none = HpaState::default();
    store_scale_event(&mut none, None, 1, 4, NOW);
    assert_eq!(none, HpaState::default(), "without behavior nothing is stored (HPA-EVT-1)");

    let mut young = state(&[(1, 30_000)], &[]);
    store_scale_event(&mut young, Some(&behavior), 1, 4, NOW);
    assert_eq!(young.scale_up_events.len(), 2, "exactly one period old keeps its slot");

    let mut old = state(&[(1, 30_001)], &[]);
    store_scale_event(&mut old, Some(&behavior), 1, 4, NOW);
    let stored = ScaleEvent { change: 3, at: NOW, outdated: false };
    assert_eq!(old.scale_up_events, [stored], "overwritten although scaleDown's 600 s still needs it (HPA-EVT-3)");

    store_scale_event(&mut old, Some(&behavior), 4, 2, NOW);
    let stored = ScaleEvent { change: 2, at: NOW, outdated: false };
    assert_eq!(old.scale_down_events, [stored], "a decrease is stored as a positive change on its own list");
}

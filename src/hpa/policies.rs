//! How far one sync may move the count: the built-in limit, scaling policies, minimum and maximum, and the store of
//! scale events that policies are charged against (hpa.md sections 8 and 9.2 to 9.4).
//!
//! Source: `calculateScaleUpLimit`, `convertDesiredReplicasWithRules`, `convertDesiredReplicasWithBehaviorRate`,
//! `calculateScaleUpLimitWithScalingRules`, `calculateScaleDownLimitWithBehaviors`, `storeScaleEvent` (`horizontal.go`).

use crate::hpa::go_numbers::to_i32;
use crate::hpa::{
    Direction, HpaState, LimitReason, Policy, PolicyKind, ScaleEvent, ScalingLimited, ScalingRules, SelectPolicy,
};
use crate::units::{SimDuration, SimTime};

/// What the limits made of the stabilized count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limited {
    /// Replicas after the limits.
    pub(super) replicas: i32,
    /// Condition ScalingLimited.
    pub(super) condition: ScalingLimited,
    /// Which limit it was.
    pub(super) by: Option<LimitReason>,
}

impl Limited {
    fn within_range(replicas: i32) -> Self {
        Limited { replicas, condition: ScalingLimited::DesiredWithinRange, by: None }
    }

    fn at_max(max: i32) -> Self {
        Limited { replicas: max, condition: ScalingLimited::TooManyReplicas, by: Some(LimitReason::MaxReplicas(max)) }
    }

    fn at_min(min: i32) -> Self {
        Limited { replicas: min, condition: ScalingLimited::TooFewReplicas, by: Some(LimitReason::MinReplicas(min)) }
    }
}

/// The scale events of both directions, as policies see them.
#[derive(Clone, Copy)]
pub(super) struct Events<'s> {
    up: &'s [ScaleEvent],
    down: &'s [ScaleEvent],
}

impl<'s> Events<'s> {
    pub(super) fn of(state: &'s HpaState) -> Self {
        Events { up: &state.scale_up_events, down: &state.scale_down_events }
    }

    /// The count at the start of the policy's period (HPA-POL-2): events of both directions are credited, for both
    /// directions. Changes made by others are no events; they just change `current`.
    fn replicas_at_start(self, current: i32, period: SimDuration, now: SimTime) -> i32 {
        let sum = |events: &[ScaleEvent]| {
            // HPA-POL-3: strict, an event exactly one period old is free again.
            let recent = events.iter().filter(|event| event.at.saturating_add(period) > now);
            recent.fold(0i32, |total, event| total.wrapping_add(event.change))
        };
        current.wrapping_sub(sum(self.up)).wrapping_add(sum(self.down))
    }
}

/// Without behavior (`convertDesiredReplicasWithRules`).
pub(super) fn limit_without_behavior(current: i32, stabilized: i32, min: i32, max: i32) -> Limited {
    // HPA-NB-4: at most max(2 * current, 4) per sync, an absolute limit with no memory.
    let up_limit = to_i32((2.0 * f64::from(current)).max(4.0));
    // HPA-NB-5: a tie between maxReplicas and the rate limit is reported as TooManyReplicas.
    let highest = if max > up_limit {
        let by = Some(LimitReason::BuiltIn { limit: up_limit });
        Limited { replicas: up_limit, condition: ScalingLimited::ScaleUpLimit, by }
    } else {
        Limited::at_max(max)
    };
    if stabilized < min {
        Limited::at_min(min)
    } else if stabilized > highest.replicas {
        highest
    } else {
        Limited::within_range(stabilized)
    }
}

/// With behavior (`convertDesiredReplicasWithBehaviorRate`): only the limits of the direction of travel apply.
pub(super) fn limit_with_behavior(
    current: i32,
    stabilized: i32,
    (min, max): (i32, i32),
    (up, down): (&ScalingRules, &ScalingRules),
    events: Events<'_>,
    now: SimTime,
) -> Limited {
    if stabilized > current {
        let (limit, by) = rate_limit(Direction::Up, current, up, events, now);
        // HPA-POL-5: a limit below the current count never turns a scale-up into a scale-down.
        let limit = limit.max(current);
        let top = if max > limit {
            Limited { replicas: limit, condition: ScalingLimited::ScaleUpLimit, by: Some(by) }
        } else {
            Limited::at_max(max)
        };
        if stabilized > top.replicas {
            return top;
        }
    } else if stabilized < current {
        let (limit, by) = rate_limit(Direction::Down, current, down, events, now);
        let limit = limit.min(current);
        let bottom = if min < limit {
            Limited { replicas: limit, condition: ScalingLimited::ScaleDownLimit, by: Some(by) }
        } else {
            Limited::at_min(min)
        };
        if stabilized < bottom.replicas {
            return bottom;
        }
    }
    Limited::within_range(stabilized)
}

/// How far the policies of one direction let the count go, and which of them says so
/// (`calculateScaleUpLimitWithScalingRules`, `calculateScaleDownLimitWithBehaviors`). Rules without a policy, which
/// validation keeps out, allow no change.
fn rate_limit(
    direction: Direction,
    current: i32,
    rules: &ScalingRules,
    events: Events<'_>,
    now: SimTime,
) -> (i32, LimitReason) {
    let highest = match (direction, rules.select_policy) {
        (_, SelectPolicy::Disabled) => return (current, LimitReason::Disabled(direction)),
        // "Max" is the largest change, which downwards is the smallest count.
        (Direction::Up, SelectPolicy::Max) | (Direction::Down, SelectPolicy::Min) => true,
        (Direction::Up, SelectPolicy::Min) | (Direction::Down, SelectPolicy::Max) => false,
    };
    let mut chosen: Option<(i32, LimitReason)> = None;
    for (index, policy) in rules.policies.iter().enumerate() {
        let period_start = events.replicas_at_start(current, policy.period, now);
        let limit = policy.allows(direction, period_start);
        let is_further = chosen.is_none_or(|(best, _)| if highest { limit > best } else { limit < best });
        if is_further {
            let reason = LimitReason::Policy { direction, index, policy: *policy, period_start, limit };
            chosen = Some((limit, reason));
        }
    }
    chosen.unwrap_or((current, LimitReason::Disabled(direction)))
}

impl Policy {
    /// What it allows, from the count at the start of its period (`calculateScaleUpLimitWithScalingRules`,
    /// `calculateScaleDownLimitWithBehaviors`).
    pub fn allows(&self, direction: Direction, start: i32) -> i32 {
        let part = f64::from(self.value) / 100.0;
        match (direction, self.kind) {
            (Direction::Up, PolicyKind::Pods) => start.wrapping_add(self.value),
            // HPA-POL-1: 1 + v/100 is one double before the product, so 10 % of 100 gives 111 and of 50 gives 56.
            (Direction::Up, PolicyKind::Percent) => to_i32((f64::from(start) * (1.0 + part)).ceil()),
            (Direction::Down, PolicyKind::Pods) => start.wrapping_sub(self.value),
            // HPA-POL-4: cut towards zero, not rounded up: at least one pod always goes (80 % of 5 leaves 0, by noise).
            (Direction::Down, PolicyKind::Percent) => to_i32(f64::from(start) * (1.0 - part)),
        }
    }
}

/// Remembers a rescale (`storeScaleEvent`). Without behavior nothing is stored (HPA-EVT-1); jumps into min..max are
/// stored like any other (HPA-EVT-2).
pub(super) fn store_scale_event(
    state: &mut HpaState,
    behavior: Option<&(ScalingRules, ScalingRules)>,
    previous: i32,
    new: i32,
    now: SimTime,
) {
    let Some((up, down)) = behavior else { return };
    let (events, rules) =
        if new > previous { (&mut state.scale_up_events, up) } else { (&mut state.scale_down_events, down) };
    // HPA-EVT-3: only the direction's own longest period decides which slot is free, although the other direction's
    // policies read the event too; a longer period over there can lose an event it still needs.
    let longest = rules.policies.iter().map(|policy| policy.period).max().unwrap_or(SimDuration::ZERO);
    let mut slot = None;
    for (index, event) in events.iter_mut().enumerate() {
        if event.at.saturating_add(longest) < now {
            event.outdated = true;
        }
        if event.outdated {
            slot = Some(index);
        }
    }
    let event = ScaleEvent { change: new.wrapping_sub(previous).wrapping_abs(), at: now, outdated: false };
    match slot {
        Some(index) => events[index] = event,
        None => events.push(event),
    }
}

#[cfg(test)]
#[path = "policies_tests.rs"]
mod tests;

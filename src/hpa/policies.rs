//! How far one sync may move the count: the built-in limit, scaling policies, minimum and maximum, and the store of
//! scale events that policies are charged against (hpa.md sections 8 and 9.2 to 9.4).
//!
//! Source: `calculateScaleUpLimit`, `convertDesiredReplicasWithRules`, `convertDesiredReplicasWithBehaviorRate`,
//! `calculateScaleUpLimitWithScalingRules`, `calculateScaleDownLimitWithBehaviors`, `storeScaleEvent` (`horizontal.go`).

use crate::hpa::go_numbers::to_i32;
use crate::hpa::{HpaState, PolicyKind, ScaleEvent, ScalingLimited, ScalingRules, SelectPolicy};
use crate::units::{SimDuration, SimTime};

/// What the limits made of the stabilized count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limited {
    /// Replicas after the limits.
    pub(super) replicas: i32,
    /// Condition ScalingLimited.
    pub(super) condition: ScalingLimited,
}

impl Limited {
    fn within_range(replicas: i32) -> Self {
        Limited { replicas, condition: ScalingLimited::DesiredWithinRange }
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
    let (highest, reason) =
        if max > up_limit { (up_limit, ScalingLimited::ScaleUpLimit) } else { (max, ScalingLimited::TooManyReplicas) };
    if stabilized < min {
        Limited { replicas: min, condition: ScalingLimited::TooFewReplicas }
    } else if stabilized > highest {
        Limited { replicas: highest, condition: reason }
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
        // HPA-POL-5: a limit below the current count never turns a scale-up into a scale-down.
        let limit = up_limit(current, up, events, now).max(current);
        let (top, reason) =
            if max > limit { (limit, ScalingLimited::ScaleUpLimit) } else { (max, ScalingLimited::TooManyReplicas) };
        if stabilized > top {
            return Limited { replicas: top, condition: reason };
        }
    } else if stabilized < current {
        let limit = down_limit(current, down, events, now).min(current);
        let (bottom, reason) =
            if min < limit { (limit, ScalingLimited::ScaleDownLimit) } else { (min, ScalingLimited::TooFewReplicas) };
        if stabilized < bottom {
            return Limited { replicas: bottom, condition: reason };
        }
    }
    Limited::within_range(stabilized)
}

/// The highest count the scale-up policies allow (`calculateScaleUpLimitWithScalingRules`).
fn up_limit(current: i32, rules: &ScalingRules, events: Events<'_>, now: SimTime) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let start = events.replicas_at_start(current, policy.period, now);
        match policy.kind {
            PolicyKind::Pods => start.wrapping_add(policy.value),
            // HPA-POL-1: 1 + v/100 is one double before the product, so 10 % of 100 gives 111 and of 50 gives 56.
            PolicyKind::Percent => {
                let product: f64 = f64::from(start) * (1.0 + f64::from(policy.value) / 100.0);
                to_i32(product.ceil())
            }
        }
    });
    match rules.select_policy {
        SelectPolicy::Disabled => current,
        SelectPolicy::Max => allowed.max().unwrap_or(i32::MIN),
        SelectPolicy::Min => allowed.min().unwrap_or(i32::MAX),
    }
}

/// The lowest count the scale-down policies allow (`calculateScaleDownLimitWithBehaviors`).
fn down_limit(current: i32, rules: &ScalingRules, events: Events<'_>, now: SimTime) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let start = events.replicas_at_start(current, policy.period, now);
        match policy.kind {
            PolicyKind::Pods => start.wrapping_sub(policy.value),
            // HPA-POL-4: cut towards zero, not rounded up: at least one pod always goes (80 % of 5 leaves 0, by noise).
            PolicyKind::Percent => to_i32(f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)),
        }
    });
    match rules.select_policy {
        SelectPolicy::Disabled => current,
        // "Max" is the largest change, which downwards is the smallest count.
        SelectPolicy::Max => allowed.min().unwrap_or(i32::MAX),
        SelectPolicy::Min => allowed.max().unwrap_or(i32::MIN),
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

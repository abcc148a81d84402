//! The stabilization windows over raw recommendations (hpa.md sections 8 and 9.1).
//!
//! Source: `stabilizeRecommendation` (without behavior) and `stabilizeRecommendationWithBehaviors` in `horizontal.go`.
//! Must not apply policies, minimum or maximum: those come after (HPA-ORDER-2).

use crate::hpa::{AbleToScale, Recommendation, ScalingRules};
use crate::units::{SimDuration, SimTime};

/// What a window made of the raw proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stabilized {
    /// Replicas after the windows.
    pub(super) replicas: i32,
    /// Condition AbleToScale.
    pub(super) condition: AbleToScale,
}

/// Without behavior: the maximum over the downscale stabilization window (HPA-NB-1).
///
/// The maximum is not bounded by the current count, so an old peak can still add pods (HPA-NB-2).
pub(super) fn stabilize_without_behavior(
    recommendations: &mut Vec<Recommendation>,
    desired: i32,
    now: SimTime,
    window: SimDuration,
) -> Stabilized {
    let mut highest = desired;
    let mut slot = None;
    for (index, old) in recommendations.iter().enumerate() {
        // HPA-NB-3: a recommendation exactly at the cut-off still counts.
        if old.at.saturating_add(window) < now {
            slot = Some(index);
        } else {
            highest = highest.max(old.replicas);
        }
    }
    record(recommendations, slot, desired, now);
    let condition = if highest == desired { AbleToScale::ReadyForNewScale } else { AbleToScale::ScaleDownStabilized };
    Stabilized { replicas: highest, condition }
}

/// With behavior: the current count, brought between the lowest recommendation of the scale-up window and the highest
/// of the scale-down window (HPA-STAB-1).
pub(super) fn stabilize_with_behavior(
    recommendations: &mut Vec<Recommendation>,
    current: i32,
    desired: i32,
    now: SimTime,
    (up, down): (&ScalingRules, &ScalingRules),
) -> Stabilized {
    let (mut lowest, mut highest) = (desired, desired);
    let mut slot = None;
    for (index, old) in recommendations.iter().enumerate() {
        let up_end = old.at.saturating_add(up.stabilization_window);
        let down_end = old.at.saturating_add(down.stabilization_window);
        // HPA-STAB-2: strict, unlike without behavior: a recommendation exactly one window old is out.
        if up_end > now {
            lowest = lowest.min(old.replicas);
        }
        if down_end > now {
            highest = highest.max(old.replicas);
        }
        // One list serves both windows, so a slot is free only when both have passed it, strictly.
        if up_end < now && down_end < now {
            slot = Some(index);
        }
    }
    let mut replicas = current;
    if replicas < lowest {
        replicas = lowest;
    }
    if replicas > highest {
        replicas = highest;
    }
    // HPA-STAB-3: the raw proposal is what is remembered, not the stabilized one.
    record(recommendations, slot, desired, now);
    let condition = if replicas == desired {
        AbleToScale::ReadyForNewScale
    } else if desired >= current {
        AbleToScale::ScaleUpStabilized
    } else {
        AbleToScale::ScaleDownStabilized
    };
    Stabilized { replicas, condition }
}

fn record(recommendations: &mut Vec<Recommendation>, slot: Option<usize>, replicas: i32, at: SimTime) {
    let new = Recommendation { replicas, at };
    match slot {
        Some(index) => recommendations[index] = new,
        None => recommendations.push(new),
    }
}

#[cfg(test)]
#[path = "stabilization_tests.rs"]
mod tests;

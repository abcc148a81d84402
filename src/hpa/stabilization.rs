//! The stabilization windows over raw recommendations (hpa.md sections 8 and 9.1).
//!
//! Source: `stabilizeRecommendation` (without behavior) and `stabilizeRecommendationWithBehaviors` in `horizontal.go`.
//! Must not apply policies, minimum or maximum: those come after (HPA-ORDER-2).

use crate::hpa::{AbleToScale, Direction, Recommendation, ScalingRules, WindowReason};
use crate::units::{SimDuration, SimTime};

/// What a window made of the raw proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stabilized {
    /// Replicas after the windows.
    pub(super) replicas: i32,
    /// Condition AbleToScale.
    pub(super) condition: AbleToScale,
    /// What a window put in the proposal's place.
    pub(super) window: Option<WindowReason>,
}

/// The proposal, or the recommendation of a window that lies beyond it.
#[derive(Clone, Copy)]
struct Extreme {
    replicas: i32,
    /// `None` while it is the proposal itself.
    from: Option<Recommendation>,
}

impl Extreme {
    fn of(desired: i32) -> Self {
        Extreme { replicas: desired, from: None }
    }

    fn lower_to(&mut self, old: Recommendation) {
        self.replace_if(old.replicas < self.replicas, old);
    }

    fn raise_to(&mut self, old: Recommendation) {
        self.replace_if(old.replicas > self.replicas, old);
    }

    fn replace_if(&mut self, beyond: bool, old: Recommendation) {
        // Of equal ones the youngest is named: it is the last to leave the window.
        let younger = old.replicas == self.replicas && self.from.is_some_and(|from| from.at <= old.at);
        if beyond || younger {
            *self = Extreme { replicas: old.replicas, from: Some(old) };
        }
    }

    fn reason(self, direction: Direction, window: SimDuration, now: SimTime) -> Option<WindowReason> {
        let recommendation = self.from?;
        let age = now.saturating_since(recommendation.at);
        Some(WindowReason { direction, window, recommendation, age })
    }
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
    let mut highest = Extreme::of(desired);
    let mut slot = None;
    for (index, old) in recommendations.iter().enumerate() {
        // HPA-NB-3: a recommendation exactly at the cut-off still counts.
        if old.at.saturating_add(window) < now {
            slot = Some(index);
        } else {
            highest.raise_to(*old);
        }
    }
    record(recommendations, slot, desired, now);
    let held = highest.reason(Direction::Down, window, now);
    let condition = if held.is_none() { AbleToScale::ReadyForNewScale } else { AbleToScale::ScaleDownStabilized };
    Stabilized { replicas: highest.replicas, condition, window: held }
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
    let (mut lowest, mut highest) = (Extreme::of(desired), Extreme::of(desired));
    let mut slot = None;
    for (index, old) in recommendations.iter().enumerate() {
        let up_end = old.at.saturating_add(up.stabilization_window);
        let down_end = old.at.saturating_add(down.stabilization_window);
        // HPA-STAB-2: strict, unlike without behavior: a recommendation exactly one window old is out.
        if up_end > now {
            lowest.lower_to(*old);
        }
        if down_end > now {
            highest.raise_to(*old);
        }
        // One list serves both windows, so a slot is free only when both have passed it, strictly.
        if up_end < now && down_end < now {
            slot = Some(index);
        }
    }
    let mut replicas = current;
    if replicas < lowest.replicas {
        replicas = lowest.replicas;
    }
    if replicas > highest.replicas {
        replicas = highest.replicas;
    }
    // HPA-STAB-3: the raw proposal is what is remembered, not the stabilized one.
    record(recommendations, slot, desired, now);
    let (condition, window) = if replicas == desired {
        (AbleToScale::ReadyForNewScale, None)
    } else if desired >= current {
        // A proposal above the count that did not get through: some recommendation of the scale-up window is lower.
        let window = lowest.reason(Direction::Up, up.stabilization_window, now);
        (AbleToScale::ScaleUpStabilized, window)
    } else {
        let window = highest.reason(Direction::Down, down.stabilization_window, now);
        (AbleToScale::ScaleDownStabilized, window)
    };
    Stabilized { replicas, condition, window }
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

//! One reconcile, in upstream's order of operations (`reconcileAutoscaler`, hpa.md section 7.2).
//!
//! The order is the meaning (HPA-ORDER-1): remember the count found at the first sync; jump into min..max without
//! looking at metrics; else take the largest proposal, stabilize it, limit it; write; store the event.

use crate::hpa::policies::{Events, Limited, limit_with_behavior, limit_without_behavior, store_scale_event};
use crate::hpa::proposal::propose;
use crate::hpa::stabilization::{Stabilized, stabilize_with_behavior, stabilize_without_behavior};
use crate::hpa::{
    AbleToScale, BoundBy, ControllerFlags, Decision, HpaSpec, HpaState, KubernetesVersion, LimitReason, MetricDecision,
    Observation, Recommendation, RescaleReason, ScalingActive, ScalingLimited, WindowReason,
};

/// What one sync came to, before it is written to status and events.
struct Outcome {
    metrics: Vec<MetricDecision>,
    metric_desired: Option<i32>,
    stabilized: Option<i32>,
    new_replicas: i32,
    reason: RescaleReason,
    /// Upstream returned early: status.desiredReplicas keeps its old value.
    failed: bool,
    error: bool,
    bound_by: BoundBy,
    window: Option<WindowReason>,
    limit: Option<LimitReason>,
}

/// One sync of the HPA: pure, returns the decision with the next state in it.
///
/// # Panics
/// When the observation does not hold one entry per metric of the spec.
pub fn reconcile(flags: &ControllerFlags, spec: &HpaSpec, state: &HpaState, observation: &Observation) -> Decision {
    assert_eq!(observation.metrics.len(), spec.metrics.len(), "one observation per metric of the spec");
    let mut next = state.clone();
    let current = observation.spec_replicas;
    next.able_to_scale = Some(AbleToScale::SucceededGetScale);
    // HPA-REC-1: the count found at the first sync is remembered as if it had been recommended, even when metrics fail
    // or the target is at 0. Entries are replaced, never removed, so an empty list means the first sync.
    if next.recommendations.is_empty() {
        next.recommendations.push(Recommendation { replicas: current, at: observation.now });
    }
    let outcome = if current == 0 && !scales_from_zero(flags, spec, state) {
        let message = "scaling is disabled since the replica count of the target is zero";
        next.set_scaling_active(ScalingActive::ScalingDisabled, message.to_owned());
        without_metrics(spec, current, RescaleReason::Empty, None)
    } else if current > spec.max_replicas {
        // HPA-JUMP-1: into min..max at once, whatever metrics, windows and policies say.
        let limit = Some(LimitReason::MaxReplicas(spec.max_replicas));
        without_metrics(spec, spec.max_replicas, RescaleReason::AboveMaxReplicas, limit)
    } else if current < spec.min_replicas {
        let limit = Some(LimitReason::MinReplicas(spec.min_replicas));
        without_metrics(spec, spec.min_replicas, RescaleReason::BelowMinReplicas, limit)
    } else {
        from_metrics(flags, spec, &mut next, observation)
    };
    conclude(flags, spec, next, observation, outcome)
}

/// Whether a sync with `current` replicas asks for metrics at all: not at 0 without the way back, and not when it jumps into
/// min..max.
pub fn looks_at_metrics(flags: &ControllerFlags, spec: &HpaSpec, state: &HpaState, current: i32) -> bool {
    let disabled = current == 0 && !scales_from_zero(flags, spec, state);
    !disabled && (spec.min_replicas..=spec.max_replicas).contains(&current)
}

/// Whether a target at 0 replicas is still scaled.
fn scales_from_zero(flags: &ControllerFlags, spec: &HpaSpec, state: &HpaState) -> bool {
    if flags.version >= KubernetesVersion::V1_36 {
        // HPA-ZERO-1: only when the HPA itself went to 0; a target scaled to 0 by hand stays off.
        return flags.scale_to_zero && has_external_metric(spec) && state.scaled_to_zero == Some(true);
    }
    // HPA-ZERO-2: up to 1.35 minReplicas alone decided (and validation allows 0 only with the gate).
    spec.min_replicas == 0
}

fn without_metrics(spec: &HpaSpec, new_replicas: i32, reason: RescaleReason, limit: Option<LimitReason>) -> Outcome {
    let bound_by = match limit {
        Some(LimitReason::MaxReplicas(_)) => BoundBy::MaxReplicas,
        Some(_) => BoundBy::MinReplicas,
        None => BoundBy::NoMetrics,
    };
    Outcome {
        metrics: vec![MetricDecision::not_looked_at(); spec.metrics.len()],
        metric_desired: None,
        stabilized: None,
        new_replicas,
        reason,
        failed: false,
        error: false,
        bound_by,
        window: None,
        limit,
    }
}

/// `computeReplicasForMetrics`, then normalization.
fn from_metrics(flags: &ControllerFlags, spec: &HpaSpec, next: &mut HpaState, observation: &Observation) -> Outcome {
    let current = observation.spec_replicas;
    let metrics: Vec<MetricDecision> =
        propose(flags, spec, observation).into_iter().map(|proposal| proposal.decision).collect();
    let combined = combine(&metrics, current);
    let Some((largest, named)) = combined else {
        // HPA-MULTI-2: nothing is recorded in the windows, ScalingLimited keeps what it said, the count stays.
        let first_failed =
            metrics.iter().zip(&spec.metrics).find_map(|(metric, of)| Some((metric.error.as_ref()?, of)));
        if let Some((error, metric)) = first_failed {
            let message = format!("the HPA was unable to compute the replica count: {error}");
            next.set_scaling_active(metric.failure_condition(), message);
        }
        return Outcome {
            metrics,
            metric_desired: None,
            stabilized: None,
            new_replicas: current,
            reason: RescaleReason::Empty,
            failed: true,
            error: true,
            bound_by: BoundBy::NoMetrics,
            window: None,
            limit: None,
        };
    };
    let described = spec.metrics[named].described();
    let message = ["the HPA was able to successfully calculate a replica count from ", &described].concat();
    next.set_scaling_active(ScalingActive::ValidMetricFound, message);
    // A negative proposal (a negative Value metric, before 1.34 any) counts as 0.
    let desired = largest.max(0);
    // HPA-REASON-1: from the raw proposal, so that a rescale upwards may say "All metrics below target".
    let reason = if desired > current {
        RescaleReason::MetricAboveTarget(named)
    } else if desired < current {
        RescaleReason::AllMetricsBelowTarget
    } else {
        RescaleReason::Empty
    };
    let (stabilized, limited) = normalize(flags, spec, next, observation, desired);
    next.able_to_scale = Some(stabilized.condition);
    next.scaling_limited = Some(limited.condition);
    Outcome {
        error: metrics.iter().any(|metric| metric.proposal.is_none()),
        metrics,
        metric_desired: Some(largest),
        stabilized: Some(stabilized.replicas),
        new_replicas: limited.replicas,
        reason,
        failed: false,
        bound_by: bound_by(desired, stabilized, limited),
        window: stabilized.window,
        limit: limited.by,
    }
}

/// The largest proposal and the index of the metric that made it; `None` when the sync fails.
fn combine(metrics: &[MetricDecision], current: i32) -> Option<(i32, usize)> {
    let mut largest = 0;
    let mut named = 0;
    let mut failed = 0;
    for (index, metric) in metrics.iter().enumerate() {
        let Some(proposal) = metric.proposal else {
            failed += 1;
            continue;
        };
        // HPA-MULTI-3: the first of equals is named.
        if largest == 0 || proposal > largest {
            largest = proposal;
            named = index;
        }
    }
    // HPA-MULTI-1: a failed metric vetoes scale-down only, and against spec.replicas, before any window.
    let vetoed = failed > 0 && largest < current;
    (failed < metrics.len() && !vetoed).then_some((largest, named))
}

/// HPA-ORDER-2: windows first, then policies and min/max (`normalizeDesiredReplicas`, `...WithBehaviors`).
fn normalize(
    flags: &ControllerFlags,
    spec: &HpaSpec,
    next: &mut HpaState,
    observation: &Observation,
    desired: i32,
) -> (Stabilized, Limited) {
    let (now, current) = (observation.now, observation.spec_replicas);
    let (min, max) = (spec.min_replicas, spec.max_replicas);
    // HPA-ORDER-3: no behavior and an empty one are two algorithms.
    let Some((up, down)) = &spec.behavior else {
        let window = flags.downscale_stabilization;
        let stabilized = stabilize_without_behavior(&mut next.recommendations, desired, now, window);
        return (stabilized, limit_without_behavior(current, stabilized.replicas, min, max));
    };
    let stabilized = stabilize_with_behavior(&mut next.recommendations, current, desired, now, (up, down));
    let limited = limit_with_behavior(current, stabilized.replicas, (min, max), (up, down), Events::of(next), now);
    (stabilized, limited)
}

/// The last thing that moved the result away from the raw proposal. Nothing exactly when the result is the proposal,
/// also when a window and a limit happened to cancel out.
fn bound_by(desired: i32, stabilized: Stabilized, limited: Limited) -> BoundBy {
    if limited.replicas == desired {
        return BoundBy::Nothing;
    }
    match limited.condition {
        ScalingLimited::ScaleUpLimit => BoundBy::ScaleUpPolicy,
        ScalingLimited::ScaleDownLimit => BoundBy::ScaleDownPolicy,
        ScalingLimited::TooManyReplicas => BoundBy::MaxReplicas,
        ScalingLimited::TooFewReplicas => BoundBy::MinReplicas,
        ScalingLimited::DesiredWithinRange => match stabilized.condition {
            AbleToScale::ScaleUpStabilized => BoundBy::ScaleUpWindow,
            _ => BoundBy::ScaleDownWindow,
        },
    }
}

/// Steps 5 and 6: the write, the event, the status.
fn conclude(
    flags: &ControllerFlags,
    spec: &HpaSpec,
    mut next: HpaState,
    observation: &Observation,
    outcome: Outcome,
) -> Decision {
    let (current, new) = (observation.spec_replicas, outcome.new_replicas);
    let rescaled = new != current;
    if rescaled {
        next.able_to_scale = Some(AbleToScale::SucceededRescale);
        next.last_scale_time = Some(observation.now);
        if flags.version >= KubernetesVersion::V1_36 && flags.scale_to_zero {
            next.scaled_to_zero = Some(is_scaled_to_zero(spec, current, new));
        }
        store_scale_event(&mut next, spec.behavior.as_ref(), current, new, observation.now);
    }
    if !outcome.failed {
        // HPA-STATUS-1: what is in force after the sync, not what the metrics asked for.
        next.desired_replicas = new;
    }
    Decision {
        metrics: outcome.metrics,
        metric_desired: outcome.metric_desired,
        stabilized: outcome.stabilized,
        new_replicas: new,
        rescaled,
        status_desired: next.desired_replicas,
        able_to_scale: next.able_to_scale.unwrap_or(AbleToScale::SucceededGetScale),
        scaling_active: next.scaling_active,
        scaling_limited: next.scaling_limited,
        reason: rescaled.then_some(outcome.reason),
        error: outcome.error,
        bound_by: outcome.bound_by,
        window: outcome.window,
        limit: outcome.limit,
        conditions: next.conditions(new),
        next,
    }
}

/// HPA-ZERO-3: written with every rescale: True when the HPA itself went from above 0 to an intended 0, else False.
/// Before the first rescale the condition is absent.
fn is_scaled_to_zero(spec: &HpaSpec, current: i32, new: i32) -> bool {
    current > 0 && new == 0 && spec.min_replicas == 0 && has_external_metric(spec)
}

fn has_external_metric(spec: &HpaSpec) -> bool {
    spec.metrics.iter().any(|metric| metric.target.is_external())
}

#[cfg(test)]
#[path = "reconcile_tests.rs"]
mod tests;

//! Runs in which the policy could not show how it scales: paused, or without a metric that the HPA could use; and those that
//! never come to rest.

use crate::analysis::Finding;
use crate::analysis::findings::finding;
use crate::analysis::trigger_failures::{TriggerFailures, trigger_failures};
use crate::record::{EventKind, RunRecord};
use crate::scenario::AnalysisSettings;
use crate::units::Severity;

/// Replica counts shown in a history.
const LEVELS_SHOWN: usize = 8;

/// Why a run says nothing about how its policy scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingDoubt {
    /// An annotation pauses the ScaledObject.
    Paused,
    /// A trigger failed in (nearly) every sync, so that the HPA could not scale down, or not at all.
    MetricFailed,
}

/// What stands against a verdict on scaling; `None` when nothing does.
pub(super) fn scaling_doubt(record: &RunRecord) -> Option<ScalingDoubt> {
    if record.info.fixed_replicas {
        return None;
    }
    if record.info.paused {
        return Some(ScalingDoubt::Paused);
    }
    let failed = trigger_failures(record).iter().any(TriggerFailures::is_constant);
    failed.then_some(ScalingDoubt::MetricFailed)
}

/// A paused object has no scale loop and no HPA: nothing that it could flap with.
pub(super) fn scaling_paused(record: &RunRecord, settings: &AnalysisSettings) -> Option<Finding> {
    if scaling_doubt(record) != Some(ScalingDoubt::Paused) {
        return None;
    }
    let message = "an annotation pauses the ScaledObject: without scale loop and HPA this run says nothing about how the \
                   policy scales";
    let mut evidence = vec![replicas_history(record)];
    evidence.push(
        "remove autoscaling.keda.sh/paused and paused-replicas from the annotations to simulate the policy".to_owned(),
    );
    evidence.extend(undecided_gate(settings));
    Some(finding("scaling-paused", Severity::Warning, message.to_owned(), evidence))
}

/// A policy that scales on long after the last request.
pub(super) fn never_settled(record: &RunRecord) -> Option<Finding> {
    if !record.info.unsettled {
        return None;
    }
    let message = "the replicas never settled after the last request, so the run was ended: the policy goes on scaling without load";
    let evidence = vec![
        replicas_history(record),
        "the figures of capacity and cost depend on when the run ends: set a duration (--duration)".to_owned(),
    ];
    Some(finding("never-settled", Severity::Warning, message.to_owned(), evidence))
}

/// The gate that a doubt about scaling leaves undecided.
pub(super) fn undecided_gate(settings: &AnalysisSettings) -> Option<String> {
    let has_gate = settings.gates.iter().any(|gate| gate.name == "flapsPerHour");
    has_gate
        .then(|| "gate flapsPerHour is undecided unless it failed: a policy that cannot scale cannot flap".to_owned())
}

/// What happened to the replicas: `spec.replicas stayed at 1`, `spec.replicas went 1 -> 3 -> 2`.
pub(super) fn replicas_history(record: &RunRecord) -> String {
    let mut levels = vec![record.info.initial_replicas];
    for event in &record.events {
        if let EventKind::Scaled { to, .. } = event.kind
            && levels.last() != Some(&to)
        {
            levels.push(to);
        }
    }
    if let [only] = levels.as_slice() {
        return format!("spec.replicas stayed at {only}");
    }
    let shown: Vec<String> = levels.iter().take(LEVELS_SHOWN).map(i32::to_string).collect();
    let more = if levels.len() > LEVELS_SHOWN { " -> ..." } else { "" };
    format!("spec.replicas went {}{more}", shown.join(" -> "))
}

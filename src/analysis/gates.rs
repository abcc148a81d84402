//! Gates: the limits that decide the exit code. A gate compares the point estimate (of an attainment, the lower end of what
//! is known); its interval stands beside it.

use crate::analysis::{GateResult, GateStatus, Summary};
use crate::scenario::AnalysisSettings;

/// Evaluates the gates that the user named, in order. A value of `failedRequests` is failed plus timed out requests. What
/// cannot be measured (no SLO, no GPU, no measured time) is undecided, and so is every gate of a run that measured no
/// request, and the gate on flaps of one in which the policy could not scale: never a silent pass.
///
/// # Panics
/// On a gate name that the scenario's reader should have refused.
pub fn evaluate_gates(summary: &Summary, settings: &AnalysisSettings) -> Vec<GateResult> {
    let gate = |gate: &crate::scenario::GateLimit| {
        let (value, interval) = measure(summary, &gate.name);
        let is_minimum = gate.name == "sloAttainment";
        let is_about_scaling = gate.name == "flapsPerHour";
        let status = match value {
            None => GateStatus::Undecided,
            Some(_) if summary.requests.total == 0 => GateStatus::Undecided,
            Some(value) if is_minimum && value >= gate.limit => GateStatus::Pass,
            // The value is the lower end: requests still open may yet lift it over the limit.
            Some(_) if is_minimum && interval.is_some_and(|(_, upper)| upper >= gate.limit) => GateStatus::Undecided,
            // A policy that could not scale could not flap either.
            Some(value) if is_about_scaling && value <= gate.limit && summary.scaling_doubt.is_some() => {
                GateStatus::Undecided
            }
            Some(value) if !is_minimum && value <= gate.limit => GateStatus::Pass,
            Some(_) => GateStatus::Fail,
        };
        GateResult { name: gate.name.clone(), limit: gate.limit, value, interval, status }
    };
    settings.gates.iter().map(gate).collect()
}

fn measure(summary: &Summary, name: &str) -> (Option<f64>, Option<(f64, f64)>) {
    match name {
        "flapsPerHour" => {
            let interval = summary.flapping.flaps_per_hour_interval;
            // Without a measured time there is no rate; a measured rate always has a positive upper bound.
            if interval.1 > 0.0 { (Some(summary.flapping.flaps_per_hour), Some(interval)) } else { (None, None) }
        }
        "sloAttainment" => (summary.slo_attainment, summary.slo_attainment_interval),
        "gpuHours" => ((summary.run.gpus_per_replica > 0).then_some(summary.gpu_hours.billed), None),
        "failedRequests" => (Some((summary.requests.failed + summary.requests.timed_out) as f64), None),
        other => unreachable!("gate {other:?} is refused when the scenario is read"),
    }
}

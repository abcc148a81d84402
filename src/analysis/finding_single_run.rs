//! The finding that a gate was decided by one run alone.

use crate::analysis::findings::finding;
use crate::analysis::{Finding, GateResult, GateStatus, Summary};
use crate::units::Severity;

/// One run has no interval (verdicts.md 6.1): a gate that it decides might be decided otherwise by another seed, unless the
/// interval that a rate of flaps has by itself lies on one side of the limit, or there was a failure where none may be.
pub(super) fn single_run(summary: &Summary) -> Option<Finding> {
    let is_open = |gate: &&GateResult| match (gate.name.as_str(), gate.interval, gate.status) {
        (_, _, GateStatus::Undecided) => false,
        ("flapsPerHour", Some((low, high)), _) => low <= gate.limit && high > gate.limit,
        ("failedRequests", _, GateStatus::Fail) => gate.limit > 0.0,
        _ => true,
    };
    let open: Vec<&str> = summary.verdict.gates.iter().filter(is_open).map(|gate| gate.name.as_str()).collect();
    if open.is_empty() {
        return None;
    }
    let message = format!("1 run, no interval: another seed may decide otherwise about {}", open.join(", "));
    let evidence = vec!["--replications 5 runs five seeds and judges what they say together".to_owned()];
    Some(finding("single-run", Severity::Note, message, evidence))
}

//! Findings: what a run shows, how much and how sure, worst first.
//!
//! Reading order: here the list, what cannot be answered and what concerns the whole run; `finding_flaps`, `finding_causes`,
//! `finding_metrics`, `finding_requests`, `finding_paused` the subjects, `finding_rules` those rules of lint that only a run can break.

use crate::analysis::finding_single_run;
use crate::analysis::flapping::measured;
use crate::analysis::{Finding, Summary};
use crate::analysis::{
    finding_causes, finding_flaps, finding_metrics, finding_paused, finding_requests, finding_rules,
};
use crate::record::{DecisionRecord, HpaSync, RunRecord};
use crate::scenario::AnalysisSettings;
use crate::units::{Severity, SimDuration};

/// Measured time below which a rate per hour is noise.
pub(super) const SHORTEST_RATE: SimDuration = SimDuration::from_secs(60);

/// All findings of a run, worst first (`query-matched-nothing`, `flapping`, `requests-failed`, `at-max-replicas`, ...).
/// `summary`'s gates are those of `settings`, evaluated.
pub fn findings(record: &RunRecord, summary: &Summary, settings: &AnalysisSettings) -> Vec<Finding> {
    // A series that never existed is told whatever else is wrong.
    let mut findings = finding_metrics::unmatched_selectors(record);
    findings.extend(finding_metrics::blind_at_zero(record));
    findings.extend(finding_metrics::failing_triggers(record, settings));
    findings.extend(finding_metrics::formula_out_of_range(record));
    findings.extend(finding_paused::scaling_paused(record, settings));
    findings.extend(finding_paused::never_settled(record));
    findings.extend(finding_flaps::flapping_finding(record, summary));
    findings.extend(finding_causes::suspected_causes(record, summary));
    findings.extend(finding_flaps::wasted_starts(record, summary));
    findings.extend(finding_metrics::query_always_zero(record));
    findings.extend(finding_requests::missed_objectives(summary));
    findings.extend(finding_metrics::blocked_by_metric_error(record));
    findings.extend(finding_metrics::fallback_in_force(record));
    findings.extend(finding_requests::failed_requests(record, summary));
    findings.extend(finding_requests::rejected_requests(summary));
    findings.extend(finding_rules::broken_rules(record, summary, settings));
    findings.extend(nothing_to_measure(summary, settings));
    findings.extend(estimated_profile(settings));
    findings.extend(at_max_replicas(record));
    findings.extend(finding_flaps::start_up_transient(record));
    findings.extend(finding_single_run::single_run(summary));
    // A stable sort: within one severity the order above.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// A finding in its parts.
pub(super) fn finding(code: &str, severity: Severity, message: String, evidence: Vec<String>) -> Finding {
    Finding { code: code.to_owned(), severity, message, evidence }
}

/// What was asked for and cannot be answered: no gate or price passes in silence (verdicts.md 4.2).
fn nothing_to_measure(summary: &Summary, settings: &AnalysisSettings) -> Vec<Finding> {
    let warning = |code: &str, message: String| finding(code, Severity::Warning, message, Vec::new());
    let mut findings = Vec::new();
    if summary.requests.total == 0 {
        let message = "no request was sent in the measured time, so the run says nothing about latency or failures";
        findings.push(warning("no-requests", message.to_owned()));
    }
    for gate in summary.verdict.gates.iter().filter(|gate| gate.value.is_none()) {
        let why = match gate.name.as_str() {
            "sloAttainment" if settings.slo.is_empty() => "no SLO is set",
            "sloAttainment" => "no request with the times that the SLO speaks of ended",
            "gpuHours" => "the replicas have no GPU",
            _ => "the run has no measured time",
        };
        findings.push(warning("gate-no-data", format!("gate {}: no data, {why}; it is undecided", gate.name)));
    }
    if settings.gpu_hour_price.is_some() && summary.run.gpus_per_replica == 0 {
        let message = "a price per GPU-hour is set, but the replicas have no GPU: no cost can be given";
        findings.push(warning("cost-no-data", message.to_owned()));
    }
    findings
}

/// Latencies that rest on step times nobody measured.
fn estimated_profile(settings: &AnalysisSettings) -> Option<Finding> {
    let (name, error) = settings.estimated_profile.as_ref()?;
    let message = format!("the step times of profile {name} are an estimate: latency and capacity are no measurement");
    Some(finding("estimated-profile", Severity::Warning, message, vec![format!("stated error: {error}")]))
}

/// `1 flap`, `2 flaps`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// The run's HPA syncs after the warm-up, each with the time until the next one.
pub(super) fn syncs_with_time(record: &RunRecord) -> Vec<(&HpaSync, SimDuration)> {
    let (start, _) = measured(record);
    let syncs: Vec<&HpaSync> = record
        .decisions
        .iter()
        .filter_map(|decision| match decision {
            DecisionRecord::HpaSync(sync) if sync.t >= start => Some(sync.as_ref()),
            _ => None,
        })
        .collect();
    let ends = syncs.iter().skip(1).map(|sync| sync.t).chain([record.info.end]);
    syncs.iter().zip(ends).map(|(sync, end)| (*sync, end.saturating_since(sync.t))).collect()
}

fn at_max_replicas(record: &RunRecord) -> Option<Finding> {
    let max = record.info.max_replicas;
    let syncs = syncs_with_time(record);
    let wanted = |sync: &HpaSync| sync.metrics.iter().filter_map(|metric| metric.proposal).max().unwrap_or(0);
    let limited: Vec<(&HpaSync, SimDuration)> =
        syncs.iter().copied().filter(|(sync, _)| sync.new_replicas >= max && wanted(sync) > max).collect();
    let (first, _) = limited.first()?;
    let time = |syncs: &[(&HpaSync, SimDuration)]| syncs.iter().map(|(_, time)| time.as_secs_f64_exact()).sum::<f64>();
    let share = 100.0 * time(&limited) / time(&syncs).max(f64::MIN_POSITIVE);
    let message = format!("{share:.1} % of the time at maxReplicas {max} while a metric wanted more");
    let most = limited.iter().map(|(sync, _)| wanted(sync)).max().unwrap_or(0);
    let evidence = vec![format!("first at {}", first.t), format!("largest proposal {most}")];
    Some(finding("at-max-replicas", Severity::Note, message, evidence))
}

//! Findings: what a run shows, how much and how sure, worst first.

use crate::analysis::flapping::measured;
use crate::analysis::{Finding, Flapping, Summary, rate_interval};
use crate::record::{DecisionRecord, HpaSync, MetricRecord, RunRecord};
use crate::units::{Severity, SimDuration, SimTime};

/// Bounds of the classes of verdicts.md 1.5: flaps per hour and flap load.
const STABLE: (f64, f64) = (1.0, 0.02);
const JITTERY: (f64, f64) = (4.0, 0.10);

/// All findings of a run, worst first (`query-matched-nothing`, `flapping`, `requests-failed`, `at-max-replicas`, ...).
pub fn findings(record: &RunRecord, summary: &Summary) -> Vec<Finding> {
    let blind = blind_at_zero(record);
    let mut findings = if blind.is_some() { Vec::new() } else { unmatched_selectors(record) };
    findings.extend(blind);
    findings.extend(flapping_finding(record, summary));
    findings.extend(missed_objectives(summary));
    findings.extend(blocked_by_metric_error(record));
    findings.extend(failed_requests(summary));
    findings.extend(rejected_requests(summary));
    findings.extend(at_max_replicas(record));
    // A stable sort: within one severity the order above.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn finding(code: &str, severity: Severity, message: String, evidence: Vec<String>) -> Finding {
    Finding { code: code.to_owned(), severity, message, evidence }
}

/// Requests were refused while the target was at zero and no poll saw them: vLLM's own series vanish with the last pod, so a
/// query on them cannot wake it (vllm.md 5.4).
fn blind_at_zero(record: &RunRecord) -> Option<Finding> {
    let at_zero = |decision: &DecisionRecord| match decision {
        DecisionRecord::KedaPoll(poll) => poll.spec_replicas == 0 && poll.new_replicas == 0,
        DecisionRecord::HpaSync(_) => false,
    };
    let woke = |decision: &DecisionRecord| match decision {
        DecisionRecord::KedaPoll(poll) => poll.spec_replicas == 0 && poll.new_replicas > 0,
        DecisionRecord::HpaSync(_) => false,
    };
    let refused = record.requests.refused;
    if refused == 0 || !record.decisions.iter().any(at_zero) || record.decisions.iter().any(woke) {
        return None;
    }
    let message = format!(
        "{refused} requests were refused while spec.replicas was 0, and no trigger saw them: it cannot scale from zero"
    );
    let evidence = vec![
        "the series of vLLM pods vanish with the last pod; scale from zero needs a metric of what stands in front"
            .to_owned(),
    ];
    Some(finding("blind-at-zero", Severity::Error, message, evidence))
}

fn unmatched_selectors(record: &RunRecord) -> Vec<Finding> {
    let unmatched = record.selectors.iter().filter(|selector| !selector.matched);
    unmatched
        .map(|selector| {
            let message = format!(
                "{}: selector {} matched no series in the whole run, so the query never saw the load",
                selector.trigger, selector.selector
            );
            let mut evidence = vec![format!("query at {}", selector.place)];
            evidence.extend(selector.nearest.as_ref().map(|nearest| format!("nearest that exists: {nearest}")));
            finding("query-matched-nothing", Severity::Error, message, evidence)
        })
        .collect()
}

/// How often and how dear, with bounds.
struct FlapFigures {
    /// Flaps per hour: point estimate, lower and upper bound.
    rate: (f64, f64, f64),
    /// Flap load phi: the same.
    load: (f64, f64, f64),
}

fn flap_figures(record: &RunRecord, summary: &Summary, hours: f64) -> FlapFigures {
    let Flapping { flaps_per_hour, flaps_per_hour_interval: (low, high), churned_replicas, .. } = summary.flapping;
    let startup_hours = record.info.startup_p50.as_secs_f64_exact() / 3600.0;
    let load = |per_hour: f64| per_hour * startup_hours / summary.replicas_mean.max(1.0);
    let (churn_low, churn_high) = rate_interval(churned_replicas, hours);
    FlapFigures {
        rate: (flaps_per_hour, low, high),
        load: (load(churned_replicas as f64 / hours), load(churn_low), load(churn_high)),
    }
}

/// The class of verdicts.md 1.5 with the word rules of 1.6: a class that the bounds do not support is called undecided and
/// weighs one step less.
fn flapping_finding(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let (_, measured_time) = measured(record);
    let hours = measured_time.as_secs_f64_exact() / 3600.0;
    if summary.flapping.flaps == 0 || hours <= 0.0 {
        return None;
    }
    let FlapFigures { rate, load } = flap_figures(record, summary, hours);
    let beyond = |class: (f64, f64), rate: f64, load: f64| rate > class.0 || load > class.1;
    let surely_beyond = |class| beyond(class, rate.1, load.1);
    let (code, severity, decided) = if beyond(JITTERY, rate.0, load.0) {
        ("flapping", Severity::Error, surely_beyond(JITTERY))
    } else if beyond(STABLE, rate.0, load.0) {
        ("jittery", Severity::Warning, surely_beyond(STABLE) && !beyond(JITTERY, rate.2, load.2))
    } else {
        ("flaps-undecided", Severity::Note, !beyond(STABLE, rate.2, load.2))
    };
    if code == "flaps-undecided" && decided {
        return None;
    }
    let severity = match (decided, severity) {
        (true, severity) => severity,
        (false, Severity::Error) => Severity::Warning,
        (false, _) => Severity::Note,
    };
    let doubt = if decided { "" } else { "; undecided, run longer" };
    let flapping = &summary.flapping;
    let message = format!(
        "{:.1} flaps/h ({:.1}..{:.1} at 95 %, turn <= {}), {} churned starts{doubt}",
        rate.0, rate.1, rate.2, flapping.window, flapping.churned_replicas
    );
    Some(finding(code, severity, message, flap_evidence(record, flapping, load.0)))
}

fn flap_evidence(record: &RunRecord, flapping: &Flapping, load: f64) -> Vec<String> {
    let mut evidence = vec![
        format!("{} flaps among {} changes of direction", flapping.flaps, flapping.reversals),
        format!(
            "flap load {:.1} %: share of the fleet's time thrown into starts of {} each",
            100.0 * load,
            record.info.startup_p50
        ),
    ];
    let turns = flapping.moves.windows(2).filter(|pair| {
        pair[0].size.signum() != pair[1].size.signum() && pair[1].start.since(pair[0].end) <= flapping.window
    });
    evidence.extend(turns.take(5).map(|pair| {
        let turn = pair[1].start.since(pair[0].end);
        format!("at {}: {:+} replicas, {turn} after {:+}", pair[1].start, pair[1].size, pair[0].size)
    }));
    evidence
}

fn missed_objectives(summary: &Summary) -> Vec<Finding> {
    let missed = summary.slo_objectives.iter().filter(|objective| !objective.met);
    missed
        .map(|objective| {
            let Some(share) = objective.share_within else {
                let message =
                    format!("{}: no request with such a time ended, the objective cannot be judged", objective.name);
                return finding("slo-no-data", Severity::Warning, message, Vec::new());
            };
            let value = objective.value.map_or_else(|| "infinite".to_owned(), |value| format!("{value:.3} s"));
            let message = format!("{} is {value}, the limit is {} s", objective.name, objective.limit);
            let evidence = vec![
                format!("{:.2} % of requests within the limit", 100.0 * share),
                "failed, timed out and overdue requests count as misses".to_owned(),
            ];
            finding("slo-missed", Severity::Error, message, evidence)
        })
        .collect()
}

fn failed_requests(summary: &Summary) -> Option<Finding> {
    let requests = &summary.requests;
    let lost = requests.failed + requests.timed_out;
    if lost == 0 {
        return None;
    }
    let share = 100.0 * lost as f64 / requests.total as f64;
    let message = format!("{lost} of {} requests failed or timed out ({share:.2} %)", requests.total);
    let causes = [
        (requests.refused, "refused: no pod that accepts"),
        (requests.killed, "killed with their pod"),
        (requests.unavailable, "answered 503"),
        (requests.error, "other errors"),
        (requests.timed_out, "gave up: client timeout"),
    ];
    let evidence = causes.into_iter().filter(|(count, _)| *count > 0).map(|(count, cause)| format!("{count} {cause}"));
    Some(finding("requests-failed", Severity::Warning, message, evidence.collect()))
}

fn rejected_requests(summary: &Summary) -> Option<Finding> {
    let requests = &summary.requests;
    (requests.rejected > 0).then(|| {
        let message = format!(
            "{} of {} requests were rejected with a 4xx of the client's own making; the SLO leaves them out",
            requests.rejected, requests.total
        );
        let evidence = vec!["usual cause: prompt plus output longer than the model allows".to_owned()];
        finding("requests-rejected", Severity::Warning, message, evidence)
    })
}

/// The run's HPA syncs after the warm-up, each with the time until the next one.
fn syncs_with_time(record: &RunRecord) -> Vec<(&HpaSync, SimDuration)> {
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

fn blocked_by_metric_error(record: &RunRecord) -> Option<Finding> {
    let syncs = syncs_with_time(record);
    let failed: Vec<(SimTime, &MetricRecord)> = syncs
        .iter()
        .filter_map(|(sync, _)| Some((sync.t, sync.metrics.iter().find(|metric| metric.error.is_some())?)))
        .collect();
    let (first, metric) = *failed.first()?;
    let message = format!(
        "a metric failed in {} of {} HPA syncs; while one fails the HPA does not scale down",
        failed.len(),
        syncs.len()
    );
    let error = metric.error.as_deref().unwrap_or_default();
    let evidence = vec![format!("first at {first}: {}: {error}", metric.trigger)];
    Some(finding("scaling-blocked-by-metric-error", Severity::Warning, message, evidence))
}

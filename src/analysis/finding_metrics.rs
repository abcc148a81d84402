//! Findings about the triggers: queries that never saw the load, failures, formulas that leave the numbers.

use crate::analysis::Finding;
use crate::analysis::finding_paused::{replicas_history, undecided_gate};
use crate::analysis::findings::{counted, finding, syncs_with_time};
use crate::analysis::trigger_failures::{TriggerFailures, of_hpa, trigger_failures};
use crate::record::{DecisionRecord, MetricRecord, RunRecord, SelectorRecord};
use crate::scenario::AnalysisSettings;
use crate::units::{Severity, SimTime};

/// Requests were refused while the target was at zero and no poll saw them: vLLM's own series vanish with the last pod, so a
/// query on them cannot wake it (vllm.md 5.4).
pub(super) fn blind_at_zero(record: &RunRecord) -> Option<Finding> {
    let at_zero = |decision: &DecisionRecord| match decision {
        DecisionRecord::KedaPoll(poll) => poll.spec_replicas == 0 && poll.new_replicas == 0,
        DecisionRecord::HpaSync(_) => false,
    };
    let woke = |decision: &DecisionRecord| match decision {
        DecisionRecord::KedaPoll(poll) => poll.spec_replicas == 0 && poll.new_replicas > 0,
        DecisionRecord::HpaSync(_) => false,
    };
    // A trigger that is not a query (a cron window) may yet open: then only the refused requests are a fact.
    let only_queries = record.decisions.iter().all(|decision| match decision {
        DecisionRecord::KedaPoll(poll) => poll.metrics.iter().all(|metric| metric.kind == "prometheus"),
        DecisionRecord::HpaSync(_) => true,
    });
    let (refused, answered) = (record.requests.refused, record.requests.unavailable);
    if refused + answered == 0
        || !only_queries
        || !record.decisions.iter().any(at_zero)
        || record.decisions.iter().any(woke)
    {
        return None;
    }
    // Without a gateway a client finds nobody; with one it gets a 503.
    let lost = match (refused, answered) {
        (_, 0) => format!("{refused} requests were refused"),
        (0, _) => format!("{answered} requests were answered 503 by the gateway"),
        _ => format!("{refused} requests were refused and {answered} answered 503 by the gateway"),
    };
    let message = format!("{lost} while spec.replicas was 0, and no trigger became active in the whole run");
    let evidence = vec![
        "the series of vLLM pods vanish with the last pod; scale from zero needs a metric of what stands in front"
            .to_owned(),
    ];
    Some(finding("blind-at-zero", Severity::Error, message, evidence))
}

/// Triggers whose selectors found series but whose query never gave more than 0 although requests were served: the query
/// is wrong in a way that no error shows.
pub(super) fn query_always_zero(record: &RunRecord) -> Vec<Finding> {
    if record.info.fixed_replicas || record.requests.completed == 0 {
        return Vec::new();
    }
    let is_silent = |name: &str| {
        let mut own = record.selectors.iter().filter(|selector| selector.trigger == name).peekable();
        own.peek().is_some() && own.all(|selector| selector.matched) && never_above_zero(record, name)
    };
    let silent = record.info.triggers.iter().filter(|trigger| is_silent(&trigger.name));
    silent
        .map(|trigger| {
            let message = format!(
                "{}: the query never returned a value above 0, although its selectors matched series and requests were \
                 served; the trigger never asked for a replica",
                trigger.name
            );
            let causes = [
                "usual cause: a range of rate() or increase() shorter than two scrape intervals",
                "usual cause: histogram_quantile() over a sum without `by (le)`",
                "usual cause: a range vector that no function turns into a value",
                "usual cause: a comparison or a vector match that drops all series (labels differ between its sides)",
            ];
            let query = format!("query: {}", trigger.query);
            let evidence = std::iter::once(query).chain(causes.map(str::to_owned)).collect();
            finding("query-always-zero", Severity::Warning, message, evidence)
        })
        .collect()
}

/// Whether all evaluations of a trigger gave 0 or less, NaN, or nothing, and at least one did not fail otherwise.
fn never_above_zero(record: &RunRecord, trigger: &str) -> bool {
    let metrics = record.decisions.iter().flat_map(DecisionRecord::metrics);
    let mut empty_or_zero = 0;
    for metric in metrics.filter(|metric| metric.trigger == trigger) {
        match metric.value {
            Some(value) if value > 0.0 => return false,
            Some(_) => empty_or_zero += 1,
            // With `ignoreNullValues: "false"` an empty result is an error.
            None if metric.error.as_ref().is_some_and(|error| error.contains("is empty")) => empty_or_zero += 1,
            None => {}
        }
    }
    empty_or_zero > 0
}

pub(super) fn unmatched_selectors(record: &RunRecord) -> Vec<Finding> {
    let unmatched = record.selectors.iter().filter(|selector| !selector.matched);
    unmatched
        .map(|selector| {
            let mut evidence = vec![format!("query at {}", selector.place)];
            let why = if never_scraped(selector) {
                ": no pod was ever scraped successfully"
            } else {
                evidence.extend(selector.nearest.as_ref().map(|nearest| format!("nearest that exists: {nearest}")));
                " in the whole run"
            };
            let message = format!(
                "{}: selector {} matched no series{why}, so the query never saw the load",
                selector.trigger, selector.selector
            );
            finding("query-matched-nothing", Severity::Error, message, evidence)
        })
        .collect()
}

/// Whether a selector found nothing because nothing was ever there to be found. A selector without labels that fits a known
/// name has no other reason.
fn never_scraped(selector: &SelectorRecord) -> bool {
    let nearest = selector.nearest.as_deref().unwrap_or_default();
    nearest == "no target was ever scraped"
        || (!selector.selector.contains('{') && nearest.ends_with("none was scraped successfully"))
}

/// Triggers that failed in (nearly) every sync: the HPA could never compute, and no verdict on scaling means anything.
pub(super) fn failing_triggers(record: &RunRecord, settings: &AnalysisSettings) -> Vec<Finding> {
    let all = trigger_failures(record);
    let alone = all.iter().all(TriggerFailures::is_constant);
    let constant = all.iter().filter(|trigger| trigger.is_constant());
    constant
        .map(|trigger| {
            let asked = if trigger.by_syncs { "HPA sync" } else { "KEDA poll" };
            let effect = match (trigger.by_syncs, alone) {
                (false, _) => "no poll could wake the target",
                (true, true) => "the HPA could not compute a replica count",
                (true, false) => "the HPA could scale up by the other triggers and never down",
            };
            let share = 100.0 * trigger.failed as f64 / trigger.asked as f64;
            let message = format!(
                "{} failed in {} of the {} that asked it ({share:.1} %): {effect}",
                trigger.name,
                trigger.failed,
                counted(trigger.asked, asked)
            );
            let others = if trigger.same_error { "" } else { " (the first of several errors)" };
            let mut evidence = vec![
                format!("error: {}{others}", trigger.error),
                format!("first at {}, last at {}", trigger.first, trigger.last),
                replicas_history(record),
            ];
            evidence.extend(undecided_gate(settings));
            finding(BLOCKED, Severity::Error, message, evidence)
        })
        .collect()
}

/// The code of failures in syncs, few or all.
const BLOCKED: &str = "scaling-blocked-by-metric-error";

/// Failures now and then, of triggers that [`failing_triggers`] does not name.
pub(super) fn blocked_by_metric_error(record: &RunRecord) -> Option<Finding> {
    let constant = trigger_failures(record).into_iter().filter(TriggerFailures::is_constant);
    let told: Vec<&str> = constant.map(|trigger| trigger.name).collect();
    let syncs = syncs_with_time(record);
    let untold = |metric: &&MetricRecord| metric.error.is_some() && !told.contains(&metric.trigger.as_str());
    let failed: Vec<(SimTime, &MetricRecord)> =
        syncs.iter().filter_map(|(sync, _)| Some((sync.t, of_hpa(&sync.metrics).find(untold)?))).collect();
    let (first, metric) = *failed.first()?;
    let (last, _) = *failed.last()?;
    let message = format!(
        "a metric failed in {} of {} HPA syncs; while one fails the HPA does not scale down",
        failed.len(),
        syncs.len()
    );
    let error = metric.error.as_deref().unwrap_or_default();
    let mut evidence = vec![format!("first at {first}: {}: {error}", metric.trigger)];
    if last > first {
        evidence.push(format!("last at {last}"));
    }
    Some(finding(BLOCKED, Severity::Warning, message, evidence))
}

/// Syncs in which a fallback's count stood in for a trigger's answer: the replicas then follow no load.
pub(super) fn fallback_in_force(record: &RunRecord) -> Vec<Finding> {
    let all = trigger_failures(record);
    let held = all.iter().filter(|trigger| trigger.fallback > 0);
    held.map(|trigger| {
        let asked = if trigger.by_syncs { "HPA sync" } else { "KEDA poll" };
        let message = format!(
            "fallback stood in for {} in {} of the {} that asked it: the replicas then followed no load",
            trigger.name,
            trigger.fallback,
            counted(trigger.asked, asked)
        );
        let evidence = vec![format!("failed or by fallback: first at {}, last at {}", trigger.first, trigger.last)];
        let most = trigger.fallback * 10 >= trigger.asked * 9;
        finding("fallback-in-force", if most { Severity::Warning } else { Severity::Note }, message, evidence)
    })
    .collect()
}

/// A formula that divided by zero or went below zero: nothing in KEDA guards its result (keda.md 6.1, L-21).
pub(super) fn formula_out_of_range(record: &RunRecord) -> Option<Finding> {
    let evaluations = record.decisions.iter().flat_map(|decision| match decision {
        DecisionRecord::HpaSync(sync) => sync.metrics.iter().map(|metric| (sync.t, metric)).collect::<Vec<_>>(),
        DecisionRecord::KedaPoll(poll) => poll.metrics.iter().map(|metric| (poll.t, metric)).collect(),
    });
    let of_formula: Vec<(SimTime, &MetricRecord, f64)> = evaluations
        .filter(|(_, metric)| metric.kind == "composite")
        .filter_map(|(t, metric)| Some((t, metric, metric.value?)))
        .collect();
    let odd = |is: fn(f64) -> bool| of_formula.iter().copied().filter(move |(_, _, value)| is(*value));
    let (endless, negative) = (odd(|value| !value.is_finite()), odd(|value| value.is_finite() && value < 0.0));
    let told = |kind: &str, count: usize, (t, _, value): (SimTime, &MetricRecord, f64)| {
        format!("{kind} in {count} of {} evaluations, first at {t}: {value}", of_formula.len())
    };
    let parts: Vec<String> =
        [("no finite number", endless.collect::<Vec<_>>()), ("a negative number", negative.collect())]
            .into_iter()
            .filter_map(|(kind, found)| Some(told(kind, found.len(), *found.first()?)))
            .collect();
    if parts.is_empty() {
        return None;
    }
    let wrong = odd(|value| !value.is_finite() || value < 0.0);
    let beyond =
        wrong.filter_map(|(_, metric, _)| metric.proposal).max().filter(|most| *most > record.info.max_replicas);
    let mut evidence = vec![
        "KEDA passes it on unguarded: what is not finite becomes the smallest int64 on amd64, and a Kubernetes from 1.34 on \
         takes a negative sum for an overflow and scales to the maximum"
            .to_owned(),
    ];
    evidence.extend(beyond.map(|most| format!("largest proposal from such a result: {most}")));
    evidence.push("guard the formula, for example: b > 0 ? a / b : 0".to_owned());
    let is_error = beyond.is_some() || parts[0].starts_with("no finite");
    let severity = if is_error { Severity::Error } else { Severity::Warning };
    Some(finding("formula-out-of-range", severity, format!("the formula gave {}", parts.join("; ")), evidence))
}

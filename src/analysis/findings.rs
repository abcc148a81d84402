//! Findings: what a run shows, how much and how sure, worst first.

use crate::analysis::flapping::measured;
use crate::analysis::{Finding, Flapping, ScaleMove, Summary, rate_interval};
use crate::record::{DecisionRecord, HpaSync, MetricRecord, RunRecord, SelectorRecord};
use crate::scenario::AnalysisSettings;
use crate::units::{Severity, SimDuration, SimTime};

/// Bounds of the classes of verdicts.md 1.5: flaps per hour and flap load.
const STABLE: (f64, f64) = (1.0, 0.02);
const JITTERY: (f64, f64) = (4.0, 0.10);
/// Measured time below which a rate per hour is noise.
const SHORTEST_RATE: SimDuration = SimDuration::from_secs(60);

/// Share of lost or rejected requests from which a run says nothing about the policy.
const MOST_REQUESTS: f64 = 0.5;

/// All findings of a run, worst first (`query-matched-nothing`, `flapping`, `requests-failed`, `at-max-replicas`, ...).
/// `summary`'s gates are those of `settings`, evaluated.
pub fn findings(record: &RunRecord, summary: &Summary, settings: &AnalysisSettings) -> Vec<Finding> {
    // A series that never existed is told whatever else is wrong.
    let mut findings = unmatched_selectors(record);
    findings.extend(blind_at_zero(record));
    findings.extend(flapping_finding(record, summary));
    findings.extend(query_always_zero(record));
    findings.extend(missed_objectives(summary));
    findings.extend(blocked_by_metric_error(record));
    findings.extend(failed_requests(summary));
    findings.extend(rejected_requests(summary));
    findings.extend(nothing_to_measure(summary, settings));
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
    // A trigger that is not a query (a cron window) may yet open: then only the refused requests are a fact.
    let only_queries = record.decisions.iter().all(|decision| match decision {
        DecisionRecord::KedaPoll(poll) => poll.metrics.iter().all(|metric| metric.kind == "prometheus"),
        DecisionRecord::HpaSync(_) => true,
    });
    let refused = record.requests.refused;
    if refused == 0 || !only_queries || !record.decisions.iter().any(at_zero) || record.decisions.iter().any(woke) {
        return None;
    }
    let message = format!(
        "{refused} requests were refused while spec.replicas was 0, and no trigger became active in the whole run"
    );
    let evidence = vec![
        "the series of vLLM pods vanish with the last pod; scale from zero needs a metric of what stands in front"
            .to_owned(),
    ];
    Some(finding("blind-at-zero", Severity::Error, message, evidence))
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

/// Triggers whose selectors found series but whose query never gave more than 0 although requests were served: the query
/// is wrong in a way that no error shows.
fn query_always_zero(record: &RunRecord) -> Vec<Finding> {
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
    let metrics = record.decisions.iter().flat_map(|decision| match decision {
        DecisionRecord::HpaSync(sync) => &sync.metrics,
        DecisionRecord::KedaPoll(poll) => &poll.metrics,
    });
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

fn unmatched_selectors(record: &RunRecord) -> Vec<Finding> {
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
/// is no error.
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
    let severity = if decided { severity } else { severity.min(Severity::Warning) };
    let doubt = if decided { "" } else { "; undecided, run longer" };
    let flapping = &summary.flapping;
    let turn = format!("turn <= {}", flapping.window);
    let rate = if measured_time < SHORTEST_RATE {
        format!("{} ({turn}); run too short to tell how often", counted(flapping.flaps, "flap"))
    } else {
        format!("{:.1} flaps/h ({:.1}..{:.1} at 95 %, {turn})", rate.0, rate.1, rate.2)
    };
    let message = format!("{rate}, {}{doubt}", counted(flapping.churned_replicas, "churned start"));
    Some(finding(code, severity, message, flap_evidence(record, flapping, load.0)))
}

fn flap_evidence(record: &RunRecord, flapping: &Flapping, load: f64) -> Vec<String> {
    let mut evidence = vec![
        format!("{} among {} of direction", counted(flapping.flaps, "flap"), counted(flapping.reversals, "change")),
        format!(
            "flap load {:.1} %: share of the fleet's time thrown into starts of {} each",
            100.0 * load,
            record.info.startup_p50
        ),
    ];
    let turns = flapping.moves.windows(2).filter(|pair| {
        pair[0].size.signum() != pair[1].size.signum() && pair[1].start.since(pair[0].end) <= flapping.window
    });
    evidence.extend(turns.take(5).map(|pair| turn_text(&pair[0], &pair[1])));
    evidence
}

/// A flap: the turn time counts from the last step of the move before to the first of the move after.
fn turn_text(before: &ScaleMove, after: &ScaleMove) -> String {
    let turn = after.start.since(before.end);
    let steps = if after.start == after.end { String::new() } else { format!(" in steps until {}", after.end) };
    let since = if before.start == before.end {
        format!("{:+} at {}", before.size, before.start)
    } else {
        format!("the last step of {:+} (from {} to {})", before.size, before.start, before.end)
    };
    format!("at {}: {:+} {}{steps}, {turn} after {since}", after.start, after.size, replicas(after.size))
}

fn replicas(size: i64) -> &'static str {
    if size.abs() == 1 { "replica" } else { "replicas" }
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
    let message = format!("{lost} of {} failed or timed out ({share:.2} %)", counted(requests.total, "request"));
    let causes = [
        (requests.refused, "refused: no pod that accepts"),
        (requests.killed, "killed with their pod"),
        (requests.unavailable, "answered 503"),
        (requests.error, "other errors"),
        (requests.timed_out, "gave up: client timeout"),
    ];
    let evidence = causes.into_iter().filter(|(count, _)| *count > 0).map(|(count, cause)| format!("{count} {cause}"));
    Some(finding("requests-failed", severity_of_share(lost, requests.total), message, evidence.collect()))
}

/// A run that lost most of its requests is not one to draw conclusions from.
fn severity_of_share(count: u64, total: u64) -> Severity {
    if count as f64 >= MOST_REQUESTS * total as f64 { Severity::Error } else { Severity::Warning }
}

/// `1 flap`, `2 flaps`.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn rejected_requests(summary: &Summary) -> Option<Finding> {
    let requests = &summary.requests;
    (requests.rejected > 0).then(|| {
        let share = 100.0 * requests.rejected as f64 / requests.total as f64;
        let message = format!(
            "{} of {} rejected with HTTP 400 ({share:.2} %): the prompt does not fit the model length",
            requests.rejected,
            counted(requests.total, "request")
        );
        let evidence =
            vec!["the SLO leaves them out; give the model a longer --max-model-len or shorten the prompts".to_owned()];
        finding("requests-rejected", severity_of_share(requests.rejected, requests.total), message, evidence)
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

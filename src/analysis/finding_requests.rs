//! Findings about requests: failures, rejections, missed objectives.

use crate::analysis::findings::{counted, finding};
use crate::analysis::flapping::measured;
use crate::analysis::{Finding, Summary};
use crate::record::{EventKind, RunRecord};
use crate::units::{Severity, SimTime};

/// Share of lost or rejected requests from which a run says nothing about the policy.
const MOST_REQUESTS: f64 = 0.5;

pub(super) fn missed_objectives(summary: &Summary) -> Vec<Finding> {
    let missed = summary.slo_objectives.iter().filter(|objective| !objective.met);
    // How the misses lie in time is told once, of all objectives.
    let mut reasons = summary.slo_reasons.map(|own| own.evidence(&summary.run)).unwrap_or_default();
    missed
        .map(|objective| {
            let Some(share) = objective.share_within else {
                let message =
                    format!("{}: no request with such a time ended, the objective cannot be judged", objective.name);
                return finding("slo-no-data", Severity::Warning, message, Vec::new());
            };
            if let Some((low, high)) = objective.share_interval.filter(|(_, high)| *high >= objective.required) {
                let message = format!(
                    "{}: {:.2}..{:.2} % of requests are within {} s and {:.0} % are asked for: the requests still open at the \
                     end decide",
                    objective.name,
                    100.0 * low,
                    100.0 * high,
                    objective.limit,
                    100.0 * objective.required
                );
                return finding("slo-censored", Severity::Warning, message, Vec::new());
            }
            let value = objective.value.map_or_else(|| "infinite".to_owned(), |value| format!("{value:.3} s"));
            let message = format!("{} is {value}, the limit is {} s", objective.name, objective.limit);
            let mut evidence = vec![
                format!("{:.2} % of requests within the limit", 100.0 * share),
                "failed, timed out and overdue requests count as misses".to_owned(),
            ];
            evidence.append(&mut reasons);
            finding("slo-missed", Severity::Error, message, evidence)
        })
        .collect()
}

pub(super) fn failed_requests(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let requests = &summary.requests;
    let lost = requests.failed + requests.timed_out;
    if lost == 0 {
        return None;
    }
    let share = 100.0 * lost as f64 / requests.total as f64;
    let message = format!("{lost} of {} failed or timed out ({share:.2} %)", counted(requests.total, "request"));
    let causes = [
        (requests.refused, "were refused: no pod accepted connections", Some("refused")),
        (requests.killed, "were cut off by the end of their pod", Some("killed")),
        (requests.unavailable, "were answered with status 503", Some("unavailable")),
        (requests.error, "failed otherwise", Some("error")),
        (requests.timed_out, "were given up by the client after its timeout", None),
    ];
    let evidence = causes.into_iter().filter(|(count, _, _)| *count > 0).map(|(count, fate, cause)| {
        let fate = if count == 1 { fate.replacen("were", "was", 1) } else { fate.to_owned() };
        format!("{count} {fate}{}", cause.map_or_else(String::new, |cause| when(record, cause)))
    });
    Some(finding("requests-failed", severity_of_share(lost, requests.total), message, evidence.collect()))
}

/// `, first at 12m, last at 14m`: when requests failed by `cause` in the measured time.
fn when(record: &RunRecord, cause: &str) -> String {
    let (start, _) = measured(record);
    let times = record.events.iter().filter_map(|event| match &event.kind {
        EventKind::RequestsFailed { cause: own, .. } if *own == cause && event.t >= start => Some(event.t),
        _ => None,
    });
    let times: Vec<SimTime> = times.collect();
    match times.as_slice() {
        [] => String::new(),
        [only] => format!(", at {only}"),
        [first, .., last] => format!(", first at {first}, last at {last}"),
    }
}

/// A run that lost most of its requests is not one to draw conclusions from.
fn severity_of_share(count: u64, total: u64) -> Severity {
    if count as f64 >= MOST_REQUESTS * total as f64 { Severity::Error } else { Severity::Warning }
}

pub(super) fn rejected_requests(summary: &Summary) -> Option<Finding> {
    let requests = &summary.requests;
    (requests.rejected > 0).then(|| {
        let share = 100.0 * requests.rejected as f64 / requests.total as f64;
        let message = format!(
            "{} of {} rejected with HTTP 400 ({share:.2} %): the prompt, or prompt + max_tokens, does not fit the \
             model length",
            requests.rejected,
            counted(requests.total, "request")
        );
        let evidence = "the SLO leaves them out; give the model a longer --max-model-len, shorten the prompts, or lower the \
                        requests' max_tokens";
        finding("requests-rejected", severity_of_share(requests.rejected, requests.total), message, vec![evidence.to_owned()])
    })
}

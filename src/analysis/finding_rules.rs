//! The rules of `kedasim lint` that only a run can break (keda.md section 8, those found by simulation): L-14, L-33, L-46,
//! L-48, L-49. Codes, names and advice are those of `docs/lint-rules.md`; a test compares them.

use crate::analysis::causes::{Cause, FlapCauses, flap_causes, winning};
use crate::analysis::findings::{counted, finding};
use crate::analysis::flapping::measured;
use crate::analysis::slo_minutes::violations;
use crate::analysis::{Finding, Need, Summary};
use crate::record::{DecisionRecord, EventKind, QueryInfo, RunRecord, SelectorRecord, TimelineRow};
use crate::scenario::AnalysisSettings;
use crate::units::{Severity, SimDuration, SimTime};

/// A rule as `lint` lists it.
struct RunRule {
    code: &'static str,
    name: &'static str,
    fix: &'static str,
}

const START_LONGER: RunRule = RunRule {
    code: "L-14",
    name: "start-longer-than-window",
    fix: "make the scaleUp stabilization window about as long as a start, or limit scaleUp by policies",
};
const LONG_WINDOWS: RunRule = RunRule {
    code: "L-33",
    name: "lag-of-long-windows",
    fix: "shorten the rate window, or the stabilization window of scaleUp",
};
const KILLS: RunRule = RunRule {
    code: "L-46",
    name: "scale-down-kills-generations",
    fix: "make terminationGracePeriodSeconds longer than the 99th percentile of a generation, with a preStop that drains",
};
const BLIND: RunRule = RunRule {
    code: "L-48",
    name: "blind-to-the-routers-queue",
    fix: "add a trigger on the router's or gateway's own queue",
};
const STALE: RunRule = RunRule {
    code: "L-49",
    name: "stale-router-gauges",
    fix: "use a router release that drops them, or join with the pods that live",
};

/// Time that a gateway holds requests below which nobody need have asked for more: a start-up's common length.
const LEAST_HELD: SimDuration = SimDuration::from_secs(60);

/// What of these rules the run broke.
pub(super) fn broken_rules(record: &RunRecord, summary: &Summary, settings: &AnalysisSettings) -> Vec<Finding> {
    if record.info.fixed_replicas {
        return Vec::new();
    }
    let found = [
        start_longer_than_window(record, summary),
        lag_of_long_windows(record, summary, settings),
        scale_down_kills(record, summary),
        blind_to_the_gateway(record),
        stale_gauges(record),
    ];
    found.into_iter().flatten().collect()
}

fn broken(rule: &RunRule, message: &str, mut evidence: Vec<String>) -> Finding {
    evidence.push(format!("try: {}", rule.fix));
    finding(rule.code, Severity::Warning, format!("{}: {message}", rule.name), evidence)
}

/// L-14: a start takes longer than the scaleUp window, a gauge such as a queue decides, and the count rose on while pods
/// ordered before were not ready, to fall again as they became ready (the signature of C2).
fn start_longer_than_window(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let start = record.info.startup_p50;
    let window = record.loop_info.scale_up_window;
    if start <= window || !summary.causes.iter().any(|own| own.cause == Cause::ColdStart && own.matched > 0) {
        return None;
    }
    let overshoots: Vec<(FlapCauses, String)> = flap_causes(record, &summary.flapping, &summary.demand)
        .into_iter()
        .filter_map(|flap| {
            let text = flap.matches.iter().find(|own| own.cause == Cause::ColdStart)?.evidence.clone();
            let up = record.decisions.get(summary.flapping.turns.get(flap.turn)?.old.decision?)?.sync()?;
            is_gauge(record, &winning(up)?.trigger).then_some((flap, text))
        })
        .collect();
    let (_, example) = overshoots.first()?;
    let window = if window.is_zero() {
        "there is no scaleUp window".to_owned()
    } else {
        format!("the scaleUp window is {window}")
    };
    let message = format!(
        "a start takes {start}, {window}: {} ordered more replicas than were needed, since those on their \
         way take nothing off the metric yet",
        counted(overshoots.len() as u64, "peak")
    );
    Some(broken(&START_LONGER, &message, vec![format!("for example: {example}")]))
}

/// What the query of the trigger `name` is.
fn query_of<'a>(record: &'a RunRecord, name: &str) -> Option<&'a QueryInfo> {
    let place = record.info.triggers.iter().position(|own| own.name == name)?;
    record.loop_info.queries.get(place)
}

/// Whether a trigger is a query over single samples: a queue, requests running, a share.
fn is_gauge(record: &RunRecord, name: &str) -> bool {
    let is_query = record.info.triggers.iter().any(|own| own.name == name && own.kind == "prometheus");
    is_query && query_of(record, name).is_some_and(|own| own.range.is_zero())
}

/// A rise of the need that was answered late.
struct LateRise {
    at: SimTime,
    up: SimTime,
    windows: SimDuration,
    range: SimDuration,
    trigger: String,
}

/// L-33: after a rise of the need, half the rate window and the scaleUp window took longer than all else until pods served,
/// and requests were lost to it: they waited on all pods, or missed the SLO.
fn lag_of_long_windows(record: &RunRecord, summary: &Summary, settings: &AnalysisSettings) -> Option<Finding> {
    let missed = violations(record, &settings.slo);
    let need = Need::of_load(record, summary.flapping.window, summary.ready_mean);
    let (start, _) = measured(record);
    let mut late = Vec::new();
    for (at, level) in need.rises().into_iter().filter(|(at, _)| *at >= start) {
        late.extend(late_rise(record, &missed, at, level));
    }
    let worst = late.iter().max_by_key(|own| own.up.since(own.at))?;
    let message = format!(
        "after {} of the load the windows were the larger part of the delay, and requests waited or missed the SLO meanwhile",
        counted(late.len() as u64, "rise")
    );
    let loop_info = &record.loop_info;
    let evidence = vec![
        format!(
            "for example: the load rose at {}, the count {} later at {}, by {}",
            worst.at,
            worst.up.since(worst.at),
            worst.up,
            worst.trigger
        ),
        format!(
            "expected: half the range of {} + scaleUp window {} + scrape {} + sync {} = {}",
            worst.range,
            loop_info.scale_up_window,
            loop_info.scrape_interval,
            loop_info.sync_period,
            worst.windows + loop_info.scrape_interval + loop_info.sync_period
        ),
    ];
    Some(broken(&LONG_WINDOWS, &message, evidence))
}

/// The answer to the need's rise to `level` at `at`, if it was late by the windows' fault.
fn late_rise(record: &RunRecord, missed: &[(SimTime, SimTime)], at: SimTime, level: i32) -> Option<LateRise> {
    let mut syncs = record.decisions.iter().filter_map(DecisionRecord::sync);
    let up = syncs.find(|sync| sync.t >= at && sync.rescaled && sync.new_replicas > sync.spec_replicas)?;
    if up.spec_replicas >= level {
        return None;
    }
    let trigger = winning(up)?.trigger.to_string();
    let range = query_of(record, &trigger)?.range;
    let settings = &record.loop_info;
    let windows = SimDuration::from_ps(range.as_ps() / 2) + settings.scale_up_window;
    let delay = up.t.since(at);
    let rest = record.info.startup_p50 + settings.scrape_interval + settings.sync_period;
    // What the estimate cannot explain is not the windows' (the load rose within the noise, another trigger held).
    let explained = delay.as_ps() * 2 >= windows.as_ps() && delay <= windows.times(2) + rest;
    let until = up.t + record.info.startup_p50;
    let suffered = requests_waited(record, at, until) || missed.iter().any(|(from, to)| *from < until && *to > at);
    (!range.is_zero() && windows > rest && explained && suffered).then_some(LateRise {
        at,
        up: up.t,
        windows,
        range,
        trigger,
    })
}

/// Whether requests waited on all ready pods at some sample.
fn requests_waited(record: &RunRecord, from: SimTime, to: SimTime) -> bool {
    let waits = |row: &TimelineRow| row.waiting >= u64::from(row.ready_replicas.unsigned_abs()).max(1);
    record.timeline.rows.iter().any(|row| row.t >= from && row.t <= to && waits(row))
}

/// L-46: a scale-down cut requests off.
fn scale_down_kills(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let (start, _) = measured(record);
    let deleted = |name: &str| record.pods.iter().any(|pod| pod.name == name && pod.deleted.is_some());
    let cut: Vec<(SimTime, u64)> = record
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::RequestsFailed { pod: Some(pod), count, cause: "killed" } if deleted(pod) => {
                Some((event.t, *count))
            }
            _ => None,
        })
        .filter(|(t, _)| *t >= start)
        .collect();
    let (first, _) = *cut.first()?;
    let requests: u64 = cut.iter().map(|(_, count)| count).sum();
    let message = format!(
        "{} cut off by the end of a pod that was scaled down; whoever scales down does not look at what a pod generates",
        if requests == 1 { "1 request was".to_owned() } else { format!("{requests} requests were") }
    );
    let grace = record.loop_info.grace_period;
    let longest = summary.e2e.completed.and_then(|own| own[3]).or(summary.e2e.p99);
    let mut evidence = vec![format!("first at {first}")];
    evidence.extend(longest.map(|p99| {
        let than = if p99 > grace.as_secs_f64_exact() { "longer than" } else { "within" };
        format!("99th percentile of a request: {p99:.3} s, {than} the grace period of {grace}")
    }));
    Some(broken(&KILLS, &message, evidence))
}

/// L-48: all triggers read the engines' own series, and the gateway held requests while the count could have risen.
fn blind_to_the_gateway(record: &RunRecord) -> Option<Finding> {
    let fleet = &record.fleet;
    let all_engine = !record.selectors.is_empty() && record.selectors.iter().all(is_of_engine);
    let all_queries = record.info.triggers.iter().all(|own| own.kind == "prometheus" || own.kind == "composite");
    if !all_engine || !all_queries || fleet.held_below_max < LEAST_HELD {
        return None;
    }
    let message = format!(
        "the gateway held requests for {} in which no trigger asked for more replicas, up to {} at once: every trigger reads the \
         engines' series, which do not count them",
        fleet.held_below_max,
        counted(fleet.most_held, "request")
    );
    let read: Vec<&str> = record.selectors.iter().map(|own| own.selector.as_str()).collect();
    Some(broken(&BLIND, &message, vec![format!("read: {}", read.join(", "))]))
}

/// Whether a selector reads series of vLLM's engine; the router of production-stack has one in its name space.
fn is_of_engine(selector: &SelectorRecord) -> bool {
    selector.selector.starts_with("vllm:") && !selector.selector.starts_with("vllm:num_incoming_requests")
}

/// L-49: long after the last request a gauge that is not the pods' holds replicas above the minimum.
fn stale_gauges(record: &RunRecord) -> Option<Finding> {
    let (start, _) = measured(record);
    let settings = &record.loop_info;
    let range = settings.queries.iter().map(|own| own.range).max().unwrap_or(SimDuration::ZERO);
    let least = settings.scale_down_window + range + settings.lookback;
    for (from, to) in idle_spans(record).into_iter().filter(|(_, to)| *to >= start) {
        if to.since(from) < least {
            continue;
        }
        let mut syncs = record.decisions.iter().rev().filter_map(DecisionRecord::sync);
        let last = syncs.find(|sync| sync.t <= to && sync.t > from)?;
        let Some(metric) = winning(last) else { continue };
        let foreign = record.selectors.iter().filter(|own| own.trigger == *metric.trigger && !is_of_engine(own));
        let foreign: Vec<&str> = foreign.map(|own| own.selector.as_str()).collect();
        let holds = metric.proposal.is_some_and(|own| own > record.info.min_replicas.max(1));
        if !holds || foreign.is_empty() || !is_gauge(record, &metric.trigger) {
            continue;
        }
        let message = format!(
            "{} still asked for {} {} after the last request: a gauge that is not the pods' held the count up, as a router does that \
             keeps gauges of removed pods",
            metric.trigger,
            counted(u64::from(metric.proposal.unwrap_or(0).unsigned_abs()), "replica"),
            last.t.since(from)
        );
        let value = metric.value.map_or_else(String::new, |value| format!(" was {value} then"));
        return Some(broken(&STALE, &message, vec![format!("{}{value}", foreign.join(", "))]));
    }
    None
}

/// Spans of the timeline without any request sent, running or waiting, that follow one with: (start, end).
fn idle_spans(record: &RunRecord) -> Vec<(SimTime, SimTime)> {
    let mut spans = Vec::new();
    let mut since: Option<SimTime> = None;
    let mut seen = false;
    for row in &record.timeline.rows {
        if row.offered_rps == 0.0 && row.running == 0 && row.waiting == 0 {
            if seen {
                since.get_or_insert(row.t);
            }
            continue;
        }
        seen = true;
        spans.extend(since.take().map(|from| (from, row.t)));
    }
    spans.extend(since.map(|from| (from, record.info.end)));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_place_in_the_list() {
        let page = include_str!("../../docs/lint-rules.md");
        for rule in [START_LONGER, LONG_WINDOWS, KILLS, BLIND, STALE] {
            let heading = format!("## {} {}\n", rule.code, rule.name);
            let entry = page.split(&heading).nth(1).unwrap_or_else(|| panic!("no entry {heading}"));
            let entry = entry.split("\n## ").next().unwrap_or(entry);
            assert!(entry.contains(rule.fix), "{}: {entry}", rule.code);
            assert!(entry.contains("Fires: in `simulate`"), "{} says where it fires: {entry}", rule.code);
        }
    }
}

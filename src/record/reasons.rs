//! Why a sync or a poll decided as it did, in sentences made from the record's numbers.
//!
//! They are made when a file or a text is written and never kept: a run has tens of thousands of decisions. Nothing is
//! concluded here and nothing decided again; a number that the record does not hold is not told.
//!
//! Reading order: `why` (one metric), `explain_sync` and `explain_poll` (the whole decision), `sync_in_short` (a table's line).
//! Each sentence grows in one text, part by part.

use crate::hpa::{Direction, LimitReason, PolicyKind, WindowReason};
use crate::record::number_text::{push_milli, push_quotient, push_ratio, push_short, push_whole, short_text};
use crate::record::{HpaSync, KedaPoll, MetricRecord};
use crate::units::SimDuration;
use std::fmt::{self, Write as _};

/// Room for nearly all sentences.
const USUAL_LENGTH: usize = 160;

/// The usage/target ratios that the HPA takes for 1, the edges included, and their text: each metric of each sync names them.
#[derive(Clone, Debug, PartialEq)]
pub struct ToleranceBand {
    edges: (f64, f64),
    text: String,
}

impl From<(f64, f64)> for ToleranceBand {
    fn from((low, high): (f64, f64)) -> Self {
        ToleranceBand { edges: (low, high), text: format!("{}..{}", short_text(low), short_text(high)) }
    }
}

/// What one metric proposed in `sync` and why: `16.58 / 5 = 3.32 -> 4 (ratio 1.66 against 2 replicas, outside 0.9..1.1)`.
///
/// The arithmetic is `replica_calculator.go`'s (hpa.md 6): an AverageValue is a total that is divided by the target, and
/// only its tolerance test sees a count, `status.replicas`; a Value is a ratio times ready pods; what is measured per pod is
/// a ratio times the pods that were measured.
pub fn metric_why(metric: &MetricRecord, sync: &HpaSync, band: &ToleranceBand) -> String {
    if let Some(error) = &metric.error {
        return format!("failed: {error}");
    }
    let mut out = String::with_capacity(USUAL_LENGTH);
    let Some(proposal) = metric.proposal else {
        push_told(&mut out, metric);
        let role = if sync.metric_desired.is_some() { ", an input of the formula" } else { ", not looked at" };
        out.push_str(role);
        return out;
    };
    push_source(&mut out, metric);
    match Shape::of(metric) {
        Shape::CountsAsLargest => {
            push_told(&mut out, metric);
            out.push_str(", which counts as the largest number as any negative sum does");
        }
        Shape::Total => push_total(&mut out, metric, sync, (proposal, band)),
        Shape::Ratio => push_ratio_of_pods(&mut out, metric, sync, band),
        Shape::PerPod => push_per_pod(&mut out, metric, band),
    }
    // A total says it before its ratio.
    if Shape::of(metric) != Shape::Total {
        push_proposal(&mut out, proposal);
    }
    push_asked(&mut out, metric, sync);
    out
}

fn push_total(out: &mut String, metric: &MetricRecord, sync: &HpaSync, (proposal, band): (i32, &ToleranceBand)) {
    push_division(out, metric);
    let keeps = metric.within_tolerance == Some(true);
    if keeps {
        out.push_str(", ratio ");
    } else {
        push_proposal(out, proposal);
        out.push_str(" (ratio ");
    }
    push_shown_ratio(out, metric, band);
    out.push_str(" against ");
    push_counted(out, sync.status_replicas, "replica");
    push_verdict(out, metric, band);
    if keeps {
        out.push_str(": keeps them");
        push_proposal(out, proposal);
    } else {
        out.push(')');
    }
}

fn push_ratio_of_pods(out: &mut String, metric: &MetricRecord, sync: &HpaSync, band: &ToleranceBand) {
    push_told(out, metric);
    out.push_str(" / ");
    push_milli(out, metric.target_milli);
    out.push_str(" = ");
    push_shown_ratio(out, metric, band);
    push_verdict(out, metric, band);
    match metric.within_tolerance {
        Some(true) => {
            out.push_str(": keeps ");
            push_counted(out, sync.spec_replicas, "replica");
        }
        Some(false) => {
            out.push_str("; x ");
            push_ready_product(out, metric, sync);
        }
        None => {}
    }
}

fn push_per_pod(out: &mut String, metric: &MetricRecord, band: &ToleranceBand) {
    push_per_pod_usage(out, metric);
    if is_filled_in(metric) {
        out.push_str("missing and unready pods filled in, ");
    }
    out.push_str("ratio ");
    push_shown_ratio(out, metric, band);
    out.push_str(" over the pods");
    push_verdict(out, metric, band);
    if metric.within_tolerance == Some(true) {
        out.push_str(": keeps the count");
    }
}

/// The whole sync in one sentence: what was proposed, what the windows and limits made of it, what was written.
pub fn explain_sync(sync: &HpaSync) -> String {
    let mut out = String::with_capacity(USUAL_LENGTH);
    push_causes(&mut out, sync);
    push_outcome(&mut out, sync.spec_replicas, sync.new_replicas);
    out
}

/// What came before the write, in the controller's order.
fn push_causes(out: &mut String, sync: &HpaSync) {
    match sync.metric_desired {
        Some(desired) => {
            push_proposals(out, sync, desired);
            push_window(out, sync, desired);
            push_limit(out, sync);
        }
        None if sync.spec_replicas == 0 && !sync.rescaled => {
            out.push_str("scaling is disabled while the target has 0 replicas");
        }
        None if sync.rescaled => {
            let (side, bound) = if sync.new_replicas < sync.spec_replicas {
                ("above", "maxReplicas")
            } else {
                ("below", "minReplicas")
            };
            push_counted(out, sync.spec_replicas, "replica");
            push(out, format_args!(" found, {side} {bound} {}: metrics are not looked at", sync.new_replicas));
        }
        None => push_failures(out, sync),
    }
}

/// A poll in one sentence.
pub fn explain_poll(poll: &KedaPoll) -> String {
    let mut out = poll_cause(poll);
    push_outcome(&mut out, poll.spec_replicas, poll.new_replicas);
    out
}

/// Why a poll did what it did, without the counts.
pub fn poll_cause(poll: &KedaPoll) -> String {
    let mut out = String::with_capacity(USUAL_LENGTH);
    if poll.rule == "paused" {
        out.push_str("paused: no scale loop and no HPA");
        if poll.action != "none" {
            out.push_str(", the annotation's count is written");
        }
        return out;
    }
    let has_active = push_who(&mut out, poll);
    let what = match (poll.rule, poll.action) {
        (_, "activate") => "activates the target",
        (_, "deactivate") => "the cooldown is over",
        (_, "raiseToMinimum") => "raises to minReplicaCount",
        ("A1", _) => "may not activate (paused-scale-out)",
        ("A2", _) => "holds while a trigger fails",
        ("A3", _) if poll.metrics.is_empty() => "cpu and memory alone count as active",
        ("A3", _) if !has_active => "held active (force-activation)",
        ("A3", _) => "the cooldown starts again",
        ("I1", _) => "holds for the fallback",
        ("I2", _) => "holds: there is no fallback",
        ("I3", _) => match poll.cooldown_end {
            Some(end) => {
                push(&mut out, format_args!(": holds until the cooldown ends at {end} (I3)"));
                return out;
            }
            None => "holds for paused-scale-in",
        },
        _ => "nothing to do",
    };
    for part in [": ", what, " (", poll.rule, ")"] {
        out.push_str(part);
    }
    out
}

/// Which triggers are active and which failed; whether any is active.
fn push_who(out: &mut String, poll: &KedaPoll) -> bool {
    // A trigger's error keeps the whole object from being active, whatever stands in for the formula.
    let mut has_active = false;
    for metric in active_triggers(poll).filter(|_| poll.active) {
        out.push_str(if has_active { ", " } else { "active: " });
        has_active = true;
        out.push_str(&metric.trigger);
        out.push_str(if metric.fallback { " by fallback " } else { " " });
        push_told(out, metric);
    }
    let mut has_failed = false;
    for metric in poll.metrics.iter().filter(|metric| metric.error.is_some()) {
        out.push_str(match (has_failed, has_active) {
            (true, _) => ", ",
            (false, true) => "; failed: ",
            (false, false) => "failed: ",
        });
        has_failed = true;
        out.push_str(&metric.trigger);
    }
    if !has_active && !has_failed {
        out.push_str(if poll.active { "active" } else { "no trigger is active" });
    }
    has_active
}

/// A rescale on a table's line: the deciding metric's figures, then the windows and limits that changed the count.
/// `named` is the metric to show.
pub fn sync_in_short(sync: &HpaSync, named: &MetricRecord) -> String {
    let mut out = String::with_capacity(USUAL_LENGTH);
    let Some(desired) = sync.metric_desired else {
        push_causes(&mut out, sync);
        return out;
    };
    push(&mut out, format_args!("{} ", named.trigger));
    push_in_short(&mut out, named, sync);
    push_window_in_short(&mut out, sync, desired);
    push_limit(&mut out, sync);
    out
}

/// A metric's figures without its tolerance test, unless that decided.
fn push_in_short(out: &mut String, metric: &MetricRecord, sync: &HpaSync) {
    if let Some(error) = &metric.error {
        return push(out, format_args!("failed: {error}"));
    }
    let Some(proposal) = metric.proposal else { return push_told(out, metric) };
    let ratio = || metric.ratio.map_or_else(String::new, short_text);
    push_source(out, metric);
    match Shape::of(metric) {
        _ if metric.within_tolerance == Some(true) => push(out, format_args!("within tolerance (ratio {})", ratio())),
        Shape::CountsAsLargest => {
            push_told(out, metric);
            out.push_str(", counted as the largest number");
        }
        Shape::Total => push_division(out, metric),
        Shape::Ratio => {
            push_told(out, metric);
            out.push_str(" / ");
            push_milli(out, metric.target_milli);
            out.push_str(" x ");
            push_ready_product(out, metric, sync);
        }
        Shape::PerPod => {
            push_per_pod_usage(out, metric);
            push(out, format_args!("ratio {}", ratio()));
        }
    }
    push_proposal(out, proposal);
}

fn push_proposal(out: &mut String, proposal: i32) {
    out.push_str(" -> ");
    push_whole(out, proposal);
}

/// How a metric becomes a count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// External AverageValue.
    Total,
    /// The same with a negative sum, which from 1.34 on is taken for an overflow (HPA-AVG-4).
    CountsAsLargest,
    /// External Value.
    Ratio,
    /// Pods and Resource metrics.
    PerPod,
}

impl Shape {
    fn of(metric: &MetricRecord) -> Self {
        if is_per_pod(metric) {
            Shape::PerPod
        } else if metric.target_type != "AverageValue" {
            Shape::Ratio
        } else if metric.milli.is_some_and(|milli| milli < 0) && metric.ratio.is_some_and(|ratio| ratio > 0.0) {
            Shape::CountsAsLargest
        } else {
            Shape::Total
        }
    }
}

/// Whether a metric is measured per pod and not for the target as a whole.
fn is_per_pod(metric: &MetricRecord) -> bool {
    let per_pod = ["cpu", "memory", "pods", "resource", "containerresource"];
    metric.target_type == "Utilization" || per_pod.iter().any(|kind| metric.kind.eq_ignore_ascii_case(kind))
}

/// What the HPA was told.
fn push_told(out: &mut String, metric: &MetricRecord) {
    match (metric.milli, metric.value) {
        (Some(milli), _) => push_milli(out, milli),
        (None, Some(value)) => push_short(out, value),
        (None, None) => out.push_str("no value"),
    }
}

/// `16.58 / 5 = 3.32`, digits enough to see why it is rounded up as it is.
fn push_division(out: &mut String, metric: &MetricRecord) {
    push_told(out, metric);
    out.push_str(" / ");
    push_milli(out, metric.target_milli);
    out.push_str(" = ");
    push_quotient(out, metric.milli.map_or(f64::NAN, |milli| milli as f64 / metric.target_milli as f64));
}

/// `2 ready pods = 3.32`, the ratio times so many.
fn push_ready_product(out: &mut String, metric: &MetricRecord, sync: &HpaSync) {
    let ready = sync.ready_replicas;
    push_counted(out, ready, "ready pod");
    out.push_str(" = ");
    push_quotient(out, metric.ratio.unwrap_or(f64::NAN) * f64::from(ready));
}

/// `83 % against 80 %, `; nothing when the usage is not known.
fn push_per_pod_usage(out: &mut String, metric: &MetricRecord) {
    let known = metric.milli.is_some() || metric.value.is_some();
    let is_percent = metric.target_type == "Utilization";
    if known {
        push_told(out, metric);
        out.push_str(if is_percent { " % of the request against " } else { " per pod against " });
    } else {
        out.push_str("target ");
    }
    push_milli(out, metric.target_milli);
    out.push_str(match (is_percent, known) {
        (true, true) => " %, ",
        (true, false) => " % of the request, ",
        (false, true) => ", ",
        (false, false) => " per pod, ",
    });
}

/// Whether the ratio that was tested is not that of the usage: pods without a sample, or not ready, took part with an assumed one.
fn is_filled_in(metric: &MetricRecord) -> bool {
    let (Some(milli), Some(ratio)) = (metric.milli, metric.ratio) else { return false };
    metric.target_milli != 0 && (milli as f64 / metric.target_milli as f64 - ratio).abs() > 1e-3
}

fn push_shown_ratio(out: &mut String, metric: &MetricRecord, band: &ToleranceBand) {
    match metric.ratio {
        Some(ratio) => push_ratio(out, ratio, metric.within_tolerance, band.edges),
        None => out.push_str("unknown"),
    }
}

/// `, outside 0.9..1.1`; nothing when tolerance was not tested.
fn push_verdict(out: &mut String, metric: &MetricRecord, band: &ToleranceBand) {
    if let Some(within) = metric.within_tolerance {
        out.push_str(if within { ", within " } else { ", outside " });
        out.push_str(&band.text);
    }
}

/// Where a number that no source gave came from.
fn push_source(out: &mut String, metric: &MetricRecord) {
    if metric.fallback {
        return out.push_str("fallback for a failed answer: ");
    }
    if let Some(value) = metric.value.filter(|value| !value.is_finite() && metric.milli.is_some()) {
        push(out, format_args!("{value} is told as "));
    }
}

/// How old a cached answer is.
fn push_asked(out: &mut String, metric: &MetricRecord, sync: &HpaSync) {
    if metric.cached {
        let age = sync.t.saturating_since(metric.query_time);
        push(out, format_args!("; asked {} ago", seconds(age)));
    }
}

/// The proposals, the largest first; it is the one that counts.
fn push_proposals(out: &mut String, sync: &HpaSync, desired: i32) {
    let winner = sync.metrics.iter().position(|metric| metric.proposal == Some(desired));
    let Some(winner) = winner else { return push(out, format_args!("the metrics propose {desired}")) };
    let metric = &sync.metrics[winner];
    out.push_str(&metric.trigger);
    out.push_str(" proposes ");
    push_whole(out, desired);
    if metric.within_tolerance == Some(true) {
        out.push_str(", within tolerance");
    }
    let mut has_others = false;
    for (_, metric) in sync.metrics.iter().enumerate().filter(|(index, _)| *index != winner) {
        // Neither: the input of a formula.
        if metric.proposal.is_none() && metric.error.is_none() {
            continue;
        }
        out.push_str(if has_others { ", " } else { " (" });
        has_others = true;
        out.push_str(&metric.trigger);
        match metric.proposal {
            Some(proposal) => {
                out.push(' ');
                push_whole(out, proposal);
            }
            None => out.push_str(" failed"),
        }
    }
    if has_others {
        out.push(')');
    }
}

/// A sync without a result (`computeReplicasForMetrics`, HPA-MULTI-1 and 2).
fn push_failures(out: &mut String, sync: &HpaSync) {
    let failed = sync.metrics.iter().filter_map(|metric| Some((metric, metric.error.as_ref()?)));
    let failed: Vec<String> = failed.map(|(metric, error)| format!("{} failed: {error}", metric.trigger)).collect();
    out.push_str(&if failed.is_empty() { "no metric could be computed".to_owned() } else { failed.join(", ") });
    if let Some(metric) = sync.metrics.iter().max_by_key(|metric| metric.proposal)
        && let Some(proposal) = metric.proposal
    {
        let name = &metric.trigger;
        push(out, format_args!("; {name} proposes {proposal}, and while a metric fails nothing scales down"));
    }
}

/// What the windows made of the proposal where they changed it.
fn stabilized(sync: &HpaSync, desired: i32) -> Option<i32> {
    sync.stabilized.filter(|stabilized| *stabilized != desired.max(0))
}

/// What a window made of the proposal; nothing when it is the proposal.
fn push_window(out: &mut String, sync: &HpaSync, desired: i32) {
    let Some(stabilized) = stabilized(sync, desired) else { return };
    let Some(WindowReason { direction, window, recommendation, age }) = sync.window else {
        let side = if stabilized < desired { Direction::Up } else { Direction::Down };
        return push(out, format_args!("; the {} window holds it at {stabilized}", word(side)));
    };
    let (held, age) = (recommendation.replicas, seconds(age));
    push(out, format_args!("; {} window {} ", word(direction), seconds(window)));
    if held == stabilized {
        push(out, format_args!("holds it at {stabilized}, the recommendation of {age} ago"));
    } else {
        push(out, format_args!("keeps the current {stabilized}, for the recommendation of {held} of {age} ago"));
    }
}

fn push_window_in_short(out: &mut String, sync: &HpaSync, desired: i32) {
    match (stabilized(sync, desired), sync.window) {
        (Some(stabilized), Some(WindowReason { direction, window, recommendation, age }))
            if recommendation.replicas == stabilized =>
        {
            let (name, window, age) = (word(direction), seconds(window), seconds(age));
            push(out, format_args!("; {name} window {window} holds {stabilized}, proposed {age} ago"));
        }
        _ => push_window(out, sync, desired),
    }
}

/// What kept the count from following; nothing when nothing did.
fn push_limit(out: &mut String, sync: &HpaSync) {
    let new = sync.new_replicas;
    match sync.limit {
        None => {
            let Some(stabilized) = sync.stabilized.filter(|stabilized| *stabilized != new) else { return };
            match sync.bound_by {
                "none" => {}
                bound @ ("minReplicas" | "maxReplicas") => push(out, format_args!("; {bound} {new}")),
                bound => push(out, format_args!("; {bound} cuts {stabilized} to {new}")),
            }
        }
        Some(LimitReason::Policy { direction, index, policy, period_start, limit }) => {
            let (name, side) = match direction {
                Direction::Up => ("scaleUp", "most"),
                Direction::Down => ("scaleDown", "least"),
            };
            let (value, kind, period) = (policy.value, policy_word(policy.kind), seconds(policy.period));
            let passed = match direction {
                Direction::Up => limit < sync.spec_replicas,
                Direction::Down => limit > sync.spec_replicas,
            };
            let passed = if passed { ", passed already" } else { "" };
            push(
                out,
                format_args!(
                    "; {name} policy {index} ({value} {kind} per {period}) allows at {side} {limit}, from {period_start} at \
                     the period's start{passed}"
                ),
            );
        }
        Some(LimitReason::Disabled(direction)) => {
            push(out, format_args!("; {} is disabled (selectPolicy)", word(direction)));
        }
        Some(LimitReason::BuiltIn { limit }) => {
            push(out, format_args!("; without behavior at most {limit}, twice the count or 4"));
        }
        Some(LimitReason::MaxReplicas(count)) => {
            out.push_str("; maxReplicas ");
            push_whole(out, count);
        }
        Some(LimitReason::MinReplicas(count)) => {
            out.push_str("; minReplicas ");
            push_whole(out, count);
        }
    }
}

fn active_triggers(poll: &KedaPoll) -> impl Iterator<Item = &MetricRecord> {
    // A formula decides alone.
    let formula = poll.metrics.iter().any(|metric| metric.kind == "composite");
    let counted = poll.metrics.iter().filter(move |metric| !formula || metric.kind == "composite");
    counted.filter(|metric| metric.active == Some(true))
}

fn push_outcome(out: &mut String, before: i32, after: i32) {
    if before == after {
        out.push_str("; stays at ");
        push_whole(out, after);
    } else {
        out.push_str("; ");
        push_whole(out, before);
        push_proposal(out, after);
    }
}

fn push(out: &mut String, words: fmt::Arguments<'_>) {
    out.write_fmt(words).expect("writing to memory does not fail");
}

/// Upstream's name of a direction's rules.
pub(super) fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Up => "scaleUp",
        Direction::Down => "scaleDown",
    }
}

/// Upstream's name of a policy's type.
pub(super) fn policy_word(kind: PolicyKind) -> &'static str {
    match kind {
        PolicyKind::Pods => "Pods",
        PolicyKind::Percent => "Percent",
    }
}

/// A time as a person reads it, to the tenth of a second: `15.2s`, `4m45s`. From the microseconds that files carry, so that a
/// decision read back explains itself in the same words.
fn seconds(time: SimDuration) -> SimDuration {
    let tenths = (time.as_secs_f64() * 10.0).round();
    SimDuration::from_secs_f64(tenths / 10.0)
}

/// `1 replica`, `2 replicas`.
fn push_counted(out: &mut String, count: i32, noun: &str) {
    push_whole(out, count);
    out.push(' ');
    out.push_str(noun);
    if count != 1 {
        out.push('s');
    }
}

#[cfg(test)]
#[path = "reasons_tests.rs"]
mod tests;

//! Why a sync or a poll decided as it did, in sentences made from the record's numbers.
//!
//! They are made when a file or a text is written and never kept: a run has tens of thousands of decisions. Nothing is
//! concluded here and nothing decided again; a number that the record does not hold is not told.
//!
//! Reading order: `why` (one metric), `explain_sync` and `explain_poll` (the whole decision), `sync_in_short` (a table's line).

use crate::hpa::{Direction, LimitReason, PolicyKind, WindowReason};
use crate::record::number_text::{milli_text, quotient_text, ratio_text, short_text};
use crate::record::{HpaSync, KedaPoll, MetricRecord};
use crate::units::SimDuration;

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
    let Some(proposal) = metric.proposal else {
        let told = told(metric);
        return match sync.metric_desired {
            Some(_) => format!("{told}, an input of the formula"),
            None => format!("{told}, not looked at"),
        };
    };
    let verdict = verdict(metric, band);
    let text = match Shape::of(metric) {
        Shape::CountsAsLargest => {
            format!("{}, which counts as the largest number as any negative sum does -> {proposal}", told(metric))
        }
        Shape::Total => {
            let against = format!("ratio {} against {}", shown_ratio(metric, band), replicas(sync.status_replicas));
            let sum = division(metric);
            match metric.within_tolerance {
                Some(true) => format!("{sum}, {against}, {verdict}: keeps them -> {proposal}"),
                _ => format!("{sum} -> {proposal} ({against}{})", after_comma(&verdict)),
            }
        }
        Shape::Ratio => {
            let sum = format!("{} / {} = {}", told(metric), target(metric), shown_ratio(metric, band));
            match metric.within_tolerance {
                Some(true) => format!("{sum}, {verdict}: keeps {} -> {proposal}", replicas(sync.spec_replicas)),
                Some(false) => {
                    let product = metric.ratio.unwrap_or(f64::NAN) * f64::from(sync.ready_replicas);
                    let pods = counted(sync.ready_replicas, "ready pod");
                    format!("{sum}, {verdict}; x {pods} = {} -> {proposal}", quotient_text(product))
                }
                None => format!("{sum} -> {proposal}"),
            }
        }
        Shape::PerPod => {
            let usage = per_pod_usage(metric);
            let filled = if is_filled_in(metric) { "missing and unready pods filled in, " } else { "" };
            let ratio =
                format!("{usage}{filled}ratio {} over the pods{}", shown_ratio(metric, band), after_comma(&verdict));
            let keeps = if metric.within_tolerance == Some(true) { ": keeps the count" } else { "" };
            format!("{ratio}{keeps} -> {proposal}")
        }
    };
    format!("{}{text}{}", source(metric), asked(metric, sync))
}

/// The whole sync in one sentence: what was proposed, what the windows and limits made of it, what was written.
pub fn explain_sync(sync: &HpaSync) -> String {
    let mut parts = causes(sync);
    parts.push(outcome(sync.spec_replicas, sync.new_replicas));
    parts.join("; ")
}

/// What came before the write, in the controller's order.
fn causes(sync: &HpaSync) -> Vec<String> {
    let mut parts = Vec::new();
    match sync.metric_desired {
        Some(desired) => {
            parts.push(proposals(sync, desired));
            parts.extend(window_text(sync, desired));
            parts.extend(limit_text(sync));
        }
        None if sync.spec_replicas == 0 && !sync.rescaled => {
            parts.push("scaling is disabled while the target has 0 replicas".to_owned());
        }
        None if sync.rescaled => {
            let (side, bound) = if sync.new_replicas < sync.spec_replicas {
                ("above", "maxReplicas")
            } else {
                ("below", "minReplicas")
            };
            let (found, new) = (counted(sync.spec_replicas, "replica"), sync.new_replicas);
            parts.push(format!("{found} found, {side} {bound} {new}: metrics are not looked at"));
        }
        None => parts.push(failures(sync)),
    }
    parts
}

/// A poll in one sentence.
pub fn explain_poll(poll: &KedaPoll) -> String {
    format!("{}; {}", poll_cause(poll), outcome(poll.spec_replicas, poll.new_replicas))
}

/// Why a poll did what it did, without the counts.
pub fn poll_cause(poll: &KedaPoll) -> String {
    // A trigger's error keeps the whole object from being active, whatever stands in for the formula.
    let active: Vec<String> = if poll.active { active_triggers(poll).collect() } else { Vec::new() };
    let failed: Vec<&str> =
        poll.metrics.iter().filter(|metric| metric.error.is_some()).map(|metric| metric.trigger.as_str()).collect();
    let who = match (active.is_empty(), failed.is_empty()) {
        (false, true) => format!("active: {}", active.join(", ")),
        (false, false) => format!("active: {}; failed: {}", active.join(", "), failed.join(", ")),
        (true, false) => format!("failed: {}", failed.join(", ")),
        (true, true) if poll.active => "active".to_owned(),
        (true, true) => "no trigger is active".to_owned(),
    };
    let what = match (poll.rule, poll.action) {
        ("paused", "none") => return "paused: no scale loop and no HPA".to_owned(),
        ("paused", _) => return "paused: no scale loop and no HPA, the annotation's count is written".to_owned(),
        (_, "activate") => "activates the target",
        (_, "deactivate") => "the cooldown is over",
        (_, "raiseToMinimum") => "raises to minReplicaCount",
        ("A1", _) => "may not activate (paused-scale-out)",
        ("A2", _) => "holds while a trigger fails",
        ("A3", _) if poll.metrics.is_empty() => "cpu and memory alone count as active",
        ("A3", _) if active.is_empty() => "held active (force-activation)",
        ("A3", _) => "the cooldown starts again",
        ("I1", _) => "holds for the fallback",
        ("I2", _) => "holds: there is no fallback",
        ("I3", _) => match poll.cooldown_end {
            Some(end) => return format!("{who}: holds until the cooldown ends at {end} (I3)"),
            None => "holds for paused-scale-in",
        },
        _ => "nothing to do",
    };
    format!("{who}: {what} ({})", poll.rule)
}

/// A rescale on a table's line: the deciding metric's figures, then the windows and limits that changed the count.
/// `named` is the metric to show.
pub fn sync_in_short(sync: &HpaSync, named: &MetricRecord) -> String {
    let Some(desired) = sync.metric_desired else { return causes(sync).join("; ") };
    let mut text = format!("{} {}", named.trigger, in_short(named, sync));
    for part in window_in_short(sync, desired).into_iter().chain(limit_text(sync)) {
        text.push_str("; ");
        text.push_str(&part);
    }
    text
}

/// A metric's figures without its tolerance test, unless that decided.
fn in_short(metric: &MetricRecord, sync: &HpaSync) -> String {
    if let Some(error) = &metric.error {
        return format!("failed: {error}");
    }
    let Some(proposal) = metric.proposal else { return told(metric) };
    let kept = metric.within_tolerance == Some(true);
    let figures = match Shape::of(metric) {
        _ if kept => format!("within tolerance (ratio {})", metric.ratio.map_or_else(String::new, short_text)),
        Shape::CountsAsLargest => format!("{}, counted as the largest number", told(metric)),
        Shape::Total => division(metric),
        Shape::Ratio => {
            let (ratio, ready) = (metric.ratio.unwrap_or(f64::NAN), sync.ready_replicas);
            let product = quotient_text(ratio * f64::from(ready));
            format!("{} / {} x {} = {product}", told(metric), target(metric), counted(ready, "ready pod"))
        }
        Shape::PerPod => {
            format!("{}ratio {}", per_pod_usage(metric), metric.ratio.map_or_else(String::new, short_text))
        }
    };
    format!("{}{figures} -> {proposal}", source(metric))
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
    let kind = metric.kind.to_ascii_lowercase();
    let per_pod = matches!(kind.as_str(), "cpu" | "memory" | "pods" | "resource" | "containerresource");
    metric.target_type == "Utilization" || per_pod
}

/// What the HPA was told.
fn told(metric: &MetricRecord) -> String {
    match (metric.milli, metric.value) {
        (Some(milli), _) => milli_text(milli),
        (None, Some(value)) => short_text(value),
        (None, None) => "no value".to_owned(),
    }
}

fn target(metric: &MetricRecord) -> String {
    milli_text(metric.target_milli)
}

/// `16.58 / 5 = 3.32`, digits enough to see why it is rounded up as it is.
fn division(metric: &MetricRecord) -> String {
    let quotient = metric.milli.map_or(f64::NAN, |milli| milli as f64 / metric.target_milli as f64);
    format!("{} / {} = {}", told(metric), target(metric), quotient_text(quotient))
}

/// `83 % against 80 %, `; nothing when the usage is not known.
fn per_pod_usage(metric: &MetricRecord) -> String {
    let known = metric.milli.is_some() || metric.value.is_some();
    match (metric.target_type.as_str(), known) {
        ("Utilization", true) => format!("{} % of the request against {} %, ", told(metric), target(metric)),
        ("Utilization", false) => format!("target {} % of the request, ", target(metric)),
        (_, true) => format!("{} per pod against {}, ", told(metric), target(metric)),
        (_, false) => format!("target {} per pod, ", target(metric)),
    }
}

/// Whether the ratio that was tested is not that of the usage: pods without a sample, or not ready, took part with an assumed one.
fn is_filled_in(metric: &MetricRecord) -> bool {
    let (Some(milli), Some(ratio)) = (metric.milli, metric.ratio) else { return false };
    metric.target_milli != 0 && (milli as f64 / metric.target_milli as f64 - ratio).abs() > 1e-3
}

fn shown_ratio(metric: &MetricRecord, band: &ToleranceBand) -> String {
    metric.ratio.map_or_else(|| "unknown".to_owned(), |ratio| ratio_text(ratio, metric.within_tolerance, band.edges))
}

/// `outside 0.9..1.1`; empty when tolerance was not tested.
fn verdict(metric: &MetricRecord, band: &ToleranceBand) -> String {
    match metric.within_tolerance {
        Some(true) => format!("within {}", band.text),
        Some(false) => format!("outside {}", band.text),
        None => String::new(),
    }
}

fn after_comma(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(", {text}") }
}

/// Where a number that no source gave came from.
fn source(metric: &MetricRecord) -> String {
    if metric.fallback {
        return "fallback for a failed answer: ".to_owned();
    }
    match metric.value {
        Some(value) if !value.is_finite() && metric.milli.is_some() => format!("{value} is told as "),
        _ => String::new(),
    }
}

/// How old a cached answer is.
fn asked(metric: &MetricRecord, sync: &HpaSync) -> String {
    let age = sync.t.saturating_since(metric.query_time);
    if metric.cached { format!("; asked {} ago", seconds(age)) } else { String::new() }
}

/// The proposals, the largest first; it is the one that counts.
fn proposals(sync: &HpaSync, desired: i32) -> String {
    let winner = sync.metrics.iter().position(|metric| metric.proposal == Some(desired));
    let Some(winner) = winner else { return format!("the metrics propose {desired}") };
    let metric = &sync.metrics[winner];
    let within = if metric.within_tolerance == Some(true) { ", within tolerance" } else { "" };
    let mut text = format!("{} proposes {desired}{within}", metric.trigger);
    let others = sync.metrics.iter().enumerate().filter(|(index, _)| *index != winner);
    let others: Vec<String> = others
        .filter_map(|(_, metric)| match (metric.proposal, &metric.error) {
            (Some(proposal), _) => Some(format!("{} {proposal}", metric.trigger)),
            (None, Some(_)) => Some(format!("{} failed", metric.trigger)),
            // The input of a formula.
            (None, None) => None,
        })
        .collect();
    if !others.is_empty() {
        text.push_str(&format!(" ({})", others.join(", ")));
    }
    text
}

/// A sync without a result (`computeReplicasForMetrics`, HPA-MULTI-1 and 2).
fn failures(sync: &HpaSync) -> String {
    let failed = sync.metrics.iter().filter_map(|metric| Some((metric, metric.error.as_ref()?)));
    let failed: Vec<String> = failed.map(|(metric, error)| format!("{} failed: {error}", metric.trigger)).collect();
    let mut text = if failed.is_empty() { "no metric could be computed".to_owned() } else { failed.join(", ") };
    if let Some(metric) = sync.metrics.iter().max_by_key(|metric| metric.proposal)
        && let Some(proposal) = metric.proposal
    {
        let name = &metric.trigger;
        text.push_str(&format!("; {name} proposes {proposal}, and while a metric fails nothing scales down"));
    }
    text
}

/// What a window made of the proposal; `None` when it is the proposal.
fn window_text(sync: &HpaSync, desired: i32) -> Option<String> {
    let stabilized = sync.stabilized.filter(|stabilized| *stabilized != desired.max(0))?;
    let Some(reason) = &sync.window else {
        let side = if stabilized < desired { Direction::Up } else { Direction::Down };
        return Some(format!("the {} window holds it at {stabilized}", word(side)));
    };
    let WindowReason { direction, window, recommendation, age } = *reason;
    let (name, held) = (format!("{} window {}", word(direction), seconds(window)), recommendation.replicas);
    let age = seconds(age);
    Some(if held == stabilized {
        format!("{name} holds it at {stabilized}, the recommendation of {age} ago")
    } else {
        format!("{name} keeps the current {stabilized}, for the recommendation of {held} of {age} ago")
    })
}

fn window_in_short(sync: &HpaSync, desired: i32) -> Option<String> {
    let stabilized = sync.stabilized.filter(|stabilized| *stabilized != desired.max(0))?;
    match &sync.window {
        Some(WindowReason { direction, window, recommendation, age }) if recommendation.replicas == stabilized => {
            let (name, window, age) = (word(*direction), seconds(*window), seconds(*age));
            Some(format!("{name} window {window} holds {stabilized}, proposed {age} ago"))
        }
        _ => window_text(sync, desired),
    }
}

/// What kept the count from following; `None` when nothing did.
fn limit_text(sync: &HpaSync) -> Option<String> {
    let Some(limit) = sync.limit else {
        let stabilized = sync.stabilized.filter(|stabilized| *stabilized != sync.new_replicas)?;
        let new = sync.new_replicas;
        return match sync.bound_by {
            "none" => None,
            bound @ ("minReplicas" | "maxReplicas") => Some(format!("{bound} {new}")),
            bound => Some(format!("{bound} cuts {stabilized} to {new}")),
        };
    };
    Some(match limit {
        LimitReason::Policy { direction, index, policy, period_start, limit } => {
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
            format!(
                "{name} policy {index} ({value} {kind} per {period}) allows at {side} {limit}, from {period_start} at the \
                 period's start{passed}"
            )
        }
        LimitReason::Disabled(direction) => format!("{} is disabled (selectPolicy)", word(direction)),
        LimitReason::BuiltIn { limit } => format!("without behavior at most {limit}, twice the count or 4"),
        LimitReason::MaxReplicas(count) => format!("maxReplicas {count}"),
        LimitReason::MinReplicas(count) => format!("minReplicas {count}"),
    })
}

fn active_triggers(poll: &KedaPoll) -> impl Iterator<Item = String> {
    // A formula decides alone.
    let formula = poll.metrics.iter().any(|metric| metric.kind == "composite");
    let counted = poll.metrics.iter().filter(move |metric| !formula || metric.kind == "composite");
    let active = counted.filter(|metric| metric.active == Some(true));
    active.map(|metric| {
        format!("{}{} {}", metric.trigger, if metric.fallback { " by fallback" } else { "" }, told(metric))
    })
}

fn outcome(before: i32, after: i32) -> String {
    if before == after { format!("stays at {after}") } else { format!("{before} -> {after}") }
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
fn seconds(time: SimDuration) -> String {
    let tenths = (time.as_secs_f64() * 10.0).round();
    SimDuration::from_secs_f64(tenths / 10.0).to_string()
}

fn replicas(count: i32) -> String {
    counted(count, "replica")
}

fn counted(count: i32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "reasons_tests.rs"]
mod tests;

//! What the HPA makes of a value: sums and means, AverageValue and Value.

use super::links::{CALCULATOR, HPA, PROMETHEUS_SCALER, SCALER, SPEC};
use crate::lint::query_shape::{Nature, Number, Shape};
use crate::lint::subject::{Query, Subject, engine_metric, is_resource, metric_type};
use crate::lint::{Basis, Finding, Rule};
use crate::units::Severity::{Error, Note, Warning};

pub(crate) static L_02: Rule = Rule::new("L-02", "metric-type-in-metadata", Error)
    .why("metricType belongs beside metadata; inside it nobody reads it and AverageValue is used")
    .fix("write metricType beside metadata")
    .link(SCALER)
    .mended();
pub(crate) static L_04: Rule = Rule::new("L-04", "average-value-divides", Note)
    .why("AverageValue takes the query for a total: replicas = ceil(query / threshold), however many there are now")
    .fix("ask for a total (sum), with what one replica bears as threshold; write metricType to show that it is meant")
    .link(SPEC);
pub(crate) static L_06: Rule = Rule::new("L-06", "mean-as-total", Warning)
    .why("a mean or a share does not grow with the replicas, and AverageValue takes it for the total of all of them")
    .fix("use sum() with the same threshold, or metricType: Value beside metadata")
    .link(CALCULATOR)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_07: Rule = Rule::new("L-07", "latency-as-total", Warning)
    .why("AverageValue reads a latency as so many seconds per replica: no goal is held, replicas follow the latency in steps")
    .fix("scale on what causes the latency (requests waiting or running), or use metricType: Value beside metadata")
    .link(CALCULATOR);
pub(crate) static L_24: Rule = Rule::new("L-24", "value-of-a-total", Warning)
    .why("Value multiplies by the ready pods: a total that stays above its target doubles the replicas again and again up to the maximum")
    .fix("use metricType: AverageValue for a total, or a mean (avg) with Value")
    .link(CALCULATOR)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_25: Rule = Rule::new("L-25", "value-at-its-target", Warning)
    .why("Value multiplies by the ready pods: a trigger at its target asks for the replicas that there are, so that nothing scales down, and a cron window runs away to the maximum")
    .fix("use metricType: AverageValue, so that 1 over 1 asks for one replica and a window for its own")
    .link(CALCULATOR)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_41: Rule = Rule::new("L-41", "several-triggers", Note)
    .why("the HPA takes the highest proposal of all triggers, neither their AND nor their mean, and scales down only when all can be read")
    .fix("keep one trigger per need, or combine them in a scalingModifiers formula")
    .link(HPA)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_40: Rule = Rule::new("L-40", "threshold-unit", Warning)
    .why("a threshold in another unit than the query's is never or always exceeded")
    .fix("write shares from 0 to 1 and times in seconds, or scale the query (* 100, * 1000)")
    .link(PROMETHEUS_SCALER);

/// AverageValue by default.
pub(in crate::lint) fn l_04(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let external = || subject.written.triggers.iter().filter(|own| !is_resource(own) && own.kind.value != "cron");
    if subject.has_formula() {
        return;
    }
    for trigger in external().filter(|own| own.metric_type.is_none()) {
        let number = trigger.metadata("threshold").and_then(|own| own.value.parse::<f64>().ok());
        let threshold = number.map_or_else(|| "target".to_owned(), |own| own.to_string());
        let message = format!(
            "metricType is not written, so AverageValue: replicas = ceil(value / {threshold}), not \"scale up above {threshold}\""
        );
        found.push(Finding::breach(&L_04, Note, trigger.kind.span.clone(), trigger.path.clone(), message));
    }
}

/// The queries that the HPA reads as totals, with their numbers.
fn as_totals<'s, 'a>(subject: &'s Subject<'a>) -> impl Iterator<Item = (&'s Query<'a>, Number, f64)> {
    let plain = subject.queries.iter().filter(|_| !subject.has_formula());
    let plain = plain.filter(|query| metric_type(query.trigger) == "AverageValue");
    plain.filter_map(|query| Some((query, query.number(subject), query.threshold()?)))
}

/// Means and shares read as totals.
pub(in crate::lint) fn l_06(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for (query, number, threshold) in as_totals(subject) {
        if is_mean_latency(query) {
            continue;
        }
        let of_pods = query.plan.selectors.iter().any(|own| engine_metric(own).is_some());
        let message = match (number.nature, number.bound) {
            (Nature::Total | Nature::Quantile, _) => continue,
            (nature, Some(bound)) => {
                let most = (bound / threshold).ceil();
                let is_keep_alive = nature == Nature::Flag && subject.written.triggers.len() > 1;
                // Of a bare selector it is told that it has several series.
                let is_bare = nature == Nature::Other && !matches!(query.shape(subject), Shape::Single { .. });
                if most >= subject.max() as f64 || is_keep_alive || is_bare {
                    continue;
                }
                let known = of_pods || nature == Nature::Flag;
                let (if_so, why) = if known { ("", "so that it") } else { ("if ", "as its name says, it") };
                format!(
                    "{if_so}the value stays within 0..{bound}, {why} never asks for more than ceil({bound} / {threshold}) = {most} of {} replicas",
                    subject.max()
                )
            }
            (Nature::Average, None) => mean_message("a mean over the pods", threshold),
            (Nature::Extreme, None) if of_pods => mean_message("the value of one pod", threshold),
            _ => continue,
        };
        found.push(subject.in_query(&L_06, Warning, query, number.offset, message));
    }
}

fn mean_message(what: &str, threshold: f64) -> String {
    format!(
        "{what} is divided among the replicas once more: to hold 3 of them it must be above {}, to hold 5 above {}",
        2.0 * threshold,
        4.0 * threshold
    )
}

/// Latencies read as totals.
pub(in crate::lint) fn l_07(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for (query, number, threshold) in as_totals(subject) {
        if number.nature != Nature::Quantile && !is_mean_latency(query) {
            continue;
        }
        let message = format!(
            "one replica per {threshold} of latency: {} asks for 3 replicas, however many there are now",
            2.5 * threshold
        );
        found.push(subject.in_query(&L_07, Warning, query, number.offset, message));
    }
}

/// `rate(x_seconds_sum) / rate(x_seconds_count)`.
fn is_mean_latency(query: &Query<'_>) -> bool {
    let ends = |suffix: &str| {
        let mut names = query.plan.selectors.iter().filter_map(|own| own.exact_name());
        names.any(|name| name.ends_with(suffix))
    };
    ends("_seconds_sum") && ends("_seconds_count")
}

/// Totals read as means.
pub(in crate::lint) fn l_24(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in subject.queries.iter().filter(|_| !subject.has_formula()) {
        let number = query.number(subject);
        if metric_type(query.trigger) != "Value" || number.nature != Nature::Total || is_keep_alive(query) {
            continue;
        }
        let threshold = query.threshold().unwrap_or(1.0);
        let message = format!(
            "Value multiplies this total by the ready pods: twice the target of {threshold} doubles the replicas at every sync, also when the total only follows them"
        );
        found.push(subject.in_query(&L_24, Warning, query, number.offset, message));
    }
}

/// Whether the query is a comparison with `bool`, or a sum of such.
fn is_keep_alive(query: &Query<'_>) -> bool {
    let mut flag = false;
    crate::lint::query_shape::walk(&query.plan.root, &mut Vec::new(), &mut |own, _| {
        flag |= matches!(&own.kind, crate::prometheus::Kind::Binary(binary) if binary.return_bool);
    });
    flag
}

/// Value where only AverageValue lets replicas go.
pub(in crate::lint) fn l_25(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.has_formula() {
        return;
    }
    for query in &subject.queries {
        if metric_type(query.trigger) == "Value" && is_keep_alive(query) && query.threshold() == Some(1.0) {
            let message = "the value is 1 while there is traffic, which is its target: it asks for the replicas that there are and blocks every scale-down";
            let offset = query.plan.root.offset;
            found.push(subject.in_query(&L_25, Warning, query, offset, message));
        }
    }
    for trigger in subject.written.triggers.iter().filter(|own| own.kind.value == "cron" && metric_type(own) == "Value")
    {
        let span = trigger.metric_type.as_ref().map_or_else(|| trigger.span.clone(), |own| own.span.clone());
        let message = "inside the window Value multiplies desiredReplicas by the ready pods: the replicas run away to the maximum";
        found.push(Finding::breach(&L_25, Error, span, format!("{}.metricType", trigger.path), message));
    }
}

/// The highest wins.
pub(in crate::lint) fn l_41(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let count = subject.written.triggers.len();
    if count < 2 || subject.has_formula() {
        return;
    }
    let message = format!(
        "{count} triggers: the HPA takes the highest proposal, and while one cannot be read it does not scale down"
    );
    let second = &subject.written.triggers[1];
    found.push(Finding::breach(&L_41, Note, second.kind.span.clone(), "spec.triggers", message));
}

/// Percent for a share, milliseconds for seconds.
pub(in crate::lint) fn l_40(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in subject.queries.iter().filter(|_| !subject.has_formula()) {
        let Some(threshold) = query.threshold() else { continue };
        let number = query.number(subject);
        let is_usage = |own: &crate::prometheus::Selector| {
            own.exact_name().is_some_and(|name| name.ends_with("_cache_usage_perc"))
        };
        let of_usage = query.plan.selectors.iter().all(is_usage) && !query.plan.selectors.is_empty();
        let in_seconds = |own: &crate::prometheus::Selector| {
            own.exact_name()
                .is_some_and(|name| ["_seconds_bucket", "_seconds_sum"].iter().any(|end| name.ends_with(end)))
        };
        let is_latency = number.nature == Nature::Quantile || is_mean_latency(query);
        let message = match number.bound {
            Some(bound) if of_usage && threshold > bound => {
                format!(
                    "a full cache is {bound} here, and the threshold of {threshold} is above it: no replica ever reaches it"
                )
            }
            _ if is_latency
                && number.scale == 1.0
                && threshold >= 100.0
                && query.plan.selectors.iter().any(in_seconds) =>
            {
                format!("the query is in seconds, and the threshold of {threshold} looks like milliseconds")
            }
            _ => continue,
        };
        let (span, path) = query.trigger.metadata("threshold").map_or_else(
            || (query.span.clone(), query.trigger.path.clone()),
            |own| (own.span, format!("{}.metadata.threshold", query.trigger.path)),
        );
        found.push(Finding::breach(&L_40, Warning, span, path, message));
    }
}

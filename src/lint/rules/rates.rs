//! Ranges, rates and histograms in queries.

use super::links::{PROMETHEUS_SCALER, PROMQL_FUNCTIONS, VLLM};
use crate::keda::KedaVersion;
use crate::lint::query_shape::{Nature, walk};
use crate::lint::subject::{Query, Subject, engine_metric};
use crate::lint::{Basis, Finding, Rule};
use crate::prometheus::{AggregateOp, Expr, FunctionId, Kind};
use crate::series::MetricKind;
use crate::units::Severity::{Error, Note, Warning};
use crate::units::SimDuration;

pub(crate) static L_30: Rule = Rule::new("L-30", "scalar-query", Error)
    .why("KEDA decodes an instant vector; a scalar makes every query an error")
    .fix("wrap it: vector(...)")
    .link(PROMETHEUS_SCALER);
pub(crate) static L_31: Rule = Rule::new("L-31", "range-vector-query", Error)
    .why("a range vector has no single value: KEDA takes 0, or an error with ignoreNullValues false")
    .fix("put the range into a function, such as rate(metric[5m])")
    .link(PROMETHEUS_SCALER);
pub(crate) static L_32: Rule = Rule::new("L-32", "window-too-short", Error)
    .why("a rate needs two samples in its window; without them it is empty, which KEDA reads as 0")
    .fix("make the window at least four scrape intervals long")
    .link(PROMQL_FUNCTIONS)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_34: Rule = Rule::new("L-34", "counter-without-rate", Warning)
    .why("a counter only grows, and falls when a pod restarts; the rate of a gauge takes every fall for a restart")
    .fix("use rate(counter[2m]) for counters, and gauges as they are")
    .link(PROMQL_FUNCTIONS);
pub(crate) static L_38: Rule = Rule::new("L-38", "quantile-without-traffic", Warning)
    .why("histogram_quantile is NaN without traffic, which KEDA reads as 0 from 2.20 on and as a huge negative number before")
    .fix("add a trigger on requests running or waiting, or set ignoreNullValues: \"false\"")
    .link("https://github.com/kedacore/keda/issues/7475");
pub(crate) static L_39: Rule = Rule::new("L-39", "threshold-above-buckets", Warning)
    .why("histogram_quantile never exceeds the highest finite bucket")
    .fix("choose a threshold below the highest bucket")
    .link(VLLM);

/// The scrape interval that prometheus-operator has unless a Prometheus or a monitor says otherwise.
const OPERATORS_INTERVAL: SimDuration = SimDuration::from_secs(30);
/// The interval that is assumed when nobody says one.
const ASSUMED_INTERVAL: SimDuration = SimDuration::from_secs(15);

/// Functions that need two samples.
fn needs_two(id: FunctionId) -> bool {
    use FunctionId::{Delta, Deriv, Idelta, Increase, Irate, Rate};
    matches!(id, Rate | Increase | Irate | Delta | Idelta | Deriv)
}

/// Windows against scrapes.
pub(in crate::lint) fn l_32(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let known = subject.world.neighbours.scrape_interval;
    for query in &subject.queries {
        let mut windows: Vec<(usize, SimDuration)> = Vec::new();
        walk(&query.plan.root, &mut Vec::new(), &mut |own: &Expr, _: &[&Expr]| {
            let Kind::Call { function, args, .. } = &own.kind else { return };
            let window = args.iter().find_map(|arg| match &arg.unparenthesized().kind {
                Kind::Matrix { range_ms, .. } => u64::try_from(*range_ms).ok(),
                _ => None,
            });
            if needs_two(function.id) {
                windows.extend(window.map(|ms| (own.offset, SimDuration::from_millis(ms))));
            }
        });
        // One word about each query: the shortest window.
        let Some((offset, window)) = windows.into_iter().min_by_key(|(offset, window)| (*window, *offset)) else {
            continue;
        };
        let seconds = |own: SimDuration| own.as_secs_f64();
        let (severity, message) = match known {
            Some(own) if window < own => (
                Error,
                format!(
                    "the window of {} s never holds two scrapes, which are {} s apart: the rate is always empty",
                    seconds(window),
                    seconds(own)
                ),
            ),
            Some(own) if seconds(window) < 2.0 * seconds(own) => (
                Warning,
                format!(
                    "the window of {} s often holds one scrape only, as they are {} s apart: the rate is then empty",
                    seconds(window),
                    seconds(own)
                ),
            ),
            Some(own) if seconds(window) < 4.0 * seconds(own) => (
                Note,
                format!(
                    "the window of {} s holds few scrapes, {} s apart: two missed ones make the rate empty",
                    seconds(window),
                    seconds(own)
                ),
            ),
            None if seconds(window) < 2.0 * seconds(ASSUMED_INTERVAL) => (
                Warning,
                format!(
                    "the window of {} s is less than two scrapes of {} s (assumed, no monitor says one): the rate is often empty",
                    seconds(window),
                    seconds(ASSUMED_INTERVAL)
                ),
            ),
            None if seconds(window) < 4.0 * seconds(OPERATORS_INTERVAL) => (
                Note,
                format!(
                    "no PodMonitor says how often is scraped: the window of {} s holds {} scrapes at 15 s (assumed) and {} at prometheus-operator's default of 30 s",
                    seconds(window),
                    (seconds(window) / 15.0).floor(),
                    (seconds(window) / 30.0).floor()
                ),
            ),
            _ => continue,
        };
        found.push(subject.in_query(&L_32, severity, query, offset, message));
    }
}

/// What a selector's series are, by vLLM's table or by the name's ending.
fn kind_of(query: &Query<'_>, selector: usize) -> Option<MetricKind> {
    let own = &query.plan.selectors[selector];
    let name = own.exact_name()?;
    if let Some(metric) = engine_metric(own) {
        return Some(metric.kind);
    }
    (name.ends_with("_total") || name.ends_with("_bucket")).then_some(MetricKind::Counter)
}

/// Counters as they are, gauges under rate().
pub(in crate::lint) fn l_34(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in &subject.queries {
        let mut places: Vec<(usize, String)> = Vec::new();
        walk(&query.plan.root, &mut Vec::new(), &mut |own: &Expr, above: &[&Expr]| match &own.kind {
            Kind::Vector { selector, .. } => {
                let name = query.plan.selectors[*selector].exact_name().unwrap_or_default();
                // The router of production-stack has gauges that are called _total.
                let is_odd = super::vllm_names::is_of_router(name) && name != "vllm:num_incoming_requests_total";
                if kind_of(query, *selector).is_some_and(|kind| kind != MetricKind::Gauge)
                    && !is_odd
                    && !only_counted(above)
                {
                    places.push((
                        own.offset,
                        format!("{name} is a counter, used without rate(): it only grows while a pod lives"),
                    ));
                }
            }
            Kind::Matrix { selector, .. } => {
                let name = query.plan.selectors[*selector].exact_name().unwrap_or_default();
                let function = above.last().and_then(|own| match &own.kind {
                    Kind::Call { function, .. } => Some(function),
                    _ => None,
                });
                let is_rate = function
                    .is_some_and(|own| matches!(own.id, FunctionId::Rate | FunctionId::Increase | FunctionId::Irate));
                if is_rate && kind_of(query, *selector) == Some(MetricKind::Gauge) {
                    let function = function.map_or("rate", |own| own.name);
                    places.push((
                        own.offset,
                        format!("{name} is a gauge, and {function}() takes every fall of it for a restart from 0"),
                    ));
                }
            }
            _ => {}
        });
        found.extend(
            places.into_iter().map(|(offset, message)| subject.in_query(&L_34, Warning, query, offset, message)),
        );
    }
}

/// Whether only the presence of a series counts there, or the series is part of a difference or a subquery.
fn only_counted(above: &[&Expr]) -> bool {
    above.iter().any(|own| match &own.kind {
        Kind::Aggregate(aggregate) => matches!(aggregate.op, AggregateOp::Count | AggregateOp::Group),
        Kind::Call { function, .. } => matches!(function.id, FunctionId::Absent | FunctionId::Timestamp),
        Kind::Subquery { .. } => true,
        Kind::Binary(binary) => binary.op == crate::prometheus::BinaryOp::Sub || binary.op.is_set(),
        _ => false,
    })
}

/// Quantiles of nothing.
pub(in crate::lint) fn l_38(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let handles_nan = subject.world.options.keda >= KedaVersion { major: 2, minor: 20, patch: 0 };
    for query in subject.queries.iter().filter(|query| query.ignores_nulls()) {
        let number = query.number(subject);
        if number.nature != Nature::Quantile {
            continue;
        }
        let (severity, message) = if handles_nan {
            (Note, "without traffic histogram_quantile is NaN, which counts as 0: idle looks like the best latency")
        } else {
            (Warning, "without traffic histogram_quantile is NaN, which this KEDA turns into -9.2e15 (on amd64)")
        };
        found.push(subject.in_query(&L_38, severity, query, number.offset, message));
    }
}

/// Quantiles that cannot get there.
pub(in crate::lint) fn l_39(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in subject.queries.iter().filter(|_| !subject.has_formula()) {
        let number = query.number(subject);
        let top = query.plan.selectors.iter().find_map(|own| engine_metric(own)?.top_seconds);
        let (Some(threshold), Some(top)) = (query.threshold(), top) else { continue };
        let top = top * number.scale;
        if number.nature != Nature::Quantile || threshold < top {
            continue;
        }
        let message = format!(
            "the quantile is at most {top}, the highest finite bucket: the threshold of {threshold} is never exceeded"
        );
        found.push(subject.in_query(&L_39, Warning, query, number.offset, message));
    }
}

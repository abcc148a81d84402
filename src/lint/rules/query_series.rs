//! How many series a query may have, and whose they are.

use super::links::{PROMETHEUS_SCALER, PROMQL_BASICS, PROMQL_OPERATORS, ROUTER};
use crate::lint::query_shape::{Shape, walk};
use crate::lint::subject::{Query, Subject, engine_metric, metric_type};
use crate::lint::{Basis, Finding, Rule};
use crate::prometheus::{BinaryOp, Expr, Kind, Selector};
use crate::units::Severity::{Error, Note, Warning};

pub(crate) static L_08: Rule = Rule::new("L-08", "several-series", Error)
    .why("KEDA takes one series; with more every query is an error, and an HPA with this metric alone scales neither up nor down")
    .fix("aggregate to one series: sum(...), or max(...) of what all series share")
    .link(PROMETHEUS_SCALER)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_13: Rule = Rule::new("L-13", "no-namespace-matcher", Warning)
    .why("a Prometheus of the whole cluster also has the series of other models, tenants and namespaces")
    .fix("add namespace=\"...\" (and model_name=\"...\") to every selector")
    .link("https://github.com/kedacore/keda/issues/5176");
pub(crate) static L_37: Rule = Rule::new("L-37", "or-vector-adds-a-series", Error)
    .why("`or` keeps the left series that have labels and adds the one without: two series, which KEDA refuses")
    .fix("aggregate the left side first: sum(...) or vector(0)")
    .link(PROMQL_OPERATORS);
pub(crate) static L_36: Rule = Rule::new("L-36", "invalid-label-name", Error)
    .why("a label name has letters, digits and _ only; Prometheus answers HTTP 400 to every poll")
    .fix("scraping spells pod labels with _: app_kubernetes_io_component; see the series' labels in Prometheus")
    .link(PROMQL_BASICS);
pub(crate) static L_51: Rule = Rule::new("L-51", "router-has-the-name-too", Warning)
    .why("production-stack's router exposes some vllm: gauges again, with the label server: two series at one replica, and sums count twice")
    .fix("add a matcher that only the engines have: model_name, or job")
    .link(ROUTER)
    .basis(Basis::ManifestsAndRun);

/// What the router of production-stack exposes under the engine's names.
const SHARED_NAMES: [&str; 4] = [
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "vllm:gpu_prefix_cache_hits_total",
    "vllm:gpu_prefix_cache_queries_total",
];
/// Labels that tell an engine's series from its router's.
const TELLS_APART: [&str; 9] =
    ["job", "container", "model_name", "pod", "instance", "service", "endpoint", "engine", "server"];

/// More than one series.
pub(in crate::lint) fn l_08(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in &subject.queries {
        // One value would be no answer either, or another rule tells it better.
        let is_vector = query.plan.root.value_type() == crate::prometheus::Type::Vector;
        if !is_vector || added_series(query, subject).is_some() {
            continue;
        }
        let (offset, labels) = match query.shape(subject) {
            Shape::Single { .. } => continue,
            Shape::Open(offset) => (offset, None),
            Shape::By(labels, offset) => (offset, Some(labels)),
        };
        let of_engines = query.plan.selectors.iter().any(|own| engine_metric(own).is_some());
        let is_narrow =
            query.plan.selectors.iter().all(|own| own.matchers.iter().any(|m| m.is_equality() && m.name != "__name__"));
        let per_pod = labels.as_ref().is_none_or(|own| own.contains("pod") || own.contains("instance"));
        let severity = match (of_engines && per_pod, is_narrow || labels.is_some()) {
            _ if subject.max() < 2 => Note,
            (true, _) => Error,
            (false, true) => Note,
            (false, false) => Warning,
        };
        let message = match (&labels, of_engines) {
            (Some(own), _) => {
                let own: Vec<&str> = own.iter().map(String::as_str).collect();
                format!(
                    "the query gives one series per {}: with more than one KEDA has an error instead of a value",
                    own.join(", ")
                )
            }
            (None, true) => {
                "the query gives one series per pod: from 2 replicas on KEDA has an error instead of a value".to_owned()
            }
            (None, false) => {
                "nothing makes one series of this selector's: with more than one KEDA has an error instead of a value"
                    .to_owned()
            }
        };
        let alone = if subject.written.triggers.len() == 1 { ", and the replicas stay as they are" } else { "" };
        let finding = subject.in_query(&L_08, severity, query, offset, format!("{message}{alone}"));
        found.push(finding.help(how_to_join(subject, query, labels.is_some())));
    }
}

fn how_to_join(subject: &Subject<'_>, query: &Query<'_>, is_grouped: bool) -> String {
    if is_grouped {
        return "leave the grouping out, or group by le only, inside histogram_quantile".to_owned();
    }
    let is_mean = metric_type(query.trigger) == "Value" && !subject.has_formula();
    let wrap = if is_mean { "avg" } else { "sum" };
    let text = query.text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.len() <= 60 { format!("write {wrap}({text})") } else { format!("put {wrap}(...) around it") }
}

/// The query with a second series, and where.
fn added_series(query: &Query<'_>, subject: &Subject<'_>) -> Option<usize> {
    let mut place = None;
    query.lookup(subject, |lookup| {
        walk(&query.plan.root, &mut Vec::new(), &mut |own: &Expr, above: &[&Expr]| {
            let Kind::Binary(binary) = &own.kind else { return };
            let joined = above.iter().any(|own| matches!(own.kind, Kind::Aggregate(_)));
            let bare = Shape::Single { bare: true };
            if binary.op == BinaryOp::Or
                && !joined
                && lookup.shape(&binary.rhs) == bare
                && lookup.shape(&binary.lhs) != bare
            {
                place = place.or(Some(own.offset));
            }
        });
    });
    place
}

/// `x or vector(0)`.
pub(in crate::lint) fn l_37(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in &subject.queries {
        if let Some(offset) = added_series(query, subject) {
            let message = "the left side keeps its labels, so that `or` adds a second series: every query is an error as soon as there is data";
            found.push(subject.in_query(&L_37, Error, query, offset, message));
        }
    }
}

/// Quoted names.
pub(in crate::lint) fn l_36(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let is_plain = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    for query in &subject.queries {
        let strange = |own: &&Selector| {
            own.matchers
                .iter()
                .any(|m| !is_plain(&m.name) || m.name == "__name__" && m.is_equality() && !is_plain(&m.value))
        };
        // A query that was read with `_` in the place of other characters has no such name left; its error is told apart.
        if let Some(selector) = query.plan.selectors.iter().find(strange) {
            let message = "quoted names of labels or metrics need Prometheus 3; older releases answer HTTP 400";
            found.push(subject.in_query(&L_36, Note, query, selector.offset, message));
        }
    }
}

/// Whose series.
pub(in crate::lint) fn l_13(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in &subject.queries {
        // A tenancy proxy adds the namespace.
        if query.trigger.metadata("namespace").is_some() {
            continue;
        }
        let names_no_namespace = |own: &&Selector| {
            let recorded = own.exact_name().is_some_and(|name| subject.world.neighbours.records.contains(name));
            !recorded && !own.matchers.iter().any(|m| m.name.ends_with("namespace"))
        };
        let is_open = |own: &&Selector| own.matchers.iter().all(|m| m.name == "__name__");
        let bare: Vec<&Selector> = query.plan.selectors.iter().filter(names_no_namespace).collect();
        let Some(first) = bare.iter().find(|own| is_open(own)).or(bare.first()) else { continue };
        // A query that is not aggregated adds nothing up: that it has several series is told by another rule.
        let adds_up = !matches!(query.shape(subject), Shape::Open(_));
        let (severity, message) = if is_open(first) {
            (
                if adds_up { Warning } else { Note },
                "the selector has no label matcher: it takes every model and namespace that this Prometheus scrapes",
            )
        } else {
            (Note, "no matcher names the namespace: the same labels in another namespace count too")
        };
        found.push(subject.in_query(&L_13, severity, query, first.offset, message));
    }
}

/// The router's series of the same name.
pub(in crate::lint) fn l_51(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.root.is_none() {
        // KServe has no such router.
        return;
    }
    let of_router = |own: &Selector| own.exact_name().is_some_and(super::vllm_names::is_of_router);
    let has_router = subject.queries.iter().flat_map(|query| &query.plan.selectors).any(of_router);
    for query in &subject.queries {
        let is_shared = |own: &&Selector| {
            own.exact_name().is_some_and(|name| SHARED_NAMES.contains(&name))
                && own.matchers.iter().all(|m| m.name == "__name__" || m.name.ends_with("namespace"))
                && !own.matchers.iter().any(|m| TELLS_APART.contains(&m.name.as_str()))
        };
        let Some(selector) = query.plan.selectors.iter().find(is_shared) else { continue };
        let severity = if has_router { Warning } else { Note };
        let message = "if production-stack's router is scraped too, its series has this name as well: one series more, and counted twice in a sum";
        found.push(subject.in_query(&L_51, severity, query, selector.offset, message));
    }
}

//! What a rule looks at: one ScaledObject, its queries, and what stands beside it in the files.

use crate::lint::Finding;
use crate::lint::Rule;
use crate::lint::check::World;
use crate::lint::query_shape::{Lookup, Number, Shape};
use crate::lint::scalar_place;
use crate::manifest::{Node, ScaledObject, Trigger, Value};
use crate::prometheus::{Plan, PrometheusVersion, Selector, parse_query};
use crate::units::{Severity, Span};

/// `maxReplicaCount` when there is none (`apis/keda/v1alpha1/scaledobject_types.go`).
const DEFAULT_MAX: i64 = 100;

/// See the module.
pub(super) struct Subject<'a> {
    /// The object.
    pub written: &'a ScaledObject,
    /// Its document; `None` when KServe generates the object.
    pub root: Option<&'a Node>,
    /// Its Prometheus triggers with their queries, as far as they can be parsed.
    pub queries: Vec<Query<'a>>,
    /// Everything else.
    pub world: &'a World<'a>,
}

/// A trigger's query.
pub(super) struct Query<'a> {
    /// The trigger's position.
    pub index: usize,
    /// The trigger.
    pub trigger: &'a Trigger,
    /// The text, trimmed.
    pub text: &'a str,
    /// Where it begins in the file.
    pub span: Span,
    /// The tree.
    pub plan: Plan,
}

impl<'a> Subject<'a> {
    /// The object with its queries.
    pub(super) fn new(written: &'a ScaledObject, root: Option<&'a Node>, world: &'a World<'a>) -> Self {
        let queries = written.triggers.iter().enumerate().filter_map(|(index, trigger)| {
            if trigger.kind.value != "prometheus" {
                return None;
            }
            let query = trigger.metadata("query")?;
            let plan = readable(query.value, world.options.prometheus)?;
            Some(Query { index, trigger, text: query.value, span: query.span, plan })
        });
        Subject { written, root, queries: queries.collect(), world }
    }

    /// `minReplicaCount` in force.
    pub(super) fn min(&self) -> i64 {
        self.written.min_replica_count.as_ref().map_or(0, |own| own.value)
    }

    /// `minReplicaCount` in force, or what `minReplicas` was meant to say.
    pub(super) fn min_meant(&self) -> i64 {
        let written = self.root.and_then(|root| root.get("spec")).and_then(|spec| spec.get("minReplicas"));
        match (&self.written.min_replica_count, written.map(|own| &own.value)) {
            (None, Some(Value::Int(count))) => *count,
            _ => self.min(),
        }
    }

    /// `maxReplicaCount` in force.
    pub(super) fn max(&self) -> i64 {
        self.written.max_replica_count.as_ref().map_or(DEFAULT_MAX, |own| own.value)
    }

    /// Whether KEDA takes the target to 0 when nothing is active.
    pub(super) fn goes_to_zero(&self) -> bool {
        let only_resources = self.written.triggers.iter().all(is_resource);
        let idle = self.written.idle_replica_count.as_ref();
        !only_resources && idle.map_or(self.min() == 0, |own| own.value == 0)
    }

    /// Whether `key` is there without its `Count` (`minReplicas`), which the API server drops.
    pub(super) fn misspells(&self, key: &str) -> bool {
        let Some(Value::Map(entries)) = self.root.and_then(|root| root.get("spec")).map(|spec| &spec.value) else {
            return false;
        };
        entries.iter().any(|(own, _)| format!("{}Count", own.name.trim_end_matches('s')) == key)
    }

    /// The text of `spec.advanced.scalingModifiers.<key>`.
    pub(super) fn modifier(&self, key: &str) -> Option<(&'a str, &'a Span)> {
        let node = self.written.scaling_modifiers.as_ref()?.get(key)?;
        node.as_str().filter(|text| !text.is_empty()).map(|text| (text, &node.span))
    }

    /// Whether the triggers only feed a formula.
    pub(super) fn has_formula(&self) -> bool {
        self.modifier("formula").is_some()
    }

    /// Whether a query asks for what a vLLM engine exposes: the target serves a model.
    pub(super) fn serves_a_model(&self) -> bool {
        self.queries.iter().any(Query::asks_an_engine)
    }

    /// The node of a trigger in its document, for fields that are not read elsewhere.
    pub(super) fn trigger_node(&self, index: usize) -> Option<&'a Node> {
        match &self.root?.get("spec")?.get("triggers")?.value {
            Value::Seq(items) => items.get(index),
            _ => None,
        }
    }

    /// A breach of `rule` at a place of a query.
    pub(super) fn in_query(
        &self,
        rule: &'static Rule,
        severity: Severity,
        query: &Query<'_>,
        offset: usize,
        message: impl Into<String>,
    ) -> Finding {
        let path = format!("{}.metadata.query", query.trigger.path);
        let text = self.world.text_of(&query.span.file);
        let place = text.and_then(|text| scalar_place::place_of(text, &query.span, query.text, offset));
        Finding::breach(rule, severity, query.span.clone(), path, message).at(place)
    }
}

/// Whether a trigger is of cpu or memory, which KEDA leaves to the HPA.
pub(super) fn is_resource(trigger: &Trigger) -> bool {
    matches!(trigger.kind.value.as_str(), "cpu" | "memory")
}

/// The text of a trigger's `metricType` in force.
pub(super) fn metric_type(trigger: &Trigger) -> &str {
    trigger.metric_type.as_ref().map_or("AverageValue", |own| own.value.as_str())
}

/// The query's tree. A label name with characters that no label has (`app.kubernetes.io/component`) is read with `_` in
/// their place, which is how scraping spells it: all other rules can then still speak.
pub(super) fn readable(text: &str, version: PrometheusVersion) -> Option<Plan> {
    let mut own = text.to_owned();
    for _ in 0..64 {
        let error = match parse_query(&own, version) {
            Ok(plan) => return Some(plan),
            Err(error) => error,
        };
        let open = own.get(..error.offset)?.rfind(['{', '}'])?;
        let is_inside = own.as_bytes().get(open) == Some(&b'{');
        let strange = own.as_bytes().get(error.offset).filter(|own| b"./-".contains(own))?;
        if !is_inside || error.own_limit || !strange.is_ascii() {
            return None;
        }
        own.replace_range(error.offset..=error.offset, "_");
    }
    None
}

impl Query<'_> {
    /// The target in the HPA, when it is a number.
    pub(super) fn threshold(&self) -> Option<f64> {
        self.trigger.metadata("threshold")?.value.parse().ok().filter(|own: &f64| own.is_finite() && *own > 0.0)
    }

    /// Whether an empty answer counts as 0.
    pub(super) fn ignores_nulls(&self) -> bool {
        let own = self.trigger.metadata("ignoreNullValues").and_then(|own| crate::keda::parse_bool(own.value));
        own.unwrap_or(true)
    }

    /// Whether any selector names a metric of vLLM's engine.
    pub(super) fn asks_an_engine(&self) -> bool {
        self.plan.selectors.iter().any(|own| engine_metric(own).is_some())
    }

    /// How many series the answer may have.
    pub(super) fn shape(&self, subject: &Subject<'_>) -> Shape {
        self.lookup(subject, |lookup| lookup.shape(&self.plan.root))
    }

    /// What kind of number the answer is.
    pub(super) fn number(&self, subject: &Subject<'_>) -> Number {
        self.lookup(subject, |lookup| lookup.number(&self.plan.root))
    }

    /// Calls `read` with what can be looked up.
    pub(super) fn lookup<T>(&self, subject: &Subject<'_>, read: impl FnOnce(&Lookup<'_>) -> T) -> T {
        read(&Lookup { plan: &self.plan, single: &subject.world.neighbours.single_records, bound_of: &bound_of })
    }
}

/// What the series of a metric cannot exceed, by what vLLM's are known for, else by what the name says.
pub(super) fn bound_of(name: &str) -> Option<f64> {
    let share = ["_perc", "_ratio", "saturation", "utilization", "_fraction"];
    share.iter().any(|own| name.ends_with(own)).then_some(1.0)
}

/// The metric of vLLM's engine that a selector names; of a histogram any of its series.
pub(super) fn engine_metric(selector: &Selector) -> Option<crate::replica::KnownMetric> {
    known_metric(selector.exact_name()?)
}

/// The metric of vLLM's engine that has a series called `name`.
pub(super) fn known_metric(name: &str) -> Option<crate::replica::KnownMetric> {
    use crate::series::MetricKind;
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    crate::replica::known_metrics().find(|own| match own.kind {
        MetricKind::Histogram => Some(own.name) == base,
        _ => own.name == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_no_label_can_be_called_is_read_as_scraping_spells_it() {
        let plan = readable("avg(x{app.kubernetes.io/component=\"inference\"})", PrometheusVersion::V3);
        let plan = plan.expect("readable");
        assert_eq!(plan.selectors[0].matchers[1].name, "app_kubernetes_io_component");
        for text in ["avg(x{a=\"b\"}", "a.b", "sum(x}", "x{a=b.c}", ""] {
            assert!(readable(text, PrometheusVersion::V3).is_none(), "{text}");
        }
    }

    #[test]
    fn series_of_histograms_belong_to_them() {
        let name = |text: &str| known_metric(text).map(|own| own.name);
        assert_eq!(name("vllm:time_to_first_token_seconds_bucket"), Some("vllm:time_to_first_token_seconds"));
        assert_eq!(name("vllm:time_to_first_token_seconds"), None, "no series is called so");
        assert_eq!(name("vllm:num_requests_waiting"), Some("vllm:num_requests_waiting"));
        assert_eq!(name("vllm:num_requests_waiting_count"), None);
    }
}

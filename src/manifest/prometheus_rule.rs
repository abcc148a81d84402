//! prometheus-operator `PrometheusRule`, as written.

use crate::manifest::object::ObjectHead;
use crate::manifest::pod_monitor::prometheus_duration;
use crate::manifest::{Document, Fields, Key, Node, UnknownKeys, Value};
use crate::units::{Diagnostics, Located, SimDuration, Span};

/// Recording and alerting rules.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusRule {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `spec.groups`, in order.
    pub groups: Vec<RuleGroupWritten>,
}

/// One of `spec.groups`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroupWritten {
    /// Where it starts.
    pub span: Span,
    /// Its path, `spec.groups[0]`.
    pub path: String,
    /// `name`.
    pub name: Located<String>,
    /// `interval` (a Prometheus duration); 0 and "" count as absent, as for Prometheus.
    pub interval: Option<Located<SimDuration>>,
    /// `query_offset`.
    pub query_offset: Option<Located<SimDuration>>,
    /// `limit`; 0 is none.
    pub limit: Option<Located<i64>>,
    /// `labels` of all its rules.
    pub labels: Vec<(Key, Located<String>)>,
    /// `rules`, in order.
    pub rules: Vec<RuleWritten>,
}

/// One of a group's `rules`.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleWritten {
    /// Where it starts.
    pub span: Span,
    /// Its path, `spec.groups[0].rules[1]`.
    pub path: String,
    /// `record`.
    pub record: Option<Located<String>>,
    /// `alert`.
    pub alert: Option<Located<String>>,
    /// `expr`, a number as its text; "" counts as absent.
    pub expr: Option<Located<String>>,
    /// `labels`.
    pub labels: Vec<(Key, Located<String>)>,
    /// Those of `annotations`, `for` and `keep_firing_for` that say something: only alerts may have them.
    pub of_alerts: Vec<(&'static str, Span)>,
}

impl PrometheusRule {
    /// Reads a PrometheusRule.
    ///
    /// `None`, with an error, when there is no name.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        let mut groups = Vec::new();
        if let Some(mut spec) = fields.fields("spec", diagnostics) {
            for (path, node) in spec.list("groups", diagnostics).unwrap_or_default() {
                groups.extend(RuleGroupWritten::read(node, path, diagnostics));
            }
            spec.finish(UnknownKeys::Warn, diagnostics);
        }
        let head = head?;
        Some(PrometheusRule { span: head.span, name: head.name, namespace: head.namespace, groups })
    }
}

impl RuleGroupWritten {
    fn read(node: &Node, path: String, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, &path, diagnostics)?;
        let name = fields.string("name", diagnostics);
        let name = fields.required("name", name, diagnostics);
        let interval = prometheus_duration(&mut fields, "interval", diagnostics);
        let query_offset = prometheus_duration(&mut fields, "query_offset", diagnostics);
        let limit = fields.integer("limit", 0..=i64::MAX, diagnostics);
        let labels = fields.string_map("labels", diagnostics).unwrap_or_default();
        let mut rules = Vec::new();
        for (path, node) in fields.list("rules", diagnostics).unwrap_or_default() {
            rules.extend(RuleWritten::read(node, path, diagnostics));
        }
        // Thanos' field: the operator drops it for Prometheus.
        let _ = fields.node("partial_response_strategy");
        fields.finish(UnknownKeys::Warn, diagnostics);
        let name = name?;
        Some(RuleGroupWritten { span: node.span.clone(), path, name, interval, query_offset, limit, labels, rules })
    }
}

impl RuleWritten {
    fn read(node: &Node, path: String, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, &path, diagnostics)?;
        let text = |own: Option<Located<String>>| own.filter(|own| !own.value.is_empty());
        let expr = match fields.node("expr").map(|node| (&node.value, &node.span)) {
            Some((Value::Int(number), span)) => Some(Located::new(number.to_string(), span.clone())),
            _ => text(fields.string("expr", diagnostics)),
        };
        let mut rule = RuleWritten {
            span: node.span.clone(),
            record: text(fields.string("record", diagnostics)),
            alert: text(fields.string("alert", diagnostics)),
            expr,
            labels: fields.string_map("labels", diagnostics).unwrap_or_default(),
            of_alerts: Vec::new(),
            path,
        };
        for key in ["for", "keep_firing_for"] {
            rule.of_alerts.extend(prometheus_duration(&mut fields, key, diagnostics).map(|own| (key, own.span)));
        }
        let annotations = fields.string_map("annotations", diagnostics).unwrap_or_default();
        rule.of_alerts.extend(annotations.first().map(|(key, _)| ("annotations", key.span.clone())));
        fields.finish(UnknownKeys::Warn, diagnostics);
        Some(rule)
    }
}

#[cfg(test)]
#[path = "prometheus_rule_tests.rs"]
mod tests;

//! `autoScaling` of a KServe InferenceService, as written.

use crate::manifest::{Behavior, Fields, Node};
use crate::units::{Diagnostics, Located, Quantity, Span};
use std::ops::RangeInclusive;

/// What fits the API's int32.
const INT32: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// `AutoScalingSpec` (reference: kserve `pkg/apis/serving/v1beta1/component.go`).
#[derive(Clone, Debug, PartialEq)]
pub struct AutoScaling {
    /// Where the block starts.
    pub span: Span,
    /// `metrics`.
    pub metrics: Vec<AutoScalingMetric>,
    /// `behavior`.
    pub behavior: Option<Behavior>,
}

/// One entry of `metrics`: `type`, and the block of that type. The fields are those of the blocks `resource`, `external` and
/// `podmetric` together; of each entry only those of its own block are there.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoScalingMetric {
    /// Where the entry starts.
    pub span: Span,
    /// Its path, `spec.predictor.autoScaling.metrics[0]`.
    pub path: String,
    /// `type`: Resource, External or PodMetric.
    pub kind: Located<String>,
    /// Where the block of that type starts; `None` when it is missing or the type is another.
    pub source: Option<Span>,
    /// `resource.name`: cpu or memory.
    pub resource: Option<Located<String>>,
    /// `metric.backend`: prometheus, graphite or opentelemetry.
    pub backend: Option<Located<String>>,
    /// `metric.serverAddress`.
    pub server_address: Option<Located<String>>,
    /// `metric.query`.
    pub query: Option<Located<String>>,
    /// `metric.namespace`.
    pub namespace: Option<Located<String>>,
    /// `metric.operationOverTime`.
    pub operation_over_time: Option<Located<String>>,
    /// `authenticationRef.authModes`.
    pub auth_modes: Option<Located<String>>,
    /// `target.type`: Utilization, Value or AverageValue.
    pub target_type: Option<Located<String>>,
    /// `target.value`.
    pub value: Option<Located<Quantity>>,
    /// `target.averageValue`.
    pub average_value: Option<Located<Quantity>>,
    /// `target.averageUtilization`, percent.
    pub average_utilization: Option<Located<i64>>,
}

impl AutoScaling {
    /// Reads the block under `autoScaling`; what KServe's webhook checks is not checked here.
    pub(crate) fn read(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = fields.fields("autoScaling", diagnostics)?;
        let mut metrics = Vec::new();
        for (path, node) in fields.list("metrics", diagnostics).unwrap_or_default() {
            metrics.extend(AutoScalingMetric::read(node, &path, diagnostics));
        }
        let path = fields.path_of("behavior");
        let behavior = fields.node("behavior").and_then(|node| Behavior::read(node, &path, diagnostics));
        Some(AutoScaling { span: fields.span, metrics, behavior })
    }
}

impl AutoScalingMetric {
    fn read(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, path, diagnostics)?;
        let kind = fields.string("type", diagnostics);
        let kind = fields.required("type", kind, diagnostics)?;
        let mut own = AutoScalingMetric {
            span: fields.span.clone(),
            path: path.to_owned(),
            kind,
            source: None,
            resource: None,
            backend: None,
            server_address: None,
            query: None,
            namespace: None,
            operation_over_time: None,
            auth_modes: None,
            target_type: None,
            value: None,
            average_value: None,
            average_utilization: None,
        };
        let block = match own.kind.value.as_str() {
            "Resource" => "resource",
            "External" => "external",
            "PodMetric" => "podmetric",
            _ => return Some(own),
        };
        let Some(mut source) = fields.fields(block, diagnostics) else { return Some(own) };
        own.source = Some(source.span.clone());
        if block == "resource" {
            own.resource = source.string("name", diagnostics);
        }
        if let Some(mut metric) = source.fields("metric", diagnostics) {
            own.backend = metric.string("backend", diagnostics);
            own.server_address = metric.string("serverAddress", diagnostics);
            own.query = metric.string("query", diagnostics);
            own.namespace = metric.string("namespace", diagnostics);
            own.operation_over_time = metric.string("operationOverTime", diagnostics);
        }
        if let Some(mut authentication) = source.fields("authenticationRef", diagnostics) {
            own.auth_modes = authentication.string("authModes", diagnostics);
        }
        if let Some(mut target) = source.fields("target", diagnostics) {
            own.target_type = target.string("type", diagnostics);
            own.value = target.quantity("value", diagnostics);
            own.average_value = target.quantity("averageValue", diagnostics);
            own.average_utilization = target.integer("averageUtilization", INT32, diagnostics);
        }
        Some(own)
    }
}

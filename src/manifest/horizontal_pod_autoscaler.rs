//! `autoscaling/v2` `HorizontalPodAutoscaler`, as written.

use crate::manifest::behavior::quantity;
use crate::manifest::object::{ObjectHead, wrong_version};
use crate::manifest::{Behavior, Document, Fields, Key, LabelSelector, Node, ScaleTargetRef, UnknownKeys, Value};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, Quantity, Span};
use std::ops::RangeInclusive;

/// What fits the API's int32; bounds beyond the type are for the validation of the resolved object.
const INT32: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// A HorizontalPodAutoscaler as its author wrote it (reference: Kubernetes `staging/src/k8s.io/api/autoscaling/v2/types.go`).
#[derive(Clone, Debug, PartialEq)]
pub struct HorizontalPodAutoscaler {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `metadata.annotations`.
    pub annotations: Vec<(Key, Located<String>)>,
    /// `spec.scaleTargetRef`.
    pub scale_target_ref: ScaleTargetRef,
    /// `spec.minReplicas`.
    pub min_replicas: Option<Located<i64>>,
    /// `spec.maxReplicas`.
    pub max_replicas: Located<i64>,
    /// `spec.metrics`.
    pub metrics: Vec<HpaMetric>,
    /// `spec.behavior`.
    pub behavior: Option<Behavior>,
}

/// One entry of `spec.metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaMetric {
    /// Where the entry starts.
    pub span: Span,
    /// Its path, `spec.metrics[0]`.
    pub path: String,
    /// `type`: Resource, ContainerResource, Pods, External or Object.
    pub kind: Located<String>,
    /// Where the block stands that the type asks for, e.g. `external`; `None` when there is none.
    pub block_span: Option<Span>,
    /// `metric.name`, or the resource's `name`.
    pub name: Option<Located<String>>,
    /// `metric.selector`.
    pub selector: Option<LabelSelector>,
    /// `container` of a ContainerResource.
    pub container: Option<Located<String>>,
    /// `target.type`.
    pub target_type: Option<Located<String>>,
    /// `target.value`.
    pub value: Option<Located<Quantity>>,
    /// `target.averageValue`.
    pub average_value: Option<Located<Quantity>>,
    /// `target.averageUtilization`, percent.
    pub average_utilization: Option<Located<i64>>,
}

/// The metric types and the block that each puts its fields in.
const METRIC_BLOCKS: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

impl HpaMetric {
    /// The key of the block that holds the fields, `external` for an External metric; `None` for a type that does not exist.
    pub fn block(&self) -> Option<&'static str> {
        block_of(&self.kind.value)
    }
}

fn block_of(kind: &str) -> Option<&'static str> {
    METRIC_BLOCKS.iter().find(|(own, _)| *own == kind).map(|(_, block)| *block)
}

impl HorizontalPodAutoscaler {
    /// Reads `document`; keys that the API server would drop are warnings. What the API server validates beyond types is not
    /// checked here, save that a metric has no other block than its type's.
    ///
    /// `None`, with an error, when there is no name, no target or no maximum to go on with, or the version is not
    /// autoscaling/v2.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Some(diagnostic) = refused_version(document) {
            diagnostics.push(diagnostic.by(Judge::ApiServer));
            return None;
        }
        let from = diagnostics.0.len();
        let read = read(document, diagnostics);
        diagnostics.judged_by(Judge::ApiServer, from);
        read
    }
}

fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<HorizontalPodAutoscaler> {
    let mut fields = Fields::of(&document.root, "", diagnostics)?;
    let head = ObjectHead::read(&mut fields, diagnostics);
    let spec = fields.fields("spec", diagnostics);
    let spec = fields.required("spec", spec, diagnostics);
    fields.finish(UnknownKeys::Warn, diagnostics);
    let mut spec = spec?;

    let scale_target_ref = scale_target_ref(&mut spec, diagnostics);
    let min_replicas = spec.integer("minReplicas", INT32, diagnostics);
    let max_replicas = spec.integer("maxReplicas", INT32, diagnostics);
    let max_replicas = spec.required("maxReplicas", max_replicas, diagnostics);
    let items = spec.list("metrics", diagnostics).unwrap_or_default();
    let metrics = items.into_iter().filter_map(|(path, item)| metric(item, &path, diagnostics)).collect();
    let path = spec.path_of("behavior");
    let behavior = spec.node("behavior").and_then(|node| Behavior::read(node, &path, diagnostics));
    spec.finish(UnknownKeys::Warn, diagnostics);

    let head = head?;
    Some(HorizontalPodAutoscaler {
        span: head.span,
        name: head.name,
        namespace: head.namespace,
        annotations: head.annotations,
        scale_target_ref: scale_target_ref?,
        min_replicas,
        max_replicas: max_replicas?,
        metrics,
        behavior,
    })
}

/// Only v2 is read: the others say the same in other words, and which words would be guessed here.
fn refused_version(document: &Document) -> Option<Diagnostic> {
    let version = document.api_version.as_str();
    let help = match version {
        "" | "autoscaling/v2" => return None,
        "autoscaling/v1" => {
            let spec = document.root.get("spec");
            let percent = spec.and_then(|spec| spec.get("targetCPUUtilizationPercentage"));
            let percent = match percent.map(|node| &node.value) {
                Some(Value::Int(percent)) => percent.to_string(),
                _ => "N".to_owned(),
            };
            format!(
                "write apiVersion: autoscaling/v2, and in place of targetCPUUtilizationPercentage: {percent} write metrics: \
                 [{{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: {percent}}}}}}}]; \
                 `kubectl get hpa.v2.autoscaling NAME -o yaml` converts a live one"
            )
        }
        "autoscaling/v2beta2" => "write apiVersion: autoscaling/v2, which has the same fields; Kubernetes dropped v2beta2 \
                                  in 1.26"
            .to_owned(),
        "autoscaling/v2beta1" => {
            "write apiVersion: autoscaling/v2 and targets as target: {type, averageUtilization | averageValue | value} in \
             place of targetAverageUtilization, targetAverageValue and targetValue, and metricName as metric: {name}; \
             Kubernetes dropped v2beta1 in 1.25"
                .to_owned()
        }
        _ => "HorizontalPodAutoscaler has the versions autoscaling/v1 and autoscaling/v2".to_owned(),
    };
    Some(wrong_version(document, format!("found {version:?}, expected autoscaling/v2"), &help))
}

fn scale_target_ref(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<ScaleTargetRef> {
    let fields = spec.fields("scaleTargetRef", diagnostics);
    let mut fields = spec.required("scaleTargetRef", fields, diagnostics)?;
    let name = fields.string("name", diagnostics);
    let name = fields.required("name", name, diagnostics);
    let kind = fields.string("kind", diagnostics);
    let kind = fields.required("kind", kind, diagnostics);
    let api_version = fields.string("apiVersion", diagnostics);
    fields.finish(UnknownKeys::Warn, diagnostics);
    Some(ScaleTargetRef { name: name?, kind, api_version })
}

/// One metric. Which block holds its fields follows from its type; others are errors, since the API server allows one only
/// (`validateMetricSpec`).
fn metric(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<HpaMetric> {
    let mut fields = Fields::of(node, path, diagnostics)?;
    let kind = fields.string("type", diagnostics);
    let kind = fields.required("type", kind, diagnostics);
    let wanted = kind.as_ref().and_then(|kind| block_of(&kind.value));
    let mut metric = HpaMetric {
        span: fields.span.clone(),
        path: path.to_owned(),
        kind: kind.clone().unwrap_or_else(|| Located::new(String::new(), fields.span.clone())),
        block_span: None,
        name: None,
        selector: None,
        container: None,
        target_type: None,
        value: None,
        average_value: None,
        average_utilization: None,
    };
    for (_, block) in METRIC_BLOCKS {
        let Some(node) = fields.node(block) else { continue };
        if wanted == Some(block) {
            metric.block_span = Some(node.span.clone());
            metric.read_block(block, node, &fields.path_of(block), diagnostics);
        } else if wanted.is_some() {
            let message = "Forbidden: must populate the given metric source only";
            let other = Diagnostic::error(node.span.clone(), fields.path_of(block), message);
            diagnostics.push(other.by(Judge::HpaValidation));
        }
    }
    fields.finish(UnknownKeys::Warn, diagnostics);
    kind.is_some().then_some(metric)
}

impl HpaMetric {
    fn read_block(&mut self, block: &str, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
        let Some(mut fields) = Fields::of(node, path, diagnostics) else { return };
        match block {
            "resource" => self.name = fields.string("name", diagnostics),
            "containerResource" => {
                self.name = fields.string("name", diagnostics);
                self.container = fields.string("container", diagnostics);
            }
            // The object is not looked at: whoever resolves the metric says that it is not modelled.
            _ => {
                if block == "object" {
                    let _ = fields.node("describedObject");
                }
                if let Some(mut metric) = fields.fields("metric", diagnostics) {
                    self.name = metric.string("name", diagnostics);
                    self.selector = LabelSelector::read(&mut metric, "selector", diagnostics);
                    metric.finish(UnknownKeys::Warn, diagnostics);
                }
            }
        }
        if let Some(mut target) = fields.fields("target", diagnostics) {
            self.target_type = target.string("type", diagnostics);
            self.value = quantity(&mut target, "value", "10", diagnostics);
            self.average_value = quantity(&mut target, "averageValue", "10", diagnostics);
            self.average_utilization = target.integer("averageUtilization", INT32, diagnostics);
            target.finish(UnknownKeys::Warn, diagnostics);
        }
        fields.finish(UnknownKeys::Warn, diagnostics);
    }
}

#[cfg(test)]
#[path = "horizontal_pod_autoscaler_tests.rs"]
mod tests;

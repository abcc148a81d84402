//! `autoscaling/v2` `HorizontalPodAutoscaler`, as written.

use crate::manifest::object::ObjectHead;
use crate::manifest::{Behavior, Document, Fields, Key, ScaleTargetRef};
use crate::units::{Diagnostics, Located, Quantity, Span};

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
    /// `metric.name`, or the resource's `name`.
    pub name: Option<Located<String>>,
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

impl HorizontalPodAutoscaler {
    /// Reads `document`; keys that the API server would drop are warnings. What the API server validates beyond types is not
    /// checked here.
    ///
    /// `None`, with an error, when there is no name, no target or no maximum to go on with.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let _head = ObjectHead::read(&mut fields, diagnostics)?;
        let message = "a plain HorizontalPodAutoscaler is not modelled yet";
        diagnostics.push(crate::units::Diagnostic::error(document.root.span.clone(), "", message));
        None
    }
}

//! The HPA as resolved: defaulted and validated, no optional field that has a default.

use crate::hpa::api_errors::{Field, forbidden, invalid};
use crate::hpa::behavior::resolve_behavior;
use crate::manifest::Behavior;
use crate::units::{Diagnostic, Diagnostics, Quantity, SimDuration, Span};

/// The Kubernetes minor version whose controller is simulated (hpa.md section 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KubernetesVersion {
    /// 1.32 and before.
    V1_32,
    /// 1.33.
    V1_33,
    /// 1.34.
    V1_34,
    /// 1.35.
    V1_35,
    /// 1.36, the default.
    V1_36,
}

/// Flags and gates of the controller.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerFlags {
    /// Which controller.
    pub version: KubernetesVersion,
    /// `--horizontal-pod-autoscaler-tolerance`, default 0.1.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`, default 300 s.
    pub downscale_stabilization: SimDuration,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`, default 300 s.
    pub cpu_initialization_period: SimDuration,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`, default 30 s.
    pub initial_readiness_delay: SimDuration,
    /// Gate HPAConfigurableTolerance (on by default from 1.35).
    pub configurable_tolerance: bool,
    /// Gate HPAScaleToZero (off by default).
    pub scale_to_zero: bool,
}

/// `spec` of the HPA.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSpec {
    /// `metadata.namespace`; "default" unless said otherwise. It appears in messages only.
    pub namespace: String,
    /// `minReplicas`, defaulted to 1.
    pub min_replicas: i32,
    /// `maxReplicas`.
    pub max_replicas: i32,
    /// `metrics`, in order.
    pub metrics: Vec<MetricSpec>,
    /// `behavior` after defaulting, (scaleUp, scaleDown); `None` when the HPA has no behavior at all, which is another
    /// algorithm (hpa.md sections 8 and 9).
    pub behavior: Option<(ScalingRules, ScalingRules)>,
}

/// One metric of the HPA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSpec {
    /// Its name as the HPA shows it, e.g. `external metric s0-prometheus(...)`'s `s0-prometheus`.
    pub name: String,
    /// Kind and target.
    pub target: MetricTarget,
    /// ContainerResource: whose usage counts; `None` for the whole pod.
    pub container: Option<String>,
    /// External: `metric.selector` as upstream's messages print it (see [`selector_text`]); `None` without one.
    ///
    /// [`selector_text`]: crate::hpa::selector_text
    pub selector: Option<String>,
}

/// Kind and target of a metric; milli units unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricTarget {
    /// External, `averageValue`.
    ExternalAverageValue(i64),
    /// External, `value`.
    ExternalValue(i64),
    /// Pods, `averageValue`.
    PodsAverageValue(i64),
    /// Resource or ContainerResource, `averageUtilization` in percent of the request.
    ResourceUtilization(Resource, i32),
    /// Resource or ContainerResource, `averageValue`.
    ResourceAverageValue(Resource, i64),
}

/// A resource that metrics-server measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// cpu, milli cores.
    Cpu,
    /// memory, milli bytes.
    Memory,
}

impl Resource {
    /// Upstream's word.
    pub fn word(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Memory => "memory",
        }
    }
}

/// Scaling rules of one direction, defaulted.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// `stabilizationWindowSeconds` (scaleDown: the controller flag when absent).
    pub stabilization_window: SimDuration,
    /// `selectPolicy`.
    pub select_policy: SelectPolicy,
    /// `policies`.
    pub policies: Vec<Policy>,
    /// `tolerance`, absent = the controller flag.
    pub tolerance: Option<Quantity>,
}

/// `selectPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectPolicy {
    /// The policy that allows the largest change.
    Max,
    /// The policy that allows the smallest change.
    Min,
    /// No scaling in this direction.
    Disabled,
}

/// One scaling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Pods or Percent.
    pub kind: PolicyKind,
    /// How many pods or percent.
    pub value: i32,
    /// `periodSeconds`.
    pub period: SimDuration,
}

/// What a policy's value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// Pods.
    Pods,
    /// Percent of the count at the start of the period.
    Percent,
}

impl MetricSpec {
    /// A metric of whole pods or of none.
    pub fn new(name: impl Into<String>, target: MetricTarget) -> Self {
        MetricSpec { name: name.into(), target, container: None, selector: None }
    }

    /// The resource it measures; `None` for Pods and External metrics.
    pub fn resource(&self) -> Option<Resource> {
        match self.target {
            MetricTarget::ResourceUtilization(resource, _) | MetricTarget::ResourceAverageValue(resource, _) => {
                Some(resource)
            }
            _ => None,
        }
    }

    /// The same metric of one container only.
    #[must_use]
    pub fn of_container(mut self, container: impl Into<String>) -> Self {
        self.container = Some(container.into());
        self
    }

    /// The same External metric with a selector, as [`selector_text`] prints it.
    ///
    /// [`selector_text`]: crate::hpa::selector_text
    #[must_use]
    pub fn with_selector(mut self, selector: impl Into<String>) -> Self {
        self.selector = Some(selector.into());
        self
    }
}

impl MetricTarget {
    /// Whether it is an External metric, which exists without pods.
    pub fn is_external(self) -> bool {
        matches!(self, MetricTarget::ExternalAverageValue(_) | MetricTarget::ExternalValue(_))
    }
}

impl ControllerFlags {
    /// The defaults of `version` (hpa.md sections 1 and 12).
    pub fn defaults(version: KubernetesVersion) -> Self {
        ControllerFlags {
            version,
            tolerance: 0.1,
            downscale_stabilization: SimDuration::from_secs(300),
            cpu_initialization_period: SimDuration::from_secs(300),
            initial_readiness_delay: SimDuration::from_secs(30),
            configurable_tolerance: version >= KubernetesVersion::V1_35,
            scale_to_zero: false,
        }
    }
}

impl HpaSpec {
    /// Defaults and validates (`GenerateHPAScaleUpRules`, `GenerateHPAScaleDownRules`, API validation). `path` is the
    /// behavior's field path for messages. A behaviour tolerance the version drops becomes a warning.
    ///
    /// An explicit `policies: []` is an error, as it is in a hand-written HPA; for one that travels through KEDA see
    /// [`without_empty_policies`].
    ///
    /// # Errors
    /// All rules broken, located.
    pub fn resolve(
        min_replicas: i32,
        max_replicas: i32,
        metrics: Vec<MetricSpec>,
        behavior: Option<&Behavior>,
        path: &str,
        flags: &ControllerFlags,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let metrics = default_metrics(metrics, None, &mut diagnostics);
        validate_bounds(min_replicas, max_replicas, &metrics, flags, &mut diagnostics);
        validate_targets(&metrics, &mut diagnostics);
        let behavior = behavior.map(|written| resolve_behavior(written, path, flags, &mut diagnostics));
        let namespace = DEFAULT_NAMESPACE.to_owned();
        diagnostics.into_result(HpaSpec { namespace, min_replicas, max_replicas, metrics, behavior })
    }
}

/// Where an object goes whose manifest names no namespace.
pub(super) const DEFAULT_NAMESPACE: &str = "default";

/// A behavior as it arrives when its writer drops empty lists (Go's `omitempty`): KEDA re-serialises the behavior of a
/// ScaledObject into its HPA, and an explicit `policies: []` there acts as absent (HPA-DEF-3).
#[must_use]
pub fn without_empty_policies(behavior: &Behavior) -> Behavior {
    let mut behavior = behavior.clone();
    for rules in [&mut behavior.scale_up, &mut behavior.scale_down].into_iter().flatten() {
        if rules.policies.as_ref().is_some_and(Vec::is_empty) {
            rules.policies = None;
        }
    }
    behavior
}

/// API defaulting (`SetDefaults_HorizontalPodAutoscaler`): no metric at all means 80 % cpu.
pub(super) fn default_metrics(
    metrics: Vec<MetricSpec>,
    place: Option<Span>,
    diagnostics: &mut Diagnostics,
) -> Vec<MetricSpec> {
    if !metrics.is_empty() {
        return metrics;
    }
    let path = if place.is_some() { "spec.metrics" } else { "metrics" };
    let message = "found no metrics; the API server fills in 80 % average cpu utilization";
    diagnostics.push(Diagnostic::note(place, path, message));
    vec![MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 80))]
}

fn validate_bounds(min: i32, max: i32, metrics: &[MetricSpec], flags: &ControllerFlags, diagnostics: &mut Diagnostics) {
    let field = |path| Field::nowhere(path);
    let lowest = i32::from(!flags.scale_to_zero);
    if min < lowest {
        let wrong = invalid(field("minReplicas"), min, format!("must be greater than or equal to {lowest}"));
        diagnostics.push(if min == 0 { wrong.help(ZERO_HELP) } else { wrong });
    } else if min == 0 && !metrics.iter().any(|metric| metric.target.is_external()) {
        diagnostics.push(forbidden(field("metrics"), NO_METRIC_AT_ZERO).help(ZERO_HELP));
    }
    if max < 1 {
        diagnostics.push(invalid(field("maxReplicas"), max, "must be greater than 0"));
    }
    if max < min {
        let wrong = invalid(field("maxReplicas"), max, "must be greater than or equal to `minReplicas`");
        diagnostics.push(wrong.help(format!("minReplicas is {min}")));
    }
}

/// What `minReplicas: 0` needs.
pub(super) const ZERO_HELP: &str = "0 needs the feature gate HPAScaleToZero and an External metric";
/// Upstream's words for `minReplicas: 0` on pod metrics alone.
pub(super) const NO_METRIC_AT_ZERO: &str =
    "must specify at least one Object or External metric to support scaling to zero replicas";

fn validate_targets(metrics: &[MetricSpec], diagnostics: &mut Diagnostics) {
    for (index, metric) in metrics.iter().enumerate() {
        let path = format!("metrics[{index}]");
        let (value, shown, detail) = match metric.target {
            MetricTarget::ResourceUtilization(_, percent) => {
                (i64::from(percent), percent.to_string(), "must be greater than 0")
            }
            MetricTarget::ExternalAverageValue(milli)
            | MetricTarget::ExternalValue(milli)
            | MetricTarget::PodsAverageValue(milli)
            | MetricTarget::ResourceAverageValue(_, milli) => {
                (milli, format!("\"{}\"", Quantity::from_milli(milli)), "must be positive")
            }
        };
        if value <= 0 {
            let wrong = invalid(Field::nowhere(&path), shown, detail);
            diagnostics.push(wrong.help(format!("it is the target of {}", metric.name)));
        }
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;

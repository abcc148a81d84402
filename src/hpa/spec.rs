//! The HPA as resolved: defaulted and validated, no optional field that has a default.

use crate::manifest::{self, Behavior};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity, SimDuration};

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
        MetricSpec { name: name.into(), target, container: None }
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
        let metrics = default_metrics(metrics, &mut diagnostics);
        validate_bounds(min_replicas, max_replicas, &metrics, flags, &mut diagnostics);
        validate_targets(&metrics, &mut diagnostics);
        // HPA-DEF-1: defaulting fires only for a non-null behavior, even an empty one, and then fills both directions.
        let behavior = behavior.map(|written| {
            let up = written.scale_up.as_ref();
            let up = rules(up, default_scale_up(), &format!("{path}.scaleUp"), flags, &mut diagnostics);
            let down = written.scale_down.as_ref();
            let down = rules(down, default_scale_down(flags), &format!("{path}.scaleDown"), flags, &mut diagnostics);
            (up, down)
        });
        diagnostics.into_result(HpaSpec { min_replicas, max_replicas, metrics, behavior })
    }
}

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

const WINDOW_SECONDS_MAX: i64 = 3600;
const PERIOD_SECONDS_MAX: i64 = 1800;

fn default_scale_up() -> ScalingRules {
    let period = SimDuration::from_secs(15);
    ScalingRules {
        stabilization_window: SimDuration::ZERO,
        select_policy: SelectPolicy::Max,
        policies: vec![
            Policy { kind: PolicyKind::Pods, value: 4, period },
            Policy { kind: PolicyKind::Percent, value: 100, period },
        ],
        tolerance: None,
    }
}

fn default_scale_down(flags: &ControllerFlags) -> ScalingRules {
    ScalingRules {
        // HPA-DEF-2: an absent window is the controller's flag, not a constant.
        stabilization_window: flags.downscale_stabilization,
        select_policy: SelectPolicy::Max,
        policies: vec![Policy { kind: PolicyKind::Percent, value: 100, period: SimDuration::from_secs(15) }],
        tolerance: None,
    }
}

/// API defaulting (`SetDefaults_HorizontalPodAutoscaler`): no metric at all means 80 % cpu.
fn default_metrics(metrics: Vec<MetricSpec>, diagnostics: &mut Diagnostics) -> Vec<MetricSpec> {
    if !metrics.is_empty() {
        return metrics;
    }
    let message = "found no metrics; the API server fills in 80 % average cpu utilization";
    diagnostics.push(Diagnostic::note(None, "metrics", message));
    vec![MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 80))]
}

fn validate_bounds(min: i32, max: i32, metrics: &[MetricSpec], flags: &ControllerFlags, diagnostics: &mut Diagnostics) {
    let zero_allowed = flags.scale_to_zero && metrics.iter().any(|metric| metric.target.is_external());
    if min < i32::from(!zero_allowed) {
        let expected = if zero_allowed { "0 or more" } else { "1 or more" };
        let wrong = Diagnostic::error(None, "minReplicas", format!("found {min}, expected {expected}"));
        diagnostics.push(if min == 0 {
            wrong.help("0 needs the feature gate HPAScaleToZero and an External metric")
        } else {
            wrong
        });
    }
    if max < 1 {
        diagnostics.push(Diagnostic::error(None, "maxReplicas", format!("found {max}, expected 1 or more")));
    }
    if max < min {
        let message = format!("found {max}, expected at least minReplicas, which is {min}");
        diagnostics.push(Diagnostic::error(None, "maxReplicas", message));
    }
}

fn validate_targets(metrics: &[MetricSpec], diagnostics: &mut Diagnostics) {
    for (index, metric) in metrics.iter().enumerate() {
        let (value, shown) = match metric.target {
            MetricTarget::ResourceUtilization(_, percent) => (i64::from(percent), format!("{percent} %")),
            MetricTarget::ExternalAverageValue(milli)
            | MetricTarget::ExternalValue(milli)
            | MetricTarget::PodsAverageValue(milli)
            | MetricTarget::ResourceAverageValue(_, milli) => (milli, Quantity::from_milli(milli).to_string()),
        };
        if value <= 0 {
            let message = format!("found the target {shown} for {}, expected more than 0", metric.name);
            diagnostics.push(Diagnostic::error(None, format!("metrics[{index}]"), message));
        }
    }
}

/// One direction: a given field replaces the default, an absent one keeps it; `policies` replaces the whole list.
fn rules(
    written: Option<&manifest::ScalingRules>,
    defaults: ScalingRules,
    path: &str,
    flags: &ControllerFlags,
    diagnostics: &mut Diagnostics,
) -> ScalingRules {
    let Some(written) = written else { return defaults };
    let mut rules = defaults;
    if let Some(window) = &written.stabilization_window_seconds {
        let place = format!("{path}.stabilizationWindowSeconds");
        if let Some(seconds) = within(window, 0, WINDOW_SECONDS_MAX, &place, diagnostics) {
            rules.stabilization_window = SimDuration::from_secs(seconds.unsigned_abs().into());
        }
    }
    if let Some(select) = &written.select_policy {
        match select.value.as_str() {
            "Max" => rules.select_policy = SelectPolicy::Max,
            "Min" => rules.select_policy = SelectPolicy::Min,
            "Disabled" => rules.select_policy = SelectPolicy::Disabled,
            found => diagnostics.push(Diagnostic::error(
                select.span.clone(),
                format!("{path}.selectPolicy"),
                format!("found {found:?}, expected Max, Min or Disabled"),
            )),
        }
    }
    if let Some(written_policies) = &written.policies {
        if written_policies.is_empty() {
            let message = "found an empty list, expected at least one policy";
            let wrong = Diagnostic::error(written.span.clone(), format!("{path}.policies"), message);
            diagnostics.push(wrong.help("remove the key to keep the default policies"));
        }
        let each = written_policies.iter().enumerate();
        rules.policies =
            each.filter_map(|(i, one)| policy(one, &format!("{path}.policies[{i}]"), diagnostics)).collect();
    }
    rules.tolerance = written.tolerance.as_ref().and_then(|found| tolerance(found, path, flags, diagnostics));
    rules
}

fn policy(written: &manifest::ScalingPolicy, path: &str, diagnostics: &mut Diagnostics) -> Option<Policy> {
    let kind = match written.kind.value.as_str() {
        "Pods" => Some(PolicyKind::Pods),
        "Percent" => Some(PolicyKind::Percent),
        found => {
            let message = format!("found {found:?}, expected Pods or Percent");
            diagnostics.push(Diagnostic::error(written.kind.span.clone(), format!("{path}.type"), message));
            None
        }
    };
    let value = within(&written.value, 1, i64::from(i32::MAX), &format!("{path}.value"), diagnostics);
    let place = format!("{path}.periodSeconds");
    let seconds = within(&written.period_seconds, 1, PERIOD_SECONDS_MAX, &place, diagnostics);
    let period = SimDuration::from_secs(seconds?.unsigned_abs().into());
    Some(Policy { kind: kind?, value: value?, period })
}

/// HPA-TOL-3: what an API server without the gate drops cannot be wrong, only missed.
fn tolerance(
    written: &Located<Quantity>,
    path: &str,
    flags: &ControllerFlags,
    diagnostics: &mut Diagnostics,
) -> Option<Quantity> {
    let place = format!("{path}.tolerance");
    if !flags.configurable_tolerance {
        let message = format!("found {}, which this Kubernetes version drops", written.value);
        let warning = Diagnostic::warning(written.span.clone(), place, message);
        diagnostics.push(warning.help("it needs Kubernetes 1.35, or 1.33 with the gate HPAConfigurableTolerance"));
        return None;
    }
    if written.value.as_approximate_f64() < 0.0 {
        let message = format!("found {}, expected 0 or more", written.value);
        diagnostics.push(Diagnostic::error(written.span.clone(), place, message));
        return None;
    }
    Some(written.value)
}

/// `found` when it lies in `min..=max`.
fn within(found: &Located<i64>, min: i64, max: i64, path: &str, diagnostics: &mut Diagnostics) -> Option<i32> {
    if (min..=max).contains(&found.value) {
        return i32::try_from(found.value).ok();
    }
    let message = format!("found {}, expected a number from {min} to {max}", found.value);
    diagnostics.push(Diagnostic::error(found.span.clone(), path, message));
    None
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;

//! What one sync decided, with every reason in the order in which the controller came to it.

use crate::hpa::{HpaState, Policy, Recommendation};
use crate::units::SimDuration;

/// Output of one reconcile.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Each metric's own proposal, in the spec's order.
    pub metrics: Vec<MetricDecision>,
    /// Largest proposal as used; `None` when metrics were not computed (spec 0, outside min..max) or failed.
    pub metric_desired: Option<i32>,
    /// After the stabilization windows, before policies and min/max.
    pub stabilized: Option<i32>,
    /// `spec.replicas` after the sync.
    pub new_replicas: i32,
    /// Whether `spec.replicas` was written.
    pub rescaled: bool,
    /// `status.desiredReplicas` after the sync.
    pub status_desired: i32,
    /// Condition AbleToScale after the sync.
    pub able_to_scale: AbleToScale,
    /// Condition ScalingActive after the sync, `None` when never set.
    pub scaling_active: Option<ScalingActive>,
    /// Condition ScalingLimited after the sync, `None` when never set.
    pub scaling_limited: Option<ScalingLimited>,
    /// Reason of the SuccessfulRescale event; `None` without a rescale.
    pub reason: Option<RescaleReason>,
    /// Whether the reconcile returned an error (also when it scaled up on the metrics that worked).
    pub error: bool,
    /// What kept the result from being the raw proposal.
    pub bound_by: BoundBy,
    /// Which recommendation a stabilization window put in the proposal's place; `None` when the windows changed nothing.
    pub window: Option<WindowReason>,
    /// What then kept the count from following, or what it jumped to from outside min..max; `None` when nothing did.
    pub limit: Option<LimitReason>,
    /// The conditions after the sync as `kubectl describe hpa` shows them, in upstream's order: AbleToScale, ScalingActive,
    /// ScalingLimited and, with the gate HPAScaleToZero, ScaledToZero; those never set left out.
    pub conditions: Vec<Condition>,
    /// The state after the sync.
    pub next: HpaState,
}

/// A condition of the HPA's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `AbleToScale`, `ScalingActive`, `ScalingLimited` or `ScaledToZero`.
    pub kind: &'static str,
    /// True or False.
    pub status: bool,
    /// Upstream's reason word.
    pub reason: &'static str,
    /// Upstream's sentence.
    pub message: String,
}

/// Which way a rule works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// More replicas.
    Up,
    /// Fewer replicas.
    Down,
}

/// What a stabilization window did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowReason {
    /// Whose window: scaleUp holds back to the lowest recommendation in it, scaleDown to the highest.
    pub direction: Direction,
    /// Its length.
    pub window: SimDuration,
    /// The recommendation that decided: the lowest of the scaleUp window or the highest of the scaleDown window, of equal
    /// ones the youngest, which holds longest. With behavior and the current count between it and the proposal, the count
    /// stays as it is: [`Decision::stabilized`] is then the current count, not this.
    pub recommendation: Recommendation,
    /// How old it is at the sync.
    pub age: SimDuration,
}

/// What kept the count from following the stabilized one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitReason {
    /// A scaling policy.
    Policy {
        /// Whose.
        direction: Direction,
        /// Its position in `policies`; the first of those that allow the same.
        index: usize,
        /// The policy that decided, under `selectPolicy`.
        policy: Policy,
        /// The count at the start of its period: the current one less what was added and plus what was removed since.
        period_start: i32,
        /// The most (or least) replicas it allows. When the current count has already passed it, the count stays.
        limit: i32,
    },
    /// `selectPolicy: Disabled`.
    Disabled(Direction),
    /// Without behavior: at most twice the count, or 4.
    BuiltIn {
        /// The most replicas it allows.
        limit: i32,
    },
    /// `maxReplicas`.
    MaxReplicas(i32),
    /// `minReplicas`.
    MinReplicas(i32),
}

/// One metric's proposal.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDecision {
    /// Proposed replicas; `None` when the metric failed or was not looked at.
    pub proposal: Option<i32>,
    /// usage/target ratio the tolerance was tested on; `None` when failed. NaN and infinities occur at 0 replicas.
    pub ratio: Option<f64>,
    /// Whether the ratio was within tolerance (so that the proposal is the current count).
    pub tolerated: Tolerated,
    /// Why it failed.
    pub error: Option<String>,
}

impl MetricDecision {
    /// Of a sync that did not look at metrics.
    pub(super) fn not_looked_at() -> Self {
        MetricDecision { proposal: None, ratio: None, tolerated: Tolerated::NotTested, error: None }
    }
}

/// Tolerance verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerated {
    /// Within: the metric proposes the current count.
    Within,
    /// Outside.
    Outside,
    /// Not tested (failed, or not computed).
    NotTested,
}

/// Condition AbleToScale with upstream's reason words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbleToScale {
    /// True/SucceededGetScale.
    SucceededGetScale,
    /// True/ReadyForNewScale.
    ReadyForNewScale,
    /// True/ScaleUpStabilized.
    ScaleUpStabilized,
    /// True/ScaleDownStabilized.
    ScaleDownStabilized,
    /// True/SucceededRescale.
    SucceededRescale,
}

/// Condition ScalingActive with upstream's reason words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingActive {
    /// True/ValidMetricFound.
    ValidMetricFound,
    /// False/FailedGetExternalMetric.
    FailedGetExternalMetric,
    /// False/FailedGetPodsMetric.
    FailedGetPodsMetric,
    /// False/FailedGetResourceMetric.
    FailedGetResourceMetric,
    /// False/FailedGetContainerResourceMetric.
    FailedGetContainerResourceMetric,
    /// False/ScalingDisabled: the target has 0 replicas.
    ScalingDisabled,
}

/// Condition ScalingLimited with upstream's reason words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalingLimited {
    /// False/DesiredWithinRange.
    DesiredWithinRange,
    /// True/ScaleUpLimit.
    ScaleUpLimit,
    /// True/ScaleDownLimit.
    ScaleDownLimit,
    /// True/TooManyReplicas.
    TooManyReplicas,
    /// True/TooFewReplicas.
    TooFewReplicas,
}

/// Reason of a SuccessfulRescale event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RescaleReason {
    /// "<metric> above target"; index into the spec's metrics.
    MetricAboveTarget(usize),
    /// "All metrics below target".
    AllMetricsBelowTarget,
    /// "Current number of replicas above Spec.MaxReplicas".
    AboveMaxReplicas,
    /// "Current number of replicas below Spec.MinReplicas".
    BelowMinReplicas,
    /// The raw proposal equals the current count (an empty reason upstream).
    Empty,
}

/// The last thing that moved the result away from the raw proposal; `Nothing` exactly when the result is the proposal.
/// A jump into min..max (metrics not looked at) is bound by that bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundBy {
    /// Nothing did.
    Nothing,
    /// Metrics were not computed or failed.
    NoMetrics,
    /// The scale-up stabilization window.
    ScaleUpWindow,
    /// The scale-down stabilization window.
    ScaleDownWindow,
    /// A scale-up policy (or the built-in limit without behavior).
    ScaleUpPolicy,
    /// A scale-down policy.
    ScaleDownPolicy,
    /// maxReplicas.
    MaxReplicas,
    /// minReplicas.
    MinReplicas,
}

macro_rules! reason_words {
    ($($kind:ident { $($variant:ident => $word:literal),+ $(,)? })+) => {$(
        impl $kind {
            /// Upstream's reason word (for `BoundBy`, ours).
            pub fn word(self) -> &'static str {
                match self { $($kind::$variant => $word),+ }
            }
        }
    )+};
}

reason_words! {
    AbleToScale {
        SucceededGetScale => "SucceededGetScale",
        ReadyForNewScale => "ReadyForNewScale",
        ScaleUpStabilized => "ScaleUpStabilized",
        ScaleDownStabilized => "ScaleDownStabilized",
        SucceededRescale => "SucceededRescale",
    }
    ScalingActive {
        ValidMetricFound => "ValidMetricFound",
        FailedGetExternalMetric => "FailedGetExternalMetric",
        FailedGetPodsMetric => "FailedGetPodsMetric",
        FailedGetResourceMetric => "FailedGetResourceMetric",
        FailedGetContainerResourceMetric => "FailedGetContainerResourceMetric",
        ScalingDisabled => "ScalingDisabled",
    }
    ScalingLimited {
        DesiredWithinRange => "DesiredWithinRange",
        ScaleUpLimit => "ScaleUpLimit",
        ScaleDownLimit => "ScaleDownLimit",
        TooManyReplicas => "TooManyReplicas",
        TooFewReplicas => "TooFewReplicas",
    }
    BoundBy {
        Nothing => "none",
        NoMetrics => "noMetrics",
        ScaleUpWindow => "scaleUpWindow",
        ScaleDownWindow => "scaleDownWindow",
        ScaleUpPolicy => "scaleUpPolicy",
        ScaleDownPolicy => "scaleDownPolicy",
        MaxReplicas => "maxReplicas",
        MinReplicas => "minReplicas",
    }
}

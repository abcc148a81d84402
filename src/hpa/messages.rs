//! Upstream's sentences: what a metric is called, why it failed, why a rescale happened, what the conditions say.
//!
//! Source: `computeReplicasForMetrics`, `computeStatusFor*Metric`, `reconcileAutoscaler`, `normalizeDesiredReplicas*`
//! (`horizontal.go`), `Get*Replicas` (`replica_calculator.go`), `metrics/client.go`, `LabelSelector.String` (apimachinery
//! `pkg/apis/meta/v1/generated.pb.go`). Decides nothing; people lay these texts beside `kubectl describe hpa`.

use crate::hpa::{
    AbleToScale, Condition, HpaSpec, HpaState, MetricSpec, MetricTarget, RescaleReason, ScalingActive, ScalingLimited,
};
use crate::manifest::Requirement;

/// A label selector as upstream's messages print it:
/// `&LabelSelector{MatchLabels:map[string]string{app: x,},MatchExpressions:[]LabelSelectorRequirement{},}`.
pub fn selector_text(labels: &[(&str, &str)], expressions: &[Requirement]) -> String {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    let labels: String = labels.iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let expression = |own: &Requirement| {
        let values = own.values.join(" ");
        format!("LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},", own.key, own.operator)
    };
    let expressions: String = expressions.iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

impl MetricSpec {
    /// What upstream calls it in conditions and events, e.g. `external metric s0-prometheus(&LabelSelector{...})` or
    /// `cpu resource utilization (percentage of request)`.
    pub fn described(&self) -> String {
        match self.target {
            MetricTarget::ExternalAverageValue(_) | MetricTarget::ExternalValue(_) => {
                ["external metric ", &self.name, "(", self.shown_selector(), ")"].concat()
            }
            MetricTarget::PodsAverageValue(_) => format!("pods metric {}", self.name),
            // A container's average value is called like the pod's.
            MetricTarget::ResourceAverageValue(resource, _) => format!("{} resource", resource.word()),
            MetricTarget::ResourceUtilization(resource, _) => {
                let kind = if self.container.is_some() { "container resource" } else { "resource" };
                format!("{} {kind} utilization (percentage of request)", resource.word())
            }
        }
    }

    /// Go prints a nil selector as `nil`.
    fn shown_selector(&self) -> &str {
        self.selector.as_deref().unwrap_or("nil")
    }

    /// Why a sync got no proposal from it, as upstream chains its errors.
    pub(super) fn failure(&self, namespace: &str, failure: &Failure<'_>) -> String {
        match self.target {
            MetricTarget::ExternalAverageValue(_) | MetricTarget::ExternalValue(_) => match failure {
                Failure::Fetch(_) | Failure::Empty => format!(
                    "unable to get external metric {namespace}/{}/{}: {}",
                    self.name,
                    self.shown_selector(),
                    failure.of_api("external")
                ),
                Failure::Pods(message) => format!("unable to calculate ready pods: {message}"),
            },
            MetricTarget::PodsAverageValue(_) => match failure {
                Failure::Fetch(_) | Failure::Empty => {
                    format!("unable to get metric {}: {}", self.name, failure.of_api("custom"))
                }
                Failure::Pods(message) => message.clone(),
            },
            MetricTarget::ResourceUtilization(resource, _) | MetricTarget::ResourceAverageValue(resource, _) => {
                let resource = resource.word();
                let measure =
                    if let MetricTarget::ResourceUtilization(..) = self.target { "utilization" } else { "usage" };
                let inner = match failure {
                    Failure::Fetch(_) | Failure::Empty => {
                        format!("unable to get metrics for resource {resource}: {}", failure.of_api("resource"))
                    }
                    Failure::Pods(message) => message.clone(),
                };
                format!("failed to get {resource} {measure}: {inner}")
            }
        }
    }

    /// The reason word of a failed sync whose first failed metric this is.
    pub(super) fn failure_condition(&self) -> ScalingActive {
        match self.target {
            MetricTarget::ExternalAverageValue(_) | MetricTarget::ExternalValue(_) => {
                ScalingActive::FailedGetExternalMetric
            }
            MetricTarget::PodsAverageValue(_) => ScalingActive::FailedGetPodsMetric,
            MetricTarget::ResourceUtilization(..) | MetricTarget::ResourceAverageValue(..) => match self.container {
                Some(_) => ScalingActive::FailedGetContainerResourceMetric,
                None => ScalingActive::FailedGetResourceMetric,
            },
        }
    }
}

/// Why a metric gives no proposal.
pub(super) enum Failure<'f> {
    /// The metrics API answered with an error.
    Fetch(&'f str),
    /// It answered with nothing.
    Empty,
    /// The pods' samples cannot be used.
    Pods(String),
}

impl Failure<'_> {
    fn of_api(&self, api: &str) -> String {
        match self {
            Failure::Fetch(message) => format!("unable to fetch metrics from {api} metrics API: {message}"),
            Failure::Empty => format!("no metrics returned from {api} metrics API"),
            Failure::Pods(message) => message.clone(),
        }
    }
}

impl RescaleReason {
    /// The reason in the SuccessfulRescale event of an HPA with this spec; empty for [`RescaleReason::Empty`].
    pub fn sentence(self, spec: &HpaSpec) -> String {
        match self {
            RescaleReason::MetricAboveTarget(index) => {
                let metric = spec.metrics.get(index).map(MetricSpec::described).unwrap_or_default();
                format!("{metric} above target")
            }
            RescaleReason::AllMetricsBelowTarget => "All metrics below target".to_owned(),
            RescaleReason::AboveMaxReplicas => "Current number of replicas above Spec.MaxReplicas".to_owned(),
            RescaleReason::BelowMinReplicas => "Current number of replicas below Spec.MinReplicas".to_owned(),
            RescaleReason::Empty => String::new(),
        }
    }
}

impl AbleToScale {
    fn condition(self, new_replicas: i32) -> Condition {
        let message = match self {
            AbleToScale::SucceededGetScale => {
                "the HPA controller was able to get the target's current scale".to_owned()
            }
            AbleToScale::ReadyForNewScale => "recommended size matches current size".to_owned(),
            AbleToScale::ScaleUpStabilized => {
                "recent recommendations were lower than current one, applying the lowest recent recommendation"
                    .to_owned()
            }
            AbleToScale::ScaleDownStabilized => {
                "recent recommendations were higher than current one, applying the highest recent recommendation"
                    .to_owned()
            }
            AbleToScale::SucceededRescale => {
                format!("the HPA controller was able to update the target scale to {new_replicas}")
            }
        };
        Condition { kind: "AbleToScale", status: true, reason: self.word(), message }
    }
}

impl ScalingActive {
    fn condition(self, message: &str) -> Condition {
        let status = self == ScalingActive::ValidMetricFound;
        Condition { kind: "ScalingActive", status, reason: self.word(), message: message.to_owned() }
    }
}

impl ScalingLimited {
    fn condition(self) -> Condition {
        let message = match self {
            ScalingLimited::DesiredWithinRange => "the desired count is within the acceptable range",
            ScalingLimited::ScaleUpLimit => {
                "the desired replica count is increasing faster than the maximum scale rate"
            }
            ScalingLimited::ScaleDownLimit => {
                "the desired replica count is decreasing faster than the maximum scale rate"
            }
            ScalingLimited::TooManyReplicas => "the desired replica count is more than the maximum replica count",
            ScalingLimited::TooFewReplicas => "the desired replica count is less than the minimum replica count",
        };
        let status = self != ScalingLimited::DesiredWithinRange;
        Condition { kind: "ScalingLimited", status, reason: self.word(), message: message.to_owned() }
    }
}

fn scaled_to_zero(by_the_hpa: bool) -> Condition {
    let (reason, message) = if by_the_hpa {
        ("ScaledToZero", "the HPA controller scaled the workload to zero")
    } else {
        ("NotScaledToZero", "the HPA controller did not scale the workload to zero")
    };
    Condition { kind: "ScaledToZero", status: by_the_hpa, reason, message: message.to_owned() }
}

impl HpaState {
    /// Sets ScalingActive, as `setCondition` does: reason and sentence together.
    pub(super) fn set_scaling_active(&mut self, condition: ScalingActive, message: String) {
        self.scaling_active = Some(condition);
        self.scaling_active_message = message;
    }

    /// The conditions after a sync that left `spec.replicas` at `new_replicas`.
    pub(super) fn conditions(&self, new_replicas: i32) -> Vec<Condition> {
        let able = self.able_to_scale.map(|condition| condition.condition(new_replicas));
        let active = self.scaling_active.map(|condition| condition.condition(&self.scaling_active_message));
        let limited = self.scaling_limited.map(ScalingLimited::condition);
        let zero = self.scaled_to_zero.map(scaled_to_zero);
        [able, active, limited, zero].into_iter().flatten().collect()
    }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;

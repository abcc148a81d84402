//! The HorizontalPodAutoscaler controller between "metric values are available" and "spec.replicas is written", as pure
//! functions that read like the specification.
//!
//! Source: Kubernetes v1.36.2 `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` and API defaulting and
//! validation. No clock, no I/O, no knowledge of KEDA or of the simulator.
//! Reading order: `spec`, `observation`, `reconcile`, `proposal`, `tolerance`, `pod_groups`, `stabilization`, `policies`,
//! `decision`. Facts copied from upstream carry ids such as HPA-TOL-1.

mod decision;
mod go_numbers;
mod observation;
mod pod_groups;
mod policies;
mod proposal;
mod reconcile;
mod spec;
mod stabilization;
mod state;
mod tolerance;

pub use decision::{
    AbleToScale, BoundBy, Condition, Decision, Direction, LimitReason, MetricDecision, RescaleReason, ScalingActive,
    ScalingLimited, Tolerated, WindowReason,
};
pub use observation::{MetricObservation, Observation, PodObservation};
pub use proposal::{Proposal, ShownMetric, propose};
pub use reconcile::reconcile;
pub use spec::{
    ControllerFlags, HpaSpec, KubernetesVersion, MetricSpec, MetricTarget, Policy, PolicyKind, Resource, ScalingRules,
    SelectPolicy, without_empty_policies,
};
pub use state::{HpaState, Recommendation, ScaleEvent};

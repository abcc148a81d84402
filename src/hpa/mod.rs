//! The HorizontalPodAutoscaler controller between "metric values are available" and "spec.replicas is written", as pure
//! functions that read like the specification.
//!
//! Source: Kubernetes v1.36.2 `pkg/controller/podautoscaler/{horizontal,replica_calculator}.go` and API defaulting and
//! validation. No clock, no I/O, no knowledge of KEDA or of the simulator.
//! Reading order: `spec`, `behavior`, `from_manifest`, `observation`, `reconcile`, `proposal`, `tolerance`, `pod_groups`,
//! `stabilization`, `policies`, `decision`, `messages`. Facts copied from upstream carry ids such as HPA-TOL-1.

mod api_errors;
mod behavior;
mod decision;
mod from_manifest;
mod go_numbers;
mod messages;
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
pub use messages::selector_text;
pub use observation::{MetricObservation, Observation, PodObservation};
pub use proposal::{Proposal, ShownMetric, propose};
pub use reconcile::{looks_at_metrics, reconcile};
pub use spec::{
    ControllerFlags, HpaSpec, KubernetesVersion, MetricSpec, MetricTarget, Policy, PolicyKind, Resource, ScalingRules,
    SelectPolicy, without_empty_policies,
};
pub use state::{HpaState, Recommendation, ScaleEvent};
pub use tolerance::tolerance_band;

//! From `spec.replicas` to a serving pod and back, and how requests reach pods.
//!
//! Source: Kubernetes v1.36.2 (ReplicaSet controller, kubelet probes, kube-proxy); see `pod` for the states. The room
//! plans transitions; only `sim` schedules them. Reading order: `settings`, `startup`, `pod`, `victims`, `deployment`, `router`,
//! `gateway`.

mod deployment;
mod fewest;
mod gateway;
mod metrics_server;
mod pod;
mod router;
mod settings;
mod startup;
mod victims;

pub use deployment::{Deployment, DeploymentChange};
pub use gateway::{Gateway, GatewayEnd, GatewayKind, GatewaySettings};
pub use metrics_server::{METRIC_RESOLUTION, PodUsage, UsageSample};
pub use pod::{Pod, PodId, PodState, PodTimes};
pub use router::{Router, RouterPolicy};
pub use settings::{
    ClusterSettings, DurationDistribution, Preset, StartupSettings, TerminationMode, TerminationSettings,
};
pub use startup::StartupPlan;
pub use victims::pods_to_delete;

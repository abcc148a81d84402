//! A `cpu` or `memory` trigger (`pkg/scalers/cpu_memory_scaler.go`): KEDA only puts it into the HPA, which reads
//! metrics-server itself. KEDA never asks for its value.

use crate::hpa::{MetricTarget, Resource};

/// The part of a trigger that only cpu and memory have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceTrigger {
    /// Which resource.
    pub resource: Resource,
    /// Utilization or average value, as the HPA gets it.
    pub target: MetricTarget,
    /// `containerName`.
    pub container: Option<String>,
}

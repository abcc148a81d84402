//! What one sync sees of the world.

use crate::units::SimTime;

/// Input of one reconcile.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Time of the reconcile; windows and periods compare against it.
    pub now: SimTime,
    /// `spec.replicas` of the target.
    pub spec_replicas: i32,
    /// `scale.status.replicas`.
    pub status_replicas: i32,
    /// Pods Running with condition Ready.
    pub ready_pods: i32,
    /// Whether the selector matches any pod.
    pub pods_exist: bool,
    /// One per metric of the spec, in order.
    pub metrics: Vec<MetricObservation>,
    /// Single pods, for Pods and Resource metrics; empty otherwise.
    pub pods: Vec<PodObservation>,
}

/// What fetching one metric gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricObservation {
    /// External: the series' values in milli units (rounded up by the quantity rules already).
    Series(Vec<i64>),
    /// Pods and Resource metrics: samples are in [`PodObservation::samples_milli`] at this metric's index.
    PerPod,
    /// Fetching failed, with the message.
    Failed(String),
}

/// One pod as the HPA sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodObservation {
    /// Phase Pending.
    pub pending: bool,
    /// Phase Failed, or being deleted.
    pub ignored: bool,
    /// Condition Ready, `None` when there is no such condition.
    pub ready: Option<bool>,
    /// `status.startTime`.
    pub start: Option<SimTime>,
    /// Last transition of the Ready condition.
    pub ready_transition: Option<SimTime>,
    /// Per metric of the spec: the request of its resource in milli (of its container, when it names one); `None` without a
    /// request. Unused by other metrics than Resource and ContainerResource.
    pub requests_milli: Vec<Option<i64>>,
    /// Per metric of the spec: the sample in milli, `None` when missing.
    pub samples_milli: Vec<Option<i64>>,
    /// Time of the samples.
    pub sample_time: SimTime,
    /// Window of the samples.
    pub sample_window: crate::units::SimDuration,
}

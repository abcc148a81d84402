//! The timeline: one row per sample, as `timeline.csv` carries it.

use crate::units::SimTime;
use std::sync::Arc;

/// Samples at a fixed step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Rows in time order.
    pub rows: Vec<TimelineRow>,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineRow {
    /// When.
    pub t: SimTime,
    /// Requests sent per second since the last row.
    pub offered_rps: f64,
    /// `spec.replicas`.
    pub spec_replicas: i32,
    /// `status.replicas`.
    pub status_replicas: i32,
    /// Ready pods.
    pub ready_replicas: i32,
    /// Per trigger: its last evaluated value and threshold (as the user wrote it); `None` before the first evaluation or when
    /// it failed. Rows that say the same share it.
    pub triggers: Arc<[(Option<f64>, f64)]>,
    /// Running requests over all engines.
    pub running: u64,
    /// Waiting requests over all engines.
    pub waiting: u64,
    /// Mean KV usage over serving pods, 0..1; 0 without any.
    pub kv_usage: f64,
    /// p95 of the TTFT of first tokens since the last row, seconds; `None` without any.
    pub ttft_p95: Option<f64>,
}

//! Decisions: one per HPA sync and one per KEDA poll, as `decisions.jsonl` carries them.

use crate::hpa::{Condition, LimitReason, WindowReason};
use crate::record::{CommonText, Recommendations};
use crate::units::SimTime;
use std::sync::Arc;

/// A line of `decisions.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub enum DecisionRecord {
    /// An HPA sync.
    HpaSync(Box<HpaSync>),
    /// A KEDA poll.
    KedaPoll(Box<KedaPoll>),
}

impl DecisionRecord {
    /// Takes the memory of what `earlier` says in the same words, so that a long run's decisions stay small.
    pub fn share(&mut self, earlier: &DecisionRecord) {
        match (self, earlier) {
            (DecisionRecord::HpaSync(sync), DecisionRecord::HpaSync(earlier)) => {
                share_metrics(&mut sync.metrics, &earlier.metrics);
                sync.recommendations.share(&earlier.recommendations);
                if sync.status_conditions == earlier.status_conditions {
                    sync.status_conditions = Arc::clone(&earlier.status_conditions);
                }
            }
            (DecisionRecord::KedaPoll(poll), DecisionRecord::KedaPoll(earlier)) => {
                share_metrics(&mut poll.metrics, &earlier.metrics);
            }
            _ => {}
        }
    }
    /// What it knew of each metric.
    pub fn metrics(&self) -> &[MetricRecord] {
        match self {
            DecisionRecord::HpaSync(sync) => &sync.metrics,
            DecisionRecord::KedaPoll(poll) => &poll.metrics,
        }
    }
    /// The HPA's sync, if it is one.
    pub fn sync(&self) -> Option<&HpaSync> {
        match self {
            DecisionRecord::HpaSync(sync) => Some(sync),
            DecisionRecord::KedaPoll(_) => None,
        }
    }
    /// When.
    pub fn t(&self) -> SimTime {
        match self {
            DecisionRecord::HpaSync(sync) => sync.t,
            DecisionRecord::KedaPoll(poll) => poll.t,
        }
    }
}

fn share_metrics(metrics: &mut Vec<MetricRecord>, earlier: &[MetricRecord]) {
    metrics.shrink_to_fit();
    for (metric, earlier) in metrics.iter_mut().zip(earlier) {
        metric.trigger.share(&earlier.trigger);
        metric.query.share(&earlier.query);
        metric.target_type.share(&earlier.target_type);
        metric.kind.share(&earlier.kind);
    }
}

/// What a sync (or poll) knew of one trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRecord {
    /// Metric name, `s0-prometheus`.
    pub trigger: CommonText,
    /// The query, on one line.
    pub query: CommonText,
    /// Instant of evaluation (whole second).
    pub query_time: SimTime,
    /// The evaluated value as KEDA reads it; `None` when it failed.
    pub value: Option<f64>,
    /// What the HPA was told, milli units.
    pub milli: Option<i64>,
    /// Target in milli units.
    pub target_milli: i64,
    /// `AverageValue` or `Value`.
    pub target_type: CommonText,
    /// This metric's own proposal.
    pub proposal: Option<i32>,
    /// Ratio the tolerance was tested on.
    pub ratio: Option<f64>,
    /// Whether the ratio was within tolerance; `None` when not tested.
    pub within_tolerance: Option<bool>,
    /// `prometheus`, `cron`, ...; `composite` for the result of a formula.
    pub kind: CommonText,
    /// Whether it was active; `None` when it failed.
    pub active: Option<bool>,
    /// Whether `milli` is the fallback's substitute for an answer that failed.
    pub fallback: bool,
    /// Whether it was not asked now: what the last poll found (`useCachedMetrics`), or in a poll from KEDA 2.21 on what the
    /// last sync saw. `query_time` is when it was asked.
    pub cached: bool,
    /// Whether the value 0 stands for an empty result, NaN or an infinity (`ignoreNullValues`).
    pub null_as_zero: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// An HPA sync.
#[derive(Clone, Debug, PartialEq)]
pub struct HpaSync {
    /// When.
    pub t: SimTime,
    /// `spec.replicas` before.
    pub spec_replicas: i32,
    /// `status.replicas` read.
    pub status_replicas: i32,
    /// Ready pods read.
    pub ready_replicas: i32,
    /// The metrics, in order; empty when they were not fetched.
    pub metrics: Vec<MetricRecord>,
    /// Largest proposal.
    pub metric_desired: Option<i32>,
    /// After the windows.
    pub stabilized: Option<i32>,
    /// `spec.replicas` after.
    pub new_replicas: i32,
    /// Whether it was written.
    pub rescaled: bool,
    /// Reason word of AbleToScale.
    pub able_to_scale: &'static str,
    /// Reason word of ScalingActive.
    pub scaling_active: Option<&'static str>,
    /// Reason word of ScalingLimited.
    pub scaling_limited: Option<&'static str>,
    /// Reason of the rescale event, upstream's sentence; "" when the raw proposal equals the count; `None` without rescale.
    pub reason: Option<String>,
    /// The recommendations remembered after the sync.
    pub recommendations: Recommendations,
    /// What bound the result (`BoundBy::word`).
    pub bound_by: &'static str,
    /// Which recommendation a window put in the proposal's place.
    pub window: Option<WindowReason>,
    /// What then kept the count from following.
    pub limit: Option<LimitReason>,
    /// The conditions after the sync, with upstream's sentences.
    pub status_conditions: Arc<[Condition]>,
}

/// A KEDA poll.
#[derive(Clone, Debug, PartialEq)]
pub struct KedaPoll {
    /// When.
    pub t: SimTime,
    /// `spec.replicas` before.
    pub spec_replicas: i32,
    /// The triggers, in order (proposal fields unused).
    pub metrics: Vec<MetricRecord>,
    /// Whether any trigger was active.
    pub active: bool,
    /// Whether any trigger failed.
    pub error: bool,
    /// Row of the decision table (keda.md 4.2).
    pub rule: &'static str,
    /// Row I3: when the cooldown ends; `None` in other rows and while `paused-scale-in` blocks the step.
    pub cooldown_end: Option<SimTime>,
    /// `none`, `activate`, `deactivate`, `raiseToMinimum`.
    pub action: &'static str,
    /// `spec.replicas` after.
    pub new_replicas: i32,
}

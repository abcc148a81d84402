//! A flap with what the record holds about it.

use crate::analysis::load::{Load, earlier};
use crate::analysis::{Reversal, ReversalKind};
use crate::record::{DecisionRecord, HpaSync, LoopInfo, MetricRecord, QueryInfo, RunRecord, TimelineRow};
use crate::units::{SimDuration, SimTime};

/// What all flaps of a run share.
pub(super) struct RunView<'a> {
    pub record: &'a RunRecord,
    pub load: Load<'a>,
    /// All syncs, in order.
    pub syncs: Vec<&'a HpaSync>,
    /// `W_flap`.
    pub window: SimDuration,
    /// Tokens per second of a saturated replica, when any was.
    pub capacity: Option<f64>,
    /// Whether the run's flaps are a regular cycle, which chance does not make.
    pub is_cycle: bool,
}

/// One flap.
pub(super) struct FlapView<'a> {
    pub run: &'a RunView<'a>,
    pub flap: &'a Reversal,
    /// The sync (or poll) of the old move's last event.
    pub old: Option<&'a DecisionRecord>,
    /// The sync (or poll) of the new move's first event.
    pub new: Option<&'a DecisionRecord>,
    pub is_justified: bool,
}

impl<'a> RunView<'a> {
    pub fn of(record: &'a RunRecord, window: SimDuration) -> Self {
        let sync = |decision: &'a DecisionRecord| match decision {
            DecisionRecord::HpaSync(sync) => Some(sync.as_ref()),
            DecisionRecord::KedaPoll(_) => None,
        };
        let mut view = RunView {
            record,
            load: Load::of(record),
            syncs: record.decisions.iter().filter_map(sync).collect(),
            window,
            capacity: None,
            is_cycle: false,
        };
        view.capacity = view.saturated_capacity();
        view
    }

    pub fn settings(&self) -> &'a LoopInfo {
        &self.record.loop_info
    }

    /// The syncs in `from..=to`.
    pub fn syncs_in(&self, from: SimTime, to: SimTime) -> &[&'a HpaSync] {
        let first = self.syncs.partition_point(|sync| sync.t < from);
        let last = self.syncs.partition_point(|sync| sync.t <= to);
        &self.syncs[first..last.max(first)]
    }

    /// The last row of the timeline at `t` or before.
    pub fn row(&self, t: SimTime) -> Option<&'a TimelineRow> {
        let rows = &self.record.timeline.rows;
        rows.partition_point(|row| row.t <= t).checked_sub(1).map(|index| &rows[index])
    }

    /// What the query of the metric `name` is.
    pub fn query(&self, name: &str) -> Option<&'a QueryInfo> {
        let place = self.record.info.triggers.iter().position(|own| own.name == name)?;
        self.settings().queries.get(place)
    }

    /// Whether every ready pod has a queue at `t`. The timeline has the sum: one waiting request per ready pod.
    pub fn is_saturated(&self, t: SimTime) -> bool {
        self.row(t)
            .is_some_and(|row| row.ready_replicas > 0 && row.waiting >= u64::from(row.ready_replicas.unsigned_abs()))
    }

    /// Median of metric per ready pod over the syncs that find all of them saturated.
    fn saturated_capacity(&self) -> Option<f64> {
        let per_pod = |sync: &&HpaSync| {
            let metric = winning(sync)?;
            let is_full = sync.ready_replicas > 0 && self.is_saturated(sync.t);
            is_full.then(|| total(sync, metric).map(|total| total / f64::from(sync.ready_replicas)))?
        };
        let mut found: Vec<f64> = self.syncs.iter().filter_map(per_pod).collect();
        found.sort_unstable_by(f64::total_cmp);
        (!found.is_empty()).then(|| found[found.len() / 2])
    }
}

/// The metric that a saturated replica showed, in the target's unit: the median over the syncs that found requests waiting on all
/// ready pods; `None` when none did.
pub fn saturated_capacity(record: &RunRecord) -> Option<f64> {
    RunView::of(record, SimDuration::ZERO).capacity
}

impl<'a> FlapView<'a> {
    /// The decision upwards.
    pub fn up(&self) -> Option<&'a DecisionRecord> {
        if self.flap.kind == ReversalKind::Peak { self.old } else { self.new }
    }

    /// The decision downwards.
    pub fn down(&self) -> Option<&'a DecisionRecord> {
        if self.flap.kind == ReversalKind::Peak { self.new } else { self.old }
    }

    /// The sync upwards; `None` when KEDA went up.
    pub fn up_sync(&self) -> Option<&'a HpaSync> {
        self.up().and_then(DecisionRecord::sync)
    }

    /// The sync downwards; `None` when KEDA went down.
    pub fn down_sync(&self) -> Option<&'a HpaSync> {
        self.down().and_then(DecisionRecord::sync)
    }

    /// The lower of the levels between which it turns: the one that the load sat above and below.
    pub fn low(&self) -> i32 {
        match self.flap.kind {
            ReversalKind::Peak => self.flap.level_before.max(self.flap.level_after),
            ReversalKind::Dip => self.flap.level_turn,
        }
    }

    /// Syncs from `before` the old move's last event to the new move's first.
    pub fn syncs(&self, before: SimDuration) -> &[&'a HpaSync] {
        self.run.syncs_in(earlier(self.flap.old.t, before), self.flap.new.t)
    }

    /// Half the width of the tolerance band, as far as it goes upwards.
    pub fn tolerance(&self) -> f64 {
        self.run.record.info.tolerance_band.1 - 1.0
    }
}

/// The metric with the largest proposal, the first of equals as the controller keeps the first.
pub(in crate::analysis) fn winning(sync: &HpaSync) -> Option<&MetricRecord> {
    sync.metrics.iter().filter(|own| own.proposal.is_some()).rev().max_by_key(|own| own.proposal)
}

/// The total that the metric stands for, in the target's unit: a Value counts once per ready pod.
pub(super) fn total(sync: &HpaSync, metric: &MetricRecord) -> Option<f64> {
    let told = metric.milli? as f64 / 1000.0;
    Some(if metric.target_type == "AverageValue" { told } else { told * f64::from(sync.ready_replicas) })
}

/// Its target.
pub(super) fn target(metric: &MetricRecord) -> f64 {
    metric.target_milli as f64 / 1000.0
}

/// Standard deviation over mean; infinite for a mean of 0.
pub(super) fn variation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
    squares.sqrt() / mean.abs()
}

//! SLO objectives and attainment from the latency histograms (verdicts.md 4).
//!
//! A request that failed or timed out misses every objective and ranks as infinitely slow. Separate histograms do not tell
//! whether one request met all objectives, so the attainment is the least of the objectives' shares: an upper bound of the
//! share of requests that met all of them, and that share itself when there is one objective.

use crate::analysis::SloObjective;
use crate::record::{LatencyHistogram, RunRecord};
use crate::scenario::{SloLimit, SloMetric};

/// The requests that an objective speaks of, by outcome.
struct Counted<'a> {
    histogram: &'a LatencyHistogram,
    /// Completed without the quantity (a TPOT needs two tokens): within any limit, in no percentile.
    vacuous: u64,
    missed: u64,
}

impl<'a> Counted<'a> {
    fn of(record: &'a RunRecord, metric: SloMetric) -> Self {
        let latencies = &record.latencies;
        let histogram = match metric {
            SloMetric::Ttft => &latencies.ttft,
            SloMetric::Tpot => &latencies.tpot,
            SloMetric::E2e => &latencies.e2e,
        };
        let vacuous = match metric {
            SloMetric::Tpot => latencies.e2e.count().saturating_sub(latencies.tpot.count()),
            SloMetric::Ttft | SloMetric::E2e => 0,
        };
        Counted { histogram, vacuous, missed: record.requests.failed + record.requests.timed_out }
    }

    fn has_data(&self) -> bool {
        self.histogram.count() + self.missed > 0
    }

    /// Nearest-rank quantile in seconds; `None` when it is infinite or there is no request.
    fn quantile(&self, q: f64) -> Option<f64> {
        let completed = self.histogram.count();
        let rank = ((q * (completed + self.missed) as f64).ceil() as u64).max(1);
        if rank > completed {
            return None;
        }
        self.histogram.quantile_seconds(rank as f64 / completed as f64)
    }
}

/// Evaluates one objective.
pub(super) fn objective(record: &RunRecord, limit: &SloLimit) -> SloObjective {
    let metric = match limit.metric {
        SloMetric::Ttft => "ttft",
        SloMetric::Tpot => "tpot",
        SloMetric::E2e => "e2e",
    };
    let counted = Counted::of(record, limit.metric);
    let total = counted.histogram.count() + counted.vacuous + counted.missed;
    let within = counted.histogram.count_at_most(limit.limit) + counted.vacuous;
    let share_within = if counted.has_data() { within as f64 / total as f64 } else { 0.0 };
    SloObjective {
        name: format!("{metric}.{}", limit.quantile_name),
        limit: limit.limit.as_secs_f64(),
        value: counted.quantile(limit.quantile),
        // Counting is exact to the histogram's bucket and is the same question as quantile <= limit.
        met: counted.has_data() && share_within >= limit.quantile,
        share_within,
    }
}

/// The least share of the objectives that have data; `None` when none has.
pub(super) fn attainment(record: &RunRecord, limits: &[SloLimit], objectives: &[SloObjective]) -> Option<f64> {
    let with_data = limits.iter().zip(objectives).filter(|(limit, _)| Counted::of(record, limit.metric).has_data());
    with_data.map(|(_, objective)| objective.share_within).reduce(f64::min)
}

/// Whether any request counts towards `objective`.
pub(super) fn has_data(record: &RunRecord, objective: &SloObjective) -> bool {
    let metric = match objective.name.split('.').next() {
        Some("ttft") => SloMetric::Ttft,
        Some("tpot") => SloMetric::Tpot,
        _ => SloMetric::E2e,
    };
    Counted::of(record, metric).has_data()
}

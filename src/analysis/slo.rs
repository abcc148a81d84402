//! SLO objectives and attainment from the latency histograms and the requests still open at the end (verdicts.md 4.3).
//!
//! A request that failed or timed out misses TPOT and E2E objectives, and TTFT too unless its first token had come. One that
//! is still open has missed a limit that its age exceeds; within the limit it is censored: nobody knows. Censored requests
//! make shares an interval, [all miss, all hit]; what is printed and compared is the lower end. Stopping the clock and
//! counting completions alone would flatter overloaded policies, whose slow requests are the ones missing.
//!
//! Separate histograms do not tell whether one request met all objectives, so the attainment is the least of the objectives'
//! shares: an upper bound of the share of requests that met all of them, and that share itself when there is one objective.

use crate::analysis::SloObjective;
use crate::record::{LatencyHistogram, RunRecord};
use crate::scenario::{SloLimit, SloMetric};
use crate::units::SimDuration;

/// The requests that an objective speaks of, by outcome.
struct Counted<'a> {
    histogram: &'a LatencyHistogram,
    /// Completed without the quantity (a TPOT needs two tokens): within any limit, in no percentile.
    vacuous: u64,
    /// Without the quantity for good, or beyond the limit already.
    missed: u64,
    /// Open and within the limit so far.
    censored: u64,
}

impl<'a> Counted<'a> {
    fn of(record: &'a RunRecord, metric: SloMetric, limit: SimDuration) -> Self {
        let latencies = &record.latencies;
        let lost = record.requests.failed + record.requests.timed_out;
        let open = |late: bool, first_token_counts: bool| {
            let counted = record.open_requests.iter().filter(|open| !(first_token_counts && open.first_token_came));
            counted.filter(|open| (open.age > limit) == late).count() as u64
        };
        match metric {
            SloMetric::Ttft => Counted {
                histogram: &latencies.ttft,
                vacuous: 0,
                missed: lost.saturating_sub(record.lost_after_first_token) + open(true, true),
                censored: open(false, true),
            },
            SloMetric::Tpot => Counted {
                histogram: &latencies.tpot,
                vacuous: latencies.e2e.count().saturating_sub(latencies.tpot.count()),
                missed: lost,
                censored: record.open_requests.len() as u64,
            },
            SloMetric::E2e => Counted {
                histogram: &latencies.e2e,
                vacuous: 0,
                missed: lost + open(true, false),
                censored: open(false, false),
            },
        }
    }

    fn total(&self) -> u64 {
        self.histogram.count() + self.vacuous + self.missed + self.censored
    }

    /// Share of requests within `limit`: (lower, upper) end; `None` when no request has, or could yet have, the quantity.
    fn share(&self, limit: SimDuration) -> Option<(f64, f64)> {
        let within = self.histogram.count_at_most(limit) + self.vacuous;
        let share = |count: u64| count as f64 / self.total() as f64;
        (self.total() > self.vacuous).then(|| (share(within), share(within + self.censored)))
    }

    /// Nearest-rank quantile in seconds, what is missed or censored ranked as larger than any value; `None` when it falls
    /// there or there is no request.
    fn quantile(&self, q: f64) -> Option<f64> {
        let measured = self.histogram.count();
        let rank = ((q * (measured + self.missed + self.censored) as f64).ceil() as u64).max(1);
        // Half a rank back, so that the histogram's own rounding up lands on the rank.
        (rank <= measured).then(|| self.histogram.quantile_seconds((rank as f64 - 0.5) / measured as f64)).flatten()
    }
}

/// Evaluates one objective.
pub(super) fn objective(record: &RunRecord, limit: &SloLimit) -> SloObjective {
    let metric = match limit.metric {
        SloMetric::Ttft => "ttft",
        SloMetric::Tpot => "tpot",
        SloMetric::E2e => "e2e",
    };
    let counted = Counted::of(record, limit.metric, limit.limit);
    let share = counted.share(limit.limit);
    SloObjective {
        name: format!("{metric}.{}", limit.quantile_name),
        limit: limit.limit.as_secs_f64(),
        value: counted.quantile(limit.quantile),
        // Counting is exact to the histogram's bucket and is the same question as quantile <= limit.
        met: share.is_some_and(|(lower, _)| lower >= limit.quantile),
        share_within: share.map(|(lower, _)| lower),
        share_interval: share,
    }
}

/// The least share of the objectives that have data, as (lower, upper) end; `None` when none has.
pub(super) fn attainment(objectives: &[SloObjective]) -> Option<(f64, f64)> {
    let shares = objectives.iter().filter_map(|objective| objective.share_interval);
    shares.reduce(|least, share| (least.0.min(share.0), least.1.min(share.1)))
}

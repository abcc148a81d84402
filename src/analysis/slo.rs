//! SLO objectives and attainment from the latency histograms and the requests still open at the end (verdicts.md 4.3).
//!
//! A request that failed or timed out misses TPOT and E2E objectives, and TTFT too unless its first token had come. One that
//! is still open has missed a limit that its age exceeds; within the limit it is censored: nobody knows. Censored requests
//! make shares an interval, [all miss, all hit]; what is printed and compared is the lower end. Stopping the clock and
//! counting completions alone would flatter overloaded policies, whose slow requests are the ones missing.
//!
//! Shares and the attainment (requests that met all objectives) are exact: each request was judged as it ended. Only when a
//! record is judged by other objectives than it was run with, they come from the histograms, which do not tell whether one
//! request met all objectives: the attainment then is the least of the shares, an upper bound.

use crate::analysis::{LatencySummary, SloObjective};
use crate::record::{LatencyHistogram, RunRecord, SloQuantity};
use crate::scenario::{SloLimit, SloMetric};
use crate::units::SimDuration;

/// The requests that an objective speaks of, by outcome.
#[derive(Clone, Copy)]
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

    /// As [`Self::quantile`], infinite where it falls among what is missed; `None` without any request. What has the quantity
    /// and nothing else is read as [`LatencyHistogram`] reads it.
    fn quantile_or_infinite(&self, q: f64) -> Option<f64> {
        match (self.missed, self.histogram.count()) {
            (0, _) => self.histogram.quantile_seconds(q),
            // Requests of one token have no time per token: when all are, nothing is infinite.
            (_, 0) => (self.vacuous == 0).then_some(f64::INFINITY),
            _ => Some(self.quantile(q).unwrap_or(f64::INFINITY)),
        }
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

/// Whether the run has counted exactly these objectives.
pub(super) fn is_counted(record: &RunRecord, limits: &[SloLimit]) -> bool {
    let quantity = |metric: SloMetric| match metric {
        SloMetric::Ttft => SloQuantity::Ttft,
        SloMetric::Tpot => SloQuantity::Tpot,
        SloMetric::E2e => SloQuantity::E2e,
    };
    let same = limits.iter().map(|limit| (quantity(limit.metric), limit.limit));
    !limits.is_empty() && same.eq(record.slo.objectives().iter().copied())
}

/// Evaluates all objectives.
pub(super) fn objectives(record: &RunRecord, limits: &[SloLimit]) -> Vec<SloObjective> {
    let counted = is_counted(record, limits) && record.slo.counted() > 0;
    let evaluate = |(index, limit): (usize, &SloLimit)| {
        let from_histogram = objective(record, limit);
        // Without the quantity there is nothing to judge, though nobody missed it either.
        let exact = from_histogram.share_interval.filter(|_| counted).map(|_| {
            let (lower, upper) = record.slo.good_of(index);
            let share = |good: u64| good as f64 / record.slo.counted() as f64;
            (share(lower), share(upper))
        });
        match exact {
            None => from_histogram,
            Some(share) => SloObjective {
                met: share.0 >= limit.quantile,
                share_within: Some(share.0),
                share_interval: Some(share),
                ..from_histogram
            },
        }
    };
    limits.iter().enumerate().map(evaluate).collect()
}

/// Requests that met all objectives, as (lower, upper) end; `None` when the run did not count them.
pub(super) fn good_requests(record: &RunRecord, limits: &[SloLimit]) -> Option<(u64, u64)> {
    (is_counted(record, limits) && record.slo.counted() > 0).then(|| record.slo.good())
}

/// Evaluates one objective from the histograms.
fn objective(record: &RunRecord, limit: &SloLimit) -> SloObjective {
    let counted = Counted::of(record, limit.metric, limit.limit);
    let share = counted.share(limit.limit);
    SloObjective {
        name: limit.name(),
        limit: limit.limit.as_secs_f64(),
        required: limit.quantile,
        value: counted.quantile(limit.quantile),
        // Counting is exact to the histogram's bucket and is the same question as quantile <= limit.
        met: share.is_some_and(|(lower, _)| lower >= limit.quantile),
        share_within: share.map(|(lower, _)| lower),
        share_interval: share,
    }
}

/// Share of requests that met all objectives, as (lower, upper) end; `None` when no objective has data. See the module for
/// what it is when the run did not count them.
pub(super) fn attainment(record: &RunRecord, limits: &[SloLimit], objectives: &[SloObjective]) -> Option<(f64, f64)> {
    let has_data = objectives.iter().any(|objective| objective.share_interval.is_some());
    if let Some((lower, upper)) = good_requests(record, limits).filter(|_| has_data) {
        let share = |good: u64| good as f64 / record.slo.counted() as f64;
        return Some((share(lower), share(upper)));
    }
    let shares = objectives.iter().filter_map(|objective| objective.share_interval);
    shares.reduce(|least, share| (least.0.min(share.0), least.1.min(share.1)))
}

/// A latency's summary: percentiles rank what failed or timed out as larger than any value, and so what is still open and
/// already older than the percentile without it; beside each stands that of the requests that have the quantity (verdicts.md
/// 4.3). A request that lost its first token's successors keeps its TTFT.
pub(super) fn latency_with_losses(record: &RunRecord, metric: SloMetric) -> LatencySummary {
    let none = Counted::of(record, metric, SimDuration::ZERO);
    let lost = Counted { missed: lost_requests(record, metric), censored: 0, ..none };
    let percentile = |q: f64| {
        let without = lost.quantile_or_infinite(q)?;
        let older = |open: &&crate::record::OpenRequest| {
            let has_value = metric == SloMetric::Ttft && open.first_token_came;
            // The age of a request says nothing about its time per token.
            !has_value && metric != SloMetric::Tpot && open.age.as_secs_f64() > without
        };
        let late = record.open_requests.iter().filter(older).count() as u64;
        Counted { missed: lost.missed + late, ..lost }.quantile_or_infinite(q)
    };
    let histogram = lost.histogram;
    let completed = [0.50, 0.90, 0.95, 0.99].map(|q| histogram.quantile_seconds(q));
    LatencySummary {
        mean: histogram.mean_seconds(),
        p50: percentile(0.50),
        p90: percentile(0.90),
        p95: percentile(0.95),
        p99: percentile(0.99),
        max: histogram.max_seconds(),
        completed: Some(completed),
    }
}

/// Requests that will never have the quantity.
fn lost_requests(record: &RunRecord, metric: SloMetric) -> u64 {
    let lost = record.requests.failed + record.requests.timed_out;
    match metric {
        SloMetric::Ttft => lost.saturating_sub(record.lost_after_first_token),
        SloMetric::Tpot | SloMetric::E2e => lost,
    }
}

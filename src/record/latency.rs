//! Latencies of finished requests in constant memory.

use crate::units::SimDuration;
use hdrhistogram::Histogram;

/// A histogram of durations with three significant digits, from 1 microsecond to 28 hours, with exact mean,
/// smallest and largest.
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    histogram: Histogram<u64>,
    sum_ps: u128,
    min_us: u64,
    max_us: u64,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, 100_000_000_000, 3).expect("constant bounds are valid");
        LatencyHistogram { histogram, sum_ps: 0, min_us: u64::MAX, max_us: 0 }
    }
}

impl LatencyHistogram {
    /// Adds one latency.
    pub fn record(&mut self, latency: SimDuration) {
        self.record_many(latency, 1);
    }
    /// Adds `count` equal latencies.
    pub fn record_many(&mut self, latency: SimDuration, count: u64) {
        let micros = latency.as_ps() / 1_000_000;
        self.histogram.saturating_record_n(micros, count);
        self.min_us = self.min_us.min(micros);
        self.max_us = self.max_us.max(micros);
        self.sum_ps += u128::from(latency.as_ps()) * u128::from(count);
    }
    /// Adds `count` equal latencies of each of `first`, `first + growth`, ..., `steps` in all: the same as that many calls, in
    /// one step per bucket.
    pub fn record_series(&mut self, first: SimDuration, growth: SimDuration, steps: u64, count: u64) {
        let mut index = 0;
        while index < steps {
            let from_ps = first.as_ps() + growth.as_ps() * index;
            let micros = from_ps / 1_000_000;
            // The last picosecond that falls into the same bucket.
            let edge_ps = (self.histogram.highest_equivalent(micros) + 1).saturating_mul(1_000_000) - 1;
            let more = (edge_ps - from_ps).checked_div(growth.as_ps()).unwrap_or(u64::MAX);
            let in_bucket = more.saturating_add(1).min(steps - index);
            self.histogram.saturating_record_n(micros, in_bucket * count);
            index += in_bucket;
        }
        if steps > 0 && count > 0 {
            let last = first.as_ps() + growth.as_ps() * (steps - 1);
            self.min_us = self.min_us.min(first.as_ps() / 1_000_000);
            self.max_us = self.max_us.max(last / 1_000_000);
            self.sum_ps += (u128::from(first.as_ps()) + u128::from(last)) * u128::from(steps) / 2 * u128::from(count);
        }
    }
    /// How many.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }
    /// Mean in seconds, `None` without samples.
    pub fn mean_seconds(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| (self.sum_ps / u128::from(count) / 1_000_000) as f64 / 1e6)
    }
    /// Quantile `q` in seconds, `None` without samples. A bucket stands for its upper edge, but never for more than the
    /// largest sample or less than the smallest.
    pub fn quantile_seconds(&self, q: f64) -> Option<f64> {
        let micros = || self.histogram.value_at_quantile(q).clamp(self.min_us, self.max_us);
        (self.count() > 0).then(|| micros() as f64 / 1e6)
    }
    /// Largest in seconds (exact to the microsecond), `None` without samples.
    pub fn max_seconds(&self) -> Option<f64> {
        (self.count() > 0).then_some(self.max_us as f64 / 1e6)
    }
    /// How many are at most `limit` (within the histogram's resolution).
    pub fn count_at_most(&self, limit: SimDuration) -> u64 {
        self.histogram.count_between(0, limit.as_ps() / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_the_same_as_its_members() {
        let cases = [
            (7_000_000_000u64, 40_700, 500, 3),
            (999, 1, 2_000, 1),
            (56_000_000_000, 0, 9, 2),
            (1_999_999_999, 7_654_321, 777, 5),
        ];
        for (first, growth, steps, count) in cases {
            let (mut series, mut single) = (LatencyHistogram::default(), LatencyHistogram::default());
            series.record_series(SimDuration::from_ps(first), SimDuration::from_ps(growth), steps, count);
            for index in 0..steps {
                single.record_many(SimDuration::from_ps(first + growth * index), count);
            }
            assert_eq!(series.histogram, single.histogram, "{first} + {growth} j");
            assert_eq!((series.sum_ps, series.min_us, series.max_us), (single.sum_ps, single.min_us, single.max_us));
        }
    }

    #[test]
    fn quantiles_never_leave_the_samples() {
        let mut histogram = LatencyHistogram::default();
        histogram.record_many(SimDuration::from_micros(62_600), 40);
        assert_eq!((histogram.quantile_seconds(0.5), histogram.max_seconds()), (Some(0.0626), Some(0.0626)));
        histogram.record(SimDuration::from_secs(3));
        assert_eq!((histogram.quantile_seconds(1.0), histogram.mean_seconds()), (Some(3.0), Some(0.134243)));
    }
}

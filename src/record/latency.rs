//! Latencies of finished requests in constant memory.

use crate::units::SimDuration;
use hdrhistogram::Histogram;

/// The smallest and the largest value that a histogram tells apart from its neighbours, in microseconds.
const LOWEST: u64 = 1;
const HIGHEST: u64 = 100_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

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
        let histogram =
            Histogram::new_with_bounds(LOWEST, HIGHEST, SIGNIFICANT_DIGITS).expect("constant bounds are valid");
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

/// Values up to this have a bucket each; above it, each power of two has half as many buckets.
const SINGLE: u64 = 2048;
const PER_POWER: usize = 1024;

/// Latencies as they come, several a request: only counts in the buckets of a [`LatencyHistogram`], which it becomes at the end.
#[derive(Clone, Debug)]
pub struct LatencyRecorder {
    /// By bucket, as far as there were samples.
    counts: Vec<u64>,
    sum_ps: u128,
    min_ps: u64,
    max_ps: u64,
}

impl Default for LatencyRecorder {
    fn default() -> Self {
        LatencyRecorder { counts: Vec::new(), sum_ps: 0, min_ps: u64::MAX, max_ps: 0 }
    }
}

/// By how many bits a bucket around `micros` is wider than 1.
#[inline]
fn width_bits(micros: u64) -> u32 {
    (SINGLE - 1).leading_zeros() - (micros | (SINGLE - 1)).leading_zeros()
}

/// The place of the bucket around `micros`, which is by so many bits wider than 1.
#[inline]
fn place_of(micros: u64, width_bits: u32) -> usize {
    PER_POWER * width_bits as usize + (micros >> width_bits) as usize
}

impl LatencyRecorder {
    /// Adds one latency.
    #[inline]
    pub fn record(&mut self, latency: SimDuration) {
        self.record_many(latency, 1);
    }
    /// Adds `count` equal latencies.
    #[inline]
    pub fn record_many(&mut self, latency: SimDuration, count: u64) {
        let own_ps = latency.as_ps();
        let micros = own_ps / 1_000_000;
        self.count_at(place_of(micros, width_bits(micros)), count);
        self.min_ps = self.min_ps.min(own_ps);
        self.max_ps = self.max_ps.max(own_ps);
        self.sum_ps += u128::from(own_ps) * u128::from(count);
    }
    #[inline]
    fn count_at(&mut self, place: usize, count: u64) {
        match self.counts.get_mut(place) {
            Some(own) => *own += count,
            None => self.count_beyond(place, count),
        }
    }
    #[cold]
    fn count_beyond(&mut self, place: usize, count: u64) {
        self.counts.resize(place + 1, 0);
        self.counts[place] = count;
    }
    /// Adds `count` equal latencies of each of `first`, `first + growth`, ..., `steps` in all: the same as that many calls, in
    /// one step per bucket.
    pub fn record_series(&mut self, first: SimDuration, growth: SimDuration, steps: u64, count: u64) {
        if steps == 0 || count == 0 {
            return;
        }
        let (first, growth) = (first.as_ps(), growth.as_ps());
        let last = first + growth * (steps - 1);
        let (mut left, mut from_ps) = (steps, first);
        while left > 0 {
            let micros = from_ps / 1_000_000;
            let bits = width_bits(micros);
            // Buckets of one width lie side by side: the next begins where this one ends.
            let (mut place, beyond) = (place_of(micros, bits), PER_POWER * (bits as usize + 2));
            let mut edge_ps = (((micros >> bits) + 1) << bits).saturating_mul(1_000_000);
            while left > 0 && from_ps < edge_ps && place < beyond {
                let in_bucket = if last < edge_ps { left } else { (edge_ps - 1 - from_ps) / growth + 1 };
                self.count_at(place, in_bucket * count);
                left -= in_bucket;
                from_ps += growth * in_bucket;
                place += 1;
                edge_ps = edge_ps.saturating_add(1_000_000 << bits);
            }
        }
        self.min_ps = self.min_ps.min(first);
        self.max_ps = self.max_ps.max(last);
        self.sum_ps += (u128::from(first) + u128::from(last)) * u128::from(steps) / 2 * u128::from(count);
    }
    /// What was recorded.
    pub fn finish(self) -> LatencyHistogram {
        let mut whole = LatencyHistogram {
            sum_ps: self.sum_ps,
            min_us: if self.min_ps == u64::MAX { u64::MAX } else { self.min_ps / 1_000_000 },
            max_us: self.max_ps / 1_000_000,
            ..LatencyHistogram::default()
        };
        for (place, count) in self.counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            let bits = (place / PER_POWER).saturating_sub(1);
            let lowest = ((place - PER_POWER * bits) as u64) << bits;
            whole.histogram.saturating_record_n(lowest, count);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_same(recorder: &LatencyRecorder, expected: &LatencyHistogram, what: &str) {
        let own = recorder.clone().finish();
        assert_eq!(own.histogram, expected.histogram, "{what}");
        assert_eq!((own.sum_ps, own.min_us, own.max_us), (expected.sum_ps, expected.min_us, expected.max_us), "{what}");
    }

    #[test]
    fn a_series_is_the_same_as_its_members() {
        let cases = [
            (7_000_000_000u64, 40_700, 500, 3),
            (999, 1, 2_000, 1),
            (56_000_000_000, 0, 9, 2),
            (1_999_999_999, 7_654_321, 777, 5),
            (2_046_000_000, 1_000_000, 4, 1),
            // Over many edges, and over whole buckets.
            (1_000_000, 3_210_987, 60_000, 2),
            (16_000_000_000, 41_234_567, 3_000, 256),
        ];
        for (first, growth, steps, count) in cases {
            let (mut series, mut single) = (LatencyRecorder::default(), LatencyHistogram::default());
            series.record_series(SimDuration::from_ps(first), SimDuration::from_ps(growth), steps, count);
            for index in 0..steps {
                single.record_many(SimDuration::from_ps(first + growth * index), count);
            }
            assert_same(&series, &single, &format!("{first} + {growth} j"));
        }
    }

    #[test]
    fn a_recorder_has_the_buckets_of_the_library() {
        // Around every edge where the width of the buckets changes, and beyond both ends.
        let edges = (0..45).flat_map(|bits| [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1, 3 << bits]);
        let (mut recorder, mut histogram) = (LatencyRecorder::default(), LatencyHistogram::default());
        for micros in edges.chain([HIGHEST - 1, HIGHEST, HIGHEST + 1]).filter(|micros| *micros < 1 << 44) {
            let latency = SimDuration::from_ps(micros * 1_000_000);
            recorder.record(latency);
            histogram.record(latency);
            assert_same(&recorder, &histogram, &micros.to_string());
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

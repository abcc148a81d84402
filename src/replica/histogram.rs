//! A histogram as a server exposes it, over integers (picoseconds or tokens).

use crate::replica::run::Run;

/// Counts per bucket and the sum of the samples.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    /// Upper bounds, rising; values above the last one are in +Inf.
    pub(crate) bounds: Vec<u64>,
    /// Per bucket, not cumulative; the last is +Inf.
    pub(crate) counts: Vec<u64>,
    /// The bucket of the last sample, which the next one is often in too, and the smallest and largest value in it.
    recent: usize,
    from: u64,
    to: u64,
    /// 64 bits of picoseconds overflow within one saturated day.
    pub(crate) sum: u128,
}

impl Histogram {
    pub(crate) fn new(bounds: Vec<u64>) -> Self {
        let to = bounds.first().copied().unwrap_or(u64::MAX);
        Histogram { counts: vec![0; bounds.len() + 1], bounds, recent: 0, from: 0, to, sum: 0 }
    }

    /// `times` samples of `value`: they belong to the first bucket whose bound is not below it.
    #[inline(always)]
    pub(crate) fn observe(&mut self, value: u64, times: u64) {
        if value < self.from || value > self.to {
            self.find(value);
        }
        self.counts[self.recent] += times;
        self.sum += u128::from(value) * u128::from(times);
    }

    /// `times` samples of each of the durations of the first `steps` steps of a run.
    pub(crate) fn observe_run(&mut self, run: &Run, steps: u64, times: u64) {
        let (first, last) = (run.duration(0).as_ps(), run.duration(steps - 1).as_ps());
        self.sum += run.sum_ps(steps) * u128::from(times);
        // As a rule all are in the bucket of the last sample.
        if self.from <= first.min(run.first_ps) && first.max(last) <= self.to {
            self.counts[self.recent] += steps * times;
            return;
        }
        let mut below = 0;
        for (bucket, count) in self.counts.iter_mut().enumerate() {
            let up_to = self.bounds.get(bucket).map_or(steps, |bound| run.not_longer_than(*bound, steps));
            *count += (up_to - below) * times;
            below = up_to;
            if below == steps {
                break;
            }
        }
        self.find(last);
    }

    /// Goes to the bucket of `value`, which as a rule is not far.
    #[inline(never)]
    fn find(&mut self, value: u64) {
        while self.bounds.get(self.recent).is_some_and(|bound| *bound < value) {
            self.recent += 1;
        }
        while self.recent > 0 && value <= self.bounds[self.recent - 1] {
            self.recent -= 1;
        }
        self.from = self.recent.checked_sub(1).map_or(0, |below| self.bounds[below] + 1);
        self.to = self.bounds.get(self.recent).copied().unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::SimTime;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sample_is_in_the_bucket_of_the_first_bound_not_below_it(
            samples in prop::collection::vec((0u64..60, 1u64..4, 1u64..6, 0u64..9), 1..60)
        ) {
            let bounds = vec![3, 10, 11, 40];
            let mut histogram = Histogram::new(bounds.clone());
            let (mut counts, mut sum) = (vec![0; 5], 0);
            for (first, times, steps, growth) in samples {
                let run = Run::of_one(SimTime::ZERO, first + 1, 0, growth);
                let mut values = vec![first];
                if steps == 1 {
                    histogram.observe(first, times);
                } else {
                    histogram.observe_run(&run, steps, times);
                    values = (0..steps).map(|step| run.duration(step).as_ps()).collect();
                }
                for value in values {
                    counts[bounds.partition_point(|bound| *bound < value)] += times;
                    sum += u128::from(value * times);
                }
            }
            prop_assert_eq!((histogram.counts, histogram.sum), (counts, sum));
        }
    }
}

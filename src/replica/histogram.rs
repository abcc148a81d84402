//! A histogram as a server exposes it, over integers (picoseconds or tokens).

use crate::replica::run::Run;

/// Counts per bucket and the sum of the samples.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    /// Upper bounds, rising; values above the last one are in +Inf.
    pub(crate) bounds: Vec<u64>,
    /// Per bucket, not cumulative; the last is +Inf.
    pub(crate) counts: Vec<u64>,
    /// The bucket of the last sample, which the next one is often in too, and the other one that samples come back to: steps
    /// with and without a prompt take turns.
    recent: Bucket,
    other: Bucket,
    /// 64 bits of picoseconds overflow within one saturated day.
    pub(crate) sum: u128,
}

/// A bucket and the smallest and largest value in it.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    index: usize,
    from: u64,
    to: u64,
}

impl Bucket {
    #[inline(always)]
    fn holds(&self, value: u64) -> bool {
        self.from <= value && value <= self.to
    }
}

impl Histogram {
    pub(crate) fn new(bounds: Vec<u64>) -> Self {
        let first = Bucket { index: 0, from: 0, to: bounds.first().copied().unwrap_or(u64::MAX) };
        Histogram { counts: vec![0; bounds.len() + 1], bounds, recent: first, other: first, sum: 0 }
    }

    /// `times` samples of `value`: they belong to the first bucket whose bound is not below it.
    #[inline(always)]
    pub(crate) fn observe(&mut self, value: u64, times: u64) {
        if !self.recent.holds(value) {
            self.find(value);
        }
        self.counts[self.recent.index] += times;
        self.sum += u128::from(value) * u128::from(times);
    }

    /// `times` samples of each of the durations of the first `steps` steps of a run.
    pub(crate) fn observe_run(&mut self, run: &Run, steps: u64, times: u64) {
        let (first, last) = (run.duration(0).as_ps(), run.duration(steps - 1).as_ps());
        self.sum += run.sum_ps(steps) * u128::from(times);
        // As a rule all are in one bucket.
        let (shortest, longest) = (first.min(run.first_ps), first.max(last));
        if !self.recent.holds(shortest) {
            self.find(shortest);
        }
        if self.recent.holds(longest) {
            self.counts[self.recent.index] += steps * times;
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
    }

    /// Goes to the bucket of `value`, which as a rule is not far.
    #[inline(never)]
    fn find(&mut self, value: u64) {
        std::mem::swap(&mut self.recent, &mut self.other);
        if self.recent.holds(value) {
            return;
        }
        let mut index = self.recent.index;
        while self.bounds.get(index).is_some_and(|bound| *bound < value) {
            index += 1;
        }
        while index > 0 && value <= self.bounds[index - 1] {
            index -= 1;
        }
        let from = index.checked_sub(1).map_or(0, |below| self.bounds[below] + 1);
        self.recent = Bucket { index, from, to: self.bounds.get(index).copied().unwrap_or(u64::MAX) };
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
                let run = Run::new(SimTime::ZERO, first + 1, 0, growth, 1);
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

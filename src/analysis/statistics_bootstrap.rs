//! Bootstrap over seeds: intervals for the mean over runs of a run's percentile (verdicts.md 6.1).
//!
//! Resampled are runs, never requests. Percentile method, from twenty values on BCa: Efron, "Better bootstrap confidence
//! intervals", JASA 82 (1987), with the acceleration from the jackknife.

use crate::analysis::statistics::{IntervalRule, mean, nearest_rank, rounded};
use crate::units::{Seed, Stream};
use statrs::distribution::{ContinuousCDF, Normal};

/// Resamples.
const RESAMPLES: usize = 2000;
/// Number of values from which the interval is corrected for bias and skew.
const BCA_VALUES: usize = 20;

/// The interval of the mean of `values`, and which method made it. The random stream is keyed by `name`, so that the
/// interval depends on the metric and its values and on nothing else.
///
/// # Panics
/// On no values, or a confidence outside (0, 1).
pub fn bootstrap_interval(name: &str, values: &[f64], confidence: f64) -> ((f64, f64), IntervalRule) {
    assert!(!values.is_empty() && confidence > 0.0 && confidence < 1.0, "a bootstrap needs values and a level");
    let mut stream = Seed(0).stream(&format!("bootstrap:{name}"), 0);
    let means = resampled_means(values, &mut stream);
    let tail = (1.0 - confidence) / 2.0;
    if values.len() < BCA_VALUES {
        return (ends(&means, tail, 1.0 - tail), IntervalRule::BootstrapPercentile);
    }
    let (low, high) = bca_levels(values, &means, tail);
    (ends(&means, low, high), IntervalRule::BootstrapBca)
}

/// Means of resamples, sorted.
fn resampled_means(values: &[f64], stream: &mut Stream) -> Vec<f64> {
    let n = values.len() as u64;
    let mut one = || {
        let sum: f64 = values.iter().map(|_| values[stream.below(n) as usize]).sum();
        sum / n as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| one()).collect();
    means.sort_by(f64::total_cmp);
    means
}

fn ends(sorted: &[f64], low: f64, high: f64) -> (f64, f64) {
    let end = |level| nearest_rank(sorted, level).expect("there are resamples");
    (end(low), end(high))
}

/// The levels at which BCa reads the resamples in place of `tail` and 1 - `tail`.
fn bca_levels(values: &[f64], sorted: &[f64], tail: f64) -> (f64, f64) {
    let normal = Normal::new(0.0, 1.0).expect("the standard normal is valid");
    let centre = mean(values).expect("there are values");
    let below = sorted.iter().filter(|value| **value < centre).count() as f64;
    let equal = sorted.iter().filter(|value| **value == centre).count() as f64;
    // Ties count half, and neither end is certain: otherwise values that are all equal would have no level.
    let share =
        ((below + equal / 2.0) / sorted.len() as f64).clamp(0.5 / RESAMPLES as f64, 1.0 - 0.5 / RESAMPLES as f64);
    let bias = rounded(normal.inverse_cdf(share), 9);
    let acceleration = acceleration(values, centre);
    let level = |p: f64| {
        let z = bias + rounded(normal.inverse_cdf(p), 9);
        rounded(normal.cdf(bias + z / (1.0 - acceleration * z)), 9)
    };
    (level(tail), level(1.0 - tail))
}

/// Of the mean: a sixth of the values' skewness over the square root of their number, which is what the jackknife gives.
fn acceleration(values: &[f64], centre: f64) -> f64 {
    let deviations = || values.iter().map(|value| value - centre);
    let squares: f64 = deviations().map(|deviation| deviation * deviation).sum();
    let cubes: f64 = deviations().map(|deviation| deviation * deviation * deviation).sum();
    if squares == 0.0 { 0.0 } else { cubes / (6.0 * squares * squares.sqrt()) }
}

//! Steady state from one run: where its beginning ends (MSER-5), and batch means in place of replications (verdicts.md 6.4).

use crate::analysis::statistics::{CONFIDENCE, mean, t_interval};

/// Samples in a batch of MSER-5.
const MSER_BATCH: usize = 5;
/// Batches without which batch means say nothing.
const FEWEST_BATCHES: usize = 20;
/// Lag-1 correlation of batch means from which the batches are too short.
const MOST_CORRELATION: f64 = 0.2;

/// Where MSER-5 cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WarmupCut {
    /// Batches to delete: d*.
    pub batches: usize,
    /// Samples to delete: five per batch.
    pub samples: usize,
    /// Whether d* lies within the first half; at its limit the run is too short or has no steady state.
    pub converged: bool,
}

/// MSER-5 over samples at equal distances: means of five consecutive samples (what is left over at the end is not used), and
/// `d* = argmin over d <= m/2 of sum_{j > d} (z_j - mean)^2 / (m - d)^2`, the first of equals. `None` for fewer than two
/// batches. (White, "An effective truncation heuristic for bias reduction in simulation output", 1997; Spratt 1998.)
pub fn mser5(samples: &[f64]) -> Option<WarmupCut> {
    let means: Vec<f64> = samples.chunks_exact(MSER_BATCH).filter_map(mean).collect();
    mser_of_means(&means)
}

/// As [`mser5`], of the batches' means.
pub fn mser_of_means(means: &[f64]) -> Option<WarmupCut> {
    if means.len() < 2 {
        return None;
    }
    let limit = means.len() / 2;
    let mut best = (0, f64::INFINITY);
    for cut in 0..=limit {
        let statistic = squared_deviations(&means[cut..]) / ((means.len() - cut) as f64 * (means.len() - cut) as f64);
        if statistic < best.1 {
            best = (cut, statistic);
        }
    }
    Some(WarmupCut { batches: best.0, samples: best.0 * MSER_BATCH, converged: best.0 < limit })
}

/// Around the mean; of equal values exactly 0.
fn squared_deviations(values: &[f64]) -> f64 {
    let Some(last) = values.last() else { return 0.0 };
    let shifted: Vec<f64> = values.iter().map(|value| value - last).collect();
    let centre = mean(&shifted).unwrap_or(0.0);
    shifted.iter().map(|value| (value - centre) * (value - centre)).sum()
}

/// The mean of one long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMeans {
    /// Number of batches.
    pub batches: usize,
    /// Mean.
    pub mean: f64,
    /// 95 % t interval with batches - 1 degrees of freedom.
    pub interval: (f64, f64),
    /// Correlation of each batch's mean with the next one's; 0 when they are all equal.
    pub lag1: f64,
}

impl BatchMeans {
    /// Whether the interval may be used: at least twenty batches that hardly depend on each other. Otherwise they have to be
    /// longer, and so has the run.
    pub fn is_usable(&self) -> bool {
        self.batches >= FEWEST_BATCHES && self.lag1 < MOST_CORRELATION
    }
}

/// Batch means over samples at equal distances, `batch` samples each; what is left over at the *beginning* is not used, since
/// that is where a transient is. The caller chooses batches of at least ten times the longest of range window, scale-down
/// window and cycle. `None` for fewer than two batches.
///
/// # Panics
/// On batches without samples.
pub fn batch_means(samples: &[f64], batch: usize) -> Option<BatchMeans> {
    assert!(batch > 0, "a batch has samples");
    let means: Vec<f64> = samples.rchunks_exact(batch).rev().filter_map(mean).collect();
    let interval = t_interval(&means, CONFIDENCE)?;
    let centre = mean(&means)?;
    Some(BatchMeans { batches: means.len(), mean: centre, interval, lag1: lag1(&means) })
}

/// The usual estimate: products of neighbours' deviations over the squared deviations.
fn lag1(values: &[f64]) -> f64 {
    let squares = squared_deviations(values);
    let Some(centre) = mean(values).filter(|_| squares > 0.0) else { return 0.0 };
    values.windows(2).map(|pair| (pair[0] - centre) * (pair[1] - centre)).sum::<f64>() / squares
}

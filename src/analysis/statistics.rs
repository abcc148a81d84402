//! What several runs say together: means, intervals, how many more are needed (verdicts.md 6.1).
//!
//! One run per seed; every interval here is over seeds, never over requests, which come in bursts. Quantiles of
//! distributions are rounded, so that the last bit of a library's logarithm decides nothing. Reading order: here;
//! `statistics_bootstrap` (percentiles), `statistics_paired` (two policies), `statistics_steady` (warm-up, one long run).

use crate::analysis::statistics_bootstrap::bootstrap_interval;
use statrs::distribution::{ContinuousCDF, Gamma, StudentsT};

/// The level of every interval for which nobody asks for another one.
pub const CONFIDENCE: f64 = 0.95;

/// Number of seeds from which percentiles get a bootstrap interval.
const BOOTSTRAP_SEEDS: usize = 10;
/// Seeds of a pilot run, before which a number of further seeds is a guess.
const MOST_SEEDS: u64 = 1_000_000;

/// How a metric varies over seeds, which decides how its interval is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// A mean, a share, a count or a rate of a run: t interval.
    Mean,
    /// A percentile or an extreme of a run: bootstrap over seeds from ten seeds on, else only smallest and largest.
    Percentile,
}

/// By which rule an interval was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalRule {
    /// Student's t over seeds.
    StudentT,
    /// Bootstrap over seeds, percentile method.
    BootstrapPercentile,
    /// Bootstrap over seeds, bias-corrected and accelerated.
    BootstrapBca,
    /// Exact Poisson interval of all seeds' events together.
    Poisson,
}

impl IntervalRule {
    /// The word in files.
    pub fn word(self) -> &'static str {
        match self {
            IntervalRule::StudentT => "t",
            IntervalRule::BootstrapPercentile => "bootstrap",
            IntervalRule::BootstrapBca => "bootstrapBca",
            IntervalRule::Poisson => "poisson",
        }
    }
}

/// One metric over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Per seed, in the seeds' order; `None` where the run had nothing to measure, infinite where a percentile fell among
    /// failed requests.
    pub values: Vec<Option<f64>>,
    /// Mean of the values there are; infinite as soon as one of them is; `None` without any.
    pub mean: Option<f64>,
    /// Sample standard deviation (n - 1); `None` for fewer than two values or an infinite one.
    pub deviation: Option<f64>,
    /// 95 % interval of the mean, and its rule. `None` for fewer than three values ("1 run, no interval"; of two, the two
    /// values say more than t with one degree of freedom), and for percentiles of fewer than ten.
    pub interval: Option<((f64, f64), IntervalRule)>,
}

impl Estimate {
    /// Estimates the metric `name`, whose name is the key of its bootstrap's random stream.
    pub fn new(name: &str, kind: FigureKind, values: Vec<Option<f64>>) -> Self {
        let known: Vec<f64> = values.iter().copied().flatten().collect();
        let deviation = standard_deviation(&known);
        let interval = match kind {
            _ if known.len() < 3 || deviation.is_none() => None,
            FigureKind::Mean => t_interval(&known, CONFIDENCE).map(|interval| (interval, IntervalRule::StudentT)),
            FigureKind::Percentile if known.len() < BOOTSTRAP_SEEDS => None,
            FigureKind::Percentile => Some(bootstrap_interval(name, &known, CONFIDENCE)),
        };
        Estimate { mean: mean(&known), deviation, interval, values }
    }

    /// The values there are, smallest and largest.
    pub fn range(&self) -> Option<(f64, f64)> {
        let known = || self.values.iter().copied().flatten();
        known().next().map(|first| known().fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
    }

    /// Half the width of a t interval: what stands behind the sign +-.
    pub fn half_width(&self) -> Option<f64> {
        match self.interval {
            Some(((low, high), IntervalRule::StudentT)) => Some((high - low) / 2.0),
            _ => None,
        }
    }
}

/// Arithmetic mean, summed in order; `None` of nothing. That of equal values is exactly their value.
pub fn mean(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    if !first.is_finite() {
        return Some(values.iter().sum::<f64>() / values.len() as f64);
    }
    let above: f64 = values.iter().map(|value| value - first).sum();
    Some(first + above / values.len() as f64)
}

/// Sample standard deviation (n - 1); `None` for fewer than two values or one that is infinite. Equal values give exactly 0.
pub fn standard_deviation(values: &[f64]) -> Option<f64> {
    let first = *values.first()?;
    if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    // Shifted by a value, so that equal values have no rounding left.
    let shifted: Vec<f64> = values.iter().map(|value| value - first).collect();
    let centre = mean(&shifted)?;
    let squares: f64 = shifted.iter().map(|value| (value - centre) * (value - centre)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// `mean +- t s / sqrt(n)` as (lower, upper) end; `None` for fewer than two values or an infinite one.
///
/// # Panics
/// On a confidence outside (0, 1).
pub fn t_interval(values: &[f64], confidence: f64) -> Option<(f64, f64)> {
    let deviation = standard_deviation(values)?;
    let mean = mean(values)?;
    let half = t_quantile(0.5 + confidence / 2.0, values.len() as u64 - 1) * deviation / (values.len() as f64).sqrt();
    Some((mean - half, mean + half))
}

/// Quantile `p` of Student's t with `freedom` degrees of freedom, to seven digits.
///
/// # Panics
/// On `p` outside (0, 1) or no degree of freedom.
pub fn t_quantile(p: f64, freedom: u64) -> f64 {
    assert!(p > 0.0 && p < 1.0 && freedom > 0, "a quantile of t needs 0 < p < 1 and a degree of freedom");
    if p == 0.5 {
        return 0.0;
    }
    let student = StudentsT::new(0.0, 1.0, freedom as f64).expect("a positive freedom is valid");
    rounded(student.inverse_cdf(p), 7)
}

/// The two-sided p-value of the statistic `t` with `freedom` degrees of freedom, to seven digits.
///
/// # Panics
/// Without a degree of freedom.
pub fn t_p_value(t: f64, freedom: u64) -> f64 {
    assert!(freedom > 0, "t needs a degree of freedom");
    let student = StudentsT::new(0.0, 1.0, freedom as f64).expect("a positive freedom is valid");
    rounded(2.0 * student.cdf(-t.abs()), 7).min(1.0)
}

/// Exact Poisson interval of a rate from `count` events in `exposure` (hours): chi-square quantiles with 2k and 2k + 2
/// degrees of freedom, halved, which are gamma quantiles with shapes k and k + 1 (verdicts.md 1.6).
///
/// # Panics
/// Without exposure, or on a confidence outside (0, 1).
pub fn poisson_interval(count: u64, exposure: f64, confidence: f64) -> (f64, f64) {
    assert!(exposure > 0.0, "a rate needs a measured time");
    assert!(confidence > 0.0 && confidence < 1.0, "a confidence lies between 0 and 1");
    let quantile = |shape: u64, p: f64| {
        let gamma = Gamma::new(shape as f64, 1.0).expect("a positive shape and rate are valid");
        rounded(gamma.inverse_cdf(p), 9)
    };
    let tail = (1.0 - confidence) / 2.0;
    let lower = if count == 0 { 0.0 } else { quantile(count, tail) / exposure };
    (lower, quantile(count + 1, 1.0 - tail) / exposure)
}

/// Rounded to `digits` significant digits: the library's logarithms may differ in the last bit between machines.
pub(super) fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.precision$e}", precision = digits - 1).parse().expect("a formatted float is a float")
}

/// Nearest rank: `x_(ceil(p n))` of `sorted`, the first for p = 0; `None` of nothing.
pub fn nearest_rank(sorted: &[f64], p: f64) -> Option<f64> {
    rank_of(p, sorted.len()).map(|rank| sorted[rank - 1])
}

/// `ceil(p n)`, at least 1, as if `p` were the decimal number that was meant: 0.07 * 100 has rank 7, although its double is
/// a little above.
fn rank_of(p: f64, n: usize) -> Option<usize> {
    let rank = (p * n as f64 - 1e-9).ceil().max(1.0);
    (n > 0).then(|| (rank as usize).min(n))
}

/// The fewest values that bring the half-width of their t interval down to `half_width` at a standard deviation of
/// `deviation`: where `n = ceil((t s / e)^2)` of verdicts.md 6.1, whose t depends on n, settles. `None` when a million do not
/// suffice.
pub fn seeds_needed(deviation: f64, half_width: f64, confidence: f64) -> Option<u64> {
    let suffice =
        |seeds: u64| t_quantile(0.5 + confidence / 2.0, seeds - 1) * deviation <= half_width * (seeds as f64).sqrt();
    if half_width <= 0.0 || half_width.is_nan() || !suffice(MOST_SEEDS) {
        return None;
    }
    // The half-width falls with the number of values.
    let (mut too_few, mut enough) = (1, MOST_SEEDS);
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if suffice(middle) { enough = middle } else { too_few = middle }
    }
    Some(enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_share_has_the_rank_that_was_meant() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for (p, rank) in [(0.07, 7.0), (0.29, 29.0), (0.95, 95.0), (0.951, 96.0), (0.0, 1.0), (1.0, 100.0)] {
            assert_eq!(nearest_rank(&hundred, p), Some(rank), "{p}");
        }
        assert_eq!(nearest_rank(&[], 0.5), None);
    }

    #[test]
    fn the_number_needed_is_the_fewest_that_suffice() {
        for step in 1..40 {
            let deviation = f64::from(step) / 10.0;
            let needed = seeds_needed(deviation, 1.0, CONFIDENCE).expect("few suffice");
            let half = |seeds: u64| t_quantile(0.975, seeds - 1) * deviation / (seeds as f64).sqrt();
            assert!(half(needed) <= 1.0, "{needed} suffice for s = {deviation}");
            assert!(needed == 2 || half(needed - 1) > 1.0, "{needed} are the fewest for s = {deviation}");
        }
    }
}

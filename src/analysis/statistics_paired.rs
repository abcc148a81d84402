//! Two policies on the same seeds: the difference per seed, and in one of four words what it amounts to (verdicts.md 6.2).

use crate::analysis::statistics::{CONFIDENCE, mean, seeds_needed, standard_deviation, t_interval, t_p_value};

/// Correlation below which the seeds did not make the policies comparable.
const SYNCHRONISED: f64 = 0.2;

/// What a difference amounts to, with the margin below which nobody cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceVerdict {
    /// The interval excludes 0 and the mean difference is beyond the margin.
    Different,
    /// The whole interval is within the margin.
    Same,
    /// The interval excludes 0, but the mean difference is within the margin.
    Negligible,
    /// Anything else.
    Undecided,
}

impl DifferenceVerdict {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            DifferenceVerdict::Different => "different",
            DifferenceVerdict::Same => "same",
            DifferenceVerdict::Negligible => "negligible",
            DifferenceVerdict::Undecided => "undecided",
        }
    }
}

/// B minus A over the seeds that both have.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedDifference {
    /// Number of pairs.
    pub pairs: usize,
    /// Mean of B - A.
    pub mean: f64,
    /// 95 % t interval; `None` for fewer than three pairs.
    pub interval: Option<(f64, f64)>,
    /// Two-sided p-value of "no difference"; `None` as above. For [`holm`], never to be shown alone.
    pub p_value: Option<f64>,
    /// Half-width of the interval if the same values were not paired (Welch, with the smaller degrees of freedom n - 1).
    pub unpaired_half_width: Option<f64>,
    /// Correlation of A and B over seeds; `None` when one of them does not vary.
    pub correlation: Option<f64>,
    /// The verdict.
    pub verdict: DifferenceVerdict,
    /// When undecided: about how many more pairs decide it; `None` when it is decided or no number helps.
    pub further_pairs: Option<u64>,
}

impl PairedDifference {
    /// Whether the pairs share so little luck that something is wrong with their random streams.
    pub fn is_unsynchronised(&self) -> bool {
        self.correlation.is_some_and(|correlation| correlation < SYNCHRONISED)
    }
}

/// Compares `b` with `a`, seed by seed in the same order, with the practical `margin`; pairs in which one has no finite value
/// are left out. `None` without any pair.
///
/// # Panics
/// When the two have different numbers of seeds.
pub fn paired_difference(a: &[Option<f64>], b: &[Option<f64>], margin: f64) -> Option<PairedDifference> {
    assert_eq!(a.len(), b.len(), "policies are compared on the same seeds");
    let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
    let pairs: Vec<(f64, f64)> = a.iter().zip(b).filter_map(|(a, b)| finite(a).zip(finite(b))).collect();
    let differences: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
    let centre = mean(&differences)?;
    let enough = pairs.len() >= 3;
    let interval = t_interval(&differences, CONFIDENCE).filter(|_| enough);
    let deviation = standard_deviation(&differences).filter(|_| enough);
    let verdict = interval.map_or(DifferenceVerdict::Undecided, |interval| judge(centre, interval, margin));
    let further_pairs = deviation.filter(|_| verdict == DifferenceVerdict::Undecided).and_then(|deviation| {
        // Enough to tell the difference from 0, or to enclose it in the margin, whichever comes first.
        let half = centre.abs().max(margin - centre.abs());
        let needed = seeds_needed(deviation, half, CONFIDENCE)?;
        Some(needed.saturating_sub(pairs.len() as u64).max(1))
    });
    let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(PairedDifference {
        pairs: pairs.len(),
        mean: centre,
        interval,
        p_value: deviation.map(|deviation| p_value(centre, deviation, pairs.len())),
        unpaired_half_width: unpaired_half_width(&first, &second).filter(|_| enough),
        correlation: correlation(&first, &second),
        verdict,
        further_pairs,
    })
}

/// The words of verdicts.md 6.2.
fn judge(centre: f64, (low, high): (f64, f64), margin: f64) -> DifferenceVerdict {
    let excludes_zero = low > 0.0 || high < 0.0;
    if excludes_zero && centre.abs() > margin {
        DifferenceVerdict::Different
    } else if low >= -margin && high <= margin {
        DifferenceVerdict::Same
    } else if excludes_zero {
        DifferenceVerdict::Negligible
    } else {
        DifferenceVerdict::Undecided
    }
}

fn p_value(centre: f64, deviation: f64, pairs: usize) -> f64 {
    match (deviation == 0.0, centre == 0.0) {
        (true, true) => 1.0,
        (true, false) => 0.0,
        (false, _) => t_p_value(centre / deviation * (pairs as f64).sqrt(), pairs as u64 - 1),
    }
}

fn unpaired_half_width(a: &[f64], b: &[f64]) -> Option<f64> {
    let (of_a, of_b) = (standard_deviation(a)?, standard_deviation(b)?);
    let t = crate::analysis::statistics::t_quantile(0.5 + CONFIDENCE / 2.0, a.len() as u64 - 1);
    Some(t * ((of_a * of_a + of_b * of_b) / a.len() as f64).sqrt())
}

/// Pearson's, clamped to what rounding may exceed.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (of_a, of_b) = (standard_deviation(a)?, standard_deviation(b)?);
    let (mean_a, mean_b) = (mean(a)?, mean(b)?);
    let products: f64 = a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum();
    let covariance = products / (a.len() - 1) as f64;
    (of_a > 0.0 && of_b > 0.0).then(|| (covariance / (of_a * of_b)).clamp(-1.0, 1.0))
}

/// Which of the hypotheses with `p_values` Holm's step-down rejects at `level` in all (Holm, "A simple sequentially rejective
/// multiple test procedure", Scand. J. Statist. 6, 1979); in the order given.
pub fn holm(p_values: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|left, right| p_values[*left].total_cmp(&p_values[*right]));
    let mut rejected = vec![false; p_values.len()];
    for (step, index) in order.iter().enumerate() {
        if p_values[*index] > level / (p_values.len() - step) as f64 {
            break;
        }
        rejected[*index] = true;
    }
    rejected
}

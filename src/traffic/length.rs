//! Token-count distributions.

use crate::units::{Stream, math};

/// A distribution of token counts; every draw is at least 1.
#[derive(Clone, Debug, PartialEq)]
pub enum LengthDistribution {
    /// Always the same.
    Constant(u32),
    /// Uniform over the whole numbers `min..=max`.
    Uniform {
        /// The fewest tokens, at least 1.
        min: u32,
        /// The most tokens, at least `min`.
        max: u32,
    },
    /// Stops after each token with probability `hazard`, cut at `max`: P(len = k) = hazard (1-hazard)^(k-1).
    Geometric {
        /// Chance of stopping after a token, in (0, 1].
        hazard: f64,
        /// The most tokens, at least 1.
        max: u32,
    },
    /// exp of a normal with `mu`, `sigma`, rounded, cut to 1..=max.
    Lognormal {
        /// Mean of the logarithm.
        mu: f64,
        /// Standard deviation of the logarithm, at least 0.
        sigma: f64,
        /// The most tokens, at least 1.
        max: u32,
    },
    /// Inverse CDF given by points (probability rising from 0 to 1, tokens), linear between them, rounded.
    Quantiles {
        /// Probabilities of the points: the first 0, the last 1, never falling.
        probabilities: Vec<f64>,
        /// Tokens of the points, never falling, at least 1; as many as `probabilities`.
        tokens: Vec<f64>,
    },
}

/// Draws from a distribution with its own stream.
#[derive(Clone, Debug)]
pub struct LengthSampler {
    distribution: LengthDistribution,
    stream: Stream,
}

impl LengthSampler {
    /// A sampler of `distribution` on `stream`.
    ///
    /// # Panics
    /// When the distribution does not pass [`LengthDistribution::check`].
    pub fn new(distribution: LengthDistribution, stream: Stream) -> Self {
        if let Err(wrong) = distribution.check() {
            panic!("token counts cannot be drawn: {wrong}");
        }
        LengthSampler { distribution, stream }
    }
    /// The next token count, at least 1.
    pub fn draw(&mut self) -> u32 {
        self.distribution.draw(&mut self.stream)
    }
}

impl LengthDistribution {
    /// Whether draws make sense.
    ///
    /// # Errors
    /// A lower-case fragment that says which parameter was found and what was expected.
    pub fn check(&self) -> Result<(), String> {
        let at_least_one = |name: &str, value: u32| {
            if value >= 1 { Ok(()) } else { Err(format!("{name}: found 0 tokens, expected at least 1")) }
        };
        match self {
            LengthDistribution::Constant(tokens) => at_least_one("constant", *tokens),
            LengthDistribution::Uniform { min, max } => {
                at_least_one("min", *min)?;
                if min <= max { Ok(()) } else { Err(format!("max: found {max}, expected at least the min of {min}")) }
            }
            LengthDistribution::Geometric { hazard, max } => {
                at_least_one("max", *max)?;
                let valid = *hazard > 0.0 && *hazard <= 1.0;
                if valid { Ok(()) } else { Err(format!("hazard: found {hazard}, expected more than 0 and at most 1")) }
            }
            LengthDistribution::Lognormal { mu, sigma, max } => {
                at_least_one("max", *max)?;
                if !mu.is_finite() {
                    return Err(format!("mu: found {mu}, expected a number"));
                }
                let valid = sigma.is_finite() && *sigma >= 0.0;
                if valid { Ok(()) } else { Err(format!("sigma: found {sigma}, expected zero or more")) }
            }
            LengthDistribution::Quantiles { probabilities, tokens } => check_quantiles(probabilities, tokens),
        }
    }
    /// One draw, at least 1. Takes the same number of random numbers whatever comes out.
    pub fn draw(&self, stream: &mut Stream) -> u32 {
        match self {
            LengthDistribution::Constant(tokens) => *tokens,
            LengthDistribution::Uniform { min, max } => {
                // The offset is at most max - min, which fits.
                min + stream.below(u64::from(max - min) + 1) as u32
            }
            LengthDistribution::Geometric { hazard, max } => {
                // Inversion: the smallest k with 1 - (1-hazard)^k >= u. `as` saturates.
                let failures = math::ln(stream.uniform_positive()) / math::ln_1p(-hazard);
                (failures.floor() as u32).saturating_add(1).min(*max)
            }
            LengthDistribution::Lognormal { mu, sigma, max } => to_tokens(stream.lognormal(*mu, *sigma)).min(*max),
            LengthDistribution::Quantiles { probabilities, tokens } => {
                to_tokens(interpolate(probabilities, tokens, stream.uniform()))
            }
        }
    }
    /// The distribution's mean, for reports and sanity checks. Rounding to whole tokens is left out, cuts are not.
    pub fn mean(&self) -> f64 {
        self.mean_up_to(u32::MAX)
    }
    /// [`Self::mean`] of draws of which those above `most` are cut to `most`.
    pub fn mean_up_to(&self, most: u32) -> f64 {
        let cut = f64::from(most);
        match self {
            LengthDistribution::Constant(tokens) => f64::from(most.min(*tokens)),
            LengthDistribution::Uniform { min, max } => {
                let (min, max) = (f64::from(*min), f64::from(*max));
                let mean = |from: f64, to: f64| (from + to) / 2.0;
                if cut >= max {
                    mean(min, max)
                } else if cut <= min {
                    cut
                } else {
                    ((cut - min + 1.0) * mean(min, cut) + (max - cut) * cut) / (max - min + 1.0)
                }
            }
            LengthDistribution::Geometric { hazard, max } => {
                // Sum over k of P(len > k), k = 0..max.
                (1.0 - math::pow(1.0 - hazard, f64::from(most.min(*max)))) / hazard
            }
            LengthDistribution::Lognormal { mu, sigma, max } => {
                cut_lognormal_mean(*mu, *sigma, f64::from(most.min(*max)))
            }
            LengthDistribution::Quantiles { probabilities, tokens } => {
                let pieces = probabilities.windows(2).zip(tokens.windows(2));
                pieces.map(|(p, t)| (p[1] - p[0]) * cut_piece_mean(t[0], t[1], cut)).sum()
            }
        }
    }
}

fn check_quantiles(probabilities: &[f64], tokens: &[f64]) -> Result<(), String> {
    if probabilities.len() != tokens.len() || tokens.len() < 2 {
        let (left, right) = (probabilities.len(), tokens.len());
        return Err(format!("found {left} probabilities and {right} token counts, expected equally many, at least 2"));
    }
    let rises = |values: &[f64]| values.windows(2).all(|pair| pair[0] <= pair[1]);
    if !rises(probabilities) || probabilities[0] != 0.0 || probabilities[probabilities.len() - 1] != 1.0 {
        return Err("probabilities: expected numbers that rise from 0 to 1".to_owned());
    }
    if !rises(tokens) || tokens[0] < 1.0 || !tokens[tokens.len() - 1].is_finite() {
        return Err("tokens: expected numbers from 1 that never fall".to_owned());
    }
    Ok(())
}

/// The value at probability `u` on the line through the points.
fn interpolate(probabilities: &[f64], tokens: &[f64], u: f64) -> f64 {
    let right = probabilities.partition_point(|probability| *probability <= u).clamp(1, tokens.len() - 1);
    let (p0, p1) = (probabilities[right - 1], probabilities[right]);
    let (t0, t1) = (tokens[right - 1], tokens[right]);
    if p1 > p0 { t0 + (t1 - t0) * (u - p0) / (p1 - p0) } else { t1 }
}

/// To the nearest whole token, at least 1; `as` saturates.
fn to_tokens(value: f64) -> u32 {
    (value.round() as u32).max(1)
}

/// The mean of what is spread evenly over `low..=high` and cut to `cut`.
fn cut_piece_mean(low: f64, high: f64, cut: f64) -> f64 {
    if cut >= high {
        return (low + high) / 2.0;
    }
    if cut <= low {
        return cut;
    }
    let below = (cut - low) / (high - low);
    below * (low + cut) / 2.0 + (1.0 - below) * cut
}

/// Mean of a lognormal cut to 1..=max, by Simpson's rule over the normal behind it (no portable erf is at hand).
fn cut_lognormal_mean(mu: f64, sigma: f64, max: f64) -> f64 {
    const STEPS: u32 = 4000;
    const REACH: f64 = 10.0;
    let width = 2.0 * REACH / f64::from(STEPS);
    let sum: f64 = (0..=STEPS)
        .map(|step| {
            let z = -REACH + f64::from(step) * width;
            let weight = if step == 0 || step == STEPS { 1.0 } else { 2.0 + 2.0 * f64::from(step % 2) };
            weight * math::exp(mu + sigma * z).clamp(1.0, max) * math::exp(-z * z / 2.0)
        })
        .sum();
    sum * width / 3.0 / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    fn examples() -> Vec<LengthDistribution> {
        vec![
            LengthDistribution::Constant(7),
            LengthDistribution::Uniform { min: 3, max: 9 },
            LengthDistribution::Geometric { hazard: 0.01, max: 150 },
            LengthDistribution::Geometric { hazard: 1.0, max: 150 },
            LengthDistribution::Lognormal { mu: 5.0, sigma: 1.2, max: 1000 },
            LengthDistribution::Lognormal { mu: 4.0, sigma: 0.0, max: 1000 },
            LengthDistribution::Quantiles {
                probabilities: vec![0.0, 0.5, 0.5, 1.0],
                tokens: vec![1.0, 100.0, 200.0, 1000.0],
            },
        ]
    }

    #[test]
    fn first_draws_are_pinned() {
        let draws: Vec<[u32; 4]> = examples()
            .into_iter()
            .map(|distribution| {
                let mut sampler = LengthSampler::new(distribution, Seed(1).stream("prompt-lengths", 0));
                [(); 4].map(|()| sampler.draw())
            })
            .collect();
        let expected = [
            [7, 7, 7, 7],        // constant 7
            [3, 8, 3, 6],        // uniform 3..=9
            [7, 150, 1, 75],     // geometric 0.01, cut at 150
            [1, 1, 1, 1],        // geometric 1
            [165, 134, 61, 135], // lognormal 5, 1.2
            [55, 55, 55, 55],    // e^4
            [13, 665, 2, 244],   // quantiles
        ];
        assert_eq!(draws, expected);
    }

    #[test]
    fn draws_have_the_mean_that_is_stated() {
        for distribution in examples() {
            let mut stream = Seed(2).stream("test", 0);
            let n = 100_000;
            let mean = (0..n).map(|_| f64::from(distribution.draw(&mut stream))).sum::<f64>() / f64::from(n);
            assert!((mean / distribution.mean() - 1.0).abs() < 0.01, "{distribution:?}: {mean}");
        }
    }

    #[test]
    fn the_mean_of_cut_draws_is_that_of_the_formula() {
        for distribution in examples() {
            for most in [1, 5, 8, 60, 150, 400, 5000] {
                let mut stream = Seed(5).stream("test", 0);
                let draws = (0..40_000).map(|_| f64::from(distribution.draw(&mut stream).min(most)));
                let (found, expected) = (draws.sum::<f64>() / 40_000.0, distribution.mean_up_to(most));
                assert!((found / expected - 1.0).abs() < 0.02, "{distribution:?} to {most}: {found}, {expected}");
            }
        }
    }

    #[test]
    fn geometric_probabilities_are_right() {
        let distribution = LengthDistribution::Geometric { hazard: 0.25, max: 1_000_000 };
        let mut stream = Seed(2).stream("test", 0);
        let draws: Vec<u32> = (0..100_000).map(|_| distribution.draw(&mut stream)).collect();
        for (length, probability) in [(1, 0.25), (2, 0.1875), (3, 0.140_625)] {
            let share = draws.iter().filter(|draw| **draw == length).count() as f64 / 100_000.0;
            assert!((share - probability).abs() < 0.005, "length {length}: {share}");
        }
    }

    #[test]
    fn draws_stay_in_range() {
        for distribution in [
            LengthDistribution::Lognormal { mu: -5.0, sigma: 3.0, max: 4 },
            LengthDistribution::Geometric { hazard: 0.001, max: 4 },
            LengthDistribution::Uniform { min: 1, max: 4 },
        ] {
            let mut stream = Seed(2).stream("test", 0);
            let draws: Vec<u32> = (0..5000).map(|_| distribution.draw(&mut stream)).collect();
            assert_eq!((draws.iter().min(), draws.iter().max()), (Some(&1), Some(&4)), "{distribution:?}");
        }
        let widest = LengthDistribution::Uniform { min: 1, max: u32::MAX };
        assert!(widest.draw(&mut Seed(2).stream("test", 0)) >= 1);
    }

    #[test]
    fn quantiles_are_linear_between_points() {
        let (probabilities, tokens) = ([0.0, 0.5, 0.5, 1.0], [1.0, 101.0, 200.0, 1000.0]);
        for (u, expected) in [(0.0, 1.0), (0.25, 51.0), (0.5, 200.0), (0.75, 600.0)] {
            assert_eq!(interpolate(&probabilities, &tokens, u), expected, "at {u}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        let quantiles = |probabilities: &[f64], tokens: &[f64]| LengthDistribution::Quantiles {
            probabilities: probabilities.to_vec(),
            tokens: tokens.to_vec(),
        };
        for (distribution, part) in [
            (LengthDistribution::Constant(0), "found 0 tokens"),
            (LengthDistribution::Uniform { min: 5, max: 4 }, "found 4"),
            (LengthDistribution::Uniform { min: 0, max: 4 }, "min: found 0"),
            (LengthDistribution::Geometric { hazard: 0.0, max: 4 }, "hazard: found 0"),
            (LengthDistribution::Geometric { hazard: f64::NAN, max: 4 }, "hazard"),
            (LengthDistribution::Lognormal { mu: f64::INFINITY, sigma: 1.0, max: 4 }, "mu"),
            (LengthDistribution::Lognormal { mu: 1.0, sigma: -1.0, max: 4 }, "sigma: found -1"),
            (quantiles(&[0.0, 1.0], &[1.0]), "found 2 probabilities and 1"),
            (quantiles(&[0.0, 0.9], &[1.0, 2.0]), "rise from 0 to 1"),
            (quantiles(&[0.0, 1.0], &[3.0, 2.0]), "never fall"),
        ] {
            let wrong = distribution.check().expect_err("it is nonsense");
            assert!(wrong.contains(part), "{distribution:?}: {wrong}");
        }
        for distribution in examples() {
            assert_eq!(distribution.check(), Ok(()));
        }
    }
}

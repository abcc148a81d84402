//! How long a step takes, in integer picoseconds.

use crate::replica::{ExpertWeights, StepTimeCoefficients};
use crate::units::{SimDuration, math, shown_number};

/// Coefficients above this are refused: 1000 s for one token or one step is a mistake of units.
const LARGEST_PS: f64 = 1e15;

/// The step-time model with integer coefficients: every step is an integer, so sums are exact however a run of steps is cut.
///
/// `T = t0 + f(n) + ca A + ck K + cs S` with `f(n) = (w^p + (cp n)^p)^(1/p)` rounded to a picosecond (vllm.md 3.1). With a
/// mixture of experts w grows with n, by the share of the experts that n tokens touch.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    t0_ps: u64,
    w_ps: u64,
    experts: Option<Experts>,
    cp_ps_per_token: u64,
    /// Half of `ca`, because callers sum doubled pairs: t(2s+t) stays an integer where t(s+t/2) does not.
    ca_ps_per_half_pair: u64,
    ck_ps_per_token: u64,
    cs_ps_per_seq: u64,
    knee: f64,
    /// f(n) of small n, which most steps have.
    small: Vec<u64>,
}

/// Steps of fewer tokens than this are looked up.
const SMALL: u64 = 2048;

/// A mixture of experts' part of the memory floor.
#[derive(Clone, Debug, PartialEq)]
struct Experts {
    /// When all experts are touched.
    w_ps: u64,
    /// Probability that one token leaves an expert untouched: 1 - k/E.
    untouched: f64,
}

impl Experts {
    fn floor_ps(&self, tokens: u64) -> u64 {
        // The share is between 0 and 1, so the product is at most `w_ps`.
        (self.w_ps as f64 * (1.0 - power(self.untouched, tokens))).round() as u64
    }
}

/// `base` to a whole power by squaring: multiplications only, hence the same on every machine.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest % 2 == 1 {
            result *= square;
        }
        square *= square;
        rest /= 2;
    }
    result
}

impl StepTime {
    /// Rounds the coefficients to integers once.
    ///
    /// # Errors
    /// A fragment that names the coefficient that is negative, not finite, or would make a step take no time.
    pub fn new(coefficients: &StepTimeCoefficients) -> Result<Self, String> {
        let c = coefficients;
        // NaN fails the comparison too; an infinite knee is the hard roofline.
        if c.knee.is_nan() || c.knee < 1.0 {
            return Err(format!("found knee {}, expected 1 or more", c.knee));
        }
        let step_time = StepTime {
            t0_ps: whole_ps("t0Ms", c.t0_ms, 1e9)?,
            w_ps: whole_ps("wMs", c.w_ms, 1e9)?,
            experts: c.experts.as_ref().map(experts).transpose()?,
            cp_ps_per_token: whole_ps("cpUsPerToken", c.cp_us_per_token, 1e6)?,
            ca_ps_per_half_pair: whole_ps("caNsPerPair", c.ca_ns_per_pair, 500.0)?,
            ck_ps_per_token: whole_ps("ckNsPerToken", c.ck_ns_per_token, 1e3)?,
            cs_ps_per_seq: whole_ps("csUsPerSeq", c.cs_us_per_seq, 1e6)?,
            knee: c.knee,
            small: Vec::new(),
        }
        .tabulated();
        // The shortest step of all schedules one token of one request.
        if step_time.step(1, 0, 0, 1).is_zero() {
            return Err("found t0Ms, wMs, cpUsPerToken and csUsPerSeq of 0, expected a step to take time".to_owned());
        }
        Ok(step_time)
    }

    /// The same hardware `factor` times as fast: every coefficient divided, at least one picosecond of overhead left.
    #[must_use]
    pub fn faster(&self, factor: u64) -> Self {
        let experts = |own: &Experts| Experts { w_ps: own.w_ps / factor, untouched: own.untouched };
        StepTime {
            t0_ps: (self.t0_ps / factor).max(1),
            w_ps: self.w_ps / factor,
            experts: self.experts.as_ref().map(experts),
            cp_ps_per_token: self.cp_ps_per_token / factor,
            ca_ps_per_half_pair: self.ca_ps_per_half_pair / factor,
            ck_ps_per_token: self.ck_ps_per_token / factor,
            cs_ps_per_seq: self.cs_ps_per_seq / factor,
            knee: self.knee,
            small: Vec::new(),
        }
        .tabulated()
    }

    fn tabulated(mut self) -> Self {
        self.small = (0..SMALL).map(|tokens| self.linear_layers_ps(tokens)).collect();
        self
    }

    /// Duration of one step: `tokens` scheduled, `prefill_pairs_doubled` = sum over prefill chunks of t(2s+t),
    /// `cached_tokens` of decoding requests, `seqs` scheduled requests.
    pub fn step(&self, tokens: u64, prefill_pairs_doubled: u64, cached_tokens: u64, seqs: u64) -> SimDuration {
        let linear_layers_ps = match self.small.get(tokens as usize) {
            Some(known) => *known,
            None => self.linear_layers_ps(tokens),
        };
        let total = || {
            let fixed = self.t0_ps.checked_add(linear_layers_ps)?;
            let attention = self.ca_ps_per_half_pair.checked_mul(prefill_pairs_doubled)?;
            let cache = self.ck_ps_per_token.checked_mul(cached_tokens)?;
            let requests = self.cs_ps_per_seq.checked_mul(seqs)?;
            fixed.checked_add(attention)?.checked_add(cache)?.checked_add(requests)
        };
        SimDuration::from_ps(total().unwrap_or(u64::MAX))
    }

    /// By how much each step of a run of decode-only steps is longer than the one before, when `seqs` requests decode:
    /// each adds one cached token per step.
    pub(crate) fn growth_ps(&self, seqs: u64) -> u64 {
        self.ck_ps_per_token.saturating_mul(seqs)
    }

    /// f(n): the smooth knee between the memory floor and the compute slope.
    fn linear_layers_ps(&self, tokens: u64) -> u64 {
        let compute = self.cp_ps_per_token.saturating_mul(tokens);
        let touched = self.experts.as_ref().map_or(0, |experts| experts.floor_ps(tokens));
        let floor = self.w_ps.saturating_add(touched);
        if self.knee == 1.0 {
            return floor.saturating_add(compute);
        }
        let (w, c) = (floor as f64, compute as f64);
        // The square root and the four operations are exactly rounded, hence the same on every machine.
        let knee = if self.knee == 2.0 {
            (w * w + c * c).sqrt()
        } else if self.knee.is_infinite() || w == 0.0 || c == 0.0 {
            w.max(c)
        } else {
            // The larger factor is taken out so that high powers cannot overflow.
            let (large, small) = (w.max(c), w.min(c));
            large * math::pow(1.0 + math::pow(small / large, self.knee), 1.0 / self.knee)
        };
        // `f64::round` is a call. What is left above the whole number is exact, and `as` saturates.
        let whole = knee as u64;
        whole.saturating_add(u64::from(knee - whole as f64 >= 0.5))
    }
}

fn experts(written: &ExpertWeights) -> Result<Experts, String> {
    let ExpertWeights { w_ms, count, per_token } = *written;
    if per_token == 0 || per_token > count {
        return Err(format!("found {per_token} of {count} experts per token, expected from 1 to all of them"));
    }
    let untouched = 1.0 - f64::from(per_token) / f64::from(count);
    Ok(Experts { w_ps: whole_ps("experts.wMs", w_ms, 1e9)?, untouched })
}

/// `value` in units of `ps_per_unit`, to the nearest picosecond.
fn whole_ps(name: &str, value: f64, ps_per_unit: f64) -> Result<u64, String> {
    let ps = value * ps_per_unit;
    if !ps.is_finite() || ps < 0.0 {
        return Err(format!("found {name} {}, expected a finite number of 0 or more", shown_number(value)));
    }
    if ps > LARGEST_PS {
        return Err(format!("found {name} {}, expected at most {}", shown_number(value), LARGEST_PS / ps_per_unit));
    }
    Ok(ps.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Llama-3.1-8B on one H100 (vllm.md 3.2).
    const LLAMA_8B_H100: StepTimeCoefficients = StepTimeCoefficients {
        t0_ms: 0.3,
        w_ms: 6.69,
        experts: None,
        cp_us_per_token: 19.54,
        ca_ns_per_pair: 1.18,
        ck_ns_per_token: 40.7,
        cs_us_per_seq: 8.8,
        knee: 2.0,
    };

    fn ps(coefficients: &StepTimeCoefficients, n: u64, a2: u64, k: u64, s: u64) -> u64 {
        StepTime::new(coefficients).expect("valid").step(n, a2, k, s).as_ps()
    }

    #[test]
    fn each_term_is_an_exact_integer() {
        let affine = StepTimeCoefficients { knee: 1.0, ..LLAMA_8B_H100 };
        let base = 300_000_000 + 6_690_000_000;
        // tokens, doubled pairs, cached tokens, requests; the expected sum
        for ((n, a2, k, s), expected) in [
            ((0, 0, 0, 0), base),
            ((1, 0, 0, 0), base + 19_540_000),
            ((0, 3, 0, 0), base + 3 * 590), // half a pair costs 590 ps
            ((0, 0, 1000, 0), base + 40_700_000),
            ((0, 0, 0, 64), base + 64 * 8_800_000),
        ] {
            assert_eq!(ps(&affine, n, a2, k, s), expected, "{n} {a2} {k} {s}");
        }
    }

    #[test]
    fn the_knee_is_a_power_mean() {
        // 3-4-5: w 3 ms, compute 4 ms.
        let c = StepTimeCoefficients {
            t0_ms: 0.0,
            w_ms: 3.0,
            experts: None,
            cp_us_per_token: 40.0,
            ca_ns_per_pair: 0.0,
            ck_ns_per_token: 0.0,
            cs_us_per_seq: 0.0,
            knee: 2.0,
        };
        assert_eq!(ps(&c, 100, 0, 0, 0), 5_000_000_000);
        assert_eq!(ps(&StepTimeCoefficients { knee: 1.0, ..c }, 100, 0, 0, 0), 7_000_000_000);
        assert_eq!(ps(&StepTimeCoefficients { knee: f64::INFINITY, ..c }, 100, 0, 0, 0), 4_000_000_000);
        // (27 + 64)^(1/3) = 4.497941445...
        let cubic = ps(&StepTimeCoefficients { knee: 3.0, ..c }, 100, 0, 0, 0);
        assert!(cubic.abs_diff(4_497_941_445) <= 1, "{cubic}");
    }

    #[test]
    fn impossible_coefficients_are_named() {
        let cases = [
            (StepTimeCoefficients { w_ms: -1.0, ..LLAMA_8B_H100 }, "wMs"),
            (StepTimeCoefficients { ck_ns_per_token: f64::NAN, ..LLAMA_8B_H100 }, "ckNsPerToken"),
            (StepTimeCoefficients { t0_ms: 1e9, ..LLAMA_8B_H100 }, "t0Ms"),
            (StepTimeCoefficients { knee: 0.5, ..LLAMA_8B_H100 }, "knee"),
            (
                StepTimeCoefficients {
                    t0_ms: 0.0,
                    w_ms: 0.0,
                    cp_us_per_token: 0.0,
                    cs_us_per_seq: 0.0,
                    ..LLAMA_8B_H100
                },
                "take time",
            ),
        ];
        for (coefficients, name) in cases {
            let error = StepTime::new(&coefficients).expect_err(name);
            assert!(error.contains(name), "{error}");
        }
    }
}

//! Functions over the samples of one series in a window (promql/functions.go). The order of operations is upstream's.

use super::functions::FunctionId;
use super::numbers::{kahan_add, quantile};
use super::semantics::Semantics;

/// Samples in time order: (ms since the Unix epoch, value).
pub(crate) type Samples = [(i64, f64)];

/// The window and what else a function needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Lower edge, ms.
    pub start: i64,
    /// Upper edge, ms.
    pub end: i64,
    /// The evaluation time (`end` without offset and `@`), ms.
    pub eval: i64,
    /// The scalar parameters.
    pub parameters: [f64; 2],
}

/// The value of `function` over `samples` (not empty); `None` when there are too few.
pub(crate) fn over_range(
    function: FunctionId,
    samples: &Samples,
    window: &Window,
    semantics: &Semantics,
) -> Option<f64> {
    let [first_parameter, second_parameter] = window.parameters;
    Some(match function {
        FunctionId::Rate => return extrapolated(samples, window, true, true, semantics),
        FunctionId::Increase => return extrapolated(samples, window, true, false, semantics),
        FunctionId::Delta => return extrapolated(samples, window, false, false, semantics),
        FunctionId::Irate => return instant_change(samples, true),
        FunctionId::Idelta => return instant_change(samples, false),
        FunctionId::Deriv if samples.len() >= 2 => linear_regression(samples, samples[0].0).0,
        FunctionId::PredictLinear if samples.len() >= 2 => {
            let (slope, intercept) = linear_regression(samples, window.eval);
            slope * first_parameter + intercept
        }
        FunctionId::Deriv | FunctionId::PredictLinear => return None,
        FunctionId::HoltWinters => return double_exponential(samples, first_parameter, second_parameter),
        FunctionId::Resets => samples.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as f64,
        FunctionId::Changes => {
            let changed = |pair: &&[(i64, f64)]| pair[1].1 != pair[0].1 && !(pair[1].1.is_nan() && pair[0].1.is_nan());
            samples.windows(2).filter(changed).count() as f64
        }
        FunctionId::CountOverTime => samples.len() as f64,
        FunctionId::SumOverTime => {
            let (sum, compensation) = samples.iter().fold((0.0, 0.0), |(sum, c), (_, value)| kahan_add(*value, sum, c));
            if f64::is_infinite(sum) { sum } else { sum + compensation }
        }
        FunctionId::AvgOverTime => average(samples),
        FunctionId::MinOverTime => {
            samples[1..].iter().fold(samples[0].1, |best, (_, v)| if *v < best || best.is_nan() { *v } else { best })
        }
        FunctionId::MaxOverTime => {
            samples[1..].iter().fold(samples[0].1, |best, (_, v)| if *v > best || best.is_nan() { *v } else { best })
        }
        FunctionId::LastOverTime => samples[samples.len() - 1].1,
        FunctionId::FirstOverTime => samples[0].1,
        FunctionId::PresentOverTime => 1.0,
        FunctionId::StddevOverTime => variance(samples).sqrt(),
        FunctionId::StdvarOverTime => variance(samples),
        FunctionId::QuantileOverTime => {
            quantile(first_parameter, &mut samples.iter().map(|(_, value)| *value).collect::<Vec<f64>>())
        }
        _ => unreachable!("only functions over a range come here"),
    })
}

/// `extrapolatedRate`: rate, increase, delta.
fn extrapolated(
    samples: &Samples,
    window: &Window,
    counter: bool,
    per_second: bool,
    semantics: &Semantics,
) -> Option<f64> {
    if samples.len() < 2 {
        return None;
    }
    let (first_ts, first) = samples[0];
    let (last_ts, last) = samples[samples.len() - 1];
    let mut result = last - first;
    if counter {
        for pair in samples.windows(2) {
            if pair[1].1 < pair[0].1 {
                result += pair[0].1;
            }
        }
    }
    let times = (first_ts, last_ts, samples.len());
    Some(Extrapolation::new(times, window, counter, per_second, semantics).apply(first, result))
}

/// What of an extrapolation depends on time stamps alone, and so is the same for all series of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extrapolation {
    counter: bool,
    cap_before_zero: bool,
    sampled: f64,
    /// Without the limit at zero; with the threshold only where that comes first.
    to_start: f64,
    to_end: f64,
    average: f64,
    threshold: f64,
    /// The range in seconds, for a value per second.
    range: Option<f64>,
    /// The factor of series that the limit at zero does not concern.
    factor: f64,
    /// The limit concerns no counter whose first sample is more than so many times its change.
    nearest: f64,
}

impl Extrapolation {
    /// For samples from a first to a last time stamp, so many (two or more) in the window.
    pub fn new(
        (first_ts, last_ts, count): (i64, i64, usize),
        window: &Window,
        counter: bool,
        per_second: bool,
        semantics: &Semantics,
    ) -> Self {
        let mut to_start = (first_ts - window.start) as f64 / 1000.0;
        let mut to_end = (window.end - last_ts) as f64 / 1000.0;
        let sampled = (last_ts - first_ts) as f64 / 1000.0;
        let average = sampled / (count - 1) as f64;
        let threshold = average * 1.1;
        if semantics.cap_before_zero && to_start >= threshold {
            to_start = average / 2.0;
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let range = per_second.then(|| (window.end - window.start) as f64 / 1000.0);
        let cap_before_zero = semantics.cap_before_zero;
        let mut times = Extrapolation {
            counter,
            cap_before_zero,
            sampled,
            to_start,
            to_end,
            average,
            threshold,
            range,
            factor: 0.0,
            // A little more than the ratio at which it sets in, for the rounding errors on both ways.
            nearest: if counter { to_start / sampled * (1.0 + 1e-9) } else { f64::NAN },
        };
        times.factor = times.factor_from(to_start);
        times
    }

    /// The value of a series whose first sample is `first` and whose change, resets included, is `result`.
    pub fn apply(&self, first: f64, result: f64) -> f64 {
        if self.counter && result > 0.0 && first >= 0.0 {
            let to_zero = self.sampled * (first / result);
            if to_zero < self.to_start {
                return result * self.factor_from(to_zero);
            }
        }
        result * self.factor
    }

    /// [`Extrapolation::apply`] to series side by side that have no resets: from their first and last samples.
    pub fn apply_to_all(&self, first: &[f64], last: &[f64], values: &mut Vec<f64>) {
        values.resize(first.len(), 0.0);
        let mut near_zero = false;
        for ((first, last), value) in first.iter().zip(last).zip(values.iter_mut()) {
            let result = last - first;
            *value = result * self.factor;
            near_zero |= (result > 0.0) & (*first <= result * self.nearest);
        }
        if near_zero {
            for ((first, last), value) in first.iter().zip(last).zip(values) {
                *value = self.apply(*first, last - first);
            }
        }
    }

    fn factor_from(&self, mut to_start: f64) -> f64 {
        if !self.cap_before_zero && to_start >= self.threshold {
            to_start = self.average / 2.0;
        }
        let factor = (self.sampled + to_start + self.to_end) / self.sampled;
        self.range.map_or(factor, |range| factor / range)
    }
}

/// `instantValue`: irate, idelta.
fn instant_change(samples: &Samples, rate: bool) -> Option<f64> {
    let [.., (previous_ts, previous), (last_ts, last)] = samples else { return None };
    let change = if rate && last < previous { *last } else { last - previous };
    Some(if rate { change / ((last_ts - previous_ts) as f64 / 1000.0) } else { change })
}

/// Slope per second and the value at `origin` (ms).
fn linear_regression(samples: &Samples, origin: i64) -> (f64, f64) {
    let first = samples[0].1;
    if samples[1..].iter().all(|(_, value)| *value == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = samples.len() as f64;
    let mut sums = [(0.0, 0.0); 4];
    for (ts, y) in samples {
        let x = (ts - origin) as f64 / 1e3;
        for (sum, term) in sums.iter_mut().zip([x, *y, x * y, x * x]) {
            *sum = kahan_add(term, sum.0, sum.1);
        }
    }
    let [sum_x, sum_y, sum_xy, sum_x2] = sums.map(|(sum, compensation)| sum + compensation);
    let covariance = sum_xy - sum_x * sum_y / n;
    let variance = sum_x2 - sum_x * sum_x / n;
    let slope = covariance / variance;
    (slope, sum_y / n - slope * sum_x / n)
}

/// `avg_over_time`: a compensated direct mean, an incremental one after overflow.
fn average(samples: &Samples) -> f64 {
    let (mut sum, mut compensation) = (samples[0].1, 0.0);
    let mut mean = 0.0;
    let mut incremental = false;
    let mut count = 1.0;
    for (_, value) in &samples[1..] {
        count += 1.0;
        if !incremental {
            let (new_sum, new_compensation) = kahan_add(*value, sum, compensation);
            if !f64::is_infinite(new_sum) {
                (sum, compensation) = (new_sum, new_compensation);
                continue;
            }
            incremental = true;
            mean = sum / (count - 1.0);
            compensation /= count - 1.0;
        }
        let share = (count - 1.0) / count;
        (mean, compensation) = kahan_add(value / count, share * mean, share * compensation);
    }
    if incremental { mean + compensation } else { sum / count + compensation / count }
}

/// Population variance (`varianceOverTime`, Welford with compensation).
fn variance(samples: &Samples) -> f64 {
    let (mut mean, mut mean_c, mut total, mut total_c, mut count) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (_, value) in samples {
        count += 1.0;
        let delta = value - (mean + mean_c);
        (mean, mean_c) = kahan_add(delta / count, mean, mean_c);
        (total, total_c) = kahan_add(delta * (value - (mean + mean_c)), total, total_c);
    }
    (total + total_c) / count
}

/// `funcDoubleExponentialSmoothing`, in 2.x `funcHoltWinters`.
fn double_exponential(samples: &Samples, smoothing: f64, trending: f64) -> Option<f64> {
    if samples.len() < 2 {
        return None;
    }
    let (mut before, mut now, mut trend) = (0.0, samples[0].1, samples[1].1 - samples[0].1);
    for (index, (_, value)) in samples.iter().enumerate().skip(1) {
        let scaled = smoothing * value;
        if index > 1 {
            trend = trending * (now - before) + (1.0 - trending) * trend;
        }
        let rest = (1.0 - smoothing) * (now + trend);
        (before, now) = (now, scaled + rest);
    }
    Some(now)
}

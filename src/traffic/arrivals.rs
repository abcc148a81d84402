//! Times of open-loop arrivals.
//!
//! Gaps are drawn one per arrival from one stream and summed in whole picoseconds.

use crate::traffic::Arrivals;
use crate::units::{SimDuration, SimTime, Stream, math};

/// Faster than any test could want; a gap must not round to nothing, or time would stand still.
const MAX_RATE: f64 = 1e9;

/// The next arrival and what the one after it needs.
#[derive(Clone, Debug)]
pub(crate) struct OpenLoop {
    process: Process,
    stream: Stream,
    /// [`SimTime::NEVER`] once it lies at or after `stop`.
    next: SimTime,
    stop: SimTime,
}

#[derive(Clone, Debug)]
enum Process {
    /// Renewal process with gamma gaps of mean 1/`rate`; `shape` is 1/cv².
    Gamma { rate: f64, shape: f64 },
    /// Gamma of shape 1.
    Poisson { rate: f64 },
    /// Gaps without variation.
    Even { rate: f64 },
    /// Absolute end and rate of each stage; `current` holds the time of the last arrival.
    Stages { stages: Vec<(SimTime, f64)>, current: usize },
}

impl OpenLoop {
    /// The first arrival comes one gap after `start`.
    pub(crate) fn new(arrivals: &Arrivals, start: SimTime, stop: SimTime, stream: Stream) -> Self {
        let process = match arrivals {
            Arrivals::Poisson { rate } => Process::Poisson { rate: checked_rate(*rate) },
            Arrivals::Gamma { rate, cv } => {
                let rate = checked_rate(*rate);
                assert!(cv.is_finite() && *cv >= 0.0, "found a coefficient of variation of {cv}, expected 0 or more");
                if *cv == 0.0 { Process::Even { rate } } else { Process::Gamma { rate, shape: 1.0 / (cv * cv) } }
            }
            Arrivals::Stages(stages) => {
                let mut end = start;
                let mut absolute = Vec::with_capacity(stages.len());
                for (duration, rate) in stages {
                    end = end.saturating_add(*duration);
                    absolute.push((end, if *rate == 0.0 { 0.0 } else { checked_rate(*rate) }));
                }
                Process::Stages { stages: absolute, current: 0 }
            }
            Arrivals::ClosedLoop { .. } | Arrivals::Recorded(_) => unreachable!("not an open loop with drawn gaps"),
        };
        let mut open_loop = OpenLoop { process, stream, next: start, stop };
        open_loop.advance();
        open_loop
    }
    /// When the next request is sent.
    pub(crate) fn next(&self) -> Option<SimTime> {
        (self.next != SimTime::NEVER).then_some(self.next)
    }
    /// Goes on to the arrival after the next.
    pub(crate) fn advance(&mut self) {
        let stream = &mut self.stream;
        let after = |seconds: f64| self.next.saturating_add(SimDuration::from_secs_f64(seconds));
        let next = match &mut self.process {
            Process::Poisson { rate } => after(stream.exponential() / *rate),
            Process::Gamma { rate, shape } => after(gamma(stream, *shape) / (*shape * *rate)),
            Process::Even { rate } => after(1.0 / *rate),
            Process::Stages { stages, current } => next_in_stages(stages, current, self.next, stream.exponential()),
        };
        self.next = if next < self.stop { next } else { SimTime::NEVER };
    }
}

fn checked_rate(rate: f64) -> f64 {
    assert!(
        rate > 0.0 && rate <= MAX_RATE,
        "found {rate} requests per second, expected more than 0, at most {MAX_RATE}"
    );
    rate
}

/// The time after `from` at which the rate's integral has grown by `load` (one exponential per arrival, spread over the
/// stages it takes: the time change of an inhomogeneous Poisson process), or never.
fn next_in_stages(stages: &[(SimTime, f64)], current: &mut usize, from: SimTime, load: f64) -> SimTime {
    let (mut from, mut load) = (from, load);
    while let Some((end, rate)) = stages.get(*current) {
        if *rate > 0.0 {
            let at = from.saturating_add(SimDuration::from_secs_f64(load / rate));
            if at < *end {
                return at;
            }
        }
        load = (load - rate * end.since(from).as_secs_f64_exact()).max(0.0);
        from = *end;
        *current += 1;
    }
    SimTime::NEVER
}

/// Gamma with mean `shape` and scale 1 (Marsaglia and Tsang, "A Simple Method for Generating Gamma Variables", 2000;
/// below shape 1 with their boost by a uniform's power).
fn gamma(stream: &mut Stream, shape: f64) -> f64 {
    if shape < 1.0 {
        let boost = math::pow(stream.uniform_positive(), 1.0 / shape);
        return gamma(stream, shape + 1.0) * boost;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = stream.normal();
        let v = 1.0 + c * x;
        // The uniform is drawn in any case, which keeps the draws per trial constant.
        let u = stream.uniform_positive();
        if v > 0.0 {
            let v = v * v * v;
            if math::ln(u) < 0.5 * x * x + d - d * v + d * math::ln(v) {
                return d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;

    #[test]
    fn gamma_has_mean_and_variance_equal_to_its_shape() {
        for shape in [0.1, 0.5, 1.0, 4.0, 100.0] {
            let mut stream = Seed(3).stream("test", 0);
            let draws: Vec<f64> = (0..200_000).map(|_| gamma(&mut stream, shape)).collect();
            let mean = draws.iter().sum::<f64>() / 200_000.0;
            let variance = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum::<f64>() / 200_000.0;
            assert!((mean / shape - 1.0).abs() < 0.02, "shape {shape}: mean {mean}");
            assert!((variance / shape - 1.0).abs() < 0.04, "shape {shape}: variance {variance}");
        }
    }

    #[test]
    fn a_load_is_spread_over_stages() {
        // 1/s for 10 s, nothing for 10 s, 2/s for 10 s: a load of 14 is used up 2 s into the last stage.
        let stages = [(SimTime::from_secs(10), 1.0), (SimTime::from_secs(20), 0.0), (SimTime::from_secs(30), 2.0)];
        let at = |load: f64| next_in_stages(&stages, &mut 0, SimTime::ZERO, load);
        assert_eq!(at(4.0), SimTime::from_secs(4));
        assert_eq!(at(14.0), SimTime::from_secs(22));
        assert_eq!(at(31.0), SimTime::NEVER);
    }
}

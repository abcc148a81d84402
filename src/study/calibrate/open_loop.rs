//! What the rate of answers says in an open loop: the luck of its arrivals, unless the engine could not keep up.

use crate::study::calibrate::consistency::{latency, requests};
use crate::study::calibrate::{Load, Measurement, Quantity, Stop};

/// Beyond so many standard deviations of a Poisson process below the rate that was asked for, the engine did not keep up.
const BEHIND: f64 = 4.0;
/// Nor within this share, however many requests there were: what starting and ending a run costs.
const LEAST: f64 = 0.05;

/// Why requests were answered at the rate at which they were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answers {
    /// As fast as the engine could: a closed loop, or an open one that it could not keep up with.
    ByTheEngine,
    /// As they came. The rate at which they really came, 1/s, where the run tells it.
    AsTheyCame(Option<f64>),
}

/// What decided the rate of answers of `run`.
pub(super) fn answers(run: &Measurement) -> Answers {
    let Load::Rate { per_second, even, .. } = run.load else { return Answers::ByTheEngine };
    let (prompt, output) = run.lengths.means();
    let of = |quantity: Quantity, tokens: f64| {
        // A rate over a part of the run tells nothing of the whole.
        let own = run.observed.iter().find(|own| own.quantity == quantity && own.fitted)?;
        Some(own.value / tokens)
    };
    let rate = of(Quantity::TokensPerSecond, prompt + output).or_else(|| of(Quantity::OutputTokensPerSecond, output));
    let Some(answered) = rate else { return Answers::AsTheyCame(None) };
    let latency = latency(run);
    let requests = requests(run, answered);
    // A run lasts from its start to its last answer, which comes a latency after the last arrival.
    let came = match run.stop {
        Stop::Requests(_) => {
            let sending = requests / answered - latency.unwrap_or(0.0);
            if sending > 0.0 { (requests - 1.0) / sending } else { per_second }
        }
        Stop::Seconds(seconds) => answered * (seconds + latency.unwrap_or(0.0)) / seconds,
    };
    let scatter = if even { LEAST } else { LEAST.max(BEHIND / requests.sqrt()) };
    if came < per_second * (1.0 - scatter) {
        return Answers::ByTheEngine;
    }
    let is_told = latency.is_some() && requests > 1.0 && came <= per_second * (1.0 + scatter);
    Answers::AsTheyCame(is_told.then_some(came))
}

//! Traffic as resolved: no optional field that has a default.

use crate::traffic::{LengthDistribution, Trace};
use crate::units::{SimDuration, SimTime};
use std::sync::Arc;

/// When requests are sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Open loop, exponential gaps, `rate` per second (> 0).
    Poisson {
        /// Requests per second, more than 0.
        rate: f64,
    },
    /// Open loop, gamma gaps of mean 1/`rate` and coefficient of variation `cv`.
    Gamma {
        /// Requests per second, more than 0.
        rate: f64,
        /// Standard deviation of the gaps over their mean: 0 is even, 1 is Poisson, more is bursty.
        cv: f64,
    },
    /// Open loop, piecewise-constant Poisson: each stage lasts `duration` at `rate` per second (0 allowed); after the last
    /// stage nothing is sent.
    Stages(Vec<(SimDuration, f64)>),
    /// Closed loop: `workers` clients, each sending, waiting for the response, thinking for `think`, sending again. All send
    /// their first request at the start.
    ClosedLoop {
        /// How many clients, at most 2^24.
        workers: u32,
        /// From a response to the next request.
        think: SimDuration,
    },
    /// A recorded trace: times and both lengths come from its rows.
    Recorded(Arc<Trace>),
}

/// One source of traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficSpec {
    /// When requests are sent.
    pub arrivals: Arrivals,
    /// Prompt tokens (unused by a recorded trace).
    pub prompt: LengthDistribution,
    /// How many output tokens an answer has of itself (unused by a recorded trace).
    pub output: LengthDistribution,
    /// The `max_tokens` of every request: longer answers are cut there. `None` where clients name none (and unused by a
    /// recorded trace, whose rows have their own).
    pub max_tokens: Option<u32>,
    /// Nothing is sent before.
    pub start: SimTime,
    /// Nothing is sent at or after; [`SimTime::NEVER`] when unbounded.
    pub stop: SimTime,
}

impl TrafficSpec {
    /// The mean tokens of drawn answers, as far as the clients let them go.
    pub fn mean_output(&self) -> f64 {
        self.output.mean_up_to(self.max_tokens.unwrap_or(u32::MAX))
    }
}

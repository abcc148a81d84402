//! Series that the simulator cannot produce and the user gives: a value over the run's time.
//!
//! Reading them from files is not done here.

use crate::series::{Labels, MetricKind};
use crate::units::{SimDuration, SimTime, math};
use std::sync::Arc;

/// A value over the run's time, in the unit of whatever it stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// Always the same.
    Constant(f64),
    /// `from` until `at` (exclusive), then `to`.
    Step {
        /// Before.
        from: f64,
        /// From `at` on.
        to: f64,
        /// When it changes.
        at: SimTime,
    },
    /// `from` until `start`, `to` from `end` on, a straight line between.
    Ramp {
        /// Before.
        from: f64,
        /// After.
        to: f64,
        /// Where the line starts.
        start: SimTime,
        /// Where it ends; later than `start`.
        end: SimTime,
    },
    /// `mean + amplitude * sin(2 pi t / period)`.
    Sine {
        /// In the middle.
        mean: f64,
        /// Above and below.
        amplitude: f64,
        /// Of one swing.
        period: SimDuration,
    },
    /// `high` for the first half of every period, then `low`: a square wave.
    Oscillate {
        /// Second half.
        low: f64,
        /// First half.
        high: f64,
        /// Of both halves together.
        period: SimDuration,
    },
    /// Recorded points in order of time; each holds until the next. `None`: the source gives no answer there, as before the
    /// first point.
    Points(Arc<[(SimTime, Option<f64>)]>),
}

/// What the user gives for one trigger that cannot be simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerSignal {
    /// The metric's value.
    pub value: Signal,
    /// What a scaler answers to `IsActive`, above 0 meaning yes; for scalers that decide it apart from the value (`external`,
    /// `external-push`). `None`: as the trigger type does.
    pub active: Option<Signal>,
    /// The target that an external scaler reports, and that of types whose own key for it is not known.
    pub target: Option<f64>,
}

/// A series that Prometheus scrapes beside those of the pods.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalSeries {
    /// Name (as `__name__`) and labels.
    pub labels: Labels,
    /// A gauge shows `value`; a counter grows at `value` per second from 0 at the run's start.
    pub kind: MetricKind,
    /// See `kind`.
    pub value: Signal,
}

/// `signals` of a Scenario, or the file of `--signals`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// By the trigger's `name`, its metric name (`s1-kafka`) or its position (`triggers[1]`), in the order written.
    pub triggers: Vec<(String, TriggerSignal)>,
    /// Scraped series.
    pub series: Vec<SignalSeries>,
}

impl Signal {
    /// The value at `t`; `None` where the source gives no answer.
    pub fn value_at(&self, t: SimTime) -> Option<f64> {
        match self {
            Signal::Constant(value) => Some(*value),
            Signal::Step { from, to, at } => Some(if t < *at { *from } else { *to }),
            Signal::Ramp { from, to, start, end } => {
                let (whole, done) = (end.saturating_since(*start), t.saturating_since(*start));
                let share = if done >= whole { 1.0 } else { done.as_secs_f64() / whole.as_secs_f64() };
                Some(from + (to - from) * share)
            }
            Signal::Sine { mean, amplitude, period } => {
                let turn = t.as_ps() % period.as_ps();
                let angle = std::f64::consts::TAU * (turn as f64 / period.as_ps() as f64);
                Some(mean + amplitude * math::sin(angle))
            }
            Signal::Oscillate { low, high, period } => {
                let turn = t.as_ps() % period.as_ps();
                Some(if turn < period.as_ps() / 2 { *high } else { *low })
            }
            Signal::Points(points) => {
                let after = points.partition_point(|(at, _)| *at <= t);
                after.checked_sub(1).and_then(|index| points[index].1)
            }
        }
    }
}

//! Series that the simulator cannot produce and the user gives: a value over the run's time.
//!
//! Reading them from files is not done here.

use crate::series::{Labels, MetricKind};
use crate::units::{Located, SimDuration, SimTime, math};
use std::fmt;
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
    /// Recorded points; each holds until the next, the last for ever. `None`: the source gives no answer there, as before
    /// the first point.
    Points(SignalPoints),
}

/// Recorded points in order of time, with what a counter that grows at their values shows at each. Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct SignalPoints(Arc<[Point]>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    at: SimTime,
    value: Option<f64>,
    /// The integral of the values up to `at`; where there is none they count as 0.
    before: f64,
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
    /// A gauge shows `value`; a counter grows at `value` per second (never negative) from 0 at the run's start.
    pub kind: MetricKind,
    /// See `kind`.
    pub value: Signal,
}

/// `signals` of a Scenario, or the file of `--signals`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// By the trigger's `name`, its metric name (`s1-kafka`) or its position (`triggers[1]`), in the order written.
    pub triggers: Vec<(Located<String>, TriggerSignal)>,
    /// Scraped series.
    pub series: Vec<SignalSeries>,
}

impl Signal {
    /// The first instant after `now` up to which the signal is constant or monotone (a jump lies at its end).
    pub fn next_corner(&self, now: SimTime) -> Option<SimTime> {
        let next_of = |step: u64| {
            let step = step.max(1);
            (now.as_ps() / step).checked_add(1)?.checked_mul(step).map(SimTime::from_ps)
        };
        let first_of = |corners: &[SimTime]| corners.iter().copied().filter(|at| *at > now).min();
        match self {
            Signal::Constant(_) => None,
            Signal::Step { at, .. } => first_of(&[*at]),
            Signal::Ramp { start, end, .. } => first_of(&[*start, *end]),
            // A quarter that is rounded down would drift away from the peaks; they are counted from the turn's start.
            Signal::Sine { period, .. } => {
                let turn = now.as_ps() / period.as_ps() * period.as_ps();
                let quarters = [1, 2, 3, 4].map(|quarter| {
                    let part = u128::from(period.as_ps()) * quarter / 4;
                    SimTime::from_ps(turn.saturating_add(u64::try_from(part).unwrap_or(u64::MAX)))
                });
                first_of(&quarters)
            }
            Signal::Oscillate { period, .. } => {
                let turn = now.as_ps() / period.as_ps() * period.as_ps();
                let half = SimTime::from_ps(turn.saturating_add(period.as_ps() / 2));
                if half > now { Some(half) } else { next_of(period.as_ps()) }
            }
            Signal::Points(points) => points.next_after(now),
        }
    }

    /// When it changes for the last time; `None` when never, or when it goes on for ever.
    pub fn last_change(&self) -> Option<SimTime> {
        match self {
            Signal::Constant(_) | Signal::Sine { .. } | Signal::Oscillate { .. } => None,
            Signal::Step { at, .. } => Some(*at),
            Signal::Ramp { end, .. } => Some(*end),
            Signal::Points(points) => points.iter().next_back().map(|(at, _)| at),
        }
    }

    /// The value at `t`; `None` where the source gives no answer.
    pub fn value_at(&self, t: SimTime) -> Option<f64> {
        match self {
            Signal::Constant(value) => Some(*value),
            Signal::Step { from, to, at } => Some(if t < *at { *from } else { *to }),
            Signal::Ramp { from, to, start, end } => {
                let (whole, done) = (end.saturating_since(*start), t.saturating_since(*start));
                let share = if done >= whole { 1.0 } else { done.as_ps() as f64 / whole.as_ps() as f64 };
                let value = from * (1.0 - share) + to * share;
                Some(value.clamp(from.min(*to), from.max(*to)))
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
            Signal::Points(points) => points.last_at(t).and_then(|point| point.value),
        }
    }

    /// The integral of the value (where there is none, of 0) from the run's start to `t`, in units times seconds: what a
    /// counter shows that grows at this rate per second.
    ///
    /// Every form is a sum of products of which no factor falls as `t` grows, as long as no value is negative. So
    /// rounding never makes a counter fall, which Prometheus would take for a restart.
    pub fn integral_to(&self, t: SimTime) -> f64 {
        let elapsed = seconds(t, SimTime::ZERO);
        match self {
            Signal::Constant(value) => value * elapsed,
            Signal::Step { from, to, at } => from * seconds(t.min(*at), SimTime::ZERO) + to * seconds(t, *at),
            Signal::Ramp { from, to, start, end } => {
                let shape = if to >= from { rising(t, *start, *end) } else { falling(t, *start, *end) };
                from.min(*to) * elapsed + (to - from).abs() * shape
            }
            Signal::Sine { mean, amplitude, period } => {
                let size = amplitude.abs();
                let swing = size * period.as_secs_f64_exact() * turns_of_swing(t, *period, *amplitude < 0.0);
                (mean - size) * elapsed + swing
            }
            Signal::Oscillate { low, high, period } => {
                let (whole, half) = (period.as_ps(), period.as_ps() / 2);
                let (turns, turn) = (t.as_ps() / whole, t.as_ps() % whole);
                let high_ps = turns * half + turn.min(half);
                let time = |ps: u64| SimDuration::from_ps(ps).as_secs_f64_exact();
                high * time(high_ps) + low * time(t.as_ps() - high_ps)
            }
            Signal::Points(points) => {
                points.last_at(t).map_or(0.0, |point| point.before + point.value.unwrap_or(0.0) * seconds(t, point.at))
            }
        }
    }
}

/// Seconds from `earlier` to `t`, 0 when `earlier` is later.
fn seconds(t: SimTime, earlier: SimTime) -> f64 {
    t.saturating_since(earlier).as_secs_f64_exact()
}

/// The integral of a ramp from 0 to 1.
fn rising(t: SimTime, start: SimTime, end: SimTime) -> f64 {
    let (whole, done) = (seconds(end, start), seconds(t.min(end), start));
    let line = if done > 0.0 { 0.5 * done * (done / whole) } else { 0.0 };
    line + seconds(t, end)
}

/// The integral of a ramp from 1 to 0: what is still to come is taken off the whole.
fn falling(t: SimTime, start: SimTime, end: SimTime) -> f64 {
    let before = seconds(start, SimTime::ZERO);
    if t <= start {
        return seconds(t, SimTime::ZERO);
    }
    let (whole, left) = (seconds(end, start), seconds(end, t));
    let full = before + 0.5 * whole;
    (full - 0.5 * left * (left / whole)).clamp(before, full)
}

/// The integral of `1 + sin` (or `1 - sin`) of the turns up to `t`, in periods. Within a turn the angle counts from where
/// the rate is 0: there the usual `1 - cos` would lose the little growth to rounding.
fn turns_of_swing(t: SimTime, period: SimDuration, is_mirrored: bool) -> f64 {
    let (turns, turn) = (t.as_ps() / period.as_ps(), t.as_ps() % period.as_ps());
    let lowest = if is_mirrored { 0.25 } else { 0.75 };
    let grown = |share: f64| less_sine(std::f64::consts::TAU * (share - lowest));
    let share = turn as f64 / period.as_ps() as f64;
    let part = (grown(share) - grown(0.0)) / std::f64::consts::TAU;
    turns as f64 + part.clamp(0.0, 1.0)
}

/// `x - sin(x)`, exact near zero: there by its Taylor series.
fn less_sine(x: f64) -> f64 {
    if x.abs() >= 0.5 {
        return x - math::sin(x);
    }
    let square = x * x;
    let tail = [210.0, 156.0, 110.0, 72.0, 42.0, 20.0].iter().fold(1.0, |tail, step| 1.0 - square / step * tail);
    x * square / 6.0 * tail
}

impl SignalPoints {
    /// The point that holds at `t`.
    fn last_at(&self, t: SimTime) -> Option<&Point> {
        let after = self.0.partition_point(|point| point.at <= t);
        after.checked_sub(1).map(|index| &self.0[index])
    }
    /// Time and value of each point.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (SimTime, Option<f64>)> {
        self.0.iter().map(|point| (point.at, point.value))
    }
    /// When the first point after `t` comes.
    pub fn next_after(&self, t: SimTime) -> Option<SimTime> {
        self.0.get(self.0.partition_point(|point| point.at <= t)).map(|point| point.at)
    }
    /// How many points.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(SimTime, Option<f64>)>> for SignalPoints {
    /// # Panics
    /// When a time is not after the one before.
    fn from(points: Vec<(SimTime, Option<f64>)>) -> Self {
        let mut last: Option<Point> = None;
        let with_sums = points.into_iter().map(|(at, value)| {
            let before = last.map_or(0.0, |last| {
                assert!(last.at < at, "points are in order of time: {at} follows {}", last.at);
                last.before + last.value.unwrap_or(0.0) * seconds(at, last.at)
            });
            let point = Point { at, value, before };
            last = Some(point);
            point
        });
        SignalPoints(with_sums.collect())
    }
}

impl fmt::Debug for SignalPoints {
    /// The first points stand for all: recordings are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<_> = self.iter().take(10).collect();
        write!(f, "{} points {shown:?}", self.len())
    }
}

impl SignalSeries {
    /// What a scrape that starts at `t` finds: a gauge's value, a counter's sum. `None`: the series is not there, because
    /// the source gives no answer then; a counter does not grow meanwhile.
    pub fn sample_at(&self, t: SimTime) -> Option<f64> {
        let value = self.value.value_at(t)?;
        Some(if self.kind == MetricKind::Counter { self.value.integral_to(t) } else { value })
    }
}

//! Virtual time in integer picoseconds.
//!
//! A `u64` of picoseconds spans 213 days. Step times get integer coefficients once, when a profile is resolved, so
//! that sums are exact however a run of steps is cut; floats would make the answer depend on the cuts.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

const PS_PER_SECOND: u64 = 1_000_000_000_000;
const PS_PER_MILLI: u64 = 1_000_000_000;
const PS_PER_MICRO: u64 = 1_000_000;

/// An instant: picoseconds since the run's start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimTime(u64);

/// A length of virtual time in picoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SimDuration(u64);

impl SimTime {
    /// The run's start.
    pub const ZERO: SimTime = SimTime(0);
    /// Later than any event: "never".
    pub const NEVER: SimTime = SimTime(u64::MAX);

    /// From picoseconds since the run's start.
    pub const fn from_ps(ps: u64) -> Self {
        SimTime(ps)
    }
    /// From whole seconds since the run's start.
    pub const fn from_secs(seconds: u64) -> Self {
        SimTime(seconds * PS_PER_SECOND)
    }
    /// From milliseconds since the run's start.
    pub const fn from_millis(millis: u64) -> Self {
        SimTime(millis * PS_PER_MILLI)
    }
    /// Picoseconds since the run's start.
    pub const fn as_ps(self) -> u64 {
        self.0
    }
    /// Milliseconds since the run's start, rounded down (what a millisecond clock shows).
    pub const fn as_millis_floor(self) -> u64 {
        self.0 / PS_PER_MILLI
    }
    /// Whole seconds since the run's start, rounded down (what an API time stamp shows).
    pub const fn as_secs_floor(self) -> u64 {
        self.0 / PS_PER_SECOND
    }
    /// The whole second it lies in, as an API time stamp holds it.
    pub const fn floor_to_second(self) -> Self {
        Self::from_secs(self.as_secs_floor())
    }
    /// Seconds since the run's start, to the nearest microsecond: the form that output files carry.
    pub fn as_secs_f64(self) -> f64 {
        SimDuration(self.0).as_secs_f64()
    }
    /// Time since `earlier`.
    ///
    /// # Panics
    /// When `earlier` is later than `self`: the clock never runs backwards.
    pub fn since(self, earlier: SimTime) -> SimDuration {
        assert!(earlier <= self, "time runs backwards: {earlier} is after {self}");
        SimDuration(self.0 - earlier.0)
    }
    /// Time since `earlier`, or zero when `earlier` is later.
    pub fn saturating_since(self, earlier: SimTime) -> SimDuration {
        SimDuration(self.0.saturating_sub(earlier.0))
    }
    /// `self + duration`, or [`SimTime::NEVER`] when that lies beyond the clock's range.
    pub fn saturating_add(self, duration: SimDuration) -> SimTime {
        SimTime(self.0.saturating_add(duration.0))
    }
}

impl SimDuration {
    /// No time.
    pub const ZERO: SimDuration = SimDuration(0);
    /// The longest representable duration.
    pub const MAX: SimDuration = SimDuration(u64::MAX);

    /// From picoseconds.
    pub const fn from_ps(ps: u64) -> Self {
        SimDuration(ps)
    }
    /// From whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        SimDuration(seconds * PS_PER_SECOND)
    }
    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        SimDuration(millis * PS_PER_MILLI)
    }
    /// From microseconds.
    pub const fn from_micros(micros: u64) -> Self {
        SimDuration(micros * PS_PER_MICRO)
    }
    /// From seconds, rounded to the nearest picosecond; negative and NaN become zero, too long becomes the maximum.
    pub fn from_secs_f64(seconds: f64) -> Self {
        // `as` saturates: NaN and negatives give 0.
        SimDuration((seconds * PS_PER_SECOND as f64).round() as u64)
    }
    /// Picoseconds.
    pub const fn as_ps(self) -> u64 {
        self.0
    }
    /// Whole milliseconds, rounded down.
    pub const fn as_millis_floor(self) -> u64 {
        self.0 / PS_PER_MILLI
    }
    /// Seconds to the nearest microsecond: the form that output files carry.
    pub fn as_secs_f64(self) -> f64 {
        // Two exact integers and one division: the same bits on every machine.
        ((self.0 + PS_PER_MICRO / 2) / PS_PER_MICRO) as f64 / 1e6
    }
    /// Seconds without rounding to microseconds first, for values that enter further arithmetic.
    pub fn as_secs_f64_exact(self) -> f64 {
        self.0 as f64 / PS_PER_SECOND as f64
    }
    /// True for zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    /// `self - other`, not below zero.
    pub const fn saturating_sub(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0.saturating_sub(other.0))
    }
    /// `self * factor`.
    pub const fn times(self, factor: u64) -> SimDuration {
        SimDuration(self.0 * factor)
    }
}

impl Add<SimDuration> for SimTime {
    type Output = SimTime;
    fn add(self, duration: SimDuration) -> SimTime {
        SimTime(self.0 + duration.0)
    }
}

impl AddAssign<SimDuration> for SimTime {
    fn add_assign(&mut self, duration: SimDuration) {
        self.0 += duration.0;
    }
}

impl Add for SimDuration {
    type Output = SimDuration;
    fn add(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0 + other.0)
    }
}

impl AddAssign for SimDuration {
    fn add_assign(&mut self, other: SimDuration) {
        self.0 += other.0;
    }
}

impl Sub for SimDuration {
    type Output = SimDuration;
    fn sub(self, other: SimDuration) -> SimDuration {
        SimDuration(self.0 - other.0)
    }
}

impl fmt::Display for SimDuration {
    /// As a person writes it: `1h2m3.5s`, `45s`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = (self.0 + PS_PER_MILLI / 2) / PS_PER_MILLI;
        if millis < 1000 {
            return write!(f, "{millis}ms");
        }
        let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if rest > 0 || (hours == 0 && minutes == 0) {
            write!(f, "{}s", rest as f64 / 1000.0)?;
        }
        Ok(())
    }
}

impl fmt::Display for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == SimTime::NEVER { f.write_str("never") } else { SimDuration(self.0).fmt(f) }
    }
}

impl fmt::Debug for SimTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimTime({}ps = {self})", self.0)
    }
}

impl fmt::Debug for SimDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimDuration({}ps = {self})", self.0)
    }
}

impl serde::Serialize for SimTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_secs_f64())
    }
}

impl serde::Serialize for SimDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_secs_f64())
    }
}

impl<'de> serde::Deserialize<'de> for SimTime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SimDuration::deserialize(deserializer).map(|duration| SimTime(duration.0))
    }
}

impl<'de> serde::Deserialize<'de> for SimDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(SimDuration::from_secs_f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_in_files_are_rounded_to_microseconds() {
        assert_eq!(SimTime::from_ps(1_234_567_890_123).as_secs_f64(), 1.234_568);
        assert_eq!(SimTime::from_millis(15_250).as_secs_f64(), 15.25);
    }

    #[test]
    fn durations_print_as_people_write_them() {
        let shown = [(0, "0ms"), (250, "250ms"), (45_000, "45s"), (90_500, "1m30.5s"), (3_600_000, "1h")];
        for (millis, text) in shown {
            assert_eq!(SimDuration::from_millis(millis).to_string(), text);
        }
    }

    #[test]
    #[should_panic(expected = "time runs backwards")]
    fn the_clock_never_runs_backwards() {
        let _ = SimTime::ZERO.since(SimTime::from_secs(1));
    }
}

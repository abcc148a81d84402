//! Where the marks of an axis stand: round numbers, and for logarithmic axes 1, 2 and 5 of each decade.

use crate::units::math;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// A linear axis with marks of our own choice.
pub(super) struct Axis {
    /// What it spans.
    pub range: Range<f64>,
    /// Where its marks stand.
    pub marks: Vec<f64>,
}

impl Ranged for Axis {
    type ValueType = f64;
    type FormatOption = DefaultFormatting;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.range.start) / (self.range.end - self.range.start);
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light marks would be drawn as lines between the bold ones; there are none.
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, at most `most`; whole numbers only when `whole`.
pub(super) fn linear(range: &Range<f64>, most: usize, whole: bool) -> Vec<f64> {
    let span = range.end - range.start;
    if !span.is_finite() || span <= 0.0 || most == 0 {
        return Vec::new();
    }
    let lowest = math::log10(span / most as f64).floor() as i32;
    let steps = (lowest..lowest + 3).flat_map(|decade| [(1, decade), (2, decade), (5, decade)]);
    for (digit, decade) in steps {
        // Marks are integers times the step, divided where the step is below one, so that 0.3 is 0.3.
        let (numerator, denominator) = (f64::from(digit) * power(decade.max(0)), power((-decade).max(0)));
        if whole && denominator > 1.0 {
            continue;
        }
        let first = (range.start * denominator / numerator).ceil();
        let last = (range.end * denominator / numerator).floor();
        if last - first < most as f64 {
            let count = (last - first).max(-1.0) as usize + 1;
            return (0..count).map(|index| (first + index as f64) * numerator / denominator).collect();
        }
    }
    Vec::new()
}

/// Marks of a time axis from 0 to `end`, in steps that a clock has (5, 10, 15, 30 of a unit with 60 parts).
pub(super) fn time(end: f64, most: usize, sixty: bool) -> Vec<f64> {
    if !sixty || end <= most as f64 {
        return linear(&(0.0..end), most, false);
    }
    let steps = [1, 2, 5, 10, 15, 20, 30, 60, 120];
    let step = steps.into_iter().map(f64::from).find(|step| end / step < most as f64).unwrap_or(240.0);
    (0..=(end / step).floor() as u32).map(|index| f64::from(index) * step).collect()
}

/// Marks of an axis of logarithms: 1, 2, 5 of each decade, only the 1 when that would be more than `most`.
pub(super) fn logarithmic(range: &Range<f64>, most: usize) -> Vec<f64> {
    let decades = range.start.floor() as i32..=range.end.ceil() as i32;
    let marks = |digits: &[f64]| -> Vec<f64> {
        let all =
            decades.clone().flat_map(|decade| digits.iter().map(move |digit| f64::from(decade) + math::log10(*digit)));
        all.filter(|mark| range.contains(mark)).collect()
    };
    [&[1.0, 2.0, 5.0][..], &[1.0, 3.0]]
        .into_iter()
        .map(marks)
        .find(|marks| marks.len() <= most)
        .unwrap_or_else(|| marks(&[1.0]))
}

fn power(exponent: i32) -> f64 {
    math::pow(10.0, f64::from(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(linear(&(0.0..0.86), 5, false), [0.0, 0.2, 0.4, 0.6, 0.8]);
        assert_eq!(linear(&(0.0..10.8), 5, false), [0.0, 5.0, 10.0]);
        assert_eq!(linear(&(0.0..2.3), 5, true), [0.0, 1.0, 2.0]);
        assert_eq!(linear(&(0.0..0.31), 4, false), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(linear(&(0.0..6.5e7), 5, false), [0.0, 2e7, 4e7, 6e7]);
        assert_eq!(linear(&(1.0..1.0), 5, false), [] as [f64; 0]);
        assert_eq!(time(30.0, 13, true), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0]);
        assert_eq!(time(180.0, 13, true).len(), 13);
        assert_eq!(logarithmic(&(-1.1..0.7), 6).len(), 6);
        assert_eq!(logarithmic(&(-3.0..5.0), 6).len(), 8);
    }
}

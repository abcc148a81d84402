//! Numbers in sentences: as few digits as show what was decided on them. They are written at the end of a sentence that
//! grows: each decision's line has a dozen of them.

use std::fmt::Write as _;

/// A number in milli units, exactly.
pub(super) fn push_milli(out: &mut String, milli: i64) {
    if milli < 0 {
        out.push('-');
    }
    let size = milli.unsigned_abs();
    write!(out, "{}", size / 1000).expect("writing to memory does not fail");
    let mut thousandths = size % 1000;
    if thousandths > 0 {
        out.push('.');
    }
    while thousandths > 0 {
        let digit = u32::try_from(thousandths / 100).ok().and_then(|digit| char::from_digit(digit, 10));
        out.push(digit.expect("the hundreds of what is below 1000 are one digit"));
        thousandths = thousandths % 100 * 10;
    }
}

/// Two decimals, or what four significant digits take below 1.
pub(super) fn short_text(value: f64) -> String {
    let mut text = String::new();
    push_short(&mut text, value);
    text
}

/// As [`short_text`].
pub(super) fn push_short(out: &mut String, value: f64) {
    push_rounded(out, value, decimals(value));
}

/// A number that is rounded up next: with more digits where two decimals would hide that it is above a whole number.
pub(super) fn push_quotient(out: &mut String, value: f64) {
    push_first_that(out, value, |shown| shown.ceil() == value.ceil());
}

/// A ratio as tested: with more digits where two decimals would put it on the other side of the band's edge.
pub(super) fn push_ratio(out: &mut String, ratio: f64, within: Option<bool>, (low, high): (f64, f64)) {
    let is_within = |shown: f64| (low..=high).contains(&shown);
    push_first_that(out, ratio, |shown| within.is_none_or(|within| within == is_within(shown)));
}

fn push_first_that(out: &mut String, value: f64, right: impl Fn(f64) -> bool) {
    let start = out.len();
    for decimals in decimals(value)..=12 {
        push_rounded(out, value, decimals);
        if out[start..].parse().is_ok_and(&right) {
            return;
        }
        out.truncate(start);
    }
    push_short(out, value);
}

fn decimals(value: f64) -> usize {
    match value.abs() {
        size if size >= 0.1 || size == 0.0 => 2,
        size if size >= 0.01 => 3,
        size if size >= 0.001 => 4,
        _ => 6,
    }
}

fn push_rounded(out: &mut String, value: f64, decimals: usize) {
    let start = out.len();
    write!(out, "{value:.decimals$}").expect("writing to memory does not fail");
    drop_trailing_zeros(out, start);
}

/// Of the decimals of the number that begins at `start`, where there are any.
fn drop_trailing_zeros(out: &mut String, start: usize) {
    let number = &out[start..];
    if number.contains('.') {
        let kept = number.trim_end_matches('0').trim_end_matches('.').len();
        out.truncate(start + kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(push: impl FnOnce(&mut String)) -> String {
        // What stands before a number stays as it is.
        let mut text = "1.00".to_owned();
        push(&mut text);
        text.strip_prefix("1.00").expect("it only grows").to_owned()
    }

    fn milli_text(milli: i64) -> String {
        pushed(|out| push_milli(out, milli))
    }

    fn quotient_text(value: f64) -> String {
        pushed(|out| push_quotient(out, value))
    }

    fn ratio_text(ratio: f64, within: Option<bool>, band: (f64, f64)) -> String {
        pushed(|out| push_ratio(out, ratio, within, band))
    }

    #[test]
    fn milli_units_are_exact() {
        let table = [
            (16_580, "16.58"),
            (5_000, "5"),
            (10, "0.01"),
            (-7, "-0.007"),
            (0, "0"),
            (95_071_000, "95071"),
            (i64::MIN, "-9223372036854775.808"),
        ];
        for (milli, text) in table {
            assert_eq!(milli_text(milli), text);
        }
    }

    #[test]
    fn digits_show_what_was_decided() {
        assert_eq!(quotient_text(3.316), "3.32");
        assert_eq!(quotient_text(3.0), "3");
        assert_eq!(quotient_text(3.000_2), "3.0002", "rounded up to 4");
        assert_eq!(quotient_text(2.996), "3", "it is rounded up to 3 anyway");
        assert_eq!(quotient_text(0.000_4), "0.0004");
        assert_eq!(quotient_text(f64::INFINITY), "inf");
        let band = (0.9, 1.1);
        assert_eq!(ratio_text(1.658, Some(false), band), "1.66");
        assert_eq!(ratio_text(1.100_4, Some(false), band), "1.1004", "1.1 is within");
        assert_eq!(ratio_text(1.1, Some(true), band), "1.1");
        assert_eq!(ratio_text(0.899_99, Some(false), band), "0.89999");
        assert_eq!(ratio_text(1.1, Some(false), band), "1.1", "outside until 1.32, by the last bit");
        assert_eq!(ratio_text(f64::NAN, Some(false), band), "NaN");
    }
}

//! Numbers in sentences: as few digits as show what was decided on them. They are written at the end of a sentence that
//! grows: each decision's line has a dozen of them.

use std::fmt::Write as _;

/// A whole number.
pub(super) fn push_whole(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// A number in milli units, exactly.
pub(super) fn push_milli(out: &mut String, milli: i64) {
    if milli < 0 {
        out.push('-');
    }
    push_decimal(out, milli.unsigned_abs(), 3);
}

/// So many units of `10^-decimals`, without trailing zeros.
fn push_decimal(out: &mut String, count: u64, decimals: u32) {
    let mut unit = 10_u64.pow(decimals);
    push_whole(out, count / unit);
    let mut rest = count % unit;
    if rest > 0 {
        out.push('.');
    }
    while rest > 0 {
        unit /= 10;
        let digit = u32::try_from(rest / unit).ok().and_then(|digit| char::from_digit(digit, 10));
        out.push(digit.expect("what is below ten units is one digit of them"));
        rest %= unit;
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
        if right(push_rounded(out, value, decimals)) {
            return;
        }
        out.truncate(start);
    }
    push_short(out, value);
}

fn decimals(value: f64) -> u32 {
    match value.abs() {
        size if size >= 0.1 || size == 0.0 => 2,
        size if size >= 0.01 => 3,
        size if size >= 0.001 => 4,
        _ => 6,
    }
}

/// As `{:.}` rounds, without trailing zeros; returns the number that is shown.
fn push_rounded(out: &mut String, value: f64, decimals: u32) -> f64 {
    let start = out.len();
    if let Some(count) = rounded(value.abs(), decimals) {
        if value.is_sign_negative() {
            out.push('-');
        }
        push_decimal(out, count, decimals);
        // Both are exact, so that their quotient is what the text reads back as.
        return (count as f64 / 10_u64.pow(decimals) as f64).copysign(value);
    }
    let digits = decimals as usize;
    write!(out, "{value:.digits$}").expect("writing to memory does not fail");
    drop_trailing_zeros(out, start);
    out[start..].parse().expect("it was written as a number")
}

/// A number that is not negative in units of `10^-decimals`, up to 12 of them, to the nearest and of two as near the even one, as
/// `{:.}` rounds it, in whole numbers only: that takes a tenth of the time. `None` for those that are no exact f64 then.
fn rounded(value: f64, decimals: u32) -> Option<u64> {
    const MANTISSA_BITS: u32 = f64::MANTISSA_DIGITS - 1;
    let exponent = (value.to_bits() >> MANTISSA_BITS) as u32;
    let mantissa = value.to_bits() & ((1 << MANTISSA_BITS) - 1);
    // The number is `mantissa` / 2^`shift`.
    let (mantissa, shift) = match exponent {
        0 => (mantissa, 1074),
        _ => (mantissa | 1 << MANTISSA_BITS, 1075_u32.checked_sub(exponent)?),
    };
    let units = u128::from(mantissa) * 10_u128.pow(decimals);
    if shift == 0 {
        return None;
    }
    // Below half a unit: the product is less than 2^93.
    if shift > 100 {
        return Some(0);
    }
    let (whole, rest, half) = (units >> shift, units & ((1 << shift) - 1), 1 << (shift - 1));
    let up = rest > half || (rest == half && whole % 2 == 1);
    let count = whole + u128::from(up);
    (count < 1 << f64::MANTISSA_DIGITS).then_some(count as u64)
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
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn numbers_are_rounded_as_the_library_does(
            value in prop_oneof![
                any::<f64>(),
                -100.0..100.0_f64,
                -1e16..1e16_f64,
                // Halves of a unit, and their neighbours.
                (-4_000_000..4_000_000_i64, 0..20_u32, -1..2_i32).prop_map(|(count, bits, beside)| {
                    let half = count as f64 / f64::from(1_u32 << bits);
                    f64::from_bits(half.to_bits().saturating_add_signed(beside.into()))
                }),
                (-4_000_000..4_000_000_i64, 0..13_u32).prop_map(|(count, decimals)| count as f64 / 10_u64.pow(decimals) as f64),
            ],
            decimals in 0..13_u32,
        ) {
            let digits = decimals as usize;
            let mut expected = format!("{value:.digits$}");
            drop_trailing_zeros(&mut expected, 0);
            let mut text = String::new();
            let shown = push_rounded(&mut text, value, decimals);
            prop_assert_eq!(&text, &expected);
            prop_assert_eq!(shown.to_bits(), expected.parse::<f64>().expect("a number").to_bits());
        }
    }

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

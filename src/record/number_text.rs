//! Numbers in sentences: as few digits as show what was decided on them.

/// A number in milli units, exactly.
pub(super) fn milli_text(milli: i64) -> String {
    let (sign, size) = (if milli < 0 { "-" } else { "" }, milli.unsigned_abs());
    let (whole, rest) = (size / 1000, size % 1000);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    without_trailing_zeros(format!("{sign}{whole}.{rest:03}"))
}

/// Two decimals, or what four significant digits take below 1.
pub(super) fn short_text(value: f64) -> String {
    rounded(value, decimals(value))
}

/// A number that is rounded up next: with more digits where two decimals would hide that it is above a whole number.
pub(super) fn quotient_text(value: f64) -> String {
    first_that(value, |shown| shown.ceil() == value.ceil())
}

/// A ratio as tested: with more digits where two decimals would put it on the other side of the band's edge.
pub(super) fn ratio_text(ratio: f64, within: Option<bool>, (low, high): (f64, f64)) -> String {
    let is_within = |shown: f64| (low..=high).contains(&shown);
    first_that(ratio, |shown| within.is_none_or(|within| within == is_within(shown)))
}

fn first_that(value: f64, right: impl Fn(f64) -> bool) -> String {
    let least = decimals(value);
    let mut texts = (least..=12).map(|decimals| rounded(value, decimals));
    let is_right = |text: &String| text.parse().is_ok_and(&right);
    texts.find(is_right).unwrap_or_else(|| short_text(value))
}

fn decimals(value: f64) -> usize {
    match value.abs() {
        size if size >= 0.1 || size == 0.0 => 2,
        size if size >= 0.01 => 3,
        size if size >= 0.001 => 4,
        _ => 6,
    }
}

fn rounded(value: f64, decimals: usize) -> String {
    without_trailing_zeros(format!("{value:.decimals$}"))
}

/// Of the decimals, where there are any.
fn without_trailing_zeros(mut text: String) -> String {
    if text.contains('.') {
        let kept = text.trim_end_matches('0').trim_end_matches('.').len();
        text.truncate(kept);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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

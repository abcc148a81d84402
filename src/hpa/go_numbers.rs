//! Go's conversions from double to integer, where Rust's differ.
//!
//! Go leaves an out-of-range conversion to the machine. The reference (and the recorded vectors) is amd64, whose
//! `CVTTSD2SL`/`CVTTSD2SQ` cut towards zero and give the smallest integer for NaN and anything out of range. On arm64 the
//! instruction saturates instead; that difference is not modelled (HPA-NUM-1).

/// Go's `int32(x)` on amd64.
pub(super) fn to_i32(x: f64) -> i32 {
    let cut = x.trunc();
    if cut >= f64::from(i32::MIN) && cut <= f64::from(i32::MAX) { cut as i32 } else { i32::MIN }
}

/// Go's `int64(x)` on amd64.
pub(super) fn to_i64(x: f64) -> i64 {
    // 2^63 itself is a double, i64::MAX is not: the upper bound is exclusive.
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if (-TWO_TO_63..TWO_TO_63).contains(&x) { x as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn out_of_range_gives_the_smallest_integer() {
        let table = [
            (0.9, 0, "cut towards zero"),
            (-1.9, -1, "cut towards zero"),
            (2_147_483_647.9, i32::MAX, "the fraction does not push it out of range"),
            (2_147_483_648.0, i32::MIN, "one too many"),
            (-2_147_483_649.0, i32::MIN, "one too few"),
            (f64::NAN, i32::MIN, "Rust's own cast would give 0"),
            (f64::INFINITY, i32::MIN, "Rust's own cast would saturate"),
        ];
        for (x, expected, why) in table {
            assert_eq!(to_i32(x), expected, "{why}");
        }
        assert_eq!(to_i64(f64::NAN), i64::MIN);
        assert_eq!(to_i64(9.3e18), i64::MIN);
        assert_eq!(to_i64(4.5e18), 4_500_000_000_000_000_000);
    }
}

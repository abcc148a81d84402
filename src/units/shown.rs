//! Numbers as messages show them.

/// `number` as a person would write it: with an exponent where the plain form would have many digits.
pub fn shown_number(number: f64) -> String {
    let size = number.abs();
    if size >= 1e21 || (size > 0.0 && size < 1e-6) { format!("{number:e}") } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_numbers_have_an_exponent() {
        for (number, shown) in [
            (0.0, "0"),
            (-2.5, "-2.5"),
            (1_000_000.0, "1000000"),
            (0.000_125, "0.000125"),
            (1e300, "1e300"),
            (-3e21, "-3e21"),
            (1e18, "1000000000000000000"),
            (1e-300, "1e-300"),
        ] {
            assert_eq!(shown_number(number), shown);
        }
    }
}

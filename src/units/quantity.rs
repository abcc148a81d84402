//! Kubernetes resource quantities: `100m`, `1.5`, `4Gi`, `1e3`.
//!
//! Source: k8s.io/apimachinery `pkg/api/resource/quantity.go` (`ParseQuantity`, `MilliValue`, `AsApproximateFloat64`).

use thiserror::Error;

/// A quantity as exact decimal: `unscaled * 10^scale` in upstream's canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    unscaled: i128,
    scale: i32,
}

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// Not of the grammar `[+-]digits[.digits][suffix]`.
    #[error("found {0:?}, expected a quantity such as 5, 700m, 0.5 or 4Gi")]
    Syntax(String),
    /// Beyond what an int64 of milli units can carry.
    #[error("found {0:?}, which is out of range for a quantity")]
    Range(String),
}

impl Quantity {
    /// Parses `text`. Digits finer than nano are rounded up (away from zero), as upstream does.
    ///
    /// # Errors
    /// [`QuantityError`] when `text` is not a quantity or too large.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let syntax = || QuantityError::Syntax(text.to_owned());
        let range = || QuantityError::Range(text.to_owned());
        let (negative, body) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let number_end = body.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(body.len());
        let (number, suffix) = body.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(syntax());
        }
        if whole.len() + fraction.len() > 30 {
            return Err(range());
        }
        let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| syntax())?;
        let fraction_len = i32::try_from(fraction.len()).map_err(|_| range())?;
        let (factor, exponent) = suffix_value(suffix).ok_or_else(syntax)?;
        let unscaled = digits.checked_mul(factor).ok_or_else(range)?;
        let quantity =
            Quantity { unscaled: if negative { -unscaled } else { unscaled }, scale: exponent - fraction_len };
        quantity.canonical().ok_or_else(range)
    }

    /// `milli / 1000`.
    pub fn from_milli(milli: i64) -> Self {
        Quantity { unscaled: i128::from(milli), scale: -3 }.canonical().expect("an i64 of milli units is in range")
    }

    /// In milli units, rounded up (towards positive infinity for positive values, away from zero), saturating.
    /// Upstream `Quantity.MilliValue`.
    pub fn milli_value(self) -> i64 {
        let scaled = scale_up_away_from_zero(self.unscaled, self.scale + 3);
        i64::try_from(scaled).unwrap_or(if self.unscaled < 0 { i64::MIN } else { i64::MAX })
    }

    /// Upstream `AsApproximateFloat64`: `unscaled * 10^scale` in doubles, so "0.118" gives `118 * 1e-3`, which is not
    /// the literal 0.118. HPA tolerances go through this (HPA-TOL-4).
    pub fn as_approximate_f64(self) -> f64 {
        let base = self.unscaled as f64;
        // Upstream multiplies by an entry of Go's table of powers of ten, which are the literals.
        match self.scale {
            0 => base,
            -3 => base * 1e-3,
            -6 => base * 1e-6,
            _ => base * 1e-9,
        }
    }

    /// The canonical stored form: trailing zeros dropped to the largest power of 1000 that keeps it exact.
    fn canonical(self) -> Option<Self> {
        let Quantity { mut unscaled, mut scale } = self;
        if scale < -9 {
            unscaled = scale_up_away_from_zero(unscaled, scale + 9);
            scale = -9;
        }
        // Fractions are kept at the coarsest of milli, micro, nano that is exact; integers at scale 0 or above.
        while scale % 3 != 0 {
            unscaled = unscaled.checked_mul(10)?;
            scale -= 1;
        }
        while scale < 0 && unscaled % 1000 == 0 {
            unscaled /= 1000;
            scale += 3;
        }
        if scale > 0 {
            let factor = 10i128.checked_pow(u32::try_from(scale).ok()?)?;
            unscaled = unscaled.checked_mul(factor)?;
            scale = 0;
        }
        (unscaled.unsigned_abs() < 1u128 << 100).then_some(Quantity { unscaled, scale })
    }
}

impl std::fmt::Display for Quantity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.scale {
            0 => write!(f, "{}", self.unscaled),
            -3 => write!(f, "{}m", self.unscaled),
            -6 => write!(f, "{}u", self.unscaled),
            _ => write!(f, "{}n", self.unscaled),
        }
    }
}

/// `value * 10^exponent`, rounded away from zero when that loses digits.
fn scale_up_away_from_zero(value: i128, exponent: i32) -> i128 {
    let magnitude = exponent.unsigned_abs();
    if exponent >= 0 {
        return 10i128.checked_pow(magnitude).and_then(|factor| value.checked_mul(factor)).unwrap_or(if value < 0 {
            i128::MIN
        } else {
            i128::MAX
        });
    }
    let Some(divisor) = 10i128.checked_pow(magnitude) else { return value.signum() };
    let quotient = value / divisor;
    if value % divisor == 0 { quotient } else { quotient + value.signum() }
}

/// A suffix as (integer factor, power of ten).
fn suffix_value(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (1, exponent.parse::<i32>().ok().filter(|power| power.abs() <= 18)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milli_values_round_up() {
        let table = [
            ("5", 5000),
            ("700m", 700),
            ("0.7", 700),
            ("100000100u", 100_001),
            ("1e3", 1_000_000),
            ("4Ki", 4_096_000),
            ("0.0001", 1),
            ("-0.0001", -1),
            ("0", 0),
            ("1.5", 1500),
            ("2k", 2_000_000),
            ("9223372036854775807", i64::MAX),
        ];
        for (text, milli) in table {
            assert_eq!(Quantity::parse(text).map(Quantity::milli_value), Ok(milli), "{text}");
        }
        for text in ["", "m", "1x", "1.2.3", "--1", "1e", "five"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tolerance_floats_carry_upstreams_noise() {
        let value = Quantity::parse("0.118").expect("a quantity").as_approximate_f64();
        assert_eq!(value, 118.0 * 1e-3);
        assert_eq!(1.0 + value, 1.118);
        assert_eq!(Quantity::parse("2").expect("a quantity").as_approximate_f64(), 2.0);
    }
}

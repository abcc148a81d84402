//! KEDA's grammar of trigger metadata values (`pkg/scalers/scalersconfig/typed_config.go`).
//!
//! Knows no trigger type: each reader takes the value's text, already trimmed.

use crate::units::{SimDuration, parse_go_duration};

/// Go's `strconv.ParseBool`; `None` for anything else.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// A boolean parameter.
pub(super) fn boolean(text: &str) -> Result<bool, String> {
    parse_bool(text).ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))
}

/// A float parameter: a JSON number, so no `.5`, `5.`, `05`, `+5`, `5m`, `0x10`, `NaN`.
pub(super) fn float(text: &str) -> Result<f64, String> {
    let wrong = |why: &str| format!("unable to unmarshal to field type float64: {why}");
    if !is_json_number(text) {
        return Err(wrong("not a JSON number"));
    }
    // JSON's grammar is part of Rust's; only the range can still be wrong.
    text.parse().ok().filter(|value: &f64| value.is_finite()).ok_or_else(|| wrong("out of range"))
}

/// A whole number: a JSON number without fraction and exponent that fits an int64.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    let whole = is_json_number(text) && !text.contains(['.', 'e', 'E']);
    let value = if whole { text.parse().ok() } else { None };
    value.ok_or_else(|| "unable to unmarshal to field type int64: not a whole JSON number".to_owned())
}

/// A duration parameter: a Go duration or a whole number of milliseconds; 0 for a negative one, as readers of timeouts
/// take it.
pub(super) fn duration(text: &str) -> Result<SimDuration, String> {
    let (positive, negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let wrong = || "neither a duration such as 3s nor a whole number of milliseconds".to_owned();
    let read = if is_json_number(text) {
        text.parse::<i64>().ok().map(|millis| SimDuration::from_ps(millis.unsigned_abs().saturating_mul(PS_PER_MILLI)))
    } else if negative && positive.starts_with(['-', '+']) {
        None
    } else {
        parse_go_duration(positive).ok()
    };
    let read = read.ok_or_else(wrong)?;
    Ok(if negative { SimDuration::ZERO } else { read })
}

const PS_PER_MILLI: u64 = 1_000_000_000;

/// A map parameter `k=v,k=v`, in the order written; a value can hold neither separator.
pub(super) fn map(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |item: &str| match item.split_once('=') {
        Some((key, value)) if !value.contains('=') => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err(format!("expected format key=value, got {item:?}")),
    };
    text.split(',').map(str::trim).map(pair).collect()
}

/// RFC 8259: `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`.
fn is_json_number(text: &str) -> bool {
    let body = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|part| digits(part.strip_prefix(['+', '-']).unwrap_or(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_json_numbers() {
        let good = [
            ("5", 5.0),
            ("0.5", 0.5),
            ("-3", -3.0),
            ("1e3", 1000.0),
            ("1E-2", 0.01),
            ("0", 0.0),
            ("-0", 0.0),
            ("0e0", 0.0),
            ("10.50e+1", 105.0),
            ("1e-400", 0.0), // underflow is not an error in Go either
        ];
        for (text, value) in good {
            assert_eq!(float(text), Ok(value), "{text}");
        }
        let bad = [
            ".5", "5.", "05", "+5", "1_000", "5m", "0x10", "NaN", "Inf", "-Inf", "inf", "", "-", "1e", "1e+", "1.e3",
            "--1", "1 2", "5k", "\"5\"", "00", "-01", "1e5.5", "1.2.3", "true", "٣", "1e400",
        ];
        for text in bad {
            let found = float(text).expect_err(text);
            assert!(found.starts_with("unable to unmarshal to field type float64"), "{text}: {found}");
        }
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (text, value) in [("5", 5), ("-3", -3), ("0", 0), ("9223372036854775807", i64::MAX)] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
        for text in ["5.0", "1e1", "05", "+5", "", "9223372036854775808", "x"] {
            assert!(integer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn booleans_are_gos() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["yes", "no", "on", "off", "tRUE", "2", "", "y", "null"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_gos_or_milliseconds() {
        // text, milliseconds; a negative one counts as none.
        let table = [
            ("3s", 3000),
            ("1h30m", 5_400_000),
            ("3000", 3000), // milliseconds
            ("0", 0),
            ("-5", 0),
            ("-3s", 0),
            ("500ms", 500),
        ];
        for (text, millis) in table {
            assert_eq!(duration(text), Ok(SimDuration::from_millis(millis)), "{text}");
        }
        for text in ["x", "5 s", "1.5", "1e3", "3 seconds", "--3s", "-+3s", "05", "", "-"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn maps_hold_one_equals_sign_per_item() {
        let pairs = |own: &[(&str, &str)]| own.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert_eq!(map("a=b"), Ok(pairs(&[("a", "b")])));
        assert_eq!(map(" z = b , c=d"), Ok(pairs(&[("z", "b"), ("c", "d")])));
        assert_eq!(map("a="), Ok(pairs(&[("a", "")])));
        for text in ["a", "a=b,", "a=b=c", "a=b,c", ""] {
            assert!(map(text).is_err(), "{text}");
        }
    }
}

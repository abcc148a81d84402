//! KEDA's grammar of trigger metadata values (`pkg/scalers/scalersconfig/typed_config.go`).
//!
//! Knows no trigger type: each reader takes the value's text, already trimmed.

use crate::units::parse_go_duration;

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

/// A duration parameter: a Go duration or a whole number of milliseconds. Only checked: timeouts are not simulated.
pub(super) fn duration(text: &str) -> Result<(), String> {
    let positive = text.strip_prefix('-').unwrap_or(text);
    let integer = is_json_number(text) && text.parse::<i64>().is_ok();
    if integer || (!positive.starts_with(['-', '+']) || positive == text) && parse_go_duration(positive).is_ok() {
        return Ok(());
    }
    Err("neither a duration such as 3s nor a whole number of milliseconds".to_owned())
}

/// A map parameter `k=v,k=v`; a value can hold neither separator.
pub(super) fn map(text: &str) -> Result<(), String> {
    for item in text.split(',').map(str::trim) {
        if item.matches('=').count() != 1 {
            return Err(format!("expected format key=value, got {item:?}"));
        }
    }
    Ok(())
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
        for text in ["3s", "1h30m", "3000", "0", "-5", "-3s", "500ms"] {
            assert_eq!(duration(text), Ok(()), "{text}");
        }
        for text in ["x", "5 s", "1.5", "1e3", "3 seconds", "--3s", "-+3s", "05", "", "-"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn maps_hold_one_equals_sign_per_item() {
        for text in ["a=b", "a=b,c=d", " a = b , c=d", "a="] {
            assert_eq!(map(text), Ok(()), "{text}");
        }
        for text in ["a", "a=b,", "a=b=c", "a=b,c", ""] {
            assert!(map(text).is_err(), "{text}");
        }
    }
}

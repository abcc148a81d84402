//! The two duration grammars that users write: Go's (`1h30m`, `250ms`; Kubernetes, KEDA and our own files) and
//! Prometheus' (`2m`, `1d12h`, whole numbers of units in falling order).

use crate::units::SimDuration;

/// Parses a Go duration such as `1h30m`, `1.5s`, `250ms`, `0` (Go `time.ParseDuration`, without negative values, which
/// no field of ours can use).
///
/// # Errors
/// A fragment that says what is wrong, for use after the field's name.
pub fn parse_go_duration(text: &str) -> Result<SimDuration, String> {
    let wrong = || format!("found {text:?}, expected a duration such as 90s, 1h30m or 250ms");
    if text == "0" {
        return Ok(SimDuration::ZERO);
    }
    if text.starts_with('-') {
        return Err(format!("found the negative duration {text:?}, expected zero or more"));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = 0u128;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let ps_per_unit: u128 = match unit {
            "ns" => 1_000,
            "us" | "µs" | "μs" => 1_000_000,
            "ms" => 1_000_000_000,
            "s" => 1_000_000_000_000,
            "m" => 60_000_000_000_000,
            "h" => 3_600_000_000_000_000,
            _ => return Err(wrong()),
        };
        total += decimal_times(number, ps_per_unit).ok_or_else(wrong)?;
        rest = next;
    }
    let ps =
        u64::try_from(total).map_err(|_| format!("found {text:?}, longer than the 213 days the clock can hold"))?;
    Ok(SimDuration::from_ps(ps))
}

/// `number * factor` for a decimal `number`, exactly (digits beyond the unit's resolution are cut, as Go does).
fn decimal_times(number: &str, factor: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() > 18 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits = &fraction[..fraction.len().min(18)];
    let fraction_value: u128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(whole * factor + fraction_value * factor / 10u128.pow(u32::try_from(digits.len()).ok()?))
}

/// Parses a Prometheus duration such as `2m`, `1d12h`, `5m30s`, `100ms` (prometheus/common `model.ParseDuration`): whole
/// numbers, units `y w d h m s ms` in falling order, each at most once, or the single digit `0`.
///
/// # Errors
/// A fragment that says what is wrong.
pub fn parse_prometheus_duration(text: &str) -> Result<SimDuration, String> {
    let wrong = || format!("found {text:?}, expected a duration such as 2m, 1h30m or 15s");
    if text == "0" {
        return Ok(SimDuration::ZERO);
    }
    let units: [(&str, u128); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut next_unit = 0;
    let mut millis = 0u128;
    let mut rest = text;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let position = units.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
        if position < next_unit || number.is_empty() || number.len() > 18 {
            return Err(wrong());
        }
        next_unit = position + 1;
        millis += number.parse::<u128>().map_err(|_| wrong())? * units[position].1;
        rest = next;
    }
    let ps = u64::try_from(millis * 1_000_000_000)
        .map_err(|_| format!("found {text:?}, longer than the 213 days the clock can hold"))?;
    Ok(SimDuration::from_ps(ps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, millis) in
            [("90s", 90_000), ("1h30m", 5_400_000), ("250ms", 250), ("1.5s", 1_500), (".5s", 500), ("0", 0), ("0s", 0)]
        {
            assert_eq!(parse_go_duration(text), Ok(SimDuration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "1x", "s", "-3s", "1.2.3s", "1 s", "99999999h"] {
            assert!(parse_go_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prometheus_durations() {
        for (text, millis) in [("2m", 120_000), ("1d12h", 129_600_000), ("100ms", 100), ("5m30s", 330_000), ("0", 0)] {
            assert_eq!(parse_prometheus_duration(text), Ok(SimDuration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "1.5m", "30s5m", "1m1m", "m", "400y"] {
            assert!(parse_prometheus_duration(text).is_err(), "{text}");
        }
    }
}

//! Azure's LLM inference traces of 2023 and 2024 (Azure/AzurePublicDataset): `TIMESTAMP` is a wall clock with up to seven
//! fractional digits, with or without an offset from UTC.

use super::collector::{Collector, Picoseconds};
use super::csv_table::{Columns, CsvTable, parse_digits, parse_fraction};
use crate::traffic::{Trace, TraceError};

pub(super) fn read(table: CsvTable<'_>, collector: Collector) -> Result<Trace, TraceError> {
    let columns = Columns { format: "Azure", time: "TIMESTAMP", prompt: "ContextTokens", output: "GeneratedTokens" };
    table.read(&columns, collector, parse_wall_clock)
}

/// `YYYY-MM-DD HH:MM:SS[.fraction][Z|+HH:MM|-HH:MM]`, `T` allowed between; picoseconds since 1970.
fn parse_wall_clock(text: &str) -> Result<Picoseconds, String> {
    wall_clock(text).ok_or_else(|| format!("found {text:?}, expected a time such as 2023-11-16 18:17:03.9799600"))
}

fn wall_clock(text: &str) -> Option<Picoseconds> {
    let (date, time) = text.split_once([' ', 'T'])?;
    let mut date = date.splitn(3, '-').map(fixed::<2>);
    // The year has four digits, which `fixed::<2>` would refuse.
    let year = fixed::<4>(text.split('-').next()?)?;
    date.next();
    let (month, day) = (date.next()??, date.next()??);
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) => (&time[..at], offset_seconds(&time[at..])?),
        None => (time, 0),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.splitn(3, ':').map(fixed::<2>);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        2 => 28 + Picoseconds::from(leap_year),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day < 1 || day > days_in_month || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = (days_since_1970(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000_000_000 + parse_fraction(fraction)?)
}

/// Exactly `LENGTH` digits.
fn fixed<const LENGTH: usize>(digits: &str) -> Option<Picoseconds> {
    if digits.len() == LENGTH { parse_digits(digits) } else { None }
}

/// Seconds east of UTC: `Z`, `+02:00`, `-0500`.
fn offset_seconds(text: &str) -> Option<Picoseconds> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?.replacen(':', "", 1);
    let value = fixed::<4>(&digits)?;
    let (hours, minutes) = (value / 100, value % 100);
    if hours > 23 || minutes > 59 { None } else { Some(sign * (hours * 3600 + minutes * 60)) }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days_since_1970(year: Picoseconds, month: Picoseconds, day: Picoseconds) -> Picoseconds {
    // Years begin in March, so that the leap day comes last.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clocks_count_from_1970() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2000-02-29 12:00:00.0000000", 951_825_600),
            ("2026-03-02 09:00:00.0000000", 1_772_442_000),
            ("2026-03-02T09:00:00Z", 1_772_442_000),
            ("2026-03-02 11:00:00+02:00", 1_772_442_000),
            ("2026-03-02 04:00:00-0500", 1_772_442_000),
        ] {
            assert_eq!(parse_wall_clock(text), Ok(seconds * 1_000_000_000_000), "{text}");
        }
        assert_eq!(parse_wall_clock("1970-01-01 00:00:01.2500001"), Ok(1_250_000_100_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "2026-03-02",
            "2026-3-2 09:00:00",
            "2026-02-30 09:00:00",
            "2026-13-01 09:00:00",
            "2026-01-00 09:00:00",
            "2026-01-01 24:00:00",
            "2026-01-01 09:00",
            "2026-01-01 09:00:00.x",
            "2026-01-01 09:00:00+2",
            "2026-01-01 09:00:00+99:00",
        ] {
            assert!(parse_wall_clock(text).is_err(), "{text}");
        }
    }
}

//! Cron expressions of five fields (minute, hour, day of month, month, day of week) and their next instant in a time
//! zone, as robfig/cron v3.0.1 has them (`parser.go`, `spec.go`).
//!
//! Knows no trigger. Instants are whole seconds since the Unix epoch.

use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Set beside the days by a `*` or `?` without a step: that field does not choose.
const ANY: u64 = 1 << 63;
const HOUR: i64 = 3600;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Sets of values, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CronSchedule {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
}

/// What a field may hold; names start at `least`.
struct Field {
    least: u64,
    most: u64,
    names: &'static [&'static str],
}

impl CronSchedule {
    /// Reads five fields; upstream's text when it cannot.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err("a time zone inside the expression is not modelled yet: use timezone".to_owned());
        }
        if text.starts_with('@') {
            return Err(format!("parser does not accept descriptors: {text}"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            let found = fields.join(" ");
            return Err(format!("expected exactly 5 fields, found {}: [{found}]", fields.len()));
        };
        let field = |text, least, most, names| set(text, &Field { least, most, names });
        Ok(CronSchedule {
            minute: field(minute, 0, 59, &[])?,
            hour: field(hour, 0, 23, &[])?,
            day: field(day, 1, 31, &[])?,
            month: field(month, 1, 12, &MONTHS)?,
            weekday: field(weekday, 0, 6, &DAYS)?,
        })
    }

    /// The first instant after `after` that matches; `None` when there is none within five years.
    ///
    /// Walks as upstream does, field by field from the month down, so that hours that a time zone skips or repeats come
    /// out the same: a skipped hour is not made up for on that day, a repeated one matches twice.
    pub(super) fn next(&self, zone: &TimeZone, after: i64) -> Option<i64> {
        let mut at = after + 1;
        let last_year = local(zone, at).year() + 5;
        // Whether the smaller fields are at their start already.
        let mut cut = false;
        'again: loop {
            if local(zone, at).year() > last_year {
                return None;
            }
            while !has(self.month, i64::from(local(zone, at).month())) {
                if !cut {
                    cut = true;
                    let now = local(zone, at);
                    at = instant(zone, civil::date(now.year(), now.month(), 1).at(0, 0, 0, 0));
                }
                at = instant(zone, later(local(zone, at), Span::new().months(1)));
                if local(zone, at).month() == 1 {
                    continue 'again;
                }
            }
            while !self.day_matches(local(zone, at)) {
                if !cut {
                    cut = true;
                    at = instant(zone, local(zone, at).date().at(0, 0, 0, 0));
                }
                at = instant(zone, later(local(zone, at), Span::new().days(1)));
                // Where midnight does not exist the walk lands an hour beside it.
                let hour = i64::from(local(zone, at).hour());
                at += if hour > 12 { (24 - hour) * HOUR } else { -hour * HOUR };
                if local(zone, at).day() == 1 {
                    continue 'again;
                }
            }
            while !has(self.hour, i64::from(local(zone, at).hour())) {
                if !cut {
                    cut = true;
                    let now = local(zone, at);
                    at = instant(zone, now.date().at(now.hour(), 0, 0, 0));
                }
                at += HOUR;
                if local(zone, at).hour() == 0 {
                    continue 'again;
                }
            }
            while !has(self.minute, i64::from(local(zone, at).minute())) {
                if !cut {
                    cut = true;
                    at -= at.rem_euclid(60);
                }
                at += 60;
                if local(zone, at).minute() == 0 {
                    continue 'again;
                }
            }
            // Without a field for seconds only the full minute matches.
            let second = at.rem_euclid(60);
            if second == 0 {
                return Some(at);
            }
            cut = true;
            at += 60 - second;
        }
    }

    /// Both day fields must match when one of them is open, else either.
    fn day_matches(&self, now: DateTime) -> bool {
        let day = has(self.day, i64::from(now.day()));
        let weekday = has(self.weekday, i64::from(now.weekday().to_sunday_zero_offset()));
        if (self.day | self.weekday) & ANY != 0 { day && weekday } else { day || weekday }
    }
}

fn has(set: u64, value: i64) -> bool {
    set & (1 << value) != 0
}

/// One field: a list of ranges.
fn set(text: &str, field: &Field) -> Result<u64, String> {
    let mut bits = 0;
    // Upstream drops empty items.
    for item in text.split(',').filter(|item| !item.is_empty()) {
        bits |= range(item, field)?;
    }
    Ok(bits)
}

/// `number`, `number-number`, `*` or `?`, each with an optional `/step`.
fn range(text: &str, field: &Field) -> Result<u64, String> {
    let mut parts = text.split('/');
    let bounds: Vec<&str> = parts.next().unwrap_or_default().split('-').collect();
    let step_text = parts.next();
    let any = matches!(bounds[0], "*" | "?");
    let (start, mut end) = match bounds[..] {
        _ if any => (field.least, field.most),
        [one] => {
            let value = number(one, text, field)?;
            (value, value)
        }
        [low, high] => (number(low, text, field)?, number(high, text, field)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let mut step = 1;
    if let Some(step_text) = step_text {
        step = number(step_text, text, &Field { least: 0, most: 0, names: &[] })?;
        // `5/10` is 5, 15, 25, ... up to the end.
        if bounds.len() == 1 {
            end = field.most;
        }
    }
    if parts.next().is_some() {
        return Err(format!("too many slashes: {text}"));
    }
    if start < field.least {
        return Err(format!("beginning of range ({start}) below minimum ({}): {text}", field.least));
    }
    if end > field.most {
        return Err(format!("end of range ({end}) above maximum ({}): {text}", field.most));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    let open = if any && step == 1 { ANY } else { 0 };
    let stride = usize::try_from(step).unwrap_or(usize::MAX);
    Ok((start..=end).step_by(stride).fold(open, |bits, value| bits | 1 << value))
}

fn number(text: &str, whole: &str, field: &Field) -> Result<u64, String> {
    if let Some(place) = field.names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(field.least + place as u64);
    }
    let value: i64 = text.parse().map_err(|_| format!("failed to parse int from {whole}"))?;
    u64::try_from(value).map_err(|_| format!("negative number ({value}) not allowed: {whole}"))
}

fn later(at: DateTime, span: Span) -> DateTime {
    at.checked_add(span).unwrap_or(DateTime::MAX)
}

/// The wall clock at an instant.
fn local(zone: &TimeZone, unix_seconds: i64) -> DateTime {
    let timestamp = Timestamp::from_second(unix_seconds).unwrap_or(Timestamp::MAX);
    zone.to_datetime(timestamp)
}

/// The instant of a wall clock, as Go's `time.Date` chooses where the clock jumps: with the offset that is in force at the
/// instant which the offset at "wall clock read as UTC" gives.
fn instant(zone: &TimeZone, at: DateTime) -> i64 {
    let as_utc = TimeZone::UTC.to_timestamp(at).map_or(i64::MAX / 2, Timestamp::as_second);
    let offset = |unix: i64| {
        let timestamp = Timestamp::from_second(unix).unwrap_or(Timestamp::MAX);
        i64::from(zone.to_offset(timestamp).seconds())
    };
    let first = offset(as_utc);
    if first == 0 { as_utc } else { as_utc - offset(as_utc - first) }
}

#[cfg(test)]
#[path = "cron_schedule_tests.rs"]
mod tests;

//! Parts of UTC dates.

use super::functions::DatePart;

/// A part of the date at `seconds` since the Unix epoch (cut to whole seconds as upstream does).
pub(crate) fn date_part(part: DatePart, seconds: f64) -> f64 {
    if seconds.is_nan() {
        return f64::NAN;
    }
    // `as` saturates, the calendar below is total over a clamped range.
    let seconds = (seconds as i64).clamp(-62_135_596_800, 253_402_300_799);
    let days = seconds.div_euclid(86_400);
    let of_day = seconds.rem_euclid(86_400);
    let (year, month, day) = civil(days);
    let value = match part {
        DatePart::Minute => of_day / 60 % 60,
        DatePart::Hour => of_day / 3_600,
        // 1 January 1970 was a Thursday.
        DatePart::DayOfWeek => (days + 4).rem_euclid(7),
        DatePart::DayOfMonth => day,
        DatePart::DayOfYear => days - days_before(year, 1) + 1,
        DatePart::DaysInMonth if month == 12 => 31,
        DatePart::DaysInMonth => days_before(year, month + 1) - days_before(year, month),
        DatePart::Month => month,
        DatePart::Year => year,
    };
    value as f64
}

/// (year, month, day) of a day since the epoch (Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days from the epoch to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

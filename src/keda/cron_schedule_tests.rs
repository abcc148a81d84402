//! Expressions, their next instants, and what daylight saving does to them.

use super::*;
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a bundled time zone")
}

fn unix(zone: &TimeZone, wall: &str) -> i64 {
    let at: DateTime = wall.parse().expect("a wall clock");
    zone.to_timestamp(at).expect("in range").as_second()
}

fn next(text: &str, name: &str, wall: &str) -> Option<String> {
    let zone = zone(name);
    let schedule = CronSchedule::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
    let found = schedule.next(&zone, unix(&zone, wall))?;
    let timestamp = Timestamp::from_second(found).expect("in range");
    Some(timestamp.to_zoned_datetime(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
}

#[test]
fn the_next_instant() {
    // expression, after, next; UTC. 2026-01-05 is a Monday.
    let table = [
        ("0 6 * * *", "2026-01-05T05:59:59", "2026-01-05T06:00:00"), // the same day
        ("0 6 * * *", "2026-01-05T06:00:00", "2026-01-06T06:00:00"), // strictly after
        ("0 6 * * *", "2026-01-05T06:00:31", "2026-01-06T06:00:00"), // inside the matching minute
        ("30 6 * * *", "2026-01-05T06:30:31", "2026-01-06T06:30:00"), // and of another minute
        ("*/15 * * * *", "2026-01-05T06:15:00", "2026-01-05T06:30:00"), // steps of any
        ("5/20 * * * *", "2026-01-05T06:26:00", "2026-01-05T06:45:00"), // steps from a start: 5, 25, 45
        ("10-30/10 * * * *", "2026-01-05T06:30:00", "2026-01-05T07:10:00"), // steps in a range
        ("0 8,18 * * *", "2026-01-05T09:00:00", "2026-01-05T18:00:00"), // a list
        ("59 23 31 12 *", "2026-01-05T00:00:00", "2026-12-31T23:59:00"), // the year's last minute
        ("0 0 29 2 *", "2026-01-05T00:00:00", "2028-02-29T00:00:00"), // leap years
        ("0 6 * * 1-5", "2026-01-09T06:00:00", "2026-01-12T06:00:00"), // Friday to Monday
        ("0 6 * * Mon-FRI", "2026-01-09T06:00:00", "2026-01-12T06:00:00"), // by name, in any case
        ("0 0 * * sun", "2026-01-05T00:00:00", "2026-01-11T00:00:00"), // Sunday is 0
        ("0 0 13 * 5", "2026-01-05T00:00:00", "2026-01-09T00:00:00"), // the 13th or a Friday
        ("0 0 13 * *", "2026-01-05T00:00:00", "2026-01-13T00:00:00"), // the 13th
        ("0 0 */2 * 5", "2026-01-05T00:00:00", "2026-01-07T00:00:00"), // a step chooses: odd days or Fridays
        ("0 0 ? * 5", "2026-01-05T00:00:00", "2026-01-09T00:00:00"), // a question mark does not
        ("0 0 1 jan,jul *", "2026-01-05T00:00:00", "2026-07-01T00:00:00"), // months by name
        ("0 0 1 1 *", "2026-01-01T00:00:00", "2027-01-01T00:00:00"), // a year on
        ("0 12 * 6 *", "2026-07-01T00:00:00", "2027-06-01T12:00:00"), // past the month
    ];
    for (text, after, expected) in table {
        let found = next(text, "Etc/UTC", after);
        assert_eq!(found, Some(format!("{expected}+00:00")), "{text} after {after}");
    }
    for never in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", ", * * * *"] {
        assert_eq!(next(never, "Etc/UTC", "2026-01-05T00:00:00"), None, "{never}");
    }
}

#[test]
fn daylight_saving() {
    // zone, expression, after, next with its offset. Berlin skips 02:00-03:00 on 2026-03-29, repeats it on 2026-10-25.
    let table = [
        ("Europe/Berlin", "0 6 * * *", "2026-03-28T07:00:00", "2026-03-29T06:00:00+02:00"), // wall time, not 24 h
        ("Europe/Berlin", "0 6 * * *", "2026-10-24T07:00:00", "2026-10-25T06:00:00+01:00"), // the other way
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T03:00:00", "2026-03-30T02:30:00+02:00"), // skipped: not that day
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T03:00:00", "2026-10-25T02:30:00+02:00"), // repeated: the first
        ("America/New_York", "0 20 * * 1-5", "2026-03-06T20:00:00", "2026-03-09T20:00:00-04:00"), // over the change
        ("Asia/Kolkata", "0 6 * * *", "2026-01-05T00:00:00", "2026-01-05T06:00:00+05:30"),  // half an hour beside
        ("America/Sao_Paulo", "0 0 4 11 *", "2018-11-01T00:00:00", "2019-11-04T00:00:00-03:00"), // no midnight that day
    ];
    for (name, text, after, expected) in table {
        assert_eq!(next(text, name, after).as_deref(), Some(expected), "{text} in {name} after {after}");
    }
    // The repeated hour matches a second time.
    let berlin = zone("Europe/Berlin");
    let schedule = CronSchedule::parse("30 2 * * *").expect("a schedule");
    let first = schedule.next(&berlin, unix(&berlin, "2026-10-24T03:00:00")).expect("a first");
    assert_eq!(schedule.next(&berlin, first), Some(first + HOUR));
}

#[test]
fn what_cannot_be_read_is_said_as_upstream_says_it() {
    // expression, the text.
    let table = [
        ("", "expected exactly 5 fields, found 0: []"),
        ("0 6 * *", "expected exactly 5 fields, found 4: [0 6 * *]"),
        ("0 0 6 * * *", "expected exactly 5 fields, found 6: [0 0 6 * * *]"),
        ("@daily", "parser does not accept descriptors: @daily"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* 24 * * *", "end of range (24) above maximum (23): 24"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * 13 *", "end of range (13) above maximum (12): 13"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("* 8-6 * * *", "beginning of range (8) beyond end of range (6): 8-6"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", "failed to parse int from x"),
        ("1,b * * * *", "failed to parse int from b"),
        ("* * * mon *", "failed to parse int from mon"),
        ("*/jan * * * *", "failed to parse int from */jan"),
        ("TZ=UTC 0 6 * * *", "a time zone inside the expression is not modelled yet: use timezone"),
    ];
    for (text, expected) in table {
        assert_eq!(CronSchedule::parse(text), Err(expected.to_owned()), "{text}");
    }
}

proptest! {
    #[test]
    fn the_next_instant_matches_and_nothing_in_between_does(
        minute in 0i64..60, hour in 0i64..24, weekday in proptest::option::of(0i8..7), start in 1_700_000_000i64..1_800_000_000,
    ) {
        let day = weekday.map_or("*".to_owned(), |day| day.to_string());
        let schedule = CronSchedule::parse(&format!("{minute} {hour} * * {day}")).expect("a schedule");
        let found = schedule.next(&TimeZone::UTC, start).expect("it comes again");
        let fits = |unix: i64| {
            let at = local(&TimeZone::UTC, unix);
            (i64::from(at.minute()), i64::from(at.hour()), at.second()) == (minute, hour, 0)
                && weekday.is_none_or(|own| own == at.weekday().to_sunday_zero_offset())
        };
        prop_assert!(found > start && fits(found));
        let mut at = start + 60 - start % 60;
        while at < found {
            prop_assert!(!fits(at), "{at} comes before {found}");
            at += 60;
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,20}", close in "[0-9*/?,a-z -]{0,20}", at in -10_000_000_000i64..10_000_000_000) {
        for text in [text, close] {
            if let Ok(schedule) = CronSchedule::parse(&text) {
                let found = schedule.next(&zone("Europe/Berlin"), at);
                prop_assert!(found.is_none_or(|found| found > at));
            }
        }
    }
}

//! Time windows.

use super::links::CRON_SCALER;
use crate::lint::subject::Subject;
use crate::lint::{Finding, Rule};
use crate::manifest::Trigger;
use crate::units::Severity::{Note, Warning};

pub(crate) static L_42: Rule = Rule::new("L-42", "cron-window", Warning)
    .why("a cron window is a floor under the replicas: it lowers nothing, and lasts from one start to the next end that its schedule has")
    .fix("write a window for more replicas than minReplicaCount, and list the days of its end")
    .link(CRON_SCALER);

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const SHORT: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Windows that do nothing, that are cut, and that last over days that they do not name.
pub(in crate::lint) fn l_42(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for trigger in subject.written.triggers.iter().filter(|own| own.kind.value == "cron") {
        let place = |key: &str| {
            let span = trigger.metadata(key).map_or_else(|| trigger.span.clone(), |own| own.span);
            (span, format!("{}.metadata.{key}", trigger.path))
        };
        let desired = trigger.metadata("desiredReplicas").and_then(|own| own.value.parse::<i64>().ok());
        if let Some(desired) = desired.filter(|_| !subject.has_formula()) {
            let (min, max) = (subject.min_meant(), subject.max());
            let message = if desired <= min {
                Some(format!(
                    "the window changes nothing: it asks for {desired}, and minReplicaCount is {min} already (a window cannot lower)"
                ))
            } else if desired > max {
                Some(format!("the window asks for {desired}, and the HPA stops at maxReplicaCount {max}"))
            } else {
                None
            };
            let (span, path) = place("desiredReplicas");
            found.extend(message.map(|message| Finding::breach(&L_42, Warning, span, path, message)));
        }
        if let Some((from, to)) = tail(trigger) {
            let (start, end) = (time(trigger, "start"), time(trigger, "end"));
            let message =
                format!("the window that starts on {from} at {start} lasts until {to} at {end}: no end comes before");
            let (span, path) = place("end");
            // Of a window that asks for no more than there is anyway it does not matter.
            let severity = if desired.is_some_and(|own| own <= subject.min().max(1)) { Note } else { Warning };
            let finding = Finding::breach(&L_42, severity, span, path, message);
            found.push(finding.help("give end the days on which the window ends, such as 2-6 after a start on 1-5"));
        }
    }
}

fn time(trigger: &Trigger, key: &str) -> String {
    trigger
        .metadata(key)
        .and_then(|own| minutes(own.value))
        .map_or_else(String::new, |own| format!("{:02}:{:02}", own / 60, own % 60))
}

/// Minute of the day at which a schedule of one time a day fires.
fn minutes(schedule: &str) -> Option<u32> {
    let mut fields = schedule.split_whitespace();
    let (minute, hour): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (minute < 60 && hour < 24).then_some(hour * 60 + minute)
}

/// A window over night on listed days only, whose last night has no end on the next morning: its first and last day.
fn tail(trigger: &Trigger) -> Option<(&'static str, &'static str)> {
    let (start, end) = (trigger.metadata("start")?, trigger.metadata("end")?);
    let (starts, ends) = (days(start.value)?, days(end.value)?);
    if minutes(start.value)? <= minutes(end.value)? {
        return None;
    }
    let lonely = (0..7).find(|day| starts[*day] && !ends[(day + 1) % 7])?;
    let next = (2..=7).map(|ahead| (lonely + ahead) % 7).find(|day| ends[*day])?;
    Some((DAYS[lonely], DAYS[next]))
}

/// The days of the week of a schedule that names no others.
fn days(schedule: &str) -> Option<[bool; 7]> {
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    let [_, _, day_of_month, month, week] = fields.as_slice() else { return None };
    if !["*", "?"].contains(day_of_month) || *month != "*" {
        return None;
    }
    if ["*", "?"].contains(week) {
        return Some([true; 7]);
    }
    let day = |text: &str| {
        let number = text.parse::<usize>().ok().filter(|own| *own < 8).map(|own| own % 7);
        number.or_else(|| SHORT.iter().position(|own| text.eq_ignore_ascii_case(own)))
    };
    let mut found = [false; 7];
    for part in week.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (first, last) = (day(first)?, day(last)?);
                let last = if last < first { last + 7 } else { last };
                (first..=last).for_each(|own| found[own % 7] = true);
            }
            None => found[day(part)?] = true,
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_week_are_read() {
        let listed =
            |text: &str| days(&format!("0 6 * * {text}")).map(|own| (0..7).filter(|day| own[*day]).collect::<Vec<_>>());
        assert_eq!(listed("1-5"), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(listed("MON-FRI"), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(listed("5-7"), Some(vec![0, 5, 6]));
        assert_eq!(listed("0,3"), Some(vec![0, 3]));
        assert_eq!(listed("*"), Some((0..7).collect()));
        assert_eq!(listed("1/2"), None);
        assert_eq!(days("0 6 1 * 1"), None);
    }
}

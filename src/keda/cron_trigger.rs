//! A `cron` trigger: a number of replicas inside a time window (`pkg/scalers/cron_scaler.go`).

use crate::keda::cron_schedule::CronSchedule;
use crate::keda::trigger::normalized;
use crate::keda::trigger_reader::Reader;
use crate::keda::trigger_value::float_to_milli;
use crate::keda::{KedaVersion, TargetType, TriggerValue, metadata};
use crate::units::Diagnostic;
use jiff::tz::TimeZone;

/// The first release whose value outside the window is 0; before it was 1.
const ZERO_OUTSIDE: KedaVersion = KedaVersion { major: 2, minor: 18, patch: 0 };

/// The part of a trigger that only cron has.
#[derive(Clone, Debug, PartialEq)]
pub struct CronTrigger {
    /// `timezone` as written.
    pub timezone: String,
    /// `start` as written.
    pub start: String,
    /// `end` as written.
    pub end: String,
    /// `desiredReplicas`.
    pub desired_replicas: i64,
    pub(super) zone: TimeZone,
    pub(super) starts: CronSchedule,
    pub(super) ends: CronSchedule,
}

impl CronTrigger {
    /// Whether `unix_seconds` lies in the window [start, end): the next end strictly after now does not come after the
    /// next start. A start that never comes again leaves the window open, an end that never comes leaves it shut.
    pub fn is_inside(&self, unix_seconds: i64) -> bool {
        let next = |schedule: &CronSchedule| schedule.next(&self.zone, unix_seconds);
        match (next(&self.starts), next(&self.ends)) {
            (Some(start), Some(end)) => end <= start,
            (None, Some(_)) => true,
            (_, None) => false,
        }
    }

    /// The trigger's value at `unix_seconds`.
    pub fn value_at(&self, unix_seconds: i64, version: KedaVersion) -> TriggerValue {
        let active = self.is_inside(unix_seconds);
        let outside = if version >= ZERO_OUTSIDE { 0.0 } else { 1.0 };
        let value = if active { self.desired_replicas as f64 } else { outside };
        TriggerValue { value, milli: float_to_milli(value, version), active }
    }
}

const KNOWN_KEYS: [&str; 4] = ["timezone", "start", "end", "desiredReplicas"];

/// Most replicas that a window may ask for: beyond any cluster that is simulated.
const MOST_REPLICAS: i64 = 10_000;

/// The trigger; `None` when something required is wrong.
pub(super) fn read(reader: &mut Reader<'_>, target_type: Option<TargetType>) -> Option<CronTrigger> {
    let timezone = reader.required("timezone");
    let start = reader.required("start");
    let end = reader.required("end");
    let desired_replicas = reader.required_as("desiredReplicas", metadata::integer);
    reader.warn_ignored(&KNOWN_KEYS, target_type, |_| None);
    let zone = timezone.as_ref().and_then(|own| match zone_called(own.value) {
        Some(zone) => Some(zone),
        None => {
            let message = format!("unknown time zone {}", own.value);
            reader.refuse("timezone", message, Some("write an IANA name such as Europe/Berlin or Etc/UTC"));
            None
        }
    });
    let mut schedule = |key: &str, found: Option<&str>| match CronSchedule::parse(found?) {
        Ok(schedule) => Some(schedule),
        Err(why) => {
            let message = format!("error parsing {key} schedule: {why}");
            reader.refuse(key, message, Some("write five fields: minute, hour, day of month, month, day of week"));
            None
        }
    };
    let starts = schedule("start", start.as_ref().map(|own| own.value));
    let ends = schedule("end", end.as_ref().map(|own| own.value));
    let (timezone, start, end) = (timezone?.value, start?.value, end?.value);
    let mut fine = true;
    if start == end {
        reader.refuse("end", "start and end can not have exactly same time input", None);
        fine = false;
    }
    if desired_replicas == Some(0) {
        reader.refuse("desiredReplicas", "no desiredReplicas specified", None);
        fine = false;
    }
    if desired_replicas.is_some_and(|count| count > MOST_REPLICAS) {
        let path = reader.path("desiredReplicas");
        let span = reader.trigger.metadata("desiredReplicas").map(|own| own.span);
        let message = format!("found more than the {MOST_REPLICAS} replicas that can be simulated");
        reader.diagnostics.push(Diagnostic::error(span, path, message).help("write a smaller count"));
        fine = false;
    }
    if timezone == "Local" {
        let span = reader.trigger.metadata("timezone").map(|own| own.span);
        let message = "Local is the zone of KEDA's operator pod, which is taken to be UTC";
        let help = "write the zone that is meant, such as Etc/UTC or Europe/Berlin";
        reader.diagnostics.push(Diagnostic::warning(span, reader.path("timezone"), message).help(help));
    }
    let trigger = CronTrigger {
        timezone: timezone.to_owned(),
        start: start.to_owned(),
        end: end.to_owned(),
        desired_replicas: desired_replicas?,
        zone: zone?,
        starts: starts?,
        ends: ends?,
    };
    fine.then_some(trigger)
}

/// The time zone of Go's `time.LoadLocation`, whose names are case sensitive. The operator's image has no zone of its own,
/// so that `Local` is UTC there.
fn zone_called(name: &str) -> Option<TimeZone> {
    if matches!(name, "UTC" | "Local") {
        return Some(TimeZone::UTC);
    }
    TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name))
}

/// `s<index>-cron-<time zone>-<start>-<end>`, made fit for a metric name (`GetMetricSpecForScaling`).
pub(super) fn metric_name(index: usize, trigger: &CronTrigger) -> String {
    let short = |schedule: &str| {
        let replaced = [(" ", ""), ("*", "x"), ("/", "Sl"), ("?", "Qm"), (",", "Cm")];
        replaced.into_iter().fold(schedule.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let name = format!("cron-{}-{}-{}", trigger.timezone, short(&trigger.start), short(&trigger.end));
    format!("s{index}-{}", normalized(&name))
}

#[cfg(test)]
#[path = "cron_trigger_tests.rs"]
mod tests;

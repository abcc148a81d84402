//! Windows, values by version, names and refusals.

use super::*;
use crate::keda::test_support::{key, text, version, written, written_trigger};
use crate::keda::{ScaledObjectSpec, Trigger, TriggerKind};
use crate::manifest::{self, ScaledObject};
use crate::series::Signals;
use jiff::civil::DateTime;

const NEW: KedaVersion = version(2, 20, 2);

fn object(metadata: &[(&str, &str)]) -> ScaledObject {
    let mut object = written();
    let lines = metadata.iter().zip(101..);
    object.triggers = vec![manifest::Trigger {
        kind: text("cron", 100),
        metadata: lines.map(|((name, value), line)| (key(name, line), text(value, line))).collect(),
        ..written_trigger(0)
    }];
    object
}

fn window(timezone: &str, start: &str, end: &str) -> Trigger {
    let metadata = [("timezone", timezone), ("start", start), ("end", end), ("desiredReplicas", "10")];
    let (spec, messages) =
        ScaledObjectSpec::resolve(&object(&metadata), NEW, &Signals::default()).unwrap_or_else(|why| panic!("{why}"));
    assert!(messages.0.is_empty(), "{messages}");
    spec.triggers[0].clone()
}

fn cron(trigger: &Trigger) -> &CronTrigger {
    match &trigger.kind {
        TriggerKind::Cron(own) => own,
        other => panic!("found {other:?}"),
    }
}

#[test]
fn a_window_is_half_open() {
    // zone, start, end, wall clock, inside. 2026-01-05 is a Monday.
    let table = [
        ("Etc/UTC", "0 6 * * *", "0 20 * * *", "2026-01-05T05:59:59", false), // before
        ("Etc/UTC", "0 6 * * *", "0 20 * * *", "2026-01-05T06:00:00", true),  // the start is in
        ("Etc/UTC", "0 6 * * *", "0 20 * * *", "2026-01-05T19:59:59", true),  // to the last second
        ("Etc/UTC", "0 6 * * *", "0 20 * * *", "2026-01-05T20:00:00", false), // the end is out
        ("Etc/UTC", "0 22 * * *", "0 4 * * *", "2026-01-05T23:00:00", true),  // over midnight
        ("Etc/UTC", "0 22 * * *", "0 4 * * *", "2026-01-05T12:00:00", false), // and by day
        ("Etc/UTC", "0 6 * * 1-5", "0 20 * * 1-5", "2026-01-10T12:00:00", false), // a working week rests on Saturday
        ("Etc/UTC", "0 20 * * 1-5", "0 6 * * 1-5", "2026-01-10T12:00:00", true), // inverted, it runs through the weekend
        ("Etc/UTC", "0 20 * * 1-5", "0 6 * * 1-5", "2026-01-12T05:59:59", true), // until Monday morning
        ("Etc/UTC", "0 20 * * 1-5", "0 6 * * 1-5", "2026-01-12T06:00:00", false), // and no longer
        ("Europe/Berlin", "0 6 * * *", "0 20 * * *", "2026-07-01T06:00:00", true), // wall time in summer
        ("Europe/Berlin", "0 6 * * *", "0 20 * * *", "2026-01-05T05:59:59", false), // and in winter
        ("Asia/Kolkata", "0 6 * * *", "0 8 * * *", "2026-01-05T07:59:59", true), // any offset
        ("Etc/UTC", "0 0 30 2 *", "0 6 * * *", "2026-01-05T12:00:00", true),     // never starts: open
        ("Etc/UTC", "0 6 * * *", "0 0 30 2 *", "2026-01-05T12:00:00", false),    // never ends: shut
    ];
    for (timezone, start, end, wall, inside) in table {
        let trigger = window(timezone, start, end);
        let own = cron(&trigger);
        let at: DateTime = wall.parse().expect("a wall clock");
        let unix = own.zone.to_timestamp(at).expect("in range").as_second();
        assert_eq!(own.is_inside(unix), inside, "{start} to {end} in {timezone} at {wall}");
        let value = if inside { 10.0 } else { 0.0 };
        let expected = TriggerValue { value, milli: 1000 * value as i64, active: inside };
        assert_eq!(own.value_at(unix, NEW), expected);
        let before = own.value_at(unix, version(2, 17, 2));
        assert_eq!((before.value, before.active), (if inside { 10.0 } else { 1.0 }, inside), "1 outside before 2.18");
    }
}

#[test]
fn names_are_fit_for_the_hpa() {
    // zone, start, end, name.
    let table = [
        ("Etc/UTC", "0 0 * * Thu", "59 23 * * Thu", "s0-cron-Etc-UTC-00xxThu-5923xxThu"), // upstream's own example
        ("Europe/Berlin", "*/5 6,7 ? * 1-5", "0 20 * * *", "s0-cron-Europe-Berlin-xSl56Cm7Qmx1-5-020xxx"), // every sign
        ("UTC", "0 6 * * *", "0 20 * * *", "s0-cron-UTC-06xxx-020xxx"),                   // without a slash
    ];
    for (timezone, start, end, expected) in table {
        let trigger = window(timezone, start, end);
        assert_eq!(trigger.metric_name, expected);
        assert_eq!((trigger.threshold, trigger.kind.word()), (1.0, "cron"));
    }
    assert_eq!(window("UTC", "0 6 * * *", "0 20 * * *").asks(), "from 0 6 * * * to 0 20 * * * (UTC): 10");
}

#[test]
fn what_the_scaler_refuses() {
    let all = [("timezone", "Etc/UTC"), ("start", "0 6 * * *"), ("end", "0 20 * * *"), ("desiredReplicas", "10")];
    // key, value ("" takes it away), line, text.
    let table = [
        ("timezone", "", 100, "missing required parameter \"timezone\" in [triggerMetadata]"),
        ("start", "", 100, "missing required parameter \"start\""),
        ("end", "", 100, "missing required parameter \"end\""),
        ("desiredReplicas", "", 100, "missing required parameter \"desiredReplicas\""),
        ("desiredReplicas", "0", 104, "no desiredReplicas specified"),
        ("desiredReplicas", "2.5", 104, "unable to set param \"desiredReplicas\" value \"2.5\": unable to unmarshal"),
        ("timezone", "Europe/Atlantis", 101, "unknown time zone Europe/Atlantis"),
        ("timezone", "europe/berlin", 101, "unknown time zone europe/berlin"),
        ("start", "0 25 * * *", 102, "error parsing start schedule: end of range (25) above maximum (23): 25"),
        ("end", "@daily", 103, "error parsing end schedule: parser does not accept descriptors: @daily"),
        ("end", "0 6 * * *", 103, "start and end can not have exactly same time input"),
    ];
    for (name, value, line, expected) in table {
        let changed = all.map(|(own, old)| (own, if own == name { value } else { old }));
        let kept: Vec<_> = changed.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let found = ScaledObjectSpec::resolve(&object(&kept), NEW, &Signals::default()).expect_err(expected);
        let start = format!("error: so.yaml:{line}:3: spec.triggers[0].metadata.{name}: {expected}");
        assert_eq!(found.0.len(), 1, "{found}");
        assert!(found.to_string().starts_with(&start), "{found}");
    }
    let stray: Vec<_> = all.into_iter().chain([("desiredReplica", "3")]).collect();
    let (_, messages) = ScaledObjectSpec::resolve(&object(&stray), NEW, &Signals::default()).expect("valid");
    assert!(messages.to_string().contains("unknown key \"desiredReplica\" is ignored by KEDA"), "{messages}");
}

#[test]
fn what_cannot_be_meant_or_simulated_is_told() {
    let told = |timezone: &str, replicas: &str| {
        let metadata =
            [("timezone", timezone), ("start", "0 6 * * *"), ("end", "0 20 * * *"), ("desiredReplicas", replicas)];
        match ScaledObjectSpec::resolve(&object(&metadata), NEW, &Signals::default()) {
            Ok((_, messages)) | Err(messages) => messages.to_string(),
        }
    };
    assert_eq!(told("Etc/UTC", "10000"), "");
    let found = told("Etc/UTC", "10001");
    let start = "error: so.yaml:104:3: spec.triggers[0].metadata.desiredReplicas: found more than the 10000 replicas";
    assert!(found.starts_with(start), "{found}");
    let found = told("Local", "3");
    let start = "warning: so.yaml:101:3: spec.triggers[0].metadata.timezone: Local is the zone of KEDA's operator pod";
    assert!(found.starts_with(start), "{found}");
    let found = told("Etc/UTC", "0");
    assert!(found.contains("no desiredReplicas specified"), "{found}");
}

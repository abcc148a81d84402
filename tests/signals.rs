//! The user's own series: every shape and every mistake in them, CSV files, and the arithmetic of gauges and counters.

use kedasim::manifest::{Bundle, Value};
use kedasim::scenario::{
    Overrides, ResolvedRun, ScenarioFile, ShapeWritten, SweepAxis, SweepFile, read_scenario, read_sweep, resolve,
    scenario_yaml,
};
use kedasim::series::{Labels, MetricKind, Signal, SignalPoints, SignalSeries};
use kedasim::study::run_sweep;
use kedasim::units::{Located, SimDuration, SimTime, Span};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: opt-125m-predictor}
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {serverAddress: http://prometheus:9090, query: sum(vllm:num_requests_running), threshold: "2"}
"#;

const SCENARIO: &str = "
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: s}
spec:
  duration: 5m
  replica: {profile: opt-125m-cpu, servedModelName: opt-125m}
  traffic: {arrivals: {poisson: {rate: 0.1}}, prompt: {constant: 15}, output: {constant: 20}}
";

fn secs(seconds: u64) -> SimTime {
    SimTime::from_secs(seconds)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// A Scenario with `signals`, whose text starts at line 10, column 5.
fn with_signals(signals: &str) -> String {
    format!("{SCENARIO}  signals:\n{}", indented(signals))
}

fn scenario(signals: &str) -> Result<ScenarioFile, String> {
    let bundle = Bundle::from_text(&with_signals(signals), "s.yaml").map_err(|found| found.to_string())?;
    read_scenario(&bundle.documents[0]).map_err(|found| found.to_string())
}

/// What one trigger's signal is read as.
fn trigger(signal: &str) -> ShapeWritten {
    let file = scenario(&format!("triggers: {{x: {signal}}}")).unwrap_or_else(|told| panic!("{signal}: {told}"));
    file.signals.expect("given").value.triggers.remove(0).1.value
}

/// A fresh folder with files.
fn folder(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("signals").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the case");
    for (file, bytes) in files {
        fs::write(folder.join(file), bytes).expect("writable");
    }
    folder
}

/// Resolves a Scenario with `signals` that stands in `folder`.
fn resolve_in(folder: &std::path::Path, signals: &str, overrides: &Overrides) -> Result<ResolvedRun, String> {
    resolve_of(folder, SCALED_OBJECT, signals, overrides)
}

/// A kafka trigger and four external ones, of which one has no name.
fn with_external_triggers() -> String {
    let head = SCALED_OBJECT.split("    - type").next().expect("has triggers");
    let mut text = format!(
        "{head}    - type: kafka\n      metadata: {{bootstrapServers: \"kafka:9092\", consumerGroup: g, topic: t}}\n"
    );
    for name in ["name: my.external, ", "", "name: 'on', ", "name: 'null', ", "name: '0x1f', "] {
        text.push_str(&format!("    - {{type: external, {name}metadata: {{scalerAddress: \"scaler:8080\"}}}}\n"));
    }
    text
}

/// Resolves a Scenario with `signals` and a ScaledObject.
fn resolve_of(
    folder: &std::path::Path,
    object: &str,
    signals: &str,
    overrides: &Overrides,
) -> Result<ResolvedRun, String> {
    let text = if signals.is_empty() { SCENARIO.to_owned() } else { with_signals(signals) };
    let text = format!("{text}---{object}");
    let file = folder.join("s.yaml").display().to_string();
    let bundle = Bundle::from_text(&text, &file).map_err(|found| found.to_string())?;
    resolve(&bundle, overrides).map_err(|found| found.to_string())
}

/// The points of a series that is read from a CSV file with this content.
fn points(name: &str, content: &[u8]) -> Result<Vec<(SimTime, Option<f64>)>, String> {
    let folder = folder(name, &[("lag.csv", content)]);
    let run = resolve_in(&folder, "series: [{metric: m, value: {csv: lag.csv}}]", &Overrides::default())?;
    let Signal::Points(points) = &run.signals[0].value else { panic!("a CSV has points") };
    Ok(points.iter().collect())
}

#[test]
fn every_shape_is_read() {
    let seconds = SimDuration::from_secs;
    for (text, signal) in [
        ("{constant: 40}", Signal::Constant(40.0)),
        ("{constant: -0.5}", Signal::Constant(-0.5)),
        ("{step: {from: 0, to: 12, at: 5m}}", Signal::Step { from: 0.0, to: 12.0, at: secs(300) }),
        (
            "{ramp: {from: 60, to: 0.5, start: 5m, end: 15m}}",
            Signal::Ramp { from: 60.0, to: 0.5, start: secs(300), end: secs(900) },
        ),
        (
            "{sine: {mean: 3, amplitude: 2, period: 10m}}",
            Signal::Sine { mean: 3.0, amplitude: 2.0, period: seconds(600) },
        ),
        ("{oscillate: {low: 1, high: 9, period: 90s}}", Signal::Oscillate { low: 1.0, high: 9.0, period: seconds(90) }),
    ] {
        assert_eq!(trigger(text), ShapeWritten::Numbers(signal.clone()), "{text}");
        assert_eq!(trigger(&format!("{{value: {text}}}")), ShapeWritten::Numbers(signal), "{text}");
    }
    let ShapeWritten::Csv(csv) = trigger("{csv: lag.csv}") else { panic!("a CSV") };
    assert_eq!((csv.file.value.as_str(), csv.column, csv.time), ("lag.csv", None, None));
    let ShapeWritten::Csv(csv) = trigger("{csv: {file: lag.csv, column: lag, time: at}}") else { panic!("a CSV") };
    assert_eq!((csv.column.expect("given").value, csv.time.expect("given").value), ("lag".to_owned(), "at".to_owned()));
}

#[test]
fn triggers_keep_their_keys_and_places_in_order() {
    let text = "triggers:\n  triggers[2]: {constant: 1}\n  my.external: {value: {constant: 2}, active: {constant: 1}, target: 10}\n  s0-kafka: {constant: 3}";
    let triggers = scenario(text).expect("right").signals.expect("given").value.triggers;
    let keys: Vec<(&str, u32)> = triggers.iter().map(|(key, _)| (key.value.as_str(), key.span.line)).collect();
    assert_eq!(keys, [("triggers[2]", 11), ("my.external", 12), ("s0-kafka", 13)]);
    let own = &triggers[1].1;
    assert_eq!(own.active, Some(ShapeWritten::Numbers(Signal::Constant(1.0))));
    assert_eq!(own.target.as_ref().map(|target| target.value), Some(10.0));
    assert_eq!((triggers[0].1.active.is_none(), triggers[0].1.target.is_none()), (true, true));
}

#[test]
fn series_are_gauges_or_counters_with_exactly_their_labels() {
    let text = "series:\n- metric: kthena_router_active_downstream_requests\n  labels: {namespace: kthena, job: router}\n  value: {ramp: {from: 0, to: 60, start: 5m, end: 15m}}\n- metric: vllm:num_incoming_requests_total\n  rate: {sine: {mean: 3, amplitude: 3, period: 10m}}";
    let run = resolve_in(&folder("series", &[]), text, &Overrides::default()).expect("right");
    let shown: Vec<(String, MetricKind)> =
        run.signals.iter().map(|series| (series.labels.to_string(), series.kind)).collect();
    assert_eq!(
        shown,
        [
            (
                r#"kthena_router_active_downstream_requests{job="router",namespace="kthena"}"#.to_owned(),
                MetricKind::Gauge
            ),
            ("vllm:num_incoming_requests_total".to_owned(), MetricKind::Counter),
        ]
    );
    assert_eq!(run.signals[0].sample_at(secs(600)), Some(30.0));
    // Whole periods: the mean.
    assert_eq!(run.signals[1].sample_at(secs(1_200)), Some(3_600.0));
    assert!(resolve_in(&folder("none", &[]), "", &Overrides::default()).expect("right").signals.is_empty());
}

#[test]
fn a_mistake_in_signals_is_placed_and_explained() {
    // (signals, parts of the message)
    let cases: &[(&str, &[&str])] = &[
        ("trigers: {}", &["s.yaml:10:5: spec.signals.trigers", "did you mean triggers?"]),
        ("triggers: [1]", &["s.yaml:10:15: spec.signals.triggers", "expected a mapping of triggers"]),
        ("triggers: {x: 40}", &["spec.signals.triggers.x", "found the integer 40", "write {constant: 40}"]),
        ("triggers: {x: {value: 0.5}}", &["triggers.x.value", "write {constant: 0.5}"]),
        ("triggers: {x: }", &["triggers.x: found nothing, expected a mapping"]),
        ("triggers: {x: {}}", &["triggers.x: found no shape, expected exactly one of constant, step"]),
        ("triggers: {x: {value: {}}}", &["triggers.x.value: found no shape"]),
        ("triggers: {x: {constant: }}", &["the required field constant is missing"]),
        ("triggers: {x: {value: , target: 2}}", &["the required field value is missing"]),
        ("triggers: {x: {active: {constant: 1}}}", &["the required field value is missing"]),
        ("triggers: {x: {constnat: 4}}", &["s.yaml:10:20: ", "triggers.x.constnat", "did you mean constant?"]),
        ("triggers: {x: {valeu: {constant: 4}}}", &["triggers.x.valeu", "did you mean value?"]),
        ("triggers: {x: {constant: 4, targt: 4}}", &["triggers.x.targt", "did you mean target?"]),
        (
            "triggers: {x: {constant: 4, active: {constant: 1}}}",
            &["found constant beside", "write value: {constant: ...}"],
        ),
        (
            "triggers: {x: {constant: 4, step: {from: 0, to: 1, at: 1s}}}",
            &["found constant, step, expected exactly one"],
        ),
        ("triggers: {x: {value: {constant: 4, csv: a.csv}}}", &["x.value: found constant, csv"]),
        ("triggers: {x: {constant: \"4\"}}", &["triggers.x.constant: found the string \"4\", expected a number"]),
        ("triggers: {x: {constant: 1e101}}", &["found 1e101, expected a number from -1e100 to 1e100"]),
        (
            "triggers: {x: {value: {constant: 4}, target: 0}}",
            &["triggers.x.target: found 0, expected a number above 0"],
        ),
        ("triggers: {x: {value: {constant: 4}, target: a}}", &["triggers.x.target", "expected a number"]),
        ("triggers: {x: {value: {constant: 4}, active: {}}}", &["triggers.x.active: found no shape"]),
        ("triggers: {\"\": {constant: 4}}", &["found the key \"\"", "triggers[0]"]),
        ("triggers: {'a\"b': {constant: 4}}", &["s.yaml:10:16", "expected a trigger"]),
        ("triggers: {\"a.b\": {constnat: 4}}", &["spec.signals.triggers[\"a.b\"].constnat"]),
        ("triggers: {x: {constant: 4}, x: {constant: 5}}", &["s.yaml:10:34", "duplicate key \"x\""]),
        ("triggers: {x: {step: {from: 0, to: 1}}}", &["triggers.x.step.at: the required field at is missing"]),
        ("triggers: {x: {step: {from: 0, to: 1, at: 5}}}", &["x.step.at: found the integer 5, expected a duration"]),
        ("triggers: {x: {step: 5}}", &["x.step: found the integer 5, expected a mapping"]),
        ("triggers: {x: {step: }}", &["the required field step is missing"]),
        ("triggers: {x: {step: {from: 0, to: 1, at: 5s, for: 1s}}}", &["unknown key \"for\""]),
        ("triggers: {x: {ramp: {from: 0, to: 1, start: 5s, end: 5s}}}", &["x.ramp.end: found end 5s with start 5s"]),
        ("triggers: {x: {ramp: {from: 0, to: 1, end: 5s}}}", &["the required field start is missing"]),
        (
            "triggers: {x: {sine: {mean: 0, amplitude: 1, period: 0s}}}",
            &["x.sine.period: found 0, expected a duration above zero"],
        ),
        ("triggers: {x: {sine: {mean: 0, amplitude: 1}}}", &["the required field period is missing"]),
        ("triggers: {x: {sine: {mean: 0, amplitude: .inf, period: 1s}}}", &["infinite"]),
        ("triggers: {x: {oscillate: {low: 3, high: 2, period: 1m}}}", &["found low 3 above high 2"]),
        ("triggers: {x: {oscillate: {low: 3, period: 1m}}}", &["the required field high is missing"]),
        ("triggers: {x: {csv: 4}}", &["triggers.x.csv: found the integer 4, expected a string"]),
        ("triggers: {x: {csv: {column: a}}}", &["the required field file is missing"]),
        ("triggers: {x: {csv: {file: a.csv, colum: b}}}", &["x.csv.colum", "did you mean column?"]),
        ("series: {a: 1}", &["spec.signals.series: found a mapping, expected a list"]),
        ("series: [a]", &["series[0]: found the string \"a\", expected a mapping"]),
        ("series: [{value: {constant: 1}}]", &["series[0].metric: the required field metric is missing"]),
        ("series: [{metric: 0a, value: {constant: 1}}]", &["series[0].metric: found \"0a\", expected letters"]),
        ("series: [{metric: a-b, value: {constant: 1}}]", &["series[0].metric: found \"a-b\""]),
        ("series: [{metric: \"\", value: {constant: 1}}]", &["series[0].metric: found \"\""]),
        ("series: [{metric: a}]", &["series[0]: found neither value nor rate, expected one of them"]),
        ("series: [{metric: a, rate: }]", &["found neither value nor rate"]),
        ("series: [{metric: a, valeu: {constant: 1}}]", &["series[0].valeu", "did you mean value?"]),
        ("series: [{metric: a, value: {constant: 1}, rate: {constant: 1}}]", &["found both value and rate"]),
        ("series: [{metric: a, rate: {constant: -1}}]", &["series[0].rate: found a rate that falls to -1"]),
        ("series: [{metric: a, rate: {step: {from: 1, to: -2, at: 1s}}}]", &["falls to -2"]),
        ("series: [{metric: a, rate: {ramp: {from: -3, to: 1, start: 1s, end: 2s}}}]", &["falls to -3"]),
        ("series: [{metric: a, rate: {sine: {mean: 1, amplitude: -2, period: 1s}}}]", &["falls to -1"]),
        ("series: [{metric: a, rate: {oscillate: {low: -1, high: 1, period: 1s}}}]", &["falls to -1"]),
        ("series: [{metric: a, labels: {__name__: b}, value: {constant: 1}}]", &["the label __name__", "under metric"]),
        ("series: [{metric: a, labels: {__x: b}, value: {constant: 1}}]", &["series[0].labels.__x", "begin with __"]),
        ("series: [{metric: a, labels: {\"a:b\": c}, value: {constant: 1}}]", &["the label \"a:b\""]),
        ("series: [{metric: a, labels: {b: \"\"}, value: {constant: 1}}]", &["labels.b: found an empty value"]),
        ("series: [{metric: a, labels: {b: 5}, value: {constant: 1}}]", &["labels.b: found the integer 5", "quotes"]),
        (
            "series: [{metric: a, value: {constant: 1}}, {metric: a, rate: {constant: 1}}]",
            &["series[1]: found a again, given before at s.yaml:10:14"],
        ),
        (
            "series: [{metric: a, labels: {b: c, d: e}, value: {constant: 1}}, {metric: a, labels: {d: e, b: c}, value: {constant: 1}}]",
            &["series[1]: found a{b=\"c\",d=\"e\"} again"],
        ),
    ];
    for (signals, parts) in cases {
        let told = scenario(signals).expect_err(signals);
        for part in *parts {
            assert!(told.contains(part), "{signals}: {part:?} is missing in\n{told}");
        }
        assert!(told.contains("s.yaml:"), "{signals} has a place:\n{told}");
        assert_eq!(told.matches("error:").count(), 1, "{signals} is told once:\n{told}");
    }
}

#[test]
fn mistakes_in_several_signals_are_told_at_once() {
    let told =
        scenario("triggers: {x: {constant: a}, y: {csv: 4}}\nseries: [{metric: 1}, {metric: a}]").expect_err("wrong");
    assert_eq!(told.matches("error:").count(), 5, "{told}");
}

#[test]
fn a_series_is_known_by_labels_not_by_name_alone() {
    let text = "series: [{metric: a, labels: {b: c}, value: {constant: 1}}, {metric: a, value: {constant: 1}}]";
    assert_eq!(scenario(text).expect("right").signals.expect("given").value.series.len(), 2);
}

#[test]
fn a_csv_may_come_from_anywhere() {
    let expected = [(secs(0), Some(1.0)), (SimTime::from_millis(1_500), None), (secs(90), Some(-2.5))];
    for (name, content) in [
        ("plain", "t,value\n0,1\n1.5,\n90,-2.5\n"),
        ("crlf", "t,value\r\n0,1\r\n1.5,\r\n90,-2.5\r\n"),
        ("mark", "\u{feff}t,value\n0,1\n1.5,\n90,-2.5"),
        ("spaces", " t , value \n 0 , 1 \n 1.5 ,  \n 90 , -2.5 \n"),
        ("durations", "t,value\n0s,1\n1500ms,\n1m30s,-2.5\n"),
        ("exponents", "t,value\n0e0,1e0\n1.5E+00,\n9e1,-2.5\n"),
        ("other-columns", "host,value,note,t\na,1,x,0\nb,,y,1.5\nc,-2.5,\"z,\nz\",90\n"),
        ("blank-lines", "t,value\n\n0,1\n\n\n1.5,\n90,-2.5\n\n"),
        ("quotes", "\"t\",\"value\"\n\"0\",\"1\"\n\"1.5\",\"\"\n\"90\",\"-2.5\"\n"),
    ] {
        assert_eq!(
            points(name, content.as_bytes()).unwrap_or_else(|told| panic!("{name}: {told}")),
            expected,
            "{name}"
        );
    }
}

#[test]
fn times_in_a_csv_are_exact() {
    let read = points("exact", b"t,value\n0.1,1\n0.3,2\n1234567.000000000001,3\n").expect("right");
    let times: Vec<u64> = read.iter().map(|(at, _)| at.as_ps()).collect();
    assert_eq!(times, [100_000_000_000, 300_000_000_000, 1_234_567_000_000_000_001]);
}

#[test]
fn a_mistake_in_a_csv_has_its_line_and_field() {
    // (content, parts of the message)
    let cases: &[(&str, &[&str])] = &[
        ("", &["lag.csv:1:1: spec.signals.series[0]: found an empty file"]),
        ("\n\n", &["lag.csv:1:1", "found an empty file"]),
        (
            "t,vlaue\n0,1\n",
            &[
                "lag.csv:1:1",
                "found the header \"t,vlaue\" without the column \"value\"",
                "csv: {file: ..., column: vlaue}",
            ],
        ),
        ("time,value\n0,1\n", &["lag.csv:1:1", "without the column \"t\"", "time: ...}"]),
        ("t;value\n0;1\n", &["found the header \"t;value\" without the column \"t\" and \"value\"", "by commas"]),
        ("t,value,t\n0,1,2\n", &["lag.csv:1:3", "the column \"t\" twice"]),
        ("t,value\n", &["lag.csv:1:2", "found no value in the column \"value\""]),
        ("t,value\n0,\n1, \n", &["lag.csv:1:2", "found no value in the column"]),
        ("t,value\n0,1\n1,two\n", &["lag.csv:3:2: spec.signals.series[0]: value: found \"two\", expected a number"]),
        ("t,value\r\n\r\n0,1\r\n\r\n1,two\r\n", &["lag.csv:5:2", "found \"two\""]),
        ("value,t\n1,0\n2,x\n", &["lag.csv:3:2", "t: found \"x\", expected seconds since the run's start"]),
        ("t,value\n0,NaN\n", &["lag.csv:2:2", "found \"NaN\", expected a finite number", "leave the field empty"]),
        ("t,value\n0,-inf\n", &["found \"-inf\", expected a finite number"]),
        ("t,value\n0,1e101\n", &["expected a number from -1e100 to 1e100"]),
        (
            "t,value\n5,1\n5.0,2\n",
            &["lag.csv:3:1", "t: found \"5.0\", expected a time after that of the row before (5s)"],
        ),
        ("t,value\n5,1\n4,2\n", &["lag.csv:3:1", "found \"4\""]),
        ("t,value\n-1,1\n", &["lag.csv:2:1", "t: found \"-1\""]),
        ("t,value\n,1\n", &["lag.csv:2:1", "t: found \"\""]),
        ("t,value\nNaN,1\n", &["t: found \"NaN\", expected seconds"]),
        ("t,value\n1.2.3,1\n", &["t: found \"1.2.3\", expected seconds"]),
        ("t,value\n1700000000,1\n", &["t: found \"1700000000\"", "below 213 days"]),
        ("t,value\n1.7e9,1\n", &["t: found \"1.7e9\"", "below 213 days"]),
        ("t,value\n2026-01-01T00:00:00Z,1\n", &["expected seconds since the run's start"]),
        ("t,value\n0,1,2\n", &["lag.csv:2:1", "found 3 fields, expected 2 as in the header"]),
        ("t,value\n0\n", &["lag.csv:2:1", "found 1 fields, expected 2"]),
    ];
    for (content, parts) in cases {
        let told = points("wrong", content.as_bytes()).expect_err(content);
        for part in *parts {
            assert!(told.contains(part), "{content:?}: {part:?} is missing in\n{told}");
        }
        assert_eq!(told.matches("error:").count(), 1, "{content:?} is told once:\n{told}");
    }
    let told = points("bytes", b"t,value\n0,\xff\n").expect_err("not text");
    assert!(told.contains("lag.csv:2:2") && told.contains("not UTF-8"), "{told}");
    let many: String = (0..100).map(|_| "x,y\n").collect();
    let told = points("many", format!("t,value\n{many}").as_bytes()).expect_err("wrong");
    assert_eq!(told.matches("error:").count(), 5, "the first few say it all:\n{told}");
}

#[test]
fn a_rate_from_a_csv_is_never_negative() {
    let folder = folder("rate", &[("rates.csv", b"t,a,b\n0,1,1\n10,2,-1\n")]);
    let series =
        |column: &str| format!("series: [{{metric: m, rate: {{csv: {{file: rates.csv, column: {column}}}}}}}]");
    let run = resolve_in(&folder, &series("a"), &Overrides::default()).expect("right");
    assert_eq!(run.signals[0].sample_at(secs(15)), Some(20.0));
    let told = resolve_in(&folder, &series("b"), &Overrides::default()).expect_err("wrong");
    assert!(told.contains("rates.csv:3:3") && told.contains("found \"-1\", expected a rate of at least 0"), "{told}");
}

#[test]
fn a_csv_that_is_not_there_is_told_where_it_is_named() {
    let same = "triggers: {x: {csv: {file: lag.csv, column: t}}}";
    let told = resolve_in(&folder("same", &[("lag.csv", b"t,value\n0,1\n")]), same, &Overrides::default());
    assert!(
        told.expect_err("wrong").contains("lag.csv:1:1: spec.signals.triggers.x: found \"t\" for times and values")
    );
    let folder = folder("missing", &[]);
    let told = resolve_in(&folder, "triggers:\n  x: {csv: gone.csv}", &Overrides::default()).expect_err("wrong");
    for part in ["s.yaml:11:16: spec.signals.triggers.x: ", "gone.csv: there is no such file", "relative to the folder"]
    {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
}

#[test]
fn a_csv_that_ends_before_the_run_is_told() {
    let notes = |name: &str, rows: &str| {
        let folder = folder(name, &[("lag.csv", format!("t,value\n{rows}").as_bytes())]);
        let run = resolve_in(&folder, "series: [{metric: m, value: {csv: lag.csv}}]", &Overrides::default());
        run.expect("right").diagnostics.0.iter().filter(|own| own.message.contains("ends at")).count()
    };
    // The run takes five minutes.
    assert_eq!(notes("ends-early", "0,1\n60,2\n120,3\n"), 1);
    assert_eq!(notes("ends-late", "0,1\n150,2\n"), 0, "one more step reaches the end");
    assert_eq!(notes("ends-after", "0,1\n900,2\n"), 0);
}

#[test]
fn a_week_at_one_a_second_is_read() {
    let mut text = String::from("t,value\n");
    for second in 0..604_800 {
        text.push_str(&format!("{second},{}\n", second % 977));
    }
    let read = points("week", text.as_bytes()).expect("right");
    assert_eq!((read.len(), read[604_799]), (604_800, (secs(604_799), Some(f64::from(604_799 % 977)))));
}

/// Resolves with `--signals` naming a file with this content.
fn with_file(name: &str, content: &str, scenario: &str) -> Result<ResolvedRun, String> {
    let folder = folder(name, &[("signals.yaml", content.as_bytes()), ("lag.csv", b"t,value\n0,7\n")]);
    let overrides = Overrides { signals: Some(folder.join("signals.yaml")), ..Overrides::default() };
    resolve_in(&folder, scenario, &overrides)
}

#[test]
fn a_signals_file_replaces_those_of_the_scenario() {
    let own = "series: [{metric: own, value: {csv: gone.csv}}]";
    let run = with_file("file", "series:\n- {metric: other, value: {csv: lag.csv}}\n", own).expect("right");
    let names: Vec<&str> = run.signals.iter().map(|series| series.labels.metric_name()).collect();
    assert_eq!(names, ["other"], "also where the Scenario's cannot be read");
    assert_eq!(run.signals[0].sample_at(secs(3)), Some(7.0));
    let told = run.diagnostics.to_string();
    assert!(told.contains("s.yaml:10:5: spec.signals: these signals are not used: --signals "), "{told}");
    let run = with_file("file", "series: [{metric: other, value: {constant: 1}}]", "").expect("right");
    assert!(!run.diagnostics.to_string().contains("not used"));
}

#[test]
fn a_mistake_in_a_signals_file_is_placed_and_explained() {
    let header = "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nspec: {signals: {}}\n";
    let cases: &[(&str, &[&str])] = &[
        ("series: [{metric: a}]", &["signals.yaml:1:10: series[0]: found neither"]),
        ("triggers: {x: {constnat: 3}}", &["signals.yaml:1:16: triggers.x.constnat", "did you mean constant?"]),
        ("sries: []", &["signals.yaml:1:1: sries: unknown key \"sries\" in the document", "did you mean series?"]),
        (header, &["signals.yaml:2:7: kind: found the string \"Scenario\"", "--scenario"]),
        ("signals: {triggers: {}}", &["signals.yaml:1:10: signals", "one level up"]),
        ("", &["error: --signals: ", "found nothing, expected triggers or series"]),
        ("series: []\n---\nseries: []\n", &["signals.yaml:3:1: found 2 documents"]),
        ("series: [", &["signals.yaml:"]),
        ("- a", &["signals.yaml:1:1: found a list, expected a mapping"]),
        (
            "series: [{metric: a, value: {csv: gone.csv}}]",
            &["signals.yaml:1:35: series[0]: ", "gone.csv: there is no such file"],
        ),
    ];
    for (content, parts) in cases {
        let told = with_file("bad-file", content, "").expect_err(content);
        for part in *parts {
            assert!(told.contains(part), "{content}: {part:?} is missing in\n{told}");
        }
        assert_eq!(told.matches("error:").count(), 1, "{content} is told once:\n{told}");
    }
    let overrides = Overrides { signals: Some(PathBuf::from("gone/signals.yaml")), ..Overrides::default() };
    let told = resolve_in(&folder("gone", &[]), "", &overrides).expect_err("wrong");
    assert!(told.contains("--signals: gone/signals.yaml: there is no such file"), "{told}");
}

#[test]
fn signals_beside_series_of_the_replicas_are_told() {
    let text = "series:\n- {metric: vllm:num_requests_running, labels: {pod: a}, value: {constant: 1}}\n- {metric: vllm:num_requests_running, labels: {pod: b}, value: {constant: 1}}\n- {metric: vllm:other, value: {constant: 1}}";
    let run = resolve_in(&folder("overlap", &[]), text, &Overrides::default()).expect("right");
    let told: Vec<String> =
        run.diagnostics.0.iter().map(ToString::to_string).filter(|own| own.contains("replicas expose")).collect();
    assert_eq!(told.len(), 1, "once for each name: {told:?}");
    assert!(told[0].starts_with("warning: ") && told[0].contains("s.yaml:11:7: spec.signals.series[0]"), "{}", told[0]);
}

#[test]
fn the_resolved_scenario_holds_the_signals_again() {
    let signals = "\
triggers:
  s0-kafka: {constant: 40}
  my.external: {value: {step: {from: 0, to: 12, at: 5m}}, active: {constant: 1}, target: 10}
  triggers[2]: {value: {csv: {file: lag.csv, column: value, time: t}}, target: 1}
  on: {value: {sine: {mean: 1.5, amplitude: 2, period: 1m30.25s}}, target: 1}
  'null': {value: {constant: 1}, target: 1}
  '0x1f': {value: {constant: 1}, target: 1}
series:
- metric: vllm:in
  labels: {job: \"a b: {c}\", y: 'no \"q\"'}
  rate: {ramp: {from: 60, to: 0, start: 0s, end: 15m}}
- metric: m
  value: {oscillate: {low: 1e-7, high: 1e100, period: 10s}}
- {metric: other, value: {csv: lag.csv}}";
    let folder = folder("again", &[("lag.csv", b"t,value\n0,7\n")]);
    let object = with_external_triggers();
    let first = resolve_of(&folder, &object, signals, &Overrides::default()).unwrap_or_else(|told| panic!("{told}"));
    let text = scenario_yaml(&first);
    for part in [
        "    triggers:\n      s0-kafka: {value: {constant: 40}} # ",
        "s.yaml:11:7\n",
        "      \"my.external\": {value: {step: {from: 0, to: 12, at: 5m}}, active: {constant: 1}, target: 10} # ",
        "      \"triggers[2]\": {value: {csv: {file: ",
        "    series:\n      - {metric: \"vllm:in\", ",
        "\n      - {metric: m, value: {oscillate: ",
    ] {
        // Lone keys may or may not be quoted.
        let plain = part.replace("\"my.external\"", "my.external");
        assert!(text.contains(part) || text.contains(&plain), "{part:?} is missing in\n{text}");
    }
    let again = Bundle::from_text(&text, "scenario.yaml").unwrap_or_else(|found| panic!("{found}\n{text}"));
    let written = read_scenario(&again.documents[0]).unwrap_or_else(|found| panic!("{found}\n{text}"));
    let keys: Vec<String> =
        written.signals.expect("given").value.triggers.into_iter().map(|(key, _)| key.value).collect();
    assert_eq!(keys, ["s0-kafka", "my.external", "triggers[2]", "on", "null", "0x1f"]);
    let bundle = Bundle::from_text(&format!("{text}---{object}"), "scenario.yaml").expect("well formed");
    let second = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("{found}\n{text}"));
    assert_eq!(first.signals, second.signals, "{text}");
    assert_eq!(text.lines().skip(4).count(), scenario_yaml(&second).lines().skip(4).count(), "{text}");
}

#[test]
fn what_is_set_on_the_command_line_is_read() {
    let text = format!("{}---{SCALED_OBJECT}", with_signals("series: [{metric: m, value: {constant: 1}}]"));
    let mut bundle = Bundle::from_text(&text, "s.yaml").expect("well formed");
    bundle.set_text("Scenario:spec.signals.series[0].value.constant", "1.50").expect("the path is there");
    bundle.set_text("Scenario:spec.signals.triggers[\"triggers[0]\"]", "{constant: -3}").expect("made anew");
    let scenario = bundle.of_kind("Scenario").next().expect("there");
    let written = read_scenario(scenario).unwrap_or_else(|told| panic!("{told}")).signals.expect("given").value;
    assert_eq!(written.series[0].value.value, ShapeWritten::Numbers(Signal::Constant(1.5)));
    assert_eq!(written.triggers[0].0.value, "triggers[0]");
    bundle.set_text("Scenario:spec.signals.series[0].value.constant", "x").expect("the path is there");
    let told = resolve(&bundle, &Overrides::default()).expect_err("wrong").to_string();
    assert!(told.contains("--set: Scenario:spec.signals.series[0].value.constant"), "{told}");
}

#[test]
fn a_sweep_names_a_signals_file() {
    let folder = folder(
        "sweep",
        &[("p.yaml", format!("{}---{SCALED_OBJECT}", SCENARIO.replace("duration: 5m", "duration: 1m")).as_bytes())],
    );
    let text = "apiVersion: kedasim.dev/v1alpha1\nkind: Sweep\nmetadata: {name: w}\nspec:\n  policy: p.yaml\n  signals: signals.yaml\n  axes: {spec.maxReplicaCount: [2]}\n";
    fs::write(folder.join("sweep.txt"), text).expect("writable");
    let file = folder.join("sweep.txt").display().to_string();
    let mut document = Bundle::from_text(text, &file).expect("well formed").documents.remove(0);
    document.file = Some(folder.join("sweep.txt"));
    let sweep = read_sweep(&document).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(sweep.signals.as_ref().map(|own| own.value.clone()), Some(folder.join("signals.yaml")));
    let told = run_sweep(&sweep, 1).expect_err("there is none").to_string();
    assert!(told.contains("sweep.txt:6:12: spec.signals: at the sweep's point spec.maxReplicaCount=2: "), "{told}");
    assert!(told.contains("there is no such file"), "{told}");
    fs::write(folder.join("signals.yaml"), "series: [{metric: m, value: {constant: 1}}]").expect("writable");
    let outcome = run_sweep(&sweep, 1).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(outcome.points.len(), 1);
    let axis = SweepAxis {
        path: Located::new("spec.maxReplicaCount".to_owned(), Span::new("s", 1, 1)),
        values: vec![Value::Int(2)],
    };
    let none = SweepFile { signals: None, axes: vec![axis], ..sweep };
    assert_eq!(run_sweep(&none, 1).expect("right").points.len(), 1);
}

#[test]
fn values_change_exactly_when_they_should() {
    let step = Signal::Step { from: 1.0, to: 2.0, at: secs(10) };
    let just_before = SimTime::from_ps(secs(10).as_ps() - 1);
    assert_eq!((step.value_at(just_before), step.value_at(secs(10))), (Some(1.0), Some(2.0)));
    let ramp = Signal::Ramp { from: 10.0, to: 0.0, start: secs(10), end: secs(20) };
    let values: Vec<Option<f64>> = [0, 10, 15, 20, 30].map(|t| ramp.value_at(secs(t))).to_vec();
    assert_eq!(values, [Some(10.0), Some(10.0), Some(5.0), Some(0.0), Some(0.0)]);
    let square = Signal::Oscillate { low: 1.0, high: 3.0, period: SimDuration::from_secs(20) };
    assert_eq!((square.value_at(secs(0)), square.value_at(just_before)), (Some(3.0), Some(3.0)));
    assert_eq!((square.value_at(secs(10)), square.value_at(secs(20))), (Some(1.0), Some(3.0)));
    let sine = Signal::Sine { mean: 5.0, amplitude: 2.0, period: SimDuration::from_secs(40) };
    assert_eq!(
        (sine.value_at(secs(0)), sine.value_at(secs(10)), sine.value_at(secs(30))),
        (Some(5.0), Some(7.0), Some(3.0))
    );
    let points = Signal::Points(vec![(secs(5), Some(1.0)), (secs(10), None), (secs(20), Some(4.0))].into());
    let values: Vec<Option<f64>> = [0, 5, 9, 10, 19, 20, 900].map(|t| points.value_at(secs(t))).to_vec();
    assert_eq!(values, [None, Some(1.0), Some(1.0), None, None, Some(4.0), Some(4.0)]);
}

#[test]
fn a_counter_grows_at_its_rate() {
    let counter = |value: Signal, t: u64| value.integral_to(secs(t));
    let step = || Signal::Step { from: 1.0, to: 3.0, at: secs(10) };
    assert_eq!([counter(step(), 0), counter(step(), 10), counter(step(), 14)], [0.0, 10.0, 22.0]);
    let up = || Signal::Ramp { from: 2.0, to: 4.0, start: secs(10), end: secs(20) };
    assert_eq!([counter(up(), 10), counter(up(), 15), counter(up(), 20), counter(up(), 30)], [20.0, 32.5, 50.0, 90.0]);
    let down = || Signal::Ramp { from: 4.0, to: 2.0, start: secs(10), end: secs(20) };
    assert_eq!(
        [counter(down(), 10), counter(down(), 15), counter(down(), 20), counter(down(), 30)],
        [40.0, 57.5, 70.0, 90.0]
    );
    let square = || Signal::Oscillate { low: 1.0, high: 3.0, period: SimDuration::from_secs(20) };
    assert_eq!([counter(square(), 5), counter(square(), 15), counter(square(), 45)], [15.0, 35.0, 95.0]);
    // Half a period of a sine has an area of amplitude * period / pi above the mean.
    let sine = || Signal::Sine { mean: 2.0, amplitude: 1.0, period: SimDuration::from_secs(20) };
    assert!((counter(sine(), 10) - (20.0 + 20.0 / std::f64::consts::PI)).abs() < 1e-12);
    let mirrored = Signal::Sine { mean: 2.0, amplitude: -1.0, period: SimDuration::from_secs(20) };
    assert!((counter(mirrored, 10) - (20.0 - 20.0 / std::f64::consts::PI)).abs() < 1e-12);
}

#[test]
fn a_series_without_an_answer_is_not_there_and_does_not_grow() {
    let points: SignalPoints = vec![(secs(5), Some(2.0)), (secs(10), None), (secs(20), Some(4.0))].into();
    let series = |kind| SignalSeries {
        labels: Labels::from_pairs([("__name__", "m")]),
        kind,
        value: Signal::Points(points.clone()),
    };
    let sampled = |kind, times: [u64; 5]| times.map(|t| series(kind).sample_at(secs(t)));
    let times = [0, 7, 15, 20, 30];
    assert_eq!(sampled(MetricKind::Gauge, times), [None, Some(2.0), None, Some(4.0), Some(4.0)]);
    assert_eq!(sampled(MetricKind::Counter, times), [None, Some(4.0), None, Some(10.0), Some(50.0)]);
}

#[test]
#[should_panic(expected = "points are in order of time")]
fn points_are_in_order_of_time() {
    let _ = SignalPoints::from(vec![(secs(5), Some(2.0)), (secs(5), None)]);
}

/// Where a signal bends or jumps before `end`, in order, 0 and `end` among them.
fn bends(signal: &Signal, end: SimTime) -> Vec<SimTime> {
    let mut all = vec![SimTime::ZERO, end];
    match signal {
        Signal::Constant(_) => {}
        Signal::Step { at, .. } => all.push(*at),
        Signal::Ramp { start, end, .. } => all.extend([*start, *end]),
        Signal::Sine { period, .. } | Signal::Oscillate { period, .. } => {
            let (half, mut at) = (SimDuration::from_ps(period.as_ps() / 2), SimTime::ZERO);
            while at < end {
                all.extend([at, at + half]);
                at += *period;
            }
        }
        Signal::Points(points) => all.extend(points.iter().map(|(at, _)| at)),
    }
    all.retain(|at| *at <= end);
    all.sort_unstable();
    all.dedup();
    all
}

/// The integral by Gauss' rule of three points on 16 parts between any two bends.
fn summed(signal: &Signal, end: SimTime) -> f64 {
    let nodes = [(-0.774_596_669_241_483_4, 5.0 / 9.0), (0.0, 8.0 / 9.0), (0.774_596_669_241_483_4, 5.0 / 9.0)];
    let mut sum = 0.0;
    for pair in bends(signal, end).windows(2) {
        let (from, width) = (pair[0], pair[1].since(pair[0]).as_secs_f64_exact() / 16.0);
        for part in 0..16 {
            for (node, weight) in nodes {
                let offset = SimDuration::from_secs_f64((f64::from(part) + 0.5 + node / 2.0) * width);
                sum += weight / 2.0 * width * signal.value_at(from + offset).unwrap_or(0.0);
            }
        }
    }
    sum
}

/// Signals that are never negative.
fn rates() -> impl Strategy<Value = Signal> {
    let value = || prop_oneof![Just(0.0), 0.0..1e4_f64];
    let ms = |range: std::ops::Range<u64>| range.prop_map(SimDuration::from_millis);
    let time = |range: std::ops::Range<u64>| range.prop_map(SimTime::from_millis);
    prop_oneof![
        value().prop_map(Signal::Constant),
        (value(), value(), time(0..2_000_000)).prop_map(|(from, to, at)| Signal::Step { from, to, at }),
        (value(), value(), time(0..1_000_000), ms(1..1_000_000)).prop_map(|(from, to, start, length)| Signal::Ramp {
            from,
            to,
            start,
            end: start + length
        }),
        (value(), -1.0..=1.0_f64, ms(10_000..2_000_000), any::<bool>()).prop_map(|(mean, share, period, touches)| {
            let amplitude = if touches { mean * share.signum() } else { mean * share };
            Signal::Sine { mean, amplitude, period }
        }),
        (value(), value(), ms(10_000..2_000_000)).prop_map(|(low, more, period)| Signal::Oscillate {
            low,
            high: low + more,
            period
        }),
        prop::collection::vec((1u64..100_000, prop::option::of(value())), 1..30).prop_map(|rows| {
            let mut at = 0;
            let points: Vec<(SimTime, Option<f64>)> = rows
                .into_iter()
                .map(|(step, value)| {
                    at += step;
                    (SimTime::from_millis(at), value)
                })
                .collect();
            Signal::Points(points.into())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_counter_is_the_sum_of_its_rate(signal in rates(), end in 1u64..2_000_000) {
        let end = SimTime::from_millis(end);
        let (exact, summed) = (signal.integral_to(end), summed(&signal, end));
        prop_assert!((exact - summed).abs() <= 1e-9 * summed.abs().max(1.0), "{:?} at {}: {} {}", signal, end, exact, summed);
    }

    // Days from the start, where the sums are large and rounding is coarse; steps from one scrape to the next, and from one
    // picosecond to the next at the bends.
    #[test]
    fn a_counter_never_falls(signal in rates(), days in 0u64..100, step_ms in 1u64..60_000) {
        prop_assert_eq!(signal.integral_to(SimTime::ZERO), 0.0);
        let mut last = 0.0;
        for step in 0..200 {
            let value = signal.integral_to(SimTime::from_millis(days * 86_400_000 + step * step_ms));
            prop_assert!(value >= last, "{:?}: {} after {}", signal, value, last);
            last = value;
        }
        if matches!(signal, Signal::Sine { .. }) {
            return Ok(()); // The sine of two picoseconds may differ by more than the growth between them.
        }
        for at in bends(&signal, SimTime::from_millis(2_000_000)) {
            let mut last = 0.0;
            for ps in at.as_ps().saturating_sub(3)..at.as_ps() + 3 {
                let value = signal.integral_to(SimTime::from_ps(ps));
                prop_assert!(value >= last, "{:?} at {} ps: {} after {}", signal, ps, value, last);
                last = value;
            }
        }
    }

    // Weeks from the start, where a picosecond is less than the rounding of the sums.
    #[test]
    fn a_counter_never_falls_where_a_ramp_bends(start in 1u64..1_000_000_000, length in 1u64..1_000_000_000, falls: bool) {
        let (start, end) = (SimTime::from_millis(start), SimTime::from_millis(start + length));
        let (from, to) = if falls { (1.0, 0.0) } else { (0.0, 1.0) };
        let ramp = Signal::Ramp { from, to, start, end };
        for at in [start, end] {
            let values: Vec<f64> =
                (at.as_ps() - 3..at.as_ps() + 3).map(|ps| ramp.integral_to(SimTime::from_ps(ps))).collect();
            prop_assert!(values.is_sorted(), "{:?} at {}: {:?}", ramp, at, values);
        }
    }

    #[test]
    fn a_value_stays_within_its_bounds(signal in rates(), t in 0u64..4_000_000) {
        let value = signal.value_at(SimTime::from_millis(t));
        let (low, high) = match &signal {
            Signal::Constant(value) => (*value, *value),
            Signal::Step { from, to, .. } | Signal::Ramp { from, to, .. } => (from.min(*to), from.max(*to)),
            Signal::Sine { mean, amplitude, .. } => (mean - amplitude.abs(), mean + amplitude.abs()),
            Signal::Oscillate { low, high, .. } => (*low, *high),
            Signal::Points(_) => (0.0, 1e4),
        };
        prop_assert!(value.is_some() || matches!(signal, Signal::Points(_)));
        prop_assert!(value.is_none_or(|value| (low..=high).contains(&value)), "{:?} at {} ms: {:?}", signal, t, value);
    }
}

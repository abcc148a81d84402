//! The files, texts and pictures of a run: names that scripts rely on, round trips, determinism, and what is refused.

#[path = "report_builder/mod.rs"]
mod report_builder;

use kedasim::analysis::{Summary, summarize};
use kedasim::hpa::{Condition, Direction, LimitReason, Policy, PolicyKind, Recommendation, WindowReason};
use kedasim::manifest::{Bundle, Input};
use kedasim::record::{
    DecisionRecord, Event, EventKind, FindingLine, KedaPoll, RunRecord, ScaleSource, TimelineRow, decisions_from_jsonl,
    decisions_to_jsonl, events_to_jsonl, timeline_from_csv, timeline_to_csv,
};
use kedasim::report::{
    Heatmap, HeatmapSpec, PlotFormat, replot, results_csv, results_from_csv, results_table, summary_json,
    summary_markdown, summary_text_with, write_run_files, write_sweep,
};
use kedasim::scenario::{AnalysisSettings, Assumption, GateLimit, Overrides, SloLimit, SloMetric, resolve};
use kedasim::sim::simulate;
use kedasim::study::{SweepOutcome, SweepPoint};
use kedasim::units::{SimDuration, SimTime};
use report_builder::{Builder, at};
use std::fs;
use std::path::PathBuf;

/// Half an hour that scales up and down once, with a gap in the metric.
fn example() -> RunRecord {
    let mut builder = Builder::new(1, 1800);
    builder.0.events.push(Event { t: at(0), kind: EventKind::TrafficStarted });
    let mut builder = builder
        .sync(210, 7.925, 1, 2)
        .scaled(210, 1, 2, ScaleSource::Hpa)
        .sync(1500, 3.2, 2, 1)
        .scaled(1500, 2, 1, ScaleSource::Hpa)
        .pod(0, Some(0), None, 1200)
        .pod(210, Some(270), Some((1500, 1530)), 600)
        .requests(990, 2);
    builder.0.requests.in_flight = 3;
    builder.0.requests.total += 3;
    let record = &mut builder.0;
    record.events.push(Event {
        t: at(1500),
        kind: EventKind::RequestsFailed { pod: Some("pod-1".to_owned()), count: 2, cause: "killed" },
    });
    record.events.push(Event { t: at(1530), kind: EventKind::Pod { pod: "pod-1".to_owned(), state: "gone" } });
    record.tokens.prompt = 15_000;
    record.tokens.generated = 100_000;
    record.tokens.prompt_completed = 14_850;
    record.tokens.generated_completed = 99_000;
    record.tokens.first_sent = Some(at(1));
    record.tokens.last_completed = Some(at(1799));
    record.timeline.rows = (0..=180).map(row).collect();
    builder.0
}

/// A sample every ten seconds: a wave with a sharp edge, so that lines, steps and gaps all show.
fn row(index: u64) -> TimelineRow {
    let t = index * 10;
    let wave = (index % 24) as f64 / 24.0;
    let scaled = (210..1500).contains(&t);
    let value = if (700..760).contains(&t) { None } else { Some(3.0 + 6.0 * wave + if scaled { 1.5 } else { 0.0 }) };
    TimelineRow {
        t: SimTime::from_millis(t * 1000 + 125),
        offered_rps: 0.5 + 0.3 * wave,
        spec_replicas: if scaled { 2 } else { 1 },
        status_replicas: if scaled { 2 } else { 1 },
        ready_replicas: if (270..1500).contains(&t) { 2 } else { 1 },
        triggers: [(value.filter(|_| index > 1), 5.0)].into(),
        running: index % 7,
        waiting: if (150..270).contains(&t) { index % 5 } else { 0 },
        kv_usage: 0.1 + 0.2 * wave,
        ttft_p95: (!index.is_multiple_of(9)).then(|| if (150..270).contains(&t) { 4.5 } else { 0.08 + 0.05 * wave }),
    }
}

fn settings() -> AnalysisSettings {
    AnalysisSettings {
        flap_window: None,
        slo: vec![SloLimit {
            metric: SloMetric::Ttft,
            quantile_name: "p95".to_owned(),
            quantile: 0.95,
            limit: SimDuration::from_secs(2),
        }],
        gates: vec![GateLimit { name: "flapsPerHour".to_owned(), limit: 1.0 }],
        gate_confidence: None,
        gpu_hour_price: Some(2.5),
        estimated_profile: None,
    }
}

fn summary() -> Summary {
    summarize(&example(), &settings())
}

/// Keys of a JSON value as dotted paths, in the order written.
fn paths(value: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    if let serde_json::Value::Object(map) = value {
        for (key, value) in map {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            found.push(path.clone());
            paths(value, &path, found);
        }
    }
}

#[test]
fn summary_json_has_the_names_that_scripts_rely_on() {
    let json: serde_json::Value = serde_json::from_str(&summary_json(&summary())).expect("valid JSON");
    let contract: &[(&str, &[&str])] = &[
        ("", &["schemaVersion", "policy", "scenario", "seed", "durationSeconds", "files"]),
        (
            "requests",
            &["total", "completed", "failed", "timedOut", "aborted", "rejected", "retried", "inFlight", "failedBy"],
        ),
        ("requests.failedBy", &["refused", "killed", "unavailable", "error"]),
        ("ttftSeconds", &["mean", "p50", "p90", "p95", "p99", "max"]),
        ("tpotSeconds", &["mean", "p50", "p90", "p95", "p99", "max"]),
        ("itlSeconds", &["mean", "p50", "p90", "p95", "p99", "max"]),
        ("e2eSeconds", &["mean", "p50", "p90", "p95", "p99", "max"]),
        ("queueSeconds", &["mean", "p50", "p90", "p95", "p99", "max"]),
        ("tokens", &["prompt", "generated", "perSecond", "completedPerSecond"]),
        ("replicas", &["initial", "final", "min", "max", "mean", "readyMean"]),
        (
            "scaling",
            &[
                "ups",
                "downs",
                "reversals",
                "flaps",
                "flapsPerHour",
                "churnedReplicas",
                "timeToFirstScaleUpSeconds",
                "flapWindowSeconds",
                "flapsPerHourInterval",
            ],
        ),
        ("gpuHours", &["billed", "starting", "serving", "idle", "draining", "wastedByFlapping"]),
        ("replicaHours", &["billed", "starting", "serving", "idle", "draining", "wastedByFlapping"]),
        ("cost", &["total", "perMillionTokens"]),
        ("slo", &["attainment", "perObjective"]),
        ("kvCache", &["meanUsage", "maxUsage", "preemptions"]),
        ("verdict", &["status", "gates", "findings"]),
    ];
    let mut found = Vec::new();
    paths(&json, "", &mut found);
    for (block, names) in contract {
        for name in *names {
            let path = if block.is_empty() { (*name).to_owned() } else { format!("{block}.{name}") };
            assert!(found.contains(&path), "{path} is missing");
        }
    }
    assert_eq!(json["files"]["timeline.csv"]["schemaVersion"], 1);
    assert_eq!(json["verdict"]["status"], "pass");
    assert_eq!(json["verdict"]["gates"][0]["name"], "flapsPerHour");
    assert_eq!(json["verdict"]["gates"][0]["interval"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["verdict"]["findings"][0]["severity"], "warning");
    assert_eq!(json["scaling"]["timeToFirstScaleUpSeconds"], 210.0);
    assert_eq!(json["tpotSeconds"]["p95"], serde_json::Value::Null);
}

#[test]
fn cost_is_null_without_a_price() {
    let summary = summarize(&example(), &AnalysisSettings::default());
    let json: serde_json::Value = serde_json::from_str(&summary_json(&summary)).expect("valid JSON");
    assert!(json["cost"]["total"].is_null() && json["cost"]["perMillionTokens"].is_null());
    assert!(json["slo"]["attainment"].is_null());
}

#[test]
fn a_decision_line_has_the_names_that_scripts_rely_on() {
    let mut record = example();
    record.decisions.truncate(1);
    let mut found = Vec::new();
    let text = decisions_to_jsonl(&record);
    let line: serde_json::Value = serde_json::from_str(text.lines().next().expect("a sync")).expect("valid JSON");
    paths(&line, "", &mut found);
    found.sort();
    let mut names = vec![
        "schemaVersion",
        "t",
        "kind",
        "metrics",
        "metricDesired",
        "stabilized",
        "newReplicas",
        "rescaled",
        "conditions",
        "conditions.ableToScale",
        "conditions.scalingActive",
        "conditions.scalingLimited",
        "reason",
        "recommendations",
        "boundBy",
        "specReplicas",
        "statusReplicas",
        "readyReplicas",
        "window",
        "limit",
        "statusConditions",
        "explanation",
    ];
    names.sort_unstable();
    assert_eq!(found, names);
    let metric = &line["metrics"][0];
    for name in ["trigger", "query", "value", "milli", "target", "type", "proposal", "error", "why"] {
        assert!(metric.get(name).is_some(), "{name}");
    }
    assert_eq!((&line["t"], &metric["target"]), (&210.0.into(), &5.0.into()));
}

#[test]
fn decisions_come_back_from_their_file() {
    let mut record = example();
    if let DecisionRecord::HpaSync(sync) = &mut record.decisions[1] {
        sync.metrics[0].value = Some(f64::INFINITY);
        sync.metrics[0].ratio = Some(f64::NEG_INFINITY);
        (sync.metrics[0].fallback, sync.metrics[0].cached) = (true, true);
        sync.metrics[0].error = Some("a \"quoted\" error\nwith a line break".to_owned());
    }
    record.decisions.push(DecisionRecord::KedaPoll(Box::new(KedaPoll {
        t: SimTime::from_ps(1_600_123_456_000_000),
        spec_replicas: 1,
        metrics: Vec::new(),
        active: true,
        error: false,
        rule: "A1",
        cooldown_end: None,
        action: "none",
        new_replicas: 1,
    })));
    let text = decisions_to_jsonl(&record);
    let decisions = decisions_from_jsonl(&text).expect("our own file");
    assert_eq!(decisions, record.decisions);
    assert!(text.contains(r#""value":null,"valueText":"inf""#), "{text}");
}

/// A sync held back by a window and cut by a policy, with the conditions that the controller then shows.
fn reasoned() -> RunRecord {
    let mut record = Builder::new(1, 600).sync(312, 43.3, 1, 3).0;
    let DecisionRecord::HpaSync(sync) = &mut record.decisions[0] else { panic!("a sync") };
    sync.stabilized = Some(4);
    sync.window = Some(WindowReason {
        direction: Direction::Up,
        window: SimDuration::from_secs(30),
        recommendation: Recommendation { replicas: 4, at: SimTime::from_millis(296_820) },
        age: SimDuration::from_millis(15_180),
    });
    sync.limit = Some(LimitReason::Policy {
        direction: Direction::Up,
        index: 0,
        policy: Policy { kind: PolicyKind::Pods, value: 2, period: SimDuration::from_secs(60) },
        period_start: 1,
        limit: 3,
    });
    sync.bound_by = "scaleUpPolicy";
    let condition =
        |kind, status, reason, message: &str| Condition { kind, status, reason, message: message.to_owned() };
    sync.status_conditions = [
        condition(
            "AbleToScale",
            true,
            "SucceededRescale",
            "the HPA controller was able to update the target scale to 3",
        ),
        condition("ScalingLimited", false, "DesiredWithinRange", "the desired count is \"fine\""),
    ]
    .into();
    record
}

#[test]
fn a_decision_line_tells_its_reasons_in_fields_and_in_words() {
    let text = decisions_to_jsonl(&reasoned());
    let line: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!(
        line["window"],
        serde_json::json!({"direction": "scaleUp", "windowSeconds": 30.0, "replicas": 4, "t": 296.82, "ageSeconds": 15.18})
    );
    assert_eq!(
        line["limit"],
        serde_json::json!({
            "kind": "policy", "direction": "scaleUp", "periodStart": 1, "limit": 3,
            "policy": {"index": 0, "type": "Pods", "value": 2, "periodSeconds": 60.0},
        })
    );
    assert_eq!(line["statusConditions"][0]["status"], "True");
    assert_eq!(line["statusConditions"][1]["status"], "False");
    assert_eq!(line["statusConditions"][1]["type"], "ScalingLimited");
    assert_eq!(line["metrics"][0]["why"], "43.3 / 5 = 8.66 -> 9 (ratio 8.66 against 1 replica, outside 0.9..1.1)");
    assert_eq!(
        line["explanation"],
        "s0-prometheus proposes 9; scaleUp window 30s holds it at 4, the recommendation of 15.2s ago; scaleUp policy 0 \
         (2 Pods per 1m) allows at most 3, from 1 at the period's start; 1 -> 3"
    );
}

#[test]
fn every_kind_of_reason_comes_back_from_its_file() {
    let mut record = reasoned();
    let first = record.decisions[0].clone();
    let others = [
        LimitReason::Disabled(Direction::Down),
        LimitReason::BuiltIn { limit: 4 },
        LimitReason::MaxReplicas(7),
        LimitReason::MinReplicas(1),
        LimitReason::Policy {
            direction: Direction::Down,
            index: 1,
            policy: Policy { kind: PolicyKind::Percent, value: 50, period: SimDuration::from_secs(90) },
            period_start: -2,
            limit: i32::MIN,
        },
    ];
    for limit in others {
        let mut decision = first.clone();
        let DecisionRecord::HpaSync(sync) = &mut decision else { panic!("a sync") };
        sync.limit = Some(limit);
        sync.window = sync.window.map(|window| WindowReason { direction: Direction::Down, ..window });
        record.decisions.push(decision);
    }
    let text = decisions_to_jsonl(&record);
    let decisions = decisions_from_jsonl(&text).expect("our own file");
    assert_eq!(decisions, record.decisions);
    assert_eq!(decisions_to_jsonl(&RunRecord { decisions, ..record }), text, "the words come back too");
    for (wrong, why) in [
        (text.replacen("\"scaleUp\"", "\"up\"", 1), "line 1: found the direction \"up\""),
        (text.replacen("\"kind\":\"policy\"", "\"kind\":\"rule\"", 1), "line 1: found a limit of kind \"rule\""),
        (text.replacen("\"type\":\"Pods\"", "\"type\":\"Nodes\"", 1), "line 1: found the policy type \"Nodes\""),
        (text.replacen("\"status\":\"True\"", "\"status\":\"Yes\"", 1), "line 1: found the status \"Yes\""),
    ] {
        assert_ne!(wrong, text);
        let error = decisions_from_jsonl(&wrong).expect_err(why);
        assert!(error.starts_with(why), "{error}");
    }
}

#[test]
fn files_of_another_version_or_kind_are_refused_with_the_line() {
    let text = decisions_to_jsonl(&example());
    let newer = text.replacen("\"schemaVersion\":1", "\"schemaVersion\":2", 1);
    assert!(decisions_from_jsonl(&newer).expect_err("another version").contains("schemaVersion 2"));
    let broken = text.replacen("\"kind\":\"hpaSync\"", "\"kind\":\"sync\"", 1);
    assert!(decisions_from_jsonl(&broken).expect_err("another kind").starts_with("line 1: "));
    let unversioned = text.replacen("\"schemaVersion\":1,", "", 1);
    assert!(decisions_from_jsonl(&unversioned).is_err());
}

#[test]
fn events_are_lines_of_their_kind_and_end_with_the_findings() {
    let finding = FindingLine {
        code: "flapping".to_owned(),
        severity: "error".to_owned(),
        message: "much".to_owned(),
        evidence: vec!["a fact".to_owned()],
    };
    let text = events_to_jsonl(&example(), &[finding]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            r#"{"schemaVersion":1,"t":0.0,"kind":"trafficStarted"}"#,
            r#"{"schemaVersion":1,"t":210.0,"kind":"scaled","from":1,"to":2,"source":"hpa","reason":"external metric s0-prometheus above target"}"#,
            r#"{"schemaVersion":1,"t":1500.0,"kind":"scaled","from":2,"to":1,"source":"hpa","reason":"All metrics below target"}"#,
            r#"{"schemaVersion":1,"t":1500.0,"kind":"requestsFailed","pod":"pod-1","count":2,"cause":"killed"}"#,
            r#"{"schemaVersion":1,"t":1530.0,"kind":"pod","pod":"pod-1","state":"gone"}"#,
            r#"{"schemaVersion":1,"t":1800.0,"kind":"finding","code":"flapping","severity":"error","message":"much","evidence":["a fact"]}"#,
        ]
    );
}

#[test]
fn the_timeline_comes_back_from_its_file() {
    let record = example();
    let text = timeline_to_csv(&record);
    assert_eq!(
        text.lines().next(),
        Some(
            "t,offered_rps,spec_replicas,status_replicas,ready_replicas,s0-prometheus_value,s0-prometheus_threshold,\
             running,waiting,kv_usage,ttft_p95_s"
        )
    );
    let (names, timeline) = timeline_from_csv(&text).expect("our own file");
    assert_eq!(names, ["s0-prometheus"]);
    assert_eq!(timeline, record.timeline);
    let error = timeline_from_csv(&text.replacen("0.125,0.5,1", "0.125,much,1", 1)).expect_err("a word for a number");
    assert_eq!(error, "row 2: column 2: found \"much\", expected a number");
    assert!(timeline_from_csv("a,b\n1,2\n").is_err());
}

#[test]
fn the_text_answers_first_and_is_narrow() {
    let assumption = Assumption {
        path: "spec.prometheus.scrapeInterval".to_owned(),
        value: "15s".to_owned(),
        why: "neither a PodMonitor nor the Scenario says".to_owned(),
    };
    let long = Assumption { why: format!("{} why", "because of this and that".repeat(5)), ..assumption.clone() };
    let text = summary_text_with(&[long], &example(), &summary());
    assert!(text.lines().rev().take(1).all(|line| line.starts_with("    ") && line.len() <= 100), "{text}");
    let text = summary_text_with(&[assumption], &example(), &summary());
    let expected = "\
pass, 2 warnings: policy opt-125m, scenario stable-2, seed 1, 30m simulated
  gate      flapsPerHour 0 (0..7.378 at 95 %), at most 1: pass
  replicas  1 -> 2 -> 1 (2 scale events; no flap seen (0..7.4/h at 95 % in 0.5 h))
            spec mean 1.72 (min 1, max 2), ready mean 1.68
  TTFT      mean 100 ms, p50 100 ms, p95 100 ms, p99 100 ms, max 100 ms
  TPOT      no samples
  E2E       mean 1 s, p50 1 s, p95 1 s, p99 1 s, max 1 s
  requests  995 sent: 990 completed, 2 failed, 3 in flight at the end
  tokens    63.9/s over the measured 30m; completed 63.3/s, first sent to last done
  SLO       ttft.p95 100 ms, limit 2 s: met (99.80 % within)
  capacity  0.867 GPU-hours billed: starting 0.017, serving 0.500, idle 0.342, draining 0.008
            0.000 GPU-hours wasted by flapping
  cost      2.167, 19.03 per million tokens

findings
  warning requests-failed: 2 of 995 requests failed or timed out (0.20 %)
    - 2 were cut off by the end of their pod, at 25m
  warning L-46: scale-down-kills-generations: 2 requests were cut off by the end of a pod that was
          scaled down; whoever scales down does not look at what a pod generates
    - first at 25m
    - 99th percentile of a request: 1.000 s, within the grace period of 30s
    - try: make terminationGracePeriodSeconds longer than the 99th percentile of a generation, with
      a preStop that drains
  note single-run: 1 run, no interval: another seed may decide otherwise about flapsPerHour
    - --replications 5 runs five seeds and judges what they say together

scale events
       3:30  1 -> 2   hpa    s0-prometheus 7.925 / 5 = 1.58 -> 2
      25:00  2 -> 1   hpa    s0-prometheus 3.2 / 5 = 0.64 -> 1

assumed: spec.prometheus.scrapeInterval = 15s (neither a PodMonitor nor the Scenario says)
";
    assert_eq!(text, expected, "\n{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn a_long_history_is_cut_and_user_text_cannot_break_markdown() {
    let mut builder = Builder::new(1, 7200);
    for cycle in 0..20 {
        builder = builder.scaled(cycle * 300 + 100, 1, 2, ScaleSource::Hpa);
        builder = builder.scaled(cycle * 300 + 250, 2, 1, ScaleSource::Hpa);
    }
    builder.0.info.policy = "a|b<script>".to_owned();
    let summary = summarize(&builder.0, &AnalysisSettings::default());
    let text = summary_text_with(&[], &builder.0, &summary);
    assert!(text.contains("1 -> 2 -> 1 -> 2 -> 1 -> 2 -> 1 -> 2 -> 1 -> 2 -> ... -> 1 (40 scale"), "{text}");
    assert!(text.contains("... and 24 more in events.jsonl"), "{text}");
    let markdown = summary_markdown(&builder.0, &summary);
    assert!(markdown.contains(r"a\|b&lt;script&gt;"), "{markdown}");
}

#[test]
fn the_first_line_names_the_gates_outcome_and_counts_the_findings() {
    let headline = |record: &RunRecord, settings: &AnalysisSettings| {
        let text = summary_text_with(&[], record, &summarize(record, settings));
        text.split_once(':').expect("a first line").0.to_owned()
    };
    let gate = |limit| AnalysisSettings {
        gates: vec![GateLimit { name: "failedRequests".to_owned(), limit }],
        ..AnalysisSettings::default()
    };
    let none = AnalysisSettings::default();
    assert_eq!(headline(&Builder::new(1, 3600).requests(9, 0).0, &none), "no gate set");
    assert_eq!(headline(&Builder::new(1, 3600).requests(9, 1).0, &none), "no gate set, 1 warning");
    assert_eq!(headline(&Builder::new(1, 3600).requests(1, 9).0, &none), "no gate set, 1 error");
    assert_eq!(headline(&Builder::new(1, 3600).requests(9, 0).0, &gate(0.0)), "pass");
    assert_eq!(headline(&Builder::new(1, 3600).requests(9, 1).0, &gate(1.0)), "pass, 1 warning");
    assert_eq!(headline(&Builder::new(1, 3600).requests(1, 9).0, &gate(0.0)), "FAIL, 1 error");
    assert_eq!(headline(&Builder::new(1, 3600).0, &gate(0.0)), "undecided, 1 warning");
}

#[test]
fn the_first_line_and_the_plot_name_traffic_and_profile_that_are_not_the_scenarios() {
    let mut record = example();
    record.info.traffic = "burst".to_owned();
    record.info.profile = "l40s-8b".to_owned();
    let text = summary_text_with(&[], &record, &summarize(&record, &settings()));
    assert!(text.contains("policy opt-125m, scenario stable-2, traffic burst, profile l40s-8b, seed 1"), "{text}");
    let svg = kedasim::report::TimelinePlot::new(&record.info, &record.timeline).svg().expect("drawn");
    assert!(svg.contains("traffic burst \u{2014} profile l40s-8b"));
    record.info.traffic = "stable-2".to_owned();
    record.info.fixed_replicas = true;
    let text = summary_text_with(&[], &record, &summarize(&record, &settings()));
    assert!(!text.contains("traffic "), "{text}");
    let svg = kedasim::report::TimelinePlot::new(&record.info, &record.timeline).svg().expect("drawn");
    assert!(svg.contains("replicas (autoscaling off)"));
}

#[test]
fn scale_events_show_what_the_hpa_shows() {
    let mut builder = Builder::new(6, 1800).sync(30, 95_071.0, 6, 5).scaled(30, 6, 5, ScaleSource::Hpa);
    builder = builder.sync(90, 0.81, 5, 6).scaled(90, 5, 6, ScaleSource::Hpa);
    if let DecisionRecord::HpaSync(sync) = &mut builder.0.decisions[0] {
        sync.metrics[0].target_milli = 23_000_000;
        sync.metrics[0].proposal = Some(5);
        (sync.metric_desired, sync.stabilized, sync.limit) = (Some(5), Some(5), None);
    }
    if let DecisionRecord::HpaSync(sync) = &mut builder.0.decisions[1] {
        sync.metrics[0].target_milli = 700;
        sync.metrics[0].target_type = "Value".into();
        (sync.metrics[0].ratio, sync.metrics[0].proposal) = (Some(0.81 / 0.7), Some(6));
        (sync.metric_desired, sync.stabilized, sync.limit) = (Some(6), Some(6), None);
    }
    let text = summary_text_with(&[], &builder.0, &summarize(&builder.0, &AnalysisSettings::default()));
    assert!(text.contains("s0-prometheus 95071 / 23000 = 4.13 -> 5\n"), "{text}");
    assert!(text.contains("s0-prometheus 0.81 / 0.7 x 5 ready pods = 5.79 -> 6\n"), "{text}");
    assert!(events_to_jsonl(&builder.0, &[]).contains("external metric s0-prometheus above target"));
    assert!(text.contains("6 -> 5 -> 6 (2 scale events; 1 flap, each"), "{text}");
    // In the measured interval only, with the level at its start.
    builder.0.info.warmup = SimDuration::from_secs(60);
    let text = summary_text_with(&[], &builder.0, &summarize(&builder.0, &AnalysisSettings::default()));
    assert!(text.contains("  replicas  5 -> 6 (1 scale event; "), "{text}");
    builder.0.info.end = at(100);
    let text = summary_text_with(&[], &builder.0, &summarize(&builder.0, &AnalysisSettings::default()));
    assert!(text.contains("run too short to tell how often"), "{text}");
}

fn scratch(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("our own scratch directory");
    }
    path
}

#[test]
fn a_run_directory_is_whole_replaceable_and_drawn_again_to_the_byte() {
    let out = scratch("run-directory").join("nested");
    let (record, summary) = (example(), summary());
    let write = || write_run_files(&out, "kind: ScaledObject\n", "kind: Scenario\n", &record, &summary);
    write().expect("a new directory");
    let files = ["summary.json", "decisions.jsonl", "events.jsonl", "timeline.csv", "policy.yaml", "scenario.yaml"];
    let read = |name: &str| fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let pictures = ["plots/timeline.svg", "plots/timeline.png"];
    let first: Vec<Vec<u8>> = files.iter().chain(&pictures).map(|name| read(name)).collect();
    fs::remove_file(out.join("events.jsonl")).expect("written");
    write().expect("a run's directory is replaced");
    let second: Vec<Vec<u8>> = files.iter().chain(&pictures).map(|name| read(name)).collect();
    assert_eq!(first, second);
    let beside = fs::read_dir(out.parent().expect("nested")).expect("readable").count();
    assert_eq!(beside, 1, "no temporary directory is left");

    let elsewhere = scratch("run-replot");
    let written = replot(&out, None, Some(&elsewhere)).expect("our own directory");
    assert_eq!(written.len(), 2);
    for name in ["timeline.svg", "timeline.png"] {
        assert_eq!(fs::read(elsewhere.join(name)).expect("drawn"), read(&format!("plots/{name}")), "{name}");
    }
    fs::remove_file(out.join("plots/timeline.svg")).expect("there");
    assert_eq!(replot(&out, Some(PlotFormat::Svg), None).expect("again").len(), 1);
    assert_eq!(read("plots/timeline.svg"), first[6]);
}

#[test]
fn a_directory_that_kedasim_did_not_write_is_refused() {
    let out = scratch("foreign");
    fs::create_dir_all(&out).expect("scratch");
    let write = || write_run_files(&out, "", "", &example(), &summary());
    fs::write(out.join("thesis.txt"), "three years of work").expect("a file");
    let error = write().expect_err("somebody else's directory").to_string();
    assert!(error.contains("kedasim did not write"), "{error}");
    fs::write(out.join("summary.json"), "{\"total\": 5}").expect("a file");
    assert!(write().is_err(), "another program's summary.json");
    assert_eq!(fs::read_to_string(out.join("thesis.txt")).expect("untouched"), "three years of work");
    fs::remove_file(out.join("thesis.txt")).expect("there");
    fs::remove_file(out.join("summary.json")).expect("there");
    write().expect("an empty directory is fine");
    assert!(replot(&scratch("nothing-here"), None, None).is_err());
}

#[test]
fn what_the_user_put_beside_a_run_is_never_deleted() {
    let parent = scratch("beside");
    let out = parent.join("run");
    let write = || write_run_files(&out, "", "", &example(), &summary());
    write().expect("a new directory");
    for name in ["notes.txt", "plots/mine.png", "results.csv"] {
        fs::write(out.join(name), "mine").expect("a file");
        let error = write().expect_err("a file of the user's").to_string();
        assert!(error.contains(name) && error.contains("kedasim did not write"), "{error}");
        assert_eq!(fs::read_to_string(out.join(name)).expect("untouched"), "mine");
        fs::remove_file(out.join(name)).expect("there");
    }
    let error = write_sweep(&out, &sweep(), None).expect_err("a run stands there").to_string();
    assert!(error.contains("the directory of a run, which a sweep does not replace"), "{error}");
    let sweep_out = parent.join("sweep");
    write_sweep(&sweep_out, &sweep(), None).expect("a new directory");
    let error = write_run_files(&sweep_out, "", "", &example(), &summary()).expect_err("a sweep stands there");
    assert!(error.to_string().contains("the directory of a sweep, which a run does not replace"), "{error}");
    write_sweep(&sweep_out, &sweep(), None).expect("a sweep replaces a sweep");
    let mut left: Vec<_> = fs::read_dir(&parent).expect("readable").flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["run", "sweep"], "no temporary directory is left");
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_and_what_it_points_to_is_written() {
    let parent = scratch("linked");
    fs::create_dir_all(parent.join("disk/run")).expect("scratch");
    let link = parent.join("link");
    std::os::unix::fs::symlink(parent.join("disk/run"), &link).expect("a link");
    for _ in 0..2 {
        write_run_files(&link, "", "", &example(), &summary()).expect("written through the link");
        assert!(fs::symlink_metadata(&link).expect("there").file_type().is_symlink());
        assert!(parent.join("disk/run/summary.json").exists());
    }
    fs::remove_dir_all(parent.join("disk/run")).expect("there");
    assert!(write_run_files(&link, "", "", &example(), &summary()).is_err(), "a link to nothing");
    fs::write(parent.join("file"), "mine").expect("a file");
    assert!(write_run_files(&parent.join("file"), "", "", &example(), &summary()).is_err(), "a file is no directory");
    assert_eq!(fs::read_dir(parent.join("disk")).expect("readable").count(), 0);
    assert_eq!(fs::read_dir(&parent).expect("readable").count(), 3, "nothing hidden is left");
}

#[test]
fn pictures_drawn_elsewhere_replace_only_pictures_of_ours() {
    let out = scratch("redraw");
    write_run_files(&out, "", "", &example(), &summary()).expect("a new directory");
    let elsewhere = scratch("redraw-elsewhere");
    fs::create_dir_all(&elsewhere).expect("scratch");
    fs::remove_file(out.join("events.jsonl")).expect("not needed for pictures");
    fs::write(elsewhere.join("timeline.png"), "mine").expect("a file");
    let error = replot(&out, None, Some(&elsewhere)).expect_err("a picture of the user's").to_string();
    assert!(error.contains(&elsewhere.join("timeline.png").display().to_string()), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).expect("readable").count(), 1, "nothing was written");
    fs::remove_file(elsewhere.join("timeline.png")).expect("there");
    for _ in 0..2 {
        assert_eq!(replot(&out, None, Some(&elsewhere)).expect("new ones, then ours").len(), 2);
    }
    let file = out.join("timeline.csv");
    let error = replot(&out, None, Some(&file)).expect_err("a file is no folder").to_string();
    assert!(error.contains("timeline.csv"), "{error}");
    fs::remove_file(&file).expect("there");
    let error = replot(&out, None, None).expect_err("it is needed").to_string();
    assert!(error.contains("timeline.csv"), "{error}");
}

#[test]
fn pictures_without_samples_or_with_odd_ones_are_still_drawn() {
    let mut record = Builder::new(0, 0).0;
    let odd = TimelineRow { triggers: [(Some(f64::NAN), 5.0)].into(), offered_rps: f64::INFINITY, ..row(1) };
    for rows in [Vec::new(), vec![odd.clone()], vec![odd, row(2)]] {
        record.timeline.rows = rows;
        let plot = kedasim::report::TimelinePlot::new(&record.info, &record.timeline);
        assert!(plot.svg().expect("drawn").contains("offered load"));
        assert!(plot.png().expect("drawn").starts_with(b"\x89PNG"));
    }
}

#[test]
fn a_long_run_with_two_triggers_is_labelled_and_of_bounded_size() {
    let mut builder = Builder::new(3, 86_400);
    builder.0.info.warmup = SimDuration::from_secs(3600);
    let mut second = builder.0.info.triggers[0].clone();
    second.name = "s1-prometheus".to_owned();
    second.query =
        "max(vllm:kv_cache_usage_perc{namespace=\"models\",model_name=\"a-model-with-a-rather-long-name\"})".to_owned();
    second.target_type = "Value".to_owned();
    second.threshold = 0.8;
    builder.0.info.triggers.push(second);
    let sample = |index: u64| {
        let day = 1.0 - (index as f64 / 17_280.0 * 2.0 - 1.0).abs();
        let spec = 1 + (day * 6.0 + (index % 97) as f64 / 97.0) as i32;
        TimelineRow {
            t: SimTime::from_secs(index * 5),
            offered_rps: 40.0 * day + (index % 31) as f64 / 4.0,
            spec_replicas: spec,
            ready_replicas: (spec - i32::from(index % 97 < 12)).max(1),
            triggers: [(Some(35.0 * day + (index % 53) as f64 / 9.0), 5.0), (Some(day), 0.8)].into(),
            ..row(index)
        }
    };
    builder.0.timeline.rows = (0..=17_280).map(sample).collect();
    let out = scratch("run-day");
    write_run_files(&out, "", "", &builder.0, &summarize(&builder.0, &settings())).expect("a new directory");
    let svg = fs::read_to_string(out.join("plots/timeline.svg")).expect("written");
    for text in ["s0-prometheus", "s1-prometheus", "time, h", "grey: warm-up", "threshold \u{d7} spec.replicas"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.len() < 2_000_000, "{} bytes", svg.len());
    // Sharp angles must not grow spikes that leave their panel: captions are white to the right of their text.
    let file = fs::File::open(out.join("plots/timeline.png")).expect("written");
    let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
    let width = reader.next_frame(&mut pixels).expect("a picture").width as usize;
    for panel in 0..7 {
        for y in 40 + 148 * panel..40 + 148 * panel + 22 {
            let row = &pixels[3 * (y * width + 1000)..3 * (y + 1) * width];
            assert!(row.iter().all(|value| *value == 255), "panel {panel}, line {y}");
        }
    }
}

/// Threshold by window, two seeds, in grid order.
fn sweep() -> SweepOutcome {
    let thresholds = ["2", "5", "10", "20"];
    let windows = ["0", "60", "300"];
    let mut points = Vec::new();
    for (x, threshold) in thresholds.iter().enumerate() {
        for (y, window) in windows.iter().enumerate() {
            for seed in 1..=2 {
                let mut summary = summary();
                summary.flapping.flaps_per_hour = (x * 3) as f64 + 4.25 / (y + 1) as f64 + seed as f64 / 10.0;
                let values = vec![(*threshold).to_owned(), (*window).to_owned()];
                points.push(SweepPoint { values, seed, summary, same_as: points.len() });
            }
        }
    }
    let path = "ScaledObject:spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";
    let axes = vec!["ScaledObject:spec.triggers[0].metadata.threshold".to_owned(), path.to_owned()];
    SweepOutcome { name: "threshold-by-window".to_owned(), axes, points, warnings: Vec::new() }
}

#[test]
fn results_come_back_from_their_file() {
    let outcome = sweep();
    let table = results_from_csv(&results_csv(&outcome)).expect("our own file");
    assert_eq!(table, results_table(&outcome));
    assert_eq!(table.rows.len(), 24);
    assert_eq!(table.figure("flapsPerHour"), table.figure("scaling.flapsPerHour"));
    assert_eq!(table.figure("p95").map_err(|error| error.starts_with("found \"p95\", expected one of")), Err(true));
    assert_eq!(table.rows[0].figures[table.figure("tpotSeconds.p95").expect("a column")], None);
}

#[test]
fn a_sweep_directory_is_drawn_again_to_the_byte() {
    let out = scratch("sweep-directory");
    write_sweep(&out, &sweep(), None).expect("a new directory");
    let elsewhere = scratch("sweep-replot");
    assert_eq!(replot(&out, None, Some(&elsewhere)).expect("our own directory").len(), 2);
    for name in ["heatmap.svg", "heatmap.png"] {
        let first = fs::read(out.join("plots").join(name)).expect("written");
        assert_eq!(fs::read(elsewhere.join(name)).expect("drawn"), first, "{name}");
    }
    let svg = fs::read_to_string(out.join("plots/heatmap.svg")).expect("written");
    // threshold 2, window 0: mean of 4.35 and 4.45.
    for text in [
        "4.4",
        "threshold \u{2192}",
        "\u{2191} scaleDown.stabilizationWindowSeconds",
        "threshold-by-window",
        "scaling.flapsPerHour",
        "flapsPerHour",
        "mean of 2 runs per cell: 2 seeds",
    ] {
        assert!(svg.contains(&format!("{text}\n")), "{text}");
    }
}

#[test]
fn a_heatmap_names_a_third_axis_and_wraps_a_long_title() {
    let mut outcome = sweep();
    outcome.name = "which-threshold-and-which-window-suit-a-chat-load-with-rare-bursts-on-a-small-model".to_owned();
    outcome.axes[0] = outcome.axes[1].replace("scaleDown", "scaleUp");
    outcome.axes.insert(0, "Traffic:spec.arrivals.poisson.rate".to_owned());
    let mut faster = outcome.points.clone();
    for (points, rate) in [(&mut outcome.points, "1"), (&mut faster, "2")] {
        for point in points {
            point.values.insert(0, rate.to_owned());
        }
    }
    outcome.points.extend(faster);
    let spec =
        HeatmapSpec { x: outcome.axes[1].clone(), y: outcome.axes[2].clone(), value: "ttftSeconds.p95".to_owned() };
    let out = scratch("sweep-three-axes");
    write_sweep(&out, &outcome, Some(&spec)).expect("a new directory");
    let svg = fs::read_to_string(out.join("plots/heatmap.svg")).expect("written");
    for text in [
        "mean of 4 runs per cell: 2 seeds, 2 values of poisson.rate",
        "scaleUp.stabilizationWindowSeconds \u{2192}",
        "\u{2191} scaleDown.stabilizationWindowSeconds",
        "ttftSeconds.p95",
        "on-a-small-model",
    ] {
        assert!(svg.contains(&format!("{text}\n")), "{text}\n{svg}");
    }
    assert!(!svg.contains('\u{2026}'), "nothing is cut");
}

#[test]
fn a_heatmap_of_an_unknown_axis_names_those_there_are() {
    let table = results_table(&sweep());
    let spec = HeatmapSpec { x: "threshold".to_owned(), y: table.axes[1].clone(), value: "flapsPerHour".to_owned() };
    let error = Heatmap::new("s", &table, &spec).err().expect("no such axis");
    assert!(error.contains("ScaledObject:spec.triggers[0].metadata.threshold"), "{error}");
    let one_axis = HeatmapSpec::default_for(&table.axes[..1]).expect("one axis");
    assert!(Heatmap::new("s", &table, &one_axis).expect("a single row").svg().is_ok());
}

#[test]
fn the_header_and_the_list_of_scale_events_agree() {
    let text = |record: &RunRecord| summary_text_with(&[], record, &summarize(record, &AnalysisSettings::default()));
    let builder = Builder::new(0, 3600)
        .sync(15, 7.0, 0, 1)
        .scaled(15, 0, 1, ScaleSource::Bounds)
        .sync(30, 7.0, 1, 2)
        .scaled(30, 1, 2, ScaleSource::Hpa);
    let mut record = builder.0;
    let shown = text(&record);
    assert!(shown.contains("  replicas  set-up 0 -> 1, then 1 -> 2 (1 scale event; "), "{shown}");
    assert!(shown.contains("0 -> 1   bounds s0-prometheus 7 / 5 = 1.4 -> 2 [set-up, not counted]\n"), "{shown}");
    assert_eq!(shown.matches("not counted").count(), 1, "{shown}");
    record.info.warmup = SimDuration::from_secs(20);
    let shown = text(&record);
    assert!(shown.contains("  replicas  1 -> 2 (1 scale event; "), "{shown}");
    record.info.warmup = SimDuration::from_secs(60);
    let shown = text(&record);
    assert!(shown.contains("  replicas  2 (0 scale events; "), "{shown}");
    assert!(shown.contains("1 -> 2   hpa    s0-prometheus 7 / 5 = 1.4 -> 2 [warm-up, not counted]\n"), "{shown}");
}

#[test]
fn doubts_and_given_signals_stand_in_the_header() {
    let mut record = example();
    let text = |record: &RunRecord| summary_text_with(&[], record, &summarize(record, &AnalysisSettings::default()));
    assert!(!text(&record).contains("signals"), "{}", text(&record));
    record.info.triggers[0].name = "s0-kafka".to_owned();
    record.info.triggers[0].signal = Some("constant 40".to_owned());
    assert!(text(&record).contains("  signals   s0-kafka (constant 40): given, not simulated\n"), "{}", text(&record));
    record.info.paused = true;
    assert!(text(&record).contains("scale events; scaling is paused)"), "{}", text(&record));
}

#[test]
fn keda_says_why_it_wrote() {
    let mut record = Builder::new(1, 600).scaled(35, 1, 0, ScaleSource::Keda).0;
    let poll = |t, rule, action, new_replicas| {
        DecisionRecord::KedaPoll(Box::new(KedaPoll {
            t: at(t),
            spec_replicas: 1,
            metrics: Vec::new(),
            active: false,
            error: false,
            rule,
            cooldown_end: None,
            action,
            new_replicas,
        }))
    };
    record.decisions = vec![poll(5, "I5", "none", 1), poll(35, "I3", "deactivate", 0), poll(65, "I5", "none", 0)];
    let text = summary_text_with(&[], &record, &summarize(&record, &AnalysisSettings::default()));
    assert!(text.contains("1 -> 0   keda   no trigger is active: the cooldown is over (I3)\n"), "{text}");
}

#[test]
fn threshold_lines_are_what_the_hpa_compares_with() {
    let labels = |kind: &str, target_type: &str, with_formula: bool| {
        let mut record = example();
        record.info.triggers[0].kind = kind.to_owned();
        record.info.triggers[0].target_type = target_type.to_owned();
        if with_formula {
            let formula = kedasim::record::TriggerInfo {
                name: "composite-metric".to_owned(),
                kind: "composite".to_owned(),
                ..record.info.triggers[0].clone()
            };
            record.info.triggers.push(formula);
        }
        let svg = kedasim::report::TimelinePlot::new(&record.info, &record.timeline).svg().expect("drawn");
        let known = [
            "threshold \u{d7} spec.replicas",
            "threshold",
            "target per pod",
            "target, % of the request",
            "value, an input of the formula",
            "percent",
        ];
        let shown = |label: &&str| svg.contains(&format!("\n{label}\n"));
        known.into_iter().filter(shown).collect::<Vec<_>>()
    };
    assert_eq!(labels("prometheus", "AverageValue", false), ["threshold \u{d7} spec.replicas", "percent"]);
    assert_eq!(labels("prometheus", "Value", false), ["threshold", "percent"]);
    assert_eq!(labels("cpu", "Utilization", false), ["target, % of the request", "percent"]);
    assert_eq!(labels("memory", "AverageValue", false), ["target per pod", "percent"]);
    assert_eq!(
        labels("prometheus", "AverageValue", true),
        ["threshold \u{d7} spec.replicas", "value, an input of the formula", "percent"],
        "of the formula's own panel only"
    );
}

#[test]
fn a_sweep_counts_its_findings() {
    let text = kedasim::report::sweep_text(&sweep());
    let runs = sweep().points.len();
    assert!(text.contains(&format!("\nfindings\n  warning requests-failed: in {runs} of {runs} runs\n")), "{text}");
}

#[test]
fn the_example_line_of_the_documentation_is_what_the_program_writes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/output.md");
    let text = fs::read_to_string(path).expect("docs/output.md is there");
    let block = text.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of JSON");
    let shown: serde_json::Value = serde_json::from_str(block).expect("valid JSON");
    let decisions = decisions_from_jsonl(&shown.to_string()).expect("one of our lines");
    let written = decisions_to_jsonl(&RunRecord { decisions, ..Builder::new(1, 600).0 });
    let written: serde_json::Value = serde_json::from_str(&written).expect("valid JSON");
    assert_eq!(written, shown, "the words are those that its numbers make");
}

#[test]
fn a_simulated_run_explains_itself() {
    let policy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("policies/opt-125m");
    let bundle = Bundle::load(&[Input::Path(policy)]).expect("the example is there");
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("does not resolve:\n{found}"));
    let record = simulate(&run, false).unwrap_or_else(|error| panic!("{error}"));
    let info = &record.info;
    assert_eq!((info.tolerance_band, info.paused, info.initial_assumed), ((0.9, 1.1), false, true));
    assert_eq!((info.triggers[0].kind.as_str(), &info.triggers[0].signal), ("prometheus", &None));
    let mut seen = (0, 0);
    for line in decisions_to_jsonl(&record).lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("valid JSON");
        let explanation = line["explanation"].as_str().expect("a sentence");
        let (before, after) = (&line["specReplicas"], &line["newReplicas"]);
        let outcome = if before == after { format!("; stays at {after}") } else { format!("; {before} -> {after}") };
        assert!(explanation.ends_with(&outcome), "{explanation}");
        if line["kind"] != "hpaSync" {
            seen.0 += 1;
            assert!(line["metrics"][0].get("why").is_none(), "a poll proposes nothing");
            continue;
        }
        seen.1 += 1;
        let metric = &line["metrics"][0];
        let why = metric["why"].as_str().expect("a sentence");
        let (value, proposal) = (metric["milli"].as_i64().expect("told") as f64 / 1000.0, &metric["proposal"]);
        assert!(why.starts_with(&format!("{value} / 5 = ")) && why.contains(&format!("-> {proposal}")), "{why}");
        let verdict = if metric["withinTolerance"] == true { "within 0.9..1.1" } else { "outside 0.9..1.1" };
        assert!(why.contains(verdict), "{why}");
    }
    assert!(seen.0 > 50 && seen.1 > 50, "{seen:?}");
}

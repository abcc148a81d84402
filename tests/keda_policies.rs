//! ScaledObjects with triggers other than a query, with fallback, formulas and pauses, through a whole run: YAML in, decisions out.
//! A run starts on Monday 2026-01-05 at midnight UTC.

use kedasim::analysis::summarize;
use kedasim::manifest::Bundle;
use kedasim::record::{
    DecisionRecord, EventKind, HpaSync, KedaPoll, RunRecord, ScaleSource, decisions_from_jsonl, decisions_to_jsonl,
};
use kedasim::scenario::{Overrides, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Severity, SimDuration, SimTime};

const WORLD: &str = r#"
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: opt-125m}
spec:
  predictor:
    model:
      modelFormat: {name: huggingface}
      args: [--model_name=opt-125m, --model_id=facebook/opt-125m, --max-model-len=512]
      resources: {limits: {cpu: "4"}}
---
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: sc}
spec:
  duration: DURATION
  traffic:
    arrivals: {poisson: {rate: 0.02}}
    prompt: {constant: 15}
    output: {constant: 20}
"#;

fn text(annotations: &str, spec: &str, duration: &str) -> String {
    let head = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: so\n  annotations: {{{annotations}}}\nspec:\n  \
         scaleTargetRef: {{name: opt-125m-predictor}}\n"
    );
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!("{head}{spec}{}", WORLD.replace("DURATION", duration))
}

fn run(annotations: &str, spec: &str, duration: &str) -> RunRecord {
    let bundle = Bundle::from_text(&text(annotations, spec, duration), "p.yaml").expect("well formed");
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("does not resolve:\n{found}"));
    let record = simulate(&run, true).unwrap_or_else(|error| panic!("{error}"));
    // Times are written in whole microseconds, so the texts are compared.
    let text = decisions_to_jsonl(&record);
    let decisions = decisions_from_jsonl(&text).expect("our own lines");
    assert!(decisions_to_jsonl(&RunRecord { decisions, ..record.clone() }) == text, "decisions survive their file");
    record
}

/// (seconds, from, to, by whom) of every write.
fn writes(record: &RunRecord) -> Vec<(f64, i32, i32, ScaleSource)> {
    let scaled = record.events.iter().filter_map(|event| match &event.kind {
        EventKind::Scaled { from, to, source, .. } => Some((event.t.as_secs_f64(), *from, *to, *source)),
        _ => None,
    });
    scaled.collect()
}

fn polls(record: &RunRecord) -> Vec<&KedaPoll> {
    let mut polls = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::KedaPoll(poll) = decision {
            polls.push(poll.as_ref());
        }
    }
    polls
}

fn syncs(record: &RunRecord) -> Vec<&HpaSync> {
    let mut syncs = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::HpaSync(sync) = decision {
            syncs.push(sync.as_ref());
        }
    }
    syncs
}

/// A cron trigger from minute `start` to minute `end` of the first hour.
fn cron(start: u32, end: u32, replicas: u32) -> String {
    format!(
        "  - type: cron\n    metadata: {{timezone: Etc/UTC, start: \"{start} 0 * * *\", end: \"{end} 0 * * *\", \
         desiredReplicas: \"{replicas}\"}}\n"
    )
}

const QUERY: &str = "  - type: prometheus\n    metadata: {serverAddress: \"http://prometheus:9090\", threshold: \"1000\", \
                     query: \"sum(vllm:num_requests_running)\"}\n";

#[test]
fn a_cron_window_is_a_floor_under_a_query() {
    let spec = format!("minReplicaCount: 1\nmaxReplicaCount: 5\ntriggers:\n{QUERY}{}", cron(10, 20, 3));
    let record = run("", &spec, "40m");
    let writes = writes(&record);
    assert_eq!(writes.len(), 2, "{writes:?}");
    let (up, from, to, source) = writes[0];
    assert_eq!((from, to, source), (1, 3, ScaleSource::Hpa));
    assert!((600.0..620.0).contains(&up), "up at {up}");
    let (down, from, to, _) = writes[1];
    assert_eq!((from, to), (3, 1));
    assert!((1480.0..1520.0).contains(&down), "down at {down}, the window of 300 s after the end");
    for sync in syncs(&record) {
        let metric = &sync.metrics[1];
        let inside = (SimTime::from_secs(600)..SimTime::from_secs(1200)).contains(&sync.t);
        assert_eq!(metric.trigger, "s1-cron-Etc-UTC-100xxx-200xxx");
        assert_eq!((metric.kind.as_str(), metric.target_milli), ("cron", 1000));
        assert_eq!((metric.value, metric.active), (Some(if inside { 3.0 } else { 0.0 }), Some(inside)), "{}", sync.t);
        assert_eq!(metric.proposal, Some(if inside { 3 } else { 0 }), "at {}", sync.t);
    }
    assert_eq!(record.info.triggers[1].query, "from 10 0 * * * to 20 0 * * * (Etc/UTC): 3");
}

#[test]
fn a_query_that_matches_nothing_falls_back() {
    let triggers = "triggers:\n  - type: prometheus\n    metadata: {serverAddress: \"http://prometheus:9090\", \
                    threshold: \"5\", ignoreNullValues: \"false\", query: \"sum(nothing_of_that_name)\"}\n";
    let spec =
        format!("minReplicaCount: 1\nmaxReplicaCount: 8\nfallback: {{failureThreshold: 3, replicas: 4}}\n{triggers}");
    let record = run("", &spec, "10m");
    // Polls and syncs count together: the first three fail, the fourth falls back, whoever it is.
    for (index, decision) in record.decisions.iter().enumerate() {
        let metric = match decision {
            DecisionRecord::HpaSync(sync) => &sync.metrics[0],
            DecisionRecord::KedaPoll(poll) => &poll.metrics[0],
        };
        let acts = index >= 3;
        assert_eq!((metric.fallback, metric.error.is_none()), (acts, acts), "decision {index}");
        assert_eq!((metric.milli, metric.value), (acts.then_some(20_000), None), "decision {index}");
    }
    let first = syncs(&record).into_iter().find(|sync| sync.metrics[0].fallback).expect("a sync falls back");
    let writes = writes(&record);
    assert_eq!(writes.len(), 1, "{writes:?}");
    assert_eq!((writes[0].0, writes[0].1, writes[0].2), (first.t.as_secs_f64(), 1, 4));
    assert!(polls(&record).last().is_some_and(|poll| poll.active && poll.rule == "A3"));

    let without = run("", &format!("minReplicaCount: 1\nmaxReplicaCount: 8\n{triggers}"), "5m");
    assert!(self::writes(&without).is_empty());
    assert!(polls(&without).iter().all(|poll| poll.error && poll.rule == "I2"));
    assert!(syncs(&without).iter().all(|sync| sync.scaling_active == Some("FailedGetExternalMetric")));
}

#[test]
fn a_formula_over_two_triggers_is_one_metric() {
    let trigger = |name: &str, query: &str| {
        format!(
            "  - type: prometheus\n    name: {name}\n    metadata: {{serverAddress: \"http://prometheus:9090\", \
             threshold: \"1\", query: \"{query}\"}}\n"
        )
    };
    let spec = format!(
        "minReplicaCount: 1\nmaxReplicaCount: 8\nadvanced:\n  scalingModifiers: {{formula: \"a > 2 ? a + b : 1\", target: \"2\"}}\n\
         triggers:\n{}{}",
        trigger("a", "vector(3)"),
        trigger("b", "vector(4.5)")
    );
    let record = run("", &spec, "5m");
    let writes = writes(&record);
    assert_eq!((writes.len(), writes[0].1, writes[0].2), (1, 1, 4), "{writes:?}");
    for sync in syncs(&record) {
        let names: Vec<&str> = sync.metrics.iter().map(|metric| metric.trigger.as_str()).collect();
        assert_eq!(names, ["composite-metric", "s0-prometheus", "s1-prometheus"]);
        let composite = &sync.metrics[0];
        assert_eq!((composite.value, composite.milli, composite.target_milli), (Some(7.5), Some(7_500), 2_000));
        assert_eq!((composite.proposal, composite.kind.as_str()), (Some(4), "composite"));
        assert_eq!((sync.metrics[2].value, sync.metrics[2].proposal), (Some(4.5), None), "an input proposes nothing");
    }
    let shown: Vec<(&str, f64)> = record.info.triggers.iter().map(|own| (own.name.as_str(), own.threshold)).collect();
    assert_eq!(shown, [("s0-prometheus", 1.0), ("s1-prometheus", 1.0), ("composite-metric", 2.0)]);
    let last = record.timeline.rows.last().expect("a row");
    assert_eq!(*last.triggers, [(Some(3.0), 1.0), (Some(4.5), 1.0), (Some(7.5), 2.0)]);
}

#[test]
fn a_formula_that_breaks_leaves_the_object_inactive_and_the_hpa_without_a_metric() {
    // At three and above the denominator is zero, an integer remainder fails when it runs.
    let spec = "minReplicaCount: 0\nmaxReplicaCount: 8\nadvanced:\n  scalingModifiers: {formula: \"a > 2 ? [1, 2][5] ?? (1 % 0) : 1\", \
                target: \"2\"}\ntriggers:\n  - type: prometheus\n    name: a\n    metadata: {serverAddress: \"http://prometheus:9090\", \
                threshold: \"1\", query: \"vector(3)\"}\n";
    let record = run("", spec, "5m");
    let first = polls(&record)[0];
    assert_eq!((first.active, first.error, first.rule), (false, false, "I3"), "no error to the loop");
    assert!(first.metrics[0].error.as_deref().is_some_and(|why| why.starts_with("error trying to run custom formula")));
    assert_eq!(first.metrics[1].active, Some(true), "the trigger alone would be active");
    assert!(syncs(&record).iter().all(|sync| sync.metric_desired.is_none()));
    assert_eq!(writes(&record).last().map(|write| write.2), Some(0), "cut to zero");
}

#[test]
fn from_zero_by_a_window_and_back_after_the_cooldown() {
    let spec = format!(
        "minReplicaCount: 0\nmaxReplicaCount: 5\npollingInterval: 20\ncooldownPeriod: 60\ntriggers:\n{}",
        cron(10, 20, 2)
    );
    let record = run("", &spec, "30m");
    let polls = polls(&record);
    let writes = writes(&record);
    // A new object over an inactive workload is cut at the first poll.
    let cut = polls.iter().find(|poll| poll.action == "deactivate").expect("cut");
    assert_eq!(writes[0], (cut.t.as_secs_f64(), 1, 0, ScaleSource::Keda));
    assert!(cut.t < SimTime::from_secs(40), "at {}", cut.t);
    // The first poll in the window activates one replica, the HPA takes it to two.
    let up = polls.iter().find(|poll| poll.t >= SimTime::from_secs(600)).expect("a poll in the window");
    assert_eq!((up.rule, up.action, up.active), ("A1", "activate", true));
    assert_eq!(writes[1], (up.t.as_secs_f64(), 0, 1, ScaleSource::Keda));
    assert_eq!((writes[2].1, writes[2].2, writes[2].3), (1, 2, ScaleSource::Hpa));
    // The cooldown counts from the last active poll, in whole seconds.
    let last = polls.iter().rfind(|poll| poll.active).expect("active").t;
    assert!(last < SimTime::from_secs(1200));
    let end = SimTime::from_secs(last.as_secs_floor()) + SimDuration::from_secs(60);
    let down = polls.iter().find(|poll| poll.t > end).expect("a poll after the cooldown").t;
    assert_eq!(writes[3], (down.as_secs_f64(), 2, 0, ScaleSource::Keda), "straight to zero, past the HPA's window");
    assert_eq!(writes.len(), 4);
}

#[test]
fn pauses_stop_what_they_name() {
    let spec = format!("minReplicaCount: 1\nmaxReplicaCount: 5\ntriggers:\n{}", cron(10, 20, 3));
    let annotated = |annotation: &str| {
        let record = run(&format!("autoscaling.keda.sh/{annotation}"), &spec, "40m");
        let steps: Vec<(i32, i32)> = writes(&record).iter().map(|write| (write.1, write.2)).collect();
        (record, steps)
    };
    let (paused, steps) = annotated("paused: \"true\"");
    assert!(steps.is_empty() && syncs(&paused).is_empty(), "no HPA, no write");
    assert_eq!(polls(&paused).iter().map(|poll| poll.rule).collect::<Vec<_>>(), ["paused"]);
    let (fixed, steps) = annotated("paused-replicas: \"2\"");
    assert_eq!(steps, [(1, 2)]);
    assert!(syncs(&fixed).is_empty());
    let (_, steps) = annotated("paused-scale-out: \"true\"");
    assert!(steps.is_empty(), "{steps:?}");
    let (scale_in, steps) = annotated("paused-scale-in: \"true\"");
    assert_eq!(steps, [(1, 3)], "up and never down");
    assert!(syncs(&scale_in).last().is_some_and(|sync| sync.metric_desired == Some(0) && sync.new_replicas == 3));
    let (_, steps) = annotated("paused: \"false\"");
    assert_eq!(steps, [(1, 3), (3, 1)], "not paused");
}

#[test]
fn a_forced_object_wakes_and_stays_awake() {
    let spec = format!("minReplicaCount: 0\nmaxReplicaCount: 5\ncooldownPeriod: 30\ntriggers:\n{}", cron(50, 55, 3));
    let forced = run("autoscaling.keda.sh/force-activation: \"true\"", &spec, "10m");
    assert!(writes(&forced).is_empty(), "{:?}", writes(&forced));
    assert!(polls(&forced).iter().all(|poll| !poll.active && poll.rule == "A3"));
    let free = run("", &spec, "10m");
    assert_eq!(writes(&free).len(), 1);
}

#[test]
fn records_serve_the_hpa_between_polls() {
    let trigger = QUERY.replace("    metadata", "    useCachedMetrics: true\n    metadata");
    let query = trigger.replace("sum(vllm:num_requests_running)", "vector(time())");
    let spec = format!("minReplicaCount: 1\nmaxReplicaCount: 5\npollingInterval: 60\ntriggers:\n{query}");
    let record = run("", &spec, "10m");
    let mut polled = None;
    for decision in &record.decisions {
        match decision {
            DecisionRecord::KedaPoll(poll) => polled = poll.metrics[0].value,
            DecisionRecord::HpaSync(sync) => {
                let metric = &sync.metrics[0];
                assert_eq!(metric.cached, polled.is_some());
                assert!(!metric.cached || metric.value == polled, "a sync at {} is told the last poll's value", sync.t);
            }
        }
    }
    assert!(syncs(&record).iter().filter(|sync| sync.metrics[0].cached).count() > 30);
}

#[test]
fn pods_of_the_target_can_be_counted_and_no_others() {
    let spec = |selector: &str| {
        format!(
            "minReplicaCount: 1\nmaxReplicaCount: 6\ntriggers:\n  - type: kubernetes-workload\n    metadata: {{podSelector: \"{selector}\", \
             value: \"0.5\"}}\n"
        )
    };
    // Two replicas wanted per pod that there is: it runs away to the maximum.
    let record = run("", &spec("app=isvc.opt-125m-predictor,component in (predictor)"), "10m");
    assert_eq!(writes(&record).last().map(|write| write.2), Some(6));
    let first = &syncs(&record)[0].metrics[0];
    assert_eq!((first.trigger.as_str(), first.value, first.proposal), ("s0-workload-default", Some(1.0), Some(2)));
    let bundle = Bundle::from_text(&text("", &spec("app=backend"), "10m"), "p.yaml").expect("well formed");
    let refused = resolve(&bundle, &Overrides::default()).expect_err("other pods").to_string();
    assert!(
        refused.contains("spec.triggers[0].metadata.podSelector: the selector \"app=backend\" must select the pods of")
            && refused.contains("app=isvc.opt-125m-predictor"),
        "{refused}"
    );
}

#[test]
fn counts_of_other_pods_are_the_users() {
    let spec = "minReplicaCount: 1\nmaxReplicaCount: 5\ntriggers:\n  - type: kubernetes-workload\n    metadata: {podSelector: app=backend, \
                value: \"3\"}\n";
    let plain = text("", spec, "10m");
    let resolved = |text: &str| {
        let bundle = Bundle::from_text(text, "p.yaml").expect("well formed");
        resolve(&bundle, &Overrides::default()).map_err(|found| found.to_string())
    };
    let refused = resolved(&plain).expect_err("whose pods?");
    assert!(refused.contains("signals: {triggers: {\"triggers[0]\": {constant: 3}}}"), "{refused}");
    let with = |signal: &str| {
        plain.replace("  traffic:", &format!("  signals: {{triggers: {{\"triggers[0]\": {signal}}}}}\n  traffic:"))
    };
    let run = resolved(&with("{constant: 7}")).unwrap_or_else(|found| panic!("does not resolve:\n{found}"));
    let record = simulate(&run, true).unwrap_or_else(|error| panic!("{error}"));
    let last = syncs(&record).pop().expect("syncs");
    assert_eq!((last.metrics[0].value, last.metrics[0].proposal, last.new_replicas), (Some(7.0), Some(3), 3));
    assert_eq!(record.info.triggers[0].signal.as_deref(), Some("constant 7"));
    let refused = resolved(&with("{value: {constant: 7}, target: 2}")).expect_err("the trigger has a target");
    assert!(refused.contains("give only the signal's value"), "{refused}");
}

#[test]
fn a_jump_into_the_bounds_asks_for_no_metrics() {
    let spec = format!(
        "initialCooldownPeriod: 600\nidleReplicaCount: 0\nminReplicaCount: 4\nmaxReplicaCount: 6\ntriggers:\n{QUERY}"
    );
    let run_from = |initial: &str| {
        let text = text("", &spec, "5m").replace("  traffic:", &format!("  initialReplicas: {initial}\n  traffic:"));
        let bundle = Bundle::from_text(&text, "p.yaml").expect("well formed");
        let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("does not resolve:\n{found}"));
        simulate(&run, true).unwrap_or_else(|error| panic!("{error}"))
    };
    for (initial, bound) in [("2", 4), ("9", 6)] {
        let record = run_from(initial);
        let syncs = syncs(&record);
        assert_eq!(
            (syncs[0].metrics.len(), syncs[0].new_replicas, syncs[0].rescaled),
            (0, bound, true),
            "from {initial}"
        );
        assert_eq!(syncs[1].metrics.len(), 1, "the next one asks again");
    }
}

#[test]
fn idle_below_the_minimum_flaps_and_never_settles() {
    let spec = format!("idleReplicaCount: 1\nminReplicaCount: 2\nmaxReplicaCount: 4\ntriggers:\n{QUERY}");
    let text = text("", &spec, "5m").replace("  duration: 5m\n", "").replace("  traffic:", "  traffic:\n    stop: 1m");
    let bundle = Bundle::from_text(&text, "p.yaml").expect("well formed");
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("does not resolve:\n{found}"));
    let record = simulate(&run, false).unwrap_or_else(|error| panic!("{error}"));
    assert!(record.info.unsettled && record.info.end < SimTime::from_secs(4 * 3600), "ended at {}", record.info.end);
    let summary = summarize(&record, &run.analysis);
    let flaps =
        summary.verdict.findings.iter().find(|finding| finding.code == "flapping").expect("the HPA undoes KEDA");
    assert_eq!(flaps.severity, Severity::Error, "{flaps:?}");
    assert!(summary.verdict.findings.iter().any(|finding| finding.code == "never-settled"));
}

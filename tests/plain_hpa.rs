//! A plain HorizontalPodAutoscaler as the policy: no KEDA, its metrics from adapters, through a whole run.

use kedasim::manifest::Bundle;
use kedasim::record::{DecisionRecord, EventKind, HpaSync, RunRecord, ScaleSource};
use kedasim::scenario::{MetricSource, Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Seed, SimDuration, SimTime};

const DEPLOYMENT: &str = include_str!("support/vllm_deployment.yaml");

fn hpa(name: &str, bounds: &str, metrics: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {name}}}\nspec:\n  \
         scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: vllm}}\n  {bounds}\n  metrics:\n{metrics}"
    )
}

fn pods_metric(name: &str, target: &str) -> String {
    format!(
        "    - type: Pods\n      pods: {{metric: {{name: {name}}}, target: {{type: AverageValue, averageValue: {target}}}}}\n"
    )
}

fn external(name: &str, target: &str) -> String {
    format!("    - type: External\n      external: {{metric: {{name: {name}}}, target: {target}}}\n")
}

fn scenario(spec: &str) -> String {
    let body: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: sc}}\nspec:\n  replica: {{profile: opt-125m-cpu}}\n{body}"
    )
}

/// Load that one replica cannot keep up with, for a while.
const LOAD: &str = "duration: 30m\ntraffic: {arrivals: {poisson: {rate: 1.5}}, prompt: {constant: 15}, \
                    output: {constant: 100}, start: 2m, stop: 14m}";
const QUIET: &str =
    "duration: 20m\ntraffic: {arrivals: {poisson: {rate: 0.02}}, prompt: {constant: 15}, output: {constant: 20}}";

fn bundle(parts: &[&str]) -> Bundle {
    Bundle::from_text(&parts.join("\n---\n"), "p.yaml").expect("well formed")
}

fn resolved(parts: &[&str], overrides: &Overrides) -> ResolvedRun {
    resolve(&bundle(parts), overrides).unwrap_or_else(|found| panic!("does not resolve:\n{found}"))
}

fn refused(parts: &[&str], overrides: &Overrides) -> String {
    resolve(&bundle(parts), overrides).expect_err("must not resolve").to_string()
}

fn run(parts: &[&str], overrides: &Overrides) -> RunRecord {
    simulate(&resolved(parts, overrides), true).unwrap_or_else(|error| panic!("{error}"))
}

fn syncs(record: &RunRecord) -> Vec<&HpaSync> {
    let mut syncs = Vec::new();
    for decision in &record.decisions {
        match decision {
            DecisionRecord::HpaSync(sync) => syncs.push(sync.as_ref()),
            DecisionRecord::KedaPoll(poll) => panic!("a poll at {} without KEDA", poll.t),
        }
    }
    syncs
}

fn writes(record: &RunRecord) -> Vec<(SimTime, i32, i32, ScaleSource)> {
    let scaled = record.events.iter().filter_map(|event| match event.kind {
        EventKind::Scaled { from, to, source, .. } => Some((event.t, from, to, source)),
        _ => None,
    });
    scaled.collect()
}

#[test]
fn a_pods_metric_scales_without_keda() {
    let policy = hpa("web", "minReplicas: 1\n  maxReplicas: 4", &pods_metric("vllm_num_requests_running", "3"));
    let record = run(&[&policy, DEPLOYMENT, &scenario(LOAD)], &Overrides::default());
    let syncs = syncs(&record);
    // The first sync comes one period after the HPA was applied within the first period; later ones a little over one apart.
    let period = SimDuration::from_secs(15);
    assert!((SimTime::ZERO + period..SimTime::ZERO + period.times(2)).contains(&syncs[0].t), "{}", syncs[0].t);
    for pair in syncs.windows(2) {
        let apart = pair[1].t.since(pair[0].t);
        assert!(apart > period && apart < SimDuration::from_millis(15_201), "{apart}");
    }
    let writes = writes(&record);
    assert!(writes.iter().any(|write| write.2 == 4), "{writes:?}");
    assert!(writes.iter().all(|write| write.3 == ScaleSource::Hpa && (1..=4).contains(&write.2)), "{writes:?}");
    assert_eq!(writes.last().map(|write| write.2), Some(1), "down again: {writes:?}");
    // The metric is the mean over the pods, held against the target; the proposal follows the rule of Pods metrics.
    let busy = syncs.iter().find(|sync| sync.metrics[0].value.is_some_and(|value| value > 4.0)).expect("load");
    let metric = &busy.metrics[0];
    assert_eq!((metric.trigger.as_str(), metric.kind.as_str()), ("vllm_num_requests_running", "pods"));
    assert_eq!((metric.target_milli, metric.target_type.as_str(), metric.active), (3_000, "AverageValue", None));
    let ratio = metric.milli.expect("a mean") as f64 / 3_000.0;
    assert_eq!(metric.ratio, Some(ratio));
    // The run is told by its own names.
    assert_eq!((record.info.policy.as_str(), record.info.min_replicas, record.info.max_replicas), ("web", 1, 4));
    let shown: Vec<(&str, &str, f64)> =
        record.info.triggers.iter().map(|own| (own.name.as_str(), own.query.as_str(), own.threshold)).collect();
    assert_eq!(shown, [("vllm_num_requests_running", "sum by (pod) (vllm:num_requests_running)", 3.0)]);
    let rows = record.timeline.rows.iter().filter(|row| row.triggers[0].0.is_some_and(|value| value > 4.0));
    assert!(rows.count() > 3, "the timeline carries the metric");
}

#[test]
fn a_name_that_no_series_has_is_refused_with_the_nearest() {
    let policy = hpa("web", "maxReplicas: 4", &pods_metric("vllm_num_request_waiting", "3"));
    let told = refused(&[&policy, DEPLOYMENT, &scenario(QUIET)], &Overrides::default());
    assert!(told.contains("no scraped series is called vllm_num_request_waiting"), "{told}");
    assert!(told.contains("did you mean vllm_num_requests_waiting?"), "{told}");
    assert!(told.contains("p.yaml:8:"), "{told}");
    // With its own spelling, and a counter is told.
    let policy = hpa("web", "maxReplicas: 4", &pods_metric("vllm:generation_tokens_total", "3"));
    let run = resolved(&[&policy, DEPLOYMENT, &scenario(QUIET)], &Overrides::default());
    assert!(run.diagnostics.to_string().contains("only ever grows"), "{}", run.diagnostics);
}

#[test]
fn an_external_metric_is_a_signal_by_its_name() {
    let metrics = external("queue_length", "{type: AverageValue, averageValue: 5}");
    let policy = hpa("web", "minReplicas: 2\n  maxReplicas: 9", &metrics);
    let told = refused(&[&policy, DEPLOYMENT, &scenario(QUIET)], &Overrides::default());
    assert!(told.contains("external metric queue_length comes from an adapter"), "{told}");
    assert!(told.contains("signals: {triggers: {queue_length: {value: {constant: 3}}}}"), "{told}");
    let signals =
        format!("{QUIET}\nsignals: {{triggers: {{queue_length: {{value: {{step: {{from: 4, to: 31.5, at: 5m}}}}}}}}}}");
    let record = run(&[&policy, DEPLOYMENT, &scenario(&signals)], &Overrides::default());
    assert_eq!(record.info.initial_replicas, 2, "minReplicas");
    for sync in syncs(&record) {
        // Adapters answer at the instant of the sync.
        let expected = if sync.t < SimTime::from_secs(300) { 4.0 } else { 31.5 };
        assert_eq!(sync.metrics[0].value, Some(expected), "at {}", sync.t);
        assert_eq!(sync.metrics[0].milli, Some((expected * 1000.0) as i64));
    }
    let writes = writes(&record);
    let to: Vec<i32> = writes.iter().map(|write| write.2).collect();
    assert_eq!(to.last(), Some(&7), "31.5 / 5 is 6.3: {to:?}");
    assert!(writes[0].0 >= SimTime::from_secs(300));
    // A signal that nothing asks for is a mistake.
    let misnamed = signals.replace("queue_length", "queue");
    let told = refused(&[&policy, DEPLOYMENT, &scenario(&misnamed)], &Overrides::default());
    assert!(told.contains("found a signal for \"queue\", which is no external metric of web"), "{told}");
}

#[test]
fn which_policy_runs_is_a_matter_of_kind_and_name() {
    let metrics = pods_metric("vllm_num_requests_waiting", "3");
    let (one, two) = (hpa("one", "maxReplicas: 4", &metrics), hpa("two", "maxReplicas: 5", &metrics));
    let named = |name: &str| Overrides { name: Some(name.to_owned()), ..Overrides::default() };
    let world = scenario(QUIET);
    let told = refused(&[&one, &two, DEPLOYMENT, &world], &Overrides::default());
    assert!(told.contains("found 2 HorizontalPodAutoscalers: one (p.yaml:1:1), two (p.yaml:"), "{told}");
    assert_eq!(resolved(&[&one, &two, DEPLOYMENT, &world], &named("two")).kubernetes.hpa.max_replicas, 5);
    let told = refused(&[&one, &two, DEPLOYMENT, &world], &named("three"));
    assert!(told.contains("there is no policy called \"three\"; found one ("), "{told}");

    let object = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: so}\nspec:\n  scaleTargetRef: {name: vllm}\n  \
                  maxReplicaCount: 3\n  triggers:\n    - type: cron\n      metadata: {timezone: Etc/UTC, start: 0 8 * * *, \
                  end: 0 9 * * *, desiredReplicas: \"2\"}";
    let run = resolved(&[&one, object, DEPLOYMENT, &world], &Overrides::default());
    assert_eq!((run.policy.as_str(), run.keda.is_some()), ("so", true));
    assert!(run.diagnostics.to_string().contains("HorizontalPodAutoscaler one is not read"), "{}", run.diagnostics);
    let run = resolved(&[&one, object, DEPLOYMENT, &world], &named("one"));
    assert_eq!((run.policy.as_str(), run.keda.is_none()), ("one", true));
    assert!(!run.diagnostics.to_string().contains("is not read"), "{}", run.diagnostics);
    assert_eq!(
        run.kubernetes.sources,
        [MetricSource::PodsMetric("sum by (pod) (vllm:num_requests_waiting)".to_owned())]
    );
}

#[test]
fn fixed_replicas_leave_a_plain_hpa_off() {
    let policy = hpa("web", "maxReplicas: 4", &pods_metric("vllm_num_requests_running", "0.1"));
    let fixed = Overrides { fixed_replicas: Some(3), ..Overrides::default() };
    let record = run(&[&policy, DEPLOYMENT, &scenario(LOAD)], &fixed);
    assert!(record.decisions.is_empty() && writes(&record).is_empty());
    assert_eq!((record.info.initial_replicas, record.info.fixed_replicas), (3, true));
}

#[test]
fn the_date_of_the_start_moves_what_looks_at_the_clock() {
    let query = "max(hour())";
    let object = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: so}}\nspec:\n  scaleTargetRef: {{name: vllm}}\n  \
         minReplicaCount: 1\n  maxReplicaCount: 3\n  triggers:\n    - type: prometheus\n      metadata: {{serverAddress: \
         \"http://prometheus:9090\", threshold: \"100\", query: \"{query}\"}}"
    );
    let hour = |start: &str| {
        let world = scenario(&format!("{QUIET}{start}"));
        let record = run(&[&object, DEPLOYMENT, &world], &Overrides { seed: Some(Seed(4)), ..Overrides::default() });
        let first = record.decisions.iter().find_map(|own| match own {
            DecisionRecord::HpaSync(sync) => sync.metrics[0].value,
            DecisionRecord::KedaPoll(_) => None,
        });
        first.expect("the query answers")
    };
    assert_eq!(hour(""), 0.0);
    assert_eq!(hour("\nstart: \"2026-03-29T17:00:00Z\""), 17.0);
    assert_eq!(hour("\nstart: \"2026-03-29T17:00:00+02:00\""), 15.0);
    for wrong in ["2026-03-29", "yesterday", "2026-03-29T17:00:00.5Z", "1815-12-10T00:00:00Z"] {
        let told =
            refused(&[&object, DEPLOYMENT, &scenario(&format!("{QUIET}\nstart: \"{wrong}\""))], &Overrides::default());
        assert!(told.contains("spec.start: found") && told.contains(wrong), "{told}");
    }
}

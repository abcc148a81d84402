//! What the loop as a whole must do, on small worlds written out here.

use kedasim::manifest::Bundle;
use kedasim::record::{DecisionRecord, EventKind, RunRecord};
use kedasim::scenario::{Overrides, resolve};
use kedasim::sim::simulate;
use kedasim::units::{SimDuration, SimTime};

/// The scale target of all policies here.
const SERVICE: &str = include_str!("support/cpu_service.yaml");

/// A policy on the CPU demo's profile; `spec` is appended to the ScaledObject's, `query` and `threshold` are its trigger's.
fn policy(spec: &str, query: &str, threshold: &str) -> String {
    format!(
        r#"apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: p}}
spec:
  scaleTargetRef: {{name: m-predictor}}
  maxReplicaCount: 3
{spec}
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        threshold: "{threshold}"
        query: '{query}'
---
{SERVICE}"#
    )
}

const TOKENS: &str = "sum(rate(vllm:prompt_tokens_total[2m])) + sum(rate(vllm:generation_tokens_total[2m]))";
const MIN_1: &str = "  minReplicaCount: 1";

/// Runs `policy` in a Scenario whose `spec` is `scenario`, with every invariant checked.
fn run(policy: &str, scenario: &str, overrides: &Overrides) -> RunRecord {
    let text = format!(
        "{policy}---\napiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n  replica: {{profile: opt-125m-cpu}}\n{scenario}"
    );
    let bundle = Bundle::from_text(&text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}"));
    let run = resolve(&bundle, overrides).unwrap_or_else(|errors| panic!("{errors}"));
    simulate(&run, true).unwrap_or_else(|error| panic!("{error}"))
}

fn replica_counts(record: &RunRecord) -> Vec<i32> {
    let to = |event: &kedasim::record::Event| match event.kind {
        EventKind::Scaled { to, .. } => Some(to),
        _ => None,
    };
    record.events.iter().filter_map(to).collect()
}

#[test]
fn a_run_without_duration_waits_as_long_as_the_queries_look_back() {
    let query = TOKENS.replace("2m", "20m");
    let scenario = "  traffic: {arrivals: {poisson: {rate: 0.2}}, prompt: {constant: 15}, output: {constant: 100}, start: 1m, stop: 6m}\n";
    let record = run(&policy(MIN_1, &query, "5"), scenario, &Overrides::default());
    // The load is over after six minutes; the query goes on seeing it for twenty more, and only then may replicas go.
    assert_eq!(replica_counts(&record).last(), Some(&1), "{:?}", replica_counts(&record));
    let last =
        record.events.iter().rfind(|event| matches!(event.kind, EventKind::Scaled { .. })).expect("it scales down");
    assert!(last.t > SimTime::from_secs(25 * 60), "down at {}", last.t);
}

#[test]
fn a_run_without_duration_waits_for_the_cooldown_to_idle() {
    let spec = "  minReplicaCount: 2\n  idleReplicaCount: 0\n  cooldownPeriod: 1800";
    let scenario = "  traffic: {arrivals: {poisson: {rate: 0.2}}, prompt: {constant: 15}, output: {constant: 100}, start: 1m, stop: 3m}\n";
    let record = run(&policy(spec, TOKENS, "5"), scenario, &Overrides::default());
    assert_eq!(replica_counts(&record).last(), Some(&0));
}

#[test]
fn workers_that_are_refused_do_not_stop_the_clock() {
    // Without a pod every request is refused; workers without think time must still let time pass.
    let scenario = "  duration: 1m\n  traffic: {arrivals: {closedLoop: {workers: 3, think: 0s}}, prompt: {constant: 15}, output: {constant: 9}}\n";
    let none = Overrides { fixed_replicas: Some(0), ..Overrides::default() };
    let refused = run(&policy(MIN_1, TOKENS, "5"), scenario, &none);
    assert_eq!(refused.requests.refused, refused.requests.total);
    assert!((1_000..=180_000).contains(&refused.requests.total), "{}", refused.requests.total);
    // A prompt that does not fit the model is rejected by a healthy replica: the same holds.
    let long = scenario.replace("prompt: {constant: 15}", "prompt: {constant: 600}");
    let rejected = run(&policy(MIN_1, TOKENS, "5"), &long, &Overrides::default());
    assert_eq!((rejected.requests.rejected, rejected.requests.failed), (rejected.requests.total, 0));
}

#[test]
fn clients_limits_cut_answers_and_leave_prompts_room() {
    let run_with = |max_tokens: u32| {
        let scenario = format!(
            "  duration: 10m\n  traffic: {{arrivals: {{poisson: {{rate: 0.1}}}}, prompt: {{constant: 15}}, output: {{constant: 60}}, maxTokens: {max_tokens}, stop: 5m}}\n"
        );
        run(&policy(MIN_1, TOKENS, "5"), &scenario, &Overrides::default())
    };
    for (max_tokens, answer) in [(20, 20), (60, 60), (100, 60)] {
        let own = run_with(max_tokens);
        let completed = own.requests.completed;
        assert!(completed > 10 && completed == own.requests.total, "{:?}", own.requests);
        assert_eq!(own.tokens.generated, completed * answer, "max_tokens {max_tokens}");
    }
    // The model's length is 512 tokens: 15 and 497 fit, 15 and 498 do not, however short the answers are.
    let fits = run_with(497);
    assert_eq!((fits.requests.rejected, fits.requests.completed), (0, fits.requests.total));
    let rejected = run_with(498);
    assert_eq!((rejected.requests.rejected, rejected.requests.failed), (rejected.requests.total, 0));
    assert!(rejected.requests.total > 10);
}

#[test]
fn requests_cut_by_a_client_timeout_are_counted_once() {
    let scenario = "  duration: 10m\n  client: {timeout: 5s}\n  traffic: {arrivals: {poisson: {rate: 0.3}}, prompt: {constant: 15}, output: {constant: 200}}\n";
    let record = run(&policy(MIN_1, TOKENS, "5"), scenario, &Overrides::default());
    // 200 tokens take over ten seconds on this profile: nobody waits that long, and everybody got a first token.
    assert_eq!(record.requests.completed, 0);
    assert!(record.requests.timed_out > 100);
    assert_eq!(record.lost_after_first_token, record.requests.timed_out);
    assert_eq!(record.latencies.ttft.count(), record.requests.timed_out + record.open_requests.len() as u64);
}

#[test]
fn scale_from_zero_is_seen_only_by_what_stands_in_front() {
    let scenario = "  traffic: {arrivals: {poisson: {rate: 0.2}}, prompt: {constant: 15}, output: {constant: 50}, start: 2m, stop: 8m}\n";
    let record =
        run(&policy("  minReplicaCount: 0\n  cooldownPeriod: 60", TOKENS, "5"), scenario, &Overrides::default());
    // A new ScaledObject over an inactive target cuts it to zero at the first poll (keda.md 4.3), and vLLM's own series
    // cannot wake it.
    assert_eq!(replica_counts(&record), [0]);
    assert_eq!(record.requests.refused, record.requests.total);
    let disabled = record.decisions.iter().filter_map(|decision| match decision {
        DecisionRecord::HpaSync(sync) => Some(sync),
        DecisionRecord::KedaPoll(_) => None,
    });
    let disabled: Vec<_> = disabled.filter(|sync| sync.spec_replicas == 0).collect();
    assert!(!disabled.is_empty());
    assert!(disabled.iter().all(|sync| sync.scaling_active == Some("ScalingDisabled") && sync.metrics.is_empty()));
}

#[test]
fn a_ring_of_aborting_pods_loses_requests_and_a_draining_one_does_not() {
    // One replica too many goes while requests are inside.
    let world = |mode: &str| {
        format!(
            "  duration: 12m\n  initialReplicas: 3\n  cluster: {{termination: {{mode: {mode}, preStop: 5s, graceSeconds: 60}}}}\n  traffic: {{arrivals: {{poisson: {{rate: 0.4}}}}, prompt: {{constant: 15}}, output: {{constant: 200}}}}\n"
        )
    };
    let spec = "  minReplicaCount: 1\n  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}";
    let policy = policy(spec, TOKENS, "1000");
    let abort = run(&policy, &world("abort"), &Overrides::default());
    let drain = run(&policy, &world("{drain: 50s}"), &Overrides::default());
    assert!(abort.requests.killed > 0, "{:?}", abort.requests);
    assert_eq!((drain.requests.killed, drain.requests.refused), (0, 0), "{:?}", drain.requests);
}

#[test]
fn the_clock_of_a_run_ends_where_it_is_told() {
    let scenario = "  duration: 7m\n  traffic: {arrivals: {poisson: {rate: 0.2}}, prompt: {constant: 15}, output: {constant: 50}}\n";
    let record = run(&policy(MIN_1, TOKENS, "5"), scenario, &Overrides::default());
    assert_eq!(record.info.end.since(SimTime::ZERO), SimDuration::from_secs(420));
    assert_eq!(record.timeline.rows.last().map(|row| row.t), Some(record.info.end));
}

//! The rules of lint that only a run can break (docs/lint-rules.md): for each a run that fires it and one that nearly does.

use kedasim::analysis::{Finding, summarize};
use kedasim::manifest::{Bundle, Input};
use kedasim::scenario::{Overrides, replace_scenario, resolve};
use kedasim::sim::simulate;
use kedasim::units::Severity;
use std::path::Path;

const UP: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.stabilizationWindowSeconds";
const QUERY: &str = "spec.triggers[0].metadata.query";
const THRESHOLD: &str = "spec.triggers[0].metadata.threshold";
const MOST: &str = "spec.maxReplicaCount";
const TRAFFIC: &str = "Scenario:spec.traffic";
const WAITING: &str = "sum(vllm:num_requests_waiting{model_name=\"opt-125m\"})";

/// The finding `code` of the example policy in `scenario` with values set, if the run has it.
fn finding(code: &str, scenario: &str, set: &[&[(&str, &str)]]) -> Option<Finding> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bundle = Bundle::load(&[Input::Path(root.join("policies/opt-125m"))]).expect("the policy loads");
    let path = root.join(format!("policies/sweeps/scenarios/{scenario}.yaml"));
    replace_scenario(&mut bundle, &path).expect("it loads");
    for (path, value) in set.iter().copied().flatten() {
        bundle.set_text(path, value).unwrap_or_else(|error| panic!("{error}"));
    }
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let record = simulate(&run, false).unwrap_or_else(|error| panic!("{error}"));
    let found = summarize(&record, &run.analysis).verdict.findings;
    let own = found.into_iter().find(|own| own.code == code);
    assert!(own.as_ref().is_none_or(|own| own.severity == Severity::Warning), "{own:?}");
    own
}

fn traffic(arrivals: &str) -> String {
    format!("{{arrivals: {arrivals}, prompt: {{constant: 15}}, output: {{geometric: {{hazard: 0.0079, max: 200}}}}}}")
}

#[test]
fn l14_a_queue_orders_more_than_is_needed_while_replicas_start() {
    let load = traffic("{stages: [{duration: 5m, rate: 0.1}, {duration: 20m, rate: 3}]}");
    let base = [
        (TRAFFIC, load.as_str()),
        ("Scenario:spec.duration", "30m"),
        ("Scenario:spec.warmup", "0s"),
        ("Scenario:spec.replica.maxNumSeqs", "16"),
        (QUERY, WAITING),
        (MOST, "20"),
    ];
    let found = finding("L-14", "workers", &[&base, &[(UP, "0")]]).expect("a start takes a minute, the window is 0");
    assert!(
        found.message.contains("a start takes 1m") && found.message.contains("there is no scaleUp window"),
        "{found:?}"
    );
    assert!(found.evidence[0].contains("while 1 were ready"), "{found:?}");
    assert_eq!(finding("L-14", "workers", &[&base, &[(UP, "90")]]), None, "the window is longer than a start");
    let rate = (QUERY, "sum(rate(vllm:generation_tokens_total{model_name=\"opt-125m\"}[2m]))");
    assert_eq!(finding("L-14", "workers", &[&base, &[(UP, "0"), rate, (THRESHOLD, "70")]]), None, "a rate is no queue");
}

#[test]
fn l33_half_a_long_rate_window_is_the_larger_part_of_the_delay() {
    let load = traffic("{stages: [{duration: 15m, rate: 0.2}, {duration: 15m, rate: 2.5}]}");
    let query = |range: &str| {
        format!(
            "sum(rate(vllm:prompt_tokens_total{{model_name=\"opt-125m\"}}[{range}])) + \
             sum(rate(vllm:generation_tokens_total{{model_name=\"opt-125m\"}}[{range}]))"
        )
    };
    let base = [
        (TRAFFIC, load.as_str()),
        ("Scenario:spec.duration", "30m"),
        ("Scenario:spec.slo", "{e2e: {p95: 20s}}"),
        (THRESHOLD, "70"),
        (MOST, "6"),
    ];
    let (long, short) = (query("5m"), query("1m"));
    let found =
        finding("L-33", "workers", &[&base, &[(QUERY, &long)]]).expect("half of 5 m is 150 s, a start takes 62 s");
    assert!(found.evidence.iter().any(|own| own.contains("half the range of 5m + scaleUp window 30s")), "{found:?}");
    assert_eq!(finding("L-33", "workers", &[&base, &[(QUERY, &short)]]), None, "half of 1 m is less than a start");
    let light = traffic("{stages: [{duration: 15m, rate: 0.2}, {duration: 15m, rate: 0.7}]}");
    let goal = ("Scenario:spec.slo", "{e2e: {p95: 60s}}");
    let unharmed = [(TRAFFIC, light.as_str()), (QUERY, long.as_str()), goal];
    assert_eq!(finding("L-33", "workers", &[&base, &unharmed]), None, "late, but no request suffered");
}

#[test]
fn l46_a_grace_period_shorter_than_an_answer_cuts_it_off() {
    let cluster = |grace: &str| format!("{{preset: cpu-demo, termination: {{graceSeconds: {grace}}}}}");
    let set = |cluster: &str| finding("L-46", "near-a-step", &[&[("Scenario:spec.cluster", cluster)]]);
    let found = set(&cluster("1")).expect("answers take 5 s on average");
    assert!(found.message.contains("cut off by the end of a pod that was scaled down"), "{found:?}");
    assert!(found.evidence.iter().any(|own| own.ends_with("longer than the grace period of 1s")), "{found:?}");
    assert_eq!(set(&cluster("30")), None);
}

#[test]
fn l48_the_engines_queue_is_empty_while_the_gateway_holds_what_arrives() {
    let gateway = |room: &str| format!("{{kind: generic, maxInFlightPerPod: {room}}}");
    let found = |room: &str, query: &str| {
        let gateway = gateway(room);
        let set = [("Scenario:spec.gateway", gateway.as_str()), (QUERY, query), ("Scenario:spec.duration", "1h")];
        finding("L-48", "rising-steps", &[&set])
    };
    let blind = found("4", WAITING).expect("four at once are no 60 tokens per second");
    assert!(blind.evidence[0].contains("vllm:num_requests_waiting"), "{blind:?}");
    assert_eq!(found("64", WAITING), None, "nothing is held");
    // At a threshold of 5 the tokens ask for the maximum long before.
    let tokens = "sum(rate(vllm:generation_tokens_total{model_name=\"opt-125m\"}[2m]))";
    assert_eq!(found("4", tokens), None, "the trigger asks for more in time");
}

#[test]
fn l49_a_gauge_of_the_router_that_never_falls_holds_the_replicas() {
    let load = "{arrivals: {poisson: {rate: 0.2}}, prompt: {constant: 15}, output: {constant: 100}, stop: 10m}";
    let found = |value: &str| {
        let signals =
            format!("{{series: [{{metric: router_active_requests, labels: {{job: router}}, value: {value}}}]}}");
        let set = [
            (TRAFFIC, load),
            ("Scenario:spec.duration", "45m"),
            ("Scenario:spec.signals", signals.as_str()),
            (QUERY, "sum(router_active_requests)"),
        ];
        finding("L-49", "near-a-step", &[&set])
    };
    let stale = found("{constant: 12}").expect("12 / 5 asks for 3 half an hour after the last request");
    assert!(stale.message.contains("still asked for 3 replicas"), "{stale:?}");
    assert!(stale.evidence[0].contains("router_active_requests"), "{stale:?}");
    assert_eq!(found("{step: {from: 12, to: 0, at: 11m}}"), None, "it falls with the load");
    assert_eq!(found("{step: {from: 12, to: 5, at: 11m}}"), None, "what is left asks for the minimum");
}

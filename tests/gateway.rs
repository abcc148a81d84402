//! The gateway of a Scenario: what each kind does at zero replicas and after, what it counts, and what it refuses to be.

use kedasim::analysis::summarize;
use kedasim::manifest::{Bundle, Input};
use kedasim::prometheus::{PrometheusServer, StoredRow};
use kedasim::record::{DecisionRecord, EventKind, RunRecord, decisions_to_jsonl};
use kedasim::scenario::{Overrides, ResolvedRun, resolve, scenario_yaml};
use kedasim::sim::{simulate, simulate_recording};
use kedasim::units::{SimDuration, SimTime};
use std::path::Path;

/// A series of the user's that becomes 1 at 2 minutes, and the query that follows it.
const WAKE: &str = "signals: {series: [{metric: wake, value: {step: {from: 0, to: 1, at: 2m}}}]}";
const NEVER: &str = "signals: {series: [{metric: wake, value: {constant: 0}}]}";
/// A request every two seconds in the second minute.
const MINUTE: &str =
    "traffic: {arrivals: {poisson: {rate: 0.5}}, prompt: {constant: 15}, output: {constant: 20}, start: 1m, stop: 2m}";
/// The same with long answers, which scrapes see under way.
const LONG: &str =
    "traffic: {arrivals: {poisson: {rate: 0.5}}, prompt: {constant: 15}, output: {constant: 300}, start: 1m, stop: 2m}";
const KEDA_HTTP: &str = "{kind: keda-http}";
const EPP: &str = "{kind: epp-flow-control}";

/// The scale target of all policies here.
const SERVICE: &str = include_str!("support/cpu_service.yaml");

/// A ScaledObject from 0 to 3 with this query, and the CPU demo's workload.
fn policy(query: &str, min: u32) -> String {
    format!(
        r#"apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: p}}
spec:
  scaleTargetRef: {{name: m-predictor}}
  pollingInterval: 5
  minReplicaCount: {min}
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {{serverAddress: "http://prometheus:9090", threshold: "1000", query: '{query}'}}
---
{SERVICE}"#
    )
}

/// A Scenario of 10 minutes from 0 replicas; `lines` are more of its spec, one key each.
fn world(lines: &[&str]) -> String {
    let mut text = "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  replica: {profile: opt-125m-cpu}\n".to_owned();
    if !lines.iter().any(|line| line.starts_with("duration")) {
        text.push_str("  duration: 10m\n");
    }
    if !lines.iter().any(|line| line.starts_with("initialReplicas")) {
        text.push_str("  initialReplicas: 0\n");
    }
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

fn try_resolve(policy: &str, scenario: &str) -> Result<ResolvedRun, String> {
    let bundle =
        Bundle::from_text(&format!("{scenario}---\n{policy}"), "test.yaml").map_err(|errors| errors.to_string())?;
    resolve(&bundle, &Overrides::default()).map_err(|errors| errors.to_string())
}

struct Told {
    record: RunRecord,
    rows: Vec<StoredRow>,
}

/// Runs with every invariant checked after every event.
fn told(policy: &str, lines: &[&str]) -> Told {
    let run = try_resolve(policy, &world(lines)).unwrap_or_else(|errors| panic!("{errors}"));
    let mut rows = Vec::new();
    let record = simulate_recording(&run, true, &mut |row| rows.push(row)).unwrap_or_else(|error| panic!("{error}"));
    let all = record.requests;
    assert_eq!(
        all.total,
        all.completed + all.failed + all.timed_out + all.aborted + all.rejected + all.in_flight,
        "{all:?}"
    );
    assert!(all.total > 20, "{all:?}");
    Told { record, rows }
}

impl Told {
    /// (seconds, value) of the samples of a series that has all of these labels; staleness markers are left out.
    fn series(&self, name: &str, labels: &[(&str, &str)]) -> Vec<(f64, f64)> {
        let start = 1_767_571_200_000_i64;
        let mut found = Vec::new();
        for row in &self.rows {
            for (own, value) in row.samples() {
                let fits = own.metric_name() == name && labels.iter().all(|(label, value)| own.get(label) == *value);
                if fits && value.to_bits() != PrometheusServer::STALE_BITS {
                    found.push(((row.at_ms - start) as f64 / 1e3, value));
                }
            }
        }
        found
    }

    fn last(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).last().unwrap_or_else(|| panic!("no sample of {name}{labels:?}")).1
    }

    fn most(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }

    /// Seconds at which a pod first was in this state.
    fn first(&self, wanted: &str) -> f64 {
        let found = self
            .record
            .events
            .iter()
            .find(|event| matches!(&event.kind, EventKind::Pod { state, .. } if *state == wanted));
        found.unwrap_or_else(|| panic!("no pod was {wanted}")).t.as_secs_f64()
    }
}

#[test]
fn without_a_buffer_the_answer_is_503_and_it_is_counted() {
    for kind in ["production-stack", "istio"] {
        let gateway = format!("gateway: {{kind: {kind}}}");
        let told = told(&policy("wake", 0), &[NEVER, MINUTE, &gateway]);
        let all = told.record.requests;
        assert_eq!((all.failed, all.unavailable, all.refused), (all.total, all.total, 0), "{kind}");
        let total = all.total as f64;
        if kind == "istio" {
            let labels =
                [("response_code", "503"), ("response_flags", "UH"), ("destination_service_name", "m-predictor")];
            assert_eq!(told.last("istio_requests_total", &labels), total);
            assert_eq!(told.series("istio_requests_total", &[("response_code", "200")]), []);
            assert_eq!(told.last("envoy_cluster_upstream_cx_none_healthy", &[]), 3.0 * total, "one try and two more");
        } else {
            assert_eq!(told.last("vllm:num_incoming_requests_total", &[("model", "m")]), total);
            let before = told.series("vllm:num_incoming_requests_total", &[]).iter().filter(|(t, _)| *t < 60.0).count();
            assert_eq!(before, 0, "a counter with labels begins with its first request");
        }
        let up = told.series("up", &[("job", "gateway")]);
        assert!(up.len() >= 39 && up.iter().all(|(_, value)| *value == 1.0), "the gateway is always up: {up:?}");
        let run = try_resolve(&policy("wake", 0), &world(&[NEVER, MINUTE, &gateway])).expect("it resolved before");
        let findings = summarize(&told.record, &run.analysis).verdict.findings;
        let blind = findings.iter().find(|own| own.code == "blind-at-zero").expect("nobody woke it");
        let expected = format!("{} requests were answered 503 by the gateway while spec.replicas was 0", all.total);
        assert!(blind.message.starts_with(&expected), "{}", blind.message);
    }
}

#[test]
fn a_buffer_holds_all_requests_until_a_pod_is_routable() {
    for kind in ["generic", "epp-flow-control", "keda-http"] {
        let gateway = format!("gateway: {{kind: {kind}}}");
        let told = told(&policy("wake", 0), &[WAKE, LONG, &gateway]);
        let all = told.record.requests;
        assert_eq!((all.completed, all.failed), (all.total, 0), "{kind}");
        let (routable, ttft) = (told.first("routable"), &told.record.latencies.ttft);
        assert!(routable > 140.0, "{routable}");
        // The first came at about a minute, the last at about two: all waited for the pod.
        let least = ttft.quantile_seconds(0.01).expect("all have a first token");
        let most = ttft.max_seconds().expect("all have a first token");
        assert!(least >= routable - 121.0 && most >= routable - 70.0, "{kind}: {least} {most} {routable}");
        // All were sent on at once: nothing limits what a pod has inside.
        let inside = told.most("vllm:num_requests_running", &[]) + told.most("vllm:num_requests_waiting", &[]);
        assert!(inside >= all.total as f64 / 2.0, "{kind}: {inside} of {}", all.total);
    }
}

#[test]
fn a_limit_per_pod_lets_held_requests_on_one_after_the_other() {
    let told =
        told(&policy("wake", 0), &[WAKE, LONG, "duration: 20m", "gateway: {kind: generic, maxInFlightPerPod: 2}"]);
    let all = told.record.requests;
    assert_eq!((all.completed, all.failed), (all.total, 0));
    let running = told.most("vllm:num_requests_running", &[]) + told.most("vllm:num_requests_waiting", &[]);
    assert_eq!(running, 2.0);
}

#[test]
fn the_flow_control_shows_what_it_holds() {
    let told = told(&policy("wake", 0), &[WAKE, LONG, &format!("gateway: {EPP}")]);
    let labels = [
        ("fairness_id", "default-flow"),
        ("priority", "0"),
        ("inference_pool", "m-predictor"),
        ("model_name", "m"),
        ("target_model_name", "m"),
    ];
    let queue = told.series("inference_extension_flow_control_queue_size", &labels);
    let routable = told.first("routable");
    let total = told.record.requests.total as f64;
    let held: Vec<f64> = queue.iter().filter(|(t, _)| (121.0..routable).contains(t)).map(|(_, value)| *value).collect();
    assert!(!held.is_empty() && held.iter().all(|value| *value == total), "{queue:?}");
    assert!(queue.iter().all(|(t, value)| *t < routable + 60.0 || *value == 0.0), "{queue:?}");
    let ready = told.series("inference_pool_ready_pods", &[("name", "m-predictor")]);
    assert!(ready.iter().all(|(t, count)| *count == f64::from(u8::from(*t > routable))), "{routable}: {ready:?}");
    for name in ["inference_pool_average_queue_size", "inference_pool_average_kv_cache_utilization"] {
        let average = told.series(name, &[("name", "m-predictor")]);
        assert!(average.first().is_some_and(|(t, _)| *t > routable), "nothing to average before: {average:?}");
    }
    assert!(told.most("inference_pool_average_kv_cache_utilization", &[]) > 0.0);
}

#[test]
fn the_flow_control_holds_while_the_pods_are_full() {
    let steady = "traffic: {arrivals: {poisson: {rate: 6}}, prompt: {constant: 60}, output: {constant: 200}, stop: 2m}";
    let text = world(&["initialReplicas: 1", steady, NEVER, &format!("gateway: {EPP}")]);
    let text = text.replace("opt-125m-cpu}", "opt-125m-cpu, maxNumSeqs: 8}");
    let run = try_resolve(&policy("wake", 1), &text).unwrap_or_else(|errors| panic!("{errors}"));
    let mut rows = Vec::new();
    let record = simulate_recording(&run, false, &mut |row| rows.push(row)).unwrap_or_else(|error| panic!("{error}"));
    let told = Told { record, rows };
    assert_eq!(told.series("inference_pool_ready_pods", &[]).first().map(|(_, count)| *count), Some(1.0));
    // It dispatches on what it polled last: all that it holds goes at once when the pod has fewer than 5 waiting, and the
    // next ones are held until that is so again.
    let queue: Vec<(f64, f64)> = told.series("inference_extension_flow_control_queue_size", &[]);
    let average = told.series("inference_pool_average_queue_size", &[]);
    let mut held = 0;
    for ((t, queued), (at, waiting)) in queue.iter().zip(average.iter().skip(average.len() - queue.len())) {
        assert_eq!(t, at, "one scrape shows both");
        if *queued > 0.0 {
            held += 1;
            assert!(*waiting >= 4.0, "{queued} held at {t} with {waiting} waiting");
        }
    }
    assert!(held >= 5, "{queue:?}");
}

#[test]
fn the_interceptor_counts_requests_in_flight_held_ones_included() {
    let told = told(&policy("wake", 0), &[WAKE, MINUTE, &format!("gateway: {KEDA_HTTP}")]);
    let route = [("route_name", "m-predictor"), ("route_namespace", "default")];
    let total = told.record.requests.total as f64;
    assert_eq!(told.most("interceptor_request_concurrency", &route), total);
    assert_eq!(told.last("interceptor_request_concurrency", &route), 0.0);
    let counted = [route[0], route[1], ("code", "200"), ("method", "POST")];
    assert_eq!(told.last("interceptor_request_count_total", &counted), total);
    assert_eq!(told.series("interceptor_cold_start_rejections_total", &[]), []);
}

#[test]
fn a_full_buffer_turns_away_and_keeps_what_it_has() {
    for (kind, is_503) in [("generic", false), ("epp-flow-control", false), ("keda-http", true)] {
        let gateway = format!("gateway: {{kind: {kind}, buffer: {{max: 4}}}}");
        let told = told(&policy("wake", 0), &[WAKE, MINUTE, &gateway]);
        let all = told.record.requests;
        let turned_away = all.total - 4;
        let expected = if is_503 { (turned_away, 0) } else { (0, turned_away) };
        assert_eq!((all.completed, all.failed, all.rejected), (4, turned_away, 0), "{kind}");
        assert_eq!((all.unavailable, all.error), expected, "{kind}");
        if is_503 {
            assert_eq!(told.last("interceptor_cold_start_rejections_total", &[]), turned_away as f64);
            assert_eq!(told.last("interceptor_request_count_total", &[("code", "503")]), turned_away as f64);
        }
    }
}

#[test]
fn a_request_held_for_too_long_is_answered() {
    for (kind, is_503) in [("generic", false), ("epp-flow-control", true), ("keda-http", false)] {
        let gateway = format!("gateway: {{kind: {kind}, buffer: {{timeout: 20s}}}}");
        let told = told(&policy("wake", 0), &[NEVER, MINUTE, &gateway]);
        let all = told.record.requests;
        assert_eq!((all.failed, all.timed_out, all.in_flight), (all.total, 0, 0), "{kind}");
        assert_eq!(if is_503 { all.unavailable } else { all.error }, all.total, "{kind}");
        if kind == "epp-flow-control" {
            let most = told.most("inference_extension_flow_control_queue_size", &[]);
            // Twenty seconds' worth of requests.
            assert!((4.0..20.0).contains(&most), "{most}");
            assert_eq!(told.last("inference_extension_flow_control_queue_size", &[]), 0.0);
        }
        if kind == "keda-http" {
            assert_eq!(told.last("interceptor_request_count_total", &[("code", "504")]), all.total as f64);
        }
    }
}

#[test]
fn a_client_that_gives_up_leaves_the_buffer() {
    let lines = [NEVER, MINUTE, "client: {timeout: 15s}", "gateway: {kind: keda-http, buffer: {max: 10}}"];
    let told = told(&policy("wake", 0), &lines);
    let all = told.record.requests;
    assert!(all.timed_out > 10, "more than fit at once: {all:?}");
    assert_eq!((all.timed_out + all.unavailable, all.completed), (all.total, 0));
    assert_eq!(told.last("interceptor_request_concurrency", &[]), 0.0);
}

#[test]
fn the_gateways_own_time_limits_end_a_request_on_a_pod() {
    let busy = "traffic: {arrivals: {poisson: {rate: 0.2}}, prompt: {constant: 15}, output: {constant: 200}, stop: 8m}";
    for limit in ["requestTimeout: 1s", "responseHeaderTimeout: 1ms"] {
        let gateway = format!("gateway: {{kind: generic, {limit}}}");
        let told = told(&policy("wake", 1), &["initialReplicas: 1", NEVER, busy, &gateway]);
        let all = told.record.requests;
        assert_eq!((all.failed, all.error), (all.total, all.total), "{limit}: {all:?}");
        let began = told.record.lost_after_first_token;
        assert_eq!(began, if limit.starts_with("request") { all.total } else { 0 }, "{limit}");
        assert_eq!(told.last("vllm:num_requests_running", &[]), 0.0, "{limit}: the engine dropped them");
    }
}

#[test]
fn a_pod_that_refuses_costs_a_502_unless_the_gateway_tries_again() {
    let busy = "traffic: {arrivals: {poisson: {rate: 1}}, prompt: {constant: 15}, output: {constant: 5}}";
    // The news of a pod's end arrives half a minute late.
    let late = "cluster: {endpoints: {propagation: 30s}, termination: {mode: abort}}";
    let of = |gateway: &str| {
        let lines = ["initialReplicas: 3", "duration: 20m", "router: {policy: random}", NEVER, busy, late, gateway];
        told(&policy("wake", 1), &lines).record.requests
    };
    let (alone, stack, istio) = (of("seed: 1"), of("gateway: {kind: production-stack}"), of("gateway: {kind: istio}"));
    assert!(alone.refused > 5 && alone.error == 0, "{alone:?}");
    // The same pods, the same picks: what was refused is answered.
    assert_eq!((stack.error, stack.refused, stack.killed), (alone.refused, 0, alone.killed));
    assert_eq!((istio.refused + istio.error + istio.unavailable, istio.killed), (0, alone.killed), "{istio:?}");
    let once = of("gateway: {kind: istio, retries: 0}");
    assert_eq!((once.unavailable, once.error), (alone.refused, 0));
}

#[test]
fn faults_of_scrapes_concern_pods_and_a_stopped_prometheus_everybody() {
    let lines = |fault: &'static str| ["initialReplicas: 1", NEVER, MINUTE, "gateway: {kind: keda-http}", fault];
    let loss = told(&policy("wake", 1), &lines("faults: [{scrapeLoss: {}, at: 3m, for: 2m}]"));
    let during = |told: &Told, labels: &[(&str, &str)]| -> Vec<f64> {
        let all = told.series("up", labels);
        all.iter().filter(|(t, _)| (180.0..300.0).contains(t)).map(|(_, value)| *value).collect()
    };
    assert_eq!(during(&loss, &[("job", "gateway")]), [1.0; 8]);
    assert_eq!(during(&loss, &[("endpoint", "http")]), [0.0; 8]);
    let down = told(&policy("wake", 1), &lines("faults: [{prometheusDown: {}, at: 3m, for: 2m}]"));
    assert!(during(&down, &[("job", "gateway")]).is_empty());
    let times: Vec<f64> = down.series("up", &[("job", "gateway")]).iter().map(|(t, _)| t % 15.0).collect();
    assert!(times.iter().all(|phase| (phase - times[0]).abs() < 1e-6), "it goes on in its old phase: {times:?}");
    let after = down.series("up", &[("job", "gateway")]).iter().filter(|(t, _)| *t >= 330.0).count();
    assert_eq!(after, 18, "every 15 s to the end");
}

#[test]
fn a_query_for_a_gateway_that_is_not_there_matches_nothing() {
    let query = "inference_extension_flow_control_queue_size";
    let gateways = [None, Some("gateway: {kind: generic}"), Some("gateway: {kind: istio}")];
    for gateway in gateways {
        let mut lines = vec!["initialReplicas: 1", MINUTE];
        lines.extend(gateway);
        let record = told(&policy(query, 1), &lines).record;
        let selector = &record.selectors[0];
        assert!(!selector.matched, "{gateway:?}");
        let nearest = selector.nearest.as_deref().unwrap_or_default();
        assert!(nearest.starts_with(&format!("no series is named {query}")), "{gateway:?}: {nearest}");
    }
    let record = told(&policy(query, 1), &["initialReplicas: 1", MINUTE, &format!("gateway: {EPP}")]).record;
    assert!(record.selectors[0].matched);
}

#[test]
fn a_signal_named_as_the_gateways_own_series_is_a_warning() {
    let signal = "signals: {series: [{metric: interceptor_request_concurrency, value: {constant: 1}}]}";
    let run = try_resolve(&policy("wake", 0), &world(&[signal, MINUTE, &format!("gateway: {KEDA_HTTP}")]));
    let warnings = run.unwrap_or_else(|errors| panic!("{errors}")).diagnostics.to_string();
    let expected =
        "warning: test.yaml:8:22: spec.signals.series[0]: the gateway exposes interceptor_request_concurrency too";
    assert!(warnings.contains(expected), "{warnings}");
}

#[test]
fn a_push_scaler_beside_the_add_on_is_a_warning() {
    let pushing =
        policy("wake", 0).replace("type: prometheus", "type: external-push").replace("serverAddress", "scalerAddress");
    let signal = "signals: {triggers: {\"triggers[0]\": {value: {constant: 0}, target: 10}}}";
    let of = |gateway: &str| {
        let run = try_resolve(&pushing, &world(&[signal, MINUTE, gateway]));
        run.unwrap_or_else(|errors| panic!("{errors}")).diagnostics.to_string()
    };
    let expected = "spec.triggers[0]: the interceptor's push is not modelled";
    let told = of("gateway: {kind: keda-http}");
    assert!(told.contains(&format!("warning: test.yaml:21:7: {expected}")), "{told}");
    assert!(!of("gateway: {kind: generic}").contains(expected));
}

#[test]
fn labels_replace_those_assumed_and_are_told() {
    let gateway = "gateway: {kind: epp-flow-control, labels: {inference_pool: pool-7, namespace: llm, team: red}}";
    let told = told(&policy("wake", 1), &["initialReplicas: 1", NEVER, MINUTE, gateway]);
    for name in ["inference_extension_flow_control_queue_size", "inference_pool_ready_pods"] {
        let pool = if name.contains("queue") { "inference_pool" } else { "name" };
        let labels = [(pool, "pool-7"), ("namespace", "llm"), ("team", "red"), ("job", "gateway")];
        assert!(!told.series(name, &labels).is_empty(), "{name}");
    }
}

#[test]
fn a_run_is_the_same_twice_and_its_scenario_reads_back() {
    let gateway = "gateway: {kind: keda-http, buffer: {max: 50, timeout: 4m}, requestTimeout: 9m, retries: 1}";
    let policy = policy("sum(interceptor_request_concurrency)", 0);
    let (one, two) = (told(&policy, &[MINUTE, gateway]), told(&policy, &[MINUTE, gateway]));
    assert_eq!(decisions_to_jsonl(&one.record), decisions_to_jsonl(&two.record));
    assert_eq!(one.series("interceptor_request_concurrency", &[]), two.series("interceptor_request_concurrency", &[]));
    let run = try_resolve(&policy, &world(&[MINUTE, gateway])).expect("it resolved before");
    let text = scenario_yaml(&run);
    for line in [
        "    kind: keda-http # test.yaml:9:",
        "    responseHeaderTimeout: 5m # assumed",
        "    retries: 1 # test.yaml:9:",
        "      max: 50 # test.yaml:9:",
        "      timeout: 4m # test.yaml:9:",
        "    requestTimeout: 9m # test.yaml:9:",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let again = try_resolve(&policy, &text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(again.gateway, run.gateway);
}

#[test]
fn defaults_are_those_of_the_kind() {
    let of = |gateway: &str| {
        let run = try_resolve(&policy("wake", 0), &world(&[NEVER, MINUTE, gateway])).expect("it resolves");
        run.gateway.expect("there is one")
    };
    let istio = of("gateway: {kind: istio}");
    assert_eq!((istio.retries, istio.response_header_timeout), (2, None));
    let keda = of("gateway: {kind: keda-http}");
    assert_eq!((keda.retries, keda.response_header_timeout.map(SimDuration::as_secs_f64)), (0, Some(300.0)));
    let epp = of("gateway: {kind: epp-flow-control}");
    assert_eq!((epp.retries, epp.buffer_max, epp.buffer_timeout, epp.request_timeout), (0, None, None, None));
}

#[test]
fn mistakes_are_told_with_their_place() {
    let cases = [
        ("{}", "test.yaml:9:12: spec.gateway.kind: the required field kind is missing"),
        (
            "{kind: nginx}",
            "test.yaml:9:19: spec.gateway.kind: found \"nginx\", expected one of generic, epp-flow-control, production-stack, istio, keda-http",
        ),
        ("{kind: knative}", "test.yaml:9:19: spec.gateway.kind: knative is not modelled yet"),
        (
            "{kind: istio, buffer: {max: 5}}",
            "test.yaml:9:34: spec.gateway.buffer: found buffer with kind istio, which holds no requests",
        ),
        (
            "{kind: production-stack, buffer: {}}",
            "test.yaml:9:45: spec.gateway.buffer: found buffer with kind production-stack",
        ),
        (
            "{kind: epp-flow-control, maxInFlightPerPod: 5}",
            "test.yaml:9:56: spec.gateway.maxInFlightPerPod: found maxInFlightPerPod with kind epp-flow-control, which dispatches while the pods' saturation is below 1",
        ),
        (
            "{kind: istio, responseHeaderTimeout: 5s}",
            "test.yaml:9:49: spec.gateway.responseHeaderTimeout: found responseHeaderTimeout with kind istio",
        ),
        (
            "{kind: generic, buffer: {max: 0}}",
            "test.yaml:9:42: spec.gateway.buffer.max: found the integer 0, expected an integer of at least 1",
        ),
        ("{kind: generic, buffer: {size: 5}}", "test.yaml:9:37: spec.gateway.buffer.size: unknown key"),
        ("{kind: generic, retrys: 5}", "test.yaml:9:28: spec.gateway.retrys: unknown key"),
        (
            "{kind: generic, requestTimeout: 0s}",
            "test.yaml:9:44: spec.gateway.requestTimeout: found 0, expected a duration above zero",
        ),
        (
            "{kind: generic, retries: 11}",
            "test.yaml:9:37: spec.gateway.retries: found the integer 11, expected an integer from 0 to 10",
        ),
        (
            "{kind: generic, labels: {pool: a}}",
            "test.yaml:9:43: spec.gateway.labels: found the label pool with kind generic, which exposes no metrics",
        ),
        (
            "{kind: istio, labels: {a-b: x}}",
            "test.yaml:9:40: spec.gateway.labels: found \"a-b\", expected the name of a label",
        ),
        ("istio", "test.yaml:9:12: spec.gateway: found the string"),
    ];
    let mut wrong = Vec::new();
    for (gateway, expected) in cases {
        let errors = try_resolve(&policy("wake", 0), &world(&[MINUTE, &format!("gateway: {gateway}")]));
        let errors = errors.err().unwrap_or_default();
        if !errors.contains(&format!("error: {expected}")) {
            wrong.push(format!("{gateway}\n  expected {expected}\n  got {errors}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_shipped_policy_is_woken_by_the_requests_that_wait() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/opt-125m-from-zero");
    let bundle = Bundle::load(&[Input::Path(folder)]).unwrap_or_else(|errors| panic!("{errors}"));
    let resolved = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let record = simulate(&resolved, true).unwrap_or_else(|error| panic!("{error}"));
    let all = record.requests;
    assert!(all.total > 100 && all.completed == all.total, "{all:?}");
    let scaled: Vec<(SimTime, i32, i32)> = record
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Scaled { from, to, .. } => Some((event.t, *from, *to)),
            _ => None,
        })
        .collect();
    let (woken, from, to) = scaled[0];
    assert_eq!((from, to), (0, 1), "{scaled:?}");
    // Traffic begins at 5 minutes; a scrape and a poll later, each 15 s apart, it is seen.
    let first = record.events.iter().find(|event| event.kind == EventKind::TrafficStarted).expect("there is traffic").t;
    assert!(first >= SimTime::from_secs(300) && woken > first, "{first} {woken}");
    assert!(woken.since(first).as_secs_f64() <= 30.1, "{first} {woken}");
    let poll = record.decisions.iter().find_map(|decision| match decision {
        DecisionRecord::KedaPoll(poll) if poll.t == woken => Some(poll),
        _ => None,
    });
    let metric = &poll.expect("a poll woke it").metrics[0];
    assert!(metric.trigger == "s0-prometheus" && metric.value.is_some_and(|value| value >= 1.0), "{metric:?}");
    assert_eq!(scaled.last().map(|(_, _, to)| *to), Some(0), "it goes back to zero: {scaled:?}");
    assert!(record.selectors.iter().all(|selector| selector.matched), "{:?}", record.selectors);
    // The first had to wait for the pod, and no client gave up.
    let most = record.latencies.ttft.max_seconds().expect("there were requests");
    assert!((40.0..200.0).contains(&most), "{most}");
    assert_eq!(decisions_to_jsonl(&simulate(&resolved, false).expect("it runs")), decisions_to_jsonl(&record));
}

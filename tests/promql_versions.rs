//! What differs between the releases of Prometheus that the version switch knows: each difference shows in one question.

use kedasim::manifest::Bundle;
use kedasim::prometheus::PrometheusVersion::{self, V2_42, V2_51, V2_55, V3, V3_5, V3_9};
use kedasim::prometheus::{PrometheusServer, PrometheusSettings};
use kedasim::scenario::{Overrides, resolve, scenario_yaml};
use kedasim::series::{Labels, QueryValue};
use kedasim::units::SimDuration;

const ALL: [PrometheusVersion; 6] = [V2_42, V2_51, V2_55, V3_5, V3_9, V3];

/// Samples every 15 s: `c` a counter, `x` two series with one `a`, `s` numbers whose plain sum loses the small ones.
fn answer(version: PrometheusVersion, query: &str) -> String {
    let mut server = PrometheusServer::new(PrometheusSettings {
        version,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 0,
    });
    let query = match server.compile(query) {
        Ok(query) => query,
        Err(error) => return format!("refused: {}", error.message),
    };
    let mut add = |name: &str, pairs: &[(&str, &str)], samples: &[(i64, f64)]| {
        let labels = Labels::from_pairs(pairs.iter().copied().chain([("__name__", name)]));
        server.add_recorded_series(&labels, samples);
    };
    add("c", &[], &[(30_000, 1.0), (45_000, 2.0), (60_000, 3.0)]);
    add("x", &[("a", "1"), ("b", "1")], &[(60_000, 1.0)]);
    add("x", &[("a", "1"), ("b", "2")], &[(60_000, 9.0)]);
    add("y", &[("a", "1")], &[(60_000, 5.0)]);
    for (name, value) in [("1", 1e16), ("2", 1.0), ("3", 1.0), ("4", -1e16)] {
        add("s", &[("n", name)], &[(60_000, value)]);
    }
    match server.query_recorded(query, 60_000) {
        Ok(QueryValue::Vector(elements)) => {
            elements.iter().map(|(_, value)| value.to_string()).collect::<Vec<String>>().join(" ")
        }
        Ok(other) => panic!("the questions give vectors, found {other:?}"),
        Err(error) => format!("failed: {error}"),
    }
}

/// The first version of each run of equal answers, with the answer.
fn changes(query: &str) -> Vec<(PrometheusVersion, String)> {
    let mut changes: Vec<(PrometheusVersion, String)> = Vec::new();
    for version in ALL {
        let found = answer(version, query);
        if changes.last().is_none_or(|(_, before)| *before != found) {
            changes.push((version, found));
        }
    }
    changes
}

#[test]
fn each_difference_has_its_release() {
    let cases: [(&str, &[(PrometheusVersion, &str)]); 7] = [
        ("count_over_time(c[30s])", &[(V2_42, "3"), (V3_5, "2")]),
        // 30 s to the window's start are more than 1.1 intervals, and 15 s are as far as zero is.
        ("increase(c[60s])", &[(V2_42, "3"), (V2_51, "2.5")]),
        ("sum(s)", &[(V2_42, "0"), (V2_55, "2")]),
        ("y > on(a) (x < 3)", &[(V2_42, "5")]),
        ("x > on(a) y", &[(V2_42, "9"), (V3_9, "failed: multiple matches for labels")]),
        ("first_over_time(c[1m])", &[(V2_42, "refused: found \"first_over_time\""), (V3, "1")]),
        ("count_over_time(c[10s+10s])", &[(V2_42, "refused: found arithmetic in a duration"), (V3, "2")]),
    ];
    for (query, expected) in cases {
        let found = changes(query);
        assert_eq!(found.len(), expected.len(), "{query}: {found:?}");
        for ((version, answer), (wanted_version, wanted)) in found.iter().zip(expected) {
            assert_eq!(version, wanted_version, "{query}: {found:?}");
            assert!(answer.starts_with(wanted), "{query} in {version:?}: {answer}");
        }
    }
}

const DOCUMENTS: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: opt-125m-predictor}
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {serverAddress: "http://prometheus:9090", query: sum(vllm:num_requests_running), threshold: "5"}
---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: opt-125m
  annotations: {serving.kserve.io/autoscalerClass: external}
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
  duration: 10m
  traffic: {arrivals: {poisson: {rate: 0.1}}, prompt: {constant: 15}, output: {constant: 100}}
  prometheus: {version: "VERSION"}
"#;

#[test]
fn a_scenario_chooses_the_release() {
    for (text, version) in [
        ("2.42", V2_42),
        ("2.50.1", V2_42),
        ("2.51", V2_51),
        ("2.54", V2_51),
        ("2.55.1", V2_55),
        ("3.0", V3_5),
        ("3.5", V3_5),
        ("3.8.1", V3_5),
        ("3.9", V3_9),
        ("3.13.3", V3_9),
        ("3.14", V3),
        ("3.20", V3),
        ("3", V3), // The newest one.
    ] {
        let bundle = Bundle::from_text(&DOCUMENTS.replace("VERSION", text), "p.yaml").expect("the YAML is well formed");
        let run = resolve(&bundle, &Overrides::default()).expect(text);
        assert_eq!(run.monitoring.server.version, version, "{text}");
        // What is shown chooses the same one again.
        let (policy, _) = DOCUMENTS.rsplit_once("---").expect("the Scenario comes last");
        let shown = format!("{policy}---\n{}", scenario_yaml(&run));
        let again = Bundle::from_text(&shown, "shown.yaml").expect("what is shown is YAML");
        let run = resolve(&again, &Overrides::default()).expect("what is shown resolves");
        assert_eq!(run.monitoring.server.version, version, "{text}: {shown}");
    }
    for text in ["2", "1.8", "4"] {
        let bundle = Bundle::from_text(&DOCUMENTS.replace("VERSION", text), "p.yaml").expect("the YAML is well formed");
        assert!(resolve(&bundle, &Overrides::default()).is_err(), "{text}");
    }
}

//! The scale target and the monitors of its pods: what is found, what selects nothing, and what that does to a run.

use kedasim::analysis::summarize;
use kedasim::manifest::Bundle;
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so, namespace: llm}
spec:
  scaleTargetRef: {name: opt-125m-predictor}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        query: sum(vllm:num_requests_running{model_name="opt-125m"})
        threshold: "1"
"#;

const SERVICE: &str = r#"
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: opt-125m
  namespace: llm
  labels: {team: blue}
  annotations: {serving.kserve.io/autoscalerClass: external}
spec:
  predictor:
    model:
      modelFormat: {name: huggingface}
      args: [--model_name=opt-125m, --model_id=facebook/opt-125m, --max-model-len=512]
      ports: [{name: http, containerPort: 8080}]
      resources:
        limits: {cpu: "4"}
"#;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: opt-125m-predictor, namespace: llm}
spec:
  template:
    metadata: {labels: {app: llm}}
    spec:
      containers:
        - name: vllm
          args: [--served-model-name=opt-125m, --model=facebook/opt-125m, --max-model-len=512]
          ports: [{name: metrics, containerPort: 8000}]
          readinessProbe: {periodSeconds: 5}
          resources: {limits: {cpu: "4"}}
"#;

const SCENARIO: &str = r"
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: sc}
spec:
  duration: 10m
  traffic: {arrivals: {poisson: {rate: 0.5}}, prompt: {constant: 15}, output: {constant: 100}}
";

fn monitor(kind: &str, namespace: &str, spec: &str) -> String {
    let endpoints = if kind == "PodMonitor" { "podMetricsEndpoints" } else { "endpoints" };
    let spec = spec.replace("endpoints", endpoints);
    format!(
        "apiVersion: monitoring.coreos.com/v1\nkind: {kind}\nmetadata: {{name: m, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

fn run_of(texts: &[&str]) -> ResolvedRun {
    let bundle = Bundle::from_text(&texts.join("\n---\n"), "p.yaml").expect("the test's YAML is well formed");
    resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("does not resolve:\n{found}"))
}

#[test]
fn a_monitor_scrapes_what_it_selects() {
    const KSERVE: &str = "serving.kserve.io/inferenceservice: opt-125m";
    // (workload, kind, namespace, spec, part of the warning; "" when the pods are scraped)
    let cases: &[(&str, &str, &str, &str, &str)] = &[
        (SERVICE, "PodMonitor", "llm", "{selector: {matchLabels: {KSERVE}}, endpoints: [{port: http}]}", ""),
        (
            SERVICE,
            "PodMonitor",
            "llm",
            "{selector: {matchLabels: {team: blue, component: predictor}}, endpoints: [{port: http}]}",
            "",
        ),
        (SERVICE, "PodMonitor", "llm", "{selector: {}, endpoints: [{portNumber: 8080}]}", ""),
        (
            SERVICE,
            "PodMonitor",
            "llm",
            "{selector: {matchLabels: {app: opt-125m}}, endpoints: [{port: http}]}",
            "found app: isvc.opt-125m-predictor",
        ),
        (
            SERVICE,
            "PodMonitor",
            "llm",
            "{selector: {matchLabels: {KSERVE}}, endpoints: [{port: metrics}]}",
            "have http (8080)",
        ),
        (
            SERVICE,
            "PodMonitor",
            "mon",
            "{selector: {matchLabels: {KSERVE}}, endpoints: [{port: http}]}",
            "its own namespace \"mon\"",
        ),
        (SERVICE, "PodMonitor", "mon", "{namespaceSelector: {any: true}, selector: {}, endpoints: [{port: http}]}", ""),
        (
            SERVICE,
            "PodMonitor",
            "mon",
            "{namespaceSelector: {matchNames: [a, llm]}, selector: {}, endpoints: [{port: http}]}",
            "",
        ),
        (
            SERVICE,
            "PodMonitor",
            "llm",
            "{namespaceSelector: {matchNames: [a]}, selector: {}, endpoints: [{port: http}]}",
            "names a, the pods are in \"llm\"",
        ),
        (
            SERVICE,
            "PodMonitor",
            "llm",
            "{selector: {matchExpressions: [{key: team, operator: In, values: [red]}]}, endpoints: [{port: http}]}",
            "asks for team In [red], found team: blue",
        ),
        (
            SERVICE,
            "PodMonitor",
            "llm",
            "{selector: {matchExpressions: [{key: team, operator: Exists}]}, endpoints: [{port: http}]}",
            "",
        ),
        (
            SERVICE,
            "ServiceMonitor",
            "llm",
            "{selector: {matchLabels: {app: web}}, endpoints: [{port: any}]}",
            "labels of the Service",
        ),
        (DEPLOYMENT, "ServiceMonitor", "llm", "{selector: {matchLabels: {app: web}}, endpoints: [{port: any}]}", ""),
        (DEPLOYMENT, "PodMonitor", "llm", "{selector: {matchLabels: {app: llm}}, endpoints: [{port: metrics}]}", ""),
        (
            DEPLOYMENT,
            "PodMonitor",
            "llm",
            "{selector: {matchLabels: {KSERVE}}, endpoints: [{port: metrics}]}",
            "found no such label",
        ),
    ];
    for (workload, kind, namespace, spec, part) in cases {
        let monitor = monitor(kind, namespace, &spec.replace("KSERVE", KSERVE));
        let run = run_of(&[SCALED_OBJECT, workload, SCENARIO, &monitor]);
        let told = run.diagnostics.to_string();
        assert_eq!(run.monitoring.scraped, part.is_empty(), "{kind} {spec}: {told}");
        assert_eq!(told.contains("selects nothing"), !part.is_empty(), "{kind} {spec}: {told}");
        assert!(told.contains(part), "{kind} {spec}: {told}");
        assert!(part.is_empty() || told.contains("warning: p.yaml:"), "{told}");
    }
    assert!(run_of(&[SCALED_OBJECT, SERVICE, SCENARIO]).monitoring.scraped, "without a monitor there is one elsewhere");
}

#[test]
fn the_monitor_that_selects_is_the_one_that_counts() {
    let good = monitor("PodMonitor", "llm", "{selector: {}, endpoints: [{port: http, interval: 20s}]}");
    let lost = monitor("PodMonitor", "llm", "{selector: {matchLabels: {a: b}}, endpoints: [{interval: 7s}]}");
    let run = run_of(&[SCALED_OBJECT, SERVICE, SCENARIO, &lost, &good]);
    assert!(run.monitoring.scraped && run.diagnostics.0.is_empty(), "{}", run.diagnostics);
    assert_eq!(run.monitoring.scrape.interval.to_string(), "20s");
}

#[test]
fn pods_that_nothing_scrapes_are_never_scaled_up() {
    let ups = |selector: &str| {
        let monitor = monitor("PodMonitor", "llm", &format!("{{selector: {selector}, endpoints: [{{port: http}}]}}"));
        let run = run_of(&[SCALED_OBJECT, SERVICE, SCENARIO, &monitor]);
        let record = simulate(&run, true).unwrap_or_else(|error| panic!("{error}"));
        summarize(&record, &run.analysis).replicas_max
    };
    assert!(ups("{}") > 1);
    assert_eq!(ups("{matchLabels: {app: other}}"), 1);
}

#[test]
fn a_target_in_another_namespace_is_told() {
    let elsewhere = SCALED_OBJECT.replace("namespace: llm", "namespace: keda");
    let run = run_of(&[&elsewhere, SERVICE, SCENARIO]);
    let told = run.diagnostics.to_string();
    let expected =
        "InferenceService opt-125m is in namespace \"llm\", the ScaledObject in \"keda\": KEDA would not find";
    assert!(told.contains(expected) && told.contains("p.yaml:"), "{told}");
    assert_eq!(run.engine.model_name, "opt-125m", "the run goes on with it");
    assert!(run_of(&[SCALED_OBJECT, SERVICE, SCENARIO]).diagnostics.0.is_empty());
}

#[test]
fn a_target_that_is_not_there_is_told() {
    let named = SCENARIO.replace("  duration", "  replica: {profile: opt-125m-cpu}\n  duration");
    let lost = SCALED_OBJECT.replace("opt-125m-predictor", "foo");
    let run = run_of(&[&lost, SERVICE, &named]);
    let told = run.diagnostics.to_string();
    assert!(
        told.contains("p.yaml:6:26: spec.scaleTargetRef.name: target Deployment foo is none of opt-125m-predictor"),
        "{told}"
    );
    assert!(run_of(&[&lost, &named]).diagnostics.0.is_empty(), "without any workload there is nothing to compare with");
}

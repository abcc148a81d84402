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
        assert_eq!(!run.monitoring.pools.is_empty(), part.is_empty(), "{kind} {spec}: {told}");
        assert_eq!(told.contains("selects nothing"), !part.is_empty(), "{kind} {spec}: {told}");
        assert!(told.contains(part), "{kind} {spec}: {told}");
        assert!(part.is_empty() || told.contains("warning: p.yaml:"), "{told}");
    }
    assert!(
        run_of(&[SCALED_OBJECT, SERVICE, SCENARIO]).monitoring.pools.len() == 1,
        "without a monitor there is one elsewhere"
    );
}

#[test]
fn the_monitor_that_selects_is_the_one_that_counts() {
    let good = monitor("PodMonitor", "llm", "{selector: {}, endpoints: [{port: http, interval: 20s}]}");
    let lost = monitor("PodMonitor", "llm", "{selector: {matchLabels: {a: b}}, endpoints: [{interval: 7s}]}");
    let run = run_of(&[SCALED_OBJECT, SERVICE, SCENARIO, &lost, &good]);
    assert!(!run.monitoring.pools.is_empty() && run.diagnostics.0.is_empty(), "{}", run.diagnostics);
    assert_eq!(run.monitoring.pools[0].scrape.interval.to_string(), "20s");
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

/// A Scenario that names the profile, for targets whose model points at none.
fn named_scenario() -> String {
    SCENARIO.replace("  duration", "  replica: {profile: opt-125m-cpu}\n  duration")
}

fn refused(texts: &[&str]) -> String {
    let bundle = Bundle::from_text(&texts.join("\n---\n"), "p.yaml").expect("the test's YAML is well formed");
    resolve(&bundle, &Overrides::default()).expect_err("refused").to_string()
}

#[test]
fn an_absent_namespace_is_the_other_sides() {
    let bare = |text: &str| text.replace("  namespace: llm\n", "").replace(", namespace: llm", "");
    let default = |text: &str| text.replace("namespace: llm", "namespace: default");
    // (ScaledObject, workload, part of what is told or "", namespace of the pods)
    let cases = [
        (SCALED_OBJECT.to_owned(), SERVICE.to_owned(), "", "llm"),
        (bare(SCALED_OBJECT), bare(SERVICE), "", "default"),
        (bare(SCALED_OBJECT), default(SERVICE), "", "default"), // Kubernetes' own default.
        (default(SCALED_OBJECT), bare(SERVICE), "", "default"),
        (
            SCALED_OBJECT.to_owned(),
            bare(SERVICE),
            "note: p.yaml:18:1: metadata.namespace: InferenceService opt-125m has no namespace: taken to be in \"llm\"",
            "llm",
        ),
        (
            bare(SCALED_OBJECT),
            SERVICE.to_owned(),
            "note: p.yaml:2:1: metadata.namespace: no namespace is written: taken to be \"llm\", where its scale target",
            "llm",
        ),
        (
            default(SCALED_OBJECT),
            SERVICE.to_owned(),
            "warning: p.yaml:22:14: metadata.namespace: InferenceService opt-125m is in namespace \"llm\", the ScaledObject in \"default\"",
            "llm",
        ),
    ];
    for (object, workload, part, namespace) in cases {
        let run = run_of(&[&object, &workload, SCENARIO]);
        let told = run.diagnostics.to_string();
        assert_eq!(told.is_empty(), part.is_empty(), "{told}");
        assert!(told.contains(part), "{part} is not in: {told}");
        let of_pods = run.monitoring.pools[0].labels.iter().find(|(name, _)| name == "namespace");
        assert_eq!(of_pods.map(|(_, value)| value.as_str()), Some(namespace), "{told}");
    }
    // Where several fit alike, none is taken.
    let (one, other) = (SERVICE.to_owned(), SERVICE.replace("namespace: llm", "namespace: web"));
    let told = refused(&[&bare(SCALED_OBJECT), &one, &other, SCENARIO]);
    assert!(told.contains("a workload of the target's name is in \"llm\" and in \"web\""), "{told}");
    let run = run_of(&[SCALED_OBJECT, &other, &one, SCENARIO]);
    assert!(run.diagnostics.0.is_empty(), "the one of the ScaledObject's namespace: {}", run.diagnostics);
}

const LLM: &str = r#"
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: opt, namespace: llm}
spec:
  model: {uri: "hf://facebook/opt-125m", name: served}
  scaling:
    minReplicas: 1
    maxReplicas: 3
    keda:
      triggers:
        - type: prometheus
          metadata: {serverAddress: "http://p", query: "sum(vllm:num_requests_running)", threshold: "1"}
  template:
    terminationGracePeriodSeconds: 77
    containers:
      - name: main
        env: [{name: VLLM_ADDITIONAL_ARGS, value: "--max-model-len 512 --max-num-seqs=7"}]
        resources: {limits: {cpu: "4"}}
"#;

#[test]
fn an_llm_inference_service_is_policy_and_workload() {
    let run = run_of(&[LLM, SCENARIO]);
    assert_eq!((run.policy.as_str(), run.target.name.as_str()), ("opt-kserve-keda", "opt-kserve"));
    assert_eq!((run.kubernetes.hpa.min_replicas, run.kubernetes.hpa.max_replicas), (1, 3));
    assert_eq!(run.engine.model_name, "served");
    assert_eq!((run.engine.max_model_len, run.engine.max_num_seqs), (512, 7));
    assert_eq!(run.cluster.termination.grace.to_string(), "1m17s");
    let told = run.diagnostics.to_string();
    assert_eq!(
        told,
        "note: p.yaml:4:18: KServe generates ScaledObject opt-kserve-keda (min 1, max 3, trigger prometheus)"
    );
    let container = run.monitoring.pools[0].labels.iter().find(|(name, _)| name == "container");
    assert_eq!(container.map(|(_, value)| value.as_str()), Some("main"));
    // Its pods carry KServe's labels.
    let selector = "{selector: {matchLabels: {app.kubernetes.io/name: opt, llm-d.ai/role: both}}, endpoints: [{}]}";
    let run = run_of(&[LLM, SCENARIO, &monitor("PodMonitor", "llm", selector)]);
    assert!(!run.monitoring.pools.is_empty(), "{}", run.diagnostics);
    // Without spec.model.name it serves under its own.
    assert_eq!(run_of(&[&LLM.replace(", name: served", ""), SCENARIO]).engine.model_name, "opt");
}

#[test]
fn a_policy_beside_kserves_own_is_told() {
    let object = SCALED_OBJECT.replace("opt-125m-predictor", "opt-kserve");
    let run = run_of(&[&object, LLM, SCENARIO]);
    assert_eq!((run.policy.as_str(), run.engine.model_name.as_str()), ("so", "served"));
    let told = run.diagnostics.to_string();
    assert!(told.contains("spec.scaling: KServe creates an autoscaler of its own for the same target"), "{told}");
    let run = run_of(&[&object, &LLM.replace("  scaling:", "  other:"), SCENARIO]);
    assert!(!run.diagnostics.to_string().contains("of its own"), "{}", run.diagnostics);
}

#[test]
fn prefill_is_a_target_of_its_own() {
    let split = LLM.replace(
        "  scaling:",
        "  prefill: {template: {containers: [{name: main, args: [--max-num-seqs=3]}]}}\n  scaling:",
    );
    let object = SCALED_OBJECT.replace("opt-125m-predictor", "opt-kserve-prefill");
    let run = run_of(&[&object, &split, &named_scenario()]);
    assert_eq!(run.engine.max_num_seqs, 3);
    let told = run.diagnostics.to_string();
    assert!(told.contains("spec.prefill: LLMInferenceService opt splits prefill and decode"), "{told}");
    assert!(!told.contains("of its own"), "only decode has scaling: {told}");
}

#[test]
fn gpus_of_an_llm_inference_service_count_every_part_of_the_model() {
    let gpus = |lines: &str, limits: &str| {
        let text = LLM.replace("  template:", &format!("{lines}  template:")).replace("limits: {cpu: \"4\"}", limits);
        // With workers KServe makes a group of pods.
        let run = run_of(&[&text, &named_scenario()]);
        (run.gpus_per_replica, run.diagnostics.to_string())
    };
    let one = "limits: {nvidia.com/gpu: 1}";
    assert_eq!(gpus("", one).0, 1);
    assert_eq!(gpus("  parallelism: {tensor: 4}\n", "").0, 4);
    assert_eq!(gpus("  parallelism: {tensor: 2, data: 4, dataLocal: 2}\n", "").0, 16 / 2);
    let (count, told) = gpus("  worker: {}\n  parallelism: {tensor: 8, pipeline: 2}\n", "limits: {nvidia.com/gpu: 8}");
    assert_eq!(count, 16);
    assert!(!told.contains("tensor x pipeline x data"), "{told}");
    let (count, told) = gpus("  parallelism: {tensor: 4}\n", one);
    assert_eq!(count, 1);
    assert!(told.contains("its 1 pods ask for 1 GPUs, tensor x pipeline x data parallelism is 4"), "{told}");
    assert!(told.contains("--tensor-parallel-size 4 is not used"), "KServe puts it on the command line: {told}");
    let (count, _) =
        gpus("  worker: {}\n  parallelism: {tensor: 1, data: 16, dataLocal: 8}\n", "limits: {nvidia.com/gpu: 8}");
    assert_eq!(count, 16);
}

#[test]
fn the_kind_of_the_target_decides_what_is_read_and_told() {
    let object = |kind: &str| {
        SCALED_OBJECT.replace("{name: opt-125m-predictor}", &format!("{{kind: {kind}, name: opt-125m-predictor}}"))
    };
    let set = DEPLOYMENT.replace("kind: Deployment", "kind: StatefulSet");
    let group = DEPLOYMENT
        .replace("apps/v1", "leaderworkerset.x-k8s.io/v1")
        .replace("kind: Deployment", "kind: LeaderWorkerSet")
        .replace("spec:\n  template:", "spec:\n  leaderWorkerTemplate:\n   size: 4\n   workerTemplate:");
    assert_eq!(run_of(&[&object("Deployment"), DEPLOYMENT, SCENARIO]).diagnostics.to_string(), "");
    let told = run_of(&[&object("StatefulSet"), &set, SCENARIO]).diagnostics.to_string();
    assert!(
        told.starts_with(
            "warning: p.yaml:6:26: spec.scaleTargetRef.kind: target-kind: the pods of StatefulSet opt-125m-predictor"
        ),
        "{told}"
    );
    assert!(told.contains("ordered creation and removal") && !told.contains('\n'), "{told}");
    let grouped = object("LeaderWorkerSet").replace("{kind:", "{apiVersion: leaderworkerset.x-k8s.io/v1, kind:");
    let run = run_of(&[&grouped, &group, SCENARIO]);
    let told = run.diagnostics.to_string();
    assert!(told.contains("target-kind: ") && told.contains("a group of pods"), "{told}");
    assert_eq!(run.engine.max_model_len, 512, "its engine arguments are read");
    // Of another kind nothing is read, and nothing is missed.
    let foreign = object("InferenceSet").replace("{kind:", "{apiVersion: kaito.sh/v1beta1, kind:");
    let told = run_of(&[&foreign, DEPLOYMENT, &named_scenario()]).diagnostics.to_string();
    assert!(
        told.contains("target-kind: the pods of InferenceSet") && told.contains("nothing is read from it"),
        "{told}"
    );
    assert!(!told.contains("is none of"), "{told}");
    // A workload of another kind is not the target.
    let told = run_of(&[&object("StatefulSet"), DEPLOYMENT, &named_scenario()]).diagnostics.to_string();
    assert!(told.contains("target StatefulSet opt-125m-predictor is none of Deployment opt-125m-predictor"), "{told}");
}

#[test]
fn gpus_of_a_group_are_those_of_all_its_pods() {
    let group = |templates: &str| {
        let text = format!(
            "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\nmetadata: {{name: x}}\nspec: {{leaderWorkerTemplate: {{{templates}}}}}\n"
        );
        let bundle = Bundle::from_text(&text, "t").expect("valid YAML");
        let mut diagnostics = kedasim::units::Diagnostics::new();
        let read = kedasim::manifest::Deployment::read(&bundle.documents[0], &mut diagnostics).expect("readable");
        assert!(diagnostics.0.is_empty(), "{diagnostics}");
        read.template.gpus.map(|gpus| gpus.value)
    };
    let template = |key: &str, gpus: u32| {
        format!("{key}: {{spec: {{containers: [{{name: a, resources: {{limits: {{nvidia.com/gpu: {gpus}}}}}}}]}}}}")
    };
    assert_eq!(group(&format!("size: 4, {}", template("workerTemplate", 8))), Some(32));
    let both = format!("{}, {}", template("leaderTemplate", 1), template("workerTemplate", 8));
    assert_eq!(group(&format!("size: 3, {both}")), Some(17));
    assert_eq!(group(&both), Some(1), "a size that is not written is 1");
    assert_eq!(group("workerTemplate: {spec: {containers: [{name: a}]}}"), None);
}

#[test]
fn what_is_typed_into_a_triggers_metadata_must_mean_something() {
    let set = |path: &str| {
        let mut bundle =
            Bundle::from_text(&[SCALED_OBJECT, SERVICE, SCENARIO].join("\n---\n"), "p.yaml").expect("valid");
        bundle.set_text(path, "5").expect("the path leads somewhere");
        resolve(&bundle, &Overrides::default())
            .map(|run| run.diagnostics.to_string())
            .map_err(|found| found.to_string())
    };
    let told = set("spec.triggers[0].metadata.treshold").expect_err("a slip of the pen");
    let expected = "error: --set: spec.triggers[0].metadata.treshold: unknown key \"treshold\" is ignored by KEDA\n  help: did \
                    you mean threshold?";
    assert_eq!(told, expected);
    assert!(set("spec.triggers[0].metadata.metricType").expect_err("ignored").contains("beside metadata"));
    for known in ["threshold", "activationThreshold"] {
        assert_eq!(set(&format!("spec.triggers[0].metadata.{known}")), Ok(String::new()), "{known}");
    }
    // In a file it is only a warning, and one that stands there may be set.
    let text = SCALED_OBJECT.replace("threshold: \"1\"", "threshold: \"1\"\n        treshold: \"2\"");
    let mut bundle = Bundle::from_text(&[&text, SERVICE, SCENARIO].join("\n---\n"), "p.yaml").expect("valid");
    bundle.set_text("spec.triggers[0].metadata.treshold", "5").expect("set");
    let told = resolve(&bundle, &Overrides::default()).expect("it stands in the file").diagnostics.to_string();
    assert!(told.starts_with("warning: p.yaml:15:9: "), "{told}");
}

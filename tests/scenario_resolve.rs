//! From documents to a run: what is chosen, from where, and what is told.

use kedasim::cluster::{DurationDistribution, RouterPolicy, TerminationMode};
use kedasim::manifest::{Bundle, Input, Value};
use kedasim::scenario::{
    GateLimit, Overrides, ResolvedRun, attach_profile, attach_traffic, read_scenario, replace_scenario, resolve,
    scenario_yaml,
};
use kedasim::traffic::{Arrivals, TrafficSource};
use kedasim::units::{Seed, SimDuration, SimTime};
use std::path::{Path, PathBuf};

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: opt-125m-predictor}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metricType: AverageValue
      metadata:
        serverAddress: http://prometheus:9090
        query: sum(rate(vllm:generation_tokens_total{model_name="opt-125m"}[2m]))
        threshold: "5"
"#;

const SERVICE: &str = r#"
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
      resources:
        limits: {cpu: "4"}
"#;

const SCENARIO: &str = r"
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: sc}
spec:
  duration: 10m
  traffic:
    arrivals: {poisson: {rate: 0.1}}
    prompt: {constant: 15}
    output: {constant: 100}
";

fn bundle(texts: &[&str]) -> Bundle {
    Bundle::from_text(&texts.join("\n---\n"), "p.yaml").expect("the test's YAML is well formed")
}

fn resolved(texts: &[&str]) -> ResolvedRun {
    resolve(&bundle(texts), &Overrides::default()).unwrap_or_else(|found| panic!("does not resolve:\n{found}"))
}

fn refused(texts: &[&str], overrides: &Overrides) -> String {
    resolve(&bundle(texts), overrides).expect_err("must not resolve").to_string()
}

fn scenario_with(spec: &str) -> String {
    let body: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!("{SCENARIO}{body}")
}

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn a_lone_policy_gets_its_engine_from_the_inference_service() {
    let run = resolved(&[SCALED_OBJECT, SERVICE, SCENARIO]);
    assert_eq!((run.policy.as_str(), run.scenario.as_str(), run.profile.as_str()), ("so", "sc", "opt-125m-cpu"));
    assert_eq!((run.engine.model_name.as_str(), run.engine.max_model_len), ("opt-125m", 512));
    assert_eq!((run.gpus_per_replica, run.initial_replicas, run.duration), (0, 1, Some(SimDuration::from_secs(600))));
    // Fitted to the demo of 2025: synchronous scheduling.
    assert!(!run.engine.async_scheduling && !run.engine.reserve_full_prompt);
    // 58,240 tokens in blocks of 16, less the null block.
    assert_eq!(run.engine.kv_blocks, 58_240 / 16 - 1);
    assert_eq!(run.cluster.termination.mode, TerminationMode::Drain(SimDuration::from_secs(30)));
    assert_eq!(run.monitoring.pools[0].scrape.interval, SimDuration::from_secs(15));
    let labels: Vec<(&str, &str)> =
        run.monitoring.pools[0].labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert!(labels.contains(&("namespace", "default")) && labels.contains(&("container", "kserve-container")));
}

#[test]
fn what_nobody_gave_is_told_once() {
    let run = resolved(&[SCALED_OBJECT, SERVICE, SCENARIO]);
    for path in [
        "spec.seed",
        "spec.replica.profile",
        "spec.replica.vllmVersion",
        "spec.prometheus.scrapeInterval",
        "spec.cluster.preset",
        "spec.router.policy",
        "spec.client.timeout",
        "spec.kubernetes.version",
        "spec.kubernetes.syncLatency",
        "spec.keda.version",
        "spec.initialReplicas",
    ] {
        let times = run.assumptions.iter().filter(|assumption| assumption.path == path).count();
        assert_eq!(times, 1, "{path} is told once");
    }
    assert!(run.assumptions.iter().all(|assumption| !assumption.why.is_empty()));
    let given = resolved(&[SCALED_OBJECT, SERVICE, &scenario_with("seed: 4\nrouter: {policy: round-robin}")]);
    assert!(!given.assumptions.iter().any(|assumption| assumption.path == "spec.seed"), "a given value is not assumed");
    assert_eq!(given.router, RouterPolicy::RoundRobin);
}

#[test]
fn the_scenario_goes_before_the_manifest_and_the_command_line_before_both() {
    let monitor = "
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: pm, namespace: mon}
spec:
  selector: {}
  namespaceSelector: {any: true}
  podMetricsEndpoints: [{port: web, interval: 20s}]
";
    let run = resolved(&[SCALED_OBJECT, SERVICE, SCENARIO, monitor]);
    assert_eq!(run.monitoring.pools[0].scrape.interval, SimDuration::from_secs(20));
    assert_eq!(run.monitoring.pools[0].scrape.timeout, SimDuration::from_secs(10));
    assert!(run.monitoring.pools[0].labels.contains(&("job".to_owned(), "mon/pm".to_owned())));
    assert!(run.monitoring.pools[0].labels.contains(&("endpoint".to_owned(), "web".to_owned())));
    let spec = "seed: 4\nprometheus: {scrapeInterval: 5s}\nreplica: {maxModelLen: 256, kvBlocks: 101}\ngates: {flapsPerHour: 1, gpuHours: 2}";
    let bundle = bundle(&[SCALED_OBJECT, SERVICE, &scenario_with(spec), monitor]);
    let overrides = Overrides {
        seed: Some(Seed(9)),
        duration: Some(SimDuration::from_secs(60)),
        fixed_replicas: Some(2),
        gates: vec![GateLimit { name: "flapsPerHour".to_owned(), limit: 5.0 }],
        ..Overrides::default()
    };
    let run = resolve(&bundle, &overrides).expect("resolves");
    assert_eq!(run.monitoring.pools[0].scrape.interval, SimDuration::from_secs(5));
    assert_eq!(run.monitoring.pools[0].scrape.timeout, SimDuration::from_secs(5), "never above the interval");
    assert_eq!((run.engine.max_model_len, run.engine.kv_blocks), (256, 100));
    assert_eq!((run.seed, run.duration), (Seed(9), Some(SimDuration::from_secs(60))));
    assert!(run.fixed_replicas && run.initial_replicas == 2);
    let gates: Vec<(&str, f64)> = run.analysis.gates.iter().map(|gate| (gate.name.as_str(), gate.limit)).collect();
    assert_eq!(gates, [("flapsPerHour", 5.0), ("gpuHours", 2.0)]);
}

#[test]
fn mistakes_on_the_way_to_a_run_say_what_to_do() {
    let other = SCALED_OBJECT.replace("name: so", "name: other");
    let none = Overrides::default();
    let named = |name: &str| Overrides { name: Some(name.to_owned()), ..Overrides::default() };
    let profiled = |name: &str| Overrides { profile: Some(name.to_owned()), ..Overrides::default() };
    let bare = SCENARIO.split("  traffic:").next().expect("split gives a first part");
    let gpu = SERVICE
        .replace("{cpu: \"4\"}", "{nvidia.com/gpu: \"1\"}")
        .replace("facebook/opt-125m", "meta-llama/Llama-3.1-8B-Instruct");
    let unknown = SERVICE.replace("facebook/opt-125m", "acme/secret");
    let broken = SERVICE.replace("--max-model-len=512", "--max-model-len=$(LEN)");
    let small = scenario_with("replica: {kvTokens: 100}");
    let slow = scenario_with("prometheus: {scrapeInterval: 5s, scrapeTimeout: 6s}");
    let long = scenario_with("warmup: 20m");
    let packed = scenario_with("cluster: {nodes: {gpusPerNode: 8}}");
    let cases: [(&[&str], Overrides, &[&str]); 14] = [
        (&[SERVICE, SCENARIO], none.clone(), &["no ScaledObject", "InferenceService"]),
        (&[SCALED_OBJECT, &other, SERVICE, SCENARIO], none.clone(), &["so (p.yaml:2:1)", "other (p.yaml:", "--name"]),
        (&[SCALED_OBJECT, SERVICE, SCENARIO], named("nope"), &["nope", "so (p.yaml:2:1)"]),
        (&[SCALED_OBJECT, SERVICE, bare], none.clone(), &["no traffic given", "--traffic traces/"]),
        (&[SCALED_OBJECT, SERVICE, SCENARIO, SCENARIO], none.clone(), &["2 Scenarios", "--scenario"]),
        (&[SCALED_OBJECT, &gpu, SCENARIO], none.clone(), &["llama-3.1-8b-h100", "llama-3.1-8b-a100", "--profile"]),
        (&[SCALED_OBJECT, &unknown, SCENARIO], none.clone(), &["acme/secret", "opt-125m-cpu", "--profile"]),
        (&[SCALED_OBJECT, SERVICE, SCENARIO], profiled("opt"), &["\"opt\"", "opt-125m-cpu"]),
        (&[SCALED_OBJECT, &broken, SCENARIO], none.clone(), &["--max-model-len", "$(LEN)", "p.yaml:"]),
        (&[SCALED_OBJECT, SERVICE, &small], none.clone(), &["cannot hold one request of 512", "kvTokens"]),
        (&[SCALED_OBJECT, SERVICE, &slow], none.clone(), &["scrapeTimeout", "at most the interval"]),
        (&[SCALED_OBJECT, SERVICE, &long], none.clone(), &["warm-up", "shorter"]),
        (&[SCALED_OBJECT, SERVICE, &packed], none.clone(), &["gpusPerNode", "at least one replica"]),
        (&[SCALED_OBJECT, SCENARIO], none.clone(), &["no profile given", "opt-125m-cpu"]),
    ];
    for (texts, overrides, parts) in cases {
        let told = refused(texts, &overrides);
        for part in parts {
            assert!(told.contains(part), "{part:?} is missing in\n{told}");
        }
    }
}

#[test]
fn a_broken_argument_that_the_scenario_overrides_does_not_matter() {
    let broken = SERVICE.replace("--max-model-len=512", "--max-model-len=$(LEN)");
    let run = resolved(&[SCALED_OBJECT, &broken, &scenario_with("replica: {maxModelLen: 300}")]);
    assert_eq!(run.engine.max_model_len, 300);
}

#[test]
fn name_chooses_among_several_policies() {
    let other = SCALED_OBJECT.replace("name: so", "name: other");
    let bundle = bundle(&[SCALED_OBJECT, &other, SERVICE, SCENARIO]);
    let overrides = Overrides { name: Some("other".to_owned()), ..Overrides::default() };
    assert_eq!(resolve(&bundle, &overrides).expect("resolves").policy, "other");
}

#[test]
fn a_plain_deployment_of_vllm_cuts_its_requests() {
    let deployment = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: llm}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: 45
      containers:
        - {name: proxy}
        - name: vllm
          command: [vllm, serve, meta-llama/Llama-3.1-8B-Instruct]
          args: [--served-model-name, chat, --max-num-seqs, "64", --max-model-len, 8k]
          resources: {limits: {nvidia.com/gpu: 1}}
"#;
    let policy = SCALED_OBJECT.replace("opt-125m-predictor", "llm");
    let spec = "replica: {profile: llama-3.1-8b-h100}\ncluster: {termination: {preStop: 5s}, startup: {graphs: 3s}, nodes: {gpusPerNode: 8}}";
    let run = resolved(&[&policy, deployment, &scenario_with(spec)]);
    assert_eq!(run.cluster.termination.mode, TerminationMode::Abort);
    assert_eq!(run.cluster.termination.grace, SimDuration::from_secs(45));
    assert_eq!(run.cluster.termination.pre_stop, SimDuration::from_secs(5));
    assert_eq!(run.cluster.startup.graphs, DurationDistribution::Constant(SimDuration::from_secs(3)));
    assert_eq!((run.cluster.pods_per_node, run.gpus_per_replica), (8, 1));
    assert_eq!(
        (run.engine.model_name.as_str(), run.engine.max_num_seqs, run.engine.max_model_len),
        ("chat", 64, 8_000)
    );
    assert!(run.engine.async_scheduling && run.engine.reserve_full_prompt, "0.33 by default");
    assert!(run.monitoring.pools[0].labels.contains(&("container".to_owned(), "vllm".to_owned())));
    assert!(run.diagnostics.to_string().contains("no readiness probe"), "{}", run.diagnostics);
}

#[test]
fn draining_is_limited_by_the_grace_period() {
    let service = SERVICE.replace("  predictor:", "  predictor:\n    terminationGracePeriodSeconds: 12");
    let run = resolved(&[SCALED_OBJECT, &service, &scenario_with("cluster: {termination: {preStop: 2s}}")]);
    assert_eq!(run.cluster.termination.mode, TerminationMode::Drain(SimDuration::from_secs(10)));
}

#[test]
fn a_policy_without_its_workload_runs_on_a_given_profile() {
    let run = resolved(&[SCALED_OBJECT, &scenario_with("replica: {profile: opt-125m-cpu, servedModelName: opt-125m}")]);
    assert_eq!(run.engine.model_name, "opt-125m");
    let run = resolved(&[SCALED_OBJECT, &scenario_with("replica: {profile: opt-125m-cpu}")]);
    assert!(run.assumptions.iter().any(|assumption| assumption.path == "spec.replica.servedModelName"));
}

#[test]
fn a_run_ends_when_its_traffic_does() {
    let ending = SCENARIO.replace("  duration: 10m\n", "").replace("{constant: 100}", "{constant: 100}\n    stop: 5m");
    assert_eq!(resolved(&[SCALED_OBJECT, SERVICE, &ending]).duration, None);
    let endless = SCENARIO.replace("  duration: 10m\n", "");
    assert_eq!(resolved(&[SCALED_OBJECT, SERVICE, &endless]).duration, Some(SimDuration::from_secs(1_800)));
}

#[test]
fn the_resolved_scenario_is_a_scenario_again() {
    let spec = "warmup: 1m\nslo: {ttft: {p95: 2s}}\ncost: {gpuHour: 2.5}\ngates: {gpuHours: 4}\nanalysis: {flapWindow: 90s}\ncluster: {startup: {sandbox: {min: 1.5s, max: 2s}}}";
    let first = resolved(&[SCALED_OBJECT, SERVICE, &scenario_with(spec)]);
    let text = scenario_yaml(&first);
    let again = Bundle::from_text(&text, "scenario.yaml").unwrap_or_else(|found| panic!("{found}\n{text}"));
    read_scenario(&again.documents[0]).unwrap_or_else(|found| panic!("{found}\n{text}"));
    let second = resolved(&[SCALED_OBJECT, SERVICE, &text]);
    assert_eq!(first.engine, second.engine, "{text}");
    assert_eq!(first.cluster, second.cluster, "{text}");
    assert_eq!(first.monitoring, second.monitoring);
    assert_eq!(first.kubernetes, second.kubernetes);
    assert_eq!(first.analysis, second.analysis);
    assert_eq!(first.traffic, second.traffic);
    assert_eq!((first.seed, first.duration, first.warmup), (second.seed, second.duration, second.warmup));
    assert!(
        text.contains("# p.yaml:") && text.contains("# assumed") && text.contains("# profile opt-125m-cpu"),
        "{text}"
    );
}

#[test]
fn the_example_policies_resolve() {
    // (folder, model, replicas at most, triggers)
    for (folder, model, most, triggers) in [
        ("opt-125m", "opt-125m", 3, 1),
        ("opt-125m-no-window", "opt-125m", 3, 1),
        ("opt-125m-ttft-kv-running", "opt-125m", 10, 3),
        ("llama-3.1-8b-h100", "llama-3.1-8b", 8, 2),
    ] {
        let bundle = Bundle::load(&[Input::Path(root("policies").join(folder))]).expect("the folder loads");
        let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("{folder}:\n{found}"));
        assert_eq!(run.engine.model_name, model, "{folder}");
        assert_eq!(run.kubernetes.hpa.max_replicas, most, "{folder}");
        assert_eq!(run.keda.as_ref().expect("KEDA is there").scaled_object.triggers.len(), triggers, "{folder}");
        // The opt-125m family keeps its example's polling and cooldown, on which KEDA's webhook remarks.
        let own = run.diagnostics.0.iter().filter(|found| !found.message.contains("is not relevant"));
        assert_eq!(own.count(), 0, "{folder} is clean:\n{}", run.diagnostics);
        for trigger in &run.keda.as_ref().expect("KEDA is there").scaled_object.triggers {
            assert!(
                trigger.asks().contains(&format!("model_name=\"{model}\"")),
                "{folder}: the query asks for the served name"
            );
        }
    }
}

#[test]
fn every_example_traffic_stands_in_for_another() {
    let bundle = Bundle::load(&[Input::Path(root("policies/opt-125m"))]).expect("the folder loads");
    for name in ["stable-2", "stable-3", "reference", "conversation"] {
        let overrides =
            Overrides { traffic: Some(root("traces").join(format!("{name}.yaml"))), ..Overrides::default() };
        let run = resolve(&bundle, &overrides).unwrap_or_else(|found| panic!("{name}:\n{found}"));
        // The reference workload goes on for as long as a run is asked to take; the others end by themselves.
        let unbounded = (name == "reference").then(|| SimDuration::from_secs(1800));
        assert_eq!(run.duration, unbounded, "{name}");
        if let Arrivals::ClosedLoop { .. } = run.traffic[0].arrivals {
            assert_eq!((run.traffic[0].start, run.traffic[0].stop), (SimTime::from_secs(120), SimTime::from_secs(720)));
        }
    }
    let overrides = Overrides { traffic: Some(root("traces/absent.yaml")), ..Overrides::default() };
    let told = resolve(&bundle, &overrides).expect_err("the file is absent").to_string();
    assert!(told.contains("absent.yaml"), "{told}");
}

#[test]
fn traffic_paths_can_be_set_once_the_file_is_attached() {
    let mut bundle = Bundle::load(&[Input::Path(root("policies/opt-125m"))]).expect("the folder loads");
    attach_traffic(&mut bundle, &Overrides::default()).expect("the traffic loads");
    bundle.set("Traffic:spec.arrivals.closedLoop.workers", Value::Int(5)).expect("the path exists");
    let run = resolve(&bundle, &Overrides::default()).expect("resolves");
    let Arrivals::ClosedLoop { workers, .. } = run.traffic[0].arrivals else { panic!("a closed loop") };
    assert_eq!(workers, 5);
}

#[test]
fn another_scenario_takes_the_place_of_the_folders() {
    let mut bundle = Bundle::load(&[Input::Path(root("policies/opt-125m"))]).expect("the folder loads");
    replace_scenario(&mut bundle, &root("policies/sweeps/scenarios/near-a-step.yaml")).expect("the scenario loads");
    assert_eq!(resolve(&bundle, &Overrides::default()).expect("resolves").scenario, "near-a-step");
}

#[test]
fn the_example_sweep_is_read_and_its_first_point_resolves() {
    let bundle = Bundle::load(&[Input::Path(root("policies/sweeps/opt-125m-threshold-window.yaml"))]).expect("loads");
    let sweep = kedasim::scenario::read_sweep(&bundle.documents[0]).expect("the sweep is right");
    let mut policy = Bundle::load(&[Input::Path(sweep.policy.value.clone())]).expect("the policy loads");
    for axis in &sweep.axes {
        policy.set(&axis.path.value, axis.values[0].clone()).expect("the axis names a value");
    }
    let run = resolve(&policy, &Overrides::default()).expect("resolves");
    assert_eq!(run.keda.as_ref().expect("KEDA is there").scaled_object.triggers[0].threshold, 3.0);
    let up = &run.kubernetes.hpa.behavior.expect("the policy has one").0;
    assert_eq!(up.stabilization_window, SimDuration::ZERO);
}

#[test]
fn a_recorded_trace_is_cut_and_what_its_reader_remarks_is_passed_on() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let file = folder.join("burst.csv");
    let rows = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                0,ChatGPT,10,5,15,API log\n1,ChatGPT,10,0,10,API log\n2,ChatGPT,20,7,27,API log\n";
    std::fs::write(&file, rows).expect("the target folder can be written");
    let scenario = SCENARIO.split("  traffic:").next().expect("split gives a first part");
    let scenario = format!("{scenario}  traffic: {{file: {}, start: 1s, stop: 90s}}\n", file.display());
    let run = resolved(&[SCALED_OBJECT, SERVICE, &scenario]);
    let Arrivals::Recorded(trace) = &run.traffic[0].arrivals else { panic!("a recorded trace") };
    assert_eq!(trace.rows.len(), 2, "a request without a response failed when it was recorded");
    assert_eq!((run.traffic[0].start, run.traffic[0].stop), (SimTime::from_secs(1), SimTime::from_secs(90)));
    assert_eq!(run.diagnostics.0.len(), trace.notes.len(), "{}", run.diagnostics);
    assert!(!trace.notes.is_empty());
    let told = refused(&[SCALED_OBJECT, SERVICE, &scenario.replace("burst.csv", "gone.csv")], &Overrides::default());
    assert!(told.contains("gone.csv") && told.contains("p.yaml:"), "{told}");
}

#[test]
fn a_scenarios_folder_gives_its_scenario_alone() {
    let folder = root("policies/opt-125m");
    let mut bundle = Bundle::load(&[Input::Path(folder.clone())]).expect("the folder loads");
    replace_scenario(&mut bundle, &folder).expect("the folder has a Scenario");
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!((run.scenario.as_str(), run.traffic_name.as_str()), ("stable-2", "stable-2"));
}

#[test]
fn a_built_in_profile_can_be_set_once_it_is_attached() {
    let resolved_with = |overrides: &Overrides| {
        let mut bundle = bundle(&[SCALED_OBJECT, SERVICE, SCENARIO]);
        attach_profile(&mut bundle, overrides).unwrap_or_else(|found| panic!("{found}"));
        bundle.set_text("Profile:spec.stepTime.wMs", "77").expect("the path exists");
        resolve(&bundle, overrides).unwrap_or_else(|found| panic!("{found}"))
    };
    let plain = resolved(&[SCALED_OBJECT, SERVICE, SCENARIO]);
    for overrides in [
        Overrides::default(), // Chosen by the model.
        Overrides { profile: Some("opt-125m-cpu".to_owned()), ..Overrides::default() },
    ] {
        let run = resolved_with(&overrides);
        assert_eq!(run.profile, "opt-125m-cpu");
        assert_ne!(run.engine, plain.engine);
        assert_eq!(run.engine.async_scheduling, plain.engine.async_scheduling);
    }
}

#[test]
fn each_value_of_the_traffic_has_its_own_place() {
    let text = scenario_yaml(&resolved(&[SCALED_OBJECT, SERVICE, SCENARIO]));
    let line_of = |key: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(key)).expect("the key is there");
        let (_, place) = line.rsplit_once("p.yaml:").expect("it has a place");
        place.split(':').next().expect("a line").parse::<u32>().expect("a number")
    };
    let arrivals = line_of("arrivals:");
    assert_eq!((line_of("prompt:"), line_of("output:")), (arrivals + 1, arrivals + 2), "{text}");
}

#[test]
fn start_and_stop_bound_the_sending_of_a_recorded_trace() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cut.csv");
    let rows = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                5,ChatGPT,10,5,15,API log\n6,ChatGPT,20,7,27,API log\n9,ChatGPT,30,7,37,API log\n";
    std::fs::write(&file, rows).expect("the target folder can be written");
    let scenario = SCENARIO.split("  traffic:").next().expect("split gives a first part");
    let scenario = format!("{scenario}  traffic: {{file: {}, start: 2m, stop: 124s}}\n", file.display());
    let run = resolved(&[SCALED_OBJECT, SERVICE, &scenario]);
    let mut source = TrafficSource::new(&run.traffic[0], Seed(1));
    let mut sent = Vec::new();
    while let Some(at) = source.next_arrival() {
        sent.push((at, source.pop().prompt_tokens));
    }
    // The row of 124 s, 4 s after the first, falls on the stop.
    assert_eq!(sent, [(SimTime::from_secs(120), 10), (SimTime::from_secs(121), 20)]);
}

//! The folder of a run is enough to make it again, and what is exported from it is exactly what Prometheus stored.

use kedasim::export::read_record;
use kedasim::manifest::{Bundle, Input};
use kedasim::prometheus::{PrometheusServer, StoredRow};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::series::Labels;
use kedasim::sim::simulate_recording;
use kedasim::units::SimDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn resolved(policy: &str, overrides: &Overrides) -> ResolvedRun {
    let bundle = Bundle::load(&[Input::Path(repository(policy))]).unwrap_or_else(|errors| panic!("{errors}"));
    resolve(&bundle, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A new folder for one test.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("export").join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("our own scratch folder");
    }
    fs::create_dir_all(&path).expect("a scratch folder");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn kedasim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the binary runs")
}

fn fine(arguments: &[&str]) -> String {
    let output = kedasim(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// The message of a command that must end with exit code 2.
fn refused(arguments: &[&str]) -> String {
    let output = kedasim(arguments);
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    message
}

/// The files of `inputs/`, by name.
fn inputs(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries =
        fs::read_dir(run.join("inputs")).expect("a run keeps its inputs").map(|entry| entry.expect("readable"));
    entries
        .map(|entry| (entry.file_name().into_string().expect("text"), fs::read(entry.path()).expect("readable")))
        .collect()
}

/// The lines of `events.jsonl` but findings, which name places in the files that were read.
fn events(run: &Path) -> Vec<String> {
    let text = fs::read_to_string(run.join("events.jsonl")).expect("events");
    text.lines().filter(|line| !line.contains("\"kind\":\"finding\"")).map(str::to_owned).collect()
}

/// Simulates, simulates again from nothing but the folder, and compares; the names of the inputs.
fn made_again(name: &str, arguments: &[&str]) -> Vec<String> {
    let folder = scratch(name);
    let (first, second) = (folder.join("first"), folder.join("second"));
    fine(&[&["simulate", "--out", text(&first)], arguments].concat());
    // The folder may stand anywhere.
    let moved = folder.join("moved");
    fs::rename(&first, &moved).expect("a folder of ours");
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(moved.join("summary.json")).expect("a summary")).expect("JSON");
    let (policy, scenario) = (moved.join("policy.yaml"), moved.join("inputs/scenario.yaml"));
    let named = summary["run"]["policy"].as_str().expect("the policy's name");
    fine(&["simulate", text(&policy), "--scenario", text(&scenario), "--name", named, "--out", text(&second)]);
    for file in ["decisions.jsonl", "timeline.csv", "policy.yaml"] {
        let read = |run: &Path| fs::read(run.join(file)).expect("a file of a run");
        assert!(read(&moved) == read(&second), "{name}: {file} differs");
    }
    assert_eq!(events(&moved), events(&second), "{name}");
    let kept = inputs(&moved);
    assert_eq!(kept, inputs(&second), "{name}: what is kept of what was kept is the same");
    kept.into_keys().collect()
}

#[test]
fn every_shipped_policy_is_made_again_from_its_folder() {
    let policies = fs::read_dir(repository("policies")).expect("the shipped policies");
    let mut count = 0;
    for policy in policies.map(|entry| entry.expect("readable").path()) {
        if policy.join("scaledobject.yaml").exists() {
            let name = policy.file_name().expect("a name").to_string_lossy().into_owned();
            assert_eq!(made_again(&name, &[text(&policy), "--duration", "15m"]), ["scenario.yaml"]);
            count += 1;
        }
    }
    assert!(count >= 4, "found {count} policies");
}

#[test]
fn what_the_command_line_says_is_kept() {
    let arguments = ["policies/opt-125m", "--seed", "7", "--duration", "11m30s", "--gate", "flapsPerHour=2.5"];
    assert_eq!(made_again("flags", &arguments), ["scenario.yaml"]);
    let arguments = [
        "policies/opt-125m",
        "--set",
        "Scenario:spec.faults=[{scrapeLoss: {share: 0.5}, at: 4m, for: 5m}, {prometheusDown: {}, at: 11m, for: 1m}]",
        "--set",
        "Scenario:spec.start=2025-03-30T00:59:00Z",
        "--set",
        "spec.triggers[0].metadata.threshold=3",
        "--set",
        "Traffic:spec.stop=9m",
        "--set",
        "Profile:spec.stepTime.t0Ms=61.7",
    ];
    assert_eq!(made_again("set", &arguments), ["scenario.yaml"]);
}

#[test]
fn files_that_a_run_was_made_from_are_kept() {
    let folder = scratch("files");
    let write = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a scratch folder");
        fs::write(&path, content).expect("a scratch file");
        path
    };
    // Lengths and times that no generator gives, and a profile whose numbers do not round.
    let trace = write(
        "a/recorded.csv",
        "arrived_at,num_prefill_tokens,num_decode_tokens\n0.25,15,90\n3.125,33,61\n200.5,11,70\n",
    );
    let profile = fine(&["profiles", "opt-125m-cpu"]).replace("name: opt-125m-cpu", "name: own");
    let profile = write("b/own.yaml", &profile);
    write("c/deeper/lag.csv", "t,value\n0,1\n100,7.125\n400,0\n");
    let signals = "series:\n  - {metric: queue, value: {csv: deeper/lag.csv}}\n  - {metric: other, value: {csv: {file: deeper/lag.csv}}}\n";
    let signals = write("c/signals.yaml", signals);
    let arguments = [
        "policies/opt-125m",
        "--traffic",
        text(&trace),
        "--profile",
        text(&profile),
        "--signals",
        text(&signals),
        "--set",
        "spec.triggers[0].metadata.query=sum(queue)",
        "--duration",
        "15m",
    ];
    assert_eq!(made_again("files-run", &arguments), ["scenario.yaml", "signals-1.csv", "traffic.csv"]);
    // The same from the Scenario, with paths relative to it.
    let scenario = "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: own}\nspec:\n  duration: 10m\n  traffic: {file: ../a/recorded.csv, start: 30s}\n  replica: {profile: ../b/own.yaml}\n  signals: {series: [{metric: queue, value: {csv: ../c/deeper/lag.csv}}]}\n";
    let scenario = write("d/scenario.yaml", scenario);
    let query = "spec.triggers[0].metadata.query=sum(queue)";
    let arguments = ["policies/opt-125m", "--scenario", text(&scenario), "--set", query];
    assert_eq!(made_again("files-scenario", &arguments), ["scenario.yaml", "signals-1.csv", "traffic.csv"]);
}

const DEPLOYMENT: &str = include_str!("support/vllm_deployment.yaml");

const SCENARIO: &str = "apiVersion: kedasim.dev/v1alpha1
kind: Scenario
spec:
  replica: {profile: opt-125m-cpu, vllmVersion: \"0.12\"}
  duration: 10m
  warmup: 1m
  traffic: {arrivals: {gamma: {rate: 1.1, cv: 1.7}}, prompt: {lognormal: {mean: 14.3, sigma: 0.77, max: 90}}, output: {quantiles: {probabilities: [0, 0.3, 1], tokens: [3, 17.5, 120]}}}
  cluster: {startup: {engineInit: {median: 7.3s, p95: 19.77s}}, endpoints: {propagation: {min: 1ms, max: 1.000003s}}}
  router: {policy: least-requests, latency: 1234567ns}
  prometheus: {scrapeInterval: 7s, responseTime: 3.3ms}
  kubernetes: {version: \"1.33\", tolerance: 0.07}
";

/// A document under another name, of two.
fn object(kind: &str, name: &str, rest: &str) -> String {
    format!(
        "---\n{kind}\nmetadata: {{name: {name}}}\nspec:\n  scaleTargetRef: {{name: vllm, kind: Deployment, apiVersion: apps/v1}}\n{rest}"
    )
}

#[test]
fn policies_of_every_kind_are_made_again_from_their_folder() {
    let folder = scratch("kinds");
    let hpa = |name: &str, target: u32| {
        let metric = format!(
            "  maxReplicas: 4\n  metrics:\n    - {{type: Pods, pods: {{metric: {{name: \"vllm:num_requests_running\"}}, target: {{type: AverageValue, averageValue: \"{target}\"}}}}}}\n"
        );
        object("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler", name, &metric)
    };
    let scaled = |name: &str, threshold: u32| {
        let rest = format!(
            "  maxReplicaCount: 4\n  triggers:\n    - {{type: prometheus, metadata: {{serverAddress: \"http://p:9090\", threshold: \"{threshold}\", query: 'sum(vllm:num_requests_running)'}}}}\n"
        );
        object("apiVersion: keda.sh/v1alpha1\nkind: ScaledObject", name, &rest)
    };
    let service = "---
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: svc
  annotations: {serving.kserve.io/deploymentMode: Standard, serving.kserve.io/autoscalerClass: keda}
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 5
    model: {modelFormat: {name: huggingface}, args: [--model_name=m, --model_id=facebook/opt-125m, --max-model-len=512]}
    autoScaling:
      metrics:
        - type: External
          external:
            metric: {backend: prometheus, serverAddress: \"http://prometheus:9090\", query: \"sum(vllm:num_requests_running)\"}
            target: {type: Value, value: \"2\"}
";
    let cases = [
        ("hpa", format!("{DEPLOYMENT}{}{}---\n{SCENARIO}", hpa("one", 1), hpa("two", 3)), "two"),
        ("scaled", format!("{DEPLOYMENT}{}{}---\n{SCENARIO}", scaled("one", 1), scaled("two", 3)), "two"),
        ("kserve", format!("{SCENARIO}{service}"), "svc-predictor"),
    ];
    for (name, documents, chosen) in cases {
        let file = folder.join(format!("{name}.yaml"));
        fs::write(&file, documents).expect("a scratch file");
        let kept = made_again(&format!("kind-{name}"), &[text(&file), "--name", chosen]);
        assert_eq!(kept, ["scenario.yaml"]);
        // And exported.
        let run = folder.with_file_name(format!("kind-{name}")).join("moved");
        let file = folder.join("samples.rw");
        assert!(fine(&["export", text(&run), "--remote-write", text(&file)]).contains("\nmarkers "));
    }
}

/// (visible, labels, time stamp, bits), in order.
type Stored = Vec<(i64, Labels, i64, u64)>;

fn stored(rows: &[StoredRow], epoch_ms: i64) -> Stored {
    let mut found = Vec::new();
    for row in rows {
        let micros = (row.visible.as_ps() + 500_000) / 1_000_000;
        let visible = epoch_ms * 1000 + i64::try_from(micros).expect("a short run");
        found.extend(row.samples().map(|(labels, value)| (visible, labels.clone(), row.at_ms, value.to_bits())));
    }
    found
}

fn read_remote_write(path: &Path) -> Stored {
    let mut file = BufReader::new(fs::File::open(path).expect("the export"));
    let mut found = Vec::new();
    while let Some(record) = read_record(&mut file).expect("whole records") {
        for series in record.request().expect("a request").timeseries {
            let pairs: Vec<(String, String)> =
                series.labels.into_iter().map(|label| (label.name, label.value)).collect();
            assert!(pairs.is_sorted() && pairs.iter().all(|(_, value)| !value.is_empty()), "{pairs:?}");
            let labels = Labels::from_pairs(pairs);
            let sample =
                |own: &kedasim::export::Sample| (record.visible_us, labels.clone(), own.timestamp, own.value.to_bits());
            found.extend(series.samples.iter().map(sample));
        }
    }
    found
}

#[test]
fn the_files_hold_exactly_what_was_stored() {
    let folder = scratch("stored");
    let (run, samples, metrics) = (folder.join("run"), folder.join("samples.rw"), folder.join("metrics.txt"));
    fine(&["simulate", "policies/opt-125m", "--duration", "1h", "--out", text(&run)]);
    let printed = fine(&["export", text(&run), "--remote-write", text(&samples), "--openmetrics", text(&metrics)]);

    let overrides = Overrides { duration: Some(SimDuration::from_secs(3600)), ..Overrides::default() };
    let resolved = resolved("policies/opt-125m", &overrides);
    let mut rows = Vec::new();
    simulate_recording(&resolved, false, &mut |row| rows.push(row)).unwrap_or_else(|error| panic!("{error}"));
    let expected = stored(&rows, resolved.monitoring.server.epoch_ms);
    let found = read_remote_write(&samples);
    assert_eq!(expected.len(), found.len());
    assert!(expected == found, "a sample differs");
    let is_marker = |bits: u64| bits == PrometheusServer::STALE_BITS;
    let markers = expected.iter().filter(|(.., bits)| is_marker(*bits)).count();
    assert!(markers > 100, "a pod goes, found {markers} markers");
    let series: BTreeSet<String> = expected.iter().map(|(_, labels, ..)| labels.to_string()).collect();
    for line in [
        format!("series {}", series.len()),
        format!("samples {}", expected.len()),
        format!("markers {markers}"),
        "dropped 0".to_owned(),
        "start 1767571200.000".to_owned(),
    ] {
        assert!(printed.lines().any(|own| own == line), "{line} is not in {printed}");
    }

    let text = fs::read_to_string(&metrics).expect("text");
    assert!(text.len() > 9 << 20, "so long that the spool is used, found {}", text.len());
    let numbers = expected.iter().filter(|(.., bits)| !is_marker(*bits));
    let expected: BTreeSet<(String, i64, u64)> =
        numbers.map(|(_, labels, at, bits)| (labels.to_string(), *at, *bits)).collect();
    assert!(read_open_metrics(&text) == expected, "a number differs");
}

/// The numbers of OpenMetrics text whose labels need no escapes; checks its order on the way.
fn read_open_metrics(text: &str) -> BTreeSet<(String, i64, u64)> {
    let lines = text.strip_suffix("# EOF\n").expect("the end is marked").lines();
    let (mut families, mut metrics) = (BTreeSet::new(), BTreeSet::new());
    let (mut family, mut metric) = (String::new(), String::new());
    let mut last_at = i64::MIN;
    let mut found = BTreeSet::new();
    for line in lines {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            family = head.split(' ').next().expect("a name").to_owned();
            assert!(families.insert(family.clone()), "{family} comes in two pieces");
            continue;
        }
        let (start, rest) = line.rsplit_once("} ").expect("labels");
        let (value, at) = rest.split_once(' ').expect("value and time");
        let (name, inside) = start.split_once('{').expect("labels");
        assert!(name.starts_with(&family), "{name} is none of {family}");
        let pairs: Vec<(&str, &str)> =
            inside.split("\",").map(|pair| pair.trim_end_matches('"').split_once("=\"").expect("a label")).collect();
        let labels = Labels::from_pairs(pairs.iter().copied());
        let own = format!("{family}{}", labels.filtered(|name| name != "le"));
        let at: i64 = at.replace('.', "").parse().expect("three decimals");
        if own != metric {
            assert!(metrics.insert(own.clone()), "{own} comes in two pieces");
            (metric, last_at) = (own, i64::MIN);
        }
        assert!(at >= last_at, "{line} goes back in time");
        last_at = at;
        let value: f64 = value.parse().expect("a number");
        found.insert((labels.with("__name__", name).to_string(), at, value.to_bits()));
    }
    found
}

#[test]
fn a_folder_that_was_changed_is_refused_and_nothing_is_written() {
    let folder = scratch("changed");
    let (run, file) = (folder.join("run"), folder.join("samples.rw"));
    fine(&["simulate", "policies/opt-125m", "--out", text(&run)]);
    fs::write(&file, "what stood here before").expect("a scratch file");
    let export = ["export", text(&run), "--remote-write", text(&file)];
    let changes = [("decisions.jsonl", "\"specReplicas\":1", "\"specReplicas\":2"), ("policy.yaml", "\"5\"", "\"4\"")];
    for (name, from, to) in changes {
        let path = run.join(name);
        let before = fs::read_to_string(&path).expect("a file of a run");
        let changed = before.replacen(from, to, 1);
        assert_ne!(before, changed, "{name} is changed");
        fs::write(&path, changed).expect("a file of ours");
        let message = refused(&export);
        assert!(message.contains("decisions.jsonl:") && message.contains("nothing was written"), "{message}");
        fs::write(&path, before).expect("a file of ours");
        assert_eq!(fs::read_to_string(&file).expect("untouched"), "what stood here before");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 2, "no temporary file is left");
    }
    fine(&export);
    assert_ne!(fs::read(&file).expect("the export"), b"what stood here before");
    fs::remove_dir_all(run.join("inputs")).expect("ours");
    assert!(refused(&export).contains("inputs/scenario.yaml"));
}

#[test]
fn what_cannot_be_exported_is_said() {
    let folder = scratch("refused");
    let (run, file) = (folder.join("run"), folder.join("out"));
    assert!(refused(&["export", text(&run)]).contains("--remote-write"), "one of the files is required");
    let export = |more: &[&str]| refused(&[&["export", text(&run)], more].concat());
    assert!(export(&["--remote-write", text(&file)]).contains("summary.json: cannot be read"));
    fine(&["simulate", "policies/opt-125m", "--fixed-replicas", "2", "--duration", "2m", "--out", text(&run)]);
    assert!(export(&["--remote-write", text(&file)]).contains("--fixed-replicas"));
    fine(&["simulate", "policies/opt-125m", "--duration", "2m", "--out", text(&run)]);
    assert!(export(&["--openmetrics", text(&folder)]).contains("no regular file"));
    assert!(export(&["--openmetrics", text(&file), "--remote-write", text(&file)]).contains("expected another"));
    assert!(export(&["--openmetrics", "/nowhere/at/all"]).contains("/nowhere/at/all"));
    // A file of the user's among the inputs is not deleted by the next run.
    fs::write(run.join("inputs/notes.txt"), "mine").expect("ours");
    let message = refused(&["simulate", "policies/opt-125m", "--duration", "2m", "--out", text(&run)]);
    assert!(message.contains("inputs/notes.txt"), "{message}");
}

//! Bad input gives one clear, located error, exit code 2, and nothing written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A fresh folder for one case.
struct Case {
    folder: PathBuf,
}

const SCALED_OBJECT: &str = r#"apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: opt-125m-predictor}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        query: sum(vllm:num_requests_running)
        threshold: "2"
"#;

const SCENARIO: &str = "apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: s}
spec:
  duration: 5m
  replica: {profile: opt-125m-cpu}
  traffic: {arrivals: {poisson: {rate: 0.1}}, prompt: {constant: 15}, output: {constant: 20}}
";

impl Case {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bad-input").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the case");
        Case { folder }
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.folder.join(name), text).expect("writable");
        self
    }

    /// Runs `kedasim simulate` on the case's files: exit code 2, every fragment on stderr, nothing on stdout, nothing written.
    fn fails_with(&self, arguments: &[&str], fragments: &[&str]) {
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
            .current_dir(&self.folder)
            .arg("simulate")
            .args(arguments)
            .args(["--out", "out"])
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "exit code; stderr: {stderr}");
        for fragment in fragments {
            assert!(stderr.contains(fragment), "{fragment:?} is not in: {stderr}");
        }
        let errors = stderr.lines().filter(|line| line.starts_with("error")).count();
        assert_eq!(errors, 1, "one error, not {errors}: {stderr}");
        assert!(output.stdout.is_empty(), "stdout: {}", String::from_utf8_lossy(&output.stdout));
        assert!(!self.folder.join("out").exists(), "something was written");
    }
}

#[test]
fn a_sound_case_runs() {
    // The base of all the cases below is itself sound, so that each fails for its own reason.
    let case = Case::new("sound").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", SCENARIO);
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .current_dir(&case.folder)
        .args(["simulate", ".", "--out", "out"])
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(case.folder.join("out/summary.json").exists());
}

#[test]
fn missing_file() {
    Case::new("missing").fails_with(&["nowhere.yaml"], &["nowhere.yaml"]);
}

#[test]
fn broken_yaml() {
    let text = SCALED_OBJECT.replace("metadata: {name: so}", "metadata: {name: so");
    Case::new("broken-yaml").file("so.yaml", &text).file("scenario.yaml", SCENARIO).fails_with(&["."], &["so.yaml:"]);
}

#[test]
fn wrong_type() {
    let text = SCALED_OBJECT.replace("minReplicaCount: 1", "minReplicaCount: one");
    Case::new("wrong-type").file("so.yaml", &text).file("scenario.yaml", SCENARIO).fails_with(
        &["."],
        &["so.yaml:6:20", "spec.minReplicaCount", "found the string \"one\"", "expected an integer"],
    );
}

#[test]
fn unquoted_threshold() {
    let text = SCALED_OBJECT.replace("threshold: \"2\"", "threshold: 2");
    Case::new("threshold")
        .file("so.yaml", &text)
        .file("scenario.yaml", SCENARIO)
        .fails_with(&["."], &["so.yaml:13:20", "threshold", "found the integer 2", "quotes"]);
}

#[test]
fn unknown_key_in_the_scenario() {
    let text = SCENARIO.replace("  duration: 5m", "  durration: 5m");
    Case::new("unknown-key")
        .file("so.yaml", SCALED_OBJECT)
        .file("scenario.yaml", &text)
        .fails_with(&["."], &["scenario.yaml:5:3", "durration", "did you mean duration?"]);
}

#[test]
fn no_triggers() {
    let text = SCALED_OBJECT.split("  triggers:").next().expect("a first part").to_owned();
    Case::new("no-triggers")
        .file("so.yaml", &text)
        .file("scenario.yaml", SCENARIO)
        .fails_with(&["."], &["so.yaml:", "triggers"]);
}

#[test]
fn two_scaled_objects() {
    let second = SCALED_OBJECT.replace("name: so}", "name: other}");
    Case::new("two")
        .file("a.yaml", SCALED_OBJECT)
        .file("b.yaml", &second)
        .file("scenario.yaml", SCENARIO)
        .fails_with(&["."], &["--name", "so", "other"]);
}

#[test]
fn no_scaled_object() {
    Case::new("none").file("scenario.yaml", SCENARIO).fails_with(&["."], &["ScaledObject"]);
}

#[test]
fn unrendered_template() {
    let text = SCALED_OBJECT.replace("maxReplicaCount: 3", "maxReplicaCount: {{ .Values.max }}");
    Case::new("template")
        .file("so.yaml", &text)
        .file("scenario.yaml", SCENARIO)
        .fails_with(&["."], &["so.yaml:7:", "helm template . | kedasim simulate -"]);
}

#[test]
fn a_query_that_prometheus_refuses_runs_as_it_would_when_deployed() {
    let text = SCALED_OBJECT.replace("sum(vllm:num_requests_running)", "sum(vllm:num_requests_running");
    let case = Case::new("query").file("so.yaml", &text).file("scenario.yaml", SCENARIO);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
        let output =
            command.current_dir(&case.folder).arg("simulate").args(arguments).output().expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, stdout, stderr) = run(&["."]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("warning: ./so.yaml:12:16: spec.triggers[0].metadata.query: Prometheus refuses"),
        "{stderr}"
    );
    assert!(stdout.contains("prometheus query api returned error. status: 400 (Prometheus answered: "), "{stdout}");
    let (code, ..) = run(&[".", "--fail-on", "error"]);
    assert_eq!(code, Some(1), "a trigger that never has a value is an error of the policy");
    // What only this parser cannot read is no verdict on the policy.
    let text = SCALED_OBJECT.replace("sum(vllm:num_requests_running)", "histogram_count(up)");
    let case = Case::new("query-limit").file("so.yaml", &text).file("scenario.yaml", SCENARIO);
    case.fails_with(&["."], &["so.yaml:12:16", "cannot be run", "not supported"]);
}

#[test]
fn unknown_profile() {
    let text = SCENARIO.replace("opt-125m-cpu", "opt-125m-gpu");
    Case::new("profile")
        .file("so.yaml", SCALED_OBJECT)
        .file("scenario.yaml", &text)
        .fails_with(&["."], &["scenario.yaml:6:", "opt-125m-gpu", "opt-125m-cpu"]);
}

#[test]
fn impossible_durations() {
    for duration in ["-5m", "5", "soon", "0s"] {
        let text = SCENARIO.replace("duration: 5m", &format!("duration: \"{duration}\""));
        Case::new("duration")
            .file("so.yaml", SCALED_OBJECT)
            .file("scenario.yaml", &text)
            .fails_with(&["."], &["scenario.yaml:5:13", "spec.duration"]);
    }
    let case = Case::new("duration-flag").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", SCENARIO);
    case.fails_with(&[".", "--duration", "soon"], &["--duration", "soon"]);
}

#[test]
fn empty_trace() {
    let case = Case::new("trace").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", SCENARIO);
    let case = case.file("empty.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n").file("nothing.csv", "");
    case.fails_with(&["so.yaml", "scenario.yaml", "--traffic", "empty.csv"], &["empty.csv"]);
    case.fails_with(&["so.yaml", "scenario.yaml", "--traffic", "nothing.csv"], &["nothing.csv"]);
}

#[test]
fn bad_row_in_a_trace() {
    let text =
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,374,44\n2023-11-16 18:17:04.0,ten,1\n";
    let case = Case::new("row").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", SCENARIO).file("trace.csv", text);
    case.fails_with(&["so.yaml", "scenario.yaml", "--traffic", "trace.csv"], &["trace.csv:3:", "ten"]);
}

#[test]
fn no_traffic() {
    let text: String =
        SCENARIO.lines().filter(|line| !line.contains("traffic:")).map(|line| format!("{line}\n")).collect();
    Case::new("no-traffic")
        .file("so.yaml", SCALED_OBJECT)
        .file("scenario.yaml", &text)
        .fails_with(&["."], &["--traffic traces/"]);
}

#[test]
fn a_trigger_without_a_source() {
    // A type whose source is not simulated, and one that KEDA does not know.
    let with = |kind: &str| SCALED_OBJECT.replace("type: prometheus", &format!("type: {kind}"));
    Case::new("datadog").file("so.yaml", &with("datadog")).file("scenario.yaml", SCENARIO).fails_with(
        &["."],
        &[
            "so.yaml:9:",
            "the source of type datadog is not simulated",
            "s0-datadog: {value: {constant: 3}",
            "--signals FILE",
        ],
    );
    Case::new("unknown-type")
        .file("so.yaml", &with("promtheus"))
        .file("scenario.yaml", SCENARIO)
        .fails_with(&["."], &["so.yaml:9:", "no scaler found for type: promtheus", "did you mean prometheus?"]);
}

#[test]
fn bad_flags() {
    let case = || Case::new("flags").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", SCENARIO);
    case().fails_with(&[".", "--gate", "flaps=1"], &["flaps", "flapsPerHour"]);
    case().fails_with(&[".", "--gate", "flapsPerHour"], &["flapsPerHour", "NAME=LIMIT"]);
    case().fails_with(&[".", "--set", "spec.triggers[4].type=cron"], &["spec.triggers[4]"]);
    case().fails_with(&[".", "--name", "nobody"], &["nobody", "so"]);
}

/// The usual policy and scenario.
fn usual(name: &str) -> Case {
    Case::new(name).file("so.yaml", SCALED_OBJECT).file("scenario.yaml", SCENARIO)
}

#[test]
fn a_set_path_that_names_an_unknown_key() {
    let case = usual("set-unknown");
    let fails = |set: &str, parts: &[&str]| case.fails_with(&[".", "--set", set], parts);
    fails("spec.maxReplicas=5", &["--set: spec.maxReplicas: unknown key", "did you mean maxReplicaCount?"]);
    fails("spec.advanced.x.y=5", &["--set: spec.advanced.x: unknown key"]);
    fails("Scenario:spec.durration=5m", &["--set: Scenario:spec.durration", "did you mean duration?"]);
    fails("Scenario:spec.seed=one", &["--set: Scenario:spec.seed: found the string \"one\""]);
    fails("spec.triggers=[]", &["--set: spec.triggers: found an empty list"]);
    fails("Traffic:spec.stop=1m", &["no Traffic was read", "Scenario:spec.traffic"]);
}

#[test]
fn a_set_value_is_what_its_field_wants() {
    let case = usual("set-typed");
    for set in [
        "spec.triggers[0].metadata.activationThreshold=3",
        "Scenario:spec.kubernetes.version=1.32",
        "Scenario:spec.kubernetes.version=1.30",
        "Scenario:spec.prometheus.version=3",
        "Scenario:spec.router={policy: round-robin}",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
            .current_dir(&case.folder)
            .args(["simulate", ".", "--out", "out", "--set", set])
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{set}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn documents_that_are_not_read_are_told() {
    let others = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n---\napiVersion: serving.kserve.io/v1alpha1\nkind: LLMInferenceService\nmetadata: {name: big}\nspec: {model: {uri: hf://a/b}}\n---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: rules}\n";
    let case = usual("skipped").file("others.yaml", others);
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .current_dir(&case.folder)
        .args(["simulate", ".", "--out", "out"])
        .output()
        .expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("note: ./others.yaml:1:1: Service web is not read"), "{stderr}");
    // It is read, and not the target.
    assert!(stderr.contains("target Deployment opt-125m-predictor is none of big-kserve"), "{stderr}");
    assert!(!stderr.contains("PrometheusRule"), "one without rules says nothing: {stderr}");
}

#[test]
fn kinds_that_cannot_be_run() {
    let hpa =
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {maxReplicas: 2}\n";
    let case = Case::new("hpa").file("hpa.yaml", hpa).file("scenario.yaml", SCENARIO);
    case.fails_with(&["."], &["hpa.yaml:4:7", "scaleTargetRef is missing"]);
    let misspelt = SCENARIO.replace("kind: Scenario", "kind: Scenaro");
    let case = Case::new("own-kind").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &misspelt);
    case.fails_with(&["."], &["scenario.yaml:2:7", "\"Scenaro\"", "did you mean Scenario?"]);
}

#[test]
fn a_template_inside_a_block_of_text() {
    let query = "query: |-\n          sum({{ .Values.metric }})";
    let text = SCALED_OBJECT.replace("query: sum(vllm:num_requests_running)", query);
    let case = Case::new("block-template").file("so.yaml", &text).file("scenario.yaml", SCENARIO);
    case.fails_with(&["."], &["so.yaml:", "unrendered template", "helm template . | kedasim simulate -"]);
}

#[test]
fn names_that_are_no_file_names() {
    let named = |name: &str| SCENARIO.replace("metadata: {name: s}", &format!("metadata: {{name: {name}}}"));
    for name in ["a/b", "..", "\"a b\"", "\"\""] {
        let case = Case::new("names").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &named(name));
        case.fails_with(&["."], &["scenario.yaml:3:18", "metadata.name"]);
    }
    for name in ["a/b", "So", "-so", "so.", "a_b"] {
        let text = SCALED_OBJECT.replace("{name: so}", &format!("{{name: {name}}}"));
        let case = Case::new("names").file("so.yaml", &text).file("scenario.yaml", SCENARIO);
        case.fails_with(&["."], &["so.yaml:3:18", "metadata.name", "DNS-1123"]);
    }
    let extra = SCENARIO.replace("{name: s}", "{name: s, nmae: t}");
    let case = Case::new("names").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &extra);
    case.fails_with(&["."], &["metadata.nmae", "did you mean name?"]);
}

#[test]
fn numbers_out_of_range() {
    let case = usual("range");
    case.fails_with(&[".", "--fixed-replicas", "10001"], &["--fixed-replicas", "0..=10000"]);
    case.fails_with(&[".", "--fixed-replicas", "-1"], &["--fixed-replicas", "0..=10000"]);
    case.fails_with(&[".", "--seed", "-1"], &["--seed", "a whole number from 0 to 9223372036854775807"]);
    case.fails_with(&[".", "--gate", "sloAttainment=99"], &["--gate", "sloAttainment", "share from 0 to 1"]);
    case.fails_with(&[".", "--gate", "gpuHours=1", "--gate", "gpuHours=2"], &["--gate", "gpuHours twice"]);
    case.fails_with(&[".", "--gate", "gpuHour=1"], &["did you mean gpuHours?"]);
    let twice = [".", "--set", "spec.maxReplicaCount=1", "--set", "spec.maxReplicaCount=2"];
    case.fails_with(&twice, &["--set", "spec.maxReplicaCount twice"]);
    let workers = SCENARIO.replace("{poisson: {rate: 0.1}}", "{closedLoop: {workers: 100001, think: 1s}}");
    let case = Case::new("range-workers").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &workers);
    case.fails_with(&["."], &["workers", "1 to 100000"]);
    let warm = SCENARIO.replace("duration: 5m", "warmup: 5m").replace("{constant: 20}}", "{constant: 20}, stop: 4m}");
    let case = Case::new("range-warmup").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &warm);
    case.fails_with(&["."], &["scenario.yaml:5:11", "spec.warmup", "traffic of 4m"]);
}

#[test]
fn missing_files_that_a_scenario_names() {
    let traffic: String =
        SCENARIO
            .lines()
            .map(|line| {
                if line.contains("traffic:") {
                    "  traffic: {file: gone.yaml}\n".to_owned()
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
    let case = Case::new("gone").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &traffic);
    case.fails_with(&["."], &["scenario.yaml:7:19", "gone.yaml", "no such file", "the folder of ./scenario.yaml"]);
    let profile = SCENARIO.replace("opt-125m-cpu", "gone.yaml");
    let case = Case::new("gone").file("so.yaml", SCALED_OBJECT).file("scenario.yaml", &profile);
    case.fails_with(&["."], &["scenario.yaml:6:22", "gone.yaml", "no such file"]);
    let case = usual("other-kind").file("other.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
    case.fails_with(&[".", "--traffic", "so.yaml"], &["so.yaml holds no Traffic document, only ScaledObject"]);
}

#[test]
fn mistakes_in_a_sweep() {
    let sweep = |spec: &str, parts: &[&str]| {
        let text = format!("apiVersion: kedasim.dev/v1alpha1\nkind: Sweep\nmetadata: {{name: w}}\nspec:\n{spec}");
        let case = usual("sweep").file("sweep.txt", &text);
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
            .current_dir(&case.folder)
            .args(["sweep", "sweep.txt", "--out", "out"])
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is not in: {stderr}");
        }
        assert_eq!(stderr.matches("error:").count(), 1, "{stderr}");
        assert!(!case.folder.join("out").exists(), "something was written");
    };
    let axes = "  axes: {spec.maxReplicaCount: [2, 3]}\n";
    sweep(&format!("  policy: gone\n{axes}"), &["sweep.txt:5:11: spec.policy: gone", "the folder of sweep.txt"]);
    sweep(&format!("  policy: .\n  scenario: gone.yaml\n{axes}"), &["sweep.txt:6:13: spec.scenario: gone.yaml"]);
    let heatmap = "  heatmap: {x: spec.maxReplicaCount, y: spec.maxReplicaCount, value: flapz}\n";
    sweep(&format!("  policy: .\n{axes}{heatmap}"), &["sweep.txt:7:", "spec.heatmap.value", "\"flapz\""]);
    sweep("  policy: .\n  axes: {\"Scenario:spec.seed\": [1, 2]}\n", &["sweep.txt:6:10", "use seeds:"]);
    sweep("  policy: .\n  axes: {spec.maxReplicaCount: [2, 3, 2]}\n", &["sweep.txt:6:39", "found the integer 2 twice"]);
    sweep("  policy: .\n  axes: {spec.maxReplicas: [2]}\n", &["sweep.txt:6:10: axis spec.maxReplicas: unknown key"]);
    sweep("  policy: .\n  axes: {\"Traffic:spec.stop\": [1m]}\n", &["sweep.txt:6:10", "Scenario:spec.traffic"]);
    sweep(&format!("  policy: .\n{axes}  seeds: [3, 3]\n"), &["spec.seeds[1]", "the seed 3 twice"]);
    let axis = "  axes: {\"Scenario:spec.signals.triggers.x.constant\": [1, 2]}\n";
    sweep(&format!("  policy: .\n  signals: s.yaml\n{axis}"), &["sweep.txt:7:10", "replaces as a whole"]);
}

#[test]
fn conformance_says_what_is_missing() {
    let conformance = |arguments: &[&str], parts: &[&str]| {
        let case = Case::new("conformance").file("empty.jsonl", "").file(
            "cases.jsonl",
            "{\"id\": \"a\", \"dataset\": \"d\", \"query\": \"up\", \"eval_time_ms\": 0, \"type\": \"vector\", \"expected\": []}\n",
        );
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
            .current_dir(&case.folder)
            .arg("conformance")
            .args(arguments)
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "{part:?} is not in: {stderr}");
        }
    };
    conformance(&["promql", "empty.jsonl"], &["found no case"]);
    conformance(&["promql", "cases.jsonl"], &["cases.jsonl:1", "\"d\"", "the file that holds the datasets"]);
}

#[test]
fn a_policy_that_is_not_text() {
    let case = usual("binary");
    fs::write(case.folder.join("blob.yaml"), [0x7f, b'E', b'L', b'F', 0xff, 0xfe]).expect("writable");
    case.fails_with(&["blob.yaml"], &["blob.yaml:1:", "not text"]);
}

#[test]
fn signals_are_given_in_one_place() {
    let signals = "triggers: {s0-external: {value: {constant: 1}, target: 2}}\n";
    let set = "Scenario:spec.signals.triggers.s0-external.value.constant=4";
    let case = usual("signals-twice").file("signals.txt", signals);
    case.fails_with(&[".", "--signals", "signals.txt", "--set", set], &["--set", "replaces as a whole"]);
    let case = usual("signals-beside").file("signals.yaml", signals);
    case.fails_with(&["."], &["signals.yaml:1:1", "a file for --signals stands in no folder of a policy"]);
}

#[test]
fn a_scenario_that_is_not_there_can_be_set() {
    let case = Case::new("no-scenario").file("so.yaml", SCALED_OBJECT);
    let traffic = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/stable-2.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .current_dir(&case.folder)
        .args(["simulate", "so.yaml", "--profile", "opt-125m-cpu", "--traffic"])
        .arg(traffic)
        .args(["--set", "Scenario:spec.duration=90s", "--set", "Scenario:spec.seed=7"])
        .output()
        .expect("the binary runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.split_whitespace().collect::<Vec<_>>().join(" ").contains("seed 7, 1m30s simulated"), "{stdout}");
}

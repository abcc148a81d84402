//! `kedasim lint`: exit codes, verdicts, places and the JSON contract, on files as people have them.

use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const HEAD: &str = "apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: app}
";

/// A ScaledObject with this query, written in YAML after `query: `, and more lines of its spec.
fn with_query(query: &str, spec: &str) -> String {
    format!(
        "{HEAD}{spec}  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        threshold: \"5\"
        query: {query}
"
    )
}

/// A fresh folder for one case.
struct Case {
    folder: PathBuf,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lint").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the case");
        Case { folder }
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("inside the folder")).expect("writable");
        fs::write(path, text).expect("writable");
        self
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
        command.current_dir(&self.folder).arg("lint").args(arguments);
        command
    }

    /// Exit code, and what is printed.
    fn text(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    }

    /// Exit code, and the report.
    fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = self.command(arguments).args(["--format", "json"]).output().expect("the binary runs");
        (output.status.code(), report(&output))
    }
}

fn report(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; stderr: {errors}"))
}

fn names(report: &Value) -> Vec<String> {
    let files = report["files"].as_array().expect("files");
    let objects = files.iter().flat_map(|file| file["objects"].as_array().expect("objects"));
    objects.map(|object| object["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn no_malformed_file_is_worse_than_a_report_with_an_error() {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/malformed")
        .expect("the corpus is there")
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    assert!(files.len() > 30);
    for file in files {
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
            .args(["lint", &file.to_string_lossy(), "--format", "json"])
            .output()
            .expect("the binary runs");
        assert_eq!(output.status.code(), Some(1), "{}", file.display());
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&output);
        assert!(report["summary"]["errors"].as_u64() >= Some(1), "{}", file.display());
        let own = &report["files"][0];
        let failed = own["load"]["status"] == "failed";
        let rejected = own["objects"].as_array().expect("objects").iter().any(|object| {
            object["verdict"]["rejectedBy"].as_array().is_some_and(|by| by.contains(&Value::from("apiServer")))
        });
        assert!(failed != rejected, "{}: either it does not load, or the API server refuses it", file.display());
    }
}

#[test]
fn an_accepted_object_says_what_is_in_force() {
    let spec = "  minReplicaCount: 0\n  maxReplicaCount: 3\n  cooldownPeriod: 60\n";
    let case = Case::new("accepted").file("so.yaml", &with_query("sum(up{namespace=\"a\"})", spec));
    let (code, report) = case.json(&["so.yaml"]);
    assert_eq!(code, Some(0));
    assert_eq!(report["schemaVersion"], 1);
    let summary =
        serde_json::json!({"files": 1, "objects": 1, "errors": 0, "warnings": 0, "notes": 6, "suppressed": 0});
    assert_eq!(report["summary"], summary);
    let file = &report["files"][0];
    assert_eq!((&file["file"], &file["load"]["status"]), (&Value::from("so.yaml"), &Value::from("ok")));
    let object = &file["objects"][0];
    assert_eq!((&object["kind"], &object["line"]), (&Value::from("ScaledObject"), &Value::from(1)));
    assert_eq!(
        object["verdict"],
        serde_json::json!({"status": "accepted", "rejectedBy": [], "strictApply": "accepted",
            "queries": [{"trigger": "s0-prometheus", "status": "ok"}]})
    );
    assert_eq!(
        object["hpa"],
        serde_json::json!({"name": "keda-hpa-so", "minReplicas": 1, "maxReplicas": 3,
            "metrics": [{"name": "s0-prometheus", "type": "AverageValue", "target": 5.0}]})
    );
    let effective = &object["effective"];
    assert_eq!(effective["canScaleToZero"], true);
    assert_eq!(effective["cooldownPeriodSeconds"], 60.0);
    assert_eq!(effective["pollingIntervalSeconds"], 30.0);
    let (_, text) = case.text(&["so.yaml"]);
    let advice: Vec<&str> = text.lines().filter(|line| line.starts_with("  L-")).map(|line| &line[2..6]).collect();
    assert_eq!(advice, ["L-04", "L-09", "L-11", "L-12", "L-23", "L-45"], "{text}");
    let without = ["so.yaml", "--ignore", "L-04,L-09,L-11,L-12,L-23,L-45"];
    assert_eq!(
        case.text(&without).1,
        "ACCEPTED keda.sh ScaledObject so (so.yaml:1): HPA 1..3, s0-prometheus 5 AverageValue\n\n\
         1 file, 1 object, 0 errors, 0 warnings, 0 notes, 6 suppressed\n"
    );
}

#[test]
fn periods_that_do_nothing_are_told_apart() {
    let act = |spec: &str| {
        let case = Case::new("periods").file("so.yaml", &with_query("sum(up)", spec));
        let (_, report) = case.json(&["so.yaml"]);
        let effective = &report["files"][0]["objects"][0]["effective"];
        (
            effective["pollingIntervalActs"] == true,
            effective["cooldownPeriodActs"] == true,
            effective["canScaleToZero"] == true,
        )
    };
    assert_eq!(act("  minReplicaCount: 1\n"), (false, false, false));
    assert_eq!(act(""), (true, true, true), "an absent minimum is 0");
    assert_eq!(act("  minReplicaCount: 2\n  idleReplicaCount: 0\n"), (true, true, true));
    assert_eq!(act("  minReplicaCount: 2\n  idleReplicaCount: 1\n"), (true, true, false));
    assert_eq!(act("  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 2}\n"), (true, false, false));
}

#[test]
fn a_query_that_prometheus_refuses_is_shown_at_its_character() {
    let query = "|\n          avg(\n            waiting{app.kubernetes.io/component=\"x\"})";
    let case = Case::new("refused").file("so.yaml", &with_query(query, ""));
    let (code, report) = case.json(&["so.yaml"]);
    assert_eq!(code, Some(1));
    let object = &report["files"][0]["objects"][0];
    assert_eq!(object["verdict"]["status"], "accepted", "the object is fine, its query is not");
    assert_eq!(object["verdict"]["queries"][0]["status"], "refused");
    let found = &object["diagnostics"][0];
    assert_eq!((&found["judge"], &found["severity"]), (&Value::from("prometheus"), &Value::from("error")));
    assert_eq!((&found["line"], &found["column"]), (&Value::from(13), &Value::from(24)));
    assert_eq!(found["path"], "spec.triggers[0].metadata.query");
    let (_, text) = case.text(&["so.yaml"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("ACCEPTED ") && lines[1] == "  the query of s0-prometheus is refused by Prometheus");
    let shown = lines.iter().position(|line| line.contains("| ") && line.contains("waiting{app.")).expect("the line");
    assert_eq!(lines[shown + 1].find('^'), lines[shown].find(".kubernetes"), "{text}");
}

#[test]
fn a_query_whose_answer_keda_cannot_read_is_told() {
    let table = [
        ("sum(up)", "ok", ""),
        ("up", "ok", ""),
        ("vector(1)", "ok", ""),
        ("scalar(sum(up))", "neverAnswers", "gives a scalar"),
        ("\"1\"", "neverAnswers", "gives a scalar"),
        ("time() / 2", "neverAnswers", "gives a scalar"),
        ("\"'up'\"", "neverAnswers", "gives a string"),
        ("up[5m]", "neverAnswers", "gives a range vector: KEDA finds no value in a range vector and takes 0"),
        ("up[5m]\n        ignoreNullValues: \"false\"", "neverAnswers", "so every query is an error"),
        ("sum(up", "refused", "HTTP 400"),
        ("sum(histogram_count(up))", "unknown", "cannot be judged"),
    ];
    for (query, status, message) in table {
        let case = Case::new("answers").file("so.yaml", &with_query(query, ""));
        let (code, report) = case.json(&["so.yaml"]);
        let own = &report["files"][0]["objects"][0]["verdict"]["queries"][0];
        assert_eq!(own["status"], status, "{query}");
        assert!(own["message"].as_str().unwrap_or_default().contains(message), "{query}: {own}");
        assert_eq!(code, Some(i32::from(!matches!(status, "ok" | "unknown"))), "{query}");
    }
}

#[test]
fn a_key_that_is_dropped_is_refused_by_a_strict_apply() {
    let case = Case::new("dropped").file("so.yaml", &with_query("sum(up)", "  maxReplicas: 3\n"));
    let (code, report) = case.json(&["so.yaml"]);
    assert_eq!(code, Some(0));
    let object = &report["files"][0]["objects"][0];
    assert_eq!(
        (&object["verdict"]["status"], &object["verdict"]["strictApply"]),
        (&"accepted".into(), &"refused".into())
    );
    assert_eq!(object["hpa"]["maxReplicas"], 100);
    assert_eq!(case.json(&["so.yaml", "--fail-on", "warning"]).0, Some(1));
}

#[test]
fn a_value_that_is_no_string_is_read_and_refused_by_the_api_server() {
    let text = with_query("sum(up)", "").replace("\"5\"", "5");
    let (code, report) = Case::new("coerced").file("so.yaml", &text).json(&["so.yaml"]);
    assert_eq!(code, Some(1));
    let file = &report["files"][0];
    assert_eq!(file["load"]["status"], "coerced");
    assert!(file["load"]["diagnostics"][0]["message"].as_str().expect("text").contains("is read as the text \"5\""));
    assert_eq!(file["objects"][0]["verdict"]["rejectedBy"], serde_json::json!(["apiServer"]));
    assert_eq!(file["objects"][0]["verdict"]["status"], "rejected");
}

#[test]
fn files_folders_lists_and_standard_input_are_read() {
    // Each with a target of its own.
    let named = |name: &str| {
        let text = with_query("sum(up)", "").replace("{name: so}", &format!("{{name: {name}}}"));
        text.replace("{name: app}", &format!("{{name: app-{name}}}"))
    };
    let item: String = named("in-list").lines().map(|line| format!("    {line}\n")).collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n  -\n{item}");
    let case = Case::new("inputs")
        .file("two.yaml", &format!("{}---\n{}", named("first"), named("second")))
        .file("folder/b.yaml", &named("b"))
        .file("folder/a.yaml", &named("a"))
        .file("folder/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")
        .file("list.yaml", &list);
    let (code, report) = case.json(&["two.yaml", "folder", "list.yaml"]);
    assert_eq!((code, names(&report)), (Some(0), ["first", "second", "a", "b", "in-list"].map(str::to_owned).to_vec()));
    let config = &report["files"][3];
    assert_eq!(config["file"], "folder/config.yaml");
    assert!(config["load"]["diagnostics"][0]["message"].as_str().expect("text").contains("ConfigMap c is passed over"));
    let (_, chosen) = case.json(&["two.yaml", "folder", "--name", "second"]);
    assert_eq!(names(&chosen), ["second"]);

    let mut child =
        case.command(&["-", "--format", "json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("piped").write_all(list.as_bytes()).expect("read");
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(0));
    let report = self::report(&output);
    assert_eq!((names(&report), &report["files"][0]["file"]), (vec!["in-list".to_owned()], &Value::from("<stdin>")));
}

#[test]
fn one_broken_document_hides_no_other() {
    let text = format!("{}---\nkind: \"\"\nspec: {{}}\n", with_query("sum(up)", ""));
    let case = Case::new("hides").file("a.yaml", &text).file("b.yaml", "a: [\n").file("c.yaml", &with_query("up", ""));
    let (code, report) = case.json(&["a.yaml", "b.yaml", "c.yaml"]);
    assert_eq!((code, names(&report).len()), (Some(1), 2));
    let status: Vec<&Value> = (0..3).map(|index| &report["files"][index]["load"]["status"]).collect();
    assert_eq!(status, ["failed", "failed", "ok"]);
}

#[test]
fn only_what_is_not_there_is_bad_usage() {
    let case = Case::new("usage").file("so.yaml", &with_query("sum(up)", "")).file("empty/readme.txt", "no");
    for arguments in [
        &["nowhere.yaml"][..],
        &["so.yaml", "nowhere.yaml"],
        &["empty"],
        &["so.yaml", "--name", "other"],
        &["so.yaml", "--keda-version", "1.5"],
        &["so.yaml", "--kubernetes-version", "1.99"],
        &["so.yaml", "--fail-on", "often"],
        &[],
    ] {
        let output = case.command(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn the_version_decides() {
    let spec = "  minReplicaCount: 1\n  cooldownPeriod: 60\n";
    let case = Case::new("version").file("so.yaml", &with_query("sum(up{namespace=\"a\"})", spec));
    let warnings = |version: &str| case.json(&["so.yaml", "--keda-version", version]).1["summary"]["warnings"].clone();
    assert_eq!((warnings("2.20.2"), warnings("2.19.0")), (Value::from(1), Value::from(0)));
}

#[test]
fn a_second_autoscaler_of_one_target_is_refused_by_the_webhook() {
    let second = with_query("sum(up)", "").replace("{name: so}", "{name: other}");
    let case = Case::new("second").file("so.yaml", &with_query("sum(up)", "")).file("other.yaml", &second);
    let (code, report) = case.json(&["so.yaml", "other.yaml"]);
    assert_eq!(code, Some(1));
    let verdict = |index: usize| report["files"][index]["objects"][0]["verdict"].clone();
    assert_eq!(
        (&verdict(0)["status"], &verdict(1)["rejectedBy"]),
        (&"accepted".into(), &serde_json::json!(["webhook"]))
    );
    let message = report["files"][1]["objects"][0]["diagnostics"][0]["message"].as_str().expect("a message").to_owned();
    assert!(message.contains("is already managed by the ScaledObject 'so'"), "{message}");
}

#[test]
fn a_cpu_trigger_needs_a_request_of_its_target() {
    let object = format!(
        "{HEAD}  minReplicaCount: 1\n  triggers:\n    - {{type: cpu, metricType: Utilization, metadata: {{value: \"80\"}}}}\n"
    );
    let workload = |resources: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app}}\nspec:\n  template:\n    spec:\n      containers:\n        \
             - {{name: main, image: x{resources}}}\n"
        )
    };
    let verdict = |resources: &str| {
        let case = Case::new("requests").file("so.yaml", &object).file("app.yaml", &workload(resources));
        let (_, report) = case.json(&["so.yaml", "app.yaml"]);
        report["files"][0]["objects"][0].clone()
    };
    let without = verdict("");
    assert_eq!(without["verdict"]["rejectedBy"], serde_json::json!(["webhook"]));
    let with = verdict(", resources: {requests: {cpu: \"2\"}}");
    assert_eq!(with["verdict"]["status"], "accepted", "{with}");
    assert_eq!(with["hpa"]["metrics"], serde_json::json!([{"name": "cpu", "type": "Utilization", "target": 80.0}]));
}

#[test]
fn a_trigger_without_a_signal_is_judged_all_the_same() {
    let object = |metadata: &str| format!("{HEAD}  triggers:\n    - {{type: external, metadata: {{{metadata}}}}}\n");
    let case = Case::new("external").file("so.yaml", &object("scalerAddress: \"scaler:9090\""));
    let (code, report) = case.json(&["so.yaml"]);
    let own = &report["files"][0]["objects"][0];
    assert_eq!((code, &own["verdict"]["status"]), (Some(0), &"accepted".into()), "{own}");
    let metric = &own["hpa"]["metrics"][0];
    assert_eq!((&metric["type"], &metric["target"]), (&Value::Null, &Value::Null), "its scaler decides");
    let messages = own["diagnostics"].as_array().expect("messages");
    let note = messages.iter().find(|own| own["code"].is_null()).expect("what is no rule's");
    assert_eq!((&note["severity"], &note["judge"]), (&"note".into(), &Value::Null));
    assert!(note["message"].as_str().expect("text").starts_with("kedasim: "), "{note}");

    let (code, report) = Case::new("external").file("so.yaml", &object("metricName: x")).json(&["so.yaml"]);
    let own = &report["files"][0]["objects"][0];
    assert_eq!((code, &own["verdict"]["rejectedBy"]), (Some(1), &serde_json::json!(["operator"])), "{own}");
}

#[test]
fn a_plain_hpa_is_judged() {
    let hpa = |target: &str| {
        format!(
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: plain}}\nspec:\n  scaleTargetRef: \
             {{apiVersion: apps/v1, kind: Deployment, name: app}}\n  maxReplicas: 4\n  metrics:\n    - type: External\n      external:\n        \
             metric: {{name: queue}}\n        target: {{type: AverageValue, averageValue: \"{target}\"}}\n"
        )
    };
    let (code, report) = Case::new("plain").file("hpa.yaml", &hpa("500m")).json(&["hpa.yaml"]);
    let own = &report["files"][0]["objects"][0];
    assert_eq!((code, &own["verdict"]["status"]), (Some(0), &"accepted".into()), "{own}");
    let metrics = serde_json::json!([{"name": "queue", "type": "AverageValue", "target": 0.5}]);
    assert_eq!(
        own["hpa"],
        serde_json::json!({"name": "plain", "minReplicas": 1, "maxReplicas": 4, "metrics": metrics})
    );
    let (code, report) = Case::new("plain").file("hpa.yaml", &hpa("0")).json(&["hpa.yaml"]);
    assert_eq!((code, &report["files"][0]["objects"][0]["verdict"]["status"]), (Some(1), &"rejected".into()));
}

#[test]
fn what_kserve_would_generate_is_judged_too() {
    let service = "apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: svc
  annotations: {serving.kserve.io/deploymentMode: Standard, serving.kserve.io/autoscalerClass: keda}
spec:
  predictor:
    minReplicas: 1
    maxReplicas: 5
    model: {modelFormat: {name: huggingface}, storageUri: \"hf://x/y\"}
    autoScaling:
      metrics:
        - type: External
          external:
            metric: {backend: prometheus, serverAddress: \"http://prometheus:9090\", query: \"sum(up\"}
            target: {type: Value, value: \"2\"}
";
    let (code, report) = Case::new("kserve").file("svc.yaml", service).json(&["svc.yaml"]);
    let objects = &report["files"][0]["objects"];
    assert_eq!(
        (code, &objects[0]["kind"], &objects[0]["verdict"]["status"]),
        (Some(1), &"InferenceService".into(), &"unknown".into())
    );
    let own = &objects[1];
    assert_eq!((&own["name"], &own["verdict"]["status"]), (&"svc-predictor".into(), &"accepted".into()), "{own}");
    assert_eq!(own["generatedBy"], serde_json::json!({"kind": "InferenceService", "name": "svc"}));
    assert_eq!(
        own["hpa"]["metrics"],
        serde_json::json!([{"name": "s0-prometheus", "type": "AverageValue", "target": 2.0}])
    );
    assert_eq!(own["verdict"]["queries"][0]["status"], "refused");
}

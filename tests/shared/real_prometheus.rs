//! A real Prometheus as the judge: it is given, by remote write, what the simulated one stored, up to each decision, and must
//! answer that decision's queries as `decisions.jsonl` says. Needs `prometheus` in the PATH, so that plain `cargo test` leaves
//! this out.
//!
//! The clock of the judge stands still between two decisions; nothing is scraped, all comes from the file.

mod prometheus_process;

use kedasim::export::{RemoteWriteRecord, Sample, WriteRequest, read_record};
use kedasim::prometheus::PrometheusServer;
use prometheus_process::{Element, Prometheus};
use prost::Message;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a scenario must show beside the equality, so that it cannot be met by nothing.
struct Wanted {
    compared: usize,
    non_zero: usize,
    markers: usize,
}

/// A run's folder and what it stored.
struct Run {
    decisions: Vec<Value>,
    records: Vec<RemoteWriteRecord>,
    /// Start of the run, microseconds since the Unix epoch.
    start_us: i64,
}

/// What came out of a replay.
#[derive(Debug, Default)]
struct Outcome {
    compared: usize,
    non_zero: usize,
    /// Decisions that failed, and must have.
    failed: usize,
    mismatches: Vec<String>,
    /// Times at which a query was asked.
    times: BTreeSet<i64>,
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("real-prometheus").join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("our own scratch folder");
    }
    std::fs::create_dir_all(&path).expect("a scratch folder");
    path
}

fn kedasim(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Simulates with the installed Prometheus' semantics, exports, and reads both back.
fn run(name: &str, arguments: &[&str], documents: &str) -> Run {
    let folder = scratch(name);
    let (out, file) = (folder.join("run"), folder.join("samples.rw"));
    let (out, file) = (out.to_str().expect("text"), file.to_str().expect("text"));
    let mut command = vec!["simulate"];
    let policy = folder.join("more.yaml");
    if !documents.is_empty() {
        std::fs::write(&policy, documents).expect("a scratch file");
        command.push(policy.to_str().expect("text"));
    }
    command.extend_from_slice(arguments);
    command.extend_from_slice(&["--set", "Scenario:spec.prometheus.version=\"2.42\"", "--out", out]);
    kedasim(&command);
    let printed = kedasim(&["export", out, "--remote-write", file]);
    let start = printed.lines().find_map(|line| line.strip_prefix("start ")).expect("the start is printed");
    let start_us = start.replace('.', "").parse::<i64>().expect("decimal seconds") * 1000;
    let decisions = std::fs::read_to_string(Path::new(out).join("decisions.jsonl")).expect("the run's decisions");
    let decisions = decisions.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let mut bytes = std::io::BufReader::new(std::fs::File::open(file).expect("the export"));
    let mut records = Vec::new();
    while let Some(record) = read_record(&mut bytes).expect("whole records") {
        records.push(record);
    }
    Run { decisions, records, start_us }
}

/// Replays a run into a new Prometheus and compares every answer.
fn replay(name: &str, run: &Run) -> Outcome {
    let mut prometheus = Prometheus::start(&scratch(&format!("{name}-data")));
    let mut outcome = Outcome::default();
    let mut records = run.records.iter().peekable();
    for decision in &run.decisions {
        let t = decision["t"].as_f64().expect("a time");
        let now_us = run.start_us + (t * 1e6).round() as i64;
        while let Some(record) = records.next_if(|record| record.visible_us <= now_us) {
            prometheus.write(&record.body);
        }
        for metric in decision["metrics"].as_array().expect("a list") {
            // An answer from a cache was asked for earlier, on what could be seen then.
            if metric["triggerKind"] == "prometheus" && metric["cached"] != true {
                compare(&mut prometheus, run.start_us, t, metric, &mut outcome);
            }
        }
    }
    outcome
}

fn compare(prometheus: &mut Prometheus, start_us: i64, t: f64, metric: &Value, outcome: &mut Outcome) {
    let query = metric["query"].as_str().expect("a query");
    let time = start_us / 1_000_000 + metric["queryTime"].as_f64().expect("a whole second") as i64;
    outcome.times.insert(time);
    let expected = keda_reads(&prometheus.query(query, time));
    let text = metric["valueText"].as_str().map(|text| text.parse::<f64>().expect("a number"));
    let found = metric["value"].as_f64().or(text);
    let same = match (found, &expected) {
        (Some(found), Ok(expected)) => {
            (found - expected).abs() <= 1e-9 * found.abs().max(expected.abs())
                || found.to_bits() == expected.to_bits()
                || (found.is_nan() && expected.is_nan())
        }
        (None, Err(_)) => metric["error"].is_string(),
        _ => false,
    };
    outcome.compared += 1;
    outcome.failed += usize::from(found.is_none());
    outcome.non_zero += usize::from(found.is_some_and(|value| value != 0.0));
    if !same {
        outcome.mismatches.push(format!("{query} at {t}: decisions.jsonl {found:?}, Prometheus {expected:?}"));
    }
}

/// What KEDA 2.20 makes of an answer with its default settings: nothing, an infinity and NaN are 0 (reference of
/// `ignoreNullValues`), several elements are an error.
fn keda_reads(answer: &Result<Vec<Element>, String>) -> Result<f64, String> {
    match answer.as_deref() {
        Ok([]) => Ok(0.0),
        Ok([Element { value }]) => Ok(if value.is_finite() { *value } else { 0.0 }),
        Ok(more) => Err(format!("{} elements", more.len())),
        Err(error) => Err(error.clone()),
    }
}

/// The run without its staleness markers.
fn without_markers(run: &Run) -> Run {
    let records = run.records.iter().map(|record| {
        changed(record, |samples| samples.retain(|sample| sample.value.to_bits() != PrometheusServer::STALE_BITS))
    });
    Run { decisions: run.decisions.clone(), records: records.collect(), start_us: run.start_us }
}

fn changed(record: &RemoteWriteRecord, mut change: impl FnMut(&mut Vec<Sample>)) -> RemoteWriteRecord {
    let mut request: WriteRequest = record.request().expect("a request");
    for series in &mut request.timeseries {
        change(&mut series.samples);
    }
    request.timeseries.retain(|series| !series.samples.is_empty());
    let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("a small message");
    RemoteWriteRecord { visible_us: record.visible_us, body }
}

/// How many staleness markers a run has.
fn markers(run: &Run) -> usize {
    let of = |record: &RemoteWriteRecord| {
        let request = record.request().expect("a request");
        let samples = request.timeseries.iter().flat_map(|series| &series.samples);
        samples.filter(|sample| sample.value.to_bits() == PrometheusServer::STALE_BITS).count()
    };
    run.records.iter().map(of).sum()
}

fn judge(name: &str, run: &Run, wanted: &Wanted) -> Outcome {
    let outcome = replay(name, run);
    let markers = markers(run);
    println!(
        "{name}: {} answers compared, {} not 0, {} errors; {} requests, {markers} staleness markers",
        outcome.compared,
        outcome.non_zero,
        outcome.failed,
        run.records.len()
    );
    assert!(outcome.mismatches.is_empty(), "{name}: {}", outcome.mismatches.join("\n"));
    let enough = outcome.compared >= wanted.compared && outcome.non_zero >= wanted.non_zero;
    assert!(enough && markers >= wanted.markers, "{name} shows too little: {outcome:?}, {markers} markers");
    outcome
}

#[test]
fn the_whole_ring() {
    let run = run("opt-125m", &["policies/opt-125m"], "");
    judge("opt-125m", &run, &Wanted { compared: 100, non_zero: 50, markers: 100 });
    // The judge sees a sample that is wrong by one part in a million.
    let mut wrong = Run { decisions: run.decisions.clone(), records: run.records.clone(), start_us: run.start_us };
    for record in &mut wrong.records {
        *record = changed(record, |samples| {
            for sample in samples.iter_mut().filter(|sample| sample.value.is_finite()) {
                sample.value *= 1.000_001;
            }
        });
    }
    let outcome = replay("opt-125m-wrong", &wrong);
    assert!(!outcome.mismatches.is_empty(), "a planted error was not seen");
    println!("opt-125m, samples changed by 1e-6: {} mismatches, as there must be", outcome.mismatches.len());
}

#[test]
fn quantiles_while_pods_come_and_go() {
    let arguments = [
        "policies/opt-125m-ttft-kv-running",
        "--traffic",
        "traces/stable-3.yaml",
        "--seed",
        "3",
        "--set",
        "spec.triggers[0].metadata.threshold=0.05",
        "--set",
        "spec.triggers[2].metadata.threshold=0.5",
    ];
    let run = run("ttft", &arguments, "");
    judge("ttft", &run, &Wanted { compared: 300, non_zero: 100, markers: 500 });
    let outcome = replay("ttft-unmarked", &without_markers(&run));
    assert!(!outcome.mismatches.is_empty(), "markers that are missing were not seen");
    println!("ttft, markers left out: {} mismatches, as there must be", outcome.mismatches.len());
}

/// Half of the scrapes fail for five minutes: `up` is 0 then, and the gauge is gone. Later Prometheus is down for a minute,
/// and then the pods answer so late that a sample is seen long after its time stamp.
const LOSS: &str = "Scenario:spec.faults=[{scrapeLoss: {share: 0.5}, at: 4m, for: 5m}, {prometheusDown: {}, at: 11m, for: 1m}, {scrapeSlow: {latency: 9s}, at: 13m, for: 3m}]";

#[test]
fn scrapes_are_lost_and_prometheus_restarts() {
    let arguments = [
        "policies/opt-125m",
        "--set",
        LOSS,
        "--set",
        "spec.triggers[0].metadata.query=count(vllm:num_requests_running) + sum(up)",
        "--set",
        "spec.triggers[0].metadata.threshold=1.5",
    ];
    let run = run("faults", &arguments, "");
    // While Prometheus is down KEDA gets no answer, which no Prometheus that runs can give.
    let down = |decision: &Value| (660.0..720.0).contains(&decision["t"].as_f64().expect("a time"));
    let decisions = run.decisions.iter().filter(|decision| !down(decision)).cloned().collect();
    let run = Run { decisions, ..run };
    judge("faults", &run, &Wanted { compared: 100, non_zero: 50, markers: 1000 });
    let outcome = replay("faults-unmarked", &without_markers(&run));
    assert!(!outcome.mismatches.is_empty(), "markers that are missing were not seen");
    println!("faults, markers left out: {} mismatches, as there must be", outcome.mismatches.len());
}

#[test]
fn what_prometheus_refuses() {
    let query = "spec.triggers[0].metadata.query=vllm:num_requests_running / on(job) vllm:num_requests_waiting";
    let replicas = ["--set", "spec.minReplicaCount=2", "--set", "Scenario:spec.initialReplicas=2", "--duration", "8m"];
    let run = run("refused", &[&["policies/opt-125m", "--set", query][..], &replicas].concat(), "");
    let outcome = judge("refused", &run, &Wanted { compared: 40, non_zero: 0, markers: 0 });
    assert!(outcome.failed > 40, "{outcome:?}");
}

const RULES: &str = r#"apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: tokens}
spec:
  groups:
    - name: tokens
      interval: 20s
      rules:
        - record: model:prompt_tokens:rate2m
          expr: sum by (model_name, job) (rate(vllm:prompt_tokens_total[2m]))
        - record: model:running:sum
          expr: sum by (pod) (vllm:num_requests_running) > 0
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata: {name: again}
spec:
  selector:
    matchLabels: {serving.kserve.io/inferenceservice: opt-125m}
  podMetricsEndpoints:
    - {port: http, path: /metrics, interval: 20s}
"#;

#[test]
fn a_recording_rule_over_two_monitors() {
    const QUERY: &str = "sum(model:prompt_tokens:rate2m) + (sum(model:running:sum) or vector(0))";
    let query = format!("spec.triggers[0].metadata.query={QUERY}");
    let threshold = "spec.triggers[0].metadata.threshold=1";
    let run = run("rules", &["policies/opt-125m", "--set", &query, "--set", threshold], RULES);
    judge("rules", &run, &Wanted { compared: 100, non_zero: 50, markers: 500 });
}

#[test]
fn promtool_takes_the_openmetrics_text() {
    let folder = scratch("openmetrics");
    let (out, file, data) = (folder.join("run"), folder.join("metrics.txt"), folder.join("data"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    kedasim(&["simulate", "policies/opt-125m", "--out", &text(&out)]);
    let printed = kedasim(&["export", &text(&out), "--openmetrics", &text(&file)]);
    let number = |key: &str| -> f64 {
        let line = printed.lines().find_map(|line| line.strip_prefix(key)).expect("the key is printed");
        line.trim().parse().expect("a number")
    };
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics", &text(&file), &text(&data)])
        .output()
        .expect("promtool is in the PATH (apt-get install prometheus)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut prometheus = Prometheus::start(&folder);
    let metrics = std::fs::read_to_string(&file).expect("the export");
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<&str> = lines.map(|line| line.split(['{', ' ']).next().expect("a name")).collect();
    let last = number("last") as i64 + 1;
    let mut value = 0.0;
    for name in &names {
        let query = format!("sum(count_over_time({{__name__=\"{name}\"}}[12h]))");
        let found = prometheus.query(&query, last).expect("an answer");
        let [Element { value: own }] = found.as_slice() else { panic!("{name}: found {found:?}") };
        value += own;
    }
    println!("openmetrics: {value} samples of {} metrics backfilled by promtool", names.len());
    assert!(value > 10_000.0 && value == number("samples") - number("markers"), "{value} in {printed}");
}

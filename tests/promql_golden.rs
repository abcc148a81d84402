//! Recorded answers of real Prometheus engines (tests/golden/promql, 1,219 cases) under three versions' semantics.

use kedasim::cli::conformance_promql::{self, Corpus};
use kedasim::prometheus::PrometheusVersion;
use std::path::PathBuf;

/// Cases in the corpus.
const CASES: usize = 1219;

fn corpus(files: &[&str]) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/promql");
    files.iter().map(|file| folder.join(file)).collect()
}

fn recorded(version: PrometheusVersion) {
    let corpus =
        Corpus::read(&corpus(&["shared-datasets.jsonl", "shared.jsonl"])).expect("the committed corpus is readable");
    let outcomes = corpus.outcomes(version).expect("the committed corpus is well-formed");
    let failed = |outcome: &conformance_promql::Outcome| {
        outcome.failure.as_ref().map(|why| format!("{}: {}\n  {why}", outcome.id, outcome.query))
    };
    let failures: Vec<String> = outcomes.iter().filter_map(failed).collect();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), outcomes.len(), failures.join("\n"));
    assert_eq!(outcomes.len(), CASES);
}

#[test]
fn answers_are_those_of_prometheus_3_14() {
    recorded(PrometheusVersion::V3);
}

#[test]
fn answers_are_those_of_prometheus_2_55() {
    recorded(PrometheusVersion::V2_55);
}

#[test]
fn answers_are_those_of_prometheus_2_42() {
    recorded(PrometheusVersion::V2_42);
}

#[test]
fn the_runner_counts_and_names_failures() {
    let run_as = |version| {
        let mut out = Vec::new();
        let files = corpus(&["shared-datasets.jsonl", "shared.jsonl"]);
        let counts = conformance_promql::run(&files, version, &mut out).expect("the corpus is well-formed");
        (counts, String::from_utf8(out).expect("the report is text"))
    };
    let cases = CASES as u64;
    assert_eq!(run_as(Some(PrometheusVersion::V2_42)), ((cases, 0), "1219 passed, 0 failed\n".to_owned()));
    let missing = conformance_promql::run(&corpus(&["nowhere.jsonl"]), None, &mut Vec::new());
    assert!(missing.expect_err("no such file").to_string().contains("nowhere.jsonl"));
}

#[test]
fn a_wrong_answer_is_counted_and_named() {
    let dataset = r#"{"dataset":"d","base_ms":0,"series":[{"labels":{"__name__":"up"},"samples":[[0,1]]}]}"#;
    let case = |id: &str, value: &str| {
        format!(
            r#"{{"id":"{id}","group":"g","dataset":"d","query":"up","eval_time_ms":0,"prometheus_version":"3.14.0","type":"vector","expected":[{{"labels":{{"__name__":"up"}},"value":"{value}"}}]}}"#
        )
    };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("promql-runner");
    std::fs::create_dir_all(&folder).expect("a folder for the case");
    std::fs::write(folder.join("t-datasets.jsonl"), format!("{dataset}\n")).expect("writable");
    std::fs::write(folder.join("t.jsonl"), format!("{}\n{}\n", case("right", "1"), case("wrong", "2")))
        .expect("writable");
    let mut out = Vec::new();
    let files = [folder.join("t-datasets.jsonl"), folder.join("t.jsonl")];
    let counts = conformance_promql::run(&files, Some(PrometheusVersion::V3), &mut out).expect("well-formed");
    let report = String::from_utf8(out).expect("the report is text");
    assert_eq!(counts, (1, 1), "{report}");
    assert!(report.contains("wrong") && report.ends_with("1 passed, 1 failed\n"), "{report}");
}

//! Recorded answers of real Prometheus engines (tests/golden/promql, 1,219 cases) under four releases' semantics.

use kedasim::cli::conformance_promql::{self, Corpus, Outcome, Release, Verdict};
use std::path::{Path, PathBuf};

/// Cases in the corpus.
const CASES: usize = 1219;

fn corpus(files: &[&str]) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/promql");
    files.iter().map(|file| folder.join(file)).collect()
}

/// An empty folder for a corpus of this test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What an earlier run left there does not belong to it.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder for the case");
    folder
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("writable");
    path
}

fn run(files: &[PathBuf], release: Option<Release>) -> ((u64, u64), String) {
    let mut out = Vec::new();
    let counts = conformance_promql::run(files, release, &mut out).expect("the corpus is well-formed");
    (counts, String::from_utf8(out).expect("the report is text"))
}

const DATASET: &str =
    r#"{"dataset":"d","base_ms":0,"series":[{"labels":{"__name__":"up"},"samples":[[0,1],[15000,2],[30000,3]]}]}"#;

/// A case of `up` at 30 s, of which every release gave `value`, unless `more` says otherwise.
fn case(id: &str, query: &str, value: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{id}","dataset":"d","query":"{query}","eval_time_ms":30000,"type":"vector","expected":[{{"labels":{{}},"value":"{value}"}}]{more}}}"#
    )
}

#[test]
fn answers_are_those_of_every_recorded_release() {
    // The datasets are found beside the cases.
    let corpus = Corpus::read(&corpus(&["shared.jsonl"])).expect("the committed corpus is readable");
    let outcomes = corpus.outcomes(&Release::ALL).expect("the committed corpus is well-formed");
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.passed()).collect();
    assert!(failed.is_empty(), "{} of {} fail:\n{failed:#?}", failed.len(), outcomes.len());
    assert_eq!(outcomes.len(), CASES);
    for outcome in &outcomes {
        let releases: Vec<Release> = outcome.verdicts.iter().map(|(release, _)| *release).collect();
        assert_eq!(releases, Release::ALL, "{} runs under every release", outcome.id);
    }
}

#[test]
fn each_case_counts_once() {
    let cases = CASES as u64;
    let summary = "1219 passed, 0 failed\n".to_owned();
    assert_eq!(run(&corpus(&["shared.jsonl"]), None), ((cases, 0), summary.clone()));
    assert_eq!(run(&corpus(&["shared-datasets.jsonl", "shared.jsonl"]), Some(Release::V2_42)), ((cases, 0), summary));
    let missing = conformance_promql::run(&corpus(&["nowhere.jsonl"]), None, &mut Vec::new());
    assert!(missing.expect_err("no such file").to_string().contains("nowhere.jsonl"));
}

#[test]
fn a_mismatch_in_one_release_fails_the_case_and_says_where() {
    let folder = folder("promql-mismatch");
    write(&folder, "t-datasets.jsonl", DATASET);
    // 2.x counts the sample on the window's lower edge; this recording denies it for 2.42.
    let same = r#","same_in":["3.14.0","3.5.0","2.42.0"],"differs_in":{"2.55.1":{"type":"vector","expected":[{"labels":{},"value":"3"}]}}"#;
    let file = write(&folder, "t.jsonl", &case("edge", "count_over_time(up[30s])", "2", same));
    let ((passed, failed), report) = run(std::slice::from_ref(&file), None);
    assert_eq!((passed, failed), (0, 1), "{report}");
    let place = format!("{}:1: edge as Prometheus 2.42.0: count_over_time(up[30s])\n", file.display());
    assert!(report.starts_with(&place), "{report}");
    assert!(report.contains("  expected [{\"labels\":{},\"value\":\"2\"}]\n"), "{report}");
    assert!(report.contains("  found [{\"labels\":{},\"value\":\"3\"}]\n"), "{report}");
    assert!(!report.contains("2.55.1") && report.ends_with("\n0 passed, 1 failed\n"), "{report}");
    for release in [Release::V3_14, Release::V3_5, Release::V2_55] {
        assert_eq!(run(std::slice::from_ref(&file), Some(release)).0, (1, 0), "{release:?}");
    }
}

#[test]
fn scripted_cases_are_of_3_14_and_experimental_functions_are_told_apart() {
    let folder = folder("promql-scripted");
    write(&folder, "t-datasets.jsonl", DATASET);
    let lines = [
        case("edge", "count_over_time(up[30s])", "2", ""),
        case("flagged", "mad_over_time(up[1m])", "1", r#","experimental":true"#),
        r#"{"id":"failing","dataset":"d","query":"limitk(NaN, up)","eval_time_ms":0,"error":{"kind":"exec"}}"#
            .to_owned(),
    ];
    let file = write(&folder, "t.jsonl", &lines.join("\n"));
    let (counts, report) = run(std::slice::from_ref(&file), None);
    assert_eq!(counts, (1, 0), "{report}");
    assert!(report.starts_with("2 more need an experimental function"), "{report}");
    assert!(report.contains("  flagged: mad_over_time(up[1m])\n  failing: limitk(NaN, up)\n"), "{report}");
    assert_eq!(run(&[file], Some(Release::V2_42)).0, (0, 0), "no recording of 2.42 is there");
}

#[test]
fn a_recorded_case_may_not_hide_behind_a_feature_flag() {
    let folder = folder("promql-flag");
    write(&folder, "t-datasets.jsonl", DATASET);
    let file = write(&folder, "t.jsonl", &case("m", "mad_over_time(up[1m])", "1", r#","same_in":["3.14.0"]"#));
    assert_eq!(run(&[file], Some(Release::V3_14)).0, (0, 1));
}

#[test]
fn datasets_of_one_name_in_two_folders_stay_apart() {
    let (one, two) = (folder("promql-one"), folder("promql-two"));
    write(&one, "t-datasets.jsonl", DATASET);
    write(&two, "t-datasets.jsonl", &DATASET.replace("[30000,3]", "[30000,4]"));
    let files = [
        write(&one, "t.jsonl", &case("three", "sum(up)", "3", "")),
        write(&two, "t.jsonl", &case("four", "sum(up)", "4", "")),
    ];
    assert_eq!(run(&files, None), ((2, 0), "2 passed, 0 failed\n".to_owned()));
    write(&one, "u-datasets.jsonl", &DATASET.replace("[30000,3]", "[30000,5]"));
    let error = conformance_promql::run(&files, None, &mut Vec::new()).expect_err("which of them is meant?");
    assert!(error.to_string().contains("second, different dataset"), "{error}");
}

#[test]
fn lists_of_queries_have_to_parse() {
    let folder = folder("promql-lists");
    let file = write(&folder, "q.json", "{\n \"a\": [\"sum(up)\", \"sum(\"],\n \"b\": [\"{\\\"up\\\"}\"]\n}\n");
    let ((passed, failed), report) = run(std::slice::from_ref(&file), None);
    assert_eq!((passed, failed), (2, 1), "{report}");
    assert!(report.contains("q.json: a[1]: query as Prometheus 3.14.0: sum(\n"), "{report}");
    // Quoted names are new in 2.55.
    assert_eq!(run(&[file], Some(Release::V2_42)).0, (1, 2));
}

#[test]
fn nothing_to_run_is_nothing_passed() {
    let folder = folder("promql-nothing");
    let file = write(&folder, "t.jsonl", "\n");
    assert_eq!(run(&[file], None).0, (0, 0), "the command makes this a failure");
}

#[test]
fn verdicts_name_what_differs() {
    let folder = folder("promql-verdicts");
    write(&folder, "t-datasets.jsonl", DATASET);
    let file = write(&folder, "t.jsonl", &case("wrong", "sum(up)", "2", ""));
    let corpus = Corpus::read(&[file]).expect("readable");
    let outcomes = corpus.outcomes(&[Release::V3_14]).expect("well-formed");
    assert!(matches!(&outcomes[0].verdicts[0].1, Verdict::Failed(expected, found)
        if expected.contains("\"2\"") && found.contains("\"3\"")));
}

//! The real manifests of other people against what they must come to: how each loads, what KEDA says to it, and where the
//! replicas come to rest in a world of its own. The files stand beside the repository (`KEDASIM_SHARED`, by default
//! `../shared`) and are not part of it, so that plain `cargo test` leaves this out.

mod rows;
mod rules;
mod worlds;

use kedasim::hpa::{ControllerFlags, KubernetesVersion};
use kedasim::keda::KedaVersion;
use kedasim::lint::{FileReport, Finding, LintOptions, LoadStatus, ObjectReport, QueryStatus, VerdictStatus, lint};
use kedasim::manifest::{Bundle, Input, read_sources};
use kedasim::prometheus::PrometheusVersion;
use kedasim::record::{EventKind, RunRecord};
use kedasim::scenario::{Overrides, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Judge, Severity};
use rows::{Row, Verdict, rows};
use rules::{EXPECTED, FURTHER};
use std::path::PathBuf;
use worlds::Rest;

fn manifests() -> PathBuf {
    let shared = std::env::var_os("KEDASIM_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    shared.join("manifests")
}

fn text_of(file: &str) -> String {
    let path = manifests().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the manifests below the folder.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "kserve/"] {
        for entry in std::fs::read_dir(manifests().join(folder)).expect("the manifests are there") {
            let name = entry.expect("readable").file_name().to_string_lossy().into_owned();
            if name.ends_with(".yaml") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found.sort();
    found
}

/// Fails with all that differs, not only the first.
fn none_of(failures: &[String]) {
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_manifest_has_a_row() {
    let mut named: Vec<String> = rows().into_iter().map(|row| row.file.to_owned()).collect();
    named.sort();
    assert_eq!(files(), named);
}

#[test]
fn every_manifest_gets_its_verdict() {
    let mut failures = Vec::new();
    for row in rows() {
        if let Err(wrong) = check_verdict(&row) {
            failures.extend(wrong.into_iter().map(|own| format!("{}: {own}", row.file)));
        }
    }
    none_of(&failures);
}

/// Every rule that a message above or below belongs to, with the worst severity.
fn broken(file: &str) -> std::collections::BTreeMap<&'static str, Severity> {
    let report = report_on(file);
    let mut worst = std::collections::BTreeMap::new();
    for finding in report.all_findings() {
        let Some(code) = finding.code() else { continue };
        let own = worst.entry(code).or_insert(finding.diagnostic.severity);
        *own = finding.diagnostic.severity.max(*own);
    }
    worst
}

#[test]
fn every_manifest_breaks_the_rules_that_it_must_and_no_other_is_more_than_a_note() {
    let mut failures = Vec::new();
    assert_eq!(EXPECTED.iter().map(|(file, _)| (*file).to_owned()).collect::<Vec<_>>(), files());
    for (file, expected) in EXPECTED {
        let found = broken(file);
        let expected: Vec<&str> = expected.split_whitespace().collect();
        for code in &expected {
            if !found.contains_key(code) {
                failures.push(format!("{file}: {code} is not found"));
            }
        }
        let is_told = |code: &str| FURTHER.iter().any(|(own, other, _)| *own == file && *other == code);
        let further = found.iter().filter(|(code, severity)| **severity > Severity::Note && !expected.contains(code));
        for (code, severity) in further.filter(|(code, _)| !is_told(code)) {
            failures.push(format!("{file}: {code} is found as {severity}, which nobody expects"));
        }
    }
    none_of(&failures);
}

#[test]
fn what_is_expected_beyond_the_table_is_found_and_has_a_reason() {
    for (file, code, reason) in FURTHER {
        assert!(broken(file).get(code).is_some_and(|own| *own > Severity::Note), "{file}: {code}");
        assert!(!reason.is_empty());
    }
}

#[test]
fn severities_are_those_of_the_table() {
    // `metricType` in metadata: harmless where it says what runs anyway.
    for (file, severity) in [
        ("01-prokube-opt125m-token-rate.yaml", Severity::Note),
        ("04-wva-desired-replicas.yaml", Severity::Note),
        ("25-llmd-coordinator-metrictype-in-metadata.yaml", Severity::Error),
    ] {
        assert_eq!(broken(file)["L-02"], severity, "{file}");
    }
    // Advice about defaults is a note, wherever it is given.
    let advice = ["L-04", "L-09", "L-23", "L-41"];
    for file in files() {
        for finding in report_on(&file).all_findings().filter(|own| own.code().is_some_and(|own| advice.contains(&own)))
        {
            assert!(Finding::is_advice(finding), "{file}: {}", finding.diagnostic);
        }
    }
}

#[test]
fn every_report_is_json_and_its_exit_code_says_whether_there_is_an_error() {
    let mut failures = Vec::new();
    for file in files() {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kedasim"));
        let output = command.arg("lint").arg(manifests().join(&file)).args(["--format", "json"]).output();
        let output = output.expect("the binary runs");
        match serde_json::from_slice::<serde_json::Value>(&output.stdout) {
            Err(error) => failures.push(format!("{file}: {error}")),
            Ok(report) => {
                let expected = i32::from(report["summary"]["errors"].as_u64() != Some(0));
                if output.status.code() != Some(expected) {
                    failures.push(format!("{file}: expected exit code {expected}, found {:?}", output.status.code()));
                }
            }
        }
    }
    none_of(&failures);
}

#[test]
fn every_manifest_comes_to_rest_where_it_must() {
    let mut failures = Vec::new();
    for row in rows() {
        for rest in &row.rests {
            match final_replicas(row.file, rest) {
                Err(error) => failures.push(format!("{}: {}: {error}", row.file, rest.words)),
                Ok((found, record)) => {
                    if found != rest.replicas {
                        let expected = rest.replicas;
                        failures.push(format!("{}: {}: expected {expected}, found {found}", row.file, rest.words));
                    }
                    if let Some(Err(wrong)) = rest.check.map(|check| check(&record)) {
                        failures.push(format!("{}: {}: {wrong}", row.file, rest.words));
                    }
                }
            }
        }
    }
    none_of(&failures);
}

fn report_on(file: &str) -> FileReport {
    let options = LintOptions {
        keda: KedaVersion::default(),
        flags: ControllerFlags::defaults(KubernetesVersion::V1_36),
        prometheus: PrometheusVersion::V3,
        name: None,
        ignored: Vec::new(),
    };
    let sources = read_sources(&[Input::Path(manifests().join(file))]).unwrap_or_else(|error| panic!("{error}"));
    lint(&sources, &options).files.remove(0)
}

/// What differs from the row.
fn check_verdict(row: &Row) -> Result<(), Vec<String>> {
    let report = report_on(row.file);
    let mut wrong = Vec::new();
    if report.load != row.load {
        wrong.push(format!("expected it to load {:?}, found {:?}", row.load, report.load));
    }
    let objects: Vec<&ObjectReport> = report.objects.iter().filter(|own| own.kind == "ScaledObject").collect();
    match (&row.verdict, objects.as_slice()) {
        (Verdict::NoPolicy, []) => {}
        (Verdict::NoPolicy, found) => wrong.push(format!("expected no ScaledObject, found {}", found.len())),
        (_, [object]) => check_object(row, object, &mut wrong),
        (_, found) => wrong.push(format!("expected one ScaledObject, found {}", found.len())),
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn check_object(row: &Row, object: &ObjectReport, wrong: &mut Vec<String>) {
    let (status, by): (VerdictStatus, Vec<Judge>) = match &row.verdict {
        Verdict::Rejected(by) => (VerdictStatus::Rejected, vec![*by]),
        _ => (VerdictStatus::Accepted, Vec::new()),
    };
    let verdict = &object.verdict;
    let messages: Vec<String> = object.findings.iter().map(|own| own.diagnostic.to_string()).collect();
    if verdict.status != status || verdict.rejected_by != by {
        let found = (verdict.status, &verdict.rejected_by);
        wrong.push(format!("expected {status:?} {by:?}, found {found:?}\n    {}", messages.join("\n    ")));
    }
    if verdict.strict_apply_refuses != row.strict_apply_refuses {
        wrong.push(format!("expected a strict apply to refuse it: {}", row.strict_apply_refuses));
    }
    let refused = verdict.queries.iter().any(|query| query.status != QueryStatus::Ok);
    if refused != row.query_fails {
        wrong.push(format!("expected a query to fail: {}, found {:?}", row.query_fails, verdict.queries));
    }
    let by_webhook =
        |own: &&Finding| own.diagnostic.severity == Severity::Warning && own.diagnostic.judge == Some(Judge::Webhook);
    let warnings = object.findings.iter().filter(by_webhook).count();
    if warnings != row.webhook_warnings {
        wrong.push(format!("expected {} warnings of the webhook, found {warnings}", row.webhook_warnings));
    }
    for fragment in row.says {
        if !messages.iter().any(|message| message.contains(fragment)) {
            wrong.push(format!("nothing says {fragment:?}:\n    {}", messages.join("\n    ")));
        }
    }
    let bounds = object.effective.as_ref().map(|own| (own.min_replicas, own.max_replicas));
    if row.bounds.is_some() && bounds != row.bounds {
        wrong.push(format!("expected {:?} replicas, found {bounds:?}", row.bounds));
    }
}

/// `spec.replicas` at the end of a run, and the run.
fn final_replicas(file: &str, rest: &Rest) -> Result<(i32, RunRecord), String> {
    let mut text = text_of(file);
    for beside in rest.beside {
        text.push_str("\n---\n");
        text.push_str(&text_of(beside));
    }
    text.push_str("\n---\n");
    text.push_str(&rest.world());
    let bundle = Bundle::from_text(&text, file).map_err(|error| error.to_string())?;
    let run = resolve(&bundle, &Overrides::default()).map_err(|error| error.to_string())?;
    let record = simulate(&run, true).map_err(|error| error.to_string())?;
    let mut writes = record.events.iter().filter_map(|event| match &event.kind {
        EventKind::Scaled { to, .. } => Some(*to),
        _ => None,
    });
    Ok((writes.next_back().unwrap_or(record.info.initial_replicas), record))
}

#[test]
fn a_file_that_does_not_load_is_no_acceptance() {
    // The check itself must be able to fail.
    let row = rows().into_iter().find(|row| row.file.starts_with("01-")).expect("the first file");
    let other =
        Row { load: LoadStatus::Failed, verdict: Verdict::Rejected(Judge::Webhook), bounds: Some((7, 8)), ..row };
    assert_eq!(check_verdict(&other).expect_err("all three differ").len(), 3);
}

//! Silencing rules: comments in a file, `--ignore`, and codes that do not exist.

use crate::case::{Case, codes};
use serde_json::Value;

const TEXT: &str = "apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: app}
  minReplicaCount: 1
  maxReplicaCount: 4
  cooldownPeriod: 60
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        threshold: \"5\"
        query: >-
          vllm:num_requests_waiting
";

fn with(line: &str, comment: &str) -> String {
    assert!(TEXT.contains(line), "{line}");
    TEXT.replace(line, comment)
}

fn suppressed(report: &Value) -> Vec<(String, String, Option<u64>)> {
    let own = report["files"][0]["suppressed"].as_array().expect("a list");
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    own.iter().map(|own| (word(&own["diagnostic"]["code"]), word(&own["by"]), own["commentLine"].as_u64())).collect()
}

#[test]
fn a_comment_silences_its_line_the_block_below_or_the_document() {
    let comment = |code: &str, by: u64| vec![(code.to_owned(), "comment".to_owned(), Some(by))];
    for (text, expected) in [
        (with("  cooldownPeriod: 60", "  cooldownPeriod: 60 # kedasim:ignore L-01 - harmless"), comment("L-01", 8)),
        (with("  cooldownPeriod: 60", "  # kedasim:ignore L-01\n  cooldownPeriod: 60"), comment("L-01", 8)),
        (
            with("        query: >-", "        # kedasim:ignore L-08: one replica\n        query: >-"),
            comment("L-08", 14),
        ),
        (with("    - type: prometheus", "    # kedasim:ignore L-08\n    - type: prometheus"), comment("L-08", 10)),
        (with("apiVersion", "# kedasim:ignore L-01\napiVersion"), comment("L-01", 1)),
        (with("apiVersion", "---\n# Why.\n# kedasim:ignore L-23, L-01\n\napiVersion"), {
            let mut both = comment("L-01", 3);
            both.extend(comment("L-23", 3));
            both
        }),
    ] {
        let (_, report) = Case::new("suppress-comment").file("so.yaml", &text).json(&["so.yaml"]);
        assert_eq!(suppressed(&report), expected, "{text}");
        assert_eq!(report["summary"]["suppressed"], expected.len(), "{text}");
        for (code, ..) in &expected {
            assert!(!codes(&report).contains(code), "{text}");
        }
    }
}

#[test]
fn a_comment_elsewhere_or_for_another_rule_silences_nothing() {
    for text in [
        with("  maxReplicaCount: 4", "  maxReplicaCount: 4 # kedasim:ignore L-01"),
        with("  cooldownPeriod: 60", "  cooldownPeriod: 60 # kedasim:ignore L-03"),
        with("  triggers:", "  # kedasim:ignore L-01\n  triggers:"),
        with("{name: app}", "{name: \"kedasim:ignore L-01\"}"),
    ] {
        let (_, report) = Case::new("suppress-nothing").file("so.yaml", &text).json(&["so.yaml"]);
        assert!(codes(&report).contains(&"L-01".to_owned()), "{text}");
        assert_eq!(suppressed(&report), [], "{text}");
    }
}

#[test]
fn a_second_document_is_not_silenced_with_the_first() {
    let second = TEXT.replace("{name: so}", "{name: other}").replace("{name: app}", "{name: other}");
    let text = format!("# kedasim:ignore L-01\n{TEXT}---\n{second}");
    let (_, report) = Case::new("suppress-second").file("so.yaml", &text).json(&["so.yaml"]);
    assert_eq!(report["summary"]["suppressed"], 1);
    assert_eq!(codes(&report).iter().filter(|code| *code == "L-01").count(), 1);
}

#[test]
fn a_flag_silences_everywhere_and_what_is_silenced_fails_nothing() {
    let case = Case::new("suppress-flag").file("so.yaml", TEXT);
    assert_eq!(case.json(&["so.yaml"]).0, Some(1), "L-08 is an error");
    let (code, report) = case.json(&["so.yaml", "--ignore", "L-08", "--ignore", "l-01,L-09"]);
    assert_eq!((code, &report["summary"]["suppressed"]), (Some(0), &Value::from(3)));
    assert!(suppressed(&report).iter().all(|(_, by, line)| by == "flag" && line.is_none()));
    let (_, text) = case.text(&["so.yaml", "--ignore", "L-08"]);
    assert!(text.ends_with(", 1 suppressed\n"), "{text}");
    assert!(!text.contains("L-08"), "{text}");
}

#[test]
fn a_code_that_does_not_exist_is_told_with_its_neighbours() {
    let case = Case::new("suppress-unknown")
        .file("so.yaml", &with("  cooldownPeriod: 60", "  cooldownPeriod: 60 # kedasim:ignore L-91"));
    let output = case.command(&["so.yaml", "--ignore", "L-1"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(errors.contains("--ignore: found \"L-1\", which is no rule; near it: L-01"), "{errors}");
    let (_, report) = case.json(&["so.yaml"]);
    let warning = &report["files"][0]["load"]["diagnostics"][0];
    assert_eq!(
        (&warning["severity"], &warning["line"], &warning["column"]),
        (&"warning".into(), &8.into(), &39.into())
    );
    assert!(warning["message"].as_str().is_some_and(|text| text.contains("L-01")), "{warning}");
    assert!(codes(&report).contains(&"L-01".to_owned()), "it silences nothing");
}

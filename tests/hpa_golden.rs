//! The hpa room against vectors recorded from the real controller (`tests/golden/hpa/README.md`).

use kedasim::cli::conformance_hpa::run;
use kedasim::hpa::KubernetesVersion;
use std::path::PathBuf;

fn golden(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hpa").join(file)
}

#[track_caller]
fn all_pass(file: &str, version: KubernetesVersion, scenarios: u64) {
    let mut out = Vec::new();
    let counts = run(&[golden(file)], version, &mut out).expect("the committed vectors are readable");
    let text = String::from_utf8_lossy(&out);
    let head: Vec<&str> = text.lines().take(30).collect();
    assert_eq!(counts, (scenarios, 0), "{}", head.join("\n"));
    assert!(text.ends_with(&format!("{scenarios} passed, 0 failed\n")), "the last line is the verdict");
}

#[test]
fn every_rule_of_1_36() {
    all_pass("rules.jsonl", KubernetesVersion::V1_36, 131);
}

#[test]
fn a_thousand_random_scenarios_of_1_36() {
    all_pass("shared.jsonl", KubernetesVersion::V1_36, 1000);
}

#[test]
fn the_older_controller_of_1_32() {
    all_pass("legacy-1.32.jsonl", KubernetesVersion::V1_32, 207);
}

/// Writes `text` to a file of this test's own and replays it.
fn replay(name: &str, text: &str) -> (anyhow::Result<(u64, u64)>, String) {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).expect("the test directory is writable");
    let mut out = Vec::new();
    let result = run(&[file], KubernetesVersion::V1_36, &mut out);
    (result, String::from_utf8_lossy(&out).into_owned())
}

fn first_rule() -> String {
    let text = std::fs::read_to_string(golden("rules.jsonl")).expect("the committed vectors are readable");
    text.lines().next().expect("there is a first rule").to_owned()
}

#[test]
fn every_difference_is_printed_with_its_place() {
    let changed = [
        (r#""proposals":[[10,12]]"#, r#""proposals":[[10,13]]"#, "step 1: proposals[0]: expected 13, found 12"),
        (r#""metric_desired":[10,12]"#, r#""metric_desired":[9,12]"#, "step 0: metric_desired: expected 9, found 10"),
        (r#""stabilized":[10,12]"#, r#""stabilized":[10,null]"#, "step 1: stabilized: expected nothing, found 12"),
        (r#""new_spec":[10,12]"#, r#""new_spec":[10,11]"#, "step 1: new_spec: expected 11, found 12"),
        (r#""spec":[10,10]"#, r#""spec":[10,11]"#, "step 1: spec: expected 11, found 10"),
        (r#""able":"RS""#, r#""able":"RD""#, "step 1: able: expected 'D', found 'S'"),
        (r#""active":"VV""#, r#""active":"-V""#, "step 0: active: expected '-', found 'V'"),
        (r#""limited":"WW""#, r#""limited":"Wm""#, "step 1: limited: expected 'm', found 'W'"),
        (r#""rescaled":"01""#, r#""rescaled":"00""#, "step 1: rescaled: expected '0', found '1'"),
        (r#""reason":"-0""#, r#""reason":"-B""#, "step 1: reason: expected 'B', found '0'"),
        (r#""error":"00""#, r#""error":"01""#, "step 1: error: expected '1', found '0'"),
        (r#""status_desired":[10,12]"#, r#""status_desired":[0,12]"#, "step 0: status_desired: expected 0, found 10"),
        (r#"["110001m"]"#, r#"["110"]"#, r#"step 1: current_metrics[0]: expected "110", found "110001m""#),
        (
            r#""effective_behavior":{"scaleUp":{"stabilizationWindowSeconds":0"#,
            r#""effective_behavior":{"scaleUp":{"stabilizationWindowSeconds":7"#,
            "step 0: effective_behavior: expected",
        ),
    ];
    let rule = first_rule();
    for (index, (from, to, message)) in changed.into_iter().enumerate() {
        assert!(rule.contains(from), "{from} stands in the first rule");
        let (result, out) = replay(&format!("changed-{index}.jsonl"), &rule.replacen(from, to, 1));
        assert_eq!(result.expect("still readable"), (0, 1), "{to}");
        assert!(out.contains(":1: tol_avg_upper_edge: ") && out.contains(message), "{to}: {out}");
        assert!(out.ends_with("0 passed, 1 failed\n"), "{out}");
    }
}

#[test]
fn broken_lines_are_located_errors() {
    let rule = first_rule();
    let table = [
        ("{".to_owned(), ":2:1: EOF while parsing"),
        ("[]".to_owned(), ":2:"),
        (rule.replace(r#""max":20,"#, ""), "missing field `max`"),
        (rule.replace(r#""ready":[10,10]"#, r#""ready":[10]"#), "steps.ready: found 1 entries, expected 2"),
        (rule.replace(r#""able":"RS""#, r#""able":"R""#), "expect.able: found 1 entries, expected 2"),
        (rule.replace(r#""target":"100""#, r#""target":"many""#), "metrics[0].target: found \"many\""),
        (rule.replace("ExternalAverageValue", "Queue"), "found kind \"Queue\""),
        (rule.replace("1100001]]", "1.5]]"), "steps.values[0][1]: found 1.5"),
        (rule.replace("[15000,30000]", "[15000,-9000000000000]"), "steps.t_ms: found -9000000000 s"),
        (
            rule.replace(r#""value":900"#, r#""value":0"#),
            "behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
        ),
        (
            rule.replace(r#""min":1"#, r#""min":30"#),
            "maxReplicas: Invalid value: 20: must be greater than or equal to `minReplicas`",
        ),
        (rule.replace(r#""min":1,"#, r#""min":1,"gates":{"Magic":true},"#), "gates: found \"Magic\""),
    ];
    for (index, (line, message)) in table.into_iter().enumerate() {
        let (result, out) = replay(&format!("broken-{index}.jsonl"), &format!("{rule}\n{line}\n"));
        let error = result.expect_err(message).to_string();
        assert!(error.contains(&format!("broken-{index}.jsonl:2:")), "{error}");
        assert!(error.contains(message), "{error} should say {message}");
        assert_eq!(out, "", "nothing is replayed when a line is broken");
    }
}

#[test]
fn files_without_scenarios_are_errors() {
    let (empty, _) = replay("empty.jsonl", "\n\n");
    assert!(empty.expect_err("no scenario").to_string().contains("found no scenario"));
    let missing = run(&[golden("missing.jsonl")], KubernetesVersion::V1_36, &mut Vec::new());
    assert!(missing.expect_err("no file").to_string().contains("missing.jsonl"));
}

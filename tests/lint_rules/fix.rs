//! `kedasim lint --fix`: what it writes, what it leaves, and that the result is clean.

use crate::case::{Case, codes};
use std::fs;

const TEXT: &str = "# A policy.\r
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}   # odd   spacing stays
spec:
  scaleTargetRef:
    name: app
  minReplicas: 1
  maxReplicas:   4   # at most
  pollingInterval: 15          # how often
  cooldownPeriod: 120
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        metricName: waiting
        metricType: AverageValue
        query: >-
          sum(vllm:gpu_cache_usage_factor{namespace=\"chat\"})
          or vector(0)
        threshold: 0.8 # share
        activationThreshold: \"0\"
";

#[test]
fn safe_edits_are_made_and_everything_else_stays_byte_by_byte() {
    let case = Case::new("fix").file("so.yaml", TEXT);
    let output = case.command(&["so.yaml", "--fix"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(1), "the original still has an error");
    let talk = String::from_utf8(output.stderr).expect("text");
    assert_eq!(talk, "wrote so.fixed.yaml (9 edits: L-01, L-02, L-03, L-05, L-15, L-27, L-28, L-35)\n");
    let expected = TEXT
        .replace("  minReplicas: 1\n", "  minReplicaCount: 1\n")
        .replace("  maxReplicas:   4", "  maxReplicaCount:   4")
        .replace("  pollingInterval: 15          # how often\n  cooldownPeriod: 120\n", "")
        .replace("        metricName: waiting\n        metricType: AverageValue\n", "")
        .replace("gpu_cache_usage_factor", "kv_cache_usage_perc")
        .replace("threshold: 0.8 #", "threshold: \"0.8\" #")
        .replace("        activationThreshold: \"0\"\n", "");
    assert_eq!(fs::read_to_string(case.folder.join("so.fixed.yaml")).expect("written"), expected);
    assert_eq!(fs::read_to_string(case.folder.join("so.yaml")).expect("there"), TEXT, "the original stays");
    let (code, report) = case.json(&["so.fixed.yaml"]);
    assert_eq!(code, Some(0));
    let left = codes(&report);
    for code in ["L-01", "L-02", "L-03", "L-05", "L-15", "L-27", "L-28", "L-35"] {
        assert!(!left.contains(&code.to_owned()), "{left:?}");
    }
    let (_, before) = case.json(&["so.yaml"]);
    let before = codes(&before);
    assert!(left.iter().all(|code| before.contains(code)), "nothing new: {left:?} of {before:?}");
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let case = Case::new("fix-taken").file("so.yaml", TEXT).file("so.fixed.yaml", "mine");
    let output = case.command(&["so.yaml", "--fix"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(errors.contains("so.fixed.yaml is there already and is not overwritten"), "{errors}");
    assert!(output.stdout.is_empty());
    assert_eq!(fs::read_to_string(case.folder.join("so.fixed.yaml")).expect("there"), "mine");
}

#[test]
fn what_has_no_safe_edit_is_left_alone() {
    let left = [
        // Which type was meant is for the author to say.
        ("        metricType: AverageValue", "        metricType: Value"),
        // The other key is there.
        ("  minReplicas: 1", "  minReplicas: 1\n  minReplicaCount: 1"),
    ];
    for (good, bad) in left {
        let text = TEXT.replace(good, bad);
        let case = Case::new("fix-left").file("so.yaml", &text);
        case.command(&["so.yaml", "--fix"]).output().expect("the binary runs");
        let fixed = fs::read_to_string(case.folder.join("so.fixed.yaml")).unwrap_or_default();
        assert!(fixed.is_empty() || fixed.contains(bad.lines().next().expect("a line")), "{fixed}");
    }
    let flow = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: so}\nspec: {scaleTargetRef: {name: app}, minReplicaCount: 1, \
                cooldownPeriod: 5, triggers: [{type: cpu, metricType: Utilization, metadata: {value: \"80\"}}]}\n";
    let case = Case::new("fix-flow").file("so.yaml", flow);
    let output = case.command(&["so.yaml", "--fix"]).output().expect("the binary runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing to fix"));
    assert!(!case.folder.join("so.fixed.yaml").exists());
}

#[test]
fn a_name_that_may_be_right_somewhere_is_not_replaced() {
    let scenario = |version: &str| {
        format!(
            "---\napiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec: {{replica: {{vllmVersion: \"{version}\"}}}}\n"
        )
    };
    // Without a known release, and with a pipeline that may rename.
    let old = TEXT.replace("gpu_cache_usage_factor", "gpu_cache_usage_perc");
    let underscore = TEXT.replace("vllm:gpu_cache_usage_factor", "vllm_kv_cache_usage_perc");
    for (text, is_replaced) in [
        (old.clone(), false),
        (underscore, false),
        (format!("{old}{}", scenario("0.20")), true),
        (format!("{old}{}", scenario("0.9")), false),
    ] {
        let case = Case::new("fix-name").file("so.yaml", &text);
        case.command(&["so.yaml", "--fix"]).output().expect("the binary runs");
        let fixed = fs::read_to_string(case.folder.join("so.fixed.yaml")).expect("written");
        assert_eq!(fixed.contains("sum(vllm:kv_cache_usage_perc{"), is_replaced, "{fixed}");
    }
}

#[test]
fn a_period_that_still_acts_is_not_taken_out() {
    // The webhook calls both irrelevant; the idle count and the fallback make them act.
    let text = TEXT
        .replace("minReplicas: 1", "minReplicaCount: 3")
        .replace("maxReplicas: ", "maxReplicaCount: ")
        .replace("  triggers:", "  idleReplicaCount: 1\n  fallback: {failureThreshold: 6, replicas: 3}\n  triggers:");
    let case = Case::new("fix-acts").file("so.yaml", &text);
    case.command(&["so.yaml", "--fix"]).output().expect("the binary runs");
    let fixed = fs::read_to_string(case.folder.join("so.fixed.yaml")).expect("written");
    assert!(fixed.contains("pollingInterval: 15") && fixed.contains("cooldownPeriod: 120"), "{fixed}");
    assert!(!fixed.contains("metricName"), "{fixed}");
}

#[test]
fn what_is_silenced_is_not_mended_and_standard_input_has_no_place_for_it() {
    let text = TEXT.replace("cooldownPeriod: 120", "cooldownPeriod: 120 # kedasim:ignore L-01");
    let case = Case::new("fix-silenced").file("so.yaml", &text);
    case.command(&["so.yaml", "--fix", "--ignore", "L-28"]).output().expect("the binary runs");
    let fixed = fs::read_to_string(case.folder.join("so.fixed.yaml")).expect("written");
    assert!(fixed.contains("cooldownPeriod: 120 # kedasim:ignore L-01") && fixed.contains("metricName"), "{fixed}");
    let output = case.command(&["-", "--fix"]).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
}

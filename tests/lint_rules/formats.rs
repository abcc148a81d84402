//! `kedasim lint --format sarif` against what SARIF 2.1.0 requires, and `--format github`.

use crate::case::Case;
use serde_json::Value;
use std::collections::BTreeSet;

const TEXT: &str = "apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: app}
  minReplicaCount: 1
  maxReplicaCount: 4
  cooldownPeriod: 60 # kedasim:ignore L-01
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        threshold: \"5\"
        query: >-
          sum(rate(x[2m]))
          + vllm:num_requests_waiting{model=\"ä\"}
    - type: nonsense
      metadata: {}
";

fn sarif(case: &Case, arguments: &[&str]) -> Value {
    let (_, text) = case.text(&[arguments, &["--format", "sarif"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What the schema requires of the parts that are used; the schema itself is not at hand.
fn check_structure(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().is_some_and(|own| own.ends_with("sarif-2.1.0.json")));
    let known = |value: &Value, keys: &[&str]| {
        for key in value.as_object().expect("an object").keys() {
            assert!(keys.contains(&key.as_str()), "{key} is no property here: {value}");
        }
    };
    known(log, &["$schema", "version", "runs"]);
    let runs = log["runs"].as_array().expect("runs");
    assert_eq!(runs.len(), 1);
    known(&runs[0], &["tool", "results", "columnKind"]);
    assert_eq!(runs[0]["columnKind"], "unicodeCodePoints");
    let driver = &runs[0]["tool"]["driver"];
    known(driver, &["name", "version", "semanticVersion", "rules"]);
    assert_eq!(driver["name"], "kedasim");
    let rules = driver["rules"].as_array().expect("rules");
    let mut ids = BTreeSet::new();
    for rule in rules {
        known(
            rule,
            &[
                "id",
                "name",
                "shortDescription",
                "fullDescription",
                "help",
                "helpUri",
                "defaultConfiguration",
                "properties",
            ],
        );
        assert!(ids.insert(rule["id"].as_str().expect("an id")), "each id once");
        assert!(rule["shortDescription"]["text"].as_str().is_some_and(|own| own.ends_with('.')));
        assert!(
            ["note", "warning", "error"].contains(&rule["defaultConfiguration"]["level"].as_str().expect("a level"))
        );
    }
    let mut fingerprints = BTreeSet::new();
    for result in runs[0]["results"].as_array().expect("results") {
        known(result, &["ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "suppressions"]);
        let index = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"], "the index is the rule's");
        assert!(["note", "warning", "error"].contains(&result["level"].as_str().expect("a level")));
        assert!(result["message"]["text"].as_str().is_some_and(|own| !own.is_empty()));
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|own| !own.is_empty() && !own.contains(' ')));
        let region = &place["region"];
        assert!(region["startLine"].as_u64() >= Some(1) && region["startColumn"].as_u64() >= Some(1), "{result}");
        let fingerprint = result["partialFingerprints"]["kedasimFinding/v1"].as_str().expect("a fingerprint");
        assert!(fingerprints.insert(fingerprint.to_owned()), "each result has its own");
        if let Some(suppressions) = result.get("suppressions") {
            let kind = suppressions[0]["kind"].as_str().expect("a kind");
            assert!(["inSource", "external"].contains(&kind));
        }
    }
}

#[test]
fn sarif_has_what_the_standard_requires() {
    let case = Case::new("sarif").file("a b.yaml", TEXT);
    let log = sarif(&case, &["a b.yaml", "--ignore", "L-23"]);
    check_structure(&log);
    let results = log["runs"][0]["results"].as_array().expect("results");
    let of =
        |code: &str| results.iter().find(|own| own["ruleId"] == code).unwrap_or_else(|| panic!("{code}: {results:?}"));
    let label = of("L-35");
    let place = &label["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b.yaml");
    assert_eq!(
        (&place["region"]["startLine"], &place["region"]["startColumn"]),
        (&16.into(), &13.into()),
        "inside the folded query"
    );
    assert!(place["region"]["snippet"]["text"].as_str().is_some_and(|own| own.contains("num_requests_waiting")));
    assert_eq!(of("L-01")["suppressions"][0]["kind"], "inSource");
    assert_eq!(of("L-23")["suppressions"][0]["kind"], "external");
    assert!(label.get("suppressions").is_none());
    let unknown = of("operator");
    assert_eq!(unknown["level"], "error", "what belongs to no rule is named after who says it");
}

#[test]
fn fingerprints_stay_when_lines_move() {
    let prints = |text: &str| -> BTreeSet<String> {
        let log = sarif(&Case::new("sarif-moved").file("so.yaml", text), &["so.yaml"]);
        let results = log["runs"][0]["results"].as_array().expect("results").clone();
        results.iter().map(|own| own["partialFingerprints"].to_string()).collect()
    };
    assert_eq!(prints(TEXT), prints(&format!("# one line more\n\n{TEXT}")));
    assert_ne!(prints(TEXT), prints(&TEXT.replace("{name: so}", "{name: other}")));
}

#[test]
fn a_report_without_a_finding_is_sarif_too() {
    let text = std::fs::read_to_string("tests/policies-good/token-rate-sum.yaml").expect("readable");
    let log = sarif(&Case::new("sarif-empty").file("so.yaml", &text), &["so.yaml"]);
    check_structure(&log);
    assert_eq!(log["runs"][0]["results"], serde_json::json!([]));
}

#[test]
fn annotations_are_workflow_commands_the_worst_first() {
    let case = Case::new("github").file("a,b:c.yaml", &TEXT.replace("rate(x[2m])", "rate(x{a=\"100%\"}[2m])"));
    let (code, text) = case.text(&["a,b:c.yaml", "--format", "github"]);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = text.lines().collect();
    let (last, commands) = lines.split_last().expect("lines");
    assert!(last.starts_with("kedasim lint: 1 errors, ") && last.ends_with(", 1 suppressed"), "{last}");
    let word = |line: &&str| line.split(' ').next().expect("a word").to_owned();
    let words: Vec<String> = commands.iter().map(word).collect();
    let mut sorted = words.clone();
    sorted.sort_by_key(|own| ["::error", "::warning", "::notice"].iter().position(|known| own == known));
    assert_eq!(words, sorted, "{text}");
    assert!(words.contains(&"::warning".to_owned()) && words.contains(&"::notice".to_owned()), "{text}");
    let label = commands.iter().find(|line| line.contains("title=L-35")).expect("the wrong label");
    assert!(
        label.starts_with(
            "::warning file=a%2Cb%3Ac.yaml,line=16,col=13,title=L-35 vllm-name::spec.triggers[0].metadata.query: "
        ),
        "{label}"
    );
    assert!(label.contains("%0Ahelp: ") && label.contains("%0Asee: https://"), "{label}");
    for command in commands {
        assert_eq!(command.matches("::").count(), 2, "{command}");
    }
}

#[test]
fn the_rules_are_listed_for_people_and_scripts() {
    let case = Case::new("rules");
    let (code, text) = case.text(&["--rules"]);
    assert_eq!((code, text.lines().filter(|line| line.starts_with("L-")).count()), (Some(0), 54));
    assert!(text.starts_with("L-01 cooldown-without-effect (warning; static, --fix)\n  why:  "), "{text}");
    let (_, json) = case.json(&["--rules"]);
    let rules = json["rules"].as_array().expect("rules");
    let only_runs: Vec<&str> =
        rules.iter().filter(|own| own["found"] == "simulation").filter_map(|own| own["code"].as_str()).collect();
    assert_eq!(only_runs, ["L-14", "L-33", "L-46", "L-48", "L-49"]);
    assert_eq!(case.text(&["--rules", "--format", "sarif"]).0, Some(2));
}

//! The catalogue of `kedasim lint`: every rule has an entry in docs/lint-rules.md, whose bad example breaks it and whose
//! good one does not; policies that are good give rise to advice only.

use kedasim::hpa::{ControllerFlags, KubernetesVersion};
use kedasim::keda::KedaVersion;
use kedasim::lint::{Basis, FileReport, LintOptions, LintReport, RULES, lint};
use kedasim::manifest::{Input, Source, read_sources};
use kedasim::prometheus::PrometheusVersion;
use kedasim::units::Severity;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn options() -> LintOptions {
    LintOptions {
        keda: KedaVersion::default(),
        flags: ControllerFlags::defaults(KubernetesVersion::V1_36),
        prometheus: PrometheusVersion::V3,
        name: None,
        ignored: Vec::new(),
    }
}

fn report_on(text: &str) -> LintReport {
    let source = Source { name: "example.yaml".to_owned(), text: Ok(text.to_owned()), named: true };
    lint(&[source], &options())
}

fn codes(report: &LintReport) -> BTreeSet<&'static str> {
    report.files.iter().flat_map(FileReport::all_findings).filter_map(kedasim::lint::Finding::code).collect()
}

/// An example of the page as a manifest: whole, or fields of the spec, or a trigger's metadata.
fn manifest(example: &str) -> String {
    if example.starts_with("apiVersion:") {
        return example.to_owned();
    }
    let indented =
        |text: &str, by: usize| -> String { text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect() };
    let head = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: so}\nspec:\n  scaleTargetRef: {name: app}\n";
    let trigger = |metadata: &str| {
        let mut text =
            "  triggers:\n  - type: prometheus\n    metadata:\n      serverAddress: http://prometheus:9090\n"
                .to_owned();
        if !metadata.contains("threshold:") {
            text.push_str("      threshold: \"5\"\n");
        }
        text + &indented(metadata, 6)
    };
    if example.starts_with("query:") {
        return format!("{head}  minReplicaCount: 1\n  maxReplicaCount: 5\n{}", trigger(example));
    }
    let mut text = head.to_owned() + &indented(example, 2);
    if !example.contains("triggers:") {
        text.push_str(&trigger("query: sum(x{namespace=\"chat\"})\n"));
    }
    text
}

/// The text below a rule's heading, up to the next.
fn section<'p>(page: &'p str, code: &str, name: &str) -> &'p str {
    let heading = format!("\n## {code} {name}\n");
    let start = page.find(&heading).unwrap_or_else(|| panic!("no entry {heading:?}")) + heading.len();
    let rest = &page[start..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

fn example<'s>(section: &'s str, word: &str) -> &'s str {
    let (_, rest) =
        section.split_once(&format!("\n{word}:\n\n```yaml\n")).unwrap_or_else(|| panic!("{word}: {section}"));
    rest.split_once("```").expect("the block ends").0
}

#[test]
fn every_rule_has_an_entry_whose_bad_example_breaks_it_and_whose_good_one_does_not() {
    let page = fs::read_to_string("docs/lint-rules.md").expect("the page is there");
    let mut wrong = Vec::new();
    for rule in RULES {
        let own = section(&page, rule.code, rule.name);
        for part in [rule.why, rule.fix, rule.link, rule.basis.word(), &rule.severity.to_string()] {
            if !own.contains(part) {
                wrong.push(format!("{}: its entry does not say {part:?}", rule.code));
            }
        }
        if rule.basis == Basis::Run {
            continue;
        }
        for (word, expected) in [("Bad", true), ("Good", false)] {
            let text = manifest(example(own, word));
            let report = report_on(&text);
            let found = codes(&report);
            if found.contains(rule.code) != expected {
                wrong.push(format!("{} {word}: found {found:?}\n{text}", rule.code));
            }
            // Nothing but a rule may be wrong with an example, least of all its YAML.
            if report.files[0].findings.iter().any(|own| own.diagnostic.severity == Severity::Error) {
                wrong.push(format!("{} {word}: does not load\n{text}", rule.code));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let headings = page.lines().filter(|line| line.starts_with("## L-")).count();
    assert_eq!(headings, RULES.len(), "an entry for a rule that is not there");
}

#[test]
fn a_rule_is_never_worse_than_the_catalogue_says_and_a_run_only_rule_never_fires() {
    let page = fs::read_to_string("docs/lint-rules.md").expect("the page is there");
    let mut worst: std::collections::BTreeMap<&str, Severity> = std::collections::BTreeMap::new();
    for rule in RULES.iter().filter(|rule| rule.basis != Basis::Run) {
        let own = section(&page, rule.code, rule.name);
        let report = report_on(&manifest(example(own, "Bad")));
        for finding in report.files.iter().flat_map(FileReport::all_findings) {
            let Some(broken) = finding.rule else { continue };
            assert!(finding.diagnostic.severity <= broken.severity, "{}: {}", broken.code, finding.diagnostic);
            assert_ne!(broken.basis, Basis::Run, "{}", broken.code);
            let seen = worst.entry(broken.code).or_insert(finding.diagnostic.severity);
            *seen = (*seen).max(finding.diagnostic.severity);
            assert!(finding.diagnostic.help.is_some(), "{}", finding.diagnostic);
            let place = finding.diagnostic.span.as_ref();
            assert!(place.is_some_and(|span| span.line > 0), "{} has no place", finding.diagnostic);
            assert!(finding.excerpt.is_some(), "{} has no line", finding.diagnostic);
            assert!(broken.has_fix || finding.edit.is_none(), "{} is mended, its rule says not", broken.code);
        }
    }
    assert!(worst.values().filter(|own| **own == Severity::Error).count() >= 8);
}

#[test]
fn a_label_name_that_cannot_be_is_found_wherever_it_stands_and_hides_no_other_rule() {
    for (query, line, column) in [
        ("sum(x{a=\"b\",app.kubernetes.io/name=\"m\"})", 13, 29),
        ("|\n        sum(x{\n          a=\"b\",\n          app-name=\"m\"})", 16, 20),
    ] {
        let report = report_on(&manifest(&format!("query: {query}\n")));
        let findings: Vec<_> = report.files[0].all_findings().collect();
        let own = findings.iter().find(|own| own.code() == Some("L-36")).unwrap_or_else(|| panic!("{query}"));
        let place = own.diagnostic.span.as_ref().map(|span| (span.line, span.column));
        assert_eq!((place, own.diagnostic.severity), (Some((line, column)), Severity::Error), "{query}");
        assert!(findings.iter().any(|own| own.code() == Some("L-13")), "{query}");
    }
    assert!(!codes(&report_on(&manifest("query: sum(a.b)\n"))).contains("L-36"), "no matcher");
}

#[test]
fn a_query_is_judged_by_what_stands_beside_it() {
    let object = manifest("query: sum(rate(vllm:generation_tokens_total{namespace=\"chat\"}[1m]))\n");
    let monitor = |interval: &str| {
        format!(
            "---\napiVersion: monitoring.coreos.com/v1\nkind: PodMonitor\nmetadata: {{name: m}}\nspec: {{selector: {{}}, podMetricsEndpoints: [{{port: http, interval: {interval}}}]}}\n"
        )
    };
    let severity = |text: &str| {
        let report = report_on(text);
        report.files[0].all_findings().find(|own| own.code() == Some("L-32")).map(|own| own.diagnostic.severity)
    };
    assert_eq!(severity(&format!("{object}{}", monitor("10s"))), None);
    assert_eq!(severity(&object), Some(Severity::Note), "nobody says how often is scraped");
    assert_eq!(severity(&format!("{object}{}", monitor("20s"))), Some(Severity::Note));
    assert_eq!(severity(&format!("{object}{}", monitor("45s"))), Some(Severity::Warning));
    assert_eq!(severity(&format!("{object}{}", monitor("2m"))), Some(Severity::Error));

    let recorded = "---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: r}\nspec:\n  groups:\n    - name: g\n      \
                    rules: [{record: \"chat:waiting\", expr: \"EXPR\"}]\n";
    let several = |expr: &str| {
        let text = format!("{}{}", manifest("query: chat:waiting\n"), recorded.replace("EXPR", expr));
        codes(&report_on(&text)).contains("L-08")
    };
    assert!(!several("sum(vllm:num_requests_waiting)"), "the rule makes one series");
    assert!(several("vllm:num_requests_waiting"));

    let usage = manifest("query: sum(vllm:gpu_cache_usage_perc{namespace=\"chat\"})\n");
    let version = |version: &str| {
        let scenario = format!(
            "---\napiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec: {{replica: {{vllmVersion: \"{version}\"}}}}\n"
        );
        codes(&report_on(&format!("{usage}{scenario}"))).contains("L-35")
    };
    assert!(version("0.20") && !version("0.9"));
}

#[test]
fn only_a_query_that_is_empty_without_pods_is_blind_at_zero() {
    let blind = |query: &str| {
        let text = manifest(&format!("query: {query}\n")).replace("minReplicaCount: 1", "minReplicaCount: 0");
        codes(&report_on(&text)).contains("L-10")
    };
    assert!(blind("sum(vllm:num_requests_waiting)") && blind("sum(vllm:num_requests_waiting) or vector(0)"));
    assert!(blind("sum(rate(vllm:generation_tokens_total[2m])) + sum(vllm:num_requests_running)"));
    assert!(!blind("sum(vllm:num_requests_waiting) or vector(1)"), "that is active");
    assert!(!blind("absent(vllm:num_requests_waiting)"));
    assert!(!blind("sum(vllm:num_requests_waiting) + sum(router_queue)"));
    assert!(!blind("sum(vllm:num_incoming_requests_total)"), "the router's");
}

#[test]
fn a_live_workload_has_its_replicas_and_a_manifest_should_not() {
    let page = fs::read_to_string("docs/lint-rules.md").expect("the page is there");
    let bad = example(section(&page, "L-16", "replicas-owned-twice"), "Bad");
    let live =
        bad.replace("kind: Deployment\nmetadata: {name: app}", "kind: Deployment\nmetadata: {name: app, uid: \"1\"}");
    assert_ne!(bad, live);
    assert!(codes(&report_on(bad)).contains("L-16") && !codes(&report_on(&live)).contains("L-16"));
    let service = |class: &str| {
        let object = manifest("query: sum(x{namespace=\"a\"})\n").replace("{name: app}", "{name: m-predictor}");
        let text = format!(
            "{object}---\napiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: m\n  annotations: \
             {{serving.kserve.io/deploymentMode: Standard{class}}}\nspec: {{predictor: {{model: {{modelFormat: {{name: huggingface}}}}}}}}\n"
        );
        codes(&report_on(&text)).contains("L-16")
    };
    assert!(service("") && service(", serving.kserve.io/autoscalerClass: none"));
    assert!(!service(", serving.kserve.io/autoscalerClass: external"));
}

/// Findings above a note, as text.
fn complaints(path: &str) -> Vec<String> {
    let sources = read_sources(&[Input::Path(Path::new(path).to_path_buf())]).expect("readable");
    let report = lint(&sources, &options());
    assert!(report.objects().any(|own| own.kind == "ScaledObject"), "{path} has a policy");
    let all = report.files.iter().flat_map(FileReport::all_findings);
    all.filter(|own| own.diagnostic.severity > Severity::Note).map(|own| own.diagnostic.to_string()).collect()
}

#[test]
fn good_policies_give_rise_to_no_warning() {
    let mut paths: Vec<String> = fs::read_dir("tests/policies-good")
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path().to_string_lossy().into_owned())
        .collect();
    paths.sort();
    assert!(paths.len() >= 5);
    for path in &paths {
        let text = fs::read_to_string(path).expect("readable");
        assert!(text.starts_with("# Good: "), "{path} says why it is good");
    }
    paths.push("policies/llama-3.1-8b-h100".to_owned());
    for path in paths {
        assert_eq!(complaints(&path), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn what_is_called_good_can_be_spoilt() {
    // The check above must be able to fail: each good policy with one thing changed breaks a rule.
    for (file, good, bad, code) in [
        ("token-rate-sum", "[2m]", "[20s]", "L-32"),
        ("from-zero-by-the-gateway", "gateway_requests_in_flight", "vllm:num_requests_running", "L-10"),
        ("mean-as-value", "metricType: Value", "metricType: AverageValue", "L-06"),
        ("office-hours-and-queue", "desiredReplicas: \"4\"", "desiredReplicas: \"1\"", "L-42"),
        ("formula-with-guards", "(tokens ?? 0)", "tokens", "L-52"),
    ] {
        let text = fs::read_to_string(format!("tests/policies-good/{file}.yaml")).expect("readable");
        assert!(text.contains(good), "{file}");
        assert!(!codes(&report_on(&text)).contains(code), "{file}");
        assert!(codes(&report_on(&text.replace(good, bad))).contains(code), "{file}: {code}");
    }
}

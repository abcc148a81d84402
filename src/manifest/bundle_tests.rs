use super::*;
use crate::units::Severity;

fn load(text: &str) -> Bundle {
    Bundle::from_text(text, "t.yaml").expect("valid")
}

/// The only error of `text`, as printed.
fn refused(text: &str) -> String {
    let diagnostics = Bundle::from_text(text, "t.yaml").expect_err("an error");
    assert_eq!(diagnostics.0.len(), 1, "{diagnostics}");
    assert_eq!(diagnostics.0[0].severity, Severity::Error);
    diagnostics.to_string()
}

fn object(version: &str, kind: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x, namespace: ns}}\n")
}

#[test]
fn the_kinds_that_matter_are_kept_in_order_and_others_are_named() {
    let kinds = [
        ("keda.sh/v1alpha1", "ScaledObject", true),
        ("keda.k8s.io/v1alpha1", "ScaledObject", true), // Kept, so that the reader can refuse it by name.
        ("v1", "Service", false),
        ("autoscaling/v2", "HorizontalPodAutoscaler", true),
        ("serving.kserve.io/v1beta1", "InferenceService", true),
        ("serving.kserve.io/v1alpha2", "LLMInferenceService", true),
        ("apps/v1", "Deployment", true),
        ("apps/v1", "StatefulSet", true),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", true),
        ("apps/v1", "DaemonSet", false),
        ("monitoring.coreos.com/v1", "PodMonitor", true),
        ("monitoring.coreos.com/v1", "ServiceMonitor", true),
        ("monitoring.coreos.com/v1", "PrometheusRule", true),
        ("keda.sh/v1alpha1", "TriggerAuthentication", true),
        ("keda.sh/v1alpha1", "ClusterTriggerAuthentication", true),
        ("kedasim.dev/v1alpha1", "Scenario", true),
        ("kedasim.dev/v1alpha1", "Traffic", true),
        ("kedasim.dev/v1alpha1", "Profile", true),
        ("kedasim.dev/v1alpha1", "Sweep", true),
        ("kubeflow.org/v1", "Profile", false), // Somebody else's kind of the same name.
    ];
    let text: Vec<String> = kinds.iter().map(|(version, kind, _)| object(version, kind)).collect();
    let bundle = load(&text.join("---\n"));
    let kept: Vec<(&str, &str)> =
        bundle.documents.iter().map(|own| (own.api_version.as_str(), own.kind.as_str())).collect();
    let expected: Vec<(&str, &str)> = kinds.iter().filter(|kind| kind.2).map(|kind| (kind.0, kind.1)).collect();
    assert_eq!(kept, expected);
    let skipped: Vec<&str> = bundle.skipped.iter().map(|own| own.kind.as_str()).collect();
    assert_eq!(skipped, ["Service", "DaemonSet", "Profile"]);
    assert_eq!((bundle.skipped[0].name.as_str(), bundle.skipped[0].span.line), ("x", 9));
    assert_eq!(bundle.documents[0].namespace.as_deref(), Some("ns"));
    assert_eq!(bundle.of_kind("Deployment").count(), 1);
}

#[test]
fn a_list_is_opened_and_its_items_keep_their_places() {
    let text = "\
apiVersion: v1
kind: List
items:
  - apiVersion: keda.sh/v1alpha1
    kind: ScaledObject
    metadata: {name: a}
  - apiVersion: v1
    kind: Service
    metadata: {name: b}
";
    let bundle = load(text);
    assert_eq!(bundle.documents.len(), 1);
    assert_eq!((bundle.documents[0].name.as_str(), bundle.documents[0].root.span.line), ("a", 4));
    assert_eq!(bundle.skipped[0].span.line, 7);
    assert!(load("apiVersion: v1\nkind: List\nitems: null\n").documents.is_empty());
    assert!(
        refused("kind: List\nitems: {}\n").starts_with("error: t.yaml:2:8: items: found a mapping, expected a list")
    );
    // An item without a kind is an error at the item.
    assert!(refused("kind: List\nitems:\n  - metadata: {}\n").starts_with("error: t.yaml:3:5: kind: "));
}

#[test]
fn a_name_that_yaml_does_not_read_as_text_is_an_error_with_its_spelling() {
    let cases = [
        (
            "name: on",
            "2:18: metadata.name: found the boolean true, expected a string",
            "put it in quotes, name: \"on\"",
        ),
        ("name: y", "found the boolean true", "does not read y as text"),
        ("name: Off", "found the boolean false", "name: \"Off\""),
        ("name: 0123", "found the integer 83", "name: \"0123\""),
        ("name: 1e3", "found the number 1000", "name: \"1e3\""),
        ("name: x, namespace: no", "2:32: metadata.namespace: found the boolean false", "namespace: \"no\""),
    ];
    for (metadata, message, help) in cases {
        for kind in ["apiVersion: keda.sh/v1alpha1, kind: ScaledObject", "apiVersion: apps/v1, kind: Deployment"] {
            let told = refused(&format!("{{{kind},\nmetadata: {{{metadata}}}}}\n"));
            assert!(told.contains(message) && told.contains(help), "{metadata}: {told}");
        }
    }
    // A name in quotes is one, and a date or a version is text without them.
    for name in ["\"on\"", "'123'", "2026-01-05", "v1", "1.2.3", "yesterday"] {
        let bundle = load(&format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\n"));
        assert_eq!(bundle.documents[0].name, name.trim_matches(['"', '\'']));
    }
    // What is not read keeps the name that its author sees.
    let bundle = load("kind: Service\nmetadata:\n  name: on\n");
    assert_eq!(bundle.skipped[0].name, "on");
}

#[test]
fn json_is_yaml() {
    let text = "{\n\t\"apiVersion\": \"apps/v1\",\n\t\"kind\": \"Deployment\",\n\t\"metadata\": {\"name\": \"x\"}\n}\n";
    assert_eq!(load(text).documents[0].name, "x");
}

#[test]
fn what_is_no_object_is_an_error_that_names_the_place() {
    assert!(refused("- a\n").starts_with("error: t.yaml:1:1: found a list, expected a Kubernetes object"));
    assert!(refused("a: 1\n").starts_with("error: t.yaml:1:1: kind: this document has no kind"));
    assert!(refused("apiVersion: v1\nkind: 5\n").starts_with("error: t.yaml:2:7: kind: found the integer 5"));
    assert!(refused("kind: Service\n---\njust text\n").starts_with("error: t.yaml:3:1: found the string"));
}

#[test]
fn every_wrong_document_has_its_message() {
    let diagnostics = Bundle::from_text("a: 1\n---\nb: 1\n---\n- c\n", "t").expect_err("errors");
    let lines: Vec<u32> = diagnostics.0.iter().filter_map(|own| own.span.as_ref()).map(|span| span.line).collect();
    assert_eq!(lines, [1, 3, 5]);
}

#[test]
fn unrendered_templates_are_named_as_such() {
    let cases = [
        ("kind: ScaledObject\nmetadata:\n  name: {{ .Release.Name }}\n", "3:9"),
        ("{{- if .Values.keda }}\nkind: ScaledObject\n{{- end }}\n", "1:1"),
        ("kind: ScaledObject\nmetadata:\n  labels:\n    {{- include \"labels\" . | nindent 4 }}\n", "4:5"),
        ("kind: ScaledObject\nspec:\n  max: {{ .Values.max | default 3 }}\n", "3:8"),
        ("kind: ScaledObject\nspec: \"{{ include \"x\" . }}\"\n", "2:8"), // The quotes inside break the outer ones.
        ("kind: ScaledObject\nmetadata:\n  name: app-{{ .Release.Name }}\n", "3:9"), // Valid YAML, but surely not meant.
        ("# {{ a comment }}\nkind: ScaledObject\nx: {{ .Values.x }} # {{ y }}\n", "3:4"),
    ];
    for (text, place) in cases {
        let message = refused(text);
        assert!(message.starts_with(&format!("error: t.yaml:{place}: an unrendered template")), "{text}: {message}");
        assert!(message.contains("help: render it first: helm template . | kedasim simulate -"), "{message}");
    }
}

#[test]
fn braces_that_are_no_templates_are_left_alone() {
    let fine = [
        "kind: ScaledObject\nmetadata:\n  annotations: {legend: \"{{pod}}\"}\n",
        "kind: ScaledObject\n# {{ .Values.x }}\nspec: {}\n",
        "kind: Deployment\nspec:\n  query: |\n    foo {{ x }}\n  other: >-\n    {{ y }}\n",
        "kind: PrometheusRule\nspec:\n  summary: Pod {{ $labels.pod }} is down\n",
        "kind: ConfigMap\ndata:\n  legend: rate {{pod}}\n",
    ];
    for text in fine {
        let bundle = load(text);
        assert_eq!(bundle.documents.len() + bundle.skipped.len(), 1, "{text}");
    }
    // A mistake elsewhere is reported as what it is, though a quoted legend stands in the file.
    let message = refused("kind: ScaledObject\nlegend: \"{{pod}}\"\na: 1\na: 2\n");
    assert!(message.starts_with("error: t.yaml:4:1: duplicate key"), "{message}");
}

#[test]
fn the_policy_is_what_was_read_without_our_own_documents() {
    let text = format!(
        "# note\n{}---\n{}---\n{}",
        object("keda.sh/v1alpha1", "ScaledObject"),
        object("kedasim.dev/v1alpha1", "Scenario"),
        object("apps/v1", "Deployment")
    );
    let policy = load(&text).policy_text();
    let expected = "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: x
  namespace: ns
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: x
  namespace: ns
";
    assert_eq!(policy, expected);
    assert_eq!(load("kind: Scenario\n").policy_text(), "");
}

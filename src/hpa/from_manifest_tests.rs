//! A hand-written HPA as the API server takes or refuses it.

use super::*;
use crate::hpa::{KubernetesVersion, SelectPolicy};
use crate::manifest::Bundle;
use crate::units::{Severity, SimDuration};

const HEAD: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: app}\n";

/// An HPA whose `spec` also has `lines` (its lines start at 6).
fn hpa(lines: &str) -> String {
    format!("{HEAD}spec:\n  scaleTargetRef: {{kind: Deployment, name: app}}\n{lines}")
}

/// One metric, in one line (line 7).
fn metric(metric: &str) -> String {
    hpa(&format!("  maxReplicas: 9\n  metrics: [{metric}]\n"))
}

fn resolve(text: &str, flags: &ControllerFlags) -> Result<(HpaSpec, Diagnostics), Diagnostics> {
    let bundle = Bundle::from_text(text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    let written = HorizontalPodAutoscaler::read(&bundle.documents[0], &mut diagnostics).expect("readable");
    assert!(diagnostics.0.is_empty(), "{diagnostics}");
    HpaSpec::from_manifest(&written, flags)
}

fn flags() -> ControllerFlags {
    ControllerFlags::defaults(KubernetesVersion::V1_36)
}

#[track_caller]
fn accepted(text: &str) -> (HpaSpec, Vec<Diagnostic>) {
    let (spec, diagnostics) = resolve(text, &flags()).unwrap_or_else(|wrong| panic!("{text}: {wrong}"));
    (spec, diagnostics.0)
}

fn refused(text: &str) -> Vec<Diagnostic> {
    resolve(text, &flags()).expect_err(text).0
}

#[test]
fn absent_fields_get_the_apis_defaults() {
    let (spec, notes) = accepted(&hpa("  maxReplicas: 9\n"));
    let cpu = MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 80));
    assert_eq!((spec.min_replicas, spec.max_replicas, spec.metrics), (1, 9, vec![cpu]));
    assert_eq!(spec.namespace, "default");
    assert_eq!(spec.behavior, None, "absent stays absent: another algorithm");
    assert_eq!((notes.len(), notes[0].severity), (1, Severity::Note), "80 % cpu is told");
    let (spec, _) = accepted(&hpa("  maxReplicas: 9\n  metrics: []\n  behavior: {}\n"));
    assert_eq!(spec.metrics.len(), 1, "an empty list is an absent one");
    let (up, down) = spec.behavior.expect("an empty behavior is filled");
    assert_eq!((up.policies.len(), down.policies.len()), (2, 1));
    assert_eq!(down.stabilization_window, SimDuration::from_secs(300), "the controller's flag");
}

#[test]
fn every_kind_of_metric_is_resolved() {
    let table = [
        (
            "{type: External, external: {metric: {name: q}, target: {type: AverageValue, averageValue: 700m}}}",
            MetricSpec::new("q", MetricTarget::ExternalAverageValue(700)),
        ),
        (
            "{type: External, external: {metric: {name: q, selector: {matchLabels: {a: b}}}, target: {type: Value, value: 5}}}",
            MetricSpec::new("q", MetricTarget::ExternalValue(5000)).with_selector(selector_text(&[("a", "b")], &[])),
        ),
        (
            "{type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 1k}}}",
            MetricSpec::new("rps", MetricTarget::PodsAverageValue(1_000_000)),
        ),
        (
            "{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 70}}}",
            MetricSpec::new("memory", MetricTarget::ResourceUtilization(Resource::Memory, 70)),
        ),
        (
            "{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 500m}}}",
            MetricSpec::new("cpu", MetricTarget::ResourceAverageValue(Resource::Cpu, 500)),
        ),
        (
            "{type: ContainerResource, containerResource: {name: cpu, container: main, target: {type: Utilization, \
             averageUtilization: 70}}}",
            MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 70)).of_container("main"),
        ),
    ];
    for (text, expected) in table {
        let (spec, messages) = accepted(&metric(text));
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(spec.metrics, [expected]);
    }
}

#[test]
fn behavior_and_namespace_are_taken_over() {
    let text = hpa("  minReplicas: 2\n  maxReplicas: 2\n  behavior: {scaleDown: {selectPolicy: Disabled}}\n");
    let (spec, _) = accepted(&text.replace("{name: app}\nspec", "{name: app, namespace: ns}\nspec"));
    assert_eq!((spec.namespace.as_str(), spec.min_replicas, spec.max_replicas), ("ns", 2, 2));
    assert_eq!(spec.behavior.map(|(_, down)| down.select_policy), Some(SelectPolicy::Disabled));
}

#[test]
fn bounds_and_names_are_validated_at_their_fields() {
    let cpu =
        "  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 5}}}]\n";
    let table = [
        (
            hpa("  minReplicas: -1\n  maxReplicas: 9\n"),
            "6:16: spec.minReplicas: Invalid value: -1: must be greater than or equal to 1",
        ),
        (
            hpa("  minReplicas: 4\n  maxReplicas: 3\n"),
            "7:16: spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
        ),
        (
            hpa("  maxReplicas: 3\n").replace("name: app}\nspec", "name: App}\nspec"),
            "3:18: metadata.name: Invalid value: \"App\": a lowercase RFC 1123 subdomain must consist of",
        ),
        (
            hpa("  maxReplicas: 3\n").replace("Deployment, name: app", "Deployment, name: a/b"),
            "5:44: spec.scaleTargetRef.name: Invalid value: \"a/b\": may not contain '/'",
        ),
        (
            hpa("  maxReplicas: 3\n").replace("Deployment, name: app", "Deployment, name: \"\""),
            "5:44: spec.scaleTargetRef.name: Required value",
        ),
        (
            hpa("  maxReplicas: 3\n").replace("kind: Deployment, name: app", "kind: .., name: app"),
            "5:26: spec.scaleTargetRef.kind: Invalid value: \"..\": may not be '..'",
        ),
        (
            hpa(&format!("  maxReplicas: 3\n{cpu}  behavior: {{scaleUp: {{stabilizationWindowSeconds: 3601}}}}\n")),
            "8:52: spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to 3600",
        ),
        (
            hpa(&format!("  maxReplicas: 3\n{cpu}  behavior: {{scaleDown: {{selectPolicy: max}}}}\n")),
            "8:40: spec.behavior.scaleDown.selectPolicy: Unsupported value: \"max\": supported values: \"Disabled\", \"Max\", \
             \"Min\"",
        ),
        (
            hpa(&format!("  maxReplicas: 3\n{cpu}  behavior: {{scaleDown: {{policies: []}}}}\n")),
            "8:25: spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
        ),
    ];
    for (text, expected) in table {
        let found = refused(&text);
        let errors: Vec<&Diagnostic> = found.iter().filter(|one| one.severity == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "{found:?}");
        assert!(errors[0].to_string().starts_with(&format!("error: t:{expected}")), "{expected}: {}", errors[0]);
        assert_eq!(errors[0].judge, Some(Judge::HpaValidation));
    }
}

#[test]
fn min_replicas_0_needs_the_gate_and_a_metric_without_pods() {
    let external = "  metrics: [{type: External, external: {metric: {name: q}, target: {type: Value, value: 5}}}]\n";
    let zero = |metrics: &str| hpa(&format!("  minReplicas: 0\n  maxReplicas: 3\n{metrics}"));
    let mut flags = flags();
    let paths = |result: Result<(HpaSpec, Diagnostics), Diagnostics>| {
        let errors = result.expect_err("refused").0.into_iter().filter(|one| one.severity == Severity::Error);
        errors.map(|one| format!("{}: {}", one.path, one.message)).collect::<Vec<_>>()
    };
    let bound = "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1";
    let metrics = format!("spec.metrics: Forbidden: {NO_METRIC_AT_ZERO}");
    assert_eq!(paths(resolve(&zero(external), &flags)), [bound], "gate off");
    assert_eq!(paths(resolve(&zero(""), &flags)), [bound, &metrics], "gate off and cpu by default");
    flags.scale_to_zero = true;
    assert_eq!(paths(resolve(&zero(""), &flags)), [metrics], "cpu cannot be seen at 0 pods");
    assert_eq!(resolve(&zero(external), &flags).expect("valid").0.min_replicas, 0);
}

#[test]
fn metrics_are_validated_at_their_fields() {
    let external = |metric: &str, target: &str| {
        format!("{{type: External, external: {{metric: {{{metric}}}, target: {{{target}}}}}}}")
    };
    let resource = |name: &str, target: &str| format!("{{type: Resource, resource: {{{name}target: {{{target}}}}}}}");
    let container = |container: &str| {
        format!(
            "{{type: ContainerResource, containerResource: {{name: cpu, {container}target: {{type: Utilization, \
             averageUtilization: 5}}}}}}"
        )
    };
    let table = [
        (
            external("name: q", "type: Value"),
            "external.target.averageValue: Required value: must set either a target value for metric or a per-pod target",
        ),
        (
            external("name: q", "type: Value, value: 1, averageValue: 1"),
            "external.target.value: Forbidden: may not set both a target value for metric and a per-pod target",
        ),
        (external("name: q", "type: Value, value: 0"), "external.target.value: Invalid value: \"0\": must be positive"),
        (
            external("name: q", "type: AverageValue, averageValue: -1m"),
            "external.target.averageValue: Invalid value: \"-1m\": must be positive",
        ),
        (external("", "type: Value, value: 1"), "external.metric.name: Required value: must specify a metric name"),
        (
            external("name: a/b", "type: Value, value: 1"),
            "external.metric.name: Invalid value: \"a/b\": may not contain '/'",
        ),
        (external("name: q", "value: 1"), "external.target.type: Required value: must specify a metric target type"),
        (
            "{type: External}".to_owned(),
            "external: Required value: must populate information for the given metric source",
        ),
        ("{type: \"\", external: {}}".to_owned(), "type: Required value: must specify a metric source type"),
        (
            "{type: external, external: {}}".to_owned(),
            "type: Unsupported value: \"external\": supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"",
        ),
        (
            "{type: Object, object: {metric: {name: q}, target: {type: Value, value: 1}}}".to_owned(),
            "type: metrics of type Object are not modelled",
        ),
        (
            "{type: Pods, pods: {metric: {name: q}, target: {type: AverageValue}}}".to_owned(),
            "pods.target.averageValue: Required value: must specify a positive target averageValue",
        ),
        (
            resource("name: cpu, ", "type: Utilization"),
            "resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
        ),
        (
            resource("name: cpu, ", "type: Utilization, averageUtilization: 0"),
            "resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
        ),
        (
            resource("name: cpu, ", "type: Utilization, averageUtilization: 5, averageValue: 5"),
            "resource.target.averageValue: Forbidden: may not set both a target raw value and a target utilization",
        ),
        (
            resource("", "type: Utilization, averageUtilization: 5"),
            "resource.name: Required value: must specify a resource name",
        ),
        (
            resource("name: gpu, ", "type: Utilization, averageUtilization: 5"),
            "resource.name: found the resource \"gpu\", expected cpu or memory",
        ),
        (container(""), "containerResource.container: Required value: must specify a container"),
        (
            container("container: Main, "),
            "containerResource.container: Invalid value: \"Main\": a lowercase RFC 1123 label",
        ),
        (container(&format!("container: {}, ", "a".repeat(64))), "containerResource.container: Invalid value: "),
    ];
    for (text, expected) in table {
        let found = refused(&metric(&text));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        let said = format!("{}: {}", found[0].path, found[0].message);
        assert!(said.starts_with(&format!("spec.metrics[0].{expected}")), "{expected}: {said}");
        assert_eq!(found[0].span.as_ref().map(|span| span.line), Some(7), "{text}");
    }
    let wrong = refused(&metric(&external("name: q", "type: value, value: 1")));
    assert_eq!(wrong[0].message, "Invalid value: \"value\": must be either Utilization, Value, or AverageValue");
}

#[test]
fn what_the_controller_passes_over_is_a_warning() {
    let table = [
        (
            "{type: Resource, resource: {name: cpu, target: {type: Value, averageUtilization: 5}}}",
            "spec.metrics[0].resource.target.type",
            "found \"Value\" with averageUtilization: the controller goes by averageUtilization",
        ),
        (
            "{type: External, external: {metric: {name: q}, target: {type: Value, averageValue: 5}}}",
            "spec.metrics[0].external.target.type",
            "found \"Value\" with averageValue: the controller goes by averageValue",
        ),
        (
            "{type: Pods, pods: {metric: {name: q}, target: {type: AverageValue, averageValue: 5, value: 3}}}",
            "spec.metrics[0].pods.target.value",
            "a metric of type Pods has no value: it is ignored",
        ),
    ];
    for (text, path, message) in table {
        let (_, found) = accepted(&metric(text));
        let found: Vec<_> = found.iter().map(|one| (one.severity, one.path.as_str(), one.message.as_str())).collect();
        assert_eq!(found, [(Severity::Warning, path, message)]);
    }
}

#[test]
fn max_replicas_0_breaks_two_rules() {
    let found = refused(&hpa("  maxReplicas: 0\n"));
    let errors = found.iter().filter(|one| one.severity == Severity::Error);
    let said: Vec<String> = errors.map(|one| format!("{}: {}", one.path, one.message)).collect();
    let expected = [
        "spec.maxReplicas: Invalid value: 0: must be greater than 0",
        "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
    ];
    assert_eq!(said, expected, "validation comes after defaulting, which made minReplicas 1");
}

#[test]
fn several_mistakes_are_several_messages() {
    let text = hpa("  minReplicas: 0\n  maxReplicas: -1\n  metrics: [{type: External}, {type: Nothing}]\n");
    let paths: Vec<String> = refused(&text).into_iter().map(|one| one.path).collect();
    let expected = [
        "spec.minReplicas",
        "spec.maxReplicas",
        "spec.maxReplicas",
        "spec.metrics[0].external",
        "spec.metrics[1].type",
    ];
    assert_eq!(paths, expected, "min 0 with an External metric needs the gate only");
}

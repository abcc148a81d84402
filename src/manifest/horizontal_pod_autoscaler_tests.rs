use super::*;
use crate::manifest::Bundle;

fn read(text: &str) -> (Option<HorizontalPodAutoscaler>, Vec<Diagnostic>) {
    let bundle = Bundle::from_text(text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    let object = HorizontalPodAutoscaler::read(&bundle.documents[0], &mut diagnostics);
    (object, diagnostics.0)
}

const HEAD: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: app}\n";

/// An HPA whose `spec` also has `lines` (its lines start at 7).
fn with(lines: &str) -> String {
    format!("{HEAD}spec:\n  scaleTargetRef: {{kind: Deployment, name: app}}\n  maxReplicas: 9\n{lines}")
}

fn said(text: &str) -> Vec<String> {
    read(text).1.iter().map(ToString::to_string).collect()
}

#[test]
fn every_field_is_read() {
    let text = "\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: app
  namespace: ns
  annotations: {a: b}
  resourceVersion: \"7\"
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}
  minReplicas: 2
  maxReplicas: 30
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}
    - type: ContainerResource
      containerResource: {name: memory, container: main, target: {type: AverageValue, averageValue: 2Gi}}
    - type: Pods
      pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: 1k}}
    - type: External
      external:
        metric: {name: queue, selector: {matchLabels: {q: a}, matchExpressions: [{key: e, operator: Exists}]}}
        target: {type: Value, value: 30}
    - type: Object
      object:
        describedObject: {apiVersion: v1, kind: Service, name: s}
        metric: {name: hits}
        target: {type: Value, value: 10k}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 60}
status: {currentReplicas: 2}
";
    let (object, messages) = read(text);
    assert!(messages.is_empty(), "{messages:?}");
    let object = object.expect("readable");
    assert_eq!((object.name.value.as_str(), object.max_replicas.value), ("app", 30));
    assert_eq!(object.namespace.map(|namespace| namespace.value), Some("ns".to_owned()));
    assert_eq!(object.annotations.len(), 1);
    assert_eq!(object.min_replicas.map(|min| min.value), Some(2));
    let target = &object.scale_target_ref;
    assert_eq!(target.kind.as_ref().map(|kind| kind.value.as_str()), Some("StatefulSet"));
    assert_eq!(target.api_version.as_ref().map(|version| version.value.as_str()), Some("apps/v1"));
    let [cpu, memory, pods, external, other] = object.metrics.as_slice() else { panic!("five metrics") };
    let name = |metric: &HpaMetric| metric.name.as_ref().map(|name| name.value.clone());
    assert_eq!(name(cpu).as_deref(), Some("cpu"));
    assert_eq!(cpu.average_utilization.as_ref().map(|percent| percent.value), Some(70));
    assert_eq!(memory.container.as_ref().map(|name| name.value.as_str()), Some("main"));
    assert_eq!(memory.average_value.as_ref().map(|value| value.value.milli_value()), Some((2 << 30) * 1000), "2Gi");
    assert_eq!(name(pods).as_deref(), Some("rps"));
    assert_eq!(external.value.as_ref().map(|value| value.value.milli_value()), Some(30_000), "a number is a quantity");
    let selector = external.selector.as_ref().expect("a selector");
    assert_eq!((selector.match_labels.len(), selector.match_expressions.len()), (1, 1));
    assert_eq!((other.block(), name(other).as_deref()), (Some("object"), Some("hits")));
    assert_eq!(external.path, "spec.metrics[3]");
    assert_eq!(external.block_span.as_ref().map(|span| span.line), Some(21));
    assert_eq!(object.behavior.and_then(|behavior| behavior.scale_down).map(|rules| rules.span.line), Some(29));
}

#[test]
fn other_versions_say_how_to_convert() {
    let version = |version: &str, spec: &str| {
        let text = format!("apiVersion: {version}\nkind: HorizontalPodAutoscaler\nmetadata: {{name: app}}\n{spec}");
        let (object, messages) = read(&text);
        assert!(object.is_none() && messages.len() == 1, "{messages:?}");
        assert_eq!(messages[0].span.as_ref().map(|span| (span.line, span.column)), Some((1, 13)));
        assert_eq!(messages[0].message, format!("found {version:?}, expected autoscaling/v2"));
        messages[0].help.clone().unwrap_or_default()
    };
    let help = version("autoscaling/v1", "spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 60}\n");
    assert!(help.contains("{type: Utilization, averageUtilization: 60}"), "{help}");
    assert!(version("autoscaling/v2beta2", "").contains("which has the same fields"));
    assert!(version("autoscaling/v2beta1", "").contains("targetAverageUtilization"));
    assert!(version("autoscaling/v3", "").contains("autoscaling/v1 and autoscaling/v2"));
}

#[test]
fn types_are_errors_and_unknown_keys_warnings() {
    let external = |target: &str| {
        with(&format!(
            "  metrics:\n    - type: External\n      external:\n        metric: {{name: q}}\n        target: {target}\n"
        ))
    };
    let table = [
        (with("  minReplicas: two\n"), "error: t:7:16: spec.minReplicas: found the string \"two\""),
        (with("  minReplicas: 3000000000\n"), "error: t:7:16: spec.minReplicas: found the integer 3000000000"),
        (with("  minreplicas: 2\n"), "warning: t:7:3: spec.minreplicas: unknown key \"minreplicas\" in spec"),
        (with("  metrics: {}\n"), "error: t:7:12: spec.metrics: found "),
        (
            with("  metrics: [{resource: {}}]\n"),
            "error: t:7:13: spec.metrics[0].type: the required field type is missing",
        ),
        (
            external("{type: Value, value: many}"),
            "error: t:11:38: spec.metrics[0].external.target.value: found \"many\"",
        ),
        (external("{type: Value, value: [1]}"), "error: t:11:38: spec.metrics[0].external.target.value: found "),
        (external("{type: Value, averagevalue: 1}"), "warning: t:11:31: spec.metrics[0].external.target.averagevalue"),
        (
            with("  metrics: [{type: Pods, pods: {}, resource: {name: cpu}}]\n"),
            "error: t:7:46: spec.metrics[0].resource: Forbidden: must populate the given metric source only",
        ),
        (
            format!("{HEAD}spec: {{maxReplicas: 1, scaleTargetRef: {{name: app}}}}\n"),
            "error: t:4:40: spec.scaleTargetRef.kind: the required field kind is missing",
        ),
    ];
    for (text, expected) in table {
        let said = said(&text);
        assert!(said.len() == 1 && said[0].starts_with(expected), "{expected}: {said:?}");
    }
}

#[test]
fn what_cannot_do_without_is_an_error() {
    let table = [
        (format!("{HEAD}spec: {{scaleTargetRef: {{kind: Deployment, name: app}}}}\n"), "spec.maxReplicas"),
        (format!("{HEAD}spec: {{maxReplicas: 3}}\n"), "spec.scaleTargetRef"),
        (format!("{HEAD}spec: {{maxReplicas: 3, scaleTargetRef: {{kind: Deployment}}}}\n"), "spec.scaleTargetRef.name"),
        (HEAD.to_owned(), "spec"),
        (with("").replace("name: app}\nspec", "labels: {}}\nspec"), "metadata.name"),
    ];
    for (text, path) in table {
        let (object, messages) = read(&text);
        assert!(object.is_none(), "{path}");
        assert_eq!(messages.iter().map(|one| one.path.as_str()).collect::<Vec<_>>(), [path]);
        assert_eq!(messages[0].judge, Some(Judge::ApiServer));
    }
}

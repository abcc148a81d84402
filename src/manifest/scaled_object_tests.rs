use super::*;
use crate::manifest::Bundle;
use crate::units::Quantity;

fn read(text: &str) -> (Option<ScaledObject>, Vec<String>) {
    let bundle = Bundle::from_text(text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    let object = ScaledObject::read(&bundle.documents[0], &mut diagnostics);
    (object, diagnostics.0.iter().map(ToString::to_string).collect())
}

const HEAD: &str = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: app}\n";
const TRIGGER: &str = "  triggers: [{type: prometheus, metadata: {threshold: \"5\"}}]\n";

/// A ScaledObject whose `spec` also has `lines` (its lines start at 6).
fn with(lines: &str) -> String {
    format!("{HEAD}spec:\n  scaleTargetRef: {{name: app}}\n{lines}{TRIGGER}")
}

#[test]
fn every_field_of_the_crd_is_read() {
    let text = "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: app
  namespace: ns
  uid: set-by-the-server
  labels: {a: b}
  annotations: {autoscaling.keda.sh/paused: \"true\"}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db, envSourceContainerName: main}
  pollingInterval: 15
  cooldownPeriod: 0
  initialCooldownPeriod: 10
  idleReplicaCount: 0
  minReplicaCount: 1
  maxReplicaCount: 3
  fallback: {failureThreshold: 3, replicas: 6, behavior: currentReplicas}
  advanced:
    restoreToOriginalReplicaCount: true
    scalingModifiers: {formula: a + b, target: \"1\"}
    horizontalPodAutoscalerConfig:
      name: hpa
      behavior:
        scaleUp: {stabilizationWindowSeconds: 30, tolerance: 0.05, policies: []}
        scaleDown:
          selectPolicy: Disabled
          tolerance: \"100m\"
          policies:
            - {type: Pods, value: 1, periodSeconds: 60}
  triggers:
    - type: prometheus
      name: tokens
      metricType: Value
      useCachedMetrics: true
      authenticationRef: {name: secret, kind: ClusterTriggerAuthentication}
      metadata:
        query: up
        metricType: AverageValue
        threshold: \" 5 \"
        empty: \"\"
    - type: cpu
      metadata: {value: \"50\"}
status: {lastActiveTime: now}
";
    let (object, messages) = read(text);
    assert_eq!(messages, Vec::<String>::new());
    let object = object.expect("readable");
    let number = |field: &Option<Located<i64>>| field.as_ref().map(|own| own.value);
    assert_eq!((object.name.value.as_str(), object.namespace.map(|own| own.value)), ("app", Some("ns".to_owned())));
    assert_eq!(object.annotations.len(), 1);
    assert_eq!(object.scale_target_ref.name.value, "db");
    assert_eq!(object.scale_target_ref.kind.map(|own| own.value), Some("StatefulSet".to_owned()));
    assert_eq!(object.scale_target_ref.api_version.map(|own| own.value), Some("apps/v1".to_owned()));
    assert_eq!(number(&object.polling_interval), Some(15));
    assert_eq!(number(&object.cooldown_period), Some(0));
    assert_eq!(number(&object.initial_cooldown_period), Some(10));
    assert_eq!(number(&object.idle_replica_count), Some(0));
    assert_eq!((number(&object.min_replica_count), number(&object.max_replica_count)), (Some(1), Some(3)));
    let fallback = object.fallback.expect("fallback");
    assert_eq!((fallback.failure_threshold.value, fallback.replicas.value), (3, 6));
    assert_eq!(fallback.behavior.map(|own| own.value), Some("currentReplicas".to_owned()));
    assert_eq!(object.hpa_name.map(|own| own.value), Some("hpa".to_owned()));
    assert!(object.scaling_modifiers.is_some_and(|own| own.get("formula").is_some()));

    let behavior = object.behavior.expect("behavior");
    let up = behavior.scale_up.expect("scaleUp");
    assert_eq!(number(&up.stabilization_window_seconds), Some(30));
    assert_eq!(up.policies, Some(Vec::new())); // An explicit empty list is not an absent one.
    assert_eq!(up.tolerance.map(|own| own.value.milli_value()), Some(50));
    let down = behavior.scale_down.expect("scaleDown");
    assert_eq!(down.select_policy.map(|own| own.value), Some("Disabled".to_owned()));
    assert_eq!(down.tolerance.map(|own| own.value), Some(Quantity::from_milli(100)));
    let policy = &down.policies.expect("policies")[0];
    assert_eq!((policy.kind.value.as_str(), policy.value.value, policy.period_seconds.value), ("Pods", 1, 60));

    assert_eq!(object.triggers.len(), 2);
    let trigger = &object.triggers[0];
    assert_eq!((trigger.path.as_str(), trigger.kind.value.as_str()), ("spec.triggers[0]", "prometheus"));
    assert_eq!(trigger.name.as_ref().map(|own| own.value.as_str()), Some("tokens"));
    assert_eq!(trigger.metric_type.as_ref().map(|own| own.value.as_str()), Some("Value"));
    assert_eq!(trigger.use_cached_metrics.as_ref().map(|own| own.value), Some(true));
    assert_eq!(trigger.metadata.len(), 4);
    assert_eq!(trigger.metadata("threshold").map(|own| own.value), Some("5")); // Trimmed, as KEDA does.
    assert_eq!(trigger.metadata("threshold").map(|own| own.span.line), Some(39));
    assert_eq!(trigger.metadata("empty"), None);
}

#[test]
fn what_is_absent_stays_absent() {
    let (object, messages) =
        read(&with("  pollingInterval: null\n  advanced: {horizontalPodAutoscalerConfig: {behavior: {}}}\n"));
    assert_eq!(messages, Vec::<String>::new());
    let object = object.expect("readable");
    assert!(object.polling_interval.is_none() && object.fallback.is_none() && object.max_replica_count.is_none());
    // An empty behavior is there, unlike none.
    assert!(object.behavior.is_some_and(|own| own.scale_up.is_none() && own.scale_down.is_none()));
}

#[test]
fn bounds_and_types_of_the_crd_are_errors_with_their_place() {
    let cases = [
        (
            "  pollingInterval: 0\n",
            "t:6:20: spec.pollingInterval: found the integer 0, expected an integer of at least 1",
        ),
        (
            "  cooldownPeriod: -1\n",
            "t:6:19: spec.cooldownPeriod: found the integer -1, expected an integer of at least 0",
        ),
        (
            "  initialCooldownPeriod: -1\n",
            "spec.initialCooldownPeriod: found the integer -1, expected an integer of at least 0",
        ),
        ("  idleReplicaCount: -1\n", "spec.idleReplicaCount: found the integer -1, expected an integer of at least 0"),
        ("  minReplicaCount: -1\n", "spec.minReplicaCount: found the integer -1, expected an integer of at least 0"),
        (
            "  minReplicaCount: \"1\"\n",
            "t:6:20: spec.minReplicaCount: found the string \"1\", expected an integer of at least 0",
        ),
        ("  minReplicaCount: one\n", "found the string \"one\", expected an integer"),
        ("  minReplicaCount: 1.5\n", "found the number 1.5, expected an integer"),
        ("  maxReplicaCount: 0\n", "spec.maxReplicaCount: found the integer 0, expected an integer of at least 1"),
        ("  maxReplicaCount: 2147483648\n", "found the integer 2147483648, expected an integer from 1 to 2147483647"),
        ("  maxReplicaCount: 99999999999999999999\n", "found the number 100000000000000000000, expected an integer"),
        (
            "  fallback: {failureThreshold: 3}\n",
            "t:6:13: spec.fallback.replicas: the required field replicas is missing",
        ),
        ("  fallback: {failureThreshold: -1, replicas: 1}\n", "spec.fallback.failureThreshold: found the integer -1"),
        ("  fallback: {failureThreshold: 3, replicas: 1, behavior: none}\n", "expected one of static, currentReplicas"),
        ("  fallback: 3\n", "t:6:13: spec.fallback: found the integer 3, expected a mapping"),
        ("  advanced: []\n", "spec.advanced: found a list, expected a mapping"),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: [{type: Pods, value: 1}]}}}}\n",
            "behavior.scaleUp.policies[0].periodSeconds: the required field periodSeconds is missing",
        ),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: 1}}}}\n",
            "behavior.scaleUp.policies: found the integer 1, expected a list",
        ),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {tolerance: lots}}}}\n",
            "behavior.scaleDown.tolerance: found \"lots\", expected a quantity",
        ),
    ];
    for (lines, fragment) in cases {
        let (_, messages) = read(&with(lines));
        assert_eq!(messages.len(), 1, "{lines}: {messages:?}");
        assert!(messages[0].starts_with("error: ") && messages[0].contains(fragment), "{lines}: {}", messages[0]);
    }
}

#[test]
fn what_one_cannot_go_on_without_makes_it_unusable() {
    let reference = "spec:\n  scaleTargetRef: {name: app}\n";
    let cases = [
        (
            format!("{HEAD}{reference}"),
            "t:5:3: spec.triggers: the required field triggers is missing: at least one trigger is required",
        ),
        (
            format!("{HEAD}{reference}  triggers: []\n"),
            "t:6:13: spec.triggers: found an empty list: at least one trigger is required",
        ),
        (format!("{HEAD}{reference}  triggers: {{}}\n"), "spec.triggers: found a mapping, expected a list"),
        (
            format!("{HEAD}{reference}  triggers: [{{metadata: {{}}}}]\n"),
            "spec.triggers[0].type: the required field type is missing",
        ),
        (
            format!("{HEAD}{reference}  triggers: [{{type: \"\", metadata: {{}}}}]\n"),
            "spec.triggers[0].type: found an empty string",
        ),
        (format!("{HEAD}spec:\n{TRIGGER}"), "spec.scaleTargetRef: the required field scaleTargetRef is missing"),
        (
            format!("{HEAD}spec:\n  scaleTargetRef: {{}}\n{TRIGGER}"),
            "spec.scaleTargetRef.name: the required field name is missing",
        ),
        (
            format!("{HEAD}spec:\n  scaleTargetRef: {{name: 5}}\n{TRIGGER}"),
            "found the integer 5, expected a string\n  help: put it in quotes",
        ),
        (HEAD.to_owned(), "spec: the required field spec is missing"),
        (with("").replace("{name: app}\nspec", "{}\nspec"), "metadata.name: the required field name is missing"),
        (with("").replace("{name: app}\nspec", "{name: \"\"}\nspec"), "metadata.name: the name is empty"),
        (
            with("").replace("keda.sh/v1alpha1", "keda.k8s.io/v1alpha1"),
            "t:1:13: apiVersion: keda.k8s.io/v1alpha1 is the ScaledObject of KEDA 1",
        ),
        (
            with("").replace("keda.sh/v1alpha1", "keda.sh/v2"),
            "apiVersion: found \"keda.sh/v2\", expected keda.sh/v1alpha1",
        ),
    ];
    for (text, fragment) in cases {
        let (object, messages) = read(&text);
        assert_eq!(object, None, "{text}");
        assert_eq!(messages.len(), 1, "{text}: {messages:?}");
        assert!(messages[0].starts_with("error: ") && messages[0].contains(fragment), "{text}: {}", messages[0]);
    }
}

#[test]
fn metadata_must_be_strings_and_is_still_readable_after_the_error() {
    let text = with("").replace("threshold: \"5\"", "threshold: 5, unsafeSsl: false, list: [], none: ~");
    let (object, messages) = read(&text);
    let expected = [
        "error: t:6:55: spec.triggers[0].metadata.threshold: found the integer 5, expected a string: \
         spec.triggers[0].metadata.threshold in body must be of type string: \"integer\"\n  help: put it in quotes",
        "unsafeSsl: found the boolean false, expected a string: spec.triggers[0].metadata.unsafeSsl in body must be of type \
         string: \"boolean\"\n  help: put it in quotes",
        "list: found a list, expected a string: spec.triggers[0].metadata.list in body must be of type string: \"array\"",
        "none: found nothing, expected a string: spec.triggers[0].metadata.none in body must be of type string: \"null\"",
    ];
    assert_eq!(messages.len(), expected.len());
    for (message, fragment) in messages.iter().zip(expected) {
        assert!(message.contains(fragment), "{message}");
    }
    let trigger = &object.expect("inspectable").triggers[0];
    assert_eq!(trigger.metadata("unsafeSsl").map(|own| own.value), Some("false"));

    let (_, messages) = read(&with("").replace(", metadata: {threshold: \"5\"}", ""));
    assert!(
        messages[0].contains("spec.triggers[0].metadata: the required field metadata is missing"),
        "{}",
        messages[0]
    );
}

#[test]
fn keys_that_the_api_server_prunes_are_warnings_with_a_guess() {
    let cases = [
        (
            "  minReplicas: 1\n",
            "warning: t:6:3: spec.minReplicas: unknown key \"minReplicas\" in spec: kubectl apply refuses it (unknown field \
             \"spec.minReplicas\"), a server that does not validate strictly drops it; minReplicaCount is then its default, \
             0\n  help: did you mean minReplicaCount?",
        ),
        ("  maxReplicas: 5\n", "maxReplicaCount is then its default, 100\n  help: did you mean maxReplicaCount?"),
        ("  maxReplicas: 5\n  maxReplicaCount: 7\n", "drops it; maxReplicaCount is the 7 that is written\n  help: did"),
        ("  coolDownPeriod: 1\n", "cooldownPeriod is then its default, 300\n  help: did you mean cooldownPeriod?"),
        ("  foo: 1\n", "help: known keys here: advanced, cooldownPeriod,"),
        ("  fallback: {failureThreshold: 1, replicas: 1, extra: 1}\n", "spec.fallback.extra: unknown key"),
        (
            "  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 1, tolerance: 1}]}}}}\n",
            "scaleUp.policies[0].tolerance: unknown key \"tolerance\"",
        ),
    ];
    for (lines, fragment) in cases {
        let (object, messages) = read(&with(lines));
        assert!(object.is_some(), "{lines}");
        assert_eq!(messages.len(), 1, "{lines}: {messages:?}");
        assert!(messages[0].starts_with("warning: ") && messages[0].contains(fragment), "{lines}: {}", messages[0]);
    }
}

#[test]
fn every_message_is_one_of_the_api_server() {
    let text = with("  minReplicas: 1\n  pollingInterval: 0\n  fallback: {replicas: 1}\n")
        .replace("threshold: \"5\"", "unsafeSsl: false")
        .replace("name: app}\n", "name: App}\n");
    let bundle = Bundle::from_text(&text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    diagnostics.push(Diagnostic::note(None, "", "said before"));
    let object = ScaledObject::read(&bundle.documents[0], &mut diagnostics);
    assert!(object.is_some(), "{diagnostics}");
    let judges: Vec<Option<Judge>> = diagnostics.0.iter().map(|own| own.judge).collect();
    assert_eq!(judges[0], None, "not what was said before");
    assert_eq!(judges[1..], [Some(Judge::ApiServer); 5], "{diagnostics}");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let (_, messages) = read(&with("  pollingInterval: 0\n  cooldownPeriod: x\n  foo: 1\n"));
    assert_eq!(messages.len(), 3);
}

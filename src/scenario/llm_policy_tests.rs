use super::*;
use crate::manifest::Bundle;
use crate::scenario::kserve_policy::generated_scaled_objects;
use crate::scenario::ledger::Ledger;
use crate::units::Severity;

const HEAD: &str = "apiVersion: serving.kserve.io/v1alpha2\nkind: LLMInferenceService\nmetadata: {name: m}\nspec:\n";
const TRIGGER: &str = "triggers: [{type: prometheus, name: t, metadata: {query: up, threshold: \"3\"}}]";

/// What is generated for a service with these lines under `spec` (they start at line 5), and what is told.
fn of(lines: &str) -> (Vec<ScaledObject>, Vec<String>) {
    let bundle = Bundle::from_text(&format!("{HEAD}{lines}"), "t").expect("valid YAML");
    let mut ledger = Ledger::default();
    let objects = generated_scaled_objects(&bundle, &mut ledger);
    (objects, ledger.diagnostics.0.iter().map(ToString::to_string).collect())
}

fn number(field: &Option<Located<i64>>) -> Option<i64> {
    field.as_ref().map(|own| own.value)
}

fn entry(object: &ScaledObject, key: &str) -> Option<String> {
    object.triggers[0].metadata(key).map(|own| own.value.to_owned())
}

#[test]
fn direct_keda_is_passed_on_word_by_word() {
    let lines = format!(
        "  scaling:\n    maxReplicas: 4\n    keda:\n      pollingInterval: 5\n      cooldownPeriod: 6\n      \
         initialCooldownPeriod: 7\n      fallback: {{failureThreshold: 3, replicas: 2, behavior: currentReplicas}}\n      \
         advanced:\n        scalingModifiers: {{formula: t, target: \"1\"}}\n        \
         horizontalPodAutoscalerConfig: {{behavior: {{scaleDown: {{policies: []}}}}}}\n      {TRIGGER}\n"
    );
    let (objects, told) = of(&lines);
    assert_eq!(told, ["note: t:3:18: KServe generates ScaledObject m-kserve-keda (min 1, max 4, trigger prometheus)"]);
    let object = &objects[0];
    assert_eq!(object.name.value, "m-kserve-keda");
    assert_eq!(object.scale_target_ref.name.value, "m-kserve");
    assert_eq!(object.scale_target_ref.kind.as_ref().map(|own| own.value.as_str()), Some("Deployment"));
    // No minReplicas: 1, said where scaling stands.
    let min = object.min_replica_count.as_ref().expect("a minimum");
    assert_eq!((min.value, min.span.line), (1, 6));
    let max = object.max_replica_count.as_ref().expect("a maximum");
    assert_eq!((max.value, max.span.line, max.span.column), (4, 6, 18));
    assert_eq!((number(&object.polling_interval), number(&object.cooldown_period)), (Some(5), Some(6)));
    assert_eq!((number(&object.initial_cooldown_period), number(&object.idle_replica_count)), (Some(7), None));
    let fallback = object.fallback.as_ref().expect("fallback");
    assert_eq!((fallback.failure_threshold.value, fallback.replicas.value), (3, 2));
    assert_eq!(fallback.behavior.as_ref().map(|own| own.value.as_str()), Some("currentReplicas"));
    assert!(object.scaling_modifiers.as_ref().is_some_and(|node| node.get("formula").is_some()));
    let down = object.behavior.as_ref().and_then(|own| own.scale_down.as_ref()).expect("scaleDown");
    assert_eq!(down.policies, Some(Vec::new()));
    assert_eq!(object.triggers[0].path, "spec.scaling.keda.triggers[0]");
    assert_eq!((entry(object, "threshold"), object.triggers[0].metric_type.as_ref()), (Some("3".to_owned()), None));
}

#[test]
fn under_wva_the_one_trigger_asks_for_the_computed_count() {
    let lines = "  scaling: {minReplicas: 2, maxReplicas: 8, wva: {variantCost: \"1\", keda: {idleReplicaCount: 1}}}\n";
    let (objects, told) = of(lines);
    assert!(told[0].contains("m-kserve-keda (min 2, max 8, trigger prometheus)\n  help: releases after"), "{told:?}");
    let object = &objects[0];
    let trigger = &object.triggers[0];
    assert_eq!(trigger.name.as_ref().map(|own| own.value.as_str()), Some("wva-desired-replicas"));
    assert_eq!(trigger.metric_type.as_ref().map(|own| own.value.as_str()), Some("AverageValue"));
    let query = "wva_desired_replicas{variant_name=\"m-kserve-keda\",exported_namespace=\"default\"}";
    assert_eq!((entry(object, "query").as_deref(), entry(object, "threshold").as_deref()), (Some(query), Some("1")));
    assert!(entry(object, "serverAddress").is_some_and(|own| !own.is_empty()));
    assert_eq!((number(&object.min_replica_count), number(&object.idle_replica_count)), (Some(2), Some(1)));
    // The trigger is written nowhere; its place is that of wva.keda.
    assert_eq!((trigger.span.line, trigger.path.as_str()), (5, "spec.scaling.wva.keda"));
}

#[test]
fn with_workers_the_target_is_a_group_and_prefill_has_its_own() {
    let lines = format!(
        "  worker: {{}}\n  scaling: {{maxReplicas: 2, keda: {{{TRIGGER}}}}}\n  prefill:\n    \
         scaling: {{minReplicas: 0, maxReplicas: 3, keda: {{{TRIGGER}}}}}\n"
    );
    let (objects, _) = of(&lines);
    let shown: Vec<(&str, &str, &str)> = objects
        .iter()
        .map(|own| {
            let kind = own.scale_target_ref.kind.as_ref().map_or("", |kind| kind.value.as_str());
            (own.name.value.as_str(), kind, own.scale_target_ref.name.value.as_str())
        })
        .collect();
    let expected = [
        ("m-kserve-keda", "LeaderWorkerSet", "m-kserve-mn"),
        ("m-kserve-prefill-keda", "Deployment", "m-kserve-prefill"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(number(&objects[1].min_replica_count), Some(0));
    let (objects, _) = of(&lines.replace("prefill:\n", "prefill:\n    worker: {}\n"));
    assert_eq!(objects[1].scale_target_ref.name.value, "m-kserve-mn-prefill");
}

#[test]
fn what_kserves_webhook_refuses_is_an_error_and_nothing_is_generated() {
    let keda = format!("keda: {{{TRIGGER}}}");
    let cases = [
        (
            format!("  replicas: 2\n  scaling: {{maxReplicas: 2, {keda}}}\n"),
            "6:12: spec.scaling: ",
            "scaling and replicas are mutually exclusive",
        ),
        (
            format!("  scaling: {{minReplicas: 3, maxReplicas: 2, {keda}}}\n"),
            "5:26: spec.scaling.minReplicas: ",
            "minReplicas (3) cannot exceed maxReplicas (2)",
        ),
        ("  scaling: {maxReplicas: 2}\n".to_owned(), "5:12: spec.scaling: ", "either wva or keda must be specified"),
        (
            format!("  scaling: {{maxReplicas: 2, {keda}, wva: {{keda: {{}}}}}}\n"),
            "spec.scaling: ",
            "wva and keda are mutually exclusive",
        ),
        (
            "  scaling: {maxReplicas: 2, keda: {}}\n".to_owned(),
            "spec.scaling.keda.triggers: ",
            "at least one trigger is required",
        ),
        (
            "  scaling: {maxReplicas: 2, keda: {triggers: []}}\n".to_owned(),
            "spec.scaling.keda.triggers: ",
            "at least one trigger is required",
        ),
        (
            "  scaling: {maxReplicas: 2, wva: {}}\n".to_owned(),
            "spec.scaling.wva: ",
            "either hpa or keda must be specified",
        ),
        (
            "  scaling: {maxReplicas: 2, wva: {hpa: {}, keda: {}}}\n".to_owned(),
            "spec.scaling.wva: ",
            "hpa and keda are mutually exclusive",
        ),
        (
            "  scaling: {maxReplicas: 2, wva: {keda: {advanced: {scalingModifiers: {formula: a}}}}}\n".to_owned(),
            "spec.scaling.wva.keda.advanced.scalingModifiers: ",
            "scalingModifiers must not be set",
        ),
        (
            "  scaling: {maxReplicas: 2, wva: {keda: {advanced: {horizontalPodAutoscalerConfig: {name: h}}}}}\n"
                .to_owned(),
            "spec.scaling.wva.keda.advanced.horizontalPodAutoscalerConfig.name: ",
            "the controller manages the HPA name",
        ),
        (
            format!("  scaling: {{maxReplicas: 2, keda: {{idleReplicaCount: 0, {TRIGGER}}}}}\n"),
            "spec.scaling.minReplicas: ",
            "minReplicas is required when idleReplicaCount is set",
        ),
        (
            format!("  scaling: {{minReplicas: 1, maxReplicas: 2, keda: {{idleReplicaCount: 1, {TRIGGER}}}}}\n"),
            "spec.scaling.keda.idleReplicaCount: ",
            "idleReplicaCount (1) must be less than minReplicas (1)",
        ),
        (
            format!(
                "  scaling: {{maxReplicas: 2, {keda}}}\n  prefill: {{scaling: {{maxReplicas: 2, wva: {{keda: {{}}}}}}}}\n"
            ),
            "spec.prefill.scaling: ",
            "decode uses direct keda but prefill uses wva",
        ),
        (
            "  scaling: {maxReplicas: 2, wva: {keda: {}}}\n  prefill: {scaling: {maxReplicas: 2, wva: {hpa: {}}}}\n"
                .to_owned(),
            "spec.prefill.scaling.wva: ",
            "decode uses keda but prefill uses hpa",
        ),
        (
            format!("  prefill: {{replicas: 1, scaling: {{maxReplicas: 2, {keda}}}}}\n"),
            "spec.prefill.scaling: ",
            "mutually exclusive",
        ),
    ];
    for (lines, path, words) in cases {
        let (objects, told) = of(&lines);
        assert!(objects.is_empty(), "{lines}");
        assert_eq!(told.len(), 1, "{lines}: {told:?}");
        let said = &told[0];
        assert!(said.starts_with("error: t:") && said.contains(path), "{lines}: {said}");
        assert!(said.contains("KServe refuses the LLMInferenceService: ") && said.contains(words), "{lines}: {said}");
    }
}

#[test]
fn what_creates_no_scaled_object_is_told_where_it_is_not_modelled() {
    let (objects, told) = of("  scaling: {maxReplicas: 2, wva: {hpa: {}}}\n");
    assert!(objects.is_empty() && told[0].starts_with("warning: t:5:40: spec.scaling.wva.hpa: "), "{told:?}");
    assert_eq!(of("  replicas: 3\n"), (Vec::new(), Vec::new()));
    let stopped = HEAD.replace("name: m", "name: m, annotations: {serving.kserve.io/stop: \"True\"}");
    let text = format!("{stopped}  scaling: {{maxReplicas: 2, keda: {{{TRIGGER}}}}}\n");
    let bundle = Bundle::from_text(&text, "t").expect("valid YAML");
    assert!(generated_scaled_objects(&bundle, &mut Ledger::default()).is_empty());
}

#[test]
fn beside_scaled_objects_of_ones_own_a_refusal_is_a_warning() {
    let text = format!(
        "{HEAD}  scaling: {{maxReplicas: 2}}\n---\napiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: x}}\n"
    );
    let bundle = Bundle::from_text(&text, "t").expect("valid YAML");
    let mut ledger = Ledger::default();
    assert!(generated_scaled_objects(&bundle, &mut ledger).is_empty());
    let severities: Vec<Severity> = ledger.diagnostics.0.iter().map(|own| own.severity).collect();
    assert_eq!(severities, [Severity::Warning]);
}

//! The ScaledObjects that KServe creates for an LLMInferenceService with `scaling` (keda.md 9.3; kserve
//! `pkg/controller/v1alpha2/llmisvc/scaling.go` and `pkg/apis/serving/v1alpha2/llm_inference_service_validation.go`).

use crate::manifest::{
    KedaScaling, Key, LlmInferenceService, LlmScaling, LlmWorkload, ScaleTargetRef, ScaledObject, Trigger, Value,
};
use crate::scenario::kserve_policy::{is_stopped, note_of};
use crate::units::{Diagnostic, Diagnostics, Located, Span};

/// Longest name that KServe does not shorten by a hash.
const MAX_NAME: usize = 63;

/// What KServe creates for `service`, the main workload's first; errors where its webhook refuses it.
pub(super) fn generate(service: &LlmInferenceService, diagnostics: &mut Diagnostics) -> Vec<ScaledObject> {
    let before = diagnostics.0.len();
    check_workload(&service.main, diagnostics);
    if let Some(prefill) = &service.prefill {
        check_workload(prefill, diagnostics);
        check_consistency(&service.main, prefill, diagnostics);
    }
    // Any refusal is one of the whole object.
    if diagnostics.0.len() > before || is_stopped(&service.annotations) {
        return Vec::new();
    }
    let main = generate_one(service, &service.main, "-kserve", "-kserve-mn", "-kserve-keda", diagnostics);
    let prefill = service.prefill.as_ref().and_then(|prefill| {
        let names = ("-kserve-prefill", "-kserve-mn-prefill", "-kserve-prefill-keda");
        generate_one(service, prefill, names.0, names.1, names.2, diagnostics)
    });
    main.into_iter().chain(prefill).collect()
}

fn generate_one(
    service: &LlmInferenceService,
    workload: &LlmWorkload,
    deployment: &str,
    group: &str,
    object: &str,
    diagnostics: &mut Diagnostics,
) -> Option<ScaledObject> {
    let scaling = workload.scaling.as_ref()?;
    let wva = scaling.wva.as_ref();
    if let Some(hpa) = wva.and_then(|wva| wva.hpa.as_ref()) {
        let path = format!("{}.wva.hpa", scaling.path);
        let message = "KServe creates an HPA on wva_desired_replicas here, which is not modelled yet";
        let help = "give the HPA, or write keda: {} in its place";
        diagnostics.push(Diagnostic::warning(hpa.clone(), path, message).help(help));
    }
    let keda = scaling.keda.as_ref().or_else(|| wva?.keda.as_ref())?;
    let named = |suffix: &str| service.name.clone().map(|name| format!("{name}{suffix}"));
    let name = named(object);
    let (kind, api_version, target) = match workload.worker {
        Some(_) => ("LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1", named(group)),
        None => ("Deployment", "apps/v1", named(deployment)),
    };
    if name.value.len() > MAX_NAME {
        let message =
            format!("found a name of {} characters, which KServe shortens by a hash", service.name.value.len());
        let help = format!("such names are not modelled: use at most {} characters", MAX_NAME - object.len());
        diagnostics.push(Diagnostic::error(service.name.span.clone(), "metadata.name", message).help(help));
        return None;
    }
    let written = |text: &str| Some(Located::new(text.to_owned(), service.name.span.clone()));
    let min = scaling.min_replicas.clone().unwrap_or_else(|| Located::new(1, scaling.span.clone()));
    let triggers = match &scaling.keda {
        Some(own) => own.triggers.clone(),
        None => vec![wva_trigger(service, &name.value, keda)],
    };
    let object = ScaledObject {
        span: service.span.clone(),
        name,
        namespace: service.namespace.clone(),
        annotations: Vec::new(),
        scale_target_ref: ScaleTargetRef { name: target, kind: written(kind), api_version: written(api_version) },
        polling_interval: keda.polling_interval.clone(),
        cooldown_period: keda.cooldown_period.clone(),
        initial_cooldown_period: keda.initial_cooldown_period.clone(),
        idle_replica_count: keda.idle_replica_count.clone(),
        min_replica_count: Some(min),
        max_replica_count: scaling.max_replicas.clone(),
        triggers,
        fallback: keda.fallback.clone(),
        behavior: keda.behavior.clone(),
        hpa_name: None,
        scaling_modifiers: keda.scaling_modifiers.clone(),
    };
    let mut note = note_of(&object);
    if scaling.keda.is_none() {
        note = note.help("releases after KServe v0.20 no longer carry out wva: they create nothing for it");
    }
    diagnostics.push(note);
    Some(object)
}

/// The trigger on what the Workload Variant Autoscaler computes.
fn wva_trigger(service: &LlmInferenceService, object: &str, keda: &KedaScaling) -> Trigger {
    let at = |text: String| Located::new(text, keda.span.clone());
    let namespace = service.namespace.as_ref().map_or("default", |own| own.value.as_str());
    let query = format!("wva_desired_replicas{{variant_name=\"{object}\",exported_namespace=\"{namespace}\"}}");
    let entry = |(name, value): (&str, String)| (Key { name: name.to_owned(), span: keda.span.clone() }, at(value));
    Trigger {
        span: keda.span.clone(),
        path: keda.path.clone(),
        kind: at("prometheus".to_owned()),
        name: Some(at("wva-desired-replicas".to_owned())),
        metric_type: Some(at("AverageValue".to_owned())),
        use_cached_metrics: None,
        metadata: [
            // Which server it is stands in KServe's ConfigMap; a run has only one.
            ("serverAddress", "prometheus.url of inferenceservice-config".to_owned()),
            ("query", query),
            ("threshold", "1".to_owned()),
        ]
        .into_iter()
        .map(entry)
        .collect(),
    }
}

fn refusal(span: &Span, path: impl Into<String>, upstream: impl AsRef<str>) -> Diagnostic {
    let message = format!("KServe refuses the LLMInferenceService: {}", upstream.as_ref());
    Diagnostic::error(span.clone(), path, message)
}

/// `ValidateWorkloadScaling`.
fn check_workload(workload: &LlmWorkload, diagnostics: &mut Diagnostics) {
    let Some(scaling) = &workload.scaling else { return };
    if workload.replicas.is_some() {
        let upstream = "scaling and replicas are mutually exclusive; use scaling for autoscaled deployments or replicas for \
                        static deployments";
        diagnostics.push(refusal(&scaling.span, scaling.path.clone(), upstream));
    }
    if let (Some(min), Some(max)) = (&scaling.min_replicas, &scaling.max_replicas)
        && min.value > max.value
    {
        let upstream = format!("minReplicas ({}) cannot exceed maxReplicas ({})", min.value, max.value);
        diagnostics.push(refusal(&min.span, format!("{}.minReplicas", scaling.path), upstream));
    }
    match (&scaling.wva, &scaling.keda) {
        (Some(_), Some(_)) => {
            let upstream = "wva and keda are mutually exclusive; choose one scaling mechanism";
            diagnostics.push(refusal(&scaling.span, scaling.path.clone(), upstream));
        }
        (None, None) => {
            let upstream = "either wva or keda must be specified when scaling is configured";
            diagnostics.push(refusal(&scaling.span, scaling.path.clone(), upstream));
        }
        (None, Some(keda)) => {
            if keda.triggers.is_empty() {
                let upstream = "at least one trigger is required when using direct KEDA scaling";
                diagnostics.push(refusal(&keda.span, format!("{}.triggers", keda.path), upstream));
            }
            check_keda(scaling, keda, diagnostics);
        }
        (Some(wva), None) => {
            let path = format!("{}.wva", scaling.path);
            match (&wva.hpa, &wva.keda) {
                (Some(_), Some(_)) => {
                    let upstream = "hpa and keda are mutually exclusive; choose one actuator backend";
                    diagnostics.push(refusal(&wva.span, path, upstream));
                }
                (None, None) => {
                    let upstream = "either hpa or keda must be specified as the actuator backend";
                    diagnostics.push(refusal(&wva.span, path, upstream));
                }
                (None, Some(_)) | (Some(_), None) => {}
            }
            if let Some(keda) = &wva.keda {
                check_modifiers(keda, diagnostics);
                check_keda(scaling, keda, diagnostics);
            }
        }
    }
}

/// `validateKEDAAdvancedFields` for both ways, and `validateKEDAIdleReplicaCount`.
fn check_keda(scaling: &LlmScaling, keda: &KedaScaling, diagnostics: &mut Diagnostics) {
    if let Some(name) = keda.hpa_name.as_ref().filter(|name| !name.value.is_empty()) {
        let path = format!("{}.advanced.horizontalPodAutoscalerConfig.name", keda.path);
        let upstream = "horizontalPodAutoscalerConfig.name must not be set; the controller manages the HPA name";
        diagnostics.push(refusal(&name.span, path, upstream));
    }
    let Some(idle) = &keda.idle_replica_count else { return };
    match &scaling.min_replicas {
        None => {
            let upstream = format!(
                "minReplicas is required when idleReplicaCount is set; idleReplicaCount ({}) must be less than minReplicas",
                idle.value
            );
            diagnostics.push(refusal(&idle.span, format!("{}.minReplicas", scaling.path), upstream));
        }
        Some(min) if idle.value >= min.value => {
            let upstream = format!("idleReplicaCount ({}) must be less than minReplicas ({})", idle.value, min.value);
            diagnostics.push(refusal(&idle.span, format!("{}.idleReplicaCount", keda.path), upstream));
        }
        Some(_) => {}
    }
}

/// Under `wva` the formula is not the user's.
fn check_modifiers(keda: &KedaScaling, diagnostics: &mut Diagnostics) {
    let is_used = |node: &crate::manifest::Node| matches!(&node.value, Value::Map(entries) if !entries.is_empty());
    if let Some(modifiers) = keda.scaling_modifiers.as_ref().filter(|node| is_used(node)) {
        let path = format!("{}.advanced.scalingModifiers", keda.path);
        let upstream = "scalingModifiers must not be set; WVA controls the scaling metric formula and logic";
        diagnostics.push(refusal(&modifiers.span, path, upstream));
    }
}

/// `ValidateActuatorConsistency`.
fn check_consistency(main: &LlmWorkload, prefill: &LlmWorkload, diagnostics: &mut Diagnostics) {
    let (Some(own), Some(other)) = (&main.scaling, &prefill.scaling) else { return };
    let mode = |scaling: &LlmScaling| if scaling.keda.is_some() { "direct keda" } else { "wva" };
    if mode(own) != mode(other) {
        let upstream = format!(
            "decode and prefill must use the same scaling mode; decode uses {} but prefill uses {}",
            mode(own),
            mode(other)
        );
        diagnostics.push(refusal(&other.span, other.path.clone(), upstream));
        return;
    }
    let (Some(own), Some(of_prefill)) = (&own.wva, &other.wva) else { return };
    let backend = |is_hpa: bool| if is_hpa { "hpa" } else { "keda" };
    if own.hpa.is_some() != of_prefill.hpa.is_some() {
        let upstream = format!(
            "decode and prefill must use the same actuator backend; decode uses {} but prefill uses {}",
            backend(own.hpa.is_some()),
            backend(of_prefill.hpa.is_some())
        );
        diagnostics.push(refusal(&of_prefill.span, format!("{}.wva", other.path), upstream));
    }
}

#[cfg(test)]
#[path = "llm_policy_tests.rs"]
mod tests;

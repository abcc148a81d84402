//! The autoscalers that KServe creates for its own resources (keda.md 9.1 to 9.3), each part with the place in the
//! InferenceService or LLMInferenceService that it comes from.
//!
//! ScaledObjects of InferenceServices stand here (kserve `pkg/controller/v1beta1/inferenceservice/reconcilers/keda/
//! keda_reconciler.go` and `pkg/apis/serving/v1beta1/inference_service_validation.go`), those of LLMInferenceServices in
//! `llm_policy`, plain HPAs in `kserve_hpa`. The annotations `serving.kserve.io/metric` and
//! `serving.kserve.io/targetUtilizationPercentage` of older releases are not read upstream any more, nor here.

use crate::manifest::{
    AutoScalingMetric, Behavior, Bundle, Document, HorizontalPodAutoscaler, InferenceService, Key, LlmInferenceService,
    ScaleTargetRef, ScaledObject, ScalingRules, Trigger,
};
use crate::scenario::ledger::Ledger;
use crate::scenario::{kserve_hpa, llm_policy};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity, Severity, Span};

/// Utilization of cpu that is aimed at when none is written, percent (kserve `pkg/constants`, `DefaultCPUUtilization`).
pub(super) const CPU_UTILIZATION: i64 = 80;
/// Where the add-on that reads OpenTelemetry metrics listens, as KServe's ConfigMap is shipped (`metricScalerEndpoint`).
const OTEL_SCALER: &str = "keda-otel-scaler.keda.svc:4318";

/// What KServe would create for the InferenceServices with `autoscalerClass: keda` and the LLMInferenceServices with
/// `scaling` of `bundle`, in order. One that KServe refuses is an error in the ledger; a warning when the bundle has
/// ScaledObjects of its own, since the run is then one of theirs.
pub(super) fn generated_scaled_objects(bundle: &Bundle, ledger: &mut Ledger) -> Vec<ScaledObject> {
    let mut diagnostics = Diagnostics::new();
    let mut generated = Vec::new();
    for document in &bundle.documents {
        match document.kind.as_str() {
            "InferenceService" => generated.extend(of_service(document, &mut diagnostics)),
            "LLMInferenceService" => {
                if let Some(service) = read_apart(document, LlmInferenceService::read, &mut diagnostics) {
                    generated.extend(llm_policy::generate(&service, &mut diagnostics));
                }
            }
            _ => {}
        }
    }
    let is_beside = bundle.of_kind("ScaledObject").next().is_some();
    for mut diagnostic in diagnostics.0 {
        if is_beside && diagnostic.severity == Severity::Error {
            diagnostic.severity = Severity::Warning;
        }
        ledger.push(diagnostic);
    }
    generated
}

/// The HPAs that KServe would create for the InferenceServices of `bundle` with `autoscalerClass: hpa` or none, in order. Only
/// for input with neither a ScaledObject nor an HPA. One that KServe refuses is an error in the ledger.
pub(super) fn generated_hpas(bundle: &Bundle, ledger: &mut Ledger) -> Vec<HorizontalPodAutoscaler> {
    kserve_hpa::generate(bundle, &mut ledger.diagnostics)
}

/// Reads `document` without a word: what is wrong with it is told with the workload. Unless there is nothing to go on with.
pub(super) fn read_apart<T>(
    document: &Document,
    read: fn(&Document, &mut Diagnostics) -> Option<T>,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let mut found = Diagnostics::new();
    let object = read(document, &mut found);
    if object.is_none() {
        diagnostics.0.append(&mut found.0);
    }
    object
}

/// The note that tells what KServe makes.
pub(super) fn note_of(object: &ScaledObject) -> Diagnostic {
    let count = |field: &Option<Located<i64>>| field.as_ref().map_or(0, |own| own.value);
    let kinds: Vec<&str> = object.triggers.iter().map(|trigger| trigger.kind.value.as_str()).collect();
    let noun = if kinds.len() == 1 { "trigger" } else { "triggers" };
    let message = format!(
        "KServe generates ScaledObject {} (min {}, max {}, {noun} {})",
        object.name.value,
        count(&object.min_replica_count),
        count(&object.max_replica_count),
        kinds.join(", ")
    );
    Diagnostic::note(object.name.span.clone(), "", message)
}

/// Whether KServe's stop annotation holds (kserve `pkg/utils`, `GetForceStopRuntime`).
pub(super) fn is_stopped(annotations: &[(Key, Located<String>)]) -> bool {
    annotations
        .iter()
        .any(|(key, value)| key.name == "serving.kserve.io/stop" && value.value.eq_ignore_ascii_case("true"))
}

/// Whether `service` runs as a plain Deployment, which alone has an HPA or ScaledObject; a warning says why not.
pub(super) fn is_standard(service: &InferenceService, what: &str, diagnostics: &mut Diagnostics) -> bool {
    const PATH: &str = "metadata.annotations.serving.kserve.io/deploymentMode";
    let name = &service.name.value;
    let Some(mode) = &service.deployment_mode else {
        let message = format!(
            "found no deploymentMode on InferenceService {name}: taken to be Standard, in which KServe creates {what}; its \
             ConfigMap's default is Knative, in which it does not"
        );
        let help = "annotate it with serving.kserve.io/deploymentMode: Standard";
        diagnostics.push(Diagnostic::warning(service.span.clone(), PATH, message).help(help));
        return true;
    };
    if matches!(mode.value.as_str(), "Standard" | "RawDeployment") {
        return true;
    }
    let message = format!("found {:?} on InferenceService {name}, in which KServe does not create {what}", mode.value);
    let help = "write Standard, or give the autoscaler that there is";
    diagnostics.push(Diagnostic::warning(mode.span.clone(), PATH, message).help(help));
    false
}

/// Whether KServe's webhook checks the scaling of `service` (`validateAutoScalingCompExtension`, which knows only the new
/// spelling).
pub(super) fn is_validated(service: &InferenceService) -> bool {
    service.deployment_mode.as_ref().is_some_and(|mode| mode.value == "Standard")
}

/// A refusal of KServe's webhook.
pub(super) fn refusal(span: &Span, path: impl Into<String>, upstream: &str, help: &str) -> Diagnostic {
    Diagnostic::error(span.clone(), path, format!("KServe refuses the InferenceService: {upstream}")).help(help)
}

/// The bounds: `minReplicas` or 1, but at least `least`; `maxReplicas`, but at least the minimum.
pub(super) fn bounds(service: &InferenceService, least: i64) -> (Located<i64>, Located<i64>) {
    let absent = || Located::new(1, service.name.span.clone());
    let min = service.min_replicas.clone().unwrap_or_else(absent).map(|min| min.max(least));
    let max = match &service.max_replicas {
        Some(max) if max.value >= min.value => max.clone(),
        Some(max) => Located::new(min.value, max.span.clone()),
        None => min.clone(),
    };
    (min, max)
}

fn of_service(document: &Document, diagnostics: &mut Diagnostics) -> Option<ScaledObject> {
    let service = read_apart(document, InferenceService::read, diagnostics)?;
    if service.autoscaler_class.as_ref().is_none_or(|class| class.value != "keda") {
        return None;
    }
    if is_stopped(&service.annotations) || !is_standard(&service, "a ScaledObject", diagnostics) {
        return None;
    }
    let before = diagnostics.0.len();
    let triggers = triggers_of(&service, diagnostics);
    if diagnostics.0[before..].iter().any(|found| found.severity == Severity::Error) {
        return None;
    }
    let (min, max) = bounds(&service, 0);
    let name = service.name.clone().map(|name| format!("{name}-predictor"));
    let object = ScaledObject {
        behavior: windows_of(&service, diagnostics),
        span: service.span,
        scale_target_ref: ScaleTargetRef { name: name.clone(), kind: None, api_version: None },
        name,
        namespace: service.namespace,
        annotations: service.annotations,
        polling_interval: None,
        cooldown_period: None,
        initial_cooldown_period: None,
        idle_replica_count: None,
        min_replica_count: Some(min),
        max_replica_count: Some(max),
        triggers,
        fallback: None,
        hpa_name: None,
        scaling_modifiers: None,
    };
    diagnostics.push(note_of(&object));
    Some(object)
}

/// The triggers, with an error where KServe or the API server refuses them.
fn triggers_of(service: &InferenceService, diagnostics: &mut Diagnostics) -> Vec<Trigger> {
    if let Some(metric) = &service.scale_metric {
        let help = "write spec.predictor.autoScaling.metrics instead";
        let upstream = "ScaleMetric is not supported for KEDA";
        diagnostics.push(refusal(&metric.span, "spec.predictor.scaleMetric", upstream, help));
    }
    if let Some(target) = &service.scale_target {
        let message = "with autoscalerClass keda, scaleTarget has no effect: only autoScaling is read";
        diagnostics.push(Diagnostic::warning(target.span.clone(), "spec.predictor.scaleTarget", message));
    }
    let metrics = service.auto_scaling.as_ref().map(|own| own.metrics.as_slice()).unwrap_or_default();
    if metrics.is_empty() {
        let span = service.auto_scaling.as_ref().map_or_else(|| service.span.clone(), |own| own.span.clone());
        let message = "KServe would create a ScaledObject without triggers, which the API server refuses: found no metrics, \
                       expected at least one";
        let help = "write one, such as {type: External, external: {metric: {backend: prometheus, serverAddress, query}, \
                    target: {type: AverageValue, averageValue, value}}}";
        let path = "spec.predictor.autoScaling.metrics";
        diagnostics.push(Diagnostic::error(span, path, message).help(help));
    }
    metrics.iter().filter_map(|metric| trigger_of(service, metric, diagnostics)).collect()
}

fn trigger_of(
    service: &InferenceService,
    metric: &AutoScalingMetric,
    diagnostics: &mut Diagnostics,
) -> Option<Trigger> {
    if metric.source.is_none() {
        diagnostics.push(without_source(metric, "unknown KEDA metric type with value", "Resource,External,PodMetric"));
        return None;
    }
    match metric.kind.value.as_str() {
        "Resource" => resource_trigger(service, metric, diagnostics),
        "External" => external_trigger(metric, diagnostics),
        _ => pod_metric_trigger(service, metric, diagnostics),
    }
}

/// An entry of a type that there is not, or without the block of its type.
pub(super) fn without_source(metric: &AutoScalingMetric, unknown: &str, valid: &str) -> Diagnostic {
    let (block, words) = match metric.kind.value.as_str() {
        "Resource" => ("resource", "metricSpec.Resource is not set for resource metric source type"),
        "External" => ("external", "metricSpec.External is not set for external metric source type"),
        "PodMetric" => ("podmetric", "metricSpec.PodMetric is not set for pod metric source type"),
        other => {
            let upstream = format!("{unknown} [{other}]. Valid types are {valid}");
            return refusal(&metric.kind.span, format!("{}.type", metric.path), &upstream, "write one of them");
        }
    };
    let help = format!("write {block} beside type");
    refusal(&metric.span, metric.path.clone(), words, &help)
}

fn trigger(metric: &AutoScalingMetric, kind: Located<String>, metadata: Vec<(&str, Located<String>)>) -> Trigger {
    let key = |(name, value): (&str, Located<String>)| (Key { name: name.to_owned(), span: value.span.clone() }, value);
    Trigger {
        span: metric.span.clone(),
        path: metric.path.clone(),
        kind,
        name: None,
        metric_type: None,
        use_cached_metrics: None,
        metadata: metadata.into_iter().map(key).collect(),
    }
}

fn resource_trigger(
    service: &InferenceService,
    metric: &AutoScalingMetric,
    diagnostics: &mut Diagnostics,
) -> Option<Trigger> {
    let resource = metric.resource.clone().unwrap_or_else(|| Located::new(String::new(), metric.span.clone()));
    let target_type = metric.target_type.clone();
    let words = target_type.as_ref().map_or("", |own| own.value.as_str());
    if is_validated(service) {
        check_resource(metric, &resource, words, diagnostics)?;
    }
    let absent = |value: &str| Located::new(value.to_owned(), metric.span.clone());
    let quantity = |given: &Option<Located<Quantity>>| given.clone().map(|given| given.map(|own| own.to_string()));
    let value = match words {
        "Utilization" => match &metric.average_utilization {
            Some(percent) => percent.clone().map(|percent| percent.to_string()),
            None if resource.value == "cpu" => absent(&CPU_UTILIZATION.to_string()),
            None => absent("0"),
        },
        "AverageValue" => quantity(&metric.average_value).unwrap_or_else(|| absent("0")),
        "Value" => quantity(&metric.value).unwrap_or_else(|| absent("0")),
        _ => absent("0"),
    };
    Some(Trigger { metric_type: target_type, ..trigger(metric, resource, vec![("value", value)]) })
}

/// `validateScalingKedaCompExtension` and `validateScaleTarget` for a Resource; `None` after an error.
fn check_resource(
    metric: &AutoScalingMetric,
    resource: &Located<String>,
    target_type: &str,
    diagnostics: &mut Diagnostics,
) -> Option<()> {
    let mebibyte = Quantity::parse("1Mi").map_or(0, Quantity::milli_value);
    let of_target = |key: &str| format!("{}.resource.target.{key}", metric.path);
    let type_span = metric.target_type.as_ref().map_or(&metric.span, |own| &own.span);
    let small = |own: &Located<Quantity>| own.value.milli_value() < mebibyte;
    let found = match (resource.value.as_str(), target_type) {
        ("cpu", kind) if kind != "Utilization" => {
            let upstream = "the cpu target value type should be Utilization";
            Some((type_span, of_target("type"), upstream.to_owned(), "write type: Utilization"))
        }
        ("memory", kind) if !matches!(kind, "AverageValue" | "Utilization") => {
            let upstream = "the memory target value type should be AverageValue or Utilization";
            Some((type_span, of_target("type"), upstream.to_owned(), "write one of them"))
        }
        ("cpu" | "memory", "Utilization") => match &metric.average_utilization {
            None => {
                let upstream = "the AverageUtilization type should be set";
                Some((type_span, of_target("averageUtilization"), upstream.to_owned(), "write averageUtilization"))
            }
            Some(own) if !(1..=100).contains(&own.value) => {
                let upstream = "the target utilization percentage should be a [1-100] integer";
                Some((&own.span, of_target("averageUtilization"), upstream.to_owned(), "write a percentage"))
            }
            Some(_) => None,
        },
        ("memory", _) => match &metric.average_value {
            None => {
                let upstream = "the AverageValue type should be set";
                Some((type_span, of_target("averageValue"), upstream.to_owned(), "write averageValue"))
            }
            Some(own) if small(own) => {
                let upstream = "the memory target value should be greater than 1 MiB";
                Some((&own.span, of_target("averageValue"), upstream.to_owned(), "write bytes, such as 4Gi"))
            }
            Some(_) => None,
        },
        (other, _) => {
            let upstream = format!("resource type {other} is not supported");
            Some((&resource.span, format!("{}.resource.name", metric.path), upstream, "write cpu or memory"))
        }
    };
    let Some((span, path, upstream, help)) = found else { return Some(()) };
    diagnostics.push(refusal(span, path, &upstream, help));
    None
}

/// Query and `target.value` of an External or PodMetric, as Go prints the threshold (`%f`); `None` after an error.
fn query_and_threshold(
    metric: &AutoScalingMetric,
    block: &str,
    diagnostics: &mut Diagnostics,
) -> Option<(Located<String>, Located<String>)> {
    let span = metric.source.clone().unwrap_or_else(|| metric.span.clone());
    let before = diagnostics.0.len();
    let query = metric.query.clone().filter(|query| !query.value.is_empty());
    if query.is_none() {
        let path = format!("{}.{block}.metric.query", metric.path);
        diagnostics.push(refusal(&span, path, "the query should not be empty", "write the query"));
    }
    if metric.value.is_none() {
        let place = metric.target_type.as_ref().map_or(&span, |own| &own.span);
        let path = format!("{}.{block}.target.value", metric.path);
        let help = "write target.value: it is the threshold, whatever target.type says";
        diagnostics.push(refusal(place, path, "the target threshold value should not be empty", help));
    } else if let (Some(own), None) = (&metric.target_type, &metric.average_value)
        && own.value == "AverageValue"
    {
        let path = format!("{}.{block}.target.averageValue", metric.path);
        let help = "write averageValue too: it is asked for, though only value is used";
        diagnostics.push(refusal(&own.span, path, "the AverageValue type should be set", help));
    }
    if diagnostics.0.len() > before {
        return None;
    }
    let value = metric.value.as_ref()?;
    warn_of_ignored_target(metric, block, value, diagnostics);
    let threshold = format!("{:.6}", value.value.as_approximate_f64());
    Some((query?, Located::new(threshold, value.span.clone())))
}

/// `target.type` and `averageValue` are not passed on: such a trigger always runs as AverageValue of `target.value`.
fn warn_of_ignored_target(
    metric: &AutoScalingMetric,
    block: &str,
    value: &Located<Quantity>,
    diagnostics: &mut Diagnostics,
) {
    let path = |key: &str| format!("{}.{block}.target.{key}", metric.path);
    if let Some(own) = metric.target_type.as_ref().filter(|own| own.value != "AverageValue") {
        let message = format!("found {:?}, which KServe does not pass on: the trigger runs as AverageValue", own.value);
        let help = format!("the replicas are the query's result divided by {}", value.value);
        diagnostics.push(Diagnostic::warning(own.span.clone(), path("type"), message).help(help));
    }
    if let Some(own) = metric.average_value.as_ref().filter(|own| own.value != value.value) {
        let message =
            format!("found {}, which KServe does not pass on: the threshold is value, {}", own.value, value.value);
        diagnostics.push(Diagnostic::warning(own.span.clone(), path("averageValue"), message));
    }
}

fn external_trigger(metric: &AutoScalingMetric, diagnostics: &mut Diagnostics) -> Option<Trigger> {
    let (query, threshold) = query_and_threshold(metric, "external", diagnostics)?;
    let absent = || Located::new(String::new(), metric.source.clone().unwrap_or_else(|| metric.span.clone()));
    let backend = metric.backend.clone().unwrap_or_else(absent);
    let mut metadata = vec![
        ("serverAddress", metric.server_address.clone().unwrap_or_else(absent)),
        ("query", query),
        ("threshold", threshold),
    ];
    let filled = |field: &Option<Located<String>>| field.clone().filter(|own| !own.value.is_empty());
    if let Some(namespace) = filled(&metric.namespace).filter(|_| backend.value == "prometheus") {
        metadata.push(("namespace", namespace));
    }
    if let Some(modes) = filled(&metric.auth_modes) {
        metadata.push(("authModes", modes));
    }
    if backend.value.is_empty() {
        diagnostics.push(without_backend(metric, "external", "prometheus"));
        return None;
    }
    Some(trigger(metric, backend, metadata))
}

fn pod_metric_trigger(
    service: &InferenceService,
    metric: &AutoScalingMetric,
    diagnostics: &mut Diagnostics,
) -> Option<Trigger> {
    let (query, threshold) = query_and_threshold(metric, "podmetric", diagnostics)?;
    let Some(backend) = metric.backend.clone().filter(|backend| backend.value == "opentelemetry") else {
        diagnostics.push(without_backend(metric, "podmetric", "opentelemetry"));
        return None;
    };
    let namespace = service.namespace.as_ref().map_or("default", |own| own.value.as_str());
    let deployment = format!("{}-predictor", service.name.value);
    let query = query.map(|own| format!("sum({own}{{namespace=\"{namespace}\", deployment=\"{deployment}\"}})"));
    let address = metric.server_address.clone().filter(|own| !own.value.is_empty());
    let address = address.unwrap_or_else(|| Located::new(OTEL_SCALER.to_owned(), backend.span.clone()));
    let mut metadata = vec![("metricQuery", query), ("targetValue", threshold), ("scalerAddress", address)];
    if let Some(operation) = metric.operation_over_time.clone().filter(|own| !own.value.is_empty()) {
        metadata.push(("operationOverTime", operation));
    }
    Some(trigger(metric, backend.map(|_| "external".to_owned()), metadata))
}

/// KServe would write a trigger without a type.
fn without_backend(metric: &AutoScalingMetric, block: &str, expected: &str) -> Diagnostic {
    let found = metric.backend.as_ref().map_or_else(|| "no backend".to_owned(), |own| format!("{:?}", own.value));
    let span = metric.backend.as_ref().map_or(&metric.span, |own| &own.span);
    let message = format!("found {found}, expected {expected}: KServe would write a trigger without a type");
    Diagnostic::error(span.clone(), format!("{}.{block}.metric.backend", metric.path), message)
}

/// Of `behavior` only the stabilization windows are passed on. Where none is written KServe's ConfigMap gives 0 s and 300 s,
/// which are the HPA's own defaults.
fn windows_of(service: &InferenceService, diagnostics: &mut Diagnostics) -> Option<Behavior> {
    let written = service.auto_scaling.as_ref()?.behavior.as_ref()?;
    let mut rules = |key: &str, rules: Option<&ScalingRules>| {
        let rules = rules?;
        let dropped: Vec<&str> = [
            ("policies", rules.policies.is_some()),
            ("selectPolicy", rules.select_policy.is_some()),
            ("tolerance", rules.tolerance.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_written)| is_written.then_some(name))
        .collect();
        if !dropped.is_empty() {
            let path = format!("spec.predictor.autoScaling.behavior.{key}");
            let message = format!(
                "KServe passes on only stabilizationWindowSeconds: {} of {key} {} dropped, the HPA's defaults hold",
                dropped.join(", "),
                if dropped.len() == 1 { "is" } else { "are" }
            );
            let help = "with autoscalerClass external and a ScaledObject of your own all of behavior counts";
            diagnostics.push(Diagnostic::warning(rules.span.clone(), path, message).help(help));
        }
        let window = rules.stabilization_window_seconds.clone()?;
        Some(ScalingRules {
            span: rules.span.clone(),
            stabilization_window_seconds: Some(window),
            select_policy: None,
            policies: None,
            tolerance: None,
        })
    };
    let scale_up = rules("scaleUp", written.scale_up.as_ref());
    let scale_down = rules("scaleDown", written.scale_down.as_ref());
    let is_any = scale_up.is_some() || scale_down.is_some();
    is_any.then(|| Behavior { span: written.span.clone(), scale_up, scale_down })
}

#[cfg(test)]
#[path = "kserve_policy_tests.rs"]
mod tests;

//! The plain HPA that KServe creates for an InferenceService of autoscaler class `hpa`, its default (kserve
//! `pkg/controller/v1beta1/inferenceservice/reconcilers/hpa/hpa_reconciler.go`).

use crate::manifest::{
    AutoScalingMetric, Behavior, Bundle, HorizontalPodAutoscaler, HpaMetric, InferenceService, ScaleTargetRef,
};
use crate::scenario::kserve_policy::{
    CPU_UTILIZATION, bounds, is_standard, is_stopped, is_validated, read_apart, refusal, without_source,
};
use crate::units::{Diagnostic, Diagnostics, Located, Severity};

/// What KServe would create for the InferenceServices of `bundle`, in order.
pub(super) fn generate(bundle: &Bundle, diagnostics: &mut Diagnostics) -> Vec<HorizontalPodAutoscaler> {
    let services = bundle.of_kind("InferenceService");
    services
        .filter_map(|document| of_service(read_apart(document, InferenceService::read, diagnostics)?, diagnostics))
        .collect()
}

fn of_service(service: InferenceService, diagnostics: &mut Diagnostics) -> Option<HorizontalPodAutoscaler> {
    if service.autoscaler_class.as_ref().is_some_and(|class| class.value != "hpa")
        || is_stopped(&service.annotations)
        || !is_standard(&service, "an HPA", diagnostics)
    {
        return None;
    }
    let before = diagnostics.0.len();
    let metrics = metrics_of(&service, diagnostics);
    if diagnostics.0[before..].iter().any(|found| found.severity == Severity::Error) {
        return None;
    }
    if let Some(behavior) = service.auto_scaling.as_ref().and_then(|own| own.behavior.as_ref()) {
        let message = "KServe does not pass behavior on to its HPA: the HPA's defaults hold";
        let path = "spec.predictor.autoScaling.behavior";
        diagnostics.push(Diagnostic::warning(behavior.span.clone(), path, message));
    }
    let (min, max) = bounds(&service, 1);
    let name = service.name.clone().map(|name| format!("{name}-predictor"));
    let written = |text: &str| Some(Located::new(text.to_owned(), service.name.span.clone()));
    let shown: Vec<String> = metrics.iter().map(shown).collect();
    let shown = if shown.is_empty() { "no metric".to_owned() } else { shown.join(", ") };
    let message = format!(
        "KServe generates HorizontalPodAutoscaler {} (min {}, max {}, {shown})",
        name.value, min.value, max.value
    );
    diagnostics.push(Diagnostic::note(name.span.clone(), "", message));
    Some(HorizontalPodAutoscaler {
        scale_target_ref: ScaleTargetRef {
            name: name.clone(),
            kind: written("Deployment"),
            api_version: written("apps/v1"),
        },
        // Empty, but there.
        behavior: Some(Behavior { span: service.span.clone(), scale_up: None, scale_down: None }),
        span: service.span,
        name,
        namespace: service.namespace,
        annotations: service.annotations,
        min_replicas: Some(min),
        max_replicas: max,
        metrics,
    })
}

fn shown(metric: &HpaMetric) -> String {
    let name = metric.name.as_ref().map_or("", |own| own.value.as_str());
    match (&metric.average_utilization, &metric.average_value) {
        (Some(percent), _) => format!("{name} {} %", percent.value),
        (None, Some(value)) => format!("{name} {}", value.value),
        (None, None) => name.to_owned(),
    }
}

/// `getHPAMetrics`, and before it what the webhook refuses (`validateScalingHPACompExtension`).
fn metrics_of(service: &InferenceService, diagnostics: &mut Diagnostics) -> Vec<HpaMetric> {
    // The webhook looks only where the class is written.
    let is_checked = is_validated(service) && service.autoscaler_class.is_some();
    if is_checked {
        check(service, diagnostics);
    }
    if let Some(auto_scaling) = &service.auto_scaling {
        return auto_scaling.metrics.iter().filter_map(|metric| resource_metric(metric, diagnostics)).collect();
    }
    let resource = service.scale_metric.as_ref().map_or("cpu", |metric| metric.value.as_str());
    let span = service.scale_metric.as_ref().map_or_else(|| service.span.clone(), |metric| metric.span.clone());
    let target = match resource {
        "cpu" => service.scale_target.clone().unwrap_or_else(|| Located::new(CPU_UTILIZATION, service.span.clone())),
        "memory" => match service.scale_target.clone() {
            Some(target) => target,
            None => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    let path = "spec.predictor".to_owned();
    let kind = Located::new("Resource".to_owned(), span.clone());
    let name = Located::new(resource.to_owned(), span.clone());
    let target_type = Located::new("Utilization".to_owned(), target.span.clone());
    vec![HpaMetric {
        span,
        path,
        kind,
        block_span: Some(service.span.clone()),
        name: Some(name),
        selector: None,
        container: None,
        target_type: Some(target_type),
        value: None,
        average_value: None,
        average_utilization: Some(target),
    }]
}

fn check(service: &InferenceService, diagnostics: &mut Diagnostics) {
    let metric = service.scale_metric.as_ref().map_or("cpu", |metric| metric.value.as_str());
    if let Some(given) = service.scale_metric.as_ref().filter(|_| !matches!(metric, "cpu" | "memory")) {
        let upstream = format!("[{metric}] is not a supported metric");
        diagnostics.push(refusal(&given.span, "spec.predictor.scaleMetric", &upstream, "write cpu or memory"));
    }
    if let Some(target) = &service.scale_target {
        let upstream = if (metric == "cpu" && target.value < 1) || target.value > 100 {
            Some("the target utilization percentage should be a [1-100] integer")
        } else if metric == "memory" && target.value < 1 {
            Some("the target memory should be greater than 1 MiB")
        } else {
            None
        };
        if let Some(upstream) = upstream {
            diagnostics.push(refusal(&target.span, "spec.predictor.scaleTarget", upstream, "write a percentage"));
        }
    }
    for metric in service.auto_scaling.iter().flat_map(|own| &own.metrics) {
        if metric.kind.value != "Resource" {
            let upstream = format!(
                "invalid HPA metric source type with value [{}],valid metric source types are Resource",
                metric.kind.value
            );
            let help = "annotate the InferenceService with serving.kserve.io/autoscalerClass: keda";
            diagnostics.push(refusal(&metric.kind.span, format!("{}.type", metric.path), &upstream, help));
        } else if metric.source.is_none() {
            diagnostics.push(without_source(metric, "", "Resource"));
        }
    }
}

/// An entry of `autoScaling.metrics` as an HPA's; `None` for what KServe passes over, with a warning.
fn resource_metric(metric: &AutoScalingMetric, diagnostics: &mut Diagnostics) -> Option<HpaMetric> {
    let resource = metric.resource.clone().filter(|own| matches!(own.value.as_str(), "cpu" | "memory"));
    let Some(resource) = resource else {
        let message = "KServe passes over this metric: its HPA knows only Resource metrics of cpu and memory";
        diagnostics.push(Diagnostic::warning(metric.span.clone(), metric.path.clone(), message));
        return None;
    };
    let mut own = HpaMetric {
        span: metric.span.clone(),
        path: metric.path.clone(),
        kind: metric.kind.clone(),
        block_span: Some(metric.span.clone()),
        name: Some(resource.clone()),
        selector: None,
        container: None,
        target_type: metric.target_type.clone(),
        value: None,
        average_value: None,
        average_utilization: metric.average_utilization.clone(),
    };
    if resource.value == "cpu" {
        // Always a utilization, whatever the type is.
        let place = metric.target_type.as_ref().map_or_else(|| metric.span.clone(), |own| own.span.clone());
        own.target_type = Some(Located::new("Utilization".to_owned(), place));
        own.average_utilization.get_or_insert(Located::new(CPU_UTILIZATION, metric.span.clone()));
    } else if metric.target_type.as_ref().is_some_and(|own| own.value == "AverageValue") {
        own.average_utilization = None;
        own.average_value = metric.average_value.clone();
    }
    Some(own)
}

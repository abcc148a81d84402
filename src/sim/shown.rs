//! What the policy asks for, as records, tables and plots name it.

use crate::hpa::{MetricSpec, MetricTarget};
use crate::keda::{COMPOSITE, ResourceTrigger, Trigger, TriggerKind};
use crate::record::{TriggerInfo, signal_text};
use crate::scenario::{MetricSource, ResolvedRun};

/// What the timeline and the tables show: KEDA's triggers and then its formula; of a plain HPA its metrics.
pub fn trigger_infos(run: &ResolvedRun) -> Vec<TriggerInfo> {
    let Some(keda) = &run.keda else {
        let metrics = run.kubernetes.hpa.metrics.iter().zip(&run.kubernetes.sources);
        return metrics.map(|(metric, source)| metric_info(metric, source)).collect();
    };
    let spec = &keda.scaled_object;
    let triggers = spec.triggers.iter().map(trigger_info);
    let formula = spec.modifiers.iter().map(|own| TriggerInfo {
        name: COMPOSITE.to_owned(),
        query: own.formula.split_whitespace().collect::<Vec<_>>().join(" "),
        threshold: own.target,
        target_type: own.target_type.word().to_owned(),
        kind: "composite".to_owned(),
        signal: None,
    });
    triggers.chain(formula).collect()
}

/// Per metric of the HPA: where it stands among what is shown.
pub(super) fn shown_places(run: &ResolvedRun) -> Vec<Option<usize>> {
    let kubernetes = &run.kubernetes;
    let Some(keda) = &run.keda else { return (0..kubernetes.sources.len()).map(Some).collect() };
    let triggers = &keda.scaled_object.triggers;
    let place = |(metric, source): (&MetricSpec, &MetricSource)| match source {
        MetricSource::Resource => triggers.iter().position(|own| is_metric_of(own, metric)),
        // KEDA's answers are noted when it is asked.
        _ => None,
    };
    kubernetes.hpa.metrics.iter().zip(&kubernetes.sources).map(place).collect()
}

fn is_metric_of(trigger: &Trigger, metric: &MetricSpec) -> bool {
    matches!(&trigger.kind, TriggerKind::Resource(ResourceTrigger { target, container, .. })
        if *target == metric.target && *container == metric.container)
}

fn trigger_info(trigger: &Trigger) -> TriggerInfo {
    let (threshold, target_type) = match &trigger.kind {
        TriggerKind::Resource(own) => (threshold(own.target), target_word(own.target)),
        _ => (trigger.threshold, trigger.target_type.word()),
    };
    TriggerInfo {
        name: trigger.metric_name.clone(),
        query: trigger.asks(),
        threshold,
        target_type: target_type.to_owned(),
        kind: trigger.kind.word().to_owned(),
        signal: match &trigger.kind {
            TriggerKind::Signal(own) => Some(signal_text(&own.signal.value)),
            TriggerKind::KubernetesWorkload(own) => own.given.as_ref().map(signal_text),
            _ => None,
        },
    }
}

fn metric_info(metric: &MetricSpec, source: &MetricSource) -> TriggerInfo {
    let (kind, query) = asks_of(metric, source);
    let signal = match source {
        MetricSource::ExternalSignal(own) => Some(signal_text(own)),
        _ => None,
    };
    TriggerInfo {
        name: metric.name.clone(),
        query,
        threshold: threshold(metric.target),
        target_type: target_word(metric.target).to_owned(),
        kind,
        signal,
    }
}

/// (kind, what is asked) of a metric of the HPA.
pub(super) fn asks_of(metric: &MetricSpec, source: &MetricSource) -> (String, String) {
    let (kind, asks) = match (metric.target, source) {
        (MetricTarget::ResourceUtilization(resource, _) | MetricTarget::ResourceAverageValue(resource, _), _) => {
            let asks = match &metric.container {
                Some(container) => format!("{} of container {container}", resource.word()),
                None => format!("{} of the pods", resource.word()),
            };
            (resource.word(), asks)
        }
        (_, MetricSource::PodsMetric(query)) => ("pods", query.clone()),
        (_, MetricSource::ExternalSignal(_)) => ("external", "the signal given for this metric".to_owned()),
        _ => ("external", String::new()),
    };
    (kind.to_owned(), asks)
}

/// The target in the unit of the values: cores, bytes, percent, whatever a series counts.
fn threshold(target: MetricTarget) -> f64 {
    match target {
        MetricTarget::ResourceUtilization(_, percent) => f64::from(percent),
        MetricTarget::ExternalAverageValue(milli)
        | MetricTarget::ExternalValue(milli)
        | MetricTarget::PodsAverageValue(milli)
        | MetricTarget::ResourceAverageValue(_, milli) => milli as f64 / 1000.0,
    }
}

/// The target in milli units of [`threshold`]'s.
pub(super) fn target_milli(target: MetricTarget) -> i64 {
    match target {
        MetricTarget::ExternalAverageValue(milli)
        | MetricTarget::ExternalValue(milli)
        | MetricTarget::PodsAverageValue(milli)
        | MetricTarget::ResourceAverageValue(_, milli) => milli,
        MetricTarget::ResourceUtilization(_, percent) => i64::from(percent) * 1000,
    }
}

/// Upstream's word for the target's type.
pub(super) fn target_word(target: MetricTarget) -> &'static str {
    match target {
        MetricTarget::ExternalValue(_) => "Value",
        MetricTarget::ResourceUtilization(..) => "Utilization",
        MetricTarget::ExternalAverageValue(_)
        | MetricTarget::PodsAverageValue(_)
        | MetricTarget::ResourceAverageValue(..) => "AverageValue",
    }
}

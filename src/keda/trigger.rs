//! A trigger as resolved: what all kinds have in common, and the kinds.
//!
//! Reads and dispatches; the rules of a kind stand in its own file. Nothing here asks the world.

use crate::keda::trigger_reader::Reader;
use crate::keda::{
    CronTrigger, KedaVersion, PrometheusTrigger, ResourceTrigger, SignalTrigger, WorkloadTrigger, cron_trigger,
    prometheus_trigger, workload_trigger,
};
use crate::manifest::{self, ScaledObject};
use crate::units::{Diagnostic, Diagnostics, Span};

/// A trigger. Its position in [`crate::keda::ScaledObjectSpec::triggers`] is its index.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// `name`, what a formula calls it.
    pub name: Option<String>,
    /// Name in the generated HPA: `s<index>-prometheus`, ...
    pub metric_name: String,
    /// Where the entry starts.
    pub span: Span,
    /// Target in the HPA before rounding: `threshold` of Prometheus, `value` of a workload, 1 of cron.
    pub threshold: f64,
    /// `metricType`, default AverageValue.
    pub target_type: TargetType,
    /// `useCachedMetrics`: the HPA gets what the last poll found.
    pub use_cached_metrics: bool,
    /// What it asks.
    pub kind: TriggerKind,
}

/// The kinds that are modelled; every other is refused when the ScaledObject is resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerKind {
    /// A PromQL query.
    Prometheus(PrometheusTrigger),
    /// A time window.
    Cron(CronTrigger),
    /// A count of pods.
    KubernetesWorkload(WorkloadTrigger),
    /// Use of cpu or memory, which the HPA reads without KEDA.
    Resource(ResourceTrigger),
    /// Any other type: a series that the user gives.
    Signal(SignalTrigger),
}

/// The HPA target type of an external metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// Total divided by the target.
    AverageValue,
    /// Ratio times ready pods.
    Value,
}

impl TargetType {
    /// Upstream's word.
    pub fn word(self) -> &'static str {
        match self {
            TargetType::AverageValue => "AverageValue",
            TargetType::Value => "Value",
        }
    }
}

impl TriggerKind {
    /// Upstream's word, as `type` has it.
    pub fn word(&self) -> &str {
        match self {
            TriggerKind::Prometheus(_) => "prometheus",
            TriggerKind::Cron(_) => "cron",
            TriggerKind::KubernetesWorkload(_) => "kubernetes-workload",
            TriggerKind::Resource(own) => own.resource.word(),
            TriggerKind::Signal(own) => &own.type_name,
        }
    }
}

impl Trigger {
    /// The Prometheus part, of a trigger of that kind.
    pub fn prometheus(&self) -> Option<&PrometheusTrigger> {
        match &self.kind {
            TriggerKind::Prometheus(own) => Some(own),
            _ => None,
        }
    }

    /// What it asks, on one line, for records: the query, the window, the selector.
    pub fn asks(&self) -> String {
        match &self.kind {
            TriggerKind::Prometheus(own) => own.query.split_whitespace().collect::<Vec<_>>().join(" "),
            TriggerKind::Cron(own) => {
                format!("from {} to {} ({}): {}", own.start, own.end, own.timezone, own.desired_replicas)
            }
            TriggerKind::KubernetesWorkload(own) if own.group_by_node => {
                format!("nodes with pods matching {}", own.selector.text)
            }
            TriggerKind::KubernetesWorkload(own) => format!("pods matching {}", own.selector.text),
            TriggerKind::Resource(own) => match &own.container {
                Some(container) => format!("{} of container {container}", own.resource.word()),
                None => format!("{} of the pods", own.resource.word()),
            },
            TriggerKind::Signal(own) => format!("the signal given for this {} trigger", own.type_name),
        }
    }
}

/// Whether a type is simulated.
pub(super) fn is_modelled(kind: &str) -> bool {
    matches!(kind, "prometheus" | "cron" | "kubernetes-workload")
}

/// The trigger at position `index`; `None` for a type that is not modelled (reported elsewhere) or when something
/// required is wrong.
pub(super) fn resolve(
    index: usize,
    written: &manifest::Trigger,
    object: &ScaledObject,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> Option<Trigger> {
    if !is_modelled(&written.kind.value) {
        return None;
    }
    let mut reader = Reader { trigger: written, diagnostics };
    let target_type = target_type(&mut reader);
    let (kind, metric_name, threshold) = match written.kind.value.as_str() {
        "cron" => {
            let own = cron_trigger::read(&mut reader, target_type)?;
            let name = cron_trigger::metric_name(index, &own);
            (TriggerKind::Cron(own), name, 1.0)
        }
        "kubernetes-workload" => {
            let (own, value) = workload_trigger::read(&mut reader, target_type, object, version)?;
            let namespace = object.namespace.as_ref().map_or("default", |own| own.value.as_str());
            (TriggerKind::KubernetesWorkload(own), workload_trigger::metric_name(index, namespace), value)
        }
        _ => {
            let (own, threshold) = prometheus_trigger::read(&mut reader, target_type, index)?;
            (TriggerKind::Prometheus(own), format!("s{index}-prometheus"), threshold)
        }
    };
    Some(Trigger {
        name: written.name.as_ref().map(|own| own.value.clone()).filter(|own| !own.is_empty()),
        metric_name,
        span: written.span.clone(),
        threshold,
        target_type: target_type?,
        use_cached_metrics: written.use_cached_metrics.as_ref().is_some_and(|own| own.value),
        kind,
    })
}

/// `GetMetricTargetType` (`pkg/scalers/scaler.go`). A word that KEDA passes on fails when the HPA is created.
fn target_type(reader: &mut Reader<'_>) -> Option<TargetType> {
    let Some(found) = &reader.trigger.metric_type else { return Some(TargetType::AverageValue) };
    let message = match found.value.as_str() {
        "" | "AverageValue" => return Some(TargetType::AverageValue),
        "Value" => return Some(TargetType::Value),
        "Utilization" => {
            "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or \
                          'AverageValue'"
                .to_owned()
        }
        other => {
            format!("found {other:?}, which the API server refuses in the HPA: must be 'Value' or 'AverageValue'")
        }
    };
    let path = format!("{}.metricType", reader.trigger.path);
    reader.diagnostics.push(Diagnostic::error(found.span.clone(), path, message));
    None
}

/// Upstream's `NormalizeString` (`pkg/util/normalize_string.go`), which makes a text fit for a metric name.
pub(super) fn normalized(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '/' | '.' | ':' | '%' | '(' | ')') { '-' } else { c }).collect()
}

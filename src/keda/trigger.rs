//! A trigger as resolved: what all kinds have in common, and the kinds.
//!
//! Reads and dispatches; the rules of a kind stand in its own file. Nothing here asks the world.

use crate::hpa::Resource;
use crate::keda::trigger_reader::Reader;
use crate::keda::{
    CronTrigger, KedaVersion, PrometheusTrigger, ResourceTrigger, SignalTrigger, WorkloadTrigger, cron_trigger,
    prometheus_trigger, resource_trigger, scaler_types, signal_scalers, signal_trigger, workload_trigger,
};
use crate::manifest::{self, ScaledObject, Value};
use crate::series::TriggerSignal;
use crate::units::{Diagnostic, Diagnostics, Judge, Span};

/// A trigger. Its position in [`crate::keda::ScaledObjectSpec::triggers`] is its index.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// `name`, what a formula calls it.
    pub name: Option<String>,
    /// Name in the generated HPA: `s<index>-prometheus`, ...; `cpu` or `memory`.
    pub metric_name: String,
    /// Where the entry starts.
    pub span: Span,
    /// Target in the HPA before rounding: `threshold` of Prometheus, `value` of a workload, 1 of cron, percent or cores or
    /// bytes of cpu and memory, the target of a signal.
    pub threshold: f64,
    /// `metricType`, default AverageValue.
    pub target_type: TargetType,
    /// `useCachedMetrics`: the HPA gets what the last poll found.
    pub use_cached_metrics: bool,
    /// What it asks.
    pub kind: TriggerKind,
}

/// The kinds.
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

/// The HPA target type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// Total divided by the target.
    AverageValue,
    /// Ratio times ready pods; of an external metric only.
    Value,
    /// Percent of the request; of cpu and memory only.
    Utilization,
}

impl TargetType {
    /// Upstream's word.
    pub fn word(self) -> &'static str {
        match self {
            TargetType::AverageValue => "AverageValue",
            TargetType::Value => "Value",
            TargetType::Utilization => "Utilization",
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
    /// Whether the HPA reads it without KEDA: a cpu or memory trigger.
    pub fn is_resource(&self) -> bool {
        matches!(self.kind, TriggerKind::Resource(_))
    }

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
            TriggerKind::KubernetesWorkload(own) if own.given.is_some() => {
                format!("the count given for pods matching {}", own.selector.text)
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

/// The trigger at position `index`; `None` for a type that KEDA does not know or when something required is wrong.
pub(super) fn resolve(
    index: usize,
    written: &manifest::Trigger,
    object: &ScaledObject,
    version: KedaVersion,
    signal: Option<&TriggerSignal>,
    diagnostics: &mut Diagnostics,
) -> Option<Trigger> {
    let kind = written.kind.value.as_str();
    if let Some(diagnostic) = scaler_types::unknown(written, version) {
        diagnostics.push(diagnostic);
        return None;
    }
    if kind.is_empty() {
        return None; // Reported by the CRD's rule.
    }
    let mut reader = Reader { trigger: written, diagnostics };
    let (target_type, kind, metric_name, threshold) = match kind {
        "cpu" | "memory" => {
            let resource = if kind == "cpu" { Resource::Cpu } else { Resource::Memory };
            let (own, target_type, value) = resource_trigger::read(&mut reader, resource, version)?;
            (Some(target_type), TriggerKind::Resource(own), kind.to_owned(), value)
        }
        _ => {
            let target_type = target_type(&mut reader);
            let (kind, name, threshold) = external(&mut reader, index, object, version, signal, target_type)?;
            (target_type, kind, name, threshold)
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

/// Kind, metric name and target of a trigger that becomes an External metric.
fn external(
    reader: &mut Reader<'_>,
    index: usize,
    object: &ScaledObject,
    version: KedaVersion,
    signal: Option<&TriggerSignal>,
    target_type: Option<TargetType>,
) -> Option<(TriggerKind, String, f64)> {
    match reader.trigger.kind.value.as_str() {
        "cron" => {
            let own = cron_trigger::read(reader, target_type)?;
            let name = cron_trigger::metric_name(index, &own);
            Some((TriggerKind::Cron(own), name, 1.0))
        }
        "kubernetes-workload" => {
            let (own, value) = workload_trigger::read(reader, target_type, object, version, signal)?;
            let namespace = object.namespace.as_ref().map_or("default", |own| own.value.as_str());
            Some((TriggerKind::KubernetesWorkload(own), workload_trigger::metric_name(index, namespace), value))
        }
        "prometheus" => {
            let (own, threshold) = prometheus_trigger::read(reader, target_type, index)?;
            Some((TriggerKind::Prometheus(own), format!("s{index}-prometheus"), threshold))
        }
        _ => {
            let formula = has_formula(object);
            let (own, target) = signal_trigger::read(reader, index, signal, target_type, formula)?;
            Some((TriggerKind::Signal(own), signal_scalers::metric_name(index, reader.trigger), target))
        }
    }
}

/// Whether triggers are a formula's input, upstream's `AsMetricSource`: some targets may then be left out.
pub(super) fn has_formula(object: &ScaledObject) -> bool {
    let formula = object.scaling_modifiers.as_ref().and_then(|node| node.get("formula"));
    formula.is_some_and(|node| matches!(&node.value, Value::Str(text) if !text.is_empty()))
}

/// `GetMetricTargetType` (`pkg/scalers/scaler.go`). A word that KEDA passes on fails when the HPA is created.
fn target_type(reader: &mut Reader<'_>) -> Option<TargetType> {
    let Some(found) = &reader.trigger.metric_type else { return Some(TargetType::AverageValue) };
    let (message, judge) = match found.value.as_str() {
        "" | "AverageValue" => return Some(TargetType::AverageValue),
        "Value" => return Some(TargetType::Value),
        "Utilization" => (
            "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or \
             'AverageValue'"
                .to_owned(),
            Judge::Operator,
        ),
        other => (
            format!("found {other:?}, which the API server refuses in the HPA: must be 'Value' or 'AverageValue'"),
            Judge::HpaValidation,
        ),
    };
    let path = format!("{}.metricType", reader.trigger.path);
    reader.diagnostics.push(Diagnostic::error(found.span.clone(), path, message).by(judge));
    None
}

/// Upstream's `NormalizeString` (`pkg/util/normalize_string.go`), which makes a text fit for a metric name.
pub(super) fn normalized(text: &str) -> String {
    text.chars().map(|c| if matches!(c, '/' | '.' | ':' | '%' | '(' | ')') { '-' } else { c }).collect()
}

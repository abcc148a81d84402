//! A `cpu` or `memory` trigger (`pkg/scalers/cpu_memory_scaler.go`): KEDA only puts it into the HPA, which reads
//! metrics-server itself. KEDA never asks for its value.

use crate::hpa::{MetricTarget, Resource};
use crate::keda::trigger_reader::Reader;
use crate::keda::{KedaVersion, TargetType};
use crate::units::{Diagnostic, Judge, Quantity};

/// The first release that refuses `metadata.type`.
const TYPE_GONE: KedaVersion = KedaVersion { major: 2, minor: 18, patch: 0 };

/// The part of a trigger that only cpu and memory have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceTrigger {
    /// Which resource.
    pub resource: Resource,
    /// Utilization or average value, as the HPA gets it.
    pub target: MetricTarget,
    /// `containerName`.
    pub container: Option<String>,
}

const KNOWN_KEYS: [&str; 3] = ["value", "containerName", "type"];

/// The trigger, its target type and its target (percent, or cores or bytes); `None` when something required is wrong.
pub(super) fn read(
    reader: &mut Reader<'_>,
    resource: Resource,
    version: KedaVersion,
) -> Option<(ResourceTrigger, TargetType, f64)> {
    let target_type = target_type(reader, version);
    let value = reader.required("value");
    let container = reader.trigger.metadata("containerName").map(|own| own.value.to_owned());
    reader.warn_ignored(&KNOWN_KEYS, target_type, |_| None);
    let (target_type, value) = (target_type?, value?.value);
    let (target, threshold) = match target_type {
        TargetType::Utilization => match value.parse::<i32>() {
            Ok(percent) => (MetricTarget::ResourceUtilization(resource, percent), f64::from(percent)),
            Err(_) => {
                let why = if value.parse::<i128>().is_ok() { "value out of range" } else { "invalid syntax" };
                let message = format!("strconv.ParseInt: parsing {value:?}: {why}");
                reader.refuse("value", message, Some("write a whole percentage of the request, such as \"80\""));
                return None;
            }
        },
        TargetType::AverageValue | TargetType::Value => match Quantity::parse(value) {
            Ok(quantity) => {
                (MetricTarget::ResourceAverageValue(resource, quantity.milli_value()), quantity.as_approximate_f64())
            }
            Err(_) => {
                let message = format!(
                    "cannot parse '{value}': quantities must match the regular expression \
                     '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                );
                reader.refuse("value", message, Some("write a quantity, such as \"500m\" or \"2Gi\""));
                return None;
            }
        },
    };
    Some((ResourceTrigger { resource, target, container }, target_type, threshold))
}

/// `metricType` is mandatory. Until 2.17 `metadata.type` says it too, and goes first.
fn target_type(reader: &mut Reader<'_>, version: KedaVersion) -> Option<TargetType> {
    let old = reader.trigger.metadata("type");
    if let Some(old) = old.as_ref().filter(|_| version >= TYPE_GONE) {
        let message = "parameter \"type\" is deprecated: The 'type' setting is DEPRECATED and is removed in v2.18 - Use \
                       'metricType' instead.";
        let diagnostic = Diagnostic::error(old.span.clone(), reader.path("type"), message).by(Judge::Operator);
        let help = format!("write metricType: {} beside metadata, as {}.metricType", old.value, reader.trigger.path);
        reader.diagnostics.push(diagnostic.help(help));
    }
    let outer = reader.trigger.metric_type.as_ref().filter(|own| !own.value.is_empty());
    let inner = old.filter(|_| version < TYPE_GONE);
    let (word, span, path) = match (inner, outer) {
        (Some(inner), _) => (inner.value, inner.span, reader.path("type")),
        (None, Some(outer)) => {
            (outer.value.as_str(), outer.span.clone(), format!("{}.metricType", reader.trigger.path))
        }
        (None, None) => ("", reader.trigger.span.clone(), format!("{}.metricType", reader.trigger.path)),
    };
    match word {
        "Utilization" => Some(TargetType::Utilization),
        "AverageValue" => Some(TargetType::AverageValue),
        other => {
            let message = format!("unknown metric type: {other}, allowed values are 'Utilization' or 'AverageValue'");
            let diagnostic = Diagnostic::error(span, path, message).by(Judge::Operator);
            reader
                .diagnostics
                .push(diagnostic.help("write metricType beside metadata; KEDA has no default for it here"));
            None
        }
    }
}

#[cfg(test)]
#[path = "resource_trigger_tests.rs"]
mod tests;

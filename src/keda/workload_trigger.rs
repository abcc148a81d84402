//! A `kubernetes-workload` trigger: a number of pods (`pkg/scalers/kubernetes_workload_scaler.go`).
//!
//! Knows selectors and counts; which pods exist is for the caller to say.

use crate::keda::trigger::{has_formula, normalized};
use crate::keda::trigger_reader::Reader;
use crate::keda::trigger_value::float_to_milli;
use crate::keda::{KedaVersion, PodSelector, TargetType, TriggerValue, metadata};
use crate::manifest::ScaledObject;
use crate::series::{Signal, TriggerSignal};
use crate::units::Span;

/// The first release with `groupByNode`.
const GROUPS: KedaVersion = KedaVersion { major: 2, minor: 20, patch: 0 };

/// The part of a trigger that only kubernetes-workload has.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadTrigger {
    /// Where the selector stands.
    pub selector_span: Span,
    /// `podSelector`.
    pub selector: PodSelector,
    /// `activationValue`, default 0.
    pub activation_value: f64,
    /// `groupByNode`: counts the nodes of the pods, not the pods.
    pub group_by_node: bool,
    /// The count over time that the user gives; `None`: the target's own pods are counted.
    pub given: Option<Signal>,
}

impl WorkloadTrigger {
    /// The trigger's value at a count: matching pods of the namespace that have neither succeeded nor failed (those that
    /// are pending or being deleted count), or their nodes.
    pub fn value_of(&self, count: f64, version: KedaVersion) -> TriggerValue {
        let value = count;
        TriggerValue { value, milli: float_to_milli(value, version), active: value > self.activation_value }
    }
}

const KNOWN_KEYS: [&str; 4] = ["podSelector", "value", "activationValue", "groupByNode"];

/// The trigger and its target; `None` when something required is wrong.
pub(super) fn read(
    reader: &mut Reader<'_>,
    target_type: Option<TargetType>,
    object: &ScaledObject,
    version: KedaVersion,
    signal: Option<&TriggerSignal>,
) -> Option<(WorkloadTrigger, f64)> {
    if signal.is_some_and(|own| own.active.is_some() || own.target.is_some()) {
        let message = "the signal of a kubernetes-workload trigger is a count of pods: its target is the trigger's value, and it is active \
                       above activationValue";
        reader.refuse("podSelector", message, Some("give only the signal's value"));
    }
    let selector = reader.required("podSelector");
    let value = reader.optional("value", metadata::float);
    let activation_value = reader.optional("activationValue", metadata::float);
    let known = if version >= GROUPS { &KNOWN_KEYS[..] } else { &KNOWN_KEYS[..3] };
    let group_by_node = if version >= GROUPS { reader.optional("groupByNode", metadata::boolean) } else { None };
    reader.warn_ignored(known, target_type, |_| None);
    let written = reader.trigger.metadata("value").is_some();
    let value = match value {
        Some(value) if value > 0.0 => Some(value),
        // Only a formula's input may do without a target.
        None if !written && has_formula(object) => Some(0.0),
        None if written => None, // Reported as unreadable.
        _ => {
            reader.refuse("value", "value must be a float greater than 0", None);
            None
        }
    };
    let selector = selector?;
    match PodSelector::parse(selector.value) {
        Ok(parsed) => {
            let trigger = WorkloadTrigger {
                selector_span: selector.span,
                selector: parsed,
                activation_value: activation_value.unwrap_or(0.0),
                group_by_node: group_by_node.unwrap_or(false),
                given: signal.map(|own| own.value.clone()),
            };
            Some((trigger, value?))
        }
        Err(why) => {
            let help = "write label requirements such as app=backend,tier in (a, b)";
            reader.refuse("podSelector", format!("error parsing pod selector: {why}"), Some(help));
            None
        }
    }
}

/// `s<index>-workload-<namespace>`, made fit for a metric name (`GetMetricSpecForScaling`).
pub(super) fn metric_name(index: usize, namespace: &str) -> String {
    format!("s{index}-{}", normalized(&format!("workload-{namespace}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::{OLD, at, version};

    #[test]
    fn counts_become_values() {
        let trigger = |activation_value| WorkloadTrigger {
            selector_span: at(1),
            selector: PodSelector::parse("app=x").expect("a selector"),
            activation_value,
            group_by_node: false,
            given: None,
        };
        // activationValue, count, active.
        for (activation, count, active) in [(0.0, 0, false), (0.0, 1, true), (2.0, 2, false), (1.5, 2, true)] {
            for version in [OLD, version(2, 20, 2)] {
                let found = trigger(activation).value_of(f64::from(count), version);
                let expected = TriggerValue { value: f64::from(count), milli: 1000 * i64::from(count), active };
                assert_eq!(found, expected, "{count} against {activation}");
            }
        }
        assert_eq!(metric_name(2, "llm.prod"), "s2-workload-llm-prod");
    }
}

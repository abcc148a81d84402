//! Which pods a `kubernetes-workload` trigger may count: those of the scale target, the only ones there are in a run, unless
//! the user gives the count.

use crate::keda::{ScaledObjectSpec, TriggerKind};
use crate::manifest::{Bundle, Document, Node, Value};
use crate::scenario::ledger::Ledger;
use crate::units::Diagnostic;

/// Refuses selectors that do not select the pods of the scale target.
pub(super) fn check_selectors(bundle: &Bundle, spec: &ScaledObjectSpec, ledger: &mut Ledger) {
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let TriggerKind::KubernetesWorkload(own) = &trigger.kind else { continue };
        if own.given.is_some() {
            continue;
        }
        let labels = target_labels(bundle, spec);
        if labels.as_ref().is_some_and(|labels| own.selector.matches(labels)) {
            continue;
        }
        let known = labels.map_or_else(
            || format!("no Deployment or InferenceService {} is given, so their labels are unknown", spec.target_name),
            |labels| {
                let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("they have the labels {}", shown.join(", "))
            },
        );
        let message = format!(
            "the selector {:?} must select the pods of the scale target, the only ones that are simulated; {known}",
            own.selector.text
        );
        let path = format!("spec.triggers[{index}].metadata.podSelector");
        let help = format!(
            "give the count of other pods as a signal, under spec of the Scenario: signals: {{triggers: {{\"triggers[{index}]\": \
             {{constant: 3}}}}}}; or remove the trigger to simulate without it"
        );
        ledger.push(Diagnostic::error(own.selector_span.clone(), path, message).help(help));
    }
}

/// The labels of the target's pods: those of a Deployment's template, or those that KServe gives a predictor's.
fn target_labels(bundle: &Bundle, spec: &ScaledObjectSpec) -> Option<Vec<(String, String)>> {
    let target = spec.target_name.as_str();
    let same = |document: &&Document| document.namespace.as_deref().unwrap_or(&spec.namespace) == spec.namespace;
    let service = target.strip_suffix("-predictor");
    if let Some(service) = bundle.of_kind("InferenceService").filter(same).find(|own| service == Some(&own.name)) {
        let mut labels = written_labels(service.root.get("spec").and_then(|spec| spec.get("predictor")));
        let name = &service.name;
        labels.push(("app".to_owned(), format!("isvc.{name}-predictor")));
        labels.push(("component".to_owned(), "predictor".to_owned()));
        labels.push(("serving.kserve.io/inferenceservice".to_owned(), name.clone()));
        return Some(labels);
    }
    let deployment = bundle.of_kind("Deployment").filter(same).find(|own| own.name == target)?;
    let template = deployment.root.get("spec").and_then(|spec| spec.get("template"));
    Some(written_labels(template.and_then(|template| template.get("metadata"))))
}

fn written_labels(parent: Option<&Node>) -> Vec<(String, String)> {
    let Some(Value::Map(entries)) = parent.and_then(|own| own.get("labels")).map(|own| &own.value) else {
        return Vec::new();
    };
    entries.iter().filter_map(|(key, value)| Some((key.name.clone(), value.as_str()?.to_owned()))).collect()
}

//! Whether a workload, or an HPA's name, is claimed twice (`verifyHpas`, `verifyScaledObjects` of
//! `apis/keda/v1alpha1/scaledobject_webhook.go`).
//!
//! Upstream checks an object as it is applied against what the cluster holds; here the objects of one command line stand
//! for both, in their order: a later one is told, as if it were applied last.

use crate::keda::scale_target::TargetKind;
use crate::manifest::{HorizontalPodAutoscaler, ScaledObject};
use crate::units::{Diagnostic, Diagnostics, Judge, Located};

const TRANSFER: &str = "scaledobject.keda.sh/transfer-hpa-ownership";
const VALIDATES: &str = "validations.keda.sh/hpa-ownership";

/// All conflicts of a ScaledObject with those applied before it and with HPAs, in KEDA's words.
///
/// Who owns an HPA is not in its file: one called `keda-hpa-<ScaledObject>` counts as KEDA's own.
pub fn check_against_others<'o>(
    object: &ScaledObject,
    earlier: impl IntoIterator<Item = &'o ScaledObject>,
    hpas: &[HorizontalPodAutoscaler],
) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    for other in earlier.into_iter().filter(|other| are_neighbours(object, other)) {
        against_object(object, other, &mut diagnostics);
    }
    for hpa in hpas.iter().filter(|hpa| namespace(&hpa.namespace) == namespace(&object.namespace)) {
        against_hpa(object, hpa, &mut diagnostics);
    }
    diagnostics
}

fn namespace(own: &Option<Located<String>>) -> &str {
    own.as_ref().map_or("default", |own| own.value.as_str())
}

/// Of one namespace and not the same object twice.
fn are_neighbours(object: &ScaledObject, other: &ScaledObject) -> bool {
    namespace(&object.namespace) == namespace(&other.namespace) && object.name.value != other.name.value
}

/// `getHpaName`.
fn hpa_name(object: &ScaledObject) -> String {
    let custom = object.hpa_name.as_ref().map(|own| own.value.clone()).filter(|own| !own.is_empty());
    custom.unwrap_or_else(|| format!("keda-hpa-{}", object.name.value))
}

fn target(object: &ScaledObject) -> (String, &str) {
    (TargetKind::of(&object.scale_target_ref).shown(), object.scale_target_ref.name.value.as_str())
}

fn against_object(object: &ScaledObject, other: &ScaledObject, diagnostics: &mut Diagnostics) {
    let (kind, workload) = target(object);
    if target(other) == (kind.clone(), workload) {
        let message = format!(
            "the workload '{workload}' of type '{kind}' is already managed by the ScaledObject '{}'",
            other.name.value
        );
        let span = object.scale_target_ref.name.span.clone();
        let diagnostic = Diagnostic::error(span, "spec.scaleTargetRef.name", message).by(Judge::Webhook);
        diagnostics.push(diagnostic.help("one ScaledObject can have several triggers; the HPA takes the highest"));
    }
    if hpa_name(other) == hpa_name(object) {
        let message =
            format!("the HPA '{}' is already managed by the ScaledObject '{}'", hpa_name(other), other.name.value);
        let span = object.hpa_name.as_ref().unwrap_or(&object.name).span.clone();
        let path = "spec.advanced.horizontalPodAutoscalerConfig.name";
        diagnostics.push(Diagnostic::error(span, path, message).by(Judge::Webhook));
    }
}

fn against_hpa(object: &ScaledObject, hpa: &HorizontalPodAutoscaler, diagnostics: &mut Diagnostics) {
    let says = |annotations: &[(crate::manifest::Key, Located<String>)], name: &str, word: &str| {
        annotations.iter().any(|(key, value)| key.name == name && value.value == word)
    };
    let (kind, workload) = target(object);
    let same = TargetKind::of(&hpa.scale_target_ref).shown() == kind && hpa.scale_target_ref.name.value == workload;
    let name = hpa.name.value.as_str();
    let own = name == format!("keda-hpa-{}", object.name.value);
    if says(&hpa.annotations, VALIDATES, "false") || !same || own {
        return;
    }
    let (message, help) = if says(&object.annotations, TRANSFER, "true") {
        if object.hpa_name.as_ref().is_some_and(|own| own.value == name) {
            return;
        }
        let message = format!(
            "the existing hpa '{name}' for workload '{workload}' of type '{kind}' must be specified by name in advanced \
             settings to enable ownership transfer"
        );
        (message, format!("set spec.advanced.horizontalPodAutoscalerConfig.name to {name}"))
    } else {
        let message = format!("the workload '{workload}' of type '{kind}' is already managed by the hpa '{name}'");
        (message, format!("delete that HPA, or let KEDA take it over with the annotation {TRANSFER}: \"true\""))
    };
    let span = object.scale_target_ref.name.span.clone();
    let diagnostic = Diagnostic::error(span, "spec.scaleTargetRef.name", message).by(Judge::Webhook);
    diagnostics.push(diagnostic.help(help));
}

#[cfg(test)]
#[path = "ownership_tests.rs"]
mod tests;

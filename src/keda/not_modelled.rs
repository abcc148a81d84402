//! What a ScaledObject may say and the simulation cannot follow yet: each an error at its place, never ignored.

use crate::keda::trigger::is_modelled;
use crate::manifest::ScaledObject;
use crate::units::{Diagnostic, Diagnostics, Span};

/// Reports every construct that is not modelled yet.
pub(super) fn check(written: &ScaledObject, diagnostics: &mut Diagnostics) {
    target(written, diagnostics);
    for trigger in &written.triggers {
        if !is_modelled(&trigger.kind.value) {
            let what = format!("the trigger type {:?}", trigger.kind.value);
            diagnostics.push(
                error(&trigger.kind.span, format!("{}.type", trigger.path), &what)
                    .help("these are: prometheus, cron, kubernetes-workload"),
            );
        }
    }
}

/// Only Deployments can be scaled here. An empty kind or version means `apps/v1` `Deployment` (`ParseGVKR`).
fn target(written: &ScaledObject, diagnostics: &mut Diagnostics) {
    let reference = &written.scale_target_ref;
    // A foreign kind comes with a foreign version: one message is enough.
    let fields = [("kind", &reference.kind, "Deployment"), ("apiVersion", &reference.api_version, "apps/v1")];
    let foreign = fields.into_iter().find_map(|(name, field, usual)| {
        let own = field.as_ref().filter(|own| !own.value.is_empty() && own.value != usual)?;
        Some((name, own))
    });
    if let Some((name, found)) = foreign {
        let what = format!("a scale target of {name} {:?}", found.value);
        let path = format!("spec.scaleTargetRef.{name}");
        diagnostics.push(error(&found.span, path, &what).help("only an apps/v1 Deployment is modelled"));
    }
}

fn error(span: &Span, path: String, what: &str) -> Diagnostic {
    Diagnostic::error(span.clone(), path, format!("{what} is not modelled yet"))
}

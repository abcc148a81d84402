//! What a ScaledObject may say and the simulation cannot follow yet: each an error at its place, never ignored.

use crate::keda::KedaVersion;
use crate::keda::metadata::parse_bool;
use crate::keda::trigger::is_modelled;
use crate::manifest::{ScaledObject, Value};
use crate::units::{Diagnostic, Diagnostics, Span};

/// The first release with `paused-scale-out` and `force-activation`.
const V2_18: KedaVersion = KedaVersion { major: 2, minor: 18, patch: 0 };

/// Reports every construct that is not modelled yet.
pub(super) fn check(written: &ScaledObject, version: KedaVersion, diagnostics: &mut Diagnostics) {
    annotations(written, version, diagnostics);
    target(written, diagnostics);
    for trigger in &written.triggers {
        if !is_modelled(&trigger.kind.value) {
            let what = format!("the trigger type {:?}", trigger.kind.value);
            diagnostics.push(
                error(&trigger.kind.span, format!("{}.type", trigger.path), &what)
                    .help("these are: prometheus, cron, kubernetes-workload"),
            );
        }
        if let Some(cached) = trigger.use_cached_metrics.as_ref().filter(|cached| cached.value) {
            let path = format!("{}.useCachedMetrics", trigger.path);
            diagnostics.push(
                error(&cached.span, path, "useCachedMetrics").help("remove it to simulate a query at every HPA sync"),
            );
        }
    }
    if let Some(fallback) = &written.fallback {
        diagnostics.push(
            error(&fallback.span, "spec.fallback".to_owned(), "fallback").help("remove it to simulate without it"),
        );
    }
    if let Some(node) = &written.scaling_modifiers {
        // An empty block is as good as none (`IsUsingModifiers`).
        let empty =
            matches!(&node.value, Value::Null) || matches!(&node.value, Value::Map(entries) if entries.is_empty());
        if !empty {
            diagnostics.push(error(&node.span, "spec.advanced.scalingModifiers".to_owned(), "scalingModifiers"));
        }
    }
}

/// Pausing and forcing (keda.md 1.2). A boolean that cannot be read counts as true (`getBoolAnnotation`), and
/// `paused-replicas` counts by its presence.
fn annotations(written: &ScaledObject, version: KedaVersion, diagnostics: &mut Diagnostics) {
    for (key, value) in &written.annotations {
        let Some(name) = key.name.strip_prefix("autoscaling.keda.sh/") else { continue };
        let known = match name {
            "paused" | "paused-replicas" | "paused-scale-in" => true,
            "paused-scale-out" | "force-activation" => version >= V2_18,
            _ => false,
        };
        if known && (name == "paused-replicas" || parse_bool(&value.value).unwrap_or(true)) {
            let what = format!("the annotation {}", key.name);
            let path = format!("metadata.annotations.{}", key.name);
            diagnostics.push(error(&value.span, path, &what).help("remove the annotation to simulate without it"));
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

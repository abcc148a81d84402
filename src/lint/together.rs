//! What only the objects of a command line together can tell: two autoscalers on one target, and what a resource trigger
//! needs from its target's containers.

use crate::keda::{check_against_others, check_resource_requests};
use crate::lint::check::World;
use crate::manifest::{Deployment, Document, ScaledObject};
use crate::units::{Diagnostic, Diagnostics};

/// What the webhook says to `written` because of the ScaledObjects before it and the HPAs. A conflict is told of the later
/// object.
pub(super) fn against_others(written: &ScaledObject, world: &World<'_>) -> Vec<Diagnostic> {
    let is_own = |own: &ScaledObject| own.span == written.span && own.name == written.name;
    let earlier = world.scaled_objects.iter().take_while(|own| !is_own(own));
    check_against_others(written, earlier, &world.hpas).0
}

fn namespace(written: &ScaledObject) -> &str {
    written.namespace.as_ref().map_or("default", |own| own.value.as_str())
}

/// What the webhook says to `written` because of the containers of its target, when that is among the documents. (KServe
/// gives every container of its Deployments requests of its own.)
pub(super) fn resource_requests(written: &ScaledObject, world: &World<'_>) -> Vec<Diagnostic> {
    let target = &written.scale_target_ref;
    let kind = target.kind.as_ref().map_or("Deployment", |own| own.value.as_str());
    let is_target = |document: &&Document| {
        matches!(document.kind.as_str(), "Deployment" | "StatefulSet")
            && document.kind == if kind.is_empty() { "Deployment" } else { kind }
            && document.name == target.name.value
            && document.namespace.as_deref().unwrap_or("default") == namespace(written)
    };
    let Some(document) = world.bundle.documents.iter().find(is_target) else { return Vec::new() };
    // What is wrong with the workload itself is no matter of the ScaledObject.
    let Some(workload) = Deployment::read(document, &mut Diagnostics::new()) else { return Vec::new() };
    check_resource_requests(written, &workload.template.containers).0
}

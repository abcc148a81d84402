//! What only the objects of a command line together can tell: two autoscalers on one target, and what a resource trigger
//! needs from its target's containers.

use crate::keda::{ContainerResources, check_against_others, check_resource_requests};
use crate::lint::check::World;
use crate::manifest::{self, Deployment, Document, ScaledObject};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity};

/// What the webhook says to `written` because of the ScaledObjects before it and the HPAs. A conflict is told of the later
/// object.
pub(super) fn against_others(written: &ScaledObject, world: &World<'_>) -> Vec<Diagnostic> {
    let is_own = |own: &ScaledObject| own.span == written.span && own.name == written.name;
    let earlier = world.scaled_objects.iter().take_while(|own| !is_own(own));
    let mut found = Vec::new();
    for other in earlier.filter(|own| namespace(own) == namespace(written)) {
        found.append(&mut check_against_others(&[other.clone(), written.clone()], &[]).0);
    }
    found.append(&mut check_against_others(std::slice::from_ref(written), &world.hpas).0);
    found
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
    let containers: Vec<ContainerResources> = workload.template.containers.iter().map(resources_of).collect();
    check_resource_requests(written, &containers).0
}

fn resources_of(container: &manifest::ContainerResources) -> ContainerResources {
    let by_name = |cpu: &Option<Located<Quantity>>, memory: &Option<Located<Quantity>>| {
        let both = [("cpu", cpu), ("memory", memory)].into_iter();
        both.filter_map(|(name, own)| Some((name.to_owned(), own.as_ref()?.value))).collect()
    };
    ContainerResources {
        name: container.name.clone(),
        requests: by_name(&container.cpu_request, &container.memory_request),
        limits: by_name(&container.cpu_limit, &container.memory_limit),
    }
}

//! Who else writes the replicas, what pauses the object, and what its credentials are used for.

use super::links::{EXECUTOR, HPA};
use crate::lint::subject::Subject;
use crate::lint::{Finding, Rule};
use crate::units::Severity::{Error, Note, Warning};

pub(crate) static L_16: Rule = Rule::new("L-16", "replicas-owned-twice", Error)
    .why("two writers of one replica count undo each other's work: another HPA or ScaledObject, KServe, or a manifest that is applied again")
    .fix("leave the replicas to one of them")
    .link("https://github.com/kedacore/keda/issues/5572");
pub(crate) static L_47: Rule = Rule::new("L-47", "authentication-is-not-used", Warning)
    .why("the Prometheus scaler uses a TriggerAuthentication only with authModes: without, its CA, token and certificates are passed over")
    .fix("add authModes to the trigger's metadata: bearer, basic, tls or custom")
    .link("https://keda.sh/docs/2.20/scalers/prometheus/");
pub(crate) static L_50: Rule = Rule::new("L-50", "paused-by-presence", Warning)
    .why("paused-replicas pauses by being there, whatever its value, and a boolean annotation that cannot be read counts as true")
    .fix("remove the annotation to unpause")
    .link(HPA);
pub(crate) static L_53: Rule = Rule::new("L-53", "paused-scale-out-still-raises", Note)
    .why("paused-scale-out stops activation and the HPA's way up, not the raise to minReplicaCount")
    .fix("use paused to freeze the count as it is")
    .link(EXECUTOR);

const CLASS: &str = "serving.kserve.io/autoscalerClass";

/// KServe or a manifest beside the object.
pub(in crate::lint) fn l_16(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.root.is_none() {
        // KServe's own object.
        return;
    }
    let target = &subject.written.scale_target_ref;
    let kind = target.kind.as_ref().map_or("Deployment", |own| own.value.as_str());
    let namespace = |own: Option<&str>| own.unwrap_or("default").to_owned();
    let own_namespace = namespace(subject.written.namespace.as_ref().map(|own| own.value.as_str()));
    let is_here = |other: Option<&str>| namespace(other) == own_namespace;
    for workload in subject.world.neighbours.workloads.iter().filter(|own| !own.is_live) {
        let own = &workload.own;
        let is_target = workload.kind == kind && own.name.value == target.name.value;
        let Some(replicas) = own.replicas.as_ref().filter(|_| is_target) else { continue };
        if !is_here(own.namespace.as_ref().map(|own| own.value.as_str())) {
            continue;
        }
        let message = format!(
            "the {kind} has spec.replicas: {} in its manifest: each time it is applied the count goes back to that",
            replicas.value
        );
        let finding = Finding::breach(&L_16, Warning, replicas.span.clone(), "spec.replicas", message);
        found.push(finding.help("take replicas out of the manifest; KEDA and the HPA hold it"));
    }
    for service in &subject.world.neighbours.services {
        let is_target = kind == "Deployment" && target.name.value == format!("{}-predictor", service.name.value);
        if !is_target || !is_here(service.namespace.as_ref().map(|own| own.value.as_str())) {
            continue;
        }
        let class = service.autoscaler_class.as_ref().map_or("hpa", |own| own.value.as_str());
        let is_plain = service
            .deployment_mode
            .as_ref()
            .is_none_or(|own| ["Standard", "RawDeployment"].contains(&own.value.as_str()));
        let message = match class {
            "hpa" if is_plain => {
                "KServe makes an HPA of its own for this Deployment (autoscalerClass hpa, the default): KEDA's webhook refuses the object, or two HPAs fight"
            }
            "none" if is_plain => {
                "with autoscalerClass none KServe sets this Deployment's replicas back to minReplicas"
            }
            _ => continue,
        };
        let span = target.name.span.clone();
        let finding = Finding::breach(&L_16, Error, span, "spec.scaleTargetRef.name", message);
        found.push(finding.help(format!("annotate the InferenceService with {CLASS}: external")));
    }
}

/// Credentials that are not used.
pub(in crate::lint) fn l_47(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let managed = ["googleapis.com", "azure.com", "amazonaws.com"];
    for query in &subject.queries {
        let has = |key: &str| query.trigger.metadata(key).is_some();
        let Some(reference) = subject.trigger_node(query.index).and_then(|node| node.get("authenticationRef")) else {
            continue;
        };
        let address = query.trigger.metadata("serverAddress");
        let address = address.as_ref().map_or("", |own| own.value);
        let other_ways =
            ["authModes", "authMode", "awsRegion", "cloud", "azureManagedPrometheusResourceURL", "credentialsFromEnv"];
        if other_ways.iter().any(|key| has(key)) || managed.iter().any(|host| address.contains(host)) {
            continue;
        }
        let name = reference.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        if is_pod_identity(subject, name) {
            continue;
        }
        let certificate = if address.starts_with("https") {
            ", and a certificate that its CA would vouch for is refused"
        } else {
            ""
        };
        let message = format!(
            "without authModes the scaler does not use TriggerAuthentication {name}: requests go out without credentials{certificate}"
        );
        found.push(Finding::breach(
            &L_47,
            Warning,
            reference.span.clone(),
            format!("{}.authenticationRef", query.trigger.path),
            message,
        ));
    }
}

/// Whether the TriggerAuthentication, when it is among the files, works through the pod's identity.
fn is_pod_identity(subject: &Subject<'_>, name: &str) -> bool {
    let is_it = |own: &&crate::manifest::Document| own.kind.ends_with("TriggerAuthentication") && own.name == name;
    let document = subject.world.bundle.documents.iter().find(is_it);
    document.and_then(|own| own.root.get("spec")).is_some_and(|spec| spec.get("podIdentity").is_some())
}

/// The raise to the minimum.
pub(in crate::lint) fn l_53(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let is_it = |own: &&(crate::manifest::Key, crate::units::Located<String>)| {
        own.0.name == "autoscaling.keda.sh/paused-scale-out"
    };
    let Some((key, value)) = subject.written.annotations.iter().find(is_it) else { return };
    if crate::keda::parse_bool(&value.value) == Some(false) || subject.min() < 1 {
        return;
    }
    let message = format!("below minReplicaCount {} the replicas are raised all the same", subject.min());
    let path = format!("metadata.annotations.{}", key.name);
    found.push(Finding::breach(&L_53, Note, value.span.clone(), path, message));
}

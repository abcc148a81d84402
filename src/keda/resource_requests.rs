//! Whether the containers ask for what cpu and memory triggers measure (`verifyCPUMemoryScalers`).

use crate::keda::scale_target::TargetKind;
use crate::keda::scaler_types::is_resource;
use crate::manifest::{ContainerResources, ScaledObject};
use crate::units::{Diagnostic, Diagnostics, Judge};

/// A request or limit of `resource` above 0 (`isWorkloadResourceSet`).
fn has(container: &ContainerResources, resource: &str) -> bool {
    let both = match resource {
        "cpu" => [&container.cpu_request, &container.cpu_limit],
        _ => [&container.memory_request, &container.memory_limit],
    };
    both.into_iter().flatten().any(|own| own.value.as_approximate_f64() > 0.0)
}

/// KEDA's webhook refuses a cpu or memory trigger when a container (the one of `containerName`, else any) has neither request
/// nor limit of it; a LimitRange of the namespace can still supply it, which is not known here. Only Deployments and
/// StatefulSets are looked into; for another target there is nothing to say.
pub fn check_resource_requests(written: &ScaledObject, containers: &[ContainerResources]) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    if !TargetKind::of(&written.scale_target_ref).has_known_template() {
        return diagnostics;
    }
    for trigger in written.triggers.iter().filter(|own| is_resource(&own.kind.value)) {
        let resource = trigger.kind.value.as_str();
        let only = trigger.metadata("containerName").map(|own| own.value);
        let meant = containers.iter().filter(|own| only.is_none_or(|only| only == own.name));
        for container in meant.filter(|own| !has(own, resource)) {
            let message = format!(
                "the scaledobject has a {resource} trigger but the container {} doesn't have the {resource} request defined",
                container.name
            );
            let help = format!(
                "set resources.requests.{resource} of the container, or see that a LimitRange of the namespace has a default"
            );
            let path = format!("{}.type", trigger.path);
            let diagnostic = Diagnostic::error(trigger.kind.span.clone(), path, message);
            diagnostics.push(diagnostic.help(help).by(Judge::Webhook));
        }
    }
    diagnostics
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::{key, text, written, written_trigger};
    use crate::manifest;
    use crate::units::{Located, Quantity};

    fn object(triggers: &[(&str, Option<&str>)], kind: Option<&str>) -> ScaledObject {
        let mut object = written();
        object.scale_target_ref.kind = kind.map(|own| text(own, 5));
        let trigger = |((own, container), index): (&(&str, Option<&str>), u32)| manifest::Trigger {
            kind: text(own, 100 * (index + 1)),
            metadata: container.iter().map(|name| (key("containerName", 150), text(name, 150))).collect(),
            ..written_trigger(index)
        };
        object.triggers = triggers.iter().zip(0..).map(trigger).collect();
        object
    }

    #[test]
    fn every_container_that_is_meant_needs_a_request_or_limit() {
        let quantity = |text: &str| Quantity::parse(text).expect("a quantity");
        let container = |name: &str, requests: &[(&str, &str)], limits: &[(&str, &str)]| {
            let read = |all: &[(&str, &str)], resource: &str| {
                let own = all.iter().find(|(name, _)| *name == resource);
                own.map(|(_, text)| Located::new(quantity(text), crate::keda::test_support::at(9)))
            };
            ContainerResources {
                name: name.to_owned(),
                cpu_request: read(requests, "cpu"),
                memory_request: read(requests, "memory"),
                cpu_limit: read(limits, "cpu"),
                memory_limit: read(limits, "memory"),
                assumed: Vec::new(),
            }
        };
        let containers = [
            container("vllm", &[("cpu", "2")], &[]),
            container("proxy", &[("cpu", "0")], &[("memory", "1Gi")]),
            container("bare", &[], &[]),
        ];
        // triggers with containerName, kind of target, containers that are told with the resource.
        type Row<'a> = (&'a [(&'a str, Option<&'a str>)], Option<&'a str>, &'a [&'a str]);
        let table: [Row<'_>; 7] = [
            (&[("cpu", None)], None, &["cpu proxy", "cpu bare"]), // zero is none
            (&[("memory", None)], None, &["memory vllm", "memory bare"]), // a limit will do
            (&[("cpu", Some("vllm"))], None, &[]),                // the others do not matter
            (&[("memory", Some("vllm"))], None, &["memory vllm"]), // but this one does
            (&[("prometheus", None)], None, &[]),                 // nothing is measured
            (&[("cpu", None)], Some("StatefulSet"), &["cpu proxy", "cpu bare"]), // looked into as well
            (&[("cpu", None)], Some("ReplicaSet"), &[]),          // not looked into
        ];
        for (triggers, kind, expected) in table {
            let found = check_resource_requests(&object(triggers, kind), &containers);
            let texts: Vec<String> = found.0.iter().map(|own| own.message.clone()).collect();
            let expected: Vec<String> = expected
                .iter()
                .filter_map(|own| own.split_once(' '))
                .map(|(resource, name)| {
                    format!(
                        "the scaledobject has a {resource} trigger but the container {name} doesn't have the {resource} \
                         request defined"
                    )
                })
                .collect();
            assert_eq!(texts, expected, "{triggers:?} {kind:?}");
            assert!(found.0.iter().all(|own| own.judge == Some(Judge::Webhook)));
        }
    }
}

//! Claims on workloads and HPAs.

use super::*;
use crate::keda::test_support::{at, key, number, text, written};
use crate::manifest::ScaleTargetRef;

/// Name, namespace, target, custom HPA name.
fn object(name: &str, namespace: Option<&str>, target: &str, hpa: Option<&str>) -> ScaledObject {
    let mut object = written();
    object.name = text(name, 2);
    object.namespace = namespace.map(|own| text(own, 3));
    object.scale_target_ref.name = text(target, 4);
    object.hpa_name = hpa.map(|own| text(own, 8));
    object
}

fn hpa(name: &str, target: &str, kind: Option<&str>, annotations: &[(&str, &str)]) -> HorizontalPodAutoscaler {
    HorizontalPodAutoscaler {
        span: at(200),
        name: text(name, 201),
        namespace: None,
        annotations: annotations.iter().map(|(name, value)| (key(name, 202), text(value, 202))).collect(),
        scale_target_ref: ScaleTargetRef {
            name: text(target, 203),
            kind: kind.map(|own| text(own, 204)),
            api_version: Some(text("apps/v1", 205)),
        },
        min_replicas: None,
        max_replicas: number(3, 206).expect("a number"),
        metrics: Vec::new(),
        behavior: None,
    }
}

fn messages(found: &Diagnostics) -> Vec<&str> {
    assert!(found.0.iter().all(|own| own.judge == Some(Judge::Webhook) && own.span.is_some()));
    found.0.iter().map(|own| own.message.as_str()).collect()
}

#[test]
fn two_scaled_objects_want_the_same() {
    let first = object("a", None, "vllm", None);
    let workload = "the workload 'vllm' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'a'";
    let mut stateful = object("b", None, "vllm", None);
    stateful.scale_target_ref.kind = Some(text("StatefulSet", 5));
    // The second object, what is said of it.
    let table: [(ScaledObject, &[&str]); 7] = [
        (object("b", None, "vllm", None), &[workload]), // the same workload
        (object("b", Some("default"), "vllm", None), &[workload]), // default is the default
        (object("b", Some("other"), "vllm", None), &[]), // another namespace
        (object("b", None, "tgi", None), &[]),          // another workload
        (stateful, &[]),                                // another kind of the same name
        (object("a", None, "vllm", None), &[]),         // the same object again
        (
            object("b", None, "tgi", Some("keda-hpa-a")),
            &["the HPA 'keda-hpa-a' is already managed by the ScaledObject 'a'"],
        ),
    ];
    for (second, expected) in table {
        let found = check_against_others(&second, [&first], &[]);
        assert_eq!(messages(&found), expected, "{second:?}");
    }
    let both =
        check_against_others(&object("b", None, "vllm", Some("h")), [&object("a", None, "vllm", Some("h"))], &[]);
    assert_eq!(both.0.len(), 2, "{both}");
    assert_eq!(both.0[1].span, Some(at(8)));
}

#[test]
fn an_hpa_is_there_already() {
    let managed = "the workload 'vllm' of type 'apps/v1.Deployment' is already managed by the hpa 'old'";
    let unnamed = "the existing hpa 'old' for workload 'vllm' of type 'apps/v1.Deployment' must be specified by name in \
                   advanced settings to enable ownership transfer";
    let transfer: &[(&str, &str)] = &[(TRANSFER, "true")];
    type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, HorizontalPodAutoscaler, &'a [&'a str]);
    // The object's annotations, its HPA's name, the HPA that is there, what is said.
    let table: [Row<'_>; 9] = [
        (&[], None, hpa("old", "vllm", None, &[]), &[managed]), // taken
        (&[], None, hpa("old", "tgi", None, &[]), &[]),         // another's
        (&[], None, hpa("old", "vllm", Some("StatefulSet"), &[]), &[]), // another kind
        (&[], None, hpa("keda-hpa-so", "vllm", None, &[]), &[]), // KEDA's own
        (&[], None, hpa("old", "vllm", None, &[(VALIDATES, "false")]), &[]), // told not to look
        (&[], None, hpa("old", "vllm", None, &[(VALIDATES, "true")]), &[managed]), // any other word looks
        (transfer, None, hpa("old", "vllm", None, &[]), &[unnamed]), // a transfer needs the name
        (transfer, Some("old"), hpa("old", "vllm", None, &[]), &[]), // and then is fine
        (&[(TRANSFER, "yes")], Some("old"), hpa("old", "vllm", None, &[]), &[managed]), // only "true" transfers
    ];
    for (annotations, name, existing, expected) in table {
        let mut own = object("so", None, "vllm", name);
        own.annotations = annotations.iter().map(|(name, value)| (key(name, 30), text(value, 30))).collect();
        let found = check_against_others(&own, [], &[existing]);
        assert_eq!(messages(&found), expected, "{annotations:?} {name:?}");
    }
    let mut elsewhere = hpa("old", "vllm", None, &[]);
    elsewhere.namespace = Some(text("other", 207));
    assert_eq!(check_against_others(&object("so", None, "vllm", None), [], &[elsewhere]), Diagnostics::new());
}

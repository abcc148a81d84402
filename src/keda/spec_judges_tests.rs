//! Who upstream says what, and which targets are taken.

use super::*;
use crate::keda::test_support::{OLD, at, key, number, text, version, written};
use crate::manifest::ScaledObject;
use crate::units::Judge;

const NEW: KedaVersion = version(2, 20, 2);

fn changed(change: impl FnOnce(&mut ScaledObject)) -> ScaledObject {
    let mut object = written();
    change(&mut object);
    object
}

fn errors_of(object: &ScaledObject) -> Vec<String> {
    match ScaledObjectSpec::resolve(object, NEW, &Signals::default()) {
        Ok(_) => Vec::new(),
        Err(found) => found.0.iter().map(ToString::to_string).collect(),
    }
}

/// One trigger with `name` set to `value` in its metadata.
fn with_metadata(name: &str, value: &str) -> ScaledObject {
    changed(|object| {
        let metadata = &mut object.triggers[0].metadata;
        metadata.retain(|(own, _)| own.name != name);
        metadata.push((key(name, 150), text(value, 150)));
    })
}

#[test]
fn any_scale_target_is_taken_over() {
    let with = |kind: Option<&str>, api: Option<&str>| {
        changed(|object| {
            object.scale_target_ref.kind = kind.map(|own| text(own, 5));
            object.scale_target_ref.api_version = api.map(|own| text(own, 6));
        })
    };
    // kind and apiVersion as written, as resolved.
    let table = [
        (None, None, ("Deployment", "apps/v1")),                 // defaults
        (Some(""), Some(""), ("Deployment", "apps/v1")),         // empty is absent
        (Some("StatefulSet"), None, ("StatefulSet", "apps/v1")), // each for itself
        (Some("Workspace"), Some("kaito.sh/v1beta1"), ("Workspace", "kaito.sh/v1beta1")), // a custom resource
    ];
    for (kind, api, expected) in table {
        let (spec, messages) = ScaledObjectSpec::resolve(&with(kind, api), NEW, &Signals::default()).expect("valid");
        assert_eq!(messages, Diagnostics::new());
        assert_eq!((spec.target_kind.as_str(), spec.target_api_version.as_str()), expected);
    }
    let found = errors_of(&with(Some("Workspace"), None));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("error: so.yaml:5:3: spec.scaleTargetRef.kind: no matches for kind \"Workspace\""));
    let empty = crate::manifest::Node { value: crate::manifest::Value::Map(Vec::new()), span: at(60) };
    assert_eq!(errors_of(&changed(|object| object.scaling_modifiers = Some(empty))), [""; 0]);
}

#[test]
fn only_resource_triggers_need_a_minimum_where_the_webhook_looks() {
    let cpu = |kind: Option<&str>, min: Option<i64>| {
        changed(|object| {
            object.scale_target_ref.kind = kind.map(|own| text(own, 5));
            object.min_replica_count = min.and_then(|own| number(own, 14));
            object.triggers[0].kind = text("cpu", 100);
            object.triggers[0].metric_type = Some(text("Utilization", 120));
            object.triggers[0].metadata = vec![(key("value", 101), text("80", 101))];
        })
    };
    // kind, minimum, refused.
    let table = [
        (None, None, true),                // absent is 0
        (None, Some(0), true),             // as written
        (None, Some(1), false),            // enough
        (Some("StatefulSet"), None, true), // looked into as well
        (Some("ReplicaSet"), None, false), // not looked into
    ];
    for (kind, min, refused) in table {
        let found = errors_of(&cpu(kind, min));
        assert_eq!(found.len(), usize::from(refused), "{kind:?} {min:?}: {found:?}");
        assert!(found.iter().all(|own| own.contains("only cpu/memory triggers AND minReplica is 0")), "{found:?}");
    }
}

#[test]
fn every_message_of_upstream_names_its_judge() {
    use Judge::{ApiServer, Operator, Webhook};
    let judge = |object: &ScaledObject, version| match ScaledObjectSpec::resolve(object, version, &Signals::default()) {
        Ok((_, found)) | Err(found) => found.0.iter().map(|own| own.judge).collect::<Vec<_>>(),
    };
    let target = crate::manifest::Node { value: crate::manifest::Value::Str("2".to_owned()), span: at(61) };
    let value = crate::manifest::Value::Map(vec![(key("target", 61), target)]);
    let block = crate::manifest::Node { value, span: at(60) };
    // What is written, the version, who says so.
    let table: Vec<(ScaledObject, KedaVersion, Option<Judge>)> = vec![
        (changed(|o| o.polling_interval = number(0, 10)), NEW, Some(ApiServer)), // the schema
        (changed(|o| o.min_replica_count = number(101, 14)), NEW, Some(ApiServer)), // its CEL rule
        (changed(|o| o.min_replica_count = number(101, 14)), OLD, Some(Webhook)), // before it
        (changed(|o| o.idle_replica_count = number(0, 13)), NEW, Some(Webhook)), // idle
        (changed(|o| o.name = text(&"n".repeat(55), 2)), NEW, Some(Webhook)),    // a name
        (changed(|o| o.triggers.clear()), NEW, Some(Webhook)),                   // no triggers
        (changed(|o| o.triggers[0].kind = text("", 100)), NEW, Some(ApiServer)), // no type
        (changed(|o| o.triggers[0].kind = text("x", 100)), NEW, Some(Operator)), // no such type
        (with_metadata("threshold", "5m"), NEW, Some(Operator)),                 // a parameter
        (with_metadata("query", ""), NEW, Some(Operator)),                       // a missing one
        (with_metadata("treshhold", "5"), NEW, None),                            // kedasim's own
        (changed(|o| o.triggers[0].metric_type = Some(text("Utilization", 120))), NEW, Some(Operator)), // by KEDA
        (changed(|o| o.triggers[0].metric_type = Some(text("Percent", 120))), NEW, Some(Judge::HpaValidation)), // or when the HPA is made
        (changed(|o| o.scaling_modifiers = Some(block)), NEW, Some(Webhook)), // the block
        (changed(|o| o.cooldown_period = number(5_000_001, 11)), NEW, None),  // kedasim's own limit
    ];
    for (object, version, expected) in table {
        let found = judge(&object, version);
        assert_eq!(found, [expected], "{object:?}");
    }
}

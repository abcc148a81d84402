//! Cpu and memory triggers: what is read, what is refused in whose words, by version.

use super::*;
use crate::keda::test_support::{key, number, text, version, written, written_trigger};
use crate::keda::{ScaledObjectSpec, Trigger, TriggerKind};
use crate::manifest::{self, ScaledObject};
use crate::series::Signals;

const NEW: KedaVersion = version(2, 20, 2);
const BEFORE: KedaVersion = version(2, 17, 2);

fn object(kind: &str, metric_type: Option<&str>, metadata: &[(&str, &str)]) -> ScaledObject {
    let mut object = written();
    object.min_replica_count = number(1, 14);
    let lines = metadata.iter().zip(101..);
    object.triggers = vec![manifest::Trigger {
        kind: text(kind, 100),
        metric_type: metric_type.map(|own| text(own, 120)),
        metadata: lines.map(|((name, value), line)| (key(name, line), text(value, line))).collect(),
        ..written_trigger(0)
    }];
    object
}

fn resolved(object: &ScaledObject, version: KedaVersion) -> Result<Trigger, String> {
    let found = ScaledObjectSpec::resolve(object, version, &Signals::default());
    let (spec, messages) = found.map_err(|why| why.to_string())?;
    assert!(messages.0.is_empty(), "{messages}");
    Ok(spec.triggers[0].clone())
}

#[test]
fn targets_are_percentages_or_quantities() {
    use MetricTarget::{ResourceAverageValue, ResourceUtilization};
    let (cpu, memory) = (Resource::Cpu, Resource::Memory);
    // type, metricType, value, target, threshold.
    let table = [
        ("cpu", "Utilization", "80", ResourceUtilization(cpu, 80), 80.0), // the usual
        ("cpu", "Utilization", " 80 ", ResourceUtilization(cpu, 80), 80.0), // trimmed
        ("cpu", "Utilization", "+80", ResourceUtilization(cpu, 80), 80.0), // as Go reads it
        ("cpu", "AverageValue", "500m", ResourceAverageValue(cpu, 500), 0.5), // half a core
        ("memory", "AverageValue", "1k", ResourceAverageValue(memory, 1_000_000), 1000.0), // bytes
        ("memory", "Utilization", "60", ResourceUtilization(memory, 60), 60.0), // of the request
    ];
    for (kind, metric_type, value, target, threshold) in table {
        let trigger = resolved(&object(kind, Some(metric_type), &[("value", value)]), NEW).expect("valid");
        let TriggerKind::Resource(own) = &trigger.kind else { panic!("another kind") };
        assert_eq!((own.target, own.container.as_deref(), trigger.threshold), (target, None, threshold));
        assert_eq!((trigger.metric_name.as_str(), trigger.target_type.word()), (kind, metric_type));
        assert!(trigger.is_resource());
    }
    let container = object("cpu", Some("Utilization"), &[("value", "80"), ("containerName", "vllm")]);
    let trigger = resolved(&container, NEW).expect("valid");
    assert_eq!(trigger.asks(), "cpu of container vllm");
}

#[test]
fn mistakes_are_refused_in_upstreams_words() {
    let unknown =
        |word: &str| format!("unknown metric type: {word}, allowed values are 'Utilization' or 'AverageValue'");
    // metricType, metadata, line, field, text.
    type Row<'a> = (Option<&'a str>, &'a [(&'a str, &'a str)], u32, &'a str, String);
    let table: [Row<'_>; 9] = [
        (None, &[("value", "80")], 100, "metricType", unknown("")), // there is no default
        (Some(""), &[("value", "80")], 100, "metricType", unknown("")), // empty is absent
        (Some("Value"), &[("value", "80")], 120, "metricType", unknown("Value")), // not here
        (
            Some("Utilization"),
            &[],
            100,
            "metadata.value",
            "missing required parameter \"value\" in [triggerMetadata]".into(),
        ),
        (
            Some("Utilization"),
            &[("value", "80%")],
            101,
            "metadata.value",
            "strconv.ParseInt: parsing \"80%\": invalid syntax".into(),
        ),
        (
            Some("Utilization"),
            &[("value", "0.8")],
            101,
            "metadata.value",
            "strconv.ParseInt: parsing \"0.8\": invalid syntax".into(),
        ),
        (
            Some("Utilization"),
            &[("value", "3000000000")],
            101,
            "metadata.value",
            "strconv.ParseInt: parsing \"3000000000\": value out of range".into(),
        ),
        (
            Some("AverageValue"),
            &[("value", "half")],
            101,
            "metadata.value",
            "cannot parse 'half': quantities must match the regular expression".into(),
        ),
        (
            Some("Utilization"),
            &[("value", "80"), ("type", "Utilization")],
            102,
            "metadata.type",
            "parameter \"type\" is deprecated: The 'type' setting is DEPRECATED and is removed in v2.18".into(),
        ),
    ];
    for (metric_type, metadata, line, field, message) in table {
        let found = resolved(&object("cpu", metric_type, metadata), NEW).expect_err(&message);
        let start = format!("error: so.yaml:{line}:3: spec.triggers[0].{field}: {message}");
        assert!(found.starts_with(&start), "{found}");
        assert_eq!(found.matches("error: ").count(), 1, "{found}");
    }
}

#[test]
fn until_2_17_the_type_in_metadata_counts_and_goes_first() {
    // metricType, metadata.type, target type.
    let table = [
        (None, Some("Utilization"), Ok(TargetType::Utilization)), // the old way
        (Some("AverageValue"), Some("Utilization"), Ok(TargetType::Utilization)), // both
        (Some("AverageValue"), None, Ok(TargetType::AverageValue)), // the new way
        (
            Some("AverageValue"),
            Some("Value"),
            Err("so.yaml:102:3: spec.triggers[0].metadata.type: unknown metric type: Value"),
        ),
    ];
    for (outer, inner, expected) in table {
        let mut metadata = vec![("value", "80")];
        metadata.extend(inner.map(|word| ("type", word)));
        let found = resolved(&object("cpu", outer, &metadata), BEFORE).map(|own| own.target_type);
        match expected {
            Ok(target_type) => assert_eq!(found, Ok(target_type), "{outer:?} {inner:?}"),
            Err(part) => assert!(found.is_err_and(|why| why.contains(part)), "{outer:?} {inner:?}"),
        }
    }
}

#[test]
fn the_type_in_metadata_is_refused_from_2_18_on() {
    let object = object("cpu", Some("Utilization"), &[("value", "80"), ("type", "Utilization")]);
    // version, refused.
    for (version, refused) in [(BEFORE, false), (version(2, 18, 0), true), (NEW, true)] {
        assert_eq!(resolved(&object, version).is_err(), refused, "{version:?}");
    }
}

#[test]
fn unknown_keys_are_told_with_the_nearest() {
    let odd = object("cpu", Some("Utilization"), &[("value", "80"), ("container", "vllm"), ("metricType", "Value")]);
    let (_, messages) = ScaledObjectSpec::resolve(&odd, NEW, &Signals::default()).expect("valid");
    let text = messages.to_string();
    assert!(
        text.contains("unknown key \"container\" is ignored by KEDA\n  help: did you mean containerName?"),
        "{text}"
    );
    assert!(
        text.contains("metricType \"Value\" inside metadata is ignored by KEDA; the effective type is Utilization")
    );
}

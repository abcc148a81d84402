//! Resolving hand-built ScaledObjects: every rule by its message, every place by its line.

use super::*;
use crate::keda::test_support::{OLD, at, key, number, prometheus, text, version, written, written_trigger};
use crate::keda::{FallbackBehavior, PrometheusTrigger, TargetType, TriggerKind};
use crate::manifest::{self, Node, ScaledObject, Value};
use proptest::prelude::*;

const NEW: KedaVersion = version(2, 20, 2);

fn errors_of(object: &ScaledObject, version: KedaVersion) -> Vec<String> {
    match ScaledObjectSpec::resolve(object, version, &Signals::default()) {
        Ok(_) => Vec::new(),
        Err(found) => found.0.iter().map(ToString::to_string).collect(),
    }
}

/// The warnings of a ScaledObject that passes.
fn warnings_of(object: &ScaledObject, version: KedaVersion) -> Vec<String> {
    let (_, found) = ScaledObjectSpec::resolve(object, version, &Signals::default()).expect("a valid ScaledObject");
    found.0.iter().map(ToString::to_string).collect()
}

fn changed(change: impl FnOnce(&mut ScaledObject)) -> ScaledObject {
    let mut object = written();
    change(&mut object);
    object
}

/// One trigger with `name` set to `value` in its metadata, at line 150.
fn with_metadata(name: &str, value: &str) -> ScaledObject {
    changed(|object| {
        let metadata = &mut object.triggers[0].metadata;
        metadata.retain(|(own, _)| own.name != name);
        metadata.push((key(name, 150), text(value, 150)));
    })
}

fn modifiers(entries: &[(&str, &str)]) -> Option<Node> {
    let entries = entries
        .iter()
        .map(|(name, value)| (key(name, 61), Node { value: Value::Str((*value).to_owned()), span: at(61) }))
        .collect();
    Some(Node { value: Value::Map(entries), span: at(60) })
}

fn fallback(failure_threshold: i64, replicas: i64, behavior: Option<&str>) -> Option<manifest::Fallback> {
    Some(manifest::Fallback {
        span: at(70),
        failure_threshold: Located::new(failure_threshold, at(71)),
        replicas: Located::new(replicas, at(72)),
        behavior: behavior.map(|word| text(word, 73)),
    })
}

#[test]
fn defaults_are_kedas() {
    let (spec, messages) = ScaledObjectSpec::resolve(&written(), NEW, &Signals::default()).expect("valid");
    assert_eq!(messages, Diagnostics::new());
    assert_eq!(spec, crate::keda::test_support::spec());
}

#[test]
fn what_is_written_arrives() {
    let object = changed(|object| {
        object.namespace = Some(text("llm", 3));
        object.polling_interval = number(5, 10);
        object.cooldown_period = number(0, 11);
        object.initial_cooldown_period = number(60, 12);
        object.idle_replica_count = number(0, 13);
        object.min_replica_count = number(2, 14);
        object.max_replica_count = number(8, 15);
        object.scale_target_ref.kind = Some(text("Deployment", 5));
        object.scale_target_ref.api_version = Some(text("apps/v1", 6));
        let mut second = written_trigger(1);
        second.metric_type = Some(text("Value", 204));
        second.metadata.push((key("activationThreshold", 205), text(" 1.5 ", 205)));
        second.metadata.push((key("ignoreNullValues", 206), text("f", 206)));
        second.metadata[1].1 = text("  avg(x)\n", 202);
        object.triggers.push(second);
    });
    let (spec, messages) = ScaledObjectSpec::resolve(&object, NEW, &Signals::default()).expect("valid");
    assert_eq!(messages, Diagnostics::new());
    assert_eq!((spec.namespace.as_str(), spec.target_name.as_str()), ("llm", "vllm"));
    let seconds = SimDuration::from_secs;
    assert_eq!((spec.polling_interval, spec.cooldown_period), (seconds(5), seconds(0)));
    assert_eq!(spec.initial_cooldown_period, seconds(60));
    assert_eq!((spec.idle_replicas, spec.min_replicas, spec.max_replicas), (Some(0), 2, 8));
    let query = PrometheusTrigger {
        query_span: at(202),
        query: "avg(x)".into(),
        activation_threshold: 1.5,
        ignore_null_values: false,
        ..prometheus()
    };
    let expected = Trigger {
        name: None,
        metric_name: "s1-prometheus".into(),
        span: at(200),
        threshold: 10.0,
        target_type: TargetType::Value,
        use_cached_metrics: false,
        kind: TriggerKind::Prometheus(query),
    };
    assert_eq!(spec.triggers[1], expected);
    assert_eq!(spec.triggers[0].metric_name, "s0-prometheus");
}

#[test]
fn crd_bounds() {
    type Set = fn(&mut ScaledObject, Option<Located<i64>>);
    let fields: [(&str, i64, Set); 6] = [
        ("pollingInterval", 1, |object, value| object.polling_interval = value),
        ("cooldownPeriod", 0, |object, value| object.cooldown_period = value),
        ("initialCooldownPeriod", 0, |object, value| object.initial_cooldown_period = value),
        ("idleReplicaCount", 0, |object, value| object.idle_replica_count = value),
        ("minReplicaCount", 0, |object, value| object.min_replica_count = value),
        ("maxReplicaCount", 1, |object, value| object.max_replica_count = value),
    ];
    for (name, least, set) in fields {
        let with = |value| {
            changed(|object| {
                object.min_replica_count = number(1, 14);
                set(object, number(value, 40));
            })
        };
        assert_eq!(errors_of(&with(least), NEW), [""; 0], "{name}");
        let below = format!(
            "error: so.yaml:40:3: spec.{name}: found {}: spec.{name} in body should be greater than or equal to {least}",
            least - 1
        );
        assert!(errors_of(&with(least - 1), NEW).contains(&below), "{name}");
        let above =
            format!("error: so.yaml:40:3: spec.{name}: found 2147483648, expected an int32, at most 2147483647");
        assert!(errors_of(&with(1 << 31), NEW).contains(&above), "{name}");
    }
}

#[test]
fn periods_beyond_the_clock_are_refused() {
    let with = |seconds| changed(|object| object.cooldown_period = number(seconds, 11));
    let (spec, _) = ScaledObjectSpec::resolve(&with(5_000_000), NEW, &Signals::default()).expect("valid");
    assert_eq!(spec.cooldown_period, SimDuration::from_secs(5_000_000));
    for seconds in [5_000_001, i64::from(i32::MAX)] {
        let found = errors_of(&with(seconds), NEW);
        assert_eq!(found.len(), 1);
        let start =
            format!("error: so.yaml:11:3: spec.cooldownPeriod: found {seconds}, longer than the 5000000 seconds");
        assert!(found[0].starts_with(&start), "{found:?}");
    }
}

#[test]
fn replica_counts_agree() {
    let cel = "error: so.yaml:14:3: spec.minReplicaCount: minReplicaCount must be less than or equal to \
               maxReplicaCount (MinReplicaCount=101 must be less than MaxReplicaCount=100)";
    let webhook =
        "error: so.yaml:14:3: spec.minReplicaCount: MinReplicaCount=101 must be less than MaxReplicaCount=100";
    let idle = |idle: i64, min: i64| {
        vec![format!(
            "error: so.yaml:13:3: spec.idleReplicaCount: IdleReplicaCount={idle} must be less than MinReplicaCount={min}"
        )]
    };
    // idle, min, max, version, errors.
    let table = [
        (None, Some(101), None, NEW, vec![cel.to_owned()]), // 100 is the default maximum
        (None, Some(101), None, OLD, vec![webhook.to_owned()]), // before the CRD's own rule
        (None, Some(100), None, NEW, vec![]),               // equal is fine
        (None, Some(0), Some(1), NEW, vec![]),              // zero counts as one and still fits
        (Some(0), Some(0), None, NEW, vec![]),              // an explicit 0 is lifted to 1
        (Some(1), Some(0), None, NEW, idle(1, 1)),          // so idle 1 is too much
        (Some(2), Some(2), None, NEW, idle(2, 2)),          // equal is too much
        (Some(1), Some(2), None, NEW, vec![]),              // idle above zero passes validation
    ];
    for (idle, min, max, version, expected) in table {
        let object = changed(|object| {
            object.idle_replica_count = idle.and_then(|value| number(value, 13));
            object.min_replica_count = min.and_then(|value| number(value, 14));
            object.max_replica_count = max.and_then(|value| number(value, 15));
        });
        assert_eq!(errors_of(&object, version), expected, "{idle:?} {min:?} {max:?}");
    }
    // With the minimum left out the effective minimum is 0, so even idle 0 is refused.
    let absent = errors_of(&changed(|object| object.idle_replica_count = number(0, 13)), NEW);
    assert_eq!(absent.len(), 1);
    assert!(absent[0].contains("IdleReplicaCount=0 must be less than MinReplicaCount=0"), "{absent:?}");
}

#[test]
fn webhook_rules_have_upstreams_texts() {
    let typed = |kind: &str| manifest::Trigger { kind: text(kind, 100), ..written_trigger(0) };
    let cached =
        |kind: &str| manifest::Trigger { use_cached_metrics: Some(Located::new(true, at(105))), ..typed(kind) };
    let named = |index| manifest::Trigger { name: Some(text("twin", 99)), ..written_trigger(index) };
    let only_cpu =
        "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't work in this case)";
    let no_target = "error converting target for scalingModifiers (string->float) to valid target";
    // What is written, the text that must be among the errors.
    let table: Vec<(ScaledObject, &str)> = vec![
        (changed(|o| o.triggers.clear()), "no triggers defined in the ScaledObject/ScaledJob"),
        (
            changed(|o| o.triggers = vec![cached("cron")]),
            "property \"useCachedMetrics\" is not supported for \"cron\" scaler",
        ),
        (
            changed(|o| o.triggers = vec![cached("cpu")]),
            "property \"useCachedMetrics\" is not supported for \"cpu\" scaler",
        ),
        (
            changed(|o| o.triggers = vec![named(0), named(1)]),
            "triggerName \"twin\" is defined multiple times in the ScaledObject/ScaledJob, but it must be unique",
        ),
        (changed(|o| o.triggers = vec![typed("cpu"), typed("memory")]), only_cpu),
        (changed(|o| o.triggers = vec![typed("")]), "spec.triggers[0].type in body should be at least 1 chars long"),
        (
            changed(|o| o.scale_target_ref.name = text("", 4)),
            "spec.scaleTargetRef.name in body should be at least 1 chars",
        ),
        (
            changed(|o| o.fallback = fallback(-1, 2, None)),
            "FailureThreshold=-1 & Replicas=2 must both be greater than or equal to 0",
        ),
        (
            changed(|o| o.fallback = fallback(3, -2, None)),
            "FailureThreshold=3 & Replicas=-2 must both be greater than or equal to 0",
        ),
        (
            changed(|o| {
                o.fallback = fallback(3, 2, None);
                o.triggers = vec![typed("cpu")];
            }),
            "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type",
        ),
        (
            changed(|o| o.fallback = fallback(3, 2, Some("scalingModifiers"))),
            "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined",
        ),
        (
            changed(|o| o.scaling_modifiers = modifiers(&[("target", "2")])),
            "error ScalingModifiers.Formula is mandatory",
        ),
        (changed(|o| o.scaling_modifiers = modifiers(&[("formula", "a")])), "formula is given but target is empty"),
        (changed(|o| o.scaling_modifiers = modifiers(&[("formula", "a"), ("target", "0")])), no_target),
        (changed(|o| o.scaling_modifiers = modifiers(&[("formula", "a"), ("target", "2m")])), no_target),
    ];
    for (object, expected) in table {
        let found = errors_of(&object, NEW);
        assert!(found.iter().any(|own| own.contains(expected)), "{expected}: {found:?}");
        assert!(!errors_of(&written(), NEW).iter().any(|own| own.contains(expected)));
    }
}

#[test]
fn names_fit_a_label() {
    let long = |length: usize| "n".repeat(length);
    // length of the name, custom HPA name's length, texts.
    let table: [(usize, Option<usize>, &[&str]); 6] = [
        (54, None, &[]),                                                // keda-hpa- and 54 make 63
        (55, None, &["HPA name", "is 64 characters long"]),             // one more
        (63, Some(63), &[]),                                            // a custom name helps
        (63, Some(64), &["HPA name", "is 64 characters long"]),         // or does not
        (64, Some(9), &["scaledobject name", "is 64 characters long"]), // the object's own limit
        (64, Some(0), &["scaledobject name", "is 73 characters long"]), // an empty custom name is none: both
    ];
    for (length, custom, texts) in table {
        let object = changed(|object| {
            object.name = text(&long(length), 2);
            object.hpa_name = custom.map(|length| text(&long(length), 80));
        });
        let found = errors_of(&object, NEW).join("\n");
        assert_eq!(found.is_empty(), texts.is_empty(), "{length} {custom:?}: {found}");
        for part in texts {
            assert!(found.contains(part), "{length} {custom:?}: {found}");
        }
    }
}

#[test]
fn periods_that_do_nothing_are_warned_about() {
    let polling = "warning: so.yaml:10:3: spec.pollingInterval: PollingInterval is configured but is not relevant.";
    let cooldown = "warning: so.yaml:11:3: spec.cooldownPeriod: CooldownPeriod is configured but is not relevant.";
    // min, idle, version, warned.
    let table = [
        (Some(1), None, NEW, true),                   // the usual case
        (Some(1), None, version(2, 20, 0), true),     // the first release
        (Some(1), None, version(2, 19, 9), false),    // the release before
        (Some(0), None, NEW, false),                  // scale to zero
        (None, None, NEW, false),                     // the default is zero
        (Some(2), Some(0), NEW, false),               // idle zero
        (Some(2), Some(1), NEW, true),                // another idle count does not help
        (Some(2), Some(1), version(2, 21, 0), false), // until 2.21
        (Some(2), None, version(2, 21, 0), true),     // which still warns without idle
    ];
    for (min, idle, version, warned) in table {
        let object = changed(|object| {
            object.polling_interval = number(30, 10);
            object.cooldown_period = number(300, 11);
            object.min_replica_count = min.and_then(|value| number(value, 14));
            object.idle_replica_count = idle.and_then(|value| number(value, 13));
        });
        let found = warnings_of(&object, version);
        assert_eq!(found.len(), if warned { 2 } else { 0 }, "{min:?} {idle:?} {version:?}: {found:?}");
        if warned {
            assert!(found[0].starts_with(polling) && found[1].starts_with(cooldown), "{found:?}");
        }
    }
    let unset = changed(|object| object.min_replica_count = number(1, 14));
    assert_eq!(warnings_of(&unset, NEW), [""; 0]);
}

#[test]
fn cached_metrics_make_the_polling_interval_relevant() {
    let object = changed(|object| {
        object.polling_interval = number(30, 10);
        object.cooldown_period = number(300, 11);
        object.min_replica_count = number(1, 14);
        object.triggers[0].use_cached_metrics = Some(Located::new(true, at(105)));
    });
    let (spec, messages) = ScaledObjectSpec::resolve(&object, NEW, &Signals::default()).expect("valid");
    assert!(spec.triggers[0].use_cached_metrics);
    assert_eq!(messages.0.len(), 1, "{messages}");
    assert!(messages.to_string().starts_with("warning: so.yaml:11:3: spec.cooldownPeriod"));
}

#[test]
fn metadata_values_are_read_as_keda_reads_them() {
    let place = |name: &str| format!("error: so.yaml:150:3: spec.triggers[0].metadata.{name}: ");
    // key, value, the error after the place ("" for none).
    let table = [
        (
            "threshold",
            "5m",
            "unable to set param \"threshold\" value \"5m\": unable to unmarshal to field type float64",
        ),
        (
            "threshold",
            ".5",
            "unable to set param \"threshold\" value \".5\": unable to unmarshal to field type float64",
        ),
        ("threshold", " 1e3 ", ""),
        ("threshold", "-5", ""), // refused by the API server only
        ("threshold", "  ", "missing required parameter \"threshold\" in [triggerMetadata]"),
        ("query", "", "missing required parameter \"query\" in [triggerMetadata]"),
        ("serverAddress", "", "missing required parameter \"serverAddress\" in [triggerMetadata]"),
        (
            "activationThreshold",
            "NaN",
            "unable to set param \"activationThreshold\" value \"NaN\": unable to unmarshal",
        ),
        ("activationThreshold", "", ""), // empty is absent
        ("ignoreNullValues", "yes", "unable to set param \"ignoreNullValues\" value \"yes\": strconv.ParseBool"),
        ("ignoreNullValues", "F", ""),
        ("unsafeSsl", "on", "unable to set param \"unsafeSsl\" value \"on\": strconv.ParseBool"),
        ("timeout", "3 s", "unable to set param \"timeout\" value \"3 s\": "),
        ("timeout", "3000", ""),
        (
            "queryParameters",
            "a=b=c",
            "unable to set param \"queryParameters\" value \"a=b=c\": expected format key=value",
        ),
        ("customHeaders", "X", "unable to set param \"customHeaders\" value \"X\": expected format key=value"),
    ];
    for (name, value, expected) in table {
        let found = errors_of(&with_metadata(name, value), NEW);
        if expected.is_empty() {
            assert_eq!(found, [""; 0], "{name} {value:?}");
        } else {
            assert_eq!(found.len(), 1, "{name} {value:?}: {found:?}");
            assert!(found[0].starts_with(&format!("{}{expected}", place(name))), "{name} {value:?}: {found:?}");
        }
    }
    let without = changed(|object| object.triggers[0].metadata.clear());
    let found = errors_of(&without, NEW);
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|own| own.starts_with("error: so.yaml:100:3: spec.triggers[0].metadata.")), "{found:?}");
}

#[test]
fn ignore_null_values_and_activation_reach_the_trigger() {
    let (spec, _) =
        ScaledObjectSpec::resolve(&with_metadata("ignoreNullValues", "0"), NEW, &Signals::default()).expect("valid");
    assert!(!spec.triggers[0].prometheus().expect("of that kind").ignore_null_values);
    let (spec, _) =
        ScaledObjectSpec::resolve(&with_metadata("ignoreNullValues", ""), NEW, &Signals::default()).expect("valid");
    assert!(spec.triggers[0].prometheus().expect("of that kind").ignore_null_values);
}

#[test]
fn metric_types_of_a_trigger() {
    let unsupported = "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or \
                       'AverageValue'";
    // metricType, what it becomes or the error.
    let table = [
        ("", Ok(TargetType::AverageValue)),             // empty is the default
        ("AverageValue", Ok(TargetType::AverageValue)), // the default by name
        ("Value", Ok(TargetType::Value)),               // the other
        ("Utilization", Err(unsupported)),              // KEDA refuses
        ("value", Err("which the API server refuses")), // KEDA passes on, case counts
    ];
    for (word, expected) in table {
        let object = changed(|object| object.triggers[0].metric_type = Some(text(word, 120)));
        match expected {
            Ok(target_type) => {
                let (spec, _) = ScaledObjectSpec::resolve(&object, NEW, &Signals::default()).expect("valid");
                assert_eq!(spec.triggers[0].target_type, target_type);
            }
            Err(part) => {
                let found = errors_of(&object, NEW);
                assert_eq!(found.len(), 1);
                assert!(found[0].starts_with("error: so.yaml:120:3: spec.triggers[0].metricType: "), "{found:?}");
                assert!(found[0].contains(part), "{found:?}");
            }
        }
    }
}

#[test]
fn keys_that_keda_ignores_are_warned_about() {
    // key, value, warning after the place, help.
    let table = [
        (
            "metricType",
            "Value",
            "metricType \"Value\" inside metadata is ignored by KEDA; the effective type is AverageValue",
            "beside metadata",
        ),
        ("metricName", "vllm", "metricName is ignored by KEDA since 2.12", "always s0-prometheus"),
        ("treshold", "5", "unknown key \"treshold\" is ignored by KEDA", "did you mean threshold?"),
        ("zzz", "5", "unknown key \"zzz\" is ignored by KEDA", "known keys here: serverAddress, query"),
        ("serveraddress", "x", "unknown key \"serveraddress\" is ignored by KEDA", "did you mean serverAddress?"),
        ("thresholdFromEnv", "T", "unknown key \"thresholdFromEnv\" is ignored by KEDA", "did you mean threshold?"),
    ];
    for (name, value, message, help) in table {
        let found = warnings_of(&with_metadata(name, value), NEW);
        assert_eq!(found.len(), 1, "{name}");
        let start = format!("warning: so.yaml:150:3: spec.triggers[0].metadata.{name}: {message}");
        assert!(found[0].starts_with(&start) && found[0].contains(help), "{found:?}");
    }
    for name in ["namespace", "authModes", "awsRegion", "identityOwner"] {
        assert_eq!(warnings_of(&with_metadata(name, "x"), NEW), [""; 0], "{name}");
    }
    // The inner word changes nothing, the outer one does.
    let mut both = with_metadata("metricType", "AverageValue");
    both.triggers[0].metric_type = Some(text("Value", 120));
    let (spec, messages) = ScaledObjectSpec::resolve(&both, NEW, &Signals::default()).expect("valid");
    assert_eq!(spec.triggers[0].target_type, TargetType::Value);
    assert!(messages.to_string().contains("the effective type is Value"));
}

#[test]
fn fallback_is_read_by_version() {
    // behaviour, version, what it becomes, messages.
    let table = [
        (None, NEW, FallbackBehavior::Static, 0),           // the default
        (Some("static"), NEW, FallbackBehavior::Static, 0), // by name
        (Some("currentReplicas"), NEW, FallbackBehavior::CurrentReplicas, 0), // the current count
        (Some("currentReplicasIfHigher"), NEW, FallbackBehavior::CurrentReplicasIfHigher, 0), // if it is more
        (Some("currentReplicasIfLower"), NEW, FallbackBehavior::CurrentReplicasIfLower, 0), // or less
        (Some("currentReplicas"), version(2, 16, 1), FallbackBehavior::Static, 1), // unknown then
    ];
    for (word, version, behavior, messages) in table {
        let object = changed(|object| object.fallback = fallback(3, 2, word));
        let (spec, found) = ScaledObjectSpec::resolve(&object, version, &Signals::default()).expect("valid");
        assert_eq!(found.0.len(), messages, "{found}");
        assert_eq!(spec.fallback, Some(Fallback { failure_threshold: 3, replicas: 2, behavior, valid: true }));
    }
    let with_formula = |version| {
        let object = changed(|object| {
            object.fallback = fallback(3, 2, Some("scalingModifiers"));
            object.scaling_modifiers = modifiers(&[("formula", "a ?? 1"), ("target", "0.7")]);
            object.triggers[0].name = Some(text("a", 99));
        });
        ScaledObjectSpec::resolve(&object, version, &Signals::default())
    };
    let (spec, messages) = with_formula(NEW).expect("valid");
    assert!(spec.fallback.is_some_and(|own| !own.valid), "0.7 is no whole number, which disables the fallback");
    let start = "warning: so.yaml:61:3: spec.advanced.scalingModifiers.target: with a target that is no whole number";
    assert!(messages.to_string().starts_with(start), "{messages}");
    let refused = with_formula(version(2, 19, 0)).expect_err("since 2.20");
    assert!(refused.to_string().starts_with("error: so.yaml:73:3: spec.fallback.behavior: found \"scalingModifiers\""));
}

#[test]
fn the_initial_cooldown_came_with_2_14() {
    let object = changed(|object| object.initial_cooldown_period = number(60, 12));
    let (spec, messages) = ScaledObjectSpec::resolve(&object, version(2, 13, 1), &Signals::default()).expect("valid");
    assert_eq!(spec.initial_cooldown_period, SimDuration::ZERO);
    assert!(messages.to_string().starts_with("warning: so.yaml:12:3: spec.initialCooldownPeriod"), "{messages}");
    assert_eq!(warnings_of(&object, version(2, 14, 0)), [""; 0]);
}

#[test]
fn workload_triggers_are_read() {
    let workload = |metadata: &[(&str, &str)]| {
        changed(|object| {
            object.triggers[0].kind = text("kubernetes-workload", 100);
            let lines = metadata.iter().zip(101..);
            object.triggers[0].metadata =
                lines.map(|((name, value), line)| (key(name, line), text(value, line))).collect();
        })
    };
    let all = [("podSelector", "app=x"), ("value", "3"), ("activationValue", "1"), ("groupByNode", "true")];
    let (spec, messages) = ScaledObjectSpec::resolve(&workload(&all), NEW, &Signals::default()).expect("valid");
    assert_eq!(messages, Diagnostics::new());
    assert_eq!((spec.triggers[0].metric_name.as_str(), spec.triggers[0].threshold), ("s0-workload-default", 3.0));
    let TriggerKind::KubernetesWorkload(own) = &spec.triggers[0].kind else { panic!("another kind") };
    assert_eq!((own.activation_value, own.group_by_node, own.selector.text.as_str()), (1.0, true, "app=x"));
    assert_eq!(spec.triggers[0].asks(), "nodes with pods matching app=x");
    let older = warnings_of(&workload(&all), version(2, 19, 0));
    assert!(older.len() == 1 && older[0].contains("unknown key \"groupByNode\""), "{older:?}");
    // metadata, error.
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[("value", "3")], "missing required parameter \"podSelector\""),
        (&[("podSelector", "app=x")], "value must be a float greater than 0"),
        (&[("podSelector", "app=x"), ("value", "0")], "value must be a float greater than 0"),
        (&[("podSelector", "app=x"), ("value", "x")], "unable to set param \"value\" value \"x\""),
        (&[("podSelector", "app in x"), ("value", "3")], "error parsing pod selector: "),
    ];
    for (metadata, expected) in table {
        let found = errors_of(&workload(metadata), NEW);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
}

#[test]
fn a_type_that_keda_does_not_know_is_its_error() {
    let object = changed(|object| object.triggers[0].kind = text("promtheus", 100));
    let found = ScaledObjectSpec::resolve(&object, NEW, &Signals::default()).expect_err("unknown");
    assert_eq!(
        found.to_string(),
        "error: so.yaml:100:3: spec.triggers[0].type: no scaler found for type: promtheus\n  help: did you mean prometheus?"
    );
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let object = changed(|object| {
        object.polling_interval = number(0, 10);
        object.min_replica_count = number(9, 14);
        object.max_replica_count = number(3, 15);
        object.fallback = fallback(-1, 0, None);
        object.triggers[0].metric_type = Some(text("Utilization", 120));
        object.triggers[0].metadata.remove(1);
        let mut second = written_trigger(1);
        second.metadata[2].1 = text("5m", 203);
        object.triggers.push(second);
    });
    let mut lines: Vec<u32> = match ScaledObjectSpec::resolve(&object, NEW, &Signals::default()) {
        Ok(_) => Vec::new(),
        Err(found) => found
            .0
            .iter()
            .filter(|own| own.severity == crate::units::Severity::Error)
            .filter_map(|own| own.span.as_ref().map(|span| span.line))
            .collect(),
    };
    lines.sort_unstable();
    assert_eq!(lines, [10, 14, 70, 100, 120, 203]);
}

#[test]
fn a_paused_object_says_so_with_its_bounds() {
    let object = changed(|object| {
        object.max_replica_count = number(5, 15);
        object.annotations.push((key("autoscaling.keda.sh/paused-replicas", 30), text("6", 31)));
    });
    let found = warnings_of(&object, NEW);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("is paused: nothing scales while this stands, the replicas stay at 6"), "{found:?}");
    assert!(found[1].contains("found 6, which lies outside minReplicaCount 0 and maxReplicaCount 5"), "{found:?}");
}

proptest! {
    #[test]
    fn no_metadata_text_panics_and_what_passes_is_finite(value in "\\PC{0,12}", threshold in "-?[0-9.eE+]{0,8}") {
        for name in ["threshold", "ignoreNullValues", "timeout", "queryParameters"] {
            let _ = ScaledObjectSpec::resolve(&with_metadata(name, &value), NEW, &Signals::default());
        }
        if let Ok((spec, _)) = ScaledObjectSpec::resolve(&with_metadata("threshold", &threshold), NEW, &Signals::default()) {
            prop_assert!(spec.triggers[0].threshold.is_finite());
            prop_assert_eq!(Ok(spec.triggers[0].threshold), threshold.parse());
        }
    }

    #[test]
    fn a_resolved_object_obeys_its_bounds(
        idle in proptest::option::of(-1i64..4), min in proptest::option::of(-1i64..6), max in proptest::option::of(-1i64..6),
    ) {
        let object = changed(|object| {
            object.idle_replica_count = idle.and_then(|value| number(value, 13));
            object.min_replica_count = min.and_then(|value| number(value, 14));
            object.max_replica_count = max.and_then(|value| number(value, 15));
        });
        if let Ok((spec, _)) = ScaledObjectSpec::resolve(&object, NEW, &Signals::default()) {
            prop_assert!(0 <= spec.min_replicas && spec.min_replicas.max(1) <= spec.max_replicas);
            prop_assert!(spec.idle_replicas.is_none_or(|idle| 0 <= idle && idle < spec.min_replicas.max(1)));
        }
    }
}

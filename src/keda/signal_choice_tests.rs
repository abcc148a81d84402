//! Whose signal is whose.

use super::*;
use crate::keda::test_support::{text, written, written_trigger};

fn object() -> ScaledObject {
    let mut object = written();
    let trigger = |(kind, name, index): (&str, Option<&str>, u32)| Trigger {
        kind: text(kind, 100 * (index + 1)),
        name: name.map(|own| text(own, 99)),
        ..written_trigger(index)
    };
    let all =
        [("prometheus", Some("load"), 0), ("external", None, 1), ("kafka", Some("orders"), 2), ("kafka", None, 3)];
    object.triggers = all.into_iter().map(trigger).collect();
    object
}

fn signals(keys: &[&str]) -> Signals {
    let signal = |value| TriggerSignal { value: Signal::Constant(value), active: None, target: None };
    let triggers = keys.iter().zip(0..).map(|(key, value)| (text(key, 7), signal(f64::from(value)))).collect();
    Signals { triggers, series: Vec::new() }
}

#[test]
fn keys_name_triggers_in_four_ways() {
    // keys, which trigger each is of.
    let table: [(&[&str], &[usize]); 5] = [
        (&["orders", "triggers[1]"], &[2, 1]),   // a name, a position
        (&["s1-external"], &[1]),                // a metric's name
        (&["s3-kafka"], &[3]),                   // index and type
        (&["s2-kafka", "triggers[3]"], &[2, 3]), // also of one that has a name
        (&[], &[]),                              // none
    ];
    for (keys, owners) in table {
        let given = signals(keys);
        let mut diagnostics = Diagnostics::new();
        let found = assign(&object(), &given, &mut diagnostics);
        assert_eq!(diagnostics, Diagnostics::new(), "{keys:?}");
        for (index, own) in found.iter().enumerate() {
            let expected = owners.iter().position(|owner| *owner == index).map(|at| &given.triggers[at].1);
            assert_eq!(*own, expected, "{keys:?} {index}");
        }
    }
}

#[test]
fn keys_that_name_none_or_a_simulated_one_are_refused() {
    // keys, the message about the last.
    let table: [(&[&str], &str); 5] = [
        (&["order"], "found a signal for \"order\", which is no trigger of so"), // nothing of the name
        (&["triggers[4]"], "found a signal for \"triggers[4]\", which is no trigger of so"), // out of range
        (&["load"], "\"load\" is a trigger of type prometheus, whose value is simulated and takes no signal"), // by name
        (&["s0-prometheus"], "\"s0-prometheus\" is a trigger of type prometheus, whose value is simulated"), // by metric
        (&["orders", "s2-kafka"], "\"s2-kafka\" and \"orders\" are the same trigger, expected one signal for it"), // twice
    ];
    for (keys, expected) in table {
        let mut diagnostics = Diagnostics::new();
        assign(&object(), &signals(keys), &mut diagnostics);
        let text = diagnostics.to_string();
        let last = keys.last().expect("a key");
        assert!(text.starts_with(&format!("error: so.yaml:7:3: signals.triggers.{last}: {expected}")), "{text}");
        let help = "help: triggers that take a signal: s1-external (type external), orders (type kafka), s3-kafka (type kafka)";
        assert!(text.ends_with(help), "{text}");
        assert_eq!(diagnostics.0.len(), 1);
    }
    let mut diagnostics = Diagnostics::new();
    assign(&written(), &signals(&["x"]), &mut diagnostics);
    assert!(diagnostics.to_string().contains("every trigger of so is simulated: no signal is needed"));
    // A name that looks like another trigger's metric.
    let mut twin = object();
    twin.triggers[2].name = Some(text("s1-external", 99));
    let mut diagnostics = Diagnostics::new();
    assign(&twin, &signals(&["s1-external"]), &mut diagnostics);
    assert!(diagnostics.to_string().contains("\"s1-external\" names several triggers of so"), "{diagnostics}");
}

#[test]
fn stand_ins_let_every_object_be_judged_without_a_word() {
    let mut all = object();
    let metadata = |own: &mut Trigger, entries: &[(&str, &str)]| {
        let lines = entries.iter().zip(101..);
        own.metadata = lines
            .map(|((name, value), line)| (crate::keda::test_support::key(name, line), text(value, line)))
            .collect();
    };
    metadata(&mut all.triggers[1], &[("scalerAddress", "scaler:8080")]);
    let broker = [("bootstrapServers", "kafka:9092"), ("consumerGroup", "g")];
    metadata(&mut all.triggers[2], &broker);
    metadata(&mut all.triggers[3], &broker);
    for (kind, entries) in
        [("elasticsearch", &[][..]), ("opensearch", &[("targetValue", "3")][..]), ("datadog", &[][..])]
    {
        let mut own = Trigger { kind: text(kind, 500), ..written_trigger(4) };
        metadata(&mut own, entries);
        all.triggers.push(own);
    }
    let version = crate::keda::KedaVersion::default();
    let found = crate::keda::ScaledObjectSpec::resolve(&all, version, &stand_in_signals(&all));
    let (spec, messages) = found.unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(messages, Diagnostics::new());
    let targets: Vec<f64> = spec.triggers.iter().map(|own| own.threshold).collect();
    assert_eq!(targets, [10.0, 1.0, 10.0, 10.0, 1.0, 3.0, 1.0]);
}

//! Triggers of types that are not simulated: targets, activity, and what is said without a signal.

use crate::keda::test_support::{key, text, version, written, written_trigger};
use crate::keda::{KedaVersion, ScaledObjectSpec, SignalTrigger, TriggerKind};
use crate::manifest::{self, Node, ScaledObject, Value};
use crate::series::{Signal, Signals, TriggerSignal};
use crate::units::SimTime;

const NEW: KedaVersion = version(2, 20, 2);

fn object(kind: &str, metadata: &[(&str, &str)], formula: bool) -> ScaledObject {
    let mut object = written();
    let lines = metadata.iter().zip(101..);
    object.triggers = vec![manifest::Trigger {
        kind: text(kind, 100),
        name: formula.then(|| text("a", 99)),
        metadata: lines.map(|((name, value), line)| (key(name, line), text(value, line))).collect(),
        ..written_trigger(0)
    }];
    let entry = |(name, value): (&str, &str)| {
        (key(name, 61), Node { value: Value::Str(value.to_owned()), span: crate::keda::test_support::at(61) })
    };
    let block = [("formula", "a * 2"), ("target", "2")].into_iter().map(entry).collect();
    object.scaling_modifiers =
        formula.then(|| Node { value: Value::Map(block), span: crate::keda::test_support::at(60) });
    object
}

fn signal(active: Option<Signal>, target: Option<f64>) -> TriggerSignal {
    TriggerSignal { value: Signal::Constant(3.0), active, target }
}

fn with(signal: TriggerSignal) -> Signals {
    Signals { triggers: vec![(text("triggers[0]", 7), signal)], series: Vec::new() }
}

fn resolved(object: &ScaledObject, signals: &Signals) -> Result<(ScaledObjectSpec, String), String> {
    let found = ScaledObjectSpec::resolve(object, NEW, signals);
    found.map(|(spec, messages)| (spec, messages.to_string())).map_err(|why| why.to_string())
}

fn own(spec: &ScaledObjectSpec) -> &SignalTrigger {
    match &spec.triggers[0].kind {
        TriggerKind::Signal(own) => own,
        other => panic!("found {other:?}"),
    }
}

const ADDRESS: (&str, &str) = ("scalerAddress", "scaler:8080");

#[test]
fn without_a_signal_the_message_shows_how_to_give_one() {
    // type, metadata, formula, the YAML.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], bool, &'a str);
    let table: [Row<'_>; 5] = [
        ("external", &[ADDRESS], false, "triggers: {s0-external: {value: {constant: 3}, target: 10}}"), // a target too
        ("datadog", &[], false, "triggers: {s0-datadog: {value: {constant: 3}, target: 10}}"), // not in the table
        ("redis", &[("listName", "l")], false, "triggers: {s0-redis-l: {value: {constant: 3}}}"), // its own target
        ("external", &[ADDRESS], true, "triggers: {a: {value: {constant: 3}}}"), // by its name; a formula needs none
        (
            "metrics-api",
            &[("url", "u"), ("valueLocation", "{.a}"), ("targetValue", "1")],
            false,
            "triggers: {\"s0-metric-api-{-a}\": {value: {constant: 3}}}",
        ), // quoted
    ];
    for (kind, metadata, formula, yaml) in table {
        let found = resolved(&object(kind, metadata, formula), &Signals::default()).expect_err(kind);
        let start = format!(
            "error: so.yaml:100:3: spec.triggers[0].type: the source of type {kind} is not simulated, and no signal \
             stands in for it\n  help: put this under spec of the Scenario: signals: {{{yaml}}}; or {yaml} into a file for \
             --signals FILE"
        );
        assert!(found.starts_with(&start), "{found}\n{start}");
        assert_eq!(found.matches("error: ").count(), 1, "{found}");
    }
}

#[test]
fn external_scalers_take_target_and_activity_from_the_signal() {
    let active = || Some(Signal::Step { from: 0.0, to: 1.0, at: SimTime::from_secs(60) });
    for (kind, pushes) in [("external", false), ("external-push", true)] {
        let given = with(signal(active(), Some(10.0)));
        let (spec, messages) = resolved(&object(kind, &[ADDRESS], false), &given).expect("valid");
        assert_eq!(messages, "", "{kind}");
        assert_eq!((spec.triggers[0].threshold, own(&spec).pushes), (10.0, pushes));
        let at = |seconds| own(&spec).answer_at(SimTime::from_secs(seconds), NEW).expect("a value");
        assert_eq!((at(59).active, at(60).active, at(60).milli), (false, true, 3_000));
    }
    // Without `active` it counts by the value, which is worth a note.
    let (spec, messages) =
        resolved(&object("external", &[ADDRESS], false), &with(signal(None, Some(10.0)))).expect("valid");
    assert!(messages.starts_with("note: so.yaml:100:3: spec.triggers[0].type: the scaler decides apart"), "{messages}");
    assert!(own(&spec).answer_at(SimTime::ZERO, NEW).expect("a value").active);
    let found = resolved(&object("external", &[ADDRESS], false), &with(signal(active(), None))).expect_err("no target");
    assert!(
        found.contains("the target of this trigger must come from its signal: the scaler's own service"),
        "{found}"
    );
    let found = resolved(&object("external", &[], false), &with(signal(active(), Some(1.0)))).expect_err("no address");
    assert!(found.contains("missing required parameter \"scalerAddress\" in [triggerMetadata]"), "{found}");
}

#[test]
fn an_activation_value_is_strict() {
    let metadata = [("listName", "l"), ("activationListLength", "3")];
    let (spec, _) = resolved(&object("redis", &metadata, false), &with(signal(None, None))).expect("valid");
    assert!(!own(&spec).answer_at(SimTime::ZERO, NEW).expect("a value").active, "3 is not above 3");
    let points = vec![(SimTime::from_secs(1), None)].into();
    let silent = SignalTrigger {
        signal: TriggerSignal { value: Signal::Points(points), active: None, target: None },
        ..own(&spec).clone()
    };
    assert!(silent.answer_at(SimTime::from_secs(2), NEW).is_err_and(|why| why.contains("gives no value")));
}

#[test]
fn types_outside_the_table_need_a_target_and_say_what_is_not_read() {
    let given = with(signal(None, Some(4.0)));
    let metadata = [("query", "q"), ("activationQueryValue", "5")];
    let (spec, messages) = resolved(&object("datadog", &metadata, false), &given).expect("valid");
    assert_eq!((spec.triggers[0].threshold, spec.triggers[0].metric_name.as_str()), (4.0, "s0-datadog"));
    assert!(
        messages.starts_with("warning: so.yaml:102:3: spec.triggers[0].metadata.activationQueryValue"),
        "{messages}"
    );
    let found = resolved(&object("datadog", &[], false), &with(signal(None, None))).expect_err("no target");
    assert!(found.contains("must come from its signal: the metadata of type datadog are not read"), "{found}");
    let found = resolved(&object("elasticsearch", &[], false), &with(signal(None, None))).expect_err("no target");
    assert!(found.contains("it may stand in the TriggerAuthentication"), "{found}");
    // Under a formula nobody needs one.
    assert!(resolved(&object("datadog", &[], true), &with(signal(None, None))).is_ok());
    let metadata = [("url", "u"), ("valueLocation", "v")];
    assert!(resolved(&object("metrics-api", &metadata, true), &with(signal(None, None))).is_ok());
}

#[test]
fn what_is_passed_over_is_told() {
    let messages = |kind: &str, metadata: &[(&str, &str)], own| {
        resolved(&object(kind, metadata, false), &with(own)).expect("valid").1
    };
    let list = ("listName", "l");
    // A target of the signal beside the trigger's own.
    let found = messages("redis", &[list], signal(None, Some(9.0)));
    assert!(found.contains("the signal's target 9 is passed over: the trigger's own listLength is 5"), "{found}");
    assert_eq!(messages("redis", &[list], signal(None, Some(5.0))), "");
    // Activity where the scaler goes by the value.
    let found = messages("redis", &[list], signal(Some(Signal::Constant(1.0)), None));
    assert!(
        found.starts_with("note: ") && found.contains("stands in for what the scaler of type redis makes"),
        "{found}"
    );
    // A misspelt key of those that decide, and metricType in the wrong place.
    let found = messages("redis", &[list, ("listLenght", "9"), ("databaseIndex", "1")], signal(None, None));
    assert!(
        found.contains("the key \"listLenght\" is not listLength") && found.matches("warning").count() == 1,
        "{found}"
    );
    let found = messages("redis", &[list, ("metricType", "Value")], signal(None, None));
    assert!(found.contains("inside metadata is ignored by KEDA; the effective type is AverageValue"), "{found}");
}

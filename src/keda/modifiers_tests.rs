//! Formulas: what they come to, and what is refused in whose words.

use super::*;
use crate::keda::ScaledObjectSpec;
use crate::keda::test_support::{at, key, text, trigger, version, written, written_trigger};
use crate::manifest::Node;
use crate::series::Signals;
use crate::units::Severity;
use proptest::prelude::*;

/// Entries of the block, the mistake's field, the text.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

const NEW: KedaVersion = version(2, 20, 2);

fn object(entries: &[(&str, &str)], names: &[&str]) -> ScaledObject {
    let mut object = written();
    let entry =
        |(name, value): &(&str, &str)| (key(name, 61), Node { value: Written::Str((*value).to_owned()), span: at(61) });
    object.scaling_modifiers = Some(Node { value: Written::Map(entries.iter().map(entry).collect()), span: at(60) });
    object.triggers = names
        .iter()
        .zip(0..)
        .map(|(name, index)| manifest::Trigger { name: Some(text(name, 99)), ..written_trigger(index) })
        .collect();
    object
}

fn resolved(entries: &[(&str, &str)], names: &[&str]) -> Result<Modifiers, String> {
    let mut diagnostics = Diagnostics::new();
    let found = resolve(&object(entries, names), NEW, &mut diagnostics);
    found.filter(|_| !diagnostics.has_errors()).ok_or_else(|| diagnostics.to_string())
}

fn value(formula: &str, a: Option<f64>, b: f64) -> Result<Composite, String> {
    let modifiers = resolved(&[("formula", formula), ("target", "2")], &["a", "b"])?;
    let named = ["a", "b"].map(|name| Trigger { name: Some(name.to_owned()), ..trigger() });
    let milli = |value: f64| (value * 1000.0) as i64;
    modifiers.evaluate(&named, &[a.map(milli), Some(milli(b))])
}

#[test]
fn formulas_come_to_what_upstream_makes_of_them() {
    // formula, its value with a = 3 and b = 2.
    let table = [
        ("a + b * 2", 7.0),                                           // precedence
        ("(a + b) / 2", 2.5),                                         // parentheses
        ("a / 2", 1.5),                                               // no integer division
        ("a > 2 && b < 3 ? 10.0 : 1.0", 10.0),                        // a condition
        ("a > 9 ? 1 : b > 1 ? 2 : 3", 2.0),                           // nested, to the right
        ("not (a > 2) or b == 2 ? 5 : 6", 5.0),                       // words for signs
        ("max(a, b, 1) + min([a, b])", 5.0),                          // lists and arguments
        ("sum([a, b]) + mean([a, b]) + median([a, b])", 10.0),        // statistics
        ("count([a, b], {# > 2}) > 0 ? 8 : 9", 8.0),                  // a closure
        ("let x = a * 2; let y = x + b; y - 1", 7.0),                 // names of its own
        ("ceil(a / b) + floor(a / b) + round(a / b) + abs(-a)", 8.0), // rounding
        ("a ** 2 + b ^ 3", 17.0),                                     // powers
        ("a in [1, 2, 3] ? 1 : 0", 1.0),                              // a set
        ("if a > 2 { 4 } else { 5 }", 4.0),                           // the long form
        ("a | max(7)", 7.0),                                          // a pipe
        ("a ?? 9", 3.0),                                              // nothing is nil
        ("float(a) + 1", 4.0),                                        // a cast by hand
    ];
    for (formula, expected) in table {
        assert_eq!(value(formula, Some(3.0), 2.0), Ok(Composite::Number(expected)), "{formula}");
    }
}

#[test]
fn a_queue_guard_as_llm_d_ships_it() {
    let formula = "let queue_per_replica = 1; let running_per_replica = 16; \
                   let demand = max(queue / queue_per_replica, running / running_per_replica); \
                   demand <= replicas ? demand : max(demand - (pending ?? 0), replicas)";
    let names = ["queue", "running", "pending", "replicas"];
    let modifiers = resolved(&[("formula", formula), ("target", "1")], &names).expect("compiles");
    let named = names.map(|name| Trigger { name: Some(name.to_owned()), ..trigger() });
    // queue, running, pending, replicas, composite.
    let table = [
        (5, 40, Some(1), 2, 4.0), // the demand of 5 less the pod on its way
        (0, 16, Some(0), 2, 1.0), // less than there is
        (5, 40, None, 2, 5.0),    // nil counts as none on their way
        (5, 40, Some(9), 2, 2.0), // never below what there is
    ];
    for (queue, running, pending, replicas, expected) in table {
        let milli = [Some(queue), Some(running), pending, Some(replicas)].map(|own: Option<i64>| own.map(|n| n * 1000));
        let found = modifiers.evaluate(&named, &milli);
        assert_eq!(found, Ok(Composite::Number(expected)), "{queue} {running} {pending:?} {replicas}");
    }
}

#[test]
fn nil_goes_through_double_question_marks_only() {
    assert_eq!(value("a ?? b", None, 2.0), Ok(Composite::Number(2.0)));
    assert_eq!(value("a ?? nil", None, 2.0), Ok(Composite::Nil));
    assert!(value("a + b", None, 2.0).is_err());
    assert!(value("(a ?? 1) + max(a, b)", None, 2.0).is_err());
}

#[test]
fn the_block_is_read_and_defaulted() {
    let modifiers = resolved(&[("formula", "a"), ("target", "0.7")], &["a"]).expect("valid");
    assert_eq!((modifiers.target, modifiers.target_milli()), (0.7, 700));
    assert_eq!((modifiers.activation_target, modifiers.target_type), (0.0, TargetType::AverageValue));
    let all = [("formula", "a"), ("target", "2"), ("activationTarget", "1.5"), ("metricType", "Value")];
    let modifiers = resolved(&all, &["a"]).expect("valid");
    assert_eq!((modifiers.activation_target, modifiers.target_type), (1.5, TargetType::Value));
    for none in [Vec::new(), vec![("formula", ""), ("target", "")]] {
        let found = resolved(&none, &["a"]);
        let expected = if none.is_empty() { "" } else { "error ScalingModifiers.Formula is mandatory" };
        assert!(found.is_err_and(|why| why.contains(expected) && why.is_empty() == expected.is_empty()));
    }
    let mut nameless = object(&[("formula", "a"), ("target", "2")], &["a", "b"]);
    nameless.triggers[1].name = None;
    let (_, messages) = ScaledObjectSpec::resolve(&nameless, NEW, &Signals::default()).expect("valid");
    assert!(
        messages.to_string().contains("spec.triggers[1].name: a trigger without a name takes no part"),
        "{messages}"
    );
    let stray = object(&[("formula", "a"), ("target", "2"), ("activation", "1")], &["a"]);
    let (_, messages) = ScaledObjectSpec::resolve(&stray, NEW, &Signals::default()).expect("valid");
    assert!(messages.to_string().contains("unknown key \"activation\""), "{messages}");
}

#[test]
fn mistakes_are_refused_in_upstreams_words() {
    let (formula, target) = (("formula", "a + b"), ("target", "2"));
    // entries, the error's start after the place.
    let table: [Row<'_>; 17] = [
        (&[target], "", "error ScalingModifiers.Formula is mandatory"),
        (&[("metricType", "Value")], "", "error ScalingModifiers.Formula is mandatory"),
        (&[formula], "", "formula is given but target is empty"),
        (&[formula, ("target", "0")], ".target", "error converting target for scalingModifiers (string->float)"),
        (&[formula, ("target", "-1")], ".target", "error converting target"),
        (&[formula, ("target", "2m")], ".target", "error converting target"),
        (&[formula, ("target", "inf")], ".target", "error converting target"),
        (&[formula, target, ("activationTarget", "x")], ".activationTarget", "error converting activationTarget"),
        (
            &[formula, target, ("metricType", "Utilization")],
            ".metricType",
            "found \"Utilization\", expected AverageValue",
        ),
        (&[("formula", "a + foo"), target], ".formula", "error trying to run custom formula: unknown name foo (1:5)"),
        (&[("formula", "a > 5 ? foo : b"), target], ".formula", "error trying to run custom formula: unknown name foo"),
        (
            &[("formula", "a > b"), target],
            ".formula",
            "error trying to run custom formula: the formula returns a boolean",
        ),
        (
            &[("formula", "a > 2 ? true : 1.0"), target],
            ".formula",
            "error trying to run custom formula: the formula returns",
        ),
        (
            &[("formula", "[a, b]"), target],
            ".formula",
            "error trying to run custom formula: the formula returns a list",
        ),
        (&[("formula", "a % b"), target], ".formula", "error trying to run custom formula: "),
        (&[("formula", "a +"), target], ".formula", "error trying to compile formula: "),
        (
            &[("formula", "count(1..1000000000, {# > 1})"), target],
            ".formula",
            "error trying to run custom formula: ranges",
        ),
    ];
    for (entries, place, expected) in table {
        let found = resolved(entries, &["a", "b"]).expect_err(expected);
        let line = if place.is_empty() { 60 } else { 61 };
        let start = format!("error: so.yaml:{line}:3: spec.advanced.scalingModifiers{place}: {expected}");
        assert!(found.starts_with(&start), "{found}");
    }
    // Triggers of other types and without names are no variables.
    let mut cpu = object(&[("formula", "a + b"), ("target", "2")], &["a", "b"]);
    cpu.triggers[1].kind = text("cpu", 200);
    let mut diagnostics = Diagnostics::new();
    assert!(resolve(&cpu, NEW, &mut diagnostics).is_none());
    assert!(diagnostics.to_string().contains("unknown name b (1:5)"), "{diagnostics}");
    assert!(diagnostics.to_string().contains("names of triggers that can be used: a"), "{diagnostics}");
    let mut old = Diagnostics::new();
    assert!(resolve(&object(&[formula, target], &["a", "b"]), version(2, 11, 0), &mut old).is_none());
    assert!(old.to_string().contains("does not know scalingModifiers"), "{old}");
}

#[test]
fn the_longest_formulas_do_not_break_the_stack() {
    let deep = [
        format!("{}a{}", "(".repeat(999), ")".repeat(999)),
        format!("a{}", "+a".repeat(999)),
        format!("{}a", "-".repeat(1999)),
        format!("a > 1 ? {}1{}", "(a > 1 ? ".repeat(100), " : 2)".repeat(100)),
        format!("{}a{}", "max(".repeat(390), ")".repeat(390)),
        "a".repeat(2001),
    ];
    for formula in deep {
        let _ = resolved(&[("formula", &formula), ("target", "2")], &["a"]);
    }
}

#[test]
fn composites_are_cut_to_milli_units() {
    // value, milli.
    let table = [
        (1.9996, 1_999),               // cut, where a trigger's value would be rounded
        (-1.9996, -1_999),             // toward zero
        (0.0009, 0),                   // below the grid
        (f64::NAN, i64::MIN),          // as amd64 converts
        (f64::INFINITY, i64::MIN),     // upwards too
        (f64::NEG_INFINITY, i64::MIN), // and downwards
        (1e300, i64::MIN),             // and what does not fit
    ];
    for (value, milli) in table {
        assert_eq!(composite_milli(value), milli, "{value}");
    }
}

#[test]
fn quantities_are_read_back_as_products() {
    // milli, the float: not always the literal's.
    let table = [(1500, 1.5), (118_000, 118.0), (118, 0.11800000000000001), (1001, 1.0010000000000001), (-500, -0.5)];
    for (milli, value) in table {
        assert_eq!(milli_float(milli), value, "{milli}");
    }
}

#[test]
fn flaws_of_a_formulas_number() {
    use CompositeFlaw::{Negative, NotANumber, TooLarge, TooSmall};
    // value, flaw, what the HPA is told on amd64 and, if else, on arm64.
    let table = [
        (2.5, None, 2_500, None),                                         // fine
        (0.0, None, 0, None),                                             // zero
        (-0.0009, None, 0, None),                                         // cut to zero
        (-0.001, Some(Negative), -1, None),                               // passed on
        (f64::NAN, Some(NotANumber), i64::MIN, Some(0)),                  // 0/0
        (f64::INFINITY, Some(TooLarge), i64::MIN, Some(i64::MAX)),        // x/0
        (1e17, Some(TooLarge), i64::MIN, Some(i64::MAX)),                 // beyond the range
        (f64::NEG_INFINITY, Some(TooSmall), i64::MIN, None),              // -x/0
        (9_223_372_036_854_774.0, None, 9_223_372_036_854_773_760, None), // the last in range
    ];
    for (value, flaw, milli, on_arm64) in table {
        assert_eq!((CompositeFlaw::of(value), composite_milli(value)), (flaw, milli), "{value}");
        assert_eq!(flaw.and_then(CompositeFlaw::milli_on_arm64), on_arm64, "{value}");
    }
}

#[test]
fn powers_are_noted() {
    for (formula, notes) in [("a ** 2 + b", 1), ("a ^ b", 1), ("a * a + b", 0)] {
        let mut diagnostics = Diagnostics::new();
        let object = object(&[("formula", formula), ("target", "2")], &["a", "b"]);
        assert!(resolve(&object, NEW, &mut diagnostics).is_some());
        let found = diagnostics.0.iter().filter(|own| own.severity == Severity::Note);
        assert_eq!(found.count(), notes, "{formula}: {diagnostics}");
        assert_eq!(diagnostics.0.len(), notes, "{formula}: {diagnostics}");
    }
}

proptest! {
    #[test]
    fn no_formula_panics(text in "\\PC{0,20}", close in "[ab0-9+*/()<>?:&|!. -]{0,20}") {
        for formula in [text, close] {
            if let Ok(modifiers) = resolved(&[("formula", &formula), ("target", "2")], &["a", "b"]) {
                let named = ["a", "b"].map(|name| Trigger { name: Some(name.to_owned()), ..trigger() });
                let _ = modifiers.evaluate(&named, &[None, Some(5)]);
            }
        }
    }

    #[test]
    fn sums_are_sums(a in 0i64..1_000_000, b in 0i64..1_000_000) {
        let modifiers = resolved(&[("formula", "a + b"), ("target", "2")], &["a", "b"]).expect("valid");
        let named = ["a", "b"].map(|name| Trigger { name: Some(name.to_owned()), ..trigger() });
        let found = modifiers.evaluate(&named, &[Some(a), Some(b)]);
        prop_assert_eq!(found, Ok(Composite::Number(a as f64 * 1e-3 + b as f64 * 1e-3)));
    }
}

#[test]
fn an_error_of_the_block_leaves_the_rest_to_be_checked() {
    let mut both = object(&[("formula", "a + foo"), ("target", "2")], &["a"]);
    both.triggers[0].metadata[2].1 = text("5m", 103);
    let found = ScaledObjectSpec::resolve(&both, NEW, &Signals::default()).expect_err("two mistakes");
    let errors = found.0.iter().filter(|own| own.severity == Severity::Error).count();
    assert_eq!(errors, 2, "{found}");
}

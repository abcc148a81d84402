//! Polls and syncs over tables of answers: what is counted, what stands in, what the formula makes of it.

use super::*;
use crate::keda::test_support::{spec, trigger, version};
use crate::keda::{Fallback, ScalingAnnotations, TargetType};
use proptest::prelude::*;

const NEW: KedaVersion = version(2, 20, 2);
const NOW: SimTime = SimTime::from_secs(90);
const COUNTS: TargetCounts = TargetCounts { spec_replicas: 2, ready_pods: 2 };

fn good(value: f64) -> Result<TriggerValue, String> {
    Ok(TriggerValue { value, milli: (value * 1000.0) as i64, active: value > 0.0 })
}

fn bad() -> Result<TriggerValue, String> {
    Err("down".to_owned())
}

fn fallback(behavior: FallbackBehavior) -> Option<Fallback> {
    Some(Fallback { failure_threshold: 1, replicas: 4, behavior, valid: true })
}

/// Triggers called `a`, `b`, ... with threshold 10.
fn named(count: usize) -> Vec<Trigger> {
    let named = |(index, name): (usize, &str)| Trigger {
        name: Some(name.to_owned()),
        metric_name: format!("s{index}-prometheus"),
        ..trigger()
    };
    ["a", "b", "c"].into_iter().enumerate().take(count).map(named).collect()
}

fn with_formula(formula: &str, behavior: Option<FallbackBehavior>) -> ScaledObjectSpec {
    let modifiers = crate::keda::modifiers::compiled(formula, "2", &["a", "b"]);
    ScaledObjectSpec { triggers: named(2), fallback: behavior.and_then(fallback), modifiers: Some(modifiers), ..spec() }
}

#[test]
fn failures_of_polls_and_syncs_count_together_and_success_forgets() {
    let spec = ScaledObjectSpec { fallback: fallback(FallbackBehavior::Static), ..spec() };
    let mut state = KedaState::new(&spec);
    // by a sync (else a poll), the answer, failures after, milli, whether it is a substitute.
    let table = [
        (false, good(3.0), 0, Some(3_000), false), // healthy
        (false, bad(), 1, None, false),            // at the threshold: the error stands
        (true, bad(), 2, Some(40_000), true),      // past it: 4 replicas of 10
        (false, bad(), 3, Some(40_000), true),     // it lasts
        (true, good(1.0), 0, Some(1_000), false),  // one success forgets all
        (true, bad(), 1, None, false),             // and counting begins again
        (false, bad(), 2, Some(40_000), true),     // whoever asks
    ];
    for (index, (sync, answer, failures, milli, substitute)) in table.into_iter().enumerate() {
        let found = if sync {
            evaluate_sync(&spec, NEW, &state, vec![Some(answer)], COUNTS, NOW)
        } else {
            evaluate_poll(&spec, NEW, &state, vec![Some(answer)], COUNTS, NOW)
        };
        state = found.next.clone();
        let report = &found.triggers[0];
        assert_eq!(
            (state.triggers[0].failures, report.milli, report.fallback),
            (failures, milli, substitute),
            "{index}"
        );
        assert_eq!(found.error, milli.is_none(), "{index}");
        assert_eq!(found.active, milli.is_some(), "a substitute is active ({index})");
    }
}

#[test]
fn before_2_19_polls_do_not_fall_back_and_do_not_count() {
    let spec = ScaledObjectSpec { fallback: fallback(FallbackBehavior::Static), ..spec() };
    let mut state = KedaState::new(&spec);
    for _ in 0..5 {
        let found = evaluate_poll(&spec, version(2, 18, 3), &state, vec![Some(bad())], COUNTS, NOW);
        assert!(found.error && !found.active);
        state = found.next;
    }
    assert_eq!(state.triggers[0].failures, 0);
    let sync = |state: &KedaState| evaluate_sync(&spec, version(2, 18, 3), state, vec![Some(bad())], COUNTS, NOW);
    assert_eq!(sync(&sync(&state).next).triggers[0].milli, Some(40_000));
}

#[test]
fn without_a_fallback_that_acts_an_error_stays() {
    let value = Trigger { target_type: TargetType::Value, ..trigger() };
    let valid = fallback(FallbackBehavior::Static);
    let invalid = valid.map(|own| Fallback { valid: false, ..own });
    // trigger, fallback, version, ready pods.
    let table = [
        (trigger(), None, NEW, 2),                    // none
        (trigger(), invalid, NEW, 2),                 // not valid
        (value.clone(), valid, version(2, 17, 0), 2), // Value before 2.18
        (value, valid, NEW, 0),                       // no pod to divide by
    ];
    for (trigger, fallback, version, ready_pods) in table {
        let spec = ScaledObjectSpec { triggers: vec![trigger], fallback, ..spec() };
        let counts = TargetCounts { ready_pods, ..COUNTS };
        let mut state = KedaState::new(&spec);
        for failures in 1..6 {
            let found = evaluate_sync(&spec, version, &state, vec![Some(bad())], counts, NOW);
            assert_eq!((found.triggers[0].milli, found.error, found.next.triggers[0].failures), (None, true, failures));
            state = found.next;
        }
    }
}

#[test]
fn triggers_fall_back_each_for_itself() {
    let spec = ScaledObjectSpec { triggers: named(2), fallback: fallback(FallbackBehavior::Static), ..spec() };
    let mut state = KedaState::new(&spec);
    state.triggers[0].failures = 1;
    let found = evaluate_poll(&spec, NEW, &state, vec![Some(bad()), Some(good(0.0))], COUNTS, NOW);
    let milli: Vec<Option<i64>> = found.triggers.iter().map(|own| own.milli).collect();
    assert_eq!((milli, found.active, found.error), (vec![Some(40_000), Some(0)], true, false));
    let found = evaluate_poll(&spec, NEW, &KedaState::new(&spec), vec![Some(bad()), Some(good(7.0))], COUNTS, NOW);
    assert_eq!((found.active, found.error), (true, true), "one active, one failing");
}

#[test]
fn records_serve_syncs_between_polls() {
    let cached = Trigger { use_cached_metrics: true, ..trigger() };
    let spec = ScaledObjectSpec { triggers: vec![cached, trigger()], ..spec() };
    let state = KedaState::new(&spec);
    assert!(state.asks(0), "nothing is recorded before the first poll");
    let state = evaluate_poll(&spec, NEW, &state, vec![Some(good(5.0)), Some(good(6.0))], COUNTS, NOW).next;
    assert_eq!((state.asks(0), state.asks(1)), (false, true));
    let found = evaluate_sync(&spec, NEW, &state, vec![None, Some(good(8.0))], COUNTS, NOW);
    let seen: Vec<_> = found.triggers.iter().map(|own| (own.milli, own.cached)).collect();
    assert_eq!(seen, [(Some(5_000), true), (Some(8_000), false)]);
    // An error anywhere in a poll drops the records before 2.21 and leaves them after.
    for (version, asks) in [(NEW, true), (version(2, 21, 0), false)] {
        let state = evaluate_poll(&spec, version, &state, vec![Some(good(5.0)), Some(bad())], COUNTS, NOW).next;
        assert_eq!(state.asks(0), asks, "{version:?}");
    }
}

#[test]
fn a_recorded_error_counts_at_every_sync_and_a_recorded_substitute_at_none() {
    let cached = Trigger { use_cached_metrics: true, ..trigger() };
    let spec = ScaledObjectSpec { triggers: vec![cached], fallback: fallback(FallbackBehavior::Static), ..spec() };
    let newer = version(2, 21, 0);
    let state = evaluate_poll(&spec, newer, &KedaState::new(&spec), vec![Some(bad())], COUNTS, NOW).next;
    let found = evaluate_sync(&spec, newer, &state, vec![None], COUNTS, NOW);
    let report = &found.triggers[0];
    assert_eq!((report.milli, report.cached, found.next.triggers[0].failures), (Some(40_000), true, 2));
    let state = evaluate_poll(&spec, newer, &found.next, vec![Some(bad())], COUNTS, NOW).next;
    let found = evaluate_sync(&spec, newer, &state, vec![None], COUNTS, NOW);
    assert_eq!((found.triggers[0].fallback, found.next.triggers[0].failures), (true, 3));
}

#[test]
fn polls_of_2_21_take_what_the_last_sync_saw_where_they_cannot_matter() {
    let newer = version(2, 21, 0);
    let minimum = ScaledObjectSpec { min_replicas: 1, ..spec() };
    let cached = Trigger { use_cached_metrics: true, ..trigger() };
    // spec, version, whether a poll asks after a sync.
    let table = [
        (minimum.clone(), newer, false), // nothing to decide
        (minimum.clone(), NEW, true),    // before
        (spec(), newer, true),           // zero is open
        (ScaledObjectSpec { idle_replicas: Some(0), ..minimum.clone() }, newer, true), // idle is
        (ScaledObjectSpec { triggers: vec![cached], ..minimum.clone() }, newer, true), // records are kept
    ];
    for (spec, version, asks) in table {
        let state = KedaState::new(&spec);
        assert!(state.poll_asks(&spec, version), "before the first sync there is nothing to take");
        let state = evaluate_sync(&spec, version, &state, vec![Some(good(5.0))], COUNTS, NOW).next;
        assert_eq!(state.poll_asks(&spec, version), asks, "{spec:?} {version:?}");
    }
    let own = ScaledObjectSpec { fallback: fallback(FallbackBehavior::Static), ..minimum };
    let state = evaluate_sync(&own, newer, &KedaState::new(&own), vec![Some(bad())], COUNTS, NOW).next;
    let found = evaluate_poll_from_syncs(&own, &state, COUNTS);
    assert_eq!((found.error, found.active, found.next.triggers[0].failures), (true, false, 1), "not counted again");
    assert!(found.triggers[0].cached && found.triggers[0].asked == NOW);
}

#[test]
fn a_formula_takes_the_triggers_place() {
    // formula, a, b, value, milli, active.
    let table = [
        ("a + b", 1.0, 2.5, Some(3.5), Some(3_500), true),     // a sum
        ("a - b", 1.0, 2.5, Some(-1.5), Some(-1_500), false),  // negative passes, unguarded
        ("a / 3", 2.0, 0.0, Some(2.0 / 3.0), Some(666), true), // cut, not rounded
        ("a / b", 1.0, 0.0, Some(f64::INFINITY), Some(i64::MIN), false), // as an int64 on amd64
        ("a > 1 ? b : 0", 2.0, 4.0, Some(4.0), Some(4_000), true), // an integer branch is a number too
        ("max(a, b) * 0", 2.0, 4.0, Some(0.0), Some(0), false), // zero is not above zero
    ];
    for (formula, a, b, value, milli, active) in table {
        let spec = with_formula(formula, None);
        let found = evaluate_poll(&spec, NEW, &KedaState::new(&spec), vec![Some(good(a)), Some(good(b))], COUNTS, NOW);
        let report = found.composite.expect("there is a formula");
        assert_eq!((report.value, report.milli, report.active), (value, milli, active), "{formula}");
        assert_eq!((found.active, found.error), (active, false), "{formula}");
    }
    // Activity of the single triggers is no matter; the threshold is activationTarget, strictly.
    let mut spec = with_formula("a + b", None);
    if let Some(own) = &mut spec.modifiers {
        own.activation_target = 3.0;
    }
    for (b, active) in [(2.0, false), (2.001, true)] {
        let found =
            evaluate_poll(&spec, NEW, &KedaState::new(&spec), vec![Some(good(1.0)), Some(good(b))], COUNTS, NOW);
        assert_eq!(found.active, active, "{b}");
    }
}

#[test]
fn errors_under_a_formula() {
    use FallbackBehavior::{ScalingModifiers, Static};
    // formula, behaviour, failures of `a` so far, milli, active, error of the object, fallback.
    let table = [
        ("a + b", None, 5, None, false, true, false), // no fallback: nothing to tell
        ("a + b", Some(Static), 0, None, false, true, false), // at the threshold
        ("a + b", Some(Static), 1, Some(8_000), true, false, true), // 4 replicas of the target 2
        ("(a ?? 0) + b", Some(Static), 1, Some(8_000), true, false, true), // `??` does not matter then
        ("(a ?? 5) + b", Some(ScalingModifiers), 0, None, false, true, false), // nor below the threshold
        ("(a ?? 5) + b", Some(ScalingModifiers), 1, Some(8_000), true, false, false), // 5 for nil, plus 3
        ("a + b", Some(ScalingModifiers), 1, None, false, false, false), // nil arithmetic: inactive, no error
        ("a ?? nil", Some(ScalingModifiers), 1, Some(8_000), true, false, true), // nil: 4 replicas of 2
    ];
    for (formula, behavior, failures, milli, active, error, substitute) in table {
        let spec = with_formula(formula, behavior);
        let mut state = KedaState::new(&spec);
        state.triggers[0].failures = failures;
        let found = evaluate_poll(&spec, NEW, &state, vec![Some(bad()), Some(good(3.0))], COUNTS, NOW);
        let report = found.composite.expect("there is a formula");
        let seen = (report.milli, found.active, found.error, report.fallback);
        assert_eq!(seen, (milli, active, error, substitute), "{formula} {behavior:?} {failures}");
        assert_eq!(report.error.is_some(), milli.is_none(), "{formula} {behavior:?}");
    }
}

#[test]
fn a_fallback_of_a_formula_needs_a_whole_target() {
    let mut spec = with_formula("a + b", Some(FallbackBehavior::Static));
    spec.fallback = spec.fallback.map(|own| Fallback { valid: false, ..own });
    let mut state = KedaState::new(&spec);
    state.triggers[0].failures = 9;
    let found = evaluate_poll(&spec, NEW, &state, vec![Some(bad()), Some(good(3.0))], COUNTS, NOW);
    assert!(found.error && !found.active);
}

/// A cpu trigger called `cpu`.
fn cpu() -> Trigger {
    let target = crate::hpa::MetricTarget::ResourceUtilization(crate::hpa::Resource::Cpu, 80);
    let own = crate::keda::ResourceTrigger { resource: crate::hpa::Resource::Cpu, target, container: None };
    Trigger {
        name: Some("cpu".to_owned()),
        metric_name: "cpu".to_owned(),
        threshold: 80.0,
        target_type: TargetType::Utilization,
        kind: crate::keda::TriggerKind::Resource(own),
        ..trigger()
    }
}

#[test]
fn resource_triggers_are_never_asked_and_do_not_count() {
    let spec =
        ScaledObjectSpec { triggers: vec![cpu(), trigger()], fallback: fallback(FallbackBehavior::Static), ..spec() };
    let state = KedaState::new(&spec);
    let empty = TriggerReport {
        value: None,
        milli: None,
        active: false,
        error: None,
        fallback: false,
        cached: false,
        asked: NOW,
    };
    // What is handed over for the cpu trigger, the other's answer, active, error.
    let table = [
        (None, good(3.0), true, false),             // the other decides
        (None, good(0.0), false, false),            // cpu keeps nothing awake
        (None, bad(), false, true),                 // nor does it hide an error
        (Some(bad()), good(3.0), true, false),      // what is handed over is passed over
        (Some(good(9.0)), good(0.0), false, false), // whatever it is
    ];
    for (handed, answer, active, error) in table {
        for sync in [false, true] {
            let answers = vec![handed.clone(), Some(answer.clone())];
            let found = if sync {
                evaluate_sync(&spec, NEW, &state, answers, COUNTS, NOW)
            } else {
                evaluate_poll(&spec, NEW, &state, answers, COUNTS, NOW)
            };
            assert_eq!(found.triggers[0], empty);
            assert_eq!(found.triggers[1].value, answer.as_ref().ok().map(|own| own.value));
            assert_eq!((found.active, found.error), (active, error), "{handed:?} {answer:?}");
            assert_eq!(found.next.triggers[0].failures, 0);
        }
    }
}

#[test]
fn nothing_but_resource_triggers_counts_as_active() {
    let spec = ScaledObjectSpec { triggers: vec![cpu(), cpu()], ..spec() };
    let found = evaluate_poll(&spec, NEW, &KedaState::new(&spec), vec![None, None], COUNTS, NOW);
    assert_eq!((found.active, found.error), (true, false));
    // Polls of 2.21 have something to take over after a sync.
    let minimum = ScaledObjectSpec { min_replicas: 1, ..spec };
    let newer = version(2, 21, 0);
    let state = evaluate_sync(&minimum, newer, &KedaState::new(&minimum), vec![None, None], COUNTS, NOW).next;
    assert!(!state.poll_asks(&minimum, newer));
    assert!(evaluate_poll_from_syncs(&minimum, &state, COUNTS).active);
}

#[test]
fn a_formula_does_not_see_resource_triggers() {
    let mut spec = with_formula("a + b", None);
    spec.triggers.push(Trigger { name: Some("a".to_owned()), ..cpu() });
    let answers = vec![Some(good(1.0)), Some(good(2.5)), None];
    let found = evaluate_poll(&spec, NEW, &KedaState::new(&spec), answers, COUNTS, NOW);
    assert_eq!(found.composite.and_then(|own| own.milli), Some(3_500), "its name binds nothing");
}

#[test]
fn flaws_of_a_composite_are_told() {
    // formula, a, flaw.
    let table = [
        ("a + b", 1.0, None),                                // fine
        ("a - 5", 1.0, Some(CompositeFlaw::Negative)),       // below zero
        ("a / b", 1.0, Some(CompositeFlaw::TooLarge)),       // x/0
        ("a / b", 0.0, Some(CompositeFlaw::NotANumber)),     // 0/0
        ("(a - 5) / b", 1.0, Some(CompositeFlaw::TooSmall)), // -x/0
    ];
    for (formula, a, flaw) in table {
        let spec = with_formula(formula, None);
        let answers = vec![Some(good(a)), Some(good(0.0))];
        let found = evaluate_poll(&spec, NEW, &KedaState::new(&spec), answers, COUNTS, NOW);
        assert_eq!(found.composite.and_then(|own| own.flaw), flaw, "{formula}");
    }
}

#[test]
fn a_composite_is_compared_as_the_quantity_reads_back() {
    let mut spec = with_formula("a + b", None);
    if let Some(own) = &mut spec.modifiers {
        own.activation_target = 0.118;
    }
    let answers = vec![Some(good(0.118)), Some(good(0.0))];
    let found = evaluate_poll(&spec, NEW, &KedaState::new(&spec), answers, COUNTS, NOW);
    assert_eq!(found.composite.and_then(|own| own.milli), Some(118));
    assert!(found.active, "118 * 1e-3 is above the literal 0.118");
}

#[test]
fn a_substitute_is_of_the_target_as_the_hpa_has_it() {
    // threshold, version, 4 replicas of it.
    let table = [
        (0.9996, NEW, 4_000),               // rounded to 1
        (0.9996, version(2, 19, 0), 3_996), // cut to 0.999
        (0.0005, NEW, 4),                   // the smallest target
    ];
    for (threshold, version, milli) in table {
        let own = Trigger { threshold, ..trigger() };
        let spec = ScaledObjectSpec { triggers: vec![own], fallback: fallback(FallbackBehavior::Static), ..spec() };
        let mut state = KedaState::new(&spec);
        state.triggers[0].failures = 1;
        let found = evaluate_poll(&spec, version, &state, vec![Some(bad())], COUNTS, NOW);
        assert_eq!(found.triggers[0].milli, Some(milli), "{threshold} {version:?}");
    }
}

proptest! {
    #[test]
    fn an_error_is_told_exactly_when_nothing_stands_in(
        answers in proptest::collection::vec(proptest::option::of(0.0f64..100.0), 1..30), replicas in 0i32..5, threshold in 0u32..4,
    ) {
        let own = Fallback { failure_threshold: threshold, replicas, behavior: FallbackBehavior::Static, valid: true };
        let spec = ScaledObjectSpec { fallback: Some(own), annotations: ScalingAnnotations::default(), ..spec() };
        let mut state = KedaState::new(&spec);
        let mut row = 0;
        for answer in answers {
            row = if answer.is_some() { 0 } else { row + 1 };
            let found = evaluate_poll(&spec, NEW, &state, vec![Some(answer.map_or_else(bad, good))], COUNTS, NOW);
            prop_assert_eq!(found.next.triggers[0].failures, row);
            prop_assert_eq!(found.triggers[0].fallback, row > threshold);
            prop_assert_eq!(found.error, row > 0 && row <= threshold);
            prop_assert_eq!(found.triggers[0].milli.is_none(), found.error);
            state = found.next;
        }
    }
}

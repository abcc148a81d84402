//! The scale executor: moves between zero (or idle) and the minimum (`pkg/scaling/executor/scale_scaledobjects.go`).
//!
//! Never decides a count between minimum and maximum: that is the HPA's.

use crate::keda::ScaledObjectSpec;
use crate::units::SimTime;

/// What KEDA remembers between polls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorState {
    /// `status.lastActiveTime`, whole seconds.
    pub last_active: Option<SimTime>,
}

/// What one poll sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollObservation {
    /// Time of the poll.
    pub now: SimTime,
    /// The ScaledObject's creation time.
    pub created: SimTime,
    /// `spec.replicas` of the target.
    pub spec_replicas: i32,
    /// Whether any trigger is active.
    pub active: bool,
    /// Whether any trigger failed.
    pub error: bool,
}

/// What one poll does to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollAction {
    /// Nothing.
    None,
    /// Write this count: activation from zero or idle.
    Activate(i32),
    /// Write this count: to zero or idle after cooldown.
    Deactivate(i32),
    /// Write this count: below the minimum without idle.
    RaiseToMinimum(i32),
    /// Write this count: `paused-replicas`.
    Pause(i32),
}

impl PollAction {
    /// The word for records: `none`, `activate`, `deactivate`, `raiseToMinimum` or `pause`.
    pub fn word(self) -> &'static str {
        match self {
            PollAction::None => "none",
            PollAction::Activate(_) => "activate",
            PollAction::Deactivate(_) => "deactivate",
            PollAction::RaiseToMinimum(_) => "raiseToMinimum",
            PollAction::Pause(_) => "pause",
        }
    }

    /// The count to write, if any.
    pub fn replicas(self) -> Option<i32> {
        match self {
            PollAction::None => None,
            PollAction::Activate(count)
            | PollAction::Deactivate(count)
            | PollAction::RaiseToMinimum(count)
            | PollAction::Pause(count) => Some(count),
        }
    }
}

/// Outcome of one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollDecision {
    /// What to write.
    pub action: PollAction,
    /// Row of the decision table that applied (keda.md 4.2: `A1`, `I3`, ...), for the record.
    pub rule: &'static str,
    /// Row I3: the cooldown ends at this time, strictly after which the step is taken; `None` in other rows, and while
    /// `paused-scale-in` blocks the step.
    pub cooldown_end: Option<SimTime>,
    /// The state after the poll.
    pub next: ExecutorState,
}

/// One poll: the decision table of keda.md 4.2 (`RequestScale`), first matching row. `next` assumes that the write
/// succeeds. What a paused object does instead is [`paused`]'s.
pub fn poll(spec: &ScaledObjectSpec, state: ExecutorState, observation: PollObservation) -> PollDecision {
    let PollObservation { now, spec_replicas: current, active, error, .. } = observation;
    let min = spec.min_replicas;
    let mut cooldown = None;
    // The API stores whole seconds.
    let refreshed = ExecutorState { last_active: Some(now.floor_to_second()) };
    let annotations = spec.annotations;
    let (rule, action, next) = if active || annotations.force_activation {
        let asleep = current == 0 || (spec.idle_replicas.is_some() && current < min);
        if asleep && annotations.paused_scale_out {
            ("A1", PollAction::None, state)
        } else if asleep {
            ("A1", PollAction::Activate(min.max(1)), refreshed)
        } else if error {
            // Upstream returns before it refreshes the time.
            ("A2", PollAction::None, state)
        } else {
            ("A3", PollAction::None, refreshed)
        }
    } else if error && spec.fallback.is_some_and(|own| own.replicas != 0) {
        // Holds, so that the fallback can act later.
        ("I1", PollAction::None, state)
    } else if error && spec.fallback.is_none() {
        ("I2", PollAction::None, state)
    } else if spec.idle_replicas.is_some_and(|idle| current > idle) || (current > 0 && min == 0) {
        let end = (!annotations.paused_scale_in).then(|| cooldown_end(spec, state, observation));
        cooldown = end;
        // Strict (`scaleToZeroOrIdle`).
        let cooled = end.is_some_and(|end| end < now);
        let target = spec.idle_replicas.unwrap_or(min);
        ("I3", if cooled { PollAction::Deactivate(target) } else { PollAction::None }, state)
    } else if spec.idle_replicas.is_none() && current < min {
        ("I4", PollAction::RaiseToMinimum(min), state)
    } else {
        ("I5", PollAction::None, state)
    };
    PollDecision { action, rule, cooldown_end: cooldown, next }
}

/// What a paused object's reconcile writes: the count of `paused-replicas`, once; without one the target stays where it is. `None` when the object is not paused.
pub fn paused(spec: &ScaledObjectSpec, spec_replicas: i32) -> Option<PollAction> {
    if !spec.annotations.paused {
        return None;
    }
    let count = spec.annotations.paused_replicas.filter(|count| *count != spec_replicas);
    Some(count.map_or(PollAction::None, PollAction::Pause))
}

/// The time after which the step to zero or idle is allowed (`scaleToZeroOrIdle`): the cooldown counts from the last active
/// poll, the initial one from creation and only while nothing was ever active.
fn cooldown_end(spec: &ScaledObjectSpec, state: ExecutorState, observation: PollObservation) -> SimTime {
    match state.last_active {
        None => observation.created.floor_to_second().saturating_add(spec.initial_cooldown_period),
        Some(last_active) => last_active.saturating_add(spec.cooldown_period),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::spec;
    use crate::keda::{Fallback, FallbackBehavior, ScalingAnnotations};
    use crate::units::SimDuration;
    use PollAction::{Activate, Deactivate, RaiseToMinimum};
    use proptest::prelude::*;

    const NONE: PollAction = PollAction::None;

    fn seen(spec_replicas: i32, active: bool, error: bool) -> PollObservation {
        PollObservation { now: SimTime::from_millis(1_000_700), created: SimTime::ZERO, spec_replicas, active, error }
    }

    fn last(seconds: Option<u64>) -> ExecutorState {
        ExecutorState { last_active: seconds.map(SimTime::from_secs) }
    }

    #[test]
    fn the_decision_table() {
        let (kept, fresh) = (last(Some(10)), last(Some(1000)));
        // min, idle, current, active, error, then action, rule, state after; last active at 10 s, cooldown over.
        let table = [
            (0, None, 0, true, false, Activate(1), "A1", fresh), // from zero, minimum 0
            (3, None, 0, true, false, Activate(3), "A1", fresh), // from zero to the minimum
            (3, Some(0), 0, true, false, Activate(3), "A1", fresh), // from idle zero
            (3, Some(1), 1, true, false, Activate(3), "A1", fresh), // from idle one
            (3, Some(1), 2, true, false, Activate(3), "A1", fresh), // between idle and minimum
            (0, None, 0, true, true, Activate(1), "A1", fresh),  // another trigger fails: still taken
            (3, None, 2, true, false, NONE, "A3", fresh),        // below the minimum without idle is the HPA's
            (3, Some(1), 3, true, false, NONE, "A3", fresh),     // at the minimum
            (0, None, 5, true, true, NONE, "A2", kept),          // an error: not refreshed
            (0, None, 5, true, false, NONE, "A3", fresh),        // refreshed
            (3, None, 1, false, true, NONE, "I2", kept),         // holds even below the minimum
            (0, None, 5, false, true, NONE, "I2", kept),         // holds above zero
            (0, None, 1, false, false, Deactivate(0), "I3", kept), // the last one too
            (0, None, 5, false, false, Deactivate(0), "I3", kept), // any count straight to zero
            (3, Some(1), 5, false, false, Deactivate(1), "I3", kept), // to idle
            (3, Some(0), 3, false, false, Deactivate(0), "I3", kept), // to idle zero
            (3, Some(1), 2, false, false, Deactivate(1), "I3", kept), // from below the minimum too
            (0, Some(0), 2, false, false, Deactivate(0), "I3", kept), // idle zero with minimum 0
            (3, None, 0, false, false, RaiseToMinimum(3), "I4", kept), // zero is below the minimum
            (3, None, 2, false, false, RaiseToMinimum(3), "I4", kept), // so is two
            (3, None, 3, false, false, NONE, "I5", kept),        // at the minimum
            (3, None, 9, false, false, NONE, "I5", kept),        // above
            (0, None, 0, false, false, NONE, "I5", kept),        // asleep
            (3, Some(1), 1, false, false, NONE, "I5", kept),     // idle
            (3, Some(1), 0, false, false, NONE, "I5", kept),     // below idle: nobody raises it
        ];
        for (min_replicas, idle_replicas, current, active, error, action, rule, next) in table {
            let spec = ScaledObjectSpec { min_replicas, idle_replicas, ..spec() };
            let found = poll(&spec, kept, seen(current, active, error));
            let row = format!("min {min_replicas}, idle {idle_replicas:?}, current {current}, {active}, {error}");
            assert_eq!((found.action, found.rule, found.next), (action, rule, next), "{row}");
        }
    }

    #[test]
    fn fallback_and_annotations_change_the_table() {
        let (kept, fresh) = (last(Some(10)), last(Some(1000)));
        let fallback = |replicas| {
            Some(Fallback { failure_threshold: 3, replicas, behavior: FallbackBehavior::Static, valid: true })
        };
        let none = ScalingAnnotations::default();
        let no_in = ScalingAnnotations { paused_scale_in: true, ..none };
        let no_out = ScalingAnnotations { paused_scale_out: true, ..none };
        let forced = ScalingAnnotations { force_activation: true, ..none };
        // fallback, annotations, min, current, active, error, then action, rule, state after.
        let table = [
            (fallback(2), none, 0, 5, false, true, NONE, "I1", kept), // holds for the fallback
            (fallback(2), none, 3, 1, false, true, NONE, "I1", kept), // below the minimum too
            (fallback(0), none, 0, 5, false, true, Deactivate(0), "I3", kept), // zero replicas: cut although failing
            (fallback(0), none, 3, 1, false, true, RaiseToMinimum(3), "I4", kept), // or raised
            (fallback(2), none, 0, 0, true, false, Activate(1), "A1", fresh), // a fallback that acts activates
            (None, no_in, 0, 5, false, false, NONE, "I3", kept),      // no way down, and no end of it
            (None, no_in, 0, 0, true, false, Activate(1), "A1", fresh), // up is open
            (None, no_out, 0, 0, true, false, NONE, "A1", kept),      // no activation, and no time noted
            (None, no_out, 3, 1, false, false, RaiseToMinimum(3), "I4", kept), // raising is not held
            (None, no_out, 0, 5, true, false, NONE, "A3", fresh),     // nothing to hold
            (None, forced, 0, 0, false, false, Activate(1), "A1", fresh), // as if active
            (None, forced, 0, 5, false, false, NONE, "A3", fresh),    // never cools down
            (None, forced, 0, 5, false, true, NONE, "A2", kept),      // but an error counts
        ];
        for (fallback, annotations, min_replicas, current, active, error, action, rule, next) in table {
            let spec = ScaledObjectSpec { fallback, annotations, min_replicas, ..spec() };
            let found = poll(&spec, kept, seen(current, active, error));
            let row = format!("{fallback:?} {annotations:?} min {min_replicas}, {current}, {active}, {error}");
            assert_eq!((found.action, found.rule, found.next), (action, rule, next), "{row}");
        }
    }

    #[test]
    fn a_paused_object_only_goes_to_its_count() {
        let paused_at = |paused, paused_replicas| {
            let annotations = ScalingAnnotations { paused, paused_replicas, ..ScalingAnnotations::default() };
            paused_action(&ScaledObjectSpec { annotations, ..spec() })
        };
        assert_eq!(paused_at(false, None), None);
        assert_eq!(paused_at(true, None), Some(NONE));
        assert_eq!(paused_at(true, Some(2)), Some(NONE), "it is there");
        assert_eq!(paused_at(true, Some(7)), Some(PollAction::Pause(7)));
        assert_eq!(paused_at(true, Some(0)), Some(PollAction::Pause(0)));
    }

    fn paused_action(spec: &ScaledObjectSpec) -> Option<PollAction> {
        paused(spec, 2)
    }

    #[test]
    fn the_way_to_zero_waits_for_the_right_clock() {
        let millis = SimTime::from_millis;
        // created, initial cooldown, last active, cooldown, now, allowed.
        let table = [
            (0, 0, None, 300, 1, true),          // a new object over an inactive workload is cut at once
            (0, 0, None, 300, 0, false),         // but not in the instant of its creation
            (700, 0, None, 300, 700, true),      // the creation time is cut to whole seconds
            (0, 60, None, 0, 60_000, false),     // strict
            (0, 60, None, 0, 60_001, true),      // after the initial cooldown
            (0, 60, Some(10), 30, 40_001, true), // void once something was active
            (0, 0, Some(100), 300, 400_000, false), // strict
            (0, 0, Some(100), 300, 400_001, true), // after the cooldown
            (0, 900, Some(100), 0, 100_000, false), // no cooldown: still later than the last active poll
            (0, 900, Some(100), 0, 100_001, true), // and then at once
        ];
        for (created, initial, last_active, cooldown, now, allowed) in table {
            let spec = ScaledObjectSpec {
                cooldown_period: SimDuration::from_secs(cooldown),
                initial_cooldown_period: SimDuration::from_secs(initial),
                ..spec()
            };
            let observation = PollObservation { now: millis(now), created: millis(created), ..seen(4, false, false) };
            let found = poll(&spec, last(last_active), observation);
            let expected = if allowed { Deactivate(0) } else { NONE };
            assert_eq!((found.action, found.rule), (expected, "I3"), "created {created}, now {now}, {last_active:?}");
            assert_eq!(found.cooldown_end.map(|end| end < observation.now), Some(allowed), "the end is strict");
            let paused = ScaledObjectSpec {
                annotations: ScalingAnnotations { paused_scale_in: true, ..spec.annotations },
                ..spec.clone()
            };
            let held = poll(&paused, last(last_active), observation);
            assert_eq!((held.action, held.cooldown_end), (NONE, None), "paused-scale-in has no end");
        }
    }

    #[test]
    fn cooldown_counts_from_the_floor_of_the_last_active_poll() {
        let spec = spec();
        let poll_at = |state, millis, active| {
            poll(&spec, state, PollObservation { now: SimTime::from_millis(millis), ..seen(2, active, false) })
        };
        let state = poll_at(ExecutorState::default(), 10_999, true).next;
        assert_eq!(state, last(Some(10)));
        assert_eq!(poll_at(state, 310_000, false).action, NONE);
        assert_eq!(poll_at(state, 310_001, false).action, Deactivate(0));
    }

    #[test]
    fn actions_have_words_and_counts() {
        let table = [
            (NONE, "none", None),
            (Activate(2), "activate", Some(2)),
            (Deactivate(0), "deactivate", Some(0)),
            (RaiseToMinimum(3), "raiseToMinimum", Some(3)),
            (PollAction::Pause(4), "pause", Some(4)),
        ];
        for (action, word, count) in table {
            assert_eq!((action.word(), action.replicas()), (word, count));
        }
    }

    proptest! {
        #[test]
        fn writes_stay_in_the_set_and_time_never_runs_back(
            min_replicas in 0..5i32,
            idle_replicas in proptest::option::of(0..5i32),
            current in 0..8i32,
            active: bool,
            error: bool,
            last_seconds in proptest::option::of(0..1000u64),
        ) {
            // What the webhook lets pass.
            let idle_replicas = idle_replicas.filter(|idle| *idle < min_replicas.max(1));
            let spec = ScaledObjectSpec { min_replicas, idle_replicas, ..spec() };
            let state = last(last_seconds);
            let found = poll(&spec, state, seen(current, active, error));
            if let Some(count) = found.action.replicas() {
                let allowed = [idle_replicas, Some(min_replicas), Some(min_replicas.max(1))];
                prop_assert!(allowed.contains(&Some(count)), "{count}");
                prop_assert_ne!(count, current);
            }
            prop_assert!(found.next.last_active >= state.last_active);
            prop_assert!(active || found.next == state);
            prop_assert!(active || !error || found.action == NONE);
        }

        #[test]
        fn a_minimum_without_idle_leaves_nothing_to_the_executor(min_replicas in 1..5i32, above in 0..5i32, active: bool, error: bool) {
            let spec = ScaledObjectSpec { min_replicas, ..spec() };
            prop_assert_eq!(poll(&spec, last(None), seen(min_replicas + above, active, error)).action, NONE);
        }
    }
}

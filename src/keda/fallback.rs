//! Fallback: what stands in for a trigger that keeps failing (`pkg/fallback/fallback.go`, keda.md section 7).
//!
//! Counts failures and computes substitutes; which triggers failed is for `evaluation` to say.

use crate::keda::{KedaVersion, Modifiers, TargetType};
use crate::manifest;
use crate::units::{Diagnostic, Diagnostics, Judge};

/// The first releases with `behavior`, with fallback for `Value` triggers, and with `behavior: scalingModifiers`.
const BEHAVIORS: KedaVersion = KedaVersion { major: 2, minor: 17, patch: 0 };
const VALUE_TRIGGERS: KedaVersion = KedaVersion { major: 2, minor: 18, patch: 0 };
const OF_MODIFIERS: KedaVersion = KedaVersion { major: 2, minor: 20, patch: 0 };

/// `spec.fallback` as resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// `failureThreshold`: acts from one failure more on.
    pub failure_threshold: u32,
    /// `replicas`.
    pub replicas: i32,
    /// `behavior`, default static.
    pub behavior: FallbackBehavior,
    /// Whether KEDA finds it valid: with scalingModifiers their target must be a whole number (`HasValidFallback`).
    pub valid: bool,
}

/// What count the substitute stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackBehavior {
    /// `fallback.replicas`.
    Static,
    /// `spec.replicas` of the target.
    CurrentReplicas,
    /// The larger of the two.
    CurrentReplicasIfHigher,
    /// The smaller of the two.
    CurrentReplicasIfLower,
    /// None: a failing trigger is nil in the formula.
    ScalingModifiers,
}

/// What the target looks like to KEDA at an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetCounts {
    /// `spec.replicas`.
    pub spec_replicas: i32,
    /// Ready pods.
    pub ready_pods: i32,
}

/// `spec.fallback`; `None` when there is none or a number is refused elsewhere.
pub(super) fn resolve(
    written: &manifest::ScaledObject,
    modifiers: Option<&Modifiers>,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> Option<Fallback> {
    let fallback = written.fallback.as_ref()?;
    let behavior = behavior(fallback, version, diagnostics);
    let valid = modifiers.is_none_or(|own| whole_number(&own.target_text));
    if !valid {
        let target = written.scaling_modifiers.as_ref().and_then(|node| node.get("target"));
        let message = "with a target that is no whole number KEDA finds the fallback invalid and never uses it";
        let span = target.map_or(&fallback.span, |own| &own.span).clone();
        let diagnostic = Diagnostic::warning(span, "spec.advanced.scalingModifiers.target", message);
        diagnostics.push(diagnostic.help("scale formula and target by the same factor until the target is whole"));
    }
    Some(Fallback {
        failure_threshold: u32::try_from(fallback.failure_threshold.value).ok()?,
        replicas: i32::try_from(fallback.replicas.value).ok()?,
        behavior,
        valid,
    })
}

/// Go's `ParseInt` finds a positive number.
fn whole_number(text: &str) -> bool {
    text.parse::<i64>().is_ok_and(|value| value > 0)
}

fn behavior(fallback: &manifest::Fallback, version: KedaVersion, diagnostics: &mut Diagnostics) -> FallbackBehavior {
    let Some(word) = &fallback.behavior else { return FallbackBehavior::Static };
    if version < BEHAVIORS {
        let message = "this KEDA version knows no behavior and acts as static";
        diagnostics.push(Diagnostic::warning(word.span.clone(), "spec.fallback.behavior", message));
        return FallbackBehavior::Static;
    }
    match word.value.as_str() {
        "currentReplicas" => FallbackBehavior::CurrentReplicas,
        "currentReplicasIfHigher" => FallbackBehavior::CurrentReplicasIfHigher,
        "currentReplicasIfLower" => FallbackBehavior::CurrentReplicasIfLower,
        "scalingModifiers" => {
            if version < OF_MODIFIERS {
                let message = "found \"scalingModifiers\", which the CRD of this KEDA version refuses";
                let diagnostic = Diagnostic::error(word.span.clone(), "spec.fallback.behavior", message);
                diagnostics.push(diagnostic.help("it needs KEDA 2.20").by(Judge::ApiServer));
            }
            FallbackBehavior::ScalingModifiers
        }
        // Any other word is refused when the document is read.
        _ => FallbackBehavior::Static,
    }
}

impl Fallback {
    /// Whether a metric that failed `failures` times in a row is past the threshold, strictly.
    pub fn acts(&self, failures: u32, target_type: TargetType, version: KedaVersion) -> bool {
        let allowed = target_type == TargetType::AverageValue || version >= VALUE_TRIGGERS;
        self.valid && allowed && failures > self.failure_threshold
    }

    /// The count that the substitute stands for (`getReplicasByBehavior`).
    pub fn count(&self, spec_replicas: i32) -> i32 {
        match self.behavior {
            FallbackBehavior::Static | FallbackBehavior::ScalingModifiers => self.replicas,
            FallbackBehavior::CurrentReplicas => spec_replicas,
            FallbackBehavior::CurrentReplicasIfHigher => spec_replicas.max(self.replicas),
            FallbackBehavior::CurrentReplicasIfLower => spec_replicas.min(self.replicas),
        }
    }

    /// The metric value, in milli units, that makes the HPA want [`Self::count`] replicas; `None` for a `Value` metric
    /// without ready pods. Cut to a whole number of milli units, as upstream's conversion to int64 does.
    pub fn substitute(&self, target: f64, target_type: TargetType, counts: TargetCounts) -> Option<i64> {
        let replicas = f64::from(self.count(counts.spec_replicas));
        match target_type {
            TargetType::AverageValue => Some((target * 1000.0 * replicas) as i64),
            // Cpu and memory never take part.
            TargetType::Utilization => None,
            TargetType::Value if counts.ready_pods == 0 => None,
            TargetType::Value => Some((target * 1000.0 * (replicas / f64::from(counts.ready_pods))) as i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::version;
    use FallbackBehavior::{CurrentReplicas, CurrentReplicasIfHigher, CurrentReplicasIfLower, Static};
    use proptest::prelude::*;

    fn fallback(behavior: FallbackBehavior) -> Fallback {
        Fallback { failure_threshold: 3, replicas: 4, behavior, valid: true }
    }

    #[test]
    fn the_threshold_is_strict_and_types_came_with_versions() {
        let (new, old) = (version(2, 18, 0), version(2, 17, 2));
        let (average, value) = (TargetType::AverageValue, TargetType::Value);
        // failures, type, version, acts.
        let table = [
            (0, average, new, false), // healthy
            (3, average, new, false), // at the threshold
            (4, average, new, true),  // past it
            (4, average, old, true),  // in any version
            (4, value, new, true),    // Value too
            (4, value, old, false),   // since 2.18
        ];
        for (failures, target_type, version, acts) in table {
            assert_eq!(fallback(Static).acts(failures, target_type, version), acts, "{failures} {target_type:?}");
        }
        let invalid = Fallback { valid: false, ..fallback(Static) };
        assert!(!invalid.acts(9, average, new));
        let at_once = Fallback { failure_threshold: 0, ..fallback(Static) };
        assert!(at_once.acts(1, average, new) && !at_once.acts(0, average, new));
    }

    #[test]
    fn substitutes_stand_for_counts() {
        let (average, value) = (TargetType::AverageValue, TargetType::Value);
        // behavior, type, target, spec.replicas, ready, milli.
        let table = [
            (Static, average, 10.0, 2, 2, Some(40_000)),          // 4 replicas of 10
            (CurrentReplicas, average, 10.0, 2, 2, Some(20_000)), // 2 as they are
            (CurrentReplicasIfHigher, average, 10.0, 2, 2, Some(40_000)), // 4 is more than 2
            (CurrentReplicasIfHigher, average, 10.0, 7, 2, Some(70_000)), // 7 is more than 4
            (CurrentReplicasIfLower, average, 10.0, 2, 2, Some(20_000)), // 2 is less than 4
            (CurrentReplicasIfLower, average, 10.0, 7, 2, Some(40_000)), // 4 is less than 7
            (Static, average, 0.7, 2, 0, Some(2_800)),            // no pod needs to be ready
            (Static, value, 10.0, 2, 2, Some(20_000)),            // the ratio 2 times 2 ready pods
            (Static, value, 10.0, 2, 3, Some(13_333)),            // cut
            (Static, value, 10.0, 2, 0, None),                    // nothing to divide by
        ];
        for (behavior, target_type, target, spec_replicas, ready_pods, expected) in table {
            let counts = TargetCounts { spec_replicas, ready_pods };
            let found = fallback(behavior).substitute(target, target_type, counts);
            assert_eq!(found, expected, "{behavior:?} {target_type:?} {counts:?}");
        }
    }

    #[test]
    fn only_whole_positive_targets_make_a_fallback_of_modifiers_valid() {
        for (text, whole) in [("2", true), ("+2", true), ("0.7", false), ("2.0", false), ("0", false), ("1e3", false)] {
            assert_eq!(whole_number(text), whole, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_hpa_reads_the_count_back(replicas in 0i32..1000, target_milli in 1i64..1_000_000) {
            let own = Fallback { replicas, ..fallback(Static) };
            let target = target_milli as f64 / 1000.0;
            let counts = TargetCounts { spec_replicas: 1, ready_pods: 1 };
            let milli = own.substitute(target, TargetType::AverageValue, counts).expect("no pods needed");
            // Cutting may lose one milli unit, never a replica after rounding up unless the target is tiny.
            prop_assert!((milli - target_milli * i64::from(replicas)).abs() <= 1);
        }
    }
}

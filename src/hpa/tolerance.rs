//! Whether a usage/target ratio is close enough to 1 to leave the count alone (hpa.md section 5).
//!
//! Source: `Tolerances.isWithin`, `tolerancesForHpa` (`replica_calculator.go`, `horizontal.go`). Must not know what the
//! ratio is a ratio of, nor what "the current count" is: that differs per metric kind (`proposal`).

use crate::hpa::{ControllerFlags, HpaSpec, KubernetesVersion};

/// The tolerances in force for one HPA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tolerances {
    version: KubernetesVersion,
    up: f64,
    down: f64,
}

/// The ratios in force that leave the count alone, lowest and highest, as sentences name them: [`propose`](crate::hpa::propose)
/// asks the question itself.
pub fn tolerance_band(flags: &ControllerFlags, spec: &HpaSpec) -> (f64, f64) {
    let Tolerances { up, down, .. } = Tolerances::of(flags, spec);
    (1.0 - down, 1.0 + up)
}

impl Tolerances {
    /// HPA-TOL-3: a direction's own tolerance replaces the flag in that direction only; it needs a non-null behavior
    /// and the gate HPAConfigurableTolerance.
    pub(super) fn of(flags: &ControllerFlags, spec: &HpaSpec) -> Self {
        let own = spec.behavior.as_ref().filter(|_| flags.configurable_tolerance);
        // HPA-TOL-4: the quantity becomes a double by unscaled * 10^scale, which is not the nearest double.
        let (up, down) = own.map_or((None, None), |(up, down)| (up.tolerance, down.tolerance));
        let double = |quantity: Option<crate::units::Quantity>| {
            quantity.map_or(flags.tolerance, crate::units::Quantity::as_approximate_f64)
        };
        Tolerances { version: flags.version, up: double(up), down: double(down) }
    }

    /// Whether `ratio` is within tolerance; NaN never is.
    pub(super) fn is_within(self, ratio: f64) -> bool {
        if self.version <= KubernetesVersion::V1_32 {
            // HPA-TOL-2: up to 1.32 abs(1 - r) <= tol, which puts exactly 1.1 outside (0.10000000000000009).
            return (1.0 - ratio).abs() <= self.up;
        }
        // HPA-TOL-1: both edges inclusive, each edge rounded once as a double.
        (1.0 - self.down) <= ratio && ratio <= (1.0 + self.up)
    }

    /// The same question as External AverageValue asks it.
    pub(super) fn is_within_average(self, ratio: f64) -> bool {
        if self.version <= KubernetesVersion::V1_32 {
            // HPA-TOL-5: up to 1.32 this kind tested the opposite (> tol), so NaN, which is 0 usage on 0 replicas,
            // counts as within and proposes the status count, 0.
            let outside = (1.0 - ratio).abs() > self.up;
            return !outside;
        }
        self.is_within(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tolerances(version: KubernetesVersion, up: f64, down: f64) -> Tolerances {
        Tolerances { version, up, down }
    }

    #[test]
    fn edges_are_inclusive_since_1_33() {
        let table = [
            (0.1, 0.1, 1.1, true, "exactly 1.1 is within"),
            (0.1, 0.1, 1.100_001, false, "a milli more is not"),
            (0.1, 0.1, 0.9, true, "exactly 0.9 is within"),
            (0.1, 0.1, 0.899_999, false, "a milli less is not"),
            (0.122, 0.1, 1.122, false, "1.0 + 0.122 is just below 1.122 in doubles"),
            (0.1, 0.061, 0.939, false, "1.0 - 0.061 is just above 0.939 in doubles"),
            (118.0 * 1e-3, 0.1, 1.118, true, "the quantity's own double reaches 1.118"),
            (0.118, 0.1, 1.118, false, "the literal 0.118 does not"),
            (0.0, 0.0, 1.0, true, "no tolerance: equality is still within"),
            (0.1, 0.1, f64::NAN, false, "0 usage on 0 replicas"),
            (0.1, 0.1, f64::INFINITY, false, "usage on 0 replicas"),
            (0.1, 1.0, 0.0, true, "a scale-down tolerance of 1 swallows everything"),
        ];
        for (up, down, ratio, within, why) in table {
            assert_eq!(tolerances(KubernetesVersion::V1_36, up, down).is_within(ratio), within, "{why}");
        }
    }

    #[test]
    fn until_1_32_the_upper_edge_is_outside() {
        let old = tolerances(KubernetesVersion::V1_32, 0.1, 0.1);
        assert!(!old.is_within(1.1), "abs(1 - 1.1) is 0.10000000000000009");
        assert!(old.is_within(0.9), "abs(1 - 0.9) is 0.09999999999999998");
        assert!(!old.is_within(f64::NAN), "Value: <= is false for NaN");
        assert!(old.is_within_average(f64::NAN), "AverageValue: > is false for NaN");
    }
}

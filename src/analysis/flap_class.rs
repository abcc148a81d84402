//! How bad flapping is: the classes of verdicts.md 1.5, with the word rules of 1.6.

use crate::analysis::finding_paused::scaling_doubt;
use crate::analysis::flapping::measured;
use crate::analysis::{FlapDemand, Flapping, rate_interval};
use crate::record::RunRecord;

/// A class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlapClass {
    /// At most one flap per hour and a flap load of at most 2 %.
    #[default]
    Stable,
    /// At most 4 and 10 %.
    Jittery,
    /// More.
    Flapping,
}

impl FlapClass {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            FlapClass::Stable => "stable",
            FlapClass::Jittery => "jittery",
            FlapClass::Flapping => "flapping",
        }
    }
}

/// The nearest class, and whether the run was long enough to say so.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FlapVerdict {
    /// By the point estimates.
    pub class: FlapClass,
    /// Whether the 95 % bounds lie in the class too; else "undecided, run longer".
    pub decided: bool,
}

/// Bounds of the class "stable": flaps per hour and flap load.
pub const STABLE: (f64, f64) = (1.0, 0.02);
/// Those of the class "jittery".
const JITTERY: (f64, f64) = (4.0, 0.10);

/// The class by the flaps that are at fault: those that the need did not ask for, and dips shorter than a start-up. The churn
/// of a run none of whose flaps is at fault counts for nothing.
pub fn flap_class(record: &RunRecord, flapping: &Flapping, demand: &FlapDemand) -> FlapVerdict {
    class_of(record, flapping, demand.faulty_flaps)
}

/// The class if `flaps` of the flaps counted.
pub(super) fn class_of(record: &RunRecord, flapping: &Flapping, flaps: u64) -> FlapVerdict {
    let hours = measured(record).1.as_secs_f64_exact() / 3600.0;
    if hours <= 0.0 {
        return FlapVerdict::default();
    }
    let rate = flaps as f64 / hours;
    let (rate_low, rate_high) = rate_interval(flaps, hours);
    let (load, (load_low, load_high)) = match flaps {
        0 if flapping.flaps > 0 => (0.0, (0.0, 0.0)),
        _ => (flapping.flap_load, flapping.flap_load_interval),
    };
    let verdict = judge_rates((rate, (rate_low, rate_high)), (load, (load_low, load_high)));
    // What could not scale could not flap either.
    let could_scale = !record.info.fixed_replicas && scaling_doubt(record).is_none();
    FlapVerdict { decided: verdict.decided && (could_scale || verdict.class > FlapClass::Stable), ..verdict }
}

/// The class of a rate of flaps per hour and a flap load, each with its bounds.
pub(super) fn judge_rates(rate: (f64, (f64, f64)), load: (f64, (f64, f64))) -> FlapVerdict {
    let (rate, (rate_low, rate_high)) = rate;
    let (load, (load_low, load_high)) = load;
    let beyond = |class: (f64, f64), rate: f64, load: f64| rate > class.0 || load > class.1;
    if beyond(JITTERY, rate, load) {
        return FlapVerdict { class: FlapClass::Flapping, decided: beyond(JITTERY, rate_low, load_low) };
    }
    if beyond(STABLE, rate, load) {
        let decided = beyond(STABLE, rate_low, load_low) && !beyond(JITTERY, rate_high, load_high);
        return FlapVerdict { class: FlapClass::Jittery, decided };
    }
    FlapVerdict { class: FlapClass::Stable, decided: !beyond(STABLE, rate_high, load_high) }
}

//! Whatever runs the simulator more than once: sweeps, replications, comparisons, stability, calibration.

mod calibrate;
mod compare;
mod compare_conclusions;
mod compare_load;
mod compare_oracle;
mod confirm;
mod confirm_effect;
mod confirm_findings;
mod confirm_knobs;
mod many_runs;
mod oracle;
mod replications;
mod stability;
mod sweep;

pub use calibrate::{
    CacheRuling, Calibration, Capacity, Coefficient, Compared, Fate, FittedCoefficient, Held, LeftOut, LengthOptions,
    Lengths, Load, Measurement, Measurements, Objective, Observed, Plateau, PlateauStep, Quantity, Simulated,
    Statistic, Stop, bench_engine, calibrate, capacity, held_without_waiting, judge, measurements_text, parse_slo,
    plateaus, prior_for, read_measurements, rule_cache, simulate_measurement, warn_of_models,
};
pub use compare::{CompareError, Comparison, LeastFixed, PolicyRuns, Simulations, compare};
pub use compare_conclusions::{Conclusions, PolicyConclusions};
pub use compare_oracle::{Oracle, OracleKind, OracleSeed};
pub use confirm::{Confirmation, EditTried, MAX_RUNS, Tested, confirm};
pub use confirm_effect::{Effect, Outcome};
pub use confirm_findings::add_confirmation;
pub use oracle::{Bounds, CapacityCurve, MOST_TRIALS, SeedWorld, Timing, verified_schedule};
pub use replications::{ReplicateError, replicate};
pub use stability::{
    GivenTraffic, HysteresisLoop, LoadJump, LoadRange, LoadScale, LoadUnit, NoiseFreePass, RangeOrigin, StabilityError,
    StabilityMap, StabilityPlan, StabilityTimes, SurvivalCell, SurvivalMap, SurvivalPlan, check_survival,
    run_stability, run_survival,
};
pub use sweep::{SweepOutcome, SweepPoint, run_sweep};

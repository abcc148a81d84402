//! Whatever runs the simulator more than once: sweeps, replications, calibration.

mod calibrate;
mod confirm;
mod confirm_effect;
mod confirm_findings;
mod confirm_knobs;
mod replications;
mod sweep;

pub use calibrate::{
    CacheRuling, Calibration, Capacity, Coefficient, Compared, Fate, FittedCoefficient, Held, LeftOut, LengthOptions,
    Lengths, Load, Measurement, Measurements, Objective, Observed, Plateau, PlateauStep, Quantity, Simulated,
    Statistic, Stop, bench_engine, calibrate, capacity, held_without_waiting, judge, parse_slo, plateaus, prior_for,
    read_measurements, rule_cache, simulate_measurement,
};
pub use confirm::{Confirmation, EditTried, MAX_RUNS, Tested, confirm};
pub use confirm_effect::{Effect, Outcome};
pub use confirm_findings::add_confirmation;
pub use replications::{ReplicateError, replicate};
pub use sweep::{SweepOutcome, SweepPoint, run_sweep};

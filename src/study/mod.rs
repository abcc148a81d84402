//! Whatever runs the simulator more than once: sweeps, replications, calibration.

mod calibrate;
mod replications;
mod sweep;

pub use calibrate::{
    Calibration, Capacity, Coefficient, Compared, Fate, FittedCoefficient, LeftOut, LengthOptions, Lengths, Load,
    Measurement, Measurements, Objective, Observed, Plateau, PlateauStep, Quantity, Simulated, Statistic, Stop,
    bench_engine, calibrate, capacity, judge, parse_slo, plateaus, read_measurements, simulate_measurement,
};
pub use replications::{ReplicateError, replicate};
pub use sweep::{SweepOutcome, SweepPoint, run_sweep};

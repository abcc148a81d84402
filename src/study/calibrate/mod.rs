//! Fits a profile to measurements: `kedasim calibrate`.
//!
//! Reading order: `measurement` (what a benchmark said), `read` and the formats (`read_json`, `read_guidellm`, `read_table`), `bench` (the same
//! benchmark, simulated), `prior` (where to start), `held` (what the cache must have held), `coefficients`, `least_squares`
//! (numbers only), `fit`, `plateau` and `capacity` (what follows for a threshold).

mod bench;
mod capacity;
mod coefficients;
mod fit;
mod held;
mod json_place;
mod least_squares;
mod measurement;
mod plateau;
mod prior;
mod read;
mod read_guidellm;
mod read_json;
mod read_table;

pub use bench::{Simulated, bench_engine, simulate_measurement};
pub use capacity::{Capacity, Objective, Statistic, capacity, parse_slo};
pub use coefficients::Coefficient;
pub use fit::{Calibration, Compared, Fate, FittedCoefficient, LeftOut, calibrate, judge};
pub use held::{CacheRuling, Held, held_without_waiting, rule_cache};
pub use measurement::{Lengths, Load, Measurement, Observed, Quantity, Stop};
pub use plateau::{Plateau, PlateauStep, plateaus};
pub use prior::prior_for;
pub use read::{LengthOptions, Measurements, measurements_text, read_measurements};

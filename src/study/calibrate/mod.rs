//! Fits a profile to measurements: `kedasim calibrate`.
//!
//! Reading order: `measurement` (what a benchmark said), `read` and the formats (`read_json`, `read_guidellm`, `read_table`),
//! `consistency` and `models` (whether it can be true, and of what), `open_loop` (what a rate says), `bench` (the same benchmark,
//! simulated), `prior` (where to start), `held` (what the cache must have held), `coefficients`, `least_squares` (numbers only),
//! `problem`, `search` and `determined` (the parts of a fit), `fit`, `calibration` (what it gives), `plateau`, `steady` and
//! `capacity` (what follows for a threshold).

mod bench;
mod calibration;
mod capacity;
mod coefficients;
mod consistency;
mod determined;
mod fit;
mod held;
mod json_place;
mod least_squares;
mod measurement;
mod models;
mod open_loop;
mod plateau;
mod prior;
mod problem;
mod read;
mod read_guidellm;
mod read_json;
mod read_table;
mod search;
mod steady;

pub use bench::{Simulated, bench_engine, simulate_measurement};
pub use calibration::{Calibration, Compared, Fate, FittedCoefficient, LeftOut};
pub use capacity::{Capacity, Objective, Statistic, capacity, parse_slo};
pub use coefficients::Coefficient;
pub use fit::{calibrate, judge};
pub use held::{CacheRuling, Held, held_without_waiting, rule_cache};
pub use measurement::{Lengths, Load, Measurement, Observed, Quantity, Stop};
pub use models::warn_of_models;
pub use plateau::{Plateau, PlateauStep, plateaus};
pub use prior::prior_for;
pub use read::{LengthOptions, Measurements, measurements_text, read_measurements};

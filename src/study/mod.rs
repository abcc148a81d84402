//! Whatever runs the simulator more than once: sweeps, replications.

mod sweep;

pub use sweep::{SweepOutcome, SweepPoint, run_sweep};

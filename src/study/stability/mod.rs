//! Which steady loads make a policy settle, cycle or jitter, and which jumps of the load it survives (verdicts.md 3).
//!
//! Reading order: `load` (the unit of load, the range, the points), `world` (the user's world under one steady load),
//! `noise_free` with `responses` (pass A), `noisy` (pass B), `map` (both passes, refined where neighbours differ), `survival`;
//! `ramps` checks the bands in which the start decides, `capacity` says what fleets sustain.

mod capacity;
mod load;
mod map;
mod noise_free;
mod noisy;
mod ramps;
mod responses;
mod survival;
mod world;

pub use load::{LoadRange, LoadScale, LoadUnit, RangeOrigin};
pub use map::{NoiseFreePass, StabilityError, StabilityMap, StabilityPlan, StabilityTimes, run_stability};
pub use ramps::HysteresisLoop;
pub use survival::{LoadJump, SurvivalCell, SurvivalMap, SurvivalPlan, check_survival, run_survival};
pub use world::GivenTraffic;

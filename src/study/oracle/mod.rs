//! The oracle: the fewest GPU-hours that meet the goals on this traffic with perfect foresight (verdicts.md 5.3).
//!
//! Reading order: `capacity` and `need` (step 1), `schedule` and `plan` (step 2), `search` and `verify` (step 3); `bound`.

mod bound;
mod capacity;
mod need;
mod plan;
mod schedule;
mod search;
mod verify;

pub use bound::least_hours;
pub use capacity::{CapacityCurve, capacity_curve};
pub use need::{WorkWeights, needed_replicas, offered_rates};
pub use plan::{Plan, Timing};
pub use schedule::{Demand, LayerRun, Schedule, cheapest_schedule};
pub use search::{Bounds, MOST_TRIALS, SearchOutcome, Trial, Verified, search};
pub use verify::{OracleSchedule, SeedSearch, SeedWorld, verified_schedule};

pub(in crate::study) use capacity::fixed_world;

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

pub use capacity::CapacityCurve;
pub use plan::Timing;
pub use search::{Bounds, MOST_TRIALS};
pub use verify::{SeedWorld, verified_schedule};

pub(in crate::study) use bound::least_hours;
pub(in crate::study) use capacity::{capacity_curve, fixed_world};
pub(in crate::study) use need::{WorkWeights, needed_replicas, offered_rates};
pub(in crate::study) use plan::Plan;
pub(in crate::study) use schedule::{Demand, Schedule, cheapest_schedule};
pub(in crate::study) use search::{Trial, search};
pub(in crate::study) use verify::OracleSchedule;

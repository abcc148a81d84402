//! The oracle: the fewest GPU-hours that meet the goals on this traffic with perfect foresight (verdicts.md 5.3).

mod capacity;
mod need;
mod schedule;

pub use capacity::{CapacityCurve, capacity_curve};
pub use need::{WorkWeights, needed_replicas, offered_rates};
pub use schedule::{Demand, Schedule, cheapest_schedule};

//! What fleets sustain within the goals at the steady traffic's lengths.

use crate::scenario::ResolvedRun;
use crate::sim::SimulateError;
use crate::study::oracle::{CapacityCurve, capacity_curve};
use crate::study::stability::world::steady_traffic;
use crate::traffic::record_traffic;
use crate::units::SimTime;

/// Requests per second and time of the requests whose lengths are taken.
const MIX_RATE: f64 = 1.0;
const MIX_TIME: SimTime = SimTime::from_secs(2000);

/// What fleets of up to `most` replicas sustain within `run`'s goals, as far as `peak` requests per second need them; nothing
/// is out of order in it.
///
/// # Errors
/// A run that could not be completed.
pub(super) fn steady_capacity(run: &ResolvedRun, most: u32, peak: f64) -> Result<CapacityCurve, SimulateError> {
    let steady = ResolvedRun { faults: Vec::new(), ..run.clone() };
    match record_traffic(&steady_traffic(run, MIX_RATE), run.seed, MIX_TIME) {
        Some(mix) => capacity_curve(&steady, &mix, most, peak),
        None => Ok(CapacityCurve { measured: Vec::new(), simulations: 0 }),
    }
}

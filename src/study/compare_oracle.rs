//! The oracle of a comparison: per seed the cheaper of the verified schedule and the fixed fleets that meet the SLO, which are
//! schedules too.

use crate::analysis::{Summary, billed_hours, meets_slo};
use crate::scenario::ResolvedRun;
use crate::study::compare::{CompareError, seeded};
use crate::study::compare_load::{OfferedLoad, window};
use crate::study::oracle::{Bounds, CapacityCurve, OracleSchedule, SeedWorld, Timing, least_hours, verified_schedule};
use crate::units::{SimDuration, SimTime};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What perfect foresight would have done.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// One per seed, in order.
    pub seeds: Vec<OracleSeed>,
    /// Fewest replicas that a schedule may have.
    pub least: u32,
    /// Most.
    pub most: u32,
    /// How long before it must serve a replica is started.
    pub lead: SimDuration,
    /// Length of a window.
    pub window: SimDuration,
}

/// The oracle on one seed.
#[derive(Clone, Debug)]
pub struct OracleSeed {
    /// What it is.
    pub kind: OracleKind,
    /// Its run.
    pub summary: Summary,
    /// What `spec.replicas` was from when on.
    pub steps: Vec<(SimTime, i32)>,
    /// Runs of schedules that it took.
    pub trials: usize,
    /// Rounds in which the first estimate had to be raised.
    pub raised: usize,
    /// Windows at the start whose need the policies' initial replicas could not have served, whatever they did.
    pub unavoidable: usize,
    /// GPU-hours (replica-hours without GPUs) that no schedule can be billed less than; `None` in a closed loop.
    pub proven_least: Option<f64>,
}

/// Which schedule is cheapest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OracleKind {
    /// One that scales.
    Scaled,
    /// So many replicas all the time.
    Fixed(u32),
}

/// What an oracle is sought in.
pub(super) struct Ground<'a> {
    pub(super) world: &'a ResolvedRun,
    pub(super) seeds: &'a [u64],
    pub(super) ends: &'a [SimDuration],
    /// Fewest replicas of any policy, and most.
    pub(super) bounds: (u32, u32),
    /// The least fixed fleet that meets the SLO on every seed.
    pub(super) least_fixed: u32,
    pub(super) loads: &'a [OfferedLoad],
}

impl Ground<'_> {
    /// Fewest replicas of a schedule: those of the policies, none only where a gateway holds requests back, and never more
    /// than the fixed fleet that meets the SLO.
    fn least(&self) -> u32 {
        let floor = if self.world.gateway.is_some() { 0 } else { 1 };
        self.bounds.0.max(floor).min(self.least_fixed)
    }
}

/// Finds it on every seed; `fixed` are the fleets that were run.
pub(super) fn oracle(
    ground: &Ground<'_>,
    curve: &CapacityCurve,
    fixed: &BTreeMap<u32, Vec<Summary>>,
) -> Result<Oracle, CompareError> {
    let (least, most) = (ground.least(), ground.bounds.1);
    let lead = ground.world.slow_start();
    let initial = u32::try_from(ground.world.initial_replicas).unwrap_or(0);
    let timing = Timing { window: window(ground.world), lead, initial };
    let one = |index: usize| {
        let (seed, end, load) = (ground.seeds[index], ground.ends[index], &ground.loads[index]);
        let run = seeded(ground.world, seed);
        let bounds = Bounds { least, most };
        let world = SeedWorld { run: &run, end, timing, rates: load.rates(), curve, bounds };
        let found = verified_schedule(&world).map_err(|error| CompareError::Simulate(seed, error))?;
        let gpus = f64::from(run.gpus_per_replica.max(1));
        let first_need = crate::study::oracle::needed_replicas(load.rates(), curve, least).unwrap_or_default();
        let (kind, summary, steps) = cheapest(found.schedule, fixed, index);
        Ok(OracleSeed {
            kind,
            summary,
            steps,
            trials: found.trials,
            raised: found.raised,
            unavoidable: timing.unavoidable(&first_need),
            proven_least: load.recorded().map(|trace| gpus * least_hours(&run, trace, end, least)),
        })
    };
    let found: Vec<Result<OracleSeed, CompareError>> = (0..ground.seeds.len()).into_par_iter().map(one).collect();
    let seeds = found.into_iter().collect::<Result<_, _>>()?;
    Ok(Oracle { seeds, least, most, lead, window: timing.window })
}

/// The cheaper of the schedule and every fixed fleet that met the SLO on the seed at `index`; at equal cost the fixed fleet,
/// which never scales.
fn cheapest(
    schedule: Option<OracleSchedule>,
    fixed: &BTreeMap<u32, Vec<Summary>>,
    index: usize,
) -> (OracleKind, Summary, Vec<(SimTime, i32)>) {
    let able = fixed.iter().filter(|(_, runs)| meets_slo(&runs[index]) == Some(true));
    let fleet = able.min_by(|left, right| billed_hours(&left.1[index]).total_cmp(&billed_hours(&right.1[index])));
    let (size, runs) = fleet.expect("the least fixed fleet meets the SLO on every seed");
    match schedule.filter(|own| billed_hours(&own.summary) < billed_hours(&runs[index])) {
        Some(own) => (OracleKind::Scaled, own.summary, own.plan.steps()),
        None => {
            let count = i32::try_from(*size).unwrap_or(i32::MAX);
            (OracleKind::Fixed(*size), runs[index].clone(), vec![(SimTime::ZERO, count)])
        }
    }
}

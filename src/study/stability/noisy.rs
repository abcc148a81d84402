//! Pass B: the scenario's requests at a steady mean, over several seeds, for as long as it takes to call the load stable or
//! not (verdicts.md 3.3).

use crate::analysis::{NoisyLoad, SeedRun, Steadiness, steady_from, summarize};
use crate::record::{Counted, RunRecord};
use crate::scenario::ResolvedRun;
use crate::sim::{SimulateError, loop_info, simulate};
use crate::study::stability::load::LoadScale;
use crate::study::stability::world::{LoopTimes, held, steady_traffic, undisturbed};
use crate::units::{Seed, SimDuration, SimTime};
use rayon::prelude::*;

/// Hours without a flap, all seeds together, after which the upper 95 % bound is 1 per hour (verdicts.md 1.6).
const HOURS_TO_CALL_STABLE: f64 = 3.7;
/// A load that is not decided is run this many times longer, ...
const LONGER: u64 = 4;
/// ... at most up to so many measured hours of each seed.
const MOST_HOURS: f64 = 24.0;
/// z of verdicts.md 2.4 from which chance cannot move the count.
pub(super) const NO_NOISE: f64 = 6.0;
/// The measured time of the one run of such a load.
pub(super) const BRIEF: SimDuration = SimDuration::from_secs(1200);

/// How the seeds' pass is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NoisyPlan {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Warm-up of each run: a transient's time.
    pub warmup: SimDuration,
    /// Measured time of the shortest run of each seed.
    pub shortest: SimDuration,
    /// Requests that one load may cost, all seeds together.
    pub requests: f64,
}

impl NoisyPlan {
    pub fn of(run: &ResolvedRun, seeds: u64, requests: f64) -> Self {
        let each = SimDuration::from_secs((HOURS_TO_CALL_STABLE * 3600.0 / seeds as f64).ceil() as u64);
        NoisyPlan {
            seeds: (0..seeds).map(|number| run.seed.0.wrapping_add(number)).collect(),
            warmup: LoopTimes::of(run).transient(),
            shortest: each.max(LoopTimes::of(run).recorded()),
            requests,
        }
    }

    /// The longest measured time of a seed at `rate`.
    pub fn longest(&self, rate: f64) -> SimDuration {
        let each = self.requests / self.seeds.len() as f64 / rate.max(1e-9);
        let cap = SimDuration::from_secs_f64(each.min(MOST_HOURS * 3600.0));
        cap.saturating_sub(self.warmup).max(self.shortest)
    }
}

/// z at `rate`: the tolerance over the metric's coefficient of variation; `None` unless every trigger counts work.
pub(super) fn noise_index(run: &ResolvedRun, scale: &LoadScale, rate: f64) -> Option<f64> {
    let info = loop_info(run);
    let counting = info.queries.iter().filter(|own| own.counts != Counted::Nothing);
    let range = counting.map(|own| own.range).min().filter(|range| !range.is_zero())?;
    let size = info.load.size_cv.unwrap_or(1.0);
    let cv = ((1.0 + size * size) / (rate * range.as_secs_f64())).sqrt();
    let (low, high) = scale.tolerance;
    Some((high - 1.0).min(1.0 - low) / cv)
}

/// What the seeds say at `rate`, from the count that the target asks for (else from `start`).
///
/// # Errors
/// A run that could not be completed.
pub(super) fn noisy(
    run: &ResolvedRun,
    scale: &LoadScale,
    plan: &NoisyPlan,
    rate: f64,
    start: i32,
) -> Result<NoisyLoad, SimulateError> {
    let start = scale.need(rate).unwrap_or(start);
    if noise_index(run, scale, rate).is_some_and(|z| z > NO_NOISE) {
        let brief = pass(run, plan, &plan.seeds[..1], rate, start, BRIEF, true)?;
        // Whatever moved it was not the noise of a sum: it deserves the whole pass.
        if brief.reversals == 0 {
            return Ok(brief);
        }
    }
    let mut measured = plan.shortest;
    let longest = plan.longest(rate);
    loop {
        let found = pass(run, plan, &plan.seeds, rate, start, measured, false)?;
        if found.steadiness != Steadiness::Undecided || measured >= longest {
            return Ok(found);
        }
        measured = measured.times(LONGER).min(longest);
    }
}

/// All `seeds` for `measured` after the warm-up.
fn pass(
    run: &ResolvedRun,
    plan: &NoisyPlan,
    seeds: &[u64],
    rate: f64,
    start: i32,
    measured: SimDuration,
    is_brief: bool,
) -> Result<NoisyLoad, SimulateError> {
    let mut own = undisturbed(run, start, plan.warmup, plan.warmup + measured);
    own.traffic = steady_traffic(run, rate);
    let one = |seed: u64| simulate(&ResolvedRun { seed: Seed(seed), ..own.clone() }, false);
    let records: Vec<Result<RunRecord, SimulateError>> = seeds.par_iter().map(|seed| one(*seed)).collect();
    let records: Vec<RunRecord> = records.into_iter().collect::<Result<_, _>>()?;
    let from = SimTime::ZERO + plan.warmup;
    let all: Vec<&RunRecord> = records.iter().collect();
    let (from, converged) = steady_from(&all, from, run.kubernetes.sync_period);
    let runs: Vec<SeedRun> = records
        .into_iter()
        .map(|record| {
            let summary = summarize(&record, &own.analysis);
            SeedRun::of(record, &summary, from)
        })
        .collect();
    Ok(NoisyLoad::of(&runs, converged, is_brief))
}

/// Whether the most replicas that the policy allows serve `rate` well, on the first seed.
///
/// # Errors
/// As [`noisy`].
pub(super) fn fits_at_max(run: &ResolvedRun, plan: &NoisyPlan, rate: f64) -> Result<bool, SimulateError> {
    let (_, most) = run.replica_bounds();
    let own = held(run, most);
    let found = pass(&own, plan, &plan.seeds[..1], rate, most, BRIEF, false)?;
    Ok(!found.serves_badly())
}

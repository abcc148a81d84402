//! Trials of the search in the simulator: one seed's traffic, a schedule in the autoscaler's place (verdicts.md 5.3, step 3).

use crate::analysis::{Summary, billed_hours, meets_slo, summarize};
use crate::record::RunRecord;
use crate::scenario::{ResolvedRun, SloLimit};
use crate::sim::{SimulateError, simulate};
use crate::study::oracle::{Bounds, CapacityCurve, Plan, Timing, Trial, needed_replicas, search};
use crate::units::{SimDuration, SimTime};

/// One seed's world, and what is known of its load.
#[derive(Clone, Copy, Debug)]
pub struct SeedWorld<'a> {
    /// The world, with the seed.
    pub run: &'a ResolvedRun,
    /// How long it runs.
    pub end: SimDuration,
    /// Windows and starts.
    pub timing: Timing,
    /// Offered requests per second of each window, weighed by their work.
    pub rates: &'a [f64],
    /// What fleets sustain.
    pub curve: &'a CapacityCurve,
    /// Between which counts the schedule may move.
    pub bounds: Bounds,
}

/// A schedule that has met the goals in the simulator.
#[derive(Clone, Debug)]
pub struct OracleSchedule {
    /// Replicas that must serve, per window.
    pub need: Vec<u32>,
    /// Its writes.
    pub plan: Plan,
    /// The run that showed it.
    pub summary: Summary,
}

/// What the search on one seed found.
#[derive(Clone, Debug)]
pub struct SeedSearch {
    /// The schedule; `None` when no trial met the goals.
    pub schedule: Option<OracleSchedule>,
    /// Runs that it took.
    pub trials: usize,
    /// Rounds in which the need had to be raised.
    pub raised: usize,
}

/// The cheapest schedule found that meets the goals on this seed.
///
/// # Errors
/// A trial that could not be completed.
pub fn verified_schedule(world: &SeedWorld<'_>) -> Result<SeedSearch, SimulateError> {
    let SeedWorld { run, end, timing, bounds, .. } = *world;
    let estimate = |factor: f64| {
        let rates: Vec<f64> = world.rates.iter().map(|rate| rate / factor).collect();
        // Where not even one replica sustains anything, all of them are the first guess.
        needed_replicas(&rates, world.curve, bounds.least).unwrap_or_else(|| vec![bounds.most; rates.len()])
    };
    let slots = |need: &[u32]| timing.schedule(need).slots;
    let mut best: Option<OracleSchedule> = None;
    let mut trial = |need: &[u32]| {
        let plan = timing.plan(&timing.schedule(need), end);
        let record = simulate(&plan.world(run, end), false)?;
        let summary = summarize(&record, &run.analysis);
        let shown = Trial {
            met: meets_slo(&summary) == Some(true),
            billed: billed_hours(&summary),
            missed: missed_windows(&record, &run.analysis.slo, timing.window),
        };
        if shown.met && best.as_ref().is_none_or(|best| shown.billed <= billed_hours(&best.summary)) {
            best = Some(OracleSchedule { need: need.to_vec(), plan, summary });
        }
        Ok(shown)
    };
    let outcome = search(bounds, &estimate, &slots, &mut trial)?;
    let schedule = best.filter(|own| outcome.verified.as_ref().is_some_and(|verified| verified.need == own.need));
    assert_eq!(
        schedule.is_some(),
        outcome.verified.is_some(),
        "the search returns the cheapest trial that met the goals"
    );
    Ok(SeedSearch { schedule, trials: outcome.trials, raised: outcome.raised })
}

/// Windows that hold a minute with more misses of a goal than its share allows.
fn missed_windows(record: &RunRecord, limits: &[SloLimit], window: SimDuration) -> Vec<usize> {
    let minute = SimDuration::from_secs(60);
    let at = |time: SimTime| usize::try_from(time.as_ps() / window.as_ps()).expect("a window of a run");
    let mut missed: Vec<usize> = Vec::new();
    for (index, own) in record.slo.minutes().iter().enumerate() {
        let over = |(objective, limit): (usize, &SloLimit)| {
            record.slo.missed_in(index, objective) as f64 > (1.0 - limit.quantile) * own.requests as f64
        };
        if own.requests > 0 && limits.iter().enumerate().any(over) {
            let from = SimTime::ZERO + record.info.warmup + minute.times(index as u64);
            missed.extend([at(from), at(from + minute)]);
        }
    }
    missed.dedup();
    missed
}

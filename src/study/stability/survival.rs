//! Which jumps of the load a policy survives at which start-up time (verdicts.md 3.6).

use crate::analysis::{mean, recovery, summarize};
use crate::scenario::{ResolvedRun, SloLimit, SloMetric};
use crate::sim::{SimulateError, fix_startup, simulate};
use crate::study::stability::load::LoadScale;
use crate::study::stability::map::{StabilityError, check_policy, pool};
use crate::study::stability::world::{LoopTimes, steady_traffic, undisturbed};
use crate::traffic::Arrivals;
use crate::units::{Seed, SimDuration};
use rayon::prelude::*;

/// Load after the jump over load before it.
const JUMPS: [f64; 5] = [1.25, 2.0, 3.0, 5.0, 10.0];
/// Start-up times, s.
const STARTUPS: [u64; 6] = [0, 60, 180, 300, 600, 900];
/// How long the ramp takes, in so many steps.
const RAMP: SimDuration = SimDuration::from_secs(300);
const RAMP_STEPS: u64 = 10;
/// The load before the jump, in shares of one replica (per replica of the minimum).
const BASE: f64 = 0.8;
/// How long is watched after the jump.
const WATCHED: SimDuration = SimDuration::from_secs(3600);
/// Calm that makes a recovery.
const CALM_MINUTES: f64 = 10.0;
/// Requests of all runs together, beyond which there are fewer seeds.
const REQUESTS: f64 = 2e7;

/// What a survival map is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SurvivalPlan {
    /// Seeds of each cell, at most.
    pub seeds: u64,
    /// Threads, 0 for all cores; the map does not depend on it.
    pub jobs: usize,
}

/// One jump at one start-up time.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalCell {
    /// Whether the load rises in a straight line instead of at once.
    pub is_ramp: bool,
    /// Load after over load before.
    pub jump: f64,
    /// Start-up, created to routable, s.
    pub startup_seconds: u64,
    /// Minutes out of the goals after the jump's beginning, the mean over the seeds.
    pub miss_minutes: f64,
    /// The same, each seed's.
    pub miss_minutes_each: Vec<f64>,
    /// The longest series of such minutes, the mean.
    pub longest_minutes: f64,
    /// Requests failed, timed out or refused, the mean.
    pub lost: f64,
    /// Minutes from the jump's beginning to the end of the last violation before ten calm minutes, the mean over the seeds
    /// that recovered; `None` when none did.
    pub recovery_minutes: Option<f64>,
    /// Seeds that recovered within the hour.
    pub recovered: usize,
    /// Highest count of any seed.
    pub peak: i32,
    /// The peak over `ceil(load / target)` after the jump; `None` when no trigger counts work.
    pub overshoot: Option<f64>,
}

/// A survival map.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalMap {
    /// Requests per second before the jump.
    pub base: f64,
    /// How load is measured.
    pub scale: LoadScale,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The goals, and whether nobody gave them.
    pub goals: Vec<SloLimit>,
    /// See `goals`.
    pub goals_assumed: bool,
    /// When the jump begins; what was before is not counted.
    pub jump_at: SimDuration,
    /// How long is watched from then on.
    pub watched: SimDuration,
    /// How long a ramp takes.
    pub ramp: SimDuration,
    /// Steps first, then ramps; within them by jump, then by start-up.
    pub cells: Vec<SurvivalCell>,
}

/// Makes the survival map of `run`'s policy.
///
/// # Errors
/// A policy that no load moves, a run that could not be completed.
pub fn run_survival(run: &ResolvedRun, plan: &SurvivalPlan) -> Result<SurvivalMap, StabilityError> {
    check_policy(run)?;
    assert!(plan.seeds > 0, "the command line has checked them");
    pool(plan.jobs)?.install(|| mapped(run, plan))
}

fn mapped(run: &ResolvedRun, plan: &SurvivalPlan) -> Result<SurvivalMap, StabilityError> {
    let scale = LoadScale::of(run)?;
    let mut run = run.clone();
    let goals_assumed = run.analysis.slo.is_empty();
    if goals_assumed {
        run.analysis.slo = vec![SloLimit {
            metric: SloMetric::Ttft,
            quantile_name: "p95".to_owned(),
            quantile: 0.95,
            limit: SimDuration::from_secs(2),
        }];
    }
    let jump_at = LoopTimes::of(&run).transient();
    let base = BASE * scale.share() * f64::from(scale.bounds.0.max(1));
    let per_seed = 2.0 * STARTUPS.len() as f64 * JUMPS.iter().sum::<f64>() * base * WATCHED.as_secs_f64();
    let seeds = plan.seeds.min(((REQUESTS / per_seed) as u64).max(1));
    let seeds: Vec<u64> = (0..seeds).map(|number| run.seed.0.wrapping_add(number)).collect();
    let mut cells = Vec::new();
    for is_ramp in [false, true] {
        for jump in JUMPS {
            cells.extend(STARTUPS.map(|startup| (is_ramp, jump, startup)));
        }
    }
    let study = Study { run: &run, scale: &scale, seeds: &seeds, base, jump_at };
    let cells: Vec<Result<SurvivalCell, SimulateError>> = cells.into_par_iter().map(|cell| study.cell(cell)).collect();
    Ok(SurvivalMap {
        base,
        cells: cells.into_iter().collect::<Result<_, _>>()?,
        goals: run.analysis.slo.clone(),
        goals_assumed,
        jump_at,
        watched: WATCHED,
        ramp: RAMP,
        seeds,
        scale,
    })
}

struct Study<'a> {
    run: &'a ResolvedRun,
    scale: &'a LoadScale,
    seeds: &'a [u64],
    base: f64,
    jump_at: SimDuration,
}

impl Study<'_> {
    fn cell(&self, (is_ramp, jump, startup): (bool, f64, u64)) -> Result<SurvivalCell, SimulateError> {
        let start = self.scale.need(self.base).unwrap_or(self.scale.bounds.0).max(1);
        let mut own = undisturbed(self.run, start, self.jump_at, self.jump_at + WATCHED);
        fix_startup(&mut own, SimDuration::from_secs(startup));
        own.traffic = steady_traffic(self.run, self.base);
        for source in &mut own.traffic {
            let (Arrivals::Poisson { rate } | Arrivals::Gamma { rate, .. }) = source.arrivals else { continue };
            source.arrivals = Arrivals::Stages(self.stages(rate, jump, is_ramp));
        }
        let one = |seed: &u64| {
            let run = ResolvedRun { seed: Seed(*seed), ..own.clone() };
            let record = simulate(&run, false)?;
            let recovered = recovery(&record, &run.analysis.slo, CALM_MINUTES);
            Ok((summarize(&record, &run.analysis), recovered))
        };
        let runs: Vec<Result<_, SimulateError>> = self.seeds.par_iter().map(one).collect();
        let runs: Vec<_> = runs.into_iter().collect::<Result<_, _>>()?;
        let average = |values: Vec<f64>| mean(&values).unwrap_or(0.0);
        let minutes = || runs.iter().map(|(own, _)| own.slo_minutes.unwrap_or_default());
        let recoveries: Vec<f64> = runs.iter().filter_map(|(_, minutes)| *minutes).collect();
        let peak = runs.iter().map(|(own, _)| own.replicas_max).max().unwrap_or(0);
        let need = self.scale.need(self.base * jump);
        let lost = |own: &crate::analysis::Summary| {
            (own.requests.failed + own.requests.timed_out + own.requests.rejected) as f64
        };
        Ok(SurvivalCell {
            is_ramp,
            jump,
            startup_seconds: startup,
            miss_minutes_each: minutes().map(|own| own.violated).collect(),
            miss_minutes: average(minutes().map(|own| own.violated).collect()),
            longest_minutes: average(minutes().map(|own| own.longest_streak).collect()),
            lost: average(runs.iter().map(|(own, _)| lost(own)).collect()),
            recovery_minutes: mean(&recoveries),
            recovered: recoveries.len(),
            peak,
            overshoot: need.map(|need| f64::from(peak) / f64::from(need.max(1))),
        })
    }

    /// The load before the jump, the way up, and after it.
    fn stages(&self, rate: f64, jump: f64, is_ramp: bool) -> Vec<(SimDuration, f64)> {
        let mut stages = vec![(self.jump_at, rate)];
        if is_ramp {
            let part = SimDuration::from_ps(RAMP.as_ps() / RAMP_STEPS);
            let share = |step: u64| (step as f64 - 0.5) / RAMP_STEPS as f64;
            stages.extend((1..=RAMP_STEPS).map(|step| (part, rate * (1.0 + (jump - 1.0) * share(step)))));
        }
        stages.push((WATCHED, rate * jump));
        stages
    }
}

//! Which jumps of the load a policy survives at which start-up time (verdicts.md 3.6).

use crate::analysis::{JumpCost, LoadStepUp, Summary, jump_cost, mean, recovery, summarize};
use crate::record::{EventKind, RunRecord};
use crate::scenario::{ResolvedRun, SloLimit, SloMetric};
use crate::sim::{SimulateError, fix_startup, simulate};
use crate::study::stability::capacity::steady_capacity;
use crate::study::stability::load::LoadScale;
use crate::study::stability::map::{StabilityError, check_policy, pool};
use crate::study::stability::world::{LoopTimes, steady_traffic, undisturbed};
use crate::traffic::Arrivals;
use crate::units::{Diagnostic, Seed, SimDuration, SimTime};
use rayon::prelude::*;

/// Load after the jump over load before it, when nobody gives jumps.
const JUMPS: [f64; 5] = [1.25, 2.0, 3.0, 5.0, 10.0];
/// Start-up times, s, when nobody gives them.
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
/// Longest start-up that may be asked for, s.
const LONGEST_STARTUP: u64 = 86_400;
/// Requests of all runs together, beyond which there are fewer seeds.
const REQUESTS: f64 = 2e7;

/// A jump of the load, requests per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadJump {
    /// Before it.
    pub from: f64,
    /// After it.
    pub to: f64,
}

impl LoadJump {
    /// Load after over load before.
    pub fn factor(&self) -> f64 {
        self.to / self.from
    }
}

/// What a survival map is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalPlan {
    /// The jumps; none: factors of a load derived from the policy.
    pub jumps: Vec<LoadJump>,
    /// Start-up times, s; none: from 0 to 900.
    pub startups: Vec<u64>,
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
    /// The jump.
    pub load: LoadJump,
    /// Its factor: as asked for where the loads are derived.
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
    /// From the jump to the first write of more replicas, s, the mean over the seeds in which there is one.
    pub detection_seconds: Option<f64>,
    /// What the formula says, from the replicas at the jump, the time to the first write, and what a replica sustains; of
    /// steps alone, and only where that is known.
    pub by_formula: Option<JumpCost>,
}

/// A survival map.
#[derive(Clone, Debug, PartialEq)]
pub struct SurvivalMap {
    /// Requests per second before the jump, where the policy says them.
    pub base: Option<f64>,
    /// How load is measured.
    pub scale: LoadScale,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The goals, and whether nobody gave them.
    pub goals: Vec<SloLimit>,
    /// See `goals`.
    pub goals_assumed: bool,
    /// Requests per second that one replica sustains within the goals; `None` when it sustains nothing.
    pub sustained: Option<f64>,
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
/// A policy that no load moves, jumps or start-ups that are none, a run that could not be completed.
pub fn run_survival(run: &ResolvedRun, plan: &SurvivalPlan) -> Result<SurvivalMap, StabilityError> {
    check_policy(run)?;
    check_survival(plan)?;
    assert!(plan.seeds > 0, "the command line has checked them");
    pool(plan.jobs)?.install(|| mapped(run, plan))
}

/// Looks for mistakes in the jumps and start-ups, which show before anything is run.
///
/// # Errors
/// The first of them.
pub fn check_survival(plan: &SurvivalPlan) -> Result<(), Diagnostic> {
    for (index, LoadJump { from, to }) in plan.jumps.iter().enumerate() {
        let is_load = |rate: &f64| rate.is_finite() && *rate > 0.0 && *rate <= 1e6;
        if !is_load(from) || !is_load(to) || from >= to {
            let message = format!(
                "found a jump from {from} to {to}, expected requests per second above 0, at most 1000000, the lower first"
            );
            return Err(Diagnostic::error(None, "--from-to", message));
        }
        if plan.jumps[..index].contains(&plan.jumps[index]) {
            return Err(Diagnostic::error(None, "--from-to", format!("found the jump {from}:{to} twice")));
        }
    }
    for (index, startup) in plan.startups.iter().enumerate() {
        if *startup > LONGEST_STARTUP {
            let message = format!("found a start-up of {startup} s, expected seconds from 0 to {LONGEST_STARTUP}");
            return Err(Diagnostic::error(None, "--startup", message));
        }
        if plan.startups[..index].contains(startup) {
            return Err(Diagnostic::error(None, "--startup", format!("found {startup} twice")));
        }
    }
    Ok(())
}

/// The goal of a Scenario that has none.
fn assumed_goal() -> SloLimit {
    SloLimit {
        metric: SloMetric::Ttft,
        quantile_name: "p95".to_owned(),
        quantile: 0.95,
        limit: SimDuration::from_secs(2),
    }
}

fn mapped(run: &ResolvedRun, plan: &SurvivalPlan) -> Result<SurvivalMap, StabilityError> {
    let scale = LoadScale::of(run)?;
    let mut run = run.clone();
    let goals_assumed = run.analysis.slo.is_empty();
    if goals_assumed {
        run.analysis.slo = vec![assumed_goal()];
    }
    let jump_at = LoopTimes::of(&run).transient();
    let derived = BASE * scale.share() * f64::from(scale.bounds.0.max(1));
    let base = plan.jumps.is_empty().then_some(derived);
    let jumps: Vec<(LoadJump, f64)> = match base {
        Some(base) => JUMPS.iter().map(|jump| (LoadJump { from: base, to: base * jump }, *jump)).collect(),
        None => plan.jumps.iter().map(|own| (*own, own.factor())).collect(),
    };
    let mut startups = if plan.startups.is_empty() { STARTUPS.to_vec() } else { plan.startups.clone() };
    startups.sort_unstable();
    let all_loads: f64 = jumps.iter().map(|(own, _)| own.to).sum();
    let per_seed = 2.0 * startups.len() as f64 * all_loads * WATCHED.as_secs_f64();
    let seeds = plan.seeds.min(((REQUESTS / per_seed) as u64).max(1));
    let seeds: Vec<u64> = (0..seeds).map(|number| run.seed.0.wrapping_add(number)).collect();
    let sustained = steady_capacity(&run, 1, scale.share())?.measured.first().map(|(_, rate)| *rate);
    let mut cells = Vec::new();
    for is_ramp in [false, true] {
        for jump in &jumps {
            cells.extend(startups.iter().map(|startup| (is_ramp, *jump, *startup)));
        }
    }
    let study = Study { run: &run, scale: &scale, seeds: &seeds, jump_at, sustained };
    let cells: Vec<Result<SurvivalCell, SimulateError>> = cells.into_par_iter().map(|cell| study.cell(cell)).collect();
    Ok(SurvivalMap {
        base,
        cells: cells.into_iter().collect::<Result<_, _>>()?,
        goals: run.analysis.slo.clone(),
        goals_assumed,
        sustained,
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
    jump_at: SimDuration,
    sustained: Option<f64>,
}

/// One seed's run of a cell.
struct Jumped {
    summary: Summary,
    recovered: Option<f64>,
    /// Replicas when the load jumps.
    before: f64,
    detection: Option<f64>,
}

impl Jumped {
    fn of(record: &RunRecord, run: &ResolvedRun, jump_at: SimTime) -> Self {
        let (mut before, mut detection) = (record.info.initial_replicas, None);
        for event in &record.events {
            let EventKind::Scaled { from, to, .. } = event.kind else { continue };
            if event.t <= jump_at {
                before = to;
            } else if to > from && detection.is_none() {
                detection = Some(event.t.since(jump_at).as_secs_f64());
            }
        }
        Jumped {
            summary: summarize(record, &run.analysis),
            recovered: recovery(record, &run.analysis.slo, CALM_MINUTES),
            before: f64::from(before),
            detection,
        }
    }

    fn lost(&self) -> f64 {
        let requests = &self.summary.requests;
        (requests.failed + requests.timed_out + requests.rejected) as f64
    }
}

impl Study<'_> {
    fn cell(
        &self,
        (is_ramp, (load, jump), startup): (bool, (LoadJump, f64), u64),
    ) -> Result<SurvivalCell, SimulateError> {
        let start = self.scale.need(load.from).unwrap_or(self.scale.bounds.0).max(1);
        let mut own = undisturbed(self.run, start, self.jump_at, self.jump_at + WATCHED);
        fix_startup(&mut own, SimDuration::from_secs(startup));
        own.traffic = steady_traffic(self.run, load.from);
        for source in &mut own.traffic {
            let (Arrivals::Poisson { rate } | Arrivals::Gamma { rate, .. }) = source.arrivals else { continue };
            source.arrivals = Arrivals::Stages(self.stages(rate, jump, is_ramp));
        }
        let one = |seed: &u64| {
            let run = ResolvedRun { seed: Seed(*seed), ..own.clone() };
            let record = simulate(&run, false)?;
            Ok(Jumped::of(&record, &run, SimTime::ZERO + self.jump_at))
        };
        let runs: Vec<Result<Jumped, SimulateError>> = self.seeds.par_iter().map(one).collect();
        let runs: Vec<Jumped> = runs.into_iter().collect::<Result<_, _>>()?;
        let average = |values: Vec<f64>| mean(&values).unwrap_or(0.0);
        let minutes = || runs.iter().map(|own| own.summary.slo_minutes.unwrap_or_default());
        let recoveries: Vec<f64> = runs.iter().filter_map(|own| own.recovered).collect();
        let detections: Vec<f64> = runs.iter().filter_map(|own| own.detection).collect();
        let peak = runs.iter().map(|own| own.summary.replicas_max).max().unwrap_or(0);
        let need = self.scale.need(load.to);
        let before = average(runs.iter().map(|own| own.before).collect());
        let detection_seconds = mean(&detections);
        let noticed = detection_seconds.map(|seconds| (seconds, startup as f64));
        let by_formula = if is_ramp { None } else { self.by_formula(load.to, before, need.unwrap_or(peak), noticed) };
        Ok(SurvivalCell {
            is_ramp,
            load,
            jump,
            startup_seconds: startup,
            miss_minutes_each: minutes().map(|own| own.violated).collect(),
            miss_minutes: average(minutes().map(|own| own.violated).collect()),
            longest_minutes: average(minutes().map(|own| own.longest_streak).collect()),
            lost: average(runs.iter().map(Jumped::lost).collect()),
            recovery_minutes: mean(&recoveries),
            recovered: recoveries.len(),
            peak,
            overshoot: need.map(|need| f64::from(peak) / f64::from(need.max(1))),
            detection_seconds,
            by_formula,
        })
    }

    /// What the formula says of a step to `load` from `before` replicas to `after`, `noticed` after so many seconds and served
    /// after so many more.
    fn by_formula(&self, load: f64, before: f64, after: i32, noticed: Option<(f64, f64)>) -> Option<JumpCost> {
        let sustained = self.sustained?;
        // What nobody notices is met by the replicas that are there.
        let (after, delay_seconds) =
            noticed.map_or((before, 0.0), |(seen, starts)| (f64::from(after).max(before), seen + starts));
        Some(jump_cost(&LoadStepUp {
            load,
            served_before: before * sustained,
            served_after: after * sustained,
            delay_seconds,
        }))
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

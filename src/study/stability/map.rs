//! The map: both passes over a range of loads, refined where neighbours differ (verdicts.md 3.3 C).

use crate::analysis::{StabilityClass, StabilityRow, noise_free_bands, stability_class};
use crate::scenario::ResolvedRun;
use crate::sim::SimulateError;
use crate::study::CapacityCurve;
use crate::study::stability::capacity::steady_capacity;
use crate::study::stability::load::{LoadRange, LoadScale, MOST_REPLICAS, RangeOrigin, follows_load, step_of};
use crate::study::stability::noise_free::{PHASES, noise_free};
use crate::study::stability::noisy::{BRIEF, NO_NOISE, NoisyPlan, fits_at_max, noise_index, noisy};
use crate::study::stability::ramps::{HysteresisLoop, hysteresis};
use crate::study::stability::responses::Responses;
use crate::study::stability::world::{GivenTraffic, LoopTimes, clocked, mean_rates};
use crate::units::{Diagnostic, SimDuration};
use rayon::prelude::*;

/// Loads of a map when nobody says how many, and how few they become where requests are many.
const STEPS: usize = 40;
const FEWEST_STEPS: usize = 16;
/// Requests that the first look at all loads may cost before there are fewer of them.
const REQUESTS: f64 = 1.2e7;
/// Requests of one load, all seeds together, in a map of the default size.
const REQUESTS_PER_LOAD: f64 = 4e5;
/// How fine edges are looked for, in shares of one replica: without noise, and with it.
const FINE: f64 = 0.01;
const FINE_NOISY: f64 = 0.02;
/// Rounds in which edges of the seeds' pass are halved.
const ROUNDS: usize = 2;

/// What a map is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StabilityPlan {
    /// Lowest load, requests per second; `None`: derived from the policy.
    pub from: Option<f64>,
    /// Highest.
    pub to: Option<f64>,
    /// Loads at equal distances.
    pub steps: Option<usize>,
    /// Seeds of each load, at least 1, from the run's own upwards.
    pub seeds: u64,
    /// Threads, 0 for all cores; the map does not depend on it.
    pub jobs: usize,
}

/// On what the pass without noise rests.
#[derive(Clone, Debug, PartialEq)]
pub enum NoiseFreePass {
    /// Every trigger's expectation is exact.
    Exact,
    /// Of these triggers the mean response was measured with the count held, each for so long.
    Measured(Vec<String>, SimDuration),
    /// There is none, and why.
    Missing(String),
}

/// How long everything was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StabilityTimes {
    /// Left out at the beginning of each run: what a transient takes.
    pub transient: SimDuration,
    /// Looked at after it without noise.
    pub recorded: SimDuration,
    /// Draws of the phases without noise.
    pub phases: u64,
    /// Shortest measured time of a seed.
    pub shortest: SimDuration,
    /// Longest measured time of a seed at the lowest load.
    pub longest: SimDuration,
}

/// What a policy does over a range of steady loads.
#[derive(Clone, Debug, PartialEq)]
pub struct StabilityMap {
    /// How load is measured.
    pub scale: LoadScale,
    /// What the map spans.
    pub range: LoadRange,
    /// Loads at equal distances in it.
    pub steps: usize,
    /// Whether there are fewer than usual, because requests are many.
    pub is_coarse: bool,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// How long everything was run.
    pub times: StabilityTimes,
    /// What fleets sustain within the Scenario's goals; `None` without any.
    pub capacity: Option<CapacityCurve>,
    /// On what the pass without noise rests.
    pub noise_free: NoiseFreePass,
    /// Slow ramps through the first bands in which the start decides; empty without such, or where no ramp can be made.
    pub ramps: Vec<HysteresisLoop>,
    /// What the traffic was before it was made steady.
    pub given: GivenTraffic,
    /// Triggers that follow the clock or a given series, beside those that follow the load.
    pub clocked: Vec<String>,
    /// The loads in order.
    pub rows: Vec<StabilityRow>,
}

/// Why there is no map.
#[derive(Clone, Debug, PartialEq)]
pub enum StabilityError {
    /// The policy or the range does not allow for one.
    Input(Diagnostic),
    /// A run could not be completed.
    Simulate(SimulateError),
}

impl From<SimulateError> for StabilityError {
    fn from(error: SimulateError) -> Self {
        StabilityError::Simulate(error)
    }
}

impl From<Diagnostic> for StabilityError {
    fn from(diagnostic: Diagnostic) -> Self {
        StabilityError::Input(diagnostic)
    }
}

struct Study<'a> {
    run: &'a ResolvedRun,
    scale: LoadScale,
    responses: Result<Responses, String>,
    plan: NoisyPlan,
    capacity: Option<CapacityCurve>,
}

/// Makes the map of `run`'s policy.
///
/// # Errors
/// A policy that no load moves, a range that is none, a run that could not be completed.
pub fn run_stability(run: &ResolvedRun, plan: &StabilityPlan) -> Result<StabilityMap, StabilityError> {
    check_policy(run)?;
    check_range(plan)?;
    pool(plan.jobs)?.install(|| mapped(run, plan))
}

/// `jobs` threads, 0 for all cores.
pub(super) fn pool(jobs: usize) -> Result<rayon::ThreadPool, Diagnostic> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build();
    pool.map_err(|error| Diagnostic::error(None, "--jobs", format!("cannot start {jobs} threads: {error}")))
}

/// Mistakes of the range that show before anything is run.
fn check_range(plan: &StabilityPlan) -> Result<(), Diagnostic> {
    for (flag, given) in [("--from", plan.from), ("--to", plan.to)] {
        if let Some(rate) = given.filter(|rate| !rate.is_finite() || *rate <= 0.0 || *rate > 1e6) {
            let message = format!("found a load of {rate}, expected requests per second above 0, at most 1000000");
            return Err(Diagnostic::error(None, flag, message));
        }
    }
    assert!(plan.seeds > 0 && plan.steps != Some(0), "the command line has checked them");
    Ok(())
}

/// Policies that no load moves.
pub(super) fn check_policy(run: &ResolvedRun) -> Result<(), Diagnostic> {
    let refuse = |path: &str, message: String| Err(Diagnostic::error(None, path, message));
    if let Err(what) = follows_load(run) {
        let message = format!("found no trigger that the load moves ({what}), so there is no map over loads");
        let refusal = Diagnostic::error(None, "POLICY", message);
        return Err(refusal.help("kedasim simulate shows what such a policy does"));
    }
    if run.keda.as_ref().is_some_and(|keda| keda.scaled_object.annotations.paused) {
        return refuse("POLICY", "found a ScaledObject that an annotation pauses, expected one that scales".to_owned());
    }
    let (least, most) = run.replica_bounds();
    if least == most {
        return refuse(
            "POLICY",
            format!("found minReplicas = maxReplicas = {least}, expected a policy that can scale"),
        );
    }
    if run.traffic.is_empty() {
        return refuse("--traffic", "found no traffic, expected one whose requests become steady loads".to_owned());
    }
    if mean_rates(&run.traffic).iter().sum::<f64>() <= 0.0 {
        let message = "found traffic that sends nothing (the rate of every source is 0 all the time), expected one whose \
                       requests become steady loads";
        return refuse("--traffic", message.to_owned());
    }
    Ok(())
}

fn mapped(run: &ResolvedRun, plan: &StabilityPlan) -> Result<StabilityMap, StabilityError> {
    let scale = LoadScale::of(run)?;
    let range = range_of(&scale, plan)?;
    let per_load = if plan.steps.is_some() { REQUESTS_PER_LOAD * 4.0 } else { REQUESTS_PER_LOAD };
    let noisy_plan = NoisyPlan::of(run, plan.seeds, per_load);
    let steps = plan.steps.unwrap_or_else(|| affordable_steps(run, &scale, range, &noisy_plan));
    let grid = range.grid(steps);
    let responses = Responses::plan(run, &scale, &grid);
    let has_goals = !run.analysis.slo.is_empty();
    let most = u32::try_from(scale.bounds.1.clamp(1, MOST_REPLICAS)).unwrap_or(1);
    let capacity = has_goals.then(|| steady_capacity(run, most, range.to)).transpose()?;
    let study = Study { run, scale, responses, plan: noisy_plan, capacity };
    let mut rows = study.structure(&grid, range)?;
    let loads = study.noisy_loads(&grid, &rows);
    study.add_noise(&mut rows, &loads)?;
    for _ in 0..ROUNDS {
        let middles = study.undecided_edges(&rows);
        if middles.is_empty() || study.requests_of(&middles) > REQUESTS / 2.0 {
            break;
        }
        let new = study.structure_at(&middles)?;
        rows.extend(new);
        sort(&mut rows);
        study.add_noise(&mut rows, &middles)?;
    }
    let times = LoopTimes::of(run);
    let is_exact = study.responses.as_ref().is_ok_and(Responses::is_exact);
    let ramps = if is_exact { hysteresis(run, &study.scale, &rows)? } else { Vec::new() };
    Ok(StabilityMap {
        range,
        steps,
        is_coarse: plan.steps.is_none() && steps < STEPS,
        seeds: study.plan.seeds.clone(),
        times: StabilityTimes {
            transient: times.transient(),
            recorded: times.recorded(),
            phases: PHASES,
            shortest: study.plan.shortest,
            longest: study.plan.longest(range.from),
        },
        noise_free: match study.responses {
            Ok(own) => own.watched().map_or(NoiseFreePass::Exact, |time| NoiseFreePass::Measured(own.measured, time)),
            Err(why) => NoiseFreePass::Missing(why),
        },
        capacity: study.capacity,
        scale: study.scale,
        ramps,
        given: GivenTraffic::of(run),
        clocked: clocked(run),
        rows,
    })
}

fn range_of(scale: &LoadScale, plan: &StabilityPlan) -> Result<LoadRange, Diagnostic> {
    let derived = scale.default_range();
    let origin = if plan.from.is_some() && plan.to.is_some() { RangeOrigin::Given } else { derived.origin };
    let range = LoadRange {
        from: plan.from.unwrap_or(derived.from),
        to: plan.to.unwrap_or(derived.to),
        origin,
        is_cut: derived.is_cut && plan.to.is_none(),
        ..derived
    };
    if range.from >= range.to {
        let own = |given: Option<f64>| if given.is_some() { "" } else { " (derived from the policy)" };
        let message = format!(
            "found --from {}{} and --to {}{}, expected from < to",
            range.from,
            own(plan.from),
            range.to,
            own(plan.to)
        );
        return Err(Diagnostic::error(None, "--from", message));
    }
    Ok(range)
}

/// As many loads as usual, or fewer where the requests of the first look would be too many.
fn affordable_steps(run: &ResolvedRun, scale: &LoadScale, range: LoadRange, plan: &NoisyPlan) -> usize {
    let requests = |steps: usize| range.grid(steps).iter().map(|rate| first_look(run, scale, plan, *rate)).sum::<f64>();
    let affordable = (FEWEST_STEPS..STEPS).rev().find(|steps| requests(*steps) <= REQUESTS);
    if requests(STEPS) <= REQUESTS { STEPS } else { affordable.unwrap_or(FEWEST_STEPS) }
}

/// Requests of the first look at `rate`.
fn first_look(run: &ResolvedRun, scale: &LoadScale, plan: &NoisyPlan, rate: f64) -> f64 {
    let is_quiet = noise_index(run, scale, rate).is_some_and(|z| z > NO_NOISE);
    let (runs, measured) = if is_quiet { (1, BRIEF) } else { (plan.seeds.len(), plan.shortest) };
    rate * runs as f64 * (plan.warmup + measured).as_secs_f64()
}

fn sort(rows: &mut [StabilityRow]) {
    rows.sort_by(|left, right| left.load.total_cmp(&right.load));
}

impl Study<'_> {
    fn requests_of(&self, loads: &[f64]) -> f64 {
        loads.iter().map(|rate| first_look(self.run, &self.scale, &self.plan, *rate)).sum()
    }

    /// The pass without noise on the grid and around every step, its edges halved until they are fine.
    fn structure(&self, grid: &[f64], range: LoadRange) -> Result<Vec<StabilityRow>, SimulateError> {
        let is_cheap = self.responses.as_ref().is_ok_and(|own| own.measured.is_empty());
        let mut loads = grid.to_vec();
        loads.extend(range.around_steps(&self.scale));
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        let mut rows = self.structure_at(&loads)?;
        if !is_cheap {
            return Ok(rows);
        }
        let differ =
            |left: &StabilityRow, right: &StabilityRow| left.ends() != right.ends() || left.cycles() != right.cycles();
        loop {
            let middles = middles(&rows, FINE * self.scale.share(), differ);
            if middles.is_empty() {
                return Ok(rows);
            }
            rows.extend(self.structure_at(&middles)?);
            sort(&mut rows);
        }
    }

    fn structure_at(&self, loads: &[f64]) -> Result<Vec<StabilityRow>, SimulateError> {
        let one = |load: &f64| {
            let noise_free = match &self.responses {
                Ok(responses) => {
                    let step = step_of(self.run, *load);
                    let responses = responses.at(self.run, *load, step, self.scale.need(*load))?;
                    noise_free(self.run, &self.scale, step, &responses)?
                }
                Err(_) => Vec::new(),
            };
            Ok(StabilityRow {
                load: *load,
                need: self.scale.need(*load),
                need_within_slo: self.capacity.as_ref().and_then(|curve| curve.replicas_for(*load)),
                noise_free,
                noisy: None,
                fits_at_max: None,
                class: None,
            })
        };
        let rows: Vec<Result<StabilityRow, SimulateError>> = loads.par_iter().map(one).collect();
        rows.into_iter().collect()
    }

    /// The loads of the seeds' pass: the grid, and the middle of every band without noise that the grid misses.
    fn noisy_loads(&self, grid: &[f64], rows: &[StabilityRow]) -> Vec<f64> {
        let mut loads = grid.to_vec();
        for band in noise_free_bands(rows) {
            let (low, high) = band.loads;
            if grid.iter().any(|load| *load >= low && *load <= high) {
                continue;
            }
            let own = rows.iter().filter(|row| row.load >= low && row.load <= high);
            let own: Vec<f64> = own.map(|row| row.load).collect();
            loads.push(own[own.len() / 2]);
        }
        loads
    }

    /// The seeds' pass at `loads`, which stand among `rows`, and all classes.
    fn add_noise(&self, rows: &mut [StabilityRow], loads: &[f64]) -> Result<(), SimulateError> {
        let (least, most) = self.scale.bounds;
        let one = |row: &mut StabilityRow| {
            let start = row.ends().first().copied().unwrap_or(least).max(1);
            let found = noisy(self.run, &self.scale, &self.plan, row.load, start)?;
            if found.serves_badly() && !found.is_pinned(most) {
                row.fits_at_max = Some(match row.need_within_slo {
                    // Below what the goals need by measured capacity: it says whether the most would do.
                    Some(need) if found.replicas_mean.mean.is_some_and(|mean| mean < f64::from(need)) => {
                        i64::from(need) <= i64::from(most)
                    }
                    _ => fits_at_max(self.run, &self.plan, row.load)?,
                });
            }
            row.noisy = Some(found);
            row.class = stability_class(row, most);
            Ok(())
        };
        let wanted = rows.par_iter_mut().filter(|row| row.noisy.is_none() && loads.contains(&row.load));
        let done: Vec<Result<(), SimulateError>> = wanted.map(one).collect();
        done.into_iter().collect()
    }

    /// Between neighbours of the seeds' pass whose classes differ; one that is undecided lies between two others as it is.
    fn undecided_edges(&self, rows: &[StabilityRow]) -> Vec<f64> {
        let noisy: Vec<StabilityRow> = rows.iter().filter(|row| row.class.is_some()).cloned().collect();
        let known = |row: &StabilityRow| row.class.filter(|class| *class != StabilityClass::Undecided);
        middles(&noisy, FINE_NOISY * self.scale.share(), |left, right| match (known(left), known(right)) {
            (Some(left), Some(right)) => left != right,
            _ => false,
        })
    }
}

/// The middles of neighbours that differ and are further apart than `fine`.
fn middles(rows: &[StabilityRow], fine: f64, differ: impl Fn(&StabilityRow, &StabilityRow) -> bool) -> Vec<f64> {
    let pairs = rows.windows(2).filter(|pair| pair[1].load - pair[0].load > fine && differ(&pair[0], &pair[1]));
    pairs.map(|pair| f64::midpoint(pair[0].load, pair[1].load)).collect()
}

//! Policies, fixed fleets and the oracle on the same traffic (verdicts.md 5.2, 5.3, 6.2).
//!
//! Every run of a seed ends at the same instant, so that what is billed is comparable: at the Scenario's duration, else when
//! the last policy has settled. Nothing depends on the number of threads.

use crate::analysis::{
    FleetCapacity, GoalsMet, Summary, goals_met, summarize, summarize_with_capacity, threshold_shares,
};
use crate::record::RunRecord;
use crate::scenario::ResolvedRun;
use crate::sim::{SimulateError, simulate};
use crate::study::compare_load::{OfferedLoad, offered_loads};
use crate::study::compare_oracle::{Ground, oracle};
use crate::study::oracle::{CapacityCurve, MOST_TRIALS, capacity_curve, fixed_world};
use crate::study::{Oracle, OracleSeed};
use crate::units::{Seed, SimDuration, SimTime};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Fleets below the least one found by halving that are run as well.
const NEIGHBOURS: u32 = 3;

/// What a comparison found.
#[derive(Debug)]
pub struct Comparison {
    /// The seeds, in order; every list of runs is in this order.
    pub seeds: Vec<u64>,
    /// One per policy, in the order given.
    pub policies: Vec<PolicyRuns>,
    /// Fewest replicas of any policy, and most.
    pub bounds: (u32, u32),
    /// The fixed fleets that were run, by size.
    pub fixed: BTreeMap<u32, Vec<Summary>>,
    /// The least of them that meets the SLO on every seed.
    pub least_fixed: LeastFixed,
    /// What fleets sustain, when there is an SLO.
    pub capacity: Option<CapacityCurve>,
    /// The oracle, when a fixed fleet meets the SLO.
    pub oracle: Option<Oracle>,
    /// How many runs it took.
    pub simulations: Simulations,
}

/// A policy's runs.
#[derive(Debug)]
pub struct PolicyRuns {
    /// One per seed.
    pub runs: Vec<Summary>,
    /// Per trigger that counts work: its name and its threshold as a part of what one replica sustains.
    pub thresholds: Vec<(String, f64)>,
}

/// The least fixed fleet that meets the SLO on every seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeastFixed {
    /// There is no SLO to meet.
    NoSlo,
    /// Not even the most replicas meet it on every seed.
    None,
    /// So many do; one fewer was shown not to, and of the next smaller ones those that were run (see
    /// [`Comparison::shown_to_miss`]).
    Found(u32),
}

/// Runs by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Simulations {
    /// Of policies.
    pub policies: u64,
    /// Of steady loads, to measure capacity.
    pub capacity: u64,
    /// Of fixed fleets.
    pub fixed: u64,
    /// Of the oracle's schedules.
    pub oracle: u64,
    /// Most that the oracle may take.
    pub oracle_limit: u64,
}

impl Simulations {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.policies + self.capacity + self.fixed + self.oracle
    }
}

/// Why a comparison ended early.
#[derive(Debug)]
pub enum CompareError {
    /// A run of this seed could not be completed.
    Simulate(u64, SimulateError),
    /// A run to measure capacity could not be completed.
    Capacity(SimulateError),
}

/// Compares `policies`, which share one world, on `seeds`. With `check`, the policies' invariants are checked after every event.
///
/// # Errors
/// The first run, in order, that could not be completed.
///
/// # Panics
/// Without a policy or a seed.
pub fn compare(policies: &[ResolvedRun], seeds: &[u64], check: bool) -> Result<Comparison, CompareError> {
    assert!(!policies.is_empty() && !seeds.is_empty(), "a comparison needs a policy and a seed");
    let mut simulations = Simulations::default();
    let ends = ends(policies, seeds, &mut simulations)?;
    let bounds = bounds(policies);
    let mut fleets = Fleets { world: &policies[0], seeds, ends: &ends, runs: BTreeMap::new() };
    fleets.run(bounds.0.max(1))?;
    fleets.run(bounds.1)?;
    let least_fixed = fleets.least(bounds.1)?;
    let (mut capacity, mut found) = (None, None);
    if least_fixed != LeastFixed::NoSlo {
        let loads = offered_loads(&policies[0], seeds, &ends, bounds.1, &mut simulations)?;
        let peak = loads.iter().flat_map(OfferedLoad::rates).copied().fold(0.0, f64::max);
        let curve = match loads.iter().find_map(OfferedLoad::mix) {
            Some(mix) => capacity_curve(&policies[0], mix, bounds.1, peak).map_err(CompareError::Capacity)?,
            None => CapacityCurve { measured: Vec::new(), simulations: 0 },
        };
        if let LeastFixed::Found(least) = least_fixed {
            let ground = Ground { world: &policies[0], seeds, ends: &ends, bounds, least_fixed: least, loads: &loads };
            let own = oracle(&ground, &curve, &fleets.runs)?;
            simulations.oracle = own.seeds.iter().map(|seed| seed.trials as u64).sum();
            simulations.oracle_limit = (MOST_TRIALS * seeds.len()) as u64;
            found = Some(own);
        }
        simulations.capacity += curve.simulations;
        capacity = Some(curve);
    }
    simulations.fixed += (fleets.runs.len() * seeds.len()) as u64;
    let fixed = fleets.runs;
    let judged = Judged { seeds, ends: &ends, bounds, capacity: capacity.as_ref(), oracle: found.as_ref(), check };
    let policies = judged.policies(policies, &mut simulations)?;
    let seeds = seeds.to_vec();
    Ok(Comparison { seeds, policies, bounds, fixed, least_fixed, capacity, oracle: found, simulations })
}

/// `run` with another seed.
pub(super) fn seeded(run: &ResolvedRun, seed: u64) -> ResolvedRun {
    run.with_seed(Seed(seed))
}

/// When each seed's runs end.
fn ends(
    policies: &[ResolvedRun],
    seeds: &[u64],
    simulations: &mut Simulations,
) -> Result<Vec<SimDuration>, CompareError> {
    if let Some(durations) = policies.iter().map(|run| run.duration).collect::<Option<Vec<SimDuration>>>() {
        return Ok(vec![durations.into_iter().max().expect("a policy"); seeds.len()]);
    }
    let pairs: Vec<(u64, &ResolvedRun)> =
        seeds.iter().flat_map(|seed| policies.iter().map(|run| (*seed, run))).collect();
    simulations.policies += pairs.len() as u64;
    let end = |(seed, run): &(u64, &ResolvedRun)| {
        let record = simulate(&seeded(run, *seed), false).map_err(|error| CompareError::Simulate(*seed, error))?;
        Ok(record.info.end.since(SimTime::ZERO))
    };
    let found: Vec<Result<SimDuration, CompareError>> = pairs.par_iter().map(end).collect();
    let found: Vec<SimDuration> = found.into_iter().collect::<Result<_, _>>()?;
    Ok(found.chunks(policies.len()).map(|own| own.iter().copied().max().expect("a policy")).collect())
}

/// Fewest replicas of any policy, and most.
fn bounds(policies: &[ResolvedRun]) -> (u32, u32) {
    let own = |run: &ResolvedRun| {
        let (least, most) = run.replica_bounds();
        (u32::try_from(least).unwrap_or(0), u32::try_from(most).unwrap_or(0).max(1))
    };
    let all = policies.iter().map(own);
    all.reduce(|(least, most), own| (least.min(own.0), most.max(own.1))).expect("a policy")
}

/// Fixed fleets, each run once on every seed.
struct Fleets<'a> {
    world: &'a ResolvedRun,
    seeds: &'a [u64],
    ends: &'a [SimDuration],
    runs: BTreeMap<u32, Vec<Summary>>,
}

impl Fleets<'_> {
    /// The runs of `replicas`.
    fn run(&mut self, replicas: u32) -> Result<&[Summary], CompareError> {
        if !self.runs.contains_key(&replicas) {
            let count = i32::try_from(replicas).unwrap_or(i32::MAX);
            let one = |(seed, end): (&u64, &SimDuration)| {
                let run = fixed_world(&seeded(self.world, *seed), count, Some(*end));
                let record = simulate(&run, false).map_err(|error| CompareError::Simulate(*seed, error))?;
                Ok(summarize(&record, &run.analysis))
            };
            let pairs: Vec<(&u64, &SimDuration)> = self.seeds.iter().zip(self.ends).collect();
            let found: Vec<Result<Summary, CompareError>> = pairs.into_par_iter().map(one).collect();
            self.runs.insert(replicas, found.into_iter().collect::<Result<_, _>>()?);
        }
        Ok(&self.runs[&replicas])
    }

    /// The least fleet of at most `most` replicas that meets the SLO on every seed: by halving, which takes it that fewer
    /// replicas never do better, and then downwards as long as one of the next [`NEIGHBOURS`] smaller fleets meets it too.
    fn least(&mut self, most: u32) -> Result<LeastFixed, CompareError> {
        match goals_met(self.run(most)?) {
            None => return Ok(LeastFixed::NoSlo),
            Some(goals) if !goals.all() => return Ok(LeastFixed::None),
            Some(_) => {}
        }
        let (mut below, mut enough) = (0, most);
        while enough - below > 1 {
            let middle = below + (enough - below) / 2;
            if self.meets(middle)? { enough = middle } else { below = middle }
        }
        let mut smaller = enough - 1;
        while smaller >= 1 && enough - smaller <= NEIGHBOURS {
            if self.meets(smaller)? {
                enough = smaller;
            }
            smaller -= 1;
        }
        // One that was run for its own sake may do better than larger ones.
        let able = self.runs.iter().find(|(_, runs)| goals_met(runs).is_some_and(GoalsMet::all));
        Ok(LeastFixed::Found(able.map_or(enough, |(size, _)| *size)))
    }

    /// Whether `replicas` meet the SLO on every seed.
    fn meets(&mut self, replicas: u32) -> Result<bool, CompareError> {
        Ok(goals_met(self.run(replicas)?).is_some_and(GoalsMet::all))
    }
}

/// A run's summary, and per trigger that counts work its name and threshold as a part of what one replica sustains.
type JudgedRun = (Summary, Vec<(String, f64)>);

/// How the policies' runs are judged.
struct Judged<'a> {
    seeds: &'a [u64],
    ends: &'a [SimDuration],
    bounds: (u32, u32),
    capacity: Option<&'a CapacityCurve>,
    oracle: Option<&'a Oracle>,
    check: bool,
}

impl Judged<'_> {
    fn policies(
        &self,
        policies: &[ResolvedRun],
        simulations: &mut Simulations,
    ) -> Result<Vec<PolicyRuns>, CompareError> {
        let tasks: Vec<(&ResolvedRun, usize)> =
            policies.iter().flat_map(|run| (0..self.seeds.len()).map(move |index| (run, index))).collect();
        simulations.policies += tasks.len() as u64;
        let found: Vec<Result<JudgedRun, CompareError>> =
            tasks.par_iter().map(|(run, index)| self.one(run, *index)).collect();
        let mut found = found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
        let mut all = Vec::new();
        for _ in policies {
            let (runs, mut thresholds): (Vec<Summary>, Vec<Vec<(String, f64)>>) =
                found.by_ref().take(self.seeds.len()).unzip();
            all.push(PolicyRuns { runs, thresholds: thresholds.swap_remove(0) });
        }
        Ok(all)
    }

    fn one(&self, run: &ResolvedRun, index: usize) -> Result<JudgedRun, CompareError> {
        let seed = self.seeds[index];
        let run = ResolvedRun { duration: Some(self.ends[index]), ..seeded(run, seed) };
        let record = simulate(&run, self.check).map_err(|error| CompareError::Simulate(seed, error))?;
        let curve = self.capacity.filter(|curve| !curve.measured.is_empty());
        let Some(curve) = curve else { return Ok((summarize(&record, &run.analysis), Vec::new())) };
        let schedule = self.oracle.map(|oracle| oracle.seeds[index].steps.clone());
        Ok((self.with_capacity(&record, &run, curve, schedule), threshold_shares(&record, curve.rate(1))))
    }

    fn with_capacity(
        &self,
        record: &RunRecord,
        run: &ResolvedRun,
        curve: &CapacityCurve,
        schedule: Option<Vec<(SimTime, i32)>>,
    ) -> Summary {
        let replicas = |rate: f64| curve.replicas_exact(rate).unwrap_or((0.0, 0.0));
        let count = |own: u32| i32::try_from(own).unwrap_or(i32::MAX);
        let provenance =
            format!("offered load / measured capacity ({:.3} requests/s of one replica within the SLO)", curve.rate(1));
        let bounds = (count(self.bounds.0), count(self.bounds.1));
        let capacity = FleetCapacity { replicas: &replicas, bounds, provenance };
        summarize_with_capacity(record, &run.analysis, &capacity, schedule)
    }
}

impl Comparison {
    /// The smallest fleet from which on every one below the least that meets the SLO was run and misses it; `None` without
    /// one below it.
    pub fn shown_to_miss(&self) -> Option<u32> {
        let LeastFixed::Found(least) = self.least_fixed else { return None };
        (1..least).rev().take_while(|size| self.fixed.contains_key(size)).last()
    }

    /// The oracle's runs, one per seed.
    pub fn oracle_runs(&self) -> Option<Vec<Summary>> {
        self.oracle.as_ref().map(|oracle| oracle.seeds.iter().map(|own: &OracleSeed| own.summary.clone()).collect())
    }
}

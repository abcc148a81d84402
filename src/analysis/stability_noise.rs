//! What the seeds' runs under one steady load say together: flaps, counts, goals, backlog (verdicts.md 3.2, 3.3 pass B).

use crate::analysis::flap_class::{FlapVerdict, judge_rates};
use crate::analysis::stability_history::replica_shares;
use crate::analysis::statistics::{CONFIDENCE, Estimate, FigureKind, mean, t_interval};
use crate::analysis::statistics_steady::mser5;
use crate::analysis::{FlapClass, Flapping, Period, Summary, flapping, poisson_interval};
use crate::record::{DecisionRecord, RunRecord};
use crate::units::{SimDuration, SimTime};

/// A share of failed and given up requests from which a fleet does not keep up.
const FAILED_SHARE: f64 = 0.01;
/// A share of the time at the maximum from which a policy is pinned there.
const PINNED: f64 = 0.9;
/// A backlog that grew by fewer requests than this is no overload.
const LEAST_GROWTH: f64 = 20.0;

/// One seed's run under a steady load.
#[derive(Clone, Debug)]
pub struct SeedRun {
    /// Seed.
    pub seed: u64,
    /// The run's flaps, measured after the warm-up.
    pub flapping: Flapping,
    /// Measured hours.
    pub hours: f64,
    /// Counts with their share of the measured time.
    pub shares: Vec<(i32, f64)>,
    /// Time mean of `spec.replicas`.
    pub replicas_mean: f64,
    /// Share of requests that met all goals; `None` without goals.
    pub attainment: Option<f64>,
    /// Per goal: share of requests within it, and the share that is required.
    pub goals: Vec<(String, Option<f64>, f64)>,
    /// Share of requests that failed, timed out or were refused; those cut by a scale-down left out.
    pub failed_share: f64,
    /// Requests by which the backlog (running and waiting) grew over the measured time, by least squares.
    pub backlog_growth: f64,
    /// Per trigger: mean of what the HPA was told, user units, and the share of syncs in which it alone asked for the most.
    pub triggers: Vec<(String, Option<f64>, f64)>,
    /// Median start-up, s.
    pub startup_seconds: f64,
}

/// The warm-up after which the replica counts of `records` are steady by MSER-5, on the mean over the records at each sync
/// (one seed's own rare moves would be cut off with the transient): `from` or later, and whether it converged.
pub fn steady_from(records: &[&RunRecord], from: SimTime, step: SimDuration) -> (SimTime, bool) {
    let Some(first) = records.first() else { return (from, true) };
    let steps = first.info.end.saturating_since(from).as_ps() / step.as_ps().max(1);
    let at = |index: u64| from + step.times(index);
    let mut sums = vec![0.0; usize::try_from(steps).unwrap_or(0)];
    for record in records {
        let rows = &record.timeline.rows;
        let mut place = 0;
        for (index, sum) in (0u64..).zip(&mut sums) {
            while place + 1 < rows.len() && rows[place + 1].t <= at(index) {
                place += 1;
            }
            *sum += rows.get(place).map_or(0.0, |row| f64::from(row.spec_replicas));
        }
    }
    match mser5(&sums) {
        Some(cut) if cut.converged => (at(cut.samples as u64), true),
        Some(_) => (from, false),
        None => (from, true),
    }
}

impl SeedRun {
    /// Reads `record`, whose requests count from its own warm-up on and whose moves count from `from` on.
    pub fn of(mut record: RunRecord, summary: &Summary, from: SimTime) -> Self {
        record.info.warmup = from.since(SimTime::ZERO);
        let own = flapping(&record, summary.flapping.window);
        let shares = replica_shares(&record, from);
        // Those cut by a pod's end are the price of a move, not of missing capacity.
        let failed = record.requests.failed - record.requests.killed.min(record.requests.failed);
        let lost = failed + record.requests.timed_out + record.requests.rejected;
        let goal = |own: &crate::analysis::SloObjective| (own.name.clone(), own.share_within, own.required);
        SeedRun {
            seed: record.info.seed,
            hours: record.info.end.saturating_since(from).as_secs_f64_exact() / 3600.0,
            replicas_mean: shares.iter().map(|(count, share)| f64::from(*count) * share).sum(),
            shares,
            flapping: own,
            attainment: summary.slo_attainment,
            goals: summary.slo_objectives.iter().map(goal).collect(),
            failed_share: lost as f64 / record.requests.total.max(1) as f64,
            backlog_growth: backlog_growth(&record, from),
            triggers: trigger_means(&record, from),
            startup_seconds: record.info.startup_p50.as_secs_f64_exact(),
        }
    }
}

/// Least-squares slope of the backlog times the measured time.
fn backlog_growth(record: &RunRecord, from: SimTime) -> f64 {
    let rows = || record.timeline.rows.iter().filter(|row| row.t >= from);
    let points: Vec<(f64, f64)> =
        rows().map(|row| (row.t.since(from).as_secs_f64_exact(), (row.running + row.waiting) as f64)).collect();
    let (times, backlog): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let (Some(t_mean), Some(b_mean)) = (mean(&times), mean(&backlog)) else { return 0.0 };
    let covariance: f64 = points.iter().map(|(t, b)| (t - t_mean) * (b - b_mean)).sum();
    let variance: f64 = times.iter().map(|t| (t - t_mean) * (t - t_mean)).sum();
    let span = times.last().copied().unwrap_or(0.0);
    if variance > 0.0 { covariance / variance * span } else { 0.0 }
}

/// Of each metric: its mean, and how often it alone asked for the most.
fn trigger_means(record: &RunRecord, from: SimTime) -> Vec<(String, Option<f64>, f64)> {
    let mut found: Vec<(String, f64, u64, u64)> = Vec::new();
    let mut syncs = 0u64;
    for sync in record.decisions.iter().filter_map(DecisionRecord::sync) {
        if sync.t < from || sync.metrics.is_empty() {
            continue;
        }
        syncs += 1;
        let most = sync.metrics.iter().filter_map(|own| own.proposal).max();
        let of_most = sync.metrics.iter().filter(|own| own.proposal.is_some() && own.proposal == most).count();
        for metric in &sync.metrics {
            let name = metric.trigger.to_string();
            let place = found.iter().position(|own| own.0 == name).unwrap_or_else(|| {
                found.push((name, 0.0, 0, 0));
                found.len() - 1
            });
            if let Some(value) = metric.value.filter(|value| value.is_finite()) {
                found[place].1 += value;
                found[place].2 += 1;
            }
            found[place].3 += u64::from(of_most == 1 && metric.proposal == most);
        }
    }
    let shown = |(name, sum, count, won): (String, f64, u64, u64)| {
        (name, (count > 0).then(|| sum / count as f64), won as f64 / syncs.max(1) as f64)
    };
    found.into_iter().map(shown).collect()
}

/// Whether the seeds call a load steady.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steadiness {
    /// The upper bounds lie within the limits of "stable".
    Steady,
    /// A lower bound lies beyond them.
    Unsteady,
    /// Neither.
    Undecided,
}

/// All seeds together.
#[derive(Clone, Debug, PartialEq)]
pub struct NoisyLoad {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Measured hours, each.
    pub hours_each: f64,
    /// Flaps of all seeds.
    pub flaps: u64,
    /// Reversals of all seeds.
    pub reversals: u64,
    /// Per hour.
    pub flaps_per_hour: f64,
    /// Its 95 % interval: the exact Poisson one of all flaps together, or the t interval over the seeds where that is wider
    /// (flaps that come in bursts).
    pub flaps_per_hour_interval: (f64, f64),
    /// phi, of all seeds together.
    pub flap_load: f64,
    /// Its interval.
    pub flap_load_interval: (f64, f64),
    /// By the limits of "stable".
    pub steadiness: Steadiness,
    /// The class of the point estimates.
    pub verdict: FlapVerdict,
    /// Mean period of the seeds whose flaps come regularly, s.
    pub period_seconds: Option<f64>,
    /// Counts with their share of the time, the mean over the seeds.
    pub shares: Vec<(i32, f64)>,
    /// Mean replicas.
    pub replicas_mean: Estimate,
    /// Share of requests that met all goals; `None` without goals.
    pub attainment: Option<Estimate>,
    /// Goals that are missed by the mean over the seeds.
    pub missed_goals: Vec<String>,
    /// Share of requests that failed, timed out or were refused; those cut by a scale-down left out.
    pub failed_share: f64,
    /// Growth of the backlog over the measured time, requests, and its interval over the seeds.
    pub backlog_growth: Estimate,
    /// Whether all that is sent gets answered in the long run.
    pub keeps_up: bool,
    /// Per trigger: mean of what the HPA was told, and the share of syncs in which it alone asked for the most.
    pub triggers: Vec<(String, Option<f64>, f64)>,
    /// Whether the counts became steady by MSER-5.
    pub converged: bool,
    /// Whether it is one short run, because chance is too small to matter at this load.
    pub is_brief: bool,
}

impl NoisyLoad {
    /// Puts the seeds' runs together, in their order.
    ///
    /// # Panics
    /// Without a run or measured time.
    pub fn of(runs: &[SeedRun], converged: bool, is_brief: bool) -> Self {
        assert!(!runs.is_empty() && runs[0].hours > 0.0, "a load is judged by a run at least");
        let hours: f64 = runs.iter().map(|own| own.hours).sum();
        let sum = |read: fn(&Flapping) -> u64| runs.iter().map(|own| read(&own.flapping)).sum::<u64>();
        let estimate = |name, read: &dyn Fn(&SeedRun) -> Option<f64>| {
            Estimate::new(name, FigureKind::Mean, runs.iter().map(read).collect())
        };
        let replicas_mean = estimate("replicas", &|own| Some(own.replicas_mean));
        let (flaps, churned) = (sum(|own| own.flaps), sum(|own| own.churned_replicas));
        let interval = rate_over_seeds(runs, flaps, hours, |own| own.flaps);
        let fleet = replicas_mean.mean.unwrap_or(1.0).max(1.0);
        let load = |per_hour: f64| per_hour * runs[0].startup_seconds / 3600.0 / fleet;
        let (low, high) = rate_over_seeds(runs, churned, hours, |own| own.churned_replicas);
        let rate = (flaps as f64 / hours, interval);
        let phi = (load(churned as f64 / hours), (load(low), load(high)));
        let backlog_growth = estimate("backlog", &|own| Some(own.backlog_growth));
        let failed_share = mean(&runs.iter().map(|own| own.failed_share).collect::<Vec<f64>>()).unwrap_or(0.0);
        let grows = backlog_growth.mean.unwrap_or(0.0) > LEAST_GROWTH
            && backlog_growth.interval.is_none_or(|((low, _), _)| low > 0.0);
        let periods: Vec<f64> = runs
            .iter()
            .filter_map(|own| match own.flapping.period {
                Period::Regular(period) => Some(period.as_secs_f64()),
                Period::None | Period::Irregular => None,
            })
            .collect();
        NoisyLoad {
            seeds: runs.iter().map(|own| own.seed).collect(),
            hours_each: hours / runs.len() as f64,
            flaps,
            reversals: sum(|own| own.reversals),
            flaps_per_hour: rate.0,
            flaps_per_hour_interval: rate.1,
            flap_load: phi.0,
            flap_load_interval: phi.1,
            steadiness: steadiness(rate, phi),
            verdict: judge_rates(rate, phi),
            period_seconds: mean(&periods).filter(|_| 2 * periods.len() > runs.len()),
            shares: mean_shares(runs),
            replicas_mean,
            attainment: runs[0].attainment.map(|_| estimate("attainment", &|own| own.attainment)),
            missed_goals: missed_goals(runs),
            failed_share,
            keeps_up: failed_share <= FAILED_SHARE && !grows,
            backlog_growth,
            triggers: mean_triggers(runs),
            converged,
            is_brief,
        }
    }

    /// Whether requests fail or goals are missed.
    pub fn serves_badly(&self) -> bool {
        !self.keeps_up || !self.missed_goals.is_empty()
    }

    /// Whether nearly all the time is spent at the maximum `most`.
    pub fn is_pinned(&self, most: i32) -> bool {
        let at_most = self.shares.iter().filter(|(count, _)| *count >= most);
        at_most.map(|(_, share)| share).sum::<f64>() >= PINNED
    }
}

/// A rate's 95 % interval: Poisson, or t over the seeds where that is wider.
fn rate_over_seeds(runs: &[SeedRun], count: u64, hours: f64, read: fn(&Flapping) -> u64) -> (f64, f64) {
    let (low, high) = poisson_interval(count, hours, CONFIDENCE);
    let rates: Vec<f64> = runs.iter().map(|own| read(&own.flapping) as f64 / own.hours).collect();
    match t_interval(&rates, CONFIDENCE).filter(|_| rates.len() >= 5) {
        Some((t_low, t_high)) => (low.min(t_low.max(0.0)), high.max(t_high)),
        None => (low, high),
    }
}

/// By the limits of "stable": rate and flap load, each with its bounds.
fn steadiness(rate: (f64, (f64, f64)), phi: (f64, (f64, f64))) -> Steadiness {
    let as_if = |rate: f64, phi: f64| judge_rates((rate, (rate, rate)), (phi, (phi, phi))).class;
    if as_if(rate.1.1, phi.1.1) == FlapClass::Stable {
        Steadiness::Steady
    } else if as_if(rate.1.0, phi.1.0) > FlapClass::Stable {
        Steadiness::Unsteady
    } else {
        Steadiness::Undecided
    }
}

fn mean_shares(runs: &[SeedRun]) -> Vec<(i32, f64)> {
    let mut sums: std::collections::BTreeMap<i32, f64> = std::collections::BTreeMap::new();
    for (count, share) in runs.iter().flat_map(|own| &own.shares) {
        *sums.entry(*count).or_default() += share / runs.len() as f64;
    }
    sums.into_iter().collect()
}

fn missed_goals(runs: &[SeedRun]) -> Vec<String> {
    let mut missed = Vec::new();
    for (index, (name, _, required)) in runs[0].goals.iter().enumerate() {
        let shares: Vec<f64> = runs.iter().filter_map(|own| own.goals.get(index)?.1).collect();
        if mean(&shares).is_some_and(|share| share < *required) {
            missed.push(name.clone());
        }
    }
    missed
}

fn mean_triggers(runs: &[SeedRun]) -> Vec<(String, Option<f64>, f64)> {
    let of = |(index, name): (usize, String)| {
        let own = || runs.iter().filter_map(move |run| run.triggers.get(index));
        let values: Vec<f64> = own().filter_map(|(_, value, _)| *value).collect();
        let won: Vec<f64> = own().map(|(_, _, won)| *won).collect();
        (name, mean(&values), mean(&won).unwrap_or(0.0))
    };
    runs[0].triggers.iter().map(|(name, ..)| name.clone()).enumerate().map(of).collect()
}

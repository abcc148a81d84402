//! The highest rate that a fleet of fixed size sustains within the goals, at the traffic's mix of lengths (verdicts.md 5.3,
//! step 1: `mu_slo(n)`).

use crate::analysis::{SloObjective, summarize};
use crate::scenario::ResolvedRun;
use crate::sim::{SimulateError, simulate};
use crate::traffic::{Arrivals, LengthDistribution, Trace, TrafficSpec, at_steady_rate};
use crate::units::{Seed, SimDuration, SimTime};
use rayon::prelude::*;
use std::sync::Arc;

/// Fleets that are measured; between them capacity per replica is taken on a straight line, beyond the last as of the last.
const SIZES: [u32; 4] = [1, 2, 4, 8];
/// Each trial has at least this many requests ...
const LEAST_REQUESTS: f64 = 1000.0;
/// ... and lasts at least this long, s.
const LEAST_SECONDS: f64 = 600.0;
/// Runs of each trial.
const SEEDS: u64 = 3;
/// The search stops at this relative width.
const WIDTH: f64 = 0.02;
/// Factor by which the search moves before it has both bounds: for the first size, and for those with a smaller one known.
const FIRST_STEP: f64 = 2.0;
/// See [`FIRST_STEP`].
const KNOWN_STEP: f64 = 1.1;
/// The search gives up at this part of its first guess, or at [`SMALLEST_RATE`] if that is lower: hardly two requests meet
/// then, so that the goals are missed by a request alone.
const GIVE_UP: f64 = 1.0 / 64.0;
/// Requests per second; see [`GIVE_UP`].
const SMALLEST_RATE: f64 = 0.01;
/// Part of a trial's arrivals that only fill the fleet.
const FILLING: f64 = 0.1;
/// The search gives up above this many requests per second.
const LARGEST_RATE: f64 = 1e6;

/// Requests per second that fleets of growing size sustain within the goals.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacityCurve {
    /// (replicas, requests per second of the whole fleet), by size; no entry when not even the smallest rate is sustained.
    pub measured: Vec<(u32, f64)>,
    /// Runs that it took.
    pub simulations: u64,
}

impl CapacityCurve {
    /// Requests per second of `replicas`.
    pub fn rate(&self, replicas: u32) -> f64 {
        let per_replica = |(size, rate): (u32, f64)| rate / f64::from(size);
        let above = self.measured.partition_point(|(size, _)| *size < replicas);
        let per = match (above.checked_sub(1).map(|below| self.measured[below]), self.measured.get(above)) {
            (Some(below), Some(above)) => {
                let share = f64::from(replicas - below.0) / f64::from(above.0 - below.0);
                per_replica(below) + (per_replica(*above) - per_replica(below)) * share
            }
            (Some(last), None) => per_replica(last),
            (None, Some(first)) => per_replica(*first),
            (None, None) => 0.0,
        };
        per * f64::from(replicas)
    }

    /// The fewest replicas that sustain `rate`; `None` when no number does.
    pub fn replicas_for(&self, rate: f64) -> Option<u32> {
        let per_replica = self.rate(1_000_000) / 1e6;
        if rate <= 0.0 {
            return Some(0);
        }
        if per_replica <= 0.0 {
            return None;
        }
        // Capacity grows with size, so the first that suffices is the fewest; far beyond the measured sizes it is a division.
        let largest = self.measured.last().map_or(0, |(size, _)| *size);
        (1..=largest).find(|size| self.rate(*size) >= rate).or_else(|| Some((rate / per_replica).ceil() as u32))
    }

    /// As [`Self::replicas_for`] before rounding up, on straight lines between whole replicas, with the replicas that one more
    /// request per second needs there; `None` when no number suffices.
    pub fn replicas_exact(&self, rate: f64) -> Option<(f64, f64)> {
        let above = self.replicas_for(rate)?.max(1);
        let (low, high) = (self.rate(above - 1), self.rate(above));
        let per_rate = 1.0 / (high - low).max(f64::MIN_POSITIVE);
        Some((f64::from(above - 1) + (rate - low).max(0.0) * per_rate, per_rate))
    }
}

/// Measures fleets of up to `most` replicas of `run`'s world at the lengths of `mix`, until one sustains `peak` requests per
/// second; larger fleets are not asked for.
///
/// # Errors
/// [`SimulateError`] of a trial.
pub fn capacity_curve(run: &ResolvedRun, mix: &Trace, most: u32, peak: f64) -> Result<CapacityCurve, SimulateError> {
    let mut curve = CapacityCurve { measured: Vec::new(), simulations: 0 };
    for size in SIZES.into_iter().filter(|size| *size == 1 || *size <= most) {
        let guess = match curve.measured.last() {
            Some((_, rate)) if *rate >= peak => break,
            Some((known, rate)) => (rate / f64::from(*known) * f64::from(size), KNOWN_STEP),
            None => ((peak / f64::from(most.max(1))).max(1e-6), FIRST_STEP),
        };
        match sustained_rate(run, mix, size, guess, &mut curve.simulations)? {
            Some(rate) => curve.measured.push((size, rate)),
            None => break,
        }
    }
    Ok(curve)
}

/// The highest rate at which `replicas` meet all goals; `None` when they do at none. `guess` is where the search starts and
/// the factor by which it moves until it has both bounds.
fn sustained_rate(
    run: &ResolvedRun,
    mix: &Trace,
    replicas: u32,
    (guess, step): (f64, f64),
    simulations: &mut u64,
) -> Result<Option<f64>, SimulateError> {
    let (mut low, mut high) = (None, None);
    let smallest = SMALLEST_RATE.min(guess * GIVE_UP);
    let mut rate = guess;
    loop {
        *simulations += SEEDS;
        let bound = if sustains(run, mix, replicas, rate)? { &mut low } else { &mut high };
        *bound = Some(rate);
        rate = match (low, high) {
            (Some(low), Some(high)) if high / low <= 1.0 + WIDTH => return Ok(Some(low)),
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) if low >= LARGEST_RATE => return Ok(Some(low)),
            (Some(low), None) => low * step,
            // The goals cannot be met even alone.
            (None, Some(high)) if high <= smallest => return Ok(None),
            (None, Some(high)) => high / step,
            (None, None) => unreachable!("a trial sustains its rate or does not"),
        };
    }
}

fn sustains(run: &ResolvedRun, mix: &Trace, replicas: u32, rate: f64) -> Result<bool, SimulateError> {
    let requests = LEAST_REQUESTS.max(LEAST_SECONDS * rate);
    let trial = |seed: u64| {
        let trace = at_steady_rate(mix, rate, requests.ceil() as u64, Seed(seed));
        let filled = SimDuration::from_secs_f64(requests * FILLING / rate);
        let trial = ResolvedRun {
            traffic: vec![replayed(trace)],
            seed: Seed(seed),
            warmup: filled,
            ..fixed_world(run, i32::try_from(replicas).unwrap_or(i32::MAX), None)
        };
        let record = simulate(&trial, false)?;
        Ok(summarize(&record, &trial.analysis).slo_objectives)
    };
    let seeds: Vec<Result<Vec<SloObjective>, SimulateError>> = (1..=SEEDS).into_par_iter().map(trial).collect();
    let seeds: Vec<Vec<SloObjective>> = seeds.into_iter().collect::<Result<_, _>>()?;
    // Each seed counts equally many requests, so the mean of the shares is the share of all.
    let objectives = run.analysis.slo.iter().enumerate();
    Ok(objectives.into_iter().all(|(index, limit)| {
        let share: f64 = seeds.iter().map(|own| own[index].share_within.unwrap_or(1.0)).sum::<f64>() / SEEDS as f64;
        share >= limit.quantile
    }))
}

/// `run`'s world with `replicas` and no autoscaler.
pub(in crate::study) fn fixed_world(run: &ResolvedRun, replicas: i32, duration: Option<SimDuration>) -> ResolvedRun {
    ResolvedRun {
        fixed_replicas: true,
        initial_replicas: replicas,
        schedule: Vec::new(),
        duration,
        sample_interval: run.sample_interval.max(SimDuration::from_secs(15)),
        ..run.clone()
    }
}

/// A trace as the only traffic.
pub(super) fn replayed(trace: Trace) -> TrafficSpec {
    TrafficSpec {
        arrivals: Arrivals::Recorded(Arc::new(trace)),
        prompt: LengthDistribution::Constant(1),
        output: LengthDistribution::Constant(1),
        max_tokens: None,
        start: SimTime::ZERO,
        stop: SimTime::NEVER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_per_replica_lies_on_straight_lines() {
        let curve = CapacityCurve { measured: vec![(1, 2.0), (2, 5.0), (4, 12.0)], simulations: 0 };
        let rates: Vec<f64> = [0, 1, 2, 3, 4, 8].into_iter().map(|size| curve.rate(size)).collect();
        assert_eq!(rates, [0.0, 2.0, 5.0, 8.25, 12.0, 24.0]);
        let fewest: Vec<Option<u32>> =
            [0.0, 0.1, 2.0, 2.1, 5.1, 12.0, 12.1, 30.1].into_iter().map(|rate| curve.replicas_for(rate)).collect();
        assert_eq!(fewest, [0, 1, 1, 2, 3, 4, 5, 11].map(Some));
        for (rate, exact) in [(0.0, 0.0), (1.0, 0.5), (2.0, 1.0), (3.5, 1.5), (12.0, 4.0)] {
            assert_eq!(curve.replicas_exact(rate).map(|(replicas, _)| replicas), Some(exact), "{rate} per second");
        }
        assert_eq!(CapacityCurve { measured: Vec::new(), simulations: 0 }.replicas_for(1.0), None);
    }
}

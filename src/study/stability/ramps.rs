//! Slow ramps of the load up and down through the bands in which the start decides: the hysteresis loop, which must show the
//! same band (end of verdicts.md 3.3). Without noise, and only where every trigger's expectation is exact.

use crate::analysis::{NoiseFreeBand, StabilityRow, noise_free_bands};
use crate::record::{EventKind, LoadStep, RunRecord};
use crate::scenario::ResolvedRun;
use crate::sim::{SimulateError, fix_loop_times, simulate_fluid};
use crate::study::stability::load::{LoadScale, step_of};
use crate::study::stability::world::{LoopTimes, undisturbed};
use crate::units::{SimDuration, SimTime};
use rayon::prelude::*;

/// How much the load moves at once, in shares of one replica.
const STEP: f64 = 0.005;
/// How far a ramp goes beyond the band, in shares.
const BEYOND: f64 = 0.05;
/// Edges that differ by no more, in shares: the band's own are known to a hundredth, and a ramp is seen late by a few of its
/// steps.
const SAME: f64 = 0.03;
/// Bands that are checked, the first ones.
const MOST_BANDS: usize = 4;
/// A load is held for the scale-down window or a query's range, but no shorter.
const HELD_AT_LEAST: SimDuration = SimDuration::from_secs(60);

/// One band, and what a slow ramp through it found.
#[derive(Clone, Debug, PartialEq)]
pub struct HysteresisLoop {
    /// The band's lowest and highest load by starts, requests per second.
    pub band: (f64, f64),
    /// Its lowest and highest count.
    pub counts: (i32, i32),
    /// The load at which the highest count was reached on the way up; `None` when it was not.
    pub up: Option<f64>,
    /// The load at which the lowest count was reached again on the way down.
    pub down: Option<f64>,
    /// Whether both lie where the band ends.
    pub agrees: bool,
}

/// The loops of the first bands among `rows` in which the start decides.
///
/// # Errors
/// A run that could not be completed.
pub(super) fn hysteresis(
    run: &ResolvedRun,
    scale: &LoadScale,
    rows: &[StabilityRow],
) -> Result<Vec<HysteresisLoop>, SimulateError> {
    let bands = noise_free_bands(rows).into_iter().filter(|band| !band.cycles && band.ends.len() > 1);
    let bands: Vec<NoiseFreeBand> = bands.take(MOST_BANDS).collect();
    let loops: Vec<Result<HysteresisLoop, SimulateError>> =
        bands.par_iter().map(|band| one_loop(run, scale, band)).collect();
    loops.into_iter().collect()
}

/// Loads of the ramp up from below the band to above it.
fn loads_up(scale: &LoadScale, band: (f64, f64)) -> Vec<f64> {
    let share = scale.share();
    let from = (band.0 - BEYOND * share).max(0.0);
    let steps = ((band.1 + BEYOND * share - from) / (STEP * share)).ceil().max(1.0) as u64;
    (0..=steps).map(|step| from + STEP * share * step as f64).collect()
}

fn one_loop(run: &ResolvedRun, scale: &LoadScale, band: &NoiseFreeBand) -> Result<HysteresisLoop, SimulateError> {
    let times = LoopTimes::of(run);
    let held = times.down.max(times.range).max(HELD_AT_LEAST);
    let up = loads_up(scale, band.loads);
    let whole = up.iter().chain(up.iter().rev());
    let mut law: Vec<LoadStep> = Vec::new();
    let mut at = SimTime::ZERO;
    for rate in whole {
        law.push(LoadStep { from: at, ..step_of(run, *rate) });
        // The first load is held until the loop is at rest.
        at += if law.len() == 1 { times.transient() } else { held };
    }
    let end = at + times.transient();
    let counts = (band.ends[0], band.ends[band.ends.len() - 1]);
    let mut own = undisturbed(run, counts.0, SimDuration::ZERO, end.since(SimTime::ZERO));
    own.traffic = Vec::new();
    fix_loop_times(&mut own);
    let turn = law[up.len()].from;
    let record = simulate_fluid(&own, law.clone(), Vec::new())?;
    let load_at = |t: SimTime| law.iter().rev().find(|step| step.from <= t).map(|step| step.requests);
    let reached = first_write(&record, SimTime::ZERO + times.transient(), |to| to >= counts.1);
    let up = reached.filter(|t| *t < turn + held).and_then(load_at);
    let down = first_write(&record, turn, |to| to <= counts.0).and_then(load_at);
    let near = |found: Option<f64>, edge: f64| found.is_some_and(|load| (load - edge).abs() <= SAME * scale.share());
    let agrees = near(up, band.loads.1) && near(down, band.loads.0);
    Ok(HysteresisLoop { band: band.loads, counts, up, down, agrees })
}

/// When `spec.replicas` was first written as asked after `from`.
fn first_write(record: &RunRecord, from: SimTime, is_asked: impl Fn(i32) -> bool) -> Option<SimTime> {
    let written = record.events.iter().find(|event| match event.kind {
        EventKind::Scaled { to, .. } => event.t >= from && is_asked(to),
        _ => false,
    });
    written.map(|event| event.t)
}

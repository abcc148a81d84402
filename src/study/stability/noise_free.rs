//! Pass A: the loop without noise, from several starts and phases (verdicts.md 3.3).

use crate::analysis::{LoopEnd, NoiseFreeEnd, loop_end};
use crate::record::LoadStep;
use crate::scenario::ResolvedRun;
use crate::sim::{MeanResponse, SimulateError, fix_loop_times, simulate_fluid};
use crate::study::stability::load::LoadScale;
use crate::study::stability::world::{LoopTimes, undisturbed};
use crate::units::{Seed, SimTime};
use rayon::prelude::*;

/// Draws of the phases.
pub(super) const PHASES: u64 = 2;
/// How often a run that is still on its way is made twice as long.
const DOUBLINGS: u32 = 4;

/// The starts of a load: min, max, what the target asks for, and one fewer, which its dead band may keep.
pub(super) fn starts(scale: &LoadScale, load: f64) -> Vec<i32> {
    let (least, most) = scale.bounds;
    let mut starts = vec![least, most];
    let need = scale.need(load);
    starts.extend(need.into_iter().chain(need.map(|need| need - 1).filter(|fewer| *fewer >= least)));
    starts.sort_unstable();
    starts.dedup();
    starts
}

/// Where the loop ends from every start at `load`, whose triggers show `responses`.
///
/// # Errors
/// A run that could not be completed.
pub(super) fn noise_free(
    run: &ResolvedRun,
    scale: &LoadScale,
    load: LoadStep,
    responses: &[Option<MeanResponse>],
) -> Result<Vec<NoiseFreeEnd>, SimulateError> {
    let starts = starts(scale, load.requests);
    let all: Vec<(i32, u64)> = starts.iter().flat_map(|start| (0..PHASES).map(move |phase| (*start, phase))).collect();
    let one = |(start, phase): (i32, u64)| {
        let end = end_from(run, start, phase, load, responses)?;
        Ok(NoiseFreeEnd { start, phase, end })
    };
    let ends: Vec<Result<NoiseFreeEnd, SimulateError>> = all.into_par_iter().map(one).collect();
    ends.into_iter().collect()
}

fn end_from(
    run: &ResolvedRun,
    start: i32,
    phase: u64,
    load: LoadStep,
    responses: &[Option<MeanResponse>],
) -> Result<LoopEnd, SimulateError> {
    let times = LoopTimes::of(run);
    let mut transient = times.transient();
    for doubling in 0.. {
        let mut own = undisturbed(run, start, transient, transient + times.recorded());
        own.traffic = Vec::new();
        own.seed = Seed(run.seed.0.wrapping_add(phase));
        fix_loop_times(&mut own);
        let record = simulate_fluid(&own, vec![load], responses.to_vec())?;
        let end = loop_end(&record, SimTime::ZERO + transient);
        if doubling == DOUBLINGS || !matches!(end, LoopEnd::Moving { .. }) {
            return Ok(end);
        }
        transient = transient.times(2);
    }
    unreachable!("the last doubling returns")
}

//! Many runs, in parallel, on one world as long as their policies write the same scales.

use crate::record::{EventKind, RunRecord};
use crate::scenario::ResolvedRun;
use crate::sim::{SharedWorld, SimulateError, simulate};
use crate::units::{SimDuration, SimTime};
use rayon::Scope;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Decisions that the policies of one world may make in all: they are kept until its end, some 0.8 kB each.
const DECISIONS_TOGETHER: u64 = 100_000;

/// How many of the latest worlds are looked at for one that a run shares: a grid with an axis of the world comes back to its
/// worlds in turns.
const WORLDS_COMPARED: usize = 64;

/// Runs `runs` on the threads of the pool it is called in; what `conclude` makes of each record, in the runs' order. The
/// outcome depends neither on the number of threads nor on which runs share a world.
pub(super) fn run_many<T: Send>(
    runs: &[ResolvedRun],
    conclude: impl Fn(usize, &RunRecord) -> T + Sync,
) -> Vec<Result<T, SimulateError>> {
    let outcomes = Mutex::new(runs.iter().map(|_| None).collect::<Vec<Option<Result<T, SimulateError>>>>());
    let done = |index: usize, record: Result<RunRecord, SimulateError>| {
        let outcome = record.map(|record| conclude(index, &record));
        outcomes.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(outcome);
    };
    rayon::scope(|scope| {
        for together in worlds(runs) {
            scope.spawn({
                let done = &done;
                move |scope| run_together(scope, runs, together, done)
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.into_iter().map(|outcome| outcome.expect("every run has ended")).collect()
}

/// The runs by the world that they share, each world's in their order.
fn worlds(runs: &[ResolvedRun]) -> Vec<Vec<usize>> {
    let mut worlds: Vec<Vec<usize>> = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let most = usize::try_from(DECISIONS_TOGETHER / decisions(run).max(1)).unwrap_or(usize::MAX);
        let mut latest = worlds.iter_mut().rev().take(WORLDS_COMPARED);
        match latest.find(|world| world.len() < most && run.shares_world_with(&runs[world[0]])) {
            Some(world) => world.push(index),
            None => worlds.push(vec![index]),
        }
    }
    worlds
}

/// Of each run, the first one whose world went the same way to the end: it is the same one, and the same scales were written on
/// it at the same instants.
pub(super) fn same_as(runs: &[ResolvedRun], writes: &[&[ScaleWritten]]) -> Vec<usize> {
    let mut firsts: HashMap<&[ScaleWritten], Vec<usize>> = HashMap::new();
    let mut same = Vec::with_capacity(runs.len());
    for (index, (run, written)) in runs.iter().zip(writes).enumerate() {
        let firsts = firsts.entry(written).or_default();
        let known = firsts.iter().copied().find(|first| run.shares_world_with(&runs[*first]));
        same.push(known.unwrap_or(index));
        if known.is_none() {
            firsts.push(index);
        }
    }
    same
}

/// When `spec.replicas` became what.
pub(super) type ScaleWritten = (SimTime, i32);

/// The writes of the scale in `record`.
pub(super) fn writes_of(record: &RunRecord) -> Vec<ScaleWritten> {
    let written = record.events.iter().filter_map(|event| match event.kind {
        EventKind::Scaled { to, .. } => Some((event.t, to)),
        _ => None,
    });
    written.collect()
}

/// Syncs and polls of a run.
fn decisions(run: &ResolvedRun) -> u64 {
    let per = |period: SimDuration| run.duration.map_or(0, |own| own.as_ps() / period.as_ps().max(1));
    per(run.kubernetes.sync_period) + run.keda.as_ref().map_or(0, |own| per(own.scaled_object.polling_interval))
}

/// What takes a run's record, by its position among all runs.
type Done<'s> = &'s (dyn Fn(usize, Result<RunRecord, SimulateError>) + Sync);

fn run_together<'s>(scope: &Scope<'s>, runs: &'s [ResolvedRun], together: Vec<usize>, done: Done<'s>) {
    if let [alone] = together[..] {
        return done(alone, simulate(&runs[alone], false));
    }
    let own: Vec<&ResolvedRun> = together.iter().map(|index| &runs[*index]).collect();
    match SharedWorld::new(&own) {
        Ok(world) => run_world(scope, world, &together.into(), done),
        Err(error) => together.into_iter().for_each(|index| done(index, Err(error.clone()))),
    }
}

/// Runs a world; those that part from it run beside it.
fn run_world<'s>(scope: &Scope<'s>, world: SharedWorld<'s>, together: &Arc<[usize]>, done: Done<'s>) {
    let mut parted = |part: SharedWorld<'s>| {
        let together = Arc::clone(together);
        scope.spawn(move |scope| run_world(scope, part, &together, done));
    };
    world.run_to_end(&mut parted, &mut |number, record| done(together[number], record));
}

//! One policy and scenario on several seeds, in parallel. Nothing depends on the number of threads: each run is keyed by its
//! seed, and results stand in order of seed.

use crate::analysis::{Summary, summarize};
use crate::record::RunRecord;
use crate::scenario::ResolvedRun;
use crate::sim::{SimulateError, simulate};
use crate::units::Seed;
use rayon::prelude::*;
use std::io;

/// Why replications ended early, with the seed.
#[derive(Debug)]
pub enum ReplicateError {
    /// A run could not be completed.
    Simulate(u64, SimulateError),
    /// What a run left could not be kept.
    Keep(io::Error),
}

/// Runs `run` with every seed of `seeds`, hands each run to `keep` when it has ended (in no order: a record is
/// not kept any longer), and returns the summaries in the seeds' order. With `check`, invariants are checked after every
/// event.
///
/// # Errors
/// The first seed, in order, that could not be run or kept.
pub fn replicate(
    run: &ResolvedRun,
    seeds: &[u64],
    check: bool,
    keep: impl Fn(&ResolvedRun, &RunRecord, &Summary) -> io::Result<()> + Sync,
) -> Result<Vec<Summary>, ReplicateError> {
    let one = |seed: u64| {
        let run = run.with_seed(Seed(seed));
        let record = simulate(&run, check).map_err(|error| ReplicateError::Simulate(seed, error))?;
        let summary = summarize(&record, &run.analysis);
        keep(&run, &record, &summary).map_err(ReplicateError::Keep)?;
        Ok(summary)
    };
    let results: Vec<Result<Summary, ReplicateError>> = seeds.par_iter().map(|seed| one(*seed)).collect();
    results.into_iter().collect()
}

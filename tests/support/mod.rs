//! What the acceptance tests share: loading a shipped policy, running it, reading its decisions.

use kedasim::analysis::{Summary, summarize};
use kedasim::manifest::{Bundle, Input};
use kedasim::record::{DecisionRecord, EventKind, HpaSync, RunRecord};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Seed, SimTime};
use std::path::{Path, PathBuf};

/// A path inside the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The run that `kedasim simulate POLICY` would make with these overrides.
pub fn resolved(policy: &str, overrides: &Overrides) -> ResolvedRun {
    let bundle = Bundle::load(&[Input::Path(repository(policy))]).unwrap_or_else(|errors| panic!("{errors}"));
    resolve(&bundle, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Runs it with every invariant checked.
pub fn run(policy: &str, overrides: &Overrides) -> (RunRecord, Summary) {
    let resolved = resolved(policy, overrides);
    let record = simulate(&resolved, true).unwrap_or_else(|error| panic!("{error}"));
    let summary = summarize(&record, &resolved.analysis);
    (record, summary)
}

/// Overrides with this traffic file of the repository and this seed.
pub fn with_traffic(traffic: &str, seed: u64) -> Overrides {
    Overrides { traffic: Some(repository(traffic)), seed: Some(Seed(seed)), ..Overrides::default() }
}

/// The HPA syncs of a run.
pub fn syncs(record: &RunRecord) -> Vec<&HpaSync> {
    let mut syncs = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::HpaSync(sync) = decision {
            syncs.push(sync.as_ref());
        }
    }
    syncs
}

/// (time, from, to) of every write to `spec.replicas`.
pub fn scale_events(record: &RunRecord) -> Vec<(SimTime, i32, i32)> {
    let scaled = |event: &kedasim::record::Event| match &event.kind {
        EventKind::Scaled { from, to, .. } => Some((event.t, *from, *to)),
        _ => None,
    };
    record.events.iter().filter_map(scaled).collect()
}

/// `spec.replicas` at `t`.
pub fn replicas_at(record: &RunRecord, t: SimTime) -> i32 {
    let before = scale_events(record).into_iter().take_while(|(at, ..)| *at <= t).last();
    before.map_or(record.info.initial_replicas, |(_, _, to)| to)
}

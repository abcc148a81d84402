//! `kedasim simulate` on several seeds.

use crate::analysis::replications;
use crate::cli::args::{Format, SimulateArgs};
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::cli::simulate::{Prepared, default_output, fails, refuse_lost_inputs, simulation_failure, unwritable};
use crate::record::RunRecord;
use crate::report::{
    ReplicationsFolder, may_write_replications, replications_json, replications_markdown, replications_text,
};
use crate::scenario::{Overrides, ResolvedRun, run_inputs, scenario_yaml};
use crate::study::{ReplicateError, replicate};
use std::io;

/// Runs the seeds of `prepared` and prints what they say together.
pub(super) fn run(args: &SimulateArgs, prepared: &Prepared) -> Result<Outcome, Failure> {
    let Prepared { run: first, bundle, overrides, .. } = prepared;
    let out = args.out.clone().unwrap_or_else(|| default_output(first, args.traffic.as_deref()));
    may_write_replications(&out).map_err(|error| unwritable(&out, &error))?;
    refuse_lost_inputs(args, &out)?;
    let seeds: Vec<u64> = (first.seed.0..).take(first.replications as usize).collect();
    let folder = ReplicationsFolder::begin(&out).map_err(|error| unwritable(&out, &error))?;
    let keep = |run: &ResolvedRun, record: &RunRecord, summary: &crate::analysis::Summary| {
        // As if the seed had been typed: its folder is that of a run of its own.
        let of_seed = Overrides { seed: Some(run.seed), replications: Some(1), ..overrides.clone() };
        let inputs = run_inputs(bundle, &of_seed, run).map_err(io::Error::other)?;
        folder.add(run, record, summary, &scenario_yaml(run), &inputs)
    };
    let summaries = replicate(first, &seeds, args.check, keep).map_err(|error| match error {
        ReplicateError::Simulate(seed, error) => {
            talk(&format!("seed {seed}:"));
            simulation_failure(error)
        }
        ReplicateError::Keep(error) => unwritable(&out, &error),
    })?;
    let together = replications(&summaries, &first.analysis);
    let replaces = out.join("summary.json").exists();
    folder.finish(&summaries[0], &together).map_err(|error| unwritable(&out, &error))?;
    print(&match args.format {
        Format::Text => replications_text(first, &summaries[0], &together),
        Format::Json => replications_json(&summaries[0], &together),
        Format::Markdown => replications_markdown(first, &summaries[0], &together),
    })?;
    let (what, out) = (if replaces { "replaced the previous runs in" } else { "written to" }, out.display());
    talk(&format!("{what} {out}, each seed's run to {out}/seed-{} and so on", seeds[0]));
    Ok(if fails(together.status, together.worst(), args.fail_on) { Outcome::Failed } else { Outcome::Fine })
}

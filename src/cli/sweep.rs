//! `kedasim sweep`.

use crate::cli::args::SweepArgs;
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::manifest::{Bundle, Input};
use crate::report::{HeatmapSpec, may_write_sweep, results_table, sweep_text, write_sweep};
use crate::scenario::read_sweep;
use crate::study::{SweepOutcome, run_sweep};
use crate::units::Diagnostic;
use std::path::PathBuf;

/// Warnings shown: an axis may stand in their texts, so that every point has its own.
const WARNINGS_SHOWN: usize = 20;

/// Runs the command.
pub(super) fn run(args: &SweepArgs) -> Result<Outcome, Failure> {
    let bundle = Bundle::load(&[Input::Path(args.sweep.clone())])?;
    let mut documents = bundle.of_kind("Sweep");
    let (Some(document), None) = (documents.next(), documents.next()) else {
        let message = format!("{} must hold exactly one document of kind: Sweep", args.sweep.display());
        return Err(Diagnostic::error(None, "", message).into());
    };
    let sweep = read_sweep(document)?;
    if let Some((_, _, value)) = &sweep.heatmap {
        // The figures do not depend on the runs: an empty sweep has them all.
        let empty = SweepOutcome { name: String::new(), axes: Vec::new(), points: Vec::new(), warnings: Vec::new() };
        if let Err(message) = results_table(&empty).figure(&value.value) {
            return Err(Diagnostic::error(value.span.clone(), "spec.heatmap.value", message).into());
        }
    }
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from("output").join(format!("sweep-{}", sweep.name)));
    let unwritable = |error| Diagnostic::error(None, "--out", format!("{} cannot be written: {error}", out.display()));
    may_write_sweep(&out).map_err(unwritable)?;
    let outcome = run_sweep(&sweep, args.jobs)?;
    let points: usize = sweep.axes.iter().map(|axis| axis.values.len()).product();
    for line in warning_lines(&outcome, points) {
        talk(&line);
    }
    let heatmap = sweep.heatmap.clone().map(|(x, y, value)| HeatmapSpec { x, y, value: value.value });
    let replaces = out.join("summary.json").exists();
    write_sweep(&out, &outcome, heatmap.as_ref()).map_err(unwritable)?;
    print(&sweep_text(&outcome))?;
    if replaces {
        talk(&format!("replaced the previous sweep in {}", out.display()));
    } else {
        talk(&format!("written to {}", out.display()));
    }
    Ok(Outcome::Fine)
}

/// Each warning once, with how many of the `points` gave it.
fn warning_lines(outcome: &SweepOutcome, points: usize) -> Vec<String> {
    let told = |(warning, count): &(Diagnostic, usize)| {
        let message = format!("{} (at {count} of {points} points)", warning.message);
        Diagnostic { message, ..warning.clone() }.to_string()
    };
    let mut lines: Vec<String> = outcome.warnings.iter().take(WARNINGS_SHOWN).map(told).collect();
    if outcome.warnings.len() > WARNINGS_SHOWN {
        lines.push(format!("... and {} more warnings", outcome.warnings.len() - WARNINGS_SHOWN));
    }
    lines
}

//! `kedasim export`: makes a run again from its folder and writes what Prometheus stored.

use crate::cli::args::ExportArgs;
use crate::cli::outcome::{Failure, Outcome, print};
use crate::cli::overwritten::{is_same_file, refuse_input};
use crate::export::{Exported, Exporter};
use crate::manifest::{Bundle, Input};
use crate::prometheus::StoredRow;
use crate::record::{RunInfo, check_version, decisions_to_jsonl};
use crate::scenario::{INPUTS_SCENARIO, Overrides, ResolvedRun, resolve};
use crate::sim::{SimulateError, simulate_recording};
use crate::units::{Diagnostic, Span};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

const AGAIN: &str = "it was changed or written by another version of kedasim: run simulate again";

/// Runs the command.
pub(super) fn run(args: &ExportArgs) -> Result<Outcome, Failure> {
    if let (Some(one), Some(other)) = (&args.remote_write, &args.openmetrics)
        && (one == other || is_same_file(one, other))
    {
        return Err(
            Diagnostic::error(None, "--openmetrics", "found the file of --remote-write, expected another").into()
        );
    }
    refuse_lost_run(args)?;
    let info = run_info(&args.run_dir)?;
    if info.fixed_replicas {
        let message = "found a run with --fixed-replicas, in which nothing asks Prometheus and nothing is scraped";
        return Err(in_file(&args.run_dir, "summary.json", message).help("export a run with autoscaling").into());
    }
    let recorded = read(&args.run_dir, "decisions.jsonl")?;
    let resolved = resolve_again(&args.run_dir, &info)?;
    let (exported, decisions) = export(args, &resolved, &recorded)?;
    print(&summary_text(args, &resolved, &exported, decisions))?;
    Ok(Outcome::Fine)
}

/// An export must not take the place of a file of the run that it is made of.
fn refuse_lost_run(args: &ExportArgs) -> Result<(), Failure> {
    let mut files = Vec::new();
    for folder in [args.run_dir.clone(), args.run_dir.join("inputs"), args.run_dir.join("plots")] {
        // What cannot be listed has no file to lose; whether it is a run is said elsewhere.
        files.extend(std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    for (flag, out) in [("--remote-write", &args.remote_write), ("--openmetrics", &args.openmetrics)] {
        if let Some(out) = out.as_ref().filter(|out| out.is_file()) {
            refuse_input(flag, out, files.iter().map(|path| ("a file of the run's own folder", path.as_path())))?;
        }
    }
    Ok(())
}

/// What the run's summary says of it.
pub(super) fn run_info(dir: &Path) -> Result<RunInfo, Failure> {
    const FILE: &str = "summary.json";
    let wrong = |message: String| Failure::from(in_file(dir, FILE, message));
    let text = read(dir, FILE)?;
    let summary: serde_json::Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let version = summary["schemaVersion"].as_u64().and_then(|version| u32::try_from(version).ok());
    check_version(version.unwrap_or(0)).map_err(wrong)?;
    if summary["kind"] == "replications" {
        let first = dir.join(format!("seed-{}", summary["seed"])).display().to_string();
        let help = format!("name the folder of one seed, for example {first}");
        let message = "found the folder of several seeds, expected that of one run";
        return Err(in_file(dir, FILE, message).help(help).into());
    }
    if summary["kind"] != "run" {
        let kind = &summary["kind"];
        return Err(wrong(format!("found the folder of kind {kind}, expected one that kedasim simulate has written")));
    }
    serde_json::from_value(summary["run"].clone()).map_err(|error| wrong(format!("run: {error}")))
}

/// The run that the folder describes.
pub(super) fn resolve_again(dir: &Path, info: &RunInfo) -> Result<ResolvedRun, Failure> {
    let files = [dir.join("policy.yaml"), dir.join("inputs").join(INPUTS_SCENARIO)];
    let bundle = Bundle::load(&files.map(Input::Path))?;
    let overrides = Overrides { name: Some(info.policy.clone()), ..Overrides::default() };
    Ok(resolve(&bundle, &overrides)?)
}

/// Makes the run again and writes the files, if it decides as `recorded` says; with the number of its decisions.
fn export(args: &ExportArgs, resolved: &ResolvedRun, recorded: &str) -> Result<(Exported, usize), Failure> {
    let unwritable = |error: io::Error| {
        Failure::from(Diagnostic::error(None, "", format!("an export file cannot be written: {error}")))
    };
    let epoch_ms = resolved.monitoring.server.epoch_ms;
    let files = (args.remote_write.as_deref(), args.openmetrics.as_deref());
    let mut exporter = Exporter::create(epoch_ms, files.0, files.1).map_err(unwritable)?;
    let mut trouble = None;
    let mut add = |row: StoredRow| {
        if trouble.is_none() {
            trouble = exporter.add(&row).err();
        }
    };
    let record = simulate_recording(resolved, false, &mut add).map_err(simulation_failure)?;
    if let Some(error) = trouble {
        return Err(unwritable(error));
    }
    let decisions = decisions_to_jsonl(&record);
    if decisions != recorded {
        return Err(other_decisions(&args.run_dir, &decisions, recorded, "; nothing was written").into());
    }
    // From here on the files are known to be those of this folder's run.
    Ok((exporter.finish().map_err(unwritable)?, record.decisions.len()))
}

/// Points at the first line that comes out otherwise, and says what follows from that.
pub(super) fn other_decisions(dir: &Path, again: &str, recorded: &str, consequence: &str) -> Diagnostic {
    let same = again.lines().zip(recorded.lines()).take_while(|(own, other)| own == other).count();
    let line = u32::try_from(same + 1).unwrap_or(u32::MAX);
    let path = dir.join("decisions.jsonl").display().to_string();
    let message = format!("made again from this folder, the run decides otherwise from here on{consequence}");
    Diagnostic::error(Span::new(path, line, 1), "", message).help(AGAIN)
}

pub(super) fn simulation_failure(error: SimulateError) -> Failure {
    match error {
        SimulateError::Invariant { .. } => Failure::Internal(anyhow::anyhow!("{error}; this is a defect of kedasim")),
        SimulateError::Query(message) | SimulateError::Limit(message) => Diagnostic::error(None, "", message).into(),
    }
}

pub(super) fn read(dir: &Path, name: &str) -> Result<String, Failure> {
    let wrong = |error: io::Error| {
        in_file(dir, name, format!("cannot be read: {error}")).help("name a folder that kedasim simulate has written")
    };
    std::fs::read_to_string(dir.join(name)).map_err(|error| wrong(error).into())
}

pub(super) fn in_file(dir: &Path, name: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Span::new(dir.join(name).display().to_string(), 0, 0), "", message)
}

/// One `key value` a line, for scripts.
fn summary_text(args: &ExportArgs, run: &ResolvedRun, exported: &Exported, decisions: usize) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        let _ = writeln!(text, "{key} {value}");
    };
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    line("decisions", decisions.to_string());
    line("series", exported.series.to_string());
    line("samples", exported.samples.to_string());
    line("markers", exported.markers.to_string());
    line("dropped", exported.dropped.to_string());
    line("start", seconds(run.monitoring.server.epoch_ms));
    if let Some((first, last)) = exported.range_ms {
        line("first", seconds(first));
        line("last", seconds(last));
    }
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    if let Some((requests, bytes)) = exported.remote_write {
        line("remote-write", format!("{requests} requests, {bytes} bytes: {}", shown(&args.remote_write)));
    }
    if let Some(bytes) = exported.open_metrics {
        line("openmetrics", format!("{bytes} bytes: {}", shown(&args.openmetrics)));
    }
    text
}

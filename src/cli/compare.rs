//! `kedasim compare`.

use crate::cli::args::{CompareArgs, Format, SimulateArgs};
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::cli::simulate::{Prepared, fails, prepare, simulation_failure, unwritable};
use crate::report::{
    CompareReport, compare_json, compare_markdown, compare_text, may_write_comparison, write_comparison,
};
use crate::scenario::ResolvedRun;
use crate::study::{CompareError, Conclusions, compare};
use crate::units::Diagnostic;
use std::path::{Path, PathBuf};

/// Seeds when nobody says how many.
const DEFAULT_SEEDS: u32 = 5;

/// Runs the command.
pub(super) fn run(args: &CompareArgs) -> Result<Outcome, Failure> {
    if args.policies.iter().filter(|path| **path == Path::new("-")).count() > 1 {
        return Err(Diagnostic::error(None, "POLICY", "standard input (-) is given twice").into());
    }
    let labels = labels(&args.policies)?;
    let mut runs: Vec<ResolvedRun> = Vec::new();
    for (path, label) in args.policies.iter().zip(&labels) {
        let Prepared { run, .. } = prepare(&as_simulate(args, path))?;
        let several = if labels.len() > 1 { format!("{label}: ") } else { String::new() };
        for diagnostic in &run.diagnostics.0 {
            talk(&format!("{several}{diagnostic}"));
        }
        runs.push(run);
    }
    let labels = if let [one] = runs.as_slice() { vec![one.policy.clone()] } else { labels };
    let mut notes = Vec::new();
    for (run, label) in runs.iter().zip(&labels).skip(1) {
        notes.extend(same_world(&runs[0], run, &labels[0], label)?);
    }
    let seeds = seeds(&runs[0], &mut notes);
    let out = args.out.clone().unwrap_or_else(|| default_output(&runs[0], &labels, &seeds));
    may_write_comparison(&out).map_err(|error| unwritable(&out, &error))?;
    let comparison = compare(&runs, &seeds, args.check).map_err(failure)?;
    let conclusions = Conclusions::of(&comparison, &runs[0].analysis);
    let first = runs[0].with_seed(crate::units::Seed(seeds[0]));
    let report = CompareReport {
        comparison: &comparison,
        conclusions: &conclusions,
        labels: &labels,
        run: &first,
        notes: &notes,
    };
    let replaces = out.join("summary.json").exists();
    write_comparison(&out, &report).map_err(|error| unwritable(&out, &error))?;
    print(&match args.format {
        Format::Text => compare_text(&report),
        Format::Json => compare_json(&report),
        Format::Markdown => compare_markdown(&report),
    })?;
    talk(&format!("{} {}", if replaces { "replaced the previous comparison in" } else { "written to" }, out.display()));
    let failed = fails(conclusions.status(), conclusions.worst(), args.fail_on);
    Ok(if failed { Outcome::Failed } else { Outcome::Fine })
}

/// One policy as `simulate` would be asked for it.
fn as_simulate(args: &CompareArgs, policy: &Path) -> SimulateArgs {
    SimulateArgs {
        policy: vec![policy.to_path_buf()],
        name: args.name.clone(),
        scenario: args.scenario.clone(),
        traffic: args.traffic.clone(),
        signals: args.signals.clone(),
        profile: args.profile.clone(),
        duration: args.duration.clone(),
        seed: args.seed,
        replications: args.replications,
        set: args.set.clone(),
        gate: args.gate.clone(),
        fixed_replicas: None,
        confirm: false,
        check: args.check,
        fail_on: args.fail_on,
        out: None,
        format: args.format,
    }
}

/// What the policies are called: the last part of each path.
fn labels(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut labels: Vec<String> = Vec::new();
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in paths {
        let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
        if seen.contains(&whole) {
            let message = format!("found {} twice, expected different policies", path.display());
            return Err(Diagnostic::error(None, "POLICY", message).into());
        }
        seen.push(whole);
        let own = if path.is_dir() { path.canonicalize().ok() } else { None }.unwrap_or_else(|| path.clone());
        let name = if own.is_dir() { own.file_name() } else { own.file_stem() };
        let mut label = name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        if path == Path::new("-") {
            label = "stdin".to_owned();
        }
        if labels.contains(&label) {
            // Two of one name are told apart by their whole paths.
            label = path.display().to_string();
        }
        labels.push(label);
    }
    Ok(labels)
}

/// Fails when two policies do not see the same traffic and goals, and tells what else differs.
fn same_world(first: &ResolvedRun, own: &ResolvedRun, baseline: &str, label: &str) -> Result<Option<String>, Failure> {
    let named = |differences: &[(bool, &'static str)]| -> Vec<&'static str> {
        differences.iter().filter(|(differs, _)| *differs).map(|(_, name)| *name).collect()
    };
    let vital = named(&[
        (first.traffic != own.traffic, "traffic"),
        (first.duration != own.duration, "duration"),
        (first.warmup != own.warmup, "warmup"),
        (first.seed != own.seed || first.replications != own.replications, "seeds"),
        (first.analysis.slo != own.analysis.slo, "slo"),
        (first.analysis.gates != own.analysis.gates, "gates"),
        (first.analysis.gpu_hour_price != own.analysis.gpu_hour_price, "cost"),
        (first.client_timeout != own.client_timeout, "client"),
        (first.gpus_per_replica != own.gpus_per_replica, "GPUs per replica"),
    ]);
    if !vital.is_empty() {
        let message = format!("{label} and {baseline} differ in {}, expected the same world", vital.join(", "));
        let help = "give both one world: --scenario FILE, or --traffic FILE and the like";
        return Err(Diagnostic::error(None, "POLICY", message).help(help).into());
    }
    let other = named(&[
        (first.engine != own.engine, "the engine's settings"),
        (first.initial_replicas != own.initial_replicas, "initialReplicas"),
        (first.cluster != own.cluster, "the cluster"),
        (first.router != own.router || first.router_latency != own.router_latency, "the router"),
        (first.gateway.is_some() != own.gateway.is_some(), "the gateway"),
        (first.faults.len() != own.faults.len(), "faults"),
    ]);
    Ok((!other.is_empty()).then(|| {
        let differs = other.join(", ");
        format!("{label} differs from {baseline} in {differs} too; fixed fleets and the oracle have {baseline}'s")
    }))
}

/// The seeds, and a note when their number is the default.
fn seeds(first: &ResolvedRun, notes: &mut Vec<String>) -> Vec<u64> {
    let given = first.provenance.iter().any(|(path, _, _)| path == "spec.replications");
    let count = if given { first.replications } else { DEFAULT_SEEDS };
    if !given {
        notes.push(format!("spec.replications = {DEFAULT_SEEDS} (the default of compare; --replications changes it)"));
    }
    (first.seed.0..).take(count as usize).collect()
}

fn default_output(first: &ResolvedRun, labels: &[String], seeds: &[u64]) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let names = format!("{}-{}", labels.join("-vs-"), first.scenario);
    let names: String = names.chars().map(plain).take(150).collect();
    let (start, end) = (seeds[0], seeds[seeds.len() - 1]);
    PathBuf::from("output").join(format!("compare-{names}-seeds-{start}-{end}"))
}

fn failure(error: CompareError) -> Failure {
    match error {
        CompareError::Simulate(seed, error) => {
            talk(&format!("seed {seed}:"));
            simulation_failure(error)
        }
        CompareError::Capacity(error) => {
            talk("while capacity was measured:");
            simulation_failure(error)
        }
    }
}

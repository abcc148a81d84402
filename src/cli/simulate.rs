//! `kedasim simulate`.

use crate::analysis::{Summary, VerdictStatus, summarize};
use crate::cli::args::{FailOn, Format, SimulateArgs};
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::cli::overwritten::refuse_folder_of_input;
use crate::cli::replications;
use crate::manifest::{Bundle, Input, nearest};
use crate::report::{may_write_run, summary_json, summary_markdown, summary_text, write_run};
use crate::scenario::{
    GATE_NAMES, GateLimit, InputFile, Overrides, ResolvedRun, attach_profile, attach_traffic, replace_scenario,
    resolve, run_inputs, scenario_yaml,
};
use crate::sim::{SimulateError, simulate};
use crate::study::{add_confirmation, confirm};
use crate::units::{Diagnostic, Seed, Severity, SimDuration, parse_go_duration};
use std::path::{Path, PathBuf};

/// Runs the command.
pub(super) fn run(args: &SimulateArgs) -> Result<Outcome, Failure> {
    let prepared = prepare(args)?;
    for diagnostic in &prepared.run.diagnostics.0 {
        talk(&diagnostic.to_string());
    }
    if prepared.run.replications > 1 {
        if args.confirm {
            let message = format!("found it with {} replications, expected a single run", prepared.run.replications);
            let help = "--confirm runs seeds of its own beside the run's; add --replications 1";
            return Err(Diagnostic::error(None, "--confirm", message).help(help).into());
        }
        return replications::run(args, &prepared);
    }
    let Prepared { run: resolved, inputs, bundle, overrides } = prepared;
    let out = args.out.clone().unwrap_or_else(|| default_output(&resolved, args.traffic.as_deref()));
    may_write_run(&out).map_err(|error| unwritable(&out, &error))?;
    refuse_lost_inputs(args, &out)?;
    let record = simulate(&resolved, args.check).map_err(simulation_failure)?;
    let mut summary = summarize(&record, &resolved.analysis);
    if args.confirm && summary.flapping.flaps > 0 {
        talk("confirming: running again with suspected causes taken away");
        let confirmation = confirm(&bundle, &overrides, &resolved).map_err(simulation_failure)?;
        add_confirmation(&mut summary, &confirmation);
    }
    let replaces = out.join("summary.json").exists();
    write_run(&out, &resolved, &record, &summary, &scenario_yaml(&resolved), &inputs)
        .map_err(|error| unwritable(&out, &error))?;
    print(&match args.format {
        Format::Text => summary_text(&resolved, &record, &summary),
        Format::Json => summary_json(&summary),
        Format::Markdown => summary_markdown(&record, &summary),
    })?;
    if replaces {
        talk(&format!("replaced the previous run in {}", out.display()));
    } else {
        talk(&format!("written to {}", out.display()));
    }
    Ok(if is_failure(&summary, args.fail_on) { Outcome::Failed } else { Outcome::Fine })
}

/// A run that is changed by what is typed must not take the place of the files that it is read from. (Made again as it is,
/// it writes them as they are; `--fixed-replicas` is in none of them.)
pub(super) fn refuse_lost_inputs(args: &SimulateArgs, out: &Path) -> Result<(), Failure> {
    let files = [&args.scenario, &args.traffic, &args.signals];
    let profile = args.profile.as_deref().map(Path::new);
    let is_changed = !args.set.is_empty()
        || !args.gate.is_empty()
        || args.duration.is_some()
        || args.seed.is_some()
        || args.replications.is_some()
        || args.traffic.is_some()
        || args.signals.is_some()
        || profile.is_some();
    if !is_changed {
        return Ok(());
    }
    let typed = files.into_iter().flatten().chain(&args.policy).map(PathBuf::as_path);
    Ok(refuse_folder_of_input(out, typed.chain(profile))?)
}

/// A run with the files that it is made from.
pub(super) struct Prepared {
    pub(super) run: ResolvedRun,
    pub(super) inputs: Vec<InputFile>,
    /// What it resolves from, for runs that differ in something.
    pub(super) bundle: Bundle,
    pub(super) overrides: Overrides,
}

/// Files and flags to a resolved run.
pub(super) fn prepare(args: &SimulateArgs) -> Result<Prepared, Failure> {
    let inputs: Vec<Input> = args.policy.iter().map(|path| input(path)).collect();
    if inputs.iter().filter(|input| **input == Input::Stdin).count() > 1 {
        return Err(Diagnostic::error(None, "POLICY", "standard input (-) is given twice").into());
    }
    let overrides = Overrides {
        name: args.name.clone(),
        traffic: args.traffic.clone(),
        profile: args.profile.clone(),
        signals: args.signals.clone(),
        duration: args.duration.as_deref().map(duration).transpose()?,
        seed: args.seed.map(Seed),
        replications: args.replications,
        fixed_replicas: args.fixed_replicas,
        gates: gates(&args.gate)?,
    };
    let mut bundle = Bundle::load(&inputs)?;
    if let Some(path) = &args.scenario {
        replace_scenario(&mut bundle, path)?;
    }
    attach_traffic(&mut bundle, &overrides)?;
    let mut paths: Vec<&str> = Vec::new();
    for assignment in &args.set {
        let Some((path, value)) = assignment.split_once('=') else {
            let message = format!("found {assignment:?}, expected PATH=VALUE");
            return Err(Diagnostic::error(None, "--set", message).into());
        };
        let path = path.trim();
        if paths.contains(&path) {
            return Err(Diagnostic::error(None, "--set", format!("found {path} twice, expected it once")).into());
        }
        if path.starts_with("Profile:") && !paths.iter().any(|earlier| earlier.starts_with("Profile:")) {
            attach_profile(&mut bundle, &overrides)?;
        }
        if args.signals.is_some() && path.starts_with("Scenario:spec.signals") {
            let message = format!("{path} changes the Scenario's signals, which --signals replaces as a whole");
            let help = "change the file of --signals, or give only one of the two";
            return Err(Diagnostic::error(None, "--set", message).help(help).into());
        }
        if path.starts_with("Scenario:") {
            attach_scenario(&mut bundle)?;
        }
        paths.push(path);
        bundle.set_text(path, value)?;
    }
    let run = resolve(&bundle, &overrides)?;
    let inputs = run_inputs(&bundle, &overrides, &run)?;
    Ok(Prepared { run, inputs, bundle, overrides })
}

/// Without a Scenario among the files, an empty one is what is changed.
fn attach_scenario(bundle: &mut Bundle) -> Result<(), Failure> {
    if bundle.of_kind("Scenario").next().is_none() {
        let text = "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: scenario}\nspec: {}\n";
        bundle.documents.extend(Bundle::from_text(text, "--set")?.documents);
    }
    Ok(())
}

fn input(path: &Path) -> Input {
    if path == Path::new("-") { Input::Stdin } else { Input::Path(path.to_path_buf()) }
}

fn duration(text: &str) -> Result<SimDuration, Failure> {
    let wrong = |message: String| Failure::from(Diagnostic::error(None, "--duration", message));
    match parse_go_duration(text) {
        Ok(duration) if duration.is_zero() => Err(wrong(format!("found {text:?}, expected a duration above 0"))),
        Ok(duration) => Ok(duration),
        Err(message) => Err(wrong(message)),
    }
}

fn gates(given: &[String]) -> Result<Vec<GateLimit>, Failure> {
    let mut gates = Vec::new();
    for text in given {
        let wrong = |message: String| Failure::from(Diagnostic::error(None, "--gate", message));
        let Some((name, limit)) = text.split_once('=') else {
            return Err(wrong(format!("found {text:?}, expected NAME=LIMIT, for example flapsPerHour=1")));
        };
        if !GATE_NAMES.contains(&name) {
            let guess = nearest(name, GATE_NAMES).map(|guess| format!(", did you mean {guess}?")).unwrap_or_default();
            return Err(wrong(format!("found the gate {name:?}, expected one of {}{guess}", GATE_NAMES.join(", "))));
        }
        if gates.iter().any(|gate: &GateLimit| gate.name == name) {
            return Err(wrong(format!("found the gate {name} twice, expected it once")));
        }
        match limit.parse::<f64>() {
            Ok(limit) if name == "sloAttainment" && !(0.0..=1.0).contains(&limit) => {
                return Err(wrong(format!("found the limit {limit} for {name}, expected a share from 0 to 1")));
            }
            Ok(limit) if limit.is_finite() && limit >= 0.0 => gates.push(GateLimit { name: name.to_owned(), limit }),
            _ => return Err(wrong(format!("found the limit {limit:?} for {name}, expected a number of at least 0"))),
        }
    }
    Ok(gates)
}

/// `output/<policy>-<scenario>-<seed>`, of several seeds `...-seeds-<first>-<last>`; with `--traffic` its file's name goes with the scenario's.
pub(super) fn default_output(run: &ResolvedRun, traffic: Option<&Path>) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    // The scenario's name may be that of a recorded trace, which may hold anything.
    let mut scenario: String = run.scenario.chars().map(plain).collect();
    let stem = traffic.and_then(Path::file_stem).map(|stem| stem.to_string_lossy());
    let stem: Option<String> = stem.map(|stem| stem.chars().map(plain).collect());
    if let Some(stem) = stem.filter(|stem| *stem != scenario) {
        scenario = format!("{scenario}+{stem}");
    }
    let seeds = match run.replications {
        0 | 1 => run.seed.0.to_string(),
        count => format!("seeds-{}-{}", run.seed.0, run.seed.0 + u64::from(count) - 1),
    };
    PathBuf::from("output").join(format!("{}-{scenario}-{seeds}", run.policy))
}

pub(super) fn unwritable(out: &Path, error: &std::io::Error) -> Failure {
    Diagnostic::error(None, "--out", format!("{} cannot be written: {error}", out.display())).into()
}

pub(super) fn simulation_failure(error: SimulateError) -> Failure {
    match error {
        SimulateError::Invariant { .. } => Failure::Internal(anyhow::anyhow!("{error}; this is a defect of kedasim")),
        SimulateError::Query(message) | SimulateError::Limit(message) => Diagnostic::error(None, "", message).into(),
    }
}

/// Whether the verdict or a finding decides for exit code 1.
fn is_failure(summary: &Summary, fail_on: FailOn) -> bool {
    let worst = summary.verdict.findings.iter().map(|finding| finding.severity).max();
    fails(summary.verdict.status, worst, fail_on)
}

/// As [`is_failure`], from the verdict and the worst finding.
pub(super) fn fails(status: VerdictStatus, worst: Option<Severity>, fail_on: FailOn) -> bool {
    let undecided = status == VerdictStatus::Undecided;
    let by_finding = match fail_on {
        FailOn::Never => false,
        FailOn::Error => worst >= Some(Severity::Error),
        FailOn::Warning => worst >= Some(Severity::Warning),
        FailOn::Note => worst >= Some(Severity::Note),
        FailOn::Undecided => undecided || worst >= Some(Severity::Note),
    };
    status == VerdictStatus::Fail || by_finding
}

//! `kedasim stability`.

use crate::analysis::VerdictStatus;
use crate::cli::args::{Format, SimulateArgs, StabilityArgs};
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::cli::simulate::{
    Prepared, default_output, fails, prepare, refuse_lost_inputs, simulation_failure, unwritable,
};
use crate::report::{
    may_write_stability, stability_json, stability_markdown, stability_severity, stability_text, survival_text,
    write_stability,
};
use crate::study::{
    LoadJump, StabilityError, StabilityPlan, SurvivalPlan, check_survival, run_stability, run_survival,
};
use crate::units::Diagnostic;
use std::path::PathBuf;

/// Runs the command.
pub(super) fn run(args: &StabilityArgs) -> Result<Outcome, Failure> {
    let Prepared { run, .. } = prepare(&as_simulation(args))?;
    for diagnostic in &run.diagnostics.0 {
        talk(&diagnostic.to_string());
    }
    if run.replications > 1 {
        let message = "the map runs with --seeds, not with the Scenario's replications";
        talk(&Diagnostic::warning(None, "Scenario:spec.replications", message).to_string());
    }
    let plan = StabilityPlan {
        from: args.from,
        to: args.to,
        steps: args.steps.map(|steps| steps as usize),
        seeds: args.seeds,
        jobs: args.jobs,
    };
    let out = args.out.clone().unwrap_or_else(|| out_of(&run, args));
    may_write_stability(&out).map_err(|error| unwritable(&out, &error))?;
    refuse_lost_inputs(&as_simulation(args), &out)?;
    let survival = survival_plan(args);
    survival.as_ref().map(check_survival).transpose()?;
    let map = run_stability(&run, &plan).map_err(failure)?;
    let survival = survival.map(|plan| run_survival(&run, &plan)).transpose().map_err(failure)?;
    let replaces = out.join("summary.json").exists();
    write_stability(&out, &run, &map, survival.as_ref()).map_err(|error| unwritable(&out, &error))?;
    print(&match args.format {
        Format::Text => match &survival {
            Some(survival) => format!("{}\n{}", stability_text(&run, &map), survival_text(survival)),
            None => stability_text(&run, &map),
        },
        Format::Json => stability_json(&run, &map, survival.as_ref()),
        Format::Markdown => match &survival {
            // A table of figures is a block of its own.
            Some(own) => format!("{}\n```text\n{}```\n", stability_markdown(&run, &map), survival_text(own)),
            None => stability_markdown(&run, &map),
        },
    })?;
    let what = if replaces { "replaced the previous map in" } else { "written to" };
    talk(&format!("{what} {}", out.display()));
    let failed = fails(VerdictStatus::Pass, stability_severity(&map), args.fail_on);
    Ok(if failed { Outcome::Failed } else { Outcome::Fine })
}

/// What the survival map is asked for, if it is.
fn survival_plan(args: &StabilityArgs) -> Option<SurvivalPlan> {
    let is_asked = args.survival || !args.from_to.is_empty() || !args.startup.is_empty();
    is_asked.then(|| SurvivalPlan {
        jumps: args.from_to.iter().map(|(from, to)| LoadJump { from: *from, to: *to }).collect(),
        startups: args.startup.clone(),
        seeds: args.seeds,
        jobs: args.jobs,
    })
}

/// `output/stability-<policy>-<scenario>-<seed>`.
fn out_of(run: &crate::scenario::ResolvedRun, args: &StabilityArgs) -> PathBuf {
    let single = crate::scenario::ResolvedRun { replications: 1, ..run.clone() };
    let own = default_output(&single, args.traffic.as_deref());
    let name = own.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    own.with_file_name(format!("stability-{name}"))
}

fn failure(error: StabilityError) -> Failure {
    match error {
        StabilityError::Input(diagnostic) => diagnostic.into(),
        StabilityError::Simulate(error) => simulation_failure(error),
    }
}

/// The world options, which are those of `simulate`.
fn as_simulation(args: &StabilityArgs) -> SimulateArgs {
    SimulateArgs {
        policy: args.policy.clone(),
        name: args.name.clone(),
        scenario: args.scenario.clone(),
        traffic: args.traffic.clone(),
        signals: args.signals.clone(),
        profile: args.profile.clone(),
        duration: None,
        seed: args.seed,
        replications: None,
        set: args.set.clone(),
        gate: Vec::new(),
        fixed_replicas: None,
        confirm: false,
        check: false,
        fail_on: args.fail_on,
        out: args.out.clone(),
        format: args.format,
    }
}

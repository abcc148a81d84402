//! From a command's outcome to an exit code: the only place that decides one.

use crate::cli::args::{Cli, Command, Component, ConformanceArgs};
use crate::cli::conformance_promql::Release;
use crate::cli::{
    calibrate, compare, conformance_hpa, conformance_promql, explain, export, lint, plot, profiles, simulate,
    stability, sweep,
};
use crate::hpa::KubernetesVersion;
use crate::units::{Diagnostic, Diagnostics};
use clap::Parser;
use std::io::Write;
use std::process::ExitCode;

/// How a command ended when it did not end well.
#[derive(Debug)]
pub(super) enum Failure {
    /// The user's input cannot be used: exit code 2.
    Input(Diagnostics),
    /// A defect of the simulator, or a file system that refuses: exit code 3.
    Internal(anyhow::Error),
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Failure::Input(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Failure::Input(diagnostic.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Internal(error.into())
    }
}

/// Whether a finished command is content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Exit code 0.
    Fine,
    /// A gate failed, a finding was bad enough, a vector did not match: exit code 1.
    Failed,
}

/// Entry point of the binary.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; everything else is a usage error.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let outcome = match cli.command {
        Command::Simulate(args) => simulate::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Stability(args) => stability::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Profiles(args) => profiles::run(&args),
        Command::Conformance(args) => conformance(&args),
    };
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(Failure::Input(diagnostics)) => {
            talk(&diagnostics.to_string());
            ExitCode::from(2)
        }
        Err(Failure::Internal(error)) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Internal(error)) => {
            talk(&format!("error: {error:#}"));
            ExitCode::from(3)
        }
    }
}

/// A reader that went away (`kedasim ... | head`) is a normal end.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Writes a line to stderr; a closed stderr is nobody's fault.
pub(super) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes the result to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let mut write = || {
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    };
    write().map_err(|error| Failure::Internal(anyhow::Error::new(error).context("cannot write to standard output")))
}

fn conformance(args: &ConformanceArgs) -> Result<Outcome, Failure> {
    let mut out = std::io::stdout().lock();
    let (passed, failed) = match args.component {
        Component::Hpa => {
            let version = hpa_version(args.version.as_deref())?;
            conformance_hpa::run(&args.files, version, &mut out).map_err(unusable)?
        }
        Component::Promql => {
            let version = promql_version(args.version.as_deref())?;
            conformance_promql::run(&args.files, version, &mut out).map_err(unusable)?
        }
    };
    if passed + failed == 0 {
        let message = "found no case in these files, expected recorded vectors";
        return Err(Diagnostic::error(None, "FILES", message).into());
    }
    if args.component == Component::Hpa && args.version.is_none() && failed > 0 {
        let recorded = |version: &&&str| args.files.iter().any(|file| file.to_string_lossy().contains(**version));
        if let Some(version) = ["1.32", "1.33", "1.34", "1.35"].iter().find(recorded) {
            talk(&format!("help: a file recorded from {version} is replayed with --version {version}"));
        }
    }
    Ok(if failed == 0 { Outcome::Fine } else { Outcome::Failed })
}

/// A file of vectors that cannot be read is the user's to mend, unless the reader of our output went away.
fn unusable(error: anyhow::Error) -> Failure {
    if is_closed_pipe(&error) {
        Failure::Internal(error)
    } else {
        Diagnostic::error(None, "", format!("{error:#}")).into()
    }
}

fn hpa_version(version: Option<&str>) -> Result<KubernetesVersion, Failure> {
    match version {
        None | Some("1.36") => Ok(KubernetesVersion::V1_36),
        Some("1.35") => Ok(KubernetesVersion::V1_35),
        Some("1.34") => Ok(KubernetesVersion::V1_34),
        Some("1.33") => Ok(KubernetesVersion::V1_33),
        Some("1.32") => Ok(KubernetesVersion::V1_32),
        Some(other) => {
            let message = format!("found {other:?}, expected a Kubernetes version from 1.32 to 1.36");
            Err(Diagnostic::error(None, "--version", message).into())
        }
    }
}

fn promql_version(version: Option<&str>) -> Result<Option<Release>, Failure> {
    match version {
        None => Ok(None),
        Some("3" | "3.14") => Ok(Some(Release::V3_14)),
        Some("3.5") => Ok(Some(Release::V3_5)),
        Some("2.55") => Ok(Some(Release::V2_55)),
        Some("2.42") => Ok(Some(Release::V2_42)),
        Some(other) => {
            let message = format!("found {other:?}, expected 2.42, 2.55, 3.5 or 3.14");
            Err(Diagnostic::error(None, "--version", message).into())
        }
    }
}

//! `kedasim lint`.

use crate::cli::args::{FailOn, LintArgs, LintFormat};
use crate::cli::outcome::{Failure, Outcome, print};
use crate::hpa::{ControllerFlags, KubernetesVersion};
use crate::keda::KedaVersion;
use crate::lint::{LintOptions, LintReport, VerdictStatus, lint};
use crate::manifest::{Input, read_sources};
use crate::prometheus::PrometheusVersion;
use crate::report::{lint_json, lint_text};
use crate::units::{Diagnostic, Severity};
use std::path::Path;

/// Runs the command.
pub(super) fn run(args: &LintArgs) -> Result<Outcome, Failure> {
    let inputs: Vec<Input> = args.policy.iter().map(|path| input(path)).collect();
    if inputs.iter().filter(|input| **input == Input::Stdin).count() > 1 {
        return Err(Diagnostic::error(None, "POLICY", "standard input (-) is given twice").into());
    }
    let options = LintOptions {
        keda: args.keda_version.as_deref().map_or(Ok(KedaVersion::default()), keda_version)?,
        flags: ControllerFlags::defaults(
            args.kubernetes_version.as_deref().map_or(Ok(KubernetesVersion::V1_36), kubernetes_version)?,
        ),
        prometheus: PrometheusVersion::V3,
        name: args.name.clone(),
    };
    let sources = read_sources(&inputs)?;
    let report = lint(&sources, &options);
    if let Some(name) = args.name.as_ref().filter(|_| report.objects().next().is_none()) {
        let all = lint(&sources, &LintOptions { name: None, ..options });
        let found: Vec<&str> = all.objects().map(|object| object.name.as_str()).collect();
        let found = if found.is_empty() { "no object".to_owned() } else { found.join(", ") };
        let message = format!("nothing to judge is called {name:?}; found {found}");
        return Err(Diagnostic::error(None, "--name", message).into());
    }
    print(&match args.format {
        LintFormat::Text => lint_text(&report),
        LintFormat::Json => lint_json(&report),
    })?;
    Ok(if is_failure(&report, args.fail_on) { Outcome::Failed } else { Outcome::Fine })
}

fn input(path: &Path) -> Input {
    if path == Path::new("-") { Input::Stdin } else { Input::Path(path.to_path_buf()) }
}

/// Whether a message is bad enough for exit code 1.
fn is_failure(report: &LintReport, fail_on: FailOn) -> bool {
    let worst = report.worst();
    match fail_on {
        FailOn::Never => false,
        FailOn::Error => worst >= Some(Severity::Error),
        FailOn::Warning => worst >= Some(Severity::Warning),
        FailOn::Note => worst >= Some(Severity::Note),
        FailOn::Undecided => {
            let undecided = report.objects().any(|object| object.verdict.status == VerdictStatus::Unknown);
            undecided || worst >= Some(Severity::Note)
        }
    }
}

fn numbers(text: &str) -> Option<Vec<u32>> {
    text.trim_start_matches('v').split('.').map(|part| part.parse().ok()).collect()
}

fn keda_version(text: &str) -> Result<KedaVersion, Failure> {
    match numbers(text).as_deref() {
        Some([2, minor]) => Ok(KedaVersion { major: 2, minor: *minor, patch: 0 }),
        Some([2, minor, patch]) => Ok(KedaVersion { major: 2, minor: *minor, patch: *patch }),
        _ => {
            let message = format!("found {text:?}, expected a version of KEDA 2, such as 2.20.2");
            Err(Diagnostic::error(None, "--keda-version", message).into())
        }
    }
}

fn kubernetes_version(text: &str) -> Result<KubernetesVersion, Failure> {
    match numbers(text).as_deref() {
        Some([1, 23..=32, ..]) => Ok(KubernetesVersion::V1_32),
        Some([1, 33, ..]) => Ok(KubernetesVersion::V1_33),
        Some([1, 34, ..]) => Ok(KubernetesVersion::V1_34),
        Some([1, 35, ..]) => Ok(KubernetesVersion::V1_35),
        Some([1, 36, ..]) => Ok(KubernetesVersion::V1_36),
        _ => {
            let message = format!("found {text:?}, expected a Kubernetes version from 1.23 to 1.36");
            Err(Diagnostic::error(None, "--kubernetes-version", message).into())
        }
    }
}

//! `kedasim lint`.

use crate::cli::args::{FailOn, LintArgs, LintReportFormat};
use crate::cli::outcome::{Failure, Outcome, print, talk};
use crate::hpa::{ControllerFlags, KubernetesVersion};
use crate::keda::KedaVersion;
use crate::lint::{Fixed, LintOptions, LintReport, RULES, VerdictStatus, fix, known_code, lint};
use crate::manifest::{Input, Source, read_sources};
use crate::prometheus::PrometheusVersion;
use crate::report::{github_annotations, lint_json, lint_rules_json, lint_rules_text, lint_text, sarif};
use crate::units::{Diagnostic, Diagnostics, Severity};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Runs the command.
pub(super) fn run(args: &LintArgs) -> Result<Outcome, Failure> {
    if args.rules {
        print(&match args.format {
            LintReportFormat::Json => lint_rules_json(&RULES),
            LintReportFormat::Text => lint_rules_text(&RULES),
            LintReportFormat::Sarif | LintReportFormat::Github => {
                let message = "the list of rules is text or JSON; sarif and github are formats of a report";
                return Err(Diagnostic::error(None, "--rules", message).into());
            }
        })?;
        return Ok(Outcome::Fine);
    }
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
        ignored: ignored(&args.ignore)?,
    };
    if args.fix && inputs.contains(&Input::Stdin) {
        let message = "standard input has no place beside it for a mended file";
        return Err(Diagnostic::error(None, "--fix", message).help("write the manifest to a file first").into());
    }
    let sources = read_sources(&inputs)?;
    let report = lint(&sources, &options);
    if let Some(name) = args.name.as_ref().filter(|_| report.objects().next().is_none()) {
        let all = lint(&sources, &LintOptions { name: None, ..options.clone() });
        let found: Vec<&str> = all.objects().map(|object| object.name.as_str()).collect();
        let found = if found.is_empty() { "no object".to_owned() } else { found.join(", ") };
        let message = format!("nothing to judge is called {name:?}; found {found}");
        return Err(Diagnostic::error(None, "--name", message).into());
    }
    if args.fix {
        write_fixed(&sources, &options)?;
    }
    print(&match args.format {
        LintReportFormat::Text => lint_text(&report),
        LintReportFormat::Json => lint_json(&report),
        LintReportFormat::Sarif => sarif(&report),
        LintReportFormat::Github => github_annotations(&report),
    })?;
    Ok(if is_failure(&report, args.fail_on) { Outcome::Failed } else { Outcome::Fine })
}

/// The codes of `--ignore`.
fn ignored(given: &[String]) -> Result<Vec<&'static str>, Failure> {
    let mut wrong = Diagnostics::new();
    let mut codes = Vec::new();
    for own in given.iter().flat_map(|own| own.split(',')) {
        match known_code(own.trim()) {
            Ok(code) => codes.push(code),
            Err(message) => {
                let error = Diagnostic::error(None, "--ignore", message);
                wrong.push(error.help("kedasim lint --rules lists them"));
            }
        }
    }
    wrong.into_result(codes).map(|(codes, _)| codes).map_err(Failure::from)
}

/// Writes the mended files beside the originals, all or none of those whose place is taken.
fn write_fixed(sources: &[Source], options: &LintOptions) -> Result<(), Failure> {
    let fixed = fix(sources, options);
    let mut taken = Diagnostics::new();
    for path in fixed.iter().map(beside).filter(|path| path.exists()) {
        let message = format!("{} is there already and is not overwritten", path.display());
        taken.push(Diagnostic::error(None, "--fix", message).help("remove it, or take it over, and try again"));
    }
    taken.into_result(())?;
    if fixed.is_empty() {
        talk("nothing to fix: no finding has a safe edit");
    }
    for own in &fixed {
        let path = beside(own);
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::AlreadyExists) => {
                let message = format!("cannot write {}: {error}", path.display());
                return Err(Diagnostic::error(None, "--fix", message).into());
            }
            Err(error) => return Err(error.into()),
        };
        file.write_all(own.text.as_bytes())?;
        let edits = if own.edits == 1 { "1 edit".to_owned() } else { format!("{} edits", own.edits) };
        talk(&format!("wrote {} ({edits}: {})", path.display(), own.codes.join(", ")));
    }
    Ok(())
}

/// `so.fixed.yaml` for `so.yaml`.
fn beside(own: &Fixed) -> PathBuf {
    Path::new(&own.file).with_extension("fixed.yaml")
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

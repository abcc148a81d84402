//! Which profile a run uses: named by the command line or the Scenario, a Profile document among the input, or (in
//! `hardware_choice`) the one that fits model and GPUs.

use crate::manifest::{Bundle, Document, Input, nearest};
use crate::replica::{Profile, ProfileKind, built_in_profiles};
use crate::scenario::hardware_choice::fitting_profile;
use crate::scenario::ledger::{Ledger, flag};
use crate::scenario::profile_file::step_time_yaml;
use crate::scenario::values::at_reference;
use crate::scenario::workload::Workload;
use crate::scenario::{HardwareWritten, Overrides, ScenarioFile, profile_warnings, read_profile, show};
use crate::units::{Diagnostic, Located, Span};
use std::path::{Path, PathBuf};

const PATH: &str = "spec.replica.profile";
/// How the file of a profile is called that was chosen and put among the documents.
pub(super) const ATTACHED: &str = "built-in profile ";

/// Chooses the profile; `None` after an error in the ledger.
pub(super) fn choose_profile(
    bundle: &Bundle,
    overrides: &Overrides,
    scenario: &ScenarioFile,
    workload: Option<&Workload>,
    ledger: &mut Ledger,
) -> Option<Profile> {
    let typed = overrides.profile.as_ref().map(|name| (Located::new(name.clone(), flag("--profile")), PathBuf::new()));
    let written = scenario.replica.profile.as_ref().map(|name| (name.clone(), folder_of(&name.span.file)));
    // What is typed goes before all that the Scenario says of model and GPU.
    let is_typed = typed.is_some();
    if let Some((name, folder)) = typed.or(written) {
        let profile = named_profile(bundle, &name, &folder, ledger)?;
        if !is_typed {
            refuse_beside_profile(&scenario.replica.hardware, &name.value, ledger)?;
        }
        ledger.given(PATH, show::text(&name.value), &name.span);
        tell_estimate(&profile, ledger);
        return Some(profile);
    }
    let mut documents = bundle.of_kind("Profile");
    if let Some(document) = documents.next() {
        if let Some(second) = documents.next() {
            let message = format!("found several Profile documents ({}, {})", document.name, second.name);
            let diagnostic = Diagnostic::error(second.root.span.clone(), PATH, message);
            ledger.push(diagnostic.help("name one with --profile or in the Scenario's replica.profile"));
            return None;
        }
        let profile = read_told(document, ledger)?;
        // One that was attached for `--set` is what model and GPU had led to.
        if !document.root.span.file.starts_with(ATTACHED) {
            refuse_beside_profile(&scenario.replica.hardware, &profile.name, ledger)?;
        }
        ledger.given(PATH, show::text(&profile.name), &document.root.span);
        tell_estimate(&profile, ledger);
        return Some(profile);
    }
    let profile = fitting_profile(&scenario.replica.hardware, workload, ledger)?;
    tell_estimate(&profile, ledger);
    Some(profile)
}

/// The document's profile, with what is doubtful in it.
fn read_told(document: &Document, ledger: &mut Ledger) -> Option<Profile> {
    let profile = ledger.take(read_profile(document))?;
    // What `--set` changes of a built-in profile is told as a value of the run.
    if !document.root.span.file.starts_with(ATTACHED) {
        for warning in profile_warnings(&profile, document) {
            ledger.push(warning);
        }
    }
    Some(profile)
}

/// A profile says model, GPU and their number itself.
fn refuse_beside_profile(hardware: &HardwareWritten, profile: &str, ledger: &mut Ledger) -> Option<()> {
    let HardwareWritten { model, gpu, tensor_parallel_size, .. } = hardware;
    let given = [
        ("model", model.as_ref().map(|own| &own.span)),
        ("gpu", gpu.as_ref().map(|own| &own.span)),
        ("tensorParallelSize", tensor_parallel_size.as_ref().map(|own| &own.span)),
    ];
    let mut refused = None;
    for (key, span) in given {
        let Some(span) = span else { continue };
        let message = format!("found {key} beside the profile {profile}, which says it already");
        let diagnostic = Diagnostic::error(span.clone(), format!("spec.replica.{key}"), message);
        ledger.push(diagnostic.help("remove one of the two"));
        refused = Some(());
    }
    if refused.is_some() { None } else { Some(()) }
}

/// Whoever reads the result must know that nobody measured the step times.
fn tell_estimate(profile: &Profile, ledger: &mut Ledger) {
    if profile.kind == ProfileKind::Estimate {
        let why = format!("estimate, not measured: {}", profile.source);
        ledger.tell("spec.replica.stepTime", step_time_yaml(&profile.step_time), why);
    }
}

fn is_file(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
}

/// The Profile document's file that command line or Scenario names, as a path from here; `None` when they name none.
pub(super) fn profile_path(bundle: &Bundle, overrides: &Overrides, scenario: &ScenarioFile) -> Option<(PathBuf, Span)> {
    let (name, folder, span) = match (&overrides.profile, &scenario.replica.profile) {
        (Some(name), _) => (name, PathBuf::new(), flag("--profile")),
        (None, Some(name)) => (&name.value, folder_of(&name.span.file), name.span.clone()),
        (None, None) => return None,
    };
    let is_document = bundle.of_kind("Profile").any(|document| document.name == *name);
    (is_file(name) && !is_document).then(|| (folder.join(name), span))
}

/// The folder of a file as the user named it.
pub(super) fn folder_of(file: &str) -> PathBuf {
    Path::new(file).parent().map(PathBuf::from).unwrap_or_default()
}

/// A built-in profile, a Profile document of that name, or a file with one.
fn named_profile(bundle: &Bundle, name: &Located<String>, folder: &Path, ledger: &mut Ledger) -> Option<Profile> {
    if let Some(document) = bundle.of_kind("Profile").find(|document| document.name == name.value) {
        return read_told(document, ledger);
    }
    let built_in = built_in_profiles();
    if let Some(profile) = built_in.iter().find(|profile| profile.name == name.value) {
        return Some(profile.clone());
    }
    if let Some(document) = bundle.of_kind("Profile").find(|own| own.file.as_ref() == Some(&folder.join(&name.value))) {
        return read_told(document, ledger);
    }
    if !is_file(&name.value) {
        let message = format!("there is no built-in profile and no Profile document called {:?}", name.value);
        let diagnostic = Diagnostic::error(name.span.clone(), PATH, message);
        let guess = nearest(&name.value, built_in.iter().map(|profile| profile.name.as_str()));
        let guess = guess.map(|guess| format!("did you mean {guess}? ")).unwrap_or_default();
        ledger.push(diagnostic.help(format!("{guess}built-in profiles: {}", names(&built_in))));
        return None;
    }
    let loaded = Bundle::load(&[Input::Path(folder.join(&name.value))]);
    let loaded = ledger.take(loaded.map_err(|found| at_reference(found, &name.span, PATH)))?;
    let documents: Vec<_> = loaded.of_kind("Profile").collect();
    if let [document] = documents.as_slice() {
        return read_told(document, ledger);
    }
    let message = format!("found {} Profile documents in {}, expected one", documents.len(), name.value);
    ledger.push(Diagnostic::error(name.span.clone(), PATH, message));
    None
}

fn names(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
}

//! Which profile a run uses: named by the command line or the Scenario, a Profile document among the input, or the one
//! built-in that fits model and GPUs.

use crate::manifest::{Bundle, Input, nearest};
use crate::replica::{Profile, built_in_profiles};
use crate::scenario::ledger::{Ledger, flag};
use crate::scenario::values::at_reference;
use crate::scenario::workload::Workload;
use crate::scenario::{Origin, Overrides, ScenarioFile, read_profile, show};
use crate::units::{Diagnostic, Located, Span};
use std::path::{Path, PathBuf};

const PATH: &str = "spec.replica.profile";

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
    if let Some((name, folder)) = typed.or(written) {
        let profile = named_profile(bundle, &name, &folder, ledger)?;
        ledger.given(PATH, show::text(&name.value), &name.span);
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
        let profile = ledger.take(read_profile(document))?;
        ledger.given(PATH, show::text(&profile.name), &document.root.span);
        return Some(profile);
    }
    fitting_profile(workload, ledger)
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
        return ledger.take(read_profile(document));
    }
    let built_in = built_in_profiles();
    if let Some(profile) = built_in.iter().find(|profile| profile.name == name.value) {
        return Some(profile.clone());
    }
    if let Some(document) = bundle.of_kind("Profile").find(|own| own.file.as_ref() == Some(&folder.join(&name.value))) {
        return ledger.take(read_profile(document));
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
        return ledger.take(read_profile(document));
    }
    let message = format!("found {} Profile documents in {}, expected one", documents.len(), name.value);
    ledger.push(Diagnostic::error(name.span.clone(), PATH, message));
    None
}

fn fitting_profile(workload: Option<&Workload>, ledger: &mut Ledger) -> Option<Profile> {
    let built_in = built_in_profiles();
    let help = "name one with --profile or in the Scenario's replica.profile";
    let Some(workload) = workload else {
        let message = format!("no profile given and no model to choose one by; candidates: {}", names(&built_in));
        ledger.push(Diagnostic::error(None, PATH, message).help(help));
        return None;
    };
    let gpus = workload.gpus();
    let model = workload.model_id.as_ref().map(|id| model_key(&id.value));
    let of_model: Vec<Profile> = match &model {
        Some(model) => built_in.iter().filter(|profile| model_key(&profile.model) == *model).cloned().collect(),
        None => Vec::new(),
    };
    let fitting: Vec<&Profile> =
        of_model.iter().filter(|profile| gpus.is_none_or(|gpus| gpus == profile.gpus)).collect();
    if let [profile] = fitting.as_slice() {
        let hardware = if profile.gpus == 0 { "on CPU".to_owned() } else { format!("on {} GPU(s)", profile.gpus) };
        let why = format!("the only built-in profile for the model of {} {hardware}", workload.what);
        ledger.tell(PATH, show::text(&profile.name), why);
        ledger.note(PATH, show::text(&profile.name), Origin::Assumed);
        return Some((*profile).clone());
    }
    let candidates = if !fitting.is_empty() {
        fitting.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
    } else if of_model.is_empty() {
        names(&built_in)
    } else {
        names(&of_model)
    };
    let found = workload.model_id.as_ref().map_or("no model id".to_owned(), |id| format!("model {:?}", id.value));
    let asked = gpus.map_or("no resource limits".to_owned(), |gpus| format!("{gpus} GPUs"));
    let message =
        format!("{} ({found}, {asked}) does not point at one profile; candidates: {candidates}", workload.what);
    let span = workload.model_id.as_ref().map_or_else(|| workload.span.clone(), |id| id.span.clone());
    ledger.push(Diagnostic::error(span, PATH, message).help(help));
    None
}

/// The last part of a model's name, without case, and without the suffix that only says it is tuned for chat.
fn model_key(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model).to_lowercase();
    last.strip_suffix("-instruct").map_or_else(|| last.clone(), str::to_owned)
}

fn names(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
}

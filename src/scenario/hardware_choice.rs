//! The profile that fits a model on its GPUs: the built-in one, else an estimate from architecture and data sheet.

use crate::replica::{
    GPUS, Gpu, ModelConfig, Profile, built_in_profiles, estimated_profile, gpu_by_label, gpu_by_name, known_model,
    model_key,
};
use crate::scenario::hardware_written::model_yaml;
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::scenario::{HardwareWritten, ModelWritten, Origin, show};
use crate::units::{Diagnostic, Located, Span};

const PATH: &str = "spec.replica.profile";
const MODEL: &str = "spec.replica.model";
const GPU: &str = "spec.replica.gpu";
const TENSOR_PARALLEL: &str = "spec.replica.tensorParallelSize";
const HELP: &str = "name one with --profile or in the Scenario's replica.profile";
/// Labels of nodes that say which GPU they have.
const GPU_LABELS: [&str; 3] =
    ["nvidia.com/gpu.product", "cloud.google.com/gke-accelerator", "karpenter.k8s.aws/instance-gpu-name"];

/// What is known of a replica's hardware.
struct Asked<'a> {
    workload: Option<&'a Workload>,
    model: Option<Located<String>>,
    gpu: Option<Located<&'static Gpu>>,
    /// Tensor parallel size; 0: no GPU at all.
    gpus: Option<Located<u32>>,
}

/// The profile for what Scenario and workload say; `None` after an error in the ledger.
pub(super) fn fitting_profile(
    hardware: &HardwareWritten,
    workload: Option<&Workload>,
    ledger: &mut Ledger,
) -> Option<Profile> {
    let gpu = asked_gpu(hardware, workload, ledger)?;
    let gpus = asked_gpus(hardware, workload, ledger)?;
    let (model, config) = match &hardware.model {
        Some(given) => match &given.value {
            ModelWritten::Id(id) => (Some(Located::new(id.clone(), given.span.clone())), None),
            ModelWritten::Config(name, config) => {
                (Some(Located::new(name.clone(), given.span.clone())), Some(config.as_ref()))
            }
        },
        None => (workload.and_then(|workload| workload.model_id.clone()), None),
    };
    let asked = Asked { workload, model, gpu, gpus };
    if let Some(config) = config {
        let mut profile = estimate(&asked, &short_name(asked.name()), config, ledger)?;
        // Not to be taken for a built-in one of a model with such a name.
        profile.name.push_str("-estimate");
        return Some(profile);
    }
    let Some(id) = asked.model.as_ref() else {
        if workload.is_none() {
            let all = names(&built_in_profiles());
            let message = format!("no profile given and no model to choose one by; candidates: {all}");
            ledger.push(Diagnostic::error(None, PATH, message).help(HELP));
        } else {
            refuse(&asked, &built_in_profiles(), ledger);
        }
        return None;
    };
    let key = model_key(&id.value);
    let of_model: Vec<Profile> =
        built_in_profiles().into_iter().filter(|profile| model_key(&profile.model) == key).collect();
    let fitting: Vec<Profile> = of_model.iter().filter(|profile| asked.fits(profile)).cloned().collect();
    match (fitting.as_slice(), &asked.gpu) {
        ([profile], Some(_)) => chosen(&asked, profile, ledger),
        // Without a GPU there is nothing to guess.
        ([profile], None) if profile.gpus == 0 => chosen(&asked, profile, ledger),
        ([], Some(_)) => {
            let Some(known) = known_model(&id.value) else {
                refuse(&asked, if of_model.is_empty() { &[] } else { &of_model }, ledger);
                return None;
            };
            estimate(&asked, known.short, &known.config, ledger)
        }
        _ => {
            let candidates = if fitting.is_empty() { of_model } else { fitting };
            refuse(&asked, &candidates, ledger);
            None
        }
    }
}

impl Asked<'_> {
    fn name(&self) -> &str {
        self.model.as_ref().map_or("", |model| model.value.as_str())
    }

    fn fits(&self, profile: &Profile) -> bool {
        self.gpu.as_ref().is_none_or(|gpu| gpu.value.name == profile.gpu)
            && self.gpus.as_ref().is_none_or(|gpus| gpus.value == profile.gpus)
    }

    fn what(&self) -> String {
        self.workload.map_or_else(|| "the Scenario".to_owned(), |workload| workload.what.clone())
    }

    /// The place of whatever could be changed.
    fn span(&self) -> Option<Span> {
        let model = self.model.as_ref().map(|model| model.span.clone());
        model.or_else(|| self.workload.map(|workload| workload.span.clone()))
    }
}

/// Notes a built-in profile as chosen. `replica.gpu` and the like stand in the resolved scenario as the profile's name.
fn chosen(asked: &Asked<'_>, profile: &Profile, ledger: &mut Ledger) -> Option<Profile> {
    let hardware = match (&asked.gpu, profile.gpus) {
        (_, 0) => "on CPU".to_owned(),
        (Some(gpu), 1) => format!("on one {}", gpu.value.name),
        (_, gpus) => format!("on {gpus} x {}", profile.gpu),
    };
    let why = format!("the only built-in profile for the model of {} {hardware}", asked.what());
    ledger.tell(PATH, show::text(&profile.name), why);
    ledger.note(PATH, show::text(&profile.name), Origin::Assumed);
    Some(profile.clone())
}

fn estimate(asked: &Asked<'_>, short: &str, config: &ModelConfig, ledger: &mut Ledger) -> Option<Profile> {
    let Some(gpu) = &asked.gpu else {
        let known: Vec<&str> = GPUS.iter().map(|gpu| gpu.name).collect();
        let message =
            format!("the model {:?} is given without a GPU, expected one of {}", asked.name(), known.join(", "));
        ledger.push(Diagnostic::error(asked.span(), GPU, message).help("give replica.gpu"));
        return None;
    };
    let gpus = asked.gpus.as_ref().map_or(1, |gpus| gpus.value);
    let profile = match estimated_profile(short, asked.name(), config, gpu.value, gpus) {
        Ok(profile) => profile,
        Err(why) => {
            let span = asked.gpus.as_ref().map_or_else(|| gpu.span.clone(), |gpus| gpus.span.clone());
            let message = format!("no estimate for {:?}: {why}", asked.name());
            let help = "take other GPUs or another --tensor-parallel-size, or describe the engine with a kind: Profile";
            ledger.push(Diagnostic::error(span, TENSOR_PARALLEL, message).help(help));
            return None;
        }
    };
    let model = match known_model(asked.name()).filter(|known| known.config == *config) {
        Some(_) => show::text(asked.name()),
        None => model_yaml(&show::text(asked.name()), config),
    };
    let note = |ledger: &mut Ledger, path: &str, value: String, span: Option<&Span>| match span {
        Some(span) => ledger.given(path, value, span),
        None => ledger.assumed(path, value, "vLLM's default"),
    };
    note(ledger, MODEL, model, asked.model.as_ref().map(|own| &own.span));
    note(ledger, GPU, show::text(gpu.value.name), Some(&gpu.span));
    note(ledger, TENSOR_PARALLEL, gpus.to_string(), asked.gpus.as_ref().map(|own| &own.span));
    Some(profile)
}

/// The GPU that Scenario or node labels name; the outer `None` after an error in the ledger.
fn asked_gpu(
    hardware: &HardwareWritten,
    workload: Option<&Workload>,
    ledger: &mut Ledger,
) -> Option<Option<Located<&'static Gpu>>> {
    let (given, found, path) = if let Some(given) = &hardware.gpu {
        (given, gpu_by_name(&given.value), GPU)
    } else {
        let labels = workload.map_or(&[][..], |workload| &workload.template.node_labels);
        let Some((_, given)) = labels.iter().find(|(key, _)| GPU_LABELS.contains(&key.as_str())) else {
            return Some(None);
        };
        // Pods without a GPU may stand on such a node all the same, and a slice of a GPU is not one.
        if workload.is_some_and(|workload| workload.gpus() == Some(0) || workload.template.has_gpu_slices) {
            return Some(None);
        }
        (given, gpu_by_label(&given.value), "nodeSelector")
    };
    if let Some(gpu) = found {
        return Some(Some(Located::new(gpu, given.span.clone())));
    }
    let known: Vec<&str> = GPUS.iter().map(|gpu| gpu.name).collect();
    let message = format!("found GPU {:?}, expected one of {}", given.value, known.join(", "));
    let help = "name a profile with --profile or in replica.profile: a built-in one, or a kind: Profile of this GPU";
    ledger.push(Diagnostic::error(given.span.clone(), path, message).help(help));
    None
}

/// The tensor parallel size; the outer `None` after an error in the ledger.
fn asked_gpus(
    hardware: &HardwareWritten,
    workload: Option<&Workload>,
    ledger: &mut Ledger,
) -> Option<Option<Located<u32>>> {
    if let Some(given) = &hardware.tensor_parallel_size {
        return Some(Some(given.clone()));
    }
    let Some(workload) = workload else { return Some(None) };
    let asked = workload.template.gpus.as_ref().map(|gpus| (workload.gpus().unwrap_or(0), &gpus.span));
    match workload.args.number("tensor-parallel-size") {
        // On CPU the argument says how many sockets; the profile's GPUs are none.
        Ok(Some(given)) if asked.is_none_or(|(gpus, _)| gpus > 0) => Some(Some(given)),
        Ok(_) => {
            let Some((gpus, span)) = asked else { return Some(None) };
            let is_split =
                ["pipeline-parallel-size", "data-parallel-size"].iter().any(|flag| workload.args.get(flag).is_some());
            if gpus > 1 && !is_split {
                let message = format!(
                    "{} asks for {gpus} GPUs without --tensor-parallel-size: vLLM would use one of them; a profile for \
                     {gpus} is looked for",
                    workload.what
                );
                let diagnostic = Diagnostic::warning(span.clone(), TENSOR_PARALLEL, message);
                ledger.push(diagnostic.help(format!("add --tensor-parallel-size={gpus}")));
            }
            Some(Some(Located::new(gpus, span.clone())))
        }
        Err(diagnostic) => {
            ledger.push(diagnostic);
            None
        }
    }
}

fn refuse(asked: &Asked<'_>, candidates: &[Profile], ledger: &mut Ledger) {
    let all;
    let candidates = if candidates.is_empty() {
        all = built_in_profiles();
        &all
    } else {
        candidates
    };
    let found = asked.model.as_ref().map_or("no model id".to_owned(), |id| format!("model {:?}", id.value));
    let gpus = asked.gpus.as_ref().map_or("no resource limits".to_owned(), |gpus| format!("{} GPUs", gpus.value));
    let gpu = asked.gpu.as_ref().map_or("of no stated kind".to_owned(), |gpu| gpu.value.name.to_owned());
    let kind = if asked.gpus.as_ref().is_some_and(|gpus| gpus.value == 0) { String::new() } else { format!(" {gpu}") };
    let message = format!(
        "{} ({found}, {gpus}{kind}) does not point at one profile; candidates: {}",
        asked.what(),
        names(candidates)
    );
    let help = format!("{HELP}, or give replica.gpu (and replica.model)");
    ledger.push(Diagnostic::error(asked.span(), PATH, message).help(help));
}

/// The model's name as part of a profile's.
fn short_name(model: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    model_key(model).chars().map(plain).collect()
}

fn names(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| profile.name.as_str()).collect::<Vec<_>>().join(", ")
}

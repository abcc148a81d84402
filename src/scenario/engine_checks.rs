//! What vLLM itself would say of an engine's arguments, and what its image tells.

use crate::manifest::nearest;
use crate::replica::{Profile, known_model, model_key};
use crate::scenario::ReplicaWritten;
use crate::scenario::known_args::{is_known, known_arguments};
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::scenario::written_sections::vllm_version;
use crate::units::{Diagnostic, Located};

/// `--block-size` of vLLM (`vllm/config/cache.py`, `BlockSize`).
const BLOCK_SIZES: [u32; 7] = [1, 8, 16, 32, 64, 128, 256];
/// With it vLLM takes a length above the model's own.
const ALLOW_LONG: &str = "VLLM_ALLOW_LONG_MAX_MODEL_LEN";
/// Arguments that change how long the model's positions reach.
const OTHER_POSITIONS: [&str; 3] = ["rope-scaling", "rope-theta", "hf-overrides"];

/// vLLM refuses a `--max-model-len` above what the model's configuration says (`_get_and_verify_max_len`), unless a variable
/// of the container allows it. Of a model that is not the profile's nothing is known.
pub(super) fn refuse_long_length(
    written: &ReplicaWritten,
    workload: Option<&Workload>,
    profile: &Profile,
    length: u32,
    ledger: &mut Ledger,
) {
    let of_args = || workload?.args.get("max-model-len").map(|given| given.span.clone());
    let Some(place) = written.max_model_len.as_ref().map(|given| given.span.clone()).or_else(of_args) else { return };
    let is_changed = workload.is_some_and(|own| {
        let allows = |(name, value): &(String, Located<String>)| {
            name == ALLOW_LONG && matches!(value.value.to_lowercase().as_str(), "1" | "true")
        };
        own.template.env.iter().any(allows) || OTHER_POSITIONS.iter().any(|name| own.args.has(name))
    });
    let served = workload.and_then(|own| own.model_id.as_ref()).map(|id| id.value.as_str());
    let known = known_model(served.unwrap_or(&profile.model));
    let is_profiles = served.is_none_or(|served| model_key(served) == model_key(&profile.model));
    let (own, of) = match known {
        Some(model) => (model.config.max_model_len, model.name.to_owned()),
        None if is_profiles => (profile.max_model_len, format!("profile {}", profile.name)),
        None => return,
    };
    if length <= own || is_changed {
        return;
    }
    let message = format!("found a length of {length} tokens, expected at most the {own} of {of}");
    let help = format!(
        "vLLM would not start: lower --max-model-len, or set {ALLOW_LONG}=1 in the container's env; if the model takes more, \
         say so in the profile's maxModelLen"
    );
    ledger.push(Diagnostic::error(place, "spec.replica.maxModelLen", message).help(help));
}

/// vLLM takes a few block sizes only; what hybrid models and plugins add to them are multiples of 16.
pub(super) fn check_block_size(
    written: &ReplicaWritten,
    workload: Option<&Workload>,
    block_size: u32,
    ledger: &mut Ledger,
) {
    if BLOCK_SIZES.contains(&block_size) {
        return;
    }
    let of_args = || workload?.args.get("block-size").map(|given| given.span.clone());
    let place = written.block_size.as_ref().map(|given| given.span.clone()).or_else(of_args);
    let sizes = BLOCK_SIZES.map(|size| size.to_string()).join(", ");
    let message = format!("found blocks of {block_size} tokens, expected one of {sizes}");
    let path = "spec.replica.blockSize";
    ledger.push(if block_size.is_multiple_of(16) {
        Diagnostic::warning(place, path, message).help("vLLM takes other multiples of 16 for some models only")
    } else {
        Diagnostic::error(place, path, message).help("vLLM would not start")
    });
}

/// The release in the tag of vLLM's own image (`vllm/vllm-openai:v0.11.0`), if it is one that is modelled. Other images have
/// numbers of their own.
pub(super) fn image_version(workload: Option<&Workload>) -> Option<Located<(u32, u32)>> {
    let image = workload?.template.image.as_ref()?;
    let name = image.value.split('@').next()?;
    let (repository, tag) = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let mut parts = repository.rsplit('/');
    let last = parts.next()?;
    let is_own = match parts.next() {
        Some("vllm") => last.starts_with("vllm-openai"),
        // A registry's host, or nothing.
        Some(host) if host.contains(['.', ':']) => last == "vllm-openai",
        None => last == "vllm-openai",
        Some(_) => last == "vllm-cpu-release-repo",
    };
    if !is_own {
        return None;
    }
    // v0.11.0, 0.11.0, v0.11.0-cu128, v0.11.0.post1, v0.11.0rc2.
    let mut numbers = tag.strip_prefix('v').unwrap_or(tag).split('.');
    let (major, minor) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    numbers.next()?.starts_with(|first: char| first.is_ascii_digit()).then_some(())?;
    vllm_version(&[major, minor]).ok().map(|version| Located::new(version, image.span.clone()))
}

/// Arguments that no server of ours takes: vLLM would not start, KServe's server passes them over, and a mistake of spelling
/// would change the run in silence.
pub(super) fn warn_of_unknown_arguments(workload: Option<&Workload>, ledger: &mut Ledger) {
    let Some(workload) = workload else { return };
    for (name, given) in workload.args.of_the_server() {
        if is_known(name) {
            continue;
        }
        let message = format!("found --{name}, which is no argument of vLLM that is known here; it is not used");
        let guess = nearest(name, known_arguments()).map(|guess| format!("did you mean --{guess}? "));
        let help = format!("{}vLLM does not start with arguments that it does not know", guess.unwrap_or_default());
        ledger.push(Diagnostic::warning(given.span.clone(), "args", message).help(help));
    }
}

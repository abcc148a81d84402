//! `kind: Profile` to a profile.

use crate::manifest::{Document, Fields, Node, UnknownKeys};
use crate::replica::{
    BLOCK_SIZE_DEFAULT, ExpertWeights, KvMemory, Profile, ProfileKind, StepTime, StepTimeCoefficients, gpu_by_name,
};
use crate::scenario::show;
use crate::scenario::values::{choice, count, name_kind, non_negative, positive, request_overhead, spec_of};
use crate::units::{Diagnostic, Diagnostics, Located, Span, shown_number};

/// Reads a Profile document.
///
/// # Errors
/// All mistakes, located.
pub fn read_profile(document: &Document) -> Result<Profile, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let profile = profile(document, &mut diagnostics);
    name_kind("Profile", &mut diagnostics);
    match profile {
        Some(profile) if !diagnostics.has_errors() => Ok(profile),
        _ => Err(diagnostics),
    }
}

fn profile(document: &Document, diagnostics: &mut Diagnostics) -> Option<Profile> {
    let (name, spec) = spec_of(&document.root, diagnostics)?;
    let mut fields = Fields::of(spec, "spec", diagnostics)?;
    if name.is_none() {
        let place = document.root.span.clone();
        diagnostics.push(Diagnostic::error(place, "metadata.name", "the required field name is missing"));
    }
    let model = fields.string("model", diagnostics);
    let model = fields.required("model", model, diagnostics);
    let gpu = fields.string("gpu", diagnostics);
    let gpu = fields.required("gpu", gpu, diagnostics);
    let gpus = fields.integer("gpus", 0..=64, diagnostics);
    refuse_no_gpus(gpu.as_ref(), gpus.as_ref(), diagnostics);
    let gpus = gpus.map_or(1, |gpus| gpus.value);
    let gpus = u32::try_from(gpus).expect("the range was checked");
    let kinds = ProfileKind::ALL.map(|kind| (kind.word(), kind));
    let kind = choice(&mut fields, "kind", &kinds, &[], diagnostics);
    let step_time = fields.fields("stepTime", diagnostics);
    let step_time = fields.required("stepTime", step_time, diagnostics);
    let step_time = step_time.and_then(|inner| read_step_time(inner, diagnostics));
    let overhead = request_overhead(&mut fields, diagnostics);
    let kv_tokens = fields.integer("kvTokens", i64::from(BLOCK_SIZE_DEFAULT)..=LARGEST_TOKENS, diagnostics);
    let memory_node = fields.node("memory");
    let memory = fields.fields("memory", diagnostics).zip(memory_node);
    let memory = memory.and_then(|(inner, node)| read_memory(inner, node, gpu.as_ref(), diagnostics));
    let max_num_seqs = bounded(&mut fields, "maxNumSeqs", LARGEST_BATCH, diagnostics);
    let max_num_seqs = fields.required("maxNumSeqs", max_num_seqs, diagnostics);
    let batched = bounded(&mut fields, "maxNumBatchedTokens", LARGEST_BATCH, diagnostics);
    let batched = fields.required("maxNumBatchedTokens", batched, diagnostics);
    let max_model_len = bounded(&mut fields, "maxModelLen", LARGEST_LENGTH, diagnostics);
    let max_model_len = fields.required("maxModelLen", max_model_len, diagnostics);
    let source = fields.string("source", diagnostics);
    let error = fields.string("error", diagnostics);
    // A capacity given outright goes before what would follow from memory.
    let kv_tokens = match (kv_tokens, memory_node) {
        (Some(given), _) => Some((u64::try_from(given.value).expect("the range was checked"), None)),
        (None, Some(node)) => capacity(node, memory, gpus, step_time.as_ref(), batched, diagnostics),
        (None, None) => {
            let place = fields.span.clone();
            if !fields.keys().any(|key| key.name == "kvTokens") {
                let diagnostic = Diagnostic::error(place, "spec.kvTokens", "the required field kvTokens is missing");
                let help =
                    "give kvTokens as vLLM logs them at start-up, or memory: {gpuGiB, weightsGiB, kvBytesPerToken}";
                diagnostics.push(diagnostic.help(help));
            }
            None
        }
    };
    fields.finish(UnknownKeys::Error, diagnostics);
    let (kv_tokens, memory) = kv_tokens?;
    Some(Profile {
        name: name?.value,
        model: model?.value,
        gpu: gpu?.value,
        gpus,
        kind: kind.map_or(ProfileKind::Own, |given| given.value),
        step_time: step_time?,
        request_overhead_ms: overhead.map_or(10.0, |given| given.value),
        kv_tokens,
        memory,
        max_num_seqs: max_num_seqs?,
        max_num_batched_tokens: batched?,
        max_model_len: max_model_len?,
        source: source.map_or_else(|| "user".to_owned(), |given| given.value),
        error: error.map_or_else(|| "not stated".to_owned(), |given| given.value),
    })
}

/// Above these a number is a mistake of units.
const LARGEST_TOKENS: i64 = 10_000_000_000;
const LARGEST_BATCH: i64 = 10_000_000;
const LARGEST_LENGTH: i64 = 1_000_000_000;
const LARGEST_GIB: f64 = 10_000.0;
/// A thousandth of a GiB is half a million parameters.
const SMALLEST_WEIGHTS_GIB: f64 = 1e-3;
/// What torch sees differs by a little from card to card.
const ROOM_OF_GPU: f64 = 1.02;
/// From here on the knee is the hard roofline to a hundredth of a per cent.
const LARGEST_KNEE: f64 = 100.0;

fn bounded(fields: &mut Fields<'_>, key: &'static str, largest: i64, diagnostics: &mut Diagnostics) -> Option<u32> {
    let given = fields.integer(key, 1..=largest, diagnostics)?;
    Some(u32::try_from(given.value).expect("the bounds fit 32 bits"))
}

/// Replicas without GPUs are billed no GPU-hours, so a GPU that is named must be counted.
fn refuse_no_gpus(gpu: Option<&Located<String>>, gpus: Option<&Located<i64>>, diagnostics: &mut Diagnostics) {
    let (Some(gpu), Some(gpus)) = (gpu, gpus.filter(|gpus| gpus.value == 0)) else { return };
    if gpu_by_name(&gpu.value).is_some() {
        let message = format!("found 0 GPUs per replica with gpu {}, expected at least 1", gpu.value);
        let diagnostic = Diagnostic::error(gpus.span.clone(), "spec.gpus", message);
        diagnostics.push(diagnostic.help("0 is for engines without a GPU: write gpu: CPU then"));
    }
}

/// What the cache holds with the memory of `node`, and that memory.
fn capacity(
    node: &Node,
    memory: Option<KvMemory>,
    gpus: u32,
    step_time: Option<&StepTimeCoefficients>,
    batched: Option<u32>,
    diagnostics: &mut Diagnostics,
) -> Option<(u64, Option<KvMemory>)> {
    let memory = memory?;
    match Profile::default_kv_tokens(&memory, gpus, step_time?, batched?) {
        Ok(tokens) => Some((tokens, Some(memory))),
        Err(sum) => {
            let message = format!("the model does not fit: {sum}");
            let help =
                "every number of memory is per GPU; give kvTokens if vLLM starts with other settings than its defaults";
            diagnostics.push(Diagnostic::error(node.span.clone(), "spec.memory", message).help(help));
            None
        }
    }
}

fn read_memory(
    mut fields: Fields<'_>,
    node: &Node,
    gpu: Option<&Located<String>>,
    diagnostics: &mut Diagnostics,
) -> Option<KvMemory> {
    let gpu_gib = gib(&mut fields, "gpuGiB", positive, diagnostics);
    let gpu_gib = fields.required("gpuGiB", gpu_gib, diagnostics);
    let weights_gib = gib(&mut fields, "weightsGiB", positive, diagnostics);
    let weights_gib = fields.required("weightsGiB", weights_gib, diagnostics);
    let bytes = fields.integer("kvBytesPerToken", 1..=1_000_000_000, diagnostics);
    let bytes = fields.required("kvBytesPerToken", bytes, diagnostics);
    let other_gib = gib(&mut fields, "otherGiB", non_negative, diagnostics);
    if let Some(weights) = weights_gib.filter(|weights| *weights < SMALLEST_WEIGHTS_GIB) {
        let found = shown_number(weights);
        let message = format!("found {found}, expected at least {SMALLEST_WEIGHTS_GIB} GiB per GPU");
        let place = node.get("weightsGiB").unwrap_or(node).span.clone();
        diagnostics.push(Diagnostic::error(place, fields.path_of("weightsGiB"), message));
    }
    if let (Some(found), Some(gpu)) = (gpu_gib, gpu.and_then(|gpu| gpu_by_name(&gpu.value)))
        && found > ROOM_OF_GPU * gpu.memory_gib
    {
        let message = format!("found {} GiB, but an {} has {}", shown_number(found), gpu.name, gpu.memory_gib);
        let place = node.get("gpuGiB").unwrap_or(node).span.clone();
        let diagnostic = Diagnostic::error(place, fields.path_of("gpuGiB"), message);
        diagnostics.push(diagnostic.help("the number is per GPU; another GPU has another name in spec.gpu"));
    }
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(KvMemory {
        gpu_gib: gpu_gib?,
        weights_gib: weights_gib?,
        kv_bytes_per_token: u64::try_from(bytes?.value).expect("the range was checked"),
        other_gib,
    })
}

type NumberReader = fn(&mut Fields<'_>, &'static str, &mut Diagnostics) -> Option<Located<f64>>;

fn gib(fields: &mut Fields<'_>, key: &'static str, read: NumberReader, diagnostics: &mut Diagnostics) -> Option<f64> {
    let given = read(fields, key, diagnostics)?;
    if given.value > LARGEST_GIB {
        let message = format!("found {}, expected at most {LARGEST_GIB} GiB", shown_number(given.value));
        diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
        return None;
    }
    Some(given.value)
}

fn read_step_time(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Option<StepTimeCoefficients> {
    let (span, path) = (fields.span.clone(), fields.path.clone());
    let before = diagnostics.0.len();
    let mut coefficient = |key: &'static str| non_negative(&mut fields, key, diagnostics).map(|given| given.value);
    let t0 = coefficient("t0Ms");
    let w = coefficient("wMs");
    let cp = coefficient("cpUsPerToken");
    let ca = coefficient("caNsPerPair");
    let ck = coefficient("ckNsPerToken");
    let cs = coefficient("csUsPerSeq");
    let w = fields.required("wMs", w, diagnostics);
    let cp = fields.required("cpUsPerToken", cp, diagnostics);
    let knee = positive(&mut fields, "knee", diagnostics);
    if let Some(knee) = &knee {
        check_knee(knee, &fields.path_of("knee"), diagnostics);
    }
    let experts = fields.fields("experts", diagnostics).and_then(|inner| read_experts(inner, diagnostics));
    fields.finish(UnknownKeys::Error, diagnostics);
    let read = StepTimeCoefficients {
        t0_ms: t0.unwrap_or(0.0),
        w_ms: w?,
        experts,
        cp_us_per_token: cp?,
        ca_ns_per_pair: ca.unwrap_or(0.0),
        ck_ns_per_token: ck.unwrap_or(0.0),
        cs_us_per_seq: cs.unwrap_or(0.0),
        knee: knee.map_or(2.0, |knee| knee.value),
    };
    if diagnostics.0.len() == before {
        check_step_time(&read, span, &path, diagnostics);
    }
    Some(read)
}

/// The exponent between 1 (the plain affine model) and what is as good as the hard roofline.
pub(super) fn check_knee(knee: &Located<f64>, path: &str, diagnostics: &mut Diagnostics) {
    if !(1.0..=LARGEST_KNEE).contains(&knee.value) {
        let found = shown_number(knee.value);
        let message = format!("found {found}, expected an exponent of at least 1 and at most {LARGEST_KNEE}");
        let diagnostic = Diagnostic::error(knee.span.clone(), path, message);
        diagnostics
            .push(diagnostic.help("1 adds compute to the memory floor, 2 is usual, 100 takes the larger of them"));
    }
}

/// Numbers that are right one by one and impossible together.
pub(super) fn check_step_time(step_time: &StepTimeCoefficients, span: Span, path: &str, diagnostics: &mut Diagnostics) {
    let weightless = step_time.w_ms == 0.0 && step_time.experts.is_none_or(|experts| experts.w_ms == 0.0);
    let found = if weightless && step_time.cp_us_per_token == 0.0 {
        Some("found wMs and cpUsPerToken of 0, expected the linear layers to take time".to_owned())
    } else {
        StepTime::new(step_time).err()
    };
    if let Some(message) = found {
        diagnostics.push(Diagnostic::error(span, path, message));
    }
}

fn read_experts(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Option<ExpertWeights> {
    let w = non_negative(&mut fields, "wMs", diagnostics);
    let w = fields.required("wMs", w, diagnostics);
    let total = count(&mut fields, "count", diagnostics);
    let total = fields.required("count", total, diagnostics);
    let per_token = count(&mut fields, "perToken", diagnostics);
    let per_token = fields.required("perToken", per_token, diagnostics);
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(ExpertWeights { w_ms: w?.value, count: total?.value, per_token: per_token?.value })
}

/// Coefficients as the value of `stepTime`.
pub(super) fn step_time_yaml(step: &StepTimeCoefficients) -> String {
    let experts = step.experts.map(|ExpertWeights { w_ms, count, per_token }| {
        format!(" experts: {{wMs: {w_ms}, count: {count}, perToken: {per_token}}},")
    });
    format!(
        "{{t0Ms: {}, wMs: {},{} cpUsPerToken: {}, caNsPerPair: {}, ckNsPerToken: {}, csUsPerSeq: {}, knee: {}}}",
        step.t0_ms,
        step.w_ms,
        experts.unwrap_or_default(),
        step.cp_us_per_token,
        step.ca_ns_per_pair,
        step.ck_ns_per_token,
        step.cs_us_per_seq,
        step.knee,
    )
}

/// The profile as a `kind: Profile` document, which [`read_profile`] reads back the same.
pub fn profile_yaml(profile: &Profile) -> String {
    let capacity = match &profile.memory {
        None => format!("kvTokens: {}", profile.kv_tokens),
        Some(memory) => {
            let other = memory.other_gib.map(|gib| format!(", otherGiB: {gib}")).unwrap_or_default();
            format!(
                "memory: {{gpuGiB: {}, weightsGiB: {}, kvBytesPerToken: {}{other}}} # per GPU; {} tokens of KV cache with \
                 vLLM's defaults, or give kvTokens instead",
                memory.gpu_gib, memory.weights_gib, memory.kv_bytes_per_token, profile.kv_tokens
            )
        }
    };
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Profile\nmetadata: {{name: {}}}\nspec:\n  model: {}\n  gpu: {}\n  gpus: {}\n  \
         kind: {}\n  stepTime: {}\n  requestOverheadMs: {}\n  {capacity}\n  maxNumSeqs: {}\n  maxNumBatchedTokens: {}\n  \
         maxModelLen: {}\n  source: {}\n  error: {}\n",
        show::text(&profile.name),
        show::text(&profile.model),
        show::text(&profile.gpu),
        profile.gpus,
        profile.kind.word(),
        step_time_yaml(&profile.step_time),
        profile.request_overhead_ms,
        profile.max_num_seqs,
        profile.max_num_batched_tokens,
        profile.max_model_len,
        show::quoted(&profile.source),
        show::quoted(&profile.error),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Bundle;
    use crate::replica::built_in_profiles;

    #[test]
    fn a_built_in_profile_is_read_back_the_same() {
        for profile in built_in_profiles() {
            let bundle = Bundle::from_text(&profile_yaml(&profile), "p.yaml").unwrap_or_else(|found| panic!("{found}"));
            assert_eq!(read_profile(&bundle.documents[0]).unwrap_or_else(|found| panic!("{found}")), profile);
        }
    }
}

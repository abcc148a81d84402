//! Numbers of a profile that can be written but are hardly meant: each is a warning, with its place.

use crate::manifest::{Document, Node};
use crate::replica::{
    Gpu, KvMemory, Profile, StepTimeCoefficients, built_in_profile, built_in_profiles, gpu_by_name, known_model,
};
use crate::units::{Diagnostic, Span, shown_number};

const GIB: f64 = 1_073_741_824.0;
/// Of weights whose architecture is not known, at least this share is read in a step; the rest may be embeddings.
const READ_SHARE: f64 = 0.7;

/// What is doubtful in a profile that was read from `document`.
pub fn profile_warnings(profile: &Profile, document: &Document) -> Vec<Diagnostic> {
    let spec = document.root.get("spec");
    // The innermost of the keys that is there.
    let at = |keys: &[&str]| -> Span {
        let mut node = spec.unwrap_or(&document.root);
        for key in keys {
            node = node.get(key).unwrap_or(node);
        }
        node.span.clone()
    };
    let mut warnings = Vec::new();
    let has = |key: &str| spec.is_some_and(|spec: &Node| spec.get(key).is_some());
    if has("memory") && has("kvTokens") {
        let message = "found both memory and kvTokens: memory is not used, kvTokens says how large the KV cache is";
        let help =
            "remove one; with memory the cache follows the engine's arguments, with kvTokens it is as vLLM logged it";
        warnings.push(Diagnostic::warning(at(&["memory"]), "spec.memory", message).help(help));
    }
    for (key, message) in step_time_doubts(&profile.step_time, profile) {
        let help = "check the unit (wMs in ms, cpUsPerToken in us per token), and the gpu and model of the profile";
        warnings.push(Diagnostic::warning(at(&["stepTime", key]), format!("spec.stepTime.{key}"), message).help(help));
    }
    warnings.extend(weights_doubt(profile).map(|message| {
        let help = "weightsGiB is per GPU; check the unit, and the model of the profile";
        Diagnostic::warning(at(&["memory", "weightsGiB"]), "spec.memory.weightsGiB", message).help(help)
    }));
    warnings.extend(false_provenance(profile).map(|message| {
        let help = "an edited copy is another profile: change name, kind (own), source and error as well";
        Diagnostic::warning(document.root.span.clone(), "metadata.name", message).help(help)
    }));
    warnings
}

/// Coefficients below what the GPU can do at best, by key. `profile` says model, GPU and memory.
pub(super) fn step_time_doubts(step: &StepTimeCoefficients, profile: &Profile) -> Vec<(&'static str, String)> {
    let gpu = gpu_by_name(&profile.gpu);
    let read_ms = step.w_ms + step.experts.map_or(0.0, |experts| experts.w_ms);
    let mut doubts = Vec::new();
    if read_ms == 0.0 {
        doubts.push(("wMs", "found 0: reading the weights takes no time".to_owned()));
    } else if let Some((floor, gib, gpu)) = gpu.and_then(|gpu| read_floor_ms(profile, gpu))
        && read_ms < 0.99 * floor
    {
        doubts.push((
            "wMs",
            format!(
                "found {} ms{} to read {gib:.2} GiB of weights: at its whole bandwidth of {} TB/s an {} takes {floor:.2} ms",
                shown_number(read_ms),
                if step.experts.is_some() { " (with experts.wMs)" } else { "" },
                gpu.bandwidth_tb,
                gpu.name
            ),
        ));
    }
    if step.cp_us_per_token == 0.0 {
        doubts.push((
            "cpUsPerToken",
            "found 0: however many tokens a step has, their linear layers take no time".to_owned(),
        ));
    } else if let Some((floor, gpu)) = gpu.and_then(|gpu| compute_floor_us(profile, gpu))
        && step.cp_us_per_token < 0.99 * floor
    {
        doubts.push((
            "cpUsPerToken",
            format!(
                "found {} us per token: at the peak rate of its data sheet an {} takes {floor:.2} us for {}",
                shown_number(step.cp_us_per_token),
                gpu.name,
                profile.model
            ),
        ));
    }
    doubts
}

/// The least time in which the GPU reads its share of the weights, ms, and that share, GiB.
fn read_floor_ms<'a>(profile: &Profile, gpu: &'a Gpu) -> Option<(f64, f64, &'a Gpu)> {
    let known = known_model(&profile.model).map(|model| {
        let (dense, experts) = model.config.read_bytes();
        (dense + experts) / f64::from(profile.gpus.max(1))
    });
    let written = profile.memory.map(|memory: KvMemory| memory.weights_gib * GIB);
    // Weights in a smaller format than the known model's are read in less time.
    let bytes = match (known, written) {
        (Some(known), Some(written)) => known.min(written),
        (Some(known), None) => known,
        (None, Some(written)) => READ_SHARE * written,
        (None, None) => return None,
    };
    Some((bytes / (gpu.bandwidth_tb * 1e12) * 1e3, bytes / GIB, gpu))
}

/// The least time in which the GPU computes its share of one token, us.
fn compute_floor_us<'a>(profile: &Profile, gpu: &'a Gpu) -> Option<(f64, &'a Gpu)> {
    let config = &known_model(&profile.model)?.config;
    let parameters = config.dense_parameters() + config.expert_parameters().1;
    let peak = gpu.fp8_tflops.unwrap_or(gpu.bf16_tflops) * 1e12;
    Some((2.0 * parameters / f64::from(profile.gpus.max(1)) / peak * 1e6, gpu))
}

/// Weights of another size than the known model's: in 4 bit they have a quarter of 16, in 32 bit twice.
fn weights_doubt(profile: &Profile) -> Option<String> {
    let found = profile.memory?.weights_gib;
    let own = known_model(&profile.model)?.config.weights_gib() / f64::from(profile.gpus.max(1));
    let ratio = found / own;
    (!(0.2..=2.5).contains(&ratio)).then(|| {
        format!(
            "found {} GiB per GPU, but {} has {own:.2} GiB on {} of them",
            shown_number(found),
            profile.model,
            profile.gpus
        )
    })
}

/// Numbers under the name, or the source and error, of a built-in profile that has others.
fn false_provenance(profile: &Profile) -> Option<String> {
    if let Some(built_in) = built_in_profile(&profile.name) {
        let difference = difference(profile, &built_in)?;
        return Some(format!("found the name of the built-in profile {}, which has {difference}", built_in.name));
    }
    let pretends = |built_in: &Profile| {
        let same = |of: fn(&Profile) -> &String| of(profile) == of(built_in);
        same(|own| &own.model) && same(|own| &own.gpu) && same(|own| &own.source) && same(|own| &own.error)
    };
    let candidates: Vec<Profile> =
        built_in_profiles().into_iter().filter(|own| own.gpus == profile.gpus && pretends(own)).collect();
    let built_in = candidates.first()?;
    let difference = difference(profile, built_in)?;
    Some(format!("found source and error of the built-in profile {}, which has {difference}", built_in.name))
}

/// The first number in which the built-in profile differs: `wMs 6.69 instead of 0.669`.
fn difference(profile: &Profile, built_in: &Profile) -> Option<String> {
    let numbers = |own: &Profile| {
        let step = &own.step_time;
        let experts = step.experts.map_or((0.0, 0, 0), |experts| (experts.w_ms, experts.count, experts.per_token));
        let memory = own.memory.map_or((0.0, 0.0, 0.0, 0.0), |memory| {
            (memory.gpu_gib, memory.weights_gib, memory.kv_bytes_per_token as f64, memory.other_gib.unwrap_or(0.0))
        });
        [
            ("gpus", f64::from(own.gpus)),
            ("t0Ms", step.t0_ms),
            ("wMs", step.w_ms),
            ("experts.wMs", experts.0),
            ("experts.count", f64::from(experts.1)),
            ("experts.perToken", f64::from(experts.2)),
            ("cpUsPerToken", step.cp_us_per_token),
            ("caNsPerPair", step.ca_ns_per_pair),
            ("ckNsPerToken", step.ck_ns_per_token),
            ("csUsPerSeq", step.cs_us_per_seq),
            ("knee", step.knee),
            ("requestOverheadMs", own.request_overhead_ms),
            ("memory.gpuGiB", memory.0),
            ("memory.weightsGiB", memory.1),
            ("memory.kvBytesPerToken", memory.2),
            ("memory.otherGiB", memory.3),
            ("kvTokens", own.kv_tokens as f64),
            ("maxNumSeqs", f64::from(own.max_num_seqs)),
            ("maxNumBatchedTokens", f64::from(own.max_num_batched_tokens)),
            ("maxModelLen", f64::from(own.max_model_len)),
        ]
    };
    let words = [("model", &profile.model, &built_in.model), ("gpu", &profile.gpu, &built_in.gpu)];
    if let Some((key, own, other)) = words.into_iter().find(|(_, own, other)| own != other) {
        return Some(format!("{key} {other} instead of {own}"));
    }
    let mut pairs = numbers(profile).into_iter().zip(numbers(built_in));
    let ((key, own), (_, other)) = pairs.find(|((_, own), (_, other))| own != other)?;
    Some(format!("{key} {} instead of {}", shown_number(other), shown_number(own)))
}

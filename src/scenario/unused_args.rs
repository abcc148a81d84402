//! Arguments that would change the engine but are not read: each is told, none is dropped in silence (vllm.md 1.2, keda.md 9.4).

use crate::replica::{Profile, WeightFormat, known_model};
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::units::Diagnostic;

const KV_CACHE: &str = "give kvTokens or kvBlocks in the Scenario's replica section, as vLLM logs it";
const OWN_PROFILE: &str = "describe the engine with a kind: Profile of its own";
const NOT_MODELLED: &str = "it is not modelled yet; leave it out, or take the run as one without it";
const NOT_ENFORCED: &str = "the V1 scheduler does not enforce it either (vLLM pull request 49075)";
const V0: &str = "it is the V0 engine's, which is not modelled; the V1 engine has none of it";

const UNUSED: [(&str, &str); 38] = [
    ("cpu-offload-gb", KV_CACHE),
    ("kv-offloading-size", NOT_MODELLED),
    ("enforce-eager", OWN_PROFILE),
    ("compilation-config", OWN_PROFILE),
    ("optimization-level", OWN_PROFILE),
    ("performance-mode", "give maxNumSeqs and maxNumBatchedTokens, as vLLM logs them, and a kind: Profile of its own"),
    ("cudagraph-capture-sizes", OWN_PROFILE),
    ("cuda-graph-sizes", OWN_PROFILE),
    ("max-cudagraph-capture-size", OWN_PROFILE),
    ("attention-backend", OWN_PROFILE),
    ("pipeline-parallel-size", OWN_PROFILE),
    ("data-parallel-size", OWN_PROFILE),
    ("decode-context-parallel-size", OWN_PROFILE),
    ("prefill-context-parallel-size", OWN_PROFILE),
    ("nnodes", OWN_PROFILE),
    ("config", "the file is in the image, so its arguments are not read: write them out in args"),
    ("enable-expert-parallel", OWN_PROFILE),
    ("enable-dbo", OWN_PROFILE),
    ("speculative-config", OWN_PROFILE),
    ("speculative-model", OWN_PROFILE),
    ("num-speculative-tokens", OWN_PROFILE),
    ("spec-method", OWN_PROFILE),
    ("hf-overrides", OWN_PROFILE),
    ("enable-lora", NOT_MODELLED),
    ("max-num-partial-prefills", NOT_ENFORCED),
    ("max-long-partial-prefills", NOT_ENFORCED),
    ("long-prefill-token-threshold-adaptive", NOT_MODELLED),
    ("max-num-scheduled-tokens", NOT_MODELLED),
    ("max-num-active-seqs", "it bounds the requests that run: give maxNumSeqs in the Scenario's replica section"),
    ("max-num-queued-reqs", NOT_MODELLED),
    ("max-num-queued-tokens", NOT_MODELLED),
    ("prefill-schedule-interval", NOT_MODELLED),
    ("stream-interval", "clients see each token as it comes"),
    ("custom-histogram-buckets", "the histograms have vLLM's own buckets"),
    ("kv-transfer-config", NOT_MODELLED),
    ("num-scheduler-steps", V0),
    ("scheduler-delay-factor", V0),
    ("preemption-mode", V0),
];

/// What changes nothing when it is written out.
const DEFAULTS: [(&str, &str); 8] = [
    ("cpu-offload-gb", "0"),
    ("pipeline-parallel-size", "1"),
    ("data-parallel-size", "1"),
    ("nnodes", "1"),
    ("stream-interval", "1"),
    ("prefill-schedule-interval", "1"),
    ("num-scheduler-steps", "1"),
    ("performance-mode", "balanced"),
];

/// Tells them.
pub(super) fn warn_of_unused_arguments(workload: Option<&Workload>, profile: &Profile, ledger: &mut Ledger) {
    let Some(workload) = workload else { return };
    let mut warn = |name: &str, help: &str| {
        let Some(given) = workload.args.get(name) else { return };
        let written = if given.value.is_empty() { format!("--{name}") } else { format!("--{name} {}", given.value) };
        let message = format!("{written} is not used: the numbers of profile {} stand", profile.name);
        ledger.push(Diagnostic::warning(given.span.clone(), "args", message).help(help));
    };
    let is = |name: &str, as_profiled: &[&str]| {
        workload.args.get(name).is_none_or(|given| as_profiled.contains(&given.value.as_str()))
    };
    for (name, help) in UNUSED {
        if !DEFAULTS.iter().any(|(own, default)| *own == name && is(name, &[default])) {
            warn(name, help);
        }
    }
    if !is("tensor-parallel-size", &[&profile.gpus.max(1).to_string()]) {
        warn("tensor-parallel-size", OWN_PROFILE);
    }
    // Weights that are quantized in the model's own files are part of the profile.
    let is_quantized = known_model(&profile.model).is_some_and(|model| model.config.weights != WeightFormat::Bf16);
    if !is_quantized {
        warn("quantization", OWN_PROFILE);
    }
    // The CPU profile was fitted in float32, the GPU profiles in 16 bit.
    let types: &[&str] =
        if profile.gpus == 0 { &["auto", "float32", "float"] } else { &["auto", "bfloat16", "float16", "half"] };
    if !is("dtype", types) {
        warn("dtype", OWN_PROFILE);
    }
}

//! The engine of each replica: profile, then the workload's arguments, then the Scenario, the last word winning.

use crate::replica::{
    BLOCK_SIZE_DEFAULT, EngineConfig, Profile, ProfileKind, StepTime, WeightFormat, built_in_profile, known_model,
};
use crate::scenario::engine_checks::{check_block_size, image_version, refuse_long_length, warn_of_unknown_arguments};
use crate::scenario::kv_cache::profile_origin;
use crate::scenario::ledger::Ledger;
use crate::scenario::profile_doubts::step_time_doubts;
use crate::scenario::scheduling_choice::{Sizes, async_scheduling, chunked_prefill, reserve_full_prompt, scheduling};
use crate::scenario::workload::{Runtime, Workload};
use crate::scenario::{Origin, ReplicaWritten, ScenarioFile, kv_cache, show};
use crate::units::{Diagnostic, Located, SimDuration};

/// The profile fitted to the 2025 CPU demo, whose engine scheduled synchronously.
const CPU_DEMO_PROFILE: &str = "opt-125m-cpu";

/// Resolves the engine; `None` after an error in the ledger.
pub(super) fn resolve_engine(
    scenario: &ScenarioFile,
    profile: &Profile,
    workload: Option<&Workload>,
    ledger: &mut Ledger,
) -> Option<EngineConfig> {
    let written = &scenario.replica;
    let from_profile = || profile_origin(profile);
    let version = vllm_version(scenario, profile, workload, ledger);
    let number = |path: &str, own: &Option<Located<u32>>, flag: &str, default: (u32, Origin), ledger: &mut Ledger| {
        // A broken argument that the Scenario overrides does not matter.
        let argument = if own.is_some() { None } else { argument(workload, flag, ledger) };
        ledger.pick(path, [own.clone(), argument], default, u32::to_string)
    };
    let block_default = (BLOCK_SIZE_DEFAULT, Origin::Assumed);
    let block_size = number("spec.replica.blockSize", &written.block_size, "block-size", block_default, ledger);
    check_block_size(written, workload, block_size, ledger);
    let chunked_prefill = chunked_prefill(workload, version, ledger);
    let batched_default = if chunked_prefill {
        (profile.max_num_batched_tokens, from_profile())
    } else {
        (raised_budget(scenario, profile, workload), Origin::Assumed)
    };
    let batched = number(
        "spec.replica.maxNumBatchedTokens",
        &written.max_num_batched_tokens,
        "max-num-batched-tokens",
        batched_default,
        ledger,
    );
    // vLLM caps the default, not a given value, to the token budget (`EngineArgs.get_batch_defaults`).
    let seqs_default = (profile.max_num_seqs.min(batched), from_profile());
    let max_num_seqs = number("spec.replica.maxNumSeqs", &written.max_num_seqs, "max-num-seqs", seqs_default, ledger);
    refuse_idle_places(written, workload, (max_num_seqs, batched), ledger);
    refuse_split_heads(workload, ledger);
    let length_default = (profile.max_model_len, from_profile());
    let max_model_len =
        number("spec.replica.maxModelLen", &written.max_model_len, "max-model-len", length_default, ledger);
    refuse_long_length(written, workload, profile, max_model_len, ledger);
    let overhead_ms = ledger.pick(
        "spec.replica.requestOverheadMs",
        [written.request_overhead_ms.clone()],
        (profile.request_overhead_ms, from_profile()),
        f64::to_string,
    );
    let length_span = written.max_model_len.as_ref().map(|given| given.span.clone());
    let of_args = workload.and_then(|workload| workload.args.get("max-model-len")).map(|given| given.span.clone());
    if length_span.is_none() && of_args.is_none() {
        warn_of_lowered_length(profile, workload, ledger);
    }
    // As above: the Scenario's own word makes the argument idle.
    let is_given = written.kv_blocks.is_some() || written.kv_tokens.is_some();
    let overridden = if is_given { None } else { argument(workload, "num-gpu-blocks-override", ledger) };
    let engine = kv_cache::Engine {
        written,
        profile,
        workload,
        vllm_version: version,
        block_size,
        max_num_batched_tokens: batched,
        max_model_len,
        length_span: length_span.or(of_args),
    };
    let kv_blocks = kv_cache::kv_blocks(&engine, overridden, ledger);
    let model_name = model_name(scenario, profile, workload, ledger);
    warn_of_unused_arguments(workload, profile, ledger);
    warn_of_unknown_arguments(workload, ledger);
    let (step_time, kv_blocks) = (step_time(scenario, profile, ledger)?, kv_blocks?);
    let has_flag = |name: &str| workload.is_some_and(|workload| workload.args.get(name).is_some());
    Some(EngineConfig {
        model_name,
        step_time,
        request_overhead: SimDuration::from_secs_f64(overhead_ms / 1e3),
        kv_blocks,
        block_size,
        max_num_seqs,
        max_num_batched_tokens: batched,
        max_model_len,
        reserve_full_prompt: reserve_full_prompt(workload, version, ledger),
        async_scheduling: async_scheduling(workload, version, ledger),
        vllm_version: version,
        show_hidden_metrics: hidden_metrics(workload, ledger),
        log_stats: !has_flag("disable-log-stats"),
        http_metrics: workload.is_none_or(|workload| workload.runtime == Runtime::Vllm),
        scheduling: scheduling(
            workload,
            &Sizes { version, batched, model_len: max_model_len, kv_blocks, chunked_prefill },
            ledger,
        ),
    })
}

/// Without chunked prefill vLLM raises a budget that nobody wrote to the longest request
/// (`EngineArgs._set_default_max_num_seqs_and_batched_tokens_args`).
fn raised_budget(scenario: &ScenarioFile, profile: &Profile, workload: Option<&Workload>) -> u32 {
    let of_args = || workload?.args.number("max-model-len").ok().flatten();
    let longest = scenario.replica.max_model_len.clone().or_else(of_args);
    profile.max_num_batched_tokens.max(longest.map_or(profile.max_model_len, |given| given.value))
}

/// vLLM refuses to start with fewer tokens per step than requests (`SchedulerConfig.verify_max_model_len`).
fn refuse_idle_places(
    written: &ReplicaWritten,
    workload: Option<&Workload>,
    (max_num_seqs, batched): (u32, u32),
    ledger: &mut Ledger,
) {
    if max_num_seqs <= batched {
        return;
    }
    let own = [&written.max_num_seqs, &written.max_num_batched_tokens];
    let own = own.into_iter().flatten().map(|given| given.span.clone()).next();
    let of_args = || {
        let given = |flag| workload?.args.get(flag).map(|given| given.span.clone());
        given("max-num-seqs").or_else(|| given("max-num-batched-tokens"))
    };
    let message = format!(
        "found a token budget of {batched} per step (max-num-batched-tokens), expected at least max-num-seqs, which is \
         {max_num_seqs}"
    );
    let help = "vLLM would not start: raise maxNumBatchedTokens or lower maxNumSeqs";
    ledger.push(Diagnostic::error(own.or_else(of_args), "spec.replica.maxNumSeqs", message).help(help));
}

/// vLLM refuses a tensor parallel size that does not divide the model's heads (`ModelConfig.verify_with_parallel_config`),
/// whatever profile stands in for the engine.
fn refuse_split_heads(workload: Option<&Workload>, ledger: &mut Ledger) {
    let Some(workload) = workload else { return };
    let known = workload.model_id.as_ref().and_then(|model| known_model(&model.value));
    let given = workload.args.number("tensor-parallel-size").ok().flatten();
    let (Some(known), Some(given)) = (known, given) else { return };
    let heads = known.config.heads;
    if !heads.is_multiple_of(given.value) {
        let message = format!(
            "found --tensor-parallel-size {}, expected a divisor of the model's {heads} attention heads",
            given.value
        );
        let diagnostic = Diagnostic::error(given.span, "args", message);
        ledger.push(diagnostic.help("vLLM would not start: take 1, 2, 4 or 8 GPUs per replica as the heads allow"));
    }
}

/// The profile's coefficients, those of `replica.stepTime` replaced; `None` after an error in the ledger.
fn step_time(scenario: &ScenarioFile, profile: &Profile, ledger: &mut Ledger) -> Option<StepTime> {
    const PATH: &str = "spec.replica.stepTime";
    let mut coefficients = profile.step_time;
    let mut place = None;
    for (key, given) in &scenario.replica.hardware.step_time {
        let coefficient = match *key {
            "t0Ms" => &mut coefficients.t0_ms,
            "wMs" => &mut coefficients.w_ms,
            "cpUsPerToken" => &mut coefficients.cp_us_per_token,
            "caNsPerPair" => &mut coefficients.ca_ns_per_pair,
            "ckNsPerToken" => &mut coefficients.ck_ns_per_token,
            "csUsPerSeq" => &mut coefficients.cs_us_per_seq,
            _ => &mut coefficients.knee,
        };
        *coefficient = given.value;
        ledger.given(&format!("{PATH}.{key}"), given.value.to_string(), &given.span);
        place.get_or_insert_with(|| given.span.clone());
    }
    // What the profile itself has was told when it was read.
    if let Some(place) = &place {
        let own = step_time_doubts(&profile.step_time, profile);
        for (key, message) in step_time_doubts(&coefficients, profile).into_iter().filter(|doubt| !own.contains(doubt))
        {
            let help = "check the unit (wMs in ms, cpUsPerToken in us per token)";
            ledger.push(Diagnostic::warning(place.clone(), format!("{PATH}.{key}"), message).help(help));
        }
    }
    match StepTime::new(&coefficients) {
        Ok(step_time) => Some(step_time),
        Err(why) => {
            ledger.push(Diagnostic::error(place, PATH, format!("profile {}: {why}", profile.name)));
            None
        }
    }
}

/// A built-in profile's length is what its cache holds where that is less than the model's own, with which vLLM would refuse
/// to start.
fn warn_of_lowered_length(profile: &Profile, workload: Option<&Workload>, ledger: &mut Ledger) {
    let own = known_model(&profile.model).map_or(0, |model| model.config.max_model_len);
    let is_built_in = built_in_profile(&profile.name).is_some_and(|built_in| built_in == *profile);
    if !(is_built_in || profile.kind == ProfileKind::Estimate) || own <= profile.max_model_len {
        return;
    }
    let message = format!(
        "the model's own length of {own} tokens is more than the KV cache holds: vLLM would not start without \
         --max-model-len; {} is taken",
        profile.max_model_len
    );
    let span = workload.map(|workload| workload.span.clone());
    let diagnostic = Diagnostic::warning(span, "spec.replica.maxModelLen", message);
    ledger.push(diagnostic.help("give --max-model-len, or maxModelLen in the Scenario's replica section"));
}

/// The version, on which async scheduling and the reservation of whole prompts hang.
fn vllm_version(
    scenario: &ScenarioFile,
    profile: &Profile,
    workload: Option<&Workload>,
    ledger: &mut Ledger,
) -> (u32, u32) {
    let (default, why) = if profile.name == CPU_DEMO_PROFILE {
        ((0, 11), "the profile was fitted to the demo of 2025, whose engine scheduled synchronously")
    } else {
        ((0, 33), "the release whose scheduler is modelled")
    };
    let given = [scenario.replica.vllm_version.clone(), image_version(workload)];
    ledger.pick_or_tell("spec.replica.vllmVersion", given, default, why, |(major, minor)| {
        show::quoted(&format!("{major}.{minor}"))
    })
}

/// `--show-hidden-metrics-for-version`, whose patch release does not matter.
fn hidden_metrics(workload: Option<&Workload>, ledger: &mut Ledger) -> Option<(u32, u32)> {
    let given = workload?.args.get("show-hidden-metrics-for-version")?;
    let mut numbers = given.value.split('.').map(str::parse);
    if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) {
        return Some((major, minor));
    }
    let message = format!(
        "found --show-hidden-metrics-for-version {}, expected the version before this engine's, for example 0.10",
        given.value
    );
    ledger.push(Diagnostic::error(given.span.clone(), "args", message));
    None
}

fn argument(workload: Option<&Workload>, flag: &str, ledger: &mut Ledger) -> Option<Located<u32>> {
    match workload?.args.number(flag) {
        Ok(found) => found,
        Err(diagnostic) => {
            ledger.push(diagnostic);
            None
        }
    }
}

fn model_name(scenario: &ScenarioFile, profile: &Profile, workload: Option<&Workload>, ledger: &mut Ledger) -> String {
    const PATH: &str = "spec.replica.servedModelName";
    let written = scenario.replica.served_model_name.clone();
    let Some(workload) = workload else {
        let why = "no InferenceService or Deployment of the target's name among the input";
        return ledger.pick_or_tell(PATH, [written], profile.model.clone(), why, |name| show::text(name));
    };
    // KServe's runtimes serve under the service's name, plain vLLM under the model's.
    let fallback = if workload.serves_own_name { None } else { workload.model_id.clone() };
    let candidates = [written, workload.args.served_name(), fallback, Some(workload.name.clone())];
    ledger.pick(PATH, candidates, (profile.model.clone(), Origin::Assumed), |name| show::text(name))
}

/// Arguments that would change the engine but are not read: each is told, none is dropped in silence (vllm.md 1.2, keda.md
/// 9.4).
fn warn_of_unused_arguments(workload: Option<&Workload>, profile: &Profile, ledger: &mut Ledger) {
    let Some(workload) = workload else { return };
    let kv_cache = "give kvTokens or kvBlocks in the Scenario's replica section, as vLLM logs it";
    let own_profile = "describe the engine with a kind: Profile of its own";
    let not_modelled = "it is not modelled yet; leave it out, or take the run as one without it";
    let not_enforced = "the V1 scheduler does not enforce it either (vLLM pull request 49075)";
    let unused = [
        ("cpu-offload-gb", kv_cache),
        ("enforce-eager", own_profile),
        ("pipeline-parallel-size", own_profile),
        ("data-parallel-size", own_profile),
        ("decode-context-parallel-size", own_profile),
        ("prefill-context-parallel-size", own_profile),
        ("nnodes", own_profile),
        ("config", "the file is in the image, so its arguments are not read: write them out in args"),
        ("enable-expert-parallel", own_profile),
        ("speculative-config", own_profile),
        ("enable-lora", not_modelled),
        ("max-num-partial-prefills", not_enforced),
        ("max-long-partial-prefills", not_enforced),
        ("kv-transfer-config", not_modelled),
    ];
    let mut warn = |name: &str, help: &str| {
        let Some(given) = workload.args.get(name) else { return };
        let written = if given.value.is_empty() { format!("--{name}") } else { format!("--{name} {}", given.value) };
        let message = format!("{written} is not used: the numbers of profile {} stand", profile.name);
        ledger.push(Diagnostic::warning(given.span.clone(), "args", message).help(help));
    };
    for (name, help) in unused {
        warn(name, help);
    }
    let is = |name: &str, as_profiled: &[&str]| {
        workload.args.get(name).is_none_or(|given| as_profiled.contains(&given.value.as_str()))
    };
    if !is("tensor-parallel-size", &[&profile.gpus.max(1).to_string()]) {
        warn("tensor-parallel-size", own_profile);
    }
    // Weights that are quantized in the model's own files are part of the profile.
    let is_quantized = known_model(&profile.model).is_some_and(|model| model.config.weights != WeightFormat::Bf16);
    if !is_quantized {
        warn("quantization", own_profile);
    }
    // The CPU profile was fitted in float32, the GPU profiles in 16 bit.
    let types: &[&str] =
        if profile.gpus == 0 { &["auto", "float32", "float"] } else { &["auto", "bfloat16", "float16", "half"] };
    if !is("dtype", types) {
        warn("dtype", own_profile);
    }
}

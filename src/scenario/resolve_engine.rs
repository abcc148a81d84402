//! The engine of each replica: profile, then the workload's arguments, then the Scenario, the last word winning.

use crate::replica::{EngineConfig, Profile, StepTime, known_model};
use crate::scenario::engine_checks::{image_version, warn_of_unknown_arguments};
use crate::scenario::engine_sizes::{argument, engine_sizes};
use crate::scenario::kv_cache::profile_origin;
use crate::scenario::ledger::Ledger;
use crate::scenario::profile_doubts::step_time_doubts;
use crate::scenario::scheduling_choice::{async_scheduling, reserve_full_prompt, scheduling};
use crate::scenario::unused_args::warn_of_unused_arguments;
use crate::scenario::workload::{Runtime, Workload};
use crate::scenario::{Origin, ScenarioFile, kv_cache, show};
use crate::units::{Diagnostic, SimDuration};

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
    let version = vllm_version(scenario, profile, workload, ledger);
    let sizes = engine_sizes(scenario, profile, workload, version, ledger);
    refuse_split_heads(workload, ledger);
    let overhead_ms = ledger.pick(
        "spec.replica.requestOverheadMs",
        [written.request_overhead_ms.clone()],
        (profile.request_overhead_ms, profile_origin(profile)),
        f64::to_string,
    );
    // As of all sizes: the Scenario's own word makes the argument idle.
    let is_given = written.kv_blocks.is_some() || written.kv_tokens.is_some();
    let overridden = if is_given { None } else { argument(workload, "num-gpu-blocks-override", ledger) };
    let engine = kv_cache::Engine { written, profile, workload, vllm_version: version, sizes: &sizes };
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
        block_size: sizes.block_size,
        max_num_seqs: sizes.max_num_seqs,
        max_num_batched_tokens: sizes.max_num_batched_tokens,
        max_model_len: sizes.max_model_len,
        reserve_full_prompt: reserve_full_prompt(workload, version, ledger),
        async_scheduling: async_scheduling(workload, version, ledger),
        vllm_version: version,
        show_hidden_metrics: hidden_metrics(workload, ledger),
        log_stats: !has_flag("disable-log-stats"),
        http_metrics: workload.is_none_or(|workload| workload.runtime == Runtime::Vllm),
        scheduling: scheduling(workload, version, &sizes, kv_blocks, ledger),
    })
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

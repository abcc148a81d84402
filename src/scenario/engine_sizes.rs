//! The engine's sizes: block, tokens per step, requests, longest request.

use crate::replica::{BLOCK_SIZE_DEFAULT, Profile, ProfileKind, built_in_profile, known_model};
use crate::scenario::engine_checks::{check_block_size, refuse_long_length};
use crate::scenario::kv_cache::profile_origin;
use crate::scenario::ledger::Ledger;
use crate::scenario::scheduling_choice::chunked_prefill;
use crate::scenario::workload::Workload;
use crate::scenario::{Origin, ReplicaWritten, ScenarioFile};
use crate::units::{Diagnostic, Located, Span};

/// As resolved.
pub(super) struct EngineSizes {
    /// Tokens per KV block.
    pub block_size: u32,
    /// `--max-num-batched-tokens`.
    pub max_num_batched_tokens: u32,
    /// `--max-num-seqs`.
    pub max_num_seqs: u32,
    /// `--max-model-len`.
    pub max_model_len: u32,
    /// Where that was written.
    pub length_span: Option<Span>,
    /// Whether a prompt may be computed in pieces, on which the default of the tokens per step hangs.
    pub chunked_prefill: bool,
}

/// The Scenario's own word goes before the engine's arguments, those before the profile.
pub(super) fn engine_sizes(
    scenario: &ScenarioFile,
    profile: &Profile,
    workload: Option<&Workload>,
    version: (u32, u32),
    ledger: &mut Ledger,
) -> EngineSizes {
    let written = &scenario.replica;
    let from_profile = || profile_origin(profile);
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
    let own = &written.max_num_batched_tokens;
    let max_num_batched_tokens =
        number("spec.replica.maxNumBatchedTokens", own, "max-num-batched-tokens", batched_default, ledger);
    // vLLM caps the default, not a given value, to the token budget (`EngineArgs.get_batch_defaults`).
    let seqs_default = (profile.max_num_seqs.min(max_num_batched_tokens), from_profile());
    let max_num_seqs = number("spec.replica.maxNumSeqs", &written.max_num_seqs, "max-num-seqs", seqs_default, ledger);
    refuse_idle_places(written, workload, (max_num_seqs, max_num_batched_tokens), ledger);
    let length_default = (profile.max_model_len, from_profile());
    let max_model_len =
        number("spec.replica.maxModelLen", &written.max_model_len, "max-model-len", length_default, ledger);
    refuse_long_length(written, workload, profile, max_model_len, ledger);
    let of_args = || workload?.args.get("max-model-len").map(|given| given.span.clone());
    let length_span = written.max_model_len.as_ref().map(|given| given.span.clone()).or_else(of_args);
    if length_span.is_none() {
        warn_of_lowered_length(profile, workload, ledger);
    }
    EngineSizes { block_size, max_num_batched_tokens, max_num_seqs, max_model_len, length_span, chunked_prefill }
}

pub(super) fn argument(workload: Option<&Workload>, flag: &str, ledger: &mut Ledger) -> Option<Located<u32>> {
    match workload?.args.number(flag) {
        Ok(found) => found,
        Err(diagnostic) => {
            ledger.push(diagnostic);
            None
        }
    }
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

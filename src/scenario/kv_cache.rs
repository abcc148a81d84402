//! How many KV blocks a replica has: given, or what memory, weights and the engine's arguments leave.

use crate::replica::{KvCacheDtype, KvMemory, KvSettings, Profile, ProfileKind, default_utilization};
use crate::scenario::engine_sizes::EngineSizes;
use crate::scenario::hardware_written::CACHE_TYPES;
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::scenario::{Origin, ReplicaWritten};
use crate::units::{Diagnostic, Located, Span};

const BLOCKS: &str = "spec.replica.kvBlocks";
const TOKENS: &str = "spec.replica.kvTokens";

/// What has been resolved before and decides with.
pub(super) struct Engine<'a> {
    pub written: &'a ReplicaWritten,
    pub profile: &'a Profile,
    pub workload: Option<&'a Workload>,
    pub vllm_version: (u32, u32),
    pub sizes: &'a EngineSizes,
}

/// Usable blocks: what vLLM logs, less the null block (`BlockPool`). `None` after an error in the ledger.
pub(super) fn kv_blocks(engine: &Engine<'_>, overridden: Option<Located<u32>>, ledger: &mut Ledger) -> Option<u32> {
    let written = engine.written;
    let block_size = u64::from(engine.sizes.block_size);
    let (blocks, path, span) = if let Some(given) = &written.kv_blocks {
        ledger.given(BLOCKS, given.value.to_string(), &given.span);
        (u64::from(given.value), BLOCKS, Some(given.span.clone()))
    } else if let Some(given) = &written.kv_tokens {
        ledger.given(TOKENS, given.value.to_string(), &given.span);
        (given.value / block_size, TOKENS, Some(given.span.clone()))
    } else if let Some(given) = overridden {
        ledger.given(BLOCKS, given.value.to_string(), &given.span);
        (u64::from(given.value), BLOCKS, Some(given.span))
    } else if let Some(memory) = &engine.profile.memory {
        let (blocks, span) = blocks_of_memory(engine, memory, ledger)?;
        let origin = span.clone().map_or_else(|| profile_origin(engine.profile), Origin::Given);
        ledger.note(TOKENS, (blocks * block_size).to_string(), origin);
        check_length(engine, blocks, TOKENS, span, ledger)?;
        return Some(usable(blocks));
    } else {
        ledger.note(TOKENS, engine.profile.kv_tokens.to_string(), profile_origin(engine.profile));
        (engine.profile.kv_tokens / block_size, TOKENS, None)
    };
    let why = "says how large the KV cache is";
    warn_of_unused_memory(
        engine,
        &span.as_ref().map_or_else(
            || format!("profile {} {why}", engine.profile.name),
            |_| format!("{} {why}", path.trim_start_matches("spec.replica.")),
        ),
        ledger,
    );
    check_length(engine, blocks, path, span, ledger)?;
    Some(usable(blocks))
}

/// As the origin of a value: an estimate is called one.
pub(super) fn profile_origin(profile: &Profile) -> Origin {
    let mark = if profile.kind == ProfileKind::Estimate { " (estimate)" } else { "" };
    Origin::Profile(format!("{}{mark}", profile.name))
}

fn usable(blocks: u64) -> u32 {
    u32::try_from(blocks.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// vLLM refuses to start when the cache cannot hold one request of `max_model_len` (`_check_enough_kv_cache_memory`).
fn check_length(engine: &Engine<'_>, blocks: u64, path: &str, span: Option<Span>, ledger: &mut Ledger) -> Option<()> {
    let tokens = u64::from(usable(blocks)) * u64::from(engine.sizes.block_size);
    let length = engine.sizes.max_model_len;
    if tokens >= u64::from(length) {
        return Some(());
    }
    let span =
        span.or_else(|| engine.sizes.length_span.clone()).or_else(|| engine.workload.map(|own| own.span.clone()));
    let message = format!("a KV cache of {tokens} usable tokens cannot hold one request of {length} tokens");
    let help = format!(
        "vLLM would not start: raise {} or lower maxModelLen (--max-model-len)",
        if engine.profile.memory.is_some() { "kvTokens or --gpu-memory-utilization" } else { "kvTokens" }
    );
    ledger.push(Diagnostic::error(span, path, message).help(help));
    None
}

/// Blocks by vllm.md 2.1, and the place of the argument that decides, if one is written.
fn blocks_of_memory(engine: &Engine<'_>, memory: &KvMemory, ledger: &mut Ledger) -> Option<(u64, Option<Span>)> {
    let hardware = &engine.written.hardware;
    let utilization = match &hardware.gpu_memory_utilization {
        Some(given) => Some(given.clone()),
        None => argument(engine.workload, "gpu-memory-utilization", "a share above 0 and at most 1", share, ledger)?,
    };
    let dtype = match &hardware.kv_cache_dtype {
        Some(given) => Some(given.clone()),
        None => {
            let known: Vec<&str> = CACHE_TYPES.iter().map(|(word, _)| *word).collect();
            argument(engine.workload, "kv-cache-dtype", &known.join(", "), cache_type, ledger)?
        }
    };
    let expected = "a number of bytes such as 25G";
    let bytes = argument(engine.workload, "kv-cache-memory-bytes", expected, byte_count, ledger)?;
    if let Some(given) = dtype.as_ref().filter(|given| given.value == KvCacheDtype::Fp8) {
        let message = format!(
            "a KV cache in FP8 holds twice the tokens; the step times of profile {} stay those with 16 bit",
            engine.profile.name
        );
        let help =
            "its reads are charged twice what FP8 needs; lower ckNsPerToken in replica.stepTime if you know better";
        ledger.push(Diagnostic::warning(given.span.clone(), "spec.replica.kvCacheDtype", message).help(help));
    }
    if let (Some(unused), Some(_)) = (&utilization, &bytes) {
        let message = "gpu-memory-utilization is not used: --kv-cache-memory-bytes says how large the KV cache is";
        ledger.push(Diagnostic::warning(unused.span.clone(), "args", message));
    }
    let settings = KvSettings {
        utilization: utilization.as_ref().map_or_else(|| default_utilization(engine.vllm_version), |own| own.value),
        cache_bytes: bytes.as_ref().map(|given| given.value),
        dtype: dtype.as_ref().map_or(KvCacheDtype::Auto, |given| given.value),
        block_size: engine.sizes.block_size,
        max_num_batched_tokens: engine.sizes.max_num_batched_tokens,
        vllm_version: engine.vllm_version,
        is_large: engine.profile.is_large(),
    };
    let span = bytes.map(|own| own.span).or(utilization.map(|own| own.span)).or(dtype.map(|own| own.span));
    match memory.blocks(&settings) {
        Ok(blocks) => Some((blocks, span)),
        Err(sum) => {
            let place = span.or_else(|| engine.workload.map(|workload| workload.span.clone()));
            let message = format!("{} does not fit on {}: {sum}", engine.profile.model, engine.profile.gpu);
            let help = "vLLM would not start: raise --gpu-memory-utilization, or take more or larger GPUs";
            ledger.push(Diagnostic::error(place, TOKENS, message).help(help));
            None
        }
    }
}

/// An argument of the workload read by `read`; the outer `None` after an error in the ledger.
fn argument<T>(
    workload: Option<&Workload>,
    flag: &str,
    expected: &str,
    read: fn(&str) -> Option<T>,
    ledger: &mut Ledger,
) -> Option<Option<Located<T>>> {
    let Some(given) = workload.and_then(|workload| workload.args.get(flag)) else { return Some(None) };
    if let Some(value) = read(&given.value) {
        return Some(Some(Located::new(value, given.span.clone())));
    }
    let message = format!("found {:?} for --{flag}, expected {expected}", given.value);
    let help = "write the value, or give kvTokens in the Scenario's replica section";
    ledger.push(Diagnostic::error(given.span.clone(), "args", message).help(help));
    None
}

fn share(text: &str) -> Option<f64> {
    text.parse().ok().filter(|share: &f64| *share > 0.0 && *share <= 1.0)
}

fn cache_type(text: &str) -> Option<KvCacheDtype> {
    CACHE_TYPES.iter().find(|(word, _)| *word == text).map(|(_, dtype)| *dtype)
}

/// A whole number with vLLM's suffixes: `25g` = 25 * 10^9, `25G` = 25 * 2^30 (`human_readable_int`).
fn byte_count(text: &str) -> Option<u64> {
    let (at, last) = text.char_indices().last()?;
    let factor = match last {
        'k' => 1_000,
        'm' => 1_000_000,
        'g' => 1_000_000_000,
        't' => 1_000_000_000_000,
        'K' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        'T' => 1 << 40,
        _ => 1,
    };
    let digits = if factor == 1 { text } else { &text[..at] };
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|bytes| *bytes > 0)
}

/// Settings that would size the cache, where something else has said its size.
fn warn_of_unused_memory(engine: &Engine<'_>, why: &str, ledger: &mut Ledger) {
    let hardware = &engine.written.hardware;
    let mut warn = |name: &str, span: &Span| {
        let help = "give kvTokens or kvBlocks in the Scenario's replica section, as vLLM logs it";
        let diagnostic = Diagnostic::warning(span.clone(), "args", format!("{name} is not used: {why}"));
        ledger.push(diagnostic.help(help));
    };
    if let Some(given) = &hardware.gpu_memory_utilization {
        warn("gpuMemoryUtilization", &given.span);
    }
    if let Some(given) = &hardware.kv_cache_dtype {
        warn("kvCacheDtype", &given.span);
    }
    let Some(workload) = engine.workload else { return };
    for flag in ["gpu-memory-utilization", "kv-cache-dtype", "kv-cache-memory-bytes"] {
        if let Some(given) = workload.args.get(flag) {
            warn(&format!("--{flag} {}", given.value), &given.span);
        }
    }
}

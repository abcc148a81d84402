//! The scheduler's settings from the engine's arguments. The versions named here are the first releases whose source has the
//! change.

use crate::replica::Scheduling;
use crate::scenario::engine_sizes::EngineSizes;
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::units::{Diagnostic, Located};

/// Reads `--[no-]enable-prefix-caching`, `--scheduling-policy`, `--long-prefill-token-threshold` and `--watermark`.
/// `kv_blocks` are the usable ones.
pub(super) fn scheduling(
    workload: Option<&Workload>,
    version: (u32, u32),
    sizes: &EngineSizes,
    kv_blocks: u32,
    ledger: &mut Ledger,
) -> Scheduling {
    let mut scheduling = Scheduling { chunked_prefill: sizes.chunked_prefill, ..Scheduling::default() };
    let Some(workload) = workload else { return scheduling };
    scheduling.prefix_caching = switch(workload, "enable-prefix-caching", "no-enable-prefix-caching", ledger);
    if !scheduling.chunked_prefill && sizes.max_num_batched_tokens < sizes.max_model_len {
        refuse_short_steps(workload, sizes, ledger);
    }
    if let Some(given) = workload.args.get("scheduling-policy") {
        scheduling.by_priority = by_priority(given, version, ledger);
    }
    if let Some(given) = workload.args.get("long-prefill-token-threshold") {
        scheduling.long_prefill_token_threshold = threshold(given, sizes.max_model_len, ledger);
    }
    if let Some(given) = workload.args.get("watermark") {
        scheduling.watermark_blocks = watermark(given, version, kv_blocks, ledger);
    }
    scheduling
}

/// Whether a prompt may be computed in pieces: `--[no-]enable-chunked-prefill`, which vLLM before 0.12 overrules for models that
/// generate (`EngineArgs._set_default_args_v1`).
pub(super) fn chunked_prefill(workload: Option<&Workload>, version: (u32, u32), ledger: &mut Ledger) -> bool {
    let Some(workload) = workload else { return true };
    let chunked = switch(workload, "enable-chunked-prefill", "no-enable-chunked-prefill", ledger);
    if chunked || version >= (0, 12) {
        return chunked;
    }
    let (major, minor) = version;
    let message = format!(
        "vLLM {major}.{minor} computes prompts in chunks whatever --no-enable-chunked-prefill says; so does the run"
    );
    let given = ["no-enable-chunked-prefill", "enable-chunked-prefill"].map(|flag| workload.args.get(flag));
    let place = given.into_iter().flatten().next().map(|given| given.span.clone());
    ledger.push(Diagnostic::warning(place, "args", message));
    true
}

/// Whether admission needs free blocks for the whole prompt: `--[no-]scheduler-reserve-full-isl`, the default since 0.19.
pub(super) fn reserve_full_prompt(workload: Option<&Workload>, version: (u32, u32), ledger: &mut Ledger) -> bool {
    let reserves = workload
        .is_none_or(|workload| switch(workload, "scheduler-reserve-full-isl", "no-scheduler-reserve-full-isl", ledger));
    reserves && version >= (0, 19)
}

/// Whether a step is scheduled while the one before it runs: `--[no-]async-scheduling`, known since 0.10 and the default since
/// 0.14.
pub(super) fn async_scheduling(workload: Option<&Workload>, version: (u32, u32), ledger: &mut Ledger) -> bool {
    const FLAGS: [&str; 2] = ["async-scheduling", "no-async-scheduling"];
    let given = workload.and_then(|workload| Some((workload, FLAGS.iter().find_map(|flag| workload.args.get(flag))?)));
    let Some((workload, given)) = given else { return version >= (0, 14) };
    if version < (0, 10) {
        let (major, minor) = version;
        let message =
            format!("found --async-scheduling with vLLM {major}.{minor}, expected 0.10 or later, which knows it");
        ledger.push(Diagnostic::error(given.span.clone(), "args", message));
    }
    switch(workload, FLAGS[0], FLAGS[1], ledger)
}

/// With a budget of one's own vLLM does not start; a budget that nobody wrote it raises (`SchedulerConfig.verify_max_model_len`).
fn refuse_short_steps(workload: &Workload, sizes: &EngineSizes, ledger: &mut Ledger) {
    let (batched, model_len) = (sizes.max_num_batched_tokens, sizes.max_model_len);
    let message = format!(
        "found a token budget of {batched} per step without chunked prefill, expected at least maxModelLen {model_len}"
    );
    let help = "vLLM would not start: raise maxNumBatchedTokens, lower maxModelLen, or leave chunked prefill on";
    let given = ["no-enable-chunked-prefill", "enable-chunked-prefill"].map(|flag| workload.args.get(flag));
    let place = given.into_iter().flatten().next().map(|given| given.span.clone());
    ledger.push(Diagnostic::error(place, "spec.replica.maxNumBatchedTokens", message).help(help));
}

/// A switch of two flags, on by default; the older spelling has a value.
fn switch(workload: &Workload, on: &str, off: &str, ledger: &mut Ledger) -> bool {
    if workload.args.get(off).is_some() {
        return false;
    }
    let Some(given) = workload.args.get(on) else { return true };
    match given.value.to_ascii_lowercase().as_str() {
        "" | "true" | "1" => true,
        "false" | "0" => false,
        other => {
            let message = format!("found {other:?} for --{on}, expected true or false");
            ledger.push(Diagnostic::error(given.span.clone(), "args", message));
            true
        }
    }
}

fn by_priority(given: &Located<String>, (major, minor): (u32, u32), ledger: &mut Ledger) -> bool {
    let mut warn = |message: String| ledger.push(Diagnostic::warning(given.span.clone(), "args", message));
    match given.value.as_str() {
        "fcfs" => false,
        "priority" if (major, minor) < (0, 10) => {
            let message = format!(
                "found --scheduling-policy priority with vLLM {major}.{minor}, expected fcfs: before 0.10 it means the V0 engine, \
                 which is not modelled"
            );
            ledger.push(Diagnostic::error(given.span.clone(), "args", message));
            false
        }
        "priority" => {
            warn(
                "--scheduling-policy priority: no request of the traffic has a priority, so those who came first go first"
                    .to_owned(),
            );
            if (major, minor) < (0, 12) {
                warn(format!(
                    "vLLM {major}.{minor} computes a request once more that it has just evicted by priority; the run does as \
                     0.12 and takes it out of the step"
                ));
            }
            true
        }
        other => {
            let message = format!("found --scheduling-policy {other:?}, expected fcfs or priority");
            ledger.push(Diagnostic::error(given.span.clone(), "args", message));
            false
        }
    }
}

fn threshold(given: &Located<String>, model_len: u32, ledger: &mut Ledger) -> u32 {
    let found = given.value.parse().ok().filter(|tokens| *tokens <= model_len);
    found.unwrap_or_else(|| {
        let message = format!(
            "found {:?} for --long-prefill-token-threshold, expected a whole number of tokens up to maxModelLen {model_len}, 0 \
             for no limit",
            given.value
        );
        ledger.push(Diagnostic::error(given.span.clone(), "args", message));
        0
    })
}

/// `--watermark` in blocks, of all that there are, the null block too (`KVCacheManager.__init__`).
fn watermark(given: &Located<String>, version: (u32, u32), kv_blocks: u32, ledger: &mut Ledger) -> u32 {
    if version < (0, 24) {
        let (major, minor) = version;
        let message = format!("found --watermark with vLLM {major}.{minor}, expected 0.24 or later, which knows it");
        ledger.push(Diagnostic::error(given.span.clone(), "args", message));
        return 0;
    }
    // vLLM takes more than 1 as well: nobody is then admitted beside others.
    let share = given.value.parse().ok().filter(|share: &f64| share.is_finite() && *share >= 0.0);
    let Some(share) = share else {
        let message = format!("found {:?} for --watermark, expected a share of the KV blocks, 0 or more", given.value);
        ledger.push(Diagnostic::error(given.span.clone(), "args", message));
        return 0;
    };
    // `as` cuts off, as Python's `int` does.
    (share * (f64::from(kv_blocks) + 1.0)) as u32
}

//! The scheduler's settings from the engine's arguments.

use crate::replica::Scheduling;
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::units::{Diagnostic, Located};

/// Reads `--[no-]enable-prefix-caching`, `--[no-]enable-chunked-prefill`, `--scheduling-policy` and
/// `--long-prefill-token-threshold`; `batched` and `model_len` are the token budget and the longest request.
pub(super) fn scheduling(workload: Option<&Workload>, batched: u32, model_len: u32, ledger: &mut Ledger) -> Scheduling {
    let mut scheduling = Scheduling::default();
    let Some(workload) = workload else { return scheduling };
    scheduling.prefix_caching = switch(workload, "enable-prefix-caching", "no-enable-prefix-caching", ledger);
    scheduling.chunked_prefill = switch(workload, "enable-chunked-prefill", "no-enable-chunked-prefill", ledger);
    if !scheduling.chunked_prefill && batched < model_len {
        let message = format!(
            "found a token budget of {batched} per step without chunked prefill, expected at least maxModelLen {model_len}"
        );
        let help = "vLLM would not start: raise maxNumBatchedTokens, lower maxModelLen, or leave chunked prefill on";
        let given = ["no-enable-chunked-prefill", "enable-chunked-prefill"].map(|flag| workload.args.get(flag));
        let place = given.into_iter().flatten().next().map(|given| given.span.clone());
        ledger.push(Diagnostic::error(place, "spec.replica.maxNumBatchedTokens", message).help(help));
    }
    if let Some(given) = workload.args.get("scheduling-policy") {
        scheduling.by_priority = by_priority(given, ledger);
    }
    if let Some(given) = workload.args.get("long-prefill-token-threshold") {
        scheduling.long_prefill_token_threshold = threshold(given, ledger);
    }
    scheduling
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

fn by_priority(given: &Located<String>, ledger: &mut Ledger) -> bool {
    match given.value.as_str() {
        "fcfs" => false,
        "priority" => {
            let message = "--scheduling-policy priority: no request of the traffic has a priority, so those who came first go \
                 first";
            ledger.push(Diagnostic::warning(given.span.clone(), "args", message));
            true
        }
        other => {
            let message = format!("found --scheduling-policy {other:?}, expected fcfs or priority");
            ledger.push(Diagnostic::error(given.span.clone(), "args", message));
            false
        }
    }
}

fn threshold(given: &Located<String>, ledger: &mut Ledger) -> u32 {
    given.value.parse().unwrap_or_else(|_| {
        let message = format!(
            "found {:?} for --long-prefill-token-threshold, expected a whole number of tokens, 0 for no limit",
            given.value
        );
        ledger.push(Diagnostic::error(given.span.clone(), "args", message));
        0
    })
}

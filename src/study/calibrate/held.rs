//! What a measured run must have held in the KV cache, and whether the cache that was reckoned can have been the server's.

use crate::replica::Profile;
use crate::study::calibrate::{Lengths, Load, Measurement, Quantity};
use crate::traffic::LengthDistribution;

/// Up to this multiple of the other run's TTFT a run did not wait for room.
const NO_WAITING: f64 = 1.5;
/// A cache computed from memory is within 3 % of the logged ones (docs/profiles.md).
const CAPACITY_ERROR: f64 = 0.03;

/// A run that held so many tokens at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Index of the run.
    pub run: usize,
    /// Index of the run that shows that it did not wait.
    pub beside: usize,
    /// Tokens in the cache at one time, at least.
    pub tokens: u64,
}

/// The most that a run of `runs` held without waiting for room in the cache.
///
/// All workers of a closed loop start at once, and until the first answer is complete all of them are being served: by then
/// each holds its prompt and as many tokens as the shortest answer has. That a run did not wait for room is seen beside a run
/// with the same prompts, at least as many workers and shorter answers: its prefill is as much work, it holds less, and its
/// TTFT is about the same.
pub fn held_without_waiting(runs: &[Measurement]) -> Option<Held> {
    let at_once: Vec<Option<AtOnce>> = runs.iter().map(at_once).collect();
    let mut most: Option<Held> = None;
    for (run, own) in at_once.iter().enumerate().filter_map(|(run, own)| Some((run, own.as_ref()?))) {
        let is_shown_by = |other: &AtOnce| {
            let same_prompts = (other.prompt / own.prompt - 1.0).abs() < 0.01;
            same_prompts
                && other.workers >= own.workers
                && other.tokens < own.tokens
                && own.ttft <= NO_WAITING * other.ttft
        };
        let beside = at_once.iter().position(|other| other.as_ref().is_some_and(is_shown_by));
        let Some(beside) = beside.filter(|_| most.is_none_or(|most| own.tokens > most.tokens)) else { continue };
        most = Some(Held { run, beside, tokens: own.tokens });
    }
    most
}

/// What one run of a closed loop says of itself.
struct AtOnce {
    workers: u32,
    prompt: f64,
    ttft: f64,
    tokens: u64,
}

fn at_once(run: &Measurement) -> Option<AtOnce> {
    let Load::Concurrency(workers) = run.load else { return None };
    let ttft = run.value(Quantity::Ttft)?;
    let (prompt, _) = run.lengths.means();
    let shortest = match &run.lengths {
        Lengths::Drawn { output, .. } => match output {
            LengthDistribution::Constant(tokens) | LengthDistribution::Uniform { min: tokens, .. } => *tokens,
            // May end at once.
            _ => 1,
        },
        Lengths::Listed(rows) => rows.iter().map(|row| row.1).min()?,
    };
    // `as` saturates; lengths were checked when read.
    let tokens = (f64::from(workers) * (prompt + f64::from(shortest))) as u64;
    Some(AtOnce { workers, prompt, ttft, tokens })
}

/// The reckoned cache is too small for what a run held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheRuling {
    /// The run.
    pub held: Held,
    /// Tokens that the profile's cache holds.
    pub reckoned: u64,
    /// Tokens of the same memory with `--kv-cache-dtype fp8`, where that holds them; `None`: the profile's cache was given
    /// outright, or 8 bit would not do either.
    pub eight_bit: Option<u64>,
}

/// Whether `runs` rule out the cache of `profile` (within the 3 % to which a computed one is known). vLLM has two sizes of a
/// cached token, 16 bit unless told and 8 bit, so a computed cache that cannot have been the server's is taken for one of 8.
pub fn rule_cache(profile: &Profile, runs: &[Measurement]) -> Option<CacheRuling> {
    let held = held_without_waiting(runs)?;
    let holds = |tokens: u64| held.tokens as f64 <= tokens as f64 * (1.0 + CAPACITY_ERROR);
    if holds(profile.kv_tokens) {
        return None;
    }
    let twice = profile.kv_tokens.saturating_mul(2);
    let eight_bit = (profile.memory.is_some() && holds(twice)).then_some(twice);
    Some(CacheRuling { held, reckoned: profile.kv_tokens, eight_bit })
}

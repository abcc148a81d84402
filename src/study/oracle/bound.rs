//! What no schedule can be billed less than.

use crate::replica::EngineConfig;
use crate::scenario::{ResolvedRun, SloMetric};
use crate::traffic::Trace;
use crate::units::SimDuration;

/// Replica-hours that every schedule with at least `least` replicas is billed in `run`'s measured time until `end`, if it meets
/// the goals for the open-loop `traffic`.
///
/// Proven, and far from tight: the fewest replicas all the time, and the tokens that the goals demand, each generated at the
/// engine's highest rate. A goal on the time per token or end to end is met by completed requests alone, so the shortest
/// outputs of its share must all be generated; one on the first token demands one token of each.
pub fn least_hours(run: &ResolvedRun, traffic: &Trace, end: SimDuration, least: u32) -> f64 {
    let measured = end.saturating_sub(run.warmup);
    let floor = f64::from(least) * measured.as_secs_f64_exact();
    let mut outputs: Vec<u64> = Vec::new();
    for row in traffic.rows.iter().filter(|row| row.at.as_ps() >= run.warmup.as_ps() && row.at.as_ps() < end.as_ps()) {
        // A prompt that leaves no room for a token is refused and counts nowhere.
        let room = run.engine.max_model_len.saturating_sub(row.prompt_tokens);
        if room > 0 {
            outputs.push(u64::from(row.answer_tokens().min(room)));
        }
    }
    outputs.sort_unstable();
    let demanded = run.analysis.slo.iter().map(|limit| {
        let count = (limit.quantile * outputs.len() as f64).floor() as usize;
        match limit.metric {
            SloMetric::Ttft => count as u64,
            SloMetric::Tpot | SloMetric::E2e => outputs[..count].iter().sum(),
        }
    });
    let work = demanded.max().unwrap_or(0) as f64 / highest_token_rate(&run.engine);
    floor.max(work) / 3600.0
}

/// Tokens per second of the fastest decode step: no context, nobody waiting, the batch that suits it best.
fn highest_token_rate(engine: &EngineConfig) -> f64 {
    let largest = u64::from(engine.max_num_seqs.min(engine.max_num_batched_tokens)).max(1);
    let rate = |batch: u64| batch as f64 / engine.step_time.step(batch, 0, 0, batch).as_secs_f64_exact();
    (1..=largest).map(rate).fold(0.0, f64::max)
}

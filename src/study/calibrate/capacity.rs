//! How much load one replica takes within the goals, simulated: what a threshold should follow from.

use crate::replica::{EngineConfig, Profile};
use crate::study::calibrate::bench::{Simulated, bench_engine, simulate_measurement};
use crate::study::calibrate::{Load, Measurement, Quantity, Stop};
use crate::units::{Diagnostic, Diagnostics, Seed, parse_go_duration};
use rayon::prelude::*;
use std::sync::Arc;

/// Requests of each trial.
const REQUESTS: u32 = 600;
/// Seeds of each trial; the goals must hold over all requests of all seeds together.
const SEEDS: u64 = 3;
/// Halvings of the interval: the answer is within 1/1000 of the saturated rate.
const HALVINGS: u32 = 10;
/// Of the saturated rate, at most: beyond, queues grow as long as one waits.
const STABLE: f64 = 0.95;

/// Of what a goal speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The mean over requests.
    Mean,
    /// The quantile, between 0 and 1.
    Quantile(f64),
}

/// A goal, e.g. the 95th percentile of TTFT is at most 2 s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// TTFT, TPOT or latency.
    pub quantity: Quantity,
    /// Of which statistic.
    pub statistic: Statistic,
    /// s.
    pub limit: f64,
}

impl Objective {
    /// `TTFT p95 <= 2 s`.
    pub fn text(&self) -> String {
        let name = self.quantity.label().trim_end_matches(" ms").trim_end_matches(" s");
        let statistic = match self.statistic {
            Statistic::Mean => "mean".to_owned(),
            Statistic::Quantile(q) => format!("p{}", (q * 1e4).round() / 1e2),
        };
        format!("{name} {statistic} <= {} s", self.limit)
    }

    fn holds(&self, runs: &[Simulated]) -> bool {
        let values = |run: &Simulated| match self.quantity {
            Quantity::Ttft => run.ttfts(),
            Quantity::Tpot => run.tpots(),
            _ => run.latencies(),
        };
        let mut all: Vec<f64> = runs.iter().flat_map(values).collect();
        if all.is_empty() {
            return true;
        }
        all.sort_by(f64::total_cmp);
        let found = match self.statistic {
            Statistic::Mean => all.iter().sum::<f64>() / all.len() as f64,
            Statistic::Quantile(q) => {
                // The smallest value that at least this share does not exceed.
                let rank = (q * all.len() as f64).ceil() as usize;
                all[rank.clamp(1, all.len()) - 1]
            }
        };
        found <= self.limit
    }
}

/// Reads `ttft=2s,tpot.p99=100ms,e2e.mean=30s`; without a statistic p95 is meant.
///
/// # Errors
/// What was found and what was expected.
pub fn parse_slo(text: &str) -> Result<Vec<Objective>, String> {
    text.split(',').map(|part| objective(part.trim())).collect()
}

fn objective(part: &str) -> Result<Objective, String> {
    let expected = "expected goals such as ttft=2s,tpot.p99=100ms,e2e.mean=30s";
    let (name, limit) = part.split_once('=').ok_or_else(|| format!("found {part:?}, {expected}"))?;
    let (name, statistic) = name.split_once('.').unwrap_or((name, "p95"));
    let quantity = match name {
        "ttft" => Quantity::Ttft,
        "tpot" => Quantity::Tpot,
        "e2e" => Quantity::Latency,
        _ => return Err(format!("found {name:?}, expected ttft, tpot or e2e")),
    };
    let percent = |text: &str| text.strip_prefix('p')?.parse::<f64>().ok().filter(|p| *p > 0.0 && *p < 100.0);
    let statistic = match statistic {
        "mean" => Statistic::Mean,
        other => Statistic::Quantile(
            percent(other).ok_or_else(|| format!("found {other:?}, expected mean or a percentile such as p95"))?
                / 100.0,
        ),
    };
    let limit = parse_go_duration(limit).map_err(|why| format!("{part}: {why}"))?.as_secs_f64_exact();
    if limit <= 0.0 {
        return Err(format!("{part}: found 0, expected a duration above zero"));
    }
    Ok(Objective { quantity, statistic, limit })
}

/// What one replica takes of one mix of lengths.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Mean tokens, `922 -> 922`.
    pub lengths: String,
    /// Requests per second when as many requests as the engine admits are always there.
    pub saturated_rps: f64,
    /// The highest Poisson rate at which all goals hold; `None` when they hold at none.
    pub rps: Option<f64>,
    /// The goal that breaks beyond it; `None` when all hold up to 95 % of the saturated rate.
    pub bound_by: Option<Objective>,
    /// Tokens per second at that rate, prompts and outputs.
    pub tokens_per_second: f64,
    /// Mean requests running.
    pub running: f64,
    /// Mean requests waiting.
    pub waiting: f64,
}

/// The capacity of one replica with `profile` for each mix of lengths among the runs, in their order.
///
/// # Errors
/// A run that the engine cannot serve.
pub fn capacity(
    profile: &Profile,
    vllm_version: (u32, u32),
    runs: &[Measurement],
    slo: &[Objective],
) -> Result<Vec<Capacity>, Diagnostics> {
    let wrong = |why| Diagnostics::from(Diagnostic::error(None, "", format!("profile {}: {why}", profile.name)));
    let engine = Arc::new(bench_engine(profile, vllm_version).map_err(wrong)?);
    let mut mixes: Vec<&Measurement> = Vec::new();
    for run in runs {
        if !mixes.iter().any(|own| own.lengths_text() == run.lengths_text()) {
            mixes.push(run);
        }
    }
    mixes.into_iter().map(|run| of_mix(&engine, run, slo)).collect()
}

fn of_mix(engine: &Arc<EngineConfig>, mix: &Measurement, slo: &[Objective]) -> Result<Capacity, Diagnostics> {
    let trial = |load: Load, requests: u32| -> Result<Vec<Simulated>, Diagnostics> {
        let run = Measurement { load, stop: Stop::Requests(requests), ..mix.clone() };
        let one = |seed: u64| simulate_measurement(engine, &run, Seed(seed));
        let all: Vec<Result<Simulated, String>> = (1..=SEEDS).into_par_iter().map(one).collect();
        let wrong = |why| Diagnostics::from(Diagnostic::error(mix.place.clone(), "", why));
        all.into_iter().map(|one| one.map_err(wrong)).collect()
    };
    let workers = engine.max_num_seqs;
    let full = trial(Load::Concurrency(workers), workers.saturating_mul(4))?;
    let (prompt, output) = mix.lengths.means();
    let saturated_rps = mean(&full, |run| run.value(Quantity::TokensPerSecond).unwrap_or(0.0)) / (prompt + output);
    let at = |rps: f64| trial(Load::Rate { per_second: rps, even: false, at_most: None }, REQUESTS);
    let broken = |runs: &[Simulated]| slo.iter().find(|goal| !goal.holds(runs)).copied();
    let mut capacity = Capacity {
        lengths: mix.lengths_text(),
        saturated_rps,
        rps: None,
        bound_by: None,
        tokens_per_second: 0.0,
        running: 0.0,
        waiting: 0.0,
    };
    let highest = saturated_rps * STABLE;
    let runs = at(highest)?;
    let mut best = None;
    if let Some(goal) = broken(&runs) {
        capacity.bound_by = Some(goal);
        let (mut low, mut high) = (0.0, highest);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            let runs = at(middle)?;
            match broken(&runs) {
                Some(goal) => (capacity.bound_by, high) = (Some(goal), middle),
                None => (best, low) = (Some((middle, runs)), middle),
            }
        }
    } else {
        best = Some((highest, runs));
    }
    if let Some((rps, runs)) = best {
        let states: Vec<(f64, f64)> = runs.iter().map(|run| run.mean_in_engine(engine.request_overhead)).collect();
        let count = states.len() as f64;
        capacity.rps = Some(rps);
        capacity.tokens_per_second = rps * (prompt + output);
        capacity.waiting = states.iter().map(|state| state.0).sum::<f64>() / count;
        capacity.running = states.iter().map(|state| state.1).sum::<f64>() / count;
    }
    Ok(capacity)
}

fn mean(runs: &[Simulated], of: impl Fn(&Simulated) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read() {
        let goals = parse_slo("ttft=2s, tpot.p99=100ms,e2e.mean=1m").expect("fine");
        let texts: Vec<String> = goals.iter().map(Objective::text).collect();
        assert_eq!(texts, ["TTFT p95 <= 2 s", "TPOT p99 <= 0.1 s", "latency mean <= 60 s"]);
        for (text, part) in [
            ("ttft", "expected goals"),
            ("itl=1s", "expected ttft"),
            ("ttft.p0=1s", "percentile"),
            ("ttft=0s", "above zero"),
        ] {
            let error = parse_slo(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        }
    }
}

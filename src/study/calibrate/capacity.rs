//! How much load one replica takes within the goals, simulated: what a threshold should follow from.

use crate::replica::{EngineConfig, Finished, Profile};
use crate::study::calibrate::bench::bench_engine;
use crate::study::calibrate::steady::{Ended, Pressure, Steady, Window, steady};
use crate::study::calibrate::{Measurement, Quantity};
use crate::units::{Diagnostic, Diagnostics, Seed, SimTime, parse_go_duration};
use rayon::prelude::*;
use std::sync::Arc;

/// Seeds of each trial; the goals must hold with each.
const SEEDS: u64 = 4;
/// Requests that count in a trial while the rate is looked for, for each that is inside at a time, at least and at most.
const SEARCHED: (f64, f64, f64) = (100.0, 3000.0, 30_000.0);
/// The same of the last trial, which the answer has to pass.
const CONFIRMED: (f64, f64, f64) = (600.0, 10_000.0, 150_000.0);
/// The search ends when the rate is known within this share.
const PRECISION: f64 = 0.004;
/// Halvings at most.
const HALVINGS: u32 = 24;
/// By so much a rate is lowered that the last trial does not confirm, by twice as much the next time, and so on; so many times
/// at most, which leaves nothing of it.
const LOWERED: (f64, u32) = (0.01, 60);
/// Of the saturated rate, at most: beyond, queues grow as long as one waits.
const STABLE: f64 = 0.95;
/// Seeds of each number of workers, and requests that count with few of them.
const CURVE: (u64, u32) = (3, 400);
/// Requests that wait before they count as piling up, beside twice as many as can run.
const PILE: u32 = 1000;

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

    /// What the goal looks at, s; `None` for a TPOT of a single token.
    fn of(&self, done: &Finished) -> Option<f64> {
        let seconds = |from: SimTime, to: SimTime| to.since(from).as_secs_f64_exact();
        match self.quantity {
            Quantity::Ttft => Some(seconds(done.arrived, done.first_token)),
            Quantity::Tpot => {
                let gaps = done.generated_tokens.checked_sub(1).filter(|gaps| *gaps > 0)?;
                Some(seconds(done.first_token, done.at) / f64::from(gaps))
            }
            _ => Some(seconds(done.arrived, done.at)),
        }
    }

    fn holds(&self, requests: &[Finished]) -> bool {
        let mut all: Vec<f64> = requests.iter().filter_map(|done| self.of(done)).collect();
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

/// Sees early that a goal cannot hold any more, whatever the requests to come will say.
struct Watched {
    goal: Objective,
    /// So many values over the limit are too many (a quantile), or so large a sum (a mean).
    most: f64,
    so_far: f64,
}

impl Watched {
    /// With so many requests in all, of which each may or may not have a value.
    fn new(goal: Objective, requests: u32) -> Self {
        let requests = f64::from(requests);
        let most = match goal.statistic {
            Statistic::Mean => goal.limit * requests,
            // The difference only grows with the number of values.
            Statistic::Quantile(q) => requests - (q * requests).ceil(),
        };
        Watched { goal, most, so_far: 0.0 }
    }

    fn is_lost(&mut self, done: &Finished) -> bool {
        let Some(value) = self.goal.of(done) else { return false };
        self.so_far += match self.goal.statistic {
            Statistic::Mean => value,
            Statistic::Quantile(_) => f64::from(u8::from(value > self.goal.limit)),
        };
        // Sums in another order may differ in the last digits.
        self.so_far > self.most * (1.0 + 1e-9)
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
    /// The most requests per second that any number of requests under way makes of the engine, in the steady state.
    pub saturated_rps: f64,
    /// Requests per second when as many as the engine admits are always there. Less, where the KV cache does not hold them: they
    /// are evicted and computed again.
    pub flooded_rps: f64,
    /// The highest Poisson rate at which all goals hold; `None` when they hold at none.
    pub rps: Option<f64>,
    /// The goal that breaks beyond it; `None` when none does before requests pile up.
    pub bound_by: Option<Objective>,
    /// Tokens per second at that rate, prompts and outputs.
    pub tokens_per_second: f64,
    /// Mean requests running in the steady state at that rate.
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

/// What a trial says of a rate.
enum Verdict {
    Holds(Vec<Steady>),
    /// The goal, or `None` when requests pile up.
    Breaks(Option<Objective>),
}

/// What one seed of it saw, or the goal that broke.
type Trial = Result<Steady, Option<Objective>>;

/// The answer: the rate with the trial that confirms it, if there is one, and what breaks beyond.
type Highest = (Option<(f64, Vec<Steady>)>, Option<Objective>);

struct Search<'a> {
    engine: &'a Arc<EngineConfig>,
    mix: &'a Measurement,
    slo: &'a [Objective],
    /// Requests under way and what the engine then answers per second, from one request up.
    curve: Vec<(u32, f64)>,
}

impl Search<'_> {
    fn wrong(&self, why: &str) -> Diagnostics {
        let message = format!("how much load {} tokens allow cannot be simulated: {why}", self.mix.lengths_text());
        Diagnostic::error(self.mix.place.clone(), "--slo", message).into()
    }

    /// So many workers, each with its next request as soon as it has its answer.
    fn busy(&self, workers: u32, requests: u32, seed: u64) -> Result<Steady, Diagnostics> {
        let counted = workers.saturating_mul(4).clamp(requests, 100_000);
        let window = Window { warm_up: counted / 2, counted, most_inside: u32::MAX };
        let pressure = Pressure::Workers(workers);
        steady(self.engine, &self.mix.lengths, pressure, window, Seed(seed), |_| true).map_err(|why| match why {
            Ended::Impossible(why) => self.wrong(&why),
            Ended::PiledUp | Ended::SeenEnough => self.wrong("it ended early"),
        })
    }

    /// Numbers of workers to look at, up to as many as the engine can run. Between two and the next stands one more; beside them
    /// those of which the KV cache just holds all, at their longest and on average: beyond, requests are evicted and computed
    /// again, and more workers make less.
    fn looked_at(&self) -> Vec<u32> {
        let (prompt, output) = self.mix.lengths.means();
        let cache = f64::from(self.engine.kv_blocks) * f64::from(self.engine.block_size);
        // No more run than twice the prompts that the cache holds, however short some are; others only wait.
        let most = self.engine.max_num_seqs.min((2.0 * cache / prompt) as u32).max(1);
        let octaves = (0..32).flat_map(|halvings| [most >> halvings, (most >> halvings) / 4 * 3]);
        // `as` saturates; at most `most` are looked at.
        let held = [cache / (prompt + output), cache / (prompt + output / 2.0), 0.95 * cache / (prompt + output / 2.0)];
        let mut all: Vec<u32> = octaves.chain(held.map(|workers| workers as u32)).collect();
        all.retain(|workers| (1..=most).contains(workers));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What each number of workers makes of the engine, on average over some seeds.
    fn measure_curve(&mut self) -> Result<(), Diagnostics> {
        let looked_at = self.looked_at();
        let tasks: Vec<(u32, u64)> =
            looked_at.iter().flat_map(|workers| (1..=CURVE.0).map(|seed| (*workers, seed))).collect();
        let one = |(workers, seed): &(u32, u64)| self.busy(*workers, CURVE.1, *seed).map(|run| run.per_second);
        let all: Vec<Result<f64, Diagnostics>> = tasks.par_iter().map(one).collect();
        let rates: Vec<f64> = all.into_iter().collect::<Result<_, _>>()?;
        let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
        self.curve = looked_at.into_iter().zip(rates.chunks(CURVE.0 as usize).map(mean)).collect();
        Ok(())
    }

    /// About how many requests are inside at `rps`: the fewest workers that make so much of it.
    fn inside(&self, rps: f64) -> f64 {
        let mut before = (0.0, 0.0);
        for (workers, rate) in self.curve.iter().map(|(workers, rate)| (f64::from(*workers), *rate)) {
            if rate >= rps {
                return before.0 + (workers - before.0) * (rps - before.1) / (rate - before.1);
            }
            if rate > before.1 {
                before = (workers, rate);
            }
        }
        before.0
    }

    /// Whether every goal holds when one request comes at a time.
    fn holds_alone(&self) -> Result<bool, Diagnostics> {
        let alone = self.busy(1, 200, 1)?;
        Ok(self.slo.iter().all(|goal| goal.holds(&alone.counted)))
    }

    fn trial(&self, rps: f64, (each, least, most): (f64, f64, f64)) -> Result<Verdict, Diagnostics> {
        let inside = self.inside(rps);
        let counted = (inside * each).clamp(least, most) as u32;
        let most_inside = self.engine.max_num_seqs.saturating_mul(2).saturating_add(PILE);
        let window = Window { warm_up: counted / 4, counted, most_inside };
        // `as` saturates; at most what the engine admits.
        let pressure = Pressure::Rate { per_second: rps, inside: inside.round() as u32 };
        let one = |seed: u64| -> Result<Trial, Diagnostics> {
            let mut watched: Vec<Watched> = self.slo.iter().map(|goal| Watched::new(*goal, counted)).collect();
            let mut lost = None;
            let watch = |done: &Finished| {
                lost = watched.iter_mut().find_map(|own| own.is_lost(done).then_some(own.goal));
                lost.is_none()
            };
            match steady(self.engine, &self.mix.lengths, pressure, window, Seed(seed), watch) {
                Ok(run) => match self.slo.iter().find(|goal| !goal.holds(&run.counted)) {
                    Some(goal) => Ok(Err(Some(*goal))),
                    None => Ok(Ok(run)),
                },
                Err(Ended::SeenEnough) => Ok(Err(lost)),
                Err(Ended::PiledUp) => Ok(Err(None)),
                Err(Ended::Impossible(why)) => Err(self.wrong(&why)),
            }
        };
        let all: Vec<Result<Trial, Diagnostics>> = (1..=SEEDS).into_par_iter().map(one).collect();
        let mut held = Vec::new();
        for run in all {
            match run? {
                Ok(run) => held.push(run),
                Err(goal) => return Ok(Verdict::Breaks(goal)),
            }
        }
        Ok(Verdict::Holds(held))
    }

    /// The highest rate up to `highest` that keeps the goals.
    fn highest(&self, highest: f64) -> Result<Highest, Diagnostics> {
        let (mut low, mut high, mut bound) = (0.0, highest, None);
        match self.trial(highest, SEARCHED)? {
            Verdict::Holds(_) => low = highest,
            Verdict::Breaks(goal) => {
                bound = goal;
                for _ in 0..HALVINGS {
                    if high - low <= PRECISION * high {
                        break;
                    }
                    let middle = (low + high) / 2.0;
                    match self.trial(middle, SEARCHED)? {
                        Verdict::Breaks(goal) => (bound, high) = (goal, middle),
                        Verdict::Holds(_) => low = middle,
                    }
                }
            }
        }
        for times in 1..=LOWERED.1 {
            if low <= 0.0 {
                break;
            }
            match self.trial(low, CONFIRMED)? {
                Verdict::Holds(runs) => return Ok((Some((low, runs)), bound)),
                Verdict::Breaks(goal) => (bound, low) = (goal, low * (1.0 - LOWERED.0 * f64::from(times))),
            }
        }
        Ok((None, bound))
    }
}

fn of_mix(engine: &Arc<EngineConfig>, mix: &Measurement, slo: &[Objective]) -> Result<Capacity, Diagnostics> {
    let mut search = Search { engine, mix, slo, curve: Vec::new() };
    search.measure_curve()?;
    let saturated_rps = search.curve.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let flooded_rps = search.curve.last().map_or(0.0, |(_, rate)| *rate);
    let (best, bound_by) = if search.holds_alone()? { search.highest(saturated_rps * STABLE)? } else { (None, None) };
    let (prompt, output) = mix.lengths.means();
    let mean = |of: fn(&Steady) -> f64| {
        best.as_ref().map_or(0.0, |(_, runs)| runs.iter().map(of).sum::<f64>() / runs.len() as f64)
    };
    Ok(Capacity {
        lengths: mix.lengths_text(),
        saturated_rps,
        flooded_rps,
        rps: best.as_ref().map(|(rps, _)| *rps),
        bound_by,
        tokens_per_second: best.as_ref().map_or(0.0, |(rps, _)| rps * (prompt + output)),
        running: mean(|run| run.running),
        waiting: mean(|run| run.waiting),
    })
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

//! JSON reports of guidellm, in all shapes that its releases have written:
//!
//! | guidellm | load | number of requests | upstream |
//! |---|---|---|---|
//! | 0.2, 0.3 | `args.strategy` | `request_totals`, beside `metrics` | `benchmark/benchmark.py`: `BenchmarkArgs`, `GenerativeBenchmark` |
//! | builds between 0.3 and 0.4 | `scheduler.strategy` | the same | `benchmark/schemas.py`: `SchedulerDict`, `GenerativeBenchmark` |
//! | 0.4 to 0.8 | `config.strategy` | `metrics.request_totals` | `benchmark/schemas/`: `BenchmarkConfig`, `GenerativeMetrics` |
//!
//! The metrics have had the same names and meanings since 0.2. 0.1 kept no summaries, but every token's time, and is refused.

use crate::study::calibrate::read::{Measurements, lengths_of};
use crate::study::calibrate::read_json::{Found, brief};
use crate::study::calibrate::{LengthOptions, Load, Measurement, Observed, Quantity, Stop};
use crate::units::Diagnostic;

/// What to do with a report in another shape.
const VERSIONS: &str = "reports of guidellm 0.2 to 0.8 are read as they were written; measure again with one of these, or put \
     the means into a CSV (concurrency or rate, requests, prompt_tokens, output_tokens, ttft_ms, itl_ms, latency_s)";

/// Reads the list of benchmarks of a report.
pub(super) fn read_report(benchmarks: &Found<'_>, options: &LengthOptions, found: &mut Measurements) {
    let Some(items) = benchmarks.items() else {
        let message = format!("found {}, expected guidellm's list of benchmarks", brief(benchmarks.value));
        return found.told.push(benchmarks.wrong(message).help(VERSIONS));
    };
    for item in items {
        match benchmark(&item, options, found) {
            Ok(run) => found.runs.extend(run),
            Err(diagnostic) => found.told.push(diagnostic),
        }
    }
}

/// One benchmark; `None` when its load cannot be known.
fn benchmark(
    value: &Found<'_>,
    options: &LengthOptions,
    told: &mut Measurements,
) -> Result<Option<Measurement>, Diagnostic> {
    let strategy = strategy(value)?;
    let Some(load) = load(&strategy)? else {
        let message =
            "the load of this run is not told (throughput without max_concurrency, or a replayed trace); left out";
        told.tell(Diagnostic::warning(value.place(), strategy.path.clone(), message));
        return Ok(None);
    };
    tell_ramp(&strategy, load, told)?;
    let metrics = value.need("metrics").map_err(|missing| missing.help(VERSIONS))?;
    let totals = metrics.get("request_totals").or_else(|| value.get("request_totals")).ok_or_else(|| {
        let message = "the key request_totals is missing, in metrics (guidellm 0.4 to 0.8) and beside it (0.2, 0.3)";
        value.wrong(message).help(VERSIONS)
    })?;
    let completed = totals.need("successful")?.count()?;
    if let Some(failed) =
        totals.get("errored").map(|failed| failed.number()).transpose()?.filter(|failed| *failed > 0.0)
    {
        let message = format!("{failed} requests of the run failed; they are not simulated");
        told.tell(Diagnostic::warning(totals.place(), totals.path.clone(), message));
    }
    let mean = |key: &str| -> Result<Option<f64>, Diagnostic> {
        metrics.get(key).and_then(|found| found.get("successful")).map_or(Ok(None), |found| found.positive("mean"))
    };
    let means = (mean("prompt_token_count")?, mean("output_token_count")?);
    let lengths = lengths_of(value.run_place(), means, false, options)?;
    let mut numbers = Vec::new();
    // Its time_per_output_token_ms contains the first token, so the latency between tokens is taken. Its rates are means over
    // time of a window, not tokens over the run's length: compared, not fitted.
    for (key, quantity, unit, fitted) in [
        ("tokens_per_second", Quantity::TokensPerSecond, 1.0, false),
        ("time_to_first_token_ms", Quantity::Ttft, 1e-3, true),
        ("inter_token_latency_ms", Quantity::Itl, 1e-3, true),
        ("request_latency", Quantity::Latency, 1.0, true),
    ] {
        numbers.extend(mean(key)?.map(|number| Observed { quantity, value: number * unit, fitted }));
    }
    if !numbers.iter().any(|own| own.fitted) {
        let message =
            "found no time_to_first_token_ms, inter_token_latency_ms or request_latency of successful requests";
        return Err(metrics
            .wrong(message)
            .help("measure with a streaming backend; a run without answers says nothing"));
    }
    let stop = Stop::Requests(completed);
    Ok(Some(Measurement { place: value.run_place().clone(), load, stop, lengths, observed: numbers }))
}

/// How the benchmark sent, wherever its release has it.
fn strategy<'a>(value: &Found<'a>) -> Result<Found<'a>, Diagnostic> {
    for holder in ["config", "args", "scheduler"] {
        if let Some(found) = value.get(holder).and_then(|holder| holder.get("strategy")) {
            return Ok(found);
        }
    }
    // 0.1: benchmarks of benchmarks, with the results of each request.
    if value.get("benchmarks").is_some() {
        return Err(value.wrong("found a report of guidellm 0.1, which has no means").help(VERSIONS));
    }
    let message = format!(
        "found {}, expected config.strategy (guidellm 0.4 to 0.8), args.strategy (0.2, 0.3) or scheduler.strategy (builds \
         between them)",
        value.shown()
    );
    Err(value.wrong(message).help(VERSIONS))
}

fn load(strategy: &Found<'_>) -> Result<Option<Load>, Diagnostic> {
    let kind = strategy.need("type_")?;
    let rate = |even: bool| -> Result<Option<Load>, Diagnostic> {
        let found = strategy.need("rate")?;
        let per_second = found.number()?;
        if per_second == 0.0 {
            return Err(found.wrong("found 0, expected a rate above 0").help("give the --rate of the run"));
        }
        let at_most = strategy.get("max_concurrency").map(|most| most.count()).transpose()?;
        Ok(Some(Load::Rate { per_second, even, at_most }))
    };
    match kind.value.as_str() {
        Some("synchronous") => Ok(Some(Load::Concurrency(1))),
        Some("concurrent") => Ok(Some(Load::Concurrency(strategy.need("streams")?.count()?))),
        Some("throughput") => {
            Ok(strategy.get("max_concurrency").map(|most| most.count()).transpose()?.map(Load::Concurrency))
        }
        Some("constant") => rate(true),
        Some("poisson") => rate(false),
        Some("trace") => Ok(None),
        _ => {
            let message = format!(
                "found {}, expected synchronous, concurrent, throughput, constant, poisson or trace",
                brief(kind.value)
            );
            Err(kind.wrong(message).help(VERSIONS))
        }
    }
}

/// A rate that grows is no load of one run; workers that start one by one change only its beginning.
fn tell_ramp(strategy: &Found<'_>, load: Load, told: &mut Measurements) -> Result<(), Diagnostic> {
    let Some(ramp) = strategy.get("rampup_duration") else { return Ok(()) };
    let seconds = ramp.number()?;
    if seconds == 0.0 {
        return Ok(());
    }
    if let Load::Rate { .. } = load {
        let message = format!("found a ramp-up of {seconds} s, expected one steady load per run");
        return Err(ramp.wrong(message).help("measure without --rampup"));
    }
    let message = format!("the workers of this run started over {seconds} s; the simulated ones start at once");
    told.tell(Diagnostic::warning(ramp.place(), ramp.path.clone(), message));
    Ok(())
}

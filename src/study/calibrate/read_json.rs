//! JSON of `vllm bench serve --save-result` (`vllm/benchmarks/serve.py`, `main_async`) and of guidellm
//! (`guidellm/benchmark/schemas/report.py`, `benchmark.py`, `metrics.py`; names as of 0.8.1, report version 2).

use crate::study::calibrate::read::{FORMATS, Measurements, lengths_of};
use crate::study::calibrate::{LengthOptions, Lengths, Load, Measurement, Observed, Quantity, Stop};
use crate::units::{Diagnostic, Span};
use serde_json::Value;

/// Most requests of one run that are simulated again.
const MOST_REQUESTS: u64 = 100_000;

/// Reads all JSON values of the text: one, an array, or several after one another (`--append-result`).
pub(super) fn read(file: &str, text: &str, lengths: &LengthOptions, found: &mut Measurements) {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut index = 0;
    loop {
        let before = stream.byte_offset();
        let Some(value) = stream.next() else { break };
        let (line, column) = position(text, before);
        let place = Span::new(file, line, column);
        match value {
            Ok(Value::Array(items)) => {
                for (item, value) in items.iter().enumerate() {
                    one(&Found { place: &place, path: format!("$[{item}]"), value }, lengths, found);
                }
            }
            Ok(value) => {
                let path = if index == 0 { "$".to_owned() } else { format!("$ (value {})", index + 1) };
                one(&Found { place: &place, path, value: &value }, lengths, found);
            }
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                let at = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
                let message = format!("found text that is no JSON ({error})");
                found.told.push(Diagnostic::error(Span::new(file, at(line), at(column)), "", message));
                return;
            }
        }
        index += 1;
    }
}

/// Line and column of the first character at or after byte `offset` that is no white space.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let rest = &text[offset..];
    let before = &text[..offset + (rest.len() - rest.trim_start().len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// A JSON value and where it stands.
struct Found<'a> {
    place: &'a Span,
    path: String,
    value: &'a Value,
}

impl<'a> Found<'a> {
    fn get(&self, key: &str) -> Option<Found<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Found { place: self.place, path: format!("{}.{key}", self.path), value })
    }

    fn need(&self, key: &str) -> Result<Found<'a>, Diagnostic> {
        self.get(key).ok_or_else(|| self.wrong(format!("the key {key} is missing")))
    }

    fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.place.clone(), self.path.clone(), message)
    }

    /// A finite number of 0 or more.
    fn number(&self) -> Result<f64, Diagnostic> {
        let number = self.value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| self.wrong(format!("found {}, expected a number of 0 or more", brief(self.value))))
    }

    /// A whole number from 1 on that a run may have.
    fn count(&self) -> Result<u32, Diagnostic> {
        let number = self.value.as_u64().filter(|number| (1..=MOST_REQUESTS).contains(number));
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| {
            self.wrong(format!("found {}, expected a whole number from 1 to {MOST_REQUESTS}", brief(self.value)))
        })
    }

    /// The number at `key`, above 0; a 0 stands for a value that the tool could not take.
    fn positive(&self, key: &str) -> Result<Option<f64>, Diagnostic> {
        let Some(found) = self.get(key) else { return Ok(None) };
        Ok(Some(found.number()?).filter(|number| *number > 0.0))
    }
}

/// At most 60 characters of a value.
fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

fn one(value: &Found<'_>, lengths: &LengthOptions, found: &mut Measurements) {
    if let Some(benchmarks) = value.get("benchmarks") {
        let Value::Array(items) = benchmarks.value else {
            let message = format!("found {}, expected guidellm's list of benchmarks", brief(benchmarks.value));
            return found.told.push(benchmarks.wrong(message));
        };
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", benchmarks.path);
            let read = guidellm(&Found { place: value.place, path, value: item }, lengths, found);
            add(read, found);
        }
    } else if value.get("completed").is_some() || value.get("total_input_tokens").is_some() {
        let read = vllm(value, lengths, found);
        add(read.map(Some), found);
    } else {
        let keys = value.value.as_object().map(|keys| keys.keys().take(5).cloned().collect::<Vec<_>>().join(", "));
        let shown = keys.map_or_else(|| brief(value.value), |keys| format!("an object with the keys {keys}"));
        found.told.push(value.wrong(format!("found {shown}, {FORMATS}")));
    }
}

fn add(read: Result<Option<Measurement>, Diagnostic>, found: &mut Measurements) {
    match read {
        Ok(run) => found.runs.extend(run),
        Err(diagnostic) => found.told.push(diagnostic),
    }
}

fn observed(value: &Found<'_>, names: &[(&str, Quantity, f64)], lists: &mut Vec<Observed>) -> Result<(), Diagnostic> {
    for (key, quantity, unit) in names {
        if let Some(number) = value.positive(key)? {
            lists.push(Observed { quantity: *quantity, value: number * unit, fitted: true });
        }
    }
    Ok(())
}

/// One result of `vllm bench serve`.
fn vllm(value: &Found<'_>, options: &LengthOptions, told: &mut Measurements) -> Result<Measurement, Diagnostic> {
    let completed = value.need("completed")?.count()?;
    if let Some(ramp) = value.get("ramp_up_strategy") {
        let message = format!("found a ramp-up ({}), expected one steady load per run", brief(ramp.value));
        return Err(ramp.wrong(message).help("measure with --request-rate or --max-concurrency alone"));
    }
    if let Some(failed) = value.get("failed").map(|failed| failed.number()).transpose()?.filter(|failed| *failed > 0.0)
    {
        let message = format!("{failed} requests of the run failed; they are not simulated");
        told.tell(Diagnostic::warning(value.place.clone(), value.path.clone(), message));
    }
    let load = vllm_load(value, completed)?;
    let total = |key: &str| Ok(value.need(key)?.number()? / f64::from(completed));
    let means = (Some(total("total_input_tokens")?), Some(total("total_output_tokens")?));
    let lengths = match listed(value)? {
        Some(rows) => Lengths::Listed(rows),
        None => lengths_of(value.place, means, false, options)?,
    };
    let names = [
        ("total_token_throughput", Quantity::TokensPerSecond, 1.0),
        ("mean_ttft_ms", Quantity::Ttft, 1e-3),
        ("mean_tpot_ms", Quantity::Tpot, 1e-3),
        ("mean_e2el_ms", Quantity::Latency, 1e-3),
    ];
    let mut numbers = Vec::new();
    observed(value, &names, &mut numbers)?;
    if !numbers.iter().any(|own| own.quantity == Quantity::Tpot) {
        observed(value, &[("mean_itl_ms", Quantity::Itl, 1e-3)], &mut numbers)?;
    }
    if numbers.is_empty() {
        return Err(
            value.wrong("found no total_token_throughput, mean_ttft_ms, mean_tpot_ms, mean_itl_ms or mean_e2el_ms")
        );
    }
    Ok(Measurement { place: value.place.clone(), load, stop: Stop::Requests(completed), lengths, observed: numbers })
}

fn vllm_load(value: &Found<'_>, completed: u32) -> Result<Load, Diagnostic> {
    let at_most = value.get("max_concurrency").map(|most| most.count()).transpose()?;
    let rate = value.need("request_rate")?;
    if rate.value.as_str() == Some("inf") {
        // Without a bound all requests are sent at once.
        return Ok(Load::Concurrency(at_most.unwrap_or(completed)));
    }
    let per_second = rate.number()?;
    if per_second == 0.0 {
        return Err(rate.wrong("found 0, expected a rate above 0 or \"inf\""));
    }
    if let Some(burstiness) = value.get("burstiness")
        && burstiness.number()? != 1.0
    {
        let message = format!("found a burstiness of {}, expected 1 (Poisson)", brief(burstiness.value));
        return Err(burstiness.wrong(message).help("measure without --burstiness"));
    }
    Ok(Load::Rate { per_second, even: false, at_most })
}

/// Lengths of each request, as `--save-detailed` keeps them; requests without an answer are left out.
fn listed(value: &Found<'_>) -> Result<Option<Vec<(u32, u32)>>, Diagnostic> {
    let (Some(prompts), Some(outputs)) = (value.get("input_lens"), value.get("output_lens")) else { return Ok(None) };
    let list = |found: &Found<'_>| -> Result<Vec<u32>, Diagnostic> {
        let number = |item: &Value| item.as_u64().and_then(|number| u32::try_from(number).ok());
        let numbers = found.value.as_array().and_then(|items| items.iter().map(number).collect::<Option<Vec<u32>>>());
        numbers.ok_or_else(|| found.wrong("expected a list of token counts"))
    };
    let (left, right) = (list(&prompts)?, list(&outputs)?);
    if left.len() != right.len() {
        let message = format!("found {} output_lens for {} input_lens", right.len(), left.len());
        return Err(outputs.wrong(message));
    }
    let rows: Vec<(u32, u32)> = left.into_iter().zip(right).filter(|row| row.0 > 0 && row.1 > 0).collect();
    Ok((!rows.is_empty()).then_some(rows))
}

/// One benchmark of a guidellm report; `None` when its load cannot be known.
fn guidellm(
    value: &Found<'_>,
    options: &LengthOptions,
    told: &mut Measurements,
) -> Result<Option<Measurement>, Diagnostic> {
    let settings = match value.get("config") {
        Some(config) => config,
        // Reports before version 2.
        None => value.get("args").ok_or_else(|| value.wrong("the key config is missing"))?,
    };
    let strategy = settings.need("strategy")?;
    let Some(load) = guidellm_load(&strategy)? else {
        let message =
            "the load of this run is not told (throughput without max_concurrency, or a replayed trace); left out";
        told.tell(Diagnostic::warning(value.place.clone(), strategy.path.clone(), message));
        return Ok(None);
    };
    let metrics = value.need("metrics")?;
    let completed = metrics.need("request_totals")?.need("successful")?.count()?;
    let mean = |key: &str| -> Result<Option<f64>, Diagnostic> {
        metrics.get(key).and_then(|found| found.get("successful")).map_or(Ok(None), |found| found.positive("mean"))
    };
    let means = (mean("prompt_token_count")?, mean("output_token_count")?);
    let lengths = lengths_of(value.place, means, false, options)?;
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
        return Err(metrics.wrong("found no time_to_first_token_ms, inter_token_latency_ms or request_latency"));
    }
    let stop = Stop::Requests(completed);
    Ok(Some(Measurement { place: value.place.clone(), load, stop, lengths, observed: numbers }))
}

fn guidellm_load(strategy: &Found<'_>) -> Result<Option<Load>, Diagnostic> {
    let kind = strategy.need("type_")?;
    let rate = |even: bool| -> Result<Option<Load>, Diagnostic> {
        let found = strategy.need("rate")?;
        let per_second = found.number()?;
        if per_second == 0.0 {
            return Err(found.wrong("found 0, expected a rate above 0"));
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
        _ => Err(kind.wrong(format!(
            "found {}, expected synchronous, concurrent, throughput, constant, poisson or trace",
            brief(kind.value)
        ))),
    }
}

//! JSON of benchmarks: its values and where they stand, and the results of `vllm bench serve --save-result`
//! (`vllm/benchmarks/serve.py`, `main_async`). Reports of guidellm are read in `read_guidellm`.

use crate::study::calibrate::json_place::{Step, locate, position};
use crate::study::calibrate::models::models_in;
use crate::study::calibrate::read::{FORMATS, Measurements, lengths_of};
use crate::study::calibrate::read_guidellm::read_report;
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
        let start = stream.byte_offset();
        let Some(value) = stream.next() else { break };
        let source = Source { file, text, start, place: position(file, text, start) };
        match value {
            Ok(Value::Array(items)) => {
                for (item, value) in items.iter().enumerate() {
                    let (path, steps) = (format!("$[{item}]"), vec![Step::Item(item)]);
                    one(&Found { source: &source, path, steps, value }, lengths, found);
                }
            }
            Ok(value) => {
                let path = if index == 0 { "$".to_owned() } else { format!("$ (value {})", index + 1) };
                one(&Found { source: &source, path, steps: Vec::new(), value: &value }, lengths, found);
            }
            Err(error) => return found.told.push(no_json(file, text, &error)),
        }
        index += 1;
    }
}

/// What stopped the parser, in the words of who wrote the file.
fn no_json(file: &str, text: &str, error: &serde_json::Error) -> Diagnostic {
    let at = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).max(1);
    let place = Span::new(file, at(error.line()), at(error.column()));
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or("");
    // The parser stops at the first letter, or after the sign.
    let here = line.get(error.column().saturating_sub(1)..).unwrap_or("");
    let here = here.trim_start_matches(['-', ' ']);
    if let Some(word) = ["NaN", "Infinity", "inf", "nan"].into_iter().find(|word| here.starts_with(word)) {
        let message = format!("found {word}, expected a number: JSON has no such value");
        let help = "Python writes it where nothing was measured: put null in its place, or leave the run out";
        return Diagnostic::error(place, "", message).help(help);
    }
    if error.is_eof() {
        let message = format!("found the end of the file inside a JSON value ({error})");
        return Diagnostic::error(place, "", message).help("the file is cut off: give it as the tool wrote it");
    }
    let diagnostic = Diagnostic::error(place, "", format!("found text that is no JSON ({error})"));
    diagnostic.help("the file starts as JSON; give it as the tool wrote it, or a CSV with a header")
}

/// A text, and the value in it that is read.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    /// Byte offset of the value.
    start: usize,
    place: Span,
}

/// A JSON value and where it stands.
pub(super) struct Found<'a> {
    source: &'a Source<'a>,
    pub(super) path: String,
    steps: Vec<Step>,
    pub(super) value: &'a Value,
}

impl<'a> Found<'a> {
    /// The value at `key`; `None` when there is none, or null.
    pub(super) fn get(&self, key: &str) -> Option<Found<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(self.inner(format!("{}.{key}", self.path), Step::Key(key.to_owned()), value))
    }

    /// The items, if it is an array.
    pub(super) fn items(&self) -> Option<Vec<Found<'a>>> {
        let items = self.value.as_array()?.iter().enumerate();
        Some(items.map(|(at, value)| self.inner(format!("{}[{at}]", self.path), Step::Item(at), value)).collect())
    }

    fn inner(&self, path: String, step: Step, value: &'a Value) -> Found<'a> {
        let steps = self.steps.iter().cloned().chain([step]).collect();
        Found { source: self.source, path, steps, value }
    }

    /// Where the run's value stands, for the run.
    pub(super) fn run_place(&self) -> &Span {
        &self.source.place
    }

    /// Where this very value stands.
    pub(super) fn place(&self) -> Span {
        let Source { file, text, start, place } = self.source;
        locate(text, *start, &self.steps).map_or_else(|| place.clone(), |at| position(file, text, at))
    }

    pub(super) fn need(&self, key: &str) -> Result<Found<'a>, Diagnostic> {
        let missing = || self.wrong(format!("the key {key} is missing")).help("give the file as the tool wrote it");
        self.get(key).ok_or_else(missing)
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.place(), self.path.clone(), message)
    }

    /// A finite number of 0 or more.
    pub(super) fn number(&self) -> Result<f64, Diagnostic> {
        let number = self.value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| {
            let message = format!("found {}, expected a number of 0 or more", brief(self.value));
            self.wrong(message).help("leave the key out, or put null, where nothing was measured")
        })
    }

    /// A whole number from 1 on that a run may have.
    pub(super) fn count(&self) -> Result<u32, Diagnostic> {
        let number = self.value.as_u64().filter(|number| (1..=MOST_REQUESTS).contains(number));
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| {
            let message = format!("found {}, expected a whole number from 1 to {MOST_REQUESTS}", brief(self.value));
            let help = match self.value.as_f64() {
                Some(0.0) => "a run without one answered request says nothing: leave it out",
                Some(number) if number > MOST_REQUESTS as f64 => {
                    "as many are not simulated again: measure shorter runs"
                }
                _ => "give the file as the tool wrote it",
            };
            self.wrong(message).help(help)
        })
    }

    /// The number at `key`, above 0; a 0 stands for a value that the tool could not take.
    pub(super) fn positive(&self, key: &str) -> Result<Option<f64>, Diagnostic> {
        let Some(found) = self.get(key) else { return Ok(None) };
        Ok(Some(found.number()?).filter(|number| *number > 0.0))
    }

    /// What it is, for messages: `an object with the keys a, b`, or the value.
    pub(super) fn shown(&self) -> String {
        match self.value.as_object() {
            Some(keys) if keys.is_empty() => "an empty object".to_owned(),
            Some(keys) => {
                let keys = keys.keys().take(5).cloned().collect::<Vec<_>>().join(", ");
                format!("an object with the keys {keys}")
            }
            None => brief(self.value),
        }
    }
}

/// At most 60 characters of a value.
pub(super) fn brief(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 { text } else { text.chars().take(57).chain("...".chars()).collect() }
}

fn one(value: &Found<'_>, lengths: &LengthOptions, found: &mut Measurements) {
    found.models.extend(models_in(value.value).into_iter().map(|model| (value.place(), model)));
    if let Some(benchmarks) = value.get("benchmarks") {
        read_report(&benchmarks, lengths, found);
    } else if value.get("completed").is_some() || value.get("total_input_tokens").is_some() {
        match vllm(value, lengths, found) {
            Ok(run) => found.runs.push(run),
            Err(diagnostic) => found.told.push(diagnostic),
        }
    } else {
        found.told.push(value.wrong(format!("found {}, {FORMATS}", value.shown())));
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
        told.tell(Diagnostic::warning(value.place(), value.path.clone(), message));
    }
    let load = vllm_load(value, completed)?;
    let total = |key: &str| Ok(value.need(key)?.number()? / f64::from(completed));
    let means = (Some(total("total_input_tokens")?), Some(total("total_output_tokens")?));
    let lengths = match listed(value)? {
        Some(rows) => Lengths::Listed(rows),
        None => lengths_of(value.run_place(), means, false, options)?,
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
        let message = "found no total_token_throughput, mean_ttft_ms, mean_tpot_ms, mean_itl_ms or mean_e2el_ms";
        return Err(value.wrong(message).help("give the file as vllm bench serve --save-result wrote it"));
    }
    Ok(Measurement {
        place: value.run_place().clone(),
        load,
        stop: Stop::Requests(completed),
        lengths,
        observed: numbers,
    })
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
        let message = "found 0, expected a rate above 0 or \"inf\"";
        return Err(rate.wrong(message).help("give the --request-rate of the run"));
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
        let wrong = || found.wrong(format!("found {}, expected a list of token counts", brief(found.value)));
        numbers.ok_or_else(|| wrong().help("remove input_lens and output_lens to take the means instead"))
    };
    let (left, right) = (list(&prompts)?, list(&outputs)?);
    if left.len() != right.len() {
        let message = format!("found {} output_lens for {} input_lens", right.len(), left.len());
        return Err(outputs.wrong(message).help("remove both to take the means instead"));
    }
    let rows: Vec<(u32, u32)> = left.into_iter().zip(right).filter(|row| row.0 > 0 && row.1 > 0).collect();
    Ok((!rows.is_empty()).then_some(rows))
}

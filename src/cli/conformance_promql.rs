//! Runs recorded PromQL cases (query, time, what a real Prometheus answered) through this PromQL.
//!
//! Case and dataset lines may stand in any of the files; a line with `series` is a dataset, one with `query` a case.

use crate::prometheus::{PrometheusServer, PrometheusSettings, PrometheusVersion};
use crate::series::{Labels, QueryValue};
use crate::units::SimDuration;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Relative difference up to which two values agree; sums run in another order than Prometheus' storage.
const TOLERANCE: f64 = 1e-9;

/// What became of one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The case's id.
    pub id: String,
    /// Its query.
    pub query: String,
    /// What differs; `None` when it passed.
    pub failure: Option<String>,
}

/// Datasets by name, and cases by dataset.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    datasets: BTreeMap<String, Value>,
    cases: BTreeMap<String, Vec<Value>>,
    /// Where the first case of a dataset stands.
    places: BTreeMap<String, String>,
}

/// Runs every case of `files` and writes the failures and a summary to `out`; (passed, failed).
/// Without a version, each case runs under every version (3.14, 2.55, 2.42) from which it was recorded.
///
/// # Errors
/// A file that cannot be read, a line that is no case, or `out` that cannot be written.
pub fn run(files: &[PathBuf], version: Option<PrometheusVersion>, out: &mut dyn Write) -> Result<(u64, u64)> {
    let corpus = Corpus::read(files)?;
    let all = [PrometheusVersion::V3, PrometheusVersion::V2_55, PrometheusVersion::V2_42];
    let mut counts = (0, 0);
    for version in all.into_iter().filter(|one| version.is_none_or(|wanted| wanted == *one)) {
        for outcome in corpus.outcomes(version)? {
            match outcome.failure {
                None => counts.0 += 1,
                Some(failure) => {
                    counts.1 += 1;
                    let (id, query) = (outcome.id, outcome.query);
                    writeln!(out, "{id} as Prometheus {}: {query}\n  {failure}", release(version))?;
                }
            }
        }
    }
    writeln!(out, "{} passed, {} failed", counts.0, counts.1)?;
    Ok(counts)
}

/// The release whose answers stand for a version.
fn release(version: PrometheusVersion) -> &'static str {
    match version {
        PrometheusVersion::V3 => "3.14.0",
        PrometheusVersion::V2_55 => "2.55.1",
        PrometheusVersion::V2_42 => "2.42.0",
    }
}

/// `files` and, once each, every `*-datasets.jsonl` in a folder of theirs.
fn with_datasets(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = files.to_vec();
    for file in files {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(entries) = std::fs::read_dir(folder) else { continue }; // Reading the file itself says what is wrong.
        let mut found = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
        found.retain(|path| path.to_string_lossy().ends_with("-datasets.jsonl"));
        found.sort();
        for path in found {
            if !all.iter().any(|known| known.file_name() == path.file_name() && known.parent() == file.parent()) {
                all.push(path);
            }
        }
    }
    Ok(all)
}

impl Corpus {
    /// Reads cases, and the datasets that are given or stand in a folder of theirs.
    ///
    /// # Errors
    /// As [`run`].
    pub fn read(files: &[PathBuf]) -> Result<Self> {
        let mut corpus = Corpus::default();
        for file in &with_datasets(files)? {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let place = || format!("{}:{}", file.display(), index + 1);
                let value: Value = serde_json::from_str(line).with_context(place)?;
                let dataset = text_of(&value, "dataset").with_context(place)?.to_owned();
                if value.get("series").is_some() {
                    corpus.datasets.insert(dataset, value);
                } else {
                    text_of(&value, "query").with_context(place)?;
                    corpus.places.entry(dataset.clone()).or_insert_with(place);
                    corpus.cases.entry(dataset).or_default().push(value);
                }
            }
        }
        Ok(corpus)
    }

    /// Runs every case as `version`.
    ///
    /// # Errors
    /// A case whose dataset is missing or that is malformed.
    pub fn outcomes(&self, version: PrometheusVersion) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for (name, cases) in &self.cases {
            let dataset = self.datasets.get(name).with_context(|| {
                let place = self.places.get(name).map_or("", String::as_str);
                format!("{place}: no dataset is named {name:?}; give the file that holds the datasets too")
            })?;
            let mut server = PrometheusServer::new(PrometheusSettings {
                version,
                lookback: SimDuration::from_secs(300),
                evaluation_interval: SimDuration::from_secs(60),
                epoch_ms: 0,
            });
            let queries: Vec<_> =
                cases.iter().map(|case| server.compile(text_of(case, "query")?).map_err(anyhow::Error::from)).collect();
            for series in array_of(dataset, "series")? {
                let samples = array_of(series, "samples")?.iter().map(sample).collect::<Result<Vec<_>>>()?;
                server.add_recorded_series(&labels_of(series)?, &samples);
            }
            // Cases converted from test scripts were recorded from 3.14 alone.
            let recorded = |case: &Value| version == PrometheusVersion::V3 || case.get("same_in").is_some();
            for (case, query) in cases.iter().zip(queries).filter(|(case, _)| recorded(case)) {
                let (id, text) = (text_of(case, "id")?.to_owned(), text_of(case, "query")?.to_owned());
                let eval_ms = case["eval_time_ms"].as_i64().context("a case has no eval_time_ms")?;
                let answer = match query {
                    Ok(query) => server.query_recorded(query, eval_ms).map_err(|error| ("exec", error.to_string())),
                    Err(error) => Err(("parse", error.to_string())),
                };
                // Without its feature flag Prometheus refuses these.
                let refused = serde_json::json!({"error": {"kind": "parse"}});
                let experimental = case["experimental"].as_bool() == Some(true);
                let recorded = case["differs_in"].get(release(version)).unwrap_or(case);
                let expected = if experimental { &refused } else { recorded };
                let failure = difference(expected, case["ordered"].as_bool() == Some(true), &answer)?;
                outcomes.push(Outcome { id, query: text, failure });
            }
        }
        Ok(outcomes)
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("the text {key:?} is missing"))
}

fn array_of<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key].as_array().with_context(|| format!("the list {key:?} is missing"))
}

fn labels_of(value: &Value) -> Result<Labels> {
    let map = value["labels"].as_object().context("the labels are missing")?;
    Ok(Labels::from_pairs(map.iter().map(|(name, value)| (name, value.as_str().unwrap_or_default()))))
}

/// A number, or a text as Prometheus' API prints it, or "stale".
fn number(value: &Value) -> Result<f64> {
    match value.as_str() {
        Some("stale") => Ok(f64::from_bits(PrometheusServer::STALE_BITS)),
        Some(text) => text.parse().with_context(|| format!("{text:?} is no number")),
        None => value.as_f64().context("found something else than a number"),
    }
}

fn sample(pair: &Value) -> Result<(i64, f64)> {
    Ok((pair[0].as_i64().context("a sample has no time")?, number(&pair[1])?))
}

fn agree(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
}

/// What differs between a recorded and a computed answer.
fn difference(
    expected: &Value,
    ordered: bool,
    answer: &std::result::Result<QueryValue, (&str, String)>,
) -> Result<Option<String>> {
    if let Some(kind) = expected["error"]["kind"].as_str() {
        return Ok(match answer {
            Err((found, _)) if *found == kind => None,
            Err((found, message)) => Some(format!("expected a {kind} error, found a {found} error: {message}")),
            Ok(value) => Some(format!("expected a {kind} error, found {}", shown(value))),
        });
    }
    let value = match answer {
        Ok(value) => value,
        Err((kind, message)) => return Ok(Some(format!("expected a value, found a {kind} error: {message}"))),
    };
    let wanted = &expected["expected"];
    let same = match (text_of(expected, "type")?, value) {
        ("scalar", QueryValue::Scalar(found)) => {
            agree(*found, number(&wanted["value"]).or_else(|_| number(&wanted[0]["value"]))?)
        }
        ("string", QueryValue::String(found)) => {
            [&wanted["string"], &wanted[0]["string"]].iter().any(|text| text.as_str() == Some(found))
        }
        ("vector", QueryValue::Vector(found)) => {
            let wanted: Vec<(Labels, f64)> = array_of(expected, "expected")?
                .iter()
                .map(|element| Ok((labels_of(element)?, number(&element["value"])?)))
                .collect::<Result<_>>()?;
            let (wanted, found) =
                if ordered { (wanted, found.clone()) } else { (sorted(wanted), sorted(found.clone())) };
            wanted.len() == found.len() && wanted.iter().zip(&found).all(|(w, f)| w.0 == f.0 && agree(w.1, f.1))
        }
        ("matrix", QueryValue::Matrix(found)) => {
            let wanted: Vec<(Labels, Vec<(i64, f64)>)> = array_of(expected, "expected")?
                .iter()
                .map(|element| {
                    let samples = array_of(element, "values")?.iter().map(sample).collect::<Result<Vec<_>>>()?;
                    Ok((labels_of(element)?, samples))
                })
                .collect::<Result<_>>()?;
            let (wanted, found) = (sorted(wanted), sorted(found.clone()));
            let same_samples = |w: &[(i64, f64)], f: &[(i64, f64)]| {
                w.len() == f.len() && w.iter().zip(f).all(|(w, f)| w.0 == f.0 && agree(w.1, f.1))
            };
            wanted.len() == found.len()
                && wanted.iter().zip(&found).all(|(w, f)| w.0 == f.0 && same_samples(&w.1, &f.1))
        }
        ("scalar" | "string" | "vector" | "matrix", _) => false,
        (other, _) => bail!("unknown result type {other:?}"),
    };
    Ok(if same { None } else { Some(format!("expected {wanted}, found {}", shown(value))) })
}

/// A computed value in the form of the recorded ones.
fn shown(value: &QueryValue) -> String {
    let labels = |labels: &Labels| labels.iter().map(|(k, v)| (k.to_owned(), Value::from(v))).collect::<Value>();
    let json = match value {
        QueryValue::Scalar(value) => serde_json::json!({"value": value.to_string()}),
        QueryValue::String(text) => serde_json::json!({"string": text}),
        QueryValue::Vector(elements) => elements
            .iter()
            .map(|(own, value)| serde_json::json!({"labels": labels(own), "value": value.to_string()}))
            .collect(),
        QueryValue::Matrix(elements) => elements
            .iter()
            .map(|(own, samples)| {
                let samples: Vec<(i64, String)> = samples.iter().map(|(at, value)| (*at, value.to_string())).collect();
                serde_json::json!({"labels": labels(own), "values": samples})
            })
            .collect(),
    };
    json.to_string()
}

fn sorted<T>(mut elements: Vec<(Labels, T)>) -> Vec<(Labels, T)> {
    elements.sort_by(|a, b| a.0.cmp(&b.0));
    elements
}

//! Runs recorded PromQL cases (query, time, what a real Prometheus answered) through this PromQL.
//!
//! Case and dataset lines may stand in any of the files; a line with `series` is a dataset, one with `query` a case. A
//! file that is one JSON object of lists of texts holds queries without answers: those only have to parse.

use crate::prometheus::{ParseError, PrometheusServer, PrometheusSettings, PrometheusVersion, QueryId};
use crate::series::{Labels, QueryValue};
use crate::units::SimDuration;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Relative difference up to which two values agree; sums run in another order than Prometheus' storage.
const TOLERANCE: f64 = 1e-9;

/// A Prometheus release whose answers were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 3.14.0.
    V3_14,
    /// 3.5.0.
    V3_5,
    /// 2.55.1.
    V2_55,
    /// 2.42.0.
    V2_42,
}

impl Release {
    /// All of them, the newest first.
    pub const ALL: [Release; 4] = [Release::V3_14, Release::V3_5, Release::V2_55, Release::V2_42];

    /// The full version number, as the recordings name it.
    pub fn number(self) -> &'static str {
        match self {
            Release::V3_14 => "3.14.0",
            Release::V3_5 => "3.5.0",
            Release::V2_55 => "2.55.1",
            Release::V2_42 => "2.42.0",
        }
    }

    /// The semantics of this PromQL that stand for it.
    pub fn semantics(self) -> PrometheusVersion {
        match self {
            Release::V3_14 => PrometheusVersion::V3,
            Release::V3_5 => PrometheusVersion::V3_5,
            Release::V2_55 => PrometheusVersion::V2_55,
            Release::V2_42 => PrometheusVersion::V2_42,
        }
    }
}

/// What became of one case under one release.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The answers agree.
    Passed,
    /// They do not: expected, and found.
    Failed(String, String),
    /// The case needs an experimental function, which Prometheus refuses without its feature flag, and so does this.
    Experimental,
}

/// One case and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Where the case stands: file:line.
    pub place: String,
    /// The case's id.
    pub id: String,
    /// Its query.
    pub query: String,
    /// What each release's semantics gave.
    pub verdicts: Vec<(Release, Verdict)>,
}

impl Outcome {
    /// Whether no release disagrees.
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(|(_, verdict)| !matches!(verdict, Verdict::Failed(..)))
    }
    /// Whether the case needs an experimental function.
    pub fn is_experimental(&self) -> bool {
        self.verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Experimental)
    }
}

/// A case as read.
#[derive(Clone, Debug)]
struct Case {
    place: String,
    value: Value,
}

/// Datasets by folder and name, cases by dataset, and queries that only have to parse.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    datasets: BTreeMap<(PathBuf, String), Value>,
    cases: BTreeMap<(PathBuf, String), Vec<Case>>,
    queries: Vec<(String, String)>,
}

/// Runs every case of `files` and writes the failures and a summary to `out`; (passed, failed). Each case counts once:
/// it passes when every release that was asked for agrees with the recording. Without a release these are all from
/// which the case was recorded.
///
/// # Errors
/// A file that cannot be read, a line that is no case, or `out` that cannot be written.
pub fn run(files: &[PathBuf], release: Option<Release>, out: &mut dyn Write) -> Result<(u64, u64)> {
    let corpus = Corpus::read(files)?;
    let releases = release.map_or(Release::ALL.to_vec(), |one| vec![one]);
    let mut counts = (0, 0);
    let mut experimental = Vec::new();
    for outcome in corpus.outcomes(&releases)? {
        if outcome.is_experimental() {
            experimental.push(outcome);
            continue;
        }
        if outcome.passed() {
            counts.0 += 1;
            continue;
        }
        counts.1 += 1;
        for (release, verdict) in &outcome.verdicts {
            if let Verdict::Failed(expected, found) = verdict {
                let Outcome { place, id, query, .. } = &outcome;
                writeln!(out, "{place}: {id} as Prometheus {}: {query}", release.number())?;
                writeln!(out, "  expected {expected}\n  found {found}")?;
            }
        }
    }
    if !experimental.is_empty() {
        writeln!(
            out,
            "{} more need an experimental function, which Prometheus refuses without a feature flag, and so does this:",
            experimental.len()
        )?;
        for Outcome { id, query, .. } in &experimental {
            writeln!(out, "  {id}: {query}")?;
        }
    }
    writeln!(out, "{} passed, {} failed", counts.0, counts.1)?;
    Ok(counts)
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// `files` and, once each, every `*-datasets.jsonl` in a folder of theirs.
fn with_datasets(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = files.to_vec();
    for file in files {
        let Ok(entries) = std::fs::read_dir(folder_of(file)) else { continue }; // Reading the file itself says what is wrong.
        let mut found = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
        found.retain(|path| path.to_string_lossy().ends_with("-datasets.jsonl"));
        found.sort();
        for path in found {
            if !all.iter().any(|known| known.file_name() == path.file_name() && folder_of(known) == folder_of(&path)) {
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
            if let Some(lists) = query_lists(&text) {
                for (name, queries) in lists {
                    let place = |index| format!("{}: {name}[{index}]", file.display());
                    corpus.queries.extend(queries.into_iter().enumerate().map(|(index, one)| (place(index), one)));
                }
                continue;
            }
            for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                let place = || format!("{}:{}", file.display(), index + 1);
                let value: Value = serde_json::from_str(line).with_context(place)?;
                let key = (folder_of(file), text_of(&value, "dataset").with_context(place)?.to_owned());
                if value.get("series").is_some() {
                    if corpus.datasets.get(&key).is_some_and(|known| *known != value) {
                        bail!("{}: found a second, different dataset named {:?} in the same folder", place(), key.1);
                    }
                    corpus.datasets.insert(key, value);
                } else {
                    text_of(&value, "query").with_context(place)?;
                    corpus.cases.entry(key).or_default().push(Case { place: place(), value });
                }
            }
        }
        Ok(corpus)
    }

    /// The dataset of this name beside the case, else a given one of that name.
    fn dataset(&self, key: &(PathBuf, String), place: &str) -> Result<&Value> {
        let elsewhere = || self.datasets.iter().find(|((_, name), _)| *name == key.1).map(|(_, dataset)| dataset);
        self.datasets.get(key).or_else(elsewhere).with_context(|| {
            format!("{place}: no dataset is named {:?}; give the file that holds the datasets too", key.1)
        })
    }

    /// Runs every case under those of `releases` from which it was recorded.
    ///
    /// # Errors
    /// A case whose dataset is missing or that is malformed.
    pub fn outcomes(&self, releases: &[Release]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for (key, cases) in &self.cases {
            let first = cases.first().map_or("", |case| case.place.as_str());
            let dataset = self.dataset(key, first)?;
            let begin = outcomes.len();
            for case in cases {
                let (id, query) = (text_of(&case.value, "id")?.to_owned(), text_of(&case.value, "query")?.to_owned());
                outcomes.push(Outcome { place: case.place.clone(), id, query, verdicts: Vec::new() });
            }
            for release in releases {
                let verdicts = verdicts(dataset, cases, *release)?;
                for (outcome, verdict) in outcomes[begin..].iter_mut().zip(verdicts) {
                    outcome.verdicts.extend(verdict.map(|verdict| (*release, verdict)));
                }
            }
        }
        // A release that has no recording of a case says nothing about it.
        outcomes.retain(|outcome| !outcome.verdicts.is_empty());
        if let Some(newest) = releases.first() {
            outcomes.extend(self.queries.iter().map(|(place, query)| parsed(place, query, *newest)));
        }
        Ok(outcomes)
    }
}

/// The lists of queries of a file that is one JSON object of them.
fn query_lists(text: &str) -> Option<BTreeMap<String, Vec<String>>> {
    serde_json::from_str(text).ok()
}

fn server_of(release: Release) -> PrometheusServer {
    PrometheusServer::new(PrometheusSettings {
        version: release.semantics(),
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 0,
    })
}

/// A query without a recorded answer: it must parse.
fn parsed(place: &str, query: &str, release: Release) -> Outcome {
    let verdict = match server_of(release).compile(query) {
        Ok(_) => Verdict::Passed,
        Err(error) => Verdict::Failed("a query that parses".to_owned(), format!("a parse error: {error}")),
    };
    Outcome {
        place: place.to_owned(),
        id: "query".to_owned(),
        query: query.to_owned(),
        verdicts: vec![(release, verdict)],
    }
}

/// Whether a case was recorded from a release. Cases converted from test scripts are from 3.14 alone.
fn is_recorded(case: &Value, release: Release) -> bool {
    release == Release::V3_14 || case.get("same_in").is_some() || case.get("differs_in").is_some()
}

/// What becomes of the cases of one dataset under one release; `None` where it has no recording.
fn verdicts(dataset: &Value, cases: &[Case], release: Release) -> Result<Vec<Option<Verdict>>> {
    let mut server = server_of(release);
    let queries: Vec<_> =
        cases.iter().map(|case| Ok(server.compile(text_of(&case.value, "query")?))).collect::<Result<_>>()?;
    for series in array_of(dataset, "series")? {
        let samples = array_of(series, "samples")?.iter().map(sample).collect::<Result<Vec<_>>>()?;
        server.add_recorded_series(&labels_of(series)?, &samples);
    }
    let mut verdict = |(case, query): (&Case, std::result::Result<QueryId, ParseError>)| {
        let value = &case.value;
        if !is_recorded(value, release) {
            return Ok(None);
        }
        let eval_ms = value["eval_time_ms"].as_i64().context("a case has no eval_time_ms")?;
        let answer = match query {
            Ok(query) => server.query_recorded(query, eval_ms).map_err(|error| ("exec", error.to_string())),
            Err(error) => Err(("parse", error.to_string())),
        };
        // The recorded engines had no feature flag on; the converted scripts had them all.
        let scripted = value.get("same_in").is_none() && value.get("differs_in").is_none();
        let refused = matches!(&answer, Err(("parse", message)) if message.contains("feature flag"));
        if scripted && refused {
            return Ok(Some(Verdict::Experimental));
        }
        let expected = value["differs_in"].get(release.number()).unwrap_or(value);
        difference(expected, value["ordered"].as_bool() == Some(true), &answer).map(Some)
    };
    let placed = |(case, query): (&Case, _)| verdict((case, query)).with_context(|| case.place.clone());
    cases.iter().zip(queries).map(placed).collect()
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

/// Compares a recorded with a computed answer.
fn difference(
    expected: &Value,
    ordered: bool,
    answer: &std::result::Result<QueryValue, (&str, String)>,
) -> Result<Verdict> {
    if let Some(kind) = expected["error"]["kind"].as_str() {
        let wanted = format!("a {kind} error");
        return Ok(match answer {
            Err((found, _)) if *found == kind => Verdict::Passed,
            Err((found, message)) => Verdict::Failed(wanted, format!("a {found} error: {message}")),
            Ok(value) => Verdict::Failed(wanted, shown(value)),
        });
    }
    let wanted = &expected["expected"];
    let value = match answer {
        Ok(value) => value,
        Err((kind, message)) => {
            return Ok(Verdict::Failed(wanted.to_string(), format!("a {kind} error: {message}")));
        }
    };
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
    Ok(if same { Verdict::Passed } else { Verdict::Failed(wanted.to_string(), shown(value)) })
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

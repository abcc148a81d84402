//! The user's own series: `--signals`, else `signals` of the Scenario. Here their CSV files are read.

use crate::manifest::{Node, parse_documents};
use crate::scenario::ledger::{Ledger, flag};
use crate::scenario::profile_choice::folder_of;
use crate::scenario::signals_csv::{read_bytes, read_points};
use crate::scenario::signals_written::{
    CsvWritten, ShapeWritten, SignalsWritten, TriggerSignalWritten, path_of_key, read_signals,
};
use crate::scenario::values::{at_reference, join};
use crate::scenario::{Origin, Overrides, ScenarioFile, show};
use crate::series::{Exposition, Labels, MetricKind, Signal, SignalSeries, Signals, TriggerSignal};
use crate::units::{Diagnostic, Diagnostics, Located, SimDuration, SimTime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FLAG: &str = "--signals";
const PATH: &str = "spec.signals";

/// The signals of a run; `None` after an error in the ledger.
pub(super) fn choose_signals(overrides: &Overrides, scenario: &ScenarioFile, ledger: &mut Ledger) -> Option<Signals> {
    let from_file;
    let (written, path) = match (&overrides.signals, &scenario.signals) {
        (None, None) => return Some(Signals::default()),
        (None, Some(own)) => (&own.value, PATH),
        (Some(file), own) => {
            from_file = signals_file(file, ledger)?;
            if let Some(own) = own {
                let message = format!("these signals are not used: --signals {} replaces them", file.display());
                ledger.push(Diagnostic::note(own.span.clone(), PATH, message));
            }
            (&from_file, "")
        }
    };
    let duration = overrides.duration.or(scenario.duration.as_ref().map(|given| given.value));
    let mut loader = Loader { files: BTreeMap::new(), duration, ledger };
    let signals = loader.load(written, path);
    let signals = signals?;
    note(written, ledger);
    Some(signals)
}

/// Warns of scraped signals that have the name of a series in `own`, which `who` (such as `the replicas expose`) has: a query
/// that sums over it counts both.
pub(super) fn tell_overlap(signals: &Signals, who: &str, own: &Exposition, ledger: &mut Ledger) {
    if signals.series.is_empty() {
        return;
    }
    let mut told: Vec<&str> = Vec::new();
    for (index, series) in signals.series.iter().enumerate() {
        let name = series.labels.metric_name();
        if told.contains(&name) || !own.series.iter().any(|def| def.labels.metric_name() == name) {
            continue;
        }
        told.push(name);
        let message = format!("{who} {name} too: a query sees theirs and this signal's");
        let help = "tell them apart by a label in the query, or remove the signal";
        let path = series_path(index);
        let noted = ledger.provenance.iter().find(|(own, _, _)| *own == path);
        let place = noted.and_then(|(_, _, origin)| match origin {
            Origin::Given(span) => Some(span.clone()),
            _ => None,
        });
        ledger.push(Diagnostic::warning(place, path, message).help(help));
    }
}

/// Reads the file of `--signals`; `None` after an error in the ledger.
fn signals_file(path: &Path, ledger: &mut Ledger) -> Option<SignalsWritten> {
    let mut diagnostics = Diagnostics::new();
    let written = signals_document(path).map(|root| read_signals(&root, "", &mut diagnostics));
    match written {
        Ok(written) if !diagnostics.has_errors() => return Some(written),
        Ok(_) => ledger.diagnostics.0.append(&mut diagnostics.0),
        Err(diagnostic) => ledger.push(diagnostic),
    }
    None
}

/// The one document of a signals file, which has no kind.
pub(super) fn signals_document(path: &Path) -> Result<Node, Diagnostic> {
    let named = path.display().to_string();
    let at_flag = |message: String| Diagnostic::error(flag(FLAG), "", format!("{named}: {message}"));
    let bytes = read_bytes(path).map_err(|diagnostic| at_flag(diagnostic.message))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| at_flag("not text: bytes that are not UTF-8, expected a YAML file".to_owned()))?;
    let mut documents = parse_documents(&text, &named)?;
    let help = "a signals file has triggers and series at its top; a Scenario is given with --scenario";
    let root = match documents.len() {
        1 => documents.remove(0),
        0 => return Err(at_flag("found nothing, expected triggers or series".to_owned()).help(help)),
        count => {
            let message = format!("found {count} documents, expected one with triggers and series");
            return Err(Diagnostic::error(documents[1].span.clone(), "", message).help(help));
        }
    };
    if let Some(kind) = root.get("kind").or_else(|| root.get("apiVersion")) {
        let message = format!("found {}, expected signals, which have no kind", kind.describe());
        return Err(Diagnostic::error(kind.span.clone(), "kind", message).help(help));
    }
    if let Some(inner) = root.get("signals") {
        let message = "found signals, expected triggers and series at the top";
        let diagnostic = Diagnostic::error(inner.span.clone(), "signals", message);
        return Err(diagnostic.help("write what stands under signals one level up"));
    }
    Ok(root)
}

/// Reads the CSV files that signals name, each once.
struct Loader<'run> {
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// Length of the run, as far as it is given.
    duration: Option<SimDuration>,
    ledger: &'run mut Ledger,
}

impl Loader<'_> {
    /// Everything, so that all mistakes are told.
    fn load(&mut self, written: &SignalsWritten, path: &str) -> Option<Signals> {
        let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let mut triggers = Vec::with_capacity(written.triggers.len());
        for (name, own) in &written.triggers {
            let place = path_of_key(&under("triggers"), &name.value);
            let value = self.signal(&own.value, false, &place);
            let active = own.active.as_ref().map(|active| self.signal(active, false, &place));
            let target = own.target.as_ref().map(|target| target.value);
            let active_read = active.as_ref().is_none_or(Option::is_some);
            triggers.push(value.filter(|_| active_read).map(|value| {
                let signal = TriggerSignal { value, active: active.flatten(), target };
                (name.clone(), signal)
            }));
        }
        let mut series = Vec::with_capacity(written.series.len());
        for (index, own) in written.series.iter().enumerate() {
            let own = &own.value;
            let place = format!("{}[{index}]", under("series"));
            let value = self.signal(&own.value, own.kind == MetricKind::Counter, &place);
            series.push(value.map(|value| SignalSeries { labels: own.labels.clone(), kind: own.kind, value }));
        }
        let (triggers, series): (Option<Vec<_>>, Option<Vec<_>>) =
            (triggers.into_iter().collect(), series.into_iter().collect());
        Some(Signals { triggers: triggers?, series: series? })
    }

    fn signal(&mut self, shape: &ShapeWritten, is_rate: bool, path: &str) -> Option<Signal> {
        match shape {
            ShapeWritten::Numbers(signal) => Some(signal.clone()),
            ShapeWritten::Csv(csv) => self.points(csv, is_rate, path),
        }
    }

    fn points(&mut self, csv: &CsvWritten, is_rate: bool, path: &str) -> Option<Signal> {
        let file = csv_path(csv);
        if !self.files.contains_key(&file) {
            match read_bytes(&file) {
                Ok(bytes) => _ = self.files.insert(file.clone(), bytes),
                Err(diagnostic) => {
                    let found = at_reference(diagnostic.into(), &csv.file.span, path);
                    self.ledger.diagnostics.0.extend(found.0);
                    return None;
                }
            }
        }
        let bytes = self.files.get(&file)?;
        let named = file.display().to_string();
        let points = read_points((&named, bytes), csv, is_rate, path);
        let points = self.ledger.take(points.map_err(|found| at_reference(found, &csv.file.span, path)))?;
        let latest: Vec<SimTime> = points.iter().rev().take(2).map(|(at, _)| at).collect();
        if let (Some(last), Some(duration)) = (latest.first(), self.duration) {
            let step = latest.get(1).map_or(SimDuration::ZERO, |before| last.since(*before));
            if last.saturating_add(step) < SimTime::ZERO + duration {
                let message = format!("{named} ends at {last}, the run at {duration}: the last row holds until then");
                self.ledger.push(Diagnostic::note(csv.file.span.clone(), path, message));
            }
        }
        Some(Signal::Points(points))
    }
}

/// The CSV file, as a path from here.
fn csv_path(csv: &CsvWritten) -> PathBuf {
    join(&folder_of(&csv.file.span.file), &csv.file.value)
}

/// Notes each signal in the form that a Scenario can carry.
fn note(written: &SignalsWritten, ledger: &mut Ledger) {
    for (name, own) in &written.triggers {
        ledger.given(&path_of_key("spec.signals.triggers", &name.value), trigger_text(own), &name.span);
    }
    for (index, Located { value: own, span }) in written.series.iter().enumerate() {
        let key = if own.kind == MetricKind::Counter { "rate" } else { "value" };
        let text = format!("{{{}, {key}: {}}}", labels_text(&own.labels), shape_text(&own.value));
        ledger.given(&series_path(index), text, span);
    }
}

/// Where an item of `series` stands in a Scenario.
fn series_path(index: usize) -> String {
    format!("{PATH}.series[{index}]")
}

/// `{value: {constant: 40}, target: 10}`.
fn trigger_text(written: &TriggerSignalWritten) -> String {
    let mut parts = vec![format!("value: {}", shape_text(&written.value))];
    parts.extend(written.active.as_ref().map(|active| format!("active: {}", shape_text(active))));
    parts.extend(written.target.as_ref().map(|target| format!("target: {}", target.value)));
    format!("{{{}}}", parts.join(", "))
}

/// `metric: up, labels: {job: "router"}`.
fn labels_text(labels: &Labels) -> String {
    let metric = format!("metric: {}", show::text(labels.metric_name()));
    let own = labels.without_name();
    if own.is_empty() {
        return metric;
    }
    let pairs: Vec<String> =
        own.iter().map(|(name, value)| format!("{}: {}", show::text(name), show::quoted(value))).collect();
    format!("{metric}, labels: {{{}}}", pairs.join(", "))
}

/// `{step: {from: 0, to: 12, at: 5m}}`.
fn shape_text(shape: &ShapeWritten) -> String {
    let signal = match shape {
        ShapeWritten::Numbers(signal) => signal,
        ShapeWritten::Csv(csv) => {
            let mut parts = vec![format!("file: {}", show::text(&csv_path(csv).display().to_string()))];
            parts.extend(csv.column.as_ref().map(|column| format!("column: {}", show::quoted(&column.value))));
            parts.extend(csv.time.as_ref().map(|time| format!("time: {}", show::quoted(&time.value))));
            return format!("{{csv: {{{}}}}}", parts.join(", "));
        }
    };
    match signal {
        Signal::Constant(value) => format!("{{constant: {value}}}"),
        Signal::Step { from, to, at } => {
            format!("{{step: {{from: {from}, to: {to}, at: {}}}}}", show::instant(*at))
        }
        Signal::Ramp { from, to, start, end } => {
            let (start, end) = (show::instant(*start), show::instant(*end));
            format!("{{ramp: {{from: {from}, to: {to}, start: {start}, end: {end}}}}}")
        }
        Signal::Sine { mean, amplitude, period } => {
            let period = show::duration_text(period);
            format!("{{sine: {{mean: {mean}, amplitude: {amplitude}, period: {period}}}}}")
        }
        Signal::Oscillate { low, high, period } => {
            format!("{{oscillate: {{low: {low}, high: {high}, period: {}}}}}", show::duration_text(period))
        }
        // As written there are none: points are in files.
        Signal::Points(points) => format!("{points:?}"),
    }
}

//! Which traffic a run gets: the command line's, the Scenario's, or the one Traffic document among the input.

use crate::manifest::{Bundle, Document, Input, Node};
use crate::scenario::ledger::{Ledger, flag};
use crate::scenario::profile_choice::folder_of;
use crate::scenario::values::{at_reference, join, name_kind, spec_of};
use crate::scenario::written::TrafficWritten;
use crate::scenario::{Overrides, ScenarioFile, read_traffic, show};
use crate::traffic::{Arrivals, LengthDistribution, Trace, TrafficSpec};
use crate::units::{Diagnostic, Diagnostics, SimTime, Span};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PATH: &str = "spec.traffic";
const FILE_PATH: &str = "spec.traffic.file";

/// Traffic with the name of what it came from.
pub(super) struct ChosenTraffic {
    /// The source.
    pub spec: TrafficSpec,
    /// Name of the document or file, `None` when inline.
    pub name: Option<String>,
}

/// The Traffic file that command line or Scenario names, as a path from here; `None` when they name none.
pub(super) fn traffic_path(overrides: &Overrides, scenario: &ScenarioFile) -> Option<(PathBuf, Span)> {
    if let Some(path) = &overrides.traffic {
        return Some((path.clone(), flag("--traffic")));
    }
    match &scenario.traffic {
        Some(TrafficWritten::File { file, .. }) => {
            Some((join(&folder_of(&file.span.file), &file.value), file.span.clone()))
        }
        _ => None,
    }
}

/// Whether a traffic path is a Traffic document rather than a recorded trace.
pub(super) fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// Chooses the traffic; `None` after an error in the ledger.
pub(super) fn choose_traffic(
    bundle: &Bundle,
    overrides: &Overrides,
    scenario: &ScenarioFile,
    ledger: &mut Ledger,
) -> Option<ChosenTraffic> {
    let chosen = if let Some((path, span)) = traffic_path(overrides, scenario) {
        let window = match &scenario.traffic {
            Some(TrafficWritten::File { window, .. }) if overrides.traffic.is_none() => *window,
            _ => (SimTime::ZERO, SimTime::NEVER),
        };
        if is_document(&path) {
            from_document_file(bundle, &path, &span, window, ledger)?
        } else {
            recorded(&path, &span, window, section(bundle), ledger)?
        }
    } else if let Some(TrafficWritten::Inline(inline)) = &scenario.traffic {
        note(&inline.value, &inline.span, section(bundle), ledger);
        ChosenTraffic { spec: inline.value.clone(), name: None }
    } else {
        from_bundle(bundle, ledger)?
    };
    Some(chosen)
}

fn from_bundle(bundle: &Bundle, ledger: &mut Ledger) -> Option<ChosenTraffic> {
    let documents: Vec<&Document> = bundle.of_kind("Traffic").collect();
    match documents.as_slice() {
        [document] => from_document(document, ledger),
        [] => {
            let diagnostic = Diagnostic::error(None, PATH, "no traffic given");
            let help =
                "add --traffic traces/stable-2.yaml, or name a file or generator in the Scenario's traffic section";
            ledger.push(diagnostic.help(help));
            None
        }
        [_, second, ..] => {
            let message = format!("found {} Traffic documents, expected one", documents.len());
            let diagnostic = Diagnostic::error(second.root.span.clone(), PATH, message);
            ledger.push(diagnostic.help("name one with --traffic"));
            None
        }
    }
}

/// Reads a Traffic document's file. One that already stands in the bundle (put there so that `Traffic:` paths can be set)
/// is taken from there.
fn from_document_file(
    bundle: &Bundle,
    path: &Path,
    span: &Span,
    window: (SimTime, SimTime),
    ledger: &mut Ledger,
) -> Option<ChosenTraffic> {
    if window != (SimTime::ZERO, SimTime::NEVER) {
        let message = "found start or stop beside a Traffic document's file, which has its own";
        ledger.push(Diagnostic::error(span.clone(), PATH, message).help("set them in the Traffic document"));
        return None;
    }
    if let Some(document) = bundle.of_kind("Traffic").find(|document| document.file.as_deref() == Some(path)) {
        return from_document(document, ledger);
    }
    let loaded = match Bundle::load(&[Input::Path(path.to_owned())]) {
        Ok(loaded) => loaded,
        Err(found) => {
            ledger.diagnostics.0.extend(at_reference(found, span, FILE_PATH).0);
            return None;
        }
    };
    let documents: Vec<&Document> = loaded.of_kind("Traffic").collect();
    if documents.is_empty() {
        let kinds: Vec<&str> = loaded.documents.iter().map(|document| document.kind.as_str()).collect();
        let found = if kinds.is_empty() { "no kind that is read".to_owned() } else { kinds.join(", ") };
        let message = format!("{} holds no Traffic document, only {found}", path.display());
        let diagnostic = Diagnostic::error(span.clone(), PATH, message);
        ledger.push(diagnostic.help("a generator is kind: Traffic in YAML, a recorded trace is CSV or JSONL"));
        return None;
    }
    if let [document] = documents.as_slice() {
        return from_document(document, ledger);
    }
    let message = format!("found {} Traffic documents in {}, expected one", documents.len(), path.display());
    ledger.push(Diagnostic::error(span.clone(), PATH, message));
    None
}

fn from_document(document: &Document, ledger: &mut Ledger) -> Option<ChosenTraffic> {
    let mut diagnostics = Diagnostics::new();
    let found = spec_of(&document.root, &mut diagnostics);
    ledger.diagnostics.0.append(&mut diagnostics.0);
    let (name, spec) = found?;
    let spec_read = ledger.take(read_traffic(spec, "spec").map_err(|mut found| {
        name_kind("Traffic", &mut found);
        found
    }))?;
    note(&spec_read, &spec.span, Some(spec), ledger);
    Some(ChosenTraffic { spec: spec_read, name: name.map(|name| name.value) })
}

fn recorded(
    path: &Path,
    span: &Span,
    window: (SimTime, SimTime),
    section: Option<&Node>,
    ledger: &mut Ledger,
) -> Option<ChosenTraffic> {
    let trace = match Trace::read(path) {
        Ok(trace) => trace,
        Err(wrong) => {
            let diagnostic = Diagnostic::error(span.clone(), PATH, wrong.to_string());
            ledger.push(diagnostic.help("recorded traces are CSV or JSONL, generators are kind: Traffic in YAML"));
            return None;
        }
    };
    for note in &trace.notes {
        ledger.push(Diagnostic::note(span.clone(), PATH, note.clone()));
    }
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    // The lengths of a recorded trace come from its rows.
    let unused = LengthDistribution::Constant(1);
    let spec = TrafficSpec {
        arrivals: Arrivals::Recorded(Arc::new(trace)),
        prompt: unused.clone(),
        output: unused,
        max_tokens: None,
        start: window.0,
        stop: window.1,
    };
    note(&spec, span, section, ledger);
    Some(ChosenTraffic { spec, name })
}

/// Notes the traffic in the form that a Scenario can carry: each value at its own place in `node`, else at `span`.
fn note(spec: &TrafficSpec, span: &Span, node: Option<&Node>, ledger: &mut Ledger) {
    let place = |key: &str| node.and_then(|node| node.get(key)).map_or(span, |own| &own.span);
    if let Arrivals::Recorded(_) = spec.arrivals {
        ledger.given("spec.traffic.file", show::arrivals(&spec.arrivals), span);
    } else {
        ledger.given("spec.traffic.arrivals", show::arrivals(&spec.arrivals), place("arrivals"));
        ledger.given("spec.traffic.prompt", show::lengths(&spec.prompt), place("prompt"));
        ledger.given("spec.traffic.output", show::lengths(&spec.output), place("output"));
        if let Some(max_tokens) = spec.max_tokens {
            ledger.given("spec.traffic.maxTokens", max_tokens.to_string(), place("maxTokens"));
        }
    }
    if spec.start != SimTime::ZERO {
        ledger.given("spec.traffic.start", show::instant(spec.start), place("start"));
    }
    if spec.stop != SimTime::NEVER {
        ledger.given("spec.traffic.stop", show::instant(spec.stop), place("stop"));
    }
}

/// The traffic section of the Scenario.
fn section(bundle: &Bundle) -> Option<&Node> {
    bundle.of_kind("Scenario").next()?.root.get("spec")?.get("traffic")
}

/// Whether the source sends nothing any more from some moment on.
pub(super) fn ends(spec: &TrafficSpec) -> bool {
    spec.stop != SimTime::NEVER || matches!(spec.arrivals, Arrivals::Stages(_) | Arrivals::Recorded(_))
}

/// When the source sends nothing any more, as far as it says so.
pub(super) fn end_of(spec: &TrafficSpec) -> Option<SimTime> {
    let own = match &spec.arrivals {
        Arrivals::Stages(stages) => stages.iter().fold(spec.start, |end, (length, _)| end.saturating_add(*length)),
        Arrivals::Recorded(trace) => {
            let last = trace.rows.last().map_or(SimTime::ZERO, |row| row.at);
            spec.start.saturating_add(last.since(SimTime::ZERO))
        }
        _ => SimTime::NEVER,
    };
    Some(own.min(spec.stop)).filter(|end| *end != SimTime::NEVER)
}

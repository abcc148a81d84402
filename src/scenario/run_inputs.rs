//! All that a run was made of beside its policy, in files that stand alone: what the folder of a run keeps so that the run
//! can be made again.
//!
//! The documents are kept as they were written (after `--set`), not as resolved: whatever sections a Scenario has come along.
//! What the command line said is put into them, and files that they name are kept beside them under names of our own.

use crate::manifest::{Bundle, Document, Key, Node, Value};
use crate::scenario::profile_choice::{ATTACHED, folder_of};
use crate::scenario::signals_choice::signals_document;
use crate::scenario::traffic_choice::{is_document, traffic_path};
use crate::scenario::values::join;
use crate::scenario::{
    Overrides, ResolvedRun, ScenarioFile, TrafficWritten, attach_profile, attach_traffic, read_scenario, show,
};
use crate::units::{Diagnostic, Diagnostics, Span};
use std::path::{Path, PathBuf};

/// The file that holds the Scenario, its Traffic and its Profile.
pub const INPUTS_SCENARIO: &str = "scenario.yaml";

/// A file that a run was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its name: [`INPUTS_SCENARIO`], `traffic.<ending>` or `signals-<n>.csv`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Whether a file of this name may be among those of [`run_inputs`].
pub fn is_input_name(name: &str) -> bool {
    let number = name.strip_prefix("signals-").and_then(|rest| rest.strip_suffix(".csv"));
    name == INPUTS_SCENARIO
        || name.strip_prefix("traffic.").is_some_and(|end| !end.is_empty() && end.bytes().all(plain))
        || number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The files from which `bundle` and `overrides` give the same run again, together with the policy and its name:
/// [`INPUTS_SCENARIO`] first. `--fixed-replicas` is not in them. What is no regular file (a pipe) cannot be kept: its path
/// stays.
///
/// # Errors
/// A file that was there when the run was resolved and cannot be read any more.
pub fn run_inputs(bundle: &Bundle, overrides: &Overrides, run: &ResolvedRun) -> Result<Vec<InputFile>, Diagnostics> {
    let mut own = bundle.clone();
    attach_traffic(&mut own, overrides)?;
    attach_profile(&mut own, overrides)?;
    let document = own.of_kind("Scenario").next();
    let written = document.map(read_scenario).transpose()?.unwrap_or_default();
    let mut root = document.map_or_else(empty_scenario, |document| document.root.clone());
    let mut kept = Kept::default();

    put(&mut root, &["metadata", "name"], Value::Str(run.scenario.clone()));
    put_flags(&mut root, overrides);
    if written.replications.is_some() {
        // The folder is that of one of several seeds, or of one alone.
        put(&mut root, &["spec", "replications"], Value::Int(1));
    }
    let traffic = put_traffic(&mut root, &own, overrides, &written, &mut kept)?;
    // A built-in one needs no document, unless `--set` has changed the one that stands for it.
    let was_there = bundle.of_kind("Profile").any(|document| document.name == run.profile);
    let needed = |document: &&Document| was_there || !document.root.span.file.starts_with(ATTACHED);
    let profile = own.of_kind("Profile").next().filter(needed).cloned();
    put(&mut root, &["spec", "replica", "profile"], Value::Str(run.profile.clone()));
    put_signals(&mut root, overrides, &mut kept)?;

    let documents = std::iter::once(Document::new(root, None)).chain(traffic).chain(profile);
    let text = Bundle { documents: documents.collect(), skipped: Vec::new() }.own_text();
    let scenario = InputFile { name: INPUTS_SCENARIO.to_owned(), bytes: text.into_bytes() };
    Ok(std::iter::once(scenario).chain(kept.files).collect())
}

/// Files kept so far, each once.
#[derive(Default)]
struct Kept {
    files: Vec<InputFile>,
    /// Where each came from.
    paths: Vec<PathBuf>,
}

impl Kept {
    /// Keeps `path` under `name`, or finds it kept already; the name by which documents call it.
    fn keep(&mut self, path: &Path, name: String, span: &Span) -> Result<String, Diagnostics> {
        if let Some(at) = self.paths.iter().position(|own| own == path) {
            return Ok(self.files[at].name.clone());
        }
        let wrong = |error: std::io::Error| {
            Diagnostic::error(span.clone(), "", format!("{} cannot be read again: {error}", path.display()))
        };
        if !std::fs::metadata(path).map_err(wrong)?.is_file() {
            return Ok(path.display().to_string());
        }
        let bytes = std::fs::read(path).map_err(wrong)?;
        self.files.push(InputFile { name: name.clone(), bytes });
        self.paths.push(path.to_owned());
        Ok(name)
    }
}

fn empty_scenario() -> Node {
    let mut root = blank(Value::Null);
    put(&mut root, &["apiVersion"], Value::Str("kedasim.dev/v1alpha1".to_owned()));
    put(&mut root, &["kind"], Value::Str("Scenario".to_owned()));
    root
}

/// What the command line said in plain values.
fn put_flags(root: &mut Node, overrides: &Overrides) {
    if let Some(seed) = overrides.seed.and_then(|seed| i64::try_from(seed.0).ok()) {
        put(root, &["spec", "seed"], Value::Int(seed));
    }
    if let Some(duration) = &overrides.duration {
        put(root, &["spec", "duration"], Value::Str(show::duration_text(duration)));
    }
    for gate in &overrides.gates {
        put(root, &["spec", "gates", &gate.name], Value::Float(gate.limit));
    }
}

/// The traffic inside the Scenario, or as the one Traffic document, which is returned.
fn put_traffic(
    root: &mut Node,
    bundle: &Bundle,
    overrides: &Overrides,
    written: &ScenarioFile,
    kept: &mut Kept,
) -> Result<Option<Document>, Diagnostics> {
    let Some((path, span)) = traffic_path(overrides, written) else {
        let inline = matches!(written.traffic, Some(TrafficWritten::Inline(_)));
        return Ok(bundle.of_kind("Traffic").next().filter(|_| !inline).cloned());
    };
    if is_document(&path) {
        remove(root, "traffic");
        return Ok(bundle
            .of_kind("Traffic")
            .find(|document| document.file.as_deref() == Some(path.as_path()))
            .cloned());
    }
    let end = path.extension().map(|end| end.to_string_lossy().into_owned());
    let end = end.filter(|end| !end.is_empty() && end.bytes().all(plain)).unwrap_or_else(|| "trace".to_owned());
    let name = kept.keep(&path, format!("traffic.{end}"), &span)?;
    if overrides.traffic.is_some() {
        // The Scenario's own start and stop go with its own file.
        remove(root, "traffic");
    }
    put(root, &["spec", "traffic", "file"], Value::Str(name));
    Ok(None)
}

fn put_signals(root: &mut Node, overrides: &Overrides, kept: &mut Kept) -> Result<(), Diagnostics> {
    if let Some(path) = &overrides.signals {
        // With its places, to which its own paths are relative.
        *node_at(root, &["spec", "signals"]) = signals_document(path)?;
    }
    let Some(signals) = get_mut(root, "spec").and_then(|spec| get_mut(spec, "signals")) else { return Ok(()) };
    let mut files = Vec::new();
    for shape in shapes(signals) {
        let Some(csv) = get_mut(shape, "csv") else { continue };
        files.extend(if matches!(csv.value, Value::Map(_)) { get_mut(csv, "file") } else { Some(csv) });
    }
    for node in files {
        let Some(named) = node.as_str() else { continue };
        let path = join(&folder_of(&node.span.file), named);
        let name = format!("signals-{}.csv", kept.files.len());
        node.value = Value::Str(kept.keep(&path, name, &node.span.clone())?);
    }
    Ok(())
}

/// The nodes of `signals` that may say a value over time.
fn shapes(signals: &mut Node) -> Vec<&mut Node> {
    let mut found = Vec::new();
    for (key, section) in entries(signals) {
        match (key.name.as_str(), &mut section.value) {
            ("triggers", Value::Map(triggers)) => {
                for (_, own) in triggers {
                    if own.get("csv").is_some() {
                        found.push(own);
                    } else {
                        let inner =
                            entries(own).iter_mut().filter(|(key, _)| key.name == "value" || key.name == "active");
                        found.extend(inner.map(|(_, node)| node));
                    }
                }
            }
            ("series", Value::Seq(items)) => {
                for item in items {
                    let inner = entries(item).iter_mut().filter(|(key, _)| key.name == "value" || key.name == "rate");
                    found.extend(inner.map(|(_, node)| node));
                }
            }
            _ => {}
        }
    }
    found
}

fn blank(value: Value) -> Node {
    Node { value, span: Span::new(INPUTS_SCENARIO, 0, 0) }
}

/// The entries of a mapping; none of anything else.
fn entries(node: &mut Node) -> &mut [(Key, Node)] {
    match &mut node.value {
        Value::Map(entries) => entries,
        _ => &mut [],
    }
}

fn get_mut<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    entries(node).iter_mut().find(|(own, _)| own.name == key).map(|(_, node)| node)
}

/// The node under `keys`; what is missing on the way is made.
fn node_at<'n>(mut node: &'n mut Node, keys: &[&str]) -> &'n mut Node {
    for key in keys {
        if !matches!(node.value, Value::Map(_)) {
            node.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut node.value else { unreachable!("it was just made one") };
        let at = entries.iter().position(|(own, _)| own.name == *key).unwrap_or_else(|| {
            let key = Key { name: (*key).to_owned(), span: Span::new(INPUTS_SCENARIO, 0, 0) };
            entries.push((key, blank(Value::Null)));
            entries.len() - 1
        });
        node = &mut entries[at].1;
    }
    node
}

fn put(root: &mut Node, keys: &[&str], value: Value) {
    node_at(root, keys).value = value;
}

/// Takes a section of the Scenario away.
fn remove(root: &mut Node, section: &str) {
    if let Some(Value::Map(entries)) = get_mut(root, "spec").map(|spec| &mut spec.value) {
        entries.retain(|(key, _)| key.name != section);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_own_are_inputs() {
        for name in ["scenario.yaml", "traffic.csv", "traffic.jsonl", "signals-0.csv", "signals-12.csv"] {
            assert!(is_input_name(name), "{name}");
        }
        for name in
            ["notes.txt", "traffic", "traffic.", "traffic.a/b", "signals-.csv", "signals-1.yaml", "scenario.yml"]
        {
            assert!(!is_input_name(name), "{name}");
        }
    }
}

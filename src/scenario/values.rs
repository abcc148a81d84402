//! Small readers that several sections of our own files share. They know value shapes, not meanings.

use crate::cluster::DurationDistribution;
use crate::manifest::{Fields, Node, UnknownKeys, Value};
use crate::units::{Diagnostic, Diagnostics, Located, SimDuration, Span, shown_number};
use std::path::{Component, Path, PathBuf};

/// Reports keys of the documented format that this release cannot honour yet. They are errors, because a value that is
/// silently passed over would change what a run means.
pub(super) fn not_modelled(fields: &mut Fields<'_>, keys: &[&'static str], diagnostics: &mut Diagnostics) {
    let present: Vec<&'static str> =
        keys.iter().copied().filter(|key| fields.keys().any(|own| own.name == *key)).collect();
    for key in present {
        // Asking only for keys that stand there keeps the others out of "did you mean".
        if let Some(node) = fields.node(key) {
            let path = fields.path_of(key);
            let message = format!("{key} is not modelled yet");
            diagnostics.push(Diagnostic::error(node.span.clone(), path, message).help("remove it"));
        }
    }
}

/// A duration that may vary: `5s`, `{median: 5s, p95: 12s}` (lognormal) or `{min: 2s, max: 5s}` (uniform).
pub(super) fn distribution(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<DurationDistribution>> {
    let node = fields.node(key)?;
    if !matches!(node.value, Value::Map(_)) {
        return fields.duration(key, diagnostics).map(|given| given.map(DurationDistribution::Constant));
    }
    let path = fields.path_of(key);
    let mut inner = Fields::of(node, &path, diagnostics)?;
    let median = inner.duration("median", diagnostics);
    let p95 = inner.duration("p95", diagnostics);
    let min = inner.duration("min", diagnostics);
    let max = inner.duration("max", diagnostics);
    let before = diagnostics.0.len();
    inner.finish(UnknownKeys::Error, diagnostics);
    let value = match (median, p95, min, max) {
        (Some(median), Some(p95), None, None) => {
            if median.value.is_zero() || p95.value < median.value {
                let message = format!("found median {} and p95 {}", median.value, p95.value);
                let message = format!("{message}, expected 0 < median <= p95");
                diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
                return None;
            }
            DurationDistribution::Lognormal { median: median.value, p95: p95.value }
        }
        (None, None, Some(min), Some(max)) => {
            if max.value < min.value {
                let message = format!("found min {} above max {}, expected min <= max", min.value, max.value);
                diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
                return None;
            }
            DurationDistribution::Uniform { min: min.value, max: max.value }
        }
        _ => {
            if diagnostics.0.len() == before {
                let message = "expected a duration, {median, p95} or {min, max}";
                diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
            }
            return None;
        }
    };
    Some(Located::new(value, node.span.clone()))
}

/// One of a fixed set of words.
pub(super) fn choice<T: Copy>(
    fields: &mut Fields<'_>,
    key: &'static str,
    words: &[(&str, T)],
    later: &[&str],
    diagnostics: &mut Diagnostics,
) -> Option<Located<T>> {
    let given = fields.string(key, diagnostics)?;
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == given.value) {
        return Some(Located::new(*value, given.span));
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let known = known.join(", ");
    let diagnostic = if later.contains(&given.value.as_str()) {
        Diagnostic::error(given.span, fields.path_of(key), format!("{} is not modelled yet", given.value))
            .help(format!("use one of {known}"))
    } else {
        let message = format!("found {:?}, expected one of {known}", given.value);
        Diagnostic::error(given.span, fields.path_of(key), message)
    };
    diagnostics.push(diagnostic);
    None
}

/// A number above zero.
pub(super) fn positive(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<f64>> {
    at_least(fields, key, 0.0, false, diagnostics)
}

/// A number of at least zero.
pub(super) fn non_negative(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<f64>> {
    at_least(fields, key, 0.0, true, diagnostics)
}

fn at_least(
    fields: &mut Fields<'_>,
    key: &'static str,
    bound: f64,
    inclusive: bool,
    diagnostics: &mut Diagnostics,
) -> Option<Located<f64>> {
    let given = fields.number(key, diagnostics)?;
    if given.value > bound || (inclusive && given.value >= bound) {
        return Some(given);
    }
    let word = if inclusive { "of at least" } else { "above" };
    let message = format!("found {}, expected a number {word} {bound}", shown_number(given.value));
    diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
    None
}

/// A time before the engine is not longer than this, as every other time of a profile: 1000 s are a mistake of units.
const LONGEST_OVERHEAD_MS: f64 = 1e6;

/// `requestOverheadMs`.
pub(super) fn request_overhead(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<f64>> {
    let key = "requestOverheadMs";
    let given = non_negative(fields, key, diagnostics)?;
    if given.value <= LONGEST_OVERHEAD_MS {
        return Some(given);
    }
    let message = format!("found {} ms, expected at most {LONGEST_OVERHEAD_MS}", shown_number(given.value));
    diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
    None
}

/// A duration above zero.
pub(super) fn positive_duration(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<SimDuration>> {
    let given = fields.duration(key, diagnostics)?;
    if given.value.is_zero() {
        let message = "found 0, expected a duration above zero";
        diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
        return None;
    }
    Some(given)
}

/// A count of at least one that fits 32 bits.
pub(super) fn count(fields: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<u32>> {
    let given = fields.integer(key, 1..=i64::from(u32::MAX), diagnostics)?;
    Some(given.map(|value| u32::try_from(value).expect("the range was checked")))
}

/// Whether `name` can stand in the name of a folder on every system.
fn is_file_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 200 && name.chars().all(is_plain) && name.chars().any(|c| c != '.')
}

/// Messages about a whole file that is named at `span` (missing, unreadable) as messages about that reference, which is the
/// field `path`; the others are left as they are.
pub fn at_reference(found: Diagnostics, span: &Span, path: &str) -> Diagnostics {
    let whole_file = |diagnostic: &Diagnostic| diagnostic.span.as_ref().is_none_or(|own| own.line == 0);
    let moved = found.0.into_iter().map(|mut diagnostic| {
        if whole_file(&diagnostic) && (span.line > 0 || &*span.file == "--set") {
            let file = diagnostic.span.take().map(|own| format!("{}: ", own.file)).unwrap_or_default();
            diagnostic.message = format!("{file}{}", diagnostic.message);
            diagnostic.span = Some(span.clone());
            diagnostic.path = path.to_owned();
            diagnostic.help = Some(format!("check the path, which is relative to {}", base_of(&span.file)));
        }
        diagnostic
    });
    Diagnostics(moved.collect())
}

/// What a path in the file `file` is relative to.
fn base_of(file: &str) -> String {
    match file {
        "<stdin>" => "the current folder (the file came from standard input)".to_owned(),
        "--set" => "the current folder (the path came from --set)".to_owned(),
        file => format!("the folder of {file}"),
    }
}

/// Names the kind in the paths of what the command line set, as whoever typed it did: `Scenario:spec.seed`.
pub(super) fn name_kind(kind: &str, diagnostics: &mut Diagnostics) {
    for diagnostic in &mut diagnostics.0 {
        let is_set = diagnostic.span.as_ref().is_some_and(|span| span.line == 0 && &*span.file == "--set");
        if is_set && !diagnostic.path.contains(':') {
            diagnostic.path = format!("{kind}:{}", diagnostic.path);
        }
    }
}

/// The `spec` of one of our documents, after checking the document's own keys.
pub(super) fn spec_of<'n>(
    root: &'n Node,
    diagnostics: &mut Diagnostics,
) -> Option<(Option<Located<String>>, &'n Node)> {
    let mut document = Fields::of(root, "", diagnostics)?;
    document.node("kind");
    if let Some(version) = document.string("apiVersion", diagnostics)
        && version.value != "kedasim.dev/v1alpha1"
    {
        let message = format!("found {:?}, expected kedasim.dev/v1alpha1", version.value);
        diagnostics.push(Diagnostic::error(version.span, "apiVersion", message));
    }
    let name = document.fields("metadata", diagnostics).and_then(|mut metadata| {
        let name = metadata.string("name", diagnostics);
        for key in ["namespace", "labels", "annotations"] {
            metadata.node(key);
        }
        metadata.finish(UnknownKeys::Error, diagnostics);
        name
    });
    if let Some(name) = name.as_ref().filter(|name| !is_file_name(&name.value)) {
        let message = format!("found {:?}, expected letters, digits, '.', '_' and '-'", name.value);
        let diagnostic = Diagnostic::error(name.span.clone(), "metadata.name", message);
        diagnostics.push(diagnostic.help("the name becomes part of the output folder's name"));
    }
    let spec = document.node("spec");
    let spec = document.required("spec", spec, diagnostics);
    document.finish(UnknownKeys::Error, diagnostics);
    Some((name, spec?))
}

/// `folder` joined with `file`, without `..` where that names the same file (a link in between may make it another).
pub(super) fn join(folder: &Path, file: &str) -> PathBuf {
    let joined = folder.join(file);
    let mut clean = PathBuf::new();
    for component in joined.components() {
        if component == Component::ParentDir && matches!(clean.components().next_back(), Some(Component::Normal(_))) {
            clean.pop();
        } else {
            clean.push(component);
        }
    }
    match (joined.canonicalize(), clean.canonicalize()) {
        (Ok(left), Ok(right)) if left == right => clean,
        _ => joined,
    }
}

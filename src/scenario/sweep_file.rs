//! `kind: Sweep` as written.

use crate::manifest::{Document, Fields, Node, UnknownKeys, Value};
use crate::scenario::values::{join, not_modelled, spec_of};
use crate::units::{Diagnostic, Diagnostics, Located};
use std::path::PathBuf;

/// A limit on the grid, so that a typing mistake does not start a run of days.
const RUNS_MAX: u64 = 100_000;

/// One axis: the values that one path takes.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepAxis {
    /// `ScaledObject:spec.triggers[0].metadata.threshold`, ...
    pub path: Located<String>,
    /// Values in order.
    pub values: Vec<Value>,
}

/// A sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepFile {
    /// `metadata.name`.
    pub name: String,
    /// `spec.policy`: folder or file, relative to the sweep file.
    pub policy: Located<PathBuf>,
    /// `spec.scenario`, relative to the sweep file.
    pub scenario: Option<Located<PathBuf>>,
    /// `spec.signals`, relative to the sweep file: a file as `--signals` takes it.
    pub signals: Option<Located<PathBuf>>,
    /// `spec.axes`, in order: the grid's dimensions.
    pub axes: Vec<SweepAxis>,
    /// `spec.seeds`: a number N (the seeds 1..N, default 1) or a list of seeds; every point runs with each.
    pub seeds: Vec<u64>,
    /// `spec.heatmap`: {x: path, y: path, value: metric}; default the first two axes and flapsPerHour.
    pub heatmap: Option<(String, String, Located<String>)>,
}

/// Reads a Sweep document. The paths in the result are already joined to the sweep file's folder.
///
/// # Errors
/// All mistakes, located.
pub fn read_sweep(document: &Document) -> Result<SweepFile, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    match sweep(document, &mut diagnostics) {
        Some(sweep) if !diagnostics.has_errors() => Ok(sweep),
        _ => Err(diagnostics),
    }
}

fn sweep(document: &Document, diagnostics: &mut Diagnostics) -> Option<SweepFile> {
    let (name, spec) = spec_of(&document.root, diagnostics)?;
    let mut fields = Fields::of(spec, "spec", diagnostics)?;
    let folder = document.file.as_deref().and_then(|file| file.parent()).map(PathBuf::from).unwrap_or_default();
    let policy = fields.string("policy", diagnostics);
    let policy = fields.required("policy", policy, diagnostics);
    let scenario = fields.string("scenario", diagnostics);
    let signals = fields.string("signals", diagnostics);
    let axes_node = fields.node("axes");
    let axes_node = fields.required("axes", axes_node, diagnostics);
    let axes = axes_node.and_then(|node| read_axes(node, &fields.path_of("axes"), diagnostics));
    let seeds = read_seeds(&mut fields, diagnostics);
    let heatmap = fields.fields("heatmap", diagnostics);
    let heatmap = heatmap.and_then(|inner| read_heatmap(inner, axes.as_deref().unwrap_or_default(), diagnostics));
    not_modelled(&mut fields, &["traffic", "replications", "profile"], diagnostics);
    let span = fields.span.clone();
    fields.finish(UnknownKeys::Error, diagnostics);
    let axes = axes?;
    if signals.is_some() {
        for axis in axes.iter().filter(|axis| axis.path.value.starts_with("Scenario:spec.signals")) {
            let message = "the axis changes the Scenario's signals, which the sweep's signals file replaces as a whole";
            let diagnostic = Diagnostic::error(axis.path.span.clone(), "spec.axes", message);
            diagnostics.push(diagnostic.help("put the signals into the Scenario, or remove the axis"));
        }
    }
    let runs = axes.iter().fold(seeds.len() as u64, |product, axis| product.saturating_mul(axis.values.len() as u64));
    if runs > RUNS_MAX {
        let message = format!("found a grid of {runs} runs, expected at most {RUNS_MAX}");
        diagnostics.push(Diagnostic::error(span, "spec.axes", message).help("use fewer values or seeds"));
    }
    Some(SweepFile {
        name: name.map_or_else(|| "sweep".to_owned(), |name| name.value),
        policy: policy?.map(|given| join(&folder, &given)),
        scenario: scenario.map(|given| given.map(|given| join(&folder, &given))),
        signals: signals.map(|given| given.map(|given| join(&folder, &given))),
        axes,
        seeds,
        heatmap,
    })
}

/// `seeds: 3` or `seeds: [3, 9]`.
fn read_seeds(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<u64> {
    let Some(Node { value: Value::Seq(items), span }) = fields.node("seeds") else {
        let count = fields.integer("seeds", 1..=1_000, diagnostics).map_or(1, |given| given.value);
        return (1..=u64::try_from(count).expect("the range was checked")).collect();
    };
    let mut seeds = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let seed = match item.value {
            Value::Int(seed) => u64::try_from(seed).ok(),
            _ => None,
        };
        let path = format!("{}[{index}]", fields.path_of("seeds"));
        match seed {
            Some(seed) if seeds.contains(&seed) => {
                let message = format!("found the seed {seed} twice, expected each seed once");
                diagnostics.push(Diagnostic::error(item.span.clone(), path, message));
            }
            Some(seed) => seeds.push(seed),
            None => {
                let message = format!("found {}, expected an integer of at least 0", item.describe());
                diagnostics.push(Diagnostic::error(item.span.clone(), path, message));
            }
        }
    }
    if items.is_empty() || items.len() > 1_000 {
        let message = format!("found {} seeds, expected 1 to 1000", items.len());
        diagnostics.push(Diagnostic::error(span.clone(), fields.path_of("seeds"), message));
    }
    seeds
}

/// Whether two values of an axis are one point: 5, 5.0 and "5" are.
fn same(left: &Value, right: &Value) -> bool {
    let text = |value: &Value| match value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    };
    text(left).is_some_and(|left| text(right) == Some(left))
}

fn read_axes(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Vec<SweepAxis>> {
    let Value::Map(entries) = &node.value else {
        let message = format!("found {}, expected a mapping of paths to lists of values", node.describe());
        diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
        return None;
    };
    if entries.is_empty() {
        diagnostics.push(Diagnostic::error(node.span.clone(), path, "found no axis, expected at least one"));
    }
    let mut axes = Vec::with_capacity(entries.len());
    for (key, values) in entries {
        let place = format!("{path}[{:?}]", key.name);
        let Value::Seq(items) = &values.value else {
            let message = format!("found {}, expected a list of values", values.describe());
            diagnostics.push(Diagnostic::error(values.span.clone(), place, message));
            continue;
        };
        if items.is_empty() {
            let message = "found an empty list, expected at least one value";
            diagnostics.push(Diagnostic::error(values.span.clone(), place, message));
            continue;
        }
        if matches!(key.name.as_str(), "Scenario:spec.seed") {
            let diagnostic = Diagnostic::error(key.span.clone(), place, "a seed is not an axis");
            diagnostics.push(diagnostic.help("use seeds: N or seeds: [3, 9], which run at every point"));
            continue;
        }
        for (at, item) in items.iter().enumerate() {
            if items[..at].iter().any(|earlier| same(&earlier.value, &item.value)) {
                let message = format!("found {} twice, expected each value once", item.describe());
                diagnostics.push(Diagnostic::error(item.span.clone(), place.clone(), message));
            }
            if let Value::Seq(_) | Value::Map(_) | Value::Null = item.value {
                let message = format!("found {}, expected a string, number or boolean", item.describe());
                diagnostics.push(Diagnostic::error(item.span.clone(), place.clone(), message));
            }
        }
        axes.push(SweepAxis {
            path: Located::new(key.name.clone(), key.span.clone()),
            values: items.iter().map(|item| item.value.clone()).collect(),
        });
    }
    Some(axes)
}

fn read_heatmap(
    mut fields: Fields<'_>,
    axes: &[SweepAxis],
    diagnostics: &mut Diagnostics,
) -> Option<(String, String, Located<String>)> {
    let mut axis = |key: &'static str| {
        let given = fields.string(key, diagnostics);
        let given = fields.required(key, given, diagnostics)?;
        if !axes.iter().any(|axis| axis.path.value == given.value) {
            let known: Vec<&str> = axes.iter().map(|axis| axis.path.value.as_str()).collect();
            let message = format!("found {:?}, expected one of the axes", given.value);
            let diagnostic = Diagnostic::error(given.span, fields.path_of(key), message);
            diagnostics.push(diagnostic.help(format!("axes: {}", known.join(", "))));
            return None;
        }
        Some(given.value)
    };
    let x = axis("x");
    let y = axis("y");
    let place = fields.span.clone();
    let value = fields.string("value", diagnostics);
    let value = value.unwrap_or_else(|| Located::new("flapsPerHour".to_owned(), place));
    fields.finish(UnknownKeys::Error, diagnostics);
    Some((x?, y?, value))
}

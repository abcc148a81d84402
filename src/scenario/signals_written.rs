//! `signals` as written, in a Scenario or a file of its own: shapes of values with their places. CSV files are named here,
//! not read.

use crate::manifest::{Fields, Key, Node, UnknownKeys, Value};
use crate::scenario::values::{positive, positive_duration};
use crate::series::{Labels, MetricKind, Signal};
use crate::units::{Diagnostic, Diagnostics, Located, SimTime};

/// The forms of a value over time, as messages list them.
const SHAPES: [&str; 6] = ["constant", "step", "ramp", "sine", "oscillate", "csv"];

/// Largest magnitude of a number: sums over any run stay finite.
pub(super) const VALUE_MAX: f64 = 1e100;

/// `signals` as its author wrote it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SignalsWritten {
    /// `triggers`, in the order written, each under its key.
    pub triggers: Vec<(Located<String>, TriggerSignalWritten)>,
    /// `series`, in the order written.
    pub series: Vec<Located<SeriesWritten>>,
}

/// What stands under one key of `triggers`.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerSignalWritten {
    /// `value`, or the shape that stands in its place.
    pub value: ShapeWritten,
    /// `active`.
    pub active: Option<ShapeWritten>,
    /// `target`.
    pub target: Option<Located<f64>>,
}

/// One item of `series`.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesWritten {
    /// `metric` and `labels`.
    pub labels: Labels,
    /// A gauge for `value`, a counter for `rate`.
    pub kind: MetricKind,
    /// `value` or `rate`.
    pub value: ShapeWritten,
}

/// A value over time.
#[derive(Clone, Debug, PartialEq)]
pub enum ShapeWritten {
    /// One that is given by numbers.
    Numbers(Signal),
    /// `csv`.
    Csv(CsvWritten),
}

/// `csv: lag.csv` or `csv: {file: lag.csv, column: lag, time: t}`.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvWritten {
    /// Relative to the file that names it.
    pub file: Located<String>,
    /// The column with the values, `value` when absent.
    pub column: Option<Located<String>>,
    /// The column with the times, `t` when absent.
    pub time: Option<Located<String>>,
}

/// Reads what stands under `signals`; `path` is "" at the top of a file of its own. Incomplete after an error.
pub(super) fn read_signals(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> SignalsWritten {
    let mut written = SignalsWritten::default();
    let Some(mut fields) = Fields::of(node, path, diagnostics) else { return written };
    if let Some(node) = fields.node("triggers") {
        written.triggers = read_triggers(node, &fields.path_of("triggers"), diagnostics);
    }
    for (place, item) in fields.list("series", diagnostics).unwrap_or_default() {
        let Some(series) = read_series(item, &place, diagnostics) else { continue };
        if let Some(first) = written.series.iter().find(|own| own.value.labels == series.labels) {
            let message = format!("found {} again, given before at {}", series.labels, first.span);
            let diagnostic = Diagnostic::error(item.span.clone(), place, message);
            diagnostics.push(diagnostic.help("one of a series' labels must differ"));
            continue;
        }
        written.series.push(Located::new(series, item.span.clone()));
    }
    fields.finish(UnknownKeys::Error, diagnostics);
    written
}

/// The path of `key` in the mapping at `path`, in the grammar of `--set`.
pub(super) fn path_of_key(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/'));
    if plain { format!("{path}.{key}") } else { format!("{path}[\"{key}\"]") }
}

fn read_triggers(
    node: &Node,
    path: &str,
    diagnostics: &mut Diagnostics,
) -> Vec<(Located<String>, TriggerSignalWritten)> {
    let Value::Map(entries) = &node.value else {
        let message = format!("found {}, expected a mapping of triggers to signals", node.describe());
        diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
        return Vec::new();
    };
    let mut triggers = Vec::with_capacity(entries.len());
    for (key, own) in entries {
        let place = path_of_key(path, &key.name);
        if !is_trigger_name(key) {
            let message = format!("found the key {:?}, expected a trigger", key.name);
            let diagnostic = Diagnostic::error(key.span.clone(), path, message);
            diagnostics.push(diagnostic.help(
                "write a trigger's name, its metric's name such as s0-kafka, or its position such as triggers[0]",
            ));
            continue;
        }
        if let Some(signal) = read_trigger(own, &place, diagnostics) {
            triggers.push((Located::new(key.name.clone(), key.span.clone()), signal));
        }
    }
    triggers
}

/// Whether a key may be a trigger's name or metric name. Quotes would make its path ambiguous; no metric name has any.
fn is_trigger_name(key: &Key) -> bool {
    !key.name.is_empty() && key.name.trim() == key.name && !key.name.contains(|c: char| c == '"' || c.is_control())
}

fn read_trigger(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<TriggerSignalWritten> {
    let mut fields = signal_fields(node, path, diagnostics)?;
    let inline: Vec<&str> = SHAPES.into_iter().filter(|shape| fields.keys().any(|key| key.name == *shape)).collect();
    let named = ["value", "active", "target"].into_iter().any(|name| fields.keys().any(|key| key.name == name));
    let value = if named && !inline.is_empty() {
        let message = format!("found {} beside value, active or target", inline.join(", "));
        let help = format!("write value: {{{}: ...}}", inline[0]);
        diagnostics.push(Diagnostic::error(fields.span.clone(), path, message).help(help));
        None
    } else if named {
        let value = fields.node("value");
        let value = fields.required("value", value, diagnostics);
        value.and_then(|node| read_shape(node, &fields.path_of("value"), diagnostics))
    } else {
        // So that a mistyped key is held against these too.
        fields.node("value");
        shape_of(&mut fields, diagnostics)
    };
    for shape in SHAPES {
        fields.node(shape);
    }
    let active = fields.node("active").map(|node| read_shape(node, &fields.path_of("active"), diagnostics));
    let target = fields.node("target").map(|_| positive(&mut fields, "target", diagnostics));
    fields.finish(UnknownKeys::Error, diagnostics);
    let (active, target) = (all_or_none(active)?, all_or_none(target)?);
    Some(TriggerSignalWritten { value: value?, active, target })
}

/// An optional part: `None` when it is there but wrong.
#[expect(clippy::option_option, reason = "absent and wrong are two things")]
fn all_or_none<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(None) => None,
        Some(Some(part)) => Some(Some(part)),
        None => Some(None),
    }
}

fn read_series(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<SeriesWritten> {
    let mut fields = Fields::of(node, path, diagnostics)?;
    let metric = fields.string("metric", diagnostics);
    let metric = fields.required("metric", metric, diagnostics);
    let metric = metric.filter(|name| {
        let valid = is_name(&name.value, true);
        if !valid {
            let message = format!("found {:?}, expected letters, digits, '_' and ':', no digit first", name.value);
            diagnostics.push(Diagnostic::error(name.span.clone(), fields.path_of("metric"), message));
        }
        valid
    });
    let labels = read_labels(&mut fields, diagnostics);
    let (value, rate) = (fields.node("value"), fields.node("rate"));
    let shape = match (value, rate) {
        (Some(node), None) => {
            let shape = read_shape(node, &fields.path_of("value"), diagnostics);
            shape.map(|shape| (MetricKind::Gauge, shape))
        }
        (None, Some(node)) => {
            let place = fields.path_of("rate");
            let shape = read_shape(node, &place, diagnostics);
            shape.filter(|shape| is_growth(shape, node, &place, diagnostics)).map(|shape| (MetricKind::Counter, shape))
        }
        (found, _) => {
            let found = if found.is_some() { "both value and rate" } else { "neither value nor rate" };
            let message = format!("found {found}, expected one of them");
            let diagnostic = Diagnostic::error(fields.span.clone(), path, message);
            let help = "a gauge has its value, a counter the rate per second at which it grows";
            // A key that nobody knows may be the missing one; it has its own message.
            let known = ["metric", "labels", "value", "rate"];
            if value.is_some() || fields.keys().all(|key| known.contains(&key.name.as_str())) {
                diagnostics.push(diagnostic.help(help));
            }
            None
        }
    };
    fields.finish(UnknownKeys::Error, diagnostics);
    let (metric, labels, (kind, value)) = (metric?, labels?, shape?);
    let labels = Labels::from_pairs(labels).with("__name__", &metric.value);
    Some(SeriesWritten { labels, kind, value })
}

fn read_labels(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<(String, String)>> {
    if fields.node("labels").is_none() {
        return Some(Vec::new());
    }
    let before = diagnostics.0.len();
    let path = fields.path_of("labels");
    let pairs = fields.string_map("labels", diagnostics)?;
    for (key, value) in &pairs {
        let place = path_of_key(&path, &key.name);
        let wrong = |span, message: String| Diagnostic::error(span, place.clone(), message);
        if key.name == "__name__" {
            let diagnostic = wrong(key.span.clone(), "found the label __name__".to_owned());
            diagnostics.push(diagnostic.help("the metric's name stands under metric"));
        } else if key.name.starts_with("__") {
            let message = format!("found the label {:?}, expected a name that does not begin with __", key.name);
            diagnostics.push(wrong(key.span.clone(), message).help("Prometheus keeps those names to itself"));
        } else if !is_name(&key.name, false) {
            let message = format!("found the label {:?}, expected letters, digits and '_', no digit first", key.name);
            diagnostics.push(wrong(key.span.clone(), message));
        }
        if value.value.is_empty() {
            let message = "found an empty value, which is the same as no label".to_owned();
            diagnostics.push(wrong(value.span.clone(), message).help("remove it"));
        }
    }
    (diagnostics.0.len() == before).then(|| pairs.into_iter().map(|(key, value)| (key.name, value.value)).collect())
}

/// Whether `name` is one by Prometheus' classic grammar (`model/metric.go`, `LegacyValidation`); metric names may have colons.
fn is_name(name: &str, is_metric: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (is_metric && c == ':');
    !name.is_empty() && name.chars().all(fits) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a shape given by numbers never falls below 0, as a counter's rate must not.
fn is_growth(shape: &ShapeWritten, node: &Node, path: &str, diagnostics: &mut Diagnostics) -> bool {
    let ShapeWritten::Numbers(signal) = shape else { return true };
    let lowest = match signal {
        Signal::Constant(value) => *value,
        Signal::Step { from, to, .. } | Signal::Ramp { from, to, .. } => from.min(*to),
        Signal::Sine { mean, amplitude, .. } => mean - amplitude.abs(),
        Signal::Oscillate { low, .. } => *low,
        Signal::Points(_) => return true, // Checked row by row where they are read.
    };
    if lowest >= 0.0 {
        return true;
    }
    let message = format!("found a rate that falls to {lowest}, expected one of at least 0");
    let diagnostic = Diagnostic::error(node.span.clone(), path, message);
    diagnostics.push(diagnostic.help("a counter never falls; a gauge has a value instead of a rate"));
    false
}

/// The mapping of a signal; a bare number gets a hint.
fn signal_fields<'n>(node: &'n Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Fields<'n>> {
    let number = match node.value {
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        _ => return Fields::of(node, path, diagnostics),
    };
    let message = format!("found {}, expected a mapping", node.describe());
    let diagnostic = Diagnostic::error(node.span.clone(), path, message);
    diagnostics.push(diagnostic.help(format!("write {{constant: {number}}}")));
    None
}

/// A value over time: a mapping with one of the shapes.
fn read_shape(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<ShapeWritten> {
    let mut fields = signal_fields(node, path, diagnostics)?;
    let shape = shape_of(&mut fields, diagnostics);
    fields.finish(UnknownKeys::Error, diagnostics);
    shape
}

/// The one shape among `fields`; the caller reports keys that are none.
fn shape_of(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<ShapeWritten> {
    for shape in SHAPES {
        fields.node(shape);
    }
    let known: Vec<&str> = fields.keys().map(|key| key.name.as_str()).filter(|key| SHAPES.contains(key)).collect();
    let [shape] = known.as_slice() else {
        // A mistyped shape is told as an unknown key.
        if known.len() > 1 || fields.keys().next().is_none() {
            let found = if known.is_empty() { "no shape".to_owned() } else { known.join(", ") };
            let message = format!("found {found}, expected exactly one of {}", SHAPES.join(", "));
            diagnostics.push(Diagnostic::error(fields.span.clone(), fields.path.clone(), message));
        }
        return None;
    };
    match *shape {
        "constant" => {
            let value = number(fields, "constant", diagnostics)?;
            Some(ShapeWritten::Numbers(Signal::Constant(value)))
        }
        "csv" => read_csv(fields, diagnostics).map(ShapeWritten::Csv),
        "step" => read_part(fields, "step", step, diagnostics),
        "ramp" => read_part(fields, "ramp", ramp, diagnostics),
        "sine" => read_part(fields, "sine", sine, diagnostics),
        _ => read_part(fields, "oscillate", oscillate, diagnostics),
    }
}

/// The mapping under a shape's name.
fn read_part(
    fields: &mut Fields<'_>,
    shape: &'static str,
    read: fn(&mut Fields<'_>, &mut Diagnostics) -> Option<Signal>,
    diagnostics: &mut Diagnostics,
) -> Option<ShapeWritten> {
    let node = fields.node(shape);
    let node = fields.required(shape, node, diagnostics)?;
    let mut inner = Fields::of(node, &fields.path_of(shape), diagnostics)?;
    let signal = read(&mut inner, diagnostics);
    inner.finish(UnknownKeys::Error, diagnostics);
    signal.map(ShapeWritten::Numbers)
}

fn step(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Signal> {
    let (from, to) = (number(fields, "from", diagnostics), number(fields, "to", diagnostics));
    let at = instant(fields, "at", diagnostics);
    Some(Signal::Step { from: from?, to: to?, at: at?.value })
}

fn ramp(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Signal> {
    let (from, to) = (number(fields, "from", diagnostics), number(fields, "to", diagnostics));
    let (start, end) = (instant(fields, "start", diagnostics), instant(fields, "end", diagnostics));
    let (start, end) = (start?, end?);
    if end.value <= start.value {
        let message = format!("found end {} with start {}, expected end after start", end.value, start.value);
        diagnostics.push(Diagnostic::error(end.span, fields.path_of("end"), message));
        return None;
    }
    Some(Signal::Ramp { from: from?, to: to?, start: start.value, end: end.value })
}

fn sine(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Signal> {
    let (mean, amplitude) = (number(fields, "mean", diagnostics), number(fields, "amplitude", diagnostics));
    let period = positive_duration(fields, "period", diagnostics);
    let period = fields.required("period", period, diagnostics);
    Some(Signal::Sine { mean: mean?, amplitude: amplitude?, period: period?.value })
}

fn oscillate(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Signal> {
    let (low, high) = (number(fields, "low", diagnostics), number(fields, "high", diagnostics));
    let period = positive_duration(fields, "period", diagnostics);
    let period = fields.required("period", period, diagnostics);
    let (low, high) = (low?, high?);
    if low > high {
        let message = format!("found low {low} above high {high}, expected low <= high");
        diagnostics.push(Diagnostic::error(fields.span.clone(), fields.path.clone(), message));
        return None;
    }
    Some(Signal::Oscillate { low, high, period: period?.value })
}

/// A file's name, or `{file, column, time}`.
fn read_csv(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<CsvWritten> {
    let node = fields.node("csv");
    let node = fields.required("csv", node, diagnostics)?;
    if !matches!(node.value, Value::Map(_)) {
        let file = fields.string("csv", diagnostics)?;
        return Some(CsvWritten { file, column: None, time: None });
    }
    let mut inner = Fields::of(node, &fields.path_of("csv"), diagnostics)?;
    let before = diagnostics.0.len();
    let file = inner.string("file", diagnostics);
    let file = inner.required("file", file, diagnostics);
    let (column, time) = (inner.string("column", diagnostics), inner.string("time", diagnostics));
    inner.finish(UnknownKeys::Error, diagnostics);
    let file = file.filter(|_| diagnostics.0.len() == before)?;
    Some(CsvWritten { file, column, time })
}

/// A required number of a magnitude that can be summed over any run.
fn number(fields: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<f64> {
    let given = fields.number(key, diagnostics);
    let given = fields.required(key, given, diagnostics)?;
    if given.value.abs() > VALUE_MAX {
        let message = format!("found {:e}, expected a number from -1e100 to 1e100", given.value);
        diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
        return None;
    }
    Some(given.value)
}

/// A required time since the run's start.
fn instant(fields: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<SimTime>> {
    let given = fields.duration(key, diagnostics);
    let given = fields.required(key, given, diagnostics)?;
    Some(given.map(|offset| SimTime::ZERO + offset))
}

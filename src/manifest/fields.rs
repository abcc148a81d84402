//! Strict typed reading of a mapping: Kubernetes' typing in both directions, a field path and a place in every message,
//! several messages per file, and a "did you mean" for keys that do not exist.

use crate::manifest::set_path::SET_FILE;
use crate::manifest::{Key, Node, Value, yaml};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity, SimDuration, Span, parse_go_duration};

/// What to do with keys nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// Our own files: a typing mistake is an error.
    Error,
    /// Kubernetes objects where a strict apply refuses it and the API server would prune it: a warning.
    Warn,
    /// Objects of which only a few fields concern us.
    Ignore,
}

/// A cursor over one mapping. Read the fields that exist, then call [`Fields::finish`].
pub struct Fields<'n> {
    /// Path of the mapping itself, e.g. `spec.triggers[0]`; "" at a document's root.
    pub path: String,
    /// Where the mapping starts.
    pub span: Span,
    entries: &'n [(Key, Node)],
    seen: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// Over `node`, which stands at `path`; a message and `None` when it is not a mapping.
    pub fn of(node: &'n Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Value::Map(entries) = &node.value else {
            let message = format!("found {}, expected a mapping", node.describe());
            diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
            return None;
        };
        Some(Fields { path: path.to_owned(), span: node.span.clone(), entries, seen: Vec::new() })
    }

    /// Path of the field `key`.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The raw node under `key`; an explicit null counts as absent.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.seen.push(key);
        let (_, node) = self.entries.iter().find(|(own, _)| own.name == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// The keys that stand here, in order.
    pub fn keys(&self) -> impl Iterator<Item = &'n Key> + use<'n> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// A string; a number or boolean in its place is an error that says to quote it.
    pub fn string(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<String>> {
        let node = self.node(key)?;
        if let Value::Str(text) = &node.value {
            return Some(Located::new(text.clone(), node.span.clone()));
        }
        if let Some(text) = scalar_text(node).filter(|_| is_set(&node.span)) {
            return Some(Located::new(text, node.span.clone()));
        }
        let mut wrong = self.wrong(key, node, "a string");
        if let Value::Int(_) | Value::Float(_) | Value::Bool(_) = node.value {
            wrong = wrong.help("put it in quotes");
        }
        diagnostics.push(wrong);
        None
    }

    /// A whole number within `range`.
    pub fn integer(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<i64>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Located<i64>> {
        let node = self.node(key)?;
        let value = match typed(node) {
            Value::Int(value) => Some(value),
            // Kubernetes' loader goes through JSON, where 2.0 and 2 are one number.
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Some(value as i64),
            _ => None,
        };
        match value {
            Some(value) if range.contains(&value) => Some(Located::new(value, node.span.clone())),
            _ => {
                let (start, end) = (*range.start(), *range.end());
                // A float that is whole, but beyond what is exact, is too large all the same.
                let too_large = match typed(node) {
                    Value::Int(value) => value > end,
                    Value::Float(value) => value > end as f64,
                    _ => false,
                };
                let expected = if end < i64::from(i32::MAX) || too_large {
                    format!("an integer from {start} to {end}")
                } else if start <= i64::from(i32::MIN) && !matches!(node.value, Value::Int(_)) {
                    "an integer".to_owned()
                } else {
                    format!("an integer of at least {start}")
                };
                diagnostics.push(self.wrong(key, node, &expected));
                None
            }
        }
    }

    /// A number, whole or not.
    pub fn number(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<f64>> {
        let node = self.node(key)?;
        let value = match typed(node) {
            Value::Int(value) => value as f64,
            Value::Float(value) if value.is_finite() => value,
            _ => {
                diagnostics.push(self.wrong(key, node, "a number"));
                return None;
            }
        };
        Some(Located::new(value, node.span.clone()))
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<bool>> {
        let node = self.node(key)?;
        if let Value::Bool(value) = typed(node) {
            return Some(Located::new(value, node.span.clone()));
        }
        diagnostics.push(self.wrong(key, node, "true or false"));
        None
    }

    /// A Kubernetes quantity (`500m`, `4Gi`), which may be written as a number or as a string.
    pub fn quantity(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<Quantity>> {
        let node = self.node(key)?;
        quantity_of(node, &self.path_of(key), diagnostics)
    }

    /// A Go duration such as `90s`.
    pub fn duration(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<SimDuration>> {
        let node = self.node(key)?;
        let parsed = match &node.value {
            Value::Str(text) => parse_go_duration(text),
            Value::Int(0) => Ok(SimDuration::ZERO),
            _ => Err(format!("found {}, expected a duration such as 90s, 1h30m or 250ms", node.describe())),
        };
        match parsed {
            Ok(duration) => Some(Located::new(duration, node.span.clone())),
            Err(message) => {
                diagnostics.push(Diagnostic::error(node.span.clone(), self.path_of(key), message));
                None
            }
        }
    }

    /// A nested mapping.
    pub fn fields(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Fields<'n>> {
        let node = self.node(key)?;
        Fields::of(node, &self.path_of(key), diagnostics)
    }

    /// The items of a list, each with its path.
    pub fn list(&mut self, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Vec<(String, &'n Node)>> {
        let node = self.node(key)?;
        if let Value::Seq(items) = &node.value {
            let path = self.path_of(key);
            return Some(items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect());
        }
        diagnostics.push(self.wrong(key, node, "a list"));
        None
    }

    /// A mapping of strings to strings, in the order written. Beside its error a number or boolean is in the map as its
    /// text, so that whoever only inspects a file can go on.
    pub fn string_map(
        &mut self,
        key: &'static str,
        diagnostics: &mut Diagnostics,
    ) -> Option<Vec<(Key, Located<String>)>> {
        let node = self.node(key)?;
        let path = self.path_of(key);
        let Value::Map(entries) = &node.value else {
            diagnostics.push(self.wrong(key, node, "a mapping of strings to strings"));
            return None;
        };
        let mut map = Vec::with_capacity(entries.len());
        for (own, value) in entries {
            let text = scalar_text(value);
            let quoted = matches!(value.value, Value::Str(_)) || (text.is_some() && is_set(&value.span));
            if !quoted {
                let message = format!("found {}, expected a string", value.describe());
                let place = format!("{path}.{}", own.name);
                diagnostics.push(Diagnostic::error(value.span.clone(), place, message).help("put it in quotes"));
            }
            if let Some(text) = text {
                map.push((own.clone(), Located::new(text, value.span.clone())));
            }
        }
        Some(map)
    }

    /// `value`, with an error when it is absent. (Call it with what a reader returned; a mistyped value has its own message.)
    pub fn required<T>(&self, key: &str, value: Option<T>, diagnostics: &mut Diagnostics) -> Option<T> {
        let present = self.entries.iter().any(|(own, node)| own.name == key && node.value != Value::Null);
        if value.is_none() && !present {
            let message = format!("the required field {key} is missing");
            diagnostics.push(Diagnostic::error(self.span.clone(), self.path_of(key), message));
        }
        value
    }

    /// Reports the keys that no reader asked for.
    pub fn finish(self, unknown: UnknownKeys, diagnostics: &mut Diagnostics) {
        self.finish_with(unknown, |_| None, diagnostics);
    }

    /// As [`Self::finish`]; `left` says what holds when the key that was probably meant stays absent.
    pub(crate) fn finish_with(
        self,
        unknown: UnknownKeys,
        left: impl Fn(&str) -> Option<String>,
        diagnostics: &mut Diagnostics,
    ) {
        if unknown == UnknownKeys::Ignore {
            return;
        }
        for (key, _) in self.entries {
            if self.seen.iter().any(|seen| *seen == key.name) {
                continue;
            }
            let place = if self.path.is_empty() { "the document".to_owned() } else { self.path.clone() };
            let message = format!("unknown key {:?} in {place}", key.name);
            let path = self.path_of(&key.name);
            let near = nearest(&key.name, self.seen.iter().copied());
            let diagnostic = match unknown {
                // Whoever types a path on the command line means it, whatever the API server would prune.
                _ if is_set(&key.span) => Diagnostic::error(key.span.clone(), path, message),
                UnknownKeys::Error => Diagnostic::error(key.span.clone(), path, message),
                _ => {
                    let left = near.and_then(&left).map(|left| format!("; {left}")).unwrap_or_default();
                    let pruned = format!(
                        "{message}: kubectl apply refuses it (unknown field {path:?}), a server that does not validate \
                         strictly drops it{left}"
                    );
                    Diagnostic::warning(key.span.clone(), path, pruned)
                }
            };
            let diagnostic = match near {
                Some(name) => diagnostic.help(format!("did you mean {name}?")),
                None => {
                    let mut known = self.seen.clone();
                    known.sort_unstable();
                    known.dedup();
                    diagnostic.help(format!("known keys here: {}", known.join(", ")))
                }
            };
            diagnostics.push(diagnostic);
        }
    }

    fn wrong(&self, key: &str, node: &Node, expected: &str) -> Diagnostic {
        Diagnostic::error(
            node.span.clone(),
            self.path_of(key),
            format!("found {}, expected {expected}", node.describe()),
        )
    }
}

/// The quantity at `node`, which stands at `path`.
pub(crate) fn quantity_of(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Located<Quantity>> {
    let text = match &node.value {
        Value::Str(_) | Value::Int(_) | Value::Float(_) => scalar_text(node),
        _ => None,
    };
    let text =
        text.ok_or_else(|| format!("found {}, expected a quantity such as 5, 700m, 0.5 or 4Gi", node.describe()));
    match text.and_then(|text| Quantity::parse(&text).map_err(|error| error.to_string())) {
        Ok(quantity) => Some(Located::new(quantity, node.span.clone())),
        Err(message) => {
            diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
            None
        }
    }
}

/// A scalar as text.
fn scalar_text(node: &Node) -> Option<String> {
    match &node.value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Seq(_) | Value::Map(_) => None,
    }
}

/// The value of a scalar: what was typed on the command line and kept as text (`1.30`) may still be a number.
fn typed(node: &Node) -> Value {
    match &node.value {
        Value::Str(text) if is_set(&node.span) => yaml::parse_scalar(text),
        Value::Int(number) => Value::Int(*number),
        Value::Float(number) => Value::Float(*number),
        Value::Bool(truth) => Value::Bool(*truth),
        Value::Null | Value::Str(_) | Value::Seq(_) | Value::Map(_) => Value::Null,
    }
}

/// The one of `names` that `found` is a slip of the pen for, if any: up to half of it may differ, as minReplicas means
/// minReplicaCount.
pub fn nearest<'a>(found: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let best = names.into_iter().map(|name| (edit_distance(name, found), name)).min();
    best.filter(|(distance, _)| 2 * distance <= found.chars().count()).map(|(_, name)| name)
}

/// Whether a value or key was typed on the command line (`--set`).
pub fn is_set(span: &Span) -> bool {
    span.line == 0 && &*span.file == SET_FILE
}

/// Levenshtein distance, ignoring case, for "did you mean".
pub(crate) fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse_documents;

    fn node(text: &str) -> Node {
        parse_documents(text, "t").expect("valid YAML").remove(0)
    }

    /// What `read` says about `text`.
    fn messages(text: &str, read: impl FnOnce(&mut Fields<'_>, &mut Diagnostics)) -> Vec<String> {
        let node = node(text);
        let mut diagnostics = Diagnostics::new();
        let mut fields = Fields::of(&node, "spec", &mut diagnostics).expect("a mapping");
        read(&mut fields, &mut diagnostics);
        diagnostics.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn integers_are_those_of_json() {
        let read = |text: &str| {
            let node = node(text);
            let mut diagnostics = Diagnostics::new();
            let mut fields = Fields::of(&node, "", &mut diagnostics).expect("a mapping");
            fields.integer("n", 0..=100, &mut diagnostics).map(|own| own.value)
        };
        // Kubernetes' loader goes through JSON, which has no whole numbers of its own.
        for (text, expected) in [("n: 5", Some(5)), ("n: 5.0", Some(5)), ("n: 1e2", Some(100)), ("n: 010", Some(8))] {
            assert_eq!(read(text), expected, "{text}");
        }
        for text in ["n: 101", "n: -1", "n: 0.5", "n: 1e3", "n: \"5\"", "n: true", "n: []", "n: 99999999999999999999"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_bound_is_named_as_far_as_it_says_something() {
        let said = |range| messages("n: x", |fields, all| _ = fields.integer("n", range, all)).remove(0);
        assert!(said(0..=10).ends_with("expected an integer from 0 to 10"));
        assert!(said(1..=i64::from(i32::MAX)).ends_with("expected an integer of at least 1"));
        assert!(said(i64::from(i32::MIN)..=i64::from(i32::MAX)).ends_with("expected an integer"));
        let said =
            |text: &str| messages(text, |fields, all| _ = fields.integer("n", 16..=10_000_000_000, all)).remove(0);
        assert!(
            said("n: 1e18")
                .ends_with("found the number 1000000000000000000, expected an integer from 16 to 10000000000")
        );
        assert!(said("n: 15").ends_with("an integer of at least 16"));
    }

    #[test]
    fn unknown_keys_are_reported_as_asked_and_guessed_where_near() {
        let said = |text: &str, unknown| {
            let node = node(text);
            let mut diagnostics = Diagnostics::new();
            let mut fields = Fields::of(&node, "spec", &mut diagnostics).expect("a mapping");
            let _ = (fields.node("minReplicaCount"), fields.node("seed"));
            fields.finish(unknown, &mut diagnostics);
            diagnostics.to_string()
        };
        let expected = "error: t:1:1: spec.seeds: unknown key \"seeds\" in spec\n  help: did you mean seed?";
        assert_eq!(said("seeds: 1", UnknownKeys::Error), expected);
        assert!(said("minreplicas: 1", UnknownKeys::Warn).starts_with("warning: "));
        assert!(said("minreplicas: 1", UnknownKeys::Warn).ends_with("did you mean minReplicaCount?"));
        assert!(said("foo: 1", UnknownKeys::Error).ends_with("known keys here: minReplicaCount, seed"));
        assert_eq!(said("foo: 1", UnknownKeys::Ignore), "");
        assert_eq!(said("seed: 1", UnknownKeys::Error), "");
    }

    #[test]
    fn a_required_field_is_missed_once() {
        let said = |text: &str| {
            messages(text, |fields, all| {
                let value = fields.string("name", all);
                let _ = fields.required("name", value, all);
            })
        };
        assert_eq!(said("a: 1"), ["error: t:1:1: spec.name: the required field name is missing"]);
        assert_eq!(said("name: ~"), ["error: t:1:1: spec.name: the required field name is missing"]);
        assert_eq!(said("name: 5").len(), 1);
        assert!(said("name: x").is_empty());
    }

    #[test]
    fn durations_numbers_and_booleans_keep_their_grammar() {
        let said = |text: &str| {
            messages(text, |fields, all| {
                let _ = (fields.duration("d", all), fields.number("n", all), fields.boolean("b", all));
            })
        };
        assert!(said("d: 1h30m\nn: 5\nb: yes\n").is_empty());
        assert!(said("d: 0\nn: 0.5\n").is_empty());
        assert!(said("d: 90").remove(0).starts_with("error: t:1:4: spec.d: found the integer 90, expected a duration"));
        assert!(said("n: five").remove(0).ends_with("found the string \"five\", expected a number"));
        assert!(said("b: 1").remove(0).ends_with("found the integer 1, expected true or false"));
    }
}

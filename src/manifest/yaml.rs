//! YAML text to located trees: the only user of the YAML crate. What the tree means is not this file's business.
//!
//! Typing is that of Kubernetes' loader, YAML 1.1 with a few of 1.2's spellings (sigs.k8s.io/yaml
//! `goyaml.v2/resolve.go`, `resolve`): `y`, `yes`, `on` and their opposites are booleans, `0777` and `0o777` are octal,
//! `08` is a float, `1_000` is 1000, `1:30` is a string.

use crate::manifest::{Key, Node, Value};
use crate::units::{Diagnostic, Span};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;
use serde_yaml::options::DuplicateKeyPolicy;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Largest text that is parsed, bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
const MAX_DOCUMENTS: usize = 64;
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 50_000;

/// Parses all documents of `text`; `file` names it in places. Empty documents are dropped.
///
/// A key that is not a string (`1:`, `true:`) becomes its text. A merge key (`<<`) is merged, and an alias is replaced by
/// what it stands for; both keep the place where the text is written. A whole number beyond 64 bits becomes a float.
///
/// # Errors
/// The first syntax error, duplicate key, or budget overrun (64 documents, depth 64, 50 000 nodes, 1 MiB), located.
pub fn parse_documents(text: &str, file: &str) -> Result<Vec<Node>, Diagnostic> {
    let file: Arc<str> = Arc::from(file);
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes of YAML, the limit is {MAX_BYTES}", text.len());
        return Err(Diagnostic::error(Span::new(file, 0, 0), "", message).help("split the file"));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(diagnostic) = control_character(text, &file) {
        return Err(diagnostic);
    }
    let raw: Vec<RawNode> =
        serde_yaml::from_multiple_with_options(text, options()).map_err(|error| explain(&error, text, &file))?;
    let mut documents = Vec::with_capacity(raw.len());
    for node in raw {
        let node = locate(node, &file)?;
        if node.value != Value::Null {
            documents.push(node);
        }
    }
    Ok(documents)
}

/// What `text` is as a YAML value of its own: a boolean, number or null when plain, the inside of quotes, else `text`
/// itself as a string (also when it would be a list, a mapping, or no YAML at all).
pub(crate) fn parse_scalar(text: &str) -> Value {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Value::Str(text.to_owned());
    }
    let quoted = trimmed.starts_with(['"', '\'']);
    // Spaces would let comments and document marks in; no plain boolean or number has any.
    if quoted || !trimmed.contains(|character: char| character.is_whitespace() || "#&*!|>".contains(character)) {
        let parsed = serde_yaml::from_str_with_options::<RawNode>(trimmed, options());
        if let Ok(RawNode(Spanned { value: RawValue::Scalar(value), .. })) = parsed {
            return match value {
                Value::Str(_) if !quoted => Value::Str(text.to_owned()),
                value => value,
            };
        }
    }
    Value::Str(text.to_owned())
}

fn options() -> serde_yaml::Options {
    let mut limits = serde_yaml::options::AliasLimits::default();
    limits.max_total_replayed_events = MAX_NODES;
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_documents: MAX_DOCUMENTS,
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            flow_nesting_limit: MAX_DEPTH,
            max_total_scalar_bytes: 4 * MAX_BYTES,
        },
        alias_limits: limits,
        duplicate_keys: DuplicateKeyPolicy::Error,
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
    }
}

/// Binary junk is named as such rather than as whatever the scanner stumbles over.
fn control_character(text: &str, file: &Arc<str>) -> Option<Diagnostic> {
    let (mut line, mut column) = (1, 1);
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\u{85}') {
            let message = format!("the control character U+{:04X}: this is not YAML text", u32::from(character));
            return Some(Diagnostic::error(Span::new(file.clone(), line, column), "", message));
        }
        if character == '\n' {
            (line, column) = (line + 1, 1);
        } else {
            column += 1;
        }
    }
    None
}

/// One short message from the parser's error.
fn explain(error: &serde_yaml::Error, text: &str, file: &Arc<str>) -> Diagnostic {
    let location = error.locations().map(|both| both.defined_location).or_else(|| error.location());
    let (line, column) = location.map_or((0, 0), |place| (number(place.line()), number(place.column())));
    let rendered = error.without_snippet().to_string();
    let first = rendered.lines().next().unwrap_or("broken YAML");
    let message = own_words(&without_place(first));
    // The scanner points at the end of the line before an indenting tab.
    let tab = (line..=line + 1).find_map(|at| {
        let own = text.lines().nth(usize::try_from(at).ok()?.checked_sub(1)?)?;
        let indent: String = own.chars().take_while(|character| character.is_whitespace()).collect();
        let before = indent.chars().position(|character| character == '\t')?;
        (indent.len() < own.len()).then_some((at, number(before as u64) + 1))
    });
    if let (Some((line, column)), true) = (tab, message.contains("tab") || message.contains("indent")) {
        return Diagnostic::error(Span::new(file.clone(), line, column), "", "a tab is used for indentation")
            .help("indent with spaces: YAML forbids tabs there");
    }
    Diagnostic::error(Span::new(file.clone(), line, column), "", message)
}

fn number(place: u64) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The crate's text without its own "at line 3, column 5" and "error: line 3 column 5:".
fn without_place(message: &str) -> String {
    let mut text = message.trim().to_owned();
    if let Some(rest) = text.strip_prefix("error: ") {
        text = rest.to_owned();
    }
    if let Some(rest) = text.strip_prefix("line ")
        && let Some((_, rest)) = rest.split_once(": ")
    {
        text = rest.to_owned();
    }
    if let Some(at) = text.find(" at line ") {
        text.truncate(at);
    }
    text
}

/// The parser's messages that speak of its own settings, in the words of someone who writes manifests.
fn own_words(message: &str) -> String {
    if let Some(key) = message.strip_prefix("duplicate mapping key: ") {
        let key = key.rsplit_once(", set DuplicateKeyPolicy").map_or(key, |(key, _)| key);
        return format!("duplicate key {key:?}");
    }
    let limits = [
        ("budget breached: Depth", format!("nested more than {MAX_DEPTH} levels deep")),
        ("recursion limit", format!("nested more than {MAX_DEPTH} levels deep")),
        ("budget breached: Documents", format!("more than {MAX_DOCUMENTS} documents in one file")),
        ("budget breached: Nodes", format!("more than {MAX_NODES} values in one file")),
        ("budget breached: Events", format!("more than {MAX_NODES} values in one file")),
        ("budget breached", "the file is larger than the limits of the YAML reader".to_owned()),
        ("alias replay limit", format!("aliases expand to more than {MAX_NODES} values")),
        ("expected string scalar", "a mapping or list where a key is expected".to_owned()),
        ("cannot deserialize null into string", "an empty mapping key".to_owned()),
        ("non-finite float", "an infinite or undefined number, which no Kubernetes object can hold".to_owned()),
        ("invalid u64", "not the whole number that its tag promises".to_owned()),
        ("invalid i64", "not the whole number that its tag promises".to_owned()),
    ];
    let known = limits.into_iter().find(|(start, _)| message.starts_with(start));
    known.map_or_else(|| message.to_owned(), |(_, words)| words)
}

/// Gives every node the file's name; a second look at keys, since `1` and `"1"` have the same text.
fn locate(raw: RawNode, file: &Arc<str>) -> Result<Node, Diagnostic> {
    let span = span_of(&raw.0, file);
    let value = match raw.0.value {
        RawValue::Scalar(value) => value,
        RawValue::Seq(items) => Value::Seq(items.into_iter().map(|item| locate(item, file)).collect::<Result<_, _>>()?),
        RawValue::Map(entries) => {
            let mut names = BTreeSet::new();
            let mut map = Vec::with_capacity(entries.len());
            for (name, node) in entries {
                let key = Key { span: span_of(&name, file), name: name.value };
                if !names.insert(key.name.clone()) {
                    return Err(Diagnostic::error(key.span, "", format!("duplicate key {:?}", key.name)));
                }
                map.push((key, locate(node, file)?));
            }
            Value::Map(map)
        }
    };
    Ok(Node { value, span })
}

fn span_of<T>(spanned: &Spanned<T>, file: &Arc<str>) -> Span {
    Span::new(file.clone(), number(spanned.defined.line()), number(spanned.defined.column()))
}

struct RawNode(Spanned<RawValue>);

enum RawValue {
    Scalar(Value),
    Seq(Vec<RawNode>),
    Map(Vec<(Spanned<String>, RawNode)>),
}

impl<'de> Deserialize<'de> for RawNode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::<RawValue>::deserialize(deserializer).map(RawNode)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }
    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Null))
    }
    fn visit_bool<E>(self, value: bool) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Bool(value)))
    }
    fn visit_i64<E>(self, value: i64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Int(value)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<RawValue, E> {
        let value = i64::try_from(value).map_or(Value::Float(value as f64), Value::Int);
        Ok(RawValue::Scalar(value))
    }
    fn visit_i128<E>(self, value: i128) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Float(value as f64)))
    }
    fn visit_u128<E>(self, value: u128) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Float(value as f64)))
    }
    fn visit_f64<E>(self, value: f64) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Float(value)))
    }
    fn visit_str<E>(self, value: &str) -> Result<RawValue, E> {
        Ok(RawValue::Scalar(Value::Str(value.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(RawValue::Seq(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;

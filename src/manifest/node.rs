//! The located tree: what YAML says, each key and value with its place.

use crate::units::{Span, shown_number};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What is written there.
    pub value: Value,
    /// Where.
    pub span: Span,
}

/// A mapping key and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The key's text.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// YAML's values as Kubernetes' loader types them: quoted `"5"` is a string, plain `5` an integer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true`, `false` (and YAML 1.1's yes/no/on/off).
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with fraction or exponent.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order written; no key twice.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The node under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(own, _)| own.name == key).map(|(_, node)| node),
            _ => None,
        }
    }
    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }
    /// What was found, for messages: `the string "one"`, `the integer 5`, `a list`.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean {value}"),
            Value::Int(value) => format!("the integer {value}"),
            Value::Float(value) => format!("the number {}", shown_number(*value)),
            Value::Str(text) if text.chars().count() > 60 => {
                format!("the string {:?}…", text.chars().take(60).collect::<String>())
            }
            Value::Str(text) => format!("the string {text:?}"),
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

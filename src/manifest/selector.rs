//! Kubernetes label selectors (`metav1.LabelSelector`), as written.

use crate::manifest::{Fields, Node, Value};
use crate::units::{Diagnostic, Diagnostics, Located, Span};

/// One `matchExpressions` entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    /// Where it stands.
    pub span: Span,
    /// `key`.
    pub key: String,
    /// `operator`: `In`, `NotIn`, `Exists` or `DoesNotExist`.
    pub operator: String,
    /// `values`.
    pub values: Vec<String>,
}

/// A label selector; without requirements it selects everything.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSelector {
    /// Where it stands.
    pub span: Span,
    /// `matchLabels`.
    pub match_labels: Vec<(String, Located<String>)>,
    /// `matchExpressions`.
    pub match_expressions: Vec<Requirement>,
}

impl LabelSelector {
    /// Reads the selector under `key`.
    pub(crate) fn read(fields: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut inner = fields.fields(key, diagnostics)?;
        let labels = inner.string_map("matchLabels", diagnostics).unwrap_or_default();
        let mut match_expressions = Vec::new();
        for (path, item) in inner.list("matchExpressions", diagnostics).unwrap_or_default() {
            match_expressions.extend(requirement(item, &path, diagnostics));
        }
        Some(LabelSelector {
            span: inner.span,
            match_labels: labels.into_iter().map(|(key, value)| (key.name, value)).collect(),
            match_expressions,
        })
    }

    /// The first requirement that `labels` do not meet: its place, and what was wanted and found. (Reference: apimachinery
    /// `pkg/labels/selector.go`, `Requirement.Matches`.)
    pub fn unmet(&self, labels: &[(String, String)]) -> Option<(Span, String)> {
        let of = |key: &str| labels.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
        let found = |key: &str| of(key).map_or_else(|| "no such label".to_owned(), |value| format!("{key}: {value}"));
        for (key, wanted) in &self.match_labels {
            if of(key) != Some(wanted.value.as_str()) {
                return Some((wanted.span.clone(), format!("asks for {key}: {}, found {}", wanted.value, found(key))));
            }
        }
        for own in &self.match_expressions {
            let value = of(&own.key);
            let is_listed = value.is_some_and(|value| own.values.iter().any(|wanted| wanted == value));
            let met = match own.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            };
            if !met {
                let values =
                    if own.values.is_empty() { String::new() } else { format!(" [{}]", own.values.join(", ")) };
                let wanted = format!("{} {}{values}", own.key, own.operator);
                return Some((own.span.clone(), format!("asks for {wanted}, found {}", found(&own.key))));
            }
        }
        None
    }
}

fn requirement(item: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Requirement> {
    let mut fields = Fields::of(item, path, diagnostics)?;
    let key = fields.string("key", diagnostics);
    let key = fields.required("key", key, diagnostics);
    let operator = fields.string("operator", diagnostics);
    let operator = fields.required("operator", operator, diagnostics);
    let values = fields.node("values").map(|node| match &node.value {
        Value::Seq(items) => items.iter().filter_map(Node::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    });
    let (key, operator) = (key?, operator?);
    if !["In", "NotIn", "Exists", "DoesNotExist"].contains(&operator.value.as_str()) {
        let message = format!("found {:?}, expected In, NotIn, Exists or DoesNotExist", operator.value);
        diagnostics.push(Diagnostic::error(operator.span, fields.path_of("operator"), message));
        return None;
    }
    Some(Requirement {
        span: item.span.clone(),
        key: key.value,
        operator: operator.value,
        values: values.unwrap_or_default(),
    })
}

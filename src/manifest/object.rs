//! What every Kubernetes object begins with: `apiVersion`, `kind` and `metadata`.

use crate::manifest::{Document, Fields, Key, Node, UnknownKeys, Value};
use crate::units::{Diagnostic, Diagnostics, Located, Span};

/// The part of `metadata` that is read; what the server sets is passed over.
pub(crate) struct ObjectHead {
    pub(crate) span: Span,
    pub(crate) name: Located<String>,
    pub(crate) namespace: Option<Located<String>>,
    pub(crate) annotations: Vec<(Key, Located<String>)>,
    pub(crate) labels: Vec<(Key, Located<String>)>,
}

impl ObjectHead {
    /// Reads the head of `document` and leaves `spec` to the caller. `None`, with an error, when there is no name.
    pub(crate) fn read(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Self> {
        let api_version = fields.string("apiVersion", diagnostics);
        fields.required("apiVersion", api_version, diagnostics);
        let _ = (fields.node("kind"), fields.node("status"));
        let metadata = fields.fields("metadata", diagnostics);
        let mut metadata = fields.required("metadata", metadata, diagnostics)?;
        let name = metadata.string("name", diagnostics);
        let name = metadata.required("name", name, diagnostics);
        let namespace = metadata.string("namespace", diagnostics);
        let annotations = metadata.string_map("annotations", diagnostics).unwrap_or_default();
        let labels = metadata.string_map("labels", diagnostics).unwrap_or_default();
        metadata.finish(UnknownKeys::Ignore, diagnostics);
        let name = name?;
        if name.value.is_empty() {
            diagnostics.push(Diagnostic::error(name.span.clone(), "metadata.name", "the name is empty"));
            return None;
        }
        Some(ObjectHead { span: fields.span.clone(), name, namespace, annotations, labels })
    }

    /// The annotation `key`.
    pub(crate) fn annotation(&self, key: &str) -> Option<Located<String>> {
        self.annotations.iter().find(|(own, _)| own.name == key).map(|(_, value)| value.clone())
    }
}

/// An error at `apiVersion`, or where the document starts.
pub(crate) fn wrong_version(document: &Document, message: String, help: &str) -> Diagnostic {
    let place = document.root.get("apiVersion").unwrap_or(&document.root);
    Diagnostic::error(place.span.clone(), "apiVersion", message).help(help)
}

/// The strings of a list; others are errors that say to quote them.
pub(crate) fn strings(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Vec<Located<String>> {
    let mut texts = Vec::new();
    for (path, item) in fields.list(key, diagnostics).unwrap_or_default() {
        match &item.value {
            Value::Str(text) => texts.push(Located::new(text.clone(), item.span.clone())),
            _ => diagnostics.push(not_a_string(item, path)),
        }
    }
    texts
}

fn not_a_string(node: &Node, path: String) -> Diagnostic {
    let wrong = Diagnostic::error(node.span.clone(), path, format!("found {}, expected a string", node.describe()));
    match node.value {
        Value::Int(_) | Value::Float(_) | Value::Bool(_) => wrong.help("put it in quotes"),
        _ => wrong,
    }
}

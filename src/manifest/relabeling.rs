//! One rule under `relabelings` or `metricRelabelings` of a monitor, as written.

use crate::manifest::object::strings;
use crate::manifest::{Fields, UnknownKeys, Value};
use crate::units::{Diagnostic, Diagnostics, Located, Span};

/// A relabelling rule; what it means is not known here.
#[derive(Clone, Debug, PartialEq)]
pub struct Relabeling {
    /// Where it starts.
    pub span: Span,
    /// Its path, such as `spec.podMetricsEndpoints[0].relabelings[1]`.
    pub path: String,
    /// `sourceLabels`.
    pub source_labels: Vec<Located<String>>,
    /// `separator`.
    pub separator: Option<Located<String>>,
    /// `regex`.
    pub regex: Option<Located<String>>,
    /// `modulus`.
    pub modulus: Option<Located<i64>>,
    /// `targetLabel`.
    pub target_label: Option<Located<String>>,
    /// `replacement`.
    pub replacement: Option<Located<String>>,
    /// `action`.
    pub action: Option<Located<String>>,
}

impl Relabeling {
    /// The rules under `key`, in order.
    pub(crate) fn read_list(
        endpoint: &mut Fields<'_>,
        key: &'static str,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Relabeling> {
        let mut rules = Vec::new();
        for (path, node) in endpoint.list(key, diagnostics).unwrap_or_default() {
            let Some(mut fields) = Fields::of(node, &path, diagnostics) else { continue };
            rules.push(Relabeling {
                span: node.span.clone(),
                path,
                source_labels: strings(&mut fields, "sourceLabels", diagnostics),
                separator: fields.string("separator", diagnostics),
                regex: fields.string("regex", diagnostics),
                modulus: fields.integer("modulus", 0..=i64::MAX, diagnostics),
                target_label: fields.string("targetLabel", diagnostics),
                replacement: fields.string("replacement", diagnostics),
                action: fields.string("action", diagnostics),
            });
            refuse_prometheus_spelling(&mut fields, diagnostics);
            fields.finish(UnknownKeys::Warn, diagnostics);
        }
        rules
    }

    /// The place of a field, or of the rule where it is absent.
    pub fn place(&self, field: &str) -> Span {
        let written = match field {
            "sourceLabels" => self.source_labels.first(),
            "separator" => self.separator.as_ref(),
            "regex" => self.regex.as_ref(),
            "targetLabel" => self.target_label.as_ref(),
            "replacement" => self.replacement.as_ref(),
            "action" => self.action.as_ref(),
            "modulus" => return self.modulus.as_ref().map_or_else(|| self.span.clone(), |own| own.span.clone()),
            _ => None,
        };
        written.map_or_else(|| self.span.clone(), |own| own.span.clone())
    }
}

/// `source_labels` and `target_label` are Prometheus' own spelling, which a server that prunes would turn into a rule that
/// does something else altogether.
fn refuse_prometheus_spelling(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) {
    for (wrong, right) in [("source_labels", "sourceLabels"), ("target_label", "targetLabel")] {
        if !fields.keys().any(|key| key.name == wrong) {
            continue;
        }
        let Some(node) = fields.node(wrong).filter(|node| node.value != Value::Null) else { continue };
        let message = format!("found {wrong}, which is Prometheus' own spelling: the API server refuses or drops it");
        let error = Diagnostic::error(node.span.clone(), fields.path_of(wrong), message);
        diagnostics.push(error.help(format!("write {right}")));
    }
}

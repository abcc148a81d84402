//! One message of a report: a diagnostic with its rule, the line it speaks of, and what would mend it.

use crate::lint::{Edit, Rule};
use crate::units::{Diagnostic, Severity, Span};

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Place, severity, who says so, what and what to do.
    pub diagnostic: Diagnostic,
    /// The rule of the catalogue that it belongs to.
    pub rule: Option<&'static Rule>,
    /// The line of the file with the very character, where it is known.
    pub excerpt: Option<Excerpt>,
    /// The change of the text that mends it, where there is a safe one.
    pub edit: Option<Edit>,
}

/// A line of a file with one of its characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line.
    pub line: String,
    /// The character's column, from 1.
    pub column: u32,
}

/// A message that its author silenced.
#[derive(Clone, Debug, PartialEq)]
pub struct Suppressed {
    /// The message.
    pub finding: Finding,
    /// What silenced it.
    pub by: SuppressedBy,
}

/// What silences messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SuppressedBy {
    /// `--ignore`.
    Flag,
    /// A comment `# kedasim:ignore` on this line, from 1.
    Comment(u32),
}

impl Finding {
    /// What a reader of manifests said. An error that nobody upstream would give is a limit of kedasim's, which says
    /// nothing about the object: a note.
    pub(super) fn of(mut diagnostic: Diagnostic) -> Self {
        if diagnostic.severity == Severity::Error && diagnostic.judge.is_none() {
            diagnostic.severity = Severity::Note;
            diagnostic.message = format!("kedasim: {}", diagnostic.message);
        }
        Finding::plain(diagnostic)
    }

    /// A message as it is.
    pub(super) fn plain(diagnostic: Diagnostic) -> Self {
        Finding { diagnostic, rule: None, excerpt: None, edit: None }
    }

    /// A breach of `rule`, with the rule's help.
    pub(super) fn breach(
        rule: &'static Rule,
        severity: Severity,
        span: Span,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let diagnostic = match severity {
            Severity::Error => Diagnostic::error(span, path, message),
            Severity::Warning => Diagnostic::warning(span, path, message),
            Severity::Note => Diagnostic::note(span, path, message),
        };
        Finding { rule: Some(rule), ..Finding::plain(diagnostic.help(rule.fix)) }
    }

    /// The same with help of its own.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.diagnostic.help = Some(help.into());
        self
    }

    /// The same with what mends it.
    pub(super) fn mend(self, edit: Edit) -> Self {
        Finding { edit: Some(edit), ..self }
    }

    /// The same at another place of the same value.
    pub(super) fn at(mut self, place: Option<Span>) -> Self {
        self.diagnostic.span = place.or(self.diagnostic.span);
        self
    }

    /// The code of its rule.
    pub fn code(&self) -> Option<&'static str> {
        self.rule.map(|rule| rule.code)
    }

    /// Whether it is advice: a note that a rule of the catalogue gives.
    pub fn is_advice(&self) -> bool {
        self.rule.is_some() && self.diagnostic.severity == Severity::Note
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Judge;

    #[test]
    fn only_an_error_without_a_judge_is_kedasims_own() {
        let own = Finding::of(Diagnostic::error(None, "spec", "no signal is given")).diagnostic;
        assert_eq!((own.severity, own.message.as_str()), (Severity::Note, "kedasim: no signal is given"));
        let judged = Finding::of(Diagnostic::error(None, "spec", "refused").by(Judge::Webhook)).diagnostic;
        assert_eq!((judged.severity, judged.message.as_str()), (Severity::Error, "refused"));
        let warning = Finding::of(Diagnostic::warning(None, "spec", "ignored by KEDA")).diagnostic;
        assert_eq!((warning.severity, warning.message.as_str()), (Severity::Warning, "ignored by KEDA"));
    }
}

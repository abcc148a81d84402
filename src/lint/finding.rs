//! One message of a report: a diagnostic with the line it speaks of.

use crate::units::{Diagnostic, Severity};

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Place, severity, who says so, what and what to do.
    pub diagnostic: Diagnostic,
    /// The line of the file with the very character, where it is known.
    pub excerpt: Option<Excerpt>,
}

/// A line of a file with one of its characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The line.
    pub line: String,
    /// The character's column, from 1.
    pub column: u32,
}

impl Finding {
    /// What a reader of manifests said. An error that nobody upstream would give is a limit of kedasim's, which says
    /// nothing about the object: a note.
    pub(super) fn of(mut diagnostic: Diagnostic) -> Self {
        if diagnostic.severity == Severity::Error && diagnostic.judge.is_none() {
            diagnostic.severity = Severity::Note;
            diagnostic.message = format!("kedasim: {}", diagnostic.message);
        }
        Finding { diagnostic, excerpt: None }
    }

    /// A message as it is.
    pub(super) fn plain(diagnostic: Diagnostic) -> Self {
        Finding { diagnostic, excerpt: None }
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

//! What a rule of the catalogue is: its code, why it matters, what to do and where upstream says so.

use crate::units::Severity;

/// A rule. Codes are those of the catalogue, in its order (docs/lint-rules.md has an entry for each).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `L-01` and on.
    pub code: &'static str,
    /// A short name, in words joined by hyphens.
    pub name: &'static str,
    /// How bad it is at its worst; a milder case is reported as a note.
    pub severity: Severity,
    /// Why it matters, on one line.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
    /// Upstream's source or documentation.
    pub link: &'static str,
    /// What it takes to find it.
    pub basis: Basis,
    /// Whether `--fix` has an edit for it.
    pub has_fix: bool,
}

/// What it takes to find a breach of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The manifests alone.
    Manifests,
    /// The manifests show that it can happen, a run whether it does.
    ManifestsAndRun,
    /// A run only: `lint` never reports it.
    Run,
}

impl Basis {
    /// The word for lists of rules.
    pub fn word(self) -> &'static str {
        match self {
            Basis::Manifests => "static",
            Basis::ManifestsAndRun => "static and simulation",
            Basis::Run => "simulation",
        }
    }
}

impl Rule {
    /// A rule that the manifests alone break.
    pub(super) const fn new(code: &'static str, name: &'static str, severity: Severity) -> Self {
        Rule { code, name, severity, why: "", fix: "", link: "", basis: Basis::Manifests, has_fix: false }
    }
    /// The same with its reason.
    pub(super) const fn why(self, why: &'static str) -> Self {
        Rule { why, ..self }
    }
    /// The same with what to do.
    pub(super) const fn fix(self, fix: &'static str) -> Self {
        Rule { fix, ..self }
    }
    /// The same with upstream's place.
    pub(super) const fn link(self, link: &'static str) -> Self {
        Rule { link, ..self }
    }
    /// The same, of another basis.
    pub(super) const fn basis(self, basis: Basis) -> Self {
        Rule { basis, ..self }
    }
    /// The same, as one that `--fix` mends.
    pub(super) const fn mended(self) -> Self {
        Rule { has_fix: true, ..self }
    }
}

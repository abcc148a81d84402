//! Keeps, while a run is resolved, where each value came from, what nobody gave, and the messages met on the way.

use crate::scenario::{Assumption, Origin};
use crate::units::{Diagnostic, Diagnostics, Located, Span};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// For `assumed: ...`.
    pub assumptions: Vec<Assumption>,
    /// For `scenario.yaml`.
    pub provenance: Vec<(String, String, Origin)>,
    /// Messages.
    pub diagnostics: Diagnostics,
}

impl Ledger {
    /// Notes a value with its origin.
    pub fn note(&mut self, path: &str, value: impl Into<String>, origin: Origin) {
        self.provenance.push((path.to_owned(), value.into(), origin));
    }

    /// Notes a value that the user wrote at `span`.
    pub fn given(&mut self, path: &str, value: impl Into<String>, span: &Span) {
        self.note(path, value, Origin::Given(span.clone()));
    }

    /// Notes a value that nobody gave, and says so to the user.
    pub fn assumed(&mut self, path: &str, value: impl Into<String>, why: impl Into<String>) {
        let value = value.into();
        self.note(path, value.clone(), Origin::Assumed);
        self.tell(path, value, why);
    }

    /// Tells the user of an assumption whose single values are noted elsewhere.
    pub fn tell(&mut self, path: &str, value: impl Into<String>, why: impl Into<String>) {
        self.assumptions.push(Assumption { path: path.to_owned(), value: value.into(), why: why.into() });
    }

    /// The first of `candidates` that is there, else `default`, noted under `path` with `origin`. Nothing is told.
    pub fn pick<T>(
        &mut self,
        path: &str,
        candidates: impl IntoIterator<Item = Option<Located<T>>>,
        default: (T, Origin),
        show: impl Fn(&T) -> String,
    ) -> T {
        match candidates.into_iter().flatten().next() {
            Some(found) => {
                self.given(path, show(&found.value), &found.span);
                found.value
            }
            None => {
                let (value, origin) = default;
                self.note(path, show(&value), origin);
                value
            }
        }
    }

    /// As [`Self::pick`], but a default is told to the user with its reason.
    pub fn pick_or_tell<T>(
        &mut self,
        path: &str,
        candidates: impl IntoIterator<Item = Option<Located<T>>>,
        default: T,
        why: &str,
        show: impl Fn(&T) -> String,
    ) -> T {
        match candidates.into_iter().flatten().next() {
            Some(found) => {
                self.given(path, show(&found.value), &found.span);
                found.value
            }
            None => {
                self.assumed(path, show(&default), why);
                default
            }
        }
    }

    /// Adds a message of any severity.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The value of `result`; its messages are kept.
    pub fn take<T>(&mut self, result: Result<T, Diagnostics>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(mut found) => {
                self.diagnostics.0.append(&mut found.0);
                None
            }
        }
    }

    /// The value of `result`; its messages are kept, warnings of success too.
    pub fn take_with<T>(&mut self, result: Result<(T, Diagnostics), Diagnostics>) -> Option<T> {
        let (value, mut found) = self.take(result)?;
        self.diagnostics.0.append(&mut found.0);
        Some(value)
    }
}

/// A place for what the command line says.
pub(super) fn flag(name: &str) -> Span {
    Span::new(name, 0, 0)
}

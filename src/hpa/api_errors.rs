//! The API server's messages about a field, in its own words.
//!
//! Source: apimachinery `pkg/util/validation/field/errors.go` (`Error.ErrorBody`). Knows no rule; `spec`, `behavior` and
//! `from_manifest` do.

use crate::units::{Diagnostic, Judge, Span};
use std::fmt::Display;

/// A field and where it stands.
pub(super) struct Field<'f> {
    path: &'f str,
    place: Option<Span>,
}

impl<'f> Field<'f> {
    /// The field at `path`, written at `place`.
    pub(super) fn at(path: &'f str, place: &Span) -> Self {
        Field { path, place: Some(place.clone()) }
    }

    /// A field that no file holds.
    pub(super) fn nowhere(path: &'f str) -> Self {
        Field { path, place: None }
    }

    fn error(self, message: String) -> Diagnostic {
        Diagnostic::error(self.place, self.path, message).by(Judge::HpaValidation)
    }
}

/// `field.Invalid`. A string goes in quotes, which is the caller's part.
pub(super) fn invalid(field: Field<'_>, value: impl Display, detail: impl Display) -> Diagnostic {
    field.error(format!("Invalid value: {value}: {detail}"))
}

/// `field.Required`.
pub(super) fn required(field: Field<'_>, detail: &str) -> Diagnostic {
    field.error(if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") })
}

/// `field.Forbidden`.
pub(super) fn forbidden(field: Field<'_>, detail: &str) -> Diagnostic {
    field.error(format!("Forbidden: {detail}"))
}

/// `field.NotSupported`; `supported` in alphabetical order, as upstream prints it.
pub(super) fn not_supported(field: Field<'_>, value: &str, supported: &[&str]) -> Diagnostic {
    let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
    field.error(format!("Unsupported value: {value:?}: supported values: {}", supported.join(", ")))
}

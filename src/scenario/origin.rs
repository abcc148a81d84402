//! Where a value came from.

use crate::units::Span;

/// Origin of a resolved value.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Written by the user.
    Given(Span),
    /// From the profile's numbers.
    Profile(String),
    /// From a named set of defaults that was chosen or assumed.
    Preset(&'static str),
    /// Nobody said: our default.
    Assumed,
}

/// A value nobody gave, printed once as `assumed: ...` and kept in `scenario.yaml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Assumption {
    /// Scenario path, e.g. `spec.prometheus.scrapeInterval`.
    pub path: String,
    /// The value as one would write it.
    pub value: String,
    /// Why this value (short).
    pub why: String,
}

//! What kind of answer a query gives, told without data.

use super::ast::Type;
use super::{ParseError, Semantics, parse};

/// The type of a query's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// A single number without labels: `1`, `time()`, `scalar(...)`.
    Scalar,
    /// Any number of series with one value each.
    InstantVector,
    /// Any number of series with values over time.
    RangeVector,
    /// A text.
    String,
}

impl ResultType {
    /// As Prometheus calls it.
    pub fn words(self) -> &'static str {
        match self {
            ResultType::Scalar => Type::Scalar.words(),
            ResultType::InstantVector => Type::Vector.words(),
            ResultType::RangeVector => Type::Matrix.words(),
            ResultType::String => Type::String.words(),
        }
    }
}

/// The result's type of `query`.
///
/// # Errors
/// As [`parse`].
pub(crate) fn type_of(query: &str, semantics: Semantics) -> Result<ResultType, ParseError> {
    Ok(match parse(query, semantics)?.root.value_type() {
        Type::Scalar => ResultType::Scalar,
        Type::Vector => ResultType::InstantVector,
        Type::Matrix => ResultType::RangeVector,
        Type::String => ResultType::String,
    })
}

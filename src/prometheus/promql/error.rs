//! What can be wrong with a query.

use thiserror::Error;

/// The query cannot be parsed, or uses something that is not supported (the message says which).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message} (at character {})", offset + 1)]
pub struct ParseError {
    /// Byte offset in the query text.
    pub offset: usize,
    /// What is wrong, found and expected.
    pub message: String,
}

/// The query cannot be evaluated on this data (Prometheus answers 422).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct EvalError(pub String);

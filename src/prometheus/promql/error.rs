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
    /// Whether it is this parser that cannot follow, where Prometheus itself may well accept the query.
    pub own_limit: bool,
}

impl ParseError {
    /// What Prometheus refuses too.
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        ParseError { offset, message: message.into(), own_limit: false }
    }
    /// The same as a limit of this parser's own.
    pub(crate) fn own_limit(mut self) -> Self {
        self.own_limit = true;
        self
    }
}

/// The query cannot be evaluated on this data (Prometheus answers 422).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct EvalError(pub String);

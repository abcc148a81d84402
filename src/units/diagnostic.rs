//! Messages about what a user wrote: each names the place, what was found, what was expected and what to do.

use crate::units::Span;
use std::fmt;

/// How bad a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Works, but probably not as meant.
    Warning,
    /// Cannot go on.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// Who upstream would say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Judge {
    /// The API server, by the CRD's schema, when the object is applied.
    ApiServer,
    /// KEDA's admission webhook.
    Webhook,
    /// KEDA's operator, when it builds a scaler.
    Operator,
    /// The API server, when KEDA creates the HPA.
    HpaValidation,
    /// Prometheus, at every query.
    Prometheus,
}

/// One message. `message` and `help` are lower-case fragments without a full stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The place, when there is one.
    pub span: Option<Span>,
    /// Field path such as `spec.triggers[0].metadata.threshold`; empty when it concerns no field.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Who upstream would say so; `None` when it is kedasim's own.
    pub judge: Option<Judge>,
}

impl Diagnostic {
    /// An error at `span` (if any).
    pub fn error(span: impl Into<Option<Span>>, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, path, message)
    }
    /// A warning at `span` (if any).
    pub fn warning(span: impl Into<Option<Span>>, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, path, message)
    }
    /// A note at `span` (if any).
    pub fn note(span: impl Into<Option<Span>>, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, span, path, message)
    }
    fn new(
        severity: Severity,
        span: impl Into<Option<Span>>,
        path: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Diagnostic { severity, span: span.into(), path: path.into(), message: message.into(), help: None, judge: None }
    }
    /// The same message with what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
    /// The same message, as one that `judge` upstream would give.
    #[must_use]
    pub fn by(mut self, judge: Judge) -> Self {
        self.judge = Some(judge);
        self
    }
}

impl fmt::Display for Diagnostic {
    /// `error: policy.yaml:14:20: spec.minReplicaCount: found ..., expected ...` and, on a second line, the help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if let Some(span) = &self.span {
            write!(f, "{span}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

/// Messages in the order found. As an error value it holds at least one of severity `Error`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// No messages yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }
    /// Names `judge` in the messages from position `from` on that name none.
    pub fn judged_by(&mut self, judge: Judge, from: usize) {
        for diagnostic in self.0.iter_mut().skip(from) {
            diagnostic.judge.get_or_insert(judge);
        }
    }
    /// Whether any is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
    /// `Ok(value)` when no message is an error, else all messages.
    pub fn into_result<T>(self, value: T) -> Result<(T, Diagnostics), Diagnostics> {
        if self.has_errors() { Err(self) } else { Ok((value, self)) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

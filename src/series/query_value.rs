//! What an instant query returns.

use crate::series::Labels;

/// The result of an instant query, by Prometheus' result types.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryValue {
    /// One value per label set; order as Prometheus returns it.
    Vector(Vec<(Labels, f64)>),
    /// A number without labels.
    Scalar(f64),
    /// A string literal.
    String(String),
    /// Samples (time in ms since the Unix epoch, value) per label set: the result of a bare range selector.
    Matrix(Vec<(Labels, Vec<(i64, f64)>)>),
}

//! What a target exposes: a fixed order of series, so that a scrape is one row of numbers.

use crate::series::Labels;

/// Prometheus' metric types, as far as they are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, from 0 at process start.
    Counter,
    /// Bucket, sum and count series of a histogram (each its own series, cumulative).
    Histogram,
}

/// One series of an exposition.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDef {
    /// Name (as `__name__`) and the labels that the target itself writes, `le` included; no target labels.
    pub labels: Labels,
    /// Its type.
    pub kind: MetricKind,
}

/// The layout of one kind of target: a scrape of it is a row with one value per entry, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition {
    /// The series in order.
    pub series: Vec<SeriesDef>,
}

impl Exposition {
    /// In a row: this scrape does not have the series (the bits are those of Prometheus' staleness marker).
    pub const ABSENT: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
}

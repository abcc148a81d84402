//! What the storage holds, for those who want all of it: the rows as they were stored.

use crate::series::{Exposition, Labels};
use crate::units::SimTime;
use std::sync::Arc;

/// Prometheus' staleness marker (model/value/value.go `StaleNaN`).
pub(crate) const STALE_BITS: u64 = Exposition::ABSENT.to_bits();
/// An empty cell; never leaves the room.
pub(super) const EMPTY_BITS: u64 = 0x7ff0_0000_0000_0003;

/// Whether a cell holds the staleness marker.
pub(crate) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
/// Whether a cell holds no number.
pub(super) fn is_marker(value: f64) -> bool {
    matches!(value.to_bits(), STALE_BITS | EMPTY_BITS)
}
/// The staleness marker.
pub(crate) fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

/// Samples that were stored together: those of one scrape, or one result of a rule.
#[derive(Clone, Debug)]
pub struct StoredRow {
    /// All series of the target.
    pub series: Arc<[Labels]>,
    /// Time stamp of all samples, ms since the Unix epoch.
    pub at_ms: i64,
    /// From when on queries see them.
    pub visible: SimTime,
    /// One cell per series.
    pub(super) cells: Vec<f64>,
}

impl StoredRow {
    /// The series that got a sample, with its value; staleness markers have the bits
    /// [`STALE_BITS`](crate::prometheus::PrometheusServer::STALE_BITS).
    pub fn samples(&self) -> impl Iterator<Item = (&Labels, f64)> {
        self.cells().map(|(column, value)| (&self.series[column], value))
    }

    /// As [`StoredRow::samples`], with each series' place in [`StoredRow::series`].
    pub fn cells(&self) -> impl Iterator<Item = (usize, f64)> {
        let cells = self.cells.iter().copied().enumerate();
        cells.filter(|(_, value)| value.to_bits() != EMPTY_BITS)
    }
}

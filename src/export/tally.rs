//! Which series there were, and what Prometheus' storage would not have taken.

use super::layouts::Layouts;
use crate::prometheus::{PrometheusServer, StoredRow};
use crate::series::Labels;
use rustc_hash::FxHashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// One sample of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Its column in the row.
    pub column: usize,
    /// The value or a staleness marker.
    pub value: f64,
}

impl Cell {
    /// Whether it is a staleness marker.
    pub fn is_marker(self) -> bool {
        self.value.to_bits() == PrometheusServer::STALE_BITS
    }
}

/// Counts samples and sorts out those that a series cannot take.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Number of each series, by the hash of its labels.
    numbers: FxHashMap<u64, u32>,
    /// Time stamp of each series' newest sample.
    newest: Vec<i64>,
    layouts: Layouts<u32>,
    /// Samples and markers passed on.
    pub samples: u64,
    /// Of these, markers.
    pub markers: u64,
    /// Samples at or before the newest of their series.
    pub dropped: u64,
    /// The earliest and the latest time stamp passed on.
    pub range: Option<(i64, i64)>,
}

impl Tally {
    /// How many different series there were.
    pub fn series(&self) -> usize {
        self.newest.len()
    }

    /// Leaves in `cells` the samples of `row` that storage takes. Two sources may write the same series, such as a signal
    /// that is called as a pod's: what is not later than its newest sample is dropped (tsdb/head_append.go `appendable`).
    pub fn take(&mut self, row: &StoredRow, cells: &mut Vec<Cell>) {
        cells.clear();
        let numbers = self.numbers_of(&row.series);
        for (column, value) in row.cells() {
            let newest = &mut self.newest[numbers[column] as usize];
            if row.at_ms <= *newest {
                self.dropped += 1;
                continue;
            }
            *newest = row.at_ms;
            cells.push(Cell { column, value });
        }
        if !cells.is_empty() {
            self.samples += cells.len() as u64;
            self.markers += cells.iter().filter(|cell| cell.is_marker()).count() as u64;
            let (first, last) = self.range.unwrap_or((row.at_ms, row.at_ms));
            self.range = Some((first.min(row.at_ms), last.max(row.at_ms)));
        }
    }

    fn numbers_of(&mut self, series: &Arc<[Labels]>) -> Arc<[u32]> {
        if let Some(numbers) = self.layouts.get(series) {
            return numbers;
        }
        let numbers = series.iter().map(|labels| self.number(labels)).collect();
        self.layouts.keep(series, numbers)
    }

    fn number(&mut self, labels: &Labels) -> u32 {
        let mut hasher = DefaultHasher::new();
        for pair in labels.iter() {
            pair.hash(&mut hasher);
        }
        let next = u32::try_from(self.newest.len()).expect("fewer than 2^32 series");
        let number = *self.numbers.entry(hasher.finish()).or_insert(next);
        if number == next {
            self.newest.push(i64::MIN);
        }
        number
    }
}

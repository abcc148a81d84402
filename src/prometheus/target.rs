//! One target's rows: time stamps shared by all its series, one cell per stored column.
//!
//! A cell is a number, a staleness marker, or empty (a series that the scrape before did not have either).

use super::scraped::ScrapeLoop;
use super::stored_rows::{EMPTY_BITS, is_marker};
use crate::series::Labels;
use crate::units::SimTime;
use std::sync::Arc;

/// When a row's samples were taken and when they can be seen.
#[derive(Clone, Copy, Debug)]
struct Row {
    ts: i64,
    visible: SimTime,
    /// Rows up to this one with a cell that is no number. Only differences between rows mean something.
    gaps: u32,
    /// Rows up to this one in which a column other than a gauge is lower than in the row before.
    falls: u32,
}

/// The ends of a window in which every series of a target has a sample in every row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges<'a> {
    /// Time stamp of the first row.
    pub first_ts: i64,
    /// Time stamp of the last row.
    pub last_ts: i64,
    /// Number of rows, two or more.
    pub rows: usize,
    /// Cells of the first row.
    pub first: &'a [f64],
    /// Cells of the last row.
    pub last: &'a [f64],
    /// Whether no column other than a gauge falls from one row to the next.
    pub rising: bool,
}

/// One target's rows.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    rows: Vec<Row>,
    /// Row-major, `width` cells per row.
    values: Vec<f64>,
    pub(super) width: usize,
    /// Rows before this one are out of retention; they are removed in batches.
    first: usize,
    /// `gaps` of the last row that was removed.
    dropped_gaps: u32,
    /// Which columns may fall at any time.
    pub(super) gauges: Vec<bool>,
    pub(super) scrapes: ScrapeLoop,
    /// (selector, column) that match, until the first scrape that has the series.
    pub(super) pending_matches: Vec<(usize, u32)>,
    /// The time stamp of the final markers, or of the last row where there will be none.
    pub(super) retired: Option<i64>,
    /// All columns' labels, when somebody wants the rows.
    pub(super) labels: Option<Arc<[Labels]>>,
}

impl Target {
    /// A target without columns.
    pub(super) fn blank() -> Self {
        Target {
            rows: Vec::new(),
            values: Vec::new(),
            width: 0,
            first: 0,
            dropped_gaps: 0,
            gauges: Vec::new(),
            scrapes: ScrapeLoop::default(),
            pending_matches: Vec::new(),
            retired: None,
            labels: None,
        }
    }
    /// Adds a column.
    pub(super) fn add_column(&mut self, is_gauge: bool) {
        self.gauges.push(is_gauge);
        self.width += 1;
    }
    /// Time stamp and cells of the newest row.
    pub(super) fn newest_row(&self) -> Option<(i64, &[f64])> {
        let last = self.rows.last()?;
        Some((last.ts, &self.values[self.values.len() - self.width..]))
    }
    /// Number of rows held.
    #[cfg(test)]
    pub(super) fn held_rows(&self) -> usize {
        self.rows.len()
    }
    fn rows(&self) -> &[Row] {
        &self.rows[self.first..]
    }
    /// Number of rows that can be seen at `now`.
    pub fn visible_rows(&self, now: SimTime) -> usize {
        let rows = self.rows();
        // Nearly always all of them, or all but one.
        rows.len() - rows.iter().rev().take_while(|row| row.visible > now).count()
    }
    /// Index after the last of the first `count` rows with a time stamp at or before `ts`.
    pub fn rows_until(&self, count: usize, ts: i64) -> usize {
        // Nearly always all of them.
        if count > 0 && self.rows()[count - 1].ts <= ts {
            return count;
        }
        self.rows()[..count].partition_point(|row| row.ts <= ts)
    }
    /// The newest sample of a column in the first `count` rows that is not before `oldest`.
    pub fn newest(&self, column: u32, count: usize, oldest: i64) -> Option<(i64, f64)> {
        for index in (0..count).rev() {
            let row = self.rows()[index];
            if row.ts < oldest {
                return None;
            }
            let value = self.cell(index, column);
            if value.to_bits() != EMPTY_BITS {
                return Some((row.ts, value));
            }
        }
        None
    }
    /// The samples of a column in rows `from..to`, without staleness markers, appended to `out`.
    pub fn samples(&self, column: u32, from: usize, to: usize, out: &mut Vec<(i64, f64)>) {
        if from >= to {
            return;
        }
        let cells = &self.values[(self.first + from) * self.width + column as usize..];
        for (row, value) in self.rows()[from..to].iter().zip(cells.iter().step_by(self.width)) {
            if !is_marker(*value) {
                out.push((row.ts, *value));
            }
        }
    }
    /// The ends of rows `from..to`; `None` when there are fewer than two, or one has a gap.
    pub fn edges(&self, from: usize, to: usize) -> Option<Edges<'_>> {
        if to < from + 2 {
            return None;
        }
        let (first, last) = (self.rows()[from], self.rows()[to - 1]);
        let before = if from > 0 || self.first > 0 { self.rows[self.first + from - 1].gaps } else { self.dropped_gaps };
        if last.gaps != before {
            return None;
        }
        let cells = |index: usize| &self.values[(self.first + index) * self.width..][..self.width];
        let (rows, rising) = (to - from, last.falls == first.falls);
        Some(Edges { first_ts: first.ts, last_ts: last.ts, rows, first: cells(from), last: cells(to - 1), rising })
    }
    /// Whether a column is a gauge's.
    pub fn is_gauge(&self, column: u32) -> bool {
        self.gauges[column as usize]
    }
    fn cell(&self, index: usize, column: u32) -> f64 {
        self.values[(self.first + index) * self.width + column as usize]
    }
    /// Adds a row unless its time stamp is at or before the newest one's (out of order, dropped as upstream does).
    pub(super) fn push(&mut self, ts: i64, visible: SimTime, cells: impl FnOnce(&mut Vec<f64>)) -> bool {
        if self.rows.last().is_some_and(|last| ts <= last.ts) {
            return false;
        }
        let before = self.values.len();
        cells(&mut self.values);
        assert_eq!(self.values.len(), before + self.width, "a row has one cell per column");
        let (old, new) = self.values.split_at(before);
        let gap = new.iter().any(|value| is_marker(*value));
        let mut row = Row { ts, visible, gaps: self.dropped_gaps.wrapping_add(u32::from(gap)), falls: 0 };
        if let Some(last) = self.rows.last() {
            let previous = &old[before - self.width..];
            let fell = new.iter().zip(previous).zip(&self.gauges).any(|((new, old), gauge)| new < old && !gauge);
            row.gaps = last.gaps.wrapping_add(u32::from(gap));
            row.falls = last.falls.wrapping_add(u32::from(fell));
        }
        self.rows.push(row);
        true
    }
    pub(super) fn forget_before(&mut self, ts: i64) {
        while self.first < self.rows.len() && self.rows[self.first].ts < ts {
            self.first += 1;
        }
        if self.first > 64 && self.first * 2 > self.rows.len() {
            self.dropped_gaps = self.rows[self.first - 1].gaps;
            self.values.drain(..self.first * self.width);
            self.rows.drain(..self.first);
            self.first = 0;
        }
    }
}

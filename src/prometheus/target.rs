//! One target's rows: time stamps shared by all its series, one cell per stored column.
//!
//! A cell is a number, a staleness marker, or empty (a series that the scrape before did not have either).

use super::scraped::ScrapeLoop;
use super::stored_rows::{EMPTY_BITS, is_marker};
use crate::series::Labels;
use crate::units::SimTime;
use std::sync::Arc;

/// Rows that a target has space for at first; the space doubles when it is full.
const SPACE: usize = 16;

/// When a row's samples were taken and when they can be seen.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    ts: i64,
    visible: SimTime,
    /// Rows up to this one that break with the row before: other columns have a number, or a column other than a gauge is
    /// lower. Only differences between rows mean something.
    breaks: u32,
    /// Whether every cell is a number.
    full: bool,
}

/// The ends of a window without a break: each column has a number in every row or in none, and only gauges fall.
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
    /// Whether every column has numbers.
    pub full: bool,
}

/// One target's rows, in time order: a ring of a power of two of slots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    slots: Vec<Row>,
    /// `width` cells per slot.
    values: Vec<f64>,
    width: usize,
    /// The oldest row's slot.
    head: usize,
    /// Number of rows.
    len: usize,
    /// Which columns may fall at any time.
    gauges: Vec<bool>,
}

/// One target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub rows: Rows,
    pub(super) scrapes: ScrapeLoop,
    /// (selector, column) that match, until the first scrape that has the series.
    pub(super) pending_matches: Vec<(usize, u32)>,
    /// The time stamp of the final markers, or of the last row where there will be none.
    pub(super) retired: Option<i64>,
    /// All columns' labels, when somebody wants the rows.
    pub(super) labels: Option<Arc<[Labels]>>,
}

impl Rows {
    /// Adds a column, before the first row.
    pub(super) fn add_column(&mut self, is_gauge: bool) {
        self.gauges.push(is_gauge);
        self.width += 1;
    }
    /// Number of columns.
    pub(super) fn width(&self) -> usize {
        self.width
    }
    /// Time stamp and cells of the newest row.
    pub(super) fn newest_row(&self) -> Option<(i64, &[f64])> {
        let last = self.len.checked_sub(1)?;
        Some((self.row(last).ts, self.cells(last)))
    }
    /// Number of rows held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.len
    }
    fn slot(&self, index: usize) -> usize {
        (self.head + index) & (self.slots.len() - 1)
    }
    fn row(&self, index: usize) -> &Row {
        &self.slots[self.slot(index)]
    }
    fn cells(&self, index: usize) -> &[f64] {
        &self.values[self.slot(index) * self.width..][..self.width]
    }
    /// Number of rows that can be seen at `now`.
    pub fn visible(&self, now: SimTime) -> usize {
        // Nearly always all of them, or all but one.
        self.len - (0..self.len).rev().take_while(|index| self.row(*index).visible > now).count()
    }
    /// Index after the last of the first `count` rows with a time stamp at or before `ts`. The guess may be any number, and
    /// costs nothing when it is right.
    pub fn until(&self, count: usize, ts: i64, guess: usize) -> usize {
        let is_after = |index: usize| index >= count || self.row(index).ts > ts;
        if guess <= count && is_after(guess) && (guess == 0 || !is_after(guess - 1)) {
            return guess;
        }
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_after(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
    /// The newest sample of a column in the first `count` rows that is not before `oldest`.
    pub fn newest(&self, column: u32, count: usize, oldest: i64) -> Option<(i64, f64)> {
        for index in (0..count).rev() {
            let ts = self.row(index).ts;
            if ts < oldest {
                return None;
            }
            let value = self.cells(index)[column as usize];
            if value.to_bits() != EMPTY_BITS {
                return Some((ts, value));
            }
        }
        None
    }
    /// The samples of a column in rows `from..to`, without staleness markers, appended to `out`.
    pub fn samples(&self, column: u32, from: usize, to: usize, out: &mut Vec<(i64, f64)>) {
        for index in from..to {
            let slot = self.slot(index);
            let value = self.values[slot * self.width + column as usize];
            if !is_marker(value) {
                out.push((self.slots[slot].ts, value));
            }
        }
    }
    /// The ends of rows `from..to`; `None` when there are fewer than two, or there is a break between them.
    pub fn edges(&self, from: usize, to: usize) -> Option<Edges<'_>> {
        if to < from + 2 {
            return None;
        }
        let (first, last) = (self.row(from), self.row(to - 1));
        let whole = first.breaks == last.breaks;
        whole.then(|| Edges {
            first_ts: first.ts,
            last_ts: last.ts,
            rows: to - from,
            first: self.cells(from),
            last: self.cells(to - 1),
            full: first.full,
        })
    }
    /// Adds a row unless its time stamp is at or before the newest one's (out of order, dropped as upstream does). All its
    /// cells must be written.
    pub(super) fn push(&mut self, ts: i64, visible: SimTime, write: impl FnOnce(&mut [f64])) -> bool {
        let last = self.len.checked_sub(1).map(|last| (self.slot(last), *self.row(last)));
        if last.is_some_and(|(_, last)| ts <= last.ts) {
            return false;
        }
        let Some((old_slot, last)) = last else { return self.push_first(ts, visible, write) };
        if self.len == self.slots.len() {
            self.grow();
            return self.push(ts, visible, write);
        }
        let slot = self.slot(self.len);
        let width = self.width;
        write(&mut self.values[slot * width..][..width]);
        let (old, new) = (&self.values[old_slot * width..][..width], &self.values[slot * width..][..width]);
        // Nearly always nothing falls and all are numbers, for which one comparison is enough.
        let rises = old.iter().zip(new).fold(true, |all, (old, new)| all & (new >= old));
        let breaks = !rises && is_break(old, new, &self.gauges);
        let full = rises || is_full(new);
        self.slots[slot] = Row { ts, visible, breaks: last.breaks.wrapping_add(u32::from(breaks)), full };
        self.len += 1;
        true
    }
    fn push_first(&mut self, ts: i64, visible: SimTime, write: impl FnOnce(&mut [f64])) -> bool {
        if self.slots.is_empty() {
            self.grow();
        }
        let (slot, width) = (self.head, self.width);
        let cells = &mut self.values[slot * width..][..width];
        write(cells);
        self.slots[slot] = Row { ts, visible, breaks: 0, full: is_full(cells) };
        self.len = 1;
        true
    }
    /// Doubles the space.
    fn grow(&mut self) {
        let slots = (0..self.len).map(|index| *self.row(index)).collect();
        let values = (0..self.len).flat_map(|index| self.cells(index)).copied().collect();
        let space = (self.slots.len() * 2).max(SPACE);
        (self.slots, self.values, self.head) = (slots, values, 0);
        self.slots.resize(space, Row::default());
        self.values.resize(space * self.width, 0.0);
    }
    pub(super) fn forget_before(&mut self, ts: i64) {
        while self.len > 0 && self.row(0).ts < ts {
            self.head = self.slot(1);
            self.len -= 1;
        }
    }
}

fn is_full(cells: &[f64]) -> bool {
    !cells.iter().any(|value| is_marker(*value))
}

/// See [`Row::breaks`].
fn is_break(old: &[f64], new: &[f64], gauges: &[bool]) -> bool {
    let breaks =
        |((old, new), gauge): ((&f64, &f64), &bool)| is_marker(*old) != is_marker(*new) || (new < old && !gauge);
    old.iter().zip(new).zip(gauges).any(breaks)
}

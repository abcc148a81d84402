//! Storage: per target a list of rows, one column per series that some query needs, plus `up`.
//!
//! A target's series share their time stamps, so a scrape is one row. A cell is a number, a staleness marker, or empty
//! (a scrape that failed after another failed one writes `up` alone). This module knows no query.

use super::promql::Selector;
use crate::series::{Exposition, Labels, MetricKind};
use crate::units::SimTime;
use std::collections::BTreeMap;

/// Prometheus' staleness marker (model/value/value.go `StaleNaN`).
pub(crate) const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;
/// An empty cell; never leaves this module.
const EMPTY_BITS: u64 = 0x7ff0_0000_0000_0003;

/// Whether a cell holds the staleness marker.
pub(crate) fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_BITS
}
/// Whether a cell holds no number.
fn is_marker(value: f64) -> bool {
    matches!(value.to_bits(), STALE_BITS | EMPTY_BITS)
}
/// The staleness marker.
pub(crate) fn stale_marker() -> f64 {
    f64::from_bits(STALE_BITS)
}

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

/// One series that a selector selects.
#[derive(Clone, Debug)]
pub(crate) struct SeriesRef {
    /// The target's number.
    pub target: u32,
    /// Its column there.
    pub column: u32,
    /// All labels.
    pub labels: Labels,
    /// All labels but the metric's name.
    pub nameless: Labels,
}

/// One target's rows.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    rows: Vec<Row>,
    /// Row-major, `width` cells per row.
    values: Vec<f64>,
    width: usize,
    /// Rows before this one are out of retention; they are removed in batches.
    first: usize,
    /// `gaps` of the last row that was removed.
    dropped_gaps: u32,
    /// The exposition's index of each column after `up`.
    exposed: Vec<u32>,
    /// Which columns may fall at any time.
    gauges: Vec<bool>,
    /// Whether the previous scrape had the exposed series.
    had_series: bool,
    /// Selectors that match an exposed series or `up`, until the first such scrape.
    pending_matches: Vec<usize>,
    pending_up_matches: Vec<usize>,
    /// The time stamp of the final markers.
    retired: Option<i64>,
}

impl Target {
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
    fn push(&mut self, ts: i64, visible: SimTime, cells: impl FnOnce(&mut Vec<f64>)) -> bool {
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
    fn forget_before(&mut self, ts: i64) {
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

/// All targets, and which of their series each selector selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tsdb {
    targets: BTreeMap<u32, Target>,
    next_target: u32,
    /// Per selector, in storage order.
    selected: Vec<Vec<SeriesRef>>,
    matched: Vec<bool>,
    /// Numbers of retired targets that are still stored.
    retired: Vec<u32>,
    /// Counts changes of the set of targets.
    epoch: u64,
    /// How far back queries look, ms.
    retention_ms: i64,
}

impl Tsdb {
    /// Makes room for a query's selectors; returns the first one's number.
    pub fn add_selectors(&mut self, count: usize, reach_ms: i64) -> usize {
        let first = self.selected.len();
        self.selected.resize(first + count, Vec::new());
        self.matched.resize(first + count, false);
        self.retention_ms = self.retention_ms.max(reach_ms);
        first
    }
    /// Whether any target was ever added.
    pub fn has_had_targets(&self) -> bool {
        self.next_target > 0
    }
    /// Changes whenever the set of targets does.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    /// The series a selector selects.
    pub fn selected(&self, selector: usize) -> &[SeriesRef] {
        &self.selected[selector]
    }
    /// Whether a selector ever matched a scraped series.
    pub fn matched(&self, selector: usize) -> bool {
        self.matched[selector]
    }
    /// A stored target.
    pub fn target(&self, number: u32) -> &Target {
        &self.targets[&number]
    }

    /// A scrape loop starts: columns for the series that some selector can select.
    pub fn add_target<'a>(
        &mut self,
        labels: &Labels,
        exposition: &Exposition,
        selectors: &(impl Iterator<Item = &'a Selector> + Clone),
    ) -> u32 {
        let mut target = self.blank_target();
        // A target without labels of its own stands for series that come from elsewhere: their scrape's health is nobody's.
        if !labels.is_empty() {
            let up = labels.with("__name__", "up");
            self.select(&up, 0, selectors.clone(), &mut target.pending_up_matches);
        }
        for (index, series) in exposition.series.iter().enumerate() {
            let name = series.labels.metric_name();
            // The name alone decides most series; only the rest get their full label set built.
            let may_match =
                |selector: &Selector| selector.matchers.iter().all(|m| m.name != "__name__" || m.matches_value(name));
            if !selectors.clone().any(may_match) {
                continue;
            }
            let full = with_target_labels(&series.labels, labels);
            let column = u32::try_from(target.exposed.len() + 1).expect("an exposition has fewer than 2^32 series");
            if self.select(&full, column, selectors.clone(), &mut target.pending_matches) {
                target.exposed.push(u32::try_from(index).expect("an exposition has fewer than 2^32 series"));
                target.gauges.push(series.kind == MetricKind::Gauge);
            }
        }
        target.width = target.exposed.len() + 1;
        self.insert(target)
    }

    /// Registers a single series with its samples (recorded data; no `up`). Values may be staleness markers.
    pub fn add_series<'a>(
        &mut self,
        labels: &Labels,
        samples: &[(i64, f64)],
        selectors: impl Iterator<Item = &'a Selector>,
    ) -> u32 {
        let mut target = self.blank_target();
        target.width = 1;
        let mut hits = Vec::new();
        self.select(labels, 0, selectors, &mut hits);
        for selector in hits {
            self.matched[selector] = true;
        }
        for (ts, value) in samples {
            target.push(*ts, SimTime::ZERO, |cells| cells.push(*value));
        }
        self.insert(target)
    }

    /// Adds a sample to a single series. False when it is out of order or another one has its time stamp; a repetition is
    /// accepted silently (tsdb/head_append.go `appendable`).
    pub fn append(&mut self, number: u32, ts: i64, visible: SimTime, value: f64) -> bool {
        let retention = self.retention_ms;
        let Some(target) = self.targets.get_mut(&number) else { return false };
        assert_eq!(target.width, 1, "samples are added one by one to single series only");
        let added = target.push(ts, visible, |cells| cells.push(value));
        target.forget_before(ts.saturating_sub(retention));
        let last = target.rows.len() - 1;
        added || (target.rows[last].ts == ts && target.values[last].to_bits() == value.to_bits())
    }
    /// Drops those of these series whose newest sample is at or before the time stamp beside it and out of every query's
    /// reach at `now_ms`, and returns them; what is still within reach stays in `ended`.
    pub fn drop_series(&mut self, ended: &mut Vec<(u32, i64)>, now_ms: i64) -> Vec<u32> {
        let horizon = now_ms.saturating_sub(self.retention_ms);
        let (old, young): (Vec<_>, Vec<_>) = ended.drain(..).partition(|(_, marker)| *marker < horizon);
        *ended = young;
        let newest = |number: &u32| self.targets.get(number)?.rows.last().map(|row| row.ts);
        let gone: Vec<u32> =
            old.into_iter().filter(|(number, at)| newest(number).is_some_and(|ts| ts <= *at)).map(|(n, _)| n).collect();
        self.remove(&gone);
        gone
    }

    fn blank_target(&self) -> Target {
        Target {
            rows: Vec::new(),
            values: Vec::new(),
            width: 1,
            first: 0,
            dropped_gaps: 0,
            // The first column: `up`, or a single series, of which the type is not known.
            gauges: vec![false],
            exposed: Vec::new(),
            had_series: false,
            pending_matches: Vec::new(),
            pending_up_matches: Vec::new(),
            retired: None,
        }
    }

    fn insert(&mut self, target: Target) -> u32 {
        let number = self.next_target;
        self.next_target += 1;
        self.epoch += 1;
        self.targets.insert(number, target);
        number
    }

    /// Adds a series of the next target to every selector that selects it.
    fn select<'a>(
        &mut self,
        labels: &Labels,
        column: u32,
        selectors: impl Iterator<Item = &'a Selector>,
        hits: &mut Vec<usize>,
    ) -> bool {
        let mut any = false;
        let mut nameless = None;
        for (number, selector) in selectors.enumerate() {
            if !selector.matchers.iter().all(|matcher| matcher.matches(labels)) {
                continue;
            }
            any = true;
            if !hits.contains(&number) {
                hits.push(number);
            }
            let nameless: &Labels = nameless.get_or_insert_with(|| labels.without_name());
            let (labels, nameless) = (labels.clone(), nameless.clone());
            self.selected[number].push(SeriesRef { target: self.next_target, column, labels, nameless });
        }
        any
    }

    /// One scrape: `None` is a failed one.
    pub fn commit(&mut self, number: u32, ts: i64, visible: SimTime, row: Option<&[f64]>) {
        let retention = self.retention_ms;
        let Some(target) = self.targets.get_mut(&number) else { return };
        assert!(target.retired.is_none(), "a retired target is not scraped");
        let had_series = target.had_series;
        let exposed = std::mem::take(&mut target.exposed);
        let added = target.push(ts, visible, |cells| match row {
            Some(row) => {
                cells.push(1.0);
                cells.extend(exposed.iter().map(|index| row[*index as usize]));
            }
            None => {
                cells.push(0.0);
                let rest = if had_series { STALE_BITS } else { EMPTY_BITS };
                cells.extend(exposed.iter().map(|_| f64::from_bits(rest)));
            }
        });
        target.exposed = exposed;
        if added {
            target.had_series = row.is_some();
            for selector in target.pending_up_matches.drain(..) {
                self.matched[selector] = true;
            }
            if row.is_some() {
                for selector in target.pending_matches.drain(..) {
                    self.matched[selector] = true;
                }
            }
        }
        target.forget_before(ts.saturating_sub(retention));
        self.drop_retired(ts);
    }

    /// The target's last markers. A marker at or before the last sample is dropped, as upstream does.
    pub fn retire(&mut self, number: u32, ts: i64, visible: SimTime) {
        let Some(target) = self.targets.get_mut(&number) else { return };
        let width = target.width;
        let had_series = target.had_series;
        let never_scraped = target.rows.is_empty();
        if !never_scraped {
            target.push(ts, visible, |cells| {
                cells.push(stale_marker());
                let rest = if had_series { STALE_BITS } else { EMPTY_BITS };
                cells.extend((1..width).map(|_| f64::from_bits(rest)));
            });
        }
        target.retired = Some(ts);
        self.retired.push(number);
    }

    /// Drops retired targets of which no query can see anything any more.
    fn drop_retired(&mut self, ts: i64) {
        let horizon = ts.saturating_sub(self.retention_ms);
        let targets = &mut self.targets;
        let gone: Vec<u32> = self
            .retired
            .iter()
            .copied()
            .filter(|number| targets[number].retired.is_some_and(|marker| marker < horizon))
            .collect();
        self.remove(&gone);
        self.retired.retain(|number| !gone.contains(number));
    }

    fn remove(&mut self, gone: &[u32]) {
        if gone.is_empty() {
            return;
        }
        for number in gone {
            self.targets.remove(number);
        }
        for series in &mut self.selected {
            series.retain(|series| !gone.contains(&series.target));
        }
        self.epoch += 1;
    }

    /// Number of stored rows.
    #[cfg(test)]
    pub fn stored_rows(&self) -> usize {
        self.targets.values().map(|target| target.rows.len()).sum()
    }
    /// Number of stored targets.
    #[cfg(test)]
    pub fn stored_targets(&self) -> usize {
        self.targets.len()
    }
}

/// Exposed labels plus target labels; an exposed label that clashes is renamed `exported_<name>`, again where that is
/// taken (scrape/scrape.go `resolveConflictingExposedLabels`, `honor_labels: false`).
fn with_target_labels(exposed: &Labels, target: &Labels) -> Labels {
    let mut pairs: BTreeMap<String, &str> = target.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let (clashing, free): (Vec<_>, Vec<_>) = exposed.iter().partition(|(name, _)| !target.get(name).is_empty());
    pairs.extend(free.into_iter().map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in clashing {
        let mut renamed = format!("exported_{name}");
        while pairs.contains_key(&renamed) {
            renamed = format!("exported_{renamed}");
        }
        pairs.insert(renamed, value);
    }
    Labels::from_pairs(pairs)
}

//! Storage: the targets with their rows, and which series each selector selects.
//!
//! A target's series share their time stamps, so a scrape is one row ([`Target`]); a series has a column when some query
//! needs it. This module knows no query.

use super::promql::Selector;
use super::relabel::{TargetRules, stored_labels};
use super::scraped::{Counting, Report};
use super::stored_rows::{StoredRow, is_marker};
use super::target::Target;
pub(crate) use super::target::{Edges, Rows};
use crate::series::{Exposition, Labels, MetricKind};
use crate::units::SimTime;
use rustc_hash::FxHashSet;
use std::ops::Range;

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

/// Those of a selector's series that belong to one target.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The target's number.
    pub target: u32,
    /// Positions among all series of the selector.
    pub series: Range<usize>,
    /// Their columns, when these follow each other.
    pub columns: Option<Range<usize>>,
    /// Whether none of them is a gauge.
    pub counters: bool,
}

/// What a selector selects, in storage order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selected {
    /// The series; a target's stand together.
    pub series: Vec<SeriesRef>,
    /// The targets that they belong to.
    pub runs: Vec<Run>,
}

impl Selected {
    fn push(&mut self, one: SeriesRef, is_gauge: bool) {
        let (position, column) = (self.series.len(), one.column as usize);
        match self.runs.last_mut() {
            Some(run) if run.target == one.target => {
                run.series.end += 1;
                run.columns = run.columns.take().filter(|columns| columns.end == column);
                if let Some(columns) = &mut run.columns {
                    columns.end += 1;
                }
                run.counters &= !is_gauge;
            }
            _ => self.runs.push(Run {
                target: one.target,
                series: position..position + 1,
                columns: Some(column..column + 1),
                counters: !is_gauge,
            }),
        }
        self.series.push(one);
    }

    fn remove(&mut self, targets: &[u32]) {
        self.series.retain(|one| !targets.contains(&one.target));
        self.runs.retain(|run| !targets.contains(&run.target));
        let mut position = 0;
        for run in &mut self.runs {
            let end = position + run.series.len();
            run.series = std::mem::replace(&mut position, end)..end;
        }
    }
}

/// All targets, and which of their series each selector selects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tsdb {
    /// By number; a pointer's space for those that are gone.
    targets: Vec<Option<Box<Target>>>,
    /// Per selector.
    selected: Vec<Selected>,
    matched: Vec<bool>,
    /// Numbers of retired targets that are still stored.
    retired: Vec<u32>,
    /// Counts changes of the set of targets.
    epoch: u64,
    /// How far back queries look, ms.
    retention_ms: i64,
    /// Rows that nobody has taken yet, when somebody takes them.
    kept_rows: Option<Vec<StoredRow>>,
}

impl Tsdb {
    /// Makes room for a query's selectors; returns the first one's number.
    pub fn add_selectors(&mut self, count: usize, reach_ms: i64) -> usize {
        let first = self.selected.len();
        self.selected.resize(first + count, Selected::default());
        self.matched.resize(first + count, false);
        self.retention_ms = self.retention_ms.max(reach_ms);
        first
    }
    /// Whether any target was ever added.
    pub fn has_had_targets(&self) -> bool {
        !self.targets.is_empty()
    }
    /// Changes whenever the set of targets does.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
    /// What a selector selects.
    pub fn selected(&self, selector: usize) -> &Selected {
        &self.selected[selector]
    }
    /// Whether a selector ever matched a scraped series.
    pub fn matched(&self, selector: usize) -> bool {
        self.matched[selector]
    }
    /// A stored target's rows.
    pub fn rows(&self, number: u32) -> &Rows {
        &self.targets[number as usize].as_ref().expect("a target is stored for as long as its series are selected").rows
    }

    /// From now on every series is stored, and every row is kept until it is taken.
    pub fn keep_rows(&mut self) {
        self.kept_rows = Some(Vec::new());
    }
    /// The rows stored since the last call.
    pub fn take_rows(&mut self) -> Vec<StoredRow> {
        self.kept_rows.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// A scrape loop starts: columns for the series that some selector can select.
    pub fn add_target<'a>(
        &mut self,
        labels: &Labels,
        exposition: &Exposition,
        rules: &TargetRules,
        selectors: &(impl Iterator<Item = &'a Selector> + Clone),
    ) -> u32 {
        let mut target = Target::default();
        let mut columns = Vec::new();
        // A target without labels of its own stands for series that come from elsewhere: their scrape's health is nobody's.
        let reports = if labels.is_empty() { &[][..] } else { &Report::ALL[..] };
        for (report, name) in reports {
            let own = labels.with("__name__", name);
            let selected = self.select(&own, &mut target, false, selectors.clone());
            if selected || self.kept_rows.is_some() {
                target.rows.add_column(false);
                target.scrapes.reports.push(*report);
                columns.push(own);
            }
        }
        self.add_exposed(&mut target, labels, (exposition, rules), selectors, &mut columns);
        if self.kept_rows.is_some() {
            target.labels = Some(columns.into());
        }
        self.insert(target)
    }

    /// Whether anything of an exposed series of this name may be stored: the name alone decides most series.
    pub fn may_store<'a>(
        &self,
        name: &str,
        rules: &TargetRules,
        mut selectors: impl Iterator<Item = &'a Selector>,
    ) -> bool {
        let may_match =
            |selector: &Selector| selector.matchers.iter().all(|m| m.name != "__name__" || m.matches_value(name));
        !rules.metric_relabel.is_empty() || self.kept_rows.is_some() || selectors.any(may_match)
    }

    fn add_exposed<'a>(
        &mut self,
        target: &mut Target,
        labels: &Labels,
        (exposition, rules): (&Exposition, &TargetRules),
        selectors: &(impl Iterator<Item = &'a Selector> + Clone),
        columns: &mut Vec<Labels>,
    ) {
        let counted = |report: &Report| matches!(report, Report::Samples | Report::Kept | Report::Added);
        let counts = rules.sample_limit.is_some() || target.scrapes.reports.iter().any(counted);
        let mut kept = Vec::new();
        let mut stored = FxHashSet::default();
        for (index, series) in exposition.series.iter().enumerate() {
            // Only the rest get their full label set built.
            if !counts && !self.may_store(series.labels.metric_name(), rules, selectors.clone()) {
                continue;
            }
            let full = stored_labels(&series.labels, labels, rules);
            kept.push(full.is_some());
            let Some(full) = full else { continue };
            // Of several samples for one series and time stamp the first stays (tsdb/head_append.go `appendable`).
            if !rules.metric_relabel.is_empty() && !stored.insert(full.clone()) {
                continue;
            }
            let is_gauge = series.kind == MetricKind::Gauge;
            if self.select(&full, target, is_gauge, selectors.clone()) || self.kept_rows.is_some() {
                target.rows.add_column(is_gauge);
                target.scrapes.add_exposed(index);
                columns.push(full);
            }
        }
        if counts {
            let cached = vec![false; kept.len()];
            target.scrapes.counting = Some(Counting { kept, cached, limit: rules.sample_limit });
        }
    }

    /// Registers a single series with its samples (recorded data; no `up`). Values may be staleness markers.
    pub fn add_series<'a>(
        &mut self,
        labels: &Labels,
        samples: &[(i64, f64)],
        selectors: impl Iterator<Item = &'a Selector>,
    ) -> u32 {
        let mut target = Target::default();
        // Its type is not known.
        self.select(labels, &mut target, false, selectors);
        for (selector, _) in target.pending_matches.drain(..) {
            self.matched[selector] = true;
        }
        target.rows.add_column(false);
        for (ts, value) in samples {
            target.rows.push(*ts, SimTime::ZERO, |cells| cells[0] = *value);
        }
        target.labels = self.kept_rows.is_some().then(|| [labels.clone()].into());
        self.insert(target)
    }

    /// Adds a sample to a single series. False when it is out of order or another one has its time stamp; a repetition is
    /// accepted silently (tsdb/head_append.go `appendable`).
    pub fn append(&mut self, number: u32, ts: i64, visible: SimTime, value: f64) -> bool {
        let retention = self.retention_ms;
        let Some(target) = stored(&mut self.targets, number) else { return false };
        assert_eq!(target.rows.width(), 1, "samples are added one by one to single series only");
        let added = target.rows.push(ts, visible, |cells| cells[0] = value);
        target.rows.forget_before(ts.saturating_sub(retention));
        if added {
            keep_row(&mut self.kept_rows, target, visible);
        }
        added || target.rows.newest_row().is_some_and(|(at, cells)| at == ts && cells[0].to_bits() == value.to_bits())
    }
    /// Drops those of these series whose newest sample is at or before the time stamp beside it and out of every query's
    /// reach at `now_ms`, and returns them; what is still within reach stays in `ended`.
    pub fn drop_series(&mut self, ended: &mut Vec<(u32, i64)>, now_ms: i64) -> Vec<u32> {
        let horizon = now_ms.saturating_sub(self.retention_ms);
        let (old, young): (Vec<_>, Vec<_>) = ended.drain(..).partition(|(_, marker)| *marker < horizon);
        *ended = young;
        let newest = |number: &u32| self.targets[*number as usize].as_ref()?.rows.newest_row().map(|(ts, _)| ts);
        let gone: Vec<u32> =
            old.into_iter().filter(|(number, at)| newest(number).is_some_and(|ts| ts <= *at)).map(|(n, _)| n).collect();
        self.remove(&gone);
        gone
    }

    fn insert(&mut self, target: Target) -> u32 {
        let number = self.next_number();
        self.epoch += 1;
        self.targets.push(Some(Box::new(target)));
        number
    }
    fn next_number(&self) -> u32 {
        u32::try_from(self.targets.len()).expect("fewer than 2^32 targets")
    }

    /// Adds a series of the next target, in its next column, to every selector that selects it.
    fn select<'a>(
        &mut self,
        labels: &Labels,
        target: &mut Target,
        is_gauge: bool,
        selectors: impl Iterator<Item = &'a Selector>,
    ) -> bool {
        let number_of_target = self.next_number();
        let column = u32::try_from(target.rows.width()).expect("a target has fewer than 2^32 series");
        let mut any = false;
        let mut nameless = None;
        for (number, selector) in selectors.enumerate() {
            if !selector.matchers.iter().all(|matcher| matcher.matches(labels)) {
                continue;
            }
            any = true;
            target.pending_matches.push((number, column));
            let nameless: &Labels = nameless.get_or_insert_with(|| labels.without_name());
            let (labels, nameless) = (labels.clone(), nameless.clone());
            self.selected[number].push(SeriesRef { target: number_of_target, column, labels, nameless }, is_gauge);
        }
        any
    }

    /// One scrape, which took `seconds`: `None` is a failed one.
    pub fn commit(&mut self, number: u32, ts: i64, (visible, seconds): (SimTime, f64), row: Option<&[f64]>) {
        let retention = self.retention_ms;
        let Some(target) = stored(&mut self.targets, number) else { return };
        assert!(target.retired.is_none(), "a retired target is not scraped");
        let scrapes = &mut target.scrapes;
        let added = target.rows.push(ts, visible, |cells| scrapes.write(row, seconds, cells));
        if added {
            let (_, cells) = target.rows.newest_row().expect("a row was just added");
            if !target.pending_matches.is_empty() {
                let has = |(_, column): &(usize, u32)| !is_marker(cells[*column as usize]);
                for (selector, _) in target.pending_matches.iter().filter(|own| has(own)) {
                    self.matched[*selector] = true;
                }
                let rest = target.pending_matches.iter().filter(|own| !has(own)).copied().collect();
                target.pending_matches = rest;
            }
            keep_row(&mut self.kept_rows, target, visible);
        }
        target.rows.forget_before(ts.saturating_sub(retention));
        if !self.retired.is_empty() {
            self.drop_retired(ts);
        }
    }

    /// The target's last markers. A marker at or before the last sample is dropped, as upstream does.
    pub fn retire(&mut self, number: u32, ts: i64, visible: SimTime) {
        let Some(target) = stored(&mut self.targets, number) else { return };
        if target.rows.newest_row().is_some() {
            let scrapes = &mut target.scrapes;
            if target.rows.push(ts, visible, |cells| scrapes.write_end(cells)) {
                keep_row(&mut self.kept_rows, target, visible);
            }
        }
        target.retired = Some(ts);
        self.retired.push(number);
    }

    /// The process restarts: no scrape loop knows any more what it had written.
    pub fn forget_scrapes(&mut self) {
        for target in self.targets.iter_mut().flatten() {
            target.scrapes.forget();
        }
    }

    /// The target is not scraped any more, and nobody writes its markers.
    pub fn abandon(&mut self, number: u32) {
        let Some(target) = stored(&mut self.targets, number) else { return };
        target.retired = Some(target.rows.newest_row().map_or(i64::MIN, |(ts, _)| ts));
        self.retired.push(number);
    }

    /// Drops retired targets of which no query can see anything any more.
    fn drop_retired(&mut self, ts: i64) {
        let horizon = ts.saturating_sub(self.retention_ms);
        let marker = |number: u32| self.targets[number as usize].as_ref().and_then(|target| target.retired);
        let is_gone = |number: &u32| marker(*number).is_some_and(|marker| marker < horizon);
        let gone: Vec<u32> = self.retired.iter().copied().filter(is_gone).collect();
        self.remove(&gone);
        self.retired.retain(|number| !gone.contains(number));
    }

    fn remove(&mut self, gone: &[u32]) {
        if gone.is_empty() {
            return;
        }
        for number in gone {
            self.targets[*number as usize] = None;
        }
        for selected in &mut self.selected {
            selected.remove(gone);
        }
        self.epoch += 1;
    }

    /// Number of stored rows.
    #[cfg(test)]
    pub fn stored_rows(&self) -> usize {
        self.targets.iter().flatten().map(|target| target.rows.held()).sum()
    }
    /// Number of stored targets.
    #[cfg(test)]
    pub fn stored_targets(&self) -> usize {
        self.targets.iter().flatten().count()
    }
}

/// A target that is still stored.
fn stored(targets: &mut [Option<Box<Target>>], number: u32) -> Option<&mut Target> {
    targets.get_mut(number as usize)?.as_deref_mut()
}

fn keep_row(kept: &mut Option<Vec<StoredRow>>, target: &Target, visible: SimTime) {
    let (Some(kept), Some(series), Some((at_ms, cells))) = (kept, &target.labels, target.rows.newest_row()) else {
        return;
    };
    kept.push(StoredRow { series: series.clone(), at_ms, visible, cells: cells.to_vec() });
}

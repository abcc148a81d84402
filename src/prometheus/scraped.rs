//! From one scrape to one row: the scrape's own series, and what the previous scrape had.
//!
//! Source: scrape/scrape.go `scrapeAndReport`, `append`, `updateStaleMarkers`, `report`.

use super::stored_rows::{EMPTY_BITS, is_stale, stale_marker};
use std::ops::Range;

/// A series that a scrape writes about itself, with the target's labels only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// 1 or 0.
    Up,
    /// `scrape_duration_seconds`.
    Duration,
    /// `scrape_samples_scraped`: exposed.
    Samples,
    /// `scrape_samples_post_metric_relabeling`: of these, kept.
    Kept,
    /// `scrape_series_added`: new since the last scrape that succeeded.
    Added,
}

impl Report {
    /// All of them.
    pub const ALL: [(Report, &'static str); 5] = [
        (Report::Up, "up"),
        (Report::Duration, "scrape_duration_seconds"),
        (Report::Samples, "scrape_samples_scraped"),
        (Report::Kept, "scrape_samples_post_metric_relabeling"),
        (Report::Added, "scrape_series_added"),
    ];
}

/// What has to be counted over all that is exposed, stored or not; only where somebody wants it.
#[derive(Clone, Debug)]
pub(super) struct Counting {
    /// Per exposed series: whether metric relabelling keeps it.
    pub kept: Vec<bool>,
    /// Per exposed series: whether the last scrape that succeeded had it.
    pub cached: Vec<bool>,
    /// `sample_limit`.
    pub limit: Option<u64>,
}

/// The counts of one scrape.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    samples: u64,
    kept: u64,
    added: u64,
}

impl Counting {
    fn count(&mut self, row: &[f64]) -> Counts {
        let mut counts = Counts::default();
        for ((value, kept), cached) in row.iter().zip(&self.kept).zip(&mut self.cached) {
            let exposed = !is_stale(*value);
            counts.samples += u64::from(exposed);
            counts.kept += u64::from(exposed && *kept);
            counts.added += u64::from(exposed && *kept && !*cached);
            *cached = exposed;
        }
        counts
    }
}

/// The state of one target's scrape loop.
#[derive(Clone, Debug, Default)]
pub(super) struct ScrapeLoop {
    /// The scrape's own series that are stored, in column order.
    pub reports: Vec<Report>,
    /// The exposition's indices of the columns after these.
    exposed: Vec<Range<usize>>,
    /// Which of these the previous scrape had.
    present: Vec<bool>,
    /// Whether it had all of them.
    complete: bool,
    /// See [`Counting`].
    pub counting: Option<Counting>,
}

impl ScrapeLoop {
    /// Adds a column: the series at an index of the exposition. Indices ascend.
    pub fn add_exposed(&mut self, index: usize) {
        match self.exposed.last_mut() {
            Some(last) if last.end == index => last.end += 1,
            _ => self.exposed.push(index..index + 1),
        }
        self.present.push(false);
    }

    /// Writes one scrape's cells; `None` is a failed one.
    pub fn write(&mut self, row: Option<&[f64]>, seconds: f64, cells: &mut [f64]) {
        let counts = match (&mut self.counting, row) {
            (Some(counting), Some(row)) => counting.count(row),
            _ => Counts::default(),
        };
        let limit = self.counting.as_ref().and_then(|counting| counting.limit);
        // One sample too many, and nothing of the scrape is kept.
        let row = row.filter(|_| limit.is_none_or(|limit| counts.kept <= limit));
        let (reports, exposed) = cells.split_at_mut(self.reports.len());
        for (cell, report) in reports.iter_mut().zip(&self.reports) {
            *cell = match report {
                Report::Up => f64::from(u8::from(row.is_some())),
                Report::Duration => seconds,
                Report::Samples => counts.samples as f64,
                Report::Kept => counts.kept as f64,
                Report::Added => counts.added as f64,
            };
        }
        match row {
            Some(row) => self.write_exposed(row, exposed),
            None => self.mark_exposed(exposed),
        }
    }

    fn write_exposed(&mut self, row: &[f64], cells: &mut [f64]) {
        let mut any_nan = false;
        let mut rest = &mut *cells;
        for range in &self.exposed {
            let (own, others) = std::mem::take(&mut rest).split_at_mut(range.len());
            for (cell, value) in own.iter_mut().zip(&row[range.clone()]) {
                *cell = *value;
                any_nan |= value.is_nan();
            }
            rest = others;
        }
        // Nearly always all series are there again. A marker is a NaN.
        if self.complete && !any_nan {
            return;
        }
        self.complete = true;
        for (value, present) in cells.iter_mut().zip(&mut self.present) {
            let had = std::mem::replace(present, !is_stale(*value));
            // A series that is missing is marked once.
            if is_stale(*value) && !had {
                *value = f64::from_bits(EMPTY_BITS);
            }
            self.complete &= *present;
        }
    }

    /// Writes the markers of the loop's end.
    pub fn write_end(&mut self, cells: &mut [f64]) {
        let (reports, exposed) = cells.split_at_mut(self.reports.len());
        reports.fill(stale_marker());
        self.mark_exposed(exposed);
    }

    /// Markers for what the previous scrape had.
    fn mark_exposed(&mut self, cells: &mut [f64]) {
        self.complete = false;
        for (cell, present) in cells.iter_mut().zip(&mut self.present) {
            let had = std::mem::take(present);
            *cell = if had { stale_marker() } else { f64::from_bits(EMPTY_BITS) };
        }
    }

    /// The process restarted: what earlier scrapes had is not known any more.
    pub fn forget(&mut self) {
        self.present.fill(false);
        self.complete = false;
        if let Some(counting) = &mut self.counting {
            counting.cached.fill(false);
        }
    }
}

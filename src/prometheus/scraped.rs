//! From one scrape to one row: the scrape's own series, and what the previous scrape had.
//!
//! Source: scrape/scrape.go `scrapeAndReport`, `append`, `updateStaleMarkers`, `report`.

use super::stored_rows::{EMPTY_BITS, is_stale, stale_marker};

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
    /// The exposition's index of each column after these.
    pub exposed: Vec<u32>,
    /// Which of these the previous scrape had.
    pub present: Vec<bool>,
    /// See [`Counting`].
    pub counting: Option<Counting>,
}

impl ScrapeLoop {
    /// Appends one scrape's cells; `None` is a failed one. Returns whether it succeeded.
    pub fn write(&mut self, row: Option<&[f64]>, seconds: f64, cells: &mut Vec<f64>) -> bool {
        let counts = match (&mut self.counting, row) {
            (Some(counting), Some(row)) => counting.count(row),
            _ => Counts::default(),
        };
        let limit = self.counting.as_ref().and_then(|counting| counting.limit);
        // One sample too many, and nothing of the scrape is kept.
        let row = row.filter(|_| limit.is_none_or(|limit| counts.kept <= limit));
        cells.extend(self.reports.iter().map(|report| match report {
            Report::Up => f64::from(u8::from(row.is_some())),
            Report::Duration => seconds,
            Report::Samples => counts.samples as f64,
            Report::Kept => counts.kept as f64,
            Report::Added => counts.added as f64,
        }));
        for (index, present) in self.exposed.iter().zip(&mut self.present) {
            let value = row.map_or_else(stale_marker, |row| row[*index as usize]);
            let had = std::mem::replace(present, !is_stale(value));
            // A series that is missing is marked once.
            cells.push(if is_stale(value) && !had { f64::from_bits(EMPTY_BITS) } else { value });
        }
        row.is_some()
    }

    /// Appends the markers of the loop's end.
    pub fn write_end(&mut self, cells: &mut Vec<f64>) {
        cells.extend(self.reports.iter().map(|_| stale_marker()));
        for present in &mut self.present {
            let had = std::mem::take(present);
            cells.push(if had { stale_marker() } else { f64::from_bits(EMPTY_BITS) });
        }
    }

    /// The process restarted: what earlier scrapes had is not known any more.
    pub fn forget(&mut self) {
        self.present.fill(false);
        if let Some(counting) = &mut self.counting {
            counting.cached.fill(false);
        }
    }
}

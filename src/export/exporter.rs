//! Rows of a run into the files that were asked for.

use super::open_metrics::OpenMetricsFile;
use super::remote_write::RemoteWriteFile;
use super::tally::{Cell, Tally};
use super::whole_file::WholeFile;
use crate::prometheus::StoredRow;
use crate::units::SimTime;
use std::io;
use std::path::Path;

/// Writes a run's samples; until [`Exporter::finish`] nothing stands in the files' places.
#[derive(Debug)]
pub struct Exporter {
    epoch_ms: i64,
    remote_write: Option<RemoteWriteFile>,
    open_metrics: Option<OpenMetricsFile>,
    tally: Tally,
    cells: Vec<Cell>,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Different series.
    pub series: usize,
    /// Samples, staleness markers included.
    pub samples: u64,
    /// Staleness markers; they are not in OpenMetrics text.
    pub markers: u64,
    /// Samples at or before the newest one of their series, which Prometheus refuses: in no file.
    pub dropped: u64,
    /// Earliest and latest time stamp, ms since the Unix epoch; `None` without samples.
    pub range_ms: Option<(i64, i64)>,
    /// Remote-write requests and bytes of their file.
    pub remote_write: Option<(u64, u64)>,
    /// Bytes of the OpenMetrics file.
    pub open_metrics: Option<u64>,
}

impl Exporter {
    /// Begins the files. `epoch_ms` is the run's start, ms since the Unix epoch.
    ///
    /// # Errors
    /// Something that is no regular file stands in a file's place, or what the file system refuses; with the file's name.
    pub fn create(epoch_ms: i64, remote_write: Option<&Path>, open_metrics: Option<&Path>) -> io::Result<Self> {
        let create = |path: &Path| WholeFile::create(path).map_err(|error| at(path, &error));
        let remote_write = remote_write.map(create).transpose()?.map(RemoteWriteFile::new);
        let open = |path: &Path| OpenMetricsFile::new(create(path)?, path).map_err(|error| at(path, &error));
        let open_metrics = open_metrics.map(open).transpose()?;
        Ok(Exporter { epoch_ms, remote_write, open_metrics, tally: Tally::default(), cells: Vec::new() })
    }

    /// Adds a row; rows come in order of visibility.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn add(&mut self, row: &StoredRow) -> io::Result<()> {
        self.tally.take(row, &mut self.cells);
        if self.cells.is_empty() {
            return Ok(());
        }
        if let Some(file) = &mut self.remote_write {
            file.add(row, &self.cells, self.epoch_ms.saturating_mul(1000).saturating_add(micros(row.visible)))?;
        }
        if let Some(file) = &mut self.open_metrics {
            file.add(row, &self.cells)?;
        }
        Ok(())
    }

    /// Puts the files in their places.
    ///
    /// # Errors
    /// What the file system refuses.
    pub fn finish(self) -> io::Result<Exported> {
        let remote_write = match self.remote_write {
            Some(file) => Some((file.requests, file.finish()?)),
            None => None,
        };
        Ok(Exported {
            series: self.tally.series(),
            samples: self.tally.samples,
            markers: self.tally.markers,
            dropped: self.tally.dropped,
            range_ms: self.tally.range,
            remote_write,
            open_metrics: self.open_metrics.map(OpenMetricsFile::finish).transpose()?,
        })
    }
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// To the nearest microsecond, as times in all files of a run are.
fn micros(at: SimTime) -> i64 {
    const PS_PER_MICRO: u64 = 1_000_000;
    i64::try_from(at.as_ps().saturating_add(PS_PER_MICRO / 2) / PS_PER_MICRO).expect("213 days of microseconds fit")
}

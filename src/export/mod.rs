//! What Prometheus stored in a run, as files for others: a replay by remote write, and OpenMetrics text.
//!
//! Both are written while the run goes on, so that a day of traffic needs no more memory than an hour.

mod exporter;
mod layouts;
mod open_metrics;
mod remote_write;
mod tally;
mod whole_file;

pub use exporter::{Exported, Exporter};
pub use remote_write::{Label, RemoteWriteRecord, Sample, TimeSeries, WriteRequest, read_record};

//! BurstGPT (Wang et al., KDD 2025), versions 1 to 3: `Timestamp` in seconds since a midnight, `Request tokens`,
//! `Response tokens`. Failed requests have 0 response tokens and are left out with a note.

use super::collector::Collector;
use super::csv_table::{Columns, CsvTable, parse_seconds};
use crate::traffic::{Trace, TraceError};

pub(super) fn read(table: CsvTable<'_>, collector: Collector) -> Result<Trace, TraceError> {
    let columns =
        Columns { format: "BurstGPT", time: "Timestamp", prompt: "Request tokens", output: "Response tokens" };
    table.read(&columns, collector, parse_seconds)
}

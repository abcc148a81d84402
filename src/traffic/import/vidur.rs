//! Vidur's replay traces and resampled ServeGen: `arrived_at` in seconds, `num_prefill_tokens`, `num_decode_tokens`.

use super::collector::Collector;
use super::csv_table::{Columns, CsvTable, parse_seconds};
use crate::traffic::{Trace, TraceError};

pub(super) fn read(table: CsvTable<'_>, collector: Collector) -> Result<Trace, TraceError> {
    let columns =
        Columns { format: "Vidur", time: "arrived_at", prompt: "num_prefill_tokens", output: "num_decode_tokens" };
    table.read(&columns, collector, parse_seconds)
}

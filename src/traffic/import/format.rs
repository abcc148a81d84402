//! Tells the formats apart by their first line.

use super::collector::Collector;
use super::csv_table::CsvTable;
use super::{azure, burstgpt, mooncake, vidur};
use crate::traffic::{Trace, TraceError};

const KNOWN: &str = "expected the header of an Azure (TIMESTAMP,ContextTokens,GeneratedTokens), Vidur or ServeGen \
    (arrived_at,num_prefill_tokens,num_decode_tokens) or BurstGPT (Timestamp,Model,Request tokens,Response tokens) \
    trace, or Mooncake JSON lines (timestamp, input_length, output_length)";

/// Reads a trace called `name` from the bytes of a file.
pub(crate) fn import(name: &str, bytes: &[u8]) -> Result<Trace, TraceError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let collector = Collector::new(name);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(collector.error(0, 0, format!("the file is empty; {KNOWN}")));
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'{') {
        return mooncake::read(bytes, collector);
    }
    let table = CsvTable::new(name, bytes)?;
    // Each format is known by the columns that no other has.
    if table.has("ContextTokens") || table.has("GeneratedTokens") {
        azure::read(table, collector)
    } else if table.has("num_prefill_tokens") || table.has("num_decode_tokens") {
        vidur::read(table, collector)
    } else if table.has("Request tokens") || table.has("Response tokens") {
        burstgpt::read(table, collector)
    } else {
        Err(collector.error(1, 0, format!("found the header {:?}, {KNOWN}", table.header_line())))
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;

//! Mooncake (Qin et al., FAST 2025): JSON lines of `timestamp` in whole milliseconds, `input_length`, `output_length` and
//! `hash_ids`. Other tools write look-alikes with seconds or sessions; an unknown field or a fractional time stamp is
//! an error, because guessing would change every arrival.

use super::collector::{Collector, Picoseconds};
use crate::traffic::{SharedText, Trace, TraceError};
use serde::Deserialize;

const PS_PER_MILLI: Picoseconds = 1_000_000_000;
/// An id stands for so many tokens of the prompt, the last one for what is left; equal ids imply equal text before them.
const TOKENS_PER_ID: u32 = 512;

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    timestamp: u64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

pub(super) fn read(bytes: &[u8], mut collector: Collector) -> Result<Trace, TraceError> {
    for (number, line) in (1u64..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let row: Line = serde_json::from_slice(line).map_err(|error| {
            // The library ends its message with a place of its own, which counts from this line.
            let text = error.to_string();
            let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
            let message = format!(
                "{what}; expected a Mooncake line such as {{\"timestamp\": 3000, \"input_length\": 600, \
                 \"output_length\": 90}} with whole milliseconds; traces that count seconds or hold sessions must be \
                 converted"
            );
            collector.error(number, error.column() as u64, message)
        })?;
        let at = Picoseconds::from(row.timestamp) * PS_PER_MILLI;
        let before = collector.kept();
        collector.push(at, row.input_length, row.output_length, (number, 0))?;
        if collector.kept() > before && !row.hash_ids.is_empty() {
            let (ids, tokens) = (row.hash_ids.into(), row.input_length);
            collector.text(SharedText { ids, tokens_per_id: TOKENS_PER_ID, tokens });
        }
    }
    collector.finish()
}

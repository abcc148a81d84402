//! Mooncake (Qin et al., FAST 2025): JSON lines of `timestamp` in whole milliseconds, `input_length`, `output_length` and
//! `hash_ids`. Other tools write look-alikes with seconds or sessions; an unknown field or a fractional time stamp is
//! an error, because guessing would change every arrival.

use super::collector::{Collector, Picoseconds};
use crate::traffic::{Trace, TraceError};
use serde::Deserialize;
use serde::de::IgnoredAny;

const PS_PER_MILLI: Picoseconds = 1_000_000_000;

/// One line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    timestamp: u64,
    input_length: u32,
    output_length: u32,
    hash_ids: Option<IgnoredAny>,
}

pub(super) fn read(bytes: &[u8], mut collector: Collector) -> Result<Trace, TraceError> {
    let mut hashes = false;
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
        hashes |= row.hash_ids.is_some();
        let at = Picoseconds::from(row.timestamp) * PS_PER_MILLI;
        collector.push(at, row.input_length, row.output_length, (number, 0))?;
    }
    if hashes {
        collector.note("hash_ids not used: shared prefixes are computed anew".to_owned());
    }
    collector.finish()
}

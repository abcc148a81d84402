//! Recorded traces: one importer per format, told apart by the header line.

use crate::traffic::SharedText;
use crate::traffic::import::import;
use crate::units::SimTime;
use std::fmt;
use std::io::Read;
use std::num::NonZero;
use std::path::Path;
use thiserror::Error;

/// The largest file read.
const MAX_BYTES: u64 = 1 << 30;

/// One recorded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRow {
    /// Since the first row of the trace that is kept.
    pub at: SimTime,
    /// Prompt tokens, at least 1.
    pub prompt_tokens: u32,
    /// Output tokens that the answer has of itself, at least 1.
    pub output_tokens: u32,
    /// The request's `max_tokens`; trace files tell none.
    pub max_tokens: Option<NonZero<u32>>,
}

impl TraceRow {
    /// The tokens of the answer, as far as the client lets it go.
    pub fn answer_tokens(&self) -> u32 {
        self.max_tokens.map_or(self.output_tokens, |most| most.get().min(self.output_tokens))
    }
}

/// A recorded trace, in time order, at least one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The file's name as given.
    pub name: String,
    /// The rows.
    pub rows: Vec<TraceRow>,
    /// The text of each row that it shares with others; empty when the trace tells of none.
    pub texts: Vec<Option<SharedText>>,
    /// What of the file was not used, such as failed requests; lower-case fragments for the user to see.
    pub notes: Vec<String>,
}

/// Why a trace cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{place}{message}", place = Place(*line, *column))]
pub struct TraceError {
    /// The file as given.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// Field number from 1 (in JSON lines: character); 0 when the whole line is meant.
    pub column: u64,
    /// What was found, expected, and what to do.
    pub message: String,
}

impl Trace {
    /// Reads `path`: Azure (`TIMESTAMP,ContextTokens,GeneratedTokens`), Vidur/ServeGen
    /// (`arrived_at,num_prefill_tokens,num_decode_tokens`), BurstGPT (`Timestamp,...,Request tokens,Response tokens`), or
    /// Mooncake JSONL (`timestamp` ms, `input_length`, `output_length`, `hash_ids` of 512 tokens each).
    ///
    /// # Errors
    /// Missing, empty or huge file, unknown header, a row that does not parse, rows that are not in order of time.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let file = path.display().to_string();
        let whole = |message: String| TraceError { file: file.clone(), line: 0, column: 0, message };
        let unreadable = |error: std::io::Error| whole(format!("the trace cannot be read: {error}"));
        let opened = std::fs::File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file at the limit from one beyond it.
        opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(whole(
                "found more than 1 GiB, expected a smaller trace; cut out the hours of interest".to_owned(),
            ));
        }
        Self::parse(&file, &bytes)
    }
    /// Reads a trace from the bytes of a file called `name`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, TraceError> {
        import(name, bytes)
    }
}

/// Line and field of an error, as far as they are known.
struct Place(u64, u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place(0, _) => f.write_str(" "),
            Place(line, 0) => write!(f, "{line}: "),
            Place(line, column) => write!(f, "{line}:{column}: "),
        }
    }
}

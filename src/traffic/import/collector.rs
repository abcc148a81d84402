//! Takes rows in file order and keeps the rules that hold for every format: time never falls, requests without tokens
//! are left out and counted, times count from the first row kept.

use crate::traffic::{SharedText, Trace, TraceError, TraceRow};
use crate::units::SimTime;

/// Picoseconds since whatever the format counts from; may lie before it.
pub(super) type Picoseconds = i128;

/// A trace under construction.
pub(super) struct Collector {
    name: String,
    rows: Vec<TraceRow>,
    /// As in [`Trace`], but may end before the rows do.
    texts: Vec<Option<SharedText>>,
    /// Time of the first row kept.
    origin: Option<Picoseconds>,
    /// Time of the last row seen, kept or not.
    latest: Option<Picoseconds>,
    without_output: u64,
    without_prompt: u64,
    notes: Vec<String>,
}

impl Collector {
    pub(super) fn new(name: &str) -> Self {
        Collector {
            name: name.to_owned(),
            rows: Vec::new(),
            texts: Vec::new(),
            origin: None,
            latest: None,
            without_output: 0,
            without_prompt: 0,
            notes: Vec::new(),
        }
    }
    /// An error at `line` and field `column` (0 when the whole is meant).
    pub(super) fn error(&self, line: u64, column: u64, message: impl Into<String>) -> TraceError {
        TraceError { file: self.name.clone(), line, column, message: message.into() }
    }
    /// Something the user should know about what was not used.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
    /// The text of the row that was kept last.
    pub(super) fn text(&mut self, text: SharedText) {
        self.texts.resize(self.rows.len() - 1, None);
        self.texts.push(Some(text));
    }
    /// Rows kept so far.
    pub(super) fn kept(&self) -> usize {
        self.rows.len()
    }
    /// One row, its time written in field `column` of `line`.
    pub(super) fn push(
        &mut self,
        at: Picoseconds,
        prompt_tokens: u32,
        output_tokens: u32,
        place: (u64, u64),
    ) -> Result<(), TraceError> {
        let (line, column) = place;
        if self.latest.is_some_and(|latest| at < latest) {
            let message = "found an arrival before that of the row above, expected rows in order of time; sort the file by \
                 its time stamps";
            return Err(self.error(line, column, message));
        }
        self.latest = Some(at);
        if output_tokens == 0 {
            self.without_output += 1;
        } else if prompt_tokens == 0 {
            self.without_prompt += 1;
        } else {
            let origin = *self.origin.get_or_insert(at);
            let since = u64::try_from(at - origin).map_err(|_| {
                self.error(
                    line,
                    column,
                    "found an arrival more than 213 days after the first, expected a shorter trace",
                )
            })?;
            self.rows.push(TraceRow { at: SimTime::from_ps(since), prompt_tokens, output_tokens, max_tokens: None });
        }
        Ok(())
    }
    /// The trace, or an error when no row can be sent.
    pub(super) fn finish(mut self) -> Result<Trace, TraceError> {
        let skipped = self.without_output + self.without_prompt;
        if self.rows.is_empty() {
            let message = if skipped == 0 {
                "found no rows below the header, expected at least one request".to_owned()
            } else {
                format!("none of the {skipped} rows has both prompt and output tokens, expected at least one that has")
            };
            return Err(self.error(0, 0, message));
        }
        let rows = |count: u64| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
        if self.without_output > 0 {
            self.notes.push(format!("{} with 0 output tokens (failed requests) left out", rows(self.without_output)));
        }
        if self.without_prompt > 0 {
            self.notes.push(format!("{} with 0 prompt tokens left out", rows(self.without_prompt)));
        }
        if !self.texts.is_empty() {
            self.texts.resize(self.rows.len(), None);
        }
        Ok(Trace { name: self.name, rows: self.rows, texts: self.texts, notes: self.notes })
    }
}

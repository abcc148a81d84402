//! A CSV file with a header, read field by field with the place of every mistake.

use super::collector::{Collector, Picoseconds};
use crate::traffic::{Trace, TraceError};
use crate::units::SimDuration;
use csv::{ByteRecord, ReaderBuilder};

const PS_PER_SECOND: Picoseconds = 1_000_000_000_000;

/// The columns a format needs.
pub(super) struct Columns {
    /// The format's name, for messages.
    pub(super) format: &'static str,
    /// Time of arrival.
    pub(super) time: &'static str,
    /// Prompt tokens.
    pub(super) prompt: &'static str,
    /// Output tokens.
    pub(super) output: &'static str,
}

/// A CSV file whose header is read.
pub(super) struct CsvTable<'file> {
    name: &'file str,
    bytes: &'file [u8],
    header: Vec<String>,
}

impl<'file> CsvTable<'file> {
    /// Reads the header.
    pub(super) fn new(name: &'file str, bytes: &'file [u8]) -> Result<Self, TraceError> {
        let mut table = CsvTable { name, bytes, header: Vec::new() };
        let mut record = ByteRecord::new();
        let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        reader.read_byte_record(&mut record).map_err(|error| table.error(0, 0, format!("not CSV: {error}")))?;
        let mut header = Vec::with_capacity(record.len());
        for (column, field) in (1u64..).zip(&record) {
            let text = std::str::from_utf8(field)
                .map_err(|_| table.error(1, column, "the header is not UTF-8 text, expected a CSV file"))?;
            header.push(text.trim().to_owned());
        }
        table.header = header;
        Ok(table)
    }
    /// Whether the header names `column`.
    pub(super) fn has(&self, column: &str) -> bool {
        self.header.iter().any(|name| name == column)
    }
    /// The header as written, cut to a readable length.
    pub(super) fn header_line(&self) -> String {
        let line = self.header.join(",");
        if line.chars().count() > 120 { line.chars().take(120).chain("...".chars()).collect() } else { line }
    }
    /// Reads all rows; `parse_time` turns a time field into picoseconds or says what it expected.
    pub(super) fn read(
        self,
        columns: &Columns,
        mut collector: Collector,
        parse_time: fn(&str) -> Result<Picoseconds, String>,
    ) -> Result<Trace, TraceError> {
        let time = self.column(columns, columns.time)?;
        let prompt = self.column(columns, columns.prompt)?;
        let output = self.column(columns, columns.output)?;
        let unused: Vec<&str> = (0..self.header.len())
            .filter(|index| ![time, prompt, output].contains(index))
            .map(|index| self.header[index].as_str())
            .collect();
        if !unused.is_empty() {
            collector.note(format!("columns not used: {}", unused.join(", ")));
        }
        let mut reader = ReaderBuilder::new().has_headers(true).flexible(true).from_reader(self.bytes);
        let mut record = ByteRecord::new();
        loop {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => return collector.finish(),
                Err(error) => return Err(self.error(0, 0, format!("not CSV: {error}"))),
            }
            let start = record.position().map_or(0, csv::Position::byte);
            // The line is counted only for a mistake, or counting would cost more than reading.
            let located = |column: usize, message: String| {
                let column = if record.len() == self.header.len() { column as u64 + 1 } else { 0 };
                self.error(self.line_at(start), column, message)
            };
            if record.len() != self.header.len() {
                let (found, expected) = (record.len(), self.header.len());
                return Err(located(0, format!("found {found} fields, expected {expected} as in the header")));
            }
            let field = |column: usize| {
                let text = std::str::from_utf8(&record[column]).map(str::trim);
                text.map_err(|_| located(column, "found bytes that are not UTF-8 text".to_owned()))
            };
            let at =
                parse_time(field(time)?).map_err(|wrong| located(time, format!("{}: {wrong}", self.header[time])))?;
            let tokens = |column: usize| {
                parse_tokens(field(column)?)
                    .map_err(|wrong| located(column, format!("{}: {wrong}", self.header[column])))
            };
            let (prompt_tokens, output_tokens) = (tokens(prompt)?, tokens(output)?);
            collector.push(at, prompt_tokens, output_tokens, (0, time as u64 + 1)).map_err(|mut error| {
                error.line = self.line_at(start);
                error
            })?;
        }
    }
    fn column(&self, columns: &Columns, name: &str) -> Result<usize, TraceError> {
        let mut places = (0..self.header.len()).filter(|index| self.header[*index] == name);
        let first = places.next().ok_or_else(|| {
            let (format, header) = (columns.format, self.header_line());
            self.error(
                1,
                0,
                format!("found the header {header:?} of a {format} trace without {name:?}; add that column"),
            )
        })?;
        match places.next() {
            None => Ok(first),
            Some(second) => Err(self.error(1, second as u64 + 1, format!("found the column {name:?} twice"))),
        }
    }
    fn error(&self, line: u64, column: u64, message: impl Into<String>) -> TraceError {
        TraceError { file: self.name.to_owned(), line, column, message: message.into() }
    }
    /// The line of the record read from byte `start`. The reader's own count stands before the line breaks and blank
    /// lines that it skips.
    fn line_at(&self, start: u64) -> u64 {
        let start = usize::try_from(start).unwrap_or(self.bytes.len()).min(self.bytes.len());
        let blank = self.bytes[start..].iter().take_while(|byte| matches!(**byte, b'\n' | b'\r')).count();
        self.bytes[..start + blank].iter().filter(|byte| **byte == b'\n').count() as u64 + 1
    }
}

/// A whole number of tokens.
pub(super) fn parse_tokens(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("found {text:?}, expected a whole number of tokens"))
}

/// Decimal seconds, exactly: `12`, `6.011`, also `1e-05` as spreadsheets and pandas write it.
pub(super) fn parse_seconds(text: &str) -> Result<Picoseconds, String> {
    let wrong = || format!("found {text:?}, expected seconds such as 12 or 6.011");
    if text.contains(['e', 'E']) {
        let seconds: f64 = text.parse().map_err(|_| wrong())?;
        let valid = seconds.is_finite() && seconds >= 0.0;
        let ps = SimDuration::from_secs_f64(seconds).as_ps();
        return if valid && ps < u64::MAX { Ok(ps.into()) } else { Err(wrong()) };
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = parse_digits(whole).ok_or_else(wrong)?;
    let ps = whole * PS_PER_SECOND + parse_fraction(fraction).ok_or_else(wrong)?;
    Ok(if negative { -ps } else { ps })
}

/// Digits only, at least one and few enough for any time.
pub(super) fn parse_digits(digits: &str) -> Option<Picoseconds> {
    let valid = !digits.is_empty() && digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if valid { digits.parse().ok() } else { None }
}

/// The digits after a decimal point of seconds, in picoseconds; digits finer than that are cut.
pub(super) fn parse_fraction(digits: &str) -> Option<Picoseconds> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let cut = &digits[..digits.len().min(12)];
    format!("{cut:0<12}").parse().ok()
}

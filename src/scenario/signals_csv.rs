//! A CSV file of times and values to the points of a signal. Every mistake has its file, line and field.

use crate::manifest::nearest;
use crate::scenario::signals_written::{CsvWritten, VALUE_MAX};
use crate::series::SignalPoints;
use crate::units::{Diagnostic, Diagnostics, SimDuration, SimTime, Span, parse_go_duration};
use csv::{ByteRecord, ReaderBuilder};
use std::io::Read;
use std::path::Path;

/// Largest file read: some 10 million rows.
const MAX_BYTES: u64 = 256 << 20;
/// Most rows: two months at one a second.
const MAX_ROWS: usize = 5_000_000;
/// Mistakes told of one file; the others are probably the same.
const MAX_MISTAKES: usize = 5;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a file's bytes.
///
/// # Errors
/// Missing, unreadable or too large, as a message about the whole file.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let whole = |message: String| Diagnostic::error(Span::new(path.display().to_string(), 0, 0), "", message);
    let unreadable = |cause: std::io::Error| match cause.kind() {
        std::io::ErrorKind::NotFound => whole("there is no such file".to_owned()),
        _ => whole(format!("can't read this file: {cause}")),
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one beyond it.
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(whole(
            "found more than 256 MiB, expected a smaller file; cut out the hours of interest".to_owned(),
        ));
    }
    Ok(bytes)
}

/// The points in `bytes`, the content of the file `name`; `is_rate` when no value may be negative. `path` is the field
/// that names the file.
///
/// # Errors
/// The first mistakes, each with its place.
pub(super) fn read_points(
    (name, bytes): (&str, &[u8]),
    written: &CsvWritten,
    is_rate: bool,
    path: &str,
) -> Result<SignalPoints, Diagnostics> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut table = Table { name, bytes, path, header: Vec::new(), mistakes: Diagnostics::new() };
    let points = table.points(written, is_rate);
    match points {
        Some(points) if !table.mistakes.has_errors() => Ok(points.into()),
        _ => Err(table.mistakes),
    }
}

/// One file while it is read.
struct Table<'file> {
    name: &'file str,
    bytes: &'file [u8],
    path: &'file str,
    header: Vec<String>,
    mistakes: Diagnostics,
}

impl Table<'_> {
    fn points(&mut self, written: &CsvWritten, is_rate: bool) -> Option<Vec<(SimTime, Option<f64>)>> {
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(1 << 16).from_reader(self.bytes);
        let mut record = ByteRecord::new();
        if !matches!(reader.read_byte_record(&mut record), Ok(true)) {
            self.mistake(1, 1, "found an empty file, expected CSV with a header line".to_owned());
            return None;
        }
        self.header = record.iter().map(|field| String::from_utf8_lossy(field).trim().to_owned()).collect();
        let time_name = written.time.as_ref().map_or("t", |own| own.value.as_str());
        let value_name = written.column.as_ref().map_or("value", |own| own.value.as_str());
        let (time, value) = self.columns(time_name, value_name)?;
        let mut points: Vec<(SimTime, Option<f64>)> = Vec::with_capacity((self.bytes.len() / 12).min(MAX_ROWS));
        let mut has_value = false;
        while self.mistakes.0.len() < MAX_MISTAKES {
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.mistake(1, 1, format!("not CSV: {error}"));
                    return None;
                }
            }
            let start = record.position().map_or(0, csv::Position::byte);
            let last = points.last().map(|(at, _)| *at);
            match self.row(&record, (time, value), last, is_rate) {
                Ok(point) => {
                    has_value |= point.1.is_some();
                    points.push(point);
                }
                Err((field, message)) => {
                    let line = self.line_at(start);
                    self.mistake(line, field, message);
                }
            }
            if points.len() > MAX_ROWS {
                self.mistake(1, 1, format!("found more than {MAX_ROWS} rows, expected fewer; take a longer step"));
                return None;
            }
        }
        if !has_value && !self.mistakes.has_errors() {
            self.mistake(1, value + 1, format!("found no value in the column {value_name:?}, expected at least one"));
        }
        Some(points)
    }

    /// One row's point, or the field (from 1) and what is wrong with it.
    fn row(
        &self,
        record: &ByteRecord,
        (time, value): (usize, usize),
        last: Option<SimTime>,
        is_rate: bool,
    ) -> Result<(SimTime, Option<f64>), (usize, String)> {
        if record.len() != self.header.len() {
            let (found, expected) = (record.len(), self.header.len());
            return Err((1, format!("found {found} fields, expected {expected} as in the header")));
        }
        let text = |column: usize| {
            let text = std::str::from_utf8(&record[column]).map(str::trim);
            text.map_err(|_| (column + 1, "found bytes that are not UTF-8 text".to_owned()))
        };
        let named = |column: usize, message: String| (column + 1, format!("{}: {message}", self.header[column]));
        let at = parse_time(text(time)?).map_err(|message| named(time, message))?;
        if let Some(last) = last.filter(|last| at <= *last) {
            let message = format!("found {:?}, expected a time after that of the row before ({last})", text(time)?);
            return Err(named(time, message));
        }
        let value_text = text(value)?;
        if value_text.is_empty() {
            return Ok((at, None));
        }
        let wrong = |expected: &str| named(value, format!("found {value_text:?}, expected {expected}"));
        match value_text.parse::<f64>() {
            Ok(number) if !number.is_finite() => {
                Err(wrong("a finite number; leave the field empty where there is no answer"))
            }
            Ok(number) if number.abs() > VALUE_MAX => Err(wrong("a number from -1e100 to 1e100")),
            Ok(number) if is_rate && number < 0.0 => Err(wrong("a rate of at least 0: a counter never falls")),
            Ok(number) => Ok((at, Some(number))),
            Err(_) => Err(wrong("a number, or nothing where there is no answer")),
        }
    }

    /// The indices of the columns with times and values, each called by its name just once.
    fn columns(&mut self, time: &str, value: &str) -> Option<(usize, usize)> {
        let mut places = Vec::with_capacity(2);
        let mut missing = Vec::new();
        for (name, key) in [(time, "time"), (value, "column")] {
            let mut own = (0..self.header.len()).filter(|index| self.header[*index] == name);
            match (own.next(), own.next()) {
                (Some(place), None) => places.push(place),
                (_, Some(second)) => {
                    self.mistake(1, second + 1, format!("found the column {name:?} twice, expected it once"));
                    return None;
                }
                (None, None) => missing.push((name, key)),
            }
        }
        if missing.is_empty() && time == value {
            self.mistake(1, places[0] + 1, format!("found {time:?} for times and values, expected two columns"));
        } else if !missing.is_empty() {
            let shown: String = self.header.join(",").chars().take(120).collect();
            let names: Vec<String> = missing.iter().map(|(name, _)| format!("{name:?}")).collect();
            let message = format!("found the header {shown:?} without the column {}", names.join(" and "));
            let help = if shown.contains([';', '\t']) {
                "separate the fields by commas".to_owned()
            } else {
                let (name, key) = missing[0];
                let guess = nearest(name, self.header.iter().map(String::as_str));
                let guess = guess.filter(|guess| !guess.is_empty() && *guess != time && *guess != value);
                format!("write csv: {{file: ..., {key}: {}}} to name another column", guess.unwrap_or("..."))
            };
            let span = Span::new(self.name, 1, 1);
            self.mistakes.push(Diagnostic::error(span, self.path, message).help(help));
        }
        let [time, value] = places.as_slice() else { return None };
        (time != value).then_some((*time, *value))
    }

    /// A mistake at a line and field (from 1).
    fn mistake(&mut self, line: usize, field: usize, message: String) {
        let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let span = Span::new(self.name, number(line), number(field));
        self.mistakes.push(Diagnostic::error(span, self.path, message));
    }

    /// The line of the record read from byte `start`: the reader's position stands before the line breaks and blank lines
    /// that it skips. Counted only for a mistake, or counting would cost more than reading.
    fn line_at(&self, start: u64) -> usize {
        let start = usize::try_from(start).unwrap_or(self.bytes.len()).min(self.bytes.len());
        let blank = self.bytes[start..].iter().take_while(|byte| matches!(**byte, b'\n' | b'\r')).count();
        self.bytes[..start + blank].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Seconds since the run's start (`12`, `6.011`, `1e-05`) or a Go duration (`1m30s`), exactly.
fn parse_time(text: &str) -> Result<SimTime, String> {
    let expected = "seconds since the run's start such as 12.5, or a duration such as 1m30s";
    let wrong = || format!("found {text:?}, expected {expected}");
    let too_late = || format!("found {text:?}, expected {expected}, below 213 days");
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if digits {
        let whole = text.split('.').next().unwrap_or_default();
        let duration = parse_go_duration(&format!("{text}s"));
        return duration
            .map(|offset| SimTime::ZERO + offset)
            .map_err(|_| if whole.len() > 7 { too_late() } else { wrong() });
    }
    if let Ok(seconds) = text.parse::<f64>() {
        let offset = SimDuration::from_secs_f64(seconds);
        return match seconds {
            seconds if !seconds.is_finite() || seconds < 0.0 => Err(wrong()),
            _ if offset == SimDuration::MAX => Err(too_late()),
            _ => Ok(SimTime::ZERO + offset),
        };
    }
    match parse_go_duration(text) {
        Ok(offset) => Ok(SimTime::ZERO + offset),
        Err(_) => Err(wrong()),
    }
}

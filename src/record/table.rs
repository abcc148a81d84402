//! `timeline.csv`: one row per sample, for spreadsheets and data frames; no comment lines, an empty cell is "no value".

use crate::record::{RunRecord, Timeline, TimelineRow};
use crate::units::{SimDuration, SimTime};
use std::io::{self, Write};

const BEFORE_TRIGGERS: [&str; 5] = ["t", "offered_rps", "spec_replicas", "status_replicas", "ready_replicas"];
const AFTER_TRIGGERS: [&str; 4] = ["running", "waiting", "kv_usage", "ttft_p95_s"];

/// Writes `timeline.csv` of a run. Columns: `t`, `offered_rps`, `spec_replicas`, `status_replicas`, `ready_replicas`, per trigger
/// `<trigger>_value` and `<trigger>_threshold`, `running`, `waiting`, `kv_usage`, `ttft_p95_s`.
///
/// # Errors
/// Those of `out`.
pub fn write_timeline(record: &RunRecord, mut out: impl Write) -> io::Result<()> {
    let triggers = &record.info.triggers;
    let trigger_columns =
        triggers.iter().flat_map(|trigger| [format!("{}_value", trigger.name), format!("{}_threshold", trigger.name)]);
    let header = BEFORE_TRIGGERS.map(str::to_owned).into_iter().chain(trigger_columns);
    let header: Vec<String> = header.chain(AFTER_TRIGGERS.map(str::to_owned)).collect();
    let mut writer = csv::Writer::from_writer(&mut out);
    writer.write_record(&header)?;
    writer.flush()?;
    drop(writer);
    let mut cells = Cells { texts: vec![Cell::default(); header.len()], next: 0, line: Vec::new() };
    for row in &record.timeline.rows {
        assert_eq!(row.triggers.len(), triggers.len(), "a timeline row has one pair per trigger");
        out.write_all(cells.line(row))?;
    }
    out.flush()
}

/// As [`write_timeline`], to a text.
pub fn timeline_to_csv(record: &RunRecord) -> String {
    let mut out = Vec::new();
    write_timeline(record, &mut out).expect("writing to memory does not fail");
    String::from_utf8(out).expect("cells are UTF-8")
}

/// The texts of a row. A cell whose number is the one above it keeps its text: most columns change seldom, and a float's
/// shortest text costs more than the rest of its row.
struct Cells {
    texts: Vec<Cell>,
    next: usize,
    line: Vec<u8>,
}

#[derive(Clone, Default)]
struct Cell {
    /// Which number `text` is of; the empty cell has none.
    bits: Option<u64>,
    text: Vec<u8>,
}

impl Cells {
    /// The row's line with its end. Numbers hold nothing that a table would have to quote.
    fn line(&mut self, row: &TimelineRow) -> &[u8] {
        self.fill(row);
        self.line.clear();
        for cell in &self.texts {
            self.line.extend_from_slice(&cell.text);
            self.line.push(b',');
        }
        *self.line.last_mut().expect("a row has cells") = b'\n';
        &self.line
    }

    fn fill(&mut self, row: &TimelineRow) {
        self.next = 0;
        // Nearly always whole, and then its text is that of the integer.
        if row.t.floor_to_second() == row.t {
            self.count(row.t.as_secs_floor());
        } else {
            self.number(Some(row.t.as_secs_f64()));
        }
        self.number(Some(row.offered_rps));
        for count in [row.spec_replicas, row.status_replicas, row.ready_replicas] {
            self.number(Some(f64::from(count)));
        }
        for (value, threshold) in row.triggers.iter() {
            self.number(*value);
            self.number(Some(*threshold));
        }
        self.count(row.running);
        self.count(row.waiting);
        self.number(Some(row.kv_usage));
        self.number(row.ttft_p95);
        assert_eq!(self.next, self.texts.len(), "a row has a cell per column");
    }

    /// Shortest text that reads back as the same number; `NaN`, `inf` and `-inf` as such.
    fn number(&mut self, value: Option<f64>) {
        self.put(value.map(f64::to_bits), |text| value.map_or(Ok(()), |value| write_shortest(text, value)));
    }

    fn count(&mut self, count: u64) {
        self.put(Some(count), |text| text.write_all(itoa::Buffer::new().format(count).as_bytes()));
    }

    fn put(&mut self, bits: Option<u64>, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) {
        let cell = &mut self.texts[self.next];
        self.next += 1;
        if cell.bits != bits {
            cell.bits = bits;
            cell.text.clear();
            write(&mut cell.text).expect("writing to memory does not fail");
        }
    }
}

/// As `{}` writes it, at half its cost: with the digits of serde_json, which are the same unless a number lies just between two
/// shortest texts. It has at most 18 decimal digits then, hence at most 25 binary places.
fn write_shortest(text: &mut Vec<u8>, value: f64) -> io::Result<()> {
    const PLACES: f64 = (1_u64 << 25) as f64;
    let whole = value as i64;
    if whole.unsigned_abs() < 1 << 53 && (whole as f64).to_bits() == value.to_bits() {
        return text.write_all(itoa::Buffer::new().format(whole).as_bytes());
    }
    let parts = value * PLACES;
    let may_lie_between = (parts as i64) as f64 == parts;
    if may_lie_between || !(1e-4..1e9).contains(&value.abs()) {
        return write!(text, "{value}");
    }
    Ok(serde_json::to_writer(text, &value)?)
}

/// Reads `timeline.csv` back: the triggers' names and the rows.
///
/// # Errors
/// The first cell or column that is not one of ours, with its row.
pub fn timeline_from_csv(text: &str) -> Result<(Vec<String>, Timeline), String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let names = trigger_names(&header.iter().collect::<Vec<_>>())?;
    let mut rows = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        rows.push(read_row(&record, names.len()).map_err(|error| format!("row {}: {error}", index + 2))?);
    }
    Ok((names, Timeline { rows }))
}

fn trigger_names(header: &[&str]) -> Result<Vec<String>, String> {
    let (before, after) = (BEFORE_TRIGGERS.len(), AFTER_TRIGGERS.len());
    let wrong = || format!("found columns {}, expected those of a timeline.csv", header.join(","));
    if header.len() < before + after || header[..before] != BEFORE_TRIGGERS {
        return Err(wrong());
    }
    let (triggers, last) = header[before..].split_at(header.len() - before - after);
    if last != AFTER_TRIGGERS {
        return Err(wrong());
    }
    triggers
        .chunks(2)
        .map(|pair| match pair {
            [value, threshold] => match (value.strip_suffix("_value"), threshold.strip_suffix("_threshold")) {
                (Some(name), Some(same)) if name == same => Ok(name.to_owned()),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        })
        .collect()
}

fn read_row(record: &csv::StringRecord, triggers: usize) -> Result<TimelineRow, String> {
    let last = BEFORE_TRIGGERS.len() + 2 * triggers;
    let pair = |index: usize| -> Result<(Option<f64>, f64), String> {
        let column = BEFORE_TRIGGERS.len() + 2 * index;
        Ok((optional(record, column)?, cell(record, column + 1)?))
    };
    Ok(TimelineRow {
        t: SimTime::ZERO + SimDuration::from_secs_f64(cell(record, 0)?),
        offered_rps: cell(record, 1)?,
        spec_replicas: cell(record, 2)?,
        status_replicas: cell(record, 3)?,
        ready_replicas: cell(record, 4)?,
        triggers: (0..triggers).map(pair).collect::<Result<_, _>>()?,
        running: cell(record, last)?,
        waiting: cell(record, last + 1)?,
        kv_usage: cell(record, last + 2)?,
        ttft_p95: optional(record, last + 3)?,
    })
}

fn cell<T: std::str::FromStr>(record: &csv::StringRecord, column: usize) -> Result<T, String> {
    let text = record.get(column).unwrap_or_default();
    text.parse().map_err(|_| format!("column {}: found {text:?}, expected a number", column + 1))
}

fn optional(record: &csv::StringRecord, column: usize) -> Result<Option<f64>, String> {
    if record.get(column).unwrap_or_default().is_empty() { Ok(None) } else { cell(record, column).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn numbers_are_those_of_the_library(
            value in prop_oneof![
                any::<f64>(),
                -100.0..100.0_f64,
                -2e9..2e9_f64,
                -2e16..2e16_f64,
                -2e-4..2e-4_f64,
                (any::<i32>(), 0..12_u32).prop_map(|(count, decimals)| f64::from(count) / 10_u64.pow(decimals) as f64),
                // Those that may lie between two shortest texts.
                (any::<i64>(), 0..63_u32, 0..60_u32).prop_map(|(count, cut, bits)| {
                    (count >> cut) as f64 / (1_u64 << bits) as f64
                }),
                prop::sample::select(vec![
                    3_593_265_902_060_321.0 / 4.0,
                    1.0 + 1.0 / f64::from(1 << 17),
                    0.0,
                    -0.0,
                    f64::NAN,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    1e-4,
                ]),
            ],
        ) {
            let mut text = Vec::new();
            write_shortest(&mut text, value).expect("writing to memory does not fail");
            prop_assert_eq!(String::from_utf8(text).expect("digits"), value.to_string());
        }
    }
}

//! `timeline.csv`: one row per sample, for spreadsheets and data frames; no comment lines, an empty cell is "no value".

use crate::record::{RunRecord, Timeline, TimelineRow};
use crate::units::{SimDuration, SimTime};
use std::fmt::{Display, Write as _};
use std::io::{self, Write};

const BEFORE_TRIGGERS: [&str; 5] = ["t", "offered_rps", "spec_replicas", "status_replicas", "ready_replicas"];
const AFTER_TRIGGERS: [&str; 4] = ["running", "waiting", "kv_usage", "ttft_p95_s"];

/// Writes `timeline.csv` of a run. Columns: `t`, `offered_rps`, `spec_replicas`, `status_replicas`, `ready_replicas`, per trigger
/// `<trigger>_value` and `<trigger>_threshold`, `running`, `waiting`, `kv_usage`, `ttft_p95_s`.
///
/// # Errors
/// Those of `out`.
pub fn write_timeline(record: &RunRecord, out: impl Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let triggers = &record.info.triggers;
    let trigger_columns =
        triggers.iter().flat_map(|trigger| [format!("{}_value", trigger.name), format!("{}_threshold", trigger.name)]);
    let header = BEFORE_TRIGGERS.map(str::to_owned).into_iter().chain(trigger_columns);
    let header: Vec<String> = header.chain(AFTER_TRIGGERS.map(str::to_owned)).collect();
    writer.write_record(&header)?;
    let mut cells = Cells { texts: vec![Cell::default(); header.len()], next: 0 };
    for row in &record.timeline.rows {
        assert_eq!(row.triggers.len(), triggers.len(), "a timeline row has one pair per trigger");
        cells.fill(row);
        writer.write_record(cells.texts.iter().map(|cell| cell.text.as_bytes()))?;
    }
    writer.flush()
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
}

#[derive(Clone, Default)]
struct Cell {
    /// Which number `text` is of; the empty cell has none.
    bits: Option<u64>,
    text: String,
}

impl Cells {
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
        self.put(value.map(f64::to_bits), value);
    }

    fn count(&mut self, count: u64) {
        self.put(Some(count), Some(count));
    }

    fn put(&mut self, bits: Option<u64>, value: Option<impl Display>) {
        let cell = &mut self.texts[self.next];
        self.next += 1;
        if cell.bits != bits {
            cell.bits = bits;
            cell.text.clear();
            if let Some(value) = value {
                write!(cell.text, "{value}").expect("writing to memory does not fail");
            }
        }
    }
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

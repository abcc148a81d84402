//! OpenMetrics text with time stamps, for `promtool tsdb create-blocks-from openmetrics`.
//!
//! The format wants each metric family in one piece and in it each metric (a label set, `le` aside) in one piece, but rows come
//! target by target. So the lines of each metric are collected, and written out in pieces to a spool file when they get too
//! many; at the end the pieces are put together. Staleness markers have no form in the format and are left out.

use super::layouts::Layouts;
use super::tally::Cell;
use super::whole_file::{WholeFile, sibling};
use crate::prometheus::StoredRow;
use crate::series::Labels;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of lines that are held before they go to the spool.
const HELD_MAX: usize = 8 << 20;

/// The type of a family, as far as its names tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Histogram,
    Unknown,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Unknown => "unknown",
        }
    }
}

/// One metric's lines.
#[derive(Debug, Default)]
struct Metric {
    held: Vec<u8>,
    /// (offset, length) of what went to the spool, in order.
    spooled: Vec<(u64, u64)>,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    /// Numbers of its metrics, in order of appearance.
    metrics: Vec<u32>,
}

/// A column of a target: its metric, and its line up to the value.
#[derive(Debug)]
struct Column {
    metric: u32,
    start: String,
}

/// Writes the text.
#[derive(Debug)]
pub(super) struct OpenMetricsFile {
    file: WholeFile,
    spool: Spool,
    metrics: Vec<Metric>,
    families: BTreeMap<String, Family>,
    /// Number of each metric, by family and labels without name and `le`.
    numbers: FxHashMap<(String, Labels), u32>,
    layouts: Layouts<Column>,
    held: usize,
}

/// The spool file; it goes away with this.
#[derive(Debug)]
struct Spool {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl OpenMetricsFile {
    /// `file` will stand at `path`, beside which the spool is.
    pub fn new(file: WholeFile, path: &Path) -> io::Result<Self> {
        let path = sibling(path, "spool")?;
        let opened = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(OpenMetricsFile {
            file,
            spool: Spool { path, file: opened, length: 0 },
            metrics: Vec::new(),
            families: BTreeMap::new(),
            numbers: FxHashMap::default(),
            layouts: Layouts::default(),
            held: 0,
        })
    }

    /// Adds the numbers among these samples.
    pub fn add(&mut self, row: &StoredRow, cells: &[Cell]) -> io::Result<()> {
        let columns = self.columns_of(&row.series);
        for cell in cells.iter().filter(|cell| !cell.is_marker()) {
            let column = &columns[cell.column];
            let held = &mut self.metrics[column.metric as usize].held;
            let before = held.len();
            held.extend_from_slice(column.start.as_bytes());
            writeln!(held, " {} {}", number(cell.value), seconds(row.at_ms))?;
            self.held += held.len() - before;
        }
        if self.held > HELD_MAX { self.spool() } else { Ok(()) }
    }

    /// Moves all lines that are held to the spool.
    fn spool(&mut self) -> io::Result<()> {
        let mut out = io::BufWriter::new(&self.spool.file);
        for metric in self.metrics.iter_mut().filter(|metric| !metric.held.is_empty()) {
            out.write_all(&metric.held)?;
            let length = metric.held.len() as u64;
            metric.spooled.push((self.spool.length, length));
            self.spool.length += length;
            // The memory goes too: the metric may be one of a pod that is gone.
            metric.held = Vec::new();
        }
        out.flush()?;
        self.held = 0;
        Ok(())
    }

    /// Puts the file together and in its place; how many bytes it has.
    pub fn finish(mut self) -> io::Result<u64> {
        let mut spool = BufReader::new(&self.spool.file);
        for (name, family) in &self.families {
            let mut open = false;
            for metric in family.metrics.iter().map(|number| &self.metrics[*number as usize]) {
                let empty = metric.held.is_empty() && metric.spooled.is_empty();
                if !open && !empty {
                    writeln!(self.file, "# TYPE {} {}", shown_name(name), family.kind.word())?;
                    open = true;
                }
                for (offset, length) in &metric.spooled {
                    spool.seek(SeekFrom::Start(*offset))?;
                    io::copy(&mut spool.by_ref().take(*length), &mut self.file)?;
                }
                self.file.write_all(&metric.held)?;
            }
        }
        self.file.write_all(b"# EOF\n")?;
        self.file.finish()
    }

    fn columns_of(&mut self, series: &Arc<[Labels]>) -> Arc<[Column]> {
        if let Some(columns) = self.layouts.get(series) {
            return columns;
        }
        let histograms = histograms(series);
        let columns = series.iter().map(|labels| self.column(labels, &histograms)).collect();
        self.layouts.keep(series, columns)
    }

    fn column(&mut self, labels: &Labels, histograms: &FxHashSet<String>) -> Column {
        let (family, kind) = family_of(labels.metric_name(), histograms);
        let own = labels.filtered(|name| name != "__name__" && (kind != Kind::Histogram || name != "le"));
        let next = u32::try_from(self.metrics.len()).expect("fewer than 2^32 metrics");
        let metric = *self.numbers.entry((family.to_owned(), own)).or_insert(next);
        let there = self.families.entry(family.to_owned()).or_insert(Family { kind, metrics: Vec::new() });
        if there.kind != kind {
            there.kind = Kind::Unknown;
        }
        if metric == next {
            self.metrics.push(Metric::default());
            there.metrics.push(metric);
        }
        Column { metric, start: line_start(labels) }
    }
}

/// The names of the whole histograms among a target's series: those with `_bucket` up to `+Inf`, `_sum` and `_count`.
fn histograms(series: &[Labels]) -> FxHashSet<String> {
    let names: FxHashSet<&str> = series.iter().map(Labels::metric_name).collect();
    let last = series.iter().filter(|labels| labels.get("le") == "+Inf");
    let bases = last.filter_map(|labels| labels.metric_name().strip_suffix("_bucket"));
    let whole = |base: &&str| ["_sum", "_count"].iter().all(|end| names.contains(format!("{base}{end}").as_str()));
    bases.filter(whole).map(str::to_owned).collect()
}

/// The family of a series, and its type.
fn family_of<'n>(name: &'n str, histograms: &FxHashSet<String>) -> (&'n str, Kind) {
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    if let Some(base) = base.filter(|base| histograms.contains(*base)) {
        return (base, Kind::Histogram);
    }
    match name.strip_suffix("_total") {
        Some(base) if !base.is_empty() => (base, Kind::Counter),
        _ => (name, Kind::Unknown),
    }
}

/// `metric{a="b"}`; a name that is none of the old kind stands in quotes among the labels, as Prometheus 3 reads it.
fn line_start(labels: &Labels) -> String {
    let name = labels.metric_name();
    let old = is_old_name(name, true);
    let mut text = if old { name.to_owned() } else { String::new() };
    let mut pairs: Vec<String> = if old { Vec::new() } else { vec![quoted(name)] };
    pairs.extend(labels.iter().filter(|(name, _)| *name != "__name__").map(|(name, value)| {
        let name = if is_old_name(name, false) { name.to_owned() } else { quoted(name) };
        format!("{name}={}", quoted(value))
    }));
    if !pairs.is_empty() {
        let _ = write!(text, "{{{}}}", pairs.join(","));
    }
    text
}

fn shown_name(name: &str) -> String {
    if is_old_name(name, true) { name.to_owned() } else { quoted(name) }
}

/// Whether `name` is one that every Prometheus takes; colons only in names of metrics.
fn is_old_name(name: &str, of_metric: bool) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|own| own.is_ascii_alphanumeric() || own == '_' || (own == ':' && of_metric))
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// The shortest text that reads back as the same number.
fn number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => format!("{value:?}"),
    }
}

/// Milliseconds as decimal seconds.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_times_are_written_as_the_format_has_them() {
        assert_eq!(
            [5.0, 0.1, 1e21, f64::INFINITY, f64::NEG_INFINITY, f64::NAN].map(number),
            ["5.0", "0.1", "1e21", "+Inf", "-Inf", "NaN"]
        );
        assert_eq!([0, 1_767_571_200_050, -1_500].map(seconds), ["0.000", "1767571200.050", "-1.500"]);
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied());
        assert_eq!(line_start(&labels(&[("__name__", "up")])), "up");
        let odd = labels(&[("__name__", "a:b"), ("x", "say \"\\\n"), ("y.z", "1")]);
        assert_eq!(line_start(&odd), "a:b{x=\"say \\\"\\\\\\n\",\"y.z\"=\"1\"}");
        assert_eq!(line_start(&labels(&[("__name__", "my metric"), ("x", "1")])), "{\"my metric\",x=\"1\"}");
    }

    #[test]
    fn only_whole_histograms_are_histograms() {
        let bucket = |name: &str, le: &str| Labels::from_pairs([("__name__", name), ("le", le)]);
        let plain = |name: &str| Labels::from_pairs([("__name__", name)]);
        let series = [
            bucket("whole_bucket", "1.0"),
            bucket("whole_bucket", "+Inf"),
            plain("whole_sum"),
            plain("whole_count"),
            bucket("part_bucket", "+Inf"),
            plain("part_count"),
        ];
        let found = histograms(&series);
        assert_eq!(family_of("whole_bucket", &found), ("whole", Kind::Histogram));
        assert_eq!(family_of("part_bucket", &found), ("part_bucket", Kind::Unknown));
        assert_eq!(family_of("requests_total", &found), ("requests", Kind::Counter));
        assert_eq!(family_of("_total", &found), ("_total", Kind::Unknown));
    }
}

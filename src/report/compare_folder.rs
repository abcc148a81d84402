//! The directory of a comparison: `summary.json`, `results.csv` (one row per run) and `oracle.csv` (its schedules), whole or
//! not at all.

use crate::analysis::{COMPARED, Summary};
use crate::report::compare_json;
use crate::report::compare_text::CompareReport;
use crate::report::directory::{Kind, replaceable, write_whole};
use std::io;
use std::path::Path;

/// Whether a comparison may be written to `out`: to be asked before a long simulation, not after.
///
/// # Errors
/// As [`write_comparison`].
pub fn may_write_comparison(out: &Path) -> io::Result<()> {
    replaceable(out, Kind::Comparison).map(|_| ())
}

/// Writes the directory. One that a comparison left before is replaced.
///
/// # Errors
/// When `out` is something else than an empty directory or a comparison's, or holds a file that kedasim did not write, and
/// what the file system refuses. Nothing is changed then.
pub fn write_comparison(out: &Path, report: &CompareReport<'_>) -> io::Result<()> {
    let out = replaceable(out, Kind::Comparison)?;
    let files = [
        ("summary.json".to_owned(), compare_json(report).into_bytes()),
        ("results.csv".to_owned(), results(report)?),
        ("oracle.csv".to_owned(), schedules(report)?),
    ];
    write_whole(&out, &files, |_| Ok(()))
}

/// One row per run: who, seed, the compared figures; infinite values as `inf`.
fn results(report: &CompareReport<'_>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let figures = COMPARED.iter().map(|figure| figure.key);
    writer.write_record(["name", "seed"].into_iter().chain(figures))?;
    let mut rows = |name: &str, runs: &[Summary]| -> io::Result<()> {
        for (seed, run) in report.comparison.seeds.iter().zip(runs) {
            let figure = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
            let figures = COMPARED.iter().map(|own| figure((own.value)(run)));
            writer.write_record([name.to_owned(), seed.to_string()].into_iter().chain(figures))?;
        }
        Ok(())
    };
    for (label, own) in report.labels.iter().zip(&report.comparison.policies) {
        rows(label, &own.runs)?;
    }
    for (name, _, runs) in report.comparison.baselines() {
        rows(&name, &runs)?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// What `spec.replicas` was from when on, per seed; only the header without an oracle.
fn schedules(report: &CompareReport<'_>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["seed", "t", "replicas"])?;
    if let Some(oracle) = &report.comparison.oracle {
        for (seed, own) in report.comparison.seeds.iter().zip(&oracle.seeds) {
            for (at, count) in &own.steps {
                writer.write_record([seed.to_string(), at.as_secs_f64().to_string(), count.to_string()])?;
            }
        }
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

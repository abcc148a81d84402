//! The directory that a run or a sweep leaves: written under a temporary name beside the target and renamed into place, so
//! that it is there whole or not at all. Pictures are drawn from the files' text, so that drawing them again later gives
//! the same bytes.

use crate::analysis::Summary;
use crate::record::{
    FindingLine, RunInfo, RunRecord, check_version, decisions_to_jsonl, events_to_jsonl, timeline_from_csv,
    timeline_to_csv,
};
use crate::report::json::pretty;
use crate::report::{Heatmap, HeatmapSpec, TimelinePlot, results_csv, results_from_csv, results_table, summary_json};
use crate::scenario::ResolvedRun;
use crate::study::SweepOutcome;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file's path inside the directory and its bytes.
type File = (String, Vec<u8>);

/// Format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlotFormat {
    /// Vector graphics.
    Svg,
    /// Bitmap.
    Png,
}

impl PlotFormat {
    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            PlotFormat::Svg => "svg",
            PlotFormat::Png => "png",
        }
    }
}

/// `summary.json` of a sweep's directory.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct SweepHeader {
    schema_version: u32,
    kind: String,
    name: String,
    axes: Vec<String>,
    runs: usize,
    heatmap: Option<HeatmapSpec>,
}

/// Writes the directory of a run: `summary.json`, `decisions.jsonl`, `events.jsonl`, `timeline.csv`, `policy.yaml`,
/// `scenario.yaml` (`scenario_yaml`), `plots/timeline.svg` and `.png`. A directory that a run left before is replaced.
///
/// # Errors
/// When `out` is something else than an empty directory or a run's, and what the file system refuses.
pub fn write_run(
    out: &Path,
    run: &ResolvedRun,
    record: &RunRecord,
    summary: &Summary,
    scenario_yaml: &str,
) -> io::Result<()> {
    write_run_files(out, &run.policy_text, scenario_yaml, record, summary)
}

/// As [`write_run`], from the texts of the two YAML files.
///
/// # Errors
/// As [`write_run`].
pub fn write_run_files(
    out: &Path,
    policy_yaml: &str,
    scenario_yaml: &str,
    record: &RunRecord,
    summary: &Summary,
) -> io::Result<()> {
    refuse_foreign(out)?;
    let findings: Vec<FindingLine> = summary.verdict.findings.iter().map(finding_line).collect();
    let events = events_to_jsonl(record, &findings);
    let timeline = timeline_to_csv(record);
    let mut files: Vec<File> = timeline_pictures(&record.info, &timeline).map_err(io::Error::other)?;
    let texts = [
        ("summary.json", summary_json(summary)),
        ("decisions.jsonl", decisions_to_jsonl(record)),
        ("events.jsonl", events),
        ("timeline.csv", timeline),
        ("policy.yaml", policy_yaml.to_owned()),
        ("scenario.yaml", scenario_yaml.to_owned()),
    ];
    files.extend(texts.map(|(name, text)| (name.to_owned(), text.into_bytes())));
    write_whole(out, &files)
}

/// Writes the directory of a sweep: `summary.json`, `results.csv`, `plots/heatmap.svg` and `.png`. Without `heatmap`: the
/// first two axes and flaps per hour. A directory that kedasim left before is replaced.
///
/// # Errors
/// As [`write_run`]; a heatmap's axis or figure that does not exist.
pub fn write_sweep(out: &Path, outcome: &SweepOutcome, heatmap: Option<&HeatmapSpec>) -> io::Result<()> {
    refuse_foreign(out)?;
    let default = HeatmapSpec::default_for(&outcome.axes).ok();
    let header = SweepHeader {
        schema_version: crate::record::SCHEMA_VERSION,
        kind: "sweep".to_owned(),
        name: outcome.name.clone(),
        axes: outcome.axes.clone(),
        runs: outcome.points.len(),
        heatmap: heatmap.cloned().or(default),
    };
    let mut files = match &header.heatmap {
        Some(spec) => {
            let picture = Heatmap::new(&outcome.name, &results_table(outcome), spec).map_err(io::Error::other)?;
            heatmap_pictures(&picture).map_err(io::Error::other)?
        }
        None => Vec::new(),
    };
    files.push(("results.csv".to_owned(), results_csv(outcome).into_bytes()));
    files.push(("summary.json".to_owned(), pretty(&header).into_bytes()));
    write_whole(out, &files)
}

/// Draws the pictures of a run's or a sweep's directory again, from its files; into `out`, or the directory's own `plots`.
/// Returns the files written.
///
/// # Errors
/// A file that is missing or not one of ours, named; and what the file system refuses.
pub fn replot(dir: &Path, format: Option<PlotFormat>, out: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    let wrong = |name: &str, error: &str| invalid(format!("{}: {error}", dir.join(name).display()));
    let summary: serde_json::Value =
        serde_json::from_str(&read("summary.json")?).map_err(|error| wrong("summary.json", &error.to_string()))?;
    let version = summary["schemaVersion"].as_u64().and_then(|version| u32::try_from(version).ok());
    check_version(version.unwrap_or(0)).map_err(|error| wrong("summary.json", &error))?;
    let pictures = if summary["kind"] == "sweep" {
        let header: SweepHeader =
            serde_json::from_value(summary).map_err(|error| wrong("summary.json", &error.to_string()))?;
        let table = results_from_csv(&read("results.csv")?).map_err(|error| wrong("results.csv", &error))?;
        let spec = match header.heatmap {
            Some(spec) => spec,
            None => HeatmapSpec::default_for(&table.axes).map_err(|error| wrong("results.csv", &error))?,
        };
        let picture = Heatmap::new(&header.name, &table, &spec).map_err(|error| wrong("results.csv", &error))?;
        heatmap_pictures(&picture)
    } else {
        let info = serde_json::from_value(summary["run"].clone());
        let info: RunInfo = info.map_err(|error| wrong("summary.json", &format!("run: {error}")))?;
        timeline_pictures(&info, &read("timeline.csv")?)
    };
    let pictures = pictures.map_err(|error| invalid(format!("{}: {error}", dir.display())))?;
    let folder = out.map_or_else(|| dir.join("plots"), Path::to_path_buf);
    fs::create_dir_all(&folder)?;
    let mut written = Vec::new();
    for (name, bytes) in pictures {
        let name = Path::new(&name).file_name().expect("pictures have names").to_owned();
        if format.is_some_and(|format| Path::new(&name).extension() != Some(format.extension().as_ref())) {
            continue;
        }
        let path = folder.join(&name);
        let temporary = sibling(&path, "tmp");
        fs::write(&temporary, bytes)?;
        fs::rename(&temporary, &path)?;
        written.push(path);
    }
    Ok(written)
}

fn finding_line(finding: &crate::analysis::Finding) -> FindingLine {
    FindingLine {
        code: finding.code.clone(),
        severity: finding.severity.to_string(),
        message: finding.message.clone(),
        evidence: finding.evidence.clone(),
    }
}

/// The timeline's pictures from the description of the run and the text of `timeline.csv`.
fn timeline_pictures(info: &RunInfo, timeline: &str) -> Result<Vec<File>, String> {
    let (triggers, timeline) = timeline_from_csv(timeline).map_err(|error| format!("timeline.csv: {error}"))?;
    if !triggers.iter().eq(info.triggers.iter().map(|trigger| &trigger.name)) {
        return Err("timeline.csv and summary.json are of different runs: their triggers differ".to_owned());
    }
    let plot = TimelinePlot::new(info, &timeline);
    Ok(vec![
        ("plots/timeline.svg".to_owned(), plot.svg()?.into_bytes()),
        ("plots/timeline.png".to_owned(), plot.png()?),
    ])
}

fn heatmap_pictures(heatmap: &Heatmap) -> Result<Vec<File>, String> {
    Ok(vec![
        ("plots/heatmap.svg".to_owned(), heatmap.svg()?.into_bytes()),
        ("plots/heatmap.png".to_owned(), heatmap.png()?),
    ])
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Fails unless `out` is free, empty, or was written by kedasim: nothing of the user's is ever replaced.
fn refuse_foreign(out: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", out.display()))),
    };
    let ours = || {
        let text = fs::read_to_string(out.join("summary.json")).ok()?;
        let summary: serde_json::Value = serde_json::from_str(&text).ok()?;
        let is_kind = summary["kind"] == "run" || summary["kind"] == "sweep";
        (is_kind && summary["schemaVersion"].is_u64()).then_some(())
    };
    if entries && ours().is_none() {
        let message = format!(
            "{}: found a directory that kedasim did not write (no summary.json of a run), expected a new or empty one or a \
             run's; choose another --out",
            out.display()
        );
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    Ok(())
}

/// A name beside `path` that no other process uses.
fn sibling(path: &Path, purpose: &str) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{purpose}-{}", std::process::id()))
}

/// Writes all files under a temporary name and renames it to `out`; what stood there goes only once the new one is whole.
fn write_whole(out: &Path, files: &[File]) -> io::Result<()> {
    // `output/.` and `..` have no name of their own to put a temporary one beside.
    let out = if out.file_name().is_some() { out.to_path_buf() } else { fs::canonicalize(out)? };
    if let Some(parent) = out.parent() {
        fs::create_dir_all(parent)?;
    }
    let temporary = sibling(&out, "tmp");
    let result = write_files(&temporary, files).and_then(|()| put_in_place(&temporary, &out));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&temporary);
    }
    result
}

fn write_files(folder: &Path, files: &[File]) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a joined path has a parent"))?;
        fs::write(&path, bytes)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    Ok(())
}

fn put_in_place(temporary: &Path, out: &Path) -> io::Result<()> {
    if !out.exists() {
        return fs::rename(temporary, out);
    }
    let old = sibling(out, "old");
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    fs::rename(out, &old)?;
    if let Err(error) = fs::rename(temporary, out) {
        let _ = fs::rename(&old, out);
        return Err(error);
    }
    fs::remove_dir_all(&old)
}

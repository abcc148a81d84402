//! The directory that a run or a sweep leaves: written under a temporary name beside the target and renamed into place, so
//! that it is there whole or not at all. The files' numbers read back as the same numbers, so that drawing the pictures
//! again from them later gives the same bytes.

use crate::analysis::Summary;
use crate::record::{
    FindingLine, RunInfo, RunRecord, Timeline, check_version, events_to_jsonl, timeline_from_csv, write_decisions,
    write_timeline,
};
use crate::report::canvas::is_marked;
use crate::report::json::pretty;
use crate::report::{Heatmap, HeatmapSpec, TimelinePlot, results_csv, results_from_csv, results_table, summary_json};
use crate::scenario::{InputFile, ResolvedRun, is_input_name};
use crate::study::SweepOutcome;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file's path inside the directory and its bytes.
pub(super) type File = (String, Vec<u8>);

/// What a directory of ours is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Run,
    Replications,
    Sweep,
    Stability,
    Comparison,
}

impl Kind {
    /// The word in `summary.json`.
    fn word(self) -> &'static str {
        match self {
            Kind::Run => "run",
            Kind::Replications => "replications",
            Kind::Sweep => "sweep",
            Kind::Stability => "stability",
            Kind::Comparison => "comparison",
        }
    }

    /// What a person calls it.
    fn noun(self) -> &'static str {
        match self {
            Kind::Run => "run",
            Kind::Replications => "run on several seeds",
            Kind::Sweep => "sweep",
            Kind::Stability => "stability map",
            Kind::Comparison => "comparison",
        }
    }

    /// All that is ever written into such a directory, folders aside; anything else in it is the user's.
    fn files(self) -> &'static [&'static str] {
        match self {
            Kind::Run => {
                &["summary.json", "decisions.jsonl", "events.jsonl", "timeline.csv", "policy.yaml", "scenario.yaml"]
            }
            Kind::Replications => &["summary.json", "replications.csv"],
            Kind::Sweep => &["summary.json", "results.csv"],
            Kind::Stability => &["summary.json", "loads.csv", "survival.csv", "policy.yaml", "scenario.yaml"],
            Kind::Comparison => &["summary.json", "results.csv", "oracle.csv"],
        }
    }

    /// Whether a file of this name is ever written into its folder `folder`; `None`: there is no such folder.
    fn holds(self, folder: &str, name: &str) -> Option<bool> {
        match (folder, self) {
            ("plots", Kind::Run) => Some(["timeline.svg", "timeline.png"].contains(&name)),
            ("plots", Kind::Sweep) => Some(["heatmap.svg", "heatmap.png"].contains(&name)),
            ("plots", Kind::Stability) => {
                let stem = name.strip_suffix(".svg").or_else(|| name.strip_suffix(".png"));
                Some(stem.is_some_and(|stem| ["stability", "survival", "survival-ramp"].contains(&stem)))
            }
            ("inputs", Kind::Run) => Some(is_input_name(name)),
            _ => None,
        }
    }
}

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

/// Whether a run may be written to `out`: to be asked before a long simulation, not after.
///
/// # Errors
/// As [`write_run`].
pub fn may_write_run(out: &Path) -> io::Result<()> {
    replaceable(out, Kind::Run).map(|_| ())
}

/// As [`may_write_run`], for a sweep.
///
/// # Errors
/// As [`write_sweep`].
pub fn may_write_sweep(out: &Path) -> io::Result<()> {
    replaceable(out, Kind::Sweep).map(|_| ())
}

/// Writes the directory of a run: `summary.json`, `decisions.jsonl`, `events.jsonl`, `timeline.csv`, `policy.yaml`,
/// `scenario.yaml` (`scenario_yaml`), `plots/timeline.svg` and `.png`, and in `inputs/` what it was made from (`inputs`). A
/// directory that a run left before is replaced; of a symbolic link, what it points to.
///
/// # Errors
/// When `out` is something else than an empty directory or a run's, or holds a file that kedasim did not write, and what
/// the file system refuses. Nothing is changed then.
pub fn write_run(
    out: &Path,
    run: &ResolvedRun,
    record: &RunRecord,
    summary: &Summary,
    scenario_yaml: &str,
    inputs: &[InputFile],
) -> io::Result<()> {
    write_run_with(out, (&run.policy_text, scenario_yaml), record, summary, in_inputs(inputs))
}

/// As [`write_run`], from the texts of the two YAML files and without `inputs/`.
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
    write_run_with(out, (policy_yaml, scenario_yaml), record, summary, Vec::new())
}

fn write_run_with(
    out: &Path,
    (policy_yaml, scenario_yaml): (&str, &str),
    record: &RunRecord,
    summary: &Summary,
    inputs: Vec<File>,
) -> io::Result<()> {
    let out = replaceable(out, Kind::Run)?;
    let files = run_files((policy_yaml, scenario_yaml), record, summary, inputs)?;
    write_whole(&out, &files, |folder| write_growing_files(record, folder))
}

/// What a run was made from, as it stands in its directory.
pub(super) fn in_inputs(inputs: &[InputFile]) -> Vec<File> {
    inputs.iter().map(|file| (format!("inputs/{}", file.name), file.bytes.clone())).collect()
}

/// The files of a run's directory but those of [`write_growing_files`].
pub(super) fn run_files(
    (policy_yaml, scenario_yaml): (&str, &str),
    record: &RunRecord,
    summary: &Summary,
    inputs: Vec<File>,
) -> io::Result<Vec<File>> {
    let findings: Vec<FindingLine> = summary.verdict.findings.iter().map(finding_line).collect();
    let mut files: Vec<File> = pictures_of(&record.info, &record.timeline).map_err(io::Error::other)?;
    files.extend(inputs);
    let texts = [
        ("summary.json", summary_json(summary)),
        ("events.jsonl", events_to_jsonl(record, &findings)),
        ("policy.yaml", policy_yaml.to_owned()),
        ("scenario.yaml", scenario_yaml.to_owned()),
    ];
    files.extend(texts.map(|(name, text)| (name.to_owned(), text.into_bytes())));
    Ok(files)
}

/// Writes the files of a run that grow with the simulated time into `folder`: they are never held as text.
pub(super) fn write_growing_files(record: &RunRecord, folder: &Path) -> io::Result<()> {
    let mut decisions = new_file(&folder.join("decisions.jsonl"))?;
    write_decisions(record, &mut decisions)?;
    decisions.flush()?;
    write_timeline(record, new_file(&folder.join("timeline.csv"))?)
}

fn new_file(path: &Path) -> io::Result<BufWriter<fs::File>> {
    fs::File::create(path).map(BufWriter::new)
}

/// Writes the directory of a sweep: `summary.json`, `results.csv`, `plots/heatmap.svg` and `.png`. Without `heatmap`: the
/// first two axes and flaps per hour. A directory that a sweep left before is replaced.
///
/// # Errors
/// As [`write_run`]; a heatmap's axis or figure that does not exist.
pub fn write_sweep(out: &Path, outcome: &SweepOutcome, heatmap: Option<&HeatmapSpec>) -> io::Result<()> {
    let out = replaceable(out, Kind::Sweep)?;
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
    write_whole(&out, &files, |_| Ok(()))
}

/// Draws the pictures of a run's or a sweep's directory again, from its files; into `out`, or the directory's own `plots`.
/// Returns the files written.
///
/// # Errors
/// A file that is missing or not one of ours, named; and what the file system refuses.
pub fn replot(dir: &Path, format: Option<PlotFormat>, out: Option<&Path>) -> io::Result<Vec<PathBuf>> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|error| at_path(&path, &error))
    };
    let wrong = |name: &str, error: &str| invalid(format!("{}: {error}", dir.join(name).display()));
    let summary: serde_json::Value =
        serde_json::from_str(&read("summary.json")?).map_err(|error| wrong("summary.json", &error.to_string()))?;
    let version = summary["schemaVersion"].as_u64().and_then(|version| u32::try_from(version).ok());
    check_version(version.unwrap_or(0)).map_err(|error| wrong("summary.json", &error))?;
    if summary["kind"] == Kind::Comparison.word() {
        return Err(wrong("summary.json", "found the folder of a comparison, expected that of a run or a sweep"));
    }
    if summary["kind"] == Kind::Replications.word() {
        let first = &summary["seed"];
        let message = format!("found the folder of several seeds, expected that of one: seed-{first} and so on in it");
        return Err(wrong("summary.json", &message));
    }
    if summary["kind"] == Kind::Stability.word() {
        return Err(wrong(
            "summary.json",
            "found a stability map, expected a run or a sweep: kedasim stability draws it anew",
        ));
    }
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
    let own = dir.join("plots");
    let folder = out.map_or_else(|| own.clone(), Path::to_path_buf);
    fs::create_dir_all(&folder).map_err(|error| at_path(&folder, &error))?;
    let is_own = fs::canonicalize(&folder)? == fs::canonicalize(&own).unwrap_or(own);
    let mut wanted = Vec::new();
    for (name, bytes) in pictures {
        let path = folder.join(Path::new(&name).file_name().expect("pictures have names"));
        if format.is_none_or(|format| path.extension() == Some(format.extension().as_ref())) {
            refuse_foreign_picture(&path, is_own)?;
            wanted.push((path, bytes));
        }
    }
    for (path, bytes) in &wanted {
        let temporary = sibling(path, "tmp");
        let result = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
        if let Err(error) = result {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temporary);
            return Err(at_path(path, &error));
        }
    }
    Ok(wanted.into_iter().map(|(path, _)| path).collect())
}

fn at_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Fails when a picture would replace something that kedasim did not draw; in a directory of ours the names are ours.
fn refuse_foreign_picture(path: &Path, is_own: bool) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at_path(path, &error)),
        Ok(metadata) if metadata.is_file() => {
            let bytes = fs::read(path).map_err(|error| at_path(path, &error))?;
            if is_own || is_marked(&bytes) {
                return Ok(());
            }
        }
        Ok(_) => {}
    }
    Err(refusal(format!("{}: found a file that kedasim did not draw; choose another --out", path.display())))
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
    pictures_of(info, &timeline)
}

fn pictures_of(info: &RunInfo, timeline: &Timeline) -> Result<Vec<File>, String> {
    let plot = TimelinePlot::new(info, timeline);
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

fn refusal(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, message)
}

/// Where a directory of `kind` goes: `out`, or what it points to.
///
/// Fails unless that is free, empty, or holds a directory of the same kind and nothing else: nothing of the user's is ever
/// replaced.
pub(super) fn replaceable(out: &Path, kind: Kind) -> io::Result<PathBuf> {
    if fs::symlink_metadata(out).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(out.to_path_buf());
    }
    let target = fs::canonicalize(out)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&target)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    if names.is_empty() {
        return Ok(target);
    }
    names.sort();
    let choose = "choose another --out";
    let summary = fs::read_to_string(target.join("summary.json")).ok();
    let summary = summary.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let there = summary.filter(|summary| summary["schemaVersion"].is_u64()).and_then(|summary| {
        [Kind::Run, Kind::Replications, Kind::Sweep, Kind::Stability, Kind::Comparison]
            .into_iter()
            .find(|kind| summary["kind"] == kind.word())
    });
    let Some(there) = there else {
        return Err(refusal(format!(
            "found a directory that kedasim did not write (no summary.json of a run), expected a new or empty one or a \
             {}'s; {choose}",
            kind.noun()
        )));
    };
    if there != kind {
        let (there, kind) = (there.noun(), kind.noun());
        return Err(refusal(format!("found the directory of a {there}, which a {kind} does not replace; {choose}")));
    }
    if let Some(foreign) = foreign_entry(&target, &names, kind)? {
        return Err(refusal(format!(
            "found {foreign} among the files of a {}, which kedasim did not write and does not delete; move it away or \
             {choose}",
            kind.noun()
        )));
    }
    Ok(target)
}

/// The first thing in a directory of ours (with the entries `names`) that is not ours.
fn foreign_entry(target: &Path, names: &[String], kind: Kind) -> io::Result<Option<String>> {
    let is_file = |path: &Path| fs::symlink_metadata(path).map(|metadata| metadata.is_file());
    for name in names {
        let path = target.join(name);
        if kind == Kind::Replications && is_seed_folder(name) && fs::symlink_metadata(&path)?.is_dir() {
            let inner: io::Result<Vec<String>> =
                fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
            if let Some(foreign) = foreign_entry(&path, &inner?, Kind::Run)? {
                return Ok(Some(format!("{name}/{foreign}")));
            }
            continue;
        }
        if kind.holds(name, "").is_none() {
            if !kind.files().contains(&name.as_str()) || !is_file(&path)? {
                return Ok(Some(name.clone()));
            }
            continue;
        }
        if !fs::symlink_metadata(&path)?.is_dir() {
            return Ok(Some(name.clone()));
        }
        for entry in fs::read_dir(&path)? {
            let inner = entry?.file_name().to_string_lossy().into_owned();
            if kind.holds(name, &inner) != Some(true) || !is_file(&path.join(&inner))? {
                return Ok(Some(format!("{name}/{inner}")));
            }
        }
    }
    Ok(None)
}

/// `seed-7`, as [`crate::report::ReplicationsFolder`] names them.
fn is_seed_folder(name: &str) -> bool {
    name.strip_prefix("seed-").is_some_and(|seed| seed.parse::<u64>().is_ok_and(|number| number.to_string() == seed))
}

/// A name beside `path` that no other process uses.
pub(super) fn sibling(path: &Path, purpose: &str) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.{purpose}-{}", std::process::id()))
}

/// Writes all files, and what `more` writes, into a folder of a temporary name and renames it to `out`; what stood there goes
/// only once the new one is whole.
pub(super) fn write_whole(out: &Path, files: &[File], more: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    prepare_parent(out)?;
    let temporary = sibling(out, "tmp");
    let result =
        write_files(&temporary, files).and_then(|()| more(&temporary)).and_then(|()| put_in_place(&temporary, out));
    if result.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_dir_all(&temporary);
    }
    result
}

/// Makes the folder in which `out` is to stand.
pub(super) fn prepare_parent(out: &Path) -> io::Result<()> {
    if out.file_name().is_none() {
        return Err(invalid("found a path without a name of its own; choose another --out".to_owned()));
    }
    out.parent().map_or(Ok(()), fs::create_dir_all)
}

pub(super) fn write_files(folder: &Path, files: &[File]) -> io::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    add_files(folder, files)
}

/// Writes files into a folder that may be there.
pub(super) fn add_files(folder: &Path, files: &[File]) -> io::Result<()> {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a joined path has a parent"))?;
        fs::write(&path, bytes)?;
    }
    Ok(())
}

pub(super) fn put_in_place(temporary: &Path, out: &Path) -> io::Result<()> {
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

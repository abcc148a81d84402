//! The directory of a stability map.

use crate::report::directory::{File, Kind, replaceable, write_whole};
use crate::report::survival_report::survival_heatmap;
use crate::report::{StabilityPlot, stability_csv, stability_json, survival_csv};
use crate::scenario::{ResolvedRun, scenario_yaml};
use crate::study::{StabilityMap, SurvivalMap};
use std::io;
use std::path::Path;

/// Whether a map may be written to `out`: to be asked before a long study, not after.
///
/// # Errors
/// As [`write_stability`].
pub fn may_write_stability(out: &Path) -> io::Result<()> {
    replaceable(out, Kind::Stability).map(|_| ())
}

/// Writes `summary.json`, `loads.csv`, `policy.yaml`, `scenario.yaml`, `plots/stability.svg` and `.png`, and with a survival map
/// `survival.csv` and its heat maps. A directory that a map left before is replaced.
///
/// # Errors
/// When `out` is something else than an empty directory or that of a map, or holds a file that kedasim did not write, and
/// what the file system refuses. Nothing is changed then.
pub fn write_stability(
    out: &Path,
    run: &ResolvedRun,
    map: &StabilityMap,
    survival: Option<&SurvivalMap>,
) -> io::Result<()> {
    let out = replaceable(out, Kind::Stability)?;
    let plot = StabilityPlot::new(map, format!("Steady loads: {} \u{2014} {}", run.policy, run.scenario));
    let texts = [
        ("summary.json", stability_json(run, map, survival)),
        ("loads.csv", stability_csv(map)),
        ("policy.yaml", run.policy_text.clone()),
        ("scenario.yaml", scenario_yaml(run)),
        ("plots/stability.svg", plot.svg().map_err(io::Error::other)?),
    ];
    let mut files: Vec<File> = texts.map(|(name, text)| (name.to_owned(), text.into_bytes())).into();
    files.push(("plots/stability.png".to_owned(), plot.png().map_err(io::Error::other)?));
    if let Some(survival) = survival {
        files.push(("survival.csv".to_owned(), survival_csv(survival).into_bytes()));
        for (name, is_ramp) in [("survival", false), ("survival-ramp", true)] {
            let picture = survival_heatmap(survival, is_ramp).map_err(io::Error::other)?;
            files.push((format!("plots/{name}.svg"), picture.svg().map_err(io::Error::other)?.into_bytes()));
            files.push((format!("plots/{name}.png"), picture.png().map_err(io::Error::other)?));
        }
    }
    write_whole(&out, &files, |_| Ok(()))
}

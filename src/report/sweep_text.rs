//! A sweep in the terminal: a row per point, the mean over its seeds.

use crate::report::columns::{Side, columns};
use crate::report::heatmap::short_names;
use crate::report::sweep_same::same_points_text;
use crate::report::text::count;
use crate::report::{ResultsRow, results_table};
use crate::study::SweepOutcome;
use crate::units::Severity;
use std::fmt::Write;

/// Figures a person looks at first; all others are in `results.csv`.
const FIGURES: [(&str, &str); 6] = [
    ("flapsPerHour", "flaps/h"),
    ("scaling.reversals", "reversals"),
    ("replicas.mean", "replicas"),
    ("ttftSeconds.p95", "TTFT p95 s"),
    ("e2eSeconds.p95", "e2e p95 s"),
    ("requests.failed", "failed"),
];

/// One line per grid point with means over seeds.
pub fn sweep_text(outcome: &SweepOutcome) -> String {
    let table = results_table(outcome);
    let figures: Vec<(usize, &str)> =
        FIGURES.iter().filter_map(|(name, shown)| table.figure(name).ok().map(|index| (index, *shown))).collect();
    let mut lines: Vec<Vec<String>> = Vec::new();
    let axes = short_names(&table.axes);
    lines.push(axes.iter().cloned().chain(figures.iter().map(|(_, shown)| (*shown).to_owned())).collect());
    for point in table.rows.chunk_by(|left, right| left.values == right.values) {
        let means =
            figures.iter().map(|(index, _)| mean(point, *index).map_or("-".to_owned(), |mean| format!("{mean:.2}")));
        lines.push(point[0].values.iter().cloned().chain(means).collect());
    }
    let seeds = table.rows.iter().map(|row| row.seed).max().unwrap_or(0);
    let runs = count(table.rows.len() as u64, "run");
    let seeds = count(seeds, "seed");
    let mut text = format!("sweep {}: {runs}, means over {seeds}\n\n", outcome.name);
    text.push_str(&columns(&lines, "", |_| Side::Right));
    text.push_str(&same_points_text(outcome, &axes));
    text.push_str(&findings_text(outcome));
    text
}

/// In how many runs each error and warning was found, worst first, then in the order met: rows of figures alone would hide
/// that some of them mean nothing.
fn findings_text(outcome: &SweepOutcome) -> String {
    let mut found: Vec<(Severity, &str, u64)> = Vec::new();
    for point in &outcome.points {
        let findings = point.summary.verdict.findings.iter().filter(|own| own.severity >= Severity::Warning);
        let mut own: Vec<(Severity, &str)> = findings.map(|own| (own.severity, own.code.as_str())).collect();
        // One run may have several findings of a code.
        own.dedup();
        for (severity, code) in own {
            match found.iter_mut().find(|entry| (entry.0, entry.1) == (severity, code)) {
                Some(entry) => entry.2 += 1,
                None => found.push((severity, code, 1)),
            }
        }
    }
    if found.is_empty() {
        return String::new();
    }
    found.sort_by_key(|(severity, ..)| std::cmp::Reverse(*severity));
    let mut text = "\nfindings\n".to_owned();
    for (severity, code, runs) in found {
        let _ = writeln!(text, "  {severity} {code}: in {runs} of {}", count(outcome.points.len() as u64, "run"));
    }
    text
}

fn mean(rows: &[ResultsRow], figure: usize) -> Option<f64> {
    let values: Vec<f64> = rows.iter().filter_map(|row| row.figures[figure]).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

//! A sweep in the terminal: a row per point, the mean over its seeds.

use crate::report::heatmap::short_names;
use crate::report::text::count;
use crate::report::{ResultsRow, results_table};
use crate::study::SweepOutcome;
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
    let axes = short_names(&table.axes).into_iter();
    lines.push(axes.chain(figures.iter().map(|(_, shown)| (*shown).to_owned())).collect());
    for point in table.rows.chunk_by(|left, right| left.values == right.values) {
        let means =
            figures.iter().map(|(index, _)| mean(point, *index).map_or("-".to_owned(), |mean| format!("{mean:.2}")));
        lines.push(point[0].values.iter().cloned().chain(means).collect());
    }
    let seeds = table.rows.iter().map(|row| row.seed).max().unwrap_or(0);
    let runs = count(table.rows.len() as u64, "run");
    let seeds = count(seeds, "seed");
    let mut text = format!("sweep {}: {runs}, means over {seeds}\n\n", outcome.name);
    for line in &lines {
        for (column, cell) in line.iter().enumerate() {
            let width = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
            let gap = if column == 0 { "" } else { "  " };
            let _ = write!(text, "{gap}{cell:>width$}");
        }
        text.push('\n');
    }
    text
}

fn mean(rows: &[ResultsRow], figure: usize) -> Option<f64> {
    let values: Vec<f64> = rows.iter().filter_map(|row| row.figures[figure]).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

//! What a person or a program reads: one exporter a file. Writes whole files or none; concludes nothing of its own.
//!
//! Reading order: `json` (summary.json), `text` and `markdown`, `csv_tables`, `plot` and `heatmap` on `canvas`, `svg` and `bitmap`, `directory`, `lint_text`, `lint_json`,
//! `sarif` and `github_annotations`.

mod bitmap;
mod calibrate_json;
mod calibrate_text;
mod canvas;
mod columns;
mod compare_folder;
mod compare_json;
mod compare_text;
mod compare_words;
mod csv_tables;
mod directory;
mod explain_text;
mod explanation;
mod font;
mod github_annotations;
mod heatmap;
mod json;
mod kpi_table;
mod lint_json;
mod lint_text;
mod markdown;
mod plot;
mod polygon;
mod replications_folder;
mod replications_json;
mod replications_text;
mod sarif;
mod stability_folder;
mod stability_json;
mod stability_plot;
mod stability_text;
mod stability_words;
mod stamp;
mod survival_report;
mod svg;
mod sweep_same;
mod sweep_text;
mod text;
mod ticks;

pub use calibrate_json::calibrate_json;
pub use calibrate_text::{CalibrateReport, calibrate_text};
pub use compare_folder::{may_write_comparison, write_comparison};
pub use compare_json::compare_json;
pub use compare_text::{CompareReport, compare_markdown, compare_text};
pub use csv_tables::{ResultsRow, ResultsTable, replications_csv, results_csv, results_from_csv, results_table};
pub use directory::{PlotFormat, may_write_run, may_write_sweep, replot, write_run, write_run_files, write_sweep};
pub use explain_text::explanation_text;
pub use explanation::{
    Change, Element, EventLine, Explanation, Extrapolated, Limits, MetricExplained, PartExplained, PodNow,
    PolicyExplained, PollExplained, QueryExplained, Recommended, SeriesSamples, SyncExplained, WindowExplained,
    WindowLooked, Windows, explanation_json,
};
pub use github_annotations::github_annotations;
pub use heatmap::{Heatmap, HeatmapSpec};
pub use json::summary_json;
pub use lint_json::{lint_json, lint_rules_json, lint_rules_text};
pub use lint_text::lint_text;
pub use markdown::summary_markdown;
pub use plot::TimelinePlot;
pub use replications_folder::{ReplicationsFolder, may_write_replications};
pub use replications_json::replications_json;
pub use replications_text::{replications_markdown, replications_text};
pub use sarif::sarif;
pub use stability_folder::{may_write_stability, write_stability};
pub use stability_json::{stability_csv, stability_json, stability_severity};
pub use stability_plot::StabilityPlot;
pub use stability_text::{stability_markdown, stability_text};
pub use survival_report::{survival_csv, survival_text};
pub use sweep_text::sweep_text;
pub use text::{summary_text, summary_text_with};

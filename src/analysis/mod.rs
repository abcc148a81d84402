//! Conclusions from records: flapping, latency, GPU-hours, SLO, gates. Pure functions over [`crate::record`].
//!
//! Reading order: `flapping` (verdicts.md 1) with `churn`, `accounting`, `slo`, `summary`, `findings` with its
//! subjects and `trigger_failures`, `gates`; over several runs `statistics` (verdicts.md 6).

mod accounting;
mod churn;
mod figures;
mod finding_flaps;
mod finding_metrics;
mod finding_paused;
mod finding_requests;
mod finding_single_run;
mod findings;
mod flapping;
mod fleet;
mod gates;
mod kpis;
mod replications;
mod slo;
mod slo_minutes;
mod statistics;
mod statistics_bootstrap;
mod statistics_paired;
mod statistics_steady;
mod summary;
mod trigger_failures;

pub use accounting::{GpuHours, gpu_hours, gpu_hours_with_window};
pub use figures::{FIGURES, Figure};
pub use finding_paused::ScalingDoubt;
pub use findings::findings;
pub use flapping::{Flapping, ScaleMove, flap_window, flapping, rate_interval, set_up_move};
pub use fleet::FleetFigures;
pub use gates::{evaluate_gates, evaluate_gates_over_seeds};
pub use kpis::{KPIS, Kpi, KpiValues, PUBLISHED_KPIS, kpi_values};
pub use replications::{FindingOverSeeds, Replications, replications};
pub use slo_minutes::MissMinutes;
pub use statistics::{
    CONFIDENCE, Estimate, FigureKind, IntervalRule, mean, nearest_rank, poisson_interval, seeds_needed,
    standard_deviation, t_interval, t_p_value, t_quantile,
};
pub use statistics_bootstrap::bootstrap_interval;
pub use statistics_paired::{DifferenceVerdict, PairedDifference, holm, paired_difference};
pub use statistics_steady::{BatchMeans, WarmupCut, batch_means, mser_of_means, mser5};
pub use summary::{
    Finding, GateResult, GateStatus, LatencySummary, SloObjective, Summary, Verdict, VerdictStatus, summarize,
};

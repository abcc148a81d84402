//! Conclusions from records: flapping, latency, GPU-hours, SLO, gates. Pure functions over [`crate::record`].
//!
//! Reading order: `flapping` (verdicts.md 1) with `churn`, `accounting`, `slo`, `summary`, `findings`, `gates`.

mod accounting;
mod churn;
mod findings;
mod flapping;
mod gates;
mod slo;
mod summary;

pub use accounting::{GpuHours, gpu_hours, gpu_hours_with_window};
pub use findings::findings;
pub use flapping::{Flapping, ScaleMove, flap_window, flapping, rate_interval};
pub use gates::evaluate_gates;
pub use summary::{
    Finding, GateResult, GateStatus, LatencySummary, SloObjective, Summary, Verdict, VerdictStatus, summarize,
};

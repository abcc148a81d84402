//! Conclusions from records: flapping, latency, GPU-hours, SLO, gates. Pure functions over [`crate::record`].
//!
//! Reading order: `flapping` (verdicts.md 1) with `churn`, `accounting`, `slo`, `summary`, `findings` with its
//! subjects and `trigger_failures`, `gates`.

mod accounting;
mod churn;
mod finding_flaps;
mod finding_metrics;
mod finding_paused;
mod finding_requests;
mod findings;
mod flapping;
mod gates;
mod slo;
mod summary;
mod trigger_failures;

pub use accounting::{GpuHours, gpu_hours, gpu_hours_with_window};
pub use finding_paused::ScalingDoubt;
pub use findings::findings;
pub use flapping::{Flapping, ScaleMove, flap_window, flapping, rate_interval, set_up_move};
pub use gates::evaluate_gates;
pub use summary::{
    Finding, GateResult, GateStatus, LatencySummary, SloObjective, Summary, Verdict, VerdictStatus, summarize,
};

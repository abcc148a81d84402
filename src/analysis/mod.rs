//! Conclusions from records: flapping, latency, GPU-hours, SLO, gates. Pure functions over [`crate::record`].
//!
//! Reading order: `flapping` (verdicts.md 1) with `churn` and `starts`; `load`, `need`, `demand` and `flap_class` (did the load
//! ask for it, how bad is it); `causes` (why); `elasticity`, `accounting`, `slo` with `slo_minutes` and `slo_reasons`,
//! `summary`, `findings` with its subjects and `trigger_failures`, `gates`; over several runs `statistics` (verdicts.md 6), `flaps_over_seeds`,
//! `comparison` and `regret` (verdicts.md 5); under steady loads `stability_history`, `stability_noise`, `stability_class`
//! (verdicts.md 3).

mod accounting;
mod causes;
mod churn;
mod comparison;
mod demand;
mod elasticity;
mod figures;
mod finding_causes;
mod finding_flaps;
mod finding_metrics;
mod finding_paused;
mod finding_requests;
mod finding_rules;
mod finding_single_run;
mod findings;
mod flap_class;
mod flapping;
mod flaps_over_seeds;
mod fleet;
mod gates;
mod kpis;
mod load;
mod need;
mod regret;
mod replications;
mod slo;
mod slo_minutes;
mod slo_reasons;
mod stability_class;
mod stability_history;
mod stability_jump;
mod stability_noise;
mod starts;
mod statistics;
mod statistics_bootstrap;
mod statistics_paired;
mod statistics_steady;
mod summary;
mod trigger_failures;

pub use accounting::{GpuHours, gpu_hours, gpu_hours_with_window};
pub use causes::{
    Cause, CauseMatch, CauseShare, FlapCauses, NoiseIndex, cause_shares, flap_causes, noise_index, saturated_capacity,
};
pub use comparison::{
    Best, COMPARED, Compared, ComparedFigure, Difference, GoalsMet, best_policy, compare_pairs, goals_met,
};
pub use demand::{FlapDemand, flap_demand};
pub use elasticity::{Elasticity, elasticity, elasticity_of};
pub use figures::{FIGURES, Figure};
pub use finding_paused::ScalingDoubt;
pub use findings::findings;
pub use flap_class::{FlapClass, FlapVerdict, STABLE, flap_class};
pub use flapping::{
    Flapping, Period, Reversal, ReversalKind, ScaleEvent, ScaleMove, flap_window, flapping, rate_interval,
    scale_events, set_up_move,
};
pub use flaps_over_seeds::FlapsOverSeeds;
pub use fleet::FleetFigures;
pub use gates::{evaluate_gates, evaluate_gates_over_seeds};
pub use kpis::{KPIS, Kpi, KpiValues, PUBLISHED_KPIS, kpi_values};
pub use need::{FleetCapacity, Need, threshold_shares};
pub use regret::{Fleet, PayFindings, Regret, billed_hours, meets_slo, pay_findings, regret};
pub use replications::{FindingOverSeeds, Replications, replications};
pub use slo_minutes::{MissMinutes, recovery};
pub use slo_reasons::{MissExample, MissReason, MissReasons};
pub use stability_class::{
    NoiseFreeBand, NoiseFreeEnd, StabilityBand, StabilityClass, StabilityRow, band_edges, counts_text,
    noise_free_bands, stability_bands, stability_class, stability_findings,
};
pub use stability_history::{LoopEnd, ReplicaCycle, loop_end, replica_shares};
pub use stability_jump::{JumpCost, LoadStepUp, jump_cost};
pub use stability_noise::{NoisyLoad, SeedRun, Steadiness, steady_from};
pub use statistics::{
    CONFIDENCE, Estimate, FigureKind, IntervalRule, mean, nearest_rank, poisson_interval, seeds_needed,
    standard_deviation, t_interval, t_p_value, t_quantile,
};
pub use statistics_bootstrap::bootstrap_interval;
pub use statistics_paired::{DifferenceVerdict, PairedDifference, holm, paired_difference};
pub use statistics_steady::{BatchMeans, WarmupCut, batch_means, mser_of_means, mser5};
pub use summary::{
    Finding, GateResult, GateStatus, LatencySummary, SloObjective, Summary, Verdict, VerdictStatus, gates_status,
    summarize, summarize_with_capacity, summarize_with_need,
};

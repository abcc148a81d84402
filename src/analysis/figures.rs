//! Every figure of a run under its path in `summary.json`: what tables, sweeps and replications have a column or a row for.

use crate::analysis::statistics::FigureKind::{self, Mean, Percentile};
use crate::analysis::{MissReason, Summary};
use crate::units::SimDuration;

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// Its path in `summary.json`.
    pub path: &'static str,
    /// How it varies over seeds.
    pub kind: FigureKind,
    /// Its value; `None` where the run had nothing to measure.
    pub value: fn(&Summary) -> Option<f64>,
}

const fn figure(path: &'static str, kind: FigureKind, value: fn(&Summary) -> Option<f64>) -> Figure {
    Figure { path, kind, value }
}

/// All of them, in the order of `summary.json`.
pub const FIGURES: [Figure; 105] = [
    figure("durationSeconds", Mean, |s| Some(s.duration_seconds)),
    figure("requests.total", Mean, |s| Some(s.requests.total as f64)),
    figure("requests.completed", Mean, |s| Some(s.requests.completed as f64)),
    figure("requests.failed", Mean, |s| Some(s.requests.failed as f64)),
    figure("requests.timedOut", Mean, |s| Some(s.requests.timed_out as f64)),
    figure("requests.aborted", Mean, |s| Some(s.requests.aborted as f64)),
    figure("requests.rejected", Mean, |s| Some(s.requests.rejected as f64)),
    figure("requests.retried", Mean, |s| Some(s.requests.retried as f64)),
    figure("requests.inFlight", Mean, |s| Some(s.requests.in_flight as f64)),
    figure("requests.failedBy.refused", Mean, |s| Some(s.requests.refused as f64)),
    figure("requests.failedBy.killed", Mean, |s| Some(s.requests.killed as f64)),
    figure("requests.failedBy.unavailable", Mean, |s| Some(s.requests.unavailable as f64)),
    figure("requests.failedBy.error", Mean, |s| Some(s.requests.error as f64)),
    figure("ttftSeconds.mean", Mean, |s| s.ttft.mean),
    figure("ttftSeconds.p50", Percentile, |s| s.ttft.p50),
    figure("ttftSeconds.p90", Percentile, |s| s.ttft.p90),
    figure("ttftSeconds.p95", Percentile, |s| s.ttft.p95),
    figure("ttftSeconds.p99", Percentile, |s| s.ttft.p99),
    figure("ttftSeconds.max", Percentile, |s| s.ttft.max),
    figure("ttftSeconds.p50Completed", Percentile, |s| s.ttft.completed.and_then(|own| own[0])),
    figure("ttftSeconds.p90Completed", Percentile, |s| s.ttft.completed.and_then(|own| own[1])),
    figure("ttftSeconds.p95Completed", Percentile, |s| s.ttft.completed.and_then(|own| own[2])),
    figure("ttftSeconds.p99Completed", Percentile, |s| s.ttft.completed.and_then(|own| own[3])),
    figure("tpotSeconds.mean", Mean, |s| s.tpot.mean),
    figure("tpotSeconds.p50", Percentile, |s| s.tpot.p50),
    figure("tpotSeconds.p90", Percentile, |s| s.tpot.p90),
    figure("tpotSeconds.p95", Percentile, |s| s.tpot.p95),
    figure("tpotSeconds.p99", Percentile, |s| s.tpot.p99),
    figure("tpotSeconds.max", Percentile, |s| s.tpot.max),
    figure("tpotSeconds.p50Completed", Percentile, |s| s.tpot.completed.and_then(|own| own[0])),
    figure("tpotSeconds.p90Completed", Percentile, |s| s.tpot.completed.and_then(|own| own[1])),
    figure("tpotSeconds.p95Completed", Percentile, |s| s.tpot.completed.and_then(|own| own[2])),
    figure("tpotSeconds.p99Completed", Percentile, |s| s.tpot.completed.and_then(|own| own[3])),
    figure("itlSeconds.mean", Mean, |s| s.itl.mean),
    figure("itlSeconds.p50", Percentile, |s| s.itl.p50),
    figure("itlSeconds.p90", Percentile, |s| s.itl.p90),
    figure("itlSeconds.p95", Percentile, |s| s.itl.p95),
    figure("itlSeconds.p99", Percentile, |s| s.itl.p99),
    figure("itlSeconds.max", Percentile, |s| s.itl.max),
    figure("e2eSeconds.mean", Mean, |s| s.e2e.mean),
    figure("e2eSeconds.p50", Percentile, |s| s.e2e.p50),
    figure("e2eSeconds.p90", Percentile, |s| s.e2e.p90),
    figure("e2eSeconds.p95", Percentile, |s| s.e2e.p95),
    figure("e2eSeconds.p99", Percentile, |s| s.e2e.p99),
    figure("e2eSeconds.max", Percentile, |s| s.e2e.max),
    figure("e2eSeconds.p50Completed", Percentile, |s| s.e2e.completed.and_then(|own| own[0])),
    figure("e2eSeconds.p90Completed", Percentile, |s| s.e2e.completed.and_then(|own| own[1])),
    figure("e2eSeconds.p95Completed", Percentile, |s| s.e2e.completed.and_then(|own| own[2])),
    figure("e2eSeconds.p99Completed", Percentile, |s| s.e2e.completed.and_then(|own| own[3])),
    figure("queueSeconds.mean", Mean, |s| s.queue.mean),
    figure("queueSeconds.p50", Percentile, |s| s.queue.p50),
    figure("queueSeconds.p90", Percentile, |s| s.queue.p90),
    figure("queueSeconds.p95", Percentile, |s| s.queue.p95),
    figure("queueSeconds.p99", Percentile, |s| s.queue.p99),
    figure("queueSeconds.max", Percentile, |s| s.queue.max),
    figure("tokens.prompt", Mean, |s| Some(s.tokens_prompt as f64)),
    figure("tokens.generated", Mean, |s| Some(s.tokens_generated as f64)),
    figure("tokens.perSecond", Mean, |s| Some(s.tokens_per_second)),
    figure("tokens.completedPerSecond", Mean, |s| Some(s.tokens_completed_per_second)),
    figure("replicas.initial", Mean, |s| Some(f64::from(s.replicas_initial))),
    figure("replicas.final", Mean, |s| Some(f64::from(s.replicas_final))),
    figure("replicas.min", Percentile, |s| Some(f64::from(s.replicas_min))),
    figure("replicas.max", Percentile, |s| Some(f64::from(s.replicas_max))),
    figure("replicas.mean", Mean, |s| Some(s.replicas_mean)),
    figure("replicas.readyMean", Mean, |s| Some(s.ready_mean)),
    figure("scaling.ups", Mean, |s| Some(s.flapping.ups as f64)),
    figure("scaling.downs", Mean, |s| Some(s.flapping.downs as f64)),
    figure("scaling.reversals", Mean, |s| Some(s.flapping.reversals as f64)),
    figure("scaling.flaps", Mean, |s| Some(s.flapping.flaps as f64)),
    figure("scaling.flapsPerHour", Mean, |s| Some(s.flapping.flaps_per_hour)),
    figure("scaling.churnedReplicas", Mean, |s| Some(s.flapping.churned_replicas as f64)),
    figure("scaling.censoredStarts", Mean, |s| Some(s.flapping.censored_starts as f64)),
    figure("scaling.timeToFirstScaleUpSeconds", Mean, |s| {
        s.flapping.time_to_first_scale_up.map(SimDuration::as_secs_f64)
    }),
    figure("gpuHours.billed", Mean, |s| Some(s.gpu_hours.billed)),
    figure("gpuHours.starting", Mean, |s| Some(s.gpu_hours.starting)),
    figure("gpuHours.serving", Mean, |s| Some(s.gpu_hours.serving)),
    figure("gpuHours.idle", Mean, |s| Some(s.gpu_hours.idle)),
    figure("gpuHours.draining", Mean, |s| Some(s.gpu_hours.draining)),
    figure("gpuHours.wastedByFlapping", Mean, |s| Some(s.gpu_hours.wasted_by_flapping)),
    figure("replicaHours.billed", Mean, |s| Some(s.replica_hours.billed)),
    figure("replicaHours.starting", Mean, |s| Some(s.replica_hours.starting)),
    figure("replicaHours.serving", Mean, |s| Some(s.replica_hours.serving)),
    figure("replicaHours.idle", Mean, |s| Some(s.replica_hours.idle)),
    figure("replicaHours.draining", Mean, |s| Some(s.replica_hours.draining)),
    figure("replicaHours.wastedByFlapping", Mean, |s| Some(s.replica_hours.wasted_by_flapping)),
    figure("cost.total", Mean, |s| s.cost_total),
    figure("cost.perMillionTokens", Mean, |s| s.cost_per_million_tokens),
    figure("slo.attainment", Mean, |s| s.slo_attainment),
    figure("slo.goodputPerSecond", Mean, |s| s.slo_goodput),
    figure("slo.goodputPerGpuSecond", Mean, |s| s.slo_goodput_per_gpu),
    figure("slo.missMinutes", Mean, |s| s.slo_minutes.map(|own| own.violated)),
    figure("slo.longestMissStreakMinutes", Percentile, |s| s.slo_minutes.map(|own| own.longest_streak)),
    figure("slo.judgedMinutes", Mean, |s| s.slo_minutes.map(|own| own.judged)),
    figure("slo.missReasons.starting", Mean, |s| minutes_of(s, MissReason::Starting)),
    figure("slo.missReasons.atMaximum", Mean, |s| minutes_of(s, MissReason::AtMaximum)),
    figure("slo.missReasons.heldLow", Mean, |s| minutes_of(s, MissReason::HeldLow)),
    figure("slo.missReasons.noNode", Mean, |s| minutes_of(s, MissReason::NoNode)),
    figure("slo.missReasons.failure", Mean, |s| minutes_of(s, MissReason::Failure)),
    figure("slo.missReasons.noneAsked", Mean, |s| minutes_of(s, MissReason::NoneAsked)),
    figure("slo.maxBurnRate5m", Percentile, |s| s.slo_minutes.and_then(|own| own.max_burn_5m)),
    figure("slo.maxBurnRate1h", Percentile, |s| s.slo_minutes.and_then(|own| own.max_burn_1h)),
    figure("slo.monthBudgetUsed", Mean, |s| s.slo_minutes.and_then(|own| own.month_budget)),
    figure("kvCache.meanUsage", Mean, |s| Some(s.kv.mean_usage)),
    figure("kvCache.maxUsage", Percentile, |s| Some(s.kv.max_usage)),
    figure("kvCache.preemptions", Mean, |s| Some(s.kv.preemptions as f64)),
];

/// Minutes that missed the SLO for `reason`.
fn minutes_of(summary: &Summary, reason: MissReason) -> Option<f64> {
    summary.slo_reasons.map(|own| own.minutes(reason))
}

//! The summary of one run: the fields of `summary.json`, in its order.

use crate::analysis::finding_paused::scaling_doubt;
use crate::analysis::flapping::measured;
use crate::analysis::fleet::{FleetFigures, fleet_figures};
use crate::analysis::slo_minutes::{MissMinutes, miss_minutes};
use crate::analysis::slo_reasons::{MissReasons, miss_reasons};
use crate::analysis::{CauseShare, Elasticity, FlapDemand, FlapVerdict, Flapping, FleetCapacity, GpuHours, Need};
use crate::analysis::{ScalingDoubt, slo};
use crate::analysis::{cause_shares, elasticity, flap_causes, flap_class, flap_demand, flap_window, flapping};
use crate::analysis::{evaluate_gates, findings, gpu_hours_with_window};
use crate::record::{EventKind, KvTotals, LatencyHistogram, RequestTotals, RunInfo, RunRecord};
use crate::scenario::{AnalysisSettings, SloMetric};
use crate::units::{Severity, SimDuration, SimTime};

/// A run's summary.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Which run, and what its pictures need to know of it.
    pub run: RunInfo,
    /// Policy's name.
    pub policy: String,
    /// Scenario's name.
    pub scenario: String,
    /// Seed.
    pub seed: u64,
    /// Simulated time, seconds.
    pub duration_seconds: f64,
    /// Requests.
    pub requests: RequestTotals,
    /// ttftSeconds.
    pub ttft: LatencySummary,
    /// tpotSeconds.
    pub tpot: LatencySummary,
    /// itlSeconds.
    pub itl: LatencySummary,
    /// e2eSeconds.
    pub e2e: LatencySummary,
    /// queueSeconds.
    pub queue: LatencySummary,
    /// tokens.prompt.
    pub tokens_prompt: u64,
    /// tokens.generated.
    pub tokens_generated: u64,
    /// tokens.perSecond: all tokens over the run's measured time.
    pub tokens_per_second: f64,
    /// tokens.completedPerSecond: (prompt + output tokens of completed requests) / (first sent until last completed).
    pub tokens_completed_per_second: f64,
    /// replicas.initial, final, min, max of spec.replicas.
    pub replicas_initial: i32,
    /// See `replicas_initial`.
    pub replicas_final: i32,
    /// See `replicas_initial`.
    pub replicas_min: i32,
    /// See `replicas_initial`.
    pub replicas_max: i32,
    /// Time mean of spec.replicas.
    pub replicas_mean: f64,
    /// Time mean of ready pods.
    pub ready_mean: f64,
    /// scaling.
    pub flapping: Flapping,
    /// Whether the load asked for the flaps.
    pub demand: FlapDemand,
    /// How bad the flapping is.
    pub flap_verdict: FlapVerdict,
    /// Causes whose signatures match, the most suspected first.
    pub causes: Vec<CauseShare>,
    /// SPEC's elasticity metrics; `None` in a run of less than two steps of 15 s.
    pub elasticity: Option<Elasticity>,
    /// Why the run says nothing about how the policy scales.
    pub scaling_doubt: Option<ScalingDoubt>,
    /// gpuHours: pod time multiplied by GPUs per replica; all zero on CPU.
    pub gpu_hours: GpuHours,
    /// replicaHours: pod time, one per pod, whatever it runs on.
    pub replica_hours: GpuHours,
    /// cost.total, when a price per GPU-hour is given and replicas have GPUs.
    pub cost_total: Option<f64>,
    /// cost.perMillionTokens.
    pub cost_per_million_tokens: Option<f64>,
    /// slo.attainment: share of requests that met all objectives, those still open counted as misses; `None` without an SLO or
    /// without requests.
    pub slo_attainment: Option<f64>,
    /// slo.attainmentInterval: if all requests still open miss, and if all of them that can still meet it do.
    pub slo_attainment_interval: Option<(f64, f64)>,
    /// slo.perObjective.
    pub slo_objectives: Vec<SloObjective>,
    /// slo.goodputPerSecond: requests that met all objectives, per measured second.
    pub slo_goodput: Option<f64>,
    /// slo.goodputPerGpuSecond: the same, per second of a GPU that was billed; `None` on CPU.
    pub slo_goodput_per_gpu: Option<f64>,
    /// slo.missMinutes and so on.
    pub slo_minutes: Option<MissMinutes>,
    /// slo.missReasons: `None` where `slo_minutes` is.
    pub slo_reasons: Option<MissReasons>,
    /// Price of a GPU-hour, when one is given.
    pub gpu_hour_price: Option<f64>,
    /// What the table of key figures takes from the fleet.
    pub fleet: FleetFigures,
    /// kvCache.
    pub kv: KvTotals,
    /// verdict.
    pub verdict: Verdict,
}

/// Seconds; `None` without samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencySummary {
    /// Mean.
    pub mean: Option<f64>,
    /// Median.
    pub p50: Option<f64>,
    /// 90th percentile.
    pub p90: Option<f64>,
    /// 95th percentile.
    pub p95: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
    /// Largest of those that have the quantity.
    pub max: Option<f64>,
    /// p50, p90, p95 and p99 of the requests that have the quantity. The percentiles above rank failed and timed-out requests,
    /// and overdue ones, as infinitely slow. `None` for quantities that a failed request does not lack.
    pub completed: Option<[Option<f64>; 4]>,
}

/// One SLO objective and whether it was met.
#[derive(Clone, Debug, PartialEq)]
pub struct SloObjective {
    /// `ttft.p95`.
    pub name: String,
    /// Limit, seconds.
    pub limit: f64,
    /// Share of requests that must stay within the limit, 0..1.
    pub required: f64,
    /// Measured, seconds, failed requests ranked as infinitely slow; `None` when that makes it infinite, or without samples.
    pub value: Option<f64>,
    /// Whether value <= limit to the histogram's resolution (false without samples).
    pub met: bool,
    /// Share of requests that stayed within the limit, those still open counted as misses; `None` without requests.
    pub share_within: Option<f64>,
    /// The same if all requests still open miss, and if all of them that still can stay within the limit do.
    pub share_interval: Option<(f64, f64)>,
}

/// Outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Fail when a gate failed, undecided when one is undecided and none failed, else pass.
    pub status: VerdictStatus,
    /// Gates in the order given.
    pub gates: Vec<GateResult>,
    /// Findings, worst first.
    pub findings: Vec<Finding>,
}

/// See [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictStatus {
    /// All gates passed (or there are none).
    Pass,
    /// A gate failed.
    Fail,
    /// A gate could not be decided.
    Undecided,
}

/// See [`GateResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateStatus {
    /// Within the limit.
    Pass,
    /// Beyond the limit.
    Fail,
    /// Cannot say.
    Undecided,
}

/// One gate's result.
#[derive(Clone, Debug, PartialEq)]
pub struct GateResult {
    /// `flapsPerHour`, ...
    pub name: String,
    /// The limit.
    pub limit: f64,
    /// What was measured; `None` when there is nothing to measure.
    pub value: Option<f64>,
    /// 95 % interval (or of the level of `gates.confidence`), when known.
    pub interval: Option<(f64, f64)>,
    /// The interval's level: 0.95, or `gates.confidence`.
    pub confidence: f64,
    /// Result.
    pub status: GateStatus,
    /// When undecided by its interval: about how many more seeds decide it, if any number does.
    pub further_seeds: Option<u64>,
}

/// A conclusion.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// `query-matched-nothing`, `flapping`, ...
    pub code: String,
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// What it rests on, one fact each.
    pub evidence: Vec<String>,
}

/// Summarises `record`.
///
/// # Panics
/// When the request counters do not add up: that is a defect of the simulator, not of its input.
pub fn summarize(record: &RunRecord, settings: &AnalysisSettings) -> Summary {
    let need = Need::of_load(record, window_of(record, settings), ready_mean(record));
    summarize_with_need(record, settings, &need)
}

/// As [`summarize`], with flaps judged by what measured capacity needs for the offered load, and direction changes by the
/// `schedule` (start, replicas) of an oracle where there is one.
///
/// # Panics
/// As [`summarize`], and on a schedule that does not begin at the run's start.
pub fn summarize_with_capacity(
    record: &RunRecord,
    settings: &AnalysisSettings,
    capacity: &FleetCapacity<'_>,
    schedule: Option<Vec<(SimTime, i32)>>,
) -> Summary {
    let need = Need::of_capacity(record, window_of(record, settings), capacity);
    let need = match schedule {
        Some(steps) => need.answered_by(steps),
        None => need,
    };
    summarize_with_need(record, settings, &need)
}

/// The flap window in force.
fn window_of(record: &RunRecord, settings: &AnalysisSettings) -> SimDuration {
    settings.flap_window.unwrap_or_else(|| flap_window(record.info.startup_p50))
}

/// As [`summarize`], with flaps judged by `need` instead of the estimate from the offered load.
///
/// # Panics
/// As [`summarize`].
pub fn summarize_with_need(record: &RunRecord, settings: &AnalysisSettings, need: &Need) -> Summary {
    check_request_sum(&record.requests);
    let window = window_of(record, settings);
    let flapping = flapping(record, window);
    let demand = flap_demand(record, &flapping, need);
    let flap_verdict = flap_class(record, &flapping, &demand);
    let causes = cause_shares(&flap_causes(record, &flapping, &demand));
    let replicas = spec_replicas(record);
    let (_, measured_time) = measured(record);
    let tokens = &record.tokens;
    let sending = tokens.first_sent.zip(tokens.last_completed).map(|(first, last)| last.saturating_since(first));
    let completed_tokens = tokens.prompt_completed + tokens.generated_completed;
    let gpu_hours = gpu_hours_with_window(record, record.info.gpus_per_replica, window);
    let has_gpus = record.info.gpus_per_replica > 0;
    let cost_total = settings.gpu_hour_price.filter(|_| has_gpus).map(|price| price * gpu_hours.billed);
    let objectives = slo::objectives(record, &settings.slo);
    let attainment = slo::attainment(record, &settings.slo, &objectives);
    let good = slo::good_requests(record, &settings.slo).filter(|_| attainment.is_some()).map(|(lower, _)| lower);
    let gpu_seconds = 3600.0 * gpu_hours.billed;
    let counted = slo::is_counted(record, &settings.slo);
    let slo_minutes = if counted { miss_minutes(record, &settings.slo, measured_time) } else { None };
    let mut summary = Summary {
        run: record.info.clone(),
        policy: record.info.policy.clone(),
        scenario: record.info.scenario.clone(),
        seed: record.info.seed,
        duration_seconds: record.info.end.as_secs_f64(),
        requests: record.requests,
        ttft: slo::latency_with_losses(record, SloMetric::Ttft),
        tpot: slo::latency_with_losses(record, SloMetric::Tpot),
        itl: latency(&record.latencies.itl),
        e2e: slo::latency_with_losses(record, SloMetric::E2e),
        queue: latency(&record.latencies.queue),
        tokens_prompt: tokens.prompt,
        tokens_generated: tokens.generated,
        tokens_per_second: per(tokens.prompt + tokens.generated, measured_time.as_secs_f64_exact()),
        tokens_completed_per_second: per(completed_tokens, sending.map_or(0.0, SimDuration::as_secs_f64_exact)),
        replicas_initial: record.info.initial_replicas,
        replicas_final: replicas.last,
        replicas_min: replicas.min,
        replicas_max: replicas.max,
        replicas_mean: replicas.mean,
        ready_mean: ready_mean(record),
        flapping,
        demand,
        flap_verdict,
        causes,
        elasticity: elasticity(record, need),
        scaling_doubt: scaling_doubt(record),
        gpu_hours,
        replica_hours: gpu_hours_with_window(record, 1, window),
        cost_total,
        cost_per_million_tokens: cost_total
            .filter(|_| completed_tokens > 0)
            .map(|cost| cost / (completed_tokens as f64 / 1e6)),
        slo_attainment: attainment.map(|(lower, _)| lower),
        slo_attainment_interval: attainment,
        slo_objectives: objectives,
        slo_goodput: good
            .filter(|_| !measured_time.is_zero())
            .map(|good| good as f64 / measured_time.as_secs_f64_exact()),
        slo_goodput_per_gpu: good.filter(|_| gpu_seconds > 0.0).map(|good| good as f64 / gpu_seconds),
        slo_minutes,
        slo_reasons: slo_minutes.map(|_| miss_reasons(record, &settings.slo, need)),
        gpu_hour_price: settings.gpu_hour_price,
        fleet: fleet_figures(record),
        kv: record.kv,
        verdict: Verdict { status: VerdictStatus::Pass, gates: Vec::new(), findings: Vec::new() },
    };
    summary.verdict.gates = evaluate_gates(&summary, settings);
    summary.verdict.status = gates_status(&summary.verdict.gates);
    summary.verdict.findings = findings(record, &summary, settings);
    summary
}

/// Fail when a gate failed, undecided when one is undecided and none failed, else pass.
pub fn gates_status(gates: &[GateResult]) -> VerdictStatus {
    let any = |status: GateStatus| gates.iter().any(|gate| gate.status == status);
    match (any(GateStatus::Fail), any(GateStatus::Undecided)) {
        (true, _) => VerdictStatus::Fail,
        (false, true) => VerdictStatus::Undecided,
        (false, false) => VerdictStatus::Pass,
    }
}

fn check_request_sum(requests: &RequestTotals) {
    let RequestTotals { completed, failed, timed_out, aborted, rejected, in_flight, .. } = *requests;
    let ended = completed + failed + timed_out + aborted + rejected;
    assert_eq!(requests.total, ended + in_flight, "every request has one outcome: {requests:?}");
    let causes = requests.refused + requests.killed + requests.unavailable + requests.error;
    assert_eq!(failed, causes, "every failed request has one cause: {requests:?}");
}

fn per(amount: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount as f64 / seconds } else { 0.0 }
}

fn latency(histogram: &LatencyHistogram) -> LatencySummary {
    LatencySummary {
        mean: histogram.mean_seconds(),
        p50: histogram.quantile_seconds(0.50),
        p90: histogram.quantile_seconds(0.90),
        p95: histogram.quantile_seconds(0.95),
        p99: histogram.quantile_seconds(0.99),
        max: histogram.max_seconds(),
        completed: None,
    }
}

/// `spec.replicas` over the measured interval.
pub(super) struct SpecReplicas {
    pub(super) last: i32,
    pub(super) min: i32,
    pub(super) max: i32,
    pub(super) mean: f64,
}

/// See [`SpecReplicas`].
pub(super) fn spec_replicas(record: &RunRecord) -> SpecReplicas {
    let (start, measured_time) = measured(record);
    let mut current = record.info.initial_replicas;
    let mut since = start;
    let mut levels: Option<(i32, i32)> = None;
    let mut area: i128 = 0;
    let mut hold = |from: SimTime, until: SimTime, level: i32| {
        let (low, high) = levels.unwrap_or((level, level));
        levels = Some((low.min(level), high.max(level)));
        area += i128::from(level) * i128::from(until.saturating_since(from).as_ps());
    };
    for event in &record.events {
        let EventKind::Scaled { to, .. } = event.kind else { continue };
        if event.t > start {
            hold(since, event.t, current);
            since = event.t;
        }
        current = to;
    }
    hold(since, record.info.end, current);
    let (min, max) = levels.unwrap_or((current, current));
    let mean = if measured_time.is_zero() { f64::from(current) } else { area as f64 / measured_time.as_ps() as f64 };
    SpecReplicas { last: current, min, max, mean }
}

/// Time mean of pods that are Ready and not deleted, over the measured interval.
fn ready_mean(record: &RunRecord) -> f64 {
    let (start, measured_time) = measured(record);
    let ready_time = |pod: &crate::record::PodRecord| {
        let until = pod.deleted.or(pod.gone).unwrap_or(record.info.end).min(record.info.end);
        pod.ready.map_or(0, |ready| u128::from(until.saturating_since(ready.max(start)).as_ps()))
    };
    let total: u128 = record.pods.iter().map(ready_time).sum();
    if measured_time.is_zero() { 0.0 } else { total as f64 / measured_time.as_ps() as f64 }
}

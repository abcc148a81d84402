//! `summary.json`: the summary as programs read it. The names are a contract.

use crate::analysis::{
    CONFIDENCE, Elasticity, GateResult, GateStatus, GpuHours, LatencySummary, MissReason, MissReasons, Period, Summary,
    VerdictStatus, kpi_values,
};
use crate::record::{RunInfo, SCHEMA_VERSION};
use crate::report::kpi_table::KpiObject;
use crate::units::{Severity, SimDuration};
use serde::Serialize;
use std::collections::BTreeMap;

/// The files of a run's directory that carry a layout version, as `summary.json` lists them. CSV has no place for one.
pub(super) const RUN_FILES: [&str; 5] =
    ["decisions.jsonl", "events.jsonl", "policy.yaml", "scenario.yaml", "timeline.csv"];

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryFile<'a> {
    schema_version: u32,
    kind: &'static str,
    policy: &'a str,
    scenario: &'a str,
    seed: u64,
    duration_seconds: f64,
    verdict: VerdictBlock<'a>,
    requests: Requests,
    ttft_seconds: Latency,
    tpot_seconds: Latency,
    itl_seconds: Latency,
    e2e_seconds: Latency,
    queue_seconds: Latency,
    tokens: Tokens,
    replicas: Replicas,
    scaling: Scaling<'a>,
    gpu_hours: Hours,
    replica_hours: Hours,
    cost: Cost,
    slo: Slo<'a>,
    kv_cache: KvCache,
    kpis: KpiObject<'a>,
    run: &'a RunInfo,
    files: BTreeMap<&'static str, FileVersion>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileVersion {
    schema_version: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Requests {
    total: u64,
    completed: u64,
    failed: u64,
    timed_out: u64,
    aborted: u64,
    rejected: u64,
    retried: u64,
    in_flight: u64,
    failed_by: FailedBy,
}

#[derive(Serialize)]
struct FailedBy {
    refused: u64,
    killed: u64,
    unavailable: u64,
    error: u64,
}

#[derive(Serialize)]
struct Latency {
    mean: Option<f64>,
    p50: Option<f64>,
    p90: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
    #[serde(flatten)]
    losses: Losses,
}

/// What failed requests do to percentiles: which of them are infinite, and what they are without them.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Losses {
    #[serde(rename = "p50IsInf", skip_serializing_if = "Option::is_none")]
    p50_is_inf: Option<bool>,
    #[serde(rename = "p90IsInf", skip_serializing_if = "Option::is_none")]
    p90_is_inf: Option<bool>,
    #[serde(rename = "p95IsInf", skip_serializing_if = "Option::is_none")]
    p95_is_inf: Option<bool>,
    #[serde(rename = "p99IsInf", skip_serializing_if = "Option::is_none")]
    p99_is_inf: Option<bool>,
    #[serde(flatten)]
    completed: Option<Completed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Completed {
    p50_completed: Option<f64>,
    p90_completed: Option<f64>,
    p95_completed: Option<f64>,
    p99_completed: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    prompt: u64,
    generated: u64,
    per_second: f64,
    completed_per_second: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replicas {
    initial: i32,
    #[serde(rename = "final")]
    last: i32,
    min: i32,
    max: i32,
    mean: f64,
    ready_mean: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scaling<'a> {
    ups: u64,
    downs: u64,
    reversals: u64,
    flaps: u64,
    flaps_per_hour: f64,
    flaps_per_hour_interval: [f64; 2],
    flap_window_seconds: f64,
    churned_replicas: u64,
    censored_starts: u64,
    time_to_first_scale_up_seconds: Option<f64>,
    class: &'static str,
    class_decided: bool,
    period: &'static str,
    period_seconds: Option<f64>,
    largest_amplitude: Option<i64>,
    mean_amplitude: Option<f64>,
    justified_flaps: u64,
    spurious_flaps: u64,
    uneconomic_flaps: u64,
    reversal_excess_per_hour: f64,
    need: &'a str,
    starts: u64,
    kept_starts: u64,
    wasted_starts: u64,
    starts_per_hour: f64,
    max_starts_in10min: u64,
    flap_load: f64,
    flap_load_interval: [f64; 2],
    elasticity: Option<ElasticityBlock>,
    causes: Vec<CauseBlock<'a>>,
}

/// SPEC's elasticity metrics (verdicts.md 1.7), shares.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ElasticityBlock {
    under_provisioning: f64,
    over_provisioning: f64,
    under_time: f64,
    over_time: f64,
    instability: f64,
    jitter_per_hour: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseBlock<'a> {
    cause: &'static str,
    title: &'static str,
    suspected_flaps: u64,
    matched_flaps: u64,
    example: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hours {
    billed: f64,
    starting: f64,
    serving: f64,
    idle: f64,
    draining: f64,
    wasted_by_flapping: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    total: Option<f64>,
    per_million_tokens: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Slo<'a> {
    attainment: Option<f64>,
    attainment_interval: Option<(f64, f64)>,
    per_objective: Vec<Objective<'a>>,
    goodput_per_second: Option<f64>,
    goodput_per_gpu_second: Option<f64>,
    miss_minutes: Option<f64>,
    longest_miss_streak_minutes: Option<f64>,
    judged_minutes: Option<f64>,
    miss_reasons: Option<MissMinutesBy>,
    #[serde(rename = "maxBurnRate5m")]
    max_burn_rate_5m: Option<f64>,
    #[serde(rename = "maxBurnRate1h")]
    max_burn_rate_1h: Option<f64>,
    month_budget_used: Option<f64>,
}

/// Minutes of `missMinutes` by their reason.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MissMinutesBy {
    starting: f64,
    at_maximum: f64,
    held_low: f64,
    no_node: f64,
    failure: f64,
    none_asked: f64,
}

impl MissMinutesBy {
    fn of(reasons: &MissReasons) -> Self {
        let of = |reason| reasons.minutes(reason);
        MissMinutesBy {
            starting: of(MissReason::Starting),
            at_maximum: of(MissReason::AtMaximum),
            held_low: of(MissReason::HeldLow),
            no_node: of(MissReason::NoNode),
            failure: of(MissReason::Failure),
            none_asked: of(MissReason::NoneAsked),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Objective<'a> {
    name: &'a str,
    limit: f64,
    value: Option<f64>,
    met: bool,
    share_within: Option<f64>,
    share_interval: Option<(f64, f64)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct KvCache {
    mean_usage: f64,
    max_usage: f64,
    preemptions: u64,
}

#[derive(Serialize)]
struct VerdictBlock<'a> {
    status: &'static str,
    gates: Vec<Gate<'a>>,
    findings: Vec<FindingBlock<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Gate<'a> {
    name: &'a str,
    limit: f64,
    value: Option<f64>,
    interval: Option<[f64; 2]>,
    status: &'static str,
    /// The interval's level, when it is not 0.95.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    further_seeds: Option<u64>,
}

#[derive(Serialize)]
struct FindingBlock<'a> {
    code: &'a str,
    severity: Severity,
    message: &'a str,
    evidence: &'a [String],
}

/// `summary.json`, indented, with a final newline.
pub fn summary_json(summary: &Summary) -> String {
    let kpis = kpi_values(std::slice::from_ref(summary));
    let file = SummaryFile {
        schema_version: SCHEMA_VERSION,
        kind: "run",
        policy: &summary.policy,
        scenario: &summary.scenario,
        seed: summary.seed,
        duration_seconds: summary.duration_seconds,
        verdict: verdict(summary),
        requests: requests(summary),
        ttft_seconds: latency(&summary.ttft),
        tpot_seconds: latency(&summary.tpot),
        itl_seconds: latency(&summary.itl),
        e2e_seconds: latency(&summary.e2e),
        queue_seconds: latency(&summary.queue),
        tokens: Tokens {
            prompt: summary.tokens_prompt,
            generated: summary.tokens_generated,
            per_second: summary.tokens_per_second,
            completed_per_second: summary.tokens_completed_per_second,
        },
        replicas: Replicas {
            initial: summary.replicas_initial,
            last: summary.replicas_final,
            min: summary.replicas_min,
            max: summary.replicas_max,
            mean: summary.replicas_mean,
            ready_mean: summary.ready_mean,
        },
        scaling: scaling(summary),
        gpu_hours: hours(&summary.gpu_hours),
        replica_hours: hours(&summary.replica_hours),
        cost: Cost { total: summary.cost_total, per_million_tokens: summary.cost_per_million_tokens },
        slo: slo(summary),
        kv_cache: KvCache {
            mean_usage: summary.kv.mean_usage,
            max_usage: summary.kv.max_usage,
            preemptions: summary.kv.preemptions,
        },
        kpis: KpiObject(&kpis),
        run: &summary.run,
        files: RUN_FILES.into_iter().map(|name| (name, FileVersion { schema_version: SCHEMA_VERSION })).collect(),
    };
    pretty(&file)
}

/// Indented JSON with a final newline.
pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("our own structs always serialise");
    text.push('\n');
    text
}

/// The word of a verdict.
pub(super) fn status_word(status: VerdictStatus) -> &'static str {
    match status {
        VerdictStatus::Pass => "pass",
        VerdictStatus::Fail => "fail",
        VerdictStatus::Undecided => "undecided",
    }
}

/// The word of a gate's result.
pub(super) fn gate_word(status: GateStatus) -> &'static str {
    match status {
        GateStatus::Pass => "pass",
        GateStatus::Fail => "fail",
        GateStatus::Undecided => "undecided",
    }
}

fn verdict(summary: &Summary) -> VerdictBlock<'_> {
    let verdict = &summary.verdict;
    let gates = verdict.gates.iter().map(gate_block);
    let findings = verdict.findings.iter().map(|finding| FindingBlock {
        code: &finding.code,
        severity: finding.severity,
        message: &finding.message,
        evidence: &finding.evidence,
    });
    VerdictBlock { status: status_word(verdict.status), gates: gates.collect(), findings: findings.collect() }
}

/// A gate as it stands in the file.
pub(super) fn gate_block(gate: &GateResult) -> Gate<'_> {
    Gate {
        name: &gate.name,
        limit: gate.limit,
        value: gate.value,
        interval: gate.interval.map(|(low, high)| [low, high]),
        status: gate_word(gate.status),
        confidence: (gate.confidence != CONFIDENCE).then_some(gate.confidence),
        further_seeds: gate.further_seeds,
    }
}

fn requests(summary: &Summary) -> Requests {
    let requests = &summary.requests;
    Requests {
        total: requests.total,
        completed: requests.completed,
        failed: requests.failed,
        timed_out: requests.timed_out,
        aborted: requests.aborted,
        rejected: requests.rejected,
        retried: requests.retried,
        in_flight: requests.in_flight,
        failed_by: FailedBy {
            refused: requests.refused,
            killed: requests.killed,
            unavailable: requests.unavailable,
            error: requests.error,
        },
    }
}

fn latency(latency: &LatencySummary) -> Latency {
    let LatencySummary { mean, p50, p90, p95, p99, max, completed } = *latency;
    let flag = |value: Option<f64>| value.is_some_and(f64::is_infinite).then_some(true);
    let completed = completed.map(|[p50_completed, p90_completed, p95_completed, p99_completed]| Completed {
        p50_completed,
        p90_completed,
        p95_completed,
        p99_completed,
    });
    let losses = Losses {
        p50_is_inf: flag(p50),
        p90_is_inf: flag(p90),
        p95_is_inf: flag(p95),
        p99_is_inf: flag(p99),
        completed,
    };
    // An infinity is null in JSON.
    Latency { mean, p50, p90, p95, p99, max, losses }
}

fn scaling(summary: &Summary) -> Scaling<'_> {
    let Summary { flapping, demand, flap_verdict, .. } = summary;
    let (low, high) = flapping.flaps_per_hour_interval;
    let amplitudes = flapping.amplitudes();
    let (period, period_seconds) = match flapping.period {
        Period::None => ("none", None),
        Period::Irregular => ("irregular", None),
        Period::Regular(period) => ("regular", Some(period.as_secs_f64())),
    };
    let causes = summary.causes.iter().map(|own| CauseBlock {
        cause: own.cause.code(),
        title: own.cause.title(),
        suspected_flaps: own.suspected,
        matched_flaps: own.matched,
        example: &own.example,
    });
    Scaling {
        ups: flapping.ups,
        downs: flapping.downs,
        reversals: flapping.reversals,
        flaps: flapping.flaps,
        flaps_per_hour: flapping.flaps_per_hour,
        flaps_per_hour_interval: [low, high],
        flap_window_seconds: flapping.window.as_secs_f64(),
        churned_replicas: flapping.churned_replicas,
        censored_starts: flapping.censored_starts,
        time_to_first_scale_up_seconds: flapping.time_to_first_scale_up.map(SimDuration::as_secs_f64),
        class: flap_verdict.class.word(),
        class_decided: flap_verdict.decided,
        period,
        period_seconds,
        largest_amplitude: amplitudes.map(|(largest, _)| largest),
        mean_amplitude: amplitudes.map(|(_, mean)| mean),
        justified_flaps: demand.justified_flaps,
        spurious_flaps: demand.spurious_flaps,
        uneconomic_flaps: demand.uneconomic_flaps,
        reversal_excess_per_hour: demand.reversal_excess,
        need: &demand.provenance,
        starts: flapping.starts,
        kept_starts: flapping.kept_starts,
        wasted_starts: flapping.wasted_starts,
        starts_per_hour: flapping.starts_per_hour,
        max_starts_in10min: flapping.max_starts_in_10min,
        flap_load: flapping.flap_load,
        flap_load_interval: [flapping.flap_load_interval.0, flapping.flap_load_interval.1],
        elasticity: summary.elasticity.map(elasticity),
        causes: causes.collect(),
    }
}

fn elasticity(own: Elasticity) -> ElasticityBlock {
    ElasticityBlock {
        under_provisioning: own.under_provisioning,
        over_provisioning: own.over_provisioning,
        under_time: own.under_time,
        over_time: own.over_time,
        instability: own.instability,
        jitter_per_hour: own.jitter_per_hour,
    }
}

fn hours(hours: &GpuHours) -> Hours {
    Hours {
        billed: hours.billed,
        starting: hours.starting,
        serving: hours.serving,
        idle: hours.idle,
        draining: hours.draining,
        wasted_by_flapping: hours.wasted_by_flapping,
    }
}

fn slo(summary: &Summary) -> Slo<'_> {
    let objectives = summary.slo_objectives.iter().map(|objective| Objective {
        name: &objective.name,
        limit: objective.limit,
        value: objective.value,
        met: objective.met,
        share_within: objective.share_within,
        share_interval: objective.share_interval,
    });
    let minutes = summary.slo_minutes;
    Slo {
        attainment: summary.slo_attainment,
        attainment_interval: summary.slo_attainment_interval,
        per_objective: objectives.collect(),
        goodput_per_second: summary.slo_goodput,
        goodput_per_gpu_second: summary.slo_goodput_per_gpu,
        miss_minutes: minutes.map(|own| own.violated),
        longest_miss_streak_minutes: minutes.map(|own| own.longest_streak),
        judged_minutes: minutes.map(|own| own.judged),
        miss_reasons: summary.slo_reasons.as_ref().map(MissMinutesBy::of),
        max_burn_rate_5m: minutes.and_then(|own| own.max_burn_5m),
        max_burn_rate_1h: minutes.and_then(|own| own.max_burn_1h),
        month_budget_used: minutes.and_then(|own| own.month_budget),
    }
}

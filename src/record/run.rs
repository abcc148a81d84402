//! All of one run.

use crate::record::{
    DecisionRecord, Event, FleetSums, LatencyHistogram, LatencyRecorder, LoopInfo, PodRecord, SloTally, Timeline,
};
use crate::units::{SimDuration, SimTime};

/// Everything that one run recorded.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Which run.
    pub info: RunInfo,
    /// What the loop was set to.
    pub loop_info: LoopInfo,
    /// Decisions in time order.
    pub decisions: Vec<DecisionRecord>,
    /// Events in time order.
    pub events: Vec<Event>,
    /// Samples.
    pub timeline: Timeline,
    /// Pods in order of creation, those still there at the end included.
    pub pods: Vec<PodRecord>,
    /// Requests.
    pub requests: RequestTotals,
    /// Requests that had not ended at the end, of those sent after the warm-up, in order of sending.
    pub open_requests: Vec<OpenRequest>,
    /// Of the failed and timed out requests: those whose first token had come.
    pub lost_after_first_token: u64,
    /// Latencies.
    pub latencies: Latencies,
    /// Tokens.
    pub tokens: TokenTotals,
    /// KV cache.
    pub kv: KvTotals,
    /// What requests met of the SLO.
    pub slo: SloTally,
    /// What is asked of the fleet as a mean over time.
    pub fleet: FleetSums,
    /// Per trigger and selector: whether it ever matched a series.
    pub selectors: Vec<SelectorRecord>,
}

/// Which run.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// Name of the policy (the ScaledObject's).
    pub policy: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the traffic, "" when nobody named it.
    #[serde(default)]
    pub traffic: String,
    /// Name of the engine's profile.
    #[serde(default)]
    pub profile: String,
    /// Seed.
    pub seed: u64,
    /// When it ended.
    pub end: SimTime,
    /// Left out of the statistics at the beginning.
    pub warmup: SimDuration,
    /// `spec.replicas` at the start.
    pub initial_replicas: i32,
    /// GPUs per replica, 0 on CPU.
    pub gpus_per_replica: u32,
    /// Smallest and largest count the policy allows.
    pub min_replicas: i32,
    /// See `min_replicas`.
    pub max_replicas: i32,
    /// Median start-up time of a pod (created to routable), for the flap window.
    pub startup_p50: SimDuration,
    /// The triggers, in order.
    pub triggers: Vec<TriggerInfo>,
    /// Whether the HPA and KEDA were off (`--fixed-replicas`).
    pub fixed_replicas: bool,
    /// Whether an annotation pauses the ScaledObject: no scale loop and no HPA.
    #[serde(default)]
    pub paused: bool,
    /// Whether a run without a duration was ended because its replicas never settled.
    #[serde(default)]
    pub unsettled: bool,
    /// Whether nobody gave `initial_replicas`.
    #[serde(default)]
    pub initial_assumed: bool,
    /// The usage/target ratios that the HPA takes for 1 (its tolerance), the edges included.
    #[serde(default = "default_band")]
    pub tolerance_band: (f64, f64),
}

/// The controller's default tolerance.
fn default_band() -> (f64, f64) {
    (0.9, 1.1)
}

/// A trigger as plots and tables name it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerInfo {
    /// `s0-prometheus`.
    pub name: String,
    /// The query on one line.
    pub query: String,
    /// Threshold as written.
    pub threshold: f64,
    /// `AverageValue`, `Value` or `Utilization`.
    #[serde(rename = "type")]
    pub target_type: String,
    /// `prometheus`, `cron`, `cpu`, ...; `composite` for a formula.
    #[serde(default)]
    pub kind: String,
    /// The series that the user gave in place of its value; `None` when the simulator produces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Requests by outcome. `total = completed + failed + timed_out + aborted + rejected + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestTotals {
    /// Sent.
    pub total: u64,
    /// Delivered whole.
    pub completed: u64,
    /// Failed for a reason of the system's.
    pub failed: u64,
    /// Client timeout.
    pub timed_out: u64,
    /// User left.
    pub aborted: u64,
    /// 4xx of the client's making.
    pub rejected: u64,
    /// With more than one attempt.
    pub retried: u64,
    /// Not ended at the end of the run.
    pub in_flight: u64,
    /// Of `failed`: connection refused (no routable pod, or it no longer accepts).
    pub refused: u64,
    /// Of `failed`: cut by a pod's end.
    pub killed: u64,
    /// Of `failed`: 503.
    pub unavailable: u64,
    /// Of `failed`: other.
    pub error: u64,
}

/// A request that had not ended at the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Time since it was sent.
    pub age: SimDuration,
    /// Whether its first token had come.
    pub first_token_came: bool,
}

/// Latency histograms of requests that were sent after the warm-up: `ttft` of all whose first token came, the others of
/// those that completed.
#[derive(Clone, Debug, Default)]
pub struct Latencies<H = LatencyHistogram> {
    /// Arrival to first token.
    pub ttft: H,
    /// (last token - first token) / (tokens - 1), of requests with at least two tokens.
    pub tpot: H,
    /// Gaps between consecutive tokens of a request, as the engine emitted them (after the warm-up).
    pub itl: H,
    /// Arrival to last token.
    pub e2e: H,
    /// Arrival to first scheduled.
    pub queue: H,
}

impl Latencies<LatencyRecorder> {
    /// What was recorded.
    pub fn finish(self) -> Latencies {
        Latencies {
            ttft: self.ttft.finish(),
            tpot: self.tpot.finish(),
            itl: self.itl.finish(),
            e2e: self.e2e.finish(),
            queue: self.queue.finish(),
        }
    }
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenTotals {
    /// Prompt tokens of completed requests.
    pub prompt_completed: u64,
    /// Tokens generated by completed requests.
    pub generated_completed: u64,
    /// Prompt tokens of all requests that got a first token.
    pub prompt: u64,
    /// Tokens generated, those of failed requests included.
    pub generated: u64,
    /// First request sent.
    pub first_sent: Option<SimTime>,
    /// Last request completed.
    pub last_completed: Option<SimTime>,
}

/// KV cache use over serving pods.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KvTotals {
    /// Mean of the timeline's samples after the warm-up (each the mean over serving pods).
    pub mean_usage: f64,
    /// Largest of any pod at the end of any step, the warm-up included.
    pub max_usage: f64,
    /// Preemptions, those of the warm-up included.
    pub preemptions: u64,
}

/// Whether a selector ever matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorRecord {
    /// Trigger name.
    pub trigger: String,
    /// Selector as written.
    pub selector: String,
    /// Whether it matched.
    pub matched: bool,
    /// What is nearest when it did not.
    pub nearest: Option<String>,
    /// Place of the query in the user's file.
    pub place: String,
}

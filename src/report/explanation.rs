//! What `kedasim explain` tells: one moment of a run, from samples to pods. Plain numbers, filled in by the command; the
//! text and the JSON are two forms of it.

use crate::record::SCHEMA_VERSION;
use crate::report::json::pretty;
use crate::units::{SimDuration, SimTime};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;

/// One moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Policy, scenario and seed of the run.
    pub policy: String,
    /// See `policy`.
    pub scenario: String,
    /// See `policy`.
    pub seed: u64,
    /// The moment asked for.
    pub at: SimTime,
    /// The run's end.
    pub end: SimTime,
    /// `spec.replicas` then.
    pub spec_replicas: i32,
    /// Its bounds.
    pub min_replicas: i32,
    /// See `min_replicas`.
    pub max_replicas: i32,
    /// The pods that are there, oldest first.
    pub pods: Vec<PodNow>,
    /// Faults of the Scenario that are in force.
    pub faults: Vec<String>,
    /// The last HPA sync at or before the moment.
    pub sync: Option<SyncExplained>,
    /// The first one after it.
    pub next_sync: Option<SimTime>,
    /// The last KEDA poll at or before the moment.
    pub poll: Option<PollExplained>,
    /// The first one after it.
    pub next_poll: Option<SimTime>,
    /// What happened after the sync (or the poll, without one) up to the moment.
    pub since: Vec<EventLine>,
}

/// A pod.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodNow {
    /// Its name.
    pub name: String,
    /// The state it is in: `created`, `scheduled`, `loading`, `listening`, `ready`, `routable`, `deleted`.
    pub state: String,
    /// Since when; `None`: since before the run.
    pub since: Option<SimTime>,
    /// The states before, with their times.
    pub history: Vec<EventLine>,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct EventLine {
    /// When.
    pub t: SimTime,
    /// What.
    pub what: String,
}

/// A sync of the HPA controller.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncExplained {
    /// When.
    pub t: SimTime,
    /// What it read of the target.
    pub spec_replicas: i32,
    /// See `spec_replicas`.
    pub status_replicas: i32,
    /// See `spec_replicas`.
    pub ready_replicas: i32,
    /// The usage/target ratios that count as 1.
    pub tolerance_band: (f64, f64),
    /// What it knew of each metric.
    pub metrics: Vec<MetricExplained>,
    /// The largest proposal.
    pub metric_desired: Option<i32>,
    /// The windows; `None` when the sync did not come so far.
    pub windows: Option<Windows>,
    /// Scaling policies and bounds; `None` when the sync did not come so far.
    pub limits: Option<Limits>,
    /// `spec.replicas` after it.
    pub new_replicas: i32,
    /// Whether it was written.
    pub rescaled: bool,
    /// `type: status reason: message`.
    pub conditions: Vec<String>,
    /// All in a sentence, as in `decisions.jsonl`.
    pub explanation: String,
}

/// A poll of KEDA's scale loop.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PollExplained {
    /// When.
    pub t: SimTime,
    /// What it knew of each trigger.
    pub metrics: Vec<MetricExplained>,
    /// Whether the object was active.
    pub active: bool,
    /// The row of the scale loop's table.
    pub rule: String,
    /// `none`, `activate`, ...
    pub action: String,
    /// `spec.replicas` before.
    pub spec_replicas: i32,
    /// And after.
    pub new_replicas: i32,
    /// All in a sentence.
    pub explanation: String,
}

/// A metric from the samples to its proposal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricExplained {
    /// Its name in the HPA.
    pub trigger: String,
    /// What a formula calls it, when it has a name.
    pub name: Option<String>,
    /// `prometheus`, `cron`, ...
    pub kind: String,
    /// What was asked.
    pub query: String,
    /// When.
    pub query_time: SimTime,
    /// The query with its samples, of a trigger that asks Prometheus; `None` where it was not answered.
    pub samples: Option<QueryExplained>,
    /// What the trigger read.
    #[serde(serialize_with = "optional_number")]
    pub value: Option<f64>,
    /// What the HPA was told, in thousandths.
    pub milli: Option<i64>,
    /// Its target, in thousandths.
    pub target_milli: i64,
    /// `AverageValue`, `Value` or `Utilization`.
    #[serde(rename = "type")]
    pub target_type: String,
    /// The value above which the trigger is active, where there is one.
    pub activation: Option<f64>,
    /// Whether it was; `None` when it failed.
    pub active: Option<bool>,
    /// Whether `milli` is a fallback's.
    pub fallback: bool,
    /// Whether it was not asked now.
    pub cached: bool,
    /// The ratio that tolerance was tested on.
    #[serde(serialize_with = "optional_number")]
    pub ratio: Option<f64>,
    /// The test's outcome.
    pub within_tolerance: Option<bool>,
    /// The count that this metric alone asks for.
    pub proposal: Option<i32>,
    /// Why there is no value.
    pub error: Option<String>,
    /// The proposal in a sentence; empty in a poll.
    pub why: String,
}

/// A query at work.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryExplained {
    /// The instant it was asked about, seconds since the Unix epoch.
    pub unix_seconds: f64,
    /// Its operations, the last one first; each before its operands.
    pub parts: Vec<PartExplained>,
}

/// An operation or selector of a query.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartExplained {
    /// How many operations it stands below.
    pub depth: usize,
    /// As a query of its own.
    pub text: String,
    /// The same to be read: without a selector's matchers.
    #[serde(skip)]
    pub short: String,
    /// What it does; empty for a selector.
    pub operation: String,
    /// What it gives; of a range selector nothing.
    pub answer: Vec<Element>,
    /// Of a range selector: where it looks.
    pub window: Option<WindowLooked>,
    /// Of a range selector: the samples in the window.
    pub series: Vec<SeriesSamples>,
}

/// A value with its labels.
#[derive(Clone, Debug, Serialize)]
pub struct Element {
    /// All of them; none for a number without labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    #[serde(serialize_with = "number")]
    pub value: f64,
    /// Of an instant selector: when it was scraped, seconds since the run's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t: Option<f64>,
}

/// The window of a range selector, seconds since the run's start.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowLooked {
    /// Where it begins.
    pub from: f64,
    /// Whether a sample exactly there is outside (Prometheus 3).
    pub open: bool,
    /// Where it ends.
    pub to: f64,
}

/// A series in a window.
#[derive(Clone, Debug, Serialize)]
pub struct SeriesSamples {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// (seconds since the run's start, value).
    pub samples: Vec<(f64, f64)>,
    /// Under `rate`, `increase` and `delta`: how they become one number; `None` with fewer than two samples.
    pub extrapolation: Option<Extrapolated>,
}

/// `extrapolatedRate` worked out: growth x (sampled + to start + to end) / sampled, per second for `rate`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Extrapolated {
    /// Last less first value, with what was lost in resets.
    pub growth: f64,
    /// The part of it that resets hid.
    pub lost_in_resets: f64,
    /// From the first sample to the last, seconds.
    pub sampled_seconds: f64,
    /// From the window's beginning to the first sample, and what is counted of it.
    pub to_start_seconds: f64,
    /// See `to_start_seconds`.
    pub counted_to_start_seconds: f64,
    /// From the last sample to the window's end, and what is counted of it.
    pub to_end_seconds: f64,
    /// See `to_end_seconds`.
    pub counted_to_end_seconds: f64,
    /// 1.1 times the mean distance of the samples: gaps from here on count as half such a distance.
    pub threshold_seconds: f64,
    /// Whether the start was cut where the counter would have been at zero.
    pub cut_at_zero: bool,
    /// Of `rate`: what it is divided by.
    pub range_seconds: Option<f64>,
    /// The outcome.
    pub result: f64,
}

/// Both stabilization windows.
#[derive(Clone, Debug, Serialize)]
pub struct Windows {
    /// Of the way up; `None` without `behavior`.
    pub up: Option<WindowExplained>,
    /// Of the way down.
    pub down: WindowExplained,
    /// What came out.
    pub stabilized: i32,
}

/// A stabilization window.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WindowExplained {
    /// Its length.
    pub window_seconds: SimDuration,
    /// The recommendations inside, oldest first, with the one of this sync.
    pub inside: Vec<Recommended>,
    /// The lowest of them on the way up, the highest on the way down.
    pub extreme: i32,
}

/// A remembered recommendation.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Recommended {
    /// When.
    pub t: SimTime,
    /// How many.
    pub replicas: i32,
}

/// From the stabilized count to the new one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// `scaleUp` or `scaleDown`; `None` when the count stays.
    pub direction: Option<&'static str>,
    /// `Max`, `Min` or `Disabled`; `None` without `behavior`.
    pub select_policy: Option<&'static str>,
    /// The direction's policies.
    pub policies: Vec<PolicyExplained>,
    /// What they allow together; `None` when nothing asks them.
    pub allowed: Option<i32>,
    /// Whether `allowed` is the built-in limit: twice the count or 4.
    pub built_in: bool,
    /// What came out after the bounds.
    pub limited: i32,
}

/// A scaling policy at work.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExplained {
    /// Its place in the list.
    pub index: usize,
    /// `Pods` or `Percent`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// How many.
    pub value: i32,
    /// In how long.
    pub period_seconds: SimDuration,
    /// The HPA's changes inside the period.
    pub changes: Vec<Change>,
    /// The count at the period's start.
    pub period_start: i32,
    /// What it allows.
    pub allows: i32,
}

/// A change that the HPA made.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Change {
    /// When.
    pub t: SimTime,
    /// From.
    pub from: i32,
    /// To.
    pub to: i32,
}

/// A number; one that JSON has not as its text.
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_str(&value.to_string()) }
}

fn optional_number<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => number(value, serializer),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versioned<'a> {
    schema_version: u32,
    kind: &'static str,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// As JSON.
pub fn explanation_json(explanation: &Explanation) -> String {
    pretty(&Versioned { schema_version: SCHEMA_VERSION, kind: "explanation", explanation })
}

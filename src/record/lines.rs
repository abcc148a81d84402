//! The lines of `decisions.jsonl` and `events.jsonl`, and their readers.
//!
//! Times are seconds since the run's start. Every line carries `schemaVersion` and its `kind`, so that lines can be filtered,
//! cut and joined; which run they belong to stands in `summary.json`. JSON has no NaN and no infinities: such a number is
//! null and its text stands beside it (`valueText`).

use crate::hpa::Recommendation;
use crate::record::{DecisionRecord, Event, EventKind, HpaSync, KedaPoll, MetricRecord, RunRecord};
use crate::units::SimTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the layout of every file a run leaves.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricLine {
    trigger: String,
    query: String,
    query_time: SimTime,
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_text: Option<String>,
    milli: Option<i64>,
    /// In the metric's own unit.
    target: f64,
    #[serde(rename = "type")]
    target_type: String,
    proposal: Option<i32>,
    ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ratio_text: Option<String>,
    within_tolerance: Option<bool>,
    #[serde(default)]
    trigger_kind: String,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default, skip_serializing_if = "is_false")]
    fallback: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    cached: bool,
    error: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HpaLine {
    t: SimTime,
    kind: String,
    metrics: Vec<MetricLine>,
    metric_desired: Option<i32>,
    stabilized: Option<i32>,
    new_replicas: i32,
    rescaled: bool,
    conditions: ConditionsLine,
    reason: Option<String>,
    recommendations: Vec<RecommendationLine>,
    bound_by: String,
    spec_replicas: i32,
    status_replicas: i32,
    ready_replicas: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionsLine {
    able_to_scale: String,
    scaling_active: Option<String>,
    scaling_limited: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RecommendationLine {
    t: SimTime,
    replicas: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PollLine {
    t: SimTime,
    kind: String,
    metrics: Vec<MetricLine>,
    active: bool,
    error: bool,
    rule: String,
    action: String,
    spec_replicas: i32,
    new_replicas: i32,
}

/// A finding as `events.jsonl` carries it at the end; `record` only writes it down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingLine {
    /// `flapping`, ...
    pub code: String,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// One sentence.
    pub message: String,
    /// One fact each.
    pub evidence: Vec<String>,
}

#[derive(Serialize)]
struct FindingEvent<'a> {
    t: SimTime,
    kind: &'static str,
    #[serde(flatten)]
    finding: &'a FindingLine,
}

#[derive(Serialize)]
struct ScaledEvent<'a> {
    t: SimTime,
    kind: &'static str,
    from: i32,
    to: i32,
    source: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct PodEvent<'a> {
    t: SimTime,
    kind: &'static str,
    pod: &'a str,
    state: &'static str,
}

#[derive(Serialize)]
struct FailedEvent<'a> {
    t: SimTime,
    kind: &'static str,
    pod: Option<&'a str>,
    count: u64,
    cause: &'static str,
}

#[derive(Serialize)]
struct PlainEvent {
    t: SimTime,
    kind: &'static str,
}

/// `decisions.jsonl`: one line per HPA sync and per KEDA poll.
pub fn decisions_to_jsonl(record: &RunRecord) -> String {
    let mut out = String::new();
    for decision in &record.decisions {
        match decision {
            DecisionRecord::HpaSync(sync) => out.push_str(&line(&hpa_line(sync))),
            DecisionRecord::KedaPoll(poll) => out.push_str(&line(&poll_line(poll))),
        }
    }
    out
}

/// `events.jsonl`: pods, scale writes and faults in time order, then `findings`.
pub fn events_to_jsonl(record: &RunRecord, findings: &[FindingLine]) -> String {
    let mut out = String::new();
    for event in &record.events {
        out.push_str(&event_line(event));
    }
    for finding in findings {
        out.push_str(&line(&FindingEvent { t: record.info.end, kind: "finding", finding }));
    }
    out
}

/// Reads `decisions.jsonl` back.
///
/// # Errors
/// The first line that is not one of ours, with its number.
pub fn decisions_from_jsonl(text: &str) -> Result<Vec<DecisionRecord>, String> {
    let read = |(index, line)| read_decision(line).map_err(|error| format!("line {}: {error}", index + 1));
    text.lines().enumerate().map(read).collect()
}

/// Fails when a file was written by another version of the layout.
///
/// # Errors
/// Names both versions.
pub fn check_version(found: u32) -> Result<(), String> {
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    Err(format!("found schemaVersion {found}, this kedasim reads {SCHEMA_VERSION}: run the simulation again"))
}

fn read_decision(line: &str) -> Result<DecisionRecord, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let version = value["schemaVersion"].as_u64().and_then(|version| u32::try_from(version).ok());
    check_version(version.unwrap_or(0))?;
    match value["kind"].as_str() {
        Some("hpaSync") => {
            let line: HpaLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
            read_sync(line).map(|sync| DecisionRecord::HpaSync(Box::new(sync)))
        }
        Some("kedaPoll") => {
            let line: PollLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
            Ok(DecisionRecord::KedaPoll(KedaPoll {
                t: line.t,
                spec_replicas: line.spec_replicas,
                metrics: line.metrics.into_iter().map(read_metric).collect::<Result<_, _>>()?,
                active: line.active,
                error: line.error,
                rule: intern(&line.rule)?,
                action: intern(&line.action)?,
                new_replicas: line.new_replicas,
            }))
        }
        _ => Err("found no kind \"hpaSync\" or \"kedaPoll\"".to_owned()),
    }
}

fn read_sync(line: HpaLine) -> Result<HpaSync, String> {
    let ConditionsLine { able_to_scale, scaling_active, scaling_limited } = line.conditions;
    Ok(HpaSync {
        t: line.t,
        spec_replicas: line.spec_replicas,
        status_replicas: line.status_replicas,
        ready_replicas: line.ready_replicas,
        metrics: line.metrics.into_iter().map(read_metric).collect::<Result<_, _>>()?,
        metric_desired: line.metric_desired,
        stabilized: line.stabilized,
        new_replicas: line.new_replicas,
        rescaled: line.rescaled,
        able_to_scale: intern(&able_to_scale)?,
        scaling_active: scaling_active.as_deref().map(intern).transpose()?,
        scaling_limited: scaling_limited.as_deref().map(intern).transpose()?,
        reason: line.reason,
        recommendations: line
            .recommendations
            .iter()
            .map(|entry| Recommendation { replicas: entry.replicas, at: entry.t })
            .collect(),
        bound_by: intern(&line.bound_by)?,
        window: None,
        limit: None,
        status_conditions: Vec::new(),
    })
}

fn read_metric(line: MetricLine) -> Result<MetricRecord, String> {
    Ok(MetricRecord {
        value: read_number(line.value, line.value_text.as_deref())?,
        ratio: read_number(line.ratio, line.ratio_text.as_deref())?,
        target_milli: (line.target * 1000.0).round() as i64,
        trigger: line.trigger,
        query: line.query,
        query_time: line.query_time,
        milli: line.milli,
        target_type: line.target_type,
        proposal: line.proposal,
        within_tolerance: line.within_tolerance,
        kind: line.trigger_kind,
        active: line.active,
        fallback: line.fallback,
        cached: line.cached,
        error: line.error,
    })
}

fn read_number(value: Option<f64>, text: Option<&str>) -> Result<Option<f64>, String> {
    match (value, text) {
        (None, Some(text)) => text.parse().map(Some).map_err(|_| format!("found {text:?}, expected a number")),
        (value, _) => Ok(value),
    }
}

/// The one static copy of a reason word; a run has a few dozen of them.
fn intern(word: &str) -> Result<&'static str, String> {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if word.len() > 40 || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("found {word:?}, expected a reason word"));
    }
    let mut words = WORDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return Ok(known);
    }
    if words.len() >= 1000 {
        return Err("found more than 1000 different reason words, this is not a file of ours".to_owned());
    }
    let word: &'static str = Box::leak(word.to_owned().into_boxed_str());
    words.insert(word);
    Ok(word)
}

fn hpa_line(sync: &HpaSync) -> HpaLine {
    HpaLine {
        t: sync.t,
        kind: "hpaSync".to_owned(),
        metrics: sync.metrics.iter().map(metric_line).collect(),
        metric_desired: sync.metric_desired,
        stabilized: sync.stabilized,
        new_replicas: sync.new_replicas,
        rescaled: sync.rescaled,
        conditions: ConditionsLine {
            able_to_scale: sync.able_to_scale.to_owned(),
            scaling_active: sync.scaling_active.map(str::to_owned),
            scaling_limited: sync.scaling_limited.map(str::to_owned),
        },
        reason: sync.reason.clone(),
        recommendations: sync
            .recommendations
            .iter()
            .map(|entry| RecommendationLine { t: entry.at, replicas: entry.replicas })
            .collect(),
        bound_by: sync.bound_by.to_owned(),
        spec_replicas: sync.spec_replicas,
        status_replicas: sync.status_replicas,
        ready_replicas: sync.ready_replicas,
    }
}

fn poll_line(poll: &KedaPoll) -> PollLine {
    PollLine {
        t: poll.t,
        kind: "kedaPoll".to_owned(),
        metrics: poll.metrics.iter().map(metric_line).collect(),
        active: poll.active,
        error: poll.error,
        rule: poll.rule.to_owned(),
        action: poll.action.to_owned(),
        spec_replicas: poll.spec_replicas,
        new_replicas: poll.new_replicas,
    }
}

fn metric_line(metric: &MetricRecord) -> MetricLine {
    MetricLine {
        trigger: metric.trigger.clone(),
        query: metric.query.clone(),
        query_time: metric.query_time,
        value: metric.value.and_then(finite),
        value_text: metric.value.and_then(non_finite_text),
        milli: metric.milli,
        target: metric.target_milli as f64 / 1000.0,
        target_type: metric.target_type.clone(),
        proposal: metric.proposal,
        ratio: metric.ratio.and_then(finite),
        ratio_text: metric.ratio.and_then(non_finite_text),
        within_tolerance: metric.within_tolerance,
        trigger_kind: metric.kind.clone(),
        active: metric.active,
        fallback: metric.fallback,
        cached: metric.cached,
        error: metric.error.clone(),
    }
}

fn event_line(event: &Event) -> String {
    let t = event.t;
    match &event.kind {
        EventKind::TrafficStarted => line(&PlainEvent { t, kind: "trafficStarted" }),
        EventKind::TrafficStopped => line(&PlainEvent { t, kind: "trafficStopped" }),
        EventKind::Scaled { from, to, source, reason } => {
            line(&ScaledEvent { t, kind: "scaled", from: *from, to: *to, source: source.word(), reason })
        }
        EventKind::Pod { pod, state } => line(&PodEvent { t, kind: "pod", pod, state }),
        EventKind::RequestsFailed { pod, count, cause } => {
            line(&FailedEvent { t, kind: "requestsFailed", pod: pod.as_deref(), count: *count, cause })
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn non_finite_text(value: f64) -> Option<String> {
    (!value.is_finite()).then(|| value.to_string())
}

/// One line with the version of its layout in front.
fn line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("our own line structs always serialise");
    let fields = text.strip_prefix('{').expect("our own line structs are objects with fields");
    format!("{{\"schemaVersion\":{SCHEMA_VERSION},{fields}\n")
}

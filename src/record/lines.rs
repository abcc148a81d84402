//! The lines of `events.jsonl`, and what the lines of all files have in common.
//!
//! Times are seconds since the run's start. Every line carries `schemaVersion` and its `kind`, so that lines can be filtered,
//! cut and joined; which run they belong to stands in `summary.json`.

use crate::record::{Event, EventKind, RunRecord};
use crate::units::SimTime;
use serde::{Deserialize, Serialize};

/// Version of the layout of every file a run leaves.
pub const SCHEMA_VERSION: u32 = 1;

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
struct RuleEvent<'a> {
    t: SimTime,
    kind: &'static str,
    record: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct FaultEvent<'a> {
    t: SimTime,
    kind: &'static str,
    fault: &'static str,
    settings: &'a str,
}

#[derive(Serialize)]
struct PlainEvent {
    t: SimTime,
    kind: &'static str,
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

fn event_line(event: &Event) -> String {
    let t = event.t;
    match &event.kind {
        EventKind::TrafficStarted => line(&PlainEvent { t, kind: "trafficStarted" }),
        EventKind::TrafficStopped => line(&PlainEvent { t, kind: "trafficStopped" }),
        EventKind::Scaled { from, to, source, reason } => {
            line(&ScaledEvent { t, kind: "scaled", from: *from, to: *to, source: source.word(), reason })
        }
        EventKind::Pod { pod, state } => line(&PodEvent { t, kind: "pod", pod, state }),
        EventKind::FaultStarted { fault, settings } => line(&FaultEvent { t, kind: "faultStarted", fault, settings }),
        EventKind::FaultEnded { fault, settings } => line(&FaultEvent { t, kind: "faultEnded", fault, settings }),
        EventKind::RuleFailed { record, message } => line(&RuleEvent { t, kind: "ruleFailed", record, message }),
        EventKind::RequestsFailed { pod, count, cause } => {
            line(&FailedEvent { t, kind: "requestsFailed", pod: pod.as_deref(), count: *count, cause })
        }
    }
}

/// One line with the version of its layout in front.
fn line(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("our own line structs always serialise");
    let fields = text.strip_prefix('{').expect("our own line structs are objects with fields");
    format!("{{\"schemaVersion\":{SCHEMA_VERSION},{fields}\n")
}

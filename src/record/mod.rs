//! What happened in a run: decisions, events, timeline, totals; and the same written to and read back from files.
//!
//! Only facts stand here; conclusions are `analysis`'.

mod decisions;
mod events;
mod latency;
mod lines;
mod pods;
mod run;
mod table;
mod timeline;

pub use decisions::{DecisionRecord, HpaSync, KedaPoll, MetricRecord};
pub use events::{Event, EventKind, ScaleSource};
pub use latency::LatencyHistogram;
pub use lines::{
    FindingLine, SCHEMA_VERSION, check_version, decisions_from_jsonl, decisions_to_jsonl, events_to_jsonl,
};
pub use pods::PodRecord;
pub use run::{
    KvTotals, Latencies, OpenRequest, RequestTotals, RunInfo, RunRecord, SelectorRecord, TokenTotals, TriggerInfo,
};
pub use table::{timeline_from_csv, timeline_to_csv};
pub use timeline::{Timeline, TimelineRow};

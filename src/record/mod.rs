//! What happened in a run: decisions, events, timeline, totals; and the same written to and read back from files.
//!
//! Only facts stand here; conclusions are `analysis`'.

mod common_text;
mod decision_lines;
mod decision_writer;
mod decisions;
mod events;
mod fleet_means;
mod json_text;
mod latency;
mod lines;
mod loop_info;
mod number_text;
mod pods;
mod reasons;
mod recommendations;
mod run;
mod signal_text;
mod slo_tally;
mod table;
mod timeline;
mod written_once;

pub use common_text::CommonText;
pub use decision_lines::decisions_from_jsonl;
pub use decision_writer::{decisions_to_jsonl, write_decisions};
pub use decisions::{DecisionRecord, HpaSync, KedaPoll, MetricRecord};
pub use events::{Event, EventKind, ScaleSource};
pub use fleet_means::FleetSums;
pub use latency::{LatencyHistogram, LatencyRecorder};
pub use lines::{FindingLine, SCHEMA_VERSION, check_version, events_to_jsonl};
pub use loop_info::{Counted, LoadInfo, LoadStep, LoopInfo, QueryInfo};
pub use pods::PodRecord;
pub use reasons::{ToleranceBand, explain_poll, explain_sync, metric_why, poll_cause, sync_in_short};
pub use recommendations::Recommendations;
pub use run::{
    KvTotals, Latencies, OpenRequest, RequestTotals, RunInfo, RunRecord, SelectorRecord, TokenTotals, TriggerInfo,
};
pub use signal_text::signal_text;
pub use slo_tally::{SloMinute, SloMisses, SloQuantity, SloTally};
pub use table::{timeline_from_csv, timeline_to_csv, write_timeline};
pub use timeline::{Timeline, TimelineRow};

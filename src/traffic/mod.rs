//! Requests over time: arrival and length generators, closed-loop clients, recorded traces.
//!
//! Nothing here knows replicas, clusters or policies: open-loop arrivals are the same whatever the autoscaler does.
//! Reading order: `spec`, `request`, `attributes`, `source`, then `arrivals`, `closed_loop` and `length`; `trace`, `import` and
//! `recording` stand apart.

mod arrivals;
mod attributes;
mod closed_loop;
mod import;
mod length;
mod recording;
mod request;
mod source;
mod spec;
mod trace;

pub use attributes::{RequestAttributes, SharedText};
pub use length::{LengthDistribution, LengthSampler};
pub use recording::{at_steady_rate, record_traffic};
pub use request::{OutputLength, Request, RequestId};
pub use source::TrafficSource;
pub use spec::{Arrivals, TrafficSpec};
pub use trace::{Trace, TraceError, TraceRow};

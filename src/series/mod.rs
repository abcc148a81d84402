//! Neutral metric words that the scraped (replicas, gateways), the scraper (Prometheus) and the asker (KEDA) share:
//! labels, the layout of an exposition, query results, the user's own series.
//!
//! This room computes nothing about traffic, scaling or time.

mod exposition;
mod labels;
mod query_value;
mod signal;

pub use exposition::{Exposition, MetricKind, SeriesDef};
pub use labels::Labels;
pub use query_value::QueryValue;
pub use signal::{Signal, SignalPoints, SignalSeries, Signals, TriggerSignal};

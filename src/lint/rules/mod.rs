//! The catalogue: a file per subject, each with its rules and their checks.
//!
//! A check is a pure function of one object, its queries and what stands beside it.

mod catalogue;
mod cron;
mod fallback;
mod formula;
mod links;
mod metadata;
mod metric_type;
mod ownership;
mod query_series;
mod rates;
mod runs;
mod scale_to_zero;
mod timing;
mod vllm_names;

pub use catalogue::{RULES, rule};

pub(super) use catalogue::check;

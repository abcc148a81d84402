//! Prometheus: when targets are scraped, what is stored and visible when, and PromQL.
//!
//! Source: Prometheus v3.14 (`scrape/`, `promql/`); differences of older versions by [`PrometheusVersion`]. This room does
//! not know what is scraped.
//! Reading order: `scrape` (phases, discovery, staleness), `relabel` (labels), `scraped` (one scrape to one row), `target`
//! (rows), `tsdb`, `promql/`, `rules` (recording rules), `known` (hints), `stored_rows` (all that is stored), `server` (the
//! room's face).

mod known;
mod promql;
mod relabel;
mod rules;
mod scrape;
mod scraped;
mod server;
mod stored_rows;
mod target;
mod tsdb;

pub(crate) use promql::{
    Aggregate, AggregateOp, Binary, BinaryOp, Card, Expr, Function, FunctionId, Kind, Plan, Selector, Type,
};
pub use promql::{EvalError, ParseError, QueryPart, QueryWindow, ResultType};
pub use relabel::{
    LabelLimits, RelabelConfig, RelabelError, RelabelRule, TargetRules, relabel, scrape_failure, stored_labels,
    target_labels,
};
pub use rules::{RecordingRule, RuleError, RuleFailure, RuleGroup, RuleGroupId, rule_phase};
pub use scrape::{ScrapeSettings, marker_times, next_scrape, scrape_phase};
pub(crate) use server::parse_query;
pub use server::{
    PrometheusServer, PrometheusSettings, PrometheusVersion, QueryId, QueryShape, SelectorMatch, TargetId,
    metric_names, query_outline, query_shape, result_type,
};
pub use stored_rows::StoredRow;

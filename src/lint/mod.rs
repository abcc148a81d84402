//! What can be said about manifests without running anything: whether they load, what the API server, KEDA and the HPA's
//! validation would say to them, and what is in force then.
//!
//! Reads texts, never the cluster; concludes nothing about traffic. Reading order: `report` (what is found), `check` (from
//! texts to a report), `object` (one object), `resolve` (in force although something cannot be simulated), `verdict` (who
//! refuses it), `queries` and `scalar_place` (PromQL, and where in the file), `together` (objects against each other).

mod check;
mod finding;
mod object;
mod queries;
mod report;
mod resolve;
mod scalar_place;
mod together;
mod verdict;

pub use check::{LintOptions, lint};
pub use finding::{Excerpt, Finding};
pub use report::{
    Counts, Effective, FileReport, HpaMetricReport, HpaReport, HpaTarget, LintReport, LoadStatus, ObjectReport,
};
pub use verdict::{QueryReport, QueryStatus, Verdict, VerdictStatus};

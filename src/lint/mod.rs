//! What can be said about manifests without running anything: whether they load, what the API server, KEDA and the HPA's
//! validation would say to them, and what is in force then.
//!
//! Reads texts, never the cluster; concludes nothing about traffic. Reading order: `report` (what is found), `check` (from
//! texts to a report), `object` (one object), `resolve` (in force although something cannot be simulated), `verdict` (who
//! refuses it), `queries` and `scalar_place` (PromQL, and where in the file), `together` (objects against each other); the
//! catalogue: `rule`, `rules/` on `subject`, `query_shape` and `neighbours`, `correspondence` (messages of upstream that
//! belong to a rule); `suppress`, `edit` and `fix`.

mod check;
mod correspondence;
mod edit;
mod finding;
mod fix;
mod neighbours;
mod object;
mod queries;
mod query_shape;
mod report;
mod resolve;
mod rule;
mod rules;
mod scalar_place;
mod subject;
mod suppress;
mod together;
mod verdict;

pub use check::{LintOptions, lint};
pub use edit::Edit;
pub use finding::{Excerpt, Finding, Suppressed, SuppressedBy};
pub use fix::{Fixed, fix};
pub use report::{
    Counts, Effective, FileReport, HpaMetricReport, HpaReport, HpaTarget, LintReport, LoadStatus, ObjectReport,
};
pub use rule::{Basis, Rule};
pub use rules::{RULES, rule};
pub use suppress::known_code;
pub use verdict::{QueryReport, QueryStatus, Verdict, VerdictStatus};

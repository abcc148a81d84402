//! The room's face: targets come and go, scrapes are committed, compiled queries are asked.

use super::known::Known;
use super::promql::{
    Evaluator, Memo, Plan, QueryPart, Selector, Semantics, is_average, longest_range_ms, outline, parse, reach_ms,
    summed_rates, type_of,
};
use super::rules::Rules;
use super::stored_rows::STALE_BITS;
use super::tsdb::Tsdb;
use crate::prometheus::{EvalError, ParseError, ResultType, StoredRow, TargetRules};
use crate::series::{Exposition, Labels, QueryValue, SeriesDef};
use crate::units::{SimDuration, SimTime};
use std::sync::Arc;

/// The version switch (promql.md section 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrometheusVersion {
    /// 2.50 and before.
    V2_42,
    /// 2.51 to 2.54.
    V2_51,
    /// 2.55.
    V2_55,
    /// 3.0 to 3.8.
    V3_5,
    /// 3.9 to 3.13.
    V3_9,
    /// 3.14 and later, the default.
    V3,
}

/// Server settings as resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusSettings {
    /// Which semantics.
    pub version: PrometheusVersion,
    /// `--query.lookback-delta`, default 5 m.
    pub lookback: SimDuration,
    /// `evaluation_interval`: the default step of subqueries.
    pub evaluation_interval: SimDuration,
    /// The run's start as milliseconds since the Unix epoch (a whole second).
    pub epoch_ms: i64,
}

/// A scraped target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub u32);

/// A compiled query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// Whether a selector of a query ever found a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorMatch {
    /// The selector as written.
    pub selector: String,
    /// Byte offset in the query.
    pub offset: usize,
    /// Whether some scraped series matched it at some time of the run.
    pub matched: bool,
    /// For one that never matched: what is nearest in the store, in words ("the label model_name has the values ...").
    pub nearest: Option<String>,
}

/// A query as compiled.
#[derive(Clone, Debug)]
struct Compiled {
    plan: Arc<Plan>,
    /// The storage's number of its first selector.
    first_selector: usize,
    memos: Vec<Memo>,
}

/// Time beyond the queries' own reach for which rows are kept: queries are stamped with earlier whole seconds.
const RETENTION_SLACK_MS: i64 = 60_000;

/// A Prometheus server. Plain cloneable data.
#[derive(Clone, Debug)]
pub struct PrometheusServer {
    pub(super) semantics: Semantics,
    epoch_ms: i64,
    pub(super) storage: Tsdb,
    queries: Vec<Compiled>,
    nameless: Memo,
    pub(super) known: Known,
    pub(super) rules: Rules,
    /// Reused by evaluations.
    scratch: Vec<(i64, f64)>,
}

impl PrometheusServer {
    /// An empty server.
    #[expect(clippy::needless_pass_by_value, reason = "the settings are handed over with the server")]
    pub fn new(settings: PrometheusSettings) -> Self {
        PrometheusServer {
            semantics: semantics(&settings),
            epoch_ms: settings.epoch_ms,
            storage: Tsdb::default(),
            queries: Vec::new(),
            nameless: Memo::default(),
            known: Known::default(),
            rules: Rules::default(),
            scratch: Vec::new(),
        }
    }
    /// Parses and compiles a query. All queries are compiled before the first target is added.
    ///
    /// # Errors
    /// As Prometheus' parser would refuse it, or what is not supported, with the place.
    ///
    /// # Panics
    /// When a target was added before: its series were stored for the queries known then.
    pub fn compile(&mut self, query: &str) -> Result<QueryId, ParseError> {
        self.compile_for(query, SimDuration::ZERO)
    }
    /// Compiles a query that is asked about the time `delay` ago.
    pub(super) fn compile_for(&mut self, query: &str, delay: SimDuration) -> Result<QueryId, ParseError> {
        assert!(!self.storage.has_had_targets(), "queries are compiled before the first target is added");
        let plan = parse(query, self.semantics)?;
        let slack = RETENTION_SLACK_MS.saturating_add(whole_ms(delay));
        let reach = reach_ms(&plan.root, &self.semantics).saturating_add(slack);
        let first_selector = self.storage.add_selectors(plan.selectors.len(), reach);
        let memos = vec![Memo::default(); plan.memos];
        let id = u32::try_from(self.queries.len()).expect("fewer than 2^32 queries");
        self.queries.push(Compiled { plan: Arc::new(plan), first_selector, memos });
        Ok(QueryId(id))
    }
    /// A scrape loop starts. `labels` are the target's (namespace, pod, container, endpoint, job, instance); series labels
    /// that clash are renamed `exported_*`, or as `rules` say. A target without labels has no `up`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the layout is shared by all its targets; callers hand over a clone"
    )]
    pub fn add_target(&mut self, labels: &Labels, exposition: Arc<Exposition>, rules: &TargetRules) -> TargetId {
        self.known.note(labels, &exposition, rules);
        let selectors = self.queries.iter().flat_map(|query| &query.plan.selectors);
        TargetId(self.storage.add_target(labels, &exposition, rules, &selectors))
    }
    /// For each series of `exposition` whether the values that a target under these `rules` exposes may matter; `false` means
    /// that none of them will be stored. Said once all queries are compiled.
    pub fn may_store(&self, exposition: &Exposition, rules: &TargetRules) -> Vec<bool> {
        let selectors = self.queries.iter().flat_map(|query| &query.plan.selectors);
        let may_store =
            |series: &SeriesDef| self.storage.may_store(series.labels.metric_name(), rules, selectors.clone());
        exposition.series.iter().map(may_store).collect()
    }
    /// Keeps every row of every series, for [`PrometheusServer::take_rows`]. Said before the first target is added.
    pub fn keep_rows(&mut self) {
        assert!(!self.storage.has_had_targets(), "targets that are there already have not stored everything");
        self.storage.keep_rows();
    }
    /// The rows stored since the last call, in the order of storing; later rows may be visible earlier.
    pub fn take_rows(&mut self) -> Vec<StoredRow> {
        self.storage.take_rows()
    }
    /// Adds one single series without samples; its number in the storage.
    pub(super) fn add_series(&mut self, labels: &Labels) -> u32 {
        self.known.note_series(labels);
        let selectors = self.queries.iter().flat_map(|query| &query.plan.selectors);
        self.storage.add_series(labels, &[], selectors)
    }
    /// Adds one recorded series: (ms since the Unix epoch, value or [`PrometheusServer::STALE_BITS`]) in time order, all
    /// visible at once. For running recorded data through the evaluator.
    pub fn add_recorded_series(&mut self, labels: &Labels, samples: &[(i64, f64)]) {
        self.known.note_series(labels);
        let selectors = self.queries.iter().flat_map(|query| &query.plan.selectors);
        self.storage.add_series(labels, samples, selectors);
    }
    /// The bits of a staleness marker.
    pub const STALE_BITS: u64 = STALE_BITS;
    /// A scrape that began at `at` ended; its samples become visible at `visible`, which is when it ended. `None`: it failed
    /// (`up` 0, staleness markers for what the previous scrape had). A cell with [`PrometheusServer::STALE_BITS`] is a
    /// series that is not exposed this time.
    pub fn commit(&mut self, target: TargetId, at: SimTime, visible: SimTime, row: Option<&[f64]>) {
        let ts = self.millis(at);
        self.storage.commit(target.0, ts, (visible, visible.since(at).as_secs_f64()), row);
    }
    /// The target vanished from discovery: staleness markers for all its series, `up` included, stamped `at`, visible from
    /// `visible`. Nothing is committed to it afterwards; its storage is dropped once no query can see it.
    pub fn retire(&mut self, target: TargetId, at: SimTime, visible: SimTime) {
        let ts = self.millis(at);
        self.storage.retire(target.0, ts, visible);
    }
    /// Prometheus restarts: it does not know what earlier scrapes and rules wrote, so that it marks nothing of it stale.
    pub fn forget_writers(&mut self) {
        self.storage.forget_scrapes();
        self.rules.forget();
    }
    /// The target vanished while nobody looked: no markers are ever written for it.
    pub fn abandon(&mut self, target: TargetId) {
        self.storage.abandon(target.0);
    }
    /// Evaluates a query at the instant `eval` on what is visible at `now` (>= `eval`). Rows are kept for as long as the
    /// compiled queries reach back, plus a minute: `eval` may lie that minute behind the newest commit.
    ///
    /// # Errors
    /// As Prometheus' engine would (many-to-many matching, duplicate label sets, ...).
    pub fn query(&mut self, query: QueryId, eval: SimTime, now: SimTime) -> Result<QueryValue, EvalError> {
        self.evaluate(query, self.millis(eval), now)
    }
    /// Evaluates a query at `eval_ms` since the Unix epoch on recorded data.
    ///
    /// # Errors
    /// As [`PrometheusServer::query`].
    pub fn query_recorded(&mut self, query: QueryId, eval_ms: i64) -> Result<QueryValue, EvalError> {
        self.evaluate(query, eval_ms, SimTime::NEVER)
    }
    /// How far back the farthest-reaching compiled query looks: its ranges and offsets, or the lookback.
    pub fn longest_reach(&self) -> SimDuration {
        let reach = |compiled: &Compiled| reach_ms(&compiled.plan.root, &self.semantics);
        let longest = self.queries.iter().map(reach).max().unwrap_or(0);
        SimDuration::from_millis(u64::try_from(longest).unwrap_or(0))
    }
    /// For each selector of `query`, whether it ever matched.
    pub fn selector_matches(&self, query: QueryId) -> Vec<SelectorMatch> {
        let compiled = &self.queries[query.0 as usize];
        let describe = |(index, selector): (usize, &Selector)| {
            let matched = self.storage.matched(compiled.first_selector + index);
            SelectorMatch {
                selector: selector.text.clone(),
                offset: selector.offset,
                matched,
                nearest: if matched { None } else { self.known.nearest(selector) },
            }
        };
        compiled.plan.selectors.iter().enumerate().map(describe).collect()
    }

    pub(super) fn evaluate(&mut self, query: QueryId, query_ms: i64, now: SimTime) -> Result<QueryValue, EvalError> {
        let compiled = &mut self.queries[query.0 as usize];
        let plan = compiled.plan.clone();
        let mut evaluator = Evaluator {
            storage: &self.storage,
            first_selector: compiled.first_selector,
            plan: &plan,
            semantics: self.semantics,
            now,
            query_ms,
            memos: &mut compiled.memos,
            nameless: &mut self.nameless,
            steps: 0,
            scratch: std::mem::take(&mut self.scratch),
        };
        let value = evaluator.run();
        self.scratch = evaluator.scratch;
        value
    }

    /// A run's instant as Prometheus stamps it: ms since the Unix epoch, rounded down.
    pub(super) fn millis(&self, at: SimTime) -> i64 {
        let since_start = i64::try_from(at.as_millis_floor()).expect("the clock's range in ms fits an i64");
        self.epoch_ms.saturating_add(since_start)
    }
}

/// What reads a query without data: its release decides, the other settings do not.
fn grammar(version: PrometheusVersion) -> Semantics {
    let minute = SimDuration::from_secs(60);
    semantics(&PrometheusSettings { version, lookback: minute, evaluation_interval: minute, epoch_ms: 0 })
}

/// The type of a query's result, told without data; `version` decides the grammar.
///
/// # Errors
/// As [`PrometheusServer::compile`].
pub fn result_type(query: &str, version: PrometheusVersion) -> Result<ResultType, ParseError> {
    type_of(query, grammar(version))
}

/// A query taken apart: each operation and selector as a query of its own; `version` decides the grammar.
///
/// # Errors
/// As [`PrometheusServer::compile`].
pub fn query_outline(query: &str, version: PrometheusVersion) -> Result<QueryPart, ParseError> {
    Ok(outline(&parse(query, grammar(version))?))
}

/// The tree of a query, for whoever judges it without data.
///
/// # Errors
/// As [`PrometheusServer::compile`].
pub(crate) fn parse_query(query: &str, version: PrometheusVersion) -> Result<Plan, ParseError> {
    parse(query, grammar(version))
}

/// The metric names that a query's selectors ask for with `=`, in order; none when it cannot be parsed.
pub fn metric_names(query: &str, version: PrometheusVersion) -> Vec<String> {
    let selectors = parse(query, grammar(version)).map(|plan| plan.selectors).unwrap_or_default();
    selectors.iter().filter_map(|selector| selector.exact_name().map(str::to_owned)).collect()
}

/// What a query makes of counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryShape {
    /// The longest range it looks over; 0 for a query over single samples.
    pub range: SimDuration,
    /// The metrics whose per-second rates over all series it adds up, if it does nothing else.
    pub summed_rates: Option<Vec<String>>,
    /// Whether it is by its form an average over replicas.
    pub is_average: bool,
    /// The labels that its selectors match on, the metric's name left out.
    pub matched_labels: Vec<String>,
}

/// The shape of a query; the default one when it cannot be parsed.
pub fn query_shape(query: &str, version: PrometheusVersion) -> QueryShape {
    let Ok(plan) = parse(query, grammar(version)) else { return QueryShape::default() };
    let range = u64::try_from(longest_range_ms(&plan.root)).unwrap_or(0);
    let matchers = plan.selectors.iter().flat_map(|selector| &selector.matchers);
    let labels = matchers.map(|matcher| &matcher.name).filter(|name| *name != "__name__");
    QueryShape {
        range: SimDuration::from_millis(range),
        summed_rates: summed_rates(&plan),
        is_average: is_average(&plan.root),
        matched_labels: labels.cloned().collect(),
    }
}

/// A duration in ms, rounded down.
pub(super) fn whole_ms(duration: SimDuration) -> i64 {
    i64::try_from(duration.as_millis_floor()).expect("213 days of ms fit an i64")
}

/// The version's switches (promql.md section 0).
fn semantics(settings: &PrometheusSettings) -> Semantics {
    let version = settings.version;
    Semantics {
        left_open: version >= PrometheusVersion::V3_5,
        cap_before_zero: version >= PrometheusVersion::V2_51,
        kahan_agg: version >= PrometheusVersion::V2_55,
        parser3: version >= PrometheusVersion::V2_51,
        holt_winters: version < PrometheusVersion::V3_5,
        dot_matches_newline: version >= PrometheusVersion::V3_5,
        strict_matching: version >= PrometheusVersion::V3_9,
        first_over_time: version >= PrometheusVersion::V3,
        duration_arithmetic: version >= PrometheusVersion::V3,
        lookback_ms: whole_ms(settings.lookback),
        default_step_ms: whole_ms(settings.evaluation_interval).max(1),
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

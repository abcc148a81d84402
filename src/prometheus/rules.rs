//! Recording rules (rules/group.go `Eval`, rules/recording.go `Eval`, rules/manager.go `EngineQueryFunc`).
//!
//! A group's rules are evaluated in order at one time stamp, each seeing what those before it just wrote. When a group is
//! due is the caller's business ([`rule_phase`]); how long an evaluation takes is not modelled: results are visible at
//! once. Alerting rules, and with them the series `ALERTS`, are not here.

use super::promql::Memo;
use super::server::whole_ms;
use super::stored_rows::stale_marker;
use crate::prometheus::{ParseError, PrometheusServer, QueryId};
use crate::series::{Labels, QueryValue};
use crate::units::{Seed, SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::fmt;
use thiserror::Error;

/// A rule as read: `record`, `expr`, `labels`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRule {
    /// The name of the results.
    pub record: String,
    /// The query.
    pub expr: String,
    /// Labels set on every result; an empty value removes the label.
    pub labels: Vec<(String, String)>,
}

/// A group as read, with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleGroup {
    /// Its name.
    pub name: String,
    /// `query_offset` (from 2.53): rules look, and their results are stamped, this much in the past. Default 0.
    pub query_offset: SimDuration,
    /// `limit`: results of one rule above which it fails; 0 for none, the default.
    pub limit: usize,
    /// The rules in order.
    pub rules: Vec<RecordingRule>,
}

/// A group of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleGroupId(pub u32);

/// Why Prometheus would not load a group.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct RuleError {
    /// The rule's place in the group.
    pub rule: usize,
    /// Which of its fields: `record`, `expr` or `labels`.
    pub field: &'static str,
    /// Byte offset within `expr`, for a parse error.
    pub offset: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// A rule that failed at one evaluation: it wrote nothing then, not even staleness markers, so that its last results
/// stay until the lookback hides them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFailure {
    /// The rule's place in its group.
    pub rule: usize,
    /// Its `record`.
    pub record: String,
    /// Why.
    pub message: String,
}

impl fmt::Display for RuleFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the recording rule {} failed: {}", self.record, self.message)
    }
}

/// A group's phase: it is evaluated at the instants `t` with `t mod interval = phase` (`next_scrape` finds them).
///
/// Upstream takes a hash of the group's name and its file's path (`Group.EvalTimestamp`). The operator's path holds the
/// object's UID, which nobody knows before deployment, so the phase is drawn: uniform in [0, interval), a function of
/// (seed, namespace, rule object, group).
pub fn rule_phase(seed: Seed, group: &str, interval: SimDuration) -> SimDuration {
    seed.stream(&format!("rule-phase/{group}"), 0).duration_below(interval)
}

/// All groups of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    groups: Vec<Group>,
    /// The storage's numbers of recorded series.
    series: FxHashMap<Labels, u32>,
    /// Series that ended, with the time stamp of their marker; dropped when out of reach.
    ended: Vec<(u32, i64)>,
}

#[derive(Clone, Debug)]
struct Group {
    query_offset: SimDuration,
    limit: usize,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    record: String,
    labels: Vec<(String, String)>,
    query: QueryId,
    /// The stored label set of each result's.
    stored: Memo,
    /// What the last successful evaluation wrote, in order of number (`seriesInPreviousEval`).
    previous: Vec<u32>,
}

impl PrometheusServer {
    /// Loads a group. Like queries, all groups are added before the first target.
    ///
    /// # Errors
    /// The first rule that Prometheus would refuse to load (model/rulefmt/rulefmt.go `Rule.Validate`).
    ///
    /// # Panics
    /// As [`PrometheusServer::compile`].
    pub fn add_rule_group(&mut self, group: &RuleGroup) -> Result<RuleGroupId, RuleError> {
        let mut rules = Vec::with_capacity(group.rules.len());
        for (index, rule) in group.rules.iter().enumerate() {
            self.validate(index, rule)?;
            let query = self.compile_for(&rule.expr, group.query_offset).map_err(|error: ParseError| RuleError {
                rule: index,
                field: "expr",
                offset: Some(error.offset),
                message: error.to_string(),
            })?;
            self.known.note_rule(&rule.record);
            let (record, labels) = (rule.record.clone(), rule.labels.clone());
            rules.push(Rule { record, labels, query, stored: Memo::default(), previous: Vec::new() });
        }
        let id = u32::try_from(self.rules.groups.len()).expect("fewer than 2^32 groups");
        self.rules.groups.push(Group { query_offset: group.query_offset, limit: group.limit, rules });
        Ok(RuleGroupId(id))
    }

    fn validate(&self, index: usize, rule: &RecordingRule) -> Result<(), RuleError> {
        let error = |field, message| Err(RuleError { rule: index, field, offset: None, message });
        // Any UTF-8 is a name since 3.0.
        let utf8 = self.semantics.left_open;
        if !is_name(&rule.record, true, utf8) {
            return error("record", format!("found {:?}, which is no valid metric name", rule.record));
        }
        let wrong = rule.labels.iter().find(|(name, _)| name == "__name__" || !is_name(name, false, utf8));
        match wrong {
            Some((name, _)) => error("labels", format!("found {name:?}, which is no valid label name")),
            None => Ok(()),
        }
    }

    /// The queries of a group's rules, in order, for [`PrometheusServer::selector_matches`].
    pub fn rule_queries(&self, group: RuleGroupId) -> Vec<QueryId> {
        self.rules.groups[group.0 as usize].rules.iter().map(|rule| rule.query).collect()
    }

    /// Evaluates a group that is due at `at`, on what is visible then; its results are visible at once. Returns the rules
    /// that failed; the others are not affected.
    pub fn evaluate_rules(&mut self, group: RuleGroupId, at: SimTime) -> Vec<RuleFailure> {
        let mut rules = std::mem::take(&mut self.rules.groups[group.0 as usize].rules);
        let Group { query_offset, limit, .. } = self.rules.groups[group.0 as usize];
        let ts = self.millis(at).saturating_sub(whole_ms(query_offset));
        let mut failures = Vec::new();
        for (index, rule) in rules.iter_mut().enumerate() {
            if let Err(message) = self.evaluate_rule(rule, limit, ts, at) {
                failures.push(RuleFailure { rule: index, record: rule.record.clone(), message });
            }
        }
        self.rules.groups[group.0 as usize].rules = rules;
        let now_ms = self.millis(at);
        let gone = self.storage.drop_series(&mut self.rules.ended, now_ms);
        if !gone.is_empty() {
            self.rules.series.retain(|_, number| !gone.contains(number));
        }
        failures
    }

    fn evaluate_rule(&mut self, rule: &mut Rule, limit: usize, ts: i64, now: SimTime) -> Result<(), String> {
        let results = match self.evaluate(rule.query, ts, now).map_err(|error| error.to_string())? {
            QueryValue::Vector(elements) => elements,
            QueryValue::Scalar(value) => vec![(Labels::default(), value)],
            QueryValue::String(_) | QueryValue::Matrix(_) => {
                return Err("rule result is not a vector or scalar".to_owned());
            }
        };
        let results = rule.named(&results)?;
        if limit > 0 && results.len() > limit {
            return Err(format!("exceeded limit of {limit} with {} series", results.len()));
        }
        let mut written = Vec::with_capacity(results.len());
        for (labels, value) in results {
            let number = self.recorded_series(&labels);
            if self.storage.append(number, ts, now, value) {
                written.push(number);
            }
        }
        written.sort_unstable();
        for number in std::mem::take(&mut rule.previous) {
            if written.binary_search(&number).is_err() && self.storage.append(number, ts, now, stale_marker()) {
                self.rules.ended.push((number, ts));
            }
        }
        rule.previous = written;
        Ok(())
    }

    fn recorded_series(&mut self, labels: &Labels) -> u32 {
        if let Some(number) = self.rules.series.get(labels) {
            return *number;
        }
        let number = self.add_series(labels);
        self.rules.series.insert(labels.clone(), number);
        number
    }
}

impl Rules {
    /// The process restarted.
    pub fn forget(&mut self) {
        for rule in self.groups.iter_mut().flat_map(|group| &mut group.rules) {
            rule.previous.clear();
        }
    }
}

impl Rule {
    /// The results under the rule's name, with its labels.
    fn named(&mut self, results: &[(Labels, f64)]) -> Result<Vec<(Labels, f64)>, String> {
        // Results carry the same label sets from one evaluation to the next; the targets do not matter here.
        self.stored.begin(0);
        let mut seen = Vec::new();
        let mut named = Vec::with_capacity(results.len());
        for (labels, value) in results {
            let (record, own) = (&self.record, &self.labels);
            let (index, _) = self
                .stored
                .group(labels, || {
                    let labels = labels.with("__name__", record);
                    Some((own.iter().fold(labels, |labels, (name, value)| labels.with(name, value)), 0.0))
                })
                .expect("every result is stored under some label set");
            seen.resize(self.stored.len(), false);
            if std::mem::replace(&mut seen[index as usize], true) {
                return Err("vector contains metrics with the same labelset after applying rule labels".to_owned());
            }
            named.push((self.stored.labels(index).clone(), *value));
        }
        Ok(named)
    }
}

/// Whether a text can name a metric (colons allowed) or a label.
fn is_name(text: &str, colons: bool, utf8: bool) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    !text.is_empty() && (utf8 || (text.bytes().all(plain) && !text.as_bytes()[0].is_ascii_digit()))
}

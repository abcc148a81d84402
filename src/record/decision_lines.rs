//! The lines of `decisions.jsonl` and their reader.
//!
//! JSON has no NaN and no infinities: such a number is null and its text stands beside it (`valueText`). The sentences
//! (`why`, `explanation`) are made from the numbers when a line is written, and passed over when it is read. What a line has
//! in common with the lines before it is not made again, see `written_once`.

use crate::hpa::{Condition, Direction, LimitReason, Policy, PolicyKind, Recommendation, WindowReason};
use crate::record::lines::{check_version, write_line};
use crate::record::reasons::{ToleranceBand, explain_poll, explain_sync, metric_why, policy_word, word};
use crate::record::written_once::WrittenOnce;
use crate::record::{DecisionRecord, HpaSync, KedaPoll, MetricRecord, RunRecord};
use crate::units::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, Write};

/// `T` is a text that many lines have in common: as it is read, or as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricLine<'a, T> {
    trigger: T,
    query: T,
    query_time: SimTime,
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_text: Option<String>,
    milli: Option<i64>,
    /// In the metric's own unit.
    target: f64,
    #[serde(rename = "type")]
    target_type: T,
    proposal: Option<i32>,
    ratio: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ratio_text: Option<String>,
    within_tolerance: Option<bool>,
    #[serde(default)]
    trigger_kind: T,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default, skip_serializing_if = "is_false")]
    fallback: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    cached: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    null_as_zero: bool,
    error: Option<Cow<'a, str>>,
    /// Of syncs only.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// `T` as in [`MetricLine`]; `R` and `C` are the lists of recommendations and conditions.
#[derive(Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    bound(deserialize = "T: Deserialize<'de> + Default, R: Deserialize<'de>, C: Deserialize<'de> + Default")
)]
struct HpaLine<'a, T, R, C> {
    t: SimTime,
    kind: Cow<'a, str>,
    metrics: Vec<MetricLine<'a, T>>,
    metric_desired: Option<i32>,
    stabilized: Option<i32>,
    new_replicas: i32,
    rescaled: bool,
    conditions: ConditionsLine<'a>,
    reason: Option<Cow<'a, str>>,
    recommendations: R,
    bound_by: Cow<'a, str>,
    spec_replicas: i32,
    status_replicas: i32,
    ready_replicas: i32,
    #[serde(default)]
    window: Option<WindowLine<'a>>,
    #[serde(default)]
    limit: Option<LimitLine<'a>>,
    #[serde(default)]
    status_conditions: C,
    #[serde(skip_deserializing)]
    explanation: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionsLine<'a> {
    able_to_scale: Cow<'a, str>,
    scaling_active: Option<Cow<'a, str>>,
    scaling_limited: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RecommendationLine {
    t: SimTime,
    replicas: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WindowLine<'a> {
    /// `scaleUp` or `scaleDown`.
    direction: Cow<'a, str>,
    window_seconds: SimDuration,
    replicas: i32,
    t: SimTime,
    age_seconds: SimDuration,
}

/// Fields that a kind has not are absent.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LimitLine<'a> {
    /// `policy`, `disabled`, `builtIn`, `maxReplicas` or `minReplicas`.
    kind: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    direction: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyLine<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period_start: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<i32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyLine<'a> {
    index: usize,
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    value: i32,
    period_seconds: SimDuration,
}

/// As `kubectl get hpa -o yaml` has it.
#[derive(Serialize, Deserialize)]
pub(super) struct StatusConditionLine<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    /// `True` or `False`.
    status: Cow<'a, str>,
    reason: Cow<'a, str>,
    message: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de> + Default"))]
struct PollLine<'a, T> {
    t: SimTime,
    kind: Cow<'a, str>,
    metrics: Vec<MetricLine<'a, T>>,
    active: bool,
    error: bool,
    rule: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cooldown_end: Option<SimTime>,
    action: Cow<'a, str>,
    spec_replicas: i32,
    new_replicas: i32,
    #[serde(skip_deserializing)]
    explanation: String,
}

/// Lines as they are read.
type ReadMetricLine<'a> = MetricLine<'a, Cow<'a, str>>;
type ReadHpaLine<'a> = HpaLine<'a, Cow<'a, str>, Vec<RecommendationLine>, Vec<StatusConditionLine<'a>>>;
type ReadPollLine<'a> = PollLine<'a, Cow<'a, str>>;
/// Lines as they are written.
type WrittenMetricLine<'a> = MetricLine<'a, &'a RawValue>;
type WrittenHpaLine<'a> = HpaLine<'a, &'a RawValue, &'a [Box<RawValue>], &'a RawValue>;
type WrittenPollLine<'a> = PollLine<'a, &'a RawValue>;

/// Writes `decisions.jsonl`: one line per HPA sync and per KEDA poll.
///
/// # Errors
/// Those of `out`.
pub fn write_decisions(record: &RunRecord, out: &mut impl Write) -> io::Result<()> {
    let band = ToleranceBand::from(record.info.tolerance_band);
    let (mut written, mut text) = (WrittenOnce::default(), Vec::new());
    for decision in &record.decisions {
        written.learn(decision);
        match decision {
            DecisionRecord::HpaSync(sync) => write_line(out, &mut text, &hpa_line(sync, &band, &written))?,
            DecisionRecord::KedaPoll(poll) => write_line(out, &mut text, &poll_line(poll, &written))?,
        }
    }
    Ok(())
}

/// As [`write_decisions`], to a text.
pub fn decisions_to_jsonl(record: &RunRecord) -> String {
    let mut out = Vec::new();
    write_decisions(record, &mut out).expect("writing to memory does not fail");
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// Reads `decisions.jsonl` back.
///
/// # Errors
/// The first line that is not one of ours, with its number.
pub fn decisions_from_jsonl(text: &str) -> Result<Vec<DecisionRecord>, String> {
    let read = |(index, line)| read_decision(line).map_err(|error| format!("line {}: {error}", index + 1));
    text.lines().enumerate().map(read).collect()
}

fn read_decision(line: &str) -> Result<DecisionRecord, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let version = value["schemaVersion"].as_u64().and_then(|version| u32::try_from(version).ok());
    check_version(version.unwrap_or(0))?;
    match value["kind"].as_str() {
        Some("hpaSync") => {
            let line: ReadHpaLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
            read_sync(line).map(|sync| DecisionRecord::HpaSync(Box::new(sync)))
        }
        Some("kedaPoll") => {
            let line: ReadPollLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
            Ok(DecisionRecord::KedaPoll(Box::new(KedaPoll {
                t: line.t,
                spec_replicas: line.spec_replicas,
                metrics: line.metrics.into_iter().map(read_metric).collect::<Result<_, _>>()?,
                active: line.active,
                error: line.error,
                rule: intern(&line.rule)?,
                cooldown_end: line.cooldown_end,
                action: intern(&line.action)?,
                new_replicas: line.new_replicas,
            })))
        }
        _ => Err("found no kind \"hpaSync\" or \"kedaPoll\"".to_owned()),
    }
}

fn read_sync(line: ReadHpaLine<'_>) -> Result<HpaSync, String> {
    let ConditionsLine { able_to_scale, scaling_active, scaling_limited } = line.conditions;
    Ok(HpaSync {
        t: line.t,
        spec_replicas: line.spec_replicas,
        status_replicas: line.status_replicas,
        ready_replicas: line.ready_replicas,
        metrics: line.metrics.into_iter().map(read_metric).collect::<Result<_, _>>()?,
        metric_desired: line.metric_desired,
        stabilized: line.stabilized,
        new_replicas: line.new_replicas,
        rescaled: line.rescaled,
        able_to_scale: intern(&able_to_scale)?,
        scaling_active: scaling_active.as_deref().map(intern).transpose()?,
        scaling_limited: scaling_limited.as_deref().map(intern).transpose()?,
        reason: line.reason.map(Cow::into_owned),
        recommendations: line
            .recommendations
            .iter()
            .map(|entry| Recommendation { replicas: entry.replicas, at: entry.t })
            .collect::<Vec<_>>()
            .into(),
        bound_by: intern(&line.bound_by)?,
        window: line.window.as_ref().map(read_window).transpose()?,
        limit: line.limit.map(read_limit).transpose()?,
        status_conditions: line.status_conditions.into_iter().map(read_condition).collect::<Result<_, _>>()?,
    })
}

fn read_window(line: &WindowLine<'_>) -> Result<WindowReason, String> {
    Ok(WindowReason {
        direction: read_direction(&line.direction)?,
        window: line.window_seconds,
        recommendation: Recommendation { replicas: line.replicas, at: line.t },
        age: line.age_seconds,
    })
}

fn read_limit(line: LimitLine<'_>) -> Result<LimitReason, String> {
    let LimitLine { kind, direction, policy, period_start, limit } = line;
    let direction = direction.as_deref().map(read_direction).transpose()?;
    match (&*kind, direction, policy, period_start, limit) {
        ("policy", Some(direction), Some(policy), Some(period_start), Some(limit)) => {
            let index = policy.index;
            Ok(LimitReason::Policy { direction, index, policy: read_policy(&policy)?, period_start, limit })
        }
        ("disabled", Some(direction), None, None, None) => Ok(LimitReason::Disabled(direction)),
        ("builtIn", None, None, None, Some(limit)) => Ok(LimitReason::BuiltIn { limit }),
        ("maxReplicas", None, None, None, Some(count)) => Ok(LimitReason::MaxReplicas(count)),
        ("minReplicas", None, None, None, Some(count)) => Ok(LimitReason::MinReplicas(count)),
        _ => Err(format!("found a limit of kind {kind:?}, expected one of ours with its fields")),
    }
}

fn read_policy(line: &PolicyLine<'_>) -> Result<Policy, String> {
    let kinds = [PolicyKind::Pods, PolicyKind::Percent];
    let kind = kinds.into_iter().find(|kind| policy_word(*kind) == line.kind);
    let kind = kind.ok_or_else(|| format!("found the policy type {:?}, expected Pods or Percent", line.kind))?;
    Ok(Policy { kind, value: line.value, period: line.period_seconds })
}

fn read_direction(text: &str) -> Result<Direction, String> {
    let found = [Direction::Up, Direction::Down].into_iter().find(|direction| word(*direction) == text);
    found.ok_or_else(|| format!("found the direction {text:?}, expected scaleUp or scaleDown"))
}

fn read_condition(line: StatusConditionLine<'_>) -> Result<Condition, String> {
    let status = match &*line.status {
        "True" => true,
        "False" => false,
        other => return Err(format!("found the status {other:?}, expected True or False")),
    };
    Ok(Condition {
        kind: intern(&line.kind)?,
        status,
        reason: intern(&line.reason)?,
        message: line.message.into_owned(),
    })
}

fn read_metric(line: ReadMetricLine<'_>) -> Result<MetricRecord, String> {
    Ok(MetricRecord {
        value: read_number(line.value, line.value_text.as_deref())?,
        ratio: read_number(line.ratio, line.ratio_text.as_deref())?,
        target_milli: (line.target * 1000.0).round() as i64,
        trigger: (*line.trigger).into(),
        query: (*line.query).into(),
        query_time: line.query_time,
        milli: line.milli,
        target_type: (*line.target_type).into(),
        proposal: line.proposal,
        within_tolerance: line.within_tolerance,
        kind: (*line.trigger_kind).into(),
        active: line.active,
        fallback: line.fallback,
        cached: line.cached,
        null_as_zero: line.null_as_zero,
        error: line.error.map(Cow::into_owned),
    })
}

fn read_number(value: Option<f64>, text: Option<&str>) -> Result<Option<f64>, String> {
    match (value, text) {
        (None, Some(text)) => text.parse().map(Some).map_err(|_| format!("found {text:?}, expected a number")),
        (value, _) => Ok(value),
    }
}

/// The one static copy of a reason word; a run has a few dozen of them.
fn intern(word: &str) -> Result<&'static str, String> {
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if word.len() > 40 || !word.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(format!("found {word:?}, expected a reason word"));
    }
    let mut words = WORDS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = words.get(word) {
        return Ok(known);
    }
    if words.len() >= 1000 {
        return Err("found more than 1000 different reason words, this is not a file of ours".to_owned());
    }
    let word: &'static str = Box::leak(word.to_owned().into_boxed_str());
    words.insert(word);
    Ok(word)
}

fn hpa_line<'a>(sync: &'a HpaSync, band: &ToleranceBand, written: &'a WrittenOnce) -> WrittenHpaLine<'a> {
    let metric = |metric| metric_line(metric, Some(metric_why(metric, sync, band)), written);
    HpaLine {
        t: sync.t,
        kind: "hpaSync".into(),
        metrics: sync.metrics.iter().map(metric).collect(),
        metric_desired: sync.metric_desired,
        stabilized: sync.stabilized,
        new_replicas: sync.new_replicas,
        rescaled: sync.rescaled,
        conditions: ConditionsLine {
            able_to_scale: sync.able_to_scale.into(),
            scaling_active: sync.scaling_active.map(Cow::Borrowed),
            scaling_limited: sync.scaling_limited.map(Cow::Borrowed),
        },
        reason: sync.reason.as_deref().map(Cow::Borrowed),
        recommendations: written.recommendations(),
        bound_by: sync.bound_by.into(),
        spec_replicas: sync.spec_replicas,
        status_replicas: sync.status_replicas,
        ready_replicas: sync.ready_replicas,
        window: sync.window.map(window_line),
        limit: sync.limit.map(limit_line),
        status_conditions: written.conditions(),
        explanation: explain_sync(sync),
    }
}

fn window_line(reason: WindowReason) -> WindowLine<'static> {
    WindowLine {
        direction: word(reason.direction).into(),
        window_seconds: reason.window,
        replicas: reason.recommendation.replicas,
        t: reason.recommendation.at,
        age_seconds: reason.age,
    }
}

fn limit_line(reason: LimitReason) -> LimitLine<'static> {
    let plain = |kind: &'static str, limit| LimitLine { kind: kind.into(), limit: Some(limit), ..LimitLine::default() };
    match reason {
        LimitReason::Policy { direction, index, policy, period_start, limit } => LimitLine {
            kind: "policy".into(),
            direction: Some(word(direction).into()),
            policy: Some(PolicyLine {
                index,
                kind: policy_word(policy.kind).into(),
                value: policy.value,
                period_seconds: policy.period,
            }),
            period_start: Some(period_start),
            limit: Some(limit),
        },
        LimitReason::Disabled(direction) => {
            LimitLine { kind: "disabled".into(), direction: Some(word(direction).into()), ..LimitLine::default() }
        }
        LimitReason::BuiltIn { limit } => plain("builtIn", limit),
        LimitReason::MaxReplicas(count) => plain("maxReplicas", count),
        LimitReason::MinReplicas(count) => plain("minReplicas", count),
    }
}

/// A recommendation as it stands in a line.
pub(super) fn recommendation_line(recommendation: Recommendation) -> RecommendationLine {
    RecommendationLine { t: recommendation.at, replicas: recommendation.replicas }
}

/// A condition as it stands in a line.
pub(super) fn condition_line(condition: &Condition) -> StatusConditionLine<'_> {
    StatusConditionLine {
        kind: condition.kind.into(),
        status: if condition.status { "True" } else { "False" }.into(),
        reason: condition.reason.into(),
        message: condition.message.as_str().into(),
    }
}

fn poll_line<'a>(poll: &'a KedaPoll, written: &'a WrittenOnce) -> WrittenPollLine<'a> {
    PollLine {
        t: poll.t,
        kind: "kedaPoll".into(),
        metrics: poll.metrics.iter().map(|metric| metric_line(metric, None, written)).collect(),
        active: poll.active,
        error: poll.error,
        rule: poll.rule.into(),
        cooldown_end: poll.cooldown_end,
        action: poll.action.into(),
        spec_replicas: poll.spec_replicas,
        new_replicas: poll.new_replicas,
        explanation: explain_poll(poll),
    }
}

fn metric_line<'a>(metric: &'a MetricRecord, why: Option<String>, written: &'a WrittenOnce) -> WrittenMetricLine<'a> {
    MetricLine {
        trigger: written.text(&metric.trigger),
        query: written.text(&metric.query),
        query_time: metric.query_time,
        value: metric.value.and_then(finite),
        value_text: metric.value.and_then(non_finite_text),
        milli: metric.milli,
        target: metric.target_milli as f64 / 1000.0,
        target_type: written.text(&metric.target_type),
        proposal: metric.proposal,
        ratio: metric.ratio.and_then(finite),
        ratio_text: metric.ratio.and_then(non_finite_text),
        within_tolerance: metric.within_tolerance,
        trigger_kind: written.text(&metric.kind),
        active: metric.active,
        fallback: metric.fallback,
        cached: metric.cached,
        null_as_zero: metric.null_as_zero,
        error: metric.error.as_deref().map(Cow::Borrowed),
        why,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn non_finite_text(value: f64) -> Option<String> {
    (!value.is_finite()).then(|| value.to_string())
}

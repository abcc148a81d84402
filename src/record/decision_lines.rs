//! The lines of `decisions.jsonl` and their reader; `decision_writer` writes them.
//!
//! JSON has no NaN and no infinities: such a number is null and its text stands beside it (`valueText`). The sentences
//! (`why`, `explanation`) are passed over when a line is read: the numbers say the same.

use crate::hpa::{Condition, Direction, LimitReason, Policy, PolicyKind, Recommendation, WindowReason};
use crate::record::lines::check_version;
use crate::record::reasons::{policy_word, word};
use crate::record::{DecisionRecord, HpaSync, KedaPoll, MetricRecord};
use crate::units::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetricLine<'a> {
    trigger: Cow<'a, str>,
    query: Cow<'a, str>,
    query_time: SimTime,
    value: Option<f64>,
    #[serde(default)]
    value_text: Option<String>,
    milli: Option<i64>,
    /// In the metric's own unit.
    target: f64,
    #[serde(rename = "type")]
    target_type: Cow<'a, str>,
    proposal: Option<i32>,
    ratio: Option<f64>,
    #[serde(default)]
    ratio_text: Option<String>,
    within_tolerance: Option<bool>,
    #[serde(default)]
    trigger_kind: Cow<'a, str>,
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    fallback: bool,
    #[serde(default)]
    cached: bool,
    #[serde(default)]
    null_as_zero: bool,
    error: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HpaLine<'a> {
    t: SimTime,
    metrics: Vec<MetricLine<'a>>,
    metric_desired: Option<i32>,
    stabilized: Option<i32>,
    new_replicas: i32,
    rescaled: bool,
    conditions: ConditionsLine<'a>,
    reason: Option<Cow<'a, str>>,
    recommendations: Vec<RecommendationLine>,
    bound_by: Cow<'a, str>,
    spec_replicas: i32,
    status_replicas: i32,
    ready_replicas: i32,
    #[serde(default)]
    window: Option<WindowLine<'a>>,
    #[serde(default)]
    limit: Option<LimitLine<'a>>,
    #[serde(default)]
    status_conditions: Vec<StatusConditionLine<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionsLine<'a> {
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
pub(super) struct WindowLine<'a> {
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
pub(super) struct LimitLine<'a> {
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PollLine<'a> {
    t: SimTime,
    metrics: Vec<MetricLine<'a>>,
    active: bool,
    error: bool,
    rule: Cow<'a, str>,
    #[serde(default)]
    cooldown_end: Option<SimTime>,
    action: Cow<'a, str>,
    spec_replicas: i32,
    new_replicas: i32,
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
            let line: HpaLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
            read_sync(line).map(|sync| DecisionRecord::HpaSync(Box::new(sync)))
        }
        Some("kedaPoll") => {
            let line: PollLine = serde_json::from_value(value).map_err(|error| error.to_string())?;
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

fn read_sync(line: HpaLine<'_>) -> Result<HpaSync, String> {
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

fn read_metric(line: MetricLine<'_>) -> Result<MetricRecord, String> {
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

/// A sync's reason words as they stand in its line.
pub(super) fn conditions_line(sync: &HpaSync) -> ConditionsLine<'static> {
    ConditionsLine {
        able_to_scale: sync.able_to_scale.into(),
        scaling_active: sync.scaling_active.map(Cow::Borrowed),
        scaling_limited: sync.scaling_limited.map(Cow::Borrowed),
    }
}

/// What a window did as it stands in a line.
pub(super) fn window_line(reason: WindowReason) -> WindowLine<'static> {
    WindowLine {
        direction: word(reason.direction).into(),
        window_seconds: reason.window,
        replicas: reason.recommendation.replicas,
        t: reason.recommendation.at,
        age_seconds: reason.age,
    }
}

/// What limited the count as it stands in a line.
pub(super) fn limit_line(reason: LimitReason) -> LimitLine<'static> {
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

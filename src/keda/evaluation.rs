//! From the triggers' answers to what the scale loop and the HPA are told: fallback, cached records, the formula
//! (`pkg/scaling/scale_handler.go` `getScaledObjectState`, `GetScaledObjectMetrics`; keda.md 3.3, 4.1, 6, 7).
//!
//! Does not ask: the caller hands over one answer per trigger. Upstream asks a second time after an error and only what
//! comes then counts; that is the answer meant here.

use crate::keda::modifiers::{composite_milli, milli_float};
use crate::keda::trigger_value::float_to_milli;
use crate::keda::{
    Composite, CompositeFlaw, ExecutorState, FallbackBehavior, KedaVersion, Modifiers, ScaledObjectSpec, TargetCounts,
    Trigger, TriggerValue,
};
use crate::units::SimTime;

/// The first release whose scale loop uses fallback too.
const FALLBACK_IN_LOOP: KedaVersion = KedaVersion { major: 2, minor: 19, patch: 0 };
/// The first release whose cached records survive an error, and whose polls do not ask again where they cannot matter.
const V2_21: KedaVersion = KedaVersion { major: 2, minor: 21, patch: 0 };

/// What KEDA remembers of one ScaledObject.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KedaState {
    /// The executor's part.
    pub executor: ExecutorState,
    /// Per trigger.
    pub triggers: Vec<TriggerState>,
}

/// What KEDA remembers of one trigger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TriggerState {
    /// `status.health[metric].numberOfFailures`: failed answers in a row, of polls and syncs together.
    pub failures: u32,
    /// What the last poll found, for triggers with `useCachedMetrics`.
    pub record: Option<TriggerReport>,
    /// What the last sync saw.
    pub seen: Option<TriggerReport>,
}

/// A trigger's answer as treated. Of a cpu or memory trigger, which KEDA never asks, all is empty: no value, no error, not
/// active.
#[derive(Clone, Debug, PartialEq)]
pub struct TriggerReport {
    /// The float as evaluated; `None` when the answer failed.
    pub value: Option<f64>,
    /// Milli units, of the substitute when there is one; `None` when the failure stands, and for nil in a formula.
    pub milli: Option<i64>,
    /// Whether the trigger counts as active.
    pub active: bool,
    /// Why it failed, when nothing stands in for it.
    pub error: Option<String>,
    /// Whether fallback stands in for a failed answer.
    pub fallback: bool,
    /// Whether it was not asked now: the last poll's record, or from 2.21 on a poll that takes what the last sync saw.
    pub cached: bool,
    /// When the trigger was asked.
    pub asked: SimTime,
}

/// What the formula's metric is told.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeReport {
    /// The formula's result; `None` when it did not run or failed.
    pub value: Option<f64>,
    /// Milli units; `None` when it failed.
    pub milli: Option<i64>,
    /// Above `activationTarget`.
    pub active: bool,
    /// Why there is no number.
    pub error: Option<String>,
    /// Whether a fallback stands in for the formula.
    pub fallback: bool,
    /// What is wrong with the formula's number, which KEDA passes on all the same.
    pub flaw: Option<CompositeFlaw>,
}

/// One round of answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Per trigger.
    pub triggers: Vec<TriggerReport>,
    /// With a formula.
    pub composite: Option<CompositeReport>,
    /// Whether the object counts as active.
    pub active: bool,
    /// Whether the object counts as failing.
    pub error: bool,
    /// The memory after the round.
    pub next: KedaState,
}

impl Evaluation {
    /// Says when each trigger was asked, where it was asked at all; answers may have taken time.
    #[must_use]
    pub fn asked_at(mut self, times: &[Option<SimTime>]) -> Self {
        let reports = self.triggers.iter_mut().zip(&mut self.next.triggers).zip(times);
        for ((report, memory), time) in reports {
            let (Some(time), before) = (*time, report.asked) else { continue };
            let kept = [&mut memory.seen, &mut memory.record].into_iter().flatten();
            for own in kept.filter(|own| own.asked == before) {
                own.asked = time;
            }
            report.asked = time;
        }
        self
    }
}

impl KedaState {
    /// The memory of an object that was just created.
    pub fn new(spec: &ScaledObjectSpec) -> Self {
        let triggers = vec![TriggerState::default(); spec.triggers.len()];
        KedaState { executor: ExecutorState::default(), triggers }
    }

    /// Whether a sync asks trigger `index` itself, not its record.
    pub fn asks(&self, index: usize) -> bool {
        self.triggers[index].record.is_none()
    }

    /// Whether a poll asks the triggers. From 2.21 on it takes what the last sync saw where polls cannot move the target
    /// (a minimum, no idle count), no record is kept and no formula is used (keda#8031).
    pub fn poll_asks(&self, spec: &ScaledObjectSpec, version: KedaVersion) -> bool {
        let matters = spec.min_replicas == 0
            || spec.idle_replicas.is_some()
            || spec.modifiers.is_some()
            || spec.triggers.iter().any(|own| own.use_cached_metrics);
        version < V2_21 || matters || self.triggers.iter().any(|own| own.seen.is_none())
    }
}

/// A poll of the scale loop over one fresh answer per trigger; `None` for a cpu or memory trigger, which KEDA never asks (an
/// answer given for one is passed over).
///
/// # Panics
/// When there is not one entry per trigger, or no answer of another trigger.
pub fn evaluate_poll(
    spec: &ScaledObjectSpec,
    version: KedaVersion,
    state: &KedaState,
    answers: Vec<Option<Result<TriggerValue, String>>>,
    counts: TargetCounts,
    asked: SimTime,
) -> Evaluation {
    assert_eq!(answers.len(), spec.triggers.len(), "one answer per trigger");
    let mut failed = false;
    let mut next = state.clone();
    let mut reports = Vec::with_capacity(answers.len());
    for (index, answer) in answers.into_iter().enumerate() {
        let trigger = &spec.triggers[index];
        if trigger.is_resource() {
            reports.push(unasked(asked));
            continue;
        }
        let Some(answer) = answer else { panic!("{} has no answer", trigger.metric_name) };
        failed |= answer.is_err();
        let plain = plain(answer, asked);
        let report = if version >= FALLBACK_IN_LOOP {
            with_fallback(spec, version, trigger, &mut next.triggers[index].failures, plain, counts)
        } else {
            plain
        };
        reports.push(report);
    }
    // An error clears the scalers' cache, the records with it.
    let dropped = failed && version < V2_21;
    for (index, trigger) in spec.triggers.iter().enumerate().filter(|(_, own)| own.use_cached_metrics) {
        let record = TriggerReport { cached: true, ..reports[index].clone() };
        next.triggers[index].record = (!dropped && trigger.use_cached_metrics).then_some(record);
    }
    conclude(spec, reports, next, counts)
}

/// An HPA sync: one answer per trigger, `None` for those that [`KedaState::asks`] says are served from their record and for
/// cpu and memory triggers (an answer given for one is passed over).
///
/// # Panics
/// When an answer is missing.
pub fn evaluate_sync(
    spec: &ScaledObjectSpec,
    version: KedaVersion,
    state: &KedaState,
    answers: Vec<Option<Result<TriggerValue, String>>>,
    counts: TargetCounts,
    asked: SimTime,
) -> Evaluation {
    assert_eq!(answers.len(), spec.triggers.len(), "one answer or record per trigger");
    let mut next = state.clone();
    let mut reports = Vec::with_capacity(answers.len());
    for (index, answer) in answers.into_iter().enumerate() {
        let memory = &mut next.triggers[index];
        let trigger = &spec.triggers[index];
        let report = match (answer, memory.record.clone()) {
            _ if trigger.is_resource() => unasked(asked),
            (Some(answer), _) => {
                with_fallback(spec, version, trigger, &mut memory.failures, plain(answer, asked), counts)
            }
            (None, Some(record)) => from_record(spec, version, trigger, &mut memory.failures, record, counts),
            (None, None) => panic!("{} has neither an answer nor a record", trigger.metric_name),
        };
        memory.seen = Some(report.clone());
        reports.push(report);
    }
    conclude(spec, reports, next, counts)
}

/// A poll that does not ask ([`KedaState::poll_asks`]): what the last sync saw stands, and nothing is counted.
///
/// # Panics
/// When there was no sync yet.
pub fn evaluate_poll_from_syncs(spec: &ScaledObjectSpec, state: &KedaState, counts: TargetCounts) -> Evaluation {
    let seen = |own: &TriggerState| {
        let report = own.seen.clone().expect("a poll asks itself until every trigger was asked by a sync");
        TriggerReport { cached: true, ..report }
    };
    conclude(spec, state.triggers.iter().map(seen).collect(), state.clone(), counts)
}

fn plain(answer: Result<TriggerValue, String>, asked: SimTime) -> TriggerReport {
    let (value, error) = match answer {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    };
    TriggerReport {
        value: value.map(|own| own.value),
        milli: value.map(|own| own.milli),
        active: value.is_some_and(|own| own.active),
        error,
        fallback: false,
        cached: false,
        asked,
    }
}

/// The report of a cpu or memory trigger.
fn unasked(asked: SimTime) -> TriggerReport {
    TriggerReport { value: None, milli: None, active: false, error: None, fallback: false, cached: false, asked }
}

/// `GetMetricsWithFallback`: counts, and puts the substitute in place of an error that lasted too long.
fn with_fallback(
    spec: &ScaledObjectSpec,
    version: KedaVersion,
    trigger: &Trigger,
    failures: &mut u32,
    report: TriggerReport,
    counts: TargetCounts,
) -> TriggerReport {
    if report.error.is_none() {
        *failures = 0;
        return report;
    }
    *failures = failures.saturating_add(1);
    let Some(fallback) = spec.fallback else { return report };
    // With a formula the substitute is the composite's.
    let (target, target_type) = match &spec.modifiers {
        Some(modifiers) => (modifiers.target, modifiers.target_type),
        // As it stands in the HPA.
        None => (milli_float(float_to_milli(trigger.threshold, version)), trigger.target_type),
    };
    if !fallback.acts(*failures, target_type, version) {
        return report;
    }
    let milli = if fallback.behavior == FallbackBehavior::ScalingModifiers {
        None
    } else {
        let Some(milli) = fallback.substitute(target, target_type, counts) else { return report };
        Some(milli)
    };
    TriggerReport { milli, active: true, error: None, fallback: true, ..report }
}

/// A record goes through fallback as an answer does; a substitute in it is no success, so it leaves the count alone.
fn from_record(
    spec: &ScaledObjectSpec,
    version: KedaVersion,
    trigger: &Trigger,
    failures: &mut u32,
    record: TriggerReport,
    counts: TargetCounts,
) -> TriggerReport {
    if record.fallback {
        return record;
    }
    with_fallback(spec, version, trigger, failures, record, counts)
}

fn conclude(
    spec: &ScaledObjectSpec,
    triggers: Vec<TriggerReport>,
    next: KedaState,
    counts: TargetCounts,
) -> Evaluation {
    let error = triggers.iter().any(|own| own.error.is_some());
    let composite = spec.modifiers.as_ref().map(|own| composite(own, spec, &triggers, counts));
    let active = match &composite {
        // A formula that fails when it runs is no error to the loop: the object just is not active.
        Some(composite) => !error && composite.active,
        None => triggers.iter().any(|own| own.active),
    };
    // Where nothing but cpu and memory is there, nobody could ever wake the workload.
    let only_resources = spec.triggers.iter().all(Trigger::is_resource);
    let active = active || (only_resources && !error);
    Evaluation { triggers, composite, active, error, next }
}

fn composite(
    modifiers: &Modifiers,
    spec: &ScaledObjectSpec,
    triggers: &[TriggerReport],
    counts: TargetCounts,
) -> CompositeReport {
    let told = |value: Option<f64>, milli: i64, fallback: bool| {
        let active = milli_float(milli) > modifiers.activation_target;
        let flaw = value.and_then(CompositeFlaw::of);
        CompositeReport { value, milli: Some(milli), active, error: None, fallback, flaw }
    };
    let failed = |error: String| CompositeReport {
        value: None,
        milli: None,
        active: false,
        error: Some(error),
        fallback: false,
        flaw: None,
    };
    // The first substitute takes the formula's place.
    if let Some(milli) = triggers.iter().filter(|own| own.fallback).find_map(|own| own.milli) {
        return told(None, milli, true);
    }
    if let Some((trigger, error)) =
        spec.triggers.iter().zip(triggers).find_map(|(own, report)| Some((own, report.error.as_ref()?)))
    {
        return failed(format!("{}: {error}", trigger.metric_name));
    }
    let milli: Vec<Option<i64>> = triggers.iter().map(|own| own.milli).collect();
    match modifiers.evaluate(&spec.triggers, &milli) {
        Ok(Composite::Number(value)) => told(Some(value), composite_milli(value), false),
        Ok(Composite::Nil) => {
            let substitute =
                spec.fallback.and_then(|own| own.substitute(modifiers.target, modifiers.target_type, counts));
            substitute.map_or_else(
                || failed("the formula returns nil and nothing stands in for it".to_owned()),
                |milli| told(None, milli, true),
            )
        }
        Err(why) => failed(format!("error trying to run custom formula: {why}")),
    }
}

#[cfg(test)]
#[path = "evaluation_tests.rs"]
mod tests;

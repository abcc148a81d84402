//! Why the SLO was missed when it was (verdicts.md 4.4): each minute of a violated window has one reason, read off the state
//! of the loop in that minute.
//!
//! A minute is looked at every five seconds; the reason that holds most often is its own. Compared are the pods that were
//! ready with what the load needed ([`Need`]) and with what the metrics proposed. Where both were satisfied the misses are
//! those of a queue that a shortage before has left, as long as it shrinks; else nobody asked for more, and whether more
//! would have helped only a measured capacity can tell (`kedasim compare`).

use crate::analysis::Need;
use crate::analysis::flapping::measured;
use crate::analysis::slo_minutes::{span, violated_windows};
use crate::record::{DecisionRecord, EventKind, MetricRecord, PodRecord, RunInfo, RunRecord};
use crate::scenario::SloLimit;
use crate::units::{SimDuration, SimTime};

/// Why a minute missed the SLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissReason {
    /// Pods that would have sufficed were on a node and not ready.
    Starting,
    /// No more replicas were allowed.
    AtMaximum,
    /// `spec.replicas` was below the need, or below what a metric proposed.
    HeldLow,
    /// Replicas that would have sufficed were asked for, but their pods had no node or did not exist yet.
    NoNode,
    /// As [`Self::HeldLow`], while a fault was in force or a metric could not be had.
    Failure,
    /// As many were ready as were needed by the estimate and asked for.
    NoneAsked,
}

/// What was there at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissExample {
    /// When.
    pub at: SimTime,
    /// Ready pods.
    pub ready: i32,
    /// Pods on a node, the ready ones included.
    pub bound: i32,
    /// `spec.replicas`.
    pub spec: i32,
    /// Replicas that were needed, or proposed.
    pub wanted: i32,
}

/// Minutes of violated windows by their reason.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MissReasons {
    minutes: [f64; MissReason::ALL.len()],
    first: [Option<MissExample>; MissReason::ALL.len()],
}

impl MissReason {
    /// All, in the order of reports.
    pub const ALL: [MissReason; 6] = [
        MissReason::Starting,
        MissReason::AtMaximum,
        MissReason::HeldLow,
        MissReason::NoNode,
        MissReason::Failure,
        MissReason::NoneAsked,
    ];

    /// `3 minutes ...` of a run's misses.
    fn words(self, run: &RunInfo) -> String {
        match self {
            MissReason::Starting => "with pods still starting".to_owned(),
            MissReason::AtMaximum if run.fixed_replicas => "at the fixed count".to_owned(),
            MissReason::AtMaximum => format!("at the maximum of {}", run.max_replicas),
            MissReason::HeldLow => "held low by the policy".to_owned(),
            MissReason::NoNode => "with pods that had no node or were held back".to_owned(),
            MissReason::Failure => "held low while a metric failed or a fault was in force".to_owned(),
            MissReason::NoneAsked => "with all that was asked for ready".to_owned(),
        }
    }

    /// What may help.
    fn advice(self) -> &'static str {
        match self {
            MissReason::Starting => {
                "a lower threshold or more replicas at least, so that pods are there before the load; a faster start"
            }
            MissReason::AtMaximum => "a higher maximum",
            MissReason::HeldLow => {
                "a shorter range of the query, a shorter scaleUp window or larger steps; a lower threshold"
            }
            MissReason::NoNode => "nodes in reserve, or a larger quota",
            MissReason::Failure => "a fallback, or a metric that does not fail",
            MissReason::NoneAsked => {
                "a lower threshold: kedasim compare measures what a replica sustains within these goals"
            }
        }
    }
}

impl MissReasons {
    /// Minutes that missed for `reason`.
    pub fn minutes(&self, reason: MissReason) -> f64 {
        self.minutes[reason as usize]
    }

    /// The state in the first minute that missed for `reason`; `None` without any, or where only a queue was left.
    pub fn first(&self, reason: MissReason) -> Option<MissExample> {
        self.first[reason as usize]
    }

    /// All reasons on one line, of the run `run`; `None` without a missed minute.
    pub fn text(&self, run: &RunInfo) -> Option<String> {
        let there = MissReason::ALL.into_iter().filter(|reason| self.minutes(*reason) > 0.0);
        let parts: Vec<String> =
            there.map(|reason| format!("{} {}", minutes_text(self.minutes(reason)), reason.words(run))).collect();
        let all: f64 = self.minutes.iter().sum();
        let noun = if all == 1.0 { "minute" } else { "minutes" };
        (!parts.is_empty()).then(|| format!("of {} missed {noun}: {}", minutes_text(all), parts.join(", ")))
    }

    /// The line, an example of each reason, and what may help against the most frequent one.
    pub(super) fn evidence(&self, run: &RunInfo) -> Vec<String> {
        let mut evidence: Vec<String> = self.text(run).into_iter().collect();
        for reason in MissReason::ALL {
            evidence.extend(self.first(reason).map(|first| {
                let MissExample { at, ready, bound, spec, wanted } = first;
                let coming = if bound > ready { format!(", {} starting", bound - ready) } else { String::new() };
                let at = at.floor_to_second();
                format!("{}: at {at} {ready} ready{coming}, spec.replicas {spec}, {wanted} wanted", reason.words(run))
            }));
        }
        // Of equals the first in order.
        let there = MissReason::ALL.into_iter().rev().filter(|reason| self.minutes(*reason) > 0.0);
        let most = there.max_by(|left, right| self.minutes(*left).total_cmp(&self.minutes(*right)));
        evidence.extend(most.map(|reason| format!("try: {}", reason.advice())));
        evidence
    }
}

/// Whole where they are; the end of a run may cut one.
fn minutes_text(minutes: f64) -> String {
    if minutes.fract() == 0.0 { format!("{minutes:.0}") } else { format!("{minutes:.1}") }
}

/// Distance of the instants at which a minute is looked at.
const STEP: SimDuration = SimDuration::from_secs(5);
const STEPS: u64 = 12;
const MINUTE: SimDuration = SimDuration::from_secs(60);

/// The reasons of every minute of the windows of `record` that violate `limits`, by `need`.
pub(super) fn miss_reasons(record: &RunRecord, limits: &[SloLimit], need: &Need) -> MissReasons {
    let (start, measured_time) = measured(record);
    let state = State::of(record, need);
    let mut reasons = MissReasons::default();
    let mut before: Option<(usize, MissReason)> = None;
    for minute in violated_windows(&record.slo, limits).flat_map(|(from, to)| from..to) {
        let from = start + MINUTE.times(minute as u64);
        let seen = state.of_minute(from);
        let follows = before.filter(|(last, _)| last + 1 == minute).map(|(_, reason)| reason);
        let (reason, example) = match (seen, follows) {
            ((MissReason::NoneAsked, _), Some(reason)) if queue_shrinks(record, from) => (reason, None),
            ((reason, example), _) => (reason, Some(example)),
        };
        reasons.minutes[reason as usize] += span(minute, minute + 1, measured_time).max(0.0);
        let first = &mut reasons.first[reason as usize];
        *first = first.or(example);
        before = Some((minute, reason));
    }
    reasons
}

/// Whether requests waited at the start of the minute from `from` on and there were fewer inside at its end.
fn queue_shrinks(record: &RunRecord, from: SimTime) -> bool {
    let rows = &record.timeline.rows;
    let at = |t: SimTime| rows.partition_point(|row| row.t <= t).checked_sub(1).map(|index| &rows[index]);
    let inside = |row: &crate::record::TimelineRow| row.running + row.waiting;
    let pair = at(from).zip(at(from.saturating_add(MINUTE)));
    pair.is_some_and(|(first, last)| first.waiting > 0 && inside(last) < inside(first))
}

/// A number of things over time, each there from one instant until another.
#[derive(Default)]
struct Count {
    starts: Vec<SimTime>,
    ends: Vec<SimTime>,
}

impl Count {
    fn of(spans: impl Iterator<Item = (SimTime, Option<SimTime>)>) -> Self {
        let mut count = Count::default();
        // What ends before it starts was never there.
        for (start, end) in spans.filter(|(start, end)| end.is_none_or(|end| end > *start)) {
            count.starts.push(start);
            count.ends.extend(end);
        }
        count.starts.sort_unstable();
        count.ends.sort_unstable();
        count
    }

    fn at(&self, t: SimTime) -> i32 {
        let until = |times: &[SimTime]| times.partition_point(|own| *own <= t);
        i32::try_from(until(&self.starts) - until(&self.ends)).unwrap_or(i32::MAX)
    }
}

/// What was asked for after a decision.
struct Asked {
    t: SimTime,
    /// The largest proposal of the last sync; `None` when it had none.
    proposal: Option<i32>,
    /// Whether a metric could not be had, or a fallback stood in for it.
    failed: bool,
}

/// The state of the loop over time.
struct State<'a> {
    need: &'a Need,
    ready: Count,
    bound: Count,
    faults: Count,
    /// `spec.replicas` from each instant on.
    spec: Vec<(SimTime, i32)>,
    asked: Vec<Asked>,
    /// Most replicas; `None` when they are fixed, at whatever count.
    most: Option<i32>,
}

impl<'a> State<'a> {
    fn of(record: &RunRecord, need: &'a Need) -> Self {
        let pods = |from: fn(&PodRecord) -> Option<SimTime>| {
            Count::of(record.pods.iter().filter_map(move |pod| Some((from(pod)?, pod.deleted.or(pod.gone)))))
        };
        let writes = record.events.iter().filter_map(|event| match event.kind {
            EventKind::Scaled { to, .. } => Some((event.t, to)),
            _ => None,
        });
        State {
            need,
            ready: pods(|pod| pod.ready),
            bound: pods(|pod| pod.scheduled),
            faults: faults(record),
            spec: [(SimTime::ZERO, record.info.initial_replicas)].into_iter().chain(writes).collect(),
            asked: asked(record),
            most: (!record.info.fixed_replicas).then_some(record.info.max_replicas),
        }
    }

    /// The reason that holds most often in the minute from `from` on, and the first state in which it does.
    fn of_minute(&self, from: SimTime) -> (MissReason, MissExample) {
        // In the middle of each step, so that what changes on a full minute belongs to one of them.
        let half = SimDuration::from_ps(STEP.as_ps() / 2);
        let seen: Vec<(MissReason, MissExample)> =
            (0..STEPS).map(|step| self.at(from + STEP.times(step) + half)).collect();
        let times = |reason: MissReason| seen.iter().filter(|(own, _)| *own == reason).count();
        // Of several that hold as often, the first in the order of reports.
        let most = MissReason::ALL.into_iter().rev().max_by_key(|reason| times(*reason));
        let most = most.expect("there are reasons");
        *seen.iter().find(|(own, _)| *own == most).expect("what holds most often holds")
    }

    fn at(&self, t: SimTime) -> (MissReason, MissExample) {
        let (ready, bound) = (self.ready.at(t), self.bound.at(t));
        let spec = self.spec[self.spec.partition_point(|(from, _)| *from <= t).max(1) - 1].1;
        let most = self.most.unwrap_or(spec);
        let asked = self.asked.partition_point(|own| own.t <= t).checked_sub(1).map(|index| &self.asked[index]);
        let needed = self.need.demanded_at(t).unwrap_or(0);
        let proposed = asked.and_then(|own| own.proposal).unwrap_or(0).min(most);
        let wanted = if ready < needed { needed } else { proposed };
        let failed = asked.is_some_and(|own| own.failed) || self.faults.at(t) > 0;
        let reason = match () {
            () if ready >= most || (wanted > most && spec >= most) => MissReason::AtMaximum,
            () if ready >= wanted => MissReason::NoneAsked,
            () if bound >= wanted => MissReason::Starting,
            () if spec >= wanted => MissReason::NoNode,
            () if failed => MissReason::Failure,
            () => MissReason::HeldLow,
        };
        (reason, MissExample { at: t, ready, bound, spec, wanted })
    }
}

/// What was asked for from each decision on. A poll proposes nothing: what the last sync proposed goes on.
fn asked(record: &RunRecord) -> Vec<Asked> {
    let failed = |metric: &MetricRecord| metric.error.is_some() || metric.fallback;
    let mut proposal = None;
    let after = |decision: &DecisionRecord| {
        if let Some(sync) = decision.sync() {
            proposal = sync.metrics.iter().filter_map(|metric| metric.proposal).max();
        }
        Asked { t: decision.t(), proposal, failed: decision.metrics().iter().any(failed) }
    };
    record.decisions.iter().map(after).collect()
}

/// The faults in force.
fn faults(record: &RunRecord) -> Count {
    let mut faults = Count::default();
    for event in &record.events {
        match event.kind {
            EventKind::FaultStarted { .. } => faults.starts.push(event.t),
            EventKind::FaultEnded { .. } => faults.ends.push(event.t),
            _ => {}
        }
    }
    faults
}

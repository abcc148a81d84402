//! How often each trigger failed when it was asked.

use crate::analysis::flapping::measured;
use crate::record::{DecisionRecord, MetricRecord, RunRecord};
use crate::units::SimTime;

/// Failures of one metric of the HPA (of a trigger, or of the formula over them).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TriggerFailures<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether HPA syncs asked it; else only polls did.
    pub by_syncs: bool,
    /// How often it was asked.
    pub asked: u64,
    /// How often it failed.
    pub failed: u64,
    /// How often fallback stood in for its answer.
    pub fallback: u64,
    /// First failure (or fallback) and last.
    pub first: SimTime,
    /// See `first`.
    pub last: SimTime,
    /// The first failure's text.
    pub error: &'a str,
    /// Whether all failures have that text.
    pub same_error: bool,
}

impl TriggerFailures<'_> {
    /// Whether it failed in nine of ten questions or more: the HPA could as good as never compute anything from it.
    pub fn is_constant(&self) -> bool {
        self.failed > 0 && self.failed * 10 >= self.asked * 9
    }
}

/// Per metric of the HPA: how often it was asked and failed after the warm-up. Where no sync ever asked (a target that
/// stayed at zero), polls count.
pub(super) fn trigger_failures(record: &RunRecord) -> Vec<TriggerFailures<'_>> {
    let by_syncs = count(record, true);
    if by_syncs.iter().any(|trigger| trigger.asked > 0) { by_syncs } else { count(record, false) }
}

fn count(record: &RunRecord, by_syncs: bool) -> Vec<TriggerFailures<'_>> {
    let (start, _) = measured(record);
    let mut found: Vec<TriggerFailures<'_>> = Vec::new();
    for decision in &record.decisions {
        let (t, metrics, asked): (_, _, fn(&MetricRecord) -> bool) = match decision {
            // A jump into min..max looks at no metric, and an input of a formula proposes nothing.
            DecisionRecord::HpaSync(sync) if by_syncs => (sync.t, &sync.metrics, |own| own.proposal.is_some()),
            DecisionRecord::KedaPoll(poll) if !by_syncs => (poll.t, &poll.metrics, |own| own.active.is_some()),
            _ => continue,
        };
        if t < start {
            continue;
        }
        for metric in of_hpa(metrics) {
            let failed = metric.error.is_some();
            if failed || asked(metric) {
                note(&mut found, by_syncs, t, metric);
            }
        }
    }
    found
}

/// Those of a decision's metrics that are the HPA's: what goes into a formula is not, while cpu and memory stand beside it.
pub(super) fn of_hpa(metrics: &[MetricRecord]) -> impl Iterator<Item = &MetricRecord> {
    let has_formula = metrics.iter().any(|own| own.kind == "composite");
    let is_input =
        move |own: &&MetricRecord| has_formula && !matches!(own.kind.as_str(), "composite" | "cpu" | "memory");
    metrics.iter().filter(move |own| !is_input(own))
}

fn note<'a>(found: &mut Vec<TriggerFailures<'a>>, by_syncs: bool, t: SimTime, metric: &'a MetricRecord) {
    let index = found.iter().position(|trigger| trigger.name == metric.trigger).unwrap_or_else(|| {
        found.push(TriggerFailures {
            name: &metric.trigger,
            by_syncs,
            asked: 0,
            failed: 0,
            fallback: 0,
            first: SimTime::NEVER,
            last: t,
            error: "",
            same_error: true,
        });
        found.len() - 1
    });
    let trigger = &mut found[index];
    trigger.asked += 1;
    trigger.fallback += u64::from(metric.fallback);
    if metric.fallback || metric.error.is_some() {
        trigger.first = trigger.first.min(t);
        trigger.last = t;
    }
    if let Some(error) = &metric.error {
        if trigger.failed == 0 {
            trigger.error = error;
        }
        trigger.same_error &= trigger.error == error;
        trigger.failed += 1;
    }
}

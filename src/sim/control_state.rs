//! What belongs to a policy and not to the world it acts on: its controllers' memory, and what they have seen and decided.
//!
//! Nothing here is read by anybody but those controllers and the record of their policy, so several policies can act on one
//! world as long as they write the same scales (`shared`).

use crate::hpa::HpaState;
use crate::keda::KedaState;
use crate::record::{DecisionRecord, Event, EventKind, TimelineRow};
use crate::scenario::ResolvedRun;
use crate::sim::control::PendingSync;
use crate::sim::event::PolicyId;
use crate::sim::keda::PendingPoll;
use crate::sim::shown::{shown_places, trigger_infos};
use crate::units::{SimTime, Stream};
use std::sync::Arc;

/// Controllers' memory.
pub(super) struct ControlState {
    /// Whose controllers these are.
    pub(super) policy: PolicyId,
    pub(super) hpa: HpaState,
    pub(super) hpa_synced: bool,
    /// Untouched without KEDA.
    pub(super) keda: KedaState,
    /// When the ScaledObject was created.
    pub(super) created: SimTime,
    /// When KEDA's scale loop ticks next; an event for another instant is of a loop that has ended.
    pub(super) next_poll: Option<SimTime>,
    /// The poll that waits for answers.
    pub(super) poll: Option<PendingPoll>,
    /// The sync that waits for answers.
    pub(super) sync: Option<PendingSync>,
    /// Whether KEDA has opened the streams of its push scalers.
    pub(super) pushes_watched: bool,
    /// Per trigger: when its activity is looked at next, as `next_poll`.
    pub(super) next_push: Vec<Option<SimTime>>,
    /// Activations that came while a poll had the lock.
    pub(super) waiting_pushes: usize,
    pub(super) sync_latency: Stream,
    pub(super) last_change: SimTime,
    /// Of each trigger (or metric of a plain HPA), and of the formula if there is one: the last value that a sync or poll saw.
    pub(super) last_values: Vec<Option<f64>>,
    /// Per trigger: whether its last answer was nothing that a number could be made of, which `ignoreNullValues` reads as 0.
    pub(super) null_answers: Vec<bool>,
    /// Their targets.
    pub(super) thresholds: Vec<f64>,
    /// Per metric of the HPA that is not KEDA's: where it stands among `last_values`.
    pub(super) places: Vec<Option<usize>>,
    /// Writes of the scale at this instant that the ReplicaSet controller has not been told of yet.
    pub(super) writes: Vec<ScaleWrite>,
    pub(super) decided: Decided,
}

/// A write of `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScaleWrite {
    pub(super) from: i32,
    pub(super) to: i32,
}

impl ControlState {
    /// Before anything has happened.
    pub(super) fn new(run: &ResolvedRun, policy: PolicyId) -> Self {
        let scaled_object = run.keda.as_ref().map(|keda| &keda.scaled_object);
        let triggers = scaled_object.map_or(0, |own| own.triggers.len());
        let thresholds: Vec<f64> = trigger_infos(run).iter().map(|own| own.threshold).collect();
        ControlState {
            policy,
            hpa: HpaState::default(),
            hpa_synced: false,
            keda: scaled_object.map(KedaState::new).unwrap_or_default(),
            created: SimTime::ZERO,
            next_poll: None,
            poll: None,
            sync: None,
            pushes_watched: false,
            next_push: vec![None; triggers],
            waiting_pushes: 0,
            sync_latency: run.seed.stream("hpa-sync-latency", 0),
            last_change: SimTime::ZERO,
            last_values: vec![None; thresholds.len()],
            null_answers: vec![false; triggers],
            thresholds,
            places: shown_places(run),
            writes: Vec::new(),
            decided: Decided::default(),
        }
    }

    /// The triggers' last values and thresholds are those of the timeline's row at `row`.
    pub(super) fn note_cells(&mut self, row: usize) {
        let cells = || self.last_values.iter().copied().zip(self.thresholds.iter().copied());
        let bits = |(value, threshold): (Option<f64>, f64)| (value.map(f64::to_bits), threshold.to_bits());
        let same = |before: &TriggerCells| before.iter().copied().map(bits).eq(cells().map(bits));
        if !self.decided.cells.last().is_some_and(|(_, before)| same(before)) {
            let cells = cells().collect();
            self.decided.cells.push((row, cells));
        }
    }
}

/// Per trigger: its last value and its threshold.
type TriggerCells = Arc<[(Option<f64>, f64)]>;

/// What a policy's controllers have seen and decided, in time order.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) decisions: Vec<DecisionRecord>,
    /// Writes of the scale, each with the number of the world's events that were recorded before it.
    scaled: Vec<(usize, Event)>,
    /// What the timeline shows of the triggers, each from a row on.
    cells: Vec<(usize, TriggerCells)>,
}

/// How far back the last decision of the same kind stands at most, to share its texts.
const SHARED_WITHIN: usize = 8;

impl Decided {
    /// Adds a decision.
    pub(super) fn push(&mut self, mut decision: DecisionRecord) {
        let kind = std::mem::discriminant(&decision);
        let recent = self.decisions.iter().rev().take(SHARED_WITHIN);
        if let Some(earlier) = recent.into_iter().find(|own| std::mem::discriminant(*own) == kind) {
            decision.share(earlier);
        }
        self.decisions.push(decision);
    }

    /// Adds a write of the scale, the next one after that many events of the world.
    pub(super) fn push_scaled(&mut self, events_before: usize, t: SimTime, kind: EventKind) {
        self.scaled.push((events_before, Event { t, kind }));
    }

    /// The world's events and this policy's, in the order in which they happened.
    pub(super) fn take_events(&mut self, of_world: Vec<Event>) -> Vec<Event> {
        let mut events = Vec::with_capacity(of_world.len() + self.scaled.len());
        let mut scaled = std::mem::take(&mut self.scaled).into_iter().peekable();
        for (number, event) in of_world.into_iter().enumerate() {
            while let Some((_, own)) = scaled.next_if(|(before, _)| *before <= number) {
                events.push(own);
            }
            events.push(event);
        }
        events.extend(scaled.map(|(_, own)| own));
        events
    }

    /// Completes the world's timeline by what this policy's triggers showed.
    pub(super) fn fill_cells(&self, rows: &mut [TimelineRow]) {
        let ends = self.cells.iter().skip(1).map(|(row, _)| *row).chain([rows.len()]);
        for ((start, cells), end) in self.cells.iter().zip(ends) {
            for row in &mut rows[*start..end] {
                row.triggers = Arc::clone(cells);
            }
        }
    }
}

//! KEDA's polls, its answers to the HPA, and the activations that external scalers push.

use crate::hpa::MetricObservation;
use crate::keda::{
    COMPOSITE, CompositeReport, Evaluation, Modifiers, PollAction, PollObservation, SignalTrigger, TargetCounts,
    Trigger, TriggerKind, TriggerReport, evaluate_poll, evaluate_poll_from_syncs, evaluate_sync, paused, poll,
};
use crate::record::{DecisionRecord, KedaPoll, MetricRecord, ScaleSource};
use crate::scenario::{KedaSettings, MetricSource};
use crate::sim::asking::Asking;
use crate::sim::event::Event;
use crate::sim::shown::target_milli;
use crate::sim::world::World;
use crate::units::SimTime;

/// KEDA's answers to one sync.
#[derive(Default)]
pub(super) struct FromKeda {
    /// Per trigger; `None` for cpu and memory, which it does not serve, and once taken.
    triggers: Vec<Option<MetricRecord>>,
    composite: Option<MetricRecord>,
    /// Per trigger: whether KEDA was not there to answer.
    lost: Vec<bool>,
}

impl FromKeda {
    /// Takes the answer for the trigger at `index`.
    pub(super) fn trigger(&mut self, index: usize) -> Option<(MetricObservation, MetricRecord)> {
        let record = self.triggers.get_mut(index).and_then(Option::take)?;
        Some((told_to_hpa(&record, self.lost[index]), record))
    }

    /// Takes the formula's answer.
    pub(super) fn composite(&mut self) -> Option<(MetricObservation, MetricRecord)> {
        let record = self.composite.take()?;
        Some((told_to_hpa(&record, self.lost.contains(&true)), record))
    }

    /// What was not taken: the formula's inputs.
    pub(super) fn rest(self) -> impl Iterator<Item = MetricRecord> {
        self.composite.into_iter().chain(self.triggers.into_iter().flatten())
    }
}

/// What the metrics API answers: one series, or a failure. An error of KEDA's operator comes through its metrics server as
/// gRPC has it (`pkg/metricsservice/server.go` `GetMetrics`, `scale_handler.go` `GetScaledObjectMetrics`; releases before
/// the newest ones leave the scaler's own error out).
fn told_to_hpa(record: &MetricRecord, lost: bool) -> MetricObservation {
    match (record.milli, &record.error) {
        (Some(milli), _) => MetricObservation::Series(vec![milli]),
        (None, None) => MetricObservation::Failed(String::new()),
        (None, Some(error)) if lost => MetricObservation::Failed(error.clone()),
        (None, Some(error)) => MetricObservation::Failed(format!(
            "rpc error: code = Unknown desc = error when getting metric values metric:{} encountered error: {error}",
            record.trigger
        )),
    }
}

/// A poll that waits for answers. It asks all triggers at once (`getScaledObjectState`).
pub(super) struct PendingPoll {
    started: SimTime,
    askings: Vec<Option<Asking>>,
}

/// What a sync asks KEDA for, per trigger.
#[derive(Default)]
pub(super) struct AskedBySync {
    pub(super) askings: Vec<Option<Asking>>,
    /// The last poll's record, where that answers.
    records: Vec<Option<TriggerReport>>,
    /// KEDA did not answer.
    pub(super) lost: Vec<bool>,
}

impl AskedBySync {
    pub(super) fn of(triggers: usize) -> Self {
        AskedBySync { askings: vec![None; triggers], records: vec![None; triggers], lost: vec![false; triggers] }
    }
}

impl World<'_> {
    /// The HPA asks KEDA's metrics server for one trigger's metric.
    pub(super) fn ask_for_sync(&mut self, asked: &mut AskedBySync, index: usize) {
        let Some(keda) = &self.run.keda else { return };
        if self.keda_is_down() {
            asked.lost[index] = true;
        } else if self.control.keda.asks(index) {
            asked.askings[index] = Some(self.ask(keda, index));
        } else {
            asked.records[index].clone_from(&self.control.keda.triggers[index].record);
        }
    }

    /// What KEDA's metrics server has answered the HPA; nothing without KEDA.
    pub(super) fn answers_of_keda(&mut self, mut asked: AskedBySync) -> FromKeda {
        let Some(keda) = &self.run.keda else { return FromKeda::default() };
        let spec = &keda.scaled_object;
        for (index, trigger) in spec.triggers.iter().enumerate() {
            let answered = asked.askings[index].is_some() || asked.records[index].is_some();
            asked.lost[index] = !answered && !trigger.is_resource();
        }
        let times: Vec<Option<SimTime>> = asked.askings.iter().map(|own| own.as_ref().map(|own| own.asked)).collect();
        // A poll may have written or dropped records since the sync read them.
        let mut state = self.control.keda.clone();
        for (memory, record) in state.triggers.iter_mut().zip(&asked.records) {
            memory.record.clone_from(record);
        }
        let mut answers = Vec::with_capacity(spec.triggers.len());
        for (index, (trigger, asking)) in spec.triggers.iter().zip(asked.askings).enumerate() {
            let from_record = asked.records[index].is_some();
            answers.push(match asking {
                _ if trigger.is_resource() || from_record => None,
                Some(asking) => Some(asking.outcome),
                None => Some(Err(unavailable(&trigger.metric_name))),
            });
        }
        let counts = self.target_counts();
        let evaluation = evaluate_sync(spec, keda.version, &state, answers, counts, self.now);
        let mut evaluation = evaluation.asked_at(&times);
        for (index, memory) in evaluation.next.triggers.iter_mut().enumerate() {
            let current = &self.control.keda.triggers[index];
            if asked.lost[index] {
                // KEDA never heard of the request.
                memory.clone_from(current);
                let report = &mut evaluation.triggers[index];
                let error = unavailable(&spec.triggers[index].metric_name);
                *report =
                    TriggerReport { milli: None, active: false, fallback: false, error: Some(error), ..report.clone() };
            }
            memory.record.clone_from(&current.record);
        }
        if let Some(report) = evaluation.composite.as_mut().filter(|_| asked.lost.contains(&true)) {
            let error = Some(unavailable(COMPOSITE));
            *report = CompositeReport { value: None, milli: None, active: false, fallback: false, flaw: None, error };
        }
        FromKeda { lost: asked.lost, ..self.keep(keda, evaluation).0 }
    }

    /// One tick of KEDA's scale loop.
    pub(super) fn on_keda_poll(&mut self) {
        let Some(keda) = &self.run.keda else { return };
        if self.control.next_poll != Some(self.now) {
            return; // Of a loop that has ended.
        }
        let spec = &keda.scaled_object;
        let spec_replicas = self.deployment.spec_replicas;
        if let Some(action) = paused(spec, spec_replicas) {
            // There is no scale loop to come back to.
            return self.apply_poll(action, ("paused", None), (Vec::new(), false, false));
        }
        if !self.control.keda.poll_asks(spec, keda.version) {
            let evaluation = evaluate_poll_from_syncs(spec, &self.control.keda, self.target_counts());
            return self.finish_poll(keda, self.now, evaluation);
        }
        let asks = |index: usize| !spec.triggers[index].is_resource();
        let askings = (0..spec.triggers.len()).map(|index| asks(index).then(|| self.ask(keda, index))).collect();
        self.control.poll = Some(PendingPoll { started: self.now, askings });
        self.continue_poll();
    }

    /// A poll goes on once all triggers have answered.
    pub(super) fn continue_poll(&mut self) {
        let (Some(keda), Some(mut pending)) = (&self.run.keda, self.control.poll.take()) else { return };
        if let Some(due) = self.advance(keda, &mut pending.askings) {
            self.queue.push(due, Event::PollAnswer(self.control.policy));
            self.control.poll = Some(pending);
            return;
        }
        let times: Vec<Option<SimTime>> = pending.askings.iter().map(|own| own.as_ref().map(|own| own.asked)).collect();
        let answers = pending.askings.into_iter().map(|own| own.map(|own| own.outcome)).collect();
        let (spec, counts) = (&keda.scaled_object, self.target_counts());
        let evaluation = evaluate_poll(spec, keda.version, &self.control.keda, answers, counts, self.now);
        self.finish_poll(keda, pending.started, evaluation.asked_at(&times));
    }

    /// The executor is asked, and the next tick is due: one interval after this one's start, however long it took
    /// (`startScaleLoop` arms its timer first).
    fn finish_poll(&mut self, keda: &KedaSettings, started: SimTime, evaluation: Evaluation) {
        let (records, active, error) = self.keep(keda, evaluation);
        self.decide_scale(keda, (records.rest().collect(), active, error));
        let next = (started + keda.scaled_object.polling_interval).max(self.now);
        self.control.next_poll = Some(next);
        self.queue.push(next, Event::KedaPoll(self.control.policy));
        if !std::mem::replace(&mut self.control.pushes_watched, true) {
            self.watch_pushes(keda);
        }
        for _ in 0..std::mem::take(&mut self.control.waiting_pushes) {
            self.decide_scale(keda, (Vec::new(), true, false));
        }
    }

    /// KEDA stops: its scale loop, its streams and what was under way end with it.
    pub(super) fn stop_keda(&mut self) {
        let control = &mut self.control;
        control.poll = None;
        control.waiting_pushes = 0;
        control.next_push.fill(None);
        // Where it has not begun yet, its first tick is due once KEDA is back.
        if control.pushes_watched {
            control.next_poll = None;
        }
        if let Some(sync) = &mut control.sync {
            let asked = sync.asked_of_keda();
            for (asking, lost) in asked.askings.iter_mut().zip(&mut asked.lost) {
                if asking.as_ref().is_some_and(|own| own.due >= self.now) {
                    *asking = None;
                    *lost = true;
                }
            }
            self.queue.push(self.now, Event::SyncAnswer(control.policy));
        }
    }

    /// KEDA's operator has started again: the scale loop begins with a poll at once. Records and scalers were in memory; what
    /// stands in the object's status is still there.
    pub(super) fn on_keda_back(&mut self) {
        if self.keda_is_down() || self.control.next_poll.is_some() {
            return;
        }
        for memory in &mut self.control.keda.triggers {
            memory.record = None;
            memory.seen = None;
        }
        self.control.pushes_watched = false;
        self.control.next_poll = Some(self.now);
        self.queue.push(self.now, Event::KedaPoll(self.control.policy));
    }

    /// The executor decides on what was found, and the world follows.
    fn decide_scale(&mut self, keda: &KedaSettings, seen: (Vec<MetricRecord>, bool, bool)) {
        let (_, active, error) = seen;
        let (now, created, spec_replicas) = (self.now, self.control.created, self.deployment.spec_replicas);
        let observation = PollObservation { now, created, spec_replicas, active, error };
        let decision = poll(&keda.scaled_object, self.control.keda.executor, observation);
        self.control.keda.executor = decision.next;
        self.apply_poll(decision.action, (decision.rule, decision.cooldown_end), seen);
    }

    /// Records a poll and writes what it decided.
    fn apply_poll(
        &mut self,
        action: PollAction,
        (rule, cooldown_end): (&'static str, Option<SimTime>),
        seen: (Vec<MetricRecord>, bool, bool),
    ) {
        let (metrics, active, error) = seen;
        let (t, spec_replicas) = (self.now, self.deployment.spec_replicas);
        let new_replicas = action.replicas().unwrap_or(spec_replicas);
        let word = action.word();
        let record =
            KedaPoll { t, spec_replicas, metrics, active, error, rule, cooldown_end, action: word, new_replicas };
        self.control.decided.push(DecisionRecord::KedaPoll(Box::new(record)));
        if let Some(replicas) = action.replicas() {
            self.write_scale(replicas, ScaleSource::Keda, format!("KEDA {word} ({rule})"));
        }
    }

    /// KEDA opens the streams of its push scalers together with the scale loop (`startPushScalers`).
    fn watch_pushes(&mut self, keda: &KedaSettings) {
        for (index, trigger) in keda.scaled_object.triggers.iter().enumerate() {
            if let TriggerKind::Signal(own) = &trigger.kind
                && own.pushes
            {
                self.schedule_push(index, own);
            }
        }
    }

    fn schedule_push(&mut self, index: usize, own: &SignalTrigger) {
        let next = next_push(own, self.now);
        self.control.next_push[index] = next;
        if let Some(at) = next {
            self.queue.push(at, Event::Push(self.control.policy, index));
        }
    }

    /// A push scaler's activity may have changed. When it turns active, KEDA scales at once with active and no error, asking
    /// nobody; that it turns inactive is not acted on (keda.md 5.7).
    pub(super) fn on_push(&mut self, index: usize) {
        let Some(keda) = &self.run.keda else { return };
        let TriggerKind::Signal(own) = &keda.scaled_object.triggers[index].kind else { return };
        if self.control.next_push[index] != Some(self.now) {
            return; // Of a stream that has ended.
        }
        match (turns_active(own, self.now), self.control.poll.is_some()) {
            (false, _) => {}
            // A poll has the lock until it is done (`checkScalers`, `scalingMutex`).
            (true, true) => self.control.waiting_pushes += 1,
            (true, false) => self.decide_scale(keda, (Vec::new(), true, false)),
        }
        self.schedule_push(index, own);
    }

    fn target_counts(&self) -> TargetCounts {
        TargetCounts { spec_replicas: self.deployment.spec_replicas, ready_pods: self.deployment.ready_replicas() }
    }

    /// Takes over KEDA's memory and the values for the timeline; returns the records, active, error.
    fn keep(&mut self, keda: &KedaSettings, evaluation: Evaluation) -> (FromKeda, bool, bool) {
        let spec = &keda.scaled_object;
        let (active, error) = (evaluation.active, evaluation.error);
        let mut found = FromKeda { triggers: vec![None; spec.triggers.len()], ..FromKeda::default() };
        if let (Some(modifiers), Some(report)) = (&spec.modifiers, evaluation.composite) {
            self.control.last_values[spec.triggers.len()] = report.value;
            found.composite = Some(composite_record(modifiers, report, self.now));
        }
        let reports = spec.triggers.iter().zip(evaluation.triggers).enumerate();
        for (index, (trigger, report)) in reports.filter(|(_, (own, _))| !own.is_resource()) {
            self.control.last_values[index] = report.value;
            let null_as_zero = self.control.null_answers[index] && !report.fallback && report.error.is_none();
            let record = trigger_record(trigger, report, self.trigger_target(index), self.latest_record(trigger));
            found.triggers[index] = Some(MetricRecord { null_as_zero, ..record });
        }
        self.control.keda = evaluation.next;
        (found, active, error)
    }

    /// What a recent decision recorded of the trigger, if it was asked.
    fn latest_record(&self, trigger: &Trigger) -> Option<&MetricRecord> {
        let recent = self.control.decided.decisions.iter().rev().take(2);
        recent
            .flat_map(DecisionRecord::metrics)
            .find(|record| record.trigger == trigger.metric_name.as_str() && !record.query.is_empty())
    }

    /// The target of a trigger in the HPA, milli units; 0 for a formula's input, which has none.
    fn trigger_target(&self, index: usize) -> i64 {
        let kubernetes = &self.run.kubernetes;
        let place = kubernetes.sources.iter().position(|source| *source == MetricSource::Trigger(index));
        place.map_or(0, |place| target_milli(kubernetes.hpa.metrics[place].target))
    }
}

/// What the API server answers when nobody stands behind `external.metrics.k8s.io`.
pub(super) fn unavailable(metric: &str) -> String {
    format!("the server is currently unable to handle the request (get {metric}.external.metrics.k8s.io)")
}

/// Whether it is active at `t` and was not just before.
fn turns_active(own: &SignalTrigger, t: SimTime) -> bool {
    let before = t.as_ps().checked_sub(1).map(SimTime::from_ps);
    own.is_active_at(t) && before.is_some_and(|before| !own.is_active_at(before))
}

/// When to look again: where it turns active after `now`, else at the next corner of the signal.
fn next_push(own: &SignalTrigger, now: SimTime) -> Option<SimTime> {
    let signal = own.signal.active.as_ref().unwrap_or(&own.signal.value);
    let corner = signal.next_corner(now)?;
    if own.is_active_at(now) || !own.is_active_at(corner) {
        return Some(corner);
    }
    // Between corners a signal only rises or only falls, so there is one first active instant.
    let (mut inactive, mut active) = (now.as_ps(), corner.as_ps());
    while active - inactive > 1 {
        let middle = inactive.midpoint(active);
        if own.is_active_at(SimTime::from_ps(middle)) { active = middle } else { inactive = middle }
    }
    Some(SimTime::from_ps(active))
}

/// The record of a trigger, whose texts are those of an earlier one.
fn trigger_record(
    trigger: &Trigger,
    report: TriggerReport,
    target_milli: i64,
    earlier: Option<&MetricRecord>,
) -> MetricRecord {
    let texts = match earlier {
        Some(MetricRecord { trigger, query, target_type, kind, .. }) => {
            [trigger, query, target_type, kind].map(Clone::clone)
        }
        None => [
            trigger.metric_name.as_str().into(),
            trigger.asks().into(),
            trigger.target_type.word().into(),
            trigger.kind.word().into(),
        ],
    };
    let [name, query, target_type, kind] = texts;
    MetricRecord {
        trigger: name,
        query,
        // KEDA stamps a query of Prometheus with the whole second.
        query_time: match &trigger.kind {
            TriggerKind::Prometheus(_) => report.asked.floor_to_second(),
            _ => report.asked,
        },
        value: report.value,
        milli: report.milli,
        target_milli,
        target_type,
        proposal: None,
        ratio: None,
        within_tolerance: None,
        kind,
        active: report.error.is_none().then_some(report.active),
        fallback: report.fallback,
        cached: report.cached,
        null_as_zero: false,
        error: report.error,
    }
}

fn composite_record(modifiers: &Modifiers, report: CompositeReport, asked: SimTime) -> MetricRecord {
    MetricRecord {
        trigger: COMPOSITE.into(),
        query: modifiers.formula.split_whitespace().collect::<Vec<_>>().join(" ").into(),
        query_time: asked,
        value: report.value,
        milli: report.milli,
        target_milli: modifiers.target_milli(),
        target_type: modifiers.target_type.word().into(),
        proposal: None,
        ratio: None,
        within_tolerance: None,
        kind: "composite".into(),
        active: report.error.is_none().then_some(report.active),
        fallback: report.fallback,
        cached: false,
        null_as_zero: false,
        error: report.error,
    }
}

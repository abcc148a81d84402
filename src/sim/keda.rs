//! KEDA's polls, its answers to the HPA, and the activations that external scalers push.

use crate::cluster::PodState;
use crate::keda::{
    COMPOSITE, CompositeReport, Evaluation, Modifiers, PollAction, PollObservation, SignalTrigger, TargetCounts,
    Trigger, TriggerKind, TriggerReport, TriggerValue, evaluate_poll, evaluate_poll_from_syncs, evaluate_sync, paused,
    poll, value_from_query,
};
use crate::record::{DecisionRecord, KedaPoll, MetricRecord, ScaleSource};
use crate::scenario::{KedaSettings, MetricSource};
use crate::sim::event::Event;
use crate::sim::shown::target_milli;
use crate::sim::world::World;
use crate::units::SimTime;
use std::collections::BTreeSet;

/// KEDA's answers to one sync.
#[derive(Default)]
pub(super) struct FromKeda {
    /// Per trigger; `None` for cpu and memory, which it does not serve, and once taken.
    triggers: Vec<Option<MetricRecord>>,
    composite: Option<MetricRecord>,
}

impl FromKeda {
    /// Takes the answer for the trigger at `index`.
    pub(super) fn trigger(&mut self, index: usize) -> Option<MetricRecord> {
        self.triggers.get_mut(index).and_then(Option::take)
    }

    /// Takes the formula's answer.
    pub(super) fn composite(&mut self) -> Option<MetricRecord> {
        self.composite.take()
    }

    /// What was not taken: the formula's inputs.
    pub(super) fn rest(self) -> impl Iterator<Item = MetricRecord> {
        self.composite.into_iter().chain(self.triggers.into_iter().flatten())
    }
}

impl World<'_> {
    /// What KEDA's metrics server answers the HPA; nothing without KEDA.
    pub(super) fn ask_keda(&mut self) -> FromKeda {
        let Some(keda) = &self.run.keda else { return FromKeda::default() };
        let (spec, eval) = (&keda.scaled_object, self.evaluation_time());
        let mut answers = Vec::with_capacity(spec.triggers.len());
        for (index, trigger) in spec.triggers.iter().enumerate() {
            let asks = !trigger.is_resource() && self.control.keda.asks(index);
            answers.push(asks.then(|| self.read_trigger(keda, index, trigger, eval)));
        }
        let evaluation = evaluate_sync(spec, keda.version, &self.control.keda, answers, self.target_counts(), self.now);
        self.keep(keda, evaluation).0
    }

    /// One tick of KEDA's scale loop.
    pub(super) fn on_keda_poll(&mut self) {
        let Some(keda) = &self.run.keda else { return };
        let spec = &keda.scaled_object;
        let (t, spec_replicas) = (self.now, self.deployment.spec_replicas);
        if let Some(action) = paused(spec, spec_replicas) {
            // There is no scale loop to come back to.
            return self.apply_poll(action, ("paused", None), (Vec::new(), false, false));
        }
        let eval = self.evaluation_time();
        let counts = self.target_counts();
        let evaluation = if self.control.keda.poll_asks(spec, keda.version) {
            let mut answers = Vec::with_capacity(spec.triggers.len());
            for (index, trigger) in spec.triggers.iter().enumerate() {
                answers.push((!trigger.is_resource()).then(|| self.read_trigger(keda, index, trigger, eval)));
            }
            evaluate_poll(spec, keda.version, &self.control.keda, answers, counts, self.now)
        } else {
            evaluate_poll_from_syncs(spec, &self.control.keda, counts)
        };
        let (records, active, error) = self.keep(keda, evaluation);
        self.decide_scale(keda, (records.rest().collect(), active, error));
        self.queue.push(t + spec.polling_interval, Event::KedaPoll);
        if !std::mem::replace(&mut self.control.pushes_watched, true) {
            self.watch_pushes(keda);
        }
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
        self.recorded.decisions.push(DecisionRecord::KedaPoll(record));
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
        if let Some(at) = next_push(own, self.now) {
            self.queue.push(at, Event::Push(index));
        }
    }

    /// A push scaler's activity may have changed. When it turns active, KEDA scales at once with active and no error, asking
    /// nobody; that it turns inactive is not acted on (keda.md 5.7).
    pub(super) fn on_push(&mut self, index: usize) {
        let Some(keda) = &self.run.keda else { return };
        let TriggerKind::Signal(own) = &keda.scaled_object.triggers[index].kind else { return };
        if turns_active(own, self.now) {
            self.decide_scale(keda, (Vec::new(), true, false));
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
        let mut found = FromKeda { triggers: vec![None; spec.triggers.len()], composite: None };
        if let (Some(modifiers), Some(report)) = (&spec.modifiers, evaluation.composite) {
            self.control.last_values[spec.triggers.len()] = report.value;
            found.composite = Some(composite_record(modifiers, report, self.now));
        }
        let reports = spec.triggers.iter().zip(evaluation.triggers).enumerate();
        for (index, (trigger, report)) in reports.filter(|(_, (own, _))| !own.is_resource()) {
            self.control.last_values[index] = report.value;
            found.triggers[index] = Some(trigger_record(trigger, report, self.trigger_target(index)));
        }
        self.control.keda = evaluation.next;
        (found, active, error)
    }

    /// The target of a trigger in the HPA, milli units; 0 for a formula's input, which has none.
    fn trigger_target(&self, index: usize) -> i64 {
        let kubernetes = &self.run.kubernetes;
        let place = kubernetes.sources.iter().position(|source| *source == MetricSource::Trigger(index));
        place.map_or(0, |place| target_milli(kubernetes.hpa.metrics[place].target))
    }

    /// One trigger's answer now, before any fallback.
    fn read_trigger(
        &mut self,
        keda: &KedaSettings,
        index: usize,
        trigger: &Trigger,
        eval: SimTime,
    ) -> Result<TriggerValue, String> {
        let version = keda.version;
        match &trigger.kind {
            TriggerKind::Prometheus(own) => {
                let query = match &self.monitoring.queries[index] {
                    Some(Ok(query)) => *query,
                    Some(Err(refused)) => return value_from_query(own, version, Err(refused)),
                    None => unreachable!("every Prometheus trigger has its query compiled"),
                };
                let answer = self.monitoring.server.query(query, eval, self.now);
                let text = answer.as_ref().err().map(|error| format!("status: 422 response: {error}"));
                value_from_query(own, version, answer.as_ref().map_err(|_| text.as_deref().unwrap_or_default()))
            }
            TriggerKind::Cron(own) => {
                let start = self.run.monitoring.server.epoch_ms.div_euclid(1000);
                let since = i64::try_from(eval.as_secs_floor()).expect("the clock ends after 213 days");
                Ok(own.value_at(start + since, version))
            }
            TriggerKind::KubernetesWorkload(own) => {
                if let Some(given) = &own.given {
                    let count = given.value_at(self.now);
                    let count =
                        count.ok_or_else(|| format!("the signal for this count gives no value at {}", self.now));
                    return Ok(own.value_of(count?, version));
                }
                // The selector matches the target's pods: the scenario room refuses any other.
                let pods = self.deployment.pods.iter().filter(|pod| pod.state != PodState::Gone);
                let count = if own.group_by_node {
                    pods.filter_map(|pod| pod.node).collect::<BTreeSet<u32>>().len()
                } else {
                    pods.count()
                };
                Ok(own.value_of(count as f64, version))
            }
            // Only queries of Prometheus carry a time stamp of whole seconds.
            TriggerKind::Signal(own) => own.answer_at(self.now, version),
            TriggerKind::Resource(_) => Err("KEDA does not read it".to_owned()),
        }
    }
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

fn trigger_record(trigger: &Trigger, report: TriggerReport, target_milli: i64) -> MetricRecord {
    MetricRecord {
        trigger: trigger.metric_name.clone(),
        query: trigger.asks(),
        // KEDA stamps a query of Prometheus with the whole second.
        query_time: match &trigger.kind {
            TriggerKind::Prometheus(_) => report.asked.floor_to_second(),
            _ => report.asked,
        },
        value: report.value,
        milli: report.milli,
        target_milli,
        target_type: trigger.target_type.word().to_owned(),
        proposal: None,
        ratio: None,
        within_tolerance: None,
        kind: trigger.kind.word().to_owned(),
        active: report.error.is_none().then_some(report.active),
        fallback: report.fallback,
        cached: report.cached,
        error: report.error,
    }
}

fn composite_record(modifiers: &Modifiers, report: CompositeReport, asked: SimTime) -> MetricRecord {
    MetricRecord {
        trigger: COMPOSITE.to_owned(),
        query: modifiers.formula.split_whitespace().collect::<Vec<_>>().join(" "),
        query_time: asked,
        value: report.value,
        milli: report.milli,
        target_milli: modifiers.target_milli(),
        target_type: modifiers.target_type.word().to_owned(),
        proposal: None,
        ratio: None,
        within_tolerance: None,
        kind: "composite".to_owned(),
        active: report.error.is_none().then_some(report.active),
        fallback: report.fallback,
        cached: false,
        error: report.error,
    }
}

//! KEDA's polls and the HPA's syncs. Each observes the world through Prometheus and the scale subresource, decides by a pure
//! call, and writes the scale.

use crate::cluster::PodState;
use crate::hpa::{MetricObservation, MetricTarget, Observation, RescaleReason, Tolerated, reconcile};
use crate::keda::{
    COMPOSITE, CompositeReport, Evaluation, Modifiers, PollAction, PollObservation, TargetCounts, Trigger, TriggerKind,
    TriggerReport, TriggerValue, evaluate_poll, evaluate_poll_from_syncs, evaluate_sync, paused, poll,
    value_from_query,
};
use crate::record::{DecisionRecord, HpaSync, KedaPoll, MetricRecord, ScaleSource};
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::units::SimTime;
use std::collections::BTreeSet;

impl World<'_> {
    /// One sync of the HPA controller.
    pub(super) fn on_hpa_sync(&mut self) {
        if self.run.keda.scaled_object.annotations.paused {
            return; // KEDA has deleted the HPA.
        }
        let observation = self.observe_for_hpa();
        let kubernetes = &self.run.kubernetes;
        let decision = reconcile(&kubernetes.flags, &kubernetes.hpa, &self.control.hpa, &observation.0);
        self.apply_hpa(observation, decision);
        self.control.hpa_synced = true;
        let spread = kubernetes.sync_latency_max.saturating_sub(kubernetes.sync_latency_min);
        let latency = kubernetes.sync_latency_min + self.control.sync_latency.duration_below(spread);
        self.queue.push(self.now + kubernetes.sync_period + latency, Event::HpaSync);
    }

    fn observe_for_hpa(&mut self) -> (Observation, Vec<MetricRecord>) {
        // The HPA does not ask for metrics while the target is scaled to zero.
        let asks = self.deployment.spec_replicas > 0;
        let records = if asks { self.evaluate_for_hpa() } else { Vec::new() };
        // The HPA's metrics come first; with a formula what it was computed from follows.
        let metrics = self.run.kubernetes.hpa.metrics.iter().enumerate().map(|(index, _)| match records.get(index) {
            Some(MetricRecord { milli: Some(milli), .. }) => MetricObservation::Series(vec![*milli]),
            Some(record) => MetricObservation::Failed(record.error.clone().unwrap_or_default()),
            None => MetricObservation::Failed(String::new()),
        });
        let observation = Observation {
            now: self.now,
            spec_replicas: self.deployment.spec_replicas,
            status_replicas: self.deployment.status_replicas,
            ready_pods: self.pods_running_and_ready(),
            pods_exist: self.deployment.pods.iter().any(|pod| pod.state != PodState::Gone),
            metrics: metrics.collect(),
            pods: Vec::new(),
        };
        (observation, records)
    }

    /// What KEDA's metrics server answers the HPA.
    fn evaluate_for_hpa(&mut self) -> Vec<MetricRecord> {
        let run = self.run;
        let (spec, eval) = (&run.keda.scaled_object, self.evaluation_time());
        let mut answers = Vec::with_capacity(spec.triggers.len());
        for (index, trigger) in spec.triggers.iter().enumerate() {
            let asks = self.control.keda.asks(index);
            answers.push(asks.then(|| self.read_trigger(index, trigger, eval)));
        }
        let evaluation = evaluate_sync(spec, run.keda.version, &self.control.keda, answers, self.target_counts(), eval);
        self.keep(evaluation, eval).0
    }

    fn apply_hpa(&mut self, observed: (Observation, Vec<MetricRecord>), decision: crate::hpa::Decision) {
        let (observation, mut metrics) = observed;
        for (record, metric) in metrics.iter_mut().zip(&decision.metrics) {
            record.proposal = metric.proposal;
            record.ratio = metric.ratio;
            record.within_tolerance = match metric.tolerated {
                Tolerated::Within => Some(true),
                Tolerated::Outside => Some(false),
                Tolerated::NotTested => None,
            };
            if record.error.is_none() {
                record.error.clone_from(&metric.error);
            }
        }
        let reason = decision.reason.map(|reason| self.rescale_reason(reason));
        self.recorded.decisions.push(DecisionRecord::HpaSync(Box::new(HpaSync {
            t: self.now,
            spec_replicas: observation.spec_replicas,
            status_replicas: observation.status_replicas,
            ready_replicas: observation.ready_pods,
            metrics,
            metric_desired: decision.metric_desired,
            stabilized: decision.stabilized,
            new_replicas: decision.new_replicas,
            rescaled: decision.rescaled,
            able_to_scale: decision.able_to_scale.word(),
            scaling_active: decision.scaling_active.map(crate::hpa::ScalingActive::word),
            scaling_limited: decision.scaling_limited.map(crate::hpa::ScalingLimited::word),
            reason: reason.clone(),
            recommendations: decision.next.recommendations.clone(),
            bound_by: decision.bound_by.word(),
            window: decision.window,
            limit: decision.limit,
            status_conditions: decision.conditions,
        })));
        self.control.hpa = decision.next;
        if decision.rescaled {
            let source = match decision.reason {
                Some(RescaleReason::AboveMaxReplicas | RescaleReason::BelowMinReplicas) => ScaleSource::Bounds,
                _ => ScaleSource::Hpa,
            };
            self.write_scale(decision.new_replicas, source, reason.unwrap_or_default());
        }
    }

    /// Upstream's sentence for a rescale.
    fn rescale_reason(&self, reason: RescaleReason) -> String {
        match reason {
            RescaleReason::MetricAboveTarget(index) => {
                let name = self.run.kubernetes.hpa.metrics.get(index).map_or("", |metric| metric.name.as_str());
                format!("external metric {name} above target")
            }
            RescaleReason::AllMetricsBelowTarget => "All metrics below target".to_owned(),
            RescaleReason::AboveMaxReplicas => "Current number of replicas above Spec.MaxReplicas".to_owned(),
            RescaleReason::BelowMinReplicas => "Current number of replicas below Spec.MinReplicas".to_owned(),
            RescaleReason::Empty => String::new(),
        }
    }

    /// One tick of KEDA's scale loop.
    pub(super) fn on_keda_poll(&mut self) {
        let run = self.run;
        let spec = &run.keda.scaled_object;
        let (t, spec_replicas) = (self.now, self.deployment.spec_replicas);
        if let Some(action) = paused(spec, spec_replicas) {
            // There is no scale loop to come back to.
            return self.apply_poll(action, "paused", (Vec::new(), false, false));
        }
        let eval = self.evaluation_time();
        let (version, counts) = (run.keda.version, self.target_counts());
        let evaluation = if self.control.keda.poll_asks(spec, version) {
            let mut answers = Vec::with_capacity(spec.triggers.len());
            for (index, trigger) in spec.triggers.iter().enumerate() {
                answers.push(Some(self.read_trigger(index, trigger, eval)));
            }
            evaluate_poll(spec, version, &self.control.keda, answers, counts, eval)
        } else {
            evaluate_poll_from_syncs(spec, &self.control.keda, counts)
        };
        let (metrics, active, error) = self.keep(evaluation, eval);
        let observation = PollObservation { now: t, created: SimTime::ZERO, spec_replicas, active, error };
        let decision = poll(spec, self.control.keda.executor, observation);
        self.control.keda.executor = decision.next;
        self.apply_poll(decision.action, decision.rule, (metrics, active, error));
        self.queue.push(t + spec.polling_interval, Event::KedaPoll);
    }

    /// Records a poll and writes what it decided.
    fn apply_poll(&mut self, action: PollAction, rule: &'static str, seen: (Vec<MetricRecord>, bool, bool)) {
        let (metrics, active, error) = seen;
        let (t, spec_replicas) = (self.now, self.deployment.spec_replicas);
        let new_replicas = action.replicas().unwrap_or(spec_replicas);
        let word = action.word();
        let record = KedaPoll { t, spec_replicas, metrics, active, error, rule, action: word, new_replicas };
        self.recorded.decisions.push(DecisionRecord::KedaPoll(record));
        if let Some(replicas) = action.replicas() {
            self.write_scale(replicas, ScaleSource::Keda, format!("KEDA {word} ({rule})"));
        }
    }

    /// KEDA stamps its queries with the whole second.
    fn evaluation_time(&self) -> SimTime {
        SimTime::from_secs(self.now.as_secs_floor())
    }

    fn target_counts(&self) -> TargetCounts {
        TargetCounts { spec_replicas: self.deployment.spec_replicas, ready_pods: self.deployment.ready_replicas() }
    }

    /// Takes over KEDA's memory and the values for the timeline; returns the records (the formula's first), active, error.
    fn keep(&mut self, evaluation: Evaluation, eval: SimTime) -> (Vec<MetricRecord>, bool, bool) {
        let run = self.run;
        let spec = &run.keda.scaled_object;
        let (active, error) = (evaluation.active, evaluation.error);
        let own = evaluation.triggers.iter().map(|report| report.value);
        self.control.last_values = own.chain(evaluation.composite.iter().map(|report| report.value)).collect();
        let mut records = Vec::with_capacity(spec.triggers.len() + 1);
        if let (Some(modifiers), Some(report)) = (&spec.modifiers, evaluation.composite) {
            records.push(composite_record(modifiers, report, eval));
        }
        for (index, (trigger, report)) in spec.triggers.iter().zip(evaluation.triggers).enumerate() {
            // A formula's inputs have no target in the HPA.
            let metric = run.kubernetes.hpa.metrics.get(index).filter(|_| spec.modifiers.is_none());
            let target_milli = metric.map_or(0, |metric| target_milli(metric.target));
            records.push(trigger_record(trigger, report, target_milli));
        }
        self.control.keda = evaluation.next;
        (records, active, error)
    }

    /// One trigger's answer now, before any fallback.
    fn read_trigger(&mut self, index: usize, trigger: &Trigger, eval: SimTime) -> Result<TriggerValue, String> {
        let version = self.run.keda.version;
        match &trigger.kind {
            TriggerKind::Prometheus(own) => {
                let query = self.monitoring.queries[index].expect("every Prometheus trigger has its query compiled");
                let answer = self.monitoring.server.query(query, eval, self.now);
                let text = answer.as_ref().err().map(ToString::to_string);
                value_from_query(own, version, answer.as_ref().map_err(|_| text.as_deref().unwrap_or_default()))
            }
            TriggerKind::Cron(own) => {
                let start = self.run.monitoring.server.epoch_ms.div_euclid(1000);
                let since = i64::try_from(eval.as_secs_floor()).expect("the clock ends after 213 days");
                Ok(own.value_at(start + since, version))
            }
            TriggerKind::KubernetesWorkload(own) => {
                // The selector matches the target's pods: the scenario room refuses any other.
                let pods = self.deployment.pods.iter().filter(|pod| pod.state != PodState::Gone);
                let count = if own.group_by_node {
                    pods.filter_map(|pod| pod.node).collect::<BTreeSet<u32>>().len()
                } else {
                    pods.count()
                };
                Ok(own.value_of(count, version))
            }
            TriggerKind::Signal(own) => own.answer_at(eval, version),
            TriggerKind::Resource(_) => Err("KEDA does not read it".to_owned()),
        }
    }
}

fn trigger_record(trigger: &Trigger, report: TriggerReport, target_milli: i64) -> MetricRecord {
    MetricRecord {
        trigger: trigger.metric_name.clone(),
        query: trigger.asks(),
        query_time: report.asked,
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

fn composite_record(modifiers: &Modifiers, report: CompositeReport, eval: SimTime) -> MetricRecord {
    MetricRecord {
        trigger: COMPOSITE.to_owned(),
        query: modifiers.formula.split_whitespace().collect::<Vec<_>>().join(" "),
        query_time: eval,
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

fn target_milli(target: MetricTarget) -> i64 {
    match target {
        MetricTarget::ExternalAverageValue(milli)
        | MetricTarget::ExternalValue(milli)
        | MetricTarget::PodsAverageValue(milli)
        | MetricTarget::ResourceAverageValue(_, milli) => milli,
        MetricTarget::ResourceUtilization(_, percent) => i64::from(percent) * 1000,
    }
}

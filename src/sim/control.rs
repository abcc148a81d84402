//! KEDA's polls and the HPA's syncs. Each observes the world through Prometheus and the scale subresource, decides by a pure
//! call, and writes the scale.

use crate::cluster::PodState;
use crate::hpa::{MetricObservation, MetricTarget, Observation, RescaleReason, Tolerated, reconcile};
use crate::keda::{PollAction, PollObservation, TriggerValue, poll, value_from_query};
use crate::record::{DecisionRecord, HpaSync, KedaPoll, MetricRecord, ScaleSource};
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::units::SimTime;

impl World<'_> {
    /// One sync of the HPA controller.
    pub(super) fn on_hpa_sync(&mut self) {
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
        let records = if asks { self.query_triggers() } else { Vec::new() };
        let asked = records.iter().map(|record| match (record.milli, &record.error) {
            (Some(milli), _) => MetricObservation::Series(vec![milli]),
            (None, error) => MetricObservation::Failed(error.clone().unwrap_or_default()),
        });
        let not_asked = self.run.kubernetes.hpa.metrics.iter().map(|_| MetricObservation::Failed(String::new()));
        let metrics: Vec<MetricObservation> = if asks { asked.collect() } else { not_asked.collect() };
        let observation = Observation {
            now: self.now,
            spec_replicas: self.deployment.spec_replicas,
            status_replicas: self.deployment.status_replicas,
            ready_pods: self.pods_running_and_ready(),
            pods_exist: self.deployment.pods.iter().any(|pod| pod.state != PodState::Gone),
            metrics,
            pods: Vec::new(),
        };
        (observation, records)
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
        let metrics = self.query_triggers();
        let spec = &self.run.keda.scaled_object;
        let active = metrics
            .iter()
            .zip(&spec.triggers)
            .any(|(record, trigger)| record.value.is_some_and(|value| value > trigger.activation_threshold));
        let error = metrics.iter().any(|record| record.error.is_some());
        let spec_replicas = self.deployment.spec_replicas;
        let observation = PollObservation { now: self.now, created: SimTime::ZERO, spec_replicas, active, error };
        let decision = poll(spec, self.control.keda, observation);
        self.control.keda = decision.next;
        let (action, write) = match decision.action {
            PollAction::None => ("none", None),
            PollAction::Activate(replicas) => ("activate", Some(replicas)),
            PollAction::Deactivate(replicas) => ("deactivate", Some(replicas)),
            PollAction::RaiseToMinimum(replicas) => ("raiseToMinimum", Some(replicas)),
        };
        let new_replicas = write.unwrap_or(spec_replicas);
        let rule = decision.rule;
        let t = self.now;
        let record = KedaPoll { t, spec_replicas, metrics, active, error, rule, action, new_replicas };
        self.recorded.decisions.push(DecisionRecord::KedaPoll(record));
        if let Some(replicas) = write {
            self.write_scale(replicas, ScaleSource::Keda, format!("KEDA {action} ({rule})"));
        }
        self.queue.push(self.now + spec.polling_interval, Event::KedaPoll);
    }

    /// Asks every trigger's query now, stamped with the whole second as KEDA does.
    fn query_triggers(&mut self) -> Vec<MetricRecord> {
        let eval = SimTime::from_secs(self.now.as_secs_floor());
        let run = self.run;
        let mut records = Vec::with_capacity(self.monitoring.queries.len());
        for (index, trigger) in run.keda.scaled_object.triggers.iter().enumerate() {
            let answer = self.monitoring.server.query(self.monitoring.queries[index], eval, self.now);
            let text = answer.as_ref().err().map(ToString::to_string);
            let result = answer.as_ref().map_err(|_| text.as_deref().unwrap_or_default());
            let read = value_from_query(trigger, run.keda.version, result);
            self.control.last_values[index] = read.as_ref().ok().map(|value| value.value);
            records.push(MetricRecord {
                trigger: trigger.metric_name.clone(),
                query: trigger.query.split_whitespace().collect::<Vec<_>>().join(" "),
                query_time: eval,
                value: read.as_ref().ok().map(|value: &TriggerValue| value.value),
                milli: read.as_ref().ok().map(|value| value.milli),
                target_milli: run.kubernetes.hpa.metrics.get(index).map_or(0, |metric| target_milli(metric.target)),
                target_type: trigger.target_type.word().to_owned(),
                proposal: None,
                ratio: None,
                within_tolerance: None,
                error: read.err(),
            });
        }
        records
    }
}

fn target_milli(target: MetricTarget) -> i64 {
    match target {
        MetricTarget::ExternalAverageValue(milli)
        | MetricTarget::ExternalValue(milli)
        | MetricTarget::PodsAverageValue(milli)
        | MetricTarget::CpuAverageValue(milli) => milli,
        MetricTarget::CpuUtilization(percent) => i64::from(percent) * 1000,
    }
}

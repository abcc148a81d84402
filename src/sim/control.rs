//! The HPA's syncs: observes the world through KEDA, metrics-server, adapters and the scale subresource, decides by a pure
//! call, and writes the scale. KEDA's own part stands in `keda`, what is measured per pod in `usage`.

use crate::cluster::PodState;
use crate::hpa::{MetricObservation, Observation, PodObservation, RescaleReason, ShownMetric, Tolerated};
use crate::hpa::{looks_at_metrics, propose, reconcile};
use crate::record::{DecisionRecord, HpaSync, MetricRecord, ScaleSource};
use crate::scenario::MetricSource;
use crate::sim::event::Event;
use crate::sim::keda::FromKeda;
use crate::sim::shown::{asks_of, target_milli, target_word};
use crate::sim::world::World;
use crate::units::SimTime;

/// What one sync saw.
struct Seen {
    observation: Observation,
    /// The HPA's metrics in order, then what a formula was computed from; empty when the metrics were not fetched.
    records: Vec<MetricRecord>,
}

impl World<'_> {
    /// One sync of the HPA controller.
    pub(super) fn on_hpa_sync(&mut self) {
        if self.scaled_object().is_some_and(|own| own.annotations.paused) {
            return; // KEDA has deleted the HPA.
        }
        let mut seen = self.observe_for_hpa();
        let kubernetes = &self.run.kubernetes;
        let decision = reconcile(&kubernetes.flags, &kubernetes.hpa, &self.control.hpa, &seen.observation);
        self.show_per_pod_values(&mut seen);
        self.apply_hpa(seen, decision);
        self.control.hpa_synced = true;
        let spread = kubernetes.sync_latency_max.saturating_sub(kubernetes.sync_latency_min);
        let latency = kubernetes.sync_latency_min + self.control.sync_latency.duration_below(spread);
        self.queue.push(self.now + kubernetes.sync_period + latency, Event::HpaSync);
    }

    fn observe_for_hpa(&mut self) -> Seen {
        let run = self.run;
        let (hpa, sources) = (&run.kubernetes.hpa, &run.kubernetes.sources);
        let mut observation = Observation {
            now: self.now,
            spec_replicas: self.deployment.spec_replicas,
            status_replicas: self.deployment.status_replicas,
            ready_pods: self.pods_running_and_ready(),
            pods_exist: self.deployment.pods.iter().any(|pod| pod.state != PodState::Gone),
            metrics: Vec::with_capacity(sources.len()),
            pods: Vec::new(),
        };
        if !looks_at_metrics(&run.kubernetes.flags, hpa, &self.control.hpa, observation.spec_replicas) {
            observation.metrics = vec![MetricObservation::Failed(String::new()); sources.len()];
            return Seen { observation, records: Vec::new() };
        }
        let mut from_keda = self.ask_keda();
        if hpa.metrics.iter().any(|metric| !metric.target.is_external()) {
            observation.pods = self.observe_pods(hpa.metrics.len());
        }
        let mut records = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            let (answer, record) = self.fetch(index, source, &mut from_keda, &mut observation.pods);
            observation.metrics.push(answer);
            records.push(record);
        }
        records.extend(from_keda.rest());
        Seen { observation, records }
    }

    /// One metric of the HPA, from whoever answers for it.
    fn fetch(
        &mut self,
        index: usize,
        source: &MetricSource,
        from_keda: &mut FromKeda,
        pods: &mut [PodObservation],
    ) -> (MetricObservation, MetricRecord) {
        match source {
            MetricSource::Trigger(trigger) => answered(from_keda.trigger(*trigger), self.blank_record(index)),
            MetricSource::Formula => answered(from_keda.composite(), self.blank_record(index)),
            MetricSource::Resource => {
                let answer = self.fill_usage(index, pods);
                (answer, self.blank_record(index))
            }
            MetricSource::PodsMetric(_) => {
                let answer = self.fill_from_adapter(index, pods);
                (answer, self.blank_record(index))
            }
            MetricSource::ExternalSignal(signal) => {
                let mut record = self.blank_record(index);
                record.value = signal.value_at(self.now);
                record.milli = record.value.map(adapter_milli);
                // The adapter knows nothing: an answer without items.
                let answer = MetricObservation::Series(record.milli.into_iter().collect());
                (answer, record)
            }
        }
    }

    /// The record of a metric of the HPA before it has a value.
    fn blank_record(&self, index: usize) -> MetricRecord {
        let kubernetes = &self.run.kubernetes;
        let metric = &kubernetes.hpa.metrics[index];
        let (kind, query) = asks_of(metric, &kubernetes.sources[index]);
        MetricRecord {
            trigger: metric.name.clone(),
            query,
            query_time: self.now,
            value: None,
            milli: None,
            target_milli: target_milli(metric.target),
            target_type: target_word(metric.target).to_owned(),
            proposal: None,
            ratio: None,
            within_tolerance: None,
            kind,
            active: None,
            fallback: false,
            cached: false,
            error: None,
        }
    }

    /// The values of metrics that are measured per pod, as `status.currentMetrics` shows them.
    fn show_per_pod_values(&mut self, seen: &mut Seen) {
        let run = self.run;
        let kubernetes = &run.kubernetes;
        let per_pod = |answer: &MetricObservation| matches!(answer, MetricObservation::PerPod);
        if seen.observation.metrics.iter().any(per_pod) {
            let proposals = propose(&kubernetes.flags, &kubernetes.hpa, &seen.observation);
            for (index, proposal) in proposals.into_iter().enumerate() {
                if !per_pod(&seen.observation.metrics[index]) {
                    continue;
                }
                let record = &mut seen.records[index];
                match proposal.shown {
                    Some(ShownMetric::Milli(milli)) => {
                        record.value = Some(milli as f64 / 1000.0);
                        record.milli = Some(milli);
                    }
                    Some(ShownMetric::Percent(percent)) => {
                        record.value = Some(f64::from(percent));
                        record.milli = Some(i64::from(percent) * 1000);
                    }
                    None => {}
                }
            }
        }
        for (index, record) in seen.records.iter().enumerate().take(kubernetes.sources.len()) {
            if let Some(place) = self.control.places[index] {
                self.control.last_values[place] = record.value;
            }
        }
    }

    fn apply_hpa(&mut self, seen: Seen, decision: crate::hpa::Decision) {
        let Seen { observation, records: mut metrics } = seen;
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
        let reason = decision.reason.map(|reason| reason.sentence(&self.run.kubernetes.hpa));
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

    /// KEDA stamps its queries with the whole second.
    pub(super) fn evaluation_time(&self) -> SimTime {
        self.now.floor_to_second()
    }
}

/// What KEDA's metrics server answers: one series, or a failure.
fn answered(record: Option<MetricRecord>, blank: MetricRecord) -> (MetricObservation, MetricRecord) {
    let record = record.unwrap_or(blank);
    let answer = match record.milli {
        Some(milli) => MetricObservation::Series(vec![milli]),
        None => MetricObservation::Failed(record.error.clone().unwrap_or_default()),
    };
    (answer, record)
}

/// Milli units as adapters make them of a float: NaN is 0, the rest is cut towards zero (prometheus-adapter
/// `pkg/custom-provider/provider.go`, `metricFor`).
pub(super) fn adapter_milli(value: f64) -> i64 {
    (value * 1000.0) as i64
}

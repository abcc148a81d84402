//! The HPA's syncs: observes the world through KEDA, metrics-server, adapters and the scale subresource, decides by a pure
//! call, and writes the scale. KEDA's own part stands in `keda`, what is measured per pod in `usage`.

use crate::cluster::PodState;
use crate::hpa::{Condition, MetricObservation, Observation, PodObservation, RescaleReason, ShownMetric, Tolerated};
use crate::hpa::{looks_at_metrics, propose, reconcile};
use crate::record::{DecisionRecord, HpaSync, MetricRecord, ScaleSource};
use crate::scenario::MetricSource;
use crate::sim::event::Event;
use crate::sim::keda::{AskedBySync, FromKeda};
use crate::sim::shown::{asks_of, target_milli, target_word};
use crate::sim::usage::AdapterAnswer;
use crate::sim::world::World;
use crate::units::SimTime;

/// A sync under way. The controller fetches one metric after the other (`computeReplicasForMetrics`), and each waits for its
/// answer; KEDA asks all inputs of a formula at once.
pub(super) struct PendingSync {
    /// The scale as it was read at the sync's start.
    spec_replicas: i32,
    status_replicas: i32,
    /// How many metrics were fetched.
    fetched: usize,
    asked: AskedBySync,
    /// Per metric: what its adapter answered.
    adapters: Vec<Option<AdapterAnswer>>,
    /// When the adapter's answer is there.
    adapter_due: SimTime,
}

impl PendingSync {
    /// What it has asked KEDA for.
    pub(super) fn asked_of_keda(&mut self) -> &mut AskedBySync {
        &mut self.asked
    }
}

/// Condition AbleToScale when the write of the scale fails.
const FAILED_UPDATE: &str = "FailedUpdateScale";

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
        let run = self.run;
        let (spec_replicas, status_replicas) = (self.deployment.spec_replicas, self.deployment.status_replicas);
        if !looks_at_metrics(&run.kubernetes.flags, &run.kubernetes.hpa, &self.control.hpa, spec_replicas) {
            let mut observation = self.observation(spec_replicas, status_replicas);
            observation.metrics = vec![MetricObservation::Failed(String::new()); run.kubernetes.sources.len()];
            return self.finish_sync(Seen { observation, records: Vec::new() });
        }
        self.control.sync = Some(PendingSync {
            spec_replicas,
            status_replicas,
            fetched: 0,
            asked: AskedBySync::of(self.scaled_object().map_or(0, |own| own.triggers.len())),
            adapters: vec![None; run.kubernetes.sources.len()],
            adapter_due: self.now,
        });
        self.continue_sync();
    }

    /// A sync goes on: the next metric, and once all are there the decision.
    pub(super) fn continue_sync(&mut self) {
        let Some(mut sync) = self.control.sync.take() else { return };
        let sources = &self.run.kubernetes.sources;
        loop {
            let keda = self.run.keda.as_ref();
            let due = keda.and_then(|keda| self.advance(keda, &mut sync.asked.askings));
            let due = due.or_else(|| (sync.adapter_due > self.now).then_some(sync.adapter_due));
            if let Some(due) = due {
                self.queue.push(due, Event::SyncAnswer(self.control.policy));
                self.control.sync = Some(sync);
                return;
            }
            let Some(source) = sources.get(sync.fetched) else { break };
            match source {
                MetricSource::Trigger(trigger) => self.ask_for_sync(&mut sync.asked, *trigger),
                MetricSource::Formula => {
                    let spec = self.scaled_object();
                    for (index, trigger) in spec.iter().flat_map(|own| &own.triggers).enumerate() {
                        if !trigger.is_resource() {
                            self.ask_for_sync(&mut sync.asked, index);
                        }
                    }
                }
                MetricSource::PodsMetric(_) => {
                    let (answer, due) = self.ask_adapter(sync.fetched);
                    sync.adapters[sync.fetched] = Some(answer);
                    sync.adapter_due = due;
                }
                MetricSource::Resource | MetricSource::ExternalSignal(_) => {}
            }
            sync.fetched += 1;
        }
        let seen = self.seen_by(sync);
        self.finish_sync(seen);
    }

    fn finish_sync(&mut self, mut seen: Seen) {
        let kubernetes = &self.run.kubernetes;
        let decision = reconcile(&kubernetes.flags, &kubernetes.hpa, &self.control.hpa, &seen.observation);
        self.show_per_pod_values(&mut seen);
        self.apply_hpa(seen, decision);
        self.control.hpa_synced = true;
        let spread = kubernetes.sync_latency_max.saturating_sub(kubernetes.sync_latency_min);
        let latency = kubernetes.sync_latency_min + self.control.sync_latency.duration_below(spread);
        self.queue.push(self.now + kubernetes.sync_period + latency, Event::HpaSync(self.control.policy));
    }

    /// The world as the controller sees it, without metrics.
    fn observation(&self, spec_replicas: i32, status_replicas: i32) -> Observation {
        Observation {
            now: self.now,
            spec_replicas,
            status_replicas,
            ready_pods: self.pods_running_and_ready(),
            pods_exist: self.deployment.pods.iter().any(|pod| pod.state != PodState::Gone),
            metrics: Vec::with_capacity(self.run.kubernetes.sources.len()),
            pods: Vec::new(),
        }
    }

    fn seen_by(&mut self, sync: PendingSync) -> Seen {
        let run = self.run;
        let (hpa, sources) = (&run.kubernetes.hpa, &run.kubernetes.sources);
        let mut observation = self.observation(sync.spec_replicas, sync.status_replicas);
        let mut from_keda = self.answers_of_keda(sync.asked);
        if hpa.metrics.iter().any(|metric| !metric.target.is_external()) {
            observation.pods = self.observe_pods(hpa.metrics.len());
        }
        let mut records = Vec::with_capacity(sources.len());
        for (index, (source, adapter)) in sources.iter().zip(sync.adapters).enumerate() {
            let (answer, record) = match source {
                &MetricSource::PodsMetric(_) => {
                    let answer = self.fill_from_adapter(index, adapter, &mut observation.pods);
                    (answer, self.blank_record(index))
                }
                _ => self.fetch(index, source, &mut from_keda, &mut observation.pods),
            };
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
            MetricSource::Trigger(trigger) => {
                from_keda.trigger(*trigger).unwrap_or_else(|| nobody(self.blank_record(index)))
            }
            MetricSource::Formula => from_keda.composite().unwrap_or_else(|| nobody(self.blank_record(index))),
            MetricSource::Resource => {
                let answer = self.fill_usage(index, pods);
                (answer, self.blank_record(index))
            }
            MetricSource::PodsMetric(_) => unreachable!("an adapter is asked before"),
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
            trigger: metric.name.as_str().into(),
            query: query.into(),
            query_time: self.now,
            value: None,
            milli: None,
            target_milli: target_milli(metric.target),
            target_type: target_word(metric.target).into(),
            proposal: None,
            ratio: None,
            within_tolerance: None,
            kind: kind.into(),
            active: None,
            fallback: false,
            cached: false,
            null_as_zero: false,
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

    /// The decision without its write (`reconcileAutoscaler`, reason FailedUpdateScale).
    fn refused(&self, mut decision: crate::hpa::Decision, spec_replicas: i32) -> crate::hpa::Decision {
        let before = self.control.hpa.clone();
        decision.rescaled = false;
        decision.reason = None;
        decision.new_replicas = spec_replicas;
        decision.next.scale_up_events = before.scale_up_events;
        decision.next.scale_down_events = before.scale_down_events;
        decision.next.last_scale_time = before.last_scale_time;
        decision.next.desired_replicas = before.desired_replicas;
        let target = &self.run.target;
        let message = format!(
            "the HPA controller was unable to update the target scale: Operation cannot be fulfilled on {}s {:?}: the object \
             has been modified; please apply your changes to the latest version and try again",
            target.kind.to_lowercase(),
            target.name
        );
        for condition in decision.conditions.iter_mut().filter(|own| own.kind == "AbleToScale") {
            *condition =
                Condition { kind: "AbleToScale", status: false, reason: FAILED_UPDATE, message: message.clone() };
        }
        decision
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
        // The scale was written since it was read: the API server refuses the write (optimistic locking), and the next sync
        // starts over.
        let refused = decision.rescaled && self.deployment.spec_replicas != observation.spec_replicas;
        let decision = if refused { self.refused(decision, observation.spec_replicas) } else { decision };
        let reason = decision.reason.map(|reason| reason.sentence(&self.run.kubernetes.hpa));
        self.control.decided.push(DecisionRecord::HpaSync(Box::new(HpaSync {
            t: self.now,
            spec_replicas: observation.spec_replicas,
            status_replicas: observation.status_replicas,
            ready_replicas: observation.ready_pods,
            metrics,
            metric_desired: decision.metric_desired,
            stabilized: decision.stabilized,
            new_replicas: decision.new_replicas,
            rescaled: decision.rescaled,
            able_to_scale: if refused { FAILED_UPDATE } else { decision.able_to_scale.word() },
            scaling_active: decision.scaling_active.map(crate::hpa::ScalingActive::word),
            scaling_limited: decision.scaling_limited.map(crate::hpa::ScalingLimited::word),
            reason: reason.clone(),
            recommendations: decision.next.recommendations.clone().into(),
            bound_by: decision.bound_by.word(),
            window: decision.window,
            limit: decision.limit,
            status_conditions: decision.conditions.into(),
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
}

/// A metric that nobody answers for.
fn nobody(record: MetricRecord) -> (MetricObservation, MetricRecord) {
    (MetricObservation::Failed(String::new()), record)
}

/// Milli units as adapters make them of a float: NaN is 0, the rest is cut towards zero (prometheus-adapter
/// `pkg/custom-provider/provider.go`, `metricFor`).
pub(super) fn adapter_milli(value: f64) -> i64 {
    (value * 1000.0) as i64
}

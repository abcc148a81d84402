//! What is measured per pod for the HPA: cpu and memory by metrics-server, other values by an adapter over Prometheus.

use crate::cluster::{METRIC_RESOLUTION, Pod, PodId, PodState, PodUsage, StartupPlan};
use crate::hpa::{MetricObservation, MetricTarget, PodObservation, Resource};
use crate::scenario::UsageSettings;
use crate::series::{Labels, QueryValue};
use crate::sim::control::adapter_milli;
use crate::sim::event::Event;
use crate::sim::world::{Host, World};
use crate::units::{SimDuration, SimTime};

/// The window of an adapter's values when it tells none (`DefaultMetricWindow` of the custom metrics client is a minute).
const ADAPTER_WINDOW: SimDuration = SimDuration::from_secs(60);

/// The samples that an adapter found, or its error.
pub(super) type AdapterAnswer = Result<Vec<(Labels, f64)>, String>;

impl World<'_> {
    /// When metrics-server first scrapes: nothing keeps it in phase with anything else.
    fn usage_phase(&self) -> SimDuration {
        self.run.seed.stream("metrics-server-phase", 0).duration_below(METRIC_RESOLUTION)
    }

    /// The first scrape of metrics-server, if anybody asks it.
    pub(super) fn schedule_usage(&mut self) {
        if self.run.kubernetes.usage.is_some() {
            self.queue.push(SimTime::ZERO + self.usage_phase(), Event::ScrapeUsage);
        }
    }

    /// What metrics-server knows of a container that starts now, or that has been idle since before the run.
    pub(super) fn new_usage(&self, already: bool) -> Option<PodUsage> {
        let usage = self.run.kubernetes.usage.as_ref()?;
        Some(if already {
            PodUsage::idle_before(self.usage_phase(), usage.cpu_idle_milli, usage.memory_milli)
        } else {
            PodUsage::started(self.now)
        })
    }

    /// metrics-server scrapes every container that runs.
    pub(super) fn on_scrape_usage(&mut self) {
        let Some(usage) = &self.run.kubernetes.usage else { return };
        let now = self.now;
        for pod in &self.deployment.pods {
            let Some(host) = self.hosts.get_mut(pod.id.0 as usize).and_then(Option::as_mut) else { continue };
            if host.stopped {
                continue;
            }
            let (cpu, memory) = (cpu_counter(pod, host, usage, now), memory_milli(pod, usage, now));
            if let Some(points) = &mut host.usage {
                points.scrape(now, cpu, memory);
            }
        }
        self.queue.push(now + METRIC_RESOLUTION, Event::ScrapeUsage);
    }

    /// The pods as the HPA sees them, without samples of `metrics` metrics.
    pub(super) fn observe_pods(&self, metrics: usize) -> Vec<PodObservation> {
        let usage = self.run.kubernetes.usage.as_ref();
        let requests = usage.map_or_else(|| vec![None; metrics], |usage| usage.requests_milli.clone());
        let pods = self.deployment.pods.iter().filter(|pod| pod.state != PodState::Gone);
        let observe = |pod: &Pod| {
            let sample = self.host(pod.id).and_then(|host| host.usage.as_ref()?.sample());
            PodObservation {
                pending: pod.state < PodState::Loading,
                ignored: pod.state >= PodState::Terminating,
                ready: Some(pod.is_ready()),
                start: pod.times.scheduled.map(SimTime::floor_to_second),
                ready_transition: ready_transition(pod),
                requests_milli: requests.clone(),
                samples_milli: vec![None; metrics],
                sample_time: sample.map_or(self.now, |own| own.time),
                sample_window: sample.map_or(ADAPTER_WINDOW, |own| own.window),
            }
        };
        pods.map(observe).collect()
    }

    /// Fills in the samples of the resource metric at `index`. `pods` are those of [`World::observe_pods`], in its order.
    pub(super) fn fill_usage(&self, index: usize, pods: &mut [PodObservation]) -> MetricObservation {
        let target = self.run.kubernetes.hpa.metrics[index].target;
        let (MetricTarget::ResourceUtilization(resource, _) | MetricTarget::ResourceAverageValue(resource, _)) = target
        else {
            return MetricObservation::Failed(String::new());
        };
        let sample = |id: PodId| self.host(id).and_then(|host| host.usage.as_ref()?.sample());
        let found = self.fill(index, pods, |pod| {
            let sample = sample(pod.id).filter(|_| pod.state >= PodState::Loading)?;
            Some(match resource {
                Resource::Cpu => sample.cpu_milli,
                Resource::Memory => sample.memory_milli,
            })
        });
        answer(found)
    }

    /// Asks the adapter for the Pods metric at `index`; its answer and when it is there. It asks Prometheus without a limit
    /// of its own, and does not tell why that failed (prometheus-adapter `pkg/custom-provider/provider.go`).
    pub(super) fn ask_adapter(&mut self, index: usize) -> (AdapterAnswer, SimTime) {
        let failed = || Err("Internal error occurred: unable to fetch metrics".to_owned());
        if self.prometheus_is_down() {
            return (failed(), self.now);
        }
        let due = self.now.saturating_add(self.query_latency());
        if let Some(stop) = self.prometheus_stops_before(due) {
            return (failed(), stop);
        }
        let Some(query) = self.monitoring.adapter_queries[index] else { return (Err(String::new()), self.now) };
        let answer = match self.monitoring.server.query(query, self.now, self.now) {
            Ok(QueryValue::Vector(elements)) => Ok(elements),
            Ok(_) => Ok(Vec::new()),
            Err(error) => Err(error.to_string()),
        };
        (answer, due)
    }

    /// Fills in the samples of the Pods metric at `index`: what its adapter answered, by the label `pod`.
    pub(super) fn fill_from_adapter(
        &self,
        index: usize,
        answered: Option<AdapterAnswer>,
        pods: &mut [PodObservation],
    ) -> MetricObservation {
        let elements = match answered {
            Some(Ok(elements)) => elements,
            Some(Err(error)) => return MetricObservation::Failed(error),
            None => return MetricObservation::Failed(String::new()),
        };
        let value = |pod: &Pod| {
            let own = elements.iter().find(|(labels, _)| labels.get("pod") == pod.name);
            own.map(|(_, value)| adapter_milli(*value))
        };
        answer(self.fill(index, pods, value))
    }

    /// Sets each pod's sample; whether there was any.
    fn fill(&self, index: usize, pods: &mut [PodObservation], value: impl Fn(&Pod) -> Option<i64>) -> bool {
        let existing = self.deployment.pods.iter().filter(|pod| pod.state != PodState::Gone);
        let mut any = false;
        for (pod, observed) in existing.zip(pods) {
            observed.samples_milli[index] = value(pod);
            any |= observed.samples_milli[index].is_some();
        }
        any
    }
}

/// What the metrics API gave: samples by pod, or an answer without items.
fn answer(any: bool) -> MetricObservation {
    if any { MetricObservation::PerPod } else { MetricObservation::Series(Vec::new()) }
}

/// Last change of the Ready condition: to False when the kubelet took the pod, to True when its probe succeeded. `None`, which
/// counts as long ago, for pods that served before the run.
fn ready_transition(pod: &Pod) -> Option<SimTime> {
    let before_the_run = pod.plan == StartupPlan::already_serving();
    let at = if pod.is_ready() { pod.times.ready } else { pod.times.scheduled };
    at.filter(|_| !before_the_run).map(SimTime::floor_to_second)
}

/// cpu that the container has used since its start, or since the run's: milli cores times picoseconds.
fn cpu_counter(pod: &Pod, host: &Host, usage: &UsageSettings, now: SimTime) -> i128 {
    let times = &pod.times;
    let started = times.loading.unwrap_or(now);
    let serves_from = times.listening.unwrap_or(now);
    let loading = serves_from.saturating_since(started);
    let serving = now.saturating_since(serves_from);
    let busy = host.engine.as_ref().map_or(SimDuration::ZERO, |engine| engine.busy_time(now)).min(serving);
    let used = |milli: i64, time: SimDuration| i128::from(milli) * i128::from(time.as_ps());
    used(usage.cpu_loading_milli, loading)
        + used(usage.cpu_busy_milli, busy)
        + used(usage.cpu_idle_milli, serving.saturating_sub(busy))
}

/// Memory in use, milli bytes.
fn memory_milli(pod: &Pod, usage: &UsageSettings, now: SimTime) -> i64 {
    if pod.times.listening.is_some() {
        return usage.memory_milli;
    }
    let started = pod.times.loading.unwrap_or(now);
    let whole = u128::from(pod.plan.listening.saturating_since(started).as_ps()).max(1);
    let done = u128::from(now.saturating_since(started).as_ps()).min(whole);
    let part = u128::from(usage.memory_milli.unsigned_abs()) * (done >> 20) / (whole >> 20).max(1);
    i64::try_from(part).unwrap_or(i64::MAX).min(usage.memory_milli)
}

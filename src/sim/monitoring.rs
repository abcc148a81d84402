//! Prometheus finds, scrapes and loses pods, and scrapes the user's own series.

use crate::cluster::PodId;
use crate::prometheus::{PrometheusServer, TargetId, TargetRules, marker_times, next_scrape, relabel, scrape_phase};
use crate::scenario::ScrapePool;
use crate::series::{Exposition, Labels, SeriesDef};
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::units::{SimDuration, SimTime};
use std::sync::Arc;

/// A pod as a target of one scrape job.
#[derive(Clone, Copy, Debug)]
pub(super) struct PodTarget {
    /// The job's place among the pools.
    pool: usize,
    id: TargetId,
    last_scrape: Option<SimTime>,
}

impl World<'_> {
    /// The pod's IP is published: service discovery will find it. One that was there before the run is a target already.
    pub(super) fn discover(&mut self, id: PodId, already: bool) {
        let delay = if already { SimDuration::ZERO } else { self.discovery_delay(id, "target-found") };
        self.host_mut(id);
        // Nobody asks Prometheus anything while the replicas are fixed.
        if self.run.monitoring.pools.is_empty() || self.run.fixed_replicas {
            return;
        }
        self.queue.push(self.now + delay, Event::TargetFound(id));
    }

    /// The pod's object is gone: service discovery will notice.
    pub(super) fn lose_target(&mut self, id: PodId) {
        if self.host(id).is_some() {
            let delay = self.discovery_delay(id, "target-lost");
            self.queue.push(self.now + delay, Event::TargetLost(id));
        }
    }

    fn discovery_delay(&self, id: PodId, purpose: &str) -> SimDuration {
        let limit = self.run.monitoring.own_scrape.discovery_delay_max;
        self.monitoring.seed.stream(purpose, u64::from(id.0)).duration_below(limit)
    }

    pub(super) fn on_target_found(&mut self, id: PodId) {
        let Some(pod) = self.deployment.pod(id).map(|pod| pod.name.clone()) else { return };
        let (run, now) = (self.run, self.now);
        for (number, pool) in run.monitoring.pools.iter().enumerate() {
            // The rules may drop the target.
            let Some(labels) = target_labels(pool, id, &pod) else { continue };
            let exposition = Arc::clone(&self.monitoring.exposition);
            let target = self.monitoring.server.add_target(&labels, exposition, &pool.rules);
            self.host_mut(id).targets.push(PodTarget { pool: number, id: target, last_scrape: None });
            // Upstream's phase is a hash of the target's labels, so each job's target has its own.
            let key = if number == 0 { pod.clone() } else { format!("{pod}/{number}") };
            let interval = pool.scrape.interval;
            let phase = scrape_phase(self.monitoring.seed, &key, interval);
            self.queue.push(next_scrape(now, phase, interval), Event::Scrape(id, number));
        }
    }

    pub(super) fn on_scrape(&mut self, id: PodId, pool: usize) {
        let now = self.now;
        let scrape = &self.run.monitoring.pools[pool].scrape;
        let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        // Lost in the meantime.
        let Some(target) = host.targets.iter_mut().find(|target| target.pool == pool) else { return };
        target.last_scrape = Some(now);
        let row = &mut self.monitoring.row;
        row.clear();
        let answered = host.engine.as_ref().map(|engine| engine.expose(now, row)).is_some();
        let visible = now + scrape.response_time;
        self.monitoring.server.commit(target.id, now, visible, answered.then_some(row.as_slice()));
        self.queue.push(now + scrape.interval, Event::Scrape(id, pool));
    }

    /// The target that exposes the user's own series, with exactly their labels; its scrapes begin.
    pub(super) fn start_signals(&mut self) {
        if self.run.signals.is_empty() || self.run.fixed_replicas {
            return;
        }
        let series = self.run.signals.iter().map(|own| SeriesDef { labels: own.labels.clone(), kind: own.kind });
        let exposition = Arc::new(Exposition { series: series.collect() });
        let target = self.monitoring.server.add_target(&Labels::default(), exposition, &TargetRules::default());
        self.monitoring.signals = Some(target);
        let interval = self.run.monitoring.own_scrape.interval;
        let phase = scrape_phase(self.monitoring.seed, "signals", interval);
        self.queue.push(next_scrape(self.now, phase, interval), Event::ScrapeSignals);
    }

    /// One scrape of the user's own series. One that gives no value is not exposed, which Prometheus marks stale.
    pub(super) fn on_scrape_signals(&mut self) {
        let Some(target) = self.monitoring.signals else { return };
        let (now, scrape) = (self.now, &self.run.monitoring.own_scrape);
        let absent = f64::from_bits(PrometheusServer::STALE_BITS);
        let row: Vec<f64> = self.run.signals.iter().map(|own| own.sample_at(now).unwrap_or(absent)).collect();
        self.monitoring.server.commit(target, now, now + scrape.response_time, Some(&row));
        self.queue.push(now + scrape.interval, Event::ScrapeSignals);
    }

    pub(super) fn on_target_lost(&mut self, id: PodId) {
        let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::take) else { return };
        for target in host.targets {
            let Some(last) = target.last_scrape else { continue };
            let (at, visible) = marker_times(last, self.run.monitoring.pools[target.pool].scrape.interval);
            self.monitoring.server.retire(target.id, at, visible);
        }
    }
}

/// The labels of a pod as a target; `None` when relabelling drops it (scrape/target.go `PopulateLabels`).
fn target_labels(pool: &ScrapePool, id: PodId, pod: &str) -> Option<Labels> {
    let ip = format!("10.{}.{}.{}", 1 + (id.0 >> 16), id.0 >> 8 & 255, id.0 & 255);
    let address = format!("{ip}:{}", pool.port);
    let own = [
        ("pod", pod),
        ("__meta_kubernetes_pod_name", pod),
        ("__meta_kubernetes_pod_ip", &ip),
        ("__address__", &address),
    ];
    let common = pool.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let labels = relabel(&Labels::from_pairs(common.chain(own)), &pool.relabel)?;
    let instance =
        if labels.get("instance").is_empty() { labels.with("instance", labels.get("__address__")) } else { labels };
    Some(instance.filtered(|name| !name.starts_with("__")))
}

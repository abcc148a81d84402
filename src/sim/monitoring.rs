//! Prometheus finds, scrapes and loses pods, and scrapes the user's own series.

use crate::cluster::PodId;
use crate::prometheus::{PrometheusServer, marker_times, next_scrape, scrape_phase};
use crate::series::{Exposition, Labels, SeriesDef};
use crate::sim::event::Event;
use crate::sim::world::World;
use crate::units::SimDuration;
use std::sync::Arc;

impl World<'_> {
    /// The pod's IP is published: service discovery will find it. One that was there before the run is a target already.
    pub(super) fn discover(&mut self, id: PodId, already: bool) {
        let scrape = &self.run.monitoring.scrape;
        let name = self.pod_name(id);
        let phase = scrape_phase(self.monitoring.seed, &name, scrape.interval);
        let delay = if already { SimDuration::ZERO } else { self.discovery_delay(id, "target-found") };
        self.host_mut(id).scrape_phase = phase;
        // Nobody asks Prometheus anything while the replicas are fixed.
        if !self.run.monitoring.scraped || self.run.fixed_replicas {
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
        let limit = self.run.monitoring.scrape.discovery_delay_max;
        self.monitoring.seed.stream(purpose, u64::from(id.0)).duration_below(limit)
    }

    pub(super) fn on_target_found(&mut self, id: PodId) {
        let Some(pod) = self.deployment.pod(id) else { return };
        let mut labels = self.run.monitoring.target_labels.clone();
        labels.push(("pod".to_owned(), pod.name.clone()));
        labels.push(("instance".to_owned(), instance(id)));
        let exposition = Arc::clone(&self.monitoring.exposition);
        let target = self.monitoring.server.add_target(&Labels::from_pairs(labels), exposition);
        let interval = self.run.monitoring.scrape.interval;
        let now = self.now;
        let host = self.host_mut(id);
        host.target = Some(target);
        let first = next_scrape(now, host.scrape_phase, interval);
        self.queue.push(first, Event::Scrape(id));
    }

    pub(super) fn on_scrape(&mut self, id: PodId) {
        let now = self.now;
        let scrape = &self.run.monitoring.scrape;
        let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        let Some(target) = host.target else { return }; // Lost in the meantime.
        host.last_scrape = Some(now);
        let row = &mut self.monitoring.row;
        row.clear();
        let answered = host.engine.as_ref().map(|engine| engine.expose(now, row)).is_some();
        let visible = now + scrape.response_time;
        self.monitoring.server.commit(target, now, visible, answered.then_some(row.as_slice()));
        self.queue.push(now + scrape.interval, Event::Scrape(id));
    }

    /// The target that exposes the user's own series, with exactly their labels; its scrapes begin.
    pub(super) fn start_signals(&mut self) {
        if self.run.signals.is_empty() || self.run.fixed_replicas {
            return;
        }
        let series = self.run.signals.iter().map(|own| SeriesDef { labels: own.labels.clone(), kind: own.kind });
        let exposition = Arc::new(Exposition { series: series.collect() });
        self.monitoring.signals = Some(self.monitoring.server.add_target(&Labels::default(), exposition));
        let interval = self.run.monitoring.scrape.interval;
        let phase = scrape_phase(self.monitoring.seed, "signals", interval);
        self.queue.push(next_scrape(self.now, phase, interval), Event::ScrapeSignals);
    }

    /// One scrape of the user's own series. One that gives no value is not exposed, which Prometheus marks stale.
    pub(super) fn on_scrape_signals(&mut self) {
        let Some(target) = self.monitoring.signals else { return };
        let (now, scrape) = (self.now, &self.run.monitoring.scrape);
        let absent = f64::from_bits(PrometheusServer::STALE_BITS);
        let row: Vec<f64> = self.run.signals.iter().map(|own| own.sample_at(now).unwrap_or(absent)).collect();
        self.monitoring.server.commit(target, now, now + scrape.response_time, Some(&row));
        self.queue.push(now + scrape.interval, Event::ScrapeSignals);
    }

    pub(super) fn on_target_lost(&mut self, id: PodId) {
        let interval = self.run.monitoring.scrape.interval;
        let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::take) else { return };
        if let (Some(target), Some(last)) = (host.target, host.last_scrape) {
            let (at, visible) = marker_times(last, interval);
            self.monitoring.server.retire(target, at, visible);
        }
    }
}

/// `ip:port` as a pod network would give it: one address per pod number.
fn instance(id: PodId) -> String {
    format!("10.{}.{}.{}:8080", 1 + (id.0 >> 16), id.0 >> 8 & 255, id.0 & 255)
}

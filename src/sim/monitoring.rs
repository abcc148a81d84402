//! Prometheus finds, scrapes and loses pods, and scrapes the user's own series.

use crate::cluster::{PodId, PodState};
use crate::prometheus::{
    PrometheusServer, TargetId, TargetRules, marker_times, next_scrape, scrape_phase, target_labels,
};
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
    phase: SimDuration,
    /// The last scrape of the loop that runs.
    last_scrape: Option<SimTime>,
    /// When it is scraped next; an event for another instant is of a loop that has ended.
    due: Option<SimTime>,
}

/// Which series of the replicas' exposition may be stored by any of the scrape jobs.
pub(super) fn looked_at(server: &PrometheusServer, pools: &[ScrapePool], exposition: &Exposition) -> Vec<bool> {
    let mut looked_at = vec![false; exposition.series.len()];
    for pool in pools {
        for (own, may_store) in looked_at.iter_mut().zip(server.may_store(exposition, &pool.rules)) {
            *own |= may_store;
        }
    }
    looked_at
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
        // A Prometheus that starts again finds all targets in one go.
        let found = self.host(id).is_some_and(|host| !host.targets.is_empty());
        if found || self.prometheus_is_blind() {
            return;
        }
        let Some(pod) = self.deployment.pod(id).map(|pod| pod.name.clone()) else { return };
        let (run, now) = (self.run, self.now);
        for (number, pool) in run.monitoring.pools.iter().enumerate() {
            // The rules may drop the target.
            let Some(labels) = target_labels(&discovered_labels(pool, id, &pod), &pool.relabel) else { continue };
            let exposition = Arc::clone(&self.monitoring.exposition);
            let target = self.monitoring.server.add_target(&labels, exposition, &pool.rules);
            // Upstream's phase is a hash of the target's labels, so each job's target has its own.
            let key = if number == 0 { pod.clone() } else { format!("{pod}/{number}") };
            let interval = pool.scrape.interval;
            let phase = scrape_phase(self.monitoring.seed, &key, interval);
            let first = next_scrape(now, phase, interval);
            let target = PodTarget { pool: number, id: target, phase, last_scrape: None, due: Some(first) };
            self.host_mut(id).targets.push(target);
            self.queue.push(first, Event::Scrape(id, number));
        }
    }

    pub(super) fn on_scrape(&mut self, id: PodId, pool: usize) {
        let now = self.now;
        let ScrapePool { scrape, failure, .. } = &self.run.monitoring.pools[pool];
        let trouble = self.scrape_trouble(id, pool);
        self.grow_expected();
        let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        // Lost in the meantime, or of a loop that has ended.
        let target = host.targets.iter_mut().find(|target| target.pool == pool && target.due == Some(now));
        let Some(target) = target else { return };
        target.last_scrape = Some(now);
        target.due = Some(now + scrape.interval);
        let number = target.id;
        let row = &mut self.monitoring.row;
        row.clear();
        // The answer is made when the request arrives, whenever it gets through.
        let engine = host.engine.as_ref().filter(|_| failure.is_none() && !trouble.lost);
        let answers = engine.map(|engine| engine.expose(now, row)).is_some();
        if let Some(expected) = self.expected.as_ref().filter(|_| answers) {
            expected.show(id, row);
        }
        let latency = trouble.latency.filter(|_| answers).unwrap_or(scrape.response_time);
        let in_time = latency < scrape.timeout;
        let visible = now + latency.min(scrape.timeout);
        self.queue.push(now + scrape.interval, Event::Scrape(id, pool));
        // What a process that stops had under way is lost with it.
        if self.prometheus_stops_before(visible).is_none() {
            let row = (answers && in_time).then_some(self.monitoring.row.as_slice());
            self.monitoring.server.commit(number, now, visible, row);
        }
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
        self.resume_signals();
    }

    /// One scrape of the user's own series. One that gives no value is not exposed, which Prometheus marks stale.
    pub(super) fn on_scrape_signals(&mut self) {
        let Some(target) = self.monitoring.signals.filter(|_| self.monitoring.signals_due == Some(self.now)) else {
            return;
        };
        let (now, scrape) = (self.now, &self.run.monitoring.own_scrape);
        let absent = f64::from_bits(PrometheusServer::STALE_BITS);
        let row: Vec<f64> = self.run.signals.iter().map(|own| own.sample_at(now).unwrap_or(absent)).collect();
        let (visible, next) = (now + scrape.response_time, now + scrape.interval);
        if self.prometheus_stops_before(visible).is_none() {
            self.monitoring.server.commit(target, now, visible, Some(&row));
        }
        self.monitoring.signals_due = Some(next);
        self.queue.push(next, Event::ScrapeSignals);
    }

    pub(super) fn on_target_lost(&mut self, id: PodId) {
        let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::take) else { return };
        for target in host.targets {
            let interval = self.run.monitoring.pools[target.pool].scrape.interval;
            let markers = target.last_scrape.map(|last| marker_times(last, interval));
            // A loop that has not scraped yet, or is stopped before it would write them, leaves no markers.
            match markers.filter(|(_, visible)| self.prometheus_stops_before(*visible).is_none()) {
                Some((at, visible)) => self.monitoring.server.retire(target.id, at, visible),
                None => self.monitoring.server.abandon(target.id),
            }
        }
    }

    /// Prometheus stops: the scrape loops end without markers (scrape/scrape.go `run`, `parentCtx`), and with the process
    /// goes what it knew of its own writing.
    pub(super) fn stop_prometheus(&mut self) {
        for target in self.hosts.iter_mut().flatten().flat_map(|host| &mut host.targets) {
            target.due = None;
            target.last_scrape = None;
        }
        self.monitoring.signals_due = None;
        self.stop_scraping_gateway();
        self.monitoring.server.forget_writers();
    }

    /// Prometheus has discovered its targets anew. A target that was there before has its old phase, which is a hash, and
    /// goes on with its series.
    pub(super) fn on_prometheus_back(&mut self) {
        if self.prometheus_is_blind() {
            return; // Stopped again before it came to that.
        }
        let now = self.now;
        let there = self.deployment.pods.iter().filter(|pod| {
            let state = pod.state;
            state >= PodState::Loading && state != PodState::Gone
        });
        let there: Vec<PodId> = there.map(|pod| pod.id).collect();
        for id in there {
            let pools = &self.run.monitoring.pools;
            let Some(host) = self.hosts.get_mut(id.0 as usize).and_then(Option::as_mut) else { continue };
            if host.targets.is_empty() {
                if !pools.is_empty() {
                    self.on_target_found(id);
                }
                continue;
            }
            for target in &mut host.targets {
                let first = next_scrape(now, target.phase, pools[target.pool].scrape.interval);
                target.due = Some(first);
                self.queue.push(first, Event::Scrape(id, target.pool));
            }
        }
        self.resume_signals();
        self.resume_gateway();
    }

    fn resume_signals(&mut self) {
        if self.monitoring.signals.is_none() {
            return;
        }
        let interval = self.run.monitoring.own_scrape.interval;
        let phase = scrape_phase(self.monitoring.seed, "signals", interval);
        let first = next_scrape(self.now, phase, interval);
        self.monitoring.signals_due = Some(first);
        self.queue.push(first, Event::ScrapeSignals);
    }
}

/// What service discovery tells of a pod to a scrape job.
fn discovered_labels(pool: &ScrapePool, id: PodId, pod: &str) -> Labels {
    let ip = format!("10.{}.{}.{}", 1 + (id.0 >> 16), id.0 >> 8 & 255, id.0 & 255);
    let address = format!("{ip}:{}", pool.port);
    let own = [
        ("pod", pod),
        ("__meta_kubernetes_pod_name", pod),
        ("__meta_kubernetes_pod_ip", &ip),
        ("__address__", &address),
    ];
    let common = pool.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::from_pairs(common.chain(own))
}

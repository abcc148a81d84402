//! What is out of order when: the Scenario's faults as the rest of the world meets them.
//!
//! Whether a fault holds is a function of time alone, so no result hangs on the rank of the events here; they record the
//! fault and do what its start and end set off. Faults draw from streams of their own: without them, and in everything that
//! does not depend on them, a run is the same.

use crate::cluster::{PodId, PodState};
use crate::record::EventKind;
use crate::scenario::{Fault, FaultKind, FaultPods};
use crate::sim::event::Event;
use crate::sim::world::{LONGEST_RECONCILE, SHORTEST_RECONCILE, World};
use crate::units::{SimDuration, SimTime};

impl World<'_> {
    /// The events of all faults. While the replicas are fixed nobody asks Prometheus or KEDA anything.
    pub(super) fn schedule_faults(&mut self) {
        if self.run.fixed_replicas {
            return;
        }
        for (number, fault) in self.run.faults.iter().enumerate() {
            self.queue.push(fault.at, Event::FaultStarts(number));
            self.queue.push(fault.until, Event::FaultEnds(number));
            match fault.kind {
                FaultKind::PrometheusDown => self.queue.push(self.finds_targets_at(fault), Event::PrometheusBack),
                FaultKind::KedaDown => self.queue.push(self.keda_back_at(fault), Event::KedaBack),
                _ => {}
            }
        }
    }

    pub(super) fn on_fault_starts(&mut self, number: usize) {
        let fault = &self.run.faults[number];
        self.note(EventKind::FaultStarted { fault: fault.kind.word(), settings: fault.kind.settings() });
        match fault.kind {
            FaultKind::PrometheusDown => self.stop_prometheus(),
            FaultKind::KedaDown => self.stop_keda(),
            FaultKind::ScrapeLoss { pods, .. } | FaultKind::ScrapeSlow { pods, .. } => {
                self.chosen_pods[number] = self.choose_pods(pods);
            }
            FaultKind::PrometheusSlow { .. } => {}
        }
    }

    pub(super) fn on_fault_ends(&mut self, number: usize) {
        let kind = &self.run.faults[number].kind;
        self.note(EventKind::FaultEnded { fault: kind.word(), settings: kind.settings() });
    }

    /// The pods of a fault, among those that have an IP when it starts; `None` for all.
    fn choose_pods(&self, pods: FaultPods) -> Option<Vec<PodId>> {
        let there = self.deployment.pods.iter().filter(|pod| {
            let state = pod.state;
            state >= PodState::Loading && state != PodState::Gone
        });
        // Pods are numbered in order of creation.
        let mut there: Vec<PodId> = there.map(|pod| pod.id).collect();
        there.sort_unstable();
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX).min(there.len());
        match pods {
            FaultPods::All => None,
            FaultPods::Oldest(own) => Some(there[..count(own)].to_vec()),
            FaultPods::Newest(own) => Some(there[there.len() - count(own)..].to_vec()),
        }
    }

    fn faults_now(&self) -> impl Iterator<Item = (usize, &Fault)> {
        let now = self.now;
        self.run.faults.iter().enumerate().filter(move |(_, fault)| fault.holds_at(now))
    }

    /// Whether Prometheus is stopped.
    pub(super) fn prometheus_is_down(&self) -> bool {
        self.faults_now().any(|(_, fault)| fault.kind == FaultKind::PrometheusDown)
    }

    /// Whether KEDA is stopped.
    pub(super) fn keda_is_down(&self) -> bool {
        self.faults_now().any(|(_, fault)| fault.kind == FaultKind::KedaDown)
    }

    /// How long Prometheus takes to answer a query that arrives now, beyond what a sync's own latency covers.
    pub(super) fn query_latency(&self) -> SimDuration {
        let latency = |(_, fault): (usize, &Fault)| match fault.kind {
            FaultKind::PrometheusSlow { latency } => Some(latency),
            _ => None,
        };
        self.faults_now().find_map(latency).unwrap_or(SimDuration::ZERO)
    }

    /// When Prometheus stops, if that is after now and before `t`: what it has not done by then is lost.
    pub(super) fn prometheus_stops_before(&self, t: SimTime) -> Option<SimTime> {
        let stops = self.run.faults.iter().filter(|fault| fault.kind == FaultKind::PrometheusDown);
        // In order of start, so the first one is the earliest.
        stops.map(|fault| fault.at).find(|at| self.now < *at && *at < t && !self.run.fixed_replicas)
    }

    /// Whether Prometheus knows no targets: it is stopped, or has not discovered them again. Discovery starts with the
    /// process, and all targets are found in one go (discovery/manager.go `sender`, scrape/manager.go `reloader`).
    pub(super) fn prometheus_is_blind(&self) -> bool {
        let downs = self.run.faults.iter().filter(|fault| fault.kind == FaultKind::PrometheusDown);
        downs.into_iter().any(|fault| fault.at <= self.now && self.now < self.finds_targets_at(fault))
    }

    /// When Prometheus has discovered its targets again.
    fn finds_targets_at(&self, fault: &Fault) -> SimTime {
        let limit = self.run.monitoring.own_scrape.discovery_delay_max;
        let delay = self.run.seed.stream("prometheus-restart", fault.at.as_millis_floor()).duration_below(limit);
        fault.until.saturating_add(delay)
    }

    /// When KEDA's operator has taken up the ScaledObject again.
    fn keda_back_at(&self, fault: &Fault) -> SimTime {
        let spread = LONGEST_RECONCILE.saturating_sub(SHORTEST_RECONCILE);
        let delay = self.run.seed.stream("keda-restart", fault.at.as_millis_floor()).duration_below(spread);
        fault.until.saturating_add(SHORTEST_RECONCILE).saturating_add(delay)
    }

    /// When KEDA can do what is due at `t`.
    pub(super) fn keda_acts_at(&self, t: SimTime) -> SimTime {
        let downs = self.run.faults.iter().filter(|fault| fault.kind == FaultKind::KedaDown);
        downs.fold(t, |t, fault| if fault.holds_at(t) { self.keda_back_at(fault) } else { t })
    }

    /// How a scrape of a pod that begins now is disturbed.
    pub(super) fn scrape_trouble(&self, id: PodId, pool: usize) -> ScrapeTrouble {
        let mut trouble = ScrapeTrouble::default();
        for (number, fault) in self.faults_now() {
            let chosen = self.chosen_pods[number].as_ref();
            if chosen.is_some_and(|chosen| !chosen.contains(&id)) {
                continue;
            }
            match fault.kind {
                FaultKind::ScrapeLoss { share, .. } => {
                    let purpose = format!("scrape-loss/{}/{pool}", self.pod_name(id));
                    let mut stream = self.run.seed.stream(&purpose, self.now.as_millis_floor());
                    trouble.lost |= stream.uniform() < share;
                }
                FaultKind::ScrapeSlow { latency, .. } => trouble.latency = Some(latency),
                _ => {}
            }
        }
        trouble
    }

    /// The end of the last fault: a policy that it moves has not settled before.
    pub(super) fn last_fault_end(&self) -> Option<SimTime> {
        let faults = self.run.faults.iter().filter(|_| !self.run.fixed_replicas);
        faults.map(|fault| fault.until).max()
    }
}

/// How a scrape is disturbed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ScrapeTrouble {
    /// It fails at once, as a refused connection does.
    pub(super) lost: bool,
    /// The pod answers this late.
    pub(super) latency: Option<SimDuration>,
}

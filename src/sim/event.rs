//! What can happen, and the one total order in which it does: (time, class, sequence).

use crate::cluster::PodId;
use crate::sim::gateway::GatewayLimit;
use crate::units::SimTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something due at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// An engine's step (or run of steps) ends.
    EngineStepEnd(PodId),
    /// An engine at a boundary, or idle, drains arrivals and starts a step.
    EngineStepStart(PodId),
    /// A pod goes on in its life.
    PodStep(PodId, PodStep),
    /// The ReplicaSet controller sees the new `spec.replicas`.
    ReconcileDeployment,
    /// The controllers have written `status.replicas`.
    UpdateStatus,
    /// The oldest request's client gives up.
    ClientTimeout,
    /// A request may be over a time limit of the gateway.
    GatewayTimeout(GatewayLimit),
    /// The gateway looks whether it can send on what it holds.
    GatewayRelease,
    /// The gateway polls the pods.
    GatewayPoll,
    /// A source sends a request.
    Arrival(usize),
    /// The fault at this position starts.
    FaultStarts(usize),
    /// It is over.
    FaultEnds(usize),
    /// A Prometheus that was down has discovered its targets again.
    PrometheusBack,
    /// A KEDA that was down has taken up the ScaledObject again.
    KedaBack,
    /// Prometheus starts scraping a pod.
    TargetFound(PodId),
    /// Prometheus stops scraping a pod.
    TargetLost(PodId),
    /// A pod is scraped by the job at this position.
    Scrape(PodId, usize),
    /// The user's own series are scraped.
    ScrapeSignals,
    /// The gateway is scraped.
    ScrapeGateway,
    /// metrics-server scrapes all containers.
    ScrapeUsage,
    /// The group of recording rules at this position is due.
    EvaluateRules(usize),
    /// A push scaler's activity, of the trigger at this position, may have changed.
    Push(usize),
    /// KEDA's scale loop ticks.
    KedaPoll,
    /// A poll that waits gets an answer.
    PollAnswer,
    /// The HPA controller syncs.
    HpaSync,
    /// A sync that waits gets an answer.
    SyncAnswer,
    /// A row of the timeline.
    Sample,
    /// The run is over.
    End,
}

/// A step in a pod's life that takes time to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodStep {
    /// Bound to a node.
    Scheduled,
    /// The container runs, the IP is published.
    Loading,
    /// The port is open.
    Listening,
    /// The readiness probe succeeded.
    Ready,
    /// The routers know.
    Routable,
    /// The routers know that it is being deleted.
    Unrouted,
    /// SIGTERM.
    Terminate,
    /// SIGKILL, or the end of the drain time.
    Kill,
    /// The object is removed.
    Gone,
}

impl Event {
    /// Rank among events of one instant. Phases of scrapes, polls and syncs are drawn per seed, so no result hangs on a rank
    /// between them; the ranks make the order total.
    fn class(self) -> u8 {
        match self {
            // A step that ends now has published its results before anybody looks.
            Event::EngineStepEnd(_) => 0,
            // A pod that becomes Ready now may get a request now; one that is told to stop now may not.
            Event::PodStep(..) | Event::ReconcileDeployment => 1,
            Event::UpdateStatus => 2,
            // A client that gives up now does not see an answer that comes later at this instant (an answer that came with a
            // step's end was first).
            Event::ClientTimeout | Event::GatewayTimeout(_) => 3,
            // What the gateway sends on reaches an engine as an arrival does.
            Event::Arrival(_) | Event::GatewayRelease | Event::GatewayPoll => 4,
            // A request that arrives exactly on a boundary is drained before that boundary's schedule.
            Event::EngineStepStart(_) => 5,
            // Observers come after what they observe, in the order of the information's way: scrape, poll, sync.
            // One fault is over before the next one starts.
            Event::FaultEnds(_) => 6,
            Event::FaultStarts(_) => 7,
            Event::PrometheusBack | Event::KedaBack | Event::TargetFound(_) | Event::TargetLost(_) => 8,
            Event::Scrape(..) | Event::ScrapeSignals | Event::ScrapeGateway | Event::ScrapeUsage => 9,
            // A rule writes for those who ask Prometheus.
            Event::EvaluateRules(_) => 10,
            // A push that comes together with a poll finds its work done by neither: both ask the executor.
            Event::Push(_) => 11,
            Event::KedaPoll | Event::PollAnswer => 12,
            Event::HpaSync | Event::SyncAnswer => 13,
            // The timeline shows the instant's outcome.
            Event::Sample => 14,
            Event::End => 15,
        }
    }
}

/// Pending events.
#[derive(Clone, Debug, Default)]
pub(super) struct EventQueue {
    heap: BinaryHeap<Reverse<Pending>>,
    sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    at: SimTime,
    class: u8,
    sequence: u64,
    event: Event,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.class, self.sequence).cmp(&(other.at, other.class, other.sequence))
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl EventQueue {
    /// Schedules `event` at `at`; events of one class at one instant happen in the order in which they were scheduled.
    pub(super) fn push(&mut self, at: SimTime, event: Event) {
        self.sequence += 1;
        self.heap.push(Reverse(Pending { at, class: event.class(), sequence: self.sequence, event }));
    }

    /// Whether nothing else is due at or before `now`.
    pub(super) fn is_clear_until(&self, now: SimTime) -> bool {
        self.heap.peek().is_none_or(|Reverse(pending)| pending.at > now)
    }

    /// Takes the next event.
    pub(super) fn pop(&mut self) -> Option<(SimTime, Event)> {
        self.heap.pop().map(|Reverse(pending)| (pending.at, pending.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_is_ordered_by_class_then_by_sequence() {
        let mut queue = EventQueue::default();
        let t = SimTime::from_secs(15);
        queue.push(SimTime::from_secs(20), Event::EngineStepEnd(PodId(0)));
        for event in
            [Event::Sample, Event::HpaSync, Event::Scrape(PodId(1), 0), Event::Scrape(PodId(0), 0), Event::KedaPoll]
        {
            queue.push(t, event);
        }
        queue.push(t, Event::EngineStepEnd(PodId(2)));
        let order: Vec<Event> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        let expected = [
            Event::EngineStepEnd(PodId(2)),
            Event::Scrape(PodId(1), 0),
            Event::Scrape(PodId(0), 0),
            Event::KedaPoll,
            Event::HpaSync,
            Event::Sample,
            Event::EngineStepEnd(PodId(0)),
        ];
        assert_eq!(order, expected);
    }
}

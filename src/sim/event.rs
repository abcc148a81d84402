//! What can happen, and the one total order in which it does: (time, class, sequence).

use crate::cluster::PodId;
use crate::sim::due_tree::DueTree;
use crate::sim::gateway::GatewayLimit;
use crate::units::SimTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Which of the policies that act on one world, counted from 0; a world of its own has only this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PolicyId(pub(super) u32);

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
    Push(PolicyId, usize),
    /// KEDA's scale loop ticks.
    KedaPoll(PolicyId),
    /// A poll that waits gets an answer.
    PollAnswer(PolicyId),
    /// The HPA controller syncs.
    HpaSync(PolicyId),
    /// A sync that waits gets an answer.
    SyncAnswer(PolicyId),
    /// The schedule's write at this position is due.
    ScheduledScale(usize),
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
    /// Whose controllers act at this event; `None` for what happens to the world whatever they decide.
    pub(super) fn policy(self) -> Option<PolicyId> {
        match self {
            Event::Push(policy, _)
            | Event::KedaPoll(policy)
            | Event::PollAnswer(policy)
            | Event::HpaSync(policy)
            | Event::SyncAnswer(policy) => Some(policy),
            _ => None,
        }
    }

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
            Event::Push(..) => 11,
            Event::KedaPoll(_) | Event::PollAnswer(_) => 12,
            Event::HpaSync(_) | Event::SyncAnswer(_) | Event::ScheduledScale(_) => 13,
            // The timeline shows the instant's outcome.
            Event::Sample => 14,
            Event::End => 15,
        }
    }
}

/// Pending events. Arrivals and the wakes of engines, one of each source and pod, move often and stand in a tree; the
/// others in a heap.
#[derive(Clone, Debug)]
pub(super) struct EventQueue {
    /// Leaves: the sources, then the pods.
    due: DueTree,
    sources: usize,
    heap: BinaryHeap<Reverse<Pending>>,
    sequence: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    key: u128,
    event: Event,
}

impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Bits of a key below the class.
const SEQUENCE_BITS: u32 = 56;

fn time_of(key: u128) -> SimTime {
    // The upper half holds the time whole.
    SimTime::from_ps((key >> 64) as u64)
}

impl EventQueue {
    /// An empty queue for that many traffic sources.
    pub(super) fn new(sources: usize) -> Self {
        EventQueue { due: DueTree::with_room_for(sources + 1), sources, heap: BinaryHeap::new(), sequence: 0 }
    }

    /// (time, class, sequence) as one number. A run would take centuries to use up the sequence numbers.
    fn key(&mut self, at: SimTime, class: u8) -> u128 {
        self.sequence += 1;
        u128::from(at.as_ps()) << 64 | u128::from(class) << SEQUENCE_BITS | u128::from(self.sequence)
    }

    /// Schedules `event` at `at`; events of one class at one instant happen in the order in which they were scheduled.
    /// An arrival or a wake takes the place of the one that its source or pod has pending.
    #[inline]
    pub(super) fn push(&mut self, at: SimTime, event: Event) {
        let key = self.key(at, event.class());
        match event {
            Event::Arrival(source) => self.due.set(source, key),
            Event::EngineStepEnd(pod) | Event::EngineStepStart(pod) => self.due.set(self.sources + pod.0 as usize, key),
            _ => self.push_into_heap(Pending { key, event }),
        }
    }

    /// Apart, so that the way of arrivals and wakes is short where they are pushed.
    #[inline(never)]
    fn push_into_heap(&mut self, pending: Pending) {
        self.heap.push(Reverse(pending));
    }

    /// Drops the wake of `pod`'s engine, if one is pending.
    pub(super) fn drop_wake(&mut self, pod: PodId) {
        self.due.clear(self.sources + pod.0 as usize);
    }

    /// Drops the arrival of `source`, if one is pending.
    pub(super) fn drop_arrival(&mut self, source: usize) {
        self.due.clear(source);
    }

    fn first_in_heap(&self) -> u128 {
        self.heap.peek().map_or(u128::MAX, |Reverse(pending)| pending.key)
    }

    /// Drops the pending events of all policies but those that `stay`.
    pub(super) fn keep_policies(&mut self, stay: impl Fn(PolicyId) -> bool) {
        self.heap.retain(|Reverse(pending)| pending.event.policy().is_none_or(&stay));
    }

    /// The policy whose controllers act next, if that is the next event and due at `now`.
    pub(super) fn next_policy_at(&self, now: SimTime) -> Option<PolicyId> {
        let Reverse(first) = self.heap.peek()?;
        let is_next = first.key < self.due.first() && time_of(first.key) == now;
        first.event.policy().filter(|_| is_next)
    }

    /// When the next event is due; `NEVER` when none is.
    pub(super) fn next_at(&self) -> SimTime {
        time_of(self.due.first().min(self.first_in_heap()))
    }

    /// Whether nothing else is due at or before `now`.
    pub(super) fn is_clear_until(&self, now: SimTime) -> bool {
        self.next_at() > now
    }

    /// Takes the next event.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<(SimTime, Event)> {
        let in_tree = self.due.first();
        if self.first_in_heap() < in_tree {
            return self.heap.pop().map(|Reverse(pending)| (time_of(pending.key), pending.event));
        }
        if in_tree == u128::MAX {
            return None;
        }
        let leaf = self.due.take_first();
        let event = match leaf.checked_sub(self.sources) {
            None => Event::Arrival(leaf),
            Some(pod) => {
                let pod = PodId(u32::try_from(pod).expect("pods are numbered in 32 bits"));
                let end = Event::EngineStepEnd(pod);
                let class = (in_tree as u64 >> SEQUENCE_BITS) as u8;
                if class == end.class() { end } else { Event::EngineStepStart(pod) }
            }
        };
        Some((time_of(in_tree), event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instant_is_ordered_by_class_then_by_sequence() {
        let mut queue = EventQueue::new(1);
        let own = PolicyId::default();
        let t = SimTime::from_secs(15);
        queue.push(SimTime::from_secs(20), Event::EngineStepEnd(PodId(0)));
        for event in [
            Event::Sample,
            Event::HpaSync(own),
            Event::Scrape(PodId(1), 0),
            Event::Scrape(PodId(0), 0),
            Event::KedaPoll(own),
        ] {
            queue.push(t, event);
        }
        queue.push(t, Event::EngineStepEnd(PodId(2)));
        let order: Vec<Event> = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        let expected = [
            Event::EngineStepEnd(PodId(2)),
            Event::Scrape(PodId(1), 0),
            Event::Scrape(PodId(0), 0),
            Event::KedaPoll(own),
            Event::HpaSync(own),
            Event::Sample,
            Event::EngineStepEnd(PodId(0)),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_wake_or_arrival_takes_the_place_of_the_pending_one() {
        let mut queue = EventQueue::new(2);
        let at = SimTime::from_secs;
        queue.push(at(9), Event::EngineStepEnd(PodId(7)));
        queue.push(at(5), Event::EngineStepStart(PodId(7)));
        queue.push(at(4), Event::Arrival(1));
        queue.push(at(6), Event::Arrival(1));
        queue.push(at(1), Event::EngineStepEnd(PodId(3)));
        queue.push(at(8), Event::End);
        queue.drop_wake(PodId(3));
        assert!(queue.is_clear_until(at(4)) && !queue.is_clear_until(at(5)));
        let order: Vec<(SimTime, Event)> = std::iter::from_fn(|| queue.pop()).collect();
        let expected = [(at(5), Event::EngineStepStart(PodId(7))), (at(6), Event::Arrival(1)), (at(8), Event::End)];
        assert_eq!(order, expected);
    }
}

//! The Deployment and its ReplicaSet: makes the number of active pods equal `spec.replicas`.
//!
//! Plans and counts only: when a pod enters its next state is for the caller to schedule. Creation needs no time model
//! of its own: the slow start's batches of 1, 2, 4, ... are API round trips of milliseconds, which
//! [`Deployment::latencies`] covers, and the cap of 500 per sync is lifted at once by the next sync.
//! Left out: quota, rollouts, failed pods, crash loops, a fixed number of nodes.

use crate::cluster::{ClusterSettings, Pod, PodId, PodState, PodTimes, StartupPlan, pods_to_delete};
use crate::units::{Seed, SimDuration, SimTime, Stream};
use std::collections::BTreeSet;

/// The shortest time between SIGTERM and SIGKILL (`kuberuntime_container.go`, `minimumGracePeriodInSeconds`).
const MINIMUM_GRACE: SimDuration = SimDuration::from_secs(2);

/// What one reconcile did, for the caller to schedule and record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentChange {
    /// Pods created now; their `plan` says when they go on.
    pub created: Vec<PodId>,
    /// Pods whose deletion timestamp was set now. Those that had no node are gone already: [`Deployment::pod`] no longer
    /// knows them, [`Deployment::gone`] does.
    pub deleted: Vec<PodId>,
}

/// Pods on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct NodeLoad {
    /// Without a deletion timestamp.
    active: u32,
    /// All, those being deleted included.
    all: u32,
}

/// A workload of interchangeable pods. Plain cloneable data.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// Its name.
    pub name: String,
    /// `spec.replicas`.
    pub spec_replicas: i32,
    /// `status.replicas` as last written.
    pub status_replicas: i32,
    /// Pods that exist, in order of creation; gone ones are removed.
    pub pods: Vec<Pod>,
    settings: ClusterSettings,
    seed: Seed,
    /// The ReplicaSet's name: deployment and pod template hash.
    replica_set: String,
    /// Pods that are gone, in that order.
    gone: Vec<Pod>,
    /// Number of the next pod.
    next_pod: u32,
    /// Per node opened so far (they are never given back): what is on it.
    nodes: Vec<NodeLoad>,
    /// Nodes with room, the one that takes the next pod first: (active pods, pods, number).
    open_nodes: BTreeSet<(u32, u32, u32)>,
    /// Scale changes whose latencies were drawn.
    changes: u64,
    /// Scale-downs that chose victims.
    deletions: u64,
}

impl Deployment {
    /// A deployment of `replicas` pods that have been serving since before the run's start (ready times spread in the past
    /// are not representable: all became Ready at time zero, so that their order of deletion among each other is random).
    ///
    /// # Panics
    /// When `replicas` is negative or `settings.pods_per_node` is 0.
    pub fn new(name: &str, settings: &ClusterSettings, seed: Seed, replicas: i32) -> Self {
        assert!(settings.pods_per_node > 0, "a node must hold at least one pod");
        assert!(replicas >= 0, "a deployment cannot have {replicas} replicas");
        let hash = safe_string(&mut seed.stream("replica-set-hash", 0), 10);
        let mut deployment = Deployment {
            name: name.to_owned(),
            spec_replicas: replicas,
            status_replicas: replicas,
            pods: Vec::new(),
            settings: settings.clone(),
            seed,
            replica_set: format!("{name}-{hash}"),
            gone: Vec::new(),
            next_pod: 0,
            nodes: Vec::new(),
            open_nodes: BTreeSet::new(),
            changes: 0,
            deletions: 0,
        };
        for _ in 0..replicas {
            let id = deployment.create(SimTime::ZERO);
            deployment.pods.last_mut().expect("just created").plan = StartupPlan::already_serving();
            for state in
                [PodState::Starting, PodState::Loading, PodState::Listening, PodState::Ready, PodState::Routable]
            {
                deployment.enter(id, state, SimTime::ZERO);
            }
        }
        deployment
    }
    /// The ReplicaSet controller runs: creates or deletes pods so that active pods == `spec_replicas`. Deleted pods that
    /// had no node are `Gone` at once.
    ///
    /// # Panics
    /// When `spec_replicas` is negative, which no API server accepts.
    pub fn reconcile(&mut self, now: SimTime) -> DeploymentChange {
        let wanted = usize::try_from(self.spec_replicas).expect("the API server accepts no negative replicas");
        let active = self.active();
        let mut change = DeploymentChange::default();
        for _ in active..wanted {
            change.created.push(self.create(now));
        }
        if active > wanted {
            let mut stream = self.seed.stream("victim-order", self.deletions);
            self.deletions += 1;
            change.deleted = pods_to_delete(&self.pods, active - wanted, now, &mut stream);
            for id in &change.deleted {
                let unassigned = self.pod(*id).is_some_and(|pod| pod.node.is_none());
                if unassigned {
                    if let Some(index) = self.index(*id) {
                        self.pods[index].times.deleted = Some(now);
                    }
                    self.enter(*id, PodState::Gone, now);
                } else {
                    self.enter(*id, PodState::Terminating, now);
                }
            }
        }
        assert!(self.active() == wanted, "after a reconcile the active pods are those wanted");
        change
    }
    /// `status.replicas` = active pods, as the controller's status write does.
    pub fn update_status(&mut self) {
        self.status_replicas = i32::try_from(self.active()).unwrap_or(i32::MAX);
    }
    /// Moves pod `id` to `state` at `now`. On the way to Starting it gets a node; a Gone pod moves to [`Self::gone`].
    ///
    /// # Panics
    /// When the pod does not exist or the move is not one of cluster.md 2.1 ([`PodState::may_become`] asks first).
    pub fn enter(&mut self, id: PodId, state: PodState, now: SimTime) {
        let index = self.index(id).unwrap_or_else(|| panic!("pod {} does not exist", id.0));
        let was_active = self.pods[index].is_active();
        self.pods[index].enter(state, now);
        if state == PodState::Starting {
            assert!(self.pods[index].node.is_none(), "a pod has at most one node for life");
            self.pods[index].node = Some(self.place());
        }
        let left = was_active && !self.pods[index].is_active();
        let gone = state == PodState::Gone;
        if let Some(node) = self.pods[index].node {
            self.change_node(node, |load| {
                load.active -= u32::from(left);
                load.all -= u32::from(gone);
            });
        }
        if gone {
            self.gone.push(self.pods.remove(index));
        }
    }
    /// The pod `id`, while it exists.
    pub fn pod(&self, id: PodId) -> Option<&Pod> {
        self.index(id).map(|index| &self.pods[index])
    }
    /// Pods that are gone, in the order they went.
    pub fn gone(&self) -> &[Pod] {
        &self.gone
    }
    /// Pods Ready and not being deleted.
    pub fn ready_replicas(&self) -> i32 {
        i32::try_from(self.pods.iter().filter(|pod| pod.is_ready()).count()).unwrap_or(i32::MAX)
    }
    /// The engine of pod `id` takes no more requests (SIGTERM); nothing happens when it is gone already.
    pub fn stop_accepting(&mut self, id: PodId) {
        if let Some(index) = self.index(id) {
            self.pods[index].accepting = false;
        }
    }
    /// Draws (create latency, status latency) of the next scale change; changes are numbered in the order of the calls.
    pub fn latencies(&mut self) -> (SimDuration, SimDuration) {
        let change = self.changes;
        self.changes += 1;
        (
            self.settings.create_latency.draw(&mut self.seed.stream("create-latency", change)),
            self.settings.status_latency.draw(&mut self.seed.stream("status-latency", change)),
        )
    }
    /// Draws the stop of pod `id` deleted at `now`: (routers forget it, SIGTERM, SIGKILL at the latest). Process end to gone
    /// is [`Self::cleanup_delay`]. The same pod always gets the same draws.
    ///
    /// Source: `kuberuntime_container.go: killContainer` (cluster.md 3.1): preStop runs for at most the grace period, and
    /// the whole seconds it took are subtracted from what is left between TERM and KILL, never below 2 s.
    pub fn termination_plan(&mut self, id: PodId, now: SimTime) -> (SimTime, SimTime, SimTime) {
        let stream = |purpose: &str| self.seed.stream(purpose, u64::from(id.0));
        let termination = &self.settings.termination;
        let propagation = self.settings.startup.endpoints.draw(&mut stream("stop-endpoints"));
        let kubelet = termination.kubelet_latency.draw(&mut stream("stop-kubelet"));
        let pre_stop = termination.pre_stop.min(termination.grace);
        let term = now + kubelet + pre_stop;
        let whole_seconds = SimDuration::from_secs(pre_stop.as_millis_floor() / 1000);
        let kill = term + termination.grace.saturating_sub(whole_seconds).max(MINIMUM_GRACE);
        (now + propagation, term, kill)
    }
    /// Draws the time from the process' end to the object's removal. The same pod always gets the same draw.
    pub fn cleanup_delay(&mut self, id: PodId) -> SimDuration {
        self.settings.termination.cleanup.draw(&mut self.seed.stream("stop-cleanup", u64::from(id.0)))
    }

    /// Number of pods without a deletion timestamp.
    fn active(&self) -> usize {
        self.pods.iter().filter(|pod| pod.is_active()).count()
    }
    /// Where pod `id` stands in [`Self::pods`], which is in the order of numbers.
    fn index(&self, id: PodId) -> Option<usize> {
        self.pods.binary_search_by_key(&id, |pod| pod.id).ok()
    }
    /// A new pod without a node.
    fn create(&mut self, now: SimTime) -> PodId {
        let id = PodId(self.next_pod);
        self.next_pod += 1;
        let suffix = safe_string(&mut self.seed.stream("pod-name", u64::from(id.0)), 5);
        self.pods.push(Pod {
            id,
            name: format!("{}-{suffix}", self.replica_set),
            uid: uid(&mut self.seed.stream("pod-uid", u64::from(id.0))),
            node: None,
            state: PodState::Unscheduled,
            times: PodTimes { created: now, ..PodTimes::default() },
            plan: StartupPlan::draw(&self.settings, self.seed, id, now),
            accepting: false,
        });
        id
    }
    /// Placement `spread` of cluster.md 2.2 over the nodes opened so far: fewest active pods, then most room, then lowest
    /// number; a further node is opened only when all are full. Terminating pods hold their room until they are gone.
    fn place(&mut self) -> u32 {
        let node = self.open_nodes.first().map_or_else(
            || {
                self.nodes.push(NodeLoad::default());
                u32::try_from(self.nodes.len() - 1).expect("fewer nodes than 2^32")
            },
            |(_, _, node)| *node,
        );
        self.change_node(node, |load| {
            load.active += 1;
            load.all += 1;
        });
        node
    }
    /// Changes what is on a node and its place among those with room.
    fn change_node(&mut self, node: u32, change: impl FnOnce(&mut NodeLoad)) {
        let load = &mut self.nodes[node as usize];
        self.open_nodes.remove(&(load.active, load.all, node));
        change(load);
        if load.all < self.settings.pods_per_node {
            self.open_nodes.insert((load.active, load.all, node));
        }
    }
}

/// `length` letters and digits without vowels, as apimachinery `util/rand.SafeEncodeString` uses for generated names.
fn safe_string(stream: &mut Stream, length: usize) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..length).map(|_| char::from(ALPHABET[stream.below(ALPHABET.len() as u64) as usize])).collect()
}

/// A random UUID (RFC 9562, version 4).
fn uid(stream: &mut Stream) -> String {
    let high = stream.bits() & !0xf000 | 0x4000;
    let low = stream.bits() & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
#[path = "deployment_tests.rs"]
mod tests;

//! A pod and the states it goes through (cluster.md 2.1).

use crate::cluster::StartupPlan;
use crate::units::SimTime;

/// A pod's number within a run, counting from 0 in order of creation. Its draws are keyed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(pub u32);

/// States in order; a pod only moves down the list (or jumps to Terminating).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodState {
    /// Created, no node yet.
    Unscheduled,
    /// On a node: sandbox, image pull, container start. No IP.
    Starting,
    /// Container runs, engine loads: a scrape target (`up` 0), not listening.
    Loading,
    /// Port open: scrapes succeed, readiness not yet seen.
    Listening,
    /// Ready condition true, not yet in the routers' view.
    Ready,
    /// Ready and in the routers' view.
    Routable,
    /// Deletion timestamp set, engine alive (preStop or draining).
    Terminating,
    /// Object gone.
    Gone,
}

impl PodState {
    /// The arrows of cluster.md 2.1, without crash loops: one step down the start, any state to Terminating, Terminating
    /// to Gone, and Unscheduled to Gone at once because no kubelet has to agree.
    pub fn may_become(self, next: PodState) -> bool {
        use PodState::{Gone, Listening, Loading, Ready, Routable, Starting, Terminating, Unscheduled};
        match (self, next) {
            (Unscheduled, Starting | Gone)
            | (Starting, Loading)
            | (Loading, Listening)
            | (Listening, Ready)
            | (Ready, Routable)
            | (Terminating, Gone) => true,
            (state, Terminating) => state < Terminating,
            _ => false,
        }
    }
    /// The word for entering this state in event files.
    pub fn event_word(self) -> &'static str {
        match self {
            PodState::Unscheduled => "created",
            PodState::Starting => "scheduled",
            PodState::Loading => "loading",
            PodState::Listening => "listening",
            PodState::Ready => "ready",
            PodState::Routable => "routable",
            PodState::Terminating => "deleted",
            PodState::Gone => "gone",
        }
    }
}

/// When each state was entered; `None` when not (yet).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodTimes {
    /// Object created.
    pub created: SimTime,
    /// Bound to a node: billing starts.
    pub scheduled: Option<SimTime>,
    /// Container running: IP published.
    pub loading: Option<SimTime>,
    /// Port open.
    pub listening: Option<SimTime>,
    /// Ready condition true.
    pub ready: Option<SimTime>,
    /// In the routers' view.
    pub routable: Option<SimTime>,
    /// Deletion timestamp.
    pub deleted: Option<SimTime>,
    /// Object gone: billing ends.
    pub gone: Option<SimTime>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Its number.
    pub id: PodId,
    /// Its name: `<deployment>-<replicaset hash>-<suffix>`, drawn from the seed and its number.
    pub name: String,
    /// Random UID string (decides ties of the deletion order).
    pub uid: String,
    /// Node number.
    pub node: Option<u32>,
    /// Where it is in its life.
    pub state: PodState,
    /// When it got there.
    pub times: PodTimes,
    /// When it will get further, drawn at creation.
    pub plan: StartupPlan,
    /// Whether the engine takes new requests (false from SIGTERM on).
    pub accepting: bool,
}

impl Pod {
    /// Counted in `status.replicas`: no deletion timestamp.
    pub fn is_active(&self) -> bool {
        self.state < PodState::Terminating
    }
    /// Condition Ready and no deletion timestamp.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, PodState::Ready | PodState::Routable)
    }
    /// Moves to `state` at `now` and writes down when.
    ///
    /// # Panics
    /// When the move is none of [`PodState::may_become`], or `now` lies before an earlier move.
    pub(crate) fn enter(&mut self, state: PodState, now: SimTime) {
        assert!(self.state.may_become(state), "pod {} cannot go from {:?} to {state:?}", self.name, self.state);
        assert!(self.times.latest() <= now, "pod {} enters {state:?} before its previous state", self.name);
        let slot = match state {
            PodState::Unscheduled => unreachable!("no move leads to Unscheduled"),
            PodState::Starting => &mut self.times.scheduled,
            PodState::Loading => &mut self.times.loading,
            PodState::Listening => &mut self.times.listening,
            PodState::Ready => &mut self.times.ready,
            PodState::Routable => &mut self.times.routable,
            PodState::Terminating => &mut self.times.deleted,
            PodState::Gone => &mut self.times.gone,
        };
        *slot = Some(now);
        match state {
            PodState::Listening => self.accepting = true,
            PodState::Gone => self.accepting = false,
            _ => {}
        }
        self.state = state;
    }
}

impl PodTimes {
    /// When the latest state so far was entered.
    pub fn latest(&self) -> SimTime {
        let later = [self.scheduled, self.loading, self.listening, self.ready, self.routable, self.deleted, self.gone];
        later.into_iter().flatten().fold(self.created, SimTime::max)
    }
}

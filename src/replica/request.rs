//! A request inside the engine.

use crate::replica::prefix::Ties;
use crate::traffic::RequestId;
use crate::units::SimTime;

/// Place of a request in the engine's slab.
pub(crate) type Slot = u32;

/// No slot: the end of a list.
pub(crate) const NO_SLOT: Slot = Slot::MAX;

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: its slot waits for the next request.
    Vacant,
    /// In the API server or the engine's input queue.
    Inbox,
    Waiting,
    /// Admitted; part or none of its text is computed.
    Prefilling,
    /// Admitted, has emitted, computes one token per step. A state, not arithmetic: the last chunk of a prefill may be one
    /// token too.
    Decoding,
    /// As decoding, but the last schedule had no tokens for it.
    Stalled,
    /// Has emitted its last token, as the scheduler foresaw. With async scheduling it keeps its place and its blocks during
    /// the schedule that was made before.
    Ended,
}

/// A request from the API server to its last token.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) id: RequestId,
    /// Order of arrival. Inbox and waiting queue are both in this order: first come, first served, and victims return to
    /// the front in their original order. By priority it decides among equals.
    pub(crate) sequence: u64,
    /// Smaller goes first; 0 for all when first come is first served.
    pub(crate) priority: i32,
    pub(crate) place: Place,
    /// At the API server.
    pub(crate) arrived: SimTime,
    /// Into the engine's input queue.
    pub(crate) entered: SimTime,
    /// Drained into the waiting queue.
    pub(crate) queued: SimTime,
    /// First scheduled; `NEVER` before.
    pub(crate) scheduled: SimTime,
    pub(crate) first_token: SimTime,
    /// Only known after an eviction; whoever decodes emitted at the last boundary.
    pub(crate) last_token: SimTime,
    pub(crate) prompt: u32,
    /// Tokens after which it stops.
    pub(crate) limit: u32,
    /// Whether `max_tokens` or `max_model_len` sets the limit.
    pub(crate) cut_by_length: bool,
    /// Whether the scheduler knows at which token it stops at the latest, and it is the one.
    pub(crate) foreseen: bool,
    /// Whether its last token is out. With async scheduling it is still here during the schedule that was made before.
    pub(crate) ended: bool,
    /// As the API server fills it in.
    pub(crate) max_tokens: u32,
    /// Tokens generated; stale while decoding.
    pub(crate) out: u32,
    /// Tokens whose keys and values exist; stale while decoding.
    pub(crate) computed: u32,
    /// Of those, the ones whose blocks the cache's table may have by the last schedule. With async scheduling a decode's
    /// token is known one step late. Stale while decoding.
    pub(crate) known: u32,
    /// KV blocks held; stale while decoding.
    pub(crate) blocks: u32,
    /// While decoding: `computed` minus the engine's step count.
    pub(crate) origin: i64,
    /// While decoding: the engine's step count when it stops.
    pub(crate) finish_step: u64,
    /// Evictions not yet counted by the metric.
    pub(crate) evictions: u32,
    /// Evictions in all that were counted.
    pub(crate) preemptions: u32,
    pub(crate) aborted: bool,
    /// Neighbours in the order of admission.
    pub(crate) older: Slot,
    pub(crate) newer: Slot,
    /// Order of admission.
    pub(crate) admission: u64,
    /// Prompt tokens that it found in the cache when it was first admitted.
    pub(crate) cached: u32,
    pub(crate) ties: Option<Box<Ties>>,
}

impl Live {
    /// What an empty slot holds; a new request has the same where it has nothing yet.
    pub(crate) const VACANT: Live = Live {
        id: RequestId(0),
        sequence: 0,
        priority: 0,
        place: Place::Vacant,
        arrived: SimTime::NEVER,
        entered: SimTime::NEVER,
        queued: SimTime::NEVER,
        scheduled: SimTime::NEVER,
        first_token: SimTime::NEVER,
        last_token: SimTime::NEVER,
        prompt: 0,
        limit: 0,
        cut_by_length: false,
        foreseen: false,
        ended: false,
        max_tokens: 0,
        out: 0,
        computed: 0,
        known: 0,
        blocks: 0,
        origin: 0,
        finish_step: 0,
        evictions: 0,
        preemptions: 0,
        aborted: false,
        older: NO_SLOT,
        newer: NO_SLOT,
        admission: 0,
        cached: 0,
        ties: None,
    };

    /// Whether a schedule has admitted it before, a victim too.
    pub(crate) fn was_scheduled(&self) -> bool {
        self.scheduled != SimTime::NEVER
    }

    /// Tokens it has: prompt and generated. Not while decoding.
    pub(crate) fn length(&self) -> u32 {
        self.prompt + self.out
    }

    /// Its place among the waiting, and from the other end among the victims.
    pub(crate) fn rank(&self) -> (i32, u64) {
        (self.priority, self.sequence)
    }
}

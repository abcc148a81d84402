//! The engine loop: drain arrivals, schedule, run one batch, hand out tokens.
//!
//! Driven by the simulator: [`Engine::next_wake`] says when something happens next, [`Engine::wake`] makes it happen. A
//! wake may cover one step or a whole run of decode-only steps; only its events tell. What an observer sees within a run
//! comes from the closed form, exactly as if each step had been taken (`tests/replica_literal` is the judge).
//!
//! A boundary between two steps is two wakes at the same instant: the first hands out the tokens of the step that ends,
//! the second drains arrivals and starts the next step ([`Engine::next_wake_starts_step`] tells them apart). In between,
//! the simulator delivers what else arrives at that instant, so that a request which arrives exactly on a boundary is
//! drained before that boundary's schedule. Where it knows that nothing does, [`Engine::wake_and_go_on`] takes both, and the
//! wakes after them, in one call.
//!
//! Async scheduling (`EngineCore.step_with_batch_queue`) makes the schedule of a step when the step before it starts. Here it
//! is made when that one ends, but with what was known when it started: later arrivals are hidden, and who has emitted its
//! last token or was left by its client in between is still there. `lag` removes them once the schedule is made; what it
//! gave them is a slot wasted, which the step takes time for.
//!
//! Not modelled: LoRA, speculative decoding. Reading order: `request`, `run`, this file, `scheduler`, `running`, `outputs`,
//! `lag`, then `free_queue` and `prefix`.

use crate::replica::free_queue::FreeQueue;
use crate::replica::metrics::{Gauges, Metrics, ProcessTimes};
use crate::replica::prefix::Ties;
use crate::replica::request::{Live, NO_SLOT, Place, Slot};
use crate::replica::run::{Decodes, Finish, Run};
use crate::replica::{EngineConfig, EngineEvent};
use crate::traffic::{Request, RequestAttributes, RequestId};
use crate::units::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

/// What the engine loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Blocked on its input queue.
    Idle,
    /// A step ended at the last boundary and the next is not scheduled yet.
    Boundary,
    /// The steps of the run are taken.
    Step,
}

/// How long nothing happens but what one engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// When the next other thing happens. Not later than now: something may happen still at this instant.
    pub until: SimTime,
    /// Unless the end of a request brings something about at its instant.
    pub but_for_answers: bool,
}

impl Quiet {
    /// It is not known what else happens.
    pub const NOT: Quiet = Quiet { until: SimTime::ZERO, but_for_answers: true };
}

/// Where a request sits while it is inside an engine, for [`Engine::abort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat(Slot);

/// One vLLM process. Plain cloneable data.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) config: Arc<EngineConfig>,
    /// Requests by slot, vacant ones among them.
    pub(super) slab: Vec<Live>,
    pub(super) vacant: Vec<Slot>,
    /// Requests whose last token is not out.
    pub(super) in_flight: usize,
    next_sequence: u64,
    /// Not drained yet, in order of entry (which is the order of arrival, because the overhead is the same for all).
    pub(super) inbox: VecDeque<Slot>,
    pub(super) waiting: VecDeque<Slot>,
    /// Requests admitted; a list in order of admission runs through the slab.
    pub(super) running: u32,
    /// The end of that list: the next victim.
    pub(super) newest: Slot,
    pub(super) next_admission: u64,
    pub(super) decodes: Decodes,
    /// At which steps decoding requests stop; entries of requests that left earlier stay until they surface.
    pub(super) finishes: BinaryHeap<Finish>,
    /// Prefill chunks of the step in progress: request and tokens, in schedule order.
    pub(super) chunks: Vec<(Slot, u32)>,
    /// Whether the schedule being made evicted somebody.
    pub(super) disturbed: bool,
    /// Whether somebody left once the schedule was made.
    pub(super) buried: bool,
    /// Requests whose client left, to be dropped at the next boundary.
    pub(super) leaving: Vec<(Slot, SimTime)>,
    /// Requests whose last token is out and whom a schedule that was made before still knows, in order of admission.
    pub(super) ended: Vec<Slot>,
    /// Of the step that ends: gaps of those who have come back from an eviction, and requests whose last token comes out in
    /// it. Empty between calls.
    pub(super) gaps: Vec<(SimDuration, u64)>,
    pub(super) finished: Vec<Slot>,
    /// The most tokens a request may have.
    model_length: u64,
    /// The most requests that run: vLLM refuses to start with a smaller token budget than `max_num_seqs`.
    pub(super) most_running: u32,
    /// [`EngineConfig::is_plain`].
    pub(super) is_plain: bool,
    pub(super) phase: Phase,
    /// The run in progress, or the last one. More than one step only when all running requests decode.
    pub(super) run: Run,
    /// When a request enters that came during the run in progress, and the boundary of that run which drains it; `NEVER`
    /// when none came.
    pub(super) arrival: (SimTime, SimTime),
    /// Start of the last step.
    pub(super) step_start: SimTime,
    /// End of the last step.
    pub(super) last_boundary: SimTime,
    /// As of the start of the run in progress, prefill chunks included, decodes not.
    pub(super) free_blocks: u32,
    /// The fewest free blocks that any completed step left.
    pub(super) fewest_free: u32,
    /// The order of the free blocks; unused without prefix caching.
    pub(super) queue: FreeQueue,
    /// Blocks of the decodes for the step in progress that left the queue and still count as free above.
    pub(super) popped: u64,
    /// Running requests whose output is named for others, how many write under each id, and how many ids have several.
    pub(super) writers: Vec<Slot>,
    pub(super) written: FxHashMap<u64, u32>,
    pub(super) contended: u32,
    pub(super) metrics: Metrics,
    pub(super) published: Gauges,
    /// Prompt tokens looked up since the last step ended; counted when it ends.
    pub(super) unpublished_queries: u64,
    pub(super) unpublished_hits: u64,
    pub(super) evictions: u64,
    pub(super) busy_since: SimTime,
    pub(super) busy_before: SimDuration,
}

impl Engine {
    /// A fresh, idle engine.
    ///
    /// # Panics
    /// When a size in `config` is 0: nothing could ever run.
    pub fn new(config: Arc<EngineConfig>) -> Self {
        assert!(config.kv_blocks > 0 && config.block_size > 0, "an engine needs KV blocks");
        assert!(config.max_num_seqs > 0 && config.max_num_batched_tokens > 0, "an engine needs room for one request");
        Engine {
            slab: Vec::new(),
            vacant: Vec::new(),
            in_flight: 0,
            next_sequence: 0,
            inbox: VecDeque::new(),
            waiting: VecDeque::new(),
            running: 0,
            newest: NO_SLOT,
            next_admission: 0,
            decodes: Decodes::new(config.block_size),
            finishes: BinaryHeap::new(),
            chunks: Vec::new(),
            disturbed: false,
            buried: false,
            leaving: Vec::new(),
            ended: Vec::new(),
            gaps: Vec::new(),
            finished: Vec::new(),
            phase: Phase::Idle,
            model_length: model_length(&config),
            most_running: config.max_num_seqs.min(config.max_num_batched_tokens),
            is_plain: config.is_plain(),
            run: Run::new(SimTime::ZERO, 0, 0, 0, 1),
            arrival: NO_ARRIVAL,
            step_start: SimTime::ZERO,
            last_boundary: SimTime::ZERO,
            free_blocks: config.kv_blocks,
            fewest_free: config.kv_blocks,
            queue: FreeQueue::new(config.kv_blocks),
            popped: 0,
            writers: Vec::new(),
            written: FxHashMap::default(),
            contended: 0,
            metrics: Metrics::new(&config),
            published: Gauges::default(),
            unpublished_queries: 0,
            unpublished_hits: 0,
            evictions: 0,
            busy_since: SimTime::ZERO,
            busy_before: SimDuration::ZERO,
            config,
        }
    }

    /// The same engine in a process with these times.
    #[must_use]
    pub fn in_process(mut self, times: ProcessTimes) -> Self {
        self.metrics.set_times(times);
        self
    }

    /// The same engine where nobody ever looks at any series of [`crate::replica::exposition`] but those that are `true` in
    /// `looked_at`: a metric without one of them shows zeros, and a histogram is not counted. At first all are looked at.
    #[must_use]
    pub fn looked_at(mut self, looked_at: &[bool]) -> Self {
        self.metrics.count_only(looked_at);
        self
    }

    /// The API server refuses a request that [`Self::accepts`] does not take.
    pub fn refuse(&mut self, now: SimTime) {
        self.metrics.answer(now, now, true);
    }

    /// Whether a request of this shape can ever run here; otherwise the API server answers 400 (vllm.md 1.6):
    /// its prompt is empty, or leaves no room for a token within `max_model_len` or within the whole cache.
    pub fn accepts(&self, request: &Request) -> bool {
        request.prompt_tokens > 0 && u64::from(request.prompt_tokens) < self.model_length
    }

    /// [`Self::accepts`] of a request with attributes: its `max_tokens` must have room within `max_model_len` as well, however
    /// short the answer will be.
    pub fn accepts_with(&self, request: &Request, attributes: &RequestAttributes) -> bool {
        let most = u64::from(request.prompt_tokens) + u64::from(attributes.max_tokens.unwrap_or(0));
        self.accepts(request) && most <= u64::from(self.config.max_model_len)
    }

    /// A request reaches the API server at `now`; it enters the engine after the request overhead.
    ///
    /// # Panics
    /// When the engine does not accept it.
    pub fn submit(&mut self, now: SimTime, request: Request) -> Seat {
        self.submit_with(now, request, RequestAttributes::default())
    }

    /// [`Self::submit`] of a request that shares text with others or has a priority.
    ///
    /// # Panics
    /// As [`Self::submit`], and when its text has ids that stand for no tokens.
    pub fn submit_with(&mut self, now: SimTime, request: Request, attributes: RequestAttributes) -> Seat {
        assert!(self.accepts(&request), "a request of {} prompt tokens cannot run here", request.prompt_tokens);
        if self.in_flight == 0 {
            self.busy_since = now;
        }
        self.in_flight += 1;
        let wanted = request.output.reveal_to_engine();
        let room = self.model_length - u64::from(request.prompt_tokens);
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let most = attributes.max_tokens.map_or(room, |own| own.clamp(1, room));
        let limit = wanted.min(most);
        // A client that names no limit gets what the model's length leaves (`get_max_tokens`).
        let by_model = self.config.max_model_len.saturating_sub(request.prompt_tokens);
        let max_tokens = attributes.max_tokens.map_or(by_model, |own| own.clamp(1, by_model));
        let entered = now.saturating_add(self.config.request_overhead);
        let (by_priority, priority) = (self.config.scheduling.by_priority, attributes.priority);
        let ties = self.ties_of(attributes);
        let slot = self.free_slot();
        self.slab[slot as usize] = Live {
            id: request.id,
            sequence: self.next_sequence,
            priority: if by_priority { priority } else { 0 },
            place: Place::Inbox,
            arrived: now,
            entered,
            queued: entered,
            prompt: request.prompt_tokens,
            limit,
            cut_by_length: limit < wanted || limit == most && self.config.length_is_checked_first(),
            foreseen: limit == most,
            max_tokens,
            ties,
            ..Live::VACANT
        };
        self.next_sequence += 1;
        // If others are ahead, the run already ends for them, or they are blocked and so is this one; unless it may
        // overtake them.
        if self.phase == Phase::Step && self.run.steps() > 1 && (by_priority || self.inbox.is_empty()) {
            self.cut_for_arrival(entered);
        }
        self.inbox.push_back(slot);
        Seat(slot)
    }

    /// What ties a new request to the cache.
    #[inline]
    fn ties_of(&self, attributes: RequestAttributes) -> Option<Box<Ties>> {
        let scheduling = &self.config.scheduling;
        let may_have = scheduling.prefix_caching && (scheduling.by_priority || attributes.text.is_some());
        if may_have { self.ties_of_text(attributes) } else { None }
    }

    /// Its shared text; by priority all its blocks, because a victim may then have been scheduled already.
    #[inline(never)]
    fn ties_of_text(&self, attributes: RequestAttributes) -> Option<Box<Ties>> {
        let text = attributes.text;
        assert!(text.as_ref().is_none_or(|text| text.tokens_per_id > 0), "an id of a text stands for tokens");
        let shared = text.as_ref().map_or(0, |text| text.covered() / u64::from(self.config.block_size));
        if self.config.scheduling.by_priority {
            return Some(Box::new(Ties::new(text, u32::MAX)));
        }
        // A text shorter than a block is nobody's prefix.
        (shared > 0).then(|| Box::new(Ties::new(text, u32::try_from(shared).unwrap_or(u32::MAX))))
    }

    /// The client of request `id`, which got `seat` here, left: the request goes away at the next step boundary. No effect
    /// when it is not here any more.
    ///
    /// Its tokens so far stay counted; the step in progress gives it none. It leaves no sample in the histograms of
    /// finished requests (vLLM's output processor drops aborted requests before statistics are taken).
    pub fn abort(&mut self, now: SimTime, seat: Seat, id: RequestId) {
        let Seat(slot) = seat;
        let Some(live) = self.slab.get(slot as usize) else { return };
        // Another may sit there now.
        if live.place == Place::Vacant || live.ended || live.id != id {
            return;
        }
        if !self.live(slot).aborted {
            // The middleware sees the client leave.
            self.metrics.answer(self.live(slot).arrived, now, false);
        }
        if self.live(slot).place == Place::Inbox && !self.is_drained(slot, now) {
            // It never reached the scheduler, so nothing there can tell.
            let sequence = self.live(slot).sequence;
            let position = self.inbox.binary_search_by_key(&sequence, |other| self.live(*other).sequence);
            self.inbox.remove(position.expect("who is in the inbox is in the queue"));
            self.remove(slot, now);
        } else if !self.live(slot).aborted {
            self.live_mut(slot).aborted = true;
            self.leaving.push((slot, now));
            if self.phase == Phase::Step {
                self.run.cut(self.run.first_boundary_from(now), 0);
            }
        }
    }

    /// Whether a request of the inbox passed a boundary within the run in progress, which drained it.
    fn is_drained(&self, slot: Slot, now: SimTime) -> bool {
        if self.phase != Phase::Step {
            return false;
        }
        let boundaries = self.run.first_boundary_from(now).0 - 1;
        boundaries > 0 && self.live(slot).entered <= self.run.boundary(boundaries)
    }

    /// When [`Self::wake`] must be called next; `None` while idle. May move earlier after `submit` or `abort`. May be the
    /// instant of the last wake: see the module's note on boundaries.
    pub fn next_wake(&self) -> Option<SimTime> {
        match self.phase {
            Phase::Step => Some(self.run.ends()),
            Phase::Boundary => Some(self.last_boundary),
            Phase::Idle => self.inbox.front().map(|slot| self.live(*slot).entered),
        }
    }

    /// Whether the next wake starts a step rather than ending one: the simulator orders such a wake after the arrivals
    /// of the same instant, the other kind before them.
    pub fn next_wake_starts_step(&self) -> bool {
        self.phase != Phase::Step
    }

    /// Completes what ends at `now` and plans on; appends what happened to `events`, in time order. No effect before
    /// the next wake.
    ///
    /// # Panics
    /// When a wake was missed.
    pub fn wake(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        self.wake_and_go_on(now, Quiet::NOT, events);
    }

    /// [`Self::wake`], and the wakes after it as long as it is `quiet`. Stops at the instant at which a request ends or the last
    /// one is gone, because that may bring something about. Returns the instant of the last wake.
    ///
    /// # Panics
    /// When a wake was missed.
    pub fn wake_and_go_on(&mut self, mut now: SimTime, quiet: Quiet, events: &mut Vec<EngineEvent>) -> SimTime {
        match self.next_wake() {
            Some(next) if next == now => {}
            Some(next) => {
                assert!(next > now, "the wake at {next} was missed, it is {now}");
                return now;
            }
            None => return now,
        }
        loop {
            let mut answered = false;
            if self.phase == Phase::Step {
                answered = self.complete_run(now, events);
                // A request that entered during the step waits in the inbox: the loop goes on at once.
                let goes_on = self.running > 0
                    || !self.waiting.is_empty()
                    || self.inbox.front().is_some_and(|slot| self.live(*slot).entered <= now);
                self.phase = if goes_on { Phase::Boundary } else { Phase::Idle };
                let stops = quiet.until <= now || !goes_on || answered && quiet.but_for_answers;
                // With async scheduling the schedule that follows publishes in its place.
                if stops || !self.config.async_scheduling {
                    self.publish(0, self.free_blocks);
                }
                if stops {
                    return now;
                }
            }
            self.start_step(now);
            let stops = answered || self.in_flight == 0;
            if stops || self.phase != Phase::Step || self.run.ends() >= quiet.until {
                return now;
            }
            now = self.run.ends();
        }
    }

    /// Appends what happened until `now`, which is at or before the next wake, without waiting for it: the events of the
    /// steps of a run that have ended already. Nothing else changes. For the end of the run and for a process that is
    /// killed.
    pub fn catch_up(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        let Some(ended) = self.ended_steps(now) else { return };
        self.published = self.gauges_at(now);
        self.last_boundary = self.run.boundary(ended);
        self.take_steps(ended, events);
        self.run = self.run.after(ended);
    }
}

/// [`Engine::arrival`] of a run during which nobody came.
pub(super) const NO_ARRIVAL: (SimTime, SimTime) = (SimTime::NEVER, SimTime::NEVER);

/// The most tokens a request may have. vLLM refuses to start when `max_model_len` does not fit into the cache, so the cache
/// is a bound as well: without it a request could outgrow the whole pool and wait for ever.
fn model_length(config: &EngineConfig) -> u64 {
    let cache = u64::from(config.kv_blocks) * u64::from(config.block_size);
    let whole = u64::from(config.max_model_len).min(cache);
    // Without chunks vLLM wants `max_num_batched_tokens` to be at least `max_model_len`.
    let step = u64::from(config.max_num_batched_tokens);
    if config.scheduling.chunked_prefill { whole } else { whole.min(step) }
}

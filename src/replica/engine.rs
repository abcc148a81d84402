//! The engine loop: drain arrivals, schedule, run one batch, hand out tokens.
//!
//! Driven by the simulator: [`Engine::next_wake`] says when something happens next, [`Engine::wake`] makes it happen. A
//! wake may cover one step or a whole run of decode-only steps; only its events tell. What an observer sees within a run
//! comes from the closed form, exactly as if each step had been taken (`tests/replica_literal` is the judge).
//!
//! A boundary between two steps is two wakes at the same instant: the first hands out the tokens of the step that ends,
//! the second drains arrivals and starts the next step ([`Engine::next_wake_starts_step`] tells them apart). In between,
//! the simulator delivers what else arrives at that instant, so that a request which arrives exactly on a boundary is
//! drained before that boundary's schedule.
//!
//! Async scheduling (`EngineCore.step_with_batch_queue`) makes the schedule of a step when the step before it starts. Here it
//! is made when that one ends, but with what was known when it started: later arrivals are hidden, and who has emitted its
//! last token or was left by its client in between is still there. `lag` removes them once the schedule is made; what it
//! gave them is a slot wasted, which the step takes time for.
//!
//! Not modelled: LoRA, speculative decoding. Reading order: `request`, `run`, this file, `scheduler`, `running`, `outputs`,
//! `lag`, then `free_queue` and `prefix`.

use crate::replica::EngineConfig;
use crate::replica::free_queue::FreeQueue;
use crate::replica::metrics::{Gauges, Metrics, ProcessTimes};
use crate::replica::prefix::Ties;
use crate::replica::request::{Live, NO_SLOT, Place, Slot};
use crate::replica::run::{Decodes, Finish, Run};
use crate::traffic::{Request, RequestAttributes, RequestId};
use crate::units::{SimDuration, SimTime};
use rustc_hash::FxHashMap;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

/// What an engine tells the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineEvent {
    /// The first token of a request left the engine.
    FirstToken {
        /// Which request.
        id: RequestId,
        /// When.
        at: SimTime,
    },
    /// `count` requests emitted a token `gap` after their previous one, in a step that ended at `at`.
    TokenGaps {
        /// End of the step.
        at: SimTime,
        /// Time since the previous token.
        gap: SimDuration,
        /// How many requests.
        count: u64,
    },
    /// As many [`EngineEvent::TokenGaps`] as there are `steps`: step `j` of a run ends one gap of `first + growth j` after the
    /// step before it, and in each the same `count` requests emit a token ([`EngineEvent::expanded`] writes it out).
    TokenGapRun {
        /// Start of the first step.
        start: SimTime,
        /// Length of the first step.
        first: SimDuration,
        /// By how much each step is longer than the one before.
        growth: SimDuration,
        /// How many steps.
        steps: u64,
        /// How many requests.
        count: u64,
    },
    /// A request is done.
    Finished(Finished),
}

impl EngineEvent {
    /// A [`EngineEvent::TokenGapRun`] as its single [`EngineEvent::TokenGaps`]; any other event as itself.
    pub fn expanded(self) -> Vec<EngineEvent> {
        let EngineEvent::TokenGapRun { start, first, growth, steps, count } = self else { return vec![self] };
        let (mut at, mut gap) = (start, first);
        let mut single = Vec::new();
        for _ in 0..steps {
            at += gap;
            single.push(EngineEvent::TokenGaps { at, gap, count });
            gap += growth;
        }
        single
    }
}

/// A finished request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub id: RequestId,
    /// When its last token left the engine.
    pub at: SimTime,
    /// When it arrived at the API server.
    pub arrived: SimTime,
    /// When it was first scheduled, as vLLM's SCHEDULED event has it: with async scheduling that may be one step before
    /// its first chunk runs.
    pub scheduled: SimTime,
    /// When its first token left.
    pub first_token: SimTime,
    /// Prompt tokens.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub generated_tokens: u32,
}

/// What the engine loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Blocked on its input queue.
    Idle,
    /// A step ended at this instant and the next is not scheduled yet.
    Boundary(SimTime),
    /// These steps run. More than one only when all running requests decode.
    Step(Run),
}

/// One vLLM process. Plain cloneable data.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) config: Arc<EngineConfig>,
    /// Requests by slot, vacant ones among them.
    pub(super) slab: Vec<Live>,
    vacant: Vec<Slot>,
    by_id: FxHashMap<RequestId, Slot>,
    next_sequence: u64,
    /// Not drained yet, in order of entry (which is the order of arrival, because the overhead is the same for all).
    pub(super) inbox: VecDeque<Slot>,
    pub(super) waiting: VecDeque<Slot>,
    /// Requests admitted; a list in order of admission runs through the slab.
    pub(super) running: u32,
    /// The end of that list: the next victim.
    pub(super) newest: Slot,
    next_admission: u64,
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
    /// Of the step that ends: gaps that differ, and requests whose last token comes out in it. Empty between calls.
    pub(super) gaps: Vec<(SimDuration, u64)>,
    pub(super) finished: Vec<Slot>,
    /// The most tokens a request may have.
    model_length: u64,
    pub(super) phase: Phase,
    /// When a request enters that came during the run in progress, and the boundary of that run which drains it.
    pub(super) arrival: Option<(SimTime, SimTime)>,
    /// Start of the last step.
    pub(super) step_start: SimTime,
    /// End of the last step.
    pub(super) last_boundary: SimTime,
    /// As of the start of the run in progress, prefill chunks included, decodes not.
    pub(super) free_blocks: u32,
    pub(super) peak_used_blocks: u32,
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
    busy_since: SimTime,
    busy_before: SimDuration,
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
            by_id: FxHashMap::default(),
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
            arrival: None,
            step_start: SimTime::ZERO,
            last_boundary: SimTime::ZERO,
            free_blocks: config.kv_blocks,
            peak_used_blocks: 0,
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
    /// `looked_at`: a histogram without one of them is not counted and shows zeros. At first all are looked at.
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
    /// When the engine does not accept it, or when a request with this id is already inside.
    pub fn submit(&mut self, now: SimTime, request: Request) {
        self.submit_with(now, request, RequestAttributes::default());
    }

    /// [`Self::submit`] of a request that shares text with others or has a priority.
    ///
    /// # Panics
    /// As [`Self::submit`], and when its text has ids that stand for no tokens.
    pub fn submit_with(&mut self, now: SimTime, request: Request, attributes: RequestAttributes) {
        assert!(self.accepts(&request), "a request of {} prompt tokens cannot run here", request.prompt_tokens);
        if self.by_id.is_empty() {
            self.busy_since = now;
        }
        let wanted = request.output.reveal_to_engine();
        let room = self.model_length - u64::from(request.prompt_tokens);
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let most = attributes.max_tokens.map_or(room, |own| own.clamp(1, room));
        let limit = wanted.min(most);
        // A client that names no limit gets what the model's length leaves (`get_max_tokens`).
        let by_model = self.config.max_model_len.saturating_sub(request.prompt_tokens);
        let max_tokens = attributes.max_tokens.map_or(by_model, |own| own.clamp(1, by_model));
        let entered = now.saturating_add(self.config.request_overhead);
        let by_priority = self.config.scheduling.by_priority;
        let live = Live {
            id: request.id,
            sequence: self.next_sequence,
            priority: if by_priority { attributes.priority } else { 0 },
            place: Place::Inbox,
            arrived: now,
            entered,
            queued: entered,
            scheduled: SimTime::NEVER,
            first_token: SimTime::NEVER,
            last_token: SimTime::NEVER,
            prompt: request.prompt_tokens,
            limit,
            cut_by_length: limit < wanted,
            foreseen: limit == most,
            ended: false,
            max_tokens,
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
            ties: self.ties_of(attributes),
        };
        self.next_sequence += 1;
        let slot = self.occupy(live);
        assert!(self.by_id.insert(request.id, slot).is_none(), "request {} is already inside", request.id.0);
        // If others are ahead, the run already ends for them, or they are blocked and so is this one; unless it may
        // overtake them.
        if let Phase::Step(mut run) = self.phase
            && run.steps() > 1
            && (by_priority || self.inbox.is_empty())
        {
            self.cut_for_arrival(&mut run, entered);
            self.phase = Phase::Step(run);
        }
        self.inbox.push_back(slot);
    }

    /// What ties a new request to the cache: its shared text; by priority all its blocks, because a victim may then have
    /// been scheduled already.
    fn ties_of(&self, attributes: RequestAttributes) -> Option<Box<Ties>> {
        let scheduling = &self.config.scheduling;
        let text = attributes.text.filter(|_| scheduling.prefix_caching);
        assert!(text.as_ref().is_none_or(|text| text.tokens_per_id > 0), "an id of a text stands for tokens");
        let shared = text.as_ref().map_or(0, |text| text.covered() / u64::from(self.config.block_size));
        if scheduling.prefix_caching && scheduling.by_priority {
            return Some(Box::new(Ties::new(text, u32::MAX)));
        }
        // A text shorter than a block is nobody's prefix.
        (shared > 0).then(|| Box::new(Ties::new(text, u32::try_from(shared).unwrap_or(u32::MAX))))
    }

    /// The client left: the request goes away at the next step boundary. No effect when it is not here.
    ///
    /// Its tokens so far stay counted; the step in progress gives it none. It leaves no sample in the histograms of
    /// finished requests (vLLM's output processor drops aborted requests before statistics are taken).
    pub fn abort(&mut self, now: SimTime, id: RequestId) {
        let Some(&slot) = self.by_id.get(&id) else { return };
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
            if let Phase::Step(run) = &mut self.phase {
                run.cut(run.first_boundary_from(now));
            }
        }
    }

    /// Whether a request of the inbox passed a boundary within the run in progress, which drained it.
    fn is_drained(&self, slot: Slot, now: SimTime) -> bool {
        let Phase::Step(run) = self.phase else { return false };
        let boundaries = run.first_boundary_from(now) - 1;
        boundaries > 0 && self.live(slot).entered <= run.boundary(boundaries)
    }

    /// When [`Self::wake`] must be called next; `None` while idle. May move earlier after `submit` or `abort`. May be the
    /// instant of the last wake: see the module's note on boundaries.
    pub fn next_wake(&self) -> Option<SimTime> {
        match self.phase {
            Phase::Step(run) => Some(run.ends()),
            Phase::Boundary(at) => Some(at),
            Phase::Idle => self.inbox.front().map(|slot| self.live(*slot).entered),
        }
    }

    /// Whether the next wake starts a step rather than ending one: the simulator orders such a wake after the arrivals
    /// of the same instant, the other kind before them.
    pub fn next_wake_starts_step(&self) -> bool {
        !matches!(self.phase, Phase::Step(_))
    }

    /// Completes what ends at `now` and plans on; appends what happened to `events`, in time order. No effect before
    /// the next wake.
    ///
    /// # Panics
    /// When a wake was missed.
    pub fn wake(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        let Some(next) = self.next_wake().filter(|next| *next <= now) else { return };
        assert!(next == now, "the wake at {next} was missed, it is {now}");
        if let Phase::Step(run) = self.phase {
            self.complete_run(&run, now, events);
            // A request that entered during the step waits in the inbox: the loop goes on at once.
            let entered = self.inbox.front().is_some_and(|slot| self.live(*slot).entered <= now);
            let empty = self.running == 0 && self.waiting.is_empty() && !entered;
            self.phase = if empty { Phase::Idle } else { Phase::Boundary(now) };
        } else {
            let was_idle = matches!(self.phase, Phase::Idle);
            self.start_step(now, was_idle);
        }
    }

    /// Appends what happened until `now`, which is at or before the next wake, without waiting for it: the events of the
    /// steps of a run that have ended already. Nothing else changes. For the end of the run and for a process that is
    /// killed.
    pub fn catch_up(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        let Some((run, ended)) = self.run_part(now) else { return };
        self.published = self.gauges_at(now);
        self.last_boundary = run.boundary(ended);
        self.take_steps(&run, ended, events);
        self.phase = Phase::Step(run.after(ended));
    }

    /// Writes the value of every series of [`crate::replica::exposition`] as `/metrics` shows it at `now`, which is at or
    /// before the next wake. The row is cleared first.
    pub fn expose(&self, now: SimTime, row: &mut Vec<f64>) {
        let gauges = self.gauges_at(now);
        let part = self.run_part(now);
        let run = part.as_ref().map(|(run, steps)| (run, *steps, self.decodes.count));
        self.metrics.write(gauges, self.usage(gauges), run, row);
    }

    /// Largest KV usage 0..1 of any completed step so far.
    pub fn peak_kv_usage(&self) -> f64 {
        f64::from(self.peak_used_blocks) / f64::from(self.config.kv_blocks)
    }

    /// Requests inside, in any state (what a router that counts in-flight requests sees).
    pub fn in_flight(&self) -> usize {
        self.by_id.len()
    }

    /// (running, waiting, KV usage 0..1) as the gauges show at `now`: the state after the last completed step.
    pub fn gauges(&self, now: SimTime) -> (u32, u32, f64) {
        let gauges = self.gauges_at(now);
        (gauges.running, gauges.waiting, self.usage(gauges))
    }

    fn usage(&self, gauges: Gauges) -> f64 {
        f64::from(gauges.used_blocks) / f64::from(self.config.kv_blocks)
    }

    /// The run in progress and how many of its steps have ended, when any has.
    fn run_part(&self, now: SimTime) -> Option<(Run, u64)> {
        debug_assert!(self.next_wake().is_none_or(|next| now <= next), "observed at {now}, after a missed wake");
        let Phase::Step(run) = self.phase else { return None };
        // The last step has not ended before its wake.
        let ended = if run.steps() > 1 { run.ended_by(now).min(run.steps() - 1) } else { 0 };
        Some((run, ended)).filter(|_| ended > 0)
    }

    fn gauges_at(&self, now: SimTime) -> Gauges {
        let Some((run, ended)) = self.run_part(now) else { return self.published };
        // Drained when the last step that ended began. At the run's own start the inbox was drained already.
        let drained = if ended > 1 {
            let started = run.boundary(ended - 1);
            self.inbox.partition_point(|slot| self.live(*slot).entered <= started)
        } else {
            0
        };
        // With async scheduling the step in progress had its blocks when the last one reported.
        let allocated = self.decodes.blocks_for(ended + u64::from(self.config.async_scheduling));
        let held = u64::from(self.config.kv_blocks - self.free_blocks) + allocated;
        Gauges {
            running: self.running,
            waiting: u32::try_from(self.waiting.len() + drained).unwrap_or(u32::MAX),
            used_blocks: u32::try_from(held).expect("a run is planned within the free blocks"),
        }
    }

    /// Ids of the requests inside, in order of arrival; after a kill they are the ones that failed.
    pub fn request_ids(&self) -> Vec<RequestId> {
        let mut inside: Vec<(u64, RequestId)> =
            self.inside().filter(|live| !live.ended).map(|live| (live.sequence, live.id)).collect();
        inside.sort_unstable();
        inside.into_iter().map(|(_, id)| id).collect()
    }

    /// Time up to `now` during which at least one request was inside.
    pub fn busy_time(&self, now: SimTime) -> SimDuration {
        if self.by_id.is_empty() { self.busy_before } else { self.busy_before + now.saturating_since(self.busy_since) }
    }

    /// Tokens generated so far (all, also of requests that later failed), and preemptions so far (at eviction, where the
    /// metric waits for the victim's next token; with async scheduling when the step has ended during which the scheduler
    /// decided it).
    pub fn totals(&self, now: SimTime) -> (u64, u64) {
        let in_run = self.run_part(now).map_or(0, |(_, steps)| steps * self.decodes.count);
        (self.metrics.generation_tokens + in_run, self.evictions)
    }

    /// The request of a slot that a queue names.
    #[inline]
    pub(super) fn live(&self, slot: Slot) -> &Live {
        let live = &self.slab[slot as usize];
        debug_assert!(live.place != Place::Vacant, "queues hold occupied slots only");
        live
    }

    #[inline]
    pub(super) fn live_mut(&mut self, slot: Slot) -> &mut Live {
        let live = &mut self.slab[slot as usize];
        debug_assert!(live.place != Place::Vacant, "queues hold occupied slots only");
        live
    }

    /// Everybody who has a slot.
    pub(super) fn inside(&self) -> impl Iterator<Item = &Live> {
        self.slab.iter().filter(|live| live.place != Place::Vacant)
    }

    fn occupy(&mut self, live: Live) -> Slot {
        if let Some(slot) = self.vacant.pop() {
            self.slab[slot as usize] = live;
            return slot;
        }
        self.slab.push(live);
        Slot::try_from(self.slab.len() - 1).expect("fewer than four thousand million requests are inside")
    }

    /// Forgets a request that is in no queue any more and has no blocks.
    pub(super) fn remove(&mut self, slot: Slot, now: SimTime) {
        self.leave(slot, now);
        self.vacate(slot);
    }

    /// Whoever asks is told from now on that it is not here.
    pub(super) fn leave(&mut self, slot: Slot, now: SimTime) {
        let id = self.live(slot).id;
        self.by_id.remove(&id);
        if self.by_id.is_empty() {
            self.busy_before += now.saturating_since(self.busy_since);
        }
    }

    pub(super) fn vacate(&mut self, slot: Slot) {
        let live = self.live_mut(slot);
        live.place = Place::Vacant;
        live.ties = None;
        self.vacant.push(slot);
    }

    /// Appends a request to the order of admission.
    pub(super) fn link(&mut self, slot: Slot) {
        let (older, admission) = (self.newest, self.next_admission);
        let live = self.live_mut(slot);
        (live.older, live.newer, live.admission) = (older, NO_SLOT, admission);
        if older != NO_SLOT {
            self.live_mut(older).newer = slot;
        }
        self.newest = slot;
        self.next_admission += 1;
        self.running += 1;
        if self.live(slot).ties.is_some() {
            self.note_writer(slot, true);
        }
    }

    /// Takes a request out of the order of admission.
    pub(super) fn unlink(&mut self, slot: Slot) {
        let (older, newer) = (self.live(slot).older, self.live(slot).newer);
        if older != NO_SLOT {
            self.live_mut(older).newer = newer;
        }
        if newer == NO_SLOT {
            self.newest = older;
        } else {
            self.live_mut(newer).older = older;
        }
        self.running -= 1;
        if self.live(slot).ties.is_some() {
            self.note_writer(slot, false);
        }
    }
}

/// The most tokens a request may have. vLLM refuses to start when `max_model_len` does not fit into the cache, so the cache
/// is a bound as well: without it a request could outgrow the whole pool and wait for ever.
fn model_length(config: &EngineConfig) -> u64 {
    let cache = u64::from(config.kv_blocks) * u64::from(config.block_size);
    let whole = u64::from(config.max_model_len).min(cache);
    // Without chunks vLLM wants `max_num_batched_tokens` to be at least `max_model_len`.
    let step = u64::from(config.max_num_batched_tokens);
    if config.scheduling.chunked_prefill { whole } else { whole.min(step) }
}

//! The step-by-step engine: the judge of the one in `src/replica`, which takes whole runs of steps at once.
//!
//! One wake per step end and one per schedule, a loop over all running requests in each, no closed form anywhere, and
//! samples kept one by one. Only public types of the crate are used.

mod cache;
mod metrics;
mod request;
mod scheduler;

use cache::Cache;
use kedasim::replica::{EngineConfig, EngineEvent, Quiet};
use kedasim::traffic::{Request, RequestAttributes, RequestId};
use kedasim::units::{SimDuration, SimTime};
use metrics::{Gauges, Metrics};
use request::{Live, Slot};
use scheduler::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What the engine loop is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Blocked on its input queue.
    Idle,
    /// A step ended at this instant and the next is not scheduled yet.
    Boundary(SimTime),
    /// A step runs until then.
    Step { ends: SimTime },
}

/// One vLLM process.
pub struct LiteralEngine {
    config: Arc<EngineConfig>,
    slab: Vec<Option<Live>>,
    vacant: Vec<Slot>,
    by_id: HashMap<RequestId, Slot>,
    next_sequence: u64,
    /// Not drained yet, in order of entry (which is the order of arrival, because the overhead is the same for all).
    inbox: VecDeque<Slot>,
    waiting: VecDeque<Slot>,
    /// In order of admission.
    running: Vec<Slot>,
    /// The step in progress, in schedule order.
    batch: Vec<Entry>,
    /// With async scheduling, the step after it.
    next: Vec<Entry>,
    /// Requests whose client left, to be dropped at the next boundary.
    leaving: Vec<(Slot, SimTime)>,
    phase: Phase,
    cache: Cache,
    metrics: Metrics,
    published: Gauges,
    /// Prompt tokens looked up since the last step ended; counted when it ends.
    unpublished_queries: u64,
    unpublished_hits: u64,
    evictions: u64,
    /// Those before the schedule that was made ahead: its own count when the step before it has ended.
    evictions_told: u64,
    busy_since: SimTime,
    busy_before: SimDuration,
}

impl LiteralEngine {
    /// A fresh, idle engine.
    ///
    /// # Panics
    /// When a size in `config` is 0: nothing could ever run.
    pub fn new(config: Arc<EngineConfig>) -> Self {
        assert!(config.kv_blocks > 0 && config.block_size > 0, "an engine needs KV blocks");
        assert!(config.max_num_seqs > 0 && config.max_num_batched_tokens > 0, "an engine needs room for one request");
        LiteralEngine {
            slab: Vec::new(),
            vacant: Vec::new(),
            by_id: HashMap::new(),
            next_sequence: 0,
            inbox: VecDeque::new(),
            waiting: VecDeque::new(),
            running: Vec::new(),
            batch: Vec::new(),
            next: Vec::new(),
            leaving: Vec::new(),
            phase: Phase::Idle,
            cache: Cache::new(config.kv_blocks, config.vllm_version >= (0, 24)),
            metrics: Metrics::default(),
            published: Gauges::default(),
            unpublished_queries: 0,
            unpublished_hits: 0,
            evictions: 0,
            evictions_told: 0,
            busy_since: SimTime::ZERO,
            busy_before: SimDuration::ZERO,
            config,
        }
    }

    /// Whether a request of this shape can ever run here; otherwise the API server answers 400 (vllm.md 1.6):
    /// its prompt is empty, or leaves no room for a token within `max_model_len` or within the whole cache.
    pub fn accepts(&self, request: &Request) -> bool {
        request.prompt_tokens > 0 && u64::from(request.prompt_tokens) < self.model_length()
    }

    /// A request reaches the API server at `now`; it enters the engine after the request overhead.
    ///
    /// # Panics
    /// When the engine does not accept it, or when a request with this id is already inside.
    pub fn submit_with(&mut self, now: SimTime, request: Request, attributes: RequestAttributes) {
        assert!(self.accepts(&request), "a request of {} prompt tokens cannot run here", request.prompt_tokens);
        if self.by_id.is_empty() {
            self.busy_since = now;
        }
        let room = u32::try_from(self.model_length() - u64::from(request.prompt_tokens)).unwrap_or(u32::MAX);
        let most = attributes.max_tokens.map_or(room, |own| own.clamp(1, room));
        let entered = now.saturating_add(self.config.request_overhead);
        let live = Live {
            id: request.id,
            sequence: self.next_sequence,
            arrived: now,
            entered,
            queued: entered,
            scheduled: None,
            first_token: SimTime::NEVER,
            last_token: SimTime::NEVER,
            prompt: request.prompt_tokens,
            wanted: request.output.reveal_to_engine(),
            most,
            out: 0,
            placeholders: 0,
            computed: 0,
            blocks: Vec::new(),
            findable: 0,
            attributes,
            cached: 0,
            decoding: false,
            evictions: 0,
            preemptions: 0,
            aborted: false,
        };
        self.next_sequence += 1;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slab.push(None);
            Slot::try_from(self.slab.len() - 1).expect("fewer than four thousand million requests are inside")
        });
        self.slab[slot as usize] = Some(live);
        assert!(self.by_id.insert(request.id, slot).is_none(), "request {} is already inside", request.id.0);
        self.inbox.push_back(slot);
    }

    /// The client left: the request goes away at the next step boundary. No effect when it is not here.
    ///
    /// Its tokens so far stay counted; the step in progress gives it none. It leaves no sample in the histograms of
    /// finished requests (vLLM's output processor drops aborted requests before statistics are taken).
    pub fn abort(&mut self, now: SimTime, id: RequestId) {
        let Some(&slot) = self.by_id.get(&id) else { return };
        if let Some(position) = self.inbox.iter().position(|other| *other == slot) {
            // It never reached the scheduler, so nothing there can tell.
            self.inbox.remove(position);
            self.remove(slot, now);
        } else if !self.live(slot).aborted {
            self.live_mut(slot).aborted = true;
            self.leaving.push((slot, now));
        }
    }

    /// When [`Self::wake`] must be called next; `None` while idle. May move earlier after `submit` or `abort`. May be the
    /// instant of the last wake: see the module's note on boundaries.
    pub fn next_wake(&self) -> Option<SimTime> {
        match self.phase {
            Phase::Step { ends } => Some(ends),
            Phase::Boundary(at) => Some(at),
            Phase::Idle => self.inbox.front().map(|slot| self.live(*slot).entered),
        }
    }

    /// Whether the next wake starts a step rather than ending one: the simulator orders such a wake after the arrivals
    /// of the same instant, the other kind before them.
    pub fn next_wake_starts_step(&self) -> bool {
        !matches!(self.phase, Phase::Step { .. })
    }

    /// Completes what ends at `now` and plans on; appends what happened to `events`, in time order. No effect before
    /// the next wake.
    ///
    /// # Panics
    /// When a wake was missed.
    pub fn wake(&mut self, now: SimTime, events: &mut Vec<EngineEvent>) {
        let Some(next) = self.next_wake().filter(|next| *next <= now) else { return };
        assert!(next == now, "the wake at {next} was missed, it is {now}");
        if matches!(self.phase, Phase::Step { .. }) {
            self.complete_step(now, events);
            let entered = self.inbox.front().is_some_and(|slot| self.live(*slot).entered <= now);
            let empty = self.running.is_empty() && self.waiting.is_empty() && self.next.is_empty() && !entered;
            self.phase = if empty { Phase::Idle } else { Phase::Boundary(now) };
        } else {
            self.start_step(now);
        }
    }

    /// One wake at a time, however quiet it is.
    pub fn wake_and_go_on(&mut self, now: SimTime, _: Quiet, events: &mut Vec<EngineEvent>) -> SimTime {
        self.wake(now, events);
        now
    }

    /// Nothing to catch up with: every step has its own wake.
    pub fn catch_up(&mut self, _now: SimTime, _events: &mut Vec<EngineEvent>) {}

    /// Writes the value of every series of [`crate::replica::exposition`] as `/metrics` shows it at `now`, which is at or
    /// before the next wake. The row is cleared first.
    pub fn expose(&self, now: SimTime, row: &mut Vec<f64>) {
        let (_, _, usage) = self.gauges(now);
        self.metrics.write(&self.config, self.published, usage, row);
    }

    /// Requests inside, in any state (what a router that counts in-flight requests sees).
    pub fn in_flight(&self) -> usize {
        self.by_id.len()
    }

    /// (running, waiting, KV usage 0..1) as the gauges show at `now`: the state after the last completed step.
    pub fn gauges(&self, now: SimTime) -> (u32, u32, f64) {
        debug_assert!(self.next_wake().is_none_or(|next| now <= next), "observed at {now}, after a missed wake");
        let Gauges { running, waiting, used_blocks } = self.published;
        let blocks = self.config.kv_blocks;
        let usage = if self.config.vllm_version < (0, 11) {
            // The null block is never free.
            f64::from(used_blocks + 1) / f64::from(blocks + 1)
        } else {
            f64::from(used_blocks) / f64::from(blocks)
        };
        (running, waiting, usage)
    }

    /// Ids of the requests inside, in order of arrival; after a kill they are the ones that failed.
    pub fn request_ids(&self) -> Vec<RequestId> {
        let mut inside: Vec<(u64, RequestId)> =
            self.slab.iter().flatten().map(|live| (live.sequence, live.id)).collect();
        inside.sort_unstable();
        inside.into_iter().map(|(_, id)| id).collect()
    }

    /// Time up to `now` during which at least one request was inside.
    pub fn busy_time(&self, now: SimTime) -> SimDuration {
        if self.by_id.is_empty() { self.busy_before } else { self.busy_before + now.saturating_since(self.busy_since) }
    }

    /// Tokens generated so far (all, also of requests that later failed), and preemptions so far (at eviction, where the
    /// metric waits for the victim's next token).
    pub fn totals(&self, now: SimTime) -> (u64, u64) {
        debug_assert!(self.next_wake().is_none_or(|next| now <= next), "observed at {now}, after a missed wake");
        (self.metrics.generation_tokens, self.evictions_told)
    }

    /// Checks the engine's invariants: KV blocks conserved, each request in one place, running <= max_num_seqs.
    ///
    /// # Errors
    /// What is broken, with its numbers.
    pub fn check(&self) -> Result<(), String> {
        let ensure = |holds: bool, what: String| if holds { Ok(()) } else { Err(what) };
        let (mut held, mut inside) = (Vec::new(), 0usize);
        for live in self.slab.iter().flatten() {
            inside += 1;
            held.extend(&live.blocks);
            let covered = live.blocks.len() as u64 * u64::from(self.config.block_size);
            ensure(
                covered >= u64::from(live.computed),
                format!("request {} computed {} tokens in {} blocks", live.id.0, live.computed, live.blocks.len()),
            )?;
            ensure(
                live.computed <= live.length() + live.placeholders && live.out < live.most.min(live.wanted),
                format!("request {} is beyond its end: {live:?}", live.id.0),
            )?;
        }
        self.cache.check(&held)?;
        let mut places = vec![0u32; self.slab.len()];
        for slot in self.inbox.iter().chain(&self.waiting).chain(&self.running) {
            places[*slot as usize] += 1;
        }
        for (slot, count) in places.iter().enumerate() {
            let expected = u32::from(self.slab[slot].is_some());
            ensure(*count == expected, format!("slot {slot} is in {count} places, expected {expected}"))?;
        }
        ensure(inside == self.by_id.len(), format!("{inside} requests, {} ids", self.by_id.len()))?;
        for slot in self.inbox.iter().chain(&self.waiting) {
            let live = self.live(*slot);
            ensure(live.blocks.is_empty(), format!("request {} waits with KV blocks", live.id.0))?;
        }
        let (running, limit) = (self.running.len(), self.config.max_num_seqs as usize);
        ensure(running <= limit, format!("{running} requests run, expected at most {limit}"))?;
        let of = |batch: &[Entry]| batch.iter().map(|entry| u64::from(entry.tokens)).sum::<u64>();
        let scheduled = of(&self.batch).max(of(&self.next));
        let budget = u64::from(self.config.max_num_batched_tokens);
        ensure(scheduled <= budget, format!("{scheduled} tokens scheduled, expected at most {budget}"))
    }

    /// The most tokens a request may have. vLLM refuses to start when `max_model_len` does not fit into the cache, so the
    /// cache is a bound as well: without it a request could outgrow the whole pool and wait for ever.
    fn model_length(&self) -> u64 {
        let cache = u64::from(self.config.kv_blocks) * u64::from(self.config.block_size);
        let whole = u64::from(self.config.max_model_len).min(cache);
        let step = u64::from(self.config.max_num_batched_tokens);
        if self.config.scheduling.chunked_prefill { whole } else { whole.min(step) }
    }

    fn live(&self, slot: Slot) -> &Live {
        self.slab[slot as usize].as_ref().expect("queues hold occupied slots only")
    }

    fn live_mut(&mut self, slot: Slot) -> &mut Live {
        self.slab[slot as usize].as_mut().expect("queues hold occupied slots only")
    }

    /// Forgets a request that is in no queue any more; its blocks become free.
    fn remove(&mut self, slot: Slot, now: SimTime) {
        let live = self.slab[slot as usize].take().expect("queues hold occupied slots only");
        self.cache.give_back(live.blocks);
        self.by_id.remove(&live.id);
        self.vacant.push(slot);
        if self.by_id.is_empty() {
            self.busy_before += now.saturating_since(self.busy_since);
        }
    }
}

//! The engine that takes whole runs against the one that takes every step: same events at the same picosecond, same row of
//! `/metrics` at any instant, same answers, for random workloads in worlds where everything runs out.

mod replica_literal;

use kedasim::replica::{
    Engine, EngineConfig, EngineEvent, Quiet, Scheduling, Seat, StepTime, StepTimeCoefficients, built_in_profile,
    exposition,
};
use kedasim::series::SeriesDef;
use kedasim::traffic::{OutputLength, Request, RequestAttributes, RequestId, SharedText};
use kedasim::units::{Seed, SimDuration, SimTime};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use replica_literal::LiteralEngine;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Something that happens to an engine.
#[derive(Clone, Debug)]
enum Call {
    /// Id, prompt, output, the rest.
    Submit(u64, u32, u32, RequestAttributes),
    Abort(u64),
    Scrape,
    CatchUp,
}

/// The engine, and where its requests sit.
struct Seated {
    engine: Engine,
    seats: HashMap<RequestId, Seat>,
}

impl Seated {
    fn new(engine: Engine) -> Self {
        Seated { engine, seats: HashMap::new() }
    }

    fn submit_with(&mut self, at: SimTime, request: Request, attributes: RequestAttributes) {
        self.seats.insert(request.id, self.engine.submit_with(at, request, attributes));
    }

    /// Of those too who are gone, and whose seat another may have.
    fn abort(&mut self, at: SimTime, id: RequestId) {
        if let Some(seat) = self.seats.get(&id) {
            self.engine.abort(at, *seat, id);
        }
    }
}

impl Deref for Seated {
    type Target = Engine;
    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for Seated {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}

/// What both engines offer.
trait Replica {
    fn next(&self) -> Option<SimTime>;
    fn starts_step(&self) -> bool;
    fn wake(&mut self, at: SimTime, quiet: Quiet, events: &mut Vec<EngineEvent>);
    fn call(&mut self, at: SimTime, call: &Call, events: &mut Vec<EngineEvent>, rows: &mut Vec<Vec<f64>>);
}

macro_rules! replica {
    ($engine:ty) => {
        impl Replica for $engine {
            fn next(&self) -> Option<SimTime> {
                self.next_wake()
            }
            fn starts_step(&self) -> bool {
                self.next_wake_starts_step()
            }
            fn wake(&mut self, at: SimTime, quiet: Quiet, events: &mut Vec<EngineEvent>) {
                self.wake_and_go_on(at, quiet, events);
                self.check().expect("invariants hold");
            }
            fn call(&mut self, at: SimTime, call: &Call, events: &mut Vec<EngineEvent>, rows: &mut Vec<Vec<f64>>) {
                match call {
                    Call::Submit(id, prompt, output, attributes) => {
                        let (id, output) = (RequestId(*id), OutputLength::new(*output));
                        let request = Request { id, prompt_tokens: *prompt, output, worker: None };
                        if self.accepts(&request) {
                            self.submit_with(at, request, attributes.clone());
                        }
                    }
                    Call::Abort(id) => self.abort(at, RequestId(*id)),
                    Call::CatchUp => self.catch_up(at, events),
                    Call::Scrape => {
                        let mut row = Vec::new();
                        self.expose(at, &mut row);
                        let (running, waiting, usage) = self.gauges(at);
                        let (tokens, preemptions) = self.totals(at);
                        row.extend([f64::from(running), f64::from(waiting), usage, tokens as f64, preemptions as f64]);
                        row.extend([self.in_flight() as f64, self.busy_time(at).as_ps() as f64]);
                        row.extend(self.request_ids().iter().map(|id| id.0 as f64));
                        rows.push(row);
                    }
                }
                self.check().expect("invariants hold");
            }
        }
    };
}
replica!(Seated);
replica!(LiteralEngine);

/// Runs the calls in the simulator's order of one instant: step ends, arrivals and aborts, schedules, scrapes.
/// The engine may go on as long as nothing else happens, if `goes_on`, at the instant of an answer too where that is `true`.
/// Returns the events and rows, and how many wakes it took.
fn run(
    engine: &mut dyn Replica,
    calls: &[(SimTime, Call)],
    goes_on: Option<bool>,
) -> (Vec<EngineEvent>, Vec<Vec<f64>>, usize) {
    let (mut events, mut rows, mut wakes) = (Vec::new(), Vec::new(), 0);
    let quiet_until = |until| match goes_on {
        Some(after_answers) => Quiet { until, but_for_answers: !after_answers },
        None => Quiet::NOT,
    };
    for (at, call) in calls {
        while let Some(next) = engine.next()
            && (next < *at || next == *at && (matches!(call, Call::Scrape | Call::CatchUp) || !engine.starts_step()))
        {
            engine.wake(next, quiet_until(*at), &mut events);
            wakes += 1;
        }
        engine.call(*at, call, &mut events, &mut rows);
    }
    while let Some(next) = engine.next() {
        engine.wake(next, quiet_until(SimTime::NEVER), &mut events);
        wakes += 1;
    }
    let end = calls.last().map_or(SimTime::ZERO, |(at, _)| *at).saturating_add(SimDuration::from_secs(100_000));
    engine.call(end, &Call::Scrape, &mut events, &mut rows);
    (events.into_iter().flat_map(EngineEvent::expanded).collect(), rows, wakes)
}

/// Wakes of either engine, and what the workload made them do.
struct Seen {
    fast: usize,
    literal: usize,
    preemptions: usize,
    /// As the counter shows them at the end.
    hits: f64,
}

/// Both engines on the same calls.
fn compare(config: EngineConfig, mut calls: Vec<(SimTime, Call)>) -> Result<Seen, TestCaseError> {
    calls.sort_by_key(|(at, call)| (*at, matches!(call, Call::Scrape | Call::CatchUp)));
    let config = Arc::new(config);
    let (fast_events, fast_rows, fast_wakes) = run(&mut Seated::new(Engine::new(config.clone())), &calls, None);
    let mut judge = LiteralEngine::new(config.clone());
    let (events, rows, wakes) = run(&mut judge, &calls, None);
    let preemptions = judge.totals(SimTime::NEVER).1 as usize;
    for (index, (fast, literal)) in fast_events.iter().zip(&events).enumerate() {
        prop_assert_eq!(fast, literal, "event {}", index);
    }
    prop_assert_eq!(fast_events.len(), events.len());
    for (index, (fast, literal)) in fast_rows.iter().zip(&rows).enumerate() {
        prop_assert_eq!(fast, literal, "scrape {}", index);
    }
    prop_assert_eq!(fast_rows.len(), rows.len());
    compare_looked_at(&config, &calls, &events, &rows)?;
    let is_hits = |series: &SeriesDef| series.labels.metric_name().ends_with("prefix_cache_hits_total");
    let column = exposition(&config).series.iter().position(is_hits).expect("every version counts hits");
    let hits = rows.last().expect("the last call scrapes")[column];
    Ok(Seen { fast: fast_wakes, literal: wakes, preemptions, hits })
}

/// An engine of which only some series are looked at, and which goes on where it may, does what is in
/// `events` and shows in those series what is in `rows`.
fn compare_looked_at(
    config: &Arc<EngineConfig>,
    calls: &[(SimTime, Call)],
    events: &[EngineEvent],
    rows: &[Vec<f64>],
) -> Result<(), TestCaseError> {
    let series = exposition(config).series;
    let looked_at: Vec<bool> = (0..series.len()).map(|index| (index / 7 + calls.len()).is_multiple_of(3)).collect();
    let mut engine = Seated::new(Engine::new(config.clone()).looked_at(&looked_at));
    let (own_events, own_rows, _) = run(&mut engine, calls, Some(calls.len().is_multiple_of(2)));
    prop_assert_eq!(own_events, events, "going on");
    for (index, (own, all)) in own_rows.iter().zip(rows).enumerate() {
        prop_assert_eq!(own.len(), all.len());
        for (column, (own, all)) in own.iter().zip(all).enumerate() {
            let is_shown = looked_at.get(column).is_none_or(|looked_at| *looked_at);
            let name = || series.get(column).map(|series| series.labels.to_string());
            prop_assert!(own == all || !is_shown, "scrape {index}: {own} in place of {all} for {:?}", name());
        }
    }
    Ok(())
}

/// `unit` is the grid of times in ps: steps, arrivals, aborts and scrapes all fall on multiples of it, so that a coarse
/// grid makes everything tie.
fn config(unit: u64, knobs: (u32, u32, u32, bool, bool), overhead: u64, ck: u64, block_size: u32) -> EngineConfig {
    let (kv_blocks, seqs, budget, reserve, is_async) = knobs;
    let ms = |units: u64| (units * unit) as f64 / 1e9;
    let coefficients = StepTimeCoefficients {
        t0_ms: ms(10),
        w_ms: ms(3),
        experts: None,
        cp_us_per_token: if ck == 0 { 0.0 } else { ms(1) * 1e3 },
        ca_ns_per_pair: if ck == 0 { 0.0 } else { ms(2) * 1e6 },
        ck_ns_per_token: ms(ck) * 1e6,
        cs_us_per_seq: ms(ck) * 1e3,
        knee: 1.0,
    };
    EngineConfig {
        model_name: "m".to_owned(),
        step_time: StepTime::new(&coefficients).expect("valid"),
        request_overhead: SimDuration::from_ps(overhead * unit),
        kv_blocks,
        block_size,
        max_num_seqs: seqs,
        max_num_batched_tokens: budget,
        max_model_len: 300,
        reserve_full_prompt: reserve,
        async_scheduling: is_async,
        // The oldest engine with its hidden metrics has all the old names, the newest all the new ones.
        vllm_version: (0, if reserve { 33 } else { 11 }),
        log_stats: true,
        http_metrics: false,
        show_hidden_metrics: Some((0, 10)),
        scheduling: Scheduling::default(),
    }
}

/// vLLM's minor versions: one of each between two changes of the scheduler or its counters.
const VERSIONS: [u32; 11] = [8, 9, 11, 15, 20, 23, 25, 27, 29, 31, 33];

/// vLLM's minor version, and the settings of the scheduler.
fn features() -> impl Strategy<Value = (u32, Scheduling)> {
    let version = prop::sample::select(VERSIONS.to_vec());
    let threshold = prop_oneof![3 => Just(0u32), 2 => 1u32..60];
    let watermark = prop_oneof![3 => Just(0u32), 1 => 1u32..6];
    let odds = (prop::bool::weighted(0.85), prop::bool::weighted(0.35), prop::bool::weighted(0.9));
    (version, threshold, watermark, odds).prop_map(|(version, threshold, watermark, (caching, priority, chunked))| {
        let scheduling = Scheduling {
            prefix_caching: caching,
            by_priority: priority,
            chunked_prefill: chunked,
            long_prefill_token_threshold: threshold,
            watermark_blocks: watermark,
        };
        (version, scheduling)
    })
}

/// A shared text as a path in a tree of texts, what share of the prompt it covers, and whether the output belongs to it.
type Shares = Option<(Vec<u8>, u32, bool)>;

fn shares() -> impl Strategy<Value = Shares> {
    let path = prop::collection::vec(0u8..2, 1..5);
    prop::option::weighted(0.6, (path, prop_oneof![Just(100u32), 10u32..130], prop::bool::weighted(0.3)))
}

fn attributes(
    (priority, max_tokens, shares): (i32, Option<u32>, Shares),
    prompt: u32,
    output: u32,
    tokens_per_id: u32,
) -> RequestAttributes {
    let text = shares.map(|(path, percent, goes_on)| SharedText {
        // The id of a node names the way to it.
        ids: path.iter().scan(1, |id, step| Some(std::mem::replace(id, *id * 2 + u64::from(*step)))).collect(),
        tokens_per_id,
        tokens: if goes_on { prompt + output } else { (prompt * percent / 100).min(prompt) },
    });
    RequestAttributes { priority, text, max_tokens }
}

/// Gap, prompt, output, abort after, and the attributes: priority, `max_tokens`, shared text.
type Sent = (u64, u32, u32, Option<u64>, (i32, Option<u32>, Shares));

/// Requests, scrapes (time), tokens per id of the texts.
type Workload = (Vec<Sent>, Vec<u64>, u32);

fn workload(gap: u64) -> impl Strategy<Value = Workload> {
    let abort = prop::option::weighted(0.15, 0u64..3_000);
    // An answer stops of itself, at its own limit, or, with both at once, as foreseen.
    let output = prop_oneof![3 => 1u32..150, 1 => 1u32..4];
    let max_tokens = prop_oneof![3 => Just(None), 2 => (1u32..150).prop_map(Some), 1 => (1u32..4).prop_map(Some)];
    let request = (0..gap, 1u32..120, output, abort, (0i32..3, max_tokens, shares()));
    let tokens_per_id = prop_oneof![1u32..50, Just(1_000u32)];
    (prop::collection::vec(request, 1..40), prop::collection::vec(0u64..8_000, 0..16), tokens_per_id)
}

fn calls((requests, scrapes, tokens_per_id): Workload, unit: u64) -> Vec<(SimTime, Call)> {
    let at = |units: u64| SimTime::from_ps(units * unit);
    // Every third one only makes the engine catch up: later scrapes must not show it.
    let observe = |(n, units)| (at(units), if n % 3 == 2 { Call::CatchUp } else { Call::Scrape });
    let mut calls: Vec<_> = scrapes.into_iter().enumerate().map(observe).collect();
    let mut now = 0;
    for (id, (gap, prompt, output, abort, of)) in requests.into_iter().enumerate() {
        now += gap;
        let attributes = attributes(of, prompt, output, tokens_per_id);
        calls.push((at(now), Call::Submit(id as u64, prompt, output, attributes)));
        calls.extend(abort.map(|after| (at(now + after), Call::Abort(id as u64))));
    }
    calls
}

/// What the random workloads of a test have met, in cases.
#[derive(Debug, Default)]
struct Met {
    evictions: u32,
    evictions_by_priority: u32,
    hits: u32,
    aborts: u32,
    prompts_over_a_step: u32,
    async_scheduling: u32,
    /// Half of the literal engine's wakes or fewer.
    runs_at_once: u32,
    versions: BTreeMap<u32, u32>,
}

/// Judges 600 random workloads, and that they met what an engine can get wrong.
fn judge(cases: &impl Strategy<Value = (EngineConfig, Vec<(SimTime, Call)>)>) {
    let config = ProptestConfig { failure_persistence: None, max_shrink_iters: 150, ..ProptestConfig::with_cases(600) };
    let mut runner = TestRunner::new(config);
    let met = RefCell::new(Met::default());
    let judged = runner.run(cases, |(config, calls)| {
        let seen = compare(config.clone(), calls.clone())?;
        let mut met = met.borrow_mut();
        let aborts = calls.iter().any(|(_, call)| matches!(call, Call::Abort(_)));
        let is_long =
            |call: &Call| matches!(call, Call::Submit(_, prompt, ..) if *prompt > config.max_num_batched_tokens);
        met.evictions += u32::from(seen.preemptions > 0);
        met.evictions_by_priority += u32::from(seen.preemptions > 0 && config.scheduling.by_priority);
        met.hits += u32::from(seen.hits > 0.0);
        met.aborts += u32::from(aborts);
        met.prompts_over_a_step += u32::from(calls.iter().any(|(_, call)| is_long(call)));
        met.async_scheduling += u32::from(config.async_scheduling);
        met.runs_at_once += u32::from(seen.fast * 2 <= seen.literal);
        *met.versions.entry(config.vllm_version.1).or_default() += 1;
        Ok(())
    });
    if let Err(error) = judged {
        panic!("{error}");
    }
    let met = met.into_inner();
    let enough = met.evictions > 100
        && met.evictions_by_priority > 25
        && met.hits > 250
        && met.aborts > 350
        && met.prompts_over_a_step > 150
        && met.async_scheduling > 180
        && met.runs_at_once > 200;
    assert!(
        enough && VERSIONS.iter().all(|version| met.versions.get(version).is_some_and(|cases| *cases > 20)),
        "{met:?}"
    );
}

#[test]
fn every_instant_agrees_where_all_ties() {
    let knobs = (20u32..60, 1u32..14, 8u32..150, any::<bool>(), any::<bool>());
    let cases = (knobs, features(), 0u64..3, 0u64..2, workload(120));
    judge(&cases.prop_map(|(knobs, (version, scheduling), overhead, ck, workload)| {
        // Steps of 13 units and more; with ck = 0 every boundary of an idle start falls on the same grid.
        let base = config(1_000_000_000, knobs, overhead * 13, ck, 16);
        let config = EngineConfig { vllm_version: (0, version), scheduling, ..base };
        (config, calls(workload, 1_000_000_000))
    }));
}

#[test]
fn every_instant_agrees_off_the_grid() {
    let knobs = (20u32..200, 1u32..30, 8u32..300, any::<bool>(), any::<bool>());
    let cases = (knobs, features(), 0u64..40, 0u64..50, 1u32..40, workload(100));
    judge(&cases.prop_map(|(knobs, (version, scheduling), overhead, ck, block_size, workload)| {
        // A grid of 97 ps against a step grid of 89 ps: hardly anything ties.
        let base = config(89, knobs, overhead, ck, block_size);
        (EngineConfig { vllm_version: (0, version), scheduling, ..base }, calls(workload, 97))
    }));
}

#[test]
fn runs_are_taken_at_once() {
    // Four long outputs and nothing else: a handful of wakes instead of two per step.
    let requests = (0..4).map(|id| (id * 7, 50, 140, None, (0, None, None))).collect();
    let scrapes = (0..200).map(|n| n * 11).collect();
    let knobs = (1000, 256, 2048, true, true);
    let Seen { fast, literal, .. } =
        compare(config(1_000, knobs, 1, 1, 16), calls((requests, scrapes, 1), 1_000)).expect("equal");
    assert!(literal > 280, "{literal} wakes step by step");
    assert!(fast < 40, "{fast} wakes");
}

#[test]
fn a_real_profile_under_pressure_agrees() {
    // Llama-3.1-8B on one H100 with a tenth of its cache, so that it preempts; a knee of 2.
    for is_async in [false, true] {
        let profile = built_in_profile("llama-3.1-8b-h100").expect("built in");
        let config = EngineConfig {
            step_time: StepTime::new(&profile.step_time).expect("valid"),
            request_overhead: SimDuration::from_millis(10),
            max_num_batched_tokens: 1024,
            max_model_len: 8192,
            ..config(1, (2_000, 256, 1024, true, is_async), 0, 0, 16)
        };
        let mut stream = Seed(11).stream("test", 0);
        let mut calls = Vec::new();
        let mut at = SimTime::ZERO;
        for id in 0..250 {
            at += SimDuration::from_secs_f64(stream.exponential() / 30.0);
            let (prompt, output) = (1 + stream.below(1_500) as u32, 1 + stream.below(600) as u32);
            calls.push((at, Call::Submit(id, prompt, output, RequestAttributes::default())));
            if id % 12 == 0 {
                calls.push((at + stream.duration_below(SimDuration::from_secs(9)), Call::Abort(id)));
            }
        }
        calls.extend((0..15).map(|n| (SimTime::from_millis(n * 1_371), Call::Scrape)));
        calls.extend((0..9).map(|n| (SimTime::from_millis(n * 1_731), Call::CatchUp)));
        let Seen { fast, literal, preemptions, .. } = compare(config, calls).expect("equal");
        assert!(fast * 3 < literal * 2, "{fast} wakes against {literal}");
        assert!(preemptions > 10, "{preemptions} preemptions: not the pressure that was meant");
    }
}

//! Edge behaviours of the engine, each as vllm.md sections 1 and 4 state it.

mod replica_support;

use kedasim::replica::{Engine, EngineConfig, ProcessTimes, StepTimeCoefficients, exposition};
use kedasim::traffic::{RequestAttributes, RequestId};
use kedasim::units::{SimDuration, SimTime};
use replica_support::settings::constant_step;
use replica_support::{Driver, config, ms, request};
use std::collections::BTreeMap;
use std::sync::Arc;

fn ten_ms() -> EngineConfig {
    config(&constant_step(10.0))
}

#[test]
fn a_burst_is_admitted_by_the_token_budget() {
    // Budget 100, prompts of 40: step 1 takes two whole prompts and half of the third.
    let mut world = Driver::new(EngineConfig { max_num_batched_tokens: 100, ..ten_ms() });
    for id in 0..5 {
        world.submit(ms(0), request(id, 40, 1));
    }
    world.finish();
    // Step 2: the other 20 of the third, and 80 for the rest.
    assert_eq!(world.first_tokens(), [(0, 10), (1, 10), (2, 20), (3, 20), (4, 20)]);
}

#[test]
fn a_long_prompt_takes_whole_steps_and_decodes_go_on() {
    let coefficients = StepTimeCoefficients { cp_us_per_token: 10.0, ..constant_step(10.0) };
    let mut world = Driver::new(config(&coefficients));
    world.submit(ms(0), request(0, 100, 50));
    world.submit(ms(5), request(1, 20_000, 1));
    world.finish();
    // The decode takes one token of the budget, so nine chunks of 2047 and one of 1577: ten steps.
    let mixed = world.gaps().iter().filter(|(_, gap, _)| *gap >= 25).count();
    assert_eq!(mixed, 10, "{:?}", world.gaps());
    // 11 ms for the first prompt, nine full steps of 10 + 20.48 ms, one of 10 + 15.78 ms.
    assert_eq!(world.first_tokens()[1], (1, 311));
}

#[test]
fn the_youngest_is_evicted_and_returns_when_it_fits() {
    // 8 blocks. Two prompts of 48 take 3 blocks each; at 64 tokens each holds 4, and the next token of both needs a fifth.
    let mut world = Driver::new(EngineConfig { kv_blocks: 8, max_model_len: 128, ..ten_ms() });
    world.submit(ms(0), request(0, 48, 30));
    world.submit(ms(0), request(1, 48, 30));
    world.finish();
    let finished = world.finished();
    assert_eq!(finished.iter().map(|f| f.id.0).collect::<Vec<_>>(), [0, 1]);
    // Request 0 was never disturbed: 30 steps.
    assert_eq!(finished[0].at, ms(300));
    // Request 1 had 17 tokens at 170 ms (65 with its prompt, of which 64 are computed). It needs 5 blocks to return,
    // 3 are free until request 0 leaves at 300 ms: one step recomputes 65 tokens and emits the 18th; 12 more follow.
    assert_eq!(finished[1].at, ms(300 + 130));
    assert_eq!(world.gaps().iter().find(|(_, gap, _)| *gap > 10), Some(&(310, 140, 1)));
    assert_eq!(world.engine.totals(world.now), (60, 1));
    assert_eq!(world.series("vllm:num_preemptions_total", None), 1.0);
    assert_eq!(world.series("vllm:prefix_cache_queries_total", None), 96.0, "a re-admission is not a new query");
    assert_eq!(world.series("vllm:prompt_tokens_total", None), 96.0);
}

#[test]
fn a_preemption_counts_when_the_victim_emits_again() {
    let mut world = Driver::new(EngineConfig { kv_blocks: 8, max_model_len: 128, ..ten_ms() });
    world.submit(ms(0), request(0, 48, 30));
    world.submit(ms(0), request(1, 48, 30));
    world.settle(ms(200));
    assert_eq!(world.engine.totals(world.now).1, 1, "evicted");
    assert_eq!(world.series("vllm:num_preemptions_total", None), 0.0, "not counted yet");
    let (running, waiting, usage) = world.engine.gauges(world.now);
    assert_eq!((running, waiting, usage), (1, 1, 5.0 / 8.0));
    world.settle(ms(310));
    assert_eq!(world.series("vllm:num_preemptions_total", None), 1.0);
}

#[test]
fn two_victims_of_one_step_return_in_their_original_order() {
    // 9 blocks. Requests 0, 1 and 2 take 3 blocks each (48 tokens) and all need a fourth for their first decode: request
    // 0 evicts 2 and takes one of its blocks, 1 another. At 64 tokens each holds 4 of the 9, and both need a fifth:
    // request 0 takes the last, 1 evicts itself, so 1 waits before 2.
    let mut world = Driver::new(EngineConfig { kv_blocks: 9, max_model_len: 144, ..ten_ms() });
    for id in 0..3 {
        world.submit(ms(0), request(id, 48, 40));
    }
    // Fits into one free block at any time, but came after the victims.
    world.submit(ms(50), request(3, 8, 1));
    world.settle(ms(200));
    assert_eq!((world.engine.gauges(ms(200)).0, world.engine.gauges(ms(200)).1), (1, 3));
    world.finish();
    // Request 0 ends at 400 ms; 1 had 17 tokens and needs 23 steps; 2 had 1 token and returns with 1 (5 + 4 blocks).
    let ends: Vec<(u64, SimTime)> = world.finished().iter().map(|f| (f.id.0, f.at)).collect();
    assert_eq!(ends[0], (0, ms(400)));
    let end = |id| ends.iter().find(|(other, _)| *other == id).expect("finished").1;
    assert_eq!(end(1), ms(400 + 230), "{ends:?}");
    assert!(end(2) > end(1), "{ends:?}");
    let returned = world.gaps().iter().filter(|(_, gap, _)| *gap > 10).map(|(at, ..)| *at).collect::<Vec<_>>();
    assert_eq!(returned[..2], [410, 410], "both victims emit again in the same step");
    assert!(world.first_tokens()[3].1 >= 410, "request 3 did not overtake them");
}

#[test]
fn what_can_never_fit_is_refused() {
    let accepts = |config: EngineConfig, prompt| Engine::new(Arc::new(config)).accepts(&request(0, prompt, 1));
    let short = || EngineConfig { max_model_len: 100, ..ten_ms() };
    assert!(accepts(short(), 99));
    assert!(!accepts(short(), 100), "no room for a token");
    assert!(!accepts(short(), 0), "an empty prompt");
    let small_cache = || EngineConfig { kv_blocks: 4, ..ten_ms() };
    assert!(accepts(small_cache(), 63));
    assert!(!accepts(small_cache(), 64), "the whole cache holds 64 tokens");
}

#[test]
fn max_num_seqs_makes_the_queue_grow() {
    let mut world = Driver::new(EngineConfig { max_num_seqs: 2, ..ten_ms() });
    for id in 0..5 {
        world.submit(ms(0), request(id, 10, 3));
    }
    world.settle(ms(10));
    assert_eq!((world.engine.gauges(ms(10)).0, world.engine.gauges(ms(10)).1), (2, 3));
    world.finish();
    assert_eq!(world.first_tokens().iter().map(|(_, at)| *at).collect::<Vec<_>>(), [10, 10, 40, 40, 70]);
    assert_eq!(world.series("vllm:request_queue_time_seconds_sum", None), 0.03 * 2.0 + 0.06);
}

#[test]
fn an_arrival_during_a_step_waits_for_its_end() {
    let mut world = Driver::new(ten_ms());
    world.submit(ms(0), request(0, 10, 10));
    world.submit(ms(23), request(1, 10, 1));
    world.finish();
    assert_eq!(world.first_tokens(), [(0, 10), (1, 40)]);
}

#[test]
fn async_scheduling_makes_it_wait_one_step_more() {
    let mut world = Driver::new(EngineConfig { async_scheduling: true, ..ten_ms() });
    world.submit(ms(0), request(0, 10, 10));
    world.submit(ms(23), request(1, 10, 1));
    world.settle(ms(35));
    assert_eq!(world.engine.gauges(ms(35)).1, 0, "drained at 30 ms, not reported before");
    world.settle(ms(45));
    assert_eq!((world.engine.gauges(ms(45)).0, world.engine.gauges(ms(45)).1), (2, 0), "never shown as waiting");
    world.finish();
    assert_eq!(world.first_tokens(), [(0, 10), (1, 50)]);
    assert_eq!(world.finished()[0].scheduled, ms(30), "put into the step after the one that starts then");
}

#[test]
fn an_idle_engine_starts_at_once() {
    for async_scheduling in [false, true] {
        let mut world = Driver::new(EngineConfig { async_scheduling, ..ten_ms() });
        let one = RequestAttributes { max_tokens: Some(1), ..RequestAttributes::default() };
        world.submit_with(ms(3), request(0, 10, 5), one.clone());
        world.submit_with(ms(3), request(1, 10, 5), one.clone());
        // Ends when the next one arrives: with nothing left to run there is nothing to wait for.
        world.submit_with(ms(13), request(2, 10, 5), one);
        world.finish();
        assert_eq!(world.first_tokens(), [(0, 13), (1, 13), (2, 23)], "async {async_scheduling}");
    }
}

/// (id, when its last token came) of all finished requests, in ms.
fn ends(world: &Driver) -> Vec<(u64, u64)> {
    world.finished().iter().map(|finished| (finished.id.0, finished.at.as_millis_floor())).collect()
}

/// Ends at this many tokens because its client says so, and the scheduler knows.
fn at_most(tokens: u32) -> RequestAttributes {
    RequestAttributes { max_tokens: Some(tokens), ..RequestAttributes::default() }
}

#[test]
fn what_stops_of_itself_wastes_a_step_of_async_scheduling_and_what_is_foreseen_does_not() {
    // Steps of 10 ms and 1 ms per request; the second request decodes alone once the first is gone.
    let per_request = StepTimeCoefficients { cs_us_per_seq: 1_000.0, ..constant_step(10.0) };
    let last_of_second = |async_scheduling: bool, first: RequestAttributes| {
        let mut world = Driver::new(EngineConfig { async_scheduling, ..config(&per_request) });
        world.submit_with(ms(0), request(0, 10, 2), first);
        world.submit(ms(0), request(1, 10, 4));
        world.finish();
        ends(&world)
    };
    let of_itself = RequestAttributes::default();
    // Two steps of 12 ms, two of 11 ms.
    assert_eq!(last_of_second(false, of_itself.clone()), [(0, 24), (1, 46)]);
    assert_eq!(last_of_second(true, at_most(2)), [(0, 24), (1, 46)]);
    // The third step has the first request's slot too.
    assert_eq!(last_of_second(true, of_itself), [(0, 24), (1, 47)]);
}

#[test]
fn nothing_counts_the_token_of_a_wasted_slot() {
    let mut world = Driver::new(EngineConfig { async_scheduling: true, kv_blocks: 8, ..ten_ms() });
    // The first one's block is full after its second token, so that the wasted slot takes another.
    world.submit(ms(0), request(0, 15, 2));
    world.submit(ms(0), request(1, 10, 4));
    world.settle(ms(25));
    // After the second step the first is gone with both blocks; the other has one.
    assert_eq!(world.engine.gauges(ms(25)), (1, 0, 1.0 / 8.0));
    assert_eq!(world.engine.totals(ms(25)).0, 4);
    world.finish();
    world.settle(ms(100));
    assert_eq!(world.engine.totals(ms(100)).0, 6);
    assert_eq!(world.engine.gauges(ms(100)), (0, 0, 0.0));
}

#[test]
fn a_new_request_waits_for_a_step_of_nothing_but_wasted_slots() {
    let mut world = Driver::new(EngineConfig { async_scheduling: true, ..ten_ms() });
    world.submit(ms(0), request(0, 10, 2));
    // The answer ends at 20 ms; the step that was scheduled before runs until 30 ms.
    world.submit(ms(24), request(1, 10, 1));
    world.finish();
    assert_eq!(world.first_tokens(), [(0, 10), (1, 40)]);
    let mut world = Driver::new(EngineConfig { async_scheduling: true, ..ten_ms() });
    world.submit_with(ms(0), request(0, 10, 9), at_most(2));
    world.submit(ms(24), request(1, 10, 1));
    world.finish();
    assert_eq!(world.first_tokens(), [(0, 10), (1, 34)]);
}

#[test]
fn with_async_scheduling_a_place_is_free_one_step_later() {
    let place_of_second = |async_scheduling: bool, first: RequestAttributes| {
        let mut world = Driver::new(EngineConfig { async_scheduling, max_num_seqs: 2, ..ten_ms() });
        world.submit_with(ms(0), request(0, 10, 2), first);
        world.submit(ms(0), request(1, 10, 9));
        world.submit(ms(0), request(2, 10, 1));
        world.finish();
        world.first_tokens()[2]
    };
    // The first ends at 20 ms. The step after it was scheduled before, with its place taken.
    assert_eq!(place_of_second(false, at_most(2)), (2, 30));
    assert_eq!(place_of_second(true, at_most(2)), (2, 40));
    assert_eq!(place_of_second(true, RequestAttributes::default()), (2, 40));
}

#[test]
fn a_limit_that_the_model_has_no_room_for_is_refused() {
    let config = || EngineConfig { max_model_len: 100, ..ten_ms() };
    let accepts =
        |attributes: &RequestAttributes| Engine::new(Arc::new(config())).accepts_with(&request(0, 40, 1), attributes);
    assert!(accepts(&RequestAttributes::default()));
    assert!(accepts(&at_most(60)));
    assert!(!accepts(&at_most(61)), "40 and 61 tokens are more than 100");
    assert!(!accepts(&at_most(u32::MAX)));
}

#[test]
fn max_tokens_ends_an_answer_with_the_reason_length() {
    let mut world = Driver::new(ten_ms());
    for (id, most) in [(0, 3), (1, 5), (2, 9)] {
        world.submit_with(ms(0), request(id, 10, 5), at_most(most));
    }
    world.finish();
    world.settle(ms(1_000));
    // As many tokens as allowed and as many as wanted: it stopped.
    assert_eq!(world.series("vllm:request_success_total", Some(("finished_reason", "length"))), 1.0);
    assert_eq!(world.series("vllm:request_success_total", Some(("finished_reason", "stop"))), 2.0);
    assert_eq!(world.series("vllm:request_params_max_tokens_sum", None), 17.0);
}

#[test]
fn an_arrival_on_a_boundary_is_drained_before_the_schedule() {
    let mut world = Driver::new(ten_ms());
    world.submit(ms(0), request(0, 10, 5));
    world.submit(ms(20), request(1, 10, 1));
    world.finish();
    assert_eq!(world.first_tokens(), [(0, 10), (1, 30)]);
}

#[test]
fn the_overhead_delays_the_entry_and_shows_in_the_next_wake() {
    let mut world = Driver::new(EngineConfig { request_overhead: SimDuration::from_millis(7), ..ten_ms() });
    assert_eq!(world.engine.next_wake(), None);
    world.submit(ms(100), request(0, 10, 2));
    assert_eq!(world.engine.next_wake(), Some(ms(107)));
    assert_eq!(world.engine.in_flight(), 1);
    world.finish();
    let finished = world.finished()[0];
    assert_eq!((finished.arrived, finished.scheduled, finished.first_token), (ms(100), ms(107), ms(117)));
    assert_eq!(finished.at, ms(127));
    assert_eq!(world.engine.busy_time(ms(500)), SimDuration::from_millis(27));
    assert_eq!(world.engine.next_wake(), None);
    assert_eq!(world.series("vllm:time_to_first_token_seconds_sum", None), 0.017);
    assert_eq!(world.series("vllm:request_prefill_time_seconds_sum", None), 0.01);
}

#[test]
fn a_scrape_in_mid_step_shows_the_last_step() {
    let mut world = Driver::new(ten_ms());
    world.submit(ms(0), request(0, 33, 10));
    world.settle(ms(9));
    let gauges = world.engine.gauges(ms(9));
    assert_eq!(gauges, (0, 0, 0.0), "the first step has not ended");
    assert_eq!(world.series("vllm:prompt_tokens_total", None), 0.0);
    world.submit(ms(12), request(1, 10, 1));
    world.settle(ms(19));
    assert_eq!(world.engine.gauges(ms(19)), (1, 0, 3.0 / 10_000.0), "an arrival during the step is in neither gauge");
    assert_eq!(world.series("vllm:generation_tokens_total", None), 1.0);
    assert_eq!(world.series("vllm:prompt_tokens_total", None), 33.0);
    world.settle(ms(39));
    assert_eq!(world.series("vllm:generation_tokens_total", None), 4.0);
    assert_eq!(world.series("vllm:inter_token_latency_seconds_bucket", Some(("le", "0.01"))), 2.0);
    world.finish();
    assert_eq!(world.engine.gauges(world.now), (0, 0, 0.0));
}

#[test]
fn a_last_chunk_of_one_token_is_a_prefill() {
    // Budget 16, prompt 17: the second chunk is one token with 16 before it: 2 x 16 + 1 half pairs.
    let coefficients = StepTimeCoefficients { ca_ns_per_pair: 2.0, ck_ns_per_token: 1e6, ..constant_step(1.0) };
    let mut world = Driver::new(EngineConfig { max_num_batched_tokens: 16, max_num_seqs: 16, ..config(&coefficients) });
    world.submit(ms(0), request(0, 17, 1));
    world.finish();
    let expected = 2 * 1_000_000_000 + 1_000 * (16 * 16) + 1_000 * 33;
    assert_eq!(world.finished()[0].first_token, SimTime::from_ps(expected));
    assert_eq!(world.series("vllm:iteration_tokens_total_count", None), 1.0, "a chunk without output is no sample");
    assert_eq!(world.series("vllm:iteration_tokens_total_sum", None), 18.0);
}

#[test]
fn the_model_length_cuts_the_output() {
    let mut world = Driver::new(EngineConfig { max_model_len: 100, ..ten_ms() });
    world.submit(ms(0), request(0, 90, 50));
    world.submit(ms(0), request(1, 90, 10));
    world.finish();
    assert_eq!(world.finished().iter().map(|f| f.generated_tokens).collect::<Vec<_>>(), [10, 10]);
    assert_eq!(world.series("vllm:request_success_total", Some(("finished_reason", "length"))), 1.0);
    assert_eq!(world.series("vllm:request_success_total", Some(("finished_reason", "stop"))), 1.0);
}

#[test]
fn without_full_prompt_reservation_the_first_chunk_is_enough() {
    let first = |reserve_full_prompt| {
        let base = EngineConfig { kv_blocks: 10, max_num_batched_tokens: 32, max_model_len: 160, ..ten_ms() };
        let mut world = Driver::new(EngineConfig { reserve_full_prompt, max_num_seqs: 8, ..base });
        world.submit(ms(0), request(0, 30, 20));
        world.submit(ms(0), request(1, 140, 1));
        world.settle(ms(30));
        let running = world.engine.gauges(ms(30)).0;
        world.finish();
        (running, world.finished().len())
    };
    assert_eq!(first(true), (1, 2), "9 blocks are not free while the first request holds 2");
    assert_eq!(first(false), (2, 2));
}

#[test]
fn an_abort_takes_effect_at_the_next_boundary() {
    let mut world = Driver::new(EngineConfig { max_num_seqs: 1, ..ten_ms() });
    world.submit(ms(0), request(0, 10, 100));
    world.submit(ms(1), request(1, 10, 1));
    world.submit(ms(2), request(2, 10, 1));
    world.settle(ms(25));
    world.abort(ms(25), 0);
    world.abort(ms(25), 1);
    world.abort(ms(25), 77); // not here
    assert_eq!(world.engine.request_ids(), [RequestId(0), RequestId(1), RequestId(2)]);
    world.finish();
    assert_eq!(world.finished().iter().map(|f| (f.id.0, f.at)).collect::<Vec<_>>(), [(2, ms(40))]);
    assert_eq!(
        world.engine.totals(world.now).0,
        3,
        "two tokens of request 0 stay counted, the aborted step gives none"
    );
    assert_eq!(world.series("vllm:request_success_total", Some(("finished_reason", "abort"))), 0.0);
    assert_eq!(world.series("vllm:e2e_request_latency_seconds_count", None), 1.0);
    assert_eq!(world.engine.request_ids(), []);
}

#[test]
fn an_abort_before_the_engine_leaves_no_trace() {
    let mut world = Driver::new(EngineConfig { request_overhead: SimDuration::from_millis(5), ..ten_ms() });
    world.submit(ms(0), request(0, 10, 100));
    world.abort(ms(3), 0);
    assert_eq!((world.engine.in_flight(), world.engine.next_wake()), (0, None));
    world.engine.check().expect("consistent");
    assert_eq!(world.engine.busy_time(ms(50)), SimDuration::from_millis(3));
}

#[test]
fn a_fresh_engine_exposes_zeros() {
    let config = Arc::new(EngineConfig { max_model_len: 512, ..ten_ms() });
    let layout = exposition(&config).series;
    let mut row = vec![9.0];
    Engine::new(config).expose(ms(0), &mut row);
    assert_eq!(row.len(), layout.len());
    let nonzero: Vec<String> = layout
        .iter()
        .zip(&row)
        .filter(|(_, v)| **v != 0.0 && !v.is_nan())
        .map(|(def, v)| format!("{} {v}", def.labels))
        .collect();
    assert_eq!(
        nonzero,
        [
            r#"vllm:engine_sleep_state{engine="0",model_name="m",sleep_state="awake"} 1"#,
            r#"vllm:cache_config_info{block_size="16",engine="0",num_gpu_blocks="10001"} 1"#,
        ]
    );
    let names: std::collections::BTreeSet<String> = layout.iter().map(|def| def.labels.to_string()).collect();
    assert_eq!(names.len(), layout.len(), "no series twice");
    for expected in [
        r#"vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="m"}"#,
        r#"vllm:inter_token_latency_seconds_bucket{engine="0",le="1.0",model_name="m"}"#,
        r#"vllm:e2e_request_latency_seconds_bucket{engine="0",le="+Inf",model_name="m"}"#,
        r#"vllm:request_prompt_tokens_bucket{engine="0",le="500.0",model_name="m"}"#,
        r#"vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"}"#,
    ] {
        assert!(names.contains(expected), "{expected}");
    }
}

#[test]
fn an_early_wake_changes_nothing() {
    let mut world = Driver::new(ten_ms());
    world.submit(ms(0), request(0, 10, 2));
    world.settle(ms(0));
    let before = world.events.len();
    world.engine.wake(ms(4), &mut world.events);
    assert_eq!((world.events.len(), world.engine.next_wake()), (before, Some(ms(10))));
}

#[test]
fn a_killed_engine_hands_over_what_it_did() {
    let mut world = Driver::new(ten_ms());
    world.submit(ms(0), request(0, 10, 100));
    world.settle(ms(55));
    let told = |world: &Driver| 1 + world.gaps().len() as u64;
    world.engine.catch_up(ms(55), &mut world.events);
    assert_eq!(told(&world), 5, "five steps of 10 ms have ended: {:?}", world.events);
    assert_eq!(world.engine.totals(ms(55)).0, 5);
    world.engine.catch_up(ms(55), &mut world.events);
    assert_eq!(told(&world), 5, "nothing is told twice");
    assert_eq!(world.engine.request_ids(), [RequestId(0)]);
    world.finish();
    assert_eq!((told(&world), world.finished()[0].at), (100, ms(1000)));
}

/// Values by series, absent ones left out.
fn scrape(world: &Driver) -> BTreeMap<String, f64> {
    let mut row = Vec::new();
    world.engine.expose(world.now, &mut row);
    let series = exposition(&world.config).series;
    assert_eq!(series.len(), row.len(), "one value per series");
    let named = series.iter().zip(row).map(|(series, value)| (series.labels.to_string(), value));
    named.filter(|(_, value)| !value.is_nan()).collect()
}

#[test]
fn the_middleware_counts_answers_cancellations_and_refusals() {
    let mut world = Driver::new(EngineConfig { max_model_len: 512, ..ten_ms() });
    let times = ProcessTimes { run_start: 1_000_000.0, started: 999_000.0, listening: 999_900.0 };
    world.engine = Engine::new(world.config.clone()).in_process(times);
    let fresh = scrape(&world);
    assert!(fresh.keys().all(|name| !name.contains("handler=")), "nothing was asked yet");
    assert_eq!(fresh["process_start_time_seconds"], 999_000.0);
    assert_eq!(fresh["http_request_duration_highr_seconds_count"], 0.0);
    assert_eq!(fresh[r#"vllm:prompt_tokens_created{engine="0",model_name="m"}"#], 999_900.0);

    // 3 steps of 10 ms; one whose client leaves after 60 ms; one that is refused.
    world.submit(ms(0), request(0, 10, 3));
    world.advance(ms(1_000));
    world.submit(ms(1_000), request(1, 10, 100));
    world.advance(ms(1_060));
    world.abort(ms(1_060), 1);
    world.advance(ms(2_000));
    world.engine.refuse(ms(2_000));
    let after = scrape(&world);
    let at = |name: &str| *after.get(name).unwrap_or_else(|| panic!("{name} among {after:#?}"));
    let handler = r#"handler="/v1/chat/completions""#;
    let by_status = |status: &str| format!(r#"{{{handler},method="POST",status="{status}"}}"#);
    for (status, count, first) in [("2xx", 2.0, 1_000_000.03), ("4xx", 1.0, 1_000_002.0)] {
        assert_eq!(at(&format!("http_requests_total{}", by_status(status))), count, "{status}");
        assert_eq!(at(&format!("http_requests_created{}", by_status(status))), first, "{status}");
    }
    for size in ["request", "response"] {
        assert_eq!(at(&format!("http_{size}_size_bytes_count{{{handler}}}")), 3.0);
        assert!(!after.contains_key(&format!("http_{size}_size_bytes_sum{{{handler}}}")), "no bytes are simulated");
    }
    for (le, count) in [("0.01", 1.0), ("0.025", 1.0), ("0.05", 2.0), ("0.075", 3.0), ("+Inf", 3.0)] {
        assert_eq!(at(&format!(r#"http_request_duration_highr_seconds_bucket{{le="{le}"}}"#)), count, "{le}");
    }
    for (le, count) in [("0.1", 3.0), ("0.5", 3.0), ("1.0", 3.0), ("+Inf", 3.0)] {
        let labels = format!(r#"{{{handler},le="{le}",method="POST"}}"#);
        assert_eq!(at(&format!("http_request_duration_seconds_bucket{labels}")), count, "{le}");
    }
    assert_eq!(at("http_request_duration_highr_seconds_sum"), 0.09);
    assert_eq!(at("http_request_duration_highr_seconds_created"), 999_900.0);
}

#[test]
fn series_that_nobody_looks_at_are_there_without_being_counted() {
    let driven = |looked_at: Option<&dyn Fn(&str) -> bool>| {
        let mut world = Driver::new(ten_ms());
        if let Some(is_looked_at) = looked_at {
            let series = exposition(&world.config).series;
            let columns: Vec<bool> = series.iter().map(|series| is_looked_at(series.labels.metric_name())).collect();
            world.engine = Engine::new(world.config.clone()).looked_at(&columns);
        }
        for id in 0..4 {
            world.submit(ms(id * 15), request(id, 10, 5));
        }
        world.advance(ms(2_000));
        scrape(&world)
    };
    let all = driven(None);
    let is_ttft = |name: &str| name.starts_with("vllm:time_to_first_token_seconds");
    let is_http = |name: &str| name.starts_with("http_request_duration");
    for looked_at in [&is_ttft as &dyn Fn(&str) -> bool, &is_http, &|_| false] {
        let own = driven(Some(looked_at));
        assert!(own.keys().eq(all.keys()), "a series that is not looked at is there all the same");
        for (name, value) in &own {
            let is_shown = *value == all[name] || !looked_at(name) && *value == 0.0;
            assert!(is_shown, "{name} is {value} in place of {}", all[name]);
        }
    }
}

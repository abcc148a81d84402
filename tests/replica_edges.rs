//! Edge behaviours of vLLM's scheduler and prefix cache (vllm.md 1.3 to 1.8). Those of 1.9 about bursts, long prompts, KV
//! exhaustion, what can never fit and `max_num_seqs` are in `replica_engine.rs`.

#[expect(dead_code, reason = "each test file uses its part of it")]
mod replica_support;

use kedasim::replica::{EngineConfig, Scheduling, StepTimeCoefficients};
use kedasim::traffic::{RequestAttributes, SharedText};
use kedasim::units::SimTime;
use replica_support::settings::constant_step;
use replica_support::{Driver, config, ms, request};

fn ten_ms() -> EngineConfig {
    config(&constant_step(10.0))
}

/// A prompt whose first `tokens` are those of the text `id`.
fn of_text(id: u64, tokens: u32) -> RequestAttributes {
    let text = SharedText { ids: [id].into(), tokens_per_id: 1_000_000, tokens };
    RequestAttributes { text: Some(text), ..RequestAttributes::default() }
}

fn with_priority(priority: i32) -> RequestAttributes {
    RequestAttributes { priority, ..RequestAttributes::default() }
}

fn hits(world: &Driver) -> (f64, f64) {
    (world.series("vllm:prefix_cache_queries_total", None), world.series("vllm:prefix_cache_hits_total", None))
}

#[test]
fn a_prompt_that_is_cached_as_a_whole_computes_its_last_block_again() {
    let mut world = Driver::new(ten_ms());
    world.submit_with(ms(0), request(0, 64, 1), of_text(7, 64));
    world.submit_with(ms(50), request(1, 64, 1), of_text(7, 64));
    world.settle(ms(55));
    assert_eq!(hits(&world), (64.0, 0.0), "a look-up counts when its step ends");
    world.finish();
    assert_eq!(hits(&world), (128.0, 48.0));
    assert_eq!(world.series("vllm:prompt_tokens_total", None), 128.0, "cached tokens included");
    assert_eq!(world.series("vllm:prompt_tokens_cached_total", None), 48.0);
    assert_eq!(world.series("vllm:prompt_tokens_by_source_total", Some(("source", "local_compute"))), 80.0);
    assert_eq!(world.series("vllm:request_prefill_kv_computed_tokens_sum", None), 80.0);
    assert_eq!(world.series("vllm:iteration_tokens_total_sum", None), 64.0 + 1.0 + 16.0 + 1.0);
    assert_eq!(world.engine.gauges(world.now).2, 0.0, "cached blocks that nobody holds are free");
}

#[test]
fn requests_of_one_step_share_what_the_first_of_them_computes() {
    let mut world = Driver::new(ten_ms());
    world.submit_with(ms(0), request(0, 64, 5), of_text(7, 64));
    world.submit_with(ms(0), request(1, 70, 5), of_text(7, 64));
    world.settle(ms(10));
    assert_eq!(hits(&world), (134.0, 64.0));
    // Four shared blocks and one more of the second.
    assert_eq!(world.engine.gauges(ms(10)).2, 5.0 / 10_000.0);
}

#[test]
fn the_tail_of_the_least_recent_text_is_evicted_first() {
    let found = |others: bool| {
        let mut world = Driver::new(EngineConfig { kv_blocks: 8, max_model_len: 128, ..ten_ms() });
        world.submit_with(ms(0), request(0, 64, 1), of_text(7, 64));
        if others {
            // Five blocks: the four that were never used and the last of the text.
            world.submit(ms(50), request(1, 80, 1));
        }
        world.submit_with(ms(100), request(2, 80, 1), of_text(7, 80));
        world.finish();
        hits(&world).1
    };
    assert_eq!((found(false), found(true)), (64.0, 48.0));
}

#[test]
fn the_next_turn_finds_what_the_last_one_generated() {
    let mut world = Driver::new(ten_ms());
    world.submit_with(ms(0), request(0, 40, 25), of_text(3, 65));
    world.submit_with(ms(1_000), request(1, 100, 1), of_text(3, 101));
    world.finish();
    // 40 + 24 tokens have their keys and values: four blocks.
    assert_eq!(hits(&world), (140.0, 64.0));
}

#[test]
fn a_victim_finds_its_own_blocks() {
    let ends = |prefix_caching| {
        let coefficients = StepTimeCoefficients { cp_us_per_token: 100.0, ..constant_step(10.0) };
        let scheduling = Scheduling { prefix_caching, ..Scheduling::default() };
        let mut world =
            Driver::new(EngineConfig { kv_blocks: 8, max_model_len: 128, scheduling, ..config(&coefficients) });
        world.submit(ms(0), request(0, 48, 30));
        world.submit(ms(0), request(1, 48, 30));
        world.finish();
        assert_eq!(world.series("vllm:prefix_cache_hits_total", None), 0.0, "a victim's hit is not counted");
        world.finished()[1].at
    };
    // Of its four blocks the last went to request 0, which needs one; 48 tokens of 0.1 ms are not computed again.
    assert_eq!(ends(false).since(ends(true)).as_ps(), 4_800_000_000);
}

#[test]
fn without_the_cache_nothing_is_looked_up() {
    let scheduling = Scheduling { prefix_caching: false, ..Scheduling::default() };
    let mut world = Driver::new(EngineConfig { scheduling, ..ten_ms() });
    world.submit_with(ms(0), request(0, 64, 1), of_text(7, 64));
    world.submit_with(ms(50), request(1, 64, 1), of_text(7, 64));
    world.finish();
    assert_eq!(hits(&world), (0.0, 0.0));
}

#[test]
fn a_long_prefill_is_capped_unless_it_is_alone() {
    let first_token = |minor, beside: bool| {
        let scheduling = Scheduling { long_prefill_token_threshold: 40, ..Scheduling::default() };
        let mut world = Driver::new(EngineConfig { vllm_version: (0, minor), scheduling, ..ten_ms() });
        world.submit(ms(0), request(0, 100, 1));
        if beside {
            world.submit(ms(0), request(1, 100, 1));
        }
        world.finish();
        world.first_tokens().iter().map(|(_, at)| *at).collect::<Vec<_>>()
    };
    assert_eq!(first_token(33, false), [10]);
    assert_eq!(first_token(31, false), [10]);
    assert_eq!(first_token(30, false), [30], "40 + 40 + 20 tokens");
    assert_eq!(first_token(33, true), [30, 30], "both advance in each step");
}

#[test]
fn without_chunks_a_prompt_waits_for_a_whole_step() {
    let scheduling = Scheduling { chunked_prefill: false, ..Scheduling::default() };
    let base = EngineConfig { max_num_batched_tokens: 100, max_model_len: 100, ..ten_ms() };
    let mut world = Driver::new(EngineConfig { scheduling, ..base });
    world.submit(ms(0), request(0, 60, 1));
    world.submit(ms(0), request(1, 60, 1));
    world.submit(ms(0), request(2, 10, 1));
    world.finish();
    assert_eq!(world.first_tokens(), [(0, 10), (1, 20), (2, 20)], "nobody overtakes the head");
}

#[test]
fn a_watermark_stays_free_beside_others() {
    let first = |watermark_blocks| {
        let scheduling = Scheduling { watermark_blocks, ..Scheduling::default() };
        let base = EngineConfig { kv_blocks: 8, max_model_len: 128, ..ten_ms() };
        let mut world = Driver::new(EngineConfig { scheduling, ..base });
        world.submit(ms(0), request(0, 64, 3));
        world.submit(ms(0), request(1, 48, 1));
        world.finish();
        world.first_tokens()
    };
    assert_eq!(first(1), [(0, 10), (1, 10)]);
    assert_eq!(first(2), [(0, 10), (1, 40)]);
}

#[test]
fn priority_orders_the_queue_and_names_the_victim() {
    let scheduling = || Scheduling { by_priority: true, ..Scheduling::default() };
    let mut world = Driver::new(EngineConfig { max_num_seqs: 1, scheduling: scheduling(), ..ten_ms() });
    world.submit(ms(0), request(0, 10, 2));
    for (id, priority) in [(1, 2), (2, 1), (3, 1), (4, -1)] {
        world.submit_with(ms(5), request(id, 10, 1), with_priority(priority));
    }
    world.finish();
    assert_eq!(world.first_tokens().iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 4, 2, 3, 1]);

    // As `the_youngest_is_evicted`, but the older request matters less.
    let base = EngineConfig { kv_blocks: 8, max_model_len: 128, ..ten_ms() };
    let mut world = Driver::new(EngineConfig { scheduling: scheduling(), ..base });
    world.submit_with(ms(0), request(0, 48, 30), with_priority(1));
    world.submit_with(ms(0), request(1, 48, 30), with_priority(0));
    world.finish();
    let ends: Vec<(u64, SimTime)> = world.finished().iter().map(|done| (done.id.0, done.at)).collect();
    // Request 0 evicts itself, and request 1 goes on at once.
    assert_eq!(ends, [(1, ms(300)), (0, ms(430))]);
}

#[test]
fn of_two_that_write_the_same_text_the_one_ahead_is_found() {
    let mut world = Driver::new(ten_ms());
    // Both go on with the text. The second was admitted later and is 20 tokens ahead.
    world.submit_with(ms(0), request(0, 20, 100), of_text(7, 120));
    world.submit_with(ms(0), request(1, 40, 60), of_text(7, 100));
    // By now both have filled the third block, the second one first.
    world.submit_with(ms(305), request(2, 60, 50), of_text(7, 60));
    world.settle(ms(325));
    assert_eq!(hits(&world).1, 16.0 + 48.0);
    // The second has ended. Request 0 has five blocks, request 2 six, of which it shares the first with request 0; the
    // second and the third of its text are those of the one that is gone.
    world.settle(ms(605));
    assert_eq!(world.engine.gauges(ms(605)), (2, 0, 10.0 / 10_000.0));
}

#[test]
fn a_victim_gives_back_the_tokens_that_it_got_in_the_same_step() {
    let scheduling = Scheduling { by_priority: true, ..Scheduling::default() };
    let sizes = EngineConfig { kv_blocks: 16, max_num_batched_tokens: 40, max_num_seqs: 8, ..ten_ms() };
    let mut world = Driver::new(EngineConfig { reserve_full_prompt: false, max_model_len: 256, scheduling, ..sizes });
    // Three blocks, scheduled first, matters least.
    world.submit_with(ms(0), request(0, 40, 30), with_priority(5));
    // Its block is full after step 6, when all sixteen are taken.
    world.submit_with(ms(5), request(1, 12, 10), with_priority(0));
    // Gets 27 tokens in step 2 and 38 in each of the next four, so that 39 are left for step 7.
    world.submit_with(ms(5), request(2, 218, 1), with_priority(1));
    world.finish();
    // In step 7 the first is evicted after it was given its token: one for the second, 39 for the third.
    assert_eq!(world.first_tokens(), [(0, 10), (1, 20), (2, 70)]);
    assert_eq!(world.engine.totals(world.now).1, 1);
}

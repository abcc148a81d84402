//! What an engine counts and does differently from one version of vLLM to the next, as its sources have it.

#[expect(dead_code, reason = "each test file uses its part of it")]
mod replica_support;

use kedasim::replica::{EngineConfig, Scheduling};
use kedasim::traffic::{RequestAttributes, SharedText};
use replica_support::settings::constant_step;
use replica_support::{Driver, config, ms, request};

fn ten_ms(minor: u32) -> EngineConfig {
    EngineConfig { vllm_version: (0, minor), ..config(&constant_step(10.0)) }
}

/// A prompt whose first `tokens` are those of the text `id`.
fn of_text(id: u64, tokens: u32) -> RequestAttributes {
    let text = SharedText { ids: [id].into(), tokens_per_id: 1_000_000, tokens };
    RequestAttributes { text: Some(text), ..RequestAttributes::default() }
}

/// Prefix-cache queries and hits, under the name of the version.
fn lookups(world: &Driver, minor: u32) -> (f64, f64) {
    let prefix = if minor < 11 { "vllm:gpu_prefix_cache" } else { "vllm:prefix_cache" };
    let counter = |what: &str| world.series(&format!("{prefix}_{what}_total"), None);
    (counter("queries"), counter("hits"))
}

#[test]
fn each_look_up_counts_before_0_27_and_in_blocks_before_0_9() {
    let queries = |minor| {
        let base = EngineConfig { kv_blocks: 8, max_model_len: 128, reserve_full_prompt: false, ..ten_ms(minor) };
        let mut world = Driver::new(base);
        world.submit(ms(0), request(0, 90, 5));
        world.submit(ms(0), request(1, 64, 1));
        world.finish();
        lookups(&world, minor).0
    };
    // Request 1 does not fit while request 0 has six blocks: it is looked up in each of five steps and then admitted.
    assert_eq!([33, 27].map(queries), [154.0; 2]);
    assert_eq!([26, 12, 11, 9].map(queries), [90.0 + 6.0 * 64.0; 4]);
    // 90 tokens fill five blocks. Of 64 tokens the fourth block is left out, as it would leave nothing to compute.
    assert_eq!(queries(8), 5.0 + 6.0 * 3.0);
}

#[test]
fn a_victims_look_ups_count_before_0_12_only() {
    let queries = |minor| {
        let base = EngineConfig { kv_blocks: 8, max_model_len: 128, reserve_full_prompt: false, ..ten_ms(minor) };
        let mut world = Driver::new(base);
        world.submit(ms(0), request(0, 48, 30));
        world.submit(ms(0), request(1, 48, 30));
        world.finish();
        assert_eq!(world.series("vllm:num_preemptions_total", None), 1.0);
        lookups(&world, minor).0
    };
    assert_eq!([33, 27, 26, 12].map(queries), [96.0; 4]);
    assert!(queries(11) > 96.0, "{} queries", queries(11));
}

#[test]
fn hits_are_blocks_before_0_9() {
    let counted = |minor| {
        let mut world = Driver::new(ten_ms(minor));
        world.submit_with(ms(0), request(0, 64, 1), of_text(7, 64));
        world.submit_with(ms(50), request(1, 64, 1), of_text(7, 64));
        world.finish();
        lookups(&world, minor)
    };
    assert_eq!((counted(33), counted(9), counted(8)), ((128.0, 48.0), (128.0, 48.0), (6.0, 3.0)));
}

#[test]
fn an_iteration_has_whole_prompts_before_0_23() {
    let tokens = |minor| {
        let mut world = Driver::new(ten_ms(minor));
        world.submit_with(ms(0), request(0, 64, 1), of_text(7, 64));
        world.submit_with(ms(50), request(1, 64, 1), of_text(7, 64));
        world.finish();
        world.series("vllm:iteration_tokens_total_sum", None)
    };
    // 48 of the second prompt's tokens are in the cache; each answer is one token.
    assert_eq!([33, 23, 22, 8].map(tokens), [82.0, 82.0, 130.0, 130.0]);
}

#[test]
fn who_ends_at_the_last_token_allowed_ends_by_length_before_0_12() {
    let by_length = |minor| {
        let mut world = Driver::new(ten_ms(minor));
        for (id, output) in [(0, 4), (1, 5), (2, 6)] {
            let own = RequestAttributes { max_tokens: Some(5), ..RequestAttributes::default() };
            world.submit_with(ms(0), request(id, 16, output), own);
        }
        world.finish();
        world.series("vllm:request_success_total", Some(("finished_reason", "length")))
    };
    assert_eq!([33, 12, 11, 8].map(by_length), [1.0, 1.0, 2.0, 2.0]);
}

#[test]
fn the_null_block_is_in_use_before_0_11() {
    let idle = |minor| {
        let world = Driver::new(EngineConfig { kv_blocks: 99, max_model_len: 128, ..ten_ms(minor) });
        let name = if minor < 11 { "vllm:gpu_cache_usage_perc" } else { "vllm:kv_cache_usage_perc" };
        world.series(name, None)
    };
    assert_eq!([33, 11, 10, 8].map(idle), [0.0, 0.0, 0.01, 0.01]);
}

#[test]
fn partly_filled_blocks_are_used_again_last_before_0_24() {
    let found = |minor| {
        let base = EngineConfig { kv_blocks: 8, max_model_len: 128, ..ten_ms(minor) };
        let mut world = Driver::new(base);
        // Half of the cache; the other half was never used and lies before it in the free queue.
        world.submit_with(ms(0), request(0, 64, 1), of_text(7, 64));
        // One of the never used, half filled.
        world.submit(ms(50), request(1, 8, 1));
        // Four blocks: with it the four that hold nothing; without it one of the text too.
        world.submit(ms(100), request(2, 64, 1));
        world.submit_with(ms(150), request(3, 80, 1), of_text(7, 80));
        world.finish();
        lookups(&world, minor).1
    };
    assert_eq!([33, 24, 23, 11].map(found), [64.0, 64.0, 48.0, 48.0]);
}

#[test]
fn by_priority_a_step_goes_on_after_an_own_eviction_since_0_33() {
    let first_token = |minor| {
        let scheduling = Scheduling { by_priority: true, ..Scheduling::default() };
        let base = EngineConfig { kv_blocks: 8, max_model_len: 128, reserve_full_prompt: false, ..ten_ms(minor) };
        let mut world = Driver::new(EngineConfig { scheduling, ..base });
        let of = |priority| RequestAttributes { priority, ..RequestAttributes::default() };
        world.submit_with(ms(0), request(0, 48, 30), of(1));
        world.submit_with(ms(5), request(1, 48, 30), of(0));
        // At 170 ms request 0, admitted first and mattering less, finds no fifth block and evicts itself.
        world.submit_with(ms(165), request(2, 16, 1), of(0));
        world.finish();
        world.first_tokens().into_iter().find(|(id, _)| *id == 2).map(|(_, at)| at)
    };
    // A schedule that evicts admits nobody. Before, it ended with the eviction: an empty step, and at once the next schedule.
    assert_eq!((first_token(33), first_token(32)), (Some(190), Some(180)));
}

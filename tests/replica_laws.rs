//! Laws over random workloads, Little's law, and the measured CPU demo.

#[expect(dead_code, reason = "each test file uses its part of it")]
mod replica_support;

use kedasim::replica::{EngineConfig, EngineEvent, StepTime, StepTimeCoefficients, built_in_profile};
use kedasim::traffic::RequestId;
use kedasim::units::{Seed, SimDuration, SimTime, math};
use proptest::prelude::*;
use replica_support::{Driver, config, ms, request};

/// Small caches, budgets and batches, so that everything that can run out does.
fn small_world() -> impl Strategy<Value = EngineConfig> {
    (4u32..60, 1u32..12, 8u32..200, any::<bool>(), any::<bool>(), 0u64..30, 0.0..50.0).prop_map(
        |(kv_blocks, seqs, budget, reserve, is_async, overhead, ck)| {
            let coefficients = StepTimeCoefficients {
                t0_ms: 1.0,
                w_ms: 5.0,
                experts: None,
                cp_us_per_token: 90.0,
                ca_ns_per_pair: 3.0,
                ck_ns_per_token: ck * 1e3,
                cs_us_per_seq: 100.0,
                knee: 2.0,
            };
            EngineConfig {
                kv_blocks,
                max_num_seqs: seqs,
                max_num_batched_tokens: budget,
                max_model_len: 400,
                reserve_full_prompt: reserve,
                async_scheduling: is_async,
                request_overhead: SimDuration::from_millis(overhead),
                ..config(&coefficients)
            }
        },
    )
}

/// (gap in ms since the one before, prompt, output, aborted after so many ms).
fn workload() -> impl Strategy<Value = Vec<(u64, u32, u32, Option<u64>)>> {
    prop::collection::vec((0u64..60, 1u32..150, 1u32..120, prop::option::weighted(0.1, 0u64..400)), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn everything_submitted_ends_and_nothing_leaks(config in small_world(), workload in workload()) {
        let mut world = Driver::new(config);
        // Submissions (prompt and output tokens) and aborts.
        let mut calls = Vec::new();
        let mut at = 0;
        for (id, (gap, prompt, output, abort)) in workload.iter().enumerate() {
            at += gap;
            calls.push((ms(at), id as u64, Some((*prompt, *output))));
            if let Some(after) = abort {
                calls.push((ms(at + after), id as u64, None));
            }
        }
        calls.sort_by_key(|(at, ..)| *at);
        let mut expected = std::collections::BTreeMap::new();
        let mut aborted = std::collections::BTreeSet::new();
        for (at, id, call) in calls {
            match call {
                Some((prompt, output)) if world.engine.accepts(&request(id, prompt, output)) => {
                    world.submit(at, request(id, prompt, output));
                    expected.insert(id, (prompt, output, at));
                }
                Some(_) => {}
                None => {
                    world.advance(at);
                    if world.engine.request_ids().contains(&RequestId(id)) {
                        aborted.insert(id);
                    }
                    world.abort(at, id);
                }
            }
            world.engine.check().expect("invariants hold");
        }
        world.finish(); // Driver checks the engine's invariants (blocks conserved) after every wake.

        let cache = world.config.kv_blocks * 16;
        let limit = world.config.max_model_len.min(cache);
        let finished = world.finished();
        for done in &finished {
            let (prompt, output, at) = expected.remove(&done.id.0).expect("finished once, and submitted");
            prop_assert_eq!(done.generated_tokens, output.min(limit - prompt));
            prop_assert_eq!((done.prompt_tokens, done.arrived), (prompt, at));
            prop_assert!(done.arrived <= done.scheduled && done.scheduled < done.first_token);
            prop_assert!(done.first_token <= done.at);
            prop_assert!(!aborted.contains(&done.id.0), "request {} ended after its abort", done.id.0);
        }
        prop_assert!(expected.keys().all(|id| aborted.contains(id)), "left: {:?}", expected.keys());
        prop_assert_eq!(world.engine.in_flight(), 0);
        prop_assert_eq!(world.engine.gauges(world.now), (0, 0, 0.0));

        // What the events say is what the counters say.
        let (mut first, mut later) = (0u64, 0u64);
        for event in &world.events {
            match event {
                EngineEvent::FirstToken { .. } => first += 1,
                EngineEvent::TokenGaps { count, .. } => later += count,
                EngineEvent::TokenGapRun { steps, count, .. } => later += steps * count,
                EngineEvent::Finished(_) => {}
            }
        }
        prop_assert_eq!(world.engine.totals(world.now).0, first + later);
        prop_assert_eq!(world.series("vllm:generation_tokens_total", None), (first + later) as f64);
        prop_assert_eq!(world.series("vllm:inter_token_latency_seconds_count", None), later as f64);
        prop_assert_eq!(world.series("vllm:time_to_first_token_seconds_count", None), first as f64);
        prop_assert_eq!(world.series("vllm:e2e_request_latency_seconds_count", None), finished.len() as f64);
    }

    #[test]
    fn observers_and_early_wakes_do_not_disturb(config in small_world(), workload in workload(), every in 1u64..40) {
        let run = |observe: bool| {
            let mut world = Driver::new(config.clone());
            let mut row = Vec::new();
            let mut at = 0;
            for (id, (gap, prompt, output, _)) in workload.iter().enumerate() {
                if observe {
                    for tick in (at..at + gap).step_by(every as usize) {
                        // Up to the instant only, as a scrape between two events is.
                        world.advance(ms(tick));
                        if world.engine.next_wake() != Some(ms(tick)) {
                            world.engine.wake(ms(tick), &mut world.events);
                            world.engine.expose(ms(tick), &mut row);
                        }
                    }
                }
                at += gap;
                if world.engine.accepts(&request(id as u64, *prompt, *output)) {
                    world.submit(ms(at), request(id as u64, *prompt, *output));
                }
            }
            world.finish();
            world.events
        };
        prop_assert_eq!(run(false), run(true));
    }
}

#[test]
fn littles_law_holds_for_requests_inside() {
    let profile = built_in_profile("llama-3.1-8b-h100").expect("built in");
    let step_time = StepTime::new(&profile.step_time).expect("valid");
    let mut world = Driver::new(EngineConfig {
        step_time,
        request_overhead: SimDuration::from_millis(10),
        kv_blocks: 28_319,
        max_num_seqs: 1024,
        max_num_batched_tokens: 8192,
        ..config(&profile.step_time)
    });
    let mut stream = Seed(3).stream("test", 0);
    let (rate, n) = (8.0, 4_000);
    let mut at = SimTime::ZERO;
    for id in 0..n {
        at += SimDuration::from_secs_f64(stream.exponential() / rate);
        let output = 1 + stream.below(255) as u32;
        world.submit(at, request(id, 512, output));
    }
    let horizon = at;
    world.finish();
    // Mean number inside by integrating arrivals and departures, against arrival rate x mean time inside.
    let finished = world.finished();
    let mean_time = finished.iter().map(|f| f.at.since(f.arrived).as_secs_f64_exact()).sum::<f64>() / n as f64;
    let inside: f64 = finished
        .iter()
        .map(|f| f.at.min(horizon).saturating_since(f.arrived.min(horizon)).as_secs_f64_exact())
        .sum::<f64>()
        / horizon.as_secs_f64();
    let predicted = n as f64 / horizon.as_secs_f64() * mean_time;
    assert!((inside / predicted - 1.0).abs() < 0.01, "{inside} inside, Little's law says {predicted}");
    // Light load: about one step per token (7 to 8 ms), so a mean of 128 tokens takes about a second.
    assert!((0.85..1.25).contains(&mean_time), "{mean_time} s");
}

/// calibrate.py of the CPU demo (vllm.md 3.5): `workers` send one request after the other for 30 s, then the last ones
/// drain. Tokens (prompt and output) of all per second until the last ends.
fn closed_loop_throughput(workers: u32, seed: u64) -> f64 {
    let profile = built_in_profile("opt-125m-cpu").expect("built in");
    let mut world = Driver::new(EngineConfig {
        kv_blocks: u32::try_from(profile.kv_tokens / 16).expect("small"),
        max_num_seqs: profile.max_num_seqs,
        max_num_batched_tokens: profile.max_num_batched_tokens,
        max_model_len: profile.max_model_len,
        ..config(&profile.step_time)
    });
    let mut lengths = Seed(seed).stream("test-lengths", u64::from(workers));
    let mut next_id = 0;
    let mut send = |world: &mut Driver, at: SimTime| {
        // Geometric with hazard 0.0049, cut at 200.
        let length = (math::ln(lengths.uniform_positive()) / math::ln_1p(-0.0049)).ceil().clamp(1.0, 200.0);
        world.submit(at, request(next_id, 15, length as u32));
        next_id += 1;
    };
    for _ in 0..workers {
        send(&mut world, SimTime::ZERO);
    }
    let mut seen = 0;
    let (mut tokens, mut last) = (0u64, SimTime::ZERO);
    while let Some(next) = world.engine.next_wake() {
        world.advance(next);
        let mut answered = 0;
        for event in &world.events[seen..] {
            if let EngineEvent::Finished(done) = event {
                tokens += u64::from(done.prompt_tokens + done.generated_tokens);
                last = done.at;
                answered += u32::from(done.at < SimTime::from_secs(30));
            }
        }
        seen = world.events.len();
        for _ in 0..answered {
            send(&mut world, last);
        }
        world.settle(next);
    }
    tokens as f64 / last.as_secs_f64()
}

#[test]
fn the_cpu_demo_is_reproduced() {
    // Workers, tokens per second as measured (vllm.md 3.5).
    let measured = [(1, 20.1), (2, 35.6), (4, 56.6), (8, 81.6), (16, 133.1)];
    let mut errors = Vec::new();
    for (workers, expected) in measured {
        let mean = (0..50).map(|seed| closed_loop_throughput(workers, seed)).sum::<f64>() / 50.0;
        errors.push((workers, mean, mean / expected - 1.0));
    }
    let mean_error = errors.iter().map(|(_, _, error)| error.abs()).sum::<f64>() / errors.len() as f64;
    assert!(mean_error <= 0.06, "mean absolute error {mean_error}: {errors:?}");
    println!("mean absolute error {mean_error}: {errors:?}");
}

//! When requests leave, and that nothing the system does changes them.

use super::*;
use crate::traffic::{LengthDistribution, TraceRow};
use proptest::prelude::*;

fn spec(arrivals: Arrivals) -> TrafficSpec {
    TrafficSpec {
        arrivals,
        prompt: LengthDistribution::Uniform { min: 10, max: 1000 },
        output: LengthDistribution::Geometric { hazard: 0.02, max: 500 },
        max_tokens: None,
        start: SimTime::ZERO,
        stop: SimTime::NEVER,
    }
}

/// Up to `limit` requests with their times, responses never given.
fn take(source: &mut TrafficSource, limit: usize) -> Vec<(SimTime, Request)> {
    let mut taken = Vec::new();
    while taken.len() < limit
        && let Some(at) = source.next_arrival()
    {
        taken.push((at, source.pop()));
    }
    taken
}

fn trace(seconds: &[u64]) -> Arrivals {
    let row = |second: &u64| TraceRow {
        at: SimTime::from_secs(*second),
        prompt_tokens: 7,
        output_tokens: 9,
        max_tokens: None,
    };
    Arrivals::Recorded(Arc::new(Trace {
        name: "t".to_owned(),
        rows: seconds.iter().map(row).collect(),
        texts: Vec::new(),
        notes: Vec::new(),
    }))
}

#[test]
fn first_draws_are_pinned() {
    let first = |arrivals: Arrivals| {
        let taken = take(&mut TrafficSource::new(&spec(arrivals), Seed(1)), 3);
        let shown = |(at, request): &(SimTime, Request)| {
            (at.as_ps(), request.id.0, request.prompt_tokens, request.output.reveal_to_engine())
        };
        taken.iter().map(shown).collect::<Vec<_>>()
    };
    // Picoseconds, id, prompt tokens, output tokens.
    let draws = [
        first(Arrivals::Poisson { rate: 2.0 }),
        first(Arrivals::Gamma { rate: 2.0, cv: 3.0 }),
        first(Arrivals::ClosedLoop { workers: 2, think: SimDuration::ZERO }),
    ];
    let expected = [
        vec![(14_908_579_364, 0, 70, 33), (707_142_605_510, 1, 793, 101), (1_058_120_390_771, 2, 13, 55)],
        // Other times, the same requests.
        vec![(136_994_272_801, 0, 70, 33), (189_206_114_362, 1, 793, 101), (275_837_905_492, 2, 13, 55)],
        // One request of each worker, then both wait.
        vec![(0, 0, 516, 94), (0, 1 << 32, 410, 9)],
    ];
    assert_eq!(draws, expected);
}

#[test]
fn gaps_have_the_stated_mean_and_variation() {
    for (arrivals, cv) in [
        (Arrivals::Poisson { rate: 4.0 }, 1.0),
        (Arrivals::Gamma { rate: 4.0, cv: 0.5 }, 0.5),
        (Arrivals::Gamma { rate: 4.0, cv: 2.5 }, 2.5),
        (Arrivals::Gamma { rate: 4.0, cv: 0.0 }, 0.0),
    ] {
        let taken = take(&mut TrafficSource::new(&spec(arrivals.clone()), Seed(5)), 100_001);
        let gaps: Vec<f64> = taken.windows(2).map(|pair| pair[1].0.since(pair[0].0).as_secs_f64_exact()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean) * (gap - mean)).sum::<f64>() / gaps.len() as f64;
        assert!((mean * 4.0 - 1.0).abs() < 0.03, "{arrivals:?}: mean {mean}");
        assert!((variance.sqrt() / mean - cv).abs() < 0.05 * cv + 1e-9, "{arrivals:?}: variance {variance}");
    }
}

#[test]
fn stages_offer_their_rates_and_then_nothing() {
    let seconds = SimDuration::from_secs;
    let stages = vec![(seconds(1000), 2.0), (seconds(500), 0.0), (seconds(1000), 8.0)];
    let mut spec = spec(Arrivals::Stages(stages));
    spec.start = SimTime::from_secs(100);
    let mut source = TrafficSource::new(&spec, Seed(5));
    let times: Vec<u64> = take(&mut source, 100_000).iter().map(|(at, _)| at.as_secs_floor()).collect();
    let within = |from: u64, to: u64| times.iter().filter(|at| (from..to).contains(*at)).count() as f64;
    assert!((within(100, 1100) / 2000.0 - 1.0).abs() < 0.07);
    assert_eq!(within(1100, 1600), 0.0);
    assert!((within(1600, 2600) / 8000.0 - 1.0).abs() < 0.04);
    assert_eq!(within(0, 100) + within(2600, u64::MAX), 0.0);
    assert!(source.exhausted());
    for (at, rate) in [(99, 0.0), (100, 2.0), (1099, 2.0), (1100, 0.0), (1600, 8.0), (2600, 0.0)] {
        assert_eq!(source.nominal_rate(SimTime::from_secs(at)), Some(rate), "at {at}");
    }
}

#[test]
fn start_and_stop_bound_every_kind() {
    for arrivals in [
        Arrivals::Poisson { rate: 3.0 },
        Arrivals::Gamma { rate: 3.0, cv: 2.0 },
        Arrivals::Stages(vec![(SimDuration::from_secs(1000), 3.0)]),
        trace(&[0, 5, 5, 19, 20, 40]),
        Arrivals::ClosedLoop { workers: 3, think: SimDuration::from_secs(4) },
    ] {
        let mut spec = spec(arrivals);
        spec.start = SimTime::from_secs(50);
        spec.stop = SimTime::from_secs(70);
        let mut source = TrafficSource::new(&spec, Seed(5));
        let mut sent = 0;
        while let Some(at) = source.next_arrival() {
            assert!(at >= spec.start && at < spec.stop, "{at}");
            let request = source.pop();
            source.response(&request, at + SimDuration::from_secs(1));
            sent += 1;
        }
        assert!(sent > 3 && source.exhausted());
        if let Some(rate) = source.nominal_rate(SimTime::from_secs(60)) {
            assert!(rate > 0.0);
            assert_eq!(source.nominal_rate(SimTime::from_secs(49)), Some(0.0));
            assert_eq!(source.nominal_rate(SimTime::from_secs(70)), Some(0.0));
        }
        spec.stop = spec.start;
        assert!(TrafficSource::new(&spec, Seed(5)).exhausted());
    }
}

#[test]
fn a_trace_is_replayed_as_recorded() {
    let mut spec = spec(trace(&[0, 30, 30, 90]));
    spec.start = SimTime::from_secs(10);
    let mut source = TrafficSource::with_number(&spec, Seed(5), 2);
    let taken = take(&mut source, 10);
    let times: Vec<u64> = taken.iter().map(|(at, _)| at.as_secs_floor()).collect();
    assert_eq!(times, [10, 40, 40, 100]);
    let (_, second) = taken[1];
    assert_eq!((second.prompt_tokens, second.output.reveal_to_engine(), second.worker), (7, 9, None));
    assert_eq!((second.id.0, second.id.source()), (2 << 56 | 1, 2));
    assert_eq!(source.nominal_rate(SimTime::from_secs(69)), Some(3.0 / 60.0));
    assert_eq!(source.nominal_rate(SimTime::from_secs(70)), Some(1.0 / 60.0));
}

#[test]
fn sources_differ_in_draws_and_ids() {
    let spec = spec(Arrivals::Poisson { rate: 2.0 });
    let first = take(&mut TrafficSource::with_number(&spec, Seed(1), 0), 50);
    let second = take(&mut TrafficSource::with_number(&spec, Seed(1), 1), 50);
    assert!(first.iter().zip(&second).all(|(left, right)| left.0 != right.0 && left.1.id != right.1.id));
}

#[test]
#[should_panic(expected = "does not wait for request")]
fn a_response_comes_once() {
    let mut source = TrafficSource::new(&spec(Arrivals::ClosedLoop { workers: 1, think: SimDuration::ZERO }), Seed(1));
    let request = source.pop();
    source.response(&request, SimTime::from_secs(1));
    source.response(&request, SimTime::from_secs(2));
}

#[test]
#[should_panic(expected = "no request is pending")]
fn nothing_pending_cannot_be_taken() {
    TrafficSource::new(&spec(trace(&[])), Seed(1)).pop();
}

/// Runs a closed loop in which the n-th response takes `delays[n % len]` milliseconds; returns all requests.
fn closed_loop(workers: u32, think: SimDuration, delays: &[u64], seed: u64) -> Vec<(SimTime, Request)> {
    let mut spec = spec(Arrivals::ClosedLoop { workers, think });
    spec.stop = SimTime::from_secs(120);
    let mut source = TrafficSource::new(&spec, Seed(seed));
    let mut inside: Vec<(SimTime, Request)> = Vec::new();
    let mut sent = Vec::new();
    loop {
        inside.sort_by_key(|(done, request)| (*done, request.id));
        let response = inside.first().map(|(done, _)| *done);
        match (source.next_arrival(), response) {
            (None, None) => return sent,
            (Some(at), done) if done.is_none_or(|done| at <= done) => {
                let request = source.pop();
                let delay = delays[sent.len() % delays.len()];
                inside.push((at + SimDuration::from_millis(delay), request));
                sent.push((at, request));
                assert!(inside.len() <= workers as usize, "more requests than workers");
            }
            _ => {
                let (done, request) = inside.remove(0);
                source.response(&request, done);
            }
        }
    }
}

proptest! {
    #[test]
    fn arrivals_never_go_back(rate in 0.01..100.0f64, cv in 0.0..8.0f64, seed in any::<u64>(), start in 0..1000u64) {
        for arrivals in [
            Arrivals::Poisson { rate },
            Arrivals::Gamma { rate, cv },
            Arrivals::Stages(vec![(SimDuration::from_secs(50), rate), (SimDuration::from_secs(50), cv)]),
        ] {
            let mut spec = spec(arrivals);
            spec.start = SimTime::from_secs(start);
            let taken = take(&mut TrafficSource::new(&spec, Seed(seed)), 200);
            prop_assert!(taken.iter().all(|(at, _)| *at >= spec.start));
            prop_assert!(taken.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1.id < pair[1].1.id));
        }
    }

    #[test]
    fn requests_drawn_ahead_are_those_that_come(
        rate in 0.5..20.0f64, cv in 0.0..3.0f64, seed in any::<u64>(), end in 0..40u64, most in 0..300usize, copied in 0..250usize,
    ) {
        for arrivals in [
            Arrivals::Poisson { rate },
            Arrivals::Gamma { rate, cv },
            Arrivals::Stages(vec![(SimDuration::from_secs(9), rate), (SimDuration::from_secs(9), cv)]),
        ] {
            let spec = spec(arrivals);
            let mut ahead = TrafficSource::new(&spec, Seed(seed));
            ahead.draw_ahead(SimTime::from_secs(end), most);
            let expected = take(&mut TrafficSource::new(&spec, Seed(seed)), 400);
            let mut found = take(&mut ahead, copied);
            let mut copy = ahead.clone();
            found.extend(take(&mut copy, 400 - copied));
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(take(&mut ahead, 400 - copied), &expected[copied.min(expected.len())..]);
        }
    }

    #[test]
    fn response_times_do_not_change_what_a_worker_sends(
        workers in 1..6u32, think in 0..9000u64,
        fast in proptest::collection::vec(1..500u64, 1..5), slow in proptest::collection::vec(500..20_000u64, 1..5),
        seed in any::<u64>(),
    ) {
        let think = SimDuration::from_millis(think + 100);
        let by_id = |delays: &[u64]| {
            let mut requests: Vec<Request> =
                closed_loop(workers, think, delays, seed).into_iter().map(|(_, request)| request).collect();
            requests.sort_by_key(|request| request.id);
            requests.dedup_by_key(|request| request.id);
            requests
        };
        let (fast, slow) = (by_id(&fast), by_id(&slow));
        prop_assert!(slow.len() <= fast.len());
        for request in slow {
            prop_assert!(fast.contains(&request));
        }
    }

    #[test]
    fn a_worker_thinks_between_response_and_request(workers in 1..4u32, delay in 1..3000u64, seed in any::<u64>()) {
        let think = SimDuration::from_secs(3);
        let sent = closed_loop(workers, think, &[delay], seed);
        for worker in 0..workers {
            let times: Vec<SimTime> = sent.iter().filter(|(_, request)| request.worker == Some(worker))
                .map(|(at, _)| *at).collect();
            prop_assert_eq!(times[0], SimTime::ZERO);
            let gap = think + SimDuration::from_millis(delay);
            prop_assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) == gap));
        }
    }
}

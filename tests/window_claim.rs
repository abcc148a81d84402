//! A real claim about stabilization windows, examined (verdicts.md 7 and 9): the reference policy on steady loads, with noise
//! and without.

use kedasim::analysis::{Cause, FlapClass, Flapping, Summary, flapping, replications, summarize};
use kedasim::hpa::{
    ControllerFlags, HpaSpec, HpaState, KubernetesVersion, MetricObservation, MetricSpec, MetricTarget, Observation,
    Policy, PolicyKind, ScalingRules, SelectPolicy, reconcile,
};
use kedasim::manifest::{Bundle, Input};
use kedasim::record::{EventKind, FleetSums, RunRecord};
use kedasim::scenario::{AnalysisSettings, Overrides, ResolvedRun, replace_scenario, resolve};
use kedasim::sim::{has_expectation, simulate, simulate_expected};
use kedasim::units::{Seed, SimDuration, SimTime};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The reference policy at `tokens` per second on average, with values set.
fn reference(tokens: f64, set: &[(&str, &str)]) -> ResolvedRun {
    let mut bundle = Bundle::load(&[Input::Path(repository("policies/opt-125m"))]).expect("the policy loads");
    replace_scenario(&mut bundle, &repository("policies/sweeps/scenarios/steady-poisson.yaml")).expect("it loads");
    let rate = (tokens / 116.0).to_string();
    bundle.set_text("Scenario:spec.traffic.arrivals.poisson.rate", &rate).expect("the path is there");
    for (path, value) in set {
        bundle.set_text(path, value).unwrap_or_else(|error| panic!("{error}"));
    }
    resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"))
}

const UP: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.stabilizationWindowSeconds";
const DOWN: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";

fn flaps(run: &ResolvedRun, seed: u64) -> (Flapping, RunRecord) {
    let run = ResolvedRun { seed: Seed(seed), ..run.clone() };
    let record = simulate(&run, false).unwrap_or_else(|error| panic!("{error}"));
    (flapping(&record, SimDuration::from_secs(600)), record)
}

fn history(record: &RunRecord) -> Vec<(SimTime, i32)> {
    let to = |event: &kedasim::record::Event| match event.kind {
        EventKind::Scaled { to, .. } => Some((event.t, to)),
        _ => None,
    };
    record.events.iter().filter_map(to).collect()
}

#[test]
fn a_scale_up_window_of_15_s_is_none_at_all() {
    let short = [("Scenario:spec.duration", "3h")];
    let none = reference(8.0, &[short[0], (UP, "0")]);
    let fifteen = reference(8.0, &[short[0], (UP, "15")]);
    let thirty = reference(8.0, &[short[0], (UP, "30")]);
    for seed in [1, 2] {
        let histories = [&none, &fifteen, &thirty].map(|run| history(&flaps(run, seed).1));
        assert!(histories[0].len() > 10, "it moves");
        assert_eq!(histories[0], histories[1], "seed {seed}");
        assert_ne!(histories[0], histories[2], "seed {seed}");
    }
}

#[test]
fn at_8_tokens_per_second_the_up_window_helps_little_and_the_down_window_much() {
    let reversals = |up, down| {
        let run = reference(8.0, &[(UP, up), (DOWN, down)]);
        (1..=3u64).into_par_iter().map(|seed| flaps(&run, seed).0.reversals).sum::<u64>() as f64
    };
    let (none, thirty, long) = (reversals("0", "120"), reversals("30", "120"), reversals("30", "300"));
    // 36 hours each: 12.8, 11.0 and 5.2 per hour are expected, give or take other details of requests.
    assert!((9.0..14.5).contains(&(thirty / 36.0)), "{thirty}");
    let (little, much) = (1.0 - thirty / none, 1.0 - long / thirty);
    assert!((0.05..0.25).contains(&little), "{none} -> {thirty}");
    assert!((0.40..0.70).contains(&much), "{thirty} -> {long}");
}

#[test]
fn with_a_down_window_of_120_s_noise_drives_every_load_from_4_to_11_tokens_per_second() {
    let found = |tokens: i32| {
        let run = reference(f64::from(tokens), &[("Scenario:spec.duration", "6h"), ("Scenario:spec.warmup", "30m")]);
        let summary = summarize(&flaps(&run, 1).1, &run.analysis);
        let calm = simulate_expected(&run, false).unwrap_or_else(|error| panic!("{error}"));
        let suspected = |cause: Cause| {
            summary.causes.iter().filter(|own| own.cause == cause).map(|own| (own.suspected, own.matched)).next()
        };
        (tokens, summary.flapping.flaps, suspected(Cause::Noise), suspected(Cause::AverageOfAverage), calm, run)
    };
    let all: Vec<_> = (4..=11).into_par_iter().map(found).collect();
    for (tokens, flaps, noise, average, calm, run) in all {
        assert!(flaps >= 20, "{flaps} flaps in 5.5 h at {tokens} tokens/s");
        let noise = noise.expect("noise is suspected").0;
        assert!(2 * noise > flaps, "noise is the first suspect of {noise} of {flaps} flaps at {tokens} tokens/s");
        assert_eq!(average, None, "no flap looks like an average under AverageValue at {tokens} tokens/s");
        // With the expectation of the same metric nothing is left, so it is confirmed.
        let calm = summarize(&calm, &run.analysis).flapping;
        assert_eq!((calm.flaps, calm.reversals), (0, 0), "{tokens} tokens/s");
    }
}

#[test]
fn means_of_samples_are_close_to_means_over_time() {
    let mut run = reference(8.0, &[("Scenario:spec.duration", "12h")]);
    let sampled = flaps(&run, 1).1.fleet;
    run.sample_interval = SimDuration::from_millis(100);
    let dense = flaps(&run, 1).1.fleet;
    let usage = |fleet: FleetSums| fleet.mean_kv_usage().expect("pods were ready");
    let (few, many) = (usage(sampled), usage(dense));
    assert!(dense.samples > 49 * sampled.samples, "{} and {}", dense.samples, sampled.samples);
    // 3000 requests of 5.6 s each, looked at every 5 s: chance alone leaves about 1 %.
    assert!((few / many - 1.0).abs() < 0.03, "KV cache: {few} sampled, {many} every 100 ms");
    let queue = |fleet: FleetSums| fleet.mean_queue().expect("there are samples");
    assert!((queue(sampled) - queue(dense)).abs() < 0.01, "queue: {} and {}", queue(sampled), queue(dense));
}

/// One client that thinks for 8 s, as in the policy's own scenario, for twelve hours.
fn one_client(up: &str) -> Vec<Summary> {
    let traffic = "{arrivals: {closedLoop: {workers: 1, think: 8s}}, prompt: {constant: 15}, \
                   output: {geometric: {hazard: 0.0081, max: 200}}}";
    let set = [
        ("Scenario:spec.traffic", traffic),
        ("Scenario:spec.duration", "12h"),
        ("Scenario:spec.warmup", "30m"),
        (UP, up),
    ];
    let run = reference(8.0, &set);
    (1..=5u64).into_par_iter().map(|seed| summarize(&flaps(&run, seed).1, &run.analysis)).collect()
}

#[test]
fn the_example_s_own_closed_loop_settles_at_two_and_is_stable_with_30_s() {
    let [none, thirty] = ["0", "30"].map(one_client);
    let together = |runs: &[Summary]| replications(runs, &AnalysisSettings::default()).flaps.expect("measured time");
    let (none, calm) = (together(&none), together(&thirty));
    for run in &thirty {
        assert!((1.97..2.03).contains(&run.replicas_mean), "{}", run.replicas_mean);
    }
    assert_eq!((calm.verdict.class, calm.verdict.decided), (FlapClass::Stable, true), "{calm:?}");
    // Excursions over 11 tokens per second last for one sync: a second look removes most of them.
    assert!(calm.rate < 0.3 && none.rate > 3.0 * calm.rate, "{} -> {}", none.rate, calm.rate);
}

/// Where the whole loop ends without chance in its metric, started from `initial`.
fn settles_at(tokens: f64, initial: &str) -> i32 {
    let set = [
        ("Scenario:spec.duration", "1h"),
        ("Scenario:spec.initialReplicas", initial),
        ("Scenario:spec.warmup", "30m"),
        ("Scenario:spec.traffic.output", "{constant: 101}"),
    ];
    let run = reference(tokens, &set);
    assert_eq!(has_expectation(&run), Ok(()));
    let record = simulate_expected(&run, false).unwrap_or_else(|error| panic!("{error}"));
    let history = history(&record);
    assert!(history.iter().all(|(t, _)| *t < SimTime::from_secs(1800)), "{tokens} from {initial}: {history:?}");
    history.last().map_or_else(|| initial.parse().expect("a count"), |(_, to)| *to)
}

#[test]
fn without_noise_the_whole_loop_finds_the_fixed_points_and_the_bistable_bands() {
    // From an empty window the rate passes 5.5 to 10 on its way, so 10.6 from 1 stops at 2, within the band of two replicas.
    for (tokens, ends) in [(4.9, [1, 1, 1]), (5.3, [1, 2, 2]), (8.0, [2, 2, 2]), (10.6, [2, 2, 3]), (12.0, [3, 3, 3])] {
        let found = ["1", "2", "3"].map(|initial| settles_at(tokens, initial));
        assert_eq!(found, ends, "{tokens} tokens/s");
    }
}

#[test]
fn what_has_no_expectation_is_refused() {
    let query = ("spec.triggers[0].metadata.query", "sum(vllm:num_requests_waiting)");
    let why = has_expectation(&reference(8.0, &[query])).expect_err("a gauge");
    assert!(why.contains("s0-prometheus is no sum of rates of the token counters"), "{why}");
    let closed = ("Scenario:spec.traffic.arrivals", "{closedLoop: {workers: 1, think: 8s}}");
    let mut bundle = Bundle::load(&[Input::Path(repository("policies/opt-125m"))]).expect("the policy loads");
    replace_scenario(&mut bundle, &repository("policies/sweeps/scenarios/steady-poisson.yaml")).expect("it loads");
    bundle.set_text(closed.0, closed.1).expect("the path is there");
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(has_expectation(&run).expect_err("no law").contains("no law"));
    assert!(simulate_expected(&run, false).is_err());
}

/// Syncs 15.05 s apart.
const SYNC_MS: u64 = 15_050;

fn rules(window: u64, policies: Vec<Policy>) -> ScalingRules {
    ScalingRules {
        stabilization_window: SimDuration::from_secs(window),
        select_policy: SelectPolicy::Max,
        policies,
        tolerance: None,
    }
}

fn policy(kind: PolicyKind, value: i32, period: u64) -> Policy {
    Policy { kind, value, period: SimDuration::from_secs(period) }
}

fn spec(max_replicas: i32, target: MetricTarget, behavior: Option<(ScalingRules, ScalingRules)>) -> HpaSpec {
    let metrics = vec![MetricSpec::new("s0-prometheus", target)];
    HpaSpec { namespace: "default".to_owned(), min_replicas: 1, max_replicas, metrics, behavior }
}

/// The default policies with windows.
fn with_windows(up: u64, down: u64) -> Option<(ScalingRules, ScalingRules)> {
    let ups = vec![policy(PolicyKind::Pods, 4, 15), policy(PolicyKind::Percent, 100, 15)];
    Some((rules(up, ups), rules(down, vec![policy(PolicyKind::Percent, 100, 15)])))
}

/// Replica counts at every sync of the HPA alone, with pods that are there at once and a metric of the count.
fn counts(spec: &HpaSpec, start: i32, syncs: u64, metric: impl Fn(i32) -> f64) -> Vec<i32> {
    let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    let mut state = HpaState::default();
    let mut replicas = start;
    let mut found = Vec::new();
    for sync in 1..=syncs {
        let told = (metric(replicas) * 1000.0).round() as i64;
        let observation = Observation {
            now: SimTime::ZERO + SimDuration::from_millis(sync * SYNC_MS),
            spec_replicas: replicas,
            status_replicas: replicas,
            ready_pods: replicas,
            pods_exist: true,
            metrics: vec![MetricObservation::Series(vec![told])],
            pods: Vec::new(),
        };
        let decision = reconcile(&flags, spec, &state, &observation);
        state = decision.next;
        replicas = decision.new_replicas;
        found.push(replicas);
    }
    found
}

/// The counts visited once things have settled, and the number of syncs between two ups.
fn cycle(spec: &HpaSpec, start: i32, metric: impl Fn(i32) -> f64) -> (Vec<i32>, Option<usize>) {
    let late = counts(spec, start, 400, metric).split_off(100);
    let ups: Vec<usize> = (1..late.len()).filter(|index| late[*index] > late[index - 1]).collect();
    let distances: Vec<usize> = ups.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(distances.windows(2).all(|pair| pair[0] == pair[1]), "{distances:?}");
    let mut visited = late;
    visited.sort_unstable();
    visited.dedup();
    (visited, distances.first().copied())
}

#[test]
fn the_reference_policy_has_these_fixed_points_without_noise() {
    let behavior = (
        rules(30, vec![policy(PolicyKind::Pods, 4, 15), policy(PolicyKind::Percent, 100, 15)]),
        rules(120, vec![policy(PolicyKind::Pods, 1, 60)]),
    );
    let spec = spec(3, MetricTarget::ExternalAverageValue(5000), Some(behavior));
    let table = [
        (4.9, [1, 1, 1]),
        (5.0, [1, 1, 1]),
        (5.2, [1, 2, 2]),
        (5.5, [1, 2, 2]),
        (5.6, [2, 2, 2]),
        (9.9, [2, 2, 2]),
        (10.0, [2, 2, 2]),
        (10.5, [3, 2, 3]),
        (11.0, [3, 2, 3]),
        (11.1, [3, 3, 3]),
        (14.0, [3, 3, 3]),
    ];
    for (tokens, ends) in table {
        let found = [1, 2, 3].map(|start| cycle(&spec, start, |_| tokens).0);
        assert_eq!(found, ends.map(|end| vec![end]), "{tokens}");
    }
}

#[test]
fn an_average_under_average_value_cycles_and_as_a_value_it_does_not() {
    let average = |up, down| spec(10, MetricTarget::ExternalAverageValue(5000), with_windows(up, down));
    let policy = average(0, 300);
    let settled = |start, total: f64| cycle(&policy, start, |replicas| total / f64::from(replicas));
    for total in [3.0, 5.0] {
        assert_eq!(settled(1, total), (vec![1], None), "{total}");
    }
    // 21 syncs of 15.05 s are 316.05 s.
    for (start, total, visited) in [
        (1, 6.0, [1, 2]),
        (1, 8.0, [1, 2]),
        (1, 10.0, [1, 2]),
        (1, 12.0, [1, 3]),
        (4, 15.0, [1, 3]),
        (1, 20.0, [1, 4]),
        (1, 30.0, [2, 3]),
        (1, 40.0, [2, 4]),
    ] {
        assert_eq!(settled(start, total), (visited.to_vec(), Some(21)), "{total} from {start}");
    }
    for total in [12.0, 15.0, 20.0] {
        assert_eq!(settled(2, total), (vec![2], None), "{total} from 2");
    }
    let slow = cycle(&average(300, 300), 1, |replicas| 8.0 / f64::from(replicas));
    assert_eq!(slow, (vec![1, 2], Some(40)));
    let bare = spec(10, MetricTarget::ExternalAverageValue(5000), None);
    assert_eq!(cycle(&bare, 1, |replicas| 8.0 / f64::from(replicas)), (vec![1, 2], Some(21)));
    let value = spec(10, MetricTarget::ExternalValue(5000), with_windows(0, 300));
    for (total, end) in [(4.0, 1), (8.0, 2), (12.0, 3), (23.0, 5)] {
        let found = cycle(&value, 1, |replicas| total / f64::from(replicas));
        assert_eq!(found, (vec![end], None), "{total}");
    }
}

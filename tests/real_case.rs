//! The case this project came from: OPT-125M on CPU under KServe, scaled by KEDA on token throughput (prokube/examples,
//! serving/kserve-keda-autoscaling). What its authors measured and reported must come out of a run, on events and values,
//! over seeds.

mod support;

use kedasim::scenario::Overrides;
use kedasim::units::{Seed, SimDuration, SimTime};
use support::{replicas_at, run, scale_events, syncs, with_traffic};

/// Measured by the case's calibration script: closed loop of C workers for 30 s, then the drain; total tokens per second.
/// The profile's coefficients and the output hazard were fitted to these five numbers, so this checks the machinery
/// (engine, clients, drain, accounting), not the model's power to predict.
const CALIBRATION: [(u32, f64); 5] = [(1, 20.1), (2, 35.6), (4, 56.6), (8, 81.6), (16, 133.1)];

#[test]
fn calibration_is_reproduced_within_six_percent() {
    let mut errors = Vec::new();
    for (workers, measured) in CALIBRATION {
        let seeds = 50;
        let total: f64 = (1..=seeds)
            .map(|seed| {
                let traffic = format!("tests/calibration/workers-{workers}.yaml");
                let overrides = Overrides { fixed_replicas: Some(1), ..with_traffic(&traffic, seed) };
                run("policies/opt-125m", &overrides).1.tokens_completed_per_second
            })
            .sum();
        let simulated = total / seeds as f64;
        let error = (simulated - measured) / measured;
        println!("C={workers}: measured {measured} tok/s, simulated {simulated:.1}, error {:+.1} %", error * 100.0);
        errors.push(error.abs());
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    println!("mean absolute error {:.1} %", mean * 100.0);
    assert!(mean <= 0.06, "mean absolute error {mean:.3}");
}

const SEEDS: u64 = 20;
const LOAD_START: SimTime = SimTime::from_secs(120);
const LOAD_STOP: SimTime = SimTime::from_secs(720);

#[test]
fn stable_2_scales_to_two_and_stays() {
    let (mut averages, mut steady) = (Vec::new(), 0);
    for seed in 1..=SEEDS {
        let (record, _) = run("policies/opt-125m", &with_traffic("traces/stable-2.yaml", seed));
        let syncs = syncs(&record);
        let values: Vec<f64> = syncs
            .iter()
            .filter(|sync| (SimTime::from_secs(300)..SimTime::from_secs(720)).contains(&sync.t))
            .map(|sync| sync.metrics[0].value.expect("the query answers while the load is on"))
            .collect();
        averages.push(values.iter().sum::<f64>() / values.len() as f64);

        let above: Vec<SimTime> = syncs
            .iter()
            .filter(|sync| sync.metrics[0].value.is_some_and(|value| value > 5.5))
            .map(|sync| sync.t)
            .collect();
        let (first_up, from, to) = *scale_events(&record).first().expect("the load asks for a second replica");
        assert_eq!((from, to), (1, 2), "seed {seed}");
        let position = above.iter().position(|t| *t == first_up).map(|index| index + 1);
        assert!(matches!(position, Some(2 | 3)), "seed {seed}: scaled up at sync {position:?} above 5.5");

        let during: Vec<i32> =
            scale_events(&record).iter().filter(|(t, ..)| *t > first_up && *t < LOAD_STOP).map(|e| e.2).collect();
        steady += u32::from(during.is_empty());

        let last_two =
            syncs.iter().rfind(|sync| sync.metric_desired.is_some_and(|desired| desired >= 2)).expect("some").t;
        let (last_down, _, end) = *scale_events(&record).last().expect("it scales down again");
        assert_eq!(end, 1, "seed {seed} ends at {end}");
        assert!(
            last_down >= last_two + SimDuration::from_secs(120),
            "seed {seed}: down at {last_down}, last proposal of 2 at {last_two}"
        );
    }
    let mean = averages.iter().sum::<f64>() / averages.len() as f64;
    println!("stable-2: metric {mean:.2} tok/s over minutes 5 to 12, {steady} of {SEEDS} seeds stay at exactly 2");
    assert!((7.5..=9.0).contains(&mean), "the query averages {mean:.2}");
    assert!(steady >= 19, "only {steady} of {SEEDS} seeds stay at 2");
}

#[test]
fn stable_3_reaches_the_cap_and_steps_down_one_by_one() {
    for seed in 1..=SEEDS {
        let (record, _) = run("policies/opt-125m", &with_traffic("traces/stable-3.yaml", seed));
        let events = scale_events(&record);
        let (reached, ..) = *events.iter().find(|(_, _, to)| *to == 3).expect("reaches the cap");
        assert!(reached <= LOAD_START + SimDuration::from_secs(150), "seed {seed}: 3 replicas at {reached}");
        let mut ready: Vec<SimTime> = record.pods.iter().filter_map(|pod| pod.ready).collect();
        ready.sort();
        let third = ready.get(2).expect("three pods become Ready");
        assert!(*third <= LOAD_START + SimDuration::from_secs(270), "seed {seed}: third Ready pod at {third}");
        assert_eq!(replicas_at(&record, LOAD_STOP), 3, "seed {seed}");
        let after: Vec<(SimTime, i32, i32)> = events.into_iter().filter(|(t, ..)| *t > LOAD_STOP).collect();
        let steps: Vec<(i32, i32)> = after.iter().map(|(_, from, to)| (*from, *to)).collect();
        assert_eq!(steps, [(3, 2), (2, 1)], "seed {seed}");
        assert!(after[1].0.since(after[0].0) >= SimDuration::from_secs(60), "seed {seed}: {after:?}");
    }
}

#[test]
fn open_loop_arrivals_do_not_depend_on_the_policy() {
    let overrides =
        Overrides { duration: Some(SimDuration::from_secs(600)), ..with_traffic("traces/reference.yaml", 3) };
    let offered = |policy: &str| -> Vec<f64> {
        let resolved = support::resolved(policy, &Overrides { seed: Some(Seed(3)), ..overrides.clone() });
        let record = kedasim::sim::simulate(&resolved, false).unwrap_or_else(|error| panic!("{error}"));
        record.timeline.rows.iter().map(|row| row.offered_rps).collect()
    };
    assert_eq!(offered("policies/llama-3.1-8b-h100"), offered("policies/opt-125m"));
}

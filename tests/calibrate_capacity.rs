//! The threshold that `kedasim calibrate --slo` gives, judged by the whole simulator at a fixed replica.

use kedasim::manifest::Bundle;
use kedasim::record::{LatencyHistogram, RunRecord};
use kedasim::replica::{Profile, built_in_profile};
use kedasim::scenario::{Overrides, profile_yaml, resolve};
use kedasim::sim::simulate;
use kedasim::study::{Capacity, Lengths, Load, Measurement, Quantity, Statistic, Stop, capacity, parse_slo};
use kedasim::traffic::LengthDistribution;
use kedasim::units::{Seed, Span};

const SYNC: (u32, u32) = (0, 11);

/// One replica, its requests and its goals.
struct Case {
    profile: Profile,
    prompt: u32,
    output: LengthDistribution,
    /// The output in a Traffic document.
    written: &'static str,
    slo: &'static str,
}

impl Case {
    fn new(profile: &str, prompt: u32, output: u32, written: &'static str, slo: &'static str) -> Self {
        let profile = built_in_profile(profile).expect("built in");
        Case { profile, prompt, output: LengthDistribution::Constant(output), written, slo }
    }

    fn capacity(&self) -> Capacity {
        let run = Measurement {
            place: Span::new("synthetic", 1, 1),
            load: Load::Concurrency(1),
            stop: Stop::Requests(10),
            lengths: Lengths::Drawn { prompt: LengthDistribution::Constant(self.prompt), output: self.output.clone() },
            observed: Vec::new(),
        };
        let slo = parse_slo(self.slo).expect("goals");
        capacity(&self.profile, SYNC, &[run], &slo).expect("can be simulated").remove(0)
    }

    /// `simulate --fixed-replicas 1` with Poisson arrivals, `requests` of them after a warm-up of a quarter more.
    fn simulated(&self, rate: f64, requests: f64, seed: u64) -> RunRecord {
        let mut profile = self.profile.clone();
        profile.name = "server".to_owned();
        let (warmup, stop) = (requests / 4.0 / rate, requests * 1.25 / rate);
        let (end, prompt, output) = (stop + 600.0, self.prompt, self.written);
        let text = format!(
            "{POLICY}---\n{}---
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {{name: s}}
spec:
  duration: {end:.3}s
  warmup: {warmup:.3}s
  replica: {{profile: server, vllmVersion: \"0.11\"}}
  router: {{policy: random, latency: 0s}}
  client: {{timeout: 24h}}
  traffic:
    arrivals: {{poisson: {{rate: {rate}}}}}
    prompt: {{constant: {prompt}}}
    output: {output}
    stop: {stop:.3}s
",
            profile_yaml(&profile)
        );
        let bundle = Bundle::from_text(&text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}"));
        let overrides = Overrides { fixed_replicas: Some(1), seed: Some(Seed(seed)), ..Overrides::default() };
        let run = resolve(&bundle, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
        simulate(&run, false).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Of each goal, what was found as a share of its limit, with this run.
    fn shares(&self, record: &RunRecord) -> Vec<f64> {
        let share = |goal: &kedasim::study::Objective| {
            let latencies: &LatencyHistogram = match goal.quantity {
                Quantity::Ttft => &record.latencies.ttft,
                Quantity::Tpot => &record.latencies.tpot,
                _ => &record.latencies.e2e,
            };
            let found = match goal.statistic {
                Statistic::Mean => latencies.mean_seconds(),
                Statistic::Quantile(q) => latencies.quantile_seconds(q),
            };
            found.expect("requests completed") / goal.limit
        };
        parse_slo(self.slo).expect("goals").iter().map(share).collect()
    }

    fn check(&self) {
        let found = self.capacity();
        let rps = found.rps.expect("some load is fine");
        assert!(found.bound_by.is_some() && rps < found.saturated_rps, "{found:?}");
        let requests = (found.running * 100.0).clamp(4000.0, 30_000.0);
        let name = format!("{} {} -> {}", self.profile.name, self.prompt, self.written);
        let (mut kept, mut running) = (Vec::new(), 0.0);
        let seeds = 1..=3;
        for seed in seeds.clone() {
            let record = self.simulated(rps, requests, seed);
            kept.push(self.shares(&record));
            let inside = |latencies: &LatencyHistogram| latencies.mean_seconds().expect("requests completed") * rps;
            running += (inside(&record.latencies.e2e) - inside(&record.latencies.queue)) / seeds.clone().count() as f64;
        }
        println!("{name}: {found:?}; simulated {running} running, {kept:?} of the goals");
        for goal in 0..kept[0].len() {
            let mean = kept.iter().map(|shares| shares[goal]).sum::<f64>() / kept.len() as f64;
            assert!(mean <= 1.0, "{name}: goal {goal} is broken at {rps} req/s: {kept:?}");
        }
        assert!((running / found.running - 1.0).abs() < 0.05, "{name}: {running} running, {} said", found.running);
        let beyond = self.shares(&self.simulated(rps * 1.1, requests, 1));
        println!("{name}: a tenth beyond, {beyond:?}");
        assert!(beyond.iter().any(|share| *share > 1.0), "{name}: the goals hold a tenth beyond, too: {beyond:?}");
    }
}

const POLICY: &str = include_str!("support/running_requests.yaml");

#[test]
fn long_answers_of_a_gpu_need_minutes_to_be_steady() {
    Case::new("llama-3.1-8b-h100", 500, 1000, "{constant: 1000}", "ttft=1s,tpot=30ms").check();
}

#[test]
fn short_answers_of_a_gpu_are_judged_beyond_the_first_seconds() {
    let mut case = Case::new("llama-3.1-8b-h100", 128, 128, "{constant: 128}", "tpot=50ms");
    let step = &mut case.profile.step_time;
    (step.w_ms, step.cp_us_per_token, step.ck_ns_per_token, step.cs_us_per_seq) = (9.491, 32.37, 67.21, 33.09);
    case.check();
}

#[test]
fn a_slower_gpu_keeps_its_goal_at_the_printed_rate() {
    Case::new("llama-3.1-8b-l40s", 500, 300, "{constant: 300}", "tpot=60ms").check();
}

#[test]
fn a_cpu_with_answers_of_random_length_keeps_its_goal() {
    let output = LengthDistribution::Geometric { hazard: 0.0049, max: 200 };
    let written = "{geometric: {hazard: 0.0049, max: 200}}";
    let case = Case { output, ..Case::new("opt-125m-cpu", 15, 1, written, "e2e=20s") };
    case.check();
}

#[test]
fn a_cache_that_overflows_makes_a_flooded_replica_slower() {
    let found = Case::new("llama-3.1-8b-h100", 500, 1000, "{constant: 1000}", "ttft=1s").capacity();
    // 300 requests fit at their longest, and 1024 are admitted.
    assert!(found.flooded_rps < 0.97 * found.saturated_rps, "{found:?}");
    assert!(found.rps.expect("some load is fine") > found.flooded_rps, "{found:?}");
}

#[test]
fn the_saturated_rate_is_what_a_flooded_replica_answers() {
    let mut case = Case::new("llama-3.1-8b-h100", 500, 1000, "{constant: 1000}", "ttft=1s");
    // As many as the KV cache holds with ease.
    case.profile.max_num_seqs = 64;
    let found = case.capacity();
    assert_eq!(found.flooded_rps, found.saturated_rps);
    // Half as many again come; from the first quarter to the last arrival the replica is full.
    let requests = 4_000.0;
    let record = case.simulated(found.saturated_rps * 1.5, requests, 1);
    let step = case.profile.max_num_seqs;
    let running = |record: &RunRecord| {
        let [e2e, queue] = [&record.latencies.e2e, &record.latencies.queue];
        e2e.mean_seconds().expect("completed") - queue.mean_seconds().expect("completed")
    };
    // All seats taken: seats / time in a seat.
    let rate = f64::from(step) / running(&record);
    println!("{found:?}: {rate} answered per second");
    assert!((rate / found.saturated_rps - 1.0).abs() < 0.03, "{rate} for {}", found.saturated_rps);
}

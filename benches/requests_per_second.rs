//! Requests simulated per second of one core, the whole ring on: router, engines, scrapes every 15 s, PromQL, KEDA and HPA,
//! latency records. One group of `benches/workloads`' files, which say what each is, and one of the shipped policy that scales.
//!
//! `cargo bench` prints the time of a run and, as throughput, requests per second. Compare only figures taken in one go. Whole
//! processes, with start-up and files, are measured by `docs/refresh-performance`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kedasim::manifest::{Bundle, Input};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Seed, SimDuration};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

/// The workloads and how long each is simulated here, in seconds: some ten thousand requests.
const WORKLOADS: [(&str, u64); 9] = [
    ("1-reference", 3600),
    ("2-busy", 600),
    ("3a-conversation", 3600),
    ("3b-conversation-30", 400),
    ("4-preemption", 500),
    ("5-long-outputs", 2500),
    ("6-round-robin-300", 60),
    ("6-least-requests-300", 60),
    ("7-idle-30", 3600),
];

fn run_of(policy: &str, traffic: Option<&str>, seconds: u64) -> ResolvedRun {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bundle = Bundle::load(&[Input::Path(root.join(policy))]).expect("a shipped policy");
    let overrides = Overrides {
        traffic: traffic.map(|file| root.join(file)),
        duration: Some(SimDuration::from_secs(seconds)),
        seed: Some(Seed(1)),
        ..Overrides::default()
    };
    resolve(&bundle, &overrides).expect("a shipped policy on shipped traffic")
}

fn requests_per_second(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("workloads");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    let mut bench = |name: &str, run: &ResolvedRun| {
        let requests = simulate(run, false).expect("it runs").requests.total;
        group.throughput(Throughput::Elements(requests));
        group.bench_function(name, |bencher| bencher.iter(|| simulate(black_box(run), false).expect("it runs")));
    };
    for (name, seconds) in WORKLOADS {
        bench(name, &run_of(&format!("benches/workloads/{name}.yaml"), None, seconds));
    }
    bench("scaled by its policy", &run_of("policies/llama-3.1-8b-h100", Some("traces/reference.yaml"), 3600));
    group.finish();
}

criterion_group!(benches, requests_per_second);
criterion_main!(benches);

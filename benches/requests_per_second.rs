//! Requests simulated per second of one core, the whole ring on: router, engines, scrapes every 15 s, PromQL, KEDA and HPA
//! timers, latency records. Reference workload: Poisson 10 requests/s, 512 prompt and 128 output tokens, 4 fixed replicas of
//! Llama-3.1-8B on H100, one hour = about 36,000 requests.
//!
//! `cargo bench` prints the time of a run and, as throughput, requests per second. Compare only figures taken in one go.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kedasim::manifest::{Bundle, Input};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Seed, SimDuration};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

fn reference(fixed_replicas: Option<i32>) -> ResolvedRun {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bundle = Bundle::load(&[Input::Path(root.join("policies/llama-3.1-8b-h100"))]).expect("a shipped policy");
    let overrides = Overrides {
        traffic: Some(root.join("traces/reference.yaml")),
        duration: Some(SimDuration::from_secs(3600)),
        seed: Some(Seed(1)),
        fixed_replicas,
        ..Overrides::default()
    };
    resolve(&bundle, &overrides).expect("a shipped policy on shipped traffic")
}

fn requests_per_second(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reference workload");
    group.sample_size(10).measurement_time(Duration::from_secs(10));
    for (name, fixed) in [("4 fixed replicas", Some(4)), ("scaled by its policy", None)] {
        let run = reference(fixed);
        let requests = simulate(&run, false).expect("it runs").requests.total;
        group.throughput(Throughput::Elements(requests));
        group.bench_function(name, |bencher| bencher.iter(|| simulate(black_box(&run), false).expect("it runs")));
    }
    group.finish();
}

criterion_group!(benches, requests_per_second);
criterion_main!(benches);

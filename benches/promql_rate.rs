//! `sum by (le) (rate(..._bucket[2m]))` over 100 pods with 23 buckets each, every 15 s of a simulated week: 40,320
//! evaluations of 2,300 series. Every pod is scraped every 15 s at a phase of its own between two evaluations.
//!
//! `cargo bench --bench promql_rate` prints the time of the whole week twice: the scrapes alone (4,032,000 rows stored),
//! and the scrapes with the evaluations. The evaluations cost the difference.

use criterion::{Criterion, criterion_group, criterion_main};
use kedasim::prometheus::{PrometheusServer, PrometheusSettings, PrometheusVersion, TargetRules};
use kedasim::series::{Exposition, Labels, MetricKind, QueryValue, SeriesDef};
use kedasim::units::{SimDuration, SimTime};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const PODS: u64 = 100;
const BUCKETS: usize = 23;
const STEP_MS: u64 = 15_000;
const EVALUATIONS: u64 = 7 * 24 * 3600 * 1000 / STEP_MS;
const NAME: &str = "vllm:time_to_first_token_seconds_bucket";

fn exposition() -> Arc<Exposition> {
    let series = |bucket: usize| {
        let bound = if bucket + 1 == BUCKETS { "+Inf".to_owned() } else { format!("{bucket}.0") };
        let labels =
            Labels::from_pairs([("__name__", NAME), ("model_name", "m"), ("engine", "0"), ("le", bound.as_str())]);
        SeriesDef { labels, kind: MetricKind::Histogram }
    };
    Arc::new(Exposition { series: (0..BUCKETS).map(series).collect() })
}

/// A week; the sum of all answers, so that nothing is left out.
fn week(evaluate: bool) -> f64 {
    let mut server = PrometheusServer::new(PrometheusSettings {
        version: PrometheusVersion::V3,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 1_700_000_000_000,
    });
    let query = server.compile(&format!("sum by (le) (rate({NAME}[2m]))")).expect("the query is valid");
    let exposition = exposition();
    let targets: Vec<_> = (0..PODS)
        .map(|pod| {
            server.add_target(
                &Labels::from_pairs([("pod", pod.to_string())]),
                exposition.clone(),
                &TargetRules::default(),
            )
        })
        .collect();
    // Cumulative buckets: each grows by at least what the one before it does.
    let growth = |pod: u64| std::array::from_fn::<f64, BUCKETS, _>(|bucket| (bucket as u64 + pod % 7) as f64);
    let mut rows: Vec<_> = (0..PODS).map(|pod| ([0.0; BUCKETS], growth(pod))).collect();
    let mut total = 0.0;
    for step in 0..EVALUATIONS {
        for (pod, (target, (row, growth))) in targets.iter().zip(&mut rows).enumerate() {
            for (value, growth) in row.iter_mut().zip(growth) {
                *value += *growth;
            }
            let at = SimTime::from_millis(step * STEP_MS + pod as u64 * (STEP_MS / PODS));
            server.commit(*target, at, at, Some(row.as_slice()));
        }
        if evaluate {
            let now = SimTime::from_millis((step + 1) * STEP_MS);
            match server.query(query, now, now).expect("it evaluates") {
                QueryValue::Vector(elements) => total += elements.iter().map(|(_, value)| value).sum::<f64>(),
                other => panic!("expected a vector, found {other:?}"),
            }
        }
    }
    total
}

fn promql_rate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a week of 100 pods");
    group.sample_size(10).measurement_time(Duration::from_secs(15));
    group.bench_function("scrapes alone", |bencher| bencher.iter(|| week(black_box(false))));
    group.bench_function("scrapes and evaluations", |bencher| bencher.iter(|| week(black_box(true))));
    group.finish();
}

criterion_group!(benches, promql_rate);
criterion_main!(benches);

//! All that Prometheus stored in a run, loaded series by series into another server up to what a query could see, must give
//! every decision the value that it was made on.

use kedasim::hpa::MetricTarget;
use kedasim::manifest::{Bundle, Input};
use kedasim::prometheus::{PrometheusServer, StoredRow};
use kedasim::record::{DecisionRecord, MetricRecord, RunRecord};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::series::{Labels, QueryValue};
use kedasim::sim::{simulate, simulate_recording};
use kedasim::units::{Seed, SimDuration, SimTime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rows older than this matter to no query of the policies below.
const REACH_MS: i64 = 600_000;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn resolved(policy: &str, overrides: &Overrides) -> ResolvedRun {
    let bundle = Bundle::load(&[Input::Path(repository(policy))]).unwrap_or_else(|errors| panic!("{errors}"));
    resolve(&bundle, overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

fn recorded(run: &ResolvedRun) -> (RunRecord, Vec<StoredRow>) {
    let mut rows = Vec::new();
    let record = simulate_recording(run, true, &mut |row| rows.push(row)).unwrap_or_else(|error| panic!("{error}"));
    (record, rows)
}

/// The metrics of a decision, with its instant.
fn metrics(decision: &DecisionRecord) -> (SimTime, &[MetricRecord]) {
    match decision {
        DecisionRecord::HpaSync(sync) => (sync.t, &sync.metrics),
        DecisionRecord::KedaPoll(poll) => (poll.t, &poll.metrics),
    }
}

/// What KEDA makes of an answer with its default settings.
fn value(answer: QueryValue) -> f64 {
    match answer {
        QueryValue::Vector(elements) => match elements.as_slice() {
            [(_, value)] if value.is_finite() => *value,
            [] | [_] => 0.0,
            more => panic!("one element at most, found {}", more.len()),
        },
        other => panic!("a vector, found {other:?}"),
    }
}

/// The answer to a query from nothing but the rows that were visible at `now`.
fn ask(run: &ResolvedRun, rows: &[StoredRow], query: &str, at: SimTime, now: SimTime) -> f64 {
    let epoch = run.monitoring.server.epoch_ms;
    let ms = epoch + i64::try_from(at.as_millis_floor()).expect("a run's length fits");
    let mut series: BTreeMap<&Labels, Vec<(i64, f64)>> = BTreeMap::new();
    for row in rows.iter().take_while(|row| row.visible <= now).filter(|row| row.at_ms > ms - REACH_MS) {
        for (labels, value) in row.samples().filter(|(labels, _)| query.contains(labels.metric_name())) {
            series.entry(labels).or_default().push((row.at_ms, value));
        }
    }
    let mut server = PrometheusServer::new(run.monitoring.server.clone());
    let query = server.compile(query).expect("it ran before");
    for (labels, mut samples) in series {
        // A target's last markers are stored with an early time stamp, late.
        samples.sort_by_key(|(at, _)| *at);
        server.add_recorded_series(labels, &samples);
    }
    value(server.query_recorded(query, ms).expect("it ran before"))
}

/// Compares every decision's values; how many, and how many of them were not 0.
fn compare(run: &ResolvedRun) -> (usize, usize) {
    let (record, rows) = recorded(run);
    assert!(rows.is_sorted_by_key(|row| row.visible), "rows come in the order in which they can be seen");
    let (mut compared, mut non_zero) = (0, 0);
    for decision in &record.decisions {
        let (now, metrics) = metrics(decision);
        for metric in metrics.iter().filter(|metric| metric.kind == "prometheus") {
            let found = metric.value.expect("no query fails here");
            let expected = ask(run, &rows, &metric.query, metric.query_time, now);
            let close = (found - expected).abs() <= 1e-9 * found.abs().max(expected.abs());
            assert!(close, "{} at {now}: found {found}, the stored samples give {expected}", metric.query);
            compared += 1;
            non_zero += usize::from(found != 0.0);
        }
    }
    (compared, non_zero)
}

#[test]
fn keeping_all_samples_changes_nothing() {
    let run = resolved("policies/opt-125m", &Overrides::default());
    let (with, rows) = recorded(&run);
    let without = simulate(&run, false).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((without.decisions, without.events), (with.decisions, with.events));
    // The scrape's own series are kept too, and everything that the pods expose.
    let names: Vec<&str> = rows[0].samples().map(|(labels, _)| labels.metric_name()).collect();
    for name in ["up", "scrape_samples_scraped", "vllm:num_requests_waiting", "vllm:request_params_n_bucket"] {
        assert!(names.contains(&name), "{name} is missing");
    }
}

#[test]
fn the_token_rate_follows_from_the_stored_samples() {
    let run = resolved("policies/opt-125m", &Overrides::default());
    let (compared, non_zero) = compare(&run);
    assert!(compared > 100 && non_zero > 50, "{compared} compared, {non_zero} not 0");
}

#[test]
fn quantiles_follow_from_the_stored_samples_while_pods_come_and_go() {
    let overrides = Overrides {
        traffic: Some(repository("traces/stable-3.yaml")),
        seed: Some(Seed(3)),
        duration: Some(SimDuration::from_secs(1200)),
        ..Overrides::default()
    };
    let mut run = resolved("policies/opt-125m-ttft-kv-running", &overrides);
    for metric in &mut run.kubernetes.hpa.metrics {
        if let MetricTarget::ExternalAverageValue(milli) = &mut metric.target {
            // So low that it scales.
            *milli = (*milli / 4).max(1);
        }
    }
    let (record, rows) = recorded(&run);
    let stale = |row: &&StoredRow| row.samples().any(|(_, value)| value.to_bits() == PrometheusServer::STALE_BITS);
    assert!(record.pods.len() > 2 && rows.iter().filter(stale).count() > 0, "pods come and go");
    let (compared, non_zero) = compare(&run);
    assert!(compared > 300 && non_zero > 100, "{compared} compared, {non_zero} not 0");
}

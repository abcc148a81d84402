//! Sweeps: the grid's order, independence of the number of threads, and errors that name their point.

use kedasim::manifest::Value;
use kedasim::scenario::{SweepAxis, SweepFile};
use kedasim::study::run_sweep;
use kedasim::units::{Located, Span};
use std::path::{Path, PathBuf};

const THRESHOLD: &str = "spec.triggers[0].metadata.threshold";

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn sweep(axes: &[(&str, Vec<Value>)]) -> SweepFile {
    let axis = |(path, values): &(&str, Vec<Value>)| SweepAxis {
        path: Located::new((*path).to_owned(), Span::new("sweep.yaml", 7, 5)),
        values: values.clone(),
    };
    SweepFile {
        name: "small".to_owned(),
        policy: Located::new(root("policies/opt-125m"), Span::new("sweep.yaml", 5, 11)),
        scenario: None,
        signals: None,
        axes: axes.iter().map(axis).collect(),
        seeds: vec![1, 2],
        heatmap: None,
    }
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| Value::Str((*value).to_owned())).collect()
}

#[test]
fn a_sweep_is_the_same_on_any_number_of_threads() {
    let workers = "Traffic:spec.arrivals.closedLoop.workers";
    let sweep = sweep(&[(THRESHOLD, texts(&["5", "50"])), (workers, vec![Value::Int(1), Value::Int(2)])]);
    let one = run_sweep(&sweep, 1).unwrap_or_else(|found| panic!("{found}"));
    let many = run_sweep(&sweep, 3).unwrap_or_else(|found| panic!("{found}"));
    let order: Vec<(String, u64)> = one.points.iter().map(|point| (point.values.join("/"), point.seed)).collect();
    let expected = ["5/1", "5/2", "50/1", "50/2"].into_iter().flat_map(|values| [(values, 1), (values, 2)]);
    assert!(order.iter().map(|(values, seed)| (values.as_str(), *seed)).eq(expected), "{order:?}");
    for (left, right) in one.points.iter().zip(&many.points) {
        assert_eq!(left.summary, right.summary, "{:?} seed {}", left.values, left.seed);
    }
    // The same traffic under both thresholds; the higher one never scales up.
    let sent = |point: usize| one.points[point].summary.requests.total;
    assert!(sent(2) > sent(0), "two workers send more than one");
    assert!(one.points[0].summary.replicas_max > 1 && one.points[4].summary.replicas_max == 1);
}

#[test]
fn a_point_that_does_not_resolve_is_named() {
    let broken = sweep(&[(THRESHOLD, texts(&["5", "many"]))]);
    let told = run_sweep(&broken, 2).expect_err("many is no number").to_string();
    assert!(told.contains("threshold=many") && !told.contains("threshold=5"), "{told}");
    let lost = sweep(&[("spec.triggers[7].metadata.threshold", texts(&["5"]))]);
    let told = run_sweep(&lost, 2).expect_err("there is one trigger").to_string();
    assert!(told.contains("sweep.yaml:7:5"), "{told}");
}

#[test]
fn an_axis_with_an_unknown_key_is_told_at_the_axis() {
    for (path, part) in [
        ("spec.maxReplicas", "sweep.yaml:7:5: axis spec.maxReplicas: unknown key \"maxReplicas\""),
        ("Scenario:spec.durration", "sweep.yaml:7:5: axis Scenario:spec.durration: "),
        ("Traffic:spec.arrival", "sweep.yaml:7:5: axis Traffic:spec.arrival: "),
    ] {
        let told = run_sweep(&sweep(&[(path, vec![Value::Int(5)])]), 2).expect_err("no such key").to_string();
        assert!(told.contains(part) && told.contains("did you mean"), "{told}");
        assert_eq!(told.matches("error:").count(), 1, "{told}");
    }
}

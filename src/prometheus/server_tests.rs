//! What KEDA would see: scrapes go in, queries come out.

use super::*;
use crate::series::{MetricKind, SeriesDef};

const STEP: u64 = 15;
const NONE: [f64; 0] = [];

fn settings(version: PrometheusVersion) -> PrometheusSettings {
    PrometheusSettings {
        version,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 1_700_000_000_000,
    }
}

fn series(text: &[(&str, &str)], kind: MetricKind) -> SeriesDef {
    SeriesDef { labels: Labels::from_pairs(text.iter().copied()), kind }
}

/// A gauge, a counter and a histogram of two buckets.
fn exposition() -> Arc<Exposition> {
    Arc::new(Exposition {
        series: vec![
            series(&[("__name__", "waiting"), ("model_name", "opt-125m")], MetricKind::Gauge),
            series(&[("__name__", "tokens_total"), ("model_name", "opt-125m")], MetricKind::Counter),
            series(&[("__name__", "ttft_bucket"), ("le", "1.0")], MetricKind::Histogram),
            series(&[("__name__", "ttft_bucket"), ("le", "+Inf")], MetricKind::Histogram),
            series(&[("__name__", "clash"), ("pod", "mine")], MetricKind::Gauge),
        ],
    })
}

fn pod(name: &str) -> Labels {
    Labels::from_pairs([("pod", name), ("namespace", "llm")])
}

fn secs(seconds: u64) -> SimTime {
    SimTime::from_secs(seconds)
}

struct Fixture {
    server: PrometheusServer,
    queries: Vec<QueryId>,
}

impl Fixture {
    fn new(queries: &[&str]) -> Self {
        let mut server = PrometheusServer::new(settings(PrometheusVersion::V3));
        let queries = queries.iter().map(|query| server.compile(query).expect("the query is valid")).collect();
        Fixture { server, queries }
    }
    fn target(&mut self, name: &str) -> TargetId {
        self.server.add_target(&pod(name), exposition(), &TargetRules::default())
    }
    /// Scrape number `n` of a target, at n * 15 s, visible at once.
    fn scrape(&mut self, target: TargetId, n: u64, row: Option<[f64; 5]>) {
        let at = secs(n * STEP);
        self.server.commit(target, at, at, row.as_ref().map(<[f64; 5]>::as_slice));
    }
    /// The values of a query's vector.
    fn values(&mut self, query: usize, at: SimTime) -> Vec<f64> {
        self.elements(query, at).into_iter().map(|(_, value)| value).collect()
    }
    fn elements(&mut self, query: usize, at: SimTime) -> Vec<(Labels, f64)> {
        match self.server.query(self.queries[query], at, at).expect("the query evaluates") {
            QueryValue::Vector(elements) => elements,
            other => panic!("expected a vector, found {other:?}"),
        }
    }
}

fn row(waiting: f64, tokens: f64) -> Option<[f64; 5]> {
    Some([waiting, tokens, tokens / 2.0, tokens, 1.0])
}

#[test]
fn a_counter_counts_from_its_second_scrape() {
    let mut fixture = Fixture::new(&["sum(rate(tokens_total[2m]))", "sum(waiting)"]);
    let target = fixture.target("a");
    fixture.scrape(target, 1, row(3.0, 0.0));
    assert_eq!(fixture.values(0, secs(20)), NONE);
    assert_eq!(fixture.values(1, secs(20)), [3.0]);
    fixture.scrape(target, 2, row(3.0, 150.0));
    // 150 tokens in 15 s; the value begins at 0, so nothing is extrapolated to before the first scrape.
    assert_eq!(fixture.values(0, secs(30)), [150.0 / 120.0]);
}

#[test]
fn a_window_of_one_interval_never_holds_two_scrapes_in_3_x() {
    let mut fixture = Fixture::new(&["rate(tokens_total[15s])", "count_over_time(tokens_total[2m])"]);
    let target = fixture.target("a");
    for n in 1..=20 {
        fixture.scrape(target, n, row(0.0, n as f64));
    }
    for second in 300..315 {
        assert_eq!(fixture.values(0, secs(second)), NONE, "at {second} s");
    }
    assert_eq!(fixture.values(1, secs(300)), [8.0], "the lower edge is excluded");
}

#[test]
fn a_missing_term_empties_a_sum() {
    let mut fixture =
        Fixture::new(&["sum(waiting) + sum(gone)", "sum(waiting) + (sum(gone) or vector(0))", "sum(gone)"]);
    let target = fixture.target("a");
    fixture.scrape(target, 1, row(4.0, 0.0));
    assert_eq!(fixture.values(0, secs(15)), NONE);
    assert_eq!(fixture.values(1, secs(15)), [4.0]);
    assert_eq!(fixture.values(2, secs(15)), NONE);
}

#[test]
fn a_loading_pod_is_up_0_and_has_no_series() {
    let mut fixture = Fixture::new(&["count(up)", "count(up == 1)", "count(waiting)"]);
    let (serving, loading) = (fixture.target("a"), fixture.target("b"));
    fixture.scrape(serving, 1, row(1.0, 0.0));
    fixture.scrape(loading, 1, None);
    assert_eq!((0..3).map(|q| fixture.values(q, secs(16))).collect::<Vec<_>>(), [[2.0], [1.0], [1.0]]);
    // A second failure writes no further markers and breaks nothing.
    fixture.scrape(loading, 2, None);
    fixture.scrape(loading, 3, row(1.0, 0.0));
    assert_eq!(fixture.values(2, secs(46)), [2.0]);
}

#[test]
fn a_marker_hides_gauges_but_does_not_cut_ranges() {
    let mut fixture = Fixture::new(&["waiting", "increase(tokens_total[1m])"]);
    let target = fixture.target("a");
    for (n, row) in [(1, row(1.0, 0.0)), (2, row(1.0, 10.0)), (3, None), (4, row(2.0, 30.0))] {
        fixture.scrape(target, n, row);
        let shown = fixture.values(0, secs(n * STEP));
        assert_eq!(shown.len(), usize::from(row.is_some()), "after scrape {n}");
    }
    assert_eq!(fixture.values(1, secs(60)), [30.0], "the gap is bridged; the counter began at 0");
}

#[test]
fn samples_are_not_seen_before_their_response() {
    let mut fixture = Fixture::new(&["waiting"]);
    let target = fixture.target("a");
    let (at, visible) = (secs(15), SimTime::from_millis(15_200));
    fixture.server.commit(target, at, visible, Some(&[7.0, 0.0, 0.0, 0.0, 0.0]));
    let query = fixture.queries[0];
    let empty = QueryValue::Vector(Vec::new());
    assert_eq!(fixture.server.query(query, at, SimTime::from_millis(15_100)), Ok(empty.clone()));
    assert_ne!(fixture.server.query(query, at, visible), Ok(empty.clone()));
    // A query stamped before the scrape does not see it however late it runs.
    assert_eq!(fixture.server.query(query, secs(14), visible), Ok(empty));
}

#[test]
fn lookback_ends_after_five_minutes() {
    let mut fixture = Fixture::new(&["waiting"]);
    let target = fixture.target("a");
    fixture.scrape(target, 1, row(1.0, 0.0));
    assert_eq!(fixture.values(0, SimTime::from_millis(314_999)), [1.0]);
    assert_eq!(fixture.values(0, secs(315)), NONE);
}

#[test]
fn a_clashing_label_is_exported() {
    let mut fixture = Fixture::new(&["clash"]);
    let target = fixture.target("a");
    fixture.scrape(target, 1, row(1.0, 0.0));
    let (labels, _) = &fixture.elements(0, secs(15))[0];
    assert_eq!(labels.to_string(), r#"clash{exported_pod="mine",namespace="llm",pod="a"}"#);
}

#[test]
fn two_pods_are_one_histogram() {
    let quantile = "histogram_quantile(0.25, sum by (le) (rate(ttft_bucket[1m])))";
    let mut fixture =
        Fixture::new(&[quantile, "histogram_quantile(0.25, sum by (le) (rate(ttft_bucket[1m] offset 10m)))"]);
    for name in ["a", "b"] {
        let target = fixture.target(name);
        for n in 1..=4 {
            fixture.scrape(target, n, row(0.0, n as f64 * 8.0));
        }
    }
    // Half of all are below 1; a quarter lies in the middle of the first bucket.
    let values = fixture.values(0, secs(60));
    assert!(matches!(values[..], [value] if (value - 0.5).abs() < 1e-12), "{values:?}");
    assert_eq!(fixture.values(1, secs(60)), NONE);
}

#[test]
fn a_retired_target_is_dropped_when_no_query_reaches_it() {
    let mut fixture = Fixture::new(&["count(waiting)", "sum(increase(tokens_total[2m]))"]);
    let (gone, stays) = (fixture.target("a"), fixture.target("b"));
    for n in 1..=4 {
        fixture.scrape(gone, n, row(1.0, n as f64));
        fixture.scrape(stays, n, row(1.0, n as f64));
    }
    fixture.server.retire(gone, secs(75), SimTime::from_millis(91_500));
    fixture.scrape(stays, 5, row(1.0, 5.0));
    fixture.scrape(stays, 6, row(1.0, 6.0));
    assert_eq!(fixture.values(0, secs(91)), [2.0], "the marker is not visible yet");
    assert_eq!(fixture.values(0, secs(92)), [1.0]);
    assert_eq!(fixture.values(1, secs(92)).len(), 1);
    assert_eq!(fixture.server.storage.stored_targets(), 2);
    for n in 7..=40 {
        fixture.scrape(stays, n, row(1.0, n as f64));
        assert_eq!(fixture.values(0, secs(n * STEP)), [1.0]);
    }
    assert_eq!(fixture.server.storage.stored_targets(), 1);
}

#[test]
fn a_long_run_keeps_only_what_queries_reach() {
    let mut fixture = Fixture::new(&["sum(rate(tokens_total[2m]))", "sum(waiting offset 5m)"]);
    let target = fixture.target("a");
    for n in 1..=2_000 {
        fixture.scrape(target, n, row(n as f64, n as f64 * 30.0));
        if n > 50 {
            let rate = fixture.values(0, secs(n * STEP))[0];
            assert!((rate - 2.0).abs() < 1e-12, "{rate} at scrape {n}");
            assert_eq!(fixture.values(1, secs(n * STEP)), [n as f64 - 20.0]);
        }
    }
    // 5 m offset, 5 m lookback and a minute of slack hold 44 scrapes; removal happens in batches.
    assert!(fixture.server.storage.stored_rows() < 200, "{}", fixture.server.storage.stored_rows());
}

#[test]
fn evaluations_share_their_label_sets() {
    let mut fixture = Fixture::new(&["sum by (pod) (rate(tokens_total{model_name=~\"opt.*\"}[2m])) * 2"]);
    for name in ["a", "b"] {
        let target = fixture.target(name);
        for n in 1..=4 {
            fixture.scrape(target, n, row(0.0, n as f64));
        }
    }
    let addresses = |fixture: &mut Fixture| -> Vec<usize> {
        fixture.elements(0, secs(60)).iter().map(|(labels, _)| labels.address()).collect()
    };
    // The same allocations come out twice: no label set is built per evaluation.
    let first = addresses(&mut fixture);
    assert_eq!(first.len(), 2);
    assert_eq!(addresses(&mut fixture), first);
    // A new pod changes the groups and every answer with them.
    let target = fixture.target("c");
    fixture.scrape(target, 3, row(0.0, 1.0));
    fixture.scrape(target, 4, row(0.0, 1.0));
    assert_eq!(fixture.elements(0, secs(60)).len(), 3);
}

#[test]
fn a_selector_that_matches_nothing_gets_a_hint() {
    let mut fixture = Fixture::new(&[
        "sum(waiting{model_name=\"opt-125\"}) + sum(wating) + sum(waiting{modelname=\"x\"}) + sum(waiting) + sum(up)",
    ]);
    let target = fixture.target("a");
    fixture.scrape(target, 1, None);
    let matched = |fixture: &Fixture| -> Vec<bool> {
        fixture.server.selector_matches(fixture.queries[0]).iter().map(|found| found.matched).collect()
    };
    assert_eq!(matched(&fixture), [false, false, false, false, true], "a failed scrape has `up` alone");
    fixture.scrape(target, 2, row(1.0, 1.0));
    assert_eq!(matched(&fixture), [false, false, false, true, true]);
    let found = fixture.server.selector_matches(fixture.queries[0]);
    assert_eq!((found[1].selector.as_str(), found[1].offset), ("wating", 41));
    let hints: Vec<&str> = found[..3].iter().map(|found| found.nearest.as_deref().unwrap_or_default()).collect();
    assert_eq!(
        hints,
        [
            "no series waiting has model_name=\"opt-125\"; scraped values of model_name: \"opt-125m\"",
            "no series is named wating; the nearest scraped name is waiting",
            "no series waiting has a label modelname; did you mean model_name?",
        ]
    );
}

#[test]
fn errors_are_those_of_the_engine() {
    let mut fixture = Fixture::new(&["waiting * on (namespace) tokens_total", "time()"]);
    for name in ["a", "b"] {
        let target = fixture.target(name);
        fixture.scrape(target, 1, row(1.0, 1.0));
    }
    let error = fixture.server.query(fixture.queries[0], secs(15), secs(15)).expect_err("two partners");
    assert!(error.0.contains("found duplicate series for the match group {namespace=\"llm\"}"), "{error}");
    assert_eq!(fixture.server.query(fixture.queries[1], secs(15), secs(15)), Ok(QueryValue::Scalar(1_700_000_015.0)));
}

#[test]
fn the_largest_queries_evaluate() {
    let sums = vec!["waiting"; 250].join(" + ");
    let deep = format!("{}{sums}{}", "abs(".repeat(98), ")".repeat(98));
    let far = "max_over_time(waiting[9y:9y] @ 9e15 offset -200y) or count_over_time(waiting[1y] @ -9e15 offset 200y)";
    let mut fixture = Fixture::new(&[&deep, far, "count_over_time(waiting[1d:1ms])"]);
    let target = fixture.target("a");
    fixture.scrape(target, 1, row(2.0, 0.0));
    assert_eq!(fixture.values(0, secs(15)), [500.0]);
    assert_eq!(fixture.values(1, secs(15)), NONE);
    let error = fixture.server.query(fixture.queries[2], secs(15), secs(15)).expect_err("86 million steps");
    assert!(error.0.contains("more than 1000000 steps"), "{error}");
}

#[test]
fn rows_that_come_faster_than_before_all_stay() {
    let mut fixture =
        Fixture::new(&["count_over_time(waiting[5m])", "sum_over_time(waiting[5m])", "increase(waiting[5m])"]);
    let target = fixture.target("a");
    let times = (1..=20).map(|minute| minute * 60).chain((1..=100).map(|n| 1200 + n * 5));
    for (number, second) in times.enumerate() {
        fixture.server.commit(
            target,
            secs(second),
            secs(second),
            row(number as f64, 0.0).as_ref().map(<[f64; 5]>::as_slice),
        );
    }
    // The last sixty of 120.
    assert_eq!(fixture.values(0, secs(1700)), [60.0]);
    assert_eq!(fixture.values(1, secs(1700)), [(60..120).sum::<u64>() as f64]);
    assert_eq!(fixture.values(2, secs(1700)), [60.0]);
}

#[test]
fn groups_come_in_the_order_in_which_they_first_have_a_value() {
    let mut fixture = Fixture::new(&["sum by (le) (rate(ttft_bucket[2m]))", "sum by (pod) (rate(ttft_bucket[2m]))"]);
    let (first, second) = (fixture.target("a"), fixture.target("b"));
    for n in 1..=2 {
        let without_a_bucket = [1.0, 1.0, Exposition::ABSENT, n as f64, 1.0];
        fixture.scrape(first, n, Some(without_a_bucket));
        fixture.scrape(second, n, row(1.0, n as f64));
    }
    for (query, label, expected) in [(0, "le", ["+Inf", "1.0"]), (1, "pod", ["a", "b"])] {
        let elements = fixture.elements(query, secs(30));
        assert_eq!(elements.iter().map(|(labels, _)| labels.get(label)).collect::<Vec<_>>(), expected);
    }
}

//! A scrape timeline measured on a running Prometheus 2.42.0 (tests/golden/promql/scrape-observed.json): four targets,
//! interval 4 s, against what the server shows when it is fed the same events.

use kedasim::prometheus::{
    PrometheusServer, PrometheusSettings, PrometheusVersion, QueryId, TargetId, TargetRules, marker_times,
};
use kedasim::series::{Exposition, Labels, MetricKind, QueryValue, SeriesDef};
use kedasim::units::{SimDuration, SimTime};
use serde_json::Value;
use std::sync::Arc;

/// The measured zero lies here, so that all of it is after the run's start.
const ZERO_MS: i64 = 100_000;
/// What the measurement could not resolve.
const POLL_MS: i64 = 100;
const INTERVAL: SimDuration = SimDuration::from_secs(4);

struct Timeline {
    server: PrometheusServer,
    m: QueryId,
    up: QueryId,
    observed: Value,
}

fn at(seconds: f64) -> SimTime {
    let ms = ZERO_MS + (seconds * 1000.0).round() as i64;
    SimTime::from_millis(u64::try_from(ms).expect("the timeline begins after the run"))
}

fn exposition() -> Arc<Exposition> {
    Arc::new(Exposition {
        series: vec![SeriesDef { labels: Labels::from_pairs([("__name__", "m")]), kind: MetricKind::Gauge }],
    })
}

impl Timeline {
    fn new() -> Self {
        let mut server = PrometheusServer::new(PrometheusSettings {
            version: PrometheusVersion::V2_42,
            lookback: SimDuration::from_secs(300),
            evaluation_interval: SimDuration::from_secs(60),
            epoch_ms: 1_700_000_000_000,
        });
        let m = server.compile("m").expect("a metric name is a query");
        let up = server.compile("up").expect("a metric name is a query");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/promql/scrape-observed.json");
        let text = std::fs::read_to_string(path).expect("the committed file is readable");
        Timeline { server, m, up, observed: serde_json::from_str(&text).expect("the committed file is JSON") }
    }

    /// The measured samples of a series: (seconds, value or "stale").
    fn samples(&self, series: &str) -> Vec<(f64, Value)> {
        let list = self.observed["samples_relative_s"][series].as_array().expect("the series was measured");
        list.iter().map(|pair| (pair[0].as_f64().expect("a time"), pair[1].clone())).collect()
    }

    fn target(&mut self, pod: &str) -> TargetId {
        self.server.add_target(&Labels::from_pairs([("pod", pod)]), exposition(), &TargetRules::default())
    }

    /// Whether `pod` is in the answer to `query` at a moment.
    fn shows(&mut self, query: QueryId, pod: &str, ms: i64) -> bool {
        let now = SimTime::from_millis(u64::try_from(ZERO_MS + ms).expect("after the start"));
        match self.server.query(query, now, now).expect("a selector evaluates") {
            QueryValue::Vector(elements) => elements.iter().any(|(labels, _)| labels.get("pod") == pod),
            other => panic!("a selector gives a vector, found {other:?}"),
        }
    }

    fn visibility_ms(&self, what: &str) -> i64 {
        let seconds = self.observed["instant_query_visibility_s"][what].as_f64().expect("it was measured");
        (seconds * 1000.0).round() as i64
    }
}

#[test]
fn a_removed_target_shows_until_2_1_intervals_after_its_last_scrape() {
    let mut timeline = Timeline::new();
    let target = timeline.target("a");
    let samples = timeline.samples("m{pod=a}");
    for (seconds, value) in &samples {
        if value == "stale" {
            continue;
        }
        timeline.server.commit(target, at(*seconds), at(*seconds), Some(&[1.0]));
    }
    let (marker, visible) = marker_times(at(1.214), INTERVAL);
    let measured_marker = at(samples.last().expect("it has samples").0);
    assert!(marker.as_millis_floor().abs_diff(measured_marker.as_millis_floor()) <= 2);
    timeline.server.retire(target, marker, visible);
    let gone = timeline.visibility_ms("m{pod=a}, up{pod=a} disappear");
    for query in [timeline.m, timeline.up] {
        assert!(timeline.shows(query, "a", gone - POLL_MS - 100));
        assert!(!timeline.shows(query, "a", gone + POLL_MS));
    }
}

#[test]
fn a_failed_scrape_hides_the_series_at_once_and_up_stays() {
    let mut timeline = Timeline::new();
    let target = timeline.target("c");
    for (seconds, value) in timeline.samples("up{pod=c}") {
        let row: Option<&[f64]> = if value == 1 { Some(&[5.0]) } else { None };
        timeline.server.commit(target, at(seconds), at(seconds + 0.02), row);
    }
    let gone = timeline.visibility_ms("m{pod=c} disappears");
    assert!(timeline.shows(timeline.m, "c", gone - POLL_MS));
    assert!(!timeline.shows(timeline.m, "c", gone));
    assert!(timeline.shows(timeline.up, "c", 9_000), "up is written by failed scrapes too");
}

#[test]
fn a_new_target_shows_with_its_first_scrape() {
    let mut timeline = Timeline::new();
    let target = timeline.target("d");
    for (seconds, _) in timeline.samples("m{pod=d}") {
        timeline.server.commit(target, at(seconds), at(seconds + 0.02), Some(&[1.0]));
    }
    let appears = timeline.visibility_ms("m{pod=d} appears");
    assert!(!timeline.shows(timeline.m, "d", appears - POLL_MS));
    assert!(timeline.shows(timeline.m, "d", appears));
}

#[test]
fn a_series_that_is_not_exposed_any_more_is_marked_once_at_the_first_scrape_without_it() {
    let mut timeline = Timeline::new();
    timeline.server.keep_rows();
    let series = ["m", "extra"]
        .map(|name| SeriesDef { labels: Labels::from_pairs([("__name__", name)]), kind: MetricKind::Gauge });
    let exposition = Arc::new(Exposition { series: series.to_vec() });
    let own = Labels::from_pairs([("pod", "b")]);
    let target = timeline.server.add_target(&own, exposition, &TargetRules::default());
    let gone = timeline.samples("extra{pod=b}").last().expect("it has samples").0;
    for (seconds, _) in timeline.samples("m{pod=b}") {
        let extra = if seconds < gone { 1.0 } else { f64::from_bits(PrometheusServer::STALE_BITS) };
        timeline.server.commit(target, at(seconds), at(seconds + 0.02), Some(&[5.0, extra]));
    }
    let stored = stored(&mut timeline.server);
    for name in ["m", "extra"] {
        let measured = timeline.samples(&format!("{name}{{pod=b}}"));
        let expected: Vec<(i64, bool)> =
            measured.iter().map(|(seconds, value)| (ms(*seconds), value == "stale")).collect();
        assert_eq!(of(&stored, &format!("{name}{{pod=\"b\"}}")), expected, "{name}");
    }
}

#[test]
fn all_that_is_stored_of_a_removed_and_of_a_dead_target_is_what_was_measured() {
    let mut timeline = Timeline::new();
    timeline.server.keep_rows();
    let (a, c) = (timeline.target("a"), timeline.target("c"));
    let mut last = 0.0;
    for (seconds, _) in timeline.samples("m{pod=a}").iter().filter(|(_, value)| value != "stale") {
        timeline.server.commit(a, at(*seconds), at(*seconds), Some(&[1.0]));
        last = *seconds;
    }
    let (marker, visible) = marker_times(at(last), INTERVAL);
    timeline.server.retire(a, marker, visible);
    for (seconds, value) in timeline.samples("up{pod=c}") {
        let row: Option<&[f64]> = if value == 1 { Some(&[5.0]) } else { None };
        timeline.server.commit(c, at(seconds), at(seconds), row);
    }
    let stored = stored(&mut timeline.server);
    for series in ["m{pod=a}", "up{pod=a}", "m{pod=c}", "up{pod=c}"] {
        let found = of(&stored, &series.replace("pod=", "pod=\"").replace('}', "\"}"));
        let measured = timeline.samples(series);
        assert_eq!(found.len(), measured.len(), "{series}: {found:?}");
        for ((at, stale), (seconds, value)) in found.iter().zip(&measured) {
            // The measured marker of a target that is gone is a tick of its timer, a millisecond off the grid.
            assert!((at - ms(*seconds)).abs() <= 2 && *stale == (value == "stale"), "{series}: {found:?}");
        }
    }
}

/// Milliseconds on the server's clock.
fn ms(seconds: f64) -> i64 {
    1_700_000_000_000 + ZERO_MS + (seconds * 1000.0).round() as i64
}

/// All stored samples: series, time stamp, whether it is a marker.
fn stored(server: &mut PrometheusServer) -> Vec<(String, i64, bool)> {
    let rows = server.take_rows();
    let samples = rows.iter().flat_map(|row| row.samples().map(|(labels, value)| (labels, row.at_ms, value)));
    samples
        .map(|(labels, at, value)| (labels.to_string(), at, value.to_bits() == PrometheusServer::STALE_BITS))
        .collect()
}

fn of(stored: &[(String, i64, bool)], series: &str) -> Vec<(i64, bool)> {
    stored.iter().filter(|(own, ..)| own == series).map(|(_, at, stale)| (*at, *stale)).collect()
}

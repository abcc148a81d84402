//! Laws over random input: no text makes the parser panic, rows and single series answer alike, the shortcuts for
//! aggregated rates answer like the long way, and all of it like a slow literal evaluator (`promql_literal`).

mod promql_literal;

use kedasim::prometheus::{PrometheusServer, PrometheusSettings, PrometheusVersion, QueryId, TargetRules};
use kedasim::series::{Exposition, Labels, MetricKind, QueryValue, SeriesDef};
use kedasim::units::{SimDuration, SimTime};
use promql_literal::{Aggregation, Function, Question, Store};
use proptest::prelude::*;
use std::sync::Arc;

const EPOCH_MS: i64 = 1_700_000_000_000;
const STEP_MS: u64 = 15_000;
const VERSIONS: [PrometheusVersion; 6] = [
    PrometheusVersion::V2_42,
    PrometheusVersion::V2_51,
    PrometheusVersion::V2_55,
    PrometheusVersion::V3_5,
    PrometheusVersion::V3_9,
    PrometheusVersion::V3,
];

fn server(version: PrometheusVersion) -> PrometheusServer {
    PrometheusServer::new(PrometheusSettings {
        version,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: EPOCH_MS,
    })
}

/// Pieces of queries, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "sum",
        "rate",
        "(",
        ")",
        "{",
        "}",
        "[5m]",
        "[5m:1m]",
        "[",
        "]",
        "by",
        "without",
        "on",
        "ignoring",
        "group_left",
        "bool",
        "offset",
        "@",
        "start()",
        "1",
        "0x1f",
        "1e",
        "5m",
        "-",
        "+",
        "*",
        "^",
        "==",
        "=~",
        "!",
        "\"a",
        "\"a\"",
        "'\\x'",
        "`",
        "up",
        "vllm:x",
        ",",
        "and",
        "or",
        "a=\"b\"",
        "#",
        "\n",
        "é",
        ":",
        "nan",
        "inf",
        "topk",
        "label_replace",
        "histogram_quantile",
        "atan2",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.join(" "))
}

/// The elements in label order.
fn elements(server: &mut PrometheusServer, query: QueryId, at: SimTime, now: SimTime) -> Vec<(Labels, u64)> {
    let value = server.query(query, at, now).expect("these queries evaluate on any data");
    let QueryValue::Vector(elements) = value else { panic!("these queries give vectors, found {value:?}") };
    // NaN equals NaN here, whatever its bits.
    let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    let mut elements: Vec<(Labels, u64)> = elements.into_iter().map(|(labels, value)| (labels, bits(value))).collect();
    elements.sort();
    elements
}

fn series_labels(index: usize) -> Labels {
    let bound = ["1.0", "2.5", "+Inf"][index % 3];
    Labels::from_pairs([("__name__", "c_bucket"), ("le", bound)])
}

/// A target's scrapes: `None` failed.
type Scrapes = Vec<Option<[f64; 3]>>;

fn scrapes() -> impl Strategy<Value = Vec<Scrapes>> {
    let value = prop_oneof![8 => (0u32..50).prop_map(f64::from), 1 => Just(0.0), 1 => Just(f64::NAN)];
    let row = prop_oneof![6 => [value.clone(), value.clone(), value].prop_map(Some), 1 => Just(None)];
    prop::collection::vec(prop::collection::vec(row, 1..20), 1..4)
}

/// The scrape's instant; targets have different phases.
fn scrape_time(target: usize, index: usize) -> SimTime {
    SimTime::from_millis((index as u64 + 1) * STEP_MS + target as u64 * 3_700)
}

fn fill_rows(server: &mut PrometheusServer, targets: &[Scrapes]) {
    let series = (0..3).map(|index| SeriesDef { labels: series_labels(index), kind: MetricKind::Histogram }).collect();
    let exposition = Arc::new(Exposition { series });
    for (number, scrapes) in targets.iter().enumerate() {
        let target = server.add_target(
            &Labels::from_pairs([("pod", number.to_string())]),
            exposition.clone(),
            &TargetRules::default(),
        );
        for (index, row) in scrapes.iter().enumerate() {
            let at = scrape_time(number, index);
            server.commit(target, at, at, row.as_ref().map(<[f64; 3]>::as_slice));
        }
    }
}

/// The same data as single series with literal staleness markers.
fn fill_series(server: &mut PrometheusServer, targets: &[Scrapes]) {
    for (number, scrapes) in targets.iter().enumerate() {
        for column in 0..3 {
            let mut samples = Vec::new();
            let mut had = false;
            for (index, row) in scrapes.iter().enumerate() {
                let ms = i64::try_from(scrape_time(number, index).as_millis_floor()).expect("a short run");
                match row {
                    Some(row) => samples.push((EPOCH_MS + ms, row[column])),
                    None if had => samples.push((EPOCH_MS + ms, f64::from_bits(PrometheusServer::STALE_BITS))),
                    None => {}
                }
                had = row.is_some();
            }
            server.add_recorded_series(&series_labels(column).with("pod", &number.to_string()), &samples);
        }
    }
}

/// Pairs that must agree: a shortcut and the long way round it.
const EQUAL_QUERIES: [(&str, &str); 4] = [
    ("sum by (le) (rate(c_bucket[2m]))", "sum by (le) (+rate({__name__=~\"c_bucket\"}[2m]))"),
    ("avg without (pod) (increase(c_bucket[1m]))", "avg without (pod) (increase({__name__=~\"c_bucket\"}[1m]))"),
    ("max(max_over_time(c_bucket[90s]))", "max(max_over_time({__name__=~\"c_bucket\"}[90s]))"),
    (
        "histogram_quantile(0.9, sum by (le) (rate(c_bucket[2m])))",
        "histogram_quantile(0.9, sum by (le) (rate({__name__=~\"c_bucket\"}[2m])))",
    ),
];

/// The series of the churn test: three buckets, a gauge, and a counter of all sorts of values that is not always exposed.
const SERIES: usize = 5;

/// In which order a pod exposes them: buckets side by side, buckets the other way round, buckets apart.
const LAYOUTS: [[usize; SERIES]; 3] = [[0, 1, 2, 3, 4], [3, 2, 1, 0, 4], [0, 3, 1, 4, 2]];

/// A pod of the churn test: born at a scrape, and what each of its scrapes gave until it went.
#[derive(Clone, Debug)]
struct Pod {
    born: usize,
    layout: [usize; SERIES],
    /// Exposed values, or a failed scrape; and how long the answer took, ms.
    scrapes: Vec<(Option<[f64; SERIES]>, u64)>,
    /// Whether it is removed afterwards.
    removed: bool,
}

impl Pod {
    fn exposition(&self) -> Arc<Exposition> {
        let series = |index: usize| match index {
            3 => SeriesDef { labels: Labels::from_pairs([("__name__", "g")]), kind: MetricKind::Gauge },
            4 => SeriesDef { labels: Labels::from_pairs([("__name__", "x_total")]), kind: MetricKind::Counter },
            _ => SeriesDef { labels: series_labels(index), kind: MetricKind::Histogram },
        };
        Arc::new(Exposition { series: self.layout.map(series).to_vec() })
    }
}

/// A scrape as drawn: steps of the buckets, whether it works, the gauge, an odd value, how long the answer took.
type Drawn = ([Option<f64>; 3], bool, i32, Option<f64>, u64);

fn pods() -> impl Strategy<Value = Vec<Pod>> {
    // Steps of counters: mostly up, at times a restart from a small value.
    let step = prop_oneof![
        12 => (0u32..40).prop_map(|tenths| Some(f64::from(tenths) * 0.1)),
        1 => Just(None),
    ];
    let odd = prop::sample::select(vec![
        Exposition::ABSENT,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -3.5,
        -0.0,
        5e-324,
        2e-323,
        1e308,
        f64::MAX,
    ]);
    // None: one more than in the scrape before.
    let odd = prop_oneof![5 => Just(None), 1 => odd.prop_map(Some)];
    let works = prop_oneof![9 => Just(true), 1 => Just(false)];
    let scrape = (prop::array::uniform3(step), works, -5i32..6, odd, 0u64..9_000);
    let layout = prop::sample::select(LAYOUTS.to_vec());
    let pod = (0usize..12, layout, prop::collection::vec(scrape, 1..30), any::<bool>());
    prop::collection::vec(pod, 1..6).prop_map(|pods| {
        let scrapes_of = |layout: [usize; SERIES], scrapes: Vec<Drawn>| {
            let (mut counters, mut x) = ([0.0; 3], 0.0);
            let mut exposed = Vec::new();
            for (steps, works, gauge, odd, delay) in scrapes {
                for (counter, step) in counters.iter_mut().zip(steps) {
                    *counter = step.map_or(0.3, |step| *counter + step);
                }
                x = odd.unwrap_or(if f64::is_finite(x) { x + 1.0 } else { 0.0 });
                let [a, b, c] = counters;
                let gauge = if gauge == 5 { f64::NAN } else { f64::from(gauge) };
                let all = [a, b, c, gauge, x];
                exposed.push((works.then_some(layout.map(|index| all[index])), delay));
            }
            exposed
        };
        let pod =
            |(born, layout, scrapes, removed)| Pod { born, layout, scrapes: scrapes_of(layout, scrapes), removed };
        pods.into_iter().map(pod).collect()
    })
}

const fn question(
    aggregation: Aggregation,
    without: bool,
    grouping: &'static [&'static str],
    function: Function,
    metric: &'static str,
    range_ms: i64,
    offset_ms: i64,
) -> Question {
    Question { aggregation, without, grouping, function, metric, range_ms, offset_ms, at_s: None }
}

const QUESTIONS: [Question; 17] = [
    question(Aggregation::Sum, false, &["le"], Function::Rate, "c_bucket", 60_000, 0),
    question(Aggregation::Sum, false, &["le"], Function::Rate, "c_bucket", 120_000, 0),
    // Windows of no, one and two samples.
    question(Aggregation::Sum, false, &["le"], Function::Increase, "c_bucket", 20_000, 0),
    question(Aggregation::Sum, true, &[], Function::Rate, "c_bucket", 75_000, 0),
    // Into the future.
    question(Aggregation::Sum, false, &["le"], Function::Rate, "c_bucket", 60_000, -10_000),
    question(Aggregation::Avg, true, &["pod"], Function::Increase, "c_bucket", 45_000, 15_000),
    question(Aggregation::Max, false, &["pod"], Function::Rate, "c_bucket", 60_000, 0),
    question(Aggregation::Sum, false, &[], Function::Delta, "g", 60_000, 0),
    // A counter's function of a gauge, which falls all the time.
    question(Aggregation::Sum, false, &["pod"], Function::Rate, "g", 60_000, 0),
    question(Aggregation::Sum, false, &[], Function::Increase, "x_total", 60_000, 0),
    question(Aggregation::Sum, false, &["pod"], Function::Delta, "x_total", 45_000, 0),
    question(Aggregation::Min, false, &[], Function::Rate, "x_total", 30_000, 0),
    question(Aggregation::Sum, false, &["pod"], Function::Newest, "x_total", 0, 0),
    question(Aggregation::Count, false, &[], Function::Rate, "up", 60_000, 0),
    question(Aggregation::Min, false, &[], Function::Increase, "up", 120_000, 30_000),
    question(Aggregation::Sum, false, &["pod"], Function::Newest, "c_bucket", 0, 0),
    question(Aggregation::Avg, false, &[], Function::Newest, "up", 0, 20_000),
];

/// With these every row is kept.
const FIXED: [Question; 3] = [
    Question { at_s: Some(150), ..QUESTIONS[0] },
    Question { at_s: Some(200), ..QUESTIONS[5] },
    Question { at_s: Some(300), ..QUESTIONS[9] },
];

/// Plays the pods' lives in time order to the server and to the literal store, asking every few seconds; the server's
/// process restarts at a second.
fn play(
    version: PrometheusVersion,
    pods: &[Pod],
    restart: Option<u64>,
    questions: &[Question],
) -> Result<(), TestCaseError> {
    let mut server = server(version);
    let compile = |one: &Question| server.compile(&one.text(EPOCH_MS)).expect("the question is a valid query");
    let compiled: Vec<QueryId> = questions.iter().map(compile).collect();
    let mut literal = Store::new(version, EPOCH_MS);
    let mut targets = vec![None; pods.len()];
    for second in 0..720u64 {
        let now = SimTime::from_secs(second);
        if restart == Some(second) {
            server.forget_writers();
            literal.forget_writers();
        }
        for (number, pod) in pods.iter().enumerate() {
            // Scrapes fall on whole seconds, each pod's at a phase of its own.
            let since = second as i64 - (pod.born as i64 * 15 + number as i64 * 4);
            if since < 0 || since % 15 != 0 {
                continue;
            }
            let index = since as usize / 15;
            if index == 0 {
                // Some have the same labels.
                let own = Labels::from_pairs([("pod", (number % 3).to_string())]);
                let exposition = pod.exposition();
                targets[number] = Some((
                    server.add_target(&own, exposition.clone(), &TargetRules::default()),
                    literal.add_target(&own, &exposition),
                ));
            }
            let Some((target, same)) = targets[number] else { continue };
            if let Some((row, delay)) = pod.scrapes.get(index) {
                let visible = now + SimDuration::from_millis(*delay);
                let row = row.as_ref().map(<[f64; SERIES]>::as_slice);
                server.commit(target, now, visible, row);
                literal.commit(same, now, visible, row);
            } else if index == pod.scrapes.len() && pod.removed {
                let visible = now + SimDuration::from_millis(16_500);
                server.retire(target, now, visible);
                literal.retire(same, now, visible);
            }
        }
        if second % 7 == 0 {
            for (one, query) in questions.iter().zip(&compiled) {
                let found = elements(&mut server, *query, now, now);
                let expected = literal.ask(one, now, now);
                prop_assert_eq!(found, expected, "{} at {} s, {:?}", one.text(EPOCH_MS), second, version);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_text_makes_the_parser_panic(query in prop_oneof![pieces(), any::<String>()]) {
        for version in VERSIONS {
            if let Err(error) = server(version).compile(&query) {
                prop_assert!(error.offset <= query.len() && query.is_char_boundary(error.offset), "{}", error);
            }
        }
    }

    #[test]
    fn shortcuts_and_storage_forms_agree(targets in scrapes(), after in 0u64..300) {
        let mut rows = server(PrometheusVersion::V3);
        let mut single = server(PrometheusVersion::V3);
        let compiled: Vec<[QueryId; 4]> = EQUAL_QUERIES
            .iter()
            .map(|(short, long)| {
                [&mut rows, &mut single].map(|server| [*short, *long].map(|query| server.compile(query)))
            })
            .map(|[rows, single]| {
                [rows, single].map(|pair| pair.map(|query| query.expect("the query is valid")))
            })
            .map(|[[a, b], [c, d]]| [a, b, c, d])
            .collect();
        fill_rows(&mut rows, &targets);
        fill_series(&mut single, &targets);
        // Rows are kept for queries about now, so none is asked about an earlier time.
        let newest = targets.iter().enumerate().map(|(number, scrapes)| scrape_time(number, scrapes.len() - 1)).max();
        let at = newest.expect("there is a target") + SimDuration::from_millis(after * 1_000);
        for [a, b, c, d] in compiled {
            let first = elements(&mut rows, a, at, SimTime::NEVER);
            prop_assert_eq!(&elements(&mut rows, b, at, SimTime::NEVER), &first);
            prop_assert_eq!(&elements(&mut single, c, at, SimTime::NEVER), &first);
            prop_assert_eq!(&elements(&mut single, d, at, SimTime::NEVER), &first);
            // Asked again, with everything remembered.
            prop_assert_eq!(&elements(&mut rows, a, at, SimTime::NEVER), &first);
        }
    }
}

proptest! {
    // Each case is played for every version.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(80) })]
    #[test]
    fn answers_are_those_of_the_literal_evaluator(
        pods in pods(),
        restart in prop::option::weighted(0.3, 0u64..500),
    ) {
        for version in VERSIONS {
            play(version, &pods, restart, &QUESTIONS)?;
        }
    }

    #[test]
    fn answers_about_a_fixed_time_are_those_of_the_literal_evaluator(pods in pods()) {
        for version in VERSIONS {
            play(version, &pods, None, &FIXED)?;
        }
    }
}

//! What the fuzz targets do with their bytes.

use kedasim::prometheus::{PrometheusServer, PrometheusSettings, PrometheusVersion, QueryId, TargetRules};
use kedasim::series::{Exposition, Labels, MetricKind, QueryValue, SeriesDef};
use kedasim::units::{SimDuration, SimTime};
use std::sync::Arc;

const VERSIONS: [PrometheusVersion; 4] =
    [PrometheusVersion::V2_42, PrometheusVersion::V2_55, PrometheusVersion::V3_5, PrometheusVersion::V3];

fn server(version: PrometheusVersion) -> PrometheusServer {
    PrometheusServer::new(PrometheusSettings {
        version,
        lookback: SimDuration::from_secs(300),
        evaluation_interval: SimDuration::from_secs(60),
        epoch_ms: 1_700_000_000_000,
    })
}

/// Any text as a query.
pub fn promql_parser(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for version in VERSIONS {
        if let Err(error) = server(version).compile(&text) {
            assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{error}");
            assert!(!error.message.is_empty());
        }
    }
}

const PIECES: [&str; 84] = [
    "a",
    "b_bucket",
    "up",
    "{__name__=~\".+\"}",
    "{pod=\"0\"}",
    "{pod!=\"0\"}",
    "{le=~\"1.*\"}",
    "(",
    ")",
    ",",
    "[1m]",
    "[2m]",
    "[5m:15s]",
    "[1m:]",
    "[1m+30s]",
    "[(2m-5s)*2:min_of(10s,1m)]",
    "[step()+1m]",
    "offset (30s*2)",
    "offset -(1m/4)",
    "offset step()",
    "offset 30s",
    "offset -1m",
    "@ 1700000100",
    "@ end()",
    "1",
    "0",
    "-1",
    "0.5",
    "NaN",
    "Inf",
    "\"pod\"",
    "\"x\"",
    "\"(.*)\"",
    "\"$1\"",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "atan2",
    "==",
    "!=",
    ">",
    "<=",
    "bool",
    "and",
    "or",
    "unless",
    "on(pod)",
    "ignoring(le)",
    "group_left",
    "group_right(le)",
    "sum",
    "avg",
    "min",
    "count",
    "stddev",
    "bottomk",
    "group",
    "topk",
    "quantile",
    "count_values",
    "by (pod)",
    "without (le)",
    "rate",
    "increase",
    "irate",
    "deriv",
    "predict_linear",
    "quantile_over_time",
    "avg_over_time",
    "absent_over_time",
    "first_over_time",
    "last_over_time",
    "timestamp",
    "resets",
    "histogram_quantile",
    "label_replace",
    "label_join",
    "clamp",
    "scalar",
    "vector",
    "sort",
];

/// Pieces of queries in any order, and those of them that are queries asked about difficult data.
pub fn promql_evaluator(data: &[u8]) {
    let text: Vec<&str> = data.iter().take(40).map(|byte| PIECES[*byte as usize % PIECES.len()]).collect();
    let text = text.join(" ");
    for version in VERSIONS {
        let mut server = server(version);
        let Ok(query) = server.compile(&text) else { continue };
        fill(&mut server);
        let at = SimTime::from_secs(150);
        let first = server.query(query, at, at);
        let again = server.query(query, at, at);
        assert_eq!(format!("{first:?}"), format!("{again:?}"), "{text}");
    }
}

/// Two targets: one with a reset, a NaN and a failed scrape, one that goes.
fn fill(server: &mut PrometheusServer) {
    let series =
        |name: &str, le: &str, kind| SeriesDef { labels: Labels::from_pairs([("__name__", name), ("le", le)]), kind };
    let exposition = Arc::new(Exposition {
        series: vec![
            series("a", "", MetricKind::Gauge),
            series("b_bucket", "1.0", MetricKind::Histogram),
            series("b_bucket", "+Inf", MetricKind::Histogram),
        ],
    });
    for pod in 0..2u64 {
        let target = server.add_target(&Labels::from_pairs([("pod", pod.to_string())]), exposition.clone(), &TargetRules::default());
        for step in 0..9u64 {
            let at = SimTime::from_secs(step * 15 + pod);
            let value = step as f64;
            let row = [if step == 3 { f64::NAN } else { -value }, value % 4.0, value * 2.0];
            let works = pod == 0 || step != 5;
            server.commit(target, at, at + SimDuration::from_millis(20), works.then_some(row.as_slice()));
        }
        if pod == 1 {
            server.retire(target, SimTime::from_secs(140), SimTime::from_secs(145));
        }
    }
}

/// Label sets with clashes, rows and failed scrapes.
pub fn exposition(data: &[u8]) {
    const NAMES: [&str; 6] = ["pod", "exported_pod", "exported_exported_pod", "le", "job", "é"];
    let mut bytes = data.iter().copied();
    let mut next = move || bytes.next().unwrap_or(0);
    let labels = |tag: &str, next: &mut dyn FnMut() -> u8| {
        let count = next() % 5;
        let pairs: Vec<(&str, String)> =
            (0..count).map(|_| (NAMES[next() as usize % NAMES.len()], format!("{tag}{}", next() % 4))).collect();
        Labels::from_pairs(pairs)
    };
    let target_labels = labels("t", &mut next);
    let count = usize::from(next() % 6);
    // A value of its own tells each series apart.
    let series: Vec<SeriesDef> = (0..count)
        .map(|index| SeriesDef {
            labels: labels("e", &mut next).with("__name__", &format!("m{index}")),
            kind: if next() % 2 == 0 { MetricKind::Gauge } else { MetricKind::Counter },
        })
        .collect();
    let mut server = server(PrometheusVersion::V3);
    // No regular expression: compiling one takes far longer than all the rest.
    let all: QueryId = server.compile("{__name__!=\"\"}").expect("the query is valid");
    let exposition = Arc::new(Exposition { series: series.clone() });
    let target = server.add_target(&target_labels, exposition, &TargetRules::default());
    let mut last = None;
    for step in 0..u64::from(next() % 20) {
        let works = next() % 4 != 0;
        let row: Vec<f64> = (0..count).map(|index| step as f64 * 100.0 + index as f64).collect();
        let at = SimTime::from_secs(step * 15);
        server.commit(target, at, at, works.then_some(row.as_slice()));
        last = Some((at, works, row));
    }
    let Some((at, works, row)) = last else { return };
    let QueryValue::Vector(mut found) = server.query(all, at, at).expect("a selector evaluates") else {
        panic!("a selector gives a vector")
    };
    // The scrape's own series, `up` and others, stand beside those of the target.
    found.retain(|(labels, _)| labels.metric_name().starts_with('m'));
    assert_eq!(found.len(), if works { count } else { 0 });
    for (labels, value) in &found {
        let index = row.iter().position(|own| own == value).expect("a value of the last row");
        assert_eq!(labels.metric_name(), series[index].labels.metric_name());
        assert!(target_labels.iter().all(|(name, value)| labels.get(name) == value), "{labels}");
        let is_stored = |exposed: &str| labels.iter().any(|(_, stored)| stored == exposed);
        assert!(series[index].labels.iter().all(|(_, value)| is_stored(value)), "{labels}");
        assert_eq!(labels.len(), series[index].labels.len() + target_labels.len(), "no label is lost: {labels}");
    }
}

use super::*;
use crate::prometheus::{PrometheusVersion, parse_query};

/// How many series the query may have, and what kind of number it gives.
fn told(query: &str) -> (Shape, Number) {
    let plan = parse_query(query, PrometheusVersion::V3).unwrap_or_else(|error| panic!("{query}: {error}"));
    let single = BTreeSet::from(["job:tokens".to_owned()]);
    let bound_of = |name: &str| (name == "usage").then_some(1.0);
    let lookup = Lookup { plan: &plan, single: &single, bound_of: &bound_of };
    (lookup.shape(&plan.root), lookup.number(&plan.root))
}

#[test]
fn a_query_has_one_series_or_not() {
    let single = [
        "sum(x)",
        "1",
        "vector(1)",
        "sum(rate(x[2m])) + sum(rate(y[2m]))",
        "sum(x) or vector(0)",
        "(sum(x) / 7) or vector(0)",
        "histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m])))",
        "sum by (model) (x{model=\"a\"})",
        "topk(1, x)",
        "x{pod=\"a-0\"}",
        "job:tokens",
        "sum(x) / count(x)",
        "max(x) > 3",
        "scalar(sum(y)) * vector(2)",
        "sum(sum by (pod) (x))",
        "clamp_max(sum(x), 5)",
        "sum by (m) (x{m=\"a\"}) or sum by (m) (y{m=\"a\"})",
    ];
    for query in single {
        assert!(matches!(told(query).0, Shape::Single { .. }), "{query}");
    }
    for (query, offset) in [
        ("x", 0),
        ("rate(x[2m])", 5),
        ("sum by (pod) (x)", 0),
        ("sum without (pod) (x)", 0),
        ("topk(3, x)", 0),
        ("x or vector(0)", 0),
        ("histogram_quantile(0.9, rate(x_bucket[5m]))", 29),
        ("histogram_quantile(0.9, sum by (le, pod) (rate(x_bucket[5m])))", 24),
        ("sum by (pod) (x{pod=~\"a.*\"})", 0),
        ("x{model=\"a\"} * 2", 0),
        ("2 * x", 4),
    ] {
        let found = match told(query).0 {
            Shape::Open(offset) | Shape::By(_, offset) => Some(offset),
            Shape::Single { .. } => None,
        };
        assert_eq!(found, Some(offset), "{query}");
    }
}

#[test]
fn a_query_is_a_total_a_mean_or_a_share() {
    for (query, nature, bound) in [
        ("sum(x)", Nature::Total, None),
        ("sum(usage) or vector(0)", Nature::Total, Some(1.0)),
        ("avg(usage)", Nature::Average, Some(1.0)),
        ("avg(usage) * 100", Nature::Average, Some(100.0)),
        ("100 * avg(avg_over_time(usage[5m]))", Nature::Average, Some(100.0)),
        ("max(usage)", Nature::Extreme, Some(1.0)),
        ("max(x)", Nature::Extreme, None),
        ("sum(x) / count(x)", Nature::Average, None),
        ("sum(usage) / count(usage)", Nature::Average, Some(1.0)),
        ("sum(x) / scalar(count(up))", Nature::Average, None),
        ("sum(rate(x_sum[5m])) / sum(rate(x_count[5m]))", Nature::Ratio, None),
        ("avg(x) + sum(y)", Nature::Total, None),
        ("avg(x) * count(x)", Nature::Total, None),
        ("sum(x) > bool 0", Nature::Flag, Some(1.0)),
        ("sum(rate(x[1m]) > bool 0)", Nature::Total, Some(1.0)),
        ("sum(x) / 15928", Nature::Total, None),
        ("histogram_quantile(0.95, sum by (le) (rate(x_bucket[5m]))) * 1000", Nature::Quantile, None),
        ("clamp_max(avg(x), 2)", Nature::Average, Some(2.0)),
    ] {
        let found = told(query).1;
        assert_eq!((found.nature, found.bound), (nature, bound), "{query}");
    }
    assert_eq!(told("avg(x) * 1000").1.scale, 1000.0);
}

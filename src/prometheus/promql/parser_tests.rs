//! What the parser refuses and where, and how operators bind.

use crate::prometheus::promql::ast::{BinaryOp, Expr, Kind};
use crate::prometheus::promql::{Semantics, parse, reach_ms};

fn v3() -> Semantics {
    Semantics {
        left_open: true,
        cap_before_zero: true,
        kahan_agg: true,
        parser3: true,
        holt_winters: false,
        dot_matches_newline: true,
        strict_matching: true,
        first_over_time: true,
        duration_arithmetic: true,
        lookback_ms: 300_000,
        default_step_ms: 60_000,
    }
}

fn v3_5() -> Semantics {
    Semantics { strict_matching: false, first_over_time: false, duration_arithmetic: false, ..v3() }
}

fn v2_42() -> Semantics {
    Semantics { left_open: false, parser3: false, holt_winters: true, ..v3_5() }
}

/// The tree with every operation in parentheses.
fn shape(expr: &Expr) -> String {
    match &expr.kind {
        Kind::Number(number) => number.to_string(),
        Kind::Paren(inner) => shape(inner),
        Kind::Negate(inner) => format!("(-{})", shape(inner)),
        Kind::Vector { selector, .. } => format!("s{selector}"),
        Kind::Binary(binary) => {
            let op = match binary.op {
                BinaryOp::Add => "+",
                BinaryOp::Sub => "-",
                BinaryOp::Mul => "*",
                BinaryOp::Pow => "^",
                BinaryOp::Gt => ">",
                BinaryOp::And => "and",
                BinaryOp::Or => "or",
                _ => "?",
            };
            format!("({} {op} {})", shape(&binary.lhs), shape(&binary.rhs))
        }
        _ => "...".to_owned(),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    for (query, tree) in [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("2 ^ 3 ^ 2", "(2 ^ (3 ^ 2))"), // The only right-associative operator.
        ("-2 ^ 2", "(-(2 ^ 2))"),       // A sign binds looser than a power.
        ("-a * b", "((-s0) * s1)"),
        ("2 ^ -1", "(2 ^ -1)"),
        ("1 - 2 - 3", "((1 - 2) - 3)"),
        ("a or b and c", "(s0 or (s1 and s2))"),
        ("a > 5 or b", "((s0 > 5) or s1)"),
        ("SUM(a) OR vector(0)", "(... or ...)"), // Keywords in any case.
    ] {
        let plan = parse(query, v3()).expect("the query is valid");
        assert_eq!(shape(&plan.root), tree, "{query}");
    }
}

#[test]
fn errors_say_what_and_where() {
    for (query, offset, part) in [
        ("", 0, "no expression"),
        ("sum(", 4, "end of the query"),
        ("up + nosuch(up)", 5, "unknown function \"nosuch\""),
        ("rate(up)", 5, "a range such as [5m] is missing"),
        ("sum(up[5m])", 4, "the range belongs inside rate()"),
        ("up{pod=}", 7, "a string in quotes"),
        ("up{pod=~\"(\"}", 3, "regular expression"),
        ("{pod=~\".*\"}", 0, "every series"),
        ("up[5x]", 3, "malformed number"),
        ("up[0s]", 3, "a duration of 0"),
        ("rate(sum(up)[5m])", 12, "[range:]"),
        ("up offset 5m offset 1m", 13, "offset twice"),
        ("1 == 2", 2, "bool modifier"),
        ("up + on(a) group_left(a) up", 21, "both on()"),
        ("up and 1", 3, "set operator with a scalar"),
        ("sum(up) by (pod", 15, "after the label names"),
        ("up{a=\"b\"", 8, "after a matcher"),
        ("\"abc", 0, "not closed"),
        ("mad_over_time(up[5m])", 0, "feature flag"),
        ("up + histogram_count(up)", 5, "\"histogram_count\" of native histograms"),
        ("sum(LimitK(1, up))", 4, "\"LimitK\", which Prometheus accepts only with the feature flag"),
        ("limit_ratio by (a) (0.1, up)", 0, "\"limit_ratio\""),
        ("up + fill(1) up", 5, "fill()"),
        ("up + on(a) group_left fill_left(1) up", 22, "promql-binop-fill-modifiers"),
        ("up[5m] anchored", 7, "promql-extended-range-selectors"),
        ("info(up)", 0, "promql-experimental-functions"),
        ("up up", 3, "found \"up\""),
        ("up $ 1", 3, "unexpected character '$'"),
        ("up{ä=\"b\"}", 3, "unexpected character 'ä'"),
    ] {
        let error = parse(query, v3()).expect_err(query);
        assert!(error.message.contains(part), "{query}: {error}");
        assert_eq!(error.offset, offset, "{query}: {error}");
    }
}

/// Range, step and offset in ms.
fn lengths(query: &str, semantics: Semantics) -> Result<(i64, Option<i64>, i64), String> {
    let plan = parse(query, semantics).map_err(|error| error.to_string())?;
    Ok(match plan.root.kind {
        Kind::Vector { modifiers, .. } => (0, None, modifiers.offset_ms),
        Kind::Matrix { range_ms, modifiers, .. } => (range_ms, None, modifiers.offset_ms),
        Kind::Subquery { range_ms, step_ms, modifiers, .. } => (range_ms, step_ms, modifiers.offset_ms),
        other => return Err(format!("found {other:?}")),
    })
}

#[test]
fn durations_are_computed_from_3_14_on() {
    for (query, range_ms, step_ms, offset_ms) in [
        ("up[5m+1m]", 360_000, None, 0),
        ("up[1h/2]", 1_800_000, None, 0),
        ("up[2m*(10+5)]", 1_800_000, None, 0),
        ("up[30m1s-30m1s % 1m]", 1_800_000, None, 0), // `%` before `-`.
        ("up[-5m+35m]", 1_800_000, None, 0),
        ("up[-2*3+10]", 4_000, None, 0),
        ("up[2^3^2]", 512_000, None, 0), // To the right, as everywhere.
        ("up[1000-2^-1]", 999_500, None, 0),
        ("up[1.5*90]", 135_000, None, 0),
        ("up[1m+1.0019]", 61_001, None, 0), // What is computed is cut to whole ms.
        ("up[1.1]", 1_100, None, 0),
        ("up[+(5m)]", 300_000, None, 0),
        ("up[step()+1m]", 60_000, None, 0), // An instant query has no step and no range.
        ("up[Range()+1m - STEP()]", 60_000, None, 0),
        ("up[min_of(1m, 2m+1)+max_of(1s,2s)]", 62_000, None, 0),
        ("up[29s+1s:5s+5s]", 30_000, Some(10_000), 0),
        ("up[1h:(1m)] offset (2*30)", 3_600_000, Some(60_000), 60_000),
        ("up offset (1h*2)", 0, None, 7_200_000),
        ("up offset (1h)*2", 0, None, 7_200_000), // goyacc shifts after a parenthesis.
        ("up offset -(1h*2)", 0, None, -7_200_000),
        ("up offset --1h*2", 0, None, 7_200_000),
        ("up offset -min_of(1h,2h)", 0, None, -3_600_000),
        ("up offset step()", 0, None, 0),
        ("up offset -4", 0, None, -4_000),
    ] {
        assert_eq!(lengths(query, v3()), Ok((range_ms, step_ms, offset_ms)), "{query}");
    }
    for (query, offset, part) in [
        ("up[5m-5m]", 3, "a duration of 0 s"),
        ("up[1m-5m]", 3, "a duration of -240 s"),
        ("up[-5m]", 3, "a duration of -300 s"),
        ("up[step()]", 3, "a duration of 0 s"),
        ("up[1m/(2-2)]", 5, "by zero"),
        ("up[1m%0]", 5, "by zero"),
        ("up[1m:1m*0]", 6, "a duration of 0 s"),
        ("up[(1-2)^0.5]", 3, "out of range"),
        ("up[9e9*9]", 3, "out of range"),
        ("up[1m+1e10]", 6, "out of range"),
        ("up[0.0004+0]", 3, "at least a millisecond"),
        ("up[0.0005]", 3, "whole milliseconds"),
        ("up[1m+]", 6, "a duration such as 5m"),
        ("up[(1m]", 6, "close the parenthesis"),
        ("up[max(1m,2m)]", 3, "a duration such as 5m"), // An aggregation, not the `max_of` of durations.
        ("up[min_of(1m)]", 12, "between the two durations"),
        ("up[step(1)]", 8, "in an empty call"),
        ("up offset (1h) offset 1h", 15, "offset twice"),
        ("up offset step() offset 1h", 17, "offset twice"),
    ] {
        let error = parse(query, v3()).expect_err(query);
        assert!(error.message.contains(part), "{query}: {error}");
        assert_eq!(error.offset, offset, "{query}: {error}");
    }
}

#[test]
fn an_offset_ends_where_its_duration_does() {
    for (query, tree) in [
        ("up offset 100 + 2", "(s0 + 2)"),
        ("up offset -2 ^ 2", "(s0 ^ 2)"),
        ("up offset step()*0", "(s0 * 0)"),
        ("up offset -(1h)*2", "(s0 * 2)"),
        ("up offset -step()^2", "(s0 ^ 2)"),
    ] {
        assert_eq!(shape(&parse(query, v3()).expect(query).root), tree, "{query}");
    }
}

#[test]
fn older_versions_name_the_flag_of_duration_arithmetic() {
    for (query, offset) in [
        ("up[5m+1m]", 5),
        ("up[1h:1m*2]", 8),
        ("up[(5m)]", 3),
        ("up offset (5m)", 10),
        ("up[step()]", 3),
        ("up[5m-(1m)]", 5),
    ] {
        for semantics in [v3_5(), v2_42()] {
            let error = parse(query, semantics).expect_err(query);
            assert!(error.message.contains("feature flag promql-duration-expr"), "{query}: {error}");
            assert_eq!(error.offset, offset, "{query}: {error}");
        }
    }
    // A sign is no arithmetic, and after a literal offset the operator is that of the query.
    assert_eq!(lengths("up offset -5m", v2_42()), Ok((0, None, -300_000)));
    assert!(parse("up offset 5m + 1", v2_42()).is_ok());
}

#[test]
fn grammar_corners_are_those_of_prometheus() {
    let (accepted, refused) = (true, false);
    for (query, old, new) in [
        // Keywords are names of metrics but for those that a binary operator's modifiers begin with.
        ("or or or", accepted, accepted),
        ("offset offset 5m", accepted, accepted),
        ("start + end + by + without + sum + fill + step + range", accepted, accepted),
        ("on", refused, refused),
        ("bool + 1", refused, refused),
        ("up{on=\"a\", inf=\"b\", and=\"c\", sum=\"d\",}", accepted, accepted),
        ("sum by (on, inf,) (up)", refused, refused), // `inf` is a number here.
        ("sum by (on, and, bool,) (up)", accepted, accepted),
        ("sum by (,) (up)", refused, refused),
        ("sum by (a:b) (up)", refused, accepted),
        ("sum by (\"a.b\") (up)", refused, accepted),
        ("up{a:b=\"c\"}", refused, refused),
        ("up{,}", refused, refused),
        ("sum(up,)", refused, refused),
        ("rate(up[5m],)", refused, refused),
        // Names of metrics: once outside the braces, any number of times within.
        ("up{__name__=~\"u.*\"}", refused, refused),
        ("up{\"down\"}", refused, refused),
        ("{\"a\", \"b\"}", refused, accepted),
        ("{\"a\", __name__=\"b\"}", refused, accepted),
        ("{__name__=\"a\", __name__=~\"b.*\"}", accepted, accepted),
        ("{\"\"}", refused, refused),
        ("{\"\"=\"0\"}", refused, accepted),
        // A literal offset of 0 is none.
        ("up offset 0s offset 5m", accepted, accepted),
        ("up offset 5m offset 0s", refused, refused),
        ("up offset 0s [5m]", accepted, accepted),
        ("up offset 5m [5m]", refused, refused),
        ("(up) offset 5m", refused, refused),
        ("sum(up) offset 5m", refused, refused),
        ("sum(up)[5m:] offset 5m", accepted, accepted),
        ("max_over_time(rate(up[1m])[5m:1m])[1h:5m]", accepted, accepted),
        ("up[5m:1m][5m:1m]", refused, refused),
        ("up[5m:1m:1m]", refused, refused),
        ("up @ -1.5", accepted, accepted),
        ("up @ +0x10", accepted, accepted),
        ("up @ --1", refused, refused),
        ("up @ Inf", refused, refused),
        ("up @ NaN", refused, refused),
        ("up @ 5m", refused, accepted),
        ("up @ start() offset 5m @ end()", refused, refused),
        ("-\"a\"", refused, refused),
        ("+\"a\"", refused, refused),
        ("-up[5m]", refused, refused),
        ("up + bool up", refused, refused),
        ("up == bool up", accepted, accepted),
        ("up and on(a) group_left up", refused, refused),
        ("up + group_left up", refused, refused),
        ("1 + on() 2", accepted, accepted), // Upstream minds the labels alone.
        ("1 + on(a) 2", refused, refused),
        ("up + ignoring(a) group_left(a) up", accepted, accepted),
        // Spaces and comments.
        ("up # comment\r+ 1", accepted, accepted),
        ("up\u{c}", refused, refused),
        ("up[5m # comment\n]", accepted, accepted),
        ("up[ # comment\n5m]", refused, refused),
        ("up[ 5m : 1m ]", accepted, accepted),
        // Strings.
        ("'\\x41\\101\\u00e9\\U0001F600\\''", accepted, accepted),
        ("'\\\"'", refused, refused),
        ("'\\ud800'", refused, refused),
        ("'\\400'", refused, refused),
        ("'a\nb'", refused, refused),
        ("`a\nb\\`", accepted, accepted),
        ("'\u{fffd}'", refused, refused),
    ] {
        let versions = [(v2_42(), old), (v3_5(), new), (v3(), new)];
        for (semantics, expected) in versions {
            let found = parse(query, semantics);
            assert_eq!(found.is_ok(), expected, "{query} in {semantics:?}: {:?}", found.err());
        }
    }
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    for (text, old, new) in [
        ("0x1F", Some(31.0), Some(31.0)),
        ("0X1f", Some(31.0), Some(31.0)),
        ("0x", None, None),
        ("0x_1F", None, Some(31.0)),
        ("0x1e+1", Some(31.0), None), // Newer ones take the sign for that of an exponent.
        ("0x1ee", Some(494.0), None),
        ("0xab_cd", None, Some(43981.0)),
        ("0x7fffffffffffffff", Some(9_223_372_036_854_775_807.0), Some(9_223_372_036_854_775_807.0)),
        ("0x8000000000000000", None, None), // Too large for an integer, and no float.
        ("010", Some(8.0), Some(8.0)),
        ("08", Some(8.0), Some(8.0)),
        ("0_7", None, Some(7.0)),
        ("07777777777777777777777", Some(7_777_777_777_777_777_777_777.0), Some(7_777_777_777_777_777_777_777.0)),
        ("0b11", None, None),
        ("1_000.5", None, Some(1000.5)),
        ("1__0", None, None),
        ("1_", None, None),
        ("1._5", None, None),
        ("1.", Some(1.0), Some(1.0)),
        (".5", Some(0.5), Some(0.5)),
        ("1.e2", Some(100.0), Some(100.0)),
        ("1e-2", Some(0.01), Some(0.01)),
        ("1e", None, None),
        ("1e2.5", None, None),
        ("1.2.3", None, None),
        ("1e400", None, None),
        ("1e-400", Some(0.0), Some(0.0)),
        ("iNf", Some(f64::INFINITY), Some(f64::INFINITY)),
        ("infinity", None, None), // A metric.
        ("1h30m", None, Some(5400.0)),
        ("30m1h", None, None),
        ("1.5h", None, None),
    ] {
        for (semantics, expected) in [(v2_42(), old), (v3(), new)] {
            let found = parse(text, semantics).ok().and_then(|plan| match plan.root.kind {
                Kind::Number(number) => Some(number),
                Kind::Binary(_) => Some(31.0), // `0x1e + 1` in older ones.
                _ => None,
            });
            assert_eq!(found, expected, "{text} with parser3 {}", semantics.parser3);
        }
    }
}

#[test]
fn versions_differ_in_what_parses() {
    for (query, old, new) in [
        ("{\"vllm:x\"}", false, true),
        ("sum by (\"pod\") (up)", false, true),
        ("up[90]", false, true),
        ("1_000", false, true),
        ("5m", false, true),
        ("holt_winters(up[5m], 0.5, 0.5)", true, false),
        ("first_over_time(up[5m])", false, true),
        ("vllm:num_requests_waiting", true, true),
    ] {
        assert_eq!(parse(query, v2_42()).is_ok(), old, "{query} in 2.42");
        assert_eq!(parse(query, v3()).is_ok(), new, "{query} in 3.14");
    }
    let early = parse("first_over_time(up[5m])", v3_5()).expect_err("stable from 3.14 on");
    assert!(early.message.contains("from 3.14 on") && !early.own_limit, "{early}");
    let fraction = parse("histogram_fraction(0, 1, up)", v2_42()).expect_err("native histograms only");
    assert!(fraction.own_limit, "{fraction}");
}

#[test]
fn nesting_and_length_have_limits() {
    let deep = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(parse(&deep, v3()).expect_err("too deep").message.contains("nested"));
    assert!(parse(&"-".repeat(5_000), v3()).expect_err("too deep").message.contains("nested"));
    let long = vec!["up"; 5_000].join("+");
    assert!(parse(&long, v3()).expect_err("too many operators").message.contains("binary operators"));
    for nested in ["(", "-", "abs(", "sum(", "sum by (a) (", "{a=\"b\"} + (", "up[5m:", "(up)[5m:1m]"] {
        // More than a stack could hold; a longer text is refused before it is read.
        for times in [200_000, super::LENGTH_LIMIT / nested.len()] {
            assert!(parse(&nested.repeat(times), v3()).is_err(), "{nested} {times} times");
        }
    }
    let unclosed = parse(&"(".repeat(200_000), v3()).expect_err("too long");
    assert!(unclosed.message.contains("200000 bytes"), "{unclosed}");
    assert!(parse(&" ".repeat(70_000), v3()).expect_err("too long").message.contains("70000 bytes"));
    let fine = format!("{}1{}", "(".repeat(90), ")".repeat(90));
    assert!(parse(&fine, v3()).is_ok());
}

#[test]
fn selectors_keep_their_text_and_place() {
    let plan = parse("sum(rate(a{b=\"c\"}[2m])) / b", v3()).expect("the query is valid");
    let places: Vec<(&str, usize)> = plan.selectors.iter().map(|s| (s.text.as_str(), s.offset)).collect();
    assert_eq!(places, [("a{b=\"c\"}", 9), ("b", 26)]);
}

#[test]
fn storage_keeps_what_a_query_can_reach() {
    for (query, ms) in [
        ("up", 300_000),
        ("up offset 1m", 360_000),
        ("rate(up[2m])", 120_000),
        ("rate(up[2m] offset 1m)", 180_000),
        ("max_over_time(rate(up[2m])[10m:])", 720_000),
        ("1", 0),
    ] {
        let plan = parse(query, v3()).expect("the query is valid");
        assert_eq!(reach_ms(&plan.root, &v3()), ms, "{query}");
    }
}

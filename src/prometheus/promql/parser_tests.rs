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
        lookback_ms: 300_000,
        default_step_ms: 60_000,
    }
}

fn v2_42() -> Semantics {
    Semantics { left_open: false, parser3: false, holt_winters: true, ..v3() }
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
        ("histogram_count(up)", 0, "not supported yet"),
        ("up[5m+1m]", 5, "not supported yet"),
        ("up up", 3, "found \"up\""),
        ("up $ 1", 3, "unexpected character '$'"),
        ("up{ä=\"b\"}", 3, "unexpected character 'ä'"),
    ] {
        let error = parse(query, v3()).expect_err(query);
        assert!(error.message.contains(part), "{query}: {error}");
        assert_eq!(error.offset, offset, "{query}: {error}");
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
        assert_eq!(parse(query, v3()).is_ok(), new, "{query} in 3.x");
    }
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

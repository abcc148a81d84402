//! A query taken apart: each operation and selector as PromQL of its own, so that each can be asked by itself.

use super::ast::{Aggregate, AggregateOp, At, Binary, BinaryOp, Card, Expr, Kind, Modifiers, Plan};
use crate::units::SimDuration;

/// An operation or selector of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryPart {
    /// As a query of its own; asked at the same instant it gives what it gives inside the whole.
    pub text: String,
    /// The same to be read: of a selector the metric's name stands for all matchers.
    pub short: String,
    /// What it does: `sum by (pod)`, `rate`, `+`; empty for a selector.
    pub operation: String,
    /// Of a selector: where it looks.
    pub window: Option<QueryWindow>,
    /// Its operands, literals left out. Those of a subquery are not there: they are asked at other instants.
    pub parts: Vec<QueryPart>,
}

/// Where a selector looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueryWindow {
    /// `[2m]`; `None`: the newest sample within the lookback.
    pub range: Option<SimDuration>,
    /// `offset`, ms; negative ones look ahead.
    pub offset_ms: i64,
    /// `@`, ms since the Unix epoch.
    pub at_ms: Option<i64>,
}

/// The query of `plan` taken apart.
pub(crate) fn outline(plan: &Plan) -> QueryPart {
    part(&plan.root, plan)
}

fn part(expr: &Expr, plan: &Plan) -> QueryPart {
    let expr = expr.unparenthesized();
    let (operation, window, operands): (String, _, Vec<&Expr>) = match &expr.kind {
        Kind::Number(_) | Kind::String(_) | Kind::InvalidString | Kind::Paren(_) => (String::new(), None, Vec::new()),
        Kind::Negate(inner) => ("-".to_owned(), None, vec![inner]),
        Kind::Vector { modifiers, .. } => (String::new(), Some(window_of(None, *modifiers)), Vec::new()),
        Kind::Matrix { range_ms, modifiers, .. } => {
            (String::new(), Some(window_of(Some(*range_ms), *modifiers)), vec![])
        }
        Kind::Subquery { .. } => ("subquery".to_owned(), None, Vec::new()),
        Kind::Call { function, args, .. } => (function.name.to_owned(), None, args.iter().collect()),
        Kind::Aggregate(own) => {
            (aggregate_head(own).trim_end().to_owned(), None, own.param.iter().chain([&own.inner]).collect())
        }
        Kind::Binary(own) => (binary_head(own), None, vec![&own.lhs, &own.rhs]),
    };
    let is_literal = |operand: &&Expr| {
        matches!(operand.unparenthesized().kind, Kind::Number(_) | Kind::String(_) | Kind::InvalidString)
    };
    let parts = operands.into_iter().filter(|own| !is_literal(own)).map(|own| part(own, plan)).collect();
    QueryPart { text: text(expr, plan, false), short: text(expr, plan, true), operation, window, parts }
}

fn window_of(range_ms: Option<i64>, modifiers: Modifiers) -> QueryWindow {
    let range = range_ms.map(|ms| SimDuration::from_millis(u64::try_from(ms).unwrap_or(0)));
    let at_ms = match modifiers.at {
        Some(At::Fixed(ms)) => Some(ms),
        // The query's own time, which is when it is asked.
        Some(At::QueryTime) | None => None,
    };
    QueryWindow { range, offset_ms: modifiers.offset_ms, at_ms }
}

/// A selector's text, or as short as it can be told from others.
fn selector_text(selector: usize, plan: &Plan, short: bool) -> String {
    let selector = &plan.selectors[selector];
    match selector.exact_name().filter(|_| short && selector.matchers.len() > 1) {
        Some(name) => format!("{name}{{...}}"),
        None => selector.text.clone(),
    }
}

/// As PromQL that parses to the same tree, unless it is `short`.
fn text(expr: &Expr, plan: &Plan, short: bool) -> String {
    let text = |expr: &Expr| text(expr, plan, short);
    match &expr.kind {
        Kind::Number(number) => number_text(*number),
        Kind::String(text) => quoted(text),
        Kind::InvalidString => quoted("\u{fffd}"),
        Kind::Paren(inner) => format!("({})", text(inner)),
        Kind::Negate(inner) => format!("-{}", text(inner)),
        Kind::Vector { selector, modifiers } => {
            format!("{}{}", selector_text(*selector, plan, short), suffix(*modifiers))
        }
        Kind::Matrix { selector, range_ms, modifiers } => {
            let selector = selector_text(*selector, plan, short);
            format!("{selector}[{}]{}", duration(*range_ms), suffix(*modifiers))
        }
        Kind::Subquery { inner, range_ms, step_ms, modifiers } => {
            let step = step_ms.map(duration).unwrap_or_default();
            format!("{}[{}:{step}]{}", text(inner), duration(*range_ms), suffix(*modifiers))
        }
        Kind::Call { function, args, .. } => {
            let args: Vec<String> = args.iter().map(text).collect();
            format!("{}({})", function.name, args.join(", "))
        }
        Kind::Aggregate(own) => {
            let param = own.param.as_ref().map(|param| format!("{}, ", text(param))).unwrap_or_default();
            format!("{}({param}{})", aggregate_head(own), text(&own.inner))
        }
        Kind::Binary(own) => format!("{} {} {}", text(&own.lhs), binary_head(own), text(&own.rhs)),
    }
}

/// `sum`, or `sum by (pod) `.
fn aggregate_head(own: &Aggregate) -> String {
    let op = match own.op {
        AggregateOp::Sum => "sum",
        AggregateOp::Avg => "avg",
        AggregateOp::Min => "min",
        AggregateOp::Max => "max",
        AggregateOp::Count => "count",
        AggregateOp::Group => "group",
        AggregateOp::Stddev => "stddev",
        AggregateOp::Stdvar => "stdvar",
        AggregateOp::Quantile => "quantile",
        AggregateOp::Topk => "topk",
        AggregateOp::Bottomk => "bottomk",
        AggregateOp::CountValues => "count_values",
    };
    match (own.without, own.grouping.is_empty()) {
        (false, true) => op.to_owned(),
        (without, _) => {
            format!("{op} {} ({}) ", if without { "without" } else { "by" }, names(&own.grouping))
        }
    }
}

/// `+`, or `/ ignoring (pod) group_left `.
fn binary_head(own: &Binary) -> String {
    let op = match own.op {
        BinaryOp::Add => "+",
        BinaryOp::Sub => "-",
        BinaryOp::Mul => "*",
        BinaryOp::Div => "/",
        BinaryOp::Mod => "%",
        BinaryOp::Pow => "^",
        BinaryOp::Atan2 => "atan2",
        BinaryOp::Eq => "==",
        BinaryOp::Ne => "!=",
        BinaryOp::Gt => ">",
        BinaryOp::Lt => "<",
        BinaryOp::Ge => ">=",
        BinaryOp::Le => "<=",
        BinaryOp::And => "and",
        BinaryOp::Or => "or",
        BinaryOp::Unless => "unless",
    };
    let mut head = op.to_owned();
    if own.return_bool {
        head.push_str(" bool");
    }
    let matching = &own.matching;
    if matching.on || !matching.labels.is_empty() {
        let word = if matching.on { "on" } else { "ignoring" };
        head.push_str(&format!(" {word} ({})", names(&matching.labels)));
    }
    let group = match matching.card {
        Card::OneToOne => return head,
        Card::ManyToOne => "group_left",
        Card::OneToMany => "group_right",
    };
    // Sets are many-to-many by themselves.
    if !own.op.is_set() {
        head.push_str(&format!(" {group} ({})", names(&matching.include)));
    }
    head
}

fn names(labels: &[String]) -> String {
    let is_plain = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let shown = labels.iter().map(|name| if is_plain(name) { name.clone() } else { quoted(name) });
    shown.collect::<Vec<_>>().join(", ")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

fn number_text(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => number.to_string(),
    }
}

fn suffix(modifiers: Modifiers) -> String {
    let at = match modifiers.at {
        None => String::new(),
        Some(At::Fixed(ms)) => {
            format!(" @ {}{}.{:03}", if ms < 0 { "-" } else { "" }, ms.abs() / 1000, ms.abs() % 1000)
        }
        Some(At::QueryTime) => " @ end()".to_owned(),
    };
    let offset = match modifiers.offset_ms {
        0 => String::new(),
        ms if ms < 0 => format!(" offset -{}", duration(-ms)),
        ms => format!(" offset {}", duration(ms)),
    };
    format!("{at}{offset}")
}

/// `1h30m`, `250ms`.
fn duration(ms: i64) -> String {
    let mut rest = ms;
    let mut shown = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
        if rest >= size {
            shown.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if shown.is_empty() { "0s".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus::{PrometheusVersion, query_outline};

    fn of(query: &str) -> QueryPart {
        query_outline(query, PrometheusVersion::V3).unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    #[test]
    fn the_parts_of_a_query_are_queries_in_order() {
        let query =
            r#"sum by (pod) (rate(a{x="1"}[90s] offset 1m)) / on (pod) group_left () max without (le) (b) > bool 2"#;
        let mut lines = Vec::new();
        let mut stack = vec![(0, of(query))];
        while let Some((depth, part)) = stack.pop() {
            lines.push(format!("{depth} {:?} {}", part.operation, part.short));
            stack.extend(part.parts.into_iter().rev().map(|inner| (depth + 1, inner)));
        }
        let expected = [
            r#"0 "> bool" sum by (pod) (rate(a{...}[1m30s] offset 1m)) / on (pod) group_left () max without (le) (b) > bool 2"#,
            r#"1 "/ on (pod) group_left ()" sum by (pod) (rate(a{...}[1m30s] offset 1m)) / on (pod) group_left () max without (le) (b)"#,
            r#"2 "sum by (pod)" sum by (pod) (rate(a{...}[1m30s] offset 1m))"#,
            r#"3 "rate" rate(a{...}[1m30s] offset 1m)"#,
            r#"4 "" a{...}[1m30s] offset 1m"#,
            r#"2 "max without (le)" max without (le) (b)"#,
            r#"3 "" b"#,
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_written_parses_to_the_same() {
        let mut asked = 0;
        for line in include_str!("../../../tests/golden/promql/shared.jsonl").lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("a case");
            let query = case["query"].as_str().expect("a query");
            let Ok(part) = query_outline(query, PrometheusVersion::V3) else { continue };
            asked += 1;
            let again = of(&part.text);
            assert_eq!(again, part, "{query}");
        }
        assert!(asked > 1000, "{asked}");
    }
}

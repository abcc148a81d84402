//! What a query does to its series: over which range it smooths, whether it is a sum of rates, or an average.

use super::ast::{AggregateOp, BinaryOp, Expr, Kind, Plan};

/// The longest range selector or subquery, in ms; 0 for a query over single samples.
pub(crate) fn longest_range_ms(expr: &Expr) -> i64 {
    match &expr.kind {
        Kind::Number(_) | Kind::String(_) | Kind::InvalidString | Kind::Vector { .. } => 0,
        Kind::Paren(inner) | Kind::Negate(inner) => longest_range_ms(inner),
        Kind::Matrix { range_ms, .. } => *range_ms,
        Kind::Subquery { inner, range_ms, .. } => range_ms.saturating_add(longest_range_ms(inner)),
        Kind::Call { args, .. } => args.iter().map(longest_range_ms).max().unwrap_or(0),
        Kind::Aggregate(aggregate) => longest_range_ms(&aggregate.inner),
        Kind::Binary(binary) => longest_range_ms(&binary.lhs).max(longest_range_ms(&binary.rhs)),
    }
}

/// The metric names whose per-second rates `plan` adds up, if that is all it does: sums of `rate` or `irate` over all series,
/// added together. Names may repeat.
pub(crate) fn summed_rates(plan: &Plan) -> Option<Vec<String>> {
    let mut names = Vec::new();
    is_sum_of_rates(plan, &plan.root, &mut names).then_some(names)
}

fn is_sum_of_rates(plan: &Plan, expr: &Expr, names: &mut Vec<String>) -> bool {
    match &expr.kind {
        Kind::Paren(inner) => is_sum_of_rates(plan, inner, names),
        Kind::Binary(binary) => {
            binary.op == BinaryOp::Add
                && is_sum_of_rates(plan, &binary.lhs, names)
                && is_sum_of_rates(plan, &binary.rhs, names)
        }
        Kind::Aggregate(aggregate) => {
            aggregate.op == AggregateOp::Sum
                && aggregate.grouping.is_empty()
                && !aggregate.without
                && rate_of(plan, &aggregate.inner, names)
        }
        _ => false,
    }
}

/// Whether `expr` is the rate of one metric, or a sum of such.
fn rate_of(plan: &Plan, expr: &Expr, names: &mut Vec<String>) -> bool {
    match &expr.kind {
        Kind::Paren(inner) => rate_of(plan, inner, names),
        Kind::Call { function, args, .. } if matches!(function.name, "rate" | "irate") => {
            let Some(Kind::Matrix { selector, .. }) = args.first().map(|arg| &arg.kind) else { return false };
            let name = plan.selectors[*selector].exact_name();
            names.extend(name.map(str::to_owned));
            name.is_some()
        }
        Kind::Aggregate(_) => is_sum_of_rates(plan, expr, names),
        _ => false,
    }
}

/// Whether a query's value is by its form an average over replicas: `avg(...)`, or something divided by a `count(...)`; also
/// times a number.
pub(crate) fn is_average(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Paren(inner) | Kind::Negate(inner) => is_average(inner),
        Kind::Aggregate(aggregate) => aggregate.op == AggregateOp::Avg,
        Kind::Binary(binary) => match binary.op {
            BinaryOp::Div => is_count(&binary.rhs) || is_average(&binary.lhs),
            BinaryOp::Mul => is_average(&binary.lhs) || is_average(&binary.rhs),
            _ => false,
        },
        _ => false,
    }
}

fn is_count(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Paren(inner) => is_count(inner),
        Kind::Aggregate(aggregate) => aggregate.op == AggregateOp::Count,
        _ => false,
    }
}

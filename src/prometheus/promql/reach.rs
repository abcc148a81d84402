//! How far back a query looks: what storage must keep for it.

use super::ast::{At, Expr, Kind, Modifiers};
use super::semantics::Semantics;

/// "All of it": a query with a fixed `@` may look at any time.
const EVERYTHING: i64 = i64::MAX / 4;

/// The longest distance, in ms, from an evaluation's time back to a sample that it may use.
pub(crate) fn reach_ms(expr: &Expr, semantics: &Semantics) -> i64 {
    let own = |modifiers: &Modifiers, range_ms: i64| match modifiers.at {
        Some(At::Fixed(_)) => EVERYTHING,
        // A negative offset looks ahead; inside a subquery it must not shorten what the subquery needs.
        _ => range_ms.saturating_add(modifiers.offset_ms.max(0)),
    };
    let reach = match &expr.kind {
        Kind::Number(_) | Kind::String(_) | Kind::InvalidString => 0,
        Kind::Paren(inner) | Kind::Negate(inner) => reach_ms(inner, semantics),
        Kind::Vector { modifiers, .. } => own(modifiers, semantics.lookback_ms),
        Kind::Matrix { modifiers, range_ms, .. } => own(modifiers, *range_ms),
        Kind::Subquery { inner, modifiers, range_ms, .. } => {
            own(modifiers, *range_ms).saturating_add(reach_ms(inner, semantics))
        }
        Kind::Call { args, .. } => args.iter().map(|arg| reach_ms(arg, semantics)).max().unwrap_or(0),
        Kind::Aggregate(aggregate) => {
            let param = aggregate.param.as_ref().map_or(0, |param| reach_ms(param, semantics));
            param.max(reach_ms(&aggregate.inner, semantics))
        }
        Kind::Binary(binary) => reach_ms(&binary.lhs, semantics).max(reach_ms(&binary.rhs, semantics)),
    };
    reach.min(EVERYTHING)
}

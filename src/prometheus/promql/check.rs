//! Types (promql/parser/parse.go `checkAST`).

use super::ParseError;
use super::ast::{AggregateOp, Expr, Kind, Type};
use super::functions::Function;

/// Whether every operand has a type that its operator or function takes.
///
/// # Errors
/// The first mismatch with its place.
pub(crate) fn check(expr: &Expr) -> Result<(), ParseError> {
    match &expr.kind {
        Kind::Number(_) | Kind::String(_) | Kind::InvalidString | Kind::Vector { .. } | Kind::Matrix { .. } => Ok(()),
        Kind::Paren(inner) | Kind::Negate(inner) | Kind::Subquery { inner, .. } => check(inner),
        Kind::Call { function, args, .. } => call(expr, function, args),
        Kind::Aggregate(aggregate) => {
            expect(&aggregate.inner, Type::Vector, "in an aggregation")?;
            if let Some(param) = &aggregate.param {
                let wanted = if aggregate.op == AggregateOp::CountValues { Type::String } else { Type::Scalar };
                expect(param, wanted, "as the parameter of an aggregation")?;
                check(param)?;
            }
            check(&aggregate.inner)
        }
        Kind::Binary(binary) => {
            let error = |message: &str| Err(ParseError::new(expr.offset, message.to_owned()));
            let (left, right) = (binary.lhs.value_type(), binary.rhs.value_type());
            let fits = |side| matches!(side, Type::Scalar | Type::Vector);
            if !fits(left) || !fits(right) {
                return error(&format!(
                    "found a binary operator between a {} and a {}, expected scalars and instant vectors",
                    left.words(),
                    right.words()
                ));
            }
            let scalars = left == Type::Scalar && right == Type::Scalar;
            if scalars && binary.op.is_comparison() && !binary.return_bool {
                return error("found a comparison of two scalars, expected the bool modifier");
            }
            if left != Type::Vector || right != Type::Vector {
                // Upstream minds the labels, not the word.
                if !binary.matching.labels.is_empty() {
                    return error("vector matching is only allowed between instant vectors");
                }
                if binary.op.is_set() {
                    return error("found a set operator with a scalar, expected two instant vectors");
                }
            }
            check(&binary.lhs)?;
            check(&binary.rhs)
        }
    }
}

fn call(expr: &Expr, function: &Function, args: &[Expr]) -> Result<(), ParseError> {
    let (least, most) = (function.args.len() - function.optional, function.args.len());
    if args.len() < least || (args.len() > most && !function.repeated) {
        let wanted = match (function.repeated, least == most) {
            (true, _) => format!("at least {least}"),
            (false, true) => least.to_string(),
            (false, false) => format!("{least} to {most}"),
        };
        let message =
            format!("found {} argument(s) of the function {:?}, expected {wanted}", args.len(), function.name);
        return Err(ParseError::new(expr.offset, message));
    }
    for (index, arg) in args.iter().enumerate() {
        let wanted = function.args[index.min(most - 1)];
        expect(arg, wanted, &format!("in the call of {:?}", function.name))?;
        check(arg)?;
    }
    Ok(())
}

fn expect(expr: &Expr, wanted: Type, place: &str) -> Result<(), ParseError> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    let hint = match (wanted, found) {
        (Type::Matrix, Type::Vector) => " (a range such as [5m] is missing)",
        (Type::Vector, Type::Matrix) => " (the range belongs inside rate() or the like)",
        _ => "",
    };
    let message = format!("found a {} {place}, expected a {}{hint}", found.words(), wanted.words());
    Err(ParseError::new(expr.offset, message))
}

//! What can be told of a query's answer without data: how many series it may have, and what kind of number each is.

use crate::prometheus::{Aggregate, AggregateOp, Binary, BinaryOp, Card, Expr, Function, FunctionId, Kind, Plan, Type};
use std::collections::BTreeSet;

/// How many series an expression may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A number, or one series at most; `bare`: surely without labels.
    Single {
        /// See above.
        bare: bool,
    },
    /// One for each combination of these labels; the offset is that of what keeps them.
    By(BTreeSet<String>, usize),
    /// As many as the selector (or `without`) at this offset lets through.
    Open(usize),
}

const BARE: Shape = Shape::Single { bare: true };

/// What kind of number a query gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    /// Grows with the replicas: a sum or a count.
    Total,
    /// A mean over series.
    Average,
    /// The largest or smallest of several series, or a quantile of them.
    Extreme,
    /// One total over another.
    Ratio,
    /// `histogram_quantile`.
    Quantile,
    /// A comparison with `bool`: 0 or 1.
    Flag,
    /// A series as it is scraped, or anything else.
    Other,
}

/// The kind of number with the bound of each series it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    /// The kind.
    pub nature: Nature,
    /// What one series cannot exceed, in the answer's unit.
    pub bound: Option<f64>,
    /// What literals multiply the series by.
    pub scale: f64,
    /// Byte offset of what makes it so.
    pub offset: usize,
}

/// What the reading of a query may look up besides it.
pub(super) struct Lookup<'a> {
    /// The query.
    pub plan: &'a Plan,
    /// Names that recording rules give to a single series.
    pub single: &'a BTreeSet<String>,
    /// What no series of this name can exceed.
    pub bound_of: &'a dyn Fn(&str) -> Option<f64>,
}

/// Labels of which one value means one series, as a rule.
const ONE_TARGET: [&str; 2] = ["pod", "instance"];

impl Lookup<'_> {
    /// How many series `expr` may have.
    pub(super) fn shape(&self, expr: &Expr) -> Shape {
        match &expr.kind {
            Kind::Number(_) | Kind::String(_) | Kind::InvalidString => BARE,
            Kind::Paren(inner) | Kind::Negate(inner) | Kind::Subquery { inner, .. } => self.shape(inner),
            Kind::Vector { selector, .. } | Kind::Matrix { selector, .. } => {
                let own = &self.plan.selectors[*selector];
                let is_single = own.exact_name().is_some_and(|name| self.single.contains(name));
                if is_single || ONE_TARGET.iter().any(|label| self.is_pinned(*selector, label)) {
                    Shape::Single { bare: false }
                } else {
                    Shape::Open(own.offset)
                }
            }
            Kind::Call { function, args, .. } => self.of_call(function, args),
            Kind::Aggregate(own) => self.of_aggregate(own, expr),
            Kind::Binary(own) => self.of_binary(own, expr),
        }
    }

    fn of_call(&self, function: &Function, args: &[Expr]) -> Shape {
        match function.id {
            FunctionId::Vector | FunctionId::Scalar | FunctionId::Time | FunctionId::Pi => BARE,
            FunctionId::Absent | FunctionId::AbsentOverTime => Shape::Single { bare: false },
            _ => {
                let carries = |arg: &&Expr| matches!(arg.value_type(), Type::Vector | Type::Matrix);
                let inner = args.iter().find(carries).map_or(BARE, |arg| self.shape(arg));
                match inner {
                    Shape::By(mut labels, offset) if function.id == FunctionId::HistogramQuantile => {
                        labels.remove("le");
                        if labels.is_empty() { BARE } else { Shape::By(labels, offset) }
                    }
                    other => other,
                }
            }
        }
    }

    fn of_aggregate(&self, own: &Aggregate, expr: &Expr) -> Shape {
        let inner = self.shape(&own.inner);
        let keeps_several = match own.op {
            AggregateOp::CountValues => true,
            AggregateOp::Topk | AggregateOp::Bottomk => {
                !matches!(own.param.as_ref().map(|param| &param.unparenthesized().kind), Some(Kind::Number(count)) if *count <= 1.0)
            }
            _ => false,
        };
        if keeps_several && !matches!(inner, Shape::Single { .. }) {
            return Shape::Open(expr.offset);
        }
        if own.without {
            return match inner {
                Shape::By(labels, offset) => {
                    let left: BTreeSet<String> =
                        labels.into_iter().filter(|own_label| !own.grouping.contains(own_label)).collect();
                    if left.is_empty() { BARE } else { Shape::By(left, offset) }
                }
                Shape::Open(_) => Shape::Open(expr.offset),
                single @ Shape::Single { .. } => single,
            };
        }
        let mut selectors = Vec::new();
        selectors_of(&own.inner, &mut selectors);
        let is_pinned =
            |label: &String| !selectors.is_empty() && selectors.iter().all(|index| self.is_pinned(*index, label));
        let free: BTreeSet<String> = own.grouping.iter().filter(|label| !is_pinned(label)).cloned().collect();
        match (free.is_empty(), own.grouping.is_empty()) {
            (true, bare) => Shape::Single { bare },
            (false, _) => Shape::By(free, expr.offset),
        }
    }

    fn of_binary(&self, own: &Binary, expr: &Expr) -> Shape {
        let (left, right) = (self.shape(&own.lhs), self.shape(&own.rhs));
        let single = |shape: &Shape| matches!(shape, Shape::Single { .. });
        match own.op {
            BinaryOp::Or if left == BARE && right == BARE => BARE,
            // Of two with labels of their own nobody can tell whether they are the same; that `or vector(0)` adds one is
            // told by a rule of its own.
            BinaryOp::Or if single(&left) && single(&right) => Shape::Single { bare: false },
            BinaryOp::Or if single(&left) => Shape::Open(expr.offset),
            BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => left,
            _ if own.lhs.value_type() == Type::Scalar => right,
            _ if own.rhs.value_type() == Type::Scalar => left,
            _ if own.matching.card == Card::ManyToOne => left,
            _ if own.matching.card == Card::OneToMany => right,
            _ if single(&left) => left,
            _ if single(&right) => right,
            _ => left,
        }
    }

    /// Whether the selector asks for one value of `label`.
    fn is_pinned(&self, selector: usize, label: &str) -> bool {
        let matchers = &self.plan.selectors[selector].matchers;
        matchers.iter().any(|own| own.name == label && own.is_equality() && !own.value.is_empty())
    }

    /// What kind of number `expr` is.
    pub(super) fn number(&self, expr: &Expr) -> Number {
        let plain = Number { nature: Nature::Other, bound: None, scale: 1.0, offset: expr.offset };
        match &expr.kind {
            Kind::Number(_) | Kind::String(_) | Kind::InvalidString => plain,
            Kind::Negate(inner) => Number { bound: None, ..self.number(inner) },
            Kind::Paren(inner) | Kind::Subquery { inner, .. } => self.number(inner),
            Kind::Vector { selector, .. } | Kind::Matrix { selector, .. } => {
                Number { bound: self.plan.selectors[*selector].exact_name().and_then(self.bound_of), ..plain }
            }
            Kind::Call { function, args, .. } => self.number_of_call(function, args, plain),
            Kind::Aggregate(own) => {
                let inner = self.number(&own.inner);
                let nature = match own.op {
                    AggregateOp::Sum | AggregateOp::Count | AggregateOp::CountValues => Nature::Total,
                    AggregateOp::Avg => Nature::Average,
                    AggregateOp::Min
                    | AggregateOp::Max
                    | AggregateOp::Quantile
                    | AggregateOp::Topk
                    | AggregateOp::Bottomk => Nature::Extreme,
                    AggregateOp::Group => Nature::Flag,
                    AggregateOp::Stddev | AggregateOp::Stdvar => Nature::Other,
                };
                let bound = if own.op == AggregateOp::Count { None } else { inner.bound };
                Number { nature, bound, scale: inner.scale, offset: expr.offset }
            }
            Kind::Binary(own) => self.number_of_binary(own, expr, plain),
        }
    }

    fn number_of_call(&self, function: &Function, args: &[Expr], plain: Number) -> Number {
        let carried = args.iter().find(|arg| matches!(arg.value_type(), Type::Vector | Type::Matrix));
        let Some(inner) = carried.map(|arg| self.number(arg)) else { return plain };
        match function.id {
            FunctionId::HistogramQuantile => Number { nature: Nature::Quantile, bound: None, ..plain },
            FunctionId::Rate | FunctionId::Increase | FunctionId::Irate | FunctionId::Delta | FunctionId::Idelta => {
                Number { bound: None, ..inner }
            }
            FunctionId::ClampMax => match args.get(1).map(|arg| &arg.unparenthesized().kind) {
                Some(Kind::Number(limit)) => Number { bound: Some(*limit), ..inner },
                _ => inner,
            },
            FunctionId::AvgOverTime
            | FunctionId::MinOverTime
            | FunctionId::MaxOverTime
            | FunctionId::LastOverTime
            | FunctionId::QuantileOverTime
            | FunctionId::ClampMin
            | FunctionId::LabelReplace
            | FunctionId::LabelJoin
            | FunctionId::Round
            | FunctionId::Sort
            | FunctionId::SortDesc
            | FunctionId::Scalar => inner,
            _ => Number { bound: None, ..inner },
        }
    }

    fn number_of_binary(&self, own: &Binary, expr: &Expr, plain: Number) -> Number {
        if own.op.is_comparison() && own.return_bool {
            return Number { nature: Nature::Flag, bound: Some(1.0), ..plain };
        }
        let (left, right) = (self.number(&own.lhs), self.number(&own.rhs));
        let literal = |side: &Expr| match &side.unparenthesized().kind {
            Kind::Number(value) => Some(*value),
            _ => None,
        };
        match (own.op, literal(&own.lhs), literal(&own.rhs)) {
            (BinaryOp::Mul, Some(factor), None) => scaled(right, factor),
            (BinaryOp::Mul, None, Some(factor)) => scaled(left, factor),
            (BinaryOp::Div, None, Some(divisor)) if divisor != 0.0 => scaled(left, 1.0 / divisor),
            (BinaryOp::Div, None, None) => self.quotient(own, expr, left),
            (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, ..) => {
                let total = [left, right].into_iter().find(|side| side.nature == Nature::Total);
                Number { bound: None, ..total.unwrap_or(left) }
            }
            (op, ..) if op.is_set() || op.is_comparison() => left,
            _ => Number { bound: None, ..left },
        }
    }

    /// A vector over another, or over a scalar that is no literal.
    fn quotient(&self, own: &Binary, expr: &Expr, left: Number) -> Number {
        let mut divisor = own.rhs.unparenthesized();
        if let Kind::Call { function, args, .. } = &divisor.kind
            && function.id == FunctionId::Scalar
            && let Some(inner) = args.first()
        {
            divisor = inner.unparenthesized();
        }
        let is_count = matches!(&divisor.kind, Kind::Aggregate(rhs) if rhs.op == AggregateOp::Count);
        if is_count && left.nature == Nature::Total {
            return Number { nature: Nature::Average, offset: expr.offset, ..left };
        }
        let nature = if left.nature == Nature::Total { Nature::Ratio } else { left.nature };
        Number { nature, bound: None, scale: left.scale, offset: expr.offset }
    }
}

fn scaled(number: Number, factor: f64) -> Number {
    let bound = number.bound.map(|bound| bound * factor).filter(|_| factor > 0.0);
    Number { bound, scale: number.scale * factor, ..number }
}

/// The selectors in `expr`, by their index.
pub(super) fn selectors_of(expr: &Expr, found: &mut Vec<usize>) {
    walk(expr, &mut Vec::new(), &mut |own, _| match &own.kind {
        Kind::Vector { selector, .. } | Kind::Matrix { selector, .. } => found.push(*selector),
        _ => {}
    });
}

/// Calls `visit` for every node with what stands above it, from the root.
pub(super) fn walk<'e>(expr: &'e Expr, above: &mut Vec<&'e Expr>, visit: &mut dyn FnMut(&'e Expr, &[&'e Expr])) {
    visit(expr, above);
    above.push(expr);
    match &expr.kind {
        Kind::Number(_) | Kind::String(_) | Kind::InvalidString | Kind::Vector { .. } | Kind::Matrix { .. } => {}
        Kind::Paren(inner) | Kind::Negate(inner) | Kind::Subquery { inner, .. } => walk(inner, above, visit),
        Kind::Call { args, .. } => args.iter().for_each(|arg| walk(arg, above, visit)),
        Kind::Aggregate(own) => {
            own.param.iter().for_each(|param| walk(param, above, visit));
            walk(&own.inner, above, visit);
        }
        Kind::Binary(own) => {
            walk(&own.lhs, above, visit);
            walk(&own.rhs, above, visit);
        }
    }
    above.pop();
}

#[cfg(test)]
#[path = "query_shape_tests.rs"]
mod tests;

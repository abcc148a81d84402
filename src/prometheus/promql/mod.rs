//! PromQL: lexer, parser, evaluator.
//!
//! Reading order: `ast`, `parser`, `postfix`, `check`, `eval`, then `aggregate`, `aggregated_ranges`, `binary`, `calls` and `range_functions`. Selectors
//! are resolved to stored series by `tsdb` when targets come and go; `memo` keeps label work out of evaluations.

mod aggregate;
mod aggregated_ranges;
mod ast;
mod binary;
mod calls;
mod check;
mod dates;
mod error;
mod eval;
mod functions;
mod lexer;
mod matcher;
mod memo;
mod numbers;
mod outline;
mod parser;
mod postfix;
mod range;
mod range_functions;
mod ranking;
mod reach;
mod result_type;
mod semantics;

pub use error::{EvalError, ParseError};
pub use outline::{QueryPart, QueryWindow};
pub use result_type::ResultType;

pub(crate) use ast::{Aggregate, AggregateOp, Binary, BinaryOp, Card, Expr, Kind, Plan, Selector, Type};
pub(crate) use eval::Evaluator;
pub(crate) use functions::{Function, FunctionId};
pub(crate) use memo::Memo;
pub(crate) use outline::outline;
pub(crate) use parser::parse;
pub(crate) use range::{is_average, longest_range_ms, summed_rates};
pub(crate) use reach::reach_ms;
pub(crate) use result_type::type_of;
pub(crate) use semantics::Semantics;

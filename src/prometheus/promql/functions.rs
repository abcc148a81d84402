//! The closed list of functions with their signatures (promql/parser/functions.go).

use super::ast::Type::{self, Matrix, Scalar, String as Text, Vector};
use super::semantics::Semantics;

/// What a function computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FunctionId {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Resets,
    Changes,
    HoltWinters,
    AvgOverTime,
    SumOverTime,
    MinOverTime,
    MaxOverTime,
    CountOverTime,
    LastOverTime,
    FirstOverTime,
    PresentOverTime,
    StddevOverTime,
    StdvarOverTime,
    QuantileOverTime,
    AbsentOverTime,
    Math(MathFunction),
    Round,
    Clamp,
    ClampMin,
    ClampMax,
    Date(DatePart),
    Pi,
    Time,
    Scalar,
    Vector,
    Timestamp,
    Absent,
    Sort,
    SortDesc,
    LabelReplace,
    LabelJoin,
    HistogramQuantile,
    HistogramFraction,
}

/// Functions of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MathFunction {
    Abs,
    Ceil,
    Floor,
    Exp,
    Sqrt,
    Ln,
    Log2,
    Log10,
    Sgn,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Deg,
    Rad,
}

/// Parts of a UTC date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatePart {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

/// A function's signature.
#[derive(Debug)]
pub(crate) struct Function {
    pub name: &'static str,
    pub id: FunctionId,
    pub args: &'static [Type],
    /// How many of `args` may be left out at the end.
    pub optional: usize,
    /// The last argument may be repeated.
    pub repeated: bool,
    pub result: Type,
}

const fn function(name: &'static str, id: FunctionId, args: &'static [Type], result: Type) -> Function {
    Function { name, id, args, optional: 0, repeated: false, result }
}
const fn optional(name: &'static str, id: FunctionId, args: &'static [Type]) -> Function {
    Function { name, id, args, optional: 1, repeated: false, result: Vector }
}
const fn over_range(name: &'static str, id: FunctionId) -> Function {
    function(name, id, &[Matrix], Vector)
}
const fn math(name: &'static str, id: MathFunction) -> Function {
    function(name, FunctionId::Math(id), &[Vector], Vector)
}
const fn date(name: &'static str, id: DatePart) -> Function {
    optional(name, FunctionId::Date(id), &[Vector])
}

static FUNCTIONS: [Function; 69] = [
    over_range("rate", FunctionId::Rate),
    over_range("increase", FunctionId::Increase),
    over_range("delta", FunctionId::Delta),
    over_range("irate", FunctionId::Irate),
    over_range("idelta", FunctionId::Idelta),
    over_range("deriv", FunctionId::Deriv),
    over_range("resets", FunctionId::Resets),
    over_range("changes", FunctionId::Changes),
    over_range("avg_over_time", FunctionId::AvgOverTime),
    over_range("sum_over_time", FunctionId::SumOverTime),
    over_range("min_over_time", FunctionId::MinOverTime),
    over_range("max_over_time", FunctionId::MaxOverTime),
    over_range("count_over_time", FunctionId::CountOverTime),
    over_range("last_over_time", FunctionId::LastOverTime),
    over_range("first_over_time", FunctionId::FirstOverTime),
    over_range("present_over_time", FunctionId::PresentOverTime),
    over_range("stddev_over_time", FunctionId::StddevOverTime),
    over_range("stdvar_over_time", FunctionId::StdvarOverTime),
    over_range("absent_over_time", FunctionId::AbsentOverTime),
    function("quantile_over_time", FunctionId::QuantileOverTime, &[Scalar, Matrix], Vector),
    function("predict_linear", FunctionId::PredictLinear, &[Matrix, Scalar], Vector),
    function("holt_winters", FunctionId::HoltWinters, &[Matrix, Scalar, Scalar], Vector),
    math("abs", MathFunction::Abs),
    math("ceil", MathFunction::Ceil),
    math("floor", MathFunction::Floor),
    math("exp", MathFunction::Exp),
    math("sqrt", MathFunction::Sqrt),
    math("ln", MathFunction::Ln),
    math("log2", MathFunction::Log2),
    math("log10", MathFunction::Log10),
    math("sgn", MathFunction::Sgn),
    math("sin", MathFunction::Sin),
    math("cos", MathFunction::Cos),
    math("tan", MathFunction::Tan),
    math("asin", MathFunction::Asin),
    math("acos", MathFunction::Acos),
    math("atan", MathFunction::Atan),
    math("sinh", MathFunction::Sinh),
    math("cosh", MathFunction::Cosh),
    math("tanh", MathFunction::Tanh),
    math("asinh", MathFunction::Asinh),
    math("acosh", MathFunction::Acosh),
    math("atanh", MathFunction::Atanh),
    math("deg", MathFunction::Deg),
    math("rad", MathFunction::Rad),
    optional("round", FunctionId::Round, &[Vector, Scalar]),
    function("clamp", FunctionId::Clamp, &[Vector, Scalar, Scalar], Vector),
    function("clamp_min", FunctionId::ClampMin, &[Vector, Scalar], Vector),
    function("clamp_max", FunctionId::ClampMax, &[Vector, Scalar], Vector),
    date("minute", DatePart::Minute),
    date("hour", DatePart::Hour),
    date("day_of_week", DatePart::DayOfWeek),
    date("day_of_month", DatePart::DayOfMonth),
    date("day_of_year", DatePart::DayOfYear),
    date("days_in_month", DatePart::DaysInMonth),
    date("month", DatePart::Month),
    date("year", DatePart::Year),
    function("pi", FunctionId::Pi, &[], Scalar),
    function("time", FunctionId::Time, &[], Scalar),
    function("scalar", FunctionId::Scalar, &[Vector], Scalar),
    function("vector", FunctionId::Vector, &[Scalar], Vector),
    function("timestamp", FunctionId::Timestamp, &[Vector], Vector),
    function("absent", FunctionId::Absent, &[Vector], Vector),
    function("sort", FunctionId::Sort, &[Vector], Vector),
    function("sort_desc", FunctionId::SortDesc, &[Vector], Vector),
    function("label_replace", FunctionId::LabelReplace, &[Vector, Text, Text, Text, Text], Vector),
    Function {
        name: "label_join",
        id: FunctionId::LabelJoin,
        args: &[Vector, Text, Text, Text],
        optional: 1,
        repeated: true,
        result: Vector,
    },
    function("histogram_fraction", FunctionId::HistogramFraction, &[Scalar, Scalar, Vector], Vector),
    function("histogram_quantile", FunctionId::HistogramQuantile, &[Scalar, Vector], Vector),
];

/// Functions of native histograms, which are not built here: refused by name, never computed wrongly.
const NOT_SUPPORTED: [&str; 5] =
    ["histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"];

/// Functions and aggregations that Prometheus itself refuses without a feature flag.
const EXPERIMENTAL: [&str; 19] = [
    "mad_over_time",
    "double_exponential_smoothing",
    "sort_by_label",
    "sort_by_label_desc",
    "info",
    "limitk",
    "limit_ratio",
    "start",
    "end",
    "step",
    "range",
    "min_of",
    "max_of",
    "histogram_quantiles",
    "start_timestamp",
    "ts_of_min_over_time",
    "ts_of_max_over_time",
    "ts_of_last_over_time",
    "ts_of_first_over_time",
];

/// What a name followed by `(` is.
pub(crate) enum Lookup {
    Found(&'static Function),
    /// Why not, for a message.
    Refused(String),
    /// Prometheus has it.
    NotSupported(String),
}

/// Looks a function up by its (case-sensitive) name.
pub(crate) fn lookup(name: &str, semantics: Semantics) -> Lookup {
    const FLAG: &str = "feature flag promql-experimental-functions";
    if NOT_SUPPORTED.contains(&name) {
        let message = format!("found the function {name:?} of native histograms, which are not supported");
        return Lookup::NotSupported(message);
    }
    // Aggregations are keywords, whose case does not matter.
    let aggregation = ["limitk", "limit_ratio"].iter().any(|known| known.eq_ignore_ascii_case(name));
    if aggregation || EXPERIMENTAL.contains(&name) {
        return Lookup::Refused(format!("found {name:?}, which Prometheus accepts only with the {FLAG}"));
    }
    if name == "first_over_time" && !semantics.first_over_time {
        let message =
            format!("found {name:?}, which Prometheus accepts from 3.14 on (before, at most with the {FLAG})");
        return Lookup::Refused(message);
    }
    if name == "histogram_fraction" && !semantics.left_open {
        let message = "found the function \"histogram_fraction\", which before Prometheus 3 is one of native histograms, \
                       which are not supported";
        return Lookup::NotSupported(message.to_owned());
    }
    let known = FUNCTIONS.iter().find(|function| function.name == name);
    let in_version = |function: &&Function| function.id != FunctionId::HoltWinters || semantics.holt_winters;
    known
        .filter(in_version)
        .map_or_else(|| Lookup::Refused(format!("found the unknown function {name:?}")), Lookup::Found)
}

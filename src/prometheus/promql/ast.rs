//! The parsed query. Selectors stand in a table beside the tree, so that storage can resolve them once.

use super::functions::Function;
use super::matcher::Matcher;

/// A whole query as compiled: the tree, its selectors and how many label memos its nodes want.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The tree's root.
    pub root: Expr,
    /// The selectors, in the order written; `VectorSelector::selector` indexes this.
    pub selectors: Vec<Selector>,
    /// Number of memo slots used by the nodes.
    pub memos: usize,
}

/// What a selector selects.
#[derive(Clone, Debug)]
pub(crate) struct Selector {
    /// As written, without range and modifiers.
    pub text: String,
    /// Byte offset in the query.
    pub offset: usize,
    /// All must hold.
    pub matchers: Vec<Matcher>,
}

impl Selector {
    /// The one metric name this selector can match, when it names it with `=`.
    pub fn exact_name(&self) -> Option<&str> {
        self.matchers.iter().find(|m| m.name == "__name__" && m.is_equality()).map(|m| m.value.as_str())
    }
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// `@ <seconds>`, in ms since the Unix epoch.
    Fixed(i64),
    /// `@ start()` and `@ end()`: the query's own time, also inside subqueries.
    QueryTime,
}

/// `offset` and `@` of a selector or subquery.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Modifiers {
    /// `offset` in ms (0 without one).
    pub offset_ms: i64,
    /// Whether an `offset` was written that is not the literal 0.
    pub has_offset: bool,
    /// `@`.
    pub at: Option<At>,
}

/// A node with its place.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    /// What it is.
    pub kind: Kind,
    /// Byte offset in the query.
    pub offset: usize,
}

/// Kinds of nodes.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A number literal.
    Number(f64),
    /// A string literal.
    String(String),
    /// A string that is not UTF-8: no label can have such a name, and no value here.
    InvalidString,
    /// `( inner )`.
    Paren(Box<Expr>),
    /// `-inner` (a unary plus leaves no node but is checked for its type).
    Negate(Box<Expr>),
    /// An instant selector.
    Vector { selector: usize, modifiers: Modifiers },
    /// A range selector.
    Matrix { selector: usize, range_ms: i64, modifiers: Modifiers },
    /// `inner[range:step]`; no step means the server's evaluation interval.
    Subquery { inner: Box<Expr>, range_ms: i64, step_ms: Option<i64>, modifiers: Modifiers },
    /// A function call.
    Call { function: &'static Function, args: Vec<Expr>, memo: usize },
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// A binary operation.
    Binary(Box<Binary>),
}

/// Aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    Quantile,
    Topk,
    Bottomk,
    CountValues,
}

impl AggregateOp {
    /// By its (case-insensitive) name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "quantile" => Self::Quantile,
            "topk" => Self::Topk,
            "bottomk" => Self::Bottomk,
            "count_values" => Self::CountValues,
            _ => return None,
        })
    }
    /// Whether a parameter stands before the vector.
    pub fn takes_parameter(self) -> bool {
        matches!(self, Self::Quantile | Self::Topk | Self::Bottomk | Self::CountValues)
    }
}

/// `op by|without (grouping) (param, inner)`.
#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub op: AggregateOp,
    pub param: Option<Expr>,
    pub inner: Expr,
    pub grouping: Vec<String>,
    pub without: bool,
    pub memo: usize,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// Whether it compares.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le)
    }
    /// Whether it works on sets of label sets.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
    /// Binding power; higher binds tighter.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Eq | Self::Ne | Self::Gt | Self::Lt | Self::Ge | Self::Le => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }
}

/// Which side may have several partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Card {
    OneToOne,
    /// `group_left`: several on the left.
    ManyToOne,
    /// `group_right`: several on the right.
    OneToMany,
}

/// `on`/`ignoring` and `group_*`.
#[derive(Clone, Debug)]
pub(crate) struct Matching {
    pub card: Card,
    /// `on` (true) or `ignoring` (false).
    pub on: bool,
    pub labels: Vec<String>,
    /// Labels of `group_*( )`, copied from the one side.
    pub include: Vec<String>,
}

/// `lhs op bool? matching? rhs`.
#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub op: BinaryOp,
    pub return_bool: bool,
    pub matching: Matching,
    pub lhs: Expr,
    pub rhs: Expr,
    pub memo_left: usize,
    pub memo_right: usize,
}

/// Types of expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Vector,
    Matrix,
    String,
}

impl Type {
    /// As Prometheus calls it in messages.
    pub fn words(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Vector => "instant vector",
            Type::Matrix => "range vector",
            Type::String => "string",
        }
    }
}

impl Expr {
    /// The type of its value.
    pub fn value_type(&self) -> Type {
        match &self.kind {
            Kind::Number(_) => Type::Scalar,
            Kind::String(_) | Kind::InvalidString => Type::String,
            Kind::Paren(inner) | Kind::Negate(inner) => inner.value_type(),
            Kind::Vector { .. } | Kind::Aggregate(_) => Type::Vector,
            Kind::Matrix { .. } | Kind::Subquery { .. } => Type::Matrix,
            Kind::Call { function, .. } => function.result,
            Kind::Binary(binary) => {
                if binary.lhs.value_type() == Type::Scalar && binary.rhs.value_type() == Type::Scalar {
                    Type::Scalar
                } else {
                    Type::Vector
                }
            }
        }
    }
    /// Without the parentheses around it.
    pub fn unparenthesized(&self) -> &Expr {
        match &self.kind {
            Kind::Paren(inner) => inner.unparenthesized(),
            _ => self,
        }
    }
}

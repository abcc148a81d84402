//! The evaluator: one instant, what is visible at one moment (promql/engine.go).

use super::EvalError;
use super::ast::{At, Expr, Kind, Modifiers, Plan};
use super::memo::Memo;
use super::range_functions::Window;
use super::semantics::Semantics;
use crate::prometheus::stored_rows::is_stale;
use crate::prometheus::tsdb::{Rows, Run, SeriesRef, Tsdb};
use crate::series::{Labels, QueryValue};
use crate::units::SimTime;
use rustc_hash::{FxHashMap, FxHashSet};

/// Inner evaluations of subqueries that one query may cause.
const STEP_LIMIT: u64 = 1_000_000;

/// An element of an instant vector.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub labels: Labels,
    pub value: f64,
}

/// Samples of one series.
pub(crate) type RangeSeries = (Labels, Vec<(i64, f64)>);

/// What an expression evaluates to.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(f64),
    Vector(Vec<Sample>),
    Matrix(Vec<RangeSeries>),
    Text(String),
}

/// Evaluates one query at one instant.
pub(crate) struct Evaluator<'a> {
    pub storage: &'a Tsdb,
    /// The storage's number of the plan's first selector.
    pub first_selector: usize,
    pub plan: &'a Plan,
    pub semantics: Semantics,
    /// Rows that become visible later are not there.
    pub now: SimTime,
    /// The query's own time, ms.
    pub query_ms: i64,
    pub memos: &'a mut [Memo],
    /// Label sets without their metric name.
    pub nameless: &'a mut Memo,
    pub steps: u64,
    pub scratch: Vec<(i64, f64)>,
}

impl Evaluator<'_> {
    /// The query's value.
    ///
    /// # Errors
    /// As Prometheus' engine would.
    pub fn run(&mut self) -> Result<QueryValue, EvalError> {
        self.nameless.begin(self.storage.epoch());
        let plan = self.plan;
        Ok(match self.eval(&plan.root, self.query_ms)? {
            Value::Scalar(number) => QueryValue::Scalar(number),
            Value::Text(text) => QueryValue::String(text),
            Value::Matrix(series) => QueryValue::Matrix(series),
            Value::Vector(samples) => {
                QueryValue::Vector(samples.into_iter().map(|sample| (sample.labels, sample.value)).collect())
            }
        })
    }

    /// The value of `expr` at `t` (ms).
    pub fn eval(&mut self, expr: &Expr, t: i64) -> Result<Value, EvalError> {
        Ok(match &expr.kind {
            Kind::Number(number) => Value::Scalar(*number),
            Kind::String(text) => Value::Text(text.clone()),
            // As the name of a label an error upstream too; as anything else not supported.
            Kind::InvalidString => return Err(EvalError("found a string that is not valid UTF-8".to_owned())),
            Kind::Paren(inner) => self.eval(inner, t)?,
            Kind::Negate(inner) => self.negate(inner, t)?,
            Kind::Vector { selector, modifiers } => Value::Vector(self.instant(*selector, *modifiers, t, false)),
            Kind::Matrix { selector, range_ms, modifiers } => {
                Value::Matrix(self.matrix(*selector, *range_ms, *modifiers, t))
            }
            Kind::Subquery { .. } => Value::Matrix(self.subquery(expr, t)?.0),
            Kind::Call { function, args, memo } => self.call(function.id, args, *memo, t)?,
            Kind::Aggregate(aggregate) => Value::Vector(self.aggregate(aggregate, t)?),
            Kind::Binary(binary) => self.binary(binary, t)?,
        })
    }

    /// The value of an expression that the type check found to be an instant vector.
    pub fn vector(&mut self, expr: &Expr, t: i64) -> Result<Vec<Sample>, EvalError> {
        match self.eval(expr, t)? {
            Value::Vector(samples) => Ok(samples),
            _ => unreachable!("the type check lets only instant vectors through"),
        }
    }

    /// The value of an expression that the type check found to be a scalar.
    pub fn scalar(&mut self, expr: &Expr, t: i64) -> Result<f64, EvalError> {
        match self.eval(expr, t)? {
            Value::Scalar(number) => Ok(number),
            _ => unreachable!("the type check lets only scalars through"),
        }
    }

    fn negate(&mut self, inner: &Expr, t: i64) -> Result<Value, EvalError> {
        match self.eval(inner, t)? {
            Value::Scalar(number) => Ok(Value::Scalar(-number)),
            Value::Vector(mut samples) => {
                for sample in &mut samples {
                    sample.value = -sample.value;
                }
                Ok(Value::Vector(self.drop_names(samples)?))
            }
            _ => unreachable!("the parser lets only scalars and vectors have a sign"),
        }
    }

    /// The instant that a selector or subquery looks at.
    pub fn reference(&self, modifiers: Modifiers, t: i64) -> i64 {
        let base = match modifiers.at {
            Some(At::Fixed(ms)) => ms,
            Some(At::QueryTime) => self.query_ms,
            None => t,
        };
        base.saturating_sub(modifiers.offset_ms)
    }

    /// An instant selector (`vectorSelectorSingle`); `timestamps`: each sample's time in seconds instead of its value.
    pub fn instant(&mut self, selector: usize, modifiers: Modifiers, t: i64, timestamps: bool) -> Vec<Sample> {
        let reference = self.reference(modifiers, t);
        let oldest = reference.saturating_sub(self.semantics.lookback_ms) + i64::from(self.semantics.left_open);
        let storage = self.storage;
        let selected = storage.selected(self.first_selector + selector);
        let mut samples = Vec::with_capacity(selected.series.len());
        for run in &selected.runs {
            let rows = storage.rows(run.target);
            let count = rows.visible(self.now);
            let count = rows.until(count, reference, count);
            for SeriesRef { column, labels, .. } in &selected.series[run.series.clone()] {
                match rows.newest(*column, count, oldest) {
                    Some((ts, value)) if !is_stale(value) => {
                        let value = if timestamps { ts as f64 / 1000.0 } else { value };
                        samples.push(Sample { labels: labels.clone(), value });
                    }
                    _ => {}
                }
            }
        }
        samples
    }

    /// The window of a range ending at the reference instant, with nothing but its edges.
    fn window(&self, range_ms: i64, modifiers: Modifiers, t: i64) -> Window {
        let end = self.reference(modifiers, t);
        Window { start: end.saturating_sub(range_ms), end, eval: t, parameters: [0.0; 2] }
    }

    /// Calls `visit` with every series of a range selector that has a sample in the window.
    pub fn each_range(&mut self, selector: usize, window: &Window, mut visit: impl FnMut(&SeriesRef, &[(i64, f64)])) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let all = &self.storage.selected(self.first_selector + selector).series;
        self.each_target(selector, window, |rows, (from, to), run| {
            for one in &all[run.series.clone()] {
                scratch.clear();
                rows.samples(one.column, from, to, &mut scratch);
                if !scratch.is_empty() {
                    visit(one, &scratch);
                }
            }
        });
        self.scratch = scratch;
    }

    /// Calls `visit` with the rows of every target of a range selector, which of them (from, to) are in the window, and
    /// which of its series are selected.
    pub fn each_target(&self, selector: usize, window: &Window, mut visit: impl FnMut(&Rows, (usize, usize), &Run)) {
        // The last instant that is outside.
        let before = if self.semantics.left_open { window.start } else { window.start.saturating_sub(1) };
        // Targets of one job have nearly always the same number of rows in a window.
        let mut length = 0;
        for run in &self.storage.selected(self.first_selector + selector).runs {
            let rows = self.storage.rows(run.target);
            let visible = rows.visible(self.now);
            let to = rows.until(visible, window.end, visible);
            let from = rows.until(to, before, to.saturating_sub(length));
            length = to - from;
            visit(rows, (from, to), run);
        }
    }

    fn matrix(&mut self, selector: usize, range_ms: i64, modifiers: Modifiers, t: i64) -> Vec<RangeSeries> {
        let window = self.window(range_ms, modifiers, t);
        let mut matrix = Vec::new();
        self.each_range(selector, &window, |series, samples| matrix.push((series.labels.clone(), samples.to_vec())));
        matrix
    }

    /// A subquery's series and window. Inner instants are absolute multiples of the step.
    pub fn subquery(&mut self, expr: &Expr, t: i64) -> Result<(Vec<RangeSeries>, Window), EvalError> {
        let Kind::Subquery { inner, range_ms, step_ms, modifiers } = &expr.kind else {
            unreachable!("called for subqueries only");
        };
        let window = self.window(*range_ms, *modifiers, t);
        let step = step_ms.unwrap_or(self.semantics.default_step_ms);
        let mut instant = window.start.div_euclid(step) * step;
        if instant < window.start || (self.semantics.left_open && instant == window.start) {
            instant += step;
        }
        let mut matrix: Vec<RangeSeries> = Vec::new();
        let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
        while instant <= window.end {
            self.steps += 1;
            if self.steps > STEP_LIMIT {
                return Err(EvalError(format!("the subqueries of this query need more than {STEP_LIMIT} steps")));
            }
            for sample in self.vector(inner, instant)? {
                let at = *index.entry(sample.labels.clone()).or_insert(matrix.len());
                if at == matrix.len() {
                    matrix.push((sample.labels, Vec::new()));
                }
                matrix[at].1.push((instant, sample.value));
            }
            instant += step;
        }
        Ok((matrix, window))
    }

    /// The window of an argument that is a range selector or a subquery.
    pub fn window_of(&self, argument: &Expr, t: i64) -> Window {
        match &argument.kind {
            Kind::Matrix { range_ms, modifiers, .. } | Kind::Subquery { range_ms, modifiers, .. } => {
                self.window(*range_ms, *modifiers, t)
            }
            _ => unreachable!("the type check lets only range vectors through"),
        }
    }

    /// Drops the metric names; an error when two elements become the same.
    pub fn drop_names(&mut self, mut samples: Vec<Sample>) -> Result<Vec<Sample>, EvalError> {
        let Some(first) = samples.first() else { return Ok(samples) };
        let name = first.labels.clone();
        let one_name = samples.iter().all(|sample| sample.labels.metric_name() == name.metric_name());
        if one_name && name.metric_name().is_empty() {
            return Ok(samples);
        }
        for sample in &mut samples {
            sample.labels = self.without_name(&sample.labels);
        }
        // Label sets that differed under one name still differ without it.
        if !one_name {
            refuse_duplicates(&samples)?;
        }
        Ok(samples)
    }

    /// A label set without its metric name, built once.
    pub fn without_name(&mut self, labels: &Labels) -> Labels {
        let group = self.nameless.group(labels, || Some((labels.without_name(), 0.0)));
        group.map_or_else(Labels::default, |(index, _)| self.nameless.labels(index).clone())
    }
}

/// An error when two elements have the same labels.
pub(crate) fn refuse_duplicates(samples: &[Sample]) -> Result<(), EvalError> {
    let mut seen = FxHashSet::default();
    if samples.iter().all(|sample| seen.insert(&sample.labels)) {
        Ok(())
    } else {
        Err(EvalError("vector cannot contain metrics with the same labelset".to_owned()))
    }
}

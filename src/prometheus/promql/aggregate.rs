//! Aggregations (promql/engine.go `aggregation`, `aggregationK`, `aggregationCountValues`).

use super::EvalError;
use super::ast::{Aggregate, AggregateOp};
use super::eval::{Evaluator, Sample, Value};
use super::memo::Memo;
use super::numbers::{kahan_add, quantile};
use super::ranking;
use super::semantics::Semantics;
use crate::series::Labels;
use rustc_hash::FxHashMap;

/// What one group has gathered.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    /// 0 until the first element.
    count: f64,
    /// Sum, extreme, or sum of squared deviations.
    value: f64,
    mean: f64,
    compensation: f64,
    incremental: bool,
    values: Vec<f64>,
    samples: Vec<Sample>,
}

impl Evaluator<'_> {
    /// An aggregation's value; groups in the order in which they first appear.
    pub fn aggregate(&mut self, aggregate: &Aggregate, t: i64) -> Result<Vec<Sample>, EvalError> {
        let op = aggregate.op;
        let parameter = aggregate.param.as_ref().map(|param| self.eval(param, t)).transpose()?;
        if let (AggregateOp::CountValues, Some(Value::Text(label))) = (op, &parameter) {
            let samples = self.vector(&aggregate.inner, t)?;
            return count_values(aggregate, label, &samples);
        }
        let number = match parameter {
            Some(Value::Scalar(number)) => number,
            _ => 0.0,
        };
        let ranked = matches!(op, AggregateOp::Topk | AggregateOp::Bottomk);
        // `convertibleToInt64`.
        if ranked && !(number >= i64::MIN as f64 && number <= i64::MAX as f64) {
            return Err(EvalError(format!("scalar value {number} overflows int64")));
        }
        if !ranked && let Some(result) = self.aggregate_ranges(aggregate, number, t) {
            return Ok(result);
        }
        let samples = self.vector(&aggregate.inner, t)?;
        let epoch = self.storage.epoch();
        let semantics = self.semantics;
        let memo = &mut self.memos[aggregate.memo];
        memo.begin(epoch);
        let mut groups = Groups::default();
        for sample in samples {
            let group = group_of(aggregate, memo, &sample.labels);
            let gathered = groups.next(group);
            if ranked {
                gathered.samples.push(sample);
            } else {
                gathered.add(op, sample.value, &semantics);
            }
        }
        if !ranked {
            return Ok(groups.finish(op, number, &semantics, &self.memos[aggregate.memo]));
        }
        // `as` saturates; a negative count keeps nothing.
        let best =
            |group: u32| ranking::best(op, number as usize, std::mem::take(&mut groups.all[group as usize].samples));
        Ok(groups.order.iter().copied().flat_map(best).collect())
    }
}

/// The groups of one evaluation.
#[derive(Debug, Default)]
pub(super) struct Groups {
    all: Vec<Gathered>,
    /// In the order in which they first appeared.
    order: Vec<u32>,
}

impl Groups {
    /// The group that gets the next element, already counted.
    pub fn next(&mut self, group: u32) -> &mut Gathered {
        if self.all.len() <= group as usize {
            self.all.resize(group as usize + 1, Gathered::default());
        }
        let gathered = &mut self.all[group as usize];
        if gathered.count == 0.0 {
            self.order.push(group);
        }
        gathered.count += 1.0;
        gathered
    }
    pub fn finish(&mut self, op: AggregateOp, parameter: f64, semantics: &Semantics, memo: &Memo) -> Vec<Sample> {
        let all = &mut self.all;
        let element = |group: &u32| {
            let value = all[*group as usize].finish(op, parameter, semantics);
            Sample { labels: memo.labels(*group).clone(), value }
        };
        self.order.iter().map(element).collect()
    }
}

/// The number of the group that an element belongs to.
pub(super) fn group_of(aggregate: &Aggregate, memo: &mut Memo, labels: &Labels) -> u32 {
    let group = memo.group(labels, || Some((group_labels(aggregate, labels), 0.0)));
    group.expect("every element of an aggregation has a group").0
}

fn group_labels(aggregate: &Aggregate, labels: &Labels) -> Labels {
    let listed = |name: &str| aggregate.grouping.iter().any(|label| label == name);
    if aggregate.without {
        labels.filtered(|name| name != "__name__" && !listed(name))
    } else {
        labels.filtered(listed)
    }
}

impl Gathered {
    /// Adds an element; `count` already includes it.
    pub fn add(&mut self, op: AggregateOp, value: f64, semantics: &Semantics) {
        let first = self.count == 1.0;
        match op {
            AggregateOp::Sum if semantics.kahan_agg => {
                (self.value, self.compensation) = kahan_add(value, self.value, self.compensation);
            }
            AggregateOp::Sum => self.value += value,
            AggregateOp::Avg if semantics.kahan_agg => self.add_to_mean(value),
            AggregateOp::Avg if first => self.mean = value,
            AggregateOp::Avg => self.add_to_plain_mean(value),
            AggregateOp::Min if first || value < self.value || self.value.is_nan() => self.value = value,
            AggregateOp::Max if first || value > self.value || self.value.is_nan() => self.value = value,
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                let delta = value - self.mean;
                self.mean += delta / self.count;
                self.value += delta * (value - self.mean);
                if first && semantics.left_open && !value.is_finite() {
                    self.value = f64::NAN;
                } else if first {
                    (self.mean, self.value) = (value, 0.0);
                }
            }
            AggregateOp::Quantile => self.values.push(value),
            _ => {}
        }
    }

    /// `avg` from 2.55: a compensated sum, an incremental mean after overflow.
    fn add_to_mean(&mut self, value: f64) {
        if !self.incremental {
            let (sum, compensation) = kahan_add(value, self.value, self.compensation);
            if self.count == 1.0 || !f64::is_infinite(sum) {
                (self.value, self.compensation) = (sum, compensation);
                return;
            }
            self.incremental = true;
            self.mean = self.value / (self.count - 1.0);
            self.compensation /= self.count - 1.0;
        }
        if self.mean.is_infinite() {
            let same_infinity = value.is_infinite() && (self.mean > 0.0) == (value > 0.0);
            if same_infinity || value.is_finite() {
                return;
            }
        }
        let current = self.mean + self.compensation;
        (self.mean, self.compensation) =
            kahan_add(value / self.count - current / self.count, self.mean, self.compensation);
    }

    /// `avg` before 2.55.
    fn add_to_plain_mean(&mut self, value: f64) {
        if self.mean.is_infinite() {
            let same_infinity = value.is_infinite() && (self.mean > 0.0) == (value > 0.0);
            if same_infinity || value.is_finite() {
                return;
            }
        }
        self.mean += value / self.count - self.mean / self.count;
    }

    fn finish(&mut self, op: AggregateOp, parameter: f64, semantics: &Semantics) -> f64 {
        match op {
            AggregateOp::Sum if self.value.is_infinite() => self.value,
            AggregateOp::Sum => self.value + self.compensation,
            AggregateOp::Avg if semantics.kahan_agg && !self.incremental => {
                self.value / self.count + self.compensation / self.count
            }
            AggregateOp::Avg => self.mean + self.compensation,
            AggregateOp::Count => self.count,
            AggregateOp::Group => 1.0,
            AggregateOp::Stddev => (self.value / self.count).sqrt(),
            AggregateOp::Stdvar => self.value / self.count,
            AggregateOp::Quantile => quantile(parameter, &mut self.values),
            _ => self.value,
        }
    }
}

fn count_values(aggregate: &Aggregate, label: &str, samples: &[Sample]) -> Result<Vec<Sample>, EvalError> {
    if label.is_empty() {
        return Err(EvalError(format!("invalid label name {label:?}")));
    }
    let mut result: Vec<Sample> = Vec::new();
    let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
    for sample in samples {
        let labels = group_labels(aggregate, &sample.labels).with(label, &plain_decimal(sample.value));
        let at = *index.entry(labels.clone()).or_insert(result.len());
        if at == result.len() {
            result.push(Sample { labels, value: 0.0 });
        }
        result[at].value += 1.0;
    }
    Ok(result)
}

/// Go's `strconv.FormatFloat(v, 'f', -1, 64)`.
fn plain_decimal(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else if value == f64::NEG_INFINITY {
        "-Inf".to_owned()
    } else {
        value.to_string()
    }
}

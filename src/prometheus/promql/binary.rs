//! Binary operators (promql/engine.go `VectorBinop`, `VectorscalarBinop`, `VectorAnd`, `VectorOr`, `VectorUnless`).

use super::EvalError;
use super::ast::{Binary, BinaryOp, Card, Matching};
use super::eval::{Evaluator, Sample, Value};
use crate::series::Labels;
use crate::units::math;
use rustc_hash::FxHashSet;

impl Evaluator<'_> {
    /// A binary operation's value.
    pub fn binary(&mut self, binary: &Binary, t: i64) -> Result<Value, EvalError> {
        let left = self.eval(&binary.lhs, t)?;
        let right = self.eval(&binary.rhs, t)?;
        match (left, right) {
            (Value::Scalar(left), Value::Scalar(right)) => Ok(Value::Scalar(apply(binary.op, left, right))),
            (Value::Vector(samples), Value::Scalar(scalar)) => self.with_scalar(binary, samples, scalar, false),
            (Value::Scalar(scalar), Value::Vector(samples)) => self.with_scalar(binary, samples, scalar, true),
            (Value::Vector(left), Value::Vector(right)) if binary.op.is_set() => {
                Ok(Value::Vector(self.set_operation(binary, left, right)))
            }
            (Value::Vector(left), Value::Vector(right)) => Ok(Value::Vector(self.matched(binary, left, right)?)),
            _ => unreachable!("the type check lets only scalars and instant vectors through"),
        }
    }

    fn with_scalar(
        &mut self,
        binary: &Binary,
        mut samples: Vec<Sample>,
        scalar: f64,
        scalar_left: bool,
    ) -> Result<Value, EvalError> {
        let op = binary.op;
        let result = |value: f64| if scalar_left { apply(op, scalar, value) } else { apply(op, value, scalar) };
        if op.is_comparison() && !binary.return_bool {
            samples.retain(|sample| result(sample.value) != 0.0);
            return Ok(Value::Vector(samples));
        }
        for sample in &mut samples {
            sample.value = result(sample.value);
        }
        Ok(Value::Vector(self.drop_names(samples)?))
    }

    /// The dense number of the labels by which an element finds its partners.
    fn signature(&mut self, binary: &Binary, labels: &Labels) -> u32 {
        let matching = &binary.matching;
        let group = self.memos[binary.memo_left].group(labels, || {
            let listed = |name: &str| matching.labels.iter().any(|label| label == name);
            let key = if matching.on {
                labels.filtered(listed)
            } else {
                labels.filtered(|name| name != "__name__" && !listed(name))
            };
            Some((key, 0.0))
        });
        group.expect("every element has a signature").0
    }

    fn set_operation(&mut self, binary: &Binary, mut left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
        self.memos[binary.memo_left].begin(self.storage.epoch());
        let or = binary.op == BinaryOp::Or;
        let signatures: FxHashSet<u32> =
            (if or { &left } else { &right }).iter().map(|s| self.signature(binary, &s.labels)).collect();
        if or {
            for sample in right {
                if !signatures.contains(&self.signature(binary, &sample.labels)) {
                    left.push(sample);
                }
            }
        } else {
            let wanted = binary.op == BinaryOp::And;
            left.retain(|sample| signatures.contains(&self.signature(binary, &sample.labels)) == wanted);
        }
        left
    }

    fn matched(&mut self, binary: &Binary, left: Vec<Sample>, right: Vec<Sample>) -> Result<Vec<Sample>, EvalError> {
        if left.is_empty() || right.is_empty() {
            return Ok(Vec::new());
        }
        let epoch = self.storage.epoch();
        self.memos[binary.memo_left].begin(epoch);
        self.memos[binary.memo_right].begin(epoch);
        let swapped = binary.matching.card == Card::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let partners = self.partners(binary, &one, if swapped { "left" } else { "right" })?;
        let one_to_one = binary.matching.card == Card::OneToOne;
        let mut used: FxHashSet<u32> = FxHashSet::default();
        let mut inserted: FxHashSet<(u32, Labels)> = FxHashSet::default();
        let mut result = Vec::with_capacity(many.len());
        for sample in &many {
            let signature = self.signature(binary, &sample.labels);
            let Some(partner) = partners.get(signature as usize).copied().flatten().map(|index| &one[index]) else {
                continue;
            };
            // From 3.9 (#17668) also elements that a comparison then drops count as matches.
            let strict = one_to_one && self.semantics.strict_matching;
            if strict && !used.insert(signature) {
                return Err(many_to_one());
            }
            let (a, b) = if swapped { (partner.value, sample.value) } else { (sample.value, partner.value) };
            let mut value = apply(binary.op, a, b);
            if binary.op.is_comparison() && !binary.return_bool {
                if value == 0.0 {
                    continue;
                }
                value = a;
            }
            let labels = self.result_labels(binary, &sample.labels, &partner.labels);
            if one_to_one {
                if !strict && !used.insert(signature) {
                    return Err(many_to_one());
                }
            } else if !inserted.insert((signature, labels.clone())) {
                let message = "multiple matches for labels: grouping labels must ensure unique matches";
                return Err(EvalError(message.to_owned()));
            }
            result.push(Sample { labels, value });
        }
        Ok(result)
    }

    /// By signature, the element of the one side; an error when there are two.
    fn partners(&mut self, binary: &Binary, one: &[Sample], side: &str) -> Result<Vec<Option<usize>>, EvalError> {
        let mut partners: Vec<Option<usize>> = Vec::new();
        for (index, sample) in one.iter().enumerate() {
            let signature = self.signature(binary, &sample.labels);
            if partners.len() <= signature as usize {
                partners.resize(signature as usize + 1, None);
            }
            if let Some(first) = partners[signature as usize].replace(index) {
                let group = self.memos[binary.memo_left].labels(signature);
                return Err(EvalError(format!(
                    "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
                     [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    one[first].labels, sample.labels
                )));
            }
        }
        Ok(partners)
    }

    /// `resultMetric`: `many` is the left side unless `group_right`.
    fn result_labels(&mut self, binary: &Binary, many: &Labels, one: &Labels) -> Labels {
        let matching = &binary.matching;
        let drops_name = !binary.op.is_comparison() || binary.return_bool;
        let build = || result_labels(matching, drops_name, many, one);
        if !matching.include.is_empty() {
            return build();
        }
        let memo = &mut self.memos[binary.memo_right];
        let group = memo.group(many, || Some((build(), 0.0))).expect("every result has labels").0;
        memo.labels(group).clone()
    }
}

fn result_labels(matching: &Matching, drops_name: bool, many: &Labels, one: &Labels) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    let one_to_one = matching.card == Card::OneToOne;
    let mut labels = many.filtered(|name| {
        let kept = !one_to_one || listed(name) == matching.on;
        kept && !(drops_name && name == "__name__")
    });
    for name in &matching.include {
        labels = labels.with(name, one.get(name));
    }
    labels
}

fn many_to_one() -> EvalError {
    let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
    EvalError(message.to_owned())
}

/// The operator on two numbers; comparisons give 1 or 0.
fn apply(op: BinaryOp, a: f64, b: f64) -> f64 {
    let truth = |holds: bool| if holds { 1.0 } else { 0.0 };
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => math::pow(a, b),
        BinaryOp::Atan2 => math::atan2(a, b),
        BinaryOp::Eq => truth(a == b),
        BinaryOp::Ne => truth(a != b),
        BinaryOp::Gt => truth(a > b),
        BinaryOp::Lt => truth(a < b),
        BinaryOp::Ge => truth(a >= b),
        BinaryOp::Le => truth(a <= b),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => unreachable!("set operators work on vectors"),
    }
}

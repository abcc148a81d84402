//! Function calls (promql/functions.go).

use super::EvalError;
use super::ast::{Expr, Kind};
use super::dates;
use super::eval::{Evaluator, Sample, Value, refuse_duplicates};
use super::functions::{FunctionId, MathFunction};
use super::matcher::anchored;
use super::numbers::{bucket_fraction, bucket_quantile, nan_last};
use super::range_functions::{Window, over_range};
use crate::series::Labels;
use crate::units::math;

impl Evaluator<'_> {
    /// A call's value.
    pub fn call(&mut self, function: FunctionId, args: &[Expr], memo: usize, t: i64) -> Result<Value, EvalError> {
        Ok(Value::Vector(match function {
            FunctionId::Time => return Ok(Value::Scalar(t as f64 / 1000.0)),
            FunctionId::Pi => return Ok(Value::Scalar(std::f64::consts::PI)),
            FunctionId::Scalar => {
                let samples = self.vector(&args[0], t)?;
                return Ok(Value::Scalar(if let [only] = samples.as_slice() { only.value } else { f64::NAN }));
            }
            FunctionId::Vector => {
                let value = self.scalar(&args[0], t)?;
                vec![Sample { labels: Labels::default(), value }]
            }
            FunctionId::Timestamp => self.timestamps(&args[0], t)?,
            FunctionId::Absent => {
                let present = !self.vector(&args[0], t)?.is_empty();
                self.absent(present, &args[0])
            }
            FunctionId::AbsentOverTime => {
                let present = self.any_sample(args[0].unparenthesized(), t)?;
                self.absent(present, &args[0])
            }
            FunctionId::Sort | FunctionId::SortDesc => {
                let mut samples = self.vector(&args[0], t)?;
                let sign = if function == FunctionId::Sort { 1.0 } else { -1.0 };
                samples.sort_by(|a, b| nan_last(sign * a.value, sign * b.value));
                samples
            }
            FunctionId::LabelReplace => self.label_replace(args, t)?,
            FunctionId::LabelJoin => self.label_join(args, t)?,
            FunctionId::HistogramQuantile | FunctionId::HistogramFraction => self.histogram(args, memo, t)?,
            FunctionId::Math(which) => self.map(&args[0], t, |value| elementary(which, value))?,
            FunctionId::Date(part) => {
                let of = |seconds| dates::date_part(part, seconds);
                match args.first() {
                    Some(arg) => self.map(arg, t, of)?,
                    None => vec![Sample { labels: Labels::default(), value: of(t as f64 / 1000.0) }],
                }
            }
            FunctionId::Round => {
                let nearest = args.get(1).map_or(Ok(1.0), |arg| self.scalar(arg, t))?;
                // Upstream rounds by the inverse, "so that ties are resolved upwards".
                let inverse = 1.0 / nearest;
                self.map(&args[0], t, |value| (value * inverse + 0.5).floor() / inverse)?
            }
            FunctionId::Clamp => {
                let (least, most) = (self.scalar(&args[1], t)?, self.scalar(&args[2], t)?);
                if most < least {
                    return Ok(Value::Vector(Vec::new()));
                }
                self.map(&args[0], t, |value| go_max(least, go_min(most, value)))?
            }
            FunctionId::ClampMin => {
                let least = self.scalar(&args[1], t)?;
                self.map(&args[0], t, |value| go_max(least, value))?
            }
            FunctionId::ClampMax => {
                let most = self.scalar(&args[1], t)?;
                self.map(&args[0], t, |value| go_min(most, value))?
            }
            _ => self.range_call(function, args, t)?,
        }))
    }

    /// `f` of every value; drops the names.
    fn map(&mut self, arg: &Expr, t: i64, f: impl Fn(f64) -> f64) -> Result<Vec<Sample>, EvalError> {
        let mut samples = self.vector(arg, t)?;
        for sample in &mut samples {
            sample.value = f(sample.value);
        }
        self.drop_names(samples)
    }

    /// A function over the samples in a window.
    fn range_call(&mut self, function: FunctionId, args: &[Expr], t: i64) -> Result<Vec<Sample>, EvalError> {
        let mut parameters = [0.0; 2];
        let mut range = None;
        let mut known = 0;
        for arg in args {
            let arg = arg.unparenthesized();
            if matches!(arg.kind, Kind::Matrix { .. } | Kind::Subquery { .. }) {
                range = Some(arg);
            } else {
                parameters[known] = self.scalar(arg, t)?;
                known += 1;
            }
        }
        let range = range.expect("the type check demands a range vector");
        if function == FunctionId::HoltWinters && !parameters.iter().all(|factor| *factor > 0.0 && *factor < 1.0) {
            return Err(EvalError("invalid smoothing or trend factor, expected 0 < factor < 1".to_owned()));
        }
        let window = Window { parameters, ..self.window_of(range, t) };
        let keeps_name = keeps_name(function);
        let semantics = self.semantics;
        let mut result: Vec<Sample> = Vec::new();
        if let Kind::Matrix { selector, .. } = range.kind {
            result.reserve(self.storage.selected(self.first_selector + selector).series.len());
            self.each_range(selector, &window, |series, samples| {
                if let Some(value) = over_range(function, samples, &window, &semantics) {
                    let labels = if keeps_name { &series.labels } else { &series.nameless };
                    result.push(Sample { labels: labels.clone(), value });
                }
            });
            if !keeps_name && self.plan.selectors[selector].exact_name().is_none() {
                refuse_duplicates(&result)?;
            }
            return Ok(result);
        }
        let (series, _) = self.subquery(range, t)?;
        for (labels, samples) in series {
            if let Some(value) = over_range(function, &samples, &window, &semantics) {
                result.push(Sample { labels, value });
            }
        }
        if keeps_name { Ok(result) } else { self.drop_names(result) }
    }

    fn any_sample(&mut self, range: &Expr, t: i64) -> Result<bool, EvalError> {
        if let Kind::Matrix { selector, .. } = range.kind {
            let window = self.window_of(range, t);
            let mut any = false;
            self.each_range(selector, &window, |_, _| any = true);
            return Ok(any);
        }
        Ok(!self.subquery(range, t)?.0.is_empty())
    }

    /// `absent`: labels from the selector's equality matchers, unless a label is used twice.
    fn absent(&self, present: bool, arg: &Expr) -> Vec<Sample> {
        if present {
            return Vec::new();
        }
        let labels = match arg.unparenthesized().kind {
            Kind::Vector { selector, .. } | Kind::Matrix { selector, .. } => {
                let matchers = &self.plan.selectors[selector].matchers;
                let usable = matchers.iter().filter(|m| {
                    let uses = matchers.iter().filter(|other| other.name == m.name).count();
                    m.is_equality() && m.name != "__name__" && uses == 1
                });
                Labels::from_pairs(usable.map(|m| (m.name.as_str(), m.value.as_str())))
            }
            _ => Labels::default(),
        };
        vec![Sample { labels, value: 1.0 }]
    }

    fn timestamps(&mut self, arg: &Expr, t: i64) -> Result<Vec<Sample>, EvalError> {
        let samples = if let Kind::Vector { selector, modifiers } = arg.unparenthesized().kind {
            self.instant(selector, modifiers, t, true)
        } else {
            let mut samples = self.vector(arg, t)?;
            for sample in &mut samples {
                sample.value = t as f64 / 1000.0;
            }
            samples
        };
        self.drop_names(samples)
    }

    /// Text arguments are literals after the type check.
    fn text(&mut self, arg: &Expr, t: i64) -> Result<String, EvalError> {
        match self.eval(arg, t)? {
            Value::Text(text) => Ok(text),
            _ => unreachable!("the type check lets only strings through"),
        }
    }

    fn label_replace(&mut self, args: &[Expr], t: i64) -> Result<Vec<Sample>, EvalError> {
        let destination = self.text(&args[1], t)?;
        let replacement = self.text(&args[2], t)?;
        let source = self.text(&args[3], t)?;
        let pattern = self.text(&args[4], t)?;
        let regex = anchored(&pattern, self.semantics)
            .map_err(|message| EvalError(format!("invalid regular expression in label_replace(): {message}")))?;
        if !self.valid_label(&destination) {
            return Err(EvalError(format!("invalid destination label name in label_replace(): {destination}")));
        }
        let mut samples = self.vector(&args[0], t)?;
        for sample in &mut samples {
            if let Some(captures) = regex.captures(sample.labels.get(&source)) {
                let mut value = String::new();
                captures.expand(&replacement, &mut value);
                sample.labels = sample.labels.with(&destination, &value);
            }
        }
        refuse_duplicates(&samples)?;
        Ok(samples)
    }

    fn label_join(&mut self, args: &[Expr], t: i64) -> Result<Vec<Sample>, EvalError> {
        let destination = self.text(&args[1], t)?;
        let separator = self.text(&args[2], t)?;
        let sources: Vec<String> = args[3..].iter().map(|arg| self.text(arg, t)).collect::<Result<_, _>>()?;
        if !self.valid_label(&destination) {
            return Err(EvalError(format!("invalid destination label name in label_join(): {destination}")));
        }
        let mut samples = self.vector(&args[0], t)?;
        for sample in &mut samples {
            let parts: Vec<&str> = sources.iter().map(|source| sample.labels.get(source)).collect();
            sample.labels = sample.labels.with(&destination, &parts.join(&separator));
        }
        refuse_duplicates(&samples)?;
        Ok(samples)
    }

    /// Label names are UTF-8 since 3.0.
    fn valid_label(&self, name: &str) -> bool {
        let old_style = |name: &str| {
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.as_bytes()[0].is_ascii_digit()
        };
        !name.is_empty() && (self.semantics.left_open || old_style(name))
    }

    /// `histogram_quantile(q, v)` and `histogram_fraction(lower, upper, v)` of classic histograms. Buckets of different
    /// metrics are different histograms, although the result has no name.
    fn histogram(&mut self, args: &[Expr], memo: usize, t: i64) -> Result<Vec<Sample>, EvalError> {
        let parameters: Vec<f64> =
            args[..args.len() - 1].iter().map(|arg| self.scalar(arg, t)).collect::<Result<_, _>>()?;
        let samples = self.vector(&args[args.len() - 1], t)?;
        let memo = &mut self.memos[memo];
        memo.begin(self.storage.epoch());
        let mut histograms: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut order: Vec<u32> = Vec::new();
        for sample in &samples {
            let labels = &sample.labels;
            let group = memo.group(labels, || {
                let bound = parse_bound(labels.get("le"))?;
                Some((labels.filtered(|name| name != "le"), bound))
            });
            let Some((group, bound)) = group else { continue };
            if histograms.len() <= group as usize {
                histograms.resize(memo.len(), Vec::new());
            }
            let buckets = &mut histograms[group as usize];
            if buckets.is_empty() {
                order.push(group);
                buckets.reserve(samples.len() / memo.len());
            }
            buckets.push((bound, sample.value));
        }
        let result = order.into_iter().map(|group| {
            let buckets = &mut histograms[group as usize];
            let value = match parameters[..] {
                [lower, upper] => bucket_fraction(lower, upper, buckets),
                _ => bucket_quantile(parameters[0], buckets),
            };
            Sample { labels: memo.labels(group).clone(), value }
        });
        let result = result.collect();
        self.drop_names(result)
    }
}

/// Whether a function over a range leaves the metric's name.
pub(crate) fn keeps_name(function: FunctionId) -> bool {
    matches!(function, FunctionId::LastOverTime | FunctionId::FirstOverTime)
}

/// An `le` label, as Go's `strconv.ParseFloat` reads it.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Go's `math.Max`: NaN wins, +0 is above -0.
pub(crate) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else if a == 0.0 && b == 0.0 {
        if a.is_sign_negative() { b } else { a }
    } else {
        a.max(b)
    }
}

/// Go's `math.Min`.
pub(crate) fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

fn elementary(function: MathFunction, value: f64) -> f64 {
    match function {
        MathFunction::Abs => value.abs(),
        MathFunction::Ceil => value.ceil(),
        MathFunction::Floor => value.floor(),
        MathFunction::Exp => math::exp(value),
        MathFunction::Sqrt => value.sqrt(),
        MathFunction::Ln => math::ln(value),
        MathFunction::Log2 => math::log2(value),
        MathFunction::Log10 => math::log10(value),
        MathFunction::Sgn if value > 0.0 => 1.0,
        MathFunction::Sgn if value < 0.0 => -1.0,
        MathFunction::Sgn => value,
        MathFunction::Sin => math::sin(value),
        MathFunction::Cos => math::cos(value),
        MathFunction::Tan => libm::tan(value),
        MathFunction::Asin => libm::asin(value),
        MathFunction::Acos => libm::acos(value),
        MathFunction::Atan => libm::atan(value),
        MathFunction::Sinh => libm::sinh(value),
        MathFunction::Cosh => libm::cosh(value),
        MathFunction::Tanh => libm::tanh(value),
        MathFunction::Asinh => libm::asinh(value),
        MathFunction::Acosh => libm::acosh(value),
        MathFunction::Atanh => libm::atanh(value),
        MathFunction::Deg => value * 180.0 / std::f64::consts::PI,
        MathFunction::Rad => value * std::f64::consts::PI / 180.0,
    }
}

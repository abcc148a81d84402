//! `spec.advanced.scalingModifiers`: a formula over the triggers' values (`apis/keda/v1alpha1/scaledobject_webhook.go`
//! `ValidateAndCompileScalingModifiers`, `pkg/scaling/modifiers/formula.go`, keda.md section 6).
//!
//! The formula is evaluated as written and its result cast, because the expression library does not read upstream's
//! wrapping in `float(...)`; what the wrapping would refuse is refused here.

use crate::keda::formula_names::unknown_name;
use crate::keda::scaler_types::is_resource;
use crate::keda::{KedaVersion, TargetType, Trigger};
use crate::manifest::{self, Fields, ScaledObject, UnknownKeys, Value as Written};
use crate::units::{Diagnostic, Diagnostics, Judge, Located};
use expr::{Context, Program, Value};

/// The first release with formulas.
const FORMULAS: KedaVersion = KedaVersion { major: 2, minor: 12, patch: 0 };
const PATH: &str = "spec.advanced.scalingModifiers";
/// The name of the one External metric that takes the triggers' place in the HPA.
pub const COMPOSITE: &str = "composite-metric";
/// Evaluation goes as deep as the formula nests, so its length bounds the stack.
const LONGEST: usize = 2000;
/// 2^63, the first double beyond an int64.
const INT64_END: f64 = 9_223_372_036_854_775_808.0;
/// Values that the formula must bear: the webhook's own -1, and others that reach more of its branches.
const TRIALS: [f64; 5] = [-1.0, 0.0, 1.0, 3.5, 1e6];

/// `spec.advanced.scalingModifiers` as resolved and compiled.
#[derive(Clone, Debug)]
pub struct Modifiers {
    /// `formula` as written.
    pub formula: String,
    /// `target`.
    pub target: f64,
    /// `target` as written: a fallback needs a whole number.
    pub target_text: String,
    /// `activationTarget`, default 0.
    pub activation_target: f64,
    /// `metricType`, default AverageValue.
    pub target_type: TargetType,
    program: Program,
}

impl PartialEq for Modifiers {
    fn eq(&self, other: &Self) -> bool {
        let written = |own: &Self| (own.formula.clone(), own.target_text.clone(), own.target_type);
        written(self) == written(other) && self.activation_target == other.activation_target
    }
}

/// What the formula came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Composite {
    /// A number.
    Number(f64),
    /// `nil`, which only `??` and `nil` itself let through.
    Nil,
}

/// What is wrong with a formula's number. KEDA v2.20.2 passes all of them on to the HPA as an int64 of milli units, whose
/// value depends on the operator's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompositeFlaw {
    /// Not a number (0/0): the least int64 on amd64, 0 on arm64.
    NotANumber,
    /// Plus infinity (x/0), or above what an int64 holds: the least int64 on amd64, the greatest on arm64.
    TooLarge,
    /// Minus infinity, or below what an int64 holds: the least int64 on both.
    TooSmall,
    /// Below zero, on both as it is.
    Negative,
}

impl CompositeFlaw {
    /// Of a formula's result; `None` when the HPA gets it as meant.
    pub fn of(value: f64) -> Option<Self> {
        let product = value * 1000.0;
        if product.is_nan() {
            Some(CompositeFlaw::NotANumber)
        } else if product >= INT64_END {
            Some(CompositeFlaw::TooLarge)
        } else if product < -INT64_END {
            Some(CompositeFlaw::TooSmall)
        } else if product <= -1.0 {
            Some(CompositeFlaw::Negative)
        } else {
            None
        }
    }

    /// What the HPA is told where KEDA's operator runs on arm64, if that differs from amd64, which is simulated.
    pub fn milli_on_arm64(self) -> Option<i64> {
        match self {
            CompositeFlaw::NotANumber => Some(0),
            CompositeFlaw::TooLarge => Some(i64::MAX),
            CompositeFlaw::TooSmall | CompositeFlaw::Negative => None,
        }
    }
}

impl Modifiers {
    /// The target in milli units, cut as upstream's conversion to int64 does.
    pub fn target_milli(&self) -> i64 {
        (self.target * 1000.0) as i64
    }

    /// Evaluates the formula over values in milli units, `None` for nil; triggers without a name take no part, nor do cpu and
    /// memory.
    ///
    /// # Errors
    /// The expression library's text: operands that do not fit, nil arithmetic, ...
    pub fn evaluate(&self, triggers: &[Trigger], milli: &[Option<i64>]) -> Result<Composite, String> {
        let external = triggers.iter().zip(milli).filter(|(trigger, _)| !trigger.is_resource());
        let named = external.filter_map(|(trigger, milli)| Some((trigger.name.as_deref()?, milli)));
        let named = named.map(|(name, milli)| (name, milli.map(milli_float)));
        run(&self.program, named)
    }
}

/// A quantity of milli units as upstream's `AsApproximateFloat64` reads it back: a product with 1e-3, not a quotient.
pub(super) fn milli_float(milli: i64) -> f64 {
    milli as f64 * 1e-3
}

/// A formula's result in milli units (`calculateScalingModifiersFormula`): cut toward zero and not guarded. What an int64
/// cannot hold (NaN included) becomes its minimum, as on amd64.
pub(super) fn composite_milli(value: f64) -> i64 {
    let product = value * 1000.0;
    // NaN is in no range.
    let fits = (-INT64_END..INT64_END).contains(&product);
    if fits { product as i64 } else { i64::MIN }
}

fn run<'a>(program: &Program, named: impl Iterator<Item = (&'a str, Option<f64>)>) -> Result<Composite, String> {
    let mut context = Context::default();
    for (name, value) in named {
        context.insert(name, value.map_or(Value::Nil, Value::Float));
    }
    let result = expr::run(program, &context).map_err(|error| one_line(&error.to_string()))?;
    match result {
        Value::Float(value) => Ok(Composite::Number(value)),
        Value::Integer(value) => Ok(Composite::Number(value as f64)),
        Value::Nil => Ok(Composite::Nil),
        other => Err(format!("the formula returns {}, expected a number", kind(&other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "a boolean",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        _ => "something else",
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads and compiles the block. `None` when there is none, when it is empty (`IsUsingModifiers`) or when it is wrong.
pub(super) fn resolve(
    written: &ScaledObject,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> Option<Modifiers> {
    let node = written.scaling_modifiers.as_ref()?;
    let empty = matches!(&node.value, Written::Null) || matches!(&node.value, Written::Map(own) if own.is_empty());
    if empty {
        return None;
    }
    if version < FORMULAS {
        let message = "this KEDA version does not know scalingModifiers";
        diagnostics.push(Diagnostic::error(node.span.clone(), PATH, message).help("it needs KEDA 2.12"));
        return None;
    }
    let mut fields = Fields::of(node, PATH, diagnostics)?;
    let mistakes = diagnostics.0.len();
    let mut text = |key| fields.string(key, diagnostics).filter(|own| !own.value.is_empty());
    let (formula, target) = (text("formula"), text("target"));
    let (activation, metric_type) = (text("activationTarget"), text("metricType"));
    fields.finish(UnknownKeys::Warn, diagnostics);
    let misread = diagnostics.0[mistakes..].iter().any(|own| own.severity == crate::units::Severity::Error);
    if misread {
        return None;
    }
    let Some(formula) = formula else {
        let message = "error ScalingModifiers.Formula is mandatory";
        diagnostics.push(Diagnostic::error(node.span.clone(), PATH, message).by(Judge::Webhook));
        return None;
    };
    let Some(target) = target else {
        let message = "formula is given but target is empty";
        diagnostics.push(Diagnostic::error(node.span.clone(), PATH, message).by(Judge::Webhook));
        return None;
    };
    let target_number = number(&target, "target", diagnostics, |value| value > 0.0);
    let activation_target = activation.map_or(Some(0.0), |own| number(&own, "activationTarget", diagnostics, |_| true));
    let target_type = target_type(metric_type.as_ref(), diagnostics);
    let program = compile(written, &formula, diagnostics);
    warn_nameless(written, diagnostics);
    Some(Modifiers {
        formula: formula.value,
        target: target_number?,
        target_text: target.value,
        activation_target: activation_target?,
        target_type: target_type?,
        program: program?,
    })
}

/// A trigger without a name is queried and takes no part in the formula; KEDA only logs it.
fn warn_nameless(written: &ScaledObject, diagnostics: &mut Diagnostics) {
    let resource = |own: &&manifest::Trigger| is_resource(&own.kind.value);
    let named = |own: &&manifest::Trigger| own.name.as_ref().is_some_and(|name| !name.value.is_empty());
    for trigger in written.triggers.iter().filter(|own| !resource(own) && !named(own)) {
        let message = "a trigger without a name takes no part in the formula";
        let path = format!("{}.name", trigger.path);
        diagnostics.push(
            Diagnostic::warning(trigger.span.clone(), path, message).help("give it a name and use it in the formula"),
        );
    }
}

/// A number as Go's `ParseFloat` reads it; upstream's text when it is none or not `allowed`.
fn number(
    found: &Located<String>,
    key: &str,
    diagnostics: &mut Diagnostics,
    allowed: impl Fn(f64) -> bool,
) -> Option<f64> {
    let value = found.value.parse::<f64>().ok().filter(|own| own.is_finite() && allowed(*own));
    if value.is_none() {
        let message = format!(
            "error converting {key} for scalingModifiers (string->float) to valid {key}: found {:?}",
            found.value
        );
        // The webhook does not look at activationTarget; the scale loop fails on it at every poll.
        let judge = if key == "target" { Judge::Webhook } else { Judge::Operator };
        diagnostics.push(Diagnostic::error(found.span.clone(), format!("{PATH}.{key}"), message).by(judge));
    }
    value
}

fn target_type(found: Option<&Located<String>>, diagnostics: &mut Diagnostics) -> Option<TargetType> {
    let Some(found) = found else { return Some(TargetType::AverageValue) };
    match found.value.as_str() {
        "AverageValue" => Some(TargetType::AverageValue),
        "Value" => Some(TargetType::Value),
        other => {
            let message = format!("found {other:?}, expected AverageValue or Value");
            let diagnostic = Diagnostic::error(found.span.clone(), format!("{PATH}.metricType"), message);
            diagnostics.push(diagnostic.by(Judge::ApiServer));
            None
        }
    }
}

/// Compiles the formula and tries it, as the webhook does, with every named trigger that is not cpu or memory.
fn compile(written: &ScaledObject, formula: &Located<String>, diagnostics: &mut Diagnostics) -> Option<Program> {
    let outer = written.triggers.iter().filter(|own| !is_resource(&own.kind.value));
    let names: Vec<&str> = outer.filter_map(|own| own.name.as_ref().map(|name| name.value.as_str())).collect();
    let length = formula.value.len();
    if length > LONGEST {
        let message = format!("found a formula of {length} characters, at most {LONGEST} are read");
        diagnostics.push(Diagnostic::error(formula.span.clone(), format!("{PATH}.formula"), message));
        return None;
    }
    let message = match expr::compile(&formula.value) {
        Err(error) => format!("error trying to compile formula: {}", one_line(&error.to_string())),
        Ok(program) => match tried(&program, &formula.value, &names) {
            Ok(()) => {
                note_powers(formula, diagnostics);
                return Some(program);
            }
            Err(why) => format!("error trying to run custom formula: {why}"),
        },
    };
    let help = if names.is_empty() {
        "a trigger needs a name to be used in the formula".to_owned()
    } else {
        format!("names of triggers that can be used: {}", names.join(", "))
    };
    let diagnostic = Diagnostic::error(formula.span.clone(), format!("{PATH}.formula"), message).help(help);
    diagnostics.push(diagnostic.by(Judge::Webhook));
    None
}

/// The library takes powers from the C library of the machine and lets nobody step between. Upstream's own routine can
/// differ as much from that, a last bit, which the cut to milli units nearly always swallows: worth a word, no refusal.
fn note_powers(formula: &Located<String>, diagnostics: &mut Diagnostics) {
    if !formula.value.contains("**") && !formula.value.contains('^') {
        return;
    }
    let message = "powers are computed by this machine's C library: their last bit can differ elsewhere";
    let note = Diagnostic::note(formula.span.clone(), format!("{PATH}.formula"), message);
    diagnostics.push(note.help("write a * a for a ** 2, which is exact everywhere"));
}

fn tried(program: &Program, formula: &str, names: &[&str]) -> Result<(), String> {
    if formula.contains("..") {
        // The library builds a range whole, however long it is.
        return Err("ranges are not modelled yet".to_owned());
    }
    if let Some((name, line, column)) = unknown_name(formula, names) {
        return Err(format!("unknown name {name} ({line}:{column})"));
    }
    for (index, trial) in TRIALS.into_iter().enumerate() {
        match run(program, names.iter().map(|name| (*name, Some(trial)))) {
            // Upstream types the whole formula at once; here a wrong type shows in the branch that a trial takes.
            Err(why) if index == 0 || why.starts_with("the formula returns") => return Err(why),
            Ok(Composite::Nil) if !formula.contains("??") => return Err("the formula returns nil".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

/// A compiled block for other files' tests.
#[cfg(test)]
pub(super) fn compiled(formula: &str, target: &str, names: &[&str]) -> Modifiers {
    let program = expr::compile(formula).expect("a formula");
    tried(&program, formula, names).expect("it runs");
    Modifiers {
        formula: formula.to_owned(),
        target: target.parse().expect("a number"),
        target_text: target.to_owned(),
        activation_target: 0.0,
        target_type: TargetType::AverageValue,
        program,
    }
}

#[cfg(test)]
#[path = "modifiers_tests.rs"]
mod tests;

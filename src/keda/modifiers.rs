//! `spec.advanced.scalingModifiers`: a formula over the triggers' values (`apis/keda/v1alpha1/scaledobject_webhook.go`
//! `ValidateAndCompileScalingModifiers`, `pkg/scaling/modifiers/formula.go`, keda.md section 6).
//!
//! The formula is evaluated as written and its result cast, because the expression library does not read upstream's
//! wrapping in `float(...)`; what the wrapping would refuse is refused here.

use crate::keda::formula_names::unknown_name;
use crate::keda::{KedaVersion, TargetType, Trigger};
use crate::manifest::{self, Fields, ScaledObject, UnknownKeys, Value as Written};
use crate::units::{Diagnostic, Diagnostics, Located};
use expr::{Context, Program, Value};

/// The first release with formulas.
const FORMULAS: KedaVersion = KedaVersion { major: 2, minor: 12, patch: 0 };
const PATH: &str = "spec.advanced.scalingModifiers";
/// The name of the one External metric that takes the triggers' place in the HPA.
pub const COMPOSITE: &str = "composite-metric";
/// Evaluation goes as deep as the formula nests, so its length bounds the stack.
const LONGEST: usize = 2000;
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

impl Modifiers {
    /// The target in milli units, cut as upstream's conversion to int64 does.
    pub fn target_milli(&self) -> i64 {
        (self.target * 1000.0) as i64
    }

    /// Evaluates the formula over values in milli units, `None` for nil; triggers without a name take no part.
    ///
    /// # Errors
    /// The expression library's text: operands that do not fit, nil arithmetic, ...
    pub fn evaluate(&self, triggers: &[Trigger], milli: &[Option<i64>]) -> Result<Composite, String> {
        let named = triggers.iter().zip(milli).filter_map(|(trigger, milli)| Some((trigger.name.as_deref()?, milli)));
        let named = named.map(|(name, milli)| (name, milli.map(|own| own as f64 / 1000.0)));
        run(&self.program, named)
    }
}

/// A formula's result in milli units (`calculateScalingModifiersFormula`): cut toward zero and not guarded. What an int64
/// cannot hold (NaN included) becomes its minimum, as on amd64.
pub(super) fn composite_milli(value: f64) -> i64 {
    let product = value * 1000.0;
    // 2^63 is exact in a double; NaN is in no range.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&product);
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
        diagnostics.push(Diagnostic::error(node.span.clone(), PATH, "error ScalingModifiers.Formula is mandatory"));
        return None;
    };
    let Some(target) = target else {
        diagnostics.push(Diagnostic::error(node.span.clone(), PATH, "formula is given but target is empty"));
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
    let resource = |own: &&manifest::Trigger| ["cpu", "memory"].contains(&own.kind.value.as_str());
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
        diagnostics.push(Diagnostic::error(found.span.clone(), format!("{PATH}.{key}"), message));
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
            diagnostics.push(Diagnostic::error(found.span.clone(), format!("{PATH}.metricType"), message));
            None
        }
    }
}

/// Compiles the formula and tries it, as the webhook does, with every named trigger that is not cpu or memory.
fn compile(written: &ScaledObject, formula: &Located<String>, diagnostics: &mut Diagnostics) -> Option<Program> {
    let resource = |kind: &str| ["cpu", "memory"].contains(&kind);
    let outer = written.triggers.iter().filter(|own| !resource(&own.kind.value));
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
            Ok(()) => return Some(program),
            Err(why) => format!("error trying to run custom formula: {why}"),
        },
    };
    let help = if names.is_empty() {
        "a trigger needs a name to be used in the formula".to_owned()
    } else {
        format!("names of triggers that can be used: {}", names.join(", "))
    };
    diagnostics.push(Diagnostic::error(formula.span.clone(), format!("{PATH}.formula"), message).help(help));
    None
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

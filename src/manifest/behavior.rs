//! `behavior` of an autoscaling/v2 HorizontalPodAutoscaler, as written.

use crate::manifest::{Fields, Node, UnknownKeys, Value};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity, Span};
use std::ops::RangeInclusive;

/// What fits the API's int32.
const INT32: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// `HorizontalPodAutoscalerBehavior`. Non-null but empty (`behavior: {}`) is meaningful.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Where the block starts.
    pub span: Span,
    /// `scaleUp`.
    pub scale_up: Option<ScalingRules>,
    /// `scaleDown`.
    pub scale_down: Option<ScalingRules>,
}

/// `HPAScalingRules`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// Where the block starts.
    pub span: Span,
    /// `stabilizationWindowSeconds`.
    pub stabilization_window_seconds: Option<Located<i64>>,
    /// `selectPolicy`.
    pub select_policy: Option<Located<String>>,
    /// `policies`; `Some(vec![])` is an explicit empty list.
    pub policies: Option<Vec<ScalingPolicy>>,
    /// `tolerance`.
    pub tolerance: Option<Located<Quantity>>,
}

/// `HPAScalingPolicy`: all three are required.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingPolicy {
    /// `type`: Pods or Percent.
    pub kind: Located<String>,
    /// `value`.
    pub value: Located<i64>,
    /// `periodSeconds`.
    pub period_seconds: Located<i64>,
}

impl Behavior {
    /// Reads the block at `node`, which stands at `path`. Ranges are not checked here: the API server checks them when
    /// the HorizontalPodAutoscaler is written, not earlier. Entries that are unusable are left out, with an error.
    pub fn read(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, path, diagnostics)?;
        let mut rules = |key| {
            let node = fields.node(key)?;
            ScalingRules::read(node, &fields.path_of(key), diagnostics)
        };
        let (scale_up, scale_down) = (rules("scaleUp"), rules("scaleDown"));
        let span = fields.span.clone();
        fields.finish(UnknownKeys::Warn, diagnostics);
        Some(Behavior { span, scale_up, scale_down })
    }
}

impl ScalingRules {
    fn read(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, path, diagnostics)?;
        let stabilization_window_seconds = fields.integer("stabilizationWindowSeconds", INT32, diagnostics);
        let select_policy = fields.string("selectPolicy", diagnostics);
        let tolerance = quantity(&mut fields, "tolerance", "0.05", diagnostics);
        let policies = fields.list("policies", diagnostics).map(|items| {
            items.into_iter().filter_map(|(path, item)| ScalingPolicy::read(item, &path, diagnostics)).collect()
        });
        let span = fields.span.clone();
        fields.finish(UnknownKeys::Warn, diagnostics);
        Some(ScalingRules { span, stabilization_window_seconds, select_policy, policies, tolerance })
    }
}

impl ScalingPolicy {
    fn read(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, path, diagnostics)?;
        let kind = fields.string("type", diagnostics);
        let kind = fields.required("type", kind, diagnostics);
        let value = fields.integer("value", INT32, diagnostics);
        let value = fields.required("value", value, diagnostics);
        let period_seconds = fields.integer("periodSeconds", INT32, diagnostics);
        let period_seconds = fields.required("periodSeconds", period_seconds, diagnostics);
        fields.finish(UnknownKeys::Warn, diagnostics);
        Some(ScalingPolicy { kind: kind?, value: value?, period_seconds: period_seconds? })
    }
}

/// A quantity such as `example`, which may be written as a number or as a string.
pub(super) fn quantity(
    fields: &mut Fields<'_>,
    key: &'static str,
    example: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<Quantity>> {
    let node = fields.node(key)?;
    let text = match &node.value {
        Value::Str(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        _ => Err(format!("found {}, expected a quantity such as {example}", node.describe())),
    };
    match text.and_then(|text| Quantity::parse(&text).map_err(|error| error.to_string())) {
        Ok(quantity) => Some(Located::new(quantity, node.span.clone())),
        Err(message) => {
            diagnostics.push(Diagnostic::error(node.span.clone(), fields.path_of(key), message));
            None
        }
    }
}

//! `behavior`: API defaulting and validation.
//!
//! Source: `GenerateHPAScaleUpRules`, `GenerateHPAScaleDownRules` (`pkg/apis/autoscaling/v2/defaults.go`),
//! `validateScalingRules`, `validateScalingPolicy` (`pkg/apis/autoscaling/validation/validation.go`).

use crate::hpa::api_errors::{Field, invalid, not_supported, required};
use crate::hpa::{ControllerFlags, Policy, PolicyKind, ScalingRules, SelectPolicy};
use crate::manifest::{self, Behavior};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, Quantity, SimDuration};

const WINDOW_SECONDS_MAX: i64 = 3600;
const PERIOD_SECONDS_MAX: i64 = 1800;

pub(super) fn default_scale_up() -> ScalingRules {
    let period = SimDuration::from_secs(15);
    ScalingRules {
        stabilization_window: SimDuration::ZERO,
        select_policy: SelectPolicy::Max,
        policies: vec![
            Policy { kind: PolicyKind::Pods, value: 4, period },
            Policy { kind: PolicyKind::Percent, value: 100, period },
        ],
        tolerance: None,
    }
}

fn default_scale_down(flags: &ControllerFlags) -> ScalingRules {
    ScalingRules {
        // HPA-DEF-2: an absent window is the controller's flag, not a constant.
        stabilization_window: flags.downscale_stabilization,
        select_policy: SelectPolicy::Max,
        policies: vec![Policy { kind: PolicyKind::Percent, value: 100, period: SimDuration::from_secs(15) }],
        tolerance: None,
    }
}

/// Both directions, (scaleUp, scaleDown), of the block at `path`.
///
/// HPA-DEF-1: defaulting fires only for a non-null behavior, even an empty one, and then fills both directions.
pub(super) fn resolve_behavior(
    written: &Behavior,
    path: &str,
    flags: &ControllerFlags,
    diagnostics: &mut Diagnostics,
) -> (ScalingRules, ScalingRules) {
    let mut direction = |written: Option<&manifest::ScalingRules>, defaults, key| {
        rules(written, defaults, &format!("{path}.{key}"), flags, diagnostics)
    };
    let up = direction(written.scale_up.as_ref(), default_scale_up(), "scaleUp");
    let down = direction(written.scale_down.as_ref(), default_scale_down(flags), "scaleDown");
    (up, down)
}

/// One direction: a given field replaces the default, an absent one keeps it; `policies` replaces the whole list.
fn rules(
    written: Option<&manifest::ScalingRules>,
    defaults: ScalingRules,
    path: &str,
    flags: &ControllerFlags,
    diagnostics: &mut Diagnostics,
) -> ScalingRules {
    let Some(written) = written else { return defaults };
    let mut rules = defaults;
    if let Some(window) = &written.stabilization_window_seconds {
        let place = format!("{path}.stabilizationWindowSeconds");
        if let Some(seconds) = within(window, (0, WINDOW_SECONDS_MAX), &place, diagnostics) {
            rules.stabilization_window = SimDuration::from_secs(seconds.unsigned_abs().into());
        }
    }
    if let Some(select) = &written.select_policy {
        match select.value.as_str() {
            "Max" => rules.select_policy = SelectPolicy::Max,
            "Min" => rules.select_policy = SelectPolicy::Min,
            "Disabled" => rules.select_policy = SelectPolicy::Disabled,
            found => {
                let place = format!("{path}.selectPolicy");
                let wrong = not_supported(Field::at(&place, &select.span), found, &["Disabled", "Max", "Min"]);
                diagnostics.push(wrong);
            }
        }
    }
    if let Some(written_policies) = &written.policies {
        if written_policies.is_empty() {
            let place = format!("{path}.policies");
            let wrong = required(Field::at(&place, &written.span), "must specify at least one Policy");
            diagnostics.push(wrong.help("the list is empty: remove the key to keep the default policies"));
        }
        let each = written_policies.iter().enumerate();
        rules.policies =
            each.filter_map(|(i, one)| policy(one, &format!("{path}.policies[{i}]"), diagnostics)).collect();
    }
    rules.tolerance = written.tolerance.as_ref().and_then(|found| tolerance(found, path, flags, diagnostics));
    rules
}

fn policy(written: &manifest::ScalingPolicy, path: &str, diagnostics: &mut Diagnostics) -> Option<Policy> {
    let kind = match written.kind.value.as_str() {
        "Pods" => Some(PolicyKind::Pods),
        "Percent" => Some(PolicyKind::Percent),
        found => {
            let place = format!("{path}.type");
            diagnostics.push(not_supported(Field::at(&place, &written.kind.span), found, &["Percent", "Pods"]));
            None
        }
    };
    let value = within(&written.value, (1, i64::from(i32::MAX)), &format!("{path}.value"), diagnostics);
    let place = format!("{path}.periodSeconds");
    let seconds = within(&written.period_seconds, (1, PERIOD_SECONDS_MAX), &place, diagnostics);
    let period = SimDuration::from_secs(seconds?.unsigned_abs().into());
    Some(Policy { kind: kind?, value: value?, period })
}

/// HPA-TOL-3: what an API server without the gate drops cannot be wrong, only missed.
fn tolerance(
    written: &Located<Quantity>,
    path: &str,
    flags: &ControllerFlags,
    diagnostics: &mut Diagnostics,
) -> Option<Quantity> {
    let place = format!("{path}.tolerance");
    if !flags.configurable_tolerance {
        let message = format!("found {}, which this Kubernetes version drops", written.value);
        let warning = Diagnostic::warning(written.span.clone(), place, message).by(Judge::ApiServer);
        diagnostics.push(warning.help("it needs Kubernetes 1.35, or 1.33 with the gate HPAConfigurableTolerance"));
        return None;
    }
    if written.value.as_approximate_f64() < 0.0 {
        let shown = format!("\"{}\"", written.value);
        diagnostics.push(invalid(Field::at(&place, &written.span), shown, "must be greater than or equal to 0"));
        return None;
    }
    Some(written.value)
}

/// `found` when it lies in `min..=max`.
fn within(found: &Located<i64>, (min, max): (i64, i64), path: &str, diagnostics: &mut Diagnostics) -> Option<i32> {
    let detail = if found.value < min {
        format!("must be greater than {}zero", if min == 0 { "or equal to " } else { "" })
    } else if found.value > max {
        format!("must be less than or equal to {max}")
    } else {
        return i32::try_from(found.value).ok();
    };
    diagnostics.push(invalid(Field::at(path, &found.span), found.value, detail));
    None
}

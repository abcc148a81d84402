//! Defaulting and validation of the HPA's spec.

use super::*;
use crate::hpa::behavior::default_scale_up;
use crate::manifest::{ScalingPolicy, ScalingRules as WrittenRules};
use crate::units::{Located, Severity, Span};

fn span(line: u32) -> Span {
    Span::new("so.yaml", line, 7)
}

fn at<T>(value: T, line: u32) -> Located<T> {
    Located::new(value, span(line))
}

fn no_rules() -> WrittenRules {
    WrittenRules {
        span: span(1),
        stabilization_window_seconds: None,
        select_policy: None,
        policies: None,
        tolerance: None,
    }
}

fn behavior(scale_up: Option<WrittenRules>, scale_down: Option<WrittenRules>) -> Behavior {
    Behavior { span: span(1), scale_up, scale_down }
}

fn one_metric() -> Vec<MetricSpec> {
    vec![MetricSpec::new("s0-prometheus", MetricTarget::ExternalAverageValue(5000))]
}

fn resolve(behavior: Option<&Behavior>, version: KubernetesVersion) -> Result<(HpaSpec, Diagnostics), Diagnostics> {
    HpaSpec::resolve(1, 10, one_metric(), behavior, "spec.behavior", &ControllerFlags::defaults(version))
}

fn resolved(written: &Behavior) -> (ScalingRules, ScalingRules) {
    let (spec, diagnostics) = resolve(Some(written), KubernetesVersion::V1_36).expect("a valid behavior");
    assert!(diagnostics.0.is_empty(), "{diagnostics}");
    spec.behavior.expect("a behavior that is given stays")
}

#[test]
fn no_behavior_and_an_empty_one_differ() {
    let (spec, _) = resolve(None, KubernetesVersion::V1_36).expect("valid");
    assert_eq!(spec.behavior, None, "absent stays absent: the algorithm without behavior");
    let (up, down) = resolved(&behavior(None, None));
    assert_eq!(up, default_scale_up(), "an empty behavior fills scaleUp");
    assert_eq!(down.stabilization_window, SimDuration::from_secs(300), "scaleDown's window is the flag's");
    assert_eq!(down.policies.len(), 1, "scaleDown has one default policy");
    assert_eq!((down.policies[0].kind, down.policies[0].value), (PolicyKind::Percent, 100));
}

#[test]
fn an_absent_scale_down_window_is_the_controllers_flag() {
    let mut flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    flags.downscale_stabilization = SimDuration::from_secs(45);
    let written = behavior(Some(no_rules()), Some(no_rules()));
    let (spec, _) = HpaSpec::resolve(1, 10, one_metric(), Some(&written), "", &flags).expect("valid");
    let windows = spec.behavior.map(|(up, down)| (up.stabilization_window, down.stabilization_window));
    assert_eq!(windows, Some((SimDuration::ZERO, SimDuration::from_secs(45))), "HPA-DEF-2; scaleUp's is a constant");
}

#[test]
fn a_given_field_replaces_only_itself() {
    let policy = ScalingPolicy { kind: at("Pods".to_owned(), 4), value: at(2, 5), period_seconds: at(60, 6) };
    let up = WrittenRules { policies: Some(vec![policy]), select_policy: Some(at("Min".to_owned(), 7)), ..no_rules() };
    let down = WrittenRules { stabilization_window_seconds: Some(at(60, 9)), ..no_rules() };
    let (up, down) = resolved(&behavior(Some(up), Some(down)));
    let given = Policy { kind: PolicyKind::Pods, value: 2, period: SimDuration::from_secs(60) };
    assert_eq!(up.policies, [given], "given policies replace the whole default list");
    assert_eq!(up.select_policy, SelectPolicy::Min);
    assert_eq!(up.stabilization_window, SimDuration::ZERO, "the absent window keeps its default");
    assert_eq!(down.stabilization_window, SimDuration::from_secs(60));
    assert_eq!(down.policies[0].value, 100, "the absent policies keep their default");
}

#[test]
fn every_broken_rule_is_reported_where_it_stands() {
    let policy = ScalingPolicy { kind: at("pods".to_owned(), 14), value: at(0, 15), period_seconds: at(1801, 16) };
    let up = WrittenRules {
        stabilization_window_seconds: Some(at(3601, 12)),
        select_policy: Some(at("max".to_owned(), 13)),
        policies: Some(vec![policy]),
        tolerance: Some(at(Quantity::parse("-0.1").expect("a quantity"), 17)),
        ..no_rules()
    };
    let down = WrittenRules { policies: Some(Vec::new()), ..no_rules() };
    let written = behavior(Some(up), Some(down));
    let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    let metrics = vec![MetricSpec::new("m", MetricTarget::ExternalValue(0))];
    let broken = HpaSpec::resolve(0, -1, metrics, Some(&written), "spec.behavior", &flags).expect_err("invalid");
    let found: Vec<(&str, Option<u32>)> =
        broken.0.iter().map(|one| (one.path.as_str(), one.span.as_ref().map(|span| span.line))).collect();
    let expected = [
        ("minReplicas", None),
        ("maxReplicas", None),
        ("maxReplicas", None),
        ("metrics[0]", None),
        ("spec.behavior.scaleUp.stabilizationWindowSeconds", Some(12)),
        ("spec.behavior.scaleUp.selectPolicy", Some(13)),
        ("spec.behavior.scaleUp.policies[0].type", Some(14)),
        ("spec.behavior.scaleUp.policies[0].value", Some(15)),
        ("spec.behavior.scaleUp.policies[0].periodSeconds", Some(16)),
        ("spec.behavior.scaleUp.tolerance", Some(17)),
        ("spec.behavior.scaleDown.policies", Some(1)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn limits_are_inclusive() {
    let with_window = |seconds| {
        behavior(Some(WrittenRules { stabilization_window_seconds: Some(at(seconds, 1)), ..no_rules() }), None)
    };
    let with_policy = |value, period| {
        let policy =
            ScalingPolicy { kind: at("Pods".to_owned(), 1), value: at(value, 1), period_seconds: at(period, 1) };
        behavior(Some(WrittenRules { policies: Some(vec![policy]), ..no_rules() }), None)
    };
    let table = [
        (with_window(0), true, "a window of 0"),
        (with_window(3600), true, "the longest window"),
        (with_window(3601), false, "one second more"),
        (with_window(-1), false, "a negative window"),
        (with_policy(1, 1), true, "the smallest policy"),
        (with_policy(i64::from(i32::MAX), 1800), true, "the largest policy"),
        (with_policy(i64::from(i32::MAX) + 1, 15), false, "a value beyond int32"),
        (with_policy(1, 0), false, "a period of 0"),
        (with_policy(1, 1801), false, "a period beyond 30 minutes"),
    ];
    for (written, valid, why) in table {
        assert_eq!(resolve(Some(&written), KubernetesVersion::V1_36).is_ok(), valid, "{why}");
    }
}

#[test]
fn an_empty_policy_list_is_absent_only_through_keda() {
    let written = behavior(Some(WrittenRules { policies: Some(Vec::new()), ..no_rules() }), None);
    let broken = resolve(Some(&written), KubernetesVersion::V1_36).expect_err("a hand-written HPA is refused");
    assert_eq!(broken.0[0].path, "spec.behavior.scaleUp.policies");
    let (up, _) = resolved(&without_empty_policies(&written));
    assert_eq!(up.policies, default_scale_up().policies, "omitempty drops the list, so the defaults apply");
}

#[test]
fn a_tolerance_that_the_version_drops_is_a_warning() {
    let tolerance = Quantity::parse("0.01").expect("a quantity");
    let written = behavior(Some(WrittenRules { tolerance: Some(at(tolerance, 3)), ..no_rules() }), None);
    let (spec, diagnostics) = resolve(Some(&written), KubernetesVersion::V1_34).expect("valid");
    assert_eq!(spec.behavior.map(|(up, _)| up.tolerance), Some(None), "dropped");
    assert_eq!(diagnostics.0.len(), 1);
    assert_eq!(diagnostics.0[0].severity, Severity::Warning);
    let (up, _) = resolved(&written);
    assert_eq!(up.tolerance, Some(tolerance), "1.35 and later keep it");
}

#[test]
fn min_replicas_0_needs_the_gate_and_an_external_metric() {
    let mut flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    let cpu = || vec![MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 80))];
    assert!(HpaSpec::resolve(0, 5, one_metric(), None, "", &flags).is_err(), "gate off");
    flags.scale_to_zero = true;
    assert!(HpaSpec::resolve(0, 5, one_metric(), None, "", &flags).is_ok(), "gate on");
    assert!(HpaSpec::resolve(0, 5, cpu(), None, "", &flags).is_err(), "cpu cannot be seen at 0 pods");
    assert!(HpaSpec::resolve(5, 5, cpu(), None, "", &flags).is_ok(), "min may equal max");
    assert!(HpaSpec::resolve(6, 5, cpu(), None, "", &flags).is_err(), "min above max");
}

#[test]
fn no_metrics_means_80_percent_cpu() {
    let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    let (spec, notes) = HpaSpec::resolve(1, 5, Vec::new(), None, "", &flags).expect("valid");
    assert_eq!(spec.metrics[0].target, MetricTarget::ResourceUtilization(Resource::Cpu, 80));
    assert_eq!(notes.0[0].severity, Severity::Note);
}

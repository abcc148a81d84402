//! Order of operations and what a sync leaves behind: the misreadings of hpa.md section 13 that concern whole syncs
//! (4, 11, 12, 15, 19), and what binds a result.

use super::*;
use crate::hpa::{MetricObservation, MetricSpec, MetricTarget, Policy, PolicyKind, ScalingRules, SelectPolicy};
use crate::units::{SimDuration, SimTime};

fn rules(window: u64, select_policy: SelectPolicy, pods: i32, period: u64) -> ScalingRules {
    ScalingRules {
        stabilization_window: SimDuration::from_secs(window),
        select_policy,
        policies: vec![Policy { kind: PolicyKind::Pods, value: pods, period: SimDuration::from_secs(period) }],
        tolerance: None,
    }
}

fn spec(metrics: usize, behavior: Option<(ScalingRules, ScalingRules)>) -> HpaSpec {
    let metric = |index| MetricSpec::new(format!("s{index}"), MetricTarget::ExternalAverageValue(100_000));
    HpaSpec {
        namespace: "default".to_owned(),
        min_replicas: 1,
        max_replicas: 20,
        metrics: (0..metrics).map(metric).collect(),
        behavior,
    }
}

fn flags() -> ControllerFlags {
    ControllerFlags::defaults(KubernetesVersion::V1_36)
}

/// One sync at `seconds` with status equal to spec; a metric of `None` fails. In targets, so 3 asks for 3 replicas.
fn sync(spec: &HpaSpec, state: &HpaState, seconds: u64, replicas: i32, targets: &[Option<i64>]) -> Decision {
    let metric = |value: &Option<i64>| match value {
        Some(targets) => MetricObservation::Series(vec![targets * 100_000]),
        None => MetricObservation::Failed("down".to_owned()),
    };
    let observation = Observation {
        now: SimTime::from_secs(seconds),
        spec_replicas: replicas,
        status_replicas: replicas,
        ready_pods: replicas,
        pods_exist: replicas > 0,
        metrics: targets.iter().map(metric).collect(),
        pods: Vec::new(),
    };
    reconcile(&flags(), spec, state, &observation)
}

/// What the first sync of an HPA decides.
fn first(spec: &HpaSpec, replicas: i32, targets: &[Option<i64>]) -> Decision {
    sync(spec, &HpaState::default(), 100, replicas, targets)
}

fn free() -> Option<(ScalingRules, ScalingRules)> {
    let rules = rules(0, SelectPolicy::Max, 100, 15);
    Some((rules.clone(), rules))
}

#[test]
fn the_first_count_found_is_a_recommendation() {
    let spec = spec(1, None);
    let decision = first(&spec, 8, &[Some(1)]);
    assert_eq!(
        (decision.metric_desired, decision.new_replicas),
        (Some(1), 8),
        "misreading 4: not below the first count"
    );
    assert_eq!(decision.bound_by, BoundBy::ScaleDownWindow);
    let failed = first(&spec, 8, &[None]);
    let later = sync(&spec, &failed.next, 400, 8, &[Some(1)]);
    assert_eq!(later.new_replicas, 8, "300 s after the first sync still counts, even though its metrics failed");
    assert_eq!(sync(&spec, &failed.next, 401, 8, &[Some(1)]).new_replicas, 1);
}

#[test]
fn a_failed_metric_only_vetoes_scale_down() {
    let spec = spec(2, free());
    let table = [
        ([None, Some(9)], 5, 9, "up goes on"),
        ([None, Some(5)], 5, 5, "so does staying"),
        ([None, Some(4)], 5, 5, "misreading 12: down does not"),
        ([None, None], 5, 5, "all failed"),
    ];
    for (targets, replicas, expected, why) in table {
        let decision = first(&spec, replicas, &targets);
        assert_eq!(decision.new_replicas, expected, "{why}");
        assert!(decision.error, "the reconcile says so in any case: {why}");
    }
    let equal = first(&spec, 5, &[None, Some(5)]);
    assert_eq!(equal.metric_desired, Some(5), "equal is no scale-down, hence no veto");
    assert_eq!(equal.scaling_active, Some(ScalingActive::ValidMetricFound));
    let down = first(&spec, 5, &[None, Some(4)]);
    assert_eq!(down.scaling_active, Some(ScalingActive::FailedGetExternalMetric));
    assert_eq!((down.metric_desired, down.stabilized, down.bound_by), (None, None, BoundBy::NoMetrics));
    assert_eq!(down.next.recommendations.len(), 1, "misreading 12: no trace in the windows but the first count");
    assert_eq!(down.status_desired, 0, "status.desiredReplicas has never been written");
}

#[test]
fn jumps_ignore_metrics_windows_and_policies() {
    let frozen = rules(3600, SelectPolicy::Disabled, 1, 1800);
    let spec = spec(1, Some((frozen.clone(), frozen)));
    let above = first(&spec, 30, &[None]);
    assert_eq!((above.new_replicas, above.reason), (20, Some(RescaleReason::AboveMaxReplicas)), "misreading 19");
    assert_eq!((above.bound_by, above.error), (BoundBy::MaxReplicas, false));
    assert_eq!((above.window, above.limit), (None, Some(LimitReason::MaxReplicas(20))), "and its reason is the bound");
    assert_eq!(above.next.scale_down_events[0].change, 10, "misreading 11: the jump is an event (HPA-EVT-2)");
    assert_eq!((above.scaling_active, above.scaling_limited), (None, None), "conditions that were not reached stay");
    let mut low = spec;
    low.min_replicas = 3;
    let below = first(&low, 1, &[Some(9)]);
    assert_eq!((below.new_replicas, below.reason), (3, Some(RescaleReason::BelowMinReplicas)));
    assert_eq!(below.metrics[0], MetricDecision::not_looked_at());
    assert_eq!((below.bound_by, below.limit), (BoundBy::MinReplicas, Some(LimitReason::MinReplicas(3))));
}

#[test]
fn a_target_at_zero_is_left_alone() {
    let decision = first(&spec(1, None), 0, &[Some(9)]);
    assert_eq!((decision.new_replicas, decision.rescaled), (0, false));
    assert_eq!(decision.scaling_active, Some(ScalingActive::ScalingDisabled));
    assert_eq!(decision.able_to_scale, AbleToScale::SucceededGetScale);
    assert_eq!(decision.next.recommendations[0].replicas, 0, "the first count is noted even at 0 (HPA-REC-1)");
}

#[test]
fn scale_from_zero_needs_the_condition_of_1_36() {
    let mut flags = flags();
    flags.scale_to_zero = true;
    let mut spec = spec(1, free());
    spec.min_replicas = 0;
    let observe = |seconds, replicas, targets: i64| Observation {
        now: SimTime::from_secs(seconds),
        spec_replicas: replicas,
        status_replicas: replicas,
        ready_pods: replicas,
        pods_exist: replicas > 0,
        metrics: vec![MetricObservation::Series(vec![targets * 100_000])],
        pods: Vec::new(),
    };
    let by_hand = reconcile(&flags, &spec, &HpaState::default(), &observe(15, 0, 3));
    assert_eq!(by_hand.new_replicas, 0, "scaled to 0 by hand stays off (HPA-ZERO-1)");
    let to_zero = reconcile(&flags, &spec, &HpaState::default(), &observe(15, 2, 0));
    assert_eq!((to_zero.new_replicas, to_zero.next.scaled_to_zero), (0, Some(true)));
    let back = reconcile(&flags, &spec, &to_zero.next, &observe(30, 0, 3));
    assert_eq!((back.new_replicas, back.next.scaled_to_zero), (3, Some(false)));
    flags.version = KubernetesVersion::V1_35;
    let older = reconcile(&flags, &spec, &HpaState::default(), &observe(15, 0, 3));
    assert_eq!(older.new_replicas, 3, "until 1.35 minReplicas 0 was enough (HPA-ZERO-2)");
}

#[test]
fn windows_come_before_policies_and_the_raw_value_is_remembered() {
    let up = rules(60, SelectPolicy::Max, 2, 15);
    let spec = spec(1, Some((up, rules(0, SelectPolicy::Max, 100, 15))));
    let one = sync(&spec, &HpaState::default(), 100, 10, &[Some(16)]);
    assert_eq!((one.stabilized, one.new_replicas), (Some(10), 10), "the first count holds for the window");
    let two = sync(&spec, &one.next, 161, 10, &[Some(18)]);
    assert_eq!((two.stabilized, two.new_replicas), (Some(18), 12), "windows first: 18, then the policy: 12");
    assert_eq!(two.bound_by, BoundBy::ScaleUpPolicy);
    let three = sync(&spec, &two.next, 176, 12, &[Some(19)]);
    assert_eq!(three.stabilized, Some(18), "the raw 18 was remembered, not the 12 it came to");
    assert_eq!(three.status_desired, 14, "misreading 15: status shows the spec after the sync");
}

#[test]
fn the_last_mover_is_named() {
    let windows = |up, down| Some((rules(up, SelectPolicy::Max, 4, 15), rules(down, SelectPolicy::Max, 4, 15)));
    let mut narrow = spec(1, windows(0, 0));
    (narrow.min_replicas, narrow.max_replicas) = (9, 11);
    let wide = |behavior| spec(1, behavior);
    let table = [
        (wide(windows(0, 0)), 10, 12, BoundBy::Nothing, "goes through"),
        (wide(windows(0, 0)), 10, 10, BoundBy::Nothing, "at rest"),
        (wide(windows(60, 0)), 10, 12, BoundBy::ScaleUpWindow, "held by the scale-up window"),
        (wide(windows(0, 60)), 10, 8, BoundBy::ScaleDownWindow, "held by the scale-down window"),
        (wide(windows(0, 0)), 10, 18, BoundBy::ScaleUpPolicy, "cut by Pods 4"),
        (wide(windows(0, 0)), 10, 2, BoundBy::ScaleDownPolicy, "cut by Pods 4"),
        (narrow.clone(), 10, 18, BoundBy::MaxReplicas, "cut by max"),
        (narrow, 10, 2, BoundBy::MinReplicas, "cut by min"),
        (wide(None), 10, 8, BoundBy::ScaleDownWindow, "the window without behavior"),
        (wide(None), 4, 18, BoundBy::ScaleUpPolicy, "the built-in limit counts as a policy"),
    ];
    for (spec, replicas, targets, bound_by, why) in table {
        assert_eq!(first(&spec, replicas, &[Some(targets)]).bound_by, bound_by, "{why}");
    }
}

#[test]
fn reasons_come_from_the_raw_proposal() {
    let spec = spec(2, None);
    let tie = first(&spec, 2, &[Some(4), Some(4)]);
    assert_eq!(tie.reason, Some(RescaleReason::MetricAboveTarget(0)), "the first of equals is named");
    let spike = first(&spec, 2, &[Some(1), Some(10)]);
    assert_eq!((spike.new_replicas, spike.reason), (4, Some(RescaleReason::MetricAboveTarget(1))));
    let after = sync(&spec, &spike.next, 115, 4, &[Some(1), Some(3)]);
    assert_eq!((after.new_replicas, after.reason), (8, Some(RescaleReason::AllMetricsBelowTarget)), "up, yet below");
    let equal = sync(&spec, &spike.next, 115, 4, &[Some(1), Some(4)]);
    assert_eq!((equal.new_replicas, equal.reason), (8, Some(RescaleReason::Empty)), "the proposal is the count");
}

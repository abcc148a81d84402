use super::*;
use crate::hpa::{Policy, Recommendation};
use crate::units::SimTime;

const BAND: (f64, f64) = (0.9, 1.1);

fn metric(
    milli: i64,
    target_milli: i64,
    target_type: &str,
    ratio: f64,
    within: Option<bool>,
    proposal: i32,
) -> MetricRecord {
    MetricRecord {
        trigger: "s0-prometheus".into(),
        query: "q".into(),
        query_time: SimTime::from_secs(300),
        value: Some(milli as f64 / 1000.0),
        milli: Some(milli),
        target_milli,
        target_type: target_type.into(),
        proposal: Some(proposal),
        ratio: Some(ratio),
        within_tolerance: within,
        kind: "prometheus".into(),
        active: Some(true),
        fallback: false,
        cached: false,
        null_as_zero: false,
        error: None,
    }
}

/// A sync of a target with `replicas`, all ready, that ends at `new`.
fn sync(metrics: Vec<MetricRecord>, replicas: i32, new: i32) -> HpaSync {
    let desired = metrics.iter().filter_map(|metric| metric.proposal).max();
    HpaSync {
        t: SimTime::from_millis(312_300),
        spec_replicas: replicas,
        status_replicas: replicas,
        ready_replicas: replicas,
        metrics,
        metric_desired: desired,
        stabilized: desired,
        new_replicas: new,
        rescaled: replicas != new,
        able_to_scale: "ReadyForNewScale",
        scaling_active: Some("ValidMetricFound"),
        scaling_limited: Some("DesiredWithinRange"),
        reason: None,
        recommendations: Vec::new().into(),
        bound_by: "none",
        window: None,
        limit: None,
        status_conditions: [].into(),
    }
}

#[test]
fn a_metric_says_how_it_came_to_its_proposal() {
    let average = |milli, ratio, within, proposal| metric(milli, 5_000, "AverageValue", ratio, Some(within), proposal);
    let value = |milli, ratio, within, proposal| metric(milli, 800, "Value", ratio, within, proposal);
    let utilization = |ratio, within, proposal| {
        let cpu = metric(83_000, 80_000, "Utilization", ratio, Some(within), proposal);
        MetricRecord { kind: "cpu".into(), ..cpu }
    };
    let from_zero = sync(vec![value(2_000, 2.5, None, 3)], 0, 3);
    let mut lagging = sync(vec![average(16_580, 3.316, false, 4)], 2, 4);
    lagging.status_replicas = 1;
    let mut starting = sync(vec![value(1_620, 2.025, Some(false), 5)], 3, 5);
    starting.ready_replicas = 2;
    let table = [
        // External AverageValue: the count is in the tolerance test only.
        (
            sync(vec![average(16_580, 1.658, false, 4)], 2, 4),
            "16.58 / 5 = 3.32 -> 4 (ratio 1.66 against 2 replicas, outside 0.9..1.1)",
        ),
        (
            sync(vec![average(9_800, 0.98, true, 2)], 2, 2),
            "9.8 / 5 = 1.96, ratio 0.98 against 2 replicas, within 0.9..1.1: keeps them -> 2",
        ),
        (sync(vec![average(0, 0.0, false, 0)], 1, 1), "0 / 5 = 0 -> 0 (ratio 0 against 1 replica, outside 0.9..1.1)"),
        // What the test sees is status, not spec.
        (lagging, "16.58 / 5 = 3.32 -> 4 (ratio 3.32 against 1 replica, outside 0.9..1.1)"),
        // External Value: times ready pods.
        (starting, "1.62 / 0.8 = 2.02, outside 0.9..1.1; x 2 ready pods = 4.05 -> 5"),
        (
            sync(vec![value(810, 1.0125, Some(true), 3)], 3, 3),
            "0.81 / 0.8 = 1.01, within 0.9..1.1: keeps 3 replicas -> 3",
        ),
        (from_zero, "2 / 0.8 = 2.5 -> 3"),
        // Per pod.
        (
            sync(vec![utilization(1.0375, true, 3)], 3, 3),
            "83 % of the request against 80 %, ratio 1.04 over the pods, within 0.9..1.1: keeps the count -> 3",
        ),
        (
            sync(vec![utilization(1.5, false, 5)], 3, 5),
            "83 % of the request against 80 %, missing and unready pods filled in, ratio 1.5 over the pods, outside 0.9..1.1 -> 5",
        ),
        // From 1.34 on a negative sum is taken for an overflow.
        (
            sync(vec![average(-3_000, 9.2e17, false, i32::MAX)], 2, 8),
            "-3, which counts as the largest number as any negative sum does -> 2147483647",
        ),
    ];
    for (sync, text) in table {
        assert_eq!(metric_why(&sync.metrics[0], &sync, &BAND.into()), text);
    }
}

#[test]
fn a_metric_says_where_its_number_came_from() {
    let plain = metric(16_580, 5_000, "AverageValue", 1.658, Some(false), 4);
    let whole = sync(vec![plain.clone()], 2, 4);
    let why = |change: fn(&mut MetricRecord)| {
        let mut metric = plain.clone();
        change(&mut metric);
        metric_why(&metric, &whole, &BAND.into())
    };
    assert!(why(|metric| metric.fallback = true).starts_with("fallback for a failed answer: 16.58 / 5"));
    assert!(why(|metric| metric.cached = true).ends_with("outside 0.9..1.1); asked 12.3s ago"));
    assert!(why(|metric| metric.value = Some(f64::INFINITY)).starts_with("inf is told as 16.58 / 5"));
    assert_eq!(why(|metric| (metric.proposal, metric.error) = (None, Some("down".to_owned()))), "failed: down");
    assert_eq!(why(|metric| metric.proposal = None), "16.58, an input of the formula");
}

#[test]
fn a_sync_explains_itself_from_the_proposal_to_the_write() {
    let proposing = |proposal: i32, replicas: i32, new: i32| {
        let milli = i64::from(proposal) * 5_000;
        sync(vec![metric(milli, 5_000, "AverageValue", 2.0, Some(false), proposal)], replicas, new)
    };
    let plain = proposing(2, 1, 2);
    assert_eq!(explain_sync(&plain), "s0-prometheus proposes 2; 1 -> 2");

    let seconds = SimDuration::from_secs;
    let mut held = proposing(9, 1, 3);
    held.stabilized = Some(4);
    held.window = Some(WindowReason {
        direction: Direction::Up,
        window: seconds(30),
        recommendation: Recommendation { replicas: 4, at: SimTime::from_millis(297_080) },
        age: SimDuration::from_millis(15_220),
    });
    let policy = Policy { kind: PolicyKind::Pods, value: 1, period: seconds(60) };
    let by_policy = LimitReason::Policy { direction: Direction::Up, index: 0, policy, period_start: 2, limit: 3 };
    held.limit = Some(by_policy);
    assert_eq!(
        explain_sync(&held),
        "s0-prometheus proposes 9; scaleUp window 30s holds it at 4, the recommendation of 15.2s ago; scaleUp policy 0 \
         (1 Pods per 1m) allows at most 3, from 2 at the period's start; 1 -> 3"
    );
    assert_eq!(
        sync_in_short(&held, &held.metrics[0]),
        "s0-prometheus 45 / 5 = 9 -> 9; scaleUp window 30s holds 4, proposed 15.2s ago; scaleUp policy 0 (1 Pods per 1m) allows at \
         most 3, from 2 at the period's start"
    );

    // The current count lies between the proposal and the window's highest: it stays.
    let mut kept = proposing(1, 3, 3);
    kept.stabilized = Some(3);
    let recommendation = Recommendation { replicas: 5, at: SimTime::from_secs(100) };
    kept.window =
        Some(WindowReason { direction: Direction::Down, window: seconds(300), recommendation, age: seconds(212) });
    assert!(
        explain_sync(&kept)
            .contains("scaleDown window 5m keeps the current 3, for the recommendation of 5 of 3m32s ago")
    );
    assert!(explain_sync(&kept).ends_with("; stays at 3"));

    let limited = |limit| {
        let mut sync = proposing(9, 4, 4);
        sync.limit = Some(limit);
        let text = explain_sync(&sync);
        text.split("; ").nth(1).expect("a limit").to_owned()
    };
    assert_eq!(limited(LimitReason::MaxReplicas(4)), "maxReplicas 4");
    assert_eq!(limited(LimitReason::Disabled(Direction::Up)), "scaleUp is disabled (selectPolicy)");
    assert_eq!(limited(LimitReason::BuiltIn { limit: 8 }), "without behavior at most 8, twice the count or 4");
    assert!(limited(by_policy).ends_with("from 2 at the period's start, passed already"));
    let down = Policy { kind: PolicyKind::Percent, value: 50, period: seconds(90) };
    let down = LimitReason::Policy { direction: Direction::Down, index: 1, policy: down, period_start: 8, limit: 4 };
    assert_eq!(
        limited(down),
        "scaleDown policy 1 (50 Percent per 1m30s) allows at least 4, from 8 at the period's start"
    );
}

#[test]
fn a_sync_names_all_proposals_and_failures() {
    let named = |name: &str, proposal| MetricRecord {
        trigger: name.into(),
        ..metric(5_000, 5_000, "AverageValue", 1.0, Some(false), proposal)
    };
    let failed = MetricRecord { proposal: None, error: Some("timeout".to_owned()), ..named("s2", 0) };
    let all = sync(vec![named("s0", 1), named("s1", 4), failed.clone()], 2, 4);
    assert_eq!(explain_sync(&all), "s1 proposes 4 (s0 1, s2 failed); 2 -> 4");
    // A failed metric forbids scaling down.
    let mut vetoed = sync(vec![named("s0", 1), failed.clone()], 2, 2);
    vetoed.metric_desired = None;
    assert_eq!(
        explain_sync(&vetoed),
        "s2 failed: timeout; s0 proposes 1, and while a metric fails nothing scales down; stays at 2"
    );
    let dead = sync(vec![failed], 2, 2);
    assert_eq!(explain_sync(&dead), "s2 failed: timeout; stays at 2");
    assert_eq!(
        explain_sync(&sync(Vec::new(), 0, 0)),
        "scaling is disabled while the target has 0 replicas; stays at 0"
    );
    let jump = sync(Vec::new(), 5, 3);
    assert_eq!(explain_sync(&jump), "5 replicas found, above maxReplicas 3: metrics are not looked at; 5 -> 3");
}

#[test]
fn a_poll_says_who_was_active_and_what_it_did() {
    let poll = |active: Option<bool>, rule: &'static str, action: &'static str, from, to| KedaPoll {
        t: SimTime::from_secs(30),
        spec_replicas: from,
        metrics: vec![MetricRecord { active, ..metric(7_000, 5_000, "AverageValue", 1.0, None, 2) }],
        active: active == Some(true),
        error: false,
        rule,
        cooldown_end: None,
        action,
        new_replicas: to,
    };
    assert_eq!(
        explain_poll(&poll(Some(true), "A1", "activate", 0, 1)),
        "active: s0-prometheus 7: activates the target (A1); 0 -> 1"
    );
    assert_eq!(
        explain_poll(&poll(Some(false), "I3", "deactivate", 2, 0)),
        "no trigger is active: the cooldown is over (I3); 2 -> 0"
    );
    assert_eq!(
        explain_poll(&poll(Some(false), "I5", "none", 1, 1)),
        "no trigger is active: nothing to do (I5); stays at 1"
    );
    let mut failed = poll(None, "I2", "none", 1, 1);
    failed.metrics[0].error = Some("down".to_owned());
    assert_eq!(explain_poll(&failed), "failed: s0-prometheus: holds: there is no fallback (I2); stays at 1");
    // Of a formula's round only the formula counts.
    let mut formula = poll(Some(true), "I5", "none", 1, 1);
    formula.active = false;
    formula
        .metrics
        .insert(0, MetricRecord { kind: "composite".into(), active: Some(false), ..formula.metrics[0].clone() });
    assert!(explain_poll(&formula).starts_with("no trigger is active"));
}

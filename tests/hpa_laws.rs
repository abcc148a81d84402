//! Laws of the HPA over random specs, states and metrics.

use kedasim::hpa::{
    BoundBy, ControllerFlags, Decision, Direction, HpaSpec, HpaState, KubernetesVersion, LimitReason,
    MetricObservation, MetricSpec, MetricTarget, Observation, PodObservation, Policy, PolicyKind, Recommendation,
    Resource, ScaleEvent, ScalingActive, ScalingLimited, ScalingRules, SelectPolicy, reconcile,
};
use kedasim::units::{SimDuration, SimTime};
use proptest::prelude::*;

const NOW_SECONDS: u64 = 10_000;
const TARGET_MILLI: i64 = 100_000;
/// Of a request of 125 cores (or bytes) these are the same.
const TARGET_PERCENT: i32 = 80;
const REQUEST_MILLI: i64 = 125_000;

fn versions() -> impl Strategy<Value = KubernetesVersion> {
    use KubernetesVersion::{V1_32, V1_33, V1_34, V1_35, V1_36};
    prop::sample::select(vec![V1_32, V1_33, V1_34, V1_35, V1_36])
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    let kind = prop::sample::select(vec![PolicyKind::Pods, PolicyKind::Percent]);
    let one = (kind, 1..300i32, 1..1800u64).prop_map(|(kind, value, period)| Policy {
        kind,
        value,
        period: SimDuration::from_secs(period),
    });
    prop::collection::vec(one, 1..4)
}

fn rules() -> impl Strategy<Value = ScalingRules> {
    let select = prop::sample::select(vec![SelectPolicy::Max, SelectPolicy::Min, SelectPolicy::Disabled]);
    (0..600u64, select, policies()).prop_map(|(window, select_policy, policies)| ScalingRules {
        stabilization_window: SimDuration::from_secs(window),
        select_policy,
        policies,
        tolerance: None,
    })
}

fn specs() -> impl Strategy<Value = HpaSpec> {
    let target = prop::sample::select(vec![
        MetricTarget::ExternalAverageValue(TARGET_MILLI),
        MetricTarget::ExternalValue(TARGET_MILLI),
        MetricTarget::PodsAverageValue(TARGET_MILLI),
        MetricTarget::ResourceAverageValue(Resource::Memory, TARGET_MILLI),
        MetricTarget::ResourceUtilization(Resource::Memory, TARGET_PERCENT),
        MetricTarget::ResourceUtilization(Resource::Cpu, TARGET_PERCENT),
    ]);
    let metrics = prop::collection::vec(target, 1..4);
    (1..10i32, 0..40i32, metrics, prop::option::of((rules(), rules()))).prop_map(|(min, more, metrics, behavior)| {
        let metric = |(index, target)| MetricSpec::new(format!("s{index}"), target);
        let metrics = metrics.into_iter().enumerate().map(metric).collect();
        HpaSpec { namespace: "default".to_owned(), min_replicas: min, max_replicas: min + more, metrics, behavior }
    })
}

/// A state that some past may have left: recommendations and events of the last half hour.
fn states() -> impl Strategy<Value = HpaState> {
    let at = |age: u64| SimTime::from_secs(NOW_SECONDS - age);
    let recommendation = (0..60i32, 1..1800u64);
    let recommendation = recommendation.prop_map(move |(replicas, age)| Recommendation { replicas, at: at(age) });
    let event = (1..20i32, 1..1800u64);
    let event = event.prop_map(move |(change, age)| ScaleEvent { change, at: at(age), outdated: false });
    let events = prop::collection::vec(event, 0..4);
    (prop::collection::vec(recommendation, 0..6), events.clone(), events).prop_map(|(recommendations, up, down)| {
        HpaState { recommendations, scale_up_events: up, scale_down_events: down, ..HpaState::default() }
    })
}

/// A pod that has been ready for long, with these samples.
fn pod(samples: Vec<Option<i64>>) -> PodObservation {
    PodObservation {
        pending: false,
        ignored: false,
        ready: Some(true),
        start: Some(SimTime::from_secs(0)),
        ready_transition: Some(SimTime::from_secs(0)),
        requests_milli: vec![Some(REQUEST_MILLI); samples.len()],
        samples_milli: samples,
        sample_time: SimTime::from_secs(NOW_SECONDS),
        sample_window: SimDuration::from_secs(30),
    }
}

/// All pods ready and measured, each with its share of the load.
fn observe(now: SimTime, replicas: i32, spec: &HpaSpec, series: &[i64]) -> Observation {
    let metric = |(metric, milli): (&MetricSpec, &i64)| match metric.target.is_external() {
        true => MetricObservation::Series(vec![*milli]),
        false => MetricObservation::PerPod,
    };
    let has_pods = spec.metrics.iter().any(|metric| !metric.target.is_external());
    let share = pod(series.iter().map(|milli| Some(milli / i64::from(replicas.max(1)))).collect());
    let count = if has_pods { usize::try_from(replicas).unwrap_or(0) } else { 0 };
    Observation {
        now,
        spec_replicas: replicas,
        status_replicas: replicas,
        ready_pods: replicas,
        pods_exist: replicas > 0,
        metrics: spec.metrics.iter().zip(series).map(metric).collect(),
        pods: vec![share; count],
    }
}

fn sync(version: KubernetesVersion, spec: &HpaSpec, state: &HpaState, replicas: i32, series: &[i64]) -> Decision {
    let now = SimTime::from_secs(NOW_SECONDS);
    let series = &series[..spec.metrics.len()];
    reconcile(&ControllerFlags::defaults(version), spec, state, &observe(now, replicas, spec, series))
}

/// How long a fixed series takes to its first scale-down, with this scale-down window.
fn first_scale_down(window: u64, spec: &HpaSpec, start: i32, series: &[i64]) -> Option<usize> {
    let mut spec = spec.clone();
    if let Some((_, down)) = &mut spec.behavior {
        down.stabilization_window = SimDuration::from_secs(window);
    }
    let mut flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    flags.downscale_stabilization = SimDuration::from_secs(window);
    let (mut state, mut replicas) = (HpaState::default(), start);
    for (step, milli) in series.iter().enumerate() {
        let now = SimTime::from_millis(15_020 * (step as u64 + 1));
        let decision =
            reconcile(&flags, &spec, &state, &observe(now, replicas, &spec, &vec![*milli; spec.metrics.len()]));
        if decision.new_replicas < replicas {
            return Some(step);
        }
        (state, replicas) = (decision.next, decision.new_replicas);
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_result_lies_between_min_and_max(
        version in versions(), spec in specs(), state in states(),
        replicas in 1..80i32, series in prop::array::uniform3(0..10_000_000i64),
    ) {
        let decision = sync(version, &spec, &state, replicas, &series);
        prop_assert!(spec.min_replicas <= decision.new_replicas);
        prop_assert!(decision.new_replicas <= spec.max_replicas);
        prop_assert_eq!(decision.rescaled, decision.new_replicas != replicas);
        prop_assert_eq!(decision.reason.is_some(), decision.rescaled);
        prop_assert_eq!(decision.status_desired, decision.new_replicas);
        prop_assert_eq!(decision.next.last_scale_time.is_some(), decision.rescaled);
    }

    #[test]
    fn more_load_never_means_fewer_replicas(
        version in versions(), spec in specs(), state in states(), replicas in 1..60i32,
        series in prop::array::uniform3(0..10_000_000i64), more in prop::array::uniform3(0..2_000_000i64),
    ) {
        let low = sync(version, &spec, &state, replicas, &series);
        let raised = [series[0] + more[0], series[1] + more[1], series[2] + more[2]];
        let high = sync(version, &spec, &state, replicas, &raised);
        prop_assert!(low.metric_desired <= high.metric_desired);
        prop_assert!(low.new_replicas <= high.new_replicas);
    }

    #[test]
    fn the_binding_rule_is_none_exactly_for_the_raw_proposal(
        spec in specs(), state in states(), replicas in 1..60i32,
        series in prop::array::uniform3(0..10_000_000i64),
    ) {
        let decision = sync(KubernetesVersion::V1_36, &spec, &state, replicas, &series);
        if let Some(desired) = decision.metric_desired {
            prop_assert_eq!(decision.bound_by == BoundBy::Nothing, decision.new_replicas == desired);
        } else {
            prop_assert_ne!(decision.bound_by, BoundBy::Nothing);
        }
    }

    #[test]
    fn more_load_on_some_pods_never_means_fewer_replicas(
        metric in prop::sample::select(vec![
            MetricTarget::PodsAverageValue(TARGET_MILLI),
            MetricTarget::ResourceAverageValue(Resource::Memory, TARGET_MILLI),
            MetricTarget::ResourceUtilization(Resource::Memory, TARGET_PERCENT),
            MetricTarget::ResourceUtilization(Resource::Cpu, TARGET_PERCENT),
        ]),
        pods in prop::collection::vec((0..3u8, 0..400_000i64, 0..200_000i64), 1..12),
    ) {
        let spec = HpaSpec {
            namespace: "default".to_owned(),
            min_replicas: 1,
            max_replicas: 1000,
            metrics: vec![MetricSpec::new("m", metric)],
            behavior: None,
        };
        // Of three pods one has no sample and one is pending: what is assumed for them must not turn the order round.
        let all = |raised: bool| pods.iter().map(|(kind, milli, more)| {
            let milli = milli + if raised { *more } else { 0 };
            PodObservation { pending: *kind == 2, ..pod(vec![(*kind != 1).then_some(milli)]) }
        }).collect::<Vec<_>>();
        let replicas = i32::try_from(pods.len()).unwrap_or(0);
        let now = SimTime::from_secs(NOW_SECONDS);
        let decide = |raised| {
            let mut observation = observe(now, replicas, &spec, &[0]);
            observation.pods = all(raised);
            let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
            reconcile(&flags, &spec, &HpaState::default(), &observation)
        };
        let (low, high) = (decide(false), decide(true));
        prop_assert!(low.metric_desired <= high.metric_desired);
        prop_assert!(low.new_replicas <= high.new_replicas);
    }

    #[test]
    fn reasons_account_for_the_result(
        version in versions(), spec in specs(), state in states(), replicas in 1..60i32,
        series in prop::array::uniform3(0..10_000_000i64),
    ) {
        let decision = sync(version, &spec, &state, replicas, &series);
        let now = SimTime::from_secs(NOW_SECONDS);
        prop_assert_eq!(decision.window.is_some(), decision.stabilized != decision.metric_desired);
        if let Some(window) = decision.window {
            let first = Recommendation { replicas, at: now };
            prop_assert!(state.recommendations.contains(&window.recommendation) || window.recommendation == first);
            prop_assert_eq!(window.recommendation.at + window.age, now);
            prop_assert!(window.age <= window.window);
            let (desired, stabilized) = (decision.metric_desired.unwrap_or(0), decision.stabilized.unwrap_or(0));
            let held = match window.direction {
                Direction::Up => window.recommendation.replicas <= stabilized && stabilized < desired,
                Direction::Down => window.recommendation.replicas >= stabilized && stabilized > desired,
            };
            prop_assert!(held, "{window:?} {desired} {stabilized}");
            prop_assert!(stabilized == window.recommendation.replicas || stabilized == replicas);
        }
        let limited = decision.stabilized.is_some_and(|stabilized| stabilized != decision.new_replicas)
            || decision.metric_desired.is_none();
        prop_assert_eq!(decision.limit.is_some(), limited);
        let rules = |direction| spec.behavior.as_ref().map(|(up, down)| match direction {
            Direction::Up => up.clone(),
            Direction::Down => down.clone(),
        });
        match decision.limit {
            None => {}
            Some(LimitReason::MaxReplicas(max)) => prop_assert_eq!((max, max), (spec.max_replicas, decision.new_replicas)),
            Some(LimitReason::MinReplicas(min)) => prop_assert_eq!((min, min), (spec.min_replicas, decision.new_replicas)),
            Some(LimitReason::BuiltIn { limit }) => {
                prop_assert!(spec.behavior.is_none());
                prop_assert_eq!((limit, limit), (decision.new_replicas, (2 * replicas).max(4)));
            }
            Some(LimitReason::Disabled(direction)) => {
                prop_assert_eq!(rules(direction).map(|rules| rules.select_policy), Some(SelectPolicy::Disabled));
                prop_assert_eq!(decision.new_replicas, replicas);
            }
            Some(LimitReason::Policy { direction, index, policy, limit, .. }) => {
                prop_assert_eq!(rules(direction).map(|rules| rules.policies[index]), Some(policy));
                let (result, condition) = match direction {
                    Direction::Up => (limit.max(replicas), ScalingLimited::ScaleUpLimit),
                    Direction::Down => (limit.min(replicas), ScalingLimited::ScaleDownLimit),
                };
                prop_assert_eq!((decision.new_replicas, decision.scaling_limited), (result, Some(condition)));
            }
        }
        let words: Vec<&str> = decision.conditions.iter().map(|condition| condition.reason).collect();
        let able = Some(decision.able_to_scale.word());
        let (active, limited) = (decision.scaling_active, decision.scaling_limited);
        let expected = [able, active.map(ScalingActive::word), limited.map(ScalingLimited::word)];
        prop_assert_eq!(words, expected.into_iter().flatten().collect::<Vec<_>>());
    }

    #[test]
    fn at_rest_nothing_moves(spec in specs(), load in 0..6_000_000i64, start in 1..60i32) {
        let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
        let (mut state, mut replicas) = (HpaState::default(), start);
        let mut settled = None;
        // At rest: a sync whose own proposal was the count. Under the same load every later one must agree, however
        // old recommendations and events leave their windows (the longest is 1800 s).
        for step in 0..200u64 {
            let now = SimTime::from_millis(15_020 * (step + 1));
            let decision = reconcile(&flags, &spec, &state, &observe(now, replicas, &spec, &vec![load; spec.metrics.len()]));
            if let Some(settled) = settled {
                prop_assert_eq!(decision.new_replicas, settled, "moved at rest, step {}", step);
            } else if decision.metric_desired == Some(replicas) && !decision.rescaled {
                settled = Some(replicas);
            }
            (state, replicas) = (decision.next, decision.new_replicas);
        }
    }

    #[test]
    fn a_sync_that_changed_nothing_repeats_itself(
        spec in specs(), replicas in 1..60i32, load in prop::array::uniform3(850..1150i64),
    ) {
        let series = load.map(|permille| i64::from(replicas) * TARGET_MILLI / 1000 * permille);
        let first = sync(KubernetesVersion::V1_36, &spec, &HpaState::default(), replicas, &series);
        if !first.rescaled {
            let again = sync(KubernetesVersion::V1_36, &spec, &first.next, replicas, &series);
            let next = again.next.clone();
            prop_assert!(!again.rescaled);
            prop_assert_eq!(Decision { next: first.next.clone(), ..again }, first);
            prop_assert!(next.scale_up_events.is_empty() && next.scale_down_events.is_empty());
        }
    }

    #[test]
    fn a_longer_scale_down_window_never_scales_down_earlier(
        spec in specs(), behavior in (rules(), rules()), start in 1..60i32, window in 0..600u64, longer in 0..600u64,
        series in prop::collection::vec(0..3_000_000i64, 1..80),
    ) {
        let mut spec = spec;
        // Without behavior this is no law: see below.
        spec.behavior = Some(behavior);
        let start = start.clamp(spec.min_replicas, spec.max_replicas);
        let short = first_scale_down(window, &spec, start, &series);
        let long = first_scale_down(window + longer, &spec, start, &series);
        match (short, long) {
            (Some(short), Some(long)) => prop_assert!(short <= long, "{short} with {window} s, {long} with more"),
            (None, Some(long)) => prop_assert!(false, "only the longer window scaled down, at step {long}"),
            (_, None) => {}
        }
    }
}

/// Without behavior a longer window keeps a cut-off spike in mind and adds pods for it (HPA-NB-2), which it must later
/// take away again, where the short window has nothing to take away.
#[test]
fn without_behavior_a_longer_window_can_be_the_one_that_scales_down() {
    let metric = MetricSpec::new("s0", MetricTarget::ExternalAverageValue(TARGET_MILLI));
    let spec = HpaSpec {
        namespace: "default".to_owned(),
        min_replicas: 1,
        max_replicas: 20,
        metrics: vec![metric],
        behavior: None,
    };
    let mut series = vec![380_000; 20];
    series[0] = 20 * TARGET_MILLI;
    assert_eq!(first_scale_down(0, &spec, 2, &series), None, "2 -> 4, where 3.8 targets are within tolerance");
    assert_eq!(first_scale_down(60, &spec, 2, &series), Some(4), "2 -> 4 -> 8 -> 16 -> 4");
}

//! Upstream's sentences, word for word, and which sync keeps which condition.

use super::*;
use crate::hpa::{
    ControllerFlags, Decision, KubernetesVersion, MetricObservation, Observation, PodObservation, Resource, reconcile,
};
use crate::units::{SimDuration, SimTime, Span};

const KEDA_SELECTOR: &str = "&LabelSelector{MatchLabels:map[string]string{scaledobject.keda.sh/name: llm,},\
                             MatchExpressions:[]LabelSelectorRequirement{},}";

fn keda_metric() -> MetricSpec {
    MetricSpec::new("s0-prometheus", MetricTarget::ExternalAverageValue(100_000)).with_selector(KEDA_SELECTOR)
}

fn spec(metrics: Vec<MetricSpec>) -> HpaSpec {
    HpaSpec { namespace: "ns".to_owned(), min_replicas: 2, max_replicas: 20, metrics, behavior: None }
}

fn sync(spec: &HpaSpec, state: &HpaState, replicas: i32, metrics: Vec<MetricObservation>) -> Decision {
    let at = SimTime::from_secs(100 + 600 * u64::from(!state.recommendations.is_empty()));
    sync_pods(spec, state, (replicas, at), metrics, Vec::new())
}

fn sync_pods(
    spec: &HpaSpec,
    state: &HpaState,
    (replicas, now): (i32, SimTime),
    metrics: Vec<MetricObservation>,
    pods: Vec<PodObservation>,
) -> Decision {
    let observation = Observation {
        now,
        spec_replicas: replicas,
        status_replicas: replicas,
        ready_pods: replicas,
        pods_exist: replicas > 0,
        metrics,
        pods,
    };
    reconcile(&ControllerFlags::defaults(KubernetesVersion::V1_36), spec, state, &observation)
}

fn targets(count: i64) -> Vec<MetricObservation> {
    vec![MetricObservation::Series(vec![count * 100_000])]
}

fn failed() -> Vec<MetricObservation> {
    vec![MetricObservation::Failed("timeout".to_owned())]
}

/// `kind status reason: message`, one a condition.
fn lines(decision: &Decision) -> Vec<String> {
    let line = |one: &Condition| format!("{} {} {}: {}", one.kind, one.status, one.reason, one.message);
    decision.conditions.iter().map(line).collect()
}

#[test]
fn selectors_look_as_go_prints_them() {
    assert_eq!(selector_text(&[("scaledobject.keda.sh/name", "llm")], &[]), KEDA_SELECTOR);
    let expression = |operator: &str, values: &[&str]| Requirement {
        span: Span::new("t", 1, 1),
        key: "env".to_owned(),
        operator: operator.to_owned(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let both = selector_text(&[("b", "2"), ("a", "1")], &[expression("In", &["x", "y"]), expression("Exists", &[])]);
    let expected = "&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{\
                    LabelSelectorRequirement{Key:env,Operator:In,Values:[x y],},\
                    LabelSelectorRequirement{Key:env,Operator:Exists,Values:[],},},}";
    assert_eq!(both, expected, "labels in order of their keys");
}

#[test]
fn a_rescale_names_the_metric_in_upstreams_words() {
    let cpu = |target| MetricSpec::new("cpu", target);
    let table = [
        (keda_metric(), format!("external metric s0-prometheus({KEDA_SELECTOR}) above target")),
        (
            MetricSpec::new("queue", MetricTarget::ExternalValue(1)),
            "external metric queue(nil) above target".to_owned(),
        ),
        (MetricSpec::new("rps", MetricTarget::PodsAverageValue(1)), "pods metric rps above target".to_owned()),
        (
            cpu(MetricTarget::ResourceUtilization(Resource::Cpu, 80)),
            "cpu resource utilization (percentage of request) above target".to_owned(),
        ),
        (cpu(MetricTarget::ResourceAverageValue(Resource::Memory, 1)), "memory resource above target".to_owned()),
        (
            cpu(MetricTarget::ResourceUtilization(Resource::Memory, 80)).of_container("main"),
            "memory container resource utilization (percentage of request) above target".to_owned(),
        ),
        (
            cpu(MetricTarget::ResourceAverageValue(Resource::Cpu, 1)).of_container("main"),
            "cpu resource above target".to_owned(),
        ),
    ];
    for (metric, sentence) in table {
        let other = MetricSpec::new("other", MetricTarget::PodsAverageValue(1));
        let spec = spec(vec![other, metric]);
        assert_eq!(RescaleReason::MetricAboveTarget(1).sentence(&spec), sentence);
    }
    let spec = spec(vec![keda_metric()]);
    assert_eq!(RescaleReason::AllMetricsBelowTarget.sentence(&spec), "All metrics below target");
    assert_eq!(RescaleReason::AboveMaxReplicas.sentence(&spec), "Current number of replicas above Spec.MaxReplicas");
    assert_eq!(RescaleReason::BelowMinReplicas.sentence(&spec), "Current number of replicas below Spec.MinReplicas");
    assert_eq!(RescaleReason::Empty.sentence(&spec), "");
}

#[test]
fn the_conditions_of_a_sync() {
    let spec = spec(vec![keda_metric()]);
    let active = format!(
        "ScalingActive true ValidMetricFound: the HPA was able to successfully calculate a replica count from external metric \
         s0-prometheus({KEDA_SELECTOR})"
    );
    let within = "ScalingLimited false DesiredWithinRange: the desired count is within the acceptable range";
    let rescaled =
        |n| format!("AbleToScale true SucceededRescale: the HPA controller was able to update the target scale to {n}");
    let ready = "AbleToScale true ReadyForNewScale: recommended size matches current size".to_owned();
    let down =
        "AbleToScale true ScaleDownStabilized: recent recommendations were higher than current one, applying the \
                highest recent recommendation"
            .to_owned();
    let limited = |reason, message| format!("ScalingLimited true {reason}: the desired replica count is {message}");
    let faster = limited("ScaleUpLimit", "increasing faster than the maximum scale rate");
    let more = limited("TooManyReplicas", "more than the maximum replica count");
    let less = limited("TooFewReplicas", "less than the minimum replica count");
    let table = [
        (4, 4, [ready, active.clone(), within.to_owned()], "at rest"),
        (4, 6, [rescaled(6), active.clone(), within.to_owned()], "up"),
        (4, 3, [down, active.clone(), within.to_owned()], "held by the first count"),
        (4, 19, [rescaled(8), active.clone(), faster], "cut by the built-in limit"),
        (15, 30, [rescaled(20), active.clone(), more], "cut by max"),
    ];
    for (replicas, count, expected, why) in table {
        assert_eq!(lines(&sync(&spec, &HpaState::default(), replicas, targets(count))), expected, "{why}");
    }
    let first = sync(&spec, &HpaState::default(), 4, targets(4));
    let second = sync(&spec, &first.next, 4, targets(0));
    assert_eq!(lines(&second), [rescaled(2), active, less], "cut by min, ten minutes later");
}

#[test]
fn the_other_half_of_the_words_needs_behavior() {
    let able = AbleToScale::ScaleUpStabilized.condition(3);
    let message = "recent recommendations were lower than current one, applying the lowest recent recommendation";
    assert_eq!((able.status, able.message.as_str()), (true, message));
    let limited = ScalingLimited::ScaleDownLimit.condition();
    let message = "the desired replica count is decreasing faster than the maximum scale rate";
    assert_eq!((limited.status, limited.message.as_str()), (true, message));
}

#[test]
fn conditions_that_a_sync_does_not_reach_keep_what_they_said() {
    let spec = spec(vec![keda_metric()]);
    let first = sync(&spec, &HpaState::default(), 4, targets(19));
    let broken = sync(&spec, &first.next, 8, failed());
    let mut expected = lines(&first);
    expected[0] =
        "AbleToScale true SucceededGetScale: the HPA controller was able to get the target's current scale".into();
    expected[1] = format!(
        "ScalingActive false FailedGetExternalMetric: the HPA was unable to compute the replica count: unable to get \
         external metric ns/s0-prometheus/{KEDA_SELECTOR}: unable to fetch metrics from external metrics API: timeout"
    );
    assert_eq!(lines(&broken), expected, "a failure leaves ScalingLimited at ScaleUpLimit");

    let jump = sync(&spec, &broken.next, 30, targets(4));
    expected[0] =
        "AbleToScale true SucceededRescale: the HPA controller was able to update the target scale to 20".into();
    assert_eq!(lines(&jump), expected, "a jump leaves the failure's own sentence");

    let off = sync(&spec, &first.next, 0, targets(4));
    let disabled =
        "ScalingActive false ScalingDisabled: scaling is disabled since the replica count of the target is zero";
    assert_eq!(lines(&off)[1], disabled);
    assert_eq!(lines(&off)[2], lines(&first)[2], "ScalingDisabled leaves ScalingLimited alone");

    let new = sync(&spec, &HpaState::default(), 30, targets(4));
    assert_eq!(lines(&new).len(), 1, "conditions never set are left out");
}

#[test]
fn scaled_to_zero_is_shown_once_it_is_set() {
    let zero = |value| HpaState { scaled_to_zero: Some(value), ..HpaState::default() }.conditions(0);
    let shown: Vec<_> = zero(true).iter().map(|one| (one.kind, one.status, one.reason)).collect();
    assert_eq!(shown, [("ScaledToZero", true, "ScaledToZero")]);
    assert_eq!((zero(false)[0].status, zero(false)[0].reason), (false, "NotScaledToZero"));
    assert_eq!(zero(false)[0].message, "the HPA controller did not scale the workload to zero");
}

fn pod(samples: &[Option<i64>], requests: &[Option<i64>]) -> PodObservation {
    PodObservation {
        pending: false,
        ignored: false,
        ready: Some(true),
        start: Some(SimTime::from_secs(1000)),
        ready_transition: Some(SimTime::from_secs(1100)),
        requests_milli: requests.to_vec(),
        samples_milli: samples.to_vec(),
        sample_time: SimTime::from_secs(10_000),
        sample_window: SimDuration::from_secs(30),
    }
}

#[test]
fn failures_are_chained_as_upstream_chains_them() {
    let per_pod = || MetricObservation::PerPod;
    let fails = || MetricObservation::Failed("down".to_owned());
    let pending = PodObservation { pending: true, ..pod(&[Some(1)], &[None]) };
    let utilization = MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 80));
    let memory = MetricSpec::new("memory", MetricTarget::ResourceAverageValue(Resource::Memory, 1));
    let rps = MetricSpec::new("rps", MetricTarget::PodsAverageValue(1));
    let value = MetricSpec::new("queue", MetricTarget::ExternalValue(1));
    let container = MetricSpec::new("memory", MetricTarget::ResourceUtilization(Resource::Memory, 80));
    let container = container.of_container("main");
    let no_request = || pod(&[Some(1)], &[None]);
    let (in_pod, in_container) = ("FailedGetResourceMetric", "FailedGetContainerResourceMetric");
    let cpu = |text: &str| format!("failed to get cpu utilization: {text}");
    let of_main = |text: &str| format!("failed to get memory utilization: {text}");
    let memory_usage = "failed to get memory usage: unable to get metrics for resource memory: no metrics returned from \
                        resource metrics API";
    let unready = "did not receive metrics for targeted pods (pods might be unready)";
    let fetch = "unable to get metrics for resource cpu: unable to fetch metrics from resource metrics API: down";
    let custom = "unable to get metric rps: unable to fetch metrics from custom metrics API: down";
    let external = "unable to get external metric ns/queue/nil: no metrics returned from external metrics API";
    let unknown = "no metrics returned matched known pods";
    let main = "missing request for memory in container main";
    let table = [
        (&utilization, fails(), vec![], in_pod, cpu(fetch)),
        (&memory, per_pod(), vec![], in_pod, memory_usage.to_owned()),
        (&utilization, per_pod(), vec![pending.clone()], in_pod, cpu(unready)),
        (&utilization, per_pod(), vec![no_request()], in_pod, cpu("missing request for cpu")),
        (&container, per_pod(), vec![no_request()], in_container, of_main(main)),
        (&container, per_pod(), vec![pod(&[Some(1)], &[Some(0)])], in_container, of_main(unknown)),
        (&rps, fails(), vec![], "FailedGetPodsMetric", custom.to_owned()),
        (&rps, per_pod(), vec![pending], "FailedGetPodsMetric", unready.to_owned()),
        (&value, MetricObservation::Series(vec![]), vec![], "FailedGetExternalMetric", external.to_owned()),
    ];
    for (metric, observed, pods, reason, error) in table {
        let spec = spec(vec![metric.clone()]);
        let at = (4, SimTime::from_secs(10_000));
        let decision = sync_pods(&spec, &HpaState::default(), at, vec![observed], pods);
        assert_eq!(decision.metrics[0].error.as_deref(), Some(error.as_str()));
        let active = &decision.conditions[1];
        assert_eq!((active.reason, active.status), (reason, false), "{error}");
        assert_eq!(active.message, format!("the HPA was unable to compute the replica count: {error}"));
    }
}

#[test]
fn value_without_pods_says_so() {
    let spec = spec(vec![MetricSpec::new("queue", MetricTarget::ExternalValue(1000))]);
    let observation = Observation {
        now: SimTime::from_secs(100),
        spec_replicas: 4,
        status_replicas: 0,
        ready_pods: 0,
        pods_exist: false,
        metrics: vec![MetricObservation::Series(vec![9000])],
        pods: Vec::new(),
    };
    let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    let decision = reconcile(&flags, &spec, &HpaState::default(), &observation);
    let error = "unable to calculate ready pods: no pods returned by selector while calculating replica count";
    assert_eq!(decision.metrics[0].error.as_deref(), Some(error));
}

#[test]
fn the_first_failed_metric_gives_the_condition() {
    let cpu = MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 80));
    let spec = spec(vec![keda_metric(), cpu]);
    let metrics = vec![MetricObservation::Series(vec![100_000]), MetricObservation::Failed("down".to_owned())];
    let decision = sync(&spec, &HpaState::default(), 4, metrics);
    assert_eq!(decision.conditions[1].reason, "FailedGetResourceMetric", "the first metric worked");
    let both = vec![failed().remove(0), MetricObservation::Failed("down".to_owned())];
    let decision = sync(&spec, &HpaState::default(), 4, both);
    assert_eq!(decision.conditions[1].reason, "FailedGetExternalMetric", "of two the first is named");
}

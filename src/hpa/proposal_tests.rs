//! One metric's proposal, and the misreadings of hpa.md section 13 that concern it (1, 2, 13, 14, 17, 18).

use super::*;
use crate::hpa::{PodObservation, Resource};
use crate::units::{SimDuration, SimTime};

const NOW: SimTime = SimTime::from_secs(10_000);

struct World {
    version: KubernetesVersion,
    target: MetricTarget,
    container: Option<&'static str>,
    observation: Observation,
}

fn world(target: MetricTarget, series: &[i64], spec: i32, status: i32, ready: i32) -> World {
    let metric =
        if target.is_external() { MetricObservation::Series(series.to_vec()) } else { MetricObservation::PerPod };
    let observation = Observation {
        now: NOW,
        spec_replicas: spec,
        status_replicas: status,
        ready_pods: ready,
        pods_exist: status.max(ready) > 0,
        metrics: vec![metric],
        pods: Vec::new(),
    };
    World { version: KubernetesVersion::V1_36, target, container: None, observation }
}

impl World {
    fn version(mut self, version: KubernetesVersion) -> Self {
        self.version = version;
        self
    }

    fn pods(mut self, pods: Vec<PodObservation>) -> Self {
        self.observation.pods = pods;
        self
    }

    fn container(mut self, container: Option<&'static str>) -> Self {
        self.container = container;
        self
    }

    fn propose(&self) -> Proposal {
        let flags = ControllerFlags::defaults(self.version);
        let metric = MetricSpec::new("m", self.target);
        let metrics = vec![self.container.map_or(metric.clone(), |container| metric.of_container(container))];
        let spec = HpaSpec { namespace: "ns".to_owned(), min_replicas: 1, max_replicas: 20, metrics, behavior: None };
        propose(&flags, &spec, &self.observation).remove(0)
    }

    fn replicas(&self) -> Option<i32> {
        self.propose().decision.proposal
    }
}

fn average(series: &[i64], spec: i32, status: i32) -> World {
    world(MetricTarget::ExternalAverageValue(100_000), series, spec, status, 0)
}

#[test]
fn average_value_knows_only_status() {
    let table = [
        (average(&[2_350_000], 5, 10), 24, "misreading 1: ceil(total/target), no replica count"),
        (average(&[2_350_000], 5, 3), 24, "whatever the replica count"),
        (average(&[1_100_000], 5, 10), 10, "misreading 2: within proposes status, which is not spec"),
        (average(&[1_100_000], 10, 10), 10, "misreading 17: exactly 1.1 is within"),
        (average(&[1_100_001], 10, 10), 12, "one milli more is not"),
        (average(&[180_000], 2, 2), 2, "misreading 18: 1.8 targets on 2 pods are within"),
        (average(&[179_999], 2, 2), 2, "below the edge, and ceil still says 2"),
        (average(&[100_000], 2, 2), 1, "1 target: at last 1"),
        (average(&[900_000], 10, 10), 10, "9 targets on 10 pods: the dead band"),
        (average(&[350_000], 0, 0), 4, "status 0 makes the ratio infinite: outside"),
        (average(&[0], 0, 0), 0, "0 of 0 is NaN: outside, ceil(0)"),
        (average(&[120_000, 130_000, 1], 1, 1), 3, "series are summed"),
        (average(&[-5_000], 2, 2), i32::MAX, "a negative sum is taken for an overflow (HPA-AVG-4)"),
    ];
    for (world, expected, why) in table {
        assert_eq!(world.replicas(), Some(expected), "{why}");
    }
    let edge = world(MetricTarget::ExternalAverageValue(70), &[819], 13, 13, 13);
    assert_eq!(edge.replicas(), Some(13), "819/(70*13) is 0.9 and within; (819/70)/13 is 0.8999999999999999");
    let zero = average(&[0], 0, 0).propose();
    assert!(zero.decision.ratio.is_some_and(f64::is_nan), "0 / (target * 0)");
    assert_eq!(zero.shown, Some(ShownMetric::Milli(i64::MIN)), "status shows what the conversion of NaN gives");
}

#[test]
fn average_value_by_version() {
    use KubernetesVersion::{V1_32, V1_33, V1_34};
    let huge = || world(MetricTarget::ExternalAverageValue(1), &[4_000_000_000_000], 1, 1, 1);
    let table = [
        (average(&[1_100_000], 10, 10).version(V1_32), 11, "until 1.32 exactly 1.1 scales up"),
        (average(&[1_100_000], 10, 10).version(V1_33), 10, "since 1.33 it does not"),
        (average(&[-500_000], 2, 2).version(V1_33), -5, "before 1.34 a negative sum is a negative proposal"),
        (huge().version(V1_33), i32::MIN, "before 1.34 too many overflow"),
        (huge().version(V1_34), i32::MAX, "since 1.34 they are capped"),
    ];
    for (world, expected, why) in table {
        assert_eq!(world.replicas(), Some(expected), "{why}");
    }
    let nothing = average(&[0], 0, 0).version(V1_32).propose().decision;
    assert_eq!((nothing.proposal, nothing.tolerated), (Some(0), Tolerated::Within), "NaN is not outside (HPA-TOL-5)");
}

#[test]
fn value_multiplies_ready_pods() {
    let value = |milli, spec, ready| world(MetricTarget::ExternalValue(100_000), &[milli], spec, spec, ready);
    let table = [
        (value(200_000, 10, 4), Some(8), "misreading 14: twice the ready pods, not the spec"),
        (value(110_000, 10, 4), Some(10), "within proposes spec"),
        (value(200_000, 10, 0), Some(0), "misreading 14: none ready proposes 0, which is then min"),
        (value(250_000, 0, 0), Some(3), "from 0: ceil of the ratio alone (HPA-VAL-4)"),
        (value(-50_000, 3, 3), Some(-1), "a real negative is a negative proposal"),
    ];
    for (world, expected, why) in table {
        assert_eq!(world.replicas(), expected, "{why}");
    }
    let mut no_pods = value(200_000, 10, 0);
    no_pods.observation.pods_exist = false;
    assert_eq!(no_pods.replicas(), None, "no pod at all is an error (HPA-VAL-2)");
    no_pods.observation.metrics = vec![MetricObservation::Series(vec![100_000])];
    assert_eq!(no_pods.replicas(), Some(10), "but within tolerance nobody looks at pods");
}

#[test]
fn value_by_version() {
    use KubernetesVersion::{V1_34, V1_35};
    let sum = |version| world(MetricTarget::ExternalValue(1), &[i64::MAX, 1], 3, 3, 3).version(version).propose();
    assert_eq!(sum(V1_35).shown, Some(ShownMetric::Milli(i64::MAX)), "since 1.35 the sum is capped");
    assert_eq!(sum(V1_35).decision.proposal, Some(i32::MAX), "and so is the count");
    assert_eq!(sum(V1_34).shown, Some(ShownMetric::Milli(i64::MIN)), "before, it wraps");
    assert_eq!(sum(V1_34).decision.proposal, Some(i32::MIN), "and the count overflows");
    let from_zero = world(MetricTarget::ExternalValue(1), &[i64::MAX], 0, 0, 0);
    assert_eq!(from_zero.replicas(), Some(i32::MIN), "from 0 the count is capped in no version (HPA-VAL-4)");
}

#[test]
fn an_empty_answer_is_an_error() {
    for target in [MetricTarget::ExternalAverageValue(1), MetricTarget::ExternalValue(1)] {
        let empty = world(target, &[], 3, 3, 3).propose();
        assert_eq!(empty.decision.proposal, None, "never a zero (HPA-FETCH-1)");
        assert!(empty.decision.error.is_some());
        assert_eq!(empty.shown, None);
    }
    let no_pods = world(MetricTarget::PodsAverageValue(1), &[], 3, 3, 3).propose();
    let said = "unable to get metric m: no metrics returned from custom metrics API";
    assert_eq!(no_pods.decision.error.as_deref(), Some(said), "the metrics API is asked before the pods");
}

/// A pod that has been ready for long, with this sample.
fn pod(sample: Option<i64>) -> PodObservation {
    PodObservation {
        pending: false,
        ignored: false,
        ready: Some(true),
        start: Some(SimTime::from_secs(1000)),
        ready_transition: Some(SimTime::from_secs(1100)),
        requests_milli: vec![Some(1000)],
        samples_milli: vec![sample],
        sample_time: NOW,
        sample_window: SimDuration::from_secs(30),
    }
}

fn pods_metric(pods: Vec<PodObservation>, spec: i32) -> World {
    world(MetricTarget::PodsAverageValue(100_000), &[], spec, spec, spec).pods(pods)
}

#[test]
fn pods_metric_by_group() {
    let full = |milli| pod(Some(milli));
    let pending = |milli| PodObservation { pending: true, ..pod(Some(milli)) };
    let gone = |milli| PodObservation { ignored: true, ..pod(Some(milli)) };
    let unready = |milli| PodObservation { ready: Some(false), ..pod(Some(milli)) };
    let table = [
        (pods_metric(vec![full(200_000); 3], 3), Some(6), "mean / target * pods"),
        (pods_metric(vec![full(200_000); 3], 9), Some(6), "the measured pods count, not spec"),
        (pods_metric(vec![full(110_001), full(110_000)], 2), Some(2), "the mean is cut to 110000: within"),
        (pods_metric(vec![full(300_000), full(300_000), pod(None)], 3), Some(6), "up: a missing pod uses nothing"),
        (pods_metric(vec![full(50_000), full(50_000), pod(None)], 3), Some(2), "down: it uses its target"),
        (pods_metric(vec![full(120_000), pod(None)], 2), Some(2), "assumptions do not turn the direction"),
        (pods_metric(vec![full(100_000), pod(None)], 5), Some(5), "at ratio 1 nothing is assumed"),
        (pods_metric(vec![full(300_000), pending(300_000)], 2), Some(3), "up: a pending pod uses nothing"),
        (pods_metric(vec![full(50_000), full(50_000), pending(9)], 3), Some(1), "down: it is left out"),
        (pods_metric(vec![full(300_000), gone(900_000)], 2), Some(3), "a failed pod is left out altogether"),
        (pods_metric(vec![unready(300_000)], 1), Some(3), "readiness does not matter here (HPA-POD-5)"),
        (pods_metric(vec![pod(None)], 1), None, "no sample is an error"),
        (pods_metric(vec![full(110_500), pod(None)], 9), Some(9), "up, yet fewer samples than spec: stays"),
    ];
    for (world, expected, why) in table {
        assert_eq!(world.replicas(), expected, "{why}");
    }
}

#[test]
fn cpu_of_starting_pods_is_not_trusted() {
    let at = |seconds| Some(SimTime::from_secs(seconds));
    let young = |ready, transition, sampled| PodObservation {
        ready: Some(ready),
        start: at(9_800),
        ready_transition: at(transition),
        sample_time: SimTime::from_secs(sampled),
        ..pod(Some(900))
    };
    let old = |ready, transition| PodObservation {
        ready: Some(ready),
        start: at(9_000),
        ready_transition: at(transition),
        ..pod(Some(900))
    };
    let table = [
        (young(false, 9_800, 10_000), true, "young and not ready"),
        (young(true, 9_971, 10_000), true, "sample window of 30 s began before it was ready"),
        (young(true, 9_970, 10_000), false, "sample window lies just after"),
        (old(false, 9_029), true, "never ready: last transition within 30 s of the start"),
        (old(false, 9_030), false, "was ready once"),
        (old(true, 9_029), false, "ready"),
        (
            PodObservation { start: at(9_700), ..young(false, 9_999, 10_000) },
            false,
            "300 s old exactly: no longer young",
        ),
        (PodObservation { ready: None, ..pod(Some(900)) }, true, "no Ready condition"),
        (PodObservation { start: None, ..pod(Some(900)) }, true, "no start time"),
    ];
    for (third, unready, why) in table {
        let world = world(MetricTarget::ResourceUtilization(Resource::Cpu, 50), &[], 3, 3, 3);
        let world = world.pods(vec![pod(Some(900)), pod(Some(900)), third]);
        // 90 % of 3 pods needs 6; with the third at 0 it is 60 %, which needs 4.
        assert_eq!(world.replicas(), Some(if unready { 4 } else { 6 }), "{why}");
    }
}

#[test]
fn readiness_matters_for_cpu_alone() {
    let starting = PodObservation {
        ready: Some(false),
        start: Some(SimTime::from_secs(9_900)),
        ready_transition: Some(SimTime::from_secs(9_900)),
        ..pod(Some(900))
    };
    let main = Some("main");
    let table = [
        (MetricTarget::ResourceUtilization(Resource::Cpu, 50), None, 4, "cpu: the starting pod is left out"),
        (MetricTarget::ResourceAverageValue(Resource::Cpu, 500), None, 4, "cpu by value too"),
        (MetricTarget::ResourceUtilization(Resource::Cpu, 50), main, 4, "and of one container"),
        (MetricTarget::ResourceAverageValue(Resource::Cpu, 500), main, 4, "by value too"),
        (MetricTarget::ResourceUtilization(Resource::Memory, 50), None, 6, "memory counts at once (HPA-POD-10)"),
        (MetricTarget::ResourceAverageValue(Resource::Memory, 500), None, 6, "by value too"),
        (MetricTarget::ResourceUtilization(Resource::Memory, 50), main, 6, "and of one container"),
        (MetricTarget::PodsAverageValue(500), None, 6, "a Pods metric knows no readiness"),
    ];
    for (target, container, expected, why) in table {
        let pods = vec![pod(Some(900)), pod(Some(900)), starting.clone()];
        let world = world(target, &[], 3, 3, 3).pods(pods).container(container);
        // 90 % of 3 pods needs 6; with the third at 0 it is 60 %, which needs 4.
        assert_eq!(world.replicas(), Some(expected), "{why}");
    }
}

#[test]
fn every_metric_has_its_own_samples_and_requests() {
    let metrics = vec![
        MetricSpec::new("cpu", MetricTarget::ResourceUtilization(Resource::Cpu, 50)),
        MetricSpec::new("memory", MetricTarget::ResourceUtilization(Resource::Memory, 50)),
    ];
    let namespace = "ns".to_owned();
    let spec = HpaSpec { namespace, min_replicas: 1, max_replicas: 20, metrics, behavior: None };
    let mut observed = world(spec.metrics[0].target, &[], 2, 2, 2).observation;
    observed.metrics = vec![MetricObservation::PerPod; 2];
    let both = PodObservation {
        samples_milli: vec![Some(1000), Some(400)],
        requests_milli: vec![Some(1000), Some(200)],
        ..pod(None)
    };
    observed.pods = vec![both; 2];
    let flags = ControllerFlags::defaults(KubernetesVersion::V1_36);
    let proposed: Vec<_> = propose(&flags, &spec, &observed).into_iter().map(|one| one.decision.proposal).collect();
    assert_eq!(proposed, [Some(4), Some(8)], "cpu at 100 %, memory at 200 %");
}

#[test]
fn cpu_utilization_is_a_whole_percentage_of_requests() {
    let cpu = |target, pods: Vec<PodObservation>| {
        world(MetricTarget::ResourceUtilization(Resource::Cpu, target), &[], 2, 2, 2).pods(pods).propose()
    };
    let within = cpu(50, vec![pod(Some(549)), pod(Some(550))]);
    assert_eq!(within.shown, Some(ShownMetric::Percent(54)), "1099m of 2000m is cut to 54 %");
    assert_eq!(within.decision.proposal, Some(2), "54/50 is within");
    let down = cpu(50, vec![pod(Some(100)), pod(Some(100)), pod(Some(100)), pod(None)]);
    assert_eq!(down.decision.proposal, Some(2), "a missing pod: all of its request, but never against the direction");
    let over = cpu(200, vec![pod(Some(500)), pod(None)]);
    assert_eq!(over.decision.ratio, Some(0.625), "above 100 % it is the target (HPA-POD-8)");
    let no_request = PodObservation { requests_milli: vec![None], ..pod(Some(900)) };
    assert_eq!(cpu(50, vec![pod(Some(900)), no_request]).decision.proposal, None, "a missing request is an error");
}

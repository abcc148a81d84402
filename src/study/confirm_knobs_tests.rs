use super::*;
use crate::manifest::Input;
use crate::units::SimTime;
use std::path::Path;

/// The example policy with values set.
fn example(set: &[(&str, &str)]) -> (Bundle, ResolvedRun) {
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/opt-125m");
    let mut bundle = Bundle::load(&[Input::Path(policy)]).expect("the policy loads");
    for (path, value) in set {
        bundle.set_text(path, value).unwrap_or_else(|error| panic!("{error}"));
    }
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    (bundle, run)
}

/// The text of the edit and the run that it makes.
fn edited(cause: Cause, capacity: Option<f64>, set: &[(&str, &str)]) -> Option<(String, ResolvedRun)> {
    let (bundle, run) = example(set);
    let knob = edit(cause, &run, capacity)?;
    let turned = turned(&bundle, &Overrides::default(), &[&knob]).unwrap_or_else(|error| panic!("{error}"));
    Some((knob.text(), turned.run))
}

const FALLBACK: (&str, &str) = ("spec.fallback", "{failureThreshold: 3, replicas: 2}");

#[test]
fn c6_sets_the_tolerance_of_both_directions() {
    let (text, run) = edited(Cause::Tolerance, None, &[]).expect("a tolerance can be set");
    assert_eq!(text, "behavior.scaleUp.tolerance = 0.3, behavior.scaleDown.tolerance = 0.3");
    let (up, down) = run.kubernetes.hpa.behavior.as_ref().expect("the policy has a behavior");
    let milli = |own: &crate::hpa::ScalingRules| own.tolerance.map(crate::units::Quantity::milli_value);
    assert_eq!((milli(up), milli(down)), (Some(300), Some(300)));
}

#[test]
fn c11_lowers_the_threshold_to_seven_tenths_of_what_a_replica_showed() {
    let threshold = ("spec.triggers[0].metadata.threshold", "120");
    let (text, run) = edited(Cause::Saturation, Some(130.0), &[threshold]).expect("91 is less than 120");
    assert_eq!(text, "spec.triggers[0].metadata.threshold = 91.0");
    assert_eq!(run.keda.expect("KEDA").scaled_object.triggers[0].threshold, 91.0);
    assert!(edited(Cause::Saturation, Some(130.0), &[]).is_none(), "5 is below it already");
    assert!(edited(Cause::Saturation, None, &[threshold]).is_none(), "no replica was saturated");
}

#[test]
fn c12_looks_back_over_the_gap_and_c13_keeps_what_there_is() {
    let (text, _) = edited(Cause::CronEdge, None, &[]).expect("120 s are less than half an hour");
    assert!(text.ends_with("scaleDown.stabilizationWindowSeconds = 1800"), "{text}");
    let longest = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";
    assert!(edited(Cause::CronEdge, None, &[(longest, "3600")]).is_none());
    let (text, _) = edited(Cause::FallbackEdge, None, &[FALLBACK]).expect("there is a fallback");
    assert_eq!(text, "spec.fallback.behavior = currentReplicasIfHigher");
    assert!(edited(Cause::FallbackEdge, None, &[]).is_none(), "without a fallback nothing stands in");
}

#[test]
fn what_no_policy_can_mend_has_no_edit() {
    let (_, run) = example(&[]);
    for cause in [Cause::StatusNotSpec, Cause::InitialState, Cause::ClosedLoop, Cause::TriggerTug] {
        assert_eq!(edit(cause, &run, Some(100.0)), None, "{}", cause.code());
    }
}

#[test]
fn c15_brings_the_load_one_scale_down_window_later() {
    let (bundle, run) = example(&[("Scenario:spec.duration", "20m"), ("Scenario:spec.warmup", "1m")]);
    let found = ways(Cause::InitialState, &run).expect("nothing has a time of its own");
    let knobs: Vec<&Knob> = found[0].iter().collect();
    let later = turned(&bundle, &Overrides::default(), &knobs).unwrap_or_else(|error| panic!("{error}")).run;
    assert_eq!((run.traffic[0].start, later.traffic[0].start), (SimTime::from_secs(120), SimTime::from_secs(240)));
    assert_eq!(later.traffic[0].stop.since(run.traffic[0].stop), SimDuration::from_secs(120));
    assert_eq!((later.duration, later.warmup), (Some(SimDuration::from_secs(1320)), SimDuration::from_secs(180)));
    let (_, faulty) = example(&[("Scenario:spec.faults", "[{kedaDown: {}, at: 5m, for: 1m}]")]);
    assert!(ways(Cause::InitialState, &faulty).is_err());
}

#[test]
fn c14_runs_each_metric_alone_and_needs_two() {
    let (_, run) = example(&[]);
    assert!(ways(Cause::TriggerTug, &run).expect_err("one metric").ends_with("the HPA has 1"));
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/opt-125m-ttft-kv-running");
    let bundle = Bundle::load(&[Input::Path(policy)]).expect("the policy loads");
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let found = ways(Cause::TriggerTug, &run).expect("three metrics");
    let alone: Vec<String> = found
        .iter()
        .map(|knobs| {
            let knobs: Vec<&Knob> = knobs.iter().collect();
            let run = turned(&bundle, &Overrides::default(), &knobs).unwrap_or_else(|error| panic!("{error}")).run;
            assert_eq!(run.kubernetes.sources.len(), 1);
            run.kubernetes.hpa.metrics.iter().map(|own| own.name.clone()).collect()
        })
        .collect();
    assert_eq!(alone, ["s0-prometheus", "s1-prometheus", "s2-prometheus"]);
}

//! Not only chosen moments: every decision of whole runs is worked out, and comes out as it was made.

use crate::cli::explain::queries::Samples;
use crate::cli::explain::{Explainer, control};
use crate::manifest::{Bundle, Input};
use crate::record::{DecisionRecord, RunRecord};
use crate::scenario::{Overrides, ResolvedRun, resolve};
use crate::sim::simulate_recording;
use crate::units::{SimDuration, SimTime};
use std::path::Path;

fn shipped(policy: &str) -> Bundle {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(policy);
    Bundle::load(&[Input::Path(path)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A policy of HPA and traffic's own making; `hpa` is appended to the HPA's spec.
fn written(hpa: &str) -> Bundle {
    let text = format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: plain}}\nspec:\n  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: m}}\n  \
         minReplicas: 1\n  maxReplicas: 9\n  metrics:\n  - type: External\n    external: {{metric: {{name: queue}}, target: {{type: AverageValue, averageValue: 2}}}}\n{hpa}---\n\
         apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n  duration: 40m\n  replica: {{profile: opt-125m-cpu}}\n  \
         signals: {{triggers: {{queue: {{oscillate: {{low: 1, high: 22, period: 9m}}}}}}}}\n  \
         traffic: {{arrivals: {{poisson: {{rate: 0.01}}}}, prompt: {{constant: 15}}, output: {{constant: 20}}}}\n"
    );
    Bundle::from_text(&text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}"))
}

/// Policies in both directions that bind, the smaller change chosen.
const BEHAVIOR: &str = "  behavior:
    scaleUp:
      stabilizationWindowSeconds: 30
      selectPolicy: Min
      policies: [{type: Pods, value: 2, periodSeconds: 60}, {type: Percent, value: 60, periodSeconds: 90}]
    scaleDown:
      stabilizationWindowSeconds: 90
      selectPolicy: Min
      policies: [{type: Percent, value: 35, periodSeconds: 60}, {type: Pods, value: 2, periodSeconds: 45}]
";
const DISABLED: &str = "  behavior: {scaleDown: {selectPolicy: Disabled}}\n";

fn run_of(bundle: &Bundle, overrides: &Overrides) -> (ResolvedRun, RunRecord, Samples) {
    let run = resolve(bundle, overrides).unwrap_or_else(|errors| panic!("{errors}"));
    let mut samples = Samples::for_run(&run, &[SimTime::ZERO, SimTime::from_secs(86_400)]);
    let record =
        simulate_recording(&run, false, &mut |row| samples.add(&row)).unwrap_or_else(|error| panic!("{error}"));
    (run, record, samples)
}

#[test]
fn windows_and_policies_of_every_sync_give_its_count() {
    let short = Overrides { duration: Some(SimDuration::from_secs(900)), ..Overrides::default() };
    let (mut changed, mut held, mut limited) = (0, 0, 0);
    for (policy, overrides) in [
        (shipped("opt-125m"), Overrides::default()),
        (shipped("opt-125m-no-window"), Overrides::default()),
        (shipped("opt-125m-ttft-kv-running"), Overrides::default()),
        (shipped("opt-125m-from-zero"), Overrides::default()),
        (shipped("llama-3.1-8b-h100"), short),
        (written(""), Overrides::default()),
        (written(BEHAVIOR), Overrides::default()),
        (written(DISABLED), Overrides::default()),
    ] {
        let (run, record, _) = run_of(&policy, &overrides);
        for decision in &record.decisions {
            let DecisionRecord::HpaSync(sync) = decision else { continue };
            let shown = control::from_proposal(&run.kubernetes, &record.decisions, sync);
            assert_eq!(shown.is_some(), sync.metric_desired.is_some(), "{} at {}", run.policy, sync.t);
            limited += u32::from(sync.limit.is_some());
            let Some((windows, limits)) = shown else { continue };
            assert_eq!((Some(windows.stabilized), limits.limited), (sync.stabilized, sync.new_replicas));
            changed += u32::from(sync.rescaled);
            held += u32::from(sync.stabilized != sync.metric_desired);
        }
    }
    // The counts of this test's own runs, so that it does not pass for want of cases.
    assert!(changed > 30 && held > 30 && limited > 30, "{changed} changes, {held} held by a window, {limited} limited");
}

#[test]
fn queries_of_any_decision_are_worked_out_to_its_value() {
    for policy in ["opt-125m", "opt-125m-from-zero"] {
        let (run, record, samples) = run_of(&shipped(policy), &Overrides::default());
        let explainer = Explainer { run: &run, record: &record, samples: &samples };
        let mut worked_out = 0;
        for decision in record.decisions.iter().step_by(9) {
            for metric in decision.metrics() {
                let explained = explainer.metric(metric, decision.t(), None).unwrap_or_else(|error| panic!("{error}"));
                let has_samples = explained.samples.is_some();
                assert_eq!(has_samples, metric.value.is_some(), "{policy}: {} at {}", metric.trigger, decision.t());
                worked_out += u32::from(has_samples);
            }
        }
        assert!(worked_out > 10, "{policy}: {worked_out}");
    }
}

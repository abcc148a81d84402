//! Policies that share a world get, to the last bit, the records that each of them gets alone.

use kedasim::analysis::summarize;
use kedasim::manifest::{Bundle, Input, Value};
use kedasim::record::{DecisionRecord, RunRecord};
use kedasim::scenario::{Overrides, ResolvedRun, SweepAxis, SweepFile, replace_scenario, resolve};
use kedasim::sim::{SharedWorld, simulate};
use kedasim::study::run_sweep;
use kedasim::units::{Located, Seed, SimTime, Span};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

/// A path inside the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

const DEPLOYMENT: &str = include_str!("support/vllm_deployment.yaml");

/// A load that comes, peaks and goes, within 40 minutes.
const LOAD: &str = "{arrivals: {stages: [{duration: 4m, rate: 0.3}, {duration: 8m, rate: 2.5}, {duration: 6m, rate: 1}, {duration: 9m, rate: 0.1}]}, \
                    prompt: {constant: 15}, output: {uniform: {min: 20, max: 150}}}";

/// What a policy asks for, as a list of triggers. `T` stands for a threshold.
const TRIGGERS: [&str; 7] = [
    "- {type: prometheus, metadata: {serverAddress: http://p:9090, threshold: \"T\", query: 'sum(rate(vllm:generation_tokens_total[2m]))'}}",
    "- {type: prometheus, metadata: {serverAddress: http://p:9090, threshold: \"T\", query: 'sum(rate(vllm:generation_tokens_total[1m]))'}}\n  \
     - {type: prometheus, metricType: Value, metadata: {serverAddress: http://p:9090, threshold: \"0.5\", query: 'avg(vllm:kv_cache_usage_perc)'}}",
    "- {type: prometheus, useCachedMetrics: true, metadata: {serverAddress: http://p:9090, threshold: \"T\", query: 'sum(vllm:num_requests_running) * 10'}}",
    "- {type: cron, metadata: {timezone: Etc/UTC, start: 9 0 * * *, end: 20 0 * * *, desiredReplicas: \"3\"}}\n  \
     - {type: prometheus, metadata: {serverAddress: http://p:9090, threshold: \"T\", query: 'sum(rate(vllm:prompt_tokens_total[2m]))'}}",
    "- {type: cpu, metricType: Utilization, metadata: {value: \"T\"}}\n  \
     - {type: prometheus, metadata: {serverAddress: http://p:9090, threshold: \"40\", query: 'sum(rate(vllm:generation_tokens_total[2m]))'}}",
    "- {type: external-push, metadata: {scalerAddress: queue:9090}}",
    // Both push at the same instant: the second one finds what the first one wrote.
    "- {type: external-push, metadata: {scalerAddress: queue:9090}}\n  - {type: external-push, metadata: {scalerAddress: queue:9091}}",
];

/// What makes worlds different.
const FAULTS: [&str; 5] = [
    "",
    "faults: [{prometheusDown: {}, at: 7m, for: 3m}]",
    "faults: [{prometheusSlow: {latency: 5s}, at: 3m, for: 20m}]",
    "faults: [{scrapeLoss: {share: 0.4}, at: 2m, for: 15m}, {scrapeSlow: {latency: 12s}, at: 20m, for: 4m}]",
    "warmup: 7m\n  slo: {ttft: {p95: 3s}, e2e: {p90: 20s}}",
];

/// The value and activity of every push scaler.
fn signals(triggers: &str) -> String {
    let signal = "{value: {ramp: {from: 0, to: 12, start: 6m, end: 16m}}, active: {ramp: {from: -1, to: 1, start: 3m, end: 5m}}, target: 3}";
    let pushing = triggers.matches("external-push").count();
    let all: Vec<String> = (0..pushing).map(|index| format!("\"triggers[{index}]\": {signal}")).collect();
    if all.is_empty() { String::new() } else { format!("signals: {{triggers: {{{}}}}}", all.join(", ")) }
}

/// What members of a family of policies may have different without having different worlds.
#[derive(Clone, Debug)]
struct Policy {
    threshold: u32,
    min: u32,
    max: u32,
    polling: u32,
    cooldown: u32,
    up_window: u32,
    down_window: u32,
    down_pods: u32,
    fallback: bool,
    paused: bool,
}

fn policy() -> impl Strategy<Value = Policy> {
    let counts = (prop::sample::select(vec![25u32, 60, 61, 100, 180]), 0u32..3, 3u32..6);
    let times = (prop::sample::select(vec![10u32, 15, 30]), prop::sample::select(vec![30u32, 120, 300]));
    let windows = (prop::sample::select(vec![0u32, 30]), prop::sample::select(vec![0u32, 60, 120, 300, 301]), 1u32..3);
    (counts, times, windows, any::<bool>(), prop::bool::weighted(0.05)).prop_map(
        |((threshold, min, max), (polling, cooldown), (up_window, down_window, down_pods), fallback, paused)| Policy {
            threshold,
            min,
            max,
            polling,
            cooldown,
            up_window,
            down_window,
            down_pods,
            fallback,
            paused,
        },
    )
}

fn base() -> Policy {
    Policy {
        threshold: 60,
        min: 1,
        max: 5,
        polling: 30,
        cooldown: 300,
        up_window: 0,
        down_window: 120,
        down_pods: 1,
        fallback: false,
        paused: false,
    }
}

/// The run of `own` in the world of these numbers.
fn run_of(own: &Policy, triggers: usize, faults: usize, seed: u64) -> ResolvedRun {
    let Policy { threshold, min, max, polling, cooldown, up_window, down_window, down_pods, .. } = own;
    let triggers_text = TRIGGERS[triggers].replace("\"T\"", &format!("\"{threshold}\""));
    let fallback = if own.fallback { "fallback: {failureThreshold: 3, replicas: 2}" } else { "" };
    let paused = if own.paused { "annotations: {autoscaling.keda.sh/paused: \"true\"}" } else { "" };
    let scaled_object = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: so\n  {paused}\nspec:\n  scaleTargetRef: {{name: vllm}}\n  \
         minReplicaCount: {min}\n  maxReplicaCount: {max}\n  pollingInterval: {polling}\n  cooldownPeriod: {cooldown}\n  {fallback}\n  \
         advanced:\n    horizontalPodAutoscalerConfig:\n      behavior:\n        scaleUp: {{stabilizationWindowSeconds: {up_window}}}\n        \
         scaleDown:\n          stabilizationWindowSeconds: {down_window}\n          policies: [{{type: Pods, value: {down_pods}, periodSeconds: \
         60}}]\n  triggers:\n  {triggers_text}\n"
    );
    let signals = signals(TRIGGERS[triggers]);
    let scenario = format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n  duration: 40m\n  initialReplicas: 1\n  replica: \
         {{profile: opt-125m-cpu}}\n  traffic: {LOAD}\n  client: {{timeout: 90s}}\n  {}\n  {signals}\n",
        FAULTS[faults]
    );
    let bundle = Bundle::from_text(&[&scaled_object, DEPLOYMENT, &scenario].join("\n---\n"), "p.yaml");
    let bundle = bundle.unwrap_or_else(|found| panic!("malformed:\n{found}"));
    let overrides = Overrides { seed: Some(Seed(seed)), ..Overrides::default() };
    resolve(&bundle, &overrides).unwrap_or_else(|found| panic!("does not resolve:\n{found}"))
}

/// Each run's record on the shared world, and how many worlds there were at the end.
fn together(runs: &[ResolvedRun]) -> (Vec<RunRecord>, usize) {
    let all: Vec<&ResolvedRun> = runs.iter().collect();
    let mut records: Vec<Option<RunRecord>> = runs.iter().map(|_| None).collect();
    let mut worlds = vec![SharedWorld::new(&all).unwrap_or_else(|error| panic!("{error}"))];
    let mut ended = 0;
    while let Some(world) = worlds.pop() {
        ended += 1;
        world.run_to_end(&mut |parted| worlds.push(parted), &mut |index, record| {
            records[index] = Some(record.unwrap_or_else(|error| panic!("{error}")));
        });
    }
    (records.into_iter().map(|record| record.expect("every policy has its record")).collect(), ended)
}

/// The first line in which the records differ.
fn first_difference(alone: &RunRecord, shared: &RunRecord) -> Option<(String, String)> {
    let (alone, shared) = (format!("{alone:#?}"), format!("{shared:#?}"));
    let differing = alone.lines().zip(shared.lines()).find(|(alone, shared)| alone != shared);
    differing.map(|(alone, shared)| (alone.to_owned(), shared.to_owned()))
}

/// Compares with each run alone; returns how many worlds there were.
fn assert_as_alone(runs: &[ResolvedRun]) -> usize {
    let (records, worlds) = together(runs);
    for (number, (run, shared)) in runs.iter().zip(&records).enumerate() {
        let alone = simulate(run, false).unwrap_or_else(|error| panic!("{error}"));
        assert!(
            format!("{alone:?}") == format!("{shared:?}"),
            "policy {number} of {worlds} worlds: {:?}",
            first_difference(&alone, shared)
        );
    }
    worlds
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_shared_world_is_each_policys_own(
        policies in prop::collection::vec(policy(), 2..9),
        triggers in 0..TRIGGERS.len(),
        faults in 0..FAULTS.len(),
        seed in 1u64..1000,
    ) {
        let runs: Vec<ResolvedRun> = policies.iter().map(|own| run_of(own, triggers, faults, seed)).collect();
        // Of runs that share no world (a bound that moves the first count, say) those do that share the first one's.
        let runs: Vec<ResolvedRun> = runs.iter().filter(|run| run.shares_world_with(&runs[0])).cloned().collect();
        assert_as_alone(&runs);
    }
}

/// Thresholds part early, windows at the first way down.
#[test]
fn policies_part_when_they_write_different_scales_and_not_before() {
    let base = base();
    let run = |own: Policy| run_of(&own, 0, 0, 7);
    let windows = [0, 60, 120, 300].map(|down_window| run(Policy { down_window, ..base.clone() }));
    let of_windows = assert_as_alone(&windows);
    assert!((2..=4).contains(&of_windows), "{of_windows} worlds");
    // A cooldown is of no account where the minimum is not zero, nor is a maximum that is never asked for.
    let same = [(30, 5), (300, 5), (300, 50)].map(|(cooldown, max)| run(Policy { cooldown, max, ..base.clone() }));
    assert_eq!(assert_as_alone(&same), 1);
    let thresholds = [25, 60, 180].map(|threshold| run(Policy { threshold, ..base.clone() }));
    assert_eq!(assert_as_alone(&thresholds), 3);
}

/// Both act at the instant at which the streams push, and see their own writes.
#[test]
fn a_policy_sees_at_once_what_it_has_written() {
    let base = Policy { min: 0, cooldown: 30, ..base() };
    let runs: Vec<ResolvedRun> =
        [0, 1].map(|index| run_of(&Policy { max: 3 + index, ..base.clone() }, 6, 0, 3)).to_vec();
    assert_as_alone(&runs);
    let alone = simulate(&runs[0], false).unwrap_or_else(|error| panic!("{error}"));
    let polls = alone.decisions.iter().filter_map(|decision| match decision {
        DecisionRecord::KedaPoll(poll) => Some((poll.t, poll.spec_replicas)),
        _ => None,
    });
    let polls: Vec<(SimTime, i32)> = polls.collect();
    assert!(polls.windows(2).any(|two| two[0].0 == two[1].0 && (two[0].1, two[1].1) == (0, 1)), "{polls:?}");
}

#[test]
fn what_the_world_depends_on_is_not_shared() {
    let base = base();
    let own = run_of(&base, 0, 0, 7);
    assert!(own.shares_world_with(&run_of(&Policy { threshold: 100, polling: 10, ..base.clone() }, 0, 0, 7)));
    assert!(!own.shares_world_with(&run_of(&base, 0, 0, 8)), "another seed");
    assert!(!own.shares_world_with(&run_of(&base, 1, 0, 7)), "other queries");
    assert!(!own.shares_world_with(&run_of(&base, 0, 1, 7)), "a fault");
    assert!(!own.shares_world_with(&run_of(&base, 0, 4, 7)), "another warm-up, other objectives");
    let open_end = ResolvedRun { duration: None, ..own.clone() };
    assert!(!open_end.shares_world_with(&open_end), "its end depends on what the policy does");
    let fixed = ResolvedRun { fixed_replicas: true, ..own.clone() };
    assert!(!fixed.shares_world_with(&fixed) && !own.shares_world_with(&fixed), "nobody scales");
}

/// A grid over a threshold, a window of less than a sync period, and the scrapes, which are the world's.
#[test]
fn a_sweep_has_the_summaries_of_single_runs_and_knows_its_equal_points() {
    let axis = |path: &str, values: Vec<Value>| SweepAxis {
        path: Located::new(path.to_owned(), Span::new("s.yaml", 5, 3)),
        values,
    };
    let window = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp.stabilizationWindowSeconds";
    let text = |value: &str| Value::Str(value.to_owned());
    let sweep = SweepFile {
        name: "s".to_owned(),
        policy: Located::new(repository("policies/opt-125m"), Span::new("s.yaml", 3, 3)),
        scenario: Some(Located::new(
            repository("policies/sweeps/scenarios/near-a-step.yaml"),
            Span::new("s.yaml", 4, 3),
        )),
        signals: None,
        axes: vec![
            axis("Scenario:spec.prometheus.scrapeInterval", vec![text("15s"), text("30s")]),
            axis("spec.triggers[0].metadata.threshold", vec![text("5"), text("8")]),
            axis(window, vec![Value::Int(0), Value::Int(15), Value::Int(60)]),
        ],
        seeds: vec![1, 2],
        heatmap: None,
    };
    let outcome = run_sweep(&sweep, 2).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(outcome.points.len(), 24);
    for (index, point) in outcome.points.iter().enumerate() {
        let mut bundle = Bundle::load(&[Input::Path(repository("policies/opt-125m"))]).expect("a shipped policy");
        replace_scenario(&mut bundle, &repository("policies/sweeps/scenarios/near-a-step.yaml")).expect("shipped");
        for (axis, value) in sweep.axes.iter().zip(&point.values) {
            let typed =
                if axis.path.value == window { Value::Int(value.parse().expect("a number")) } else { text(value) };
            bundle.set(&axis.path.value, typed).expect("as the sweep does");
        }
        let overrides = Overrides { seed: Some(Seed(point.seed)), ..Overrides::default() };
        let run = resolve(&bundle, &overrides).unwrap_or_else(|found| panic!("{found}"));
        let alone = summarize(&simulate(&run, false).unwrap_or_else(|error| panic!("{error}")), &run.analysis);
        assert_eq!(format!("{:?}", point.summary), format!("{alone:?}"), "point {index}");
    }
    // A window of 15 s holds one sync, as one of 0 does; a minute holds several. Scrapes are the world's: never the same.
    let same: Vec<usize> = outcome.points.iter().step_by(2).map(|point| point.same_as / 2).collect();
    assert_eq!(same, [0, 0, 2, 3, 3, 5, 6, 6, 8, 9, 9, 11]);
    assert!(outcome.points.iter().all(|point| outcome.points[point.same_as].seed == point.seed));
}

//! Confirming causes: the same seeds again with a cause taken away, and an edit with its price (verdicts.md 2.3).

use kedasim::analysis::{Cause, summarize};
use kedasim::manifest::{Bundle, Input};
use kedasim::record::RunRecord;
use kedasim::scenario::{Overrides, replace_scenario, resolve};
use kedasim::sim::{WorldKnob, replay, simulate, simulate_with_arrivals, turn_world};
use kedasim::study::{Confirmation, MAX_RUNS, Outcome, add_confirmation, confirm};
use kedasim::units::{Severity, SimDuration};
use std::path::Path;

const DOWN: &str = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds";

/// The example policy at about 9 tokens per second, with values set.
fn near_a_step(set: &[(&str, &str)]) -> Bundle {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bundle = Bundle::load(&[Input::Path(root.join("policies/opt-125m"))]).expect("the policy loads");
    replace_scenario(&mut bundle, &root.join("policies/sweeps/scenarios/near-a-step.yaml")).expect("it loads");
    for (path, value) in set {
        bundle.set_text(path, value).unwrap_or_else(|error| panic!("{error}"));
    }
    bundle
}

fn confirmed(bundle: &Bundle, threads: usize) -> Confirmation {
    let overrides = Overrides::default();
    let run = resolve(bundle, &overrides).unwrap_or_else(|errors| panic!("{errors}"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(|| confirm(bundle, &overrides, &run)).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn noise_near_a_step_is_confirmed_and_the_edit_told_with_its_price() {
    let bundle = near_a_step(&[]);
    let found = confirmed(&bundle, 2);
    assert_eq!(found, confirmed(&bundle, 1), "threads do not matter");
    assert!(found.runs <= MAX_RUNS && found.seeds.len() == 5, "{found:?}");
    let tested = &found.tested[0];
    assert_eq!((tested.causes.as_slice(), tested.outcome), ([Cause::Noise].as_slice(), Outcome::Confirmed));
    assert!(tested.effect.before > 5.0 && tested.effect.after < 0.5, "{tested:?}");
    let edit = found.edit.as_ref().expect("a longer window is an edit");
    assert!(edit.text.ends_with("scaleDown.stabilizationWindowSeconds = 300"), "{}", edit.text);
    assert!(edit.flaps.after < 0.6 * edit.flaps.before, "{edit:?}");
    assert!(edit.replicas.difference() > 0.1, "the price: {edit:?}");

    let run = resolve(&bundle, &Overrides::default()).expect("it resolves");
    let mut summary = summarize(&simulate(&run, false).expect("it runs"), &run.analysis);
    add_confirmation(&mut summary, &found);
    let cause = summary.verdict.findings.iter().find(|own| own.code == "cause-C1").expect("it is there");
    assert_eq!(cause.severity, Severity::Warning);
    assert!(cause.message.starts_with("confirmed: "), "{}", cause.message);
    assert!(cause.evidence.iter().any(|own| own.starts_with("tried: behavior.scaleDown")), "{:?}", cause.evidence);
    assert!(!cause.evidence.iter().any(|own| own.contains("--confirm")), "{:?}", cause.evidence);
}

#[test]
fn a_cause_that_cannot_be_taken_away_is_said_to_be_untestable() {
    let gauge = [
        ("spec.triggers[0].metadata.query", "sum(vllm:num_requests_running)"),
        ("spec.triggers[0].metadata.threshold", "1"),
        (DOWN, "30"),
    ];
    let found = confirmed(&near_a_step(&gauge), 2);
    let noise = found.untested.iter().find(|(cause, _)| *cause == Cause::Noise).expect("noise is suspected");
    assert!(noise.1.contains("no sum of rates"), "{}", noise.1);
}

/// Two gauges in counterphase: each alone goes up and down once in 80 minutes, their maximum dips every 40.
const TUG: &str = "[{type: prometheus, metadata: {serverAddress: 'http://p', threshold: '5', query: sum(router_a)}}, \
                    {type: prometheus, metadata: {serverAddress: 'http://p', threshold: '5', query: sum(router_b)}}]";
const COUNTERPHASE: &str = "{series: [\
    {metric: router_a, labels: {job: router}, value: {sine: {mean: 3, amplitude: 10, period: 80m}}}, \
    {metric: router_b, labels: {job: router}, value: {sine: {mean: 3, amplitude: -10, period: 80m}}}]}";

#[test]
fn a_tug_of_two_triggers_is_confirmed_when_each_alone_is_calm() {
    let set = [
        ("spec.triggers", TUG),
        ("Scenario:spec.signals", COUNTERPHASE),
        ("Scenario:spec.duration", "7h"),
        ("Scenario:spec.traffic.arrivals.poisson.rate", "0.02"),
        (DOWN, "60"),
    ];
    let found = confirmed(&near_a_step(&set), 2);
    let tug = found.tested.iter().find(|own| own.causes == [Cause::TriggerTug]).expect("C14 is suspected");
    assert_eq!(tug.outcome, Outcome::Confirmed, "{tug:?}");
    assert!(tug.effect.before > 1.0 && tug.effect.after == 0.0, "{tug:?}");
    assert!(tug.knob.starts_with("each metric of the HPA alone, of which s"), "{}", tug.knob);
}

#[test]
fn a_tug_in_which_one_trigger_flaps_by_itself_is_rejected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bundle = Bundle::load(&[Input::Path(root.join("policies/opt-125m-ttft-kv-running"))]).expect("it loads");
    replace_scenario(&mut bundle, &root.join("policies/sweeps/scenarios/workers.yaml")).expect("it loads");
    for (path, value) in [("Scenario:spec.traffic.arrivals.closedLoop.workers", "8"), ("Scenario:spec.duration", "40m")]
    {
        bundle.set_text(path, value).expect("the path is there");
    }
    let found = confirmed(&bundle, 2);
    let tug = found.tested.iter().find(|own| own.causes == [Cause::TriggerTug]).expect("C14 is suspected");
    assert_eq!(tug.outcome, Outcome::Rejected, "{tug:?}");
    assert!(tug.knob.ends_with("of which s2-prometheus leaves most"), "{}", tug.knob);
}

#[test]
fn a_closed_loop_is_replayed_as_an_open_one_with_the_same_arrivals() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut bundle = Bundle::load(&[Input::Path(root.join("policies/opt-125m"))]).expect("it loads");
    replace_scenario(&mut bundle, &root.join("policies/sweeps/scenarios/workers.yaml")).expect("it loads");
    for (path, value) in [
        ("Scenario:spec.traffic.arrivals.closedLoop.workers", "8"),
        ("Scenario:spec.duration", "20m"),
        ("Scenario:spec.warmup", "0s"),
    ] {
        bundle.set_text(path, value).expect("the path is there");
    }
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let (closed, sent) = simulate_with_arrivals(&run, false).expect("it runs");
    assert_eq!(closed.timeline, simulate(&run, false).expect("it runs").timeline, "writing it down changes nothing");
    assert!(sent[0].len() > 50 && sent[0].len() as u64 == closed.requests.total, "{}", sent[0].len());
    let offered = |record: &RunRecord| record.timeline.rows.iter().map(|row| row.offered_rps).collect::<Vec<f64>>();
    // Ten times slower: a closed loop sends less then, its replay does not.
    let mut slow = run.clone();
    slow.router_latency = SimDuration::from_secs(20);
    let fewer = simulate(&slow, false).expect("it runs");
    assert!(fewer.requests.total * 2 < closed.requests.total, "{} of {}", fewer.requests.total, closed.requests.total);
    replay(&mut slow, &sent);
    let replayed = simulate(&slow, false).expect("it runs");
    assert!(!replayed.loop_info.load.closed_loop);
    assert_eq!(offered(&replayed), offered(&closed));
    // Answers that the clients cut short are cut in the replay too.
    let mut limited = run;
    limited.traffic[0].max_tokens = Some(20);
    let (_, sent) = simulate_with_arrivals(&limited, false).expect("it runs");
    replay(&mut limited, &sent);
    let replayed = simulate(&limited, false).expect("it runs");
    let (tokens, completed) = (replayed.tokens.generated_completed, replayed.requests.completed);
    assert!(completed > 50 && tokens <= 20 * completed, "{tokens} tokens of {completed} requests");
}

#[test]
fn a_load_that_comes_later_is_the_same_load_to_an_older_hpa() {
    let run = resolve(&near_a_step(&[("Scenario:spec.duration", "20m")]), &Overrides::default()).expect("it resolves");
    let mut later = run.clone();
    turn_world(&mut later, WorldKnob::LaterLoad);
    let (now, later) = (simulate(&run, false).expect("it runs"), simulate(&later, false).expect("it runs"));
    // The scale-down window is 120 s, rows come every 5 s.
    let offered = |record: &RunRecord| record.timeline.rows.iter().map(|row| row.offered_rps).collect::<Vec<f64>>();
    let (before, moved) = (offered(&now), offered(&later));
    assert!(before.iter().any(|rate| *rate > 0.0));
    assert_eq!((moved.len(), &moved[24..]), (before.len() + 24, before.as_slice()));
    assert!(moved[..24].iter().all(|rate| *rate == 0.0));
    assert_eq!(later.requests.total, now.requests.total, "the measured time moves with the load");
}

/// How long each started pod took, in order of creation.
fn startups(record: &RunRecord) -> Vec<SimDuration> {
    let started = record.pods.iter().filter(|pod| pod.created.as_ps() > 0);
    started.filter_map(|pod| pod.ready.map(|ready| ready.since(pod.created))).collect()
}

#[test]
fn runs_that_diverge_share_arrivals_and_start_ups() {
    let run = |set: &[(&str, &str)]| {
        let run = resolve(&near_a_step(set), &Overrides::default()).expect("it resolves");
        simulate(&run, false).expect("it runs")
    };
    let (short, long) = (run(&[]), run(&[(DOWN, "600")]));
    assert_ne!(short.events, long.events);
    assert_eq!(short.requests.total, long.requests.total);
    let offered = |record: &RunRecord| record.timeline.rows.iter().map(|row| row.offered_rps).collect::<Vec<f64>>();
    assert_eq!(offered(&short), offered(&long));
    let (short, long) = (startups(&short), startups(&long));
    assert!(long.len() > 1 && short.len() > long.len());
    // A start-up is drawn per pod; how long the Deployment takes to create it is drawn per change.
    let differs = short.iter().zip(&long).filter(|(one, other)| one != other).count();
    assert_eq!(differs, 0, "{short:?} {long:?}");
}

//! Mistakes in either side of Little's law are found; sound runs of every kind of ending are not accused.

use crate::manifest::Bundle;
use crate::scenario::{Overrides, ResolvedRun, resolve};
use crate::sim::event::Event;
use crate::sim::world::{Flight, World};
use crate::sim::{SimulateError, simulate};
use crate::units::SimTime;

const POLICY: &str = r#"apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: p}
spec:
  scaleTargetRef: {name: m-predictor}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {serverAddress: "http://prometheus:9090", query: sum(vllm:num_requests_running), threshold: "2"}
  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}
"#;

/// A run of `spec` beside the traffic and the profile that all have.
fn run_of(spec: &str, fixed_replicas: Option<i32>) -> ResolvedRun {
    let profile = "replica: {profile: opt-125m-cpu";
    let spec = if spec.contains(profile) { spec.to_owned() } else { format!("  {profile}}}\n{spec}") };
    let text =
        format!("{POLICY}---\napiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n{spec}");
    let bundle = Bundle::from_text(&text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}"));
    let overrides = Overrides { fixed_replicas, ..Overrides::default() };
    resolve(&bundle, &overrides).unwrap_or_else(|errors| panic!("{errors}"))
}

const TRAFFIC: &str = "  traffic: {arrivals: {poisson: {rate: 0.6}}, prompt: {constant: 15}, output: {geometric: {hazard: 0.01, max: 400}}}\n";

/// The world of two replicas in the middle of its traffic, with requests inside.
fn in_the_middle(run: &ResolvedRun) -> World<'_> {
    let mut world = World::new(run, true, false).unwrap_or_else(|error| panic!("{error}"));
    let mut events = Vec::new();
    while let Some((at, event)) = world.queue.pop().filter(|(at, _)| *at <= SimTime::from_secs(120)) {
        world.count_requests_until(at);
        world.now = at;
        let done = match event {
            Event::Arrival(source) => world.on_arrival(source),
            Event::EngineStepEnd(pod) | Event::EngineStepStart(pod) => world.on_engine_wake(pod, &mut events),
            _ => Ok(()),
        };
        done.unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(world.traffic.flights.len() > 3 && world.recorded.requests.completed > 20, "requests came and went");
    world
}

fn oldest<'w>(world: &'w mut World<'_>) -> &'w mut Flight {
    let key = world.traffic.flights.oldest().expect("one is on its way").key;
    world.traffic.flights.get_mut(key).expect("it is on its way")
}

fn told(world: &World<'_>) -> String {
    let Err(SimulateError::Invariant { id, message, .. }) = world.littles_law_holds() else { return String::new() };
    format!("{id}: {message}")
}

#[test]
fn runs_with_every_kind_of_ending_obey() {
    for (spec, what) in [
        ("  duration: 10m\n", "plain"),
        ("  duration: 10m\n  client: {timeout: 4s}\n", "clients that leave"),
        ("  duration: 10m\n  router: {policy: least-requests, latency: 7ms}\n", "a way to the pods"),
        (
            "  duration: 10m\n  gateway: {kind: generic, maxInFlightPerPod: 2, buffer: {max: 3, timeout: 2s}}\n",
            "a gateway",
        ),
        (
            "  duration: 15m\n  initialReplicas: 3\n  cluster: {termination: {mode: abort, preStop: 5s, graceSeconds: 60}}\n",
            "pods that are cut off",
        ),
        ("  duration: 10m\n  replica: {profile: opt-125m-cpu, maxNumSeqs: 2}\n", "a queue in the engine"),
    ] {
        let run = run_of(&format!("{spec}{TRAFFIC}"), None);
        simulate(&run, true).unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

#[test]
fn a_request_sent_a_picosecond_earlier_is_found() {
    let run = run_of(&format!("  duration: 10m\n{TRAFFIC}"), Some(2));
    let mut world = in_the_middle(&run);
    assert_eq!(told(&world), "");
    let flight = oldest(&mut world);
    flight.sent = SimTime::from_ps(flight.sent.as_ps() - 1);
    assert!(told(&world).contains("INV-8: the number of requests in the system adds up to"), "{}", told(&world));
}

#[test]
fn a_request_that_vanishes_is_found() {
    let run = run_of(&format!("  duration: 10m\n{TRAFFIC}"), Some(2));
    let mut world = in_the_middle(&run);
    let key = oldest(&mut world).key;
    world.traffic.flights.remove(key);
    assert!(told(&world).contains("in the system"), "{}", told(&world));
}

#[test]
fn a_request_on_another_pod_than_it_is_said_to_be_is_found() {
    let run = run_of(&format!("  duration: 10m\n{TRAFFIC}"), Some(2));
    let mut world = in_the_middle(&run);
    let flight = oldest(&mut world);
    let other = crate::cluster::PodId(1 - flight.pod.expect("it is on a pod").0);
    flight.pod = Some(other);
    assert!(told(&world).contains("in pod "), "{}", told(&world));
}

#[test]
fn a_count_that_is_wrong_for_a_moment_is_found() {
    let run = run_of(&format!("  duration: 10m\n{TRAFFIC}"), Some(2));
    let mut world = in_the_middle(&run);
    let pod = world.deployment.pods[0].id;
    world.router.entered(pod);
    let later = SimTime::from_ps(world.now.as_ps() + 1);
    world.count_requests_until(later);
    world.now = later;
    world.router.left(pod);
    assert!(told(&world).contains(&format!("in pod {}", pod.0)), "{}", told(&world));
    // More on a pod than its engine has inside, before any time passes.
    let mut world = in_the_middle(&run);
    world.router.entered(pod);
    assert!(told(&world).contains("in its engine"), "{}", told(&world));
}

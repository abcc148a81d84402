//! Counting, placement and stopping of a deployment's pods.

use super::*;
use crate::cluster::{DurationDistribution, Preset};
use proptest::prelude::*;

fn settings() -> ClusterSettings {
    ClusterSettings::preset(Preset::WarmGpu)
}

fn deployment(replicas: i32) -> Deployment {
    Deployment::new("llm", &settings(), Seed(4), replicas)
}

#[test]
fn a_run_begins_with_pods_that_serve() {
    let deployment = deployment(3);
    assert_eq!((deployment.status_replicas, deployment.ready_replicas()), (3, 3));
    for (index, pod) in deployment.pods.iter().enumerate() {
        assert_eq!(pod.state, PodState::Routable);
        assert!(pod.accepting);
        assert_eq!(pod.times.ready, Some(SimTime::ZERO));
        assert_eq!(pod.plan, StartupPlan::already_serving());
        assert_eq!(pod.node, Some(u32::try_from(index).expect("few pods")), "one pod per node");
        assert!(pod.name.starts_with("llm-"), "{}", pod.name);
    }
}

#[test]
fn names_and_uids_look_like_those_of_a_cluster_and_differ() {
    let deployment = deployment(200);
    let mut uids: Vec<&str> = deployment.pods.iter().map(|pod| pod.uid.as_str()).collect();
    for uid in &uids {
        let parts: Vec<usize> = uid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{uid}");
        assert_eq!(uid.as_bytes()[14], b'4', "{uid}");
    }
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), 200);
    let hash = |pod: &Pod| pod.name.rsplit_once('-').map(|(rest, _)| rest.to_owned());
    assert!(deployment.pods.iter().all(|pod| hash(pod) == hash(&deployment.pods[0])));
}

#[test]
fn a_new_pod_walks_through_its_states() {
    let mut deployment = deployment(1);
    deployment.spec_replicas = 2;
    let now = SimTime::from_secs(100);
    let change = deployment.reconcile(now);
    assert_eq!(change, DeploymentChange { created: vec![PodId(1)], deleted: vec![] });
    assert_eq!(deployment.status_replicas, 1, "the status is written later");
    deployment.update_status();
    assert_eq!((deployment.status_replicas, deployment.ready_replicas()), (2, 1));
    let id = PodId(1);
    let plan = deployment.pod(id).expect("it exists").plan;
    for (state, at) in [
        (PodState::Starting, plan.scheduled),
        (PodState::Loading, plan.loading),
        (PodState::Listening, plan.listening),
        (PodState::Ready, plan.ready),
    ] {
        deployment.enter(id, state, at);
    }
    let pod = deployment.pod(id).expect("it exists");
    assert!(pod.accepting && pod.is_ready());
    deployment.enter(id, PodState::Routable, plan.routable);
}

#[test]
fn a_pod_without_a_node_is_gone_at_once() {
    let mut deployment = deployment(1);
    deployment.spec_replicas = 2;
    deployment.reconcile(SimTime::from_secs(1));
    deployment.spec_replicas = 1;
    let change = deployment.reconcile(SimTime::from_secs(2));
    assert_eq!(change.deleted, [PodId(1)]);
    assert!(deployment.pod(PodId(1)).is_none());
    let gone = &deployment.gone()[0];
    assert_eq!((gone.times.deleted, gone.times.gone), (Some(SimTime::from_secs(2)), Some(SimTime::from_secs(2))));
}

#[test]
fn a_terminating_pod_leaves_the_status_but_keeps_its_node() {
    let mut settings = settings();
    settings.pods_per_node = 2;
    let mut deployment = Deployment::new("llm", &settings, Seed(4), 2);
    deployment.spec_replicas = 1;
    let victim = deployment.reconcile(SimTime::from_secs(5)).deleted[0];
    deployment.update_status();
    assert_eq!((deployment.status_replicas, deployment.ready_replicas()), (1, 1));
    deployment.stop_accepting(victim);
    let pod = deployment.pod(victim).expect("it terminates");
    assert!(!pod.accepting);
    // Node 0 is full until the victim is gone, so the next pod opens node 1.
    deployment.spec_replicas = 2;
    let second = deployment.reconcile(SimTime::from_secs(6)).created[0];
    deployment.enter(second, PodState::Starting, SimTime::from_secs(7));
    assert_eq!(deployment.pod(second).and_then(|pod| pod.node), Some(1));
    // Once it is gone both nodes have room and one active pod each: the lower number wins.
    deployment.enter(victim, PodState::Gone, SimTime::from_secs(8));
    deployment.spec_replicas = 3;
    let third = deployment.reconcile(SimTime::from_secs(9)).created[0];
    deployment.enter(third, PodState::Starting, SimTime::from_secs(10));
    assert_eq!(deployment.pod(third).and_then(|pod| pod.node), Some(0));
}

#[test]
fn pods_share_nodes_up_to_their_room() {
    let mut settings = settings();
    settings.pods_per_node = 4;
    let nodes: Vec<_> = Deployment::new("llm", &settings, Seed(1), 6).pods.iter().map(|pod| pod.node).collect();
    assert_eq!(nodes, [Some(0), Some(0), Some(0), Some(0), Some(1), Some(1)]);
}

#[test]
#[should_panic(expected = "cannot go from Routable to Loading")]
fn a_pod_never_goes_back() {
    deployment(1).enter(PodId(0), PodState::Loading, SimTime::from_secs(1));
}

#[test]
fn stops_follow_grace_and_pre_stop() {
    // grace, preStop, TERM after the delete, KILL after the TERM, in milliseconds; kubelet takes 0.1 s.
    let table = [
        (30_000, 0, 100, 30_000),         // plain vllm serve
        (60_000, 15_000, 15_100, 45_000), // LLMInferenceService
        (30_000, 35_000, 30_100, 2_000),  // the hook is cut at the grace period
        (30_000, 10_900, 11_000, 20_000), // only whole seconds are subtracted
        (30_000, 29_000, 29_100, 2_000),  // never less than 2 s
    ];
    for (grace, pre_stop, term_after, kill_after) in table {
        let mut settings = settings();
        settings.termination.grace = SimDuration::from_millis(grace);
        settings.termination.pre_stop = SimDuration::from_millis(pre_stop);
        settings.termination.kubelet_latency = DurationDistribution::Constant(SimDuration::from_millis(100));
        settings.startup.endpoints = DurationDistribution::Constant(SimDuration::from_millis(700));
        let mut deployment = Deployment::new("llm", &settings, Seed(4), 1);
        let now = SimTime::from_secs(50);
        let (unrouted, term, kill) = deployment.termination_plan(PodId(0), now);
        let since = |later: SimTime, earlier: SimTime| later.since(earlier).as_millis_floor();
        assert_eq!(since(unrouted, now), 700);
        assert_eq!((since(term, now), since(kill, term)), (term_after, kill_after), "grace {grace} preStop {pre_stop}");
    }
}

#[test]
fn draws_of_a_stop_belong_to_the_pod_and_those_of_a_change_to_the_change() {
    let mut deployment = deployment(2);
    let now = SimTime::from_secs(1);
    let first = deployment.termination_plan(PodId(0), now);
    let other = deployment.termination_plan(PodId(1), now);
    assert_ne!(first, other);
    assert_eq!(deployment.termination_plan(PodId(0), now), first);
    assert_eq!(deployment.cleanup_delay(PodId(1)), deployment.cleanup_delay(PodId(1)));
    assert_ne!(deployment.latencies(), deployment.latencies());
}

#[test]
fn start_up_draws_of_a_pod_do_not_depend_on_what_happened_before() {
    let mut quiet = deployment(1);
    quiet.spec_replicas = 3;
    quiet.reconcile(SimTime::from_secs(100));
    let mut busy = deployment(1);
    busy.spec_replicas = 2;
    busy.reconcile(SimTime::from_secs(10));
    busy.latencies();
    busy.spec_replicas = 3;
    busy.reconcile(SimTime::from_secs(100));
    assert_eq!(quiet.pod(PodId(2)), busy.pod(PodId(2)));
}

proptest! {
    #[test]
    fn after_a_reconcile_the_active_pods_are_those_wanted(
        steps in proptest::collection::vec((0..20i32, any::<u8>()), 1..40), per_node in 1..4u32
    ) {
        let mut settings = settings();
        settings.pods_per_node = per_node;
        let mut deployment = Deployment::new("llm", &settings, Seed(8), 2);
        for (step, (wanted, advance)) in (1u64..).zip(steps) {
            let now = SimTime::from_secs(step * 10);
            // Some pods take a step of their lives between two syncs.
            let ids: Vec<(PodId, PodState)> = deployment.pods.iter().map(|pod| (pod.id, pod.state)).collect();
            for (id, state) in ids.into_iter().filter(|(id, _)| (u32::from(advance) >> (id.0 % 8)) & 1 == 1) {
                let next = [PodState::Starting, PodState::Loading, PodState::Listening, PodState::Ready,
                    PodState::Routable, PodState::Gone].into_iter().find(|next| {
                        state.may_become(*next) && !(state == PodState::Unscheduled && *next == PodState::Gone)
                    });
                if let Some(next) = next {
                    deployment.enter(id, next, now);
                }
            }
            let before = deployment.pods.iter().filter(|pod| pod.is_active()).count();
            deployment.spec_replicas = wanted;
            let change = deployment.reconcile(now);
            let after = deployment.pods.iter().filter(|pod| pod.is_active()).count();
            prop_assert_eq!(i32::try_from(after), Ok(wanted));
            prop_assert_eq!(before + change.created.len() - change.deleted.len(), after);
            prop_assert!(change.created.is_empty() || change.deleted.is_empty());
            deployment.update_status();
            prop_assert!(deployment.ready_replicas() <= deployment.status_replicas);
            prop_assert!(deployment.reconcile(now).created.is_empty(), "a second sync has nothing to do");
            for node in deployment.pods.iter().filter_map(|pod| pod.node) {
                let there = deployment.pods.iter().filter(|pod| pod.node == Some(node)).count();
                prop_assert!(there <= per_node as usize);
            }
        }
    }
}

//! The worked cases of cluster.md 1.5 that concern what is modelled, and the law of rules 1 to 5.

use super::*;
use crate::cluster::{PodTimes, StartupPlan};
use crate::units::Seed;
use proptest::prelude::*;

const NOW: SimTime = SimTime::from_secs(20_000);

/// A pod Ready for `seconds`; UIDs rise with the number unless changed.
fn ready_for(id: u32, node: u32, seconds: u64) -> Pod {
    let since = SimTime::from_secs(20_000 - seconds);
    Pod {
        id: PodId(id),
        name: format!("pod-{id}"),
        uid: format!("uid-{id}"),
        node: Some(node),
        state: PodState::Routable,
        times: PodTimes { created: SimTime::ZERO, scheduled: Some(since), ready: Some(since), ..PodTimes::default() },
        plan: StartupPlan::already_serving(),
        accepting: true,
    }
}

fn in_state(id: u32, node: Option<u32>, state: PodState) -> Pod {
    let mut pod = ready_for(id, 0, 1);
    pod.node = node;
    pod.state = state;
    pod.times.ready = None;
    pod
}

/// The victims over many shuffles, which must agree.
fn victims(pods: &[Pod], count: usize) -> Vec<u32> {
    let once = |stream: u64| {
        let mut ids: Vec<u32> =
            pods_to_delete(pods, count, NOW, &mut Seed(1).stream("test", stream)).iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    };
    let first = once(0);
    for stream in 1..50 {
        assert_eq!(once(stream), first, "the order of the input must not matter here");
    }
    first
}

#[test]
fn the_younger_bucket_dies() {
    // 30 s is bucket 34, 45 s is bucket 35.
    assert_eq!(age_bucket(SimTime::from_secs(20_000 - 30), NOW), 34);
    assert_eq!(age_bucket(SimTime::from_secs(20_000 - 45), NOW), 35);
    assert_eq!(victims(&[ready_for(0, 0, 45), ready_for(1, 1, 30)], 1), [1]);
    assert_eq!(age_bucket(NOW, NOW), -1);
}

#[test]
fn inside_a_bucket_the_smaller_uid_dies() {
    // 700 s and 1000 s are both bucket 39.
    assert_eq!(age_bucket(SimTime::from_secs(20_000 - 700), NOW), age_bucket(SimTime::from_secs(19_000), NOW));
    let mut pods = [ready_for(0, 0, 700), ready_for(1, 1, 1000)];
    assert_eq!(victims(&pods, 1), [0]);
    pods[0].uid = "uid-9".to_owned();
    assert_eq!(victims(&pods, 1), [1]);
}

#[test]
fn starting_pods_die_before_serving_ones() {
    let pods =
        [ready_for(0, 0, 3600), in_state(1, Some(1), PodState::Starting), in_state(2, None, PodState::Unscheduled)];
    assert_eq!(victims(&pods, 1), [2]);
    assert_eq!(victims(&pods, 2), [1, 2]);
}

#[test]
fn each_earlier_state_dies_first() {
    // No node, then Pending, then Running but not Ready, then Ready.
    let states = [
        in_state(0, None, PodState::Unscheduled),
        in_state(1, Some(1), PodState::Starting),
        in_state(2, Some(2), PodState::Listening),
        ready_for(3, 3, 5),
    ];
    for count in 1..4usize {
        let expected: Vec<u32> = (0..u32::try_from(count).expect("small")).collect();
        assert_eq!(victims(&states, count), expected);
    }
}

#[test]
fn the_fullest_node_loses_before_age_counts() {
    // n1 holds P1 (2 h, bucket 42) and P2 (3 h, bucket 43); n2 holds P3 (20 s).
    assert_eq!(victims(&[ready_for(1, 1, 7200), ready_for(2, 1, 10_800), ready_for(3, 2, 20)], 1), [1]);
}

#[test]
fn age_is_that_of_the_ready_condition() {
    let mut flapped = ready_for(1, 1, 20);
    flapped.times.created = SimTime::from_secs(20_000 - 3 * 3600);
    let mut steady = ready_for(0, 0, 3600);
    steady.times.created = SimTime::from_secs(20_000 - 3700);
    assert_eq!(victims(&[steady, flapped], 1), [1]);
}

#[test]
fn equal_seconds_fall_through_to_creation_and_then_to_chance() {
    let (mut old, mut young) = (ready_for(0, 0, 100), ready_for(1, 1, 100));
    young.times.created = SimTime::from_secs(19_000);
    // Ready within the same second although not at the same instant.
    old.times.ready = Some(SimTime::from_millis(19_900_800));
    assert_eq!(victims(&[old.clone(), young.clone()], 1), [1]);
    young.times.created = old.times.created;
    let pods = [old, young];
    let hits =
        (0..1000).filter(|n| pods_to_delete(&pods, 1, NOW, &mut Seed(1).stream("test", *n)) == [PodId(0)]).count();
    assert!((400..600).contains(&hits), "{hits}");
}

#[test]
fn all_means_all_and_terminating_pods_are_no_candidates() {
    let mut pods = vec![ready_for(0, 0, 10), ready_for(1, 1, 20), ready_for(2, 2, 5)];
    pods[2].state = PodState::Terminating;
    assert_eq!(victims(&pods, 2), [0, 1]);
    assert_eq!(victims(&pods, 5), [0, 1]);
    assert_eq!(victims(&pods, 1), [0]);
    assert!(victims(&pods, 0).is_empty());
}

fn any_pod() -> impl Strategy<Value = (u8, Option<u32>, u64, u64)> {
    (0..7u8, proptest::option::weighted(0.8, 0..4u32), 0..15_000u64, 0..4000u64)
}

proptest! {
    #[test]
    fn no_survivor_is_preferred_by_the_rules_before_age(
        raw in proptest::collection::vec(any_pod(), 1..40), wanted in 0..40usize, seed in any::<u64>()
    ) {
        let states = [PodState::Starting, PodState::Loading, PodState::Listening, PodState::Ready,
            PodState::Routable, PodState::Terminating, PodState::Routable];
        let pods: Vec<Pod> = raw.iter().enumerate().map(|(index, (state, node, ready, created))| {
            let id = u32::try_from(index).expect("few pods");
            let state = if node.is_none() { PodState::Unscheduled } else { states[usize::from(*state)] };
            let mut pod = if state >= PodState::Ready { ready_for(id, 0, *ready) } else { in_state(id, *node, state) };
            pod.node = *node;
            pod.state = state;
            pod.uid = format!("{:08x}", id.wrapping_mul(2_654_435_761));
            pod.times.created = SimTime::from_secs(*created);
            pod
        }).collect();
        let active: Vec<&Pod> = pods.iter().filter(|pod| pod.is_active()).collect();
        let chosen = pods_to_delete(&pods, wanted, NOW, &mut Seed(seed).stream("test", 0));
        prop_assert_eq!(chosen.len(), wanted.min(active.len()));
        let class = |pod: &Pod| {
            let rank = active.iter().filter(|other| pod.node.is_some() && other.node == pod.node).count();
            (pod.node.is_some(), pod.state >= PodState::Loading, pod.is_ready(), std::cmp::Reverse(rank))
        };
        let worst_victim = active.iter().filter(|pod| chosen.contains(&pod.id)).map(|pod| class(pod)).max();
        let best_survivor = active.iter().filter(|pod| !chosen.contains(&pod.id)).map(|pod| class(pod)).min();
        if let (Some(victim), Some(survivor)) = (worst_victim, best_survivor) {
            prop_assert!(victim <= survivor);
        }
    }
}

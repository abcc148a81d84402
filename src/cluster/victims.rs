//! Which pods a scale-down deletes (`controller_utils.go`, `ActivePodsWithRanks.Less`; cluster.md 1.5).
//!
//! Load is never looked at. The order is not a strict weak one (same age bucket falls to the UID, same second does
//! not), so no library sort may be used: an insertion sort, which is what Go runs up to 12 pods, gives upstream's
//! result there and a valid one above.

use crate::cluster::{Pod, PodId, PodState};
use crate::units::{SimTime, Stream};
use std::collections::BTreeMap;

/// What the comparison looks at, read once per call as upstream does. Rules without a field (deletion cost, restarts)
/// concern things that are not modelled and never differ.
#[derive(Clone, Copy, Debug)]
struct Candidate<'pods> {
    pod: &'pods Pod,
    /// Active pods of the deployment on this pod's node, itself included; 0 without a node.
    rank: usize,
}

/// The first `count` active pods in upstream's deletion order at `now`. Input order upstream is random: shuffled with
/// `stream` first. All active pods, unsorted, when `count` reaches their number.
pub fn pods_to_delete(pods: &[Pod], count: usize, now: SimTime, stream: &mut Stream) -> Vec<PodId> {
    let active: Vec<&Pod> = pods.iter().filter(|pod| pod.is_active()).collect();
    if count >= active.len() {
        return active.iter().map(|pod| pod.id).collect();
    }
    let mut on_node: BTreeMap<u32, usize> = BTreeMap::new();
    for node in active.iter().filter_map(|pod| pod.node) {
        *on_node.entry(node).or_default() += 1;
    }
    let mut candidates: Vec<Candidate<'_>> =
        active.into_iter().map(|pod| Candidate { pod, rank: pod.node.map_or(0, |node| on_node[&node]) }).collect();
    shuffle(&mut candidates, stream);
    insertion_sort(&mut candidates, now);
    candidates[..count].iter().map(|candidate| candidate.pod.id).collect()
}

/// Fisher and Yates, from the end.
fn shuffle(candidates: &mut [Candidate<'_>], stream: &mut Stream) {
    for last in (1..candidates.len()).rev() {
        let other = stream.below(last as u64 + 1) as usize;
        candidates.swap(last, other);
    }
}

fn insertion_sort(candidates: &mut [Candidate<'_>], now: SimTime) {
    for end in 1..candidates.len() {
        let mut place = end;
        while place > 0 && dies_first(&candidates[place], &candidates[place - 1], now) {
            candidates.swap(place, place - 1);
            place -= 1;
        }
    }
}

/// Whether `left` is deleted before `right`: the first rule that differs decides.
fn dies_first(left: &Candidate<'_>, right: &Candidate<'_>, now: SimTime) -> bool {
    if let Some(answer) = before_age(left, right) {
        return answer;
    }
    let (left, right) = (left.pod, right.pod);
    if let (true, Some(left_ready), Some(right_ready)) = (left.is_ready(), left.times.ready, right.times.ready)
        && left_ready.as_secs_floor() != right_ready.as_secs_floor()
    {
        return younger_or_smaller_uid(left, left_ready, right, right_ready, now);
    }
    if left.times.created.as_secs_floor() != right.times.created.as_secs_floor() {
        return younger_or_smaller_uid(left, left.times.created, right, right.times.created, now);
    }
    false
}

/// Rules 1 to 5: no node, earlier phase, not Ready, fuller node. `None` when they do not differ.
fn before_age(left: &Candidate<'_>, right: &Candidate<'_>) -> Option<bool> {
    let key = |candidate: &Candidate<'_>| {
        let pod = candidate.pod;
        (pod.node.is_some(), is_running(pod), pod.is_ready(), std::cmp::Reverse(candidate.rank))
    };
    let (left, right) = (key(left), key(right));
    (left != right).then_some(left < right)
}

/// Phase Running: the container runs.
fn is_running(pod: &Pod) -> bool {
    pod.state >= PodState::Loading
}

/// Rules 6 and 8: the smaller age bucket dies; inside a bucket the smaller UID.
fn younger_or_smaller_uid(left: &Pod, left_since: SimTime, right: &Pod, right_since: SimTime, now: SimTime) -> bool {
    let (left_bucket, right_bucket) = (age_bucket(left_since, now), age_bucket(right_since, now));
    if left_bucket == right_bucket { left.uid < right.uid } else { left_bucket < right_bucket }
}

/// floor(log2(age in ns)), -1 for no age. `since` is an API time stamp of whole seconds, `now` is not.
fn age_bucket(since: SimTime, now: SimTime) -> i32 {
    let nanos = now.saturating_since(since.floor_to_second()).as_ps() / 1000;
    nanos.checked_ilog2().map_or(-1, |bucket| i32::try_from(bucket).expect("a logarithm of 64 bits is small"))
}

#[cfg(test)]
#[path = "victims_tests.rs"]
mod tests;

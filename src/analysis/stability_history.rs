//! How the replica count of one run ends under a steady load: at rest, in a cycle, or still on its way (verdicts.md 3.2).

use crate::record::{EventKind, RunRecord};
use crate::units::{SimDuration, SimTime};

/// How a replica count ends.
#[derive(Clone, Debug, PartialEq)]
pub enum LoopEnd {
    /// It does not move any more.
    Settled(i32),
    /// It goes up and down for as long as one looks.
    Cycle(ReplicaCycle),
    /// It still moves in one direction.
    Moving {
        /// The count at the beginning of the recorded part.
        from: i32,
        /// The count at its end.
        to: i32,
    },
}

/// A replica count that goes up and down.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaCycle {
    /// The counts visited, ascending.
    pub counts: Vec<i32>,
    /// Mean distance between the beginnings of successive moves upwards; `None` when fewer than two were seen.
    pub period: Option<SimDuration>,
}

impl LoopEnd {
    /// The counts visited, ascending.
    pub fn counts(&self) -> Vec<i32> {
        match self {
            LoopEnd::Settled(count) => vec![*count],
            LoopEnd::Cycle(cycle) => cycle.counts.clone(),
            LoopEnd::Moving { from, to } => vec![(*from).min(*to), (*from).max(*to)],
        }
    }
}

/// The writes of `spec.replicas` after `from`, and the count at `from`.
fn writes(record: &RunRecord, from: SimTime) -> (i32, Vec<(SimTime, i32)>) {
    let mut start = record.info.initial_replicas;
    let mut after = Vec::new();
    for event in &record.events {
        let EventKind::Scaled { to, .. } = event.kind else { continue };
        if event.t <= from {
            start = to;
        } else if after.last().map_or(start, |(_, count)| *count) != to {
            after.push((event.t, to));
        }
    }
    (start, after)
}

/// How `record` ends, judged by what it did after `from`.
pub fn loop_end(record: &RunRecord, from: SimTime) -> LoopEnd {
    let (start, writes) = writes(record, from);
    let mut before = start;
    let (mut ups, mut downs) = (Vec::new(), 0);
    let mut was_up = false;
    for (t, count) in &writes {
        let is_up = *count > before;
        if is_up && !was_up {
            ups.push(*t);
        }
        downs += u32::from(!is_up);
        (was_up, before) = (is_up, *count);
    }
    match (ups.first().zip(ups.last()), downs) {
        (None, 0) => LoopEnd::Settled(start),
        (None, _) | (Some(_), 0) => LoopEnd::Moving { from: start, to: before },
        (Some((first, last)), _) => {
            let mut counts: Vec<i32> = writes.iter().map(|(_, count)| *count).collect();
            counts.push(start);
            counts.sort_unstable();
            counts.dedup();
            let cycles = ups.len() as u64 - 1;
            let period = (cycles > 0).then(|| SimDuration::from_ps(last.since(*first).as_ps() / cycles));
            LoopEnd::Cycle(ReplicaCycle { counts, period })
        }
    }
}

/// The counts that `record` had after `from`, ascending, each with its share of the time.
pub fn replica_shares(record: &RunRecord, from: SimTime) -> Vec<(i32, f64)> {
    let (mut count, writes) = writes(record, from);
    let mut since = from;
    let mut times: std::collections::BTreeMap<i32, u64> = std::collections::BTreeMap::new();
    let end = record.info.end.max(from);
    for (t, to) in writes.into_iter().chain([(end, 0)]) {
        *times.entry(count).or_default() += t.saturating_since(since).as_ps();
        (since, count) = (t, to);
    }
    let whole = times.values().sum::<u64>().max(1) as f64;
    times.into_iter().filter(|(_, time)| *time > 0).map(|(count, time)| (count, time as f64 / whole)).collect()
}

//! GPU-hours on pod basis (cluster.md 3.3): billed = starting + serving + idle + draining, exact in clock units.
//!
//! Only the measured interval counts, like every other figure: each phase is clipped to it.

use crate::analysis::churn::{Start, StartFate, match_starts};
use crate::analysis::flapping::{flap_window, measured, scale_events};
use crate::record::{EventKind, PodRecord, RunRecord};
use crate::units::{SimDuration, SimTime};

/// Hours of pods, weighted by GPUs per replica (GPU-hours) or by 1 (replica-hours).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GpuHours {
    /// Bound to a node until gone.
    pub billed: f64,
    /// Bound and not Ready.
    pub starting: f64,
    /// Ready with at least one request inside.
    pub serving: f64,
    /// Ready with none.
    pub idle: f64,
    /// Deletion timestamp until gone.
    pub draining: f64,
    /// Thrown away by flapping (verdicts.md 5.1).
    pub wasted_by_flapping: f64,
}

/// Phases of one pod in clock units.
#[derive(Clone, Copy, Debug, Default)]
struct Phases {
    billed: SimDuration,
    starting: SimDuration,
    serving: SimDuration,
    idle: SimDuration,
    draining: SimDuration,
}

/// Hours of `record`'s pods times `weight` (GPUs per replica, or 1 for replica-hours); pods that are still there are
/// billed until the run's end. Waste is judged with the default flap window.
pub fn gpu_hours(record: &RunRecord, weight: u32) -> GpuHours {
    gpu_hours_with_window(record, weight, flap_window(record.info.startup_p50))
}

/// As [`gpu_hours`], with the flap window given.
pub fn gpu_hours_with_window(record: &RunRecord, weight: u32, window: SimDuration) -> GpuHours {
    let (start, _) = measured(record);
    let phases: Vec<Phases> = record.pods.iter().map(|pod| phases(pod, start, record.info.end)).collect();
    let total = |part: fn(&Phases) -> SimDuration| hours(phases.iter().map(part), weight);
    GpuHours {
        billed: total(|pod| pod.billed),
        starting: total(|pod| pod.starting),
        serving: total(|pod| pod.serving),
        idle: total(|pod| pod.idle),
        draining: total(|pod| pod.draining),
        wasted_by_flapping: hours(wasted(record, &phases, window).into_iter(), weight),
    }
}

fn hours(parts: impl Iterator<Item = SimDuration>, weight: u32) -> f64 {
    let ps: u128 = parts.map(|part| u128::from(part.as_ps())).sum::<u128>() * u128::from(weight);
    ps as f64 / 3.6e15
}

/// The phases of a pod's life within `start..end`.
fn phases(pod: &PodRecord, start: SimTime, end: SimTime) -> Phases {
    let Some(scheduled) = pod.scheduled.filter(|scheduled| *scheduled <= end) else { return Phases::default() };
    let gone = pod.gone.unwrap_or(end).min(end).max(scheduled);
    let deleted = pod.deleted.unwrap_or(gone).clamp(scheduled, gone);
    let ready = pod.ready.unwrap_or(deleted).clamp(scheduled, deleted);
    let in_warmup = start.min(deleted).saturating_since(ready);
    let [scheduled, ready, deleted, gone] = [scheduled, ready, deleted, gone].map(|t| t.max(start));
    let ready_time = deleted.since(ready);
    let serving = busy_part(pod.busy_while_ready, in_warmup, ready_time);
    let phases = Phases {
        billed: gone.since(scheduled),
        starting: ready.since(scheduled),
        serving,
        idle: ready_time - serving,
        draining: gone.since(deleted),
    };
    assert!(
        phases.billed == phases.starting + phases.serving + phases.idle + phases.draining,
        "pod {}: billed time is the sum of its phases",
        pod.name
    );
    phases
}

/// Of `busy`, which a pod spent in `before` + `after`: what falls into `after`, by shares where the warm-up cuts the pod's
/// life, since the record does not tell when it was busy.
fn busy_part(busy: SimDuration, before: SimDuration, after: SimDuration) -> SimDuration {
    let whole = u128::from(before.as_ps()) + u128::from(after.as_ps());
    if before.is_zero() || whole == 0 {
        return busy.min(after);
    }
    let share = u128::from(busy.as_ps()) * u128::from(after.as_ps()) / whole;
    SimDuration::from_ps(u64::try_from(share).expect("a part of a duration")).min(after)
}

/// Per churned start: a short-lived one's whole billed life, a regretted one's start (verdicts.md 5.1).
fn wasted(record: &RunRecord, phases: &[Phases], window: SimDuration) -> Vec<SimDuration> {
    let (warmup_end, _) = measured(record);
    let events = scale_events(record);
    let starts = match_starts(&events, warmup_end, record.info.end, window);
    let pods = pods_of_starts(record, &starts);
    let waste = |(start, pod): (&Start, Option<usize>)| {
        let pod = pod.filter(|_| start.measured)?;
        match start.fate {
            StartFate::ShortLived => Some(short_life(&record.pods[pod], phases[pod], start)),
            StartFate::Regretted => Some(phases[pod].starting),
            StartFate::Censored | StartFate::Kept => None,
        }
    };
    starts.iter().zip(pods).filter_map(waste).collect()
}

/// The billed life of a short-lived start's pod. When the ReplicaSet stopped another pod in its stead, that start cost what
/// the pod was billed until the removal.
fn short_life(pod: &PodRecord, phases: Phases, start: &Start) -> SimDuration {
    let removed = start.removed.unwrap_or(SimTime::NEVER);
    let stopped_for_it =
        pod.deleted.is_some_and(|deleted| deleted.saturating_since(removed) < SimDuration::from_secs(60));
    match pod.scheduled {
        Some(scheduled) if !stopped_for_it => removed.saturating_since(scheduled).min(phases.billed),
        _ => phases.billed,
    }
}

/// The pod of each start: pods in order of creation, those of the initial count and of the set-up passed over.
fn pods_of_starts(record: &RunRecord, starts: &[Start]) -> Vec<Option<usize>> {
    // Replacements of pods that were not scaled away would shift the pairing, so a pod belongs to the latest start before it.
    let first_start = starts.first().map_or(SimTime::NEVER, |start| start.t);
    let set_up = record.events.iter().filter(|event| event.t <= first_start).filter_map(|event| match event.kind {
        EventKind::Scaled { from, to, .. } if to > from && event.t < first_start => usize::try_from(to - from).ok(),
        _ => None,
    });
    let initial = usize::try_from(record.info.initial_replicas).unwrap_or(0) + set_up.sum::<usize>();
    let mut free = (0..record.pods.len()).skip(initial).peekable();
    let pod_of = |start: &Start| {
        while free.next_if(|&index| record.pods[index].created < start.t).is_some() {}
        free.next()
    };
    starts.iter().map(pod_of).collect()
}

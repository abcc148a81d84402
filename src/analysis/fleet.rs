//! Key figures of the fleet: ready replicas, start-up times, queue and cache as means over time.

use crate::analysis::flapping::measured;
use crate::record::{PodRecord, RunRecord};
use crate::units::SimTime;

/// See the fields; all over the measured interval.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FleetFigures {
    /// Most pods Ready at once.
    pub max_ready: u32,
    /// Mean over time of the mean KV-cache usage of ready pods, 0..1; `None` when none was ready.
    pub kv_usage: Option<f64>,
    /// Mean of requests waiting in engines or held by the gateway.
    pub queue: Option<f64>,
    /// Mean of requests waiting in engines.
    pub engine_queue: Option<f64>,
    /// Mean time from created to Ready, seconds, of pods that became Ready; `None` without any. Pods that are there from the
    /// start did not start.
    pub startup_seconds: Option<f64>,
    /// Pods created that were deleted before they were Ready.
    pub never_ready: u64,
}

pub(super) fn fleet_figures(record: &RunRecord) -> FleetFigures {
    let (start, _) = measured(record);
    let started = |pod: &&PodRecord| pod.created > SimTime::ZERO || pod.ready.is_none_or(|ready| ready > pod.created);
    let startups: Vec<f64> = record
        .pods
        .iter()
        .filter(started)
        .filter_map(|pod| {
            pod.ready.filter(|ready| (start..=record.info.end).contains(ready)).map(|ready| ready.since(pod.created))
        })
        .map(crate::units::SimDuration::as_secs_f64)
        .collect();
    let never_ready =
        |pod: &&PodRecord| pod.ready.is_none() && pod.deleted.or(pod.gone).is_some_and(|end| end >= start);
    FleetFigures {
        max_ready: max_ready(record),
        kv_usage: record.fleet.mean_kv_usage(),
        queue: record.fleet.mean_queue(),
        engine_queue: record.fleet.mean_waiting(),
        startup_seconds: crate::analysis::statistics::mean(&startups),
        never_ready: record.pods.iter().filter(never_ready).count() as u64,
    }
}

/// Most pods that were Ready and not deleted at once.
fn max_ready(record: &RunRecord) -> u32 {
    let (start, _) = measured(record);
    let end = record.info.end;
    let mut changes: Vec<(SimTime, i64)> = Vec::new();
    for pod in &record.pods {
        let Some(ready) = pod.ready.filter(|ready| *ready <= end) else { continue };
        let until = pod.deleted.or(pod.gone);
        if until.is_some_and(|until| until <= start.max(ready)) {
            continue;
        }
        changes.push((ready.max(start), 1));
        changes.extend(until.map(|until| (until, -1)));
    }
    // One that goes at the instant at which another comes is gone.
    changes.sort_unstable();
    let (mut now, mut most) = (0i64, 0i64);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    u32::try_from(most).unwrap_or(u32::MAX)
}

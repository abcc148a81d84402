//! Changes of the world that no deployment could make, for telling a cause from a suspicion (verdicts.md 2.3).

use crate::cluster::{DurationDistribution, StartupPlan, StartupSettings};
use crate::scenario::ResolvedRun;
use crate::traffic::{Arrivals, Trace, TraceRow};
use crate::units::{SimDuration, SimTime};
use std::sync::Arc;

/// How much more a replica can do in the world without saturation.
pub const MORE_CAPACITY: u32 = 10;

/// A change of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorldKnob {
    /// The token counters grow at their expected rate: run it by [`crate::sim::simulate_expected`].
    ExpectedCounters,
    /// Pods are ready at once.
    NoStartup,
    /// Status follows spec at once.
    NoStatusLatency,
    /// [`MORE_CAPACITY`] times the capacity per replica.
    MoreCapacity,
    /// A tolerance of 0.3 in both directions.
    WideTolerance,
    /// Nothing is ever out of order.
    NoFaults,
    /// The HPA listens to its metric at this place alone; KEDA's activation still sees all triggers.
    OneMetric(usize),
    /// Closed-loop clients send what they sent in the run before, at the same instants, whatever answers take: see [`replay`].
    OpenReplay,
    /// The load comes one scale-down window later, and the measured time with it: the HPA has watched for its window by then.
    LaterLoad,
}

/// Turns `knob` in `run`; the expected counters need no change of it, and what is replayed differs from seed to seed.
pub fn turn_world(run: &mut ResolvedRun, knob: WorldKnob) {
    match knob {
        WorldKnob::ExpectedCounters | WorldKnob::OpenReplay => {}
        WorldKnob::NoStartup => fix_startup(run, SimDuration::ZERO),
        WorldKnob::NoStatusLatency => {
            run.cluster.create_latency = DurationDistribution::ZERO;
            run.cluster.status_latency = DurationDistribution::ZERO;
        }
        WorldKnob::MoreCapacity => run.engine = Arc::new(run.engine.with_capacity(MORE_CAPACITY)),
        WorldKnob::WideTolerance => {
            run.kubernetes.flags.tolerance = 0.3;
            if let Some((up, down)) = &mut run.kubernetes.hpa.behavior {
                up.tolerance = None;
                down.tolerance = None;
            }
        }
        WorldKnob::NoFaults => run.faults.clear(),
        WorldKnob::OneMetric(place) => {
            let hpa = &mut run.kubernetes.hpa;
            hpa.metrics = vec![hpa.metrics.swap_remove(place)];
            run.kubernetes.sources = vec![run.kubernetes.sources.swap_remove(place)];
        }
        WorldKnob::LaterLoad => {
            let window = run.kubernetes.hpa.behavior.as_ref().map(|(_, down)| down.stabilization_window);
            let later = window.unwrap_or(run.kubernetes.flags.downscale_stabilization);
            for source in &mut run.traffic {
                source.start = source.start.saturating_add(later);
                source.stop = source.stop.saturating_add(later);
            }
            run.warmup += later;
            run.duration = run.duration.map(|duration| duration + later);
        }
    }
}

/// The closed loops of `run` become open loops that send what `sent` says of each source, as [`crate::sim::simulate_with_arrivals`]
/// hands it over.
pub fn replay(run: &mut ResolvedRun, sent: &[Vec<TraceRow>]) {
    for (source, rows) in run.traffic.iter_mut().zip(sent) {
        if !matches!(source.arrivals, Arrivals::ClosedLoop { .. }) {
            continue;
        }
        // All workers send first when their source starts, from which rows of a trace count.
        let first = rows.first().map_or(SimTime::ZERO, |row| row.at);
        let since = |row: &TraceRow| TraceRow { at: SimTime::ZERO + row.at.since(first), ..*row };
        let rows = rows.iter().map(since).collect();
        let trace = Trace { name: "replayed".to_owned(), rows, texts: Vec::new(), notes: Vec::new() };
        source.arrivals = Arrivals::Recorded(Arc::new(trace));
    }
}

/// Every pod of `run` takes exactly `time` from its creation until requests reach it.
pub fn fix_startup(run: &mut ResolvedRun, time: SimDuration) {
    run.cluster.startup = startup_of(time);
}

/// Pods that all take the median time to start, and syncs that do not drift.
pub fn fix_loop_times(run: &mut ResolvedRun) {
    let median = median_startup(run);
    fix_startup(run, median);
    run.kubernetes.sync_latency_min = SimDuration::ZERO;
    run.kubernetes.sync_latency_max = SimDuration::ZERO;
}

/// Starts whose one phase is the loading of the weights.
fn startup_of(time: SimDuration) -> StartupSettings {
    const ZERO: DurationDistribution = DurationDistribution::ZERO;
    StartupSettings {
        schedule: ZERO,
        image_pull: ZERO,
        sandbox: ZERO,
        weights_fetch: ZERO,
        weights_load: DurationDistribution::Constant(time),
        engine_init: ZERO,
        compile: ZERO,
        graphs: ZERO,
        probe_period: SimDuration::ZERO,
        probe_initial_delay: SimDuration::ZERO,
        endpoints: ZERO,
    }
}

/// Median time from a pod's creation until requests reach it.
pub fn median_startup(run: &ResolvedRun) -> SimDuration {
    StartupPlan::median_duration(&run.cluster)
}

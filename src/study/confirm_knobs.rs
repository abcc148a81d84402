//! The knobs of verdicts.md 2.2: per cause, what takes it away, and which edit of the policy is worth trying.
//!
//! What can be deployed is an edit of the manifests, made by path as a sweep's axes are. What only a simulator can do changes
//! the resolved run, and is never suggested.

use crate::analysis::Cause;
use crate::keda::TriggerKind;
use crate::manifest::{Bundle, parse_value};
use crate::scenario::{Overrides, ResolvedRun, resolve};
use crate::sim::{MORE_CAPACITY, WorldKnob, has_expectation, median_startup, turn_world};
use crate::units::SimDuration;
use crate::units::math::log10;

/// Most metrics of which each is run alone: with the runs before and after it stays under the limit of runs.
const MOST_METRICS: usize = 4;

/// What takes a cause away.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Knob {
    /// Values at paths of the policy, `null` for a field taken away.
    Edit(Vec<(String, String)>),
    /// A change of the world.
    World(WorldKnob),
}

impl Knob {
    /// What it does, for messages.
    pub fn text(&self) -> String {
        match self {
            Knob::Edit(values) => {
                let shown = values.iter().map(|(path, value)| format!("{} = {value}", short(path)));
                shown.collect::<Vec<_>>().join(", ")
            }
            Knob::World(world) => match world {
                WorldKnob::ExpectedCounters => "the noise removed (counters at their expected rate)".to_owned(),
                WorldKnob::NoStartup => "pods that start in no time".to_owned(),
                WorldKnob::NoStatusLatency => "a status that follows at once".to_owned(),
                WorldKnob::MoreCapacity => format!("replicas of {MORE_CAPACITY} times the capacity"),
                WorldKnob::WideTolerance => "a tolerance of 0.3".to_owned(),
                WorldKnob::NoFaults => "nothing out of order".to_owned(),
                WorldKnob::OneMetric(place) => format!("metric {place} of the HPA alone"),
                WorldKnob::OpenReplay => {
                    "the clients sending as they did, however long answers take (an open loop)".to_owned()
                }
                WorldKnob::LaterLoad => {
                    "an HPA that had watched for its scale-down window before the load came".to_owned()
                }
            },
        }
    }
}

/// `behavior.scaleDown.stabilizationWindowSeconds` of its whole path.
fn short(path: &str) -> &str {
    path.split_once("horizontalPodAutoscalerConfig.").map_or(path, |(_, end)| end)
}

/// The ways to take `cause` away, each a set of knobs turned together, or why there are none. Of several ways each is run, and
/// what the worst of them leaves is what the cause does not explain.
pub(super) fn ways(cause: Cause, run: &ResolvedRun) -> Result<Vec<Vec<Knob>>, String> {
    if cause == Cause::TriggerTug {
        let metrics = run.kubernetes.hpa.metrics.len();
        if !(2..=MOST_METRICS).contains(&metrics) {
            return Err(format!("2 to {MOST_METRICS} metrics can be run each alone, the HPA has {metrics}"));
        }
        return Ok((0..metrics).map(|place| vec![Knob::World(WorldKnob::OneMetric(place))]).collect());
    }
    knobs(cause, run).map(|knobs| vec![knobs])
}

/// The knobs of `cause`, turned together.
fn knobs(cause: Cause, run: &ResolvedRun) -> Result<Vec<Knob>, String> {
    if cause == Cause::RateWindowLag {
        // The true rate of the last scrape interval.
        let expected = expectation(run)?;
        let ranges = edit_ranges(run).ok_or("no query's range can be shortened to two scrapes")?;
        return Ok(vec![expected, Knob::Edit(ranges)]);
    }
    knob(cause, run).map(|knob| vec![knob])
}

fn knob(cause: Cause, run: &ResolvedRun) -> Result<Knob, String> {
    let world = |knob| Ok(Knob::World(knob));
    match cause {
        Cause::Noise => expectation(run),
        Cause::ColdStart => world(WorldKnob::NoStartup),
        Cause::StatusNotSpec => world(WorldKnob::NoStatusLatency),
        Cause::Saturation => world(WorldKnob::MoreCapacity),
        Cause::Tolerance => world(WorldKnob::WideTolerance),
        Cause::FallbackEdge => world(WorldKnob::NoFaults),
        Cause::ShortDownWindow => down_window(run, 3600),
        Cause::LargeStep => {
            let period = run_startup_seconds(run).clamp(15, 1800);
            let policies = format!("[{{type: Pods, value: 1, periodSeconds: {period}}}]");
            Ok(Knob::Edit(vec![(behavior(run, "scaleUp.policies"), policies)]))
        }
        Cause::NullAsZero => per_trigger(
            run,
            "metadata.ignoreNullValues",
            "\"false\"",
            |kind| matches!(kind, TriggerKind::Prometheus(own) if own.ignore_null_values),
        ),
        Cause::AverageOfAverage => {
            per_trigger(run, "metricType", "Value", |kind| !matches!(kind, TriggerKind::Resource(_)))
        }
        Cause::CutToZero | Cause::IdleMode => Ok(Knob::Edit(vec![
            ("spec.minReplicaCount".to_owned(), "1".to_owned()),
            ("spec.idleReplicaCount".to_owned(), "null".to_owned()),
        ])),
        Cause::CronEdge => {
            per_trigger(run, "metadata.desiredReplicas", "\"0\"", |kind| matches!(kind, TriggerKind::Cron(_)))
        }
        Cause::PastMaximum => down_window(run, 300),
        Cause::TriggerTug => Err("its ways are several runs".to_owned()),
        Cause::InitialState if run.signals.is_empty() && run.faults.is_empty() => world(WorldKnob::LaterLoad),
        Cause::InitialState => {
            Err("signals and faults have times of their own: the load cannot come later than it does".to_owned())
        }
        Cause::ClosedLoop => world(WorldKnob::OpenReplay),
        Cause::RateWindowLag | Cause::Load => Err("there is nothing to take away".to_owned()),
    }
}

/// The edit to try against `cause`: (values at paths); `None` where the policy is not at fault (C10 is the quota's or a
/// rollout's, C15 passes, C18 is the clients') or no number follows from it. `capacity` is the metric that a saturated replica
/// showed.
pub(super) fn edit(cause: Cause, run: &ResolvedRun, capacity: Option<f64>) -> Option<Knob> {
    let down = run.kubernetes.hpa.behavior.as_ref().map(|(_, down)| down.stabilization_window);
    let down = down.unwrap_or(run.kubernetes.flags.downscale_stabilization);
    match cause {
        Cause::Noise | Cause::ShortDownWindow | Cause::RateWindowLag => {
            let seconds = if down < SimDuration::from_secs(300) { 300 } else { 600 };
            (down < SimDuration::from_secs(seconds)).then(|| down_window(run, seconds).ok())?
        }
        Cause::LargeStep | Cause::NullAsZero | Cause::CutToZero | Cause::IdleMode | Cause::AverageOfAverage => {
            knob(cause, run).ok()
        }
        Cause::PastMaximum => down_window(run, 300).ok(),
        Cause::Tolerance => {
            let values = ["scaleUp.tolerance", "scaleDown.tolerance"].map(|own| (behavior(run, own), "0.3".to_owned()));
            Some(Knob::Edit(values.to_vec()))
        }
        Cause::Saturation => below_capacity(run, capacity?),
        Cause::CronEdge => {
            let seconds = if down < SimDuration::from_secs(1800) { 1800 } else { 3600 };
            (down < SimDuration::from_secs(seconds)).then(|| down_window(run, seconds).ok())?
        }
        Cause::FallbackEdge => {
            run.keda.as_ref()?.scaled_object.fallback.as_ref()?;
            Some(Knob::Edit(vec![("spec.fallback.behavior".to_owned(), "currentReplicasIfHigher".to_owned())]))
        }
        Cause::ColdStart => {
            let period = run_startup_seconds(run).clamp(15, 1800);
            let policies = format!("[{{type: Percent, value: 50, periodSeconds: {period}}}]");
            Some(Knob::Edit(vec![(behavior(run, "scaleUp.policies"), policies)]))
        }
        _ => None,
    }
}

/// A run with knobs turned, as it is to be simulated.
#[derive(Clone, Debug)]
pub(super) struct Turned {
    pub run: ResolvedRun,
    /// Whether its counters are the expected ones.
    pub is_expected: bool,
    /// Whether its closed loops send what they sent in the run before.
    pub is_replay: bool,
}

impl Turned {
    /// A run as it is.
    pub fn not(run: &ResolvedRun) -> Self {
        Turned { run: run.clone(), is_expected: false, is_replay: false }
    }
}

/// The run with all of `knobs` turned.
///
/// # Errors
/// Why the policy does not resolve with them.
pub(super) fn turned(bundle: &Bundle, overrides: &Overrides, knobs: &[&Knob]) -> Result<Turned, String> {
    let mut bundle = bundle.clone();
    for knob in knobs {
        let Knob::Edit(values) = knob else { continue };
        for (path, value) in values {
            // A field that is not there need not be taken away.
            let set = bundle.set(path, parse_value(value));
            if value != "null" {
                set.map_err(|diagnostic| diagnostic.to_string())?;
            }
        }
    }
    let mut turned = Turned::not(&resolve(&bundle, overrides).map_err(|found| found.to_string())?);
    for knob in knobs {
        let Knob::World(world) = knob else { continue };
        turned.is_expected |= *world == WorldKnob::ExpectedCounters;
        turned.is_replay |= *world == WorldKnob::OpenReplay;
        turn_world(&mut turned.run, *world);
    }
    Ok(turned)
}

/// Share of a replica's capacity that a threshold should stay below.
const OF_CAPACITY: f64 = 0.7;

/// The only trigger's threshold lowered to 0.7 of what a saturated replica showed; `None` when it is lower already.
fn below_capacity(run: &ResolvedRun, capacity: f64) -> Option<Knob> {
    let [trigger] = run.keda.as_ref()?.scaled_object.triggers.as_slice() else { return None };
    trigger.prometheus()?;
    let threshold = OF_CAPACITY * capacity;
    // Three digits: the capacity is a measurement.
    let digits = (2.0 - log10(threshold).floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{threshold:.digits$}");
    (threshold > 0.0 && threshold < trigger.threshold)
        .then(|| Knob::Edit(vec![("spec.triggers[0].metadata.threshold".to_owned(), text)]))
}

/// C1's knob: exact where every query is a sum of rates of the token counters and the load follows a law.
fn expectation(run: &ResolvedRun) -> Result<Knob, String> {
    has_expectation(run).map(|()| Knob::World(WorldKnob::ExpectedCounters))
}

/// Every `[range]` of every query cut to two scrapes.
fn edit_ranges(run: &ResolvedRun) -> Option<Vec<(String, String)>> {
    let keda = run.keda.as_ref()?;
    let scrape = run.monitoring.pools.iter().map(|pool| pool.scrape.interval).max()?;
    let range = format!("[{}s]", scrape.times(2).as_secs_f64().ceil());
    let mut values = Vec::new();
    for (index, trigger) in keda.scaled_object.triggers.iter().enumerate() {
        let Some(own) = trigger.prometheus() else { continue };
        let mut query = String::new();
        let mut rest = own.query.as_str();
        while let Some((before, after)) = rest.split_once('[') {
            let (_, end) = after.split_once(']')?;
            query.push_str(before);
            query.push_str(&range);
            rest = end;
        }
        query.push_str(rest);
        values.push((format!("spec.triggers[{index}].metadata.query"), query));
    }
    (!values.is_empty()).then_some(values)
}

fn down_window(run: &ResolvedRun, seconds: u64) -> Result<Knob, String> {
    Ok(Knob::Edit(vec![(behavior(run, "scaleDown.stabilizationWindowSeconds"), seconds.to_string())]))
}

/// The path of a setting of `behavior`.
fn behavior(run: &ResolvedRun, setting: &str) -> String {
    if run.keda.is_some() {
        format!("spec.advanced.horizontalPodAutoscalerConfig.behavior.{setting}")
    } else {
        format!("spec.behavior.{setting}")
    }
}

/// `setting` of every trigger whose kind `wanted` takes.
fn per_trigger(
    run: &ResolvedRun,
    setting: &str,
    value: &str,
    wanted: fn(&TriggerKind) -> bool,
) -> Result<Knob, String> {
    let triggers = run.keda.iter().flat_map(|keda| &keda.scaled_object.triggers).enumerate();
    let values: Vec<(String, String)> = triggers
        .filter(|(_, own)| wanted(&own.kind))
        .map(|(index, _)| (format!("spec.triggers[{index}].{setting}"), value.to_owned()))
        .collect();
    if values.is_empty() { Err(format!("no trigger has a {setting} to change")) } else { Ok(Knob::Edit(values)) }
}

fn run_startup_seconds(run: &ResolvedRun) -> u64 {
    median_startup(run).as_secs_f64().ceil() as u64
}

#[cfg(test)]
#[path = "confirm_knobs_tests.rs"]
mod tests;

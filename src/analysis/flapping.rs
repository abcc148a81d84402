//! Flapping as verdicts.md 1.1 to 1.6 defines it: moves, reversals, flaps, churned starts.
//!
//! Everything is over `spec.replicas` as written; pods enter only where GPU-hours are split (`accounting`). Whether the load
//! asked for a change of direction is not judged here.

use crate::analysis::churn::{StartFate, match_starts};
use crate::record::{DecisionRecord, Event, EventKind, RunRecord, ScaleSource};
use crate::units::{SimDuration, SimTime};
use statrs::distribution::{ContinuousCDF, Gamma};

/// A maximal sequence of consecutive scale events of the same sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleMove {
    /// First event.
    pub start: SimTime,
    /// Last event.
    pub end: SimTime,
    /// Sum of the changes; the sign is the direction.
    pub size: i64,
}

/// Flapping of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flapping {
    /// `W_flap`.
    pub window: SimDuration,
    /// Scale events upwards after the warm-up.
    pub ups: u64,
    /// Scale events downwards after the warm-up.
    pub downs: u64,
    /// Changes of direction.
    pub reversals: u64,
    /// Reversals with a turn time of at most the window.
    pub flaps: u64,
    /// Flaps per measured hour.
    pub flaps_per_hour: f64,
    /// Exact 95 % Poisson interval of the rate (verdicts.md 1.6).
    pub flaps_per_hour_interval: (f64, f64),
    /// Starts a steadier policy would not have made (verdicts.md 1.2).
    pub churned_replicas: u64,
    /// Starts younger than the window at the end.
    pub censored_starts: u64,
    /// The moves.
    pub moves: Vec<ScaleMove>,
    /// From the start of traffic to the first scale-up.
    pub time_to_first_scale_up: Option<SimDuration>,
}

/// A write that changed `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScaleEvent {
    /// When.
    pub t: SimTime,
    /// New count minus old.
    pub change: i64,
    /// Bounds were edited in mid-run: no statement about direction.
    pub resets_direction: bool,
}

/// The write that only set the run up, which is no move of the policy (verdicts.md 1.3, cause C15): the first sync's jump into
/// min..max, or the step of KEDA's by which a count that nobody gave goes to zero or idle before any trigger was active.
pub fn set_up_move(record: &RunRecord) -> Option<&Event> {
    let scaled = |event: &&Event| matches!(event.kind, EventKind::Scaled { from, to, .. } if from != to);
    let first = record.events.iter().find(scaled)?;
    let EventKind::Scaled { from, to, source, .. } = first.kind else { return None };
    let is_set_up = match source {
        ScaleSource::Bounds => {
            let mut syncs = record.decisions.iter().filter_map(|decision| match decision {
                DecisionRecord::HpaSync(sync) => Some(sync.t),
                DecisionRecord::KedaPoll(_) => None,
            });
            first.t < syncs.nth(1).unwrap_or(SimTime::NEVER)
        }
        ScaleSource::Keda => {
            let was_active = record.decisions.iter().any(|decision| match decision {
                DecisionRecord::KedaPoll(poll) => poll.t <= first.t && poll.active,
                DecisionRecord::HpaSync(_) => false,
            });
            record.info.initial_assumed && from == record.info.initial_replicas && to < from && !was_active
        }
        ScaleSource::Hpa => false,
    };
    is_set_up.then_some(first)
}

/// The run's scale events in order, without the set-up.
pub(super) fn scale_events(record: &RunRecord) -> Vec<ScaleEvent> {
    let set_up = set_up_move(record);
    let mut events = Vec::new();
    let mut before = None;
    for event in &record.events {
        let EventKind::Scaled { from, to, source, .. } = &event.kind else { continue };
        let change = i64::from(*to) - i64::from(*from);
        if change != 0 && !set_up.is_some_and(|set_up| std::ptr::eq(set_up, event)) {
            // A jump into the bounds follows an edit of them, unless KEDA left them: then it undoes a move like any other.
            let edited = *source == ScaleSource::Bounds && before != Some(ScaleSource::Keda);
            events.push(ScaleEvent { t: event.t, change, resets_direction: edited });
        }
        before = Some(*source);
    }
    events
}

/// `W_flap` default: max(600 s, 2 x median start-up).
pub fn flap_window(startup_p50: SimDuration) -> SimDuration {
    SimDuration::from_secs(600).max(startup_p50.times(2))
}

/// The measured interval: the run without its warm-up.
pub(super) fn measured(record: &RunRecord) -> (SimTime, SimDuration) {
    let start = SimTime::ZERO + record.info.warmup;
    (start, record.info.end.saturating_since(start))
}

/// Counts moves, reversals and flaps of `record` with the window `window`.
///
/// Events in the warm-up are not counted, but the direction they leave is: the first measured event may be a reversal.
pub fn flapping(record: &RunRecord, window: SimDuration) -> Flapping {
    let (warmup_end, measured) = measured(record);
    let events = scale_events(record);
    let mut result = Flapping { window, ..Flapping::default() };
    let mut before: Option<ScaleEvent> = None;
    for event in &events {
        let counted = event.t >= warmup_end;
        let comparable = before.filter(|_| !event.resets_direction);
        let turned = comparable.is_some_and(|before| before.change.signum() != event.change.signum());
        if counted {
            *if event.change > 0 { &mut result.ups } else { &mut result.downs } += 1;
            let turn_time = comparable.map(|before| event.t.since(before.t));
            result.reversals += u64::from(turned);
            result.flaps += u64::from(turned && turn_time.is_some_and(|turn| turn <= window));
        }
        match result.moves.last_mut() {
            Some(open) if comparable.is_some() && !turned => {
                open.end = event.t;
                open.size += event.change;
            }
            _ => result.moves.push(ScaleMove { start: event.t, end: event.t, size: event.change }),
        }
        before = (!event.resets_direction).then_some(*event);
    }
    result.moves.retain(|scale_move| scale_move.end >= warmup_end);
    let hours = measured.as_secs_f64_exact() / 3600.0;
    if hours > 0.0 {
        result.flaps_per_hour = result.flaps as f64 / hours;
        result.flaps_per_hour_interval = rate_interval(result.flaps, hours);
    }
    let fates = match_starts(&events, warmup_end, record.info.end, window);
    let count = |fate: StartFate| fates.iter().filter(|start| start.measured && start.fate == fate).count() as u64;
    result.churned_replicas = count(StartFate::ShortLived) + count(StartFate::Regretted);
    result.censored_starts = count(StartFate::Censored);
    result.time_to_first_scale_up = time_to_first_scale_up(record, &events);
    result
}

fn time_to_first_scale_up(record: &RunRecord, events: &[ScaleEvent]) -> Option<SimDuration> {
    let started = record.events.iter().find(|event| event.kind == EventKind::TrafficStarted)?.t;
    events.iter().find(|event| event.change > 0 && event.t >= started).map(|event| event.t.since(started))
}

/// Exact 95 % Poisson interval of a rate from `count` events in `hours` (verdicts.md 1.6): chi-square quantiles with 2k and
/// 2k + 2 degrees of freedom, halved, which are quantiles of the gamma distributions with shapes k and k + 1.
pub fn rate_interval(count: u64, hours: f64) -> (f64, f64) {
    assert!(hours > 0.0, "a rate needs a measured time");
    let lower = if count == 0 { 0.0 } else { gamma_quantile(count, 0.025) / hours };
    (lower, gamma_quantile(count + 1, 0.975) / hours)
}

/// Rounded to nine digits: the library's logarithms may differ in the last bit between machines.
fn gamma_quantile(shape: u64, p: f64) -> f64 {
    let gamma = Gamma::new(shape as f64, 1.0).expect("a positive shape and rate are valid");
    let quantile = gamma.inverse_cdf(p);
    format!("{quantile:.8e}").parse().expect("a formatted float is a float")
}

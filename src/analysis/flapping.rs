//! Flapping as verdicts.md 1.1 to 1.3 defines it: events, moves, reversals, flaps, churned starts.
//!
//! Everything is over `spec.replicas` as written; pods enter only where starts are judged (`starts`) and GPU-hours are split
//! (`accounting`). Whether the load asked for a change of direction is `demand`'s.

use crate::analysis::churn::{StartFate, match_starts};
use crate::analysis::starts::{most_starts_within, wasted_starts};
use crate::analysis::summary::spec_replicas;
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
    /// Sum of the changes; the sign is the direction. Of a move still open at the end: its size so far.
    pub size: i64,
}

/// A write that changed `spec.replicas`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleEvent {
    /// When.
    pub t: SimTime,
    /// Replicas before.
    pub from: i32,
    /// Replicas after.
    pub to: i32,
    /// Who wrote.
    pub source: ScaleSource,
    /// The decision that wrote it: its place in the record's decisions (and, counted from 0, line of `decisions.jsonl`).
    pub decision: Option<usize>,
    /// Bounds were edited in mid-run: no statement about direction.
    pub resets_direction: bool,
}

impl ScaleEvent {
    /// New count minus old.
    pub fn change(&self) -> i64 {
        i64::from(self.to) - i64::from(self.from)
    }
}

/// Which way a reversal turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReversalKind {
    /// Up, then down.
    Peak,
    /// Down, then up.
    Dip,
}

/// A scale event of the opposite sign to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// Up then down, or down then up.
    pub kind: ReversalKind,
    /// The move before: its last event and its size.
    pub before: ScaleMove,
    /// The move after, up to its end.
    pub after: ScaleMove,
    /// Last event of the move before.
    pub old: ScaleEvent,
    /// First event of the move after.
    pub new: ScaleEvent,
    /// Replicas before the old move.
    pub level_before: i32,
    /// Replicas at the turn.
    pub level_turn: i32,
    /// Replicas after the new move (so far).
    pub level_after: i32,
    /// Whether the turn time is at most the flap window.
    pub is_flap: bool,
}

impl Reversal {
    /// From the last event of the old move to the first of the new one.
    pub fn turn_time(&self) -> SimDuration {
        self.new.t.since(self.old.t)
    }

    /// What was undone: the smaller of the two moves.
    pub fn amplitude(&self) -> i64 {
        self.before.size.abs().min(self.after.size.abs())
    }
}

/// Whether the up flaps come at regular distances.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Period {
    /// Too few flaps to tell.
    #[default]
    None,
    /// Distances differ by more than a factor of two from their median.
    Irregular,
    /// Mean distance between successive up flaps of the regular bursts.
    Regular(SimDuration),
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
    /// The reversals, flaps or not, in order.
    pub turns: Vec<Reversal>,
    /// Distance between up flaps.
    pub period: Period,
    /// Replicas started after the warm-up: churned + kept + censored.
    pub starts: u64,
    /// Starts a steadier policy would not have made (verdicts.md 1.2).
    pub churned_replicas: u64,
    /// Starts that stayed longer than the window.
    pub kept_starts: u64,
    /// Starts younger than the window at the end.
    pub censored_starts: u64,
    /// Pods deleted before they had served as long as their start took.
    pub wasted_starts: u64,
    /// Starts per measured hour.
    pub starts_per_hour: f64,
    /// Most starts within any ten minutes.
    pub max_starts_in_10min: u64,
    /// phi: churned starts per hour x start-up / mean replicas, the share of the fleet's time thrown into starts.
    pub flap_load: f64,
    /// Its 95 % interval, from that of the count of churned starts.
    pub flap_load_interval: (f64, f64),
    /// The moves.
    pub moves: Vec<ScaleMove>,
    /// From the start of traffic to the first scale-up.
    pub time_to_first_scale_up: Option<SimDuration>,
}

impl Flapping {
    /// The reversals that are flaps.
    pub fn flap_turns(&self) -> impl Iterator<Item = &Reversal> {
        self.turns.iter().filter(|turn| turn.is_flap)
    }

    /// Largest and mean amplitude of the flaps.
    pub fn amplitudes(&self) -> Option<(i64, f64)> {
        let all: Vec<i64> = self.flap_turns().map(Reversal::amplitude).collect();
        let mean = all.iter().sum::<i64>() as f64 / all.len() as f64;
        all.iter().max().map(|largest| (*largest, mean))
    }
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
        ScaleSource::Hpa | ScaleSource::Schedule => false,
    };
    is_set_up.then_some(first)
}

/// The run's scale events in order, without the set-up.
pub fn scale_events(record: &RunRecord) -> Vec<ScaleEvent> {
    let set_up = set_up_move(record);
    let mut events = Vec::new();
    let mut before = None;
    for event in &record.events {
        let EventKind::Scaled { from, to, source, .. } = event.kind else { continue };
        if from != to && !set_up.is_some_and(|set_up| std::ptr::eq(set_up, event)) {
            // A jump into the bounds follows an edit of them, unless KEDA left them: then it undoes a move like any other.
            let resets_direction = source == ScaleSource::Bounds && before != Some(ScaleSource::Keda);
            let decision = decision_of(record, event.t, source, to);
            events.push(ScaleEvent { t: event.t, from, to, source, decision, resets_direction });
        }
        before = Some(source);
    }
    events
}

/// The decision at `t` that wrote `to`.
fn decision_of(record: &RunRecord, t: SimTime, source: ScaleSource, to: i32) -> Option<usize> {
    let first = record.decisions.partition_point(|decision| decision.t() < t);
    let at_once = record.decisions.iter().enumerate().skip(first).take_while(|(_, decision)| decision.t() == t);
    let wrote = |decision: &DecisionRecord| match decision {
        DecisionRecord::HpaSync(sync) => source != ScaleSource::Keda && sync.new_replicas == to,
        DecisionRecord::KedaPoll(poll) => source == ScaleSource::Keda && poll.new_replicas == to,
    };
    at_once.filter(|(_, decision)| wrote(decision)).map(|(index, _)| index).next()
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
    let counted = |change: fn(i64) -> bool| {
        events.iter().filter(|event| event.t >= warmup_end && change(event.change())).count() as u64
    };
    let (moves, turns) = moves_and_turns(&events, warmup_end, window);
    let mut result = Flapping {
        window,
        ups: counted(|change| change > 0),
        downs: counted(|change| change < 0),
        reversals: turns.len() as u64,
        flaps: turns.iter().filter(|turn| turn.is_flap).count() as u64,
        period: period(&turns),
        moves,
        turns,
        wasted_starts: wasted_starts(record, warmup_end),
        time_to_first_scale_up: time_to_first_scale_up(record, &events),
        ..Flapping::default()
    };
    let fates = match_starts(&events, warmup_end, record.info.end, window);
    let count = |fate: StartFate| fates.iter().filter(|start| start.measured && start.fate == fate).count() as u64;
    result.churned_replicas = count(StartFate::ShortLived) + count(StartFate::Regretted);
    result.kept_starts = count(StartFate::Kept);
    result.censored_starts = count(StartFate::Censored);
    result.starts = fates.iter().filter(|start| start.measured).count() as u64;
    assert!(
        result.starts == result.churned_replicas + result.kept_starts + result.censored_starts,
        "every start has one fate"
    );
    let started: Vec<SimTime> = fates.iter().filter(|start| start.measured).map(|start| start.t).collect();
    result.max_starts_in_10min = most_starts_within(&started, SimDuration::from_secs(600));
    let hours = measured.as_secs_f64_exact() / 3600.0;
    if hours > 0.0 {
        result.flaps_per_hour = result.flaps as f64 / hours;
        result.flaps_per_hour_interval = rate_interval(result.flaps, hours);
        result.starts_per_hour = result.starts as f64 / hours;
        let fleet = spec_replicas(record).mean.max(1.0);
        let load = |per_hour: f64| per_hour * record.info.startup_p50.as_secs_f64_exact() / 3600.0 / fleet;
        let (low, high) = rate_interval(result.churned_replicas, hours);
        result.flap_load = load(result.churned_replicas as f64 / hours);
        result.flap_load_interval = (load(low), load(high));
    }
    result
}

/// The moves that reach into the measured time, and its reversals.
fn moves_and_turns(events: &[ScaleEvent], warmup_end: SimTime, window: SimDuration) -> (Vec<ScaleMove>, Vec<Reversal>) {
    let mut moves: Vec<(ScaleMove, i32)> = Vec::new();
    // Per reversal: the move after it.
    let mut turned: Vec<(usize, ScaleEvent, ScaleEvent)> = Vec::new();
    let mut before: Option<ScaleEvent> = None;
    for event in events {
        let comparable = before.filter(|_| !event.resets_direction);
        let opposite = comparable.filter(|before| before.change().signum() != event.change().signum());
        match moves.last_mut() {
            Some((open, _)) if comparable.is_some() && opposite.is_none() => {
                open.end = event.t;
                open.size += event.change();
            }
            _ => {
                if let Some(old) = opposite {
                    turned.push((moves.len(), old, *event));
                }
                let first = ScaleMove { start: event.t, end: event.t, size: event.change() };
                moves.push((first, event.from));
            }
        }
        before = (!event.resets_direction).then_some(*event);
    }
    let turn = |(index, old, new): (usize, ScaleEvent, ScaleEvent)| {
        let ((before, level_before), (after, level_turn)) = (moves[index - 1], moves[index]);
        Reversal {
            kind: if new.change() < 0 { ReversalKind::Peak } else { ReversalKind::Dip },
            before,
            after,
            old,
            new,
            level_before,
            level_turn,
            level_after: i32::try_from(i64::from(level_turn) + after.size).unwrap_or(i32::MAX),
            is_flap: new.t.since(old.t) <= window,
        }
    };
    let turns = turned.into_iter().filter(|(_, _, new)| new.t >= warmup_end).map(turn).collect();
    let reaching = moves.iter().map(|(scale_move, _)| *scale_move).filter(|own| own.end >= warmup_end).collect();
    (reaching, turns)
}

/// The period of verdicts.md 1.1. A burst is a run of reversals that are all flaps; one with at least three up flaps whose
/// distances lie within a factor of two of their median is regular. Where irregular bursts hold more flaps than regular
/// ones, the whole is irregular.
fn period(turns: &[Reversal]) -> Period {
    let (mut distances, mut regular, mut irregular) = (Vec::new(), 0, 0);
    for burst in turns.split(|turn| !turn.is_flap) {
        let ups: Vec<SimTime> =
            burst.iter().filter(|turn| turn.kind == ReversalKind::Dip).map(|turn| turn.new.t).collect();
        if ups.len() < 3 {
            continue;
        }
        let own: Vec<SimDuration> = ups.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        let mut sorted = own.clone();
        sorted.sort_unstable();
        let median = sorted[sorted.len() / 2];
        if sorted[0].times(2) >= median && sorted[sorted.len() - 1] <= median.times(2) {
            regular += ups.len();
            distances.extend(own);
        } else {
            irregular += ups.len();
        }
    }
    match (regular, irregular) {
        (0, 0) => Period::None,
        (regular, irregular) if regular >= irregular => {
            let sum: SimDuration = distances.iter().copied().fold(SimDuration::ZERO, |sum, own| sum + own);
            Period::Regular(SimDuration::from_ps(sum.as_ps() / distances.len() as u64))
        }
        _ => Period::Irregular,
    }
}

fn time_to_first_scale_up(record: &RunRecord, events: &[ScaleEvent]) -> Option<SimDuration> {
    let started = record.events.iter().find(|event| event.kind == EventKind::TrafficStarted)?.t;
    events.iter().find(|event| event.change() > 0 && event.t >= started).map(|event| event.t.since(started))
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

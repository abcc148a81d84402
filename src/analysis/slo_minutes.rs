//! SLO-miss minutes and burn rates (verdicts.md 4.4): how misses lie in time.

use crate::analysis::flapping::measured;
use crate::record::{RunRecord, SloTally};
use crate::scenario::SloLimit;
use crate::units::{SimDuration, SimTime};

/// A window is closed when it has as many requests, or spans as many minutes.
const ENOUGH_REQUESTS: u64 = 20;
const LONGEST_WINDOW: usize = 5;
/// Fewer misses than this do not violate a window on their own.
const FEWEST_MISSES: u64 = 2;
/// The time of the goal that burn rates refer to.
const MONTH_SECONDS: f64 = 30.0 * 86_400.0;

/// Misses over time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MissMinutes {
    /// Minutes of windows that violate the SLO.
    pub violated: f64,
    /// The longest series of such windows, minutes; one without requests neither breaks nor lengthens it.
    pub longest_streak: f64,
    /// Minutes of windows with requests: what `violated` is a part of.
    pub judged: f64,
    /// Largest rate at which an objective's budget (1 - share) was burnt in any five minutes, 1 being sustainable for ever;
    /// `None` when the run is shorter.
    pub max_burn_5m: Option<f64>,
    /// The same of any hour.
    pub max_burn_1h: Option<f64>,
    /// Share of the budget of thirty days that the run used up, of the objective that used most.
    pub month_budget: Option<f64>,
}

/// Of `record`, whose tally counts `limits`; `None` when no request counts.
pub(super) fn miss_minutes(record: &RunRecord, limits: &[SloLimit], measured: SimDuration) -> Option<MissMinutes> {
    let tally = &record.slo;
    if tally.minutes().is_empty() {
        return None;
    }
    let mut result = MissMinutes {
        max_burn_5m: max_burn(tally, limits, 5, measured),
        max_burn_1h: max_burn(tally, limits, 60, measured),
        month_budget: month_budget(tally, limits, measured),
        ..MissMinutes::default()
    };
    let mut streak = 0.0;
    let mut start = 0;
    while start < tally.minutes().len() {
        let end = window_end(tally, start);
        let minutes = span(start, end, measured);
        match is_violated(tally, limits, start, end) {
            None => {}
            Some(violated) => {
                result.judged += minutes;
                streak = if violated { streak + minutes } else { 0.0 };
                result.violated += if violated { minutes } else { 0.0 };
                result.longest_streak = result.longest_streak.max(streak);
            }
        }
        start = end;
    }
    Some(result)
}

/// The windows that violate `limits`: from when until when.
pub(super) fn violations(record: &RunRecord, limits: &[SloLimit]) -> Vec<(SimTime, SimTime)> {
    let (measured_from, _) = measured(record);
    let at = |minute: usize| (measured_from + SimDuration::from_secs(60).times(minute as u64)).min(record.info.end);
    violated_windows(&record.slo, limits).map(|(start, end)| (at(start), at(end))).collect()
}

/// The windows that violate `limits`: first minute, and the minute after the last.
pub(super) fn violated_windows(tally: &SloTally, limits: &[SloLimit]) -> impl Iterator<Item = (usize, usize)> {
    let minutes = tally.minutes().len();
    let first = (minutes > 0).then(|| (0, window_end(tally, 0)));
    let windows =
        std::iter::successors(first, move |(_, end)| (*end < minutes).then(|| (*end, window_end(tally, *end))));
    windows.filter(|(start, end)| is_violated(tally, limits, *start, *end) == Some(true))
}

/// Minutes from the end of the warm-up to the end of the last violated window before `calm` minutes without one; 0 when the
/// goals were never violated. `None` when the run ends before such a calm, or no request counts.
pub fn recovery(record: &RunRecord, limits: &[SloLimit], calm: f64) -> Option<f64> {
    let (_, measured) = measured(record);
    let tally = &record.slo;
    if tally.minutes().is_empty() {
        return None;
    }
    let end = measured.as_secs_f64_exact() / 60.0;
    let mut violated_until = 0.0;
    for (start, next) in violated_windows(tally, limits) {
        if violated_until > 0.0 && start as f64 - violated_until >= calm {
            return Some(violated_until);
        }
        violated_until = start as f64 + span(start, next, measured);
    }
    (violated_until == 0.0 || end - violated_until >= calm).then_some(violated_until)
}

/// The minute after the window that begins with `start`.
fn window_end(tally: &SloTally, start: usize) -> usize {
    let mut requests = 0;
    for (index, minute) in tally.minutes().iter().enumerate().skip(start) {
        requests += minute.requests;
        if requests >= ENOUGH_REQUESTS || index + 1 - start == LONGEST_WINDOW {
            return index + 1;
        }
    }
    tally.minutes().len()
}

/// Minutes from `start` until before `end`, of which the run's end may cut the last.
pub(super) fn span(start: usize, end: usize, measured: SimDuration) -> f64 {
    (end as f64).min(measured.as_secs_f64_exact() / 60.0) - start as f64
}

/// Whether a window has more misses of an objective than its budget allows, or only misses; `None` without requests.
fn is_violated(tally: &SloTally, limits: &[SloLimit], start: usize, end: usize) -> Option<bool> {
    let minutes = &tally.minutes()[start..end];
    let requests: u64 = minutes.iter().map(|minute| minute.requests).sum();
    let all_missed = minutes.iter().map(|minute| minute.missed).sum::<u64>() == requests;
    let over = |(index, limit): (usize, &SloLimit)| {
        let misses: u64 = (start..end).map(|minute| tally.missed_in(minute, index)).sum();
        misses >= FEWEST_MISSES && misses as f64 > (1.0 - limit.quantile) * requests as f64
    };
    (requests > 0).then(|| all_missed || limits.iter().enumerate().any(over))
}

/// The largest burn rate of any objective in any `length` whole minutes that hold a request; `None` when the run is shorter.
fn max_burn(tally: &SloTally, limits: &[SloLimit], length: usize, measured: SimDuration) -> Option<f64> {
    if measured.as_secs_f64_exact() < 60.0 * length as f64 {
        return None;
    }
    let whole = tally.minutes().len().max(length);
    let at = |minute: usize| tally.minutes().get(minute).map_or(0, |own| own.requests);
    let mut largest: Option<f64> = None;
    for (index, limit) in limits.iter().enumerate() {
        let missed = |minute: usize| if minute < tally.minutes().len() { tally.missed_in(minute, index) } else { 0 };
        let (mut requests, mut misses) = (0, 0);
        for minute in 0..whole {
            requests += at(minute);
            misses += missed(minute);
            if minute >= length {
                requests -= at(minute - length);
                misses -= missed(minute - length);
            }
            if minute + 1 >= length && requests > 0 {
                let burn = misses as f64 / requests as f64 / (1.0 - limit.quantile);
                largest = Some(largest.map_or(burn, |own| own.max(burn)));
            }
        }
    }
    largest
}

fn month_budget(tally: &SloTally, limits: &[SloLimit], measured: SimDuration) -> Option<f64> {
    let share = measured.as_secs_f64_exact() / MONTH_SECONDS;
    let used = |(index, limit): (usize, &SloLimit)| {
        let missed = (tally.counted() - tally.good_of(index).1) as f64 / tally.counted() as f64;
        missed * share / (1.0 - limit.quantile)
    };
    limits.iter().enumerate().map(used).reduce(f64::max)
}

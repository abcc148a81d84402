//! From a need to a schedule that the simulator has shown to meet the goals (verdicts.md 5.3, step 3).
//!
//! Nothing here knows the simulator: a trial says of a need whether its schedule meets the goals, what it is billed and where
//! the misses lie. A schedule that no trial has shown to meet the goals is never returned.

use std::collections::BTreeSet;

/// Most rounds in which the need is raised.
const RAISE_ROUNDS: usize = 10;
/// Most trials with a need that is lower everywhere.
const SCALE_TRIALS: usize = 4;
/// The first of them divides the rates by this.
const SCALE_STEP: f64 = 1.25;
/// Most trials with a need that is lower in one stretch.
const LOWER_TRIALS: usize = 8;
/// Most trials of one search: the first, and all of those above.
pub const MOST_TRIALS: usize = 1 + RAISE_ROUNDS + SCALE_TRIALS + LOWER_TRIALS;

/// What a run of a schedule showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Whether all goals are met.
    pub met: bool,
    /// Replica-hours billed.
    pub billed: f64,
    /// Windows with more misses than the goals allow.
    pub missed: Vec<usize>,
}

/// A need whose schedule meets the goals.
#[derive(Clone, Debug, PartialEq)]
pub struct Verified {
    /// Replicas that must serve, per window.
    pub need: Vec<u32>,
    /// What its run showed.
    pub trial: Trial,
}

/// How a search went.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchOutcome {
    /// The cheapest need that was verified; `None` when no trial met the goals.
    pub verified: Option<Verified>,
    /// Trials.
    pub trials: usize,
    /// Rounds in which the need had to be raised.
    pub raised: usize,
}

/// Between which counts a need may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Fewest replicas.
    pub least: u32,
    /// Most replicas.
    pub most: u32,
}

/// Looks for the cheapest need near `estimate(1.0)` that `trial` verifies; `estimate` gives the need at a capacity per replica
/// multiplied by its argument, and `slots` the billed slots that a need's schedule is expected to cost.
///
/// # Errors
/// That of a trial.
pub fn search<E>(
    bounds: Bounds,
    estimate: &dyn Fn(f64) -> Vec<u32>,
    slots: &dyn Fn(&[u32]) -> u64,
    trial: &mut dyn FnMut(&[u32]) -> Result<Trial, E>,
) -> Result<SearchOutcome, E> {
    let bounded =
        |need: Vec<u32>| -> Vec<u32> { need.into_iter().map(|count| count.clamp(bounds.least, bounds.most)).collect() };
    let mut outcome = SearchOutcome { verified: None, trials: 0, raised: 0 };
    let mut need = bounded(estimate(1.0));
    let mut shown = trial(&need)?;
    outcome.trials += 1;
    while !shown.met && outcome.raised < RAISE_ROUNDS {
        let higher = raised(&need, &shown.missed, bounds.most);
        if higher == need {
            return Ok(outcome);
        }
        need = higher;
        shown = trial(&need)?;
        outcome.raised += 1;
        outcome.trials += 1;
    }
    if !shown.met {
        return Ok(outcome);
    }
    let mut best = Verified { need, trial: shown };
    if outcome.raised == 0 {
        let mut scaled = |factor: f64, best: &mut Verified| -> Result<bool, E> {
            outcome.trials += 1;
            try_need(bounded(estimate(factor)), best, trial)
        };
        let (mut low, mut high) = (1.0, None);
        for _ in 0..SCALE_TRIALS {
            let factor = high.map_or(low * SCALE_STEP, |high: f64| (low + high) / 2.0);
            if scaled(factor, &mut best)? { low = factor } else { high = Some(factor) }
        }
    }
    let mut failed: BTreeSet<Stretch> = BTreeSet::new();
    for _ in 0..LOWER_TRIALS {
        let Some((stretch, lower)) = largest_saving(&best.need, bounds.least, &failed, slots) else { break };
        outcome.trials += 1;
        if !try_need(lower, &mut best, trial)? {
            failed.insert(stretch);
        }
    }
    outcome.verified = Some(best);
    Ok(outcome)
}

/// Tries `need` and takes it when it meets the goals and is billed no more than the best; whether it meets them.
fn try_need<E>(
    need: Vec<u32>,
    best: &mut Verified,
    trial: &mut dyn FnMut(&[u32]) -> Result<Trial, E>,
) -> Result<bool, E> {
    if need == best.need {
        return Ok(true);
    }
    let shown = trial(&need)?;
    let met = shown.met;
    if met && shown.billed <= best.trial.billed {
        *best = Verified { need, trial: shown };
    }
    Ok(met)
}

/// One more replica in each window with misses and the one before it, up to `most`.
fn raised(need: &[u32], missed: &[usize], most: u32) -> Vec<u32> {
    let chosen: BTreeSet<usize> =
        missed.iter().flat_map(|window| [window.saturating_sub(1), *window]).filter(|own| *own < need.len()).collect();
    let mut higher = need.to_vec();
    for window in chosen {
        higher[window] = (higher[window] + 1).min(most);
    }
    higher
}

/// Windows from .. until (exclusive) in which one replica less is tried.
type Stretch = (usize, usize, u32);

/// Of the stretches in which the need is at least some level, whole or halved where the whole failed, the one whose lowering
/// saves most; with the lowered need.
fn largest_saving(
    need: &[u32],
    least: u32,
    failed: &BTreeSet<Stretch>,
    slots: &dyn Fn(&[u32]) -> u64,
) -> Option<(Stretch, Vec<u32>)> {
    let before = slots(need);
    let mut best: Option<(u64, Stretch, Vec<u32>)> = None;
    let highest = need.iter().copied().max().unwrap_or(0);
    let mut open: Vec<Stretch> = (least + 1..=highest).flat_map(|level| stretches(need, level)).collect();
    while let Some(stretch) = open.pop() {
        let (from, until, level) = stretch;
        if failed.contains(&stretch) {
            if until - from > 1 {
                let middle = from + (until - from) / 2;
                open.extend([(from, middle, level), (middle, until, level)]);
            }
            continue;
        }
        let mut lower = need.to_vec();
        lower[from..until].iter_mut().for_each(|count| *count = (*count - 1).max(least));
        let saving = before.saturating_sub(slots(&lower));
        let is_better = |(known, own, _): &(u64, Stretch, Vec<u32>)| (saving, *own) > (*known, stretch);
        if saving > 0 && best.as_ref().is_none_or(is_better) {
            best = Some((saving, stretch, lower));
        }
    }
    best.map(|(_, stretch, lower)| (stretch, lower))
}

/// The stretches in which `need` is at least `level`.
fn stretches(need: &[u32], level: u32) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for (window, _) in need.iter().enumerate().filter(|(_, count)| **count >= level) {
        match found.last_mut() {
            Some(last) if last.1 == window => last.1 = window + 1,
            _ => found.push((window, window + 1, level)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Seed;
    use std::convert::Infallible;

    /// A world in which the goals are met when every window has what it really needs, but for `allowed` windows.
    fn world(truth: &[u32], allowed: usize) -> impl FnMut(&[u32]) -> Result<Trial, Infallible> {
        move |need| {
            let missed: Vec<usize> = (0..need.len()).filter(|window| need[*window] < truth[*window]).collect();
            let billed = need.iter().sum::<u32>().into();
            Ok(Trial { met: missed.len() <= allowed, billed, missed })
        }
    }

    fn sum(need: &[u32]) -> u64 {
        need.iter().map(|count| u64::from(*count)).sum()
    }

    const BOUNDS: Bounds = Bounds { least: 1, most: 4 };

    #[test]
    fn an_infeasible_need_is_raised_where_it_misses() {
        let truth = [1, 1, 3, 4, 1, 1];
        let found = search(BOUNDS, &|_| vec![1; 6], &sum, &mut world(&truth, 0)).expect("never fails");
        let verified = found.verified.expect("a schedule that meets the goals");
        assert!(found.raised > 0 && verified.trial.met);
        assert!(verified.need.iter().zip(truth).all(|(own, truth)| *own >= truth), "{:?}", verified.need);
        assert!(sum(&verified.need) <= 15, "little beside what is needed: {:?}", verified.need);
    }

    #[test]
    fn what_the_most_replicas_cannot_serve_is_never_called_feasible() {
        let found = search(BOUNDS, &|_| vec![1, 2, 1], &sum, &mut world(&[1, 5, 1], 0)).expect("never fails");
        assert_eq!(found.verified, None);
        let never = |_: &[u32]| Ok::<Trial, Infallible>(Trial { met: false, billed: 1.0, missed: Vec::new() });
        let found = search(BOUNDS, &|_| vec![1, 2, 1], &sum, &mut { never }).expect("never fails");
        assert_eq!((found.verified, found.trials), (None, 1), "misses that lie nowhere cannot be raised away");
    }

    #[test]
    fn a_need_that_is_too_high_is_lowered_largest_saving_first() {
        let truth = [1, 1, 2, 1, 1, 1, 1, 1];
        let found =
            search(BOUNDS, &|_| vec![3, 3, 3, 3, 1, 1, 2, 1], &sum, &mut world(&truth, 0)).expect("never fails");
        let verified = found.verified.expect("feasible from the start");
        assert_eq!(found.raised, 0);
        assert!(sum(&verified.need) < 12, "{:?}", verified.need);
        assert_eq!(verified.need[2], 2);
    }

    #[test]
    fn the_goals_of_the_whole_run_may_be_met_with_a_lower_capacity_in_each_window() {
        let rates = [2.0, 4.0, 3.0];
        let estimate = |factor: f64| rates.iter().map(|rate: &f64| (rate / factor).ceil() as u32).collect();
        let found = search(BOUNDS, &estimate, &sum, &mut world(&[2, 4, 2], 1)).expect("never fails");
        assert!(found.verified.expect("feasible").trial.billed < 9.0);
    }

    #[test]
    fn random_worlds_end_verified_or_not_at_all_and_within_the_bound_of_trials() {
        let mut stream = Seed(8).stream("search", 0);
        for _ in 0..300 {
            let length = 1 + stream.below(12) as usize;
            let mut draw = |most: u64| (0..length).map(|_| stream.below(most) as u32).collect::<Vec<u32>>();
            let (truth, start) = (draw(6), draw(5));
            let found = search(BOUNDS, &|_| start.clone(), &sum, &mut world(&truth, 0)).expect("never fails");
            assert!(found.trials <= MOST_TRIALS);
            match found.verified {
                Some(verified) => assert!(verified.need.iter().zip(&truth).all(|(own, truth)| own >= truth)),
                None => assert!(truth.contains(&5), "four replicas serve every {truth:?}"),
            }
        }
    }
}

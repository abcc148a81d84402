//! Confirming causes: the same seeds again with one cause taken away (verdicts.md 2.3).
//!
//! Every draw belongs to a request, a pod or a component (see [`crate::units::Seed`]), so runs that diverge still share
//! arrivals, lengths, routes, start-ups and phases.

use crate::analysis::{Cause, Summary, saturated_capacity, summarize};
use crate::manifest::Bundle;
use crate::scenario::{Overrides, ResolvedRun};
use crate::sim::{SimulateError, replay, simulate, simulate_expected, simulate_with_arrivals};
use crate::study::confirm_knobs::{Knob, Turned, edit, turned, ways};
use crate::study::{Effect, Outcome};
use crate::traffic::{Arrivals, TraceRow, TrafficSpec};
use crate::units::{Seed, SimDuration};
use rayon::prelude::*;

/// Most runs of one confirmation.
pub const MAX_RUNS: usize = 40;
/// Pairs per change.
const SEEDS: u64 = 5;
/// Most causes that are tried together.
const MOST_TOGETHER: usize = 4;

/// What confirming found.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmation {
    /// The seeds of all runs.
    pub seeds: Vec<u64>,
    /// Flaps per hour of the policy as it is, no change in demand asking for them: the mean over the seeds.
    pub flaps_per_hour: f64,
    /// What was taken away, in the order tried.
    pub tested: Vec<Tested>,
    /// Suspects that could not be taken away, and why.
    pub untested: Vec<(Cause, String)>,
    /// The edit of the policy that was tried.
    pub edit: Option<EditTried>,
    /// Runs in all.
    pub runs: usize,
}

/// One cause (or several together) taken away.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// Which.
    pub causes: Vec<Cause>,
    /// How, in words.
    pub knob: String,
    /// Spurious flaps per hour.
    pub effect: Effect,
    /// The verdict.
    pub outcome: Outcome,
}

/// An edit of the policy with its price.
#[derive(Clone, Debug, PartialEq)]
pub struct EditTried {
    /// Against which cause.
    pub cause: Cause,
    /// What was set, in words.
    pub text: String,
    /// Flaps per hour, justified ones too.
    pub flaps: Effect,
    /// Mean replicas.
    pub replicas: Effect,
    /// Seconds to the first scale-up, where every run had one.
    pub first_scale_up: Option<Effect>,
}

/// The policy and world that a confirmation varies.
struct Study<'a> {
    bundle: &'a Bundle,
    overrides: &'a Overrides,
    seeds: Vec<u64>,
    base: Vec<Summary>,
    /// What each source sent in each of these runs.
    sent: Vec<Vec<Vec<TraceRow>>>,
    /// What a saturated replica's metric showed in the last runs, of the first seed that had one.
    capacity: Option<f64>,
    runs: usize,
}

/// A run's summary, what a saturated replica's metric showed in it, and what each source sent, where that is kept.
type Ran = (Summary, Option<f64>, Vec<Vec<TraceRow>>);

/// A suspected cause and the ways to take it away.
type Suspect = (Cause, Vec<Vec<Knob>>);

/// Takes the suspected causes of `run` away, one at a time and specific ones first, until one is confirmed; if none is,
/// several together. Then tries an edit. `run` is what `bundle` resolves to under `overrides`.
///
/// # Errors
/// A run that could not be completed.
pub fn confirm(bundle: &Bundle, overrides: &Overrides, run: &ResolvedRun) -> Result<Confirmation, SimulateError> {
    let seeds: Vec<u64> = (0..SEEDS).map(|number| run.seed.0.wrapping_add(number)).collect();
    let mut study = Study { bundle, overrides, seeds, base: Vec::new(), sent: Vec::new(), capacity: None, runs: 0 };
    study.base = study.simulated(&Turned::not(run))?;
    let capacity = study.capacity;
    let mut confirmation = Confirmation {
        seeds: study.seeds.clone(),
        flaps_per_hour: mean(&spurious(&study.base)),
        tested: Vec::new(),
        untested: Vec::new(),
        edit: None,
        runs: 0,
    };
    let mut found: Vec<Suspect> = Vec::new();
    for cause in suspects(&study.base) {
        match ways(cause, run) {
            Ok(ways) => found.push((cause, ways)),
            Err(why) => confirmation.untested.push((cause, why)),
        }
    }
    for (cause, ways) in &found {
        if !study.has_room(1 + ways.len()) || is_confirmed(&confirmation) {
            break;
        }
        match study.tested_each(*cause, ways, run)? {
            Ok(tested) => confirmation.tested.push(tested),
            Err(why) => confirmation.untested.push((*cause, why)),
        }
    }
    if !is_confirmed(&confirmation) {
        study.try_together(&found, &mut confirmation)?;
    }
    let best = best_of(&confirmation.tested).map(|tested| tested.causes[0]);
    if let Some(edit) = best.and_then(|cause| edit(cause, run, capacity).map(|knob| (cause, knob))) {
        confirmation.edit = study.tried(edit.0, &edit.1)?;
    }
    confirmation.runs = study.runs;
    Ok(confirmation)
}

fn is_confirmed(confirmation: &Confirmation) -> bool {
    confirmation.tested.iter().any(|tested| tested.outcome == Outcome::Confirmed)
}

/// The test with the largest reduction among those that are not rejected.
fn best_of(tested: &[Tested]) -> Option<&Tested> {
    let kept = tested.iter().filter(|own| own.outcome != Outcome::Rejected);
    kept.min_by(|left, right| left.effect.difference().total_cmp(&right.effect.difference()))
}

impl Study<'_> {
    /// Whether `times` more changes fit under the limit of runs.
    fn has_room(&self, times: usize) -> bool {
        self.runs + times * self.seeds.len() <= MAX_RUNS
    }

    /// One summary per seed.
    fn simulated(&mut self, turned: &Turned) -> Result<Vec<Summary>, SimulateError> {
        self.runs += self.seeds.len();
        let is_closed = |own: &TrafficSpec| matches!(own.arrivals, Arrivals::ClosedLoop { .. });
        // What closed loops send is kept of the first runs alone, those of the policy as it is.
        let keeps = self.sent.is_empty() && turned.run.traffic.iter().any(is_closed);
        let one = |(place, seed): (usize, &u64)| {
            let mut run = ResolvedRun { seed: Seed(*seed), ..turned.run.clone() };
            if turned.is_replay {
                replay(&mut run, &self.sent[place]);
            }
            let (record, sent) = match (keeps, turned.is_expected) {
                (true, _) => simulate_with_arrivals(&run, false)?,
                (false, true) => (simulate_expected(&run, false)?, Vec::new()),
                (false, false) => (simulate(&run, false)?, Vec::new()),
            };
            Ok((summarize(&record, &run.analysis), saturated_capacity(&record), sent))
        };
        let results: Vec<Result<Ran, SimulateError>> = self.seeds.par_iter().enumerate().map(one).collect();
        let runs: Vec<Ran> = results.into_iter().collect::<Result<_, _>>()?;
        self.capacity = runs.iter().find_map(|(_, capacity, _)| *capacity);
        let mut summaries = Vec::new();
        for (summary, _, sent) in runs {
            summaries.push(summary);
            if keeps {
                self.sent.push(sent);
            }
        }
        Ok(summaries)
    }

    /// One cause taken away in each of its ways: the one that leaves most speaks for the cause.
    fn tested_each(
        &mut self,
        cause: Cause,
        ways: &[Vec<Knob>],
        run: &ResolvedRun,
    ) -> Result<Result<Tested, String>, SimulateError> {
        let mut all = Vec::new();
        for knobs in ways {
            match self.tested(&[(cause, knobs)])? {
                Ok(tested) => all.push(tested),
                Err(why) => return Ok(Err(why)),
            }
        }
        let several = all.len() > 1;
        let of_most = |left: &(usize, Tested), right: &(usize, Tested)| {
            left.1.effect.after.total_cmp(&right.1.effect.after).then(right.0.cmp(&left.0))
        };
        let (place, mut worst) = all.into_iter().enumerate().max_by(of_most).expect("a cause has a way");
        if several {
            let name = run.kubernetes.hpa.metrics.get(place).map_or("", |metric| metric.name.as_str());
            worst.knob = format!("each metric of the HPA alone, of which {name} leaves most");
        }
        Ok(Ok(worst))
    }

    /// The causes taken away together; the inner error is a policy that does not resolve with it.
    fn tested(&mut self, knobs: &[(Cause, &Vec<Knob>)]) -> Result<Result<Tested, String>, SimulateError> {
        let all: Vec<&Knob> = knobs.iter().flat_map(|(_, knobs)| *knobs).collect();
        let turned = match turned(self.bundle, self.overrides, &all) {
            Ok(turned) => turned,
            Err(why) => return Ok(Err(why)),
        };
        let after = self.simulated(&turned)?;
        let effect = Effect::of(&spurious(&self.base), &spurious(&after));
        let text: Vec<String> = all.iter().map(|knob| knob.text()).collect();
        let causes = knobs.iter().map(|(cause, _)| *cause).collect();
        Ok(Ok(Tested { causes, knob: text.join("; "), effect, outcome: effect.outcome() }))
    }

    /// No cause alone takes half of the flaps away: adds the next best one until several do.
    fn try_together(&mut self, suspects: &[Suspect], confirmation: &mut Confirmation) -> Result<(), SimulateError> {
        let mut order: Vec<(f64, usize)> = Vec::new();
        for tested in &confirmation.tested {
            // What has several ways cannot be combined with others.
            let place = suspects.iter().position(|(cause, ways)| *cause == tested.causes[0] && ways.len() == 1);
            order.extend(place.map(|place| (tested.effect.difference(), place)));
        }
        order.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        for together in 2..=MOST_TOGETHER.min(order.len()) {
            if !self.has_room(2) {
                return Ok(());
            }
            let chosen: Vec<(Cause, &Vec<Knob>)> =
                order[..together].iter().map(|(_, place)| (suspects[*place].0, &suspects[*place].1[0])).collect();
            if let Ok(tested) = self.tested(&chosen)? {
                let done = tested.outcome == Outcome::Confirmed;
                confirmation.tested.push(tested);
                if done {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The policy as edited; `None` when it does not resolve or the limit of runs is reached.
    fn tried(&mut self, cause: Cause, knob: &Knob) -> Result<Option<EditTried>, SimulateError> {
        if !self.has_room(1) {
            return Ok(None);
        }
        let Ok(turned) = turned(self.bundle, self.overrides, &[knob]) else { return Ok(None) };
        let after = self.simulated(&turned)?;
        let figure = |read: fn(&Summary) -> f64| {
            let values = |all: &[Summary]| all.iter().map(read).collect::<Vec<f64>>();
            Effect::of(&values(&self.base), &values(&after))
        };
        let first = |all: &[Summary]| {
            let times = all.iter().map(|own| own.flapping.time_to_first_scale_up.map(SimDuration::as_secs_f64));
            times.collect::<Option<Vec<f64>>>()
        };
        let first_scale_up = first(&self.base).zip(first(&after)).map(|(before, after)| Effect::of(&before, &after));
        Ok(Some(EditTried {
            cause,
            text: knob.text(),
            flaps: figure(|own| own.flapping.flaps_per_hour),
            replicas: figure(|own| own.replicas_mean),
            first_scale_up,
        }))
    }
}

/// Spurious flaps per hour of each run.
fn spurious(runs: &[Summary]) -> Vec<f64> {
    let rate = |own: &Summary| match own.flapping.flaps {
        0 => 0.0,
        flaps => own.flapping.flaps_per_hour * own.demand.spurious_flaps as f64 / flaps as f64,
    };
    runs.iter().map(rate).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The causes suspected of at least a tenth of the explained flaps of all runs, specific ones first: a generic knob (an hour's
/// window, no noise) takes flaps of other causes away too.
fn suspects(runs: &[Summary]) -> Vec<Cause> {
    let count = |cause: Cause| {
        let shares = runs.iter().flat_map(|own| &own.causes).filter(|own| own.cause == cause);
        shares.map(|own| own.suspected).sum::<u64>()
    };
    let mut counted: Vec<(u64, Cause)> = Cause::ORDER.into_iter().map(|cause| (count(cause), cause)).collect();
    let explained: u64 = counted.iter().map(|(count, _)| count).sum();
    counted.retain(|(count, cause)| *count > 0 && 10 * count >= explained && *cause != Cause::Load);
    counted.into_iter().map(|(_, cause)| cause).collect()
}

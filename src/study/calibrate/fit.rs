//! The fit: the simulator is run on every benchmark, its coefficients are moved until it says what was measured.
//!
//! Residuals are ln(simulated / measured) in units of what a repeated benchmark may scatter. Which coefficients the data
//! determine is decided by a pivoted QR of the sensitivities: one whose relative uncertainty would exceed 25 % keeps the prior's
//! value exactly. To find the place at which sensitivities are looked at, all are fitted once with a weak pull to the prior;
//! the numbers reported come from a second fit of the determined ones alone, without any pull.
//!
//! A coefficient that is 0 in the prior has no logarithm. After a fit without it comes one in which it starts where it would
//! move some value by half; that is taken only when the new terms are determined beyond all those that the prior has and
//! describe the data better by more than their number.

use crate::replica::{EngineConfig, Profile, ProfileKind, StepTime};
use crate::study::calibrate::bench::{Simulated, bench_engine, log_error, mean_and_spread, simulate_measurement};
use crate::study::calibrate::coefficients::Coefficient;
use crate::study::calibrate::least_squares::{Columns, deviations, dot, norm, normal_matrix, pivoted, solve};
use crate::study::calibrate::{Lengths, Load, Measurement, Quantity, Stop};
use crate::traffic::LengthDistribution;
use crate::units::{Diagnostic, Diagnostics, Seed, math};
use rayon::prelude::*;
use std::sync::Arc;

/// The largest relative uncertainty of a number that is reported as fitted.
const LARGEST_DEVIATION: f64 = 0.25;
/// Beyond so many deviations a residual counts linearly (Huber): a run that the model cannot describe, one that exceeds the KV
/// cache say, must not bend all others.
const HUBER: f64 = 3.0;
/// How well a kept coefficient is known, for the uncertainty of the others (assumed: the stated errors of built-in profiles).
const PRIOR_DEVIATION: f64 = 0.3;
/// Step of the finite differences, in ln.
const STEP: f64 = 0.05;
/// Pull to the prior while the place is looked for: a factor of 3 is one deviation.
const PULL: f64 = 1.1;
/// A coefficient stays within this factor of the prior, as ln: a factor of 50.
const FARTHEST: f64 = 3.9;
const ITERATIONS: usize = 12;
/// What a coefficient that is 0 in the prior does to the value it moves most (as ln), where the search for it starts. From much
/// less a logarithm would not find the way up.
const FIRST_EFFECT: f64 = 0.5;
/// Beyond this change by an unlimited KV cache (as ln) the cache decides a number.
const KV_EFFECT: f64 = 0.05;

/// What became of a coefficient.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// The data determine it, with this relative standard deviation when those kept are right within 30 %.
    Fitted {
        /// Relative standard deviation.
        deviation: f64,
    },
    /// It has the prior's value, because of this.
    Kept {
        /// Why the data do not determine it.
        reason: String,
    },
}

/// A coefficient before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedCoefficient {
    /// Which.
    pub coefficient: Coefficient,
    /// The prior's value.
    pub prior: f64,
    /// The new profile's.
    pub value: f64,
    /// Whether the data determined it.
    pub fate: Fate,
}

/// One number, measured and simulated with the new profile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// Index of the run.
    pub run: usize,
    /// Of what.
    pub quantity: Quantity,
    /// s or tokens/s.
    pub measured: f64,
    /// s or tokens/s, mean over seeds.
    pub simulated: f64,
    /// Relative standard deviation of one simulated run, by its random lengths and arrivals.
    pub spread: f64,
    /// Why the fit did not use it; `None` when it did.
    pub left_out: Option<LeftOut>,
}

/// Why a number is compared but not fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// The tool takes it over another time span than the simulated benchmark.
    OtherSpan,
    /// It was held out to judge the fit.
    HeldOut,
    /// With an unlimited KV cache the simulated value would be another one: the profile's `kvTokens` decides it, which no
    /// coefficient can mend.
    KvCache,
}

impl Compared {
    /// simulated / measured - 1.
    pub fn error(&self) -> f64 {
        self.simulated / self.measured - 1.0
    }
}

/// What a calibration gave.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// The prior's name.
    pub prior: String,
    /// The new profile.
    pub profile: Profile,
    /// Each coefficient that could move.
    pub coefficients: Vec<FittedCoefficient>,
    /// All numbers, run by run.
    pub compared: Vec<Compared>,
}

impl Calibration {
    /// Mean and largest absolute relative error of a quantity (of all with `None`), over the numbers the fit used.
    pub fn error_of(&self, quantity: Option<Quantity>) -> Option<(f64, f64)> {
        self.error_where(None, quantity)
    }

    /// The same, over the numbers that were left out for this reason.
    pub fn error_where(&self, left_out: Option<LeftOut>, quantity: Option<Quantity>) -> Option<(f64, f64)> {
        let is_meant = |own: &&Compared| own.left_out == left_out && quantity.is_none_or(|of| own.quantity == of);
        let errors: Vec<f64> = self.compared.iter().filter(is_meant).map(|own| own.error().abs()).collect();
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        (!errors.is_empty()).then(|| (mean, errors.iter().copied().fold(0.0, f64::max)))
    }
}

/// Fits the coefficients of `prior` that `runs` determine; `files` is named in the profile's source. The result does not
/// depend on the number of threads.
///
/// # Errors
/// A run that the engine cannot serve, or data that determine nothing.
pub fn calibrate(
    prior: &Profile,
    vllm_version: (u32, u32),
    runs: &[Measurement],
    files: &str,
) -> Result<Calibration, Diagnostics> {
    let mut problem = Problem::new(prior, vllm_version, runs);
    problem.look_at_prior()?;
    if problem.points.is_empty() {
        let message = "no number of the measurements can be fitted: the KV cache decides them all";
        let help =
            "give the prior the kvTokens that vLLM logs at start-up (GPU KV cache size), or measure at a lower load";
        return Err(Diagnostic::error(runs.first().map(|run| run.place.clone()), "", message).help(help).into());
    }
    let present = problem.attempt(&problem.movable())?;
    let alone = problem.start.clone();
    problem.start = problem.first_guesses()?;
    let all = problem.movable();
    let extended = if problem.start == alone { None } else { Some(problem.attempt(&all)?) };
    let movable = all;
    let Attempt { mut fitted, mut selection, kept } = match extended {
        Some(extended) if problem.is_worth_it(&present, &extended) => extended,
        _ => {
            problem.start = alone;
            present
        }
    };
    if selection.chosen.is_empty() {
        return Err(nothing_determined(runs, &kept));
    }
    for coefficient in &selection.chosen {
        let value = rounded(coefficient.of(&fitted).unwrap_or(0.0));
        coefficient.set(&mut fitted, value);
    }
    selection.deviations = problem.deviations(&movable, &selection.chosen, &fitted)?;
    let compared = problem.compare(&fitted)?;
    let coefficients = fates(prior, &fitted, &selection, &kept);
    let mut calibration = Calibration { prior: prior.name.clone(), profile: fitted, coefficients, compared };
    describe(&mut calibration, runs.len(), files);
    Ok(calibration)
}

/// Measurements that the fit did not see, against a profile.
///
/// # Errors
/// A run that the engine cannot serve.
pub fn judge(profile: &Profile, vllm_version: (u32, u32), runs: &[Measurement]) -> Result<Vec<Compared>, Diagnostics> {
    let problem = Problem::new(profile, vllm_version, runs);
    let mut compared = problem.compare(profile)?;
    compared.iter_mut().for_each(|own| own.left_out = Some(LeftOut::HeldOut));
    Ok(compared)
}

fn nothing_determined(runs: &[Measurement], kept: &[(Coefficient, String)]) -> Diagnostics {
    let reasons: Vec<String> = kept.iter().map(|(own, reason)| format!("{}: {reason}", own.key())).collect();
    let message = format!("the measurements determine no coefficient ({})", reasons.join("; "));
    let diagnostic = Diagnostic::error(runs.first().map(|run| run.place.clone()), "", message);
    diagnostic.help(format!("measure {}", Coefficient::W.remedy())).into()
}

fn fates(
    prior: &Profile,
    fitted: &Profile,
    selection: &Selection,
    kept: &[(Coefficient, String)],
) -> Vec<FittedCoefficient> {
    let fate = |coefficient: Coefficient| {
        if let Some(place) = selection.chosen.iter().position(|own| *own == coefficient) {
            return Fate::Fitted { deviation: selection.deviations[place] };
        }
        let reason = kept.iter().find(|(own, _)| *own == coefficient).map(|(_, reason)| reason.clone());
        let without = "0 in the prior, and the runs are described as well without it";
        Fate::Kept { reason: reason.unwrap_or_else(|| without.to_owned()) }
    };
    Coefficient::ALL
        .into_iter()
        .filter_map(|coefficient| {
            let (prior, value) = (coefficient.of(prior)?, coefficient.of(fitted)?);
            Some(FittedCoefficient { coefficient, prior, value, fate: fate(coefficient) })
        })
        .collect()
}

/// Name, kind, source and error of the new profile.
fn describe(calibration: &mut Calibration, runs: usize, files: &str) {
    let keys = |is_fitted: bool| {
        let own = calibration.coefficients.iter().filter(|own| matches!(own.fate, Fate::Fitted { .. }) == is_fitted);
        own.map(|own| own.coefficient.key()).collect::<Vec<_>>().join(", ")
    };
    let errors: Vec<String> = Quantity::ALL
        .into_iter()
        .filter_map(|quantity| {
            let (mean, largest) = calibration.error_of(Some(quantity))?;
            let name = quantity.label().trim_end_matches(" ms").trim_end_matches(" s");
            Some(format!("{name} {:.1} % (max {:.1})", mean * 100.0, largest * 100.0))
        })
        .collect();
    let source = format!(
        "kedasim calibrate; {} fitted to {runs} runs in {files}; all else kept from {}{}",
        keys(true),
        calibration.prior,
        if keys(false).is_empty() { String::new() } else { format!(", as the data do not determine {}", keys(false)) },
    );
    let error = format!("measured: {}; mean absolute, in-sample", errors.join(", "));
    let profile = &mut calibration.profile;
    profile.name = format!("{}-calibrated", calibration.prior.trim_end_matches("-calibrated"));
    (profile.kind, profile.source, profile.error) = (ProfileKind::Fitted, source, error);
}

/// Four significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A measured number that the fit looks at.
#[derive(Clone, Copy, Debug)]
struct Point {
    run: usize,
    quantity: Quantity,
    measured: f64,
    /// Relative standard deviation of the measurement.
    sigma: f64,
}

struct Problem<'a> {
    prior: &'a Profile,
    /// The prior with a first guess for each coefficient that is 0 there; logarithms count from here.
    start: Profile,
    vllm_version: (u32, u32),
    runs: &'a [Measurement],
    points: Vec<Point>,
    /// Numbers that the KV cache decides.
    kv_bound: Vec<(usize, Quantity)>,
}

/// Which coefficients the data determine at a place.
struct Selection {
    chosen: Vec<Coefficient>,
    /// Of those chosen, in their order; known at the end of the fit.
    deviations: Vec<f64>,
    kept: Vec<(Coefficient, String)>,
}

/// A fit of some coefficients.
struct Attempt {
    fitted: Profile,
    selection: Selection,
    kept: Vec<(Coefficient, String)>,
}

/// Values of one quantity over seeds.
type Values = Vec<f64>;

impl<'a> Problem<'a> {
    fn new(prior: &'a Profile, vllm_version: (u32, u32), runs: &'a [Measurement]) -> Self {
        Problem { prior, start: prior.clone(), vllm_version, runs, points: Vec::new(), kv_bound: Vec::new() }
    }

    /// Coefficients that are not 0 at the start.
    fn movable(&self) -> Vec<Coefficient> {
        Coefficient::ALL.into_iter().filter(|own| own.of(&self.start).is_some_and(|value| value > 0.0)).collect()
    }

    /// Fits those of `movable` that the data determine; none is chosen when they determine none.
    fn attempt(&self, movable: &[Coefficient]) -> Result<Attempt, Diagnostics> {
        let place = self.minimise(movable, &self.start, Some(PULL))?;
        let mut selection = self.select(movable, &place)?;
        let mut kept = selection.kept.clone();
        let mut fitted = self.prior.clone();
        for coefficient in &selection.chosen {
            coefficient.set(&mut fitted, coefficient.of(&place).unwrap_or(0.0));
        }
        while !selection.chosen.is_empty() {
            let chosen = selection.chosen.clone();
            fitted = self.minimise(&chosen, &fitted, None)?;
            selection = self.select(&chosen, &fitted)?;
            for (coefficient, _) in &selection.kept {
                coefficient.set(&mut fitted, coefficient.of(self.prior).unwrap_or(0.0));
            }
            kept.extend(selection.kept.iter().cloned());
            if selection.kept.is_empty() {
                break;
            }
        }
        Ok(Attempt { fitted, selection, kept })
    }

    /// Whether terms that the prior lacks describe the data so much better that they are there: each must lower the loss by
    /// more than 1 (Akaike), in units of what the better fit leaves.
    fn is_worth_it(&self, present: &Attempt, extended: &Attempt) -> bool {
        let new = extended.selection.chosen.iter().filter(|own| self.is_new(**own)).count();
        let residuals = |attempt: &Attempt| self.residuals(&attempt.fitted).unwrap_or_default();
        let (before, after) = (residuals(present), residuals(extended));
        let misfit = self.misfit(&after, extended.selection.chosen.len());
        new > 0 && (huber(&before) - huber(&after)) / (misfit * misfit) > new as f64
    }

    /// Whether the prior has no such term.
    fn is_new(&self, coefficient: Coefficient) -> bool {
        coefficient.of(self.prior) == Some(0.0)
    }

    /// The prior with each coefficient that is 0 there at the value that moves some measured value by [`FIRST_EFFECT`]; those
    /// that move none stay 0.
    fn first_guesses(&self) -> Result<Profile, Diagnostics> {
        let mut start = self.prior.clone();
        let before = self.residuals(self.prior)?;
        for coefficient in Coefficient::ALL.into_iter().filter(|own| self.is_new(*own)) {
            let mut guess = 1.0;
            // Times are sums of the terms except where the load itself follows from them: twice is near enough.
            for _ in 0..2 {
                let mut trial = self.prior.clone();
                coefficient.set(&mut trial, guess);
                let after = self.residuals(&trial)?;
                let moved = before.iter().zip(&after).zip(&self.points);
                let most = moved.map(|((a, b), point)| ((b - a) * point.sigma).abs()).fold(0.0, f64::max);
                guess = if most > 1e-9 { guess * FIRST_EFFECT / most } else { 0.0 };
            }
            // The search may go so far; a value that no step time can have is none to start from.
            let mut farthest = self.prior.clone();
            coefficient.set(&mut farthest, guess * math::exp(FARTHEST));
            if StepTime::new(&farthest.step_time).is_ok() {
                coefficient.set(&mut start, guess);
            }
        }
        Ok(start)
    }

    fn engine(&self, profile: &Profile) -> Result<Arc<EngineConfig>, Diagnostics> {
        let engine = bench_engine(profile, self.vllm_version);
        let wrong = |why| Diagnostic::error(None, "", format!("profile {}: {why}", profile.name));
        engine.map(Arc::new).map_err(|why| wrong(why).into())
    }

    /// Every run with every seed it needs, in order.
    fn simulate(&self, profile: &Profile) -> Result<Vec<Vec<Simulated>>, Diagnostics> {
        let engine = self.engine(profile)?;
        let tasks: Vec<(usize, u64)> = self
            .runs
            .iter()
            .enumerate()
            .flat_map(|(index, run)| (1..=seeds_of(run)).map(move |seed| (index, seed)))
            .collect();
        let one = |(index, seed): (usize, u64)| {
            let run = &self.runs[index];
            simulate_measurement(&engine, run, Seed(seed)).map_err(|why| {
                let message = format!("the run cannot be simulated with profile {}: {why}", profile.name);
                Diagnostics::from(Diagnostic::error(run.place.clone(), "", message))
            })
        };
        let results: Vec<Result<Simulated, Diagnostics>> = tasks.par_iter().map(|task| one(*task)).collect();
        let mut by_run = vec![Vec::new(); self.runs.len()];
        for ((index, _), result) in tasks.iter().zip(results) {
            by_run[*index].push(result?);
        }
        Ok(by_run)
    }

    fn values(&self, run: usize, quantity: Quantity, simulated: &[Simulated]) -> Result<Values, Diagnostics> {
        let values: Option<Values> = simulated.iter().map(|one| one.value(quantity)).collect();
        values.filter(|values| values.iter().all(|value| *value > 0.0)).ok_or_else(|| {
            let message = format!("the simulated run has no {} to compare with the measured one", quantity.label());
            let help = "check its lengths: a time per token needs outputs of at least two tokens";
            Diagnostic::error(self.runs[run].place.clone(), quantity.key(), message).help(help).into()
        })
    }

    /// Finds the numbers to fit and their scatter: that of a repeated benchmark and that of the run's own random draws.
    fn look_at_prior(&mut self) -> Result<(), Diagnostics> {
        let simulated = self.simulate(self.prior)?;
        // As many blocks as can be counted.
        let roomy = self.simulate(&Profile { kv_tokens: u64::MAX, ..self.prior.clone() })?;
        for (run, measurement) in self.runs.iter().enumerate() {
            for observed in measurement.observed.iter().filter(|own| own.fitted) {
                let values = self.values(run, observed.quantity, &simulated[run])?;
                let (value, draws) = mean_and_spread(&values);
                let unlimited = mean_and_spread(&self.values(run, observed.quantity, &roomy[run])?).0;
                if log_error(value, unlimited).abs() > KV_EFFECT {
                    self.kv_bound.push((run, observed.quantity));
                    continue;
                }
                let own = observed.quantity.repeatability();
                let sigma = (own * own + draws * draws).sqrt();
                self.points.push(Point { run, quantity: observed.quantity, measured: observed.value, sigma });
            }
        }
        Ok(())
    }

    /// Residual of each point, in its deviations.
    fn residuals(&self, profile: &Profile) -> Result<Vec<f64>, Diagnostics> {
        let simulated = self.simulate(profile)?;
        let residual = |point: &Point| {
            let values = self.values(point.run, point.quantity, &simulated[point.run])?;
            Ok(log_error(mean_and_spread(&values).0, point.measured) / point.sigma)
        };
        self.points.iter().map(residual).collect()
    }

    /// d residual / d ln(coefficient), a column each.
    fn sensitivities(&self, active: &[Coefficient], profile: &Profile) -> Result<Columns, Diagnostics> {
        let moved = |coefficient: Coefficient, factor: f64| {
            let mut profile = profile.clone();
            let value = coefficient.of(&profile).unwrap_or(0.0) * factor;
            coefficient.set(&mut profile, value);
            self.residuals(&profile)
        };
        let column = |coefficient: &Coefficient| {
            let (up, down) = (moved(*coefficient, math::exp(STEP))?, moved(*coefficient, math::exp(-STEP))?);
            Ok(up.iter().zip(&down).map(|(up, down)| (up - down) / (2.0 * STEP)).collect())
        };
        let columns: Vec<Result<Vec<f64>, Diagnostics>> = active.par_iter().map(column).collect();
        columns.into_iter().collect()
    }

    /// ln(value / start) of each.
    fn logs(&self, active: &[Coefficient], profile: &Profile) -> Vec<f64> {
        let log = |own: &Coefficient| log_error(own.of(profile).unwrap_or(1.0), own.of(&self.start).unwrap_or(1.0));
        active.iter().map(log).collect()
    }

    /// Levenberg and Marquardt on the logarithms of the active coefficients, from `start`.
    fn minimise(&self, active: &[Coefficient], start: &Profile, pull: Option<f64>) -> Result<Profile, Diagnostics> {
        let pulls = pull.map_or(0.0, |deviation| 1.0 / (deviation * deviation));
        let cost = |residuals: &[f64], logs: &[f64]| huber(residuals) + pulls * dot(logs, logs) / 2.0;
        let mut best = start.clone();
        let mut logs = self.logs(active, &best);
        let mut residuals = self.residuals(&best)?;
        let mut damping = 1e-2;
        for _ in 0..ITERATIONS {
            let columns = self.sensitivities(active, &best)?;
            let before = cost(&residuals, &logs);
            let mut moved_by = 0.0;
            while damping < 1e6 {
                let Some(step) = damped_step(&columns, &residuals, &logs, pulls, damping) else {
                    damping *= 10.0;
                    continue;
                };
                let next_logs: Vec<f64> =
                    logs.iter().zip(&step).map(|(log, step)| (log + step).clamp(-FARTHEST, FARTHEST)).collect();
                let mut next = best.clone();
                for (coefficient, log) in active.iter().zip(&next_logs) {
                    coefficient.set(&mut next, coefficient.of(&self.start).unwrap_or(0.0) * math::exp(*log));
                }
                let next_residuals = self.residuals(&next)?;
                if cost(&next_residuals, &next_logs) < before {
                    moved_by = logs.iter().zip(&next_logs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                    (best, logs, residuals) = (next, next_logs, next_residuals);
                    damping = (damping / 10.0).max(1e-6);
                    break;
                }
                damping *= 10.0;
            }
            if moved_by < 1e-3 || cost(&residuals, &logs) > before * (1.0 - 1e-5) {
                break;
            }
        }
        Ok(best)
    }

    /// Which of `active` the data determine at `profile`.
    fn select(&self, active: &[Coefficient], profile: &Profile) -> Result<Selection, Diagnostics> {
        let logs = self.logs(active, profile);
        let mut columns = self.sensitivities(active, profile)?;
        for ((column, log), own) in columns.iter_mut().zip(&logs).zip(active) {
            // Uncertainty counts against the prior's size where the value is smaller: "almost nothing" can be certain. Where
            // the prior has nothing, almost nothing is that.
            let scale = if self.is_new(*own) { 1.0 } else { math::exp((-log).max(0.0)) };
            column.iter_mut().for_each(|value| *value *= scale);
        }
        let misfit = self.misfit(&self.residuals(profile)?, active.len());
        let needed = misfit / LARGEST_DEVIATION;
        let is_new: Vec<bool> = active.iter().map(|own| self.is_new(*own)).collect();
        let order = pivoted(&columns, &is_new);
        let mut chosen: Vec<usize> =
            order.iter().filter(|(_, adds)| *adds >= needed).map(|(index, _)| *index).collect();
        chosen.sort_unstable();
        let kept = (0..active.len())
            .filter(|index| !chosen.contains(index))
            .map(|index| (active[index], self.reason(index, active, &columns, &chosen, needed)));
        let kept = kept.collect();
        let chosen = chosen.iter().map(|index| active[*index]).collect();
        Ok(Selection { chosen, deviations: Vec::new(), kept })
    }

    /// Relative deviations of those `chosen`, when those kept are right within [`PRIOR_DEVIATION`].
    fn deviations(
        &self,
        movable: &[Coefficient],
        chosen: &[Coefficient],
        profile: &Profile,
    ) -> Result<Vec<f64>, Diagnostics> {
        let mut columns = self.sensitivities(movable, profile)?;
        let misfit = self.misfit(&self.residuals(profile)?, chosen.len());
        for (index, column) in columns.iter_mut().enumerate() {
            column.iter_mut().for_each(|value| *value /= misfit);
            // A row for what is known of it beforehand.
            let own = movable.iter().map(|other| if *other == movable[index] { 1.0 / PRIOR_DEVIATION } else { 0.0 });
            column.extend(own.map(|row| if chosen.contains(&movable[index]) { 0.0 } else { row }));
        }
        let all = deviations(&columns);
        let of = |own: &Coefficient| movable.iter().position(|other| other == own).map_or(f64::INFINITY, |at| all[at]);
        Ok(chosen.iter().map(of).collect())
    }

    /// By how much the residuals exceed what repeated benchmarks scatter, at least 1: where the model does not describe the
    /// data, they determine less.
    fn misfit(&self, residuals: &[f64], unknowns: usize) -> f64 {
        let freedom = residuals.len().saturating_sub(unknowns).max(1) as f64;
        (2.0 * huber(residuals) / freedom).sqrt().max(1.0)
    }

    /// Why the data do not determine `active[index]`.
    fn reason(&self, index: usize, active: &[Coefficient], columns: &Columns, chosen: &[usize], needed: f64) -> String {
        let own = &columns[index];
        if norm(own) >= 1.0 / LARGEST_DEVIATION && norm(own) < needed {
            return "the runs contradict each other or the prior by more than it could explain".to_owned();
        }
        if norm(own) < needed {
            let most =
                own.iter().zip(&self.points).map(|(value, point)| (value * point.sigma).abs()).fold(0.0, f64::max);
            if self.is_new(active[index]) {
                return format!(
                    "0 in the prior, and what fits best would move no measured value by more than {:.1} %",
                    most * 100.0
                );
            }
            return format!("25 % more of it would move no measured value by more than {:.1} %", most * 25.0);
        }
        let alike = |other: &usize| (dot(own, &columns[*other]) / (norm(own) * norm(&columns[*other]))).abs();
        let mut others: Vec<(f64, usize)> = chosen.iter().map(|other| (alike(other), *other)).collect();
        others.sort_by(|left, right| right.0.total_cmp(&left.0));
        let names: Vec<&str> = others.iter().take(2).map(|(_, other)| active[*other].key()).collect();
        format!("in these runs its effect cannot be told from that of {}", names.join(" and "))
    }

    fn compare(&self, profile: &Profile) -> Result<Vec<Compared>, Diagnostics> {
        let simulated = self.simulate(profile)?;
        let mut compared = Vec::new();
        for (run, measurement) in self.runs.iter().enumerate() {
            for observed in &measurement.observed {
                let values = self.values(run, observed.quantity, &simulated[run])?;
                let (simulated, spread) = mean_and_spread(&values);
                let (quantity, measured) = (observed.quantity, observed.value);
                let left_out = if !observed.fitted {
                    Some(LeftOut::OtherSpan)
                } else if self.kv_bound.contains(&(run, quantity)) {
                    Some(LeftOut::KvCache)
                } else {
                    None
                };
                compared.push(Compared { run, quantity, measured, simulated, spread, left_out });
            }
        }
        Ok(compared)
    }
}

/// Sum of Huber's losses.
fn huber(residuals: &[f64]) -> f64 {
    let loss = |own: f64| if own.abs() <= HUBER { own * own / 2.0 } else { HUBER * (own.abs() - HUBER / 2.0) };
    residuals.iter().map(|own| loss(*own)).sum()
}

/// The step of one damped iteration with Huber's weights; `None` when the matrix is singular.
fn damped_step(columns: &Columns, residuals: &[f64], logs: &[f64], pulls: f64, damping: f64) -> Option<Vec<f64>> {
    let weight = |own: f64| if own.abs() <= HUBER { 1.0 } else { (HUBER / own.abs()).sqrt() };
    let weights: Vec<f64> = residuals.iter().map(|own| weight(*own)).collect();
    let scaled =
        |vector: &[f64]| -> Vec<f64> { vector.iter().zip(&weights).map(|(value, weight)| value * weight).collect() };
    let columns: Columns = columns.iter().map(|column| scaled(column)).collect();
    let residuals = scaled(residuals);
    let mut matrix = normal_matrix(&columns);
    let right: Vec<f64> =
        columns.iter().zip(logs).map(|(column, log)| -dot(column, &residuals) - pulls * log).collect();
    for (index, row) in matrix.iter_mut().enumerate() {
        row[index] += pulls + damping * row[index].max(1e-3);
    }
    let step = solve(&matrix, &right)?;
    // A factor of e at most: the model is not linear that far.
    let longest = step.iter().fold(1.0_f64, |longest, own| longest.max(own.abs()));
    Some(step.into_iter().map(|own| own / longest).collect())
}

/// How many seeds a run's random lengths and arrivals need.
fn seeds_of(run: &Measurement) -> u64 {
    let constant = |lengths: &LengthDistribution| matches!(lengths, LengthDistribution::Constant(_));
    let fixed = match &run.lengths {
        Lengths::Listed(_) => true,
        Lengths::Drawn { prompt, output } => constant(prompt) && constant(output),
    };
    let even = matches!(run.load, Load::Concurrency(_) | Load::Rate { even: true, .. });
    match run.stop {
        _ if fixed && even => 1,
        Stop::Requests(requests) => u64::from(400 / requests.max(1)).clamp(1, 8),
        Stop::Seconds(_) => 16,
    }
}

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

use crate::replica::{Profile, ProfileKind, StepTime};
use crate::study::calibrate::bench::log_error;
use crate::study::calibrate::determined::Selection;
use crate::study::calibrate::problem::Problem;
use crate::study::calibrate::search::{FARTHEST, huber};
use crate::study::calibrate::{
    Calibration, Coefficient, Compared, Fate, FittedCoefficient, LeftOut, Measurement, Quantity,
};
use crate::units::{Diagnostic, Diagnostics, math};

/// Mean error of a fit, over all numbers that it looks at, beyond which there is no profile: fits to public benchmarks leave
/// 5 % in TPOT and 16 % in TTFT (vllm.md 3.3).
const LARGEST_ERROR: f64 = 0.3;
/// Pull to the prior while the place is looked for: a factor of 3 is one deviation.
const PULL: f64 = 1.1;
/// The same where the data alone shall say how far those kept could move the others: a factor of 20.
const WEAK_PULL: f64 = 3.0;
/// What a coefficient that is 0 in the prior does to the value it moves most (as ln), where the search for it starts. From much
/// less a logarithm would not find the way up.
const FIRST_EFFECT: f64 = 0.5;

/// Fits the coefficients of `prior` that `runs` determine; `files` is named in the profile's source. The result does not
/// depend on the number of threads.
///
/// # Errors
/// A run that the engine cannot serve, data that determine nothing, or that no coefficients describe.
pub fn calibrate(
    prior: &Profile,
    vllm_version: (u32, u32),
    runs: &[Measurement],
    files: &str,
) -> Result<Calibration, Diagnostics> {
    let mut problem = Problem::new(prior, vllm_version, runs);
    problem.look_at_prior()?;
    if problem.points.is_empty() {
        let (message, help) = if problem.kv_bound.is_empty() {
            (
                "no number of the measurements can be fitted: arrivals decide the tokens per second of an open loop",
                "measure latencies too, or closed loops (--max-concurrency)",
            )
        } else {
            (
                "no number of the measurements can be fitted: the KV cache decides them all",
                "give the prior the kvTokens that vLLM logs at start-up (GPU KV cache size), or measure at a lower load",
            )
        };
        return Err(Diagnostic::error(runs.first().map(|run| run.place.clone()), "", message).help(help).into());
    }
    let present = problem.attempt(&problem.movable())?;
    let alone = problem.start.clone();
    problem.start = problem.first_guesses()?;
    let all = problem.movable();
    let extended = if problem.start == alone { None } else { Some(problem.attempt(&all)?) };
    let movable = all;
    let Attempt { mut fitted, mut selection, kept, place } = match extended {
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
    let free = problem.minimise(&problem.movable(), &place, Some(WEAK_PULL))?;
    selection.deviations = problem.deviations(&movable, &selection.chosen, &fitted, &free)?;
    let compared = problem.compare(&fitted)?;
    let coefficients = fates(prior, &fitted, &selection, &kept);
    let mut calibration = Calibration { prior: prior.name.clone(), profile: fitted, coefficients, compared };
    refuse_misfit(&calibration, runs)?;
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
    for own in compared.iter_mut().filter(|own| own.left_out != Some(LeftOut::Arrivals)) {
        own.left_out = Some(LeftOut::HeldOut);
    }
    Ok(compared)
}

/// A profile that misses what it was fitted to by so much is none.
fn refuse_misfit(calibration: &Calibration, runs: &[Measurement]) -> Result<(), Diagnostics> {
    let Some((mean, _)) = calibration.error_of(None).filter(|(mean, _)| *mean > LARGEST_ERROR) else { return Ok(()) };
    let mut worst: Vec<&Compared> = calibration.compared.iter().filter(|own| own.left_out.is_none()).collect();
    // A tenth is as far off as ten times.
    worst.sort_by(|left, right| {
        let off = |own: &Compared| log_error(own.simulated, own.measured).abs();
        off(right).total_cmp(&off(left))
    });
    let row = |own: &&Compared| {
        let run = &runs[own.run];
        format!(
            "{} ({}, {} tokens): {} {:.4} measured, {:.4} simulated",
            run.place,
            run.load_text(),
            run.lengths_text(),
            own.quantity.label(),
            own.quantity.shown(own.measured),
            own.quantity.shown(own.simulated)
        )
    };
    let rows: Vec<String> = worst.iter().take(3).map(row).collect();
    let message = format!(
        "no profile describes the measurements: the best misses them by {:.0} % on average, and {:.0} % are allowed; worst {}",
        mean * 100.0,
        LARGEST_ERROR * 100.0,
        rows.join("; ")
    );
    let help = "check the units of the columns, the lengths, the model and hardware of the prior, --vllm-version, and that one \
                replica served all runs alone";
    let place = worst.first().map(|own| runs[own.run].place.clone());
    Err(Diagnostic::error(place, "", message).help(help).into())
}

fn nothing_determined(runs: &[Measurement], kept: &[(Coefficient, String)]) -> Diagnostics {
    let reasons: Vec<String> = kept.iter().map(|(own, reason)| format!("{}: {reason}", own.key())).collect();
    let message = format!("the measurements determine no coefficient ({})", reasons.join("; "));
    let diagnostic = Diagnostic::error(runs.first().map(|run| run.place.clone()), "", message);
    diagnostic.help(format!("measure {}", Coefficient::W.remedy(runs))).into()
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

/// A fit of some coefficients.
struct Attempt {
    fitted: Profile,
    selection: Selection,
    kept: Vec<(Coefficient, String)>,
    /// The fit of all, those kept as well, with a weak pull to the prior.
    place: Profile,
}

impl Problem<'_> {
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
        Ok(Attempt { fitted, selection, kept, place })
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
}

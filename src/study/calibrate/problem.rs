//! What is fitted: measured numbers, what a profile's simulation says in their place, and how that moves with a coefficient.

use crate::replica::{EngineConfig, Profile};
use crate::study::calibrate::bench::{Simulated, bench_engine, log_error, mean_and_spread, simulate_as_it_came};
use crate::study::calibrate::least_squares::Columns;
use crate::study::calibrate::open_loop::{Answers, answers};
use crate::study::calibrate::{Coefficient, Compared, LeftOut, Lengths, Load, Measurement, Quantity, Stop};
use crate::traffic::LengthDistribution;
use crate::units::{Diagnostic, Diagnostics, Seed, math};
use rayon::prelude::*;
use std::sync::Arc;

/// Step of the finite differences, in ln.
const STEP: f64 = 0.05;
/// Beyond this change by an unlimited KV cache (as ln) the cache decides a number.
const KV_EFFECT: f64 = 0.05;

/// A measured number that the fit looks at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) run: usize,
    pub(super) quantity: Quantity,
    pub(super) measured: f64,
    /// Relative standard deviation of the measurement.
    pub(super) sigma: f64,
}

pub(super) struct Problem<'a> {
    pub(super) prior: &'a Profile,
    /// The prior with a first guess for each coefficient that is 0 there; logarithms count from here.
    pub(super) start: Profile,
    pub(super) vllm_version: (u32, u32),
    pub(super) runs: &'a [Measurement],
    /// What decided each run's rate of answers.
    answers: Vec<Answers>,
    pub(super) points: Vec<Point>,
    /// Numbers that the KV cache decides.
    pub(super) kv_bound: Vec<(usize, Quantity)>,
}

/// Values of one quantity over seeds.
type Values = Vec<f64>;

impl<'a> Problem<'a> {
    pub(super) fn new(prior: &'a Profile, vllm_version: (u32, u32), runs: &'a [Measurement]) -> Self {
        let answers = runs.iter().map(answers).collect();
        Problem { prior, start: prior.clone(), vllm_version, runs, answers, points: Vec::new(), kv_bound: Vec::new() }
    }

    /// Coefficients that are not 0 at the start.
    pub(super) fn movable(&self) -> Vec<Coefficient> {
        Coefficient::ALL.into_iter().filter(|own| own.of(&self.start).is_some_and(|value| value > 0.0)).collect()
    }

    /// Whether the prior has no such term.
    pub(super) fn is_new(&self, coefficient: Coefficient) -> bool {
        coefficient.of(self.prior) == Some(0.0)
    }

    pub(super) fn engine(&self, profile: &Profile) -> Result<Arc<EngineConfig>, Diagnostics> {
        let engine = bench_engine(profile, self.vllm_version);
        let wrong = |why| Diagnostic::error(None, "", format!("profile {}: {why}", profile.name));
        engine.map(Arc::new).map_err(|why| wrong(why).into())
    }

    /// Every run with every seed it needs, in order.
    pub(super) fn simulate(&self, profile: &Profile) -> Result<Vec<Vec<Simulated>>, Diagnostics> {
        let engine = self.engine(profile)?;
        let tasks: Vec<(usize, u64)> = self
            .runs
            .iter()
            .enumerate()
            .flat_map(|(index, run)| (1..=seeds_of(run)).map(move |seed| (index, seed)))
            .collect();
        let one = |(index, seed): (usize, u64)| {
            let run = &self.runs[index];
            let came = match self.answers[index] {
                Answers::AsTheyCame(came) => came,
                Answers::ByTheEngine => None,
            };
            simulate_as_it_came(&engine, run, came, Seed(seed)).map_err(|why| {
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

    pub(super) fn values(
        &self,
        run: usize,
        quantity: Quantity,
        simulated: &[Simulated],
    ) -> Result<Values, Diagnostics> {
        let values: Option<Values> = simulated.iter().map(|one| one.value(quantity)).collect();
        values.filter(|values| values.iter().all(|value| *value > 0.0)).ok_or_else(|| {
            let message = format!("the simulated run has no {} to compare with the measured one", quantity.label());
            let help = "check its lengths: a time per token needs outputs of at least two tokens";
            Diagnostic::error(self.runs[run].place.clone(), quantity.key(), message).help(help).into()
        })
    }

    /// Whether arrivals, not the engine, decide this number.
    pub(super) fn is_of_arrivals(&self, run: usize, quantity: Quantity) -> bool {
        let is_rate = matches!(quantity, Quantity::TokensPerSecond | Quantity::OutputTokensPerSecond);
        is_rate && matches!(self.answers[run], Answers::AsTheyCame(_))
    }

    /// Finds the numbers to fit and their scatter: that of a repeated benchmark and that of the run's own random draws.
    pub(super) fn look_at_prior(&mut self) -> Result<(), Diagnostics> {
        let simulated = self.simulate(self.prior)?;
        // As many blocks as can be counted.
        let roomy = self.simulate(&Profile { kv_tokens: u64::MAX, ..self.prior.clone() })?;
        for (run, measurement) in self.runs.iter().enumerate() {
            for observed in measurement.observed.iter().filter(|own| own.fitted) {
                if self.is_of_arrivals(run, observed.quantity) {
                    continue;
                }
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
    pub(super) fn residuals(&self, profile: &Profile) -> Result<Vec<f64>, Diagnostics> {
        let simulated = self.simulate(profile)?;
        let residual = |point: &Point| {
            let values = self.values(point.run, point.quantity, &simulated[point.run])?;
            Ok(log_error(mean_and_spread(&values).0, point.measured) / point.sigma)
        };
        self.points.iter().map(residual).collect()
    }

    /// d residual / d ln(coefficient), a column each.
    pub(super) fn sensitivities(&self, active: &[Coefficient], profile: &Profile) -> Result<Columns, Diagnostics> {
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
    pub(super) fn logs(&self, active: &[Coefficient], profile: &Profile) -> Vec<f64> {
        let log = |own: &Coefficient| log_error(own.of(profile).unwrap_or(1.0), own.of(&self.start).unwrap_or(1.0));
        active.iter().map(log).collect()
    }

    pub(super) fn compare(&self, profile: &Profile) -> Result<Vec<Compared>, Diagnostics> {
        let simulated = self.simulate(profile)?;
        let mut compared = Vec::new();
        for (run, measurement) in self.runs.iter().enumerate() {
            for observed in &measurement.observed {
                let values = self.values(run, observed.quantity, &simulated[run])?;
                let (simulated, spread) = mean_and_spread(&values);
                let (quantity, measured) = (observed.quantity, observed.value);
                let left_out = if !observed.fitted {
                    Some(LeftOut::OtherSpan)
                } else if self.is_of_arrivals(run, quantity) {
                    Some(LeftOut::Arrivals)
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

/// How many seeds a run's random lengths and arrivals need.
fn seeds_of(run: &Measurement) -> u64 {
    let constant = |lengths: &LengthDistribution| matches!(lengths, LengthDistribution::Constant(_));
    let fixed = match &run.lengths {
        Lengths::Listed(_) => true,
        Lengths::Drawn { prompt, output } => constant(prompt) && constant(output),
    };
    let even = matches!(run.load, Load::Concurrency(_) | Load::Rate { even: true, .. });
    match run.stop {
        // Bursts of arrivals move latencies more than lengths do.
        Stop::Requests(requests) if !even => u64::from(1200 / requests.max(1)).clamp(4, 8),
        _ if fixed && even => 1,
        Stop::Requests(requests) => u64::from(400 / requests.max(1)).clamp(1, 8),
        Stop::Seconds(_) => 16,
    }
}

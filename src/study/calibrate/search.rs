//! The search for the coefficients that describe the data best.

use crate::replica::Profile;
use crate::study::calibrate::Coefficient;
use crate::study::calibrate::least_squares::{Columns, dot, normal_matrix, solve};
use crate::study::calibrate::problem::Problem;
use crate::units::{Diagnostics, math};

/// Beyond so many deviations a residual counts linearly (Huber): a run that the model cannot describe, one that exceeds the KV
/// cache say, must not bend all others.
const HUBER: f64 = 3.0;
/// A coefficient stays within this factor of the prior, as ln: a factor of 50.
pub(super) const FARTHEST: f64 = 3.9;
const ITERATIONS: usize = 12;

impl Problem<'_> {
    /// Levenberg and Marquardt on the logarithms of the active coefficients, from `start`.
    pub(super) fn minimise(
        &self,
        active: &[Coefficient],
        start: &Profile,
        pull: Option<f64>,
    ) -> Result<Profile, Diagnostics> {
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
}

/// Sum of Huber's losses.
pub(super) fn huber(residuals: &[f64]) -> f64 {
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

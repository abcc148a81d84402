//! Which coefficients the data determine, and how well.

use crate::replica::Profile;
use crate::study::calibrate::least_squares::{Columns, deviations, dot, norm, pivoted};
use crate::study::calibrate::problem::Problem;
use crate::study::calibrate::search::huber;
use crate::study::calibrate::{Calibration, Coefficient};
use crate::units::{Diagnostics, math};

/// How well a kept coefficient is known, for the uncertainty of the others, as ln. Assumed: within a factor of 2.7, since the
/// measurements of one server rarely tell `caNsPerPair` and `ckNsPerToken`, and profiles of the same model differ so in them.
const PRIOR_DEVIATION: f64 = 1.0;

/// Which coefficients the data determine at a place.
pub(super) struct Selection {
    pub(super) chosen: Vec<Coefficient>,
    /// Of those chosen, in their order; known at the end of the fit.
    pub(super) deviations: Vec<f64>,
    pub(super) kept: Vec<(Coefficient, String)>,
}

impl Problem<'_> {
    /// Which of `active` the data determine at `profile`.
    pub(super) fn select(&self, active: &[Coefficient], profile: &Profile) -> Result<Selection, Diagnostics> {
        let logs = self.logs(active, profile);
        let mut columns = self.sensitivities(active, profile)?;
        for ((column, log), own) in columns.iter_mut().zip(&logs).zip(active) {
            // Uncertainty counts against the prior's size where the value is smaller: "almost nothing" can be certain. Where
            // the prior has nothing, almost nothing is that.
            let scale = if self.is_new(*own) { 1.0 } else { math::exp((-log).max(0.0)) };
            column.iter_mut().for_each(|value| *value *= scale);
        }
        let misfit = self.misfit(&self.residuals(profile)?, active.len());
        let needed = misfit / Calibration::LARGEST_DEVIATION;
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

    /// Relative deviations of those `chosen`, when those kept are right within [`PRIOR_DEVIATION`]. By what a coefficient moves
    /// when those kept may move too, to where it stands in `free`, it is not known either.
    pub(super) fn deviations(
        &self,
        movable: &[Coefficient],
        chosen: &[Coefficient],
        profile: &Profile,
        free: &Profile,
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
        let of = |own: &Coefficient| {
            let alone = movable.iter().position(|other| other == own).map_or(f64::INFINITY, |at| all[at]);
            let moved = match (own.of(profile), own.of(free)) {
                (Some(now), Some(free)) if now > 0.0 && free > 0.0 => math::ln(now / free),
                _ => 0.0,
            };
            (alone * alone + moved * moved).sqrt()
        };
        Ok(chosen.iter().map(of).collect())
    }

    /// By how much the residuals exceed what repeated benchmarks scatter, at least 1: where the model does not describe the
    /// data, they determine less.
    pub(super) fn misfit(&self, residuals: &[f64], unknowns: usize) -> f64 {
        let freedom = residuals.len().saturating_sub(unknowns).max(1) as f64;
        (2.0 * huber(residuals) / freedom).sqrt().max(1.0)
    }

    /// Why the data do not determine `active[index]`.
    pub(super) fn reason(
        &self,
        index: usize,
        active: &[Coefficient],
        columns: &Columns,
        chosen: &[usize],
        needed: f64,
    ) -> String {
        let own = &columns[index];
        if norm(own) >= 1.0 / Calibration::LARGEST_DEVIATION && norm(own) < needed {
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
}

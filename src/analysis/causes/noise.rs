//! C1, metric noise near a step, and the noise index (verdicts.md 2.4).

use super::flap_view::{FlapView, RunView, target, total, variation, winning};
use crate::analysis::findings::counted;
use crate::analysis::load::earlier;
use crate::record::{Counted, HpaSync, QueryInfo, RunRecord};
use crate::units::{SimDuration, SimTime};

/// Below this index noise alone moves the metric across the dead band often.
const NOISY: f64 = 3.0;
/// A move of the offered mean below this share is none.
const STEADY: f64 = 0.05;

/// How noisy a rate over few requests is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoiseIndex {
    /// Requests per range of the query.
    pub requests: f64,
    /// The range.
    pub range: SimDuration,
    /// Coefficient of variation of the metric, `sqrt((1 + c^2) / requests)`.
    pub cv: f64,
    /// z: tolerance over cv.
    pub z: f64,
    /// Whether sizes are recorded, so that their variation (c) was taken to be 1.
    pub size_assumed: bool,
}

/// The noise index of a run's first trigger that is a rate of requests or tokens, over the mean load between `from` and `to`;
/// `None` when there is no such trigger or no load.
pub fn noise_index(record: &RunRecord, from: SimTime, to: SimTime) -> Option<NoiseIndex> {
    let view = RunView::of(record, SimDuration::ZERO);
    index_of(&view, None, from, to)
}

/// As [`noise_index`], of the trigger `name` if given.
pub(super) fn index_of(run: &RunView<'_>, name: Option<&str>, from: SimTime, to: SimTime) -> Option<NoiseIndex> {
    let triggers = run.record.info.triggers.iter().zip(&run.settings().queries);
    let counting = |query: &QueryInfo| query.counts != Counted::Nothing && !query.range.is_zero();
    let wanted = triggers.filter(|(own, query)| counting(query) && name.is_none_or(|name| own.name == name));
    let (_, query) = wanted.into_iter().next()?;
    let requests = run.load.mean(from, to) * query.range.as_secs_f64_exact();
    if requests <= 0.0 {
        return None;
    }
    let size = match query.counts {
        Counted::Requests => Some(0.0),
        _ => run.settings().load.size_cv,
    };
    let c = size.unwrap_or(1.0);
    let cv = ((1.0 + c * c) / requests).sqrt();
    let tolerance = run.record.info.tolerance_band.1 - 1.0;
    Some(NoiseIndex { requests, range: query.range, cv, z: tolerance / cv, size_assumed: size.is_none() })
}

/// C1: the two moves' proposals differ by at most max(1, 2 cv n); the metric crosses both the band's edge over the lower count
/// and that count's own capacity, while the offered mean over the flap window moved less than 5 %; z is below 3.
pub(super) fn noise_near_step(view: &FlapView<'_>) -> Option<String> {
    let cv = noise_of(view)?;
    let (up, down) = (view.up_sync()?, view.down_sync()?);
    let apart = (up.metric_desired? - down.metric_desired?).abs();
    let near = f64::from(apart) <= (2.0 * cv * f64::from(view.flap.level_turn)).max(1.0);
    (near && is_noise(view) && spans_step(view)).then(|| {
        format!(
            "proposals {} and {}, on either side of what {} may carry, the offered mean unmoved, metric cv {:.0} %",
            up.metric_desired.unwrap_or(0),
            down.metric_desired.unwrap_or(0),
            counted(u64::from(view.low().unsigned_abs()), "replica"),
            100.0 * cv
        )
    })
}

/// Coefficient of variation of the deciding metric: by the formula for rates of requests and tokens, else as sampled, unless
/// the flaps are a regular cycle, whose swing would pass for noise.
fn noise_of(view: &FlapView<'_>) -> Option<f64> {
    let up = view.up_sync()?;
    let name = &winning(up)?.trigger;
    let from = earlier(view.flap.old.t, view.run.window);
    if let Some(index) = index_of(view.run, Some(name), from, view.flap.new.t) {
        return Some(index.cv);
    }
    if view.run.is_cycle {
        return None;
    }
    let values: Vec<f64> = view.syncs(view.run.window).iter().filter_map(|sync| total(sync, winning(sync)?)).collect();
    Some(variation(&values)).filter(|cv| cv.is_finite())
}

/// Whether chance alone explains the swing: z below 3 and an offered mean that did not move.
pub(super) fn is_noise(view: &FlapView<'_>) -> bool {
    let noisy = noise_of(view).is_some_and(|cv| cv > 0.0 && view.tolerance() / cv < NOISY);
    noisy && !view.run.load.moved(view.flap.old.t, view.flap.new.t, view.run.window, STEADY)
}

/// Whether the metric went above the band over the lower count and down to that count's capacity, from the scale-down window
/// before the flap until its end.
pub(super) fn spans_step(view: &FlapView<'_>) -> bool {
    let low = f64::from(view.low());
    if low < 1.0 {
        return false;
    }
    let edge = view.run.record.info.tolerance_band.1;
    let share = |sync: &&HpaSync| {
        let metric = winning(sync)?;
        Some(total(sync, metric)? / (target(metric) * low))
    };
    let shares: Vec<f64> = view.syncs(view.run.settings().scale_down_window).iter().filter_map(share).collect();
    shares.iter().any(|share| *share > edge) && shares.iter().any(|share| *share <= 1.0)
}

//! Signatures of the loop's own dynamics: dead time, lag, windows, steps, tolerance.

use super::flap_view::{FlapView, target, total, winning};
use super::noise::{is_noise, spans_step};
use crate::analysis::ReversalKind;
use crate::analysis::load::earlier;
use crate::record::HpaSync;
use crate::units::{SimDuration, SimTime};

/// C2: the up-move went on while pods requested earlier were not ready, at the peak fewer were ready than status has, and the
/// down-move started within the scale-down window and a sync of the last pod's becoming ready.
pub(super) fn cold_start(view: &FlapView<'_>) -> Option<String> {
    let (flap, run) = (view.flap, view.run);
    if flap.kind != ReversalKind::Peak || flap.before.start == flap.before.end {
        return None;
    }
    let syncs = run.syncs_in(flap.before.start, flap.before.end);
    let went_on =
        |sync: &&&HpaSync| sync.rescaled && sync.t > flap.before.start && sync.ready_replicas < sync.spec_replicas;
    let late = syncs.iter().find(went_on)?;
    let peak = run.syncs_in(flap.old.t, flap.new.t).iter().find(|sync| sync.ready_replicas < sync.status_replicas)?;
    let added = run.record.pods.iter().filter(|pod| (flap.before.start..=flap.new.t).contains(&pod.created));
    let ready = added.filter_map(|pod| pod.ready).filter(|ready| *ready <= flap.new.t).max();
    let settings = run.settings();
    let soon = settings.scale_down_window + settings.sync_period + SimDuration::from_secs(1);
    ready.is_none_or(|ready| flap.new.t.since(ready) <= soon).then(|| {
        format!(
            "at {} the count rose from {} while {} were ready; at the peak of {} only {} were",
            late.t, late.spec_replicas, late.ready_replicas, flap.level_turn, peak.ready_replicas
        )
    })
}

/// C3: the load did change, the metric peaks (or falls) half its range or more after it, and the move comes when the load has
/// turned back.
pub(super) fn rate_window_lag(view: &FlapView<'_>) -> Option<String> {
    let (flap, run) = (view.flap, view.run);
    let sync = if flap.kind == ReversalKind::Peak { view.up_sync()? } else { view.down_sync()? };
    let range = run.query(&winning(sync)?.trigger)?.range;
    if range.is_zero() {
        return None;
    }
    let sign = if flap.kind == ReversalKind::Peak { 1.0 } else { -1.0 };
    let (from, to) = (earlier(flap.old.t, range.times(2)), flap.new.t);
    // The load in pieces of a quarter range, and when it was at its extreme.
    let piece = SimDuration::from_ps((range.as_ps() / 4).max(1_000_000_000_000));
    let mut pieces = Vec::new();
    let mut at = from;
    while at < to {
        pieces.push((at + SimDuration::from_ps(piece.as_ps() / 2), run.load.mean(at, at + piece)));
        at += piece;
    }
    let level = pieces.iter().map(|own| own.1).max_by(|left, right| (sign * left).total_cmp(&(sign * right)))?;
    // Of a plateau its middle.
    let first = pieces.iter().find(|own| own.1 == level)?.0;
    let last = pieces.iter().rev().find(|own| own.1 == level)?.0;
    let extreme = (SimTime::from_ps(first.as_ps().midpoint(last.as_ps())), level);
    let opposite = pieces.iter().map(|own| own.1).min_by(|left, right| (sign * left).total_cmp(&(sign * right)))?;
    let swing = sign * (extreme.1 - opposite);
    let is_real = swing >= 0.25 * extreme.1.max(opposite) && significant(view, swing, piece);
    let turned_back = sign * (extreme.1 - run.load.mean(earlier(flap.old.t, piece), flap.old.t)) >= 0.5 * swing;
    let value = |sync: &&HpaSync| Some((sync.t, sign * total(sync, winning(sync)?)?));
    let samples = run.syncs_in(from, to).iter().filter_map(value);
    let (peak, _) = samples.max_by(|left, right| left.1.total_cmp(&right.1))?;
    let lag = peak.saturating_since(extreme.0);
    (is_real && turned_back && lag.as_ps() * 2 >= range.as_ps())
        .then(|| format!("the load turned at about {}, the metric {lag} later; its range is {range}", extreme.0))
}

/// Whether a swing of requests per second is more than chance between pieces of that length, three standard deviations of
/// a Poisson count.
fn significant(view: &FlapView<'_>, swing: f64, piece: SimDuration) -> bool {
    let seconds = piece.as_secs_f64_exact();
    let mean = view.run.load.mean(earlier(view.flap.old.t, view.run.window), view.flap.new.t);
    view.run.load.is_law() || swing * seconds > 3.0 * (2.0 * mean * seconds).sqrt()
}

/// C5: one move changes the count by more than 4 and by more than half, at least half of it is undone within the flap window,
/// and either nothing bound it or the policies are the default ones.
pub(super) fn large_step(view: &FlapView<'_>) -> Option<String> {
    let flap = view.flap;
    let moves = [(flap.before, flap.level_before, view.old), (flap.after, flap.level_turn, view.new)];
    moves.into_iter().find_map(|(scale_move, level, decision)| {
        let size = scale_move.size.abs();
        let large = size as f64 > (0.5 * f64::from(level)).max(4.0);
        let undone = 2 * flap.amplitude() >= size;
        let unbound = match decision {
            Some(crate::record::DecisionRecord::HpaSync(sync)) => sync.bound_by == "none",
            _ => false,
        };
        (large && undone && (unbound || view.run.settings().default_policies)).then(|| {
            format!(
                "{:+} from {level} at {}, of which {} were undone",
                scale_move.size,
                scale_move.start,
                flap.amplitude()
            )
        })
    })
}

/// C6, the flip: against one and the same count the ratio moves across the edge of the band by less than twice its width.
pub(super) fn tolerance_flip(view: &FlapView<'_>) -> Option<String> {
    let (up, down) = (view.up_sync()?, view.down_sync()?);
    let low = f64::from(view.low());
    let ratio = |sync: &HpaSync| {
        let metric = winning(sync)?;
        Some(total(sync, metric)? / (target(metric) * low))
    };
    let (above, below) = (ratio(up)?, ratio(down)?);
    let edge = view.run.record.info.tolerance_band.1;
    let swing = above - below;
    let near = low >= 1.0 && above > edge && below <= edge && swing < 2.0 * view.tolerance();
    near.then(|| {
        format!("against {low} replicas the ratio went from {above:.3} to {below:.3}, the band ends at {edge}")
    })
}

/// C4: a proposal of at least the old count came within the flap window after the down-move, and the metric remembers at
/// least half the scale-down window (its range). Where chance alone explains the swing, that is C1's.
pub(super) fn short_down_window(view: &FlapView<'_>) -> Option<String> {
    let down = view.down_sync()?;
    let run = view.run;
    let range = run.query(&winning(down)?.trigger)?.range;
    let window = run.settings().scale_down_window;
    let correlated = range.as_ps() * 2 >= window.as_ps() && !range.is_zero();
    let event = if view.flap.kind == ReversalKind::Peak { view.flap.new } else { view.flap.old };
    let after = run.syncs_in(event.t + SimDuration::from_ps(1), event.t + run.window);
    let back = after.iter().find(|sync| sync.metric_desired.is_some_and(|desired| desired >= event.from))?;
    let noise = is_noise(view) && spans_step(view);
    (correlated && !noise).then(|| {
        format!(
            "down from {} at {}, and {} was proposed again {} later; scaleDown window {window}, rate window {range}",
            event.from,
            event.t,
            back.metric_desired.unwrap_or(event.from),
            since(back.t, event.t)
        )
    })
}

fn since(later: SimTime, earlier: SimTime) -> SimDuration {
    later.saturating_since(earlier)
}

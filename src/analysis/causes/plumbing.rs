//! Signatures of what stands around the metric: nulls, KEDA's own steps, cron, fallback, the controller's memory.

use super::flap_view::{FlapView, winning};
use crate::analysis::ReversalKind;
use crate::analysis::load::earlier;
use crate::record::{HpaSync, MetricRecord, ScaleSource};
use crate::units::SimDuration;

/// C7: the sample set of the query was empty, NaN or an infinity at the down decision (or at any sync still inside the
/// scale-down window), and was read as 0 without an error, while neighbours are above 0.
pub(super) fn null_read_as_zero(view: &FlapView<'_>) -> Option<String> {
    let down = view.down()?;
    let window = view.run.settings().scale_down_window;
    let before = view.run.syncs_in(earlier(down.t(), window), down.t());
    let metrics = before.iter().flat_map(|sync| sync.metrics.iter().map(|own| (sync.t, own)));
    let metrics = metrics.chain(metrics_at(view));
    let (t, null) = metrics.into_iter().find(|(_, own)| own.null_as_zero && own.error.is_none())?;
    let around = view.run.syncs_in(earlier(t, window), t + view.run.window);
    let is_above = |sync: &&HpaSync| {
        sync.metrics.iter().any(|own| own.trigger == null.trigger && own.milli.is_some_and(|milli| milli > 0))
    };
    around
        .iter()
        .any(is_above)
        .then(|| format!("{} found nothing at {t} and counted as 0, while its values around are above 0", null.trigger))
}

fn metrics_at<'a>(view: &FlapView<'a>) -> Vec<(crate::units::SimTime, &'a MetricRecord)> {
    let down = view.down();
    down.iter().flat_map(|down| down.metrics().iter().map(|own| (down.t(), own))).collect()
}

/// C8: KEDA went to zero from two replicas or more, or to idle, and the next move was up within the flap window. A step
/// between idle and the minimum that lasts a poll is C16's.
pub(super) fn cut_to_zero(view: &FlapView<'_>) -> Option<String> {
    let flap = view.flap;
    let cut = flap.kind == ReversalKind::Dip && flap.old.source == ScaleSource::Keda;
    let to_idle = view.run.settings().idle_replicas == Some(flap.old.to) && idle_step(view).is_none();
    let to_zero = flap.old.to == 0 && flap.old.from >= 2;
    (cut && (to_zero || to_idle)).then(|| {
        format!(
            "KEDA went {} -> {} at {}, and {} later it was {} again",
            flap.old.from,
            flap.old.to,
            flap.old.t,
            flap.turn_time(),
            flap.new.to
        )
    })
}

/// C16: the step between idle and the minimum lasts about a polling interval.
pub(super) fn idle_step(view: &FlapView<'_>) -> Option<String> {
    let settings = view.run.settings();
    let (idle, polling) = (settings.idle_replicas?, settings.polling_interval?);
    let flap = view.flap;
    let least = view.run.record.info.min_replicas;
    let between = |from: i32, to: i32| (from == idle && to == least) || (from == least && to == idle);
    let is_step = between(flap.old.from, flap.old.to) && between(flap.new.from, flap.new.to);
    let slack = settings.sync_period;
    (is_step && flap.turn_time() <= polling + slack).then(|| {
        format!(
            "{} -> {} -> {} within {}, polling interval {polling}",
            flap.old.from,
            flap.old.to,
            flap.new.to,
            flap.turn_time()
        )
    })
}

/// C12: an event within two sync periods of a cron boundary, where the winning metric is the cron's.
pub(super) fn cron_edge(view: &FlapView<'_>) -> Option<String> {
    let near = view.run.settings().sync_period.times(2) + SimDuration::from_secs(1);
    [view.old, view.new].into_iter().flatten().find_map(|decision| {
        let syncs = view.run.syncs_in(earlier(decision.t(), near), decision.t());
        syncs.windows(2).find_map(|pair| {
            let edge = pair[1].metrics.iter().zip(&pair[0].metrics).find(|(now, before)| {
                now.kind == "cron" && now.trigger == before.trigger && now.milli != before.milli
            })?;
            let wins = |sync: &HpaSync| winning(sync).is_some_and(|own| own.trigger == edge.0.trigger);
            (wins(pair[0]) || wins(pair[1]))
                .then(|| format!("{} changed between {} and {}, and decided", edge.0.trigger, pair[0].t, pair[1].t))
        })
    })
}

/// C13: a fallback substituted a value at one of the two moves.
pub(super) fn fallback_edge(view: &FlapView<'_>) -> Option<String> {
    [view.old, view.new].into_iter().flatten().find_map(|decision| {
        let substituted = decision.metrics().iter().find(|own| own.fallback)?;
        Some(format!("{}'s fallback was in force at {}", substituted.trigger, decision.t()))
    })
}

/// C15: the down decision came before the HPA had watched for the length of its scale-down window.
pub(super) fn initial_state(view: &FlapView<'_>) -> Option<String> {
    let down = view.down_sync()?;
    let first = view.run.syncs.first()?;
    let window = view.run.settings().scale_down_window;
    let age = down.t.saturating_since(first.t);
    (age < window).then(|| format!("the HPA was {age} old at {}, its scaleDown window is {window}", down.t))
}

/// C17: without a `behavior`, the move up came from a past maximum while the metric was falling.
pub(super) fn past_maximum(view: &FlapView<'_>) -> Option<String> {
    let up = view.up_sync()?;
    if view.run.settings().has_behavior {
        return None;
    }
    let desired = up.metric_desired?;
    let now = winning(up)?.milli?;
    let before = view.run.syncs.iter().rev().find(|sync| sync.t < up.t)?;
    let falling = winning(before)?.milli? > now;
    (falling && desired < up.new_replicas).then(|| {
        format!("at {} the metrics asked for {desired}, and a past recommendation made {} of it", up.t, up.new_replicas)
    })
}

/// C10: a sync within tolerance whose new count is the status, not the old spec.
pub(super) fn status_not_spec(view: &FlapView<'_>) -> Option<String> {
    [view.up_sync(), view.down_sync()].into_iter().flatten().find_map(|sync| {
        let within = winning(sync)?.within_tolerance == Some(true);
        let copied = sync.new_replicas == sync.status_replicas && sync.spec_replicas != sync.status_replicas;
        (within && copied).then(|| {
            format!(
                "at {} the ratio was within tolerance and spec {} was set to the status of {}",
                sync.t, sync.spec_replicas, sync.status_replicas
            )
        })
    })
}

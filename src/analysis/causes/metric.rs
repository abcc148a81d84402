//! Signatures of what the metric measures: averages, several triggers, saturated replicas, clients that wait.

use super::flap_view::{FlapView, target, total, variation, winning};
use crate::analysis::load::earlier;
use crate::analysis::{ReversalKind, ScaleMove};
use crate::record::{EventKind, HpaSync};

/// Least syncs that show a product of value and count to be constant.
const LEAST_SYNCS: usize = 6;
/// Least spread of the counts among them.
const LEAST_COUNTS: usize = 2;

/// C9: the product of value and replica count is constant (cv below 10 %, of a query that is an average by its form 30 %) over
/// syncs with different counts, while the value itself jumps by the ratio of the counts. Syncs at which the count of ready pods has just changed are left out: the query
/// still sees the old ones.
pub(super) fn average_of_average(view: &FlapView<'_>) -> Option<String> {
    let flap = view.flap;
    let run = view.run;
    let syncs = run.syncs_in(earlier(flap.old.t, run.window), flap.new.t + run.window);
    let is_average =
        view.up_sync().and_then(winning).and_then(|own| run.query(&own.trigger)).is_some_and(|own| own.is_average);
    let mut products = Vec::new();
    let mut values = Vec::new();
    let mut counts: Vec<i32> = Vec::new();
    for pair in syncs.windows(2) {
        let sync = pair[1];
        let metric = winning(sync)?;
        let value = metric.milli? as f64 / 1000.0;
        let settled = sync.ready_replicas == pair[0].ready_replicas && sync.ready_replicas > 0;
        if settled && metric.target_type == "AverageValue" && value > 0.0 {
            products.push(value * f64::from(sync.ready_replicas));
            values.push(value);
            counts.push(sync.ready_replicas);
        }
    }
    let mut distinct = counts.clone();
    distinct.sort_unstable();
    distinct.dedup();
    // Two visits each, or one reading could be chance.
    let visited = distinct.iter().all(|count| counts.iter().filter(|own| *own == count).count() >= 2);
    let enough = products.len() >= LEAST_SYNCS && distinct.len() >= LEAST_COUNTS && visited;
    let product = variation(&products);
    let jumps = variation(&values);
    // A rate fills up slowly after a pod has gone; where the query is an average by its form, that is no doubt.
    let is_constant =
        if is_average { product < 0.30 && jumps > product } else { product < 0.10 && jumps > 2.0 * product };
    (enough && is_constant).then(|| {
        format!(
            "value x ready replicas is {:.3} within {:.1} % over counts {distinct:?}: the query is an average per replica",
            products.iter().sum::<f64>() / products.len() as f64,
            100.0 * product
        )
    })
}

/// C14: the winning metric differs between the two moves, and each alone is monotone between them.
pub(super) fn trigger_tug(view: &FlapView<'_>) -> Option<String> {
    let (up, down) = (view.up_sync()?, view.down_sync()?);
    let (at_up, at_down) = (winning(up)?, winning(down)?);
    let syncs = view.syncs(crate::units::SimDuration::ZERO);
    let is_monotone = |name: &str| {
        let proposal = |sync: &&HpaSync| sync.metrics.iter().find(|own| own.trigger == name)?.proposal;
        let series: Vec<i32> = syncs.iter().filter_map(proposal).collect();
        series.windows(2).all(|pair| pair[0] <= pair[1]) || series.windows(2).all(|pair| pair[0] >= pair[1])
    };
    let all = up.metrics.iter().filter(|own| own.proposal.is_some());
    let several = all.clone().count() >= 2;
    (several && at_up.trigger != at_down.trigger && all.clone().all(|own| is_monotone(&own.trigger)))
        .then(|| format!("{} asked for more at {}, {} decided at {}", at_up.trigger, up.t, at_down.trigger, down.t))
}

/// C11: requests wait on all ready pods and the metric is within 10 % of their capacity: the ups form a staircase with a
/// start-up between its steps, and the down comes once the backlog is gone.
pub(super) fn saturation(view: &FlapView<'_>) -> Option<String> {
    let flap = view.flap;
    let run = view.run;
    let capacity = run.capacity?;
    let staircase = if flap.kind == ReversalKind::Peak { flap.before } else { flap.after };
    let up = view.up_sync()?;
    let metric = winning(up)?;
    let capped = (total(up, metric)? / (capacity * f64::from(up.ready_replicas.max(1))) - 1.0).abs() <= 0.10;
    let full = run.is_saturated(up.t);
    let down = view.down()?;
    let cleared = run.row(down.t()).is_some_and(|row| row.waiting == 0);
    let steps = steps_of(view, staircase);
    let spread = steps.windows(2).all(|pair| pair[1].since(pair[0]) >= run.record.info.startup_p50);
    (full && capped && cleared && steps.len() >= 2 && spread).then(|| {
        format!(
            "at {} requests waited on all {} ready replicas and the metric showed their capacity ({capacity:.3} each), threshold {}",
            up.t,
            up.ready_replicas,
            target(metric)
        )
    })
}

/// Times of the events of a move.
fn steps_of(view: &FlapView<'_>, scale_move: ScaleMove) -> Vec<crate::units::SimTime> {
    let scaled = |event: &&crate::record::Event| {
        matches!(event.kind, EventKind::Scaled { from, to, .. } if from != to)
            && (scale_move.start..=scale_move.end).contains(&event.t)
    };
    view.run.record.events.iter().filter(scaled).map(|event| event.t).collect()
}

/// C18: clients wait for answers before they send again, and the metric fell while more requests were inside: answers were
/// slower, the demand was not less.
pub(super) fn closed_loop(view: &FlapView<'_>) -> Option<String> {
    if !view.run.settings().load.closed_loop || view.flap.kind != ReversalKind::Peak {
        return None;
    }
    let (up, down) = (view.up_sync()?, view.down_sync()?);
    let at = |sync: &HpaSync| Some((total(sync, winning(sync)?)?, view.run.row(sync.t)?));
    let ((value_up, row_up), (value_down, row_down)) = (at(up)?, at(down)?);
    let inside = |row: &crate::record::TimelineRow| row.running + row.waiting;
    // By Little's law the response time is what is inside over what flows.
    (value_down < value_up && inside(row_down) as f64 > 1.1 * inside(row_up) as f64).then(|| {
        format!(
            "the metric fell from {value_up:.3} to {value_down:.3} while requests inside rose from {} to {}",
            inside(row_up),
            inside(row_down)
        )
    })
}

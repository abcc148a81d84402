//! Findings about the scale events: flapping, and what of them the run itself brought about.

use crate::analysis::findings::{SHORTEST_RATE, counted, finding};
use crate::analysis::flapping::measured;
use crate::analysis::{Finding, Flapping, ScaleMove, Summary, rate_interval, set_up_move};
use crate::record::{EventKind, RunRecord, ScaleSource};
use crate::units::Severity;

/// Bounds of the classes of verdicts.md 1.5: flaps per hour and flap load.
const STABLE: (f64, f64) = (1.0, 0.02);
const JITTERY: (f64, f64) = (4.0, 0.10);

/// How often and how dear, with bounds.
struct FlapFigures {
    /// Flaps per hour: point estimate, lower and upper bound.
    rate: (f64, f64, f64),
    /// Flap load phi: the same.
    load: (f64, f64, f64),
}

fn flap_figures(record: &RunRecord, summary: &Summary, hours: f64) -> FlapFigures {
    let Flapping { flaps_per_hour, flaps_per_hour_interval: (low, high), churned_replicas, .. } = summary.flapping;
    let startup_hours = record.info.startup_p50.as_secs_f64_exact() / 3600.0;
    let load = |per_hour: f64| per_hour * startup_hours / summary.replicas_mean.max(1.0);
    let (churn_low, churn_high) = rate_interval(churned_replicas, hours);
    FlapFigures {
        rate: (flaps_per_hour, low, high),
        load: (load(churned_replicas as f64 / hours), load(churn_low), load(churn_high)),
    }
}

/// The class of verdicts.md 1.5 with the word rules of 1.6: a class that the bounds do not support is called undecided and
/// is no error.
pub(super) fn flapping_finding(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let (_, measured_time) = measured(record);
    let hours = measured_time.as_secs_f64_exact() / 3600.0;
    if summary.flapping.flaps == 0 || hours <= 0.0 {
        return None;
    }
    let FlapFigures { rate, load } = flap_figures(record, summary, hours);
    let beyond = |class: (f64, f64), rate: f64, load: f64| rate > class.0 || load > class.1;
    let surely_beyond = |class| beyond(class, rate.1, load.1);
    let (code, severity, decided) = if beyond(JITTERY, rate.0, load.0) {
        ("flapping", Severity::Error, surely_beyond(JITTERY))
    } else if beyond(STABLE, rate.0, load.0) {
        ("jittery", Severity::Warning, surely_beyond(STABLE) && !beyond(JITTERY, rate.2, load.2))
    } else {
        ("flaps-undecided", Severity::Note, !beyond(STABLE, rate.2, load.2))
    };
    if code == "flaps-undecided" && decided {
        return None;
    }
    let severity = if decided { severity } else { severity.min(Severity::Warning) };
    let doubt = if decided { "" } else { "; undecided, run longer" };
    let flapping = &summary.flapping;
    let turn = format!("turn <= {}", flapping.window);
    let rate = if measured_time < SHORTEST_RATE {
        format!("{} ({turn}); run too short to tell how often", counted(flapping.flaps, "flap"))
    } else {
        format!("{:.1} flaps/h ({:.1}..{:.1} at 95 %, {turn})", rate.0, rate.1, rate.2)
    };
    let message = format!("{rate}, {}{doubt}", counted(flapping.churned_replicas, "churned start"));
    Some(finding(code, severity, message, flap_evidence(record, flapping, load.0)))
}

fn flap_evidence(record: &RunRecord, flapping: &Flapping, load: f64) -> Vec<String> {
    let mut evidence = vec![
        format!("{} among {} of direction", counted(flapping.flaps, "flap"), counted(flapping.reversals, "change")),
        format!(
            "flap load {:.1} %: share of the fleet's time thrown into starts of {} each",
            100.0 * load,
            record.info.startup_p50
        ),
    ];
    let turns = flapping.moves.windows(2).filter(|pair| {
        pair[0].size.signum() != pair[1].size.signum() && pair[1].start.since(pair[0].end) <= flapping.window
    });
    evidence.extend(turns.take(5).map(|pair| turn_text(&pair[0], &pair[1])));
    evidence
}

/// A flap: the turn time counts from the last step of the move before to the first of the move after.
fn turn_text(before: &ScaleMove, after: &ScaleMove) -> String {
    let turn = after.start.since(before.end);
    let steps = if after.start == after.end { String::new() } else { format!(" in steps until {}", after.end) };
    let since = if before.start == before.end {
        format!("{:+} at {}", before.size, before.start)
    } else {
        format!("the last step of {:+} (from {} to {})", before.size, before.start, before.end)
    };
    format!("at {}: {:+} {}{steps}, {turn} after {since}", after.start, after.size, replicas(after.size))
}

fn replicas(size: i64) -> &'static str {
    if size.abs() == 1 { "replica" } else { "replicas" }
}

/// The step to zero of a count that nobody gave: told, and counted nowhere.
pub(super) fn start_up_transient(record: &RunRecord) -> Option<Finding> {
    let event = set_up_move(record)?;
    let EventKind::Scaled { from, to, source: ScaleSource::Keda, .. } = event.kind else { return None };
    let message = format!(
        "the first move, {from} -> {to} at {}, only undoes the assumed initialReplicas {from}; it is set-up and not counted \
         among moves and flaps",
        event.t
    );
    let evidence = vec![format!("no trigger was active until then; give spec.initialReplicas {to} to start there")];
    Some(finding("start-up-transient", Severity::Note, message, evidence))
}

//! Findings about the scale events: flapping, and what of them the run itself brought about.

use crate::analysis::findings::{SHORTEST_RATE, counted, finding};
use crate::analysis::flap_class::class_of;
use crate::analysis::flapping::measured;
use crate::analysis::{
    Cause, Finding, FlapClass, FlapVerdict, Flapping, Period, Reversal, ScaleMove, Summary, set_up_move,
};
use crate::record::{EventKind, RunRecord, ScaleSource};
use crate::units::{Severity, SimDuration};

/// Flaps shown as evidence.
const TURNS_SHOWN: usize = 3;
/// Causes named in the evidence of the flaps.
const CAUSES_SHOWN: usize = 4;

/// The class of verdicts.md 1.5 with the word rules of 1.6: a class that the bounds do not support is called undecided and
/// is no error. Flaps that the load asked for trip a gate, but are `follows-bursty-load`.
pub(super) fn flapping_finding(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let (_, measured_time) = measured(record);
    let flapping = &summary.flapping;
    if flapping.flaps == 0 || measured_time.is_zero() {
        return None;
    }
    let by_all = class_of(record, flapping, flapping.flaps);
    let (code, severity, decided) = flap_code(summary.flap_verdict, by_all)?;
    let doubt = if decided { "" } else { "; undecided, run longer" };
    let message = format!(
        "{}, {}; {}, flap load {:.1} %{doubt}",
        rate_text(flapping, measured_time),
        demand_text(summary.demand.spurious_flaps, flapping.flaps),
        counted(flapping.churned_replicas, "churned start"),
        100.0 * flapping.flap_load
    );
    Some(finding(code, severity, message, flap_evidence(record, summary)))
}

/// `9.5 flaps/h (5.7..14.8 at 95 %, turn <= 10m)`.
fn rate_text(flapping: &Flapping, measured_time: SimDuration) -> String {
    let turn = format!("turn <= {}", flapping.window);
    let (low, high) = flapping.flaps_per_hour_interval;
    if measured_time < SHORTEST_RATE {
        return format!("{} ({turn}); run too short to tell how often", counted(flapping.flaps, "flap"));
    }
    format!("{:.1} flaps/h ({low:.1}..{high:.1} at 95 %, {turn})", flapping.flaps_per_hour)
}

/// The codes of findings that say how bad the flaps are.
pub(super) const FLAP_CODES: [&str; 4] = ["flapping", "jittery", "flaps-undecided", "follows-bursty-load"];

/// Code and severity of flaps whose class is `verdict`, and would be `by_all` if those that the load asked for counted too; and
/// whether that is sure. `None` where they are stable for sure.
pub(super) fn flap_code(verdict: FlapVerdict, by_all: FlapVerdict) -> Option<(&'static str, Severity, bool)> {
    let FlapVerdict { class, decided } = verdict;
    let follows = class == FlapClass::Stable && by_all.class > FlapClass::Stable;
    let (code, severity, decided) = match class {
        _ if follows => ("follows-bursty-load", Severity::Warning, true),
        FlapClass::Flapping => ("flapping", Severity::Error, decided),
        FlapClass::Jittery => ("jittery", Severity::Warning, decided),
        FlapClass::Stable if decided => return None,
        FlapClass::Stable => ("flaps-undecided", Severity::Note, false),
    };
    Some((code, if decided { severity } else { severity.min(Severity::Warning) }, decided))
}

/// How many of the flaps the load asked for.
pub(super) fn demand_text(spurious: u64, flaps: u64) -> String {
    match flaps - spurious {
        0 if flaps == 1 => "with no change in demand".to_owned(),
        0 => "all with no change in demand".to_owned(),
        _ if spurious == 0 => "all asked for by the load".to_owned(),
        _ => format!("{spurious} of {flaps} with no change in demand"),
    }
}

fn flap_evidence(record: &RunRecord, summary: &Summary) -> Vec<String> {
    let flapping = &summary.flapping;
    let period = match flapping.period {
        Period::None => String::new(),
        Period::Irregular => "; irregular".to_owned(),
        Period::Regular(period) => format!("; a cycle of {period}"),
    };
    let flaps = counted(flapping.flaps, "flap");
    let mut evidence = vec![format!("{flaps} among {} of direction{period}", counted(flapping.reversals, "change"))];
    evidence.extend(why_text(summary));
    let (largest, mean) = flapping.amplitudes().unwrap_or((0, 0.0));
    evidence.push(format!(
        "undone per flap: {mean:.1} {} on average, {largest} at most; the flap load is the share of the fleet's time thrown into \
         starts of {} each",
        if mean == 1.0 { "replica" } else { "replicas" },
        record.info.startup_p50
    ));
    evidence.push(format!(
        "{:.1} starts/h, at most {} within ten minutes; {} in vain (deleted before serving as long as the start took)",
        flapping.starts_per_hour, flapping.max_starts_in_10min, flapping.wasted_starts
    ));
    evidence.push(format!("need of replicas, {}", summary.demand.provenance));
    if summary.demand.uneconomic_flaps > 0 {
        let dips = counted(summary.demand.uneconomic_flaps, "dip");
        evidence.push(format!("{dips} shorter than a start-up: holding would have cost less than starting again"));
    }
    evidence.extend(flapping.flap_turns().take(TURNS_SHOWN).map(turn_of));
    evidence
}

/// The suspected causes on one line.
fn why_text(summary: &Summary) -> Option<String> {
    let suspected = || summary.causes.iter().filter(|own| own.suspected > 0);
    let explained: u64 = suspected().map(|own| own.suspected).sum();
    let unexplained = summary.flapping.flaps - explained.min(summary.flapping.flaps);
    let mut named: Vec<String> = suspected()
        .take(CAUSES_SHOWN)
        .map(|own| format!("{} {} ({})", own.cause.code(), own.cause.title(), counted(own.suspected, "flap")))
        .collect();
    if unexplained > 0 {
        named.push(format!("no signature matches {}", counted(unexplained, "flap")));
    }
    (!named.is_empty()).then(|| format!("suspected: {}", named.join("; ")))
}

fn turn_of(turn: &Reversal) -> String {
    turn_text(&turn.before, &turn.after)
}

/// More than a tenth of the starts, and at least two, in vain.
pub(super) fn wasted_starts(record: &RunRecord, summary: &Summary) -> Option<Finding> {
    let Flapping { wasted_starts, starts, .. } = summary.flapping;
    if wasted_starts < 2 || wasted_starts * 10 <= starts {
        return None;
    }
    let message = format!(
        "{wasted_starts} of {} were deleted before they had served as long as their start took",
        counted(starts, "started replica")
    );
    let evidence = vec![
        format!("median start-up {}", record.info.startup_p50),
        "try: a longer scaleDown.stabilizationWindowSeconds (at least the start-up), or a metric that does not overshoot"
            .to_owned(),
    ];
    Some(finding("wasted-starts", Severity::Warning, message, evidence))
}

/// Whether a cause is a fault that a finding of its own should name.
pub(super) fn is_fault(cause: Cause) -> bool {
    cause != Cause::Load
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

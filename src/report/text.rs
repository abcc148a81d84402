//! The summary as a person reads it in a terminal: answers first, then evidence, then what was assumed. No colour, at most
//! about 100 columns.

use crate::analysis::{
    FlapClass, FlapVerdict, GateResult, GpuHours, LatencySummary, ScalingDoubt, Summary, VerdictStatus, set_up_move,
};
use crate::record::{
    DecisionRecord, Event, EventKind, HpaSync, KedaPoll, MetricRecord, RunInfo, RunRecord, ScaleSource, poll_cause,
    sync_in_short,
};
use crate::report::json::gate_word;
use crate::scenario::{Assumption, ResolvedRun};
use crate::units::{Severity, SimDuration, SimTime};
use std::fmt::Write as _;

/// Widest line.
const WIDTH: usize = 100;
/// Scale events shown before the rest is left to `events.jsonl`.
const EVENTS_SHOWN: usize = 16;
/// Replica counts shown in the one-line history.
const LEVELS_SHOWN: usize = 12;
/// Measured time below which a rate per hour is noise.
const SHORTEST_RATE: SimDuration = SimDuration::from_secs(60);

/// The whole text of one run.
pub fn summary_text(run: &ResolvedRun, record: &RunRecord, summary: &Summary) -> String {
    summary_text_with(&run.assumptions, record, summary)
}

/// As [`summary_text`], from the assumptions alone.
pub fn summary_text_with(assumptions: &[Assumption], record: &RunRecord, summary: &Summary) -> String {
    let mut out = answers(record, summary);
    if !summary.verdict.findings.is_empty() {
        out.push_str("\nfindings\n");
        for finding in &summary.verdict.findings {
            wrap(&mut out, &format!("  {} ", finding.severity), &format!("{}: {}", finding.code, finding.message));
            for evidence in &finding.evidence {
                wrap(&mut out, "    - ", evidence);
            }
        }
    }
    let rows = scale_rows(record);
    if !rows.is_empty() {
        out.push('\n');
        out.push_str(&scale_table(&rows));
    }
    if !assumptions.is_empty() {
        out.push('\n');
        for Assumption { path, value, why } in assumptions {
            wrap_under(&mut out, "assumed: ", 9, &format!("{path} = {value} ({why})"));
        }
    }
    out
}

fn answers(record: &RunRecord, summary: &Summary) -> String {
    let mut out = String::new();
    let time = duration(summary.duration_seconds);
    let title = format!("{}, {time} simulated", run_names(&summary.run).join(", "));
    wrap_under(&mut out, &format!("{}: ", verdict_words(summary)), 2, &title);
    for gate in &summary.verdict.gates {
        wrap(&mut out, "  gate      ", &gate_text(gate, &summary.run));
    }
    for (label, text) in answer_lines(record, summary) {
        wrap(&mut out, &format!("  {label:<10}"), &text);
    }
    out
}

/// Label and text of each answer, in order.
pub(super) fn answer_lines(record: &RunRecord, summary: &Summary) -> Vec<(&'static str, String)> {
    let mut lines = vec![("replicas", replicas_line(record, summary))];
    let ready = format!(
        "spec mean {:.2} (min {}, max {}), ready mean {:.2}",
        summary.replicas_mean, summary.replicas_min, summary.replicas_max, summary.ready_mean
    );
    lines.push(("", ready));
    lines.extend(signals_line(&record.info).map(|text| ("signals", text)));
    for (label, latency) in [("TTFT", &summary.ttft), ("TPOT", &summary.tpot), ("E2E", &summary.e2e)] {
        lines.push((label, latency_line(latency)));
    }
    lines.push(("requests", requests_line(summary)));
    lines.push(("tokens", tokens_line(summary)));
    for objective in &summary.slo_objectives {
        let Some(share) = objective.share_within.map(|share| 100.0 * share) else {
            lines.push(("SLO", format!("{}: no data", objective.name)));
            continue;
        };
        let value = objective.value.map_or_else(|| "infinite".to_owned(), seconds);
        let upper = objective.share_interval.map(|(_, upper)| upper);
        let word = match upper {
            _ if objective.met => "met",
            Some(upper) if upper >= objective.required => "open",
            _ => "missed",
        };
        let upper = upper.map(|upper| 100.0 * upper).filter(|upper| *upper > share);
        let upper = upper.map_or_else(String::new, |upper| format!("..{upper:.2}"));
        let limit = seconds(objective.limit);
        lines.push(("SLO", format!("{} {value}, limit {limit}: {word} ({share:.2}{upper} % within)", objective.name)));
    }
    lines.extend(slo_line(summary).map(|text| ("", text)));
    lines.extend(summary.slo_reasons.and_then(|own| own.text(&summary.run)).map(|text| ("", text)));
    lines.extend(burn_line(summary).map(|text| ("", text)));
    let (hours, unit) = billed_hours(summary);
    lines.push(("capacity", capacity_line(hours, unit)));
    lines.push(("", format!("{:.3} {unit} wasted by flapping", hours.wasted_by_flapping)));
    if let Some(total) = summary.cost_total {
        let per_token = summary.cost_per_million_tokens.map(|cost| format!(", {} per million tokens", number(cost)));
        lines.push(("cost", format!("{}{}", number(total), per_token.unwrap_or_default())));
    }
    lines
}

/// All objectives together, and how the misses lie in time.
fn slo_line(summary: &Summary) -> Option<String> {
    let (attainment, goodput, minutes) = (summary.slo_attainment?, summary.slo_goodput?, summary.slo_minutes?);
    let upper = summary.slo_attainment_interval.map_or(attainment, |(_, upper)| upper);
    let upper = if upper > attainment { format!("..{:.2}", 100.0 * upper) } else { String::new() };
    Some(format!(
        "{:.2}{upper} % met all, goodput {} requests/s; missed in {} of {} minutes, {} on end",
        100.0 * attainment,
        number(goodput),
        number(minutes.violated),
        number(minutes.judged),
        number(minutes.longest_streak)
    ))
}

/// How fast the misses use up the budget, where they are more than it can sustain for a while.
fn burn_line(summary: &Summary) -> Option<String> {
    let minutes = summary.slo_minutes?;
    let rates = [(minutes.max_burn_5m, "5 minutes"), (minutes.max_burn_1h, "an hour")];
    let rates: Vec<String> =
        rates.into_iter().filter_map(|(rate, span)| Some(format!("{:.1} over {span}", rate?))).collect();
    let is_fast = minutes.max_burn_5m.is_some_and(|rate| rate > 1.0);
    is_fast.then(|| {
        let month = minutes
            .month_budget
            .map_or_else(String::new, |used| format!("; {} % of the budget of 30 days used", number(100.0 * used)));
        format!("highest burn rate {} (1 can go on for ever){month}", rates.join(", "))
    })
}

/// Values that the user gave in place of simulated ones.
fn signals_line(run: &RunInfo) -> Option<String> {
    let given = run.triggers.iter().filter_map(|own| Some(format!("{} ({})", own.name, own.signal.as_ref()?)));
    let given: Vec<String> = given.collect();
    (!given.is_empty()).then(|| format!("{}: given, not simulated", given.join(", ")))
}

fn tokens_line(summary: &Summary) -> String {
    format!(
        "{:.1}/s over the measured {}; completed {:.1}/s, first sent to last done",
        summary.tokens_per_second,
        measured(&summary.run),
        summary.tokens_completed_per_second
    )
}

/// The run without its warm-up.
fn measured(run: &RunInfo) -> SimDuration {
    run.end.saturating_since(SimTime::ZERO + run.warmup)
}

/// What tells a run from others: traffic and profile too, unless they go by the scenario's name.
pub(super) fn run_names(run: &RunInfo) -> Vec<String> {
    let mut names = vec![format!("policy {}", run.policy), format!("scenario {}", run.scenario)];
    for (what, name) in [("traffic", &run.traffic), ("profile", &run.profile)] {
        if !name.is_empty() && *name != run.scenario {
            names.push(format!("{what} {name}"));
        }
    }
    names.push(format!("seed {}", run.seed));
    names
}

/// The verdict in a word or three, with how many findings stand beside it.
///
/// An error finding puts the run itself in doubt, so it stands beside any verdict.
pub(super) fn verdict_words(summary: &Summary) -> String {
    let verdict = match summary.verdict.status {
        _ if summary.verdict.gates.is_empty() => "no gate set",
        VerdictStatus::Pass => "pass",
        VerdictStatus::Fail => "FAIL",
        VerdictStatus::Undecided => "undecided",
    };
    let mut words = verdict.to_owned();
    for (severity, noun) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let found = summary.verdict.findings.iter().filter(|finding| finding.severity == severity).count();
        if found > 0 {
            let _ = write!(words, ", {}", count(found as u64, noun));
        }
    }
    words
}

/// One gate on a line.
pub(super) fn gate_text(gate: &GateResult, run: &RunInfo) -> String {
    let value = gate.value.map_or_else(|| "no data".to_owned(), number);
    let interval = match gate.interval {
        Some(_) if gate.name == "flapsPerHour" && measured(run) < SHORTEST_RATE => {
            " (run too short to tell)".to_owned()
        }
        Some((low, high)) if gate.name == "sloAttainment" && low == high => String::new(),
        Some((low, high)) if gate.name == "sloAttainment" => {
            format!(" ({}..{}, as requests open at the end go)", number(low), number(high))
        }
        Some((low, high)) => {
            format!(" ({}..{} at {} %)", number(low), number(high), number(100.0 * gate.confidence))
        }
        None => String::new(),
    };
    let side = if gate.name == "sloAttainment" { "at least" } else { "at most" };
    let more =
        gate.further_seeds.map_or_else(String::new, |more| format!(", about {} would tell", count(more, "more seed")));
    format!("{} {value}{interval}, {side} {}: {}{more}", gate.name, number(gate.limit), gate_word(gate.status))
}

/// How the replicas moved, in one sentence.
pub(super) fn replicas_line(record: &RunRecord, summary: &Summary) -> String {
    let start = SimTime::ZERO + record.info.warmup;
    let set_up = set_up_move(record);
    let mut levels = vec![summary.replicas_initial];
    let mut before = String::new();
    for event in &record.events {
        if let EventKind::Scaled { from, to, .. } = event.kind {
            let is_set_up = set_up.is_some_and(|set_up| std::ptr::eq(set_up, event));
            if is_set_up && event.t >= start {
                before = format!("set-up {from} -> {to}, then ");
            }
            if is_set_up || event.t < start {
                levels = vec![to];
            } else if levels.last() != Some(&to) {
                levels.push(to);
            }
        }
    }
    let path = |levels: &[i32]| levels.iter().map(i32::to_string).collect::<Vec<_>>().join(" -> ");
    let history = if levels.len() <= LEVELS_SHOWN {
        path(&levels)
    } else {
        format!("{} -> ... -> {}", path(&levels[..LEVELS_SHOWN - 2]), path(&levels[levels.len() - 1..]))
    };
    let flapping = &summary.flapping;
    let (low, high) = flapping.flaps_per_hour_interval;
    let hours = measured(&record.info).as_secs_f64_exact() / 3600.0;
    let flaps = match (flapping.flaps, high > 0.0) {
        (_, false) => "no measured time".to_owned(),
        (0, true) if summary.scaling_doubt == Some(ScalingDoubt::Paused) => "scaling is paused".to_owned(),
        (0, true) if summary.scaling_doubt == Some(ScalingDoubt::MetricFailed) => {
            "a metric failed, so nothing is said about flaps".to_owned()
        }
        (0, true) if measured(&record.info) < SHORTEST_RATE => "no flap seen, run too short to tell".to_owned(),
        (0, true) => {
            let FlapVerdict { class, decided } = summary.flap_verdict;
            // A clean run is called stable only where it was long enough to say so.
            let word = if class == FlapClass::Stable && decided { "stable, " } else { "" };
            format!("{word}no flap seen (0..{high:.1}/h at 95 % in {} h)", number(tenths(hours)))
        }
        (flaps, true) => {
            let rate = if measured(&record.info) < SHORTEST_RATE {
                "run too short to tell how often".to_owned()
            } else {
                format!("{:.1}/h ({low:.1}..{high:.1} at 95 %)", flapping.flaps_per_hour)
            };
            format!("{}, each a turn within {}: {rate}", count(flaps, "flap"), flapping.window)
        }
    };
    format!("{before}{history} ({}; {flaps})", count(flapping.ups + flapping.downs, "scale event"))
}

/// Rounded to one decimal, or to two digits below 1.
fn tenths(hours: f64) -> f64 {
    let parts = if hours < 1.0 { 100.0 } else { 10.0 };
    (hours * parts).round() / parts
}

/// `1 flap`, `2 flaps`.
pub(super) fn count(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn latency_line(latency: &LatencySummary) -> String {
    let LatencySummary { mean: Some(mean), p50, p95, p99, max, .. } = *latency else {
        return "no samples".to_owned();
    };
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), seconds);
    let mut text = format!(
        "mean {}, p50 {}, p95 {}, p99 {}, max {}",
        seconds(mean),
        shown(p50),
        shown(p95),
        shown(p99),
        shown(max)
    );
    if let Some([_, _, _, of_completed]) = latency.completed
        && of_completed != p99
    {
        let _ = write!(text, "; failed ones count as infinite, without them p99 {}", shown(of_completed));
    }
    text
}

fn requests_line(summary: &Summary) -> String {
    let requests = &summary.requests;
    let mut text = format!("{} sent: {} completed, {} failed", requests.total, requests.completed, requests.failed);
    for (count, word) in [
        (requests.timed_out, "timed out"),
        (requests.aborted, "aborted"),
        (requests.rejected, "rejected"),
        (requests.in_flight, "in flight at the end"),
        (requests.retried, "of all retried"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    text
}

/// GPU-hours, or replica-hours where no GPU is billed.
fn billed_hours(summary: &Summary) -> (&GpuHours, &'static str) {
    if summary.gpu_hours.billed > 0.0 {
        (&summary.gpu_hours, "GPU-hours")
    } else {
        (&summary.replica_hours, "replica-hours")
    }
}

fn capacity_line(hours: &GpuHours, unit: &str) -> String {
    format!(
        "{:.3} {unit} billed: starting {:.3}, serving {:.3}, idle {:.3}, draining {:.3}",
        hours.billed, hours.starting, hours.serving, hours.idle, hours.draining
    )
}

/// A line of the table of scale events.
struct ScaleRow {
    t: SimTime,
    change: String,
    by: &'static str,
    why: String,
}

fn scale_rows(record: &RunRecord) -> Vec<ScaleRow> {
    let (set_up, start) = (set_up_move(record), SimTime::ZERO + record.info.warmup);
    let row = |event: &Event| match &event.kind {
        EventKind::Scaled { from, to, source, reason } => {
            // The header counts neither.
            let uncounted = if set_up.is_some_and(|set_up| std::ptr::eq(set_up, event)) {
                " [set-up, not counted]"
            } else if event.t < start {
                " [warm-up, not counted]"
            } else {
                ""
            };
            Some(ScaleRow {
                t: event.t,
                change: format!("{from} -> {to}"),
                by: source.word(),
                why: format!("{}{uncounted}", why(record, event.t, *source, reason)),
            })
        }
        EventKind::FaultStarted { fault, settings } => Some(fault_row(event.t, fault, settings, "starts")),
        EventKind::FaultEnded { fault, settings } => Some(fault_row(event.t, fault, settings, "is over")),
        _ => None,
    };
    record.events.iter().filter_map(row).collect()
}

/// A fault among the scale events, so that one can see what came before and after it.
fn fault_row(t: SimTime, fault: &str, settings: &str, what: &str) -> ScaleRow {
    let settings = if settings == "{}" { String::new() } else { format!(" {settings}") };
    ScaleRow { t, change: "-".to_owned(), by: "fault", why: format!("{fault}{settings} {what}") }
}

/// Why a write was made: the deciding metric's figures with the windows and limits that changed the count, or what a poll
/// found; upstream's sentence where the decision is not recorded.
fn why(record: &RunRecord, t: SimTime, source: ScaleSource, reason: &str) -> String {
    let decided = match source {
        ScaleSource::Keda => latest_poll(record, t).map(poll_cause),
        ScaleSource::Hpa | ScaleSource::Bounds => latest_sync(record, t).and_then(|sync| {
            let metric = deciding_metric(sync, reason);
            metric.map(|metric| sync_in_short(sync, metric))
        }),
        ScaleSource::Schedule => None,
    };
    match decided {
        Some(decided) => decided,
        None if reason.is_empty() => "(no reason given)".to_owned(),
        None => reason.to_owned(),
    }
}

/// The metric that `reason` names, else the one with the largest proposal.
fn deciding_metric<'a>(sync: &'a HpaSync, reason: &str) -> Option<&'a MetricRecord> {
    // Upstream's sentence: "external metric s0-prometheus(...) above target".
    let named = reason.strip_prefix("external metric ").and_then(|rest| {
        let name = rest.split(['(', ' ']).next()?;
        sync.metrics.iter().find(|metric| metric.trigger == name)
    });
    // The first of equals, as the controller keeps the first.
    named.or_else(|| sync.metrics.iter().rev().max_by_key(|metric| metric.proposal))
}

fn latest_sync(record: &RunRecord, t: SimTime) -> Option<&HpaSync> {
    let syncs = record.decisions.iter().rev().filter_map(|decision| match decision {
        DecisionRecord::HpaSync(sync) => Some(sync.as_ref()),
        DecisionRecord::KedaPoll(_) => None,
    });
    syncs.into_iter().find(|sync| sync.t <= t)
}

fn latest_poll(record: &RunRecord, t: SimTime) -> Option<&KedaPoll> {
    let mut polls = record.decisions.iter().rev().filter_map(|decision| match decision {
        DecisionRecord::KedaPoll(poll) => Some(poll.as_ref()),
        DecisionRecord::HpaSync(_) => None,
    });
    polls.find(|poll| poll.t <= t)
}

fn scale_table(rows: &[ScaleRow]) -> String {
    let has_faults = rows.iter().any(|row| row.by == "fault");
    let mut out = String::from(if has_faults { "scale events and faults\n" } else { "scale events\n" });
    for row in rows.iter().take(EVENTS_SHOWN) {
        let lead = format!("  {:>9}  {:<8} {:<6} ", clock(row.t), row.change, row.by);
        wrap(&mut out, &lead, &row.why);
    }
    if rows.len() > EVENTS_SHOWN {
        let _ = writeln!(out, "  ... and {} more in events.jsonl", rows.len() - EVENTS_SHOWN);
    }
    out
}

/// `h:mm:ss` or `m:ss` since the run's start.
fn clock(t: SimTime) -> String {
    let seconds = t.as_secs_floor();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn duration(seconds: f64) -> String {
    SimDuration::from_secs_f64(seconds).to_string()
}

/// Seconds in the unit a person would choose.
pub(super) fn seconds(value: f64) -> String {
    if value.is_infinite() {
        "infinite".to_owned()
    } else if value < 1.0 {
        format!("{} ms", number(value * 1000.0))
    } else {
        format!("{} s", number(value))
    }
}

/// At most four significant digits, no trailing zeros.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    let magnitude = crate::units::math::log10(value.abs()).floor() as i32;
    let decimals = usize::try_from(3 - magnitude).unwrap_or(0).min(9);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Appends `lead` and `text`, broken at spaces so that no line is wider than [`WIDTH`]; further lines are indented under
/// the text.
pub(super) fn wrap(out: &mut String, lead: &str, text: &str) {
    wrap_under(out, lead, lead.chars().count().min(24), text);
}

/// As [`wrap`], with further lines indented by `indent`.
pub(super) fn wrap_under(out: &mut String, lead: &str, indent: usize, text: &str) {
    let mut line = lead.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

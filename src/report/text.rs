//! The summary as a person reads it in a terminal: answers first, then evidence, then what was assumed. No colour, at most
//! about 100 columns.

use crate::analysis::{GateResult, GpuHours, LatencySummary, Summary, VerdictStatus};
use crate::record::{DecisionRecord, EventKind, HpaSync, MetricRecord, RunRecord, ScaleSource};
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
            wrap(&mut out, "assumed: ", &format!("{path} = {value} ({why})"));
        }
    }
    out
}

fn answers(record: &RunRecord, summary: &Summary) -> String {
    let mut out = String::new();
    let time = duration(summary.duration_seconds);
    let title =
        format!("policy {}, scenario {}, seed {}, {time} simulated", summary.policy, summary.scenario, summary.seed);
    wrap(&mut out, &format!("{}: ", verdict_words(summary)), &title);
    for gate in &summary.verdict.gates {
        wrap(&mut out, "  gate      ", &gate_text(gate));
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
    for (label, latency) in [("TTFT", &summary.ttft), ("TPOT", &summary.tpot), ("E2E", &summary.e2e)] {
        lines.push((label, latency_line(latency)));
    }
    lines.push(("requests", requests_line(summary)));
    lines.push((
        "tokens",
        format!("{:.1}/s all, {:.1}/s completed", summary.tokens_per_second, summary.tokens_completed_per_second),
    ));
    for objective in &summary.slo_objectives {
        let Some(share) = objective.share_within.map(|share| 100.0 * share) else {
            lines.push(("SLO", format!("{}: no data", objective.name)));
            continue;
        };
        let value = objective.value.map_or_else(|| "infinite".to_owned(), seconds);
        let word = if objective.met { "met" } else { "missed" };
        lines.push((
            "SLO",
            format!("{} {value}, limit {}: {word} ({share:.2} % within)", objective.name, seconds(objective.limit)),
        ));
    }
    let (hours, unit) = billed_hours(summary);
    lines.push(("capacity", capacity_line(hours, unit)));
    lines.push(("", format!("{:.3} {unit} wasted by flapping", hours.wasted_by_flapping)));
    if let Some(total) = summary.cost_total {
        let per_token = summary.cost_per_million_tokens.map(|cost| format!(", {} per million tokens", number(cost)));
        lines.push(("cost", format!("{}{}", number(total), per_token.unwrap_or_default())));
    }
    lines
}

/// The verdict in a word or three.
///
/// An error finding puts the run itself in doubt, so it stands beside any verdict.
pub(super) fn verdict_words(summary: &Summary) -> String {
    let verdict = match summary.verdict.status {
        VerdictStatus::Pass if summary.verdict.gates.is_empty() => "pass (no gate set)",
        VerdictStatus::Pass => "pass",
        VerdictStatus::Fail => "FAIL",
        VerdictStatus::Undecided => "undecided",
    };
    if summary.verdict.status == VerdictStatus::Fail {
        return verdict.to_owned();
    }
    let errors = summary.verdict.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    match errors {
        0 => verdict.to_owned(),
        1 => format!("{verdict}, BUT 1 ERROR FOUND"),
        _ => format!("{verdict}, BUT {errors} ERRORS FOUND"),
    }
}

/// One gate on a line.
pub(super) fn gate_text(gate: &GateResult) -> String {
    let value = gate.value.map_or_else(|| "no data".to_owned(), number);
    let interval =
        gate.interval.map(|(low, high)| format!(" ({}..{} at 95 %)", number(low), number(high))).unwrap_or_default();
    let side = if gate.name == "sloAttainment" { "at least" } else { "at most" };
    format!("{} {value}{interval}, {side} {}: {}", gate.name, number(gate.limit), gate_word(gate.status))
}

/// How the replicas moved, in one sentence.
pub(super) fn replicas_line(record: &RunRecord, summary: &Summary) -> String {
    let start = SimTime::ZERO + record.info.warmup;
    let mut levels = vec![summary.replicas_initial];
    for event in &record.events {
        if let EventKind::Scaled { to, .. } = event.kind {
            if event.t < start {
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
    let rate = match (flapping.flaps, high > 0.0) {
        (_, false) => "no measured time".to_owned(),
        (0, true) => format!("no flap seen ({}..{:.1}/h)", number(low), high),
        (_, true) => format!("{:.1}/h ({low:.1}..{high:.1})", flapping.flaps_per_hour),
    };
    format!(
        "{history} ({}, {} in W_flap {}: {rate})",
        count(flapping.ups + flapping.downs, "scale event"),
        count(flapping.flaps, "flap"),
        flapping.window
    )
}

fn count(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn latency_line(latency: &LatencySummary) -> String {
    let LatencySummary { mean: Some(mean), p50, p95, p99, max, .. } = *latency else {
        return "no samples".to_owned();
    };
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), seconds);
    format!("mean {}, p50 {}, p95 {}, p99 {}, max {}", seconds(mean), shown(p50), shown(p95), shown(p99), shown(max))
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
    reason: String,
    metric: String,
}

fn scale_rows(record: &RunRecord) -> Vec<ScaleRow> {
    let row = |event: &crate::record::Event| match &event.kind {
        EventKind::Scaled { from, to, source, reason } => Some(ScaleRow {
            t: event.t,
            change: format!("{from} -> {to}"),
            by: source.word(),
            reason: reason.clone(),
            metric: winning_metric(record, event.t, *source).map(metric_text).unwrap_or_default(),
        }),
        _ => None,
    };
    record.events.iter().filter_map(row).collect()
}

/// The metric with the largest proposal in the sync that wrote at `t`; KEDA's first active trigger for its own writes.
fn winning_metric(record: &RunRecord, t: SimTime, source: ScaleSource) -> Option<&MetricRecord> {
    let before = record.decisions.iter().rev();
    if source == ScaleSource::Keda {
        return before
            .filter_map(|decision| match decision {
                DecisionRecord::KedaPoll(poll) if poll.t <= t => Some(poll),
                _ => None,
            })
            .next()?
            .metrics
            .iter()
            .find(|metric| metric.value.is_some());
    }
    let is_writer = |sync: &&HpaSync| sync.t <= t;
    before
        .filter_map(|decision| match decision {
            DecisionRecord::HpaSync(sync) => Some(sync.as_ref()),
            DecisionRecord::KedaPoll(_) => None,
        })
        .find(is_writer)?
        .metrics
        .iter()
        // The first of equals, as the controller keeps the first.
        .rev()
        .max_by_key(|metric| metric.proposal)
}

fn metric_text(metric: &MetricRecord) -> String {
    let value = metric.value.map_or_else(|| "failed".to_owned(), number);
    format!("{} = {value}, target {}", metric.trigger, number(metric.target_milli as f64 / 1000.0))
}

fn scale_table(rows: &[ScaleRow]) -> String {
    let mut out = String::from("scale events\n");
    for row in rows.iter().take(EVENTS_SHOWN) {
        let lead = format!("  {:>9}  {:<8} {:<6} ", clock(row.t), row.change, row.by);
        let reason = if row.reason.is_empty() { "(no reason given)" } else { &row.reason };
        let detail = if row.metric.is_empty() { String::new() } else { format!(" ({})", row.metric) };
        wrap(&mut out, &lead, &format!("{reason}{detail}"));
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
    if value < 1.0 { format!("{} ms", number(value * 1000.0)) } else { format!("{} s", number(value)) }
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
fn wrap(out: &mut String, lead: &str, text: &str) {
    let indent = lead.chars().count().min(24);
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

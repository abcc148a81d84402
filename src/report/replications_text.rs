//! A run on several seeds as a person reads it: the verdict over all seeds first, then the figures with their intervals, then
//! which seeds had which finding.

use crate::analysis::{Estimate, FindingOverSeeds, Replications, Summary, VerdictStatus};
use crate::report::json::gate_word;
use crate::report::kpi_table::{kpi_markdown, kpi_text};
use crate::report::markdown::escape;
use crate::report::text::{count, number, run_names, wrap, wrap_under};
use crate::scenario::{Assumption, ResolvedRun};
use crate::units::{Severity, SimDuration, math};
use std::fmt::Write as _;

/// Seeds listed by number before only their count is given.
const SEEDS_SHOWN: usize = 8;

/// A row of the second table: label, the figure's path, what to multiply with.
const ROWS: [(&str, &str, f64); 6] = [
    ("reversals", "scaling.reversals", 1.0),
    ("churned starts", "scaling.churnedReplicas", 1.0),
    ("TTFT p95 (ms)", "ttftSeconds.p95", 1000.0),
    ("TPOT p95 (ms)", "tpotSeconds.p95", 1000.0),
    ("E2E p95 (s)", "e2eSeconds.p95", 1.0),
    ("requests", "requests.total", 1.0),
];

/// The whole text. `run` is the first seed's run, `first` its summary.
pub fn replications_text(run: &ResolvedRun, first: &Summary, replications: &Replications) -> String {
    let mut out = String::new();
    wrap_under(&mut out, &format!("{}: ", verdict_words(replications)), 2, &title(first, replications));
    for line in gate_lines(replications) {
        wrap(&mut out, "  gate      ", &line);
    }
    if let Some(line) = alone_line(replications) {
        wrap(&mut out, "            ", &line);
    }
    if let Some(line) = flaps_line(replications) {
        wrap(&mut out, "  flapping  ", &line);
    }
    let _ = writeln!(out, "\nkey figures");
    out.push_str(&kpi_text(&replications.kpis));
    out.push('\n');
    out.push_str(&table(replications));
    wrap_under(&mut out, "", 0, &legend(run, replications));
    if !replications.findings.is_empty() {
        out.push_str("\nfindings\n");
        for finding in &replications.findings {
            wrap(&mut out, &format!("  {} ", finding.severity), &finding_line(finding, replications));
        }
    }
    if !run.assumptions.is_empty() {
        out.push('\n');
        for Assumption { path, value, why } in &run.assumptions {
            wrap_under(&mut out, "assumed: ", 9, &format!("{path} = {value} ({why})"));
        }
    }
    out
}

/// The same as Markdown.
pub fn replications_markdown(run: &ResolvedRun, first: &Summary, replications: &Replications) -> String {
    let mut out = String::new();
    let title = escape(&title(first, replications));
    let _ = writeln!(out, "### kedasim: {} ({title})\n", verdict_words(replications));
    let heading = format!("key figures, {} seeds", replications.seeds.len());
    out.push_str(&kpi_markdown(&replications.kpis, &heading, escape));
    out.push_str("\n| | mean | smallest .. largest |\n|---|---|---|\n");
    for row in rows(replications) {
        let _ = writeln!(out, "| {} | {} | {} |", escape(&row[0]), escape(&row[1]), escape(&row[2]));
    }
    let _ = writeln!(out, "\n{}", escape(&legend(run, replications)));
    for line in gate_lines(replications).into_iter().chain(alone_line(replications)).chain(flaps_line(replications)) {
        let _ = write!(out, "\n- {}", escape(&line));
    }
    for finding in &replications.findings {
        let line = escape(&finding_line(finding, replications));
        let _ = write!(out, "\n- **{}** {line}", finding.severity);
    }
    out.push('\n');
    out
}

/// The verdict over all seeds, with in how many of them something is wrong.
fn verdict_words(replications: &Replications) -> String {
    let mut words = match replications.status {
        _ if replications.gates.is_empty() => "no gate set",
        VerdictStatus::Pass => "pass",
        VerdictStatus::Fail => "FAIL",
        VerdictStatus::Undecided => "undecided",
    }
    .to_owned();
    for (severity, noun) in [(Severity::Error, "errors"), (Severity::Warning, "warnings")] {
        let mut seeds: Vec<u64> = replications
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .flat_map(|finding| finding.seeds.iter().copied())
            .collect();
        seeds.sort_unstable();
        seeds.dedup();
        if !seeds.is_empty() {
            let _ = write!(words, ", {noun} in {} of {} seeds", seeds.len(), replications.seeds.len());
        }
    }
    words
}

fn title(first: &Summary, replications: &Replications) -> String {
    let mut names = run_names(&first.run);
    names.pop();
    let (start, end) = (replications.seeds[0], replications.seeds[replications.seeds.len() - 1]);
    names.push(format!("seeds {start}..{end}"));
    names.push(format!("{} measured of each", SimDuration::from_secs_f64((3600.0 * replications.hours_each).round())));
    names.join(", ")
}

fn gate_lines(replications: &Replications) -> Vec<String> {
    replications.gates.iter().map(gate_line).collect()
}

/// A gate over several seeds.
pub(super) fn gate_line(gate: &crate::analysis::GateResult) -> String {
    let digits = gate.interval.and_then(|(low, high)| decimals((high - low) / 2.0));
    let value = match gate.value {
        Some(_) if gate.interval.is_none() => "no data in some seeds".to_owned(),
        None => "no data".to_owned(),
        Some(value) => with_decimals(value, digits),
    };
    let interval = gate.interval.map_or_else(String::new, |(low, high)| {
        let level = number(100.0 * gate.confidence);
        format!(" ({}..{} at {level} %)", with_decimals(low, digits), with_decimals(high, digits))
    });
    let side = if gate.name == "sloAttainment" { "at least" } else { "at most" };
    let more = match gate.further_seeds {
        Some(more) => format!(", needs about {more} more {}", if more == 1 { "seed" } else { "seeds" }),
        None if gate.status == crate::analysis::GateStatus::Undecided && gate.interval.is_some() => {
            ", too close to the limit for any number of seeds to tell".to_owned()
        }
        None => String::new(),
    };
    let status = gate_word(gate.status);
    format!("{} {value}{interval}, {side} {}: {status}{more}", gate.name, number(gate.limit))
}

/// What each seed alone would have said, when they disagree: the reason for several.
fn alone_line(replications: &Replications) -> Option<String> {
    let of = |status: VerdictStatus| {
        let seeds = replications.seeds.iter().zip(&replications.statuses);
        let seeds: Vec<u64> = seeds.filter(|(_, own)| **own == status).map(|(seed, _)| *seed).collect();
        seeds
    };
    if replications.gates.is_empty() {
        return None;
    }
    let words = [(VerdictStatus::Pass, "pass"), (VerdictStatus::Fail, "fail"), (VerdictStatus::Undecided, "undecided")];
    let parts: Vec<(Vec<u64>, &str)> =
        words.into_iter().map(|(status, word)| (of(status), word)).filter(|(seeds, _)| !seeds.is_empty()).collect();
    let shown: Vec<String> =
        parts.iter().map(|(seeds, word)| format!("{} {word} ({})", seeds.len(), seeds_text(seeds))).collect();
    (parts.len() > 1).then(|| format!("each seed alone: {}", shown.join(", ")))
}

/// How bad the flaps of all seeds together are.
fn flaps_line(replications: &Replications) -> Option<String> {
    let flaps = replications.flaps.as_ref()?;
    let (low, high) = flaps.rate_interval;
    let seen = match flaps.flaps {
        // A class needs flaps, or hours enough without any.
        0 if !flaps.verdict.decided => "no flap seen".to_owned(),
        0 => format!("{}, no flap seen", flaps.class_text()),
        seen => {
            format!("{}, {} ({} with no change in demand)", flaps.class_text(), count(seen, "flap"), flaps.spurious)
        }
    };
    let hours = format!("{} h", number((flaps.hours * 10.0).round() / 10.0));
    Some(format!("{seen} in {hours} of {} seeds: {low:.1}..{high:.1}/h at 95 %", replications.seeds.len()))
}

pub(super) fn seeds_text(seeds: &[u64]) -> String {
    let shown: Vec<String> = seeds.iter().take(SEEDS_SHOWN).map(u64::to_string).collect();
    let more = if seeds.len() > SEEDS_SHOWN { ", ..." } else { "" };
    format!("{} {}{more}", if seeds.len() == 1 { "seed" } else { "seeds" }, shown.join(", "))
}

fn finding_line(finding: &FindingOverSeeds, replications: &Replications) -> String {
    let all = replications.seeds.len();
    let which = if finding.seeds.len() == all { String::new() } else { format!(" ({})", seeds_text(&finding.seeds)) };
    let of = finding.seed.map_or_else(|| "all".to_owned(), |seed| format!("seed {seed}"));
    format!("{}: in {} of {all} seeds{which}; {of}: {}", finding.code, finding.seeds.len(), finding.message)
}

fn legend(run: &ResolvedRun, replications: &Replications) -> String {
    let seeds = count(replications.seeds.len() as u64, "seed");
    let how = match replications.seeds.len() {
        2 => "the two values; an interval takes three seeds or more",
        3..10 => "mean +- half a 95 % t interval over seeds; of percentiles the mean with the smallest and largest",
        _ => "mean +- half a 95 % t interval over seeds; of percentiles the mean with its bootstrap interval",
    };
    let scope = if run.replays_trace() {
        ". The trace is the same for every seed: this is how much luck matters on it, not on traffic like it"
    } else {
        ""
    };
    format!("({seeds}: {how}{scope}.)")
}

fn table(replications: &Replications) -> String {
    let rows = rows(replications);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (label, value) = (width(0), width(1).max(4));
    let mut out = String::new();
    let _ = writeln!(out, "  {:label$}  {:>value$}   smallest .. largest", "", "mean");
    for row in &rows {
        let _ = writeln!(out, "  {:label$}  {:>value$}   {}", row[0], row[1], row[2]);
    }
    out
}

/// Label, mean with its interval, range.
fn rows(replications: &Replications) -> Vec<[String; 3]> {
    let row = |(label, path, scale): &(&str, &str, f64)| {
        let estimate = replications.metric(path)?;
        let (value, range) = estimate_text(estimate, *scale);
        Some([(*label).to_owned(), value, range])
    };
    ROWS.iter().filter_map(row).collect()
}

/// (mean with its interval, smallest .. largest) of an estimate, its values multiplied by `scale`.
pub(super) fn estimate_text(estimate: &Estimate, scale: f64) -> (String, String) {
    let known: Vec<f64> = estimate.values.iter().copied().flatten().map(|value| value * scale).collect();
    let Some((low, high)) = estimate.range().map(|(low, high)| (low * scale, high * scale)) else {
        return ("no data".to_owned(), String::new());
    };
    let missing = estimate.values.len() - known.len();
    let of = if missing > 0 { format!(" ({} of {} seeds)", known.len(), estimate.values.len()) } else { String::new() };
    let infinite = known.iter().filter(|value| value.is_infinite()).count();
    if infinite > 0 {
        return (format!("infinite in {infinite} of {}", count(known.len() as u64, "seed")), of);
    }
    let mean = estimate.mean.unwrap_or(0.0) * scale;
    let (value, digits) = match estimate.interval {
        _ if known.len() == 1 => (number(mean), None),
        None if known.len() == 2 => (format!("{} and {}", number(known[0]), number(known[1])), None),
        None => (number(mean), None),
        Some(((from, to), _)) if from == to => (number(mean), None),
        Some((interval, _)) => {
            let (from, to) = (interval.0 * scale, interval.1 * scale);
            let digits = decimals((to - from) / 2.0);
            let text = match estimate.half_width() {
                Some(half) => with_decimals(mean, digits) + " +- " + &with_decimals(half * scale, digits),
                None => {
                    let ends = (with_decimals(from, digits), with_decimals(to, digits));
                    format!("{} ({}..{})", with_decimals(mean, digits), ends.0, ends.1)
                }
            };
            (text, Some(digits))
        }
    };
    let shown = |value: f64| digits.flatten().map_or_else(|| number(value), |_| with_decimals(value, digits.flatten()));
    let range = if low == high { "all equal".to_owned() } else { format!("{} .. {}", shown(low), shown(high)) };
    (value, range + &of)
}

/// Decimals that show two digits of a half-width; `None` for one of 0.
pub(super) fn decimals(half: f64) -> Option<usize> {
    (half > 0.0).then(|| usize::try_from(1 - math::log10(half).floor() as i32).unwrap_or(0).min(9))
}

pub(super) fn with_decimals(value: f64, decimals: Option<usize>) -> String {
    decimals.map_or_else(|| number(value), |decimals| format!("{value:.decimals$}"))
}

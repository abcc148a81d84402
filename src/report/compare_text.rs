//! A comparison as a person reads it: who is best and whether the data say so, what each policy pays above perfect foresight,
//! then the table, then what it rests on.

use crate::analysis::{COMPARED, ComparedFigure, Difference, Estimate, Summary, VerdictStatus, goals_met};
use crate::report::columns::{Side, columns};
use crate::report::compare_words::{answers, assumed, difference_text, gate_lines, oracle_lines, what_is_missing};
use crate::report::markdown::escape;
use crate::report::replications_text::{estimate_text, seeds_text};
use crate::report::text::{run_names, wrap, wrap_under};
use crate::scenario::ResolvedRun;
use crate::study::{Comparison, Conclusions};
use crate::units::SimDuration;
use std::fmt::Write as _;

/// What a report of a comparison is made from.
#[derive(Clone, Copy, Debug)]
pub struct CompareReport<'a> {
    /// What was run.
    pub comparison: &'a Comparison,
    /// What it says.
    pub conclusions: &'a Conclusions,
    /// What the policies are called, in order.
    pub labels: &'a [String],
    /// The first policy's first run, whose world all share.
    pub run: &'a ResolvedRun,
    /// Notes on how the policies' worlds differ, and defaults in force.
    pub notes: &'a [String],
}

/// Figures of the first table, by key.
const FIRST: [&str; 4] = ["billedHours", "sloAttainment", "flapsPerHour", "readyMean"];
/// Figures of the second.
const SECOND: [&str; 5] = ["ttftP95", "tpotP95", "e2eP95", "failedRequests", "costTotal"];

/// A table: header, rows, and after which row a rule stands.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    rule_after: usize,
}

/// The whole text.
pub fn compare_text(report: &CompareReport<'_>) -> String {
    let mut out = String::new();
    wrap_under(&mut out, &format!("{}: ", verdict_words(report)), 2, &title(report));
    for (lead, line) in answers(report) {
        wrap(&mut out, &format!("  {lead:<10}"), &line);
    }
    for line in gate_lines(report) {
        wrap(&mut out, "  gate      ", &line);
    }
    for table in [table(report, &FIRST, true), table(report, &SECOND, false)] {
        out.push('\n');
        out.push_str(&table.text());
    }
    wrap_under(&mut out, "", 0, &legend(report));
    for pair in &report.conclusions.pairs {
        let (own, baseline) = (&report.labels[pair.policy], &report.labels[0]);
        let _ = writeln!(out, "\n{own} minus {baseline}, seed by seed");
        let rows: Vec<Vec<String>> = pair.differences.iter().map(|own| difference_row(report, own)).collect();
        out.push_str(&aligned(&rows));
    }
    if !report.conclusions.pairs.is_empty() {
        wrap_under(&mut out, "", 0, &pairs_legend(report));
    }
    for (heading, lines) in oracle_lines(report) {
        let _ = writeln!(out, "\n{heading}");
        for line in lines {
            wrap(&mut out, "  ", &line);
        }
    }
    let findings = findings(report);
    if !findings.is_empty() {
        out.push_str("\nfindings\n");
        for (severity, line) in findings {
            wrap(&mut out, &format!("  {severity} "), &line);
        }
    }
    out.push('\n');
    for line in assumed(report) {
        wrap_under(&mut out, "assumed: ", 9, &line);
    }
    out
}

/// The same as Markdown.
pub fn compare_markdown(report: &CompareReport<'_>) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "### kedasim compare: {} ({})\n", verdict_words(report), escape(&title(report)));
    for (_, line) in answers(report) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    for line in gate_lines(report) {
        let _ = writeln!(out, "- gate {}", escape(&line));
    }
    for table in [table(report, &FIRST, true), table(report, &SECOND, false)] {
        out.push('\n');
        out.push_str(&table.markdown());
    }
    let _ = writeln!(out, "\n{}", escape(&legend(report)));
    for pair in &report.conclusions.pairs {
        let (own, baseline) = (&report.labels[pair.policy], &report.labels[0]);
        let _ = writeln!(out, "\n{} minus {}\n\n| | difference | |\n|---|---|---|", escape(own), escape(baseline));
        for own in &pair.differences {
            let row: Vec<String> = difference_row(report, own).iter().map(|cell| escape(cell)).collect();
            let _ = writeln!(out, "| {} |", row.join(" | "));
        }
    }
    if !report.conclusions.pairs.is_empty() {
        let _ = writeln!(out, "\n{}", escape(&pairs_legend(report)));
    }
    for (heading, lines) in oracle_lines(report) {
        let _ = writeln!(out, "\n**{}**\n", escape(&heading));
        for line in lines {
            let _ = writeln!(out, "- {}", escape(&line));
        }
    }
    let findings = findings(report);
    if !findings.is_empty() {
        out.push_str("\n**findings**\n\n");
    }
    for (severity, line) in findings {
        let _ = writeln!(out, "- **{severity}** {}", escape(&line));
    }
    out.push_str("\n**assumed**\n\n");
    for line in assumed(report) {
        let _ = writeln!(out, "- {}", escape(&line));
    }
    out
}

fn verdict_words(report: &CompareReport<'_>) -> &'static str {
    match report.conclusions.status() {
        _ if report.run.analysis.gates.is_empty() => "no gate set",
        VerdictStatus::Pass => "pass",
        VerdictStatus::Fail => "FAIL",
        VerdictStatus::Undecided => "undecided",
    }
}

fn title(report: &CompareReport<'_>) -> String {
    let first = &report.comparison.policies[0].runs[0];
    let mut names = run_names(&first.run);
    names.pop();
    names[0] = report.labels.join(" against ");
    names.push(seeds_text(&report.comparison.seeds));
    let runs = &report.comparison.policies[0].runs;
    let mean = runs.iter().map(|run| run.duration_seconds).sum::<f64>() / runs.len() as f64;
    names.push(format!("{} simulated of each", SimDuration::from_secs_f64(mean.round())));
    names.join(", ")
}

/// Name and runs of all that is shown, policies first.
fn shown(report: &CompareReport<'_>) -> Vec<(String, Vec<Summary>)> {
    let policies = report.labels.iter().zip(&report.comparison.policies);
    let policies = policies.map(|(label, own)| (label.clone(), own.runs.clone()));
    policies.chain(report.comparison.baselines().into_iter().map(|(name, _, runs)| (name, runs))).collect()
}

/// What a figure is called here.
pub(super) fn figure_name(figure: &ComparedFigure, has_gpus: bool) -> &'static str {
    match figure.key {
        "billedHours" if !has_gpus => "billed replica-hours",
        _ => figure.name,
    }
}

pub(super) fn has_gpus(report: &CompareReport<'_>) -> bool {
    report.run.gpus_per_replica > 0
}

/// The figure over the seeds.
pub(super) fn estimate(figure: &ComparedFigure, runs: &[Summary]) -> Estimate {
    Estimate::new(figure.key, figure.kind, figure.values(runs))
}

fn table(report: &CompareReport<'_>, keys: &[&str], with_goals: bool) -> Table {
    let all = shown(report);
    let has_data =
        |figure: &&ComparedFigure| all.iter().any(|(_, runs)| figure.values(runs).iter().any(Option::is_some));
    let chosen: Vec<&ComparedFigure> =
        keys.iter().filter_map(|key| COMPARED.iter().find(|figure| figure.key == *key)).filter(has_data).collect();
    let goals = with_goals && !report.run.analysis.slo.is_empty();
    let mut header = vec![String::new()];
    header.extend(chosen.iter().map(|figure| figure_name(figure, has_gpus(report)).to_owned()));
    header.extend(goals.then(|| "SLO met on".to_owned()));
    let row = |(name, runs): &(String, Vec<Summary>)| {
        let mut row = vec![name.clone()];
        row.extend(chosen.iter().map(|figure| cell(&estimate(figure, runs))));
        let met = goals_met(runs).filter(|_| goals).map(|own| format!("{} of {}", own.met, own.of));
        row.extend(met);
        row
    };
    Table { header, rows: all.iter().map(row).collect(), rule_after: report.labels.len() }
}

/// An estimate in a table: `inf`, and in how many seeds when not in all.
fn cell(estimate: &Estimate) -> String {
    let known: Vec<f64> = estimate.values.iter().copied().flatten().collect();
    match known.iter().filter(|value| value.is_infinite()).count() {
        0 => estimate_text(estimate, 1.0).0,
        all if all == known.len() => "inf".to_owned(),
        some => format!("inf in {some} of {}", known.len()),
    }
}

impl Table {
    fn text(&self) -> String {
        let mut lines = vec![self.header.clone()];
        lines.extend(self.rows.iter().cloned());
        let text = aligned(&lines);
        let width = text.lines().map(|line| line.chars().count()).max().unwrap_or(2);
        let mut out = String::new();
        for (index, line) in text.lines().enumerate() {
            out.push_str(line);
            out.push('\n');
            if index == self.rule_after && index < self.rows.len() {
                let _ = writeln!(out, "  {}", "-".repeat(width.saturating_sub(2)));
            }
        }
        out
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut out = line(&self.header);
        let _ = writeln!(out, "|{}", "---|".repeat(self.header.len()));
        self.rows.iter().for_each(|row| out.push_str(&line(row)));
        out
    }
}

/// Rows as columns: the first to the left, the others to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    columns(rows, "  ", |column| if column == 0 { Side::Left } else { Side::Right })
}

fn difference_row(report: &CompareReport<'_>, own: &Difference) -> Vec<String> {
    let name = figure_name(own.figure, has_gpus(report)).to_owned();
    let star = if own.is_tested { " *" } else { "" };
    let [difference, verdict] = difference_text(own);
    vec![name + star, difference, verdict]
}

fn legend(report: &CompareReport<'_>) -> String {
    let comparison = report.comparison;
    let how = match comparison.seeds.len() {
        1 => "1 seed, no interval: nothing here says how much is luck",
        2 => "the two values of two seeds; an interval takes three seeds or more",
        3..10 => "mean +- half a 95 % t interval over seeds; of percentiles the mean alone",
        _ => "mean +- half a 95 % t interval over seeds; of percentiles the mean with its bootstrap interval",
    };
    let roles: Vec<String> = comparison.baselines().iter().map(|(name, role, _)| format!("{name}: {role}")).collect();
    let mut text = format!("({how}; inf: failed requests reach the percentile. {}.", roles.join("; "));
    if comparison.bounds.0 == 0 {
        text += " minReplicaCount is 0; static(1) stands for the fewest that serve.";
    }
    if report.run.replays_trace() {
        text += " The trace is the same for every seed: this is how much luck matters on it, not on traffic like it.";
    }
    text += " ";
    text += &what_is_missing(report);
    format!("{})", text.trim_end())
}

fn pairs_legend(report: &CompareReport<'_>) -> String {
    let tested = match report.run.analysis.gates.as_slice() {
        [] => "cost, attainment and flaps",
        _ => "the figures that have a gate",
    };
    format!(
        "(mean +- half a 95 % t interval of the difference per seed. different: not 0 and beyond the margin that matters; same: \
         within it; negligible: not 0, but within it. * tested together by Holm's procedure at 5 %: {tested}, of every pair.)"
    )
}

/// Severity and text, per policy.
fn findings(report: &CompareReport<'_>) -> Vec<(crate::units::Severity, String)> {
    let several = report.labels.len() > 1;
    let mut lines = Vec::new();
    for (label, own) in report.labels.iter().zip(&report.conclusions.policies) {
        let lead = if several { format!("{label}: ") } else { String::new() };
        lines.extend(own.findings.iter().map(|own| (own.severity, format!("{lead}{}: {}", own.code, own.message))));
    }
    lines
}

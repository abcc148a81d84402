//! The summary as Markdown, for job summaries and comments.

use crate::analysis::{Summary, kpi_values};
use crate::record::RunRecord;
use crate::report::kpi_table::kpi_markdown;
use crate::report::text::{answer_lines, gate_text, run_names, verdict_words};
use std::fmt::Write as _;

/// The whole text of one run.
pub fn summary_markdown(record: &RunRecord, summary: &Summary) -> String {
    let mut out = String::new();
    let names = escape(&run_names(&summary.run).join(", "));
    let _ = writeln!(out, "### kedasim: {} ({names})\n", verdict_words(summary));
    out.push_str("| | |\n|---|---|\n");
    for (label, text) in answer_lines(record, summary) {
        let _ = writeln!(out, "| {label} | {} |", escape(&text));
    }
    for gate in &summary.verdict.gates {
        let _ = writeln!(out, "| gate | {} |", escape(&gate_text(gate, &summary.run)));
    }
    let kpis = kpi_values(std::slice::from_ref(summary));
    let _ = write!(out, "\n{}", kpi_markdown(&kpis, "key figures, 1 run, no interval", escape));
    for finding in &summary.verdict.findings {
        let _ = write!(out, "\n- **{}** `{}`: {}", finding.severity, finding.code, escape(&finding.message));
        for evidence in &finding.evidence {
            let _ = write!(out, "\n  - {}", escape(evidence));
        }
    }
    if !summary.verdict.findings.is_empty() {
        out.push('\n');
    }
    out
}

/// User text cannot break the table or become markup.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

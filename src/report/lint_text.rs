//! `kedasim lint` for people: the verdicts first, then the messages with their places, per file the advice of rules in
//! short, then how many.

use crate::lint::{FileReport, Finding, HpaReport, LintReport, LoadStatus, ObjectReport, QueryStatus, VerdictStatus};
use crate::units::{Judge, Severity};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The report as text.
pub fn lint_text(report: &LintReport) -> String {
    let mut text = String::new();
    for file in &report.files {
        answers(file, &mut text);
    }
    if text.is_empty() {
        text.push_str("NOTHING TO JUDGE: no ScaledObject, HorizontalPodAutoscaler or InferenceService\n");
    }
    if report.worst().is_some() {
        text.push('\n');
    }
    for file in &report.files {
        let mut told = BTreeSet::new();
        let (advice, messages): (Vec<&Finding>, Vec<&Finding>) = file.all_findings().partition(|own| own.is_advice());
        messages.iter().for_each(|own| message(own, told.insert(own.code()), &mut text));
        advise(&file.file, &advice, &mut text);
    }
    let counts = report.counts();
    let many = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let parts = [
        many(counts.files, "file"),
        many(counts.objects, "object"),
        many(counts.errors, "error"),
        many(counts.warnings, "warning"),
        many(counts.notes, "note"),
    ];
    let suppressed = if counts.suppressed > 0 { format!(", {} suppressed", counts.suppressed) } else { String::new() };
    let _ = writeln!(text, "\n{}{suppressed}", parts.join(", "));
    text
}

/// One line per object, and one for a file that does not load.
fn answers(file: &FileReport, text: &mut String) {
    if file.load == LoadStatus::Failed {
        let _ = writeln!(text, "NOT LOADED {}", file.file);
    }
    for object in &file.objects {
        let _ = writeln!(text, "{}", answer(object, &file.file));
        for query in object.verdict.queries.iter().filter(|query| query.status != QueryStatus::Ok) {
            let word = match query.status {
                QueryStatus::Ok | QueryStatus::Unknown => "cannot be judged",
                QueryStatus::Refused => "is refused by Prometheus",
                QueryStatus::NeverAnswers => "never gives KEDA a value",
            };
            let _ = writeln!(text, "  the query of {} {word}", query.trigger);
        }
    }
}

fn answer(object: &ObjectReport, file: &str) -> String {
    let api_version = object.api_version.split('/').next().unwrap_or_default();
    let mut what = format!("{api_version} {} {} ({file}:{})", object.kind, object.name, object.line);
    if let Some((kind, name)) = &object.generated_by {
        let _ = write!(what, ", generated for {kind} {name}");
    }
    let strict = if object.verdict.strict_apply_refuses { "; kubectl apply refuses it as it is" } else { "" };
    match object.verdict.status {
        VerdictStatus::Rejected => {
            let by: Vec<&str> = object.verdict.rejected_by.iter().map(|judge| judge_words(*judge)).collect();
            format!("REJECTED by {}: {what}", by.join(", "))
        }
        VerdictStatus::Unknown if object.kind.ends_with("InferenceService") => format!("READ {what}"),
        VerdictStatus::Unknown => format!("UNDECIDED {what}{strict}"),
        VerdictStatus::Accepted => {
            let paused = object.effective.as_ref().is_some_and(|own| own.paused);
            let hpa = object.hpa.as_ref().map(hpa_words);
            let hpa = hpa.unwrap_or_else(|| if paused { "paused, no HPA" } else { "no HPA" }.to_owned());
            format!("ACCEPTED {what}: {hpa}{strict}")
        }
    }
}

fn judge_words(judge: Judge) -> &'static str {
    match judge {
        Judge::ApiServer => "the API server",
        Judge::Webhook => "KEDA's webhook",
        Judge::Operator => "KEDA's operator",
        Judge::HpaValidation => "the API server's validation of the HPA",
        Judge::Prometheus => "Prometheus",
    }
}

/// `HPA 1..3, s0-prometheus 5 AverageValue`.
fn hpa_words(hpa: &HpaReport) -> String {
    let mut words = format!("HPA {}..{}", hpa.min_replicas, hpa.max_replicas);
    for metric in &hpa.metrics {
        let target = metric.target.as_ref().map_or("with a target that its scaler decides", |own| &own.words);
        let _ = write!(words, ", {} {target}", metric.name);
    }
    words
}

/// One message: what, the line with a mark below the character, why (when the rule is `new` in this file), what to do and
/// where upstream has it.
fn message(finding: &Finding, new: bool, text: &mut String) {
    let diagnostic = &finding.diagnostic;
    let shown = diagnostic.to_string();
    let (first, help) =
        shown.split_once("\n  help: ").map_or((shown.as_str(), None), |(first, help)| (first, Some(help)));
    match finding.rule.zip(first.split_once(": ")) {
        Some((rule, (severity, rest))) => {
            let _ = writeln!(text, "{severity}[{}]: {rest}", rule.code);
        }
        None => {
            let _ = writeln!(text, "{first}");
        }
    }
    let shows_line = finding.rule.is_some() || diagnostic.severity == Severity::Error;
    if let Some(excerpt) = finding.excerpt.as_ref().filter(|_| shows_line) {
        // A tab stays one, so that the mark stands below its character.
        let before = excerpt.line.chars().take(usize::try_from(excerpt.column).map_or(0, |column| column - 1));
        let indent: String = before.map(|own| if own == '\t' { '\t' } else { ' ' }).collect();
        let _ = writeln!(text, "  | {}\n  | {indent}^", excerpt.line);
    }
    let rule = finding.rule.filter(|_| new);
    if let Some(rule) = rule {
        let _ = writeln!(text, "  why:  {}", rule.why);
    }
    if let Some(help) = help {
        let _ = writeln!(text, "  help: {help}");
    }
    if let Some(rule) = rule {
        let _ = writeln!(text, "  see:  {}", rule.link);
    }
}

/// The advice of a file, each rule once.
fn advise(file: &str, advice: &[&Finding], text: &mut String) {
    let codes: BTreeSet<&str> = advice.iter().filter_map(|own| own.code()).collect();
    if !codes.is_empty() {
        let _ = writeln!(text, "advice for {file}:");
    }
    for code in codes {
        let own: Vec<&&Finding> = advice.iter().filter(|own| own.code() == Some(code)).collect();
        let places = own.iter().filter_map(|own| own.diagnostic.span.as_ref());
        let mut lines: Vec<String> = places.map(|span| format!("{}:{}", span.line, span.column)).collect();
        lines.dedup();
        let Some((first, rule)) = own.first().and_then(|own| Some((&own.diagnostic, own.rule?))) else { continue };
        let _ = writeln!(text, "  {code} at {}: {}", lines.join(", "), first.message);
        let _ = writeln!(text, "       {} ({})", first.help.as_deref().unwrap_or(rule.fix), rule.link);
    }
}

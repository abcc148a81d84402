//! `kedasim lint --format github`: workflow commands, which GitHub shows beside the lines of a pull request. Advice comes
//! once per file and rule, and last: a job shows only the first ten of each kind.

use crate::lint::{Finding, LintReport};
use crate::units::Severity;
use std::collections::BTreeSet;
use std::fmt::Write;

/// The annotations, and a line with the counts.
pub fn github_annotations(report: &LintReport) -> String {
    let mut text = String::new();
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        for file in &report.files {
            let mut told = BTreeSet::new();
            let own = file.all_findings().filter(|own| own.diagnostic.severity == severity);
            for finding in own.filter(|own| !own.is_advice() || told.insert(own.code())) {
                annotation(finding, &mut text);
            }
        }
    }
    let counts = report.counts();
    let _ = writeln!(
        text,
        "kedasim lint: {} errors, {} warnings, {} notes, {} suppressed",
        counts.errors, counts.warnings, counts.notes, counts.suppressed
    );
    text
}

fn annotation(finding: &Finding, text: &mut String) {
    let diagnostic = &finding.diagnostic;
    let command = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let title = finding.rule.map_or_else(|| "kedasim lint".to_owned(), |rule| format!("{} {}", rule.code, rule.name));
    let mut properties = Vec::new();
    if let Some(span) = &diagnostic.span {
        properties.push(format!("file={}", property(&span.file)));
        // Line 0 is a file as a whole.
        if span.line > 0 {
            properties.push(format!("line={},col={}", span.line, span.column));
        }
    }
    properties.push(format!("title={}", property(&title)));
    let mut message = diagnostic.message.clone();
    if !diagnostic.path.is_empty() {
        message = format!("{}: {message}", diagnostic.path);
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(message, "\nhelp: {help}");
    }
    if let Some(rule) = finding.rule {
        let _ = write!(message, "\nsee: {}", rule.link);
    }
    let _ = writeln!(text, "::{command} {}::{}", properties.join(","), data(&message));
}

/// Escapes a message (actions/toolkit `escapeData`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property (actions/toolkit `escapeProperty`).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(data("100 %\r\na: b, c"), "100 %25%0D%0Aa: b, c");
        assert_eq!(property("C:\\a,b 5%\n"), "C%3A\\a%2Cb 5%25%0A");
    }
}

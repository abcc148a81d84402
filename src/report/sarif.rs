//! `kedasim lint --format sarif`: SARIF 2.1.0 (OASIS Standard, 27 March 2020), for code scanning.
//!
//! What belongs to no rule of the catalogue has a rule named after who says it. Columns count characters.

use super::lint_json::judge_word;
use crate::lint::{FileReport, Finding, LintReport, ObjectReport, RULES, Rule, SuppressedBy};
use crate::units::Severity;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Those who say what no rule of the catalogue covers.
const OTHERS: [(&str, &str); 6] = [
    ("apiServer", "The API server says so when the object is applied"),
    ("webhook", "KEDA's admission webhook says so"),
    ("operator", "KEDA's operator says so when it builds a scaler"),
    ("hpaValidation", "The API server says so when KEDA creates the HPA"),
    ("prometheus", "Prometheus says so at every query"),
    ("kedasim", "What kedasim finds in the file, or cannot judge"),
];

/// The report as one SARIF log, pretty-printed.
pub fn sarif(report: &LintReport) -> String {
    let mut results = Vec::new();
    let mut seen = BTreeMap::new();
    for file in &report.files {
        for (object, finding) in located(file) {
            results.push(result(file, object, finding, &mut seen));
        }
        for own in &file.suppressed {
            let mut result = result(file, None, &own.finding, &mut seen);
            result["suppressions"] = match own.by {
                SuppressedBy::Flag => json!([{"kind": "external", "justification": "--ignore"}]),
                SuppressedBy::Comment(line) => {
                    json!([{"kind": "inSource", "justification": format!("comment on line {line}")}])
                }
            };
            results.push(result);
        }
    }
    let rules: Vec<Value> = RULES.iter().map(|rule| of_catalogue(rule)).chain(OTHERS.iter().map(other)).collect();
    let driver = json!({
        "name": "kedasim",
        "version": env!("CARGO_PKG_VERSION"),
        "semanticVersion": env!("CARGO_PKG_VERSION"),
        "rules": rules,
    });
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    });
    serde_json::to_string_pretty(&log).expect("a tree of texts and whole numbers")
}

/// The messages of a file, each with its object where it has one.
fn located(file: &FileReport) -> Vec<(Option<&ObjectReport>, &Finding)> {
    let mut found: Vec<(Option<&ObjectReport>, &Finding)> = file.findings.iter().map(|own| (None, own)).collect();
    for object in &file.objects {
        found.extend(object.findings.iter().map(|own| (Some(object), own)));
    }
    found
}

fn of_catalogue(rule: &Rule) -> Value {
    json!({
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": sentence(&rule.name.replace('-', " "))},
        "fullDescription": {"text": sentence(rule.why)},
        "help": {"text": sentence(rule.fix)},
        "helpUri": rule.link,
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": [rule.basis.word()]},
    })
}

fn other((id, text): &(&'static str, &'static str)) -> Value {
    json!({"id": id, "name": id, "shortDescription": {"text": sentence(text)}, "defaultConfiguration": {"level": "note"}})
}

/// SARIF's texts are sentences.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|own| own.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

/// The rule's id and its position in the driver's list.
fn rule_of(finding: &Finding) -> (&'static str, usize) {
    if let Some(rule) = finding.rule {
        let index = RULES.iter().position(|own| own.code == rule.code);
        return (rule.code, index.unwrap_or_default());
    }
    let word = finding.diagnostic.judge.map_or("kedasim", judge_word);
    let index = OTHERS.iter().position(|(own, _)| *own == word);
    (word, RULES.len() + index.unwrap_or_default())
}

fn result(
    file: &FileReport,
    object: Option<&ObjectReport>,
    finding: &Finding,
    seen: &mut BTreeMap<u64, usize>,
) -> Value {
    let diagnostic = &finding.diagnostic;
    let (rule, index) = rule_of(finding);
    let mut text = diagnostic.message.clone();
    if let Some(help) = &diagnostic.help {
        text = format!("{text}\nhelp: {help}");
    }
    let name = diagnostic.span.as_ref().map_or(file.file.as_str(), |span| &*span.file);
    let mut place = json!({"artifactLocation": {"uri": uri(name)}});
    // Line 0 is a file as a whole.
    if let Some(span) = diagnostic.span.as_ref().filter(|span| span.line > 0) {
        place["region"] = json!({"startLine": span.line, "startColumn": span.column.max(1)});
        if let Some(excerpt) = &finding.excerpt {
            place["region"]["snippet"] = json!({"text": excerpt.line});
        }
    }
    let mut location = json!({"physicalLocation": place});
    if !diagnostic.path.is_empty() {
        let owner = object.map(|own| format!("{}/{}:", own.kind, own.name)).unwrap_or_default();
        location["logicalLocations"] =
            json!([{"fullyQualifiedName": format!("{owner}{}", diagnostic.path), "kind": "member"}]);
    }
    let fingerprint = fingerprint(rule, name, object, finding, seen);
    json!({
        "ruleId": rule,
        "ruleIndex": index,
        "level": level(diagnostic.severity),
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"kedasimFinding/v1": fingerprint},
    })
}

/// What stays the same when lines move: rule, file, object, path and text, and how many of the like came before.
fn fingerprint(
    rule: &str,
    file: &str,
    object: Option<&ObjectReport>,
    finding: &Finding,
    seen: &mut BTreeMap<u64, usize>,
) -> String {
    let (kind, name) = object.map_or(("", ""), |own| (own.kind.as_str(), own.name.as_str()));
    let parts = [rule, file, kind, name, &finding.diagnostic.path, &finding.diagnostic.message];
    // FNV-1a, 64 bits: the same on every machine and in every release.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let before = seen.entry(hash).or_default();
    *before += 1;
    format!("{hash:016x}:{before}")
}

/// A file's name as a URI reference (RFC 3986).
fn uri(name: &str) -> String {
    if name == "<stdin>" {
        return "stdin".to_owned();
    }
    let mut out = String::new();
    for byte in name.replace('\\', "/").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    if out.starts_with('/') { format!("file://{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_uri_references() {
        assert_eq!(uri("a b/ä:1.yaml"), "a%20b/%C3%A4%3A1.yaml");
        assert_eq!(uri("/tmp/x.yaml"), "file:///tmp/x.yaml");
        assert_eq!(uri("<stdin>"), "stdin");
    }
}

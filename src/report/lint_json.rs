//! `kedasim lint --format json`. The names are a contract (docs/lint.md).

use crate::lint::{
    Effective, FileReport, Finding, HpaReport, LintReport, LoadStatus, ObjectReport, QueryReport, QueryStatus, Rule,
    Suppressed, SuppressedBy, Verdict, VerdictStatus,
};
use crate::record::SCHEMA_VERSION;
use crate::units::{Judge, Severity};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Lint<'a> {
    schema_version: u32,
    files: Vec<File<'a>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    objects: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    suppressed: usize,
}

#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    load: Load<'a>,
    objects: Vec<Object<'a>>,
    suppressed: Vec<Silenced<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Silenced<'a> {
    /// `flag` or `comment`.
    by: &'static str,
    comment_line: Option<u32>,
    diagnostic: Message<'a>,
}

#[derive(Serialize)]
struct Load<'a> {
    status: &'static str,
    diagnostics: Vec<Message<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    kind: &'a str,
    api_version: &'a str,
    name: &'a str,
    namespace: Option<&'a str>,
    line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_by: Option<Origin<'a>>,
    verdict: VerdictBlock<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hpa: Option<Hpa<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<InForce>,
    diagnostics: Vec<Message<'a>>,
}

#[derive(Serialize)]
struct Origin<'a> {
    kind: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct VerdictBlock<'a> {
    status: &'static str,
    rejected_by: Vec<&'static str>,
    strict_apply: &'static str,
    queries: Vec<Query<'a>>,
}

#[derive(Serialize)]
struct Query<'a> {
    trigger: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hpa<'a> {
    name: &'a str,
    min_replicas: i32,
    max_replicas: i32,
    metrics: Vec<Metric<'a>>,
}

#[derive(Serialize)]
struct Metric<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    target_type: Option<&'static str>,
    target: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InForce {
    min_replicas: i32,
    max_replicas: i32,
    idle_replicas: Option<i32>,
    can_scale_to_zero: bool,
    polling_interval_seconds: f64,
    polling_interval_acts: bool,
    cooldown_period_seconds: f64,
    cooldown_period_acts: bool,
    initial_cooldown_period_seconds: f64,
    paused: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    severity: Severity,
    code: Option<&'static str>,
    judge: Option<&'static str>,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    path: &'a str,
    message: &'a str,
    help: Option<&'a str>,
    why: Option<&'static str>,
    link: Option<&'static str>,
    fixable: bool,
}

/// The report as one JSON object, pretty-printed.
pub fn lint_json(report: &LintReport) -> String {
    let counts = report.counts();
    let lint = Lint {
        schema_version: SCHEMA_VERSION,
        files: report.files.iter().map(file).collect(),
        summary: Summary {
            files: counts.files,
            objects: counts.objects,
            errors: counts.errors,
            warnings: counts.warnings,
            notes: counts.notes,
            suppressed: counts.suppressed,
        },
    };
    serde_json::to_string_pretty(&lint).expect("a tree of texts and finite numbers")
}

fn file(report: &FileReport) -> File<'_> {
    let status = match report.load {
        LoadStatus::Ok => "ok",
        LoadStatus::Coerced => "coerced",
        LoadStatus::Failed => "failed",
    };
    File {
        file: &report.file,
        load: Load { status, diagnostics: messages(&report.findings) },
        objects: report.objects.iter().map(object).collect(),
        suppressed: report.suppressed.iter().map(silenced).collect(),
    }
}

fn silenced(own: &Suppressed) -> Silenced<'_> {
    let (by, comment_line) = match own.by {
        SuppressedBy::Flag => ("flag", None),
        SuppressedBy::Comment(line) => ("comment", Some(line)),
    };
    Silenced { by, comment_line, diagnostic: message(&own.finding) }
}

fn object(report: &ObjectReport) -> Object<'_> {
    Object {
        kind: &report.kind,
        api_version: &report.api_version,
        name: &report.name,
        namespace: report.namespace.as_deref(),
        line: report.line,
        generated_by: report.generated_by.as_ref().map(|(kind, name)| Origin { kind, name }),
        verdict: verdict(&report.verdict),
        hpa: report.hpa.as_ref().map(hpa),
        effective: report.effective.as_ref().map(in_force),
        diagnostics: messages(&report.findings),
    }
}

fn verdict(verdict: &Verdict) -> VerdictBlock<'_> {
    VerdictBlock {
        status: match verdict.status {
            VerdictStatus::Accepted => "accepted",
            VerdictStatus::Rejected => "rejected",
            VerdictStatus::Unknown => "unknown",
        },
        rejected_by: verdict.rejected_by.iter().map(|judge| judge_word(*judge)).collect(),
        strict_apply: if verdict.strict_apply_refuses { "refused" } else { "accepted" },
        queries: verdict.queries.iter().map(query).collect(),
    }
}

fn query(report: &QueryReport) -> Query<'_> {
    let status = match report.status {
        QueryStatus::Ok => "ok",
        QueryStatus::Refused => "refused",
        QueryStatus::NeverAnswers => "neverAnswers",
        QueryStatus::Unknown => "unknown",
    };
    Query { trigger: &report.trigger, status, message: &report.message }
}

fn hpa(report: &HpaReport) -> Hpa<'_> {
    let metrics = report.metrics.iter().map(|metric| {
        let target = metric.target.as_ref();
        Metric {
            name: &metric.name,
            target_type: target.map(|own| own.type_word),
            target: target.map(|own| own.number),
        }
    });
    Hpa {
        name: &report.name,
        min_replicas: report.min_replicas,
        max_replicas: report.max_replicas,
        metrics: metrics.collect(),
    }
}

fn in_force(effective: &Effective) -> InForce {
    InForce {
        min_replicas: effective.min_replicas,
        max_replicas: effective.max_replicas,
        idle_replicas: effective.idle_replicas,
        can_scale_to_zero: effective.can_scale_to_zero,
        polling_interval_seconds: effective.polling_interval.as_secs_f64(),
        polling_interval_acts: effective.polling_interval_acts,
        cooldown_period_seconds: effective.cooldown_period.as_secs_f64(),
        cooldown_period_acts: effective.cooldown_period_acts,
        initial_cooldown_period_seconds: effective.initial_cooldown_period.as_secs_f64(),
        paused: effective.paused,
    }
}

pub(super) fn judge_word(judge: Judge) -> &'static str {
    match judge {
        Judge::ApiServer => "apiServer",
        Judge::Webhook => "webhook",
        Judge::Operator => "operator",
        Judge::HpaValidation => "hpaValidation",
        Judge::Prometheus => "prometheus",
    }
}

fn messages(findings: &[Finding]) -> Vec<Message<'_>> {
    findings.iter().map(message).collect()
}

fn message(finding: &Finding) -> Message<'_> {
    let diagnostic = &finding.diagnostic;
    // Line 0 is a file as a whole.
    let place = diagnostic.span.as_ref().filter(|span| span.line > 0);
    Message {
        severity: diagnostic.severity,
        code: finding.code(),
        judge: diagnostic.judge.map(judge_word),
        file: diagnostic.span.as_ref().map(|span| &*span.file),
        line: place.map(|span| span.line),
        column: place.map(|span| span.column),
        path: &diagnostic.path,
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        why: finding.rule.map(|rule| rule.why),
        link: finding.rule.map(|rule| rule.link),
        fixable: finding.edit.is_some(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    schema_version: u32,
    rules: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    code: &'static str,
    name: &'static str,
    severity: Severity,
    found: &'static str,
    why: &'static str,
    fix: &'static str,
    link: &'static str,
    fixable: bool,
}

/// The rules as one JSON object, pretty-printed.
pub fn lint_rules_json(rules: &[&Rule]) -> String {
    let entry = |rule: &&Rule| Entry {
        code: rule.code,
        name: rule.name,
        severity: rule.severity,
        found: rule.basis.word(),
        why: rule.why,
        fix: rule.fix,
        link: rule.link,
        fixable: rule.has_fix,
    };
    let catalogue = Catalogue { schema_version: SCHEMA_VERSION, rules: rules.iter().map(entry).collect() };
    serde_json::to_string_pretty(&catalogue).expect("a tree of texts")
}

/// The rules for people: a line with code, severity, basis and name, then why, what to do and where upstream has it.
pub fn lint_rules_text(rules: &[&Rule]) -> String {
    let entry = |rule: &&Rule| {
        let fixable = if rule.has_fix { ", --fix" } else { "" };
        format!(
            "{} {} ({}; {}{fixable})\n  why:  {}\n  help: {}\n  see:  {}\n",
            rule.code,
            rule.name,
            rule.severity,
            rule.basis.word(),
            rule.why,
            rule.fix,
            rule.link
        )
    };
    rules.iter().map(entry).collect()
}

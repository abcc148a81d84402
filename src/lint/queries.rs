//! Whether Prometheus can parse the queries of a ScaledObject and KEDA can read the answers (keda.md 5.2).

use crate::lint::check::World;
use crate::lint::{Excerpt, Finding, QueryReport, QueryStatus, scalar_place};
use crate::manifest::{ScaledObject, Trigger};
use crate::prometheus::{ParseError, ResultType, result_type};
use crate::units::{Diagnostic, Judge, Located};

/// The queries of the Prometheus triggers, in order, and what is wrong with them.
pub(super) fn check(written: &ScaledObject, world: &World<'_>) -> (Vec<QueryReport>, Vec<Finding>) {
    let (mut reports, mut findings) = (Vec::new(), Vec::new());
    for (index, trigger) in written.triggers.iter().enumerate() {
        if trigger.kind.value != "prometheus" {
            continue;
        }
        let Some(query) = trigger.metadata("query") else { continue };
        let (status, finding) = match result_type(query.value, world.options.prometheus) {
            Err(error) => refused(trigger, &query, &error, world),
            Ok(kind) => unreadable(trigger, &query, kind),
        };
        let message = finding.as_ref().map_or_else(String::new, |own| own.diagnostic.message.clone());
        reports.push(QueryReport { trigger: format!("s{index}-prometheus"), status, message });
        findings.extend(finding);
    }
    (reports, findings)
}

fn path_of(trigger: &Trigger) -> String {
    format!("{}.metadata.query", trigger.path)
}

fn refused(
    trigger: &Trigger,
    query: &Located<&str>,
    error: &ParseError,
    world: &World<'_>,
) -> (QueryStatus, Option<Finding>) {
    let text = world.text_of(&query.span.file);
    // The trigger's text is trimmed, its place is not; white space does not count there.
    let place = text.and_then(|text| scalar_place::place_of(text, &query.span, query.value, error.offset));
    let excerpt = text.zip(place.as_ref()).and_then(|(text, place)| {
        let line = text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
        Some(Excerpt { line: line.to_owned(), column: place.column })
    });
    let span = place.unwrap_or_else(|| query.span.clone());
    if error.own_limit {
        let diagnostic =
            Diagnostic::note(span, path_of(trigger), format!("kedasim: the query cannot be judged: {error}"));
        return (QueryStatus::Unknown, Some(Finding { diagnostic, excerpt }));
    }
    let message = format!("Prometheus refuses the query (HTTP 400 at every poll and sync): {error}");
    let diagnostic = Diagnostic::error(span, path_of(trigger), message).by(Judge::Prometheus);
    let help = "KEDA reports: prometheus query api returned error. status: 400; without a fallback the replicas stay as they are";
    (QueryStatus::Refused, Some(Finding { diagnostic: diagnostic.help(help), excerpt }))
}

fn unreadable(trigger: &Trigger, query: &Located<&str>, kind: ResultType) -> (QueryStatus, Option<Finding>) {
    let nulls = trigger.metadata("ignoreNullValues").map(|own| own.value.to_ascii_lowercase());
    let ignored = nulls.is_none_or(|own| !matches!(own.as_str(), "false" | "f" | "0"));
    let (what, help) = match kind {
        ResultType::InstantVector => return (QueryStatus::Ok, None),
        ResultType::Scalar => ("KEDA cannot read a scalar, so every query is an error", "wrap it: vector(...)"),
        ResultType::String => ("KEDA cannot read a string, so every query is an error", "ask for an instant vector"),
        ResultType::RangeVector if ignored => (
            "KEDA finds no value in a range vector and takes 0 (ignoreNullValues is true); more than one series is an error",
            "put the range into a function, such as rate(metric[5m])",
        ),
        ResultType::RangeVector => (
            "KEDA finds no value in a range vector, so every query is an error",
            "put the range into a function, such as rate(metric[5m])",
        ),
    };
    let message = format!("the query gives a {}: {what}", kind.words());
    let diagnostic = Diagnostic::error(query.span.clone(), path_of(trigger), message).by(Judge::Operator).help(help);
    (QueryStatus::NeverAnswers, Some(Finding::plain(diagnostic)))
}

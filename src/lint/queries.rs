//! Whether Prometheus can parse the queries of a ScaledObject and KEDA can read the answers (keda.md 5.2).

use crate::keda::parse_bool;
use crate::lint::check::World;
use crate::lint::{Excerpt, Finding, QueryReport, QueryStatus, rule, scalar_place, subject};
use crate::manifest::{ScaledObject, Trigger};
use crate::scenario::QueryFault;
use crate::units::{Diagnostic, Located};

/// The queries of the Prometheus triggers, in order, and what is wrong with them.
pub(super) fn check(written: &ScaledObject, world: &World<'_>) -> (Vec<QueryReport>, Vec<Finding>) {
    let (mut reports, mut findings) = (Vec::new(), Vec::new());
    for (index, trigger) in written.triggers.iter().enumerate() {
        if trigger.kind.value != "prometheus" {
            continue;
        }
        let Some(query) = trigger.metadata("query") else { continue };
        // What KEDA cannot read it refuses; that is told with the trigger.
        let nulls = trigger.metadata("ignoreNullValues").and_then(|own| parse_bool(own.value));
        let fault = QueryFault::of(query.value, nulls.unwrap_or(true), world.options.prometheus);
        let (status, finding) = match &fault {
            None => (QueryStatus::Ok, None),
            Some(fault) => {
                let (status, finding) = judged(trigger, &query, fault, world);
                (status, Some(finding))
            }
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

fn judged(trigger: &Trigger, query: &Located<&str>, fault: &QueryFault, world: &World<'_>) -> (QueryStatus, Finding) {
    let path = path_of(trigger);
    let error = match fault {
        QueryFault::Unreadable { .. } => {
            let diagnostic = fault.told(|message| Diagnostic::error(query.span.clone(), path, message));
            return (QueryStatus::NeverAnswers, Finding::plain(diagnostic));
        }
        QueryFault::OwnLimit(error) | QueryFault::Refused(error) => error,
    };
    let text = world.text_of(&query.span.file);
    // The trigger's text is trimmed, its place is not; white space does not count there.
    let place = text.and_then(|text| scalar_place::place_of(text, &query.span, query.value, error.offset));
    let excerpt = text.zip(place.as_ref()).and_then(|(text, place)| {
        let line = text.lines().nth(usize::try_from(place.line).ok()?.checked_sub(1)?)?;
        Some(Excerpt { line: line.to_owned(), column: place.column })
    });
    let span = place.unwrap_or_else(|| query.span.clone());
    let (status, diagnostic) = match fault {
        QueryFault::OwnLimit(error) => {
            let message = format!("kedasim: the query cannot be judged: {error}");
            (QueryStatus::Unknown, Diagnostic::note(span, path, message))
        }
        _ => (QueryStatus::Refused, fault.told(|message| Diagnostic::error(span, path, message))),
    };
    let finding = Finding { excerpt, ..Finding::plain(diagnostic) };
    // A query that can be read once its label names are spelt rightly fails for nothing else.
    let is_misnamed =
        status == QueryStatus::Refused && subject::readable(query.value, world.options.prometheus).is_some();
    let finding = match rule("L-36").filter(|_| is_misnamed) {
        Some(own) => Finding { rule: Some(own), ..finding }.help(own.fix),
        None => finding,
    };
    (status, finding)
}

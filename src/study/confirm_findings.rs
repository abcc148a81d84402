//! What confirming found, as findings beside the run's own.

use crate::analysis::{Finding, Summary};
use crate::study::{Confirmation, EditTried, Effect, Outcome, Tested};
use crate::units::Severity;

/// Puts the verdicts on causes into `summary`: a confirmed cause is a warning, a contributing or rejected one a note, in the
/// place of the suspicion. Findings stay worst first.
pub fn add_confirmation(summary: &mut Summary, confirmation: &Confirmation) {
    let findings = &mut summary.verdict.findings;
    for tested in &confirmation.tested {
        let code = code_of(tested);
        let mut found = tested_finding(&code, tested, confirmation);
        match findings.iter_mut().find(|own| own.code == code) {
            Some(suspicion) => {
                found.evidence.extend(suspicion.evidence.iter().filter(|own| !own.contains("--confirm")).cloned());
                found.message = format!("{}; {}", found.message, suspicion.message);
                *suspicion = found;
            }
            None => findings.push(found),
        }
    }
    for (cause, why) in &confirmation.untested {
        let code = format!("cause-{}", cause.code());
        if let Some(suspicion) = findings.iter_mut().find(|own| own.code == code) {
            suspicion.evidence.retain(|own| !own.contains("--confirm"));
            suspicion.evidence.push(format!("not testable: {why}"));
        }
    }
    if let Some(edit) = &confirmation.edit {
        let tried = edit_text(edit);
        // The generic advice gives way to what was tried.
        match findings.iter_mut().find(|own| own.code == format!("cause-{}", edit.cause.code())) {
            Some(cause) => {
                let place = cause.evidence.iter().position(|own| own.starts_with("try: ")).unwrap_or(0);
                cause.evidence.insert(place, tried);
            }
            None => findings.push(Finding {
                code: "edit-tried".to_owned(),
                severity: Severity::Note,
                message: tried,
                evidence: vec![seeds_text(confirmation)],
            }),
        }
    }
    findings.sort_by_key(|own| std::cmp::Reverse(own.severity));
}

fn code_of(tested: &Tested) -> String {
    match tested.causes.as_slice() {
        [cause] => format!("cause-{}", cause.code()),
        causes => format!("causes-{}", causes.iter().map(|cause| cause.code()).collect::<Vec<_>>().join("+")),
    }
}

fn tested_finding(code: &str, tested: &Tested, confirmation: &Confirmation) -> Finding {
    let severity = if tested.outcome == Outcome::Confirmed { Severity::Warning } else { Severity::Note };
    let message =
        format!("{}: {} spurious flaps/h with {}", tested.outcome.word(), changed(&tested.effect), tested.knob);
    Finding { code: code.to_owned(), severity, message, evidence: vec![seeds_text(confirmation)] }
}

/// `9.5 -> 0.0 (-9.5 +- 1.2)`.
fn changed(effect: &Effect) -> String {
    format!("{:.1} -> {:.1} ({:+.1} +- {:.1})", effect.before, effect.after, effect.difference(), effect.half_width)
}

fn seeds_text(confirmation: &Confirmation) -> String {
    let seeds = &confirmation.seeds;
    format!(
        "paired over the seeds {}..{} with a 95 % t interval, {} runs in all",
        seeds[0],
        seeds[seeds.len() - 1],
        confirmation.runs
    )
}

/// The edit that was run, with its price.
fn edit_text(edit: &EditTried) -> String {
    let replicas = &edit.replicas;
    let first = edit.first_scale_up.map(|own| format!(", first scale-up {:+.0} s", own.difference()));
    format!(
        "tried: {}: flaps/h {}, mean replicas {:.2} -> {:.2} ({:+.2} +- {:.2}){}",
        edit.text,
        changed(&edit.flaps),
        replicas.before,
        replicas.after,
        replicas.difference(),
        replicas.half_width,
        first.unwrap_or_default()
    )
}

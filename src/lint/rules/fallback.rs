//! What happens when a value is missing.

use super::links::{FALLBACK, PROMETHEUS};
use crate::lint::subject::{Subject, is_resource};
use crate::lint::{Basis, Finding, Rule};
use crate::units::Severity::{Note, Warning};

pub(crate) static L_09: Rule = Rule::new("L-09", "nothing-is-zero", Note)
    .why("an empty answer, NaN and Inf count as 0 (ignoreNullValues is true by default): a lost scrape looks like no load and scales down")
    .fix("set ignoreNullValues: \"false\", with a fallback, where the series must be there")
    .link(PROMETHEUS);
pub(crate) static L_20: Rule = Rule::new("L-20", "fallback-with-fractional-target", Warning)
    .why("with a formula KEDA finds a fallback valid only if the formula's target is a whole number")
    .fix("scale formula and target by the same factor until the target is whole")
    .link(FALLBACK);
pub(crate) static L_22: Rule = Rule::new("L-22", "fallback-counts-both", Note)
    .why("failures of polls and of HPA syncs count together, and the fallback acts from one more than failureThreshold")
    .fix(
        "count three failures per 30 s with the default pollingInterval (one poll, two syncs): 6 is a minute of outage",
    )
    .link("https://github.com/kedacore/keda/issues/6053")
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_23: Rule = Rule::new("L-23", "no-fallback", Warning)
    .why("without a fallback an outage of the metrics freezes the replicas; with fallback.replicas 0 it ends at one replica, not at zero")
    .fix("add a fallback with the replicas that bear the usual peak, or currentReplicasIfHigher")
    .link(FALLBACK);

/// Empty counts as 0.
pub(in crate::lint) fn l_09(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in subject.queries.iter().filter(|query| query.trigger.metadata("ignoreNullValues").is_none()) {
        let message = "an empty answer counts as 0 (ignoreNullValues is true by default): a lost scrape scales down";
        let path = format!("{}.metadata.ignoreNullValues", query.trigger.path);
        found.push(Finding::breach(&L_09, Note, query.span.clone(), path, message));
    }
}

/// When the fallback acts.
pub(in crate::lint) fn l_22(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some(fallback) = &subject.written.fallback else { return };
    let threshold = fallback.failure_threshold.value;
    let polling = subject.written.polling_interval.as_ref().map_or(30, |own| own.value).max(1);
    // One failure per poll, and one per sync of 15 s.
    let seconds = (threshold + 1) as f64 * 60.0 / (60.0 / polling as f64 + 4.0);
    if seconds >= 60.0 {
        return;
    }
    let message = format!(
        "failureThreshold {threshold} acts from failure {} on, of polls and syncs together: after about {seconds:.0} s of outage",
        threshold + 1
    );
    let span = fallback.failure_threshold.span.clone();
    found.push(Finding::breach(&L_22, Note, span, "spec.fallback.failureThreshold", message));
}

/// No fallback, or one to zero.
pub(in crate::lint) fn l_23(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let can_fail = |own: &&crate::manifest::Trigger| !is_resource(own) && own.kind.value != "cron";
    if !subject.written.triggers.iter().any(|own| can_fail(&own)) {
        return;
    }
    match &subject.written.fallback {
        Some(fallback) if fallback.replicas.value == 0 => {
            let message = "fallback.replicas 0 is not zero replicas: past the threshold the failing trigger counts as active and the target stays at 1; before it KEDA may cut to zero";
            let span = fallback.replicas.span.clone();
            let finding = Finding::breach(&L_23, Warning, span, "spec.fallback.replicas", message);
            found.push(finding.help("write the replicas that an outage should leave, at least 1"));
        }
        Some(_) => {}
        None => {
            let message = "there is no fallback: while the metrics cannot be read the replicas stay as they are";
            let span = subject.written.scale_target_ref.name.span.clone();
            found.push(Finding::breach(&L_23, Note, span, "spec.fallback", message));
        }
    }
}

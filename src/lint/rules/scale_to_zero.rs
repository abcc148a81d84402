//! The way to zero and back.

use super::links::EXECUTOR;
use crate::lint::query_shape::walk;
use crate::lint::subject::{Query, Subject, engine_metric, is_resource};
use crate::lint::{Basis, Finding, Rule};
use crate::prometheus::{Expr, FunctionId, Kind};
use crate::units::Severity::{Error, Note, Warning};

pub(crate) static L_10: Rule = Rule::new("L-10", "no-way-back-from-zero", Error)
    .why("vLLM's metrics exist only while a pod runs: at zero the query is empty, and nothing activates the target again")
    .fix("add a trigger on a signal that is there without pods: requests at the router, gateway or EPP")
    .link("https://github.com/vllm-project/production-stack/pull/679");
pub(crate) static L_11: Rule = Rule::new("L-11", "cut-to-zero", Note)
    .why("when the cooldown ends KEDA writes 0 from any count, past the HPA's scale-down policies: generations in flight die")
    .fix("make cooldownPeriod longer than the HPA needs to go down to one replica, and give the pods time to drain")
    .link("https://github.com/kedacore/keda/issues/7770")
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_12: Rule = Rule::new("L-12", "cut-at-creation", Warning)
    .why("a new ScaledObject that is not active yet cuts its target to zero at the first poll, while the model may still be loading")
    .fix("set initialCooldownPeriod to the time a start takes")
    .link("https://github.com/kedacore/keda/issues/5008");
pub(crate) static L_43: Rule = Rule::new("L-43", "cpu-keeps-nothing-awake", Warning)
    .why("cpu and memory triggers take no part in activation: use of them does not keep the target from zero")
    .fix("set minReplicaCount to 1, or add an external trigger that is active as long as there is work")
    .link(EXECUTOR);

/// Whether a query sees nothing while no pod runs: all its selectors are the engine's, and nothing takes their place.
fn needs_pods(query: &Query<'_>) -> bool {
    let selectors = &query.plan.selectors;
    let mut has_other = false;
    walk(&query.plan.root, &mut Vec::new(), &mut |own: &Expr, _: &[&Expr]| {
        let Kind::Call { function, args, .. } = &own.kind else { return };
        has_other |= match function.id {
            FunctionId::Absent | FunctionId::AbsentOverTime => true,
            // vector(0) activates nothing.
            FunctionId::Vector => !args.iter().all(|arg| matches!(arg.unparenthesized().kind, Kind::Number(0.0))),
            _ => false,
        };
    });
    !selectors.is_empty() && !has_other && selectors.iter().all(|own| engine_metric(own).is_some())
}

/// No signal at zero.
pub(in crate::lint) fn l_10(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if !subject.goes_to_zero() || subject.misspells("minReplicaCount") {
        return;
    }
    let external = subject.written.triggers.iter().filter(|own| !is_resource(own)).count();
    let blind: Vec<&Query<'_>> = subject.queries.iter().filter(|query| needs_pods(query)).collect();
    let all_blind = blind.len() == external;
    for query in blind {
        let name = query.plan.selectors.iter().find_map(|own| own.exact_name()).unwrap_or_default();
        let (severity, message) = if all_blind {
            (
                Error,
                format!(
                    "once at zero the target stays there: {name} exists only while a pod runs, and no other trigger can activate it"
                ),
            )
        } else {
            (
                Note,
                format!("{name} exists only while a pod runs: at zero this trigger activates nothing, the others must"),
            )
        };
        found.push(subject.in_query(&L_10, severity, query, query.plan.root.offset, message));
    }
}

/// From many to none.
pub(in crate::lint) fn l_11(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if !subject.goes_to_zero() || subject.max() < 2 || subject.misspells("minReplicaCount") {
        return;
    }
    let cooldown = subject.written.cooldown_period.as_ref();
    let seconds = cooldown.map_or(300, |own| own.value);
    let span = cooldown.map_or_else(|| subject.written.scale_target_ref.name.span.clone(), |own| own.span.clone());
    let message =
        format!("{seconds} s after the last active poll KEDA writes 0, from any count and past behavior.scaleDown");
    found.push(Finding::breach(&L_11, Note, span, "spec.cooldownPeriod", message));
}

/// From the first poll.
pub(in crate::lint) fn l_12(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let initial = subject.written.initial_cooldown_period.as_ref();
    if !subject.goes_to_zero() || initial.is_some_and(|own| own.value > 0) || subject.misspells("minReplicaCount") {
        return;
    }
    let severity = if subject.serves_a_model() { Warning } else { Note };
    let min = subject.written.min_replica_count.as_ref();
    let span =
        initial.or(min).map_or_else(|| subject.written.scale_target_ref.name.span.clone(), |own| own.span.clone());
    let message = "initialCooldownPeriod is 0: applied over a running target that is not active yet, the object cuts it to zero at once";
    found.push(Finding::breach(&L_12, severity, span, "spec.initialCooldownPeriod", message));
}

/// Resource triggers beside others.
pub(in crate::lint) fn l_43(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if !subject.goes_to_zero() {
        return;
    }
    for trigger in subject.written.triggers.iter().filter(|own| is_resource(own)) {
        let message = format!(
            "{} does not keep the target awake: when the other triggers are inactive it goes to zero, however busy it is",
            trigger.kind.value
        );
        found.push(Finding::breach(
            &L_43,
            Warning,
            trigger.kind.span.clone(),
            format!("{}.type", trigger.path),
            message,
        ));
    }
}

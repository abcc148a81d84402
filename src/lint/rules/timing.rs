//! Periods and limits of the object: which of them act, and what they leave to defaults.

use super::links::{CALCULATOR, EXECUTOR, HANDLER, HPA_DEFAULTS, SPEC, TYPES, WEBHOOK};
use crate::lint::subject::{Subject, is_resource};
use crate::lint::{Basis, Edit, Finding, Rule};
use crate::units::Severity::{Error, Note, Warning};

pub(crate) static L_01: Rule = Rule::new("L-01", "cooldown-without-effect", Warning)
    .why("cooldownPeriod only times the cut to zero or idle; above that the HPA's behavior.scaleDown decides how fast replicas go")
    .fix("remove it, and set behavior.scaleDown (its default waits 300 s)")
    .link(WEBHOOK)
    .mended();
pub(crate) static L_03: Rule = Rule::new("L-03", "polling-without-effect", Warning)
    .why("with minReplicaCount of 1 or more the HPA asks at every sync of its own, every 15 s, whatever pollingInterval says")
    .fix("remove it; sampling is that of the HPA's controller")
    .link(WEBHOOK)
    .mended();
pub(crate) static L_05: Rule = Rule::new("L-05", "unknown-field", Warning)
    .why("the API server drops fields it does not know, so that the default is in force (minReplicaCount 0, maxReplicaCount 100)")
    .fix("write the field as the ScaledObject has it: minReplicaCount, maxReplicaCount")
    .link(SPEC)
    .mended();
pub(crate) static L_15: Rule = Rule::new("L-15", "activation-without-effect", Warning)
    .why("an activation value only decides between zero and one replica; with a minimum of 1 and no idle count nothing is activated")
    .fix("remove it; what decides the number of replicas is the threshold")
    .link(EXECUTOR)
    .mended();
pub(crate) static L_17: Rule = Rule::new("L-17", "idle-above-zero", Error)
    .why("KEDA writes idleReplicaCount and the HPA its minimum, in turn, as long as nothing is active")
    .fix("set idleReplicaCount to 0, or remove it and let minReplicaCount hold what must stay warm")
    .link("https://github.com/kedacore/keda/issues/2314");
pub(crate) static L_18: Rule = Rule::new("L-18", "no-maximum", Warning)
    .why("without maxReplicaCount the HPA may go to 100 replicas")
    .fix("set maxReplicaCount to what the quota and the budget bear")
    .link(TYPES);
pub(crate) static L_44: Rule = Rule::new("L-44", "cached-metrics-lag", Warning)
    .why("with useCachedMetrics the HPA gets what the last poll found, up to a pollingInterval old")
    .fix("poll at least as often as the HPA syncs (15 s), or remove useCachedMetrics")
    .link(HANDLER)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_45: Rule = Rule::new("L-45", "default-scale-up", Note)
    .why("without scaleUp policies the HPA may add 4 pods or double them, whichever is more, every 15 s")
    .fix("write behavior.scaleUp.policies, such as one pod per start-up time")
    .link(HPA_DEFAULTS)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_26: Rule = Rule::new("L-26", "count-within-tolerance", Note)
    .why("the HPA leaves a change within its tolerance of 10 % alone, so that a wished count of one more or less is lost from 10 replicas on")
    .fix("set behavior.scaleUp.tolerance and scaleDown.tolerance to 0 (Kubernetes 1.35)")
    .link(CALCULATOR)
    .basis(Basis::ManifestsAndRun);

/// An activation value without an activation.
pub(in crate::lint) fn l_15(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.min() < 1 || subject.written.idle_replica_count.is_some() {
        return;
    }
    // The metadata of an external scaler are its own.
    let is_known = |own: &&crate::manifest::Trigger| !own.kind.value.starts_with("external");
    for trigger in subject.written.triggers.iter().filter(is_known) {
        let of_formula = subject.has_formula() && !is_resource(trigger);
        for (key, value) in trigger.metadata.iter().filter(|(key, _)| key.name.starts_with("activation")) {
            let is_default = value.value.trim().parse::<f64>().is_ok_and(|own| own == 0.0);
            let severity = if is_default { Note } else { Warning };
            let name = &key.name;
            let message = if of_formula {
                format!(
                    "{name} is not looked at: the formula has an activationTarget of its own, and nothing is activated with a minimum of {}",
                    subject.min()
                )
            } else {
                format!(
                    "{name} {} changes nothing: with minReplicaCount {} and no idleReplicaCount nothing is activated",
                    value.value,
                    subject.min()
                )
            };
            let path = format!("{}.metadata.{name}", trigger.path);
            let edit = Edit::DeleteEntry { line: key.span.line, key: name.clone() };
            found.push(Finding::breach(&L_15, severity, key.span.clone(), path, message).mend(edit));
        }
    }
}

/// Idle replicas that the HPA takes back.
pub(in crate::lint) fn l_17(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some(idle) = subject.written.idle_replica_count.as_ref().filter(|own| own.value > 0) else { return };
    let (idle_count, min) = (idle.value, subject.min().max(1));
    if idle_count >= min {
        return;
    }
    let message = format!(
        "while nothing is active KEDA writes {idle_count} at every poll and the HPA {min} at its next sync: the replicas swing for ever"
    );
    found.push(Finding::breach(&L_17, Error, idle.span.clone(), "spec.idleReplicaCount", message));
}

/// No maximum.
pub(in crate::lint) fn l_18(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    if subject.written.max_replica_count.is_some() {
        return;
    }
    let told_otherwise = subject.misspells("maxReplicaCount");
    let severity = if subject.serves_a_model() && !told_otherwise { Warning } else { Note };
    let message = "maxReplicaCount is not written: up to 100 replicas";
    let span = subject.written.scale_target_ref.name.span.clone();
    found.push(Finding::breach(&L_18, severity, span, "spec.maxReplicaCount", message));
}

/// Old values by choice.
pub(in crate::lint) fn l_44(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let seconds = subject.written.polling_interval.as_ref().map_or(30, |own| own.value);
    for trigger in subject.written.triggers.iter().filter(|own| !is_resource(own) && own.kind.value != "cron") {
        let Some(cached) = trigger.use_cached_metrics.as_ref().filter(|own| own.value) else { continue };
        if seconds <= 15 {
            continue;
        }
        let severity = if seconds > 30 { Warning } else { Note };
        let message = format!(
            "the HPA acts on values up to {seconds} s old: useCachedMetrics with a pollingInterval of {seconds} s"
        );
        let path = format!("{}.useCachedMetrics", trigger.path);
        found.push(Finding::breach(&L_44, severity, cached.span.clone(), path, message));
    }
}

/// Scale-up as Kubernetes has it.
pub(in crate::lint) fn l_45(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let up = subject.written.behavior.as_ref().and_then(|own| own.scale_up.as_ref());
    let policies = up.and_then(|own| own.policies.as_ref());
    if policies.is_some_and(|own| !own.is_empty()) || subject.max() < 2 {
        return;
    }
    let what =
        if subject.written.behavior.is_some() { "behavior.scaleUp has no policies" } else { "there is no behavior" };
    let message = format!("{what}: up to 4 pods, or as many again as there are, every 15 s");
    let span = up.map_or_else(|| subject.written.scale_target_ref.name.span.clone(), |own| own.span.clone());
    let path = "spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleUp";
    found.push(Finding::breach(&L_45, Note, span, path, message));
}

/// A count of replicas as a metric.
pub(in crate::lint) fn l_26(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let rules = subject.written.behavior.as_ref();
    let both = rules.and_then(|own| Some((own.scale_up.as_ref()?, own.scale_down.as_ref()?)));
    let is_exact = both.is_some_and(|(up, down)| up.tolerance.is_some() && down.tolerance.is_some());
    if subject.max() < 10 || is_exact || subject.has_formula() {
        return;
    }
    for query in &subject.queries {
        let named = |own: &crate::prometheus::Selector| {
            own.exact_name()
                .is_some_and(|name| name.contains("desired_replicas") || name.contains("recommended_replicas"))
        };
        let Some(selector) = query.plan.selectors.iter().find(|own| named(own)) else { continue };
        if query.threshold() != Some(1.0) || crate::lint::subject::metric_type(query.trigger) != "AverageValue" {
            continue;
        }
        let message = "the metric is a count of replicas: from 10 replicas on one more or less is within the HPA's tolerance of 10 % and is not done";
        found.push(subject.in_query(&L_26, Note, query, selector.offset, message));
    }
}

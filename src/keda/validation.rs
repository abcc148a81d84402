//! The rules of the CRD and of KEDA's admission webhook (`apis/keda/v1alpha1/scaledobject_webhook.go`,
//! `scaledobject_types.go`, `scaletriggers_types.go`). Upstream stops at one mistake, at random; here all are reported.

use crate::keda::KedaVersion;
use crate::keda::scale_target::TargetKind;
use crate::keda::scaler_types::is_resource;
use crate::manifest::{ScaledObject, Value};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, SimDuration};

/// `maxReplicaCount` when absent.
pub(super) const DEFAULT_MAX: i32 = 100;
/// Longest period that can be added to any other and to now without leaving the 213 days of the clock.
const LONGEST_SECONDS: u64 = 5_000_000;
/// Limit of a label value, which both names become.
const MAX_NAME: usize = 63;
/// CEL rule on the counts, and the two warnings.
const V2_20: KedaVersion = KedaVersion { major: 2, minor: 20, patch: 0 };
/// The warnings heed idle mode.
const V2_21: KedaVersion = KedaVersion { major: 2, minor: 21, patch: 0 };

/// The CRD's bounds of an int32 under `spec`; `None` when absent or refused.
pub(super) fn bounded(
    field: Option<&Located<i64>>,
    name: &str,
    least: i64,
    diagnostics: &mut Diagnostics,
) -> Option<i32> {
    let found = field?;
    let path = format!("spec.{name}");
    let message = match i32::try_from(found.value) {
        Ok(value) if i64::from(value) >= least => return Some(value),
        Err(_) if found.value > 0 => format!("found {}, expected an int32, at most {}", found.value, i32::MAX),
        _ => format!("found {}: {path} in body should be greater than or equal to {least}", found.value),
    };
    diagnostics.push(Diagnostic::error(found.span.clone(), path, message).by(Judge::ApiServer));
    None
}

/// `initialCooldownPeriod`, if the version knows it; an older one drops it.
pub(super) fn known_since<'a>(
    field: Option<&'a Located<i64>>,
    since: KedaVersion,
    version: KedaVersion,
    diagnostics: &mut Diagnostics,
) -> Option<&'a Located<i64>> {
    let found = field?;
    if version >= since {
        return Some(found);
    }
    let message = "this KEDA version does not know initialCooldownPeriod and ignores it";
    let help = format!("it needs KEDA {}.{}", since.major, since.minor);
    diagnostics.push(Diagnostic::warning(found.span.clone(), "spec.initialCooldownPeriod", message).help(help));
    None
}

/// A period under `spec` in whole seconds, `default` when absent or refused.
pub(super) fn bounded_seconds(
    field: Option<&Located<i64>>,
    name: &str,
    least: i64,
    default: u64,
    diagnostics: &mut Diagnostics,
) -> SimDuration {
    let Some((seconds, place)) = bounded(field, name, least, diagnostics).zip(field) else {
        return SimDuration::from_secs(default);
    };
    let seconds = u64::from(seconds.unsigned_abs());
    if seconds > LONGEST_SECONDS {
        let message = format!("found {seconds}, longer than the {LONGEST_SECONDS} seconds that can be simulated");
        let help = "a period longer than the run acts the same, however long it is";
        diagnostics.push(Diagnostic::error(place.span.clone(), format!("spec.{name}"), message).help(help));
        return SimDuration::from_secs(default);
    }
    SimDuration::from_secs(seconds)
}

/// CRD lengths and `verifyName`.
pub(super) fn check_names(written: &ScaledObject, diagnostics: &mut Diagnostics) {
    let target = &written.scale_target_ref.name;
    if target.value.is_empty() {
        let message = "spec.scaleTargetRef.name in body should be at least 1 chars long";
        let diagnostic = Diagnostic::error(target.span.clone(), "spec.scaleTargetRef.name", message);
        diagnostics.push(diagnostic.by(Judge::ApiServer));
    }
    let name = &written.name;
    if name.value.len() > MAX_NAME {
        let message = format!(
            "scaledobject name {:?} is {} characters long; must be no more than {MAX_NAME} characters because it is \
             used as the \"scaledobject.keda.sh/name\" label value",
            name.value,
            name.value.len()
        );
        diagnostics.push(Diagnostic::error(name.span.clone(), "metadata.name", message).by(Judge::Webhook));
    }
    let custom = written.hpa_name.as_ref().filter(|own| !own.value.is_empty());
    let (hpa_name, span, path) = match custom {
        Some(own) => (own.value.clone(), &own.span, "spec.advanced.horizontalPodAutoscalerConfig.name"),
        None => (format!("keda-hpa-{}", name.value), &name.span, "metadata.name"),
    };
    if hpa_name.len() > MAX_NAME {
        let message = format!(
            "HPA name {hpa_name:?} derived from scaledobject is {} characters long; must be no more than {MAX_NAME} \
             characters",
            hpa_name.len()
        );
        let help = "set spec.advanced.horizontalPodAutoscalerConfig.name to a shorter name or shorten the \
                    scaledobject name";
        diagnostics.push(Diagnostic::error(span.clone(), path, message).help(help).by(Judge::Webhook));
    }
}

/// The CEL rule, `verifyReplicaCount` and `verifyFallback`.
pub(super) fn check_replica_counts(written: &ScaledObject, version: KedaVersion, diagnostics: &mut Diagnostics) {
    let value = |field: &Option<Located<i64>>| field.as_ref().map(|own| own.value);
    let max = value(&written.max_replica_count).unwrap_or(i64::from(DEFAULT_MAX));
    // An explicit 0 is lifted to 1 (`GetHPAMinReplicas`), an absent one stays 0.
    let effective = value(&written.min_replica_count).map_or(0, |min| min.max(1));
    if let Some(min) = written.min_replica_count.as_ref().filter(|_| effective > max) {
        let webhook = format!("MinReplicaCount={effective} must be less than MaxReplicaCount={max}");
        let (message, judge) = if version >= V2_20 {
            let cel = format!("minReplicaCount must be less than or equal to maxReplicaCount ({webhook})");
            (cel, Judge::ApiServer)
        } else {
            (webhook, Judge::Webhook)
        };
        diagnostics.push(Diagnostic::error(min.span.clone(), "spec.minReplicaCount", message).by(judge));
    }
    if let Some(idle) = written.idle_replica_count.as_ref().filter(|own| own.value >= effective) {
        let message = format!("IdleReplicaCount={} must be less than MinReplicaCount={effective}", idle.value);
        let mut diagnostic = Diagnostic::error(idle.span.clone(), "spec.idleReplicaCount", message).by(Judge::Webhook);
        if written.min_replica_count.is_none() {
            diagnostic = diagnostic.help("an absent minReplicaCount counts as 0 here; write it, even 0 will do");
        }
        diagnostics.push(diagnostic);
    }
    if let Some(fallback) = &written.fallback {
        let (threshold, replicas) = (fallback.failure_threshold.value, fallback.replicas.value);
        if threshold < 0 || replicas < 0 {
            let message =
                format!("FailureThreshold={threshold} & Replicas={replicas} must both be greater than or equal to 0");
            diagnostics.push(Diagnostic::error(fallback.span.clone(), "spec.fallback", message).by(Judge::Webhook));
        }
    }
}

/// `verifyTriggers`, and `verifyCPUMemoryScalers` as far as the ScaledObject alone tells.
pub(super) fn check_triggers(written: &ScaledObject, diagnostics: &mut Diagnostics) {
    if written.triggers.is_empty() {
        let message = "no triggers defined in the ScaledObject/ScaledJob";
        diagnostics.push(Diagnostic::error(written.span.clone(), "spec.triggers", message).by(Judge::Webhook));
    }
    for (index, trigger) in written.triggers.iter().enumerate() {
        let kind = trigger.kind.value.as_str();
        if kind.is_empty() {
            let path = format!("{}.type", trigger.path);
            let message = format!("{path} in body should be at least 1 chars long");
            diagnostics.push(Diagnostic::error(trigger.kind.span.clone(), path, message).by(Judge::ApiServer));
        }
        let cached = trigger.use_cached_metrics.as_ref().filter(|own| own.value);
        if let Some(cached) = cached.filter(|_| ["cpu", "memory", "cron"].contains(&kind)) {
            let message = format!("property \"useCachedMetrics\" is not supported for {kind:?} scaler");
            let path = format!("{}.useCachedMetrics", trigger.path);
            diagnostics.push(Diagnostic::error(cached.span.clone(), path, message).by(Judge::Webhook));
        }
        let Some(name) = trigger.name.as_ref().filter(|own| !own.value.is_empty()) else { continue };
        let earlier = |own: &crate::manifest::Trigger| own.name.as_ref().is_some_and(|other| other.value == name.value);
        if written.triggers[..index].iter().any(earlier) {
            let message = format!(
                "triggerName {:?} is defined multiple times in the ScaledObject/ScaledJob, but it must be unique",
                name.value
            );
            let path = format!("{}.name", trigger.path);
            diagnostics.push(Diagnostic::error(name.span.clone(), path, message).by(Judge::Webhook));
        }
    }
    let min = written.min_replica_count.as_ref().map_or(0, |own| own.value);
    let only_resource = !written.triggers.is_empty() && written.triggers.iter().all(|own| is_resource(&own.kind.value));
    // The webhook looks at it only with a pod template in hand.
    if only_resource && min == 0 && TargetKind::of(&written.scale_target_ref).has_known_template() {
        let message =
            "scaledobject has only cpu/memory triggers AND minReplica is 0 (scale to zero doesn't work in this case)";
        let span = written.min_replica_count.as_ref().map_or(&written.span, |own| &own.span);
        let diagnostic = Diagnostic::error(span.clone(), "spec.minReplicaCount", message).by(Judge::Webhook);
        diagnostics.push(diagnostic.help("set minReplicaCount to 1 or more"));
    }
    check_fallback(written, only_resource, diagnostics);
}

/// The modifiers' and resource triggers' part of `verifyFallback`.
fn check_fallback(written: &ScaledObject, only_resource: bool, diagnostics: &mut Diagnostics) {
    let Some(fallback) = &written.fallback else { return };
    let modifiers = written.scaling_modifiers.as_ref();
    let used = modifiers.is_some_and(|node| matches!(&node.value, Value::Map(entries) if !entries.is_empty()));
    if !used && only_resource {
        let message = "at least one trigger (that is not cpu or memory) has to have the `AverageValue` type for the \
                       fallback to be enabled";
        diagnostics.push(Diagnostic::error(fallback.span.clone(), "spec.fallback", message).by(Judge::Webhook));
    }
    let formula = modifiers.and_then(|node| node.get("formula")?.as_str()).is_some_and(|own| !own.is_empty());
    let behavior = fallback.behavior.as_ref().filter(|own| own.value == "scalingModifiers" && !formula);
    if let Some(behavior) = behavior {
        let message = "scalingModifiers fallback behavior requires scalingModifiers.formula to be defined";
        let diagnostic = Diagnostic::error(behavior.span.clone(), "spec.fallback.behavior", message);
        diagnostics.push(diagnostic.by(Judge::Webhook));
    }
}

/// The webhook's two warnings about periods that do nothing (`verifyScaledObjects`, from 2.20.0).
pub(super) fn warn_irrelevant(written: &ScaledObject, version: KedaVersion, diagnostics: &mut Diagnostics) {
    let min = written.min_replica_count.as_ref().map_or(0, |own| own.value);
    let heeds_any_idle = version >= V2_21;
    let idle_off = written.idle_replica_count.as_ref().is_none_or(|own| own.value != 0 && !heeds_any_idle);
    if version < V2_20 || min <= 0 || !idle_off {
        return;
    }
    let cached = written.triggers.iter().any(|own| own.use_cached_metrics.as_ref().is_some_and(|cached| cached.value));
    if let Some(interval) = written.polling_interval.as_ref().filter(|_| !cached) {
        let when = if heeds_any_idle {
            "minReplicaCount = 0, idleReplicaCount is set, or useCachedMetrics is enabled"
        } else {
            "minReplicaCount = 0 or idleReplicaCount = 0 or useCachedMetrics is enabled"
        };
        let message =
            format!("PollingInterval is configured but is not relevant. PollingInterval is only relevant when {when}");
        let diagnostic = Diagnostic::warning(interval.span.clone(), "spec.pollingInterval", message);
        diagnostics.push(diagnostic.by(Judge::Webhook));
    }
    if let Some(period) = &written.cooldown_period {
        let when = if heeds_any_idle {
            "minReplicaCount = 0 or idleReplicaCount is set"
        } else {
            "minReplicaCount = 0 or idleReplicaCount = 0"
        };
        let message =
            format!("CooldownPeriod is configured but is not relevant. CooldownPeriod is only relevant when {when}");
        let diagnostic = Diagnostic::warning(period.span.clone(), "spec.cooldownPeriod", message);
        diagnostics.push(diagnostic.by(Judge::Webhook));
    }
}

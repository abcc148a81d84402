//! A ScaledObject as resolved: defaulted, validated as KEDA's CRD, webhook and scalers do.
//!
//! The rules stand in `validation` (CRD and webhook), `scale_target` and `trigger` (scaler construction). Rules that need
//! more than the ScaledObject stand in `resource_requests` and `ownership`; the caller applies them.

use crate::keda::{
    Fallback, Modifiers, ScalingAnnotations, Trigger, annotations, fallback, modifiers, scale_target, signal_choice,
    trigger, validation,
};
use crate::manifest::ScaledObject;
use crate::series::Signals;
use crate::units::{Diagnostics, Located, SimDuration};

/// The first release with `initialCooldownPeriod`.
const V2_14: KedaVersion = KedaVersion { major: 2, minor: 14, patch: 0 };

/// The KEDA release that is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KedaVersion {
    /// 2.
    pub major: u32,
    /// 20.
    pub minor: u32,
    /// 2.
    pub patch: u32,
}

impl Default for KedaVersion {
    fn default() -> Self {
        KedaVersion { major: 2, minor: 20, patch: 2 }
    }
}

/// A ScaledObject ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObjectSpec {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`, default `default`.
    pub namespace: String,
    /// Name of the target workload.
    pub target_name: String,
    /// Kind of the target workload, default Deployment.
    pub target_kind: String,
    /// `apiVersion` of the target workload, default `apps/v1`.
    pub target_api_version: String,
    /// `pollingInterval`, default 30 s.
    pub polling_interval: SimDuration,
    /// `cooldownPeriod`, default 300 s.
    pub cooldown_period: SimDuration,
    /// `initialCooldownPeriod`, default 0.
    pub initial_cooldown_period: SimDuration,
    /// `idleReplicaCount`.
    pub idle_replicas: Option<i32>,
    /// `minReplicaCount`, default 0.
    pub min_replicas: i32,
    /// `maxReplicaCount`, default 100.
    pub max_replicas: i32,
    /// Triggers in order.
    pub triggers: Vec<Trigger>,
    /// `fallback`.
    pub fallback: Option<Fallback>,
    /// `advanced.scalingModifiers`, when used.
    pub modifiers: Option<Modifiers>,
    /// What annotations say.
    pub annotations: ScalingAnnotations,
}

impl ScaledObjectSpec {
    /// Defaults and validates. Triggers whose source is not simulated take their values from `signals`; one without a signal
    /// is an error that shows how to give it. Whether the target can be simulated is not judged here.
    ///
    /// # Errors
    /// All rules broken, located, with KEDA's message text where KEDA has one.
    pub fn resolve(
        written: &ScaledObject,
        version: KedaVersion,
        signals: &Signals,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        let out = &mut diagnostics;
        let target = scale_target::resolve(&written.scale_target_ref, out);
        validation::check_names(written, out);
        let seconds = validation::bounded_seconds;
        let polling_interval = seconds(written.polling_interval.as_ref(), "pollingInterval", 1, 30, out);
        let cooldown_period = seconds(written.cooldown_period.as_ref(), "cooldownPeriod", 0, 300, out);
        let initial = validation::known_since(written.initial_cooldown_period.as_ref(), V2_14, version, out);
        let initial_cooldown_period = seconds(initial, "initialCooldownPeriod", 0, 0, out);
        let idle_replicas = validation::bounded(written.idle_replica_count.as_ref(), "idleReplicaCount", 0, out);
        let min = validation::bounded(written.min_replica_count.as_ref(), "minReplicaCount", 0, out);
        let max = validation::bounded(written.max_replica_count.as_ref(), "maxReplicaCount", 1, out);
        validation::check_replica_counts(written, version, out);
        validation::check_triggers(written, out);
        validation::warn_irrelevant(written, version, out);
        let signals = signal_choice::assign(written, signals, out);
        let triggers = written.triggers.iter().zip(signals).enumerate();
        let triggers = triggers
            .filter_map(|(index, (own, signal))| trigger::resolve(index, own, written, version, signal, out))
            .collect();
        let annotations = annotations::resolve(written, version, out);
        let (lowest, highest) = (min.unwrap_or(0), max.unwrap_or(validation::DEFAULT_MAX));
        annotations::tell_paused(written, annotations, (lowest, highest), out);
        let modifiers = modifiers::resolve(written, version, out);
        let fallback = fallback::resolve(written, modifiers.as_ref(), version, out);
        let text = |field: &Option<Located<String>>, default: &str| {
            field.as_ref().map_or(default, |own| own.value.as_str()).to_owned()
        };
        diagnostics.into_result(ScaledObjectSpec {
            name: written.name.value.clone(),
            namespace: text(&written.namespace, "default"),
            target_name: written.scale_target_ref.name.value.clone(),
            target_kind: target.kind,
            target_api_version: target.api_version,
            polling_interval,
            cooldown_period,
            initial_cooldown_period,
            idle_replicas,
            min_replicas: lowest,
            max_replicas: highest,
            triggers,
            fallback,
            modifiers,
            annotations,
        })
    }
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "spec_judges_tests.rs"]
mod judges_tests;

//! The controllers of a run: KEDA with its ScaledObject and the HPA that it generates, or a HorizontalPodAutoscaler alone.

use crate::hpa::{ControllerFlags, HpaSpec};
use crate::keda::{KedaVersion, MetricOrigin, ScaledObjectSpec, generate_hpa};
use crate::manifest::HorizontalPodAutoscaler;
use crate::scenario::ledger::{Ledger, flag};
use crate::scenario::policy_choice::PolicyWritten;
use crate::scenario::resolve_world::resolve_controller;
use crate::scenario::{KedaSettings, Origin, Overrides, ScaleTarget, ScenarioFile, show};
use crate::series::Signals;
use crate::units::{Located, SimDuration};

/// `KEDA_HTTP_DEFAULT_TIMEOUT` where nobody sets it (keda `cmd/operator/main.go`).
const HTTP_TIMEOUT_DEFAULT: SimDuration = SimDuration::from_secs(3);

/// The policy as its controllers read it.
pub(super) struct Controllers {
    /// The policy's name.
    pub name: String,
    /// What it scales.
    pub target: ScaleTarget,
    /// With a ScaledObject.
    pub keda: Option<KedaSettings>,
    /// Flags and gates.
    pub flags: ControllerFlags,
    /// The HPA, written or generated.
    pub hpa: HpaSpec,
    /// What each metric of the HPA stands for.
    pub origins: Origins,
    /// `--horizontal-pod-autoscaler-sync-period`.
    pub sync_period: SimDuration,
    /// Smallest and largest latency of a sync.
    pub sync_latency: (SimDuration, SimDuration),
}

/// Where the HPA's metrics come from.
pub(super) enum Origins {
    /// KEDA generated them.
    Keda(Vec<MetricOrigin>),
    /// They stand in this HPA.
    Written(Box<HorizontalPodAutoscaler>),
}

/// Resolves the controllers; `None` after an error in the ledger.
pub(super) fn resolve_controllers(
    scenario: &ScenarioFile,
    policy: &PolicyWritten,
    signals: &Signals,
    ledger: &mut Ledger,
) -> Option<Controllers> {
    let written = match policy {
        PolicyWritten::ScaledObject(written) => written,
        PolicyWritten::Hpa(written) => return plain_hpa(scenario, policy, written, ledger),
    };
    let version = ledger.pick_or_tell(
        "spec.keda.version",
        [scenario.keda_version.clone()],
        KedaVersion::default(),
        "the newest release whose behaviour is modelled",
        |version| show::keda(*version),
    );
    let http_timeout = ledger.pick(
        "spec.keda.httpTimeout",
        [scenario.keda_http_timeout.clone()],
        (HTTP_TIMEOUT_DEFAULT, Origin::Assumed),
        show::duration_text,
    );
    let (flags, sync_period, sync_latency) = resolve_controller(scenario, ledger);
    let scaled_object = ledger.take_with(ScaledObjectSpec::resolve(written, version, signals))?;
    let generated = ledger.take_with(generate_hpa(&scaled_object, written, version, &flags))?;
    Some(Controllers {
        name: scaled_object.name.clone(),
        target: ScaleTarget { kind: scaled_object.target_kind.clone(), ..target_of(policy) },
        keda: Some(KedaSettings { version, http_timeout, scaled_object }),
        flags,
        hpa: generated.spec,
        origins: Origins::Keda(generated.origins),
        sync_period,
        sync_latency,
    })
}

fn plain_hpa(
    scenario: &ScenarioFile,
    policy: &PolicyWritten,
    written: &HorizontalPodAutoscaler,
    ledger: &mut Ledger,
) -> Option<Controllers> {
    let (flags, sync_period, sync_latency) = resolve_controller(scenario, ledger);
    let hpa = ledger.take_with(HpaSpec::from_manifest(written, &flags))?;
    Some(Controllers {
        name: written.name.value.clone(),
        target: target_of(policy),
        keda: None,
        flags,
        hpa,
        origins: Origins::Written(Box::new(written.clone())),
        sync_period,
        sync_latency,
    })
}

fn target_of(policy: &PolicyWritten) -> ScaleTarget {
    let target = policy.target();
    ScaleTarget {
        kind: target.kind.as_ref().map_or("Deployment", |kind| kind.value.as_str()).to_owned(),
        name: target.name.value.clone(),
        namespace: policy.namespace().to_owned(),
    }
}

/// `spec.replicas` at the start.
pub(super) fn resolve_initial(
    overrides: &Overrides,
    scenario: &ScenarioFile,
    controllers: &Controllers,
    ledger: &mut Ledger,
) -> i32 {
    let typed = overrides.fixed_replicas.map(|count| Located::new(count, flag("--fixed-replicas")));
    let (min, why) = match &controllers.keda {
        Some(keda) => (keda.scaled_object.min_replicas, "minReplicaCount, at least 1"),
        None => (controllers.hpa.min_replicas, "minReplicas, at least 1"),
    };
    ledger.pick_or_tell(
        "spec.initialReplicas",
        [typed, scenario.initial_replicas.clone()],
        min.max(1),
        why,
        i32::to_string,
    )
}

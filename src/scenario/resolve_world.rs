//! The cluster and the HPA controller of a run.

use crate::cluster::{ClusterSettings, DurationDistribution, Preset, TerminationMode};
use crate::hpa::{ControllerFlags, KubernetesVersion};
use crate::manifest::Probe;
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::{Runtime, Workload};
use crate::scenario::written_sections::{DRAIN_DEFAULT, seconds_or_duration};
use crate::scenario::{Origin, ScenarioFile, show};
use crate::units::{Diagnostic, Located, SimDuration};

/// Resolves the cluster; `None` after an error in the ledger.
pub(super) fn resolve_cluster(
    scenario: &ScenarioFile,
    workload: Option<&Workload>,
    gpus: u32,
    ledger: &mut Ledger,
) -> Option<ClusterSettings> {
    let written = &scenario.cluster;
    let (default, why) = if gpus == 0 {
        (Preset::CpuDemo, "replicas without GPU; start-up, control-plane and endpoint times come from it")
    } else {
        (
            Preset::WarmGpu,
            "image, weights and compile cache on the node; start-up, control-plane and endpoint times come from it",
        )
    };
    let preset = ledger.pick_or_tell("spec.cluster.preset", [written.preset.clone()], default, why, |preset| {
        preset_word(*preset).to_owned()
    });
    let origin = || Origin::Preset(preset_word(preset));
    let mut settings = ClusterSettings::preset(preset);
    let mut vary = |path: &str, given: Option<&Located<DurationDistribution>>, field: &mut DurationDistribution| {
        *field = ledger.pick(path, [given.cloned()], (*field, origin()), show::distribution);
    };
    let startup = &mut settings.startup;
    for (key, field) in [
        ("imagePull", &mut startup.image_pull),
        ("sandbox", &mut startup.sandbox),
        ("weightsFetch", &mut startup.weights_fetch),
        ("weightsLoad", &mut startup.weights_load),
        ("engineInit", &mut startup.engine_init),
        ("compile", &mut startup.compile),
        ("graphs", &mut startup.graphs),
    ] {
        let given = written.startup.iter().find(|(own, _)| *own == key).map(|(_, given)| given);
        vary(&format!("spec.cluster.startup.{key}"), given, field);
    }
    vary("spec.cluster.controlPlane.createLatency", written.create_latency.as_ref(), &mut settings.create_latency);
    vary("spec.cluster.controlPlane.statusLatency", written.status_latency.as_ref(), &mut settings.status_latency);
    vary("spec.cluster.scheduler.latency", written.scheduler.as_ref(), &mut startup.schedule);
    vary("spec.cluster.endpoints.propagation", written.endpoints.as_ref(), &mut startup.endpoints);
    resolve_probes(scenario, workload, &mut settings, ledger);
    resolve_termination(scenario, workload, &mut settings, ledger);
    resolve_nodes(scenario, gpus, &mut settings, ledger)?;
    Some(settings)
}

fn preset_word(preset: Preset) -> &'static str {
    match preset {
        Preset::WarmGpu => "warm-gpu",
        Preset::CpuDemo => "cpu-demo",
    }
}

/// The probe that decides readiness: a startup probe's success triggers the first readiness probe at once, so with one its
/// period is what counts (kubelet `prober/worker.go`).
fn resolve_probes(
    scenario: &ScenarioFile,
    workload: Option<&Workload>,
    settings: &mut ClusterSettings,
    ledger: &mut Ledger,
) {
    const PATH: &str = "spec.cluster.probes.periodSeconds";
    const PERIOD_DEFAULT: i64 = 10;
    let template = workload.map(|workload| &workload.template);
    let probe: Option<&Probe> =
        template.and_then(|template| template.startup_probe.as_ref().or(template.readiness_probe.as_ref()));
    if let (Some(workload), None, None) = (workload, probe, &scenario.cluster.probe_period_seconds)
        && !workload.default_probe
    {
        let message = format!(
            "{} has no readiness probe: its pods would count as ready before the engine listens, which is not \
             modelled; they become ready with a probe every {PERIOD_DEFAULT} s",
            workload.what
        );
        let diagnostic = Diagnostic::warning(workload.span.clone(), "", message);
        ledger.push(diagnostic.help("give the container a readinessProbe"));
    }
    // A probe without periodSeconds has the API's default, which is not our assumption.
    let implied = probe.map(|probe| Located::new(PERIOD_DEFAULT, probe.span.clone()));
    let manifest = probe.and_then(|probe| probe.period_seconds.clone());
    let candidates = [scenario.cluster.probe_period_seconds.clone(), manifest, implied];
    let seconds = ledger.pick(PATH, candidates, (PERIOD_DEFAULT, Origin::Assumed), i64::to_string);
    settings.startup.probe_period = seconds_of(seconds.max(1));
    let delay = probe.and_then(|probe| probe.initial_delay_seconds.as_ref()).map_or(0, |delay| delay.value);
    settings.startup.probe_initial_delay = seconds_of(delay);
}

fn seconds_of(seconds: i64) -> SimDuration {
    SimDuration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn resolve_termination(
    scenario: &ScenarioFile,
    workload: Option<&Workload>,
    settings: &mut ClusterSettings,
    ledger: &mut Ledger,
) {
    const GRACE_DEFAULT: i64 = 30;
    let written = &scenario.cluster;
    let template = workload.map(|workload| &workload.template);
    let grace = ledger.pick(
        "spec.cluster.termination.graceSeconds",
        [
            written.grace_seconds.clone(),
            template.and_then(|template| template.termination_grace_period_seconds.clone()),
        ],
        (GRACE_DEFAULT, Origin::Assumed),
        i64::to_string,
    );
    settings.termination.grace = seconds_of(grace);
    let pre_stop = template.and_then(|template| template.pre_stop_seconds.clone());
    settings.termination.pre_stop = ledger.pick(
        "spec.cluster.termination.preStop",
        [written.pre_stop.clone(), pre_stop.map(|given| given.map(seconds_of))],
        (SimDuration::ZERO, Origin::Assumed),
        show::duration_text,
    );
    // The kubelet leaves at least 2 s between SIGTERM and SIGKILL (`killContainer`).
    let two = SimDuration::from_secs(2);
    let remaining = settings.termination.grace.saturating_sub(settings.termination.pre_stop).max(two);
    let flag = workload.and_then(|workload| workload.args.get("shutdown-timeout")).and_then(|given| {
        let limit = seconds_or_duration(&given.value)?;
        let mode = if limit.is_zero() { TerminationMode::Abort } else { TerminationMode::Drain(limit) };
        Some(Located::new(mode, given.span.clone()))
    });
    let (default, why) = match workload.map(|workload| workload.runtime) {
        Some(Runtime::Huggingface) => (
            TerminationMode::Drain(DRAIN_DEFAULT.min(remaining)),
            "KServe's huggingfaceserver waits up to 30 s for requests inside, within the grace period",
        ),
        _ => (TerminationMode::Abort, "vllm serve cuts the requests inside at SIGTERM"),
    };
    settings.termination.mode = ledger.pick_or_tell(
        "spec.cluster.termination.mode",
        [written.termination_mode.clone(), flag],
        default,
        why,
        show::termination,
    );
}

fn resolve_nodes(
    scenario: &ScenarioFile,
    gpus: u32,
    settings: &mut ClusterSettings,
    ledger: &mut Ledger,
) -> Option<()> {
    const PATH: &str = "spec.cluster.nodes.gpusPerNode";
    let Some(given) = &scenario.cluster.gpus_per_node else {
        if gpus > 0 {
            settings.pods_per_node = 1;
            ledger.note(PATH, gpus.to_string(), Origin::Assumed);
        }
        return Some(());
    };
    if gpus == 0 || given.value < gpus {
        let message =
            format!("found {} with {gpus} GPUs per replica, expected at least one replica per node", given.value);
        ledger.push(Diagnostic::error(given.span.clone(), PATH, message));
        return None;
    }
    ledger.given(PATH, given.value.to_string(), &given.span);
    settings.pods_per_node = given.value / gpus;
    Some(())
}

/// (flags, sync period, smallest and largest sync latency).
pub(super) fn resolve_controller(
    scenario: &ScenarioFile,
    ledger: &mut Ledger,
) -> (ControllerFlags, SimDuration, (SimDuration, SimDuration)) {
    let written = &scenario.kubernetes;
    let version = ledger.pick_or_tell(
        "spec.kubernetes.version",
        [written.version.clone()],
        KubernetesVersion::V1_36,
        "the newest release whose controller is modelled; its flags have their defaults",
        |version| show::kubernetes(*version),
    );
    let mut flags = ControllerFlags::defaults(version);
    flags.tolerance = ledger.pick(
        "spec.kubernetes.tolerance",
        [written.tolerance.clone()],
        (flags.tolerance, Origin::Assumed),
        f64::to_string,
    );
    flags.downscale_stabilization = ledger.pick(
        "spec.kubernetes.downscaleStabilization",
        [written.downscale_stabilization.clone()],
        (flags.downscale_stabilization, Origin::Assumed),
        show::duration_text,
    );
    let sync_period = ledger.pick(
        "spec.kubernetes.syncPeriod",
        [written.sync_period.clone()],
        (SimDuration::from_secs(15), Origin::Assumed),
        show::duration_text,
    );
    let latency = ledger.pick_or_tell(
        "spec.kubernetes.syncLatency",
        [written.sync_latency.clone()],
        (SimDuration::from_millis(20), SimDuration::from_millis(200)),
        "a reconcile fetches metrics and writes to the API server; syncs drift by it",
        |(min, max)| format!("{{min: {}, max: {}}}", show::duration_text(min), show::duration_text(max)),
    );
    (flags, sync_period, latency)
}

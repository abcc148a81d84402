//! A run as resolved: every room's settings, no optional field that has a default.

use crate::cluster::{ClusterSettings, RouterPolicy};
use crate::hpa::{ControllerFlags, HpaSpec};
use crate::keda::{KedaVersion, ScaledObjectSpec};
use crate::prometheus::{PrometheusSettings, ScrapeSettings};
use crate::replica::EngineConfig;
use crate::scenario::{Assumption, Origin};
use crate::series::SignalSeries;
use crate::traffic::TrafficSpec;
use crate::units::{Diagnostics, Seed, SimDuration};
use std::sync::Arc;

/// Everything that one run needs.
#[derive(Clone, Debug)]
pub struct ResolvedRun {
    /// Policy's name (the ScaledObject's `metadata.name`).
    pub policy: String,
    /// Scenario's name.
    pub scenario: String,
    /// The traffic's name: the Traffic document's `metadata.name`, or a recorded trace's file without its ending; empty when
    /// the traffic stands nameless inside the Scenario.
    pub traffic_name: String,
    /// The seed.
    pub seed: Seed,
    /// End of the run; `None`: when traffic has ended and drained and the replicas have settled.
    pub duration: Option<SimDuration>,
    /// Left out of the statistics.
    pub warmup: SimDuration,
    /// Traffic sources.
    pub traffic: Vec<TrafficSpec>,
    /// Engine of each replica.
    pub engine: Arc<EngineConfig>,
    /// Name of the profile it came from.
    pub profile: String,
    /// GPUs per replica.
    pub gpus_per_replica: u32,
    /// `spec.replicas` at the start.
    pub initial_replicas: i32,
    /// Autoscaling off: `spec.replicas` stays at the initial count.
    pub fixed_replicas: bool,
    /// Pods.
    pub cluster: ClusterSettings,
    /// Balancer.
    pub router: RouterPolicy,
    /// Client to pod.
    pub router_latency: SimDuration,
    /// Client timeout (send to last token).
    pub client_timeout: SimDuration,
    /// Prometheus and its targets.
    pub monitoring: MonitoringSettings,
    /// Series that the user gives, scraped beside those of the pods.
    pub signals: Vec<SignalSeries>,
    /// KEDA.
    pub keda: KedaSettings,
    /// The HPA controller.
    pub kubernetes: KubernetesSettings,
    /// What to conclude.
    pub analysis: AnalysisSettings,
    /// Interval of the timeline's samples.
    pub sample_interval: SimDuration,
    /// What nobody gave.
    pub assumptions: Vec<Assumption>,
    /// (Scenario path, value as one would write it, origin) of every setting, for `scenario.yaml`.
    pub provenance: Vec<(String, String, Origin)>,
    /// Warnings and notes met on the way.
    pub diagnostics: Diagnostics,
    /// The policy documents as loaded, for `policy.yaml`.
    pub policy_text: String,
}

/// Prometheus and its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitoringSettings {
    /// The server.
    pub server: PrometheusSettings,
    /// Scrapes of the pods.
    pub scrape: ScrapeSettings,
    /// Target labels common to all pods, in addition to `pod` and `instance`: namespace, container, endpoint, job.
    pub target_labels: Vec<(String, String)>,
    /// Whether any monitor selects the pods; without one nothing is ever scraped.
    pub scraped: bool,
}

/// KEDA.
#[derive(Clone, Debug, PartialEq)]
pub struct KedaSettings {
    /// Release.
    pub version: KedaVersion,
    /// The ScaledObject.
    pub scaled_object: ScaledObjectSpec,
}

/// The HPA controller.
#[derive(Clone, Debug, PartialEq)]
pub struct KubernetesSettings {
    /// Flags and gates.
    pub flags: ControllerFlags,
    /// The (generated) HPA.
    pub hpa: HpaSpec,
    /// `--horizontal-pod-autoscaler-sync-period`, default 15 s.
    pub sync_period: SimDuration,
    /// Time a reconcile takes, drawn uniformly per sync: consecutive syncs are period + latency apart (hpa.md section 3).
    pub sync_latency_min: SimDuration,
    /// See `sync_latency_min`.
    pub sync_latency_max: SimDuration,
}

/// What an SLO limit speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SloMetric {
    /// Time to first token.
    Ttft,
    /// Time per output token.
    Tpot,
    /// End to end.
    E2e,
}

/// One SLO objective: quantile `quantile` of `metric` at most `limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct SloLimit {
    /// Of what.
    pub metric: SloMetric,
    /// `p95` as written.
    pub quantile_name: String,
    /// 0.95.
    pub quantile: f64,
    /// The limit.
    pub limit: SimDuration,
}

/// The gates there are, in the order that messages list them.
pub const GATE_NAMES: [&str; 4] = ["flapsPerHour", "sloAttainment", "gpuHours", "failedRequests"];

/// One gate.
#[derive(Clone, Debug, PartialEq)]
pub struct GateLimit {
    /// One of [`GATE_NAMES`].
    pub name: String,
    /// Its limit (a minimum for `sloAttainment`, else a maximum).
    pub limit: f64,
}

/// What to conclude from a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnalysisSettings {
    /// `W_flap`; `None` = auto.
    pub flap_window: Option<SimDuration>,
    /// SLO objectives.
    pub slo: Vec<SloLimit>,
    /// Gates in the order given.
    pub gates: Vec<GateLimit>,
    /// Price of a GPU-hour.
    pub gpu_hour_price: Option<f64>,
}

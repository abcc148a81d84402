//! A run as resolved: every room's settings, no optional field that has a default.

use crate::cluster::{ClusterSettings, GatewaySettings, RouterPolicy, StartupPlan};
use crate::hpa::{ControllerFlags, HpaSpec};
use crate::keda::{KedaVersion, ScaledObjectSpec};
use crate::prometheus::{PrometheusSettings, RelabelRule, RuleGroup, ScrapeSettings, TargetRules};
use crate::replica::EngineConfig;
use crate::scenario::ledger::flag;
use crate::scenario::{Assumption, Fault, Origin};
use crate::series::{Signal, SignalSeries};
use crate::traffic::{Arrivals, TrafficSpec};
use crate::units::{Diagnostics, Seed, SimDuration, SimTime, Span};
use std::sync::Arc;

/// Everything that one run needs.
#[derive(Clone, Debug)]
pub struct ResolvedRun {
    /// Policy's name (the ScaledObject's or HorizontalPodAutoscaler's `metadata.name`).
    pub policy: String,
    /// What the policy scales.
    pub target: ScaleTarget,
    /// Scenario's name.
    pub scenario: String,
    /// The traffic's name: the Traffic document's `metadata.name`, or a recorded trace's file without its ending; empty when
    /// the traffic stands nameless inside the Scenario.
    pub traffic_name: String,
    /// The seed; of several, the first.
    pub seed: Seed,
    /// How many seeds are to be run, this one included.
    pub replications: u32,
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
    /// Autoscaling off: `spec.replicas` stays at the initial count, or follows [`Self::schedule`].
    pub fixed_replicas: bool,
    /// With autoscaling off: what `spec.replicas` becomes when, in order of time.
    pub schedule: Vec<(SimTime, i32)>,
    /// Pods.
    pub cluster: ClusterSettings,
    /// Balancer.
    pub router: RouterPolicy,
    /// Client to pod.
    pub router_latency: SimDuration,
    /// What takes the requests before the router does; `None`: clients reach the pods by their Service.
    pub gateway: Option<GatewaySettings>,
    /// Client timeout (send to last token).
    pub client_timeout: SimDuration,
    /// Prometheus and its targets.
    pub monitoring: MonitoringSettings,
    /// KEDA; `None` when the policy is a plain HorizontalPodAutoscaler.
    pub keda: Option<KedaSettings>,
    /// The HPA controller.
    pub kubernetes: KubernetesSettings,
    /// The user's own series that Prometheus scrapes beside the pods'.
    pub signals: Vec<SignalSeries>,
    /// What is out of order when, by start.
    pub faults: Vec<Fault>,
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

impl ResolvedRun {
    /// The run of one seed among several, as if `--seed` had asked for it: nothing is read again, so that a trace from a pipe
    /// serves all seeds.
    #[must_use]
    pub fn with_seed(&self, seed: Seed) -> ResolvedRun {
        let mut own = ResolvedRun { seed, replications: 1, ..self.clone() };
        own.assumptions.retain(|assumed| assumed.path != "spec.seed");
        own.provenance.retain(|(path, _, _)| path != "spec.replications");
        for (path, value, origin) in &mut own.provenance {
            if path == "spec.seed" {
                *value = seed.0.to_string();
                *origin = Origin::Given(flag("--seed"));
            }
        }
        own
    }

    /// The fewest and the most replicas that the policy allows; the ScaledObject's own bounds may lie below those of its HPA, which
    /// never goes to 0.
    pub fn replica_bounds(&self) -> (i32, i32) {
        let hpa = &self.kubernetes.hpa;
        self.keda.as_ref().map_or((hpa.min_replicas, hpa.max_replicas), |keda| {
            (keda.scaled_object.min_replicas, keda.scaled_object.max_replicas)
        })
    }

    /// The start-up time that 95 % of the pods do not exceed.
    pub fn slow_start(&self) -> SimDuration {
        StartupPlan::slow_duration(&self.cluster)
    }

    /// Whether arrivals and lengths are those of a recorded trace, the same for every seed.
    pub fn replays_trace(&self) -> bool {
        self.traffic.iter().any(|traffic| matches!(traffic.arrivals, Arrivals::Recorded(_)))
    }
}

/// What a policy scales. Any kind runs as a Deployment does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleTarget {
    /// `Deployment`, ...
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The policy's namespace, where Kubernetes looks for it.
    pub namespace: String,
}

/// Prometheus and its targets.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitoringSettings {
    /// The server.
    pub server: PrometheusSettings,
    /// The scrape jobs that select the pods: every pod is a target of each. None: nothing is ever scraped.
    pub pools: Vec<ScrapePool>,
    /// Scrapes of what is no pod of the policy.
    pub own_scrape: ScrapeSettings,
    /// Recording rules.
    pub rules: Vec<RuleGroupSettings>,
}

/// One scrape job over the pods: an endpoint of a monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapePool {
    /// `podMonitor/<namespace>/<name>/<endpoint>`, or what stands for a monitor that is not given.
    pub name: String,
    /// When.
    pub scrape: ScrapeSettings,
    /// Labels common to all pods: what discovery finds (`__meta_*`) and what the operator sets.
    pub labels: Vec<(String, String)>,
    /// The user's `relabelings` of targets.
    pub relabel: Vec<RelabelRule>,
    /// What happens to the series.
    pub rules: TargetRules,
    /// The port in `__address__`.
    pub port: u16,
    /// Why no scrape of this job can succeed (a path that vLLM does not serve, another port, ...): `up` is always 0.
    pub failure: Option<String>,
}

/// A group of recording rules, and when it is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleGroupSettings {
    /// `<namespace>/<object>/<group>`, from which the phase is drawn.
    pub key: String,
    /// Its interval.
    pub interval: SimDuration,
    /// The rules.
    pub group: RuleGroup,
    /// Where each rule's expression stands.
    pub places: Vec<Span>,
}

/// KEDA.
#[derive(Clone, Debug, PartialEq)]
pub struct KedaSettings {
    /// Release.
    pub version: KedaVersion,
    /// `KEDA_HTTP_DEFAULT_TIMEOUT`: how long a trigger without `timeout` waits for an answer.
    pub http_timeout: SimDuration,
    /// The ScaledObject.
    pub scaled_object: ScaledObjectSpec,
}

/// The HPA controller.
#[derive(Clone, Debug, PartialEq)]
pub struct KubernetesSettings {
    /// Flags and gates.
    pub flags: ControllerFlags,
    /// The HPA, as written or as KEDA generates it.
    pub hpa: HpaSpec,
    /// Per metric of the HPA: who answers for it.
    pub sources: Vec<MetricSource>,
    /// What replicas use of cpu and memory, when some metric asks for it.
    pub usage: Option<UsageSettings>,
    /// `--horizontal-pod-autoscaler-sync-period`, default 15 s.
    pub sync_period: SimDuration,
    /// Time a reconcile takes, drawn uniformly per sync: consecutive syncs are period + latency apart (hpa.md section 3).
    pub sync_latency_min: SimDuration,
    /// See `sync_latency_min`.
    pub sync_latency_max: SimDuration,
}

/// Who answers the HPA for a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricSource {
    /// KEDA, with the trigger at this position.
    Trigger(usize),
    /// KEDA, with the formula.
    Formula,
    /// metrics-server.
    Resource,
    /// An adapter for custom metrics, one value per pod: this query of Prometheus, grouped by `pod`.
    PodsMetric(String),
    /// An adapter for external metrics: a series that the user gives.
    ExternalSignal(Signal),
}

/// What a replica uses of cpu and memory, and what its pods ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageSettings {
    /// cpu while requests are inside, milli cores.
    pub cpu_busy_milli: i64,
    /// cpu otherwise, milli cores.
    pub cpu_idle_milli: i64,
    /// cpu while the model loads, milli cores.
    pub cpu_loading_milli: i64,
    /// Memory once the model is loaded, milli bytes; while it loads, memory grows from 0 in a straight line.
    pub memory_milli: i64,
    /// Per metric of the HPA: the pod's request of the resource (its container's, when the metric names one) in milli;
    /// `None` without one, and for other metrics.
    pub requests_milli: Vec<Option<i64>>,
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

impl SloLimit {
    /// As the Scenario has it below `slo`: `ttft.p95`.
    pub fn name(&self) -> String {
        let metric = match self.metric {
            SloMetric::Ttft => "ttft",
            SloMetric::Tpot => "tpot",
            SloMetric::E2e => "e2e",
        };
        format!("{metric}.{}", self.quantile_name)
    }
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
    /// Level at which a gate compares an interval's ends; `None`: 0.95 over several seeds, and a single run's gate compares
    /// its point estimate.
    pub gate_confidence: Option<f64>,
    /// Price of a GPU-hour.
    pub gpu_hour_price: Option<f64>,
    /// The profile's name and stated error when its step times are an estimate.
    pub estimated_profile: Option<(String, String)>,
}

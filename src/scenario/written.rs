//! `kind: Scenario` as written: every field optional, every value with its place. It knows shapes and ranges of single
//! values, not defaults.
//!
//! Reading order: the types, `read_scenario`, then the sections in `written_sections`.

use crate::cluster::{DurationDistribution, Preset, RouterPolicy, TerminationMode};
use crate::hpa::KubernetesVersion;
use crate::keda::KedaVersion;
use crate::manifest::{Document, Fields, UnknownKeys};
use crate::prometheus::PrometheusVersion;
use crate::scenario::faults_written::{FaultWritten, read_faults};
use crate::scenario::gateway_written::{GatewayWritten, gateway};
use crate::scenario::signals_written::read_signals;
use crate::scenario::values::{name_kind, positive_duration, spec_of};
use crate::scenario::written_sections as sections;
use crate::scenario::{GateLimit, HardwareWritten, SignalsWritten, SloLimit};
use crate::traffic::TrafficSpec;
use crate::units::{Diagnostics, Located, Quantity, SimDuration, SimTime};

/// Most seeds that one command runs.
pub const MOST_REPLICATIONS: u32 = 1_000;

/// A Scenario as its author wrote it: every field optional, every value with its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScenarioFile {
    /// `metadata.name`.
    pub name: Option<Located<String>>,
    /// `duration`.
    pub duration: Option<Located<SimDuration>>,
    /// `warmup`.
    pub warmup: Option<Located<SimDuration>>,
    /// `seed`.
    pub seed: Option<Located<u64>>,
    /// `replications`: how many seeds.
    pub replications: Option<Located<u32>>,
    /// `start`: the date of the run's start, seconds since the Unix epoch.
    pub start: Option<Located<i64>>,
    /// `traffic`.
    pub traffic: Option<TrafficWritten>,
    /// `replica`.
    pub replica: ReplicaWritten,
    /// `initialReplicas`.
    pub initial_replicas: Option<Located<i32>>,
    /// `cluster`.
    pub cluster: ClusterWritten,
    /// `router`.
    pub router: RouterWritten,
    /// `gateway`.
    pub gateway: Option<GatewayWritten>,
    /// `client.timeout`.
    pub client_timeout: Option<Located<SimDuration>>,
    /// `prometheus`.
    pub prometheus: PrometheusWritten,
    /// `keda.version`.
    pub keda_version: Option<Located<KedaVersion>>,
    /// `keda.httpTimeout`.
    pub keda_http_timeout: Option<Located<SimDuration>>,
    /// `kubernetes`.
    pub kubernetes: KubernetesWritten,
    /// `signals`.
    pub signals: Option<Located<SignalsWritten>>,
    /// `faults`.
    pub faults: Vec<FaultWritten>,
    /// `slo`.
    pub slo: Vec<Located<SloLimit>>,
    /// `cost.gpuHour`.
    pub gpu_hour: Option<Located<f64>>,
    /// `analysis.flapWindow`; the inner `None` is `auto`.
    pub flap_window: Option<Located<Option<SimDuration>>>,
    /// `gates`.
    pub gates: Vec<Located<GateLimit>>,
    /// `gates.confidence`.
    pub gate_confidence: Option<Located<f64>>,
}

/// `traffic`.
#[derive(Clone, Debug, PartialEq)]
pub enum TrafficWritten {
    /// `{file: ...}`: a Traffic document or a recorded trace.
    File {
        /// The path as written, relative to the Scenario's file.
        file: Located<String>,
        /// `start`, `stop`, for recorded traces.
        window: (SimTime, SimTime),
    },
    /// An inline Traffic spec.
    Inline(Box<Located<TrafficSpec>>),
}

/// `replica`: the profile, the vLLM version, and overrides of profile and engine arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaWritten {
    /// `profile`: a built-in one's name or a Profile document's file or name.
    pub profile: Option<Located<String>>,
    /// `vllmVersion` as (major, minor).
    pub vllm_version: Option<Located<(u32, u32)>>,
    /// `servedModelName`.
    pub served_model_name: Option<Located<String>>,
    /// `kvTokens`.
    pub kv_tokens: Option<Located<u64>>,
    /// `kvBlocks`: as vLLM logs it, the null block included.
    pub kv_blocks: Option<Located<u32>>,
    /// `maxNumSeqs`.
    pub max_num_seqs: Option<Located<u32>>,
    /// `maxNumBatchedTokens`.
    pub max_num_batched_tokens: Option<Located<u32>>,
    /// `maxModelLen`.
    pub max_model_len: Option<Located<u32>>,
    /// `blockSize`.
    pub block_size: Option<Located<u32>>,
    /// `requestOverheadMs`.
    pub request_overhead_ms: Option<Located<f64>>,
    /// `cpuBusy`: what a replica uses while requests are inside.
    pub cpu_busy: Option<Located<Quantity>>,
    /// `cpuIdle`: what it uses otherwise.
    pub cpu_idle: Option<Located<Quantity>>,
    /// `memory`: what it uses once the model is loaded.
    pub memory: Option<Located<Quantity>>,
    /// Model, GPU and what a profile's numbers are changed by.
    pub hardware: HardwareWritten,
}

/// `cluster`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterWritten {
    /// `preset`.
    pub preset: Option<Located<Preset>>,
    /// `startup.*`, by key.
    pub startup: Vec<(&'static str, Located<DurationDistribution>)>,
    /// `probes.periodSeconds`.
    pub probe_period_seconds: Option<Located<i64>>,
    /// `termination.graceSeconds`.
    pub grace_seconds: Option<Located<i64>>,
    /// `termination.preStop`.
    pub pre_stop: Option<Located<SimDuration>>,
    /// `termination.mode`.
    pub termination_mode: Option<Located<TerminationMode>>,
    /// `nodes.gpusPerNode`.
    pub gpus_per_node: Option<Located<u32>>,
    /// `controlPlane.createLatency`.
    pub create_latency: Option<Located<DurationDistribution>>,
    /// `controlPlane.statusLatency`.
    pub status_latency: Option<Located<DurationDistribution>>,
    /// `endpoints.propagation`.
    pub endpoints: Option<Located<DurationDistribution>>,
    /// `scheduler.latency`.
    pub scheduler: Option<Located<DurationDistribution>>,
}

/// `router`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouterWritten {
    /// `policy`.
    pub policy: Option<Located<RouterPolicy>>,
    /// `latency`.
    pub latency: Option<Located<SimDuration>>,
}

/// `prometheus`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrometheusWritten {
    /// `version`.
    pub version: Option<Located<PrometheusVersion>>,
    /// `scrapeInterval`.
    pub scrape_interval: Option<Located<SimDuration>>,
    /// `scrapeTimeout`.
    pub scrape_timeout: Option<Located<SimDuration>>,
    /// `lookback`.
    pub lookback: Option<Located<SimDuration>>,
    /// `evaluationInterval`.
    pub evaluation_interval: Option<Located<SimDuration>>,
    /// `responseTime`.
    pub response_time: Option<Located<SimDuration>>,
    /// `discoveryDelay`: upper bound of the delay.
    pub discovery_delay: Option<Located<SimDuration>>,
}

/// `kubernetes`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KubernetesWritten {
    /// `version`.
    pub version: Option<Located<KubernetesVersion>>,
    /// `syncPeriod`.
    pub sync_period: Option<Located<SimDuration>>,
    /// `syncLatency`: {min, max} or one duration.
    pub sync_latency: Option<Located<(SimDuration, SimDuration)>>,
    /// `tolerance`.
    pub tolerance: Option<Located<f64>>,
    /// `downscaleStabilization`.
    pub downscale_stabilization: Option<Located<SimDuration>>,
}

/// Reads a Scenario document; unknown and mistyped keys are errors. Keys of DESIGN.md that are not modelled yet are errors
/// that say so.
///
/// # Errors
/// All mistakes, located.
pub fn read_scenario(document: &Document) -> Result<ScenarioFile, Diagnostics> {
    let mut diagnostics = Diagnostics::new();
    let file = scenario(document, &mut diagnostics);
    name_kind("Scenario", &mut diagnostics);
    match file {
        Some(file) if !diagnostics.has_errors() => Ok(file),
        _ => Err(diagnostics),
    }
}

fn scenario(document: &Document, diagnostics: &mut Diagnostics) -> Option<ScenarioFile> {
    let (name, spec) = spec_of(&document.root, diagnostics)?;
    let mut fields = Fields::of(spec, "spec", diagnostics)?;
    let duration = positive_duration(&mut fields, "duration", diagnostics);
    let warmup = fields.duration("warmup", diagnostics);
    let seed = fields.integer("seed", 0..=i64::MAX, diagnostics);
    let replications = fields.integer("replications", 1..=i64::from(MOST_REPLICATIONS), diagnostics);
    let start = sections::start(&mut fields, diagnostics);
    let traffic = fields.node("traffic").and_then(|node| sections::traffic(node, diagnostics));
    let replica = section(&mut fields, "replica", sections::replica, diagnostics);
    let faults = read_faults(&mut fields, diagnostics);
    let (keda_version, keda_http_timeout) = section(&mut fields, "keda", sections::keda, diagnostics);
    let initial = fields.integer("initialReplicas", 0..=10_000, diagnostics);
    let (gates, gate_confidence) = section(&mut fields, "gates", sections::gates, diagnostics);
    let file = ScenarioFile {
        name,
        duration,
        warmup,
        seed: seed.map(|given| given.map(|value| u64::try_from(value).expect("the range was checked"))),
        replications: replications.map(|own| own.map(|value| u32::try_from(value).expect("the range was checked"))),
        start,
        traffic,
        replica,
        initial_replicas: initial.map(|given| given.map(|value| i32::try_from(value).expect("the range was checked"))),
        cluster: section(&mut fields, "cluster", sections::cluster, diagnostics),
        router: section(&mut fields, "router", sections::router, diagnostics),
        gateway: section(&mut fields, "gateway", gateway, diagnostics),
        client_timeout: section(&mut fields, "client", sections::client, diagnostics),
        prometheus: section(&mut fields, "prometheus", sections::prometheus, diagnostics),
        keda_version,
        keda_http_timeout,
        kubernetes: section(&mut fields, "kubernetes", sections::kubernetes, diagnostics),
        signals: fields
            .node("signals")
            .map(|node| Located::new(read_signals(node, "spec.signals", diagnostics), node.span.clone())),
        faults,
        slo: section(&mut fields, "slo", sections::slo, diagnostics),
        gpu_hour: section(&mut fields, "cost", sections::cost, diagnostics),
        flap_window: section(&mut fields, "analysis", sections::analysis, diagnostics),
        gates,
        gate_confidence,
    };
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(file)
}

/// Reads the mapping under `key` with `read` and reports its unknown keys.
fn section<T: Default>(
    fields: &mut Fields<'_>,
    key: &'static str,
    read: fn(&mut Fields<'_>, &mut Diagnostics) -> T,
    diagnostics: &mut Diagnostics,
) -> T {
    let Some(mut inner) = fields.fields(key, diagnostics) else {
        return T::default();
    };
    let value = read(&mut inner, diagnostics);
    inner.finish(UnknownKeys::Error, diagnostics);
    value
}

//! The sections of a Scenario, one reader each. Each asks for every key of its section; the caller reports the rest.

use crate::cluster::{Preset, RouterPolicy, TerminationMode};
use crate::hpa::KubernetesVersion;
use crate::keda::KedaVersion;
use crate::manifest::{Fields, Node, UnknownKeys, Value};
use crate::prometheus::PrometheusVersion;
use crate::scenario::hardware_written::read_hardware;
use crate::scenario::traffic_file::read_window;
use crate::scenario::values::{
    choice, count, distribution, non_negative, not_modelled, positive_duration, request_overhead,
};
use crate::scenario::written::{
    ClusterWritten, KubernetesWritten, PrometheusWritten, ReplicaWritten, RouterWritten, TrafficWritten,
};
use crate::scenario::{GATE_NAMES, GateLimit, SloLimit, SloMetric, read_traffic};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity, SimDuration, parse_go_duration};

/// What KServe's huggingfaceserver waits for requests inside (`model_server.py`, `grace_period`).
pub(super) const DRAIN_DEFAULT: SimDuration = SimDuration::from_secs(30);

/// `traffic: {file: ...}` or an inline Traffic spec.
pub(super) fn traffic(node: &Node, diagnostics: &mut Diagnostics) -> Option<TrafficWritten> {
    const PATH: &str = "spec.traffic";
    if node.get("file").is_none() {
        return match read_traffic(node, PATH) {
            Ok(spec) => Some(TrafficWritten::Inline(Box::new(Located::new(spec, node.span.clone())))),
            Err(mut found) => {
                diagnostics.0.append(&mut found.0);
                None
            }
        };
    }
    let mut fields = Fields::of(node, PATH, diagnostics)?;
    let file = fields.string("file", diagnostics);
    let window = read_window(&mut fields, diagnostics);
    fields.finish(UnknownKeys::Error, diagnostics);
    Some(TrafficWritten::File { file: file?, window })
}

/// `replica`.
pub(super) fn replica(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> ReplicaWritten {
    let written = ReplicaWritten {
        profile: fields.string("profile", diagnostics),
        vllm_version: version(fields, "vllmVersion", "0.33", vllm_version, diagnostics),
        served_model_name: fields.string("servedModelName", diagnostics),
        kv_tokens: fields
            .integer("kvTokens", 1..=i64::MAX, diagnostics)
            .map(|given| given.map(|value| u64::try_from(value).expect("the range was checked"))),
        kv_blocks: count(fields, "kvBlocks", diagnostics),
        max_num_seqs: count(fields, "maxNumSeqs", diagnostics),
        max_num_batched_tokens: count(fields, "maxNumBatchedTokens", diagnostics),
        max_model_len: count(fields, "maxModelLen", diagnostics),
        block_size: count(fields, "blockSize", diagnostics),
        request_overhead_ms: request_overhead(fields, diagnostics),
        cpu_busy: positive_quantity(fields, "cpuBusy", diagnostics),
        cpu_idle: positive_quantity(fields, "cpuIdle", diagnostics),
        memory: positive_quantity(fields, "memory", diagnostics),
        hardware: read_hardware(fields, diagnostics),
    };
    if let (Some(tokens), Some(_)) = (&written.kv_tokens, &written.kv_blocks) {
        let message = "found both kvTokens and kvBlocks, expected one of them";
        diagnostics.push(Diagnostic::error(tokens.span.clone(), fields.path_of("kvTokens"), message));
    }
    let later = ["gpus", "prefixCaching", "enablePrefixCaching"];
    not_modelled(fields, &later, diagnostics);
    written
}

/// An amount above zero, such as `4`, `50m` or `6Gi`.
fn positive_quantity(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<Quantity>> {
    let given = fields.quantity(key, diagnostics)?;
    if given.value.milli_value() <= 0 {
        let message = format!("found {}, expected more than 0", given.value);
        diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
        return None;
    }
    Some(given)
}

/// 1970 to the end of 2200.
const START_RANGE: std::ops::Range<i64> = 0..7_289_654_400;

/// `start`: a date of RFC 3339 in whole seconds, as seconds since the Unix epoch.
pub(super) fn start(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<i64>> {
    let given = fields.string("start", diagnostics)?;
    match given.value.parse::<jiff::Timestamp>() {
        Ok(date) if date.subsec_nanosecond() == 0 && START_RANGE.contains(&date.as_second()) => {
            Some(Located::new(date.as_second(), given.span))
        }
        Ok(_) => {
            let message = format!("found {:?}, expected a date from 1970 to 2200 in whole seconds", given.value);
            diagnostics.push(Diagnostic::error(given.span, fields.path_of("start"), message));
            None
        }
        Err(_) => {
            let message =
                format!("found {:?}, expected a date with a time zone such as \"2026-03-29T00:00:00Z\"", given.value);
            diagnostics.push(Diagnostic::error(given.span, fields.path_of("start"), message));
            None
        }
    }
}

/// `cluster`.
pub(super) fn cluster(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> ClusterWritten {
    let presets = [("warm-gpu", Preset::WarmGpu), ("cpu-demo", Preset::CpuDemo)];
    let mut written = ClusterWritten {
        preset: choice(fields, "preset", &presets, &["cold-gpu", "cold-gpu-karpenter"], diagnostics),
        ..ClusterWritten::default()
    };
    if let Some(mut startup) = fields.fields("startup", diagnostics) {
        for key in ["imagePull", "sandbox", "weightsFetch", "weightsLoad", "engineInit", "compile", "graphs"] {
            if let Some(given) = distribution(&mut startup, key, diagnostics) {
                written.startup.push((key, given));
            }
        }
        let later = ["imageCached", "weightsCached", "compileCached", "image", "serializePulls", "portOpens"];
        not_modelled(&mut startup, &later, diagnostics);
        startup.finish(UnknownKeys::Error, diagnostics);
    }
    if let Some(mut probes) = fields.fields("probes", diagnostics) {
        written.probe_period_seconds = probes.integer("periodSeconds", 1..=3_600, diagnostics);
        not_modelled(&mut probes, &["phase", "initialDelaySeconds", "failureThreshold", "failsWhen"], diagnostics);
        probes.finish(UnknownKeys::Error, diagnostics);
    }
    if let Some(mut termination) = fields.fields("termination", diagnostics) {
        written.grace_seconds = termination.integer("graceSeconds", 0..=86_400, diagnostics);
        written.pre_stop = termination.duration("preStop", diagnostics);
        written.termination_mode = termination_mode(&mut termination, diagnostics);
        not_modelled(&mut termination, &["kubeletLatency", "cleanup"], diagnostics);
        termination.finish(UnknownKeys::Error, diagnostics);
    }
    if let Some(mut nodes) = fields.fields("nodes", diagnostics) {
        written.gpus_per_node = count(&mut nodes, "gpusPerNode", diagnostics);
        let later = ["count", "autoscaler", "min", "max", "boot", "gpuReady", "scanInterval", "consolidation"];
        not_modelled(&mut nodes, &later, diagnostics);
        nodes.finish(UnknownKeys::Error, diagnostics);
    }
    if let Some(mut plane) = fields.fields("controlPlane", diagnostics) {
        written.create_latency = distribution(&mut plane, "createLatency", diagnostics);
        written.status_latency = distribution(&mut plane, "statusLatency", diagnostics);
        not_modelled(&mut plane, &["apiQPS", "burst"], diagnostics);
        plane.finish(UnknownKeys::Error, diagnostics);
    }
    if let Some(mut endpoints) = fields.fields("endpoints", diagnostics) {
        written.endpoints = distribution(&mut endpoints, "propagation", diagnostics);
        not_modelled(&mut endpoints, &["minSync"], diagnostics);
        endpoints.finish(UnknownKeys::Error, diagnostics);
    }
    if let Some(mut scheduler) = fields.fields("scheduler", diagnostics) {
        written.scheduler = distribution(&mut scheduler, "latency", diagnostics);
        let later = ["backoffInitial", "backoffMax", "unschedulableFlush", "placement"];
        not_modelled(&mut scheduler, &later, diagnostics);
        scheduler.finish(UnknownKeys::Error, diagnostics);
    }
    not_modelled(fields, &["quota", "crash"], diagnostics);
    written
}

/// `abort`, `drain`, or `{drain: 40s}`.
fn termination_mode(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<TerminationMode>> {
    let node = fields.node("mode")?;
    if matches!(node.value, Value::Map(_)) {
        let mut inner = fields.fields("mode", diagnostics)?;
        let drain = inner.duration("drain", diagnostics);
        let drain = inner.required("drain", drain, diagnostics);
        inner.finish(UnknownKeys::Error, diagnostics);
        return drain.map(|given| given.map(TerminationMode::Drain));
    }
    let words = [("abort", TerminationMode::Abort), ("drain", TerminationMode::Drain(DRAIN_DEFAULT))];
    choice(fields, "mode", &words, &[], diagnostics)
}

/// `router`.
pub(super) fn router(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> RouterWritten {
    let words: Vec<(&str, RouterPolicy)> = ROUTERS.iter().map(|(policy, word)| (*word, *policy)).collect();
    let policy = choice(fields, "policy", &words, &["kv-aware", "prefix-aware", "session", "epp"], diagnostics);
    let latency = fields.duration("latency", diagnostics);
    let later = ["connections", "serverKeepAlive", "replicas", "choices", "epp"];
    not_modelled(fields, &later, diagnostics);
    RouterWritten { policy, latency }
}

/// Policies and the words for them.
pub(super) const ROUTERS: [(RouterPolicy, &str); 4] = [
    (RouterPolicy::Random, "random"),
    (RouterPolicy::RoundRobin, "round-robin"),
    (RouterPolicy::LeastRequests, "least-requests"),
    (RouterPolicy::PowerOfTwo, "power-of-two"),
];

/// `client`.
pub(super) fn client(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<SimDuration>> {
    let timeout = positive_duration(fields, "timeout", diagnostics);
    not_modelled(fields, &["preset", "retries", "backoff", "patience", "propagateCancel", "connections"], diagnostics);
    timeout
}

/// `prometheus`.
pub(super) fn prometheus(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> PrometheusWritten {
    let written = PrometheusWritten {
        version: version(fields, "version", "3, 3.5 or 2.55", prometheus_version, diagnostics),
        scrape_interval: positive_duration(fields, "scrapeInterval", diagnostics),
        scrape_timeout: positive_duration(fields, "scrapeTimeout", diagnostics),
        lookback: positive_duration(fields, "lookback", diagnostics),
        evaluation_interval: positive_duration(fields, "evaluationInterval", diagnostics),
        response_time: fields.duration("responseTime", diagnostics),
        discovery_delay: fields.duration("discoveryDelay", diagnostics),
    };
    not_modelled(fields, &["scrapeLatency", "replicas", "externalLabels"], diagnostics);
    written
}

/// `keda`.
pub(super) fn keda(
    fields: &mut Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> (Option<Located<KedaVersion>>, Option<Located<SimDuration>>) {
    let version = version(fields, "version", "2.20.2", keda_version, diagnostics);
    (version, positive_duration(fields, "httpTimeout", diagnostics))
}

/// `kubernetes`.
pub(super) fn kubernetes(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> KubernetesWritten {
    let sync_latency = fields.node("syncLatency").and_then(|node| {
        if !matches!(node.value, Value::Map(_)) {
            let one = fields.duration("syncLatency", diagnostics)?;
            return Some(one.map(|value| (value, value)));
        }
        let mut inner = fields.fields("syncLatency", diagnostics)?;
        let min = inner.duration("min", diagnostics);
        let min = inner.required("min", min, diagnostics);
        let max = inner.duration("max", diagnostics);
        let max = inner.required("max", max, diagnostics);
        inner.finish(UnknownKeys::Error, diagnostics);
        let (min, max) = (min?.value, max?.value);
        if min > max {
            let message = format!("found min {min} above max {max}, expected min <= max");
            diagnostics.push(Diagnostic::error(node.span.clone(), fields.path_of("syncLatency"), message));
        }
        Some(Located::new((min, max), node.span.clone()))
    });
    let written = KubernetesWritten {
        version: version(fields, "version", "1.36", kubernetes_version, diagnostics),
        sync_period: positive_duration(fields, "syncPeriod", diagnostics),
        sync_latency,
        tolerance: non_negative(fields, "tolerance", diagnostics),
        downscale_stabilization: fields.duration("downscaleStabilization", diagnostics),
    };
    not_modelled(fields, &["featureGates", "cpuInitializationPeriod", "initialReadinessDelay"], diagnostics);
    written
}

/// `slo: {ttft: {p95: 2s}, ...}`.
pub(super) fn slo(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<Located<SloLimit>> {
    let mut limits = Vec::new();
    for (key, metric) in [("ttft", SloMetric::Ttft), ("tpot", SloMetric::Tpot), ("e2e", SloMetric::E2e)] {
        let Some(mut inner) = fields.fields(key, diagnostics) else { continue };
        for (name, quantile) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)] {
            if let Some(given) = positive_duration(&mut inner, name, diagnostics) {
                let quantile_name = name.to_owned();
                limits.push(given.map(|limit| SloLimit { metric, quantile_name, quantile, limit }));
            }
        }
        inner.finish(UnknownKeys::Error, diagnostics);
    }
    not_modelled(fields, &["itl", "goodput", "classes"], diagnostics);
    limits
}

/// `cost`.
pub(super) fn cost(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<f64>> {
    let price = non_negative(fields, "gpuHour", diagnostics);
    not_modelled(fields, &["replicaHour", "nodeHour", "currency"], diagnostics);
    price
}

/// `analysis`.
pub(super) fn analysis(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<Option<SimDuration>>> {
    let node = fields.node("flapWindow")?;
    if node.as_str() == Some("auto") {
        return Some(Located::new(None, node.span.clone()));
    }
    positive_duration(fields, "flapWindow", diagnostics).map(|given| given.map(Some))
}

/// `gates`: the limits, and `confidence`.
pub(super) fn gates(
    fields: &mut Fields<'_>,
    diagnostics: &mut Diagnostics,
) -> (Vec<Located<GateLimit>>, Option<Located<f64>>) {
    let mut gates = Vec::new();
    for name in GATE_NAMES {
        let Some(given) = non_negative(fields, name, diagnostics) else { continue };
        if name == "sloAttainment" && given.value > 1.0 {
            let message = format!("found {}, expected a share from 0 to 1", given.value);
            diagnostics.push(Diagnostic::error(given.span, fields.path_of(name), message));
            continue;
        }
        gates.push(given.map(|limit| GateLimit { name: name.to_owned(), limit }));
    }
    not_modelled(fields, &["ttft", "tpot", "e2e", "cost", "wastedGpuHours"], diagnostics);
    // Positions decide the order of the verdict: as written, not as asked for above.
    gates.sort_by_key(|gate: &Located<GateLimit>| (gate.span.line, gate.span.column));
    let confidence = non_negative(fields, "confidence", diagnostics).filter(|given| {
        let valid = (0.5..=0.999).contains(&given.value);
        if !valid {
            let message = format!("found {}, expected a level from 0.5 to 0.999, for example 0.95", given.value);
            diagnostics.push(Diagnostic::error(given.span.clone(), fields.path_of("confidence"), message));
        }
        valid
    });
    (gates, confidence)
}

/// A version given as a string.
fn version<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    example: &str,
    parse: fn(&[u32]) -> Result<T, &'static str>,
    diagnostics: &mut Diagnostics,
) -> Option<Located<T>> {
    let given = fields.string(key, diagnostics)?;
    let text = given.value.strip_prefix('v').unwrap_or(&given.value);
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    let parsed = match &numbers {
        Ok(numbers) if numbers.len() <= 3 => parse(numbers),
        _ => Err("expected numbers with dots"),
    };
    match parsed {
        Ok(value) => Some(Located::new(value, given.span)),
        Err(why) => {
            let message = format!("found {:?}, {why}, for example {example:?}", given.value);
            diagnostics.push(Diagnostic::error(given.span, fields.path_of(key), message));
            None
        }
    }
}

/// The (major, minor) of a vLLM release that is modelled, from its numbers.
///
/// # Errors
/// A fragment that says which are.
pub fn vllm_version(numbers: &[u32]) -> Result<(u32, u32), &'static str> {
    match numbers {
        [0, minor @ 8..=33, ..] => Ok((0, *minor)),
        [major, minor, ..] if (*major, *minor) > (0, 33) => {
            Err("expected 0.8 to 0.33 (later engines are not modelled yet)")
        }
        [_, _, ..] => Err("expected 0.8 or later (the V1 engine; earlier ones are not modelled)"),
        _ => Err("expected a version with major and minor"),
    }
}

fn prometheus_version(numbers: &[u32]) -> Result<PrometheusVersion, &'static str> {
    match numbers {
        // "3" alone is the newest one.
        [3, 0..=8, ..] => Ok(PrometheusVersion::V3_5),
        [3, 9..=13, ..] => Ok(PrometheusVersion::V3_9),
        [3, ..] => Ok(PrometheusVersion::V3),
        [2, 0..=50, ..] => Ok(PrometheusVersion::V2_42),
        [2, 51..=54, ..] => Ok(PrometheusVersion::V2_51),
        [2, _, ..] => Ok(PrometheusVersion::V2_55),
        _ => Err("expected version 2 (with a minor, such as 2.55) or 3"),
    }
}

fn keda_version(numbers: &[u32]) -> Result<KedaVersion, &'static str> {
    match numbers {
        [2, minor, rest @ ..] => Ok(KedaVersion { major: 2, minor: *minor, patch: rest.first().copied().unwrap_or(0) }),
        _ => Err("expected a version of KEDA 2"),
    }
}

fn kubernetes_version(numbers: &[u32]) -> Result<KubernetesVersion, &'static str> {
    match numbers {
        [1, 23..=32, ..] => Ok(KubernetesVersion::V1_32),
        [1, 33, ..] => Ok(KubernetesVersion::V1_33),
        [1, 34, ..] => Ok(KubernetesVersion::V1_34),
        [1, 35, ..] => Ok(KubernetesVersion::V1_35),
        [1, 36, ..] => Ok(KubernetesVersion::V1_36),
        _ => Err("expected 1.23 to 1.36"),
    }
}

/// A duration in seconds as a plain number or a Go duration, as vLLM's and Kubernetes' flags have them.
pub(super) fn seconds_or_duration(text: &str) -> Option<SimDuration> {
    match text.parse::<u32>() {
        Ok(seconds) => Some(SimDuration::from_secs(u64::from(seconds))),
        Err(_) => parse_go_duration(text).ok(),
    }
}

//! What a server exposes, by vLLM's version: names, types, labels and buckets (vllm.md section 4).
//!
//! Source: `vllm/v1/metrics/loggers.py`, `PrometheusStatLogger`, first release of each minor from 0.8 to 0.33
//! (`tests/golden/vllm/exposition.jsonl` is the table this is held to), for a default `vllm serve`: all features off. With it
//! the client library's `_created` gauges, the HTTP middleware's series and `process_start_time_seconds`.

use crate::replica::EngineConfig;
use crate::replica::http_metrics;
use crate::series::{Exposition, Labels, MetricKind, SeriesDef};
use crate::units::SimDuration;

/// What is counted in histograms; a family's number is its place in [`BOUNDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    TimeToFirstToken,
    InterToken,
    RequestTimePerOutputToken,
    EndToEnd,
    Queue,
    Prefill,
    Decode,
    Inference,
    IterationTokens,
    PromptTokens,
    GenerationTokens,
    MaxTokens,
    Preemptions,
    KvComputed,
}

impl Family {
    /// Those that have a sample per finished request.
    pub(super) const OF_FINISHED: [Family; 11] = [
        Family::RequestTimePerOutputToken,
        Family::EndToEnd,
        Family::Queue,
        Family::Prefill,
        Family::Decode,
        Family::Inference,
        Family::PromptTokens,
        Family::GenerationTokens,
        Family::MaxTokens,
        Family::Preemptions,
        Family::KvComputed,
    ];
}

/// Upper bounds of a family's buckets.
pub(super) enum Bounds {
    Seconds(&'static [f64]),
    Tokens(&'static [u64]),
    /// 1, 2, 5 times powers of ten up to `max_model_len` (`build_1_2_5_buckets`).
    UpToModelLength,
}

const TTFT: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
const PER_TOKEN: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const PER_REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
const ITERATION: &[u64] = &[1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

const PREEMPTIONS: &[u64] = &[1, 2, 3, 4, 5, 10, 20];
/// Bounds of `request_params_n`, whose samples are all 1: requests ask for one completion here.
pub(super) const COMPLETIONS: &[u64] = &[1, 2, 5, 10, 20];

pub(super) const BOUNDS: [Bounds; 14] = [
    Bounds::Seconds(TTFT),
    Bounds::Seconds(PER_TOKEN),
    Bounds::Seconds(PER_TOKEN),
    Bounds::Seconds(PER_REQUEST),
    Bounds::Seconds(PER_REQUEST),
    Bounds::Seconds(PER_REQUEST),
    Bounds::Seconds(PER_REQUEST),
    Bounds::Seconds(PER_REQUEST),
    Bounds::Tokens(ITERATION),
    Bounds::UpToModelLength,
    Bounds::UpToModelLength,
    Bounds::UpToModelLength,
    Bounds::Tokens(PREEMPTIONS),
    Bounds::UpToModelLength,
];

/// Where a metric's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Running,
    Waiting,
    KvUsage,
    PromptTokens,
    GenerationTokens,
    Preempted,
    PrefixQueries,
    PrefixHits,
    /// Of [`Source::PromptTokens`], those found in the cache, and the others.
    CachedTokens,
    ComputedTokens,
    Stopped,
    CutByLength,
    /// What never happens here.
    Zero,
    One,
    /// 1, with the cache's sizes as labels.
    CacheConfig,
    Samples(Family),
    /// One sample of 1 per finished request.
    Completions,
}

/// vLLM's version as (major, minor).
type Version = (u32, u32);
const ALWAYS: Version = (0, 0);
const NEVER: Version = (u32::MAX, 0);

/// One metric, or one series of a metric that has a label of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) kind: MetricKind,
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    pub(super) source: Source,
    /// Whether it has the label `engine`.
    of_engine: bool,
    since: Version,
    /// From here on only shown on request (`--show-hidden-metrics-for-version`).
    hidden: Version,
    /// From here on not there at all.
    gone: Version,
}

const fn gauge(name: &'static str, source: Source) -> Metric {
    let (kind, label, of_engine) = (MetricKind::Gauge, None, true);
    Metric { kind, name, label, source, of_engine, since: ALWAYS, hidden: NEVER, gone: NEVER }
}
const fn counter(name: &'static str, source: Source) -> Metric {
    Metric { kind: MetricKind::Counter, ..gauge(name, source) }
}
const fn histogram(name: &'static str, source: Source) -> Metric {
    Metric { kind: MetricKind::Histogram, ..gauge(name, source) }
}
const fn samples(name: &'static str, family: Family) -> Metric {
    histogram(name, Source::Samples(family))
}
const fn finished(reason: &'static str, source: Source) -> Metric {
    counter("vllm:request_success_total", source).label("finished_reason", reason)
}
const fn by_source(source: &'static str, value: Source) -> Metric {
    counter("vllm:prompt_tokens_by_source_total", value).label("source", source).since(16)
}
const fn cached_by(source: &'static str, value: Source) -> Metric {
    counter("vllm:prompt_tokens_cached_by_source_total", value).label("source", source).since(32)
}
const fn rejections(reason: &'static str) -> Metric {
    counter("vllm:admission_rejections_total", Source::Zero).label("reason", reason).of_server().since(32)
}

impl Metric {
    const fn label(self, name: &'static str, value: &'static str) -> Self {
        Metric { label: Some((name, value)), ..self }
    }
    const fn of_server(self) -> Self {
        Metric { of_engine: false, ..self }
    }
    const fn since(self, minor: u32) -> Self {
        Metric { since: (0, minor), ..self }
    }
    const fn until(self, hidden: u32, gone: u32) -> Self {
        Metric { hidden: (0, hidden), gone: (0, gone), ..self }
    }
    /// Whether an engine of this version shows it (vllm/config `show_hidden_metrics`: what the version before still had).
    fn is_shown(&self, config: &EngineConfig) -> bool {
        let (version, (major, minor)) = (config.vllm_version, config.vllm_version);
        let on_request = config.show_hidden_metrics.is_some_and(|shown| (shown.0, shown.1 + 1) == (major, minor));
        let in_version = self.since <= version && version < self.gone && (version < self.hidden || on_request);
        config.log_stats && in_version
    }
}

/// All metrics in the order of exposition. Minors are those of the table: 0.15, which has no source distribution, is taken to
/// have what 0.14 has, without what was hidden there.
const METRICS: [Metric; 58] = [
    // Counted with `--enable-mfu-metrics` only, shown always.
    counter("vllm:estimated_flops_per_gpu_total", Source::Zero).since(17),
    counter("vllm:estimated_read_bytes_per_gpu_total", Source::Zero).since(17),
    counter("vllm:estimated_write_bytes_per_gpu_total", Source::Zero).since(17),
    gauge("vllm:num_requests_running", Source::Running),
    gauge("vllm:num_requests_waiting", Source::Waiting),
    // Nothing is deferred here: no request waits for a connector, a grammar or a LoRA slot.
    gauge("vllm:num_requests_waiting_by_reason", Source::Waiting).label("reason", "capacity").since(20),
    gauge("vllm:num_requests_waiting_by_reason", Source::Zero).label("reason", "deferred").since(20),
    gauge("vllm:engine_sleep_state", Source::One).label("sleep_state", "awake").since(12),
    gauge("vllm:engine_sleep_state", Source::Zero).label("sleep_state", "weights_offloaded").since(12),
    gauge("vllm:engine_sleep_state", Source::Zero).label("sleep_state", "discard_all").since(12),
    gauge("vllm:kv_cache_usage_perc", Source::KvUsage).since(10),
    gauge("vllm:gpu_cache_usage_perc", Source::KvUsage).until(11, 12),
    counter("vllm:prompt_tokens_total", Source::PromptTokens),
    by_source("local_compute", Source::ComputedTokens),
    by_source("local_cache_hit", Source::CachedTokens),
    by_source("external_kv_transfer", Source::Zero),
    counter("vllm:prompt_tokens_cached_total", Source::CachedTokens).since(16),
    counter("vllm:prompt_tokens_recomputed_total", Source::Zero).since(16).until(20, 20),
    cached_by("device", Source::CachedTokens),
    cached_by("host", Source::Zero),
    cached_by("p2p", Source::Zero),
    cached_by("disk", Source::Zero),
    cached_by("external_unspecified", Source::Zero),
    counter("vllm:generation_tokens_total", Source::GenerationTokens),
    counter("vllm:num_preemptions_total", Source::Preempted),
    counter("vllm:prefix_cache_queries_total", Source::PrefixQueries).since(10),
    counter("vllm:prefix_cache_hits_total", Source::PrefixHits).since(10),
    counter("vllm:gpu_prefix_cache_queries_total", Source::PrefixQueries).until(11, 12),
    counter("vllm:gpu_prefix_cache_hits_total", Source::PrefixHits).until(11, 12),
    // No connector and no images here, no limit on the queue.
    counter("vllm:external_prefix_cache_queries_total", Source::Zero).since(12),
    counter("vllm:external_prefix_cache_hits_total", Source::Zero).since(12),
    counter("vllm:mm_cache_queries_total", Source::Zero).since(12),
    counter("vllm:mm_cache_hits_total", Source::Zero).since(12),
    rejections("max_num_queued_reqs"),
    rejections("max_num_queued_tokens"),
    // Client aborts are dropped before statistics are taken.
    finished("stop", Source::Stopped),
    finished("length", Source::CutByLength),
    finished("abort", Source::Zero),
    finished("error", Source::Zero).since(13),
    finished("repetition", Source::Zero).since(17),
    samples("vllm:time_to_first_token_seconds", Family::TimeToFirstToken),
    samples("vllm:inter_token_latency_seconds", Family::InterToken).since(11),
    // The old name of the same samples.
    samples("vllm:time_per_output_token_seconds", Family::InterToken).until(12, 15),
    samples("vllm:request_time_per_output_token_seconds", Family::RequestTimePerOutputToken).since(11),
    samples("vllm:e2e_request_latency_seconds", Family::EndToEnd),
    samples("vllm:request_queue_time_seconds", Family::Queue),
    samples("vllm:request_prefill_time_seconds", Family::Prefill),
    samples("vllm:request_decode_time_seconds", Family::Decode),
    samples("vllm:request_inference_time_seconds", Family::Inference),
    samples("vllm:iteration_tokens_total", Family::IterationTokens),
    samples("vllm:request_prompt_tokens", Family::PromptTokens),
    samples("vllm:request_generation_tokens", Family::GenerationTokens),
    // Of one completion per request the longest is the only one.
    samples("vllm:request_max_num_generation_tokens", Family::GenerationTokens),
    histogram("vllm:request_params_n", Source::Completions),
    samples("vllm:request_params_max_tokens", Family::MaxTokens),
    samples("vllm:request_prefill_kv_computed_tokens", Family::KvComputed).since(13),
    samples("vllm:request_num_preemptions", Family::Preemptions).since(30),
    gauge("vllm:cache_config_info", Source::CacheConfig),
];

/// The metrics that an engine with this configuration shows, in order.
pub(super) fn shown(config: &EngineConfig) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.is_shown(config))
}

/// The layout of `/metrics` of a server with this configuration.
pub fn exposition(config: &EngineConfig) -> Exposition {
    let mut series = Vec::new();
    let model = ("model_name", config.model_name.as_str());
    for metric in shown(config) {
        let mut labels = vec![model];
        labels.extend(metric.of_engine.then_some(("engine", "0")));
        labels.extend(metric.label);
        let mut add = |kind: MetricKind, name: &str, extra: Option<(&str, &str)>| {
            let own = [("__name__", name)].into_iter().chain(labels.iter().copied()).chain(extra);
            series.push(SeriesDef { labels: Labels::from_pairs(own), kind });
        };
        let Metric { kind, name, source, .. } = *metric;
        let bounds = match source {
            Source::Samples(family) => &BOUNDS[family as usize],
            Source::Completions => &Bounds::Tokens(COMPLETIONS),
            Source::CacheConfig => {
                series.push(cache_config(config, name));
                continue;
            }
            _ => {
                add(kind, name, None);
                if kind == MetricKind::Counter {
                    add(MetricKind::Gauge, &format!("{}_created", name.trim_end_matches("_total")), None);
                }
                continue;
            }
        };
        let bucket = format!("{name}_bucket");
        for le in bound_texts(bounds, config.max_model_len) {
            add(kind, &bucket, Some(("le", &le)));
        }
        add(kind, &bucket, Some(("le", "+Inf")));
        add(kind, &format!("{name}_sum"), None);
        add(kind, &format!("{name}_count"), None);
        add(MetricKind::Gauge, &format!("{name}_created"), None);
    }
    if config.http_metrics {
        series.extend(http_metrics::series());
    }
    let process_start = Labels::from_pairs([("__name__", "process_start_time_seconds")]);
    series.push(SeriesDef { labels: process_start, kind: MetricKind::Gauge });
    Exposition { series }
}

/// Why the replicas do not expose a series that vLLM servers are known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    /// The reason.
    pub why: &'static str,
    /// Whether a real replica has it, so that only the simulated one lacks it.
    pub real_has_it: bool,
}

/// A metric of vLLM's, as its releases from 0.8 to 0.33 register it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownMetric {
    /// Its name; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// The first release that has it, (0, 0) when it was always there.
    pub since: (u32, u32),
    /// The first release that no longer shows it by default; `None` when all do.
    pub until: Option<(u32, u32)>,
    /// Of a histogram of seconds the highest finite bound.
    pub top_seconds: Option<f64>,
}

/// Every metric of the table, a name once.
pub fn known_metrics() -> impl Iterator<Item = KnownMetric> {
    let first = |(index, metric): &(usize, &Metric)| METRICS[..*index].iter().all(|other| other.name != metric.name);
    METRICS.iter().enumerate().filter(first).map(|(_, metric)| {
        let top_seconds = match metric.source {
            Source::Samples(family) => match &BOUNDS[family as usize] {
                Bounds::Seconds(bounds) => bounds.last().copied(),
                Bounds::Tokens(_) | Bounds::UpToModelLength => None,
            },
            _ => None,
        };
        let end = metric.hidden.min(metric.gone);
        let until = (end != NEVER).then_some(end);
        KnownMetric { name: metric.name, kind: metric.kind, since: metric.since, until, top_seconds }
    })
}

/// Whether `name` begins as the metrics do that a server has with a feature only (speculative decoding, LoRA, ...).
pub fn is_of_a_feature(name: &str) -> bool {
    OF_FEATURES.iter().any(|family| name.starts_with(family))
}

/// Series of prometheus_client's process, platform and garbage collectors.
const OF_PROCESS: [&str; 9] = [
    "process_virtual_memory_bytes",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "python_info",
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_gc_collections_total",
];
/// Beginnings of families that are there with a feature only.
const OF_FEATURES: [&str; 7] = [
    "vllm:spec_decode_",
    "vllm:lora_requests_info",
    "vllm:kv_block_",
    "vllm:corrupted_requests",
    "vllm:watermark_requests",
    "vllm:websocket_",
    "vllm:num_requests_kv_fetch_by_stage",
];

/// Why `name` is not in the [`exposition`] of this configuration; `None` when it is, or when no vLLM server has it.
pub fn absence(config: &EngineConfig, name: &str) -> Option<Absence> {
    let simulated = |why| Some(Absence { why, real_has_it: true });
    let really = |why| Some(Absence { why, real_has_it: false });
    let has = |config: &EngineConfig| exposition(config).series.iter().any(|one| one.labels.metric_name() == name);
    if has(config) {
        return None;
    }
    if OF_PROCESS.contains(&name) {
        return simulated("the process' memory, files and garbage collection are not modelled");
    }
    if name.starts_with("http_") {
        if !config.http_metrics {
            return really("KServe's huggingfaceserver has no HTTP middleware that counts requests");
        }
        let sums = ["http_request_size_bytes_sum", "http_response_size_bytes_sum"];
        return sums.contains(&name).then_some(()).and_then(|()| simulated("sizes in bytes are not simulated"));
    }
    if is_of_a_feature(name) {
        return really("it is there only with a feature that is off here");
    }
    let with_stats = |vllm_version| EngineConfig { log_stats: true, vllm_version, ..config.clone() };
    if !config.log_stats && has(&with_stats(config.vllm_version)) {
        return really("--disable-log-stats removes all vllm: metrics");
    }
    if (8..=33).any(|minor| has(&with_stats((0, minor)))) {
        return really("this version of vLLM does not have it, another has");
    }
    None
}

/// The cache's configuration as labels: those of them that are known here. It has no `model_name`, and no `engine` up to 0.8.
fn cache_config(config: &EngineConfig, name: &str) -> SeriesDef {
    // `num_gpu_blocks` counts the null block.
    let blocks = (u64::from(config.kv_blocks) + 1).to_string();
    let block_size = config.block_size.to_string();
    let own = [("__name__", name), ("block_size", &block_size), ("num_gpu_blocks", &blocks)];
    let engine = (config.vllm_version >= (0, 9)).then_some(("engine", "0"));
    SeriesDef { labels: Labels::from_pairs(own.into_iter().chain(engine)), kind: MetricKind::Gauge }
}

/// The `le` values as the Python client prints them.
fn bound_texts(bounds: &Bounds, max_model_len: u32) -> Vec<String> {
    match bounds {
        Bounds::Seconds(seconds) => seconds.iter().map(|bound| python_float(*bound)).collect(),
        Bounds::Tokens(tokens) => tokens.iter().map(|bound| python_float(*bound as f64)).collect(),
        Bounds::UpToModelLength => {
            one_two_five(max_model_len).iter().map(|bound| python_float(*bound as f64)).collect()
        }
    }
}

/// The bounds as integers: picoseconds or tokens.
pub(super) fn bound_values(bounds: &Bounds, max_model_len: u32) -> Vec<u64> {
    match bounds {
        Bounds::Seconds(seconds) => seconds.iter().map(|bound| SimDuration::from_secs_f64(*bound).as_ps()).collect(),
        Bounds::Tokens(tokens) => tokens.to_vec(),
        Bounds::UpToModelLength => one_two_five(max_model_len),
    }
}

fn one_two_five(limit: u32) -> Vec<u64> {
    (0..10)
        .flat_map(|exponent| [1, 2, 5].map(|mantissa| mantissa * 10u64.pow(exponent)))
        .take_while(|bound| *bound <= u64::from(limit))
        .collect()
}

/// `prometheus_client.utils.floatToGoString` for positive finite values: Python's shortest form, but an exponent from
/// a million on.
pub(super) fn python_float(value: f64) -> String {
    let text = format!("{value:?}");
    match text.find('.') {
        Some(dot) if dot > 6 => {
            let digits = format!("{}.{}{}", &text[..1], &text[1..dot], &text[dot + 1..]);
            format!("{}e+{:02}", digits.trim_end_matches(['0', '.']), dot - 1)
        }
        _ => text,
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;

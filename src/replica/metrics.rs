//! What vLLM exposes, by version: names, types, labels and buckets (vllm.md section 4), and the numbers behind them.
//!
//! Source: `vllm/v1/metrics/loggers.py`, `PrometheusStatLogger`, 0.11 to 0.33. Not here: the client library's `_created`
//! series, process and HTTP metrics, and the families of what is not modelled (sleep, LoRA, speculative decoding,
//! multi-modal and external caches, admission control). Who updates what, and when, is the engine's business.

use crate::replica::EngineConfig;
use crate::replica::run::Run;
use crate::series::{Exposition, Labels, MetricKind, SeriesDef};
use crate::units::SimDuration;
use std::sync::Arc;

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
}

/// Upper bounds of a family's buckets.
enum Bounds {
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
const COMPLETIONS: &[u64] = &[1, 2, 5, 10, 20];

const BOUNDS: [Bounds; 13] = [
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
];

/// Where a metric's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Running,
    Waiting,
    KvUsage,
    PromptTokens,
    GenerationTokens,
    Preempted,
    PrefixQueries,
    Stopped,
    CutByLength,
    /// What never happens here.
    Zero,
    One,
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
struct Metric {
    kind: MetricKind,
    name: &'static str,
    label: Option<(&'static str, &'static str)>,
    source: Source,
    since: Version,
    /// From here on only shown on request (`--show-hidden-metrics-for-version`).
    hidden: Version,
    /// From here on not there at all.
    gone: Version,
}

const fn gauge(name: &'static str, source: Source) -> Metric {
    Metric { kind: MetricKind::Gauge, name, label: None, source, since: ALWAYS, hidden: NEVER, gone: NEVER }
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

impl Metric {
    const fn label(self, name: &'static str, value: &'static str) -> Self {
        Metric { label: Some((name, value)), ..self }
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
        self.since <= version && version < self.gone && (version < self.hidden || on_request)
    }
}

/// All metrics in the order of exposition. The finish reasons `error` and `repetition` are of newer engines, of which none
/// is known exactly; both stay at 0, so all versions have them here.
const METRICS: [Metric; 40] = [
    gauge("vllm:num_requests_running", Source::Running),
    gauge("vllm:num_requests_waiting", Source::Waiting),
    // Nothing is deferred here: no request waits for a connector, a grammar or a LoRA slot.
    gauge("vllm:num_requests_waiting_by_reason", Source::Waiting).label("reason", "capacity").since(20),
    gauge("vllm:num_requests_waiting_by_reason", Source::Zero).label("reason", "deferred").since(20),
    gauge("vllm:kv_cache_usage_perc", Source::KvUsage),
    gauge("vllm:gpu_cache_usage_perc", Source::KvUsage).until(11, 12),
    counter("vllm:prompt_tokens_total", Source::PromptTokens),
    // Prefix caching is not modelled: every prompt is new and computed here.
    counter("vllm:prompt_tokens_by_source_total", Source::PromptTokens).label("source", "local_compute").since(17),
    counter("vllm:prompt_tokens_by_source_total", Source::Zero).label("source", "local_cache_hit").since(17),
    counter("vllm:prompt_tokens_by_source_total", Source::Zero).label("source", "external_kv_transfer").since(17),
    counter("vllm:prompt_tokens_cached_total", Source::Zero).since(17),
    counter("vllm:generation_tokens_total", Source::GenerationTokens),
    counter("vllm:num_preemptions_total", Source::Preempted),
    counter("vllm:prefix_cache_queries_total", Source::PrefixQueries),
    counter("vllm:prefix_cache_hits_total", Source::Zero),
    counter("vllm:gpu_prefix_cache_queries_total", Source::PrefixQueries).until(11, 12),
    counter("vllm:gpu_prefix_cache_hits_total", Source::Zero).until(11, 12),
    // Client aborts are dropped before statistics are taken.
    finished("stop", Source::Stopped),
    finished("length", Source::CutByLength),
    finished("abort", Source::Zero),
    finished("error", Source::Zero),
    finished("repetition", Source::Zero),
    samples("vllm:time_to_first_token_seconds", Family::TimeToFirstToken),
    samples("vllm:inter_token_latency_seconds", Family::InterToken),
    // The old name of the same samples.
    samples("vllm:time_per_output_token_seconds", Family::InterToken).until(12, 15),
    samples("vllm:request_time_per_output_token_seconds", Family::RequestTimePerOutputToken),
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
    samples("vllm:request_prefill_kv_computed_tokens", Family::PromptTokens).since(14),
    samples("vllm:request_num_preemptions", Family::Preemptions).since(33),
    gauge("vllm:cache_config_info", Source::One),
];

fn shown(config: &EngineConfig) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.is_shown(config))
}

/// The layout of `/metrics` of an engine with this configuration.
pub fn exposition(config: &EngineConfig) -> Exposition {
    let mut series = Vec::new();
    let mut add = |kind: MetricKind, name: &str, extra: &[(&str, &str)]| {
        let own = [("__name__", name), ("model_name", config.model_name.as_str()), ("engine", "0")];
        series.push(SeriesDef { labels: Labels::from_pairs(own.iter().chain(extra).copied()), kind });
    };
    // `num_gpu_blocks` counts the null block.
    let blocks = (u64::from(config.kv_blocks) + 1).to_string();
    let block_size = config.block_size.to_string();
    for Metric { kind, name, label, source, .. } in shown(config) {
        let bounds = match source {
            Source::Samples(family) => &BOUNDS[*family as usize],
            Source::Completions => &Bounds::Tokens(COMPLETIONS),
            Source::One => {
                add(*kind, name, &[("block_size", &block_size), ("num_gpu_blocks", &blocks)]);
                continue;
            }
            _ => {
                add(*kind, name, label.as_slice());
                continue;
            }
        };
        let bucket = format!("{name}_bucket");
        for le in bound_texts(bounds, config.max_model_len) {
            add(*kind, &bucket, &[("le", &le)]);
        }
        add(*kind, &bucket, &[("le", "+Inf")]);
        add(*kind, &format!("{name}_sum"), &[]);
        add(*kind, &format!("{name}_count"), &[]);
    }
    Exposition { series }
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
fn bound_values(bounds: &Bounds, max_model_len: u32) -> Vec<u64> {
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
fn python_float(value: f64) -> String {
    let text = format!("{value:?}");
    match text.find('.') {
        Some(dot) if dot > 6 => {
            let digits = format!("{}.{}{}", &text[..1], &text[1..dot], &text[dot + 1..]);
            format!("{}e+{:02}", digits.trim_end_matches(['0', '.']), dot - 1)
        }
        _ => text,
    }
}

/// A histogram over integers (picoseconds or tokens).
#[derive(Clone, Debug)]
struct Histogram {
    bounds: Vec<u64>,
    /// Per bucket, not cumulative; the last is +Inf.
    counts: Vec<u64>,
    /// 64 bits of picoseconds overflow within one saturated day.
    sum: u128,
}

/// The counters and histograms of one engine; gauges are the engine's.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) prompt_tokens: u64,
    pub(crate) generation_tokens: u64,
    pub(crate) preemptions: u64,
    pub(crate) prefix_queries: u64,
    pub(crate) stopped: u64,
    pub(crate) cut_by_length: u64,
    histograms: Vec<Histogram>,
    /// In the order of [`exposition`].
    layout: Arc<[Source]>,
}

/// The gauges as published.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Gauges {
    pub(crate) running: u32,
    pub(crate) waiting: u32,
    pub(crate) used_blocks: u32,
}

impl Metrics {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let histograms = BOUNDS
            .iter()
            .map(|bounds| {
                let bounds = bound_values(bounds, config.max_model_len);
                Histogram { counts: vec![0; bounds.len() + 1], bounds, sum: 0 }
            })
            .collect();
        Metrics {
            prompt_tokens: 0,
            generation_tokens: 0,
            preemptions: 0,
            prefix_queries: 0,
            stopped: 0,
            cut_by_length: 0,
            histograms,
            layout: shown(config).map(|metric| metric.source).collect(),
        }
    }

    /// `times` samples of `value` tokens.
    pub(crate) fn observe(&mut self, family: Family, value: u64, times: u64) {
        let histogram = &mut self.histograms[family as usize];
        let bucket = histogram.bounds.partition_point(|bound| *bound < value);
        histogram.counts[bucket] += times;
        histogram.sum += u128::from(value) * u128::from(times);
    }

    /// `times` samples of a duration.
    pub(crate) fn observe_time(&mut self, family: Family, value: SimDuration, times: u64) {
        self.observe(family, value.as_ps(), times);
    }

    /// The first `steps` steps of a decode-only run in which `decodes` requests emit: one gap and one token of each per
    /// step.
    pub(crate) fn observe_run(&mut self, run: &Run, steps: u64, decodes: u64) {
        if steps == 0 || decodes == 0 {
            return;
        }
        let histogram = &mut self.histograms[Family::InterToken as usize];
        let mut below = 0;
        for (bucket, count) in histogram.counts.iter_mut().enumerate() {
            let up_to = histogram.bounds.get(bucket).map_or(steps, |bound| run.not_longer_than(*bound, steps));
            *count += (up_to - below) * decodes;
            below = up_to;
            if below == steps {
                break;
            }
        }
        histogram.sum += run.sum_ps(steps) * u128::from(decodes);
        self.observe(Family::IterationTokens, decodes, steps);
        self.generation_tokens += steps * decodes;
    }

    /// Fills `row` in the order of [`exposition`]; `run` is the completed part of a run in progress: steps and requests.
    pub(crate) fn write(&self, gauges: Gauges, kv_usage: f64, run: Option<(&Run, u64, u64)>, row: &mut Vec<f64>) {
        row.clear();
        let run = run.filter(|(_, steps, decodes)| steps * decodes > 0);
        let in_run = run.map_or(0, |(_, steps, decodes)| steps * decodes);
        for source in self.layout.iter() {
            row.push(match source {
                Source::Running => f64::from(gauges.running),
                Source::Waiting => f64::from(gauges.waiting),
                Source::KvUsage => kv_usage,
                Source::PromptTokens => self.prompt_tokens as f64,
                Source::GenerationTokens => (self.generation_tokens + in_run) as f64,
                Source::Preempted => self.preemptions as f64,
                Source::PrefixQueries => self.prefix_queries as f64,
                Source::Stopped => self.stopped as f64,
                Source::CutByLength => self.cut_by_length as f64,
                Source::Zero => 0.0,
                Source::One => 1.0,
                Source::Samples(family) => {
                    self.write_samples(*family, run, row);
                    continue;
                }
                Source::Completions => {
                    // Every bucket holds all of them; so do +Inf, the sum and the count.
                    let finished = (self.stopped + self.cut_by_length) as f64;
                    row.extend(std::iter::repeat_n(finished, COMPLETIONS.len() + 3));
                    continue;
                }
            });
        }
    }

    /// The buckets, the sum and the count of a family.
    fn write_samples(&self, family: Family, run: Option<(&Run, u64, u64)>, row: &mut Vec<f64>) {
        let histogram = &self.histograms[family as usize];
        let gaps = run.filter(|_| family == Family::InterToken);
        let iterations = run.filter(|_| family == Family::IterationTokens);
        let mut cumulative = 0u64;
        for (bucket, count) in histogram.counts.iter().enumerate() {
            cumulative += count;
            let bound = histogram.bounds.get(bucket).copied();
            let more = match (gaps, iterations) {
                (Some((run, steps, decodes)), _) => {
                    bound.map_or(steps, |bound| run.not_longer_than(bound, steps)) * decodes
                }
                (_, Some((_, steps, decodes))) if bound.is_none_or(|bound| decodes <= bound) => steps,
                _ => 0,
            };
            row.push((cumulative + more) as f64);
        }
        let (sum, count) = match (gaps, iterations) {
            (Some((run, steps, decodes)), _) => (run.sum_ps(steps) * u128::from(decodes), steps * decodes),
            (_, Some((_, steps, decodes))) => (u128::from(steps * decodes), steps),
            _ => (0, 0),
        };
        let unit = if matches!(BOUNDS[family as usize], Bounds::Seconds(_)) { 1e12 } else { 1.0 };
        row.push((histogram.sum + sum) as f64 / unit);
        row.push((cumulative + count) as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_print_as_the_python_client_does() {
        for (value, text) in [
            (0.001, "0.001"),
            (1.0, "1.0"),
            (7680.0, "7680.0"),
            (500_000.0, "500000.0"),
            (1_000_000.0, "1e+06"),
            (2_000_000.0, "2e+06"),
        ] {
            assert_eq!(python_float(value), text);
        }
    }

    #[test]
    fn token_buckets_end_at_the_model_length() {
        assert_eq!(one_two_five(512), [1, 2, 5, 10, 20, 50, 100, 200, 500]);
        assert_eq!(one_two_five(1000).last(), Some(&1000));
    }

    fn config(minor: u32, shown: Option<(u32, u32)>) -> EngineConfig {
        EngineConfig {
            model_name: "m".to_owned(),
            step_time: crate::replica::StepTime::new(&crate::replica::StepTimeCoefficients {
                t0_ms: 1.0,
                w_ms: 0.0,
                cp_us_per_token: 0.0,
                ca_ns_per_pair: 0.0,
                ck_ns_per_token: 0.0,
                cs_us_per_seq: 0.0,
                knee: 1.0,
            })
            .expect("valid coefficients"),
            request_overhead: SimDuration::ZERO,
            kv_blocks: 100,
            block_size: 16,
            max_num_seqs: 8,
            max_num_batched_tokens: 512,
            max_model_len: 512,
            reserve_full_prompt: true,
            async_scheduling: false,
            vllm_version: (0, minor),
            show_hidden_metrics: shown,
        }
    }

    fn names(minor: u32, shown: Option<(u32, u32)>) -> std::collections::BTreeSet<String> {
        exposition(&config(minor, shown)).series.iter().map(|series| series.labels.metric_name().to_owned()).collect()
    }

    #[test]
    fn renamed_metrics_are_there_in_their_versions_only() {
        let old_tpot = "vllm:time_per_output_token_seconds_bucket";
        let old_usage = "vllm:gpu_cache_usage_perc";
        for (name, minor, shown, expected) in [
            ("vllm:kv_cache_usage_perc", 11, None, true),
            ("vllm:inter_token_latency_seconds_bucket", 11, None, true),
            (old_usage, 11, None, false), // Hidden in 0.11 ...
            (old_usage, 11, Some((0, 10)), true),
            (old_usage, 11, Some((0, 9)), false), // ... and only what the version before still showed comes back.
            (old_usage, 12, Some((0, 11)), false), // Gone in 0.12.
            ("vllm:gpu_prefix_cache_hits_total", 11, Some((0, 10)), true),
            (old_tpot, 11, None, true),
            (old_tpot, 12, None, false),
            (old_tpot, 12, Some((0, 11)), true),
            (old_tpot, 14, Some((0, 13)), true),
            (old_tpot, 15, Some((0, 14)), false),
            ("vllm:request_prefill_kv_computed_tokens_sum", 13, None, false),
            ("vllm:request_prefill_kv_computed_tokens_sum", 14, None, true),
            ("vllm:prompt_tokens_by_source_total", 16, None, false),
            ("vllm:prompt_tokens_by_source_total", 17, None, true),
            ("vllm:num_requests_waiting_by_reason", 19, None, false),
            ("vllm:num_requests_waiting_by_reason", 20, None, true),
            ("vllm:request_num_preemptions_count", 32, None, false),
            ("vllm:request_num_preemptions_count", 33, None, true),
        ] {
            assert_eq!(names(minor, shown).contains(name), expected, "{name} in 0.{minor}, shown {shown:?}");
        }
    }

    #[test]
    fn every_version_fills_the_row_that_it_lays_out() {
        for minor in 11..=33 {
            for shown in [None, Some((0, minor - 1))] {
                let config = config(minor, shown);
                let layout = exposition(&config).series;
                let mut row = Vec::new();
                let mut metrics = Metrics::new(&config);
                metrics.stopped = 3;
                metrics.write(Gauges { running: 1, waiting: 2, used_blocks: 0 }, 0.5, None, &mut row);
                assert_eq!(row.len(), layout.len(), "0.{minor}");
                let value = |name: &str| {
                    let place = layout.iter().position(|series| series.labels.metric_name() == name);
                    row[place.unwrap_or_else(|| panic!("{name} is in 0.{minor}"))]
                };
                assert_eq!(
                    ["vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:cache_config_info"].map(value),
                    [2.0, 0.5, 1.0]
                );
                assert_eq!(["bucket", "sum", "count"].map(|s| value(&format!("vllm:request_params_n_{s}"))), [3.0; 3]);
            }
        }
    }

    #[test]
    fn every_family_has_its_bounds() {
        let buckets = |name: &str| {
            let wanted = format!("{name}_bucket");
            let series = exposition(&config(33, None)).series;
            series.iter().filter(|one| one.labels.metric_name() == wanted).count()
        };
        for (name, count) in [
            ("vllm:time_to_first_token_seconds", 23),
            ("vllm:inter_token_latency_seconds", 20),
            ("vllm:request_time_per_output_token_seconds", 20),
            ("vllm:e2e_request_latency_seconds", 22),
            ("vllm:iteration_tokens_total", 14),
            ("vllm:request_params_max_tokens", 10), // 1 to 500, and +Inf.
            ("vllm:request_params_n", 6),
            ("vllm:request_num_preemptions", 8),
        ] {
            assert_eq!(buckets(name), count, "{name}");
        }
    }
}

//! What vLLM exposes: names, types, labels and buckets (vllm.md section 4), and the numbers behind them.
//!
//! Version 0.33 (`vllm/v1/metrics/loggers.py`, `PrometheusStatLogger`). Not here: the client library's `_created` series,
//! process and HTTP metrics, and the `request_params_*` family, which depends on what clients ask for. Who updates what,
//! and when, is the engine's business.

use crate::replica::EngineConfig;
use crate::replica::run::Run;
use crate::series::{Exposition, Labels, MetricKind, SeriesDef};
use crate::units::SimDuration;

/// The histogram families, in exposition order; a family's number is its place in [`FAMILIES`].
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

const FAMILIES: [(&str, Bounds); 11] = [
    ("vllm:time_to_first_token_seconds", Bounds::Seconds(TTFT)),
    ("vllm:inter_token_latency_seconds", Bounds::Seconds(PER_TOKEN)),
    ("vllm:request_time_per_output_token_seconds", Bounds::Seconds(PER_TOKEN)),
    ("vllm:e2e_request_latency_seconds", Bounds::Seconds(PER_REQUEST)),
    ("vllm:request_queue_time_seconds", Bounds::Seconds(PER_REQUEST)),
    ("vllm:request_prefill_time_seconds", Bounds::Seconds(PER_REQUEST)),
    ("vllm:request_decode_time_seconds", Bounds::Seconds(PER_REQUEST)),
    ("vllm:request_inference_time_seconds", Bounds::Seconds(PER_REQUEST)),
    ("vllm:iteration_tokens_total", Bounds::Tokens(ITERATION)),
    ("vllm:request_prompt_tokens", Bounds::UpToModelLength),
    ("vllm:request_generation_tokens", Bounds::UpToModelLength),
];

/// Values of `finished_reason`; only the first two move here. Client aborts are dropped before statistics are taken.
const FINISHED_REASONS: [&str; 5] = ["stop", "length", "abort", "error", "repetition"];

/// The layout of `/metrics` of an engine with this configuration.
pub fn exposition(config: &EngineConfig) -> Exposition {
    let mut series = Vec::new();
    let mut add = |kind: MetricKind, name: &str, extra: &[(&str, &str)]| {
        let own = [("__name__", name), ("model_name", config.model_name.as_str()), ("engine", "0")];
        series.push(SeriesDef { labels: Labels::from_pairs(own.iter().chain(extra).copied()), kind });
    };
    for name in ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"] {
        add(MetricKind::Gauge, name, &[]);
    }
    for name in [
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
        "vllm:num_preemptions_total",
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total",
    ] {
        add(MetricKind::Counter, name, &[]);
    }
    for reason in FINISHED_REASONS {
        add(MetricKind::Counter, "vllm:request_success_total", &[("finished_reason", reason)]);
    }
    for (name, bounds) in &FAMILIES {
        let bucket = format!("{name}_bucket");
        for le in bound_texts(bounds, config.max_model_len) {
            add(MetricKind::Histogram, &bucket, &[("le", &le)]);
        }
        add(MetricKind::Histogram, &bucket, &[("le", "+Inf")]);
        add(MetricKind::Histogram, &format!("{name}_sum"), &[]);
        add(MetricKind::Histogram, &format!("{name}_count"), &[]);
    }
    // `num_gpu_blocks` counts the null block.
    let blocks = (u64::from(config.kv_blocks) + 1).to_string();
    let block_size = config.block_size.to_string();
    add(MetricKind::Gauge, "vllm:cache_config_info", &[("block_size", &block_size), ("num_gpu_blocks", &blocks)]);
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
        let histograms = FAMILIES
            .iter()
            .map(|(_, bounds)| {
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
        row.extend([f64::from(gauges.running), f64::from(gauges.waiting), kv_usage]);
        let run = run.filter(|(_, steps, decodes)| steps * decodes > 0);
        let in_run = run.map_or(0, |(_, steps, decodes)| steps * decodes);
        // Prefix caching is not modelled: every prompt is new, so no token is ever a hit.
        let hits = 0;
        let tokens = self.generation_tokens + in_run;
        row.extend([self.prompt_tokens, tokens, self.preemptions, self.prefix_queries, hits].map(|v| v as f64));
        row.extend([self.stopped, self.cut_by_length, 0, 0, 0].map(|v| v as f64));
        for (family, (histogram, (_, bounds))) in self.histograms.iter().zip(&FAMILIES).enumerate() {
            let gaps = run.filter(|_| family == Family::InterToken as usize);
            let iterations = run.filter(|_| family == Family::IterationTokens as usize);
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
            let unit = if matches!(bounds, Bounds::Seconds(_)) { 1e12 } else { 1.0 };
            row.push((histogram.sum + sum) as f64 / unit);
            row.push((cumulative + count) as f64);
        }
        row.push(1.0);
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
}

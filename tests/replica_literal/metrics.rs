//! Counters, and every histogram sample as it came; buckets are counted at a scrape from the printed `le`.

use kedasim::replica::{EngineConfig, exposition};
use kedasim::series::Exposition;
use kedasim::units::SimDuration;
use std::cell::OnceCell;
use std::collections::HashMap;

/// Histogram families.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
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
    MaxGenerationTokens,
    KvComputed,
    Completions,
    MaxTokens,
    Preemptions,
}

impl Family {
    fn of(name: &str) -> (Family, f64) {
        match name {
            "vllm:time_to_first_token_seconds" => (Family::TimeToFirstToken, 1e12),
            "vllm:inter_token_latency_seconds" | "vllm:time_per_output_token_seconds" => (Family::InterToken, 1e12),
            "vllm:request_time_per_output_token_seconds" => (Family::RequestTimePerOutputToken, 1e12),
            "vllm:e2e_request_latency_seconds" => (Family::EndToEnd, 1e12),
            "vllm:request_queue_time_seconds" => (Family::Queue, 1e12),
            "vllm:request_prefill_time_seconds" => (Family::Prefill, 1e12),
            "vllm:request_decode_time_seconds" => (Family::Decode, 1e12),
            "vllm:request_inference_time_seconds" => (Family::Inference, 1e12),
            "vllm:iteration_tokens_total" => (Family::IterationTokens, 1.0),
            "vllm:request_prompt_tokens" => (Family::PromptTokens, 1.0),
            "vllm:request_generation_tokens" => (Family::GenerationTokens, 1.0),
            "vllm:request_max_num_generation_tokens" => (Family::MaxGenerationTokens, 1.0),
            "vllm:request_prefill_kv_computed_tokens" => (Family::KvComputed, 1.0),
            "vllm:request_params_n" => (Family::Completions, 1.0),
            "vllm:request_params_max_tokens" => (Family::MaxTokens, 1.0),
            "vllm:request_num_preemptions" => (Family::Preemptions, 1.0),
            other => panic!("no family {other}"),
        }
    }
}

#[derive(Default)]
pub struct Metrics {
    pub prompt_tokens: u64,
    pub generation_tokens: u64,
    pub preemptions: u64,
    pub prefix_queries: u64,
    pub prefix_hits: u64,
    pub cached_tokens: u64,
    pub stopped: u64,
    pub cut_by_length: u64,
    /// Made at the first scrape.
    layout: OnceCell<Exposition>,
    /// Values in ps or tokens as they came, and how often in a row.
    samples: HashMap<Family, Vec<(u64, u64)>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gauges {
    pub running: u32,
    pub waiting: u32,
    pub used_blocks: u32,
}

impl Metrics {
    pub fn observe(&mut self, family: Family, value: u64, times: u64) {
        let own = self.samples.entry(family).or_default();
        match own.last_mut() {
            Some((last, count)) if *last == value => *count += times,
            _ => own.push((value, times)),
        }
    }

    pub fn observe_time(&mut self, family: Family, value: SimDuration, times: u64) {
        self.observe(family, value.as_ps(), times);
    }

    pub fn write(&self, config: &EngineConfig, gauges: Gauges, kv_usage: f64, row: &mut Vec<f64>) {
        row.clear();
        for def in &self.layout.get_or_init(|| exposition(config)).series {
            let name = def.labels.metric_name();
            if name.ends_with("_created") || name == "process_start_time_seconds" {
                row.push(0.0);
                continue;
            }
            let split =
                ["finished_reason", "reason", "source", "sleep_state"].map(|label| def.labels.get(label)).concat();
            row.push(match (name, split.as_str()) {
                ("vllm:num_requests_running", _) => f64::from(gauges.running),
                ("vllm:num_requests_waiting", _) | ("vllm:num_requests_waiting_by_reason", "capacity") => {
                    f64::from(gauges.waiting)
                }
                ("vllm:kv_cache_usage_perc" | "vllm:gpu_cache_usage_perc", _) => kv_usage,
                ("vllm:prompt_tokens_total", _) => self.prompt_tokens as f64,
                ("vllm:prompt_tokens_by_source_total", "local_compute") => {
                    (self.prompt_tokens - self.cached_tokens) as f64
                }
                ("vllm:prompt_tokens_by_source_total", "local_cache_hit")
                | ("vllm:prompt_tokens_cached_by_source_total", "device")
                | ("vllm:prompt_tokens_cached_total", _) => self.cached_tokens as f64,
                ("vllm:prefix_cache_hits_total" | "vllm:gpu_prefix_cache_hits_total", _) => self.prefix_hits as f64,
                ("vllm:generation_tokens_total", _) => self.generation_tokens as f64,
                ("vllm:num_preemptions_total", _) => self.preemptions as f64,
                ("vllm:prefix_cache_queries_total" | "vllm:gpu_prefix_cache_queries_total", _) => {
                    self.prefix_queries as f64
                }
                ("vllm:request_success_total", "stop") => self.stopped as f64,
                ("vllm:request_success_total", "length") => self.cut_by_length as f64,
                ("vllm:cache_config_info", _) | ("vllm:engine_sleep_state", "awake") => 1.0,
                (
                    "vllm:request_success_total"
                    | "vllm:num_requests_waiting_by_reason"
                    | "vllm:prompt_tokens_by_source_total"
                    | "vllm:prompt_tokens_cached_by_source_total"
                    | "vllm:engine_sleep_state"
                    | "vllm:admission_rejections_total"
                    | "vllm:external_prefix_cache_queries_total"
                    | "vllm:external_prefix_cache_hits_total"
                    | "vllm:mm_cache_queries_total"
                    | "vllm:mm_cache_hits_total"
                    | "vllm:estimated_flops_per_gpu_total"
                    | "vllm:estimated_read_bytes_per_gpu_total"
                    | "vllm:estimated_write_bytes_per_gpu_total",
                    _,
                ) => 0.0,
                _ => self.histogram(name, def.labels.get("le")),
            });
        }
    }

    fn histogram(&self, series: &str, le: &str) -> f64 {
        let (name, kind) = series.rsplit_once('_').expect("a histogram's series has a suffix");
        let (family, unit) = Family::of(name);
        let own = self.samples.get(&family).map_or(&[][..], Vec::as_slice).iter();
        if kind == "sum" {
            let sum: u128 = own.map(|(value, times)| u128::from(*value) * u128::from(*times)).sum();
            return sum as f64 / unit;
        }
        let limit = match le {
            "" | "+Inf" => f64::INFINITY,
            text => text.parse().expect("le is a number"),
        };
        own.filter(|(value, _)| *value as f64 / unit <= limit).map(|(_, times)| *times).sum::<u64>() as f64
    }
}

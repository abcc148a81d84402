//! Engine settings as resolved.

use crate::replica::{Scheduling, StepTime};
use crate::units::SimDuration;

/// Everything one engine needs to run; shared by all replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineConfig {
    /// Served model name: the label `model_name`.
    pub model_name: String,
    /// How long steps take.
    pub step_time: StepTime,
    /// Arrival at the API server to arrival at the engine.
    pub request_overhead: SimDuration,
    /// Usable KV blocks (the null block not counted).
    pub kv_blocks: u32,
    /// Tokens per block.
    pub block_size: u32,
    /// `--max-num-seqs`. vLLM refuses to start when the token budget below is smaller; the engine then runs at most as many
    /// requests as the budget has tokens.
    pub max_num_seqs: u32,
    /// `--max-num-batched-tokens`.
    pub max_num_batched_tokens: u32,
    /// `--max-model-len`: a request stops when prompt + output reach it. vLLM refuses to start when the cache cannot hold
    /// one such request; the engine then stops at the size of the cache.
    pub max_model_len: u32,
    /// Whether admission needs free blocks for the whole prompt (`--scheduler-reserve-full-isl`, the default since vLLM 0.19).
    pub reserve_full_prompt: bool,
    /// Whether a step is scheduled when the one before it starts (async scheduling, vLLM 0.14 and later): later arrivals wait
    /// one more step, and who ends is noticed one schedule late.
    pub async_scheduling: bool,
    /// vLLM's (major, minor): which metrics there are, under which names.
    pub vllm_version: (u32, u32),
    /// `--show-hidden-metrics-for-version`: metrics that this version hides are shown when it names the version before.
    pub show_hidden_metrics: Option<(u32, u32)>,
    /// Whether there are `vllm:` metrics at all: `--disable-log-stats` removes them.
    pub log_stats: bool,
    /// Whether the server has the HTTP middleware of `vllm serve`; KServe's huggingfaceserver has none
    /// (kserve/protocol/rest/server.py).
    pub http_metrics: bool,
    /// The scheduler's other settings.
    pub scheduling: Scheduling,
}

impl EngineConfig {
    /// A replica of `factor` times the capacity: as much faster, with as much more room.
    #[must_use]
    pub fn with_capacity(&self, factor: u32) -> Self {
        EngineConfig {
            step_time: self.step_time.faster(u64::from(factor)),
            kv_blocks: self.kv_blocks.saturating_mul(factor),
            max_num_seqs: self.max_num_seqs.saturating_mul(factor),
            max_num_batched_tokens: self.max_num_batched_tokens.saturating_mul(factor),
            ..self.clone()
        }
    }
}

//! Small configurations.

use kedasim::replica::{EngineConfig, Scheduling, StepTime, StepTimeCoefficients};
use kedasim::units::SimDuration;

/// Nothing takes time but one constant per step.
pub fn constant_step(millis: f64) -> StepTimeCoefficients {
    StepTimeCoefficients {
        t0_ms: millis,
        w_ms: 0.0,
        experts: None,
        cp_us_per_token: 0.0,
        ca_ns_per_pair: 0.0,
        ck_ns_per_token: 0.0,
        cs_us_per_seq: 0.0,
        knee: 1.0,
    }
}

/// Roomy, synchronous, no overhead.
pub fn config(coefficients: &StepTimeCoefficients) -> EngineConfig {
    EngineConfig {
        model_name: "m".to_owned(),
        step_time: StepTime::new(coefficients).expect("valid coefficients"),
        request_overhead: SimDuration::ZERO,
        kv_blocks: 10_000,
        block_size: 16,
        max_num_seqs: 256,
        max_num_batched_tokens: 2048,
        max_model_len: 32_768,
        reserve_full_prompt: true,
        async_scheduling: false,
        vllm_version: (0, 33),
        log_stats: true,
        http_metrics: true,
        show_hidden_metrics: None,
        scheduling: Scheduling::default(),
    }
}

//! Numbers of a model on a GPU.

/// Coefficients of the step-time model (vllm.md 3.1), in the units of `kind: Profile`.
/// `T = t0 + (w^p + (cp n)^p)^(1/p) + ca A + ck K + cs S`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTimeCoefficients {
    /// CPU and launch overhead, ms.
    pub t0_ms: f64,
    /// Memory floor of the linear layers, ms.
    pub w_ms: f64,
    /// Compute slope, microseconds per token scheduled.
    pub cp_us_per_token: f64,
    /// Prefill attention, nanoseconds per (new token x context) pair.
    pub ca_ns_per_pair: f64,
    /// KV-cache reads, nanoseconds per cached token of decoding requests.
    pub ck_ns_per_token: f64,
    /// Microseconds per scheduled request.
    pub cs_us_per_seq: f64,
    /// Knee exponent p; 1 is the plain affine model.
    pub knee: f64,
}

/// A profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name, e.g. `llama-3.1-8b-h100`.
    pub name: String,
    /// Model, e.g. `meta-llama/Llama-3.1-8B-Instruct`.
    pub model: String,
    /// GPU, e.g. `H100-80G`, or `CPU`.
    pub gpu: String,
    /// GPUs per replica (0 on CPU).
    pub gpus: u32,
    /// Step-time coefficients.
    pub step_time: StepTimeCoefficients,
    /// Time before a request reaches the engine (HTTP, tokenise), ms.
    pub request_overhead_ms: f64,
    /// KV cache capacity in tokens.
    pub kv_tokens: u64,
    /// `--max-num-seqs` default on this hardware.
    pub max_num_seqs: u32,
    /// `--max-num-batched-tokens` default on this hardware.
    pub max_num_batched_tokens: u32,
    /// `max_model_len` of the model.
    pub max_model_len: u32,
    /// Where the numbers come from.
    pub source: String,
    /// Their stated error.
    pub error: String,
}

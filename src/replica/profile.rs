//! Numbers of a model on a GPU.

use crate::replica::kv_capacity::{DoesNotFit, KvMemory, KvSettings};

/// How the numbers of a profile came about, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileKind {
    /// Sums of operators measured on the GPU with vLLM's kernels (vllm.md 3.2).
    Kernels,
    /// Fitted end to end to measured runs of a server (vllm.md 3.3, 3.5).
    Fitted,
    /// Computed from the model's architecture and the GPU's data sheet, not measured (vllm.md 3.4).
    Estimate,
    /// Its author does not say.
    Own,
}

impl ProfileKind {
    /// All, best first.
    pub const ALL: [ProfileKind; 4] =
        [ProfileKind::Kernels, ProfileKind::Fitted, ProfileKind::Estimate, ProfileKind::Own];

    /// The word for it in `kind: Profile`.
    pub fn word(self) -> &'static str {
        match self {
            ProfileKind::Kernels => "kernels",
            ProfileKind::Fitted => "fitted",
            ProfileKind::Estimate => "estimate",
            ProfileKind::Own => "own",
        }
    }
}

/// Weights of a mixture of experts: a step reads those experts that its tokens touch, so the memory floor grows with the
/// tokens: `w + wExperts (1 - (1 - k/E)^n)`, the expected share when every token picks k of E experts (vllm.md 3.1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpertWeights {
    /// Memory floor of all experts together, ms.
    pub w_ms: f64,
    /// Experts per layer, E.
    pub count: u32,
    /// Experts that one token passes through, k.
    pub per_token: u32,
}

/// Coefficients of the step-time model (vllm.md 3.1), in the units of `kind: Profile`.
///
/// `T = t0 + (w^p + (cp n)^p)^(1/p) + ca A + ck K + cs S`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepTimeCoefficients {
    /// CPU and launch overhead, ms.
    pub t0_ms: f64,
    /// Memory floor of the linear layers (without those of experts), ms.
    pub w_ms: f64,
    /// The experts' part of the memory floor; `None` for a dense model.
    pub experts: Option<ExpertWeights>,
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
    /// GPUs per replica (0 on CPU), the tensor parallel size.
    pub gpus: u32,
    /// How the numbers came about.
    pub kind: ProfileKind,
    /// Step-time coefficients.
    pub step_time: StepTimeCoefficients,
    /// Time before a request reaches the engine (HTTP, tokenise), ms.
    pub request_overhead_ms: f64,
    /// KV cache capacity in tokens: given, or what follows from `memory` with the defaults of the newest vLLM.
    pub kv_tokens: u64,
    /// What the capacity follows from under other settings; `None` when it was given outright.
    pub memory: Option<KvMemory>,
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

impl Profile {
    /// KV cache capacity in tokens (whole blocks of 16) with the defaults of the newest vLLM.
    ///
    /// # Errors
    /// The memory that is left does not hold one block.
    pub fn default_kv_tokens(
        memory: &KvMemory,
        gpus: u32,
        step_time: &StepTimeCoefficients,
        max_num_batched_tokens: u32,
    ) -> Result<u64, DoesNotFit> {
        let settings = KvSettings::newest(is_large(gpus, step_time), max_num_batched_tokens);
        Ok(memory.blocks(&settings)? * u64::from(settings.block_size))
    }

    /// Whether more memory goes to other things than the cache: above 4 GPUs, or with experts (vllm.md 2.2).
    pub fn is_large(&self) -> bool {
        is_large(self.gpus, &self.step_time)
    }
}

fn is_large(gpus: u32, step_time: &StepTimeCoefficients) -> bool {
    gpus > 4 || step_time.experts.is_some()
}

//! What all makers of profiles share: names, and the length of a request that fits.

use crate::replica::Gpu;

/// `llama-3.1-70b-h100-tp4`.
pub(crate) fn profile_name(model: &str, gpu: &Gpu, tensor_parallel: u32) -> String {
    let suffix = if tensor_parallel > 1 { format!("-tp{tensor_parallel}") } else { String::new() };
    format!("{model}-{}{suffix}", gpu.short)
}

/// The model's own limit, or the largest power of two that the cache holds: vLLM refuses to start when one request of
/// `max_model_len` does not fit, so an operator has to lower it (Llama-3.1-70B on four L40S).
pub(crate) fn fitting_length(of_model: u32, kv_tokens: u64) -> u32 {
    // One block of the cache is the null block.
    let fits = u32::try_from(kv_tokens.saturating_sub(16)).unwrap_or(u32::MAX).max(1);
    if fits >= of_model { of_model } else { 1 << fits.ilog2() }
}

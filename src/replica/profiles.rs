//! The built-in profiles, each with its source and stated error.
//!
//! Dense rows of vllm.md 3.2 with its additions (t0 0.3 ms for async scheduling, 5 us of CPU work per request, 10 ms
//! before the engine), and the CPU demo of 3.5. Mixture-of-experts rows are left out: the weight term they need depends on
//! how many experts a batch touches.

use crate::replica::{Profile, StepTimeCoefficients};

const BLOCK_TOKENS: u64 = 16;
const GIB: f64 = 1_073_741_824.0;

/// A model as far as the KV cache is concerned (vllm.md 2.3).
struct Model {
    short: &'static str,
    name: &'static str,
    /// All GPUs together.
    kv_bytes_per_token: f64,
    /// All GPUs together.
    weights_gib: f64,
    max_model_len: u32,
}

/// A GPU and the engine's defaults on it (vllm.md 1.2, 2.1).
struct Gpu {
    short: &'static str,
    name: &'static str,
    /// As torch sees it.
    memory_gib: f64,
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
}

const LLAMA_8B: Model = Model {
    short: "llama-3.1-8b",
    name: "meta-llama/Llama-3.1-8B-Instruct",
    kv_bytes_per_token: 131_072.0,
    weights_gib: 14.96,
    max_model_len: 131_072,
};
const LLAMA_70B: Model = Model {
    short: "llama-3.1-70b",
    name: "meta-llama/Llama-3.1-70B-Instruct",
    kv_bytes_per_token: 327_680.0,
    weights_gib: 131.4,
    max_model_len: 131_072,
};
// 64 layers x 8 KV heads x 128 x 2 x 2 bytes; 32.76 G parameters in BF16.
const QWEN3_32B: Model = Model {
    short: "qwen3-32b",
    name: "Qwen/Qwen3-32B",
    kv_bytes_per_token: 262_144.0,
    weights_gib: 61.0,
    max_model_len: 40_960,
};

const A100: Gpu =
    Gpu { short: "a100", name: "A100-80G", memory_gib: 79.1, max_num_seqs: 256, max_num_batched_tokens: 2048 };
const H100: Gpu =
    Gpu { short: "h100", name: "H100-80G", memory_gib: 79.1, max_num_seqs: 1024, max_num_batched_tokens: 8192 };
const H200: Gpu =
    Gpu { short: "h200", name: "H200", memory_gib: 139.8, max_num_seqs: 1024, max_num_batched_tokens: 8192 };
const L40S: Gpu =
    Gpu { short: "l40s", name: "L40S", memory_gib: 44.4, max_num_seqs: 256, max_num_batched_tokens: 2048 };

/// One row of the table: model, GPU, tensor parallel size, (w ms, cp us/token, ca ns/pair, ck ns/token, cs us/seq), the
/// fit's error as the table states it.
type Row = (&'static Model, &'static Gpu, u32, [f64; 5], &'static str);

const ROWS: [Row; 11] = [
    (&LLAMA_70B, &A100, 4, [29.04, 173.56, 4.67, 64.7, 9.6], "7.0 / 3.0 % (15 %)"),
    (&LLAMA_70B, &H100, 4, [15.93, 63.15, 1.47, 27.6, 4.5], "4.4 / 3.4 % (11 %)"),
    (&LLAMA_70B, &H200, 4, [12.46, 62.00, 1.47, 19.3, 4.6], "5.0 / 1.2 % (12 %)"),
    (&LLAMA_70B, &L40S, 4, [55.82, 1240.72, 4.02, 188.5, 23.3], "3.8 / 8.0 % (19 %)"),
    (&LLAMA_8B, &A100, 1, [11.79, 60.57, 3.73, 79.7, 13.1], "5.6 / 1.6 % (13 %)"),
    (&LLAMA_8B, &H100, 1, [6.69, 19.54, 1.18, 40.7, 3.8], "3.1 / 3.0 % (9 %)"),
    (&LLAMA_8B, &H200, 1, [5.10, 19.75, 1.18, 28.5, 4.0], "3.4 / 2.4 % (10 %)"),
    (&LLAMA_8B, &L40S, 1, [22.24, 65.67, 3.22, 190.9, 11.0], "5.0 / 2.7 % (10 %)"),
    (&QWEN3_32B, &A100, 2, [25.75, 142.21, 7.47, 92.2, 21.4], "8.2 / 1.9 % (16 %)"),
    (&QWEN3_32B, &H100, 2, [14.84, 49.76, 2.35, 41.5, 2.7], "6.9 / 4.6 % (18 %)"),
    (&QWEN3_32B, &L40S, 2, [48.58, 221.57, 6.44, 223.2, 17.1], "5.5 / 5.1 % (17 %)"),
];

/// All built-in profiles, in name order.
pub fn built_in_profiles() -> Vec<Profile> {
    let mut profiles: Vec<Profile> = ROWS.iter().map(gpu_profile).collect();
    profiles.push(opt_125m_cpu());
    profiles.sort_by(|a, b| a.name.cmp(&b.name));
    profiles
}

/// The built-in profile called `name`.
pub fn built_in_profile(name: &str) -> Option<Profile> {
    built_in_profiles().into_iter().find(|profile| profile.name == name)
}

fn gpu_profile(row: &Row) -> Profile {
    let (model, gpu, tp, [w_ms, cp_us_per_token, ca_ns_per_pair, ck_ns_per_token, cs_us_per_seq], error) = row;
    let kv_tokens = kv_tokens(model, gpu, *tp);
    let suffix = if *tp > 1 { format!("-tp{tp}") } else { String::new() };
    Profile {
        name: format!("{}-{}{suffix}", model.short, gpu.short),
        model: model.name.to_owned(),
        gpu: gpu.name.to_owned(),
        gpus: *tp,
        step_time: StepTimeCoefficients {
            t0_ms: 0.3,
            w_ms: *w_ms,
            cp_us_per_token: *cp_us_per_token,
            ca_ns_per_pair: *ca_ns_per_pair,
            ck_ns_per_token: *ck_ns_per_token,
            cs_us_per_seq: cs_us_per_seq + 5.0,
            knee: 2.0,
        },
        request_overhead_ms: 10.0,
        kv_tokens,
        max_num_seqs: gpu.max_num_seqs,
        max_num_batched_tokens: gpu.max_num_batched_tokens,
        max_model_len: max_model_len(model, kv_tokens),
        source: "fit to NVIDIA aiconfigurator 0.12 operator measurements with vLLM kernels up to 0.24, BF16; \
                 t0 0.3 ms, 5 us CPU per request and 10 ms before the engine added; KV cache computed, not logged"
            .to_owned(),
        error: format!("mean absolute error of the fit, prefill / decode (largest): {error}; KV tokens +-3 %"),
    }
}

/// Cache capacity in tokens, whole blocks (vllm.md 2.1, `Worker.determine_available_memory`), at the default memory
/// utilisation of current versions, 0.92.
///
/// `other` is the activation peak and memory outside torch (1.2 GiB at 2048 batched tokens, 1.5 at 8192) and the
/// CUDA-graph estimate that versions from 0.21 on subtract (1.0 GiB). None of the rows has more than 4 GPUs, which would
/// cost 0.5 GiB more each. Llama-3.1-8B on an H100: 0.92 x 79.1 - 14.96 - 2.5 = 55.31 GiB, over 16 x 131,072 bytes =
/// 28,319 blocks = 453,104 tokens.
fn kv_tokens(model: &Model, gpu: &Gpu, tp: u32) -> u64 {
    let tp = f64::from(tp);
    let other_gib = if gpu.max_num_batched_tokens > 2048 { 1.5 } else { 1.2 } + 1.0;
    let free_gib = 0.92 * gpu.memory_gib - model.weights_gib / tp - other_gib;
    let block_bytes = BLOCK_TOKENS as f64 * model.kv_bytes_per_token / tp;
    (free_gib * GIB / block_bytes).floor() as u64 * BLOCK_TOKENS
}

/// The model's own limit, or the largest power of two that the cache holds: vLLM refuses to start when one request of
/// `max_model_len` does not fit, so an operator has to lower it (Llama-3.1-70B on four L40S).
fn max_model_len(model: &Model, kv_tokens: u64) -> u32 {
    let fits = u32::try_from(kv_tokens).unwrap_or(u32::MAX);
    if fits >= model.max_model_len { model.max_model_len } else { 1 << fits.ilog2() }
}

/// OPT-125M in fp32 on 2 to 4 CPUs, the prokube KServe/KEDA example (vllm.md 3.5).
///
/// The fit had no separate overhead before the engine, so it is 0 here: the 51 ms per step carry it. The cache is
/// `VLLM_CPU_KVCACHE_SPACE`, 4 GiB by default, at 73,728 bytes per token.
fn opt_125m_cpu() -> Profile {
    Profile {
        name: "opt-125m-cpu".to_owned(),
        model: "facebook/opt-125m".to_owned(),
        gpu: "CPU".to_owned(),
        gpus: 0,
        step_time: StepTimeCoefficients {
            t0_ms: 0.0,
            w_ms: 51.0,
            cp_us_per_token: 400.0,
            ca_ns_per_pair: 0.0,
            ck_ns_per_token: 0.0,
            // The fit charged a decoding request 5.0 ms in all and cp to prompt tokens only; the primary form charges cp
            // to every token scheduled, a decoding request's one included, so 0.4 ms of the 5.0 are in cp here.
            cs_us_per_seq: 4600.0,
            knee: 1.0,
        },
        request_overhead_ms: 0.0,
        kv_tokens: (4 << 30) / 73_728 / BLOCK_TOKENS * BLOCK_TOKENS,
        max_num_seqs: 128,
        max_num_batched_tokens: 2048,
        max_model_len: 2048,
        source:
            "fit to calibrate.py of prokube's KServe autoscaling example: closed loops of 1, 2, 4, 8 and 16 workers"
                .to_owned(),
        error: "in-sample mean absolute error: throughput 4.1 %, latency 15.7 %".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::StepTime;

    #[test]
    fn every_profile_can_run() {
        let profiles = built_in_profiles();
        assert_eq!(profiles.len(), 12);
        assert!(profiles.is_sorted_by(|a, b| a.name < b.name), "in name order, no name twice");
        for profile in &profiles {
            StepTime::new(&profile.step_time).expect(&profile.name);
            assert!(profile.kv_tokens >= u64::from(profile.max_model_len), "{} holds one request", profile.name);
            assert_eq!(profile.kv_tokens % BLOCK_TOKENS, 0);
            assert!(profile.max_num_seqs <= profile.max_num_batched_tokens);
            assert_eq!(built_in_profile(&profile.name).as_ref(), Some(profile));
        }
        assert_eq!(built_in_profile("no-such-profile"), None);
    }

    #[test]
    fn cache_sizes_follow_the_formula() {
        let tokens = |name: &str| built_in_profile(name).expect(name).kv_tokens;
        assert_eq!(tokens("llama-3.1-8b-h100"), 453_104); // 55.312 GiB
        assert_eq!(tokens("opt-125m-cpu"), 58_240); // 4 GiB over 73,728 bytes
        // With util 0.9 and the same other: 470k for 70B on four H100 (vllm.md 2.3); 0.02 x 79.1 GiB more here.
        assert!(tokens("llama-3.1-70b-h100-tp4").abs_diff(490_700) < 2_000);
        assert_eq!(built_in_profile("llama-3.1-70b-l40s-tp4").expect("built in").max_model_len, 65_536);
    }
}

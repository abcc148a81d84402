//! Step times of any model on any known GPU, computed and not measured (vllm.md 3.4).
//!
//! Bandwidth and FLOP rate of the data sheet times efficiencies, which were calibrated on the dense measured rows: there the
//! result is within 5 % for w, 4 % for cp and 15 % for ck. On models that no calibration had seen, E2E latency was between
//! 4 % too short and 26 % too long (H100, 16 runs), with an early saturation; mixtures of experts -34 % to +13 %
//! (docs/fidelity.md).

use crate::replica::model_config::WeightFormat;
use crate::replica::profile_parts::{fitting_length, profile_name};
use crate::replica::{ExpertWeights, Gpu, KvMemory, ModelConfig, Profile, ProfileKind, StepTimeCoefficients};

/// Share of the FLOP rate that a mixture of experts reaches.
const EXPERTS_MFU: f64 = 0.33;
/// Share of the BF16 rate that attention reaches.
const ATTENTION_MFU: f64 = 0.45;

/// The stated error of a profile that was computed so; `tests/shared/fidelity.rs` fails when the runs give another.
const ESTIMATE_ERROR: &str = "not measured; the method is within 5 % (w), 4 % (cp) and 15 % (ck) of ten measured dense rows, and against \
     servers of models that it had not seen (docs/fidelity.md: 16 runs, H100; eight with a TPOT) \
     TPOT -5.0 to +20.7 %, E2E -3.6 to +25.8 %; TTFT -26.0 to +24.2 % off; it does not say where a server saturates";
const ESTIMATE_ERROR_EXPERTS: &str = "not measured; against servers of two mixtures of experts (Llama-4-Scout FP8, Mixtral-8x7B; \
     docs/fidelity.md: eight runs, H100; six with a TPOT) TPOT -34.2 to -5.0 %, E2E -33.8 to +12.9 %; TTFT -60.4 to -14.6 % off; it does \
     not say where a server saturates";

/// Step-time coefficients of a model on `tensor_parallel` GPUs. Rounded to three decimals, so that they can be read.
///
/// # Errors
/// A fragment that says why nothing is known: no efficiency for this many GPUs, heads that cannot be divided.
pub fn roofline(model: &ModelConfig, gpu: &Gpu, tensor_parallel: u32) -> Result<StepTimeCoefficients, String> {
    check_division(model, tensor_parallel)?;
    let Some((_, mfu)) = gpu.mfu.iter().find(|(tp, _)| *tp == tensor_parallel) else {
        let known: Vec<String> = gpu.mfu.iter().map(|(tp, _)| tp.to_string()).collect();
        return Err(format!(
            "found {tensor_parallel} GPUs, but how well an {} does is known for {} of them only",
            gpu.name,
            known.join(", ")
        ));
    };
    let tp = f64::from(tensor_parallel);
    let layers = f64::from(model.layers);
    let (dense_bytes, expert_bytes) = model.read_bytes();
    // ms per byte, at the share of the bandwidth that weights reach.
    let ms_per_byte = 1e3 / (gpu.weight_efficiency * gpu.bandwidth_tb * 1e12) / tp;
    let per_layer_ms = if tensor_parallel > 1 { 0.035 + 0.012 } else { 0.035 };
    let mfu = if model.experts.is_some() { EXPERTS_MFU } else { *mfu };
    let tflops = match model.weights {
        WeightFormat::Fp8 => gpu.fp8_tflops.unwrap_or(gpu.bf16_tflops),
        WeightFormat::Bf16 | WeightFormat::Mxfp4 => gpu.bf16_tflops,
    };
    let computed = model.dense_parameters() + model.expert_parameters().1;
    let attention = 4.0 * layers * f64::from(model.heads) * f64::from(model.head_dim);
    let kv_bytes = model.kv_bytes_per_token(tensor_parallel) as f64;
    Ok(StepTimeCoefficients {
        t0_ms: 0.3,
        w_ms: rounded(dense_bytes * ms_per_byte + layers * per_layer_ms + 0.3),
        experts: model.experts.map(|(count, per_token)| ExpertWeights {
            w_ms: rounded(expert_bytes * ms_per_byte),
            count,
            per_token,
        }),
        cp_us_per_token: rounded(2.0 * computed / tp / (tflops * 1e12 * mfu) * 1e6),
        ca_ns_per_pair: rounded(attention / tp / (gpu.bf16_tflops * 1e12 * ATTENTION_MFU) * 1e9),
        ck_ns_per_token: rounded(kv_bytes / (gpu.kv_efficiency * gpu.bandwidth_tb * 1e12) * 1e9),
        cs_us_per_seq: 10.0,
        knee: 2.0,
    })
}

/// vLLM refuses a tensor parallel size that does not divide the heads (`ModelConfig.verify_with_parallel_config`); KV heads
/// are divided, or each kept by several GPUs.
fn check_division(model: &ModelConfig, tensor_parallel: u32) -> Result<(), String> {
    let (heads, kv_heads) = (model.heads, model.kv_heads);
    if tensor_parallel == 0 || !heads.is_multiple_of(tensor_parallel) {
        return Err(format!("found {tensor_parallel} GPUs, which do not divide the model's {heads} attention heads"));
    }
    if !kv_heads.is_multiple_of(tensor_parallel) && !tensor_parallel.is_multiple_of(kv_heads) {
        return Err(format!("found {tensor_parallel} GPUs, which do not divide the model's {kv_heads} KV heads"));
    }
    Ok(())
}

/// Memory of each of the GPUs.
pub fn kv_memory(model: &ModelConfig, gpu: &Gpu, tensor_parallel: u32) -> KvMemory {
    KvMemory {
        gpu_gib: gpu.memory_gib,
        weights_gib: model.weights_gib() / f64::from(tensor_parallel.max(1)),
        kv_bytes_per_token: model.kv_bytes_per_token(tensor_parallel),
        other_gib: None,
    }
}

/// A profile computed from architecture and data sheet. `short` is the model in the profile's name, `model` its full name.
///
/// # Errors
/// A fragment that says why there is none: as [`roofline`], or the model does not fit.
pub fn estimated_profile(
    short: &str,
    model: &str,
    config: &ModelConfig,
    gpu: &Gpu,
    tensor_parallel: u32,
) -> Result<Profile, String> {
    let step_time = roofline(config, gpu, tensor_parallel)?;
    let memory = kv_memory(config, gpu, tensor_parallel);
    let batched = gpu.max_num_batched_tokens;
    let kv_tokens = Profile::default_kv_tokens(&memory, tensor_parallel, &step_time, batched)
        .map_err(|sum| format!("the model does not fit on {tensor_parallel} x {}: {sum}", gpu.name))?;
    let error = if config.experts.is_some() { ESTIMATE_ERROR_EXPERTS } else { ESTIMATE_ERROR };
    Ok(Profile {
        name: profile_name(short, gpu, tensor_parallel),
        model: model.to_owned(),
        gpu: gpu.name.to_owned(),
        gpus: tensor_parallel,
        kind: ProfileKind::Estimate,
        step_time,
        request_overhead_ms: 10.0,
        kv_tokens,
        memory: Some(memory),
        max_num_seqs: gpu.max_num_seqs,
        max_num_batched_tokens: batched,
        max_model_len: fitting_length(config.max_model_len, kv_tokens),
        source: "roofline; computed from the model's architecture and the GPU's data sheet, with efficiencies calibrated on \
                 measured dense rows"
            .to_owned(),
        error: error.to_owned(),
    })
}

fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

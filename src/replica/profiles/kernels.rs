//! Rows from operators measured with vLLM's kernels (vllm.md 3.2), with the additions stated there: t0 0.3 ms, 5 us of CPU
//! work per request, 10 ms before the engine.

use crate::replica::gpu::{A100, H100, H200, L40S};
use crate::replica::profile_parts::{fitting_length, profile_name};
use crate::replica::{ExpertWeights, Gpu, Profile, ProfileKind, StepTimeCoefficients, known_model, kv_memory};

/// CPU and launch overhead of an engine that schedules ahead, ms.
const T0_MS: f64 = 0.3;
/// CPU work per request, us (the table leaves 5 to 10 open).
const CPU_US_PER_SEQ: f64 = 5.0;

/// One row of the table.
struct Row {
    model: &'static str,
    gpu: &'static Gpu,
    tp: u32,
    /// w ms, of all experts ms (0 in a dense model), cp us/token, ca ns/pair, ck ns/token, cs us/seq.
    numbers: [f64; 6],
    /// Mean absolute error of the fit in prefill and decode, and the largest, %.
    error: (f64, f64, u32),
}

const fn row(model: &'static str, gpu: &'static Gpu, tp: u32, numbers: [f64; 6], error: (f64, f64, u32)) -> Row {
    Row { model, gpu, tp, numbers, error }
}

static ROWS: [Row; 19] = [
    row("llama-3.1-70b", &A100, 4, [29.04, 0.0, 173.56, 4.67, 64.7, 9.6], (7.0, 3.0, 15)),
    row("llama-3.1-70b", &H100, 4, [15.93, 0.0, 63.15, 1.47, 27.6, 4.5], (4.4, 3.4, 11)),
    row("llama-3.1-70b", &H200, 4, [12.46, 0.0, 62.00, 1.47, 19.3, 4.6], (5.0, 1.2, 12)),
    row("llama-3.1-70b", &L40S, 4, [55.82, 0.0, 1240.72, 4.02, 188.5, 23.3], (3.8, 8.0, 19)),
    row("llama-3.1-8b", &A100, 1, [11.79, 0.0, 60.57, 3.73, 79.7, 13.1], (5.6, 1.6, 13)),
    row("llama-3.1-8b", &H100, 1, [6.69, 0.0, 19.54, 1.18, 40.7, 3.8], (3.1, 3.0, 9)),
    row("llama-3.1-8b", &H200, 1, [5.10, 0.0, 19.75, 1.18, 28.5, 4.0], (3.4, 2.4, 10)),
    row("llama-3.1-8b", &L40S, 1, [22.24, 0.0, 65.67, 3.22, 190.9, 11.0], (5.0, 2.7, 10)),
    row("qwen3-30b-a3b", &H100, 1, [3.44, 19.19, 17.46, 1.77, 30.2, 10.6], (14.2, 8.1, 33)),
    row("qwen3-30b-a3b", &H200, 1, [3.25, 11.95, 16.31, 1.77, 22.0, 19.7], (21.6, 3.4, 40)),
    row("qwen3-30b-a3b", &L40S, 1, [0.63, 81.04, 55.75, 4.83, 151.0, 0.0], (13.9, 8.9, 35)),
    row("qwen3-32b", &A100, 2, [25.75, 0.0, 142.21, 7.47, 92.2, 21.4], (8.2, 1.9, 16)),
    row("qwen3-32b", &H100, 2, [14.84, 0.0, 49.76, 2.35, 41.5, 2.7], (6.9, 4.6, 18)),
    row("qwen3-32b", &L40S, 2, [48.58, 0.0, 221.57, 6.44, 223.2, 17.1], (5.5, 5.1, 17)),
    row("gpt-oss-120b", &H100, 1, [3.85, 19.64, 33.40, 0.66, 16.6, 9.2], (18.2, 2.7, 53)),
    row("gpt-oss-120b", &H200, 1, [3.47, 18.83, 33.20, 0.66, 9.5, 27.3], (19.1, 1.9, 52)),
    row("gpt-oss-20b", &H100, 1, [2.47, 4.10, 17.49, 0.44, 8.4, 15.0], (18.0, 1.2, 45)),
    row("gpt-oss-20b", &H200, 1, [2.22, 4.33, 16.79, 0.44, 6.8, 12.6], (15.3, 3.4, 41)),
    row("gpt-oss-20b", &L40S, 1, [3.02, 18.06, 36.93, 1.21, 41.5, 22.4], (8.8, 2.4, 37)),
];

/// All of them. Rows whose weights leave no room for a cache on these GPUs are left out (Qwen3-30B-A3B on one L40S was
/// measured operator by operator; the whole model does not fit).
pub(super) fn profiles() -> Vec<Profile> {
    ROWS.iter().filter_map(profile).collect()
}

fn profile(row: &Row) -> Option<Profile> {
    let model = known_model(row.model).expect("models of the table are built in");
    let [w_ms, experts_w_ms, cp_us_per_token, ca_ns_per_pair, ck_ns_per_token, cs_us_per_seq] = row.numbers;
    let experts = model.config.experts.map(|(count, per_token)| ExpertWeights { w_ms: experts_w_ms, count, per_token });
    let step_time = StepTimeCoefficients {
        t0_ms: T0_MS,
        w_ms,
        experts,
        cp_us_per_token,
        ca_ns_per_pair,
        ck_ns_per_token,
        cs_us_per_seq: cs_us_per_seq + CPU_US_PER_SEQ,
        knee: 2.0,
    };
    let memory = kv_memory(&model.config, row.gpu, row.tp);
    let kv_tokens = Profile::default_kv_tokens(&memory, row.tp, &step_time, row.gpu.max_num_batched_tokens).ok()?;
    let (prefill, decode, largest) = row.error;
    Some(Profile {
        name: profile_name(model.short, row.gpu, row.tp),
        model: model.name.to_owned(),
        gpu: row.gpu.name.to_owned(),
        gpus: row.tp,
        kind: ProfileKind::Kernels,
        step_time,
        request_overhead_ms: 10.0,
        kv_tokens,
        memory: Some(memory),
        max_num_seqs: row.gpu.max_num_seqs,
        max_num_batched_tokens: row.gpu.max_num_batched_tokens,
        max_model_len: fitting_length(model.config.max_model_len, kv_tokens),
        source:
            "aiconfigurator 0.12; fit to NVIDIA's operator measurements with vLLM kernels up to 0.24; t0 0.3 ms, 5 us \
                 CPU per request and 10 ms before the engine added"
                .to_owned(),
        error: format!(
            "prefill {prefill:.1} %, decode {decode:.1} %, largest {largest} %; mean absolute errors of the fit to the sums \
             of operators, not of a server; KV tokens computed, +-3 %"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::StepTime;

    /// Predictions that validation.md 8 prints for the sums behind the rows, without CPU overhead: the rows lie within
    /// the errors they state. (prefill of n tokens; decode of b requests with a context each.)
    #[test]
    fn rows_predict_the_operator_sums_within_their_stated_error() {
        let sums: [(&str, u32, [f64; 4], [f64; 4]); 4] = [
            ("llama-3.1-8b-h100", 9, [8.73, 22.1, 43.5, 199.7], [6.18, 10.35, 17.87, 19.55]),
            ("llama-3.1-8b-h200", 10, [7.45, 21.2, 43.4, 198.9], [4.86, 7.57, 13.61, 15.35]),
            ("llama-3.1-70b-h100-tp4", 11, [24.1, 67.4, 130.2, 576.8], [14.86, 19.09, 24.12, 30.51]),
            ("qwen3-32b-h100-tp2", 18, [21.7, 55.5, 107.2, 476.0], [13.42, 18.84, 26.94, 30.75]),
        ];
        for (name, largest, prefill, decode) in sums {
            let profile = profiles().into_iter().find(|own| own.name == name).expect(name);
            let bare = StepTimeCoefficients {
                t0_ms: 0.0,
                cs_us_per_seq: profile.step_time.cs_us_per_seq - CPU_US_PER_SEQ,
                ..profile.step_time
            };
            let step = StepTime::new(&bare).expect("valid");
            let check = |found: u64, expected: f64| {
                let found = found as f64 / 1e9;
                let error = (found / expected - 1.0).abs();
                // The largest error is printed as a whole number.
                assert!(error <= (f64::from(largest) + 0.5) / 100.0, "{name}: {found} ms for {expected} ms");
            };
            for (n, expected) in [256, 1024, 2048, 8192].into_iter().zip(prefill) {
                check(step.step(n, n * n, 0, 1).as_ps(), expected);
            }
            for ((b, context), expected) in [(1, 1024), (64, 1024), (64, 4096), (256, 1024)].into_iter().zip(decode) {
                check(step.step(b, 0, b * context, b).as_ps(), expected);
            }
        }
    }
    /// The single-stream and 64-stream ITL that vllm.md 3.2 simulates with the bare row (t0 0.3 ms, no CPU work per request)
    /// for 128 tokens in and out: 6.99 and 7.83 ms.
    #[test]
    fn the_serving_check_of_the_8b_row_is_reproduced() {
        let profile = profiles().into_iter().find(|own| own.name == "llama-3.1-8b-h100").expect("built in");
        let cs_us_per_seq = profile.step_time.cs_us_per_seq - CPU_US_PER_SEQ;
        let step = StepTime::new(&StepTimeCoefficients { cs_us_per_seq, ..profile.step_time }).expect("valid");
        for (streams, expected) in [(1, 6.99), (64, 7.83)] {
            let ms = step.step(streams, 0, streams * 192, streams).as_ps() as f64 / 1e9;
            assert!((ms / expected - 1.0).abs() < 0.005, "{streams} streams: {ms} ms for {expected}");
        }
    }
}

//! Rows fitted end to end to measured servers: public benchmarks on H100 and H200 (vllm.md 3.3), and the CPU demo (3.5).

use crate::replica::gpu::{H100, H200};
use crate::replica::profile_parts::{fitting_length, profile_name};
use crate::replica::{Gpu, Profile, ProfileKind, StepTimeCoefficients, known_model, kv_memory};

const MODEL: &str = "llama-3.1-70b-fp8";

/// GPU, tensor parallel size, (w ms, cp us/token, ca ns/pair, ck ns/token, cs us/seq, a0 ms), the table's errors: TPOT and
/// its largest, TTFT and its largest, %.
type Row = (&'static Gpu, u32, [f64; 6], (f64, u32, f64, u32));

static ROWS: [Row; 5] = [
    (&H100, 4, [10.89, 23.34, 0.4336, 56.5, 44.6, 14.4], (5.4, 28, 16.0, 38)),
    (&H100, 2, [16.49, 49.98, 0.9285, 88.0, 72.0, 17.7], (4.5, 14, 21.7, 59)),
    (&H100, 8, [9.01, 15.84, 0.2944, 20.0, 66.9, 11.7], (6.0, 15, 17.5, 38)),
    (&H200, 2, [12.99, 36.68, 0.6814, 76.2, 51.1, 20.8], (7.5, 43, 16.2, 41)),
    (&H200, 4, [9.37, 22.03, 0.4092, 42.6, 32.4, 24.4], (6.3, 28, 15.4, 41)),
];

/// All of them.
pub(super) fn profiles() -> Vec<Profile> {
    let mut profiles: Vec<Profile> = ROWS.iter().map(profile).collect();
    profiles.push(opt_125m_cpu());
    profiles
}

fn profile((gpu, tp, numbers, (tpot, tpot_largest, ttft, ttft_largest)): &Row) -> Profile {
    let model = known_model(MODEL).expect("the model of the table is built in");
    let [w_ms, cp_us_per_token, ca_ns_per_pair, ck_ns_per_token, cs_us_per_seq, request_overhead_ms] = *numbers;
    let step_time = StepTimeCoefficients {
        // The fit put the CPU overhead into the other numbers.
        t0_ms: 0.0,
        w_ms,
        experts: None,
        cp_us_per_token,
        ca_ns_per_pair,
        ck_ns_per_token,
        cs_us_per_seq,
        knee: 2.0,
    };
    let memory = kv_memory(&model.config, gpu, *tp);
    let kv_tokens = Profile::default_kv_tokens(&memory, *tp, &step_time, gpu.max_num_batched_tokens)
        .expect("the benchmark ran, so the model fits");
    Profile {
        name: profile_name(model.short, gpu, *tp),
        model: model.name.to_owned(),
        gpu: gpu.name.to_owned(),
        gpus: *tp,
        kind: ProfileKind::Fitted,
        step_time,
        request_overhead_ms,
        kv_tokens,
        memory: Some(memory),
        max_num_seqs: gpu.max_num_seqs,
        max_num_batched_tokens: gpu.max_num_batched_tokens,
        max_model_len: fitting_length(model.config.max_model_len, kv_tokens),
        source: "InferenceX 2025-10; 15 closed loops of 4 to 64 workers (1k/1k, 1k/8k, 8k/1k tokens) kept by NVIDIA \
                 aiconfigurator, fitted with the simulator in the loop"
            .to_owned(),
        error: format!(
            "TPOT {tpot:.1} % (max {tpot_largest}), TTFT {ttft:.1} % (max {ttft_largest}); mean absolute, in-sample: 5 \
             numbers fitted to 30 measurements; KV tokens computed, +-3 %"
        ),
    }
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
        kind: ProfileKind::Fitted,
        step_time: StepTimeCoefficients {
            t0_ms: 0.0,
            w_ms: 51.0,
            experts: None,
            cp_us_per_token: 400.0,
            ca_ns_per_pair: 0.0,
            ck_ns_per_token: 0.0,
            // The fit charged a decoding request 5.0 ms in all and cp to prompt tokens only; the primary form charges cp
            // to every token scheduled, a decoding request's one included, so 0.4 ms of the 5.0 are in cp here.
            cs_us_per_seq: 4600.0,
            knee: 1.0,
        },
        request_overhead_ms: 0.0,
        kv_tokens: (4 << 30) / 73_728 / 16 * 16,
        memory: None,
        max_num_seqs: 128,
        max_num_batched_tokens: 2048,
        max_model_len: 2048,
        source:
            "prokube's example; fit to calibrate.py of its KServe autoscaling example: closed loops of 1, 2, 4, 8 and \
                 16 workers"
                .to_owned(),
        error: "throughput 4.1 %, latency 15.7 %; in-sample mean absolute errors".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::StepTime;

    /// Four workers leave the server almost all the time to decoding, so that a decode step at mid-request is about the
    /// measured TPOT (validation.md 4a and 4b: 1024/1024 and 1024/8192 tokens, drawn at 0.9 of that in the mean).
    #[test]
    fn a_decode_step_of_four_requests_is_the_measured_tpot() {
        for (name, short, long) in [
            ("llama-3.1-70b-fp8-h100-tp2", 17.41, 17.97),
            ("llama-3.1-70b-fp8-h100-tp4", 11.78, 12.00),
            ("llama-3.1-70b-fp8-h100-tp8", 9.11, 9.20),
            ("llama-3.1-70b-fp8-h200-tp2", 13.91, 14.20),
            ("llama-3.1-70b-fp8-h200-tp4", 9.85, 9.96),
        ] {
            let profile = profiles().into_iter().find(|own| own.name == name).expect(name);
            let step = StepTime::new(&profile.step_time).expect("valid");
            let (_, _, _, (stated, ..)) =
                ROWS.iter().find(|(gpu, tp, ..)| profile_name(MODEL, gpu, *tp) == name).expect(name);
            for (output, measured) in [(1024.0, short), (8192.0, long)] {
                let cached = (4.0 * 0.9 * (1024.0 + output / 2.0)) as u64;
                let ms = step.step(4, 0, cached, 4).as_ps() as f64 / 1e9;
                let error = 100.0 * (ms / measured - 1.0);
                assert!(error.abs() <= *stated, "{name} {output}: {ms:.2} ms for {measured} ({error:.1} %)");
            }
        }
    }
}

//! Pairs of model and GPU without measurements (the rows of vllm.md 3.4 that 3.2 and 3.3 do not have), and those on which the
//! method was compared with measured runs (3.2, serving check).

use crate::replica::gpu::{A100, H100, H200, L4, L40S};
use crate::replica::{Gpu, Profile, estimated_profile, known_model};

/// Model, GPU, tensor parallel size, and what the profile gives against measured runs of this very pair, where there are any:
/// `tests/shared/fidelity.rs` fails when it gives other errors.
type Pair = (&'static str, &'static Gpu, u32, Option<&'static str>);

static PAIRS: [Pair; 31] = [
    ("gpt-oss-120b", &A100, 1, None),
    ("gpt-oss-120b", &A100, 2, None),
    ("gpt-oss-120b", &H100, 2, None),
    ("gpt-oss-120b", &H200, 2, None),
    ("gpt-oss-120b", &L40S, 2, None),
    ("gpt-oss-20b", &A100, 1, None),
    ("gpt-oss-20b", &L4, 1, None),
    (
        "llama-2-7b",
        &H100,
        1,
        Some("E2E -0.0 to +12.5 %; TTFT -26.0 to +11.1 %; four runs, 1 to 10 req/s, some requests stop early"),
    ),
    ("llama-3.1-70b-fp8", &L40S, 2, None),
    ("llama-3.1-8b", &L4, 1, None),
    ("mistral-7b", &A100, 1, None),
    ("mistral-7b", &H100, 1, None),
    ("mistral-7b", &H200, 1, None),
    ("mistral-7b", &L40S, 1, None),
    ("mistral-7b", &L4, 1, None),
    (
        "mistral-nemo-12b",
        &H100,
        1,
        Some("TPOT +13.9 to +20.7 %, E2E +14.2 to +20.9 %; TTFT +8.1 to +8.4 %; two runs, 5 and 10 req/s"),
    ),
    (
        "mistral-nemo-12b",
        &H100,
        2,
        Some("TPOT +12.1 to +12.8 %, E2E +12.6 to +13.3 %; TTFT +9.5 to +13.0 %; two runs, 2.5 and 6 req/s"),
    ),
    ("qwen2.5-32b", &A100, 2, None),
    ("qwen2.5-32b", &H100, 2, None),
    ("qwen2.5-32b", &H200, 2, None),
    ("qwen2.5-32b", &L40S, 2, None),
    ("qwen2.5-72b", &A100, 4, None),
    ("qwen2.5-72b", &H100, 4, None),
    ("qwen2.5-72b", &H200, 4, None),
    ("qwen2.5-7b", &A100, 1, None),
    (
        "qwen2.5-7b",
        &H100,
        1,
        Some("TPOT -5.0 to +1.4 %, E2E -3.6 to +2.0 %; TTFT +2.6 to +9.1 %; two runs, 6 and 1 req/s"),
    ),
    ("qwen2.5-7b", &H200, 1, None),
    ("qwen2.5-7b", &L40S, 1, None),
    ("qwen2.5-7b", &L4, 1, None),
    ("qwen3-30b-a3b", &A100, 1, None),
    (
        "yi-34b",
        &H100,
        2,
        Some("TPOT +8.1 to +14.2 %, E2E +7.8 to +14.0 %; TTFT +3.2 to +5.6 %; two runs, 2.5 and 6 req/s"),
    ),
];

/// All of them.
pub(super) fn profiles() -> Vec<Profile> {
    PAIRS.iter().map(profile).collect()
}

fn profile((short, gpu, tp, checked): &Pair) -> Profile {
    let model = known_model(short).expect("models of the table are built in");
    let mut profile = estimated_profile(model.short, model.name, &model.config, gpu, *tp).expect("pairs that fit");
    if let Some(checked) = checked {
        profile.error = format!(
            "{checked}; means of a measured server of this very pair against this project's own runs (docs/fidelity.md); it does \
             not say where a server saturates"
        );
    } else if gpu.short == "l4" {
        profile.error.push_str("; the L4's efficiencies are assumed");
    }
    profile
}

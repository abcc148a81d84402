//! The numbers of a profile that a calibration may move.

use crate::replica::Profile;

/// One of them. `t0Ms` is none: a constant per step cannot be told from `wMs` by any latency. `knee` is none: it is the
/// form of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coefficient {
    /// Memory floor of the linear layers.
    W,
    /// That of the experts.
    ExpertsW,
    /// Compute slope.
    Cp,
    /// Prefill attention.
    Ca,
    /// KV-cache reads.
    Ck,
    /// Per scheduled request.
    Cs,
    /// Before the engine.
    RequestOverhead,
}

impl Coefficient {
    /// All, in the order of the profile.
    pub const ALL: [Coefficient; 7] = [
        Coefficient::W,
        Coefficient::ExpertsW,
        Coefficient::Cp,
        Coefficient::Ca,
        Coefficient::Ck,
        Coefficient::Cs,
        Coefficient::RequestOverhead,
    ];

    /// Its key in `kind: Profile`.
    pub fn key(self) -> &'static str {
        match self {
            Coefficient::W => "wMs",
            Coefficient::ExpertsW => "experts.wMs",
            Coefficient::Cp => "cpUsPerToken",
            Coefficient::Ca => "caNsPerPair",
            Coefficient::Ck => "ckNsPerToken",
            Coefficient::Cs => "csUsPerSeq",
            Coefficient::RequestOverhead => "requestOverheadMs",
        }
    }

    /// Its value in the profile; `None` when the profile has no such part.
    pub fn of(self, profile: &Profile) -> Option<f64> {
        let step = &profile.step_time;
        match self {
            Coefficient::W => Some(step.w_ms),
            Coefficient::ExpertsW => step.experts.map(|experts| experts.w_ms),
            Coefficient::Cp => Some(step.cp_us_per_token),
            Coefficient::Ca => Some(step.ca_ns_per_pair),
            Coefficient::Ck => Some(step.ck_ns_per_token),
            Coefficient::Cs => Some(step.cs_us_per_seq),
            Coefficient::RequestOverhead => Some(profile.request_overhead_ms),
        }
    }

    /// Puts `value` into the profile.
    pub(super) fn set(self, profile: &mut Profile, value: f64) {
        let step = &mut profile.step_time;
        match self {
            Coefficient::W => step.w_ms = value,
            Coefficient::ExpertsW => {
                if let Some(experts) = &mut step.experts {
                    experts.w_ms = value;
                }
            }
            Coefficient::Cp => step.cp_us_per_token = value,
            Coefficient::Ca => step.ca_ns_per_pair = value,
            Coefficient::Ck => step.ck_ns_per_token = value,
            Coefficient::Cs => step.cs_us_per_seq = value,
            Coefficient::RequestOverhead => profile.request_overhead_ms = value,
        }
    }

    /// Which measurement determines it (vllm.md 3.7).
    pub fn remedy(self) -> &'static str {
        match self {
            Coefficient::W | Coefficient::ExpertsW => {
                "one run of a single worker with short prompts (its time per token is t0Ms + wMs), and a sweep of concurrencies"
            }
            Coefficient::Cs => "a sweep of concurrencies with short prompts: the slope of the time per token",
            Coefficient::Ck => "one concurrency with short and with long contexts: the difference in time per token",
            Coefficient::Cp => "single long prompts (2,000 and 8,000 tokens): the slope of TTFT",
            Coefficient::Ca => "single long prompts (2,000, 8,000 and more tokens): the curvature of TTFT",
            Coefficient::RequestOverhead => "single prompts of several lengths: what is left of TTFT at length 0",
        }
    }
}

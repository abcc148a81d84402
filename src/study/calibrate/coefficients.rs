//! The numbers of a profile that a calibration may move.

use crate::replica::Profile;
use crate::study::calibrate::{Load, Measurement, Quantity};

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

    /// Which measurement, beside those of `runs`, determines it (vllm.md 3.7).
    pub fn remedy(self, runs: &[Measurement]) -> String {
        let given = Given::of(runs);
        match self {
            Coefficient::W | Coefficient::ExpertsW if given.alone.is_some() && given.most_workers > 1 => format!(
                "a sweep of concurrencies beyond C={} with short prompts, and more requests of the single worker",
                given.most_workers
            ),
            Coefficient::W | Coefficient::ExpertsW => {
                "one run of a single worker with short prompts (its time per token is t0Ms + wMs), and a sweep of concurrencies"
                    .to_owned()
            }
            Coefficient::Cs if given.most_workers > 1 => format!(
                "a sweep of concurrencies with short prompts, beyond C={}: the slope of the time per token",
                given.most_workers
            ),
            Coefficient::Cs => "a sweep of concurrencies with short prompts: the slope of the time per token".to_owned(),
            Coefficient::Ck => format!(
                "one concurrency with short contexts and with contexts of more than {} tokens: the difference in time per token",
                given.longest_context
            ),
            Coefficient::Cp => match given.alone {
                Some((_, longest)) if longest >= 2000 => format!(
                    "single prompts of more than {longest} tokens, or many of them at a time: the slope of TTFT"
                ),
                _ => "single long prompts (2,000 and 8,000 tokens): the slope of TTFT".to_owned(),
            },
            Coefficient::Ca => match given.alone {
                Some((_, longest)) if longest >= 8000 => format!(
                    "a single prompt of {} tokens or more (the longest here has {longest}): the curvature of TTFT",
                    longest * 2
                ),
                _ => "single long prompts (2,000, 8,000 and 16,000 tokens): the curvature of TTFT".to_owned(),
            },
            Coefficient::RequestOverhead => match given.alone {
                Some((shortest, longest)) if shortest < longest => format!(
                    "single prompts of less than {shortest} tokens: what is left of TTFT at length 0"
                ),
                _ => "single prompts of several lengths: what is left of TTFT at length 0".to_owned(),
            },
        }
    }
}

/// What was measured already.
struct Given {
    /// Shortest and longest mean prompt of a single worker with a TTFT.
    alone: Option<(u64, u64)>,
    /// The most workers of a run with a time per token.
    most_workers: u32,
    /// Prompt and output of the longest requests, on average.
    longest_context: u64,
}

impl Given {
    fn of(runs: &[Measurement]) -> Self {
        let mut given = Given { alone: None, most_workers: 0, longest_context: 0 };
        for run in runs {
            let (prompt, output) = run.lengths.means();
            // `as` saturates; lengths were checked when read.
            given.longest_context = given.longest_context.max((prompt + output).round() as u64);
            let Load::Concurrency(workers) = run.load else { continue };
            given.most_workers = given.most_workers.max(workers);
            if workers == 1 && run.value(Quantity::Ttft).is_some() {
                let prompt = prompt.round() as u64;
                let (shortest, longest) = given.alone.unwrap_or((prompt, prompt));
                given.alone = Some((shortest.min(prompt), longest.max(prompt)));
            }
        }
        given
    }
}

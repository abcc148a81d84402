//! One vLLM server process: the scheduler, the KV cache, the time a step takes, and what `/metrics` shows.
//!
//! Source: vLLM V1 engine (`vllm/v1/core/sched/scheduler.py`, `vllm/v1/core/kv_cache_manager.py`,
//! `vllm/v1/metrics/loggers.py`). Nothing here knows pods, autoscaling or Prometheus' storage.
//! Reading order: `profile` (numbers of a model on a GPU), `step_time`, `config`, `engine`, `scheduler`, `exposition`, `metrics`.

mod config;
mod engine;
mod exposition;
mod http_metrics;
mod invariants;
mod metrics;
mod profile;
mod profiles;
mod request;
mod run;
mod scheduler;
mod step_time;

pub use config::EngineConfig;
pub use engine::{Engine, EngineEvent, Finished};
pub use exposition::{Absence, absence, exposition};
pub use metrics::ProcessTimes;
pub use profile::{Profile, StepTimeCoefficients};
pub use profiles::{built_in_profile, built_in_profiles};
pub use step_time::StepTime;

//! One vLLM server process: the scheduler, the KV cache, the time a step takes, and what `/metrics` shows.
//!
//! Source: vLLM V1 engine (`vllm/v1/core/sched/scheduler.py`, `vllm/v1/core/kv_cache_manager.py`,
//! `vllm/v1/metrics/loggers.py`). Nothing here knows pods, autoscaling or Prometheus' storage.
//! Reading order: `profile` (numbers of a model on a GPU), `model_config`, `gpu`, `kv_capacity`, `roofline`, `profiles` (the
//! built-in ones), `step_time`, `config`, `scheduling`, `engine`, `event`, `seats`, `scheduler`, `running`, `outputs`, `lag`,
//! `free_queue`, `prefix`, `observed`, `exposition`, `metrics`.

mod config;
mod engine;
mod event;
mod exposition;
mod free_queue;
mod gpu;
mod histogram;
mod http_metrics;
mod invariants;
mod kv_capacity;
mod lag;
mod metrics;
mod model_config;
mod observed;
mod outputs;
mod prefix;
mod profile;
mod profile_parts;
mod profiles;
mod request;
mod roofline;
mod run;
mod running;
mod scheduler;
mod scheduling;
mod seats;
mod step_time;

pub use config::EngineConfig;
pub use engine::{Engine, Quiet, Seat};
pub use event::{EngineEvent, Finished};
pub use exposition::{Absence, KnownMetric, absence, exposition, is_of_a_feature, known_metrics};
pub use gpu::{GPUS, Gpu, gpu_by_label, gpu_by_name};
pub use kv_capacity::{
    BLOCK_SIZE_DEFAULT, DoesNotFit, KvCacheDtype, KvMemory, KvSettings, default_utilization, other_gib,
};
pub use metrics::ProcessTimes;
pub use model_config::{KNOWN_MODELS, KnownModel, ModelConfig, WeightFormat, known_model, model_key};
pub use profile::{ExpertWeights, Profile, ProfileKind, StepTimeCoefficients};
pub use profiles::{built_in_profile, built_in_profiles};
pub use roofline::{estimated_profile, kv_memory, roofline};
pub use scheduling::Scheduling;
pub use step_time::StepTime;

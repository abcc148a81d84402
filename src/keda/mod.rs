//! What KEDA does with one ScaledObject: the generated HPA, trigger values, activation, the executor's moves to and from
//! zero. Pure functions; source KEDA v2.20.2.
//!
//! Reading order: `spec` (ScaledObject resolved; rules in `validation`), `trigger` and its kinds (`prometheus_trigger`,
//! `cron_trigger` with `cron_schedule`, `workload_trigger` with `pod_selector`; metadata by `trigger_reader` and `metadata`),
//! `generated_hpa`, `trigger_value` (query result to milli), `executor`.

mod cron_schedule;
mod cron_trigger;
mod executor;
mod generated_hpa;
mod metadata;
mod not_modelled;
mod pod_selector;
mod prometheus_trigger;
mod spec;
#[cfg(test)]
mod test_support;
mod trigger;
mod trigger_reader;
mod trigger_value;
mod validation;
mod workload_trigger;

pub use cron_trigger::CronTrigger;
pub use executor::{ExecutorState, PollAction, PollDecision, PollObservation, poll};
pub use generated_hpa::generate_hpa;
pub use pod_selector::PodSelector;
pub use prometheus_trigger::PrometheusTrigger;
pub use spec::{KedaVersion, ScaledObjectSpec};
pub use trigger::{TargetType, Trigger, TriggerKind};
pub use trigger_value::{TriggerValue, value_from_query};
pub use workload_trigger::WorkloadTrigger;

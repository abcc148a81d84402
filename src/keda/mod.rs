//! What KEDA does with one ScaledObject: the generated HPA, trigger values, activation, the executor's moves to and from
//! zero. Pure functions; source KEDA v2.20.2.
//!
//! Reading order: `spec` (ScaledObject resolved; rules in `validation` and `scale_target`; with more than the object in hand
//! `resource_requests`, `ownership`), `trigger` and its kinds (`scaler_types`; `prometheus_trigger`, `cron_trigger` with
//! `cron_schedule`, `workload_trigger` with `pod_selector`, `resource_trigger`, `signal_trigger` with `signal_scalers` and
//! `signal_choice`; metadata by `trigger_reader` and `metadata`), `modifiers` (the formula; `formula_names`), `fallback`, `annotations`; `generated_hpa`; `trigger_value` (query result to
//! milli), `evaluation` (answers to what the loop and the HPA are told), `executor`.

mod annotations;
mod cron_schedule;
mod cron_trigger;
mod evaluation;
mod executor;
mod fallback;
mod formula_names;
mod generated_hpa;
mod metadata;
mod modifiers;
mod ownership;
mod pod_selector;
mod prometheus_trigger;
mod resource_requests;
mod resource_trigger;
mod scale_target;
mod scaler_types;
mod signal_choice;
mod signal_scalers;
mod signal_trigger;
mod spec;
#[cfg(test)]
mod test_support;
mod trigger;
mod trigger_reader;
mod trigger_value;
mod validation;
mod workload_trigger;

pub use annotations::ScalingAnnotations;
pub use cron_trigger::CronTrigger;
pub use evaluation::{
    CompositeReport, Evaluation, KedaState, TriggerReport, TriggerState, evaluate_poll, evaluate_poll_from_syncs,
    evaluate_sync,
};
pub use executor::{ExecutorState, PollAction, PollDecision, PollObservation, paused, poll};
pub use fallback::{Fallback, FallbackBehavior, TargetCounts};
pub use generated_hpa::{GeneratedHpa, MetricOrigin, generate_hpa};
pub use metadata::parse_bool;
pub use modifiers::{COMPOSITE, Composite, CompositeFlaw, Modifiers};
pub use ownership::check_against_others;
pub use pod_selector::PodSelector;
pub use prometheus_trigger::{PrometheusRequest, PrometheusTrigger, Unanswered};
pub use resource_requests::check_resource_requests;
pub use resource_trigger::ResourceTrigger;
pub use signal_choice::stand_in_signals;
pub use signal_trigger::SignalTrigger;
pub use spec::{KedaVersion, ScaledObjectSpec};
pub use trigger::{TargetType, Trigger, TriggerKind};
pub use trigger_value::{TriggerValue, http_error, value_from_query};
pub use workload_trigger::WorkloadTrigger;

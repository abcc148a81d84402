//! What KEDA does with one ScaledObject: the generated HPA, trigger values, activation, the executor's moves to and from
//! zero. Pure functions; source KEDA v2.20.2.
//!
//! Reading order: `spec` (ScaledObject resolved; rules in `validation`, `metadata`, `prometheus_trigger`), `generated_hpa`, `trigger_value` (query result to milli), `executor`.

mod executor;
mod generated_hpa;
mod metadata;
mod not_modelled;
mod prometheus_trigger;
mod spec;
#[cfg(test)]
mod test_support;
mod trigger_value;
mod validation;

pub use executor::{ExecutorState, PollAction, PollDecision, PollObservation, poll};
pub use generated_hpa::generate_hpa;
pub use spec::{KedaVersion, PrometheusTrigger, ScaledObjectSpec, TargetType};
pub use trigger_value::{TriggerValue, value_from_query};

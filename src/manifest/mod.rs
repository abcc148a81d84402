//! From YAML text to documents: a located tree, strict typed readers over it, the bundle of documents that one command
//! line names, and one file per kind of Kubernetes object that holds it *as written* (every optional field an `Option`,
//! every value with its place).
//!
//! Nothing here knows defaults or meaning: that is `hpa`'s, `keda`'s and `scenario`'s.

mod auto_scaling;
mod behavior;
mod bundle;
mod container_resources;
mod deployment;
mod emit;
mod fields;
mod horizontal_pod_autoscaler;
mod inference_service;
mod llm_inference_service;
mod node;
mod object;
mod pod_monitor;
mod prometheus_rule;
mod relabeling;
mod scaled_object;
mod selector;
mod set_path;
mod sources;
mod template;
mod yaml;

pub use auto_scaling::{AutoScaling, AutoScalingMetric};
pub use behavior::{Behavior, ScalingPolicy, ScalingRules};
pub use bundle::{Bundle, Document, Input, Skipped};
pub use container_resources::ContainerResources;
pub use deployment::{ContainerPort, Deployment, PodTemplate, Probe};
pub use fields::{Fields, UnknownKeys, is_set, nearest};
pub use horizontal_pod_autoscaler::{HorizontalPodAutoscaler, HpaMetric};
pub use inference_service::{InferenceService, KSERVE_REQUEST_DEFAULTS};
pub use llm_inference_service::{KedaScaling, LlmInferenceService, LlmScaling, LlmWorkload, Parallelism, WvaScaling};
pub use node::{Key, Node, Value};
pub use pod_monitor::{MonitorEndpoint, MonitorNamespaces, MonitorPort, PodMonitor};
pub use prometheus_rule::{PrometheusRule, RuleGroupWritten, RuleWritten};
pub use relabeling::Relabeling;
pub use scaled_object::{Fallback, ScaleTargetRef, ScaledObject, Trigger};
pub use selector::{LabelSelector, Requirement};
pub use set_path::parse_value;
pub use sources::{Source, read_sources};
pub use yaml::parse_documents;

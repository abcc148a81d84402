//! Everything about the world around the policy: the scenario as written, and a whole run as resolved, with the origin of
//! each value.
//!
//! Reading order: `written` (the files), `resolved` (what a run needs), `resolve` (from one to the other).

mod engine_args;
mod engine_checks;
mod engine_sizes;
mod faults_written;
mod gateway_written;
mod generated;
mod hardware_choice;
mod hardware_written;
mod known_args;
mod kserve_hpa;
mod kserve_policy;
mod kv_cache;
mod ledger;
mod llm_policy;
mod llm_workload;
mod monitor_choice;
mod origin;
mod pod_selector;
mod policy_choice;
mod profile_choice;
mod profile_doubts;
mod profile_file;
mod query_check;
mod resolve;
mod resolve_engine;
mod resolve_faults;
mod resolve_gateway;
mod resolve_monitoring;
mod resolve_policy;
mod resolve_sources;
mod resolve_usage;
mod resolve_world;
mod resolved;
mod rules_choice;
mod run_inputs;
mod same_world;
mod scale_target;
mod scenario_yaml;
mod scheduling_choice;
mod scrape_pools;
mod show;
mod signals_choice;
mod signals_csv;
mod signals_written;
mod sweep_file;
mod traffic_choice;
mod traffic_file;
mod unused_args;
mod values;
mod workload;
mod written;
mod written_sections;

pub use faults_written::{FaultKindWritten, FaultWritten};
pub use gateway_written::GatewayWritten;
pub use generated::generated_by_kserve;
pub use hardware_written::{HardwareWritten, ModelWritten};
pub use origin::{Assumption, Origin};
pub use profile_doubts::profile_warnings;
pub use profile_file::{profile_yaml, read_profile};
pub use query_check::QueryFault;
pub use resolve::{Overrides, attach_profile, attach_traffic, replace_scenario, resolve};
pub use resolve_faults::{Fault, FaultKind, FaultPods};
pub use resolved::{
    AnalysisSettings, GATE_NAMES, GateLimit, KedaSettings, KubernetesSettings, MetricSource, MonitoringSettings,
    ResolvedRun, RuleGroupSettings, ScaleTarget, ScrapePool, SloLimit, SloMetric, UsageSettings,
};
pub use run_inputs::{INPUTS_SCENARIO, InputFile, is_input_name, run_inputs};
pub use scenario_yaml::scenario_yaml;
pub use signals_written::{CsvWritten, SeriesWritten, ShapeWritten, SignalsWritten, TriggerSignalWritten};
pub use sweep_file::{SweepAxis, SweepFile, read_sweep};
pub use traffic_file::read_traffic;
pub use values::at_reference;
pub use written::{
    ClusterWritten, KubernetesWritten, MOST_REPLICATIONS, PrometheusWritten, ReplicaWritten, RouterWritten,
    ScenarioFile, TrafficWritten, read_scenario,
};
pub use written_sections::vllm_version;

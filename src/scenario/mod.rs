//! Everything about the world around the policy: the scenario as written, and a whole run as resolved, with the origin of
//! each value.
//!
//! Reading order: `written` (the files), `resolved` (what a run needs), `resolve` (from one to the other).

mod engine_args;
mod kserve_policy;
mod ledger;
mod monitor_choice;
mod origin;
mod pod_selector;
mod policy_choice;
mod profile_choice;
mod profile_file;
mod resolve;
mod resolve_engine;
mod resolve_world;
mod resolved;
mod scenario_yaml;
mod show;
mod signals_choice;
mod signals_csv;
mod signals_written;
mod sweep_file;
mod traffic_choice;
mod traffic_file;
mod values;
mod workload;
mod written;
mod written_sections;

pub use origin::{Assumption, Origin};
pub use profile_file::{profile_yaml, read_profile};
pub use resolve::{Overrides, attach_profile, attach_traffic, replace_scenario, resolve};
pub use resolved::{
    AnalysisSettings, GATE_NAMES, GateLimit, KedaSettings, KubernetesSettings, MonitoringSettings, ResolvedRun,
    SloLimit, SloMetric,
};
pub use scenario_yaml::scenario_yaml;
pub use signals_written::{CsvWritten, SeriesWritten, ShapeWritten, SignalsWritten, TriggerSignalWritten};
pub use sweep_file::{SweepAxis, SweepFile, read_sweep};
pub use traffic_file::read_traffic;
pub use values::at_reference;
pub use written::{
    ClusterWritten, KubernetesWritten, PrometheusWritten, ReplicaWritten, RouterWritten, ScenarioFile, TrafficWritten,
    read_scenario,
};

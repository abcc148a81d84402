//! What stands beside the objects in the files and decides how their queries are read: scrape intervals, recording rules,
//! the scenario's vLLM version.

use crate::lint::query_shape::{Lookup, Shape};
use crate::lint::subject::bound_of;
use crate::manifest::{Bundle, Deployment, Document, InferenceService, PodMonitor, PrometheusRule};
use crate::prometheus::{PrometheusVersion, parse_query};
use crate::scenario::read_scenario;
use crate::units::{Diagnostics, SimDuration};
use std::collections::BTreeSet;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbours {
    /// The shortest `interval` of any PodMonitor or ServiceMonitor, else the Scenario's; `None` when nobody says.
    pub scrape_interval: Option<SimDuration>,
    /// Names that recording rules give to one series at most.
    pub single_records: BTreeSet<String>,
    /// Names that recording rules give.
    pub records: BTreeSet<String>,
    /// Labels that monitors copy from pods or Services, or write themselves.
    pub monitor_labels: BTreeSet<String>,
    /// `replica.vllmVersion` of the Scenario.
    pub vllm_version: Option<(u32, u32)>,
    /// Deployments and StatefulSets.
    pub workloads: Vec<Workload>,
    /// InferenceServices.
    pub services: Vec<InferenceService>,
}

/// A workload with its kind.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// `Deployment` or `StatefulSet`.
    pub kind: String,
    /// Whether it was read from a cluster, where every workload has its replicas written.
    pub is_live: bool,
    /// The rest.
    pub own: Deployment,
}

impl Neighbours {
    /// Of all documents. What is wrong with one of them is not told here.
    pub(super) fn of(bundle: &Bundle, version: PrometheusVersion) -> Self {
        let mut found = Neighbours::default();
        let mut unread = Diagnostics::new();
        let mut of_scenario = None;
        for document in &bundle.documents {
            match document.kind.as_str() {
                "PodMonitor" | "ServiceMonitor" => {
                    PodMonitor::read(document, &mut unread).iter().for_each(|monitor| found.add_monitor(monitor));
                }
                "PrometheusRule" => {
                    PrometheusRule::read(document, &mut unread)
                        .iter()
                        .for_each(|rules| found.add_rules(rules, version));
                }
                "Deployment" | "StatefulSet" => {
                    let own = Deployment::read(document, &mut unread);
                    found.workloads.extend(own.map(|own| Workload {
                        kind: document.kind.clone(),
                        is_live: is_live(document),
                        own,
                    }));
                }
                "InferenceService" => found.services.extend(InferenceService::read(document, &mut unread)),
                "Scenario" => found.add_scenario(document, &mut of_scenario),
                _ => {}
            }
        }
        found.scrape_interval = found.scrape_interval.or(of_scenario);
        found
    }

    fn add_monitor(&mut self, monitor: &PodMonitor) {
        for endpoint in &monitor.endpoints {
            let own = endpoint.interval.as_ref().map(|own| own.value);
            self.scrape_interval = match (self.scrape_interval, own) {
                (Some(so_far), Some(own)) => Some(so_far.min(own)),
                (so_far, own) => so_far.or(own),
            };
            let rules = endpoint.relabelings.iter().chain(&endpoint.metric_relabelings);
            self.monitor_labels
                .extend(rules.filter_map(|rule| rule.target_label.as_ref().map(|own| own.value.clone())));
        }
        let copied = monitor.pod_target_labels.iter().chain(&monitor.target_labels);
        self.monitor_labels.extend(copied.map(|own| own.value.clone()));
    }

    fn add_rules(&mut self, rules: &PrometheusRule, version: PrometheusVersion) {
        for rule in rules.groups.iter().flat_map(|group| &group.rules) {
            let (Some(record), Some(expr)) = (&rule.record, &rule.expr) else { continue };
            self.records.insert(record.value.clone());
            let Ok(plan) = parse_query(&expr.value, version) else { continue };
            let lookup = Lookup { plan: &plan, single: &self.single_records, bound_of: &bound_of };
            if matches!(lookup.shape(&plan.root), Shape::Single { .. }) {
                self.single_records.insert(record.value.clone());
            }
        }
    }

    fn add_scenario(&mut self, document: &Document, scrape_interval: &mut Option<SimDuration>) {
        let Ok(scenario) = read_scenario(document) else { return };
        *scrape_interval = scenario.prometheus.scrape_interval.map(|own| own.value);
        self.vllm_version = scenario.replica.vllm_version.map(|own| own.value);
    }
}

/// Whether a server has written into the document.
fn is_live(document: &Document) -> bool {
    let metadata = document.root.get("metadata");
    let by_server = |key: &str| metadata.is_some_and(|own| own.get(key).is_some());
    document.root.get("status").is_some() || by_server("uid") || by_server("resourceVersion")
}

//! prometheus-operator `PodMonitor` and `ServiceMonitor`, as written.

use crate::manifest::object::{ObjectHead, strings};
use crate::manifest::{Document, Fields, LabelSelector, Value};
use crate::units::{Diagnostic, Diagnostics, Located, SimDuration, Span, parse_prometheus_duration};

/// Whose pods (or Services) a monitor looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorNamespaces {
    /// Those of its own namespace: nothing is written.
    Own,
    /// `namespaceSelector: {any: true}`.
    Any,
    /// `namespaceSelector: {matchNames: [...]}`.
    Named(Vec<Located<String>>),
}

/// How an endpoint says which port it means.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorPort {
    /// `port`, or a `targetPort` that is a name.
    Name(Located<String>),
    /// `portNumber`, or a `targetPort` that is a number.
    Number(Located<i64>),
}

/// A PodMonitor or ServiceMonitor: when and under which labels pods are scraped. Of several endpoints the first.
#[derive(Clone, Debug, PartialEq)]
pub struct PodMonitor {
    /// Where the document starts.
    pub span: Span,
    /// `PodMonitor` or `ServiceMonitor`.
    pub kind: String,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `interval` of the endpoint (a Prometheus duration).
    pub interval: Option<Located<SimDuration>>,
    /// `scrapeTimeout` of the endpoint.
    pub scrape_timeout: Option<Located<SimDuration>>,
    /// `port` of the endpoint.
    pub port: Option<Located<String>>,
    /// `port`, `portNumber` or `targetPort` of the endpoint, the first that is written.
    pub endpoint_port: Option<MonitorPort>,
    /// `selector`; `None` (which the API server refuses) as though it selected everything.
    pub selector: Option<LabelSelector>,
    /// `namespaceSelector`.
    pub namespaces: MonitorNamespaces,
    /// `honorLabels` of the endpoint.
    pub honor_labels: Option<Located<bool>>,
    /// Whether the endpoint has relabelling rules, which are not applied yet (a warning).
    pub has_relabelings: bool,
}

impl PodMonitor {
    /// Reads a PodMonitor or a ServiceMonitor; fields that do not change a simulation are passed over.
    ///
    /// `None`, with an error, when there is no name.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        let spec = fields.fields("spec", diagnostics);
        let mut spec = fields.required("spec", spec, diagnostics)?;
        let selector = LabelSelector::read(&mut spec, "selector", diagnostics);
        let namespaces = namespaces(&mut spec, diagnostics);
        let key = if document.kind == "ServiceMonitor" { "endpoints" } else { "podMetricsEndpoints" };
        let endpoints = spec.list(key, diagnostics).unwrap_or_default();
        if let Some((path, second)) = endpoints.get(1) {
            let message = format!("{} endpoints, of which only the first is simulated", endpoints.len());
            diagnostics.push(Diagnostic::warning(second.span.clone(), path.clone(), message));
        }
        let endpoint = endpoints.first().and_then(|(path, node)| Fields::of(node, path, diagnostics));

        let head = head?;
        let mut monitor = PodMonitor {
            span: head.span,
            kind: document.kind.clone(),
            name: head.name,
            namespace: head.namespace,
            interval: None,
            scrape_timeout: None,
            port: None,
            endpoint_port: None,
            selector,
            namespaces,
            honor_labels: None,
            has_relabelings: false,
        };
        if let Some(mut endpoint) = endpoint {
            monitor.interval = prometheus_duration(&mut endpoint, "interval", diagnostics);
            monitor.scrape_timeout = prometheus_duration(&mut endpoint, "scrapeTimeout", diagnostics);
            monitor.port = endpoint.string("port", diagnostics);
            monitor.endpoint_port = endpoint_port(&mut endpoint, monitor.port.as_ref(), diagnostics);
            monitor.honor_labels = endpoint.boolean("honorLabels", diagnostics);
            monitor.has_relabelings = relabels(&mut endpoint, "relabelings", diagnostics)
                | relabels(&mut endpoint, "metricRelabelings", diagnostics);
        }
        Some(monitor)
    }
}

/// `namespaceSelector`; `any` goes before names, as for the operator.
fn namespaces(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> MonitorNamespaces {
    let Some(mut selector) = spec.fields("namespaceSelector", diagnostics) else { return MonitorNamespaces::Own };
    let is_any = selector.boolean("any", diagnostics).is_some_and(|any| any.value);
    let names = strings(&mut selector, "matchNames", diagnostics);
    match (is_any, names.is_empty()) {
        (true, _) => MonitorNamespaces::Any,
        (false, true) => MonitorNamespaces::Own,
        (false, false) => MonitorNamespaces::Named(names),
    }
}

fn endpoint_port(
    endpoint: &mut Fields<'_>,
    port: Option<&Located<String>>,
    diagnostics: &mut Diagnostics,
) -> Option<MonitorPort> {
    if let Some(port) = port.filter(|port| !port.value.is_empty()) {
        return Some(MonitorPort::Name(port.clone()));
    }
    if let Some(number) = endpoint.integer("portNumber", 1..=65_535, diagnostics) {
        return Some(MonitorPort::Number(number));
    }
    match endpoint.node("targetPort").map(|node| &node.value) {
        Some(Value::Int(_)) => endpoint.integer("targetPort", 1..=65_535, diagnostics).map(MonitorPort::Number),
        Some(_) => endpoint.string("targetPort", diagnostics).map(MonitorPort::Name),
        None => None,
    }
}

/// Whether there are rules under `key`; each list of them gets its warning.
fn relabels(endpoint: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> bool {
    let Some(node) = endpoint.node(key) else { return false };
    if matches!(&node.value, Value::Seq(items) if items.is_empty()) {
        return false;
    }
    let message = "relabelling rules are not applied: series keep the labels that the simulator gives them";
    diagnostics.push(Diagnostic::warning(node.span.clone(), endpoint.path_of(key), message));
    true
}

/// A duration in Prometheus' grammar (`30s`, `1m30s`, `0`); an empty string counts as absent, as for the operator.
fn prometheus_duration(
    endpoint: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<SimDuration>> {
    let text = endpoint.string(key, diagnostics)?;
    if text.value.is_empty() {
        return None;
    }
    match parse_prometheus_duration(&text.value) {
        Ok(duration) => Some(Located::new(duration, text.span)),
        Err(message) => {
            diagnostics.push(Diagnostic::error(text.span, endpoint.path_of(key), message));
            None
        }
    }
}

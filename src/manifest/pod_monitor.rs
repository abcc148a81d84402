//! prometheus-operator `PodMonitor` and `ServiceMonitor`, as written.

use crate::manifest::object::ObjectHead;
use crate::manifest::{Document, Fields, Value};
use crate::units::{Diagnostic, Diagnostics, Located, SimDuration, Span, parse_prometheus_duration};

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
            honor_labels: None,
            has_relabelings: false,
        };
        if let Some(mut endpoint) = endpoint {
            monitor.interval = prometheus_duration(&mut endpoint, "interval", diagnostics);
            monitor.scrape_timeout = prometheus_duration(&mut endpoint, "scrapeTimeout", diagnostics);
            monitor.port = endpoint.string("port", diagnostics);
            monitor.honor_labels = endpoint.boolean("honorLabels", diagnostics);
            monitor.has_relabelings = relabels(&mut endpoint, "relabelings", diagnostics)
                | relabels(&mut endpoint, "metricRelabelings", diagnostics);
        }
        Some(monitor)
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

//! prometheus-operator `PodMonitor` and `ServiceMonitor`, as written.

use crate::manifest::object::{ObjectHead, strings};
use crate::manifest::{Document, Fields, LabelSelector, Relabeling, UnknownKeys, Value};
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

/// A PodMonitor or ServiceMonitor: when and under which labels pods are scraped.
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
    /// `selector`; `None` (which the API server refuses) as though it selected everything.
    pub selector: Option<LabelSelector>,
    /// `namespaceSelector`.
    pub namespaces: MonitorNamespaces,
    /// `podMetricsEndpoints` or `endpoints`, in order: a scrape job each.
    pub endpoints: Vec<MonitorEndpoint>,
    /// `jobLabel`.
    pub job_label: Option<Located<String>>,
    /// `podTargetLabels`.
    pub pod_target_labels: Vec<Located<String>>,
    /// `targetLabels`, of a ServiceMonitor.
    pub target_labels: Vec<Located<String>>,
    /// `sampleLimit`; 0 is none.
    pub sample_limit: Option<Located<i64>>,
    /// `targetLimit`; 0 is none.
    pub target_limit: Option<Located<i64>>,
    /// `labelLimit`; 0 is none.
    pub label_limit: Option<Located<i64>>,
    /// `labelNameLengthLimit`; 0 is none.
    pub label_name_length_limit: Option<Located<i64>>,
    /// `labelValueLengthLimit`; 0 is none.
    pub label_value_length_limit: Option<Located<i64>>,
}

/// One endpoint of a monitor.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorEndpoint {
    /// Where it starts.
    pub span: Span,
    /// Its path, such as `spec.podMetricsEndpoints[0]`.
    pub path: String,
    /// `interval` (a Prometheus duration); 0 and "" count as absent, as for Prometheus.
    pub interval: Option<Located<SimDuration>>,
    /// `scrapeTimeout`, likewise.
    pub scrape_timeout: Option<Located<SimDuration>>,
    /// `port`, `portNumber` or `targetPort`, the first that is written.
    pub port: Option<MonitorPort>,
    /// The label `endpoint`: `port`, else `targetPort`; a `portNumber` gives none.
    pub label: Option<String>,
    /// `path` of the metrics.
    pub metrics_path: Option<Located<String>>,
    /// `scheme`.
    pub scheme: Option<Located<String>>,
    /// `params`: names with their first values.
    pub params: Vec<(String, Located<String>)>,
    /// `honorLabels`.
    pub honor_labels: Option<Located<bool>>,
    /// `relabelings`.
    pub relabelings: Vec<Relabeling>,
    /// `metricRelabelings`.
    pub metric_relabelings: Vec<Relabeling>,
}

/// Fields of a monitor's spec that change nothing in a simulation.
const SPEC_WITHOUT_EFFECT: [&str; 8] = [
    "selectorMechanism",
    "serviceDiscoveryRole",
    "keepDroppedTargets",
    "attachMetadata",
    "fallbackScrapeProtocol",
    "scrapeProtocols",
    "nativeHistogramBucketLimit",
    "nativeHistogramMinBucketFactor",
];

/// Fields of a monitor's spec that may change what is stored and are not modelled, each with what is assumed instead.
const SPEC_NOT_MODELLED: [(&str, &str); 5] = [
    ("scrapeClass", "the relabellings and settings of that scrape class are not applied"),
    ("bodySizeLimit", "the size of a response is not checked"),
    ("convertClassicHistogramsToNHCB", "histograms keep their buckets"),
    ("scrapeClassicHistograms", "classic histograms are always stored"),
    ("scrapeNativeHistograms", "native histograms are not modelled; vLLM exposes none"),
];

/// Fields of an endpoint that change nothing: vLLM writes no time stamps, asks for no credentials, and no scraped pod is
/// `Failed` or `Succeeded`.
const ENDPOINT_WITHOUT_EFFECT: [&str; 11] = [
    "honorTimestamps",
    "trackTimestampsStaleness",
    "filterRunning",
    "followRedirects",
    "enableHttp2",
    "bearerTokenSecret",
    "bearerTokenFile",
    "basicAuth",
    "oauth2",
    "authorization",
    "tlsConfig",
];

/// Fields of an endpoint that are not modelled, each with what is assumed instead.
const ENDPOINT_NOT_MODELLED: [(&str, &str); 4] = [
    ("proxyUrl", "pods are scraped directly"),
    ("proxyFromEnvironment", "pods are scraped directly"),
    ("noProxy", "pods are scraped directly"),
    ("proxyConnectHeader", "pods are scraped directly"),
];

/// What a limit may be.
const LIMIT: std::ops::RangeInclusive<i64> = 0..=i64::MAX;

impl PodMonitor {
    /// Reads a PodMonitor or a ServiceMonitor. What would change the result and is not modelled is a warning that names it.
    ///
    /// `None`, with an error, when there is no name.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        let spec = fields.fields("spec", diagnostics);
        let mut spec = fields.required("spec", spec, diagnostics)?;
        let of_services = document.kind == "ServiceMonitor";
        let selector = LabelSelector::read(&mut spec, "selector", diagnostics);
        let namespaces = namespaces(&mut spec, diagnostics);
        let key = if of_services { "endpoints" } else { "podMetricsEndpoints" };
        let listed = spec.list(key, diagnostics).unwrap_or_default();
        let endpoints =
            listed.into_iter().filter_map(|(path, node)| MonitorEndpoint::read(node, path, of_services, diagnostics));
        let endpoints = endpoints.collect();
        let text = |own: Option<Located<String>>| own.filter(|own| !own.value.is_empty());
        let job_label = text(spec.string("jobLabel", diagnostics));
        let pod_target_labels = strings(&mut spec, "podTargetLabels", diagnostics);
        let target_labels = if of_services { strings(&mut spec, "targetLabels", diagnostics) } else { Vec::new() };
        let mut limit = |key| spec.integer(key, LIMIT, diagnostics);
        let (sample_limit, target_limit, label_limit) =
            (limit("sampleLimit"), limit("targetLimit"), limit("labelLimit"));
        let label_name_length_limit = limit("labelNameLengthLimit");
        let label_value_length_limit = limit("labelValueLengthLimit");
        pass_over(&mut spec, &SPEC_WITHOUT_EFFECT, &SPEC_NOT_MODELLED, diagnostics);
        spec.finish(UnknownKeys::Warn, diagnostics);
        let head = head?;
        Some(PodMonitor {
            span: head.span,
            kind: document.kind.clone(),
            name: head.name,
            namespace: head.namespace,
            selector,
            namespaces,
            endpoints,
            job_label,
            pod_target_labels,
            target_labels,
            sample_limit,
            target_limit,
            label_limit,
            label_name_length_limit,
            label_value_length_limit,
        })
    }

    /// Whether it selects Services rather than pods.
    pub fn is_of_services(&self) -> bool {
        self.kind == "ServiceMonitor"
    }
}

impl MonitorEndpoint {
    fn read(
        node: &crate::manifest::Node,
        path: String,
        of_services: bool,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut fields = Fields::of(node, &path, diagnostics)?;
        let text = |own: Option<Located<String>>| own.filter(|own| !own.value.is_empty());
        let port = text(fields.string("port", diagnostics));
        let number = if of_services { None } else { fields.integer("portNumber", 1..=65_535, diagnostics) };
        let target_port = target_port(&mut fields, diagnostics);
        let label = match (&port, &target_port) {
            (Some(port), _) => Some(port.value.clone()),
            (None, Some(MonitorPort::Name(name))) => Some(name.value.clone()),
            (None, Some(MonitorPort::Number(number))) => Some(number.value.to_string()),
            (None, None) => None,
        };
        let endpoint = MonitorEndpoint {
            span: node.span.clone(),
            interval: prometheus_duration(&mut fields, "interval", diagnostics),
            scrape_timeout: prometheus_duration(&mut fields, "scrapeTimeout", diagnostics),
            port: port.map(MonitorPort::Name).or(number.map(MonitorPort::Number)).or(target_port),
            label,
            metrics_path: text(fields.string("path", diagnostics)),
            scheme: text(fields.string("scheme", diagnostics)),
            params: params(&mut fields, diagnostics),
            honor_labels: fields.boolean("honorLabels", diagnostics),
            relabelings: Relabeling::read_list(&mut fields, "relabelings", diagnostics),
            metric_relabelings: Relabeling::read_list(&mut fields, "metricRelabelings", diagnostics),
            path,
        };
        pass_over(&mut fields, &ENDPOINT_WITHOUT_EFFECT, &ENDPOINT_NOT_MODELLED, diagnostics);
        fields.finish(UnknownKeys::Warn, diagnostics);
        Some(endpoint)
    }
}

/// Asks for fields that are not read; those that may matter get their warning.
fn pass_over(
    fields: &mut Fields<'_>,
    without_effect: &[&'static str],
    not_modelled: &[(&'static str, &str)],
    diagnostics: &mut Diagnostics,
) {
    for key in without_effect {
        let _ = fields.node(key);
    }
    for (key, instead) in not_modelled {
        let Some(node) = fields.node(key).filter(|node| node.value != Value::Bool(false)) else { continue };
        let message = format!("{key} is not modelled: {instead}");
        diagnostics.push(Diagnostic::warning(node.span.clone(), fields.path_of(key), message));
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

/// `targetPort`, a number or a name; an empty name and 0 count as absent.
fn target_port(endpoint: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<MonitorPort> {
    let node = endpoint.node("targetPort")?;
    if let Value::Int(_) = node.value {
        let number = endpoint.integer("targetPort", 0..=65_535, diagnostics)?;
        return (number.value > 0).then_some(MonitorPort::Number(number));
    }
    let name = endpoint.string("targetPort", diagnostics)?;
    (!name.value.is_empty()).then_some(MonitorPort::Name(name))
}

/// `params`: lists of values, of which the first becomes a label.
fn params(endpoint: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<(String, Located<String>)> {
    let Some(inner) = endpoint.fields("params", diagnostics) else { return Vec::new() };
    let node = endpoint.node("params");
    let value = |key: &str| {
        let Value::Seq(items) = &node?.get(key)?.value else { return None };
        let first = items.first()?;
        Some((key.to_owned(), Located::new(first.as_str()?.to_owned(), first.span.clone())))
    };
    inner.keys().filter_map(|key| value(&key.name)).collect()
}

/// A duration in Prometheus' grammar (`30s`, `1m30s`); an empty one and 0 count as absent, as for the operator and for
/// Prometheus (config/config.go `ScrapeConfig.Validate`).
pub(crate) fn prometheus_duration(
    fields: &mut Fields<'_>,
    key: &'static str,
    diagnostics: &mut Diagnostics,
) -> Option<Located<SimDuration>> {
    let text = fields.string(key, diagnostics)?;
    if text.value.is_empty() {
        return None;
    }
    match parse_prometheus_duration(&text.value) {
        Ok(duration) => Some(Located::new(duration, text.span)).filter(|own| !own.value.is_zero()),
        Err(message) => {
            diagnostics.push(Diagnostic::error(text.span, fields.path_of(key), message));
            None
        }
    }
}

#[cfg(test)]
#[path = "pod_monitor_tests.rs"]
mod tests;

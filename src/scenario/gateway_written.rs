//! `gateway` of a Scenario as written: which keys each kind has.

use crate::cluster::GatewayKind;
use crate::manifest::{Fields, UnknownKeys};
use crate::scenario::values::{choice, count, not_modelled, positive_duration};
use crate::units::{Diagnostic, Diagnostics, Located, SimDuration, Span};

/// `gateway`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayWritten {
    /// `kind`.
    pub kind: Located<GatewayKind>,
    /// `buffer.max`.
    pub buffer_max: Option<Located<u32>>,
    /// `buffer.timeout`.
    pub buffer_timeout: Option<Located<SimDuration>>,
    /// `maxInFlightPerPod`.
    pub max_in_flight_per_pod: Option<Located<u32>>,
    /// `requestTimeout`.
    pub request_timeout: Option<Located<SimDuration>>,
    /// `responseHeaderTimeout`.
    pub response_header_timeout: Option<Located<SimDuration>>,
    /// `retries`.
    pub retries: Option<Located<u32>>,
    /// `labels`: (name, value), in the order written.
    pub labels: Vec<(String, Located<String>)>,
}

/// More tries than this at one instant are a mistake.
const MOST_RETRIES: i64 = 10;

/// Reads the section.
pub(super) fn gateway(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<GatewayWritten> {
    let kind = choice(fields, "kind", &GatewayKind::ALL, &["knative"], diagnostics);
    let kind = fields.required("kind", kind, diagnostics);
    let place = |fields: &mut Fields<'_>, key: &'static str| fields.node(key).map(|node| node.span.clone());
    let (buffer, in_flight, header) =
        (place(fields, "buffer"), place(fields, "maxInFlightPerPod"), place(fields, "responseHeaderTimeout"));
    let (mut buffer_max, mut buffer_timeout) = (None, None);
    if let Some(mut inner) = fields.fields("buffer", diagnostics) {
        buffer_max = count(&mut inner, "max", diagnostics);
        buffer_timeout = positive_duration(&mut inner, "timeout", diagnostics);
        not_modelled(&mut inner, &["order", "bytes"], diagnostics);
        inner.finish(UnknownKeys::Error, diagnostics);
    }
    let retries = fields.integer("retries", 0..=MOST_RETRIES, diagnostics);
    let labels = labels(fields, diagnostics);
    let max_in_flight_per_pod = count(fields, "maxInFlightPerPod", diagnostics);
    let request_timeout = positive_duration(fields, "requestTimeout", diagnostics);
    let response_header_timeout = positive_duration(fields, "responseHeaderTimeout", diagnostics);
    not_modelled(fields, &["propagateCancel", "fallback", "replicas"], diagnostics);
    let kind = kind?;
    let own = kind.value;
    let mut refuse = |key: &str, span: Option<Span>, why: &str| {
        let Some(span) = span else { return };
        let message = format!("found {key} with kind {}, which {why}", own.word());
        diagnostics.push(Diagnostic::error(span, fields.path_of(key), message).help(format!("remove {key}")));
    };
    if !own.holds() {
        refuse("buffer", buffer, "holds no requests: without a pod it answers 503 at once");
    }
    match own {
        GatewayKind::Generic => {}
        GatewayKind::EppFlowControl => {
            refuse("maxInFlightPerPod", in_flight, "dispatches while the pods' saturation is below 1");
        }
        _ => refuse("maxInFlightPerPod", in_flight, "has no such limit"),
    }
    if !matches!(own, GatewayKind::Generic | GatewayKind::KedaHttp) {
        refuse("responseHeaderTimeout", header, "has no such limit");
    }
    Some(GatewayWritten {
        kind,
        buffer_max,
        buffer_timeout,
        max_in_flight_per_pod,
        request_timeout,
        response_header_timeout,
        retries: retries.map(|given| given.map(|value| u32::try_from(value).expect("the range was checked"))),
        labels,
    })
}

/// `labels`: each name one that Prometheus takes.
fn labels(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<(String, Located<String>)> {
    let mut labels = Vec::new();
    for (key, value) in fields.string_map("labels", diagnostics).unwrap_or_default() {
        let starts = key.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_name = starts && key.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if is_name && !key.name.starts_with("__") {
            labels.push((key.name.clone(), value));
            continue;
        }
        let message = format!("found {:?}, expected the name of a label that a target can have", key.name);
        diagnostics.push(Diagnostic::error(value.span, fields.path_of("labels"), message));
    }
    labels
}

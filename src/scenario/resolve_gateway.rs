//! The gateway of a run: each kind's defaults (cluster.md 4.5, 4.6, 6.2) and the labels of its metrics.

use crate::cluster::{Gateway, GatewayKind, GatewaySettings, RouterPolicy};
use crate::keda::{ScaledObjectSpec, TriggerKind};
use crate::scenario::ledger::Ledger;
use crate::scenario::signals_choice::tell_overlap;
use crate::scenario::{GatewayWritten, Origin, ScenarioFile, show};
use crate::series::Signals;
use crate::units::{Diagnostic, Located, SimDuration};

/// `KEDA_HTTP_RESPONSE_HEADER_TIMEOUT` of the add-on.
const KEDA_HEADER_TIMEOUT: SimDuration = SimDuration::from_secs(300);
/// Istio's default retry policy.
const ISTIO_RETRIES: u32 = 2;

/// Resolves `gateway`, if there is one in front of `target` in `namespace`, which serves `model`.
pub(super) fn resolve_gateway(
    scenario: &ScenarioFile,
    signals: &Signals,
    (target, namespace, model): (&str, &str, &str),
    ledger: &mut Ledger,
) -> Option<GatewaySettings> {
    let written = scenario.gateway.as_ref()?;
    let kind = written.kind.value;
    ledger.given("spec.gateway.kind", kind.word(), &written.kind.span);
    if kind.holds() && written.buffer_max.is_none() {
        let why = match kind {
            GatewayKind::EppFlowControl => {
                "no request is turned away: 1 GB of request bytes per priority is not counted"
            }
            _ => "it holds as many requests as come",
        };
        ledger.tell("spec.gateway.buffer.max", "none", why);
    }
    if kind.holds() && written.buffer_timeout.is_none() {
        ledger.tell("spec.gateway.buffer.timeout", "none", "a request is held until its client gives up");
    }
    let header = optional("responseHeaderTimeout", written.response_header_timeout.as_ref(), ledger);
    let header = header.or_else(|| {
        let default = (kind == GatewayKind::KedaHttp).then_some(KEDA_HEADER_TIMEOUT)?;
        let path = "spec.gateway.responseHeaderTimeout";
        ledger.assumed(path, show::duration_text(&default), "the add-on's default");
        Some(default)
    });
    let retries = if kind == GatewayKind::Istio { ISTIO_RETRIES } else { 0 };
    let default = (retries, Origin::Assumed);
    let retries = ledger.pick("spec.gateway.retries", [written.retries.clone()], default, u32::to_string);
    let count = |key: &str, given: Option<&Located<u32>>, ledger: &mut Ledger| {
        let given = given?;
        ledger.given(&format!("spec.gateway.{key}"), given.value.to_string(), &given.span);
        Some(given.value)
    };
    let buffer_max = count("buffer.max", written.buffer_max.as_ref(), ledger);
    let buffer_timeout = optional("buffer.timeout", written.buffer_timeout.as_ref(), ledger);
    let max_in_flight_per_pod = count("maxInFlightPerPod", written.max_in_flight_per_pod.as_ref(), ledger);
    let request_timeout = optional("requestTimeout", written.request_timeout.as_ref(), ledger);
    let (own_labels, target_labels) = labels(written, (target, namespace, model), ledger);
    tell_scores(written, ledger);
    let settings = GatewaySettings {
        kind,
        buffer_max,
        buffer_timeout,
        max_in_flight_per_pod,
        request_timeout,
        response_header_timeout: header,
        retries,
        target_labels,
        own_labels,
    };
    tell_overlap(signals, "the gateway exposes", &Gateway::new(settings.clone()).exposition(), ledger);
    Some(settings)
}

/// How requests are spread.
pub(super) fn resolve_router(scenario: &ScenarioFile, ledger: &mut Ledger) -> RouterPolicy {
    let (default, why) = router_default(scenario);
    let given = [scenario.router.policy.clone()];
    ledger.pick_or_tell("spec.router.policy", given, default, why, |router| show::router(*router))
}

/// How requests are spread when nobody says, and why: each front its own way (cluster.md 4.1, 4.2, 4.4; the add-on's
/// `resolveEndpointURL`).
fn router_default(scenario: &ScenarioFile) -> (RouterPolicy, &'static str) {
    match scenario.gateway.as_ref().map(|written| written.kind.value) {
        None => (RouterPolicy::Random, "a Service with a connection per request picks pods at random"),
        Some(GatewayKind::Istio) => (RouterPolicy::PowerOfTwo, "Istio's default is LEAST_REQUEST of two random pods"),
        Some(GatewayKind::ProductionStack) => {
            (RouterPolicy::RoundRobin, "as the router with --routing-logic roundrobin")
        }
        Some(GatewayKind::KedaHttp) => (RouterPolicy::Random, "the interceptor picks a ready pod at random"),
        Some(GatewayKind::EppFlowControl | GatewayKind::Generic) => {
            (RouterPolicy::Random, "nobody says how the gateway spreads requests")
        }
    }
}

/// A duration that has no default.
fn optional(key: &str, given: Option<&Located<SimDuration>>, ledger: &mut Ledger) -> Option<SimDuration> {
    let given = given?;
    ledger.given(&format!("spec.gateway.{key}"), show::duration_text(&given.value), &given.span);
    Some(given.value)
}

type LabelList = Vec<(String, String)>;

/// (labels of its own series, labels of the target): what the user gives replaces or joins the ones that are assumed.
fn labels(
    written: &GatewayWritten,
    (target, namespace, model): (&str, &str, &str),
    ledger: &mut Ledger,
) -> (LabelList, LabelList) {
    let own: &[(&str, &str)] = match written.kind.value {
        GatewayKind::Generic => {
            for (name, value) in &written.labels {
                let message = format!("found the label {name} with kind generic, which exposes no metrics");
                let diagnostic = Diagnostic::error(value.span.clone(), "spec.gateway.labels", message);
                ledger.push(diagnostic.help("give its series under signals"));
            }
            return (Vec::new(), Vec::new());
        }
        GatewayKind::EppFlowControl => {
            &[("inference_pool", target), ("model_name", model), ("target_model_name", model)]
        }
        GatewayKind::ProductionStack => &[("model", model)],
        GatewayKind::Istio => &[
            ("destination_service_name", target),
            ("destination_service_namespace", namespace),
            ("reporter", "source"),
            ("request_protocol", "http"),
        ],
        GatewayKind::KedaHttp => &[("route_name", target), ("route_namespace", namespace)],
    };
    let stands_in = match written.kind.value {
        GatewayKind::Istio => "istio-system",
        GatewayKind::KedaHttp => "keda",
        _ => namespace,
    };
    let of_target = [("instance", "gateway"), ("job", "gateway"), ("namespace", stands_in), ("pod", "gateway")];
    let text = |pairs: &[(&str, &str)]| -> LabelList {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let (mut own, mut of_target) = (text(own), text(&of_target));
    for (name, value) in &written.labels {
        ledger.given(&format!("spec.gateway.labels.{name}"), show::quoted(&value.value), &value.span);
        let place = if own.iter().any(|(known, _)| known == name) { &mut own } else { &mut of_target };
        place.retain(|(known, _)| known != name);
        place.push((name.clone(), value.value.clone()));
    }
    let is_given = |name: &str| written.labels.iter().any(|(given, _)| given == name);
    let assumed = own.iter().chain(&of_target).filter(|(name, _)| !is_given(name));
    let shown: Vec<String> = assumed.map(|(name, value)| format!("{name}={value}")).collect();
    if !shown.is_empty() {
        ledger.tell(
            "labels of the gateway's series",
            shown.join(", "),
            "spec.gateway.labels says otherwise where given",
        );
    }
    (own, of_target)
}

/// The endpoint picker's choice of a pod is the router's here.
fn tell_scores(written: &GatewayWritten, ledger: &mut Ledger) {
    if written.kind.value == GatewayKind::EppFlowControl {
        let message = "the endpoint picker's scores are not modelled: spec.router.policy picks the pods";
        ledger.push(Diagnostic::warning(written.kind.span.clone(), "spec.gateway.kind", message));
    }
}

/// A push scaler beside the add-on's gateway follows its signal, not the requests that the gateway has.
pub(super) fn tell_push(gateway: Option<&GatewaySettings>, spec: &ScaledObjectSpec, ledger: &mut Ledger) {
    if gateway.is_none_or(|gateway| gateway.kind != GatewayKind::KedaHttp) {
        return;
    }
    for (index, trigger) in spec.triggers.iter().enumerate() {
        let TriggerKind::Signal(own) = &trigger.kind else { continue };
        if own.pushes {
            let message = "the interceptor's push is not modelled: this trigger has the value of its signal, whatever the \
                           gateway holds";
            let help = "a prometheus trigger on interceptor_request_concurrency follows the gateway";
            let path = format!("spec.triggers[{index}]");
            ledger.push(Diagnostic::warning(trigger.span.clone(), path, message).help(help));
        }
    }
}

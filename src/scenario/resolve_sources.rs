//! Who answers the HPA for each of its metrics: KEDA, metrics-server, or the adapters that a plain HPA's metrics need.

use crate::hpa::{HpaSpec, MetricTarget};
use crate::keda::{MetricOrigin, TriggerKind};
use crate::manifest::{HorizontalPodAutoscaler, nearest};
use crate::replica::{EngineConfig, exposition};
use crate::scenario::ledger::Ledger;
use crate::scenario::resolve_policy::{Controllers, Origins};
use crate::scenario::{KedaSettings, MetricSource};
use crate::series::{MetricKind, Signals};
use crate::units::{Diagnostic, Span};

/// One source per metric of the HPA; `None` after an error in the ledger.
pub(super) fn resolve_sources(
    controllers: &Controllers,
    engine: &EngineConfig,
    signals: &Signals,
    ledger: &mut Ledger,
) -> Option<Vec<MetricSource>> {
    match (&controllers.origins, &controllers.keda) {
        (Origins::Keda(origins), Some(keda)) => Some(origins.iter().map(|origin| of_keda(*origin, keda)).collect()),
        (Origins::Keda(_), None) => None,
        (Origins::Written(written), _) => {
            let hpa = &controllers.hpa;
            refuse_unused(hpa, written, signals, ledger);
            let sources: Vec<Option<MetricSource>> =
                (0..hpa.metrics.len()).map(|index| of_hpa(index, hpa, written, engine, signals, ledger)).collect();
            sources.into_iter().collect()
        }
    }
}

fn of_keda(origin: MetricOrigin, keda: &KedaSettings) -> MetricSource {
    match origin {
        MetricOrigin::Formula => MetricSource::Formula,
        MetricOrigin::Trigger(index) => match keda.scaled_object.triggers[index].kind {
            // KEDA only writes it into the HPA.
            TriggerKind::Resource(_) => MetricSource::Resource,
            _ => MetricSource::Trigger(index),
        },
    }
}

fn of_hpa(
    index: usize,
    hpa: &HpaSpec,
    written: &HorizontalPodAutoscaler,
    engine: &EngineConfig,
    signals: &Signals,
    ledger: &mut Ledger,
) -> Option<MetricSource> {
    let metric = &hpa.metrics[index];
    let own = written.metrics.get(index);
    let span = own.map_or_else(|| written.span.clone(), |own| own.span.clone());
    let path = own.map_or_else(|| format!("spec.metrics[{index}]"), |own| own.path.clone());
    match metric.target {
        MetricTarget::ResourceUtilization(..) | MetricTarget::ResourceAverageValue(..) => Some(MetricSource::Resource),
        MetricTarget::ExternalAverageValue(_) | MetricTarget::ExternalValue(_) => {
            external(&metric.name, span, &path, signals, ledger)
        }
        MetricTarget::PodsAverageValue(_) => pods(&metric.name, span, &path, engine, signals, ledger),
    }
}

/// A signal that names no external metric would change nothing, which nobody means.
fn refuse_unused(hpa: &HpaSpec, written: &HorizontalPodAutoscaler, signals: &Signals, ledger: &mut Ledger) {
    let external = hpa.metrics.iter().filter(|metric| metric.target.is_external());
    let names: Vec<&str> = external.map(|metric| metric.name.as_str()).collect();
    for (own, _) in signals.triggers.iter().filter(|(own, _)| !names.contains(&own.value.as_str())) {
        let message =
            format!("found a signal for {:?}, which is no external metric of {}", own.value, written.name.value);
        let help = if names.is_empty() {
            "it has none: only external metrics take signals".to_owned()
        } else {
            format!("external metrics: {}", names.join(", "))
        };
        let path = format!("signals.triggers.{}", own.value);
        ledger.push(Diagnostic::error(own.span.clone(), path, message).help(help));
    }
}

/// An adapter for external metrics: what it serves under `name`, the user gives.
fn external(name: &str, span: Span, path: &str, signals: &Signals, ledger: &mut Ledger) -> Option<MetricSource> {
    let given = signals.triggers.iter().find(|(own, _)| own.value == *name);
    if let Some((_, signal)) = given {
        return Some(MetricSource::ExternalSignal(signal.value.clone()));
    }
    let message =
        format!("the external metric {name} comes from an adapter that is not simulated, so its values must be given");
    let known: Vec<&str> = signals.triggers.iter().map(|(own, _)| own.value.as_str()).collect();
    let help = match nearest(name, known.iter().copied()) {
        Some(near) => format!("signals has {near:?}; did you mean that?"),
        None => format!(
            "give them in the Scenario, for example signals: {{triggers: {{{name}: {{value: {{constant: 3}}}}}}}}"
        ),
    };
    ledger.push(Diagnostic::error(span, path, message).help(help));
    None
}

/// An adapter for custom metrics such as prometheus-adapter: the pods' own series of that name. Adapters cannot have `:` in a
/// name, so rules rename vLLM's with `_`.
fn pods(
    name: &str,
    span: Span,
    path: &str,
    engine: &EngineConfig,
    signals: &Signals,
    ledger: &mut Ledger,
) -> Option<MetricSource> {
    let exposed = exposition(engine);
    let own = exposed.series.iter().map(|series| (series.labels.metric_name(), series.kind));
    let of_user = signals.series.iter().map(|series| (series.labels.metric_name(), series.kind));
    let known: Vec<(&str, MetricKind)> = own.chain(of_user).collect();
    let found = known
        .iter()
        .find(|(own, _)| *own == name)
        .or_else(|| known.iter().find(|(own, _)| own.replace(':', "_") == name.replace(':', "_")));
    let Some((series, kind)) = found else {
        let message = format!("no scraped series is called {name}, so an adapter has nothing to serve for it");
        let names: Vec<String> = known.iter().map(|(own, _)| own.replace(':', "_")).collect();
        let near = nearest(name, names.iter().map(String::as_str));
        let help = near.map_or_else(
            || {
                "name a series that the pods expose (vllm_num_requests_waiting, ...), or give it under signals.series"
                    .to_owned()
            },
            |near| format!("did you mean {near}?"),
        );
        ledger.push(Diagnostic::error(span, path, message).help(help));
        return None;
    };
    if *kind != MetricKind::Gauge {
        let message = format!("{name} only ever grows; its values are taken as they stand");
        let help = "adapters usually serve the rate of such a series under another name; use a gauge, or a ScaledObject \
                    with the query";
        ledger.push(Diagnostic::warning(span, path, message).help(help));
    }
    let query = format!("sum by (pod) ({series})");
    let why = "an adapter such as prometheus-adapter serves the newest values by pod; its own rules may say otherwise";
    ledger.tell(path, query.clone(), why);
    Some(MetricSource::PodsMetric(query))
}

//! Which PodMonitor or ServiceMonitor selects the target's pods, if any: labels, port and namespace, as prometheus-operator
//! and service discovery would (reference: promql.md 1). How often they are scraped is not decided here.

use crate::manifest::{Bundle, MonitorNamespaces, MonitorPort, PodMonitor};
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::units::{Diagnostic, Span};

/// The monitor that scrapes the pods (of those that select nothing the first), and whether the pods are scraped. Without
/// any monitor among the input they are: its author has one elsewhere.
pub(super) fn choose_monitor(
    bundle: &Bundle,
    workload: Option<&Workload>,
    namespace: &str,
    ledger: &mut Ledger,
) -> (Option<PodMonitor>, bool) {
    let is_monitor = |kind: &str| kind == "PodMonitor" || kind == "ServiceMonitor";
    let mut monitors = Vec::new();
    for document in bundle.documents.iter().filter(|document| is_monitor(&document.kind)) {
        monitors.extend(PodMonitor::read(document, &mut ledger.diagnostics));
    }
    if monitors.is_empty() {
        return (None, true);
    }
    let services_given = bundle.skipped.iter().any(|skipped| skipped.kind == "Service");
    let (mut selecting, mut others) = (Vec::new(), Vec::new());
    for monitor in monitors {
        match obstacle(&monitor, workload, namespace, services_given) {
            None => selecting.push(monitor),
            Some(why) => others.push((monitor, why)),
        }
    }
    if selecting.is_empty() {
        for (monitor, (span, why)) in &others {
            let what = format!("{} {} selects nothing, so nothing is scraped", monitor.kind, monitor.name.value);
            let diagnostic = Diagnostic::warning(span.clone(), "", format!("{what}: {why}"));
            ledger.push(diagnostic.help("every query over the pods' series comes back empty"));
        }
        return (others.into_iter().next().map(|(monitor, _)| monitor), false);
    }
    let monitor = selecting.swap_remove(0);
    if !selecting.is_empty() {
        let (name, count) = (&monitor.name.value, selecting.len() + 1);
        let message = format!("{count} monitors select the pods; they are scraped as {name} says");
        ledger.push(Diagnostic::note(monitor.span.clone(), "", message));
    }
    (Some(monitor), true)
}

/// Why `monitor` does not select the pods: the place and the reason. What is not known of the pods is taken as matching.
fn obstacle(
    monitor: &PodMonitor,
    workload: Option<&Workload>,
    namespace: &str,
    services_given: bool,
) -> Option<(Span, String)> {
    let subject = workload.map_or("the target", |workload| workload.what.as_str());
    match &monitor.namespaces {
        MonitorNamespaces::Any => {}
        MonitorNamespaces::Own => {
            if let Some(own) = monitor.namespace.as_ref().filter(|own| own.value != namespace) {
                let why = format!(
                    "it has no namespaceSelector and looks at its own namespace {:?}, the pods are in {namespace:?}",
                    own.value
                );
                return Some((own.span.clone(), why));
            }
        }
        MonitorNamespaces::Named(names) => {
            if let Some(first) = names.first().filter(|_| !names.iter().any(|name| name.value == namespace)) {
                let shown: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                let why = format!("its namespaceSelector names {}, the pods are in {namespace:?}", shown.join(", "));
                return Some((first.span.clone(), why));
            }
        }
    }
    let workload = workload?;
    let is_pod_monitor = monitor.kind == "PodMonitor";
    // A ServiceMonitor selects Services, which are not read: only KServe's own are known.
    if !is_pod_monitor && (services_given || !workload.is_kserve) {
        return None;
    }
    if let Some((span, why)) = monitor.selector.as_ref().and_then(|selector| selector.unmet(&workload.pod_labels)) {
        let whose = if is_pod_monitor { "the pods" } else { "the Service" };
        return Some((span, format!("its selector {why} among the labels of {whose} of {subject}")));
    }
    if is_pod_monitor { port_obstacle(monitor, workload) } else { None }
}

/// A port that no container has. Ports that nobody wrote come from a serving runtime, which is not read.
fn port_obstacle(monitor: &PodMonitor, workload: &Workload) -> Option<(Span, String)> {
    let ports = &workload.template.ports;
    if ports.is_empty() {
        return None;
    }
    let (span, wanted, found) = match monitor.endpoint_port.as_ref()? {
        MonitorPort::Name(name) => {
            let is_there = ports.iter().any(|port| port.name.as_deref() == Some(name.value.as_str()));
            (&name.span, format!("{:?}", name.value), is_there)
        }
        MonitorPort::Number(number) => {
            (&number.span, number.value.to_string(), ports.iter().any(|port| port.number == Some(number.value)))
        }
    };
    let shown: Vec<String> = ports
        .iter()
        .map(|port| match (&port.name, port.number) {
            (Some(name), Some(number)) => format!("{name} ({number})"),
            (Some(name), None) => name.clone(),
            (None, Some(number)) => format!("{number} without a name"),
            (None, None) => "one without name and number".to_owned(),
        })
        .collect();
    let why = format!("it asks for port {wanted}, the containers of {} have {}", workload.what, shown.join(", "));
    (!found).then(|| (span.clone(), why))
}

//! Which PodMonitors and ServiceMonitors select the target's pods, and which ports of them: namespaces, labels and ports, as
//! prometheus-operator and service discovery would (reference: promql.md 1; prometheus-operator
//! pkg/prometheus/promcfg.go; Prometheus discovery/kubernetes/pod.go `buildPod`). How often they are scraped, and under
//! which labels, is not decided here.

use crate::manifest::{Bundle, ContainerPort, MonitorEndpoint, MonitorNamespaces, MonitorPort, PodMonitor};
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::units::{Diagnostic, Span};

/// A monitor that selects the pods.
pub(super) struct ChosenMonitor {
    /// The monitor.
    pub monitor: PodMonitor,
    /// Its endpoints that find a port, by position, each with the ports: every one is a target of every pod.
    pub endpoints: Vec<(usize, Vec<FoundPort>)>,
}

/// A port that service discovery finds in every pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundPort {
    /// The container, where it is known.
    pub container: Option<String>,
    /// The port's name, where it has one.
    pub name: Option<String>,
    /// Its number, where it is known.
    pub number: Option<u16>,
    /// Whether the containers name no ports at all: the target is then the pod's address alone, which means port 80.
    pub anonymous: bool,
}

/// Why something is not selected: the place and the reason.
type Obstacle = (Span, String);

/// The monitors that scrape the pods. `None` without any monitor among the input: the pods' author has one elsewhere.
pub(super) fn choose_monitors(
    bundle: &Bundle,
    workload: Option<&Workload>,
    namespace: &str,
    ledger: &mut Ledger,
) -> Option<Vec<ChosenMonitor>> {
    let is_monitor = |kind: &str| kind == "PodMonitor" || kind == "ServiceMonitor";
    let mut documents = bundle.documents.iter().filter(|document| is_monitor(&document.kind)).peekable();
    documents.peek()?;
    let monitors: Vec<PodMonitor> =
        documents.filter_map(|document| PodMonitor::read(document, &mut ledger.diagnostics)).collect();
    let services_given = bundle.skipped.iter().any(|skipped| skipped.kind == "Service");
    let (mut selecting, mut others) = (Vec::new(), Vec::new());
    for monitor in monitors {
        let found = match obstacle(&monitor, workload, namespace, services_given) {
            Some(why) => Err(why),
            None => endpoints(&monitor, workload),
        };
        match found {
            Ok((endpoints, lost)) => {
                for (span, why) in lost {
                    let what = format!("this endpoint of {} {} scrapes nothing", monitor.kind, monitor.name.value);
                    ledger.push(Diagnostic::warning(span, "", format!("{what}: {why}")));
                }
                selecting.push(ChosenMonitor { monitor, endpoints });
            }
            Err(why) => others.push((monitor, why)),
        }
    }
    if selecting.is_empty() {
        for (monitor, (span, why)) in others {
            let what = format!("{} {} selects nothing, so nothing is scraped", monitor.kind, monitor.name.value);
            let diagnostic = Diagnostic::warning(span, "", format!("{what}: {why}"));
            ledger.push(diagnostic.help("every query over the pods' series comes back empty"));
        }
    }
    Some(selecting)
}

/// The endpoints of a monitor that find ports, and why the others find none; an error when all find none.
#[expect(clippy::type_complexity, reason = "a pair for one caller")]
fn endpoints(
    monitor: &PodMonitor,
    workload: Option<&Workload>,
) -> Result<(Vec<(usize, Vec<FoundPort>)>, Vec<Obstacle>), Obstacle> {
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    for (index, endpoint) in monitor.endpoints.iter().enumerate() {
        match ports(monitor, endpoint, workload) {
            Ok(ports) => found.push((index, ports)),
            Err(why) => lost.push(why),
        }
    }
    if !found.is_empty() {
        return Ok((found, lost));
    }
    Err(lost.into_iter().next().unwrap_or_else(|| (monitor.span.clone(), "it has no endpoints".to_owned())))
}

/// Why `monitor` does not select the pods. What is not known of the pods is taken as matching.
fn obstacle(
    monitor: &PodMonitor,
    workload: Option<&Workload>,
    namespace: &str,
    services_given: bool,
) -> Option<Obstacle> {
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
    // A ServiceMonitor selects Services, which are not read: only KServe's own are known.
    if monitor.is_of_services() && (services_given || !workload.is_kserve) {
        return None;
    }
    let (span, why) = monitor.selector.as_ref().and_then(|selector| selector.unmet(&workload.pod_labels))?;
    let whose = if monitor.is_of_services() { "the Service" } else { "the pods" };
    Some((span, format!("its selector {why} among the labels of {whose} of {subject}")))
}

/// The ports that an endpoint means. Those that nobody wrote come from a serving runtime, which is not read, or from a
/// Service, of which only the port behind it counts.
fn ports(
    monitor: &PodMonitor,
    endpoint: &MonitorEndpoint,
    workload: Option<&Workload>,
) -> Result<Vec<FoundPort>, Obstacle> {
    let known = workload.map_or(&[][..], |workload| &workload.template.ports[..]);
    let wanted = endpoint.port.as_ref();
    if monitor.is_of_services() || known.is_empty() {
        let of_pods = workload.filter(|workload| !monitor.is_of_services() && !workload.is_kserve);
        return match (of_pods, wanted) {
            (Some(workload), Some(wanted)) => {
                let (span, wanted) = shown_wanted(wanted);
                let why = format!("it asks for port {wanted}, the containers of {} name no ports", workload.what);
                Err((span, why))
            }
            (Some(_), None) => Ok(vec![FoundPort { container: None, name: None, number: Some(80), anonymous: true }]),
            (None, _) => Ok(vec![assumed_port(monitor, wanted, known)]),
        };
    }
    let matches = |port: &&ContainerPort| match wanted {
        None => true,
        Some(MonitorPort::Name(name)) => port.name.as_deref() == Some(name.value.as_str()),
        Some(MonitorPort::Number(number)) => port.number == Some(number.value),
    };
    let found: Vec<FoundPort> = known.iter().filter(matches).map(found_port).collect();
    if let (true, Some(wanted), Some(workload)) = (found.is_empty(), wanted, workload) {
        let (span, wanted) = shown_wanted(wanted);
        let shown: Vec<String> = known.iter().map(shown_port).collect();
        let why = format!("it asks for port {wanted}, the containers of {} have {}", workload.what, shown.join(", "));
        return Err((span, why));
    }
    Ok(found)
}

fn found_port(port: &ContainerPort) -> FoundPort {
    FoundPort {
        container: port.container.clone(),
        name: port.name.clone(),
        number: port.number.and_then(|number| u16::try_from(number).ok()),
        anonymous: false,
    }
}

/// The port behind an endpoint whose containers are not known, or which goes through a Service.
fn assumed_port(monitor: &PodMonitor, wanted: Option<&MonitorPort>, known: &[ContainerPort]) -> FoundPort {
    let number = match wanted {
        Some(MonitorPort::Number(number)) => u16::try_from(number.value).ok(),
        _ => None,
    };
    let by_number = known.iter().find(|port| number.is_some() && port.number == number.map(i64::from));
    if let Some(port) = by_number.or_else(|| known.first().filter(|_| known.len() == 1)) {
        return found_port(port);
    }
    // The name of a Service's port is none of the container's.
    let name = match wanted {
        Some(MonitorPort::Name(name)) if !monitor.is_of_services() => Some(name.value.clone()),
        _ => None,
    };
    FoundPort { container: None, name, number, anonymous: false }
}

fn shown_wanted(wanted: &MonitorPort) -> (Span, String) {
    match wanted {
        MonitorPort::Name(name) => (name.span.clone(), format!("{:?}", name.value)),
        MonitorPort::Number(number) => (number.span.clone(), number.value.to_string()),
    }
}

fn shown_port(port: &ContainerPort) -> String {
    match (&port.name, port.number) {
        (Some(name), Some(number)) => format!("{name} ({number})"),
        (Some(name), None) => name.clone(),
        (None, Some(number)) => format!("{number} without a name"),
        (None, None) => "one without name and number".to_owned(),
    }
}

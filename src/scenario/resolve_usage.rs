//! What replicas use of cpu and memory and what their pods ask for, where the HPA has a metric of them.

use crate::hpa::{HpaSpec, MetricSpec, MetricTarget, Resource};
use crate::keda::check_resource_requests;
use crate::manifest::{ContainerResources, ScaledObject};
use crate::scenario::ledger::Ledger;
use crate::scenario::workload::Workload;
use crate::scenario::{ScenarioFile, UsageSettings};
use crate::units::{Diagnostic, Located, Quantity};

const BUSY: &str = "spec.replica.cpuBusy";
const IDLE: &str = "spec.replica.cpuIdle";
const MEMORY: &str = "spec.replica.memory";

/// cpu of a replica on GPUs while it computes, milli cores: one process that drives the devices.
const BUSY_ON_GPU_MILLI: i64 = 1_000;
/// cpu of a replica that waits for requests, milli cores.
const IDLE_MILLI: i64 = 50;
/// cpu of a replica whose model loads, milli cores.
const LOADING_MILLI: i64 = 1_000;

/// The part of the run that metrics-server sees: the outer `None` after an error in the ledger, the inner one when no metric
/// asks for it.
pub(super) fn resolve_usage(
    scenario: &ScenarioFile,
    hpa: &HpaSpec,
    workload: Option<&Workload>,
    gpus: u32,
    ledger: &mut Ledger,
) -> Option<Option<UsageSettings>> {
    let written = &scenario.replica;
    for (path, given) in [(BUSY, &written.cpu_busy), (IDLE, &written.cpu_idle), (MEMORY, &written.memory)] {
        if let Some(given) = given {
            ledger.given(path, given.value.to_string(), &given.span);
        }
    }
    let asks = |resource| hpa.metrics.iter().any(|metric| resource_of(metric) == Some(resource));
    let (cpu, memory) = (asks(Resource::Cpu), asks(Resource::Memory));
    if !cpu && !memory {
        return Some(None);
    }
    ledger.tell(
        "metrics-server",
        "one scrape every 15s",
        "its released manifests have this resolution; a point carries the time of its scrape",
    );
    let requests: Vec<Option<Option<i64>>> =
        hpa.metrics.iter().map(|metric| request(metric, workload, ledger)).collect();
    let (cpu_busy_milli, cpu_idle_milli) = if cpu { cpu_use(scenario, workload, gpus, ledger)? } else { (0, 0) };
    let memory_milli = if memory { memory_use(scenario, hpa, ledger)? } else { 0 };
    Some(Some(UsageSettings {
        cpu_busy_milli,
        cpu_idle_milli,
        cpu_loading_milli: if cpu { LOADING_MILLI } else { 0 },
        memory_milli,
        requests_milli: requests.into_iter().collect::<Option<_>>()?,
    }))
}

fn resource_of(metric: &MetricSpec) -> Option<Resource> {
    match metric.target {
        MetricTarget::ResourceUtilization(resource, _) | MetricTarget::ResourceAverageValue(resource, _) => {
            Some(resource)
        }
        _ => None,
    }
}

/// (busy, idle) in milli cores.
fn cpu_use(scenario: &ScenarioFile, workload: Option<&Workload>, gpus: u32, ledger: &mut Ledger) -> Option<(i64, i64)> {
    let written = &scenario.replica;
    let limit = workload.and_then(serving).and_then(|container| container.cpu_limit.clone());
    let busy = match (&written.cpu_busy, limit) {
        (Some(given), _) => given.value.milli_value(),
        (None, _) if gpus > 0 => {
            let why = "on GPUs one process drives the devices; measure yours with kubectl top under load";
            ledger.assumed(BUSY, Quantity::from_milli(BUSY_ON_GPU_MILLI).to_string(), why);
            BUSY_ON_GPU_MILLI
        }
        (None, Some(limit)) => {
            let why = "the container's cpu limit: on CPU a replica computes with all it may use";
            ledger.assumed(BUSY, limit.value.to_string(), why);
            limit.value.milli_value()
        }
        (None, None) => {
            let message =
                "a metric of cpu needs what a replica on CPU uses while it computes, and no cpu limit says so";
            let help = "give replica: {cpuBusy: 4} in the Scenario, as kubectl top shows it under load";
            ledger.push(Diagnostic::error(None, BUSY, message).help(help));
            return None;
        }
    };
    let idle = written.cpu_idle.as_ref().map_or_else(
        || {
            let why = "a server that waits for requests; measure yours with kubectl top";
            ledger.assumed(IDLE, Quantity::from_milli(IDLE_MILLI).to_string(), why);
            IDLE_MILLI
        },
        |given| given.value.milli_value(),
    );
    ledger.tell(
        "cpu of a starting replica",
        Quantity::from_milli(LOADING_MILLI).to_string(),
        "one process that loads the model; the HPA leaves cpu of pods out that are not ready",
    );
    Some((busy, idle))
}

/// Milli bytes.
fn memory_use(scenario: &ScenarioFile, hpa: &HpaSpec, ledger: &mut Ledger) -> Option<i64> {
    if let Some(given) = &scenario.replica.memory {
        ledger.tell(
            "memory of a starting replica",
            "grows in a straight line",
            "from nothing to spec.replica.memory while the model loads",
        );
        return Some(given.value.milli_value());
    }
    let metric = hpa.metrics.iter().position(|metric| resource_of(metric) == Some(Resource::Memory)).unwrap_or(0);
    let message = format!("the HPA's metric {metric} is memory, and nothing says how much a replica uses");
    let help = "give replica: {memory: 6Gi} in the Scenario, as kubectl top shows it; vLLM's does not follow the load";
    ledger.push(Diagnostic::error(None, MEMORY, message).help(help));
    None
}

/// The container that serves.
fn serving(workload: &Workload) -> Option<&ContainerResources> {
    let containers = &workload.template.containers;
    containers.iter().find(|own| own.name == workload.container).or(match containers.as_slice() {
        [only] => Some(only),
        _ => None,
    })
}

/// What the pod (or the metric's container) asks for: the outer `None` after an error, the inner one when there is no request
/// or the metric is not of a resource (`calculatePodRequests`, `replica_calculator.go`: one container without a request
/// spoils the pod's).
fn request(metric: &MetricSpec, workload: Option<&Workload>, ledger: &mut Ledger) -> Option<Option<i64>> {
    let Some(resource) = resource_of(metric) else { return Some(None) };
    let word = resource.word();
    let by_request = matches!(metric.target, MetricTarget::ResourceUtilization(..));
    let Some(workload) = workload else {
        if !by_request {
            return Some(None);
        }
        let message = format!("utilization of {word} is a share of the pods' request, and their workload is not given");
        let help = "give the file of the Deployment or InferenceService too";
        ledger.push(Diagnostic::error(None, "", message).help(help));
        return None;
    };
    let all = workload.template.containers.as_slice();
    let chosen: Vec<&ContainerResources> = match &metric.container {
        None => all.iter().collect(),
        Some(name) => {
            let serves = serving(workload).is_some_and(|own| own.name == *name) || workload.container == *name;
            if !serves {
                ledger.push(wrong_container(name, workload, word));
                return None;
            }
            all.iter().filter(|own| own.name == *name).collect()
        }
    };
    if chosen.len() > 1 {
        ledger.tell(format!("{word} of other containers").as_str(), "0", "only the container that serves is simulated");
    }
    let mut sum = 0i64;
    for container in &chosen {
        let Some(own) = request_of(container, resource) else {
            if by_request {
                ledger.push(missing(container, workload, word));
            }
            return Some(None);
        };
        if by_request && container.assumed.contains(&word) {
            let what = format!("request of {word} of {}", container.name);
            ledger.tell(&what, own.value.to_string(), "what the platform gives a container that asks for nothing");
        }
        sum = sum.saturating_add(own.value.milli_value());
    }
    Some((!chosen.is_empty()).then_some(sum))
}

fn request_of(container: &ContainerResources, resource: Resource) -> Option<&Located<Quantity>> {
    match resource {
        Resource::Cpu => container.cpu_request.as_ref(),
        Resource::Memory => container.memory_request.as_ref(),
    }
}

fn wrong_container(name: &str, workload: &Workload, word: &str) -> Diagnostic {
    let exists = workload.template.containers.iter().any(|own| own.name == name);
    let message = if exists {
        format!("{word} of the container {name} is not simulated, only that of {}, which serves", workload.container)
    } else {
        format!("{} has no container {name}; the one that serves is {}", workload.what, workload.container)
    };
    Diagnostic::error(workload.span.clone(), "", message).help("name the container that serves, or none")
}

fn missing(container: &ContainerResources, workload: &Workload, word: &str) -> Diagnostic {
    let message = format!(
        "the container {} of {} has no {word} request: the HPA gets no utilization and fails at every sync with \"missing \
         request for {word}\"",
        container.name, workload.what
    );
    Diagnostic::warning(workload.span.clone(), "", message).help(format!("write resources.requests.{word}"))
}

/// KEDA's webhook looks at what the pods ask for.
pub(super) fn check_requests(written: &ScaledObject, workload: &Workload, ledger: &mut Ledger) {
    let mut found = check_resource_requests(written, &workload.template.containers);
    ledger.diagnostics.0.append(&mut found.0);
}

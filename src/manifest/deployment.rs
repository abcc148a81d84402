//! `Deployment`, `StatefulSet`, `LeaderWorkerSet`, and the part of a pod template that the simulation needs, as written.

use crate::manifest::object::{ObjectHead, strings};
use crate::manifest::{ContainerResources, Document, Fields, Key, Node, Value};
use crate::units::{Diagnostic, Diagnostics, Located, Quantity, Span};
use std::ops::RangeInclusive;

/// What counts and seconds may be in a pod's spec.
const COUNT: RangeInclusive<i64> = 0..=COUNT_END;
const COUNT_END: i64 = i32::MAX as i64;

/// A Deployment as written; or a StatefulSet, or a LeaderWorkerSet, one replica of which is a group of pods that serve
/// together: its template is the leader's, its GPUs are those of the whole group.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `spec.replicas`.
    pub replicas: Option<Located<i64>>,
    /// `spec.template`, or `spec.leaderWorkerTemplate`.
    pub template: PodTemplate,
}

/// What of a pod template changes a simulation. Of several containers the one that serves (asks for a GPU, or is named
/// `kserve-container`/`main`, or the first).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodTemplate {
    /// Command and arguments of the serving container, in order.
    pub args: Vec<Located<String>>,
    /// `image` of the serving container.
    pub image: Option<Located<String>>,
    /// Its `env`, as far as values are written out.
    pub env: Vec<(String, Located<String>)>,
    /// GPUs in the serving container's limits (`nvidia.com/gpu`, `amd.com/gpu`, ...), 0 when the limits name none, `None`
    /// when there are no limits.
    pub gpus: Option<Located<i64>>,
    /// Whether what is counted are slices of GPUs (`nvidia.com/mig-...`).
    pub has_gpu_slices: bool,
    /// `terminationGracePeriodSeconds`.
    pub termination_grace_period_seconds: Option<Located<i64>>,
    /// `lifecycle.preStop.sleep.seconds`, or the seconds of an `exec: sleep N`.
    pub pre_stop_seconds: Option<Located<i64>>,
    /// `readinessProbe`.
    pub readiness_probe: Option<Probe>,
    /// `startupProbe`.
    pub startup_probe: Option<Probe>,
    /// `ports` of every container; empty when none is written.
    pub ports: Vec<ContainerPort>,
    /// `metadata.labels` of the pods, as far as their author wrote them.
    pub labels: Vec<(String, String)>,
    /// Cpu and memory of every container, in order.
    pub containers: Vec<ContainerResources>,
    /// Labels that a node must have for the pods to be put there: `nodeSelector`, and what a required node affinity allows
    /// one value for.
    pub node_labels: Vec<(String, Located<String>)>,
}

/// One of a container's `ports`.
#[derive(Clone, Debug, PartialEq)]
pub struct ContainerPort {
    /// Name of the container it belongs to, where one is written.
    pub container: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `containerPort`.
    pub number: Option<i64>,
}

/// A probe's numbers; absent ones have Kubernetes' defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Where the block starts.
    pub span: Span,
    /// `periodSeconds`.
    pub period_seconds: Option<Located<i64>>,
    /// `initialDelaySeconds`.
    pub initial_delay_seconds: Option<Located<i64>>,
    /// `failureThreshold`.
    pub failure_threshold: Option<Located<i64>>,
    /// `successThreshold`.
    pub success_threshold: Option<Located<i64>>,
}

impl Deployment {
    /// Reads a Deployment, StatefulSet or LeaderWorkerSet; fields that do not change a simulation are passed over.
    ///
    /// `None`, with an error, when there is no name.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        let spec = fields.fields("spec", diagnostics);
        let mut spec = fields.required("spec", spec, diagnostics)?;
        let replicas = spec.integer("replicas", COUNT, diagnostics);
        let template = if document.kind == "LeaderWorkerSet" {
            group(&mut spec, diagnostics)
        } else {
            PodTemplate::read(&mut spec, "template", diagnostics)
        }
        .unwrap_or_default();
        let head = head?;
        Some(Deployment { span: head.span, name: head.name, namespace: head.namespace, replicas, template })
    }
}

/// The leader's template with the GPUs of its group (reference: lws `api/leaderworkerset/v1/leaderworkerset_types.go`:
/// without a leader's template the leader is like the workers, and the group is of one pod unless `size` says more).
fn group(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<PodTemplate> {
    let mut group = spec.fields("leaderWorkerTemplate", diagnostics)?;
    let size = group.integer("size", 1..=COUNT_END, diagnostics).map_or(1, |size| size.value);
    let leader = PodTemplate::read(&mut group, "leaderTemplate", diagnostics);
    let worker = PodTemplate::read(&mut group, "workerTemplate", diagnostics);
    let of_workers = worker.as_ref().and_then(|worker| worker.gpus.clone());
    let mut template = leader.or(worker)?;
    let of_leader = template.gpus.as_ref().map_or(0, |gpus| gpus.value);
    let sum = |workers: i64| of_leader.saturating_add(workers.saturating_mul(size - 1));
    template.gpus = match (template.gpus.take(), of_workers) {
        (Some(gpus), workers) => Some(gpus.map(|_| sum(workers.map_or(0, |own| own.value)))),
        (None, Some(workers)) => Some(workers.map(sum)),
        (None, None) => None,
    };
    Some(template)
}

impl PodTemplate {
    /// The template under `key`: its pod and the labels of it.
    fn read(fields: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut written = fields.fields(key, diagnostics)?;
        let pod = written.fields("spec", diagnostics);
        let mut template = pod.map(|mut pod| PodTemplate::of_pod(&mut pod, diagnostics)).unwrap_or_default();
        if let Some(mut metadata) = written.fields("metadata", diagnostics) {
            template.add_labels(metadata.string_map("labels", diagnostics).unwrap_or_default());
        }
        Some(template)
    }

    /// From a pod's spec.
    pub(crate) fn of_pod(pod: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        let containers = pod.list("containers", diagnostics).unwrap_or_default();
        let mut template = match serving(&containers) {
            Some((path, node)) => Fields::of(node, path, diagnostics)
                .map(|mut container| PodTemplate::of_container(&mut container, diagnostics))
                .unwrap_or_default(),
            None => PodTemplate::default(),
        };
        template.ports = containers.iter().flat_map(|(_, node)| ports(node)).collect();
        template.containers =
            ContainerResources::of_pod(pod, diagnostics).into_iter().map(ContainerResources::defaulted).collect();
        template.add_pod(pod, diagnostics);
        template
    }

    /// From the serving container alone.
    pub(crate) fn of_container(container: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        let has_gpu_slices = container.node("resources").and_then(|resources| resources.get("limits")).is_some_and(
            |limits| matches!(&limits.value, Value::Map(entries) if entries.iter().any(|(key, _)| key.name.starts_with(MIG))),
        );
        let mut args = strings(container, "command", diagnostics);
        args.extend(strings(container, "args", diagnostics));
        PodTemplate {
            args,
            image: container.node("image").and_then(text_of),
            env: container.node("env").map(env).unwrap_or_default(),
            gpus: gpus(container, diagnostics),
            has_gpu_slices,
            termination_grace_period_seconds: None,
            pre_stop_seconds: pre_stop(container, diagnostics),
            readiness_probe: probe(container, "readinessProbe", diagnostics),
            startup_probe: probe(container, "startupProbe", diagnostics),
            ports: container.node("ports").map(|node| port_list(node, None)).unwrap_or_default(),
            labels: Vec::new(),
            containers: Vec::new(),
            node_labels: Vec::new(),
        }
    }

    /// Adds labels; a later one replaces an earlier one of its name.
    pub(crate) fn add_labels(&mut self, labels: Vec<(Key, Located<String>)>) {
        for (key, value) in labels {
            self.labels.retain(|(own, _)| *own != key.name);
            self.labels.push((key.name, value.value));
        }
    }

    /// The fields of the pod itself.
    pub(crate) fn add_pod(&mut self, pod: &mut Fields<'_>, diagnostics: &mut Diagnostics) {
        self.termination_grace_period_seconds = pod.integer("terminationGracePeriodSeconds", COUNT, diagnostics);
        self.node_labels = pod.node("nodeSelector").map(selected_labels).unwrap_or_default();
        self.node_labels.extend(pod.node("affinity").map(required_labels).unwrap_or_default());
    }
}

/// `nodeSelector`; what is mistyped there is the API server's business.
fn selected_labels(selector: &Node) -> Vec<(String, Located<String>)> {
    let Value::Map(entries) = &selector.value else { return Vec::new() };
    let label = |(key, value): &(Key, Node)| {
        Some((key.name.clone(), Located::new(value.as_str()?.to_owned(), value.span.clone())))
    };
    entries.iter().filter_map(label).collect()
}

/// Labels for which `affinity.nodeAffinity` requires one value. Several terms are alternatives, so only a single one says
/// for sure.
fn required_labels(affinity: &Node) -> Vec<(String, Located<String>)> {
    let items = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Seq(items)) => items.clone(),
        _ => Vec::new(),
    };
    let required =
        affinity.get("nodeAffinity").and_then(|node| node.get("requiredDuringSchedulingIgnoredDuringExecution"));
    let terms = items(required.and_then(|required| required.get("nodeSelectorTerms")));
    let [term] = terms.as_slice() else { return Vec::new() };
    let label = |expression: &Node| {
        let key = expression.get("key").and_then(Node::as_str)?;
        let is_in = expression.get("operator").and_then(Node::as_str) == Some("In");
        let values = items(expression.get("values"));
        let [value] = values.as_slice() else { return None };
        is_in.then_some((key.to_owned(), Located::new(value.as_str()?.to_owned(), value.span.clone())))
    };
    items(term.get("matchExpressions")).iter().filter_map(label).collect()
}

fn text_of(node: &Node) -> Option<Located<String>> {
    Some(Located::new(node.as_str()?.to_owned(), node.span.clone()))
}

/// Variables with a value of their own; what is mistyped there is the API server's business.
fn env(node: &Node) -> Vec<(String, Located<String>)> {
    let Value::Seq(items) = &node.value else { return Vec::new() };
    let variable = |item: &Node| Some((item.get("name")?.as_str()?.to_owned(), text_of(item.get("value")?)?));
    items.iter().filter_map(variable).collect()
}

/// The ports of a container.
fn ports(container: &Node) -> Vec<ContainerPort> {
    let name = container.get("name").and_then(Node::as_str);
    container.get("ports").map(|node| port_list(node, name)).unwrap_or_default()
}

/// The ports in a list of them; what is mistyped there is the API server's business.
fn port_list(node: &Node, container: Option<&str>) -> Vec<ContainerPort> {
    let Value::Seq(items) = &node.value else { return Vec::new() };
    let port = |item: &Node| ContainerPort {
        container: container.map(str::to_owned),
        name: item.get("name").and_then(Node::as_str).map(str::to_owned),
        number: item.get("containerPort").and_then(|number| match number.value {
            Value::Int(number) => Some(number),
            _ => None,
        }),
    };
    items.iter().map(port).collect()
}

/// The container that asks for a GPU, else the one with a serving name, else the first.
fn serving<'a, 'n>(containers: &'a [(String, &'n Node)]) -> Option<&'a (String, &'n Node)> {
    let has_gpu = |node: &Node| {
        let limits = node.get("resources").and_then(|resources| resources.get("limits"));
        matches!(limits.map(|limits| &limits.value), Some(Value::Map(entries)) if entries.iter().any(|(key, _)| is_gpu(&key.name)))
    };
    let named = |node: &Node| matches!(node.get("name").and_then(Node::as_str), Some("kserve-container" | "main"));
    let by_gpu = containers.iter().find(|(_, node)| has_gpu(node));
    by_gpu.or_else(|| containers.iter().find(|(_, node)| named(node))).or_else(|| containers.first())
}

/// Resources that are slices of a GPU.
const MIG: &str = "nvidia.com/mig-";

/// Whether `resource` counts accelerators of a whole (or, for MIG, a slice of a) device.
fn is_gpu(resource: &str) -> bool {
    matches!(resource, "nvidia.com/gpu" | "amd.com/gpu" | "habana.ai/gaudi") || resource.starts_with(MIG)
}

/// GPUs in `resources.limits`: the sum over the kinds of device, 0 when there are limits without any, `None` when
/// nothing is said about limits (a serving runtime may add its own).
fn gpus(container: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<i64>> {
    let mut resources = container.fields("resources", diagnostics)?;
    let node = resources.node("limits")?;
    let path = resources.path_of("limits");
    let Value::Map(entries) = &node.value else {
        let message = format!("found {}, expected a mapping", node.describe());
        diagnostics.push(Diagnostic::error(node.span.clone(), path, message));
        return None;
    };
    let mut sum: Option<Located<i64>> = None;
    for (key, value) in entries.iter().filter(|(key, _)| is_gpu(&key.name)) {
        let text = match &value.value {
            Value::Str(text) => text.clone(),
            Value::Int(number) => number.to_string(),
            _ => value.describe(),
        };
        let milli = Quantity::parse(&text).map_or(-1, Quantity::milli_value);
        if milli < 0 || milli % 1_000 != 0 {
            let message = format!("found {}, expected a whole number of GPUs", value.describe());
            diagnostics.push(Diagnostic::error(value.span.clone(), format!("{path}[{:?}]", key.name), message));
            continue;
        }
        let before = sum.as_ref().map_or(0, |sum| sum.value);
        let span = sum.map_or_else(|| value.span.clone(), |sum| sum.span);
        sum = Some(Located::new(before.saturating_add(milli / 1_000), span));
    }
    sum.or_else(|| Some(Located::new(0, node.span.clone())))
}

fn probe(container: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Probe> {
    let mut fields = container.fields(key, diagnostics)?;
    Some(Probe {
        span: fields.span.clone(),
        period_seconds: fields.integer("periodSeconds", COUNT, diagnostics),
        initial_delay_seconds: fields.integer("initialDelaySeconds", COUNT, diagnostics),
        failure_threshold: fields.integer("failureThreshold", COUNT, diagnostics),
        success_threshold: fields.integer("successThreshold", COUNT, diagnostics),
    })
}

/// How long the hook that runs before a container is stopped takes, where that can be seen from it.
fn pre_stop(container: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<i64>> {
    let mut hook = container.fields("lifecycle", diagnostics)?.fields("preStop", diagnostics)?;
    if let Some(mut sleep) = hook.fields("sleep", diagnostics) {
        return sleep.integer("seconds", COUNT, diagnostics);
    }
    if let Some(mut exec) = hook.fields("exec", diagnostics) {
        let command = strings(&mut exec, "command", diagnostics);
        let words: Vec<&str> = command
            .iter()
            .flat_map(|part| part.value.split(|own: char| own.is_whitespace() || ";&|'\"".contains(own)))
            .filter(|word| !word.is_empty())
            .collect();
        let seconds = words
            .windows(2)
            .find(|pair| pair[0] == "sleep" || pair[0].ends_with("/sleep"))
            .and_then(|pair| pair[1].trim_end_matches('s').parse().ok());
        if let (Some(seconds), Some(first)) = (seconds, command.first()) {
            return Some(Located::new(seconds, first.span.clone()));
        }
    }
    let message = "this preStop hook is not a plain sleep, so its time is not simulated";
    diagnostics.push(Diagnostic::warning(hook.span.clone(), hook.path.clone(), message));
    None
}

#[cfg(test)]
#[path = "workload_tests.rs"]
mod tests;

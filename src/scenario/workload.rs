//! The scale target: the InferenceService or Deployment that a ScaledObject names, as far as it shapes a run.

use crate::manifest::{Bundle, Deployment, Document, InferenceService, Node, PodTemplate, ScaleTargetRef, Value};
use crate::scenario::engine_args::EngineArgs;
use crate::scenario::ledger::Ledger;
use crate::units::{Diagnostic, Located, Span};

/// Which server answers, for its behaviour at SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    /// KServe's huggingfaceserver with the vLLM backend.
    Huggingface,
    /// `vllm serve`.
    Vllm,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Workload {
    /// Where its document starts.
    pub span: Span,
    /// `InferenceService opt-125m`.
    pub what: String,
    /// Its own name, the served model's name when no argument gives one.
    pub name: Located<String>,
    /// The namespace of its pods.
    pub namespace: String,
    /// Whether it is an InferenceService.
    pub is_kserve: bool,
    /// Labels of its pods: those written and those that KServe adds.
    pub pod_labels: Vec<(String, String)>,
    /// Name of the serving container.
    pub container: String,
    /// Whether the platform gives pods a readiness probe when none is written.
    pub default_probe: bool,
    /// Which server.
    pub runtime: Runtime,
    /// Whether the platform serves the model under the workload's name when no argument says otherwise.
    pub serves_own_name: bool,
    /// Pod template.
    pub template: PodTemplate,
    /// Command line.
    pub args: EngineArgs,
    /// Model id: from the arguments, else the storage URI.
    pub model_id: Option<Located<String>>,
}

impl Workload {
    /// GPUs of one pod; `None` when nothing is said about limits.
    pub fn gpus(&self) -> Option<u32> {
        self.template.gpus.as_ref().map(|gpus| u32::try_from(gpus.value.max(0)).unwrap_or(u32::MAX))
    }
}

/// Finds the workload that `target` names (an InferenceService's Deployment is `<name>-predictor`). One that stands in
/// another namespace than the ScaledObject, where KEDA would not find it, is taken with a warning.
pub(super) fn find_workload(
    bundle: &Bundle,
    target: &ScaleTargetRef,
    namespace: &str,
    ledger: &mut Ledger,
) -> Option<Workload> {
    let is_target = |document: &&Document| match document.kind.as_str() {
        "InferenceService" => target.name.value.strip_suffix("-predictor") == Some(document.name.as_str()),
        "Deployment" => document.name == target.name.value,
        _ => false,
    };
    let own_namespace = |document: &Document| document.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    let mut called: Vec<&Document> = bundle.documents.iter().filter(is_target).collect();
    // The InferenceService first: its Deployment, when it is there too, is what KServe made of it.
    called.sort_by_key(|document| (own_namespace(document) != namespace, document.kind != "InferenceService"));
    let Some(document) = called.first() else {
        warn_of_strangers(bundle, target, ledger);
        return None;
    };
    let place = own_namespace(document);
    if place != namespace {
        let what = format!("{} {} is in namespace {place:?}", document.kind, document.name);
        let message = format!("{what}, the ScaledObject in {namespace:?}: KEDA would not find its scale target");
        let span = document.root.get("metadata").and_then(|metadata| metadata.get("namespace"));
        let span = span.map_or_else(|| document.root.span.clone(), |node| node.span.clone());
        let help = "give both the same metadata.namespace; the run goes on as though they had it";
        ledger.push(Diagnostic::warning(span, "metadata.namespace", message).help(help));
    }
    let mut workload = if document.kind == "InferenceService" {
        let service = InferenceService::read(document, &mut ledger.diagnostics)?;
        warn_of_second_autoscaler(&service, ledger);
        from_service(service)
    } else {
        from_deployment(Deployment::read(document, &mut ledger.diagnostics)?, &document.root)
    };
    workload.namespace = place;
    Some(workload)
}

/// Workloads are given, and none of them is the target.
fn warn_of_strangers(bundle: &Bundle, target: &ScaleTargetRef, ledger: &mut Ledger) {
    let names: Vec<String> = bundle
        .documents
        .iter()
        .filter_map(|document| match document.kind.as_str() {
            "InferenceService" => Some(format!("{}-predictor", document.name)),
            "Deployment" => Some(document.name.clone()),
            _ => None,
        })
        .collect();
    if names.is_empty() {
        return;
    }
    let kind = target.kind.as_ref().map_or("Deployment", |kind| kind.value.as_str());
    let message = format!("target {kind} {} is none of {}", target.name.value, names.join(", "));
    let diagnostic = Diagnostic::warning(target.name.span.clone(), "spec.scaleTargetRef.name", message);
    ledger.push(diagnostic.help("name one of them, or give the file of the workload that is meant"));
}

/// With a hand-written ScaledObject only the autoscaler class `external` is right (keda.md 9.1).
fn warn_of_second_autoscaler(service: &InferenceService, ledger: &mut Ledger) {
    let class = service.autoscaler_class.as_ref();
    let consequence = match class.map_or("hpa", |class| class.value.as_str()) {
        "external" => return,
        "none" => "KServe pins the replicas to minReplicas and undoes what the HPA writes",
        "keda" => "KServe creates a ScaledObject of its own for the same target, and KEDA's webhook refuses the second",
        _ => "KServe creates an HPA of its own for the same target, and KEDA's webhook refuses the ScaledObject",
    };
    let span = class.map_or_else(|| service.span.clone(), |class| class.span.clone());
    let written = class.map_or_else(|| "no autoscalerClass (so hpa)".to_owned(), |class| format!("{:?}", class.value));
    let path = "metadata.annotations.serving.kserve.io/autoscalerClass";
    let message = format!("found {written}, expected \"external\": {consequence}");
    let help =
        "annotate the InferenceService with serving.kserve.io/autoscalerClass: external; the run takes it as given";
    ledger.push(Diagnostic::warning(span, path, message).help(help));
}

fn from_service(service: InferenceService) -> Workload {
    let args = EngineArgs::read(&service.template.args);
    let format = service.model_format.as_ref().map(|format| format.value.to_lowercase());
    let runtime = if format.as_deref() == Some("huggingface") { Runtime::Huggingface } else { Runtime::Vllm };
    let model_id = args.model_id().cloned().or_else(|| service.storage_uri.clone());
    let mut pod_labels = service.template.labels.clone();
    for (key, value) in [
        ("serving.kserve.io/inferenceservice", service.name.value.clone()),
        ("app", format!("isvc.{}-predictor", service.name.value)),
        ("component", "predictor".to_owned()),
    ] {
        pod_labels.retain(|(own, _)| own != key);
        pod_labels.push((key.to_owned(), value));
    }
    Workload {
        namespace: String::new(),
        is_kserve: true,
        pod_labels,
        span: service.span,
        what: format!("InferenceService {}", service.name.value),
        name: service.name,
        container: "kserve-container".to_owned(),
        default_probe: true,
        runtime,
        serves_own_name: format.is_some(),
        template: service.template,
        args,
        model_id,
    }
}

fn from_deployment(deployment: Deployment, root: &Node) -> Workload {
    let args = EngineArgs::read(&deployment.template.args);
    Workload {
        namespace: String::new(),
        is_kserve: false,
        pod_labels: deployment.template.labels.clone(),
        span: deployment.span,
        what: format!("Deployment {}", deployment.name.value),
        container: serving_container(root).unwrap_or_else(|| deployment.name.value.clone()),
        name: deployment.name,
        default_probe: false,
        runtime: Runtime::Vllm,
        serves_own_name: false,
        template: deployment.template,
        model_id: args.model_id().cloned(),
        args,
    }
}

/// Name of the container that asks for an accelerator, or is called `kserve-container` or `main`, or comes first.
fn serving_container(root: &Node) -> Option<String> {
    let containers = root.get("spec")?.get("template")?.get("spec")?.get("containers")?;
    let Value::Seq(containers) = &containers.value else { return None };
    let name = |container: &Node| container.get("name").and_then(Node::as_str).map(str::to_owned);
    let asks_gpu = |container: &&Node| {
        let limits = container.get("resources").and_then(|resources| resources.get("limits"));
        matches!(limits.map(|limits| &limits.value), Some(Value::Map(entries))
            if entries.iter().any(|(key, _)| key.name.contains("/gpu") || key.name.contains("/mig-")))
    };
    let called = |container: &&Node| matches!(name(container).as_deref(), Some("kserve-container" | "main"));
    let chosen = containers.iter().find(asks_gpu).or_else(|| containers.iter().find(called));
    name(chosen.or_else(|| containers.first())?)
}

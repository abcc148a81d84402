//! The scale target: the InferenceService, Deployment or other workload that a policy names, as far as it shapes a run.
//!
//! Which document that is, `scale_target` finds; what an LLMInferenceService says, `llm_workload` reads.

use crate::manifest::{
    Bundle, Deployment, InferenceService, KSERVE_REQUEST_DEFAULTS, Node, PodTemplate, ScaleTargetRef, Value,
};
use crate::scenario::engine_args::EngineArgs;
use crate::scenario::ledger::Ledger;
use crate::scenario::{llm_workload, scale_target};
use crate::units::{Diagnostic, Located, Quantity, Span};

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
    /// Its own name (of an LLMInferenceService its model's), the served model's name when no argument gives one.
    pub name: Located<String>,
    /// The namespace of its pods.
    pub namespace: String,
    /// Whether KServe makes its pods.
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

/// Finds the workload that `target` names among the documents of its kind: a Deployment, StatefulSet or LeaderWorkerSet of
/// its name, or the InferenceService or LLMInferenceService from which KServe makes it. Namespaces and the warnings about them
/// and about kinds are `scale_target`'s. `namespace` is the policy's, `default` when none is written.
pub(super) fn find_workload(
    bundle: &Bundle,
    target: &ScaleTargetRef,
    namespace: &str,
    ledger: &mut Ledger,
) -> Option<Workload> {
    let (document, part, place) = scale_target::find(bundle, target, namespace, ledger)?;
    let diagnostics = &mut ledger.diagnostics;
    let mut workload = match document.kind.as_str() {
        "InferenceService" => {
            let service = InferenceService::read(document, diagnostics)?;
            if !is_generated(target, &service.name) {
                warn_of_second_autoscaler(&service, ledger);
            }
            from_service(service)
        }
        "LLMInferenceService" => llm_workload::read(document, part, &target.name.span, ledger)?,
        kind => from_deployment(kind, Deployment::read(document, diagnostics)?, &document.root),
    };
    workload.namespace = place;
    Some(workload)
}

/// Whether the policy is what KServe makes of the service: the target's name then stands where the service's does.
fn is_generated(target: &ScaleTargetRef, service: &Located<String>) -> bool {
    target.name.span == service.span
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

fn from_service(mut service: InferenceService) -> Workload {
    default_requests(&mut service);
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

/// Requests that nobody wrote for the model's container are those of KServe's ConfigMap, marked as assumed.
fn default_requests(service: &mut InferenceService) {
    let span = service.span.clone();
    // The webhook defaults the model's container only, which stands first.
    let Some(container) = service.template.containers.first_mut() else { return };
    for (resource, text) in KSERVE_REQUEST_DEFAULTS {
        let request = if resource == "cpu" { &mut container.cpu_request } else { &mut container.memory_request };
        if request.is_none() {
            let quantity = Quantity::parse(text).expect("the defaults are quantities");
            *request = Some(Located::new(quantity, span.clone()));
            container.assumed.push(resource);
        }
    }
}

fn from_deployment(kind: &str, deployment: Deployment, root: &Node) -> Workload {
    let args = EngineArgs::read(&deployment.template.args);
    Workload {
        namespace: String::new(),
        is_kserve: false,
        pod_labels: deployment.template.labels.clone(),
        span: deployment.span,
        what: format!("{kind} {}", deployment.name.value),
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
    let spec = root.get("spec")?;
    let group = spec.get("leaderWorkerTemplate");
    let of_group = group.and_then(|group| group.get("leaderTemplate").or_else(|| group.get("workerTemplate")));
    let containers = spec.get("template").or(of_group)?.get("spec")?.get("containers")?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The requests of the container at `index` in milli units, and which are assumed.
    fn requests(text: &str, name: &str, index: usize) -> (Option<i64>, Option<i64>, Vec<&'static str>) {
        let bundle = Bundle::from_text(text, "t").expect("valid YAML");
        let name = Located::new(name.to_owned(), Span::new("t", 0, 0));
        let target = ScaleTargetRef { name, kind: None, api_version: None };
        let workload = find_workload(&bundle, &target, "default", &mut Ledger::default()).expect("the target");
        let own = &workload.template.containers[index];
        let milli = |own: &Option<Located<Quantity>>| own.as_ref().map(|own| own.value.milli_value());
        (milli(&own.cpu_request), milli(&own.memory_request), own.assumed.clone())
    }

    #[test]
    fn requests_that_nobody_wrote_are_kserves_and_marked_as_assumed() {
        let service = |model: &str| {
            format!(
                "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{name: x}}\nspec:\n  predictor:\n    \
                 model: {{{model}}}\n    containers: [{{name: side}}]\n"
            )
        };
        let (core, two_gibi) = (Some(1_000), Some((2_i64 << 30) * 1_000));
        let of = |model: &str| requests(&service(model), "x-predictor", 0);
        assert_eq!(of(""), (core, two_gibi, vec!["cpu", "memory"]));
        assert_eq!(of("resources: {limits: {cpu: 4}}"), (core, two_gibi, vec!["cpu", "memory"]));
        assert_eq!(of("resources: {requests: {cpu: 2}}"), (Some(2_000), two_gibi, vec!["memory"]));
        assert_eq!(requests(&service(""), "x-predictor", 1), (None, None, vec![]), "a container beside the model");
        let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  template:\n    spec:\n      \
                          containers: [{name: a, resources: {limits: {cpu: 4}}}]\n";
        assert_eq!(requests(deployment, "d", 0), (Some(4_000), None, vec![]));
    }
}

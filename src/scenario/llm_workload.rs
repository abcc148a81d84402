//! What an LLMInferenceService says about the engine of its replicas (keda.md 9.4).

use crate::manifest::{Document, LlmInferenceService, LlmWorkload, Parallelism};
use crate::scenario::engine_args::EngineArgs;
use crate::scenario::ledger::Ledger;
use crate::scenario::scale_target::Part;
use crate::scenario::workload::{Runtime, Workload};
use crate::units::{Diagnostic, Located, Span};

/// The workload of `document` that `part` names, for a policy whose target's name stands at `target`; `None` after an error in
/// the ledger.
pub(super) fn read(document: &Document, part: Part, target: &Span, ledger: &mut Ledger) -> Option<Workload> {
    let service = LlmInferenceService::read(document, &mut ledger.diagnostics)?;
    let scaling = match part {
        Part::Main => service.main.scaling.as_ref(),
        Part::Prefill => service.prefill.as_ref().and_then(|prefill| prefill.scaling.as_ref()),
    };
    if let Some(scaling) = scaling.filter(|_| *target != service.name.span) {
        let message =
            "KServe creates an autoscaler of its own for the same target, and KEDA's webhook refuses the second";
        let help = "remove scaling from the LLMInferenceService, or the policy beside it; the run takes the policy";
        ledger.push(Diagnostic::warning(scaling.span.clone(), scaling.path.clone(), message).help(help));
    }
    let is_split = service.prefill.is_some();
    let own_name = service.name.value.clone();
    let (mut written, role, suffix) = match (part, service.prefill) {
        (Part::Prefill, Some(prefill)) => (prefill, "prefill", "-prefill"),
        (_, _) => (service.main, if is_split { "decode" } else { "both" }, ""),
    };
    if is_split {
        let message = format!(
            "LLMInferenceService {own_name} splits prefill and decode: here every replica of {role} does both, which is not \
             how it runs"
        );
        let help = "take its scaling as that of replicas that serve whole requests";
        ledger.push(Diagnostic::warning(written.span.clone(), written.path.clone(), message).help(help));
    }
    written.template.gpus = gpus(&written, ledger);
    let args = engine_args(&written);
    let mut pod_labels = written.template.labels.clone();
    for (key, value) in [
        ("app.kubernetes.io/component", format!("llminferenceservice-workload{suffix}")),
        ("app.kubernetes.io/name", own_name.clone()),
        ("app.kubernetes.io/part-of", "llminferenceservice".to_owned()),
        ("kserve.io/component", "workload".to_owned()),
        ("llm-d.ai/role", role.to_owned()),
    ] {
        pod_labels.retain(|(own, _)| own != key);
        pod_labels.push((key.to_owned(), value));
    }
    let what = if part == Part::Prefill { format!("{own_name} (prefill)") } else { own_name };
    Some(Workload {
        span: service.span,
        what: format!("LLMInferenceService {what}"),
        // KServe serves under spec.model.name, by default the resource's own.
        name: service.model_name.unwrap_or(service.name),
        namespace: String::new(),
        is_kserve: true,
        pod_labels,
        container: "main".to_owned(),
        default_probe: true,
        runtime: Runtime::Vllm,
        serves_own_name: true,
        model_id: args.model_id().cloned().or(service.model_uri),
        template: written.template,
        args,
    })
}

/// Command line: what KServe puts there for `parallelism`, the container's own, and `VLLM_ADDITIONAL_ARGS`.
fn engine_args(written: &LlmWorkload) -> EngineArgs {
    let mut words = written.template.args.clone();
    if let Some(additional) = &written.additional_args {
        let word = |word: &str| Located::new(word.to_owned(), additional.span.clone());
        words.extend(additional.value.split_whitespace().map(word));
    }
    let mut args = EngineArgs::read(&words);
    let Some(parallelism) = &written.parallelism else { return args };
    let sizes = [
        ("tensor-parallel-size", &parallelism.tensor),
        ("pipeline-parallel-size", &parallelism.pipeline),
        ("data-parallel-size", &parallelism.data),
    ];
    for (flag, size) in sizes {
        if let Some(size) = size.as_ref().filter(|size| size.value != 1) {
            args.imply(flag, size.clone().map(|size| size.to_string()));
        }
    }
    args
}

/// GPUs of one replica: what the container asks for in each pod of it, else one for every part of the model.
fn gpus(written: &LlmWorkload, ledger: &mut Ledger) -> Option<Located<i64>> {
    let of_pod = written.template.gpus.clone();
    let Some(parallelism) = &written.parallelism else { return of_pod };
    let size = |size: &Option<Located<i64>>| size.as_ref().map_or(1, |size| size.value);
    let parts = [&parallelism.tensor, &parallelism.pipeline, &parallelism.data]
        .into_iter()
        .map(size)
        .fold(1, i64::saturating_mul);
    let Some(of_pod) = of_pod.filter(|gpus| gpus.value > 0) else {
        return Some(Located::new(parts, parallelism.span.clone()));
    };
    let pods = if written.worker.is_some() { group_size(parallelism) } else { 1 };
    let asked = of_pod.value.saturating_mul(pods);
    if asked != parts {
        let message = format!(
            "its {pods} pods ask for {asked} GPUs, tensor x pipeline x data parallelism is {parts}: GPU-hours count the {asked}"
        );
        ledger.push(Diagnostic::warning(parallelism.span.clone(), format!("{}.parallelism", written.path), message));
    }
    Some(of_pod.map(|_| asked))
}

/// Pods of a group (reference: kserve `llm_inference_service_types_func.go`, `ParallelismSpec.GetSize`).
fn group_size(parallelism: &Parallelism) -> i64 {
    let value = |size: &Option<Located<i64>>| size.as_ref().map_or(1, |size| size.value.max(1));
    if parallelism.data.is_some() || parallelism.data_local.is_some() {
        return (value(&parallelism.data) / value(&parallelism.data_local)).max(1);
    }
    value(&parallelism.pipeline)
}

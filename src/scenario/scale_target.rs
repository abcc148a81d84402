//! Which document a policy's `scaleTargetRef` means: by kind, name and namespace.
//!
//! A namespace that is not written is the one that `kubectl apply` works in (`default`, or that of `-n` or the context), which
//! files do not tell. So it is taken to be the other side's: what stands together in the input is meant to work together. A note
//! says so when only one side is written; two that are written and differ are a warning, since KEDA would not find the target.

use crate::manifest::{Bundle, Document, Node, ScaleTargetRef};
use crate::scenario::ledger::Ledger;
use crate::units::{Diagnostic, Span};

/// Which workload of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its only one, or the main (decode) one of an LLMInferenceService.
    Main,
    /// `spec.prefill` of an LLMInferenceService.
    Prefill,
}

/// How well the namespaces fit; a smaller one fits better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The same, or neither is written.
    Same,
    /// One is not written.
    Unsaid,
    /// Both are written and differ.
    Apart,
}

/// The document, the part of it and the namespace of its pods. `None`, with a warning if there are other workloads, when
/// nothing has that name, and always for kinds that are not read; after an error in the ledger when several fit alike.
pub(super) fn find<'b>(
    bundle: &'b Bundle,
    target: &ScaleTargetRef,
    namespace: &str,
    ledger: &mut Ledger,
) -> Option<(&'b Document, Part, String)> {
    let kind = kind_of(target);
    warn_of_kind(target, kind, ledger);
    let is_target = |document: &'b Document| {
        targets_of(document)
            .into_iter()
            .find(|(own, name, _)| *own == kind && *name == target.name.value)
            .map(|(_, _, part)| (document, part))
    };
    let policy = policy_document(bundle, target);
    let is_written = policy.is_none_or(|document| document.namespace.is_some());
    let fit = |document: &Document| match &document.namespace {
        Some(own) if own == namespace => Fit::Same,
        // Neither is written, or the one that is names Kubernetes' own default.
        None if namespace == "default" => Fit::Same,
        Some(_) if is_written => Fit::Apart,
        Some(_) | None => Fit::Unsaid,
    };
    // KServe's own resource first: its Deployment, when it is there too, is what KServe made of it.
    let rank = |document: &Document| (fit(document), !document.kind.ends_with("InferenceService"));
    let mut called: Vec<(&Document, Part)> = bundle.documents.iter().filter_map(is_target).collect();
    called.sort_by_key(|(document, _)| rank(document));
    let Some((document, part)) = called.first().copied() else {
        warn_of_strangers(bundle, target, kind, ledger);
        return None;
    };
    let what = format!("{} {}", document.kind, document.name);
    let place = document.namespace.clone().unwrap_or_else(|| namespace.to_owned());
    match fit(document) {
        Fit::Same => {}
        Fit::Unsaid if is_written => {
            let message = format!("{what} has no namespace: taken to be in {place:?} as the policy is");
            let help = "so it is with kubectl apply -n or that context; otherwise KEDA does not find its scale target";
            ledger.push(Diagnostic::note(document.root.span.clone(), "metadata.namespace", message).help(help));
        }
        Fit::Unsaid => {
            let other = called.iter().find(|(own, _)| own.namespace.as_ref().is_some_and(|other| *other != place));
            let policy_span = policy.map(|document| document.root.span.clone());
            if let Some((other, _)) = other {
                let rival = other.namespace.as_deref().unwrap_or_default();
                let message = format!(
                    "no namespace is written, and a workload of the target's name is in {place:?} and in {rival:?}"
                );
                let help = "write the metadata.namespace of the one that is meant";
                ledger.push(Diagnostic::error(policy_span, "metadata.namespace", message).help(help));
                return None;
            }
            let message = format!("no namespace is written: taken to be {place:?}, where its scale target {what} is");
            ledger.push(Diagnostic::note(policy_span, "metadata.namespace", message));
        }
        Fit::Apart => {
            let message = format!(
                "{what} is in namespace {place:?}, the ScaledObject in {namespace:?}: KEDA would not find its scale target"
            );
            let help = "give both the same metadata.namespace; the run goes on as though they had it";
            ledger.push(Diagnostic::warning(namespace_span(document), "metadata.namespace", message).help(help));
        }
    }
    Some((document, part, place))
}

fn kind_of(target: &ScaleTargetRef) -> &str {
    match target.kind.as_ref().map(|kind| kind.value.as_str()) {
        None | Some("") => "Deployment",
        Some(kind) => kind,
    }
}

/// Kind and name of everything that `document` is or that KServe makes of it and that can be scaled. (Reference: kserve
/// `pkg/constants`, `PredictorServiceName`; `pkg/controller/v1alpha2/llmisvc`, `mainDeploymentName`, `mainLWSName` and those of
/// prefill.)
pub(super) fn targets_of(document: &Document) -> Vec<(&str, String, Part)> {
    let name = &document.name;
    match document.kind.as_str() {
        "InferenceService" => vec![("Deployment", format!("{name}-predictor"), Part::Main)],
        "LLMInferenceService" => {
            let spec = document.root.get("spec");
            let prefill = spec.and_then(|spec| spec.get("prefill"));
            let of = |block: Option<&Node>, alone: &str, group: &str, part: Part| {
                let has_worker = block.and_then(|block| block.get("worker")).is_some();
                let (kind, suffix) = if has_worker { ("LeaderWorkerSet", group) } else { ("Deployment", alone) };
                (kind, format!("{name}{suffix}"), part)
            };
            let main = of(spec, "-kserve", "-kserve-mn", Part::Main);
            let second = prefill.map(|_| of(prefill, "-kserve-prefill", "-kserve-mn-prefill", Part::Prefill));
            std::iter::once(main).chain(second).collect()
        }
        kind @ ("Deployment" | "StatefulSet" | "LeaderWorkerSet") => vec![(kind, name.clone(), Part::Main)],
        _ => Vec::new(),
    }
}

/// The ScaledObject or HPA that `target` stands in; `None` when KServe generates it.
fn policy_document<'b>(bundle: &'b Bundle, target: &ScaleTargetRef) -> Option<&'b Document> {
    bundle.documents.iter().find(|document| {
        let name = document.root.get("spec").and_then(|spec| spec.get("scaleTargetRef")?.get("name"));
        matches!(document.kind.as_str(), "ScaledObject" | "HorizontalPodAutoscaler")
            && name.is_some_and(|name| name.span == target.name.span && name.as_str() == Some(&target.name.value))
    })
}

fn namespace_span(document: &Document) -> Span {
    let written = document.root.get("metadata").and_then(|metadata| metadata.get("namespace"));
    written.map_or_else(|| document.root.span.clone(), |node| node.span.clone())
}

/// Any kind but a Deployment behaves differently in ways that are not modelled.
fn warn_of_kind(target: &ScaleTargetRef, kind: &str, ledger: &mut Ledger) {
    let not_modelled = match kind {
        "Deployment" => return,
        "StatefulSet" => "its ordered creation and removal (one pod after the other, the highest ordinal first)",
        "LeaderWorkerSet" => "that a replica is a group of pods, which start and restart together,",
        _ => "what its own controller does (nothing is read from it: no engine arguments, no GPUs, no probes)",
    };
    let message = format!(
        "target-kind: the pods of {kind} {} come and go here as a Deployment's do; {not_modelled} is not modelled",
        target.name.value
    );
    let span = target.kind.as_ref().map_or_else(|| target.name.span.clone(), |kind| kind.span.clone());
    ledger.push(Diagnostic::warning(span, "spec.scaleTargetRef.kind", message));
}

/// Workloads are given, and none of them is the target.
fn warn_of_strangers(bundle: &Bundle, target: &ScaleTargetRef, kind: &str, ledger: &mut Ledger) {
    if !matches!(kind, "Deployment" | "StatefulSet" | "LeaderWorkerSet") {
        return;
    }
    let shown = |(own, name, _): (&str, String, Part)| if own == kind { name } else { format!("{own} {name}") };
    let names: Vec<String> = bundle.documents.iter().flat_map(targets_of).map(shown).collect();
    if names.is_empty() {
        return;
    }
    let message = format!("target {kind} {} is none of {}", target.name.value, names.join(", "));
    let diagnostic = Diagnostic::warning(target.name.span.clone(), "spec.scaleTargetRef.name", message);
    ledger.push(diagnostic.help("name one of them, or give the file of the workload that is meant"));
}

//! KServe `LLMInferenceService` (v1alpha1, v1alpha2), as written.

use crate::manifest::object::ObjectHead;
use crate::manifest::scaled_object::{Advanced, FROM_ONE, FROM_ZERO, fallback, triggers};
use crate::manifest::{Behavior, Document, Fallback, Fields, Key, Node, PodTemplate, Trigger, UnknownKeys, Value};
use crate::units::{Diagnostics, Located, Span};

/// An LLMInferenceService as written (reference: kserve `pkg/apis/serving/v1alpha2/llm_inference_service_types.go`).
#[derive(Clone, Debug, PartialEq)]
pub struct LlmInferenceService {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `metadata.annotations`.
    pub annotations: Vec<(Key, Located<String>)>,
    /// `spec.model.uri`.
    pub model_uri: Option<Located<String>>,
    /// `spec.model.name`.
    pub model_name: Option<Located<String>>,
    /// The workload of `spec` itself; the decode one when there is `prefill`.
    pub main: LlmWorkload,
    /// `spec.prefill`.
    pub prefill: Option<LlmWorkload>,
}

/// `WorkloadSpec`.
#[derive(Clone, Debug, PartialEq)]
pub struct LlmWorkload {
    /// Where the block starts.
    pub span: Span,
    /// Its path: `spec` or `spec.prefill`.
    pub path: String,
    /// `replicas`.
    pub replicas: Option<Located<i64>>,
    /// `scaling`.
    pub scaling: Option<LlmScaling>,
    /// `parallelism`.
    pub parallelism: Option<Parallelism>,
    /// `template`, a pod's spec.
    pub template: PodTemplate,
    /// Value of `VLLM_ADDITIONAL_ARGS` in the serving container's `env`, which KServe's own command line ends with.
    pub additional_args: Option<Located<String>>,
    /// Where `worker` starts: with it a replica is a group of pods.
    pub worker: Option<Span>,
}

/// `ParallelismSpec`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parallelism {
    /// Where the block starts.
    pub span: Span,
    /// `tensor`.
    pub tensor: Option<Located<i64>>,
    /// `pipeline`.
    pub pipeline: Option<Located<i64>>,
    /// `data`.
    pub data: Option<Located<i64>>,
    /// `dataLocal`.
    pub data_local: Option<Located<i64>>,
}

/// `ScalingSpec`.
#[derive(Clone, Debug, PartialEq)]
pub struct LlmScaling {
    /// Where the block starts.
    pub span: Span,
    /// Its path: `spec.scaling` or `spec.prefill.scaling`.
    pub path: String,
    /// `minReplicas`.
    pub min_replicas: Option<Located<i64>>,
    /// `maxReplicas`.
    pub max_replicas: Option<Located<i64>>,
    /// `keda`, with its own triggers.
    pub keda: Option<KedaScaling>,
    /// `wva`.
    pub wva: Option<WvaScaling>,
}

/// `WVASpec`: the Workload Variant Autoscaler computes the count, an HPA or KEDA carries it out.
#[derive(Clone, Debug, PartialEq)]
pub struct WvaScaling {
    /// Where the block starts.
    pub span: Span,
    /// Where `hpa` starts.
    pub hpa: Option<Span>,
    /// `keda`, without triggers.
    pub keda: Option<KedaScaling>,
}

/// `KEDAScalingSpec`: the fields of a ScaledObject that KServe passes on.
#[derive(Clone, Debug, PartialEq)]
pub struct KedaScaling {
    /// Where the block starts.
    pub span: Span,
    /// Its path, `spec.scaling.keda`.
    pub path: String,
    /// `pollingInterval`, seconds.
    pub polling_interval: Option<Located<i64>>,
    /// `cooldownPeriod`, seconds.
    pub cooldown_period: Option<Located<i64>>,
    /// `initialCooldownPeriod`, seconds.
    pub initial_cooldown_period: Option<Located<i64>>,
    /// `idleReplicaCount`.
    pub idle_replica_count: Option<Located<i64>>,
    /// `fallback`.
    pub fallback: Option<Fallback>,
    /// `advanced.horizontalPodAutoscalerConfig.behavior`.
    pub behavior: Option<Behavior>,
    /// `advanced.horizontalPodAutoscalerConfig.name`.
    pub hpa_name: Option<Located<String>>,
    /// `advanced.scalingModifiers`, unread.
    pub scaling_modifiers: Option<Node>,
    /// `triggers`; empty under `wva`.
    pub triggers: Vec<Trigger>,
}

impl LlmInferenceService {
    /// Reads `document`; fields that do not change a simulation are passed over, except under `scaling`, where unknown keys
    /// are warnings.
    ///
    /// `None`, with an error, when there is no name or no spec.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        let spec = fields.fields("spec", diagnostics);
        let mut spec = fields.required("spec", spec, diagnostics)?;
        let (mut model_uri, mut model_name) = (None, None);
        if let Some(mut model) = spec.fields("model", diagnostics) {
            model_uri = model.string("uri", diagnostics);
            model_name = model.string("name", diagnostics);
        }
        let main = LlmWorkload::read(&mut spec, diagnostics);
        let prefill = spec.fields("prefill", diagnostics).map(|mut own| LlmWorkload::read(&mut own, diagnostics));
        let head = head?;
        Some(LlmInferenceService {
            span: head.span,
            name: head.name,
            namespace: head.namespace,
            annotations: head.annotations,
            model_uri,
            model_name,
            main,
            prefill,
        })
    }
}

impl LlmWorkload {
    fn read(fields: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        let template = fields.fields("template", diagnostics);
        let mut template = template.map(|mut pod| PodTemplate::of_pod(&mut pod, diagnostics)).unwrap_or_default();
        template.add_labels(fields.string_map("labels", diagnostics).unwrap_or_default());
        LlmWorkload {
            span: fields.span.clone(),
            path: fields.path.clone(),
            replicas: fields.integer("replicas", FROM_ZERO, diagnostics),
            scaling: fields.fields("scaling", diagnostics).map(|own| LlmScaling::read(own, diagnostics)),
            parallelism: fields.fields("parallelism", diagnostics).map(|own| Parallelism::read(own, diagnostics)),
            template,
            additional_args: fields.node("template").and_then(additional_args),
            worker: fields.node("worker").map(|node| node.span.clone()),
        }
    }
}

/// Of the first container of a pod's spec that has it.
fn additional_args(pod: &Node) -> Option<Located<String>> {
    let items = |node: &Node, key: &str| match node.get(key).map(|own| &own.value) {
        Some(Value::Seq(items)) => items.clone(),
        _ => Vec::new(),
    };
    let variables = items(pod, "containers").into_iter().flat_map(|container| items(&container, "env"));
    let is_it = |variable: &Node| variable.get("name").and_then(Node::as_str) == Some("VLLM_ADDITIONAL_ARGS");
    let variable = variables.into_iter().find(is_it)?;
    let value = variable.get("value")?;
    Some(Located::new(value.as_str()?.to_owned(), value.span.clone()))
}

impl Parallelism {
    fn read(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        Parallelism {
            tensor: fields.integer("tensor", FROM_ONE, diagnostics),
            pipeline: fields.integer("pipeline", FROM_ONE, diagnostics),
            data: fields.integer("data", FROM_ONE, diagnostics),
            data_local: fields.integer("dataLocal", FROM_ONE, diagnostics),
            span: fields.span,
        }
    }
}

impl LlmScaling {
    fn read(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        let (span, path) = (fields.span.clone(), fields.path.clone());
        let min_replicas = fields.integer("minReplicas", FROM_ZERO, diagnostics);
        let max_replicas = fields.integer("maxReplicas", FROM_ONE, diagnostics);
        let max_replicas = fields.required("maxReplicas", max_replicas, diagnostics);
        let keda = fields.fields("keda", diagnostics).map(|own| KedaScaling::read(own, true, diagnostics));
        let wva = fields.fields("wva", diagnostics).map(|own| WvaScaling::read(own, diagnostics));
        fields.finish(UnknownKeys::Warn, diagnostics);
        LlmScaling { span, path, min_replicas, max_replicas, keda, wva }
    }
}

impl WvaScaling {
    fn read(mut fields: Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        let span = fields.span.clone();
        let _ = fields.node("variantCost");
        let hpa = fields.node("hpa").map(|node| node.span.clone());
        let keda = fields.fields("keda", diagnostics).map(|own| KedaScaling::read(own, false, diagnostics));
        fields.finish(UnknownKeys::Warn, diagnostics);
        WvaScaling { span, hpa, keda }
    }
}

impl KedaScaling {
    fn read(mut fields: Fields<'_>, has_triggers: bool, diagnostics: &mut Diagnostics) -> Self {
        let (span, path) = (fields.span.clone(), fields.path.clone());
        let polling_interval = fields.integer("pollingInterval", FROM_ONE, diagnostics);
        let cooldown_period = fields.integer("cooldownPeriod", FROM_ZERO, diagnostics);
        let initial_cooldown_period = fields.integer("initialCooldownPeriod", FROM_ZERO, diagnostics);
        let idle_replica_count = fields.integer("idleReplicaCount", FROM_ZERO, diagnostics);
        let fallback = fallback(&mut fields, diagnostics);
        let advanced = Advanced::read(&mut fields, diagnostics);
        // None at all is KServe's webhook's to refuse.
        let is_there = |node: &Node| !matches!(&node.value, Value::Seq(items) if items.is_empty());
        let triggers = if has_triggers && fields.node("triggers").is_some_and(is_there) {
            triggers(&mut fields, diagnostics).unwrap_or_default()
        } else {
            Vec::new()
        };
        fields.finish(UnknownKeys::Warn, diagnostics);
        KedaScaling {
            span,
            path,
            polling_interval,
            cooldown_period,
            initial_cooldown_period,
            idle_replica_count,
            fallback,
            behavior: advanced.behavior,
            hpa_name: advanced.hpa_name,
            scaling_modifiers: advanced.scaling_modifiers,
            triggers,
        }
    }
}

//! KServe `InferenceService`, as written.

use crate::manifest::object::ObjectHead;
use crate::manifest::{AutoScaling, ContainerResources, Document, Fields, Key, PodTemplate};
use crate::units::{Diagnostic, Diagnostics, Located, Span};
use std::ops::RangeInclusive;

/// What a replica count may be.
const COUNT: RangeInclusive<i64> = 0..=i32::MAX as i64;
/// What fits the API's int32.
const INT32: RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;

/// What KServe's defaulting webhook makes the request (and the limit) of a model's container for which none is written, as its
/// ConfigMap `inferenceservice-config` is shipped: resource and quantity. (Reference: kserve
/// `pkg/apis/serving/v1beta1/inference_service_defaults.go`, `setResourceRequirementDefaults`.)
pub const KSERVE_REQUEST_DEFAULTS: [(&str, &str); 2] = [("cpu", "1"), ("memory", "2Gi")];

/// An InferenceService as written (reference: kserve `pkg/apis/serving/v1beta1`). Its Deployment is `<name>-predictor`.
#[derive(Clone, Debug, PartialEq)]
pub struct InferenceService {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `metadata.annotations`, which KServe copies to what it creates.
    pub annotations: Vec<(Key, Located<String>)>,
    /// Annotation `serving.kserve.io/autoscalerClass`.
    pub autoscaler_class: Option<Located<String>>,
    /// Annotation `serving.kserve.io/deploymentMode`.
    pub deployment_mode: Option<Located<String>>,
    /// `spec.predictor.minReplicas`.
    pub min_replicas: Option<Located<i64>>,
    /// `spec.predictor.maxReplicas`.
    pub max_replicas: Option<Located<i64>>,
    /// `spec.predictor.scaleMetric`: cpu, memory, concurrency or rps.
    pub scale_metric: Option<Located<String>>,
    /// `spec.predictor.scaleTarget`.
    pub scale_target: Option<Located<i64>>,
    /// `spec.predictor.autoScaling`.
    pub auto_scaling: Option<AutoScaling>,
    /// `spec.predictor.model.modelFormat.name`.
    pub model_format: Option<Located<String>>,
    /// `spec.predictor.model.storageUri` (or `storage.path`).
    pub storage_uri: Option<Located<String>>,
    /// The predictor as a pod: `model` or the serving one of `containers`. Requests are only those that are written: see
    /// [`KSERVE_REQUEST_DEFAULTS`].
    pub template: PodTemplate,
}

impl InferenceService {
    /// Reads `document`; fields that do not change a simulation are passed over.
    ///
    /// `None`, with an error, when there is no name or no predictor.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        let spec = fields.fields("spec", diagnostics);
        let mut spec = fields.required("spec", spec, diagnostics)?;
        let predictor = spec.fields("predictor", diagnostics);
        let mut predictor = spec.required("predictor", predictor, diagnostics)?;

        let min_replicas = predictor.integer("minReplicas", COUNT, diagnostics);
        let max_replicas = predictor.integer("maxReplicas", COUNT, diagnostics);
        let scale_metric = predictor.string("scaleMetric", diagnostics);
        let scale_target = predictor.integer("scaleTarget", INT32, diagnostics);
        let auto_scaling = AutoScaling::read(&mut predictor, diagnostics);
        let model = predictor.fields("model", diagnostics);
        if model.is_none() && predictor.node("containers").is_none() {
            let message = "a predictor without model and containers: nothing is known about what it runs";
            let warning = Diagnostic::warning(predictor.span.clone(), predictor.path.clone(), message);
            diagnostics.push(warning.help("write spec.predictor.model or spec.predictor.containers"));
        }
        let (mut model_format, mut storage_uri) = (None, None);
        let of_predictor = predictor.string_map("labels", diagnostics).unwrap_or_default();
        let mut template = match model {
            Some(mut model) => {
                model_format =
                    model.fields("modelFormat", diagnostics).and_then(|mut format| format.string("name", diagnostics));
                storage_uri = storage(&mut model, diagnostics);
                let mut template = PodTemplate::of_container(&mut model, diagnostics);
                template.containers = model_resources(&mut predictor, diagnostics);
                template.add_pod(&mut predictor, diagnostics);
                template
            }
            None => {
                let mut template = PodTemplate::of_pod(&mut predictor, diagnostics);
                // KServe gives a request before the API server would take the limit for one.
                let mut unread = Diagnostics::new();
                template.containers = ContainerResources::of_pod(&mut predictor, &mut unread);
                template
            }
        };

        let head = head?;
        template.add_labels(head.labels.clone());
        template.add_labels(of_predictor);
        Some(InferenceService {
            autoscaler_class: head.annotation("serving.kserve.io/autoscalerClass"),
            deployment_mode: head.annotation("serving.kserve.io/deploymentMode"),
            span: head.span,
            name: head.name,
            namespace: head.namespace,
            annotations: head.annotations,
            min_replicas,
            max_replicas,
            scale_metric,
            scale_target,
            auto_scaling,
            model_format,
            storage_uri,
            template,
        })
    }
}

/// The model's container, which KServe calls `kserve-container`, and those that are written beside it.
fn model_resources(predictor: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Vec<ContainerResources> {
    let path = predictor.path_of("model");
    let model = predictor.node("model").map(|node| {
        let read = ContainerResources::read(node, &path, diagnostics);
        ContainerResources { name: "kserve-container".to_owned(), ..read }
    });
    let others = ContainerResources::of_pod(predictor, diagnostics);
    model.into_iter().chain(others.into_iter().map(ContainerResources::defaulted)).collect()
}

/// `storageUri`, else `storage.path`.
fn storage(model: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<String>> {
    model
        .string("storageUri", diagnostics)
        .or_else(|| model.fields("storage", diagnostics).and_then(|mut storage| storage.string("path", diagnostics)))
}

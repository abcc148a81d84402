//! KServe `InferenceService`, as written.

use crate::manifest::object::ObjectHead;
use crate::manifest::{Document, Fields, PodTemplate};
use crate::units::{Diagnostic, Diagnostics, Located, Span};
use std::ops::RangeInclusive;

/// What a replica count may be.
const COUNT: RangeInclusive<i64> = 0..=i32::MAX as i64;

/// An InferenceService as written (reference: kserve `pkg/apis/serving/v1beta1`). Its Deployment is `<name>-predictor`.
#[derive(Clone, Debug, PartialEq)]
pub struct InferenceService {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// Annotation `serving.kserve.io/autoscalerClass`.
    pub autoscaler_class: Option<Located<String>>,
    /// Annotation `serving.kserve.io/deploymentMode`.
    pub deployment_mode: Option<Located<String>>,
    /// `spec.predictor.minReplicas`.
    pub min_replicas: Option<Located<i64>>,
    /// `spec.predictor.maxReplicas`.
    pub max_replicas: Option<Located<i64>>,
    /// `spec.predictor.model.modelFormat.name`.
    pub model_format: Option<Located<String>>,
    /// `spec.predictor.model.storageUri` (or `storage.path`).
    pub storage_uri: Option<Located<String>>,
    /// The predictor as a pod: `model` or the serving one of `containers`.
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
                template.add_pod(&mut predictor, diagnostics);
                template
            }
            None => PodTemplate::of_pod(&mut predictor, diagnostics),
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
            min_replicas,
            max_replicas,
            model_format,
            storage_uri,
            template,
        })
    }
}

/// `storageUri`, else `storage.path`.
fn storage(model: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Located<String>> {
    model
        .string("storageUri", diagnostics)
        .or_else(|| model.fields("storage", diagnostics).and_then(|mut storage| storage.string("path", diagnostics)))
}

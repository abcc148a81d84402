//! `keda.sh/v1alpha1` `ScaledObject`, as written.

use crate::manifest::object::{ObjectHead, wrong_version};
use crate::manifest::{Behavior, Document, Fields, Key, Node, UnknownKeys};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, Span};
use std::ops::RangeInclusive;

/// The CRD's `minimum: 0` and `minimum: 1` on an int32.
pub(crate) const FROM_ZERO: RangeInclusive<i64> = 0..=i32::MAX as i64;
pub(crate) const FROM_ONE: RangeInclusive<i64> = 1..=i32::MAX as i64;

/// The CRD's enumeration of `fallback.behavior`.
const FALLBACK_BEHAVIORS: [&str; 5] =
    ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers"];

/// A ScaledObject as its author wrote it (reference: KEDA v2.20.2 `apis/keda/v1alpha1/scaledobject_types.go`).
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObject {
    /// Where the document starts.
    pub span: Span,
    /// `metadata.name`.
    pub name: Located<String>,
    /// `metadata.namespace`.
    pub namespace: Option<Located<String>>,
    /// `metadata.annotations`.
    pub annotations: Vec<(Key, Located<String>)>,
    /// `spec.scaleTargetRef`.
    pub scale_target_ref: ScaleTargetRef,
    /// `spec.pollingInterval`, seconds.
    pub polling_interval: Option<Located<i64>>,
    /// `spec.cooldownPeriod`, seconds.
    pub cooldown_period: Option<Located<i64>>,
    /// `spec.initialCooldownPeriod`, seconds.
    pub initial_cooldown_period: Option<Located<i64>>,
    /// `spec.idleReplicaCount`.
    pub idle_replica_count: Option<Located<i64>>,
    /// `spec.minReplicaCount`.
    pub min_replica_count: Option<Located<i64>>,
    /// `spec.maxReplicaCount`.
    pub max_replica_count: Option<Located<i64>>,
    /// `spec.triggers`; at least one.
    pub triggers: Vec<Trigger>,
    /// `spec.fallback`.
    pub fallback: Option<Fallback>,
    /// `spec.advanced.horizontalPodAutoscalerConfig.behavior`.
    pub behavior: Option<Behavior>,
    /// `spec.advanced.horizontalPodAutoscalerConfig.name`.
    pub hpa_name: Option<Located<String>>,
    /// `spec.advanced.scalingModifiers`, unread.
    pub scaling_modifiers: Option<Node>,
}

/// `spec.scaleTargetRef`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleTargetRef {
    /// `name`.
    pub name: Located<String>,
    /// `kind`, default Deployment.
    pub kind: Option<Located<String>>,
    /// `apiVersion`, default apps/v1.
    pub api_version: Option<Located<String>>,
}

/// One entry of `spec.triggers`.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Where the entry starts.
    pub span: Span,
    /// Its path, `spec.triggers[0]`.
    pub path: String,
    /// `type`.
    pub kind: Located<String>,
    /// `name`.
    pub name: Option<Located<String>>,
    /// `metricType`.
    pub metric_type: Option<Located<String>>,
    /// `useCachedMetrics`.
    pub use_cached_metrics: Option<Located<bool>>,
    /// `metadata`, string to string, in the order written.
    pub metadata: Vec<(Key, Located<String>)>,
}

/// `spec.fallback`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Where the block starts.
    pub span: Span,
    /// `failureThreshold`.
    pub failure_threshold: Located<i64>,
    /// `replicas`.
    pub replicas: Located<i64>,
    /// `behavior`.
    pub behavior: Option<Located<String>>,
}

impl Trigger {
    /// The metadata entry `key`, trimmed; empty counts as absent, as KEDA reads it.
    pub fn metadata(&self, key: &str) -> Option<Located<&str>> {
        let (_, value) = self.metadata.iter().find(|(own, _)| own.name == key)?;
        let text = value.value.trim();
        (!text.is_empty()).then(|| Located::new(text, value.span.clone()))
    }
}

impl ScaledObject {
    /// Reads `document`. Bounds, required fields and types are those of KEDA's CRD
    /// (`config/crd/bases/keda.sh_scaledobjects.yaml`); keys that the API server would prune are warnings. What only
    /// KEDA's webhook or operator checks is not checked here, so every message is one of the API server's (or of the strict
    /// apply before it).
    ///
    /// A trigger's metadata that is no string is an error, but is there as its text: the API server refuses the object,
    /// and whoever only inspects it can still go on.
    ///
    /// `None`, with an error, when there is no name, no target or no trigger to go on with.
    pub fn read(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        let from = diagnostics.0.len();
        let object = Self::read_fields(document, diagnostics);
        diagnostics.judged_by(Judge::ApiServer, from);
        object
    }

    fn read_fields(document: &Document, diagnostics: &mut Diagnostics) -> Option<Self> {
        if let Some(diagnostic) = refused_version(document) {
            diagnostics.push(diagnostic);
            return None;
        }
        let mut fields = Fields::of(&document.root, "", diagnostics)?;
        let head = ObjectHead::read(&mut fields, diagnostics);
        if let Some(head) = head.as_ref().filter(|head| !is_subdomain(&head.name.value)) {
            let message = format!(
                "found {:?}, expected a DNS-1123 subdomain: lower-case letters, digits, '-' and '.', a letter or digit at \
                 both ends of each part",
                head.name.value
            );
            let diagnostic = Diagnostic::error(head.name.span.clone(), "metadata.name", message);
            diagnostics.push(diagnostic.help("the API server refuses such a name"));
        }
        let spec = fields.fields("spec", diagnostics);
        let spec = fields.required("spec", spec, diagnostics);
        fields.finish(UnknownKeys::Warn, diagnostics);
        let mut spec = spec?;

        let scale_target_ref = scale_target_ref(&mut spec, diagnostics);
        let polling_interval = spec.integer("pollingInterval", FROM_ONE, diagnostics);
        let cooldown_period = spec.integer("cooldownPeriod", FROM_ZERO, diagnostics);
        let initial_cooldown_period = spec.integer("initialCooldownPeriod", FROM_ZERO, diagnostics);
        let idle_replica_count = spec.integer("idleReplicaCount", FROM_ZERO, diagnostics);
        let min_replica_count = spec.integer("minReplicaCount", FROM_ZERO, diagnostics);
        let max_replica_count = spec.integer("maxReplicaCount", FROM_ONE, diagnostics);
        let triggers = triggers(&mut spec, diagnostics);
        let fallback = fallback(&mut spec, diagnostics);
        let advanced = Advanced::read(&mut spec, diagnostics);
        // What an author of `minReplicas` gets: the count that is written besides, else the CRD's or KEDA's default.
        let written = [
            ("minReplicaCount", &min_replica_count, "0"),
            ("maxReplicaCount", &max_replica_count, "100"),
            ("idleReplicaCount", &idle_replica_count, "none"),
            ("pollingInterval", &polling_interval, "30"),
            ("cooldownPeriod", &cooldown_period, "300"),
            ("initialCooldownPeriod", &initial_cooldown_period, "0"),
        ];
        let left = |key: &str| {
            let (_, given, default) = written.iter().find(|(own, ..)| *own == key)?;
            Some(match given {
                Some(given) => format!("{key} is the {} that is written", given.value),
                None => format!("{key} is then its default, {default}"),
            })
        };
        spec.finish_with(UnknownKeys::Warn, left, diagnostics);

        let head = head?;
        Some(ScaledObject {
            span: head.span,
            name: head.name,
            namespace: head.namespace,
            annotations: head.annotations,
            scale_target_ref: scale_target_ref?,
            polling_interval,
            cooldown_period,
            initial_cooldown_period,
            idle_replica_count,
            min_replica_count,
            max_replica_count,
            triggers: triggers?,
            fallback,
            behavior: advanced.behavior,
            hpa_name: advanced.hpa_name,
            scaling_modifiers: advanced.scaling_modifiers,
        })
    }
}

/// Reference: apimachinery `pkg/util/validation/validation.go`, `IsDNS1123Subdomain`.
fn is_subdomain(name: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(is_alphanumeric)
            && label.ends_with(is_alphanumeric)
            && label.chars().all(|c| is_alphanumeric(c) || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn refused_version(document: &Document) -> Option<Diagnostic> {
    let version = document.api_version.as_str();
    if version.starts_with("keda.k8s.io/") {
        let message = format!("{version} is the ScaledObject of KEDA 1, which is not simulated");
        return Some(wrong_version(
            document,
            message,
            "migrate it to keda.sh/v1alpha1: https://keda.sh/docs/latest/migration/",
        ));
    }
    if !version.is_empty() && version != "keda.sh/v1alpha1" {
        let message = format!("found {version:?}, expected keda.sh/v1alpha1");
        return Some(wrong_version(document, message, "KEDA 2 has only this version of ScaledObject"));
    }
    None
}

fn scale_target_ref(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<ScaleTargetRef> {
    let fields = spec.fields("scaleTargetRef", diagnostics);
    let mut fields = spec.required("scaleTargetRef", fields, diagnostics)?;
    let name = non_empty(&mut fields, "name", diagnostics);
    let kind = fields.string("kind", diagnostics);
    let api_version = fields.string("apiVersion", diagnostics);
    let _ = fields.string("envSourceContainerName", diagnostics);
    fields.finish(UnknownKeys::Warn, diagnostics);
    Some(ScaleTargetRef { name: name?, kind, api_version })
}

/// A required string of at least one character.
fn non_empty(fields: &mut Fields<'_>, key: &'static str, diagnostics: &mut Diagnostics) -> Option<Located<String>> {
    let text = fields.string(key, diagnostics);
    let text = fields.required(key, text, diagnostics)?;
    if text.value.is_empty() {
        let message = "found an empty string, expected at least one character";
        diagnostics.push(Diagnostic::error(text.span, fields.path_of(key), message));
        return None;
    }
    Some(text)
}

/// The entries of `triggers`; `None`, with an error, when there is none.
pub(crate) fn triggers(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Vec<Trigger>> {
    let help = "a ScaledObject needs at least one entry under spec.triggers";
    let Some(node) = spec.node("triggers") else {
        let message = "the required field triggers is missing: at least one trigger is required";
        diagnostics.push(Diagnostic::error(spec.span.clone(), spec.path_of("triggers"), message).help(help));
        return None;
    };
    let items = spec.list("triggers", diagnostics)?;
    if items.is_empty() {
        let message = "found an empty list: at least one trigger is required";
        diagnostics.push(Diagnostic::error(node.span.clone(), spec.path_of("triggers"), message).help(help));
        return None;
    }
    let triggers: Vec<Trigger> =
        items.into_iter().filter_map(|(path, item)| Trigger::read(item, &path, diagnostics)).collect();
    (!triggers.is_empty()).then_some(triggers)
}

impl Trigger {
    fn read(node: &Node, path: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut fields = Fields::of(node, path, diagnostics)?;
        let kind = non_empty(&mut fields, "type", diagnostics);
        let name = fields.string("name", diagnostics);
        let metric_type = fields.string("metricType", diagnostics);
        let use_cached_metrics = fields.boolean("useCachedMetrics", diagnostics);
        let before = diagnostics.0.len();
        let metadata = fields.string_map("metadata", diagnostics);
        in_the_servers_words(diagnostics, before);
        let metadata = fields.required("metadata", metadata, diagnostics).unwrap_or_default();
        if let Some(mut reference) = fields.fields("authenticationRef", diagnostics) {
            let name = reference.string("name", diagnostics);
            reference.required("name", name, diagnostics);
            let _ = reference.string("kind", diagnostics);
            reference.finish(UnknownKeys::Warn, diagnostics);
        }
        let span = fields.span.clone();
        fields.finish(UnknownKeys::Warn, diagnostics);
        Some(Trigger { span, path: path.to_owned(), kind: kind?, name, metric_type, use_cached_metrics, metadata })
    }
}

/// Adds to the messages about metadata from position `from` on what the API server says (apiextensions-apiserver, kube-openapi
/// `validation/errors/schema.go`, `InvalidType`).
fn in_the_servers_words(diagnostics: &mut Diagnostics, from: usize) {
    for diagnostic in diagnostics.0.iter_mut().skip(from) {
        let kinds = [
            ("boolean", "the boolean "),
            ("integer", "the integer "),
            ("number", "the number "),
            ("array", "a list"),
            ("object", "a mapping"),
            ("null", "nothing"),
        ];
        let found = kinds.iter().find(|(_, described)| diagnostic.message.starts_with(&format!("found {described}")));
        if let Some((kind, _)) = found {
            let path = &diagnostic.path;
            diagnostic.message.push_str(&format!(": {path} in body must be of type string: \"{kind}\""));
        }
    }
}

/// `fallback`.
pub(crate) fn fallback(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Option<Fallback> {
    let mut fields = spec.fields("fallback", diagnostics)?;
    let failure_threshold = fields.integer("failureThreshold", FROM_ZERO, diagnostics);
    let failure_threshold = fields.required("failureThreshold", failure_threshold, diagnostics);
    let replicas = fields.integer("replicas", FROM_ZERO, diagnostics);
    let replicas = fields.required("replicas", replicas, diagnostics);
    let behavior = fields.string("behavior", diagnostics);
    if let Some(behavior) = &behavior
        && !FALLBACK_BEHAVIORS.contains(&behavior.value.as_str())
    {
        let message = format!("found {:?}, expected one of {}", behavior.value, FALLBACK_BEHAVIORS.join(", "));
        diagnostics.push(Diagnostic::error(behavior.span.clone(), fields.path_of("behavior"), message));
    }
    let span = fields.span.clone();
    fields.finish(UnknownKeys::Warn, diagnostics);
    Some(Fallback { span, failure_threshold: failure_threshold?, replicas: replicas?, behavior })
}

/// `advanced`, as far as it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Advanced {
    pub(crate) behavior: Option<Behavior>,
    pub(crate) hpa_name: Option<Located<String>>,
    pub(crate) scaling_modifiers: Option<Node>,
}

impl Advanced {
    pub(crate) fn read(spec: &mut Fields<'_>, diagnostics: &mut Diagnostics) -> Self {
        let mut advanced = Advanced::default();
        let Some(mut fields) = spec.fields("advanced", diagnostics) else { return advanced };
        let _ = fields.boolean("restoreToOriginalReplicaCount", diagnostics);
        advanced.scaling_modifiers = fields.node("scalingModifiers").cloned();
        if let Some(mut config) = fields.fields("horizontalPodAutoscalerConfig", diagnostics) {
            advanced.hpa_name = config.string("name", diagnostics);
            if let Some(node) = config.node("behavior") {
                advanced.behavior = Behavior::read(node, &config.path_of("behavior"), diagnostics);
            }
            config.finish(UnknownKeys::Warn, diagnostics);
        }
        fields.finish(UnknownKeys::Warn, diagnostics);
        advanced
    }
}

#[cfg(test)]
#[path = "scaled_object_tests.rs"]
mod tests;

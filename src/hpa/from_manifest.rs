//! A hand-written HorizontalPodAutoscaler: API defaulting and validation, each message at its field.
//!
//! Source: `pkg/apis/autoscaling/v2/defaults.go`, `ValidateHorizontalPodAutoscaler` and what it calls
//! (`pkg/apis/autoscaling/validation/validation.go`). An HPA that KEDA generates is `keda`'s, through
//! [`HpaSpec::resolve`]. Reads no files; what is not modelled is an error at its place.

use crate::hpa::api_errors::{Field, forbidden, invalid, not_supported, required};
use crate::hpa::behavior::resolve_behavior;
use crate::hpa::spec::{DEFAULT_NAMESPACE, NO_METRIC_AT_ZERO, ZERO_HELP, default_metrics};
use crate::hpa::{ControllerFlags, HpaSpec, MetricSpec, MetricTarget, Resource, selector_text};
use crate::manifest::{HorizontalPodAutoscaler, HpaMetric, LabelSelector};
use crate::units::{Diagnostic, Diagnostics, Judge, Located, Span};

impl HpaSpec {
    /// The HPA as the API server stores it and the controller of `flags` reads it.
    ///
    /// # Errors
    /// All rules of the API's validation that are broken, and metrics that are not modelled, located.
    pub fn from_manifest(
        written: &HorizontalPodAutoscaler,
        flags: &ControllerFlags,
    ) -> Result<(HpaSpec, Diagnostics), Diagnostics> {
        let mut diagnostics = Diagnostics::new();
        validate_names(written, &mut diagnostics);
        let (min_replicas, max_replicas) = bounds(written, flags, &mut diagnostics);
        let metrics: Vec<MetricSpec> =
            written.metrics.iter().filter_map(|metric| resolve_metric(metric, &mut diagnostics)).collect();
        let metrics = if written.metrics.is_empty() {
            default_metrics(Vec::new(), Some(written.span.clone()), &mut diagnostics)
        } else {
            metrics
        };
        let behavior = written.behavior.as_ref();
        let behavior = behavior.map(|behavior| resolve_behavior(behavior, "spec.behavior", flags, &mut diagnostics));
        let namespace = written.namespace.as_ref().map_or(DEFAULT_NAMESPACE, |namespace| &namespace.value).to_owned();
        diagnostics.into_result(HpaSpec { namespace, min_replicas, max_replicas, metrics, behavior })
    }
}

/// `metadata.name` and `scaleTargetRef`.
fn validate_names(written: &HorizontalPodAutoscaler, diagnostics: &mut Diagnostics) {
    subdomain("metadata.name", &written.name, diagnostics);
    let target = &written.scale_target_ref;
    let fields = [("kind", target.kind.as_ref()), ("name", Some(&target.name))];
    for (key, value) in fields {
        let path = format!("spec.scaleTargetRef.{key}");
        match value {
            Some(value) if !value.value.is_empty() => path_segment(&path, value, diagnostics),
            Some(empty) => diagnostics.push(required(Field::at(&path, &empty.span), "")),
            None => diagnostics.push(required(Field::at(&path, &target.name.span), "")),
        }
    }
}

/// `minReplicas`, by default 1, and `maxReplicas`.
fn bounds(written: &HorizontalPodAutoscaler, flags: &ControllerFlags, diagnostics: &mut Diagnostics) -> (i32, i32) {
    let lowest = i64::from(!flags.scale_to_zero);
    let min = written.min_replicas.as_ref();
    if let Some(min) = min.filter(|min| min.value < lowest) {
        let detail = format!("must be greater than or equal to {lowest}");
        let wrong = invalid(Field::at("spec.minReplicas", &min.span), min.value, detail);
        diagnostics.push(if min.value == 0 { wrong.help(ZERO_HELP) } else { wrong });
    }
    let max = &written.max_replicas;
    if max.value < 1 {
        diagnostics.push(invalid(Field::at("spec.maxReplicas", &max.span), max.value, "must be greater than 0"));
    }
    // Validation sees the defaulted object.
    let min_or_default = min.map_or(1, |min| min.value);
    if max.value < min_or_default {
        let detail = "must be greater than or equal to `minReplicas`";
        let wrong = invalid(Field::at("spec.maxReplicas", &max.span), max.value, detail);
        diagnostics.push(wrong.help(format!("minReplicas is {min_or_default}")));
    }
    let exists_at_zero = |metric: &HpaMetric| matches!(metric.kind.value.as_str(), "External" | "Object");
    if let Some(min) = min.filter(|min| min.value == 0 && !written.metrics.iter().any(exists_at_zero)) {
        let place = written.metrics.first().map_or(&min.span, |metric| &metric.span);
        diagnostics.push(forbidden(Field::at("spec.metrics", place), NO_METRIC_AT_ZERO).help(ZERO_HELP));
    }
    // Whatever does not fit has been refused as it was read.
    let int32 = |value: i64| i32::try_from(value).unwrap_or(i32::MAX);
    (int32(min_or_default), int32(max.value))
}

/// One metric; types that do not exist, or are not modelled, are errors.
fn resolve_metric(metric: &HpaMetric, diagnostics: &mut Diagnostics) -> Option<MetricSpec> {
    let path = format!("{}.type", metric.path);
    let field = Field::at(&path, &metric.kind.span);
    match (metric.kind.value.as_str(), metric.block()) {
        ("", _) => diagnostics.push(required(field, "must specify a metric source type")),
        (found, None) => {
            let known = ["ContainerResource", "External", "Object", "Pods", "Resource"];
            diagnostics.push(not_supported(field, found, &known));
        }
        ("Object", _) => {
            let message = "metrics of type Object are not modelled";
            let wrong = Diagnostic::error(metric.kind.span.clone(), path, message);
            diagnostics.push(wrong.help("an External metric with the same target scales by the same arithmetic"));
        }
        (_, Some(block)) => {
            let Some(place) = &metric.block_span else {
                let path = format!("{}.{block}", metric.path);
                let detail = "must populate information for the given metric source";
                diagnostics.push(required(Field::at(&path, &metric.span), detail));
                return None;
            };
            return Entry { written: metric, block, place }.resolve(diagnostics);
        }
    }
    None
}

/// A metric with the block that holds its fields.
struct Entry<'m> {
    written: &'m HpaMetric,
    block: &'static str,
    /// Where the block stands, which is where a missing field is missed.
    place: &'m Span,
}

impl Entry<'_> {
    fn path(&self, field: &str) -> String {
        format!("{}.{}.{field}", self.written.path, self.block)
    }

    fn target_path(&self, field: &str) -> String {
        self.path(&format!("target.{field}"))
    }

    fn require(&self, path: &str, detail: &str, diagnostics: &mut Diagnostics) {
        diagnostics.push(required(Field::at(path, self.place), detail));
    }

    fn resolve(&self, diagnostics: &mut Diagnostics) -> Option<MetricSpec> {
        self.validate_target(diagnostics);
        match self.block {
            "external" => self.external(diagnostics),
            "pods" => self.pods(diagnostics),
            _ => self.resource(diagnostics),
        }
    }

    /// `validateMetricTarget`: whatever is given must make sense, whether or not the controller reads it.
    fn validate_target(&self, diagnostics: &mut Diagnostics) {
        let path = self.target_path("type");
        match &self.written.target_type {
            None => self.require(&path, "must specify a metric target type", diagnostics),
            Some(kind) if !["Utilization", "Value", "AverageValue"].contains(&kind.value.as_str()) => {
                let detail = "must be either Utilization, Value, or AverageValue";
                diagnostics.push(invalid(Field::at(&path, &kind.span), format!("{:?}", kind.value), detail));
            }
            Some(_) => {}
        }
        for (key, value) in [("value", &self.written.value), ("averageValue", &self.written.average_value)] {
            if let Some(value) = value.as_ref().filter(|value| value.value.milli_value() <= 0) {
                let path = self.target_path(key);
                let shown = format!("\"{}\"", value.value);
                diagnostics.push(invalid(Field::at(&path, &value.span), shown, "must be positive"));
            }
        }
        if let Some(percent) = self.written.average_utilization.as_ref().filter(|percent| percent.value < 1) {
            let path = self.target_path("averageUtilization");
            diagnostics.push(invalid(Field::at(&path, &percent.span), percent.value, "must be greater than 0"));
        }
    }

    /// The metric's name (`validateMetricIdentifier`).
    fn metric_name(&self, diagnostics: &mut Diagnostics) -> Option<String> {
        let path = self.path("metric.name");
        match &self.written.name {
            Some(name) if !name.value.is_empty() => {
                path_segment(&path, name, diagnostics);
                Some(name.value.clone())
            }
            _ => {
                self.require(&path, "must specify a metric name", diagnostics);
                None
            }
        }
    }

    /// `validateExternalSource`.
    fn external(&self, diagnostics: &mut Diagnostics) -> Option<MetricSpec> {
        let name = self.metric_name(diagnostics);
        let target = match (&self.written.average_value, &self.written.value) {
            (Some(average), None) => Some(MetricTarget::ExternalAverageValue(average.value.milli_value())),
            (None, Some(value)) => Some(MetricTarget::ExternalValue(value.value.milli_value())),
            (None, None) => {
                let detail = "must set either a target value for metric or a per-pod target";
                self.require(&self.target_path("averageValue"), detail, diagnostics);
                None
            }
            (Some(_), Some(value)) => {
                let path = self.target_path("value");
                let detail = "may not set both a target value for metric and a per-pod target";
                diagnostics.push(forbidden(Field::at(&path, &value.span), detail));
                None
            }
        };
        let target = target?;
        let read = if self.written.average_value.is_some() { "averageValue" } else { "value" };
        self.warn_of_unread(read, &["averageUtilization"], diagnostics);
        let mut metric = MetricSpec::new(name?, target);
        metric.selector = self.written.selector.as_ref().map(shown_selector);
        Some(metric)
    }

    /// `validatePodsSource`.
    fn pods(&self, diagnostics: &mut Diagnostics) -> Option<MetricSpec> {
        let name = self.metric_name(diagnostics);
        let Some(average) = &self.written.average_value else {
            let detail = "must specify a positive target averageValue";
            self.require(&self.target_path("averageValue"), detail, diagnostics);
            return None;
        };
        self.warn_of_unread("averageValue", &["value", "averageUtilization"], diagnostics);
        Some(MetricSpec::new(name?, MetricTarget::PodsAverageValue(average.value.milli_value())))
    }

    /// `validateResourceSource`, `validateContainerResourceSource`.
    fn resource(&self, diagnostics: &mut Diagnostics) -> Option<MetricSpec> {
        let resource = self.resource_name(diagnostics);
        let container = (self.block == "containerResource").then(|| self.container(diagnostics));
        let target = match (&self.written.average_utilization, &self.written.average_value) {
            (Some(percent), None) => {
                let percent = i32::try_from(percent.value).unwrap_or(i32::MAX);
                resource.map(|resource| MetricTarget::ResourceUtilization(resource, percent))
            }
            (None, Some(average)) => {
                let milli = average.value.milli_value();
                resource.map(|resource| MetricTarget::ResourceAverageValue(resource, milli))
            }
            (None, None) => {
                let detail = "must set either a target raw value or a target utilization";
                self.require(&self.target_path("averageUtilization"), detail, diagnostics);
                None
            }
            (Some(_), Some(average)) => {
                let path = self.target_path("averageValue");
                let detail = "may not set both a target raw value and a target utilization";
                diagnostics.push(forbidden(Field::at(&path, &average.span), detail));
                None
            }
        };
        let target = target?;
        let read = if self.written.average_value.is_some() { "averageValue" } else { "averageUtilization" };
        self.warn_of_unread(read, &["value"], diagnostics);
        let mut metric = MetricSpec::new(resource?.word(), target);
        metric.container = container.flatten();
        Some(metric)
    }

    fn resource_name(&self, diagnostics: &mut Diagnostics) -> Option<Resource> {
        let path = self.path("name");
        let name = self.written.name.as_ref().filter(|name| !name.value.is_empty());
        let Some(name) = name else {
            self.require(&path, "must specify a resource name", diagnostics);
            return None;
        };
        match name.value.as_str() {
            "cpu" => Some(Resource::Cpu),
            "memory" => Some(Resource::Memory),
            found => {
                let message = format!("found the resource {found:?}, expected cpu or memory");
                let wrong = Diagnostic::error(name.span.clone(), path, message);
                diagnostics.push(wrong.help("metrics-server measures no other; its metric would never be found"));
                None
            }
        }
    }

    fn container(&self, diagnostics: &mut Diagnostics) -> Option<String> {
        let path = self.path("container");
        let name = self.written.container.as_ref().filter(|name| !name.value.is_empty());
        let Some(name) = name else {
            self.require(&path, "must specify a container", diagnostics);
            return None;
        };
        if !is_label(&name.value) {
            let detail = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                          start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
                          validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
            diagnostics.push(invalid(Field::at(&path, &name.span), format!("{:?}", name.value), detail));
        } else if name.value.len() > LABEL_BYTES_MAX {
            let detail = format!("must be no more than {LABEL_BYTES_MAX} bytes");
            diagnostics.push(invalid(Field::at(&path, &name.span), format!("{:?}", name.value), detail));
        }
        Some(name.value.clone())
    }

    /// The controller goes by which values are set, never by `target.type`, and passes over values that its kind of metric
    /// does not have.
    fn warn_of_unread(&self, read: &str, unread: &[&str], diagnostics: &mut Diagnostics) {
        let mut warn = |span: &Span, path: String, message: String| {
            diagnostics.push(Diagnostic::warning(span.clone(), path, message).by(Judge::HpaValidation));
        };
        let places = [
            ("value", self.written.value.as_ref().map(|value| &value.span)),
            ("averageUtilization", self.written.average_utilization.as_ref().map(|value| &value.span)),
        ];
        for (key, span) in places {
            if let Some(span) = span.filter(|_| unread.contains(&key)) {
                let message = format!("a metric of type {} has no {key}: it is ignored", self.written.kind.value);
                warn(span, self.target_path(key), message);
            }
        }
        let expected = match read {
            "averageValue" => "AverageValue",
            "value" => "Value",
            _ => "Utilization",
        };
        if let Some(kind) = self.written.target_type.as_ref().filter(|kind| kind.value != expected) {
            let message = format!("found {:?} with {read}: the controller goes by {read}", kind.value);
            warn(&kind.span, self.target_path("type"), message);
        }
    }
}

fn shown_selector(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().map(|(key, value)| (key.as_str(), value.value.as_str()));
    selector_text(&labels.collect::<Vec<_>>(), &selector.match_expressions)
}

/// Reference: apimachinery `pkg/api/validation/path/name.go`, `IsValidPathSegmentName`.
fn path_segment(path: &str, name: &Located<String>, diagnostics: &mut Diagnostics) {
    let mut wrong = |detail: String| {
        diagnostics.push(invalid(Field::at(path, &name.span), format!("{:?}", name.value), detail));
    };
    if matches!(name.value.as_str(), "." | "..") {
        return wrong(format!("may not be '{}'", name.value));
    }
    for part in ['/', '%'] {
        if name.value.contains(part) {
            wrong(format!("may not contain '{part}'"));
        }
    }
}

const LABEL_BYTES_MAX: usize = 63;
const SUBDOMAIN_BYTES_MAX: usize = 253;

/// Reference: apimachinery `pkg/util/validation/validation.go`, `IsDNS1123Label` without its length.
fn is_label(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(is_alphanumeric)
        && text.ends_with(is_alphanumeric)
        && text.chars().all(|c| is_alphanumeric(c) || c == '-')
}

/// Reference: `IsDNS1123Subdomain` there.
fn subdomain(path: &str, name: &Located<String>, diagnostics: &mut Diagnostics) {
    let mut wrong = |detail: String| {
        diagnostics.push(invalid(Field::at(path, &name.span), format!("{:?}", name.value), detail));
    };
    if name.value.len() > SUBDOMAIN_BYTES_MAX {
        wrong(format!("must be no more than {SUBDOMAIN_BYTES_MAX} bytes"));
    }
    if !name.value.split('.').all(is_label) {
        let detail = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                      must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                      is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
        wrong(detail.to_owned());
    }
}

#[cfg(test)]
#[path = "from_manifest_tests.rs"]
mod tests;

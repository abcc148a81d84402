//! A `prometheus` trigger from its metadata (`pkg/scalers/prometheus_scaler.go` `parsePrometheusMetadata`,
//! `pkg/scalers/scaler.go` `GetMetricTargetType`).

use crate::keda::{PrometheusTrigger, TargetType, metadata};
use crate::manifest::{Key, Trigger};
use crate::units::{Diagnostic, Diagnostics, Located};

/// The metadata keys that the scaler or its transports read.
const KNOWN_KEYS: [&str; 17] = [
    "serverAddress",
    "query",
    "threshold",
    "activationThreshold",
    "ignoreNullValues",
    "namespace",
    "queryParameters",
    "customHeaders",
    "unsafeSsl",
    "timeout",
    "authModes",
    "authMode",
    "awsRegion",
    "identityOwner",
    "cloud",
    "azureManagedPrometheusResourceURL",
    "credentialsFromEnv",
];

/// The trigger at position `index`; `None` for another type (reported elsewhere) or when something required is wrong.
pub(super) fn resolve(index: usize, trigger: &Trigger, diagnostics: &mut Diagnostics) -> Option<PrometheusTrigger> {
    if trigger.kind.value != "prometheus" {
        return None;
    }
    let mut reader = Reader { trigger, diagnostics };
    let target_type = target_type(&mut reader);
    reader.required("serverAddress");
    let query = reader.required("query");
    let threshold = reader.required("threshold").map(|own| reader.read("threshold", &own, metadata::float));
    let activation_threshold = reader.optional("activationThreshold", metadata::float);
    let ignore_null_values = reader.optional("ignoreNullValues", metadata::boolean);
    reader.optional("unsafeSsl", metadata::boolean);
    reader.optional("timeout", metadata::duration);
    reader.optional("queryParameters", metadata::map);
    reader.optional("customHeaders", metadata::map);
    warn_ignored_keys(&mut reader, target_type, index);
    let (query, threshold) = (query?, threshold??);
    Some(PrometheusTrigger {
        metric_name: format!("s{index}-prometheus"),
        query_span: query.span,
        query: query.value.to_owned(),
        threshold,
        activation_threshold: activation_threshold.unwrap_or(0.0),
        ignore_null_values: ignore_null_values.unwrap_or(true),
        target_type: target_type?,
        use_cached_metrics: trigger.use_cached_metrics.as_ref().is_some_and(|own| own.value),
    })
}

/// Reads typed parameters and reports in upstream's words.
struct Reader<'a> {
    trigger: &'a Trigger,
    diagnostics: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    fn path(&self, key: &str) -> String {
        format!("{}.metadata.{key}", self.trigger.path)
    }

    fn required(&mut self, key: &str) -> Option<Located<&'a str>> {
        let found = self.trigger.metadata(key);
        if found.is_none() {
            let entry = self.trigger.metadata.iter().find(|(own, _)| own.name == key);
            let span = entry.map_or(&self.trigger.span, |(_, value)| &value.span);
            let message = format!("missing required parameter {key:?} in [triggerMetadata]");
            self.diagnostics.push(Diagnostic::error(span.clone(), self.path(key), message));
        }
        found
    }

    fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.trigger.metadata(key)?;
        self.read(key, &found, parse)
    }

    fn read<T>(&mut self, key: &str, found: &Located<&str>, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match parse(found.value) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("unable to set param {key:?} value {:?}: {why}", found.value);
                let mut diagnostic = Diagnostic::error(found.span.clone(), self.path(key), message);
                if why.contains("float64") {
                    diagnostic = diagnostic.help("write a plain JSON number such as \"5\", \"0.5\" or \"1e3\"");
                } else if why.contains("ParseBool") {
                    diagnostic = diagnostic.help("write \"true\" or \"false\"");
                }
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }
}

/// `GetMetricTargetType`. A word that KEDA passes on fails when the HPA is created.
fn target_type(reader: &mut Reader<'_>) -> Option<TargetType> {
    let Some(found) = &reader.trigger.metric_type else { return Some(TargetType::AverageValue) };
    let message = match found.value.as_str() {
        "" | "AverageValue" => return Some(TargetType::AverageValue),
        "Value" => return Some(TargetType::Value),
        "Utilization" => {
            "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or \
                          'AverageValue'"
                .to_owned()
        }
        other => {
            format!("found {other:?}, which the API server refuses in the HPA: must be 'Value' or 'AverageValue'")
        }
    };
    let path = format!("{}.metricType", reader.trigger.path);
    reader.diagnostics.push(Diagnostic::error(found.span.clone(), path, message));
    None
}

/// Keys that KEDA passes over in silence (keda.md 2.4).
fn warn_ignored_keys(reader: &mut Reader<'_>, target_type: Option<TargetType>, index: usize) {
    for (key, value) in &reader.trigger.metadata {
        if KNOWN_KEYS.contains(&key.name.as_str()) {
            continue;
        }
        let (message, help) = match key.name.as_str() {
            "metricType" => {
                let effective = target_type.unwrap_or(TargetType::AverageValue).word();
                let found = &value.value;
                let message = format!(
                    "metricType {found:?} inside metadata is ignored by KEDA; the effective type is {effective}"
                );
                (message, format!("write metricType beside metadata, as {}.metricType", reader.trigger.path))
            }
            "metricName" => (
                "metricName is ignored by KEDA since 2.12".to_owned(),
                format!("remove it; the HPA's metric is always s{index}-prometheus"),
            ),
            name => (format!("unknown key {name:?} is ignored by KEDA"), unknown_help(key)),
        };
        let path = reader.path(&key.name);
        reader.diagnostics.push(Diagnostic::warning(key.span.clone(), path, message).help(help));
    }
}

fn unknown_help(key: &Key) -> String {
    match KNOWN_KEYS.iter().find(|known| known.eq_ignore_ascii_case(&key.name)) {
        Some(known) => format!("did you mean {known}?"),
        None => format!("known keys here: {}", KNOWN_KEYS.join(", ")),
    }
}

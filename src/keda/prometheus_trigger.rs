//! A `prometheus` trigger from its metadata (`pkg/scalers/prometheus_scaler.go` `parsePrometheusMetadata`).

use crate::keda::trigger_reader::Reader;
use crate::keda::{TargetType, metadata};
use crate::units::Span;

/// The part of a trigger that only Prometheus has.
#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusTrigger {
    /// Where the query stands.
    pub query_span: Span,
    /// The query as written.
    pub query: String,
    /// `activationThreshold`, default 0.
    pub activation_threshold: f64,
    /// `ignoreNullValues`, default true.
    pub ignore_null_values: bool,
}

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

/// The trigger and its threshold; `None` when something required is wrong.
pub(super) fn read(
    reader: &mut Reader<'_>,
    target_type: Option<TargetType>,
    index: usize,
) -> Option<(PrometheusTrigger, f64)> {
    reader.required("serverAddress");
    let query = reader.required("query");
    let threshold = reader.required_as("threshold", metadata::float);
    let activation_threshold = reader.optional("activationThreshold", metadata::float);
    let ignore_null_values = reader.optional("ignoreNullValues", metadata::boolean);
    reader.optional("unsafeSsl", metadata::boolean);
    reader.optional("timeout", metadata::duration);
    reader.optional("queryParameters", metadata::map);
    reader.optional("customHeaders", metadata::map);
    reader.warn_ignored(&KNOWN_KEYS, target_type, |key| {
        let help = format!("remove it; the HPA's metric is always s{index}-prometheus");
        (key == "metricName").then(|| ("metricName is ignored by KEDA since 2.12".to_owned(), help))
    });
    let (query, threshold) = (query?, threshold?);
    let own = PrometheusTrigger {
        query_span: query.span,
        query: query.value.to_owned(),
        activation_threshold: activation_threshold.unwrap_or(0.0),
        ignore_null_values: ignore_null_values.unwrap_or(true),
    };
    Some((own, threshold))
}

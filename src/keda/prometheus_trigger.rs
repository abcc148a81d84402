//! A `prometheus` trigger from its metadata (`pkg/scalers/prometheus_scaler.go` `parsePrometheusMetadata`).

use crate::keda::trigger_reader::Reader;
use crate::keda::{TargetType, metadata};
use crate::units::{SimDuration, Span};

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
    /// `timeout` of a request; `None`: the operator's (`KEDA_HTTP_DEFAULT_TIMEOUT`), also for a `timeout` of 0 or less.
    pub timeout: Option<SimDuration>,
    /// Where and how the query is asked.
    pub request: PrometheusRequest,
}

/// What a request for a query consists of beside the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrometheusRequest {
    /// `serverAddress`.
    pub server_address: String,
    /// `namespace`, a parameter of the URL.
    pub namespace: Option<String>,
    /// `queryParameters`, in the order written (KEDA's is that of a Go map, any).
    pub parameters: Vec<(String, String)>,
    /// `customHeaders`.
    pub headers: Vec<(String, String)>,
}

impl PrometheusTrigger {
    /// The URL of a request at `unix_seconds` (`ExecutePromQuery`): the query's time is the clock's, cut to whole seconds.
    pub fn url(&self, unix_seconds: i64) -> String {
        let request = &self.request;
        let time = jiff::Timestamp::from_second(unix_seconds).map_or_else(|_| String::new(), |time| time.to_string());
        let mut url =
            format!("{}/api/v1/query?query={}&time={time}", request.server_address, query_escape(&self.query));
        if let Some(namespace) = &request.namespace {
            url.push_str(&format!("&namespace={namespace}"));
        }
        for (key, value) in &request.parameters {
            url.push_str(&format!("&{}={}", query_escape(key), query_escape(value)));
        }
        url
    }

    /// Go's error for a request at `unix_seconds` that got no answer. Where Go shows the address that the server's name
    /// has, this shows the name.
    pub fn unanswered(&self, unix_seconds: i64, why: Unanswered) -> String {
        let why = match why {
            Unanswered::Refused => format!("dial tcp {}: connect: connection refused", self.host()),
            Unanswered::TimedOut => {
                "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned()
            }
            Unanswered::Cut => "EOF".to_owned(),
        };
        format!("Get \"{}\": {why}", self.url(unix_seconds))
    }

    /// Host and port of the server.
    fn host(&self) -> String {
        let address = self.request.server_address.as_str();
        let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let has_port = host.rsplit(':').next().is_some_and(|port| host.contains(':') && !port.contains(']'));
        match (has_port, scheme) {
            (true, _) => host.to_owned(),
            (false, "https") => format!("{host}:443"),
            (false, _) => format!("{host}:80"),
        }
    }
}

/// Why a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Nobody listens.
    Refused,
    /// Not in time.
    TimedOut,
    /// The server stopped while it worked on the answer.
    Cut,
}

/// Go's `url.QueryEscape`.
fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
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
    let server_address = reader.required("serverAddress");
    let query = reader.required("query");
    let threshold = reader.required_as("threshold", metadata::float);
    let activation_threshold = reader.optional("activationThreshold", metadata::float);
    let ignore_null_values = reader.optional("ignoreNullValues", metadata::boolean);
    reader.optional("unsafeSsl", metadata::boolean);
    let timeout = reader.optional("timeout", metadata::duration);
    let parameters = reader.optional("queryParameters", metadata::map);
    let headers = reader.optional("customHeaders", metadata::map);
    reader.warn_ignored(&KNOWN_KEYS, target_type, |key| {
        let help = format!("remove it; the HPA's metric is always s{index}-prometheus");
        (key == "metricName").then(|| ("metricName is ignored by KEDA since 2.12".to_owned(), help))
    });
    let namespace = reader.trigger.metadata("namespace").map(|own| own.value.to_owned());
    let (server_address, query, threshold) = (server_address?, query?, threshold?);
    let own = PrometheusTrigger {
        query_span: query.span,
        query: query.value.to_owned(),
        activation_threshold: activation_threshold.unwrap_or(0.0),
        ignore_null_values: ignore_null_values.unwrap_or(true),
        timeout: timeout.filter(|own| !own.is_zero()),
        request: PrometheusRequest {
            server_address: server_address.value.to_owned(),
            namespace,
            parameters: parameters.unwrap_or_default(),
            headers: headers.unwrap_or_default(),
        },
    };
    Some((own, threshold))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::prometheus;

    #[test]
    fn a_request_is_escaped_as_go_does() {
        let mut own = prometheus();
        own.query = "sum(rate(x{a=\"b c\"}[2m])) or vector(0)".to_owned();
        own.request.namespace = Some("llm".to_owned());
        own.request.parameters = vec![("dedup".to_owned(), "a/b".to_owned())];
        let expected = "http://prometheus:9090/api/v1/query?query=sum%28rate%28x%7Ba%3D%22b+c%22%7D%5B2m%5D%29%29+or+vector%280%29\
             &time=2026-01-05T00:10:07Z&namespace=llm&dedup=a%2Fb";
        assert_eq!(own.url(1_767_571_807), expected);
        let refused = own.unanswered(1_767_571_807, Unanswered::Refused);
        assert_eq!(refused, format!("Get \"{expected}\": dial tcp prometheus:9090: connect: connection refused"));
    }

    #[test]
    fn an_address_without_a_port_has_its_schemes() {
        for (address, host) in [
            ("http://prometheus:9090", "prometheus:9090"),
            ("http://prometheus.monitoring.svc", "prometheus.monitoring.svc:80"),
            ("https://thanos/prefix", "thanos:443"),
            ("https://user@thanos:9091/", "thanos:9091"),
            ("http://[fd00::1]:9090/x", "[fd00::1]:9090"),
            ("http://[fd00::1]/x", "[fd00::1]:80"),
            ("prometheus", "prometheus:80"),
        ] {
            let mut own = prometheus();
            own.request.server_address = address.to_owned();
            assert_eq!(own.host(), host, "{address}");
        }
    }
}

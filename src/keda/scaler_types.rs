//! The trigger types that KEDA v2.20.2 knows (the switch of `buildScaler`, `pkg/scaling/scalers_builder.go`), and which of
//! them are simulated.
//!
//! Knows names only; what a type reads from its metadata stands with the type.

use crate::keda::KedaVersion;
use crate::manifest::{self, nearest};
use crate::units::{Diagnostic, Judge};

/// In upstream's order. `external-mock` is KEDA's own test scaler.
pub(super) const TYPES: [&str; 77] = [
    "activemq",
    "apache-kafka",
    "arangodb",
    "artemis-queue",
    "aws-cloudwatch",
    "aws-dynamodb",
    "aws-dynamodb-streams",
    "aws-kinesis-stream",
    "aws-sqs-queue",
    "azure-app-insights",
    "azure-blob",
    "azure-data-explorer",
    "azure-eventhub",
    "azure-log-analytics",
    "azure-monitor",
    "azure-pipelines",
    "azure-queue",
    "azure-servicebus",
    "beanstalkd",
    "cassandra",
    "couchdb",
    "cpu",
    "cron",
    "datadog",
    "dynatrace",
    "elasticsearch",
    "etcd",
    "external",
    "external-mock",
    "external-push",
    "forgejo-runner",
    "gcp-cloudtasks",
    "gcp-pubsub",
    "gcp-stackdriver",
    "gcp-storage",
    "github-runner",
    "graphite",
    "huawei-cloudeye",
    "ibmmq",
    "influxdb",
    "kafka",
    "kubernetes-resource",
    "kubernetes-workload",
    "liiklus",
    "loki",
    "memory",
    "metrics-api",
    "mongodb",
    "mssql",
    "mysql",
    "nats-jetstream",
    "new-relic",
    "nsq",
    "openstack-metric",
    "openstack-swift",
    "opensearch",
    "postgresql",
    "predictkube",
    "prometheus",
    "pulsar",
    "rabbitmq",
    "redis",
    "redis-cluster",
    "redis-cluster-streams",
    "redis-sentinel",
    "redis-sentinel-streams",
    "redis-streams",
    "selenium-grid",
    "solace-direct-messaging",
    "solace-event-queue",
    "solarwinds",
    "solr",
    "splunk",
    "splunk-observability",
    "stan",
    "sumologic",
    "temporal",
];

/// Types that came late, with the minor release of version 2 that brought them (keda.sh, "Availability").
const SINCE: [(&str, u32); 2] = [("opensearch", 20), ("solarwinds", 18)];

/// Whether the value of a trigger of this type comes out of the simulation itself.
pub(super) fn is_simulated(kind: &str) -> bool {
    matches!(kind, "prometheus" | "cron" | "kubernetes-workload" | "cpu" | "memory")
}

/// Whether a trigger of this type is read by the HPA without KEDA.
pub(super) fn is_resource(kind: &str) -> bool {
    matches!(kind, "cpu" | "memory")
}

/// KEDA's error for a type that it does not know.
pub(super) fn unknown(trigger: &manifest::Trigger, version: KedaVersion) -> Option<Diagnostic> {
    let kind = trigger.kind.value.as_str();
    let since =
        SINCE.iter().find(|(own, minor)| *own == kind && version < KedaVersion { major: 2, minor: *minor, patch: 0 });
    if kind.is_empty() || (TYPES.contains(&kind) && since.is_none()) {
        return None;
    }
    let message = format!("no scaler found for type: {kind}");
    let help = match (since, nearest(kind, TYPES)) {
        (Some((_, minor)), _) => format!("it needs KEDA 2.{minor}"),
        (None, Some(near)) => format!("did you mean {near}?"),
        (None, None) => "see https://keda.sh/docs/latest/scalers/ for the types".to_owned(),
    };
    let path = format!("{}.type", trigger.path);
    Some(Diagnostic::error(trigger.kind.span.clone(), path, message).help(help).by(Judge::Operator))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keda::test_support::{OLD, text, version, written_trigger};

    #[test]
    fn unknown_types_are_told_with_the_nearest() {
        let found = |kind: &str, version| {
            let trigger = manifest::Trigger { kind: text(kind, 100), ..written_trigger(0) };
            unknown(&trigger, version).map(|own| (own.message, own.help.unwrap_or_default(), own.judge))
        };
        let new = version(2, 20, 2);
        let refused = |kind: &str, help: &str| {
            Some((format!("no scaler found for type: {kind}"), help.to_owned(), Some(Judge::Operator)))
        };
        // type, version, error.
        let table = [
            ("kafka", new, None),                                                   // known
            ("opensearch", new, None),                                              // new in 2.20
            ("opensearch", version(2, 20, 0), None),                                // from the first patch on
            ("opensearch", OLD, refused("opensearch", "it needs KEDA 2.20")),       // and not there before
            ("kafak", new, refused("kafak", "did you mean kafka?")),                // misspelt
            ("Prometheus", new, refused("Prometheus", "did you mean prometheus?")), // case counts
            ("", new, None),                                                        // told by the CRD's rule
        ];
        for (kind, version, expected) in table {
            assert_eq!(found(kind, version), expected, "{kind}");
        }
        assert!(found("zzzzzzzzzzzz", new).is_some_and(|(_, help, _)| help.starts_with("see https://keda.sh")));
    }

    #[test]
    fn the_list_has_no_doubles() {
        let mut sorted = TYPES.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), TYPES.len());
        assert_eq!(TYPES.iter().filter(|own| is_simulated(own)).count(), 5);
    }
}

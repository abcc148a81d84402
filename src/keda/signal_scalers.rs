//! What KEDA's scalers of types that are not simulated read from their metadata, as far as it changes scaling: the target,
//! the activation value, the metric's name, and what must be there (`pkg/scalers/<type>_scaler.go`, the struct with the
//! `keda` tags, `Validate` and `GetMetricSpecForScaling`).
//!
//! Parameters that a TriggerAuthentication can give are not asked for: what it holds is not known here. A type without a
//! row takes its target from the signal.

use crate::keda::trigger::normalized;
use crate::keda::trigger_reader::Reader;
use crate::manifest::Trigger;

/// One scaler, or several that read the same.
pub(super) struct Scaler {
    /// Trigger types.
    pub(super) types: &'static [&'static str],
    /// What only metadata can give.
    pub(super) required: &'static [&'static str],
    /// What metadata, or an environment variable that `<key>FromEnv` names, can give.
    pub(super) required_or_env: &'static [&'static str],
    /// The key of the target.
    pub(super) target: fn(&Trigger) -> &'static str,
    /// What happens without it.
    pub(super) absent: Absent,
    /// Whether target and activation value are whole numbers.
    pub(super) whole: bool,
    /// The key of the activation value, default 0: active above it.
    pub(super) activation: &'static str,
    /// The metric's name after `s<index>-`, before it is made fit for a name; `None` when metadata alone do not tell.
    pub(super) name: fn(&Trigger) -> Option<String>,
    /// The scaler's own validation; the flag says whether the trigger is a formula's input.
    pub(super) check: fn(&mut Reader<'_>, bool),
}

/// What a scaler does without a target.
#[derive(Clone, Copy)]
pub(super) enum Absent {
    /// Takes this.
    Default(f64),
    /// Refuses, as the reader of parameters does.
    Required,
    /// Refuses with this text, 0 as well, unless the trigger is a formula's input.
    Refused(&'static str),
    /// Looks for it in the TriggerAuthentication.
    Authentication,
}

fn no_check(_: &mut Reader<'_>, _: bool) {}

fn after(prefix: &str, trigger: &Trigger, key: &str) -> Option<String> {
    trigger.metadata(key).map(|own| format!("{prefix}-{}", own.value))
}

const KAFKA: Scaler = Scaler {
    types: &["kafka", "apache-kafka"],
    required: &[],
    required_or_env: &["bootstrapServers", "consumerGroup"],
    target: |_| "lagThreshold",
    absent: Absent::Default(10.0),
    whole: true,
    activation: "activationLagThreshold",
    name: |own| {
        after("kafka", own, "topic").or_else(|| Some(format!("{}-topics", after("kafka", own, "consumerGroup")?)))
    },
    check: no_check,
};

const REDIS_LISTS: Scaler = Scaler {
    types: &["redis", "redis-cluster", "redis-sentinel"],
    required: &["listName"],
    required_or_env: &[],
    target: |_| "listLength",
    absent: Absent::Default(5.0),
    whole: true,
    activation: "activationListLength",
    name: |own| after("redis", own, "listName"),
    check: no_check,
};

const REDIS_STREAMS: Scaler = Scaler {
    types: &["redis-streams", "redis-cluster-streams", "redis-sentinel-streams"],
    required: &["stream"],
    required_or_env: &[],
    target: |own| match (own.metadata("consumerGroup"), own.metadata("lagCount")) {
        (None, _) => "streamLength",
        (Some(_), Some(lag)) if lag.value != "0" => "lagCount",
        _ => "pendingEntriesCount",
    },
    absent: Absent::Default(5.0),
    whole: true,
    activation: "activationLagCount",
    name: |own| after("redis-streams", own, "stream"),
    check: no_check,
};

const RABBITMQ: Scaler = Scaler {
    types: &["rabbitmq"],
    required: &["queueName"],
    required_or_env: &[],
    target: |own| if given(own, "queueLength") { "queueLength" } else { "value" },
    absent: Absent::Default(20.0),
    whole: false,
    activation: "activationValue",
    name: |own| own.metadata("queueName").map(|name| format!("rabbitmq-{}", query_escaped(name.value))),
    check: check_rabbitmq,
};

const METRICS_API: Scaler = Scaler {
    types: &["metrics-api"],
    required: &["url", "valueLocation"],
    required_or_env: &[],
    target: |_| "targetValue",
    absent: Absent::Refused("no targetValue given in metadata"),
    whole: false,
    activation: "activationTargetValue",
    name: |own| after("metric-api", own, "valueLocation"),
    check: |reader, _| {
        one_of(reader, "format", &["prometheus", "json", "xml", "yaml"]);
        one_of(reader, "aggregationType", &["average", "sum", "max", "min"]);
    },
};

const POSTGRESQL: Scaler = Scaler {
    types: &["postgresql"],
    required: &["query"],
    required_or_env: &[],
    target: |_| "targetQueryValue",
    absent: Absent::Refused("no targetQueryValue given"),
    whole: false,
    activation: "activationTargetQueryValue",
    name: |_| Some("postgresql".to_owned()),
    check: no_check,
};

const MYSQL: Scaler = Scaler {
    types: &["mysql"],
    required: &["query"],
    required_or_env: &[],
    target: |_| "queryValue",
    absent: Absent::Required,
    whole: false,
    activation: "activationQueryValue",
    name: |own| after("mysql", own, "dbName"),
    check: no_check,
};

const MSSQL: Scaler = Scaler {
    types: &["mssql"],
    required: &["query"],
    required_or_env: &[],
    target: |_| "targetValue",
    absent: Absent::Required,
    whole: false,
    activation: "activationTargetValue",
    name: |_| Some("mssql".to_owned()),
    check: no_check,
};

const MONGODB: Scaler = Scaler {
    types: &["mongodb"],
    required: &["collection", "query"],
    required_or_env: &[],
    target: |_| "queryValue",
    absent: Absent::Required,
    whole: false,
    activation: "activationQueryValue",
    name: |own| after("mongodb", own, "collection"),
    check: no_check,
};

const NATS_JETSTREAM: Scaler = Scaler {
    types: &["nats-jetstream"],
    required: &["stream", "consumer"],
    required_or_env: &[],
    target: |_| "lagThreshold",
    absent: Absent::Default(10.0),
    whole: true,
    activation: "activationLagThreshold",
    name: |own| after("nats-jetstream", own, "stream"),
    check: no_check,
};

const AWS_SQS: Scaler = Scaler {
    types: &["aws-sqs-queue"],
    required: &[],
    required_or_env: &["queueURL"],
    target: |_| "queueLength",
    absent: Absent::Default(5.0),
    whole: true,
    activation: "activationQueueLength",
    name: |own| own.metadata("queueURL").and_then(|url| Some(format!("aws-sqs-{}", sqs_queue(url.value)?))),
    check: |reader, _| {
        if reader.trigger.metadata("queueURL").is_some_and(|url| sqs_queue(url.value).is_none()) {
            reader.refuse(
                "queueURL",
                "cannot get queueName from queueURL",
                Some("write .../<account>/<queue>, or a name"),
            );
        }
    },
};

const AZURE_SERVICE_BUS: Scaler = Scaler {
    types: &["azure-servicebus"],
    required: &[],
    required_or_env: &[],
    target: |_| "messageCount",
    absent: Absent::Default(5.0),
    whole: true,
    activation: "activationMessageCount",
    name: service_bus_name,
    check: check_service_bus,
};

const AZURE_QUEUE: Scaler = Scaler {
    types: &["azure-queue"],
    required: &["queueName"],
    required_or_env: &[],
    target: |_| "queueLength",
    absent: Absent::Default(5.0),
    whole: true,
    activation: "activationQueueLength",
    name: |own| after("azure-queue", own, "queueName"),
    check: no_check,
};

const GCP_PUBSUB: Scaler = Scaler {
    types: &["gcp-pubsub"],
    required: &[],
    required_or_env: &[],
    target: |own| if given(own, "subscriptionSize") { "subscriptionSize" } else { "value" },
    absent: Absent::Default(10.0),
    whole: false,
    activation: "activationValue",
    name: |own| after("gcp-ps", own, "subscriptionName").or_else(|| after("gcp-ps", own, "topicName")),
    check: |reader, _| {
        let has = |key: &str| reader.trigger.metadata(key).is_some() || from_env(reader.trigger, key);
        if has("subscriptionName") == has("topicName") {
            let message = "exactly one of subscription or topic name must be given";
            reader.refuse("subscriptionName", message, None);
        }
    },
};

const INFLUXDB: Scaler = Scaler {
    types: &["influxdb"],
    required: &["query"],
    required_or_env: &[],
    target: |_| "thresholdValue",
    absent: Absent::Refused("no threshold value given"),
    whole: false,
    activation: "activationThresholdValue",
    name: |own| {
        let third = own.metadata("influxVersion").is_some_and(|version| version.value == "3");
        after("influxdb", own, if third { "database" } else { "organizationName" })
    },
    check: |reader, _| one_of(reader, "influxVersion", &["2", "3"]),
};

const GRAPHITE: Scaler = Scaler {
    types: &["graphite"],
    required: &["serverAddress", "query", "queryTime"],
    required_or_env: &[],
    target: |_| "threshold",
    absent: Absent::Default(100.0),
    whole: false,
    activation: "activationThreshold",
    name: |_| Some("graphite".to_owned()),
    check: no_check,
};

const LOKI: Scaler = Scaler {
    types: &["loki"],
    required: &["serverAddress", "query"],
    required_or_env: &[],
    target: |_| "threshold",
    absent: Absent::Required,
    whole: false,
    activation: "activationThreshold",
    name: |_| Some("loki".to_owned()),
    check: no_check,
};

const NEW_RELIC: Scaler = Scaler {
    types: &["new-relic"],
    required: &["nrql"],
    required_or_env: &[],
    target: |_| "threshold",
    absent: Absent::Required,
    whole: false,
    activation: "activationThreshold",
    name: |_| Some("new-relic".to_owned()),
    check: no_check,
};

const ELASTICSEARCH: Scaler = Scaler {
    types: &["elasticsearch"],
    required: &[],
    required_or_env: &[],
    target: |_| "targetValue",
    absent: Absent::Authentication,
    whole: false,
    activation: "activationTargetValue",
    name: |own| after("elasticsearch", own, "searchTemplateName").or_else(|| Some("elasticsearch-query".to_owned())),
    check: no_check,
};

const OPENSEARCH: Scaler = Scaler { types: &["opensearch"], name: |_| None, ..ELASTICSEARCH };

const KUBERNETES_RESOURCE: Scaler = Scaler {
    types: &["kubernetes-resource"],
    required: &["resourceKind", "resourceName", "key"],
    required_or_env: &[],
    target: |_| "targetValue",
    absent: Absent::Required,
    whole: false,
    activation: "activationTargetValue",
    name: |own| {
        let part = |key| own.metadata(key).map(|found| found.value);
        Some(format!("{}-{}-{}", part("resourceKind")?.to_lowercase(), part("resourceName")?, part("key")?))
    },
    check: check_kubernetes_resource,
};

const SCALERS: [&Scaler; 21] = [
    &KAFKA,
    &REDIS_LISTS,
    &REDIS_STREAMS,
    &RABBITMQ,
    &METRICS_API,
    &POSTGRESQL,
    &MYSQL,
    &MSSQL,
    &MONGODB,
    &NATS_JETSTREAM,
    &AWS_SQS,
    &AZURE_SERVICE_BUS,
    &AZURE_QUEUE,
    &GCP_PUBSUB,
    &INFLUXDB,
    &GRAPHITE,
    &LOKI,
    &NEW_RELIC,
    &ELASTICSEARCH,
    &OPENSEARCH,
    &KUBERNETES_RESOURCE,
];

/// The row of a type.
pub(super) fn scaler(kind: &str) -> Option<&'static Scaler> {
    SCALERS.into_iter().find(|own| own.types.contains(&kind))
}

/// The metric's name in the HPA: `s<index>-kafka-orders`, or `s<index>-<type>` where the scaler's own rule needs more than
/// metadata or is not known.
pub(super) fn metric_name(index: usize, trigger: &Trigger) -> String {
    let kind = trigger.kind.value.as_str();
    let own = scaler(kind).and_then(|row| (row.name)(trigger));
    format!("s{index}-{}", normalized(&own.unwrap_or_else(|| kind.to_owned())))
}

/// Whether `<key>FromEnv` names a variable.
pub(super) fn from_env(trigger: &Trigger, key: &str) -> bool {
    trigger.metadata(&format!("{key}FromEnv")).is_some()
}

/// Whether a number is there that is not 0.
fn given(trigger: &Trigger, key: &str) -> bool {
    trigger.metadata(key).is_some_and(|own| own.value.parse() != Ok(0.0))
}

/// Go's `url.QueryEscape`.
fn query_escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The queue's name in its URL; a text that is no URL is the name. `None` for a URL of another shape.
fn sqs_queue(text: &str) -> Option<&str> {
    let rest = text.split_once("://").map(|(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let Some(path) = rest.or_else(|| text.strip_prefix('/')) else { return Some(text) };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split_once('/').map(|(_, queue)| queue).filter(|queue| !queue.is_empty() && !queue.contains('/'))
}

fn service_bus_name(trigger: &Trigger) -> Option<String> {
    let queue = trigger.metadata("queueName");
    let regex =
        trigger.metadata("useRegex").is_some_and(|own| crate::keda::metadata::parse_bool(own.value) == Some(true));
    if regex {
        return Some(format!("azure-servicebus-{}-regex", if queue.is_some() { "queue" } else { "topic" }));
    }
    after("azure-servicebus", trigger, "queueName").or_else(|| after("azure-servicebus", trigger, "topicName"))
}

fn check_service_bus(reader: &mut Reader<'_>, _: bool) {
    let has = |key: &str| reader.trigger.metadata(key).is_some();
    let (queue, topic, subscription) = (has("queueName"), has("topicName"), has("subscriptionName"));
    let (key, message) = match (queue, topic, subscription) {
        (true, _, true) => ("subscriptionName", "subscription name provided with queue name"),
        (true, true, false) => ("topicName", "both topic and queue name metadata provided"),
        (false, true, false) => ("topicName", "no subscription name provided with topic name"),
        (false, false, _) => ("queueName", "no service bus entity type set"),
        _ => return,
    };
    reader.refuse(key, message, None);
}

fn check_rabbitmq(reader: &mut Reader<'_>, _: bool) {
    const MODES: [&str; 5] =
        ["QueueLength", "MessageRate", "DeliverGetRate", "PublishedToDeliveredRatio", "ExpectedQueueConsumptionTime"];
    let mode = reader.trigger.metadata("mode").map(|own| own.value).filter(|own| *own != "Unknown");
    let (length, value) = (given(reader.trigger, "queueLength"), given(reader.trigger, "value"));
    let (key, message) = match (length, mode, value) {
        (_, None, false) => return,
        (true, _, _) => ("queueLength", "queueLength is deprecated; use mode and value".to_owned()),
        (false, None, true) => ("mode", "mode must be specified".to_owned()),
        (false, Some(_), false) => ("value", "value must be specified".to_owned()),
        (false, Some(mode), true) if !MODES.contains(&mode) => {
            let [first @ .., last] = MODES;
            ("mode", format!("trigger mode {mode} must be one of {} or {last}", first.join(", ")))
        }
        _ => return,
    };
    reader.refuse(key, message, None);
}

fn check_kubernetes_resource(reader: &mut Reader<'_>, formula: bool) {
    one_of(reader, "resourceKind", &["ConfigMap", "Secret"]);
    one_of(reader, "format", &["number", "json", "yaml"]);
    one_of(reader, "valueType", &["float64", "int64", "quantity"]);
    let target = reader.trigger.metadata("targetValue").and_then(|own| own.value.parse::<f64>().ok());
    if target.is_some_and(|value| value <= 0.0) && !formula {
        reader.refuse("targetValue", "targetValue must be a float greater than 0", None);
    }
    let format = reader.trigger.metadata("format").map_or("number", |own| own.value);
    let location = reader.trigger.metadata("valueLocation").is_some();
    match format {
        "number" if location => {
            reader.refuse("valueLocation", "valueLocation is only supported with json or yaml format", None);
        }
        "json" | "yaml" if !location => {
            reader.refuse("valueLocation", format!("valueLocation is required for {format} format"), None);
        }
        _ => {}
    }
}

/// The `enum` rule of a parameter.
fn one_of(reader: &mut Reader<'_>, key: &str, allowed: &[&str]) {
    let Some(found) = reader.trigger.metadata(key) else { return };
    if !allowed.contains(&found.value) {
        let shown = allowed.join(" ");
        reader.refuse(key, format!("parameter {key:?} value {:?} must be one of [{shown}]", found.value), None);
    }
}

#[cfg(test)]
#[path = "signal_scalers_tests.rs"]
mod tests;

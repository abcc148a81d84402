//! Rows of the table of scalers: names, targets, activation, own rules.

use super::*;
use crate::keda::test_support::{key, text, version, written, written_trigger};
use crate::keda::{ScaledObjectSpec, TriggerKind};
use crate::manifest::ScaledObject;
use crate::series::{Signal, Signals, TriggerSignal};

fn object(kind: &str, metadata: &[(&str, &str)]) -> ScaledObject {
    let mut object = written();
    let lines = metadata.iter().zip(101..);
    object.triggers = vec![Trigger {
        kind: text(kind, 100),
        metadata: lines.map(|((name, value), line)| (key(name, line), text(value, line))).collect(),
        ..written_trigger(0)
    }];
    object
}

fn signals() -> Signals {
    let signal = TriggerSignal { value: Signal::Constant(3.0), active: None, target: None };
    Signals { triggers: vec![(text("triggers[0]", 7), signal)], series: Vec::new() }
}

/// Metric name, target, activation value.
fn read(kind: &str, metadata: &[(&str, &str)]) -> Result<(String, f64, f64), String> {
    let found = ScaledObjectSpec::resolve(&object(kind, metadata), version(2, 20, 2), &signals());
    let (spec, messages) =
        found.map_err(|why| why.0.iter().map(|own| own.message.clone()).collect::<Vec<_>>().join("|"))?;
    assert!(messages.0.is_empty(), "{messages}");
    let trigger = &spec.triggers[0];
    let TriggerKind::Signal(own) = &trigger.kind else { panic!("another kind") };
    Ok((trigger.metric_name.clone(), trigger.threshold, own.activation))
}

const BROKER: (&str, &str) = ("bootstrapServers", "kafka:9092");

#[test]
fn names_targets_and_activation_values_are_upstreams() {
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, f64, f64);
    let sqs = ("queueURL", "https://sqs.eu-west-1.amazonaws.com/123456789/jobs.fifo");
    // type, metadata, metric name, target, activation value.
    let table: [Row<'_>; 33] = [
        ("kafka", &[BROKER, ("consumerGroup", "g"), ("topic", "orders")], "s0-kafka-orders", 10.0, 0.0),
        ("kafka", &[BROKER, ("consumerGroup", "g"), ("lagThreshold", "50")], "s0-kafka-g-topics", 50.0, 0.0), // all topics
        ("kafka", &[("bootstrapServersFromEnv", "B"), ("consumerGroupFromEnv", "G")], "s0-kafka", 10.0, 0.0), // unknown here
        ("apache-kafka", &[BROKER, ("consumerGroup", "g"), ("topic", "a.b")], "s0-kafka-a-b", 10.0, 0.0),
        ("kafka", &[BROKER, ("consumerGroup", "g"), ("activationLagThreshold", "7")], "s0-kafka-g-topics", 10.0, 7.0),
        ("redis", &[("listName", "l")], "s0-redis-l", 5.0, 0.0),
        (
            "redis-cluster",
            &[("listName", "l"), ("listLength", "8"), ("activationListLength", "2")],
            "s0-redis-l",
            8.0,
            2.0,
        ),
        ("redis-streams", &[("stream", "s")], "s0-redis-streams-s", 5.0, 0.0), // streamLength
        (
            "redis-streams",
            &[("stream", "s"), ("streamLength", "9"), ("pendingEntriesCount", "4")],
            "s0-redis-streams-s",
            9.0,
            0.0,
        ),
        (
            "redis-streams",
            &[("stream", "s"), ("consumerGroup", "g"), ("pendingEntriesCount", "4")],
            "s0-redis-streams-s",
            4.0,
            0.0,
        ),
        (
            "redis-sentinel-streams",
            &[("stream", "s"), ("consumerGroup", "g"), ("lagCount", "6")],
            "s0-redis-streams-s",
            6.0,
            0.0,
        ),
        (
            "redis-streams",
            &[("stream", "s"), ("consumerGroup", "g"), ("lagCount", "0")],
            "s0-redis-streams-s",
            5.0,
            0.0,
        ),
        ("rabbitmq", &[("queueName", "a b/c")], "s0-rabbitmq-a+b-2Fc", 20.0, 0.0), // escaped, then made fit
        ("rabbitmq", &[("queueName", "q"), ("mode", "MessageRate"), ("value", "2.5")], "s0-rabbitmq-q", 2.5, 0.0),
        ("rabbitmq", &[("queueName", "q"), ("queueLength", "30")], "s0-rabbitmq-q", 30.0, 0.0),
        (
            "metrics-api",
            &[("url", "http://x"), ("valueLocation", "a.b"), ("targetValue", "8.8")],
            "s0-metric-api-a-b",
            8.8,
            0.0,
        ),
        ("postgresql", &[("query", "q"), ("targetQueryValue", "1.5")], "s0-postgresql", 1.5, 0.0),
        ("mysql", &[("query", "q"), ("queryValue", "4")], "s0-mysql", 4.0, 0.0), // the name needs dbName
        ("mysql", &[("query", "q"), ("queryValue", "4"), ("dbName", "d")], "s0-mysql-d", 4.0, 0.0),
        ("mssql", &[("query", "q"), ("targetValue", "4"), ("activationTargetValue", "5")], "s0-mssql", 4.0, 5.0),
        ("mongodb", &[("query", "q"), ("collection", "c"), ("queryValue", "4")], "s0-mongodb-c", 4.0, 0.0),
        ("nats-jetstream", &[("stream", "s"), ("consumer", "c")], "s0-nats-jetstream-s", 10.0, 0.0),
        ("aws-sqs-queue", &[sqs], "s0-aws-sqs-jobs-fifo", 5.0, 0.0), // the queue of the URL
        ("aws-sqs-queue", &[("queueURL", "jobs")], "s0-aws-sqs-jobs", 5.0, 0.0), // or its name
        ("azure-servicebus", &[("topicName", "t"), ("subscriptionName", "s")], "s0-azure-servicebus-t", 5.0, 0.0),
        (
            "azure-servicebus",
            &[("queueName", "q.*"), ("useRegex", "true")],
            "s0-azure-servicebus-queue-regex",
            5.0,
            0.0,
        ),
        ("azure-queue", &[("queueName", "q"), ("queueLength", "7")], "s0-azure-queue-q", 7.0, 0.0),
        (
            "gcp-pubsub",
            &[("subscriptionName", "projects/p/subscriptions/s")],
            "s0-gcp-ps-projects-p-subscriptions-s",
            10.0,
            0.0,
        ),
        ("influxdb", &[("query", "q"), ("thresholdValue", "3"), ("organizationName", "o")], "s0-influxdb-o", 3.0, 0.0),
        ("graphite", &[("serverAddress", "s"), ("query", "q"), ("queryTime", "-1Min")], "s0-graphite", 100.0, 0.0),
        ("loki", &[("serverAddress", "s"), ("query", "q"), ("threshold", "0.7")], "s0-loki", 0.7, 0.0),
        ("elasticsearch", &[("searchTemplateName", "t"), ("targetValue", "3")], "s0-elasticsearch-t", 3.0, 0.0),
        (
            "kubernetes-resource",
            &[("resourceKind", "ConfigMap"), ("resourceName", "c"), ("key", "k"), ("targetValue", "2")],
            "s0-configmap-c-k",
            2.0,
            0.0,
        ),
    ];
    for (kind, metadata, name, target, activation) in table {
        assert_eq!(read(kind, metadata), Ok((name.to_owned(), target, activation)), "{kind} {metadata:?}");
    }
}

#[test]
fn what_is_wrong_is_told_in_upstreams_words() {
    let missing = |key: &str| format!("missing required parameter {key:?} in [triggerMetadata]");
    let or_env = |key: &str| format!("missing required parameter {key:?} in [triggerMetadata resolvedEnv]");
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], String);
    let resource = [("resourceKind", "ConfigMap"), ("resourceName", "c"), ("key", "k")];
    let with = |more: &[(&'static str, &'static str)]| resource.iter().chain(more).copied().collect::<Vec<_>>();
    let (zero, location, pod) = (
        with(&[("targetValue", "0")]),
        with(&[("targetValue", "1"), ("valueLocation", "a")]),
        with(&[("targetValue", "1"), ("format", "json")]),
    );
    let table: Vec<Row<'_>> = vec![
        ("kafka", &[], format!("{}|{}", or_env("bootstrapServers"), or_env("consumerGroup"))),
        (
            "kafka",
            &[BROKER, ("consumerGroup", "g"), ("lagThreshold", "1.5")],
            "unable to set param \"lagThreshold\" value \"1.5\": unable to unmarshal to field type int64: not a whole JSON number"
                .into(),
        ),
        ("redis", &[], missing("listName")),
        ("redis-streams", &[], missing("stream")),
        ("metrics-api", &[("targetValue", "1")], format!("{}|{}", missing("url"), missing("valueLocation"))),
        ("metrics-api", &[("url", "u"), ("valueLocation", "v")], "no targetValue given in metadata".into()),
        ("metrics-api", &[("url", "u"), ("valueLocation", "v"), ("targetValue", "0")], "no targetValue given in metadata".into()),
        (
            "metrics-api",
            &[("url", "u"), ("valueLocation", "v"), ("targetValue", "1"), ("format", "csv")],
            "parameter \"format\" value \"csv\" must be one of [prometheus json xml yaml]".into(),
        ),
        ("postgresql", &[("query", "q")], "no targetQueryValue given".into()),
        ("mysql", &[("query", "q")], missing("queryValue")),
        ("influxdb", &[("query", "q"), ("organizationName", "o")], "no threshold value given".into()),
        ("aws-sqs-queue", &[("queueURL", "https://sqs.eu-west-1.amazonaws.com/jobs")], "cannot get queueName from queueURL".into()),
        ("azure-servicebus", &[], "no service bus entity type set".into()),
        ("azure-servicebus", &[("topicName", "t")], "no subscription name provided with topic name".into()),
        ("azure-servicebus", &[("queueName", "q"), ("topicName", "t")], "both topic and queue name metadata provided".into()),
        ("azure-servicebus", &[("queueName", "q"), ("subscriptionName", "s")], "subscription name provided with queue name".into()),
        ("gcp-pubsub", &[], "exactly one of subscription or topic name must be given".into()),
        ("rabbitmq", &[("queueName", "q"), ("mode", "QueueLength")], "value must be specified".into()),
        ("rabbitmq", &[("queueName", "q"), ("value", "3")], "mode must be specified".into()),
        (
            "rabbitmq",
            &[("queueName", "q"), ("queueLength", "3"), ("value", "3")],
            "queueLength is deprecated; use mode and value".into(),
        ),
        (
            "rabbitmq",
            &[("queueName", "q"), ("mode", "Rate"), ("value", "3")],
            "trigger mode Rate must be one of QueueLength, MessageRate, DeliverGetRate, PublishedToDeliveredRatio or \
             ExpectedQueueConsumptionTime"
                .into(),
        ),
        ("kubernetes-resource", &zero, "targetValue must be a float greater than 0".into()),
        ("kubernetes-resource", &location, "valueLocation is only supported with json or yaml format".into()),
        ("kubernetes-resource", &pod, "valueLocation is required for json format".into()),
    ];
    for (kind, metadata, message) in table {
        assert_eq!(read(kind, metadata), Err(message), "{kind} {metadata:?}");
    }
}

#[test]
fn rows_are_of_known_types_and_disjoint() {
    let types: Vec<&str> = SCALERS.iter().flat_map(|own| own.types).copied().collect();
    for (index, kind) in types.iter().enumerate() {
        assert!(crate::keda::scaler_types::TYPES.contains(kind), "{kind}");
        assert!(!types[..index].contains(kind), "{kind} twice");
    }
}

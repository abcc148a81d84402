use super::*;
use crate::units::Diagnostics;

const PROMETHEUS: &str = "{type: External, external: {metric: {backend: prometheus, serverAddress: \"http://p:9090\", \
                          query: up}, target: {type: AverageValue, averageValue: \"2\", value: \"2\"}}}";

/// An InferenceService of class `class` in mode `mode` with these lines under `spec.predictor` (they start at line 9).
fn service(class: &str, mode: &str, lines: &str) -> String {
    format!(
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: qwen\n  annotations:\n    \
         serving.kserve.io/autoscalerClass: {class}\n    serving.kserve.io/deploymentMode: {mode}\n\
         spec:\n  predictor:\n    model: {{modelFormat: {{name: huggingface}}}}\n{lines}"
    )
}

fn shown(found: &Diagnostics) -> Vec<String> {
    found.0.iter().map(ToString::to_string).collect()
}

fn generate(text: &str) -> (Vec<ScaledObject>, Vec<String>) {
    let bundle = Bundle::from_text(text, "t").expect("valid YAML");
    let mut ledger = Ledger::default();
    let objects = generated_scaled_objects(&bundle, &mut ledger);
    (objects, shown(&ledger.diagnostics))
}

fn hpas(text: &str) -> (Vec<HorizontalPodAutoscaler>, Vec<String>) {
    let bundle = Bundle::from_text(text, "t").expect("valid YAML");
    let mut ledger = Ledger::default();
    let hpas = generated_hpas(&bundle, &mut ledger);
    (hpas, shown(&ledger.diagnostics))
}

/// What is told of a service in Standard mode with one metric.
fn with_metric(metric: &str) -> (Vec<ScaledObject>, Vec<String>) {
    generate(&service("keda", "Standard", &format!("    autoScaling: {{metrics: [{metric}]}}\n")))
}

fn entries(trigger: &Trigger) -> Vec<(&str, &str)> {
    trigger.metadata.iter().map(|(key, value)| (key.name.as_str(), value.value.as_str())).collect()
}

fn number(field: &Option<Located<i64>>) -> Option<i64> {
    field.as_ref().map(|own| own.value)
}

#[test]
fn an_external_metric_becomes_a_trigger_of_its_backend() {
    let lines = format!("    minReplicas: 2\n    maxReplicas: 5\n    autoScaling: {{metrics: [{PROMETHEUS}]}}\n");
    let (objects, told) = generate(&service("keda", "Standard", &lines));
    assert_eq!(told, ["note: t:4:9: KServe generates ScaledObject qwen-predictor (min 2, max 5, trigger prometheus)"]);
    let object = &objects[0];
    assert_eq!(
        (object.name.value.as_str(), object.scale_target_ref.name.value.as_str()),
        ("qwen-predictor", "qwen-predictor")
    );
    assert!(object.scale_target_ref.kind.is_none() && object.namespace.is_none());
    assert_eq!((number(&object.min_replica_count), number(&object.max_replica_count)), (Some(2), Some(5)));
    assert!(object.polling_interval.is_none() && object.cooldown_period.is_none() && object.fallback.is_none());
    assert!(object.idle_replica_count.is_none() && object.behavior.is_none() && object.annotations.len() == 2);
    let trigger = &object.triggers[0];
    assert_eq!((trigger.kind.value.as_str(), trigger.metric_type.as_ref()), ("prometheus", None));
    // As Go prints a float.
    assert_eq!(entries(trigger), [("serverAddress", "http://p:9090"), ("query", "up"), ("threshold", "2.000000")]);
    assert_eq!(trigger.path, "spec.predictor.autoScaling.metrics[0]");
    // Every part has the place it comes from.
    let places =
        [&object.min_replica_count, &object.max_replica_count].map(|own| own.as_ref().map(|own| own.span.line));
    assert_eq!(places, [Some(11), Some(12)]);
    let threshold = trigger.metadata("threshold").expect("a threshold").span;
    let value = lines.lines().nth(2).and_then(|line| line.find("value: \"2\"}")).expect("the value is there");
    assert_eq!((threshold.line, usize::try_from(threshold.column).expect("small")), (13, value + 8));
}

#[test]
fn namespace_and_authentication_modes_are_passed_on() {
    let metric = PROMETHEUS
        .replace("query: up", "query: up, namespace: ns")
        .replace("external: {", "external: {authenticationRef: {authModes: bearer, authenticationRef: {name: s}}, ");
    let (objects, _) = with_metric(&metric);
    assert_eq!(entries(&objects[0].triggers[0])[3..], [("namespace", "ns"), ("authModes", "bearer")]);
    // Only for Prometheus.
    let (objects, _) = with_metric(&metric.replace("backend: prometheus", "backend: graphite"));
    assert_eq!(objects[0].triggers[0].kind.value, "graphite");
    assert_eq!(entries(&objects[0].triggers[0])[3..], [("authModes", "bearer")]);
}

#[test]
fn the_bounds_are_kserves() {
    // minReplicas, maxReplicas, of the ScaledObject, of the HPA.
    let cases = [
        ("", (1, 1), (1, 1)), // No maximum: the minimum.
        ("    minReplicas: 3\n", (3, 3), (3, 3)),
        ("    minReplicas: 3\n    maxReplicas: 2\n", (3, 3), (3, 3)),
        ("    maxReplicas: 4\n", (1, 4), (1, 4)),
        ("    minReplicas: 0\n    maxReplicas: 4\n", (0, 4), (1, 4)), // An HPA cannot scale to zero.
        ("    minReplicas: 0\n", (0, 0), (1, 1)),
    ];
    for (bounds, of_object, of_hpa) in cases {
        let lines = format!("{bounds}    autoScaling: {{metrics: [{PROMETHEUS}]}}\n");
        let (objects, told) = generate(&service("keda", "Standard", &lines));
        let own = &objects[0];
        let found = (number(&own.min_replica_count), number(&own.max_replica_count));
        assert_eq!(found, (Some(of_object.0), Some(of_object.1)), "{bounds}: {told:?}");
        let (hpas, _) = hpas(&service("hpa", "Standard", bounds));
        let found = (number(&hpas[0].min_replicas), hpas[0].max_replicas.value);
        assert_eq!(found, (Some(of_hpa.0), of_hpa.1), "{bounds}");
    }
}

#[test]
fn a_target_type_that_is_not_passed_on_is_warned_of() {
    let value = PROMETHEUS.replace("type: AverageValue, averageValue: \"2\"", "type: Value");
    let (objects, told) = with_metric(&value);
    assert_eq!(objects[0].triggers[0].metric_type, None);
    let expected = "warning: t:11:";
    assert!(
        told[0].starts_with(expected) && told[0].contains("metrics[0].external.target.type: found \"Value\""),
        "{told:?}"
    );
    assert!(
        told[0].contains("runs as AverageValue\n  help: the replicas are the query's result divided by 2"),
        "{told:?}"
    );
    let other = PROMETHEUS.replace("averageValue: \"2\"", "averageValue: \"3\"");
    let (objects, told) = with_metric(&other);
    assert_eq!(entries(&objects[0].triggers[0])[2], ("threshold", "2.000000"));
    assert!(told[0].contains("external.target.averageValue: found 3, which KServe does not pass on"), "{told:?}");
}

#[test]
fn a_pod_metric_becomes_an_external_trigger() {
    let metric = "{type: PodMetric, podmetric: {metric: {backend: opentelemetry, metricNames: [a], query: \"vllm:x\"}, \
                  target: {type: Value, value: 500m}}}";
    let (objects, told) = with_metric(metric);
    let trigger = &objects[0].triggers[0];
    assert_eq!((trigger.kind.value.as_str(), trigger.metric_type.as_ref()), ("external", None));
    let query = "sum(vllm:x{namespace=\"default\", deployment=\"qwen-predictor\"})";
    let expected =
        [("metricQuery", query), ("targetValue", "0.500000"), ("scalerAddress", "keda-otel-scaler.keda.svc:4318")];
    assert_eq!(entries(trigger), expected);
    assert!(told.iter().any(|own| own.contains("(min 1, max 1, trigger external)")), "{told:?}");
    let own = metric.replace("query:", "serverAddress: \"s:1\", operationOverTime: avg, query:");
    let (objects, _) = with_metric(&own);
    assert_eq!(entries(&objects[0].triggers[0])[2..], [("scalerAddress", "s:1"), ("operationOverTime", "avg")]);
    let (objects, told) = with_metric(&metric.replace("opentelemetry", "prometheus"));
    assert!(
        objects.is_empty() && told.iter().any(|own| own.contains("podmetric.metric.backend: found \"prometheus\""))
    );
}

#[test]
fn a_resource_metric_keeps_its_target_type() {
    let resource =
        |name: &str, target: &str| format!("{{type: Resource, resource: {{name: {name}, target: {{{target}}}}}}}");
    let cases = [
        ("cpu", "type: Utilization, averageUtilization: 70", "Utilization", "70"),
        ("memory", "type: AverageValue, averageValue: 4Gi", "AverageValue", "4294967296"),
        ("memory", "type: Utilization, averageUtilization: 50", "Utilization", "50"),
    ];
    for (name, target, target_type, value) in cases {
        let (objects, told) = with_metric(&resource(name, target));
        assert_eq!(told.len(), 1, "{told:?}");
        let trigger = &objects[0].triggers[0];
        assert_eq!((trigger.kind.value.as_str(), entries(trigger)), (name, vec![("value", value)]), "{target}");
        assert_eq!(trigger.metric_type.as_ref().map(|own| own.value.as_str()), Some(target_type));
    }
    // The older spelling of the mode is not checked by the webhook, so the default is reached.
    let lines = format!("    autoScaling: {{metrics: [{}]}}\n", resource("cpu", "type: Utilization"));
    let (objects, _) = generate(&service("keda", "RawDeployment", &lines));
    assert_eq!(entries(&objects[0].triggers[0]), [("value", "80")]);
    let refused = [
        (
            "cpu",
            "type: AverageValue, averageValue: 1",
            "resource.target.type: ",
            "the cpu target value type should be Utilization",
        ),
        (
            "cpu",
            "type: Utilization",
            "resource.target.averageUtilization: ",
            "the AverageUtilization type should be set",
        ),
        ("cpu", "type: Utilization, averageUtilization: 101", "averageUtilization: ", "should be a [1-100] integer"),
        ("memory", "type: Value, value: 1", "resource.target.type: ", "should be AverageValue or Utilization"),
        ("memory", "type: AverageValue", "resource.target.averageValue: ", "the AverageValue type should be set"),
        ("memory", "type: AverageValue, averageValue: 1048575", "averageValue: ", "should be greater than 1 MiB"),
        ("disk", "type: Value, value: 1", "resource.name: ", "resource type disk is not supported"),
    ];
    for (name, target, path, words) in refused {
        let (objects, told) = with_metric(&resource(name, target));
        assert!(objects.is_empty() && told.len() == 1, "{target}: {told:?}");
        assert!(told[0].starts_with("error: t:11:") && told[0].contains(path) && told[0].contains(words), "{told:?}");
    }
}

#[test]
fn what_kserve_refuses_is_an_error_in_its_words() {
    let target = "target: {type: AverageValue, averageValue: \"2\", value: \"2\"}";
    let cases = [
        (
            PROMETHEUS.replace(", value: \"2\"", ""),
            "external.target.value: ",
            "the target threshold value should not be empty",
        ),
        (
            PROMETHEUS.replace("averageValue: \"2\", ", ""),
            "target.averageValue: ",
            "the AverageValue type should be set",
        ),
        (PROMETHEUS.replace("query: up", "query: \"\""), "external.metric.query: ", "the query should not be empty"),
        (
            format!("{{type: External, resource: {{name: cpu, {target}}}}}"),
            "metrics[0]: ",
            "metricSpec.External is not set",
        ),
        ("{type: Resource}".to_owned(), "metrics[0]: ", "metricSpec.Resource is not set"),
        ("{type: Pods}".to_owned(), "metrics[0].type: ", "unknown KEDA metric type with value [Pods]"),
        (PROMETHEUS.replace("backend: prometheus, ", ""), "external.metric.backend: ", "a trigger without a type"),
    ];
    for (metric, path, words) in cases {
        let (objects, told) = with_metric(&metric);
        assert!(objects.is_empty() && told.len() == 1, "{metric}: {told:?}");
        assert!(told[0].starts_with("error: t:11:") && told[0].contains(path) && told[0].contains(words), "{told:?}");
    }
    let (objects, told) = generate(&service("keda", "Standard", ""));
    assert!(
        objects.is_empty()
            && told[0].contains("spec.predictor.autoScaling.metrics: ")
            && told[0].contains("without triggers")
    );
    let lines = format!("    scaleMetric: cpu\n    scaleTarget: 5\n    autoScaling: {{metrics: [{PROMETHEUS}]}}\n");
    let (objects, told) = generate(&service("keda", "Standard", &lines));
    assert!(objects.is_empty() && told[0].contains("ScaleMetric is not supported for KEDA"), "{told:?}");
    assert!(told[1].starts_with("warning: t:12:18: spec.predictor.scaleTarget: "), "{told:?}");
}

#[test]
fn of_behavior_only_the_windows_are_passed_on() {
    let behavior = |text: &str| {
        let lines = format!("    autoScaling:\n      metrics: [{PROMETHEUS}]\n      behavior: {text}\n");
        generate(&service("keda", "Standard", &lines))
    };
    let (objects, told) = behavior(
        "{scaleUp: {stabilizationWindowSeconds: 30, policies: [{type: Pods, value: 1, periodSeconds: 60}], tolerance: 0.2}, \
         scaleDown: {selectPolicy: Disabled}}",
    );
    let own = objects[0].behavior.as_ref().expect("a behavior");
    let up = own.scale_up.as_ref().expect("scaleUp");
    assert_eq!(number(&up.stabilization_window_seconds), Some(30));
    assert!(up.policies.is_none() && up.tolerance.is_none() && up.select_policy.is_none());
    assert!(own.scale_down.is_none(), "nothing of it is passed on");
    assert!(
        told[0].contains("behavior.scaleUp: ") && told[0].contains("policies, tolerance of scaleUp are dropped"),
        "{told:?}"
    );
    assert!(
        told[1].contains("behavior.scaleDown: ") && told[1].contains("selectPolicy of scaleDown is dropped"),
        "{told:?}"
    );
    let (objects, told) = behavior("{scaleDown: {stabilizationWindowSeconds: 60}}");
    assert!(objects[0].behavior.as_ref().is_some_and(|own| own.scale_up.is_none() && own.scale_down.is_some()));
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn who_creates_nothing_says_why_or_nothing_at_all() {
    let lines = format!("    autoScaling: {{metrics: [{PROMETHEUS}]}}\n");
    for class in ["external", "none", "hpa"] {
        assert_eq!(generate(&service(class, "Standard", &lines)), (Vec::new(), Vec::new()), "{class}");
    }
    let (objects, told) = generate(&service("keda", "Serverless", &lines));
    assert!(
        objects.is_empty()
            && told[0].starts_with(
                "warning: t:7:39: metadata.annotations.serving.kserve.io/deploymentMode: found \"Serverless\""
            ),
        "{told:?}"
    );
    let unsaid = service("keda", "Standard", &lines).replace("    serving.kserve.io/deploymentMode: Standard\n", "");
    let (objects, told) = generate(&unsaid);
    assert!(
        objects.len() == 1 && told[0].starts_with("warning: ") && told[0].contains("found no deploymentMode"),
        "{told:?}"
    );
    let stopped = service("keda", "Standard", &lines)
        .replace("annotations:\n", "annotations:\n    serving.kserve.io/stop: \"true\"\n");
    assert_eq!(generate(&stopped), (Vec::new(), Vec::new()));
}

#[test]
fn class_hpa_and_none_written_make_a_plain_hpa() {
    let metric = |hpa: &HorizontalPodAutoscaler| {
        let own = hpa.metrics.first().expect("a metric");
        let name = own.name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        (name, number(&own.average_utilization), own.average_value.as_ref().map(|own| own.value.milli_value()))
    };
    let (found, told) = hpas(&service("hpa", "Standard", "    maxReplicas: 3\n"));
    assert_eq!(told, ["note: t:4:9: KServe generates HorizontalPodAutoscaler qwen-predictor (min 1, max 3, cpu 80 %)"]);
    assert_eq!(metric(&found[0]), ("cpu".to_owned(), Some(80), None));
    assert_eq!(found[0].scale_target_ref.name.value, "qwen-predictor");
    assert_eq!(found[0].metrics[0].target_type.as_ref().map(|own| own.value.as_str()), Some("Utilization"));
    // There, but empty.
    assert!(found[0].behavior.as_ref().is_some_and(|own| own.scale_up.is_none() && own.scale_down.is_none()));
    let unsaid = service("hpa", "Standard", "").replace("    serving.kserve.io/autoscalerClass: hpa\n", "");
    assert_eq!(hpas(&unsaid).0.len(), 1, "hpa is the default");
    for class in ["keda", "external", "none"] {
        assert_eq!(hpas(&service(class, "Standard", "")), (Vec::new(), Vec::new()), "{class}");
    }
    let cases = [
        ("    scaleTarget: 60\n", ("cpu", Some(60), None)),
        ("    scaleMetric: memory\n    scaleTarget: 70\n", ("memory", Some(70), None)),
        (
            "    autoScaling: {metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 2}}}]}\n",
            ("cpu", Some(80), None), // Always a utilization.
        ),
        (
            "    autoScaling: {metrics: [{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 2Gi, averageUtilization: 50}}}]}\n",
            ("memory", None, Some(2_147_483_648_000)),
        ),
    ];
    for (lines, (name, percent, value)) in cases {
        let (found, told) = hpas(&service("hpa", "Standard", lines));
        assert_eq!(metric(&found[0]), (name.to_owned(), percent, value), "{lines}: {told:?}");
    }
    assert!(
        hpas(&service("hpa", "Standard", "    scaleMetric: memory\n")).0[0].metrics.is_empty(),
        "no default for memory"
    );
    let refused = [
        ("    scaleMetric: rps\n", "spec.predictor.scaleMetric: ", "[rps] is not a supported metric"),
        ("    scaleTarget: 0\n", "spec.predictor.scaleTarget: ", "should be a [1-100] integer"),
        (
            "    scaleMetric: memory\n    scaleTarget: 0\n",
            "scaleTarget: ",
            "the target memory should be greater than 1 MiB",
        ),
        (
            "    autoScaling: {metrics: [{type: External}]}\n",
            "metrics[0].type: ",
            "invalid HPA metric source type with value [External]",
        ),
    ];
    for (lines, path, words) in refused {
        let (found, told) = hpas(&service("hpa", "Standard", lines));
        assert!(
            found.is_empty()
                && told.iter().any(|own| own.starts_with("error: ") && own.contains(path) && own.contains(words)),
            "{told:?}"
        );
    }
    let (_, told) = hpas(&service(
        "hpa",
        "Standard",
        "    autoScaling: {metrics: [], behavior: {scaleUp: {stabilizationWindowSeconds: 5}}}\n",
    ));
    assert!(told[0].starts_with("warning: ") && told[0].contains("does not pass behavior on"), "{told:?}");
}

//! Which rules each real manifest breaks.

/// Per manifest the rules that must be found, separated by spaces.
pub const EXPECTED: [(&str, &str); 38] = [
    ("01-prokube-opt125m-token-rate.yaml", "L-01 L-02 L-03 L-13"),
    ("02-production-stack-queue.yaml", "L-01 L-03 L-08 L-13 L-28 L-45 L-51"),
    ("03-production-stack-scale-to-zero.yaml", "L-08 L-10 L-11 L-12 L-28 L-32 L-45 L-51"),
    ("04-wva-desired-replicas.yaml", "L-02 L-08 L-11 L-26"),
    ("05-kaito-proposal-cron-wrong-keys.yaml", "L-05 L-18 L-42"),
    ("06-kaito-proposal-prometheus-avg.yaml", "L-04 L-05 L-06 L-13 L-36"),
    ("07-kaito-proposal-external.yaml", "L-05"),
    ("08-kaito-rendered-single-metric-modifiers.yaml", "L-03"),
    ("09-kaito-rendered-multi-metric-modifiers.yaml", "L-03"),
    ("10-kaito-cron-business-hours.yaml", "L-42"),
    ("14-kthena-router-active.yaml", "L-01 L-03 L-13 L-45"),
    ("15-llmd-epp-queue.yaml", "L-01 L-03"),
    ("16-llmd-epp-saturation.yaml", "L-01 L-03 L-06"),
    ("17-llmd-epp-queue-guard-modifiers.yaml", "L-01 L-03 L-19"),
    ("18-llmd-token-aware-colocated.yaml", "L-03 L-15 L-47"),
    ("19-llmd-token-aware-decode.yaml", "L-03 L-15 L-47"),
    ("20-llmd-token-aware-prefill.yaml", "L-03 L-15 L-47"),
    ("21-llmd-multidoc-triggerauth.yaml", "L-01 L-03 L-47"),
    ("22-dynamo-ttft-quantile.yaml", "L-01 L-03 L-07 L-15 L-28 L-38 L-45"),
    ("23-dynamo-queued-requests.yaml", "L-01 L-03 L-28 L-45"),
    ("24-dynamo-vllm-prefill-queue.yaml", "L-01 L-03 L-28 L-35 L-45"),
    ("25-llmd-coordinator-metrictype-in-metadata.yaml", "L-01 L-02 L-03 L-13 L-15"),
    ("26-llmd-cron-batch-window.yaml", "L-12"),
    ("27-llmd-wide-ep-configmap-marker.yaml", "L-01 L-03 L-15"),
    ("28-kthena-avg-waiting.yaml", "L-01 L-03 L-06 L-13 L-28"),
    ("30-kedadocs-prometheus-basic.yaml", "L-13 L-18 L-45"),
    ("31-kedadocs-cron-fixed.yaml", "L-18"),
    ("32-kedadocs-cron-plus-cpu.yaml", "L-43"),
    ("33-kedadocs-cpu.yaml", ""),
    ("34-kedadocs-cpu-container.yaml", ""),
    ("35-kedadocs-memory.yaml", ""),
    ("36-kedadocs-kubernetes-workload.yaml", "L-18 L-45"),
    ("37-kedadocs-metrics-api.yaml", "L-45"),
    ("38-kedadocs-external-push.yaml", "L-18 L-27"),
    ("kserve/isvc-prokube-opt125m-external.yaml", ""),
    ("kserve/isvc-qwen-keda-otel.yaml", ""),
    ("kserve/isvc-qwen-keda-prometheus.yaml", "L-08"),
    ("kserve/llmisvc-wva-keda.yaml", "L-17"),
];

/// What is found as a warning or an error beyond those, and why it is right.
pub const FURTHER: [(&str, &str, &str); 3] = [
    (
        "03-production-stack-scale-to-zero.yaml",
        "L-13",
        "the second query adds up the router's counter of every model and namespace",
    ),
    ("kserve/llmisvc-wva-keda.yaml", "L-01", "KEDA's webhook warns so of the generated object"),
    ("kserve/llmisvc-wva-keda.yaml", "L-03", "KEDA's webhook warns so of the generated object"),
];

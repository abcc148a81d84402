//! One row per real manifest: how it loads, who says what, and where it rests.

use crate::worlds::{Rest, composite_is_four, composite_is_one, http_400, several_series, two_to_four};
use kedasim::lint::LoadStatus;
use kedasim::units::Judge;

/// What KEDA says.
pub enum Verdict {
    /// There is no ScaledObject, nor would KServe generate one.
    NoPolicy,
    /// Accepted by everybody.
    Accepted,
    /// Refused by this one.
    Rejected(Judge),
}

/// What one file must come to.
pub struct Row {
    /// Below the folder.
    pub file: &'static str,
    /// How it loads.
    pub load: LoadStatus,
    /// What KEDA 2.20.2 says to its ScaledObject, written or generated.
    pub verdict: Verdict,
    /// Whether kubectl apply refuses it.
    pub strict_apply_refuses: bool,
    /// Whether a query can never give a value.
    pub query_fails: bool,
    /// Warnings of the webhook: periods that do nothing.
    pub webhook_warnings: usize,
    /// What the messages must say.
    pub says: &'static [&'static str],
    /// Fewest and most replicas in force.
    pub bounds: Option<(i32, i32)>,
    /// Where it rests.
    pub rests: Vec<Rest>,
}

/// Accepted without a word.
fn accepted(file: &'static str, min: i32, max: i32, webhook_warnings: usize, rests: Vec<Rest>) -> Row {
    Row {
        file,
        load: LoadStatus::Ok,
        verdict: Verdict::Accepted,
        strict_apply_refuses: false,
        query_fails: false,
        webhook_warnings,
        says: &[],
        bounds: Some((min, max)),
        rests,
    }
}

fn rejected(file: &'static str, by: Judge, says: &'static [&'static str]) -> Row {
    Row { verdict: Verdict::Rejected(by), says, bounds: None, ..accepted(file, 0, 0, 0, Vec::new()) }
}

/// The keys that a published proposal invents; they are dropped.
const WRONG_KEYS: &[&str] = &["minReplicas", "maxReplicas"];

/// Every file, in order.
pub fn rows() -> Vec<Row> {
    let mut rows = tokens_and_queues();
    rows.extend(kaito());
    rows.extend(routers());
    rows.extend(dynamo_and_others());
    rows.extend(documentation());
    rows.extend(kserve());
    rows
}

fn tokens_and_queues() -> Vec<Row> {
    // 35 tokens a request at a nearly constant pace.
    let tokens = |words, rate: f64, replicas| {
        let mut rest = Rest::new(words, "30m", 1, replicas);
        rest.beside = &["kserve/isvc-prokube-opt125m-external.yaml"];
        rest.spec = format!(
            "  traffic: {{arrivals: {{gamma: {{rate: {}, cv: 0.05}}}}, prompt: {{constant: 15}}, output: {{constant: 20}}}}\n  \
             replica: {{profile: opt-125m-cpu}}\n  cluster: {{preset: cpu-demo}}\n",
            rate / 35.0
        );
        rest
    };
    let mut frozen = Rest::new("two series are an error, the HPA is frozen", "15m", 2, 2);
    frozen.check = Some(several_series);
    let wva = |words, initial, value, replicas| {
        let labels = "variant_name: vllme-deployment, exported_namespace: llm-d-sim";
        Rest::new(words, "15m", initial, replicas).series(&[("wva_desired_replicas", labels, value)])
    };
    vec![
        accepted(
            "01-prokube-opt125m-token-rate.yaml",
            1,
            3,
            2,
            vec![tokens("8 tokens/s over 5", 8.0, 2), tokens("22 tokens/s over 5, at most 3", 22.0, 3)],
        ),
        accepted("02-production-stack-queue.yaml", 1, 2, 2, vec![frozen]),
        accepted(
            "03-production-stack-scale-to-zero.yaml",
            0,
            2,
            0,
            vec![
                Rest::new("the router's counter wakes it", "15m", 0, 1).counters(&[(
                    "vllm:num_incoming_requests_total",
                    "",
                    1.0,
                )]),
                Rest::new("without the router nothing does", "15m", 0, 0),
            ],
        ),
        accepted(
            "04-wva-desired-replicas.yaml",
            0,
            10,
            0,
            vec![
                wva("the variant autoscaler's count", 1, 7.0, 7),
                wva("one less than ten is within the tolerance", 10, 9.0, 10),
                wva("two less than ten is not", 10, 8.0, 8),
            ],
        ),
    ]
}

fn kaito() -> Vec<Row> {
    let dropped = |row: Row| Row { strict_apply_refuses: true, says: WRONG_KEYS, ..row };
    let mut refused = Rest::new("every query is an error and there is no fallback", "15m", 3, 3);
    refused.check = Some(http_400);
    let one = |words, initial, waiting: f64, replicas| {
        Rest::new(words, "45m", initial, replicas)
            .triggers(&[("vllm_num_requests_waiting", waiting, Some(10.0)), ("readiness_gate", 1.0, Some(1.0))])
    };
    let two = |words, initial, waiting: f64, queued: f64, replicas| {
        Rest::new(words, "45m", initial, replicas).triggers(&[
            ("vllm_num_requests_waiting", waiting, Some(10.0)),
            ("vllm_request_queue_time_seconds", queued, Some(30.0)),
            ("readiness_gate", 1.0, Some(1.0)),
        ])
    };
    vec![
        // A run starts on a Sunday evening in New York.
        dropped(accepted(
            "05-kaito-proposal-cron-wrong-keys.yaml",
            0,
            100,
            0,
            vec![
                Rest::new("the weekend's window keeps one", "1h", 1, 1),
                Rest::new("ten from six on Monday", "12h", 1, 10),
            ],
        )),
        Row {
            query_fails: true,
            ..dropped(accepted("06-kaito-proposal-prometheus-avg.yaml", 0, 100, 0, vec![refused]))
        },
        Row {
            strict_apply_refuses: true,
            ..rejected(
                "07-kaito-proposal-external.yaml",
                Judge::Operator,
                &["missing required parameter \"scalerAddress\"", "minReplicas", "maxReplicas"],
            )
        },
        accepted(
            "08-kaito-rendered-single-metric-modifiers.yaml",
            1,
            5,
            1,
            vec![
                one("2.0 x ready pods, one pod per 300 s", 1, 12.0, 5),
                one("0.5 x ready pods, one pod per 300 s", 5, 0.0, 1),
                one("1.0 x ready pods", 3, 5.0, 3),
            ],
        ),
        accepted(
            "09-kaito-rendered-multi-metric-modifiers.yaml",
            1,
            5,
            1,
            vec![
                two("2.0 x ready pods: both are high", 1, 12.0, 31.0, 5),
                two("1.0 x ready pods: only one is high", 3, 12.0, 5.0, 3),
                two("0.5 x ready pods: both are low", 5, 0.0, 0.0, 1),
            ],
        ),
        accepted(
            "10-kaito-cron-business-hours.yaml",
            1,
            5,
            0,
            vec![
                Rest::new("one on the weekend", "1h", 1, 1),
                Rest::new("five from six on Monday", "12h", 1, 5),
                Rest::new("one 300 s after eight in the evening", "25h30m", 1, 1),
            ],
        ),
    ]
}

/// Labels that a template has left unfilled.
const EPP: &str = "namespace: \"${NAMESPACE}\", service: \"${EPP_SERVICE}\", model_name: \"${MODEL}\"";
const POOL: &str = "inference_pool: \"${INFERENCE_POOL}\", namespace: \"${NAMESPACE}\"";
const TARGET: &str = "namespace: \"${NAMESPACE}\", deployment: \"${TARGET_DEPLOYMENT}\"";

fn routers() -> Vec<Row> {
    let kthena = |words, labels, active, replicas| {
        Rest::new(words, "10m", 1, replicas).series(&[("kthena_router_active_downstream_requests", labels, active)])
    };
    let epp = |words, queue, running, replicas| {
        Rest::new(words, "20m", 1, replicas)
            .series(&[("llm_d_epp_flow_control_queue_size", EPP, queue), ("llm_d_epp_request_running", EPP, running)])
    };
    let saturation = |words, share, running, replicas| {
        Rest::new(words, "20m", 1, replicas).series(&[
            ("llm_d_epp_flow_control_pool_saturation", POOL, share),
            ("llm_d_epp_request_running", EPP, running),
        ])
    };
    let guard = |words, initial, [queue, running, pending, replicas]: [f64; 4], check, end| {
        let mut rest = Rest::new(words, "20m", initial, end).series(&[
            ("llm_d_epp_flow_control_queue_size", EPP, queue),
            ("llm_d_epp_request_running", EPP, running),
            ("kube_deployment_status_replicas_unavailable", TARGET, pending),
            ("kube_deployment_status_replicas", TARGET, replicas),
        ]);
        rest.check = Some(check);
        rest
    };
    vec![
        accepted("14-kthena-router-active.yaml", 1, 5, 2, vec![kthena("25 over 10", "model: test", 25.0, 3)]),
        accepted(
            "15-llmd-epp-queue.yaml",
            1,
            8,
            2,
            vec![epp("the queue: 3 over 1", 3.0, 20.0, 3), epp("the running: 60 over 16", 1.0, 60.0, 4)],
        ),
        accepted(
            "16-llmd-epp-saturation.yaml",
            1,
            10,
            2,
            vec![
                saturation("a full pool is ceil(1 / 0.7)", 1.0, 10.0, 2),
                saturation("the running: 60 over 16", 0.5, 60.0, 4),
            ],
        ),
        accepted(
            "17-llmd-epp-queue-guard-modifiers.yaml",
            1,
            8,
            2,
            vec![
                guard("max(5, 40 / 16) - 1 = 4", 2, [5.0, 40.0, 1.0, 2.0], composite_is_four, 4),
                guard("16 / 16 = 1", 2, [0.0, 16.0, 0.0, 2.0], composite_is_one, 1),
            ],
        ),
        accepted("18-llmd-token-aware-colocated.yaml", 1, 10, 1, colocated()),
        accepted(
            "19-llmd-token-aware-decode.yaml",
            1,
            10,
            1,
            vec![Rest::new("the cache: 3.1 over 0.8", "20m", 1, 4).series(&[(
                "vllm:kv_cache_usage_perc",
                "namespace: llm-d-pd-disaggregation, pod: x-decode-0",
                3.1,
            )])],
        ),
        accepted(
            "20-llmd-token-aware-prefill.yaml",
            1,
            10,
            1,
            vec![Rest::new("four seconds of prefill over 1.5", "20m", 1, 3).series(&[(
                "llm_d_epp_inflight_tokens",
                "namespace: llm-d-pd-disaggregation, producer_name: inflight-load-producer, endpoint_name: x-prefill-0",
                4.0 * 33_821.0,
            )])],
        ),
        accepted(
            "21-llmd-multidoc-triggerauth.yaml",
            1,
            3,
            2,
            vec![Rest::new("the queue: 2 over 1", "10m", 1, 2).series(&[
                (
                    "llm_d_epp_flow_control_queue_size",
                    "namespace: llm-d-optimized-baseline, model_name: Qwen/Qwen3-32B",
                    2.0,
                ),
                (
                    "inference_objective_running_requests",
                    "namespace: llm-d-optimized-baseline, model_name: Qwen/Qwen3-32B",
                    16.0,
                ),
            ])],
        ),
        accepted(
            "28-kthena-avg-waiting.yaml",
            1,
            10,
            2,
            vec![kthena("the router: 50 over 20, nobody waits", "", 50.0, 3)],
        ),
    ]
}

fn colocated() -> Vec<Rest> {
    let labels = "namespace: llm-d-optimized-baseline";
    let tokens = "namespace: llm-d-optimized-baseline, producer_name: inflight-load-producer";
    let both = |words, seconds: f64, cache: f64, replicas| {
        Rest::new(words, "20m", 1, replicas).series(&[
            ("llm_d_epp_inflight_tokens", tokens, seconds * 15_928.0),
            ("vllm:kv_cache_usage_perc", labels, cache),
        ])
    };
    vec![both("the backlog: 4 s over 1.5", 4.0, 0.5, 3), both("the cache: 3.1 over 0.8", 1.0, 3.1, 4)]
}

fn dynamo_and_others() -> Vec<Row> {
    // 95 % of the requests answer within 1.3 s: 9 of 10 below 1 s, the others evenly up to 1.6 s.
    let quantile = |words, initial| {
        let labels = |le: &str| format!("dynamo_namespace: default-sglang-agg, le: \"{le}\"");
        let name = "dynamo_frontend_time_to_first_token_seconds_bucket";
        Rest::new(words, "25m", initial, 3).counters(&[
            (name, &labels("1"), 9.0),
            (name, &labels("1.6"), 10.0),
            (name, &labels("+Inf"), 10.0),
        ])
    };
    let mut batch = Rest::new("on at two, off after four", "5h", 0, 0);
    batch.check = Some(two_to_four);
    vec![
        accepted(
            "22-dynamo-ttft-quantile.yaml",
            1,
            10,
            2,
            vec![quantile("1.3 s over 0.5 from one", 1), quantile("1.3 s over 0.5 from five", 5)],
        ),
        accepted(
            "23-dynamo-queued-requests.yaml",
            1,
            10,
            2,
            vec![Rest::new("25 over 10", "10m", 1, 3).series(&[(
                "dynamo_frontend_queued_requests",
                "dynamo_namespace: default-sglang-agg",
                25.0,
            )])],
        ),
        accepted(
            "24-dynamo-vllm-prefill-queue.yaml",
            1,
            15,
            2,
            vec![Rest::new("a series that is not there is 0", "15m", 3, 1)],
        ),
        Row {
            says: &["metricType \"Value\" inside metadata is ignored by KEDA"],
            ..accepted(
                "25-llmd-coordinator-metrictype-in-metadata.yaml",
                1,
                10,
                2,
                vec![Rest::new("4 over 1, not times the ready pods", "15m", 2, 4).series(&[(
                    "inference_extension_flow_control_queue_size",
                    "inference_pool: model-a",
                    4.0,
                )])],
            )
        },
        accepted("26-llmd-cron-batch-window.yaml", 0, 1, 0, vec![batch]),
        accepted(
            "27-llmd-wide-ep-configmap-marker.yaml",
            1,
            2,
            2,
            vec![Rest::new("the marker: 1 over 0.5", "10m", 1, 2).series(&[(
                "kube_configmap_info",
                "namespace: llmd-1525-dsrs, configmap: wide-ep-dsrs-trigger",
                1.0,
            )])],
        ),
    ]
}

/// A target whose containers ask for cpu, as a cpu trigger needs it.
const MY_DEPLOYMENT: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: my-deployment}
spec:
  selector: {matchLabels: {app: mine}}
  template:
    metadata: {labels: {app: mine}}
    spec:
      containers:
        - name: main
          image: vllm/vllm-openai
          resources: {requests: {cpu: \"8\"}}
";

/// A target that is itself what the trigger counts.
const BACKEND: &str = "---
apiVersion: apps/v1
kind: Deployment
metadata: {name: workload-deployment}
spec:
  selector: {matchLabels: {app: backend}}
  template:
    metadata: {labels: {app: backend}}
    spec: {containers: [{name: main, image: vllm/vllm-openai}]}
";

fn documentation() -> Vec<Row> {
    const ONLY_RESOURCES: &[&str] = &["only cpu/memory triggers AND minReplica is 0"];
    // A run starts at half past five in Kolkata.
    let with_documents = |words, duration, initial, replicas, documents| {
        let mut rest = Rest::new(words, duration, initial, replicas);
        rest.documents = documents;
        rest
    };
    vec![
        accepted(
            "30-kedadocs-prometheus-basic.yaml",
            0,
            100,
            0,
            vec![Rest::new("250 requests/s over 100", "15m", 1, 3).counters(&[(
                "http_requests_total",
                "deployment: my-deployment",
                250.0,
            )])],
        ),
        accepted(
            "31-kedadocs-cron-fixed.yaml",
            0,
            100,
            0,
            vec![Rest::new("ten inside the window", "1h", 0, 10), Rest::new("none 300 s after its end", "15h", 0, 0)],
        ),
        accepted(
            "32-kedadocs-cron-plus-cpu.yaml",
            0,
            4,
            0,
            vec![
                with_documents("one inside the window", "1h", 0, 1, MY_DEPLOYMENT),
                with_documents("none after it, whatever the cpu does", "15h", 0, 0, MY_DEPLOYMENT),
            ],
        ),
        rejected("33-kedadocs-cpu.yaml", Judge::Webhook, ONLY_RESOURCES),
        rejected("34-kedadocs-cpu-container.yaml", Judge::Webhook, ONLY_RESOURCES),
        rejected("35-kedadocs-memory.yaml", Judge::Webhook, ONLY_RESOURCES),
        accepted(
            "36-kedadocs-kubernetes-workload.yaml",
            0,
            100,
            0,
            vec![
                with_documents("six nodes over 3, then two over 3", "20m", 6, 1, BACKEND),
                Rest::new("7 nodes over 3, of pods beside the target's", "10m", 1, 3).triggers(&[(
                    "triggers[0]",
                    7.0,
                    None,
                )]),
            ],
        ),
        accepted(
            "37-kedadocs-metrics-api.yaml",
            0,
            12,
            0,
            vec![
                Rest::new("50 over 8.8", "10m", 1, 6).triggers(&[("triggers[0]", 50.0, None)]),
                Rest::new("200 over 8.8, at most 12", "10m", 1, 12).triggers(&[("triggers[0]", 200.0, None)]),
            ],
        ),
        Row {
            load: LoadStatus::Coerced,
            strict_apply_refuses: true,
            ..rejected("38-kedadocs-external-push.yaml", Judge::ApiServer, &["metadata.unsafeSsl", "the boolean false"])
        },
    ]
}

fn kserve() -> Vec<Row> {
    // Seven long requests at any time; from two replicas on the bare selector finds several series.
    let mut bare = Rest::new("7 running over 2, then frozen", "15m", 1, 4);
    bare.spec =
        "  traffic: {arrivals: {closedLoop: {workers: 7, think: 0s}}, prompt: {constant: 15}, output: {constant: 2000}}\n".into();
    bare.check = Some(several_series);
    vec![
        Row {
            verdict: Verdict::NoPolicy,
            bounds: None,
            ..accepted("kserve/isvc-prokube-opt125m-external.yaml", 0, 0, 0, Vec::new())
        },
        accepted("kserve/isvc-qwen-keda-prometheus.yaml", 1, 5, 0, vec![bare]),
        accepted(
            "kserve/isvc-qwen-keda-otel.yaml",
            1,
            5,
            0,
            vec![Rest::new("9 running over 4", "10m", 1, 3).triggers(&[("triggers[0]", 9.0, Some(4.0))])],
        ),
        accepted(
            "kserve/llmisvc-wva-keda.yaml",
            2,
            8,
            2,
            vec![Rest::new("the variant autoscaler's count", "10m", 2, 5).series(&[(
                "wva_desired_replicas",
                "variant_name: llama-keda-kserve-keda, exported_namespace: default",
                5.0,
            )])],
        ),
    ]
}

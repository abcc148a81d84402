//! Names of the arguments that vLLM 0.8 to 0.33 and KServe's huggingfaceserver take (vLLM `vllm/engine/arg_utils.py`,
//! `vllm/entrypoints/openai/cli_args.py`, `vllm/entrypoints/cli/serve.py`; KServe `python/huggingfaceserver`,
//! `python/kserve/kserve/model_server.py`). What is in none of these lists is a mistake of spelling, or newer than they are.

/// Short forms, as one word or with a value after them.
pub(super) const SHORT: [(&str, &str); 14] = [
    ("-tp", "tensor-parallel-size"),
    ("-pp", "pipeline-parallel-size"),
    ("-dp", "data-parallel-size"),
    ("-dpl", "data-parallel-size-local"),
    ("-dpn", "data-parallel-rank"),
    ("-dpr", "data-parallel-start-rank"),
    ("-dcp", "decode-context-parallel-size"),
    ("-pcp", "prefill-context-parallel-size"),
    ("-ep", "enable-expert-parallel"),
    ("-q", "quantization"),
    ("-sc", "speculative-config"),
    ("-cc", "compilation-config"),
    ("-asc", "api-server-count"),
    ("-O", "compilation-config"),
];

/// A second name and the first (0.33).
pub(super) const SECOND_NAMES: [(&str, &str); 1] = [("device-memory-utilization", "gpu-memory-utilization")];

/// Of the engine.
const ENGINE: &str = "
model runner convert task tokenizer tokenizer-mode trust-remote-code dtype seed hf-config-path allowed-local-media-path
allowed-media-domains revision code-revision rope-scaling rope-theta tokenizer-revision max-model-len quantization
quantization-config enforce-eager max-logprobs logprobs-mode disable-sliding-window disable-cascade-attn skip-tokenizer-init
enable-prompt-embeds served-model-name config-format hf-token hf-overrides pooler-config override-pooler-config
logits-processor-pattern generation-config override-generation-config enable-sleep-mode model-impl override-attention-dtype
logits-processors io-processor-plugin load-format download-dir safetensors-load-strategy model-loader-extra-config
ignore-patterns use-tqdm-on-load pt-load-map-location guided-decoding-backend guided-decoding-disable-fallback
guided-decoding-disable-any-whitespace guided-decoding-disable-additional-properties structured-outputs-config
reasoning-parser reasoning-parser-plugin reasoning-config enable-reasoning distributed-executor-backend
pipeline-parallel-size tensor-parallel-size decode-context-parallel-size prefill-context-parallel-size
dcp-kv-cache-interleave-size dcp-comm-backend cp-kv-cache-interleave-size data-parallel-size data-parallel-rank
data-parallel-start-rank data-parallel-size-local data-parallel-address data-parallel-rpc-port data-parallel-backend
data-parallel-hybrid-lb data-parallel-external-lb data-parallel-multi-port-external-lb enable-expert-parallel
enable-ep-weight-filter all2all-backend enable-dbo ubatch-size dbo-decode-token-threshold dbo-prefill-token-threshold
disable-nccl-for-dp-synchronization enable-eplb eplb-config expert-placement-strategy num-redundant-experts eplb-window-size
eplb-step-interval eplb-log-balancedness enable-elastic-ep max-parallel-loading-workers ray-workers-use-nsight
disable-custom-all-reduce worker-cls worker-extension-cls enable-multimodal-encoder-data-parallel master-addr master-port
nnodes node-rank numa-bind numa-bind-nodes numa-bind-cpus distributed-timeout-seconds block-size gpu-memory-utilization
kv-cache-memory-bytes swap-space kv-cache-dtype kv-cache-dtype-skip-layers num-gpu-blocks-override enable-prefix-caching
prefix-caching-hash-algo cpu-offload-gb cpu-offload-params offload-backend offload-group-size offload-num-in-group
offload-prefetch-step offload-params calculate-kv-scales kv-sharing-fast-prefill mamba-cache-dtype mamba-ssm-cache-dtype
mamba-block-size mamba-cache-mode mamba-backend mamba-config kv-offloading-size kv-offloading-backend limit-mm-per-prompt
enable-mm-embeds media-io-kwargs mm-processor-kwargs disable-mm-preprocessor-cache mm-processor-cache-gb
mm-processor-cache-type mm-shm-cache-max-object-size-mb mm-encoder-only mm-encoder-tp-mode mm-encoder-attn-backend
mm-encoder-attn-dtype mm-tensor-ipc interleave-mm-strings skip-mm-profiling video-pruning-rate language-model-only enable-lora
enable-lora-bias max-loras max-lora-rank lora-extra-vocab-size lora-dtype max-cpu-loras fully-sharded-loras default-mm-loras
lora-target-modules enable-tower-connector-lora specialize-active-lora long-lora-scaling-factors enable-prompt-adapter
max-prompt-adapters max-prompt-adapter-token show-hidden-metrics-for-version otlp-traces-endpoint collect-detailed-traces
kv-cache-metrics kv-cache-metrics-sample cudagraph-metrics enable-layerwise-nvtx-tracing enable-mfu-metrics
enable-logging-iteration-details max-num-batched-tokens max-num-scheduled-tokens max-num-seqs max-num-partial-prefills
max-long-partial-prefills cuda-graph-sizes cudagraph-capture-sizes max-cudagraph-capture-size max-seq-len-to-capture
long-prefill-token-threshold scheduler-reserve-full-isl num-lookahead-slots scheduler-delay-factor preemption-mode
num-scheduler-steps multi-step-stream-outputs scheduling-policy enable-chunked-prefill disable-chunked-mm-input scheduler-cls
disable-hybrid-kv-cache-manager async-scheduling stream-interval watermark speculative-config spec-method spec-model spec-tokens
speculative-model num-speculative-tokens kv-transfer-config kv-events-config ec-transfer-config compilation-config
optimization-level performance-mode attention-backend attention-config kernel-config moe-backend linear-backend
additional-config profiler-config weight-transfer-config disable-log-stats aggregate-engine-logging enable-log-requests
disable-log-requests use-v2-block-manager disable-async-output-proc device override-neuron-config
qlora-adapter-name-or-path ray-workers-use-nsight engine-use-ray worker-use-ray fail-on-environ-validation
shutdown-timeout gdn-prefill-backend ir-op-priority
allow-deprecated-quantization aux-output-config cpu-distributed-timeout-seconds custom-histogram-buckets dcp-q-replicate
device-ids device-memory-utilization diffusion-config dp-sync-interval ec-manager-config elastic-ep-max-dp-size
enable-batch-sharded-sampling enable-bf16x3-router-gemm enable-cumem-allocator enable-fault-tolerance
enable-flashinfer-autotune enable-hc-sp enable-mamba-cache-stochastic-rounding enable-mamba-fine-grained-prefix-cache
enable-mamba-shared-prefix-checkpoint enable-mixed-moe-lora-format enable-moe-shared-loras enable-nccl-comm-suspend
enable-return-routed-experts enable-shm-tensor-arena enable-trace-replay engram-config fault-tolerance-config
jit-monitor-mode jit-monitor-verbose kda-decode-backend kda-prefill-backend log-level logging-config
long-prefill-token-threshold-adaptive mamba-cache-philox-rounds mamba-ssu-algorithm max-lora-cls-labels
max-num-active-seqs max-num-queued-reqs max-num-queued-tokens mm-device-do-normalize mm-encoder-fp8-scale-path
mm-encoder-fp8-scale-save-margin mm-encoder-fp8-scale-save-path mm-hasher-algorithm mm-ipc-gpu-memory-gb
mm-processor-device model-class-overrides monokernel per-request-spec-decode-metrics prefill-schedule-interval
prefix-cache-retention-interval prefix-match-unit renderer-num-workers replayssm-buffer-len return-sampling-mask
safetensors-prefetch-block-size safetensors-prefetch-num-threads sleep-mode-backend sleep-mode-offload-cudagraph
sleep-preserve-parameter-names sparse-indexer-topk-backend swa-bounded-replay tokenizer-pool-extra-config
tokenizer-pool-size tokenizer-pool-type use-fp64-gumbel use-replayssm video-pruning-method watchdog-config
watermark-config";

/// Of the API server, and of `vllm serve`.
const SERVER: &str = "
host port uds uvicorn-log-level disable-uvicorn-access-log disable-access-log-for-endpoints allow-credentials allowed-origins
allowed-methods allowed-headers api-key lora-modules prompt-adapters chat-template chat-template-content-format
trust-request-chat-template default-chat-template-kwargs response-role ssl-keyfile ssl-certfile ssl-ca-certs
enable-ssl-refresh ssl-cert-reqs ssl-ciphers root-path middleware return-tokens-as-token-ids disable-frontend-multiprocessing
enable-request-id-headers enable-auto-tool-choice exclude-tools-when-tool-choice-none tool-call-parser tool-parser-plugin
tool-server log-config-file max-log-len disable-fastapi-docs enable-prompt-tokens-details enable-per-request-metrics
enable-server-load-tracking enable-force-include-usage enable-tokenizer-info-endpoint enable-log-outputs enable-log-deltas
log-error-stack tokens-only h11-max-incomplete-event-size h11-max-header-count enable-offline-docs headless grpc
api-server-count config help version cohere-is-reasoning-model cohere-format fingerprint-mode fingerprint-value
data-parallel-supervisor-port dp-supervisor-probe-interval-s dp-supervisor-probe-timeout-s
dp-supervisor-probe-failure-threshold enable-flash-late-interaction";

/// Of KServe's server around the engine.
const KSERVE: &str = "
model-id model-dir model-name model-revision backend tensor-input-names return-token-type-ids return-probabilities return-raw-logits
disable-lower-case disable-special-tokens disable-log-requests max-length http-port grpc-port workers
max-threads max-asyncio-workers enable-grpc enable-docs-url enable-latency-logging configure-logging log-config-file
access-log-format predictor-host predictor-protocol predictor-use-ssl predictor-request-timeout-seconds
predictor-request-retries predictor-config transformer predict-timeout-seconds";

/// All of them.
pub(super) fn known_arguments() -> impl Iterator<Item = &'static str> {
    [ENGINE, SERVER, KSERVE].into_iter().flat_map(str::split_whitespace)
}

/// Whether a server takes the flag `name` (spelled with `-`): itself, `no-` before it, or a part of it after a dot.
pub(super) fn is_known(name: &str) -> bool {
    let whole = name.split('.').next().unwrap_or(name);
    let is = |name: &str| known_arguments().any(|known| known == name);
    is(whole) || whole.strip_prefix("no-").is_some_and(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negations_and_parts_are_known_with_their_argument() {
        for name in ["max-num-seqs", "no-enable-prefix-caching", "compilation-config.mode", "model-id", "config"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["max-num-sequences", "no-such", "tp", ""] {
            assert!(!is_known(name), "{name}");
        }
        assert!(SHORT.iter().all(|(_, name)| is_known(name)));
    }
}

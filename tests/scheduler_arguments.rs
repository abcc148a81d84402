//! What vLLM's command line says to the scheduler, by its version.

use kedasim::manifest::Bundle;
use kedasim::replica::EngineConfig;
use kedasim::scenario::{Overrides, resolve};

/// The engine with these arguments of vLLM `0.minor`, and what was told; or why there is none.
fn engine(minor: u32, args: &str) -> Result<(EngineConfig, String), String> {
    let text = format!(
        r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: so}}
spec:
  scaleTargetRef: {{name: llm}}
  triggers:
    - type: prometheus
      metadata: {{serverAddress: "http://prometheus:9090", query: "sum(vllm:num_requests_running)", threshold: "5"}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: llm}}
spec:
  template:
    spec:
      containers:
        - name: vllm
          image: registry.example/vllm
          command: [vllm, serve, meta-llama/Llama-3.1-8B-Instruct]
          args: [--max-model-len=16384, {args}]
          resources: {{limits: {{nvidia.com/gpu: "1"}}}}
---
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {{name: sc}}
spec:
  duration: 3m
  replica: {{profile: llama-3.1-8b-h100, kvBlocks: 2000, vllmVersion: "0.{minor}"}}
  traffic: {{arrivals: {{poisson: {{rate: 0.5}}}}, prompt: {{constant: 300}}, output: {{constant: 50}}}}
"#
    );
    let bundle = Bundle::from_text(&text, "p.yaml").expect("the test's YAML is well formed");
    let run = resolve(&bundle, &Overrides::default()).map_err(|found| found.to_string())?;
    Ok((run.engine.as_ref().clone(), run.diagnostics.to_string()))
}

fn of(minor: u32, args: &str) -> EngineConfig {
    engine(minor, args).unwrap_or_else(|found| panic!("0.{minor} {args}: {found}")).0
}

fn refused(minor: u32, args: &str, part: &str) {
    let found = engine(minor, args).expect_err(args);
    assert!(found.contains(part) && found.contains("p.yaml:"), "{part:?} at its place is missing in\n{found}");
}

#[test]
fn whole_prompts_are_reserved_since_0_19_unless_told_otherwise() {
    assert_eq!([33, 19, 18].map(|minor| of(minor, "").reserve_full_prompt), [true, true, false]);
    for args in ["--no-scheduler-reserve-full-isl", "--scheduler-reserve-full-isl=false"] {
        assert!(!of(33, args).reserve_full_prompt, "{args}");
    }
    assert!(of(33, "--scheduler-reserve-full-isl").reserve_full_prompt);
}

#[test]
fn a_watermark_is_a_share_of_all_blocks_since_0_24() {
    let blocks = |args: &str| of(33, args).scheduling.watermark_blocks;
    assert_eq!((blocks(""), blocks("--watermark=0.01"), blocks("--watermark=0.0199")), (0, 20, 39));
    refused(23, "--watermark=0.01", "expected 0.24 or later");
    refused(33, "--watermark=-0.1", "found \"-0.1\" for --watermark");
    refused(33, "--watermark=few", "found \"few\" for --watermark");
}

#[test]
fn without_chunked_prefill_a_step_takes_the_longest_prompt() {
    let sizes = |minor, args: &str| {
        let engine = of(minor, args);
        (engine.scheduling.chunked_prefill, engine.max_num_batched_tokens)
    };
    assert_eq!(sizes(33, ""), (true, 8192));
    // vLLM raises a budget that nobody wrote.
    assert_eq!(sizes(33, "--no-enable-chunked-prefill"), (false, 16_384));
    assert_eq!(sizes(12, "--enable-chunked-prefill=false"), (false, 16_384));
    assert_eq!(sizes(33, "--no-enable-chunked-prefill, --max-num-batched-tokens=20000"), (false, 20_000));
    refused(33, "--no-enable-chunked-prefill, --max-num-batched-tokens=8192", "8192 per step without chunked prefill");
    // Before 0.12 the argument does nothing.
    let (old, told) = engine(11, "--no-enable-chunked-prefill").expect("starts");
    assert_eq!((old.scheduling.chunked_prefill, old.max_num_batched_tokens), (true, 8192));
    assert!(told.contains("computes prompts in chunks whatever"), "{told}");
}

#[test]
fn a_policy_is_known_to_the_versions_that_have_it() {
    refused(8, "--scheduling-policy=priority", "the V0 engine, which is not modelled");
    refused(33, "--scheduling-policy=sjf", "expected fcfs or priority");
    for (minor, warns) in [(11, true), (12, false)] {
        let (engine, told) = engine(minor, "--scheduling-policy=priority").expect("starts");
        assert!(engine.scheduling.by_priority);
        assert_eq!(told.contains("that it has just evicted"), warns, "{told}");
    }
}

#[test]
fn async_scheduling_is_the_default_since_0_14_and_known_since_0_10() {
    assert_eq!([33, 14, 13, 8].map(|minor| of(minor, "").async_scheduling), [true, true, false, false]);
    assert!(of(11, "--async-scheduling").async_scheduling);
    assert!(!of(33, "--no-async-scheduling").async_scheduling);
    assert!(!of(33, "--async-scheduling=false").async_scheduling);
    refused(9, "--async-scheduling", "expected 0.10 or later");
}

#[test]
fn a_prefill_threshold_is_at_most_the_longest_request() {
    assert_eq!(of(33, "--long-prefill-token-threshold=16384").scheduling.long_prefill_token_threshold, 16_384);
    refused(33, "--long-prefill-token-threshold=16385", "up to maxModelLen 16384");
    refused(33, "--long-prefill-token-threshold=-1", "a whole number of tokens");
}

#[test]
fn what_the_run_does_not_have_is_told() {
    for (args, parts) in [
        ("--max-num-active-seqs=8", ["--max-num-active-seqs 8 is not used", "give maxNumSeqs"]),
        ("--num-scheduler-steps=8", ["--num-scheduler-steps 8 is not used", "the V0 engine's"]),
        ("--performance-mode=throughput", ["--performance-mode throughput is not used", "as vLLM logs them"]),
        ("--max-num-queued-reqs=100", ["--max-num-queued-reqs 100 is not used", "not modelled yet"]),
        ("-pp=2", ["--pipeline-parallel-size 2 is not used", "kind: Profile"]),
    ] {
        let (_, told) = engine(33, args).expect("starts");
        assert!(parts.iter().all(|part| told.contains(part)), "{told}");
    }
    for args in
        ["--stream-interval=1", "--pipeline-parallel-size=1", "--performance-mode=balanced", "--tokenizer-pool-size=2"]
    {
        let (_, told) = engine(33, args).expect("starts");
        assert!(!told.contains("args"), "{told}");
    }
}

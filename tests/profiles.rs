//! Profiles in a run: which one is chosen, what the engine's arguments change, what an estimate is called, and what is refused.

use kedasim::analysis::summarize;
use kedasim::manifest::Bundle;
use kedasim::replica::built_in_profile;
use kedasim::scenario::{Overrides, ResolvedRun, attach_profile, profile_yaml, read_profile, resolve, scenario_yaml};
use kedasim::sim::simulate;
use kedasim::units::Severity;
use std::process::Command;

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: llm-predictor}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {serverAddress: "http://prometheus:9090", query: "sum(vllm:num_requests_running)", threshold: "5"}
"#;

/// An InferenceService of `model` with these further arguments, node selector and number of GPUs.
fn service(model: &str, args: &str, selector: &str, gpus: u32) -> String {
    format!(
        "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata:\n  name: llm\n  annotations: \
         {{serving.kserve.io/autoscalerClass: external}}\nspec:\n  predictor:\n    {selector}\n    model:\n      modelFormat: \
         {{name: huggingface}}\n      args: [--model_id={model}, {args}]\n      resources: {{limits: {{cpu: \"4\", \
         nvidia.com/gpu: \"{gpus}\"}}}}\n"
    )
}

fn scenario(replica: &str) -> String {
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: sc}}\nspec:\n  duration: 3m\n  replica: {replica}\n  \
         cluster: {{nodes: {{gpusPerNode: 8}}}}\n  traffic: {{arrivals: {{poisson: {{rate: 0.5}}}}, prompt: {{constant: \
         300}}, output: {{constant: 50}}}}\n"
    )
}

const H100: &str = "nodeSelector: {nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3}";
const LLAMA_8B: &str = "meta-llama/Llama-3.1-8B-Instruct";

fn bundle(texts: &[&str]) -> Bundle {
    Bundle::from_text(&texts.join("\n---\n"), "p.yaml").expect("the test's YAML is well formed")
}

fn run_of(service: &str, replica: &str) -> ResolvedRun {
    resolve(&bundle(&[SCALED_OBJECT, service, &scenario(replica)]), &Overrides::default())
        .unwrap_or_else(|found| panic!("does not resolve:\n{found}"))
}

fn refused(service: &str, replica: &str) -> String {
    let bundle = bundle(&[SCALED_OBJECT, service, &scenario(replica)]);
    resolve(&bundle, &Overrides::default()).expect_err("must not resolve").to_string()
}

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

#[test]
fn model_and_node_labels_choose_a_built_in_profile() {
    let affinity = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: \
                    [{matchExpressions: [{key: cloud.google.com/gke-accelerator, operator: In, values: [nvidia-h200-141gb]}]}]}}}";
    for (model, args, selector, gpus, expected) in [
        (LLAMA_8B, "", H100, 1, "llama-3.1-8b-h100"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "", affinity, 1, "llama-3.1-8b-h200"),
        ("meta-llama/Llama-3.3-70B-Instruct", "--tensor-parallel-size=4", H100, 4, "llama-3.1-70b-h100-tp4"),
        ("acme/Llama-3.3-70B-Instruct-FP8", "--tensor-parallel-size=2", H100, 2, "llama-3.1-70b-fp8-h100-tp2"),
        ("openai/gpt-oss-20b", "", "nodeSelector: {karpenter.k8s.aws/instance-gpu-name: l40s}", 1, "gpt-oss-20b-l40s"),
    ] {
        let run = run_of(&service(model, &format!("--max-model-len=4096, {args}"), selector, gpus), "{}");
        assert_eq!(run.profile, expected, "{model}");
        assert_eq!(run.analysis.estimated_profile, None, "{model} was measured");
        assert!(run.assumptions.iter().any(|own| own.path == "spec.replica.profile" && own.value == expected));
    }
    // The Scenario's word goes before the manifest's, the command line's before both.
    let texts = [SCALED_OBJECT, &service(LLAMA_8B, "", H100, 1), &scenario("{gpu: L40S}")];
    assert_eq!(resolve(&bundle(&texts), &Overrides::default()).expect("resolves").profile, "llama-3.1-8b-l40s");
    let typed = Overrides { profile: Some("llama-3.1-8b-a100".to_owned()), ..Overrides::default() };
    assert_eq!(resolve(&bundle(&texts), &typed).expect("resolves").profile, "llama-3.1-8b-a100");
}

#[test]
fn what_points_at_no_profile_lists_the_candidates() {
    for (service, replica, parts) in [
        (
            service(LLAMA_8B, "", "tolerations: []", 1),
            "{}",
            &["p.yaml:", "llama-3.1-8b-a100, llama-3.1-8b-h100", "of no stated kind", "replica.gpu"][..],
        ),
        (service("acme/secret", "", H100, 1), "{}", &["acme/secret", "H100-80G", "opt-125m-cpu", "--profile"]),
        (
            service(LLAMA_8B, "", "nodeSelector: {nvidia.com/gpu.product: NVIDIA-A10G}", 1),
            "{}",
            &["p.yaml:", "NVIDIA-A10G", "H100-80G, H200", "kind: Profile"],
        ),
        // A single candidate of the model says nothing about the GPU that nobody named.
        (
            service("01-ai/Yi-34B", "--tensor-parallel-size=2", "tolerations: []", 2),
            "{}",
            &["candidates: yi-34b-h100-tp2"],
        ),
        // A slice of an H100 is no H100.
        (
            service(LLAMA_8B, "", H100, 1).replace("nvidia.com/gpu: \"1\"", "nvidia.com/mig-1g.10gb: \"1\""),
            "{}",
            &["of no stated kind", "llama-3.1-8b-h100"],
        ),
        (service(LLAMA_8B, "", H100, 1), "{profile: llama-3.1-8b-h100, gpu: h100}", &["found gpu beside the profile"]),
        (service(LLAMA_8B, "", H100, 1), "{gpu: B200}", &["found GPU \"B200\"", "spec.replica.gpu"]),
    ] {
        contains_all(&refused(&service, replica), parts);
    }
}

#[test]
fn gpus_without_a_tensor_parallel_size_are_told() {
    let run = run_of(&service("meta-llama/Llama-3.1-70B-Instruct", "--max-model-len=4096", H100, 4), "{}");
    assert_eq!(run.profile, "llama-3.1-70b-h100-tp4");
    contains_all(&run.diagnostics.to_string(), &["4 GPUs without --tensor-parallel-size", "--tensor-parallel-size=4"]);
    let run = run_of(
        &service("meta-llama/Llama-3.1-70B-Instruct", "--max-model-len=4096, --tensor-parallel-size=4", H100, 4),
        "{}",
    );
    assert!(!run.diagnostics.to_string().contains("without --tensor-parallel-size"));
}

#[test]
fn an_estimate_is_called_one_everywhere() {
    // A pair without a row: computed.
    let run = run_of(&service(LLAMA_8B, "--max-model-len=4096, --tensor-parallel-size=2", H100, 2), "{}");
    assert_eq!((run.profile.as_str(), run.gpus_per_replica), ("llama-3.1-8b-h100-tp2", 2));
    let told = run.assumptions.iter().find(|own| own.path == "spec.replica.stepTime").expect("told");
    assert!(told.why.starts_with("estimate, not measured"), "{}", told.why);
    let yaml = scenario_yaml(&run);
    contains_all(
        &yaml,
        &["# profile llama-3.1-8b-h100-tp2 (estimate)", "gpu: H100-80G", "tensorParallelSize: 2", "model: meta-llama/"],
    );
    let record = simulate(&run, true).expect("runs");
    let summary = summarize(&record, &run.analysis);
    let finding = summary.verdict.findings.iter().find(|own| own.code == "estimated-profile").expect("found");
    assert_eq!(finding.severity, Severity::Warning);
    contains_all(&finding.message, &["llama-3.1-8b-h100-tp2", "estimate"]);
    // The resolved scenario gives the same engine again.
    let again = resolve(
        &bundle(&[SCALED_OBJECT, &service(LLAMA_8B, "--max-model-len=4096", H100, 2), &yaml]),
        &Overrides::default(),
    )
    .unwrap_or_else(|found| panic!("{found}\n{yaml}"));
    assert_eq!((again.engine, again.profile), (run.engine, run.profile));
    // A measured profile has none of this.
    let run = run_of(&service(LLAMA_8B, "", H100, 1), "{}");
    let summary = summarize(&simulate(&run, true).expect("runs"), &run.analysis);
    assert!(summary.verdict.findings.iter().all(|own| own.code != "estimated-profile"));
    assert!(!scenario_yaml(&run).contains("estimate"));
}

#[test]
fn shared_experts_are_read_and_computed_at_every_step() {
    let config = "{name: acme/moe, numHiddenLayers: 10, hiddenSize: 1000, numAttentionHeads: 10, numKeyValueHeads: 10, \
                  intermediateSize: 2000, numExperts: 8, numExpertsPerTok: 2, vocabSize: 1000, maxPositionEmbeddings: 8192}";
    let shared = config.replace("numExperts: 8", "numExperts: 8, sharedExpertIntermediateSize: 4000");
    let of = |config: &str| {
        run_of(&service("acme/moe", "", "tolerations: []", 1), &format!("{{model: {config}, gpu: a100}}"))
    };
    let (none, some) = (of(config), of(&shared));
    // 120 million parameters: 2 bytes each at 0.72 x 2.039 TB/s for a single request, 2 operations for each of 4096 tokens at
    // 0.33 x 312 TFLOP/s.
    for (tokens, expected) in [(1, 0.1635), (4096, 9.548)] {
        let ms = |run: &ResolvedRun| run.engine.step_time.step(tokens, 0, 0, 1).as_ps() as f64 / 1e9;
        let more = ms(&some) - ms(&none);
        assert!((more / expected - 1.0).abs() < 0.02, "{tokens}: {more} ms");
    }
    // The resolved scenario gives the same engine again.
    let again = resolve(
        &bundle(&[SCALED_OBJECT, &service("acme/moe", "", "tolerations: []", 1), &scenario_yaml(&some)]),
        &Overrides::default(),
    )
    .unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(again.engine, some.engine);
    let alone = shared.replace("numExperts: 8, ", "").replace("numExpertsPerTok: 2, ", "");
    let replica = format!("{{model: {alone}, gpu: a100}}");
    contains_all(
        &refused(&service("acme/moe", "", "tolerations: []", 1), &replica),
        &["sharedExpertIntermediateSize", "numExperts and numExpertsPerTok beside it"],
    );
}

#[test]
fn an_architecture_of_ones_own_is_estimated() {
    // The numbers of Llama-3.1-8B under another name.
    let config = "{name: acme/own, numHiddenLayers: 32, hiddenSize: 4096, numAttentionHeads: 32, numKeyValueHeads: 8, \
                  intermediateSize: 14336, vocabSize: 128256, maxPositionEmbeddings: 8192}";
    let run = run_of(&service("acme/own", "", "tolerations: []", 1), &format!("{{model: {config}, gpu: a100}}"));
    assert_eq!((run.profile.as_str(), run.engine.max_model_len), ("own-a100-estimate", 8192));
    // 0.92 x 79.1 - 14.957 - 2.2 GiB over 2 MiB a block.
    assert!(run.engine.kv_blocks.abs_diff(28_475) < 3, "{}", run.engine.kv_blocks);
    let again = resolve(
        &bundle(&[SCALED_OBJECT, &service("acme/own", "", "tolerations: []", 1), &scenario_yaml(&run)]),
        &Overrides::default(),
    )
    .unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(again.engine, run.engine);
    for (replica, parts) in [
        (format!("{{model: {config}}}"), &["without a GPU", "replica.gpu"][..]),
        (
            format!("{{model: {config}, gpu: l4}}").replace("Layers: 32", "Layers: 64"),
            &["does not fit on 1 x L4", "leaves -"],
        ),
        (format!("{{model: {config}, gpu: h100, tensorParallelSize: 3}}"), &["do not divide the model's 32"]),
        (
            format!("{{model: {config}, gpu: h100}}").replace("Heads: 8", "Heads: 5"),
            &["numKeyValueHeads", "found 5 KV heads, expected a divisor"],
        ),
        (format!("{{model: {config}, gpu: h100}}").replace("hiddenSize: 4096, ", ""), &["hiddenSize is missing"]),
    ] {
        contains_all(&refused(&service("acme/own", "", "tolerations: []", 1), &replica), parts);
    }
}

#[test]
fn engine_arguments_size_the_cache() {
    let blocks = |args: &str, replica: &str| {
        let run = run_of(&service(LLAMA_8B, &format!("--max-model-len=4096, {args}"), H100, 1), replica);
        (run.engine.kv_blocks + 1, run.diagnostics.to_string())
    };
    assert_eq!(blocks("", "{}"), (28_319, String::new()));
    // (u x 79.1 - 14.96 - 2.5 GiB) over 2 MiB, in whole blocks.
    assert_eq!(blocks("--gpu-memory-utilization=0.5", "{}").0, 11_310);
    assert_eq!(blocks("--gpu-memory-utilization=0.5", "{gpuMemoryUtilization: 0.92}").0, 28_319);
    assert_eq!(blocks("", "{vllmVersion: \"0.14\"}").0, 28_021, "0.9 and no room for graphs");
    assert_eq!(blocks("--max-num-batched-tokens=2048", "{}").0, 28_473);
    assert_eq!(blocks("--block-size=32", "{}").0, 14_159);
    assert_eq!(blocks("--kv-cache-memory-bytes=2G", "{}").0, 1_024);
    assert_eq!(blocks("--kv-cache-memory-bytes=2g", "{}").0, 953);
    let (fp8, told) = blocks("--kv-cache-dtype=fp8", "{}");
    assert_eq!(fp8, 56_639);
    contains_all(&told, &["FP8", "step times", "ckNsPerToken"]);
    let (given, told) = blocks("--gpu-memory-utilization=0.5", "{kvTokens: 16000}");
    assert_eq!(given, 1_000);
    contains_all(&told, &["--gpu-memory-utilization 0.5 is not used: kvTokens says"]);
    let (given, told) = blocks("--num-gpu-blocks-override=500, --kv-cache-dtype=fp8", "{}");
    assert_eq!(given, 500);
    contains_all(&told, &["--kv-cache-dtype fp8 is not used: kvBlocks says"]);
}

#[test]
fn what_vllm_would_not_start_with_is_refused_at_its_place() {
    for (args, parts) in [
        (
            "--gpu-memory-utilization=0.2",
            &["does not fit on H100-80G", "0.2 of 79.1 GiB, less 14.96 GiB", "p.yaml:"][..],
        ),
        ("--gpu-memory-utilization=90", &["found \"90\" for --gpu-memory-utilization", "at most 1"]),
        ("--gpu-memory-utilization=nan", &["found \"nan\""]),
        ("--kv-cache-dtype=turboquant_k8v4", &["found \"turboquant_k8v4\"", "fp8_e5m2"]),
        ("--kv-cache-memory-bytes=all", &["found \"all\"", "25G"]),
        ("--gpu-memory-utilization=0", &["found \"0\" for --gpu-memory-utilization", "a share above 0"]),
        ("--gpu-memory-utilization=0.3, --max-model-len=131072", &["cannot hold one request of 131072", "p.yaml:"]),
        (
            "--max-num-seqs=512, --max-num-batched-tokens=256",
            &[
                "p.yaml:24:59",
                "found a token budget of 256 per step",
                "at least max-num-seqs, which is 512",
                "lower maxNumSeqs",
            ],
        ),
        (
            "--no-enable-chunked-prefill, --max-model-len=16384, --max-num-batched-tokens=8192",
            &["p.yaml:24:59", "8192 per step without chunked prefill", "at least maxModelLen 16384"],
        ),
        ("--max-num-seqs=0", &["found \"0\" for --max-num-seqs", "a whole number above zero"]),
    ] {
        contains_all(&refused(&service(LLAMA_8B, args, H100, 1), "{}"), parts);
    }
    // A default is capped to the budget, as vLLM does it.
    let run = run_of(&service(LLAMA_8B, "--max-num-batched-tokens=256", H100, 1), "{}");
    assert_eq!((run.engine.max_num_seqs, run.engine.max_num_batched_tokens), (256, 256));
    contains_all(
        &refused(&service(LLAMA_8B, "", H100, 1), "{maxNumSeqs: 512, maxNumBatchedTokens: 256}"),
        &["p.yaml:", "spec.replica.maxNumSeqs", "which is 512"],
    );
    // Whatever profile stands in for the engine.
    contains_all(
        &refused(&service(LLAMA_8B, "--tensor-parallel-size=3", H100, 3), "{profile: llama-3.1-8b-h100}"),
        &[
            "p.yaml:24:59",
            "found --tensor-parallel-size 3",
            "a divisor of the model's 32 attention heads",
            "would not start",
        ],
    );
    // A built-in profile whose model is longer than its cache: vLLM needs --max-model-len to start.
    let l4 = "nodeSelector: {nvidia.com/gpu.product: NVIDIA-L4}";
    let run = run_of(&service(LLAMA_8B, "", l4, 1), "{}");
    assert_eq!(run.engine.max_model_len, 16_384);
    contains_all(&run.diagnostics.to_string(), &["131072 tokens is more than the KV cache holds", "--max-model-len"]);
    let run = run_of(&service(LLAMA_8B, "--max-model-len=8192", l4, 1), "{}");
    assert!(!run.diagnostics.to_string().contains("131072"));
}

#[test]
fn coefficients_can_be_replaced_one_by_one() {
    let base = run_of(&service(LLAMA_8B, "", H100, 1), "{}");
    let run = run_of(&service(LLAMA_8B, "", H100, 1), "{stepTime: {t0Ms: 1}}");
    let step = |run: &ResolvedRun| run.engine.step_time.step(1, 0, 0, 1).as_ps();
    assert_eq!(step(&run) - step(&base), 700_000_000);
    assert!(scenario_yaml(&run).contains("t0Ms: 1 # p.yaml:"));
    contains_all(&refused(&service(LLAMA_8B, "", H100, 1), "{stepTime: {knee: 0.5}}"), &["p.yaml:", "knee: found 0.5"]);
    contains_all(&refused(&service(LLAMA_8B, "", H100, 1), "{stepTime: {wMs: -1}}"), &["p.yaml:", "stepTime.wMs"]);
    contains_all(&refused(&service(LLAMA_8B, "", H100, 1), "{stepTime: {wms: 1}}"), &["stepTime.wms", "wMs"]);
}

#[test]
fn a_chosen_profile_can_be_set() {
    let service = service(LLAMA_8B, "--max-model-len=4096, --tensor-parallel-size=2", "tolerations: []", 2);
    let mut bundle = bundle(&[SCALED_OBJECT, &service, &scenario("{gpu: h100}")]);
    let overrides = Overrides::default();
    attach_profile(&mut bundle, &overrides).unwrap_or_else(|found| panic!("{found}"));
    bundle.set_text("Profile:spec.kvTokens", "16000").expect("set");
    let run = resolve(&bundle, &overrides).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!((run.profile.as_str(), run.engine.kv_blocks), ("llama-3.1-8b-h100-tp2", 999));
}

#[test]
fn impossible_profiles_are_refused_at_their_place() {
    let sound = profile_yaml(&built_in_profile("gpt-oss-20b-h100").expect("built in"));
    let read = |text: &str| read_profile(&bundle(&[text]).documents[0]);
    assert!(read(&sound).is_ok());
    for (from, to, parts) in [
        ("wMs: 2.47", "wMs: -2.47", &["spec.stepTime.wMs", "found -2.47", "p.yaml:9:"][..]),
        ("wMs: 2.47", "wMs: 2470000000", &["spec.stepTime", "found wMs 2470000000, expected at most"]),
        ("knee: 2", "knee: 0.9", &["spec.stepTime.knee", "found 0.9"]),
        ("perToken: 4", "perToken: 40", &["found 40 of 32 experts per token"]),
        ("gpus: 1", "gpus: 100", &["spec.gpus", "100"]),
        ("gpus: 1", "gpus: 0", &["spec.gpus", "found 0 GPUs per replica with gpu H100-80G", "gpu: CPU"]),
        ("kind: kernels", "kind: guess", &["spec.kind", "kernels, fitted, estimate"]),
        (
            "weightsGiB: 13.4",
            "weightsGiB: 134",
            &["spec.memory", "does not fit", "less 134.00 GiB of weights", "p.yaml:"],
        ),
        ("gpuGiB: 79.1", "gpuGiB: 79100", &["spec.memory.gpuGiB", "at most 10000 GiB"]),
        ("gpuGiB: 79.1", "gpuGiB: 0", &["spec.memory.gpuGiB"]),
        ("kvBytesPerToken: 49152", "kvBytesPerToken: 0", &["spec.memory.kvBytesPerToken"]),
        ("maxNumSeqs: 1024", "maxNumSeqs: 0", &["spec.maxNumSeqs"]),
        ("maxNumBatchedTokens: 8192", "maxNumBatchedTokens: 99999999999", &["spec.maxNumBatchedTokens"]),
        ("  maxNumSeqs", "  kvTokens: 15\n  maxNumSeqs", &["spec.kvTokens", "15"]),
        ("  maxNumSeqs", "  speed: 3\n  maxNumSeqs", &["spec.speed"]),
    ] {
        assert!(sound.contains(from), "{from}");
        let told = read(&sound.replacen(from, to, 1)).expect_err(to).to_string();
        contains_all(&told, parts);
    }
    let unreadable = Bundle::from_text(&sound.replacen("wMs: 2.47", "wMs: .nan", 1), "p.yaml").expect_err("no number");
    contains_all(&unreadable.to_string(), &["p.yaml:9:", "undefined number"]);
    let weightless = sound.replace(
        "wMs: 2.47, experts: {wMs: 4.1, count: 32, perToken: 4}, cpUsPerToken: 17.49",
        "wMs: 0, cpUsPerToken: 0",
    );
    assert_ne!(weightless, sound);
    contains_all(&read(&weightless).expect_err("weightless").to_string(), &["p.yaml:9:", "linear layers to take time"]);
    let without = sound.replace("  memory: {", "  # {");
    contains_all(&read(&without).expect_err("no cache").to_string(), &["kvTokens is missing", "memory: {gpuGiB"]);
    // A capacity given outright goes before memory.
    let given = read(&sound.replacen("  maxNumSeqs", "  kvTokens: 9600\n  maxNumSeqs", 1)).expect("sound");
    assert_eq!((given.kv_tokens, given.memory), (9_600, None));
}

/// vllm.md 1.6: a prompt that leaves no room for a token gets HTTP 400 from the API server and never reaches the engine; one
/// that does is cut at `max_model_len`.
#[test]
fn a_prompt_as_long_as_the_model_is_rejected_and_counted() {
    let totals = |length: u32| {
        let run = run_of(&service(LLAMA_8B, &format!("--max-model-len={length}"), H100, 1), "{}");
        let record = simulate(&run, true).expect("runs");
        let summary = summarize(&record, &run.analysis);
        let codes: Vec<String> = summary.verdict.findings.iter().map(|own| own.code.clone()).collect();
        (summary.requests, record.tokens.generated_completed, codes)
    };
    let (requests, generated, codes) = totals(300);
    assert!(requests.total > 50 && requests.rejected == requests.total, "{requests:?}");
    assert_eq!((requests.failed, requests.completed, generated), (0, 0, 0));
    assert!(codes.iter().any(|code| code == "requests-rejected"), "{codes:?}");
    let (requests, generated, _) = totals(320);
    assert!(requests.completed > 50 && requests.rejected == 0, "{requests:?}");
    assert_eq!(generated, 20 * requests.completed, "cut at 320 tokens");
    let (requests, generated, _) = totals(4096);
    assert_eq!(generated, 50 * requests.completed);
}

#[test]
fn the_command_lists_and_prints() {
    let kedasim = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim")).args(arguments).output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"), output.stderr)
    };
    let (code, table, _) = kedasim(&["profiles"]);
    assert_eq!(code, Some(0));
    assert!(table.lines().all(|line| line.chars().count() <= 160), "readable in 160 columns");
    let line = |name: &str| {
        let line = table.lines().find(|line| line.split_whitespace().next() == Some(name)).expect(name);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        line("llama-3.1-8b-h100"),
        "llama-3.1-8b-h100 meta-llama/Llama-3.1-8B-Instruct H100-80G 1 kernels aiconfigurator 0.12 prefill 3.1 %, decode \
         3.0 %, largest 9 %"
    );
    assert!(line("mistral-7b-l4").ends_with("L4 1 estimate roofline not measured"));
    let (code, yaml, _) = kedasim(&["profiles", "yi-34b-h100-tp2"]);
    assert_eq!(code, Some(0));
    let read = read_profile(&bundle(&[&yaml]).documents[0]).unwrap_or_else(|found| panic!("{found}"));
    assert_eq!(Some(read), built_in_profile("yi-34b-h100-tp2"));
    let (_, json, _) = kedasim(&["profiles", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["schemaVersion"], 1);
    let list = json["profiles"].as_array().expect("a list");
    assert_eq!(list.len(), 55);
    assert!(
        list.iter().any(|own| own["name"] == "opt-125m-cpu" && own["kind"] == "fitted" && own["kvTokens"] == 58_240)
    );
    let (code, _, stderr) = kedasim(&["profiles", "llama-3.1-8b-h10"]);
    assert_eq!(code, Some(2));
    contains_all(&String::from_utf8_lossy(&stderr), &["did you mean llama-3.1-8b-h100?"]);
}

//! Numbers and arguments of an engine that cannot be, or are hardly meant: an error where vLLM or the hardware say no, a
//! named warning where only the eye does.

use kedasim::manifest::Bundle;
use kedasim::replica::{built_in_profile, built_in_profiles};
use kedasim::scenario::{Overrides, profile_warnings, profile_yaml, read_profile, resolve};
use kedasim::units::Severity;
use std::fs;
use std::path::Path;
use std::process::Command;

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so}
spec:
  scaleTargetRef: {name: llm}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {serverAddress: "http://prometheus:9090", query: "sum(vllm:num_requests_running)", threshold: "5"}
"#;

/// A Deployment with these words after `vllm serve MODEL`, this image and these further lines of the container.
fn deployment(words: &str, image: &str, more: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: llm}}\nspec:\n  selector: {{matchLabels: {{app: llm}}}}\n  template:\n    \
         metadata: {{labels: {{app: llm}}}}\n    spec:\n      nodeSelector: {{nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3}}\n      \
         containers:\n        - name: main\n          image: {image}\n          {more}\n          args: [vllm, serve, \
         meta-llama/Llama-3.1-8B-Instruct, {words}]\n          resources: {{limits: {{cpu: \"4\", nvidia.com/gpu: \"1\"}}}}\n"
    )
}

fn scenario(replica: &str) -> String {
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: sc}}\nspec:\n  duration: 3m\n  replica: {replica}\n  \
         cluster: {{nodes: {{gpusPerNode: 8}}}}\n  traffic: {{arrivals: {{poisson: {{rate: 0.5}}}}, prompt: {{constant: \
         300}}, output: {{constant: 50}}}}\n"
    )
}

/// Whether the run resolves, and all that was told.
fn told(texts: &[&str]) -> (bool, String) {
    let bundle = Bundle::from_text(&texts.join("\n---\n"), "p.yaml").expect("the test's YAML is well formed");
    match resolve(&bundle, &Overrides::default()) {
        Ok(run) => {
            let mut lines: Vec<String> = run.diagnostics.0.iter().map(ToString::to_string).collect();
            lines.extend(run.assumptions.iter().map(|own| format!("assumed: {} {}", own.path, own.value)));
            (true, lines.join("\n"))
        }
        Err(found) => (false, found.to_string()),
    }
}

fn contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
}

const IMAGE: &str = "vllm/vllm-openai";

#[test]
fn arguments_with_which_vllm_would_not_start_are_errors() {
    for (words, replica, parts) in [
        ("--max-model-len=200000", "{}", &["p.yaml:", "maxModelLen", "200000", "at most the 131072 of meta-llama"][..]),
        ("--max-model-len, 200k", "{}", &["found a length of 200000 tokens", "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1"]),
        ("--port=80", "{maxModelLen: 200000}", &["maxModelLen", "expected at most the 131072"]),
        ("--max-model-len=4096, --block-size=7", "{}", &["blockSize", "found blocks of 7 tokens", "1, 8, 16, 32"]),
        ("--max-model-len=4096", "{blockSize: 12}", &["found blocks of 12 tokens", "vLLM would not start"]),
    ] {
        let (resolves, text) = told(&[SCALED_OBJECT, &deployment(words, IMAGE, ""), &scenario(replica)]);
        assert!(!resolves, "{words} {replica} must not resolve");
        contains_all(&text, parts);
    }
}

#[test]
fn a_longer_length_is_right_where_vllm_takes_it() {
    let allow = "env: [{name: VLLM_ALLOW_LONG_MAX_MODEL_LEN, value: \"1\"}]";
    for (words, more) in [
        ("--max-model-len=131072", ""),
        ("--max-model-len=200000", allow),
        ("--max-model-len=200000, --hf-overrides.rope_scaling.factor=4", ""),
        ("--max-model-len=200000, '--rope-scaling={\"factor\": 4}'", ""),
    ] {
        let (resolves, text) = told(&[SCALED_OBJECT, &deployment(words, IMAGE, more), &scenario("{}")]);
        assert!(resolves, "{words}: {text}");
        assert!(!text.contains("no argument of vLLM"), "{text}");
    }
    let denied = allow.replace("\"1\"", "\"0\"");
    assert!(!told(&[SCALED_OBJECT, &deployment("--max-model-len=200000", IMAGE, &denied), &scenario("{}")]).0);
}

#[test]
fn a_profile_of_ones_own_says_how_long_its_model_is() {
    let own = profile_yaml(&built_in_profile("llama-3.1-8b-h100").expect("built in"))
        .replace("name: llama-3.1-8b-h100", "name: mine")
        .replace("meta-llama/Llama-3.1-8B-Instruct", "acme/tiny");
    let at = own.find("maxModelLen: ").expect("printed");
    let line = own[at..].lines().next().expect("a line");
    let short = own.replace(line, "maxModelLen: 16");
    let length = "--max-model-len=8192";
    // The engine serves another model than the profile's, of which nothing is known.
    let (resolves, text) = told(&[SCALED_OBJECT, &deployment(length, IMAGE, ""), &short, &scenario("{}")]);
    assert!(resolves, "{text}");
    let same = deployment(length, IMAGE, "").replace("meta-llama/Llama-3.1-8B-Instruct", "acme/tiny");
    let (resolves, text) = told(&[SCALED_OBJECT, &same, &short, &scenario("{}")]);
    assert!(!resolves, "8192 tokens over 16");
    contains_all(&text, &["found a length of 8192 tokens, expected at most the 16 of profile mine"]);
}

#[test]
fn arguments_that_nobody_reads_are_named() {
    let (resolves, text) = told(&[
        SCALED_OBJECT,
        &deployment(
            "--max-model-len=4096, --max-num-sequences=4, --config=foo.yaml, --block-size=48, --no-enable-log-requests, \
             --served_model_name=x, -O3, '--compilation-config.cudagraph_mode=NONE'",
            IMAGE,
            "",
        ),
        &scenario("{}"),
    ]);
    assert!(resolves, "{text}");
    contains_all(
        &text,
        &[
            "warning: p.yaml:",
            "found --max-num-sequences, which is no argument of vLLM",
            "did you mean --max-num-seqs?",
            "--config foo.yaml is not used",
            "its arguments are not read",
            "found blocks of 48 tokens",
        ],
    );
    assert_eq!(text.matches("no argument of vLLM").count(), 1, "{text}");
    // Another program's flags are its own.
    let other = deployment("--max-model-len=4096", IMAGE, "")
        .replace("args: [vllm, serve,", "command: [python3, server.py, --max-num-sequences=4]\n          args: [");
    let (_, text) = told(&[SCALED_OBJECT, &other, &scenario("{model: meta-llama/Llama-3.1-8B-Instruct}")]);
    assert!(!text.contains("no argument of vLLM"), "{text}");
}

#[test]
fn the_short_form_of_the_tensor_parallel_size_counts() {
    let four = deployment("--max-model-len=4096, -tp=4", IMAGE, "")
        .replace("Llama-3.1-8B-Instruct", "Llama-3.1-70B-Instruct")
        .replace("nvidia.com/gpu: \"1\"", "nvidia.com/gpu: \"4\"");
    let (resolves, text) = told(&[SCALED_OBJECT, &four, &scenario("{}")]);
    assert!(resolves && text.contains("assumed: spec.replica.profile llama-3.1-70b-h100-tp4"), "{text}");
    let (resolves, text) = told(&[SCALED_OBJECT, &four.replace("-tp=4", "-tp, '3'"), &scenario("{}")]);
    assert!(!resolves && text.contains("found 3 GPUs, which do not divide"), "{text}");
}

#[test]
fn the_tag_of_vllms_own_image_is_its_release() {
    let version = |image: &str, replica: &str| {
        let bundle =
            [SCALED_OBJECT, &deployment("--max-model-len=4096", image, ""), &scenario(replica)].join("\n---\n");
        let bundle = Bundle::from_text(&bundle, "p.yaml").expect("well formed");
        let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|found| panic!("{found}"));
        let is_told = run.assumptions.iter().any(|own| own.path == "spec.replica.vllmVersion");
        (run.engine.vllm_version, is_told)
    };
    for (image, expected) in [
        ("vllm/vllm-openai:v0.11.0", ((0, 11), false)),
        ("docker.io/vllm/vllm-openai:v0.17.1-cu128", ((0, 17), false)),
        ("registry.local:5000/vllm/vllm-openai:v0.12.0@sha256:0a", ((0, 12), false)),
        ("vllm-openai:v0.11.0", ((0, 11), false)),
        ("vllm/vllm-openai-cpu:v0.20.0", ((0, 20), false)),
        // Tags that say nothing of a release that is modelled, and images with numbers of their own.
        ("vllm/vllm-openai:latest", ((0, 33), true)),
        ("vllm/vllm-openai:v0.7.3", ((0, 33), true)),
        ("vllm/vllm-openai:v0.34.0", ((0, 33), true)),
        ("vllm/vllm-openai", ((0, 33), true)),
        ("localhost:5000/vllm", ((0, 33), true)),
        ("lmcache/vllm-openai:v0.11.0", ((0, 33), true)),
        ("kserve/huggingfaceserver:v0.15.0-gpu", ((0, 33), true)),
        ("ghcr.io/llm-d/llm-d-cuda:v0.11.0", ((0, 33), true)),
    ] {
        assert_eq!(version(image, "{}"), expected, "{image}");
    }
    assert_eq!(version("vllm/vllm-openai:v0.11.0", "{vllmVersion: \"0.14\"}"), ((0, 14), false));
}

fn profile_text() -> String {
    profile_yaml(&built_in_profile("llama-3.1-8b-h100").expect("built in"))
}

/// What is told of the text's profile; an error where it is refused.
fn doubts(text: &str) -> Result<String, String> {
    let bundle = Bundle::from_text(text, "p.yaml").map_err(|found| found.to_string())?;
    let document = &bundle.documents[0];
    let profile = read_profile(document).map_err(|found| found.to_string())?;
    let warnings = profile_warnings(&profile, document);
    assert!(warnings.iter().all(|own| own.severity == Severity::Warning && own.help.is_some() && own.span.is_some()));
    Ok(warnings.iter().map(|own| format!("{own}\n")).collect())
}

#[test]
fn no_built_in_profile_is_doubtful() {
    for profile in built_in_profiles() {
        assert_eq!(doubts(&profile_yaml(&profile)), Ok(String::new()), "{}", profile.name);
    }
}

#[test]
fn impossible_numbers_of_a_profile_are_refused() {
    let sound = profile_text();
    for (from, to, parts) in [
        (
            "requestOverheadMs: 10",
            "requestOverheadMs: 1e300",
            &["requestOverheadMs", "found 1e300 ms", "at most 1000000"][..],
        ),
        ("knee: 2", "knee: 1e300", &["spec.stepTime.knee", "found 1e300", "at most 100", "help: "]),
        ("knee: 2", "knee: 0.9", &["spec.stepTime.knee", "found 0.9, expected an exponent of at least 1"]),
        ("wMs: 6.69", "wMs: 1e300", &["found wMs 1e300, expected a finite number"]),
        ("wMs: 6.69", "wMs: -1e300", &["found -1e300, expected a number of at least 0"]),
        ("weightsGiB: 14.96", "weightsGiB: 1e-300", &["spec.memory.weightsGiB", "found 1e-300", "at least 0.001"]),
        ("gpuGiB: 79.1", "gpuGiB: 1000", &["spec.memory.gpuGiB: found 1000 GiB, but an H100-80G has 79.1", "spec.gpu"]),
        ("gpuGiB: 79.1", "gpuGiB: 1e300", &["found 1e300, expected at most 10000 GiB"]),
        ("  maxNumSeqs", "  kvTokens: 1e18\n  maxNumSeqs", &["spec.kvTokens", "from 16 to 10000000000"]),
    ] {
        assert!(sound.contains(from), "{from}\n{sound}");
        let text = doubts(&sound.replacen(from, to, 1)).expect_err(to);
        contains_all(&text, parts);
        assert!(!text.contains(&"0".repeat(30)), "{text}");
    }
}

#[test]
fn implausible_numbers_of_a_profile_are_named() {
    let sound = profile_text().replace("name: llama-3.1-8b-h100", "name: mine").replace("kind: kernels", "kind: own");
    let at = sound.find("  source:").expect("printed");
    let sound = format!("{}  source: me\n", &sound[..at]);
    assert_eq!(doubts(&sound), Ok(String::new()));
    for (from, to, parts) in [
        ("wMs: 6.69", "wMs: 0", &["p.yaml:9:", "spec.stepTime.wMs: found 0: reading the weights"][..]),
        ("wMs: 6.69", "wMs: 0.00669", &["p.yaml:9:", "found 0.00669 ms", "3.35 TB/s", "ms\n  help: check the unit"]),
        ("cpUsPerToken: 19.54", "cpUsPerToken: 0", &["spec.stepTime.cpUsPerToken: found 0"]),
        ("cpUsPerToken: 19.54", "cpUsPerToken: 0.01954", &["cpUsPerToken: found 0.01954 us", "data sheet"]),
        ("weightsGiB: 14.96", "weightsGiB: 1.496", &["weightsGiB", "found 1.496", "has 14.96 GiB"]),
        ("  maxNumSeqs", "  kvTokens: 9600\n  maxNumSeqs", &["spec.memory", "memory is not used, kvTokens says"]),
        (
            "name: mine",
            "name: qwen2.5-7b-h100",
            &["metadata.name", "the built-in profile qwen2.5-7b-h100, which has model"],
        ),
    ] {
        let changed = sound.replacen(from, to, 1);
        assert_ne!(changed, sound, "{from}");
        contains_all(&doubts(&changed).expect("read"), parts);
    }
    // Of a GPU and a model that are not known nothing is expected.
    let unknown = sound.replace("gpu: H100-80G", "gpu: B200").replace("wMs: 6.69", "wMs: 0.5");
    assert_eq!(doubts(&unknown), Ok(String::new()));
}

#[test]
fn an_edited_copy_does_not_pass_for_the_built_in() {
    let printed = {
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim")).args(["profiles", "llama-3.1-8b-h100"]).output();
        String::from_utf8(output.expect("runs").stdout).expect("text")
    };
    assert!(printed.starts_with("# A copy with other numbers is another profile: change name, kind"), "{printed}");
    assert_eq!(doubts(&printed), Ok(String::new()), "the print itself is the built-in");
    let edited = printed.replace("wMs: 6.69", "wMs: 5.5");
    let text = doubts(&edited).expect("read");
    contains_all(
        &text,
        &["metadata.name", "name of the built-in profile llama-3.1-8b-h100, which has wMs 6.69 instead of 5.5"],
    );
    let renamed = edited.replace("name: llama-3.1-8b-h100", "name: mine");
    contains_all(
        &doubts(&renamed).expect("read"),
        &["source and error of the built-in profile llama-3.1-8b-h100", "wMs 6.69"],
    );
    // A run and a fit say so as well.
    let (resolves, text) =
        told(&[SCALED_OBJECT, &deployment("--max-model-len=4096", IMAGE, ""), &edited, &scenario("{}")]);
    assert!(resolves, "{text}");
    contains_all(&text, &["name of the built-in profile"]);
    let here = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profile-checks");
    fs::create_dir_all(&here).expect("a folder");
    fs::write(here.join("p.yaml"), &edited).expect("written");
    fs::write(here.join("m.csv"), "concurrency,prompt_tokens,output_tokens,requests,tpot_ms\n1,100,50,3,7.1\n")
        .expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .current_dir(&here)
        .args(["calibrate", "m.csv", "--prior", "p.yaml"])
        .output()
        .expect("runs");
    contains_all(&String::from_utf8_lossy(&output.stderr), &["warning: p.yaml:", "name of the built-in profile"]);
}

#[test]
fn a_coefficient_of_the_scenario_is_judged_too() {
    let run =
        |replica: &str| told(&[SCALED_OBJECT, &deployment("--max-model-len=4096", IMAGE, ""), &scenario(replica)]);
    contains_all(&run("{stepTime: {wMs: 0.00669}}").1, &["spec.replica.stepTime.wMs: found 0.00669 ms", "help: "]);
    let (resolves, text) = run("{stepTime: {knee: 1e300}, requestOverheadMs: 1e300}");
    assert!(!resolves);
    contains_all(&text, &["stepTime.knee: found 1e300", "requestOverheadMs: found 1e300 ms"]);
    assert!(!run("{stepTime: {wMs: 6}}").1.contains("stepTime.wMs"));
}

#[test]
fn a_release_that_is_not_modelled_is_refused_by_calibrate_as_by_simulate() {
    for (version, part) in
        [("9.9", "0.8 to 0.33"), ("0.7", "0.8 or later"), ("x", "a release such as 0.33"), ("0", "minor")]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
            .args(["calibrate", "m.csv", "--prior", "llama-3.1-8b-h100", "--vllm-version", version])
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(2), "{version}");
        contains_all(&String::from_utf8_lossy(&output.stderr), &["--vllm-version", part]);
    }
}

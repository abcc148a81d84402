//! kedasim's own files: what they may say, and what a mistake in them is told.

use kedasim::cluster::{DurationDistribution, Preset, RouterPolicy, TerminationMode};
use kedasim::hpa::KubernetesVersion;
use kedasim::manifest::{Bundle, Document, Value};
use kedasim::scenario::{TrafficWritten, read_profile, read_scenario, read_sweep, read_traffic};
use kedasim::traffic::{Arrivals, LengthDistribution};
use kedasim::units::{SimDuration, SimTime};

fn document(text: &str) -> Document {
    let bundle = Bundle::from_text(text, "test.yaml").expect("the test's YAML is well formed");
    bundle.documents.into_iter().next().expect("the test's YAML holds a document")
}

fn own(kind: &str, spec: &str) -> Document {
    let body: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    document(&format!("apiVersion: kedasim.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: t}}\nspec:\n{body}"))
}

fn scenario_error(spec: &str) -> String {
    read_scenario(&own("Scenario", spec)).expect_err("the scenario is wrong").to_string()
}

fn traffic(spec: &str) -> Result<kedasim::traffic::TrafficSpec, String> {
    let document = own("Traffic", spec);
    let spec = document.root.get("spec").expect("own documents have a spec");
    read_traffic(spec, "spec").map_err(|found| found.to_string())
}

#[test]
fn a_full_scenario_is_read() {
    let spec = "\
duration: 30m
warmup: 2m
seed: 7
traffic: {file: ../a.csv, start: 1m, stop: 10m}
replica: {profile: opt-125m-cpu, vllmVersion: \"0.33\", kvTokens: 4096, maxNumSeqs: 4, blockSize: 32, requestOverheadMs: 2.5}
initialReplicas: 2
cluster:
  preset: warm-gpu
  startup: {imagePull: 0s, sandbox: {median: 2s, p95: 5s}, graphs: {min: 1s, max: 2s}}
  probes: {periodSeconds: 5}
  termination: {graceSeconds: 60, preStop: 5s, mode: {drain: 40s}}
  nodes: {gpusPerNode: 8}
  controlPlane: {createLatency: 100ms, statusLatency: 200ms}
  endpoints: {propagation: 1s}
  scheduler: {latency: 300ms}
router: {policy: power-of-two}
client: {timeout: 2m}
prometheus: {scrapeInterval: 10s, scrapeTimeout: 5s, version: \"2.45\", lookback: 4m, evaluationInterval: 1m, responseTime: 5ms, discoveryDelay: 3s}
keda: {version: \"2.17.1\"}
kubernetes: {version: \"1.33\", syncPeriod: 30s, syncLatency: {min: 10ms, max: 20ms}, tolerance: 0.05, downscaleStabilization: 1m}
signals: {triggers: {s0-kafka: {constant: 40}}, series: [{metric: m, value: {csv: lag.csv}}]}
slo: {e2e: {p99: 60s}, ttft: {p95: 2s}}
cost: {gpuHour: 2.5}
analysis: {flapWindow: 5m}
gates: {gpuHours: 40, flapsPerHour: 1}";
    let file = read_scenario(&own("Scenario", spec)).expect("the scenario is right");
    assert_eq!(file.seed.expect("given").value, 7);
    let Some(TrafficWritten::File { file: path, window }) = &file.traffic else { panic!("a file is named") };
    assert_eq!((path.value.as_str(), *window), ("../a.csv", (SimTime::from_secs(60), SimTime::from_secs(600))));
    assert_eq!(file.cluster.preset.expect("given").value, Preset::WarmGpu);
    let startup: Vec<_> = file.cluster.startup.iter().map(|(key, given)| (*key, given.value)).collect();
    let seconds = SimDuration::from_secs;
    assert_eq!(
        startup,
        [
            ("imagePull", DurationDistribution::Constant(SimDuration::ZERO)),
            ("sandbox", DurationDistribution::Lognormal { median: seconds(2), p95: seconds(5) }),
            ("graphs", DurationDistribution::Uniform { min: seconds(1), max: seconds(2) }),
        ]
    );
    assert_eq!(file.cluster.termination_mode.expect("given").value, TerminationMode::Drain(seconds(40)));
    assert_eq!(file.router.policy.expect("given").value, RouterPolicy::PowerOfTwo);
    assert_eq!(file.kubernetes.version.expect("given").value, KubernetesVersion::V1_33);
    let gates: Vec<&str> = file.gates.iter().map(|gate| gate.value.name.as_str()).collect();
    assert_eq!(gates, ["gpuHours", "flapsPerHour"], "gates keep the author's order");
    assert_eq!(file.slo.len(), 2);
    let signals = file.signals.expect("given");
    assert_eq!((signals.value.triggers.len(), signals.value.series.len(), signals.span.line), (1, 1, 25));
}

#[test]
fn a_mistake_in_a_scenario_is_placed_and_explained() {
    // (spec, parts of the message)
    let cases: [(&str, &[&str]); 18] = [
        ("durration: 30m", &["test.yaml:5:3", "spec.durration", "did you mean duration?"]),
        ("replications: 0", &["spec.replications", "found the integer 0", "1 to 1000"]),
        ("gates: {confidence: 95}", &["spec.gates.confidence", "found 95", "0.5 to 0.999"]),
        ("cluster: {preset: cold-gpu}", &["cold-gpu is not modelled yet", "warm-gpu, cpu-demo"]),
        ("cluster: {preset: warm}", &["found \"warm\"", "warm-gpu"]),
        ("cluster: {quota: {gpus: 4}}", &["spec.cluster.quota", "not modelled yet"]),
        ("router: {policy: epp}", &["epp is not modelled yet", "round-robin"]),
        ("client: {retries: 2}", &["spec.client.retries", "not modelled yet"]),
        ("replica: {vllmVersion: 0.33}", &["spec.replica.vllmVersion", "quotes"]),
        ("replica: {vllmVersion: \"0.7\"}", &["0.8 or later"]),
        ("replica: {vllmVersion: \"0.34\"}", &["expected 0.8 to 0.33"]),
        ("replica: {gpuMemoryUtilization: 1.8}", &["spec.replica.gpuMemoryUtilization", "above 0 and at most 1"]),
        ("replica: {kvCacheDtype: int4}", &["spec.replica.kvCacheDtype", "fp8"]),
        ("replica: {tensorParallelSize: 0}", &["spec.replica.tensorParallelSize"]),
        ("cluster: {startup: {sandbox: {median: 5s, p95: 2s}}}", &["expected 0 < median <= p95"]),
        ("cluster: {startup: {sandbox: {median: 5s}}}", &["{min, max}"]),
        ("kubernetes: {version: \"1.40\"}", &["1.23 to 1.36"]),
        ("gates: {sloAttainment: 99}", &["share from 0 to 1"]),
    ];
    for (spec, parts) in cases {
        let told = scenario_error(spec);
        for part in parts {
            assert!(told.contains(part), "{spec}: {part:?} is missing in\n{told}");
        }
        assert_eq!(told.matches("error:").count(), 1, "{spec} is told once:\n{told}");
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let told = scenario_error("seed: -1\nduration: 0s\nfaults: {}");
    assert_eq!(told.matches("error:").count(), 3, "{told}");
}

#[test]
fn traffic_generators_are_read() {
    let read = traffic("arrivals: {closedLoop: {workers: 2, think: 8s}}\nprompt: {constant: 15}\noutput: {geometric: {hazard: 0.0081, max: 200}}\nmaxTokens: 64\nstart: 2m\nstop: 12m")
        .expect("the traffic is right");
    assert_eq!(read.max_tokens, Some(64));
    // The mean of a geometric length is (1 - (1 - hazard)^most) / hazard.
    assert!((read.mean_output() - 50.10).abs() < 0.01, "{}", read.mean_output());
    assert_eq!(read.arrivals, Arrivals::ClosedLoop { workers: 2, think: SimDuration::from_secs(8) });
    assert_eq!(read.output, LengthDistribution::Geometric { hazard: 0.0081, max: 200 });
    assert_eq!((read.start, read.stop), (SimTime::from_secs(120), SimTime::from_secs(720)));
    let read = traffic("arrivals: {stages: [{duration: 1m, rate: 0}, {duration: 2m, rate: 3.5}]}\nprompt: {lognormal: {p50: 100, p95: 1000}}\noutput: {quantiles: {probabilities: [0, 0.5, 1], tokens: [1, 10, 100]}}")
        .expect("the traffic is right");
    let stages = vec![(SimDuration::from_secs(60), 0.0), (SimDuration::from_secs(120), 3.5)];
    assert_eq!((read.arrivals, read.stop, read.max_tokens), (Arrivals::Stages(stages), SimTime::NEVER, None));
    let LengthDistribution::Lognormal { mu, sigma, .. } = read.prompt else { panic!("a lognormal") };
    // ln 100 = 4.60517, ln 10 / 1.64485 = 1.39987.
    assert!((mu - 4.605_170).abs() < 1e-6 && (sigma - 1.399_870).abs() < 1e-5, "{mu} {sigma}");
}

#[test]
fn the_mean_of_a_lognormal_is_the_mean() {
    let read = traffic(
        "arrivals: {poisson: {rate: 1}}\nprompt: {lognormal: {mean: 1155, sigma: 0.985}}\noutput: {constant: 1}",
    )
    .expect("the traffic is right");
    assert!((read.prompt.mean() - 1155.0).abs() < 15.0, "{}", read.prompt.mean());
}

#[test]
fn impossible_traffic_is_refused() {
    let lengths = "prompt: {constant: 1}\noutput: {constant: 1}";
    let arrivals = "arrivals: {poisson: {rate: 1}}";
    let cases = [
        (format!("arrivals: {{poisson: {{rate: 0}}}}\n{lengths}"), "above 0"),
        (format!("arrivals: {{poisson: {{rate: -1}}}}\n{lengths}"), "above 0"),
        (format!("arrivals: {{gamma: {{rate: 1}}}}\n{lengths}"), "cv is missing"),
        (format!("arrivals: {{stages: []}}\n{lengths}"), "at least one"),
        (format!("arrivals: {{closedLoop: {{workers: 0, think: 1s}}}}\n{lengths}"), "integer from 1"),
        (format!("arrivals: {{poisson: {{rate: 1}}, gamma: {{rate: 1, cv: 2}}}}\n{lengths}"), "exactly one"),
        (format!("arrivals: {{mmpp: {{}}}}\n{lengths}"), "not modelled yet"),
        (format!("arrivals: {{poison: {{rate: 1}}}}\n{lengths}"), "did you mean poisson?"),
        (lengths.to_owned(), "arrivals is missing"),
        (format!("{arrivals}\nprompt: {{constant: 0}}\noutput: {{constant: 1}}"), "at least 1"),
        (format!("{arrivals}\nprompt: {{constant: 1e12}}\noutput: {{constant: 1}}"), "integer from 1 to 4294967295"),
        (format!("{arrivals}\nprompt: {{uniform: {{min: 9, max: 3}}}}\noutput: {{constant: 1}}"), "min <= max"),
        (format!("{arrivals}\nprompt: {{geometric: {{hazard: 1.5}}}}\noutput: {{constant: 1}}"), "at most 1"),
        (format!("{arrivals}\nprompt: {{geometric: {{hazard: 0}}}}\noutput: {{constant: 1}}"), "above 0"),
        (format!("{arrivals}\nprompt: {{lognormal: {{mean: 3}}}}\noutput: {{constant: 1}}"), "{mean, sigma}"),
        (format!("{arrivals}\n{lengths}\nstart: 2m\nstop: 1m"), "stop after start"),
    ];
    for (spec, part) in cases {
        let told = traffic(&spec).expect_err("the traffic is wrong");
        assert!(told.contains(part), "{spec}: {part:?} is missing in\n{told}");
        assert!(told.contains("test.yaml:"), "{told}");
        assert_eq!(told.matches("error:").count(), 1, "{spec} is told once:\n{told}");
    }
}

#[test]
fn quantiles_must_be_an_inverse_distribution() {
    for (probabilities, tokens) in [
        ("[0, 1]", "[1, 2, 3]"),              // lengths differ
        ("[0.1, 1]", "[1, 2]"),               // does not start at 0
        ("[0, 0.5, 0.5, 1]", "[1, 2, 3, 4]"), // does not rise
        ("[0, 1]", "[5, 2]"),                 // tokens fall
        ("[0, 1]", "[0, 2]"),                 // below one token
    ] {
        let spec = format!(
            "arrivals: {{poisson: {{rate: 1}}}}\nprompt: {{quantiles: {{probabilities: {probabilities}, tokens: {tokens}}}}}\noutput: {{constant: 1}}"
        );
        assert!(traffic(&spec).is_err(), "{probabilities} {tokens}");
    }
}

#[test]
fn a_profile_is_read_and_its_gaps_are_told() {
    let spec = "model: m\ngpu: L4\ngpus: 1\nstepTime: {wMs: 5, cpUsPerToken: 20, knee: 2}\nkvTokens: 10000\nmaxNumSeqs: 8\nmaxNumBatchedTokens: 2048\nmaxModelLen: 4096";
    let profile = read_profile(&own("Profile", spec)).expect("the profile is right");
    assert_eq!((profile.name.as_str(), profile.kv_tokens, profile.step_time.w_ms), ("t", 10_000, 5.0));
    let told =
        read_profile(&own("Profile", "model: m\nstepTime: {wMs: -5}\nmemory: {}")).expect_err("wrong").to_string();
    for part in [
        "spec.gpu",
        "spec.stepTime.wMs",
        "spec.stepTime.cpUsPerToken",
        "spec.memory.gpuGiB",
        "spec.memory.weightsGiB",
        "spec.memory.kvBytesPerToken",
    ] {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
}

#[test]
fn a_sweep_is_read() {
    let spec = "policy: ../p\naxes:\n  spec.triggers[0].metadata.threshold: [\"3\", \"4\"]\n  spec.pollingInterval: [15, 30]\nseeds: 5\nheatmap: {x: spec.pollingInterval, y: \"spec.triggers[0].metadata.threshold\", value: gpuHours}";
    let sweep = read_sweep(&own("Sweep", spec)).expect("the sweep is right");
    assert_eq!((sweep.name.as_str(), sweep.seeds.len(), sweep.axes.len()), ("t", 5, 2));
    assert_eq!(sweep.axes[0].values, [Value::Str("3".to_owned()), Value::Str("4".to_owned())]);
    assert_eq!(sweep.heatmap.expect("given").0, "spec.pollingInterval");
}

#[test]
fn a_mistake_in_a_sweep_is_told() {
    let cases = [
        ("axes: {a: [1]}", "policy is missing"),
        ("policy: p\naxes: {}", "found no axis"),
        ("policy: p\naxes: {a: []}", "found an empty list"),
        ("policy: p\naxes: {a: [[1]]}", "expected a string, number or boolean"),
        ("policy: p\naxes: {a: [1]}\nseeds: 0", "an integer from 1"),
        ("policy: p\naxes: {a: [1], b: [2]}\nheatmap: {x: a, y: c}", "expected one of the axes"),
        ("policy: p\naxes: {a: [1]}\nsignals: 3", "found the integer 3, expected a string"),
        ("policy: p\naxes: {a: [1]}\nseed: 3", "did you mean seeds?"),
    ];
    for (spec, part) in cases {
        let told = read_sweep(&own("Sweep", spec)).expect_err("the sweep is wrong").to_string();
        assert!(told.contains(part), "{spec}: {part:?} is missing in\n{told}");
    }
}

#[test]
fn seeds_are_a_number_or_a_list() {
    let read =
        |seeds: &str| read_sweep(&own("Sweep", &format!("policy: p\naxes: {{a: [1]}}\n{seeds}"))).expect("right").seeds;
    assert_eq!(read(""), [1]);
    assert_eq!(read("seeds: 3"), [1, 2, 3]);
    assert_eq!(read("seeds: [3, 9]"), [3, 9]);
}

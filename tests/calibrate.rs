//! `kedasim calibrate`: a known truth is found again, what data cannot tell is said and kept, files are read or refused.

mod calibrate_support;

use calibrate_support::{SYNC, loaded, prior, value};
use kedasim::manifest::Bundle;
use kedasim::replica::{
    Profile, ProfileKind, StepTimeCoefficients, built_in_profile, gpu_by_name, known_model, roofline,
};
use kedasim::scenario::read_profile;
use kedasim::study::{
    Calibration, Coefficient, Fate, LeftOut, LengthOptions, Lengths, Load, Measurement, Quantity, Stop, bench_engine,
    calibrate, capacity, held_without_waiting, judge, parse_slo, prior_for, read_measurements, rule_cache,
    simulate_measurement,
};
use kedasim::traffic::LengthDistribution;
use kedasim::units::Seed;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

fn run(workers: u32, prompt: u32, output: u32) -> Measurement {
    loaded(Load::Concurrency(workers), workers * 3, prompt, output)
}

/// The run as `truth` would have been measured.
fn measured(run: Measurement, truth: &Profile, quantities: &[Quantity]) -> Measurement {
    calibrate_support::measured(run, truth, quantities, 1)
}

fn fate(calibration: &Calibration, coefficient: Coefficient) -> &Fate {
    let own = calibration.coefficients.iter().find(|own| own.coefficient == coefficient);
    &own.expect("listed").fate
}

const TIMES: [Quantity; 2] = [Quantity::Ttft, Quantity::Tpot];

#[test]
fn a_known_profile_is_found_from_another_prior() {
    let mut truth = prior();
    truth.step_time.w_ms = 10.0;
    truth.step_time.cp_us_per_token = 40.0;
    truth.step_time.ck_ns_per_token = 80.0;
    truth.step_time.cs_us_per_seq = 60.0;
    let runs: Vec<Measurement> = [
        (1, 200, 40),
        (8, 200, 40),
        (32, 200, 40),
        (64, 100, 40),
        (16, 6000, 60),
        (4, 8000, 400),
        (16, 4000, 400),
        (1, 2000, 8),
        (1, 8000, 8),
    ]
    .map(|(workers, prompt, output)| measured(run(workers, prompt, output), &truth, &TIMES))
    .into();
    let found = calibrate(&prior(), SYNC, &runs, "synthetic").expect("fits");
    let mut determined = 0;
    for own in &found.coefficients {
        println!("{}: {:?} to {:?}, {:?}", own.coefficient.key(), own.prior, own.value, own.fate);
    }
    for own in &found.coefficients {
        let true_value = own.coefficient.of(&truth).expect("dense");
        match &own.fate {
            Fate::Fitted { deviation } => {
                determined += 1;
                let error = (own.value / true_value - 1.0).abs();
                assert!(error < 0.04, "{}: {} for {true_value}", own.coefficient.key(), own.value);
                assert!(error < 3.0 * deviation.max(0.005), "{}: +-{deviation}", own.coefficient.key());
            }
            Fate::Kept { .. } => assert_eq!(own.value.to_bits(), own.prior.to_bits(), "{}", own.coefficient.key()),
        }
    }
    for coefficient in [Coefficient::W, Coefficient::Cp, Coefficient::Ck, Coefficient::Cs] {
        assert!(matches!(fate(&found, coefficient), Fate::Fitted { .. }), "{}", coefficient.key());
    }
    assert!(determined < 7);
    let (mean, worst) = found.error_of(None).expect("numbers");
    assert!(mean < 0.01 && worst < 0.03, "{mean} {worst}");
}

/// A sweep of concurrencies, long contexts and single long prompts: what determines everything.
const RICH: [(u32, u32, u32); 9] = [
    (1, 200, 40),
    (8, 200, 40),
    (32, 200, 40),
    (64, 100, 40),
    (16, 6000, 60),
    (4, 8000, 400),
    (16, 4000, 400),
    (1, 2000, 8),
    (1, 8000, 8),
];

#[test]
fn terms_that_the_prior_lacks_are_found() {
    let mut truth = prior();
    (truth.step_time.w_ms, truth.step_time.cp_us_per_token) = (10.0, 40.0);
    (truth.step_time.ck_ns_per_token, truth.step_time.cs_us_per_seq) = (80.0, 60.0);
    truth.request_overhead_ms = 30.0;
    let mut start = prior();
    (start.step_time.ck_ns_per_token, start.request_overhead_ms) = (0.0, 0.0);
    let as_measured = |(workers, prompt, output)| measured(run(workers, prompt, output), &truth, &TIMES);
    let runs: Vec<Measurement> = RICH.map(as_measured).into();
    let found = calibrate(&start, SYNC, &runs, "synthetic").expect("fits");
    for own in &found.coefficients {
        println!("{}: {:?} to {:?}, {:?}", own.coefficient.key(), own.prior, own.value, own.fate);
    }
    for (coefficient, true_value) in [
        (Coefficient::W, 10.0),
        (Coefficient::Cp, 40.0),
        (Coefficient::Ck, 80.0),
        (Coefficient::Cs, 60.0),
        (Coefficient::RequestOverhead, 30.0),
    ] {
        let found_value = value(&found, coefficient);
        assert!(matches!(fate(&found, coefficient), Fate::Fitted { .. }), "{}", coefficient.key());
        assert!((found_value / true_value - 1.0).abs() < 0.06, "{}: {found_value}", coefficient.key());
    }
    // Loads and lengths that the fit has not seen.
    let unseen: Vec<Measurement> = [(24, 1500, 200), (48, 3000, 30), (2, 12_000, 20)].map(as_measured).into();
    for own in judge(&found.profile, SYNC, &unseen).expect("fits") {
        println!("held out {} {:?}: {:+.1} %", own.run, own.quantity, 100.0 * own.error());
        assert!(own.error().abs() < 0.03, "run {} {:?}: {}", own.run, own.quantity, own.error());
    }
    let before: f64 = judge(&start, SYNC, &unseen).expect("fits").iter().map(|own| own.error().abs()).sum();
    assert!(before / 6.0 > 0.3, "the prior was wrong: {before}");
}

#[test]
fn terms_that_are_not_there_stay_zero() {
    let mut truth = prior();
    truth.step_time.w_ms = 10.0;
    (truth.step_time.ck_ns_per_token, truth.request_overhead_ms) = (0.0, 0.0);
    let start = Profile { step_time: StepTimeCoefficients { w_ms: 6.0, ..truth.step_time }, ..truth.clone() };
    let runs: Vec<Measurement> =
        RICH.map(|(workers, prompt, output)| measured(run(workers, prompt, output), &truth, &TIMES)).into();
    let found = calibrate(&start, SYNC, &runs, "synthetic").expect("fits");
    for coefficient in [Coefficient::Ck, Coefficient::RequestOverhead] {
        assert_eq!(value(&found, coefficient), 0.0, "{}", coefficient.key());
        let Fate::Kept { reason } = fate(&found, coefficient) else { panic!("{} is fitted", coefficient.key()) };
        assert!(reason.starts_with("0 in the prior"), "{reason}");
    }
    assert!((value(&found, Coefficient::W) / 10.0 - 1.0).abs() < 0.02, "{}", value(&found, Coefficient::W));
}

#[test]
fn a_cache_that_cannot_have_held_a_run_is_ruled_out() {
    let profile = prior();
    let memory = profile.memory.expect("computed");
    // 16 answers of 1000 tokens after prompts of 4000: 80,000 tokens when the first is complete.
    let (short, long) = (run(16, 4000, 10), run(16, 4000, 1000));
    let as_served =
        |kv_tokens: u64, run: &Measurement| measured(run.clone(), &Profile { kv_tokens, ..profile.clone() }, &TIMES);
    let with_cache = |kv_tokens| Profile { kv_tokens, memory: Some(memory), ..profile.clone() };
    let free = [as_served(400_000, &short), as_served(400_000, &long)];
    let held = held_without_waiting(&free).expect("the long answers show it");
    assert_eq!((held.run, held.beside, held.tokens), (1, 0, 80_000));
    assert_eq!(rule_cache(&with_cache(80_000), &free), None);
    // A computed cache is known within 3 %.
    assert_eq!(rule_cache(&with_cache(78_000), &free), None);
    let ruling = rule_cache(&with_cache(60_000), &free).expect("too small");
    assert_eq!((ruling.reckoned, ruling.eight_bit), (60_000, Some(120_000)));
    assert_eq!(rule_cache(&with_cache(30_000), &free).expect("too small").eight_bit, None);
    let given = Profile { memory: None, ..with_cache(60_000) };
    assert_eq!(rule_cache(&given, &free).expect("too small").eight_bit, None);
    // Behind a cache of 60,000 the long answers do wait, and then they say nothing.
    let waiting = [as_served(60_000, &short), as_served(60_000, &long)];
    assert_eq!(held_without_waiting(&waiting), None);
    assert_eq!(held_without_waiting(&free[1..]), None);
}

#[test]
fn a_prior_for_other_gpus_is_scaled_by_the_estimates() {
    let model = known_model("Llama-3.1-70B-Instruct-FP8").expect("built in");
    let gpu = gpu_by_name("h200").expect("built in");
    // The same chips with less bandwidth are nearer than another number of the same ones.
    for (gpus, near) in [(1, "llama-3.1-70b-fp8-h100-tp2"), (8, "llama-3.1-70b-fp8-h100-tp8")] {
        let (found, near) = (prior_for(model, gpu, gpus).expect("known"), built_in_profile(near).expect("built in"));
        assert!(found.source.starts_with(&format!("{}, each coefficient", near.name)), "{}", found.source);
        let estimate =
            |gpu: &str, gpus| roofline(&model.config, gpu_by_name(gpu).expect("known"), gpus).expect("known");
        let ratio = estimate("h200", gpus).w_ms / estimate("h100", near.gpus).w_ms;
        assert!((found.step_time.w_ms / near.step_time.w_ms / ratio - 1.0).abs() < 1e-12);
        assert_eq!(found.step_time.cs_us_per_seq, near.step_time.cs_us_per_seq);
        assert_eq!((found.gpus, found.gpu.as_str(), found.kind), (gpus, "H200", ProfileKind::Estimate));
        assert_eq!(found.memory.expect("computed").gpu_gib, gpu.memory_gib);
    }
    // Nothing of this model is measured on this GPU.
    let mistral = known_model("mistral-7b").expect("built in");
    let found = prior_for(mistral, gpu, 2).expect("known");
    assert_eq!(found.step_time, roofline(&mistral.config, gpu, 2).expect("known"));
}

#[test]
fn one_concurrency_determines_no_slope() {
    let mut truth = prior();
    truth.step_time.w_ms = 12.0;
    truth.step_time.cs_us_per_seq = 400.0;
    let runs = [measured(run(4, 100, 60), &truth, &[Quantity::Tpot])];
    let found = calibrate(&prior(), SYNC, &runs, "one").expect("wMs follows");
    assert!(matches!(fate(&found, Coefficient::W), Fate::Fitted { .. }));
    for coefficient in
        [Coefficient::Cs, Coefficient::Ck, Coefficient::Ca, Coefficient::Cp, Coefficient::RequestOverhead]
    {
        let Fate::Kept { reason } = fate(&found, coefficient) else { panic!("{} is fitted", coefficient.key()) };
        assert!(!reason.is_empty());
        assert_eq!(value(&found, coefficient), coefficient.of(&prior()).expect("dense"));
        assert!(found.profile.source.contains(coefficient.key()), "{}", found.profile.source);
    }
    // The effect of cs is in w now, and the run comes out right.
    assert!(value(&found, Coefficient::W) > 12.5, "{}", value(&found, Coefficient::W));
    assert!(found.error_of(None).expect("numbers").1 < 0.01);
}

#[test]
fn slopes_that_look_alike_are_named() {
    // Each context is as long as the others, so cached tokens and requests grow together.
    let mut truth = prior();
    truth.step_time.ck_ns_per_token = 80.0;
    truth.step_time.cs_us_per_seq = 80.0;
    let runs = [1, 8, 64].map(|workers| measured(run(workers, 1000, 100), &truth, &[Quantity::Tpot]));
    let found = calibrate(&truth, SYNC, &runs, "alike").expect("some are determined");
    let alike = found
        .coefficients
        .iter()
        .any(|own| matches!(&own.fate, Fate::Kept { reason } if reason.contains("cannot be told from")));
    assert!(alike, "{:?}", found.coefficients);
}

#[test]
fn what_the_kv_cache_decides_is_not_fitted() {
    let truth = prior();
    let mut small = prior();
    small.kv_tokens = 4096;
    let runs = [(1, 1000, 20), (16, 1000, 20)]
        .map(|(workers, prompt, output)| measured(run(workers, prompt, output), &truth, &TIMES));
    let found = calibrate(&small, SYNC, &runs, "kv").expect("the first run can be fitted");
    let left_out =
        |run: usize| found.compared.iter().filter(|own| own.run == run).map(|own| own.left_out).collect::<Vec<_>>();
    assert_eq!(left_out(0), [None, None]);
    assert_eq!(left_out(1)[0], Some(LeftOut::KvCache));
    assert!((value(&found, Coefficient::W) / truth.step_time.w_ms - 1.0).abs() < 0.05);
}

/// prokube's example, as its authors' calibrate.py measured it (README of serving/kserve-keda-autoscaling).
const TABLE: &str = "\
  Concurrency  Throughput (tok/s)     Mean latency (s)     Note
  -----------  ------------------     ----------------     ----
  1            20.1                   6.06                 
  2            35.6                   9.75                 
  4            56.6                   9.03                 
  8            81.6                   14.25                
  16           133.1                  13.71                

Find the last step where throughput was still growing.
";

fn demo_lengths() -> LengthOptions {
    LengthOptions { prompt_tokens: Some(15.0), output_tokens: Some(127.7), max_tokens: Some(200), range: None }
}

#[test]
fn the_demo_is_fitted_within_six_percent() {
    let read = read_measurements(Path::new("table"), TABLE, &demo_lengths()).expect("a table");
    assert_eq!(read.runs.len(), 5);
    let mut prior = built_in_profile("opt-125m-cpu").expect("built in");
    // Not the numbers that were fitted to this table.
    prior.step_time.w_ms = 90.0;
    prior.step_time.cs_us_per_seq = 2000.0;
    let found = calibrate(&prior, SYNC, &read.runs, "table").expect("fits");
    let (mean, worst) = found.error_of(Some(Quantity::TokensPerSecond)).expect("measured");
    println!("tok/s: mean error {:.1} %, worst {:.1} %", mean * 100.0, worst * 100.0);
    assert!(mean <= 0.06, "{mean}");
    // vllm.md 3.5 has 51 ms and 4.6 ms (5.0 with the token's share of cp).
    assert!((value(&found, Coefficient::W) / 51.0 - 1.0).abs() < 0.1, "{}", value(&found, Coefficient::W));
    assert!((value(&found, Coefficient::Cs) / 4600.0 - 1.0).abs() < 0.2, "{}", value(&found, Coefficient::Cs));
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let truth = prior();
    let runs = [1, 8].map(|workers| measured(run(workers, 300, 20), &truth, &TIMES));
    let mut start = prior();
    start.step_time.w_ms = 9.0;
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| calibrate(&start, SYNC, &runs, "s").expect("fits").profile)
    };
    assert_eq!(on(1), on(3));
}

#[test]
fn the_capacity_is_where_the_goal_breaks() {
    let profile = prior();
    let slo = parse_slo("tpot.mean=12ms").expect("a goal");
    let runs = [run(1, 500, 60)];
    let found = capacity(&profile, SYNC, &runs, &slo).expect("fits").remove(0);
    let rps = found.rps.expect("some load is fine");
    let engine = Arc::new(bench_engine(&profile, SYNC).expect("valid"));
    let tpot = |rps: f64| {
        let load = Load::Rate { per_second: rps, even: false, at_most: None };
        let trial = Measurement { load, stop: Stop::Requests(20_000), ..run(1, 500, 60) };
        let one = |seed| {
            simulate_measurement(&engine, &trial, Seed(seed)).expect("fits").value(Quantity::Tpot).expect("tokens")
        };
        (one(1) + one(2) + one(3)) / 3.0
    };
    // So many that filling and draining the engine hardly count.
    assert!(tpot(rps) <= 0.012, "{}", tpot(rps));
    assert!(tpot(rps * 1.03) > 0.012, "{}", tpot(rps * 1.03));
    assert_eq!(found.bound_by, Some(slo[0]));
    assert!((found.tokens_per_second - rps * 560.0).abs() < 1e-6);
    // Little: running = rate x time in the engine, about 60 steps of 12 ms and the prompt's.
    assert!((found.running / (rps * 60.0 * 0.012) - 1.0).abs() < 0.15, "{}", found.running);
    // A goal that no load keeps.
    let none = capacity(&profile, SYNC, &runs, &parse_slo("tpot=1ms").expect("a goal")).expect("fits").remove(0);
    assert_eq!(none.rps, None);
}

fn read(text: &str) -> Result<Vec<Measurement>, String> {
    let read = read_measurements(Path::new("file"), text, &LengthOptions::default());
    read.map(|found| found.runs).map_err(|found| found.to_string())
}

const VLLM: &str = r#"{"date": "20260101-000000", "backend": "vllm", "model_id": "m", "num_prompts": 40, "request_rate": "inf",
 "burstiness": 1.0, "max_concurrency": 4, "duration": 9.01, "completed": 40, "failed": 0, "total_input_tokens": 40000,
 "total_output_tokens": 4000, "request_throughput": 4.44, "output_throughput": 443.9, "total_token_throughput": 4883.0,
 "mean_ttft_ms": 60.0, "median_ttft_ms": 59.0, "p99_ttft_ms": 90.0, "mean_tpot_ms": 8.5, "mean_itl_ms": 8.5}"#;

#[test]
fn vllm_results_are_read() {
    // Two, as --append-result leaves them.
    let text = format!(
        "{VLLM}\n{}",
        VLLM.replace("\"inf\"", "2.5").replace("\"max_concurrency\": 4", "\"max_concurrency\": null")
    );
    let runs = read(&text).expect("fine");
    assert_eq!(runs[0].load, Load::Concurrency(4));
    assert_eq!(runs[1].load, Load::Rate { per_second: 2.5, even: false, at_most: None });
    assert_eq!((runs[0].stop, runs[0].lengths.means()), (Stop::Requests(40), (1000.0, 100.0)));
    assert_eq!(runs[0].value(Quantity::Ttft), Some(0.06));
    assert_eq!(runs[0].value(Quantity::Tpot), Some(0.0085));
    assert_eq!(runs[0].value(Quantity::TokensPerSecond), Some(4883.0));
    assert_eq!(runs[1].place.line, 5);
    let detailed =
        VLLM.replace("\"mean_itl_ms\"", "\"input_lens\": [10, 20, 0], \"output_lens\": [3, 4, 0], \"mean_itl_ms\"");
    assert_eq!(read(&detailed).expect("fine")[0].lengths, Lengths::Listed(vec![(10, 3), (20, 4)]));
}

#[test]
fn broken_vllm_results_are_located() {
    for (from, to, parts) in [
        ("\"completed\": 40,", "", ["file:1:1", "$: the key completed is missing"]),
        ("\"inf\"", "-1", ["$.request_rate", "found -1"]),
        ("60.0,", "\"fast\",", ["$.mean_ttft_ms", "found \"fast\""]),
        ("\"inf\",\n \"burstiness\": 1.0", "2, \"burstiness\": 0.5", ["$.burstiness", "expected 1"]),
        ("\"failed\": 0", "\"ramp_up_strategy\": \"linear\"", ["$.ramp_up_strategy", "one steady load"]),
        ("40000,", "40000", ["file:3:", "no JSON"]),
        ("\"max_concurrency\": 4", "\"max_concurrency\": 0", ["$.max_concurrency", "found 0"]),
    ] {
        assert!(VLLM.contains(from), "{from}");
        let error = read(&VLLM.replace(from, to)).expect_err(to);
        assert!(parts.iter().all(|part| error.contains(part)), "{to}: {error}");
    }
    let error = read("{\"a\": 1}").expect_err("nothing known");
    assert!(error.contains("keys a, expected the JSON of"), "{error}");
}

/// One benchmark of a guidellm 0.8 report (names of its schemas; numbers made up).
fn guidellm(strategy: &str) -> String {
    let summary =
        |mean: f64| format!("{{\"successful\": {{\"mean\": {mean}, \"count\": 9}}, \"errored\": {{\"mean\": 0}}}}");
    format!(
        "{{\"metadata\": {{\"version\": 2}}, \"benchmarks\": [{{\"type_\": \"generative_benchmark\", \"config\": {{\"strategy\": \
         {strategy}}}, \"metrics\": {{\"request_totals\": {{\"successful\": 90, \"errored\": 0, \"incomplete\": 2, \"total\": 92}},\
         \"prompt_token_count\": {}, \"output_token_count\": {}, \"time_to_first_token_ms\": {}, \"inter_token_latency_ms\": {}, \
         \"time_per_output_token_ms\": {}, \"request_latency\": {}, \"tokens_per_second\": {}}}}}]}}",
        summary(128.0),
        summary(64.0),
        summary(26.0),
        summary(8.7),
        summary(9.1),
        summary(0.58),
        summary(9000.0)
    )
}

#[test]
fn guidellm_reports_are_read() {
    for (strategy, load) in [
        ("{\"type_\": \"synchronous\"}", Load::Concurrency(1)),
        ("{\"type_\": \"concurrent\", \"streams\": 8}", Load::Concurrency(8)),
        ("{\"type_\": \"throughput\", \"max_concurrency\": 64}", Load::Concurrency(64)),
        ("{\"type_\": \"constant\", \"rate\": 2.0}", Load::Rate { per_second: 2.0, even: true, at_most: None }),
        ("{\"type_\": \"poisson\", \"rate\": 2.0}", Load::Rate { per_second: 2.0, even: false, at_most: None }),
    ] {
        let runs = read(&guidellm(strategy)).expect("fine");
        assert_eq!((runs[0].load, runs[0].stop), (load, Stop::Requests(90)), "{strategy}");
        // Its time per output token contains the first token and is not taken.
        assert_eq!((runs[0].value(Quantity::Itl), runs[0].value(Quantity::Tpot)), (Some(8.7 * 1e-3), None));
        let rate = runs[0].observed.iter().find(|own| own.quantity == Quantity::TokensPerSecond).expect("read");
        assert!(!rate.fitted);
    }
    let error = read(&guidellm("{\"type_\": \"burst\"}")).expect_err("unknown");
    assert!(error.contains("$.benchmarks[0].config.strategy.type_: found \"burst\""), "{error}");
    let error = read(&guidellm("{\"type_\": \"concurrent\"}")).expect_err("no streams");
    assert!(error.contains("the key streams is missing"), "{error}");
    let error = read(&guidellm("{\"type_\": \"throughput\"}")).expect_err("no run is left");
    assert!(error.contains("no run"), "{error}");
}

#[test]
fn csv_files_are_read_and_refused() {
    let text = "# a comment\nconcurrency,rate,prompt_tokens,output_tokens,requests,ttft_ms,tpot_ms\n4,,100,50,20,80,9.5\n,2.5,100,50,20,70,\n";
    let runs = read(text).expect("fine");
    assert_eq!(runs[0].load, Load::Concurrency(4));
    assert_eq!(runs[1].load, Load::Rate { per_second: 2.5, even: false, at_most: None });
    assert_eq!((runs[0].value(Quantity::Ttft), runs[1].value(Quantity::Tpot)), (Some(0.08), None));
    assert_eq!(runs[1].place.line, 4);
    for (text, parts) in [
        ("", ["file:1:1", "empty file"]),
        ("concurency,ttft_ms\n1,2\n", ["file:1:1", "did you mean concurrency?"]),
        ("concurrency\n1\n", ["no measured column", "tpot_ms"]),
        ("ttft_ms\n1\n", ["neither the column concurrency", "rate"]),
        ("concurrency,prompt_tokens,output_tokens,ttft_ms\n1,5,5,fast\n", ["file:2:4: ttft_ms", "found \"fast\""]),
        ("concurrency,prompt_tokens,output_tokens,ttft_ms\n1,5,5,-3\n", ["file:2:4", "above 0"]),
        ("concurrency,prompt_tokens,output_tokens,ttft_ms\n1.5,5,5,3\n", ["concurrency", "whole number"]),
        ("concurrency,ttft_ms\n1,2\n", ["prompt tokens", "--prompt-tokens"]),
        ("concurrency,prompt_tokens,output_tokens,ttft_ms\n1,5,5\n", ["file:2:1", "found 3 fields"]),
        ("concurrency,prompt_tokens,output_tokens,ttft_ms\n1,5,5,\n", ["file:2:1", "no measured value"]),
        ("concurrency,prompt_tokens,output_tokens,ttft_ms\n", ["file:1:1", "no run"]),
    ] {
        let error = read(text).expect_err(text);
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
}

#[test]
fn the_printed_table_is_read_with_its_preamble() {
    let text = format!(
        "=== vLLM single-replica throughput calibration ===\n  Duration:   20s per concurrency step\n  Max tokens: 150\n\n{TABLE}"
    );
    let options = LengthOptions { max_tokens: None, ..demo_lengths() };
    let found = read_measurements(Path::new("t"), &text, &options).expect("fine").runs;
    assert_eq!(found[0].stop, Stop::Seconds(20.0));
    let Lengths::Drawn { output: LengthDistribution::Geometric { max, .. }, .. } = found[0].lengths else {
        panic!("geometric")
    };
    assert_eq!(max, 150);
    assert_eq!(
        (found[4].value(Quantity::TokensPerSecond), found[4].value(Quantity::Latency)),
        (Some(133.1), Some(13.71))
    );
    let error = read(TABLE).expect_err("no lengths");
    assert!(error.contains("file:3:1") && error.contains("about 122 tokens per request"), "{error}");
    let error =
        read_measurements(Path::new("t"), &TABLE.replace("35.6", "many"), &demo_lengths()).expect_err("no number");
    assert!(error.to_string().contains("t:4:1: found \"2 many 9.75\""), "{error}");
}

fn kedasim(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kedasim")).current_dir(folder).args(arguments).output().expect("the binary runs")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn the_command_writes_a_profile_that_loads() {
    let folder = folder("calibrate");
    std::fs::write(folder.join("a.json"), VLLM).expect("written");
    let arguments = [
        "calibrate",
        "a.json",
        "--prior",
        "llama-3.1-8b-h100",
        "--out",
        "p.yaml",
        "--format",
        "json",
        "--slo",
        "tpot=100ms",
    ];
    let output = kedasim(&folder, &arguments);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("assumed: --vllm-version 0.33"), "{stderr}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = std::fs::read_to_string(folder.join("p.yaml")).expect("written");
    assert_eq!(json["profile"]["yaml"], text.as_str());
    assert_eq!(json["capacities"][0]["tokens"], "1000 -> 100");
    let bundle = Bundle::from_text(&text, "p.yaml").expect("YAML");
    let profile = read_profile(&bundle.documents[0]).expect("a profile");
    assert_eq!(profile.name, "llama-3.1-8b-h100-calibrated");
    assert!(profile.source.contains("a.json") && profile.error.starts_with("measured"), "{}", profile.source);
    // It is a prior, too.
    let again = kedasim(&folder, &["calibrate", "a.json", "--prior", "p.yaml", "--holdout", "a.json"]);
    let shown = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(shown.starts_with("CALIBRATED llama-3.1-8b-h100-calibrated:") && shown.contains("held out"), "{shown}");
    let files = std::fs::read_dir(&folder).expect("readable").count();
    assert_eq!(files, 2, "nothing else is left behind");
}

#[test]
fn bad_input_leaves_no_profile() {
    let folder = folder("calibrate-bad");
    std::fs::write(folder.join("a.json"), VLLM).expect("written");
    std::fs::write(folder.join("b.csv"), "concurrency,prompt_tokens,output_tokens,ttft_ms\n1,5,5,x\n")
        .expect("written");
    for (arguments, part) in [
        (vec!["a.json", "b.csv", "--prior", "llama-3.1-8b-h100"], "b.csv:2:4"),
        (vec!["none.json", "--prior", "llama-3.1-8b-h100"], "none.json"),
        (vec!["a.json"], "--prior"),
        (vec!["a.json", "--prior", "llama-3.1-8b-h10"], "did you mean llama-3.1-8b-h100?"),
        (vec!["a.json", "--model", "unheard-of", "--gpu", "H100"], "no architecture"),
        (vec!["a.json", "--prior", "llama-3.1-8b-h100", "--slo", "ttft=soon"], "--slo"),
        (vec!["a.json", "--prior", "llama-3.1-8b-h100", "--length-range", "1:0.8"], "the lower first"),
    ] {
        let all: Vec<&str> = ["calibrate", "--out", "p.yaml"].into_iter().chain(arguments.clone()).collect();
        let output = kedasim(&folder, &all);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(part), "{arguments:?}: {stderr}");
        assert!(!folder.join("p.yaml").exists(), "{arguments:?}");
    }
}

#[test]
fn a_benchmark_gives_the_numbers_that_its_tool_would() {
    // Each step takes 10 ms, and so does the way to the engine.
    let mut profile = prior();
    profile.request_overhead_ms = 10.0;
    let step = &mut profile.step_time;
    (step.t0_ms, step.w_ms, step.cp_us_per_token, step.ca_ns_per_pair) = (10.0, 0.0, 0.0, 0.0);
    (step.ck_ns_per_token, step.cs_us_per_seq) = (0.0, 0.0);
    let engine = Arc::new(bench_engine(&profile, SYNC).expect("valid"));
    for workers in [1, 2] {
        // Three requests for each worker, one after the other: 20 ms to the first token, ten more of 10 ms.
        let simulated = simulate_measurement(&engine, &run(workers, 5, 11), Seed(1)).expect("fits");
        assert_eq!(simulated.finished.len() as u32, 3 * workers);
        let is = |quantity: Quantity, expected: f64| {
            let found = simulated.value(quantity).expect("tokens");
            assert!((found / expected - 1.0).abs() < 1e-9, "{quantity:?}: {found} for {expected}");
        };
        is(Quantity::Ttft, 0.020);
        is(Quantity::Tpot, 0.010);
        is(Quantity::Itl, 0.010);
        is(Quantity::Latency, 0.120);
        is(Quantity::TokensPerSecond, f64::from(workers) * 16.0 / 0.120);
        is(Quantity::OutputTokensPerSecond, f64::from(workers) * 11.0 / 0.120);
    }
}

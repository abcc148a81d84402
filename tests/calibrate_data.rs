//! `kedasim calibrate` and data that are wrong, contradict themselves, tell less than they seem to, or are of something else.

mod calibrate_support;

use calibrate_support::{SYNC, loaded, measured, prior, value};
use kedasim::replica::Profile;
use kedasim::study::{
    Coefficient, Fate, LeftOut, LengthOptions, Load, Measurement, Quantity, calibrate, judge, read_measurements,
};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Another server of the same model.
fn truth() -> Profile {
    let mut truth = prior();
    let step = &mut truth.step_time;
    (step.w_ms, step.cp_us_per_token, step.ca_ns_per_pair) = (9.5, 31.0, 2.2);
    (step.ck_ns_per_token, step.cs_us_per_seq) = (61.0, 35.0);
    truth.request_overhead_ms = 18.0;
    truth
}

fn read(text: &str) -> Result<Vec<Measurement>, String> {
    let read = read_measurements(Path::new("file"), text, &LengthOptions::default());
    read.map(|found| found.runs).map_err(|found| found.to_string())
}

const HEADER: &str = "concurrency,tokens_per_second,output_tokens_per_second,ttft_ms,tpot_ms,latency_s,prompt_tokens,output_tokens,requests";

/// What the model says of 128 -> 128 tokens under one and 64 workers, with `row` and its `change`.
fn table(change: impl Fn(&mut [f64])) -> String {
    let rows = [
        [1.0, 200.13, 100.07, 28.648, 9.8468, 1.2792, 128.0, 128.0, 10.0],
        [64.0, 8506.18, 4253.09, 275.823, 12.9945, 1.9261, 128.0, 128.0, 640.0],
    ];
    let text = |row: &[f64; 9]| {
        let mut row = *row;
        change(&mut row);
        row.map(|value| if value.is_nan() { String::new() } else { value.to_string() }).join(",")
    };
    format!("{HEADER}\n{}\n{}\n", text(&rows[0]), text(&rows[1]))
}

#[test]
fn a_row_that_contradicts_itself_is_refused_where_it_does() {
    assert_eq!(read(&table(|_| {})).expect("all agrees").len(), 2);
    type Change = fn(&mut [f64]);
    let cases: [(&str, Change, &[&str]); 9] = [
        (
            "TTFT in s",
            |row| row[3] /= 1e3,
            &["file:2:4: ttft_ms", "0.02865 ttft_ms", "9.847", "is ttft_ms in seconds?"],
        ),
        ("TPOT in s", |row| row[4] /= 1e3, &["file:2:5: tpot_ms", "latency_s", "is tpot_ms in seconds?"]),
        ("latency in ms", |row| row[5] *= 1e3, &["file:2:6: latency_s", "1279", "is latency_s in milliseconds?"]),
        ("swapped", |row| row.swap(3, 4), &["file:2:4: ttft_ms", "are ttft_ms and tpot_ms swapped?"]),
        (
            "outputs as all",
            |row| (row[1], row[2]) = (row[2], f64::NAN),
            &["file:2:2: tokens_per_second", "200", "is it output_tokens_per_second rather than tokens_per_second?"],
        ),
        (
            "all as outputs",
            |row| (row[1], row[2]) = (f64::NAN, row[1]),
            &["file:2:3: output_tokens_per_second", "is it tokens_per_second rather than output_tokens_per_second?"],
        ),
        ("half the rate", |row| row[2] /= 2.0, &["file:2:3: output_tokens_per_second", "by a factor of 2"]),
        (
            "another number of workers",
            |row| row[0] *= 4.0,
            &["file:2:2: tokens_per_second", "workers x tokens of a request / latency"],
        ),
        (
            "no latency to see it by",
            |row| (row[4], row[5]) = (row[4] / 1e3, f64::NAN),
            &["file:2:5: tpot_ms", "latency (TTFT + time per token x (output tokens - 1))", "is tpot_ms in seconds?"],
        ),
    ];
    for (name, change, parts) in cases {
        let error = read(&table(change)).expect_err(name);
        assert!(parts.iter().all(|part| error.contains(part)), "{name}: {error}");
    }
}

#[test]
fn what_a_benchmark_scatters_is_no_contradiction() {
    // Real runs of few requests with random outputs: prokube's example, whose rows are up to 21 % off.
    let options =
        LengthOptions { prompt_tokens: Some(15.0), output_tokens: Some(127.7), max_tokens: Some(200), range: None };
    let text = "  Concurrency  Throughput (tok/s)     Mean latency (s)     Note\n  1  20.1  6.06\n  2  35.6  9.75\n  4  56.6  9.03\n";
    assert_eq!(read_measurements(Path::new("t"), text, &options).expect("fine").runs.len(), 3);
    // One wave, of which the mean waits for half the time.
    assert_eq!(read(&format!("{HEADER}\n100,1000,,,,0.5,5,5,100\n")).expect("a wave").len(), 1);
    let open = "rate,tokens_per_second,latency_s,prompt_tokens,output_tokens,requests\n";
    // 100 requests of 200 tokens in 33 s rather than 10: the last wait 23 s, and the mean 12.
    assert_eq!(read(&format!("{open}10,600,12,100,100,100\n")).expect("it lags").len(), 1);
    let error = read(&format!("{open}10,600,0.5,100,100,100\n")).expect_err("nobody waits");
    assert!(error.contains("file:2:2: tokens_per_second") && error.contains("contradicts itself"), "{error}");
    let error = read(&format!("{open}10,9000,0.5,100,100,100\n")).expect_err("more than come");
    assert!(error.contains("requests per second x tokens of a request gives about 2000"), "{error}");
}

#[test]
fn a_fit_that_misses_the_data_is_no_profile() {
    // Measured well, but for TTFT, of which each is a thousandth.
    let runs: Vec<Measurement> = [1, 4, 16, 64]
        .map(|workers| {
            let own = loaded(Load::Concurrency(workers), 10 * workers, 128, 128);
            let mut own = measured(own, &truth(), &ALL_BUT_LATENCY, 1);
            own.observed.iter_mut().filter(|own| own.quantity == Quantity::Ttft).for_each(|own| own.value /= 1e3);
            own
        })
        .into();
    let error = calibrate(&prior(), SYNC, &runs, "f").expect_err("nothing describes it").to_string();
    assert!(error.contains("no profile describes the measurements") && error.contains("30 % are allowed"), "{error}");
    assert!(error.contains("TTFT ms") && error.contains("128 -> 128 tokens"), "{error}");
}

const ALL_BUT_LATENCY: [Quantity; 3] = [Quantity::TokensPerSecond, Quantity::Ttft, Quantity::Tpot];

#[test]
fn the_luck_of_arrivals_is_not_fitted() {
    let rate = Load::Rate { per_second: 3.0, even: false, at_most: None };
    for seed in 11..15 {
        let open = measured(loaded(rate, 300, 400, 150), &truth(), &ALL_BUT_LATENCY, seed);
        let found = calibrate(&prior(), SYNC, &[open], "rate").expect("fits");
        println!("seed {seed}: {:?}", found.compared);
        // cpUsPerToken and others that one load cannot tell stay as in the prior, which wMs makes good.
        assert!((value(&found, Coefficient::W) / 9.5 - 1.0).abs() < 0.05, "{}", value(&found, Coefficient::W));
        let tokens = found.compared.iter().find(|own| own.quantity == Quantity::TokensPerSecond).expect("compared");
        assert_eq!(tokens.left_out, Some(LeftOut::Arrivals));
        // The rate at which they came is simulated.
        assert!(tokens.error().abs() < 0.01, "{}", tokens.error());
        assert_eq!(found.error_of(Some(Quantity::TokensPerSecond)), None);
        assert!(!found.profile.error.contains("tok/s"), "{}", found.profile.error);
        let (mean, worst) = found.error_of(None).expect("numbers");
        assert!(mean < 0.06 && worst < 0.12, "{mean} {worst}");
    }
}

#[test]
fn an_open_loop_that_is_saturated_is_fitted() {
    // Far more than the engine answers: its rate is the engine's own.
    let rate = Load::Rate { per_second: 200.0, even: false, at_most: None };
    let open = measured(loaded(rate, 600, 1000, 100), &truth(), &[Quantity::TokensPerSecond], 1);
    let found = calibrate(&prior(), SYNC, std::slice::from_ref(&open), "rate").expect("fits");
    assert_eq!(found.compared[0].left_out, None);
    let before = judge(&prior(), SYNC, &[open]).expect("fits")[0].error();
    assert!(before > 0.2 && found.compared[0].error().abs() < 0.03, "{before} {}", found.compared[0].error());
    // With nothing else to go by, an open loop that is not tells nothing.
    let calm = Load::Rate { per_second: 1.0, even: false, at_most: None };
    let open = measured(loaded(calm, 300, 1000, 100), &truth(), &[Quantity::TokensPerSecond], 1);
    let error = calibrate(&prior(), SYNC, &[open], "rate").expect_err("nothing to fit").to_string();
    assert!(error.contains("arrivals decide the tokens per second"), "{error}");
}

/// Runs that tell everything but `caNsPerPair`, for which prompts of at most 8,000 tokens are too short.
const SHAPES: [(u32, u32, u32); 9] = [
    (1, 128, 128),
    (8, 128, 128),
    (32, 128, 256),
    (64, 128, 256),
    (8, 4000, 200),
    (16, 6000, 200),
    (1, 500, 2),
    (1, 2000, 2),
    (1, 8000, 2),
];

#[test]
fn a_deviation_allows_for_what_is_kept() {
    let as_measured = |(workers, prompt, output)| {
        measured(loaded(Load::Concurrency(workers), 10 * workers, prompt, output), &truth(), &ALL_BUT_LATENCY, 1)
    };
    let runs: Vec<Measurement> = SHAPES.map(as_measured).into();
    let found = calibrate(&prior(), SYNC, &runs, "prompts").expect("fits");
    for own in &found.coefficients {
        let true_value = own.coefficient.of(&truth()).expect("dense");
        println!("{}: {} to {}, true {true_value}, {:?}", own.coefficient.key(), own.prior, own.value, own.fate);
        if let Fate::Fitted { deviation } = own.fate {
            let error = (own.value / true_value - 1.0).abs();
            assert!(error <= deviation.max(0.01), "{}: {error} off, +-{deviation}", own.coefficient.key());
        }
    }
    let kept = found.coefficients.iter().find(|own| own.coefficient == Coefficient::Ca).expect("listed");
    assert!(matches!(kept.fate, Fate::Kept { .. }), "{kept:?}");
    // What was measured already is not asked for, and what is asked for tells it.
    assert!(Coefficient::Ca.remedy(&runs).contains("16000 tokens or more (the longest here has 8000)"));
    assert!(!Coefficient::Cp.remedy(&runs).contains("8,000"));
    assert!(Coefficient::Ca.remedy(&[]).contains("2,000, 8,000 and 16,000"));
    let more: Vec<Measurement> = runs.into_iter().chain([as_measured((1, 16_000, 2))]).collect();
    let found = calibrate(&prior(), SYNC, &more, "prompts").expect("fits");
    for own in &found.coefficients {
        let error = own.value / own.coefficient.of(&truth()).expect("dense") - 1.0;
        assert!(matches!(own.fate, Fate::Fitted { .. }) && error.abs() < 0.02, "{own:?}");
    }
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

fn result(model: &str) -> String {
    format!(
        "{{\"model_id\": \"{model}\", \"request_rate\": \"inf\", \"max_concurrency\": 4, \"completed\": 40, \
         \"total_input_tokens\": 40000, \"total_output_tokens\": 4000, \"mean_ttft_ms\": 60.0, \"mean_tpot_ms\": 8.5}}"
    )
}

#[test]
fn other_models_are_warned_of() {
    let folder = folder("calibrate-models");
    for (name, model) in [
        ("llama", "meta-llama/Llama-3.1-8B-Instruct"),
        ("again", "/models/llama-3.1-8b"),
        ("qwen", "Qwen/Qwen2.5-72B-Instruct"),
    ] {
        std::fs::write(folder.join(name), result(model)).expect("written");
    }
    let told = |files: &[&str]| {
        let arguments: Vec<&str> =
            ["calibrate", "--prior", "llama-3.1-8b-h100"].into_iter().chain(files.iter().copied()).collect();
        let output = kedasim(&folder, &arguments);
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(!told(&["llama", "again"]).contains("warning"));
    let mixed = told(&["llama", "qwen"]);
    assert!(
        mixed.contains("warning: qwen:1:1: these are measurements of Qwen/Qwen2.5-72B-Instruct, others of meta-llama"),
        "{mixed}"
    );
    let other = told(&["qwen"]);
    assert!(other.contains("the prior llama-3.1-8b-h100 is of meta-llama/Llama-3.1-8B-Instruct"), "{other}");
    let held_out = told(&["llama", "--holdout", "qwen"]);
    assert!(held_out.contains("warning: qwen:1:1"), "{held_out}");
}

#[test]
fn a_run_that_nobody_can_simulate_is_refused_at_once() {
    let folder = folder("calibrate-huge");
    std::fs::write(folder.join("w.csv"), "concurrency,tpot_ms,prompt_tokens,output_tokens\n99999,20,100,100\n")
        .expect("written");
    std::fs::write(
        folder.join("t.csv"),
        "concurrency,tpot_ms,prompt_tokens,output_tokens,duration_s\n64,8,10,2,100000000\n",
    )
    .expect("written");
    for file in ["w.csv", "t.csv"] {
        let output = kedasim(&folder, &["calibrate", file, "--prior", "llama-3.1-8b-h100", "--out", "p.yaml"]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(&format!("{file}:2:1")) && stderr.contains("more than 100000 requests"), "{stderr}");
        assert!(!folder.join("p.yaml").exists());
    }
}

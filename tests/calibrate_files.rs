//! Files that `kedasim calibrate` reads, in every shape that their tools have written, and files that it must not lose.

use kedasim::study::{LengthOptions, Load, Measurement, Quantity, Stop, read_measurements};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn kedasim(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kedasim")).current_dir(folder).args(arguments).output().expect("the binary runs")
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("calibrate-files-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/measurements").join(name);
    fs::read_to_string(path).expect("a fixture")
}

fn read(text: &str) -> Result<Vec<Measurement>, String> {
    read_measurements(Path::new("file"), text, &LengthOptions::default())
        .map(|found| found.runs)
        .map_err(|found| found.to_string())
}

fn refused(text: &str, parts: &[&str]) {
    let message = read(text).expect_err(text);
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in\n{message}");
    }
}

/// What the tool saw as a warning, with where.
fn warned(text: &str, parts: &[&str]) -> Vec<Measurement> {
    let found = read_measurements(Path::new("file"), text, &LengthOptions::default()).expect("read");
    let told = found.told.to_string();
    for part in parts {
        assert!(told.contains(part), "{part:?} is missing in\n{told}");
    }
    found.runs
}

#[test]
fn reports_of_every_guidellm_release_say_the_same() {
    let newest = read(&fixture("guidellm-0.8.json")).expect("read");
    assert_eq!(newest.iter().map(|run| run.load).collect::<Vec<_>>(), [Load::Concurrency(1), Load::Concurrency(8)]);
    assert_eq!(newest[1].stop, Stop::Requests(80));
    assert_eq!(newest[1].lengths.means(), (512.0, 128.0));
    for (quantity, value) in [(Quantity::Ttft, 0.05525), (Quantity::Itl, 0.00775), (Quantity::Latency, 1.04)] {
        let found = newest[1].value(quantity).expect("read");
        assert!((found - value).abs() < 1e-12, "{quantity:?}: {found}");
    }
    for release in ["0.2", "0.3-to-0.4", "0.4", "0.5"] {
        let runs = read(&fixture(&format!("guidellm-{release}.json"))).unwrap_or_else(|why| panic!("{release}: {why}"));
        assert_eq!(runs, newest, "{release}");
    }
}

#[test]
fn other_reports_say_which_releases_are_read() {
    let known = "reports of guidellm 0.2 to 0.8 are read";
    refused(&fixture("guidellm-0.1.json"), &["file:1:16: $.benchmarks[0]", "guidellm 0.1", known]);
    let without = |key: &str| fixture("guidellm-0.2.json").replace(key, "\"other\"");
    refused(&without("\"args\""), &["expected config.strategy", "args.strategy (0.2, 0.3)", known]);
    refused(&without("\"request_totals\""), &["request_totals is missing", "and beside it (0.2, 0.3)", known]);
    refused("{\"benchmarks\": 5}", &["guidellm's list of benchmarks", known]);
}

#[test]
fn what_guidellm_could_not_answer_or_started_slowly_is_told() {
    let newest = fixture("guidellm-0.8.json");
    let failed = newest.replace("\"errored\":0,", "\"errored\":3,");
    warned(&failed, &["warning: file:1:", "3 requests of the run failed"]);
    let ramp = newest.replace("\"rampup_duration\":0.0", "\"rampup_duration\":5.0");
    assert_eq!(warned(&ramp, &["started over 5 s"]).len(), 2);
    let rate = ramp.replace("\"concurrent\"", "\"constant\",\"rate\":2.0");
    refused(&rate, &["strategy.rampup_duration: found a ramp-up of 5 s", "measure without --rampup"]);
}

/// One result of `vllm bench serve`, one key a line.
const VLLM: &str = "{\n  \"request_rate\": \"inf\",\n  \"max_concurrency\": 4,\n  \"completed\": 40,\n  \"total_input_tokens\": 4000,\n  \
                    \"total_output_tokens\": 2000,\n  \"mean_ttft_ms\": 30.5,\n  \"mean_tpot_ms\": 7.5\n}\n";

#[test]
fn mistakes_in_json_are_shown_where_they_stand_with_what_to_do() {
    assert_eq!(read(VLLM).expect("read").len(), 1);
    let with = |from: &str, to: &str| VLLM.replace(from, to);
    for (text, parts) in [
        (with("30.5", "-30.5"), &["file:7:19: $.mean_ttft_ms: found -30.5", "help: leave the key out"][..]),
        (with("\"inf\"", "0"), &["file:2:19: $.request_rate", "help: give the --request-rate"]),
        (with("40,", "0,"), &["file:4:16: $.completed: found 0", "help: a run without one answered request"]),
        (with("40,", "4000000,"), &["file:4:16", "help: as many are not simulated"]),
        (with("\"total_output_tokens\"", "\"other\""), &["file:1:1: $: the key total_output_tokens", "help: "]),
        (with("30.5", "NaN"), &["file:7:", "found NaN, expected a number", "help: ", "null"]),
        (with("30.5", "-Infinity"), &["file:7:", "found Infinity, expected a number", "help: "]),
        (VLLM[..80].to_owned(), &["the end of the file inside", "help: the file is cut off"]),
        ("{}".to_owned(), &["file:1:1: $: found an empty object, expected the JSON of"]),
        ("[]".to_owned(), &["found no run in the file"]),
        (format!("[\n{VLLM},\n{}]", with("30.5", "\"fast\"")), &["file:18:19: $[1].mean_ttft_ms: found \"fast\""]),
        (format!("{VLLM}{}", with("30.5", "[]")), &["file:16:19: $ (value 2).mean_ttft_ms: found []"]),
    ] {
        refused(&text, parts);
    }
}

fn is_untouched(path: &Path, before: &[u8]) {
    assert!(fs::read(path).expect("there") == before, "{} was changed", path.display());
}

#[test]
fn the_profile_takes_no_inputs_place() {
    let here = folder("inputs");
    fs::write(here.join("w.json"), VLLM).expect("written");
    fs::write(here.join("h.json"), VLLM).expect("written");
    let built_in = kedasim(&here, &["profiles", "llama-3.1-8b-h100"]);
    fs::write(here.join("prior.yaml"), &built_in.stdout).expect("written");
    fs::hard_link(here.join("w.json"), here.join("hard.json")).expect("a link");
    let mut names = vec!["w.json", "./w.json", "h.json", "prior.yaml", "hard.json"];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("w.json", here.join("soft.json")).expect("a link");
        names.push("soft.json");
    }
    for out in names {
        let arguments = ["calibrate", "w.json", "--holdout", "h.json", "--prior", "prior.yaml", "--out", out];
        let output = kedasim(&here, &arguments);
        let message = text_of(&output);
        assert_eq!(output.status.code(), Some(2), "{out}: {message}");
        assert!(
            message.contains("--out") && message.contains("would be lost") && message.contains("help: "),
            "{message}"
        );
        is_untouched(&here.join("w.json"), VLLM.as_bytes());
        is_untouched(&here.join("h.json"), VLLM.as_bytes());
        is_untouched(&here.join("prior.yaml"), &built_in.stdout);
    }
    let fine = kedasim(&here, &["calibrate", "w.json", "--prior", "prior.yaml", "--out", "new.yaml"]);
    assert_eq!(fine.status.code(), Some(0), "{}", text_of(&fine));
    // The profile before is no input of the next one.
    let again = kedasim(&here, &["calibrate", "w.json", "--prior", "prior.yaml", "--out", "new.yaml"]);
    assert_eq!(again.status.code(), Some(0), "{}", text_of(&again));
}

#[test]
fn an_export_takes_no_place_of_a_file_of_its_run() {
    let here = folder("export");
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/opt-125m");
    let policy = policy.to_str().expect("text");
    let simulated = kedasim(&here, &["simulate", policy, "--duration", "2m", "--out", "run"]);
    assert_eq!(simulated.status.code(), Some(0), "{}", text_of(&simulated));
    let decisions = fs::read(here.join("run/decisions.jsonl")).expect("written");
    fs::hard_link(here.join("run/decisions.jsonl"), here.join("hard")).expect("a link");
    for flag in ["--openmetrics", "--remote-write"] {
        for out in ["run/decisions.jsonl", "hard", "run/../run/inputs/scenario.yaml", "run/summary.json"] {
            let before = fs::read(here.join(out)).expect("there");
            let output = kedasim(&here, &["export", "run", flag, out]);
            let message = text_of(&output);
            assert_eq!(output.status.code(), Some(2), "{out}: {message}");
            assert!(message.contains(flag) && message.contains("would be lost"), "{message}");
            is_untouched(&here.join(out), &before);
        }
    }
    is_untouched(&here.join("run/decisions.jsonl"), &decisions);
    fs::write(here.join("a"), "before").expect("written");
    fs::hard_link(here.join("a"), here.join("b")).expect("a link");
    let both = kedasim(&here, &["export", "run", "--openmetrics", "a", "--remote-write", "b"]);
    assert!(text_of(&both).contains("expected another"), "{}", text_of(&both));
    let fine = kedasim(&here, &["export", "run", "--openmetrics", "run.om"]);
    assert_eq!(fine.status.code(), Some(0), "{}", text_of(&fine));
}

#[test]
fn a_changed_run_takes_no_place_of_the_files_that_it_is_read_from() {
    let here = folder("changed-run");
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/opt-125m");
    let policy = policy.to_str().expect("text");
    let made = kedasim(&here, &["simulate", policy, "--duration", "2m", "--out", "run"]);
    assert_eq!(made.status.code(), Some(0), "{}", text_of(&made));
    let before = fs::read(here.join("run/policy.yaml")).expect("written");
    let again = ["simulate", "run/policy.yaml", "--scenario", "run/inputs/scenario.yaml", "--out", "run"];
    for change in [&["--set", "ScaledObject:spec.maxReplicaCount=7"][..], &["--seed", "9"], &["--duration", "1m"]] {
        let output = kedasim(&here, &[&again, change].concat());
        let message = text_of(&output);
        assert_eq!(output.status.code(), Some(2), "{change:?}: {message}");
        assert!(message.contains("--out: run/") && message.contains("is read, and would be replaced"), "{message}");
        is_untouched(&here.join("run/policy.yaml"), &before);
    }
    // As it is, it is made again in its own place; a change goes elsewhere.
    let same = kedasim(&here, &again);
    assert_eq!(same.status.code(), Some(0), "{}", text_of(&same));
    is_untouched(&here.join("run/policy.yaml"), &before);
    let elsewhere =
        ["simulate", "run/policy.yaml", "--scenario", "run/inputs/scenario.yaml", "--seed", "9", "--out", "two"];
    assert_eq!(kedasim(&here, &elsewhere).status.code(), Some(0));
}

/// The table of calibrate.py with these lines after its first row.
fn table(more: &str) -> String {
    format!(
        "=== vLLM single-replica throughput calibration ===\n  Duration:   20s per concurrency step\n  Max tokens: 200\n\n  \
         Concurrency  Throughput (tok/s)     Mean latency (s)     Note\n  -----------  ------------------     ----------------     \
         ----\n  1            20.1                   6.06                 \n{more}"
    )
}

fn of_table(text: &str) -> Result<(usize, String), String> {
    let lengths = LengthOptions { prompt_tokens: Some(15.0), output_tokens: Some(120.0), ..LengthOptions::default() };
    let found = read_measurements(Path::new("file"), text, &lengths).map_err(|found| found.to_string())?;
    Ok((found.runs.len(), found.told.to_string()))
}

#[test]
fn no_row_of_a_printed_table_is_lost() {
    let advice =
        "\nFind the last step where throughput was still growing.\n\n  Suggested threshold (80% of it): 65 tok/s\n";
    let row = "  2            35.6                   9.75 \n";
    assert_eq!(of_table(&table(&format!("{row}{advice}"))).expect("read").0, 2);
    assert_eq!(of_table(&table(&format!("\n\n{row}{advice}"))).expect("read").0, 2, "blank lines between rows");
    let marked = format!("\u{feff}{}", table(row).split_once("200\n\n").expect("a preamble").1);
    assert_eq!(of_table(&marked).expect("read").0, 2, "a mark before the header");
    let (runs, told) =
        of_table(&table(&format!("WARNING: could not fetch metrics from http://x: timed out\n{row}{advice}")))
            .expect("read");
    assert_eq!(runs, 2);
    assert!(told.contains("warning: file:8:1: calibrate.py printed: WARNING: could not fetch metrics"), "{told}");
    // Two outputs one after the other, each with its own length of a step.
    let second = table(row).replace("20s", "60s");
    let lengths = LengthOptions { prompt_tokens: Some(15.0), output_tokens: Some(120.0), ..LengthOptions::default() };
    let both =
        read_measurements(Path::new("file"), &format!("{}{advice}{second}", table(row)), &lengths).expect("read");
    let stops: Vec<Stop> = both.runs.iter().map(|run| run.stop).collect();
    assert_eq!(stops, [Stop::Seconds(20.0), Stop::Seconds(20.0), Stop::Seconds(60.0), Stop::Seconds(60.0)]);
    for (text, parts) in [
        (
            table("  16  12x  13\n"),
            ["file:8:1: found \"16 12x 13\"", "help: give the table as calibrate.py printed it"],
        ),
        (table("INFO something\n"), ["file:8:1: found \"INFO something\"", "help: "]),
        (
            table(&format!("\nsome words\n{row}")),
            ["file:10:1: found \"2 35.6 9.75\" outside a table", "help: remove the lines"],
        ),
    ] {
        let message = of_table(&text).expect_err(&text);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn a_csv_of_other_making_says_what_to_do() {
    let row = "\n4,1,2,100,50,20\n";
    let header = |column: &str| format!("concurrency,{column},latency_s,prompt_tokens,output_tokens,requests{row}");
    for (text, parts) in [
        (
            header("ttft_ms").replace(',', ";"),
            ["file:1:12: found fields separated by semicolons, expected commas", "help: export"],
        ),
        (
            format!("# made by hand\n{}", header("ttft_ms").replace(',', "\t")),
            ["file:2:12: found fields separated by tabs", "help: "],
        ),
        (header("ttft_s"), ["\"ttft_s\"", "help: convert its numbers from s to ms and call it ttft_ms"]),
        (header("tpot_us"), ["\"tpot_us\"", "help: convert its numbers from us to ms and call it tpot_ms"]),
        (header("ttft"), ["\"ttft\"", "help: did you mean ttft_ms (in ms)?"]),
        (header("concurency"), ["\"concurency\"", "help: did you mean concurrency?"]),
    ] {
        refused(&text, &parts);
    }
    let milliseconds = header("ttft_ms").replace("latency_s", "latency_ms");
    refused(&milliseconds, &["help: convert its numbers from ms to s and call it latency_s"]);
    assert_eq!(read(&header("ttft_ms")).expect("read").len(), 1);
}

#[test]
fn text_in_another_encoding_is_named_with_its_place() {
    let here = folder("encoding");
    let csv = "concurrency,ttft_ms,prompt_tokens,output_tokens,requests,name\n1,20,100,100,10,K\u{fc}che\n";
    let wide: Vec<u8> = [0xff, 0xfe].into_iter().chain(csv.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let latin: Vec<u8> = csv.chars().map(|own| u8::try_from(u32::from(own)).expect("in Latin-1")).collect();
    fs::write(here.join("wide.csv"), wide).expect("written");
    fs::write(here.join("latin.csv"), latin).expect("written");
    fs::write(here.join("fine.csv"), csv).expect("written");
    for (name, parts) in [
        ("wide.csv", ["wide.csv:1:1: found UTF-16", "help: save it as UTF-8", "iconv -f UTF-16"]),
        ("latin.csv", ["latin.csv:2:18: found the byte 0xfc", "expected text in UTF-8", "iconv -f LATIN1"]),
        ("none.csv", ["none.csv: cannot be read", "No such file", "error"]),
    ] {
        let output = kedasim(&here, &["calibrate", name, "--prior", "llama-3.1-8b-h100"]);
        assert_eq!(output.status.code(), Some(2));
        let message = text_of(&output);
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
    assert_eq!(kedasim(&here, &["calibrate", "fine.csv", "--prior", "llama-3.1-8b-h100"]).status.code(), Some(0));
}

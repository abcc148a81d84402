//! `kedasim simulate --replications`: what it prints, what it writes, and that neither depends on threads.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replications").join(name);
    if path.exists() {
        fs::remove_dir_all(&path).expect("our own folder");
    }
    fs::create_dir_all(&path).expect("a folder in the target directory");
    path
}

fn kedasim(arguments: &[&str], threads: &str) -> Output {
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/opt-125m");
    let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("RAYON_NUM_THREADS", threads);
    command.args(["simulate", policy, "--duration", "6m"]).args(arguments).output().expect("the binary runs")
}

/// Every file under `folder` with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
                found.push((name, fs::read(&path).expect("a file")));
            }
        }
    }
    found.sort();
    found
}

fn json(folder: &Path) -> serde_json::Value {
    let text = fs::read_to_string(folder.join("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("valid JSON")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn any_number_of_threads_writes_the_same_bytes_and_a_seeds_folder_is_that_of_its_own_run() {
    let here = folder("threads");
    let run = |name: &str, threads: &str, arguments: &[&str]| {
        let out = here.join(name);
        let out_text = out.display().to_string();
        let output = kedasim(&[arguments, &["--out", &out_text]].concat(), threads);
        assert!(output.status.success(), "{}", stderr(&output));
        (out, output.stdout)
    };
    let (one, one_text) = run("one", "1", &["--replications", "3", "--seed", "4"]);
    let (four, four_text) = run("four", "4", &["--replications", "3", "--seed", "4"]);
    assert_eq!(one_text, four_text);
    assert!(files(&one) == files(&four), "some file depends on the number of threads");
    let names: Vec<String> =
        files(&one).into_iter().map(|(name, _)| name).filter(|name| !name.contains("seed-")).collect();
    assert_eq!(names, ["replications.csv", "summary.json"]);
    let (alone, _) = run("alone", "1", &["--seed", "5"]);
    assert!(files(&alone) == files(&one.join("seed-5")), "seed 5 of several is seed 5 alone");

    let summary = json(&one);
    assert_eq!((&summary["kind"], &summary["seeds"]), (&"replications".into(), &serde_json::json!([4, 5, 6])));
    let metric = &summary["replications"]["metrics"]["replicas.mean"];
    let values: Vec<f64> =
        metric["values"].as_array().expect("values").iter().filter_map(serde_json::Value::as_f64).collect();
    let own: Vec<f64> = [4, 5, 6]
        .map(|seed| json(&one.join(format!("seed-{seed}")))["replicas"]["mean"].as_f64().expect("a mean"))
        .to_vec();
    assert_eq!(values, own, "each value stands in its seed's own summary");
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!((summary["replicas"]["mean"].as_f64().expect("a mean") - mean).abs() < 1e-12);
    assert_eq!(metric["rule"], "t");
    assert!(summary["kpis"]["Avg replicas"]["interval"].is_array());
    let table = fs::read_to_string(one.join("replications.csv")).expect("a table");
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("seed,status,durationSeconds,requests.total,"), "{}", lines[0]);
    assert_eq!(lines[1..].iter().map(|line| &line[..2]).collect::<Vec<_>>(), ["4,", "5,", "6,"]);
}

#[test]
fn a_scenario_asks_for_replications_and_the_command_line_for_fewer() {
    let here = folder("scenario");
    let scenario = here.join("scenario.yaml");
    let traffic = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/stable-2.yaml");
    let text = format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: several}}\nspec:\n  replications: 2\n  seed: 7\n  \
         traffic: {{file: {traffic}}}\n  replica: {{profile: opt-125m-cpu}}\n  cluster: {{preset: cpu-demo}}\n"
    );
    fs::write(&scenario, text).expect("a file");
    let run = |name: &str, arguments: &[&str]| {
        let (scenario, out) = (scenario.display().to_string(), here.join(name));
        let out_text = out.display().to_string();
        let output = kedasim(&[&["--scenario", &scenario, "--out", &out_text], arguments].concat(), "2");
        assert!(output.status.success(), "{}", stderr(&output));
        (json(&out), String::from_utf8(output.stdout).expect("text"))
    };
    let (summary, text) = run("two", &[]);
    assert_eq!(summary["seeds"], serde_json::json!([7, 8]));
    assert!(text.starts_with("no gate set: policy opt-125m, scenario several,"), "{text}");
    let on_one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(on_one_line.contains("seeds 7..8, 6m measured of each"), "{text}");
    assert!(on_one_line.contains("the two values; an interval takes three seeds or more"), "{text}");
    assert!(summary["replications"]["metrics"]["replicas.mean"]["interval"].is_null());
    let (one, _) = run("one", &["--replications", "1"]);
    assert_eq!((&one["kind"], &one["seed"]), (&"run".into(), &7.into()));
    // What a seed's folder keeps makes that one run again.
    let kept = fs::read_to_string(here.join("two/seed-8/inputs/scenario.yaml")).expect("kept");
    assert!(kept.contains("replications: 1") && kept.contains("seed: 8"), "{kept}");
}

#[test]
fn gates_judge_all_seeds_and_decide_the_exit_code() {
    let here = folder("gates");
    let out = here.join("out").display().to_string();
    let run = |arguments: &[&str]| {
        let output = kedasim(&[&["--replications", "3", "--out", &out], arguments].concat(), "2");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    let (code, text) = run(&["--gate", "failedRequests=0"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("pass: ") && text.contains("failedRequests 0 (0..0 at 95 %), at most 0: pass"), "{text}");
    // No flap in three times six minutes rules out nothing below 12/h.
    let (code, text) = run(&["--gate", "flapsPerHour=4"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("undecided: "), "{text}");
    assert!(text.contains("at most 4: undecided, needs about 7 more seeds"), "{text}");
    assert_eq!(run(&["--gate", "flapsPerHour=4", "--fail-on", "undecided"]).0, Some(1));
    let (code, text) = run(&["--gate", "failedRequests=0", "--format", "markdown"]);
    assert_eq!(code, Some(0));
    assert!(text.starts_with("### kedasim: pass (") && text.contains("| key figures, 3 seeds | | |"), "{text}");
}

#[test]
fn commands_for_one_run_say_which_folder_they_want() {
    let here = folder("commands");
    let out = here.join("out");
    let out_text = out.display().to_string();
    assert!(kedasim(&["--replications", "2", "--out", &out_text], "2").status.success());
    let other = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_kedasim")).args(arguments).output().expect("the binary runs")
    };
    let plot = other(&["plot", &out_text]);
    assert_eq!(plot.status.code(), Some(2));
    assert!(stderr(&plot).contains("expected that of one: seed-1 and so on"), "{}", stderr(&plot));
    let export = other(&["export", &out_text, "--openmetrics", &here.join("x").display().to_string()]);
    assert_eq!(export.status.code(), Some(2));
    assert!(stderr(&export).contains("out/seed-1"), "{}", stderr(&export));
    assert!(other(&["plot", &out.join("seed-2").display().to_string(), "--format", "svg"]).status.success());

    // Nothing of the user's is replaced, one run's folder neither.
    fs::write(out.join("seed-2/notes.txt"), "mine").expect("a file");
    let again = kedasim(&["--replications", "2", "--out", &out_text], "2");
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("found seed-2/notes.txt"), "{}", stderr(&again));
    fs::remove_file(out.join("seed-2/notes.txt")).expect("ours");
    let one = kedasim(&["--out", &out_text], "2");
    assert!(stderr(&one).contains("found the directory of a run on several seeds"), "{}", stderr(&one));
    assert!(kedasim(&["--replications", "3", "--out", &out_text], "2").status.success(), "its own kind is replaced");
    assert!(out.join("seed-3").is_dir());
    let left: Vec<_> = fs::read_dir(&here).expect("a folder").map(|own| own.expect("an entry").file_name()).collect();
    assert_eq!(left, ["out"], "no temporary folder is left");
}

#[test]
fn numbers_of_seeds_that_make_no_sense_are_refused() {
    for (arguments, part) in [
        (vec!["--replications", "0"], "0 is not in 1..=1000"),
        (vec!["--replications", "-3"], "-3 is not in 1..=1000"),
        (vec!["--replications", "2", "--seed", "9223372036854775807"], "choose a smaller seed"),
    ] {
        let output = kedasim(&arguments, "1");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

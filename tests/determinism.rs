//! Same input and seed: the same bytes, on any number of threads. Another seed: others.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("the run wrote its folder") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("inside").to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

fn kedasim(arguments: &[&str], out: &Path) -> BTreeMap<String, Vec<u8>> {
    let status = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    files(out)
}

#[test]
fn two_runs_write_the_same_bytes_and_another_seed_writes_others() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let first = kedasim(&["simulate", "policies/opt-125m"], &folder.join("determinism-1"));
    let second = kedasim(&["simulate", "policies/opt-125m"], &folder.join("determinism-2"));
    let other = kedasim(&["simulate", "policies/opt-125m", "--seed", "2"], &folder.join("determinism-3"));
    for name in [
        "summary.json",
        "decisions.jsonl",
        "events.jsonl",
        "timeline.csv",
        "policy.yaml",
        "scenario.yaml",
        "plots/timeline.svg",
        "plots/timeline.png",
    ] {
        assert!(first.contains_key(name), "{name} is missing");
    }
    assert_eq!(first, second);
    for name in ["summary.json", "decisions.jsonl", "timeline.csv"] {
        assert_ne!(first[name], other[name], "{name} does not depend on the seed");
    }
}

#[test]
fn a_sweep_does_not_depend_on_the_number_of_threads() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let sweep = "tests/sweeps/small.yaml";
    let one = kedasim(&["sweep", sweep, "--jobs", "1"], &folder.join("sweep-jobs-1"));
    let two = kedasim(&["sweep", sweep, "--jobs", "2"], &folder.join("sweep-jobs-2"));
    assert!(
        one.contains_key("results.csv")
            && one.contains_key("plots/heatmap.svg")
            && one.contains_key("plots/heatmap.png")
    );
    assert_eq!(one, two);
}

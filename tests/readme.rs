//! What README.md shows is what the program prints.

use std::path::Path;
use std::process::Command;

fn kedasim(arguments: &[&str], out: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kedasim"))
        .args(arguments)
        .arg("--out")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join(out))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md is there")
}

#[test]
fn the_example_output_is_what_the_command_prints() {
    let readme = readme();
    let shown = readme.split("<!-- result -->").nth(1).and_then(|rest| rest.split("<!-- /result -->").next());
    let printed = kedasim(&["simulate", "policies/opt-125m"], "readme-run");
    // The README stops after the first two assumptions.
    let third = printed.match_indices("\nassumed: ").nth(2).map_or(printed.len(), |(index, _)| index + 1);
    let printed = format!("{}...\n", &printed[..third]);
    let expected = format!("\n```console\n$ kedasim simulate policies/opt-125m\n{printed}```\n");
    assert_eq!(shown, Some(expected.as_str()), "run docs/refresh");
}

#[test]
fn the_sweep_of_the_readme_says_what_the_readme_says() {
    let printed = kedasim(&["sweep", "policies/sweeps/opt-125m-threshold-window.yaml"], "readme-sweep");
    let flaps = |threshold: &str, window: &str| -> f64 {
        let row = |line: &&str| {
            let mut words = line.split_whitespace();
            words.next() == Some(threshold) && words.next() == Some(window)
        };
        let line = printed.lines().find(row).unwrap_or_else(|| panic!("no row {threshold} {window} in\n{printed}"));
        line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("flaps per hour")
    };
    for threshold in ["3", "4", "5", "6", "7", "8", "9"] {
        assert_eq!(flaps(threshold, "0"), flaps(threshold, "15"), "windows of 0 and 15 s are the same policy");
    }
    let listed = "  scaleUp.stabilizationWindowSeconds 0, 15 for each threshold of 3, 4, 5, 6, 7, 8, 9\n";
    assert!(printed.contains(listed), "{printed}");
    let near_the_step = ["5", "6"];
    for threshold in near_the_step {
        let (none, some, long) = (flaps(threshold, "0"), flaps(threshold, "30"), flaps(threshold, "90"));
        assert!(some < none && long <= 0.5 * none, "threshold {threshold}: {none}, {some}, {long}");
    }
    assert!(readme().contains("windows of 0 and 15 s are the same policy"));
}

#[test]
fn the_two_commands_are_there() {
    let readme = readme();
    for command in ["cargo run --release --locked -- simulate policies/opt-125m", "cargo test --locked"] {
        assert!(readme.contains(command), "{command}");
    }
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let local = !link.starts_with("http");
        assert!(!local || Path::new(env!("CARGO_MANIFEST_DIR")).join(link).exists(), "{link} is not there");
    }
}

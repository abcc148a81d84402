//! Help texts are a public surface: a change shows in review.

use std::process::Command;

#[test]
fn every_commands_help() {
    for command in [
        "",
        "simulate",
        "compare",
        "sweep",
        "lint",
        "plot",
        "explain",
        "export",
        "calibrate",
        "profiles",
        "conformance",
        "stability",
    ] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_kedasim")).args(&arguments).output().expect("the binary runs");
        assert!(output.status.success() && output.stderr.is_empty());
        let name = if command.is_empty() { "kedasim" } else { command };
        insta::assert_snapshot!(name, String::from_utf8(output.stdout).expect("text"));
    }
}

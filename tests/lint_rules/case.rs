//! A folder of manifests for one case, and `kedasim lint` run in it.

use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A fresh folder for one case.
pub struct Case {
    /// Where the files are.
    pub folder: PathBuf,
}

impl Case {
    /// An empty folder called `name`.
    pub fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("lint").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the case");
        Case { folder }
    }

    /// The same with a file.
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("inside the folder")).expect("writable");
        fs::write(path, text).expect("writable");
        self
    }

    /// The command, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
        command.current_dir(&self.folder).arg("lint").args(arguments);
        command
    }

    /// Exit code, and what is printed.
    pub fn text(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.command(arguments).output().expect("the binary runs");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    }

    /// Exit code, and the report.
    pub fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = self.command(arguments).args(["--format", "json"]).output().expect("the binary runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; stderr: {errors}"));
        (output.status.code(), report)
    }
}

/// The codes of all messages, in the order of the report.
pub fn codes(report: &Value) -> Vec<String> {
    let files = report["files"].as_array().expect("files");
    let of_objects = files.iter().flat_map(|file| file["objects"].as_array().expect("objects"));
    let messages = of_objects.flat_map(|object| object["diagnostics"].as_array().expect("messages"));
    messages.filter_map(|own| own["code"].as_str().map(str::to_owned)).collect()
}

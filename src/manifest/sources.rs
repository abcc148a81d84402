//! Texts before they are documents, for whoever reports on every file by itself and shows lines of it.

use crate::manifest::Input;
use crate::manifest::bundle::{open, read_bytes, text_of, yaml_files};
use crate::units::{Diagnostic, Diagnostics};
use std::path::Path;

/// One text that documents are read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The file as named by the user, or inside the folder that the user named; `<stdin>`.
    pub name: String,
    /// Its text, or why there is none: too long, or not UTF-8.
    pub text: Result<String, Diagnostic>,
    /// Whether the user named it, rather than its folder: then it may not be empty.
    pub named: bool,
}

/// The texts of `inputs`, folders opened, in order.
///
/// # Errors
/// What is not there or may not be read, and folders without a YAML file. What stands in a file is no matter here.
pub fn read_sources(inputs: &[Input]) -> Result<Vec<Source>, Diagnostics> {
    let mut sources = Vec::new();
    let mut diagnostics = Diagnostics::new();
    for input in inputs {
        let mut add = |read: Result<Source, Diagnostic>| match read {
            Ok(source) => sources.push(source),
            Err(diagnostic) => diagnostics.push(diagnostic),
        };
        match input {
            Input::Stdin => {
                let name = "<stdin>";
                let read = read_bytes(std::io::stdin().lock(), name);
                add(read.map(|bytes| Source { name: name.to_owned(), text: text_of(bytes, name), named: true }));
            }
            Input::Path(path) if path.is_dir() => match yaml_files(path) {
                Ok(files) => files.iter().for_each(|file| add(source(file, false))),
                Err(diagnostic) => add(Err(diagnostic)),
            },
            Input::Path(path) => add(source(path, true)),
        }
    }
    diagnostics.into_result(sources).map(|(sources, _)| sources)
}

fn source(path: &Path, named: bool) -> Result<Source, Diagnostic> {
    let name = path.display().to_string();
    let bytes = read_bytes(open(path)?, &name)?;
    Ok(Source { text: text_of(bytes, &name), name, named })
}

//! Walks `src/` and fails on any import that DESIGN's table of rooms does not allow, on files that grow too long, on
//! anybody but the engine opening an output length, and on elementary functions of the system's C library.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("series", &["units"]),
    ("manifest", &["units"]),
    ("traffic", &["units"]),
    ("hpa", &["units", "manifest"]),
    ("keda", &["units", "series", "manifest", "hpa"]),
    ("replica", &["units", "series", "traffic"]),
    ("prometheus", &["units", "series"]),
    ("export", &["units", "series", "prometheus"]),
    ("cluster", &["units", "series", "traffic", "replica"]),
    ("scenario", &["units", "series", "manifest", "traffic", "hpa", "keda", "replica", "prometheus", "cluster"]),
    ("record", &["units", "series", "hpa", "keda"]),
    (
        "sim",
        &[
            "units",
            "series",
            "manifest",
            "traffic",
            "hpa",
            "keda",
            "replica",
            "prometheus",
            "cluster",
            "scenario",
            "record",
        ],
    ),
    ("analysis", &["units", "series", "hpa", "keda", "scenario", "record"]),
    ("lint", &["units", "series", "manifest", "hpa", "keda", "prometheus", "replica", "scenario"]),
    ("study", &["units", "manifest", "traffic", "hpa", "keda", "replica", "scenario", "sim", "record", "analysis"]),
    ("report", &["units", "series", "manifest", "scenario", "record", "analysis", "lint", "study"]),
    (
        "cli",
        &[
            "units",
            "series",
            "manifest",
            "traffic",
            "hpa",
            "keda",
            "replica",
            "prometheus",
            "cluster",
            "scenario",
            "record",
            "sim",
            "analysis",
            "lint",
            "study",
            "report",
            "export",
        ],
    ),
];

const MAX_LINES: usize = 700;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("src exists").map(|entry| entry.expect("readable").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every file under `src/` with its room ("" for the crate root's own files) and its text without comments.
fn files() -> Vec<(PathBuf, String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&src, &mut found);
    assert!(found.len() > 40, "the walk found only {} files", found.len());
    let room_of = |path: &Path| {
        let inner = path.strip_prefix(&src).expect("under src");
        if inner.components().count() > 1 {
            inner.iter().next().expect("a component").to_string_lossy().into_owned()
        } else {
            String::new()
        }
    };
    let code = |path: &Path| -> String {
        let text = fs::read_to_string(path).expect("readable source");
        text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
    };
    found
        .into_iter()
        .map(|path| {
            let (room, text) = (room_of(&path), code(&path));
            (path, room, text)
        })
        .collect()
}

/// Rooms named after `crate::` (also inside braces: `use crate::{units, hpa::X}`).
fn imports(text: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (index, _) in text.match_indices("crate::") {
        let rest = &text[index + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (c.is_alphanumeric() || c == '_') {
                    word.push(c);
                } else if depth == 0 && !word.is_empty() {
                    rooms.push(std::mem::take(&mut word));
                }
            }
            rooms.extend((!word.is_empty()).then_some(word));
        } else {
            rooms.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    rooms
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut broken = Vec::new();
    for (path, room, text) in files() {
        if room.is_empty() {
            continue;
        }
        let Some(allowed) = table.get(room.as_str()) else {
            broken.push(format!("{}: {room} is not a room of the table", path.display()));
            continue;
        };
        for import in imports(&text) {
            if table.contains_key(import.as_str()) && import != room && !allowed.contains(&import.as_str()) {
                broken.push(format!("{}: room {room} must not import {import}", path.display()));
            }
        }
        if text.contains("super::super") {
            broken.push(format!("{}: name the room instead of super::super", path.display()));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    for (index, (room, allowed)) in ROOMS.iter().enumerate() {
        for other in *allowed {
            let position = ROOMS.iter().position(|(name, _)| name == other);
            assert!(position.is_some_and(|place| place < index), "{room} imports {other}, which comes later");
        }
    }
}

#[test]
fn the_walk_sees_forbidden_imports() {
    assert_eq!(
        imports("use crate::{units::SimTime, sim::simulate};\nlet x = crate::hpa::y;"),
        ["units", "SimTime", "sim", "simulate", "hpa"]
    );
}

#[test]
fn only_the_engine_opens_an_output_length() {
    for (path, _, text) in files() {
        let opens = text.contains("reveal_to_engine");
        let is_test = path.to_string_lossy().ends_with("_tests.rs");
        let allowed = path.ends_with("replica/engine.rs") || path.ends_with("traffic/request.rs") || is_test;
        assert!(!opens || allowed, "{}: only replica's engine may call reveal_to_engine (INV-6)", path.display());
    }
}

#[test]
fn elementary_functions_are_portable() {
    let forbidden = [
        ".ln()",
        ".exp()",
        ".powf(",
        ".powi(",
        ".log10()",
        ".log2()",
        ".sin()",
        ".cos()",
        ".ln_1p()",
        ".exp_m1()",
        ".tanh()",
    ];
    for (path, _, text) in files() {
        for call in forbidden {
            assert!(!text.contains(call), "{}: {call} differs between machines; use units::math", path.display());
        }
    }
}

#[test]
fn files_stay_readable() {
    for (path, _, _) in files() {
        let lines = fs::read_to_string(&path).expect("readable source").lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines; split it by subject", path.display());
    }
}

#[test]
fn mod_files_only_re_export() {
    for (path, room, text) in files() {
        if room.is_empty() || path.file_name().is_none_or(|name| name != "mod.rs") {
            continue;
        }
        let has_code = text.lines().any(|line| {
            line.trim_start().starts_with("fn ") || line.trim_start().starts_with("impl ") || line.contains("pub fn ")
        });
        assert!(!has_code || room == "cli", "{}: mod.rs only re-exports", path.display());
    }
}

#[test]
fn no_text_speaks_of_a_registry_host() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "Cargo.toml", ".ci/run"] {
        let text = fs::read_to_string(root.join(name)).unwrap_or_default();
        assert!(!text.contains("crates.io/api") && !text.contains("static.crates.io"), "{name} names a registry host");
    }
}

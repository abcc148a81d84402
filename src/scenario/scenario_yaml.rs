//! The resolved scenario as a file: every setting with its origin, readable again as a Scenario.

use crate::scenario::{Origin, ResolvedRun, show};
use std::fmt::Write as _;

/// The resolved scenario as YAML; each value carries a comment that says where it came from.
pub fn scenario_yaml(run: &ResolvedRun) -> String {
    let mut text = String::from("apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\n");
    let _ = writeln!(text, "metadata:\n  name: {}\nspec:", show::text(&run.scenario));
    let mut entries: Vec<(Vec<String>, &str, &Origin)> =
        run.provenance.iter().map(|(path, value, origin)| (keys_of(path), value.as_str(), origin)).collect();
    // A section's keys may have been noted apart; YAML wants them together, sections in order of first mention.
    let mut sections: Vec<String> = Vec::new();
    for (path, _, _) in &entries {
        if !sections.contains(&path[0]) {
            sections.push(path[0].clone());
        }
    }
    entries.sort_by_key(|(path, _, _)| sections.iter().position(|section| *section == path[0]));
    let mut open: Vec<&str> = Vec::new();
    for (path, value, origin) in &entries {
        let (key, parents) = path.split_last().expect("a path has at least one part");
        let common = open.iter().zip(parents).take_while(|(left, right)| *left == right).count();
        open.truncate(common);
        for parent in &parents[common..] {
            let _ = writeln!(text, "{}{parent}:", "  ".repeat(open.len() + 1));
            open.push(parent);
        }
        let indent = "  ".repeat(open.len() + 1);
        let colon = if key == ITEM { "" } else { ":" };
        let _ = writeln!(text, "{indent}{key}{colon} {value} # {}", origin_text(origin));
    }
    text
}

/// Stands for the key of a list's item.
const ITEM: &str = "-";

/// The keys of a path as they stand in YAML: `spec.a["b.c"]` has the keys `a` and `b.c`, `spec.a[0]` an item of `a`.
fn keys_of(path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut rest = path.strip_prefix("spec.").unwrap_or(path);
    while !rest.is_empty() {
        if let Some((key, more)) = rest.strip_prefix("[\"").and_then(|inside| inside.split_once("\"]")) {
            keys.push(show::text(key));
            rest = more;
        } else if let Some((_, more)) = rest.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            keys.push(ITEM.to_owned());
            rest = more;
        } else {
            // The first character is never the end, so that every turn takes something off.
            let first = rest.chars().next().map_or(0, char::len_utf8);
            let end = rest[first..].find(['.', '[']).map_or(rest.len(), |end| first + end);
            let (key, more) = rest.split_at(end);
            keys.push(show::text(key));
            rest = more;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    keys
}

fn origin_text(origin: &Origin) -> String {
    match origin {
        // A file's name may hold anything but must not end the comment.
        Origin::Given(span) => span.to_string().replace(['\n', '\r'], " "),
        Origin::Profile(name) => format!("profile {}", name.replace(['\n', '\r'], " ")),
        Origin::Preset(name) => format!("preset {name}"),
        Origin::Assumed => "assumed".to_owned(),
    }
}

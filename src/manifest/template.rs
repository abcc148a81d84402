//! Finds unrendered templates (`{{ ... }}`), which are the commonest reason for a chart's file not to be YAML.

use crate::manifest::{Node, Value};
use crate::units::{Diagnostic, Span};

/// Why `text`, which the YAML reader refused at `line`, is rather a template: one outside comments and quotes, or a
/// quoted one in the very line of the error (its own quotes may have broken it).
pub(crate) fn in_broken_yaml(text: &str, file: &str, line: Option<u32>) -> Option<Diagnostic> {
    let mut number = 0;
    for own in text.lines() {
        number += 1;
        let own = own.trim_start_matches('\u{feff}');
        let Some(at) = own.find("{{") else { continue };
        let before = &own[..at];
        let closed = own[at..].contains("}}");
        let quoted = open_quote(before).is_some();
        if closed && !has_comment(before) && (!quoted || line == Some(number)) {
            return Some(unrendered(Span::new(file, number, columns(before))));
        }
    }
    None
}

/// The first unquoted string in `node` that holds a template, such as `name: app-{{ .Release.Name }}`: valid YAML, but
/// surely not meant. Quoted and block texts are left alone unless `everywhere`, since dashboards and alert texts have
/// braces of their own (no query of a ScaledObject has).
pub(crate) fn in_tree(node: &Node, lines: &[&str], everywhere: bool) -> Option<Diagnostic> {
    match &node.value {
        Value::Str(text) if text.contains("{{") && text.contains("}}") => {
            (everywhere || plain(&node.span, lines)).then(|| unrendered(node.span.clone()))
        }
        Value::Seq(items) => items.iter().find_map(|item| in_tree(item, lines, everywhere)),
        Value::Map(entries) => {
            // An annotation may hold anything.
            let inside = |key: &str| everywhere && key != "annotations";
            entries.iter().find_map(|(key, value)| in_tree(value, lines, inside(&key.name)))
        }
        _ => None,
    }
}

fn unrendered(span: Span) -> Diagnostic {
    Diagnostic::error(span, "", "an unrendered template: {{ ... }} is not YAML")
        .help("render it first: helm template . | kedasim simulate -")
}

/// Whether the scalar at `span` is written without quotes, on the line of its key or dash. (A block text starts on a line
/// of its own.)
fn plain(span: &Span, lines: &[&str]) -> bool {
    let (Ok(line), Ok(column)) = (usize::try_from(span.line), usize::try_from(span.column)) else { return false };
    let Some(own) = line.checked_sub(1).and_then(|line| lines.get(line)) else { return false };
    let before: String = own.chars().take(column.saturating_sub(1)).collect();
    let first = own.chars().nth(column.saturating_sub(1));
    !before.trim().is_empty() && !matches!(first, Some('"' | '\'' | '|' | '>'))
}

/// Column, from 1, of what follows `before`.
fn columns(before: &str) -> u32 {
    u32::try_from(before.chars().count()).unwrap_or(u32::MAX).saturating_add(1)
}

fn open_quote(before: &str) -> Option<char> {
    let mut open = None;
    let mut last = ' ';
    for character in before.chars() {
        match open {
            // An apostrophe inside a word is none of YAML's quotes.
            None if character == '"' || (character == '\'' && !last.is_alphanumeric()) => open = Some(character),
            Some(quote) if quote == character => open = None,
            _ => {}
        }
        last = character;
    }
    open
}

/// Whether a comment starts in `before`.
fn has_comment(before: &str) -> bool {
    before.char_indices().any(|(at, character)| {
        let start = &before[..at];
        character == '#' && (start.is_empty() || start.ends_with([' ', '\t'])) && open_quote(start).is_none()
    })
}

/// The lines of `text` as places count them.
pub(crate) fn lines_of(text: &str) -> Vec<&str> {
    text.trim_start_matches('\u{feff}').lines().collect()
}

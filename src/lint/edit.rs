//! Changes of a text that mend a finding: whole lines taken out, words put in the place of words. Whatever they do not
//! touch stays byte by byte.

use crate::units::Span;

/// One change, at a place of the text as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The line of this entry of a block mapping, whose value is a scalar on the same line.
    DeleteEntry {
        /// The line, from 1.
        line: u32,
        /// The entry's key.
        key: String,
    },
    /// A word for another.
    Replace {
        /// Where it begins.
        at: Span,
        /// What must stand there.
        old: String,
        /// What stands there then.
        new: String,
    },
}

/// `text` with all `edits` that fit it, and which of them do: an edit whose place looks otherwise than it must is left out.
pub(super) fn apply(text: &str, edits: &[&Edit]) -> (String, Vec<bool>) {
    let mut lines: Vec<Option<String>> = text.split_inclusive('\n').map(|line| Some(line.to_owned())).collect();
    let mut done = vec![false; edits.len()];
    // From the right, so that a place on the same line stays where it is.
    let mut order: Vec<usize> = (0..edits.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(edits[*index].place()));
    for index in order {
        let (line, _) = edits[index].place();
        let Some(slot) = usize::try_from(line).ok().and_then(|line| lines.get_mut(line.checked_sub(1)?)) else {
            continue;
        };
        let Some(own) = slot.as_deref() else {
            // Two findings about one entry: it is gone already.
            done[index] = matches!(edits[index], Edit::DeleteEntry { .. });
            continue;
        };
        let changed = match edits[index] {
            Edit::DeleteEntry { key, .. } => is_plain_entry(own, key).then_some(None),
            Edit::Replace { at, old, new } => replaced(own, at.column, old, new).map(Some),
        };
        if let Some(changed) = changed {
            *slot = changed;
            done[index] = true;
        }
    }
    (lines.into_iter().flatten().collect(), done)
}

impl Edit {
    fn place(&self) -> (u32, u32) {
        match self {
            Edit::DeleteEntry { line, .. } => (*line, 0),
            Edit::Replace { at, .. } => (at.line, at.column),
        }
    }
}

/// Whether `line` is `key: scalar` and nothing else but a comment.
fn is_plain_entry(line: &str, key: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    let quoted = [format!("{key}:"), format!("\"{key}\":"), format!("'{key}':")];
    let Some(value) = quoted.iter().find_map(|own| line.strip_prefix(own.as_str())) else { return false };
    let value = value.trim_start();
    let is_quoted = |quote: char| {
        let inner = value.strip_prefix(quote)?;
        let (body, rest) = inner.split_once(quote)?;
        let ends = rest.trim_start().is_empty() || rest.trim_start().starts_with('#');
        Some(ends && !body.contains('\\'))
    };
    match value.chars().next() {
        // An alias' anchor may be needed elsewhere; blocks, lists and mappings go on below.
        None | Some('|' | '>' | '[' | '{' | '&' | '*' | '!' | '#') => false,
        Some(quote @ ('"' | '\'')) => is_quoted(quote).unwrap_or(false),
        Some(_) => true,
    }
}

/// The line with `new` for the `old` that stands at `column`.
fn replaced(line: &str, column: u32, old: &str, new: &str) -> Option<String> {
    let skip = usize::try_from(column).ok()?.checked_sub(1)?;
    let bom = if line.starts_with('\u{feff}') { 1 } else { 0 };
    let at = line.char_indices().map(|(at, _)| at).nth(skip + bom)?;
    let rest = line.get(at..)?.strip_prefix(old)?;
    Some(format!("{}{new}{rest}", &line[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(line: u32, key: &str) -> Edit {
        Edit::DeleteEntry { line, key: key.to_owned() }
    }
    fn replace(line: u32, column: u32, old: &str, new: &str) -> Edit {
        Edit::Replace { at: Span::new("t", line, column), old: old.to_owned(), new: new.to_owned() }
    }

    #[test]
    fn what_is_not_touched_stays_byte_by_byte() {
        let text = "a: 1   # one\r\n  b: \"x\"  # two\r\n# ä\r\nc:  3";
        let (changed, done) = apply(text, &[&delete(2, "b"), &replace(4, 5, "3", "\"3\"")]);
        assert_eq!((changed.as_str(), done), ("a: 1   # one\r\n# ä\r\nc:  \"3\"", vec![true, true]));
    }

    #[test]
    fn two_words_of_one_line_are_both_replaced() {
        let (changed, _) = apply("ä: {x: 1, y: 2}\n", &[&replace(1, 8, "1", "\"1\""), &replace(1, 14, "2", "\"2\"")]);
        assert_eq!(changed, "ä: {x: \"1\", y: \"2\"}\n");
    }

    #[test]
    fn an_entry_that_is_more_than_its_line_stays() {
        for line in ["- k: 1", "k: |", "k: {a: 1}", "k:", "k: &a 1", "kk: 1", "{k: 1}", "k: \"a", "k: \"a\": b"] {
            assert_eq!(apply(line, &[&delete(1, "k")]), (line.to_owned(), vec![false]), "{line}");
        }
        for line in ["k: 1", "  k: 'a' # why", "\"k\": true", "k: a b"] {
            assert_eq!(apply(line, &[&delete(1, "k")]).1, [true], "{line}");
        }
        assert_eq!(apply("a: 1\n", &[&replace(1, 4, "2", "3"), &delete(9, "a")]).1, [false, false]);
    }
}

//! Where a character of a YAML string stands in the file, although the string is folded, quoted or indented.
//!
//! White space is what folding and indentation change; every other character is in the file in the same order. So the
//! n-th character that is no white space is looked for.

use crate::units::Span;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Plain, literal or folded: as it is.
    Bare,
    /// `'...'`: a quote is written twice.
    Single,
    /// `"..."`: with escapes.
    Double,
}

/// The place of the character at byte `offset` of `value`, which is written at `start` in `text`; the end of the last
/// character before it when it is white space or the end. `None` when the text there is not the value.
pub(super) fn place_of(text: &str, start: &Span, value: &str, offset: usize) -> Option<Span> {
    let before = value.get(..offset)?.chars().filter(|own| !own.is_whitespace()).count();
    let here = value.get(offset..)?.chars().next().is_some_and(|own| !own.is_whitespace());
    // Every character up to the place must be the value's.
    let wanted = if here { before + 1 } else { before };
    let mut written = Written::at(text, start)?;
    let mut place = None;
    for expected in value.chars().filter(|own| !own.is_whitespace()).take(wanted) {
        let (found, line, column) = written.by_ref().find(|(own, ..)| !own.is_whitespace())?;
        if found != expected {
            return None;
        }
        place = Some((line, column));
    }
    let (line, column) = place?;
    Some(Span::new(start.file.clone(), line, if here { column } else { column + 1 }))
}

/// The characters of a scalar with their places.
struct Written<'a> {
    characters: std::iter::Peekable<std::str::Chars<'a>>,
    line: u32,
    column: u32,
    style: Style,
}

impl<'a> Written<'a> {
    fn at(text: &'a str, start: &Span) -> Option<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut written = Written { characters: text.chars().peekable(), line: 1, column: 1, style: Style::Bare };
        while (written.line, written.column) < (start.line, start.column) {
            written.step()?;
        }
        match written.characters.peek()? {
            '\'' => written.style = Style::Single,
            '"' => written.style = Style::Double,
            // The rest of a block scalar's first line is its indicator.
            '|' | '>' => while written.step()?.0 != '\n' {},
            _ => {}
        }
        if written.style != Style::Bare {
            written.step()?;
        }
        Some(written)
    }

    fn step(&mut self) -> Option<(char, u32, u32)> {
        let character = self.characters.next()?;
        let place = (self.line, self.column);
        if character == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some((character, place.0, place.1))
    }

    /// What the escape after a backslash stands for; white space for those that stand for it or for nothing.
    fn escaped(&mut self) -> Option<char> {
        let digits = match self.step()?.0 {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            'n' | 't' | 'r' | '\n' | ' ' => return Some(' '),
            other => return Some(other),
        };
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + self.step()?.0.to_digit(16)?;
        }
        char::from_u32(code)
    }
}

impl Iterator for Written<'_> {
    type Item = (char, u32, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (character, line, column) = self.step()?;
        let character = match (self.style, character) {
            (Style::Single, '\'') => {
                self.characters.next_if_eq(&'\'')?;
                self.column += 1;
                '\''
            }
            (Style::Double, '"') => return None,
            (Style::Double, '\\') => self.escaped()?,
            _ => character,
        };
        Some((character, line, column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Node, parse_documents};

    /// Line and column of the first `@` in the value of `q`.
    fn place(text: &str) -> Option<(u32, u32)> {
        let root = parse_documents(text, "t").expect("valid YAML").remove(0);
        let node = root.get("q").expect("q");
        let value = Node::as_str(node).expect("a string");
        let place = place_of(text, &node.span, value, value.find('@').unwrap_or(value.len()))?;
        Some((place.line, place.column))
    }

    #[test]
    fn a_character_is_found_in_every_style() {
        let table = [
            ("q: ab@c\n", Some((1, 6))),
            ("a: 1\nq:   ab@c # comment\n", Some((2, 8))),
            ("q: ab\n  cd\n\n  e@f\n", Some((4, 4))),
            ("q: 'it''s @'\n", Some((1, 11))),
            ("q: \"a\\\"b\\n\\u0041@\"\n", Some((1, 17))),
            ("q: \"ab\n  c@\"\n", Some((2, 4))),
            ("q: |\n  ab\n    @c\n", Some((3, 5))),
            ("q: >-\n  ab\n  cd @e\n\n  f\n", Some((3, 6))),
            ("q: |-   # a comment\n\n  ab @\n", Some((3, 6))),
            ("q: ä@\n", Some((1, 5))),
            // The end is after the last character.
            ("q: abc\n", Some((1, 7))),
            ("q: |\n  ab\n  cd\n", Some((3, 5))),
        ];
        for (text, expected) in table {
            assert_eq!(place(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_value_that_is_not_there_has_no_place() {
        let start = Span::new("t", 1, 4);
        assert_eq!(place_of("q: abc\n", &start, "abd", 2), None);
        assert_eq!(place_of("q: abc\n", &Span::new("t", 9, 1), "abc", 2), None);
        assert_eq!(place_of("q: ä\n", &start, "ä", 1), None, "inside a character");
    }
}

//! Where in a JSON text a value stands: `serde_json` keeps no positions, so the path is followed once more, for messages only.
//!
//! The text up to the value was parsed before, so that nothing here has to judge it; what does not follow gives no place.

use crate::units::Span;

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value of a key of an object.
    Key(String),
    /// An item of an array.
    Item(usize),
}

/// Line and column of the first character at or after byte `offset` that is no white space.
pub(super) fn position(file: &str, text: &str, offset: usize) -> Span {
    let rest = &text[offset..];
    let before = &text[..offset + (rest.len() - rest.trim_start().len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Span::new(file, u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// Byte offset of the value that `steps` lead to from the value at or after byte `start`.
pub(super) fn locate(text: &str, start: usize, steps: &[Step]) -> Option<usize> {
    let mut walk = Walk { text, at: start };
    for step in steps {
        walk.enter(step)?;
    }
    walk.skip_space();
    Some(walk.at)
}

struct Walk<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Goes past `byte` after white space; says whether it was there.
    fn eats(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Goes to the value of the step. Of equal keys the last counts, as for the parser.
    fn enter(&mut self, step: &Step) -> Option<()> {
        let found = match step {
            Step::Key(key) => {
                let mut last = None;
                let mut more = self.eats(b'{');
                while more && self.text[self.at..].trim_start().starts_with('"') {
                    let name = self.string()?;
                    if !self.eats(b':') {
                        return None;
                    }
                    if serde_json::from_str::<String>(name).is_ok_and(|name| name == *key) {
                        last = Some(self.at);
                    }
                    self.skip_value()?;
                    more = self.eats(b',');
                }
                last?
            }
            Step::Item(index) => {
                let mut more = self.eats(b'[');
                for _ in 0..*index {
                    self.skip_value()?;
                    more = self.eats(b',');
                }
                more.then_some(self.at)?
            }
        };
        self.at = found;
        Some(())
    }

    /// The string here with its quotes; goes past it.
    fn string(&mut self) -> Option<&'a str> {
        self.skip_space();
        let from = self.at;
        self.at += 1;
        loop {
            match self.byte()? {
                b'\\' => self.at += 2,
                b'"' => break,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        self.text.get(from..self.at)
    }

    /// Goes past the value here, whatever it is; nesting is counted, not followed, so that no depth is too much.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            self.skip_space();
            match self.byte()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    while self.byte().is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_followed_past_strings_nesting_and_equal_keys() {
        let text = "\n{\"a\": \"}{\\\"\", \"l\": [1, {\"x\": [2]}, {\"k\": -3.5e2}],\n \"\\u0062\": {\"c\": null}, \"a\": true}";
        let at = |steps: &[Step]| locate(text, 0, steps).map(|at| &text[at..=at]);
        let key = |name: &str| Step::Key(name.to_owned());
        assert_eq!(at(&[]), Some("{"));
        assert_eq!(at(&[key("a")]), Some("t"));
        assert_eq!(at(&[key("l"), Step::Item(2), key("k")]), Some("-"));
        assert_eq!(at(&[key("b"), key("c")]), Some("n"));
        assert_eq!(at(&[key("none")]), None);
        assert_eq!(at(&[key("l"), Step::Item(3)]), None);
        let place = position("f", text, locate(text, 0, &[key("b")]).expect("there"));
        assert_eq!((place.line, place.column), (3, 12));
    }
}

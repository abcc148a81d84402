//! Label matchers. Regular expressions are RE2 syntax, anchored at both ends.

use super::semantics::Semantics;
use crate::series::Labels;
use regex::{Regex, RegexBuilder};

/// Compiled size above which a pattern is refused.
const REGEX_SIZE_LIMIT: usize = 1 << 20;

#[derive(Clone, Debug)]
enum Test {
    Equal,
    NotEqual,
    Matches(Regex),
    NotMatches(Regex),
}

/// One `name op "value"`.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    /// The label.
    pub name: String,
    /// The text compared with.
    pub value: String,
    test: Test,
}

impl Matcher {
    /// `name="value"`.
    pub fn equal(name: &str, value: &str) -> Self {
        Matcher { name: name.to_owned(), value: value.to_owned(), test: Test::Equal }
    }
    /// From the operator as written.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn new(name: &str, op: &str, value: &str, semantics: Semantics) -> Result<Self, String> {
        let test = match op {
            "=" => Test::Equal,
            "!=" => Test::NotEqual,
            "=~" => Test::Matches(anchored(value, semantics)?),
            _ => Test::NotMatches(anchored(value, semantics)?),
        };
        Ok(Matcher { name: name.to_owned(), value: value.to_owned(), test })
    }
    /// Whether a label with this value ("" for an absent one) passes.
    pub fn matches_value(&self, value: &str) -> bool {
        match &self.test {
            Test::Equal => value == self.value,
            Test::NotEqual => value != self.value,
            Test::Matches(regex) => regex.is_match(value),
            Test::NotMatches(regex) => !regex.is_match(value),
        }
    }
    /// Whether a label set passes.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name))
    }
    /// Whether it is `=`.
    pub fn is_equality(&self) -> bool {
        matches!(self.test, Test::Equal)
    }
    /// The operator as written.
    pub fn operator(&self) -> &'static str {
        match &self.test {
            Test::Equal => "=",
            Test::NotEqual => "!=",
            Test::Matches(_) => "=~",
            Test::NotMatches(_) => "!~",
        }
    }
}

/// The pattern as Prometheus compiles it: anchored, from 3.0 with a dot that matches newlines
/// (model/labels/regexp.go `NewFastRegexMatcher`).
///
/// # Errors
/// What is wrong with the pattern.
pub(crate) fn anchored(pattern: &str, semantics: Semantics) -> Result<Regex, String> {
    // Compiled alone first, so that an unbalanced parenthesis cannot close the anchoring group.
    let build = |text: &str| {
        RegexBuilder::new(text).size_limit(REGEX_SIZE_LIMIT).build().map_err(|error| {
            let text = error.to_string();
            let cause = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("found the regular expression {pattern:?}, which is not valid: {cause}")
        })
    };
    build(pattern)?;
    let flags = if semantics.dot_matches_newline { "s" } else { "" };
    build(&format!("^(?{flags}:{pattern})$"))
}

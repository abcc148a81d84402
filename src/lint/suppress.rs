//! What its author does not want to hear: `# kedasim:ignore L-09` in a file, and `--ignore`.
//!
//! A comment silences its line; on a line of its own it silences what begins on the next line, with all that is indented
//! below; before the first line of a document, the whole document.

use crate::lint::rules::rule;
use crate::lint::{FileReport, Finding, RULES, Suppressed, SuppressedBy};
use crate::manifest::nearest;
use crate::units::{Diagnostic, Span};

const WORD: &str = "kedasim:ignore";

/// One comment.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Silence {
    /// Where the comment stands.
    line: u32,
    codes: Vec<String>,
    /// First and last line that it silences.
    from: u32,
    to: u32,
}

/// Moves what a comment of `text` or one of the codes `ignored` silences to `report.suppressed`, and warns of codes that
/// do not exist.
pub(super) fn silence(report: &mut FileReport, text: Option<&str>, ignored: &[&'static str]) {
    let (silences, mut wrong) = text.map_or_else(Default::default, |text| comments(text, &report.file));
    report.findings.append(&mut wrong);
    let mut suppressed = Vec::new();
    let mut sort = |findings: &mut Vec<Finding>| {
        let all = std::mem::take(findings);
        for finding in all {
            match silenced_by(&finding, &report.file, &silences, ignored) {
                Some(by) => suppressed.push(Suppressed { finding, by }),
                None => findings.push(finding),
            }
        }
    };
    sort(&mut report.findings);
    report.objects.iter_mut().for_each(|object| sort(&mut object.findings));
    report.suppressed = suppressed;
}

fn silenced_by(finding: &Finding, file: &str, silences: &[Silence], ignored: &[&'static str]) -> Option<SuppressedBy> {
    let code = finding.code()?;
    if ignored.contains(&code) {
        return Some(SuppressedBy::Flag);
    }
    let span = finding.diagnostic.span.as_ref().filter(|span| &*span.file == file)?;
    let covers = |own: &&Silence| (own.from..=own.to).contains(&span.line) && own.codes.iter().any(|own| own == code);
    silences.iter().find(covers).map(|own| SuppressedBy::Comment(own.line))
}

/// The code as the catalogue writes it; an error text that names near ones when there is none.
///
/// # Errors
/// See above.
pub fn known_code(found: &str) -> Result<&'static str, String> {
    if let Some(rule) = rule(&found.to_uppercase()) {
        return Ok(rule.code);
    }
    let near: Vec<&str> = RULES.iter().map(|rule| rule.code).filter(|code| is_near(code, found)).take(3).collect();
    let by_name = nearest(found, RULES.iter().map(|rule| rule.name)).and_then(rule);
    Err(match (near.is_empty(), by_name) {
        (false, _) => format!("found {found:?}, which is no rule; near it: {}", near.join(", ")),
        (true, Some(rule)) => format!("found {found:?}, which is no rule's code; {} is {}", rule.name, rule.code),
        (true, None) => format!("found {found:?}, expected the code of a rule, from L-01 to {}", last_code()),
    })
}

fn last_code() -> &'static str {
    RULES.last().map_or("L-01", |rule| rule.code)
}

/// Whether the digits of a code are those of the other but for one place, or the same number.
fn is_near(code: &str, found: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (own, other) = (digits(code), digits(found));
    if other.is_empty() {
        return false;
    }
    let number = |text: &str| text.parse::<u64>().ok();
    let differs = own.chars().zip(other.chars()).filter(|(left, right)| left != right).count();
    number(&own) == number(&other) || (own.len() == other.len() && differs == 1)
}

/// The comments of a text, and warnings of those that name no rule.
fn comments(text: &str, file: &str) -> (Vec<Silence>, Vec<Finding>) {
    let lines: Vec<&str> = text.lines().collect();
    let (mut silences, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        let Some((before, at)) = comment(line) else { continue };
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let place = |offset: usize| {
            let column = line[..offset].chars().count() + 1;
            Span::new(file, number, u32::try_from(column).unwrap_or(u32::MAX))
        };
        let mut codes = Vec::new();
        for (offset, word) in words(line, at + WORD.len()) {
            match known_code(word) {
                Ok(code) => codes.push(code.to_owned()),
                Err(message) => {
                    let warning = Diagnostic::warning(place(offset), "", message);
                    wrong.push(Finding::plain(
                        warning.help("kedasim lint --rules lists them; this comment silences nothing"),
                    ));
                }
            }
        }
        if codes.is_empty() && words(line, at + WORD.len()).is_empty() {
            let warning = Diagnostic::warning(place(at), "", format!("{WORD} names no rule and silences nothing"));
            wrong.push(Finding::plain(warning.help("write the codes behind it: # kedasim:ignore L-09 L-23")));
        }
        let (from, to) = if before.trim().is_empty() { below(&lines, index) } else { (index, index) };
        let number_of = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
        silences.push(Silence { line: number, codes, from: number_of(from), to: number_of(to) });
    }
    (silences, wrong)
}

/// What stands before a comment that silences, and where its word begins.
fn comment(line: &str) -> Option<(&str, usize)> {
    let at = line.find(WORD)?;
    let before = line[..at].trim_end();
    let before = before.strip_suffix('#')?;
    (before.is_empty() || before.ends_with([' ', '\t'])).then_some((before, at))
}

/// The codes behind the word: up to the first word that does not look like one.
fn words(line: &str, from: usize) -> Vec<(usize, &str)> {
    let looks_like = |word: &str| {
        let rest = word.strip_prefix(['L', 'l']);
        rest.is_some_and(|rest| rest.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()))
    };
    let start = line.as_ptr() as usize;
    line[from..]
        .split([' ', '\t', ','])
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - start, word.trim_end_matches([':', ';', '.'])))
        .take_while(|(_, word)| looks_like(word))
        .collect()
}

/// First and last line (from 0) of what begins below the comment at `index`: lines that are indented further, or the rest
/// of the document when nothing of it stands above.
fn below(lines: &[&str], index: usize) -> (usize, usize) {
    let is_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let starts_document = |line: &str| line.starts_with("---");
    let Some(first) = (index + 1..lines.len()).find(|at| is_content(lines[*at])) else { return (index, index) };
    let first = if starts_document(lines[first]) { first + 1 } else { first };
    let above = lines[..first].iter().rev().find(|line| is_content(line));
    let rest = || (first..lines.len()).skip(1);
    if above.is_none_or(|line| starts_document(line)) {
        let end = rest().find(|at| starts_document(lines[*at])).unwrap_or(lines.len());
        return (first, end.max(first + 1) - 1);
    }
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = lines.get(first).map_or(0, |line| indent(line));
    let end = rest().find(|at| is_content(lines[*at]) && indent(lines[*at]) <= own).unwrap_or(lines.len());
    (first, end.max(first + 1) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_silences_its_line_its_block_or_its_document() {
        let text = "# kedasim:ignore L-23 - by design\nkind: A\nspec:\n  a: 1 # kedasim:ignore L-01,L-03\n  # kedasim:ignore L-08\n  \
                    q: >-\n    x\n\n    y\n  b: 2\n---\n# kedasim:ignore l-45\n\nkind: B\n";
        let found = comments(text, "f");
        let places: Vec<_> = found.0.iter().map(|own| (own.line, own.codes.join(" "), own.from, own.to)).collect();
        let expected = [
            (1, "L-23".to_owned(), 2, 10),
            (4, "L-01 L-03".to_owned(), 4, 4),
            (5, "L-08".to_owned(), 6, 9),
            (12, "L-45".to_owned(), 14, 14),
        ];
        assert_eq!(places, expected);
        assert!(found.1.is_empty());
    }

    #[test]
    fn a_code_that_is_none_is_told_with_its_neighbours() {
        let (_, wrong) = comments("a: 1 # kedasim:ignore L-99 L-1\nb: 2 # kedasim:ignore because\n", "f");
        let texts: Vec<String> = wrong.iter().map(|own| own.diagnostic.to_string()).collect();
        assert!(
            texts[0].starts_with("warning: f:1:23: found \"L-99\", which is no rule; near it: L-09"),
            "{}",
            texts[0]
        );
        assert!(texts[1].contains("f:1:28: found \"L-1\"") && texts[1].contains("near it: L-01"), "{}", texts[1]);
        assert!(texts[2].contains("f:2:8: kedasim:ignore names no rule"), "{}", texts[2]);
        assert!(known_code("cooldown-without-efect").expect_err("a name").contains("L-01"));
        assert_eq!(known_code("l-09"), Ok("L-09"));
    }

    #[test]
    fn a_text_is_no_comment() {
        for line in ["a: x#kedasim:ignore L-01", "a: kedasim:ignore L-01", "a: \"kedasim:ignore\""] {
            assert_eq!(comment(line), None, "{line}");
        }
    }
}

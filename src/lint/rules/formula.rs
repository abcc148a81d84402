//! `scalingModifiers`: what the formula is given, and what becomes of its result.

use super::links::{FALLBACK, FORMULA};
use crate::lint::scalar_place;
use crate::lint::subject::{Subject, is_resource};
use crate::lint::{Basis, Finding, Rule};
use crate::prometheus::{BinaryOp, Kind};
use crate::units::Severity::{self, Warning};

pub(crate) static L_19: Rule = Rule::new("L-19", "coalescing-without-effect", Warning)
    .why("`??` only sees nil with fallback.behavior: scalingModifiers; with any other the fallback takes the whole formula's place")
    .fix("set fallback.behavior: scalingModifiers (KEDA 2.20), or take the ?? out")
    .link(FALLBACK);
pub(crate) static L_21: Rule = Rule::new("L-21", "division-by-zero", Warning)
    .why("x/0 and 0/0 reach the HPA as a huge number, negative or positive by the operator's processor")
    .fix("divide by max(name, 1), or test it: name > 0 ? a / name : 0")
    .link(FORMULA)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_52: Rule = Rule::new("L-52", "nil-in-arithmetic", Warning)
    .why("with fallback.behavior: scalingModifiers a failing trigger is nil, and nil in arithmetic is a runtime error: inactive, without an error at the poll")
    .fix("give every variable a value for nil: (name ?? 0)")
    .link(FORMULA)
    .basis(Basis::ManifestsAndRun);
pub(crate) static L_54: Rule = Rule::new("L-54", "formula-input-is-rounded", Warning)
    .why("a formula gets its inputs rounded to 0.001 and never below 0: small shares and negative differences are lost")
    .fix("compute differences in the formula, and scale small shares in the query (* 1000)")
    .link(FORMULA)
    .basis(Basis::ManifestsAndRun);

const PATH: &str = "spec.advanced.scalingModifiers.formula";

/// A word of the formula with its byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<'f> {
    text: &'f str,
    at: usize,
}

/// Names, numbers, operators of two characters and single characters, strings left out.
fn words(formula: &str) -> Vec<Word<'_>> {
    let bytes = formula.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let start = at;
        let run = |from: usize, belongs: &dyn Fn(u8) -> bool| {
            bytes[from..].iter().position(|byte| !belongs(*byte)).map_or(bytes.len(), |length| from + length)
        };
        let byte = bytes[at];
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        at = match byte {
            b'"' | b'\'' => {
                bytes[at + 1..].iter().position(|own| *own == byte).map_or(bytes.len(), |length| at + length + 2)
            }
            b'?' if bytes.get(at + 1) == Some(&b'?') => at + 2,
            _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                run(at, &|own| own.is_ascii_alphanumeric() || own == b'_')
            }
            _ if byte.is_ascii_digit() => run(at, &|own| own.is_ascii_alphanumeric() || own == b'.'),
            _ if !byte.is_ascii() => run(at, &|own| !own.is_ascii()),
            _ => at + 1,
        };
        found.push(Word { text: &formula[start..at], at: start });
    }
    found
}

/// A breach at a place of the formula.
fn in_formula(
    subject: &Subject<'_>,
    rule: &'static Rule,
    severity: Severity,
    at: usize,
    message: String,
) -> Option<Finding> {
    let (formula, span) = subject.modifier("formula")?;
    let text = subject.world.text_of(&span.file);
    let place = text.and_then(|text| scalar_place::place_of(text, span, formula, at));
    Some(Finding::breach(rule, severity, span.clone(), PATH, message).at(place))
}

fn behavior<'s>(subject: &'s Subject<'_>) -> Option<&'s str> {
    let fallback = subject.written.fallback.as_ref()?;
    Some(fallback.behavior.as_ref().map_or("static", |own| own.value.as_str()))
}

/// `??` that never sees nil.
pub(in crate::lint) fn l_19(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some((formula, _)) = subject.modifier("formula") else { return };
    let Some(own) = words(formula).into_iter().find(|own| own.text == "??") else { return };
    let message = match behavior(subject) {
        Some("scalingModifiers") => return,
        Some(other) => format!(
            "?? has no effect with fallback.behavior {other}: past the threshold the whole formula is passed over"
        ),
        None => "?? has no effect without a fallback of behavior scalingModifiers: a failing trigger fails the formula"
            .to_owned(),
    };
    found.extend(in_formula(subject, &L_19, Warning, own.at, message));
}

/// Names of the triggers that the formula gets.
fn inputs<'a>(subject: &Subject<'a>) -> Vec<&'a str> {
    let external = subject.written.triggers.iter().filter(|own| !is_resource(own));
    external.filter_map(|own| own.name.as_ref().map(|name| name.value.as_str())).collect()
}

/// Division by what may be 0.
pub(in crate::lint) fn l_21(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some((formula, _)) = subject.modifier("formula") else { return };
    let words = words(formula);
    let inputs = inputs(subject);
    for pair in words.windows(2) {
        let divisor = pair[1];
        if pair[0].text != "/" || !inputs.contains(&divisor.text) {
            continue;
        }
        // A condition on the divisor keeps the 0 away, as far as can be told without running.
        let compares = |next: &str| ["<", ">", "=", "!"].contains(&next);
        let is_tested = words.windows(2).any(|own| {
            own[0].text == divisor.text && compares(own[1].text) || own[1].text == divisor.text && compares(own[0].text)
        });
        if is_tested {
            continue;
        }
        let message = format!("{} may be 0, and then the formula is no number: the HPA gets a huge one", divisor.text);
        found.extend(in_formula(subject, &L_21, Warning, pair[0].at, message));
    }
}

/// nil without `??`.
pub(in crate::lint) fn l_52(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    let Some((formula, _)) = subject.modifier("formula") else { return };
    if behavior(subject) != Some("scalingModifiers") {
        return;
    }
    let words = words(formula);
    for name in inputs(subject) {
        let guarded = |index: usize| words.get(index + 1).is_some_and(|next| next.text == "??");
        let Some((_, word)) = words.iter().enumerate().find(|(index, own)| own.text == name && !guarded(*index)) else {
            continue;
        };
        let message = format!(
            "{name} is nil when its trigger fails, and here it has no ??: the formula fails, the target counts as inactive"
        );
        found.extend(in_formula(subject, &L_52, Warning, word.at, message));
    }
}

/// Differences that are taken before the formula.
pub(in crate::lint) fn l_54(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in subject.queries.iter().filter(|_| subject.has_formula()) {
        let root = query.plan.root.unparenthesized();
        if matches!(&root.kind, Kind::Binary(own) if own.op == BinaryOp::Sub) {
            let message = "a formula never gets less than 0: a negative difference arrives as 0";
            found.push(subject.in_query(&L_54, Warning, query, root.offset, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_cut_into_words() {
        let texts: Vec<&str> = words("a_1 / max(b, 2.5) ?? \"x / y\" ?: ä").iter().map(|own| own.text).collect();
        assert_eq!(texts, ["a_1", "/", "max", "(", "b", ",", "2.5", ")", "??", "\"x / y\"", "?", ":", "ä"]);
    }
}

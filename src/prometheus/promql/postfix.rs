//! What stands after an operand: ranges, subqueries, `offset` and `@`, with the arithmetic of durations
//! (promql/parser/generated_parser.y `offset_duration_expr` and `duration_expr`, promql/durations.go).
//!
//! Queries here are instant ones, so `step()` and `range()` are 0 and every duration is known when it is parsed.

use super::ParseError;
use super::ast::{At, BinaryOp, Expr, Kind, Modifiers, Type};
use super::calls::{go_max, go_min};
use super::lexer::TokenKind;
use super::parser::{Parsed, Parser};
use crate::units::math;

/// Seconds that upstream's int64 nanoseconds can hold.
const LIMIT_SECONDS: f64 = i64::MAX as f64 / 1e9;
/// Nanoseconds below which a product of seconds is exact to the nanosecond.
const EXACT_NANOSECONDS: f64 = 9e15;

/// A duration as far as it is parsed.
#[derive(Clone, Copy, Debug)]
struct Length {
    seconds: f64,
    /// A literal such as `5m`, in ms; what was computed is cut to whole ms at the end.
    literal_ms: Option<i64>,
    /// Whether it is a literal, at most with a sign.
    literal: bool,
}

impl Length {
    fn computed(seconds: f64) -> Self {
        Length { seconds, literal_ms: None, literal: false }
    }
    fn signed(self, negative: bool) -> Self {
        if negative {
            Length { seconds: -self.seconds, literal_ms: self.literal_ms.map(|ms| -ms), ..self }
        } else {
            self
        }
    }
    /// In ms: literals are nanoseconds first, computed ones are cut (durations.go `calculateDuration`).
    fn ms(self, place: usize) -> Parsed<i64> {
        if self.seconds.is_nan() || self.seconds.abs() > LIMIT_SECONDS {
            return Err(ParseError::new(place, "found a duration that is out of range"));
        }
        if let Some(ms) = self.literal_ms {
            return Ok(ms);
        }
        if !self.literal {
            return Ok((self.seconds * 1000.0) as i64);
        }
        let nanoseconds = (self.seconds * 1e9).round();
        if nanoseconds % 1e6 != 0.0 && nanoseconds.abs() < EXACT_NANOSECONDS {
            let message = format!("found a duration of {} s, expected whole milliseconds", self.seconds);
            return Err(ParseError::new(place, message).own_limit());
        }
        Ok(nanoseconds as i64 / 1_000_000)
    }
}

impl Parser<'_> {
    /// Ranges, subqueries, `offset` and `@` after an operand.
    pub(super) fn postfix(&mut self, mut expr: Expr) -> Parsed<Expr> {
        loop {
            if self.is_symbol("[") {
                expr = self.range(expr)?;
            } else if self.is_word("offset") {
                let place = self.next().start;
                let (offset_ms, computed) = self.offset_duration()?;
                let modifiers = modifiers_of(&mut expr).ok_or_else(|| wrong_modifier(place, "offset"))?;
                if modifiers.has_offset {
                    return Err(twice(place, "offset"));
                }
                // Upstream cannot tell a literal 0 from no offset (parse.go `addOffset`).
                (modifiers.offset_ms, modifiers.has_offset) = (offset_ms, computed || offset_ms != 0);
            } else if self.is_symbol("@") {
                let place = self.next().start;
                let at = self.at_time()?;
                let modifiers = modifiers_of(&mut expr).ok_or_else(|| wrong_modifier(place, "@"))?;
                if modifiers.at.is_some() {
                    return Err(twice(place, "@"));
                }
                modifiers.at = Some(at);
            } else if let Some(word) = ["smoothed", "anchored"].into_iter().find(|word| self.is_word(word)) {
                let flag = "which Prometheus accepts only with the feature flag promql-extended-range-selectors";
                return Err(self.error_here(format!("found the modifier {word}, {flag}")));
            } else {
                return Ok(expr);
            }
        }
    }

    fn range(&mut self, expr: Expr) -> Parsed<Expr> {
        let place = self.next().start;
        let range_ms = self.positive_duration()?;
        if self.take_symbol(":") {
            let step_ms = if self.is_symbol("]") { None } else { Some(self.positive_duration()?) };
            self.expect_symbol("]", "after the step")?;
            if expr.value_type() != Type::Vector {
                let found = expr.value_type().words();
                let message = format!("found a subquery of a {found}, expected an instant vector");
                return Err(ParseError::new(place, message));
            }
            let offset = expr.offset;
            let kind = Kind::Subquery { inner: Box::new(expr), range_ms, step_ms, modifiers: Modifiers::default() };
            return Ok(Expr { kind, offset });
        }
        self.expect_symbol("]", "or \":\" after the range")?;
        match expr.kind {
            Kind::Vector { selector, modifiers } if modifiers == Modifiers::default() => {
                let kind = Kind::Matrix { selector, range_ms, modifiers };
                Ok(Expr { kind, offset: expr.offset })
            }
            Kind::Vector { .. } => {
                let message = "found a range after offset or @, expected it before".to_owned();
                Err(ParseError::new(place, message))
            }
            _ => {
                let message =
                    "found a range after an expression that is not a selector, expected [range:] (a subquery)";
                Err(ParseError::new(place, message.to_owned()))
            }
        }
    }

    /// A duration of a millisecond or more: a range or a step.
    fn positive_duration(&mut self) -> Parsed<i64> {
        let place = self.peek().start;
        let length = self.duration_expression(0)?;
        let ms = length.ms(place)?;
        if length.seconds <= 0.0 {
            let message = format!("found a duration of {} s, expected one longer than 0", length.seconds);
            return Err(ParseError::new(place, message));
        }
        if ms == 0 {
            let message = format!("found a duration of {} s, expected at least a millisecond", length.seconds);
            return Err(ParseError::new(place, message).own_limit());
        }
        Ok(ms)
    }

    /// The duration after `offset`, and whether it is more than a literal. A literal, a call or a signed parenthesis ends
    /// it, so that `x offset 5m * 2` multiplies `x`; after a parenthesis alone it goes on. This is what goyacc makes of the
    /// grammar's conflicts: the earlier rule, and shift before reduce.
    fn offset_duration(&mut self) -> Parsed<(i64, bool)> {
        let place = self.peek().start;
        let length = if self.is_symbol("-") || self.is_symbol("+") {
            let negative = self.next_is_minus();
            if self.is_symbol("-") || self.is_symbol("+") {
                let operand = self.duration_expression(BinaryOp::Pow.precedence())?;
                self.duration_operations(operand.signed(negative), 0)?
            } else {
                self.duration_atom()?.signed(negative)
            }
        } else if self.is_symbol("(") {
            self.duration_expression(0)?
        } else {
            self.duration_atom()?
        };
        Ok((length.ms(place)?, !length.literal))
    }

    /// Arithmetic of durations whose operators bind at least as tightly as `minimum`.
    fn duration_expression(&mut self, minimum: u8) -> Parsed<Length> {
        self.descend()?;
        let first = if self.is_symbol("-") || self.is_symbol("+") {
            let negative = self.next_is_minus();
            // As before an expression, a sign binds looser than `^` and as tightly as `*`.
            self.duration_expression(BinaryOp::Pow.precedence())?.signed(negative)
        } else {
            self.duration_atom()?
        };
        let length = self.duration_operations(first, minimum)?;
        self.ascend();
        Ok(length)
    }

    fn duration_operations(&mut self, mut left: Length, minimum: u8) -> Parsed<Length> {
        while let Some(op) = self.duration_operator().filter(|op| op.precedence() >= minimum) {
            self.arithmetic_of_durations()?;
            let place = self.next().start;
            let binding = op.precedence();
            let right = self.duration_expression(if op == BinaryOp::Pow { binding } else { binding + 1 })?;
            let (a, b) = (left.seconds, right.seconds);
            if b == 0.0 && matches!(op, BinaryOp::Div | BinaryOp::Mod) {
                return Err(ParseError::new(place, "found a division of a duration by zero"));
            }
            left = Length::computed(match op {
                BinaryOp::Add => a + b,
                BinaryOp::Sub => a - b,
                BinaryOp::Mul => a * b,
                BinaryOp::Div => a / b,
                BinaryOp::Mod => a % b,
                _ => math::pow(a, b),
            });
        }
        Ok(left)
    }

    fn duration_operator(&self) -> Option<BinaryOp> {
        use BinaryOp::{Add, Div, Mod, Mul, Pow, Sub};
        self.binary_operator().filter(|operator| matches!(operator, Add | Sub | Mul | Div | Mod | Pow))
    }

    /// A literal, a call or a parenthesis.
    fn duration_atom(&mut self) -> Parsed<Length> {
        let place = self.peek().start;
        match self.peek().kind.clone() {
            TokenKind::Duration(ms) => {
                self.next();
                Ok(Length { seconds: ms as f64 / 1000.0, literal_ms: Some(ms), literal: true })
            }
            TokenKind::Number(seconds) if self.semantics.parser3 => {
                self.next();
                let length = Length { seconds, literal_ms: None, literal: true };
                if seconds.is_nan() || seconds.abs() > LIMIT_SECONDS {
                    return Err(ParseError::new(place, "found a duration that is out of range"));
                }
                Ok(length)
            }
            TokenKind::Symbol("(") => {
                self.arithmetic_of_durations()?;
                self.next();
                let inner = self.duration_expression(0)?;
                self.expect_symbol(")", "to close the parenthesis")?;
                Ok(inner)
            }
            TokenKind::Word(word) if matches!(self.peek_after(), TokenKind::Symbol("(")) => self.duration_call(&word),
            _ => Err(self.unexpected("a duration such as 5m")),
        }
    }

    /// `step()`, `range()`, `min_of(a, b)` or `max_of(a, b)`.
    fn duration_call(&mut self, word: &str) -> Parsed<Length> {
        let name = word.to_ascii_lowercase();
        if !matches!(name.as_str(), "step" | "range" | "min_of" | "max_of") {
            return Err(self.unexpected("a duration such as 5m"));
        }
        self.arithmetic_of_durations()?;
        self.next();
        self.expect_symbol("(", "after the name")?;
        if matches!(name.as_str(), "step" | "range") {
            self.expect_symbol(")", "in an empty call")?;
            return Ok(Length::computed(0.0));
        }
        let first = self.duration_expression(0)?.seconds;
        self.expect_symbol(",", "between the two durations")?;
        let second = self.duration_expression(0)?.seconds;
        self.expect_symbol(")", "after the two durations")?;
        Ok(Length::computed(if name == "min_of" { go_min(first, second) } else { go_max(first, second) }))
    }

    /// Whether the sign that comes next is a minus; takes it.
    fn next_is_minus(&mut self) -> bool {
        self.next().kind == TokenKind::Symbol("-")
    }

    fn arithmetic_of_durations(&self) -> Parsed<()> {
        if self.semantics.duration_arithmetic {
            return Ok(());
        }
        let message = "found arithmetic in a duration, which Prometheus accepts from 3.14 on (before, only with the \
                       feature flag promql-duration-expr)";
        Err(self.error_here(message.to_owned()))
    }

    fn at_time(&mut self) -> Parsed<At> {
        if self.is_word("start") || self.is_word("end") {
            self.next();
            self.expect_symbol("(", "after start or end")?;
            self.expect_symbol(")", "after start or end")?;
            return Ok(At::QueryTime);
        }
        let place = self.peek().start;
        let negative = self.take_symbol("-");
        if !negative {
            self.take_symbol("+");
        }
        let seconds = match self.peek().kind {
            TokenKind::Number(seconds) => seconds,
            TokenKind::Duration(ms) if self.semantics.parser3 => ms as f64 / 1000.0,
            _ => return Err(self.unexpected("a time in seconds, start() or end() after @")),
        };
        self.next();
        let seconds = if negative { -seconds } else { seconds };
        if !seconds.is_finite() || seconds.abs() > 9.2e15 {
            return Err(ParseError::new(place, "found a time for @ that is out of range"));
        }
        Ok(At::Fixed((seconds * 1000.0).round() as i64))
    }
}

fn modifiers_of(expr: &mut Expr) -> Option<&mut Modifiers> {
    match &mut expr.kind {
        Kind::Vector { modifiers, .. } | Kind::Matrix { modifiers, .. } | Kind::Subquery { modifiers, .. } => {
            Some(modifiers)
        }
        _ => None,
    }
}

fn wrong_modifier(offset: usize, name: &str) -> ParseError {
    ParseError::new(offset, format!("found {name} after an expression, expected it after a selector or subquery"))
}

fn twice(offset: usize, name: &str) -> ParseError {
    ParseError::new(offset, format!("found {name} twice"))
}

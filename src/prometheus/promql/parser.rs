//! Tokens to a tree: a Pratt parser (promql/parser/generated_parser.y, by its grammar's precedences).

use super::ParseError;
use super::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Card, Expr, Kind, Matching, Modifiers, Plan, Selector, Type,
};
use super::check;
use super::functions::{self, Lookup};
use super::lexer::{Token, TokenKind, tokenize};
use super::matcher::Matcher;
use super::semantics::Semantics;

/// Nesting of parentheses, calls and signs.
const NESTING_LIMIT: usize = 100;
/// Binary operators in one query; each may deepen the tree by one.
const OPERATOR_LIMIT: usize = 250;
/// Bytes of a query.
const LENGTH_LIMIT: usize = 64 << 10;

/// Parses and type-checks a query.
///
/// # Errors
/// As Prometheus' parser would refuse it, or what is not supported, with the place.
pub(crate) fn parse(text: &str, semantics: Semantics) -> Result<Plan, ParseError> {
    if text.len() > LENGTH_LIMIT {
        let message = format!("found a query of {} bytes, expected at most {LENGTH_LIMIT}", text.len());
        return Err(ParseError::new(text.len(), message).own_limit());
    }
    let tokens = tokenize(text, semantics.parser3)?;
    let mut parser = Parser { text, tokens, at: 0, semantics, selectors: Vec::new(), memos: 0, depth: 0, operators: 0 };
    if parser.peek().kind == TokenKind::End {
        return Err(parser.error_here("found no expression in the query".to_owned()));
    }
    let root = parser.expression(0)?;
    if parser.peek().kind != TokenKind::End {
        return Err(parser.unexpected("an operator or the end of the query"));
    }
    check::check(&root)?;
    Ok(Plan { root, selectors: parser.selectors, memos: parser.memos })
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    pub(super) semantics: Semantics,
    selectors: Vec<Selector>,
    memos: usize,
    depth: usize,
    operators: usize,
}

pub(super) type Parsed<T> = Result<T, ParseError>;

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }
    pub(super) fn peek_after(&self) -> &TokenKind {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].kind
    }
    pub(super) fn next(&mut self) -> Token {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }
    pub(super) fn error_here(&self, message: String) -> ParseError {
        ParseError::new(self.peek().start, message)
    }
    pub(super) fn unexpected(&self, expected: &str) -> ParseError {
        self.error_here(format!("found {}, expected {expected}", self.peek().kind.words()))
    }
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Symbol(found) if *found == symbol)
    }
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(&self.peek().kind, TokenKind::Word(found) if found.eq_ignore_ascii_case(word))
    }
    pub(super) fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.next();
        }
        found
    }
    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }
    pub(super) fn expect_symbol(&mut self, symbol: &str, context: &str) -> Parsed<()> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("{symbol:?} {context}"))) }
    }
    fn memo(&mut self) -> usize {
        self.memos += 1;
        self.memos - 1
    }

    /// An expression whose binary operators bind at least as tightly as `minimum`.
    fn expression(&mut self, minimum: u8) -> Parsed<Expr> {
        self.descend()?;
        let mut lhs = self.unary()?;
        while let Some(op) = self.binary_operator() {
            let precedence = op.precedence();
            if precedence < minimum {
                break;
            }
            self.operators += 1;
            if self.operators > OPERATOR_LIMIT {
                return Err(self.error_here(format!("found more than {OPERATOR_LIMIT} binary operators")).own_limit());
            }
            let offset = self.next().start;
            let (return_bool, matching) = self.binary_modifiers(op)?;
            // `^` is the only operator that associates to the right.
            let rhs = self.expression(if op == BinaryOp::Pow { precedence } else { precedence + 1 })?;
            let (memo_left, memo_right) = (self.memo(), self.memo());
            let binary = Binary { op, return_bool, matching, lhs, rhs, memo_left, memo_right };
            lhs = Expr { kind: Kind::Binary(Box::new(binary)), offset };
        }
        self.ascend();
        Ok(lhs)
    }

    /// One level deeper; nothing that nests may do without, for the stack is finite.
    pub(super) fn descend(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth <= NESTING_LIMIT {
            return Ok(());
        }
        Err(self.error_here(format!("found an expression nested more than {NESTING_LIMIT} deep")).own_limit())
    }

    /// Back from [`Parser::descend`].
    pub(super) fn ascend(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn binary_operator(&self) -> Option<BinaryOp> {
        Some(match &self.peek().kind {
            TokenKind::Symbol(symbol) => match *symbol {
                "+" => BinaryOp::Add,
                "-" => BinaryOp::Sub,
                "*" => BinaryOp::Mul,
                "/" => BinaryOp::Div,
                "%" => BinaryOp::Mod,
                "^" => BinaryOp::Pow,
                "==" => BinaryOp::Eq,
                "!=" => BinaryOp::Ne,
                ">" => BinaryOp::Gt,
                "<" => BinaryOp::Lt,
                ">=" => BinaryOp::Ge,
                "<=" => BinaryOp::Le,
                _ => return None,
            },
            TokenKind::Word(word) => match word.to_ascii_lowercase().as_str() {
                "and" => BinaryOp::And,
                "or" => BinaryOp::Or,
                "unless" => BinaryOp::Unless,
                "atan2" => BinaryOp::Atan2,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// `bool`, `on`/`ignoring` and `group_*` after a binary operator.
    fn binary_modifiers(&mut self, op: BinaryOp) -> Parsed<(bool, Matching)> {
        let bool_error = self.error_here("the bool modifier can only be used on comparison operators".to_owned());
        let return_bool = self.take_word("bool");
        if return_bool && !op.is_comparison() {
            return Err(bool_error);
        }
        let mut matching = Matching { card: Card::OneToOne, on: false, labels: Vec::new(), include: Vec::new() };
        if self.is_word("on") || self.is_word("ignoring") {
            matching.on = self.is_word("on");
            self.next();
            matching.labels = self.label_list()?;
            let group_error = self.error_here("no grouping allowed for set operations".to_owned());
            if self.is_word("group_left") || self.is_word("group_right") {
                matching.card = if self.is_word("group_left") { Card::ManyToOne } else { Card::OneToMany };
                self.next();
                let include_start = self.peek().start;
                if self.is_symbol("(") {
                    matching.include = self.label_list()?;
                }
                if op.is_set() {
                    return Err(group_error);
                }
                let both = matching.include.iter().find(|label| matching.on && matching.labels.contains(label));
                if let Some(label) = both {
                    let message = format!("found the label {label:?} in both on() and the group modifier");
                    return Err(ParseError::new(include_start, message));
                }
            }
        }
        // Metrics may have these names (promql/parser/lex.go `peekFollowedByLeftParen`).
        let fill = ["fill", "fill_left", "fill_right"].into_iter().find(|word| self.is_word(word));
        if let Some(word) = fill.filter(|_| matches!(self.peek_after(), TokenKind::Symbol("("))) {
            let flag = "which Prometheus accepts only with the feature flag promql-binop-fill-modifiers";
            return Err(self.error_here(format!("found the modifier {word}(), {flag}")));
        }
        Ok((return_bool, matching))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        if self.is_symbol("-") || self.is_symbol("+") {
            let negative = self.is_symbol("-");
            let offset = self.next().start;
            // A sign binds looser than `^` and as tightly as `*` (`%prec MUL`).
            let inner = self.expression(BinaryOp::Pow.precedence())?;
            if !matches!(inner.value_type(), Type::Scalar | Type::Vector) {
                let found = inner.value_type().words();
                let message = format!("found a sign before a {found}, expected a scalar or an instant vector");
                return Err(ParseError::new(offset, message));
            }
            if !negative {
                return Ok(Expr { kind: Kind::Paren(Box::new(inner)), offset });
            }
            return Ok(match inner.kind {
                Kind::Number(number) => Expr { kind: Kind::Number(-number), offset },
                _ => Expr { kind: Kind::Negate(Box::new(inner)), offset },
            });
        }
        let primary = self.primary()?;
        self.postfix(primary)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        let offset = token.start;
        match token.kind {
            TokenKind::Number(number) => {
                self.next();
                Ok(Expr { kind: Kind::Number(number), offset })
            }
            TokenKind::Duration(ms) if self.semantics.parser3 => {
                self.next();
                Ok(Expr { kind: Kind::Number(ms as f64 / 1000.0), offset })
            }
            TokenKind::String(text) => {
                self.next();
                Ok(Expr { kind: Kind::String(text), offset })
            }
            TokenKind::InvalidString => {
                self.next();
                Ok(Expr { kind: Kind::InvalidString, offset })
            }
            TokenKind::Symbol("(") => {
                self.next();
                let inner = self.expression(0)?;
                self.expect_symbol(")", "to close the parenthesis")?;
                Ok(Expr { kind: Kind::Paren(Box::new(inner)), offset })
            }
            TokenKind::Symbol("{") => self.selector(None, offset),
            TokenKind::Word(word) => self.word(&word, offset),
            _ => Err(self.unexpected("a number, a selector, a function or a parenthesis")),
        }
    }

    /// An aggregation, a call or a metric name.
    fn word(&mut self, word: &str, offset: usize) -> Parsed<Expr> {
        let called = matches!(self.peek_after(), TokenKind::Symbol("("));
        let grouped = matches!(self.peek_after(), TokenKind::Word(next)
            if next.eq_ignore_ascii_case("by") || next.eq_ignore_ascii_case("without"));
        if let Some(op) = AggregateOp::by_name(word).filter(|_| called || grouped) {
            self.next();
            return self.aggregate(op, offset);
        }
        // `limitk by (..) (..)` too must say why it is refused.
        let refused_aggregation =
            grouped && ["limitk", "limit_ratio"].iter().any(|refused| refused.eq_ignore_ascii_case(word));
        if called || refused_aggregation {
            let function = match functions::lookup(word, self.semantics) {
                Lookup::Found(function) => function,
                Lookup::Refused(message) => return Err(ParseError::new(offset, message)),
                Lookup::NotSupported(message) => return Err(ParseError::new(offset, message).own_limit()),
            };
            self.next();
            let args = self.arguments()?;
            let memo = self.memo();
            return Ok(Expr { kind: Kind::Call { function, args, memo }, offset });
        }
        let reserved = ["on", "ignoring", "group_left", "group_right", "bool", "atan2"];
        if reserved.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) {
            return Err(self.unexpected("an expression"));
        }
        self.next();
        self.selector(Some(word), offset)
    }

    fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        self.expect_symbol("(", "before the arguments")?;
        let mut args = Vec::new();
        if self.take_symbol(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            if !self.take_symbol(",") {
                break;
            }
        }
        self.expect_symbol(")", "after the arguments")?;
        Ok(args)
    }

    fn aggregate(&mut self, op: AggregateOp, offset: usize) -> Parsed<Expr> {
        let mut grouping = self.grouping()?;
        let mut args = self.arguments()?;
        if grouping.is_none() {
            grouping = self.grouping()?;
        }
        let wanted = if op.takes_parameter() { 2 } else { 1 };
        let found = args.len();
        let (Some(inner), true) = (args.pop(), found == wanted) else {
            let message = format!("found {found} argument(s) of an aggregation, expected {wanted}");
            return Err(ParseError::new(offset, message));
        };
        let (without, grouping) = grouping.unwrap_or_default();
        let memo = self.memo();
        let aggregate = Aggregate { op, param: args.pop(), inner, grouping, without, memo };
        Ok(Expr { kind: Kind::Aggregate(Box::new(aggregate)), offset })
    }

    /// `by (..)` or `without (..)`: (without, labels).
    fn grouping(&mut self) -> Parsed<Option<(bool, Vec<String>)>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.next();
        Ok(Some((without, self.label_list()?)))
    }

    fn label_list(&mut self) -> Parsed<Vec<String>> {
        self.expect_symbol("(", "before the label names")?;
        let mut labels = Vec::new();
        while !self.take_symbol(")") {
            labels.push(self.label_name()?);
            if !self.take_symbol(",") {
                self.expect_symbol(")", "after the label names")?;
                break;
            }
        }
        Ok(labels)
    }

    /// A label's name in a list. Since 3.0 any text is one, a bare one with colons too; 2.55 has the quotes alone.
    fn label_name(&mut self) -> Parsed<String> {
        let any_text = self.semantics.left_open;
        let old_style = |text: &str| {
            let mut bytes = text.bytes();
            bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
                && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match &self.peek().kind {
            TokenKind::Word(word) if any_text || old_style(word) => {}
            TokenKind::String(text) if self.semantics.parser3 && (any_text || old_style(text)) && !text.is_empty() => {}
            _ => return Err(self.unexpected("a label name")),
        }
        Ok(match self.next().kind {
            TokenKind::Word(text) | TokenKind::String(text) => text,
            _ => unreachable!("only these two were let through"),
        })
    }

    /// A name within braces, where keywords and numbers are none; a quoted one may be the metric's.
    fn matched_name(&mut self) -> Parsed<String> {
        match &self.peek().kind {
            TokenKind::Word(word) if !word.contains(':') => {}
            // `inf` and `nan` lex as numbers.
            TokenKind::Number(number) if !number.is_finite() => {}
            TokenKind::String(_) if self.semantics.parser3 => {}
            _ => return Err(self.unexpected("a label name")),
        }
        let token = self.next();
        Ok(match token.kind {
            TokenKind::Word(text) | TokenKind::String(text) => text,
            _ => self.text[token.start..token.end].to_owned(),
        })
    }

    /// A selector whose metric name (if any) has been read.
    fn selector(&mut self, name: Option<&str>, offset: usize) -> Parsed<Expr> {
        let mut matchers: Vec<Matcher> = Vec::new();
        if self.take_symbol("{") {
            while !self.take_symbol("}") {
                let place = self.peek().start;
                let quoted = matches!(self.peek().kind, TokenKind::String(_));
                let label = self.matched_name()?;
                if quoted && (self.is_symbol(",") || self.is_symbol("}")) {
                    matchers.push(Matcher::equal("__name__", &label));
                } else {
                    matchers.push(self.matcher(&label, place)?);
                }
                if !self.take_symbol(",") {
                    self.expect_symbol("}", "or \",\" after a matcher")?;
                    break;
                }
            }
        }
        // Within the braces alone, a name may be matched more than once (parse.go `checkAST`).
        if let Some(metric) = name {
            if let Some(second) = matchers.iter().find(|matcher| matcher.name == "__name__") {
                let message = format!("found the metric name twice: {metric:?} and {:?}", second.value);
                return Err(ParseError::new(offset, message));
            }
            matchers.insert(0, Matcher::equal("__name__", metric));
        }
        if matchers.iter().all(|matcher| matcher.matches_value("")) {
            let message = "found a selector that every series can match, expected at least one matcher that \
                           the empty string does not pass";
            return Err(ParseError::new(offset, message.to_owned()));
        }
        let end = self.tokens[self.at - 1].end;
        let text = self.text[offset..end].to_owned();
        self.selectors.push(Selector { text, offset, matchers });
        let kind = Kind::Vector { selector: self.selectors.len() - 1, modifiers: Modifiers::default() };
        Ok(Expr { kind, offset })
    }

    fn matcher(&mut self, label: &str, place: usize) -> Parsed<Matcher> {
        let op = match &self.peek().kind {
            TokenKind::Symbol(op) if matches!(*op, "=" | "!=" | "=~" | "!~") => *op,
            _ => return Err(self.unexpected("one of = != =~ !~")),
        };
        self.next();
        let TokenKind::String(value) = &self.peek().kind else {
            return Err(self.unexpected("a string in quotes"));
        };
        let matcher =
            Matcher::new(label, op, value, self.semantics).map_err(|message| ParseError::new(place, message))?;
        self.next();
        Ok(matcher)
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;

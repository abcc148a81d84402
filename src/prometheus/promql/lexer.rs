//! Text to tokens, with byte offsets.

use super::ParseError;

/// Kinds of tokens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenKind {
    /// An identifier or keyword; may contain colons.
    Word(String),
    /// A number.
    Number(f64),
    /// A duration such as `1h30m`, in ms.
    Duration(i64),
    /// A string literal, unescaped.
    String(String),
    /// A string literal whose bytes are not UTF-8.
    InvalidString,
    /// An operator or bracket.
    Symbol(&'static str),
    /// The end of the text.
    End,
}

/// A token with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub kind: TokenKind,
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
}

impl TokenKind {
    /// The token in a message.
    pub fn words(&self) -> String {
        match self {
            TokenKind::Word(word) => format!("{word:?}"),
            TokenKind::Number(number) => format!("the number {number}"),
            TokenKind::Duration(ms) => format!("the duration {ms}ms"),
            TokenKind::String(text) => format!("the string {text:?}"),
            TokenKind::InvalidString => "a string that is not valid UTF-8".to_owned(),
            TokenKind::Symbol(symbol) => format!("{symbol:?}"),
            TokenKind::End => "the end of the query".to_owned(),
        }
    }
}

const SYMBOLS: [&str; 25] = [
    "==", "!=", "=~", "!~", ">=", "<=", "(", ")", "{", "}", "[", "]", ",", ":", "@", "+", "-", "*", "/", "%", "^", "=",
    ">", "<", ";",
];

/// All tokens of `text`, the last one being `End`.
///
/// # Errors
/// At the first character that begins no token.
pub(crate) fn tokenize(text: &str, underscores: bool) -> Result<Vec<Token>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    // Inside square brackets a word may not begin with a colon: `[5m:]` must not lex `:` into a name.
    let mut in_brackets = false;
    // Upstream's state between a bracket and the first number in it knows no comments (promql/parser/lex.go `lexDurationExpr`).
    let mut before_duration = false;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let rest = &text[at..];
        let first = bytes[at];
        if matches!(first, b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
            continue;
        }
        if first == b'#' && !before_duration {
            at += rest.find(['\n', '\r']).unwrap_or(rest.len());
            continue;
        }
        let (kind, length) = if matches!(first, b'"' | b'\'' | b'`') {
            string_token(text, at)?
        } else if first.is_ascii_digit() || (first == b'.' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)) {
            before_duration = false;
            number_token(text, at, underscores)?
        } else if first.is_ascii_alphabetic() || first == b'_' || (first == b':' && !in_brackets) {
            let colons = !in_brackets;
            let length = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':')))
                .unwrap_or(rest.len());
            word_token(&rest[..length])
        } else if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            match *symbol {
                "[" => (in_brackets, before_duration) = (true, true),
                "]" => (in_brackets, before_duration) = (false, false),
                _ => {}
            }
            (TokenKind::Symbol(symbol), symbol.len())
        } else {
            let found = rest.chars().next().unwrap_or(' ');
            return Err(ParseError::new(at, format!("found the unexpected character {found:?}")));
        };
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, start: text.len(), end: text.len() });
    Ok(tokens)
}

fn word_token(word: &str) -> (TokenKind, usize) {
    let kind = match word.to_ascii_lowercase().as_str() {
        "inf" => TokenKind::Number(f64::INFINITY),
        "nan" => TokenKind::Number(f64::NAN),
        _ => TokenKind::Word(word.to_owned()),
    };
    (kind, word.len())
}

/// A number or duration beginning at `at`.
fn number_token(text: &str, at: usize, underscores: bool) -> Result<(TokenKind, usize), ParseError> {
    let rest = &text[at..];
    let bytes = rest.as_bytes();
    let scanned = if underscores { scan_number(bytes) } else { scan_plain_number(bytes) };
    if let Some(length) = scanned {
        let word = &rest[..length];
        let value =
            number_value(word).ok_or_else(|| ParseError::new(at, format!("found the malformed number {word:?}")))?;
        if value.is_infinite() {
            return Err(ParseError::new(at, format!("found the number {word}, which is out of range")));
        }
        return Ok((TokenKind::Number(value), length));
    }
    let length = bytes.iter().position(|b| !is_alphanumeric(*b) && *b != b'.').unwrap_or(bytes.len());
    let word = &rest[..length];
    match duration_ms(word) {
        Some(ms) => ms.map(|ms| (TokenKind::Duration(ms), length)).map_err(|message| ParseError::new(at, message)),
        None => Err(ParseError::new(at, format!("found the malformed number {word:?}"))),
    }
}

fn is_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The length of a number of newer versions at the beginning of `bytes` (promql/parser/lex.go `scanNumber`): it may have
/// underscores, and an `e` after a first hexadecimal digit counts as an exponent.
fn scan_number(bytes: &[u8]) -> Option<usize> {
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let hexadecimal = is(0, b"0") && is(1, b"xX");
    let is_digit = |at: usize| {
        bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || (hexadecimal && byte.is_ascii_hexdigit()))
    };
    // What a separator may not be followed by, the end included.
    let dangling = |at: usize| at >= bytes.len() || is(at, b"._eE");
    let mut at = if hexadecimal { 2 + usize::from(is(2, b"_")) } else { usize::from(is(0, b"0")) };
    at += usize::from(is(at, b"."));
    at += usize::from(is_digit(at));
    let (mut dot, mut exponent) = (false, false);
    while is_digit(at) || is(at, b"._eE") {
        if is(at, b".") {
            if dot || hexadecimal || is(at + 1, b"_.") {
                return None;
            }
            dot = true;
            at += 1;
        } else if is(at, b"eE") {
            at += 1 + usize::from(is(at + 1, b"+-"));
            if exponent || dangling(at) {
                return None;
            }
            exponent = true;
        } else if is(at, b"_") {
            at += 1;
            if dangling(at) {
                return None;
            }
        } else {
            while is_digit(at) {
                at += 1;
            }
        }
    }
    bytes.get(at).is_none_or(|byte| !is_alphanumeric(*byte)).then_some(at)
}

/// The same of older versions.
fn scan_plain_number(bytes: &[u8]) -> Option<usize> {
    let is = |at: usize, set: &[u8]| bytes.get(at).is_some_and(|byte| set.contains(byte));
    let hexadecimal = is(0, b"0") && is(1, b"xX");
    let digits = |mut at: usize, hexadecimal: bool| {
        while bytes.get(at).is_some_and(|byte| byte.is_ascii_digit() || (hexadecimal && byte.is_ascii_hexdigit())) {
            at += 1;
        }
        at
    };
    let mut at = digits(if hexadecimal { 2 } else { 0 }, hexadecimal);
    if is(at, b".") {
        at = digits(at + 1, hexadecimal);
    }
    if is(at, b"eE") {
        at = digits(at + 1 + usize::from(is(at + 1, b"+-")), false);
    }
    bytes.get(at).is_none_or(|byte| !is_alphanumeric(*byte)).then_some(at)
}

/// The value as Go reads it: first as an integer, whose leading zero means octal, then as a float
/// (promql/parser/parse.go `number`, strconv `ParseInt` with base 0 and `ParseFloat`).
fn number_value(word: &str) -> Option<f64> {
    let digits = word.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    if let Some(hexadecimal) = lower.strip_prefix("0x") {
        // `from_str_radix` would take a sign.
        let plain = hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit());
        return i64::from_str_radix(hexadecimal, 16).ok().filter(|_| plain).map(|value| value as f64);
    }
    let octal = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    if octal && let Ok(value) = i64::from_str_radix(&digits, 8) {
        return Some(value as f64);
    }
    // Rust's own grammar also knows "infinity" and the like; only digits come here.
    digits.parse().ok()
}

/// `None` when `word` does not look like a duration at all.
fn duration_ms(word: &str) -> Option<Result<i64, String>> {
    let units: [(&str, i64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let mut rest = word;
    let mut total = 0i64;
    let mut next_unit = 0;
    let range = || format!("found the duration {word:?}, which is out of range");
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let position = units.iter().position(|(name, _)| *name == unit)?;
        if number.is_empty() {
            return None;
        }
        if position < next_unit {
            return Some(Err(format!(
                "found {word:?}, expected a duration with units in falling order, such as 1h30m"
            )));
        }
        next_unit = position + 1;
        let part = number.parse::<i64>().ok().and_then(|n| n.checked_mul(units[position].1));
        match part.and_then(|part| total.checked_add(part)) {
            Some(sum) => total = sum,
            None => return Some(Err(range())),
        }
        rest = next;
    }
    // Upstream holds durations in int64 nanoseconds.
    Some(if total > i64::MAX / 1_000_000 { Err(range()) } else { Ok(total) })
}

/// A string literal beginning at `at`, unescaped as Go does (util/strutil/quote.go `Unquote`).
fn string_token(text: &str, at: usize) -> Result<(TokenKind, usize), ParseError> {
    let quote = text.as_bytes()[at] as char;
    let error = |offset: usize, message: &str| ParseError::new(offset, message.to_owned());
    let mut chars = text[at + 1..].char_indices().map(|(index, c)| (at + 1 + index, c));
    let mut value: Vec<u8> = Vec::new();
    while let Some((place, c)) = chars.next() {
        if c == quote {
            let kind = String::from_utf8(value).map_or(TokenKind::InvalidString, TokenKind::String);
            return Ok((kind, place + 1 - at));
        }
        if c == char::REPLACEMENT_CHARACTER {
            return Err(error(place, "found a replacement character in a string, which stands for invalid UTF-8"));
        }
        if quote != '`' && c == '\n' {
            return Err(error(at, "found a quoted string that is not closed on its line"));
        }
        if quote == '`' || c != '\\' {
            push_char(c, &mut value);
        } else {
            unescape(quote, &mut chars.by_ref().map(|(_, c)| c), &mut value)
                .ok_or_else(|| error(place, "found an unknown escape sequence in a string"))?;
        }
    }
    Err(error(at, "found a quoted string that is not closed"))
}

fn push_char(c: char, value: &mut Vec<u8>) {
    value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// What stands after a backslash; `None` when it is no escape sequence.
fn unescape(quote: char, chars: &mut impl Iterator<Item = char>, value: &mut Vec<u8>) -> Option<()> {
    let escape = chars.next()?;
    let plain = match escape {
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' => b'\\',
        _ if escape == quote => u8::try_from(escape).ok()?,
        // Hexadecimal and octal escapes are raw bytes, the others code points.
        'x' => u8::try_from(number_of(0, 2, 16, chars)?).ok()?,
        '0'..='7' => u8::try_from(number_of(escape.to_digit(8)?, 2, 8, chars)?).ok()?,
        'u' | 'U' => {
            let code = number_of(0, if escape == 'u' { 4 } else { 8 }, 16, chars)?;
            push_char(char::from_u32(code)?, value);
            return Some(());
        }
        _ => return None,
    };
    value.push(plain);
    Some(())
}

/// `count` more digits after `first`.
fn number_of(first: u32, count: usize, radix: u32, chars: &mut impl Iterator<Item = char>) -> Option<u32> {
    (0..count).try_fold(first, |code, _| code.checked_mul(radix)?.checked_add(chars.next()?.to_digit(radix)?))
}

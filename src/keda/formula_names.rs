//! Finds names in a formula that nothing binds. Upstream's compiler types the whole formula; the library used here looks a
//! name up only when it evaluates it, so that a mistake in a branch would wait for the branch.

/// Words of the language that look like names.
const WORDS: [&str; 14] = [
    "true",
    "false",
    "nil",
    "let",
    "if",
    "else",
    "and",
    "or",
    "not",
    "in",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
];

/// The language's functions (expr-lang/expr v1.17 `builtin/builtin.go`).
const FUNCTIONS: [&str; 71] = [
    "all",
    "none",
    "any",
    "one",
    "filter",
    "map",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "count",
    "sum",
    "groupBy",
    "sortBy",
    "reduce",
    "len",
    "type",
    "abs",
    "ceil",
    "floor",
    "round",
    "int",
    "float",
    "string",
    "trim",
    "trimPrefix",
    "trimSuffix",
    "upper",
    "lower",
    "split",
    "splitAfter",
    "replace",
    "repeat",
    "join",
    "indexOf",
    "lastIndexOf",
    "hasPrefix",
    "hasSuffix",
    "max",
    "min",
    "mean",
    "median",
    "toJSON",
    "fromJSON",
    "toBase64",
    "fromBase64",
    "now",
    "duration",
    "date",
    "timezone",
    "first",
    "last",
    "get",
    "take",
    "keys",
    "values",
    "toPairs",
    "fromPairs",
    "reverse",
    "uniq",
    "concat",
    "flatten",
    "sort",
    "bitand",
    "bitor",
    "bitxor",
    "bitnand",
    "bitnot",
    "bitshl",
    "bitshr",
    "bitushr",
];

/// The first name that is neither bound by the caller nor by `let`, with its line and column in the formula as written,
/// both from 1. A call needs a function; fields and `#` are passed over.
pub(super) fn unknown_name<'a>(formula: &'a str, bound: &[&str]) -> Option<(&'a str, usize, usize)> {
    let tokens = names(formula);
    let mut local: Vec<&str> = Vec::new();
    let mut after_let = false;
    for token in tokens {
        if after_let {
            local.push(token.text);
            after_let = false;
            continue;
        }
        after_let = token.text == "let";
        let known = WORDS.contains(&token.text) || bound.contains(&token.text) || local.contains(&token.text);
        let known = known || token.is_call && FUNCTIONS.contains(&token.text);
        if !known && !token.is_field {
            let before = &formula[..token.at];
            let line = before.matches('\n').count() + 1;
            let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
            return Some((token.text, line, column));
        }
    }
    None
}

struct Name<'a> {
    text: &'a str,
    at: usize,
    /// Followed by an opening parenthesis.
    is_call: bool,
    /// Preceded by a dot or `#` or `$`.
    is_field: bool,
}

/// Every name outside strings and comments.
fn names(formula: &str) -> Vec<Name<'_>> {
    let bytes = formula.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'' | b'`') => at = after_string(bytes, at + 1, quote),
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = find(bytes, at, b"\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = find(bytes, at + 2, b"*/") + 2,
            b'0'..=b'9' => at = after_word(bytes, at),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let end = after_word(bytes, at);
                let next = bytes[end..].iter().find(|byte| !byte.is_ascii_whitespace());
                let before = at.checked_sub(1).map(|before| bytes[before]);
                found.push(Name {
                    text: &formula[at..end],
                    at,
                    is_call: next == Some(&b'('),
                    is_field: matches!(before, Some(b'.' | b'#' | b'$')) && !(at >= 2 && bytes[at - 2] == b'.'),
                });
                at = end;
            }
            _ => at += 1,
        }
    }
    found
}

fn after_word(bytes: &[u8], at: usize) -> usize {
    let rest = bytes[at..].iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_'));
    rest.map_or(bytes.len(), |length| at + length)
}

fn after_string(bytes: &[u8], mut at: usize, quote: u8) -> usize {
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' && quote != b'`' { 2 } else { 1 };
    }
    at + 1
}

fn find(bytes: &[u8], at: usize, end: &[u8]) -> usize {
    let from = bytes.get(at..).unwrap_or_default();
    from.windows(end.len()).position(|own| own == end).map_or(bytes.len(), |length| at + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_nothing_binds() {
        // formula, the first unbound name with its place.
        let table = [
            ("a + b", None),                                     // both bound
            ("a + c", Some(("c", 1, 5))),                        // one not
            ("a > 1 ? a :\n  foo", Some(("foo", 2, 3))),         // in a branch, on the second line
            ("max(a, b) + ceil (a)", None),                      // calls
            ("count([a, b], {# > 1}) > 1 ? 5 : 0", None),        // closures
            ("let x = a; x + b", None),                          // bound by the formula
            ("let x = a; y + b", Some(("y", 1, 12))),            // or not
            ("a-b", None),                                       // a subtraction
            ("a not in [1, 2] and true ? 1e3 : 0x1f", None),     // words and numbers
            ("a == 1 ? 'foo' + \"bar \\\" baz\" : `qux`", None), // strings
            ("a /* foo */ + b // bar", None),                    // comments
            ("a ?? nil", None),                                  // nil
            ("a > 1e9 ? avg(a) : b", Some(("avg", 1, 11))),      // no such function
            ("1..c", Some(("c", 1, 4))),                         // a range's end is no field
            ("", None),                                          // nothing
        ];
        for (formula, expected) in table {
            assert_eq!(unknown_name(formula, &["a", "b"]), expected, "{formula}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}", close in "[a-z'\"`/*. \\\\\n]{0,20}") {
            let _ = (unknown_name(&text, &["a"]), unknown_name(&close, &["a"]));
        }
    }
}

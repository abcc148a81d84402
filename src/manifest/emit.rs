//! Located trees back to YAML text: block style, strings quoted wherever a reader could take them for something else.
//! Comments and the author's own style are not kept.

use crate::manifest::{Node, Value, yaml};
use std::fmt::Write as _;

/// `node` as one YAML document, ending in a line break. Reading it back gives the same values.
pub(crate) fn emit(node: &Node) -> String {
    let mut text = String::new();
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => block(node, 0, &mut text),
        Value::Seq(items) if !items.is_empty() => block(node, 0, &mut text),
        _ => {
            after(node, 0, &mut text);
            text = text.trim_start().to_owned();
        }
    }
    text
}

/// A non-empty mapping or list, its lines indented by `depth` steps.
fn block(node: &Node, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match &node.value {
        Value::Map(entries) => {
            for (key, value) in entries {
                text.push_str(&indent);
                text.push_str(&scalar(&key.name));
                text.push(':');
                after(value, depth + 1, text);
            }
        }
        Value::Seq(items) => {
            for item in items {
                text.push_str(&indent);
                text.push('-');
                match &item.value {
                    // The first key stands behind the dash, which is as wide as one step.
                    Value::Map(entries) if !entries.is_empty() => {
                        let mut inner = String::new();
                        block(item, depth + 1, &mut inner);
                        text.push(' ');
                        text.push_str(inner.trim_start_matches(' '));
                    }
                    _ => after(item, depth + 1, text),
                }
            }
        }
        _ => {}
    }
}

/// What stands behind `key:` or `-`, with the line break; `depth` is that of its lines if it needs some.
fn after(node: &Node, depth: usize, text: &mut String) {
    match &node.value {
        Value::Null => text.push_str(" null\n"),
        Value::Bool(value) => {
            let _ = writeln!(text, " {value}");
        }
        Value::Int(value) => {
            let _ = writeln!(text, " {value}");
        }
        // A float stays a float when read again: 1000.0, 1e300.
        Value::Float(value) => {
            let _ = writeln!(text, " {value:?}");
        }
        Value::Str(value) => match literal(value, depth) {
            Some(lines) => text.push_str(&lines),
            None => {
                let _ = writeln!(text, " {}", scalar(value));
            }
        },
        Value::Seq(items) if items.is_empty() => text.push_str(" []\n"),
        Value::Map(entries) if entries.is_empty() => text.push_str(" {}\n"),
        Value::Seq(_) | Value::Map(_) => {
            text.push('\n');
            block(node, depth, text);
        }
    }
}

/// A text of several plain lines as a literal block (`|-`); `None` where quotes are needed or enough.
fn literal(value: &str, depth: usize) -> Option<String> {
    let (body, header) = match value.strip_suffix('\n') {
        Some(body) => (body, "|"),
        None => (value, "|-"),
    };
    let clean = body.contains('\n')
        && body.chars().all(|character| character == '\n' || !unprintable(character))
        && body.lines().all(|line| line.trim_end() == line)
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n');
    if !clean {
        return None;
    }
    let indent = "  ".repeat(depth.max(1));
    let mut text = format!(" {header}\n");
    for line in body.split('\n') {
        if !line.is_empty() {
            text.push_str(&indent);
            text.push_str(line);
        }
        text.push('\n');
    }
    Some(text)
}

fn unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// One line: plain where every YAML reader takes it for this very string (no digit first: it might be a date), else
/// double quoted.
fn scalar(value: &str) -> String {
    let plain = !value.is_empty()
        && value.trim() == value
        && value.starts_with(|first: char| first.is_alphabetic() || matches!(first, '/' | '_' | '('))
        && !value.chars().any(unprintable)
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.ends_with(':')
        && matches!(yaml::parse_scalar(value), Value::Str(_));
    if plain {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            _ if unprintable(character) => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Key, parse_documents};
    use crate::units::Span;
    use proptest::prelude::*;

    fn node(value: Value) -> Node {
        Node { value, span: Span::new("t", 1, 1) }
    }

    /// The values alone: places change when a tree is written anew.
    fn stripped(own: &Node) -> Node {
        node(match &own.value {
            Value::Seq(items) => Value::Seq(items.iter().map(stripped).collect()),
            Value::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, value)| (Key { name: key.name.clone(), span: Span::new("t", 1, 1) }, stripped(value)))
                    .collect(),
            ),
            other => other.clone(),
        })
    }

    fn tree() -> impl Strategy<Value = Node> {
        let text = prop_oneof![
            any::<String>(),
            "[a-z:# {}\\[\\]&*!|>'\"%@`,?=<-]{0,12}",
            "[ a\\n]{0,8}",
            "[-+.0-9eExo_:]{1,6}",
            prop::sample::select(vec![
                "yes", "null", "~", "NaN", ".inf", "0777", "1e3", "<<", "---", "...", "- a", "a:"
            ])
            .prop_map(str::to_owned),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            prop::num::f64::NORMAL.prop_map(Value::Float),
            text.clone().prop_map(Value::Str),
        ]
        .prop_map(node);
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let map = prop::collection::btree_map(text.clone(), inner.clone(), 0..5).prop_map(|entries| {
                let key = |name| Key { name, span: Span::new("t", 1, 1) };
                Value::Map(entries.into_iter().map(|(name, value)| (key(name), value)).collect())
            });
            prop_oneof![prop::collection::vec(inner, 0..5).prop_map(Value::Seq), map].prop_map(node)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]
        #[test]
        fn what_is_written_reads_back_the_same(tree in tree()) {
            let text = emit(&tree);
            let read = parse_documents(&text, "t").map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            let expected = if tree.value == Value::Null { Vec::new() } else { vec![tree] };
            let read: Vec<Node> = read.iter().map(stripped).collect();
            prop_assert_eq!(read, expected, "{}", text);
        }
    }

    #[test]
    fn a_policy_is_written_as_its_author_would() {
        let text = "\
spec:
  triggers:
    - type: prometheus
      metadata:
        threshold: \"5\"
        query: |-
          sum(rate(x{a=\"b\"}[2m]))
          + vector(0)
        off: \"no\"
  behavior: {}
  policies: []
  pollingInterval: 15
  ratio: 0.5
";
        let root = parse_documents(text, "t").expect("valid").remove(0);
        // The list stands one step in, as is usual in Kubernetes; only that differs.
        let written = emit(&root);
        assert_eq!(written, text.replace("off: ", "\"off\": "));
    }
}

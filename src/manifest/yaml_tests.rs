use super::*;

fn one(text: &str) -> Node {
    let mut documents = parse_documents(text, "t.yaml").expect("valid YAML");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn value(text: &str) -> Value {
    one(&format!("a: {text}\n")).get("a").expect("the key is there").value.clone()
}

/// `line:column` and message of the error that `text` gives.
fn refused(text: &str) -> (String, String) {
    let error = parse_documents(text, "t.yaml").expect_err("broken YAML");
    let span = error.span.expect("a place");
    assert_eq!(&*span.file, "t.yaml");
    (format!("{}:{}", span.line, span.column), error.message)
}

#[test]
fn scalars_are_typed_as_kubernetes_loader_does() {
    let cases = [
        ("5", Value::Int(5)),
        ("\"5\"", Value::Str("5".to_owned())), // Quotes make a string.
        ("'5'", Value::Str("5".to_owned())),
        ("-3", Value::Int(-3)),
        ("0777", Value::Int(511)), // YAML 1.1's octal.
        ("0o777", Value::Int(511)),
        ("0x1f", Value::Int(31)),
        ("08", Value::Float(8.0)), // No octal digit, so a float.
        ("1_000", Value::Int(1_000)),
        ("1e3", Value::Float(1_000.0)),
        ("0.5", Value::Float(0.5)),
        ("yes", Value::Bool(true)),
        ("off", Value::Bool(false)),
        ("On", Value::Bool(true)),
        ("true", Value::Bool(true)),
        ("\"true\"", Value::Str("true".to_owned())),
        ("1:30", Value::Str("1:30".to_owned())), // No sexagesimal number.
        ("30s", Value::Str("30s".to_owned())),
        ("~", Value::Null),
        ("", Value::Null),
        ("null", Value::Null),
        (">-\n  x\n  y", Value::Str("x y".to_owned())),
        ("|\n  x\n  y", Value::Str("x\ny\n".to_owned())),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("9223372036854775808", Value::Float(9_223_372_036_854_775_808.0)), // Beyond i64: a float, not wrapped.
        ("-9223372036854775809", Value::Float(-9_223_372_036_854_775_808.0)),
        ("99999999999999999999999", Value::Float(1e23)),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn keys_and_values_have_places_in_characters_from_one() {
    let root = one("é: ü\nnested:\n  list:\n    - {ß: 1}\n");
    let Value::Map(entries) = &root.value else { panic!("a mapping") };
    let place = |span: &Span| (span.line, span.column);
    assert_eq!(place(&entries[0].0.span), (1, 1));
    assert_eq!(place(&entries[0].1.span), (1, 4));
    let list = root.get("nested").and_then(|nested| nested.get("list")).expect("the list");
    let Value::Seq(items) = &list.value else { panic!("a list") };
    assert_eq!(place(&items[0].span), (4, 7));
    assert_eq!(place(&items[0].get("ß").expect("the key").span), (4, 11));
}

#[test]
fn line_endings_and_a_byte_order_mark_do_not_matter() {
    assert_eq!(one("\u{feff}a: 1\r\nb: |\r\n  x\r\n"), one("a: 1\nb: |\n  x\n"));
}

#[test]
fn empty_documents_are_dropped_and_lines_stay_those_of_the_file() {
    assert!(parse_documents("", "t").expect("valid").is_empty());
    assert!(parse_documents("# only a comment\n---\n~\n", "t").expect("valid").is_empty());
    let documents = parse_documents("---\n# nothing\n---\na: 1\n---\nb: 2\n...\n", "t").expect("valid");
    let lines: Vec<u32> = documents.iter().map(|document| document.span.line).collect();
    assert_eq!(lines, [4, 6]);
}

#[test]
fn merge_keys_are_merged_and_own_keys_win() {
    let root = one("base: &base {x: 1, y: 2}\nuse:\n  <<: *base\n  y: 3\nalias: *base\n");
    let merged = root.get("use").expect("the key");
    assert_eq!(merged.get("x").map(|node| &node.value), Some(&Value::Int(1)));
    assert_eq!(merged.get("y").map(|node| &node.value), Some(&Value::Int(3)));
    assert!(merged.get("<<").is_none());
    // A merged value stands where it is written.
    assert_eq!(merged.get("x").map(|node| node.span.line), Some(1));
    assert_eq!(root.get("alias").and_then(|alias| alias.get("y")).map(|node| &node.value), Some(&Value::Int(2)));
}

#[test]
fn keys_that_are_no_strings_become_their_text() {
    let root = one("1: a\ntrue: b\n0.5: c\n");
    for (key, text) in [("1", "a"), ("true", "b"), ("0.5", "c")] {
        assert_eq!(root.get(key).and_then(Node::as_str), Some(text));
    }
}

#[test]
fn broken_yaml_is_one_located_message() {
    let cases = [
        ("a: 1\nb: 2\na: 3\n", "3:1", "duplicate key \"a\""),
        ("1: a\n\"1\": b\n", "2:1", "duplicate key \"1\""), // Different values, the same text.
        ("a:\n\tb: 1\n", "2:1", "a tab is used for indentation"),
        ("a:\n  b: 1\n  \tc: 1\n", "3:3", "a tab is used for indentation"),
        ("a: \"foo\nb: 2\n", "1:4", "unclosed quote"),
        ("a: [1, 2\n", "1:4", "unclosed bracket"),
        ("a: b: c\n", "1:5", "mapping values are not allowed"),
        ("? [a]\n: b\n", "1:3", "a mapping or list where a key is expected"),
        ("~: b\n", "1:1", "an empty mapping key"),
        ("a: *x\n", "1:4", "unknown anchor"),
        ("a: .inf\n", "1:4", "infinite"),
        ("a: !!int foo\n", "1:10", "not the whole number"),
        ("a: 1\nb: x\u{1}\n", "2:5", "control character U+0001"),
    ];
    for (text, place, fragment) in cases {
        let (found, message) = refused(text);
        assert_eq!(found, place, "{text:?}: {message}");
        assert!(message.contains(fragment), "{text:?}: {message}");
        assert!(!message.contains('\n') && !message.contains("at line"), "{message}");
    }
}

#[test]
fn an_error_in_one_document_ends_the_reading() {
    let (place, _) = refused("a: 1\n---\nb: [\n---\nc: ]\n");
    assert!(place.starts_with("3:") || place.starts_with("4:"), "{place}");
}

#[test]
fn limits_are_kept_without_hanging() {
    let deep: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..11 {
        let uses = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{uses}]\n"));
    }
    let cases = [
        (deep, "nested more than 64 levels"),
        ("[".repeat(100_000), "nested more than 64 levels"),
        ("{a: ".repeat(50_000), "nested more than 64 levels"),
        (laughs, "aliases expand to more than 50000 values"),
        ("---\na: 1\n".repeat(65), "more than 64 documents"),
        ("- a\n".repeat(50_001), "more than 50000 values"),
    ];
    for (text, fragment) in cases {
        let (_, message) = refused(&text);
        assert!(message.contains(fragment), "{message}");
    }
    assert_eq!(parse_documents(&"---\na: 1\n".repeat(64), "t").map(|documents| documents.len()), Ok(64));
    let large = format!("a: {}\n", "x".repeat(MAX_BYTES));
    let error = parse_documents(&large, "t").expect_err("too large");
    assert!(error.to_string().starts_with("error: t: "), "{error}");
}

#[test]
fn scalars_of_the_command_line_are_typed_like_a_file_but_stay_whole() {
    let cases = [
        ("5", Value::Int(5)),
        ("\"5\"", Value::Str("5".to_owned())),
        ("'a b'", Value::Str("a b".to_owned())),
        ("true", Value::Bool(true)),
        ("0.25", Value::Float(0.25)),
        ("null", Value::Null),
        ("30s", Value::Str("30s".to_owned())),
        ("", Value::Str(String::new())),
        ("sum(rate(x{a=\"b\"}[2m])) # note", Value::Str("sum(rate(x{a=\"b\"}[2m])) # note".to_owned())),
        ("[1, 2]", Value::Str("[1, 2]".to_owned())),
        ("{a: b}", Value::Str("{a: b}".to_owned())),
        ("a: b", Value::Str("a: b".to_owned())),
        ("\"open", Value::Str("\"open".to_owned())),
    ];
    for (text, expected) in cases {
        assert_eq!(parse_scalar(text), expected, "{text}");
    }
}

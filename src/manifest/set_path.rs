//! `--set PATH=VALUE` and sweep axes: replaces one value in a document's tree.

use crate::manifest::{Bundle, Document, Key, Node, Value, yaml};
use crate::units::{Diagnostic, Span};

/// The file name in places that come from `--set`.
pub(crate) const SET_FILE: &str = "--set";

/// The value in `--set PATH=VALUE`, typed as YAML types a scalar: `5` is an integer, `"5"` a string, `true` a boolean,
/// `null` takes the field away. A list or mapping in YAML's flow form (`[]`, `{min: 1s}`) is one. Anything else is a
/// string of exactly this text; so is a number that is not written as it would be printed (`1.30`), which fields that
/// want a number still take for one.
pub fn parse_value(text: &str) -> Value {
    let scalar = yaml::parse_scalar(text);
    let trimmed = text.trim();
    let as_printed = match &scalar {
        Value::Int(number) => number.to_string() == trimmed,
        Value::Float(number) => number.to_string() == trimmed,
        Value::Bool(truth) => truth.to_string() == trimmed,
        Value::Str(_) if trimmed.starts_with(['[', '{']) => {
            return flow(trimmed).unwrap_or(scalar);
        }
        _ => true,
    };
    if as_printed { scalar } else { Value::Str(trimmed.to_owned()) }
}

/// A list or mapping in flow form, every place that of `--set`.
fn flow(text: &str) -> Option<Value> {
    let mut documents = yaml::parse_documents(text, SET_FILE).ok()?;
    let node = documents.pop().filter(|_| documents.is_empty())?;
    Some(place(node.value, &Span::new(SET_FILE, 0, 0)))
}

/// `value` with every place in it replaced by `span`.
fn place(value: Value, span: &Span) -> Value {
    let node = |node: Node| Node { value: place(node.value, span), span: span.clone() };
    match value {
        Value::Seq(items) => Value::Seq(items.into_iter().map(node).collect()),
        Value::Map(entries) => {
            let entry = |(key, value): (Key, Node)| (Key { name: key.name, span: span.clone() }, node(value));
            Value::Map(entries.into_iter().map(entry).collect())
        }
        scalar => scalar,
    }
}

impl Bundle {
    /// Sets `path` to `value` in the document it names: `ScaledObject:spec.triggers[0].metadata.threshold`,
    /// `Scenario:spec.seed`, `Traffic:...`, `Profile:...`; without a kind, the ScaledObject (or HPA). A value that stands
    /// where a string stood becomes a string; a missing last key is created, a missing parent mapping too.
    ///
    /// Keys are joined by dots; `[0]` is a list's index, `["key with.dots"]` a key with dots in it, such as an annotation's:
    /// `metadata.annotations["autoscaling.keda.sh/paused"]`. Of several documents of a kind the first is meant.
    ///
    /// # Errors
    /// When no document has that kind, when there are several ScaledObjects, or when the path runs through a list index
    /// or value that is not there.
    pub fn set(&mut self, path: &str, value: Value) -> Result<(), Diagnostic> {
        self.set_at(path, value, &Span::new(SET_FILE, 0, 0))
    }

    /// As [`Bundle::set`] for a value in the text form of [`parse_value`]. Where a string stands the text is kept as it is,
    /// also when it looks like a list or mapping (`{__name__="up"}`).
    ///
    /// # Errors
    /// As [`Bundle::set`].
    pub fn set_text(&mut self, path: &str, text: &str) -> Result<(), Diagnostic> {
        let value = match parse_value(text) {
            Value::Seq(_) | Value::Map(_) if self.is_string(path) => Value::Str(text.to_owned()),
            // The text as typed: 1e3 stays 1e3.
            Value::Int(_) | Value::Float(_) | Value::Bool(_) if self.is_string(path) => {
                Value::Str(text.trim().to_owned())
            }
            value => value,
        };
        self.set(path, value)
    }

    /// Whether a string stands at `path`.
    fn is_string(&self, path: &str) -> bool {
        let (kind, rest) = split_kind(path);
        let (Ok(steps), Ok(index)) = (parse_path(rest), self.named_by(kind)) else { return false };
        let mut node = Some(&self.documents[index].root);
        for step in &steps {
            node = node.and_then(|node| match (step, &node.value) {
                (Step::Key(name), _) => node.get(name),
                (Step::Index(index), Value::Seq(items)) => items.get(*index),
                (Step::Index(_), _) => None,
            });
        }
        node.is_some_and(|node| matches!(node.value, Value::Str(_)))
    }

    /// As [`Bundle::set`] for a value that stands at `span`, which places of the new value and of new keys become.
    ///
    /// # Errors
    /// As [`Bundle::set`], placed at `span`.
    pub fn set_at(&mut self, path: &str, value: Value, span: &Span) -> Result<(), Diagnostic> {
        let wrong = |path: &str, message: String| Diagnostic::error(span.clone(), path, message);
        let (kind, rest) = split_kind(path);
        let steps = parse_path(rest).map_err(|message| wrong(path, message))?;
        if let Some((key, spelling)) = dotted_key(&steps) {
            let message = format!("a dot in a key ends it, so this is no path to {key:?}");
            let kind = kind.map(|kind| format!("{kind}:")).unwrap_or_default();
            let help = format!("write the key in brackets: --set '{kind}{spelling}=VALUE'");
            return Err(wrong(path, message).help(help));
        }
        let index = self.named_by(kind).map_err(|diagnostic| Diagnostic {
            path: path.to_owned(),
            span: Some(span.clone()),
            ..diagnostic
        })?;
        let document = &mut self.documents[index];
        // On a copy: a path that fails half-way must leave no made-up mappings behind.
        let mut root = document.root.clone();
        replace(&mut root, &steps, place(value, span), span).map_err(|message| wrong(path, message))?;
        document.root = root;
        document.refresh();
        Ok(())
    }

    /// The index of the document that `kind` (or nothing) names.
    fn named_by(&self, kind: Option<&str>) -> Result<usize, Diagnostic> {
        let of_kind = |wanted: &str| -> Vec<usize> {
            (0..self.documents.len()).filter(|index| self.documents[*index].kind == wanted).collect()
        };
        let mut wanted = kind.unwrap_or("ScaledObject");
        let mut found = of_kind(wanted);
        if kind.is_none() && found.is_empty() {
            wanted = "HorizontalPodAutoscaler";
            found = of_kind(wanted);
        }
        if found.len() > 1 && wanted == "ScaledObject" {
            let names: Vec<&str> = found.iter().map(|index| self.documents[*index].name.as_str()).collect();
            let message = format!("{} ScaledObjects were read: {}", found.len(), names.join(", "));
            return Err(
                Diagnostic::error(Span::new(SET_FILE, 0, 0), "", message).help("give a file with the one to change")
            );
        }
        found.first().copied().ok_or_else(|| {
            let named = kind.unwrap_or("ScaledObject or HorizontalPodAutoscaler");
            let mut kinds: Vec<&str> = self.documents.iter().map(|document| document.kind.as_str()).collect();
            kinds.sort_unstable();
            kinds.dedup();
            let have = if kinds.is_empty() { "no documents".to_owned() } else { kinds.join(", ") };
            let inline = |document: &Document| {
                let traffic = document.root.get("spec").and_then(|spec| spec.get("traffic"));
                document.kind == "Scenario" && traffic.is_some_and(|traffic| traffic.get("file").is_none())
            };
            let help = if kind == Some("Traffic") && self.documents.iter().any(inline) {
                "the Scenario has its traffic inside: write Scenario:spec.traffic..."
            } else {
                "write KIND:path, for instance Scenario:spec.seed"
            };
            Diagnostic::error(Span::new(SET_FILE, 0, 0), "", format!("no {named} was read, only {have}")).help(help)
        })
    }
}

/// `Kind:rest`; a colon further on belongs to the path.
fn split_kind(path: &str) -> (Option<&str>, &str) {
    match path.split_once(':') {
        Some((kind, rest)) if !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric()) => (Some(kind), rest),
        _ => (None, path),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

fn parse_path(path: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix("[\"") {
            let (key, more) = inside.split_once("\"]").ok_or_else(|| "a [\" without its \"]".to_owned())?;
            steps.push(Step::Key(key.to_owned()));
            rest = more;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let (index, more) = inside.split_once(']').ok_or_else(|| "a [ without its ]".to_owned())?;
            let index = index.parse().map_err(|_| format!("[{index}] is not a list index such as [0]"))?;
            steps.push(Step::Index(index));
            rest = more;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (key, more) = rest.split_at(end);
            if key.is_empty() {
                return Err("an empty key in the path".to_owned());
            }
            steps.push(Step::Key(key.to_owned()));
            rest = more;
        }
        if let Some(more) = rest.strip_prefix('.') {
            if more.is_empty() || more.starts_with('[') {
                return Err("an empty key in the path".to_owned());
            }
            rest = more;
        } else if !rest.is_empty() && !rest.starts_with('[') {
            return Err(format!("expected a dot before {rest:?}"));
        }
    }
    if steps.is_empty() { Err("the path is empty".to_owned()) } else { Ok(steps) }
}

/// The mappings of text to text whose keys usually have dots in them.
const DOTTED: [&str; 6] = ["annotations", "labels", "matchLabels", "nodeSelector", "limits", "requests"];

/// The key that a path into one of [`DOTTED`] was meant to have, and the path as it must be written.
fn dotted_key(steps: &[Step]) -> Option<(String, String)> {
    let is_dotted = |step: &Step| matches!(step, Step::Key(key) if DOTTED.contains(&key.as_str()));
    let inside = steps.iter().position(is_dotted)? + 1;
    let mut keys = Vec::new();
    for step in &steps[inside..] {
        let Step::Key(key) = step else { return None };
        keys.push(key.as_str());
    }
    let key = keys.join(".");
    (keys.len() > 1).then(|| (key.clone(), format!("{}[{key:?}]", text_of(&steps[..inside]))))
}

fn replace(root: &mut Node, steps: &[Step], value: Value, span: &Span) -> Result<(), String> {
    let mut node = root;
    for (depth, step) in steps.iter().enumerate() {
        let place = || if depth == 0 { "the document".to_owned() } else { text_of(&steps[..depth]) };
        match step {
            Step::Key(name) => {
                if node.value == Value::Null {
                    node.value = Value::Map(Vec::new());
                }
                let described = node.describe();
                let Value::Map(entries) = &mut node.value else {
                    return Err(format!("{} is {described}, which has no key {name:?}", place()));
                };
                let at = entries.iter().position(|(key, _)| key.name == *name).unwrap_or_else(|| {
                    let key = Key { name: name.clone(), span: span.clone() };
                    entries.push((key, Node { value: Value::Null, span: span.clone() }));
                    entries.len() - 1
                });
                node = &mut entries[at].1;
            }
            Step::Index(index) => {
                let described = node.describe();
                let Value::Seq(items) = &mut node.value else {
                    return Err(format!("{} is {described}, not a list", place()));
                };
                let length = items.len();
                let Some(item) = items.get_mut(*index) else {
                    return Err(format!("{} has {length} items, so there is no [{index}]", place()));
                };
                node = item;
            }
        }
    }
    node.value = match (&node.value, value) {
        (Value::Str(_), Value::Int(number)) => Value::Str(number.to_string()),
        (Value::Str(_), Value::Float(number)) => Value::Str(number.to_string()),
        (Value::Str(_), Value::Bool(truth)) => Value::Str(truth.to_string()),
        (_, value) => value,
    };
    node.span = span.clone();
    Ok(())
}

fn text_of(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) if key.contains('.') => text.push_str(&format!("[{key:?}]")),
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.push_str(&format!(".{key}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "\
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: app}
spec:
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata: {threshold: \"5\", query: up}
---
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: one}
spec: {seed: 1}
";

    fn bundle() -> Bundle {
        Bundle::from_text(POLICY, "t.yaml").expect("valid")
    }

    fn at<'b>(bundle: &'b Bundle, document: usize, path: &[&str]) -> Option<&'b Value> {
        let mut node = &bundle.documents[document].root;
        for key in path {
            node = match (&node.value, key.parse::<usize>()) {
                (Value::Seq(items), Ok(index)) => items.get(index)?,
                _ => node.get(key)?,
            };
        }
        Some(&node.value)
    }

    #[test]
    fn a_value_is_replaced_where_the_path_leads() {
        let mut bundle = bundle();
        bundle.set("ScaledObject:spec.maxReplicaCount", Value::Int(8)).expect("set");
        bundle.set("spec.triggers[0].metadata[\"query\"]", Value::Str("vector(1)".to_owned())).expect("set");
        bundle.set("Scenario:spec.seed", Value::Int(7)).expect("set");
        assert_eq!(at(&bundle, 0, &["spec", "maxReplicaCount"]), Some(&Value::Int(8)));
        let query = at(&bundle, 0, &["spec", "triggers", "0", "metadata", "query"]);
        assert_eq!(query, Some(&Value::Str("vector(1)".to_owned())));
        assert_eq!(at(&bundle, 1, &["spec", "seed"]), Some(&Value::Int(7)));
        let policy = bundle.policy_text();
        assert!(policy.contains("maxReplicaCount: 8") && policy.contains("vector(1)"), "{policy}");
        assert!(!policy.contains("Scenario"), "{policy}");
    }

    #[test]
    fn what_stood_as_a_string_stays_a_string() {
        for (value, text) in [(Value::Int(10), "10"), (Value::Float(0.5), "0.5"), (Value::Bool(true), "true")] {
            let mut bundle = bundle();
            bundle.set("spec.triggers[0].metadata.threshold", value).expect("set");
            let found = at(&bundle, 0, &["spec", "triggers", "0", "metadata", "threshold"]);
            assert_eq!(found, Some(&Value::Str(text.to_owned())));
        }
    }

    #[test]
    fn a_typed_value_is_what_its_field_wants() {
        let mut bundle = bundle();
        // Where a string stands, the text is kept.
        for text in ["1e3", "0.50", "yes", "{a=\"b\"}", "[5]"] {
            bundle.set_text("spec.triggers[0].metadata.threshold", text).expect("set");
            let found = at(&bundle, 0, &["spec", "triggers", "0", "metadata", "threshold"]);
            assert_eq!(found, Some(&Value::Str(text.to_owned())), "{text}");
        }
        bundle.set_text("spec.triggers", "[]").expect("set");
        assert_eq!(at(&bundle, 0, &["spec", "triggers"]), Some(&Value::Seq(Vec::new())));
        // A new field: text for whoever wants text, a number for whoever wants a number.
        for (typed, text, number) in [("3", "3", Some(3.0)), ("1.30", "1.30", Some(1.3)), ("true", "true", None)] {
            bundle.set_text("Scenario:spec.x", typed).expect("set");
            let spec = bundle.documents[1].root.get("spec").expect("a spec");
            let mut diagnostics = crate::units::Diagnostics::new();
            let mut fields = crate::manifest::Fields::of(spec, "spec", &mut diagnostics).expect("a mapping");
            assert_eq!(fields.string("x", &mut diagnostics).map(|found| found.value).as_deref(), Some(text));
            assert_eq!(fields.number("x", &mut diagnostics).map(|found| found.value), number);
        }
        assert_eq!(parse_value("{min: 1s, n: 2}"), parse_value("{\"min\": 1s, n: 2}"));
        assert!(matches!(parse_value("{min: 1s}"), Value::Map(_)));
    }

    #[test]
    fn missing_mappings_are_created() {
        let mut bundle = bundle();
        let path = "spec.advanced.horizontalPodAutoscalerConfig.name";
        bundle.set(path, Value::Str("hpa".to_owned())).expect("set");
        bundle.set("metadata.annotations[\"autoscaling.keda.sh/paused\"]", Value::Str("true".to_owned())).expect("set");
        let found = at(&bundle, 0, &["spec", "advanced", "horizontalPodAutoscalerConfig", "name"]);
        assert_eq!(found, Some(&Value::Str("hpa".to_owned())));
        let found = at(&bundle, 0, &["metadata", "annotations", "autoscaling.keda.sh/paused"]);
        assert_eq!(found, Some(&Value::Str("true".to_owned())));
    }

    #[test]
    fn a_new_name_is_the_documents_name() {
        let mut bundle = bundle();
        bundle.set("metadata.name", Value::Str("other".to_owned())).expect("set");
        assert_eq!(bundle.documents[0].name, "other");
    }

    #[test]
    fn without_a_scaled_object_the_hpa_is_meant() {
        let text =
            "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h}\nspec: {maxReplicas: 2}\n";
        let mut bundle = Bundle::from_text(text, "t").expect("valid");
        bundle.set("spec.maxReplicas", Value::Int(4)).expect("set");
        assert_eq!(at(&bundle, 0, &["spec", "maxReplicas"]), Some(&Value::Int(4)));
    }

    #[test]
    fn paths_that_lead_nowhere_are_errors_and_change_nothing() {
        let cases = [
            ("spec.triggers[1].type", "spec.triggers has 1 items, so there is no [1]"),
            ("spec.maxReplicaCount.x", "spec.maxReplicaCount is the integer 3, which has no key \"x\""),
            ("spec.made.up[0]", "spec.made.up is nothing, not a list"),
            ("spec[0]", "spec is a mapping, not a list"),
            ("Traffic:spec.stop", "no Traffic was read, only ScaledObject, Scenario"),
            ("", "the path is empty"),
            ("spec..x", "an empty key in the path"),
            ("spec.", "an empty key in the path"),
            ("spec.triggers[x]", "[x] is not a list index"),
            ("spec.triggers[0", "a [ without its ]"),
            ("spec.triggers[0]x", "expected a dot before \"x\""),
        ];
        for (path, fragment) in cases {
            let mut bundle = bundle();
            let error = bundle.set(path, Value::Int(1)).expect_err(path);
            assert!(error.message.contains(fragment), "{path}: {error}");
            assert!(error.to_string().starts_with("error: --set: "), "{error}");
            assert_eq!(bundle.documents, self::bundle().documents, "{path}");
        }
    }

    #[test]
    fn a_key_with_dots_is_shown_as_it_must_be_written() {
        let cases = [
            (
                "metadata.annotations.autoscaling.keda.sh/paused",
                "no path to \"autoscaling.keda.sh/paused\"",
                "--set 'metadata.annotations[\"autoscaling.keda.sh/paused\"]=VALUE'",
            ),
            (
                "ScaledObject:metadata.labels.app.kubernetes.io/name",
                "no path to \"app.kubernetes.io/name\"",
                "--set 'ScaledObject:metadata.labels[\"app.kubernetes.io/name\"]=VALUE'",
            ),
            (
                "Scenario:spec.x[0].limits.nvidia.com/gpu",
                "no path to \"nvidia.com/gpu\"",
                "'Scenario:spec.x[0].limits[\"nvidia.com/gpu\"]=VALUE'",
            ),
        ];
        for (path, message, help) in cases {
            let mut bundle = bundle();
            let error = bundle.set(path, Value::Bool(true)).expect_err(path).to_string();
            assert!(error.starts_with(&format!("error: --set: {path}: ")), "{error}");
            assert!(error.contains(message) && error.contains(help), "{error}");
            assert_eq!(bundle.documents, self::bundle().documents, "{path}");
        }
        let mut bundle = bundle();
        bundle.set("metadata.annotations.plain", Value::Str("a".to_owned())).expect("no dots");
        assert_eq!(at(&bundle, 0, &["metadata", "annotations", "plain"]), Some(&Value::Str("a".to_owned())));
    }

    #[test]
    fn of_several_scaled_objects_none_is_chosen() {
        let (object, _) = POLICY.split_once("---").expect("two documents");
        let text = format!("{object}---\n{}", object.replace("name: app", "name: web"));
        let mut bundle = Bundle::from_text(&text, "t").expect("valid");
        let error = bundle.set("spec.maxReplicaCount", Value::Int(1)).expect_err("ambiguous");
        assert!(error.message.contains("app, web"), "{error}");
    }
}

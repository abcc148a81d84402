//! Kubernetes label selectors as text (`k8s.io/apimachinery/pkg/labels`, `Parse`).

/// A selector: all requirements must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSelector {
    /// As written.
    pub text: String,
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Absent(String),
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
}

impl PodSelector {
    /// Reads `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`, separated by commas.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut requirements = Vec::new();
        for part in split(text)? {
            requirements.push(requirement(part.trim())?);
        }
        Ok(PodSelector { text: text.to_owned(), requirements })
    }

    /// Whether a pod with these labels is selected.
    pub fn matches(&self, labels: &[(String, String)]) -> bool {
        let value = |key: &str| labels.iter().find(|(own, _)| own == key).map(|(_, value)| value);
        self.requirements.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => value(key).is_some(),
            Requirement::Absent(key) => value(key).is_none(),
            Requirement::In(key, values) => value(key).is_some_and(|own| values.contains(own)),
            // A pod without the label is not in the set.
            Requirement::NotIn(key, values) => value(key).is_none_or(|own| !values.contains(own)),
        })
    }
}

/// At commas outside parentheses.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut open) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        match c {
            '(' if !open => open = true,
            ')' if open => open = false,
            '(' | ')' => return Err(format!("found an unexpected {c:?} in {text:?}")),
            ',' if !open => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if open {
        return Err(format!("found no closing parenthesis in {text:?}"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn requirement(text: &str) -> Result<Requirement, String> {
    if let Some(key) = text.strip_prefix('!') {
        return Ok(Requirement::Absent(word(key.trim(), "key")?));
    }
    if let Some(inner) = text.strip_suffix(')') {
        let (head, list) = inner.split_once('(').ok_or_else(|| format!("cannot read {text:?}"))?;
        let (key, operator) = head.trim().rsplit_once(char::is_whitespace).unwrap_or((head.trim(), ""));
        let values = list.split(',').map(|item| value(item.trim())).collect::<Result<Vec<_>, _>>()?;
        let key = word(key.trim(), "key")?;
        return match operator {
            "in" => Ok(Requirement::In(key, values)),
            "notin" => Ok(Requirement::NotIn(key, values)),
            other => Err(format!("found {other:?} before a list, expected in or notin")),
        };
    }
    if let Some((key, own)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(word(key.trim(), "key")?, vec![value(own.trim())?]));
    }
    if let Some((key, own)) = text.split_once('=') {
        let own = own.strip_prefix('=').unwrap_or(own);
        return Ok(Requirement::In(word(key.trim(), "key")?, vec![value(own.trim())?]));
    }
    Ok(Requirement::Exists(word(text, "key")?))
}

fn value(text: &str) -> Result<String, String> {
    if text.is_empty() { Ok(String::new()) } else { word(text, "value") }
}

fn word(text: &str, what: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if !text.is_empty() && text.chars().all(fine) {
        return Ok(text.to_owned());
    }
    Err(format!("found {text:?}, expected a label {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requirements_select() {
        let labels = [("app", "backend"), ("deploy", "canary")].map(|(key, own)| (key.to_owned(), own.to_owned()));
        // selector, whether it selects the pod above.
        let table = [
            ("app=backend", true),                                    // equality
            ("app==backend", true),                                   // spelt twice
            ("app = backend", true),                                  // with blanks
            ("app=front", false),                                     // another value
            ("app!=front", true),                                     // inequality
            ("tier!=front", true),                                    // holds without the label too
            ("app", true),                                            // existence
            ("!app", false),                                          // absence
            ("!tier", true),                                          // of a label that is not there
            ("app in (x, backend)", true),                            // a set
            ("app notin (x,backend)", false),                         // its complement
            ("app=backend, deploy notin (critical, monolith)", true), // all must hold
            ("app=backend,deploy=stable", false),                     // one does not
            ("app.kubernetes.io/name=x", false),                      // a key with a prefix
            ("app=", false),                                          // the empty value
        ];
        for (text, selected) in table {
            let found = PodSelector::parse(text).map(|selector| selector.matches(&labels));
            assert_eq!(found, Ok(selected), "{text}");
        }
        for text in ["app=b c", "app in b", "app of (b)", "(a)", "a in (b", "a in b)", "=x", "a,,b", "", "!"] {
            assert!(PodSelector::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}", close in "[a-z!=(), ]{0,20}") {
            let _ = (PodSelector::parse(&text), PodSelector::parse(&close));
        }
    }
}

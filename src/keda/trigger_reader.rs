//! Reads a trigger's typed parameters and reports in upstream's words (`pkg/scalers/scalersconfig/typed_config.go`).

use crate::keda::TargetType;
use crate::manifest::{Trigger, is_set, nearest};
use crate::units::{Diagnostic, Diagnostics, Judge, Located};

/// Reads the metadata of one trigger.
pub(super) struct Reader<'a> {
    pub(super) trigger: &'a Trigger,
    pub(super) diagnostics: &'a mut Diagnostics,
}

impl<'a> Reader<'a> {
    pub(super) fn path(&self, key: &str) -> String {
        format!("{}.metadata.{key}", self.trigger.path)
    }

    pub(super) fn required(&mut self, key: &str) -> Option<Located<&'a str>> {
        self.required_in(key, "[triggerMetadata]")
    }

    /// A parameter that must stand in one of `places`, as upstream lists them.
    pub(super) fn required_in(&mut self, key: &str, places: &str) -> Option<Located<&'a str>> {
        let found = self.trigger.metadata(key);
        if found.is_none() {
            let entry = self.trigger.metadata.iter().find(|(own, _)| own.name == key);
            let span = entry.map_or(&self.trigger.span, |(_, value)| &value.span);
            let message = format!("missing required parameter {key:?} in {places}");
            self.diagnostics.push(Diagnostic::error(span.clone(), self.path(key), message).by(Judge::Operator));
        }
        found
    }

    /// A required parameter of some type; `None` when it is missing or wrong.
    pub(super) fn required_as<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.required(key)?;
        self.read(key, &found, parse)
    }

    pub(super) fn optional<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let found = self.trigger.metadata(key)?;
        self.read(key, &found, parse)
    }

    pub(super) fn read<T>(
        &mut self,
        key: &str,
        found: &Located<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(found.value) {
            Ok(value) => Some(value),
            Err(why) => {
                let message = format!("unable to set param {key:?} value {:?}: {why}", found.value);
                let mut diagnostic = Diagnostic::error(found.span.clone(), self.path(key), message).by(Judge::Operator);
                if why.contains("float64") {
                    diagnostic = diagnostic.help("write a plain JSON number such as \"5\", \"0.5\" or \"1e3\"");
                } else if why.contains("ParseBool") {
                    diagnostic = diagnostic.help("write \"true\" or \"false\"");
                }
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    /// An error of a scaler's own validation at `key`, or at the trigger when the key is not there.
    pub(super) fn refuse(&mut self, key: &str, message: impl Into<String>, help: Option<&str>) {
        let entry = self.trigger.metadata.iter().find(|(own, _)| own.name == key);
        let span = entry.map_or(&self.trigger.span, |(_, value)| &value.span).clone();
        let mut diagnostic = Diagnostic::error(span, self.path(key), message).by(Judge::Operator);
        if let Some(help) = help {
            diagnostic = diagnostic.help(help);
        }
        self.diagnostics.push(diagnostic);
    }

    /// Warns of keys that KEDA passes over in silence (keda.md 2.4). `renamed` explains one that a kind once had.
    pub(super) fn warn_ignored(
        &mut self,
        known: &[&str],
        target_type: Option<TargetType>,
        renamed: impl Fn(&str) -> Option<(String, String)>,
    ) {
        for (key, _) in &self.trigger.metadata {
            let name = key.name.as_str();
            if known.contains(&name) {
                continue;
            }
            if name == "metricType" {
                self.warn_misplaced_type(target_type);
                continue;
            }
            let (message, help) = if let Some(explained) = renamed(name) {
                explained
            } else {
                let near = nearest(name, known.iter().copied());
                let help = near.map_or_else(
                    || format!("known keys here: {}", known.join(", ")),
                    |own| format!("did you mean {own}?"),
                );
                (format!("unknown key {name:?} is ignored by KEDA"), help)
            };
            let path = format!("{}.metadata.{name}", self.trigger.path);
            // Whoever types a path on the command line means it, whatever KEDA passes over.
            let diagnostic = if is_set(&key.span) {
                Diagnostic::error(key.span.clone(), path, message)
            } else {
                Diagnostic::warning(key.span.clone(), path, message)
            };
            self.diagnostics.push(diagnostic.help(help));
        }
    }

    /// Warns of a `metricType` inside metadata, which no scaler reads (keda.md 2.4).
    pub(super) fn warn_misplaced_type(&mut self, target_type: Option<TargetType>) {
        let Some((key, value)) = self.trigger.metadata.iter().find(|(key, _)| key.name == "metricType") else { return };
        let found = &value.value;
        let message = match target_type {
            Some(effective) => format!(
                "metricType {found:?} inside metadata is ignored by KEDA; the effective type is {}",
                effective.word()
            ),
            None => format!("metricType {found:?} inside metadata is ignored by KEDA"),
        };
        let help = format!("write metricType beside metadata, as {}.metricType", self.trigger.path);
        let (place, path) = (key.span.clone(), self.path("metricType"));
        let diagnostic = if is_set(&place) {
            Diagnostic::error(place, path, message)
        } else {
            Diagnostic::warning(place, path, message)
        };
        self.diagnostics.push(diagnostic.help(help));
    }
}

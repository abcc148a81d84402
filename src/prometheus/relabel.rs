//! Relabelling: `relabel_configs` on what discovery found, `metric_relabel_configs` on every scraped sample.
//!
//! Source: model/relabel/relabel.go (`Config.Validate`, `relabel`), scrape/target.go (`PopulateLabels`), scrape/scrape.go
//! (`mutateSampleLabels`). This module does not know where rules and labels come from.

use crate::prometheus::PrometheusVersion;
use crate::series::Labels;
use regex::{Captures, Regex, RegexBuilder};
use thiserror::Error;

/// Compiled size above which a pattern is refused.
const REGEX_SIZE_LIMIT: usize = 1 << 20;
const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_REPLACEMENT: &str = "$1";

/// A rule as written; what is absent has Prometheus' default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelabelConfig {
    /// `source_labels`: their values are joined.
    pub source_labels: Vec<String>,
    /// `separator`, default `;`.
    pub separator: Option<String>,
    /// `regex`, default `(.*)`; it must match the whole joined value.
    pub regex: Option<String>,
    /// `modulus` of `hashmod`, 0 when absent.
    pub modulus: u64,
    /// `target_label`, "" when absent.
    pub target_label: String,
    /// `replacement`, default `$1`.
    pub replacement: Option<String>,
    /// `action` in any case, default `replace`.
    pub action: Option<String>,
}

/// Why Prometheus would not load a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct RelabelError {
    /// The field at fault, as the operator spells it: `action`, `regex`, `modulus`, `targetLabel`, `replacement`, ...
    pub field: &'static str,
    /// Prometheus' words.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// The actions by their names.
const ACTIONS: [(&str, Action); 11] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("hashmod", Action::HashMod),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

/// A rule that Prometheus would load.
#[derive(Clone, Debug)]
pub struct RelabelRule {
    config: RelabelConfig,
    action: Action,
    separator: String,
    regex: Regex,
    replacement: String,
    /// Any UTF-8 is a label name (from 3.0).
    utf8: bool,
}

impl Eq for RelabelRule {}

impl PartialEq for RelabelRule {
    fn eq(&self, other: &Self) -> bool {
        (&self.config, self.utf8) == (&other.config, other.utf8)
    }
}

impl RelabelRule {
    /// Checks and compiles a rule.
    ///
    /// # Errors
    /// What Prometheus of that version would refuse to load, in its words (`Config.Validate`); and `hashmod`, which is not
    /// modelled.
    pub fn new(config: RelabelConfig, version: PrometheusVersion) -> Result<Self, RelabelError> {
        let written = config.action.as_deref().unwrap_or("replace");
        let lower = written.to_lowercase();
        let action = ACTIONS.iter().find(|(name, _)| *name == lower).map(|(_, action)| *action);
        let action = action.ok_or_else(|| error("action", format!("unknown relabel action {written:?}")))?;
        let utf8 = version >= PrometheusVersion::V3_5;
        let pattern = config.regex.as_deref().unwrap_or(DEFAULT_REGEX);
        let regex = anchored(pattern, utf8)
            .map_err(|cause| error("regex", format!("invalid regex {pattern} for relabel configuration: {cause}")))?;
        let rule = RelabelRule {
            action,
            regex,
            separator: config.separator.clone().unwrap_or_else(|| DEFAULT_SEPARATOR.to_owned()),
            replacement: config.replacement.clone().unwrap_or_else(|| DEFAULT_REPLACEMENT.to_owned()),
            utf8,
            config,
        };
        rule.validate(&lower)?;
        Ok(rule)
    }

    /// The labels that the rule reads: its source labels, and of `keepequal` and `dropequal` the target too.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        let compares = matches!(self.action, Action::KeepEqual | Action::DropEqual);
        let target = compares.then_some(self.config.target_label.as_str());
        self.config.source_labels.iter().map(String::as_str).chain(target)
    }

    fn validate(&self, name: &str) -> Result<(), RelabelError> {
        let target = self.config.target_label.as_str();
        let own_target = matches!(
            self.action,
            Action::HashMod | Action::Lowercase | Action::Uppercase | Action::KeepEqual | Action::DropEqual
        );
        if self.action == Action::HashMod && self.config.modulus == 0 {
            return Err(error("modulus", "relabel configuration for hashmod requires non-zero modulus"));
        }
        if (own_target || self.action == Action::Replace) && target.is_empty() {
            let message = format!("relabel configuration for {name} action requires 'target_label' value");
            return Err(error("targetLabel", message));
        }
        let is_template = self.action == Action::Replace && target.contains('$');
        let is_valid = if is_template { self.is_template(target) } else { self.is_name(target) };
        if (own_target || self.action == Action::Replace) && !is_valid {
            return Err(error("targetLabel", format!("{target:?} is invalid 'target_label' for {name} action")));
        }
        let has_replacement = self.replacement != DEFAULT_REPLACEMENT;
        let cased = matches!(self.action, Action::Lowercase | Action::Uppercase);
        let compared = matches!(self.action, Action::KeepEqual | Action::DropEqual);
        if (cased || compared) && has_replacement {
            return Err(error("replacement", format!("'replacement' can not be set for {name} action")));
        }
        if self.action == Action::LabelMap && !self.is_template(&self.replacement) {
            let message = format!("{:?} is invalid 'replacement' for {name} action", self.replacement);
            return Err(error("replacement", message));
        }
        let config = &self.config;
        let has_regex = config.regex.as_deref().is_some_and(|regex| regex != DEFAULT_REGEX);
        let odd = if config.modulus != 0 {
            Some("modulus")
        } else if self.separator != DEFAULT_SEPARATOR {
            Some("separator")
        } else if has_replacement {
            Some("replacement")
        } else {
            None
        };
        if compared && let Some(field) = odd.or(has_regex.then_some("regex")) {
            let rest = "action requires only 'source_labels' and `target_label`, and no other fields";
            return Err(error(field, format!("{name} {rest}")));
        }
        if matches!(self.action, Action::LabelDrop | Action::LabelKeep) {
            let named = if !config.source_labels.is_empty() {
                Some("sourceLabels")
            } else if !target.is_empty() {
                Some("targetLabel")
            } else {
                odd
            };
            if let Some(field) = named {
                return Err(error(field, format!("{name} action requires only 'regex', and no other fields")));
            }
        }
        if self.action == Action::HashMod {
            return Err(error("action", "the action hashmod is not modelled"));
        }
        Ok(())
    }

    /// Whether a text can name a label (prometheus/common model/labels.go `LabelName.IsValid`).
    fn is_name(&self, text: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !text.is_empty() && (self.utf8 || (text.bytes().all(plain) && !text.as_bytes()[0].is_ascii_digit()))
    }

    /// Whether a text with `$1` or `${1}` in it can become a label's name (relabel.go `relabelTargetLegacy`).
    fn is_template(&self, text: &str) -> bool {
        if self.utf8 {
            return !text.is_empty();
        }
        let mut rest = text;
        let mut named = false;
        while let Some(first) = rest.chars().next() {
            let of_variable = variable_end(rest);
            let end = match first {
                '$' => of_variable,
                'a'..='z' | 'A'..='Z' | '_' => 1,
                // A digit may follow anything but not begin.
                '0'..='9' if named => 1,
                _ => 0,
            };
            if end == 0 {
                return false;
            }
            named = true;
            rest = &rest[end..];
        }
        named
    }

    /// Applies the rule; false when the labels are dropped.
    fn apply(&self, builder: &mut Builder) -> bool {
        let values: Vec<&str> = self.config.source_labels.iter().map(|name| builder.get(name)).collect();
        let value = values.join(&self.separator);
        let target = self.config.target_label.as_str();
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return builder.get(target) == value,
            Action::DropEqual => return builder.get(target) != value,
            Action::Replace => {
                let Some(found) = self.regex.captures(&value) else { return true };
                let target = expand(target, &self.regex, &found);
                if self.is_name(&target) {
                    builder.set(&target, &expand(&self.replacement, &self.regex, &found));
                }
            }
            Action::Lowercase => builder.set(target, &value.to_lowercase()),
            Action::Uppercase => builder.set(target, &value.to_uppercase()),
            Action::LabelMap => {
                for (name, value) in builder.pairs.clone() {
                    if let Some(found) = self.regex.captures(&name) {
                        builder.set(&expand(&self.replacement, &self.regex, &found), &value);
                    }
                }
            }
            Action::LabelDrop => builder.retain(|name| !self.regex.is_match(name)),
            Action::LabelKeep => builder.retain(|name| self.regex.is_match(name)),
            Action::HashMod => unreachable!("rules with hashmod are not built"),
        }
        true
    }
}

/// What a scrape job does with the series of its targets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRules {
    /// `honor_labels`: on a clash the exposed label wins.
    pub honor_labels: bool,
    /// `metric_relabel_configs`.
    pub metric_relabel: Vec<RelabelRule>,
    /// `sample_limit`: more samples than this in one scrape fail it.
    pub sample_limit: Option<u64>,
}

/// `labels` after all `rules` in order; `None` when one of them drops it.
pub fn relabel(labels: &Labels, rules: &[RelabelRule]) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = Builder::of(labels);
    rules.iter().all(|rule| rule.apply(&mut builder)).then(|| builder.labels())
}

/// The labels of a scraped target from what was discovered of it: relabelled, `instance` defaulted to `__address__`, labels
/// that begin with `__` gone. `None` when the target is dropped, by a rule or for want of an address.
pub fn target_labels(discovered: &Labels, rules: &[RelabelRule]) -> Option<Labels> {
    let labels = relabel(discovered, rules)?;
    let address = labels.get("__address__");
    if address.is_empty() {
        return None;
    }
    let named = if labels.get("instance").is_empty() { labels.with("instance", address) } else { labels };
    Some(named.filtered(|name| !name.starts_with("__")))
}

/// The full labels of a scraped series: exposed and target labels, then `metric_relabel_configs`; `None` when those drop it.
///
/// On a clash the target's label wins and the exposed one is renamed `exported_<name>`, again where that is taken, the
/// shorter names first; with `honor_labels` the exposed one wins (`mutateSampleLabels`, `resolveConflictingExposedLabels`).
/// A result without `__name__` makes Prometheus fail the whole scrape ([`scrape_failure`] tells).
pub fn stored_labels(exposed: &Labels, target: &Labels, rules: &TargetRules) -> Option<Labels> {
    // Nearly always there is nothing to decide, and a target's series then share its texts.
    if rules.metric_relabel.is_empty()
        && let Some(labels) = exposed.joined(target)
    {
        return (!labels.is_empty()).then_some(labels);
    }
    let mut builder = Builder::of(exposed);
    let mut clashing: Vec<(&str, &str)> = Vec::new();
    for (name, value) in target.iter() {
        let own = exposed.get(name);
        if own.is_empty() {
            builder.set(name, value);
        } else if !rules.honor_labels {
            clashing.push((name, own));
            builder.set(name, value);
        }
    }
    clashing.sort_by_key(|(name, _)| name.len());
    for (name, value) in clashing {
        let mut renamed = format!("exported_{name}");
        while !builder.get(&renamed).is_empty() {
            renamed = format!("exported_{renamed}");
        }
        builder.set(&renamed, value);
    }
    let kept = rules.metric_relabel.iter().all(|rule| rule.apply(&mut builder));
    let labels = kept.then(|| builder.labels())?;
    // A sample without any label left is skipped, as a dropped one is.
    (!labels.is_empty()).then_some(labels)
}

/// Limits of a scrape; `None` and 0 are no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelLimits {
    /// `label_limit`: labels of a series, its name included.
    pub labels: Option<u64>,
    /// `label_name_length_limit`, bytes.
    pub name_length: Option<u64>,
    /// `label_value_length_limit`, bytes.
    pub value_length: Option<u64>,
}

/// Why a series with these stored labels makes its whole scrape fail, in Prometheus' words (scrape.go `append`,
/// `verifyLabelLimits`).
pub fn scrape_failure(stored: &Labels, limits: &LabelLimits) -> Option<String> {
    let name = stored.metric_name();
    if name.is_empty() {
        return Some("missing metric name (__name__ label)".to_owned());
    }
    let above = |count: usize, limit: Option<u64>| {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        limit.filter(|limit| *limit > 0 && count > *limit).map(|limit| (count, limit))
    };
    if let Some((count, limit)) = above(stored.len(), limits.labels) {
        return Some(format!("label_limit exceeded (metric: {name}, number of labels: {count}, limit: {limit})"));
    }
    stored.iter().find_map(|(label, value)| {
        let of_name = above(label.len(), limits.name_length).map(|(length, limit)| {
            format!("label_name_length_limit exceeded (metric: {name}, label name: {label}, length: {length}, limit: {limit})")
        });
        let of_value = || {
            above(value.len(), limits.value_length).map(|(length, limit)| {
                format!("label_value_length_limit exceeded (metric: {name}, label name: {label}, value: {value:?}, length: {length}, limit: {limit})")
            })
        };
        of_name.or_else(of_value)
    })
}

fn error(field: &'static str, message: impl Into<String>) -> RelabelError {
    RelabelError { field, message: message.into() }
}

/// The pattern as Prometheus compiles it (`NewRegexp`): anchored, from 3.0 with a dot that matches newlines.
fn anchored(pattern: &str, dot_matches_newline: bool) -> Result<Regex, String> {
    let build = |text: &str| {
        RegexBuilder::new(text).size_limit(REGEX_SIZE_LIMIT).build().map_err(|error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })
    };
    // Compiled alone first, so that an unbalanced parenthesis cannot close the anchoring group.
    build(pattern)?;
    build(&format!("^(?{}:{pattern})$", if dot_matches_newline { "s" } else { "" }))
}

/// Length of the `$name` or `${name}` at the start of `text`; 0 when none is there.
fn variable_end(text: &str) -> usize {
    variable(text.strip_prefix('$').unwrap_or_default()).map_or(0, |(_, rest)| text.len() - rest.len())
}

/// The name after a `$`, with or without braces, and what follows (Go's regexp/regexp.go `extract`).
fn variable(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('{').unwrap_or(text);
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() {
        return None;
    }
    if inner.len() == text.len() { Some((name, rest)) } else { rest.strip_prefix('}').map(|rest| (name, rest)) }
}

/// A template with `$1`, `${1}`, `$name` and `$$` filled in (Go's regexp/regexp.go `expand`). Unlike the regex crate's, a
/// `$` that begins no variable stands for itself, also before an unclosed brace.
fn expand(template: &str, regex: &Regex, found: &Captures<'_>) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let Some((name, after)) = variable(rest) else {
            text.push('$');
            continue;
        };
        rest = after;
        let is_index = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        let group = if is_index {
            name.parse().ok().and_then(|index: usize| found.get(index))
        } else {
            // The first group of the name that took part.
            let named = regex.capture_names().enumerate().filter(|(_, own)| *own == Some(name));
            named.filter_map(|(index, _)| found.get(index)).next()
        };
        text.push_str(group.map_or("", |group| group.as_str()));
    }
    text.push_str(rest);
    text
}

/// Labels while rules change them, in the order in which upstream's builder goes through them: those it began with by name,
/// then those set since (model/labels `Builder`). The order shows where `labelmap` maps two labels to one.
struct Builder {
    pairs: Vec<(String, String)>,
    /// How many of `pairs` are as they were.
    base: usize,
}

impl Builder {
    fn of(labels: &Labels) -> Self {
        let pairs: Vec<_> = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Builder { base: pairs.len(), pairs }
    }

    fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// Sets a label; an empty value removes it.
    fn set(&mut self, name: &str, value: &str) {
        match self.pairs.iter().position(|(own, _)| own == name) {
            Some(at) if at >= self.base && !value.is_empty() => {
                value.clone_into(&mut self.pairs[at].1);
                return;
            }
            Some(at) => {
                self.pairs.remove(at);
                self.base -= usize::from(at < self.base);
            }
            None => {}
        }
        if !value.is_empty() && !name.is_empty() {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
    }

    fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.base = self.pairs[..self.base].iter().filter(|(name, _)| keep(name)).count();
        self.pairs.retain(|(name, _)| keep(name));
    }

    fn labels(self) -> Labels {
        Labels::from_pairs(self.pairs)
    }
}

#[cfg(test)]
#[path = "relabel_tests.rs"]
mod tests;

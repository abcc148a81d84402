//! Names of vLLM's metrics and labels, against the table of its releases.

use super::links::VLLM;
use crate::lint::subject::{Subject, known_metric};
use crate::lint::{Edit, Finding, Rule};
use crate::manifest::nearest;
use crate::prometheus::Selector;
use crate::replica::{is_of_a_feature, known_metrics};
use crate::series::MetricKind;
use crate::units::Severity::Warning;

pub(crate) static L_35: Rule = Rule::new("L-35", "vllm-name", Warning)
    .why("a name or label that no series has gives an empty answer, which KEDA reads as 0: no load, for ever")
    .fix("use the name of the vLLM release that runs; curl its /metrics")
    .link(VLLM)
    .mended();

/// Renamed metrics.
const RENAMED: [(&str, &str); 3] = [
    ("vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"),
    ("vllm:gpu_prefix_cache_queries_total", "vllm:prefix_cache_queries_total"),
    ("vllm:gpu_prefix_cache_hits_total", "vllm:prefix_cache_hits_total"),
];
/// Names of snippets that no release ever had, and what was meant.
const INVENTED: [(&str, &str); 2] = [
    ("vllm:gpu_cache_usage_factor", "vllm:kv_cache_usage_perc"),
    ("vllm:cpu_cache_usage_perc", "vllm:kv_cache_usage_perc"),
];
/// Series of production-stack's router that are called as if vLLM's.
const OF_ROUTER: [&str; 17] = [
    "vllm:num_incoming_requests_total",
    "vllm:routing_decisions_total",
    "vllm:gpu_prefix_cache_hit_rate",
    "vllm:current_qps",
    "vllm:avg_decoding_length",
    "vllm:num_prefill_requests",
    "vllm:num_decoding_requests",
    "vllm:healthy_pods_total",
    "vllm:avg_latency",
    "vllm:avg_itl",
    "vllm:num_requests_swapped",
    "vllm:input_tokens_total",
    "vllm:output_tokens_total",
    "vllm:request_errors_total",
    "vllm:request_latency_seconds_bucket",
    "vllm:request_latency_seconds_sum",
    "vllm:request_latency_seconds_count",
];
/// The newest release of the table.
const NEWEST: (u32, u32) = (0, 33);

/// Whether only production-stack's router exposes it.
pub(super) fn is_of_router(name: &str) -> bool {
    OF_ROUTER.contains(&name)
}

/// Names and labels that match nothing.
pub(in crate::lint) fn l_35(subject: &Subject<'_>, found: &mut Vec<Finding>) {
    for query in &subject.queries {
        for selector in &query.plan.selectors {
            let Some(name) = selector.exact_name() else { continue };
            if subject.world.neighbours.records.contains(name) {
                continue;
            }
            let version = subject.world.neighbours.vllm_version.unwrap_or(NEWEST);
            if let Some((message, better)) = wrong_name(name, version) {
                let mut finding = subject.in_query(&L_35, Warning, query, selector.offset, message);
                if let Some(better) = better {
                    finding = finding.help(format!("write {better}"));
                    let is_safe = is_nobodys(name)
                        || subject.world.neighbours.vllm_version.is_some() && known_metric(name).is_some();
                    let at = finding.diagnostic.span.clone();
                    let at = at.filter(|_| is_safe && selector.text.starts_with(name));
                    if let Some(at) = at {
                        finding = finding.mend(Edit::Replace { at, old: name.to_owned(), new: better });
                    }
                }
                found.push(finding);
            } else if let Some(message) = wrong_label(name, selector, subject) {
                let finding = subject.in_query(&L_35, Warning, query, selector.offset, message);
                found.push(finding.help("write model_name, the label of the served model's name"));
            }
        }
    }
}

/// Whether no release ever had a name that looks like vLLM's, so that the right one cannot break what works. A renamed
/// metric may be right for the release that runs, and `vllm_` for a pipeline that renames.
fn is_nobodys(name: &str) -> bool {
    name.starts_with("vllm:") && known_metric(name).is_none()
}

/// What is wrong with a name, and the one that was meant.
fn wrong_name(name: &str, version: (u32, u32)) -> Option<(String, Option<String>)> {
    let colon = name.strip_prefix("vllm_").map(|rest| format!("vllm:{rest}"));
    if let Some(own) = colon.filter(|own| known_metric(own).is_some() || is_base_of_histogram(own)) {
        return Some((
            format!(
                "no vLLM release exposes {name}: the name has a colon, and without a relabelling the query finds nothing"
            ),
            Some(own),
        ));
    }
    if !name.starts_with("vllm:") {
        return None;
    }
    if let Some((_, better)) = INVENTED.iter().find(|(own, _)| *own == name) {
        return Some((format!("no vLLM release exposes {name}"), Some((*better).to_owned())));
    }
    if let Some(metric) = known_metric(name) {
        let (major, minor) = version;
        let (since_major, since_minor) = metric.since;
        if let Some((_, gone)) = metric.until.filter(|until| *until <= version) {
            let better = RENAMED.iter().find(|(own, _)| *own == name).map(|(_, new)| (*new).to_owned());
            return Some((
                format!("vLLM no longer exposes {name}, from 0.{gone} on: it is empty with {major}.{minor}"),
                better,
            ));
        }
        if metric.since > version {
            return Some((
                format!("vLLM {major}.{minor} does not expose {name} yet, {since_major}.{since_minor} is the first"),
                None,
            ));
        }
        return None;
    }
    let is_created = name.strip_suffix("_created").is_some();
    if is_of_router(name) || is_of_a_feature(name) || is_created {
        return None;
    }
    if is_base_of_histogram(name) {
        return Some((
            format!(
                "{name} is a histogram: its series are {name}_bucket, {name}_sum and {name}_count, and none has this name"
            ),
            None,
        ));
    }
    let near = nearest(name, known_metrics().filter(|own| own.kind != MetricKind::Histogram).map(|own| own.name));
    let likely = near.filter(|own| own.trim_end_matches("_total") == name);
    match (likely, near) {
        (Some(own), _) => {
            Some((format!("no series is called {name}: a counter's name ends with _total"), Some(own.to_owned())))
        }
        (None, Some(own)) => {
            Some((format!("no vLLM release from 0.8 to 0.33 exposes {name}; the nearest name is {own}"), None))
        }
        (None, None) => Some((format!("no vLLM release from 0.8 to 0.33 exposes {name}"), None)),
    }
}

fn is_base_of_histogram(name: &str) -> bool {
    known_metrics().any(|own| own.kind == MetricKind::Histogram && own.name == name)
}

/// The label `model` on a series of the engine's.
fn wrong_label(name: &str, selector: &Selector, subject: &Subject<'_>) -> Option<String> {
    known_metric(name)?;
    let asks = selector.matchers.iter().any(|own| own.name == "model" && !own.matches_value(""));
    let is_copied = subject.world.neighbours.monitor_labels.contains("model");
    (asks && !is_copied).then(|| format!("the engine's series have no label model: {} finds nothing", selector.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_the_release() {
        let better =
            |name: &str, minor: u32| wrong_name(name, (0, minor)).map(|(_, better)| better.unwrap_or_default());
        assert_eq!(better("vllm:num_requests_waiting", 33), None);
        assert_eq!(better("vllm:gpu_cache_usage_perc", 33).as_deref(), Some("vllm:kv_cache_usage_perc"));
        assert_eq!(better("vllm:gpu_cache_usage_perc", 9), None);
        assert_eq!(better("vllm:kv_cache_usage_perc", 9).as_deref(), Some(""), "not yet");
        assert_eq!(better("vllm_num_requests_waiting", 33).as_deref(), Some("vllm:num_requests_waiting"));
        assert_eq!(better("vllm:prompt_tokens", 33).as_deref(), Some("vllm:prompt_tokens_total"));
        assert_eq!(better("vllm:time_to_first_token_seconds", 33).as_deref(), Some(""));
        for name in [
            "vllm:time_to_first_token_seconds_bucket",
            "vllm:num_incoming_requests_total",
            "vllm:spec_decode_num_drafts_total",
            "vllm:lora_requests_info",
            "vllm:prompt_tokens_created",
            "up",
            "vllm_custom_thing",
        ] {
            assert_eq!(better(name, 33), None, "{name}");
        }
    }
}

//! The exposition of every version against the table read from vLLM's own source distributions (`tests/golden/vllm`):
//! names, types, label names and values, buckets, hidden or not. Nothing missing, nothing too much.

#[path = "replica_support/settings.rs"]
mod settings;

use kedasim::replica::{EngineConfig, absence, exposition};
use kedasim::series::MetricKind;
use serde_json::Value;
use settings::{config, constant_step};
use std::collections::{BTreeMap, BTreeSet};

/// Lines of the table.
fn table() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/vllm/exposition.jsonl");
    let text = std::fs::read_to_string(path).expect("the table is there");
    text.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect()
}

fn minor(release: &str) -> u32 {
    release.split('.').nth(1).and_then(|minor| minor.parse().ok()).expect("a release has a minor")
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().expect("a text")).collect()
}

/// Every series of a line as it prints, with its kind; `cache_config_info`, most of whose labels nobody can know, by name.
fn expected(line: &Value, max_model_len: u32) -> Vec<(String, MetricKind)> {
    let name = line["metric"].as_str().expect("a name");
    let kind = match line["type"].as_str() {
        Some("gauge") => MetricKind::Gauge,
        Some("counter") => MetricKind::Counter,
        Some("histogram") => MetricKind::Histogram,
        other => panic!("{name} has the type {other:?}"),
    };
    if name == "vllm:cache_config_info" {
        return vec![(name.to_owned(), kind)];
    }
    let mut sets: Vec<BTreeMap<&str, &str>> = vec![BTreeMap::new()];
    for label in strings(&line["labels"]) {
        let values = match label {
            "model_name" => vec!["m"],
            "engine" => vec!["0"],
            _ => strings(&line["values"][label]),
        };
        let mut split = Vec::new();
        for (set, value) in sets.iter().flat_map(|set| values.iter().map(move |value| (set, *value))) {
            let mut set = set.clone();
            set.insert(label, value);
            split.push(set);
        }
        sets = split;
    }
    let buckets = match &line["buckets"] {
        Value::Object(by_length) => &by_length[&max_model_len.to_string()],
        other => other,
    };
    let print = |name: &str, set: &BTreeMap<&str, &str>| format!("{name}{set:?}");
    let mut series = Vec::new();
    for set in &sets {
        if kind == MetricKind::Histogram {
            for le in strings(buckets) {
                let set = set.clone().into_iter().chain([("le", le)]).collect();
                series.push((print(&format!("{name}_bucket"), &set), kind));
            }
            series.extend(["sum", "count"].map(|suffix| (print(&format!("{name}_{suffix}"), set), kind)));
        } else {
            series.push((print(name, set), kind));
        }
        if line["created"] == Value::Bool(true) {
            let base = if kind == MetricKind::Counter { name.trim_end_matches("_total") } else { name };
            series.push((print(&format!("{base}_created"), set), MetricKind::Gauge));
        }
    }
    series
}

/// What is exposed under `vllm:`, in the same form.
fn exposed(config: &EngineConfig) -> Vec<(String, MetricKind)> {
    let all = exposition(config).series.into_iter();
    let own = all.filter(|series| series.labels.metric_name().starts_with("vllm:"));
    own.map(|series| {
        let name = series.labels.metric_name();
        let set: BTreeMap<&str, &str> = series.labels.iter().filter(|(label, _)| *label != "__name__").collect();
        let text = if name == "vllm:cache_config_info" { name.to_owned() } else { format!("{name}{set:?}") };
        (text, series.kind)
    })
    .collect()
}

fn engine(minor: u32, max_model_len: u32, shown: bool) -> EngineConfig {
    EngineConfig {
        vllm_version: (0, minor),
        max_model_len,
        show_hidden_metrics: shown.then(|| (0, minor - 1)),
        ..config(&constant_step(10.0))
    }
}

#[test]
fn every_release_exposes_what_its_source_registers() {
    let table = table();
    let releases: BTreeSet<&str> = table.iter().flat_map(|line| strings(&line["releases"])).collect();
    assert_eq!(releases.len(), 25, "0.8 to 0.33, without 0.15");
    for release in releases {
        for (max_model_len, shown) in [(512, false), (131_072, true), (2_000_000, false)] {
            let lines = table.iter().filter(|line| strings(&line["releases"]).contains(&release));
            let lines = lines.filter(|line| shown || line["hidden"] != Value::Bool(true));
            let mut wanted: Vec<_> = lines.flat_map(|line| expected(line, max_model_len)).collect();
            let mut found = exposed(&engine(minor(release), max_model_len, shown));
            wanted.sort_by(|a, b| a.0.cmp(&b.0));
            found.sort_by(|a, b| a.0.cmp(&b.0));
            let missing: Vec<_> = wanted.iter().filter(|one| !found.contains(one)).collect();
            let extra: Vec<_> = found.iter().filter(|one| !wanted.contains(one)).collect();
            assert!(missing.is_empty() && extra.is_empty(), "{release}: missing {missing:?}, too much {extra:?}");
            assert_eq!(found.len(), wanted.len(), "{release}: no series twice");
        }
    }
}

#[test]
fn the_cache_labels_are_among_those_of_the_release() {
    for line in table().iter().filter(|line| line["metric"] == "vllm:cache_config_info") {
        for release in strings(&line["releases"]) {
            let series = exposition(&engine(minor(release), 512, false)).series;
            let info = series.iter().find(|one| one.labels.metric_name() == "vllm:cache_config_info");
            let names = info.expect("it is always there").labels.iter().map(|(name, _)| name);
            let unknown: Vec<_> =
                names.filter(|name| *name != "__name__" && !strings(&line["labels"]).contains(name)).collect();
            assert!(unknown.is_empty(), "{release} has no labels {unknown:?}");
        }
    }
}

#[test]
fn without_statistics_only_the_server_is_seen() {
    let names = |config: &EngineConfig| -> BTreeSet<String> {
        exposition(config).series.iter().map(|series| series.labels.metric_name().to_owned()).collect()
    };
    let quiet = names(&EngineConfig { log_stats: false, ..engine(33, 512, false) });
    assert!(quiet.iter().all(|name| !name.starts_with("vllm:")), "{quiet:?}");
    assert!(quiet.contains("http_requests_total") && quiet.contains("process_start_time_seconds"), "{quiet:?}");
    let kserve = names(&EngineConfig { http_metrics: false, ..engine(33, 512, false) });
    assert!(kserve.iter().all(|name| !name.starts_with("http_")), "{kserve:?}");
}

#[test]
fn what_is_not_there_has_its_reason() {
    let newest = engine(33, 512, false);
    let quiet = EngineConfig { log_stats: false, ..newest.clone() };
    let kserve = EngineConfig { http_metrics: false, ..newest.clone() };
    for (config, name, expected) in [
        (&newest, "vllm:num_requests_running", None),
        (&newest, "http_requests_total", None),
        (&newest, "my_own_metric", None),
        (&newest, "vllm:gpu_cache_usage_perc", Some(("another has", false))),
        (&engine(8, 512, false), "vllm:gpu_cache_usage_perc", None),
        (&engine(8, 512, false), "vllm:kv_cache_usage_perc", Some(("another has", false))),
        (&newest, "vllm:spec_decode_num_drafts_total", Some(("feature", false))),
        (&newest, "process_resident_memory_bytes", Some(("memory", true))),
        (&newest, "http_request_size_bytes_sum", Some(("bytes", true))),
        (&newest, "http_request_size_bytes_count", None),
        (&kserve, "http_requests_total", Some(("huggingfaceserver", false))),
        (&quiet, "vllm:num_requests_running", Some(("--disable-log-stats", false))),
        (&quiet, "vllm:gpu_cache_usage_perc", Some(("another has", false))),
    ] {
        let found = absence(config, name);
        assert_eq!(found.is_some(), expected.is_some(), "{name}: {found:?}");
        if let (Some(found), Some((why, real_has_it))) = (found, expected) {
            assert!(found.why.contains(why) && found.real_has_it == real_has_it, "{name}: {found:?}");
        }
    }
}

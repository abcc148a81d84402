//! The exposition of every version against the table read from vLLM's own source distributions (`tests/golden/vllm`):
//! names, types, label names and values, buckets, hidden or not. Nothing missing, nothing too much.

mod replica_support;

use kedasim::replica::{Engine, EngineConfig, ProcessTimes, exposition};
use kedasim::series::MetricKind;
use kedasim::traffic::RequestId;
use replica_support::{Driver, config, constant_step, ms, request};
use serde_json::Value;
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

/// Values by series, absent ones left out.
fn scrape(world: &Driver) -> BTreeMap<String, f64> {
    let mut row = Vec::new();
    world.engine.expose(world.now, &mut row);
    let series = exposition(&world.config).series;
    assert_eq!(series.len(), row.len(), "one value per series");
    let named = series.iter().zip(row).map(|(series, value)| (series.labels.to_string(), value));
    named.filter(|(_, value)| !value.is_nan()).collect()
}

#[test]
fn the_middleware_counts_answers_cancellations_and_refusals() {
    let mut world = Driver::new(engine(33, 512, false));
    let times = ProcessTimes { run_start: 1_000_000.0, started: 999_000.0, listening: 999_900.0 };
    world.engine = Engine::new(world.config.clone()).in_process(times);
    let fresh = scrape(&world);
    assert!(fresh.keys().all(|name| !name.contains("handler=")), "nothing was asked yet");
    assert_eq!(fresh["process_start_time_seconds"], 999_000.0);
    assert_eq!(fresh["http_request_duration_highr_seconds_count"], 0.0);
    assert_eq!(fresh[r#"vllm:prompt_tokens_created{engine="0",model_name="m"}"#], 999_900.0);

    // 3 steps of 10 ms; one whose client leaves after 60 ms; one that is refused.
    world.submit(ms(0), request(0, 10, 3));
    world.advance(ms(1_000));
    world.submit(ms(1_000), request(1, 10, 100));
    world.advance(ms(1_060));
    world.engine.abort(ms(1_060), RequestId(1));
    world.advance(ms(2_000));
    world.engine.refuse(ms(2_000));
    let after = scrape(&world);
    let at = |name: &str| *after.get(name).unwrap_or_else(|| panic!("{name} among {after:#?}"));
    let handler = r#"handler="/v1/chat/completions""#;
    let by_status = |status: &str| format!(r#"{{{handler},method="POST",status="{status}"}}"#);
    for (status, count, first) in [("2xx", 2.0, 1_000_000.03), ("4xx", 1.0, 1_000_002.0)] {
        assert_eq!(at(&format!("http_requests_total{}", by_status(status))), count, "{status}");
        assert_eq!(at(&format!("http_requests_created{}", by_status(status))), first, "{status}");
    }
    for size in ["request", "response"] {
        assert_eq!(at(&format!("http_{size}_size_bytes_count{{{handler}}}")), 3.0);
        assert!(!after.contains_key(&format!("http_{size}_size_bytes_sum{{{handler}}}")), "no bytes are simulated");
    }
    for (le, count) in [("0.01", 1.0), ("0.025", 1.0), ("0.05", 2.0), ("0.075", 3.0), ("+Inf", 3.0)] {
        assert_eq!(at(&format!(r#"http_request_duration_highr_seconds_bucket{{le="{le}"}}"#)), count, "{le}");
    }
    for (le, count) in [("0.1", 3.0), ("0.5", 3.0), ("1.0", 3.0), ("+Inf", 3.0)] {
        let labels = format!(r#"{{{handler},le="{le}",method="POST"}}"#);
        assert_eq!(at(&format!("http_request_duration_seconds_bucket{labels}")), count, "{le}");
    }
    assert_eq!(at("http_request_duration_highr_seconds_sum"), 0.09);
    assert_eq!(at("http_request_duration_highr_seconds_created"), 999_900.0);
}

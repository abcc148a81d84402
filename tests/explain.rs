//! `kedasim explain`: what it prints at chosen moments, that its numbers can be followed by hand, and what it refuses.

use kedasim::units::parse_go_duration;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder in which `policy` has been run.
fn run_of(name: &str, policy: &str, arguments: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain").join(name);
    let _ = fs::remove_dir_all(&folder);
    let mut all = vec!["simulate", policy, "--out", folder.to_str().expect("a path of text")];
    all.extend(arguments);
    let output = kedasim(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn kedasim(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kedasim"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("the binary runs")
}

fn explained(run: &Path, at: &str, format: &str) -> String {
    let output = kedasim(&["explain", run.to_str().expect("a path of text"), "--at", at, "--format", format]);
    assert!(output.status.success(), "{at}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

fn json(run: &Path, at: &str) -> Value {
    serde_json::from_str(&explained(run, at, "json")).expect("JSON")
}

#[test]
fn moments_of_the_example_policy_read_well() {
    let run = run_of("moments", "policies/opt-125m", &[]);
    for (name, at) in [
        ("before_the_first_sync", "20s"),
        ("scale_up", "3m50s"),
        ("within_tolerance", "7m5s"),
        ("stabilized", "13m50s"),
    ] {
        insta::assert_snapshot!(name, explained(&run, at, "text"));
    }
    // Seconds are a time, too, and a time that was shown leads back to what was shown at it.
    let text = explained(&run, "3m50s", "text");
    assert_eq!(explained(&run, "230", "text"), text);
    assert!(explained(&run, "3m44.1s", "text").contains("HPA sync at 3m44.1s, 0s before"));
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/explain.md")).expect("the page");
    let shown = docs.split("<!-- explain -->").nth(1).and_then(|rest| rest.split("<!-- /explain -->").next());
    let expected = format!("\n```console\n$ kedasim explain output/opt-125m-stable-2-1 --at 3m50s\n{text}```\n");
    assert_eq!(shown, Some(expected.as_str()), "run docs/refresh");
}

/// Seconds of a time such as `3m31.31s`.
fn seconds(text: &str) -> f64 {
    parse_go_duration(text).unwrap_or_else(|error| panic!("{text}: {error}")).as_secs_f64()
}

/// The word after `before` in `line`.
fn word_after<'t>(line: &'t str, before: &str) -> &'t str {
    let rest = line.split(before).nth(1).unwrap_or_else(|| panic!("{before:?} is not in {line:?}"));
    rest.split_whitespace().next().unwrap_or_default().trim_end_matches([',', ';', ')', ':'])
}

/// One statement per line: lines that were broken for the reader are joined again.
fn statements(text: &str) -> Vec<String> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match lines.last_mut() {
            Some((of, last)) if !line.trim().is_empty() && !last.is_empty() && indent == *of + 4 && *of > 0 => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push((indent, line.trim().to_owned())),
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

/// `rate` as Prometheus 3 computes it, from printed samples (value, seconds) in the window (from, to].
fn rate(samples: &[(f64, f64)], (from, to): (f64, f64)) -> f64 {
    assert!(samples.iter().all(|(_, t)| *t > from && *t <= to), "{samples:?} in {from}..{to}");
    let [(first, begin), .., (last, end)] = samples else { return 0.0 };
    let growth: f64 =
        last - first + samples.windows(2).filter(|two| two[1].0 < two[0].0).map(|two| two[0].0).sum::<f64>();
    let (sampled, count) = (end - begin, samples.len() as f64);
    let distance = sampled / (count - 1.0);
    let gap = |gap: f64| if gap >= 1.1 * distance { distance / 2.0 } else { gap };
    let mut start = gap(begin - from);
    if growth > 0.0 {
        start = start.min(sampled * first / growth);
    }
    growth * (sampled + start + gap(to - end)) / sampled / (to - from)
}

/// Follows a sum of rates from the printed samples to the new count. Returns (proposal, new count).
fn follow(text: &str) -> (i64, i64) {
    let lines = statements(text);
    let sync = lines.iter().position(|line| line.starts_with("HPA sync at")).expect("a sync");
    let poll = lines.iter().position(|line| line.starts_with("KEDA poll at")).expect("a poll");
    let lines = &lines[sync..poll];
    let (mut window, mut value) = ((0.0, 0.0), 0.0);
    let first_metric_ends = lines.iter().position(|line| line.starts_with("proposal:")).expect("a proposal");
    for line in &lines[..=first_metric_ends] {
        if line.contains(": samples after ") {
            window = (seconds(word_after(line, "samples after ")), seconds(word_after(line, " up to ")));
        }
        let samples: Vec<(f64, f64)> = line
            .split_whitespace()
            .filter_map(|word| word.split_once('@'))
            .filter_map(|(value, t)| Some((value.parse().ok()?, seconds(t))))
            .collect();
        if !samples.is_empty() {
            value += rate(&samples, window);
        }
    }
    let line =
        |start: &str| lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}\n{text}"));
    let told = line("value ");
    let printed: f64 = word_after(told, "value ").parse().expect("a number");
    assert!((value - printed).abs() <= 1e-8 * printed.abs(), "samples give {value}, printed {printed}");
    let milli: i64 = word_after(told, "is told ").trim_end_matches('m').parse().expect("milli");
    assert_eq!((value * 1000.0).round() as i64, milli, "{told}");
    let tolerance = line("tolerance:");
    let target: i64 = word_after(tolerance, "(target ").trim_end_matches('m').parse().expect("milli");
    let status: i64 = word_after(tolerance, "status.replicas ").parse().expect("a count");
    let ratio = milli as f64 / (target * status) as f64;
    let within = (0.9..=1.1).contains(&ratio);
    assert_eq!(tolerance.contains("within 0.9..1.1"), within, "{tolerance}");
    let proposal = if within { status } else { (milli as f64 / target as f64).ceil() as i64 };
    let shown = line("proposal:").rsplit(' ').next().and_then(|word| word.parse().ok());
    assert_eq!(shown, Some(proposal), "{}", line("proposal:"));
    // Windows: the proposal against what is remembered, the count between lowest and highest.
    let current: i64 = word_after(line("it reads"), "spec.replicas ").parse().expect("a count");
    let remembered = |start: &str| -> Vec<i64> {
        let line = line(start).split(" of ").nth(1).expect("recommendations").to_owned();
        line.split(" (").filter_map(|part| part.rsplit([' ', ')']).next()?.parse().ok()).collect()
    };
    let desired: i64 = word_after(line("largest proposal:"), "proposal: ").parse().expect("a count");
    let (up, down) = (remembered("scaleUp window"), remembered("scaleDown window"));
    assert!(up.contains(&desired) && down.contains(&desired), "{up:?} {down:?} {desired}");
    let lowest = up.iter().min().copied().unwrap_or(desired);
    let highest = down.iter().max().copied().unwrap_or(desired);
    let stabilized = current.max(lowest).min(highest);
    assert_eq!(word_after(line("after the windows:"), "windows: "), stabilized.to_string());
    // Policies and bounds.
    let mut new = stabilized;
    if stabilized != current {
        let allows: Vec<i64> = lines
            .iter()
            .filter(|line| line.starts_with("policy "))
            .map(|line| word_after(line, " = ").parse().expect("a count"))
            .collect();
        let most_or_least = if stabilized > current { allows.iter().max() } else { allows.iter().min() };
        let allowed = *most_or_least.expect("policies");
        new = if stabilized > current { stabilized.min(allowed) } else { stabilized.max(allowed) };
        assert!(line("after policies and bounds").ends_with(&format!(": {new}")), "{text}");
    }
    (proposal, new)
}

#[test]
fn the_printed_samples_lead_to_the_printed_count() {
    let run = run_of("followed", "policies/opt-125m", &[]);
    let spec_after = |at: &str| json(&run, at)["sync"]["newReplicas"].as_i64().expect("a count");
    for (at, proposal) in [("3m50s", 2), ("7m5s", 2), ("9m", 2), ("13m50s", 0)] {
        let (found, new) = follow(&explained(&run, at, "text"));
        assert_eq!((found, new), (proposal, spec_after(at)), "{at}");
    }
    // Several pods, big counters, a second metric, another policy.
    let run = run_of("followed-llama", "policies/llama-3.1-8b-h100", &["--duration", "12m30s"]);
    assert_eq!(follow(&explained(&run, "11m3s", "text")), (2, 2));
    let (proposal, new) = follow(&explained(&run, "12m25s", "text"));
    assert!(proposal >= 1 && new == 2, "{proposal} {new}");
}

#[test]
fn json_has_what_the_text_has() {
    let run = run_of("json", "policies/opt-125m-ttft-kv-running", &["--duration", "6m"]);
    let moment = json(&run, "5m");
    assert_eq!((moment["kind"].as_str(), moment["schemaVersion"].as_u64()), (Some("explanation"), Some(1)));
    let metrics = moment["sync"]["metrics"].as_array().expect("metrics");
    assert_eq!(metrics.len(), 3);
    for metric in metrics {
        let parts = metric["samples"]["parts"].as_array().expect("the query at work");
        // The first part is the whole.
        assert_eq!(parts[0]["answer"][0]["value"], metric["value"], "{metric}");
        assert_eq!(parts[0]["depth"], 0);
    }
    // 23 buckets, each with its samples, where the text puts those together that are alike.
    let buckets = &metrics[0]["samples"]["parts"][3];
    let series = buckets["series"].as_array().expect("series");
    assert!(series.len() > 20 && series.iter().all(|one| one["samples"].as_array().is_some_and(|own| own.len() == 8)));
    let text = explained(&run, "5m", "text");
    assert!(text.contains("series alike)") && !text.contains("more (--format json"), "{text}");
    // A gauge says when it was scraped.
    let gauge = &metrics[2]["samples"]["parts"][1]["answer"][0];
    assert!(gauge["t"].as_f64().is_some_and(|t| (240.0..300.0).contains(&t)), "{gauge}");
    assert!(text.contains(", scraped at 4m4"), "{text}");
}

#[test]
fn a_poll_shows_its_samples_where_no_sync_asks() {
    let run = run_of("from-zero", "policies/opt-125m-from-zero", &["--duration", "20m"]);
    let text = explained(&run, "1m", "text");
    for part in [
        "scaling is disabled while the target has 0 replicas",
        "sum(interceptor_request_concurrency{...}) = nothing",
        "an empty result counts as 0 (ignoreNullValues)",
        "not above the activation threshold 0: not active",
        "no pods",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn a_formula_is_explained_from_its_inputs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain-formula");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let policy = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: f}\nspec:\n  scaleTargetRef: {name: m}\n  minReplicaCount: 1\n  maxReplicaCount: 4\n  advanced:\n    \
                  scalingModifiers: {formula: \"tokens / 5 + up\", target: \"1.5\", metricType: AverageValue}\n  triggers:\n  - {type: prometheus, name: tokens, metadata: {serverAddress: http://p, \
                  query: 'sum(increase(vllm:generation_tokens_total[1m] offset 15s)) / 60', threshold: \"5\"}}\n  - {type: prometheus, name: up, metadata: {serverAddress: http://p, \
                  query: 'max_over_time(sum(vllm:num_requests_running)[1m:15s]) + count(up == 1)', threshold: \"1\"}}\n---\n\
                  apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  duration: 10m\n  replica: {profile: opt-125m-cpu}\n  prometheus: {version: \"2.42\"}\n  \
                  faults: [{prometheusDown: {}, at: 6m, for: 40s}, {prometheusSlow: {latency: 2s}, at: 8m, for: 1m}]\n  \
                  traffic: {arrivals: {poisson: {rate: 0.3}}, prompt: {constant: 15}, output: {constant: 60}}\n";
    fs::write(folder.join("policy.yaml"), policy).expect("writable");
    let run = run_of("formula", folder.to_str().expect("a path of text"), &[]);
    for at in ["3m", "8m30s", "9m50s"] {
        let (text, moment) = (explained(&run, at, "text"), json(&run, at));
        // The samples are there also where the answer came late.
        let metrics = moment["sync"]["metrics"].as_array().expect("metrics");
        assert!(
            metrics[1..].iter().all(|metric| metric["samples"]["parts"][0]["answer"][0]["value"] == metric["value"]),
            "{text}"
        );
        let milli = |index: usize| metrics[index]["milli"].as_f64().expect("a number");
        let lines = statements(&text);
        let (tokens, up) = (milli(1) / 1000.0, milli(2) / 1000.0);
        assert!(lines.contains(&format!("with tokens = {tokens}, up = {up}")), "{text}");
        assert!((tokens / 5.0 + up - metrics[0]["value"].as_f64().expect("a number")).abs() < 1e-9);
        let order = |start: &str| lines.iter().position(|line| line.starts_with(start)).expect("a line");
        assert!(order("s0-prometheus (tokens), as of") < order("composite-metric, as of"));
        assert!(text.contains("the formula gets") && text.contains("samples from "), "2.42 has closed windows: {text}");
    }
    let text = explained(&run, "6m30s", "text");
    assert!(
        text.contains("fault in force: prometheusDown {} since 6m") && text.contains("connection refused"),
        "{text}"
    );
    let (sync, _) = text.split_once("\nKEDA poll at").expect("a poll");
    assert_eq!(
        sync.lines().filter(|line| line.trim_start().starts_with("failed: Get")).count(),
        2,
        "one per trigger: {sync}"
    );
}

#[test]
fn a_plain_hpa_is_explained_without_keda() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain-plain");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let policy = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: plain}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: m}\n  \
                  minReplicas: 1\n  maxReplicas: 3\n  metrics:\n  - type: External\n    external: {metric: {name: queue}, target: {type: AverageValue, averageValue: \"2\"}}\n---\n\
                  apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {name: s}\nspec:\n  duration: 10m\n  replica: {profile: opt-125m-cpu}\n  signals: {triggers: {queue: {constant: 9}}}\n  \
                  traffic: {arrivals: {poisson: {rate: 0.1}}, prompt: {constant: 15}, output: {constant: 20}}\n";
    fs::write(folder.join("policy.yaml"), policy).expect("writable");
    let run = run_of("plain", folder.to_str().expect("a path of text"), &[]);
    let text = explained(&run, "1m", "text");
    for part in [
        "9000m",
        "rounded up 5",
        "without behavior at most 4",
        "after policies and bounds (1..3): 3",
        "1 -> 3, written",
    ] {
        assert!(text.contains(part) || explained(&run, "40s", "text").contains(part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("KEDA poll"), "{text}");
}

#[test]
fn what_cannot_be_explained_is_refused_at_its_place() {
    let run = run_of("refused", "policies/opt-125m", &["--duration", "3m"]);
    let path = |run: &Path| run.to_str().expect("a path of text").to_owned();
    let refused = |run: &str, at: &str, parts: &[&str]| {
        let output = kedasim(&["explain", run, "--at", at]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(output.stdout.is_empty());
        for part in parts {
            assert!(told.contains(part), "{part:?} is not in: {told}");
        }
    };
    for at in ["soon", "-5s", "-5", "1e99", ""] {
        refused(&path(&run), at, &["--at: found", "expected a time since the run's start: 12m30s"]);
    }
    refused(&path(&run), "3m0.001s", &["--at: found 3m0.001s, the run ended at 3m"]);
    refused("nowhere", "5s", &["nowhere/summary.json: cannot be read", "a folder that kedasim simulate has written"]);
    refused("policies/opt-125m", "5s", &["policies/opt-125m/summary.json: cannot be read"]);
    // A file that breaks off within a line, and one that breaks off between two.
    let torn = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain").join("torn");
    let decisions = fs::read_to_string(run.join("decisions.jsonl")).expect("decisions");
    let third = decisions.match_indices('\n').nth(2).expect("lines").0 + 1;
    for (end, parts) in [
        (
            third + 50,
            &["decisions.jsonl:4:50:", "EOF while parsing", "torn or not one of ours: run simulate again"][..],
        ),
        (third, &["decisions.jsonl:4:1:", "decides otherwise from here on\n", "run simulate again"]),
    ] {
        let _ = fs::remove_dir_all(&torn);
        fs::create_dir_all(torn.join("inputs")).expect("a folder");
        for name in ["summary.json", "policy.yaml", "inputs/scenario.yaml"] {
            fs::copy(run.join(name), torn.join(name)).expect("copied");
        }
        fs::write(torn.join("decisions.jsonl"), &decisions[..end]).expect("writable");
        refused(&path(&torn), "1m", parts);
    }
    let fixed = run_of("fixed", "policies/opt-125m", &["--duration", "1m", "--fixed-replicas", "1"]);
    refused(&path(&fixed), "5s", &["summary.json", "--fixed-replicas, in which nothing is decided"]);
}

//! What each fault of a Scenario changes, and that it changes nothing else.

use kedasim::manifest::{Bundle, parse_value};
use kedasim::prometheus::{PrometheusServer, StoredRow};
use kedasim::record::{DecisionRecord, EventKind, HpaSync, KedaPoll, RunRecord, decisions_to_jsonl};
use kedasim::scenario::{FaultKind, FaultPods, Overrides, ResolvedRun, resolve, scenario_yaml};
use kedasim::sim::{simulate, simulate_recording};
use kedasim::units::{SimDuration, SimTime};

const RATE: &str = "sum(rate(vllm:prompt_tokens_total[2m]))";
const COUNT: &str = "count(vllm:num_requests_running)";
/// A Monday, the default start of a run.
const START_MS: i64 = 1_767_571_200_000;

/// The scale target of all policies here.
const SERVICE: &str = include_str!("support/cpu_service.yaml");

/// A ScaledObject with one trigger, which has `metadata` beside its query, and the CPU demo's workload.
fn policy(spec: &str, query: &str, metadata: &str) -> String {
    format!(
        r#"apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: p}}
spec:
  scaleTargetRef: {{name: m-predictor}}
  maxReplicaCount: 3
{spec}
  triggers:
    - type: prometheus
      metadata: {{serverAddress: "http://prometheus:9090", threshold: "1000", query: '{query}'{metadata}}}
---
{SERVICE}"#
    )
}

const ONE: &str = "  minReplicaCount: 1";
const TWO: &str = "  minReplicaCount: 2";

/// A Scenario of 20 minutes with these faults.
fn world(faults: &str) -> String {
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n  replica: {{profile: opt-125m-cpu}}\n  duration: 20m\n  traffic: {{arrivals: {{poisson: {{rate: 0.5}}}}, prompt: {{constant: 15}}, output: {{constant: 20}}}}\n  faults: [{faults}]\n"
    )
}

fn try_resolve(policy: &str, scenario: &str) -> Result<ResolvedRun, String> {
    let bundle =
        Bundle::from_text(&format!("{policy}---\n{scenario}"), "test.yaml").map_err(|errors| errors.to_string())?;
    resolve(&bundle, &Overrides::default()).map_err(|errors| errors.to_string())
}

fn resolved(policy: &str, faults: &str) -> ResolvedRun {
    try_resolve(policy, &world(faults)).unwrap_or_else(|errors| panic!("{errors}"))
}

fn run(policy: &str, faults: &str) -> RunRecord {
    simulate(&resolved(policy, faults), true).unwrap_or_else(|error| panic!("{error}"))
}

fn recorded(policy: &str, faults: &str) -> (RunRecord, Vec<StoredRow>) {
    let mut rows = Vec::new();
    let record = simulate_recording(&resolved(policy, faults), true, &mut |row| rows.push(row));
    (record.unwrap_or_else(|error| panic!("{error}")), rows)
}

fn syncs(record: &RunRecord) -> Vec<&HpaSync> {
    let mut found = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::HpaSync(sync) = decision {
            found.push(&**sync);
        }
    }
    found
}

fn polls(record: &RunRecord) -> Vec<&KedaPoll> {
    let mut found = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::KedaPoll(poll) = decision {
            found.push(poll.as_ref());
        }
    }
    found
}

/// The syncs in `[from, to)`, seconds.
fn between<'r>(record: &'r RunRecord, from: u64, to: u64) -> Vec<&'r HpaSync> {
    let inside = |sync: &&HpaSync| SimTime::from_secs(from) <= sync.t && sync.t < SimTime::from_secs(to);
    let found: Vec<&'r HpaSync> = syncs(record).into_iter().filter(inside).collect();
    assert!(!found.is_empty(), "no sync between {from} s and {to} s");
    found
}

fn values(syncs: &[&HpaSync]) -> Vec<Option<f64>> {
    syncs.iter().map(|sync| sync.metrics[0].value).collect()
}

fn faults_told(record: &RunRecord) -> Vec<(u64, String)> {
    let told = |event: &kedasim::record::Event| match &event.kind {
        EventKind::FaultStarted { fault, settings } => Some((event.t.as_secs_floor(), format!("+{fault} {settings}"))),
        EventKind::FaultEnded { fault, settings } => Some((event.t.as_secs_floor(), format!("-{fault} {settings}"))),
        _ => None,
    };
    record.events.iter().filter_map(told).collect()
}

fn is_stale(value: f64) -> bool {
    value.to_bits() == PrometheusServer::STALE_BITS
}

/// (ms since the run's start, visible, value) of every sample of `up`, of the pod whose name ends in `pod`.
fn ups(rows: &[StoredRow], pod: &str) -> Vec<(i64, SimTime, f64)> {
    let mut found = Vec::new();
    for row in rows {
        for (labels, value) in row.samples() {
            if labels.metric_name() == "up" && labels.get("pod").ends_with(pod) {
                found.push((row.at_ms - START_MS, row.visible, value));
            }
        }
    }
    found
}

const DOWN: &str = "{prometheusDown: {}, at: 5m, for: 6m}";

#[test]
fn a_prometheus_that_is_down_neither_scrapes_nor_answers() {
    let (record, rows) = recorded(&policy(ONE, RATE, ""), DOWN);
    assert_eq!(faults_told(&record), [(300, "+prometheusDown {}".to_owned()), (660, "-prometheusDown {}".to_owned())]);
    let outage = between(&record, 300, 660);
    assert!(outage.len() > 20, "{}", outage.len());
    for sync in &outage {
        let metric = &sync.metrics[0];
        let seconds = sync.t.as_secs_floor();
        let time = format!("2026-01-05T00:{:02}:{:02}Z", seconds / 60, seconds % 60);
        let url = "http://prometheus:9090/api/v1/query?query=sum%28rate%28vllm%3Aprompt_tokens_total%5B2m%5D%29%29";
        let expected = format!("Get \"{url}&time={time}\": dial tcp prometheus:9090: connect: connection refused");
        assert_eq!((metric.value, metric.error.as_deref()), (None, Some(expected.as_str())));
        assert_eq!((sync.scaling_active, sync.metric_desired), (Some("FailedGetExternalMetric"), None));
        let message =
            &sync.status_conditions.iter().find(|own| own.kind == "ScalingActive").expect("it is set").message;
        let chain = "unable to fetch metrics from external metrics API: rpc error: code = Unknown desc = error when getting metric values metric:s0-prometheus encountered error";
        assert!(message.contains(chain), "{message}");
    }
    let polls = polls(&record);
    let failed = polls.iter().filter(|poll| poll.error);
    assert!(failed.clone().count() >= 11, "{}", failed.count());
    // Nothing was stored, and nothing marks what was there stale.
    let ups = ups(&rows, "");
    assert!(ups.iter().all(|(at, visible, _)| *at < 300_000 && *visible <= SimTime::from_secs(300) || *at >= 660_000));
    assert!(rows.iter().flat_map(StoredRow::samples).all(|(_, value)| !is_stale(value)));
    // The old phase goes on, after a discovery of up to ten seconds.
    let first = ups.iter().find(|(at, ..)| *at >= 660_000).expect("it scrapes again").0;
    assert_eq!(first % 15_000, ups[0].0 % 15_000);
    assert!((660_000..685_000).contains(&first), "{first}");
    // A rate needs two scrapes.
    for sync in between(&record, 660, 780) {
        let asked = i64::try_from(sync.metrics[0].query_time.as_millis_floor()).expect("small");
        let seen = ups.iter().filter(|(at, visible, _)| *at >= 660_000 && *at <= asked && *visible <= sync.t).count();
        assert_eq!(sync.metrics[0].value == Some(0.0), seen < 2, "{seen} scrapes at {}", sync.t);
    }
    assert_eq!(between(&record, 660, 675)[0].metrics[0].value, Some(0.0));
}

#[test]
fn a_gauge_outlives_an_outage_shorter_than_the_lookback() {
    let record = run(&policy(TWO, COUNT, ""), "{prometheusDown: {}, at: 5m, for: 3m}");
    // From the restart to the first scrape the last sample before it is what there is.
    assert!(values(&between(&record, 480, 520)).iter().all(|value| *value == Some(2.0)));
    let record = run(&policy(TWO, COUNT, ""), "{prometheusDown: {}, at: 5m, for: 6m}");
    assert_eq!(between(&record, 660, 676)[0].metrics[0].value, Some(0.0));
}

#[test]
fn fallback_counts_polls_and_syncs_of_an_outage() {
    let spec = "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 3}";
    let record = run(&policy(spec, RATE, ""), DOWN);
    let mut failures = 0;
    let mut substitutes = 0;
    for decision in &record.decisions {
        let (t, metric) = match decision {
            DecisionRecord::HpaSync(sync) => (sync.t, &sync.metrics[0]),
            DecisionRecord::KedaPoll(poll) => (poll.t, &poll.metrics[0]),
        };
        if t < SimTime::from_secs(300) || t >= SimTime::from_secs(660) {
            assert!(metric.error.is_none() && !metric.fallback, "{t}");
            continue;
        }
        // Each is one failure, however often it asked.
        failures += 1;
        assert_eq!(
            (metric.fallback, metric.error.is_none()),
            (failures > 3, failures > 3),
            "failure {failures} at {t}"
        );
        substitutes += u32::from(metric.fallback);
    }
    assert!(substitutes > 30, "{substitutes}");
    let scaled = record.events.iter().filter_map(|event| match event.kind {
        EventKind::Scaled { from, to, .. } => Some((event.t.as_secs_floor(), from, to)),
        _ => None,
    });
    let scaled: Vec<_> = scaled.collect();
    assert!(matches!(scaled[0], (300..=350, 1, 3)), "{scaled:?}");
}

#[test]
fn lost_scrapes_take_a_pods_gauges_away_at_once() {
    let fault = |settings: &str| format!("{{scrapeLoss: {{{settings}}}, at: 5m, for: 3m}}");
    let (record, rows) = recorded(&policy(TWO, COUNT, ""), &fault(""));
    let counts = |record: &RunRecord, from, to| values(&between(record, from, to));
    assert!(counts(&record, 60, 300).iter().all(|value| *value == Some(2.0)));
    // Within one scrape of each pod, and the second that a query looks back.
    assert!(counts(&record, 317, 480).iter().all(|value| *value == Some(0.0)), "{:?}", counts(&record, 317, 480));
    assert!(counts(&record, 497, 1200).iter().all(|value| *value == Some(2.0)));
    for (at, _, value) in ups(&rows, "") {
        assert_eq!(value, if (300_000..480_000).contains(&at) { 0.0 } else { 1.0 }, "up at {at}");
    }
    let markers = rows
        .iter()
        .flat_map(StoredRow::samples)
        .filter(|(labels, value)| is_stale(*value) && labels.metric_name() == "vllm:num_requests_running");
    assert_eq!(markers.count(), 2, "one marker per pod, not one per lost scrape");
    for pods in ["{newest: 1}", "{oldest: 1}"] {
        let record = run(&policy(TWO, COUNT, ""), &fault(&format!("pods: {pods}")));
        assert!(counts(&record, 317, 480).iter().all(|value| *value == Some(1.0)), "{pods}");
    }
    let (_, rows) = recorded(&policy(TWO, COUNT, ""), &fault("share: 0.5"));
    let inside: Vec<f64> =
        ups(&rows, "").iter().filter(|own| (300_000..480_000).contains(&own.0)).map(|own| own.2).collect();
    let lost = inside.iter().filter(|up| **up == 0.0).count();
    assert!(inside.len() >= 23 && (5..=18).contains(&lost), "{lost} of {}", inside.len());
}

#[test]
fn a_slow_pod_answers_late_or_not_at_all() {
    let (_, rows) = recorded(
        &policy(ONE, COUNT, ""),
        "{scrapeSlow: {latency: 4s}, at: 5m, for: 2m}, {scrapeSlow: {latency: 10s}, at: 10m, for: 2m}",
    );
    for (at, visible, up) in ups(&rows, "") {
        let (late_ms, expected) = match at {
            300_000..420_000 => (4_000, 1.0),
            // At the timeout it is too late, which is known at the timeout.
            600_000..720_000 => (10_000, 0.0),
            _ => (20, 1.0),
        };
        let took = i64::try_from(visible.as_millis_floor()).expect("small") - at;
        assert_eq!((took, up), (late_ms, expected), "the scrape at {at}");
    }
}

#[test]
fn a_prometheus_slower_than_the_timeout_fails_twice() {
    let text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    let slow = run(&policy(ONE, RATE, ""), "{prometheusSlow: {latency: 5s}, at: 5m, for: 10m}");
    let inside = between(&slow, 330, 900);
    for pair in inside.windows(2) {
        let error = pair[1].metrics[0].error.as_deref().unwrap_or_default();
        assert!(error.ends_with(text), "{error}");
        // Two requests of three seconds, then the period and a reconcile's own time.
        let gap = pair[1].t.since(pair[0].t).as_secs_f64();
        assert!((21.0..21.5).contains(&gap), "{gap}");
        // It is the second request that counts.
        let asked = SimTime::from_ps(pair[1].t.as_ps() - SimDuration::from_secs(3).as_ps());
        assert_eq!(pair[1].metrics[0].query_time, asked.floor_to_second());
    }
    let failed = polls(&slow).into_iter().filter(|poll| poll.error).count();
    assert!((19..=20).contains(&failed), "polls keep their interval: {failed}");
    // A fault that ends while the first request waits: the second one is answered.
    let decided = inside[4].t;
    let start = SimTime::from_ps(decided.as_ps() - SimDuration::from_secs(6).as_ps());
    let length = start.saturating_add(SimDuration::from_secs(1)).since(SimTime::from_secs(300));
    let short = run(
        &policy(ONE, RATE, ""),
        &format!("{{prometheusSlow: {{latency: 5s}}, at: 5m, for: {}ms}}", length.as_millis_floor()),
    );
    let answered = start.saturating_add(SimDuration::from_secs(3));
    let sync = syncs(&short).into_iter().find(|sync| sync.t == answered).expect("it decides on the second answer");
    assert_eq!(sync.metrics[0].error, None);
    assert!(sync.metrics[0].value > Some(0.0));
    assert_eq!(sync.metrics[0].query_time, answered.floor_to_second());
}

#[test]
fn a_prometheus_within_the_timeout_only_comes_late() {
    let fault = |latency: &str| format!("{{prometheusSlow: {{latency: {latency}}}, at: 5m, for: 10m}}");
    // The operator's timeout, the trigger's (milliseconds), and one for all triggers.
    for (metadata, latency) in [("", 2), (", timeout: \"6000\"", 5), (", timeout: 1m", 40)] {
        let record = run(&policy(ONE, RATE, metadata), &fault(&format!("{latency}s")));
        for pair in between(&record, 345, 900).windows(2) {
            let metric = &pair[1].metrics[0];
            assert!(metric.error.is_none() && metric.value > Some(0.0), "{metadata}: {metric:?}");
            let asked = SimTime::from_ps(pair[1].t.as_ps() - SimDuration::from_secs(latency).as_ps());
            assert_eq!(metric.query_time, asked.floor_to_second(), "{metadata}");
            let gap = pair[1].t.since(pair[0].t).as_secs_f64() - latency as f64;
            assert!((15.0..15.5).contains(&gap), "{metadata}: {gap}");
        }
    }
    let scenario = world(&fault("5s")).replace("  duration", "  keda: {httpTimeout: 6s}\n  duration");
    let run = try_resolve(&policy(ONE, RATE, ""), &scenario).expect("it resolves");
    let record = simulate(&run, true).expect("it runs");
    assert!(syncs(&record).iter().all(|sync| sync.metrics[0].error.is_none()));
}

#[test]
fn a_prometheus_that_stops_while_it_works_cuts_the_answer() {
    let faults = "{prometheusSlow: {latency: 2s}, at: 5m, for: 5m}";
    let slow = run(&policy(ONE, RATE, ""), faults);
    let sync = between(&slow, 400, 600)[0];
    let stop = SimTime::from_ps(sync.t.as_ps() - SimDuration::from_secs(1).as_ps());
    let down = format!("{{prometheusDown: {{}}, at: {}ms, for: 1m}}", stop.as_millis_floor());
    let record = run(&policy(ONE, RATE, ""), &format!("{faults}, {down}"));
    // The request is cut when the process ends, and the second one is refused.
    let cut = syncs(&record)
        .into_iter()
        .find(|sync| sync.t >= SimTime::from_millis(stop.as_millis_floor()))
        .expect("it decides");
    assert_eq!(cut.t, SimTime::from_millis(stop.as_millis_floor()));
    let error = cut.metrics[0].error.as_deref().unwrap_or_default();
    assert!(error.ends_with("connection refused"), "{error}");
}

#[test]
fn without_keda_the_hpa_gets_nothing_and_nobody_polls() {
    let spec = "  minReplicaCount: 1\n  fallback: {failureThreshold: 0, replicas: 3}";
    let record = run(&policy(spec, RATE, ""), "{kedaDown: {}, at: 5m, for: 2m}");
    let gone = "the server is currently unable to handle the request (get s0-prometheus.external.metrics.k8s.io)";
    for sync in between(&record, 300, 420) {
        // The operator never hears of it, so it counts no failure.
        assert_eq!((sync.metrics[0].error.as_deref(), sync.metrics[0].fallback), (Some(gone), false));
        assert_eq!(sync.scaling_active, Some("FailedGetExternalMetric"));
    }
    assert!(between(&record, 420, 1200).iter().all(|sync| sync.metrics[0].error.is_none()));
    let polls: Vec<f64> = polls(&record).iter().map(|poll| poll.t.as_secs_f64()).collect();
    assert!(!polls.iter().any(|t| (300.0..420.0).contains(t)));
    // It starts with a poll, and from there on every interval, in one loop.
    let after: Vec<f64> = polls.into_iter().filter(|t| *t >= 420.0).collect();
    assert!((420.1..421.0).contains(&after[0]), "{}", after[0]);
    assert!(after.windows(2).all(|pair| (pair[1] - pair[0] - 30.0).abs() < 1e-6), "{after:?}");
}

#[test]
fn a_pod_that_goes_during_an_outage_leaves_no_markers() {
    // Two replicas of which one is too many.
    let spec = "  minReplicaCount: 1\n  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}}";
    let text = |faults: &str| world(faults).replace("  duration", "  initialReplicas: 2\n  duration");
    let run_with = |faults: &str| {
        let run =
            try_resolve(&policy(spec, "count(up)", ""), &text(faults)).unwrap_or_else(|errors| panic!("{errors}"));
        simulate(&run, true).unwrap_or_else(|error| panic!("{error}"))
    };
    let plain = run_with("");
    let gone = plain.events.iter().find_map(|event| match &event.kind {
        EventKind::Pod { state: "gone", .. } => Some(event.t.as_secs_floor()),
        _ => None,
    });
    let gone = gone.expect("a pod goes");
    assert!(gone < 200, "{gone}");
    let seen = |record: &RunRecord, from, to| values(&between(record, from, to));
    assert!(seen(&plain, gone + 60, 1200).iter().all(|value| *value == Some(1.0)));
    // Before discovery notices, and between that and the late markers.
    for start in [gone + 1, gone + 12] {
        let record = run_with(&format!("{{prometheusDown: {{}}, at: {start}s, for: 2m}}"));
        let end = start + 120;
        assert!(seen(&record, end, gone + 280).iter().all(|value| *value == Some(2.0)), "stopped at {start} s");
        assert!(seen(&record, gone + 320, 1200).iter().all(|value| *value == Some(1.0)), "stopped at {start} s");
    }
}

#[test]
fn a_pod_that_comes_during_an_outage_is_found_after_it() {
    let spec = "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 3}";
    let (record, rows) = recorded(&policy(spec, RATE, ""), DOWN);
    let mut pods = record.pods.iter().filter(|pod| pod.created > SimTime::from_secs(300)).peekable();
    assert!(pods.peek().is_some(), "the fallback brings pods");
    for pod in pods {
        let first = ups(&rows, &pod.name)[0].0;
        assert!((660_000..685_000).contains(&first), "{} was scraped at {first}", pod.name);
    }
}

#[test]
fn a_fault_outside_the_run_changes_nothing_and_is_told() {
    let policy = policy(ONE, RATE, "");
    let (plain, late) = (resolved(&policy, ""), resolved(&policy, "{prometheusDown: {}, at: 20m, for: 1m}"));
    let warnings = late.diagnostics.to_string();
    assert!(warnings.contains("spec.faults[0].at: the fault starts at 20m, when the run of 20m is over"), "{warnings}");
    let (plain, late) = (simulate(&plain, true).expect("it runs"), simulate(&late, true).expect("it runs"));
    assert_eq!(decisions_to_jsonl(&plain), decisions_to_jsonl(&late));
    assert_eq!(plain.requests, late.requests);
}

#[test]
fn a_fault_changes_neither_traffic_nor_what_came_before_it() {
    let policy = policy(ONE, RATE, "");
    let faults = "{prometheusDown: {}, at: 5m, for: 1m}, {scrapeLoss: {share: 0.3}, at: 7m, for: 3m}, {prometheusSlow: {latency: 1s}, at: 11m, for: 1m}, {kedaDown: {}, at: 13m, for: 1m}, {scrapeSlow: {latency: 3s}, at: 15m, for: 1m}";
    let (plain, disturbed) = (run(&policy, ""), run(&policy, faults));
    assert_eq!(plain.requests, disturbed.requests);
    assert_eq!(format!("{:?}", plain.latencies), format!("{:?}", disturbed.latencies));
    let before = |record: &RunRecord| {
        let early = |decision: &&DecisionRecord| match decision {
            DecisionRecord::HpaSync(sync) => sync.t < SimTime::from_secs(300),
            DecisionRecord::KedaPoll(poll) => poll.t < SimTime::from_secs(300),
        };
        format!("{:?}", record.decisions.iter().filter(early).collect::<Vec<_>>())
    };
    assert_eq!(before(&plain), before(&disturbed));
    // One run is another's equal, fault or not.
    assert_eq!(decisions_to_jsonl(&disturbed), decisions_to_jsonl(&run(&policy, faults)));
    assert_eq!(faults_told(&disturbed).len(), 10);
}

#[test]
fn a_run_without_a_duration_waits_for_its_faults() {
    let text = world("{prometheusDown: {}, at: 50m, for: 5m}")
        .replace("  duration: 20m\n", "")
        .replace("output: {constant: 20}", "output: {constant: 20}, stop: 2m");
    let run = try_resolve(&policy(ONE, RATE, ""), &text).unwrap_or_else(|errors| panic!("{errors}"));
    let record = simulate(&run, true).unwrap_or_else(|error| panic!("{error}"));
    assert!(record.info.end > SimTime::from_secs(55 * 60), "{}", record.info.end);
    assert_eq!(faults_told(&record).len(), 2);
}

#[test]
fn faults_are_written_as_they_can_be_read_again() {
    let faults = "{scrapeLoss: {share: 0.25, pods: {newest: 2}}, at: 5m, for: 90s}, {prometheusDown: , at: 0s, for: 1m}, {scrapeSlow: {latency: 1500ms}, at: 1h, for: 1m}";
    let first = resolved(&policy(ONE, RATE, ""), faults);
    let text = scenario_yaml(&first);
    assert!(
        text.contains(
            "  faults:\n    - {scrapeLoss: {share: 0.25, pods: {newest: 2}}, at: 5m, for: 1m30s} # test.yaml:"
        ),
        "{text}"
    );
    let again = try_resolve(&policy(ONE, RATE, ""), &text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(first.faults, again.faults);
    assert_eq!(first.faults[1].kind, FaultKind::ScrapeLoss { share: 0.25, pods: FaultPods::Newest(2) });
    assert_eq!((first.faults[0].at, first.faults[0].until), (SimTime::ZERO, SimTime::from_secs(60)));
}

#[test]
fn mistakes_are_located() {
    // faults, what the message holds.
    let table: &[(&str, &[&str])] = &[
        (
            "{prometheusDwn: {}, at: 1m, for: 1m}",
            &["test.yaml:", "unknown key \"prometheusDwn\" in spec.faults[0]", "did you mean prometheusDown?"],
        ),
        (
            "{podCrash: {}, at: 1m, for: 1m}",
            &["spec.faults[0].podCrash: the fault podCrash is not modelled yet", "prometheusDown, prometheusSlow"],
        ),
        ("{slowPull: {}, at: 1m, for: 1m}", &["slowPull is not modelled yet"]),
        ("{gpuStockout: {}, at: 1m, for: 1m}", &["gpuStockout is not modelled yet"]),
        ("{at: 1m, for: 1m}", &["spec.faults[0]: found none, expected exactly one fault"]),
        (
            "{kedaDown: {}, prometheusDown: {}, at: 1m, for: 1m}",
            &["found prometheusDown and kedaDown, expected exactly one fault"],
        ),
        ("{kedaDown: {}, for: 1m}", &["spec.faults[0].at: the required field at is missing"]),
        ("{kedaDown: {}, at: 1m}", &["spec.faults[0].for: the required field for is missing"]),
        ("{kedaDown: {}, at: 1m, for: 0s}", &["found 0, expected a duration above zero"]),
        ("{kedaDown: {}, at: -1m, for: 1s}", &["spec.faults[0].at: found the negative duration"]),
        ("{kedaDown: {latency: 1s}, at: 1m, for: 1s}", &["unknown key \"latency\" in spec.faults[0].kedaDown"]),
        (
            "{prometheusSlow: {}, at: 1m, for: 1s}",
            &["spec.faults[0].prometheusSlow.latency: the required field latency is missing"],
        ),
        ("{prometheusSlow: , at: 1m, for: 1s}", &["the required field latency is missing"]),
        (
            "{scrapeLoss: {share: 1.5}, at: 1m, for: 1s}",
            &["spec.faults[0].scrapeLoss.share: found 1.5, expected a share above 0 and at most 1"],
        ),
        ("{scrapeLoss: {share: 0}, at: 1m, for: 1s}", &["found 0, expected a share above 0"]),
        ("{scrapeLoss: {pods: some}, at: 1m, for: 1s}", &["expected all, {oldest: N} or {newest: N}"]),
        ("{scrapeLoss: {pods: {oldest: 1, newest: 1}}, at: 1m, for: 1s}", &["found both oldest and newest"]),
        (
            "{scrapeLoss: {pods: {oldest: 0}}, at: 1m, for: 1s}",
            &["spec.faults[0].scrapeLoss.pods.oldest: found the integer 0"],
        ),
        (
            "{kedaDown: {}, at: 1m, for: 5m}, {kedaDown: {}, at: 5m59s, for: 1m}",
            &[
                "spec.faults[1]: found kedaDown from 5m59s to 6m59s, which overlaps with the kedaDown from 1m to 6m at test.yaml:",
            ],
        ),
        (
            "{prometheusSlow: {latency: 61s}, at: 1m, for: 1s}, 7",
            &["spec.faults[1]: found the integer 7, expected a mapping"],
        ),
    ];
    for (faults, parts) in table {
        let told = try_resolve(&policy(ONE, RATE, ""), &world(faults)).expect_err(faults);
        for part in *parts {
            assert!(told.contains(part), "{faults}: {part:?} is missing in\n{told}");
        }
        assert_eq!(told.matches("error:").count(), 1, "{faults} is told once:\n{told}");
    }
    // Of two kinds, or one after the other, is no overlap.
    for faults in [
        "{kedaDown: {}, at: 1m, for: 5m}, {kedaDown: {}, at: 6m, for: 1m}",
        "{kedaDown: {}, at: 1m, for: 5m}, {prometheusDown: {}, at: 1m, for: 5m}",
    ] {
        assert_eq!(resolved(&policy(ONE, RATE, ""), faults).faults.len(), 2, "{faults}");
    }
    // Beyond what the API server waits for.
    let slow = world("{prometheusSlow: {latency: 70s}, at: 1m, for: 1m}");
    let told = try_resolve(&policy(ONE, RATE, ", timeout: 2m"), &slow).expect_err("too slow");
    assert!(told.contains("with a latency of 1m10s a metric takes the HPA 1m10s"), "{told}");
    assert!(try_resolve(&policy(ONE, RATE, ""), &slow).is_ok(), "the timeout of three seconds ends it");
}

#[test]
fn the_command_line_can_set_a_fault() {
    let mut bundle =
        Bundle::from_text(&format!("{}---\n{}", policy(ONE, RATE, ""), world(DOWN)), "test.yaml").expect("it reads");
    bundle.set("Scenario:spec.faults[0].for", parse_value("2m")).unwrap_or_else(|error| panic!("{error}"));
    let run = resolve(&bundle, &Overrides::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(run.faults[0].until, SimTime::from_secs(420));
}

/// A policy with a second trigger, `name`s and a formula when there is one.
fn two_triggers(spec: &str) -> String {
    let one = policy(spec, RATE, ", timeout: 4s");
    let second = "    - type: prometheus\n      name: second\n      metadata: {serverAddress: \"http://prometheus:9090\", threshold: \"1000\", query: 'sum(up)'}\n---\napiVersion: serving";
    one.replacen("---\napiVersion: serving", second, 1).replacen(
        "- type: prometheus",
        "- name: first\n      type: prometheus",
        1,
    )
}

#[test]
fn a_sync_fetches_one_metric_after_the_other_and_a_formula_all_inputs_at_once() {
    let fault = "{prometheusSlow: {latency: 2s}, at: 5m, for: 10m}";
    let record = run(&two_triggers(ONE), fault);
    for sync in between(&record, 330, 900) {
        let asked: Vec<u64> = sync.metrics.iter().map(|own| own.query_time.as_secs_floor()).collect();
        assert_eq!(asked[1] - asked[0], 2, "the second waits for the first");
        assert_eq!(asked[1], SimTime::from_ps(sync.t.as_ps() - SimDuration::from_secs(2).as_ps()).as_secs_floor());
    }
    // A poll asks both at once.
    let slow_polls: Vec<&KedaPoll> =
        polls(&record).into_iter().filter(|poll| poll.t > SimTime::from_secs(330)).collect();
    assert!(slow_polls.iter().all(|poll| poll.metrics[0].query_time == poll.metrics[1].query_time));
    let formula = "  minReplicaCount: 1\n  advanced: {scalingModifiers: {formula: first + second, target: \"1000\"}}";
    let record = run(&two_triggers(formula), fault);
    for sync in between(&record, 330, 900) {
        let asked = SimTime::from_ps(sync.t.as_ps() - SimDuration::from_secs(2).as_ps()).floor_to_second();
        assert_eq!((sync.metrics[0].trigger.as_str(), sync.metrics.len()), ("composite-metric", 3));
        assert!(sync.metrics[1..].iter().all(|own| own.query_time == asked && own.error.is_none()));
    }
    // Three seconds are too slow for the second trigger alone: a metric that fails keeps the HPA from scaling down only.
    let record = run(&two_triggers(ONE), &fault.replace("2s", "3500ms"));
    for sync in between(&record, 330, 900) {
        assert_eq!((sync.metrics[0].error.is_none(), sync.metrics[1].error.is_none()), (true, false));
    }
}

#[test]
fn cached_metrics_are_dropped_by_a_failing_poll() {
    let policy =
        policy(ONE, RATE, "").replace("- type: prometheus", "- useCachedMetrics: true\n      type: prometheus");
    let record = run(&policy, "{prometheusDown: {}, at: 5m, for: 6m}");
    assert!(between(&record, 60, 300).iter().all(|sync| sync.metrics[0].cached));
    // The first poll of the outage drops the record; from then on syncs ask, and fail.
    let first = polls(&record).into_iter().find(|poll| poll.error).expect("polls fail").t;
    for sync in between(&record, 300, 660) {
        assert_eq!(sync.metrics[0].error.is_some(), sync.t > first, "{}", sync.t);
    }
    assert!(between(&record, 700, 1200).iter().all(|sync| sync.metrics[0].cached));
}

#[test]
fn an_idle_target_is_held_at_zero_by_polls_alone() {
    let spec = "  minReplicaCount: 0\n  cooldownPeriod: 0\n  fallback: {failureThreshold: 3, replicas: 2}";
    let record = run(&policy(spec, "sum(nothing)", ""), "{prometheusDown: {}, at: 5m, for: 6m}");
    let scaled = record.events.iter().filter_map(|event| match event.kind {
        EventKind::Scaled { from, to, .. } => Some((event.t, from, to)),
        _ => None,
    });
    let scaled: Vec<_> = scaled.filter(|own| own.0 > SimTime::from_secs(300)).collect();
    // Only polls ask while there is nothing to scale: the fourth failure is the fourth poll of the outage.
    let failed: Vec<SimTime> =
        polls(&record).iter().map(|poll| poll.t).filter(|t| *t >= SimTime::from_secs(300)).collect();
    assert_eq!(scaled.first(), Some(&(failed[3], 0, 1)), "{scaled:?}");
}

#[test]
fn a_scrape_that_fails_after_a_restart_marks_nothing() {
    // The new process does not know what the old one had scraped.
    let faults = "{prometheusDown: {}, at: 5m, for: 1m}, {scrapeLoss: {}, at: 6m, for: 2m}";
    let (record, rows) = recorded(&policy(TWO, COUNT, ""), faults);
    assert!(values(&between(&record, 390, 480)).iter().all(|value| *value == Some(2.0)));
    assert!(ups(&rows, "").iter().any(|(at, _, up)| *at > 360_000 && *up == 0.0));
    assert!(rows.iter().flat_map(StoredRow::samples).all(|(_, value)| !is_stale(value)));
}

#[test]
fn what_keda_never_heard_of_is_no_failure_and_its_loop_is_one() {
    let spec = "  minReplicaCount: 1\n  fallback: {failureThreshold: 3, replicas: 3}";
    // Shorter than a polling interval, and Prometheus is gone when KEDA is back.
    let record =
        run(&policy(spec, RATE, ""), "{kedaDown: {}, at: 5m, for: 61s}, {prometheusDown: {}, at: 5m, for: 5m}");
    let mut failures = 0;
    for decision in &record.decisions {
        let (t, metric) = match decision {
            DecisionRecord::HpaSync(sync) => (sync.t, &sync.metrics[0]),
            DecisionRecord::KedaPoll(poll) => (poll.t, &poll.metrics[0]),
        };
        if (SimTime::from_secs(361)..SimTime::from_secs(600)).contains(&t) {
            failures += 1;
            assert_eq!(metric.fallback, failures > 3, "failure {failures} at {t}");
        }
    }
    assert!(failures > 3);
    let record = run(&policy(ONE, RATE, ""), "{kedaDown: {}, at: 5m, for: 10s}");
    let polls: Vec<SimTime> =
        polls(&record).iter().map(|poll| poll.t).filter(|t| *t > SimTime::from_secs(311)).collect();
    assert!(polls.windows(2).all(|pair| pair[1].since(pair[0]) == SimDuration::from_secs(30)), "{polls:?}");
}

//! cpu and memory through metrics-server, series and triggers that the user gives, and pushes, through a whole run.

use kedasim::manifest::Bundle;
use kedasim::record::{DecisionRecord, EventKind, HpaSync, KedaPoll, RunRecord};
use kedasim::scenario::{Overrides, ResolvedRun, resolve};
use kedasim::sim::simulate;
use kedasim::units::{Seed, SimTime};

/// `resources` of the container.
fn deployment(resources: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: vllm}}\nspec:\n  selector: {{matchLabels: {{app: vllm}}}}\n  \
         template:\n    metadata: {{labels: {{app: vllm}}}}\n    spec:\n      containers:\n        - name: server\n          \
         args: [serve, facebook/opt-125m, --served-model-name=opt-125m, --max-model-len=512]\n          \
         resources: {resources}\n          readinessProbe: {{tcpSocket: {{port: 8000}}, periodSeconds: 10}}\n"
    )
}

const RESOURCES: &str = "{requests: {cpu: \"2\", memory: 4Gi}, limits: {cpu: \"4\"}}";

fn hpa(metrics: &str) -> String {
    format!(
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: web}}\nspec:\n  scaleTargetRef: \
         {{apiVersion: apps/v1, kind: Deployment, name: vllm}}\n  minReplicas: 1\n  maxReplicas: 5\n  metrics:\n{metrics}"
    )
}

fn resource(name: &str, target: &str) -> String {
    format!("    - type: Resource\n      resource: {{name: {name}, target: {target}}}\n")
}

fn object(spec: &str) -> String {
    let body: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: so}}\nspec:\n  scaleTargetRef: {{name: vllm}}\n{body}"
    )
}

fn scenario(replica: &str, spec: &str) -> String {
    let body: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: kedasim.dev/v1alpha1\nkind: Scenario\nmetadata: {{name: sc}}\nspec:\n  replica: {{profile: \
         opt-125m-cpu{replica}}}\n{body}"
    )
}

const LOAD: &str = "duration: 20m\ntraffic: {arrivals: {poisson: {rate: 3}}, prompt: {constant: 15}, \
                    output: {constant: 100}, start: 2m, stop: 10m}";
const QUIET: &str =
    "duration: 12m\ntraffic: {arrivals: {poisson: {rate: 0.01}}, prompt: {constant: 15}, output: {constant: 5}}";

fn resolved(parts: &[&str]) -> Result<ResolvedRun, String> {
    let bundle = Bundle::from_text(&parts.join("\n---\n"), "p.yaml").expect("well formed");
    resolve(&bundle, &Overrides { seed: Some(Seed(3)), ..Overrides::default() }).map_err(|found| found.to_string())
}

fn run(parts: &[&str]) -> RunRecord {
    let run = resolved(parts).unwrap_or_else(|found| panic!("does not resolve:\n{found}"));
    simulate(&run, true).unwrap_or_else(|error| panic!("{error}"))
}

fn syncs(record: &RunRecord) -> Vec<&HpaSync> {
    let mut syncs = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::HpaSync(sync) = decision {
            syncs.push(sync.as_ref());
        }
    }
    syncs
}

fn polls(record: &RunRecord) -> Vec<&KedaPoll> {
    let mut polls = Vec::new();
    for decision in &record.decisions {
        if let DecisionRecord::KedaPoll(poll) = decision {
            polls.push(poll.as_ref());
        }
    }
    polls
}

fn writes(record: &RunRecord) -> Vec<(SimTime, i32)> {
    let scaled = record.events.iter().filter_map(|event| match event.kind {
        EventKind::Scaled { to, .. } => Some((event.t, to)),
        _ => None,
    });
    scaled.collect()
}

#[test]
fn cpu_follows_the_load_in_percent_of_the_request() {
    let policy = hpa(&resource("cpu", "{type: Utilization, averageUtilization: 100}"));
    let deployment = deployment(RESOURCES);
    let record = run(&[&policy, &deployment, &scenario(", cpuIdle: 100m", LOAD)]);
    let syncs = syncs(&record);
    let before = syncs.iter().take_while(|sync| sync.t < SimTime::from_secs(120));
    for sync in before {
        // 100m of 2 cores.
        assert_eq!(sync.metrics[0].value, Some(5.0), "idle at {}", sync.t);
        assert_eq!((sync.metrics[0].trigger.as_str(), sync.metrics[0].kind.as_str()), ("cpu", "cpu"));
        assert_eq!((sync.metrics[0].target_type.as_str(), sync.metrics[0].target_milli), ("Utilization", 100_000));
    }
    // Busy all the time: the limit of 4 cores is 200 % of the request, so one replica asks for two.
    let up = syncs.iter().find(|sync| sync.rescaled).expect("up");
    assert!(up.metrics[0].value.is_some_and(|value| (111.0..=200.0).contains(&value)), "{:?}", up.metrics[0]);
    let full = syncs.iter().find(|sync| sync.metrics[0].value == Some(200.0)).expect("a window full of work");
    assert!(full.t < SimTime::from_secs(240));
    // A pod that is not ready does not count by what its start uses, and on the way up it is held to use nothing: the ask does
    // not grow while it starts.
    let starting = |sync: &&&HpaSync| sync.t > full.t && sync.ready_replicas == 1 && sync.status_replicas == 2;
    let alone: Vec<&&HpaSync> = syncs.iter().filter(starting).collect();
    assert!(alone.len() >= 2, "a start takes about a minute");
    for sync in alone {
        assert_eq!((sync.metrics[0].value, sync.metrics[0].proposal), (Some(200.0), Some(2)), "at {}", sync.t);
    }
    assert_eq!(writes(&record).last().map(|write| write.1), Some(1), "down again: {:?}", writes(&record));
    let told = resolved(&[&policy, &deployment, &scenario("", LOAD)]).expect("resolves").assumptions;
    let of = |path: &str| told.iter().find(|own| own.path == path).map(|own| own.value.as_str());
    assert_eq!((of("spec.replica.cpuBusy"), of("spec.replica.cpuIdle")), (Some("4"), Some("50m")));
}

#[test]
fn what_nothing_says_about_use_is_asked_for() {
    let memory = hpa(&resource("memory", "{type: AverageValue, averageValue: 5Gi}"));
    let deployment = deployment(RESOURCES);
    let told = resolved(&[&memory, &deployment, &scenario("", QUIET)]).expect_err("no memory given");
    assert!(told.contains("spec.replica.memory") && told.contains("replica: {memory: 6Gi}"), "{told}");
    let record = run(&[&memory, &deployment, &scenario(", memory: 12Gi", QUIET)]);
    let gib = f64::from(1 << 30);
    assert_eq!(syncs(&record)[0].metrics[0].value, Some(12.0 * gib));
    // 12 of 5 is 2.4: three. Memory does not follow the load, so three pods ask for eight, once theirs is loaded.
    let counts: Vec<i32> = writes(&record).iter().map(|write| write.1).collect();
    assert_eq!((counts.first(), counts.last()), (Some(&3), Some(&5)), "{counts:?}");
    assert!(counts.is_sorted(), "{counts:?}");

    let cpu = hpa(&resource("cpu", "{type: Utilization, averageUtilization: 80}"));
    let told = resolved(&[&cpu, &scenario("", QUIET)]).expect_err("no workload");
    assert!(told.contains("utilization of cpu is a share of the pods' request"), "{told}");
    let without = self::deployment("{limits: {memory: 8Gi}}");
    let told = resolved(&[&cpu, &without, &scenario("", QUIET)]).expect_err("no limit");
    assert!(told.contains("spec.replica.cpuBusy") && told.contains("replica: {cpuBusy: 4}"), "{told}");
    // A request that is missing is the HPA's own failure.
    let record = run(&[&cpu, &without, &scenario(", cpuBusy: 2", QUIET)]);
    for sync in syncs(&record) {
        assert!(sync.metrics[0].error.as_deref().is_some_and(|why| why.contains("missing request for cpu")));
        assert_eq!(sync.scaling_active, Some("FailedGetResourceMetric"));
    }
    assert!(writes(&record).is_empty());
}

#[test]
fn keda_only_writes_cpu_into_the_hpa() {
    let spec = "minReplicaCount: 1\nmaxReplicaCount: 5\ntriggers:\n  - type: cpu\n    metricType: Utilization\n    metadata: {value: \"100\"}\n  \
                - type: cron\n    metadata: {timezone: Etc/UTC, start: 0 0 * * *, end: 5 0 * * *, desiredReplicas: \"2\"}";
    let record = run(&[&object(spec), &deployment(RESOURCES), &scenario("", LOAD)]);
    for poll in polls(&record) {
        let kinds: Vec<&str> = poll.metrics.iter().map(|metric| metric.kind.as_str()).collect();
        assert_eq!(kinds, ["cron"], "a poll does not ask for cpu");
    }
    for sync in syncs(&record) {
        let kinds: Vec<&str> = sync.metrics.iter().map(|metric| metric.kind.as_str()).collect();
        assert_eq!(kinds, ["cron", "cpu"], "External before Resource, as KEDA sorts them");
    }
    let shown: Vec<(&str, f64)> =
        record.info.triggers.iter().map(|own| (own.target_type.as_str(), own.threshold)).collect();
    assert_eq!(shown, [("Utilization", 100.0), ("AverageValue", 1.0)], "the triggers' own order");
    let busy = record.timeline.rows.iter().filter(|row| row.triggers[0].0 == Some(200.0));
    assert!(busy.count() > 2, "the timeline has the HPA's cpu under the trigger");
    assert_eq!(writes(&record)[0].1, 2, "the window of the night holds two");
    assert!(writes(&record).iter().any(|write| write.1 > 2), "then cpu takes over");
}

#[test]
fn a_signal_is_answered_at_the_instant_and_a_push_acts_at_once() {
    let spec = |kind: &str| {
        format!(
            "minReplicaCount: 0\nmaxReplicaCount: 5\npollingInterval: 60\ncooldownPeriod: 30\ntriggers:\n  - type: {kind}\n    \
             metadata: {{scalerAddress: \"queue:9090\"}}"
        )
    };
    let world = format!(
        "{QUIET}\nsignals: {{triggers: {{\"triggers[0]\": {{value: {{constant: 3}}, active: {{ramp: {{from: -1, to: 1, start: 3m, \
         end: 5m}}}}, target: 3}}}}}}"
    );
    let deployment = deployment(RESOURCES);
    let pushed = run(&[&object(&spec("external-push")), &deployment, &scenario("", &world)]);
    // The ramp crosses zero at four minutes; active is above zero.
    let first = writes(&pushed).into_iter().find(|write| write.1 == 1).expect("activated").0;
    assert!(first > SimTime::from_secs(240) && first < SimTime::from_millis(240_001), "at {first}");
    let push = polls(&pushed).into_iter().find(|poll| poll.t == first).expect("recorded");
    assert_eq!((push.rule, push.action, push.active, push.metrics.len()), ("A1", "activate", true, 0));
    // Without the push the next poll finds it, up to a minute later.
    let polled = run(&[&object(&spec("external")), &deployment, &scenario("", &world)]);
    let late = writes(&polled).into_iter().find(|write| write.1 == 1).expect("activated").0;
    assert!(late > SimTime::from_secs(240) && late <= SimTime::from_secs(301), "at {late}");
    assert!(polls(&polled).iter().any(|poll| poll.t == late && !poll.metrics.is_empty()));
}

#[test]
fn the_users_series_are_scraped_with_their_labels_alone() {
    let query = |text: &str| {
        format!(
            "  - type: prometheus\n    metadata: {{serverAddress: \"http://prometheus:9090\", threshold: \"1000\", query: '{text}'}}\n"
        )
    };
    let spec = format!(
        "minReplicaCount: 1\nmaxReplicaCount: 5\ntriggers:\n{}{}{}{}",
        query("queue{shard=\"a\"}"),
        query("count(up)"),
        query("rate(done_total[2m])"),
        query("count({__name__=\"queue\", pod=\"\", instance=\"\", job=\"\", namespace=\"\"})")
    );
    let world = format!(
        "{QUIET}\nsignals:\n  series:\n    - {{metric: queue, labels: {{shard: a}}, value: {{step: {{from: 4, to: 7, at: 5m}}}}}}\n    - {{metric: \
         done_total, rate: {{constant: 2.5}}}}"
    );
    let record = run(&[&object(&spec), &deployment(RESOURCES), &scenario("", &world)]);
    let syncs = syncs(&record);
    let value = |sync: &HpaSync, index: usize| sync.metrics[index].value;
    for sync in syncs.iter().filter(|sync| sync.t > SimTime::from_secs(180)) {
        let settled = sync.t < SimTime::from_secs(300) || sync.t > SimTime::from_secs(317);
        let expected = if sync.t < SimTime::from_secs(300) { 4.0 } else { 7.0 };
        assert!(!settled || value(sync, 0) == Some(expected), "{:?} at {}", value(sync, 0), sync.t);
        assert_eq!(value(sync, 1), Some(1.0), "one pod and no target of ours");
        assert!(value(sync, 2).is_some_and(|rate| (rate - 2.5).abs() < 1e-9), "{:?}", value(sync, 2));
        assert_eq!(value(sync, 3), Some(1.0), "no label but its own");
    }
    // Two scrape intervals are no more than the phase of a scrape and its response away from the change.
    let changed = syncs.iter().find(|sync| value(sync, 0) == Some(7.0)).expect("changes").t;
    assert!(changed > SimTime::from_secs(300), "at {changed}");
}

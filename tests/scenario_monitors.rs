//! What PodMonitors, ServiceMonitors and PrometheusRules make of a run: scrape jobs, their labels and intervals, what can
//! never be scraped, and recording rules.

use kedasim::analysis::summarize;
use kedasim::manifest::Bundle;
use kedasim::prometheus::{StoredRow, target_labels};
use kedasim::scenario::{Overrides, ResolvedRun, ScrapePool, resolve, scenario_yaml};
use kedasim::series::Labels;
use kedasim::sim::{simulate, simulate_recording};
use std::collections::BTreeSet;

const SCALED_OBJECT: &str = r#"
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: so, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  minReplicaCount: 1
  maxReplicaCount: 3
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus:9090
        query: QUERY
        threshold: "1"
"#;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat, namespace: llm}
spec:
  template:
    metadata: {labels: {app: chat, team: blue, app.kubernetes.io/part-of: demo, pod: mine}}
    spec:
      containers:
        - name: vllm
          args: [--served-model-name=chat, --model=facebook/opt-125m, --max-model-len=512, --port=8000]
          ports: [{name: http, containerPort: 8000}]
          readinessProbe: {periodSeconds: 5}
          resources: {limits: {cpu: "4"}}
        - name: proxy
          ports: [{name: side, containerPort: 9090}]
"#;

const SERVICE: &str = r#"
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: opt
  namespace: llm
  labels: {team: red}
  annotations: {serving.kserve.io/autoscalerClass: external}
spec:
  predictor:
    model:
      modelFormat: {name: huggingface}
      args: [--model_name=chat, --model_id=facebook/opt-125m, --max-model-len=512]
      resources: {limits: {cpu: "4"}}
"#;

const SCENARIO: &str = r"
apiVersion: kedasim.dev/v1alpha1
kind: Scenario
metadata: {name: sc}
spec:
  PROMETHEUS
  replica: {profile: opt-125m-cpu}
  duration: 8m
  traffic: {arrivals: {poisson: {rate: 0.5}}, prompt: {constant: 15}, output: {constant: 100}}
";

fn scenario(prometheus: &str) -> String {
    let section = if prometheus.is_empty() { String::new() } else { format!("prometheus: {{{prometheus}}}") };
    SCENARIO.replace("PROMETHEUS", &section)
}

fn scaled_object(query: &str) -> String {
    SCALED_OBJECT.replace("QUERY", query)
}

/// A monitor of the namespace `llm`; `endpoints` stands for the key of its kind.
fn monitor(kind: &str, name: &str, spec: &str) -> String {
    let endpoints = if kind == "PodMonitor" { "podMetricsEndpoints" } else { "endpoints" };
    let spec = spec.replace("endpoints:", &format!("{endpoints}:"));
    format!(
        "apiVersion: monitoring.coreos.com/v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: llm}}\nspec: {{selector: {{}}, {spec}}}\n"
    )
}

fn rule(groups: &str) -> String {
    format!(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {{name: r}}\nspec:\n  groups: {groups}\n"
    )
}

fn resolved(texts: &[&str]) -> Result<ResolvedRun, String> {
    let bundle = Bundle::from_text(&texts.join("\n---\n"), "p.yaml").expect("the test's YAML is well formed");
    resolve(&bundle, &Overrides::default()).map_err(|found| found.to_string())
}

/// A run of the Deployment with what else is given.
fn run_of(texts: &[&str]) -> ResolvedRun {
    let (object, scenario) = (scaled_object("sum(vllm:num_requests_running)"), scenario(""));
    let mut all = vec![object.as_str(), DEPLOYMENT, scenario.as_str()];
    all.extend(texts);
    resolved(&all).unwrap_or_else(|found| panic!("does not resolve:\n{found}"))
}

fn refused(texts: &[&str]) -> String {
    let (object, scenario) = (scaled_object("up"), scenario(""));
    let mut all = vec![object.as_str(), DEPLOYMENT, scenario.as_str()];
    all.extend(texts);
    resolved(&all).map(|_| ()).expect_err("refused")
}

/// The stored labels of a pod's target.
fn target(pool: &ScrapePool) -> Option<String> {
    let address = format!("10.9.9.9:{}", pool.port);
    let own = [("pod", "p-1"), ("__meta_kubernetes_pod_name", "p-1"), ("__address__", address.as_str())];
    let common = pool.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    target_labels(&Labels::from_pairs(common.chain(own)), &pool.relabel).map(|labels| labels.to_string())
}

#[test]
fn targets_have_the_labels_that_the_operator_gives_them() {
    // (kind, spec, stored labels of the target of each job)
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "PodMonitor",
            "endpoints: [{port: http}]",
            &[r#"{container="vllm",endpoint="http",instance="10.9.9.9:8000",job="llm/m",namespace="llm",pod="p-1"}"#],
        ),
        // A port number gives no endpoint label, and the job can be a pod's label.
        (
            "PodMonitor",
            "jobLabel: app, podTargetLabels: [team, app.kubernetes.io/part-of], endpoints: [{portNumber: 8000}]",
            &[
                r#"{app_kubernetes_io_part_of="demo",container="vllm",instance="10.9.9.9:8000",job="chat",namespace="llm",pod="p-1",team="blue"}"#,
            ],
        ),
        // A copied label overwrites the operator's own, the pod's name included.
        (
            "PodMonitor",
            "podTargetLabels: [pod], endpoints: [{port: http}]",
            &[r#"{container="vllm",endpoint="http",instance="10.9.9.9:8000",job="llm/m",namespace="llm",pod="mine"}"#],
        ),
        // Each endpoint is a job, and without a port every port of every container is a target.
        (
            "PodMonitor",
            "endpoints: [{port: http}, {}]",
            &[
                r#"{container="vllm",endpoint="http",instance="10.9.9.9:8000",job="llm/m",namespace="llm",pod="p-1"}"#,
                r#"{container="vllm",instance="10.9.9.9:8000",job="llm/m",namespace="llm",pod="p-1"}"#,
                r#"{container="proxy",instance="10.9.9.9:9090",job="llm/m",namespace="llm",pod="p-1"}"#,
            ],
        ),
        (
            "ServiceMonitor",
            "endpoints: [{targetPort: 8000}]",
            &[
                r#"{container="vllm",endpoint="8000",instance="10.9.9.9:8000",job="chat",namespace="llm",pod="p-1",service="chat"}"#,
            ],
        ),
        // The user's rules come last.
        (
            "PodMonitor",
            "endpoints: [{port: http, relabelings: [{action: labelmap, regex: __meta_kubernetes_pod_label_(t.*)}, \
             {sourceLabels: [__meta_kubernetes_namespace, __meta_kubernetes_pod_name], separator: /, targetLabel: instance}, \
             {action: labeldrop, regex: endpoint|container}]}]",
            &[r#"{instance="llm/p-1",job="llm/m",namespace="llm",pod="p-1",team="blue"}"#],
        ),
    ];
    for (kind, spec, expected) in cases {
        let run = run_of(&[&monitor(kind, "m", spec)]);
        let found: Vec<String> = run.monitoring.pools.iter().filter_map(target).collect();
        assert_eq!(found, *expected, "{spec}");
    }
    let run = run_of(&[&monitor("PodMonitor", "m", "endpoints: [{port: http}, {port: side}]")]);
    let names: Vec<&str> = run.monitoring.pools.iter().map(|pool| pool.name.as_str()).collect();
    assert_eq!(names, ["podMonitor/llm/m/0", "podMonitor/llm/m/1"]);
}

#[test]
fn kserves_service_has_the_labels_of_its_pods() {
    let object = scaled_object("up").replace("{name: chat}", "{name: opt-predictor}");
    let monitor =
        monitor("ServiceMonitor", "m", "jobLabel: component, targetLabels: [team], endpoints: [{port: http}]");
    let run = resolved(&[&object, SERVICE, &scenario(""), &monitor]).expect("resolves");
    let expected = r#"{container="kserve-container",endpoint="http",instance="10.9.9.9:8080",job="predictor",namespace="llm",pod="p-1",service="opt-predictor",team="red"}"#;
    assert_eq!(target(&run.monitoring.pools[0]).as_deref(), Some(expected));
    assert!(run.diagnostics.0.is_empty(), "{}", run.diagnostics);
}

#[test]
fn what_can_never_be_scraped_is_told() {
    // (spec, part of the failure, or "" for none)
    let cases = [
        ("endpoints: [{port: http}]", ""),
        ("endpoints: [{port: http, path: metrics/, scheme: HTTP}]", ""),
        ("endpoints: [{port: http, path: /stats}]", "vLLM has nothing at /stats"),
        ("endpoints: [{port: http, scheme: https}]", "asks with https, the engine serves http"),
        ("endpoints: [{port: side}]", "scrapes port 9090, the engine listens on 8000"),
        (
            "endpoints: [{port: http, relabelings: [{targetLabel: __metrics_path__, replacement: /x}]}]",
            "vLLM has nothing at /x",
        ),
        (
            "endpoints: [{port: side, relabelings: [{sourceLabels: [__address__], regex: '(.*):.*', targetLabel: __address__, replacement: '$1:8000'}]}]",
            "",
        ),
        (
            "endpoints: [{port: http, relabelings: [{targetLabel: __address__, replacement: 'gateway:8000'}]}]",
            "scrape \"gateway:8000\" instead of the pod",
        ),
        ("labelLimit: 5, endpoints: [{port: http}]", "label_limit exceeded"),
        ("labelLimit: 50, endpoints: [{port: http}]", ""),
        ("endpoints: [{port: http, metricRelabelings: [{action: labeldrop, regex: __name__}]}]", "missing metric name"),
    ];
    for (spec, part) in cases {
        let run = run_of(&[&monitor("PodMonitor", "m", spec)]);
        let told = run.diagnostics.to_string();
        let failure = run.monitoring.pools[0].failure.clone().unwrap_or_default();
        assert_eq!(failure.is_empty(), part.is_empty(), "{spec}: {failure}");
        assert!(failure.contains(part), "{spec}: {failure}");
        assert_eq!(
            told.contains("every scrape of podMonitor/llm/m/0 fails, so that up is 0"),
            !part.is_empty(),
            "{told}"
        );
    }
}

#[test]
fn containers_that_name_no_ports_cannot_be_found_by_one() {
    let bare = DEPLOYMENT
        .replace("          ports: [{name: http, containerPort: 8000}]\n", "")
        .replace("          ports: [{name: side, containerPort: 9090}]\n", "");
    let of = |args: &str, spec: &str| {
        let (object, workload) = (scaled_object("up"), bare.replace(", --port=8000", args));
        let run = resolved(&[&object, &workload, &scenario(""), &monitor("PodMonitor", "m", spec)]).expect("resolves");
        let failures: Vec<bool> = run.monitoring.pools.iter().map(|pool| pool.failure.is_some()).collect();
        (failures, run.diagnostics.to_string())
    };
    for args in ["", ", --port=8000"] {
        let (pools, told) = of(args, "endpoints: [{port: http}]");
        assert!(pools.is_empty(), "{told}");
        assert!(told.contains("asks for port \"http\", the containers of Deployment chat name no ports"), "{told}");
        // Without a port the pod's address is a target, at port 80.
        let (pools, told) = of(args, "endpoints: [{}]");
        assert_eq!(pools, [true], "{told}");
        assert!(told.contains("it scrapes port 80, the engine listens on"), "{told}");
        let moved = "endpoints: [{relabelings: [{sourceLabels: [__address__], regex: '([^:]+).*', targetLabel: __address__, \
                     replacement: '$1:8000'}]}]";
        assert_eq!(of(args, moved).0, [false], "a rule that names the port");
    }
    let (pools, told) = of("", "endpoints: []");
    assert!(
        pools.is_empty() && told.contains("PodMonitor m selects nothing, so nothing is scraped: it has no endpoints"),
        "{told}"
    );
}

#[test]
fn what_a_monitor_makes_of_the_series_is_told() {
    // (kind, spec, part of the only message)
    let cases = [
        (
            "PodMonitor",
            "endpoints: [{port: http, relabelings: [{action: keep, sourceLabels: [__meta_kubernetes_pod_label_app], regex: web}]}]",
            "the relabelings of PodMonitor m drop the pods: this endpoint scrapes nothing",
        ),
        (
            "PodMonitor",
            "endpoints: [{port: http, relabelings: [{sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: node}]}]",
            "the value of __meta_kubernetes_pod_node_name is not known before deployment: it is taken as empty",
        ),
        (
            "PodMonitor",
            "podTargetLabels: [tier], endpoints: [{port: http}]",
            "tier is not set from the pods: their labels do not have it",
        ),
        (
            "ServiceMonitor",
            "jobLabel: app, endpoints: [{port: web}]",
            "app is not set from the Service: their labels are not known",
        ),
        (
            "PodMonitor",
            "targetLimit: 2, endpoints: [{port: http}]",
            "with more than 2 pods every scrape of this job fails",
        ),
        ("PodMonitor", "sampleLimit: 3, endpoints: [{port: http}]", "sampleLimit is 3: scrapes above it fail"),
        (
            "PodMonitor",
            "endpoints: [{port: http}, {port: metrics}]",
            "this endpoint of PodMonitor m scrapes nothing: it asks for port \"metrics\"",
        ),
        (
            "PodMonitor",
            "endpoints: [{port: http, metricRelabelings: [{action: labeldrop, regex: le}]}]",
            "give several series of a pod the same labels (series of vllm:",
        ),
        (
            "PodMonitor",
            "endpoints: [{port: http}, {port: http}]",
            "podMonitor/llm/m/0 and podMonitor/llm/m/1 scrape the pods under the same labels, into the same series",
        ),
    ];
    for (kind, spec, part) in cases {
        let run = run_of(&[&monitor(kind, "m", spec)]);
        let told = run.diagnostics.to_string();
        assert_eq!(run.diagnostics.0.len(), 1, "{spec}: {told}");
        assert!(told.starts_with("warning: p.yaml:") && told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn what_the_operator_or_prometheus_refuses_is_an_error() {
    let rule = |rule: &str| format!("endpoints: [{{port: http, relabelings: [{{{rule}}}]}}]");
    // (spec, parts of the error)
    let cases = [
        (rule("sourceLabels: [a]"), ".relabelings[0].targetLabel: relabel configuration for replace action requires"),
        (
            rule("targetLabel: a, regex: '('"),
            ".relabelings[0].regex: invalid regex ( for relabel configuration: unclosed group",
        ),
        (rule("action: rename"), ".relabelings[0].action: unknown relabel action \"rename\""),
        (rule("action: hashmod, modulus: 4, targetLabel: a"), "the action hashmod is not modelled"),
        (
            rule("targetLabel: __scrape_interval__, replacement: never"),
            "the relabelings make __scrape_interval__ \"never\"",
        ),
        (
            "endpoints: [{port: http, interval: 10s, scrapeTimeout: 15s}]".to_owned(),
            "scrapeTimeout: found 15s above the scrape interval 10s, expected at most the interval\n  help: prometheus-operator \
             rejects the whole monitor: scrapeTimeout \"15s\" greater than scrapeInterval \"10s\"",
        ),
    ];
    for (spec, part) in cases {
        let told = refused(&[&monitor("PodMonitor", "m", &spec)]);
        assert!(told.starts_with("error: p.yaml:") && told.contains(part), "{part} is not in: {told}");
    }
}

#[test]
fn every_endpoint_has_its_interval_unless_the_scenario_says() {
    let spec =
        "endpoints: [{port: http, interval: 20s, scrapeTimeout: 5s}, {port: side, interval: 7s}, {portNumber: 8000}]";
    let monitor = monitor("PodMonitor", "m", spec);
    let run = run_of(&[&monitor]);
    let paces = |run: &ResolvedRun| -> Vec<String> {
        let pace = |pool: &ScrapePool| format!("{}/{}", pool.scrape.interval, pool.scrape.timeout);
        run.monitoring.pools.iter().map(pace).collect()
    };
    assert_eq!(paces(&run), ["20s/5s", "7s/7s", "15s/10s"]);
    // What is noted for the next run must not become the interval of all.
    let noted = scenario_yaml(&run);
    assert!(!noted.contains("scrapeInterval") && !noted.contains("scrapeTimeout"), "{noted}");
    let object = scaled_object("sum(vllm:num_requests_running)");
    let again = resolved(&[&object, DEPLOYMENT, &noted, &monitor]).expect("resolves");
    assert_eq!(again.monitoring, run.monitoring);
    let given = resolved(&[&object, DEPLOYMENT, &scenario("scrapeInterval: 12s"), &monitor]).expect("resolves");
    assert_eq!(paces(&given), ["12s/5s", "12s/10s", "12s/10s"]);
    // A rule may set the pace too.
    let ruled = "endpoints: [{port: http, relabelings: [{targetLabel: __scrape_interval__, replacement: 1m}]}]";
    assert_eq!(paces(&run_of(&[&self::monitor("PodMonitor", "m", ruled)])), ["1m/10s"]);
}

fn rows_of(run: &ResolvedRun) -> Vec<StoredRow> {
    let mut rows = Vec::new();
    simulate_recording(run, true, &mut |row| rows.push(row)).unwrap_or_else(|error| panic!("{error}"));
    rows
}

/// The values of a label over all stored series of a name.
fn values(rows: &[StoredRow], name: &str, label: &str) -> BTreeSet<String> {
    let samples = rows.iter().flat_map(StoredRow::samples).filter(|(labels, _)| labels.metric_name() == name);
    samples.map(|(labels, _)| labels.get(label).to_owned()).collect()
}

#[test]
fn two_monitors_store_everything_twice() {
    let pods = monitor("PodMonitor", "m", "endpoints: [{port: http, interval: 10s}]");
    let services = monitor("ServiceMonitor", "s", "endpoints: [{targetPort: 8000, interval: 10s}]");
    let run = run_of(&[&pods, &services]);
    let told = run.diagnostics.to_string();
    assert!(told.contains("every pod is scraped 2 times (podMonitor/llm/m/0, serviceMonitor/llm/s/0)"), "{told}");
    assert!(told.contains("comes out 2 times too large"), "{told}");
    let rows = rows_of(&run);
    let jobs = values(&rows, "vllm:num_requests_running", "job");
    assert_eq!(jobs.into_iter().collect::<Vec<_>>(), ["chat", "llm/m"]);
    // Two jobs of one pod have phases of their own.
    let first = |job: &str| {
        let of_job = |row: &&StoredRow| row.samples().any(|(labels, _)| labels.get("job") == job);
        rows.iter().find(of_job).map(|row| row.at_ms)
    };
    assert_ne!(first("chat"), first("llm/m"));
    // With one that fails there is nothing to double.
    let failing = monitor("ServiceMonitor", "s", "endpoints: [{targetPort: 8000, path: /stats}]");
    let run = run_of(&[&pods, &failing]);
    assert!(!run.diagnostics.to_string().contains("scraped 2 times"), "{}", run.diagnostics);
    let rows = rows_of(&run);
    assert_eq!(values(&rows, "vllm:num_requests_running", "job").into_iter().collect::<Vec<_>>(), ["llm/m"]);
    let ups = rows
        .iter()
        .flat_map(StoredRow::samples)
        .filter(|(labels, _)| labels.metric_name() == "up" && labels.get("job") == "chat");
    let ups: Vec<f64> = ups.map(|(_, value)| value).filter(|value| !value.is_nan()).collect();
    assert!(ups.len() > 10 && ups.iter().all(|up| *up == 0.0), "{ups:?}");
}

#[test]
fn metric_relabelings_decide_what_is_stored() {
    let spec = "endpoints: [{port: http, metricRelabelings: [\
                {action: keep, sourceLabels: [__name__], regex: 'vllm:num_requests_(.*)'}, \
                {sourceLabels: [__name__], regex: 'vllm:(.*)', targetLabel: __name__, replacement: 'llm_$1'}, \
                {action: labeldrop, regex: engine|endpoint}]}]";
    let rows = rows_of(&run_of(&[&monitor("PodMonitor", "m", spec)]));
    let names: BTreeSet<String> =
        rows.iter().flat_map(StoredRow::samples).map(|(labels, _)| labels.metric_name().to_owned()).collect();
    assert!(names.contains("llm_num_requests_running") && names.contains("up"), "{names:?}");
    assert!(!names.iter().any(|name| name.starts_with("vllm:")), "{names:?}");
    assert!(
        values(&rows, "llm_num_requests_running", "endpoint").contains(""),
        "the rules see the target's labels too"
    );
    assert_eq!(
        values(&rows, "up", "endpoint").into_iter().collect::<Vec<_>>(),
        ["http"],
        "the scrape's own are not relabelled"
    );
    // A query on the new name scales, one on the old name finds nothing.
    let ups = |query: &str| {
        let texts = [scaled_object(query), DEPLOYMENT.to_owned(), scenario(""), monitor("PodMonitor", "m", spec)];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let run = resolved(&texts).expect("resolves");
        let record = simulate(&run, true).unwrap_or_else(|error| panic!("{error}"));
        summarize(&record, &run.analysis).replicas_max
    };
    assert!(ups("sum(llm_num_requests_running)") > 1);
    assert_eq!(ups("sum(vllm:num_requests_running)"), 1);
}

#[test]
fn of_series_that_become_one_the_first_is_stored() {
    // All buckets of a histogram under one label set: the smallest bound comes first.
    let spec = "endpoints: [{port: http, metricRelabelings: [{action: labeldrop, regex: le}]}]";
    let name = "vllm:e2e_request_latency_seconds_bucket";
    let of = |spec: &str| {
        let rows = rows_of(&run_of(&[&monitor("PodMonitor", "m", spec)]));
        let per_row = |row: &StoredRow| {
            row.samples().filter(|(labels, _)| labels.metric_name() == name).map(|(_, value)| value).collect::<Vec<_>>()
        };
        rows.iter().map(per_row).filter(|own| !own.is_empty()).collect::<Vec<_>>()
    };
    let (merged, apart) = (of(spec), of("endpoints: [{port: http}]"));
    assert!(!merged.is_empty() && merged.iter().all(|own| own.len() == 1));
    let first: Vec<f64> = apart.iter().map(|own| own[0]).collect();
    let stored: Vec<f64> = merged.iter().map(|own| own[0]).collect();
    let bits = |own: &[f64]| own.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&stored), bits(&first));
}

#[test]
fn recording_rules_are_read_and_can_be_queried() {
    let rules = rule(
        "[{name: load, interval: 10s, labels: {team: group, kind: load}, rules: [\
         {record: 'job:running:sum', expr: 'sum by (job) (vllm:num_requests_running)', labels: {team: rule}}, \
         {alert: Busy, expr: 'job:running:sum > 5', for: 5m}]}, {name: slow, rules: [{record: one, expr: 1}]}]",
    );
    let monitor = monitor("PodMonitor", "m", "endpoints: [{port: http}]");
    let texts = [scaled_object("sum(job:running:sum)"), DEPLOYMENT.to_owned(), scenario(""), monitor, rules];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let run = resolved(&texts).expect("resolves");
    let told = run.diagnostics.to_string();
    assert!(
        told.starts_with("note: p.yaml:") && told.contains("alerting rules of PrometheusRule r are not evaluated (1)"),
        "{told}"
    );
    assert!(run.assumptions.iter().any(|own| own.path == "PrometheusRule" && own.value == "r"));
    let groups: Vec<(&str, String)> =
        run.monitoring.rules.iter().map(|own| (own.key.as_str(), own.interval.to_string())).collect();
    assert_eq!(groups, [("llm/r/load", "10s".to_owned()), ("llm/r/slow", "30s".to_owned())]);
    let [recorded] = run.monitoring.rules[0].group.rules.as_slice() else { panic!("one recording rule") };
    let labels: Vec<(&str, &str)> =
        recorded.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("kind", "load"), ("team", "rule")], "a rule's own labels win");
    let rows = rows_of(&run);
    assert_eq!(values(&rows, "job:running:sum", "kind").into_iter().collect::<Vec<_>>(), ["load"]);
    assert_eq!(values(&rows, "one", "job").into_iter().collect::<Vec<_>>(), [""]);
    let record = simulate(&run, true).unwrap_or_else(|error| panic!("{error}"));
    assert!(summarize(&record, &run.analysis).replicas_max > 1, "the trigger asks for the recorded series");
}

#[test]
fn rules_that_are_refused_are_located() {
    // (groups, parts of the error)
    let cases = [
        (
            "[{name: a, rules: [{record: x, expr: 'sum(up'}]}]",
            "spec.groups[0].rules[0].expr: group \"a\", rule 1, \"x\": could not parse expression: ",
        ),
        (
            "[{name: a, rules: [{record: x, expr: up}, {alert: z, expr: ')'}]}]",
            "rules[1].expr: group \"a\", rule 2, \"z\": could not parse",
        ),
        ("[{name: a, rules: [{record: x}]}]", "field 'expr' must be set in rule"),
        ("[{name: a, rules: [{expr: up}]}]", "one of 'record' or 'alert' must be set"),
        ("[{name: a, rules: [{record: x, alert: z, expr: up}]}]", "only one of 'record' and 'alert' must be set"),
        (
            "[{name: a, rules: [{record: x, expr: up, for: 5m}]}]",
            "rules[0].for: group \"a\", rule 1, \"x\": invalid field 'for' in recording rule",
        ),
        ("[{name: a, rules: [{record: 'x{y}', expr: up}]}]", "braces present in the recording rule name"),
        (
            "[{name: a, rules: [{record: x, expr: up, labels: {__name__: z}}]}]",
            "rules[0].labels: group \"a\", rule 1, \"x\": ",
        ),
        (
            "[{name: a, rules: []}, {name: a, rules: []}]",
            "spec.groups[1].name: groupname: \"a\" is repeated in the same file",
        ),
        ("[{name: '', rules: []}]", "Groupname must not be empty"),
    ];
    for (groups, part) in cases {
        let told = refused(&[&rule(groups)]);
        assert!(told.contains("error: p.yaml:") && told.contains(part), "{part} is not in: {told}");
        assert!(told.contains("prometheus-operator rejects the whole PrometheusRule"), "{told}");
    }
}

#[test]
fn fields_that_an_older_prometheus_does_not_know_are_left_out() {
    let rules = rule("[{name: a, query_offset: 1m, labels: {team: x}, rules: [{record: z, expr: up}]}]");
    let of = |version: &str| {
        let (object, scenario) = (scaled_object("up"), scenario(&format!("version: \"{version}\"")));
        let run = resolved(&[&object, DEPLOYMENT, &scenario, &rules]).expect("resolves");
        let group = run.monitoring.rules[0].group.clone();
        (
            run.diagnostics.to_string().matches("the operator leaves it out").count(),
            group.query_offset.to_string(),
            group.rules[0].labels.len(),
        )
    };
    // (messages, offset, labels)
    assert_eq!(of("3"), (0, "1m".to_owned(), 1));
    assert_eq!(of("2.55"), (1, "1m".to_owned(), 0));
    assert_eq!(of("2.42"), (2, "0ms".to_owned(), 0));
}

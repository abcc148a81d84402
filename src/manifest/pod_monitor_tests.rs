use super::*;
use crate::manifest::Bundle;

fn read(kind: &str, spec: &str) -> (Option<PodMonitor>, Vec<String>) {
    let text = format!(
        "apiVersion: monitoring.coreos.com/v1\nkind: {kind}\nmetadata: {{name: m, namespace: mon}}\nspec:\n{spec}\n"
    );
    let bundle = Bundle::from_text(&text, "t").expect("valid YAML");
    let mut diagnostics = Diagnostics::new();
    let monitor = PodMonitor::read(&bundle.documents[0], &mut diagnostics);
    (monitor, diagnostics.0.iter().map(ToString::to_string).collect())
}

fn clean(kind: &str, spec: &str) -> PodMonitor {
    let (monitor, messages) = read(kind, spec);
    assert_eq!(messages, Vec::<String>::new(), "{spec}");
    monitor.expect("readable")
}

fn messages(spec: &str) -> Vec<String> {
    read("PodMonitor", spec).1
}

fn texts(own: &[Located<String>]) -> Vec<&str> {
    own.iter().map(|own| own.value.as_str()).collect()
}

#[test]
fn a_pod_monitor_is_read_in_full() {
    let spec = "
  jobLabel: app
  podTargetLabels: [team, tier]
  selector: {matchLabels: {app: vllm}}
  sampleLimit: 5000
  targetLimit: 40
  labelLimit: 30
  labelNameLengthLimit: 50
  labelValueLengthLimit: 200
  podMetricsEndpoints:
    - port: http
      interval: 1m30s
      scrapeTimeout: 10s
      path: /metrics
      scheme: HTTP
      honorLabels: true
      honorTimestamps: false
      params: {match: [a, b]}
      relabelings:
        - {sourceLabels: [__meta_kubernetes_pod_name, job], separator: '', regex: (.+), targetLabel: who, replacement: x-$1}
      metricRelabelings:
        - {action: Drop, sourceLabels: [__name__], regex: 'python_.*', modulus: 3}
    - {portNumber: 9090, targetPort: side}
";
    let monitor = clean("PodMonitor", spec);
    assert_eq!(monitor.job_label.map(|own| own.value), Some("app".to_owned()));
    assert_eq!(texts(&monitor.pod_target_labels), ["team", "tier"]);
    let limits = [
        monitor.sample_limit,
        monitor.target_limit,
        monitor.label_limit,
        monitor.label_name_length_limit,
        monitor.label_value_length_limit,
    ];
    assert_eq!(limits.map(|own| own.map(|own| own.value)), [5_000, 40, 30, 50, 200].map(Some));
    let [first, second] = monitor.endpoints.as_slice() else { panic!("two endpoints") };
    let seconds = |own: &Option<Located<SimDuration>>| own.as_ref().map(|own| own.value);
    assert_eq!(seconds(&first.interval), Some(SimDuration::from_secs(90)));
    assert_eq!(seconds(&first.scrape_timeout), Some(SimDuration::from_secs(10)));
    assert!(matches!(&first.port, Some(MonitorPort::Name(name)) if name.value == "http"));
    assert_eq!(first.label.as_deref(), Some("http"));
    assert_eq!(first.metrics_path.as_ref().map(|own| own.value.as_str()), Some("/metrics"));
    assert_eq!(first.scheme.as_ref().map(|own| own.value.as_str()), Some("HTTP"));
    assert_eq!(first.honor_labels.as_ref().map(|own| own.value), Some(true));
    assert!(matches!(first.params.as_slice(), [(name, value)] if name == "match" && value.value == "a"));
    let rule = &first.relabelings[0];
    assert_eq!(texts(&rule.source_labels), ["__meta_kubernetes_pod_name", "job"]);
    let text = |own: &Option<Located<String>>| own.as_ref().map(|own| own.value.clone());
    assert_eq!((text(&rule.separator), text(&rule.regex)), (Some(String::new()), Some("(.+)".to_owned())));
    assert_eq!((text(&rule.target_label), text(&rule.replacement)), (Some("who".to_owned()), Some("x-$1".to_owned())));
    assert_eq!(rule.path, "spec.podMetricsEndpoints[0].relabelings[0]");
    let dropped = &first.metric_relabelings[0];
    assert_eq!(text(&dropped.action), Some("Drop".to_owned()));
    assert_eq!(dropped.modulus.as_ref().map(|own| own.value), Some(3));
    // The port's number goes before targetPort, which alone gives the label.
    assert!(matches!(&second.port, Some(MonitorPort::Number(number)) if number.value == 9_090));
    assert_eq!(second.label.as_deref(), Some("side"));
}

#[test]
fn the_port_and_its_label_are_the_operators() {
    // (kind, endpoint, whether the port is a number, label)
    let cases = [
        ("PodMonitor", "{port: web, portNumber: 1}", Some(false), Some("web")),
        ("PodMonitor", "{portNumber: 9090}", Some(true), None),
        ("PodMonitor", "{port: '', targetPort: 9090}", Some(true), Some("9090")),
        ("PodMonitor", "{targetPort: web}", Some(false), Some("web")),
        ("PodMonitor", "{targetPort: 0}", None, None),
        ("PodMonitor", "{}", None, None),
        ("ServiceMonitor", "{targetPort: 9090}", Some(true), Some("9090")),
    ];
    for (kind, endpoint, is_number, label) in cases {
        let key = if kind == "PodMonitor" { "podMetricsEndpoints" } else { "endpoints" };
        let monitor = clean(kind, &format!("  {key}: [{endpoint}]"));
        let own = &monitor.endpoints[0];
        let found = own.port.as_ref().map(|port| matches!(port, MonitorPort::Number(_)));
        assert_eq!((found, own.label.as_deref()), (is_number, label), "{endpoint}");
    }
}

#[test]
fn a_service_monitor_has_labels_of_its_service() {
    let spec = "  targetLabels: [team]\n  endpoints: [{port: a, interval: 5s}, {port: b}]\n  namespaceSelector: {matchNames: [x, z]}";
    let monitor = clean("ServiceMonitor", spec);
    assert!(monitor.is_of_services());
    assert_eq!((texts(&monitor.target_labels), monitor.endpoints.len()), (vec!["team"], 2));
    assert!(matches!(&monitor.namespaces, MonitorNamespaces::Named(names) if texts(names) == ["x", "z"]));
    // A PodMonitor has no such field.
    let told = messages("  targetLabels: [team]");
    assert!(told[0].starts_with("warning: t:5:3: spec.targetLabels: unknown key"), "{told:?}");
}

#[test]
fn durations_are_prometheus_own() {
    let of = |interval: &str| messages(&format!("  podMetricsEndpoints: [{{interval: {interval}}}]"));
    assert!(of("1.5m")[0].starts_with("error: t:5:36: spec.podMetricsEndpoints[0].interval: "), "{:?}", of("1.5m"));
    assert!(of("15")[0].contains("found the integer 15, expected a string"));
    // An empty one and 0 are the global interval.
    for absent in ["\"\"", "\"0\"", "0s"] {
        let monitor = clean("PodMonitor", &format!("  podMetricsEndpoints: [{{interval: {absent}}}]"));
        assert!(monitor.endpoints[0].interval.is_none(), "{absent}");
    }
}

#[test]
fn what_would_change_the_result_and_is_not_modelled_is_named() {
    // (spec, part of the only message)
    let cases = [
        ("  scrapeClass: istio", "warning: t:5:16: spec.scrapeClass: scrapeClass is not modelled: "),
        ("  bodySizeLimit: 1MB", "bodySizeLimit is not modelled"),
        ("  convertClassicHistogramsToNHCB: true", "histograms keep their buckets"),
        (
            "  podMetricsEndpoints: [{proxyUrl: 'http://p'}]",
            "podMetricsEndpoints[0].proxyUrl: proxyUrl is not modelled",
        ),
        ("  podMetricsEndpoints: [{intervall: 5s}]", "did you mean interval?"),
        ("  interval: 5s", "unknown key \"interval\" in spec"),
        (
            "  podMetricsEndpoints: [{relabelings: [{source_labels: [a], targetLabel: b}]}]",
            "error: t:5:56: spec.podMetricsEndpoints[0].relabelings[0].source_labels: found source_labels",
        ),
        (
            "  podMetricsEndpoints: [{relabelings: [{sourceLabels: [1]}]}]",
            "relabelings[0].sourceLabels[0]: found the integer 1",
        ),
    ];
    for (spec, part) in cases {
        let told = messages(spec);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(part), "{part} is not in {told:?}");
    }
    let silent = "  attachMetadata: {node: true}\n  convertClassicHistogramsToNHCB: false\n  podMetricsEndpoints: [{filterRunning: false, basicAuth: {}, tlsConfig: {}}]";
    assert_eq!(messages(silent), Vec::<String>::new());
}

//! From a monitor's endpoint to the scrape jobs over the pods: the labels that service discovery finds and the operator sets,
//! the user's relabelling rules, and what cannot work.
//!
//! Source: prometheus-operator pkg/prometheus/promcfg.go (`generatePodMonitorConfig`, `generateServiceMonitorConfig`),
//! Prometheus discovery/kubernetes/pod.go (`podLabels`, `buildPod`) and scrape/target.go (`PopulateLabels`).

use crate::manifest::{MonitorEndpoint, PodMonitor, Relabeling};
use crate::prometheus::{
    LabelLimits, PrometheusVersion, RelabelConfig, RelabelRule, ScrapeSettings, TargetRules, relabel, scrape_failure,
    stored_labels, target_labels,
};
use crate::replica::{EngineConfig, exposition};
use crate::scenario::ScrapePool;
use crate::scenario::ledger::Ledger;
use crate::scenario::monitor_choice::FoundPort;
use crate::scenario::workload::{Runtime, Workload};
use crate::series::Labels;
use crate::units::{Diagnostic, Located, Span, parse_prometheus_duration};
use std::collections::BTreeMap;

/// The pods that are scraped.
pub(super) struct Pods<'a> {
    /// Their workload, where one is given.
    pub workload: Option<&'a Workload>,
    /// Name of the scale target.
    pub target: &'a str,
    /// Where they stand.
    pub namespace: &'a str,
}

/// The address of the pod that stands for all while a run is resolved.
const SAMPLE_IP: &str = "10.1.0.0";
/// vLLM's metrics.
const METRICS_PATH: &str = "/metrics";

impl Pods<'_> {
    fn container(&self) -> String {
        self.workload.map_or_else(|| self.target.to_owned(), |workload| workload.container.clone())
    }

    /// The port on which the engine listens, and whether its arguments say so.
    fn serving_port(&self) -> (u16, bool) {
        let Some(workload) = self.workload else { return (8080, false) };
        let flag = if workload.runtime == Runtime::Huggingface { "http-port" } else { "port" };
        let given = workload.args.get(flag).and_then(|given| given.value.parse().ok());
        let default = if workload.is_kserve { 8080 } else { 8000 };
        given.map_or((default, false), |port| (port, true))
    }

    fn serves_tls(&self) -> bool {
        self.workload.is_some_and(|workload| workload.args.get("ssl-keyfile").is_some())
    }

    fn label(&self, name: &str) -> Option<&str> {
        let labels = &self.workload?.pod_labels;
        let sanitized = sanitize(name);
        labels.iter().find(|(own, _)| sanitize(own) == sanitized).map(|(_, value)| value.as_str())
    }
}

/// What stands for a monitor that is not among the input.
pub(super) fn assumed_pool(pods: &Pods<'_>, scrape: ScrapeSettings, ledger: &mut Ledger) -> ScrapePool {
    let (container, namespace) = (pods.container(), pods.namespace);
    let job = format!("{namespace}/{}", pods.target);
    let shown = format!("namespace={namespace}, container={container}, endpoint=http, job={job}");
    ledger.tell("target labels", shown, "no PodMonitor is given");
    let labels =
        [("namespace", namespace.to_owned()), ("container", container), ("endpoint", "http".to_owned()), ("job", job)];
    ScrapePool {
        name: "pods".to_owned(),
        scrape,
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        relabel: Vec::new(),
        rules: TargetRules::default(),
        port: pods.serving_port().0,
        failure: None,
    }
}

/// A job and the place of the endpoint it came from.
pub(super) struct PlacedPool {
    pool: ScrapePool,
    span: Span,
}

/// The jobs of an endpoint, (monitor, position, ports): one for each port, since each is a target of its own.
pub(super) fn pools_of(
    (monitor, position, ports): (&PodMonitor, usize, &[FoundPort]),
    scrape: &ScrapeSettings,
    pods: &Pods<'_>,
    (engine, version): (Option<&EngineConfig>, PrometheusVersion),
    ledger: &mut Ledger,
) -> Vec<PlacedPool> {
    let endpoint = &monitor.endpoints[position];
    let mut rules = Vec::new();
    // The pod's own label of the name `pod` overwrites the pod's name, which is known per pod only.
    if monitor.pod_target_labels.iter().any(|name| name.value == "pod") {
        rules.extend(overwriting_pod_name(version));
    }
    rules.extend(compiled(&endpoint.relabelings, version, ledger));
    let metric_relabel = compiled(&endpoint.metric_relabelings, version, ledger);
    let rule_set = TargetRules {
        honor_labels: endpoint.honor_labels.as_ref().is_some_and(|own| own.value),
        metric_relabel,
        sample_limit: limit(monitor.sample_limit.as_ref()),
    };
    if let Some(own) = monitor.target_limit.as_ref().filter(|own| own.value > 0) {
        let message =
            format!("targetLimit is not modelled: with more than {} pods every scrape of this job fails", own.value);
        ledger.push(Diagnostic::warning(own.span.clone(), "spec.targetLimit", message));
    }
    tell_missing_labels(monitor, pods, ledger);
    let answering = answering(ports, pods);
    let namespace = monitor.namespace.as_ref().map_or(pods.namespace, |own| own.value.as_str());
    let prefix = if monitor.is_of_services() { "serviceMonitor" } else { "podMonitor" };
    let name = format!("{prefix}/{namespace}/{}/{position}", monitor.name.value);
    let mut pools = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let number = port.number.unwrap_or_else(|| pods.serving_port().0);
        let labels = discovered(monitor, endpoint, (port, number), &name, (pods, scrape));
        let mut pool = ScrapePool {
            name: name.clone(),
            scrape: scrape.clone(),
            labels,
            relabel: rules.clone(),
            rules: rule_set.clone(),
            port: number,
            failure: None,
        };
        if index == 0 {
            tell_unknown(&pool, endpoint, pods, ledger);
        }
        let answers = !port.anonymous && answering.is_none_or(|own| own == index);
        if check_target(&mut pool, (monitor, endpoint), answers, pods, ledger) {
            if let (None, Some(engine)) = (&pool.failure, engine) {
                check_series(&mut pool, (monitor, endpoint), engine, ledger);
            }
            pools.push(PlacedPool { pool, span: endpoint.span.clone() });
        }
    }
    pools
}

/// Which of several ports is taken for the engine's; `None` where there is no choice or its arguments say.
fn answering(ports: &[FoundPort], pods: &Pods<'_>) -> Option<usize> {
    let (serving, given) = pods.serving_port();
    if given || ports.len() < 2 {
        return None;
    }
    let by_number = ports.iter().position(|port| port.number == Some(serving));
    let container = pods.container();
    let in_container = ports.iter().position(|port| port.container.as_deref().is_none_or(|own| own == container));
    by_number.or(in_container).or(Some(0))
}

fn limit(own: Option<&Located<i64>>) -> Option<u64> {
    own.and_then(|own| u64::try_from(own.value).ok()).filter(|limit| *limit > 0)
}

/// `[^a-zA-Z0-9_]` as `_`, as the names of discovered labels have them (strutil `SanitizeLabelName`).
fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn overwriting_pod_name(version: PrometheusVersion) -> Option<RelabelRule> {
    let config = RelabelConfig {
        source_labels: vec!["__meta_kubernetes_pod_label_pod".to_owned()],
        regex: Some("(.+)".to_owned()),
        target_label: "pod".to_owned(),
        ..RelabelConfig::default()
    };
    RelabelRule::new(config, version).ok()
}

/// The rules as Prometheus loads them; what it would not load is an error.
fn compiled(written: &[Relabeling], version: PrometheusVersion, ledger: &mut Ledger) -> Vec<RelabelRule> {
    let text = |own: &Option<Located<String>>| own.as_ref().map(|own| own.value.clone());
    let mut rules = Vec::with_capacity(written.len());
    for own in written {
        let config = RelabelConfig {
            source_labels: own.source_labels.iter().map(|label| label.value.clone()).collect(),
            separator: text(&own.separator),
            // The operator leaves out what is empty, and Prometheus has its default.
            regex: text(&own.regex).filter(|regex| !regex.is_empty()),
            modulus: own.modulus.as_ref().map_or(0, |own| u64::try_from(own.value).unwrap_or(0)),
            target_label: text(&own.target_label).unwrap_or_default(),
            replacement: text(&own.replacement),
            action: text(&own.action).filter(|action| !action.is_empty()),
        };
        match RelabelRule::new(config, version) {
            Ok(rule) => rules.push(rule),
            Err(error) => {
                let path = format!("{}.{}", own.path, error.field);
                let help = if error.message.contains("not modelled") {
                    "remove the rule, or the shards it is for"
                } else {
                    "prometheus-operator rejects the whole monitor, and nothing is scraped by it"
                };
                ledger.push(Diagnostic::error(own.place(error.field), path, error.message).help(help));
            }
        }
    }
    rules
}

/// The labels that all pods of a job have in common: what discovery finds, what the operator sets, what the job is called.
fn discovered(
    monitor: &PodMonitor,
    endpoint: &MonitorEndpoint,
    (port, number): (&FoundPort, u16),
    job_name: &str,
    (pods, scrape): (&Pods<'_>, &ScrapeSettings),
) -> Vec<(String, String)> {
    let container = port.container.clone().unwrap_or_else(|| pods.container());
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: String, value: &str| {
        if !value.is_empty() {
            labels.insert(name, value.to_owned());
        }
    };
    let meta = |name: &str| format!("__meta_kubernetes_{name}");
    set(meta("namespace"), pods.namespace);
    set(meta("pod_container_name"), &container);
    set(meta("pod_container_init"), "false");
    set(meta("pod_container_port_name"), port.name.as_deref().unwrap_or_default());
    set(meta("pod_container_port_number"), &number.to_string());
    set(meta("pod_container_port_protocol"), "TCP");
    for (name, value) in pods.workload.iter().flat_map(|workload| &workload.pod_labels) {
        set(meta(&format!("pod_label_{}", sanitize(name))), value);
        set(meta(&format!("pod_labelpresent_{}", sanitize(name))), "true");
    }
    set("__tmp_prometheus_job_name".to_owned(), job_name);
    set("__scrape_interval__".to_owned(), &scrape.interval.to_string());
    set("__scrape_timeout__".to_owned(), &scrape.timeout.to_string());
    let path = endpoint.metrics_path.as_ref().map_or(METRICS_PATH, |own| own.value.as_str());
    set("__metrics_path__".to_owned(), path);
    let scheme = endpoint.scheme.as_ref().map_or_else(|| "http".to_owned(), |own| own.value.to_lowercase());
    set("__scheme__".to_owned(), &scheme);
    for (name, value) in &endpoint.params {
        set(format!("__param_{name}"), &value.value);
    }
    // From here on in the operator's order: a later label overwrites an earlier one.
    set("namespace".to_owned(), pods.namespace);
    let of_service = if monitor.is_of_services() { service_labels(pods) } else { Vec::new() };
    if monitor.is_of_services() {
        set("service".to_owned(), pods.target);
        set(meta("service_name"), pods.target);
        for (name, value) in &of_service {
            set(meta(&format!("service_label_{}", sanitize(name))), value);
            set(meta(&format!("service_labelpresent_{}", sanitize(name))), "true");
        }
    }
    set("container".to_owned(), &container);
    let of_service = |name: &str| {
        let sanitized = sanitize(name);
        of_service.iter().find(|(own, _)| sanitize(own) == sanitized).map_or("", |(_, value)| value.as_str())
    };
    for name in &monitor.target_labels {
        set(sanitize(&name.value), of_service(&name.value));
    }
    for name in &monitor.pod_target_labels {
        set(sanitize(&name.value), pods.label(&name.value).unwrap_or_default());
    }
    if monitor.is_of_services() {
        set("job".to_owned(), pods.target);
    } else {
        let namespace = monitor.namespace.as_ref().map_or(pods.namespace, |own| own.value.as_str());
        set("job".to_owned(), &format!("{namespace}/{}", monitor.name.value));
    }
    if let Some(name) = &monitor.job_label {
        let of_pod = pods.label(&name.value).unwrap_or_default();
        set("job".to_owned(), if monitor.is_of_services() { of_service(&name.value) } else { of_pod });
    }
    set("endpoint".to_owned(), endpoint.label.as_deref().unwrap_or_default());
    labels.into_iter().collect()
}

/// The labels of the Service in front of the pods: KServe gives it those of the pods, others are not known.
fn service_labels(pods: &Pods<'_>) -> Vec<(String, String)> {
    let workload = pods.workload.filter(|workload| workload.is_kserve);
    workload.map_or_else(Vec::new, |workload| workload.pod_labels.clone())
}

/// Labels that the monitor copies from pods or Services that do not have them, or of which it is not known.
fn tell_missing_labels(monitor: &PodMonitor, pods: &Pods<'_>, ledger: &mut Ledger) {
    let service_known = pods.workload.is_some_and(|workload| workload.is_kserve);
    let job = monitor.job_label.iter();
    let (of_services, mut of_pods): (Vec<_>, Vec<_>) =
        (monitor.target_labels.iter().collect(), monitor.pod_target_labels.iter().collect());
    let of_services: Vec<_> = if monitor.is_of_services() {
        of_services.into_iter().chain(job).collect()
    } else {
        of_pods.extend(job);
        of_services
    };
    let known_of_pods = (pods.workload.is_some(), "the pods", of_pods);
    let known_of_services = (service_known, "the Service", of_services);
    for (known, whose, names) in [known_of_pods, known_of_services] {
        for name in names {
            if known && pods.label(&name.value).is_some() {
                continue;
            }
            let why = if known { "do not have it" } else { "are not known" };
            let message = format!("the label {} is not set from {whose}: their labels {why}", name.value);
            ledger.push(Diagnostic::warning(name.span.clone(), "", message));
        }
    }
}

/// Discovered labels that the user's rules read and whose values nobody knows before deployment.
fn tell_unknown(pool: &ScrapePool, endpoint: &MonitorEndpoint, pods: &Pods<'_>, ledger: &mut Ledger) {
    let per_pod = ["__meta_kubernetes_pod_name", "__meta_kubernetes_pod_ip"];
    let label_prefixes = ["__meta_kubernetes_pod_label_", "__meta_kubernetes_pod_labelpresent_"];
    let mut told = Vec::new();
    let written = endpoint.relabelings.iter();
    for (rule, label) in written.flat_map(|rule| rule.source_labels.iter().map(move |label| (rule, label))) {
        let name = label.value.as_str();
        let is_known = !name.starts_with("__meta_")
            || per_pod.contains(&name)
            || pool.labels.iter().any(|(own, _)| own == name)
            || (pods.workload.is_some()
                && label_prefixes.iter().any(|prefix| name.starts_with(prefix))
                && !name.ends_with("_pod_template_hash"));
        if is_known || told.contains(&name) {
            continue;
        }
        told.push(name);
        let message = format!("the value of {name} is not known before deployment: it is taken as empty");
        ledger.push(Diagnostic::warning(label.span.clone(), format!("{}.sourceLabels", rule.path), message));
    }
}

/// Follows the rules for one pod: false when they drop it. Where a scrape can never succeed, the pool says why.
fn check_target(
    pool: &mut ScrapePool,
    (monitor, endpoint): (&PodMonitor, &MonitorEndpoint),
    answers: bool,
    pods: &Pods<'_>,
    ledger: &mut Ledger,
) -> bool {
    let discovered = with_sample(pool);
    let Some(labels) = relabel(&discovered, &pool.relabel) else {
        let what = format!("the relabelings of {} {} drop the pods", monitor.kind, monitor.name.value);
        let path = format!("{}.relabelings", endpoint.path);
        let span = endpoint.relabelings.first().map_or_else(|| endpoint.span.clone(), |rule| rule.span.clone());
        ledger.push(Diagnostic::warning(span, path, format!("{what}: this endpoint scrapes nothing")));
        return false;
    };
    let span_of =
        |own: &Option<Located<String>>| own.as_ref().map_or_else(|| endpoint.span.clone(), |own| own.span.clone());
    let address = labels.get("__address__");
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "80"));
    let (serving, given) = pods.serving_port();
    let port_number = port.parse::<u16>().ok();
    // Whoever points a rule at another port knows why, unless the engine's arguments say otherwise.
    let reaches = if given { port_number == Some(serving) } else { answers || port_number != Some(pool.port) };
    let path = labels.get("__metrics_path__").trim_start_matches('/');
    let scheme = labels.get("__scheme__");
    let is_metrics = path == "metrics" || path.starts_with("metrics/");
    let failure = if host != SAMPLE_IP {
        Some((endpoint.span.clone(), format!("its relabelings scrape {address:?} instead of the pod")))
    } else if !reaches {
        let engine = if given { serving.to_string() } else { "another port".to_owned() };
        Some((endpoint.span.clone(), format!("it scrapes port {port}, the engine listens on {engine}")))
    } else if (scheme == "https") != pods.serves_tls() {
        let served = if pods.serves_tls() { "https" } else { "http" };
        Some((span_of(&endpoint.scheme), format!("it asks with {scheme}, the engine serves {served}")))
    } else if !is_metrics {
        Some((
            span_of(&endpoint.metrics_path),
            format!("vLLM has nothing at /{path}, its metrics are at {METRICS_PATH}"),
        ))
    } else {
        None
    };
    pool.failure = failure.as_ref().map(|(_, why)| why.clone());
    if let Some((span, why)) = failure {
        let what = format!("every scrape of {} fails, so that up is 0", pool.name);
        ledger.push(Diagnostic::warning(span, endpoint.path.clone(), format!("{what}: {why}")));
    }
    for (label, own) in
        [("__scrape_interval__", &mut pool.scrape.interval), ("__scrape_timeout__", &mut pool.scrape.timeout)]
    {
        if labels.get(label) == discovered.get(label) {
            continue;
        }
        match parse_prometheus_duration(labels.get(label)) {
            Ok(duration) if !duration.is_zero() => *own = duration,
            _ => return refuse(endpoint, format!("the relabelings make {label} {:?}", labels.get(label)), ledger),
        }
    }
    if pool.scrape.timeout > pool.scrape.interval {
        let (timeout, interval) = (pool.scrape.timeout, pool.scrape.interval);
        let message = format!("scrape timeout cannot be greater than scrape interval ({timeout} > {interval})");
        return refuse(endpoint, message, ledger);
    }
    true
}

/// Prometheus drops a target whose labels make no sense.
fn refuse(endpoint: &MonitorEndpoint, message: String, ledger: &mut Ledger) -> bool {
    let path = format!("{}.relabelings", endpoint.path);
    let help = "Prometheus drops the targets; nothing is scraped";
    ledger.push(Diagnostic::error(endpoint.span.clone(), path, message).help(help));
    false
}

/// The labels of the pod that stands for all.
fn with_sample(pool: &ScrapePool) -> Labels {
    let address = format!("{SAMPLE_IP}:{}", pool.port);
    let own = [
        ("pod", "sample"),
        ("__meta_kubernetes_pod_name", "sample"),
        ("__meta_kubernetes_pod_ip", SAMPLE_IP),
        ("__address__", address.as_str()),
    ];
    Labels::from_pairs(pool.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(own))
}

/// What the rules and limits make of the series that a pod exposes.
fn check_series(
    pool: &mut ScrapePool,
    (monitor, endpoint): (&PodMonitor, &MonitorEndpoint),
    engine: &EngineConfig,
    ledger: &mut Ledger,
) {
    let limits = LabelLimits {
        labels: limit(monitor.label_limit.as_ref()),
        name_length: limit(monitor.label_name_length_limit.as_ref()),
        value_length: limit(monitor.label_value_length_limit.as_ref()),
    };
    let Some(target) = target_labels(&with_sample(pool), &pool.relabel) else { return };
    let exposed = exposition(engine);
    let mut stored: BTreeMap<Labels, &str> = BTreeMap::new();
    let mut repeated = None;
    let mut kept = 0u64;
    for series in &exposed.series {
        let Some(labels) = stored_labels(&series.labels, &target, &pool.rules) else { continue };
        kept += 1;
        if let Some(why) = scrape_failure(&labels, &limits) {
            let what = format!("every scrape of {} fails, so that up is 0", pool.name);
            ledger.push(Diagnostic::warning(endpoint.span.clone(), endpoint.path.clone(), format!("{what}: {why}")));
            pool.failure = Some(why);
            return;
        }
        let name = series.labels.metric_name();
        match stored.get(&labels) {
            Some(first) => {
                repeated.get_or_insert((*first, name));
            }
            None => _ = stored.insert(labels, name),
        }
    }
    if let Some((first, second)) = repeated {
        let path = format!("{}.metricRelabelings", endpoint.path);
        let span = endpoint.metric_relabelings.first().map_or_else(|| endpoint.span.clone(), |rule| rule.span.clone());
        let which = if first == second { format!("series of {first}") } else { format!("{first} and {second}") };
        let message = format!("metricRelabelings give several series of a pod the same labels ({which})");
        let message = format!("{message}: Prometheus keeps the first of a scrape and drops the others");
        ledger.push(Diagnostic::warning(span, path, message).help("duplicate sample for timestamp"));
    }
    if let Some(limit) = pool.rules.sample_limit.filter(|limit| kept > *limit) {
        let span = monitor.sample_limit.as_ref().map_or_else(|| endpoint.span.clone(), |own| own.span.clone());
        let message = format!(
            "a pod exposes up to {kept} samples after metricRelabelings, sampleLimit is {limit}: scrapes above it fail, \
             and up is 0"
        );
        ledger.push(Diagnostic::warning(span, "spec.sampleLimit", message));
    }
}

/// The jobs, without those that would write into the series of another; and a warning where pods are scraped several times.
pub(super) fn tell_repeated(pools: Vec<PlacedPool>, ledger: &mut Ledger) -> Vec<ScrapePool> {
    let mut kept: Vec<ScrapePool> = Vec::new();
    let mut places = Vec::new();
    for PlacedPool { pool, span } in pools {
        let labels = target_labels(&with_sample(&pool), &pool.relabel);
        let same = |other: &&ScrapePool| target_labels(&with_sample(other), &other.relabel) == labels;
        if let Some(first) = kept.iter().find(same) {
            let message = format!(
                "{} and {} scrape the pods under the same labels, into the same series: only {} is simulated",
                first.name, pool.name, first.name
            );
            ledger.push(Diagnostic::warning(span, "", message));
            continue;
        }
        kept.push(pool);
        places.push(span);
    }
    let succeeding: Vec<usize> = (0..kept.len()).filter(|index| kept[*index].failure.is_none()).collect();
    if let [_, second, ..] = succeeding.as_slice() {
        let names: Vec<&str> = succeeding.iter().map(|index| kept[*index].name.as_str()).collect();
        let count = names.len();
        let message = format!(
            "every pod is scraped {count} times ({}), and each of its series is stored {count} times under different \
             labels: a sum over all of them, such as sum(rate(...)), comes out {count} times too large",
            names.join(", ")
        );
        let help = "remove all monitors but one, or select one job in the query: {job=\"...\"}";
        ledger.push(Diagnostic::warning(places[*second].clone(), "", message).help(help));
    }
    kept
}

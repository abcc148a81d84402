//! Prometheus of a run: the server, the scrape jobs over the pods and the recording rules.
//!
//! Reading order: `monitor_choice` (which monitors and ports), `scrape_pools` (a job's labels and rules), `rules_choice`.

use crate::manifest::{Bundle, MonitorEndpoint};
use crate::prometheus::{PrometheusSettings, PrometheusVersion, ScrapeSettings};
use crate::replica::EngineConfig;
use crate::scenario::ledger::Ledger;
use crate::scenario::monitor_choice::{ChosenMonitor, choose_monitors};
use crate::scenario::rules_choice::choose_rules;
use crate::scenario::scrape_pools::{Pods, assumed_pool, pools_of, tell_repeated};
use crate::scenario::{MonitoringSettings, Origin, PrometheusWritten, ScenarioFile, show};
use crate::units::{Diagnostic, Located, SimDuration};

/// 2026-01-05T00:00:00Z, a Monday.
const EPOCH_MS: i64 = 1_767_571_200_000;

const INTERVAL_PATH: &str = "spec.prometheus.scrapeInterval";
const INTERVAL_DEFAULT: SimDuration = SimDuration::from_secs(15);
const INTERVAL_WHY: &str = "neither a PodMonitor nor the Scenario says";
const TIMEOUT_PATH: &str = "spec.prometheus.scrapeTimeout";
const TIMEOUT_DEFAULT: SimDuration = SimDuration::from_secs(10);

/// Resolves Prometheus, its scrape jobs and rules; `None` after an error in the ledger. `engine` is what the pods run, where
/// it could be resolved.
pub(super) fn resolve_monitoring(
    bundle: &Bundle,
    scenario: &ScenarioFile,
    pods: &Pods<'_>,
    engine: Option<&EngineConfig>,
    ledger: &mut Ledger,
) -> Option<MonitoringSettings> {
    let written = &scenario.prometheus;
    let chosen = choose_monitors(bundle, pods.workload, pods.namespace, ledger);
    let endpoints: Vec<&MonitorEndpoint> = chosen.iter().flatten().flat_map(chosen_endpoints).collect();
    let intervals = intervals(written, &endpoints, ledger);
    let timeouts = timeouts(written, &endpoints, &intervals, ledger)?;
    let mut server = server(written, ledger);
    let (response_time, discovery_delay_max) = delays(written, &server, ledger);
    server.epoch_ms = epoch_ms(scenario, ledger);
    let scrape = |index: usize| ScrapeSettings {
        interval: intervals[index],
        timeout: timeouts[index],
        discovery_delay_max,
        response_time,
    };
    let pools = match &chosen {
        None => vec![assumed_pool(pods, scrape(0), ledger)],
        Some(monitors) => {
            let mut index = 0;
            let mut pools = Vec::new();
            for monitor in monitors {
                for (position, ports) in &monitor.endpoints {
                    let own = (&monitor.monitor, *position, ports.as_slice());
                    pools.extend(pools_of(own, &scrape(index), pods, (engine, server.version), ledger));
                    index += 1;
                }
            }
            tell_repeated(pools, ledger)
        }
    };
    let rules = choose_rules(bundle, &server, pods.namespace, ledger);
    Some(MonitoringSettings { server, pools, own_scrape: scrape(0), rules })
}

fn chosen_endpoints(chosen: &ChosenMonitor) -> impl Iterator<Item = &MonitorEndpoint> {
    chosen.endpoints.iter().map(|(position, _)| &chosen.monitor.endpoints[*position])
}

/// The interval of each endpoint, at least one. It is noted as the Scenario's own where all have the same.
fn intervals(written: &PrometheusWritten, endpoints: &[&MonitorEndpoint], ledger: &mut Ledger) -> Vec<SimDuration> {
    let given = |endpoint: &&MonitorEndpoint| endpoint.interval.clone();
    let differ = endpoints.windows(2).any(|pair| value(&pair[0].interval) != value(&pair[1].interval));
    if written.scrape_interval.is_none() && differ {
        let intervals: Vec<_> = endpoints.iter().map(given).collect();
        if intervals.iter().any(Option::is_none) {
            ledger.tell(
                INTERVAL_PATH,
                show::duration_text(&INTERVAL_DEFAULT),
                "for the endpoints that do not say; the others have their own",
            );
        }
        return intervals.into_iter().map(|own| own.map_or(INTERVAL_DEFAULT, |own| own.value)).collect();
    }
    let candidates = [written.scrape_interval.clone(), endpoints.first().and_then(given)];
    let interval = ledger.pick_or_tell(INTERVAL_PATH, candidates, INTERVAL_DEFAULT, INTERVAL_WHY, show::duration_text);
    vec![interval; endpoints.len().max(1)]
}

/// The timeout of each endpoint, likewise; `None` where one is above its interval.
fn timeouts(
    written: &PrometheusWritten,
    endpoints: &[&MonitorEndpoint],
    intervals: &[SimDuration],
    ledger: &mut Ledger,
) -> Option<Vec<SimDuration>> {
    let of_endpoint = |index: usize| endpoints.get(index).and_then(|endpoint| endpoint.scrape_timeout.clone());
    let given = |index: usize| written.scrape_timeout.clone().or_else(|| of_endpoint(index));
    let mut timeouts = Vec::with_capacity(intervals.len());
    for (index, interval) in intervals.iter().enumerate() {
        let own = given(index);
        if let Some(own) = own.as_ref().filter(|own| own.value > *interval) {
            let message =
                format!("found {} above the scrape interval {interval}, expected at most the interval", own.value);
            let (path, help) = if written.scrape_timeout.is_some() {
                (TIMEOUT_PATH.to_owned(), "Prometheus does not load such a configuration".to_owned())
            } else {
                let path = endpoints.get(index).map_or_else(String::new, |own| format!("{}.scrapeTimeout", own.path));
                let words = format!("scrapeTimeout \"{}\" greater than scrapeInterval \"{interval}\"", own.value);
                (path, format!("prometheus-operator rejects the whole monitor: {words}"))
            };
            ledger.push(Diagnostic::error(own.span.clone(), path, message).help(help));
            return None;
        }
        timeouts.push(own.map_or(TIMEOUT_DEFAULT.min(*interval), |own| own.value));
    }
    if timeouts.iter().all(|own| *own == timeouts[0]) && intervals.iter().all(|own| *own == intervals[0]) {
        let default = (timeouts[0], Origin::Assumed);
        ledger.pick(TIMEOUT_PATH, [given(0)], default, show::duration_text);
    }
    Some(timeouts)
}

fn value(own: &Option<Located<SimDuration>>) -> Option<SimDuration> {
    own.as_ref().map(|own| own.value)
}

/// The server but for the run's start.
fn server(written: &PrometheusWritten, ledger: &mut Ledger) -> PrometheusSettings {
    let quiet = |seconds| (SimDuration::from_secs(seconds), Origin::Assumed);
    let version = ledger.pick(
        "spec.prometheus.version",
        [written.version.clone()],
        (PrometheusVersion::V3, Origin::Assumed),
        |version| show::prometheus(*version),
    );
    let lookback = ledger.pick("spec.prometheus.lookback", [written.lookback.clone()], quiet(300), show::duration_text);
    let evaluation_interval = ledger.pick(
        "spec.prometheus.evaluationInterval",
        [written.evaluation_interval.clone()],
        quiet(30),
        show::duration_text,
    );
    PrometheusSettings { version, lookback, evaluation_interval, epoch_ms: 0 }
}

/// (response time, longest discovery delay).
fn delays(written: &PrometheusWritten, server: &PrometheusSettings, ledger: &mut Ledger) -> (SimDuration, SimDuration) {
    let response_time = ledger.pick(
        "spec.prometheus.responseTime",
        [written.response_time.clone()],
        (SimDuration::from_millis(20), Origin::Assumed),
        show::duration_text,
    );
    let discovery_delay_max = ledger.pick(
        "spec.prometheus.discoveryDelay",
        [written.discovery_delay.clone()],
        (SimDuration::from_secs(10), Origin::Assumed),
        show::duration_text,
    );
    let PrometheusSettings { version, lookback, evaluation_interval, .. } = server;
    ledger.tell(
        "spec.prometheus",
        format!(
            "version {}, lookback {lookback}, evaluation {evaluation_interval}, response {response_time}, discovery up to {discovery_delay_max}",
            show::prometheus(*version).trim_matches('"')
        ),
        "defaults of Prometheus and its operator where the Scenario says nothing",
    );
    (response_time, discovery_delay_max)
}

/// The run's start as milliseconds since the Unix epoch.
fn epoch_ms(scenario: &ScenarioFile, ledger: &mut Ledger) -> i64 {
    match &scenario.start {
        Some(start) => {
            let date =
                jiff::Timestamp::from_second(start.value).map_or_else(|_| String::new(), |date| date.to_string());
            ledger.given("spec.start", show::quoted(&date), &start.span);
            start.value * 1000
        }
        None => {
            let why = "any moment would do; functions of the time of day see it";
            ledger.assumed("spec.start", show::quoted("2026-01-05T00:00:00Z"), why);
            EPOCH_MS
        }
    }
}

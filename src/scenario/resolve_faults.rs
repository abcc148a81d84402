//! The faults of a run: defaults filled in, overlaps refused.

use crate::keda::Trigger;
use crate::scenario::faults_written::{FaultKindWritten, FaultWritten};
use crate::scenario::ledger::Ledger;
use crate::scenario::{KedaSettings, KubernetesSettings, MetricSource, ScenarioFile, show};
use crate::units::{Diagnostic, SimDuration, SimTime, Span};

/// Something that is out of order for a while: in `at <= t < until`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// When it starts.
    pub at: SimTime,
    /// When it is over.
    pub until: SimTime,
    /// What.
    pub kind: FaultKind,
}

/// What can be out of order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// Prometheus is stopped: no scrapes, no rules, queries are refused. What it had stored is there again afterwards.
    PrometheusDown,
    /// Prometheus answers every query this late.
    PrometheusSlow {
        /// From a query's arrival to its answer.
        latency: SimDuration,
    },
    /// Scrapes of pods fail.
    ScrapeLoss {
        /// The probability of each.
        share: f64,
        /// Of which pods.
        pods: FaultPods,
    },
    /// Pods answer scrapes this late; at or above the scrape's timeout the scrape fails.
    ScrapeSlow {
        /// From a scrape's start to its answer.
        latency: SimDuration,
        /// Which pods.
        pods: FaultPods,
    },
    /// KEDA's operator and metrics server are stopped: no polls, and the HPA gets no external metric.
    KedaDown,
}

/// Which pods a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPods {
    /// All, those that come during the fault too.
    All,
    /// So many of those there at the fault's start, the oldest first.
    Oldest(u32),
    /// So many of those there at the fault's start, the newest first.
    Newest(u32),
}

impl Fault {
    /// Whether it holds at `t`.
    pub fn holds_at(&self, t: SimTime) -> bool {
        self.at <= t && t < self.until
    }
}

impl FaultKind {
    /// Its key in a Scenario.
    pub fn word(&self) -> &'static str {
        match self {
            FaultKind::PrometheusDown => "prometheusDown",
            FaultKind::PrometheusSlow { .. } => "prometheusSlow",
            FaultKind::ScrapeLoss { .. } => "scrapeLoss",
            FaultKind::ScrapeSlow { .. } => "scrapeSlow",
            FaultKind::KedaDown => "kedaDown",
        }
    }

    /// Its settings as one would write them in a Scenario: `{share: 1, pods: all}`.
    pub fn settings(&self) -> String {
        match self {
            FaultKind::PrometheusDown | FaultKind::KedaDown => "{}".to_owned(),
            FaultKind::PrometheusSlow { latency } => format!("{{latency: {}}}", show::duration_text(latency)),
            FaultKind::ScrapeLoss { share, pods } => format!("{{share: {share}, pods: {}}}", pods.shown()),
            FaultKind::ScrapeSlow { latency, pods } => {
                format!("{{latency: {}, pods: {}}}", show::duration_text(latency), pods.shown())
            }
        }
    }
}

impl FaultPods {
    fn shown(self) -> String {
        match self {
            FaultPods::All => "all".to_owned(),
            FaultPods::Oldest(count) => format!("{{oldest: {count}}}"),
            FaultPods::Newest(count) => format!("{{newest: {count}}}"),
        }
    }
}

/// Resolves `faults`, in order of their start; `duration` is the run's, if it has one.
pub(super) fn resolve_faults(
    scenario: &ScenarioFile,
    duration: Option<SimDuration>,
    fixed_replicas: bool,
    ledger: &mut Ledger,
) -> Vec<Fault> {
    let mut faults: Vec<(Fault, &Span)> = Vec::with_capacity(scenario.faults.len());
    for (index, written) in scenario.faults.iter().enumerate() {
        let at = SimTime::ZERO.saturating_add(written.at.value);
        let fault = Fault { at, until: at.saturating_add(written.length.value), kind: resolved(&written.kind) };
        let path = format!("spec.faults[{index}]");
        tell_unreached(written, &path, duration, ledger);
        if let Some((other, place)) = faults.iter().find(|(other, _)| overlap(other, &fault)) {
            let word = fault.kind.word();
            let message = format!(
                "found {word} from {} to {}, which overlaps with the {word} from {} to {} at {place}",
                fault.at, fault.until, other.at, other.until
            );
            let diagnostic = Diagnostic::error(written.span.clone(), path, message);
            ledger.push(diagnostic.help("two faults of one kind may follow each other but not overlap: write one"));
            continue;
        }
        let (start, length) = (show::duration_text(&written.at.value), show::duration_text(&written.length.value));
        ledger.given(
            &path,
            format!("{{{}: {}, at: {start}, for: {length}}}", fault.kind.word(), fault.kind.settings()),
            &written.span,
        );
        faults.push((fault, &written.span));
    }
    if let Some((_, place)) = faults.first().filter(|_| fixed_replicas) {
        let message =
            "faults concern Prometheus and KEDA, which nobody asks while the replicas are fixed: they do nothing";
        ledger.push(Diagnostic::warning((*place).clone(), "spec.faults", message));
    }
    let mut faults: Vec<Fault> = faults.into_iter().map(|(fault, _)| fault).collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn resolved(written: &FaultKindWritten) -> FaultKind {
    let all = FaultPods::All;
    match written {
        FaultKindWritten::PrometheusDown => FaultKind::PrometheusDown,
        FaultKindWritten::PrometheusSlow { latency } => FaultKind::PrometheusSlow { latency: latency.value },
        FaultKindWritten::ScrapeLoss { share, pods } => FaultKind::ScrapeLoss {
            share: share.as_ref().map_or(1.0, |given| given.value),
            pods: pods.as_ref().map_or(all, |given| given.value),
        },
        FaultKindWritten::ScrapeSlow { latency, pods } => {
            FaultKind::ScrapeSlow { latency: latency.value, pods: pods.as_ref().map_or(all, |given| given.value) }
        }
        FaultKindWritten::KedaDown => FaultKind::KedaDown,
    }
}

fn overlap(one: &Fault, other: &Fault) -> bool {
    one.kind.word() == other.kind.word() && one.at < other.until && other.at < one.until
}

fn tell_unreached(written: &FaultWritten, path: &str, duration: Option<SimDuration>, ledger: &mut Ledger) {
    let Some(duration) = duration.filter(|duration| written.at.value >= *duration) else { return };
    let message =
        format!("the fault starts at {}, when the run of {duration} is over: it never happens", written.at.value);
    ledger.push(Diagnostic::warning(written.at.span.clone(), format!("{path}.at"), message));
}

/// What the API server gives a request for a metric: its own `--request-timeout`.
const API_TIMEOUT: SimDuration = SimDuration::from_secs(60);

/// Refuses a slow Prometheus that would make a request of the HPA last longer than the API server lets it: what comes then is
/// not modelled.
pub(super) fn check_patience(
    faults: &[Fault],
    keda: Option<&KedaSettings>,
    kubernetes: &KubernetesSettings,
    scenario: &ScenarioFile,
    ledger: &mut Ledger,
) {
    for fault in faults {
        let FaultKind::PrometheusSlow { latency } = fault.kind else { continue };
        let of_trigger = |timeout: SimDuration| if latency < timeout { latency } else { timeout.times(2) };
        let of_triggers = keda.into_iter().flat_map(|keda| {
            let asked = keda.scaled_object.triggers.iter().filter_map(Trigger::prometheus);
            asked.map(|own| of_trigger(own.timeout.unwrap_or(keda.http_timeout)))
        });
        let adapters = kubernetes.sources.iter().filter(|source| matches!(source, MetricSource::PodsMetric(_)));
        let longest = of_triggers.chain(adapters.map(|_| latency)).max().unwrap_or_default();
        if longest < API_TIMEOUT {
            continue;
        }
        let written = scenario.faults.iter().position(|own| SimTime::ZERO.saturating_add(own.at.value) == fault.at);
        let span = written.map(|index| scenario.faults[index].span.clone());
        let message = format!(
            "with a latency of {latency} a metric takes the HPA {longest}; that the API server cuts requests after \
             {API_TIMEOUT} is not modelled"
        );
        let diagnostic = Diagnostic::error(span, "spec.faults", message);
        ledger
            .push(diagnostic.help("give a shorter latency, or the trigger or spec.keda.httpTimeout a shorter timeout"));
    }
}

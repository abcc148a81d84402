//! `summary.json` of a run on several seeds: under the names of one run's the means over seeds, and in `replications` what
//! stands behind them.

use crate::analysis::{CONFIDENCE, Estimate, FlapsOverSeeds, Replications, Summary};
use crate::record::{RunInfo, SCHEMA_VERSION};
use crate::report::json::{Gate, gate_block, pretty, status_word};
use crate::report::kpi_table::KpiObject;
use crate::units::Severity;
use serde::ser::{Serialize, SerializeMap, Serializer};

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplicationsFile<'a> {
    schema_version: u32,
    kind: &'static str,
    policy: &'a str,
    scenario: &'a str,
    seed: u64,
    seeds: &'a [u64],
    verdict: VerdictBlock<'a>,
    #[serde(flatten)]
    means: Tree,
    kpis: KpiObject<'a>,
    replications: Block<'a>,
    run: &'a RunInfo,
}

#[derive(serde::Serialize)]
struct VerdictBlock<'a> {
    status: &'static str,
    gates: Vec<Gate<'a>>,
    findings: Vec<FindingBlock<'a>>,
}

#[derive(serde::Serialize)]
struct FindingBlock<'a> {
    code: &'a str,
    severity: Severity,
    seeds: &'a [u64],
    /// Whose figures the message says; null for those of all seeds together.
    seed: Option<u64>,
    message: &'a str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    seeds: &'a [u64],
    hours_each: f64,
    confidence: f64,
    statuses: Vec<&'static str>,
    flapping: Option<Flaps>,
    metrics: Metrics<'a>,
}

/// The flaps of all seeds together.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Flaps {
    class: &'static str,
    class_decided: bool,
    flaps: u64,
    spurious_flaps: u64,
    hours: f64,
    flaps_per_hour: f64,
    flaps_per_hour_interval: [f64; 2],
    churned_replicas: u64,
    flap_load: f64,
    flap_load_interval: [f64; 2],
}

fn flaps(own: &FlapsOverSeeds) -> Flaps {
    Flaps {
        class: own.verdict.class.word(),
        class_decided: own.verdict.decided,
        flaps: own.flaps,
        spurious_flaps: own.spurious,
        hours: own.hours,
        flaps_per_hour: own.rate,
        flaps_per_hour_interval: [own.rate_interval.0, own.rate_interval.1],
        churned_replicas: own.churned,
        flap_load: own.flap_load,
        flap_load_interval: [own.flap_load_interval.0, own.flap_load_interval.1],
    }
}

/// Path to estimate, in the figures' order.
struct Metrics<'a>(&'a Replications);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.metrics.len()))?;
        for (figure, estimate) in &self.0.metrics {
            map.serialize_entry(figure.path, &metric(estimate, &self.0.seeds))?;
        }
        map.end()
    }
}

/// An estimate as it stands in files.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metric {
    mean: Option<f64>,
    sd: Option<f64>,
    interval: Option<[f64; 2]>,
    rule: Option<&'static str>,
    min: Option<f64>,
    max: Option<f64>,
    values: Vec<Option<f64>>,
    /// Seeds whose value is infinite, which JSON has no number for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infinite_seeds: Vec<u64>,
}

pub(super) fn metric(estimate: &Estimate, seeds: &[u64]) -> Metric {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let is_infinite = |value: &Option<f64>| value.is_some_and(f64::is_infinite);
    let infinite = estimate.values.iter().zip(seeds).filter(|(value, _)| is_infinite(value));
    Metric {
        mean: finite(estimate.mean),
        sd: estimate.deviation,
        interval: estimate.interval.map(|((low, high), _)| [low, high]),
        rule: estimate.interval.map(|(_, rule)| rule.word()),
        min: finite(estimate.range().map(|(low, _)| low)),
        max: finite(estimate.range().map(|(_, high)| high)),
        values: estimate.values.iter().map(|value| finite(*value)).collect(),
        infinite_seeds: infinite.map(|(_, seed)| *seed).collect(),
    }
}

/// Figures by the parts of their paths, in order of first mention.
#[derive(Default)]
struct Tree(Vec<(String, Node)>);

enum Node {
    Number(Option<f64>),
    Flag,
    Inner(Tree),
}

impl Tree {
    fn insert(&mut self, path: &str, value: Option<f64>) {
        let Some((head, rest)) = path.split_once('.') else {
            let infinite = value.is_some_and(f64::is_infinite);
            self.0.push((path.to_owned(), Node::Number(value.filter(|_| !infinite))));
            if infinite {
                self.0.push((format!("{path}IsInf"), Node::Flag));
            }
            return;
        };
        if !self.0.iter().any(|(name, _)| name == head) {
            self.0.push((head.to_owned(), Node::Inner(Tree::default())));
        }
        let inner = self.0.iter_mut().find_map(|(name, node)| match node {
            Node::Inner(inner) if name == head => Some(inner),
            _ => None,
        });
        inner.expect("no figure stands where others have a section").insert(rest, value);
    }
}

impl Serialize for Tree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, node) in &self.0 {
            match node {
                Node::Number(value) => map.serialize_entry(name, value)?,
                Node::Flag => map.serialize_entry(name, &true)?,
                Node::Inner(inner) => map.serialize_entry(name, inner)?,
            }
        }
        map.end()
    }
}

/// The whole file, indented, with a final newline. `first` is the first seed's run.
pub fn replications_json(first: &Summary, replications: &Replications) -> String {
    let mut means = Tree::default();
    for (figure, estimate) in &replications.metrics {
        means.insert(figure.path, estimate.mean);
    }
    let findings = replications.findings.iter().map(|finding| FindingBlock {
        code: &finding.code,
        severity: finding.severity,
        seeds: &finding.seeds,
        seed: finding.seed,
        message: &finding.message,
    });
    pretty(&ReplicationsFile {
        schema_version: SCHEMA_VERSION,
        kind: "replications",
        policy: &first.policy,
        scenario: &first.scenario,
        seed: first.seed,
        seeds: &replications.seeds,
        verdict: VerdictBlock {
            status: status_word(replications.status),
            gates: replications.gates.iter().map(gate_block).collect(),
            findings: findings.collect(),
        },
        means,
        kpis: KpiObject(&replications.kpis),
        replications: Block {
            seeds: &replications.seeds,
            hours_each: replications.hours_each,
            confidence: CONFIDENCE,
            statuses: replications.statuses.iter().map(|status| status_word(*status)).collect(),
            flapping: replications.flaps.as_ref().map(flaps),
            metrics: Metrics(replications),
        },
        run: &first.run,
    })
}

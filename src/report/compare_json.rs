//! `summary.json` of a comparison.

use crate::analysis::{COMPARED, Difference, Estimate, Finding, Summary, goals_met};
use crate::record::SCHEMA_VERSION;
use crate::report::compare_text::{CompareReport, estimate, has_gpus};
use crate::report::json::{Gate, gate_block, pretty, status_word};
use crate::report::replications_json::{Metric, metric};
use crate::study::{LeastFixed, OracleKind, OracleSeed};
use crate::units::Severity;
use serde::ser::{Serialize, SerializeMap, Serializer};

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ComparisonFile<'a> {
    schema_version: u32,
    kind: &'static str,
    scenario: &'a str,
    traffic: &'a str,
    profile: &'a str,
    seeds: &'a [u64],
    hours_unit: &'static str,
    verdict: VerdictBlock,
    best: Option<BestBlock<'a>>,
    policies: Vec<PolicyBlock<'a>>,
    baselines: Vec<BaselineBlock<'a>>,
    least_fixed: Option<u32>,
    least_fixed_why_not: Option<&'static str>,
    pairs: Vec<PairBlock<'a>>,
    oracle: Option<OracleBlock>,
    capacity: Option<Vec<CapacityBlock>>,
    simulations: SimulationsBlock,
    assumed: Vec<String>,
}

#[derive(serde::Serialize)]
struct VerdictBlock {
    status: &'static str,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct BestBlock<'a> {
    policy: &'a str,
    others: Vec<OtherBlock<'a>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherBlock<'a> {
    policy: &'a str,
    more_billed: f64,
    interval: Option<[f64; 2]>,
    told_apart: bool,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct PolicyBlock<'a> {
    name: &'a str,
    slo_met_seeds: Option<usize>,
    status: &'static str,
    gates: Vec<Gate<'a>>,
    figures: Figures<'a>,
    regret: Option<RegretBlock>,
    autoscaling_gain: Option<Metric>,
    findings: Vec<FindingBlock<'a>>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct BaselineBlock<'a> {
    name: String,
    role: &'static str,
    slo_met_seeds: Option<usize>,
    figures: Figures<'a>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct RegretBlock {
    cost: Metric,
    cost_ratio: Metric,
    slo_gap: Metric,
    reversal_excess_per_hour: Metric,
}

#[derive(serde::Serialize)]
struct FindingBlock<'a> {
    code: &'a str,
    severity: Severity,
    message: &'a str,
}

#[derive(serde::Serialize)]
struct PairBlock<'a> {
    policy: &'a str,
    baseline: &'a str,
    differences: Vec<DifferenceBlock>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct DifferenceBlock {
    figure: &'static str,
    pairs: usize,
    mean: f64,
    interval: Option<[f64; 2]>,
    correlation: Option<f64>,
    unpaired_half_width: Option<f64>,
    tested: bool,
    verdict_alone: &'static str,
    verdict: &'static str,
    further_seeds: Option<u64>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleBlock {
    least: u32,
    most: u32,
    lead_seconds: f64,
    window_seconds: f64,
    seeds: Vec<OracleSeedBlock>,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct OracleSeedBlock {
    seed: u64,
    kind: &'static str,
    billed_hours: f64,
    proven_least: Option<f64>,
    schedules_tried: usize,
    rounds_raised: usize,
    unavoidable_windows: usize,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct CapacityBlock {
    replicas: u32,
    requests_per_second: f64,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct SimulationsBlock {
    total: u64,
    policies: u64,
    fixed: u64,
    capacity: u64,
    oracle: u64,
    oracle_limit: u64,
}

/// Key to estimate, of all compared figures.
struct Figures<'a> {
    runs: Vec<Summary>,
    seeds: &'a [u64],
}

impl Serialize for Figures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COMPARED.len()))?;
        for figure in &COMPARED {
            map.serialize_entry(figure.key, &metric(&estimate(figure, &self.runs), self.seeds))?;
        }
        map.end()
    }
}

/// The whole file.
pub fn compare_json(report: &CompareReport<'_>) -> String {
    let comparison = report.comparison;
    let first = &comparison.policies[0].runs[0].run;
    let seeds = comparison.seeds.as_slice();
    let labels = report.labels;
    let own = &comparison.simulations;
    let file = ComparisonFile {
        schema_version: SCHEMA_VERSION,
        kind: "comparison",
        scenario: &first.scenario,
        traffic: &first.traffic,
        profile: &first.profile,
        seeds,
        hours_unit: if has_gpus(report) { "GPU-hours" } else { "replica-hours" },
        verdict: VerdictBlock { status: status_word(report.conclusions.status()) },
        best: best(report),
        policies: (0..labels.len()).map(|index| policy(report, index)).collect(),
        baselines: comparison
            .baselines()
            .into_iter()
            .map(|(name, role, runs)| {
                let slo_met_seeds = goals_met(&runs).map(|own| own.met);
                BaselineBlock { name, role, slo_met_seeds, figures: Figures { runs, seeds } }
            })
            .collect(),
        least_fixed: match comparison.least_fixed {
            LeastFixed::Found(size) => Some(size),
            LeastFixed::NoSlo | LeastFixed::None => None,
        },
        least_fixed_why_not: match comparison.least_fixed {
            LeastFixed::NoSlo => Some("the Scenario has no slo"),
            LeastFixed::None => Some("even the most replicas all the time miss the SLO"),
            LeastFixed::Found(_) => None,
        },
        pairs: report
            .conclusions
            .pairs
            .iter()
            .map(|pair| PairBlock {
                policy: &labels[pair.policy],
                baseline: &labels[0],
                differences: pair.differences.iter().map(difference).collect(),
            })
            .collect(),
        oracle: oracle(report),
        capacity: comparison.capacity.as_ref().map(|curve| {
            let one = |(replicas, rate): &(u32, f64)| CapacityBlock { replicas: *replicas, requests_per_second: *rate };
            curve.measured.iter().map(one).collect()
        }),
        simulations: SimulationsBlock {
            total: own.total(),
            policies: own.policies,
            fixed: own.fixed,
            capacity: own.capacity,
            oracle: own.oracle,
            oracle_limit: own.oracle_limit,
        },
        assumed: crate::report::compare_words::assumed(report),
    };
    pretty(&file)
}

fn best<'a>(report: &CompareReport<'a>) -> Option<BestBlock<'a>> {
    let best = report.conclusions.best.as_ref()?;
    let other = |(policy, paired, told_apart): &(usize, crate::analysis::PairedDifference, bool)| OtherBlock {
        policy: &report.labels[*policy],
        more_billed: paired.mean,
        interval: paired.interval.map(|(low, high)| [low, high]),
        told_apart: *told_apart,
    };
    Some(BestBlock { policy: &report.labels[best.policy], others: best.others.iter().map(other).collect() })
}

fn policy<'a>(report: &CompareReport<'a>, index: usize) -> PolicyBlock<'a> {
    let comparison = report.comparison;
    let (runs, own) = (&comparison.policies[index].runs, &report.conclusions.policies[index]);
    let shown = |estimate: &Estimate| metric(estimate, &comparison.seeds);
    let finding = |own: &'a Finding| FindingBlock { code: &own.code, severity: own.severity, message: &own.message };
    PolicyBlock {
        name: &report.labels[index],
        slo_met_seeds: goals_met(runs).map(|own| own.met),
        status: status_word(own.status),
        gates: own.gates.iter().map(gate_block).collect(),
        figures: Figures { runs: runs.clone(), seeds: &comparison.seeds },
        regret: own.regret.as_ref().map(|regret| RegretBlock {
            cost: shown(&regret.cost),
            cost_ratio: shown(&regret.ratio),
            slo_gap: shown(&regret.slo_gap),
            reversal_excess_per_hour: shown(&regret.reversal_excess),
        }),
        autoscaling_gain: own.gain.as_ref().map(shown),
        findings: own.findings.iter().map(finding).collect(),
    }
}

fn difference(own: &Difference) -> DifferenceBlock {
    let paired = &own.paired;
    DifferenceBlock {
        figure: own.figure.key,
        pairs: paired.pairs,
        mean: paired.mean,
        interval: paired.interval.map(|(low, high)| [low, high]),
        correlation: paired.correlation,
        unpaired_half_width: paired.unpaired_half_width,
        tested: own.is_tested,
        verdict_alone: paired.verdict.word(),
        verdict: own.verdict.word(),
        further_seeds: paired.further_pairs,
    }
}

fn oracle(report: &CompareReport<'_>) -> Option<OracleBlock> {
    let oracle = report.comparison.oracle.as_ref()?;
    let seed = |(seed, own): (&u64, &OracleSeed)| OracleSeedBlock {
        seed: *seed,
        kind: match own.kind {
            OracleKind::Scaled => "scaled",
            OracleKind::Fixed(_) => "fixed",
        },
        billed_hours: crate::analysis::billed_hours(&own.summary),
        proven_least: own.proven_least,
        schedules_tried: own.trials,
        rounds_raised: own.raised,
        unavoidable_windows: own.unavoidable,
    };
    Some(OracleBlock {
        least: oracle.least,
        most: oracle.most,
        lead_seconds: oracle.lead.as_secs_f64(),
        window_seconds: oracle.window.as_secs_f64(),
        seeds: report.comparison.seeds.iter().zip(&oracle.seeds).map(seed).collect(),
    })
}

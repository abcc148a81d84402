//! Several seeds of one policy and scenario: each figure's mean and interval over seeds, the gates, and which seeds had which
//! finding (verdicts.md 6.1, 6.5).

use crate::analysis::finding_flaps::FLAP_CODES;
use crate::analysis::gates::{flap_rate_interval, measured_hours};
use crate::analysis::statistics::mean;
use crate::analysis::{
    Estimate, FIGURES, Figure, FlapsOverSeeds, GateResult, KpiValues, Summary, VerdictStatus,
    evaluate_gates_over_seeds, gates_status, kpi_values,
};
use crate::scenario::AnalysisSettings;
use crate::units::Severity;

/// What several seeds say together.
#[derive(Clone, Debug)]
pub struct Replications {
    /// The seeds, in order; every list of values is in this order.
    pub seeds: Vec<u64>,
    /// Mean measured hours of a run.
    pub hours_each: f64,
    /// Every figure, in the order of [`FIGURES`].
    pub metrics: Vec<(&'static Figure, Estimate)>,
    /// The table of key figures.
    pub kpis: Vec<KpiValues>,
    /// Verdict over all seeds: of the gates.
    pub status: VerdictStatus,
    /// Gates in the order given.
    pub gates: Vec<GateResult>,
    /// Each seed's own verdict.
    pub statuses: Vec<VerdictStatus>,
    /// The flaps of all seeds together; `None` without measured time.
    pub flaps: Option<FlapsOverSeeds>,
    /// Findings of the seeds, worst first.
    pub findings: Vec<FindingOverSeeds>,
}

/// A finding that some of the seeds had.
#[derive(Clone, Debug, PartialEq)]
pub struct FindingOverSeeds {
    /// Its code.
    pub code: String,
    /// The worst severity that it had.
    pub severity: Severity,
    /// The seeds that had it.
    pub seeds: Vec<u64>,
    /// The message of the first seed that had it at this severity, which says the figures of that seed alone; of flaps, the
    /// figures of all seeds together.
    pub message: String,
    /// That seed; `None` where all seeds are meant.
    pub seed: Option<u64>,
}

impl Replications {
    /// The estimate of the figure at `path` of `summary.json`.
    pub fn metric(&self, path: &str) -> Option<&Estimate> {
        self.metrics.iter().find(|(figure, _)| figure.path == path).map(|(_, estimate)| estimate)
    }

    /// The worst severity of any seed's findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// Puts together the runs of several seeds, in order of seed.
///
/// # Panics
/// On fewer than two runs.
pub fn replications(summaries: &[Summary], settings: &AnalysisSettings) -> Replications {
    assert!(summaries.len() >= 2, "several seeds are two or more");
    let hours: Vec<f64> = summaries.iter().map(measured_hours).collect();
    let metric = |figure: &'static Figure| {
        let values = summaries.iter().map(figure.value).collect();
        let mut estimate = Estimate::new(figure.path, figure.kind, values);
        if figure.path == "scaling.flapsPerHour" {
            // Few flaps have a law of their own; that none was seen does not mean that none would be.
            estimate.interval = flap_rate_interval(summaries);
        }
        (figure, estimate)
    };
    let gates = evaluate_gates_over_seeds(summaries, settings);
    let flaps = FlapsOverSeeds::of(summaries);
    let flapping = flaps.and_then(|own| own.finding(summaries));
    Replications {
        seeds: summaries.iter().map(|summary| summary.seed).collect(),
        hours_each: mean(&hours).unwrap_or(0.0),
        metrics: FIGURES.iter().map(metric).collect(),
        kpis: kpi_values(summaries),
        status: gates_status(&gates),
        gates,
        statuses: summaries.iter().map(|summary| summary.verdict.status).collect(),
        flaps,
        findings: findings_over_seeds(summaries, flapping),
    }
}

/// Per code the seeds that had it, worst first, then by how many seeds, then in the order met. Which gates lack data is
/// asked anew over all seeds, and how bad the flaps are too: `flapping`.
fn findings_over_seeds(summaries: &[Summary], flapping: Option<FindingOverSeeds>) -> Vec<FindingOverSeeds> {
    let mut found: Vec<FindingOverSeeds> = flapping.into_iter().collect();
    let of_one_run = |code: &str| code == "single-run" || FLAP_CODES.contains(&code);
    for summary in summaries {
        for finding in summary.verdict.findings.iter().filter(|finding| !of_one_run(&finding.code)) {
            let seed = summary.seed;
            let Some(known) = found.iter_mut().find(|known| known.code == finding.code) else {
                found.push(FindingOverSeeds {
                    code: finding.code.clone(),
                    severity: finding.severity,
                    seeds: vec![seed],
                    message: finding.message.clone(),
                    seed: Some(seed),
                });
                continue;
            };
            if known.seeds.last() != Some(&seed) {
                known.seeds.push(seed);
            }
            if finding.severity > known.severity {
                known.severity = finding.severity;
                known.message = finding.message.clone();
                known.seed = Some(seed);
            }
        }
    }
    found.sort_by_key(|finding| std::cmp::Reverse((finding.severity, finding.seeds.len())));
    found
}

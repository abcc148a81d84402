//! What a comparison says: pairs, the best policy, regret, gates and findings. Pure over [`Comparison`].

use crate::analysis::{
    Best, Compared, DifferenceVerdict, Estimate, FigureKind, Finding, Fleet, GateResult, PayFindings, Regret, Summary,
    VerdictStatus, best_policy, billed_hours, compare_pairs, evaluate_gates, evaluate_gates_over_seeds, gates_status,
    pay_findings, regret,
};
use crate::scenario::AnalysisSettings;
use crate::study::{Comparison, LeastFixed};
use crate::units::Severity;

/// The conclusions.
#[derive(Debug)]
pub struct Conclusions {
    /// Every policy after the first against the first.
    pub pairs: Vec<Compared>,
    /// The best policy, when an SLO can say so.
    pub best: Option<Best>,
    /// One per policy, in order.
    pub policies: Vec<PolicyConclusions>,
}

/// What is said of one policy.
#[derive(Debug)]
pub struct PolicyConclusions {
    /// Against the oracle, when there is one.
    pub regret: Option<Regret>,
    /// 1 - billed(policy) / billed(least fixed fleet that meets the SLO), when there is one.
    pub gain: Option<Estimate>,
    /// Over all seeds, in the order given.
    pub gates: Vec<GateResult>,
    /// The verdict of the gates.
    pub status: VerdictStatus,
    /// Worst first.
    pub findings: Vec<Finding>,
}

impl Conclusions {
    /// Of `comparison`, whose policies are judged by the goals and gates of `settings`.
    pub fn of(comparison: &Comparison, settings: &AnalysisSettings) -> Self {
        let runs: Vec<&[Summary]> = comparison.policies.iter().map(|own| own.runs.as_slice()).collect();
        let pairs = compare_pairs(&runs, &settings.gates);
        let best = best_policy(&runs);
        let oracle = comparison.oracle_runs();
        let of_policy = |(index, runs): (usize, &&[Summary])| {
            let regret = oracle.as_ref().map(|oracle| regret(runs, oracle));
            let fixed = comparison.least_fixed_runs();
            let name = comparison.least_fixed_name();
            let given = PayFindings {
                policy: runs,
                least_fixed: fixed.map(|runs| Fleet { name: &name, runs }),
                regret: regret.as_ref(),
                thresholds: &comparison.policies[index].thresholds,
            };
            let mut findings = pay_findings(&given);
            let own = pairs.iter().find(|pair| pair.policy == index);
            findings.extend(own.into_iter().flat_map(unsynchronised));
            findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            let gates = match runs {
                [one] => evaluate_gates(one, settings),
                several => evaluate_gates_over_seeds(several, settings),
            };
            let gain = fixed.map(|fixed| gain(runs, fixed));
            PolicyConclusions { status: gates_status(&gates), regret, gain, gates, findings }
        };
        let policies = runs.iter().enumerate().map(of_policy).collect();
        Conclusions { pairs, best, policies }
    }

    /// Fail when a gate of any policy failed, undecided when one is undecided and none failed, else pass.
    pub fn status(&self) -> VerdictStatus {
        let all: Vec<GateResult> = self.policies.iter().flat_map(|own| own.gates.iter().cloned()).collect();
        gates_status(&all)
    }

    /// The worst severity of any finding.
    pub fn worst(&self) -> Option<Severity> {
        self.policies.iter().flat_map(|own| &own.findings).map(|finding| finding.severity).max()
    }
}

/// 1 - billed(policy) / billed(fixed), seed by seed.
fn gain(policy: &[Summary], fixed: &[Summary]) -> Estimate {
    let own = |(policy, fixed): (&Summary, &Summary)| {
        let fixed = billed_hours(fixed);
        (fixed > 0.0).then(|| 1.0 - billed_hours(policy) / fixed)
    };
    Estimate::new("autoscalingGain", FigureKind::Mean, policy.iter().zip(fixed).map(own).collect())
}

/// Tested figures that the seeds leave undecided though pairing should have helped.
fn unsynchronised(pair: &Compared) -> Vec<Finding> {
    let tested = pair.differences.iter().filter(|own| own.is_tested && own.verdict == DifferenceVerdict::Undecided);
    let finding = |own: &crate::analysis::Difference| {
        let paired = Some(&own.paired).filter(|paired| paired.is_unsynchronised())?;
        let message = format!(
            "{} of this policy and of the baseline correlate by {:.2} over {} seeds: the same traffic moves them in different \
             ways, so that pairing tells little more than two separate runs",
            own.figure.name,
            paired.correlation.unwrap_or(0.0),
            paired.pairs
        );
        let code = "streams-not-synchronised".to_owned();
        Some(Finding { code, severity: Severity::Warning, message, evidence: Vec::new() })
    };
    tested.filter_map(finding).collect()
}

impl Comparison {
    /// The runs of the least fixed fleet that meets the SLO.
    pub fn least_fixed_runs(&self) -> Option<&[Summary]> {
        match self.least_fixed {
            LeastFixed::Found(size) => self.fixed.get(&size).map(Vec::as_slice),
            LeastFixed::NoSlo | LeastFixed::None => None,
        }
    }

    /// `static(4)`.
    pub fn least_fixed_name(&self) -> String {
        match self.least_fixed {
            LeastFixed::Found(size) => format!("static({size})"),
            LeastFixed::NoSlo | LeastFixed::None => "no fixed fleet".to_owned(),
        }
    }

    /// What is shown below the policies: name, role and runs of the fixed fleets, smallest first, and of the oracle.
    pub fn baselines(&self) -> Vec<(String, &'static str, Vec<Summary>)> {
        let (least, most) = (self.bounds.0.max(1), self.bounds.1);
        let role = |size: u32| match self.least_fixed {
            LeastFixed::Found(own) if own == size => Some("least fixed fleet that meets the SLO"),
            _ if size == least => Some("fewest replicas all the time"),
            _ if size == most => Some("most replicas all the time"),
            _ => None,
        };
        let mut shown: Vec<(String, &'static str, Vec<Summary>)> = Vec::new();
        for (size, runs) in &self.fixed {
            if let Some(role) = role(*size) {
                shown.push((format!("static({size})"), role, runs.clone()));
            }
        }
        shown.extend(self.oracle_runs().map(|runs| ("oracle".to_owned(), "perfect foresight", runs)));
        shown
    }
}

//! What a policy pays above fixed fleets and above perfect foresight (verdicts.md 5.2, 5.3).

use crate::analysis::statistics::FigureKind::Mean;
use crate::analysis::{Estimate, Finding, PairedDifference, Summary, goals_met, paired_difference};
use crate::units::Severity;

/// A cost ratio above this at equal SLO is a bad policy and no bad luck: lazy provisioning without any foresight keeps to it.
const WORST_RATIO: f64 = 3.0;
/// A threshold below this part of what one replica sustains is far below capacity.
const FAR_BELOW: f64 = 0.3;
/// Costs closer than this part of the smaller are the same.
const SAME_COST: f64 = 0.02;

/// GPU-hours billed; replica-hours of replicas without GPUs.
pub fn billed_hours(summary: &Summary) -> f64 {
    if summary.run.gpus_per_replica > 0 { summary.gpu_hours.billed } else { summary.replica_hours.billed }
}

/// Whether a run met all objectives, those of which it has data; `None` without any objective.
pub fn meets_slo(summary: &Summary) -> Option<bool> {
    let met = summary.slo_objectives.iter().map(|own| own.met || own.share_interval.is_none());
    met.reduce(|all, own| all && own)
}

/// A fleet or schedule that policies are measured by, one summary per seed.
#[derive(Clone, Copy, Debug)]
pub struct Fleet<'a> {
    /// `static(4)`.
    pub name: &'a str,
    /// One run per seed.
    pub runs: &'a [Summary],
}

/// A policy against the oracle, over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Regret {
    /// billed(policy) - billed(oracle).
    pub cost: Estimate,
    /// billed(policy) / billed(oracle).
    pub ratio: Estimate,
    /// attainment(oracle) - attainment(policy).
    pub slo_gap: Estimate,
    /// (reversals of the policy - those of the oracle's schedule) / hours.
    pub reversal_excess: Estimate,
}

/// Of `policy` against `oracle`, the same seeds in the same order.
///
/// # Panics
/// When the two have different numbers of seeds.
pub fn regret(policy: &[Summary], oracle: &[Summary]) -> Regret {
    assert_eq!(policy.len(), oracle.len(), "policies and the oracle run on the same seeds");
    let over = |name: &str, value: &dyn Fn(&Summary, &Summary) -> Option<f64>| {
        Estimate::new(name, Mean, policy.iter().zip(oracle).map(|(own, best)| value(own, best)).collect())
    };
    Regret {
        cost: over("regret.cost", &|own, best| Some(billed_hours(own) - billed_hours(best))),
        ratio: over("regret.ratio", &|own, best| {
            (billed_hours(best) > 0.0).then(|| billed_hours(own) / billed_hours(best))
        }),
        slo_gap: over("regret.sloGap", &|own, best| {
            best.slo_attainment.zip(own.slo_attainment).map(|(best, own)| best - own)
        }),
        reversal_excess: over("regret.reversalExcess", &|own, _| Some(own.demand.reversal_excess)),
    }
}

/// What [`pay_findings`] judges a policy by.
#[derive(Clone, Copy, Debug)]
pub struct PayFindings<'a> {
    /// The policy's runs.
    pub policy: &'a [Summary],
    /// The least fixed fleet that meets the goals.
    pub least_fixed: Option<Fleet<'a>>,
    /// The policy against the oracle.
    pub regret: Option<&'a Regret>,
    /// Per trigger that counts work: its name and its threshold as a part of what one replica sustains.
    pub thresholds: &'a [(String, f64)],
}

/// `autoscaling-does-not-pay`, `regret-above-3` and `target-far-below-capacity`, where they hold.
pub fn pay_findings(given: &PayFindings<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(given.least_fixed.and_then(|fixed| does_not_pay(given.policy, fixed)));
    findings.extend(given.regret.and_then(|regret| high_regret(given.policy, regret)));
    for (name, share) in given.thresholds.iter().filter(|(_, share)| *share < FAR_BELOW) {
        let message = format!(
            "the threshold of {name} is {:.1} % of what one replica sustains within the SLO: replicas are added long before \
             they are needed",
            100.0 * share
        );
        findings.push(warning("target-far-below-capacity", message));
    }
    findings
}

fn warning(code: &str, message: String) -> Finding {
    Finding { code: code.to_owned(), severity: Severity::Warning, message, evidence: Vec::new() }
}

/// On how many seeds a policy misses its goals.
fn seeds_missed(runs: &[Summary]) -> usize {
    goals_met(runs).map_or(0, |goals| goals.of - goals.met)
}

/// A policy that costs more than the least fixed fleet, or misses at no lower cost what that fleet meets.
fn does_not_pay(policy: &[Summary], fixed: Fleet<'_>) -> Option<Finding> {
    let Fleet { name, runs } = fixed;
    let cost = cost_difference(runs, policy)?;
    let mean = runs.iter().map(billed_hours).sum::<f64>() / runs.len() as f64;
    let part = 100.0 * cost.mean.abs() / mean.max(f64::MIN_POSITIVE);
    // Of too few seeds for an interval the mean alone speaks.
    let (low, high) = cost.interval.unwrap_or((cost.mean, cost.mean));
    let sure = match cost.interval {
        Some((low, high)) => format!("95 % interval of the difference {low:+.3}..{high:+.3} h"),
        None => "too few seeds for an interval".to_owned(),
    };
    let margin = SAME_COST * mean;
    if low > 0.0 && cost.mean > margin {
        let message =
            format!("it is billed {part:.1} % more than {name}, which meets the SLO without scaling ({sure})");
        return Some(warning("autoscaling-does-not-pay", message));
    }
    let misses = seeds_missed(policy);
    let saves = high < 0.0 && cost.mean < -margin;
    (misses > 0 && !saves).then(|| {
        let of = policy.len();
        let message = format!(
            "it misses the SLO on {misses} of {of} seeds and is not surely billed less than {name}, which meets it ({sure})"
        );
        warning("autoscaling-does-not-pay", message)
    })
}

/// billed(policy) - billed(fixed).
fn cost_difference(fixed: &[Summary], policy: &[Summary]) -> Option<PairedDifference> {
    let hours = |runs: &[Summary]| -> Vec<Option<f64>> { runs.iter().map(|run| Some(billed_hours(run))).collect() };
    let fixed = hours(fixed);
    let mean = fixed.iter().copied().flatten().sum::<f64>() / fixed.len().max(1) as f64;
    paired_difference(&fixed, &hours(policy), SAME_COST * mean)
}

fn high_regret(policy: &[Summary], regret: &Regret) -> Option<Finding> {
    let ratio = regret.ratio.mean.filter(|ratio| *ratio > WORST_RATIO)?;
    // Only at equal SLO is a ratio of costs a verdict.
    if seeds_missed(policy) > 0 {
        return None;
    }
    let mut message = format!(
        "it is billed {ratio:.2} times what perfect foresight needs for the same SLO, above {WORST_RATIO}: that is the policy, \
         not bad luck"
    );
    let is_sure = match regret.ratio.interval {
        Some(((low, _), _)) => low > WORST_RATIO,
        None => regret.ratio.values.len() > 1,
    };
    if !is_sure {
        message += "; the interval does not exclude less";
    }
    let severity = if is_sure { Severity::Warning } else { Severity::Note };
    Some(Finding { severity, ..warning("regret-above-3", message) })
}

//! Policies on the same seeds: figure by figure against the first of them, and which is best (verdicts.md 6.2).

use crate::analysis::statistics::CONFIDENCE;
use crate::analysis::statistics::FigureKind::{self, Mean, Percentile};
use crate::analysis::{DifferenceVerdict, PairedDifference, Summary, billed_hours, holm, meets_slo, paired_difference};
use crate::scenario::GateLimit;

/// Below which difference nobody cares.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Margin {
    /// In the figure's own unit.
    Absolute(f64),
    /// Part of the baseline's mean.
    Relative(f64),
}

/// A figure that policies are compared by.
#[derive(Clone, Copy, Debug)]
pub struct ComparedFigure {
    /// Its key in files.
    pub key: &'static str,
    /// What tables call it.
    pub name: &'static str,
    /// How it varies over seeds.
    pub kind: FigureKind,
    /// Whether less is better; of attainment more is.
    pub less_is_better: bool,
    /// The gate that judges it.
    pub gate: Option<&'static str>,
    /// Whether it is tested when no gate is named.
    is_objective: bool,
    margin: Margin,
    /// Its value; `None` where the run had nothing to measure.
    pub value: fn(&Summary) -> Option<f64>,
}

const fn figure(
    key: &'static str,
    name: &'static str,
    kind: FigureKind,
    margin: Margin,
    value: fn(&Summary) -> Option<f64>,
) -> ComparedFigure {
    ComparedFigure { key, name, kind, less_is_better: true, gate: None, is_objective: false, margin, value }
}

/// All of them, in the order of tables.
pub const COMPARED: [ComparedFigure; 11] = [
    ComparedFigure {
        gate: Some("gpuHours"),
        is_objective: true,
        ..figure("billedHours", "billed GPU-hours", Mean, Margin::Relative(0.02), |s| Some(billed_hours(s)))
    },
    ComparedFigure {
        gate: Some("sloAttainment"),
        is_objective: true,
        less_is_better: false,
        ..figure("sloAttainment", "SLO attainment", Mean, Margin::Absolute(0.001), |s| s.slo_attainment)
    },
    ComparedFigure {
        gate: Some("flapsPerHour"),
        is_objective: true,
        ..figure("flapsPerHour", "flaps/h", Mean, Margin::Absolute(0.5), |s| Some(s.flapping.flaps_per_hour))
    },
    figure("spuriousFlapsPerHour", "flaps/h without demand", Mean, Margin::Absolute(0.5), |s| {
        let flaps = s.flapping.flaps.max(1) as f64;
        Some(s.flapping.flaps_per_hour * s.demand.spurious_flaps as f64 / flaps)
    }),
    ComparedFigure {
        gate: Some("failedRequests"),
        ..figure("failedRequests", "failed requests", Mean, Margin::Absolute(1.0), |s| {
            Some((s.requests.failed + s.requests.timed_out) as f64)
        })
    },
    figure("readyMean", "mean ready replicas", Mean, Margin::Relative(0.02), |s| Some(s.ready_mean)),
    figure("ttftP95", "TTFT p95 (s)", Percentile, Margin::Relative(0.05), |s| s.ttft.p95),
    figure("tpotP95", "TPOT p95 (s)", Percentile, Margin::Relative(0.05), |s| s.tpot.p95),
    figure("e2eP95", "E2E p95 (s)", Percentile, Margin::Relative(0.05), |s| s.e2e.p95),
    figure("churnedReplicas", "churned starts", Mean, Margin::Absolute(0.5), |s| {
        Some(s.flapping.churned_replicas as f64)
    }),
    figure("costTotal", "cost", Mean, Margin::Relative(0.02), |s| s.cost_total),
];

impl ComparedFigure {
    /// Its values, one per run.
    pub fn values(&self, runs: &[Summary]) -> Vec<Option<f64>> {
        runs.iter().map(self.value).collect()
    }

    fn margin_from(&self, baseline: &[Option<f64>]) -> f64 {
        match self.margin {
            Margin::Absolute(margin) => margin,
            Margin::Relative(part) => {
                let known: Vec<f64> = baseline.iter().copied().flatten().filter(|value| value.is_finite()).collect();
                part * known.iter().sum::<f64>().abs() / known.len().max(1) as f64
            }
        }
    }
}

/// One figure of two policies.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The figure.
    pub figure: &'static ComparedFigure,
    /// The policy minus the baseline.
    pub paired: PairedDifference,
    /// Whether it is one of the differences that Holm's procedure holds together at 5 %.
    pub is_tested: bool,
    /// The verdict, after Holm where it is tested: what one interval alone would call different is undecided when the procedure
    /// does not reject "no difference".
    pub verdict: DifferenceVerdict,
}

/// One policy against the baseline.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Its position among the policies.
    pub policy: usize,
    /// Every figure of which any seed has both values, in the order of [`COMPARED`].
    pub differences: Vec<Difference>,
}

/// Every policy after the first against the first, seed by seed. Tested together (Holm over pairs x figures) are the figures of
/// `gates`; without gates cost, attainment and flaps.
///
/// # Panics
/// When policies have different numbers of runs.
pub fn compare_pairs(policies: &[&[Summary]], gates: &[GateLimit]) -> Vec<Compared> {
    let Some((baseline, others)) = policies.split_first() else { return Vec::new() };
    let is_tested = |figure: &ComparedFigure| match gates {
        [] => figure.is_objective,
        gates => gates.iter().any(|gate| figure.gate == Some(gate.name.as_str())),
    };
    let mut compared: Vec<Compared> = Vec::new();
    for (index, runs) in others.iter().enumerate() {
        let mut differences = Vec::new();
        for figure in &COMPARED {
            let (a, b) = (figure.values(baseline), figure.values(runs));
            let Some(paired) = paired_difference(&a, &b, figure.margin_from(&a)) else { continue };
            let verdict = paired.verdict;
            differences.push(Difference { figure, paired, is_tested: is_tested(figure), verdict });
        }
        compared.push(Compared { policy: index + 1, differences });
    }
    hold_together(compared.iter_mut().flat_map(|own| &mut own.differences).collect());
    compared
}

/// Holm over the tested differences that have a p-value.
fn hold_together(differences: Vec<&mut Difference>) {
    let mut tested: Vec<(&mut Difference, f64)> = Vec::new();
    for own in differences {
        let p_value = own.paired.p_value.filter(|_| own.is_tested);
        if let Some(p_value) = p_value {
            tested.push((own, p_value));
        }
    }
    let p_values: Vec<f64> = tested.iter().map(|(_, p_value)| *p_value).collect();
    for ((own, _), rejected) in tested.into_iter().zip(holm(&p_values, 1.0 - CONFIDENCE)) {
        if own.verdict == DifferenceVerdict::Different && !rejected {
            own.verdict = DifferenceVerdict::Undecided;
        }
    }
}

/// On how many seeds a policy meets its goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoalsMet {
    /// Seeds on which it does.
    pub met: usize,
    /// All seeds.
    pub of: usize,
}

impl GoalsMet {
    /// Whether it does on every seed.
    pub fn all(self) -> bool {
        self.met == self.of
    }
}

/// `None` without an SLO.
pub fn goals_met(runs: &[Summary]) -> Option<GoalsMet> {
    runs.first().and_then(meets_slo)?;
    Some(GoalsMet { met: runs.iter().filter(|run| meets_slo(run) == Some(true)).count(), of: runs.len() })
}

/// Which policy is best: of those that meet the SLO on every seed the one billed least.
#[derive(Clone, Debug)]
pub struct Best {
    /// Its position.
    pub policy: usize,
    /// Every other policy that meets the SLO on every seed: its position, its cost minus the best one's, and whether the data
    /// tell the two apart (Holm over these pairs).
    pub others: Vec<(usize, PairedDifference, bool)>,
}

/// `None` without an SLO, or when no policy meets it on every seed.
pub fn best_policy(policies: &[&[Summary]]) -> Option<Best> {
    let meets = |runs: &[Summary]| goals_met(runs).is_some_and(GoalsMet::all);
    let able: Vec<usize> = (0..policies.len()).filter(|policy| meets(policies[*policy])).collect();
    let hours = |policy: usize| COMPARED[0].values(policies[policy]);
    let total = |policy: usize| hours(policy).into_iter().flatten().sum::<f64>();
    let policy = able.iter().copied().min_by(|left, right| total(*left).total_cmp(&total(*right)))?;
    let own = hours(policy);
    let margin = COMPARED[0].margin_from(&own);
    let rest = able.into_iter().filter(|other| *other != policy);
    let others: Vec<(usize, PairedDifference)> =
        rest.filter_map(|other| Some((other, paired_difference(&own, &hours(other), margin)?))).collect();
    let p_values: Vec<f64> = others.iter().map(|(_, paired)| paired.p_value.unwrap_or(1.0)).collect();
    let apart = holm(&p_values, 1.0 - CONFIDENCE);
    let others = others.into_iter().zip(apart);
    let others = others.map(|((other, paired), rejected)| {
        let apart = rejected && paired.verdict == DifferenceVerdict::Different;
        (other, paired, apart)
    });
    Some(Best { policy, others: others.collect() })
}

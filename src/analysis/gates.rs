//! Gates: the limits that decide the exit code.
//!
//! One run: a gate compares the point estimate (of an attainment, the lower end of what is known), and its interval stands
//! beside it; with `gates.confidence` the rate of flaps is compared by its exact Poisson interval at that level. Several
//! seeds: a gate passes or fails only when the interval of the mean over seeds lies on one side of the limit, else it is
//! undecided and says how many more seeds would tell (verdicts.md 1.5, 1.6, 6.1).

use crate::analysis::statistics::{
    CONFIDENCE, IntervalRule, mean, poisson_interval, seeds_needed, standard_deviation, t_interval,
};
use crate::analysis::{GateResult, GateStatus, Summary};
use crate::scenario::{AnalysisSettings, GateLimit};

/// Seeds from which the rate of flaps takes its spread from the seeds and not from Poisson's law.
const SEEDS_OF_T: usize = 5;

/// Evaluates the gates that the user named, in order. A value of `failedRequests` is failed plus timed out requests. What
/// cannot be measured (no SLO, no GPU, no measured time) is undecided, and so is every gate of a run that measured no
/// request, and the gate on flaps of one in which the policy could not scale: never a silent pass.
///
/// # Panics
/// On a gate name that the scenario's reader should have refused.
pub fn evaluate_gates(summary: &Summary, settings: &AnalysisSettings) -> Vec<GateResult> {
    let gate = |gate: &GateLimit| {
        let (value, interval) = measure(summary, &gate.name);
        if gate.name == "flapsPerHour"
            && summary.requests.total > 0
            && let (Some(_), Some(_), Some(confidence)) = (value, interval, settings.gate_confidence)
        {
            return flaps_of_several(&[summary], gate, confidence);
        }
        let is_minimum = gate.name == "sloAttainment";
        let is_about_scaling = gate.name == "flapsPerHour";
        let status = match value {
            None => GateStatus::Undecided,
            Some(_) if summary.requests.total == 0 => GateStatus::Undecided,
            Some(value) if is_minimum && value >= gate.limit => GateStatus::Pass,
            // The value is the lower end: requests still open may yet lift it over the limit.
            Some(_) if is_minimum && interval.is_some_and(|(_, upper)| upper >= gate.limit) => GateStatus::Undecided,
            // A policy that could not scale could not flap either.
            Some(value) if is_about_scaling && value <= gate.limit && summary.scaling_doubt.is_some() => {
                GateStatus::Undecided
            }
            Some(value) if !is_minimum && value <= gate.limit => GateStatus::Pass,
            Some(_) => GateStatus::Fail,
        };
        GateResult {
            name: gate.name.clone(),
            limit: gate.limit,
            value,
            interval,
            confidence: CONFIDENCE,
            status,
            further_seeds: None,
        }
    };
    settings.gates.iter().map(gate).collect()
}

/// Evaluates the gates over several seeds' runs. Each value is the mean over seeds of what one run's gate compares. A limit
/// of 0 asks for none in any of the runs: no number of runs could prove a rate of 0.
///
/// # Panics
/// As [`evaluate_gates`], and on fewer than two runs.
pub fn evaluate_gates_over_seeds(summaries: &[Summary], settings: &AnalysisSettings) -> Vec<GateResult> {
    assert!(summaries.len() >= 2, "several seeds are two or more");
    let runs: Vec<&Summary> = summaries.iter().collect();
    let confidence = settings.gate_confidence.unwrap_or(CONFIDENCE);
    settings.gates.iter().map(|gate| over_seeds(&runs, gate, confidence)).collect()
}

fn over_seeds(runs: &[&Summary], gate: &GateLimit, confidence: f64) -> GateResult {
    let measured: Vec<Measured> = runs.iter().map(|run| measure(run, &gate.name)).collect();
    let values: Vec<f64> = measured.iter().filter_map(|(value, _)| *value).collect();
    // A seed without data may hide any value: nothing is decided for the others alone.
    if values.len() < runs.len() || runs.iter().any(|run| run.requests.total == 0) {
        let status = GateStatus::Undecided;
        let (name, limit) = (gate.name.clone(), gate.limit);
        return GateResult {
            name,
            limit,
            value: mean(&values),
            interval: None,
            confidence,
            status,
            further_seeds: None,
        };
    }
    match gate.name.as_str() {
        "flapsPerHour" => flaps_of_several(runs, gate, confidence),
        "sloAttainment" => {
            let upper = |(value, interval): &Measured| interval.map_or(*value, |own| Some(own.1));
            let uppers: Vec<f64> = measured.iter().filter_map(upper).collect();
            attainment_of_several(&values, &uppers, gate, confidence)
        }
        _ => maximum_of_several(&values, gate, confidence),
    }
}

/// A figure that must be at most the limit.
fn maximum_of_several(values: &[f64], gate: &GateLimit, confidence: f64) -> GateResult {
    let (low, high) = t_interval(values, confidence).expect("several finite values");
    let (low, high) = (low.max(0.0), high.max(0.0));
    let status = match gate.limit == 0.0 {
        true if values.iter().any(|value| *value > 0.0) => GateStatus::Fail,
        true => GateStatus::Pass,
        false => beside(gate.limit, (low, high)),
    };
    decided_by_t(values, (low, high), status, gate, confidence)
}

/// The share that must be at least the limit: the requests that nobody knows of count as misses against it and as hits for
/// it. Over seeds, never over requests: misses come in bursts.
fn attainment_of_several(lowers: &[f64], uppers: &[f64], gate: &GateLimit, confidence: f64) -> GateResult {
    let (low, _) = t_interval(lowers, confidence).expect("several finite values");
    let (_, high) = t_interval(uppers, confidence).expect("several finite values");
    let interval = (low.clamp(0.0, 1.0), high.clamp(0.0, 1.0));
    // A mean of shares is below 1 as soon as one of them is.
    let is_missed_for_sure = gate.limit >= 1.0 && uppers.iter().any(|share| *share < 1.0);
    let status = match interval {
        _ if is_missed_for_sure => GateStatus::Fail,
        (low, _) if low >= gate.limit => GateStatus::Pass,
        (_, high) if high < gate.limit => GateStatus::Fail,
        _ => GateStatus::Undecided,
    };
    decided_by_t(lowers, interval, status, gate, confidence)
}

fn decided_by_t(
    values: &[f64],
    interval: (f64, f64),
    status: GateStatus,
    gate: &GateLimit,
    confidence: f64,
) -> GateResult {
    let value = mean(values);
    let seeds = values.len() as u64;
    let further_seeds = value.filter(|_| status == GateStatus::Undecided).and_then(|value| {
        let needed = seeds_needed(standard_deviation(values)?, (value - gate.limit).abs(), confidence)?;
        Some(needed.saturating_sub(seeds).max(1))
    });
    let (name, limit) = (gate.name.clone(), gate.limit);
    GateResult { name, limit, value, interval: Some(interval), confidence, status, further_seeds }
}

/// Flaps per hour: all seeds' flaps together with their exact Poisson interval, from five seeds on the t interval, which
/// knows whether flaps come in bursts; unless no seed differs from another, since that does not mean that none would.
fn flaps_of_several(runs: &[&Summary], gate: &GateLimit, confidence: f64) -> GateResult {
    let rates: Vec<f64> = runs.iter().map(|run| run.flapping.flaps_per_hour).collect();
    let hours: f64 = runs.iter().map(|run| measured_hours(run)).sum();
    let flaps: u64 = runs.iter().map(|run| run.flapping.flaps).sum();
    let doubt = runs.iter().any(|run| run.scaling_doubt.is_some());
    let mut result = if takes_t(&rates) {
        maximum_of_several(&rates, gate, confidence)
    } else {
        let interval = poisson_interval(flaps, hours, confidence);
        let rate = flaps as f64 / hours;
        let status = match gate.limit == 0.0 {
            true if flaps > 0 => GateStatus::Fail,
            true => GateStatus::Pass,
            false => beside(gate.limit, interval),
        };
        let further_seeds = (status == GateStatus::Undecided)
            .then(|| hours_needed(flaps, hours, gate.limit, confidence))
            .flatten()
            .map(|needed| ((needed - hours) * runs.len() as f64 / hours).ceil().max(1.0) as u64);
        let (name, limit) = (gate.name.clone(), gate.limit);
        GateResult { name, limit, value: Some(rate), interval: Some(interval), confidence, status, further_seeds }
    };
    // A policy that could not scale could not flap either.
    if doubt && result.status == GateStatus::Pass {
        result.status = GateStatus::Undecided;
        result.further_seeds = None;
    }
    result
}

/// The 95 % interval of the flaps per hour of several seeds, and its rule, as the gate takes it.
pub(super) fn flap_rate_interval(runs: &[Summary]) -> Option<((f64, f64), IntervalRule)> {
    let hours: Vec<f64> = runs.iter().map(measured_hours).collect();
    SeedCounts { hours: &hours, counts: runs.iter().map(|run| run.flapping.flaps).collect() }.interval_and_rule()
}

/// What was counted in each of several seeds' hours.
pub(super) struct SeedCounts<'a> {
    pub(super) hours: &'a [f64],
    pub(super) counts: Vec<u64>,
}

impl SeedCounts<'_> {
    pub(super) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Per hour of all seeds together; `None` without measured time.
    pub(super) fn rate(&self) -> Option<f64> {
        let hours: f64 = self.hours.iter().sum();
        (hours > 0.0).then(|| self.total() as f64 / hours)
    }

    /// The 95 % interval of the rate, not below 0.
    pub(super) fn rate_interval(&self) -> Option<(f64, f64)> {
        self.interval_and_rule().map(|((low, high), _)| (low.max(0.0), high.max(0.0)))
    }

    /// From five seeds that differ on by t over seeds, else the exact Poisson interval of all of them together.
    fn interval_and_rule(&self) -> Option<((f64, f64), IntervalRule)> {
        let rate = |(count, hours): (&u64, &f64)| if *hours > 0.0 { *count as f64 / hours } else { 0.0 };
        let rates: Vec<f64> = self.counts.iter().zip(self.hours).map(rate).collect();
        if takes_t(&rates) {
            return t_interval(&rates, CONFIDENCE).map(|interval| (interval, IntervalRule::StudentT));
        }
        let hours: f64 = self.hours.iter().sum();
        (hours > 0.0).then(|| (poisson_interval(self.total(), hours, CONFIDENCE), IntervalRule::Poisson))
    }
}

/// Whether rates of flaps take their spread from the seeds.
fn takes_t(rates: &[f64]) -> bool {
    rates.len() >= SEEDS_OF_T && standard_deviation(rates).is_some_and(|deviation| deviation > 0.0)
}

/// About how many hours decide the gate if flaps go on at the same rate; `None` beyond a million hours.
fn hours_needed(flaps: u64, hours: f64, limit: f64, confidence: f64) -> Option<f64> {
    let rate = flaps as f64 / hours;
    let decides = |hours: f64| {
        let expected = (rate * hours).round();
        beside(limit, poisson_interval(expected as u64, hours, confidence)) != GateStatus::Undecided
    };
    let mut needed = hours;
    while !decides(needed) {
        needed *= 1.1;
        if needed > 1e6 {
            return None;
        }
    }
    Some(needed)
}

/// On which side of a maximum an interval lies.
fn beside(limit: f64, (low, high): (f64, f64)) -> GateStatus {
    match () {
        () if high <= limit => GateStatus::Pass,
        () if low > limit => GateStatus::Fail,
        () => GateStatus::Undecided,
    }
}

/// Hours of the run without its warm-up.
pub(super) fn measured_hours(summary: &Summary) -> f64 {
    let run = &summary.run;
    run.end.saturating_since(crate::units::SimTime::ZERO + run.warmup).as_secs_f64_exact() / 3600.0
}

/// What a gate compares, and the interval beside it.
type Measured = (Option<f64>, Option<(f64, f64)>);

fn measure(summary: &Summary, name: &str) -> Measured {
    match name {
        "flapsPerHour" => {
            let interval = summary.flapping.flaps_per_hour_interval;
            // Without a measured time there is no rate; a measured rate always has a positive upper bound.
            if interval.1 > 0.0 { (Some(summary.flapping.flaps_per_hour), Some(interval)) } else { (None, None) }
        }
        "sloAttainment" => (summary.slo_attainment, summary.slo_attainment_interval),
        "gpuHours" => ((summary.run.gpus_per_replica > 0).then_some(summary.gpu_hours.billed), None),
        "failedRequests" => (Some((summary.requests.failed + summary.requests.timed_out) as f64), None),
        other => unreachable!("gate {other:?} is refused when the scenario is read"),
    }
}

//! The sentences of a comparison's report.

use crate::analysis::{Best, COMPARED, Difference, DifferenceVerdict, PairedDifference, billed_hours, goals_met};
use crate::report::compare_text::{CompareReport, estimate, figure_name, has_gpus};
use crate::report::replications_text::{decimals, estimate_text, gate_line, with_decimals};
use crate::report::text::{count, number};
use crate::scenario::Assumption;
use crate::study::{LeastFixed, OracleKind, OracleSeed};

/// Lead and text of each line of the answer.
pub(super) fn answers(report: &CompareReport<'_>) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if report.labels.len() > 1 {
        lines.push(("best", best_line(report)));
    }
    for (index, label) in report.labels.iter().enumerate() {
        lines.push(("pays", pays_line(report, index, label)));
    }
    lines
}

fn unit(report: &CompareReport<'_>) -> &'static str {
    if has_gpus(report) { "GPU-hours" } else { "replica-hours" }
}

/// Which policy is best, and whether the data say so.
fn best_line(report: &CompareReport<'_>) -> String {
    let labels = report.labels;
    let Some(best) = &report.conclusions.best else {
        if report.run.analysis.slo.is_empty() {
            let mut text = "the Scenario has no slo, so nothing says which policy is best as a whole".to_owned();
            text += &differing(report);
            return text;
        }
        let met = |(label, own): (&String, &crate::study::PolicyRuns)| {
            let goals = goals_met(&own.runs).map_or(0, |goals| goals.met);
            format!("{label} on {goals} of {}", own.runs.len())
        };
        let each: Vec<String> = labels.iter().zip(&report.comparison.policies).map(met).collect();
        return format!("none: no policy meets the SLO on every seed ({})", each.join(", "));
    };
    let mut text =
        format!("{}: of the policies that meet the SLO on every seed it is billed least", labels[best.policy]);
    if best.others.is_empty() {
        text += "; no other policy meets it on every seed";
    }
    for (other, paired, is_apart) in &best.others {
        text += &format!("; {}", told_apart(&labels[*other], paired, *is_apart));
    }
    text + &doubtful(best)
}

fn told_apart(label: &str, paired: &PairedDifference, is_apart: bool) -> String {
    let hours = format!("{label} {} h", signed(paired));
    match (is_apart, paired.verdict) {
        (true, _) => format!("{hours} (the data tell them apart)"),
        (false, DifferenceVerdict::Same | DifferenceVerdict::Negligible) => format!("{hours} (the same for practice)"),
        (false, _) => match paired.further_pairs {
            Some(more) => format!("{hours} (undecided, needs about {more} more {})", seeds_noun(more)),
            None => format!("{hours} (undecided)"),
        },
    }
}

fn seeds_noun(seeds: u64) -> &'static str {
    if seeds == 1 { "seed" } else { "seeds" }
}

fn doubtful(best: &Best) -> String {
    let undecided = best.others.iter().any(|(_, paired, is_apart)| {
        !is_apart && !matches!(paired.verdict, DifferenceVerdict::Same | DifferenceVerdict::Negligible)
    });
    if undecided { ". The data do not say who is best".to_owned() } else { String::new() }
}

/// What differs from the baseline for certain.
fn differing(report: &CompareReport<'_>) -> String {
    let mut parts = Vec::new();
    for pair in &report.conclusions.pairs {
        let sure = pair.differences.iter().filter(|own| own.is_tested && own.verdict == DifferenceVerdict::Different);
        let named: Vec<String> =
            sure.map(|own| format!("{} {}", figure_name(own.figure, has_gpus(report)), signed(&own.paired))).collect();
        let label = &report.labels[pair.policy];
        let than = &report.labels[0];
        parts.push(match named.as_slice() {
            [] => format!("{label} does not surely differ from {than} in any tested figure"),
            named => format!("{label} against {than}: {}", named.join(", ")),
        });
    }
    if parts.is_empty() { String::new() } else { format!(". {}", parts.join(". ")) }
}

/// `-1.20 +- 0.31`.
fn signed(paired: &PairedDifference) -> String {
    let half = paired.interval.map(|(low, high)| (high - low) / 2.0);
    let digits = half.and_then(decimals);
    let sign = if paired.mean >= 0.0 { "+" } else { "-" };
    let mean = with_decimals(paired.mean.abs(), digits);
    match half {
        Some(half) if half > 0.0 => format!("{sign}{mean} +- {}", with_decimals(half, digits)),
        _ => format!("{sign}{mean}"),
    }
}

/// What one policy costs beside the oracle and fixed fleets.
fn pays_line(report: &CompareReport<'_>, index: usize, label: &str) -> String {
    let comparison = report.comparison;
    let (own, said) = (&comparison.policies[index], &report.conclusions.policies[index]);
    let billed = |runs: &[crate::analysis::Summary]| estimate_text(&estimate(&COMPARED[0], runs), 1.0).0;
    let mut text = format!("{label}: {} {}", billed(&own.runs), unit(report));
    if let Some(goals) = goals_met(&own.runs) {
        text += &match goals.met {
            0 => format!(", and misses the SLO on all {}", count(goals.of as u64, "seed")),
            met if met == goals.of => format!(", and meets the SLO on {met} of {} seeds", goals.of),
            met => format!(", and meets the SLO on only {met} of {} seeds", goals.of),
        };
    }
    if let (Some(regret), Some(oracle)) = (&said.regret, comparison.oracle_runs()) {
        let more = regret.ratio.mean.map_or(0.0, |ratio| ratio - 1.0);
        let side = if more >= 0.0 { "above" } else { "below" };
        let percent = percent_text(more, regret.ratio.half_width());
        text += &format!("; {percent} {side} the oracle's {}, which meets it", billed(&oracle));
    }
    if let Some((mean, half)) = said.gain.as_ref().and_then(|gain| Some((gain.mean?, gain.half_width()))) {
        let word = if mean >= 0.0 { "less" } else { "more" };
        let (percent, fleet) = (percent_text(mean, half), comparison.least_fixed_name());
        text += &format!("; {percent} {word} than {fleet}, the least fixed fleet that meets it");
    }
    text
}

/// `34.5 +- 6.1 %` of a share, without its sign.
fn percent_text(share: f64, half: Option<f64>) -> String {
    let half = half.map(|half| 100.0 * half);
    let digits = half.and_then(decimals);
    let sure = half.map_or_else(String::new, |half| format!(" +- {}", with_decimals(half, digits)));
    format!("{}{sure} %", with_decimals((100.0 * share).abs(), digits))
}

/// What could not be shown and why.
pub(super) fn what_is_missing(report: &CompareReport<'_>) -> String {
    let comparison = report.comparison;
    match comparison.least_fixed {
        LeastFixed::NoSlo => {
            "The Scenario has no slo, so the least fixed fleet that meets it and the oracle are not shown; \
                              give one, for example slo: {ttft: {p95: 2s}}."
                .to_owned()
        }
        LeastFixed::None => {
            let most = comparison.bounds.1;
            let runs = &comparison.fixed[&most];
            let missed = runs.iter().filter(|run| crate::analysis::meets_slo(run) == Some(false)).count();
            let of = runs.len();
            format!(
                "No schedule that meets the SLO is known: even {} all the time miss it on {missed} of {of} seeds, so there is \
                 no oracle; raise maxReplicaCount or ease the goal.",
                count(u64::from(most), "replica")
            )
        }
        LeastFixed::Found(least) => match comparison.shown_to_miss() {
            None => String::new(),
            Some(1) => format!("Every fleet smaller than static({least}) was run and misses it."),
            Some(from) => {
                let runs = match from {
                    from if from + 1 == least => format!("static({from}) was run and misses it"),
                    from => format!("static({from}) to static({}) were run and miss it", least - 1),
                };
                format!("{runs}; that no still smaller one meets it takes it that fewer replicas never do better.")
            }
        },
    }
}

/// The gates of every policy.
pub(super) fn gate_lines(report: &CompareReport<'_>) -> Vec<String> {
    let several = report.labels.len() > 1;
    let mut lines = Vec::new();
    for (label, own) in report.labels.iter().zip(&report.conclusions.policies) {
        let lead = if several { format!("{label}: ") } else { String::new() };
        lines.extend(own.gates.iter().map(|gate| format!("{lead}{}", gate_line(gate))));
    }
    lines
}

/// A difference and its verdict.
pub(super) fn difference_text(own: &Difference) -> [String; 2] {
    let paired = &own.paired;
    let mut verdict = own.verdict.word().to_owned();
    match (own.verdict, paired.verdict, paired.further_pairs) {
        (DifferenceVerdict::Undecided, DifferenceVerdict::Different, _) => {
            verdict += " (different alone, not after Holm)";
        }
        (DifferenceVerdict::Undecided, _, Some(more)) => {
            verdict += &format!(" (needs about {more} more {})", seeds_noun(more));
        }
        _ => {}
    }
    [signed(paired), verdict]
}

/// Headings with lines: regret, the oracle, capacity.
pub(super) fn oracle_lines(report: &CompareReport<'_>) -> Vec<(String, Vec<String>)> {
    let comparison = report.comparison;
    let mut sections = Vec::new();
    let mut regrets = Vec::new();
    let spurious = COMPARED.iter().find(|figure| figure.key == "spuriousFlapsPerHour").expect("a compared figure");
    let said = report.conclusions.policies.iter().zip(&comparison.policies);
    for (label, (own, runs)) in report.labels.iter().zip(said) {
        if let Some(regret) = &own.regret {
            let text = |estimate: &crate::analysis::Estimate| estimate_text(estimate, 1.0).0;
            regrets.push(format!(
                "{label}: cost {} {} (ratio {}), SLO attainment {} (oracle minus policy), reversals/h {} (policy minus oracle), \
                 flaps/h without demand {}",
                text(&regret.cost),
                unit(report),
                text(&regret.ratio),
                text(&regret.slo_gap),
                text(&regret.reversal_excess),
                text(&estimate(spurious, &runs.runs))
            ));
        }
    }
    if !regrets.is_empty() {
        sections.push(("regret (policy against oracle)".to_owned(), regrets));
    }
    if let Some(oracle) = &comparison.oracle {
        let each = comparison.seeds.iter().zip(&oracle.seeds);
        let mut lines: Vec<String> = each.map(|(seed, own)| seed_line(report, *seed, own)).collect();
        lines.push(format!(
            "it knows the traffic, starts each replica {} before it must serve, and keeps {} to {} replicas; windows of {}. It is \
             the cheapest schedule that the search found and the simulator confirmed, not the cheapest there is",
            oracle.lead, oracle.least, oracle.most, oracle.window
        ));
        sections.push(("oracle (each run showed that it meets the SLO)".to_owned(), lines));
    }
    let mut runs = Vec::new();
    if let Some(curve) = comparison.capacity.as_ref().filter(|curve| !curve.measured.is_empty()) {
        let each: Vec<String> =
            curve.measured.iter().map(|(size, rate)| format!("{size}: {}", number(*rate))).collect();
        runs.push(format!(
            "requests/s within the SLO at a steady load of these lengths, by replicas: {} (each to 2 %)",
            each.join(", ")
        ));
    } else if comparison.capacity.is_some() {
        runs.push("one replica meets the SLO at no steady load of these lengths that was tried".to_owned());
    }
    let own = &comparison.simulations;
    let mut text = format!(
        "{} runs: {} of policies, {} of fixed fleets, {} to measure capacity, {} of schedules",
        own.total(),
        own.policies,
        own.fixed,
        own.capacity,
        own.oracle
    );
    if own.oracle_limit > 0 {
        text += &format!(" (at most {})", own.oracle_limit);
    }
    runs.push(text);
    sections.push(("what it took".to_owned(), runs));
    sections
}

fn seed_line(report: &CompareReport<'_>, seed: u64, own: &OracleSeed) -> String {
    let hours = number(billed_hours(&own.summary));
    let what = match own.kind {
        OracleKind::Scaled => {
            let (low, high) =
                own.steps.iter().fold((i32::MAX, 0), |(low, high), (_, count)| (low.min(*count), high.max(*count)));
            format!("{} writes between {low} and {high} replicas", own.steps.len() - 1)
        }
        OracleKind::Fixed(size) => format!("static({size}), which no schedule that was tried undercuts"),
    };
    let mut text =
        format!("seed {seed}: {hours} {}, {what}; {} tried", unit(report), count(own.trials as u64, "schedule"));
    if own.raised > 0 {
        text += &format!(", the estimate raised in {}", count(own.raised as u64, "round"));
    }
    if let Some(least) = own.proven_least {
        text += &format!("; proven: no schedule below {}", number(least));
    }
    if own.unavoidable > 0 {
        text += &format!(
            "; in the first {} more was needed than the {} replicas of the start could serve, which no policy can help",
            count(own.unavoidable as u64, "window"),
            report.run.initial_replicas
        );
    }
    text
}

/// What nobody gave.
pub(super) fn assumed(report: &CompareReport<'_>) -> Vec<String> {
    let own = report.run.assumptions.iter();
    let own = own.map(|Assumption { path, value, why }| format!("{path} = {value} ({why})"));
    own.chain(report.notes.iter().cloned()).collect()
}

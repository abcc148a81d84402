//! A calibration in the terminal: what is known, how well, and what follows for a threshold.

use crate::scenario::profile_yaml;
use crate::study::{Calibration, Capacity, Fate, LeftOut, Measurement, Objective, Plateau, PlateauStep, Quantity};
use std::fmt::Write as _;

/// HPA leaves a metric alone that is up to 10 % above its target (`--horizontal-pod-autoscaler-tolerance`).
pub(super) const TOLERANCE: f64 = 1.1;

/// All that `kedasim calibrate` has to say.
#[derive(Clone, Debug)]
pub struct CalibrateReport {
    /// The fit.
    pub calibration: Calibration,
    /// What it was fitted to, and after them those held out.
    pub runs: Vec<Measurement>,
    /// How many of the runs are not held out.
    pub fitted_runs: usize,
    /// Measured sweeps.
    pub plateaus: Vec<Plateau>,
    /// The goals of `--slo`.
    pub slo: Vec<Objective>,
    /// What one replica takes within the goals, for each mix of lengths; empty without goals.
    pub capacities: Vec<Capacity>,
}

/// The report as text.
pub fn calibrate_text(report: &CalibrateReport) -> String {
    let mut out = String::new();
    verdict(&mut out, report);
    coefficients(&mut out, report);
    table(&mut out, report);
    for plateau in &report.plateaus {
        plateau_lines(&mut out, plateau);
    }
    capacity_lines(&mut out, report);
    let _ = write!(out, "\nprofile:\n\n{}", profile_yaml(&report.calibration.profile));
    out
}

fn percent(share: f64) -> String {
    format!("{:+.1} %", share * 100.0)
}

/// Four significant digits at most, without an exponent.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        size if size >= 1.0 => 3,
        _ => 4,
    };
    format!("{value:.digits$}")
}

fn is_fitted(fate: &Fate) -> bool {
    matches!(fate, Fate::Fitted { .. })
}

fn verdict(out: &mut String, report: &CalibrateReport) {
    let calibration = &report.calibration;
    let (determined, all) =
        (calibration.coefficients.iter().filter(|own| is_fitted(&own.fate)).count(), calibration.coefficients.len());
    let (mean, largest) = calibration.error_of(None).unwrap_or((0.0, 0.0));
    let _ = writeln!(
        out,
        "CALIBRATED {}: {determined} of {all} coefficients determined by {} runs; mean error {:.1} %, worst {:.1} % (in-sample)",
        calibration.profile.name,
        report.fitted_runs,
        mean * 100.0,
        largest * 100.0
    );
    for (left_out, what) in [(None, ""), (Some(LeftOut::HeldOut), ", held out")] {
        for quantity in Quantity::ALL {
            if let Some((mean, largest)) = calibration.error_where(left_out, Some(quantity)) {
                let (name, mean, largest) = (quantity.label(), mean * 100.0, largest * 100.0);
                let _ = writeln!(out, "  {name:<9}  mean error {mean:.1} %, worst {largest:.1} %{what}");
            }
        }
    }
}

fn coefficients(out: &mut String, report: &CalibrateReport) {
    out.push_str("\ncoefficient         prior       now\n");
    for own in &report.calibration.coefficients {
        let (key, prior, value) = (own.coefficient.key(), number(own.prior), number(own.value));
        let fate = match &own.fate {
            // Beyond what the data alone may leave: the rest is of the coefficients that were kept.
            Fate::Fitted { deviation } if *deviation > Calibration::LARGEST_DEVIATION => {
                format!("determined, +-{:.0} %, mostly by what is kept", deviation * 100.0)
            }
            Fate::Fitted { deviation } => format!("determined, +-{:.0} %", (deviation * 100.0).max(1.0)),
            Fate::Kept { reason } => format!("kept: {reason}"),
        };
        let _ = writeln!(out, "{key:<17} {prior:>7}  {value:>8}  {fate}");
        if matches!(&own.fate, Fate::Kept { .. }) && own.prior > 0.0 {
            let _ = writeln!(
                out,
                "{:<37}would be determined by {}",
                "",
                own.coefficient.remedy(&report.runs[..report.fitted_runs])
            );
        }
    }
    out.push_str(
        "t0Ms and knee are the prior's: no latency tells t0Ms from wMs, and the knee is the model's form. +- is one standard \
         deviation if what is kept is right within a factor of 2.7.\n",
    );
    let profile = &report.calibration.profile;
    let hardware = if profile.gpus == 0 { profile.gpu.clone() } else { format!("{} x {}", profile.gpus, profile.gpu) };
    let _ = writeln!(
        out,
        "The prior's as well, and no measurement is asked about them: the hardware ({hardware}), its memory or kvTokens, maxNumSeqs {}, \
         maxNumBatchedTokens {}, maxModelLen {}.",
        profile.max_num_seqs, profile.max_num_batched_tokens, profile.max_model_len
    );
}

fn table(out: &mut String, report: &CalibrateReport) {
    out.push_str("\nload         tokens          quantity    measured  simulated     error\n");
    let mut before = None;
    for own in &report.calibration.compared {
        let run = &report.runs[own.run];
        let is_first = before != Some(own.run);
        before = Some(own.run);
        let shown = |text: String| if is_first { text } else { String::new() };
        let scale = |value: f64| number(own.quantity.shown(value));
        let note = match (own.left_out, own.spread) {
            (Some(LeftOut::OtherSpan), _) => "  not fitted: taken over another time span".to_owned(),
            (Some(LeftOut::Arrivals), _) => "  not fitted: arrivals decide it".to_owned(),
            (Some(LeftOut::HeldOut), _) => "  held out".to_owned(),
            (Some(LeftOut::KvCache), _) => "  not fitted: the KV cache decides it".to_owned(),
            (None, spread) if spread >= 0.02 => format!("  one run scatters by +-{:.0} %", spread * 100.0),
            _ => String::new(),
        };
        let _ = writeln!(
            out,
            "{:<12} {:<15} {:<9} {:>10} {:>10} {:>9}{note}",
            shown(run.load_text()),
            shown(run.lengths_text()),
            own.quantity.label(),
            scale(own.measured),
            scale(own.simulated),
            percent(own.error())
        );
    }
    if report.calibration.compared.iter().any(|own| own.left_out == Some(LeftOut::KvCache)) {
        let _ = writeln!(
            out,
            "Where the KV cache decides, kvTokens ({} in the profile) does, and no coefficient: give the prior what vLLM logs at \
             start-up (GPU KV cache size).",
            report.calibration.profile.kv_tokens
        );
    }
}

fn plateau_lines(out: &mut String, plateau: &Plateau) {
    let last = plateau.last_growing;
    let _ = writeln!(
        out,
        "\nplateau, {} tokens (tok/s of prompts and outputs, measured or implied by measured latencies):",
        plateau.lengths
    );
    for step in &plateau.steps {
        let growth = step.growth.map_or(String::new(), |growth| format!("  {}", percent(growth)));
        let runs = if step.runs > 1 { format!("  mean of {} runs", step.runs) } else { String::new() };
        let rate = number(step.tokens_per_second);
        let _ = writeln!(out, "  C={:<5} {rate:>9} tok/s{growth}{runs}", step.concurrency);
    }
    let all_grew = plateau.steps.iter().all(|step| step.growth.is_none_or(|growth| growth >= PlateauStep::GROWS));
    let _ = match plateau.reached {
        Some(concurrency) => writeln!(out, "  C={concurrency} grew by less than 15 %: the plateau."),
        None => writeln!(
            out,
            "  {} grew by 15 % or more: the plateau lies above C={}; measure further.",
            if all_grew { "Every step" } else { "The last step" },
            last.concurrency
        ),
    };
    let _ = writeln!(
        out,
        "  80 % of the last growing step (C={}, {} tok/s): threshold {} tok/s per replica. It knows nothing of latency.",
        last.concurrency,
        number(last.tokens_per_second),
        plateau.threshold()
    );
}

fn capacity_lines(out: &mut String, report: &CalibrateReport) {
    if report.slo.is_empty() {
        out.push_str("\nGive latency goals (--slo ttft=2s,tpot=100ms) for a threshold that follows from them.\n");
        return;
    }
    let goals: Vec<String> = report.slo.iter().map(Objective::text).collect();
    let _ = writeln!(
        out,
        "\nfrom the goals ({}), simulated with Poisson arrivals on one replica, in the steady state:",
        goals.join(", ")
    );
    for own in &report.capacities {
        let Some(rps) = own.rps else {
            let _ = writeln!(out, "  {} tokens: the goals hold at no load.", own.lengths);
            continue;
        };
        // Within what one number of workers differs from the next.
        let flooded = if own.flooded_rps < 0.98 * own.saturated_rps {
            format!(", with more under way than the KV cache holds {}", number(own.flooded_rps))
        } else {
            String::new()
        };
        let up_to = || format!("all goals hold up to {:.0} % of the saturated rate", 100.0 * rps / own.saturated_rps);
        let why = own.bound_by.map_or_else(up_to, |goal| format!("beyond, {} breaks", goal.text()));
        let _ = writeln!(
            out,
            "  {} tokens: up to {} req/s = {} tok/s, {} running, {} waiting ({why}; saturated at {} req/s{flooded})",
            own.lengths,
            number(rps),
            number(own.tokens_per_second),
            number(own.running),
            number(own.waiting),
            number(own.saturated_rps)
        );
        let _ = writeln!(
            out,
            "    threshold {} tok/s, or {} running requests, per replica: that load / 1.1, as HPA bears 10 % above its target",
            number(own.tokens_per_second / TOLERANCE),
            number(own.running / TOLERANCE)
        );
    }
    out.push_str(
        "  In a ScaledObject: metricType AverageValue (the default) divides the query by the replicas, so the query must be the \
         sum over all pods\n  (sum(rate(...prompt_tokens_total[1m])) + sum(rate(...generation_tokens_total[1m])), or \
         sum(vllm:num_requests_running)) and the threshold the load of one.\n  Requests that wait come only after the goals \
         break where latency grows first, so they make a late signal. A replica that starts takes no load meanwhile: \
         leave room for growth during a start.\n",
    );
    if report.capacities.len() > 1 {
        out.push_str("  The mixes of lengths imply different thresholds: take that of your own traffic.\n");
    }
}
